/* SPDX-License-Identifier: MIT */
/* Dirty windows: the walk from an edited region up to the address spaces that show it. */
#include "dirty-internal.h"

#include "tree-internal.h"

/*
 * A region can be seen on exponentially many paths (aliases of aliases). From so many steps on,
 * whole spaces are taken, each reached once: a commit that renders them costs more than the walk.
 */
#define WALK_STEPS_MAX 10000u

static gint compare_starts(gconstpointer a, gconstpointer b)
{
    const AddrRange *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

void addr_ranges_normalize(GArray *ranges)
{
    guint kept = 0;

    g_array_sort(ranges, compare_starts);
    for (guint i = 0; i < ranges->len; i++) {
        AddrRange r = g_array_index(ranges, AddrRange, i);
        AddrRange *last = kept ? &g_array_index(ranges, AddrRange, kept - 1) : NULL;

        if (last && r.start <= addr_range_end(*last)) {
            last->size = MAX(addr_range_end(*last), addr_range_end(r)) - last->start;
        } else {
            g_array_index(ranges, AddrRange, kept++) = r;
        }
    }
    g_array_set_size(ranges, kept);
}

/*
 * Windows that many edits leave in the same places are joined now and then: each time that there
 * are twice as many as were left the last time. Few are not worth it.
 */
#define WINDOWS_FEW 1024u

static void space_add(AddressSpace *as, AddrRange window)
{
    AddrRange *last;

    if (!as->dirty) {
        as->dirty = g_array_new(FALSE, FALSE, sizeof(AddrRange));
        as->dirty_limit = WINDOWS_FEW;
    }
    if (as->dirty->len > 0) { /* an edit leaves the same window twice: before and after */
        last = &g_array_index(as->dirty, AddrRange, as->dirty->len - 1);
        if (addr_range_contains_range(*last, window)) {
            return;
        }
    }
    if (as->dirty->len >= as->dirty_limit) {
        addr_ranges_normalize(as->dirty);
        as->dirty_limit = MAX(2 * as->dirty->len, WINDOWS_FEW);
    }
    g_array_append_val(as->dirty, window);
}

static void walk_up(MemoryRegion *mr, AddrRange window, unsigned *steps);

typedef struct AliasWalk {
    AddrRange window; /* in the target */
    unsigned *steps;
} AliasWalk;

static bool walk_alias(MemoryRegion *alias, void *opaque)
{
    AliasWalk *walk = opaque;

    walk_up(alias, addr_range_shift(walk->window, -(Int128)alias->alias_offset), walk->steps);
    return *walk->steps <= WALK_STEPS_MAX;
}

/* @window of what @mr shows, wherever that is seen. */
static void walk_up(MemoryRegion *mr, AddrRange window, unsigned *steps)
{
    window = addr_range_intersection(window, addr_range(0, mr->size));
    if (!mr->enabled || addr_range_is_empty(window) || ++*steps > WALK_STEPS_MAX) {
        return;
    }
    for (AddressSpace *as = mr->spaces; as; as = as->next_of_root) {
        space_add(as, window);
    }
    if (mr->aliases) {
        AliasWalk walk = { window, steps };

        region_index_visit(mr->aliases, window, walk_alias, &walk);
    }
    if (mr->container) {
        walk_up(mr->container, addr_range_shift(window, mr->addr), steps);
    }
}

/* All of every space that shows @mr, by whatever path. */
static void take_whole_spaces(MemoryRegion *mr)
{
    MemorySystem *ms = mr->ms;
    uint64_t mark = transaction_next_mark(ms);

    region_mark_upwards(mr, mark);
    for (guint i = 0; i < ms->spaces->len; i++) {
        AddressSpace *as = g_ptr_array_index(ms->spaces, i);

        if (as->root->mark == mark) {
            space_add(as, addr_range(0, INT128_2_64));
        }
    }
}

void dirty_content(MemoryRegion *mr, AddrRange window)
{
    unsigned steps = 0;

    walk_up(mr, window, &steps);
    if (steps > WALK_STEPS_MAX) {
        take_whole_spaces(mr);
    }
}

void dirty_all_content(MemoryRegion *mr)
{
    dirty_content(mr, addr_range(0, mr->size));
}

void dirty_size(MemoryRegion *mr, Int128 one, Int128 other)
{
    Int128 smaller = MIN(one, other), larger = MAX(one, other);

    dirty_content(mr, addr_range(smaller - 1, larger - smaller + 1));
}

void dirty_place(MemoryRegion *mr)
{
    if (mr->container && mr->enabled) {
        dirty_content(mr->container, addr_range(mr->addr, mr->size));
    }
}

GArray *dirty_take(AddressSpace *as)
{
    GArray *windows = g_steal_pointer(&as->dirty);

    if (windows) {
        addr_ranges_normalize(windows);
    }
    return windows;
}

void dirty_clear(MemorySystem *ms)
{
    for (guint i = 0; i < ms->spaces->len; i++) {
        AddressSpace *as = g_ptr_array_index(ms->spaces, i);

        g_clear_pointer(&as->dirty, g_array_unref);
    }
}
