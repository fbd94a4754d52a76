/* SPDX-License-Identifier: MIT */
/* ChardevMux: several front ends on one character device, and the Ctrl-A keys. */
#include "tessera/chardev/mux.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include "chardev-internal.h"

#define ESCAPE     0x01 /* Ctrl-A */
#define PORT_QUEUE 4096 /* input that waits for one front end, bytes; a terminal's own limit */
#define STAMP_MAX  32

typedef struct MuxPort {
    Chardev base;
    ChardevMux *mux;
    uint8_t queue[PORT_QUEUE];
    size_t head, used;
} MuxPort;

/*
 * @ports, @focus, @escaped and the queues belong to the main thread.
 * @kicked: a front end takes input again (any thread); the source looks at it
 * @lock: guards what follows it, the state of output with time stamps. Held while writing to the
 *      back end, whose lock comes after it.
 */
struct ChardevMux {
    Chardev *backend;
    void (*quit)(void *opaque);
    void *opaque;
    GPtrArray *ports;
    unsigned focus;
    bool escaped;
    GSource *source;
    _Atomic bool kicked;
    pthread_mutex_t lock;
    bool stamps;
    bool line_start;
    gint64 stamps_since;
    char stamp[STAMP_MAX]; /* a time stamp that has not gone out completely */
    size_t stamp_len, stamp_done;
};

typedef struct MuxSource {
    GSource source;
    ChardevMux *mux;
} MuxSource;

static MuxPort *focused(ChardevMux *mux)
{
    return mux->focus < mux->ports->len ? mux->ports->pdata[mux->focus] : NULL;
}

static void say(ChardevMux *mux, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void say(ChardevMux *mux, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    chardev_write_all(mux->backend, (const uint8_t *)text, strlen(text));
}

/* Output. */

static bool flush_stamp(ChardevMux *mux)
{
    mux->stamp_done += chardev_write(mux->backend, (uint8_t *)mux->stamp + mux->stamp_done,
                                     mux->stamp_len - mux->stamp_done);
    return mux->stamp_done == mux->stamp_len;
}

static void make_stamp(ChardevMux *mux)
{
    gint64 ms = (g_get_monotonic_time() - mux->stamps_since) / 1000;

    mux->stamp_len = g_snprintf(mux->stamp, sizeof(mux->stamp), "[%02d:%02d:%02d.%03d] ",
                                (int)(ms / 3600000 % 100), (int)(ms / 60000 % 60),
                                (int)(ms / 1000 % 60), (int)(ms % 1000));
    mux->stamp_done = 0;
}

/* Line by line, each after its stamp; stops where the back end does. */
static size_t write_stamped(ChardevMux *mux, const uint8_t *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        const uint8_t *end = memchr(buf + done, '\n', len - done);
        size_t line = end ? (size_t)(end - (buf + done)) + 1 : len - done;
        size_t n;

        if (mux->line_start) {
            make_stamp(mux);
            mux->line_start = false;
        }
        if (!flush_stamp(mux)) {
            break;
        }
        n = chardev_write(mux->backend, buf + done, line);
        done += n;
        if (n < line) {
            break;
        }
        mux->line_start = end != NULL;
    }
    return done;
}

static size_t port_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    ChardevMux *mux = ((MuxPort *)chr)->mux;
    size_t done;

    pthread_mutex_lock(&mux->lock);
    if (mux->stamps) {
        done = write_stamped(mux, buf, len);
    } else {
        done = flush_stamp(mux) ? chardev_write(mux->backend, buf, len) : 0;
    }
    pthread_mutex_unlock(&mux->lock);
    return done;
}

static void mux_writable(void *opaque)
{
    ChardevMux *mux = opaque;

    for (guint i = 0; i < mux->ports->len; i++) {
        chardev_writable(mux->ports->pdata[i]);
    }
}

/* Input. */

static void enqueue(MuxPort *port, uint8_t byte)
{
    port->queue[(port->head + port->used++) % PORT_QUEUE] = byte;
}

