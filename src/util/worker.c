/* SPDX-License-Identifier: MIT */
/* A queue of jobs, its thread, and who waits. */
#include "tessera/util/worker.h"

#include <glib.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

/*
 * How long to look for a change before sleeping: a sleeper's way back takes as long or longer, where
 * its processor has gone idle meanwhile.
 */
#define LOOK_OUT_US 100

typedef struct Job {
    void (*fn)(void *opaque);
    void *opaque;
} Job;

struct Worker {
    const char *name;
    pthread_t thread;
    bool threaded; /* its owner's */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    _Atomic unsigned changes; /* written under @lock, as all that follows */
    GArray *jobs;
    unsigned done;
    bool busy; /* somebody does job number done + 1 */
    bool ends;
};

/* Under the lock. */
static void tell_change(Worker *worker)
{
    atomic_fetch_add(&worker->changes, 1);
    pthread_cond_broadcast(&worker->changed);
}

/* Under the lock, which is free meanwhile. */
static void wait_for_change(Worker *worker)
{
    unsigned seen = atomic_load(&worker->changes);
    gint64 end = g_get_monotonic_time() + LOOK_OUT_US;

    pthread_mutex_unlock(&worker->lock);
    while (atomic_load(&worker->changes) == seen && g_get_monotonic_time() < end) {
        __builtin_ia32_pause();
    }
    pthread_mutex_lock(&worker->lock);
    while (atomic_load(&worker->changes) == seen) {
        pthread_cond_wait(&worker->changed, &worker->lock);
    }
}

/* Under the lock, which is free meanwhile. */
static void do_next_job(Worker *worker)
{
    Job job = g_array_index(worker->jobs, Job, worker->done);

    worker->busy = true;
    pthread_mutex_unlock(&worker->lock);
    job.fn(job.opaque);
    pthread_mutex_lock(&worker->lock);
    worker->busy = false;
    worker->done++;
    tell_change(worker);
}

static bool has_job(const Worker *worker)
{
    return !worker->busy && worker->done < worker->jobs->len;
}

static void *worker_thread(void *opaque)
{
    Worker *worker = opaque;

    pthread_setname_np(pthread_self(), worker->name);
    pthread_mutex_lock(&worker->lock);
    while (!worker->ends) {
        if (has_job(worker)) {
            do_next_job(worker);
        } else {
            wait_for_change(worker);
        }
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

/*
 * Some kernels queue a new thread behind its maker although other processors idle (in a virtual machine,
 * to let the host keep them), where it brings nothing. So it may use all of them but this one.
 */
static void place_elsewhere(pthread_t thread)
{
    int here = sched_getcpu();
    cpu_set_t cpus;

    if (here >= 0 && here < CPU_SETSIZE && sched_getaffinity(0, sizeof(cpus), &cpus) == 0) {
        CPU_CLR(here, &cpus);
        if (CPU_COUNT(&cpus) > 0) {
            pthread_setaffinity_np(thread, sizeof(cpus), &cpus); /* a hint: it may fail */
        }
    }
}

/* The new thread inherits the mask: no signal of the process can reach it. */
static bool start_thread(Worker *worker)
{
    sigset_t all, before;
    int ret;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ret = pthread_create(&worker->thread, NULL, worker_thread, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (ret == 0) {
        place_elsewhere(worker->thread);
    }
    return ret == 0;
}

Worker *worker_new(const char *name)
{
    Worker *worker = g_new0(Worker, 1);

    worker->name = name;
    worker->jobs = g_array_new(FALSE, FALSE, sizeof(Job));
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->changed, NULL);
    worker->threaded = start_thread(worker);
    return worker;
}

unsigned worker_add(Worker *worker, void (*fn)(void *opaque), void *opaque)
{
    Job job = { fn, opaque };
    unsigned number;

    pthread_mutex_lock(&worker->lock);
    g_array_append_val(worker->jobs, job);
    number = worker->jobs->len;
    tell_change(worker);
    pthread_mutex_unlock(&worker->lock);
    return number;
}

void worker_wait(Worker *worker, unsigned job)
{
    pthread_mutex_lock(&worker->lock);
    g_assert(job <= worker->jobs->len);
    while (worker->done < job) {
        if (has_job(worker)) {
            do_next_job(worker);
        } else {
            wait_for_change(worker);
        }
    }
    pthread_mutex_unlock(&worker->lock);
}

void worker_free(Worker *worker)
{
    if (!worker) {
        return;
    }
    pthread_mutex_lock(&worker->lock);
    worker->ends = true;
    tell_change(worker);
    pthread_mutex_unlock(&worker->lock);
    if (worker->threaded) {
        pthread_join(worker->thread, NULL);
    }
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->lock);
    g_array_unref(worker->jobs);
    g_free(worker);
}
