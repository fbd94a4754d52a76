/* SPDX-License-Identifier: MIT */
/* Reads and writes of an address space: who gets which bytes, in what sizes, with what result. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include "support/access-fixture.h"

#define NONE MEMTXATTRS_NONE

static bool all_ones(const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (buf[i] != 0xff) {
            return false;
        }
    }
    return true;
}

/* --- Memory --- */

/*
 *   0x1000      0x2000      0x3000      0x4000      0x5000
 *   |   RAM a   |   RAM b   |   hole    |   RAM c   |
 */
static void test_address_space_rw_ram_across_tiles(void **state)
{
    AccessFixture *f = *state;
    uint8_t out[0x2000], in[0x2000];

    access_fixture_add_ram(f, 0x1000, 0x1000);
    MemoryRegion *b = access_fixture_add_ram(f, 0x2000, 0x1000);
    fill_bytes(out, sizeof(out), 3);
    assert_int_equal(address_space_write(f->as, 0x1000, NONE, out, sizeof(out)), MEMTX_OK);
    assert_int_equal(address_space_read(f->as, 0x1000, NONE, in, sizeof(in)), MEMTX_OK);
    assert_memory_equal(in, out, sizeof(in));
    assert_memory_equal(access_fixture_host(b), out + 0x1000, 0x1000);
    assert_int_equal(address_space_read(f->as, 0x1ffe, NONE, in, 4), MEMTX_OK);
    assert_memory_equal(in, out + 0xffe, 4);
}

static void test_address_space_rw_hole_in_the_middle(void **state)
{
    AccessFixture *f = *state;
    uint8_t out[0x3000], in[0x3000];

    MemoryRegion *b = access_fixture_add_ram(f, 0x2000, 0x1000);
    MemoryRegion *c = access_fixture_add_ram(f, 0x4000, 0x1000);
    fill_bytes(out, sizeof(out), 1);
    assert_int_equal(address_space_write(f->as, 0x2000, NONE, out, sizeof(out)),
                     MEMTX_DECODE_ERROR);
    assert_memory_equal(access_fixture_host(b), out, 0x1000);
    assert_memory_equal(access_fixture_host(c), out + 0x2000, 0x1000);
    assert_int_equal(address_space_read(f->as, 0x2000, NONE, in, sizeof(in)), MEMTX_DECODE_ERROR);
    assert_memory_equal(in, out, 0x1000);
    assert_true(all_ones(in + 0x1000, 0x1000));
    assert_memory_equal(in + 0x2000, out + 0x2000, 0x1000);
}

static void test_address_space_rw_nothing_assigned(void **state)
{
    AccessFixture *f = *state;
    uint8_t buf[100] = { 0 };

    for (uint64_t len = 1; len <= sizeof(buf); len++) {
        memset(buf, 0, sizeof(buf));
        assert_int_equal(address_space_read(f->as, 0x123456789, NONE, buf, len),
                         MEMTX_DECODE_ERROR);
        assert_true(all_ones(buf, len));
        assert_int_equal(address_space_write(f->as, 0x123456789, NONE, buf, len),
                         MEMTX_DECODE_ERROR);
    }
    assert_int_equal(address_space_read(f->as, 0, NONE, buf, 0), MEMTX_OK);
}

/* One instruction's access belongs to its first byte, even where RAM follows. */
static void test_address_space_rw_unassigned_first_byte_swallows(void **state)
{
    AccessFixture *f = *state;
    uint64_t value = 0;

    MemoryRegion *ram = access_fixture_add_ram(f, 0x1000, 0x1000);
    assert_int_equal(address_space_write(f->as, 0xffe, NONE, &value, 4), MEMTX_DECODE_ERROR);
    access_fixture_host(ram)[0] = 0x11;
    assert_int_equal(address_space_read(f->as, 0xffe, NONE, &value, 8), MEMTX_DECODE_ERROR);
    assert_true(value == UINT64_MAX);
    assert_int_equal(address_space_read(f->as, 0xffe, NONE, &value, 3), MEMTX_DECODE_ERROR);
    assert_int_equal(((uint8_t *)&value)[2], 0x11); /* a buffer is no instruction's access */
}

