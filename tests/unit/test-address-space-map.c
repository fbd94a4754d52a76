/* SPDX-License-Identifier: MIT */
/* Mappings for DMA: in place, bounced, alive, counted and marked dirty. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <string.h>
#include "support/access-fixture.h"
#include "tessera/util/rcu.h"

#define NONE MEMTXATTRS_NONE

static void test_address_space_map_ram_in_place(void **state)
{
    AccessFixture *f = *state;
    uint64_t len = 0x100;

    MemoryRegion *ram = access_fixture_add_ram(f, 0x1000, 0x1000);
    uint8_t *host = address_space_map(f->as, 0x1010, &len, true, NONE);
    assert_ptr_equal(host, access_fixture_host(ram) + 0x10);
    assert_int_equal(len, 0x100);
    address_space_unmap(f->as, host, len, true, len);
}

static void test_address_space_map_stops_at_tile_end(void **state)
{
    AccessFixture *f = *state;
    uint64_t len = 0x3000;

    access_fixture_add_ram(f, 0x1000, 0x1000);
    uint8_t *host = address_space_map(f->as, 0x1800, &len, false, NONE);
    assert_int_equal(len, 0x800);
    address_space_unmap(f->as, host, len, false, len);
}

static void test_address_space_map_several_at_one_address(void **state)
{
    AccessFixture *f = *state;
    uint64_t a = 0x10, b = 0x20, c = 0x10, d = 0x10;

    access_fixture_add_ram(f, 0, 0x1000);
    void *pa = address_space_map(f->as, 0x40, &a, true, NONE);
    void *pb = address_space_map(f->as, 0x40, &b, true, NONE);
    void *pc = address_space_map(f->as, 0x40, &c, false, NONE);
    void *pd = address_space_map(f->as, 0x50, &d, false, NONE);
    assert_ptr_equal(pa, pb);
    assert_ptr_equal(pa, pc);
    address_space_unmap(f->as, pa, a, true, a); /* the shorter one, though mapped first */
    address_space_unmap(f->as, pd, d, false, 0);
    address_space_unmap(f->as, pb, b, true, b);
    address_space_unmap(f->as, pc, c, false, 0);
}

static void test_address_space_map_memory_outlives_its_removal(void **state)
{
    AccessFixture *f = *state;
    RAMBlock *block = access_fixture_block(f, 0x1000);
    uint64_t len = 0x1000;
    uint8_t *host;

    MemoryRegion *ram = access_fixture_add(f, 0x1000,
                                           memory_region_new_ram(f->ms, NULL, "dimm", block));
    host = address_space_map(f->as, 0x1000, &len, true, NONE);
    access_fixture_remove(f, ram);
    g_ptr_array_remove(f->blocks, block);
    ram_block_unref(block);
    rcu_drain();
    memset(host, 0x77, len); /* a fault here, were the block unmapped */
    address_space_unmap(f->as, host, len, true, len);
}

static void test_address_space_map_device_bounces(void **state)
{
    AccessFixture *f = *state;
    uint64_t len = 8;
    ByteDevice d;

    byte_device_init(&d);
    access_fixture_add_device(f, 0x100, 16, &d);
    uint8_t *host = address_space_map(f->as, 0x104, &len, false, NONE);
    assert_int_equal(len, 8);
    assert_memory_equal(host, d.bytes + 4, 8);
    address_space_unmap(f->as, host, len, false, len);

    host = address_space_map(f->as, 0x108, &len, true, NONE);
    memset(host, 0x3c, len);
    assert_int_equal(d.bytes[8], 0xa8); /* not before the unmap */
    address_space_unmap(f->as, host, len, true, 4);
    assert_int_equal(d.bytes[8], 0x3c);
    assert_int_equal(d.bytes[11], 0x3c);
    assert_int_equal(d.bytes[12], 0xac); /* only what was accessed */

    len = 100; /* ends with the device */
    host = address_space_map(f->as, 0x108, &len, true, NONE);
    assert_int_equal(len, 8);
    address_space_unmap(f->as, host, len, true, 0);
}

