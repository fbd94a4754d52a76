/* SPDX-License-Identifier: MIT */
/* From words and from JSON to checked arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "../../src/monitor/monitor-internal.h"

static const MonitorArg all_args[] = {
    { .name = "fast", .type = MONITOR_ARG_FLAG, .flag = 'f' },
    { .name = "deep", .type = MONITOR_ARG_FLAG, .flag = 'd' },
    { .name = "fmt", .type = MONITOR_ARG_FORMAT, .optional = true },
    { .name = "addr", .type = MONITOR_ARG_ADDR },
    { .name = "count", .type = MONITOR_ARG_INT, .optional = true },
    { .name = "file", .type = MONITOR_ARG_STRING, .optional = true },
    { 0 },
};
static const MonitorCommand all = { .name = "look", .qmp = "look", .hmp = "look|l",
                                    .args = all_args };

static const MonitorArg size_args[] = {
    { .name = "size", .type = MONITOR_ARG_SIZE },
    { .name = "shared", .type = MONITOR_ARG_BOOL, .optional = true },
    { .name = "text", .type = MONITOR_ARG_REST, .optional = true },
    { 0 },
};
static const MonitorCommand size = { .name = "grow", .qmp = "grow", .hmp = "grow",
                                     .args = size_args };

static const MonitorArg keyval_args[] = {
    { .name = "properties", .type = MONITOR_ARG_KEYVAL, .implied_key = "driver" },
    { 0 },
};
static const MonitorCommand keyval = { .name = "add", .qmp = "add", .hmp = "add",
                                       .args = keyval_args };

static const MonitorCommand none = { .name = "stop", .qmp = "stop", .hmp = "stop" };

static const MonitorArg valued_args[] = {
    { .name = "addr", .type = MONITOR_ARG_ADDR },
    { .name = "cpu", .type = MONITOR_ARG_INT, .flag = 'c', .optional = true },
    { .name = "deep", .type = MONITOR_ARG_FLAG, .flag = 'd' },
    { 0 },
};
static const MonitorCommand valued = { .name = "walk", .qmp = "walk", .hmp = "walk",
                                       .args = valued_args };

static json_t *read_words(const MonitorCommand *cmd, const char *line, GError **error)
{
    Monitor mon = { 0 };
    g_auto(GStrv) words = monitor_args_split(line, error);

    return words ? monitor_args_from_words(&mon, cmd, words, error) : NULL;
}

/* @line gives what @json says. */
static void expect(const MonitorCommand *cmd, const char *line, const char *json)
{
    g_autoptr(GError) error = NULL;
    json_t *args = read_words(cmd, line, &error);
    json_t *wanted = json_loads(json, 0, NULL);

    if (!args) {
        fail_msg("%s: %s", line, error->message);
    }
    assert_non_null(wanted);
    if (!json_equal(args, wanted)) {
        fail_msg("%s: %s", line, json_dumps(args, JSON_SORT_KEYS));
    }
    json_decref(args);
    json_decref(wanted);
}

static void expect_error(const MonitorCommand *cmd, const char *line, const char *part)
{
    g_autoptr(GError) error = NULL;
    json_t *args = read_words(cmd, line, &error);

    assert_null(args);
    assert_non_null(error);
    if (!strstr(error->message, part)) {
        fail_msg("%s: '%s' is not in '%s'", line, part, error->message);
    }
}

static void expect_split(const char *line, const char *joined)
{
    g_auto(GStrv) words = monitor_args_split(line, NULL);
    g_autofree char *text = g_strjoinv("|", words);

    assert_string_equal(text, joined);
}

static void test_split_blanks_and_quotes(void **state)
{
    expect_split("", "");
    expect_split(" \t ", "");
    expect_split("  a\tb  c ", "a|b|c");
    expect_split("\"a b\" \"\" c", "a b||c");
    expect_split("\"a\\\"b\\\\c\\n\"", "a\"b\\c\\n");
    expect_split("a\"b c", "a\"b|c");
}