static void deliver(MuxPort *port)
{
    while (port->used) {
        size_t n = MIN(port->used, PORT_QUEUE - port->head);

        n = MIN(n, chardev_can_receive(&port->base));
        if (n == 0) {
            return;
        }
        chardev_receive(&port->base, port->queue + port->head, n);
        port->head = (port->head + n) % PORT_QUEUE;
        port->used -= n;
    }
}

static void port_accept_input(Chardev *chr)
{
    ChardevMux *mux = ((MuxPort *)chr)->mux;

    atomic_store(&mux->kicked, true);
    g_main_context_wakeup(mux->backend->context);
}

static gboolean mux_prepare(GSource *source, gint *timeout)
{
    *timeout = -1;
    return atomic_load(&((MuxSource *)source)->mux->kicked);
}

static gboolean mux_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    ChardevMux *mux = ((MuxSource *)source)->mux;

    atomic_store(&mux->kicked, false);
    for (guint i = 0; i < mux->ports->len; i++) {
        deliver(mux->ports->pdata[i]);
    }
    chardev_accept_input(mux->backend);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs mux_source_funcs = {
    .prepare = mux_prepare,
    .check = NULL,
    .dispatch = mux_dispatch,
};

/*
 * Ctrl-A c within one buffer may turn to any port: as much as the fullest one takes. When that one
 * is full but has not the focus, byte by byte.
 */
static size_t mux_can_receive(void *opaque)
{
    ChardevMux *mux = opaque;
    size_t room = PORT_QUEUE;

    for (guint i = 0; i < mux->ports->len; i++) {
        room = MIN(room, PORT_QUEUE - ((MuxPort *)mux->ports->pdata[i])->used);
    }
    if (room == 0 && focused(mux)) {
        room = focused(mux)->used < PORT_QUEUE ? 1 : 0;
    }
    return room;
}

static void show_help(ChardevMux *mux)
{
    say(mux, "\r\n"
             "Ctrl-A h  this list\r\n"
             "Ctrl-A x  quit\r\n"
             "Ctrl-A c  next of the front ends (serial port, monitor)\r\n"
             "Ctrl-A b  send a break\r\n"
             "Ctrl-A t  time stamps on and off\r\n"
             "Ctrl-A Ctrl-A  send one Ctrl-A\r\n");
}

static void next_focus(ChardevMux *mux)
{
    unsigned next;

    if (mux->ports->len < 2) {
        say(mux, "\r\nThere is no monitor here, only the serial port.\r\n");
        return;
    }
    next = (mux->focus + 1) % mux->ports->len;
    say(mux, "\r\n[%s]\r\n", ((MuxPort *)mux->ports->pdata[next])->base.label);
    chardev_mux_set_focus(mux, next);
}

static void toggle_stamps(ChardevMux *mux)
{
    pthread_mutex_lock(&mux->lock);
    mux->stamps = !mux->stamps;
    mux->stamps_since = g_get_monotonic_time();
    mux->line_start = false; /* the line that is on the screen goes on without */
    pthread_mutex_unlock(&mux->lock);
}

static void escape_key(ChardevMux *mux, uint8_t key)
{
    MuxPort *port = focused(mux);

    switch (key) {
    case 'h':
    case '?':
        show_help(mux);
        break;
    case 'x':
        mux->quit(mux->opaque);
        break;
    case 'c':
        next_focus(mux);
        break;
    case 'b':
        if (port) {
            chardev_event(&port->base, CHARDEV_BREAK);
        }
        break;
    case 't':
        toggle_stamps(mux);
        break;
    case ESCAPE:
    case 'a':
        if (port) {
            enqueue(port, ESCAPE);
        }
        break;
    default: /* a key that means nothing is not sent either: it was no text */
        break;
    }
}

