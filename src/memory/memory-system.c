/* SPDX-License-Identifier: MIT */
/* MemorySystem: one machine's memory, its lock and its counters. */
#include "tessera/memory/memory-system.h"

#include "tree-internal.h"

/* Views that may wait for a grace period before the one who retires more waits with them. */
#define VIEWS_PENDING_MAX 64u

/* A thread is who it is by the address of a variable of its own. */
static uintptr_t this_thread(void)
{
    static _Thread_local char identity;

    return (uintptr_t)&identity;
}

MemorySystem *memory_system_new(GError **error)
{
    SectionTable *sections = section_table_new(error);
    MemorySystem *ms;

    if (!sections) {
        return NULL;
    }
    ms = g_new0(MemorySystem, 1);
    pthread_mutex_init(&ms->lock, NULL);
    ms->nameless = g_ref_string_new("(none)");
    commit_log_init(&ms->log);
    counter_set_init(&ms->counters);
    ms->transaction = transaction_new();
    ms->spaces = g_ptr_array_new();
    ms->sections = sections;
    ms->ram = ram_list_new();
    return ms;
}

void memory_system_free(MemorySystem *ms)
{
    if (!ms) {
        return;
    }
    g_assert(!memory_system_is_locked(ms) && !rcu_in_read_section());
    g_assert(ms->spaces->len == 0 && !ms->listeners);
    /* What a callback drops may defer the next: a view its region, a region its block's mapping. */
    for (int i = 0; i < 3; i++) {
        rcu_drain();
    }
    g_assert(atomic_load_explicit(&ms->views_pending, memory_order_acquire) == 0);
    g_assert(atomic_load_explicit(&ms->regions, memory_order_acquire) == 0);
    ram_list_free(ms->ram);
    section_table_free(ms->sections);
    g_ptr_array_free(ms->spaces, TRUE);
    transaction_free(ms->transaction);
    counter_set_done(&ms->counters);
    commit_log_done(&ms->log);
    g_ref_string_release(ms->nameless);
    pthread_mutex_destroy(&ms->lock);
    g_free(ms);
}

bool memory_system_is_locked(MemorySystem *ms)
{
    return atomic_load_explicit(&ms->lock_owner, memory_order_relaxed) == this_thread();
}

void memory_system_lock(MemorySystem *ms)
{
    if (!memory_system_is_locked(ms)) {
        /* Before waiting: the owner, or who comes after it, may wait for this thread to leave. */
        memory_access_leave_read_section();
        pthread_mutex_lock(&ms->lock);
        atomic_store_explicit(&ms->lock_owner, this_thread(), memory_order_relaxed);
    }
    ms->lock_depth++;
}

/*
 * The bound on pending views. Every view is retired under the machine lock, and whoever gives that
 * lock back can wait: unless it is a reader, or the thread that ends the waiting of all others.
 */
static void bound_pending_views(unsigned pending)
{
    if (pending > VIEWS_PENDING_MAX && !rcu_in_read_section() && !rcu_in_callback()) {
        rcu_drain();
    }
}

void memory_system_unlock(MemorySystem *ms)
{
    unsigned pending;

    g_assert(memory_system_is_locked(ms) && ms->lock_depth > 0);
    if (--ms->lock_depth > 0) {
        return;
    }
    g_assert(!transaction_is_open(ms)); /* begin without commit */
    pending = atomic_load_explicit(&ms->views_pending, memory_order_relaxed);
    atomic_store_explicit(&ms->lock_owner, 0, memory_order_relaxed);
    pthread_mutex_unlock(&ms->lock);
    bound_pending_views(pending); /* @ms may be gone by now */
}

void memory_system_set_coalesced_flush(MemorySystem *ms, const CoalescedFlush *flush)
{
    rcu_publish(&ms->coalesced_flush, flush);
}

void memory_system_set_failed_handler(MemorySystem *ms,
                                      void (*handler)(void *opaque, const GError *commit_error,
                                                      const GError *revert_error),
                                      void *opaque)
{
    memory_system_lock(ms);
    ms->failed = handler;
    ms->failed_opaque = opaque;
    memory_system_unlock(ms);
}

void memory_system_set_full_render(MemorySystem *ms, bool full)
{
    memory_system_lock(ms);
    g_assert(!transaction_is_open(ms));
    ms->full_render = full;
    memory_system_unlock(ms);
}
