/* SPDX-License-Identifier: MIT */
/* Monitors on real unix sockets: clients that ask, half-close, leave, and come again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <glib/gstdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../support/chardev-reader.h"
#include "support/monitor-fixture.h"
#include "tessera/chardev/mux.h"

#define NEGOTIATE "{\"execute\":\"qmp_capabilities\"}"
#define STATUS    "{\"execute\":\"query-status\"}"

typedef struct Fixture {
    MonitorFixture *f;
    char *dir;
    char *hmp;     /* paths of the sockets */
    char *qmp;
    char *both;    /* a serial port and an HMP monitor */
    Chardev *chr[2];
    ChardevMux *mux;
    GString *got;
} Fixture;

static Chardev *server(const char *path)
{
    g_autofree char *spec = g_strdup_printf("unix:%s,server=on,wait=off", path);
    Chardev *chr = chardev_new("monitor", spec, NULL, NULL);

    assert_non_null(chr);
    return chr;
}

static int setup(void **state)
{
    Fixture *s = g_new0(Fixture, 1);

    s->f = monitor_fixture_new("-S");
    s->dir = g_dir_make_tmp("tessera-monitor-XXXXXX", NULL);
    s->hmp = g_build_filename(s->dir, "hmp", NULL);
    s->qmp = g_build_filename(s->dir, "qmp", NULL);
    s->both = g_build_filename(s->dir, "both", NULL);
    s->got = g_string_new(NULL);
    s->chr[0] = server(s->hmp);
    s->chr[1] = server(s->qmp);
    monitor_hub_add(s->f->hub, s->chr[0], MONITOR_HMP);
    monitor_hub_add(s->f->hub, s->chr[1], MONITOR_QMP);
    s->mux = chardev_mux_new(server(s->both), NULL, NULL);
    chardev_mux_add_port(s->mux, "serial0");
    monitor_hub_add(s->f->hub, chardev_mux_add_port(s->mux, "monitor0"), MONITOR_HMP);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    Fixture *s = *state;

    monitor_fixture_free(s->f);
    chardev_free(s->chr[0]);
    chardev_free(s->chr[1]);
    chardev_mux_free(s->mux);
    assert_int_equal(g_rmdir(s->dir), 0);
    g_string_free(s->got, TRUE);
    g_free(s->hmp);
    g_free(s->qmp);
    g_free(s->both);
    g_free(s->dir);
    g_free(s);
    return 0;
}

static int say(const char *path, const char *text)
{
    size_t len = strlen(text), done = 0;
    int fd = unix_connect(path);

    assert_true(fd >= 0);
    while (done < len) {
        ssize_t n = send(fd, text + done, len - done, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n > 0) {
            done += (size_t)n;
        } else {
            g_main_context_iteration(NULL, FALSE);
        }
    }
    return fd;
}

/* What `printf TEXT | socat - UNIX:PATH` gets: everything up to the end that the monitor makes. */
static const char *ask(Fixture *s, const char *path, const char *text)
{
    int fd = say(path, text);
    bool end = false;
    char buf[4096];

    g_string_truncate(s->got, 0);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    while (!end) {
        ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

        if (n > 0) {
            g_string_append_len(s->got, buf, n);
        } else if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            g_main_context_iteration(NULL, TRUE);
        }
        end = n == 0;
    }
    close(fd);
    return s->got->str;
}

static unsigned count(const char *text, const char *part)
{
    unsigned n = 0;

    for (; (text = strstr(text, part)) != NULL; text++) {
        n++;
    }
    return n;
}

static void test_hmp_half_closed_client_is_answered(void **state)
{
    Fixture *s = *state;

    for (unsigned i = 0; i < 20; i++) {
        const char *text = ask(s, s->hmp, "info status\n");

        assert_text_has(text, "VM status: paused (prelaunch)\r\n");
        assert_int_equal(count(text, "type 'help'"), 1);
    }
    assert_text_has(ask(s, s->hmp, ""), "type 'help'");
}

static void test_hmp_a_line_without_its_end_is_no_command(void **state)
{
    static const char *const starts[] = { "", "\022", "\026", "half \022c", "half \026" };
    Fixture *s = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(starts); i++) {
        g_autofree char *text = g_strconcat("info version\n", starts[i], "cont", NULL);

        assert_text_has(ask(s, s->hmp, text), "QEMU");
        assert_int_equal(machine_run_state(s->f->machine), RUN_STATE_PRELAUNCH);
        assert_text_has(ask(s, s->hmp, "info status\n"), "(prelaunch)");
    }
}

