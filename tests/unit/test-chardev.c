/* SPDX-License-Identifier: MIT */
/* Tests of chardev.c and of the back ends file, pty, null and none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/chardev-reader.h"

static void test_new_refuses_what_it_does_not_know(void **state)
{
    assert_chardev_refused("", "stdio");
    assert_chardev_refused("stdoi", "'stdio'");
    assert_chardev_refused("fil:/x", "'file'");
    assert_chardev_refused("stdio:x", "stdio");
    assert_chardev_refused("null,x", "null");
    assert_chardev_refused("file", "file:PATH");
    assert_chardev_refused("file:", "file:PATH");
    assert_chardev_refused("unix", "unix:PATH");
}

static void test_null_and_none(void **state)
{
    ChardevFixture *f = *state;
    g_autofree char *text = NULL;

    chardev_fixture_open(f, "null", "");
    assert_int_equal(f->reader.opened, 1);
    assert_int_equal(chardev_write_text(f->chr, "abc"), 3);
    text = chardev_description(f->chr);
    assert_string_equal(text, "null");
    assert_string_equal(chardev_label(f->chr), "chr0");
    chardev_free(f->chr);
    chardev_fixture_open(f, "none", "");
    assert_int_equal(f->reader.opened, 1); /* nobody there */
    assert_int_equal(chardev_write_text(f->chr, "abc"), 3);
}

static void test_file_takes_the_output(void **state)
{
    ChardevFixture *f = *state;
    g_autofree char *contents = NULL;

    assert_true(g_file_set_contents(f->path, "old contents that are longer", -1, NULL));
    chardev_fixture_open(f, "file:", f->path);
    assert_int_equal(chardev_write_text(f->chr, "hello "), 6);
    chardev_write_all(f->chr, (const uint8_t *)"world\n", 6);
    assert_true(g_file_get_contents(f->path, &contents, NULL, NULL));
    assert_string_equal(contents, "hello world\n");
}

static void test_file_that_cannot_be_opened(void **state)
{
    ChardevFixture *f = *state;
    g_autofree char *spec = g_strdup_printf("file:%s/no/such", f->dir);

    assert_chardev_refused(spec, "No such file");
    assert_chardev_refused("file:/", "directory");
    assert_int_equal(mkfifo(f->path, 0600), 0);
    g_free(g_steal_pointer(&spec));
    spec = g_strdup_printf("file:%s", f->path);
    assert_chardev_refused(spec, "nobody reads");
}

static void test_file_on_a_full_disk_does_not_wait(void **state)
{
    ChardevFixture *f = *state;

    chardev_fixture_open(f, "file:", "/dev/full");
    assert_int_equal(chardev_write_text(f->chr, "abc"), 3);
}

/* A FIFO that fills up: back-pressure, then `writable`. And a reader that leaves. */
static void test_file_back_pressure_of_a_fifo(void **state)
{
    ChardevFixture *f = *state;
    char buf[4097];
    int fd;
    size_t total = 0, n;

    assert_int_equal(mkfifo(f->path, 0600), 0);
    fd = open(f->path, O_RDONLY | O_NONBLOCK);
    chardev_fixture_open(f, "file:", f->path);
    memset(buf, 'x', 4096);
    while ((n = chardev_write(f->chr, (const uint8_t *)buf, 4096)) > 0) {
        total += n;
        assert_true(total < 100 * 1024 * 1024);
    }
    for (unsigned i = 0; i < 10; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
    assert_int_equal(f->reader.writable, 0);
    read_exactly(fd, buf, 4096);
    RUN_UNTIL(f->reader.writable > 0);
    assert_int_equal(chardev_write(f->chr, (const uint8_t *)buf, 4096), 4096);
    assert_int_equal(chardev_write(f->chr, (const uint8_t *)buf, 1), 0);
    close(fd);
    RUN_UNTIL(f->reader.writable > 1); /* nobody reads any more: not a reason to wait */
    assert_int_equal(chardev_write(f->chr, (const uint8_t *)buf, 4096), 4096);
}

static void test_pty_opens_closes_and_opens_again(void **state)
{
    ChardevFixture *f = *state;
    g_autofree char *text = NULL;
    g_auto(GStrv) words = NULL;
    char buf[100];

    chardev_fixture_open(f, "pty", "");
    assert_int_equal(f->reader.opened, 0);
    assert_int_equal(chardev_write_text(f->chr, "nobody hears\n"), 13);
    text = chardev_description(f->chr);
    g_strdelimit(text, ",", ' ');
    words = g_strsplit(text, " ", 3);
    for (unsigned i = 0; i < 2; i++) {
        int fd = open(words[1], O_RDWR | O_NOCTTY);

        assert_true(fd >= 0);
        RUN_UNTIL(f->reader.opened == i + 1);
        assert_int_equal(chardev_write_text(f->chr, "a\n\x03"), 3);
        read_exactly(fd, buf, 3);
        assert_string_equal(buf, "a\n\x03"); /* raw: no \r, no signal */
        g_string_truncate(f->reader.got, 0);
        assert_int_equal(write(fd, "b\r\x04", 3), 3);
        RUN_UNTIL(f->reader.got->len == 3);
        assert_string_equal(f->reader.got->str, "b\r\x04");
        close(fd);
        RUN_UNTIL(f->reader.closed == i + 1);
        assert_int_equal(chardev_write_text(f->chr, "nobody"), 6);
    }
}

/* The user leaves while output waits and input is not taken: nobody turns in circles. */
static void test_pty_user_leaves_with_everything_full(void **state)
{
    ChardevFixture *f = *state;
    g_autofree char *text = NULL;
    g_auto(GStrv) words = NULL;
    uint8_t block[4096] = { 0 };
    unsigned idle = 0;
    int fd;

    chardev_fixture_open(f, "pty", "");
    text = chardev_description(f->chr);
    g_strdelimit(text, ",", ' ');
    words = g_strsplit(text, " ", 3);
    fd = open(words[1], O_RDWR | O_NOCTTY);
    RUN_UNTIL(f->reader.opened == 1);
    f->reader.room = 0;
    assert_int_equal(write(fd, "last words", 10), 10);
    while (chardev_write(f->chr, block, sizeof(block)) == sizeof(block)) {
    }
    close(fd);
    RUN_UNTIL(f->reader.writable > 0);
    assert_int_equal(chardev_write(f->chr, block, sizeof(block)), sizeof(block));
    for (unsigned i = 0; i < 100; i++) {
        idle += !g_main_context_iteration(NULL, FALSE);
    }
    assert_true(idle > 50);
    f->reader.room = SIZE_MAX;
    chardev_accept_input(f->chr);
    RUN_UNTIL(f->reader.closed == 1);
}

#define T(name) \
    cmocka_unit_test_setup_teardown(name, chardev_fixture_setup, chardev_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_refuses_what_it_does_not_know),
        T(test_null_and_none),
        T(test_file_takes_the_output),
        T(test_file_that_cannot_be_opened),
        T(test_file_on_a_full_disk_does_not_wait),
        T(test_file_back_pressure_of_a_fifo),
        T(test_pty_opens_closes_and_opens_again),
        T(test_pty_user_leaves_with_everything_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
