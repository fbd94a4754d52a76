/* SPDX-License-Identifier: MIT */
/* MemoryRegion: construction, references, questions. */
#include "tessera/memory/region.h"

#include <string.h>
#include "access-internal.h"
#include "tree-internal.h"

static MemoryRegion *region_new(MemorySystem *ms, enum MemoryRegionKind kind, Object *owner,
                                const char *name, Int128 size)
{
    MemoryRegion *mr;

    g_assert(size > 0 && size <= INT128_2_64);
    mr = g_new0(MemoryRegion, 1);
    atomic_init(&mr->refs, 1);
    mr->kind = kind;
    mr->ms = ms;
    mr->owner = owner;
    mr->name = g_ref_string_new(name);
    mr->number = atomic_fetch_add_explicit(&ms->numbers, 1, memory_order_relaxed) + 1;
    mr->size = size;
    mr->enabled = true;
    if (kind != REGION_CONTAINER && kind != REGION_ALIAS) {
        mr->counter = counter_take(&ms->counters);
    }
    atomic_fetch_add_explicit(&ms->regions, 1, memory_order_relaxed);
    return mr;
}

static MemoryRegion *region_new_block(MemorySystem *ms, enum MemoryRegionKind kind, Object *owner,
                                      const char *name, RAMBlock *block)
{
    MemoryRegion *mr = region_new(ms, kind, owner, name, ram_block_used_length(block));

    mr->block = ram_block_ref(block);
    return mr;
}

MemoryRegion *memory_region_new_container(MemorySystem *ms, Object *owner, const char *name,
                                          Int128 size)
{
    return region_new(ms, REGION_CONTAINER, owner, name, size);
}

MemoryRegion *memory_region_new_io(MemorySystem *ms, Object *owner, const MemoryRegionOps *ops,
                                   void *opaque, const char *name, Int128 size)
{
    MemoryRegion *mr = region_new(ms, REGION_IO, owner, name, size);

    mr->ops = ops;
    mr->opaque = opaque;
    memory_io_know_sizes(mr);
    return mr;
}

MemoryRegion *memory_region_new_ram(MemorySystem *ms, Object *owner, const char *name,
                                    RAMBlock *block)
{
    return region_new_block(ms, REGION_RAM, owner, name, block);
}

MemoryRegion *memory_region_new_rom(MemorySystem *ms, Object *owner, const char *name,
                                    RAMBlock *block)
{
    MemoryRegion *mr = region_new_block(ms, REGION_ROM, owner, name, block);

    mr->readonly = true;
    return mr;
}

MemoryRegion *memory_region_new_rom_device(MemorySystem *ms, Object *owner,
                                           const MemoryRegionOps *ops, void *opaque,
                                           const char *name, RAMBlock *block)
{
    MemoryRegion *mr = region_new_block(ms, REGION_ROM_DEVICE, owner, name, block);

    mr->ops = ops;
    mr->opaque = opaque;
    memory_io_know_sizes(mr);
    mr->romd_mode = true;
    return mr;
}

MemoryRegion *memory_region_new_ram_device(MemorySystem *ms, Object *owner, const char *name,
                                           RAMBlock *block)
{
    return region_new_block(ms, REGION_RAM_DEVICE, owner, name, block);
}

MemoryRegion *memory_region_new_alias(MemorySystem *ms, Object *owner, const char *name,
                                      MemoryRegion *target, hwaddr offset, Int128 size)
{
    MemoryRegion *mr = region_new(ms, REGION_ALIAS, owner, name, size);

    g_assert(target->ms == ms);
    mr->alias_offset = offset;
    mr->alias = target;
    memory_system_lock(ms);
    region_link(mr, target);
    region_index_alias(mr);
    memory_system_unlock(ms);
    return mr;
}

static void region_drop_child(gpointer child, gpointer holder)
{
    MemoryRegion *mr = child;

    mr->container = NULL;
    region_unlink(holder, mr);
}

/*
 * Nothing refers to @mr any more: it is in no container, view or journal. Those who walk from a
 * target to its aliases hold the machine lock, so that is where it leaves the list. The lock may be
 * taken on the RCU callback thread: its owner never waits for a grace period.
 */
static void region_finalize(MemoryRegion *mr)
{
    MemorySystem *ms = mr->ms;

    g_assert(!mr->container);
    if (mr->alias || mr->children) {
        memory_system_lock(ms);
        if (mr->children) {
            g_autoptr(GPtrArray) children = region_index_all(mr->children);

            region_index_free(mr->children);
            mr->children = NULL;
            g_ptr_array_foreach(children, region_drop_child, mr);
        }
        if (mr->alias) {
            region_index_remove(mr->alias->aliases, mr);
            region_unlink(mr, mr->alias);
        }
        memory_system_unlock(ms);
    }
    g_clear_pointer(&mr->aliases, region_index_free);
    g_clear_pointer(&mr->ioeventfds, g_array_unref);
    g_clear_pointer(&mr->coalesced, g_array_unref);
    if (mr->block) {
        ram_block_unref(mr->block);
    }
    counter_give(&ms->counters, mr->counter);
    g_ref_string_release(mr->name);
    g_free(mr);
    atomic_fetch_sub_explicit(&ms->regions, 1, memory_order_release);
}

