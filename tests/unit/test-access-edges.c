/* SPDX-License-Identifier: MIT */
/* Accesses where nothing or something odd is: loaders' writes, questions, loads that fail. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "../../src/memory/flatview-internal.h"
#include "../../src/memory/memory-internal.h"
#include "support/access-fixture.h"
#include "tessera/memory/section.h"

#define NONE MEMTXATTRS_NONE
#define PAGE 0x1000u

static MemoryRegion *put(AccessFixture *f, hwaddr at, MemoryRegion *mr)
{
    g_ptr_array_add(f->regions, mr);
    assert_true(memory_region_add_subregion(f->root, at, mr, NULL));
    return mr;
}

/* A loader writes into device memory as a device wants it, and not into a file that is only read. */
static void test_address_space_write_rom_odd_memory(void **state)
{
    AccessFixture *f = *state;
    static uint8_t page[2 * PAGE] __attribute__((aligned(4096)));
    RAMBlock *block = ram_block_new_from_ptr(f->ms, "device", PAGE, page, NULL), *fixed;
    int fd = memfd_create("read-only", MFD_CLOEXEC);
    uint32_t value = 0x11223344, seen = 0;
    uint64_t before = memory_system_rom_writes(f->ms);

    assert_non_null(block);
    put(f, 0, memory_region_new_ram_device(f->ms, NULL, "device", block));
    ram_block_unref(block);
    assert_int_equal(address_space_write_rom(f->as, 8, NONE, &value, 4), MEMTX_OK);
    memcpy(&seen, page + 8, 4);
    assert_int_equal(seen, value);

    assert_int_equal(ftruncate(fd, PAGE), 0);
    fixed = ram_block_new_from_fd(f->ms, "fixed", PAGE, 0, fd, 0, RAM_READONLY, NULL);
    assert_non_null(fixed);
    put(f, 0x10000, memory_region_new_rom(f->ms, NULL, "fixed", fixed));
    ram_block_unref(fixed);
    assert_int_equal(address_space_write_rom(f->as, 0x10008, NONE, &value, 4), MEMTX_ROM_WRITE);
    assert_int_equal(memory_system_rom_writes(f->ms), before + 1);
    assert_int_equal(address_space_read(f->as, 0x10008, NONE, &seen, 4), MEMTX_OK);
    assert_int_equal(seen, 0);
    assert_int_equal(address_space_write_rom(f->as, 0x20000, NONE, &value, 4),
                     MEMTX_DECODE_ERROR);
}

/* Would it work? Not where nothing is, nor behind the end of what is there, nor of the space. */
static void test_address_space_access_valid_where_nothing_is(void **state)
{
    AccessFixture *f = *state;
    RAMBlock *block = ram_block_new(f->ms, "ram", PAGE, 0, 0, NULL);

    put(f, 0, memory_region_new_ram(f->ms, NULL, "ram", block));
    put(f, UINT64_MAX - PAGE + 1, memory_region_new_ram(f->ms, NULL, "last", block));
    ram_block_unref(block);
    assert_true(address_space_access_valid(f->as, 0, PAGE, false, NONE));
    assert_false(address_space_access_valid(f->as, 0, PAGE + 1, false, NONE));
    assert_false(address_space_access_valid(f->as, 0x50000, 1, false, NONE));
    assert_false(address_space_access_valid(f->as, 0x50000, 1, true, NONE));
    assert_true(address_space_access_valid(f->as, UINT64_MAX - 7, 8, true, NONE));
    assert_false(address_space_access_valid(f->as, UINT64_MAX - 7, 9, true, NONE));
}

