/* SPDX-License-Identifier: MIT */
/* RAMBlock: creation, references, resizing, lookups, notifiers. */
#include "tessera/memory/ram-block.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>
#include "ram-internal.h"
#include "tessera/util/error.h"
#include "tessera/util/size.h"

static uint64_t round_up(uint64_t n, size_t page_size)
{
    return (n + page_size - 1) / page_size * page_size;
}

static void block_free_deferred(RcuHead *head)
{
    RAMBlock *block = (RAMBlock *)head;
    HostMemory mem = block->mem; /* others may still look where the block is */

    if (!(block->flags & RAM_FOREIGN)) {
        host_memory_unmap(&mem);
        ram_list_left(block->ms->ram, block);
    }
    g_free(block->idstr);
    g_free(block);
}

static void notify_added(MemorySystem *ms, RAMBlock *block)
{
    g_autoptr(GPtrArray) notifiers = ram_list_notifiers(ms->ram);

    for (guint i = 0; i < notifiers->len; i++) {
        RAMBlockNotifier *n = notifiers->pdata[i];

        if (n->block_added) {
            n->block_added(n, block);
        }
    }
}

/* In reverse order: who heard of the block last lets go first. */
static void notify_removed(MemorySystem *ms, RAMBlock *block)
{
    g_autoptr(GPtrArray) notifiers = ram_list_notifiers(ms->ram);

    for (guint i = notifiers->len; i-- > 0;) {
        RAMBlockNotifier *n = notifiers->pdata[i];

        if (n->block_removed) {
            n->block_removed(n, block);
        }
    }
}

/* Names it, places it, lists it, tells of it. On failure the block is untouched. */
static bool block_register(RAMBlock *block, GError **error)
{
    MemorySystem *ms = block->ms;
    bool done = false;

    memory_system_lock(ms);
    if (ram_list_find_named(ms->ram, block->idstr)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_EXISTS,
                    "there is a RAM block '%s' already: choose another name", block->idstr);
    } else if (!ram_list_place(ms->ram, block->max_length, &block->offset)) {
        g_autofree char *text = size_format(block->max_length);

        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "RAM block '%s' of %s does not fit in the 64-bit space of all RAM blocks",
                    block->idstr, text);
    } else {
        block->named = true;
        ram_list_insert(ms->ram, block);
        notify_added(ms, block);
        done = true;
    }
    memory_system_unlock(ms);
    return done;
}

static RAMBlock *block_new(MemorySystem *ms, const char *idstr, const HostMemory *mem,
                           uint64_t used, uint64_t max, unsigned flags, GError **error)
{
    RAMBlock *block = g_new0(RAMBlock, 1);

    atomic_init(&block->refs, 1);
    atomic_init(&block->used_length, used);
    block->ms = ms;
    block->idstr = g_strdup(idstr);
    block->mem = *mem;
    block->max_length = max;
    block->flags = flags;
    if (!block_register(block, error)) {
        g_free(block->idstr);
        g_free(block);
        return NULL;
    }
    return block;
}

RAMBlock *ram_block_new_from_mapping(MemorySystem *ms, const char *idstr, uint64_t size,
                                     HostMemory *mem, unsigned flags, GError **error)
{
    uint64_t used = round_up(size, mem->page_size);
    RAMBlock *block;

    g_assert(size > 0 && size <= mem->size && used <= mem->accessible);
    flags |= (mem->shared ? RAM_SHARED : 0) | (mem->noreserve ? RAM_NORESERVE : 0) |
             (mem->readonly ? RAM_READONLY : 0) | (used < mem->size ? RAM_RESIZABLE : 0);
    block = block_new(ms, idstr, mem, used, mem->size, flags, error);
    if (block) {
        *mem = (HostMemory){ .fd = -1 };
    }
    return block;
}

static bool check_sizes(const char *idstr, uint64_t size, uint64_t max_size, GError **error)
{
    if (size == 0 || (max_size != 0 && max_size < size)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "RAM block '%s': size %" PRIu64 " must be 1 or more%s", idstr, size,
                    size == 0 ? "" : " and not above the maximum size");
        return false;
    }
    return true;
}

