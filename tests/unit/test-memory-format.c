/* SPDX-License-Identifier: MIT */
/* How x and xp show memory. The expected lines are QEMU 7.2's, but for signed numbers, see below. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "../../src/monitor/memory-format-internal.h"

static const uint8_t bytes[16] = { 0xea, 0x5b, 0xe0, 0x00, 0xf0, 0x30, 0x36, 0x2f,
                                   0x32, 0x33, 0x2f, 0x39, 0x39, 0x00, 0xfc, 0x00 };

static void check(const char *format, unsigned line, const char *wanted)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    MemoryFormat f;

    assert_true(memory_format_parse(format, &f, &error));
    assert_int_equal(memory_format_line_bytes(&f), line);
    memory_format_append(&f, bytes, (unsigned)MIN(memory_format_bytes(&f), line), out);
    assert_string_equal(out->str, wanted);
}

static void test_format_numbers_in_columns(void **state)
{
    check("4xw", 16, " 0x00e05bea 0x2f3630f0 0x392f3332 0x00fc0039");
    check("8xb", 8, " 0xea 0x5b 0xe0 0x00 0xf0 0x30 0x36 0x2f");
    check("4xh", 16, " 0x5bea 0x00e0 0x30f0 0x2f36");
    check("2xg", 16, " 0x2f3630f000e05bea 0x00fc0039392f3332");
    check("4dw", 16, "   14703594  792080624  959394610   16515129");
    check("4uw", 16, "   14703594  792080624  959394610   16515129");
    check("4ow", 16, "   070055752 05715430360 07113631462   077000071");
    check("4ob", 8, " 0352 0133 0340   0");
    check("4ub", 8, " 234  91 224   0");
    check("4uh", 16, " 23530   224 12528 12086");
    check("2dg", 16, "  3401960375889976298    70931939903615794");
    check("2og", 16, " 0274661417000070055752   03740003447113631462");
}

static void test_format_signed_numbers_have_signs(void **state)
{
    check("4db", 8, " -22  91 -32   0"); /* QEMU shows 234, which is not what d says */
}

static void test_format_characters(void **state)
{
    g_autoptr(GString) out = g_string_new(NULL);
    MemoryFormat f;

    check("3cw", 16, " '\\xea' '[' '\\xe0' '\\x00' '\\xf0' '0' '6' '/' '2' '3' '/' '9'");
    check("20cb", 8, " '\\xea' '[' '\\xe0' '\\x00' '\\xf0' '0' '6' '/'");
    assert_true(memory_format_parse("cb", &f, NULL));
    memory_format_append(&f, (const uint8_t *)"'\\\n\r\x7f", 5, out);
    assert_string_equal(out->str, " '\\'' '\\\\' '\\n' '\\r' '\\x7f'");
}

static void test_format_instructions_are_bytes(void **state)
{
    MemoryFormat f;

    check("1i", 15, " ea 5b e0 00 f0 30 36 2f 32 33 2f 39 39 00 fc");
    assert_true(memory_format_parse("3i", &f, NULL));
    assert_int_equal(memory_format_bytes(&f), 45); /* the longest that three can be */
}

static void test_format_defaults(void **state)
{
    MemoryFormat f;

    assert_true(memory_format_parse(NULL, &f, NULL));
    assert_true(f.count == 1 && f.letter == 'x' && f.size == 4);
    assert_true(memory_format_parse("", &f, NULL));
    assert_true(f.count == 1 && f.letter == 'x' && f.size == 4);
    assert_true(memory_format_parse("g", &f, NULL));
    assert_true(f.count == 1 && f.letter == 'x' && f.size == 8);
    assert_true(memory_format_parse("7ho", &f, NULL)); /* in either order, as in QEMU */
    assert_true(f.count == 7 && f.letter == 'o' && f.size == 2);
    assert_true(memory_format_parse("1048576b", &f, NULL));
}

static void check_refused(const char *format, const char *part)
{
    g_autoptr(GError) error = NULL;
    MemoryFormat f = { 9, '?', 9 };

    assert_false(memory_format_parse(format, &f, &error));
    if (!strstr(error->message, part)) {
        fail_msg("%s", error->message);
    }
    assert_true(f.count == 9 && f.letter == '?' && f.size == 9);
}

static void test_format_refusals(void **state)
{
    check_refused("z", "'z'");
    check_refused("4xwq", "'q'");
    check_refused("x4", "'4'");
    check_refused("-1x", "'-'");
    check_refused("0x", "count 0");
    check_refused("1048577b", "count 1048577");
    check_refused("99999999999999999999999b", "count 9999");
    check_refused("1048576w", "4194304");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format_numbers_in_columns),
        cmocka_unit_test(test_format_signed_numbers_have_signs),
        cmocka_unit_test(test_format_characters),
        cmocka_unit_test(test_format_instructions_are_bytes),
        cmocka_unit_test(test_format_defaults),
        cmocka_unit_test(test_format_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
