/* SPDX-License-Identifier: MIT */
/* Amounts in files of the kernel: /proc/PID/status and cgroup, /proc/meminfo, memory.stat. */
#include <glib.h>
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tessera/util/error.h"
#include "tessera/util/proc-fields.h"

static const char status[] = "Name:\ttessera\n"
                             "VmRSSx:\t 1 kB\n"
                             "VmRSS:\t    1612 kB\n"
                             "VmSwap:\t       0 kB\n"
                             "Threads:\t1\n"
                             "Broken:\t12 MB\n"
                             "Letters:\tx kB\n"
                             "Huge:\t18446744073709551615 kB\n"
                             "Huger:\t18446744073709551616 kB\n"
                             "More:\t1 kBytes\n"
                             "Last:\t7 kB";

static void test_proc_field_kib_reads(void **state)
{
    uint64_t bytes = 1;

    assert_true(proc_field_kib(status, "VmRSS", &bytes, NULL));
    assert_int_equal(bytes, 1612 * 1024);
    assert_true(proc_field_kib(status, "VmSwap", &bytes, NULL));
    assert_int_equal(bytes, 0);
    assert_true(proc_field_kib(status, "Last", &bytes, NULL));
    assert_int_equal(bytes, 7 * 1024);
}

static void check_refused(const char *key, TesseraError code)
{
    g_autoptr(GError) error = NULL;
    uint64_t bytes = 4711;

    assert_false(proc_field_kib(status, key, &bytes, &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, (int)code));
    assert_non_null(strstr(error->message, key));
    assert_int_equal(bytes, 4711);
}

static void test_proc_field_kib_refuses(void **state)
{
    check_refused("VmPTE", TESSERA_ERROR_NOT_FOUND);
    check_refused("VmRS", TESSERA_ERROR_NOT_FOUND);
    check_refused("ame", TESSERA_ERROR_NOT_FOUND);
    check_refused("Name", TESSERA_ERROR_INVALID);
    check_refused("Threads", TESSERA_ERROR_INVALID);
    check_refused("Broken", TESSERA_ERROR_INVALID);
    check_refused("Letters", TESSERA_ERROR_INVALID);
    check_refused("More", TESSERA_ERROR_INVALID);
    check_refused("Huge", TESSERA_ERROR_INVALID);
    check_refused("Huger", TESSERA_ERROR_INVALID);
}

static void test_proc_field_number(void **state)
{
    static const char stat[] = "anon 8192\nkernel 4096\nsec_pagetables 12288\nodd -1\nempty \n"
                               "large 18446744073709551616\n";
    uint64_t value = 1;

    assert_true(proc_field_number(stat, "sec_pagetables", &value, NULL));
    assert_int_equal(value, 12288);
    assert_true(proc_field_number(stat, "anon", &value, NULL));
    assert_int_equal(value, 8192);
    assert_false(proc_field_number(stat, "pagetables", &value, NULL));
    assert_false(proc_field_number(stat, "odd", &value, NULL));
    assert_false(proc_field_number(stat, "empty", &value, NULL));
    assert_false(proc_field_number(stat, "large", &value, NULL));
    assert_int_equal(value, 8192);
}

static void test_proc_cgroup_path(void **state)
{
    static const struct {
        const char *text, *path;
    } cases[] = {
        { "0::/\n", "/" },
        { "0::/machine.slice/vm-1.scope\n", "/machine.slice/vm-1.scope" },
        { "4:memory:/old\n0::/new", "/new" },
        { "4:memory:/old\n", NULL },
        { "10::/not-this\n", NULL },
        { "0::relative\n", NULL },
        { "", NULL },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = proc_cgroup_path(cases[i].text);

        if (g_strcmp0(path, cases[i].path) != 0) {
            fail_msg("%s: %s", cases[i].text, path);
        }
    }
}

static void test_proc_file_read_below_a_root(void **state)
{
    g_autofree char *root = g_dir_make_tmp("tessera-proc-XXXXXX", NULL);
    g_autofree char *dir = g_build_filename(root, "proc", NULL);
    g_autofree char *file = g_build_filename(dir, "meminfo", NULL);
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;

    assert_null(proc_file_read(root, "/proc/meminfo", &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_SYSTEM));
    assert_non_null(strstr(error->message, file));
    assert_int_equal(g_mkdir_with_parents(dir, 0700), 0);
    assert_true(g_file_set_contents(file, "x 1\n", -1, NULL));
    text = proc_file_read(root, "/proc/meminfo", NULL);
    assert_string_equal(text, "x 1\n");
    g_free(text);
    text = proc_file_read(NULL, "/proc/self/status", NULL);
    assert_non_null(strstr(text, "VmRSS:"));
    assert_int_equal(g_unlink(file), 0);
    assert_int_equal(g_rmdir(dir), 0);
    assert_int_equal(g_rmdir(root), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proc_field_kib_reads),
        cmocka_unit_test(test_proc_field_kib_refuses),
        cmocka_unit_test(test_proc_field_number),
        cmocka_unit_test(test_proc_cgroup_path),
        cmocka_unit_test(test_proc_file_read_below_a_root),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
