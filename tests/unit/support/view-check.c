/* SPDX-License-Identifier: MIT */
/* Views against everything that they can be compared with. */
#include "view-check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../../src/memory/section-table-internal.h"
#include "painter.h"

/* --- A full render --- */

static void check_full_render(AddressSpace *as, const FlatView *view)
{
    uint64_t visited = 0;
    g_autoptr(GArray) tiles =
        render_memory_region(as->root, addr_range(0, INT128_2_64), &visited);
    FlatViewIter it;

    assert_int_equal(flatview_count(view), tiles->len);
    flatview_iter_init(&it, view);
    for (guint i = 0; i < tiles->len; i++) {
        assert_true(flat_range_equal(flatview_iter_next(&it), &g_array_index(tiles, FlatRange, i)));
    }
    assert_null(flatview_iter_next(&it));
}

static void check_root(AddressSpace *as, const FlatView *view)
{
    const MemoryRegion *root = memory_region_effective_root(as->root);

    assert_ptr_equal(flatview_root(view), root);
    for (guint i = 0; i < as->ms->spaces->len; i++) {
        AddressSpace *other = g_ptr_array_index(as->ms->spaces, i);

        if (memory_region_effective_root(other->root) == root) {
            assert_ptr_equal(address_space_flatview(other), view);
        }
    }
}

/* --- Lookups --- */

/* Who holds @addr; and the first tile that ends at or after it, and the one before that. */
static const FlatRange *walk_to(const FlatView *view, hwaddr addr, const FlatRange **ret_from,
                                const FlatRange **ret_before)
{
    const FlatRange *fr = NULL;
    FlatViewIter it;

    flatview_iter_init(&it, view);
    do {
        *ret_before = fr;
        fr = flatview_iter_next(&it);
    } while (fr && fr->last < addr);
    *ret_from = fr;
    return fr && fr->start <= addr ? fr : NULL;
}

static void check_addr(const FlatView *view, hwaddr addr)
{
    const DispatchSection *s = dispatch_lookup(flatview_dispatch(view), addr);
    const FlatRange *from, *before, *fr = walk_to(view, addr, &from, &before);

    assert_ptr_equal(flatview_find(view, addr), fr);
    assert_ptr_equal(flatview_find_from(view, addr), from);
    assert_ptr_equal(flatview_find_before(view, addr), before);
    if (fr) {
        assert_int_equal(s->id, fr->section_id);
        assert_true(s->mr == fr->mr && s->start == fr->start && s->last == fr->last &&
                    s->offset_in_region == fr->offset_in_region &&
                    s->dirty_log_mask == fr->dirty_log_mask);
    } else {
        assert_int_equal(s->id, SECTION_ID_UNASSIGNED);
    }
}

void dispatch_check(const FlatView *view)
{
    const FlatRange *fr;
    FlatViewIter it;

    flatview_iter_init(&it, view);
    while ((fr = flatview_iter_next(&it))) {
        check_addr(view, fr->start - 1); /* wraps at 0: the last address, as good as any */
        check_addr(view, fr->start);
        check_addr(view, fr->start + (fr->last - fr->start) / 2);
        check_addr(view, fr->last);
        check_addr(view, fr->last + 1);
    }
    check_addr(view, 0);
    check_addr(view, UINT64_MAX);
}

/* --- The radix --- */

static void compare_entries(const Dispatch *d, PhysPageEntry a, PhysPageEntry b)
{
    uint32_t x = a >> PHYS_SKIP_BITS, y = b >> PHYS_SKIP_BITS;
    unsigned skip = a & PHYS_SKIP_MASK;

    if (a == b) {
        return; /* the same leaf, or shared */
    }
    assert_int_equal(skip, b & PHYS_SKIP_MASK);
    assert_int_not_equal(skip, 0);
    if (skip == PHYS_SUBPAGE) {
        const PhysSubpage *p = d->subpages[x], *q = d->subpages[y];

        assert_int_equal(p->count, q->count);
        assert_memory_equal(p->ids, q->ids, p->count * (sizeof(uint32_t) + sizeof(uint16_t)));
        return;
    }
    for (unsigned i = 0; i < PHYS_NODE_SIZE; i++) {
        compare_entries(d, d->nodes[x].entries[i], d->nodes[y].entries[i]);
    }
}

void radix_check(const FlatView *view)
{
    const Dispatch *d = flatview_dispatch(view);
    Dispatch *scratch = dispatch_new(view->ms->sections, view, NULL, NULL);

    compare_entries(d, d->root, scratch->root);
    assert_int_equal(d->nodes_total, dispatch_nodes(d)); /* counted along the way, and by a walk */
    assert_int_equal(d->nodes_total, scratch->nodes_built);
    dispatch_free(scratch);
}

/* --- Events --- */

static void check_events(GTree *events, const FlatView *view, ViewEventsOfTile *of_tile)
{
    const AddrRange all = addr_range(0, INT128_2_64);
    g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(AddrRange));
    g_autoptr(GArray) known = NULL;
    g_autoptr(GArray) shown = NULL;

    g_array_append_val(spans, all);
    known = view_events_in(events, spans);
    shown = view_events_of_tiles(view, spans, of_tile);
    assert_true(view_events_equal(known, shown));
    for (guint i = 0; i < known->len; i++) { /* a region that is gone must not linger */
        assert_ptr_equal(g_array_index(known, ViewEvent, i).mr,
                         g_array_index(shown, ViewEvent, i).mr);
    }
}

void view_check_rendered(AddressSpace *as)
{
    const FlatView *view;

    memory_system_lock(as->ms);
    view = address_space_flatview(as);
    check_full_render(as, view);
    check_root(as, view);
    dispatch_check(view);
    radix_check(view);
    check_events(as->ioeventfds, view, view_eventfds_of_tile);
    check_events(as->coalesced, view, view_coalesced_of_tile);
    assert_null(as->dirty);
    memory_system_unlock(as->ms);
}

void view_check(AddressSpace *as)
{
    painter_check(as);
    view_check_rendered(as);
}

void view_check_spaces(MemorySystem *ms)
{
    for (guint i = 0; i < ms->spaces->len; i++) {
        view_check(g_ptr_array_index(ms->spaces, i));
    }
}
