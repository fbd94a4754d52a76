/* SPDX-License-Identifier: MIT */
/* The writer: a thread that empties the rings into a file. */
#include "trace-internal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "tessera/util/error.h"

#define THREAD_NAME "trace"

/* How long the writer sleeps when it has found events, and when it has not; ns. */
#define SLEEP_BUSY_NS (1u * 1000000)
#define SLEEP_IDLE_NS (10u * 1000000)

#define BUFFER_BYTES (64u << 10) /* of lines, before they are written */

/* A second: how long a reader that takes nothing is waited for when the program ends. */
#define END_WAITS_MAX (1000u / TRACE_OUTPUT_WAIT_MS)

/* The process's, as the log's file. */
static struct {
    pthread_mutex_t lock; /* guards the requests, up to @flushed */
    pthread_cond_t changed;
    bool started;
    bool active; /* events are on */
    bool ends;
    uint64_t flush_wanted;
    uint64_t flushed;
    bool failed; /* the file cannot be written; what comes is thrown away */

    pthread_t thread;
    /* The main thread's while there is no writer, then the writer's. */
    int fd;
    bool json;
    char *path;     /* NULL: standard error */
    uint64_t start; /* ns that are 0 in the file */
    off_t written;  /* bytes of the file */
    int pid;
    GString *buffer;
    GString *title; /* of the event at hand */
    GPtrArray *rings;
} writer = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .changed = PTHREAD_COND_INITIALIZER,
    .fd = STDERR_FILENO,
};

static const char *file_name(void)
{
    return writer.path ? writer.path : "standard error";
}

/* Bytes of the first @len of @text that are whole lines; in JSON without the comma behind them. */
static size_t whole_lines(const char *text, size_t len)
{
    const char *end = memrchr(text, '\n', len);

    if (!end) {
        return 0;
    }
    return (size_t)(end - text) + (writer.json ? 0 : 1) - (writer.json && end > text ? 1 : 0);
}

/*
 * There is room for @len bytes of the buffer only. The file ends behind its last whole line, and as
 * it should if what was cut off has left room for that. A pipe or a terminal has what it has.
 */
static void mend_file(size_t len)
{
    static const char end[] = "\n]\n";
    off_t size = writer.written + (off_t)whole_lines(writer.buffer->str, len);

    if (trace_output_is_file(writer.fd) && ftruncate(writer.fd, size) == 0 && writer.json &&
        size > 0 &&
        pwrite(writer.fd, end, strlen(end), size) != (ssize_t)strlen(end)) {
        return; /* readers of the format do without its end */
    }
}

/* The machine goes on without a trace. @len: bytes of the buffer that were written */
static void fail(const char *why, const char *then, size_t len)
{
    mend_file(len);
    trace_all_off();
    pthread_mutex_lock(&writer.lock);
    writer.failed = true;
    writer.active = false;
    pthread_mutex_unlock(&writer.lock);
    if (writer.path) { /* what standard error does not take, it would not take now */
        fprintf(stderr, "tessera: trace: cannot write to '%s': %s; %s\n", writer.path, why, then);
    }
}

static bool program_ends(void)
{
    bool ends;

    pthread_mutex_lock(&writer.lock);
    ends = writer.ends;
    pthread_mutex_unlock(&writer.lock);
    return ends;
}

/*
 * Whole lines, so that the file is one at any time, whatever happens to this process. A reader that
 * stands still is waited for, but not at the program's end: who wants that to end wants it more.
 */
static void write_buffer(void)
{
    size_t len = writer.buffer->len, done = 0;
    unsigned waits = 0;

    while (done < len && !writer.failed) {
        ssize_t n = trace_output_write(writer.fd, writer.buffer->str + done, len - done);

        if (n > 0) {
            done += (size_t)n;
            waits = 0;
        } else if (n < 0) {
            fail(g_strerror(errno), "tracing has ended, the machine runs on", done);
        } else if (program_ends() && ++waits == END_WAITS_MAX) {
            fail("nobody has read from it for a second", "the end of the trace is missing", done);
        }
    }
    writer.written += (off_t)done;
    g_string_truncate(writer.buffer, 0);
}

/* Spans. A file has as many ends as beginnings on each thread, whatever was switched on when. */

static void close_spans(TraceRing *ring, unsigned down_to, uint64_t ns)
{
    while (ring->depth > down_to) {
        ring->depth--;
        trace_json_close_span(writer.buffer, writer.pid, ring->tid, &ring->spans[ring->depth], ns,
                              writer.start);
    }
}

/* The title of the span that @record begins; NULL: there are too many in each other. */
static const char *begin_span(TraceRing *ring, const TraceRecord *record, const char *title)
{
    TraceSpan *span = &ring->spans[ring->depth];

    if (ring->depth == TRACE_SPANS_MAX) {
        return NULL;
    }
    ring->depth++;
    span->event = record->event;
    g_strlcpy(span->title, title, sizeof(span->title));
    return span->title;
}

