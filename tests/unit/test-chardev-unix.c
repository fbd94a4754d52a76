/* SPDX-License-Identifier: MIT */
/* Tests of chardev/unix-socket.c, over real sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/resource.h>
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

/* Nothing is ready: nobody turns in circles over what has to wait. */
static void assert_idle(void)
{
    unsigned idle = 0;

    for (unsigned i = 0; i < 20; i++) {
        idle += !g_main_context_iteration(NULL, FALSE);
    }
    assert_true(idle > 15);
}

/* A client of a server at @f->path that the front end has heard of. */
static int new_client(ChardevFixture *f)
{
    unsigned before = f->reader.opened;
    int fd = unix_connect(f->path);

    assert_true(fd >= 0);
    RUN_UNTIL(f->reader.opened == before + 1);
    return fd;
}

static void open_server(ChardevFixture *f)
{
    g_autofree char *spec = g_strdup_printf("unix:%s,server=on,wait=off", f->path);

    chardev_fixture_open(f, spec, "");
}

static void send_text(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void test_unix_reads_only_what_is_taken(void **state)
{
    ChardevFixture *f = *state;
    int fd;

    open_server(f);
    fd = new_client(f);
    f->reader.room = 3;
    send_text(fd, "abcdef");
    RUN_UNTIL(f->reader.got->len == 3);
    assert_idle();
    assert_int_equal(f->reader.got->len, 3);
    f->reader.room = SIZE_MAX;
    chardev_accept_input(f->chr);
    RUN_UNTIL(f->reader.got->len == 6);
    assert_string_equal(f->reader.got->str, "abcdef");
    close(fd);
}

/* Clients come and go while the guest reads nothing; it gets all that they sent, in order. */
static void test_unix_client_leaves_while_nothing_is_taken(void **state)
{
    ChardevFixture *f = *state;
    char buf[100];
    int fd;

    open_server(f);
    f->reader.room = 0;
    for (unsigned i = 0; i < 3; i++) {
        fd = new_client(f);
        send_text(fd, i == 0 ? "one " : i == 1 ? "two " : "three ");
        close(fd);
        RUN_UNTIL(f->reader.closed == i + 1);
        assert_idle();
    }
    fd = new_client(f);
    send_text(fd, "four");
    assert_int_equal(chardev_write_text(f->chr, "hello"), 5);
    read_exactly(fd, buf, 5);
    assert_string_equal(buf, "hello");
    assert_idle();
    f->reader.room = 5;
    chardev_accept_input(f->chr);
    RUN_UNTIL(f->reader.got->len == 5);
    assert_idle();
    f->reader.room = SIZE_MAX;
    chardev_accept_input(f->chr);
    RUN_UNTIL(f->reader.got->len == 18);
    assert_string_equal(f->reader.got->str, "one two three four");
    close(fd);
    RUN_UNTIL(f->reader.closed == 4);
}

/* What clients leave unread is bounded: then the next one waits, and nothing is lost. */
static void test_unix_unread_input_of_many_clients_is_bounded(void **state)
{
    ChardevFixture *f = *state;
    g_autofree char *block = g_strnfill(65536, 'x');
    unsigned left = 0, clients;
    int fd = -1;

    open_server(f);
    f->reader.room = 0;
    for (clients = 0; clients < 100 && left == clients; clients++) {
        fd = new_client(f);
        send_text(fd, block);
        close(fd);
        for (unsigned i = 0; i < 100 && f->reader.closed == left; i++) {
            g_main_context_iteration(NULL, FALSE);
        }
        left = f->reader.closed;
    }
    assert_int_equal(clients, 17); /* 1 MiB of 16 clients, and one that has to wait */
    assert_int_equal(left, 16);
    assert_idle();
    f->reader.room = SIZE_MAX;
    chardev_accept_input(f->chr);
    RUN_UNTIL(f->reader.closed == clients);
    assert_int_equal(f->reader.got->len, clients * 65536);
}

/* To a front end that does not answer, the end of input says nothing about the way back. */
static void test_unix_half_closed_client_goes_on_reading(void **state)
{
    ChardevFixture *f = *state;
    char buf[100];
    int fd;

    open_server(f);
    fd = new_client(f);
    send_text(fd, "input");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    RUN_UNTIL(f->reader.input_ends == 1);
    assert_string_equal(f->reader.got->str, "input");
    assert_idle();
    assert_int_equal(f->reader.closed, 0);
    assert_int_equal(chardev_write_text(f->chr, "output"), 6);
    read_exactly(fd, buf, 6);
    assert_string_equal(buf, "output");
    close(fd);
    RUN_UNTIL(f->reader.closed == 1);
    assert_int_equal(f->reader.input_ends, 1);
    close(new_client(f));
}

static bool owes_nothing;

static bool answerer_settled(void *opaque)
{
    return owes_nothing;
}

/* One that answers keeps a client until it has answered, and then lets it go. */
static void test_unix_client_is_kept_until_all_is_answered(void **state)
{
    ChardevFixture *f = *state;
    ChardevFrontend answerer = reader_frontend;
    char buf[100];
    int fd;

    answerer.settled = answerer_settled;
    open_server(f);
    chardev_set_frontend(f->chr, &answerer, &f->reader);
    for (unsigned i = 0; i < 2; i++) {
        bool leaves = i == 1;

        owes_nothing = false;
        g_string_truncate(f->reader.got, 0);
        fd = new_client(f);
        send_text(fd, "question");
        assert_int_equal(leaves ? close(fd) : shutdown(fd, SHUT_WR), 0);
        RUN_UNTIL(f->reader.input_ends == i + 1);
        assert_string_equal(f->reader.got->str, "question");
        assert_idle();
        assert_int_equal(f->reader.closed, i);
        assert_int_equal(chardev_write_text(f->chr, "answer"), 6);
        owes_nothing = true;
        RUN_UNTIL(f->reader.closed == i + 1);
        if (!leaves) {
            read_exactly(fd, buf, 6);
            assert_string_equal(buf, "answer");
            assert_int_equal(read(fd, buf, 1), 0); /* the end, without waiting for it */
            close(fd);
        }
    }
}

static void count_warning(const char *domain, GLogLevelFlags level, const char *message,
                          gpointer opaque)
{
    assert_non_null(strstr(message, "chr0: cannot accept a connection"));
    ++*(unsigned *)opaque;
}

/* A client for which there is no descriptor waits; the main loop goes on meanwhile. */
static void test_unix_out_of_descriptors(void **state)
{
    ChardevFixture *f = *state;
    unsigned warnings = 0;
    guint handler = g_log_set_handler(NULL, G_LOG_LEVEL_WARNING, count_warning, &warnings);
    struct rlimit full, old;
    int fd, lowest;

    open_server(f);
    fd = unix_connect(f->path);
    lowest = dup(0);
    close(lowest);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    full = old;
    full.rlim_cur = (rlim_t)lowest;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &full), 0);
    RUN_UNTIL(warnings == 1);
    assert_idle();
    g_usleep(600 * 1000); /* it has tried again meanwhile */
    assert_idle();
    assert_int_equal(f->reader.opened, 0);
    assert_int_equal(warnings, 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    RUN_UNTIL(f->reader.opened == 1);
    close(fd);
    RUN_UNTIL(f->reader.closed == 1);
    close(new_client(f));
    g_log_remove_handler(NULL, handler);
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
        T(test_unix_client_leaves_while_nothing_is_taken),
        T(test_unix_unread_input_of_many_clients_is_bounded),
        T(test_unix_half_closed_client_goes_on_reading),
        T(test_unix_client_is_kept_until_all_is_answered),
        T(test_unix_out_of_descriptors),
        T(test_unix_back_pressure),
        T(test_unix_server_waits),
        T(test_unix_client_connects),
        T(test_unix_refuses_bad_options_and_paths),
        T(test_unix_takes_over_a_dead_socket_but_not_a_living_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
