/* SPDX-License-Identifier: MIT */
/* FlatView: chunks of sorted tiles, looked up by binary search, walked by an iterator. */
#include "flatview-internal.h"

#include <glib.h>
#include "memory-internal.h"

/*
 * A view is an array of pointers to chunks; a chunk holds up to FLAT_CHUNK_RANGES tiles, and for
 * each of them one reference on its region and one count of its section id. A chunk is immutable
 * once its view is published, so a later view may hold the same chunk: what both show costs
 * nothing.
 */
#define FLAT_CHUNK_RANGES 64u

typedef struct FlatChunk {
    _Atomic unsigned refs;
    uint32_t count;
    FlatRange ranges[FLAT_CHUNK_RANGES];
} FlatChunk;

/* A reference on its way out: a view shared by several spaces may be retired more than once. */
typedef struct RetiredView {
    RcuHead rcu;
    FlatView *view;
} RetiredView;

static FlatChunk *flat_chunk_new(void)
{
    FlatChunk *chunk = g_new(FlatChunk, 1);

    atomic_init(&chunk->refs, 1);
    chunk->count = 0;
    return chunk;
}

static void flat_chunk_unref(MemorySystem *ms, FlatChunk *chunk)
{
    if (atomic_fetch_sub_explicit(&chunk->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    for (uint32_t i = 0; i < chunk->count; i++) {
        if (chunk->ranges[i].section_id != SECTION_ID_NONE) {
            section_table_remove(ms->sections, chunk->ranges[i].section_id);
        }
        memory_region_unref(chunk->ranges[i].mr);
    }
    g_free(chunk);
}

static FlatChunk *flatview_chunk(const FlatView *view, uint32_t i)
{
    return g_ptr_array_index(view->chunks, i);
}

/*
 * Process-wide, because a thread's cache of its last lookup is, too: with a counter for each system
 * a generation of one would name a view of the other.
 */
static uint64_t next_generation(void)
{
    static _Atomic uint64_t generation;

    return atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed) + 1;
}

FlatView *flatview_new(MemorySystem *ms, MemoryRegion *root)
{
    FlatView *view = g_new0(FlatView, 1);

    atomic_init(&view->refs, 1);
    view->generation = next_generation();
    view->ms = ms;
    view->root = root ? memory_region_ref(root) : NULL;
    view->chunks = g_ptr_array_new();
    return view;
}

FlatView *flatview_ref(FlatView *view)
{
    atomic_fetch_add_explicit(&view->refs, 1, memory_order_relaxed);
    return view;
}

void flatview_unref(FlatView *view)
{
    if (!view || atomic_fetch_sub_explicit(&view->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    if (view->dispatch) {
        dispatch_free(view->dispatch);
    }
    for (uint32_t i = 0; i < view->chunks->len; i++) {
        flat_chunk_unref(view->ms, flatview_chunk(view, i));
    }
    g_ptr_array_free(view->chunks, TRUE);
    if (view->root) {
        memory_region_unref(view->root);
    }
    g_free(view);
}

static void retired_view_drop(RcuHead *head)
{
    RetiredView *retired = (RetiredView *)head; /* first member */
    MemorySystem *ms = retired->view->ms;

    flatview_unref(retired->view);
    g_free(retired);
    /* Last: memory_system_free() may go on as soon as none is pending. */
    atomic_fetch_sub_explicit(&ms->views_pending, 1, memory_order_release);
}

void flatview_retire(FlatView *view)
{
    RetiredView *retired = g_new(RetiredView, 1);

    retired->view = view;
    atomic_fetch_add_explicit(&view->ms->views_pending, 1, memory_order_relaxed);
    rcu_defer(&retired->rcu, retired_view_drop);
}

static FlatRange *flatview_last_range(const FlatView *view)
{
    FlatChunk *chunk;

    if (view->chunks->len == 0) {
        return NULL;
    }
    chunk = flatview_chunk(view, view->chunks->len - 1);
    return &chunk->ranges[chunk->count - 1];
}

/* Appends without taking a reference on the region. */
static void flatview_push(FlatView *view, const FlatRange *fr)
{
    FlatChunk *chunk = NULL;

    if (view->chunks->len) {
        chunk = flatview_chunk(view, view->chunks->len - 1);
    }
    if (!chunk || chunk->count == FLAT_CHUNK_RANGES) {
        chunk = flat_chunk_new();
        g_ptr_array_add(view->chunks, chunk);
    }
    chunk->ranges[chunk->count++] = *fr;
    view->count++;
}

void flatview_append(FlatView *view, const FlatRange *fr)
{
    const FlatRange *prev = flatview_last_range(view);

    g_assert(fr->start <= fr->last);
    g_assert(!prev || prev->last < fr->start);
    memory_region_ref(fr->mr);
    flatview_push(view, fr);
}

static bool flat_range_same_attributes(const FlatRange *a, const FlatRange *b)
{
    return a->mr == b->mr && a->readonly == b->readonly && a->romd_mode == b->romd_mode &&
           a->nonvolatile == b->nonvolatile;
}

bool flat_range_same_tile(const FlatRange *a, const FlatRange *b)
{
    return a->start == b->start && a->last == b->last &&
           a->offset_in_region == b->offset_in_region && flat_range_same_attributes(a, b);
}

static bool flat_range_runs_on(const FlatRange *a, const FlatRange *b)
{
    hwaddr length = b->start - a->start; /* of @a, when @b follows it */

    return a->last + 1 == b->start && b->start != 0 && flat_range_same_attributes(a, b) &&
           a->dirty_log_mask == b->dirty_log_mask &&
           a->offset_in_region + length == b->offset_in_region;
}

void flatview_simplify(FlatView *view)
{
    g_autoptr(GPtrArray) old = view->chunks;

    view->chunks = g_ptr_array_sized_new(old->len);
    view->count = 0;
    for (uint32_t c = 0; c < old->len; c++) {
        FlatChunk *chunk = g_ptr_array_index(old, c);

        g_assert(atomic_load_explicit(&chunk->refs, memory_order_relaxed) == 1);
        for (uint32_t i = 0; i < chunk->count; i++) {
            FlatRange *fr = &chunk->ranges[i];
            FlatRange *prev = flatview_last_range(view);

            g_assert(fr->section_id == SECTION_ID_NONE);
            if (prev && flat_range_runs_on(prev, fr)) {
                prev->last = fr->last;
                memory_region_unref(fr->mr); /* @prev holds it: never the last one */
            } else {
                flatview_push(view, fr);
            }
        }
        g_free(chunk); /* its references have moved */
    }
}

uint64_t flatview_count(const FlatView *view)
{
    return view->count;
}

uint64_t flatview_generation(const FlatView *view)
{
    return view->generation;
}

MemoryRegion *flatview_root(const FlatView *view)
{
    return view->root;
}

size_t flatview_memory_bytes(const FlatView *view)
{
    return sizeof(*view) + view->chunks->len * (sizeof(FlatChunk) + sizeof(gpointer));
}

const FlatRange *flatview_find_from(const FlatView *view, hwaddr addr)
{
    uint32_t lo = 0, hi = view->chunks->len;
    const FlatChunk *chunk;

    while (lo < hi) { /* first chunk whose last tile ends at or after @addr */
        uint32_t mid = lo + (hi - lo) / 2;

        chunk = flatview_chunk(view, mid);
        if (chunk->ranges[chunk->count - 1].last < addr) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    if (lo == view->chunks->len) {
        return NULL;
    }
    chunk = flatview_chunk(view, lo);
    lo = 0;
    hi = chunk->count - 1;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (chunk->ranges[mid].last < addr) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return &chunk->ranges[lo];
}

const FlatRange *flatview_find(const FlatView *view, hwaddr addr)
{
    const FlatRange *fr = flatview_find_from(view, addr);

    return fr && fr->start <= addr ? fr : NULL;
}

void flatview_iter_init(FlatViewIter *it, const FlatView *view)
{
    *it = (FlatViewIter){ .view = view };
}

FlatRange *flatview_iter_next(FlatViewIter *it)
{
    FlatChunk *chunk;

    if (it->chunk == it->view->chunks->len) {
        return NULL;
    }
    chunk = flatview_chunk(it->view, it->chunk);
    if (it->index + 1 == chunk->count) {
        uint32_t index = it->index;

        it->chunk++;
        it->index = 0;
        return &chunk->ranges[index];
    }
    return &chunk->ranges[it->index++];
}

void flatview_set_dispatch(FlatView *view, Dispatch *dispatch)
{
    g_assert(!view->dispatch);
    view->dispatch = dispatch;
}

void flatview_adopt_sections(FlatView *view, const FlatView *old)
{
    FlatViewIter it, old_it = { 0 };
    FlatRange *fr;
    const FlatRange *was = NULL;

    if (old) {
        flatview_iter_init(&old_it, old);
        was = flatview_iter_next(&old_it);
    }
    flatview_iter_init(&it, view);
    while ((fr = flatview_iter_next(&it))) {
        while (was && was->start < fr->start) {
            was = flatview_iter_next(&old_it);
        }
        if (was && flat_range_same_tile(was, fr) && was->dirty_log_mask == fr->dirty_log_mask) {
            fr->section_id = was->section_id;
            section_table_ref(view->ms->sections, fr->section_id);
        } else {
            fr->section_id = section_table_add(view->ms->sections, fr);
        }
    }
}

MemoryRegionSection memory_region_section_from_range(AddressSpace *as, const FlatRange *fr)
{
    return (MemoryRegionSection){
        .mr = fr->mr,
        .as = as,
        .offset_within_region = fr->offset_in_region,
        .offset_within_address_space = fr->start,
        .size = (Int128)fr->last - fr->start + 1,
        .readonly = fr->readonly,
        .romd_mode = fr->romd_mode,
        .nonvolatile = fr->nonvolatile,
        .dirty_log_mask = fr->dirty_log_mask,
    };
}