/* The title of the span that @record ends; NULL: its beginning is not in the file. */
static const char *end_span(TraceRing *ring, const TraceRecord *record)
{
    unsigned depth = ring->depth;

    while (depth > 0 && ring->spans[depth - 1].event != trace_table[record->event].opened) {
        depth--;
    }
    if (depth == 0) {
        return NULL;
    }
    close_spans(ring, depth, record->ns);
    ring->depth--;
    return ring->spans[ring->depth].title;
}

static void write_json_record(TraceRing *ring, const TraceRecord *record)
{
    TraceShape shape = trace_table[record->event].shape;
    const char *title;

    if (!ring->introduced) {
        ring->introduced = true;
        trace_json_thread(writer.buffer, writer.pid, ring);
    }
    if (record->event == TRACE_trace_lost) {
        close_spans(ring, 0, record->ns); /* what has ended, and when, is among what is lost */
    }
    g_string_truncate(writer.title, 0);
    if (shape == TRACE_SHAPE_END) {
        title = end_span(ring, record);
    } else {
        trace_json_title(writer.title, record);
        title = shape == TRACE_SHAPE_BEGIN ? begin_span(ring, record, writer.title->str)
                                           : writer.title->str;
    }
    if (title) {
        trace_json_record(writer.buffer, writer.pid, ring->tid, record, title, writer.start);
    }
}

static void write_record(TraceRing *ring, const TraceRecord *record)
{
    if (writer.json) {
        write_json_record(ring, record);
    } else {
        trace_format_text(writer.buffer, record, ring->name, writer.start);
    }
    if (writer.buffer->len >= BUFFER_BYTES) {
        write_buffer();
    }
}

/* Emptying the rings. */

/*
 * The ring with the oldest record; *@ret_until: the time of the second oldest, up to which it stays
 * the one.
 */
static TraceRing *oldest(uint64_t *ret_until)
{
    TraceRing *best = NULL;
    uint64_t best_ns = UINT64_MAX;

    *ret_until = UINT64_MAX;
    for (guint i = 0; i < writer.rings->len; i++) {
        TraceRing *ring = writer.rings->pdata[i];
        const TraceRecord *record = trace_ring_peek(ring);

        if (record && record->ns < best_ns) {
            *ret_until = best_ns;
            best_ns = record->ns;
            best = ring;
        } else if (record && record->ns < *ret_until) {
            *ret_until = record->ns;
        }
    }
    return best;
}

/*
 * Writes what was recorded up to @until, by time. What a thread has stamped but not yet published
 * comes with the next pass: then it is a few microseconds late among the others' in a text.
 * Returns: there was something.
 */
static bool write_events(uint64_t until)
{
    bool any = false;
    uint64_t second;
    TraceRing *ring;

    trace_rings_snapshot(writer.rings);
    for (guint i = 0; i < writer.rings->len; i++) {
        ring = writer.rings->pdata[i];
        ring->limit = atomic_load_explicit(&ring->head, memory_order_acquire);
    }
    while ((ring = oldest(&second))) {
        const TraceRecord *record = trace_ring_peek(ring);

        if (record->ns > until) {
            break;
        }
        for (; record && record->ns <= MIN(second, until); record = trace_ring_peek(ring)) {
            write_record(ring, record);
            trace_ring_take(ring, record);
            any = true;
        }
    }
    for (guint i = writer.rings->len; i > 0; i--) {
        ring = writer.rings->pdata[i - 1];
        if (trace_ring_is_done(ring)) {
            close_spans(ring, 0, trace_now());
            trace_ring_free(ring);
            g_ptr_array_remove_index(writer.rings, i - 1);
        }
    }
    write_buffer();
    return any;
}

static void begin_file(void)
{
    if (writer.json) {
        trace_json_begin(writer.buffer, writer.pid, "tessera");
        write_buffer();
    }
}

static void end_file(void)
{
    if (writer.json) {
        for (guint i = 0; i < writer.rings->len; i++) {
            close_spans(writer.rings->pdata[i], 0, trace_now());
        }
        trace_json_end(writer.buffer);
    }
    write_buffer();
}

