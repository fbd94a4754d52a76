/* SPDX-License-Identifier: MIT */
/* Where a region lies, what it shows, whether it is enabled: with the indexes that know of it. */
#include "tree-internal.h"

static void index_insert(RegionIndex **index, RegionIndexKey key, MemoryRegion *mr)
{
    if (!*index) {
        *index = region_index_new(key);
    }
    region_index_insert(*index, mr);
}

void region_index_alias(MemoryRegion *mr)
{
    index_insert(&mr->alias->aliases, REGION_INDEX_ALIASES, mr);
}

/* With the size that goes with it: either moves a region in its container's index. */
static void set_place(MemoryRegion *mr, MemoryRegion *container, hwaddr addr, Int128 size)
{
    if (mr->container) {
        region_index_remove(mr->container->children, mr);
    }
    mr->container = container;
    mr->addr = addr;
    mr->size = size;
    if (container) {
        index_insert(&container->children, REGION_INDEX_CHILDREN, mr);
    }
}

void region_place(MemoryRegion *mr, MemoryRegion *container, hwaddr addr, Int128 size)
{
    MemoryRegion *old = mr->container;
    bool reindex_alias = mr->alias && mr->size != size;

    if (reindex_alias) {
        region_index_remove(mr->alias->aliases, mr);
    }
    set_place(mr, container, addr, size);
    if (reindex_alias) {
        region_index_alias(mr);
    }
    if (old != container) {
        if (container) {
            region_link(container, mr);
        }
        if (old) {
            region_unlink(old, mr); /* not the last: the journal holds @mr */
        }
    }
}

void region_show(MemoryRegion *mr, hwaddr alias_offset)
{
    if (mr->alias_offset != alias_offset) {
        region_index_remove(mr->alias->aliases, mr);
        mr->alias_offset = alias_offset;
        region_index_alias(mr);
    }
}

void region_enable(MemoryRegion *mr, bool enabled)
{
    if (mr->enabled != enabled) {
        mr->enabled = enabled;
        if (mr->container) {
            region_index_refresh(mr->container->children, mr);
        }
        if (mr->alias) {
            region_index_refresh(mr->alias->aliases, mr);
        }
    }
}
