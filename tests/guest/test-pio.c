/* SPDX-License-Identifier: MIT */
/* Port accesses of a guest as the devices see them. */
#include "support/guest.h"

#include <string.h>

#define PORT 0x1000

static void test_out_of_each_size(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *r = recorder_new(guest, guest->io_root, PORT, 16, 0);

    GUEST_OPS(guest, 0, DO(OP_OUT, 1, PORT + 3, 0x1122334455667788),
              DO(OP_OUT, 2, PORT + 4, 0x1122334455667788),
              DO(OP_OUT, 4, PORT + 8, 0x1122334455667788), DO_USER(OP_OUT, 1, PORT + 1, 0xaa),
              DO_USER(OP_OUT, 2, PORT + 2, 0xbbbb), DO_USER(OP_OUT, 4, PORT + 5, 0xcccccccc));
    guest_run(guest);
    assert_int_equal(r->count, 6);
    recorder_assert(r, 0, true, 3, 1, 0x88);
    recorder_assert(r, 1, true, 4, 2, 0x7788);
    recorder_assert(r, 2, true, 8, 4, 0x55667788);
    recorder_assert(r, 3, true, 1, 1, 0xaa);
    recorder_assert(r, 4, true, 2, 2, 0xbbbb);
    recorder_assert(r, 5, true, 5, 4, 0xcccccccc);
    recorder_free(r);
    guest_free(guest);
}

static void test_in_of_each_size(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *r = recorder_new(guest, guest->io_root, PORT, 16, 0);

    GUEST_OPS(guest, 0, DO(OP_IN, 1, PORT + 1, 0), DO(OP_IN, 2, PORT + 2, 0),
              DO(OP_IN, 4, PORT + 4, 0), DO_USER(OP_IN, 1, PORT + 3, 0),
              DO_USER(OP_IN, 2, PORT + 6, 0), DO_USER(OP_IN, 4, PORT + 8, 0));
    guest_run(guest);
    assert_int_equal(r->count, 6);
    recorder_assert(r, 0, false, 1, 1, 0x11);
    recorder_assert(r, 2, false, 4, 4, 0x17161514);
    assert_int_equal(guest_result(guest, 0), 0x11);
    assert_int_equal(guest_result(guest, 1), 0x1312);
    assert_int_equal(guest_result(guest, 2), 0x17161514);
    assert_int_equal(guest_result(guest, 3), 0x13);
    assert_int_equal(guest_result(guest, 4), 0x1716);
    assert_int_equal(guest_result(guest, 5), 0x1b1a1918);
    recorder_free(r);
    guest_free(guest);
}

static void test_port_without_a_device(void **state)
{
    Guest *guest = guest_new(1);

    GUEST_OPS(guest, 0, DO(OP_IN, 1, PORT, 0), DO(OP_IN, 2, PORT, 0), DO(OP_IN, 4, 0xfffc, 0),
              DO(OP_OUT, 4, PORT, 1));
    guest_run(guest);
    assert_int_equal(guest_result(guest, 0), 0xff);
    assert_int_equal(guest_result(guest, 1), 0xffff);
    assert_int_equal(guest_result(guest, 2), 0xffffffff);
    guest_free(guest);
}

/* However the kernel batches them, the device sees each element, in order. */
static void test_string_out(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *r = recorder_new(guest, guest->io_root, PORT, 16, 0);
    uint8_t *buffer = guest->shared->buffer;
    uint64_t at = OPS_SHARED_BASE + offsetof(OpsShared, buffer);

    for (unsigned i = 0; i < 64; i++) {
        buffer[i] = (uint8_t)(i * 7);
    }
    GUEST_OPS(guest, 0, DO_MANY(OP_OUTS, 1, 0, PORT, 10, at), DO_MANY(OP_OUTS, 2, 0, PORT, 10, at),
              DO_MANY(OP_OUTS, 4, 0, PORT, 10, at), DO_MANY(OP_OUTS, 4, 1, PORT, 3, at));
    guest_run(guest);
    assert_int_equal(r->count, 33);
    for (unsigned i = 0; i < 10; i++) {
        uint16_t word;
        uint32_t dword;

        memcpy(&word, buffer + 2 * i, 2);
        memcpy(&dword, buffer + 4 * i, 4);
        recorder_assert(r, i, true, 0, 1, buffer[i]);
        recorder_assert(r, 10 + i, true, 0, 2, word);
        recorder_assert(r, 20 + i, true, 0, 4, dword);
    }
    recorder_free(r);
    guest_free(guest);
}

static void test_string_in(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *r = recorder_new(guest, guest->io_root, PORT, 16, 0);
    uint8_t *buffer = guest->shared->buffer;
    uint64_t at = OPS_SHARED_BASE + offsetof(OpsShared, buffer);

    GUEST_OPS(guest, 0, DO_MANY(OP_INS, 1, 0, PORT + 5, 100, at),
              DO_MANY(OP_INS, 2, 0, PORT + 4, 50, at + 1000),
              DO_MANY(OP_INS, 4, 0, PORT, 50, at + 2000));
    guest_run(guest);
    assert_int_equal(r->count, 200);
    for (unsigned i = 0; i < 200; i++) {
        assert_false(r->accesses[i].is_write);
        assert_int_equal(r->accesses[i].size, i < 100 ? 1 : i < 150 ? 2 : 4);
    }
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(buffer[i], 0x15);
        assert_int_equal(buffer[1000 + i], i % 2 ? 0x15 : 0x14);
        assert_int_equal(buffer[2000 + i], 0x10 + i % 4);
    }
    assert_int_equal(buffer[100], 0);
    assert_int_equal(buffer[1100], 0);
    recorder_free(r);
    guest_free(guest);
}

/* Many elements: KVM gives up to a page of them with one exit, and the rest with others. */
static void test_string_in_long(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *r = recorder_new(guest, guest->io_root, PORT, 16, 0);
    uint8_t *buffer = guest->shared->buffer;
    uint64_t at = OPS_SHARED_BASE + offsetof(OpsShared, buffer);

    GUEST_OPS(guest, 0, DO_MANY(OP_INS, 4, 0, PORT, 2000, at));
    guest_run(guest);
    assert_int_equal(r->count, 2000);
    for (unsigned i = 0; i < 8000; i++) {
        assert_int_equal(buffer[i], 0x10 + i % 4);
    }
    assert_int_equal(buffer[8000], 0);
    recorder_free(r);
    guest_free(guest);
}

/* Four bytes over two devices of two: one access, at its full width, to the first. */
static void test_access_over_a_device_edge(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *low = recorder_new(guest, guest->io_root, PORT, 2, 0);
    Recorder *high = recorder_new(guest, guest->io_root, PORT + 2, 2, 0);

    GUEST_OPS(guest, 0, DO(OP_OUT, 4, PORT, 0x44332211), DO(OP_OUT, 2, PORT + 2, 0x6655));
    guest_run(guest);
    assert_int_equal(low->count, 1);
    recorder_assert(low, 0, true, 0, 4, 0x44332211);
    assert_int_equal(high->count, 1);
    recorder_assert(high, 0, true, 0, 2, 0x6655);
    recorder_free(high);
    recorder_free(low);
    guest_free(guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_out_of_each_size),
        cmocka_unit_test(test_in_of_each_size),
        cmocka_unit_test(test_port_without_a_device),
        cmocka_unit_test(test_string_out),
        cmocka_unit_test(test_string_in),
        cmocka_unit_test(test_string_in_long),
        cmocka_unit_test(test_access_over_a_device_edge),
    };

    return cmocka_run_group_tests_name("pio", tests, NULL, NULL);
}
