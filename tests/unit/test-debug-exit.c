/* SPDX-License-Identifier: MIT */
/* Tests of hw/misc/debug-exit.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/device-rig.h"
#include "tessera/hw/misc/debug-exit.h"

#define PORT 0xf4

static void start(DeviceRig *rig)
{
    const int port = PORT;

    rig_init(rig);
    rig_start(rig, rig_new(rig, &debug_exit_device_class), &port, 1);
}

static void test_write_ends_the_program_with_a_status(void **state)
{
    DeviceRig rig;

    start(&rig);
    assert_int_equal(rig.exits, 0);
    rig_outb(&rig, PORT, 0x10);
    assert_int_equal(rig.exits, 1);
    assert_int_equal(rig.cause, MACHINE_CAUSE_DEBUG_EXIT);
    assert_int_equal(rig.status, 0x21);
    rig_outl(&rig, PORT, 0);
    assert_int_equal(rig.status, 1); /* never 0 */
    rig_outw(&rig, PORT, 0x1ff);
    assert_int_equal(rig.status, 0xff); /* the host keeps eight bits */
    rig_outl(&rig, PORT, 0xffffffff);
    assert_int_equal(rig.status, 0xff);
    rig_outb(&rig, PORT + 3, 2);
    assert_int_equal(rig.status, 5);
    assert_int_equal(rig.exits, 5);
    assert_int_equal(rig.resets + rig.poweroffs, 0);
    rig_done(&rig);
}

static void test_read_does_nothing(void **state)
{
    DeviceRig rig;

    start(&rig);
    assert_int_equal(rig_inb(&rig, PORT), 0);
    assert_int_equal(rig_inl(&rig, PORT), 0);
    assert_int_equal(rig.exits, 0);
    rig_done(&rig);
}

static void test_fuzz_of_two_machines_stays_apart(void **state)
{
    DeviceRig a, b;
    g_autoptr(GRand) rand = rig_rand("debug-exit");

    start(&a);
    start(&b);
    rig_fuzz(&a, rand, PORT, 4, 5000);
    assert_true(a.exits > 0);
    assert_int_equal(b.exits, 0);
    rig_done(&a);
    rig_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_ends_the_program_with_a_status),
        cmocka_unit_test(test_read_does_nothing),
        cmocka_unit_test(test_fuzz_of_two_machines_stays_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
