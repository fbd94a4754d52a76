/* SPDX-License-Identifier: MIT */
/* RAMBlocks inside: the block, and the list that readers search without a lock. */
#ifndef TESSERA_MEMORY_RAM_INTERNAL_H
#define TESSERA_MEMORY_RAM_INTERNAL_H

#include <glib.h>
#include "memory-internal.h"
#include "tessera/util/host-memory.h"
#include "tessera/util/rcu.h"

/* Blocks start at multiples of this in ram_addr_t space: dirty-log clearing works on 64 pages. */
#define RAM_ADDR_ALIGN (UINT64_C(64) * 4096)

struct RAMBlock {
    RcuHead rcu; /* first: freed by rcu_defer() */
    _Atomic unsigned refs;
    MemorySystem *ms;
    char *idstr;
    bool named; /* idstr is taken; machine lock */
    HostMemory mem; /* RAM_FOREIGN: host and page size only */
    ram_addr_t offset;
    _Atomic uint64_t used_length;
    uint64_t max_length;
    unsigned flags;
};

/** struct RAMExtent - [@start, @start + @size) of ram_addr_t space is taken */
typedef struct RAMExtent {
    ram_addr_t start;
    uint64_t size;
} RAMExtent;

/**
 * find_ram_offset() - start of the smallest gap that fits, the lowest of equals
 * @taken: sorted by start, not overlapping
 * @limit: first address past the space
 * @align: starts are multiples of it, a power of two
 *
 * A gap counts from its first aligned address to the next extent, or to @limit.
 * Returns: false if nothing fits.
 */
bool find_ram_offset(const RAMExtent *taken, size_t n_taken, uint64_t size, uint64_t align,
                     uint64_t limit, ram_addr_t *ret_offset);

/*
 * The list is a table that is never changed once published: a change publishes a new one and defers
 * freeing the old. Changes: machine lock. Searches: machine lock or a read section.
 */

/** ram_list_place() - where a block of @max_length would go; false: nowhere */
bool ram_list_place(RAMList *list, uint64_t max_length, ram_addr_t *ret_offset);
void ram_list_insert(RAMList *list, RAMBlock *block);
void ram_list_remove(RAMList *list, RAMBlock *block);
/** ram_list_blocks() - a snapshot, largest first; the caller frees the array, no references */
GPtrArray *ram_list_blocks(RAMList *list);

/** struct RAMLeaving - host addresses of a block that left the list and is not unmapped yet */
typedef struct RAMLeaving {
    uint64_t start;
    uint64_t size;
} RAMLeaving;

/** ram_list_leave() - @block, no longer listed, waits for its grace period */
void ram_list_leave(RAMList *list, RAMBlock *block);
/** ram_list_left() - it is unmapped. Context: callback thread */
void ram_list_left(RAMList *list, RAMBlock *block);
/** ram_list_leaving() - a snapshot: RAMLeaving of each that waits. Any thread. g_array_unref() */
GArray *ram_list_leaving(RAMList *list);

RAMBlock *ram_list_find_named(RAMList *list, const char *idstr);
RAMBlock *ram_list_find_host(RAMList *list, uintptr_t host);
RAMBlock *ram_list_find_ram_addr(RAMList *list, ram_addr_t addr);

void ram_list_notifier_insert(RAMList *list, RAMBlockNotifier *n);
void ram_list_notifier_remove(RAMList *list, RAMBlockNotifier *n);
/** ram_list_notifiers() - a snapshot in order of registration; the caller frees the array */
GPtrArray *ram_list_notifiers(RAMList *list);
/** ram_list_dirty() - tells those with a dirty callback. Read section or machine lock. */
void ram_list_dirty(RAMList *list, RAMBlock *block, uint64_t block_off, uint64_t len);

#endif
