/* SPDX-License-Identifier: MIT */
/* MemoryRegion: a node of the tree that describes what a machine's addresses show. */
#ifndef TESSERA_MEMORY_REGION_H
#define TESSERA_MEMORY_REGION_H

#include <glib.h>
#include "tessera/memory/types.h"
#include "tessera/util/object.h"
#include "tessera/util/range.h"

/*
 * Who owns what an address shows, from the root down:
 *   1. A disabled region shows nothing and hides nothing; a region is clipped by its container.
 *   2. Among siblings the higher priority wins; at equal priority the one added (or moved) later.
 *   3. A container's own content (RAM or I/O regions may have subregions) fills what its subregions
 *      leave uncovered; a pure container leaves that to whatever lies below it.
 *   4. An alias shows its target's window, wherever the target itself sits.
 *   5. readonly and nonvolatile are inherited downwards, through aliases too.
 *   6. An edit by which a region would reach itself is refused.
 *
 * Lifetime. A region starts with one reference, its creator's. Being a subregion, an alias's
 * target, part of a view or mapped for DMA adds one each, and each of those also holds the region's
 * owner: a device cannot disappear while a vCPU may still call it. (A reference from one region to
 * another of the same owner does not: the owner would keep itself alive.) What a view or an edit
 * drops is dropped a grace period later, so an owner's finalizer may run on liburcu's thread.
 *
 * Every edit function takes the machine lock, is a transaction of its own when none is open, and
 * returns false with an error when the edit breaks a rule or its commit failed; the tree is then as
 * it was. Inside a transaction true means "pending".
 */

enum DeviceEndian { DEVICE_LITTLE_ENDIAN, DEVICE_BIG_ENDIAN };

/**
 * struct MemoryRegionOps - how an I/O region answers
 * @read: reads @size bytes at @offset (within the region) into *@ret_value, low bytes first
 * @write: writes the low @size bytes of @value at @offset
 * @endianness: byte order of the device's registers wider than a byte
 * @valid: what the guest may do: sizes 1, 2, 4, 8 (0 means 1 and 4); @valid.unaligned allows offsets
 *      that are no multiple of the size; @valid.accepts, if set, decides each access on top.
 *      An access that breaks this gets MEMTX_ERROR (reads: all ones) and does not reach the device.
 * @impl: what the callbacks take: the core splits wider accesses and widens narrower ones (a widened
 *      write writes only the bytes given: read-modify-write is the device's own business; see
 *      docs/memory.md). 0 means 1 and 4.
 *
 * Does not change while a region has it.
 *
 * Context: called outside the machine lock, on any vCPU or device thread, several at once.
 */
struct MemoryRegionOps {
    MemTxResult (*read)(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                        MemTxAttrs attrs);
    MemTxResult (*write)(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                         MemTxAttrs attrs);
    enum DeviceEndian endianness;
    struct {
        unsigned min_access_size;
        unsigned max_access_size;
        bool unaligned;
        bool (*accepts)(void *opaque, hwaddr offset, unsigned size, bool is_write,
                        MemTxAttrs attrs);
    } valid;
    struct {
        unsigned min_access_size;
        unsigned max_access_size;
        bool unaligned;
    } impl;
};

/*
 * Constructors. @owner may be NULL. @name is copied. @size: 1 .. 2^64 bytes (asserted; sizes that a
 * user chose are checked where they are parsed). The caller gets one reference.
 */

/** memory_region_new_container() - no content of its own */
MemoryRegion *memory_region_new_container(MemorySystem *ms, Object *owner, const char *name,
                                          Int128 size);

/** memory_region_new_io() - content answered by @ops; @ops outlives the region */
MemoryRegion *memory_region_new_io(MemorySystem *ms, Object *owner, const MemoryRegionOps *ops,
                                   void *opaque, const char *name, Int128 size);

/** memory_region_new_ram() - shows @block (takes a reference); size = the block's used length */
MemoryRegion *memory_region_new_ram(MemorySystem *ms, Object *owner, const char *name,
                                    RAMBlock *block);

/** memory_region_new_rom() - as RAM, but read-only to the guest */
MemoryRegion *memory_region_new_rom(MemorySystem *ms, Object *owner, const char *name,
                                    RAMBlock *block);

/**
 * memory_region_new_rom_device() - RAM for reads while romd_mode is on (it starts on), @ops for
 * writes; @ops for both while it is off
 */
MemoryRegion *memory_region_new_rom_device(MemorySystem *ms, Object *owner,
                                           const MemoryRegionOps *ops, void *opaque,
                                           const char *name, RAMBlock *block);

/** memory_region_new_ram_device() - as RAM, but reached with accesses of 1, 2, 4 or 8 bytes only */
MemoryRegion *memory_region_new_ram_device(MemorySystem *ms, Object *owner, const char *name,
                                           RAMBlock *block);

/**
 * memory_region_new_alias() - shows @target's window [@offset, @offset + @size)
 *
 * What lies outside of the target shows nothing. Takes a reference on @target.
 */
MemoryRegion *memory_region_new_alias(MemorySystem *ms, Object *owner, const char *name,
                                      MemoryRegion *target, hwaddr offset, Int128 size);

