/* SPDX-License-Identifier: MIT */
/* A commit costs what changed: counted, not timed; and what takes its place when it cannot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "../../src/memory/tree-internal.h"
#include "support/memory-fixture.h"
#include "support/mirror.h"
#include "support/view-check.h"

#define MANY 100000u

static int setup(void **state)
{
    *state = fixture_new();
    return 0;
}

static int teardown(void **state)
{
    fixture_done(*state);
    return 0;
}

static const MemoryRegionOps no_ops;

/* @n pages of a device each, one after another, in the root, which is made large enough. */
static MemoryRegion **add_many(Fixture *f, unsigned n)
{
    MemoryRegion **regions = g_new(MemoryRegion *, n);

    memory_region_transaction_begin(f->ms);
    assert_true(memory_region_set_size(f->root, INT128_2_64, NULL));
    for (unsigned i = 0; i < n; i++) {
        regions[i] = memory_region_new_io(f->ms, NULL, &no_ops, NULL, "device", FIXTURE_PAGE);
        fixture_add(f->root, i, regions[i], 0);
    }
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    return regions;
}

static void drop_many(Fixture *f, MemoryRegion **regions, unsigned n)
{
    memory_region_transaction_begin(f->ms);
    for (unsigned i = 0; i < n; i++) {
        assert_true(memory_region_del_subregion(f->root, regions[i], NULL));
        memory_region_release(regions[i]);
    }
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    g_free(regions);
}

static void hear(MemoryListener *l, const MemoryRegionSection *section)
{
}

/* Looks of the last commit, at tiles and at nodes of the root's index. */
static void assert_cheap(Fixture *f, uint64_t visits_before)
{
    MemoryCommitStats last = memory_system_last_stats(f->ms);

    assert_int_equal(last.views_rendered, 1);
    assert_true(last.ranges_visited <= 8);
    assert_true(last.radix_nodes_built <= 4);
    assert_true(last.listener_calls <= 8);
    assert_true(region_index_visits(f->root->children) - visits_before < 400);
}

static void test_commit_among_100000_costs_what_changed(void **state)
{
    Fixture *f = *state;
    MemoryRegion **regions, *over = fixture_io(f, "o", 1);
    MemoryListener listener = { .name = "ear", .region_add = hear, .region_del = hear };
    uint64_t before;

    fixture_space(f);
    regions = add_many(f, MANY);
    assert_true(memory_listener_register(&listener, f->as, NULL));
    for (unsigned i = 0; i < 10; i++) {
        MemoryRegion *mr = regions[(i * 7919 + 13) % MANY];

        before = region_index_visits(f->root->children);
        assert_true(memory_region_set_enabled(mr, false, NULL));
        assert_cheap(f, before);
        before = region_index_visits(f->root->children);
        assert_true(memory_region_set_enabled(mr, true, NULL));
        assert_cheap(f, before);
    }
    before = region_index_visits(f->root->children);
    fixture_add(f->root, 500, over, 1);
    assert_cheap(f, before);
    before = region_index_visits(f->root->children);
    assert_true(memory_region_set_address(over, 600 * FIXTURE_PAGE, NULL));
    assert_cheap(f, before);
    assert_int_equal(flatview_count(address_space_flatview(f->as)), MANY);
    memory_listener_unregister(&listener);
    drop_many(f, regions, MANY);
}

/* Among 100,000 disabled ones, too: whether a container has one child to show is soon told. */
static void test_commit_among_100000_disabled(void **state)
{
    Fixture *f = *state;
    MemoryRegion **regions;
    uint64_t before;

    fixture_space(f);
    regions = add_many(f, MANY);
    memory_region_transaction_begin(f->ms);
    for (unsigned i = 0; i < MANY; i++) {
        assert_true(memory_region_set_enabled(regions[i], false, NULL));
    }
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    assert_int_equal(flatview_count(address_space_flatview(f->as)), 0);
    for (unsigned i = 0; i < 3; i++) {
        before = region_index_visits(f->root->children);
        assert_true(memory_region_set_enabled(regions[MANY / 2 + i], true, NULL));
        assert_cheap(f, before);
    }
    drop_many(f, regions, MANY);
}

/* Whoever has region_nop hears of all that stays, at that price; the others only of the change. */
static void test_region_nop_is_for_who_asks(void **state)
{
    Fixture *f = *state;
    MemoryRegion **regions;
    Mirror *plain, *curious;

    fixture_space(f);
    regions = add_many(f, 100);
    plain = mirror_new(f->as, 0, false);
    curious = mirror_new(f->as, 1, true);
    assert_true(memory_region_set_enabled(regions[50], false, NULL));
    assert_int_equal(curious->nops, 99);
    assert_int_equal(plain->nops, 0);
    mirror_free(curious);
    assert_true(memory_region_set_enabled(regions[50], true, NULL));
    assert_true(memory_system_last_stats(f->ms).listener_calls <= 6);
    mirror_check(plain);
    mirror_free(plain);
    drop_many(f, regions, 100);
}

/* Many windows in a small view become one; in a large view they stay apart. */
static void test_many_windows_in_one_transaction(void **state)
{
    const unsigned counts[] = { 300, 5000 };

    for (unsigned c = 0; c < G_N_ELEMENTS(counts); c++) {
        Fixture *f = fixture_new();
        MemoryRegion **regions;
        Mirror *mirror;

        fixture_space(f);
        regions = add_many(f, counts[c]);
        mirror = mirror_new(f->as, 0, false);
        for (unsigned on = 0; on < 2; on++) {
            memory_region_transaction_begin(f->ms);
            for (unsigned i = 0; i < 100; i++) {
                assert_true(memory_region_set_enabled(regions[3 * i], on, NULL));
            }
            assert_true(memory_region_transaction_commit(f->ms, NULL));
            assert_int_equal(flatview_count(address_space_flatview(f->as)),
                             on ? counts[c] : counts[c] - 100);
            radix_check(address_space_flatview(f->as));
            mirror_check(mirror);
        }
        mirror_free(mirror);
        drop_many(f, regions, counts[c]);
        fixture_done(f);
    }
}

