/* SPDX-License-Identifier: MIT */
/* What the files of the access path share. */
#ifndef TESSERA_MEMORY_ACCESS_INTERNAL_H
#define TESSERA_MEMORY_ACCESS_INTERNAL_H

#include <glib.h>
#include <string.h>
#include "memory-internal.h"

/*
 * access-size.c: how an access to an I/O region is cut, checked and handed to its callbacks. Bytes
 * travel in address order; the region's endianness turns them into values and back.
 */

/** memory_is_single_access() - could one instruction make an access of @len bytes? */
static inline bool memory_is_single_access(uint64_t len)
{
    return len <= 8 && len != 0 && (len & (len - 1)) == 0;
}

/**
 * memory_io_access_size() - bytes of the next access to @ops at @offset when @len are left
 * @single: the request is one instruction's (see memory_is_single_access()): it is never realigned
 *
 * Returns: 1, 2, 4 or 8, at most @len and at most the region's maximum.
 */
unsigned memory_io_access_size(const MemoryRegionOps *ops, hwaddr offset, uint64_t len,
                               bool single);

/**
 * memory_io_know_sizes() - which accesses to the new region @mr need no look at its rules
 *
 * Those that are allowed whatever the device says, aligned, and neither split nor widened: nearly all
 * that a guest makes. Context: before anybody else knows @mr
 */
void memory_io_know_sizes(MemoryRegion *mr);

/** memory_io_accepts() - does @mr's @valid allow this access? */
bool memory_io_accepts(const MemoryRegion *mr, hwaddr offset, unsigned size, bool is_write,
                       MemTxAttrs attrs);

/** memory_io_read() / memory_io_write() - one access of @size bytes (1, 2, 4, 8), checked and split */
MemTxResult memory_io_read(const MemoryRegion *mr, hwaddr offset, uint8_t *buf, unsigned size,
                           MemTxAttrs attrs);
MemTxResult memory_io_write(const MemoryRegion *mr, hwaddr offset, const uint8_t *buf,
                            unsigned size, MemTxAttrs attrs);

/** memory_io_read_whole() / memory_io_write_whole() - the same for a size of @mr->whole_reads, _writes */
MemTxResult memory_io_read_whole(const MemoryRegion *mr, hwaddr offset, uint8_t *buf, unsigned size,
                                 MemTxAttrs attrs);
MemTxResult memory_io_write_whole(const MemoryRegion *mr, hwaddr offset, const uint8_t *buf,
                                  unsigned size, MemTxAttrs attrs);

/*
 * What this thread found lately, one entry for each of a few views (a vCPU goes back and forth
 * between memory and I/O ports). An entry is right as long as the view of its generation is, and a
 * reader only asks for the generation of a view it holds: a stale entry is never followed.
 */
#define RECENT_VIEWS 8u

typedef struct RecentSection {
    uint64_t generation; /* 0: none */
    hwaddr start;
    hwaddr span; /* last - start */
    const DispatchSection *section;
} RecentSection;

extern _Thread_local RecentSection recent_sections[RECENT_VIEWS];

/** memory_access_lookup_slow() - asks the dispatch, and remembers an assigned answer */
const DispatchSection *memory_access_lookup_slow(const Dispatch *dispatch, hwaddr addr);

/**
 * memory_access_lookup() - dispatch_lookup() through this thread's most recently used sections
 *
 * Inside the read section in which @view was loaded.
 */
static inline const DispatchSection *memory_access_lookup(const FlatView *view, hwaddr addr)
{
    const RecentSection *r = &recent_sections[view->generation % RECENT_VIEWS];

    if (G_LIKELY(r->generation == view->generation && addr - r->start <= r->span)) {
        return r->section;
    }
    return memory_access_lookup_slow(view->dispatch, addr);
}

/**
 * memory_access_buffer() - address_space_rw() of what is a buffer, whatever its length: I/O regions
 * are reached with aligned accesses, and each gets its own bytes only
 */
MemTxResult memory_access_buffer(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, void *buf,
                                 uint64_t len, bool is_write);

/* Loads and stores of 1, 2, 4 or 8 bytes are single instructions when they are aligned. */

static inline void copy_from_memory(void *buf, const uint8_t *host, uint64_t len)
{
    if (((uintptr_t)host & (len - 1)) == 0) {
        uint16_t v16;
        uint32_t v32;
        uint64_t v64;

        switch (len) {
        case 1:
            *(uint8_t *)buf = __atomic_load_n(host, __ATOMIC_RELAXED);
            return;
        case 2:
            v16 = __atomic_load_n((const uint16_t *)(const void *)host, __ATOMIC_RELAXED);
            memcpy(buf, &v16, 2);
            return;
        case 4:
            v32 = __atomic_load_n((const uint32_t *)(const void *)host, __ATOMIC_RELAXED);
            memcpy(buf, &v32, 4);
            return;
        case 8:
            v64 = __atomic_load_n((const uint64_t *)(const void *)host, __ATOMIC_RELAXED);
            memcpy(buf, &v64, 8);
            return;
        default:
            break;
        }
    }
    memcpy(buf, host, len);
}

static inline void copy_to_memory(uint8_t *host, const void *buf, uint64_t len)
{
    if (((uintptr_t)host & (len - 1)) == 0) {
        uint16_t v16;
        uint32_t v32;
        uint64_t v64;

        switch (len) {
        case 1:
            __atomic_store_n(host, *(const uint8_t *)buf, __ATOMIC_RELAXED);
            return;
        case 2:
            memcpy(&v16, buf, 2);
            __atomic_store_n((uint16_t *)(void *)host, v16, __ATOMIC_RELAXED);
            return;
        case 4:
            memcpy(&v32, buf, 4);
            __atomic_store_n((uint32_t *)(void *)host, v32, __ATOMIC_RELAXED);
            return;
        case 8:
            memcpy(&v64, buf, 8);
            __atomic_store_n((uint64_t *)(void *)host, v64, __ATOMIC_RELAXED);
            return;
        default:
            break;
        }
    }
    memcpy(host, buf, len);
}

#endif
