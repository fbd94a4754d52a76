/* SPDX-License-Identifier: MIT */
/* The e820 table: sets against a byte map, and the PC's own table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tessera/hw/i386/e820.h"
#include "tessera/hw/i386/pc-map.h"

static void assert_table(const E820Table *table, const E820Entry *want, size_t want_count)
{
    size_t count;
    const E820Entry *entries = e820_table_entries(table, &count);

    assert_int_equal(count, want_count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(entries[i].base, want[i].base);
        assert_int_equal(entries[i].size, want[i].size);
        assert_int_equal(entries[i].type, want[i].type);
    }
}

static void test_set_splits_and_merges(void **state)
{
    g_autoptr(E820Table) table = e820_table_new();
    /*
     * RAM       |..........................|  0x0000-0x10000
     * reserved       |....|                   0x4000-0x6000
     * RAM again        |....|                 0x5000-0x7000
     */
    const E820Entry want[] = {
        {0, 0x4000, E820_RAM},
        {0x4000, 0x1000, E820_RESERVED},
        {0x5000, 0xb000, E820_RAM},
    };

    assert_true(e820_table_set(table, 0, 0x10000, E820_RAM, NULL));
    assert_true(e820_table_set(table, 0x4000, 0x2000, E820_RESERVED, NULL));
    assert_true(e820_table_set(table, 0x5000, 0x2000, E820_RAM, NULL));
    assert_true(e820_table_set(table, 0x100, 0, E820_NVS, NULL));
    assert_table(table, want, G_N_ELEMENTS(want));
}

static void test_set_refuses_wrap(void **state)
{
    g_autoptr(E820Table) table = e820_table_new();
    g_autoptr(GError) error = NULL;

    assert_true(e820_table_set(table, 0x1000, 0x1000, E820_RAM, NULL));
    assert_false(e820_table_set(table, 0x1000, UINT64_MAX - 0xffe, E820_RAM, &error));
    assert_non_null(strstr(error->message, "0x1000"));
    assert_table(table, &(E820Entry){0x1000, 0x1000, E820_RAM}, 1);
}

#define BYTES 64

static void check_against_bytes(const E820Table *table, const uint8_t *bytes)
{
    size_t count;
    const E820Entry *entries = e820_table_entries(table, &count);
    uint8_t drawn[BYTES] = {0};

    for (size_t i = 0; i < count; i++) {
        assert_true(entries[i].size > 0);
        if (i > 0) {
            uint64_t last_end = entries[i - 1].base + entries[i - 1].size;

            assert_true(last_end <= entries[i].base);
            assert_false(last_end == entries[i].base && entries[i].type == entries[i - 1].type);
        }
        memset(drawn + entries[i].base, entries[i].type, entries[i].size);
    }
    assert_memory_equal(drawn, bytes, BYTES);
    for (unsigned base = 0; base < BYTES; base++) {
        bool all = true;

        for (unsigned end = base + 1; end <= BYTES; end++) {
            all = all && bytes[end - 1] == E820_RAM;
            assert_int_equal(e820_table_covers(table, base, end - base, E820_RAM), all);
        }
    }
}

static void test_set_random_against_byte_map(void **state)
{
    const char *text = getenv("TESSERA_SEED");
    guint32 seed = text ? strtoul(text, NULL, 0) : 820;
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);

    print_message("seed %u\n", seed);
    for (int round = 0; round < 60; round++) {
        g_autoptr(E820Table) table = e820_table_new();
        uint8_t bytes[BYTES] = {0};

        for (int step = 0; step < 12; step++) {
            unsigned base = g_rand_int_range(rand, 0, BYTES);
            unsigned size = g_rand_int_range(rand, 0, BYTES - base + 1);
            E820Type type = g_rand_int_range(rand, E820_RAM, E820_NVS + 1);

            assert_true(e820_table_set(table, base, size, type, NULL));
            memset(bytes + base, type, size);
            check_against_bytes(table, bytes);
        }
    }
}

static void test_covers_edges(void **state)
{
    g_autoptr(E820Table) table = e820_table_new();

    assert_true(e820_table_set(table, 0x1000, 0x1000, E820_RAM, NULL));
    assert_false(e820_table_covers(table, 0x1000, 0, E820_RAM));
    assert_false(e820_table_covers(table, 0x1800, UINT64_MAX, E820_RAM));
    assert_false(e820_table_covers(table, 0x2000, 1, E820_RAM));
    assert_false(e820_table_covers(table, 0x1000, 0x1000, E820_ACPI));
}

