/* SPDX-License-Identifier: MIT */
/* Tests of gdb/breakpoints.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "support/gdb-fixture.h"

/* Software. */

static void test_software_writes_int3_and_puts_back(void **state)
{
    GdbFixture *f = *state;
    GdbBreakpoints *b = gdb_breakpoints_new(&f->target);
    uint8_t own = f->ram[0x123];
    VcpuDebugPlan plan;

    assert_true(gdb_breakpoints_insert(b, 0, GDB_BREAK_SOFTWARE, GDB_TEXT + 0x123, 1));
    assert_int_equal(f->ram[0x123], 0xcc);
    gdb_breakpoints_plan(b, &plan);
    assert_int_equal(plan.int3_count, 1);
    assert_int_equal(plan.int3[0], 0x123); /* guest-physical */
    assert_int_equal(plan.slot_count, 0);
    assert_true(gdb_breakpoints_insert(b, 0, GDB_BREAK_SOFTWARE, GDB_TEXT + 0x123, 1));
    gdb_breakpoints_plan(b, &plan);
    assert_int_equal(plan.int3_count, 1);
    gdb_breakpoints_remove(b, GDB_BREAK_SOFTWARE, GDB_TEXT + 0x123, 1);
    assert_int_equal(f->ram[0x123], own);
    gdb_breakpoints_remove(b, GDB_BREAK_SOFTWARE, GDB_TEXT + 0x123, 1);
    gdb_breakpoints_plan(b, &plan);
    assert_int_equal(plan.int3_count, 0);
    gdb_breakpoints_free(b);
}

static void test_software_refuses_what_is_not_memory(void **state)
{
    GdbFixture *f = *state;
    GdbBreakpoints *b = gdb_breakpoints_new(&f->target);

    assert_false(gdb_breakpoints_insert(b, 0, GDB_BREAK_SOFTWARE, 0x1000, 1));
    assert_false(gdb_breakpoints_insert(b, 0, GDB_BREAK_SOFTWARE, GDB_TEXT, 2));
    assert_false(gdb_breakpoints_insert(b, 0, GDB_BREAK_SOFTWARE, GDB_TEXT, 0));
    assert_int_equal(f->ram[0], 0);
    gdb_breakpoints_free(b);
}

/* Two virtual addresses of one byte: it comes back when the last one goes. */
static void test_software_at_two_addresses_of_one_byte(void **state)
{
    GdbFixture *f = *state;
    GdbBreakpoints *b = gdb_breakpoints_new(&f->target);
    uint8_t own = f->ram[0x20];

    assert_true(gdb_breakpoints_insert(b, 0, GDB_BREAK_SOFTWARE, GDB_TEXT + 0x20, 1));
    assert_true(gdb_breakpoints_insert(b, 0, GDB_BREAK_SOFTWARE, GDB_ALIAS + 0x20, 1));
    gdb_breakpoints_remove(b, GDB_BREAK_SOFTWARE, GDB_TEXT + 0x20, 1);
    assert_int_equal(f->ram[0x20], 0xcc);
    gdb_breakpoints_remove_software(b);
    assert_int_equal(f->ram[0x20], own);
    gdb_breakpoints_free(b);
}

static void test_software_leaves_what_the_guest_wrote(void **state)
{
    GdbFixture *f = *state;
    GdbBreakpoints *b = gdb_breakpoints_new(&f->target);

    assert_true(gdb_breakpoints_insert(b, 0, GDB_BREAK_SOFTWARE, GDB_TEXT + 0x40, 1));
    f->ram[0x40] = 0x90;
    gdb_breakpoints_remove_software(b);
    assert_int_equal(f->ram[0x40], 0x90);
    gdb_breakpoints_free(b);
}

static void test_hide_and_keep(void **state)
{
    GdbFixture *f = *state;
    GdbBreakpoints *b = gdb_breakpoints_new(&f->target);
    uint8_t own = f->ram[0x11];
    uint8_t buf[4];

    assert_true(gdb_breakpoints_insert(b, 0, GDB_BREAK_SOFTWARE, GDB_TEXT + 0x11, 1));
    assert_true(gdb_breakpoints_insert(b, 0, GDB_BREAK_SOFTWARE, GDB_ALIAS + 0x11, 1));
    memcpy(buf, f->ram + 0x10, sizeof(buf));
    gdb_breakpoints_hide(b, true, 0x10, buf, sizeof(buf));
    assert_int_equal(buf[1], own);
    memcpy(buf, f->ram + 0x10, sizeof(buf));
    gdb_breakpoints_hide(b, false, 0x10, buf, sizeof(buf)); /* not that virtual address */
    assert_int_equal(buf[1], 0xcc);
    gdb_breakpoints_hide(b, false, GDB_TEXT + 0x12, buf, sizeof(buf));
    assert_int_equal(buf[1], 0xcc);

    memset(buf, 0x55, sizeof(buf));
    gdb_breakpoints_keep(b, false, GDB_ALIAS + 0x10, buf, sizeof(buf));
    assert_memory_equal(buf, "\x55\xcc\x55\x55", 4);
    gdb_breakpoints_remove_software(b);
    assert_int_equal(f->ram[0x11], 0x55);
    gdb_breakpoints_free(b);
}

