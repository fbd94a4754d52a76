/* SPDX-License-Identifier: MIT */
/* Chardev "unix": a stream socket in the file system, one client at a time, one after another. */
#include "chardev-internal.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "tessera/util/error.h"

/* How long a client waits after accept() found no file descriptor for it. */
#define ACCEPT_PAUSE_MS 250

typedef struct UnixChardev {
    Chardev base;
    char *path;
    bool server;
    bool wait;
    bool bound; /* the socket file is ours: @file_dev, @file_ino */
    dev_t file_dev;
    ino_t file_ino;
    int listen_fd;
    int fd;
    FdStream *stream;
    GSource *accept_source; /* while nobody is connected: the listener, or the pause after a failure */
    bool accept_failed;     /* and was told */
} UnixChardev;

static void watch_listener(UnixChardev *u);

static bool set_flag(const char *key, const char *value, bool *ret, GError **error)
{
    if (!value || strcmp(value, "on") == 0) {
        *ret = true;
    } else if (strcmp(value, "off") == 0) {
        *ret = false;
    } else {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "'%s=%s': a unix socket's %s is on or off", key, value, key);
        return false;
    }
    return true;
}

static bool parse_option(UnixChardev *u, const char *text, bool *ret_wait_given, GError **error)
{
    g_auto(GStrv) kv = g_strsplit(text, "=", 2);

    if (g_strcmp0(kv[0], "server") == 0) {
        return set_flag(kv[0], kv[1], &u->server, error);
    }
    if (g_strcmp0(kv[0], "wait") == 0) {
        *ret_wait_given = true;
        return set_flag(kv[0], kv[1], &u->wait, error);
    }
    if (strcmp(text, "nowait") == 0) { /* the old spelling of wait=off, which scripts use */
        *ret_wait_given = true;
        u->wait = false;
        return true;
    }
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                "'%s': a unix socket has the options server=on|off and wait=on|off", text);
    return false;
}

/* PATH[,option...]; a comma in PATH is written twice. */
static bool parse_parameter(UnixChardev *u, const char *parameter, GError **error)
{
    GString *path = g_string_new(NULL);
    g_auto(GStrv) options = NULL;
    bool wait_given = false;
    const char *p = parameter;

    while (*p && (*p != ',' || p[1] == ',')) {
        p += *p == ',';
        g_string_append_c(path, *p++);
    }
    u->path = g_string_free(path, FALSE);
    u->wait = true;
    options = g_strsplit(*p ? p + 1 : "", ",", -1);
    for (char **o = options; *o; o++) {
        if (!parse_option(u, *o, &wait_given, error)) {
            return false;
        }
    }
    if (wait_given && !u->server) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "unix:%s: only a server waits; add server=on or leave wait out", u->path);
        return false;
    }
    return true;
}

static bool make_address(UnixChardev *u, struct sockaddr_un *addr, GError **error)
{
    size_t len = strlen(u->path);

    memset(addr, 0, sizeof(*addr));
    addr->sun_family = AF_UNIX;
    if (len == 0 || len >= sizeof(addr->sun_path)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "the socket path '%s' has %zu bytes; 1 to %zu are possible", u->path, len,
                    sizeof(addr->sun_path) - 1);
        return false;
    }
    memcpy(addr->sun_path, u->path, len);
    return true;
}

static int new_socket(GError **error)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        error_set_errno(error, errno, "cannot make a socket");
    }
    return fd;
}

/* Removes a socket that a dead program left behind; anything else stays. */
static void remove_stale(const struct sockaddr_un *addr)
{
    struct stat st;
    int fd;

    if (lstat(addr->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        return;
    }
    fd = new_socket(NULL);
    if (fd >= 0) {
        if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 &&
            errno == ECONNREFUSED) {
            unlink(addr->sun_path);
        }
        close(fd);
    }
}

static void use_connection(UnixChardev *u, int fd)
{
    u->fd = fd;
    fd_stream_set(u->stream, fd, fd);
    chardev_set_open(&u->base, true);
}

static gboolean on_pause_end(gpointer opaque)
{
    UnixChardev *u = opaque;

    g_clear_pointer(&u->accept_source, g_source_unref);
    watch_listener(u);
    return G_SOURCE_REMOVE;
}

/*
 * No file descriptor or memory for a client: it stays in the queue, for which poll() would report the
 * listener again at once.
 */
static void pause_listening(UnixChardev *u, int err)
{
    if (!u->accept_failed) {
        g_warning("%s: cannot accept a connection to '%s': %s; trying again until it works",
                  u->base.label, u->path, g_strerror(err));
    }
    u->accept_failed = true;
    g_clear_pointer(&u->accept_source, g_source_unref);
    u->accept_source = g_timeout_source_new(ACCEPT_PAUSE_MS);
    g_source_set_callback(u->accept_source, on_pause_end, u, NULL);
    g_source_attach(u->accept_source, u->base.context);
}

