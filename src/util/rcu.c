/* SPDX-License-Identifier: MIT */
/* Read-copy-update: the parts of the wrapper that are not inline. */
#include "tessera/util/rcu.h"

#ifdef TESSERA_TSAN
char rcu_tsan_edge;
#endif

_Thread_local bool rcu_thread_registered;

void rcu_thread_register(void)
{
    if (!rcu_thread_registered) {
        urcu_memb_register_thread();
        rcu_thread_registered = true;
    }
}

void rcu_thread_unregister(void)
{
    if (rcu_thread_registered) {
        rcu_thread_registered = false;
        urcu_memb_unregister_thread();
    }
}

static void run_deferred(struct rcu_head *urcu)
{
    RcuHead *head = (RcuHead *)urcu; /* first member */

#ifdef TESSERA_TSAN
    __tsan_acquire(&rcu_tsan_edge);
#endif
    head->fn(head);
}

void rcu_defer(RcuHead *head, void (*fn)(RcuHead *head))
{
    head->fn = fn;
#ifdef TESSERA_TSAN
    __tsan_release(&rcu_tsan_edge);
#endif
    urcu_memb_call_rcu(&head->urcu, run_deferred);
}

void rcu_drain(void)
{
    urcu_memb_barrier();
#ifdef TESSERA_TSAN
    __tsan_acquire(&rcu_tsan_edge);
#endif
}

void rcu_synchronize(void)
{
    urcu_memb_synchronize_rcu();
#ifdef TESSERA_TSAN
    __tsan_acquire(&rcu_tsan_edge);
#endif
}
