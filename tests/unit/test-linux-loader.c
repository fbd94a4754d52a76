/* SPDX-License-Identifier: MIT */
/* Plans and loads: where everything goes, what is refused, and the same again after a reset. */
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/boot-images.h"
#include "tessera/hw/i386/e820.h"
#include "tessera/hw/i386/linux-loader.h"
#include "tessera/hw/i386/pc-map.h"

/* The range called @what in a plan; fails when there is none. */
static LinuxBootRange get_range(const LinuxBootPlan *plan, const char *what)
{
    size_t count;
    const LinuxBootRange *ranges = linux_boot_plan_ranges(plan, &count);

    for (size_t i = 0; i < count; i++) {
        if (!strcmp(ranges[i].what, what)) {
            return ranges[i];
        }
    }
    fail_msg("no range '%s'", what);
    return (LinuxBootRange){0};
}

static void assert_ranges_sound(const LinuxBootPlan *plan)
{
    size_t count;
    const LinuxBootRange *ranges = linux_boot_plan_ranges(plan, &count);

    for (size_t i = 1; i < count; i++) {
        assert_true(ranges[i - 1].base + ranges[i - 1].size <= ranges[i].base);
    }
}

/* A machine, a kernel, and a plan of both that must succeed or fail. */
typedef struct Boot {
    PcInfo pc;
    LinuxImage *image;
    LinuxBootPlan *plan;
    FakeRam *ram;
} Boot;

static void boot_init(Boot *boot, GByteArray *kernel, uint64_t low, uint64_t high)
{
    GError *error = NULL;

    *boot = (Boot){.pc = {.cpus = 1, .ram_below_4g = low, .ram_above_4g = high}};
    boot->image = image_open_take(kernel, &error);
    if (!boot->image) {
        fail_msg("%s", error->message);
    }
    boot->ram = fake_ram_new(&boot->pc);
}

static void boot_plan(Boot *boot, const char *initrd, const char *cmdline,
                      const LinuxBootAcpi *acpi, const LinuxSetupData *setup_data)
{
    GError *error = NULL;

    boot->plan =
        linux_boot_plan_new(boot->image, initrd, cmdline, &boot->pc, acpi, setup_data, &error);
    if (!boot->plan) {
        fail_msg("%s", error->message);
    }
    assert_ranges_sound(boot->plan);
}

static void boot_load(Boot *boot)
{
    GError *error = NULL;

    if (!linux_boot_plan_load(boot->plan, &fake_ram_ops, boot->ram, &error)) {
        fail_msg("%s", error->message);
    }
}

static void boot_done(Boot *boot)
{
    linux_boot_plan_free(boot->plan);
    linux_image_free(boot->image);
    fake_ram_free(boot->ram);
}

/* Expects a refusal with @words in it. */
static void refuse_plan(Boot *boot, const char *initrd, const char *cmdline,
                        const LinuxBootAcpi *acpi, const LinuxSetupData *setup_data,
                        const char *words)
{
    g_autoptr(GError) error = NULL;

    assert_null(
        linux_boot_plan_new(boot->image, initrd, cmdline, &boot->pc, acpi, setup_data, &error));
    if (!strstr(error->message, words)) {
        fail_msg("'%s' is not in '%s'", words, error->message);
    }
}

static void assert_pattern(FakeRam *ram, uint64_t gpa, uint64_t size)
{
    const uint8_t *host = fake_ram_at(ram, gpa, size);

    for (uint64_t i = 0; i < size; i++) {
        assert_int_equal(host[i], image_pattern(i));
    }
}

