/* SPDX-License-Identifier: MIT */
/* MemoryDiff: which tiles of an address space go, come and stay. */
#include "dirty-internal.h"
#include "tree-internal.h"

/* One view's tiles in a span. */
typedef struct DiffSide {
    FlatViewIter it;
    Int128 end;
    const FlatRange *fr;
} DiffSide;

static void side_next(DiffSide *side)
{
    side->fr = flatview_iter_next(&side->it);
    if (side->fr && side->fr->start >= side->end) {
        side->fr = NULL;
    }
}

static DiffSide side_init(const FlatView *view, AddrRange span)
{
    DiffSide side = { .end = addr_range_end(span) };

    if (view) {
        flatview_iter_init_at(&side.it, view, (hwaddr)span.start);
        side_next(&side);
    }
    return side;
}

typedef void DiffVisitor(MemoryDiffKind kind, const FlatRange *was, const FlatRange *is,
                         void *opaque);

static void walk_span(const MemoryDiff *diff, AddrRange span, DiffVisitor *fn, void *opaque)
{
    DiffSide old = side_init(diff->old_view, span), new;

    if (diff->old_view == diff->new_view) {
        for (; old.fr; side_next(&old)) {
            fn(MEMORY_DIFF_NOP, old.fr, old.fr, opaque);
        }
        return;
    }
    new = side_init(diff->new_view, span);
    while (old.fr || new.fr) {
        if (old.fr && new.fr && flat_range_same_tile(old.fr, new.fr)) {
            fn(MEMORY_DIFF_NOP, old.fr, new.fr, opaque);
            side_next(&old);
            side_next(&new);
        } else if (old.fr && (!new.fr || old.fr->start <= new.fr->start)) {
            fn(MEMORY_DIFF_DEL, old.fr, NULL, opaque);
            side_next(&old);
        } else {
            fn(MEMORY_DIFF_ADD, NULL, new.fr, opaque);
            side_next(&new);
        }
    }
}

void memory_diff_walk(const MemoryDiff *diff, DiffVisitor *fn, void *opaque)
{
    if (!diff->spans) {
        walk_span(diff, addr_range(0, INT128_2_64), fn, opaque);
        return;
    }
    for (guint i = 0; i < diff->spans->len; i++) {
        walk_span(diff, g_array_index(diff->spans, AddrRange, i), fn, opaque);
    }
}

/* @range, and the whole of the tiles of @view that reach into it over its edges. */
static AddrRange whole_tiles(const FlatView *view, AddrRange range)
{
    const FlatRange *first = flatview_find(view, (hwaddr)range.start);
    const FlatRange *last = flatview_find(view, (hwaddr)(addr_range_end(range) - 1));
    Int128 start = first ? first->start : range.start;
    Int128 end = last ? (Int128)last->last + 1 : addr_range_end(range);

    return addr_range(start, end - start);
}

/*
 * A window's edge may cut a tile of one view whose end lies inside a tile of the other. That ends
 * soon: outside of the windows both show the same, so a border that only one of them has touches a
 * window.
 */
GArray *memory_diff_spans(const FlatView *old_view, const FlatView *new_view,
                          const GArray *windows)
{
    GArray *spans = g_array_sized_new(FALSE, FALSE, sizeof(AddrRange), windows->len);

    for (guint i = 0; i < windows->len; i++) {
        AddrRange span = g_array_index(windows, AddrRange, i), before;

        do {
            before = span;
            span = whole_tiles(new_view, whole_tiles(old_view, span));
        } while (!addr_range_equal(span, before));
        g_array_append_val(spans, span);
    }
    addr_ranges_normalize(spans);
    return spans;
}

typedef struct ForEach {
    AddressSpace *as;
    void (*fn)(MemoryDiffKind kind, const MemoryRegionSection *section, void *opaque);
    void *opaque;
} ForEach;

static void pass_on(MemoryDiffKind kind, const FlatRange *was, const FlatRange *is, void *opaque)
{
    ForEach *each = opaque;

    if (kind != MEMORY_DIFF_NOP) {
        MemoryRegionSection section = memory_region_section_from_range(each->as, is ? is : was);

        each->fn(kind, &section, each->opaque);
    }
}

void memory_diff_for_each(const MemoryDiff *diff,
                          void (*fn)(MemoryDiffKind kind, const MemoryRegionSection *section,
                                     void *opaque),
                          void *opaque)
{
    ForEach each = { diff->as, fn, opaque };

    memory_diff_walk(diff, pass_on, &each);
}
