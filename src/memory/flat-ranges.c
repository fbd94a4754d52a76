/* SPDX-License-Identifier: MIT */
/* Tiles: when two are the same, when one runs on from another; lists of them under construction. */
#include "flat-tree-internal.h"

static bool same_attributes(const FlatRange *a, const FlatRange *b)
{
    return a->mr == b->mr && a->readonly == b->readonly && a->romd_mode == b->romd_mode &&
           a->nonvolatile == b->nonvolatile;
}

bool flat_range_same_tile(const FlatRange *a, const FlatRange *b)
{
    return a->start == b->start && a->last == b->last &&
           a->offset_in_region == b->offset_in_region && same_attributes(a, b);
}

bool flat_range_equal(const FlatRange *a, const FlatRange *b)
{
    return flat_range_same_tile(a, b) && a->dirty_log_mask == b->dirty_log_mask;
}

static bool runs_on(const FlatRange *a, const FlatRange *b)
{
    hwaddr length = b->start - a->start; /* of @a, when @b follows it */

    return a->last + 1 == b->start && b->start != 0 && same_attributes(a, b) &&
           a->dirty_log_mask == b->dirty_log_mask &&
           a->offset_in_region + length == b->offset_in_region;
}

GArray *flat_ranges_new(void)
{
    return g_array_new(FALSE, FALSE, sizeof(FlatRange));
}

void flat_ranges_append(GArray *ranges, const FlatRange *fr)
{
    FlatRange *last = ranges->len ? &g_array_index(ranges, FlatRange, ranges->len - 1) : NULL;

    g_assert(fr->start <= fr->last);
    g_assert(!last || last->last < fr->start);
    if (last && runs_on(last, fr)) {
        last->last = fr->last;
    } else {
        g_array_append_vals(ranges, fr, 1);
    }
}