static void test_load_bzimage(void **state)
{
    Boot boot;
    g_autoptr(GByteArray) data = g_byte_array_new();
    LinuxBootAcpi acpi = {.rsdp = 0xe0000, .reclaim_base = 0x3f00000, .reclaim_size = 0x100000};

    g_byte_array_append(data, (const uint8_t *)"initrd bytes", 12);

    char *initrd = image_temp_file(data, 0);

    boot_init(&boot, bzimage_make(), 64 * PC_MIB, 0);
    boot_plan(&boot, initrd, "console=ttyS0", &acpi, NULL);
    boot_load(&boot);

    const X86EntryState *entry = linux_boot_plan_entry(boot.plan);
    const uint8_t *params = fake_ram_at(boot.ram, entry->rsi, 4096);

    assert_int_equal(entry->mode, X86_ENTRY_LONG_64);
    assert_int_equal(entry->rip, BZ_LOAD + 0x200);
    assert_int_equal(entry->rsi, PC_BOOT_PARAMS_BASE);
    assert_int_equal(get_range(boot.plan, "kernel").size, BZ_INIT_SIZE);
    assert_pattern(boot.ram, BZ_LOAD, BZ_CODE_SIZE);
    assert_string_equal(fake_ram_at(boot.ram, image_get(params, 0x228, 4), 14), "console=ttyS0");
    /* As high as possible, below the ACPI tables. */
    assert_int_equal(image_get(params, 0x218, 4), 0x3f00000 - 4096);
    assert_int_equal(image_get(params, 0x21c, 4), 12);
    assert_memory_equal(fake_ram_at(boot.ram, 0x3eff000, 12), "initrd bytes", 12);
    assert_int_equal(image_get(params, 0x070, 8), 0xe0000);
    assert_int_equal(image_get(params, 0x1e8, 1), 6);
    assert_int_equal(image_get(fake_ram_at(boot.ram, entry->gdt_base, 4096), 0x10, 8),
                     0x00af9b000000ffff);
    assert_int_equal(image_get(fake_ram_at(boot.ram, entry->cr3, 4096), 0, 8) & ~0xfffULL,
                     entry->cr3 + 4096);
    boot_done(&boot);
    image_temp_file_remove(initrd);
}

static void test_load_bzimage_32_bit_entry(void **state)
{
    Boot boot;
    GByteArray *kernel = bzimage_make();

    image_put(kernel, BZ_XLOADFLAGS, 0, 2);
    boot_init(&boot, kernel, 64 * PC_MIB, 0);
    boot_plan(&boot, NULL, NULL, NULL, NULL);
    boot_load(&boot);
    assert_int_equal(linux_boot_plan_entry(boot.plan)->mode, X86_ENTRY_PROTECTED_32);
    assert_int_equal(linux_boot_plan_entry(boot.plan)->rip, BZ_LOAD);
    assert_int_equal(linux_boot_plan_entry(boot.plan)->rsi, PC_BOOT_PARAMS_BASE);
    assert_string_equal(fake_ram_at(boot.ram, PC_BOOT_CMDLINE_BASE, 1), "");
    boot_done(&boot);
}

static void test_load_elf_again_zeroes_bss_and_parameters(void **state)
{
    Boot boot;

    boot_init(&boot, elf_make(), 16 * PC_MIB, 0);
    boot_plan(&boot, NULL, "x", NULL, NULL);
    boot_load(&boot);
    for (int i = 0; i < 2; i++) {
        const uint8_t *bss =
            fake_ram_at(boot.ram, ELF_DATA_PADDR + ELF_DATA_SIZE, ELF_DATA_MEMSIZE - ELF_DATA_SIZE);

        assert_pattern(boot.ram, ELF_CODE_PADDR, ELF_CODE_SIZE);
        assert_pattern(boot.ram, ELF_DATA_PADDR, ELF_DATA_SIZE);
        for (int j = 0; j < ELF_DATA_MEMSIZE - ELF_DATA_SIZE; j++) {
            assert_int_equal(bss[j], 0);
        }
        assert_int_equal(image_get(fake_ram_at(boot.ram, PC_BOOT_PARAMS_BASE, 4096), 0, 4),
                         0x336ec578);
        assert_int_equal(*fake_ram_at(boot.ram, PC_BOOT_PARAMS_BASE + 0xfff, 1), 0);
        /* The guest runs and writes over everything; then it is reset. */
        memset(boot.ram->low, 0xcc, boot.ram->low_size);
        boot_load(&boot);
    }
    assert_int_equal(linux_boot_plan_entry(boot.plan)->rip, ELF_ENTRY);
    assert_int_equal(linux_boot_plan_entry(boot.plan)->rbx, PC_BOOT_PARAMS_BASE);
    /* What is not part of the plan is left alone. */
    assert_int_equal(*fake_ram_at(boot.ram, ELF_DATA_PADDR + ELF_DATA_MEMSIZE, 1), 0xcc);
    boot_done(&boot);
}

