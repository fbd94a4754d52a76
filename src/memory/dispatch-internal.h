/* SPDX-License-Identifier: MIT */
/* Dispatch: from an address to the tile that answers (PhysPageMap radix, subpages, section ids). */
#ifndef TESSERA_MEMORY_DISPATCH_INTERNAL_H
#define TESSERA_MEMORY_DISPATCH_INTERNAL_H

#include "flatview-internal.h"

/*
 * PhysPageMap: a radix tree over 4 KiB page frames, 9 bits a level. An entry is (skip, ptr): skip
 * says how many levels a step descends (single-child levels are skipped, 0 means leaf), ptr names a
 * node or a section. A page in which more than one tile lies goes through a subpage: a small sorted
 * list of what lies in that page.
 *
 * Section ids are stable across views and wider than 16 bits. They come from a SectionTable, which
 * belongs to the MemorySystem, and go back to it only a grace period after the last view with that
 * tile is gone.
 */
SectionTable *section_table_new(void);
void section_table_free(SectionTable *table);
/** section_table_add() - a new id for @fr (machine lock); holds no reference: the view does */
uint32_t section_table_add(SectionTable *table, const FlatRange *fr);
/** section_table_remove() - gives an id back (machine lock or RCU callback; thread-safe) */
void section_table_remove(SectionTable *table, uint32_t id);
uint32_t section_table_count(SectionTable *table);

/**
 * struct DispatchSection - what a lookup yields: everything an access needs, on one cache line
 * @mr: NULL for unassigned space
 * @host: host address of @start for RAM-like tiles that can be read directly, else NULL
 * @start, @last: the tile's addresses, inclusive
 * @offset_in_region: bytes into @mr at @start
 * @id: SECTION_ID_UNASSIGNED for unassigned space
 */
typedef struct DispatchSection {
    MemoryRegion *mr;
    uint8_t *host;
    hwaddr start;
    hwaddr last;
    hwaddr offset_in_region;
    uint32_t id;
    uint8_t dirty_log_mask;
    bool readonly;
    bool romd_mode;
} DispatchSection;

/** dispatch_new() - the radix of @view, whose ranges all carry section ids; asserted */
Dispatch *dispatch_new(SectionTable *table, const FlatView *view);
void dispatch_free(Dispatch *dispatch);

/**
 * dispatch_lookup() - what answers at @addr; never NULL
 *
 * Valid inside the read section in which @dispatch was loaded. For unassigned space the section's
 * @start and @last are those of the whole address space: use dispatch_unassigned_end().
 */
const DispatchSection *dispatch_lookup(const Dispatch *dispatch, hwaddr addr);

/** dispatch_next_start() - first assigned address after the unassigned @addr; false: none follows */
bool dispatch_next_start(const Dispatch *dispatch, hwaddr addr, hwaddr *ret_start);

uint64_t dispatch_nodes(const Dispatch *dispatch);
size_t dispatch_memory_bytes(const Dispatch *dispatch);

/*
 * The access path's side of a handler that takes the machine lock (see memory_system_lock()):
 * implemented in access.c, called by memory_system_lock() before it blocks.
 */
void memory_access_leave_read_section(void);

#endif
