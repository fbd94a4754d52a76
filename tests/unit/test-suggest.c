/* SPDX-License-Identifier: MIT */
/* The nearest right name for a wrong one. */
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tessera/util/suggest.h"

static void test_edit_distance(void **state)
{
    static const struct {
        const char *a, *b;
        unsigned distance;
    } cases[] = {
        { "", "", 0 },           { "abc", "", 3 },       { "", "abc", 3 },
        { "share", "share", 0 }, { "Share", "sHARE", 0 }, { "shrae", "share", 1 },
        { "shre", "share", 1 },  { "sharre", "share", 1 }, { "skare", "share", 1 },
        { "kitten", "sitting", 3 }, { "ca", "abc", 3 }, { "ab", "ba", 1 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        assert_int_equal(edit_distance(cases[i].a, cases[i].b), cases[i].distance);
        assert_int_equal(edit_distance(cases[i].b, cases[i].a), cases[i].distance);
    }
}

static void test_edit_distance_long_words(void **state)
{
    g_autofree char *a = g_strnfill(100000, 'a');
    g_autofree char *b = g_strnfill(100000, 'b');

    assert_int_equal(edit_distance(a, a), 0);
    assert_true(edit_distance(a, b) > 0);
}

static const char *const names[] = { "size", "share", "slots", "prealloc", "prealloc-threads",
                                     "merge", "dump", NULL };

static void test_suggest_name(void **state)
{
    g_autofree char *junk = g_strnfill(1000, 's');
    const char *const long_names[] = { junk, NULL };

    assert_null(suggest_name("nope", long_names)); /* what is compared is capped: so is the rest */
    assert_string_equal(suggest_name("szie", names), "size");
    assert_string_equal(suggest_name("SIZE", names), "size");
    assert_string_equal(suggest_name("shared", names), "share");
    assert_string_equal(suggest_name("preallocc", names), "prealloc");
    assert_string_equal(suggest_name("prealloc-thread", names), "prealloc-threads");
    assert_string_equal(suggest_name("pre", names), "prealloc"); /* a beginning */
    assert_null(suggest_name("pr", names));
    assert_null(suggest_name("colour", names));
    assert_null(suggest_name("", names));
    assert_null(suggest_name(junk, names));
    assert_null(suggest_name("size", NULL));
}

static void test_suggest_phrase(void **state)
{
    static const char *const few[] = { "ram", "memfd", NULL };
    static const char *const one[] = { "kvm", NULL };
    g_autofree char *near = suggest_phrase("mmefd", few);
    g_autofree char *list = suggest_phrase("tape", few);
    g_autofree char *single = suggest_phrase("hyper", one);
    g_autofree char *none = suggest_phrase("tape", NULL);

    assert_string_equal(near, " (did you mean 'memfd'?)");
    assert_string_equal(list, " (there are: ram, memfd)");
    assert_string_equal(single, " (there is only: kvm)");
    assert_string_equal(none, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edit_distance),
        cmocka_unit_test(test_edit_distance_long_words),
        cmocka_unit_test(test_suggest_name),
        cmocka_unit_test(test_suggest_phrase),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
