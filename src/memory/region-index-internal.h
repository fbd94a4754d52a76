/* SPDX-License-Identifier: MIT */
/* RegionIndex: who lies where in a container, and which aliases show what of a target. */
#ifndef TESSERA_MEMORY_REGION_INDEX_INTERNAL_H
#define TESSERA_MEMORY_REGION_INDEX_INTERNAL_H

#include "memory-internal.h"

/* Everything here is called under the machine lock. */

/*
 * RegionIndex: regions ordered by the place where they begin, as a B+ tree whose nodes know the
 * highest end of an enabled region below them. Two uses: a container's children, by their address
 * in it; a target's aliases, by the offset in it that they show.
 *
 * A region is taken out before its place or size changes and put back afterwards. When it is
 * enabled or disabled the index is told by region_index_refresh(). Priority and order may change
 * as they like: who wins is asked when it matters (region_beats()).
 */
typedef enum RegionIndexKey { REGION_INDEX_CHILDREN, REGION_INDEX_ALIASES } RegionIndexKey;

RegionIndex *region_index_new(RegionIndexKey key);
void region_index_free(RegionIndex *index); /* NULL is allowed; regions are not touched */
void region_index_insert(RegionIndex *index, MemoryRegion *mr);
void region_index_remove(RegionIndex *index, MemoryRegion *mr); /* must be in it */
/** region_index_refresh() - @mr, which is in it, has been enabled or disabled */
void region_index_refresh(RegionIndex *index, MemoryRegion *mr);
uint32_t region_index_count(const RegionIndex *index); /* disabled ones included. NULL: 0 */

/** RegionVisitor - false ends the visit */
typedef bool RegionVisitor(MemoryRegion *mr, void *opaque);
/**
 * region_index_visit() - calls @fn for the enabled regions that intersect @window (in the container
 * or the target), by increasing place
 *
 * Costs O(log n) for each one found, however many others there are. @index may be NULL.
 */
void region_index_visit(RegionIndex *index, AddrRange window, RegionVisitor *fn, void *opaque);
/** region_index_query() - the same: appends them to @found */
void region_index_query(RegionIndex *index, AddrRange window, GPtrArray *found);
/** region_index_all() - every region, disabled ones too, by increasing place; free the array */
GPtrArray *region_index_all(const RegionIndex *index);
/** region_index_visits() - entries that visits and queries have looked at: for tests of the cost */
uint64_t region_index_visits(const RegionIndex *index);

/** region_beats() - does @a win over its sibling @b where they overlap? */
bool region_beats(const MemoryRegion *a, const MemoryRegion *b);
/** region_children_in_order() - children in winning order, first wins; free the array */
GPtrArray *region_children_in_order(const MemoryRegion *mr);

#endif
