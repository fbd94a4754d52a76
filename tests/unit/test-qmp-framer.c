/* SPDX-License-Identifier: MIT */
/* Where QMP's commands begin and end, in streams that break off anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../../src/monitor/monitor-internal.h"

/* What the framer said: values as they are, garbage as "!", separated by blanks. */
typedef struct Heard {
    QmpFramer *framer;
    GString *text;
    char *why;
} Heard;

static void on_value(void *opaque, const char *text, size_t len)
{
    Heard *h = opaque;

    g_string_append_printf(h->text, "%s%.*s", h->text->len ? " " : "", (int)len, text);
}

static void on_garbage(void *opaque, const char *why)
{
    Heard *h = opaque;

    g_string_append_printf(h->text, "%s!", h->text->len ? " " : "");
    g_free(h->why);
    h->why = g_strdup(why);
}

static int setup(void **state)
{
    Heard *h = g_new0(Heard, 1);

    h->text = g_string_new(NULL);
    h->framer = qmp_framer_new(on_value, on_garbage, h);
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    Heard *h = *state;

    qmp_framer_free(h->framer);
    g_string_free(h->text, TRUE);
    g_free(h->why);
    g_free(h);
    return 0;
}

/* In pieces of @step bytes. */
static void feed_len(Heard *h, const char *text, size_t len, size_t step)
{
    for (size_t i = 0; i < len;) {
        size_t n = qmp_framer_feed(h->framer, (const uint8_t *)text + i, MIN(step, len - i));

        assert_in_range(n, 1, MIN(step, len - i));
        i += n;
    }
}

static void feed(Heard *h, const char *text)
{
    feed_len(h, text, strlen(text), SIZE_MAX);
}

static void expect(Heard *h, const char *text)
{
    assert_string_equal(h->text->str, text);
    g_string_truncate(h->text, 0);
}

static void test_feed_takes_values_apart(void **state)
{
    feed(*state, "{\"a\": 1}{\"b\": [2, {}]}\r\n  [3]\t\n{\n\"c\"\n:\n4\n}");
    expect(*state, "{\"a\": 1} {\"b\": [2, {}]} [3] {\n\"c\"\n:\n4\n}");
}

static void test_feed_stops_behind_a_value(void **state)
{
    Heard *h = *state;
    const char *text = "{}{}x\n";

    assert_int_equal(qmp_framer_feed(h->framer, (const uint8_t *)text, 6), 2);
    assert_int_equal(qmp_framer_feed(h->framer, (const uint8_t *)text + 2, 4), 2);
    assert_int_equal(qmp_framer_feed(h->framer, (const uint8_t *)text + 4, 2), 1);
    assert_int_equal(qmp_framer_feed(h->framer, (const uint8_t *)text + 5, 1), 1);
    expect(h, "{} {} !");
}

static void test_feed_every_split_gives_the_same(void **state)
{
    static const char text[] = "{\"execute\": \"a}]\\\"{\"}\nrubbish } {\n {'id': 'it\\'s \"x\"'}[1]";

    for (size_t step = 1; step < sizeof(text); step++) {
        feed_len(*state, text, strlen(text), step);
        expect(*state, "{\"execute\": \"a}]\\\"{\"} ! {\"id\": \"it's \\\"x\\\"\"} [1]");
    }
}

static void test_feed_brackets_and_escapes_in_strings(void **state)
{
    feed(*state, "{\"}\\\\\": \"]\\\\\\\"}\"}");
    expect(*state, "{\"}\\\\\": \"]\\\\\\\"}\"}");
}

static void test_feed_single_quotes_become_double_ones(void **state)
{
    feed(*state, "{'execute': 'a\"b\\n'}");
    expect(*state, "{\"execute\": \"a\\\"b\\n\"}");
}

