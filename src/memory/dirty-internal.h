/* SPDX-License-Identifier: MIT */
/* Dirty windows: where the edits of a transaction may have changed what address spaces show. */
#ifndef TESSERA_MEMORY_DIRTY_INTERNAL_H
#define TESSERA_MEMORY_DIRTY_INTERNAL_H

#include "memory-internal.h"

/*
 * An edit of one region changes at most what the region shows, wherever that is seen: in its
 * container, through each alias, and on from these. So each edit walks up from the region, before
 * it changes anything and again afterwards, and leaves a window in each address space that it
 * arrives at, clipped on the way by every container and alias, and ended by whatever is disabled:
 *
 *      bar, 4 KiB  --> in "pci" at 0xfe000000 --> in "system" ........ memory: 0xfe000000 + 4 KiB
 *                                 |
 *                                 +- alias of 2 KiB of it, in "dma" .. device: 0x1000 + 2 KiB
 *
 * What n edits change all in all lies in the windows of all n, so an undo, or an edit that is taken
 * back, needs no care: a window too many costs time, no more. Two kinds of edit are told apart,
 * because an alias shows its target wherever the target lies:
 *   dirty_content()  what the region shows (enabled, attributes, size, alias offset, events)
 *   dirty_place()    that it lies where it does in its container (add, del, move, priority)
 *
 * An edit that changes an address space's effective root leaves a window there, too, even if
 * nothing that shows has changed, since every step to the effective root shows all of the next:
 * sizes decide that, which is why a changed size also marks the last byte that stays.
 */

/** dirty_content() - what @mr shows in @window (offsets in it) may be different after the edit */
void dirty_content(MemoryRegion *mr, AddrRange window);
/** dirty_all_content() - all that @mr shows */
void dirty_all_content(MemoryRegion *mr);
/** dirty_size() - @mr, which has one of these sizes, has or had the other; both before and after */
void dirty_size(MemoryRegion *mr, Int128 one, Int128 other);
/** dirty_place() - what the container of @mr (may be NULL) shows because of @mr */
void dirty_place(MemoryRegion *mr);

/** dirty_take() - the windows of @as, in order and apart; NULL: none. The caller's; @as is clean */
GArray *dirty_take(AddressSpace *as);
/** dirty_clear() - forgets the windows of every space */
void dirty_clear(MemorySystem *ms);

/**
 * addr_ranges_normalize() - sorts a GArray of AddrRange and joins those that overlap or touch
 */
void addr_ranges_normalize(GArray *ranges);

#endif
