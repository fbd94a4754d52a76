/* SPDX-License-Identifier: MIT */
/* The monitor's commands for devices that come and go: DIMMs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "support/monitor-fixture.h"

#define OPTIONS "-S -m 256M,slots=3,maxmem=1G"
#define ADD_M1 "object_add memory-backend-ram,id=m1,size=128M"
#define ADD_M2 "object_add memory-backend-ram,id=m2,size=128M"

static MonitorFixture *running_machine(void)
{
    MonitorFixture *f = monitor_fixture_new(OPTIONS);

    monitor_fixture_hmp(f, "cont");
    monitor_fixture_hmp(f, ADD_M1);
    monitor_fixture_hmp(f, ADD_M2);
    return f;
}

static const json_t *dimm(MonitorFixture *f, size_t index)
{
    json_t *list = monitor_fixture_qmp(f, "query-memory-devices", NULL);
    json_t *entry = json_array_get(list, index);

    assert_string_equal(json_string_value(json_object_get(entry, "type")), "dimm");
    return json_object_get(entry, "data");
}

static const char *dimm_text(MonitorFixture *f, size_t index, const char *member)
{
    return json_string_value(json_object_get(dimm(f, index), member));
}

static void test_device_add_shows_in_lists_and_sums(void **state)
{
    MonitorFixture *f = running_machine();

    assert_string_equal(monitor_fixture_hmp(f, "info memory-devices"), "");
    assert_string_equal(monitor_fixture_hmp(f, "device_add pc-dimm,id=d1,memdev=m1"), "");
    assert_string_equal(monitor_fixture_hmp(f, "info memory-devices"),
                        "Memory device [dimm]: \"d1\"\n"
                        "  addr: 0x100000000\n"
                        "  slot: 0\n"
                        "  node: 0\n"
                        "  size: 134217728\n"
                        "  memdev: /objects/m1\n"
                        "  hotplugged: true\n"
                        "  hotpluggable: true\n");
    assert_string_equal(monitor_fixture_hmp(f, "info memory_size_summary"),
                        "base memory: 268435456\nplugged memory: 134217728\n");
    monitor_fixture_free(f);
}

static void test_device_add_by_qmp_takes_slot_and_addr(void **state)
{
    MonitorFixture *f = running_machine();
    json_t *sum;

    monitor_fixture_qmp(f, "device_add",
                        "{\"driver\": \"pc-dimm\", \"id\": \"d2\", \"memdev\": \"m2\", \"slot\": 2,"
                        " \"addr\": 4563402752}");
    assert_string_equal(dimm_text(f, 0, "memdev"), "/objects/m2");
    assert_int_equal(json_integer_value(json_object_get(dimm(f, 0), "slot")), 2);
    assert_int_equal(json_integer_value(json_object_get(dimm(f, 0), "addr")), 4563402752);
    assert_int_equal(json_integer_value(json_object_get(dimm(f, 0), "node")), 0);
    assert_int_equal(json_integer_value(json_object_get(dimm(f, 0), "size")), 134217728);
    assert_true(json_is_true(json_object_get(dimm(f, 0), "hotplugged")));
    assert_true(json_is_true(json_object_get(dimm(f, 0), "hotpluggable")));
    assert_string_equal(dimm_text(f, 0, "x-state"), "plugged");
    sum = monitor_fixture_qmp(f, "query-memory-size-summary", NULL);
    assert_int_equal(json_integer_value(json_object_get(sum, "base-memory")), 268435456);
    assert_int_equal(json_integer_value(json_object_get(sum, "plugged-memory")), 134217728);
    monitor_fixture_free(f);
}

static void test_device_add_refusals_leave_the_map(void **state)
{
    MonitorFixture *f = running_machine();
    g_autofree char *before = NULL;
    const char *lines[][2] = {
        { "device_add pc-dim,id=d3,memdev=m2", "pc-dimm" },
        { "device_add pc-dimm,memdev=m2", "id=" },
        { "device_add pc-dimm,id=d3", "memdev" },
        { "device_add pc-dimm,id=d3,memdev=m3", "m3" },
        { "device_add pc-dimm,id=d3,memdev=m2,slto=1", "slot" },
        { "device_add pc-dimm,id=d1,memdev=m2", "d1" },
        { "device_add pc-dimm,id=d3,memdev=m1", "d1" },
        { "device_add pc-dimm,id=d3,memdev=m2,slot=0", "d1" },
        { "device_add pc-dimm,id=d3,memdev=m2,slot=3", "slot=3" },
        { "device_add pc-dimm,id=d3,memdev=m2,addr=0x100000000", "d1" },
        { "device_add pc-dimm,id=d3,memdev=m2,addr=0x110001000", "128" },
        { "device_add isa-serial,id=d3", "isa-serial" },
        { "device_add", "missing" },
        { "device_del d3", "d3" },
        { "device_del", "missing" },
    };

    monitor_fixture_hmp(f, "device_add pc-dimm,id=d1,memdev=m1");
    before = monitor_fixture_map(f);
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autofree char *after = NULL;

        assert_text_has(monitor_fixture_hmp_error(f, lines[i][0]), lines[i][1]);
        after = monitor_fixture_map(f);
        assert_string_equal(after, before);
    }
    assert_text_has(monitor_fixture_qmp_error(f, "device_add", "{\"id\": \"d3\"}"), "driver");
    monitor_fixture_hmp(f, "device_add pc-dimm,id=d3,memdev=m2"); /* nothing of it was lost */
    monitor_fixture_free(f);
}

