/* SPDX-License-Identifier: MIT */
/* RAMBlock: one host allocation of guest memory. */
#ifndef TESSERA_MEMORY_RAM_BLOCK_H
#define TESSERA_MEMORY_RAM_BLOCK_H

#include <glib.h>
#include <stddef.h>
#include "tessera/memory/types.h"
#include "tessera/util/host-memory.h"

/* RAMBlock flags. */
#define RAM_SHARED       (1u << 0) /* MAP_SHARED: other processes and devices see writes */
#define RAM_PREALLOCATED (1u << 1)
#define RAM_NORESERVE    (1u << 2)
#define RAM_RESIZABLE    (1u << 3)
#define RAM_READONLY     (1u << 4) /* mapped PROT_READ */
#define RAM_FOREIGN      (1u << 5) /* the mapping belongs to the caller */

/**
 * ram_block_new() - anonymous guest memory, 2 MiB aligned, transparent huge pages advised
 * @idstr: unique in the system, copied; "pc.ram"
 * @size: used length, bytes, 1 or more; rounded up to the host page
 * @max_size: mapped length for resizing, >= @size; 0: not resizable
 * @flags: RAM_SHARED, RAM_NORESERVE
 *
 * Places the block in ram_addr_t space (smallest gap that fits, 64-page aligned) and tells the
 * notifiers. The caller gets one reference; the mapping goes when the last one is dropped, after a
 * grace period.
 *
 * Errors: TESSERA_ERROR_EXISTS, _NO_MEMORY, _INVALID. Takes the machine lock.
 */
RAMBlock *ram_block_new(MemorySystem *ms, const char *idstr, uint64_t size, uint64_t max_size,
                        unsigned flags, GError **error);

/** ram_block_new_from_fd() - maps @fd at @fd_offset (takes ownership of @fd on success) */
RAMBlock *ram_block_new_from_fd(MemorySystem *ms, const char *idstr, uint64_t size,
                                uint64_t max_size, int fd, uint64_t fd_offset, unsigned flags,
                                GError **error);

/**
 * ram_block_new_from_ptr() - memory that the caller mapped and keeps mapped (device memory, tests)
 *
 * Never touched by the core itself but for accesses by address_space_rw() and its kin.
 */
RAMBlock *ram_block_new_from_ptr(MemorySystem *ms, const char *idstr, uint64_t size, void *host,
                                 GError **error);

/**
 * ram_block_new_from_mapping() - memory that the caller prepared (memory backends)
 * @size: used length, at most what @mem has accessible; @mem->size becomes the maximum length
 * @mem: emptied on success: the block owns the mapping and its descriptor
 * @flags: RAM_PREALLOCATED, RAM_RESIZABLE; the others follow from @mem
 */
RAMBlock *ram_block_new_from_mapping(MemorySystem *ms, const char *idstr, uint64_t size,
                                     HostMemory *mem, unsigned flags, GError **error);

/** ram_block_ref() - one more reference, for whoever has one or found the block under the lock */
RAMBlock *ram_block_ref(RAMBlock *block);
/** ram_block_try_ref() - for whoever found the block in a read section: false, it is going away */
bool ram_block_try_ref(RAMBlock *block);
/**
 * ram_block_unref() - drops a reference; NULL is allowed
 *
 * The last one takes the block out of the list, tells the notifiers, and unmaps after a grace
 * period.
 * Context: any thread, RCU callbacks too; the last reference takes the machine lock.
 */
void ram_block_unref(RAMBlock *block);

/**
 * ram_block_release_name() - another block may have the name from now on
 *
 * For an owner that is done with a block which old views still hold for a moment.
 */
void ram_block_release_name(RAMBlock *block);

/**
 * ram_block_avoid_huge_pages() - asks the host to back [@block_off, @block_off + @len) page by page
 *
 * For a stretch that the guest's map cuts into pieces smaller than a huge page: KVM could not map
 * one there, and clearing it at the first touch costs more than all else that touches it. A hint: a
 * block of huge pages (hugetlbfs) keeps them. The range is cut to the block.
 */