/* Behind the end of the space: what is there is written, the rest is nowhere. */
static void test_address_space_write_rom_end_of_space(void **state)
{
    AccessFixture *f = *state;
    RAMBlock *block = ram_block_new(f->ms, "ram", PAGE, 0, 0, NULL);
    uint8_t bytes[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, first = 0;

    put(f, 0, memory_region_new_ram(f->ms, NULL, "ram", block));
    put(f, UINT64_MAX - PAGE + 1,
        memory_region_new_alias(f->ms, NULL, "last", f->regions->pdata[0], 0, PAGE));
    ram_block_unref(block);
    assert_int_equal(address_space_write_rom(f->as, UINT64_MAX - 3, NONE, bytes, 8),
                     MEMTX_DECODE_ERROR);
    assert_int_equal(address_space_ldl_le(f->as, UINT64_MAX - 3, NONE, NULL), 0x04030201);
    assert_int_equal(address_space_read(f->as, 0, NONE, &first, 1), MEMTX_OK);
    assert_int_equal(first, 0);
}

/* Loads and stores tell how it went to who asks, and read all ones from nowhere either way. */
static void test_address_space_loads_and_stores_from_nowhere(void **state)
{
    AccessFixture *f = *state;
    MemTxResult r;

#define CHECK(load, store, ones)                                                                   \
    r = MEMTX_OK;                                                                                  \
    assert_true(load(f->as, 0x9000, NONE, &r) == (ones));                                          \
    assert_int_equal(r, MEMTX_DECODE_ERROR);                                                       \
    assert_true(load(f->as, 0x9000, NONE, NULL) == (ones));                                        \
    r = MEMTX_OK;                                                                                  \
    store(f->as, 0x9000, 0, NONE, &r);                                                             \
    assert_int_equal(r, MEMTX_DECODE_ERROR);                                                       \
    store(f->as, 0x9000, 0, NONE, NULL)

    CHECK(address_space_ldub, address_space_stb, UINT8_MAX);
    CHECK(address_space_lduw_le, address_space_stw_le, UINT16_MAX);
    CHECK(address_space_lduw_be, address_space_stw_be, UINT16_MAX);
    CHECK(address_space_ldl_le, address_space_stl_le, UINT32_MAX);
    CHECK(address_space_ldl_be, address_space_stl_be, UINT32_MAX);
    CHECK(address_space_ldq_le, address_space_stq_le, UINT64_MAX);
    CHECK(address_space_ldq_be, address_space_stq_be, UINT64_MAX);
#undef CHECK
}

static bool take_two(const MemoryRegionSection *section, void *opaque)
{
    return ++*(unsigned *)opaque < 2;
}

/* Who goes through a space may stop; the space says its name. */
static void test_address_space_for_each_stops(void **state)
{
    AccessFixture *f = *state;
    unsigned seen = 0;

    for (unsigned i = 0; i < 4; i++) {
        RAMBlock *block;
        g_autofree char *name = g_strdup_printf("ram%u", i);

        block = ram_block_new(f->ms, name, PAGE, 0, 0, NULL);
        put(f, 2 * i * PAGE, memory_region_new_ram(f->ms, NULL, name, block));
        ram_block_unref(block);
    }
    memory_system_lock(f->ms);
    assert_false(address_space_for_each(f->as, take_two, &seen));
    memory_system_unlock(f->ms);
    assert_int_equal(seen, 2);
    assert_true(strlen(address_space_name(f->as)) > 0);
}

/* What a view takes is what its tiles take: more tiles, more bytes, about as many for each. */
static void test_flatview_memory_bytes_follow_the_tiles(void **state)
{
    static const MemoryRegionOps no_ops;
    AccessFixture *f = *state;
    size_t few = 0, many;

    for (unsigned i = 0; i < 1100; i++) {
        put(f, 2 * i * PAGE, memory_region_new_io(f->ms, NULL, &no_ops, NULL, "io", PAGE));
        if (i == 99) {
            memory_system_lock(f->ms);
            few = flatview_memory_bytes(address_space_flatview(f->as));
            memory_system_unlock(f->ms);
        }
    }
    memory_system_lock(f->ms);
    many = flatview_memory_bytes(address_space_flatview(f->as));
    memory_system_unlock(f->ms);
    assert_in_range(few, 100 * sizeof(FlatRange), 100 * 200);
    assert_in_range(many - few, 1000 * sizeof(FlatRange), 1000 * 200);
}

/* ram_addr_t has 64 bits: what finds no place in them is refused, and takes none. */
static void test_ram_block_new_no_place_left(void **state)
{
    AccessFixture *f = *state;
    static uint8_t place[PAGE] __attribute__((aligned(4096)));
    RAMBlock *blocks[8];
    unsigned n = 0;
    g_autoptr(GError) error = NULL;

    for (; n < G_N_ELEMENTS(blocks); n++) {
        g_autofree char *name = g_strdup_printf("huge%u", n);
        void *host = place; /* never touched */

        blocks[n] = ram_block_new_from_ptr(f->ms, name, UINT64_C(1) << 62, host, &error);
        if (!blocks[n]) {
            break;
        }
    }
    assert_true(n >= 2 && n < G_N_ELEMENTS(blocks));
    assert_non_null(strstr(error->message, "huge"));
    while (n > 0) {
        ram_block_unref(blocks[--n]);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, access_fixture_setup, access_fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_address_space_write_rom_odd_memory),
        T(test_address_space_access_valid_where_nothing_is),
        T(test_address_space_write_rom_end_of_space),
        T(test_address_space_loads_and_stores_from_nowhere),
        T(test_address_space_for_each_stops),
        T(test_flatview_memory_bytes_follow_the_tiles),
        T(test_ram_block_new_no_place_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
