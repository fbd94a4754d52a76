/* SPDX-License-Identifier: MIT */
/* Const tables in a linker section. */
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tessera/util/error.h"
#include "tessera/util/registry.h"

typedef struct Fruit {
    const char *name;
    int weight;
} Fruit;

static const Fruit pear = { "pear", 3 };
static const Fruit apple = { "apple", 1 };
static const Fruit melon = { "melon", 2 };
TESSERA_REGISTER(test_fruit, pear);
TESSERA_REGISTER(test_fruit, apple);
TESSERA_REGISTER(test_fruit, melon);
TESSERA_REGISTRY(test_fruit);

static const Fruit twin_a = { "twin", 1 };
static const Fruit twin_b = { "twin", 2 };
TESSERA_REGISTER(test_twins, twin_a);
TESSERA_REGISTER(test_twins, twin_b);
TESSERA_REGISTRY(test_twins);

TESSERA_REGISTRY(test_nobody);

static void test_registry_load_sorts(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) fruits = registry_load(REGISTRY(test_fruit), &error);
    g_autofree const char **names = NULL;

    assert_non_null(fruits);
    assert_int_equal(fruits->len, 3);
    names = registry_names(fruits);
    assert_string_equal(names[0], "apple");
    assert_string_equal(names[1], "melon");
    assert_string_equal(names[2], "pear");
    assert_null(names[3]);
}

static void test_registry_find(void **state)
{
    g_autoptr(GPtrArray) fruits = registry_load(REGISTRY(test_fruit), NULL);

    assert_ptr_equal(registry_find(fruits, "apple"), &apple);
    assert_ptr_equal(registry_find(fruits, "melon"), &melon);
    assert_ptr_equal(registry_find(fruits, "pear"), &pear);
    assert_null(registry_find(fruits, "aaa"));
    assert_null(registry_find(fruits, "zzz"));
    assert_null(registry_find(fruits, "lemon"));
}

static void test_registry_load_refuses_duplicates(void **state)
{
    g_autoptr(GError) error = NULL;

    assert_null(registry_load(REGISTRY(test_twins), &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_EXISTS));
    assert_non_null(strstr(error->message, "'twin'"));
}

static void test_registry_load_empty(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) nothing = registry_load(REGISTRY(test_nobody), &error);

    assert_non_null(nothing);
    assert_int_equal(nothing->len, 0);
    assert_null(registry_find(nothing, "x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registry_load_sorts),
        cmocka_unit_test(test_registry_find),
        cmocka_unit_test(test_registry_load_refuses_duplicates),
        cmocka_unit_test(test_registry_load_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