/*
 * Twenty floors of containers, each with two aliases of the floor below: a million paths lead up
 * from the ground, and the way on from its own place is the last. The walk gives way to whole
 * spaces.
 */
static void test_exponential_paths_take_whole_spaces(void **state)
{
    Fixture *f = *state;
    MemoryRegion *ground = fixture_io(f, "g", 1), *below = ground;

    for (unsigned floor = 0; floor < 20; floor++) {
        MemoryRegion *c = fixture_container(f, "c", 1);

        fixture_add(c, 0, fixture_alias(f, "x", below, 0, 1), 0);
        fixture_add(c, 0, fixture_alias(f, "y", below, 0, 1), 1);
        below = c;
    }
    fixture_add(f->root, 3, below, 0);
    fixture_add(f->root, 9, ground, 0);
    fixture_space(f);
    for (unsigned readonly = 0; readonly < 4; readonly++) {
        const FlatView *view = address_space_flatview(f->as);

        assert_int_equal(flatview_count(view), 2);
        assert_int_equal(flatview_find(view, 3 * FIXTURE_PAGE)->readonly, readonly % 2);
        assert_int_equal(flatview_find(view, 9 * FIXTURE_PAGE)->readonly, readonly % 2);
        assert_true(memory_region_set_readonly(ground, !(readonly % 2), NULL));
    }
}

/*
 * A transaction that comes by the same places again and again remembers each of them once: here 64
 * pages that 50 aliases show, 100 times.
 */
static void test_dirty_windows_do_not_pile_up(void **state)
{
    Fixture *f = *state;
    MemoryRegion *target = fixture_container(f, "t", 128), *pages[64];

    assert_true(memory_region_set_size(f->root, INT128_2_64, NULL));
    for (unsigned i = 0; i < G_N_ELEMENTS(pages); i++) {
        pages[i] = fixture_io(f, "i", 1);
        fixture_add(target, 2 * i, pages[i], 0);
    }
    for (unsigned i = 0; i < 50; i++) {
        fixture_add(f->root, 128 * i, fixture_alias(f, "x", target, 0, 128), 0);
    }
    fixture_space(f);
    memory_region_transaction_begin(f->ms);
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(pages); i++) {
            assert_true(memory_region_set_enabled(pages[i], round % 2, NULL));
        }
        assert_true(f->as->dirty->len <= 4 * 50 * G_N_ELEMENTS(pages));
    }
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    assert_int_equal(flatview_count(address_space_flatview(f->as)), 50 * G_N_ELEMENTS(pages));
    view_check_rendered(f->as);
}

/* The full path hears and shows the same, and looks at everything. */
static void test_full_render_shows_the_same(void **state)
{
    Fixture *f = *state;
    MemoryRegion **regions;
    Mirror *mirror;

    fixture_space(f);
    regions = add_many(f, 200);
    mirror = mirror_new(f->as, 0, false);
    memory_system_set_full_render(f->ms, true);
    assert_true(memory_region_set_enabled(regions[7], false, NULL));
    assert_true(memory_system_last_stats(f->ms).ranges_visited > 500);
    assert_true(memory_system_last_stats(f->ms).listener_calls <= 6);
    view_check(f->as);
    mirror_check(mirror);
    memory_system_set_full_render(f->ms, false);
    assert_true(memory_region_set_enabled(regions[7], true, NULL));
    assert_true(memory_system_last_stats(f->ms).ranges_visited < 10);
    view_check(f->as);
    mirror_check(mirror);
    mirror_free(mirror);
    drop_many(f, regions, 200);
}

/* A commit that is refused leaves no trace in what the next one sees. */
static void test_refused_commit_leaves_nothing_dirty(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_io(f, "a", 2), *b = fixture_io(f, "b", 2);
    Mirror *mirror;
    FlatView *view;

    fixture_add(f->root, 0, a, 0);
    fixture_space(f);
    mirror = mirror_new(f->as, 0, false);
    view = address_space_flatview(f->as);
    mirror->refuse = MIRROR_FAILS_APPLY;
    assert_false(memory_region_add_subregion(f->root, 4 * FIXTURE_PAGE, b, NULL));
    mirror->refuse = MIRROR_FOLLOWS;
    assert_null(f->as->dirty);
    assert_ptr_equal(address_space_flatview(f->as), view);
    assert_true(memory_region_set_enabled(a, false, NULL));
    view_check(f->as);
    mirror_check(mirror);
    mirror_free(mirror);
}

#define COMMIT_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        COMMIT_TEST(test_commit_among_100000_costs_what_changed),
        COMMIT_TEST(test_commit_among_100000_disabled),
        COMMIT_TEST(test_region_nop_is_for_who_asks),
        COMMIT_TEST(test_many_windows_in_one_transaction),
        COMMIT_TEST(test_exponential_paths_take_whole_spaces),
        COMMIT_TEST(test_dirty_windows_do_not_pile_up),
        COMMIT_TEST(test_full_render_shows_the_same),
        COMMIT_TEST(test_refused_commit_leaves_nothing_dirty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
