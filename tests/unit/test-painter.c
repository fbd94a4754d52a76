/* SPDX-License-Identifier: MIT */
/* Random trees, random edits, transactions that fail at random: views equal their paintings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "support/mirror.h"
#include "support/painter.h"
#include "support/view-check.h"
#include "tessera/memory/address-space.h"
#include "tessera/memory/mtree-dump.h"
#include "tessera/util/event-notifier.h"

#define REGIONS    18u
#define SPACES     3u
#define NOTIFIERS  3u
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

typedef struct World {
    TestRandom *random;
    MemorySystem *ms;
    MemoryRegion *regions[REGIONS];
    RAMBlock *blocks[REGIONS];
    Shadow shadows[REGIONS];
    uint64_t age;
    AddressSpace *spaces[SPACES];
    Mirror *mirrors[SPACES];
    EventNotifier notifiers[NOTIFIERS];
    bool refuse; /* one of the mirrors will */
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

    assert_true(ok ? allowed : !allowed || w->refuse);
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

/* Few offsets and notifiers, so that they are found again, refused, and replaced. */
static void edit_events(World *w, unsigned i)
{
    MemoryRegion *mr = w->regions[i];
    EventNotifier *notifier = &w->notifiers[below(w, NOTIFIERS)];
    hwaddr offset = (hwaddr)below(w, 5) * 0x3ff;
    unsigned size = 1u << below(w, 4);
    bool match = below(w, 2);

    switch (below(w, 5)) {
    case 0:
        memory_region_del_eventfd(mr, offset, size, match, 7, notifier, NULL);
        break;
    case 1:
        memory_region_add_coalescing(mr, offset, 1 + below(w, 0x800), NULL);
        break;
    case 2:
        memory_region_clear_coalescing(mr, NULL);
        break;
    default:
        memory_region_add_eventfd(mr, offset, size, match, 7, notifier, NULL);
    }
}

static void random_edit(World *w)
{
    unsigned i = below(w, REGIONS);
    uint32_t dice = below(w, 12);

    if (dice < 5) {
        edit_add(w, i, below(w, 2) ? below(w, REGIONS) : 0);
    } else if (dice < 8) {
        edit_place(w, i);
    } else if (dice < 10) {
        edit_attribute(w, i);
    } else {
        edit_events(w, i);
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
        view_check(w->spaces[i]);
        mirror_check(w->mirrors[i]);
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
    w->refuse = below(w, 3) == 0;
    if (w->refuse) {
        w->mirrors[below(w, SPACES)]->refuse = 1 + below(w, 2);
    }
    memory_system_set_full_render(w->ms, below(w, 8) == 0);
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
    for (unsigned i = 0; i < SPACES; i++) {
        w->mirrors[i]->refuse = MIRROR_FOLLOWS;
    }
    g_string_free(dump, TRUE);
    g_string_free(after, TRUE);
}

static void new_space(World *w, unsigned i)
{
    w->spaces[i] = address_space_new(w->ms, w->regions[i ? below(w, REGIONS) : 0], "space",
                                     NULL);
    w->mirrors[i] = mirror_new(w->spaces[i], (int)below(w, 3), below(w, 2));
}

static void drop_space(World *w, unsigned i)
{
    mirror_free(w->mirrors[i]);
    address_space_free(w->spaces[i]);
}

static void world_init(World *w, TestRandom *random)
{
    *w = (World){ .random = random, .ms = memory_system_new(NULL) };
    for (unsigned i = 0; i < REGIONS; i++) {
        new_region(w, i);
    }
    for (unsigned i = 0; i < SPACES; i++) {
        new_space(w, i);
    }
}

static void world_done(World *w)
{
    for (unsigned i = 0; i < SPACES; i++) {
        drop_space(w, i);
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

/* A world's life; now and then a space ends and another begins. */
static void run_world(TestRandom *random, unsigned transactions)
{
    World w;

    world_init(&w, random);
    check_world(&w);
    for (unsigned t = 0; t < transactions; t++) {
        if (below(&w, 20) == 0) {
            unsigned space = below(&w, SPACES);

            drop_space(&w, space);
            new_space(&w, space);
        }
        random_transaction(&w);
        check_world(&w);
    }
    world_done(&w);
}

/* TESSERA_STRESS: how many transactions (TESSERA_LONG: 200,000), of 1 to 5 edits each. */
static void test_commit_random_edits(void **state)
{
    const char *text = getenv("TESSERA_STRESS");
    unsigned n = text ? (unsigned)atoi(text) : getenv("TESSERA_LONG") ? 200000 : 4000;
    unsigned of_a_world = n > 4000 ? 400 : 40; /* the end of one costs more than its life */
    TestRandom random = test_random_new("painter", 0x7e55e7a);

    for (unsigned done = 0; done < n; done += of_a_world) {
        run_world(&random, of_a_world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commit_random_edits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