static void test_load_setup_data(void **state)
{
    Boot boot;
    g_autoptr(GBytes) tree = g_bytes_new_static("device tree", 12);
    g_autofree uint8_t *zeros = g_malloc0(PC_BOOT_SETUP_DATA_SIZE);
    g_autoptr(GBytes) big = g_bytes_new_static(zeros, PC_BOOT_SETUP_DATA_SIZE);
    LinuxSetupData second = {.type = 9, .data = big};
    LinuxSetupData first = {.type = 2, .data = tree};

    boot_init(&boot, bzimage_make(), 64 * PC_MIB, 0);
    boot_plan(&boot, NULL, NULL, NULL, &first);
    assert_int_equal(get_range(boot.plan, "setup_data").base, PC_BOOT_SETUP_DATA_BASE);
    boot_load(&boot);

    const uint8_t *node = fake_ram_at(boot.ram, PC_BOOT_SETUP_DATA_BASE, 28);

    assert_int_equal(image_get(node, 8, 4), 2);
    assert_string_equal(node + 16, "device tree");
    linux_boot_plan_free(boot.plan);

    /* A list too long for its place in low memory goes to the top. */
    first.next = &second;
    boot_plan(&boot, NULL, NULL, NULL, &first);
    assert_true(get_range(boot.plan, "setup_data").base > BZ_LOAD);
    boot_load(&boot);

    uint64_t at = image_get(fake_ram_at(boot.ram, PC_BOOT_PARAMS_BASE, 4096), 0x250, 8);

    assert_int_equal(at, get_range(boot.plan, "setup_data").base);
    at = image_get(fake_ram_at(boot.ram, at, 8), 0, 8);
    assert_int_equal(image_get(fake_ram_at(boot.ram, at, 16), 8, 4), 9);
    assert_int_equal(image_get(fake_ram_at(boot.ram, at, 16), 12, 4), PC_BOOT_SETUP_DATA_SIZE);
    boot_done(&boot);
}

static void test_plan_setup_data_refused(void **state)
{
    Boot boot;
    g_autoptr(GBytes) empty = g_bytes_new_static(NULL, 0);
    g_autoptr(GBytes) tree = g_bytes_new_static("x", 1);
    LinuxSetupData entry = {.type = 2, .data = tree};
    GByteArray *kernel = bzimage_make();

    boot_init(&boot, elf_make(), 64 * PC_MIB, 0);
    refuse_plan(&boot, NULL, NULL, NULL, &entry, "takes no setup_data");
    boot_done(&boot);
    image_put(kernel, BZ_VERSION, 0x0208, 2);
    boot_init(&boot, kernel, 64 * PC_MIB, 0);
    refuse_plan(&boot, NULL, NULL, NULL, &entry, "2.09");
    boot_done(&boot);
    boot_init(&boot, bzimage_make(), 64 * PC_MIB, 0);
    entry.data = empty;
    refuse_plan(&boot, NULL, NULL, NULL, &entry, "1 to 4294967295 bytes");
    boot_done(&boot);
}

