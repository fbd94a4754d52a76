/* SPDX-License-Identifier: MIT */
/* Chardev "unix": a stream socket in the file system. */
#include "socket-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "tessera/util/error.h"

typedef struct UnixChardev {
    SocketChardev socket;
    bool bound; /* the socket file is ours: @file_dev, @file_ino */
    dev_t file_dev;
    ino_t file_ino;
} UnixChardev;

static bool make_address(const char *path, struct sockaddr_un *addr, GError **error)
{
    size_t len = strlen(path);

    memset(addr, 0, sizeof(*addr));
    addr->sun_family = AF_UNIX;
    if (len == 0 || len >= sizeof(addr->sun_path)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "the socket path '%s' has %zu bytes; 1 to %zu are possible", path, len,
                    sizeof(addr->sun_path) - 1);
        return false;
    }
    memcpy(addr->sun_path, path, len);
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

static bool bind_path(UnixChardev *u, int fd, const struct sockaddr_un *addr, GError **error)
{
    struct stat st;

    remove_stale(addr);
    if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0) {
        error_set_errno(error, errno, "cannot make the socket '%s'", u->socket.name);
        return false;
    }
    u->bound = lstat(addr->sun_path, &st) == 0;
    u->file_dev = u->bound ? st.st_dev : 0;
    u->file_ino = u->bound ? st.st_ino : 0;
    return true;
}

static bool open_address(UnixChardev *u, int fd, const struct sockaddr_un *addr, GError **error)
{
    SocketChardev *s = &u->socket;

    if (s->server) {
        s->listen_fd = fd;
        return bind_path(u, fd, addr, error) && socket_serve(s, fd, error);
    }
    if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0) {
        error_set_errno(error, errno, "cannot connect to '%s' (server=on makes the socket)",
                        s->name);
        close(fd);
        return false;
    }
    socket_connected(s, fd);
    return true;
}

static bool unix_open(Chardev *chr, const char *parameter, GError **error)
{
    UnixChardev *u = (UnixChardev *)chr;
    const char *options;
    g_autofree char *path = socket_split(parameter, &options);
    struct sockaddr_un addr;
    int fd;

    socket_init(&u->socket, "a unix socket");
    if (!socket_take_options(&u->socket, "unix", path, options, error) ||
        !make_address(path, &addr, error)) {
        return false;
    }
    fd = new_socket(error);
    if (fd < 0) {
        return false;
    }
    socket_make_stream(&u->socket);
    return open_address(u, fd, &addr, error);
}

static void unix_close(Chardev *chr)
{
    UnixChardev *u = (UnixChardev *)chr;
    struct stat st;

    /* Another program may have put its own socket there meanwhile. */
    if (u->bound && lstat(u->socket.name, &st) == 0 && st.st_dev == u->file_dev &&
        st.st_ino == u->file_ino) {
        unlink(u->socket.name);
    }
    socket_done(&u->socket);
}

static char *unix_describe(Chardev *chr)
{
    SocketChardev *s = (SocketChardev *)chr;

    return g_strdup_printf("unix socket %s, %s", s->name, socket_state(s));
}

const ChardevClass chardev_unix_class = {
    .kind = "unix",
    .usage = "unix:PATH[,server=on|off][,wait=on|off]",
    .size = sizeof(UnixChardev),
    .takes_parameter = true,
    .open = unix_open,
    .close = unix_close,
    .write = socket_write,
    .accept_input = socket_accept_input,
    .describe = unix_describe,
};
