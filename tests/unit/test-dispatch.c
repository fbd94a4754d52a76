/* SPDX-License-Identifier: MIT */
/* The dispatch against a linear search, and the ids and nodes behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <inttypes.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../src/memory/section-table-internal.h"
#include "../../src/memory/dirty-internal.h"
#include "support/view-check.h"

#define PAGE       UINT64_C(0x1000)
#define MAX_RANDOM 400

typedef struct Fixture {
    MemorySystem *ms;
    MemoryRegion *mr;
    GArray *ranges; /* of the view under construction */
    GRand *rand;
} Fixture;

static const MemoryRegionOps no_ops;

static uint64_t seed_of_run(void)
{
    const char *text = g_getenv("TESSERA_SEED");

    return text ? g_ascii_strtoull(text, NULL, 0) : 20260;
}

static int set_up(void **state)
{
    Fixture *f = g_new0(Fixture, 1);

    f->ms = memory_system_new(NULL);
    f->mr = memory_region_new_io(f->ms, NULL, &no_ops, NULL, "tile", INT128_2_64);
    f->ranges = flat_ranges_new();
    f->rand = g_rand_new_with_seed(seed_of_run());
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *f = *state;

    memory_region_release(f->mr);
    memory_system_free(f->ms);
    g_array_unref(f->ranges);
    g_rand_free(f->rand);
    g_free(f);
    return 0;
}

static uint64_t random_u64(GRand *rand)
{
    return (uint64_t)g_rand_int(rand) << 32 | g_rand_int(rand);
}

/* An offset that no neighbour runs on from. */
static FlatRange tile_of(Fixture *f, hwaddr start, hwaddr last)
{
    return (FlatRange){ .mr = f->mr, .start = start, .last = last, .offset_in_region = ~start,
                        .section_id = SECTION_ID_NONE };
}

static void add_tile(Fixture *f, hwaddr start, hwaddr last)
{
    FlatRange fr = tile_of(f, start, last);

    flat_ranges_append(f->ranges, &fr);
}

/* The tiles added so far become the view's. */
static Dispatch *prepare(Fixture *f, FlatView *view, const FlatView *old)
{
    Dispatch *dispatch;

    flatview_fill(view, f->ranges, old);
    g_array_set_size(f->ranges, 0);
    dispatch = dispatch_new(f->ms->sections, view, NULL, NULL);
    flatview_set_dispatch(view, dispatch);
    return dispatch;
}

/* The slow truth. */
static const FlatRange *linear_search(const FlatView *view, hwaddr addr)
{
    const FlatRange *fr;
    FlatViewIter it;

    flatview_iter_init(&it, view);
    while ((fr = flatview_iter_next(&it))) {
        if (fr->start <= addr && addr <= fr->last) {
            return fr;
        }
    }
    return NULL;
}

static void check_section(const DispatchSection *s, const FlatRange *fr)
{
    if (!fr) {
        assert_null(s->mr);
        assert_int_equal(s->id, SECTION_ID_UNASSIGNED);
        assert_int_equal(s->start, 0);
        assert_true(s->last == UINT64_MAX);
        return;
    }
    assert_ptr_equal(s->mr, fr->mr);
    assert_int_equal(s->id, fr->section_id);
    assert_true(s->start == fr->start && s->last == fr->last);
    assert_true(s->offset_in_region == fr->offset_in_region);
}

static void check_addr(const FlatView *view, hwaddr addr)
{
    check_section(dispatch_lookup(flatview_dispatch(view), addr), linear_search(view, addr));
}

/* At, before and after each border: where every mistake would show. */
static void check_borders(const FlatView *view)
{
    const FlatRange *fr;
    FlatViewIter it;

    flatview_iter_init(&it, view);
    while ((fr = flatview_iter_next(&it))) {
        const Dispatch *d = flatview_dispatch(view);

        check_section(dispatch_lookup(d, fr->start), fr);
        check_section(dispatch_lookup(d, fr->start + (fr->last - fr->start) / 2), fr);
        check_section(dispatch_lookup(d, fr->last), fr);
        check_addr(view, fr->start - 1); /* wraps at 0: the last address, as good as any */
        check_addr(view, fr->last + 1);
    }
    check_addr(view, 0);
    check_addr(view, UINT64_MAX);
}

static void test_dispatch_lookup_empty_view(void **state)
{
    Fixture *f = *state;
    FlatView *view = flatview_new(f->ms, NULL);
    Dispatch *d = prepare(f, view, NULL);
    hwaddr start;

    check_borders(view);
    assert_int_equal(dispatch_nodes(d), 0);
    assert_false(dispatch_next_start(d, 0, &start));
    flatview_unref(view);
}

