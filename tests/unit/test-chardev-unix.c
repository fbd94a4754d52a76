/* SPDX-License-Identifier: MIT */
/* Tests of chardev/unix-socket.c, over real sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/chardev-reader.h"

static void test_unix_server_takes_one_client_after_another(void **state)
{
    ChardevFixture *f = *state;
    g_autofree char *spec = g_strdup_printf("unix:%s,server=on,wait=off", f->path);
    char buf[100];

    chardev_fixture_open(f, spec, "");
    assert_int_equal(f->reader.opened, 0);
    assert_int_equal(chardev_write_text(f->chr, "nobody hears\n"), 13);
    for (unsigned i = 0; i < 3; i++) {
        int fd = unix_connect(f->path);
        g_autofree char *text = NULL;

        assert_true(fd >= 0);
        RUN_UNTIL(f->reader.opened == i + 1);
        text = chardev_description(f->chr);
        assert_non_null(strstr(text, "connected"));
        assert_int_equal(chardev_write_text(f->chr, "hello"), 5);
        read_exactly(fd, buf, 5);
        assert_string_equal(buf, "hello");
        g_string_truncate(f->reader.got, 0);
        assert_int_equal(send(fd, "input", 5, 0), 5);
        close(fd); /* the bytes are not lost with it */
        RUN_UNTIL(f->reader.closed == i + 1);
        assert_string_equal(f->reader.got->str, "input");
    }
    chardev_free(g_steal_pointer(&f->chr));
    assert_false(g_file_test(f->path, G_FILE_TEST_EXISTS));
}

static void test_unix_reads_only_what_is_taken(void **state)
{
    ChardevFixture *f = *state;
    g_autofree char *spec = g_strdup_printf("unix:%s,server=on,wait=off", f->path);
    int fd;

    chardev_fixture_open(f, spec, "");
    fd = unix_connect(f->path);
    RUN_UNTIL(f->reader.opened == 1);
    f->reader.room = 3;
    assert_int_equal(send(fd, "abcdef", 6, 0), 6);
    RUN_UNTIL(f->reader.got->len == 3);
    close(fd);
    for (unsigned i = 0; i < 20; i++) {
        /* No busy loop over a hang-up that has to wait: nothing is ready. */
        assert_false(g_main_context_iteration(NULL, FALSE));
    }
    assert_int_equal(f->reader.closed, 0);
    f->reader.room = SIZE_MAX;
    chardev_accept_input(f->chr);
    RUN_UNTIL(f->reader.closed == 1);
    assert_string_equal(f->reader.got->str, "abcdef");
}

static void test_unix_back_pressure(void **state)
{
    ChardevFixture *f = *state;
    g_autofree char *spec = g_strdup_printf("unix:%s,server=on,wait=off", f->path);
    g_autofree uint8_t *buf = g_malloc0(65536);
    int fd;
    size_t total = 0, n;

    chardev_fixture_open(f, spec, "");
    fd = unix_connect(f->path);
    RUN_UNTIL(f->reader.opened == 1);
    while ((n = chardev_write(f->chr, buf, 65536)) > 0) {
        total += n;
        assert_true(total < 100 * 1024 * 1024);
    }
    assert_int_equal(f->reader.writable, 0);
    while (total > 0) {
        ssize_t got = read(fd, buf, 65536);

        assert_true(got > 0);
        total -= got;
    }
    RUN_UNTIL(f->reader.writable > 0);
    while (chardev_write(f->chr, buf, 65536) > 0) {
    }
    close(fd); /* with a full buffer */
    RUN_UNTIL(f->reader.closed == 1);
    assert_int_equal(chardev_write(f->chr, buf, 65536), 65536);
}

static gpointer connect_later(gpointer opaque)
{
    int fd;

    do {
        g_usleep(1000);
        fd = unix_connect(opaque);
    } while (fd < 0);
    return GINT_TO_POINTER(fd);
}

static void test_unix_server_waits(void **state)
{
    ChardevFixture *f = *state;
    g_autofree char *spec = g_strdup_printf("unix:%s,server=on", f->path);
    GThread *thread = g_thread_new("client", connect_later, f->path);

    chardev_fixture_open(f, spec, "");
    assert_int_equal(f->reader.opened, 1); /* from the start */
    close(GPOINTER_TO_INT(g_thread_join(thread)));
    RUN_UNTIL(f->reader.closed == 1);
}

static void test_unix_client_connects(void **state)
{
    ChardevFixture *f = *state;
    g_autofree char *spec = g_strdup_printf("unix:%s,server=on,wait=off", f->path);
    Chardev *server = chardev_new("server", spec, NULL, NULL);
    Reader other;

    reader_init(&other);
    assert_non_null(server);
    chardev_set_frontend(server, &reader_frontend, &other);
    chardev_fixture_open(f, "unix:", f->path);
    assert_int_equal(f->reader.opened, 1);
    chardev_write_text(f->chr, "ping");
    RUN_UNTIL(other.got->len == 4);
    chardev_write_text(server, "pong");
    RUN_UNTIL(f->reader.got->len == 4);
    chardev_free(server);
    RUN_UNTIL(f->reader.closed == 1);
    assert_int_equal(chardev_write_text(f->chr, "nobody"), 6);
    reader_done(&other);
}

static void test_unix_refuses_bad_options_and_paths(void **state)
{
    ChardevFixture *f = *state;
    g_autofree char *wait = g_strdup_printf("unix:%s,wait=on", f->path);
    g_autofree char *client = g_strdup_printf("unix:%s", f->path);
    g_autofree char *server = g_strdup_printf("unix:%s,server=on,wait=off", f->path);
    g_autofree char *name = g_strnfill(200, 'x');
    g_autofree char *longer = g_strdup_printf("unix:/tmp/%s,server=on,wait=off", name);

    assert_chardev_refused(wait, "only a server waits");
    assert_chardev_refused(client, "cannot connect");
    assert_chardev_refused("unix:/tmp/x,server=yes", "on or off");
    assert_chardev_refused("unix:/tmp/x,sever=on", "server=on|off");
    assert_chardev_refused("unix:/no/such/dir/x,server=on,wait=off", "No such file");
    assert_chardev_refused(longer, "107");
    /* Not a socket: never removed. */
    assert_true(g_file_set_contents(f->path, "keep", -1, NULL));
    assert_chardev_refused(server, "in use");
    assert_true(g_file_test(f->path, G_FILE_TEST_IS_REGULAR));
}

static void test_unix_takes_over_a_dead_socket_but_not_a_living_one(void **state)
{
    ChardevFixture *f = *state;
    g_autofree char *spec = g_strdup_printf("unix:%s,server=on,wait=off", f->path);
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_strlcpy(addr.sun_path, f->path, sizeof(addr.sun_path));
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    close(fd); /* the file stays */
    chardev_fixture_open(f, spec, "");
    assert_chardev_refused(spec, "in use");
    fd = unix_connect(f->path);
    assert_true(fd >= 0);
    close(fd);
}

#define T(name) \
    cmocka_unit_test_setup_teardown(name, chardev_fixture_setup, chardev_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_unix_server_takes_one_client_after_another),
        T(test_unix_reads_only_what_is_taken),
        T(test_unix_back_pressure),
        T(test_unix_server_waits),
        T(test_unix_client_connects),
        T(test_unix_refuses_bad_options_and_paths),
        T(test_unix_takes_over_a_dead_socket_but_not_a_living_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