static void test_address_space_map_hole_reads_as_ones(void **state)
{
    AccessFixture *f = *state;
    uint64_t len = 64;

    access_fixture_add_ram(f, 0x1000, 0x1000);
    uint8_t *host = address_space_map(f->as, 0xff0, &len, false, NONE);
    assert_int_equal(len, 16);
    assert_int_equal(host[15], 0xff);
    address_space_unmap(f->as, host, len, false, len);
    len = 64;
    host = address_space_map(f->as, UINT64_MAX - 7, &len, false, NONE);
    assert_int_equal(len, 8);
    address_space_unmap(f->as, host, len, false, len);
}

static void test_address_space_map_rom_write_bounces_and_is_dropped(void **state)
{
    AccessFixture *f = *state;
    uint64_t len = 16;

    MemoryRegion *rom = access_fixture_add(
        f, 0, memory_region_new_rom(f->ms, NULL, "rom", access_fixture_block(f, 0x1000)));
    uint8_t *host = address_space_map(f->as, 0, &len, true, NONE);
    assert_ptr_not_equal(host, access_fixture_host(rom));
    memset(host, 1, len);
    address_space_unmap(f->as, host, len, true, len);
    assert_int_equal(access_fixture_host(rom)[0], 0);
    assert_int_equal(memory_system_rom_writes(f->ms), 1);
    host = address_space_map(f->as, 0, &len, false, NONE);
    assert_ptr_equal(host, access_fixture_host(rom));
    address_space_unmap(f->as, host, len, false, len);
}

static void test_address_space_map_bounce_limit(void **state)
{
    AccessFixture *f = *state;
    uint64_t a = 3000, b = 3000, c = 1, ram_len = 0x1000;

    access_fixture_add_ram(f, 0, 0x1000);
    void *pa = address_space_map(f->as, 0x10000, &a, false, NONE);
    void *pb = address_space_map(f->as, 0x10000, &b, false, NONE);
    assert_int_equal(a, 3000);
    assert_int_equal(b, ADDRESS_SPACE_BOUNCE_MAX - 3000);
    assert_null(address_space_map(f->as, 0x10000, &c, false, NONE));
    assert_int_equal(c, 0);
    void *ram = address_space_map(f->as, 0, &ram_len, true, NONE); /* needs no bounce space */
    assert_non_null(ram);
    address_space_unmap(f->as, ram, ram_len, true, 0);
    address_space_unmap(f->as, pa, a, false, 0);
    c = 3001;
    void *pc = address_space_map(f->as, 0x10000, &c, false, NONE);
    assert_int_equal(c, 3000);
    address_space_unmap(f->as, pc, c, false, 0);
    address_space_unmap(f->as, pb, b, false, 0);
}

static void test_address_space_unmap_marks_dirty(void **state)
{
    AccessFixture *f = *state;
    DirtyLog log = DIRTY_LOG_INIT;
    uint64_t len = 0x100;

    MemoryRegion *ram = access_fixture_add_ram(f, 0x1000, 0x1000);
    ram_block_notifier_add(f->ms, &log.notifier);
    void *host = address_space_map(f->as, 0x1040, &len, true, NONE);
    address_space_unmap(f->as, host, len, true, len);
    assert_int_equal(log.count, 0); /* nobody logs */

    host = address_space_map(f->as, 0x1040, &len, true, NONE);
    assert_true(memory_region_set_log(ram, true, DIRTY_CLIENT_MIGRATION, NULL)); /* from now on */
    address_space_unmap(f->as, host, len, true, 0x80);
    assert_int_equal(log.count, 1);
    assert_int_equal(log.off, 0x40);
    assert_int_equal(log.len, 0x80);

    host = address_space_map(f->as, 0x1040, &len, false, NONE);
    address_space_unmap(f->as, host, len, false, len);
    host = address_space_map(f->as, 0x1040, &len, true, NONE);
    address_space_unmap(f->as, host, len, true, 0);
    assert_int_equal(log.count, 1); /* a read, and a write that never was */
    ram_block_notifier_remove(f->ms, &log.notifier);
}

