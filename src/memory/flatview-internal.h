/* SPDX-License-Identifier: MIT */
/* FlatView: the sorted, non-overlapping tiles of an address space, immutable once published. */
#ifndef TESSERA_MEMORY_FLATVIEW_INTERNAL_H
#define TESSERA_MEMORY_FLATVIEW_INTERNAL_H

#include <glib.h>
#include "flat-tree-internal.h"
#include "lineage-internal.h"
#include "tessera/memory/section.h"
#include "tessera/memory/types.h"
#include "tessera/util/range.h"
#include "tessera/util/rcu.h"

typedef struct Dispatch Dispatch;

/*
 * What readers use stands first, on one cache line. Users walk the tiles with an iterator or look
 * one up; nobody sees an array. The next view begins as a copy, which shares all tiles, and
 * replaces those that changed before it is published.
 */
struct FlatView {
    _Atomic unsigned refs;
    uint64_t generation;
    Dispatch *dispatch;
    MemorySystem *ms;
    MemoryRegion *root;
    FlatNode *tiles;
    uint64_t count;
    Version version; /* its number is the generation */
};

/** flatview_new() - an empty view of @root (a reference is taken; NULL: shows nothing ever) */
FlatView *flatview_new(MemorySystem *ms, MemoryRegion *root);
/**
 * flatview_copy() - the next view of a lineage, for @root: shows what @old shows, without a dispatch
 *
 * NULL: @old has a successor already. The dispatch is made from that of @old. Machine lock
 */
FlatView *flatview_copy(FlatView *old, MemoryRegion *root);
FlatView *flatview_ref(FlatView *view);
/**
 * flatview_unref() - the last reference frees at once; a published view is dropped by
 * flatview_retire()
 *
 * Freeing drops what no other view has, section ids and with them regions, too, so that owners'
 * finalizers may run here. NULL is allowed. Context: any thread
 */
void flatview_unref(FlatView *view);
/**
 * flatview_retire() - drops a reference after a grace period
 *
 * MemorySystem.views_pending counts those that wait; see memory-system.c for its bound.
 */
void flatview_retire(FlatView *view);

/**
 * flatview_fill() - puts @ranges (see flat_ranges_append()) into an empty view, each with the
 * section id of the equal tile of @old (may be NULL), or with a new one. Machine lock, before
 * publishing
 */
void flatview_fill(FlatView *view, GArray *ranges, const FlatView *old);
/**
 * flatview_replace() - makes @view show @ranges in @window (within [0, 2^64), not empty), and
 * elsewhere what it did
 * @spans: an AddrRange is appended if that changes a tile: whole tiles before and after it
 *
 * What runs on over the edges of the window becomes one tile; what does so no longer is cut. A tile
 * that is the same afterwards keeps its section id. Machine lock, before publishing
 */
void flatview_replace(FlatView *view, AddrRange window, const GArray *ranges, GArray *spans);

uint64_t flatview_count(const FlatView *view);
uint64_t flatview_generation(const FlatView *view); /* never reused in the process */
MemoryRegion *flatview_root(const FlatView *view);
size_t flatview_memory_bytes(const FlatView *view); /* of the ranges, without the dispatch */

/** flatview_find() - the tile that holds @addr, or NULL. Machine lock: it uses fingers */
const FlatRange *flatview_find(const FlatView *view, hwaddr addr);
/** flatview_find_from() - the first tile that ends at or after @addr, or NULL. For readers, too */
const FlatRange *flatview_find_from(const FlatView *view, hwaddr addr);
/** flatview_find_before() - the last tile that ends below @addr, or NULL */
const FlatRange *flatview_find_before(const FlatView *view, hwaddr addr);

/* Machine lock, as for flatview_find(). */
typedef struct FlatViewIter {
    const FlatView *view;
    const FlatRange *next; /* NULL: behind the last */
    uint32_t left;         /* tiles behind @next that follow it in memory */
} FlatViewIter;

void flatview_iter_init(FlatViewIter *it, const FlatView *view);
/** flatview_iter_init_at() - begins at the first tile that ends at or after @addr */
void flatview_iter_init_at(FlatViewIter *it, const FlatView *view, hwaddr addr);
/** flatview_iter_next() - the next tile by address, NULL behind the last */
const FlatRange *flatview_iter_next(FlatViewIter *it);

/** flatview_dispatch() - the radix of a view that was prepared for publishing, else NULL */
static inline Dispatch *flatview_dispatch(const FlatView *view)
{
    return view->dispatch;
}
/** flatview_set_dispatch() - @view owns @dispatch from now on (dispatch_free() at its end) */
void flatview_set_dispatch(FlatView *view, Dispatch *dispatch);

/*
 * Where the owner of the machine lock searched last, in one of few views: a commit asks for the same
 * place in the old view and in the new one a dozen times.
 */
typedef struct FlatViewFinger {
    uint64_t generation; /* of the view; 0: none */
    FlatFinger finger;
} FlatViewFinger;

#define FLATVIEW_FINGERS 4u /* a power of two; a view's is chosen by its generation */

/** memory_region_section_from_range() - as listeners see a tile */
MemoryRegionSection memory_region_section_from_range(AddressSpace *as, const FlatRange *fr);

#endif