/* Hardware. */

static void test_split_watch(void **state)
{
    VcpuDebugSlot s[8];

    assert_int_equal(gdb_split_watch(0x1000, 8, VCPU_WATCH_WRITE, s, 4), 1);
    assert_int_equal(s[0].len, 8);
    assert_int_equal(s[0].watch, VCPU_WATCH_WRITE);
    /* 1003 | 1004..1007 | 1008..100f | 1010 */
    assert_int_equal(gdb_split_watch(0x1003, 14, VCPU_WATCH_ACCESS, s, 4), 4);
    assert_int_equal(s[0].gva, 0x1003);
    assert_int_equal(s[0].len, 1);
    assert_int_equal(s[1].gva, 0x1004);
    assert_int_equal(s[1].len, 4);
    assert_int_equal(s[2].gva, 0x1008);
    assert_int_equal(s[2].len, 8);
    assert_int_equal(s[3].gva, 0x1010);
    assert_int_equal(s[3].len, 1);
    assert_int_equal(gdb_split_watch(0x1003, 14, VCPU_WATCH_ACCESS, s, 3), 0);
    assert_int_equal(gdb_split_watch(0x1000, UINT64_MAX, VCPU_WATCH_ACCESS, s, 8), 0);
    assert_int_equal(gdb_split_watch(0x1000, 0, VCPU_WATCH_ACCESS, s, 4), 0);
}

static void test_hardware_fills_the_slots(void **state)
{
    GdbFixture *f = *state;
    GdbBreakpoints *b = gdb_breakpoints_new(&f->target);
    VcpuDebugPlan plan;
    uint64_t gva = 0;

    assert_true(gdb_breakpoints_insert(b, 0, GDB_BREAK_HARDWARE, 0xdead0001, 1));
    assert_true(gdb_breakpoints_insert(b, 0, GDB_BREAK_HARDWARE, 0xdead0001, 1));
    assert_true(gdb_breakpoints_insert(b, 0, GDB_WATCH_WRITE, 0x1006, 4)); /* two pieces */
    assert_true(gdb_breakpoints_insert(b, 0, GDB_WATCH_READ, 0x2000, 2));
    assert_false(gdb_breakpoints_insert(b, 0, GDB_WATCH_ACCESS, 0x3000, 1));
    gdb_breakpoints_plan(b, &plan);
    assert_int_equal(plan.slot_count, 4);
    assert_int_equal(plan.slots[0].watch, VCPU_WATCH_EXECUTE);
    assert_int_equal(plan.slots[0].gva, 0xdead0001);
    assert_int_equal(plan.slots[2].gva, 0x1008);
    assert_int_equal(plan.slots[3].watch, VCPU_WATCH_ACCESS);
    assert_int_equal(gdb_breakpoints_slot(b, 2, &gva), GDB_WATCH_WRITE);
    assert_int_equal(gva, 0x1008);
    assert_int_equal(gdb_breakpoints_slot(b, 3, &gva), GDB_WATCH_READ);
    assert_int_equal(gdb_breakpoints_slot(b, 4, &gva), GDB_BREAK_SOFTWARE);

    gdb_breakpoints_remove(b, GDB_WATCH_WRITE, 0x1006, 8); /* not that length */
    gdb_breakpoints_remove(b, GDB_WATCH_WRITE, 0x1006, 4);
    gdb_breakpoints_plan(b, &plan);
    assert_int_equal(plan.slot_count, 2);
    assert_true(gdb_breakpoints_insert(b, 0, GDB_WATCH_ACCESS, 0x3000, 1));
    gdb_breakpoints_free(b);
}

#define T(name) cmocka_unit_test_setup_teardown(name, gdb_fixture_setup, gdb_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_software_writes_int3_and_puts_back),
        T(test_software_refuses_what_is_not_memory),
        T(test_software_at_two_addresses_of_one_byte),
        T(test_software_leaves_what_the_guest_wrote),
        T(test_hide_and_keep),
        T(test_split_watch),
        T(test_hardware_fills_the_slots),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