static void region_ref_alone(MemoryRegion *mr)
{
    atomic_fetch_add_explicit(&mr->refs, 1, memory_order_relaxed);
}

static void region_unref_alone(MemoryRegion *mr)
{
    unsigned before = atomic_fetch_sub_explicit(&mr->refs, 1, memory_order_acq_rel);

    g_assert(before > 0);
    if (before == 1) {
        region_finalize(mr);
    }
}

MemoryRegion *memory_region_ref(MemoryRegion *mr)
{
    region_ref_alone(mr);
    object_ref(mr->owner);
    return mr;
}

void memory_region_unref(MemoryRegion *mr)
{
    Object *owner = mr->owner;

    region_unref_alone(mr);
    object_unref(owner); /* behind: its finalizer may release the region */
}

void region_link(const MemoryRegion *holder, MemoryRegion *mr)
{
    region_ref_alone(mr);
    if (mr->owner != holder->owner) {
        object_ref(mr->owner);
    }
}

void region_unlink(const MemoryRegion *holder, MemoryRegion *mr)
{
    Object *owner = mr->owner == holder->owner ? NULL : mr->owner;

    region_unref_alone(mr);
    object_unref(owner);
}

void memory_region_release(MemoryRegion *mr)
{
    if (mr) {
        region_unref_alone(mr);
    }
}

bool region_has_content(const MemoryRegion *mr)
{
    return mr->kind != REGION_CONTAINER && mr->kind != REGION_ALIAS;
}

const char *memory_region_name(const MemoryRegion *mr)
{
    return mr->name;
}

Object *memory_region_owner(const MemoryRegion *mr)
{
    return mr->owner;
}

Int128 memory_region_size(const MemoryRegion *mr)
{
    return mr->size;
}

hwaddr memory_region_addr(const MemoryRegion *mr)
{
    return mr->addr;
}

int memory_region_priority(const MemoryRegion *mr)
{
    return mr->priority;
}

bool memory_region_enabled(const MemoryRegion *mr)
{
    return mr->enabled;
}

bool memory_region_readonly(const MemoryRegion *mr)
{
    return mr->readonly;
}

MemoryRegion *memory_region_container(const MemoryRegion *mr)
{
    return mr->container;
}

MemoryRegion *memory_region_alias(const MemoryRegion *mr)
{
    return mr->alias;
}

hwaddr memory_region_alias_offset(const MemoryRegion *mr)
{
    return mr->alias_offset;
}

bool memory_region_is_ram(const MemoryRegion *mr)
{
    return mr->block != NULL;
}

bool memory_region_is_ram_device(const MemoryRegion *mr)
{
    return mr->kind == REGION_RAM_DEVICE;
}

bool memory_region_is_rom_device(const MemoryRegion *mr)
{
    return mr->kind == REGION_ROM_DEVICE;
}

RAMBlock *memory_region_ram_block(const MemoryRegion *mr)
{
    return mr->block;
}

bool memory_region_flush_coalesced(const MemoryRegion *mr)
{
    return atomic_load_explicit(&mr->flush_coalesced, memory_order_relaxed);
}

void memory_region_set_flush_coalesced(MemoryRegion *mr, bool flush)
{
    atomic_store_explicit(&mr->flush_coalesced, flush, memory_order_relaxed);
}

const char *memory_region_kind_name(const MemoryRegion *mr)
{
    switch (mr->kind) {
    case REGION_CONTAINER:
        return "container";
    case REGION_RAM:
        return "ram";
    case REGION_ROM:
        return "rom";
    case REGION_ROM_DEVICE:
        return "romd";
    case REGION_RAM_DEVICE:
        return "ramd";
    case REGION_IO:
        return "i/o";
    case REGION_ALIAS:
        return "alias";
    }
    g_assert_not_reached();
}

void memory_region_for_each_subregion(MemoryRegion *mr,
                                      void (*fn)(MemoryRegion *sub, void *opaque), void *opaque)
{
    g_autoptr(GPtrArray) children = NULL;

    g_assert(memory_system_is_locked(mr->ms));
    children = region_children_in_order(mr);
    for (guint i = 0; i < children->len; i++) {
        fn(g_ptr_array_index(children, i), opaque);
    }
}
