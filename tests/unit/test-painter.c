/* SPDX-License-Identifier: MIT */
/* Random trees, random edits, transactions that fail at random: views equal their paintings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/memory/memory-internal.h"
#include "support/painter.h"
#include "tessera/memory/address-space.h"
#include "tessera/memory/mtree-dump.h"

#define REGIONS    18u
#define SPACES     3u
#define PAGE       0x1000u

/* A region as the edits should have left it; compared with what is there. */
typedef struct Shadow {
    Int128 size;
    hwaddr addr;
    hwaddr alias_offset;
    uint64_t age; /* larger: added or moved later */
    int container; /* -1: none */
    int priority;
    bool enabled;
    bool readonly;
    bool nonvolatile;
    bool romd_mode;
    uint8_t dirty_log_mask;
} Shadow;

/* Hears one space; keeps the map that it was told of; refuses when told to. */
typedef struct Mirror {
    MemoryListener listener;
    struct World *world;
    GArray *tiles;  /* PaintedTile, sorted: in force */
    GArray *queued; /* what it will be */
    bool begun;
} Mirror;

typedef struct World {
    TestRandom *random;
    MemorySystem *ms;
    MemoryRegion *regions[REGIONS];
    RAMBlock *blocks[REGIONS];
    Shadow shadows[REGIONS];
    uint64_t age;
    AddressSpace *spaces[SPACES];
    Mirror mirrors[SPACES];
    enum { REFUSE_NOT, REFUSE_PREPARE, REFUSE_APPLY } refuse;
    unsigned refuse_at; /* space */
} World;

static uint32_t below(World *w, uint32_t n)
{
    return test_random_below(w->random, n);
}

static MemTxResult no_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                           MemTxAttrs attrs)
{
    return MEMTX_OK;
}

static MemTxResult no_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                            MemTxAttrs attrs)
{
    return MEMTX_OK;
}

static const MemoryRegionOps no_ops = { .read = no_read, .write = no_write };

/* --- The mirror --- */

