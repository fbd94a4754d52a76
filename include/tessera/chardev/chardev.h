/* SPDX-License-Identifier: MIT */
/* Chardev: a byte stream between a device (or monitor) and the outside. */
#ifndef TESSERA_CHARDEV_CHARDEV_H
#define TESSERA_CHARDEV_CHARDEV_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Back ends: stdio, file:PATH, unix:PATH[,server=on|off][,wait=on|off], tcp:[HOST]:PORT with the same
 * options (without HOST: this machine's 127.0.0.1), pty, null, none. One front
 * end (a serial port, a monitor) uses a Chardev at a time; on stdio a multiplexer (Ctrl-A) stands
 * between.
 * Input arrives on the main thread; output may be written from any thread. A reader that cannot keep
 * up is told so by back-pressure, never by lost bytes.
 */
typedef struct Chardev Chardev;

typedef enum ChardevEvent {
    CHARDEV_OPENED,
    CHARDEV_CLOSED,
    CHARDEV_BREAK,
    CHARDEV_FOCUS, /* a multiplexer has turned to this front end */
    CHARDEV_INPUT_END, /* the other end sends no more, but may still read */
} ChardevEvent;

/**
 * struct ChardevFrontend - the user's side; all callbacks on the main thread, without locks
 * @can_receive: how many bytes @receive takes now; 0 stops reading until chardev_accept_input()
 * @receive: @len is at most what @can_receive said
 * @event: optional
 * @writable: optional: output that chardev_write() refused may be tried again
 * @settled: optional, of a front end that answers what it receives: true when all of it is answered
 *      and chardev_write() has taken the answers. A client that sends no more (CHARDEV_INPUT_END, or
 *      has left) is kept until then, and then let go, so that it sees the end of the answers. Without
 *      it a client stays until it leaves altogether
 */
typedef struct ChardevFrontend {
    size_t (*can_receive)(void *opaque);
    void (*receive)(void *opaque, const uint8_t *buf, size_t len);
    void (*event)(void *opaque, ChardevEvent event);
    void (*writable)(void *opaque);
    bool (*settled)(void *opaque);
} ChardevFrontend;

/**
 * chardev_new() - opens a back end by its QEMU spelling
 * @label: names it in messages: "serial0"
 * @spec: "stdio", "file:PATH", "unix:PATH,server=on,wait=off", "pty", "null", "none"
 *
 * Errors name @label, the spec and what would work; an unknown kind names the nearest one.
 */
Chardev *chardev_new(const char *label, const char *spec, GMainContext *context, GError **error);
/** chardev_free() - restores what it changed (terminal mode, socket file). NULL allowed */
void chardev_free(Chardev *chr);

const char *chardev_label(const Chardev *chr);
/** chardev_description() - for people: "pty /dev/pts/3", "unix socket PATH, listening" */
char *chardev_description(Chardev *chr);

/** chardev_set_frontend() - NULL takes it away. Main thread */
void chardev_set_frontend(Chardev *chr, const ChardevFrontend *frontend, void *opaque);

/** chardev_has_focus() - input comes here; false only where a multiplexer gives it to another */
bool chardev_has_focus(Chardev *chr);

/** chardev_accept_input() - the front end takes bytes again. Any thread */
void chardev_accept_input(Chardev *chr);

/**
 * chardev_write() - writes what can be written without blocking; returns that many bytes (a closed
 * or absent other end swallows everything). Any thread; its own lock
 */
size_t chardev_write(Chardev *chr, const uint8_t *buf, size_t len);

/** chardev_write_all() - waits, for a bounded time, until everything is written; for messages */
void chardev_write_all(Chardev *chr, const uint8_t *buf, size_t len);

/**
 * terminal_restore() - puts the terminal back as it was found; async-signal-safe; idempotent. Called on
 * every way out
 */
void terminal_restore(void);

#endif
