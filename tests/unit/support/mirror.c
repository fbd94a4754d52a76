/* SPDX-License-Identifier: MIT */
/* The mirror: each callback checks that it fits what was told before. */
#include "mirror.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "../../../src/memory/tree-internal.h"
#include "painter.h"

/* An eventfd or, without a notifier, a coalesced range. All of 64 bits: compared as bytes. */
typedef struct MirrorEvent {
    uint64_t addr;
    uint64_t size;
    uint64_t match_data;
    uint64_t data;
    const EventNotifier *notifier;
} MirrorEvent;

static PaintedTile tile_of(const MemoryRegionSection *s)
{
    return (PaintedTile){ .mr = s->mr, .start = s->offset_within_address_space,
                          .last = (hwaddr)(s->offset_within_address_space + s->size - 1),
                          .offset_in_region = s->offset_within_region, .readonly = s->readonly,
                          .romd_mode = s->romd_mode, .nonvolatile = s->nonvolatile,
                          .dirty_log_mask = s->dirty_log_mask };
}

static bool same_tile(const PaintedTile *a, const PaintedTile *b)
{
    return a->mr == b->mr && a->start == b->start && a->last == b->last &&
           a->offset_in_region == b->offset_in_region && a->readonly == b->readonly &&
           a->romd_mode == b->romd_mode && a->nonvolatile == b->nonvolatile;
}

static int find_tile(const GArray *tiles, hwaddr start)
{
    for (guint i = 0; i < tiles->len; i++) {
        if (g_array_index(tiles, PaintedTile, i).start == start) {
            return (int)i;
        }
    }
    return -1;
}

static PaintedTile *queued_tile(Mirror *m, const MemoryRegionSection *s)
{
    int at = find_tile(m->queued_tiles, s->offset_within_address_space);

    assert_true(at >= 0);
    return &g_array_index(m->queued_tiles, PaintedTile, at);
}

/* Dels, then adds and what stays, each by increasing address; then events, each kind for itself. */
static void assert_in_order(Mirror *m, MirrorPhase phase, Int128 at)
{
    assert_true(m->begun && m->phase <= phase);
    assert_true(m->phase < phase || at > m->last_at || phase > MIRROR_ADDS);
    m->phase = phase;
    m->last_at = at;
}

/* By increasing address, a del before an add at the same one. */
static void count_said(MemoryDiffKind kind, const MemoryRegionSection *section, void *opaque)
{
    Mirror *m = opaque;
    Int128 at = 2 * (Int128)section->offset_within_address_space + (kind == MEMORY_DIFF_ADD);

    assert_int_not_equal(kind, MEMORY_DIFF_NOP);
    assert_true(at > m->last_at);
    m->last_at = at;
    m->said += kind == MEMORY_DIFF_ADD ? 1 : 0x10000;
}

static bool mirror_prepare(MemoryListener *l, const MemoryDiff *diff, GError **error)
{
    Mirror *m = (Mirror *)l;

    m->said = 0;
    m->asked = true;
    m->last_at = -1;
    memory_diff_for_each(diff, count_said, m);
    if (m->refuse == MIRROR_REFUSES_PREPARE) {
        g_set_error(error, g_quark_from_static_string("test"), 0, "refused");
        return false;
    }
    return true;
}

static void mirror_begin(MemoryListener *l)
{
    Mirror *m = (Mirror *)l;

    assert_false(m->begun);
    m->begun = true;
    m->phase = MIRROR_DELS;
    m->last_at = -1;
    m->heard = 0;
    m->adds = 0;
    m->nops = 0;
    m->queued_tiles = g_array_copy(m->tiles);
    m->queued_events = g_array_copy(m->events);
}

static void mirror_del(MemoryListener *l, const MemoryRegionSection *s)
{
    Mirror *m = (Mirror *)l;
    PaintedTile tile = tile_of(s);
    PaintedTile *gone = queued_tile(m, s);

    assert_in_order(m, MIRROR_DELS, tile.start);
    m->heard += 0x10000;
    assert_true(same_tile(gone, &tile));
    g_array_remove_index(m->queued_tiles,
                         (guint)(gone - &g_array_index(m->queued_tiles, PaintedTile, 0)));
}

