/* SPDX-License-Identifier: MIT */
/* The pages and registers a kernel starts with, byte by byte at their documented offsets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/hw/i386/boot-internal.h"
#include "support/boot-images.h"
#include "tessera/hw/i386/pc-map.h"

typedef struct Fixture {
    E820Table *e820;
    BootParamsInput input;
    uint8_t page[BOOT_PAGE_SIZE] __attribute__((aligned(8)));
} Fixture;

static int setup(void **state)
{
    PcInfo pc = {.ram_below_4g = 256 * PC_MIB};
    Fixture *f = g_new0(Fixture, 1);

    f->e820 = e820_build(&pc, 0, 0, NULL);
    f->input = (BootParamsInput){
        .e820 = f->e820,
        .cmdline = 0x20000,
        .initrd = 0x1ffff0000,
        .initrd_size = 0x100000123,
        .setup_data = 0x30000,
        .rsdp = 0xe0010,
    };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    Fixture *f = *state;

    e820_table_free(f->e820);
    g_free(f);
    return 0;
}

static BzImage parse_default(unsigned version)
{
    g_autoptr(GByteArray) image = bzimage_make();

    image_put(image, BZ_VERSION, version, 2);

    g_autoptr(BootFile) file = boot_file_new(image_memfd(image), "test-kernel", "kernel", NULL);
    BzImage bz;

    assert_true(bzimage_parse(file, &bz, NULL));
    return bz;
}

static void test_boot_params_fields(void **state)
{
    Fixture *f = *state;
    BzImage bz = parse_default(0x020f);
    const uint8_t *page = f->page;

    assert_true(boot_params_fill((struct boot_params *)f->page, &bz, &f->input, NULL));
    assert_int_equal(image_get(page, 0x070, 8), 0xe0010);    /* acpi_rsdp_addr */
    assert_int_equal(image_get(page, 0x0c0, 4), 1);          /* ext_ramdisk_image */
    assert_int_equal(image_get(page, 0x0c4, 4), 1);          /* ext_ramdisk_size */
    assert_int_equal(image_get(page, 0x0c8, 4), 0);          /* ext_cmd_line_ptr */
    assert_int_equal(image_get(page, 0x1e8, 1), 5);          /* e820_entries */
    assert_int_equal(image_get(page, 0x1ef, 1), 0);          /* sentinel */
    assert_int_equal(image_get(page, 0x1f0, 1), 0);          /* the byte before the header */
    assert_int_equal(image_get(page, 0x1fa, 2), 0xffff);     /* vid_mode */
    assert_int_equal(image_get(page, 0x1fe, 2), 0xaa55);     /* boot_flag */
    assert_memory_equal(page + 0x202, "HdrS", 4);            /* header */
    assert_int_equal(image_get(page, 0x206, 2), 0x020f);     /* version */
    assert_int_equal(image_get(page, 0x210, 1), 0xff);       /* type_of_loader */
    assert_int_equal(image_get(page, 0x211, 1), 0x01);       /* loadflags */
    assert_int_equal(image_get(page, 0x214, 4), BZ_LOAD);    /* code32_start */
    assert_int_equal(image_get(page, 0x218, 4), 0xffff0000); /* ramdisk_image */
    assert_int_equal(image_get(page, 0x21c, 4), 0x123);      /* ramdisk_size */
    assert_int_equal(image_get(page, 0x228, 4), 0x20000);    /* cmd_line_ptr */
    assert_int_equal(image_get(page, 0x250, 8), 0x30000);    /* setup_data */
    assert_int_equal(image_get(page, 0x258, 8), BZ_LOAD);    /* pref_address */
    assert_int_equal(image_get(page, 0x26c, 1), 0);          /* nothing from behind the header */
}

