/* SPDX-License-Identifier: MIT */
/* A pool of the dispatch that has run dry, for a while. */
#ifndef TESSERA_TESTS_POOL_DROUGHT_H
#define TESSERA_TESTS_POOL_DROUGHT_H

#include "../../../src/memory/section-table-internal.h"

typedef struct PoolDrought {
    SlotPool *pool;
    uint32_t first_free;
    uint32_t ready;
    uint32_t limit;
} PoolDrought;

/** pool_drought_begin() - @pool has @left slots at most, and what is given back meanwhile */
void pool_drought_begin(PoolDrought *d, SlotPool *pool, unsigned left);
/** pool_drought_end() - it has again all that it had */
void pool_drought_end(PoolDrought *d);

#endif
