/* SPDX-License-Identifier: MIT */
/* Random trees of regions and random edits, with a shadow that tells what they should have done. */
#ifndef TESSERA_TESTS_RANDOM_TREE_H
#define TESSERA_TESTS_RANDOM_TREE_H

#include <glib.h>
#include "../../../src/memory/tree-internal.h"
#include "painter.h"
#include "tessera/util/event-notifier.h"

#define RANDOM_TREE_MAX       320u
#define RANDOM_TREE_NOTIFIERS 3u

/**
 * struct TreeStyle - what a random tree looks like
 * @regions: at most RANDOM_TREE_MAX. 0 is a container of 2^64 bytes, 1 an alias of all of it, 2 a
 *      container that shows this alias (a bus master's window): until edits change them
 * @places: of 0x400 bytes each, where most regions lie
 * @edges: one address or size in so many lies at an edge of 2^64
 */
typedef struct TreeStyle {
    unsigned regions;
    unsigned places;
    unsigned edges;
} TreeStyle;

/* A region as the edits should have left it; compared with what is there. */
typedef struct Shadow {
    Int128 size;
    hwaddr addr;
    hwaddr alias_offset;
    uint64_t age; /* larger: added or moved later */
    int container; /* -1: none */
    int priority;
    bool enabled;
    bool readonly;
    bool nonvolatile;
    bool romd_mode;
    uint8_t dirty_log_mask;
} Shadow;

typedef struct RandomTree {
    TreeStyle style;
    TestRandom *random;
    MemorySystem *ms;
    MemoryRegion *regions[RANDOM_TREE_MAX];
    RAMBlock *blocks[RANDOM_TREE_MAX];
    Shadow shadows[RANDOM_TREE_MAX];
    uint64_t age;
    EventNotifier notifiers[RANDOM_TREE_NOTIFIERS];
} RandomTree;

/** random_tree_init() - regions, most of them in others, before there is a space */
void random_tree_init(RandomTree *t, TestRandom *random, const TreeStyle *style);
/** random_tree_done() - takes it apart; nothing shows it any more */
void random_tree_done(RandomTree *t);
uint32_t random_tree_below(RandomTree *t, uint32_t n);

/**
 * random_tree_edit() - one edit, inside a transaction; some are refused, which is asserted
 * @shown: a region that shows, for half of the edits to change something; NULL: none is known
 */
void random_tree_edit(RandomTree *t, const MemoryRegion *shown);
/** random_tree_check() - asserts that the tree is what the edits that took effect say */
void random_tree_check(RandomTree *t);
/** random_tree_byte() - what a read of one byte of @mr yields, wherever */
uint8_t random_tree_byte(const RandomTree *t, const MemoryRegion *mr);

#endif