static void test_plan_cmdline_limit(void **state)
{
    Boot boot;
    g_autofree char *longest = g_strnfill(2047, 'a');
    g_autofree char *longer = g_strnfill(2048, 'a');
    g_autofree char *page = g_strnfill(PC_BOOT_CMDLINE_SIZE, 'a');
    GByteArray *kernel = bzimage_make();

    boot_init(&boot, bzimage_make(), 64 * PC_MIB, 0);
    boot_plan(&boot, NULL, longest, NULL, NULL);
    refuse_plan(&boot, NULL, longer, NULL, NULL, "2048 characters; kernel 'test-kernel' takes up");
    boot_done(&boot);

    image_put(kernel, BZ_CMDLINE_SIZE, 0xffffffff, 4);
    boot_init(&boot, kernel, 64 * PC_MIB, 0);
    refuse_plan(&boot, NULL, page, NULL, NULL, "65535");
    page[PC_BOOT_CMDLINE_SIZE - 1] = '\0';
    boot_plan(&boot, NULL, page, NULL, NULL);
    boot_load(&boot);
    assert_string_equal(fake_ram_at(boot.ram, PC_BOOT_CMDLINE_BASE, PC_BOOT_CMDLINE_SIZE), page);
    boot_done(&boot);
}

/* The -m that a refusal names is enough, and 1 MiB less is not. */
static void check_advice(GByteArray *kernel, uint64_t initrd_size, uint64_t low, uint64_t acpi_size)
{
    Boot boot;
    g_autoptr(GError) error = NULL;
    char *initrd = initrd_size ? image_temp_file(NULL, initrd_size) : NULL;
    LinuxBootAcpi acpi = {.reclaim_size = acpi_size};

    boot_init(&boot, kernel, low, 0);
    acpi.reclaim_base = e820_acpi_base(&boot.pc, acpi_size);
    assert_null(linux_boot_plan_new(boot.image, initrd, NULL, &boot.pc, &acpi, NULL, &error));

    const char *advice = strstr(error->message, "use at least -m ");

    if (!advice) {
        fail_msg("%s", error->message);
    }

    uint64_t total = strtoull(advice + strlen("use at least -m "), NULL, 10) * PC_MIB;

    for (int enough = 1; enough >= 0; enough--) {
        uint64_t ram = total - (enough ? 0 : PC_MIB);
        LinuxBootPlan *plan;

        boot.pc.ram_below_4g = MIN(ram, PC_LOW_RAM_END_MAX);
        boot.pc.ram_above_4g = ram - boot.pc.ram_below_4g;
        acpi.reclaim_base = e820_acpi_base(&boot.pc, acpi_size);
        plan = linux_boot_plan_new(boot.image, initrd, NULL, &boot.pc, &acpi, NULL, NULL);
        assert_int_equal(plan != NULL, enough);
        linux_boot_plan_free(plan);
    }
    boot_done(&boot);
    if (initrd) {
        image_temp_file_remove(initrd);
    }
}

static void test_plan_advice_is_enough(void **state)
{
    check_advice(bzimage_make(), 0, 16 * PC_MIB, 0);
    check_advice(bzimage_make(), 0, 64 * PC_KIB, 0);
    check_advice(bzimage_make(), 1, 18 * PC_MIB, 0);
    check_advice(bzimage_make(), 1, 18 * PC_MIB, 0x3000);
    check_advice(bzimage_make(), 100 * PC_MIB, 64 * PC_MIB, 0x41000);
    check_advice(elf_make(), 20 * PC_MIB + 1, 2 * PC_MIB, 0);
    check_advice(elf_make(), 20 * PC_MIB + 1, 16 * PC_MIB, 0);
    /* More than fits below 3 GiB: it goes above 4 GiB, where the kernel can take it. */
    check_advice(bzimage_make(), 3 * PC_GIB, 256 * PC_MIB, 0);
}

