/* SPDX-License-Identifier: MIT */
/* Tests of hw/misc/reset-port.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/device-rig.h"
#include "tessera/hw/misc/reset-port.h"

#define PORT 0xcf9

static Device *start(DeviceRig *rig)
{
    const int port = PORT;
    Device *dev;

    rig_init(rig);
    dev = rig_new(rig, &reset_port_device_class);
    rig_start(rig, dev, &port, 1);
    return dev;
}

static void test_a_rising_bit_2_resets(void **state)
{
    static const uint8_t second[] = { 0x04, 0x06, 0x0e };

    for (size_t i = 0; i < sizeof(second); i++) {
        DeviceRig rig;

        start(&rig);
        rig_outb(&rig, PORT, 0x02);
        assert_int_equal(rig.resets, 0);
        assert_int_equal(rig_inb(&rig, PORT), 0x02);
        rig_outb(&rig, PORT, second[i]);
        assert_int_equal(rig.resets, 1);
        assert_int_equal(rig.cause, MACHINE_CAUSE_GUEST_RESET);
        rig_outb(&rig, PORT, second[i]); /* it was up already */
        assert_int_equal(rig.resets, 1);
        rig_done(&rig);
    }
}

static void test_other_bits_do_not_reset(void **state)
{
    DeviceRig rig;

    start(&rig);
    for (unsigned v = 0; v < 256; v++) {
        rig_outb(&rig, PORT, v & ~RESET_PORT_CPU);
    }
    assert_int_equal(rig.resets, 0);
    assert_int_equal(rig_inb(&rig, PORT), 0x0a); /* only bits that exist */
    rig_done(&rig);
}

static void test_reset_forgets_the_value(void **state)
{
    DeviceRig rig;
    Device *dev = start(&rig);

    rig_outb(&rig, PORT, 0x06);
    device_reset(dev);
    assert_int_equal(rig_inb(&rig, PORT), 0);
    rig_outb(&rig, PORT, 0x06);
    assert_int_equal(rig.resets, 2);
    rig_done(&rig);
}

static void test_only_bytes_are_answered(void **state)
{
    DeviceRig rig;

    start(&rig);
    rig_outw(&rig, PORT, 0x0606);
    rig_outl(&rig, PORT, 0x06060606);
    rig_outl(&rig, PORT - 1, 0x0606); /* nobody there in this machine, and not for us */
    assert_int_equal(rig.resets, 0);
    assert_int_equal(rig_inw(&rig, PORT), 0xffff);
    rig_done(&rig);
}

static void test_fuzz_of_two_machines_stays_apart(void **state)
{
    DeviceRig a, b;
    g_autoptr(GRand) rand = rig_rand("reset-port");

    start(&a);
    start(&b);
    rig_fuzz(&a, rand, PORT, 1, 5000);
    assert_true(a.resets > 0);
    assert_int_equal(b.resets, 0);
    rig_done(&a);
    rig_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_rising_bit_2_resets),
        cmocka_unit_test(test_other_bits_do_not_reset),
        cmocka_unit_test(test_reset_forgets_the_value),
        cmocka_unit_test(test_only_bytes_are_answered),
        cmocka_unit_test(test_fuzz_of_two_machines_stays_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
