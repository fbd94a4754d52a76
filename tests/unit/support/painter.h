/* SPDX-License-Identifier: MIT */
/* The oracle: what an address shows, by the rules of docs/memory.md alone, one at a time. */
#ifndef TESSERA_TESTS_PAINTER_H
#define TESSERA_TESTS_PAINTER_H

#include <glib.h>
#include "tessera/memory/address-space.h"
#include "tessera/memory/section.h"

/* What is painted on [@start, @last]. */
typedef struct PaintedTile {
    MemoryRegion *mr;
    hwaddr start;
    hwaddr last;
    hwaddr offset_in_region;
    bool readonly;
    bool romd_mode;
    bool nonvolatile;
    uint8_t dirty_log_mask;
} PaintedTile;

/** painter_at() - who answers at @addr of @root? Sets all but @start and @last. Machine lock */
bool painter_at(MemoryRegion *root, hwaddr addr, PaintedTile *ret_tile);

/** painter_paint() - the painting of @root, as PaintedTile, neighbours merged. Machine lock */
GArray *painter_paint(MemoryRegion *root);

/** painter_cuts() - every address where something begins or ends below @root, sorted, with 0 */
GArray *painter_cuts(MemoryRegion *root);

/**
 * painter_check() - asserts that @as shows what the painting of its root shows; prints a difference
 */
void painter_check(AddressSpace *as);

/** painter_view() - the view of @as as PaintedTile. Machine lock */
GArray *painter_view(AddressSpace *as);

/* A random number generator whose seed is printed, and taken from TESSERA_SEED if that is set. */
typedef struct TestRandom {
    uint64_t state;
} TestRandom;

TestRandom test_random_new(const char *what, uint64_t default_seed);
uint64_t test_random_u64(TestRandom *r);
/** test_random_below() - 0 .. @n - 1 */
uint32_t test_random_below(TestRandom *r, uint32_t n);

#endif
