/* SPDX-License-Identifier: MIT */
/* Eventfds and coalesced ranges as they show through a view. */
#include "view-events-internal.h"

void view_eventfds_of_tile(GArray *list, const FlatRange *fr)
{
    AddrRange tile = addr_range(fr->start, (Int128)fr->last - fr->start + 1);

    for (guint i = 0; fr->mr->ioeventfds && i < fr->mr->ioeventfds->len; i++) {
        const RegionEventfd *fd = &g_array_index(fr->mr->ioeventfds, RegionEventfd, i);
        Int128 addr = tile.start + ((Int128)fd->offset - fr->offset_in_region);

        if (addr_range_contains(tile, addr)) {
            ViewEvent event = { .mr = fr->mr, .addr = (hwaddr)addr, .size = fd->size,
                                .offset_in_region = fd->offset, .data = fd->data,
                                .notifier = fd->notifier, .match_data = fd->match_data };

            g_array_append_val(list, event);
        }
    }
}

void view_coalesced_of_tile(GArray *list, const FlatRange *fr)
{
    AddrRange tile = addr_range(fr->start, (Int128)fr->last - fr->start + 1);
    Int128 base = tile.start - fr->offset_in_region; /* where the region's offset 0 would be */

    for (guint i = 0; fr->mr->coalesced && i < fr->mr->coalesced->len; i++) {
        AddrRange range = g_array_index(fr->mr->coalesced, AddrRange, i);

        range = addr_range_intersection(tile, addr_range_shift(range, base));
        if (!addr_range_is_empty(range)) {
            ViewEvent event = { .mr = fr->mr, .addr = (hwaddr)range.start,
                                .size = (uint64_t)range.size,
                                .offset_in_region = (hwaddr)(range.start - base) };

            g_array_append_val(list, event);
        }
    }
}

#define COMPARE(a, b)                                                                              \
    do {                                                                                           \
        if ((a) != (b)) {                                                                          \
            return (a) < (b) ? -1 : 1;                                                             \
        }                                                                                          \
    } while (0)

/* What a listener can tell apart; a coalesced range also belongs to its region. */
static gint compare_events(gconstpointer a, gconstpointer b)
{
    const ViewEvent *x = a, *y = b;

    COMPARE(x->addr, y->addr);
    COMPARE(x->size, y->size);
    COMPARE(x->match_data, y->match_data);
    COMPARE(x->data, y->data);
    COMPARE((uintptr_t)x->notifier, (uintptr_t)y->notifier);
    if (!x->notifier) {
        COMPARE((uintptr_t)x->mr, (uintptr_t)y->mr);
        COMPARE(x->offset_in_region, y->offset_in_region);
    }
    return 0;
}

GArray *view_events_of_tiles(const FlatView *view, const GArray *spans, ViewEventsOfTile *of_tile)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(ViewEvent));

    for (guint i = 0; i < spans->len; i++) {
        AddrRange span = g_array_index(spans, AddrRange, i);
        FlatViewIter it;
        const FlatRange *fr;

        flatview_iter_init_at(&it, view, (hwaddr)span.start);
        while ((fr = flatview_iter_next(&it)) && fr->start < addr_range_end(span)) {
            of_tile(list, fr);
        }
    }
    g_array_sort(list, compare_events);
    return list;
}

static gint compare_events_data(gconstpointer a, gconstpointer b, gpointer unused)
{
    return compare_events(a, b);
}

GTree *view_events_new(void)
{
    return g_tree_new_full(compare_events_data, NULL, g_free, NULL);
}

GArray *view_events_in(GTree *events, const GArray *spans)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(ViewEvent));

    for (guint i = 0; i < spans->len; i++) {
        AddrRange span = g_array_index(spans, AddrRange, i);
        const ViewEvent first = { .addr = (hwaddr)span.start }; /* nothing sorts before it there */

        for (GTreeNode *node = g_tree_lower_bound(events, &first); node;
             node = g_tree_node_next(node)) {
            const ViewEvent *event = g_tree_node_key(node);

            if (event->addr >= addr_range_end(span)) {
                break;
            }
            g_array_append_vals(list, event, 1);
        }
    }
    return list;
}

void view_events_replace(GTree *events, const GArray *gone, const GArray *come)
{
    for (guint i = 0; i < gone->len; i++) {
        g_tree_remove(events, &g_array_index(gone, ViewEvent, i));
    }
    for (guint i = 0; i < come->len; i++) {
        ViewEvent *event = g_memdup2(&g_array_index(come, ViewEvent, i), sizeof(ViewEvent));

        g_tree_insert(events, event, event);
    }
}

void view_events_missing(const GArray *list, const GArray *other,
                         void (*fn)(const ViewEvent *event, void *opaque), void *opaque)
{
    guint j = 0;

    for (guint i = 0; i < list->len; i++) {
        const ViewEvent *event = &g_array_index(list, ViewEvent, i);

        while (j < other->len && compare_events(&g_array_index(other, ViewEvent, j), event) < 0) {
            j++;
        }
        if (j < other->len && compare_events(&g_array_index(other, ViewEvent, j), event) == 0) {
            j++;
        } else {
            fn(event, opaque);
        }
    }
}

bool view_events_equal(const GArray *a, const GArray *b)
{
    if (a->len != b->len) {
        return false;
    }
    for (guint i = 0; i < a->len; i++) {
        if (compare_events(&g_array_index(a, ViewEvent, i), &g_array_index(b, ViewEvent, i)) != 0) {
            return false;
        }
    }
    return true;
}
