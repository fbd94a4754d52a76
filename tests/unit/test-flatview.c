/* SPDX-License-Identifier: MIT */
/* FlatView: append, walk, find, merge; references; the cost of a render. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../src/memory/tree-internal.h"
#include "support/memory-fixture.h"

static FlatRange range_of(MemoryRegion *mr, hwaddr start, hwaddr last, hwaddr offset)
{
    return (FlatRange){ .mr = mr, .start = start, .last = last, .offset_in_region = offset,
                        .section_id = SECTION_ID_NONE };
}

static void append(GArray *ranges, MemoryRegion *mr, hwaddr start, hwaddr last, hwaddr offset)
{
    FlatRange fr = range_of(mr, start, last, offset);

    flat_ranges_append(ranges, &fr);
}

static FlatView *view_of(Fixture *f, GArray *ranges)
{
    FlatView *view = flatview_new(f->ms, f->root);

    flatview_fill(view, ranges, NULL);
    return view;
}

static void test_flatview_find_in_empty(void **state)
{
    Fixture *f = *state;
    FlatView *view = flatview_new(f->ms, NULL);
    FlatViewIter it;

    flatview_iter_init(&it, view);
    assert_null(flatview_iter_next(&it));
    assert_null(flatview_find(view, 0));
    assert_null(flatview_find_from(view, 0));
    assert_null(flatview_root(view));
    assert_int_equal(flatview_count(view), 0);
    assert_int_equal(flat_tree_height(view->tiles), 0);
    flatview_unref(view);
}

/* Many leaves of tiles [16 i, 16 i + 7]; the last one ends at 2^64 - 1. */
static void test_flatview_find_over_leaves(void **state)
{
    Fixture *f = *state;
    MemoryRegion *mr = fixture_io(f, "i", 16);
    g_autoptr(GArray) ranges = flat_ranges_new();
    FlatView *view;
    const unsigned n = 2000;
    FlatViewIter it;

    for (unsigned i = 0; i < n; i++) {
        append(ranges, mr, i * 16, i * 16 + 7, 0);
    }
    append(ranges, mr, UINT64_MAX, UINT64_MAX, 0);
    view = view_of(f, ranges);
    assert_int_equal(flatview_count(view), n + 1);
    assert_int_equal(flat_tree_height(view->tiles), 3); /* 2001, 63, 8 */
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(flatview_find(view, i * 16)->start, i * 16);
        assert_int_equal(flatview_find(view, i * 16 + 7)->start, i * 16);
        assert_null(flatview_find(view, i * 16 + 8));
        assert_int_equal(flatview_find_from(view, i * 16 + 7)->start, i * 16);
        assert_true(flatview_find_from(view, i * 16 + 8)->start ==
                    (i + 1 < n ? i * 16 + 16 : UINT64_MAX));
    }
    assert_non_null(flatview_find(view, UINT64_MAX));
    flatview_iter_init(&it, view);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(flatview_iter_next(&it)->start, i * 16);
    }
    assert_int_equal(flatview_iter_next(&it)->last, UINT64_MAX);
    assert_null(flatview_iter_next(&it));
    assert_null(flatview_iter_next(&it));
    assert_int_equal(atomic_load(&mr->refs), n + 2);
    flatview_unref(view);
    assert_int_equal(atomic_load(&mr->refs), 1);
}

/* What merges and each thing that keeps two neighbours apart. */
static void test_flat_ranges_append_merges_what_runs_on(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_io(f, "a", 16), *b = fixture_io(f, "b", 16);
    g_autoptr(GArray) ranges = flat_ranges_new();
    FlatRange fr = range_of(a, 40, 49, 40);
    const hwaddr starts[] = { 0, 20, 30, 40, 50, 60, 70, 80, 95 };

    append(ranges, a, 0, 9, 0);
    append(ranges, a, 10, 19, 10);  /* runs on */
    append(ranges, b, 20, 29, 20);  /* another region */
    append(ranges, a, 30, 39, 30);
    fr.readonly = true;
    flat_ranges_append(ranges, &fr); /* attributes */
    append(ranges, a, 50, 59, 50);
    fr = range_of(a, 60, 69, 60);
    fr.dirty_log_mask = 1;
    flat_ranges_append(ranges, &fr); /* dirty-log mask */
    append(ranges, a, 70, 79, 70);
    append(ranges, a, 80, 89, 81);  /* offset */
    append(ranges, a, 95, 99, 96);  /* hole */
    assert_int_equal(ranges->len, G_N_ELEMENTS(starts));
    for (unsigned i = 0; i < G_N_ELEMENTS(starts); i++) {
        assert_int_equal(g_array_index(ranges, FlatRange, i).start, starts[i]);
    }
    assert_int_equal(g_array_index(ranges, FlatRange, 0).last, 19);
    assert_int_equal(atomic_load(&a->refs), 1); /* under construction: no references */
}

