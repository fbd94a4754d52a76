/* SPDX-License-Identifier: MIT */
/* Numbers as people write them to a monitor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "support/monitor-fixture.h"

static void expect(const char *text, uint64_t wanted)
{
    Monitor mon = { 0 };
    g_autoptr(GError) error = NULL;
    uint64_t value = 0;

    if (!monitor_expression(&mon, text, &value, NULL, &error)) {
        fail_msg("%s: %s", text, error->message);
    }
    assert_int_equal(value, wanted);
}

static void expect_error(const char *text, const char *part)
{
    Monitor mon = { 0 };
    g_autoptr(GError) error = NULL;
    uint64_t value = 77;

    assert_false(monitor_expression(&mon, text, &value, NULL, &error));
    if (!strstr(error->message, part)) {
        fail_msg("%s: '%s' is not in '%s'", text, part, error->message);
    }
    assert_int_equal(value, 77);
}

static void test_numbers(void **state)
{
    expect("0", 0);
    expect("123", 123);
    expect("0x7B", 123);
    expect("017", 15);
    expect("18446744073709551615", UINT64_MAX);
    expect("0xffffffffffffffff", UINT64_MAX);
    expect_error("18446744073709551616", "64 bits");
    expect_error("0x", "64 bits");
    expect_error("12ab", "64 bits");
    expect_error("", "number");
    expect_error("abc", "number");
    expect_error("#", "number");
}

static void test_operators_and_their_order(void **state)
{
    expect("1 + 2 * 3", 7);
    expect("(1+2)*3", 9);
    expect("7 - 2 - 1", 4);
    expect("100/7%4", 2);
    expect("0xf0 & 0x3c | 1 ^ 3", (((0xf0 & 0x3c) | 1) ^ 3));
    expect("-1", UINT64_MAX);
    expect("~0xfff", ~UINT64_C(0xfff));
    expect("- - +~0", ~UINT64_C(0));
    expect("1-2", UINT64_MAX);
    expect("0xffffffffffffffff + 1", 0);
    expect("  5  ", 5);
}

static void test_operators_that_cannot_be(void **state)
{
    expect_error("1/0", "division by zero");
    expect_error("1%(1-1)", "division by zero");
    expect_error("(1", "')' is expected");
    expect_error("1)", "operator is expected at ')'");
    expect_error("1 2", "operator is expected at '2'");
    expect_error("1 +", "number");
    expect_error("*1", "number");
    expect_error("()", "number");
}

static void test_nesting_has_an_end(void **state)
{
    g_autofree char *brackets = g_strnfill(100000, '(');
    g_autofree char *signs = g_strnfill(100000, '-');

    expect_error(brackets, "deep");
    expect_error(signs, "deep");
    expect("((((((((((1))))))))))", 1);
}

static void test_rest_is_told(void **state)
{
    Monitor mon = { 0 };
    const char *rest = NULL;
    uint64_t value;

    assert_true(monitor_expression(&mon, "1+1, more", &value, &rest, NULL));
    assert_int_equal(value, 2);
    assert_string_equal(rest, ", more");
}

static void test_registers(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S -smp 2");
    g_autoptr(GError) error = NULL;
    uint64_t rip, value;

    assert_true(monitor_expression(&f->mon, "$rip", &rip, NULL, NULL));
    assert_true(monitor_expression(&f->mon, "$rip + 16", &value, NULL, NULL));
    assert_int_equal(value, rip + 16);
    assert_false(monitor_expression(&f->mon, "$nope", &value, NULL, &error));
    assert_text_has(error->message, "nope");
    g_clear_error(&error);
    assert_false(monitor_expression(&f->mon, "$", &value, NULL, &error));
    assert_non_null(error);
    monitor_fixture_free(f);
}

/* Against the same arithmetic done here, left to right with two levels. */
static void test_random_sums_and_products(void **state)
{
    const char *given = getenv("TESSERA_SEED");
    guint32 seed = given ? (guint32)strtoul(given, NULL, 0) : 20260731;
    GRand *rand = g_rand_new_with_seed(seed);

    printf("# expr: TESSERA_SEED=%u\n", seed);
    for (unsigned round = 0; round < 20000; round++) {
        g_autoptr(GString) text = g_string_new("0");
        uint64_t sum = 0;

        for (int terms = g_rand_int_range(rand, 1, 5); terms > 0; terms--) {
            bool minus = g_rand_boolean(rand);
            uint64_t product = 1;

            g_string_append(text, minus ? "-" : "+");
            for (int factors = g_rand_int_range(rand, 1, 4); factors > 0; factors--) {
                uint32_t n = g_rand_int(rand);

                g_string_append_printf(text, g_rand_boolean(rand) ? " %u" : "0x%x", n);
                g_string_append(text, factors > 1 ? "*" : " ");
                product *= n;
            }
            sum = minus ? sum - product : sum + product;
        }
        expect(text->str, sum);
    }
    g_rand_free(rand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_operators_and_their_order),
        cmocka_unit_test(test_operators_that_cannot_be),
        cmocka_unit_test(test_nesting_has_an_end),
        cmocka_unit_test(test_rest_is_told),
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_random_sums_and_products),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
