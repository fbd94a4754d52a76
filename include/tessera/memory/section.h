/* SPDX-License-Identifier: MIT */
/* MemoryRegionSection: a window of a region in an address space; and the way to walk a view. */
#ifndef TESSERA_MEMORY_SECTION_H
#define TESSERA_MEMORY_SECTION_H

#include "tessera/memory/types.h"
#include "tessera/util/range.h"

/**
 * struct MemoryRegionSection - one tile of a view, as listeners and questioners see it
 * @mr: the region that answers; valid as long as the call that passed the section, or (from
 *      address_space_find()) while the machine lock is held
 * @as: the address space
 * @offset_within_region: bytes into @mr
 * @offset_within_address_space: guest-physical address or port
 * @size: bytes, 1 .. 2^64
 * @dirty_log_mask: DIRTY_CLIENT_ bits
 */
typedef struct MemoryRegionSection {
    MemoryRegion *mr;
    AddressSpace *as;
    hwaddr offset_within_region;
    hwaddr offset_within_address_space;
    Int128 size;
    bool readonly;
    bool romd_mode;
    bool nonvolatile;
    uint8_t dirty_log_mask;
} MemoryRegionSection;

/** address_space_find() - the tile at @addr; false if nothing answers there. Under the machine lock. */
bool address_space_find(AddressSpace *as, hwaddr addr, MemoryRegionSection *ret_section);

/**
 * address_space_for_each() - calls @fn for each tile of the current view, by increasing address
 * @fn: returns false to end the walk
 *
 * Under the machine lock. Returns: false if @fn ended it.
 */
bool address_space_for_each(AddressSpace *as,
                            bool (*fn)(const MemoryRegionSection *section, void *opaque),
                            void *opaque);

/** address_space_generation() - number of the current view; never reused in a process */
uint64_t address_space_generation(AddressSpace *as);

/** memory_region_for_each_subregion() - children in winning order, first wins. Machine lock. */
void memory_region_for_each_subregion(MemoryRegion *mr,
                                      void (*fn)(MemoryRegion *sub, void *opaque), void *opaque);

#endif