void ram_block_avoid_huge_pages(RAMBlock *block, uint64_t block_off, uint64_t len);

/**
 * ram_block_resize() - changes the used length (<= max_length); tells the notifiers
 *
 * The owner resizes its MemoryRegion in the same transaction (memory_region_set_size()), after this
 * to grow and before it to shrink. A rollback of the transaction does not touch the block. What
 * lies above a smaller used length stays mapped, with its contents, for readers of the old map:
 * the owner gives it back with ram_block_discard() when the commit is through.
 *
 * Errors: TESSERA_ERROR_INVALID (fixed size, 0, above the maximum), _NO_MEMORY.
 */
bool ram_block_resize(RAMBlock *block, uint64_t new_size, GError **error);

const char *ram_block_idstr(const RAMBlock *block);
void *ram_block_host(const RAMBlock *block);
ram_addr_t ram_block_offset(const RAMBlock *block);
uint64_t ram_block_used_length(const RAMBlock *block);
uint64_t ram_block_max_length(const RAMBlock *block);
size_t ram_block_page_size(const RAMBlock *block);
unsigned ram_block_flags(const RAMBlock *block);
int ram_block_fd(const RAMBlock *block); /* -1: none */
uint64_t ram_block_fd_offset(const RAMBlock *block);

/**
 * ram_block_discard() - whole pages go back to the host and read as zeroes afterwards (a private
 * file mapping: as the file)
 */
bool ram_block_discard(RAMBlock *block, uint64_t block_off, uint64_t len, GError **error);

/** ram_block_find() - by name, or NULL. Machine lock. */
RAMBlock *ram_block_find(MemorySystem *ms, const char *idstr);

/** ram_block_from_host() - the block that holds host address @host, or NULL; machine lock or RCU */
RAMBlock *ram_block_from_host(MemorySystem *ms, const void *host, uint64_t *ret_block_off);
/** ram_block_from_ram_addr() - the same by ram_addr_t */
RAMBlock *ram_block_from_ram_addr(MemorySystem *ms, ram_addr_t addr, uint64_t *ret_block_off);
/** ram_block_for_each() - blocks, largest first. Machine lock. */
void ram_block_for_each(MemorySystem *ms, void (*fn)(RAMBlock *block, void *opaque), void *opaque);

/**
 * ram_block_mark_dirty() - the one hook that every write by device, loader or monitor code passes
 * @block_off: bytes into the block; @len bytes were written
 *
 * Context: any thread, in a read section. Cheap when nobody logs.
 */
void ram_block_mark_dirty(RAMBlock *block, uint64_t block_off, uint64_t len);

/** struct RAMBlockNotifier - told, under the machine lock, of blocks that come, go and resize */
typedef struct RAMBlockNotifier {
    void (*block_added)(struct RAMBlockNotifier *n, RAMBlock *block);
    void (*block_removed)(struct RAMBlockNotifier *n, RAMBlock *block);
    void (*block_resized)(struct RAMBlockNotifier *n, RAMBlock *block, uint64_t old_size);
    /* any thread, in a read section, for every write that passes ram_block_mark_dirty() */
    void (*dirty)(struct RAMBlockNotifier *n, RAMBlock *block, uint64_t block_off, uint64_t len);
} RAMBlockNotifier;

/** ram_block_notifier_add() - existing blocks are replayed as block_added, largest first */
void ram_block_notifier_add(MemorySystem *ms, RAMBlockNotifier *n);
/**
 * ram_block_notifier_remove() - nothing is told any more; what exists is not replayed as removed
 *
 * @n->dirty may still run in read sections that are open: wait for a grace period before freeing @n
 * if it has one.
 */
void ram_block_notifier_remove(MemorySystem *ms, RAMBlockNotifier *n);

#endif