static void test_device_del_is_a_job_that_shows_its_state(void **state)
{
    MonitorFixture *f = running_machine();

    monitor_fixture_hmp(f, "device_add pc-dimm,id=d1,memdev=m1");
    assert_string_equal(monitor_fixture_hmp(f, "device_del d1"), "");
    assert_text_has(monitor_fixture_hmp(f, "info memory-devices"), "  state: requested\n");
    assert_text_has(monitor_fixture_hmp_error(f, "device_del d1"), "already");
    monitor_fixture_guest_ost(f, 0, 3, 0x84);
    assert_string_equal(dimm_text(f, 0, "x-state"), "guest-offlining");
    monitor_fixture_guest_ost(f, 0, 3, 0x81);
    assert_string_equal(dimm_text(f, 0, "x-state"), "refused");
    assert_text_has(monitor_fixture_hmp(f, "info memory-devices"), "  state: refused: busy");
    monitor_fixture_qmp(f, "device_del", "{\"id\": \"d1\"}");
    monitor_fixture_guest_eject(f, 0);
    assert_string_equal(monitor_fixture_hmp(f, "info memory-devices"), "");
    monitor_fixture_hmp(f, "object_del m1");
    monitor_fixture_free(f);
}

static void test_guest_that_refuses_the_plug_is_reported(void **state)
{
    MonitorFixture *f = running_machine();

    monitor_fixture_hmp(f, "device_add pc-dimm,id=d1,memdev=m1");
    monitor_fixture_guest_ost(f, 0, 1, 1);
    assert_string_equal(dimm_text(f, 0, "x-state"), "refused-by-guest");
    assert_text_has(monitor_fixture_hmp(f, "info memory-devices"), "  state: refused-by-guest: ");
    monitor_fixture_free(f);
}

static void test_cancel_and_timeout(void **state)
{
    MonitorFixture *f = running_machine();

    monitor_fixture_hmp(f, "device_add pc-dimm,id=d1,memdev=m1");
    assert_text_has(monitor_fixture_hmp_error(f, "device_del_cancel d1"), "d1");
    monitor_fixture_hmp(f, "device_del d1");
    monitor_fixture_hmp(f, "device_del_timeout 0");
    assert_string_equal(monitor_fixture_hmp(f, "device_del_cancel d1"), "");
    assert_text_has(monitor_fixture_hmp(f, "info memory-devices"), "  state: cancelled");
    monitor_fixture_qmp(f, "x-device-del-timeout", "{\"seconds\": 5}");
    assert_text_has(monitor_fixture_hmp_error(f, "device_del_timeout 99999999999"), "99999999999");
    assert_text_has(monitor_fixture_hmp_error(f, "device_del_timeout soon"), "seconds");
    assert_text_has(monitor_fixture_qmp_error(f, "x-device-del-timeout", "{\"seconds\": \"5\"}"),
                    "seconds");
    monitor_fixture_free(f);
}

static void test_machine_without_slots(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 256M");

    assert_string_equal(monitor_fixture_hmp(f, "info memory-devices"), "");
    assert_int_equal(json_array_size(monitor_fixture_qmp(f, "query-memory-devices", NULL)), 0);
    assert_string_equal(monitor_fixture_hmp(f, "info memory_size_summary"),
                        "base memory: 268435456\nplugged memory: 0\n");
    monitor_fixture_hmp(f, ADD_M1);
    assert_text_has(monitor_fixture_hmp_error(f, "device_add pc-dimm,id=d1,memdev=m1"), "slots=");
    assert_text_has(monitor_fixture_hmp_error(f, "device_del d1"), "d1");
    assert_text_has(monitor_fixture_hmp_error(f, "device_del_cancel d1"), "slots=");
    assert_text_has(monitor_fixture_hmp_error(f, "device_del_timeout 5"), "slots=");
    monitor_fixture_free(f);
}

static void test_device_add_help(void **state)
{
    MonitorFixture *f = monitor_fixture_new(NULL);

    assert_text_has(monitor_fixture_hmp(f, "device_add help"), "pc-dimm");
    assert_text_has(monitor_fixture_hmp(f, "device_add pc-dimm,help"), "memdev=");
    assert_text_has(monitor_fixture_hmp_error(f, "device_add pc-dim,help"), "pc-dimm");
    monitor_fixture_free(f);
}

static bool completes(MonitorFixture *f, const char *line, const char *word)
{
    g_autoptr(GPtrArray) words = hmp_complete(&f->mon, line);

    for (guint i = 0; i < words->len; i++) {
        if (strcmp(words->pdata[i], word) == 0) {
            return true;
        }
    }
    return false;
}

static void test_completion_knows_ids(void **state)
{
    MonitorFixture *f = running_machine();

    monitor_fixture_hmp(f, "device_add pc-dimm,id=d1,memdev=m1");
    assert_true(completes(f, "device_del ", "d1"));
    assert_true(completes(f, "object_del m", "m2"));
    assert_true(completes(f, "device_add pc-dimm,m", "pc-dimm,memdev=m2,id="));
    assert_false(completes(f, "device_add pc-dimm,m", "pc-dimm,memdev=m1,id=")); /* in use */
    assert_true(completes(f, "object_add memory-backend-m", "memory-backend-memfd,id="));
    assert_true(completes(f, "cpu ", "0"));
    monitor_fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device_add_shows_in_lists_and_sums),
        cmocka_unit_test(test_device_add_by_qmp_takes_slot_and_addr),
        cmocka_unit_test(test_device_add_refusals_leave_the_map),
        cmocka_unit_test(test_device_del_is_a_job_that_shows_its_state),
        cmocka_unit_test(test_guest_that_refuses_the_plug_is_reported),
        cmocka_unit_test(test_cancel_and_timeout),
        cmocka_unit_test(test_machine_without_slots),
        cmocka_unit_test(test_device_add_help),
        cmocka_unit_test(test_completion_knows_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
