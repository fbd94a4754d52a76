/* SPDX-License-Identifier: MIT */
/* FdStream: a Chardev's input and output over file descriptors. */
#include "chardev-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* How much is read at once. */
#define READ_MAX 4096

/* What clients that left may leave unread, bytes: more of them than this wait, as they did before. */
#define LEFT_MAX (1u << 20)

/*
 * Without O_NONBLOCK (a description shared with other programs) a pipe that polls as writable takes
 * this much, and a terminal at least one byte.
 */
#define PIPE_ATOMIC 4096

/* How a descriptor is written to without blocking. */
typedef enum OutKind {
    OUT_NONBLOCK, /* O_NONBLOCK is set, or it is a regular file */
    OUT_SOCKET,   /* MSG_DONTWAIT */
    OUT_PIPE,     /* poll, then at most PIPE_ATOMIC */
    OUT_OTHER,    /* poll, then byte by byte */
} OutKind;

/* How far the input from one other end is. */
typedef enum InState {
    IN_READING,
    IN_ENDED, /* no more will come; the other end may still read */
    IN_GONE,  /* it does not read either */
} InState;

/*
 * @lock: guards @out_fd, @out_kind and the write itself; in_fd and the tags are the main thread's
 * @in_events: what @in_tag is watched for
 * @left: read from an other end that has left, not yet taken by the front end: comes before what the
 *      next one sends
 * @blocked: output was refused: the source waits for room
 */
struct FdStream {
    Chardev *chr;
    void (*on_hangup)(Chardev *chr);
    GSource *source;
    int in_fd;
    InState in_state;
    bool end_is_hangup;
    gpointer in_tag;
    GIOCondition in_events;
    GByteArray *left;
    int out_tag_fd;
    gpointer out_tag;
    pthread_mutex_t lock;
    int out_fd;
    OutKind out_kind;
    _Atomic bool blocked;
};

typedef struct StreamSource {
    GSource source;
    FdStream *stream;
} StreamSource;

static OutKind out_kind_of(int fd)
{
    struct stat st;
    int type;
    socklen_t len = sizeof(type);
    int flags = fcntl(fd, F_GETFL);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0) {
        return OUT_SOCKET;
    }
    if ((flags >= 0 && (flags & O_NONBLOCK)) || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))) {
        return OUT_NONBLOCK;
    }
    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) ? OUT_PIPE : OUT_OTHER;
}

static bool polls_writable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };

    return poll(&p, 1, 0) == 1 && (p.revents & (POLLOUT | POLLERR | POLLHUP));
}

