/* SPDX-License-Identifier: MIT */
/* Rings: how events get from the threads that record them to the writer, without waiting. */
#include "trace-internal.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RING_MAP_BYTES (sizeof(TraceRing) + TRACE_RING_BYTES)

/* The process's. A leaf; nothing is written to a file under it. */
static pthread_mutex_t rings_lock = PTHREAD_MUTEX_INITIALIZER;
static GPtrArray *rings;         /* TraceRing *, in the order they were made */
static bool has_writer;          /* who frees a ring whose thread has ended */
static uint64_t lost_with_rings; /* events lost in rings that are gone, and for want of a ring */
static uint64_t lost_forgotten;  /* as of trace_rings_forget_lost() */

static _Thread_local TraceRing *own_ring;
static pthread_key_t own_ring_key; /* tells when a thread ends */
static pthread_once_t own_ring_once = PTHREAD_ONCE_INIT;

/* Under the lock. */
static void free_ring(TraceRing *ring)
{
    lost_with_rings += atomic_load(&ring->lost);
    g_ptr_array_remove(rings, ring);
    if (rings->len == 0) {
        g_clear_pointer(&rings, g_ptr_array_unref);
    }
    munmap(ring, RING_MAP_BYTES);
}

static void on_thread_end(void *opaque)
{
    TraceRing *ring = opaque;

    own_ring = NULL;
    pthread_mutex_lock(&rings_lock);
    if (has_writer) {
        ring->ended = true;
    } else {
        free_ring(ring);
    }
    pthread_mutex_unlock(&rings_lock);
}

static void make_key(void)
{
    pthread_key_create(&own_ring_key, on_thread_end);
}

static void fill_in_thread(TraceRing *ring)
{
    ring->tid = gettid();
    if (ring->tid == getpid()) {
        g_strlcpy(ring->name, "main", sizeof(ring->name));
    } else if (pthread_getname_np(pthread_self(), ring->name, sizeof(ring->name)) != 0) {
        g_snprintf(ring->name, sizeof(ring->name), "%d", ring->tid);
    }
}

/* Memory is used as far as the thread has come, until it has gone round once. */
static TraceRing *make_ring(void)
{
    TraceRing *ring = mmap(NULL, RING_MAP_BYTES, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (ring == MAP_FAILED) {
        pthread_mutex_lock(&rings_lock);
        lost_with_rings++;
        pthread_mutex_unlock(&rings_lock);
        return NULL;
    }
    fill_in_thread(ring);
    pthread_once(&own_ring_once, make_key);
    pthread_setspecific(own_ring_key, ring);
    pthread_mutex_lock(&rings_lock);
    if (!rings) {
        rings = g_ptr_array_new();
    }
    g_ptr_array_add(rings, ring);
    pthread_mutex_unlock(&rings_lock);
    own_ring = ring;
    return ring;
}

/* The thread's side. */

/* @bytes of free memory in one piece, at ring->head, which may move over padding; NULL: none. */
static TraceRecord *reserve(TraceRing *ring, uint64_t bytes)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint64_t at = head % TRACE_RING_BYTES;
    uint64_t padding = at + bytes > TRACE_RING_BYTES ? TRACE_RING_BYTES - at : 0;

    if (head + padding + bytes - ring->tail_seen > TRACE_RING_BYTES) {
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
        if (head + padding + bytes - ring->tail_seen > TRACE_RING_BYTES) {
            return NULL;
        }
    }
    if (padding) { /* 8 bytes at least, which is as far as its head is looked at */
        ((TraceRecord *)(void *)&ring->data[at])->ns = TRACE_PADDING;
        head += padding;
        atomic_store_explicit(&ring->head, head, memory_order_release);
    }
    return (TraceRecord *)(void *)&ring->data[head % TRACE_RING_BYTES];
}

static void publish(TraceRing *ring, uint64_t bytes)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

    atomic_store_explicit(&ring->head, head + bytes, memory_order_release);
}

