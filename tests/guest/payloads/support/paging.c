/* SPDX-License-Identifier: MIT */
/* More than the first 4 GiB of memory in the page tables. */
#include "payload.h"

#define GIB_SHIFT 30
#define TABLES    4

extern uint64_t page_pointers[512];

static uint64_t tables[TABLES][512] __attribute__((aligned(4096)));
static unsigned tables_used;

void map_gib(uint64_t addr)
{
    unsigned gib = (unsigned)(addr >> GIB_SHIFT);
    uint64_t *table = tables[tables_used];

    if (page_pointers[gib] || tables_used == TABLES) {
        return;
    }
    tables_used++;
    for (unsigned i = 0; i < 512; i++) {
        table[i] = ((uint64_t)gib << GIB_SHIFT | (uint64_t)i << 21) | PAGE_2M;
    }
    page_pointers[gib] = (uintptr_t)table | PAGE_TABLE;
}
