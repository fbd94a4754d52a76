/* SPDX-License-Identifier: MIT */
/* The way of one address through a dispatch, step by step: what dispatch_lookup() does, told. */
#include <glib.h>
#include "section-table-internal.h"

_Static_assert(DISPATCH_STEPS_MAX == PHYS_LEVELS, "a step for each level at most");

static void path_add(DispatchPath *path, uint32_t node, unsigned skip, unsigned level,
                     unsigned index)
{
    g_assert(path->count < DISPATCH_STEPS_MAX);
    path->steps[path->count++] =
        (DispatchStep){ .node = node, .skip = skip, .level = level, .index = index };
}

/* The part that holds @offset: the last that starts at or below it, else the first. */
static uint32_t path_end_in_subpage(DispatchPath *path, const PhysSubpage *sp, uint32_t number,
                                    unsigned offset)
{
    const uint16_t *starts = phys_subpage_starts(sp);

    path->in_subpage = true;
    path->subpage = number;
    path->parts = sp->count;
    while (path->part + 1 < sp->count && starts[path->part + 1] <= offset) {
        path->part++;
    }
    path->part_start = starts[path->part];
    return sp->ids[path->part];
}

void dispatch_path(const Dispatch *dispatch, hwaddr addr, DispatchPath *ret_path)
{
    PhysPageEntry entry = dispatch->root;
    unsigned level = PHYS_LEVELS; /* whose entry this is: the root is one, of a level above all */
    const DispatchSection *s;

    *ret_path = (DispatchPath){ 0 };
    for (;;) {
        unsigned skip = entry & PHYS_SKIP_MASK;
        uint32_t ptr = entry >> PHYS_SKIP_BITS;
        unsigned index;

        if (skip == PHYS_SUBPAGE) {
            ret_path->section = path_end_in_subpage(ret_path, dispatch->subpages[ptr], ptr,
                                                    addr & ((1u << PHYS_PAGE_BITS) - 1));
            break;
        }
        if (skip == 0) {
            ret_path->section = ptr;
            break;
        }
        level -= skip;
        index = addr >> (PHYS_PAGE_BITS + PHYS_LEVEL_BITS * level) & (PHYS_NODE_SIZE - 1);
        path_add(ret_path, ptr, skip, level, index);
        entry = dispatch->nodes[ptr].entries[index];
    }
    s = section_table_get(dispatch->table, ret_path->section);
    ret_path->outside = addr - s->start > s->last - s->start;
}
