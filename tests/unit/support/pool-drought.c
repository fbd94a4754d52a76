/* SPDX-License-Identifier: MIT */
/* Free slots are set aside, and growing ends at the next few. */
#include "pool-drought.h"

void pool_drought_begin(PoolDrought *d, SlotPool *pool, unsigned left)
{
    pthread_mutex_lock(&pool->lock);
    *d = (PoolDrought){ pool, pool->first_free, pool->ready, pool->limit };
    pool->first_free = SLOT_NONE;
    pool->ready = MIN(pool->ready, pool->fresh + left);
    pool->limit = pool->ready;
    pthread_mutex_unlock(&pool->lock);
}

void pool_drought_end(PoolDrought *d)
{
    SlotPool *pool = d->pool;
    uint32_t last = SLOT_NONE;

    pthread_mutex_lock(&pool->lock);
    for (uint32_t slot = pool->first_free; slot != SLOT_NONE;
         slot = atomic_load_explicit(&pool->words[slot], memory_order_relaxed)) {
        last = slot;
    }
    if (last == SLOT_NONE) {
        pool->first_free = d->first_free;
    } else {
        atomic_store_explicit(&pool->words[last], d->first_free, memory_order_relaxed);
    }
    pool->ready = d->ready;
    pool->limit = d->limit;
    pthread_mutex_unlock(&pool->lock);
}
