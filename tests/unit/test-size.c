/* SPDX-License-Identifier: MIT */
/* Sizes, numbers and switches as people write them. */
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tessera/util/error.h"
#include "tessera/util/size.h"

static void expect_size(const char *text, uint64_t unit, uint64_t expected)
{
    g_autoptr(GError) error = NULL;
    uint64_t size = 12345;

    if (!size_parse(text, unit, &size, &error)) {
        fail_msg("'%s' refused: %s", text, error->message);
    }
    if (size != expected) {
        fail_msg("'%s' gave %" G_GUINT64_FORMAT ", not %" G_GUINT64_FORMAT, text, size, expected);
    }
}

static void expect_refused(const char *text, const char *part)
{
    g_autoptr(GError) error = NULL;
    uint64_t size = 12345;

    if (size_parse(text, 1, &size, &error)) {
        fail_msg("'%s' accepted as %" G_GUINT64_FORMAT, text, size);
    }
    assert_int_equal(size, 12345); /* untouched */
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_INVALID));
    if (!strstr(error->message, part) || !strstr(error->message, text)) {
        fail_msg("'%s': message '%s' lacks '%s'", text, error->message, part);
    }
}

static void test_size_parse_suffixes(void **state)
{
    static const char suffixes[] = "BKMGTPE";

    for (int i = 0; suffixes[i]; i++) {
        char upper[] = { '3', suffixes[i], 0 }, lower[] = { '3', g_ascii_tolower(suffixes[i]), 0 };

        expect_size(upper, 7, UINT64_C(3) << (10 * i));
        expect_size(lower, 7, UINT64_C(3) << (10 * i));
    }
}

static void test_size_parse_default_unit(void **state)
{
    expect_size("512", 1, 512);
    expect_size("512", MIB, 512 * MIB);
    expect_size("1.5", MIB, 1536 * KIB);
    expect_size("0", MIB, 0);
    expect_size("007", 1, 7);
}

static void test_size_parse_fractions(void **state)
{
    expect_size("1.5G", 1, 1536 * MIB);
    expect_size("0.25K", 1, 256);
    expect_size("1.0009765625K", 1, 1025);
    expect_size("2.0B", 1, 2);
}

static void test_size_parse_hexadecimal(void **state)
{
    expect_size("0x1000", 1, 4096);
    expect_size("0xBe", 1, 0xbe); /* B and E are digits here */
    expect_size("0X10M", 1, 16 * MIB);
    expect_size("0x10", MIB, 16 * MIB);
    expect_size("0xffffffffffffffff", 1, UINT64_MAX);
}

static void test_size_parse_edges(void **state)
{
    expect_size("18446744073709551615", 1, UINT64_MAX);
    expect_size("15E", 1, 15 * EIB);
    expect_size("15.5E", 1, 15 * EIB + 512 * PIB);
    expect_size("16383P", 1, 16383 * PIB);
}

static void test_size_parse_refuses(void **state)
{
    expect_refused("", "empty");
    expect_refused("-1", "negative");
    expect_refused("-1G", "negative");
    expect_refused("+1", "digit");
    expect_refused(" 1", "digit");
    expect_refused("G", "digit");
    expect_refused(".5G", "digit");
    expect_refused("1 G", "suffix");
    expect_refused("1X", "suffix");
    expect_refused("1GB", "suffix");
    expect_refused("1G ", "suffix");
    expect_refused("1e3", "suffix");
    expect_refused("0x", "0x");
    expect_refused("0xg", "0x");
    expect_refused("0x1.8G", "fraction");
    expect_refused("1.G", "fraction");
    expect_refused("1.1234567890123456789G", "fraction");
    expect_refused("1.5", "whole bytes");
    expect_refused("1.3K", "whole bytes");
    expect_refused("16E", "larger");
    expect_refused("18446744073709551616", "larger");
    expect_refused("0x10000000000000000", "larger");
    expect_refused("18014398509481984K", "larger");
    expect_refused("99999999999999999999999999E", "larger");
}

static void test_uint_parse(void **state)
{
    g_autoptr(GError) error = NULL;
    static const char *const bad[] = { "", "x", "-1", "1x", "0x", "1.5", "65", "3",
                                       "99999999999999999999999", NULL };
    uint64_t value = 99;

    assert_true(uint_parse("4", 4, 64, &value, &error));
    assert_int_equal(value, 4);
    assert_true(uint_parse("0x40", 4, 64, &value, &error));
    assert_int_equal(value, 64);
    for (int i = 0; bad[i]; i++) {
        g_clear_error(&error);
        assert_false(uint_parse(bad[i], 4, 64, &value, &error));
        assert_non_null(error);
        assert_int_equal(value, 64);
    }
    assert_non_null(strstr(error->message, "4 to 64"));
}

static void test_bool_parse(void **state)
{
    g_autoptr(GError) error = NULL;
    bool value = false;

    assert_true(bool_parse("on", &value, &error) && value);
    assert_true(bool_parse("off", &value, &error) && !value);
    assert_true(bool_parse("yes", &value, &error) && value);
    assert_false(bool_parse("1", &value, &error));
    assert_non_null(strstr(error->message, "'1'"));
}

static void test_size_format(void **state)
{
    static const struct {
        uint64_t size;
        const char *human, *option;
    } cases[] = {
        { 0, "0 B", "0" },
        { 1, "1 B", "1" },
        { 4095, "4095 B", "4095" },
        { 4096, "4 KiB", "4K" },
        { 1536 * MIB, "1.5 GiB", "1536M" },
        { GIB + GIB / 4, "1.25 GiB", "1280M" },
        { 5 * GIB, "5 GiB", "5G" },
        { 5 * GIB + 4096, "5242884 KiB", "5242884K" },
        { UINT64_MAX, "18446744073709551615 B", "18446744073709551615" },
        { 8 * EIB, "8 EiB", "8E" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *human = size_format(cases[i].size);
        g_autofree char *option = size_format_option(cases[i].size);

        assert_string_equal(human, cases[i].human);
        assert_string_equal(option, cases[i].option);
        expect_size(option, 1, cases[i].size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size_parse_suffixes),
        cmocka_unit_test(test_size_parse_default_unit),
        cmocka_unit_test(test_size_parse_fractions),
        cmocka_unit_test(test_size_parse_hexadecimal),
        cmocka_unit_test(test_size_parse_edges),
        cmocka_unit_test(test_size_parse_refuses),
        cmocka_unit_test(test_uint_parse),
        cmocka_unit_test(test_bool_parse),
        cmocka_unit_test(test_size_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