/* Under the lock, which is free meanwhile. Until there may be something to do. */
static void sleep_a_little(bool busy)
{
    struct timespec end;

    if (!writer.active) {
        pthread_cond_wait(&writer.changed, &writer.lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += busy ? SLEEP_BUSY_NS : SLEEP_IDLE_NS;
    end.tv_sec += end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    pthread_cond_clockwait(&writer.changed, &writer.lock, CLOCK_MONOTONIC, &end);
}

static void *writer_thread(void *opaque)
{
    bool busy = true;

    pthread_setname_np(pthread_self(), THREAD_NAME);
    begin_file();
    pthread_mutex_lock(&writer.lock);
    for (;;) {
        uint64_t wanted = writer.flush_wanted;
        bool ends = writer.ends;
        bool all = ends || wanted > writer.flushed;

        pthread_mutex_unlock(&writer.lock);
        busy = write_events(all ? UINT64_MAX : trace_now());
        pthread_mutex_lock(&writer.lock);
        writer.flushed = wanted;
        pthread_cond_broadcast(&writer.changed);
        if (ends) {
            break;
        }
        if (!writer.ends && writer.flush_wanted == writer.flushed) {
            sleep_a_little(busy);
        }
    }
    pthread_mutex_unlock(&writer.lock);
    end_file();
    return NULL;
}

/* From outside. */

static void make_buffers(void)
{
    writer.pid = getpid();
    writer.buffer = g_string_sized_new(BUFFER_BYTES);
    writer.title = g_string_new(NULL);
    writer.rings = g_ptr_array_new();
}

static void free_buffers(void)
{
    g_string_free(g_steal_pointer(&writer.buffer), TRUE);
    g_string_free(g_steal_pointer(&writer.title), TRUE);
    g_clear_pointer(&writer.rings, g_ptr_array_unref);
}

bool trace_writer_set_file(const char *path, GError **error)
{
    int fd = trace_output_open(path, error);

    g_assert(!writer.started);
    if (fd < 0) {
        return false;
    }
    if (writer.path) {
        close(writer.fd);
        g_free(writer.path);
    }
    writer.fd = fd;
    writer.path = g_strdup(path);
    writer.json = g_str_has_suffix(path, ".json");
    return true;
}

/* The new thread inherits the mask: no signal of the process can reach it. */
static int start_thread(void)
{
    sigset_t all, before;
    int ret;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ret = pthread_create(&writer.thread, NULL, writer_thread, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ret;
}

bool trace_writer_start(GError **error)
{
    bool failed;
    int ret;

    pthread_mutex_lock(&writer.lock);
    failed = writer.failed;
    pthread_mutex_unlock(&writer.lock);
    if (failed) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "tracing has ended, because '%s' could not be written; start the program anew "
                    "with another file", file_name());
        return false;
    }
    if (writer.started) {
        return true;
    }
    writer.start = trace_now();
    make_buffers();
    trace_rings_forget_lost();
    trace_rings_set_writer(true);
    ret = start_thread();
    if (ret != 0) {
        trace_rings_set_writer(false);
        free_buffers();
        error_set_errno(error, ret, "cannot start the thread that writes the trace");
        return false;
    }
    writer.started = true;
    return true;
}

bool trace_writer_set_active(bool active)
{
    bool failed;

    pthread_mutex_lock(&writer.lock);
    failed = writer.failed;
    writer.active = active && !failed;
    pthread_cond_broadcast(&writer.changed);
    pthread_mutex_unlock(&writer.lock);
    return !failed;
}

void trace_writer_flush(void)
{
    uint64_t wanted;

    if (!writer.started) {
        return;
    }
    pthread_mutex_lock(&writer.lock);
    wanted = ++writer.flush_wanted;
    pthread_cond_broadcast(&writer.changed);
    while (writer.flushed < wanted) {
        pthread_cond_wait(&writer.changed, &writer.lock);
    }
    pthread_mutex_unlock(&writer.lock);
}

static void tell_end(void)
{
    pthread_mutex_lock(&writer.lock);
    writer.ends = true;
    pthread_cond_broadcast(&writer.changed);
    pthread_mutex_unlock(&writer.lock);
}

/* A file that no event was switched on for is a whole one all the same. */
static void end_unused_file(void)
{
    make_buffers();
    if (writer.path) {
        begin_file();
        end_file();
    }
}

uint64_t trace_writer_stop(void)
{
    uint64_t lost = 0;

    tell_end();
    if (writer.started) {
        pthread_join(writer.thread, NULL);
        lost = writer.failed && !writer.path ? 0 : trace_rings_lost(); /* nobody would read it */
    } else {
        end_unused_file();
    }
    for (guint i = 0; i < writer.rings->len; i++) {
        TraceRing *ring = writer.rings->pdata[i];

        ring->introduced = false; /* in the next file */
        ring->depth = 0;
    }
    trace_rings_set_writer(false);
    if (writer.path) {
        close(writer.fd);
    }
    free_buffers();
    g_free(writer.path);
    writer.started = writer.active = writer.ends = writer.failed = false;
    writer.json = false;
    writer.fd = STDERR_FILENO;
    writer.path = NULL;
    writer.written = 0;
    return lost;
}