RAMBlock *ram_block_new_from_fd(MemorySystem *ms, const char *idstr, uint64_t size,
                                uint64_t max_size, int fd, uint64_t fd_offset, unsigned flags,
                                GError **error)
{
    HostMemorySpec spec = {
        .size = max_size ? max_size : size,
        .usable = size,
        .fd = fd,
        .fd_offset = fd_offset,
        .shared = flags & RAM_SHARED,
        .readonly = flags & RAM_READONLY,
        .noreserve = flags & RAM_NORESERVE,
    };
    HostMemory mem;
    RAMBlock *block;

    if (!check_sizes(idstr, size, max_size, error)) {
        return NULL;
    }
    if (!host_memory_map(&mem, &spec, error)) {
        g_prefix_error(error, "RAM block '%s': ", idstr);
        return NULL;
    }
    block = ram_block_new_from_mapping(ms, idstr, size, &mem, max_size ? RAM_RESIZABLE : 0, error);
    if (!block) {
        mem.fd = -1; /* stays the caller's */
        host_memory_unmap(&mem);
    }
    return block;
}

RAMBlock *ram_block_new(MemorySystem *ms, const char *idstr, uint64_t size, uint64_t max_size,
                        unsigned flags, GError **error)
{
    int fd = -1;
    RAMBlock *block;

    if (!check_sizes(idstr, size, max_size, error)) {
        return NULL;
    }
    if (flags & RAM_SHARED) {
        /* A file, so that the memory can be handed to other processes. */
        uint64_t mapped = round_up(max_size ? max_size : size, host_page_size());

        fd = host_memfd_new(idstr, mapped, 0, true, error);
        if (fd < 0) {
            g_prefix_error(error, "RAM block '%s': ", idstr);
            return NULL;
        }
    }
    block = ram_block_new_from_fd(ms, idstr, size, max_size, fd, 0,
                                  flags & (RAM_SHARED | RAM_NORESERVE), error);
    if (!block && fd >= 0) {
        close(fd);
    }
    return block;
}

RAMBlock *ram_block_new_from_ptr(MemorySystem *ms, const char *idstr, uint64_t size, void *host,
                                 GError **error)
{
    HostMemory mem = { .host = host, .size = size, .page_size = host_page_size(), .fd = -1 };

    if (!check_sizes(idstr, size, 0, error)) {
        return NULL;
    }
    return block_new(ms, idstr, &mem, size, size, RAM_FOREIGN, error);
}

RAMBlock *ram_block_ref(RAMBlock *block)
{
    if (block) {
        unsigned before = atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);

        g_assert(before > 0);
    }
    return block;
}

bool ram_block_try_ref(RAMBlock *block)
{
    unsigned refs = atomic_load_explicit(&block->refs, memory_order_relaxed);

    while (refs > 0) {
        if (atomic_compare_exchange_weak_explicit(&block->refs, &refs, refs + 1,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

/*
 * The last reference is dropped under the machine lock only: whoever finds a block in the list with
 * that lock held may take a reference.
 */
void ram_block_unref(RAMBlock *block)
{
    MemorySystem *ms;
    unsigned refs;

    if (!block) {
        return;
    }
    refs = atomic_load_explicit(&block->refs, memory_order_relaxed);
    while (refs > 1) {
        if (atomic_compare_exchange_weak_explicit(&block->refs, &refs, refs - 1,
                                                  memory_order_release, memory_order_relaxed)) {
            return;
        }
    }
    ms = block->ms;
    memory_system_lock(ms);
    refs = atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel);
    g_assert(refs > 0);
    if (refs == 1) {
        ram_list_remove(ms->ram, block);
        notify_removed(ms, block);
        if (!(block->flags & RAM_FOREIGN)) {
            ram_list_leave(ms->ram, block); /* mapped, and to be accounted for, until then */
        }
        rcu_defer(&block->rcu, block_free_deferred);
    }
    memory_system_unlock(ms);
}

void ram_block_release_name(RAMBlock *block)
{
    memory_system_lock(block->ms);
    block->named = false;
    memory_system_unlock(block->ms);
}

void ram_block_avoid_huge_pages(RAMBlock *block, uint64_t block_off, uint64_t len)
{
    if (block_off < block->mem.size) {
        host_memory_avoid_huge_pages(&block->mem, block_off, MIN(len, block->mem.size - block_off));
    }
}

static bool check_resize(RAMBlock *block, uint64_t new_size, uint64_t rounded, GError **error)
{
    if (!(block->flags & RAM_RESIZABLE) && rounded != ram_block_used_length(block)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "RAM block '%s' cannot be resized: it was made with a fixed size of %" PRIu64,
                    block->idstr, ram_block_used_length(block));
        return false;
    }
    if (new_size == 0 || new_size > block->max_length) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "RAM block '%s' cannot have %" PRIu64 " bytes: allowed are 1 to %" PRIu64,
                    block->idstr, new_size, block->max_length);
        return false;
    }
    return true;
}

