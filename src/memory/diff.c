/* SPDX-License-Identifier: MIT */
/* MemoryDiff: which tiles of an address space go, come and stay. */
#include "tree-internal.h"

typedef struct DiffSide {
    FlatViewIter it;
    const FlatRange *fr;
} DiffSide;

static void side_next(DiffSide *side)
{
    side->fr = flatview_iter_next(&side->it);
}

static DiffSide side_init(const FlatView *view)
{
    DiffSide side = { .fr = NULL };

    if (view) {
        flatview_iter_init(&side.it, view);
        side_next(&side);
    }
    return side;
}

void memory_diff_walk(const MemoryDiff *diff,
                      void (*fn)(MemoryDiffKind kind, const FlatRange *was, const FlatRange *is,
                                 void *opaque),
                      void *opaque)
{
    DiffSide old, new;

    if (diff->old_view == diff->new_view) {
        old = side_init(diff->old_view);
        for (; old.fr; side_next(&old)) {
            fn(MEMORY_DIFF_NOP, old.fr, old.fr, opaque);
        }
        return;
    }
    old = side_init(diff->old_view);
    new = side_init(diff->new_view);
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

static void note_change(MemoryDiffKind kind, const FlatRange *was, const FlatRange *is,
                        void *opaque)
{
    if (kind != MEMORY_DIFF_NOP || was->dirty_log_mask != is->dirty_log_mask) {
        *(bool *)opaque = false;
    }
}

bool memory_diff_is_empty(const MemoryDiff *diff)
{
    bool empty = true;

    if (diff->old_view != diff->new_view) {
        memory_diff_walk(diff, note_change, &empty);
    }
    return empty;
}