static void test_dispatch_lookup_one_tile_needs_no_node(void **state)
{
    Fixture *f = *state;
    FlatView *view = flatview_new(f->ms, NULL);
    Dispatch *d;
    hwaddr start;

    add_tile(f, 0x12345678, 0x12345fff);
    d = prepare(f, view, NULL);
    check_borders(view);
    check_addr(view, 0xfff0000012345678);
    assert_int_equal(dispatch_nodes(d), 0);
    assert_true(dispatch_next_start(d, 7, &start));
    assert_int_equal(start, 0x12345678);
    assert_false(dispatch_next_start(d, 0x12346000, &start));
    flatview_unref(view);
}

static void test_dispatch_lookup_whole_space(void **state)
{
    Fixture *f = *state;
    FlatView *view = flatview_new(f->ms, NULL);

    add_tile(f, 0, UINT64_MAX);
    prepare(f, view, NULL);
    check_borders(view);
    check_addr(view, UINT64_C(1) << 63);
    flatview_unref(view);
}

/*
 *   0          1                       2^64 - 4097     2^64 - 2    2^64 - 1
 *   | A |  B (all the rest, but:)      |  hole         |  C        |  D   |
 */
static void test_dispatch_lookup_edges_of_2_64(void **state)
{
    Fixture *f = *state;
    FlatView *view = flatview_new(f->ms, NULL);

    add_tile(f, 0, 0);
    add_tile(f, 1, UINT64_MAX - 4097);
    add_tile(f, UINT64_MAX - 1, UINT64_MAX - 1);
    add_tile(f, UINT64_MAX, UINT64_MAX);
    prepare(f, view, NULL);
    check_borders(view);
    flatview_unref(view);
}

/* Ports: many tiles in page 0, one that reaches into page 1, one that starts a page late. */
static void test_dispatch_lookup_ports_in_one_page(void **state)
{
    Fixture *f = *state;
    FlatView *view = flatview_new(f->ms, NULL);

    for (hwaddr port = 0x20; port < 0xf00; port += 8) {
        add_tile(f, port, port + port % 7);
    }
    add_tile(f, 0xffe, 0x1003);
    add_tile(f, 0x1004, 0x1004);
    add_tile(f, 0xffff, 0xffff);
    prepare(f, view, NULL);
    for (hwaddr port = 0; port < 0x10010; port++) {
        check_addr(view, port);
    }
    flatview_unref(view);
}

static void test_dispatch_lookup_full_page_of_bytes(void **state)
{
    Fixture *f = *state;
    FlatView *view = flatview_new(f->ms, NULL);

    for (hwaddr port = 0; port < PAGE; port++) {
        add_tile(f, PAGE + port, PAGE + port);
    }
    prepare(f, view, NULL);
    check_borders(view);
    flatview_unref(view);
}

/* A PC: RAM in three pieces, VGA, a hole, devices below 4 GiB. Big tiles cost no nodes. */
static void test_dispatch_nodes_of_a_pc(void **state)
{
    Fixture *f = *state;
    FlatView *view = flatview_new(f->ms, NULL);

    add_tile(f, 0, 0x9ffff);
    add_tile(f, 0xa0000, 0xbffff);
    add_tile(f, 0xc0000, 0xbfffffff);
    add_tile(f, 0xfec00000, 0xfec00fff);
    add_tile(f, 0xfee00000, 0xfee00fff);
    add_tile(f, 0x100000000, 0x13fffffff);
    prepare(f, view, NULL);
    check_borders(view);
    assert_int_equal(dispatch_nodes(flatview_dispatch(view)), 4); /* drawn in docs/dispatch.md */
    flatview_unref(view);
}

/* One page each 2 MiB: the windows with one tile need no node of their own. */
static void test_dispatch_nodes_sparse_are_skipped(void **state)
{
    Fixture *f = *state;
    FlatView *view = flatview_new(f->ms, NULL);

    for (hwaddr i = 0; i < 1024; i++) {
        add_tile(f, i << 21, (i << 21) + PAGE - 1);
    }
    prepare(f, view, NULL);
    check_borders(view);
    assert_int_equal(dispatch_nodes(flatview_dispatch(view)), 3);
    flatview_unref(view);
}

static uint64_t random_length(GRand *rand, uint64_t room)
{
    unsigned bits = g_rand_int_range(rand, 0, 64);
    uint64_t length = random_u64(rand) >> (63 - bits);

    switch (g_rand_int_range(rand, 0, 4)) {
    case 0:
        length |= PAGE - 1; /* a border near a page's */
        break;
    case 1:
        length &= 0xff;
        break;
    default:
        break;
    }
    return MIN(length, room);
}