static void test_split_refuses_crooked_quotes(void **state)
{
    static const char *const lines[] = { "\"", "a \"b c", "\"a\\\"", "\"a\"b", "\"a\"\"b\"" };

    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autoptr(GError) error = NULL;

        assert_null(monitor_args_split(lines[i], &error));
        assert_non_null(strstr(error->message, "quotation mark"));
    }
}

static void test_words_become_arguments(void **state)
{
    expect(&all, "0x10", "{\"addr\": 16}");
    expect(&all, "-f 16 3 /tmp/x", "{\"fast\": true, \"addr\": 16, \"count\": 3, \"file\": \"/tmp/x\"}");
    expect(&all, "--fast 1 --deep", "{\"fast\": true, \"deep\": true, \"addr\": 1}");
    expect(&all, "-fd 1", "{\"fast\": true, \"deep\": true, \"addr\": 1}");
    expect(&all, "-d /4xw 1 -f", "{\"fast\": true, \"deep\": true, \"fmt\": \"4xw\", \"addr\": 1}");
    expect(&all, "1 2 file -f", "{\"fast\": true, \"addr\": 1, \"count\": 2, \"file\": \"file\"}");
    expect(&all, "0xffffffff81000000", "{\"addr\": -2130706432}");
    expect(&size, "1G", "{\"size\": 1073741824}");
    expect(&size, "4096 on some more -x", "{\"size\": 4096, \"shared\": true, \"text\": \"some more -x\"}");
    expect(&none, "", "{}");
}

static void test_flag_with_a_value(void **state)
{
    g_autofree char *usage = monitor_command_usage(&valued);

    assert_string_equal(usage, "walk addr [-c cpu] [-d]");
    expect(&valued, "-c 3 0x10", "{\"addr\": 16, \"cpu\": 3}");
    expect(&valued, "0x10 -c 3", "{\"addr\": 16, \"cpu\": 3}");
    expect(&valued, "-dc 1 + 2 5", "{\"addr\": 5, \"cpu\": 3, \"deep\": true}");
    expect(&valued, "7", "{\"addr\": 7}");
    expect_error(&valued, "1 -c", "cpu is missing");
    expect_error(&valued, "-cd 1 2", "cpu is missing");
    expect_error(&valued, "-c 1", "addr is missing");
    expect_error(&valued, "-c x 1", "cpu: ");
    expect_error(&valued, "-c -1 1", "negative");
    expect_error(&valued, "-x 1", "there is no flag -x; usage: walk addr [-c cpu] [-d]");
}

static void test_words_of_an_expression_belong_together(void **state)
{
    expect(&all, "1 + 2 3", "{\"addr\": 3, \"count\": 3}");
    expect(&all, "( 1 + 2 ) * 4 7", "{\"addr\": 12, \"count\": 7}");
    expect(&all, "1+ 2 +3", "{\"addr\": 3, \"count\": 3}");
    expect(&all, "16 / 2", "{\"addr\": 8}");
    expect(&all, "16 2 /2", "{\"addr\": 16, \"count\": 2, \"file\": \"/2\"}");
    expect_error(&all, "1 +", "number");
    expect_error(&all, "(1", "')'");
}

static void test_keyval_is_one_word(void **state)
{
    expect(&keyval, "dimm,id=a,mem=x", "{\"driver\": \"dimm\", \"id\": \"a\", \"mem\": \"x\"}");
    expect(&keyval, "\"dimm,id=a b\"", "{\"driver\": \"dimm\", \"id\": \"a b\"}");
    expect(&keyval, "dimm,id=a,,b,hot", "{\"driver\": \"dimm\", \"id\": \"a,b\", \"hot\": \"on\"}");
    expect(&keyval, "id=a", "{\"id\": \"a\"}");
    expect_error(&keyval, "dimm,id=a b", "'b' is one word too many");
    expect_error(&keyval, "dimm,=a", "driver");
    expect_error(&keyval, "", "properties is missing");
}