/** memory_region_ref() / memory_region_unref() - a reference on the region and on its owner */
MemoryRegion *memory_region_ref(MemoryRegion *mr);
void memory_region_unref(MemoryRegion *mr);

/**
 * memory_region_release() - drops the creator's reference (not the owner's: it is the owner's)
 *
 * The region must be in no container any more. NULL is allowed. Its memory is freed when nothing
 * refers to it and a grace period has passed.
 */
void memory_region_release(MemoryRegion *mr);

/* Edits. */

/**
 * memory_region_add_subregion() - puts @sub at @offset of @container, priority 0
 * memory_region_add_subregion_overlap() - the same, with a @priority among its siblings
 *
 * Errors: @sub has a container already; @sub reaches @container (cycle); @container is an alias.
 */
bool memory_region_add_subregion(MemoryRegion *container, hwaddr offset, MemoryRegion *sub,
                                 GError **error);
bool memory_region_add_subregion_overlap(MemoryRegion *container, hwaddr offset, MemoryRegion *sub,
                                         int priority, GError **error);
/** memory_region_del_subregion() - takes @sub out of @container (an error if it is not in it) */
bool memory_region_del_subregion(MemoryRegion *container, MemoryRegion *sub, GError **error);
bool memory_region_set_enabled(MemoryRegion *mr, bool enabled, GError **error);
/** memory_region_set_address() - moves within its container; counts as added anew, always */
bool memory_region_set_address(MemoryRegion *mr, hwaddr addr, GError **error);
/** memory_region_set_priority() - among siblings; its age stays as it is */
bool memory_region_set_priority(MemoryRegion *mr, int priority, GError **error);
/**
 * memory_region_set_size() - RAM-like regions: at most the block's used length, since what lies
 * above faults: a block grows before its region and shrinks after it
 */
bool memory_region_set_size(MemoryRegion *mr, Int128 size, GError **error);
bool memory_region_set_alias_offset(MemoryRegion *mr, hwaddr offset, GError **error);
/** memory_region_set_readonly() - what is ROM stays so (an error) */
bool memory_region_set_readonly(MemoryRegion *mr, bool readonly, GError **error);
bool memory_region_set_nonvolatile(MemoryRegion *mr, bool nonvolatile, GError **error);
/** memory_region_rom_device_set_romd() - ROM devices only (an error otherwise) */
bool memory_region_rom_device_set_romd(MemoryRegion *mr, bool romd_mode, GError **error);
/** memory_region_set_log() - adds or removes @client (one DIRTY_CLIENT_ bit) of dirty logging */
bool memory_region_set_log(MemoryRegion *mr, bool log, unsigned client, GError **error);

/**
 * memory_region_add_eventfd() - a guest write to @offset of @size bytes (0: any size) signals
 * @notifier instead of calling the write handler; with @match_data only when it writes @data
 *
 * One registration per (offset, size, match, data); a second is an error. Not owned: @notifier must
 * live until memory_region_del_eventfd() has committed.
 */
bool memory_region_add_eventfd(MemoryRegion *mr, hwaddr offset, unsigned size, bool match_data,
                               uint64_t data, EventNotifier *notifier, GError **error);
bool memory_region_del_eventfd(MemoryRegion *mr, hwaddr offset, unsigned size, bool match_data,
                               uint64_t data, EventNotifier *notifier, GError **error);

/** memory_region_add_coalescing() - writes to [@offset, @offset + @size) may be queued */
bool memory_region_add_coalescing(MemoryRegion *mr, hwaddr offset, uint64_t size, GError **error);
bool memory_region_clear_coalescing(MemoryRegion *mr, GError **error);
/** memory_region_set_flush_coalesced() - queued writes are drained before @mr is accessed */
void memory_region_set_flush_coalesced(MemoryRegion *mr, bool flush);

/* Questions. Context: any thread that holds a reference; tree questions under the machine lock. */

const char *memory_region_name(const MemoryRegion *mr);
Object *memory_region_owner(const MemoryRegion *mr); /* NULL: nobody; not a new reference */
Int128 memory_region_size(const MemoryRegion *mr);
hwaddr memory_region_addr(const MemoryRegion *mr);
int memory_region_priority(const MemoryRegion *mr);
bool memory_region_enabled(const MemoryRegion *mr);
bool memory_region_readonly(const MemoryRegion *mr);
MemoryRegion *memory_region_container(const MemoryRegion *mr);
MemoryRegion *memory_region_alias(const MemoryRegion *mr); /* NULL: not an alias */
hwaddr memory_region_alias_offset(const MemoryRegion *mr);
/** memory_region_is_ram() - has a RAMBlock: RAM, ROM, ROM device or RAM device */
bool memory_region_is_ram(const MemoryRegion *mr);
bool memory_region_is_ram_device(const MemoryRegion *mr);
bool memory_region_is_rom_device(const MemoryRegion *mr);
/**
 * memory_region_ram_block() - the block of a RAM-like region, NULL otherwise; not a new reference
 */
RAMBlock *memory_region_ram_block(const MemoryRegion *mr);
bool memory_region_flush_coalesced(const MemoryRegion *mr);
/** memory_region_kind_name() - "container", "ram", "rom", "romd", "ramd", "i/o" or "alias" */
const char *memory_region_kind_name(const MemoryRegion *mr);

#endif