/* Tiles and gaps of random sizes from one byte to a large part of the address space. */
static FlatView *random_view(Fixture *f)
{
    FlatView *view = flatview_new(f->ms, NULL);
    unsigned count = g_rand_int_range(f->rand, 0, MAX_RANDOM);
    unsigned top = g_rand_int_range(f->rand, 8, 64);
    hwaddr at = g_rand_boolean(f->rand) ? 0 : random_u64(f->rand) >> (63 - top / 2);

    for (unsigned i = 0; i < count; i++) {
        uint64_t gap = g_rand_boolean(f->rand) ? 0 : random_length(f->rand, UINT64_MAX - at) >> 3;
        hwaddr start = at + gap;
        hwaddr last = start + (random_length(f->rand, UINT64_MAX - start) >> (63 - top));

        add_tile(f, start, last);
        if (last == UINT64_MAX) {
            break;
        }
        at = last + 1;
    }
    return view;
}

static void test_dispatch_lookup_random_views(void **state)
{
    Fixture *f = *state;
    FlatView *old = NULL;

    for (unsigned round = 0; round < 200; round++) {
        FlatView *view = random_view(f);
        const FlatRange *fr;
        hwaddr start;

        prepare(f, view, old);
        check_borders(view);
        for (unsigned i = 0; i < 100; i++) {
            hwaddr addr = random_u64(f->rand) >> g_rand_int_range(f->rand, 0, 64);
            bool found = dispatch_next_start(flatview_dispatch(view), addr, &start);

            check_addr(view, addr);
            fr = flatview_find_from(view, addr);
            assert_int_equal(found, fr != NULL);
            assert_true(!fr || start == fr->start);
        }
        flatview_unref(old);
        old = view;
    }
    flatview_unref(old);
    assert_int_equal(section_table_count(f->ms->sections), 0);
    assert_int_equal(slot_pool_used(&f->ms->sections->nodes), 0);
    assert_int_equal(slot_pool_used(&f->ms->sections->subpages), 0);
}

/* Random tiles come and go in a view; each radix is built from the one before. */
static void test_dispatch_random_changes_from_the_old_radix(void **state)
{
    Fixture *f = *state;
    FlatView *view = random_view(f);

    prepare(f, view, NULL);
    for (unsigned round = 0; round < 1500; round++) {
        g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(AddrRange));
        unsigned windows = 1 + g_rand_int_range(f->rand, 0, 3);
        FlatView *next = flatview_copy(view, NULL);

        for (unsigned i = 0; i < windows; i++) {
            unsigned shift = g_rand_int_range(f->rand, 0, 64);
            hwaddr start = random_u64(f->rand) >> shift;
            hwaddr room = random_length(f->rand, UINT64_MAX - start);
            AddrRange window = addr_range(start, (Int128)room + 1);

            if (g_rand_boolean(f->rand)) {
                add_tile(f, start, start + (room >> g_rand_int_range(f->rand, 0, 20)));
            }
            flatview_replace(next, window, f->ranges, spans);
            g_array_set_size(f->ranges, 0);
        }
        addr_ranges_normalize(spans);
        flatview_set_dispatch(next, dispatch_new(f->ms->sections, next, flatview_dispatch(view),
                                                 spans));
        flatview_unref(view);
        view = next;
        radix_check(view);
        if (flatview_count(view) == 0 || round % 100 == 99) {
            flatview_unref(view);
            view = random_view(f);
            prepare(f, view, NULL);
        }
        if (round % 10 == 0) {
            dispatch_check(view);
        }
    }
    flatview_unref(view);
    assert_int_equal(section_table_count(f->ms->sections), 0);
    assert_int_equal(slot_pool_used(&f->ms->sections->nodes), 0);
    assert_int_equal(slot_pool_used(&f->ms->sections->subpages), 0);
}

static void test_dispatch_lookup_100000_sections(void **state)
{
    Fixture *f = *state;
    FlatView *view = flatview_new(f->ms, NULL);
    const FlatRange *fr;
    FlatViewIter it;

    for (hwaddr i = 0; i < 100000; i++) {
        add_tile(f, i * PAGE, i * PAGE + PAGE - 1 - i % 3);
    }
    prepare(f, view, NULL);
    assert_int_equal(section_table_count(f->ms->sections), 100000);
    flatview_iter_init(&it, view);
    while ((fr = flatview_iter_next(&it))) {
        check_section(dispatch_lookup(flatview_dispatch(view), fr->start), fr);
        check_section(dispatch_lookup(flatview_dispatch(view), fr->last), fr);
        if (fr->start % PAGE == 0 && (fr->start / PAGE) % 3) {
            check_section(dispatch_lookup(flatview_dispatch(view), fr->start + PAGE - 1), NULL);
        }
    }
    flatview_unref(view);
    assert_int_equal(section_table_count(f->ms->sections), 0);
}

