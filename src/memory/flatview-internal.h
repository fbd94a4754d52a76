/* SPDX-License-Identifier: MIT */
/* FlatView: the sorted, non-overlapping tiles of an address space, immutable once published. */
#ifndef TESSERA_MEMORY_FLATVIEW_INTERNAL_H
#define TESSERA_MEMORY_FLATVIEW_INTERNAL_H

#include <glib.h>
#include "tessera/memory/section.h"
#include "tessera/memory/types.h"
#include "tessera/util/range.h"
#include "tessera/util/rcu.h"

typedef struct Dispatch Dispatch;
typedef struct SectionTable SectionTable;

/**
 * struct FlatRange - one tile with uniform attributes
 * @start, @last: first and last address, inclusive (a tile may end at 2^64 - 1)
 * @offset_in_region: bytes into @mr at @start
 * @section_id: the dispatch's name for this tile: equal tiles of successive views carry the same
 *      id; SECTION_ID_NONE until the view is prepared for publishing
 */
typedef struct FlatRange {
    MemoryRegion *mr;
    hwaddr start;
    hwaddr last;
    hwaddr offset_in_region;
    uint32_t section_id;
    uint8_t dirty_log_mask;
    bool readonly;
    bool romd_mode;
    bool nonvolatile;
} FlatRange;

#define SECTION_ID_NONE       UINT32_MAX
#define SECTION_ID_UNASSIGNED 0u /* every dispatch's answer where no tile lies */

/*
 * The ranges live in reference-counted chunks, so that the next view can share the chunks that did
 * not change. Users walk them with an iterator or look one up; nobody sees an array.
 */
struct FlatView {
    _Atomic unsigned refs;
    uint64_t generation;
    Dispatch *dispatch;
    MemorySystem *ms;
    MemoryRegion *root;
    GPtrArray *chunks; /* FlatChunk *, none of them empty */
    uint64_t count;
};

/** flatview_new() - an empty view of @root (a reference is taken; NULL: shows nothing ever) */
FlatView *flatview_new(MemorySystem *ms, MemoryRegion *root);
FlatView *flatview_ref(FlatView *view);
/**
 * flatview_unref() - the last reference frees at once; a published view is dropped by
 * flatview_retire()
 *
 * Freeing gives back the section ids that no other view carries and drops the regions, so their
 * owners' finalizers may run here. NULL is allowed. Context: any thread
 */
void flatview_unref(FlatView *view);
/**
 * flatview_retire() - drops a reference after a grace period
 *
 * MemorySystem.views_pending counts those that wait; see memory-system.c for its bound.
 */
void flatview_retire(FlatView *view);

/** flatview_append() - adds @fr behind all others (asserted); takes a reference on its region */
void flatview_append(FlatView *view, const FlatRange *fr);

/**
 * flatview_simplify() - merges neighbours where region, attributes and offset run on
 *
 * Before section ids are given, on a view that shares no chunk (both asserted).
 */
void flatview_simplify(FlatView *view);

/** flat_range_same_tile() - same addresses, region, offset and attributes; dirty-log mask aside */
bool flat_range_same_tile(const FlatRange *a, const FlatRange *b);

uint64_t flatview_count(const FlatView *view);
uint64_t flatview_generation(const FlatView *view); /* never reused in the process */
MemoryRegion *flatview_root(const FlatView *view);
size_t flatview_memory_bytes(const FlatView *view); /* of the ranges, without the dispatch */

/** flatview_find() - the tile that holds @addr, or NULL */
const FlatRange *flatview_find(const FlatView *view, hwaddr addr);
/** flatview_find_from() - the first tile that ends at or after @addr, or NULL */
const FlatRange *flatview_find_from(const FlatView *view, hwaddr addr);

typedef struct FlatViewIter {
    const FlatView *view;
    uint32_t chunk;
    uint32_t index;
} FlatViewIter;

void flatview_iter_init(FlatViewIter *it, const FlatView *view);
/**
 * flatview_iter_next() - the next tile by address, NULL behind the last; changed before publishing
 * only
 */
FlatRange *flatview_iter_next(FlatViewIter *it);

/** flatview_dispatch() - the radix of a view that was prepared for publishing, else NULL */
static inline Dispatch *flatview_dispatch(const FlatView *view)
{
    return view->dispatch;
}
/** flatview_set_dispatch() - @view owns @dispatch from now on (dispatch_free() at its end) */
void flatview_set_dispatch(FlatView *view, Dispatch *dispatch);

/**
 * flatview_adopt_sections() - gives every tile of @view a section id: the one that an equal tile of
 * @old (may be NULL) has, else a new one. Machine lock.
 */
void flatview_adopt_sections(FlatView *view, const FlatView *old);

/** memory_region_section_from_range() - as listeners see a tile */
MemoryRegionSection memory_region_section_from_range(AddressSpace *as, const FlatRange *fr);

#endif