static void test_address_space_rw_end_of_space_does_not_wrap(void **state)
{
    AccessFixture *f = *state;
    uint8_t buf[0x2000];

    MemoryRegion *low = access_fixture_add_ram(f, 0, 0x1000);
    MemoryRegion *high = access_fixture_add_ram(f, UINT64_MAX - 0xfff, 0x1000);
    memset(access_fixture_host(low), 0x22, 0x1000);
    memset(access_fixture_host(high), 0x33, 0x1000);
    assert_int_equal(address_space_read(f->as, UINT64_MAX - 3, NONE, buf, 4), MEMTX_OK);
    assert_int_equal(buf[3], 0x33);
    memset(buf, 0, sizeof(buf));
    assert_int_equal(address_space_read(f->as, UINT64_MAX - 3, NONE, buf, 8), MEMTX_DECODE_ERROR);
    assert_int_equal(buf[3], 0x33);
    assert_true(all_ones(buf + 4, 4));
    memset(buf, 0x44, sizeof(buf));
    assert_int_equal(address_space_write(f->as, UINT64_MAX - 0xfff, NONE, buf, 0x2000),
                     MEMTX_DECODE_ERROR);
    assert_int_equal(access_fixture_host(high)[0xfff], 0x44);
    assert_int_equal(access_fixture_host(low)[0], 0x22);
    assert_false(address_space_access_valid(f->as, UINT64_MAX - 3, 8, true, NONE));
    assert_true(address_space_access_valid(f->as, UINT64_MAX - 3, 4, true, NONE));
}

static void test_address_space_rw_hole_at_end_of_space(void **state)
{
    AccessFixture *f = *state;
    uint8_t buf[16] = { 0 };

    access_fixture_add_ram(f, 0, 0x1000);
    assert_int_equal(address_space_read(f->as, UINT64_MAX - 7, NONE, buf, 16), MEMTX_DECODE_ERROR);
    assert_true(all_ones(buf, 16));
}

static void test_address_space_write_rom_is_dropped_and_counted(void **state)
{
    AccessFixture *f = *state;
    uint32_t value = 0x12345678;

    MemoryRegion *rom = access_fixture_add(
        f, 0xf0000, memory_region_new_rom(f->ms, NULL, "rom", access_fixture_block(f, 0x1000)));
    assert_int_equal(memory_system_rom_writes(f->ms), 0);
    assert_int_equal(address_space_write(f->as, 0xf0000, NONE, &value, 4), MEMTX_ROM_WRITE);
    assert_int_equal(memory_system_rom_writes(f->ms), 1);
    assert_int_equal(access_fixture_host(rom)[0], 0);
    assert_int_equal(address_space_write_rom(f->as, 0xf0000, NONE, &value, 4), MEMTX_OK);
    assert_int_equal(memory_system_rom_writes(f->ms), 1);
    assert_int_equal(access_fixture_host(rom)[0], 0x78);
    value = 0;
    assert_int_equal(address_space_read(f->as, 0xf0000, NONE, &value, 4), MEMTX_OK);
    assert_int_equal(value, 0x12345678);
}

static void test_address_space_write_readonly_ram(void **state)
{
    AccessFixture *f = *state;
    uint8_t value = 9;

    MemoryRegion *ram = access_fixture_add_ram(f, 0, 0x1000);
    assert_true(memory_region_set_readonly(ram, true, NULL));
    assert_int_equal(address_space_write(f->as, 1, NONE, &value, 1), MEMTX_ROM_WRITE);
    assert_false(address_space_access_valid(f->as, 1, 1, true, NONE));
    assert_true(memory_region_set_readonly(ram, false, NULL));
    assert_int_equal(address_space_write(f->as, 1, NONE, &value, 1), MEMTX_OK);
    assert_int_equal(access_fixture_host(ram)[1], 9);
    assert_true(address_space_access_valid(f->as, 1, 1, true, NONE));
}