static void count_lost(TraceRing *ring)
{
    atomic_store_explicit(&ring->lost, atomic_load_explicit(&ring->lost, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* What is cut off does not end in the middle of a character. */
static uint64_t text_length(const char *text)
{
    uint64_t len = text ? strnlen(text, TRACE_TEXT_MAX + 1) : 0;

    if (len > TRACE_TEXT_MAX) {
        len = TRACE_TEXT_MAX;
        while (len > 0 && ((uint8_t)text[len] & 0xc0) == 0x80) {
            len--;
        }
    }
    return len;
}

static void fill_in(TraceRecord *record, TraceEvent event, uint64_t ns, uint64_t bytes)
{
    record->ns = ns;
    record->event = (uint16_t)event;
    record->bytes = (uint16_t)bytes;
    record->unused = 0;
}

/* Events are missing here: says so, if there is room for that and for @bytes more. */
static bool tell_lost(TraceRing *ring, uint64_t ns, uint64_t bytes)
{
    const uint64_t own = sizeof(TraceRecord) + 8;
    uint64_t lost = atomic_load_explicit(&ring->lost, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    TraceRecord *record;

    /* Each may need padding: what is kept free for that is never as much as this. */
    ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
    if (TRACE_RING_BYTES - (head - ring->tail_seen) < own + bytes + 2 * TRACE_BYTES_MAX) {
        return false;
    }
    record = reserve(ring, own);
    fill_in(record, TRACE_trace_lost, ns, own);
    record->values[0] = lost - ring->lost_told;
    publish(ring, own);
    ring->lost_told = lost;
    return true;
}

/* How long the record will be; @ret_lengths: of its texts, by field. */
static uint64_t measure(const TraceEventInfo *info, const uint64_t *values, uint64_t *ret_lengths)
{
    uint64_t bytes = sizeof(TraceRecord) + 8 * info->n_fields;

    for (unsigned i = 0; i < info->n_fields; i++) {
        if (info->fields[i].kind == TRACE_KIND_TEXT) {
            ret_lengths[i] = text_length((const char *)(uintptr_t)values[i]);
            bytes += ret_lengths[i];
        }
    }
    return (bytes + 7) & ~UINT64_C(7);
}

static void copy_values(TraceRecord *record, const TraceEventInfo *info, const uint64_t *values,
                        const uint64_t *lengths)
{
    char *text = (char *)&record->values[info->n_fields];

    for (unsigned i = 0; i < info->n_fields; i++) {
        if (info->fields[i].kind != TRACE_KIND_TEXT) {
            record->values[i] = values[i];
            continue;
        }
        record->values[i] = lengths[i];
        if (lengths[i]) {
            memcpy(text, (const void *)(uintptr_t)values[i], lengths[i]);
            text += lengths[i];
        }
    }
}

static bool has_untold_losses(const TraceRing *ring)
{
    return ring->lost_told != atomic_load_explicit(&ring->lost, memory_order_relaxed);
}

void trace_record(TraceEvent event, const uint64_t *values)
{
    const TraceEventInfo *info = &trace_table[event];
    TraceRing *ring = own_ring ? own_ring : make_ring();
    uint64_t lengths[TRACE_FIELDS_MAX];
    uint64_t bytes = measure(info, values, lengths);
    uint64_t ns = trace_now();
    TraceRecord *record = NULL;

    if (!ring) {
        return;
    }
    if (G_LIKELY(!has_untold_losses(ring)) || tell_lost(ring, ns, bytes)) {
        record = reserve(ring, bytes);
    }
    if (!record) {
        count_lost(ring);
        return;
    }
    fill_in(record, event, ns, bytes);
    copy_values(record, info, values, lengths);
    publish(ring, bytes);
}

/* The writer's side. */

const TraceRecord *trace_ring_peek(TraceRing *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    while (tail < ring->limit) {
        const TraceRecord *record =
            (const TraceRecord *)(const void *)&ring->data[tail % TRACE_RING_BYTES];

        if (record->ns != TRACE_PADDING) {
            return record;
        }
        tail += TRACE_RING_BYTES - tail % TRACE_RING_BYTES; /* padding */
        atomic_store_explicit(&ring->tail, tail, memory_order_release);
    }
    return NULL;
}

void trace_ring_take(TraceRing *ring, const TraceRecord *record)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    g_assert(tail % TRACE_RING_BYTES + record->bytes <= TRACE_RING_BYTES);
    atomic_store_explicit(&ring->tail, tail + record->bytes, memory_order_release);
}

void trace_rings_snapshot(GPtrArray *snapshot)
{
    g_ptr_array_set_size(snapshot, 0);
    pthread_mutex_lock(&rings_lock);
    for (guint i = 0; rings && i < rings->len; i++) {
        g_ptr_array_add(snapshot, rings->pdata[i]);
    }
    pthread_mutex_unlock(&rings_lock);
}

bool trace_ring_is_done(TraceRing *ring)
{
    bool done;

    pthread_mutex_lock(&rings_lock);
    done = ring->ended && atomic_load(&ring->tail) == atomic_load(&ring->head);
    pthread_mutex_unlock(&rings_lock);
    return done;
}

void trace_ring_free(TraceRing *ring)
{
    pthread_mutex_lock(&rings_lock);
    free_ring(ring);
    pthread_mutex_unlock(&rings_lock);
}

void trace_rings_set_writer(bool there)
{
    pthread_mutex_lock(&rings_lock);
    has_writer = there;
    for (guint i = rings && !there ? rings->len : 0; i > 0; i--) {
        TraceRing *ring = rings->pdata[i - 1];

        if (ring->ended) {
            free_ring(ring);
        }
    }
    pthread_mutex_unlock(&rings_lock);
}

/* Under the lock. */
static uint64_t all_lost(void)
{
    uint64_t lost = lost_with_rings;

    for (guint i = 0; rings && i < rings->len; i++) {
        lost += atomic_load(&((TraceRing *)rings->pdata[i])->lost);
    }
    return lost;
}

uint64_t trace_rings_lost(void)
{
    uint64_t lost;

    pthread_mutex_lock(&rings_lock);
    lost = all_lost() - lost_forgotten;
    pthread_mutex_unlock(&rings_lock);
    return lost;
}

void trace_rings_forget_lost(void)
{
    pthread_mutex_lock(&rings_lock);
    lost_forgotten = all_lost();
    pthread_mutex_unlock(&rings_lock);
}
