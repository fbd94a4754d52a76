/* SPDX-License-Identifier: MIT */
/* The monitor's commands that show guest memory: x, xp, gva2gpa, gpa2hva, memsave and their like. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <glib/gstdio.h>
#include <cmocka.h>
#include "support/monitor-fixture.h"
#include "tessera/memory/region.h"
#include "tessera/memory/section.h"

#define GVA_BASE 0xffff888000000000ULL

/* The first 16 MiB stand at 0 and at GVA_BASE; nothing else is mapped. */
static int translate(ModelVm *vm, unsigned cpu, struct kvm_translation *tr, void *opaque)
{
    uint64_t gpa = tr->linear_address;

    if (gpa >= GVA_BASE) {
        gpa -= GVA_BASE;
    }
    tr->physical_address = gpa;
    tr->valid = gpa < 16 * 1024 * 1024;
    return 0;
}

static MonitorFixture *machine_with_pages(void)
{
    MonitorFixture *f = monitor_fixture_new("-S -m 64M -smp 2");

    model_vm_set_translate(f->vm, translate, NULL);
    monitor_fixture_poke(f, 0x1ff8, "0123456789abcdef", 16);
    return f;
}

static void test_xp_reads_across_pages_and_lines(void **state)
{
    MonitorFixture *f = machine_with_pages();

    assert_string_equal(monitor_fixture_hmp(f, "xp/4xw 0x1ff8"),
                        "0000000000001ff8: 0x33323130 0x37363534 0x62613938 0x66656463\n");
    assert_string_equal(monitor_fixture_hmp(f, "xp /10cb 0x1ff8"),
                        "0000000000001ff8: '0' '1' '2' '3' '4' '5' '6' '7'\n"
                        "0000000000002000: '8' '9'\n");
    assert_string_equal(monitor_fixture_hmp(f, "xp 0x1ff8"), "0000000000001ff8: 0x33323130\n");
    assert_string_equal(monitor_fixture_hmp(f, "xp/1xg 0x1ff0+8"),
                        "0000000000001ff8: 0x3736353433323130\n");
    monitor_fixture_free(f);
}

static void test_xp_stops_where_memory_ends(void **state)
{
    MonitorFixture *f = machine_with_pages();

    assert_string_equal(monitor_fixture_hmp(f, "xp/8xw 0x3fffff0"),
                        "0000000003fffff0: 0x00000000 0x00000000 0x00000000 0x00000000\n"
                        "0000000004000000: Cannot access memory\n");
    assert_string_equal(monitor_fixture_hmp(f, "xp/1xg 0x3fffffc"),
                        "0000000003fffffc: Cannot access memory\n");
    /* A device may change by being read: it is not. */
    assert_string_equal(monitor_fixture_hmp(f, "xp 0xa0000"),
                        "00000000000a0000: Cannot access memory\n");
    assert_string_equal(monitor_fixture_hmp(f, "xp/2xg 0xfffffffffffffff8"),
                        "fffffffffffffff8: Cannot access memory\n");
    monitor_fixture_free(f);
}

/* Four bytes of another place lie over the end of the page: a page of two tiles. */
static void test_xp_reads_across_tiles_of_a_page(void **state)
{
    MonitorFixture *f = machine_with_pages();
    MemorySystem *ms = machine_memory_system(f->machine);
    MemoryRegion *root = address_space_root(machine_memory(f->machine));
    MemoryRegionSection ram;
    MemoryRegion *patch;

    memory_system_lock(ms);
    assert_true(address_space_find(machine_memory(f->machine), 0x3000, &ram));
    memory_system_unlock(ms);
    patch = memory_region_new_alias(ms, NULL, "patch", ram.mr, 0x3000, 4);
    monitor_fixture_poke(f, 0x3000, "WXYZ", 4);
    assert_true(memory_region_add_subregion_overlap(root, 0x1ff8, patch, 9, NULL));
    assert_string_equal(monitor_fixture_hmp(f, "xp/10cb 0x1ff6"),
                        "0000000000001ff6: '\\x00' '\\x00' 'W' 'X' 'Y' 'Z' '4' '5'\n"
                        "0000000000001ffe: '6' '7'\n");
    assert_true(memory_region_del_subregion(root, patch, NULL));
    memory_region_release(patch);
    monitor_fixture_free(f);
}