static void test_address_space_write_rom_leaves_devices_alone(void **state)
{
    AccessFixture *f = *state;
    uint8_t buf[0x1100];
    ByteDevice d;

    byte_device_init(&d);
    MemoryRegion *ram = access_fixture_add_ram(f, 0, 0x1000);
    access_fixture_add_device(f, 0x1000, 64, &d);
    fill_bytes(buf, sizeof(buf), 5);
    assert_int_equal(address_space_write_rom(f->as, 0, NONE, buf, 0x1040), MEMTX_ERROR);
    assert_memory_equal(access_fixture_host(ram), buf, 0x1000);
    assert_int_equal(d.n_calls, 0);
    assert_int_equal(address_space_write_rom(f->as, 0, NONE, buf, 0x1041),
                     MEMTX_ERROR | MEMTX_DECODE_ERROR);
}

static void test_address_space_rw_rom_device_modes(void **state)
{
    AccessFixture *f = *state;
    RAMBlock *block = access_fixture_block(f, 0x1000);
    uint8_t value = 0x5a;
    ByteDevice d;

    byte_device_init(&d);
    ((uint8_t *)ram_block_host(block))[8] = 0x77;
    MemoryRegion *mr = access_fixture_add(
        f, 0x1000, memory_region_new_rom_device(f->ms, NULL, &d.ops, &d, "flash", block));

    assert_int_equal(address_space_write(f->as, 0x1008, NONE, &value, 1), MEMTX_OK);
    assert_int_equal(d.n_calls, 1);
    assert_int_equal(d.bytes[8], 0x5a);
    assert_int_equal(address_space_ldub(f->as, 0x1008, NONE, NULL), 0x77);
    assert_int_equal(d.n_calls, 1);
    d.ops.valid.min_access_size = 2; /* asks the ops for writes only */
    assert_true(address_space_access_valid(f->as, 0x1008, 1, false, NONE));
    assert_false(address_space_access_valid(f->as, 0x1008, 1, true, NONE));
    d.ops.valid.min_access_size = 1;

    assert_true(memory_region_rom_device_set_romd(mr, false, NULL));
    assert_int_equal(address_space_ldub(f->as, 0x1008, NONE, NULL), 0x5a);
    assert_int_equal(d.n_calls, 2);
    assert_int_equal(address_space_write_rom(f->as, 0x1008, NONE, &value, 1), MEMTX_OK);
    assert_int_equal(((uint8_t *)ram_block_host(block))[8], 0x5a);
    assert_int_equal(d.n_calls, 2);
}

static void test_address_space_rw_ram_device_any_length(void **state)
{
    AccessFixture *f = *state;
    RAMBlock *block = access_fixture_block(f, 0x1000);
    uint8_t out[64], in[64];

    access_fixture_add(f, 0x1000, memory_region_new_ram_device(f->ms, NULL, "bar", block));
    for (unsigned at = 0; at < 16; at++) {
        for (unsigned len = 1; len < 40; len++) {
            uint8_t *host = ram_block_host(block);

            memset(host, 0xee, 64);
            fill_bytes(out, sizeof(out), (uint8_t)(at * len));
            assert_int_equal(address_space_write(f->as, 0x1000 + at, NONE, out, len), MEMTX_OK);
            assert_memory_equal(host + at, out, len);
            assert_int_equal(host[at + len], 0xee);
            assert_int_equal(address_space_read(f->as, 0x1000 + at, NONE, in, len), MEMTX_OK);
            assert_memory_equal(in, out, len);
        }
    }
}

/* --- Dirty marks --- */