static void mirror_add(MemoryListener *l, const MemoryRegionSection *s)
{
    Mirror *m = (Mirror *)l;
    PaintedTile tile = tile_of(s);
    guint i;

    assert_in_order(m, MIRROR_ADDS, tile.start);
    m->heard++;
    m->adds++;
    for (i = 0; i < m->queued_tiles->len; i++) {
        const PaintedTile *t = &g_array_index(m->queued_tiles, PaintedTile, i);

        assert_true(t->last < tile.start || tile.last < t->start);
        if (t->start > tile.start) {
            break;
        }
    }
    g_array_insert_val(m->queued_tiles, i, tile);
}

static void mirror_log(MemoryListener *l, const MemoryRegionSection *s, uint8_t old_mask,
                       uint8_t new_mask)
{
    PaintedTile *tile = queued_tile((Mirror *)l, s);

    assert_int_not_equal(old_mask, new_mask);
    /* A replay has told the mask with its add; one change may both start and stop. */
    assert_true(tile->dirty_log_mask == old_mask || tile->dirty_log_mask == new_mask);
    tile->dirty_log_mask = new_mask;
}

static void mirror_nop(MemoryListener *l, const MemoryRegionSection *s)
{
    Mirror *m = (Mirror *)l;
    PaintedTile tile = tile_of(s);

    assert_in_order(m, MIRROR_ADDS, tile.start);
    assert_true(same_tile(queued_tile(m, s), &tile));
    m->nops++;
}

static void add_event(Mirror *m, MirrorEvent event)
{
    g_array_append_val(m->queued_events, event);
}

static void del_event(Mirror *m, MirrorEvent event)
{
    for (guint i = 0; i < m->queued_events->len; i++) {
        if (memcmp(&g_array_index(m->queued_events, MirrorEvent, i), &event, sizeof(event)) == 0) {
            g_array_remove_index_fast(m->queued_events, i);
            return;
        }
    }
    fail_msg("an event goes that never came");
}

static MirrorEvent eventfd_of(const MemoryRegionSection *s, unsigned size, bool match_data,
                              uint64_t data, EventNotifier *notifier)
{
    return (MirrorEvent){ s->offset_within_address_space, size, match_data, data, notifier };
}

static void mirror_eventfd_add(MemoryListener *l, const MemoryRegionSection *s, unsigned size,
                               bool match_data, uint64_t data, EventNotifier *notifier)
{
    assert_in_order((Mirror *)l, MIRROR_EVENTFD_ADDS, 0);
    add_event((Mirror *)l, eventfd_of(s, size, match_data, data, notifier));
}

static void mirror_eventfd_del(MemoryListener *l, const MemoryRegionSection *s, unsigned size,
                               bool match_data, uint64_t data, EventNotifier *notifier)
{
    assert_in_order((Mirror *)l, MIRROR_EVENTFD_DELS, 0);
    del_event((Mirror *)l, eventfd_of(s, size, match_data, data, notifier));
}

static void mirror_coalesced_add(MemoryListener *l, const MemoryRegionSection *s, hwaddr addr,
                                 uint64_t size)
{
    assert_in_order((Mirror *)l, MIRROR_COALESCED_ADDS, 0);
    assert_true(s->offset_within_address_space == addr && s->size == size);
    add_event((Mirror *)l, (MirrorEvent){ .addr = addr, .size = size });
}

static void mirror_coalesced_del(MemoryListener *l, const MemoryRegionSection *s, hwaddr addr,
                                 uint64_t size)
{
    assert_in_order((Mirror *)l, MIRROR_COALESCED_DELS, 0);
    assert_true(s->offset_within_address_space == addr && s->size == size);
    del_event((Mirror *)l, (MirrorEvent){ .addr = addr, .size = size });
}

static bool mirror_apply(MemoryListener *l, bool *ret_broken, GError **error)
{
    if (((Mirror *)l)->refuse == MIRROR_FAILS_APPLY) {
        g_set_error(error, g_quark_from_static_string("test"), 0, "cannot apply");
        return false;
    }
    return true;
}

