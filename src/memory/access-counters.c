/* SPDX-License-Identifier: MIT */
/* Access counters: numbers for regions, one table for each reader, sums. */
#include "tessera/memory/access-counters.h"

#include <errno.h>
#include <sys/mman.h>
#include "memory-internal.h"
#include "tessera/util/error.h"

#define NUMBERS_AT_FIRST 128u       /* one page of each table */
#define NUMBERS_MAX      (1u << 20) /* 32 MiB of address space for each table */

G_STATIC_ASSERT(sizeof(RegionCounts) == 32);

struct AccessCounters {
    MemorySystem *ms;
    char *name;
    RegionCounts *counts;
    uint32_t limit; /* address space is reserved for so many */
};

_Thread_local AccessReader access_reader;

void counter_set_init(CounterSet *set)
{
    *set = (CounterSet){ .fresh = COUNTER_FIRST, .ready = NUMBERS_AT_FIRST };
    pthread_mutex_init(&set->lock, NULL);
    set->readers = g_ptr_array_new();
    set->free = g_array_new(FALSE, FALSE, sizeof(uint32_t));
}

void counter_set_done(CounterSet *set)
{
    g_assert(set->readers->len == 0);
    g_ptr_array_unref(set->readers);
    g_array_unref(set->free);
    pthread_mutex_destroy(&set->lock);
}

/* Tables. */

static bool make_usable(AccessCounters *c, uint32_t numbers)
{
    if (numbers > c->limit) {
        errno = ENOSPC;
        return false;
    }
    return mprotect(c->counts, numbers * sizeof(RegionCounts), PROT_READ | PROT_WRITE) == 0;
}

