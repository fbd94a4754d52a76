/* SPDX-License-Identifier: MIT */
/* How often each region is read and written, and how often guests are left for it. */
#ifndef TESSERA_MEMORY_ACCESS_COUNTERS_H
#define TESSERA_MEMORY_ACCESS_COUNTERS_H

#include <glib.h>
#include "tessera/memory/types.h"

/*
 * A reader that wants to be counted (a vCPU's thread) has a table of its own, with one line for each
 * region that shows something. Only its thread writes there, with plain loads and stores, and no
 * other reader's line lies in the same page: counting takes no lock and shares no cache line.
 * Threads without a table are not counted: the monitor, loaders, timers.
 *
 * What counts is what one region is given in one piece: an access that is cut at tiles or at the
 * region's largest size counts once for each piece; into how many calls of a device's callbacks that is
 * split does not matter; one that the region refuses counts, too. An exit counts where its first
 * piece goes. Whatever a reader's thread accesses counts, also in the handlers that run on it.
 *
 * A region's line is cleared before another region gets it.
 */
typedef struct AccessCounters AccessCounters;

/**
 * struct MemoryAccessCounts - of one region
 * @exits: accesses for which a vCPU left its guest (MemTxAttrs.exit); they are reads or writes, too.
 *      String instructions make several accesses in one exit; a coalesced write needs none
 */
typedef struct MemoryAccessCounts {
    uint64_t reads;
    uint64_t writes;
    uint64_t exits;
} MemoryAccessCounts;

/**
 * access_counters_new() - a table for one reader, in which nothing has been counted
 * @name: who reads, for people: "vcpu0"; copied
 *
 * Fails where its memory cannot be had. Context: any thread
 */
AccessCounters *access_counters_new(MemorySystem *ms, const char *name, GError **error);
/**
 * access_counters_free() - what was counted there goes with it; no thread uses it any more (NULL is
 * allowed). Before memory_system_free()
 */
void access_counters_free(AccessCounters *counters);

/**
 * access_counters_use() - what this thread accesses from now on is counted in @counters; NULL: nowhere
 *
 * At most one thread uses a table at a time. A thread that accesses another machine's memory is not
 * counted there. Returns: what it used before, NULL: nothing
 */
AccessCounters *access_counters_use(AccessCounters *counters);

/**
 * memory_region_access_counts() - of all readers together
 *
 * Returns: false, and all zero, for what is never accessed itself (containers and aliases) and for a
 * region for which there was no memory to count in. Context: any thread that holds a reference
 */
bool memory_region_access_counts(const MemoryRegion *mr, MemoryAccessCounts *ret_sum);
/**
 * memory_region_for_each_reader() - those that have accessed @mr, in the order they were made
 * @fn: called under a leaf lock: it asks nothing of this header
 */
void memory_region_for_each_reader(const MemoryRegion *mr,
                                   void (*fn)(const char *name, const MemoryAccessCounts *counts,
                                              void *opaque),
                                   void *opaque);
/** memory_system_unassigned_counts() - accesses where nothing answers. Context: any thread */
void memory_system_unassigned_counts(MemorySystem *ms, MemoryAccessCounts *ret_sum);

#endif