bool ram_block_resize(RAMBlock *block, uint64_t new_size, GError **error)
{
    uint64_t rounded = round_up(new_size, block->mem.page_size);
    MemorySystem *ms = block->ms;
    uint64_t old_size;
    bool done;

    memory_system_lock(ms);
    old_size = ram_block_used_length(block);
    done = check_resize(block, new_size, rounded, error);
    if (done && rounded > old_size && !host_memory_make_accessible(&block->mem, rounded, error)) {
        g_prefix_error(error, "RAM block '%s': ", block->idstr);
        done = false;
    }
    if (done && rounded != old_size) {
        g_autoptr(GPtrArray) notifiers = ram_list_notifiers(ms->ram);

        atomic_store_explicit(&block->used_length, rounded, memory_order_release);
        for (guint i = 0; i < notifiers->len; i++) {
            RAMBlockNotifier *n = notifiers->pdata[i];

            if (n->block_resized) {
                n->block_resized(n, block, old_size);
            }
        }
    }
    memory_system_unlock(ms);
    return done;
}

const char *ram_block_idstr(const RAMBlock *block)
{
    return block->idstr;
}

void *ram_block_host(const RAMBlock *block)
{
    return block->mem.host;
}

ram_addr_t ram_block_offset(const RAMBlock *block)
{
    return block->offset;
}

uint64_t ram_block_used_length(const RAMBlock *block)
{
    return atomic_load_explicit(&block->used_length, memory_order_acquire);
}

uint64_t ram_block_max_length(const RAMBlock *block)
{
    return block->max_length;
}

size_t ram_block_page_size(const RAMBlock *block)
{
    return block->mem.page_size;
}

unsigned ram_block_flags(const RAMBlock *block)
{
    return block->flags;
}

int ram_block_fd(const RAMBlock *block)
{
    return block->mem.fd;
}

uint64_t ram_block_fd_offset(const RAMBlock *block)
{
    return block->mem.fd_offset;
}

bool ram_block_discard(RAMBlock *block, uint64_t block_off, uint64_t len, GError **error)
{
    if (block->flags & (RAM_FOREIGN | RAM_READONLY)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "RAM block '%s': memory that is read-only or belongs to somebody else is not "
                    "discarded",
                    block->idstr);
        return false;
    }
    if (!host_memory_discard(&block->mem, block_off, len, error)) {
        g_prefix_error(error, "RAM block '%s': ", block->idstr);
        return false;
    }
    return true;
}

RAMBlock *ram_block_from_host(MemorySystem *ms, const void *host, uint64_t *ret_block_off)
{
    RAMBlock *block = ram_list_find_host(ms->ram, (uintptr_t)host);

    if (block && ret_block_off) {
        *ret_block_off = (uintptr_t)host - (uintptr_t)block->mem.host;
    }
    return block;
}

RAMBlock *ram_block_from_ram_addr(MemorySystem *ms, ram_addr_t addr, uint64_t *ret_block_off)
{
    RAMBlock *block = ram_list_find_ram_addr(ms->ram, addr);

    if (block && ret_block_off) {
        *ret_block_off = addr - block->offset;
    }
    return block;
}

RAMBlock *ram_block_find(MemorySystem *ms, const char *idstr)
{
    g_assert(memory_system_is_locked(ms));
    return ram_list_find_named(ms->ram, idstr);
}

void ram_block_for_each(MemorySystem *ms, void (*fn)(RAMBlock *block, void *opaque), void *opaque)
{
    g_autoptr(GPtrArray) blocks = NULL;

    g_assert(memory_system_is_locked(ms));
    blocks = ram_list_blocks(ms->ram);
    for (guint i = 0; i < blocks->len; i++) {
        fn(blocks->pdata[i], opaque);
    }
}

void ram_block_mark_dirty(RAMBlock *block, uint64_t block_off, uint64_t len)
{
    if (len != 0) {
        ram_list_dirty(block->ms->ram, block, block_off, len);
    }
}

void ram_block_notifier_add(MemorySystem *ms, RAMBlockNotifier *n)
{
    g_autoptr(GPtrArray) blocks = NULL;

    memory_system_lock(ms);
    ram_list_notifier_insert(ms->ram, n);
    blocks = ram_list_blocks(ms->ram);
    for (guint i = 0; n->block_added && i < blocks->len; i++) {
        n->block_added(n, blocks->pdata[i]);
    }
    memory_system_unlock(ms);
}

void ram_block_notifier_remove(MemorySystem *ms, RAMBlockNotifier *n)
{
    memory_system_lock(ms);
    ram_list_notifier_remove(ms->ram, n);
    memory_system_unlock(ms);
}
