/* SPDX-License-Identifier: MIT */
/* The monitor's commands for objects: object_add, object_del, info memdev. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <glib/gstdio.h>
#include <cmocka.h>
#include "support/monitor-fixture.h"

static void test_object_add_makes_what_memdev_lists(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 64M");

    assert_string_equal(
        monitor_fixture_hmp(f, "object_add memory-backend-ram,id=m1,size=2M,share=on"), "");
    assert_string_equal(monitor_fixture_hmp(f, "info memdev"),
                        "memory backend: m1\n"
                        "  size:  2097152\n"
                        "  merge: true\n"
                        "  dump: true\n"
                        "  prealloc: false\n"
                        "  share: true\n"
                        "  reserve: true\n"
                        "  policy: default\n"
                        "  host nodes: \n"
                        "memory backend: pc.ram\n"
                        "  size:  67108864\n"
                        "  merge: false\n"
                        "  dump: true\n"
                        "  prealloc: false\n"
                        "  share: false\n"
                        "  reserve: true\n"
                        "  policy: default\n"
                        "  host nodes: \n"
                        "\n");
    assert_string_equal(monitor_fixture_hmp(f, "object_del m1"), "");
    assert_null(strstr(monitor_fixture_hmp(f, "info memdev"), "m1"));
    monitor_fixture_free(f);
}

static void test_object_add_takes_json_types(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 64M");
    json_t *list, *dev;

    monitor_fixture_qmp(f, "object-add",
                        "{\"qom-type\": \"memory-backend-ram\", \"id\": \"m1\", \"size\": 2097152,"
                        " \"share\": true, \"dump\": false}");
    list = monitor_fixture_qmp(f, "query-memdev", NULL);
    dev = json_array_get(list, 0);
    assert_string_equal(json_string_value(json_object_get(dev, "id")), "m1");
    assert_int_equal(json_integer_value(json_object_get(dev, "size")), 2097152);
    assert_true(json_is_true(json_object_get(dev, "share")));
    assert_true(json_is_false(json_object_get(dev, "dump")));
    assert_true(json_is_array(json_object_get(dev, "host-nodes")));
    assert_string_equal(json_string_value(json_object_get(dev, "policy")), "default");
    assert_int_equal(json_array_size(list), 2);
    monitor_fixture_qmp(f, "object-del", "{\"id\": \"m1\"}");
    assert_int_equal(json_array_size(monitor_fixture_qmp(f, "query-memdev", NULL)), 1);
    monitor_fixture_free(f);
}

static void test_object_add_refusals_make_nothing(void **state)
{
    MonitorFixture *f = monitor_fixture_new(NULL);
    const char *lines[][2] = {
        { "object_add memory-backend-rom,id=m1,size=2M", "memory-backend-ram" },
        { "object_add memory-backend-ram,size=2M", "id=" },
        { "object_add memory-backend-ram,id=m1", "size=" },
        { "object_add memory-backend-ram,id=m1,siez=2M", "size" },
        { "object_add memory-backend-ram,id=m1,size=2X", "2X" },
        { "object_add memory-backend-ram,id=1m,size=2M", "1m" },
        { "object_add", "missing" },
        { "object_del m1", "m1" },
        { "object_del", "missing" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        assert_text_has(monitor_fixture_hmp_error(f, lines[i][0]), lines[i][1]);
    }
    assert_text_has(monitor_fixture_qmp_error(f, "object-add",
                                              "{\"qom-type\": \"memory-backend-ram\", \"id\": "
                                              "\"m1\", \"size\": [1]}"),
                    "'size'");
    assert_text_has(monitor_fixture_qmp_error(f, "object-add", "{\"id\": \"m1\"}"), "qom-type");
    assert_text_has(monitor_fixture_qmp_error(f, "object-del", "{\"id\": 5}"), "'id'");
    assert_int_equal(json_array_size(monitor_fixture_qmp(f, "query-memdev", NULL)), 1);
    monitor_fixture_free(f);
}

static void test_object_add_keeps_commas_of_json_strings(void **state)
{
    MonitorFixture *f = monitor_fixture_new(NULL);
    g_autofree char *dir = g_dir_make_tmp("tessera-monitor-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "a,b,,share=on", NULL);
    g_autofree char *json =
        g_strdup_printf("{\"qom-type\": \"memory-backend-file\", \"id\": \"m1\", \"size\": 4096, "
                        "\"mem-path\": \"%s\"}", path);

    monitor_fixture_qmp(f, "object-add", json);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(g_rmdir(dir), 0);
    monitor_fixture_free(f);
}

static void test_object_add_twice_and_del_in_use(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 256M,slots=2,maxmem=1G");

    monitor_fixture_hmp(f, "object_add memory-backend-ram,id=m1,size=128M");
    assert_text_has(monitor_fixture_hmp_error(f, "object_add memory-backend-ram,id=m1,size=2M"),
                    "'m1'");
    monitor_fixture_hmp(f, "device_add pc-dimm,id=d1,memdev=m1");
    assert_text_has(monitor_fixture_hmp_error(f, "object_del m1"), "d1");
    assert_text_has(monitor_fixture_hmp(f, "info memdev"), "memory backend: m1\n");
    monitor_fixture_free(f);
}

static void test_object_add_help(void **state)
{
    MonitorFixture *f = monitor_fixture_new(NULL);

    assert_text_has(monitor_fixture_hmp(f, "object_add help"), "memory-backend-memfd");
    assert_text_has(monitor_fixture_hmp(f, "object_add memory-backend-ram,help"), "prealloc");
    assert_text_has(monitor_fixture_hmp_error(f, "object_add memory-backend-rim,help"),
                    "memory-backend-ram");
    monitor_fixture_free(f);
}

/* An id may be "help", as in QEMU; 5 and true are none; a member's name holds no second property. */
static void test_object_add_takes_members_as_they_are(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S");
    static const char *const refused[][2] = {
        { "\"id\": true", "Invalid parameter type for 'id', expected: string" },
        { "\"id\": 5", "Invalid parameter type for 'id', expected: string" },
        { "\"id\": null", "Invalid parameter type for 'id', expected: string" },
        { "\"x,id\": \"a\"", "'x,id' is not a name of a property" },
        { "\"id=a,merge\": false", "'id=a,merge' is not a name of a property" },
        { "\"\": \"a\"", "'' is not a name of a property" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autofree char *arguments = g_strdup_printf("{\"qom-type\": \"memory-backend-ram\", "
                                                     "\"size\": 4096, %s}", refused[i][0]);

        assert_text_has(monitor_fixture_qmp_error(f, "object-add", arguments), refused[i][1]);
    }
    monitor_fixture_qmp(f, "object-add", "{\"qom-type\": \"memory-backend-ram\", \"size\": 4096, "
                                         "\"id\": \"help\"}");
    monitor_fixture_hmp(f, "object_del help");
    assert_string_equal(monitor_fixture_hmp(f, "object_add memory-backend-ram,id=help,size=4k"), "");
    monitor_fixture_hmp(f, "object_del help");
    monitor_fixture_free(f);
}

static void test_boot_ram_backend_is_listed_once(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-object memory-backend-memfd,id=ram0,size=64M,share=on "
                                            "-machine memory-backend=ram0 -m 64M");

    assert_null(strstr(monitor_fixture_hmp(f, "info memdev"), "pc.ram"));
    assert_text_has(f->out->str, "memory backend: ram0\n");
    assert_text_has(monitor_fixture_hmp_error(f, "object_del ram0"), "-machine");
    monitor_fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_object_add_makes_what_memdev_lists),
        cmocka_unit_test(test_object_add_takes_json_types),
        cmocka_unit_test(test_object_add_refusals_make_nothing),
        cmocka_unit_test(test_object_add_keeps_commas_of_json_strings),
        cmocka_unit_test(test_object_add_twice_and_del_in_use),
        cmocka_unit_test(test_object_add_help),
        cmocka_unit_test(test_object_add_takes_members_as_they_are),
        cmocka_unit_test(test_boot_ram_backend_is_listed_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
