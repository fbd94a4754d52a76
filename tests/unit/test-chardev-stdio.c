/* SPDX-License-Identifier: MIT */
/* Tests of chardev/stdio.c and terminal.c, in a child with a terminal or pipes of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "support/chardev-reader.h"

#define CHILD_SECONDS 60 /* whatever goes wrong, none is left behind */

typedef struct Child {
    pid_t pid;
    int terminal; /* our end of the child's terminal, or -1 */
    int in, out;  /* our ends of the child's pipes, or -1 */
} Child;

/* What the child does with its stdio: echoes in capitals until 'Q', or does what the byte says. */
static void child_receive(void *opaque, const uint8_t *buf, size_t len)
{
    Chardev **chr = opaque;

    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)g_ascii_toupper(buf[i]);

        if (c == 'Q') {
            chardev_free(*chr);
            _exit(0);
        } else if (c == 'E') {
            exit(7); /* without freeing it */
        } else if (c == 'S') {
            abort();
        }
        chardev_write_all(*chr, &c, 1);
    }
}

static size_t child_can_receive(void *opaque)
{
    return 16;
}

static const ChardevFrontend child_frontend = {
    .can_receive = child_can_receive,
    .receive = child_receive,
};

static void child_main(void)
{
    GMainContext *context = g_main_context_new();
    Chardev *chr;

    alarm(CHILD_SECONDS);
    chr = chardev_new("child", "stdio", context, NULL);

    if (!chr || chardev_new("second", "stdio", context, NULL)) {
        _exit(99);
    }
    chardev_set_frontend(chr, &child_frontend, &chr);
    chardev_write_all(chr, (const uint8_t *)"ready\n", 6);
    for (;;) {
        g_main_context_iteration(context, TRUE);
    }
}

static void start_on_terminal(Child *c)
{
    int slave;

    *c = (Child){ .in = -1, .out = -1 };
    c->terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(c->terminal >= 0 && grantpt(c->terminal) == 0 && unlockpt(c->terminal) == 0);
    slave = open(ptsname(c->terminal), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    c->pid = fork();
    if (c->pid == 0) {
        setsid();
        if (ioctl(slave, TIOCSCTTY, 0) < 0) {
            _exit(98);
        }
        dup2(slave, 0);
        dup2(slave, 1);
        child_main();
    }
    close(slave);
}

static void start_on_pipes(Child *c)
{
    int in[2], out[2];

    *c = (Child){ .terminal = -1 };
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    c->pid = fork();
    if (c->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        child_main();
    }
    close(in[0]);
    close(out[1]);
    c->in = in[1];
    c->out = out[0];
}

static void expect(int fd, const char *text)
{
    char buf[100];

    read_exactly(fd, buf, strlen(text));
    assert_string_equal(buf, text);
}

static bool is_raw(Child *c)
{
    struct termios t;

    assert_int_equal(tcgetattr(c->terminal, &t), 0);
    return !(t.c_lflag & (ICANON | ECHO | ISIG));
}

static int wait_for(Child *c)
{
    int status;

    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    return status;
}

static void send_byte(int fd, char byte)
{
    assert_int_equal(write(fd, &byte, 1), 1);
}

static void test_stdio_terminal_is_raw_and_restored_at_the_end(void **state)
{
    Child c;

    start_on_terminal(&c);
    expect(c.terminal, "ready\r\n"); /* our own newlines stay readable: OPOST is kept */
    assert_true(is_raw(&c));
    send_byte(c.terminal, 3); /* Ctrl-C is a byte like any other */
    expect(c.terminal, "\x03");
    send_byte(c.terminal, 'x');
    expect(c.terminal, "X");
    send_byte(c.terminal, 'q');
    assert_int_equal(wait_for(&c), 0);
    assert_false(is_raw(&c));
    close(c.terminal);
}

static void test_stdio_terminal_is_restored_by_exit_and_abort(void **state)
{
    Child c;
    int status;

    start_on_terminal(&c);
    expect(c.terminal, "ready\r\n");
    send_byte(c.terminal, 'e');
    status = wait_for(&c);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    assert_false(is_raw(&c));
    close(c.terminal);
    start_on_terminal(&c);
    expect(c.terminal, "ready\r\n");
    send_byte(c.terminal, 's');
    status = wait_for(&c);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_false(is_raw(&c));
    close(c.terminal);
}

static void test_stdio_terminal_is_restored_by_signals(void **state)
{
    static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT };

    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
        Child c;
        int status;

        start_on_terminal(&c);
        expect(c.terminal, "ready\r\n");
        assert_true(is_raw(&c));
        kill(c.pid, signals[i]);
        status = wait_for(&c);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), signals[i]);
        assert_false(is_raw(&c));
        close(c.terminal);
    }
}

