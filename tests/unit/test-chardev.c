/* SPDX-License-Identifier: MIT */
/* Tests of the chardev back ends: chardev.c, stdio, file, unix, pty, null, none, the terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tessera/chardev/chardev.h"
#include "tessera/util/error.h"

typedef struct Reader {
    GString *got;
    size_t room;
    unsigned opened, closed, writable;
} Reader;

static size_t reader_can_receive(void *opaque)
{
    return ((Reader *)opaque)->room;
}

static void reader_receive(void *opaque, const uint8_t *buf, size_t len)
{
    Reader *r = opaque;

    assert_true(len <= r->room);
    g_string_append_len(r->got, (const char *)buf, len);
    r->room -= r->room == SIZE_MAX ? 0 : len;
}

static void reader_event(void *opaque, ChardevEvent event)
{
    ((Reader *)opaque)->opened += event == CHARDEV_OPENED;
    ((Reader *)opaque)->closed += event == CHARDEV_CLOSED;
}

static void reader_writable(void *opaque)
{
    ((Reader *)opaque)->writable++;
}

static const ChardevFrontend reader_frontend = {
    .can_receive = reader_can_receive,
    .receive = reader_receive,
    .event = reader_event,
    .writable = reader_writable,
};

typedef struct Fixture {
    char *dir;
    char *path; /* in @dir; nothing there yet */
    Reader reader;
    Chardev *chr;
} Fixture;

static int setup(void **state)
{
    Fixture *f = g_new0(Fixture, 1);

    f->dir = g_dir_make_tmp("tessera-chardev-XXXXXX", NULL);
    f->path = g_build_filename(f->dir, "x", NULL);
    f->reader = (Reader){ .got = g_string_new(NULL), .room = SIZE_MAX };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    Fixture *f = *state;

    chardev_free(f->chr);
    g_string_free(f->reader.got, TRUE);
    g_unlink(f->path);
    assert_int_equal(g_rmdir(f->dir), 0); /* nothing was left behind */
    g_free(f->path);
    g_free(f->dir);
    g_free(f);
    return 0;
}

static void open_chardev(Fixture *f, const char *format, const char *path)
{
    g_autofree char *spec = g_strconcat(format, path, NULL);
    g_autoptr(GError) error = NULL;

    f->chr = chardev_new("chr0", spec, NULL, &error);
    assert_null(error);
    assert_non_null(f->chr);
    chardev_set_frontend(f->chr, &reader_frontend, &f->reader);
}

/* Runs the main context until @condition holds; fails after many rounds. */
#define RUN_UNTIL(condition)                                                                       \
    do {                                                                                           \
        unsigned rounds_ = 0;                                                                      \
        while (!(condition)) {                                                                     \
            assert_true(rounds_++ < 20000);                                                        \
            if (!g_main_context_iteration(NULL, FALSE)) {                                          \
                g_usleep(500);                                                                     \
            }                                                                                      \
        }                                                                                          \
    } while (0)

static size_t write_text(Chardev *chr, const char *text)
{
    return chardev_write(chr, (const uint8_t *)text, strlen(text));
}

static void read_exactly(int fd, char *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = read(fd, buf + done, len - done);

        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            g_main_context_iteration(NULL, FALSE);
            continue;
        }
        assert_true(n > 0);
        done += n;
    }
    buf[len] = 0;
}

