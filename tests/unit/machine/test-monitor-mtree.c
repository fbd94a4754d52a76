/* SPDX-License-Identifier: MIT */
/* The monitor's commands that show the memory map. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <inttypes.h>
#include "support/monitor-fixture.h"
#include "tessera/memory/commit-stats.h"

static void test_mtree_shows_the_tree(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 64M");

    monitor_fixture_hmp(f, "info mtree");
    assert_text_has(f->out->str, "address-space: memory\n"
                                 "  0000000000000000-ffffffffffffffff (prio 0, container): system\n");
    assert_text_has(f->out->str, "address-space: I/O\n");
    assert_text_has(f->out->str, "memory-region: pc.ram\n");
    assert_null(strstr(f->out->str, "owner:"));
    assert_null(strstr(f->out->str, "FlatView"));
    monitor_fixture_free(f);
}

static void test_mtree_f_shows_the_flat_views(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 64M");

    monitor_fixture_hmp(f, "info mtree -f");
    assert_text_has(f->out->str, "FlatView #0\n AS \"memory\", root: system\n");
    assert_text_has(f->out->str, "  00000000000c0000-00000000000dffff (rom): pc.rom\n");
    assert_null(strstr(f->out->str, "Dispatch"));
    monitor_fixture_free(f);
}

static void test_mtree_o_names_owners(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 256M,slots=2,maxmem=1G");

    monitor_fixture_hmp(f, "object_add memory-backend-ram,id=m1,size=128M");
    monitor_fixture_hmp(f, "device_add pc-dimm,id=d1,memdev=m1");
    monitor_fixture_hmp(f, "info mtree -o");
    assert_text_has(f->out->str, "(prio 0, container): system owner:{board}\n");
    assert_text_has(f->out->str, ": rtc owner:{dev type=mc146818}\n");
    assert_text_has(f->out->str, ": d1 owner:{dev id=d1}\n");
    monitor_fixture_hmp(f, "info mtree -fo"); /* with flat views, too */
    assert_text_has(f->out->str, "(ram): d1 owner:{dev id=d1}\n");
    monitor_fixture_free(f);
}

/* Every tile of the memory space is a section, and the radix leads to it. */
static void test_mtree_d_shows_the_dispatch(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 64M");

    monitor_fixture_hmp(f, "info mtree -d");
    assert_text_has(f->out->str, "  Dispatch: view ");
    assert_text_has(f->out->str, "      #0 @0000000000000000..ffffffffffffffff (noname) "
                                 "[unassigned]\n");
    assert_text_has(f->out->str, "..000000000009ffff pc.ram [direct]\n");
    assert_text_has(f->out->str, "..00000000000bffff vga-hole [by ops]\n");
    assert_text_has(f->out->str, "..00000000000dffff pc.rom [direct read]\n");
    assert_text_has(f->out->str, "..0000000003ffffff pc.ram @00000000000e0000 [direct]\n");
    assert_text_has(f->out->str, "Nodes (9 bits per level, 6 levels) ptr=[");
    assert_text_has(f->out->str, "          0..159   leaf    ptr=#");  /* 4 KiB frames of low RAM */
    assert_text_has(f->out->str, "          160..191 leaf    ptr=#");  /* the VGA hole */
    assert_text_has(f->out->str, "leaf    ptr=NIL\n");
    assert_text_has(f->out->str, "leaf    ptr=subpage{"); /* the ports' first page */
    assert_text_has(f->out->str, " 060:#");
    assert_text_has(f->out->str, "FlatView #1\n");
    monitor_fixture_free(f);
}

/* A DIMM's plug: the tile, the slot, and what caused them. */
static void test_mtree_diff_tells_what_a_plug_changed(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 256M,slots=2,maxmem=1G");
    MemorySystem *ms = machine_memory_system(f->machine);
    uint64_t before = memory_system_total_stats(ms).commits;
    g_autofree char *line = g_strdup_printf("info mtree --diff %" PRIu64, before);
    g_autofree char *back = g_strdup_printf("info mtree --diff %" PRIu64 " 0", before + 1);

    monitor_fixture_hmp(f, line);
    assert_text_has(f->out->str, "no difference\n");
    monitor_fixture_hmp(f, "object_add memory-backend-ram,id=m1,size=128M");
    monitor_fixture_hmp(f, "device_add pc-dimm,id=d1,memdev=m1");
    monitor_fixture_hmp(f, line);
    assert_text_has(f->out->str, "device_add d1\n");
    assert_text_has(f->out->str, "address space \"memory\":\n  added   0000000100000000-"
                                 "0000000107ffffff (ram): d1\n");
    assert_text_has(f->out->str, "KVM slots of address space \"memory\":\n  added   "
                                 "0000000100000000-0000000107ffffff: d1\n");
    monitor_fixture_hmp(f, "info mtree --diff 0");
    assert_text_has(f->out->str, "(rom): pc.rom\n");
    assert_text_has(monitor_fixture_hmp_error(f, "info mtree --diff"), "--diff needs");
    assert_text_has(monitor_fixture_hmp_error(f, "info mtree --diff 9999"), "can be compared");
    assert_text_has(monitor_fixture_hmp_error(f, "info mtree -o --diff 0"),
                    "--diff and --owner exclude each other");
    assert_text_has(monitor_fixture_hmp_error(f, back), "comes after");
    assert_text_has(monitor_fixture_hmp_error(f, "info mtree 3"), "'3' is one word too many");
    monitor_fixture_free(f);
}

