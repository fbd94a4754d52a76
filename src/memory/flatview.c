/* SPDX-License-Identifier: MIT */
/* FlatView: a view's life, its tiles and their section ids, lookup and walk. */
#include "flatview-internal.h"

#include "memory-internal.h"

/* A reference on its way out: a view shared by several spaces may be retired more than once. */
typedef struct RetiredView {
    RcuHead rcu;
    FlatView *view;
} RetiredView;

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
    version_init(&view->version, ms->sections, view->generation);
    return view;
}

FlatView *flatview_copy(FlatView *old, MemoryRegion *root)
{
    FlatView *view = flatview_new(old->ms, root);

    if (!version_follow(&view->version, &old->version)) {
        flatview_unref(view);
        return NULL;
    }
    view->tiles = old->tiles;
    view->count = old->count;
    return view;
}

FlatView *flatview_ref(FlatView *view)
{
    atomic_fetch_add_explicit(&view->refs, 1, memory_order_relaxed);
    return view;
}

/* A PartWalk. */
static void walk_parts(void *owner, uint64_t since, PartVisitor *fn, void *opaque)
{
    FlatView *view = owner;

    if (view->dispatch) {
        dispatch_walk_parts(view->dispatch, since, fn, opaque);
    }
    flat_tree_walk_parts(view->ms->sections, view->tiles, since, fn, opaque);
}