/* The child leads an orphaned group, which SIGTSTP does not stop: a forked job of its own does. */
static void test_stdio_terminal_while_stopped(void **state)
{
    Child c;
    int status, slave;
    pid_t job;

    c = (Child){ .in = -1, .out = -1 };
    c.terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(grantpt(c.terminal) == 0 && unlockpt(c.terminal) == 0);
    slave = open(ptsname(c.terminal), O_RDWR | O_NOCTTY);
    c.pid = fork();
    if (c.pid == 0) { /* a little shell */
        alarm(CHILD_SECONDS);
        setsid();
        ioctl(slave, TIOCSCTTY, 0);
        job = fork();
        if (job == 0) {
            setpgid(0, 0);
            signal(SIGTTOU, SIG_IGN);
            tcsetpgrp(slave, getpid());
            signal(SIGTTOU, SIG_DFL);
            dup2(slave, 0);
            dup2(slave, 1);
            child_main();
        }
        for (unsigned i = 0; i < 2; i++) {
            char report;

            if (waitpid(job, &status, WUNTRACED) != job) {
                _exit(90);
            }
            report = WIFSTOPPED(status) ? '1' : '0';
            if (write(slave, &report, 1) != 1 || !WIFSTOPPED(status)) {
                _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 91);
            }
        }
        _exit(92);
    }
    close(slave);
    expect(c.terminal, "ready\r\n");
    assert_true(is_raw(&c));
    job = tcgetpgrp(c.terminal);
    assert_true(job > 0);
    kill(job, SIGTSTP);
    expect(c.terminal, "1");
    assert_false(is_raw(&c));
    kill(job, SIGCONT);
    for (unsigned i = 0; i < 5000 && !is_raw(&c); i++) {
        g_usleep(1000);
    }
    assert_true(is_raw(&c));
    send_byte(c.terminal, 'q');
    assert_int_equal(wait_for(&c), 0);
    assert_false(is_raw(&c));
    close(c.terminal);
}

static void test_stdio_pipes_and_the_end_of_input(void **state)
{
    Child c;
    char more;

    start_on_pipes(&c);
    expect(c.out, "ready\n");
    send_byte(c.in, 'a');
    expect(c.out, "A");
    close(c.in); /* not the end of the machine */
    g_usleep(20000);
    assert_int_equal(waitpid(c.pid, NULL, WNOHANG), 0);
    kill(c.pid, SIGTERM);
    assert_true(WIFSIGNALED(wait_for(&c)));
    assert_int_equal(read(c.out, &more, 1), 0);
    close(c.out);
}

static void test_stdio_output_nobody_reads_is_swallowed(void **state)
{
    Child c;

    start_on_pipes(&c);
    expect(c.out, "ready\n");
    close(c.out);
    send_byte(c.in, 'a'); /* EPIPE, and no SIGPIPE */
    send_byte(c.in, 'q');
    assert_int_equal(wait_for(&c), 0);
    close(c.in);
}

/* O_NONBLOCK must not reach those who share the descriptor: the shell, `tee`, our own messages. */
static void test_stdio_leaves_the_shared_descriptors_blocking(void **state)
{
    int fds[2], saved = dup(1), flags;
    Chardev *chr;

    fflush(stdout);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    dup2(fds[1], 1);
    chr = chardev_new("chr0", "stdio", NULL, NULL);
    flags = fcntl(1, F_GETFL);
    if (chr) {
        uint8_t block[4096] = { 0 };
        unsigned blocks = 0;

        while (chardev_write(chr, block, sizeof(block)) == sizeof(block) && blocks++ < 10000) {
        }
        chardev_free(chr);
        dup2(saved, 1);
        assert_true(blocks < 10000); /* refused, did not block */
    }
    dup2(saved, 1);
    close(saved);
    close(fds[0]);
    close(fds[1]);
    assert_non_null(chr);
    assert_int_equal(flags & O_NONBLOCK, 0);
}

static void test_restore_without_a_terminal_does_nothing(void **state)
{
    terminal_restore();
    terminal_restore();
    chardev_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stdio_terminal_is_raw_and_restored_at_the_end),
        cmocka_unit_test(test_stdio_terminal_is_restored_by_exit_and_abort),
        cmocka_unit_test(test_stdio_terminal_is_restored_by_signals),
        cmocka_unit_test(test_stdio_terminal_while_stopped),
        cmocka_unit_test(test_stdio_pipes_and_the_end_of_input),
        cmocka_unit_test(test_stdio_output_nobody_reads_is_swallowed),
        cmocka_unit_test(test_stdio_leaves_the_shared_descriptors_blocking),
        cmocka_unit_test(test_restore_without_a_terminal_does_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