static void test_hmp_commands_of_a_client_that_left_are_run(void **state)
{
    Fixture *s = *state;

    for (unsigned i = 0; i < 20; i++) {
        close(say(s->hmp, i & 1 ? "info mtree\nstop\n" : "info mtree\ncont\n"));
        RUN_UNTIL(machine_run_state(s->f->machine) ==
                  (i & 1 ? RUN_STATE_PAUSED : RUN_STATE_RUNNING));
    }
    assert_text_has(ask(s, s->hmp, "info status\n"), "VM status: paused\r\n");
}

/* More lines than the editor's terminal holds, with more answers than the socket. */
static void test_hmp_many_lines_are_all_answered(void **state)
{
    Fixture *s = *state;
    g_autoptr(GString) lines = g_string_new(NULL);

    for (unsigned i = 0; i < 400; i++) {
        g_string_append(lines, "info mtree\n");
    }
    assert_int_equal(count(ask(s, s->hmp, lines->str), "address-space: I/O\r\n"), 400);
}

/* The monitor shares its socket with a serial port that nobody reads. */
static void test_hmp_on_a_multiplexer_is_answered(void **state)
{
    Fixture *s = *state;

    for (unsigned i = 0; i < 10; i++) { /* from serial0 to the monitor, and back */
        assert_text_has(ask(s, s->both, "\x01" "cinfo status\n\x01" "c"), "VM status: paused");
    }
}

static void test_qmp_half_closed_client_is_answered(void **state)
{
    Fixture *s = *state;

    for (unsigned i = 0; i < 20; i++) {
        const char *text = ask(s, s->qmp, NEGOTIATE STATUS);

        assert_text_has(text, "{\"return\": {}}\r\n{\"return\": {\"status\": \"prelaunch\"");
        assert_true(g_str_has_suffix(text, "}\r\n"));
    }
    assert_null(strstr(ask(s, s->qmp, NEGOTIATE "{\"execute\":\"cont\""), "running"));
    assert_int_equal(machine_run_state(s->f->machine), RUN_STATE_PRELAUNCH);
}

static void test_qmp_commands_of_a_client_that_left_are_run(void **state)
{
    Fixture *s = *state;

    for (unsigned i = 0; i < 20; i++) {
        close(say(s->qmp, i & 1 ? NEGOTIATE STATUS "{\"execute\":\"stop\"}"
                                : NEGOTIATE STATUS "{\"execute\":\"cont\"}"));
        RUN_UNTIL(machine_run_state(s->f->machine) ==
                  (i & 1 ? RUN_STATE_PAUSED : RUN_STATE_RUNNING));
    }
}

static void test_qmp_many_commands_are_all_answered(void **state)
{
    Fixture *s = *state;
    g_autoptr(GString) commands = g_string_new(NEGOTIATE);

    for (unsigned i = 0; i < 400; i++) {
        g_string_append(commands, "{\"execute\":\"query-commands\",\"id\":7}");
    }
    assert_int_equal(count(ask(s, s->qmp, commands->str), "\"id\": 7"), 400);
}

/* Ends with commands cut off in the middle, and with answers unread. */
static void test_qmp_one_client_after_another(void **state)
{
    Fixture *s = *state;

    for (unsigned i = 0; i < 40; i++) {
        static const char half[] = "{\"execute\": \"que";
        g_autofree char *rest = g_strndup(half, i % sizeof(half));
        g_autofree char *text = g_strconcat(NEGOTIATE, STATUS, rest, i & 1 ? "\xff" STATUS : "",
                                            NULL);

        close(say(s->qmp, text));
        while (g_main_context_iteration(NULL, FALSE)) {
        }
    }
    assert_text_has(ask(s, s->qmp, NEGOTIATE STATUS), "\"status\": \"prelaunch\"");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_hmp_half_closed_client_is_answered),
        T(test_hmp_a_line_without_its_end_is_no_command),
        T(test_hmp_commands_of_a_client_that_left_are_run),
        T(test_hmp_many_lines_are_all_answered),
        T(test_hmp_on_a_multiplexer_is_answered),
        T(test_qmp_half_closed_client_is_answered),
        T(test_qmp_commands_of_a_client_that_left_are_run),
        T(test_qmp_many_commands_are_all_answered),
        T(test_qmp_one_client_after_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