static void test_x_goes_through_the_page_tables(void **state)
{
    MonitorFixture *f = machine_with_pages();

    assert_string_equal(monitor_fixture_hmp(f, "x/4xw 0xffff888000001ff8"),
                        "ffff888000001ff8: 0x33323130 0x37363534 0x62613938 0x66656463\n");
    assert_string_equal(monitor_fixture_hmp(f, "x/1xw 0x1000000"),
                        "0000000001000000: Cannot access memory\n");
    assert_text_has(monitor_fixture_hmp(f, "x/2i 0x1ff8"),
                    "0000000000001ff8: 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65\n"
                    "0000000000002007: 66 00");
    assert_text_has(f->out->str, "there is no disassembler");
    monitor_fixture_free(f);
}

static void test_x_asks_once_for_each_page(void **state)
{
    MonitorFixture *f = machine_with_pages();

    model_kvm_reset_counts();
    monitor_fixture_hmp(f, "x/1024xw 0x1000");
    assert_int_equal(model_kvm_count(KVM_TRANSLATE), 1);
    monitor_fixture_free(f);
}

static void test_x_refuses_bad_arguments(void **state)
{
    MonitorFixture *f = machine_with_pages();

    assert_text_has(monitor_fixture_hmp_error(f, "x/z 0"), "'z'");
    assert_text_has(monitor_fixture_hmp_error(f, "x"), "missing");
    assert_text_has(monitor_fixture_hmp_error(f, "xp/4xw"), "missing");
    assert_text_has(monitor_fixture_hmp_error(f, "xp 0x1ff8 2"), "'2'");
    assert_text_has(monitor_fixture_hmp_error(f, "xp $crr3"), "'cr3'");
    monitor_fixture_free(f);
}

static void test_addresses_are_followed(void **state)
{
    MonitorFixture *f = machine_with_pages();
    g_autofree char *wanted = NULL;
    MemorySystem *ms = machine_memory_system(f->machine);
    void *host;

    assert_string_equal(monitor_fixture_hmp(f, "gva2gpa 0xffff888000001ff8"), "gpa: 0x1ff8\n");
    assert_string_equal(monitor_fixture_hmp(f, "gva2gpa 0x1000000"), "Unmapped\n");
    memory_system_lock(ms);
    host = address_space_ram_host(machine_memory(f->machine), 0x1ff8, 8);
    memory_system_unlock(ms);
    assert_memory_equal(host, "01234567", 8);
    wanted = g_strdup_printf("Host virtual address for 0x1ff8 (pc.ram) is %p\n", host);
    assert_string_equal(monitor_fixture_hmp(f, "gpa2hva 0x1ff8"), wanted);
    assert_string_equal(monitor_fixture_hmp_error(f, "gpa2hva 0x10000000"),
                        "No memory is mapped at address 0x10000000");
    assert_text_has(monitor_fixture_hmp_error(f, "gpa2hva 0xa0000"), "is not RAM: vga-hole");
    assert_text_has(monitor_fixture_hmp_error(f, "gpa2hpa 0xa0000"), "is not RAM");
    monitor_fixture_free(f);
}

static void test_gpa2hpa_says_why_not(void **state)
{
    MonitorFixture *f = machine_with_pages();
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    if (hmp_run_line(&f->mon, "gpa2hpa 0x1ff8", out, &error)) {
        assert_text_has(out->str, "Host physical address for 0x1ff8 (pc.ram) is 0x");
        assert_text_has(out->str, "ff8\n");
    } else { /* without the privilege */
        assert_text_has(error->message, "CAP_SYS_ADMIN");
    }
    assert_text_has(monitor_fixture_hmp_error(f, "gpa2hpa 0x3f00000"), "never touched");
    monitor_fixture_free(f);
}

static char *temporary_dir(void)
{
    char *dir = g_dir_make_tmp("tessera-monitor-XXXXXX", NULL);

    assert_non_null(dir);
    return dir;
}

static void check_file(const char *path, size_t size, size_t at, const char *wanted)
{
    g_autofree char *text = NULL;
    gsize len;

    assert_true(g_file_get_contents(path, &text, &len, NULL));
    assert_int_equal(len, size);
    assert_memory_equal(text + at, wanted, strlen(wanted));
    unlink(path);
}