/* Where address space is scarce (RLIMIT_AS), less than the most is reserved. */
static bool reserve(AccessCounters *c)
{
    for (c->limit = NUMBERS_MAX; c->limit >= NUMBERS_AT_FIRST; c->limit /= 2) {
        void *p = mmap(NULL, c->limit * sizeof(RegionCounts), PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (p != MAP_FAILED) {
            c->counts = p;
            return true;
        }
    }
    return false;
}

static void destroy(AccessCounters *c)
{
    if (c->counts) {
        munmap(c->counts, c->limit * sizeof(RegionCounts));
    }
    g_free(c->name);
    g_free(c);
}

AccessCounters *access_counters_new(MemorySystem *ms, const char *name, GError **error)
{
    CounterSet *set = &ms->counters;
    AccessCounters *c = g_new0(AccessCounters, 1);
    bool ok;

    c->ms = ms;
    c->name = g_strdup(name);
    ok = reserve(c);
    pthread_mutex_lock(&set->lock);
    ok = ok && make_usable(c, set->ready);
    if (ok) {
        g_ptr_array_add(set->readers, c);
    }
    pthread_mutex_unlock(&set->lock);
    if (!ok) {
        error_set_errno(error, errno, "no memory for the access counters of %s", name);
        destroy(c);
        return NULL;
    }
    return c;
}

void access_counters_free(AccessCounters *c)
{
    if (!c) {
        return;
    }
    g_assert(access_reader.counters != c);
    pthread_mutex_lock(&c->ms->counters.lock);
    g_ptr_array_remove(c->ms->counters.readers, c);
    pthread_mutex_unlock(&c->ms->counters.lock);
    destroy(c);
}

AccessCounters *access_counters_use(AccessCounters *c)
{
    AccessCounters *before = access_reader.counters;

    access_reader = (AccessReader){ 0 };
    if (c) {
        access_reader = (AccessReader){ c->ms, c->counts, c };
    }
    return before;
}

/* Numbers. */

/* Under the lock. After a failure some tables have more than they need, which does no harm. */
static bool grow(CounterSet *set)
{
    if (set->ready > NUMBERS_MAX / 2) {
        return false;
    }
    for (guint i = 0; i < set->readers->len; i++) {
        if (!make_usable(set->readers->pdata[i], set->ready * 2)) {
            return false;
        }
    }
    set->ready *= 2;
    return true;
}

uint32_t counter_take(CounterSet *set)
{
    uint32_t number = COUNTER_UNCOUNTED;

    pthread_mutex_lock(&set->lock);
    if (set->free->len > 0) {
        number = g_array_index(set->free, uint32_t, set->free->len - 1);
        g_array_set_size(set->free, set->free->len - 1);
    } else if (set->fresh < set->ready || grow(set)) {
        number = set->fresh++;
    }
    pthread_mutex_unlock(&set->lock);
    return number;
}

static MemoryAccessCounts read_line(const AccessCounters *c, uint32_t number)
{
    const RegionCounts *line = &c->counts[number];

    return (MemoryAccessCounts){
        .reads = atomic_load_explicit(&line->reads, memory_order_relaxed),
        .writes = atomic_load_explicit(&line->writes, memory_order_relaxed),
        .exits = atomic_load_explicit(&line->exits, memory_order_relaxed),
    };
}

static bool is_zero(const MemoryAccessCounts *counts)
{
    return counts->reads == 0 && counts->writes == 0;
}

/* A line that was not used is not written: its page may have no memory yet. */
static void clear_line(AccessCounters *c, uint32_t number)
{
    RegionCounts *line = &c->counts[number];
    MemoryAccessCounts was = read_line(c, number);

    if (!is_zero(&was)) {
        atomic_store_explicit(&line->reads, 0, memory_order_relaxed);
        atomic_store_explicit(&line->writes, 0, memory_order_relaxed);
        atomic_store_explicit(&line->exits, 0, memory_order_relaxed);
    }
}

void counter_give(CounterSet *set, uint32_t number)
{
    if (number < COUNTER_FIRST) {
        return;
    }
    pthread_mutex_lock(&set->lock);
    for (guint i = 0; i < set->readers->len; i++) {
        clear_line(set->readers->pdata[i], number);
    }
    g_array_append_val(set->free, number);
    pthread_mutex_unlock(&set->lock);
}

/* Questions. */

static MemoryAccessCounts sum_up(CounterSet *set, uint32_t number)
{
    MemoryAccessCounts sum = { 0 };

    pthread_mutex_lock(&set->lock);
    for (guint i = 0; i < set->readers->len; i++) {
        MemoryAccessCounts one = read_line(set->readers->pdata[i], number);

        sum.reads += one.reads;
        sum.writes += one.writes;
        sum.exits += one.exits;
    }
    pthread_mutex_unlock(&set->lock);
    return sum;
}

bool memory_region_access_counts(const MemoryRegion *mr, MemoryAccessCounts *ret_sum)
{
    if (mr->counter < COUNTER_FIRST) {
        *ret_sum = (MemoryAccessCounts){ 0 };
        return false;
    }
    *ret_sum = sum_up(&mr->ms->counters, mr->counter);
    return true;
}

void memory_region_for_each_reader(const MemoryRegion *mr,
                                   void (*fn)(const char *name, const MemoryAccessCounts *counts,
                                              void *opaque),
                                   void *opaque)
{
    CounterSet *set = &mr->ms->counters;

    if (mr->counter < COUNTER_FIRST) {
        return;
    }
    pthread_mutex_lock(&set->lock);
    for (guint i = 0; i < set->readers->len; i++) {
        const AccessCounters *c = set->readers->pdata[i];
        MemoryAccessCounts counts = read_line(c, mr->counter);

        if (!is_zero(&counts)) {
            fn(c->name, &counts, opaque);
        }
    }
    pthread_mutex_unlock(&set->lock);
}

void memory_system_unassigned_counts(MemorySystem *ms, MemoryAccessCounts *ret_sum)
{
    *ret_sum = sum_up(&ms->counters, COUNTER_UNASSIGNED);
}
