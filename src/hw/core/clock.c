/* SPDX-License-Identifier: MIT */
/* VirtualClock: the machine's time, and timers that fire on the main thread. */
#include "tessera/hw/core/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000LL

struct VirtualTimer {
    VirtualClock *clock;
    void (*fn)(void *opaque);
    void *opaque;
    int64_t deadline;
    GQueue *queue; /* the clock's queue that holds it: armed or firing; NULL: not armed */
    GList link;
};

/*
 * @time: one word, so that readers need no lock: ns << 1, and bit 0 says whether the clock runs.
 *      While it stands, ns is the machine's time; while it runs, what to subtract from the host's
 *      monotonic clock.
 * @fd: the timerfd, or -1: then @source's ready time takes its place
 * @lock: guards the queues, the timers in them and the timerfd's setting
 * @armed: by deadline; @firing: taken out by the dispatch that is running
 */
struct VirtualClock {
    _Atomic int64_t time;
    bool manual;
    int fd;
    GSource *source;
    pthread_mutex_t lock;
    GQueue armed;
    GQueue firing;
    unsigned timers;
};

typedef struct ClockSource {
    GSource source;
    VirtualClock *clock;
} ClockSource;

static int64_t host_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static int64_t pack_time(int64_t ns, bool running)
{
    return (int64_t)((uint64_t)ns << 1) | running;
}

static bool clock_is_running(VirtualClock *clock)
{
    return atomic_load(&clock->time) & 1;
}

int64_t virtual_clock_ns(VirtualClock *clock)
{
    int64_t time = atomic_load(&clock->time);

    return time & 1 ? host_ns() - (time >> 1) : time >> 1;
}

static VirtualTimer *first_armed(VirtualClock *clock)
{
    return g_queue_peek_head(&clock->armed);
}

/* Sets the timerfd to the first deadline. Under the lock. */
static void program_timerfd(VirtualClock *clock)
{
    struct itimerspec spec = { 0 };
    VirtualTimer *timer = first_armed(clock);
    int64_t time = atomic_load(&clock->time);

    if (clock->manual) {
        return;
    }
    if (timer && (time & 1)) {
        int64_t base = time >> 1;
        int64_t at = timer->deadline > INT64_MAX - base ? INT64_MAX : timer->deadline + base;

        at = MAX(at, 1); /* 0 would disarm */
        spec.it_value.tv_sec = at / NS_PER_S;
        spec.it_value.tv_nsec = at % NS_PER_S;
    }
    if (clock->fd >= 0) {
        timerfd_settime(clock->fd, TFD_TIMER_ABSTIME, &spec, NULL);
        return;
    }
    if (spec.it_value.tv_sec == 0 && spec.it_value.tv_nsec == 0) {
        g_source_set_ready_time(clock->source, -1);
    } else {
        int64_t us = spec.it_value.tv_sec * 1000000 + spec.it_value.tv_nsec / 1000;

        g_source_set_ready_time(clock->source, us + 1); /* rounded up: never early */
    }
}

static void enqueue(VirtualTimer *timer, GQueue *queue)
{
    GList *next = queue->head;

    while (next && ((VirtualTimer *)next->data)->deadline <= timer->deadline) {
        next = next->next;
    }
    if (next) {
        g_queue_insert_before_link(queue, next, &timer->link);
    } else {
        g_queue_push_tail_link(queue, &timer->link);
    }
    timer->queue = queue;
}

static void dequeue(VirtualTimer *timer)
{
    if (timer->queue) {
        g_queue_unlink(timer->queue, &timer->link);
        timer->queue = NULL;
    }
}

/*
 * Calls what is due at @now. A timer that its callback arms again for the past waits for the next
 * round: the main loop gets its turn in between.
 */
static void fire_due(VirtualClock *clock, int64_t now)
{
    VirtualTimer *timer;

    pthread_mutex_lock(&clock->lock);
    while ((timer = first_armed(clock)) && timer->deadline <= now) {
        dequeue(timer);
        enqueue(timer, &clock->firing);
    }
    while ((timer = g_queue_peek_head(&clock->firing))) {
        void (*fn)(void *opaque) = timer->fn;
        void *opaque = timer->opaque;

        dequeue(timer);
        pthread_mutex_unlock(&clock->lock);
        fn(opaque);
        pthread_mutex_lock(&clock->lock);
    }
    program_timerfd(clock);
    pthread_mutex_unlock(&clock->lock);
}