static void test_memsave_and_pmemsave_write_files(void **state)
{
    MonitorFixture *f = machine_with_pages();
    g_autofree char *dir = temporary_dir();
    g_autofree char *path = g_build_filename(dir, "a b", NULL);
    g_autofree char *line = g_strdup_printf("pmemsave 0x1000 1M \"%s\"", path);
    g_autofree char *json = g_strdup_printf("{\"val\": 8184, \"size\": 16, \"filename\": \"%s\", "
                                            "\"cpu-index\": 1}", path);
    g_autofree char *phys = g_strdup_printf("{\"val\": 8184, \"size\": 4, \"filename\": \"%s\"}",
                                            path);
    g_autofree char *virtual = g_strdup_printf("memsave 0xffff888000001ff8 8 \"%s\"", path);

    assert_string_equal(monitor_fixture_hmp(f, "xp 0"), "0000000000000000: 0x00000000\n");
    monitor_fixture_hmp(f, "pmemsave 0 1 /dev/null");
    assert_text_has(monitor_fixture_hmp_error(f, line), "0xa0000"); /* the hole is no memory */
    assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    g_free(line);
    line = g_strdup_printf("pmemsave 0x1000 0x9f000 \"%s\"", path);
    monitor_fixture_hmp(f, line);
    check_file(path, 0x9f000, 0xff8, "0123456789abcdef");
    monitor_fixture_qmp(f, "memsave", json);
    check_file(path, 16, 0, "0123456789abcdef");
    assert_true(g_file_set_contents(path, "something longer", -1, NULL));
    monitor_fixture_qmp(f, "pmemsave", phys);
    check_file(path, 4, 0, "0123");
    monitor_fixture_hmp(f, virtual);
    check_file(path, 8, 0, "01234567");
    g_rmdir(dir);
    monitor_fixture_free(f);
}

static void test_memsave_leaves_a_file_that_it_cannot_fill(void **state)
{
    MonitorFixture *f = machine_with_pages();
    g_autofree char *dir = temporary_dir();
    g_autofree char *path = g_build_filename(dir, "kept", NULL);
    const char *lines[][2] = {
        { "memsave 0xfff000 0x2000 %s", "Invalid addr 0x0000000000fff000/size 8192" },
        { "memsave 0xfff000 0x2000 %s", "no memory at 0x1000000" },
        { "pmemsave 0x9f000 0x2000 %s", "no memory at 0xa0000" },
        { "pmemsave 0 0 %s", "size 0" },
        { "pmemsave 0xfffffffffffff000 0x2000 %s", "end of the addresses" },
        { "pmemsave 0 16 %s/no", "Could not open" },
        { "pmemsave 0 16", "missing" },
        { "pmemsave 0 16X %s", "16X" },
    };

    assert_true(g_file_set_contents(path, "precious", -1, NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_auto(GStrv) parts = g_strsplit(lines[i][0], "%s", -1);
        g_autofree char *line = g_strjoinv(path, parts);

        assert_text_has(monitor_fixture_hmp_error(f, line), lines[i][1]);
    }
    assert_text_has(monitor_fixture_qmp_error(f, "memsave",
                                              "{\"val\": 0, \"size\": 16, \"filename\": \"x\", "
                                              "\"cpu-index\": 9}"),
                    "0 to 1");
    assert_text_has(monitor_fixture_hmp_error(f, "pmemsave 0 4096 /dev/full"), "cannot write");
    check_file(path, 8, 0, "precious");
    g_rmdir(dir);
    monitor_fixture_free(f);
}

/* A command must not wait for whoever may read a pipe one day: the machine would stand still. */
static void test_memsave_does_not_wait_for_a_reader(void **state)
{
    MonitorFixture *f = machine_with_pages();
    g_autofree char *dir = temporary_dir();
    g_autofree char *path = g_build_filename(dir, "pipe", NULL);
    g_autofree char *line = g_strdup_printf("pmemsave 0x1000 0x90000 %s", path);
    int reader;

    assert_int_equal(mkfifo(path, 0600), 0);
    assert_text_has(monitor_fixture_hmp_error(f, line), "Could not open");
    reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_text_has(monitor_fixture_hmp_error(f, line), "give a file");
    close(reader);
    unlink(path);
    g_rmdir(dir);
    monitor_fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xp_reads_across_pages_and_lines),
        cmocka_unit_test(test_xp_stops_where_memory_ends),
        cmocka_unit_test(test_xp_reads_across_tiles_of_a_page),
        cmocka_unit_test(test_x_goes_through_the_page_tables),
        cmocka_unit_test(test_x_asks_once_for_each_page),
        cmocka_unit_test(test_x_refuses_bad_arguments),
        cmocka_unit_test(test_addresses_are_followed),
        cmocka_unit_test(test_gpa2hpa_says_why_not),
        cmocka_unit_test(test_memsave_and_pmemsave_write_files),
        cmocka_unit_test(test_memsave_leaves_a_file_that_it_cannot_fill),
        cmocka_unit_test(test_memsave_does_not_wait_for_a_reader),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