static void test_boot_params_e820(void **state)
{
    Fixture *f = *state;
    BzImage bz = parse_default(0x020f);

    assert_true(boot_params_fill((struct boot_params *)f->page, &bz, &f->input, NULL));
    /* 20 bytes each, packed */
    assert_int_equal(image_get(f->page, 0x2d0 + 3 * 20, 8), 0x100000);
    assert_int_equal(image_get(f->page, 0x2d0 + 3 * 20 + 8, 8), 0xff00000);
    assert_int_equal(image_get(f->page, 0x2d0 + 3 * 20 + 16, 4), 1);
    assert_int_equal(image_get(f->page, 0x2d0 + 4 * 20, 8), 0xfeffc000);
    assert_int_equal(image_get(f->page, 0x2d0 + 4 * 20 + 16, 4), 2);
    assert_int_equal(image_get(f->page, 0x2d0 + 5 * 20 + 8, 8), 0);
}

static void test_boot_params_old_protocol_has_no_setup_data(void **state)
{
    Fixture *f = *state;
    BzImage bz = parse_default(0x0208);

    assert_true(boot_params_fill((struct boot_params *)f->page, &bz, &f->input, NULL));
    assert_int_equal(image_get(f->page, 0x250, 8), 0);
}

static void fill_e820(E820Table *table, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_true(e820_table_set(table, i * 0x2000ULL, 0x1000, E820_RAM, NULL));
    }
}

static void test_boot_params_e820_limit(void **state)
{
    Fixture *f = *state;
    BzImage bz = parse_default(0x020f);
    g_autoptr(E820Table) table = e820_table_new();
    g_autoptr(GError) error = NULL;

    f->input.e820 = table;
    fill_e820(table, 128);
    assert_true(boot_params_fill((struct boot_params *)f->page, &bz, &f->input, NULL));
    assert_int_equal(image_get(f->page, 0x1e8, 1), 128);
    fill_e820(table, 129);
    assert_false(boot_params_fill((struct boot_params *)f->page, &bz, &f->input, &error));
    assert_non_null(strstr(error->message, "129 entries"));
}

static void test_pvh_start_info_fields(void **state)
{
    Fixture *f = *state;
    const uint8_t *page = f->page;

    assert_true(pvh_start_info_fill(f->page, 0x7000, &f->input, NULL));
    assert_int_equal(image_get(page, 0x00, 4), 0x336ec578);
    assert_int_equal(image_get(page, 0x04, 4), 1);       /* version */
    assert_int_equal(image_get(page, 0x08, 4), 0);       /* flags */
    assert_int_equal(image_get(page, 0x0c, 4), 1);       /* nr_modules */
    assert_int_equal(image_get(page, 0x10, 8), 0x7040);  /* modlist_paddr */
    assert_int_equal(image_get(page, 0x18, 8), 0x20000); /* cmdline_paddr */
    assert_int_equal(image_get(page, 0x20, 8), 0xe0010); /* rsdp_paddr */
    assert_int_equal(image_get(page, 0x28, 8), 0x7060);  /* memmap_paddr */
    assert_int_equal(image_get(page, 0x30, 4), 5);       /* memmap_entries */
    assert_int_equal(image_get(page, 0x40, 8), 0x1ffff0000);
    assert_int_equal(image_get(page, 0x48, 8), 0x100000123);
    assert_int_equal(image_get(page, 0x50, 8), 0);
    assert_int_equal(image_get(page, 0x60 + 3 * 24, 8), 0x100000);
    assert_int_equal(image_get(page, 0x60 + 3 * 24 + 8, 8), 0xff00000);
    assert_int_equal(image_get(page, 0x60 + 3 * 24 + 16, 4), 1);
    assert_int_equal(image_get(page, 0x60 + 4 * 24 + 16, 4), 2);
}

static void test_pvh_start_info_without_initrd(void **state)
{
    Fixture *f = *state;

    f->input.initrd_size = 0;
    assert_true(pvh_start_info_fill(f->page, 0x7000, &f->input, NULL));
    assert_int_equal(image_get(f->page, 0x0c, 4), 0);
    assert_int_equal(image_get(f->page, 0x10, 8), 0);
}