static int connect_to(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void assert_refused(const char *spec, const char *part)
{
    g_autoptr(GError) error = NULL;
    Chardev *chr = chardev_new("chr0", spec, NULL, &error);

    assert_null(chr);
    assert_non_null(error);
    if (!strstr(error->message, part) || !strstr(error->message, "chr0")) {
        print_error("%s: %s\n", spec, error->message);
    }
    assert_non_null(strstr(error->message, part));
    assert_non_null(strstr(error->message, "chr0"));
}

static void test_new_refuses_what_it_does_not_know(void **state)
{
    assert_refused("", "stdio");
    assert_refused("stdoi", "'stdio'");
    assert_refused("fil:/x", "'file'");
    assert_refused("stdio:x", "stdio");
    assert_refused("null,x", "null");
    assert_refused("file", "file:PATH");
    assert_refused("file:", "file:PATH");
    assert_refused("unix", "unix:PATH");
}

static void test_null_and_none(void **state)
{
    Fixture *f = *state;
    g_autofree char *text = NULL;

    open_chardev(f, "null", "");
    assert_int_equal(f->reader.opened, 1);
    assert_int_equal(write_text(f->chr, "abc"), 3);
    text = chardev_description(f->chr);
    assert_string_equal(text, "null");
    assert_string_equal(chardev_label(f->chr), "chr0");
    chardev_free(f->chr);
    open_chardev(f, "none", "");
    assert_int_equal(f->reader.opened, 1); /* nobody there */
    assert_int_equal(write_text(f->chr, "abc"), 3);
}

static void test_file_takes_the_output(void **state)
{
    Fixture *f = *state;
    g_autofree char *contents = NULL;

    assert_true(g_file_set_contents(f->path, "old contents that are longer", -1, NULL));
    open_chardev(f, "file:", f->path);
    assert_int_equal(write_text(f->chr, "hello "), 6);
    chardev_write_all(f->chr, (const uint8_t *)"world\n", 6);
    assert_true(g_file_get_contents(f->path, &contents, NULL, NULL));
    assert_string_equal(contents, "hello world\n");
}

static void test_file_that_cannot_be_opened(void **state)
{
    Fixture *f = *state;
    g_autofree char *spec = g_strdup_printf("file:%s/no/such", f->dir);

    assert_refused(spec, "No such file");
    assert_refused("file:/", "directory");
    assert_int_equal(mkfifo(f->path, 0600), 0);
    g_free(g_steal_pointer(&spec));
    spec = g_strdup_printf("file:%s", f->path);
    assert_refused(spec, "nobody reads");
}

static void test_file_on_a_full_disk_does_not_wait(void **state)
{
    Fixture *f = *state;

    open_chardev(f, "file:", "/dev/full");
    assert_int_equal(write_text(f->chr, "abc"), 3);
}

/* A FIFO that fills up: back-pressure, then `writable`. And a reader that leaves. */
static void test_file_back_pressure_of_a_fifo(void **state)
{
    Fixture *f = *state;
    char buf[4097];
    int fd;
    size_t total = 0, n;

    assert_int_equal(mkfifo(f->path, 0600), 0);
    fd = open(f->path, O_RDONLY | O_NONBLOCK);
    open_chardev(f, "file:", f->path);
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

static void test_unix_server_takes_one_client_after_another(void **state)
{
    Fixture *f = *state;
    g_autofree char *spec = g_strdup_printf("unix:%s,server=on,wait=off", f->path);
    char buf[100];

    open_chardev(f, spec, "");
    assert_int_equal(f->reader.opened, 0);
    assert_int_equal(write_text(f->chr, "nobody hears\n"), 13);
    for (unsigned i = 0; i < 3; i++) {
        int fd = connect_to(f->path);
        g_autofree char *text = NULL;

        assert_true(fd >= 0);
        RUN_UNTIL(f->reader.opened == i + 1);
        text = chardev_description(f->chr);
        assert_non_null(strstr(text, "connected"));
        assert_int_equal(write_text(f->chr, "hello"), 5);
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
    Fixture *f = *state;
    g_autofree char *spec = g_strdup_printf("unix:%s,server=on,wait=off", f->path);
    int fd;

    open_chardev(f, spec, "");
    fd = connect_to(f->path);
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
    Fixture *f = *state;
    g_autofree char *spec = g_strdup_printf("unix:%s,server=on,wait=off", f->path);
    g_autofree uint8_t *buf = g_malloc0(65536);
    int fd;
    size_t total = 0, n;

    open_chardev(f, spec, "");
    fd = connect_to(f->path);
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
        fd = connect_to(opaque);
    } while (fd < 0);
    return GINT_TO_POINTER(fd);
}

static void test_unix_server_waits(void **state)
{
    Fixture *f = *state;
    g_autofree char *spec = g_strdup_printf("unix:%s,server=on", f->path);
    GThread *thread = g_thread_new("client", connect_later, f->path);

    open_chardev(f, spec, "");
    assert_int_equal(f->reader.opened, 1); /* from the start */
    close(GPOINTER_TO_INT(g_thread_join(thread)));
    RUN_UNTIL(f->reader.closed == 1);
}

static void test_unix_client_connects(void **state)
{
    Fixture *f = *state;
    g_autofree char *spec = g_strdup_printf("unix:%s,server=on,wait=off", f->path);
    Chardev *server = chardev_new("server", spec, NULL, NULL);
    Reader other = { .got = g_string_new(NULL), .room = SIZE_MAX };

    assert_non_null(server);
    chardev_set_frontend(server, &reader_frontend, &other);
    open_chardev(f, "unix:", f->path);
    assert_int_equal(f->reader.opened, 1);
    write_text(f->chr, "ping");
    RUN_UNTIL(other.got->len == 4);
    write_text(server, "pong");
    RUN_UNTIL(f->reader.got->len == 4);
    chardev_free(server);
    RUN_UNTIL(f->reader.closed == 1);
    assert_int_equal(write_text(f->chr, "nobody"), 6);
    g_string_free(other.got, TRUE);
}

static void test_unix_refuses_bad_options_and_paths(void **state)
{
    Fixture *f = *state;
    g_autofree char *wait = g_strdup_printf("unix:%s,wait=on", f->path);
    g_autofree char *client = g_strdup_printf("unix:%s", f->path);
    g_autofree char *server = g_strdup_printf("unix:%s,server=on,wait=off", f->path);
    g_autofree char *name = g_strnfill(200, 'x');
    g_autofree char *longer = g_strdup_printf("unix:/tmp/%s,server=on,wait=off", name);

    assert_refused(wait, "only a server waits");
    assert_refused(client, "cannot connect");
    assert_refused("unix:/tmp/x,server=yes", "on or off");
    assert_refused("unix:/tmp/x,sever=on", "server=on|off");
    assert_refused("unix:/no/such/dir/x,server=on,wait=off", "No such file");
    assert_refused(longer, "107");
    /* Not a socket: never removed. */
    assert_true(g_file_set_contents(f->path, "keep", -1, NULL));
    assert_refused(server, "in use");
    assert_true(g_file_test(f->path, G_FILE_TEST_IS_REGULAR));
}

static void test_unix_takes_over_a_dead_socket_but_not_a_living_one(void **state)
{
    Fixture *f = *state;
    g_autofree char *spec = g_strdup_printf("unix:%s,server=on,wait=off", f->path);
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_strlcpy(addr.sun_path, f->path, sizeof(addr.sun_path));
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    close(fd); /* the file stays */
    open_chardev(f, spec, "");
    assert_refused(spec, "in use");
    fd = connect_to(f->path);
    assert_true(fd >= 0);
    close(fd);
}

static void test_pty_opens_closes_and_opens_again(void **state)
{
    Fixture *f = *state;
    g_autofree char *text = NULL;
    g_auto(GStrv) words = NULL;
    char buf[100];

    open_chardev(f, "pty", "");
    assert_int_equal(f->reader.opened, 0);
    assert_int_equal(write_text(f->chr, "nobody hears\n"), 13);
    text = chardev_description(f->chr);
    g_strdelimit(text, ",", ' ');
    words = g_strsplit(text, " ", 3);
    for (unsigned i = 0; i < 2; i++) {
        int fd = open(words[1], O_RDWR | O_NOCTTY);

        assert_true(fd >= 0);
        RUN_UNTIL(f->reader.opened == i + 1);
        assert_int_equal(write_text(f->chr, "a\n\x03"), 3);
        read_exactly(fd, buf, 3);
        assert_string_equal(buf, "a\n\x03"); /* raw: no \r, no signal */
        g_string_truncate(f->reader.got, 0);
        assert_int_equal(write(fd, "b\r\x04", 3), 3);
        RUN_UNTIL(f->reader.got->len == 3);
        assert_string_equal(f->reader.got->str, "b\r\x04");
        close(fd);
        RUN_UNTIL(f->reader.closed == i + 1);
        assert_int_equal(write_text(f->chr, "nobody"), 6);
    }
}

/* The user leaves while output waits and input is not taken: nobody turns in circles. */
static void test_pty_user_leaves_with_everything_full(void **state)
{
    Fixture *f = *state;
    g_autofree char *text = NULL;
    g_auto(GStrv) words = NULL;
    uint8_t block[4096] = { 0 };
    unsigned idle = 0;
    int fd;

    open_chardev(f, "pty", "");
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

/* --- stdio, in a child whose standard input and output are what the test says. */

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

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_refuses_what_it_does_not_know),
        T(test_null_and_none),
        T(test_file_takes_the_output),
        T(test_file_that_cannot_be_opened),
        T(test_file_on_a_full_disk_does_not_wait),
        T(test_file_back_pressure_of_a_fifo),
        T(test_unix_server_takes_one_client_after_another),
        T(test_unix_reads_only_what_is_taken),
        T(test_unix_back_pressure),
        T(test_unix_server_waits),
        T(test_unix_client_connects),
        T(test_unix_refuses_bad_options_and_paths),
        T(test_unix_takes_over_a_dead_socket_but_not_a_living_one),
        T(test_pty_opens_closes_and_opens_again),
        T(test_pty_user_leaves_with_everything_full),
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
