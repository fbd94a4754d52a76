/* SPDX-License-Identifier: MIT */
/* Tests of chardev/tcp-socket.c, over the loopback interface. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/chardev-reader.h"

/* The port in "tcp socket 127.0.0.1:PORT, listening". */
static uint16_t port_of(Chardev *chr)
{
    g_autofree char *text = chardev_description(chr);
    const char *colon = strrchr(text, ':');

    assert_true(g_str_has_prefix(text, "tcp socket "));
    assert_non_null(colon);
    return (uint16_t)g_ascii_strtoull(colon + 1, NULL, 10);
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void test_tcp_server_takes_one_client_after_another(void **state)
{
    ChardevFixture *f = *state;
    char buf[100];
    uint16_t port;

    chardev_fixture_open(f, "tcp::0,server=on,wait=off", "");
    port = port_of(f->chr);
    assert_int_not_equal(port, 0);
    for (unsigned i = 0; i < 3; i++) {
        int fd = connect_to(port);

        assert_true(fd >= 0);
        RUN_UNTIL(f->reader.opened == i + 1);
        assert_int_equal(chardev_write_text(f->chr, "hello"), 5);
        read_exactly(fd, buf, 5);
        assert_string_equal(buf, "hello");
        g_string_truncate(f->reader.got, 0);
        assert_int_equal(send(fd, "input", 5, 0), 5);
        close(fd);
        RUN_UNTIL(f->reader.closed == i + 1);
        assert_string_equal(f->reader.got->str, "input");
    }
    chardev_free(g_steal_pointer(&f->chr));
    assert_int_equal(connect_to(port), -1);
}

/* Without a host nobody else can connect: the description says where it listens. */
static void test_tcp_host(void **state)
{
    static const struct {
        const char *spec, *wanted;
    } cases[] = {
        { "tcp::0,server=on,wait=off", "tcp socket 127.0.0.1:" },
        { "tcp:localhost:0,server=on,wait=off", "tcp socket 127.0.0.1:" },
        { "tcp:0.0.0.0:0,server=on,nowait", "tcp socket 0.0.0.0:" },
    };
    ChardevFixture *f = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = NULL;

        chardev_fixture_open(f, cases[i].spec, "");
        text = chardev_description(f->chr);
        assert_true(g_str_has_prefix(text, cases[i].wanted));
        assert_true(g_str_has_suffix(text, ", listening"));
        chardev_free(g_steal_pointer(&f->chr));
    }
}

static void test_tcp_ipv6(void **state)
{
    ChardevFixture *f = *state;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 addr = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
    g_autofree char *text = NULL;

    if (fd >= 0) {
        close(fd);
    }
    if (!has) {
        print_message("# skip: this host has no IPv6\n");
        skip();
    }
    chardev_fixture_open(f, "tcp:[::1]:0,server=on,wait=off", "");
    text = chardev_description(f->chr);
    assert_true(g_str_has_prefix(text, "tcp socket [::1]:"));
}

/* As a client; what is written goes out at once. */
static void test_tcp_client(void **state)
{
    ChardevFixture *f = *state;
    struct sockaddr_in addr = { .sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(addr);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_autofree char *spec = NULL;
    char buf[16];
    int fd;

    assert_return_code(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_return_code(listen(listener, 1), 0);
    assert_return_code(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
    spec = g_strdup_printf("tcp:127.0.0.1:%u", ntohs(addr.sin_port));
    chardev_fixture_open(f, spec, "");
    assert_int_equal(f->reader.opened, 1);
    fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_int_equal(chardev_write_text(f->chr, "abc"), 3);
    read_exactly(fd, buf, 3);
    assert_string_equal(buf, "abc");
    close(fd);
    close(listener);
    RUN_UNTIL(f->reader.closed == 1);
    /* Nobody is there any more. */
    assert_chardev_refused(spec, "(server=on listens there): Connection refused");
}

static void test_tcp_refusals(void **state)
{
    ChardevFixture *f = *state;
    g_autofree char *same = NULL;

    assert_chardev_refused("tcp", "tcp:[HOST]:PORT");
    assert_chardev_refused("tcp:1234", "an address is HOST:PORT");
    assert_chardev_refused("tcp::65536,server=on", "0 to 65535");
    assert_chardev_refused("tcp::,server=on", "0 to 65535");
    assert_chardev_refused("tcp:::1:5,server=on", "IPv6 address in brackets");
    assert_chardev_refused("tcp:example.org:5", "localhost");
    assert_chardev_refused("tcp:[::1:5,server=on", "brackets");
    assert_chardev_refused("tcp::5,sever=on", "server=on|off");
    assert_chardev_refused("tcp::5,wait=off", "only a server waits");
    assert_chardev_refused("tcp:192.0.2.1:5,server=on,wait=off", "cannot listen at tcp:192.0.2.1:5");

    chardev_fixture_open(f, "tcp::0,server=on,wait=off", "");
    same = g_strdup_printf("tcp::%u,server=on,wait=off", port_of(f->chr));
    assert_chardev_refused(same, "in use");
}

#define T(name) cmocka_unit_test_setup_teardown(name, chardev_fixture_setup, chardev_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_tcp_server_takes_one_client_after_another),
        T(test_tcp_host),
        T(test_tcp_ipv6),
        T(test_tcp_client),
        T(test_tcp_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