static void test_plan_no_memory_helps(void **state)
{
    Boot boot;
    char *initrd = image_temp_file(NULL, 3 * PC_GIB);
    GByteArray *kernel = bzimage_make();

    image_put(kernel, BZ_XLOADFLAGS, 1, 2);
    boot_init(&boot, kernel, 256 * PC_MIB, 0);
    refuse_plan(&boot, initrd, NULL, NULL, NULL, "initrd '");
    refuse_plan(&boot, initrd, NULL, NULL, NULL,
                "3 GiB; no -m helps, as both must end below "
                "0x80000000");
    boot_done(&boot);
    boot_init(&boot, elf_make(), 256 * PC_MIB, 0);
    refuse_plan(&boot, initrd, NULL, NULL, NULL, "no -m helps, as both must end below 0xc0000000");
    boot_done(&boot);

    kernel = bzimage_make();
    image_put(kernel, BZ_INIT_SIZE_FIELD, 0xffffffff, 4);
    boot_init(&boot, kernel, 256 * PC_MIB, 0);
    refuse_plan(&boot, NULL, NULL, NULL, NULL, "kernel at 0x1000000 (4 GiB)");
    boot_done(&boot);
    image_temp_file_remove(initrd);
}

static uint64_t initrd_base(uint64_t size, unsigned xloadflags, uint32_t max, uint64_t low,
                            uint64_t high)
{
    Boot boot;
    char *initrd = image_temp_file(NULL, size);
    GByteArray *kernel = bzimage_make();

    image_put(kernel, BZ_XLOADFLAGS, xloadflags, 2);
    image_put(kernel, BZ_INITRD_ADDR_MAX, max, 4);
    boot_init(&boot, kernel, low, high);
    boot_plan(&boot, initrd, NULL, NULL, NULL);

    uint64_t base = get_range(boot.plan, "initrd").base;

    boot_done(&boot);
    image_temp_file_remove(initrd);
    return base;
}

static void test_plan_initrd_places(void **state)
{
    /* Below the header's limit; below the end of RAM; in the gap under the kernel; above 4 GiB. */
    assert_int_equal(initrd_base(100 * PC_MIB, 1, 0x7fffffff, 3 * PC_GIB, 0), 0x79c00000);
    assert_int_equal(initrd_base(100 * PC_MIB, 1, 0x7fffffff, PC_GIB + 7, 0), 0x39c00000);
    assert_int_equal(initrd_base(100 * PC_MIB, 1, 0xffffffff, 3 * PC_GIB, PC_GIB), 0xb9c00000);
    assert_int_equal(initrd_base(15 * PC_MIB, 1, 0x7fffffff, 0x1300000, 0), 0x100000);
    assert_int_equal(initrd_base(PC_MIB, 1, 0x10fffff, PC_GIB, 0), 0xf00000);
    assert_int_equal(initrd_base(2100 * PC_MIB, 3, 0x7fffffff, 3 * PC_GIB, 0),
                     3 * PC_GIB - 2100 * PC_MIB);
    assert_int_equal(initrd_base(2100 * PC_MIB, 3, 0x7fffffff, 2 * PC_GIB, 4 * PC_GIB),
                     8 * PC_GIB - 2100 * PC_MIB);
}

static void test_load_initrd_above_4g(void **state)
{
    Boot boot;
    char *initrd = image_temp_file(NULL, 40 * PC_MIB);

    boot_init(&boot, bzimage_make(), 32 * PC_MIB, 64 * PC_MIB);
    boot_plan(&boot, initrd, NULL, NULL, NULL);
    boot_load(&boot);

    const uint8_t *params = fake_ram_at(boot.ram, PC_BOOT_PARAMS_BASE, 4096);

    assert_int_equal(image_get(params, 0x0c0, 4), 1);
    assert_int_equal(image_get(params, 0x218, 4), 24 * PC_MIB);
    assert_int_equal(image_get(params, 0x0c4, 4), 0);
    assert_int_equal(image_get(params, 0x21c, 4), 40 * PC_MIB);
    boot_done(&boot);
    image_temp_file_remove(initrd);
}

