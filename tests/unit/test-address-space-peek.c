/* SPDX-License-Identifier: MIT */
/* Looks at memory that disturb no device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "support/memory-fixture.h"
#include "tessera/memory/ram-block.h"

#define PAGE FIXTURE_PAGE

static void write_ram(MemoryRegion *mr, uint64_t offset, const char *text)
{
    memcpy((char *)ram_block_host(memory_region_ram_block(mr)) + offset, text, strlen(text));
}

static void test_peek_across_tiles(void **state)
{
    Fixture *f = *state;
    MemoryRegion *ram = fixture_ram(f, "r", 2), *rom = fixture_romd(f, "o", 1);
    char buf[8];

    fixture_add(f->root, 1, ram, 0);
    fixture_add(f->root, 3, rom, 0);
    write_ram(ram, 2 * PAGE - 4, "abcd");
    write_ram(rom, 0, "efgh");
    assert_true(address_space_peek(f->as, 3 * PAGE - 4, buf, 8));
    assert_memory_equal(buf, "abcdefgh", 8);
    assert_true(address_space_peek(f->as, PAGE, NULL, 3 * PAGE));
    assert_false(address_space_peek(f->as, PAGE, NULL, 3 * PAGE + 1));
    assert_false(address_space_peek(f->as, PAGE - 1, buf, 2));
    assert_true(address_space_peek(f->as, 0, buf, 0));
}

static void test_peek_reads_no_device(void **state)
{
    Fixture *f = *state;
    MemoryRegion *romd = fixture_romd(f, "o", 1), *ram = fixture_ram(f, "r", 1);
    MemoryRegion *device = fixture_keep(
        f, memory_region_new_ram_device(f->ms, NULL, "b", memory_region_ram_block(ram)));
    char buf[8];

    fixture_add(f->root, 0, romd, 0);
    fixture_add(f->root, 1, fixture_io(f, "d", 1), 0);
    fixture_add(f->root, 2, device, 0);
    assert_true(address_space_peek(f->as, 0, buf, 1));
    assert_false(address_space_peek(f->as, PAGE, buf, 1));
    assert_false(address_space_peek(f->as, 2 * PAGE, buf, 1));
    assert_false(address_space_peek(f->as, 3 * PAGE, buf, 1));
    assert_true(memory_region_rom_device_set_romd(romd, false, NULL));
    assert_false(address_space_peek(f->as, 0, buf, 1)); /* its registers now */
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_space, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_peek_across_tiles),
        T(test_peek_reads_no_device),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
