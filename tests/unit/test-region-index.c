/* SPDX-License-Identifier: MIT */
/* RegionIndex: against a linear search, and what a query costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../src/memory/region-index-internal.h"
#include "support/memory-fixture.h"
#include "support/painter.h"

#define CHILDREN 60u

/* Bare regions: the index reads only addr, size, enabled, priority and order. */
static void random_place(TestRandom *r, MemoryRegion *mr)
{
    mr->enabled = test_random_below(r, 4) > 0;
    mr->addr = test_random_below(r, 5) ? test_random_below(r, 200)
                                       : UINT64_MAX - test_random_below(r, 200);
    mr->size = test_random_below(r, 5) ? 1 + test_random_below(r, 20)
                                       : INT128_2_64 - test_random_below(r, 3);
}

static bool contains(const GPtrArray *found, const MemoryRegion *mr)
{
    return g_ptr_array_find((GPtrArray *)found, mr, NULL);
}

static void check_query(RegionIndex *index, const MemoryRegion *regions, const bool *in,
                        AddrRange window)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    guint expected = 0;

    region_index_query(index, window, found);
    for (unsigned i = 0; i < CHILDREN; i++) {
        const MemoryRegion *mr = &regions[i];
        bool hit = in[i] && mr->enabled && addr_range_intersects(window, addr_range(mr->addr, mr->size));

        assert_int_equal(contains(found, mr), hit);
        expected += hit;
    }
    assert_int_equal(found->len, expected);
    for (guint i = 1; i < found->len; i++) {
        assert_true(((MemoryRegion *)found->pdata[i - 1])->addr <=
                    ((MemoryRegion *)found->pdata[i])->addr);
    }
}

static void test_region_index_query_against_linear_search(void **state)
{
    TestRandom r = test_random_new("region-index", 0x1d3);
    g_autofree MemoryRegion *regions = g_new0(MemoryRegion, CHILDREN);
    bool in[CHILDREN] = { false };
    RegionIndex *index = region_index_new(REGION_INDEX_CHILDREN);
    uint32_t count = 0;

    for (unsigned step = 0; step < 20000; step++) {
        unsigned i = test_random_below(&r, CHILDREN);

        if (in[i] && test_random_below(&r, 2)) {
            regions[i].enabled = !regions[i].enabled;
            region_index_refresh(index, &regions[i]);
            in[i] = !in[i];
        } else if (in[i]) {
            region_index_remove(index, &regions[i]);
            count--;
        } else {
            random_place(&r, &regions[i]);
            region_index_insert(index, &regions[i]);
            count++;
        }
        in[i] = !in[i];
        assert_int_equal(region_index_count(index), count);
        check_query(index, regions, in,
                    addr_range((Int128)test_random_below(&r, 240) - 10,
                               test_random_below(&r, 30)));
        check_query(index, regions, in, addr_range(UINT64_MAX - 100, test_random_below(&r, 300)));
    }
    region_index_free(index);
}

#define LARGE 4000u

static void check_against_all(RegionIndex *index, const MemoryRegion *regions, const bool *in,
                              AddrRange window)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    guint expected = 0;

    region_index_query(index, window, found);
    for (unsigned i = 0; i < LARGE; i++) {
        expected += in[i] && regions[i].enabled &&
                    addr_range_intersects(window, addr_range(regions[i].addr, regions[i].size));
    }
    assert_int_equal(found->len, expected);
    for (guint i = 0; i < found->len; i++) {
        const MemoryRegion *mr = found->pdata[i];

        assert_true(in[mr - regions] && mr->enabled);
        assert_true(addr_range_intersects(window, addr_range(mr->addr, mr->size)));
        assert_true(i == 0 || ((MemoryRegion *)found->pdata[i - 1])->addr < mr->addr ||
                    (((MemoryRegion *)found->pdata[i - 1])->addr == mr->addr &&
                     found->pdata[i - 1] < found->pdata[i]));
    }
}

/*
 * Levels come and go: thousands of regions, many at the same place, come and go in random order, by
 * turns more of the one and of the other, down to none.
 */
static void test_region_index_grows_and_shrinks(void **state)
{
    TestRandom r = test_random_new("region-index", 0x5177);
    g_autofree MemoryRegion *regions = g_new0(MemoryRegion, LARGE);
    g_autofree bool *in = g_new0(bool, LARGE);
    RegionIndex *index = region_index_new(REGION_INDEX_CHILDREN);
    uint32_t count = 0;

    for (unsigned step = 0; step < 60000 || count > 0; step++) {
        unsigned i = test_random_below(&r, LARGE);
        bool grow = step / 10000 % 2 == 0 && step < 60000;

        if (in[i] && test_random_below(&r, grow ? 8 : 1) == 0) {
            region_index_remove(index, &regions[i]);
            count--;
            in[i] = false;
        } else if (in[i]) {
            regions[i].enabled = !regions[i].enabled;
            region_index_refresh(index, &regions[i]);
        } else if (grow || (step < 60000 && test_random_below(&r, 8) == 0)) {
            regions[i].enabled = test_random_below(&r, 4) > 0;
            regions[i].addr = (hwaddr)test_random_below(&r, 500) * 8 -
                              (test_random_below(&r, 10) ? 0 : 2000);
            regions[i].size = test_random_below(&r, 100) ? 1 + test_random_below(&r, 12)
                                                         : INT128_2_64;
            region_index_insert(index, &regions[i]);
            count++;
            in[i] = true;
        }
        assert_int_equal(region_index_count(index), count);
        if (step % 64 == 0) {
            hwaddr at = (hwaddr)test_random_below(&r, 6000) - 2000;

            check_against_all(index, regions, in, addr_range(at, 1 + test_random_below(&r, 40)));
        }
    }
    check_against_all(index, regions, in, addr_range(0, INT128_2_64));
    region_index_free(index);
}