static void test_flatview_generation_is_never_reused(void **state)
{
    Fixture *f = *state;
    FlatView *a = flatview_new(f->ms, f->root), *b;
    uint64_t first = flatview_generation(a);

    flatview_unref(a);
    b = flatview_new(f->ms, f->root);
    assert_true(flatview_generation(b) > first && first > 0);
    flatview_unref(b);
}

/* Equal tiles of successive views carry the same section id; what is gone is given back. */
static void test_sections_stay_across_views(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_io(f, "a", 2), *b = fixture_io(f, "b", 2);
    uint32_t id;

    fixture_space(f);
    fixture_add(f->root, 0, a, 0);
    id = flatview_find(address_space_flatview(f->as), 0)->section_id;
    assert_int_not_equal(id, SECTION_ID_NONE);
    fixture_add(f->root, 4, b, 0); /* the effective root changes, the tile does not */
    assert_int_equal(flatview_find(address_space_flatview(f->as), 0)->section_id, id);
    rcu_drain();
    assert_int_equal(section_table_count(f->ms->sections), 2);
    assert_true(memory_region_set_address(a, FIXTURE_PAGE, NULL));
    assert_int_not_equal(
        flatview_find(address_space_flatview(f->as), FIXTURE_PAGE)->section_id, id);
    rcu_drain();
    assert_int_equal(section_table_count(f->ms->sections), 2);
}

static void test_sections_of_a_refused_view_are_given_back(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_io(f, "a", 2);
    Recorder *r;

    fixture_space(f);
    r = fixture_record(f, "L", 0);
    r->fail_apply = true;
    assert_false(memory_region_add_subregion(f->root, 0, a, NULL));
    assert_int_equal(section_table_count(f->ms->sections), 0);
    r->fail_apply = false;
}

/* The part of a render that is counted: tiles made and index nodes looked at, per region. */
static double render_cost(unsigned n)
{
    Fixture *f = fixture_new();
    uint64_t visited = 0, before;
    GArray *ranges;
    double cost;

    memory_region_transaction_begin(f->ms);
    assert_true(memory_region_set_size(f->root, INT128_2_64, NULL));
    for (unsigned i = 0; i < n; i++) { /* every second one lies in the way of its neighbours */
        fixture_add(f->root, i * 2654435761u % n, fixture_io(f, "i", 1 + i % 2), (int)(i % 3));
    }
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    memory_system_lock(f->ms);
    before = region_index_visits(f->root->children);
    ranges = render_memory_region(f->root, addr_range(0, INT128_2_64), &visited);
    cost = (double)(visited + region_index_visits(f->root->children) - before) / n;
    memory_system_unlock(f->ms);
    g_array_unref(ranges);
    fixture_done(f);
    return cost;
}

static void test_render_cost_is_linear(void **state)
{
    double small = render_cost(1000), large = render_cost(10000);

    print_message("render: %.2f and %.2f steps a region\n", small, large);
    assert_true(large <= 2 * small);
}

/* A window looks at what it finds, not at all siblings: an alias on one of 10,000. */
static void test_render_window_prunes(void **state)
{
    Fixture *f = *state;
    MemoryRegion *big = fixture_container(f, "b", 10000), *alias;
    uint64_t before, visited = 0;
    GArray *ranges;

    memory_region_transaction_begin(f->ms);
    for (unsigned i = 0; i < 10000; i++) {
        fixture_add(big, i, fixture_io(f, "i", 1), 0);
    }
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    alias = fixture_alias(f, "x", big, 5000, 2);
    memory_system_lock(f->ms);
    before = region_index_visits(big->children);
    ranges = render_memory_region(alias, addr_range(0, INT128_2_64), &visited);
    assert_true(region_index_visits(big->children) - before < 200);
    memory_system_unlock(f->ms);
    assert_int_equal(ranges->len, 2);
    g_array_unref(ranges);
}

#define VIEW_TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        VIEW_TEST(test_flatview_find_in_empty),
        VIEW_TEST(test_flatview_find_over_leaves),
        VIEW_TEST(test_flat_ranges_append_merges_what_runs_on),
        VIEW_TEST(test_flatview_generation_is_never_reused),
        VIEW_TEST(test_sections_stay_across_views),
        VIEW_TEST(test_sections_of_a_refused_view_are_given_back),
        cmocka_unit_test(test_render_cost_is_linear),
        VIEW_TEST(test_render_window_prunes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
