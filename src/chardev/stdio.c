/* SPDX-License-Identifier: MIT */
/* Chardev "stdio": the program's standard input and output; a terminal becomes raw. */
#include "chardev-internal.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tessera/util/error.h"
#include "terminal-internal.h"

typedef struct StdioChardev {
    Chardev base;
    FdStream *stream;
    int out_fd;
    bool owner;
} StdioChardev;

/* Standard input is the process's: one back end at a time. */
static _Atomic bool stdio_taken;

/*
 * A description of our own, so that O_NONBLOCK does not reach the shell or whoever else holds the
 * same one. Where that is not possible (a socket, a file, a terminal of another user) the stream
 * writes with care.
 */
static int open_output(void)
{
    struct stat st;

    if (fstat(STDOUT_FILENO, &st) == 0 && (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode))) {
        int fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

        if (fd >= 0) {
            return fd;
        }
    }
    return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
}

static bool stdio_open(Chardev *chr, const char *parameter, GError **error)
{
    StdioChardev *s = (StdioChardev *)chr;

    s->out_fd = -1;
    if (atomic_exchange(&stdio_taken, true)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_EXISTS,
                    "standard input and output are in use by another character device "
                    "(-serial mon:stdio shares them between the serial port and a monitor)");
        return false;
    }
    s->owner = true;
    fd_ignore_sigpipe();
    s->out_fd = open_output(); /* -1, a closed standard output, swallows */
    s->stream = fd_stream_new(chr, NULL); /* the end of input is not the end of the machine */
    fd_stream_set(s->stream, fcntl(STDIN_FILENO, F_GETFD) >= 0 ? STDIN_FILENO : -1, s->out_fd);
    if (isatty(STDIN_FILENO)) {
        terminal_set_raw(STDIN_FILENO);
    }
    chr->open = true;
    return true;
}

static void stdio_close(Chardev *chr)
{
    StdioChardev *s = (StdioChardev *)chr;

    if (!s->owner) {
        return;
    }
    terminal_restore();
    fd_stream_free(s->stream);
    if (s->out_fd >= 0) {
        close(s->out_fd);
    }
    atomic_store(&stdio_taken, false);
}

static size_t stdio_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    return fd_stream_write(((StdioChardev *)chr)->stream, buf, len);
}

static void stdio_accept_input(Chardev *chr)
{
    fd_stream_accept_input(((StdioChardev *)chr)->stream);
}

const ChardevClass chardev_stdio_class = {
    .kind = "stdio",
    .usage = "stdio",
    .size = sizeof(StdioChardev),
    .open = stdio_open,
    .close = stdio_close,
    .write = stdio_write,
    .accept_input = stdio_accept_input,
};