static void test_address_space_write_marks_logged_memory(void **state)
{
    AccessFixture *f = *state;
    DirtyLog log = DIRTY_LOG_INIT;
    uint8_t buf[8] = { 0 };

    MemoryRegion *ram = access_fixture_add_ram(f, 0x10000, 0x1000);
    ram_block_notifier_add(f->ms, &log.notifier);
    address_space_write(f->as, 0x10010, NONE, buf, 8);
    assert_int_equal(log.count, 0);
    assert_true(memory_region_set_log(ram, true, DIRTY_CLIENT_MIGRATION, NULL));
    address_space_read(f->as, 0x10010, NONE, buf, 8);
    assert_int_equal(log.count, 0);
    address_space_write(f->as, 0x10010, NONE, buf, 5);
    assert_int_equal(log.count, 1);
    assert_int_equal(log.off, 0x10);
    assert_int_equal(log.len, 5);
    assert_ptr_equal(log.block, memory_region_ram_block(ram));
    address_space_write_rom(f->as, 0x10020, NONE, buf, 1);
    assert_int_equal(log.count, 2);
    address_space_stl_le(f->as, 0x10030, 1, NONE, NULL);
    assert_int_equal(log.count, 3);
    assert_true(memory_region_set_log(ram, false, DIRTY_CLIENT_MIGRATION, NULL));
    address_space_write(f->as, 0x10010, NONE, buf, 8);
    assert_int_equal(log.count, 3);
    ram_block_notifier_remove(f->ms, &log.notifier);
}

/* --- Devices --- */

/* Port 0xcf8 takes a 4-byte out whole; the reset register next door hears nothing. */
static void test_address_space_rw_full_width_at_first_byte(void **state)
{
    AccessFixture *f = *state;
    uint32_t value = 0x80000006;
    ByteDevice address, reset;

    byte_device_init(&address);
    byte_device_init(&reset);
    address.ops.valid.max_access_size = 4;
    access_fixture_add_device(f, 0xcf8, 1, &address);
    access_fixture_add_device(f, 0xcf9, 1, &reset);

    assert_int_equal(address_space_write(f->as, 0xcf8, NONE, &value, 4), MEMTX_OK);
    assert_int_equal(address.n_calls, 1);
    assert_int_equal(address.calls[0].size, 4);
    assert_int_equal(address.calls[0].value, value);
    assert_int_equal(reset.n_calls, 0);
    assert_int_equal(address_space_read(f->as, 0xcf8, NONE, &value, 4), MEMTX_OK);
    assert_int_equal(reset.n_calls, 0);

    assert_int_equal(address_space_write(f->as, 0xcf9, NONE, &value, 1), MEMTX_OK);
    assert_int_equal(reset.n_calls, 1);
    assert_int_equal(address.n_calls, 2);
}

/* Past the region's maximum the rest belongs to whoever lies there. */
static void test_address_space_rw_wider_than_maximum_is_cut(void **state)
{
    AccessFixture *f = *state;
    uint64_t value = UINT64_C(0x1122334455667788);
    ByteDevice a, b;

    byte_device_init(&a);
    byte_device_init(&b);
    a.ops.valid.max_access_size = 4;
    access_fixture_add_device(f, 0x100, 4, &a);
    access_fixture_add_device(f, 0x104, 4, &b);
    assert_int_equal(address_space_write(f->as, 0x100, NONE, &value, 8), MEMTX_OK);
    assert_int_equal(a.n_calls, 1);
    assert_int_equal(a.calls[0].value, 0x55667788);
    assert_int_equal(b.n_calls, 1);
    assert_int_equal(b.calls[0].offset, 0);
    assert_int_equal(b.calls[0].size, 4);
    assert_int_equal(b.calls[0].value, 0x11223344);
}

/* A buffer is cut at the tile's end, so that each device gets its own bytes. */
static void test_address_space_rw_buffer_is_cut_at_tiles(void **state)
{
    AccessFixture *f = *state;
    uint8_t buf[12];
    ByteDevice a, b;

    byte_device_init(&a);
    byte_device_init(&b);
    a.ops.valid.unaligned = b.ops.valid.unaligned = true;
    fill_bytes(buf, sizeof(buf), 0x10);
    access_fixture_add_device(f, 0x100, 7, &a);
    access_fixture_add_device(f, 0x107, 5, &b);
    assert_int_equal(address_space_write(f->as, 0x100, NONE, buf, 12), MEMTX_OK);
    assert_memory_equal(a.bytes, buf, 7);
    assert_int_equal(a.bytes[7], 0xa7);
    assert_memory_equal(b.bytes, buf + 7, 5);
    assert_int_equal(b.bytes[5], 0xa5);
}

