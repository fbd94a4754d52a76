/* SPDX-License-Identifier: MIT */
/* SlotPool: numbered slots of one size whose addresses never change. */
#ifndef TESSERA_MEMORY_SLOT_POOL_INTERNAL_H
#define TESSERA_MEMORY_SLOT_POOL_INTERNAL_H

#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The dispatch names sections and radix nodes by number, and readers follow those numbers without a
 * lock while a writer adds more. The pool therefore reserves address space once and makes it usable
 * step by step: a slot lies at base + number * slot_size for ever, growing copies nothing, and
 * finding a slot takes no load but the slot's own. Reserved space that is not used costs no memory.
 *
 * Each slot has a word of its user's: a reference count, or who made it. It lies outside of the
 * slot: readers' cache lines are not written when a view comes or goes.
 */
typedef struct SlotPool {
    uint8_t *base;            /* reserved for limit slots; fixed */
    _Atomic uint64_t *words;  /* of a free slot: the next free one */
    size_t slot_size;
    size_t reserved;          /* bytes from base on */
    uint32_t limit;
    const char *what;

    pthread_mutex_t lock; /* guards what is below, and words[] of free slots */
    uint32_t ready;       /* slots that are backed by memory */
    uint32_t fresh;       /* first slot that was never used */
    uint32_t first_free;  /* SLOT_NONE: none */
    uint32_t used;
    int failed;           /* errno of a slot_pool_get() that failed; 0: none did */
} SlotPool;

#define SLOT_NONE UINT32_MAX

/**
 * slot_pool_init() - an empty pool of at most @limit slots of @slot_size bytes (a multiple of 8)
 * @what: the plural of what a slot holds, for messages; kept
 *
 * Fails where not even a few thousand slots of address space can be reserved (ulimit -v).
 */
bool slot_pool_init(SlotPool *pool, const char *what, size_t slot_size, uint32_t limit,
                    GError **error);

/** slot_pool_done() - gives all memory back, whether slots are in use or not; after a failed init too */
void slot_pool_done(SlotPool *pool);

/**
 * slot_pool_get() - a free slot whose word is 1: a reference; its content is undefined
 *
 * SLOT_NONE when memory or numbers have run out; the pool remembers that until slot_pool_check().
 * Context: any thread.
 */
uint32_t slot_pool_get(SlotPool *pool);

/** slot_pool_check() - true: no slot_pool_get() has failed since the last call. Context: any thread */
bool slot_pool_check(SlotPool *pool, GError **error);

/** slot_pool_put() - gives back a slot that nobody uses any more. Context: any thread */
void slot_pool_put(SlotPool *pool, uint32_t slot);

/** slot_pool_word(), slot_pool_set_word() - the word of a slot in use, where it is no count */
static inline uint64_t slot_pool_word(const SlotPool *pool, uint32_t slot)
{
    return atomic_load_explicit(&pool->words[slot], memory_order_relaxed);
}

static inline void slot_pool_set_word(SlotPool *pool, uint32_t slot, uint64_t word)
{
    atomic_store_explicit(&pool->words[slot], word, memory_order_relaxed);
}

/** slot_pool_ref() - one more reference on a slot in use */
static inline void slot_pool_ref(SlotPool *pool, uint32_t slot)
{
    atomic_fetch_add_explicit(&pool->words[slot], 1, memory_order_relaxed);
}

/** slot_pool_unref() - one less; true: it was the last, the caller cleans up and puts the slot back */
static inline bool slot_pool_unref(SlotPool *pool, uint32_t slot)
{
    return atomic_fetch_sub_explicit(&pool->words[slot], 1, memory_order_acq_rel) == 1;
}

/** slot_pool_used() - slots in use */
uint32_t slot_pool_used(SlotPool *pool);

/** slot_pool_find() - the slot into which @p points; SLOT_NONE: none. Context: any thread */
static inline uint32_t slot_pool_find(const SlotPool *pool, const void *p)
{
    uintptr_t offset = (uintptr_t)p - (uintptr_t)pool->base;

    return offset < pool->reserved ? (uint32_t)(offset / pool->slot_size) : SLOT_NONE;
}

static inline void *slot_pool_at(const SlotPool *pool, uint32_t slot)
{
    return pool->base + (size_t)slot * pool->slot_size;
}

#endif