static void mux_receive(void *opaque, const uint8_t *buf, size_t len)
{
    ChardevMux *mux = opaque;

    for (size_t i = 0; i < len; i++) {
        if (mux->escaped) {
            mux->escaped = false;
            escape_key(mux, buf[i]);
        } else if (buf[i] == ESCAPE) {
            mux->escaped = true;
        } else if (focused(mux) && focused(mux)->used < PORT_QUEUE) {
            enqueue(focused(mux), buf[i]);
        }
    }
    for (guint i = 0; i < mux->ports->len; i++) {
        deliver(mux->ports->pdata[i]);
    }
}

static void mux_event(void *opaque, ChardevEvent event)
{
    ChardevMux *mux = opaque;

    for (guint i = 0; i < mux->ports->len; i++) {
        Chardev *port = mux->ports->pdata[i];

        if (event == CHARDEV_OPENED || event == CHARDEV_CLOSED) {
            chardev_set_open(port, event == CHARDEV_OPENED);
        } else {
            chardev_event(port, event);
        }
    }
}

/* A guest owes no answer, a monitor does. */
static bool mux_settled(void *opaque)
{
    ChardevMux *mux = opaque;

    for (guint i = 0; i < mux->ports->len; i++) {
        MuxPort *port = mux->ports->pdata[i];

        if (!chardev_settled(&port->base) || (port->used && chardev_answers(&port->base))) {
            return false;
        }
    }
    return true;
}

static const ChardevFrontend mux_frontend = {
    .can_receive = mux_can_receive,
    .receive = mux_receive,
    .event = mux_event,
    .writable = mux_writable,
    .settled = mux_settled,
};

static bool port_has_focus(Chardev *chr)
{
    return focused(((MuxPort *)chr)->mux) == (MuxPort *)chr;
}

static char *port_describe(Chardev *chr)
{
    ChardevMux *mux = ((MuxPort *)chr)->mux;
    g_autofree char *backend = chardev_description(mux->backend);

    return g_strdup_printf("%s, Ctrl-A h for help", backend);
}

static const ChardevClass mux_port_class = {
    .kind = "mux-port",
    .size = sizeof(MuxPort),
    .write = port_write,
    .accept_input = port_accept_input,
    .has_focus = port_has_focus,
    .describe = port_describe,
};

ChardevMux *chardev_mux_new(Chardev *backend, void (*quit)(void *opaque), void *opaque)
{
    ChardevMux *mux = g_new0(ChardevMux, 1);

    mux->backend = backend;
    mux->quit = quit;
    mux->opaque = opaque;
    mux->ports = g_ptr_array_new_with_free_func((GDestroyNotify)chardev_free);
    pthread_mutex_init(&mux->lock, NULL);
    mux->source = g_source_new(&mux_source_funcs, sizeof(MuxSource));
    ((MuxSource *)mux->source)->mux = mux;
    g_source_set_name(mux->source, "chardev mux");
    g_source_attach(mux->source, backend->context);
    chardev_set_frontend(backend, &mux_frontend, mux);
    return mux;
}

void chardev_mux_free(ChardevMux *mux)
{
    if (!mux) {
        return;
    }
    g_source_destroy(mux->source);
    g_source_unref(mux->source);
    chardev_set_frontend(mux->backend, NULL, NULL);
    g_ptr_array_free(mux->ports, TRUE);
    chardev_free(mux->backend);
    pthread_mutex_destroy(&mux->lock);
    g_free(mux);
}

Chardev *chardev_mux_add_port(ChardevMux *mux, const char *label)
{
    Chardev *chr = chardev_alloc(&mux_port_class, label, mux->backend->context);

    ((MuxPort *)chr)->mux = mux;
    chr->open = mux->backend->open;
    g_ptr_array_add(mux->ports, chr);
    return chr;
}

void chardev_mux_set_focus(ChardevMux *mux, unsigned port)
{
    g_assert(port < mux->ports->len);
    mux->focus = port;
    chardev_event(mux->ports->pdata[port], CHARDEV_FOCUS);
}