void flatview_unref(FlatView *view)
{
    if (!view || atomic_fetch_sub_explicit(&view->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    version_end(&view->version, walk_parts, view);
    g_free(view->dispatch);
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

/* --- Making the next view --- */

static FlatRange *range_at(const GArray *ranges, guint i)
{
    return &g_array_index(ranges, FlatRange, i);
}

static bool takes_over(FlatRange *fr, const FlatRange *was)
{
    if (!was || !flat_range_equal(was, fr) || was->section_id == SECTION_ID_NONE) {
        return false;
    }
    fr->section_id = was->section_id;
    return true;
}

/*
 * Gives each of @ranges the id of the equal tile among those of @old, a view of another lineage
 * (NULL: none), or a new one.
 */
static void share_sections(FlatView *view, GArray *ranges, const FlatView *old)
{
    SectionTable *table = view->ms->sections;
    const FlatRange *was = NULL;
    FlatViewIter it;

    if (old) {
        flatview_iter_init(&it, old);
        was = flatview_iter_next(&it);
    }
    for (guint i = 0; i < ranges->len; i++) {
        FlatRange *fr = range_at(ranges, i);

        while (was && was->start < fr->start) {
            was = flatview_iter_next(&it);
        }
        if (takes_over(fr, was)) {
            section_table_ref(table, fr->section_id);
        } else {
            fr->section_id = section_table_add(table, fr, view->generation);
        }
    }
}

static void leave_section(FlatView *view, const FlatRange *fr)
{
    Part part = { .ref = fr->section_id, .kind = PART_SECTION };

    if (fr->section_id != SECTION_ID_NONE) {
        part.born = section_table_get(view->ms->sections, fr->section_id)->born;
        version_leave(&view->version, part);
    }
}

/* The same, where @ranges come in the place of @was in the view itself; the other ids leave it. */
static void adopt_sections(FlatView *view, GArray *ranges, const GArray *was)
{
    guint next = 0;

    for (guint i = 0; i < ranges->len; i++) {
        FlatRange *fr = range_at(ranges, i);

        for (; next < was->len && range_at(was, next)->start < fr->start; next++) {
            leave_section(view, range_at(was, next));
        }
        if (next < was->len && takes_over(fr, range_at(was, next))) {
            next++;
        } else {
            fr->section_id = section_table_add(view->ms->sections, fr, view->generation);
        }
    }
    for (; next < was->len; next++) {
        leave_section(view, range_at(was, next));
    }
}

static FlatViewFinger *finger_of(const FlatView *view)
{
    return &view->ms->fingers[view->generation % FLATVIEW_FINGERS];
}

static const FlatRange *find_near(const FlatView *view, hwaddr addr, uint32_t *ret_left)
{
    FlatViewFinger *f = finger_of(view);

    if (f->generation != view->generation) {
        *f = (FlatViewFinger){ .generation = view->generation };
    }
    return flat_tree_find_near(view->tiles, &f->finger, addr, ret_left);
}

/* The tiles of @view in [@first, @last] become @ranges. */
static void put_tiles(FlatView *view, hwaddr first, hwaddr last, const GArray *ranges)
{
    finger_of(view)->generation = 0; /* the leaf may go */
    view->tiles = flat_tree_replace(&view->version, view->tiles, first, last, ranges);
    view->count += ranges->len;
}

void flatview_fill(FlatView *view, GArray *ranges, const FlatView *old)
{
    g_assert(view->count == 0);
    share_sections(view, ranges, old);
    put_tiles(view, 0, UINT64_MAX, ranges);
}

/* Where the tiles lie that reach into @window of @view, or touch it. */
static AddrRange widen_to_tiles(const FlatView *view, AddrRange window)
{
    Int128 start = window.start, end = addr_range_end(window);
    const FlatRange *before = start > 0 ? flatview_find(view, (hwaddr)(start - 1)) : NULL;
    const FlatRange *after = end < INT128_2_64 ? flatview_find(view, (hwaddr)end) : NULL;

    start = before ? before->start : start;
    end = after ? (Int128)after->last + 1 : end;
    return addr_range(start, end - start);
}

static GArray *tiles_in(const FlatView *view, AddrRange range)
{
    GArray *tiles = flat_ranges_new();
    FlatViewIter it;
    const FlatRange *fr;

    flatview_iter_init_at(&it, view, (hwaddr)range.start);
    while ((fr = flatview_iter_next(&it)) && fr->start < addr_range_end(range)) {
        g_array_append_vals(tiles, fr, 1);
    }
    return tiles;
}

/* The part of @fr in [@first, @last], as a tile under construction. */
static FlatRange cut(const FlatRange *fr, hwaddr first, hwaddr last)
{
    FlatRange part = *fr;

    part.start = MAX(fr->start, first);
    part.last = MIN(fr->last, last);
    part.offset_in_region += part.start - fr->start;
    part.section_id = SECTION_ID_NONE;
    return part;
}

/* What stands at @was (in a wider range than @window), with @ranges in the window. */
static GArray *tiles_with(const GArray *was, AddrRange window, const GArray *ranges)
{
    hwaddr first = (hwaddr)window.start, last = (hwaddr)(addr_range_end(window) - 1);
    GArray *tiles = flat_ranges_new();
    FlatRange part;

    if (was->len && range_at(was, 0)->start < first) {
        part = cut(range_at(was, 0), 0, first - 1);
        flat_ranges_append(tiles, &part);
    }
    for (guint i = 0; i < ranges->len; i++) {
        flat_ranges_append(tiles, range_at(ranges, i));
    }
    if (was->len && range_at(was, was->len - 1)->last > last) {
        part = cut(range_at(was, was->len - 1), last + 1, UINT64_MAX);
        flat_ranges_append(tiles, &part);
    }
    return tiles;
}

/* Drops what both lists begin and end with. */
static void trim_equal(GArray *a, GArray *b)
{
    guint n = MIN(a->len, b->len), head = 0, tail = 0;

    while (head < n && flat_range_equal(range_at(a, head), range_at(b, head))) {
        head++;
    }
    while (tail < n - head && flat_range_equal(range_at(a, a->len - 1 - tail),
                                               range_at(b, b->len - 1 - tail))) {
        tail++;
    }
    g_array_set_size(a, a->len - tail);
    g_array_set_size(b, b->len - tail);
    g_array_remove_range(a, 0, head);
    g_array_remove_range(b, 0, head);
}

/* From the first tile of either list to the last; one may be empty. */
static AddrRange span_of(const GArray *a, const GArray *b)
{
    hwaddr first = UINT64_MAX, last = 0;
    const GArray *lists[] = { a, b };

    for (unsigned i = 0; i < 2; i++) {
        if (lists[i]->len) {
            first = MIN(first, range_at(lists[i], 0)->start);
            last = MAX(last, range_at(lists[i], lists[i]->len - 1)->last);
        }
    }
    return addr_range(first, (Int128)last - first + 1);
}

void flatview_replace(FlatView *view, AddrRange window, const GArray *ranges, GArray *spans)
{
    g_autoptr(GArray) was = tiles_in(view, widen_to_tiles(view, window));
    g_autoptr(GArray) is = tiles_with(was, window, ranges);
    AddrRange span;

    trim_equal(was, is);
    if (was->len == 0 && is->len == 0) {
        return;
    }
    span = span_of(was, is);
    adopt_sections(view, is, was);
    view->count -= was->len;
    put_tiles(view, (hwaddr)span.start, (hwaddr)(addr_range_end(span) - 1), is);
    g_array_append_val(spans, span);
}

/* --- Questions --- */

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
    return sizeof(*view) + flat_tree_bytes(view->tiles);
}

const FlatRange *flatview_find_from(const FlatView *view, hwaddr addr)
{
    return flat_tree_find_from(view->tiles, addr, NULL);
}

const FlatRange *flatview_find_before(const FlatView *view, hwaddr addr)
{
    return flat_tree_find_before(view->tiles, addr);
}

const FlatRange *flatview_find(const FlatView *view, hwaddr addr)
{
    const FlatRange *fr = find_near(view, addr, NULL);

    return fr && fr->start <= addr ? fr : NULL;
}

void flatview_iter_init_at(FlatViewIter *it, const FlatView *view, hwaddr addr)
{
    *it = (FlatViewIter){ .view = view };
    it->next = find_near(view, addr, &it->left);
}

void flatview_iter_init(FlatViewIter *it, const FlatView *view)
{
    flatview_iter_init_at(it, view, 0);
}

const FlatRange *flatview_iter_next(FlatViewIter *it)
{
    const FlatRange *fr = it->next;

    if (!fr) {
        return NULL;
    }
    if (it->left > 0) {
        it->left--;
        it->next++;
    } else {
        it->next = fr->last == UINT64_MAX
                       ? NULL
                       : find_near(it->view, fr->last + 1, &it->left);
    }
    return fr;
}

void flatview_set_dispatch(FlatView *view, Dispatch *dispatch)
{
    g_assert(!view->dispatch);
    view->dispatch = dispatch;
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
