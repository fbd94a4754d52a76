/* SPDX-License-Identifier: MIT */
/* What the chardevs on stream sockets share: a listener, one client at a time, their options. */
#ifndef TESSERA_CHARDEV_SOCKET_INTERNAL_H
#define TESSERA_CHARDEV_SOCKET_INTERNAL_H

#include "chardev-internal.h"

typedef struct SocketChardev SocketChardev;

/**
 * struct SocketChardev - the first member of a kind's own state
 * @what: "a unix socket", for messages; @name: the path or the address, for messages; owned
 * @set_up: optional: makes a new connection as it should be
 * @accept_source: while nobody is connected: the listener, or the pause after a failure
 * @accept_failed: and was told
 */
struct SocketChardev {
    Chardev base;
    const char *what;
    char *name;
    void (*set_up)(SocketChardev *s, int fd);
    bool server;
    bool wait;
    int listen_fd;
    int fd;
    FdStream *stream;
    GSource *accept_source;
    bool accept_failed;
};

/** socket_init() - no socket yet; before anything else */
void socket_init(SocketChardev *s, const char *what);

/** socket_split() - the address of "ADDRESS[,option...]"; a comma in it is written twice. g_free() */
char *socket_split(const char *parameter, const char **ret_options);

/**
 * socket_take_options() - ",server=on|off", ",wait=on|off", ",nowait"
 * @name: what the socket is called, for messages
 */
bool socket_take_options(SocketChardev *s, const char *kind, const char *name, const char *options,
                         GError **error);

/** socket_make_stream() - before socket_serve() and socket_connected() */
void socket_make_stream(SocketChardev *s);

/**
 * socket_serve() - listens on the bound socket @fd, which is the chardev's from now on in any case,
 * and with wait=on waits for the first client
 */
bool socket_serve(SocketChardev *s, int fd, GError **error);
/** socket_connected() - @fd is the connection from now on */
void socket_connected(SocketChardev *s, int fd);

/** socket_done() - closes everything; what is in @base stays */
void socket_done(SocketChardev *s);

/* For a kind's class table. */
size_t socket_write(Chardev *chr, const uint8_t *buf, size_t len);
void socket_accept_input(Chardev *chr);
/** socket_state() - "connected", "listening" or "closed by the other end" */
const char *socket_state(const SocketChardev *s);

#endif
