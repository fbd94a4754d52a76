/* SPDX-License-Identifier: MIT */
/* Edits of the tree: each checks its rule, enters the journal, and is a transaction. */
#include "tessera/memory/region.h"

#include <inttypes.h>
#include "tessera/util/error.h"
#include "tessera/util/prefetch.h"
#include "dirty-internal.h"
#include "tree-internal.h"

/*
 * An edit is a transaction: begin, check the rules, record, change, end. What a rule refuses ends
 * it without a change, which leaves a transaction around it as it was. What changes the extent of
 * what a region shows stands between two calls of dirty-internal.h; what changes all of it needs
 * one.
 */
static void edit_begin(MemoryRegion *mr)
{
    prefetch_lines(mr, sizeof(*mr)); /* one of many thousands is far away, and is all needed */
    memory_region_transaction_begin(mr->ms);
}

static bool edit_end(MemoryRegion *mr, GError **error)
{
    return memory_region_transaction_commit(mr->ms, error);
}

static bool edit_refuse(MemoryRegion *mr)
{
    memory_region_transaction_commit(mr->ms, NULL);
    return false;
}

/*
 * Rule 6. Walks up from @container, which costs its depth and not the size of @sub: @sub reaches
 * @container exactly if @sub is @container, or shows it through containers and aliases.
 */
static bool would_reach_itself(MemoryRegion *container, MemoryRegion *sub)
{
    uint64_t mark;

    if (sub == container) {
        return true;
    }
    if (!sub->children && !sub->alias) {
        return false;
    }
    mark = transaction_next_mark(container->ms);
    region_mark_upwards(container, mark);
    return sub->mark == mark;
}

static bool check_add(MemoryRegion *container, MemoryRegion *sub, GError **error)
{
    if (container->kind == REGION_ALIAS) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "cannot put region '%s' into '%s': an alias has no subregions; "
                    "put it into its target '%s'",
                    sub->name, container->name, container->alias->name);
    } else if (sub->ms != container->ms) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "cannot put region '%s' into '%s': they belong to different machines",
                    sub->name, container->name);
    } else if (sub->container) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "cannot put region '%s' into '%s': it is in '%s'; take it out first, or "
                    "show it twice through an alias",
                    sub->name, container->name, sub->container->name);
    } else if (would_reach_itself(container, sub)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "cannot put region '%s' into '%s': it would contain itself", sub->name,
                    container->name);
    } else {
        return true;
    }
    return false;
}

bool memory_region_add_subregion_overlap(MemoryRegion *container, hwaddr offset, MemoryRegion *sub,
                                         int priority, GError **error)
{
    edit_begin(container);
    if (!check_add(container, sub, error)) {
        return edit_refuse(container);
    }
    transaction_record(sub, "add");
    sub->priority = priority;
    sub->order = transaction_next_order(sub->ms);
    region_place(sub, container, offset, sub->size);
    dirty_place(sub);
    return edit_end(container, error);
}

bool memory_region_add_subregion(MemoryRegion *container, hwaddr offset, MemoryRegion *sub,
                                 GError **error)
{
    return memory_region_add_subregion_overlap(container, offset, sub, 0, error);
}

bool memory_region_del_subregion(MemoryRegion *container, MemoryRegion *sub, GError **error)
{
    edit_begin(container);
    if (sub->container != container) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                    "cannot take region '%s' out of '%s': it is in %s%s%s", sub->name,
                    container->name, sub->container ? "'" : "no container",
                    sub->container ? sub->container->name : "", sub->container ? "'" : "");
        return edit_refuse(container);
    }
    transaction_record(sub, "remove");
    dirty_place(sub);
    region_place(sub, NULL, sub->addr, sub->size);
    return edit_end(container, error);
}

bool memory_region_set_enabled(MemoryRegion *mr, bool enabled, GError **error)
{
    edit_begin(mr);
    if (mr->enabled != enabled) {
        transaction_record(mr, enabled ? "enable" : "disable");
        dirty_all_content(mr);
        region_enable(mr, enabled);
        dirty_all_content(mr);
    }
    return edit_end(mr, error);
}

bool memory_region_set_address(MemoryRegion *mr, hwaddr addr, GError **error)
{
    edit_begin(mr);
    transaction_record(mr, "address of");
    dirty_place(mr);
    mr->order = transaction_next_order(mr->ms);
    region_place(mr, mr->container, addr, mr->size);
    dirty_place(mr);
    return edit_end(mr, error);
}