static void test_mtree_refuses_unknown_flags(void **state)
{
    MonitorFixture *f = monitor_fixture_new(NULL);

    assert_text_has(monitor_fixture_hmp_error(f, "info mtree -x"), "-x");
    assert_text_has(monitor_fixture_hmp_error(f, "info mtree all"), "'all'");
    assert_text_has(monitor_fixture_hmp_error(f, "info mtre"), "info mtree");
    monitor_fixture_free(f);
}

static void test_slots_and_commits(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 256M,slots=2,maxmem=1G");
    json_t *stats;
    json_int_t before;

    assert_text_has(monitor_fixture_hmp(f, "info kvm-slots"),
                    "slot 0: 0000000000000000-000000000009ffff host 0x");
    stats = monitor_fixture_qmp(f, "x-query-commit-stats", NULL);
    before = json_integer_value(json_object_get(json_object_get(stats, "total"), "commits"));
    monitor_fixture_hmp(f, "object_add memory-backend-ram,id=m1,size=128M");
    monitor_fixture_hmp(f, "device_add pc-dimm,id=d1,memdev=m1");
    stats = monitor_fixture_qmp(f, "x-query-commit-stats", NULL);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(stats, "total"),
                                                        "commits")), before + 1);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(stats, "last"),
                                                        "commits")), 1);
    assert_text_has(monitor_fixture_hmp(f, "info kvm-slots"), "rw d1\n");
    assert_text_has(monitor_fixture_hmp(f, "info commit-stats"), "slot-ioctls");
    monitor_fixture_free(f);
}

static json_t *last_of(json_t *stats)
{
    json_t *history = json_object_get(stats, "history");

    assert_true(json_array_size(history) > 0);
    return json_array_get(history, json_array_size(history) - 1);
}

static void assert_cause(MonitorFixture *f, const char *cause)
{
    json_t *stats = monitor_fixture_qmp(f, "x-query-memory-stats", NULL);

    assert_string_equal(json_string_value(json_object_get(last_of(stats), "cause")), cause);
}

/* Every member, by name and type. */
static void test_memory_stats_shape(void **state)
{
    static const char *const counters[] = {
        "views-rendered", "ranges-visited", "radix-nodes-built", "radix-nodes-shared",
        "listener-calls", "ioctls", "pauses", "pause-us", "microseconds",
    };
    MonitorFixture *f = monitor_fixture_new("-m 256M,slots=2,maxmem=1G");
    json_t *stats = monitor_fixture_qmp(f, "x-query-memory-stats", NULL);
    json_t *total = json_object_get(stats, "total"), *record = last_of(stats);

    assert_int_equal(json_object_size(stats), 2);
    assert_int_equal(json_object_size(total), G_N_ELEMENTS(counters) + 2);
    assert_int_equal(json_object_size(record), G_N_ELEMENTS(counters) + 4);
    for (size_t i = 0; i < G_N_ELEMENTS(counters); i++) {
        assert_true(json_is_integer(json_object_get(total, counters[i])));
        assert_true(json_is_integer(json_object_get(record, counters[i])));
    }
    assert_int_equal(json_integer_value(json_object_get(total, "commits")),
                     json_integer_value(json_object_get(record, "number")));
    assert_int_equal(json_integer_value(json_object_get(total, "failed")), 0);
    assert_true(json_is_integer(json_object_get(record, "at-us")));
    assert_true(json_is_string(json_object_get(record, "cause")));
    assert_true(json_is_true(json_object_get(record, "success")));
    monitor_fixture_free(f);
}

static void test_memory_stats_name_causes(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 256M,slots=2,maxmem=1G");
    json_t *record;

    assert_cause(f, "board: devices");
    monitor_fixture_hmp(f, "object_add memory-backend-ram,id=m1,size=128M");
    monitor_fixture_hmp(f, "device_add pc-dimm,id=d1,memdev=m1");
    assert_cause(f, "device_add d1");
    record = last_of(monitor_fixture_qmp(f, "x-query-memory-stats", NULL));
    assert_int_equal(json_integer_value(json_object_get(record, "ioctls")), 1);
    assert_int_equal(json_integer_value(json_object_get(record, "views-rendered")), 1);
    monitor_fixture_guest_eject(f, 0);
    assert_cause(f, "guest eject of slot 0");
    monitor_fixture_hmp(f, "info mtree-history");
    assert_text_has(f->out->str, "     # ");
    assert_text_has(f->out->str, "  cause\n");
    assert_text_has(f->out->str, "  board: devices\n");
    assert_text_has(f->out->str, "  device_add d1\n");
    assert_text_has(f->out->str, "\n total ");
    assert_text_has(f->out->str, " commits, 0 undone\n");
    monitor_fixture_free(f);
}

/* The guest's accesses are made by hand here, on a thread that counts as nobody. */
static void test_mtree_s_shows_counts(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-m 64M");

    monitor_fixture_hmp(f, "info mtree -s");
    assert_text_has(f->out->str, "\nunassigned: reads=0 writes=0 exits=0\n");
    assert_text_has(f->out->str, ": serial");
    monitor_fixture_hmp(f, "info mtree -fs");
    assert_text_has(f->out->str, "\nunassigned: reads=0 writes=0 exits=0\n");
    monitor_fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mtree_shows_the_tree),
        cmocka_unit_test(test_mtree_f_shows_the_flat_views),
        cmocka_unit_test(test_mtree_o_names_owners),
        cmocka_unit_test(test_mtree_d_shows_the_dispatch),
        cmocka_unit_test(test_mtree_diff_tells_what_a_plug_changed),
        cmocka_unit_test(test_mtree_refuses_unknown_flags),
        cmocka_unit_test(test_slots_and_commits),
        cmocka_unit_test(test_memory_stats_shape),
        cmocka_unit_test(test_memory_stats_name_causes),
        cmocka_unit_test(test_mtree_s_shows_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
