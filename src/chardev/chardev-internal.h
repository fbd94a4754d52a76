/* SPDX-License-Identifier: MIT */
/* What the back ends share: their base, their class table, and a stream over file descriptors. */
#ifndef TESSERA_CHARDEV_CHARDEV_INTERNAL_H
#define TESSERA_CHARDEV_CHARDEV_INTERNAL_H

#include "tessera/chardev/chardev.h"

typedef struct ChardevClass ChardevClass;

/*
 * Back ends embed this as their first member. @frontend, @opaque and @open belong to the main
 * thread.
 */
struct Chardev {
    const ChardevClass *cls;
    char *label;
    GMainContext *context; /* a reference */
    const ChardevFrontend *frontend;
    void *opaque;
    bool open; /* the other end is there */
};

/**
 * struct ChardevClass - one const table for each kind of back end
 * @kind: the word before the colon; @usage: the spelling, for messages
 * @takes_parameter: does ":SOMETHING" follow @kind? It must then, and must not otherwise
 * @open: sets the back end up; after a failure @close is called too
 * @close: undoes it; also on a half-open one
 * @write: as chardev_write(); any thread
 * @accept_input: optional; any thread
 * @has_focus: optional: without it, always; main thread
 * @describe: a new string; main thread
 */
struct ChardevClass {
    const char *kind;
    const char *usage;
    size_t size;
    bool takes_parameter;
    bool (*open)(Chardev *chr, const char *parameter, GError **error);
    void (*close)(Chardev *chr);
    size_t (*write)(Chardev *chr, const uint8_t *buf, size_t len);
    void (*accept_input)(Chardev *chr);
    bool (*has_focus)(Chardev *chr);
    char *(*describe)(Chardev *chr);
};

extern const ChardevClass chardev_stdio_class;
extern const ChardevClass chardev_file_class;
extern const ChardevClass chardev_unix_class;
extern const ChardevClass chardev_tcp_class;
extern const ChardevClass chardev_pty_class;
extern const ChardevClass chardev_null_class;
extern const ChardevClass chardev_none_class;

/** chardev_alloc() - a back end of class @cls that has not been opened; for multiplexer ports too */
Chardev *chardev_alloc(const ChardevClass *cls, const char *label, GMainContext *context);

/** chardev_set_open() - the other end came or went: tells the front end. Main thread */
void chardev_set_open(Chardev *chr, bool open);

/* What the front end says or is told; all do the right thing without a front end. Main thread. */
size_t chardev_can_receive(Chardev *chr);
void chardev_receive(Chardev *chr, const uint8_t *buf, size_t len);
void chardev_event(Chardev *chr, ChardevEvent event);
void chardev_writable(Chardev *chr);
/** chardev_answers() - is the front end one that answers: has it ChardevFrontend.settled? */
bool chardev_answers(Chardev *chr);
/** chardev_settled() - false: it owes the other end something; true for one that does not answer */
bool chardev_settled(Chardev *chr);

/*
 * FdStream: input and output of a Chardev over one or two descriptors that never block.
 *
 * Input is read on the main thread, only as much as the front end takes. Output is written on the
 * caller's thread; what the kernel does not take is refused, and the front end hears `writable` when
 * there is room again. Nothing is allocated and no other lock taken on that path.
 */
typedef struct FdStream FdStream;

/**
 * fd_stream_new() - a stream without descriptors: swallows output
 * @on_hangup: the other end closed, or, with a front end that answers, sends no more and has got its
 *      answers; the stream has stopped reading already. Main thread. Without it the descriptors stay
 *
 * An other end that leaves while the front end takes no input is noticed at once. What it had sent is
 * kept, and the front end gets it before what the next one sends.
 */
FdStream *fd_stream_new(Chardev *chr, void (*on_hangup)(Chardev *chr));
/**
 * fd_stream_end_is_hangup() - an other end that sends no more counts as gone: TCP tells the end of a
 * connection no other way. A front end that answers still gets its answers out
 */
void fd_stream_end_is_hangup(FdStream *stream);
/** fd_stream_free() - closes nothing. NULL allowed */
void fd_stream_free(FdStream *stream);
/**
 * fd_stream_set() - reads from @in_fd and writes to @out_fd from now on; -1 for none. Main thread
 *
 * They stay the caller's. After it returns no thread uses the previous ones any more.
 */
void fd_stream_set(FdStream *stream, int in_fd, int out_fd);
size_t fd_stream_write(FdStream *stream, const uint8_t *buf, size_t len);
void fd_stream_accept_input(FdStream *stream);

/** fd_ignore_sigpipe() - a reader that went away is an EPIPE, not the end of the program */
void fd_ignore_sigpipe(void);

#endif