bool memory_region_set_priority(MemoryRegion *mr, int priority, GError **error)
{
    edit_begin(mr);
    if (mr->priority != priority) {
        transaction_record(mr, "priority of");
        mr->priority = priority;
        dirty_place(mr); /* where it lies has not changed: once does */
    }
    return edit_end(mr, error);
}

static bool check_size(const MemoryRegion *mr, Int128 size, GError **error)
{
    if (size <= 0 || size > INT128_2_64) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "size of region '%s' must be 1 to 2^64 bytes", mr->name);
        return false;
    }
    if (mr->block && size > ram_block_used_length(mr->block)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "size 0x%" PRIx64 " of region '%s' exceeds what block '%s' has in use, "
                    "0x%" PRIx64 ": resize the block first, to at most 0x%" PRIx64,
                    size > UINT64_MAX ? UINT64_MAX : (uint64_t)size, mr->name,
                    ram_block_idstr(mr->block), ram_block_used_length(mr->block),
                    ram_block_max_length(mr->block));
        return false;
    }
    return true;
}

bool memory_region_set_size(MemoryRegion *mr, Int128 size, GError **error)
{
    edit_begin(mr);
    if (!check_size(mr, size, error)) {
        return edit_refuse(mr);
    }
    if (mr->size != size) {
        Int128 old = mr->size;

        transaction_record(mr, "size of");
        dirty_size(mr, old, size);
        region_place(mr, mr->container, mr->addr, size);
        dirty_size(mr, old, size);
    }
    return edit_end(mr, error);
}

bool memory_region_set_alias_offset(MemoryRegion *mr, hwaddr offset, GError **error)
{
    edit_begin(mr);
    if (mr->kind != REGION_ALIAS) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "region '%s' is no alias: it has no alias offset", mr->name);
        return edit_refuse(mr);
    }
    if (mr->alias_offset != offset) {
        transaction_record(mr, "alias offset of");
        region_show(mr, offset);
        dirty_all_content(mr);
    }
    return edit_end(mr, error);
}

bool memory_region_set_readonly(MemoryRegion *mr, bool readonly, GError **error)
{
    edit_begin(mr);
    if (mr->kind == REGION_ROM && !readonly) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "region '%s' is ROM: it stays read-only; use RAM with readonly set instead",
                    mr->name);
        return edit_refuse(mr);
    }
    if (mr->readonly != readonly) {
        transaction_record(mr, "readonly of");
        mr->readonly = readonly;
        dirty_all_content(mr);
    }
    return edit_end(mr, error);
}

bool memory_region_set_nonvolatile(MemoryRegion *mr, bool nonvolatile, GError **error)
{
    edit_begin(mr);
    if (mr->nonvolatile != nonvolatile) {
        transaction_record(mr, "nonvolatile of");
        mr->nonvolatile = nonvolatile;
        dirty_all_content(mr);
    }
    return edit_end(mr, error);
}

bool memory_region_rom_device_set_romd(MemoryRegion *mr, bool romd_mode, GError **error)
{
    edit_begin(mr);
    if (mr->kind != REGION_ROM_DEVICE) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "region '%s' is %s, not a ROM device: it has no romd mode", mr->name,
                    memory_region_kind_name(mr));
        return edit_refuse(mr);
    }
    if (mr->romd_mode != romd_mode) {
        transaction_record(mr, "rom-device mode of");
        mr->romd_mode = romd_mode;
        dirty_all_content(mr);
    }
    return edit_end(mr, error);
}

static bool check_log(const MemoryRegion *mr, unsigned client, GError **error)
{
    if (client == 0 || client > UINT8_MAX || (client & (client - 1)) != 0) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "dirty-log client 0x%x is not one bit of 0xff", client);
        return false;
    }
    if (!mr->block) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "region '%s' is %s: only RAM is logged", mr->name,
                    memory_region_kind_name(mr));
        return false;
    }
    return true;
}

bool memory_region_set_log(MemoryRegion *mr, bool log, unsigned client, GError **error)
{
    unsigned mask;

    edit_begin(mr);
    if (!check_log(mr, client, error)) {
        return edit_refuse(mr);
    }
    mask = log ? mr->dirty_log_mask | client : mr->dirty_log_mask & ~client;
    if (mr->dirty_log_mask != mask) {
        transaction_record(mr, "dirty log of");
        mr->dirty_log_mask = (uint8_t)mask;
        dirty_all_content(mr);
    }
    return edit_end(mr, error);
}
