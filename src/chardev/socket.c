/* SPDX-License-Identifier: MIT */
/* Stream sockets as chardevs: one client at a time, one after another. */
#include "socket-internal.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tessera/util/error.h"

/* How long a client waits after accept() found no file descriptor for it. */
#define ACCEPT_PAUSE_MS 250

static void watch_listener(SocketChardev *s);

void socket_init(SocketChardev *s, const char *what)
{
    s->what = what;
    s->listen_fd = s->fd = -1;
}

/* Options. */

char *socket_split(const char *parameter, const char **ret_options)
{
    GString *address = g_string_new(NULL);
    const char *p = parameter;

    while (*p && (*p != ',' || p[1] == ',')) {
        p += *p == ',';
        g_string_append_c(address, *p++);
    }
    *ret_options = *p ? p + 1 : "";
    return g_string_free(address, FALSE);
}

static bool set_flag(SocketChardev *s, const char *key, const char *value, bool *ret,
                     GError **error)
{
    if (!value || strcmp(value, "on") == 0) {
        *ret = true;
    } else if (strcmp(value, "off") == 0) {
        *ret = false;
    } else {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "'%s=%s': %s's %s is on or off",
                    key, value, s->what, key);
        return false;
    }
    return true;
}

static bool take_option(SocketChardev *s, const char *text, bool *ret_wait_given, GError **error)
{
    g_auto(GStrv) kv = g_strsplit(text, "=", 2);

    if (g_strcmp0(kv[0], "server") == 0) {
        return set_flag(s, kv[0], kv[1], &s->server, error);
    }
    if (g_strcmp0(kv[0], "wait") == 0) {
        *ret_wait_given = true;
        return set_flag(s, kv[0], kv[1], &s->wait, error);
    }
    if (strcmp(text, "nowait") == 0) { /* the old spelling of wait=off, which scripts use */
        *ret_wait_given = true;
        s->wait = false;
        return true;
    }
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                "'%s': %s has the options server=on|off and wait=on|off", text, s->what);
    return false;
}

bool socket_take_options(SocketChardev *s, const char *kind, const char *name, const char *options,
                         GError **error)
{
    g_auto(GStrv) list = g_strsplit(options, ",", -1);
    bool wait_given = false;

    s->name = g_strdup(name);
    s->wait = true;
    for (char **o = list; *o; o++) {
        if (!take_option(s, *o, &wait_given, error)) {
            return false;
        }
    }
    if (wait_given && !s->server) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "%s:%s: only a server waits; add server=on or leave wait out", kind, name);
        return false;
    }
    return true;
}

/* Clients. */

void socket_connected(SocketChardev *s, int fd)
{
    s->fd = fd;
    if (s->set_up) {
        s->set_up(s, fd);
    }
    fd_stream_set(s->stream, fd, fd);
    chardev_set_open(&s->base, true);
}

static gboolean on_pause_end(gpointer opaque)
{
    SocketChardev *s = opaque;

    g_clear_pointer(&s->accept_source, g_source_unref);
    watch_listener(s);
    return G_SOURCE_REMOVE;
}

/*
 * No file descriptor or memory for a client: it stays in the queue, for which poll() would report
 * the listener again at once.
 */
static void pause_listening(SocketChardev *s, int err)
{
    if (!s->accept_failed) {
        g_warning("%s: cannot accept a connection to '%s': %s; trying again until it works",
                  s->base.label, s->name, g_strerror(err));
    }
    s->accept_failed = true;
    g_clear_pointer(&s->accept_source, g_source_unref);
    s->accept_source = g_timeout_source_new(ACCEPT_PAUSE_MS);
    g_source_set_callback(s->accept_source, on_pause_end, s, NULL);
    g_source_attach(s->accept_source, s->base.context);
}

static gboolean on_connection(gint listen_fd, GIOCondition condition, gpointer opaque)
{
    SocketChardev *s = opaque;
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)) {
        return G_SOURCE_CONTINUE;
    }
    if (fd < 0) {
        pause_listening(s, errno);
        return G_SOURCE_REMOVE;
    }
    s->accept_failed = false;
    g_clear_pointer(&s->accept_source, g_source_unref);
    socket_connected(s, fd);
    return G_SOURCE_REMOVE;
}

static void watch_listener(SocketChardev *s)
{
    s->accept_source = g_unix_fd_source_new(s->listen_fd, G_IO_IN);
    g_source_set_callback(s->accept_source, G_SOURCE_FUNC(on_connection), s, NULL);
    g_source_attach(s->accept_source, s->base.context);
}

static void on_hangup(Chardev *chr)
{
    SocketChardev *s = (SocketChardev *)chr;

    fd_stream_set(s->stream, -1, -1);
    close(s->fd);
    s->fd = -1;
    chardev_set_open(chr, false);
    if (s->server) {
        watch_listener(s);
    }
}

/*
 * The signals that end a program are blocked (main.c), because the main loop reads them, and it
 * does not run yet: here they act as in any program.
 */
static void wait_for_client(int listen_fd)
{
    struct pollfd p = { .fd = listen_fd, .events = POLLIN };
    sigset_t mask;

    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    sigdelset(&mask, SIGINT);
    sigdelset(&mask, SIGTERM);
    sigdelset(&mask, SIGHUP);
    while (ppoll(&p, 1, NULL, &mask) < 0 && errno == EINTR) {
    }
}

static bool wait_connected(SocketChardev *s, GError **error)
{
    int fd;

    g_message("%s: waiting for somebody to connect to %s", s->base.label, s->name);
    do {
        wait_for_client(s->listen_fd);
        fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd < 0) {
        error_set_errno(error, errno, "cannot accept a connection to '%s'", s->name);
        return false;
    }
    g_unix_set_fd_nonblocking(s->listen_fd, TRUE, NULL);
    socket_connected(s, fd);
    return true;
}

bool socket_serve(SocketChardev *s, int fd, GError **error)
{
    s->listen_fd = fd;
    if (listen(fd, 1) < 0) {
        error_set_errno(error, errno, "cannot listen on the socket '%s'", s->name);
        return false;
    }
    if (s->wait) {
        return wait_connected(s, error);
    }
    g_unix_set_fd_nonblocking(fd, TRUE, NULL);
    watch_listener(s);
    return true;
}

void socket_make_stream(SocketChardev *s)
{
    s->stream = fd_stream_new(&s->base, on_hangup);
}

void socket_done(SocketChardev *s)
{
    if (s->accept_source) {
        g_source_destroy(s->accept_source);
        g_source_unref(s->accept_source);
    }
    fd_stream_free(s->stream);
    if (s->fd >= 0) {
        close(s->fd);
    }
    if (s->listen_fd >= 0) {
        close(s->listen_fd);
    }
    g_free(s->name);
}

size_t socket_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    return fd_stream_write(((SocketChardev *)chr)->stream, buf, len);
}

void socket_accept_input(Chardev *chr)
{
    fd_stream_accept_input(((SocketChardev *)chr)->stream);
}

const char *socket_state(const SocketChardev *s)
{
    return s->base.open ? "connected" : s->server ? "listening" : "closed by the other end";
}