static void test_build_256m(void **state)
{
    PcInfo pc = {.ram_below_4g = 256 * PC_MIB};
    g_autoptr(E820Table) table = e820_build(&pc, 0, 0, NULL);
    const E820Entry want[] = {
        {0, 0x9fc00, E820_RAM},
        {0x9fc00, 0x400, E820_RESERVED},
        {0xe0000, 0x20000, E820_RESERVED},
        {0x100000, 0xff00000, E820_RAM},
        {0xfeffc000, 0x4000, E820_RESERVED},
    };

    assert_table(table, want, G_N_ELEMENTS(want));
}

static void test_build_5g_with_acpi_and_device_memory(void **state)
{
    PcInfo pc = {
        .ram_below_4g = 3 * PC_GIB,
        .ram_above_4g = 2 * PC_GIB,
        .device_memory_base = 6 * PC_GIB,
        .device_memory_size = 4 * PC_GIB,
    };
    uint64_t acpi = e820_acpi_base(&pc, 0x41000);
    g_autoptr(E820Table) table = e820_build(&pc, acpi, 0x41000, NULL);
    const E820Entry want[] = {
        {0, 0x9fc00, E820_RAM},
        {0x9fc00, 0x400, E820_RESERVED},
        {0xe0000, 0x20000, E820_RESERVED},
        {0x100000, 0xbfebf000, E820_RAM},
        {0xbffbf000, 0x41000, E820_ACPI},
        {0xfeffc000, 0x4000, E820_RESERVED},
        {0x100000000, 0x80000000, E820_RAM},
    };

    assert_int_equal(acpi, 0xbffbf000);
    assert_table(table, want, G_N_ELEMENTS(want));
}

static void test_build_tiny_ram(void **state)
{
    PcInfo pc = {.ram_below_4g = 4096};
    g_autoptr(E820Table) table = e820_build(&pc, 0, 0, NULL);

    assert_true(e820_table_covers(table, 0, 4096, E820_RAM));
    assert_false(e820_table_covers(table, 4096, 1, E820_RAM));
    assert_false(e820_table_covers(table, PC_HIGH_RAM_BASE, 1, E820_RAM));
}

static void test_build_refuses_acpi_outside_ram(void **state)
{
    PcInfo pc = {.ram_below_4g = 16 * PC_MIB};
    const struct {
        uint64_t base, size;
    } bad[] = {
        {0xff0800, 0x1000},             /* not at a page */
        {0xff0000, 0x800},              /* no whole page */
        {0xff0000, 0x11000},            /* runs out of RAM */
        {0x80000, 0x1000},              /* below 1 MiB */
        {0x2000000, 0x1000},            /* behind RAM */
        {0xff0000, 0xfffffffffffff000}, /* wraps */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        assert_null(e820_build(&pc, bad[i].base, bad[i].size, &error));
        assert_non_null(error);
    }
}

static void test_acpi_base_without_room(void **state)
{
    PcInfo pc = {.ram_below_4g = 2 * PC_MIB + 100};

    assert_int_equal(e820_acpi_base(&pc, 1), 0x1ff000);
    assert_int_equal(e820_acpi_base(&pc, PC_MIB), PC_MIB);
    assert_int_equal(e820_acpi_base(&pc, PC_MIB + 1), 0);
    assert_int_equal(e820_acpi_base(&pc, 0), 0);
    pc.ram_below_4g = 640 * PC_KIB;
    assert_int_equal(e820_acpi_base(&pc, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_splits_and_merges),
        cmocka_unit_test(test_set_refuses_wrap),
        cmocka_unit_test(test_set_random_against_byte_map),
        cmocka_unit_test(test_covers_edges),
        cmocka_unit_test(test_build_256m),
        cmocka_unit_test(test_build_5g_with_acpi_and_device_memory),
        cmocka_unit_test(test_build_tiny_ram),
        cmocka_unit_test(test_build_refuses_acpi_outside_ram),
        cmocka_unit_test(test_acpi_base_without_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
