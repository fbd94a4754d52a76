/* SPDX-License-Identifier: MIT */
/* Option strings. */
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tessera/util/error.h"
#include "tessera/util/keyval.h"
#include "tessera/util/size.h"

/* Renders what was parsed as "key=[value] ..." */
static char *render(const char *text, const char *implied)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Keyval) kv = keyval_parse(text, implied, &error);
    GString *out = g_string_new(NULL);

    if (!kv) {
        g_string_printf(out, "refused: %s", error->message);
        return g_string_free(out, FALSE);
    }
    for (unsigned i = 0; i < keyval_count(kv); i++) {
        const KeyvalPair *pair = keyval_pair(kv, i);

        g_string_append_printf(out, "%s%s=[%s]%s", i ? " " : "", pair->key, pair->value,
                               pair->bare ? "!" : "");
    }
    return g_string_free(out, FALSE);
}

static void test_keyval_parse_accepts(void **state)
{
    static const struct {
        const char *text, *implied, *expected;
    } cases[] = {
        { "", "size", "" },
        { "4G", "size", "size=[4G]" },
        { "size=4G", "size", "size=[4G]" },
        { "4G,slots=2,maxmem=8G", "size", "size=[4G] slots=[2] maxmem=[8G]" },
        { "share", NULL, "share=[on]!" },
        { "a=1,share,b=2", NULL, "a=[1] share=[on]! b=[2]" },
        { "path=a,,b,c=d", NULL, "path=[a,b] c=[d]" },
        { "path=a,,", NULL, "path=[a,]" },
        { "path=,,", NULL, "path=[,]" },
        { "path=a,,,b=c", NULL, "path=[a,] b=[c]" },
        { "path=a,", NULL, "path=[a]" },
        { "path=", NULL, "path=[]" },
        { "path=,b=c", NULL, "path=[] b=[c]" },
        { "path=x=y==z", NULL, "path=[x=y==z]" },
        { "a,,b,c=d", "file", "file=[a,b] c=[d]" },
        { "a=1,a=2", NULL, "a=[1] a=[2]" },
        { "help", "size", "help=[on]!" },
        { "?", "size", "?=[on]!" },
        { "chardev.0=x", NULL, "chardev.0=[x]" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *got = render(cases[i].text, cases[i].implied);

        assert_string_equal(got, cases[i].expected);
    }
}

static void test_keyval_parse_refuses(void **state)
{
    static const char *const bad[] = { "=x", ",a=1", "a=1,=2", "1a=2", "a b=1", "a=1, b=2",
                                       "-x=1", "a/b=1", "a=1,b?=2" };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *got = render(bad[i], NULL);

        if (!g_str_has_prefix(got, "refused: ") || !strstr(got, bad[i])) {
            fail_msg("'%s' gave %s", bad[i], got);
        }
    }
}

static void test_keyval_get_last_counts(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Keyval) kv = keyval_parse("a=1,b=2,a=3", NULL, &error);

    assert_string_equal(keyval_get(kv, "a"), "3");
    assert_string_equal(keyval_get(kv, "b"), "2");
    assert_null(keyval_get(kv, "c"));
    assert_false(keyval_wants_help(kv));
}

static void test_keyval_wants_help(void **state)
{
    static const char *const yes[] = { "help", "?", "a=1,help", "a,?" };
    static const char *const no[] = { "help=on", "a=help", "helper", "" };

    for (size_t i = 0; i < G_N_ELEMENTS(yes); i++) {
        g_autoptr(Keyval) kv = keyval_parse(yes[i], "type", NULL);
        assert_true(keyval_wants_help(kv));
    }
    for (size_t i = 0; i < G_N_ELEMENTS(no); i++) {
        g_autoptr(Keyval) kv = keyval_parse(no[i], "type", NULL);
        assert_false(keyval_wants_help(kv));
    }
}

static void test_keyval_check_known(void **state)
{
    static const char *const known[] = { "size", "slots", "maxmem", NULL };
    g_autoptr(GError) error = NULL;
    g_autoptr(Keyval) good = keyval_parse("1G,slots=2", "size", NULL);
    g_autoptr(Keyval) bad = keyval_parse("1G,maxmen=2", "size", NULL);

    assert_true(keyval_check_known(good, "-m", known, &error));
    assert_false(keyval_check_known(bad, "-m", known, &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_INVALID));
    assert_string_equal(error->message, "-m has no property 'maxmen' (did you mean 'maxmem'?)");
}

static void test_keyval_get_types(void **state)
{
    static const char *const modes[] = { "split", "on", "off", NULL };
    g_autoptr(GError) error = NULL;
    g_autoptr(Keyval) kv = keyval_parse("s=2,g=1G,n=7,b=off,m=split", NULL, NULL);
    bool b = true;
    uint64_t s = 0, g = 0, n = 0, missing = 42;
    unsigned m = 9;

    assert_true(keyval_get_size(kv, "-m", "s", MIB, &s, &error));
    assert_true(keyval_get_size(kv, "-m", "g", MIB, &g, &error));
    assert_true(keyval_get_uint(kv, "-m", "n", 0, 7, &n, &error));
    assert_true(keyval_get_bool(kv, "-m", "b", &b, &error));
    assert_true(keyval_get_enum(kv, "-m", "m", modes, &m, &error));
    assert_true(keyval_get_uint(kv, "-m", "absent", 0, 7, &missing, &error));
    assert_int_equal(s, 2 * MIB);
    assert_int_equal(g, GIB);
    assert_int_equal(n, 7);
    assert_false(b);
    assert_int_equal(m, 0);
    assert_int_equal(missing, 42);
}

static void test_keyval_get_types_refuse(void **state)
{
    static const char *const modes[] = { "split", "on", "off", NULL };
    g_autoptr(Keyval) kv = keyval_parse("x=junk", NULL, NULL);
    GError *errors[4] = { NULL };
    bool b = true;
    uint64_t n = 42;
    unsigned m = 9;

    assert_false(keyval_get_size(kv, "-m", "x", MIB, &n, &errors[0]));
    assert_false(keyval_get_uint(kv, "-m", "x", 0, 7, &n, &errors[1]));
    assert_false(keyval_get_bool(kv, "-m", "x", &b, &errors[2]));
    assert_false(keyval_get_enum(kv, "-m", "x", modes, &m, &errors[3]));
    for (int i = 0; i < 4; i++) {
        assert_true(g_str_has_prefix(errors[i]->message, "-m: x: "));
        assert_non_null(strstr(errors[i]->message, "'junk'"));
        g_error_free(errors[i]);
    }
    assert_true(b && n == 42 && m == 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keyval_parse_accepts),
        cmocka_unit_test(test_keyval_parse_refuses),
        cmocka_unit_test(test_keyval_get_last_counts),
        cmocka_unit_test(test_keyval_wants_help),
        cmocka_unit_test(test_keyval_check_known),
        cmocka_unit_test(test_keyval_get_types),
        cmocka_unit_test(test_keyval_get_types_refuse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
