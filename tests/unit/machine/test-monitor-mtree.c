/* SPDX-License-Identifier: MIT */
/* The monitor's commands that show the memory map. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "support/monitor-fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mtree_shows_the_tree),
        cmocka_unit_test(test_mtree_f_shows_the_flat_views),
        cmocka_unit_test(test_mtree_o_names_owners),
        cmocka_unit_test(test_mtree_d_shows_the_dispatch),
        cmocka_unit_test(test_mtree_refuses_unknown_flags),
        cmocka_unit_test(test_slots_and_commits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