static PaintedTile tile_of(const MemoryRegionSection *s)
{
    return (PaintedTile){ .mr = s->mr, .start = s->offset_within_address_space,
                          .last = (hwaddr)(s->offset_within_address_space + s->size - 1),
                          .offset_in_region = s->offset_within_region, .readonly = s->readonly,
                          .romd_mode = s->romd_mode, .nonvolatile = s->nonvolatile,
                          .dirty_log_mask = s->dirty_log_mask };
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

static bool mirror_prepare(MemoryListener *l, const MemoryDiff *diff, GError **error)
{
    Mirror *m = (Mirror *)l;

    if (m->world->refuse == REFUSE_PREPARE && m == &m->world->mirrors[m->world->refuse_at]) {
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
    m->queued = g_array_copy(m->tiles);
}

static void mirror_del(MemoryListener *l, const MemoryRegionSection *s)
{
    Mirror *m = (Mirror *)l;
    int at = find_tile(m->queued, s->offset_within_address_space);
    PaintedTile tile = tile_of(s);

    assert_true(at >= 0);
    assert_memory_equal(&g_array_index(m->queued, PaintedTile, at), &tile,
                        offsetof(PaintedTile, readonly));
    g_array_remove_index(m->queued, (guint)at);
}

static void mirror_add(MemoryListener *l, const MemoryRegionSection *s)
{
    Mirror *m = (Mirror *)l;
    PaintedTile tile = tile_of(s);
    guint i;

    for (i = 0; i < m->queued->len; i++) {
        const PaintedTile *t = &g_array_index(m->queued, PaintedTile, i);

        assert_true(t->last < tile.start || tile.last < t->start);
        if (t->start > tile.start) {
            break;
        }
    }
    g_array_insert_val(m->queued, i, tile);
}

static void mirror_log(MemoryListener *l, const MemoryRegionSection *s, uint8_t old_mask,
                       uint8_t new_mask)
{
    Mirror *m = (Mirror *)l;
    int at = find_tile(m->queued, s->offset_within_address_space);

    assert_true(at >= 0);
    assert_int_not_equal(old_mask, new_mask);
    g_array_index(m->queued, PaintedTile, at).dirty_log_mask = new_mask;
}

static void mirror_nop(MemoryListener *l, const MemoryRegionSection *s)
{
    assert_true(find_tile(((Mirror *)l)->queued, s->offset_within_address_space) >= 0);
}

static bool mirror_apply(MemoryListener *l, bool *ret_broken, GError **error)
{
    Mirror *m = (Mirror *)l;

    if (m->world->refuse == REFUSE_APPLY && m == &m->world->mirrors[m->world->refuse_at]) {
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
    g_clear_pointer(&m->queued, g_array_unref);
}

static bool mirror_revert(MemoryListener *l, GError **error)
{
    mirror_forget(l);
    return true;
}

static void mirror_commit(MemoryListener *l)
{
    Mirror *m = (Mirror *)l;

    assert_true(m->begun);
    m->begun = false;
    g_array_unref(m->tiles);
    m->tiles = g_steal_pointer(&m->queued);
}

static void mirror_init(Mirror *m, World *w, AddressSpace *as, int priority)
{
    m->world = w;
    m->tiles = g_array_new(FALSE, FALSE, sizeof(PaintedTile));
    m->listener = (MemoryListener){
        .name = "mirror", .priority = priority, .prepare = mirror_prepare, .begin = mirror_begin,
        .region_del = mirror_del, .region_add = mirror_add, .region_nop = mirror_nop,
        .log_start = mirror_log, .log_stop = mirror_log, .apply = mirror_apply,
        .revert = mirror_revert, .abort = mirror_forget, .commit = mirror_commit,
    };
    assert_true(memory_listener_register(&m->listener, as, NULL));
}

static void check_mirror(World *w, unsigned i)
{
    g_autoptr(GArray) view = painter_view(w->spaces[i]);
    Mirror *m = &w->mirrors[i];

    assert_false(m->begun);
    assert_int_equal(view->len, m->tiles->len);
    for (guint t = 0; t < view->len; t++) {
        const PaintedTile *a = &g_array_index(view, PaintedTile, t);
        const PaintedTile *b = &g_array_index(m->tiles, PaintedTile, t);

        assert_true(a->mr == b->mr && a->start == b->start && a->last == b->last &&
                    a->offset_in_region == b->offset_in_region && a->readonly == b->readonly &&
                    a->romd_mode == b->romd_mode && a->nonvolatile == b->nonvolatile &&
                    a->dirty_log_mask == b->dirty_log_mask);
    }
}

/* --- The random world --- */

/* Small places that collide often, and the edges of 2^64. */
static hwaddr random_addr(World *w)
{
    hwaddr near_zero = (hwaddr)below(w, 24) * 0x400;

    switch (below(w, 8)) {
    case 0:
        return UINT64_MAX - near_zero;
    case 1:
        return (hwaddr)1 << 63;
    case 2:
        return 0;
    default:
        return near_zero;
    }
}

static Int128 random_size(World *w)
{
    switch (below(w, 8)) {
    case 0:
        return INT128_2_64;
    case 1:
        return INT128_2_64 - 1 - below(w, 0x2000);
    case 2:
        return 1 + below(w, 7);
    default:
        return (Int128)(1 + below(w, 24)) * 0x400;
    }
}

static MemoryRegion *new_block_region(World *w, unsigned i, const char *name)
{
    g_autoptr(GError) error = NULL;
    uint64_t size = (1 + below(w, 6)) * PAGE;
    RAMBlock *block = ram_block_new(w->ms, name, size, 0, RAM_NORESERVE, &error);
    MemoryRegion *mr;

    if (!block) {
        fail_msg("%s", error->message);
    }
    w->blocks[i] = block;
    switch (below(w, 4)) {
    case 0:
        mr = memory_region_new_rom(w->ms, NULL, name, block);
        break;
    case 1:
        mr = memory_region_new_rom_device(w->ms, NULL, &no_ops, NULL, name, block);
        break;
    case 2:
        mr = memory_region_new_ram_device(w->ms, NULL, name, block);
        break;
    default:
        mr = memory_region_new_ram(w->ms, NULL, name, block);
        break;
    }
    return mr;
}

static void new_region(World *w, unsigned i)
{
    g_autofree char *name = g_strdup_printf("r%u", i);
    MemoryRegion *mr;
    uint32_t dice = i == 0 ? 0 : below(w, 10);

    if (dice < 3) {
        mr = memory_region_new_container(w->ms, NULL, name, i ? random_size(w) : INT128_2_64);
    } else if (dice < 5) {
        mr = memory_region_new_io(w->ms, NULL, &no_ops, NULL, name, random_size(w));
    } else if (dice < 8) {
        mr = new_block_region(w, i, name);
    } else {
        MemoryRegion *target = w->regions[below(w, i)];
        hwaddr offset = random_addr(w); /* one after the other, for equal trees by every compiler */

        mr = memory_region_new_alias(w->ms, NULL, name, target, offset, random_size(w));
    }
    w->regions[i] = mr;
    w->shadows[i] = (Shadow){ .size = mr->size, .alias_offset = mr->alias_offset, .container = -1,
                              .enabled = true, .readonly = mr->readonly,
                              .romd_mode = mr->romd_mode };
}

static bool reaches(MemoryRegion *from, MemoryRegion *to);

typedef struct Reach {
    MemoryRegion *to;
    bool found;
} Reach;

static void reach_child(MemoryRegion *sub, void *opaque)
{
    Reach *reach = opaque;

    reach->found = reach->found || reaches(sub, reach->to);
}

static bool reaches(MemoryRegion *from, MemoryRegion *to)
{
    Reach reach = { .to = to, .found = from == to };

    if (!reach.found && from->alias) {
        reach.found = reaches(from->alias, to);
    }
    memory_region_for_each_subregion(from, reach_child, &reach);
    return reach.found;
}

static bool edit_add(World *w, unsigned i, unsigned j)
{
    MemoryRegion *container = w->regions[j], *sub = w->regions[i];
    bool allowed = !sub->container && container->kind != REGION_ALIAS && !reaches(sub, container);
    hwaddr addr = random_addr(w);
    int priority = (int)below(w, 5) - 2;
    bool ok = memory_region_add_subregion_overlap(container, addr, sub, priority, NULL);

    assert_true(ok ? allowed : !allowed || w->refuse != REFUSE_NOT);
    if (ok) {
        w->shadows[i].container = (int)j;
        w->shadows[i].addr = addr;
        w->shadows[i].priority = priority;
        w->shadows[i].age = ++w->age;
    }
    return ok;
}

static bool edit_place(World *w, unsigned i)
{
    MemoryRegion *mr = w->regions[i];
    Shadow *s = &w->shadows[i];
    hwaddr addr = random_addr(w);
    Int128 size = random_size(w);
    int priority = (int)below(w, 5) - 2;

    switch (below(w, 5)) {
    case 0:
        if (s->container >= 0 &&
            memory_region_del_subregion(w->regions[s->container], mr, NULL)) {
            s->container = -1;
        }
        return true;
    case 1:
        if (memory_region_set_address(mr, addr, NULL)) {
            s->addr = addr;
            s->age = ++w->age;
        }
        return true;
    case 2:
        if (memory_region_set_priority(mr, priority, NULL)) {
            s->priority = priority;
        }
        return true;
    case 3:
        if (memory_region_set_size(mr, size, NULL)) {
            s->size = size;
        }
        return true;
    default:
        if (memory_region_set_alias_offset(mr, addr, NULL)) {
            s->alias_offset = addr;
        }
        return true;
    }
}

static void edit_attribute(World *w, unsigned i)
{
    MemoryRegion *mr = w->regions[i];
    Shadow *s = &w->shadows[i];
    bool on = below(w, 2);

    switch (below(w, 5)) {
    case 0:
        on = below(w, 4) != 0; /* mostly something to see */
        if (memory_region_set_enabled(mr, on, NULL)) {
            s->enabled = on;
        }
        break;
    case 1:
        if (memory_region_set_readonly(mr, on, NULL)) {
            s->readonly = on;
        }
        break;
    case 2:
        if (memory_region_set_nonvolatile(mr, on, NULL)) {
            s->nonvolatile = on;
        }
        break;
    case 3:
        if (memory_region_rom_device_set_romd(mr, on, NULL)) {
            s->romd_mode = on;
        }
        break;
    default:
        if (memory_region_set_log(mr, on, DIRTY_CLIENT_MIGRATION, NULL)) {
            s->dirty_log_mask = on ? DIRTY_CLIENT_MIGRATION : 0;
        }
    }
}

static void random_edit(World *w)
{
    unsigned i = below(w, REGIONS);
    uint32_t dice = below(w, 10);

    if (dice < 5) {
        edit_add(w, i, below(w, 2) ? below(w, REGIONS) : 0);
    } else if (dice < 8) {
        edit_place(w, i);
    } else {
        edit_attribute(w, i);
    }
}

/* The tree is what the edits that took effect say. */
static void check_shadows(World *w)
{
    for (unsigned i = 0; i < REGIONS; i++) {
        const MemoryRegion *mr = w->regions[i];
        const Shadow *s = &w->shadows[i];

        assert_ptr_equal(mr->container, s->container < 0 ? NULL : w->regions[s->container]);
        assert_true(mr->size == s->size && mr->addr == s->addr && mr->priority == s->priority &&
                    mr->alias_offset == s->alias_offset && mr->enabled == s->enabled &&
                    mr->readonly == s->readonly && mr->nonvolatile == s->nonvolatile &&
                    mr->romd_mode == s->romd_mode && mr->dirty_log_mask == s->dirty_log_mask);
        for (unsigned j = 0; j < i; j++) {
            if (s->container >= 0 && s->container == w->shadows[j].container) {
                assert_int_equal(mr->order > w->regions[j]->order, s->age > w->shadows[j].age);
            }
        }
    }
}

static void check_world(World *w)
{
    memory_system_lock(w->ms);
    check_shadows(w);
    for (unsigned i = 0; i < SPACES; i++) {
        painter_check(w->spaces[i]);
        check_mirror(w, i);
    }
    memory_system_unlock(w->ms);
}

static void random_transaction(World *w)
{
    Shadow before[REGIONS];
    GString *dump = g_string_new(NULL), *after = g_string_new(NULL);
    unsigned edits = 1 + below(w, 5), inner = below(w, 3);
    bool ok, aborted = below(w, 12) == 0;

    memcpy(before, w->shadows, sizeof(before));
    memory_dump_tree(w->ms, dump);
    w->refuse = below(w, 3) == 0 ? 1 + below(w, 2) : REFUSE_NOT;
    w->refuse_at = below(w, SPACES);
    memory_region_transaction_begin(w->ms);
    for (unsigned i = 0; i < edits; i++) {
        if (i == inner) {
            memory_region_transaction_begin(w->ms);
        }
        random_edit(w);
        if (i == inner && aborted) {
            memory_region_transaction_abort(w->ms);
        } else if (i == inner) {
            assert_true(memory_region_transaction_commit(w->ms, NULL));
        }
    }
    ok = memory_region_transaction_commit(w->ms, NULL);
    assert_false(ok && aborted && inner < edits);
    if (!ok) {
        memcpy(w->shadows, before, sizeof(before));
        memory_dump_tree(w->ms, after);
        assert_string_equal(dump->str, after->str);
    }
    w->refuse = REFUSE_NOT;
    g_string_free(dump, TRUE);
    g_string_free(after, TRUE);
}

static void world_init(World *w, TestRandom *random)
{
    *w = (World){ .random = random, .ms = memory_system_new(NULL) };
    for (unsigned i = 0; i < REGIONS; i++) {
        new_region(w, i);
    }
    for (unsigned i = 0; i < SPACES; i++) {
        MemoryRegion *root = w->regions[i ? below(w, REGIONS) : 0];

        w->spaces[i] = address_space_new(w->ms, root, "space", NULL);
        mirror_init(&w->mirrors[i], w, w->spaces[i], (int)below(w, 3));
    }
}

static void world_done(World *w)
{
    for (unsigned i = 0; i < SPACES; i++) {
        memory_listener_unregister(&w->mirrors[i].listener);
        assert_int_equal(w->mirrors[i].tiles->len, 0);
        g_array_unref(w->mirrors[i].tiles);
        address_space_free(w->spaces[i]);
    }
    for (unsigned i = 0; i < REGIONS; i++) {
        if (w->regions[i]->container) {
            assert_true(memory_region_del_subregion(w->regions[i]->container, w->regions[i], NULL));
        }
    }
    for (unsigned i = REGIONS; i-- > 0;) {
        memory_region_release(w->regions[i]);
        ram_block_unref(w->blocks[i]);
    }
    memory_system_free(w->ms);
}

static void test_render_random_trees(void **state)
{
    const char *text = getenv("TESSERA_PAINTER_WORLDS");
    unsigned worlds = text ? (unsigned)atoi(text) : 100;
    TestRandom random = test_random_new("painter", 0x7e55e7a);

    for (unsigned i = 0; i < worlds; i++) {
        World w;

        world_init(&w, &random);
        check_world(&w);
        for (unsigned t = 0; t < 40; t++) {
            random_transaction(&w);
            check_world(&w);
        }
        world_done(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_render_random_trees),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
