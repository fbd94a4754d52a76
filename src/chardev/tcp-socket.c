/* SPDX-License-Identifier: MIT */
/* Chardev "tcp": a stream socket of the internet protocols. */
#include "socket-internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tessera/util/error.h"

/*
 * Without a host, a server is for this machine alone: what stands behind it (a serial console, a
 * monitor, a debugger) is not to be offered to a network that nobody has thought of.
 */
#define DEFAULT_HOST "127.0.0.1"

/* A connection carries keys, commands and packets: each goes out at once. */
static void set_up(SocketChardev *s, int fd)
{
    const int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

typedef union Address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} Address;

static socklen_t address_len(const Address *a)
{
    return a->any.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4);
}

/* "HOST:PORT", "[IPV6]:PORT", ":PORT": the host, NULL when the form is another. */
static char *take_host(const char *text, const char *colon)
{
    size_t len = (size_t)(colon - text);

    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        return g_strndup(text + 1, len - 2);
    }
    if (len == 0 || (len == strlen("localhost") && g_str_has_prefix(text, "localhost"))) {
        return g_strdup(DEFAULT_HOST);
    }
    return memchr(text, ':', len) ? NULL : g_strndup(text, len);
}

/* Numbers only: names would need the host's resolver, which a program without libraries has not. */
static bool parse_address(const char *text, Address *ret, GError **error)
{
    const char *colon = strrchr(text, ':');
    g_autofree char *host = colon ? take_host(text, colon) : NULL;
    guint64 port;

    memset(ret, 0, sizeof(*ret));
    if (host && g_ascii_string_to_unsigned(colon + 1, 10, 0, 65535, &port, NULL)) {
        if (inet_pton(AF_INET, host, &ret->v4.sin_addr) == 1) {
            ret->v4.sin_family = AF_INET;
            ret->v4.sin_port = htons((uint16_t)port);
            return true;
        }
        if (inet_pton(AF_INET6, host, &ret->v6.sin6_addr) == 1) {
            ret->v6.sin6_family = AF_INET6;
            ret->v6.sin6_port = htons((uint16_t)port);
            return true;
        }
    }
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                "tcp:%s: an address is HOST:PORT, with a port of 0 to 65535 (0: a free one); HOST "
                "is an IPv4 address, an IPv6 address in brackets, or localhost; without it "
                DEFAULT_HOST,
                text);
    return false;
}

static bool bind_address(int fd, const Address *addr)
{
    const int on = 1;

    /* The last client's connection may linger in TIME_WAIT; a listener is refused all the same. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    return bind(fd, &addr->any, address_len(addr)) == 0;
}

/* Where it is really bound: with port 0 the kernel has chosen one. */
static void take_bound_name(SocketChardev *s, int fd)
{
    char host[INET6_ADDRSTRLEN];
    Address addr;
    socklen_t len = sizeof(addr);

    if (getsockname(fd, &addr.any, &len) < 0) {
        return;
    }
    g_free(s->name);
    if (addr.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &addr.v6.sin6_addr, host, sizeof(host));
        s->name = g_strdup_printf("[%s]:%u", host, ntohs(addr.v6.sin6_port));
    } else {
        inet_ntop(AF_INET, &addr.v4.sin_addr, host, sizeof(host));
        s->name = g_strdup_printf("%s:%u", host, ntohs(addr.v4.sin_port));
    }
}

static bool open_address(SocketChardev *s, int fd, const Address *addr, GError **error)
{
    bool ok = s->server ? bind_address(fd, addr)
                        : connect(fd, &addr->any, address_len(addr)) == 0;

    if (!ok) {
        error_set_errno(error, errno, "cannot %s tcp:%s%s", s->server ? "listen at" : "connect to",
                        s->name, s->server ? "" : " (server=on listens there)");
        close(fd);
        return false;
    }
    socket_make_stream(s);
    fd_stream_end_is_hangup(s->stream);
    if (s->server) {
        take_bound_name(s, fd);
        return socket_serve(s, fd, error);
    }
    socket_connected(s, fd);
    return true;
}

static bool tcp_open(Chardev *chr, const char *parameter, GError **error)
{
    SocketChardev *s = (SocketChardev *)chr;
    const char *options;
    g_autofree char *text = socket_split(parameter, &options);
    Address addr;
    int fd;

    socket_init(s, "a tcp socket");
    s->set_up = set_up;
    if (!socket_take_options(s, "tcp", text, options, error) ||
        !parse_address(text, &addr, error)) {
        return false;
    }
    fd = socket(addr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        error_set_errno(error, errno, "cannot make a socket");
        return false;
    }
    return open_address(s, fd, &addr, error);
}

static void tcp_close(Chardev *chr)
{
    socket_done((SocketChardev *)chr);
}

static char *tcp_describe(Chardev *chr)
{
    SocketChardev *s = (SocketChardev *)chr;

    return g_strdup_printf("tcp socket %s, %s", s->name, socket_state(s));
}

const ChardevClass chardev_tcp_class = {
    .kind = "tcp",
    .usage = "tcp:[HOST]:PORT[,server=on|off][,wait=on|off]",
    .size = sizeof(SocketChardev),
    .takes_parameter = true,
    .open = tcp_open,
    .close = tcp_close,
    .write = socket_write,
    .accept_input = socket_accept_input,
    .describe = tcp_describe,
};
