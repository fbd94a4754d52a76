/* SPDX-License-Identifier: MIT */
/* The text of trees and flat views. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "support/memory-fixture.h"
#include "tessera/memory/mtree-dump.h"

static void test_dump_tree_and_views(void **state)
{
    Fixture *f = *state;
    MemoryRegion *system = fixture_keep(
        f, memory_region_new_container(f->ms, NULL, "system", INT128_2_64));
    MemoryRegion *ram = fixture_ram(f, "pc.ram", 8), *rom = fixture_rom(f, "bios", 1);
    MemoryRegion *low = fixture_alias(f, "ram-low", ram, 0, 6), *io = fixture_io(f, "dev", 1);
    MemoryRegion *high = fixture_alias(f, "ram-high", ram, 6, 2), *off = fixture_io(f, "off", 1);
    g_autoptr(GString) text = g_string_new(NULL);
    AddressSpace *memory, *dma;

    fixture_add(system, 0, low, 0);
    assert_true(memory_region_set_readonly(high, true, NULL));
    assert_true(memory_region_set_nonvolatile(low, true, NULL));
    fixture_add(system, 0x100, high, 0);
    fixture_add(system, 2, io, 1);
    fixture_add(system, 2, rom, 0);
    fixture_add(system, 0xfffffffffffffu, off, -1);
    assert_true(memory_region_set_enabled(off, false, NULL));
    memory = address_space_new(f->ms, system, "memory", NULL);
    dma = address_space_new(f->ms, system, "dma", NULL);
    memory_dump_tree(f->ms, text);
    assert_string_equal(
        text->str,
        "address-space: memory\n"
        "  0000000000000000-ffffffffffffffff (prio 0, container): system\n"
        "    0000000000000000-0000000000005fff (prio 0, ram): alias ram-low @pc.ram "
        "0000000000000000-0000000000005fff [nonvolatile]\n"
        "    0000000000002000-0000000000002fff (prio 1, i/o): dev\n"
        "    0000000000002000-0000000000002fff (prio 0, rom): bios\n"
        "    0000000000100000-0000000000101fff (prio 0, ram): alias ram-high @pc.ram "
        "0000000000006000-0000000000007fff [readonly]\n"
        "    fffffffffffff000-ffffffffffffffff (prio -1, i/o): off [disabled]\n"
        "\n"
        "address-space: dma\n"
        "  0000000000000000-ffffffffffffffff (prio 0, container): system\n"
        "    0000000000000000-0000000000005fff (prio 0, ram): alias ram-low @pc.ram "
        "0000000000000000-0000000000005fff [nonvolatile]\n"
        "    0000000000002000-0000000000002fff (prio 1, i/o): dev\n"
        "    0000000000002000-0000000000002fff (prio 0, rom): bios\n"
        "    0000000000100000-0000000000101fff (prio 0, ram): alias ram-high @pc.ram "
        "0000000000006000-0000000000007fff [readonly]\n"
        "    fffffffffffff000-ffffffffffffffff (prio -1, i/o): off [disabled]\n"
        "\n"
        "memory-region: pc.ram\n"
        "  0000000000000000-0000000000007fff (prio 0, ram): pc.ram\n"
        "\n");
    g_string_truncate(text, 0);
    memory_dump_flatviews(f->ms, text);
    assert_string_equal(text->str,
                        "FlatView #0\n"
                        " AS \"memory\", root: system\n"
                        " AS \"dma\", root: system\n"
                        " Root memory region: system\n"
                        "  0000000000000000-0000000000001fff (ram): pc.ram [nonvolatile]\n"
                        "  0000000000002000-0000000000002fff (i/o): dev\n"
                        "  0000000000003000-0000000000005fff (ram): pc.ram "
                        "@0000000000003000 [nonvolatile]\n"
                        "  0000000000100000-0000000000101fff (rom): pc.ram "
                        "@0000000000006000\n"
                        "\n");
    address_space_free(memory);
    address_space_free(dma);
}

static void test_dump_flatviews_empty_and_apart(void **state)
{
    Fixture *f = *state;
    MemoryRegion *d = fixture_romd(f, "flash", 1);
    MemoryRegion *x = fixture_alias(f, "window", d, 0, 1);
    g_autoptr(GString) text = g_string_new(NULL);
    AddressSpace *as;

    fixture_space(f);
    assert_true(memory_region_rom_device_set_romd(d, false, NULL));
    as = address_space_new(f->ms, x, "flash", NULL);
    memory_dump_flatviews(f->ms, text);
    assert_string_equal(text->str, "FlatView #0\n"
                                   " AS \"memory\", root: root\n"
                                   " Root memory region: (none)\n"
                                   "  No rendered FlatView\n"
                                   "\n"
                                   "FlatView #1\n"
                                   " AS \"flash\", root: window, alias flash\n"
                                   " Root memory region: flash\n"
                                   "  0000000000000000-0000000000000fff (i/o): flash\n"
                                   "\n");
    address_space_free(as);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_dump_tree_and_views, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_dump_flatviews_empty_and_apart,
                                        fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
