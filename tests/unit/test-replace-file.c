/* SPDX-License-Identifier: MIT */
/* Files that are written whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/external-tool.h"
#include "tessera/util/error.h"
#include "tessera/util/replace-file.h"

typedef struct Folder {
    char *path;
    char *file;
} Folder;

static int setup(void **state)
{
    Folder *f = g_new0(Folder, 1);

    f->path = tool_folder_new();
    f->file = g_build_filename(f->path, "file", NULL);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    Folder *f = *state;

    g_chmod(f->path, 0700);
    g_free(f->file);
    tool_folder_remove(f->path);
    g_free(f);
    return 0;
}

static void assert_holds(const char *path, const char *text)
{
    g_autofree char *data = NULL;
    gsize length;

    assert_true(g_file_get_contents(path, &data, &length, NULL));
    assert_string_equal(data, text);
    assert_int_equal(length, strlen(text));
}

static unsigned count_files(const Folder *f)
{
    GDir *dir = g_dir_open(f->path, 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(dir)) {
        n++;
    }
    g_dir_close(dir);
    return n;
}

static void test_replace_file_new_and_old(void **state)
{
    Folder *f = *state;
    struct stat before, after;

    assert_true(replace_file(f->file, "first and long", 14, NULL));
    assert_holds(f->file, "first and long");
    assert_int_equal(stat(f->file, &before), 0);
    assert_true(replace_file(f->file, "2", 1, NULL));
    assert_holds(f->file, "2");
    assert_int_equal(stat(f->file, &after), 0);
    assert_int_not_equal(before.st_ino, after.st_ino); /* who reads the old one, reads on */
    assert_true(replace_file(f->file, "", 0, NULL));
    assert_holds(f->file, "");
    assert_int_equal(count_files(f), 1);
}

static void test_replace_file_mode_is_that_of_new_files(void **state)
{
    Folder *f = *state;
    mode_t mask = umask(027);
    struct stat st;

    assert_true(replace_file(f->file, "x", 1, NULL));
    umask(mask);
    assert_int_equal(stat(f->file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
}

static void test_replace_file_through_a_link(void **state)
{
    Folder *f = *state;
    g_autofree char *link = g_build_filename(f->path, "link", NULL);

    assert_true(replace_file(f->file, "old", 3, NULL));
    assert_int_equal(symlink("file", link), 0);
    assert_true(replace_file(link, "new", 3, NULL));
    assert_holds(f->file, "new");
    assert_true(g_file_test(link, G_FILE_TEST_IS_SYMLINK));
    assert_int_equal(count_files(f), 2);
}

static void expect_failure(const char *path, const char *reason)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strdup_printf("%s: cannot be written: %s", path, reason);

    assert_false(replace_file(path, "new", 3, &error));
    assert_int_equal(error->code, TESSERA_ERROR_SYSTEM);
    assert_string_equal(error->message, text);
}

static void test_replace_file_that_is_a_pipe(void **state)
{
    Folder *f = *state;
    char byte;
    int fd;

    assert_int_equal(mkfifo(f->file, 0600), 0);
    fd = open(f->file, O_RDONLY | O_NONBLOCK);
    assert_true(fd >= 0);
    assert_true(replace_file(f->file, "p", 1, NULL));
    assert_int_equal(read(fd, &byte, 1), 1);
    assert_int_equal(byte, 'p');
    close(fd);
    expect_failure(f->file, "No such device or address"); /* nobody reads: not waited for */
    assert_true(replace_file("/dev/null", "x", 1, NULL));
}

static void test_replace_file_failures_leave_the_old_one(void **state)
{
    Folder *f = *state;
    g_autofree char *nowhere = g_build_filename(f->path, "no", "such", NULL);

    expect_failure(nowhere, "No such file or directory");
    expect_failure(f->path, "Is a directory");
    expect_failure("/dev/full", "No space left on device");
    assert_true(replace_file(f->file, "old", 3, NULL));
    if (geteuid() == 0) {
        expect_failure("/proc/version-new", "No such file or directory"); /* no files there */
    } else {
        assert_int_equal(g_chmod(f->path, 0500), 0);
        expect_failure(f->file, "Permission denied");
    }
    assert_holds(f->file, "old");
    assert_int_equal(count_files(f), 1);
}

/* A file beside the old one could be written, and not put in its place: it goes again. */
static void test_replace_file_leaves_nothing_beside(void **state)
{
    Folder *f = *state;
    g_autofree char *here = g_get_current_dir();

    assert_int_equal(g_chdir(f->path), 0);
    expect_failure("", "No such file or directory");
    assert_int_equal(g_chdir(here), 0);
    assert_int_equal(count_files(f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_replace_file_new_and_old, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replace_file_mode_is_that_of_new_files, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_replace_file_through_a_link, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replace_file_that_is_a_pipe, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replace_file_failures_leave_the_old_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_replace_file_leaves_nothing_beside, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
