/* SPDX-License-Identifier: MIT */
/* Tests of hw/misc/post-port.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/device-rig.h"
#include "tessera/hw/misc/post-port.h"

#define PORT 0x80

static Device *start(DeviceRig *rig)
{
    const int port = PORT;
    Device *dev;

    rig_init(rig);
    dev = rig_new(rig, &post_port_device_class);
    rig_start(rig, dev, &port, 1);
    return dev;
}

static void test_codes_are_remembered(void **state)
{
    DeviceRig rig;
    Device *dev = start(&rig);
    uint8_t codes[POST_PORT_HISTORY];

    assert_int_equal(rig_inb(&rig, PORT), 0);
    assert_int_equal(post_port_codes(dev, codes), 0);
    rig_outb(&rig, PORT, 0x12);
    rig_outb(&rig, PORT, 0x34);
    assert_int_equal(rig_inb(&rig, PORT), 0x34);
    assert_int_equal(post_port_codes(dev, codes), 2);
    assert_int_equal(codes[0], 0x12);
    assert_int_equal(codes[1], 0x34);
    rig_done(&rig);
}

static void test_only_the_last_codes_are_kept(void **state)
{
    DeviceRig rig;
    Device *dev = start(&rig);
    uint8_t codes[POST_PORT_HISTORY];

    for (unsigned i = 0; i < 100; i++) {
        rig_outb(&rig, PORT, i);
    }
    assert_int_equal(post_port_codes(dev, codes), POST_PORT_HISTORY);
    for (unsigned i = 0; i < POST_PORT_HISTORY; i++) {
        assert_int_equal(codes[i], 100 - POST_PORT_HISTORY + i);
    }
    device_reset(dev);
    assert_int_equal(post_port_codes(dev, codes), 0);
    assert_int_equal(rig_inb(&rig, PORT), 0);
    rig_done(&rig);
}

static void test_of_a_wide_write_the_first_byte_is_the_code(void **state)
{
    DeviceRig rig;
    Device *dev = start(&rig);
    uint8_t codes[POST_PORT_HISTORY];

    rig_outw(&rig, PORT, 0x1234);
    assert_int_equal(post_port_codes(dev, codes), 1);
    assert_int_equal(codes[0], 0x34);
    rig_done(&rig);
}

static void test_two_ports_know_nothing_of_each_other(void **state)
{
    DeviceRig a, b;

    start(&a);
    start(&b);
    rig_outb(&a, PORT, 0x77);
    assert_int_equal(rig_inb(&b, PORT), 0);
    rig_done(&a);
    rig_done(&b);
}

static void test_fuzz_survives(void **state)
{
    DeviceRig rig;
    g_autoptr(GRand) rand = rig_rand("post-port");

    start(&rig);
    rig_fuzz(&rig, rand, PORT, 1, 10000);
    rig_done(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes_are_remembered),
        cmocka_unit_test(test_only_the_last_codes_are_kept),
        cmocka_unit_test(test_of_a_wide_write_the_first_byte_is_the_code),
        cmocka_unit_test(test_two_ports_know_nothing_of_each_other),
        cmocka_unit_test(test_fuzz_survives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