static void test_address_space_rw_device_refuses(void **state)
{
    AccessFixture *f = *state;
    uint8_t buf[24];
    ByteDevice d;

    byte_device_init(&d);
    d.answer = MEMTX_ERROR;
    access_fixture_add_device(f, 0, 16, &d);
    memset(buf, 0, sizeof(buf));
    assert_int_equal(address_space_read(f->as, 0, NONE, buf, 4), MEMTX_ERROR);
    assert_true(all_ones(buf, 4));
    assert_int_equal(address_space_write(f->as, 0, NONE, buf, 4), MEMTX_ERROR);
    assert_int_equal(address_space_read(f->as, 0, NONE, buf, 24),
                     MEMTX_ERROR | MEMTX_DECODE_ERROR);
}

static void test_address_space_rw_missing_callback(void **state)
{
    AccessFixture *f = *state;
    uint8_t value = 0;
    ByteDevice d;

    byte_device_init(&d);
    d.ops.read = NULL;
    d.ops.write = NULL;
    access_fixture_add_device(f, 0, 16, &d);
    assert_int_equal(address_space_read(f->as, 0, NONE, &value, 1), MEMTX_ERROR);
    assert_int_equal(value, 0xff);
    assert_int_equal(address_space_write(f->as, 0, NONE, &value, 1), MEMTX_ERROR);
    assert_false(address_space_access_valid(f->as, 0, 1, false, NONE));
}

static bool accepts_even(void *opaque, hwaddr offset, unsigned size, bool is_write,
                         MemTxAttrs attrs)
{
    return offset % 4 == 0 && !attrs.debug && !(is_write && size == 2);
}

static void test_address_space_rw_accepts_decides(void **state)
{
    AccessFixture *f = *state;
    MemTxAttrs debug = { .debug = true };
    uint16_t value = 1;
    ByteDevice d;

    byte_device_init(&d);
    d.ops.valid.accepts = accepts_even;
    access_fixture_add_device(f, 0, 16, &d);
    assert_int_equal(address_space_read(f->as, 4, NONE, &value, 2), MEMTX_OK);
    assert_int_equal(address_space_write(f->as, 4, NONE, &value, 1), MEMTX_OK);
    assert_int_equal(d.n_calls, 2);
    assert_int_equal(address_space_read(f->as, 2, NONE, &value, 2), MEMTX_ERROR);
    assert_int_equal(value, 0xffff);
    assert_int_equal(address_space_write(f->as, 4, NONE, &value, 2), MEMTX_ERROR);
    assert_int_equal(address_space_read(f->as, 4, debug, &value, 2), MEMTX_ERROR);
    assert_int_equal(d.n_calls, 2);
    assert_true(address_space_access_valid(f->as, 4, 2, false, NONE));
    assert_false(address_space_access_valid(f->as, 2, 2, false, NONE));
    assert_int_equal(d.n_calls, 2);
}

/* Nothing declared: 1 to 4 bytes, aligned. */
static void test_address_space_rw_default_sizes(void **state)
{
    AccessFixture *f = *state;
    uint8_t buf[8];
    ByteDevice d;

    byte_device_init(&d);
    memset(&d.ops.valid, 0, sizeof(d.ops.valid));
    memset(&d.ops.impl, 0, sizeof(d.ops.impl));
    access_fixture_add_device(f, 0, 64, &d);
    assert_int_equal(address_space_read(f->as, 8, NONE, buf, 8), MEMTX_OK);
    assert_memory_equal(buf, d.bytes + 8, 8);
    assert_int_equal(d.n_calls, 2);
    assert_int_equal(address_space_read(f->as, 1, NONE, buf, 1), MEMTX_OK);
    assert_int_equal(address_space_read(f->as, 2, NONE, buf, 4), MEMTX_ERROR);
    assert_true(all_ones(buf, 4));
}

