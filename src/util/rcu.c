/* SPDX-License-Identifier: MIT */
/* Read-copy-update: the parts of the wrapper that are not inline. */
#include "tessera/util/rcu.h"

#include <glib.h>
#include <pthread.h>

#ifdef TESSERA_TSAN
char rcu_tsan_edge;
#endif

_Thread_local bool rcu_thread_registered;
static _Thread_local bool in_callback;

static pthread_once_t thread_key_once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_key;

static void thread_ends(void *registered)
{
    rcu_thread_unregister();
}

static void make_thread_key(void)
{
    int errnum = pthread_key_create(&thread_key, thread_ends);

    g_assert(errnum == 0);
}

/*
 * liburcu links a registered thread's own storage into a list that every grace period walks: a
 * thread that ended without a word would leave a hole there. The key's destructor sees to that.
 */
void rcu_thread_register(void)
{
    if (!rcu_thread_registered) {
        pthread_once(&thread_key_once, make_thread_key);
        pthread_setspecific(thread_key, &rcu_thread_registered);
        urcu_memb_register_thread();
        rcu_thread_registered = true;
    }
}

void rcu_thread_unregister(void)
{
    if (rcu_thread_registered) {
        rcu_thread_registered = false;
        urcu_memb_unregister_thread();
        pthread_setspecific(thread_key, NULL);
    }
}

bool rcu_in_callback(void)
{
    return in_callback;
}

static void run_deferred(struct rcu_head *urcu)
{
    RcuHead *head = (RcuHead *)urcu; /* first member */

#ifdef TESSERA_TSAN
    __tsan_acquire(&rcu_tsan_edge);
#endif
    rcu_thread_registered = true; /* by liburcu, which made this thread */
    in_callback = true;
    head->fn(head);
    in_callback = false;
}

/* The caller does not look at @head again: it is liburcu's, and then its callback's. */
static void give_to_liburcu(RcuHead *head)
{
    rcu_thread_register(); /* call_rcu() opens a read section of its own */
#ifdef TESSERA_TSAN
    __tsan_release(&rcu_tsan_edge);
#endif
    urcu_memb_call_rcu(&head->urcu, run_deferred);
}

/*
 * Calls that are held back. Like liburcu's worker, which they are held back from, this is one for
 * the process: objects of all machines go the same way.
 */
static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static bool holding;
static RcuHead *held; /* the newest first */

static bool hold_back(RcuHead *head)
{
    bool hold;

    pthread_mutex_lock(&held_lock);
    hold = holding;
    if (hold) {
        head->next_held = held;
        held = head;
    }
    pthread_mutex_unlock(&held_lock);
    return hold;
}

void rcu_defer(RcuHead *head, void (*fn)(RcuHead *head))
{
    head->fn = fn;
    if (!hold_back(head)) {
        give_to_liburcu(head);
    }
}

void rcu_hold_deferred(void)
{
    pthread_mutex_lock(&held_lock);
    holding = true;
    pthread_mutex_unlock(&held_lock);
}

/* In the order in which they came. */
void rcu_release_deferred(void)
{
    RcuHead *newest, *oldest = NULL;

    pthread_mutex_lock(&held_lock);
    holding = false;
    newest = held;
    held = NULL;
    pthread_mutex_unlock(&held_lock);
    while (newest) {
        RcuHead *next = newest->next_held;

        newest->next_held = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        RcuHead *next = oldest->next_held; /* the call frees what it is in */

        give_to_liburcu(oldest);
        oldest = next;
    }
}

#ifdef TESSERA_TSAN
/*
 * urcu_memb_barrier() passes memory from thread to thread by means that ThreadSanitizer does not
 * see, and is reported. All calls of a process share liburcu's default worker, in order: the last
 * one has run when all have.
 */
typedef struct Drain {
    RcuHead head; /* first */
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done;
} Drain;

static void drain_done(RcuHead *head)
{
    Drain *drain = (Drain *)head;

    pthread_mutex_lock(&drain->lock);
    drain->done = true;
    pthread_cond_signal(&drain->ended);
    pthread_mutex_unlock(&drain->lock);
}

void rcu_drain(void)
{
    Drain drain = { .lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER };

    rcu_release_deferred();
    rcu_defer(&drain.head, drain_done);
    pthread_mutex_lock(&drain.lock);
    while (!drain.done) {
        pthread_cond_wait(&drain.ended, &drain.lock);
    }
    pthread_mutex_unlock(&drain.lock);
    __tsan_acquire(&rcu_tsan_edge);
}
#else
void rcu_drain(void)
{
    rcu_release_deferred();
    urcu_memb_barrier();
}
#endif

void rcu_synchronize(void)
{
    urcu_memb_synchronize_rcu();
#ifdef TESSERA_TSAN
    __tsan_acquire(&rcu_tsan_edge);
#endif
}
