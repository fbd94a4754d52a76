/* SPDX-License-Identifier: MIT */
/* Chardev "pty": a pseudo terminal that a terminal program opens by its name. */
#include "chardev-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>
#include "tessera/util/error.h"

/* How often an unused pty is looked at: the kernel tells of a close, but not of an open. */
#define LOOK_MS 250

typedef struct PtyChardev {
    Chardev base;
    int master;
    char *name; /* of the slave */
    FdStream *stream;
    GSource *look;
} PtyChardev;

static bool slave_is_open(int master)
{
    struct pollfd p = { .fd = master, .events = POLLIN };

    return poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP);
}

static gboolean pty_look(gpointer opaque)
{
    PtyChardev *p = opaque;

    if (!slave_is_open(p->master)) {
        return G_SOURCE_CONTINUE;
    }
    g_clear_pointer(&p->look, g_source_unref);
    fd_stream_set(p->stream, p->master, p->master);
    chardev_set_open(&p->base, true);
    return G_SOURCE_REMOVE;
}

static void start_looking(PtyChardev *p)
{
    p->look = g_timeout_source_new(LOOK_MS);
    g_source_set_callback(p->look, pty_look, p, NULL);
    g_source_attach(p->look, p->base.context);
}

static void pty_on_hangup(Chardev *chr)
{
    PtyChardev *p = (PtyChardev *)chr;

    fd_stream_set(p->stream, -1, -1);
    chardev_set_open(chr, false);
    start_looking(p);
}

/* Raw from the start; opening and closing the slave once makes the master report it as closed. */
static bool make_slave_raw(PtyChardev *p)
{
    struct termios raw;
    int slave = open(p->name, O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (slave < 0) {
        return false;
    }
    if (tcgetattr(slave, &raw) == 0) {
        cfmakeraw(&raw);
        tcsetattr(slave, TCSANOW, &raw);
    }
    close(slave);
    return true;
}

static bool pty_open(Chardev *chr, const char *parameter, GError **error)
{
    PtyChardev *p = (PtyChardev *)chr;
    char name[64];

    p->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (p->master < 0 || grantpt(p->master) < 0 || unlockpt(p->master) < 0 ||
        ptsname_r(p->master, name, sizeof(name)) != 0) {
        error_set_errno(error, errno, "cannot make a pseudo terminal");
        return false;
    }
    p->name = g_strdup(name);
    if (!make_slave_raw(p)) {
        error_set_errno(error, errno, "cannot open the pseudo terminal '%s'", p->name);
        return false;
    }
    p->stream = fd_stream_new(chr, pty_on_hangup);
    start_looking(p);
    return true;
}

static void pty_close(Chardev *chr)
{
    PtyChardev *p = (PtyChardev *)chr;

    if (p->look) {
        g_source_destroy(p->look);
        g_source_unref(p->look);
    }
    fd_stream_free(p->stream);
    if (p->master >= 0) {
        close(p->master);
    }
    g_free(p->name);
}

static size_t pty_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    return fd_stream_write(((PtyChardev *)chr)->stream, buf, len);
}

static void pty_accept_input(Chardev *chr)
{
    fd_stream_accept_input(((PtyChardev *)chr)->stream);
}

static char *pty_describe(Chardev *chr)
{
    return g_strdup_printf("pty %s%s", ((PtyChardev *)chr)->name, chr->open ? "" : ", not open");
}

const ChardevClass chardev_pty_class = {
    .kind = "pty",
    .usage = "pty",
    .size = sizeof(PtyChardev),
    .open = pty_open,
    .close = pty_close,
    .write = pty_write,
    .accept_input = pty_accept_input,
    .describe = pty_describe,
};