static void test_address_space_ram_host_one_region_only(void **state)
{
    AccessFixture *f = *state;
    ByteDevice d;

    byte_device_init(&d);
    MemoryRegion *ram = access_fixture_add_ram(f, 0x1000, 0x1000);
    MemoryRegion *rom = access_fixture_add(
        f, 0x2000, memory_region_new_rom(f->ms, NULL, "rom", access_fixture_block(f, 0x1000)));
    access_fixture_add_device(f, 0x3000, 64, &d);
    memory_system_lock(f->ms);
    assert_ptr_equal(address_space_ram_host(f->as, 0x1ff0, 0x10),
                     access_fixture_host(ram) + 0xff0);
    assert_ptr_equal(address_space_ram_host(f->as, 0x2000, 0x1000), access_fixture_host(rom));
    assert_null(address_space_ram_host(f->as, 0x1ff0, 0x11));
    assert_null(address_space_ram_host(f->as, 0x1ff0, UINT64_MAX));
    assert_null(address_space_ram_host(f->as, 0x1ff0, 0));
    assert_null(address_space_ram_host(f->as, 0x3000, 1));
    assert_null(address_space_ram_host(f->as, 0x8000, 1));
    memory_system_unlock(f->ms);
}

/* The loader runs again at each reset, and somebody may be logging then. */
static void test_address_space_ram_host_marks_dirty(void **state)
{
    AccessFixture *f = *state;
    DirtyLog log = DIRTY_LOG_INIT;
    MemoryRegion *ram = access_fixture_add_ram(f, 0x1000, 0x1000);

    ram_block_notifier_add(f->ms, &log.notifier);
    memory_system_lock(f->ms);
    assert_non_null(address_space_ram_host(f->as, 0x1100, 0x20));
    assert_int_equal(log.count, 0);
    assert_true(memory_region_set_log(ram, true, DIRTY_CLIENT_MIGRATION, NULL));
    assert_non_null(address_space_ram_host(f->as, 0x1100, 0x20));
    assert_int_equal(log.count, 1);
    assert_int_equal(log.off, 0x100);
    assert_int_equal(log.len, 0x20);
    assert_null(address_space_ram_host(f->as, 0x1ff0, 0x20));
    assert_int_equal(log.count, 1);
    memory_system_unlock(f->ms);
    ram_block_notifier_remove(f->ms, &log.notifier);
}

/* memory-backend-file,readonly=on: a write through the pointer would be a fault. */
static void test_address_space_ram_host_not_of_a_readonly_mapping(void **state)
{
    AccessFixture *f = *state;
    int fd = host_memfd_new("readonly", 0x1000, 0, false, NULL);
    RAMBlock *block = ram_block_new_from_fd(f->ms, "readonly", 0x1000, 0, fd, 0,
                                            RAM_SHARED | RAM_READONLY, NULL);

    g_ptr_array_add(f->blocks, block);
    access_fixture_add(f, 0x1000, memory_region_new_rom(f->ms, NULL, "rom", block));
    memory_system_lock(f->ms);
    assert_null(address_space_ram_host(f->as, 0x1000, 1));
    memory_system_unlock(f->ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, access_fixture_setup, access_fixture_teardown)
        T(test_address_space_map_ram_in_place),
        T(test_address_space_map_stops_at_tile_end),
        T(test_address_space_map_several_at_one_address),
        T(test_address_space_map_memory_outlives_its_removal),
        T(test_address_space_map_device_bounces),
        T(test_address_space_map_hole_reads_as_ones),
        T(test_address_space_map_rom_write_bounces_and_is_dropped),
        T(test_address_space_map_bounce_limit),
        T(test_address_space_unmap_marks_dirty),
        T(test_address_space_ram_host_one_region_only),
        T(test_address_space_ram_host_marks_dirty),
        T(test_address_space_ram_host_not_of_a_readonly_mapping),
#undef T
    };

    return cmocka_run_group_tests_name("address-space-map", tests, NULL, NULL);
}