static void test_pvh_start_info_map_limit(void **state)
{
    Fixture *f = *state;
    g_autoptr(E820Table) table = e820_table_new();
    g_autoptr(GError) error = NULL;

    f->input.e820 = table;
    fill_e820(table, 166);
    assert_true(pvh_start_info_fill(f->page, 0x7000, &f->input, NULL));
    fill_e820(table, 167);
    assert_false(pvh_start_info_fill(f->page, 0x7000, &f->input, &error));
    assert_non_null(strstr(error->message, "167 entries"));
}

static void test_setup_data_chain(void **state)
{
    g_autoptr(GBytes) five = g_bytes_new_static("abcde", 5);
    g_autoptr(GBytes) eight = g_bytes_new_static("01234567", 8);
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(LinuxSetupData));
    LinuxSetupData entries[] = {{.type = 2, .data = five}, {.type = 9, .data = eight}};
    uint8_t host[64];

    g_array_append_vals(list, entries, 2);
    memset(host, 0xcc, sizeof(host));
    assert_int_equal(boot_setup_data_size(list), 24 + 24);
    boot_setup_data_write(host, 0x30000, list);
    assert_int_equal(image_get(host, 0, 8), 0x30018);
    assert_int_equal(image_get(host, 8, 4), 2);
    assert_int_equal(image_get(host, 12, 4), 5);
    assert_memory_equal(host + 16, "abcde\0\0\0", 8);
    assert_int_equal(image_get(host, 24, 8), 0);
    assert_int_equal(image_get(host, 32, 4), 9);
    assert_int_equal(image_get(host, 36, 4), 8);
    assert_memory_equal(host + 40, "01234567", 8);
    assert_int_equal(host[48], 0xcc);
}

static void test_setup_data_refuses_empty_blob(void **state)
{
    g_autoptr(GBytes) empty = g_bytes_new_static(NULL, 0);
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(LinuxSetupData));
    LinuxSetupData entry = {.type = 2, .data = empty};

    g_array_append_val(list, entry);
    assert_int_equal(boot_setup_data_size(list), UINT64_MAX);
}

static void test_entry_long_64(void **state)
{
    Fixture *f = *state;
    X86EntryState entry;

    boot_entry_long_64(&entry, 0x1000200, 0x7000);
    boot_entry_write_gdt(f->page, &entry);
    assert_int_equal(entry.mode, X86_ENTRY_LONG_64);
    assert_int_equal(entry.rip, 0x1000200);
    assert_int_equal(entry.rsi, 0x7000);
    assert_int_equal(entry.rflags, 2);
    assert_int_equal(entry.cr0, 0x80000011);
    assert_int_equal(entry.cr3, PC_BOOT_PAGE_TABLE_BASE);
    assert_int_equal(entry.cr4, 0x20);
    assert_int_equal(entry.efer, 0x500);
    assert_true(entry.cs.l && !entry.cs.db);
    assert_int_equal(entry.cs.selector, 0x10);
    assert_int_equal(entry.ds.selector, 0x18);
    assert_int_equal(entry.gdt_limit, 0x2f);
    assert_int_equal(image_get(f->page, 0x00, 8), 0);
    assert_int_equal(image_get(f->page, 0x08, 8), 0);
    assert_int_equal(image_get(f->page, 0x10, 8), 0x00af9b000000ffff);
    assert_int_equal(image_get(f->page, 0x18, 8), 0x00cf93000000ffff);
    assert_int_equal(image_get(f->page, 0x20, 8), 0x00008b0000000067);
    assert_int_equal(image_get(f->page, 0x28, 8), 0);
}