static void test_plan_elf_segments_that_collide(void **state)
{
    const struct {
        uint64_t paddr;
        const char *words;
    } places[] = {
        {PC_BOOT_PARAMS_BASE, "boot parameters at [0x7000, 0x8000) overlaps kernel at [0x7000"},
        {ELF_CODE_PADDR + 0x100, "kernel at [0x100100, 0x103100) overlaps kernel at [0x100000"},
        {PC_VGA_HOLE_BASE - 0x1000, "kernel at 0x9f000 (12 KiB) would not be in usable RAM"},
        {PC_BIOS_AREA_BASE, "not be in usable RAM"},
        {PC_PCI_HOLE_BASE, "not be in usable RAM"},
        {UINT64_MAX - ELF_DATA_MEMSIZE, "not be in usable RAM"},
        {64 * PC_MIB - 0x1000, "use at least -m 65M"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        GByteArray *kernel = elf_make();
        Boot boot;

        image_put(kernel, ELF_PHDR(1) + PHDR_PADDR, places[i].paddr, 8);
        boot_init(&boot, kernel, 64 * PC_MIB, 0);
        refuse_plan(&boot, NULL, NULL, NULL, NULL, places[i].words);
        boot_done(&boot);
    }
}

static void test_plan_refuses_bad_initrd(void **state)
{
    Boot boot;
    char *empty = image_temp_file(NULL, 0);

    boot_init(&boot, bzimage_make(), 64 * PC_MIB, 0);
    refuse_plan(&boot, "/nonexistent/initrd", NULL, NULL, NULL,
                "cannot open initrd '/nonexistent/initrd': No such file");
    refuse_plan(&boot, "/", NULL, NULL, NULL, "initrd '/' is a directory");
    refuse_plan(&boot, "/dev/null", NULL, NULL, NULL, "is a device");
    refuse_plan(&boot, empty, NULL, NULL, NULL, "is empty");
    boot_done(&boot);
    image_temp_file_remove(empty);
}

static void test_plan_refuses_bad_acpi(void **state)
{
    Boot boot;
    LinuxBootAcpi acpi = {.reclaim_base = 0x4000000, .reclaim_size = 0x1000};

    boot_init(&boot, bzimage_make(), 64 * PC_MIB, 0);
    refuse_plan(&boot, NULL, NULL, &acpi, NULL, "ACPI tables at 0x4000000");
    boot_done(&boot);
}

static void check_open(const char *path, const char *words)
{
    g_autoptr(GError) error = NULL;

    assert_null(linux_image_open(path, &error));
    if (!strstr(error->message, words)) {
        fail_msg("'%s' is not in '%s'", words, error->message);
    }
}

static void test_open_refuses_what_is_no_kernel(void **state)
{
    const struct {
        const char *start;
        const char *words;
    } files[] = {
        {"x", "starts neither as a bzImage nor as an ELF"},
        {"\x1f\x8b\x08", "gzip"},
        {"070701", "cpio archive"},
        {"!<arch>\n", "package or archive"},
        {"\177ELF", "truncated: 4 bytes"},
    };
    g_autofree char *dir = g_dir_make_tmp("tessera-loader-XXXXXX", NULL);
    g_autofree char *pipe_path = g_build_filename(dir, "pipe", NULL);
    char *empty = image_temp_file(NULL, 0);

    check_open("/nonexistent/vmlinuz", "cannot open kernel '/nonexistent/vmlinuz': No such file");
    check_open(dir, "is a directory: it is read again at each reset and must be a regular file");
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    check_open(pipe_path, "is a pipe");
    check_open(empty, "is empty");
    image_temp_file_remove(empty);
    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autoptr(GByteArray) bytes = g_byte_array_new();

        g_byte_array_append(bytes, (const uint8_t *)files[i].start, strlen(files[i].start));

        char *path = image_temp_file(bytes, 0);

        check_open(path, files[i].words);
        image_temp_file_remove(path);
    }
    unlink(pipe_path);
    rmdir(dir);
}