static gboolean clock_source_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    VirtualClock *clock = ((ClockSource *)source)->clock;
    uint64_t expirations;

    if (clock->fd >= 0) {
        ssize_t n = read(clock->fd, &expirations, sizeof(expirations));

        (void)n; /* EAGAIN: set anew meanwhile */
    } else {
        g_source_set_ready_time(source, -1);
    }
    if (clock_is_running(clock)) {
        fire_due(clock, virtual_clock_ns(clock));
    }
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs clock_source_funcs = {
    .dispatch = clock_source_dispatch,
};

VirtualClock *virtual_clock_new_manual(void)
{
    VirtualClock *clock = g_new0(VirtualClock, 1);

    clock->manual = true;
    clock->fd = -1;
    pthread_mutex_init(&clock->lock, NULL);
    g_queue_init(&clock->armed);
    g_queue_init(&clock->firing);
    return clock;
}

VirtualClock *virtual_clock_new(GMainContext *context)
{
    VirtualClock *clock = virtual_clock_new_manual();

    clock->manual = false;
    clock->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    clock->source = g_source_new(&clock_source_funcs, sizeof(ClockSource));
    ((ClockSource *)clock->source)->clock = clock;
    g_source_set_name(clock->source, "virtual clock");
    if (clock->fd >= 0) {
        g_source_add_unix_fd(clock->source, clock->fd, G_IO_IN);
    } /* else out of descriptors: the main loop's own timing, in milliseconds, has to do */
    g_source_attach(clock->source, context);
    return clock;
}

void virtual_clock_advance(VirtualClock *clock, int64_t ns)
{
    int64_t end;
    VirtualTimer *timer;

    g_assert(clock->manual && ns >= 0);
    end = virtual_clock_ns(clock) + ns;
    for (;;) {
        int64_t now = virtual_clock_ns(clock);

        pthread_mutex_lock(&clock->lock);
        timer = first_armed(clock);
        if (!timer || timer->deadline > end) {
            pthread_mutex_unlock(&clock->lock);
            break;
        }
        now = MAX(now, timer->deadline);
        pthread_mutex_unlock(&clock->lock);
        atomic_store(&clock->time, pack_time(now, false));
        fire_due(clock, now);
    }
    atomic_store(&clock->time, pack_time(end, false));
}

void virtual_clock_free(VirtualClock *clock)
{
    if (!clock) {
        return;
    }
    g_assert(clock->timers == 0);
    if (clock->source) {
        g_source_destroy(clock->source);
        g_source_unref(clock->source);
        if (clock->fd >= 0) {
            close(clock->fd);
        }
    }
    pthread_mutex_destroy(&clock->lock);
    g_free(clock);
}

static void clock_set_running(VirtualClock *clock, bool running)
{
    int64_t now;

    pthread_mutex_lock(&clock->lock);
    if (!clock->manual && clock_is_running(clock) != running) {
        now = virtual_clock_ns(clock);
        atomic_store(&clock->time, pack_time(running ? host_ns() - now : now, running));
        program_timerfd(clock);
    }
    pthread_mutex_unlock(&clock->lock);
}

void virtual_clock_start(VirtualClock *clock)
{
    clock_set_running(clock, true);
}

void virtual_clock_stop(VirtualClock *clock)
{
    clock_set_running(clock, false);
}

VirtualTimer *virtual_timer_new(VirtualClock *clock, void (*fn)(void *opaque), void *opaque)
{
    VirtualTimer *timer = g_new0(VirtualTimer, 1);

    timer->clock = clock;
    timer->fn = fn;
    timer->opaque = opaque;
    timer->link.data = timer;
    pthread_mutex_lock(&clock->lock);
    clock->timers++;
    pthread_mutex_unlock(&clock->lock);
    return timer;
}

void virtual_timer_free(VirtualTimer *timer)
{
    if (!timer) {
        return;
    }
    virtual_timer_disarm(timer);
    pthread_mutex_lock(&timer->clock->lock);
    timer->clock->timers--;
    pthread_mutex_unlock(&timer->clock->lock);
    g_free(timer);
}

void virtual_timer_arm(VirtualTimer *timer, int64_t deadline_ns)
{
    VirtualClock *clock = timer->clock;
    VirtualTimer *first;

    pthread_mutex_lock(&clock->lock);
    first = first_armed(clock);
    dequeue(timer);
    timer->deadline = deadline_ns;
    enqueue(timer, &clock->armed);
    /* Later than the first one, and it was not the first itself: the timerfd is right already. */
    if (first == timer || first_armed(clock) == timer) {
        program_timerfd(clock);
    }
    pthread_mutex_unlock(&clock->lock);
}

void virtual_timer_disarm(VirtualTimer *timer)
{
    /* The timerfd may then fire for nothing once: cheaper than setting it at every disarm. */
    pthread_mutex_lock(&timer->clock->lock);
    dequeue(timer);
    pthread_mutex_unlock(&timer->clock->lock);
}