static void mirror_forget(MemoryListener *l)
{
    Mirror *m = (Mirror *)l;

    assert_true(m->begun);
    m->begun = false;
    g_clear_pointer(&m->queued_tiles, g_array_unref);
    g_clear_pointer(&m->queued_events, g_array_unref);
}

static bool mirror_revert(MemoryListener *l, GError **error)
{
    mirror_forget(l);
    return true;
}

static void take(GArray **in_force, GArray **queued)
{
    g_array_unref(*in_force);
    *in_force = g_steal_pointer(queued);
}

static void mirror_commit(MemoryListener *l)
{
    Mirror *m = (Mirror *)l;

    assert_true(m->begun);
    assert_true(!m->asked || m->said == m->heard);
    assert_true(!l->region_nop || m->adds + m->nops == m->queued_tiles->len);
    m->begun = false;
    take(&m->tiles, &m->queued_tiles);
    take(&m->events, &m->queued_events);
}

Mirror *mirror_new(AddressSpace *as, int priority, bool hears_nops)
{
    Mirror *m = g_new0(Mirror, 1);

    m->tiles = g_array_new(FALSE, FALSE, sizeof(PaintedTile));
    m->events = g_array_new(FALSE, FALSE, sizeof(MirrorEvent));
    m->listener = (MemoryListener){
        .name = "mirror", .priority = priority, .prepare = mirror_prepare, .begin = mirror_begin,
        .region_del = mirror_del, .region_add = mirror_add,
        .region_nop = hears_nops ? mirror_nop : NULL, .log_start = mirror_log,
        .log_stop = mirror_log, .eventfd_add = mirror_eventfd_add,
        .eventfd_del = mirror_eventfd_del, .coalesced_io_add = mirror_coalesced_add,
        .coalesced_io_del = mirror_coalesced_del, .apply = mirror_apply, .revert = mirror_revert,
        .abort = mirror_forget, .commit = mirror_commit,
    };
    assert_true(memory_listener_register(&m->listener, as, NULL));
    return m;
}

void mirror_free(Mirror *m)
{
    m->asked = false; /* an unregistration does not ask */
    memory_listener_unregister(&m->listener);
    assert_int_equal(m->tiles->len, 0);
    assert_int_equal(m->events->len, 0);
    g_array_unref(m->tiles);
    g_array_unref(m->events);
    g_free(m);
}

/* The events that the space knows, which view_check() holds against the view. */
static void check_events(const Mirror *m)
{
    const AddressSpace *as = m->listener.as;

    assert_int_equal(m->events->len,
                     g_tree_nnodes(as->ioeventfds) + g_tree_nnodes(as->coalesced));
    for (guint i = 0; i < m->events->len; i++) {
        const MirrorEvent *e = &g_array_index(m->events, MirrorEvent, i);
        const AddrRange at = addr_range(e->addr, 1);
        g_autoptr(GArray) span = g_array_new(FALSE, FALSE, sizeof(AddrRange));
        g_autoptr(GArray) known = NULL;
        bool found = false;

        g_array_append_val(span, at);
        known = view_events_in(e->notifier ? as->ioeventfds : as->coalesced, span);
        for (guint j = 0; j < known->len; j++) {
            const ViewEvent *v = &g_array_index(known, ViewEvent, j);

            found |= v->addr == e->addr && v->size == e->size && v->data == e->data &&
                     v->match_data == e->match_data && v->notifier == e->notifier;
        }
        assert_true(found);
    }
}

void mirror_check(Mirror *m)
{
    MemorySystem *ms = address_space_system(m->listener.as);
    g_autoptr(GArray) view = NULL;

    memory_system_lock(ms);
    view = painter_view(m->listener.as);
    assert_false(m->begun);
    assert_int_equal(view->len, m->tiles->len);
    for (guint t = 0; t < view->len; t++) {
        const PaintedTile *a = &g_array_index(view, PaintedTile, t);
        const PaintedTile *b = &g_array_index(m->tiles, PaintedTile, t);

        assert_true(same_tile(a, b) && a->dirty_log_mask == b->dirty_log_mask);
    }
    check_events(m);
    memory_system_unlock(ms);
}