/* Equal tiles keep their id from view to view; a given-back id, and only that, is used again. */
static void test_section_ids_stable_until_given_back(void **state)
{
    Fixture *f = *state;
    FlatView *a = flatview_new(f->ms, NULL);
    FlatView *b = flatview_new(f->ms, NULL);
    FlatView *c = flatview_new(f->ms, NULL);
    uint32_t gone;

    add_tile(f, 0, 9);
    add_tile(f, 10, 19);
    prepare(f, a, NULL);
    gone = flatview_find(a, 10)->section_id;

    add_tile(f, 0, 9);
    add_tile(f, 30, 39);
    prepare(f, b, a);
    assert_int_equal(flatview_find(b, 0)->section_id, flatview_find(a, 0)->section_id);
    assert_int_not_equal(flatview_find(b, 30)->section_id, gone);
    assert_int_equal(section_table_count(f->ms->sections), 3);

    flatview_unref(a);
    assert_int_equal(section_table_count(f->ms->sections), 2);
    add_tile(f, 50, 59);
    prepare(f, c, b);
    assert_int_equal(flatview_find(c, 50)->section_id, gone);
    check_borders(b);
    flatview_unref(b);
    check_borders(c);
    flatview_unref(c);
}

static void test_section_table_remove_needs_every_user(void **state)
{
    Fixture *f = *state;
    FlatRange fr = tile_of(f, 1, 2);
    SectionTable *table = section_table_new(NULL);
    uint32_t id = section_table_add(table, &fr, 1), more[5000];
    const DispatchSection *s = section_table_get(table, id);

    section_table_ref(table, id);
    section_table_remove(table, id);
    assert_int_equal(section_table_count(table), 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(more); i++) { /* what a reader holds stays where it is */
        more[i] = section_table_add(table, &fr, 1);
        assert_int_not_equal(more[i], id);
    }
    assert_ptr_equal(section_table_get(table, id), s);
    assert_int_equal(s->start, 1);
    assert_int_equal(atomic_load(&f->mr->refs), 1 + 1 + G_N_ELEMENTS(more));
    section_table_remove(table, id);
    assert_int_equal(section_table_count(table), G_N_ELEMENTS(more));
    assert_int_equal(section_table_add(table, &fr, 1), id);
    section_table_remove(table, id);
    for (unsigned i = 0; i < G_N_ELEMENTS(more); i++) {
        section_table_remove(table, more[i]);
    }
    assert_int_equal(atomic_load(&f->mr->refs), 1); /* with the last id the region goes */
    section_table_free(table);
}

static void test_slot_pool_shared_slot_dies_with_last(void **state)
{
    SlotPool pool;
    uint32_t a, b;

    assert_true(slot_pool_init(&pool, "slots", 64, 1u << 14, NULL));
    a = slot_pool_get(&pool);
    slot_pool_ref(&pool, a);
    assert_false(slot_pool_unref(&pool, a));
    b = slot_pool_get(&pool);
    assert_int_not_equal(a, b);
    assert_true(slot_pool_unref(&pool, a));
    slot_pool_put(&pool, a);
    assert_int_equal(slot_pool_used(&pool), 1);
    assert_int_equal(slot_pool_get(&pool), a);
    slot_pool_done(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_dispatch_lookup_empty_view, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dispatch_lookup_one_tile_needs_no_node, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_dispatch_lookup_whole_space, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dispatch_lookup_edges_of_2_64, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dispatch_lookup_ports_in_one_page, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dispatch_lookup_full_page_of_bytes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_dispatch_nodes_of_a_pc, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dispatch_nodes_sparse_are_skipped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dispatch_lookup_random_views, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dispatch_random_changes_from_the_old_radix, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_dispatch_lookup_100000_sections, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_section_ids_stable_until_given_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_section_table_remove_needs_every_user, set_up,
                                        tear_down),
        cmocka_unit_test(test_slot_pool_shared_slot_dies_with_last),
    };

    print_message("TESSERA_SEED=%" PRIu64 "\n", seed_of_run());
    return cmocka_run_group_tests_name("dispatch", tests, NULL, NULL);
}
