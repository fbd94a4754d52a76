/* SPDX-License-Identifier: MIT */
/* What changed in the memory map between two commits of its history. */
#ifndef TESSERA_MEMORY_COMMIT_DIFF_H
#define TESSERA_MEMORY_COMMIT_DIFF_H

#include <glib.h>
#include "tessera/memory/types.h"

/*
 * With each commit the history remembers which tiles of which address space came and went, and what
 * listeners say that they made of them (KVM: memory slots). It keeps names and numbers, no regions.
 * To compare two commits is to add up what those between changed. So the history's bounds are those
 * of what can be compared: MEMORY_COMMIT_HISTORY commits, MEMORY_RECORDS_MAX records in all of them,
 * and MEMORY_RECORDS_COMMIT of one commit; one that changed more is said to be unknown.
 */
#define MEMORY_RECORDS_MAX    1024u
#define MEMORY_RECORDS_COMMIT 256u

typedef enum MemoryLayer {
    MEMORY_LAYER_TILES,
    MEMORY_LAYER_SLOTS, /* what a listener made of tiles */
} MemoryLayer;

/**
 * struct MemoryRecord - a tile, or what a listener made of some, in words and numbers
 * @start, @last: first and last address, inclusive
 * @offset: into the region at @start; 0 where there is no region
 * @region: the region's number, never used again; 0: none
 * @name, @space_name: GRefString
 * @kind: "ram", as memory_region_kind_name(); a constant
 * @space: the address space's number, never used again
 */
typedef struct MemoryRecord {
    hwaddr start;
    hwaddr last;
    hwaddr offset;
    uint64_t region;
    char *name;
    char *space_name;
    const char *kind;
    uint32_t space;
    MemoryLayer layer;
    uint8_t dirty_log_mask;
    bool readonly;
    bool romd_mode;
    bool nonvolatile;
} MemoryRecord;

typedef enum MemoryChangeKind {
    MEMORY_CHANGE_ADDED,   /* only @is counts */
    MEMORY_CHANGE_REMOVED, /* only @was counts */
    MEMORY_CHANGE_MOVED,   /* region, offset, size, attributes are the same, the address is not */
    MEMORY_CHANGE_CHANGED, /* region and place are the same, attributes are not */
} MemoryChangeKind;

typedef struct MemoryChange {
    MemoryChangeKind kind;
    MemoryRecord was;
    MemoryRecord is;
} MemoryChange;

/**
 * memory_system_diff() - what differs between the map after commit @from and that after commit @to
 * @from: as in MemoryCommitRecord.number; 0: before the first, when nothing was there
 * @to: not below @from
 *
 * What happens between two commits (address spaces that are made and end, listeners that come and
 * go) belongs to the first of them; before the first commit, to that. A refused commit changes
 * nothing.
 * Returns: an array of MemoryChange by layer, space and address, the caller's (g_array_unref()).
 * Errors: @to is not there yet; @from is above @to; what one of the commits between changed is not
 * remembered. Each names the commits that can be compared. Context: any thread
 */
GArray *memory_system_diff(MemorySystem *ms, uint64_t from, uint64_t to, GError **error);

/** memory_record_same() - equal in all but @space_name */
bool memory_record_same(const MemoryRecord *a, const MemoryRecord *b);

#endif