static void test_words_that_are_wrong(void **state)
{
    expect_error(&all, "", "addr is missing; usage: look [-f] [-d] [/fmt] addr [count] [file]");
    expect_error(&all, "-x 1", "no flag -x");
    expect_error(&all, "-fx 1", "no flag -x");
    expect_error(&all, "--fas 1", "no flag --fas;");
    expect_error(&none, "--fast", "'--fast' is one word too many");
    expect_error(&all, "1 2 a b", "'b' is one word too many");
    expect_error(&all, "1x", "addr: no number of 64 bits");
    expect_error(&all, "zz", "addr: a number");
    expect_error(&size, "1Q", "size");
    expect_error(&size, "-1", "size");
    expect_error(&all, "1 -1", "count: '-1' is negative");
    expect_error(&all, "1 (2-3)", "count: '(2-3)' is negative");
    expect_error(&size, "1 maybe", "shared");
    expect_error(&none, "-f", "'-f' is one word too many");
    expect_error(&none, "now", "'now'");
}

/* JSON. */

static void check(const MonitorCommand *cmd, const char *json, const char *message)
{
    g_autoptr(GError) error = NULL;
    json_t *args = json_loads(json, 0, NULL);
    bool ok;

    assert_non_null(args);
    ok = monitor_args_check(cmd, args, &error);
    json_decref(args);
    assert_int_equal(ok, message == NULL);
    if (message) {
        assert_string_equal(error->message, message);
    } else {
        assert_null(error);
    }
}

static void test_check_accepts(void **state)
{
    check(&none, "{}", NULL);
    check(&all, "{\"addr\": 1}", NULL);
    check(&all, "{\"addr\": -1, \"fast\": false, \"fmt\": \"x\", \"count\": 0, \"file\": \"\"}", NULL);
    check(&size, "{\"size\": 5, \"shared\": true}", NULL);
    check(&keyval, "{\"driver\": \"d\", \"any\": [1, {}], \"id\": 5}", NULL);
}

static void test_check_refuses_in_qemus_words(void **state)
{
    check(&none, "{\"a\": 1}", "Parameter 'a' is unexpected");
    check(&all, "{}", "Parameter 'addr' is missing");
    check(&all, "{\"addr\": \"1\"}", "Invalid parameter type for 'addr', expected: integer");
    check(&all, "{\"addr\": 1.0}", "Invalid parameter type for 'addr', expected: integer");
    check(&all, "{\"addr\": null}", "Invalid parameter type for 'addr', expected: integer");
    check(&all, "{\"addr\": 1, \"fast\": 1}",
          "Invalid parameter type for 'fast', expected: boolean");
    check(&all, "{\"addr\": 1, \"file\": {}}",
          "Invalid parameter type for 'file', expected: string");
    check(&all, "{\"addr\": 1, \"count\": -1}",
          "Parameter 'count' must not be negative: -1 was given");
    check(&size, "{\"size\": -4096}", "Parameter 'size' must not be negative: -4096 was given");
    check(&all, "{\"adr\": 1}", "Parameter 'adr' is unexpected (did you mean 'addr'?)");
    check(&keyval, "{\"id\": \"a\"}", "Parameter 'driver' is missing");
    check(&keyval, "{\"driver\": 5}", "Invalid parameter type for 'driver', expected: string");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_blanks_and_quotes),
        cmocka_unit_test(test_split_refuses_crooked_quotes),
        cmocka_unit_test(test_words_become_arguments),
        cmocka_unit_test(test_flag_with_a_value),
        cmocka_unit_test(test_words_of_an_expression_belong_together),
        cmocka_unit_test(test_keyval_is_one_word),
        cmocka_unit_test(test_words_that_are_wrong),
        cmocka_unit_test(test_check_accepts),
        cmocka_unit_test(test_check_refuses_in_qemus_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