/* --- Writes that wait in a queue --- */

static void count_flush(void *opaque)
{
    ++*(unsigned *)opaque;
}

static void test_flush_coalesced_before_regions_that_demand_it(void **state)
{
    AccessFixture *f = *state;
    unsigned flushes = 0;
    const CoalescedFlush flush = { count_flush, &flushes };
    MemTxAttrs debug = { .debug = true };
    ByteDevice d, plain;

    byte_device_init(&d);
    byte_device_init(&plain);
    memory_region_set_flush_coalesced(access_fixture_add_device(f, 0, 0x10, &d), true);
    access_fixture_add_device(f, 0x100, 0x10, &plain);
    memory_system_set_coalesced_flush(f->ms, &flush);
    address_space_ldub(f->as, 0, NONE, NULL);
    assert_int_equal(flushes, 1);
    address_space_stb(f->as, 4, 1, NONE, NULL);
    assert_int_equal(flushes, 2);
    address_space_ldub(f->as, 0x100, NONE, NULL); /* does not demand it */
    address_space_ldub(f->as, 0, debug, NULL);    /* must have no side effect */
    assert_int_equal(flushes, 2);
    memory_system_set_coalesced_flush(f->ms, NULL);
    address_space_ldub(f->as, 0, NONE, NULL);
    assert_int_equal(flushes, 2);
    assert_int_equal(d.n_calls, 4);
}

/* --- The most recently used section --- */

static void test_lookup_many_spaces_alternate(void **state)
{
    AccessFixture *spaces[20];

    for (unsigned i = 0; i < 20; i++) {
        spaces[i] = access_fixture_new();
        *access_fixture_host(access_fixture_add_ram(spaces[i], 0, 0x1000)) = (uint8_t)i;
    }
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 20; i++) {
            assert_int_equal(address_space_ldub(spaces[i]->as, 0, NONE, NULL), i);
        }
    }
    for (unsigned i = 0; i < 20; i++) {
        access_fixture_free(spaces[i]);
    }
}

static void test_lookup_follows_every_edit(void **state)
{
    AccessFixture *f = *state;

    MemoryRegion *ram = access_fixture_add_ram(f, 0, 0x1000);
    for (unsigned i = 0; i < 50; i++) {
        MemTxResult result;

        assert_true(memory_region_set_enabled(ram, i % 2, NULL));
        address_space_ldub(f->as, 0x10, NONE, &result);
        assert_int_equal(result, i % 2 ? MEMTX_OK : MEMTX_DECODE_ERROR);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, access_fixture_setup, access_fixture_teardown)
        T(test_flush_coalesced_before_regions_that_demand_it),
        T(test_address_space_rw_ram_across_tiles),
        T(test_address_space_rw_hole_in_the_middle),
        T(test_address_space_rw_nothing_assigned),
        T(test_address_space_rw_unassigned_first_byte_swallows),
        T(test_address_space_rw_end_of_space_does_not_wrap),
        T(test_address_space_rw_hole_at_end_of_space),
        T(test_address_space_write_rom_is_dropped_and_counted),
        T(test_address_space_write_readonly_ram),
        T(test_address_space_write_rom_leaves_devices_alone),
        T(test_address_space_rw_rom_device_modes),
        T(test_address_space_rw_ram_device_any_length),
        T(test_address_space_write_marks_logged_memory),
        T(test_address_space_rw_full_width_at_first_byte),
        T(test_address_space_rw_wider_than_maximum_is_cut),
        T(test_address_space_rw_buffer_is_cut_at_tiles),
        T(test_address_space_rw_device_refuses),
        T(test_address_space_rw_missing_callback),
        T(test_address_space_rw_accepts_decides),
        T(test_address_space_rw_default_sizes),
        T(test_lookup_many_spaces_alternate),
        T(test_lookup_follows_every_edit),
#undef T
    };

    return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