static void test_open_describes(void **state)
{
    g_autoptr(LinuxImage) bz = image_open_take(bzimage_make(), NULL);
    g_autoptr(LinuxImage) elf = image_open_take(elf_make(), NULL);
    g_autofree char *bz_text = linux_image_describe(bz);
    g_autofree char *elf_text = linux_image_describe(elf);

    assert_int_equal(linux_image_kind(bz), LINUX_IMAGE_BZIMAGE);
    assert_int_equal(linux_image_kind(elf), LINUX_IMAGE_ELF_PVH);
    assert_string_equal(bz_text, "bzImage, boot protocol 2.15, 64-bit entry, 6.5 KiB");
    assert_string_equal(elf_text, "ELF, PVH entry at 0x100010, 2 segments, 1.8 KiB");
}

static void refuse_load(Boot *boot, const char *words)
{
    g_autoptr(GError) error = NULL;

    assert_false(linux_boot_plan_load(boot->plan, &fake_ram_ops, boot->ram, &error));
    if (!strstr(error->message, words)) {
        fail_msg("'%s' is not in '%s'", words, error->message);
    }
}

static void set_mtime(const char *path, time_t seconds)
{
    struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};

    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void test_load_notices_changed_files(void **state)
{
    g_autoptr(GByteArray) bytes = bzimage_make();
    char *kernel = image_temp_file(bytes, 0);
    char *initrd = image_temp_file(NULL, 10000);
    Boot boot = {.pc = {.ram_below_4g = 64 * PC_MIB}};

    set_mtime(kernel, 1000);
    set_mtime(initrd, 1000);
    boot.image = linux_image_open(kernel, NULL);
    boot.ram = fake_ram_new(&boot.pc);
    boot_plan(&boot, initrd, NULL, NULL, NULL);
    boot_load(&boot);
    assert_int_equal(truncate(initrd, 9999), 0);
    set_mtime(initrd, 1000);
    refuse_load(&boot, "(10000 bytes then, 9999 now)");
    assert_int_equal(truncate(initrd, 10000), 0);
    set_mtime(initrd, 1000);
    boot_load(&boot);
    set_mtime(kernel, 1001);
    refuse_load(&boot, "was written to while the machine used it");
    boot_done(&boot);
    image_temp_file_remove(kernel);
    image_temp_file_remove(initrd);
}

static void test_load_goes_on_when_files_are_replaced(void **state)
{
    g_autoptr(GByteArray) bytes = bzimage_make();
    char *kernel = image_temp_file(bytes, 0);
    char *other = image_temp_file(NULL, 5);
    char *initrd = image_temp_file(NULL, 10000);
    Boot boot = {.pc = {.ram_below_4g = 64 * PC_MIB}};

    boot.image = linux_image_open(kernel, NULL);
    boot.ram = fake_ram_new(&boot.pc);
    boot_plan(&boot, initrd, NULL, NULL, NULL);
    assert_null(linux_boot_plan_replaced(boot.plan));
    assert_int_equal(rename(other, kernel), 0);

    g_autofree char *one = linux_boot_plan_replaced(boot.plan);

    assert_non_null(strstr(one, kernel));
    assert_null(strstr(one, initrd));
    unlink(initrd);

    g_autofree char *both = linux_boot_plan_replaced(boot.plan);

    assert_non_null(strstr(both, kernel));
    assert_non_null(strstr(both, initrd));
    boot_load(&boot);
    assert_pattern(boot.ram, BZ_LOAD, BZ_CODE_SIZE);
    boot_done(&boot);
    image_temp_file_remove(kernel);
    g_free(other);
    g_free(initrd);
}

/* Every call of host() that fails is reported, whatever was written before. */
static void check_host_failures(GByteArray *kernel)
{
    Boot boot;
    char *initrd = image_temp_file(NULL, 10000);
    g_autoptr(GBytes) blob = g_bytes_new_static("x", 1);
    LinuxSetupData entry = {.type = 2, .data = blob};

    boot_init(&boot, kernel, 64 * PC_MIB, 0);
    boot_plan(&boot, initrd, "x", NULL,
              linux_image_kind(boot.image) == LINUX_IMAGE_BZIMAGE ? &entry : NULL);
    boot_load(&boot);

    unsigned calls = boot.ram->calls;

    for (unsigned i = 1; i <= calls; i++) {
        boot.ram->calls = 0;
        boot.ram->fail_call = i;
        refuse_load(&boot, "the machine has no RAM at [");
    }
    assert_true(calls >= 7);
    boot_done(&boot);
    image_temp_file_remove(initrd);
}