static void test_region_index_null_and_empty(void **state)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    RegionIndex *index = region_index_new(REGION_INDEX_CHILDREN);

    region_index_query(NULL, addr_range(0, INT128_2_64), found);
    region_index_query(index, addr_range(0, INT128_2_64), found);
    assert_int_equal(found->len, 0);
    assert_int_equal(region_index_count(NULL), 0);
    region_index_free(index);
    region_index_free(NULL);
}

/* Aliases stand by what they show of their target, not by where they lie. */
static void test_region_index_of_aliases(void **state)
{
    MemoryRegion a = { .size = 4, .addr = 100, .alias_offset = 0, .enabled = true };
    MemoryRegion b = { .size = 4, .addr = 0, .alias_offset = 4, .enabled = true };
    RegionIndex *index = region_index_new(REGION_INDEX_ALIASES);
    g_autoptr(GPtrArray) found = g_ptr_array_new();

    region_index_insert(index, &a);
    region_index_insert(index, &b);
    region_index_query(index, addr_range(3, 1), found);
    assert_int_equal(found->len, 1);
    assert_ptr_equal(found->pdata[0], &a);
    region_index_query(index, addr_range(3, 2), found);
    assert_int_equal(found->len, 3);
    region_index_remove(index, &a);
    region_index_free(index);
}

static bool stop_at_second(MemoryRegion *mr, void *opaque)
{
    return ++*(unsigned *)opaque < 2;
}

/* Whoever asks for two among 100,000 looks at two; disabled ones are not even passed. */
static void test_region_index_visit_costs_what_it_visits(void **state)
{
    const unsigned n = 100000;
    g_autofree MemoryRegion *regions = g_new0(MemoryRegion, n);
    RegionIndex *index = region_index_new(REGION_INDEX_CHILDREN);
    unsigned seen = 0;

    for (unsigned i = 0; i < n; i++) {
        regions[i] = (MemoryRegion){ .addr = i * 16, .size = 16, .enabled = true };
        region_index_insert(index, &regions[i]);
    }
    region_index_visit(index, addr_range(0, INT128_2_64), stop_at_second, &seen);
    assert_int_equal(seen, 2);
    assert_true(region_index_visits(index) < 100);
    for (unsigned i = 0; i < n - 1; i++) {
        regions[i].enabled = false;
        region_index_refresh(index, &regions[i]);
    }
    seen = 0;
    region_index_visit(index, addr_range(0, INT128_2_64), stop_at_second, &seen);
    assert_int_equal(seen, 1);
    assert_true(region_index_visits(index) < 300);
    assert_int_equal(region_index_count(index), n);
    region_index_free(index);
}

/* Among 100,000 children, a window that finds one looks at a few dozen nodes, in any order of
 * insertion; so does one behind a child that spans everything. */
static void test_region_index_query_costs_what_it_finds(void **state)
{
    const unsigned n = 100000;
    g_autofree MemoryRegion *regions = g_new0(MemoryRegion, n + 1);
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    RegionIndex *index = region_index_new(REGION_INDEX_CHILDREN);
    uint64_t before;

    for (unsigned i = 0; i < n; i++) {
        regions[i].addr = i * 16;
        regions[i].size = 16;
        regions[i].enabled = true;
        region_index_insert(index, &regions[i]);
    }
    regions[n].size = INT128_2_64;
    regions[n].enabled = true;
    region_index_insert(index, &regions[n]);
    for (unsigned i = 0; i < 1000; i++) {
        before = region_index_visits(index);
        g_ptr_array_set_size(found, 0);
        region_index_query(index, addr_range(i * 1600 + 3, 1), found);
        assert_int_equal(found->len, 2);
        assert_true(region_index_visits(index) - before < 300);
    }
    region_index_free(index);
}

static void test_region_children_in_order_winning_first(void **state)
{
    MemoryRegion parent = { 0 };
    MemoryRegion a = { .size = 1, .order = 1 }, b = { .size = 1, .order = 2, .addr = 9 };
    MemoryRegion c = { .size = 1, .order = 3, .priority = -1 };
    MemoryRegion d = { .size = 1, .order = 0, .priority = 7, .addr = UINT64_MAX };
    MemoryRegion *expected[] = { &d, &b, &a, &c };
    g_autoptr(GPtrArray) order = NULL;

    parent.children = region_index_new(REGION_INDEX_CHILDREN);
    region_index_insert(parent.children, &a);
    region_index_insert(parent.children, &b);
    region_index_insert(parent.children, &c);
    region_index_insert(parent.children, &d);
    order = region_children_in_order(&parent);
    assert_int_equal(order->len, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_ptr_equal(order->pdata[i], expected[i]);
    }
    region_index_free(parent.children);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_region_index_query_against_linear_search),
        cmocka_unit_test(test_region_index_grows_and_shrinks),
        cmocka_unit_test(test_region_index_null_and_empty),
        cmocka_unit_test(test_region_index_of_aliases),
        cmocka_unit_test(test_region_index_visit_costs_what_it_visits),
        cmocka_unit_test(test_region_index_query_costs_what_it_finds),
        cmocka_unit_test(test_region_children_in_order_winning_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