static void test_entry_protected_32(void **state)
{
    Fixture *f = *state;
    X86EntryState entry;

    boot_entry_protected_32(&entry, 0x100010, 0x1111, 0x7000);
    boot_entry_write_gdt(f->page, &entry);
    assert_int_equal(entry.mode, X86_ENTRY_PROTECTED_32);
    assert_int_equal(entry.rip, 0x100010);
    assert_int_equal(entry.rsi, 0x1111);
    assert_int_equal(entry.rbx, 0x7000);
    assert_int_equal(entry.cr0, 0x11);
    assert_int_equal(entry.cr3 | entry.cr4 | entry.efer, 0);
    assert_true(!entry.cs.l && entry.cs.db && entry.ds.db);
    assert_int_equal(entry.cs.limit, 0xffffffff);
    assert_int_equal(entry.tr.base, 0);
    assert_int_equal(entry.tr.limit, 0x67);
    assert_int_equal(entry.tr.type, 0xb);
    assert_false(entry.ldt.present);
    assert_int_equal(image_get(f->page, 0x10, 8), 0x00cf9b000000ffff);
    assert_int_equal(image_get(f->page, 0x18, 8), 0x00cf93000000ffff);
}

static void test_gdt_splits_base_and_limit(void **state)
{
    Fixture *f = *state;
    X86EntryState entry;

    boot_entry_protected_32(&entry, 0, 0, 0);
    entry.tr.base = 0x12345678;
    entry.tr.limit = 0xabcde;
    entry.tr.dpl = 3;
    boot_entry_write_gdt(f->page, &entry);
    assert_int_equal(image_get(f->page, 0x20, 8), 0x120aeb345678bcde);
}

/* Walks the tables as the processor does. */
static uint64_t translate(const uint8_t *tables, uint64_t gpa, uint64_t address)
{
    const uint64_t frame = 0xffffffffff000;
    uint64_t table = gpa;

    for (int level = 3; level > 0; level--) {
        uint64_t entry =
            image_get(tables + (table - gpa), (address >> (12 + 9 * level) & 511) * 8, 8);

        if (!(entry & 1) || !(entry & 2)) {
            return UINT64_MAX;
        }
        if (level == 1) {
            assert_true(entry & 0x80);
            return (entry & frame & ~0x1fffffULL) | (address & 0x1fffff);
        }
        table = entry & frame;
        assert_in_range(table, gpa, gpa + PC_BOOT_PAGE_TABLE_SIZE - 1);
    }
    return UINT64_MAX;
}

static void test_page_tables_map_4g_one_to_one(void **state)
{
    g_autofree uint8_t *tables = g_malloc(PC_BOOT_PAGE_TABLE_SIZE);

    memset(tables, 0xff, PC_BOOT_PAGE_TABLE_SIZE);
    boot_entry_write_page_tables(tables, 0x9000);
    for (uint64_t address = 0; address < 4 * PC_GIB; address += 0x1ff001) {
        assert_int_equal(translate(tables, 0x9000, address), address);
    }
    assert_int_equal(translate(tables, 0x9000, 4 * PC_GIB - 1), 4 * PC_GIB - 1);
    assert_int_equal(translate(tables, 0x9000, 4 * PC_GIB), UINT64_MAX);
    assert_int_equal(translate(tables, 0x9000, 1ULL << 39), UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_boot_params_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_boot_params_e820, setup, teardown),
        cmocka_unit_test_setup_teardown(test_boot_params_old_protocol_has_no_setup_data, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_boot_params_e820_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pvh_start_info_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pvh_start_info_without_initrd, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pvh_start_info_map_limit, setup, teardown),
        cmocka_unit_test(test_setup_data_chain),
        cmocka_unit_test(test_setup_data_refuses_empty_blob),
        cmocka_unit_test_setup_teardown(test_entry_long_64, setup, teardown),
        cmocka_unit_test_setup_teardown(test_entry_protected_32, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gdt_splits_base_and_limit, setup, teardown),
        cmocka_unit_test(test_page_tables_map_4g_one_to_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
