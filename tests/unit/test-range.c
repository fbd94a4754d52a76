/* SPDX-License-Identifier: MIT */
/* AddrRange: empty, touching and overlapping ranges, at zero, below it and at 2^64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tessera/util/range.h"

static void test_addr_range_intersection_overlapping(void **state)
{
    AddrRange r = addr_range_intersection(addr_range(10, 10), addr_range(15, 20));

    assert_true(addr_range_equal(r, addr_range(15, 5)));
    r = addr_range_intersection(addr_range(15, 20), addr_range(10, 10));
    assert_true(addr_range_equal(r, addr_range(15, 5)));
    r = addr_range_intersection(addr_range(0, INT128_2_64), addr_range(-5, 10));
    assert_true(addr_range_equal(r, addr_range(0, 5)));
}

static void test_addr_range_intersection_apart_is_empty(void **state)
{
    assert_true(addr_range_is_empty(
        addr_range_intersection(addr_range(0, 10), addr_range(10, 10))));
    assert_true(addr_range_is_empty(
        addr_range_intersection(addr_range(30, 10), addr_range(10, 10))));
    assert_true(addr_range_is_empty(
        addr_range_intersection(addr_range(0, 0), addr_range(0, 10))));
}

static void test_addr_range_intersects_edges(void **state)
{
    assert_true(addr_range_intersects(addr_range(0, 11), addr_range(10, 1)));
    assert_false(addr_range_intersects(addr_range(0, 10), addr_range(10, 1)));
    assert_false(addr_range_intersects(addr_range(5, 0), addr_range(0, 10)));
    assert_true(addr_range_intersects(addr_range(0, INT128_2_64), addr_range(UINT64_MAX, 1)));
    assert_false(addr_range_intersects(addr_range(0, INT128_2_64), addr_range(INT128_2_64, 1)));
}

static void test_addr_range_contains_edges(void **state)
{
    assert_true(addr_range_contains(addr_range(4, 2), 4));
    assert_true(addr_range_contains(addr_range(4, 2), 5));
    assert_false(addr_range_contains(addr_range(4, 2), 6));
    assert_false(addr_range_contains(addr_range(4, 2), 3));
    assert_false(addr_range_contains(addr_range(4, 0), 4));
    assert_true(addr_range_contains(addr_range(0, INT128_2_64), UINT64_MAX));
}

static void test_addr_range_contains_range_edges(void **state)
{
    assert_true(addr_range_contains_range(addr_range(0, 10), addr_range(0, 10)));
    assert_true(addr_range_contains_range(addr_range(0, 10), addr_range(9, 1)));
    assert_false(addr_range_contains_range(addr_range(0, 10), addr_range(9, 2)));
    assert_false(addr_range_contains_range(addr_range(1, 10), addr_range(0, 2)));
}

static void test_addr_range_shift_below_zero(void **state)
{
    AddrRange r = addr_range_shift(addr_range(0, INT128_2_64), -(Int128)UINT64_MAX);

    assert_true(r.start == -(Int128)UINT64_MAX);
    assert_true(addr_range_end(r) == 1);
}

static void test_u64_range_valid_wrapping(void **state)
{
    assert_true(u64_range_valid(0, 1));
    assert_true(u64_range_valid(UINT64_MAX, 1));
    assert_true(u64_range_valid(1, UINT64_MAX));
    assert_false(u64_range_valid(0, 0));
    assert_false(u64_range_valid(UINT64_MAX, 2));
    assert_false(u64_range_valid(2, UINT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addr_range_intersection_overlapping),
        cmocka_unit_test(test_addr_range_intersection_apart_is_empty),
        cmocka_unit_test(test_addr_range_intersects_edges),
        cmocka_unit_test(test_addr_range_contains_edges),
        cmocka_unit_test(test_addr_range_contains_range_edges),
        cmocka_unit_test(test_addr_range_shift_below_zero),
        cmocka_unit_test(test_u64_range_valid_wrapping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
