/* SPDX-License-Identifier: MIT */
/* The effective root: the lowest region that shows all that a root shows. */
#include "tree-internal.h"

typedef struct Shown {
    MemoryRegion *first;
    unsigned count;
} Shown;

static bool count_shown(MemoryRegion *child, void *opaque)
{
    Shown *shown = opaque;

    if (shown->count++ == 0) {
        shown->first = child;
    }
    return shown->count < 2;
}

/* How many enabled children show in a pure container: 0, 1, or 2 for more; and the first one. */
static Shown children_shown(const MemoryRegion *mr)
{
    Shown shown = { 0 };

    region_index_visit(mr->children, addr_range(0, mr->size), count_shown, &shown);
    return shown;
}

/* One step down, or @mr itself when it is as far as one gets. */
static MemoryRegion *effective_step(MemoryRegion *mr)
{
    const MemoryRegion *child;
    Shown shown;

    if (mr->readonly || mr->nonvolatile) {
        return mr;
    }
    if (mr->alias) {
        /* Not to a disabled target: whether that is covered could change without a trace here. */
        return mr->alias_offset == 0 && mr->alias->enabled && mr->size >= mr->alias->size
                   ? mr->alias
                   : mr;
    }
    if (mr->kind != REGION_CONTAINER) {
        return mr;
    }
    shown = children_shown(mr);
    child = shown.first;
    if (shown.count == 0) {
        return NULL;
    }
    return shown.count == 1 && child->addr == 0 && child->size <= mr->size ? shown.first : mr;
}

MemoryRegion *memory_region_effective_root(MemoryRegion *root)
{
    MemoryRegion *mr = NULL;

    while (root && root->enabled && root != mr) {
        mr = root;
        root = effective_step(mr);
    }
    return root && root->enabled ? root : NULL;
}
