/* SPDX-License-Identifier: MIT */
/* Read-copy-update: liburcu (flavour memb) behind one header, annotated for ThreadSanitizer. */
#ifndef TESSERA_UTIL_RCU_H
#define TESSERA_UTIL_RCU_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Read sections are on the path of every guest access: without this name (our licence permits it)
 * liburcu makes each of them two calls into a shared library. ThreadSanitizer must not look inside.
 */
#ifndef TESSERA_TSAN
#define _LGPL_SOURCE
#endif
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include <urcu/urcu-memb.h>
#pragma GCC diagnostic pop

/*
 * Readers bracket their use of a published pointer with rcu_read_section_enter() / _leave(); they
 * nest. A writer publishes with rcu_publish() and hands the old object to rcu_defer(); it never
 * waits for a grace period while it holds the machine lock.
 *
 * Debian's liburcu is unknown to ThreadSanitizer: in a TESSERA_TSAN build the end of a read section
 * and the deferred call carry the happens-before edge that a grace period gives.
 */

#ifdef TESSERA_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
extern char rcu_tsan_edge; /* only its address is used */
#endif

extern _Thread_local bool rcu_thread_registered;

/** rcu_thread_register() - idempotent; a thread that never calls it registers at its first section */
void rcu_thread_register(void);

/**
 * rcu_thread_unregister() - undoes that, outside of read sections; a thread's end does it as well
 *
 * Worth a call where a thread is done with reading but goes on to sleep: it delays nobody then.
 */
void rcu_thread_unregister(void);

/** rcu_read_section_enter() - what is dereferenced from here on stays alive until the leave */
static inline void rcu_read_section_enter(void)
{
    if (__builtin_expect(!rcu_thread_registered, 0)) {
        rcu_thread_register();
    }
    urcu_memb_read_lock();
}

static inline void rcu_read_section_leave(void)
{
#ifdef TESSERA_TSAN
    __tsan_release(&rcu_tsan_edge);
#endif
    urcu_memb_read_unlock();
}

/** rcu_in_read_section() - is this thread inside a read section? */
static inline bool rcu_in_read_section(void)
{
    return rcu_thread_registered && urcu_memb_read_ongoing();
}

/** rcu_publish() / rcu_dereference_ptr() - release store and acquire load of a shared pointer */
#define rcu_publish(pp, value)  atomic_store_explicit((pp), (value), memory_order_release)
#define rcu_dereference_ptr(pp) atomic_load_explicit((pp), memory_order_acquire)

/** struct RcuHead - embedded in an object that is freed by rcu_defer() */
typedef struct RcuHead {
    struct rcu_head urcu;
    void (*fn)(struct RcuHead *head);
    struct RcuHead *next_held; /* see rcu_hold_deferred() */
} RcuHead;

/**
 * rcu_defer() - calls @fn with @head once every read section that is open now has ended
 *
 * @fn runs on liburcu's callback thread; it may take locks and enter read sections but must not
 * wait for a grace period.
 */
void rcu_defer(RcuHead *head, void (*fn)(RcuHead *head));

/**
 * rcu_hold_deferred() - keeps deferred calls back until rcu_release_deferred() or rcu_drain()
 *
 * The first deferred call makes liburcu's thread, which then competes with its maker for the
 * processor: a machine's start holds the calls back until its guest runs. Each later one may wake it:
 * a monitor holds them back until a command is answered. Holding does not nest.
 * Context: any thread.
 */
void rcu_hold_deferred(void);

/** rcu_release_deferred() - hands over what was held back, oldest first. Context: any thread. */
void rcu_release_deferred(void);

/** rcu_in_callback() - is this thread running a deferred call? It must not wait, then. */
bool rcu_in_callback(void);

/** rcu_drain() - waits until every call deferred before has run. No locks held, no read section. */
void rcu_drain(void);

/** rcu_synchronize() - waits for a grace period; the same conditions */
void rcu_synchronize(void);

#endif