static ssize_t write_some(int fd, OutKind kind, const uint8_t *buf, size_t len)
{
    switch (kind) {
    case OUT_SOCKET:
        return send(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    case OUT_PIPE:
    case OUT_OTHER:
        if (!polls_writable(fd)) {
            errno = EAGAIN;
            return -1;
        }
        return write(fd, buf, kind == OUT_PIPE ? MIN(len, PIPE_ATOMIC) : 1);
    case OUT_NONBLOCK:
        break;
    }
    return write(fd, buf, len);
}

size_t fd_stream_write(FdStream *stream, const uint8_t *buf, size_t len)
{
    size_t done = 0;
    bool wait = false;

    pthread_mutex_lock(&stream->lock);
    while (done < len && stream->out_fd >= 0 && !wait) {
        ssize_t n = write_some(stream->out_fd, stream->out_kind, buf + done, len - done);

        if (n > 0) {
            done += n;
        } else if (n < 0 && errno == EAGAIN) {
            wait = true;
        } else if (n == 0 || errno != EINTR) {
            break; /* the other end is gone or the disk is full: nobody waits for it */
        }
    }
    if (wait) {
        atomic_store(&stream->blocked, true);
    }
    pthread_mutex_unlock(&stream->lock);
    if (!wait) {
        return len;
    }
    g_main_context_wakeup(stream->chr->context); /* its prepare() looks at @blocked */
    return done;
}

void fd_stream_accept_input(FdStream *stream)
{
    g_main_context_wakeup(stream->chr->context);
}

/* @events 0: taken out, not masked, as poll() reports a hang-up that nobody acts on for ever. */
static void watch_input(FdStream *stream, GIOCondition events)
{
    if (stream->in_tag && events != stream->in_events) {
        g_source_remove_unix_fd(stream->source, stream->in_tag);
        stream->in_tag = NULL;
    }
    if (events && !stream->in_tag) {
        stream->in_tag = g_source_add_unix_fd(stream->source, stream->in_fd, events);
    }
    stream->in_events = events;
}

/*
 * While the front end takes nothing, the other end may leave: the next one need not wait for a guest
 * that does not read. Except where answers are owed to the one that asked.
 */
static GIOCondition wanted_events(FdStream *stream)
{
    if (stream->in_fd < 0 || stream->in_state == IN_GONE) {
        return 0;
    }
    if (stream->in_state == IN_ENDED) {
        return chardev_answers(stream->chr) ? 0 : G_IO_HUP;
    }
    if (!stream->left->len && chardev_can_receive(stream->chr) > 0) {
        return G_IO_IN;
    }
    return stream->on_hangup && stream->left->len < LEFT_MAX && chardev_settled(stream->chr)
               ? G_IO_HUP
               : 0;
}

static void watch_output(FdStream *stream, bool on)
{
    if (on && !stream->out_tag) {
        stream->out_tag = g_source_add_unix_fd(stream->source, stream->out_tag_fd, G_IO_OUT);
    } else if (!on && stream->out_tag) {
        g_source_remove_unix_fd(stream->source, stream->out_tag);
        stream->out_tag = NULL;
    }
}

/* Nothing more will come and nothing is owed. */
static bool may_hang_up(FdStream *stream)
{
    return stream->in_fd >= 0 && chardev_settled(stream->chr) &&
           (stream->in_state == IN_GONE ||
            (stream->in_state == IN_ENDED && chardev_answers(stream->chr)));
}

static gboolean stream_prepare(GSource *source, gint *timeout)
{
    FdStream *stream = ((StreamSource *)source)->stream;

    *timeout = -1;
    watch_input(stream, wanted_events(stream));
    watch_output(stream, stream->out_tag_fd >= 0 && atomic_load(&stream->blocked));
    return may_hang_up(stream) ||
           (stream->left->len && chardev_can_receive(stream->chr) > 0);
}

static gboolean stream_check(GSource *source)
{
    FdStream *stream = ((StreamSource *)source)->stream;

    return (stream->in_tag && g_source_query_unix_fd(source, stream->in_tag)) ||
           (stream->out_tag && g_source_query_unix_fd(source, stream->out_tag));
}

static void end_input(FdStream *stream, InState state)
{
    if (!stream->on_hangup) {
        watch_input(stream, 0);
        stream->in_fd = -1;
        return;
    }
    if (stream->in_state == IN_READING) {
        chardev_event(stream->chr, CHARDEV_INPUT_END);
    }
    stream->in_state = state;
}

static void stream_read(FdStream *stream)
{
    uint8_t buf[READ_MAX];
    size_t room = MIN(chardev_can_receive(stream->chr), sizeof(buf));
    ssize_t n;

    if (room == 0) {
        return;
    }
    n = read(stream->in_fd, buf, room);
    if (n > 0) {
        chardev_receive(stream->chr, buf, n);
    } else if (n == 0) {
        bool gone = stream->end_is_hangup && !chardev_answers(stream->chr);

        end_input(stream, gone ? IN_GONE : IN_ENDED);
    } else if (errno != EAGAIN && errno != EINTR) {
        end_input(stream, IN_GONE);
    }
}

/* The other end has left, so that read() does not block: all that it sent before is kept. */
static void keep_rest(FdStream *stream)
{
    uint8_t buf[READ_MAX];
    ssize_t n;

    while ((n = read(stream->in_fd, buf, sizeof(buf))) > 0 || (n < 0 && errno == EINTR)) {
        if (n > 0) {
            g_byte_array_append(stream->left, buf, (guint)n);
        }
    }
    end_input(stream, IN_GONE);
}

static void deliver_left(FdStream *stream)
{
    size_t room;

    while (stream->left->len && (room = chardev_can_receive(stream->chr)) > 0) {
        size_t n = MIN(room, MIN(stream->left->len, READ_MAX));
        uint8_t buf[READ_MAX];

        memcpy(buf, stream->left->data, n);
        g_byte_array_remove_range(stream->left, 0, (guint)n);
        chardev_receive(stream->chr, buf, n);
    }
}

static void dispatch_input(FdStream *stream)
{
    GIOCondition in = stream->in_tag ? g_source_query_unix_fd(stream->source, stream->in_tag) : 0;

    deliver_left(stream);
    if (in && stream->in_events == G_IO_IN) {
        stream_read(stream);
    } else if (in & (G_IO_HUP | G_IO_ERR)) {
        keep_rest(stream);
    }
    if (may_hang_up(stream)) {
        watch_input(stream, 0);
        stream->in_fd = -1;
        stream->on_hangup(stream->chr);
    }
}

/* The other end left: output is swallowed; what it sent before is still there to be read. */
static void drop_output(FdStream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->out_fd = -1;
    pthread_mutex_unlock(&stream->lock);
    stream->out_tag_fd = -1;
}

static gboolean stream_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    FdStream *stream = ((StreamSource *)source)->stream;
    GIOCondition out = stream->out_tag ? g_source_query_unix_fd(source, stream->out_tag) : 0;

    if (out) {
        watch_output(stream, false);
        if (out & (G_IO_HUP | G_IO_ERR)) {
            drop_output(stream);
        }
        atomic_store(&stream->blocked, false);
        chardev_writable(stream->chr);
    }
    dispatch_input(stream);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs stream_funcs = {
    .prepare = stream_prepare,
    .check = stream_check,
    .dispatch = stream_dispatch,
};

FdStream *fd_stream_new(Chardev *chr, void (*on_hangup)(Chardev *chr))
{
    FdStream *stream = g_new0(FdStream, 1);

    stream->chr = chr;
    stream->on_hangup = on_hangup;
    stream->in_fd = stream->out_fd = stream->out_tag_fd = -1;
    stream->left = g_byte_array_new();
    pthread_mutex_init(&stream->lock, NULL);
    stream->source = g_source_new(&stream_funcs, sizeof(StreamSource));
    ((StreamSource *)stream->source)->stream = stream;
    g_source_set_name(stream->source, chr->label);
    /* Otherwise GLib takes its descriptors out of poll() and back for each dispatch, and wakes itself
       up for it twice. No handler runs a main loop of its own. */
    g_source_set_can_recurse(stream->source, TRUE);
    g_source_attach(stream->source, chr->context);
    return stream;
}

void fd_stream_end_is_hangup(FdStream *stream)
{
    stream->end_is_hangup = true;
}

void fd_stream_free(FdStream *stream)
{
    if (!stream) {
        return;
    }
    g_source_destroy(stream->source);
    g_source_unref(stream->source);
    pthread_mutex_destroy(&stream->lock);
    g_byte_array_unref(stream->left);
    g_free(stream);
}

void fd_stream_set(FdStream *stream, int in_fd, int out_fd)
{
    watch_input(stream, 0);
    watch_output(stream, false);
    stream->in_fd = in_fd;
    stream->in_state = IN_READING;
    stream->out_tag_fd = out_fd;
    pthread_mutex_lock(&stream->lock);
    stream->out_fd = out_fd;
    stream->out_kind = out_fd >= 0 ? out_kind_of(out_fd) : OUT_NONBLOCK;
    atomic_store(&stream->blocked, false);
    pthread_mutex_unlock(&stream->lock);
    g_main_context_wakeup(stream->chr->context);
}

void fd_ignore_sigpipe(void)
{
    struct sigaction sa;

    if (sigaction(SIGPIPE, NULL, &sa) == 0 && sa.sa_handler == SIG_DFL) {
        sa.sa_handler = SIG_IGN;
        sigaction(SIGPIPE, &sa, NULL);
    }
}
