/* SPDX-License-Identifier: MIT */
/* Access counters: numbers for regions, one table for each reader, and counting itself. */
#ifndef TESSERA_MEMORY_ACCESS_COUNTERS_INTERNAL_H
#define TESSERA_MEMORY_ACCESS_COUNTERS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include "tessera/memory/access-counters.h"

/*
 * Regions with content are numbered; a dispatch section carries its region's number, and a reader's
 * table is an array by number:
 *
 *                        0           1          2        3
 *   vcpu0   counts -> [ nothing | uncounted | pc.ram | serial | ...      address space reserved
 *   vcpu1   counts -> [ nothing | uncounted | pc.ram | serial | ...      up to the limit
 *
 * Tables never move: address space is reserved for all numbers that there may be, and made usable
 * before a number is given out, so readers look at nothing but their base. Memory is used by the
 * pages of 128 regions each that a reader has touched.
 *
 * A number is given back when its region is freed, which is a grace period after it left the last
 * view: nobody counts there any more, and its line in each table is cleared.
 */
typedef struct RegionCounts {
    _Atomic uint64_t reads;
    _Atomic uint64_t writes;
    _Atomic uint64_t exits;
    uint64_t unused; /* two lines to a cache line, none across */
} RegionCounts;

#define COUNTER_UNASSIGNED 0u /* where nothing answers */
#define COUNTER_UNCOUNTED  1u /* regions that could get no number, together */
#define COUNTER_FIRST      2u

typedef struct CounterSet {
    pthread_mutex_t lock; /* a leaf; guards all below */
    GPtrArray *readers;   /* AccessCounters *, in the order they were made */
    GArray *free;         /* uint32_t: numbers given back */
    uint32_t fresh;       /* the first that was never used */
    uint32_t ready;       /* below this every table has memory */
} CounterSet;

void counter_set_init(CounterSet *set);
/** counter_set_done() - every table has been freed (asserted) */
void counter_set_done(CounterSet *set);

/** counter_take() - a number whose lines are all zero, or COUNTER_UNCOUNTED. Any thread */
uint32_t counter_take(CounterSet *set);
/** counter_give() - back; nobody counts there any more. Any thread */
void counter_give(CounterSet *set, uint32_t number);

/* Where this thread counts; @ms NULL: nowhere. */
typedef struct AccessReader {
    const MemorySystem *ms;
    RegionCounts *counts;
    AccessCounters *counters;
} AccessReader;

extern _Thread_local AccessReader access_reader;

/* Only one thread writes; others may look. */
static inline void access_counter_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/** access_count() - one access to the region numbered @number of @ms, inside its read section */
static inline void access_count(const MemorySystem *ms, uint32_t number, bool is_write, bool exit)
{
    RegionCounts *c;

    if (access_reader.ms != ms) {
        return;
    }
    c = &access_reader.counts[number];
    access_counter_add(is_write ? &c->writes : &c->reads, 1);
    access_counter_add(&c->exits, exit);
}

#endif