static void test_feed_garbage_lasts_until_the_end_of_the_line(void **state)
{
    feed(*state, "quit {\"a\": 1}\n{}");
    expect(*state, "! {}");
    feed(*state, "}\n{}");
    expect(*state, "! {}");
    feed(*state, "7\n\n\n{}");
    expect(*state, "! {}");
}

static void test_feed_string_without_end(void **state)
{
    Heard *h = *state;

    feed(h, "{\"execute: 1}\n{}");
    expect(h, "! {}");
    assert_non_null(strstr(h->why, "not closed"));
}

static void test_feed_ff_starts_over(void **state)
{
    feed(*state, "{\"half\": \"of it \xff{}");
    expect(*state, "{}");
    feed(*state, "rubbish \xff{}");
    expect(*state, "! {}");
}

static void test_feed_oversize(void **state)
{
    Heard *h = *state;
    g_autofree char *fits = g_malloc(QMP_VALUE_MAX + 1);

    memset(fits, 'x', QMP_VALUE_MAX);
    memcpy(fits, "{\"", 2);
    memcpy(fits + QMP_VALUE_MAX - 2, "\"}", 3);
    feed(h, fits);
    assert_int_equal(h->text->len, QMP_VALUE_MAX);
    g_string_truncate(h->text, 0);
    memcpy(fits + QMP_VALUE_MAX - 2, "xx", 2);
    feed(h, fits);
    expect(h, "");
    feed(h, "x\"} more\n{}");
    expect(h, "! {}");
    assert_non_null(strstr(h->why, "1 MiB"));
}

static void test_feed_nesting(void **state)
{
    g_autoptr(GString) deep = g_string_new(NULL);

    for (unsigned i = 0; i < QMP_DEPTH_MAX; i++) {
        g_string_append_c(deep, '[');
    }
    for (unsigned i = 0; i < QMP_DEPTH_MAX; i++) {
        g_string_append_c(deep, ']');
    }
    feed(*state, deep->str);
    expect(*state, deep->str);
    g_string_prepend_c(deep, '[');
    g_string_append(deep, "]\n{}");
    feed(*state, deep->str);
    expect(*state, "! {}");
}

/* Whatever came before, a line end (or 0xff) and a command: the command is heard. */
static void test_feed_random_and_then_a_command(void **state)
{
    static const char alphabet[] = "{}[]\"'\\:, \n\ra1\x01\xff-.e";
    const char *given = getenv("TESSERA_SEED");
    guint32 seed = given ? (guint32)strtoul(given, NULL, 0) : 20260731;
    GRand *rand = g_rand_new_with_seed(seed);
    Heard *h = *state;

    printf("# qmp-framer: TESSERA_SEED=%u\n", seed);
    for (unsigned round = 0; round < 20000; round++) {
        char text[64];
        size_t len = g_rand_int_range(rand, 0, sizeof(text));

        for (size_t i = 0; i < len; i++) {
            text[i] = alphabet[g_rand_int_range(rand, 0, sizeof(alphabet) - 1)];
        }
        feed_len(h, text, len, g_rand_int_range(rand, 1, 8));
        feed(h, "\xff{\"execute\": \"stop\"}");
        assert_true(g_str_has_suffix(h->text->str, "{\"execute\": \"stop\"}"));
        g_string_truncate(h->text, 0);
    }
    g_rand_free(rand);
}

static void test_free_null_and_in_the_middle(void **state)
{
    qmp_framer_free(NULL);
    feed(*state, "{\"half");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_feed_takes_values_apart),
        T(test_feed_stops_behind_a_value),
        T(test_feed_every_split_gives_the_same),
        T(test_feed_brackets_and_escapes_in_strings),
        T(test_feed_single_quotes_become_double_ones),
        T(test_feed_garbage_lasts_until_the_end_of_the_line),
        T(test_feed_string_without_end),
        T(test_feed_ff_starts_over),
        T(test_feed_oversize),
        T(test_feed_nesting),
        T(test_feed_random_and_then_a_command),
        T(test_free_null_and_in_the_middle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