static gboolean on_connection(gint listen_fd, GIOCondition condition, gpointer opaque)
{
    UnixChardev *u = opaque;
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)) {
        return G_SOURCE_CONTINUE;
    }
    if (fd < 0) {
        pause_listening(u, errno);
        return G_SOURCE_REMOVE;
    }
    u->accept_failed = false;
    g_clear_pointer(&u->accept_source, g_source_unref);
    use_connection(u, fd);
    return G_SOURCE_REMOVE;
}

static void watch_listener(UnixChardev *u)
{
    u->accept_source = g_unix_fd_source_new(u->listen_fd, G_IO_IN);
    g_source_set_callback(u->accept_source, G_SOURCE_FUNC(on_connection), u, NULL);
    g_source_attach(u->accept_source, u->base.context);
}

static void unix_on_hangup(Chardev *chr)
{
    UnixChardev *u = (UnixChardev *)chr;

    fd_stream_set(u->stream, -1, -1);
    close(u->fd);
    u->fd = -1;
    chardev_set_open(chr, false);
    if (u->server) {
        watch_listener(u);
    }
}

/*
 * The signals that end a program are blocked (main.c), because the main loop reads them, and it does
 * not run yet: here they act as in any program.
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

static bool listen_and_wait(UnixChardev *u, const struct sockaddr_un *addr, GError **error)
{
    struct stat st;
    int fd;

    remove_stale(addr);
    if (bind(u->listen_fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0) {
        error_set_errno(error, errno, "cannot make the socket '%s'", u->path);
        return false;
    }
    u->bound = lstat(u->path, &st) == 0;
    u->file_dev = u->bound ? st.st_dev : 0;
    u->file_ino = u->bound ? st.st_ino : 0;
    if (listen(u->listen_fd, 1) < 0) {
        error_set_errno(error, errno, "cannot listen on the socket '%s'", u->path);
        return false;
    }
    if (!u->wait) {
        g_unix_set_fd_nonblocking(u->listen_fd, TRUE, NULL);
        watch_listener(u);
        return true;
    }
    g_message("%s: waiting for somebody to connect to %s", u->base.label, u->path);
    do {
        wait_for_client(u->listen_fd);
        fd = accept4(u->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd < 0) {
        error_set_errno(error, errno, "cannot accept a connection to '%s'", u->path);
        return false;
    }
    g_unix_set_fd_nonblocking(u->listen_fd, TRUE, NULL);
    use_connection(u, fd);
    return true;
}

static bool unix_open(Chardev *chr, const char *parameter, GError **error)
{
    UnixChardev *u = (UnixChardev *)chr;
    struct sockaddr_un addr;
    int fd;

    u->listen_fd = u->fd = -1;
    if (!parse_parameter(u, parameter, error) || !make_address(u, &addr, error)) {
        return false;
    }
    fd = new_socket(error);
    if (fd < 0) {
        return false;
    }
    u->stream = fd_stream_new(chr, unix_on_hangup);
    if (u->server) {
        u->listen_fd = fd;
        return listen_and_wait(u, &addr, error);
    }
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        error_set_errno(error, errno, "cannot connect to '%s' (server=on makes the socket)",
                        u->path);
        close(fd);
        return false;
    }
    use_connection(u, fd);
    return true;
}

static void unix_close(Chardev *chr)
{
    UnixChardev *u = (UnixChardev *)chr;
    struct stat st;

    if (u->accept_source) {
        g_source_destroy(u->accept_source);
        g_source_unref(u->accept_source);
    }
    fd_stream_free(u->stream);
    if (u->fd >= 0) {
        close(u->fd);
    }
    if (u->listen_fd >= 0) {
        close(u->listen_fd);
    }
    /* Another program may have put its own socket there meanwhile. */
    if (u->bound && lstat(u->path, &st) == 0 && st.st_dev == u->file_dev &&
        st.st_ino == u->file_ino) {
        unlink(u->path);
    }
    g_free(u->path);
}

static size_t unix_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    return fd_stream_write(((UnixChardev *)chr)->stream, buf, len);
}

static void unix_accept_input(Chardev *chr)
{
    fd_stream_accept_input(((UnixChardev *)chr)->stream);
}

static char *unix_describe(Chardev *chr)
{
    UnixChardev *u = (UnixChardev *)chr;

    return g_strdup_printf("unix socket %s, %s", u->path,
                           chr->open   ? "connected"
                           : u->server ? "listening"
                                       : "closed by the other end");
}

const ChardevClass chardev_unix_class = {
    .kind = "unix",
    .usage = "unix:PATH[,server=on|off][,wait=on|off]",
    .size = sizeof(UnixChardev),
    .takes_parameter = true,
    .open = unix_open,
    .close = unix_close,
    .write = unix_write,
    .accept_input = unix_accept_input,
    .describe = unix_describe,
};
