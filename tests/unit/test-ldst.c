/* SPDX-License-Identifier: MIT */
/* Loads and stores of one value, in RAM and on devices of both byte orders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <string.h>
#include "support/access-fixture.h"

#define NONE MEMTXATTRS_NONE

static const uint8_t row[8] = { 0x81, 0x72, 0x63, 0x54, 0x45, 0x36, 0x27, 0x18 };

static void check_loads(AddressSpace *as, hwaddr at)
{
    MemTxResult r = MEMTX_ERROR;

    assert_int_equal(address_space_ldub(as, at, NONE, &r), 0x81);
    assert_int_equal(r, MEMTX_OK);
    assert_int_equal(address_space_lduw_le(as, at, NONE, &r), 0x7281);
    assert_int_equal(address_space_lduw_be(as, at, NONE, &r), 0x8172);
    assert_int_equal(address_space_ldl_le(as, at, NONE, &r), 0x54637281);
    assert_int_equal(address_space_ldl_be(as, at, NONE, &r), 0x81726354);
    assert_true(address_space_ldq_le(as, at, NONE, &r) == UINT64_C(0x1827364554637281));
    assert_true(address_space_ldq_be(as, at, NONE, NULL) == UINT64_C(0x8172635445362718));
    assert_int_equal(r, MEMTX_OK);
}

/* Stores into @bytes (where @at shows) what the loads above find. */
static void check_stores(AddressSpace *as, hwaddr at, const uint8_t *bytes)
{
    MemTxResult r = MEMTX_ERROR;

    address_space_stb(as, at, 0xab, NONE, &r);
    assert_int_equal(r, MEMTX_OK);
    assert_int_equal(bytes[0], 0xab);
    address_space_stw_le(as, at, 0x7281, NONE, &r);
    assert_memory_equal(bytes, row, 2);
    address_space_stl_le(as, at, 0, NONE, NULL);
    address_space_stw_be(as, at, 0x8172, NONE, &r);
    assert_memory_equal(bytes, row, 2);
    assert_int_equal(bytes[2], 0);
    address_space_stl_le(as, at, 0x54637281, NONE, &r);
    assert_memory_equal(bytes, row, 4);
    address_space_stq_le(as, at, 0, NONE, &r);
    address_space_stl_be(as, at, 0x81726354, NONE, &r);
    assert_memory_equal(bytes, row, 4);
    assert_int_equal(bytes[4], 0);
    address_space_stq_le(as, at, UINT64_C(0x1827364554637281), NONE, &r);
    assert_memory_equal(bytes, row, 8);
    address_space_stq_le(as, at, 0, NONE, &r);
    address_space_stq_be(as, at, UINT64_C(0x8172635445362718), NONE, &r);
    assert_memory_equal(bytes, row, 8);
    assert_int_equal(r, MEMTX_OK);
}

static void test_ldst_ram_aligned_and_not(void **state)
{
    AccessFixture *f = *state;

    MemoryRegion *ram = access_fixture_add_ram(f, 0x1000, 0x1000);
    for (unsigned at = 0x10; at < 0x20; at++) {
        memcpy(access_fixture_host(ram) + at, row, 8);
        check_loads(f->as, 0x1000 + at);
        check_stores(f->as, 0x1000 + at, access_fixture_host(ram) + at);
    }
}

/* The order of bytes at an address is the device's business, and both kinds show the same bytes. */
static void test_ldst_devices_of_both_orders(void **state)
{
    AccessFixture *f = *state;
    ByteDevice le, be;

    byte_device_init(&le);
    byte_device_init(&be);
    be.ops.endianness = DEVICE_BIG_ENDIAN;
    access_fixture_add_device(f, 0x100, 64, &le);
    access_fixture_add_device(f, 0x200, 64, &be);
    memcpy(le.bytes + 8, row, 8);
    memcpy(be.bytes + 8, row, 8);
    check_loads(f->as, 0x108);
    check_loads(f->as, 0x208);
    check_stores(f->as, 0x108, le.bytes + 8);
    check_stores(f->as, 0x208, be.bytes + 8);
}

static void test_ldst_failures(void **state)
{
    AccessFixture *f = *state;
    MemTxResult r = MEMTX_OK;
    ByteDevice d;

    byte_device_init(&d);
    d.answer = MEMTX_ERROR;
    access_fixture_add_device(f, 0x100, 64, &d);
    assert_int_equal(address_space_ldub(f->as, 0x100, NONE, &r), 0xff);
    assert_int_equal(r, MEMTX_ERROR);
    assert_int_equal(address_space_lduw_be(f->as, 0x100, NONE, &r), 0xffff);
    assert_int_equal(address_space_ldl_le(f->as, 0x300, NONE, &r), UINT32_MAX);
    assert_int_equal(r, MEMTX_DECODE_ERROR);
    assert_true(address_space_ldq_be(f->as, 0x300, NONE, NULL) == UINT64_MAX);
    address_space_stq_be(f->as, 0x300, 1, NONE, &r);
    assert_int_equal(r, MEMTX_DECODE_ERROR);
    address_space_stl_be(f->as, 0x100, 1, NONE, &r);
    assert_int_equal(r, MEMTX_ERROR);
    /* Half of the value in RAM, half nowhere: the load has failed as a whole. */
    access_fixture_add_ram(f, 0x1000, 0x1000);
    assert_int_equal(address_space_ldl_le(f->as, 0x1ffe, NONE, &r), UINT32_MAX);
    assert_int_equal(r, MEMTX_DECODE_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ldst_ram_aligned_and_not,
                                        access_fixture_setup, access_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_ldst_devices_of_both_orders,
                                        access_fixture_setup, access_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_ldst_failures,
                                        access_fixture_setup, access_fixture_teardown),
    };

    return cmocka_run_group_tests_name("ldst", tests, NULL, NULL);
}