static void test_load_reports_missing_ram(void **state)
{
    check_host_failures(bzimage_make());
    check_host_failures(elf_make());
}

/* Guest RAM that cannot be written, as after a failed memory backend. */
static void *bad_host(void *opaque, uint64_t gpa, uint64_t length)
{
    return gpa >= BZ_LOAD ? (void *)16 : fake_ram_at(opaque, gpa, length);
}

static void test_load_reports_failed_read(void **state)
{
    const GuestMemoryOps ops = {.host = bad_host};
    g_autoptr(GError) error = NULL;
    Boot boot;

    boot_init(&boot, bzimage_make(), 64 * PC_MIB, 0);
    boot_plan(&boot, NULL, NULL, NULL, NULL);
    assert_false(linux_boot_plan_load(boot.plan, &ops, boot.ram, &error));
    assert_non_null(strstr(error->message, "reading 4096 bytes at offset 2560: Bad address"));
    boot_done(&boot);
}

/* A real kernel, named by TESSERA_TEST_KERNEL: its numbers are plausible and it loads. */
static void test_load_stock_kernel(void **state)
{
    const char *path = getenv("TESSERA_TEST_KERNEL");
    PcInfo small = {.ram_below_4g = 32 * PC_MIB};
    Boot boot = {.pc = {.ram_below_4g = 256 * PC_MIB}};
    g_autoptr(GError) error = NULL;

    if (!path) {
        print_message("TESSERA_TEST_KERNEL is not set: no stock kernel loaded\n");
        return;
    }
    boot.image = linux_image_open(path, &error);
    if (!boot.image) {
        fail_msg("%s", error->message);
    }

    g_autofree char *text = linux_image_describe(boot.image);

    boot.ram = fake_ram_new(&boot.pc);
    boot_plan(&boot, NULL, "console=ttyS0", NULL, NULL);
    boot_load(&boot);
    print_message("%s; kernel at [%#" PRIx64 ", +%#" PRIx64 "), entry %#" PRIx64 "\n", text,
                  get_range(boot.plan, "kernel").base, get_range(boot.plan, "kernel").size,
                  linux_boot_plan_entry(boot.plan)->rip);
    assert_null(linux_boot_plan_new(boot.image, NULL, NULL, &small, NULL, NULL, &error));
    print_message("%s\n", error->message);
    boot_done(&boot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_bzimage),
        cmocka_unit_test(test_load_bzimage_32_bit_entry),
        cmocka_unit_test(test_load_elf_again_zeroes_bss_and_parameters),
        cmocka_unit_test(test_load_setup_data),
        cmocka_unit_test(test_plan_setup_data_refused),
        cmocka_unit_test(test_plan_cmdline_limit),
        cmocka_unit_test(test_plan_advice_is_enough),
        cmocka_unit_test(test_plan_no_memory_helps),
        cmocka_unit_test(test_plan_initrd_places),
        cmocka_unit_test(test_load_initrd_above_4g),
        cmocka_unit_test(test_plan_elf_segments_that_collide),
        cmocka_unit_test(test_plan_refuses_bad_initrd),
        cmocka_unit_test(test_plan_refuses_bad_acpi),
        cmocka_unit_test(test_open_refuses_what_is_no_kernel),
        cmocka_unit_test(test_open_describes),
        cmocka_unit_test(test_load_notices_changed_files),
        cmocka_unit_test(test_load_goes_on_when_files_are_replaced),
        cmocka_unit_test(test_load_reports_missing_ram),
        cmocka_unit_test(test_load_reports_failed_read),
        cmocka_unit_test(test_load_stock_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
