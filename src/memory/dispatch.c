/* SPDX-License-Identifier: MIT */
/* Dispatch: from an address to the tile that answers. */
#include "dispatch-internal.h"

#include <glib.h>
#include "section-table-internal.h"

Dispatch *dispatch_new(SectionTable *table, const FlatView *view, const Dispatch *old,
                       const GArray *spans)
{
    Dispatch *dispatch = g_new(Dispatch, 1);
    uint64_t gone;

    *dispatch = (Dispatch){
        .generation = flatview_generation(view),
        .nodes = (const PhysPageNode *)table->nodes.base,
        .subpages = (PhysSubpage *const *)table->subpages.base,
        .sections = (const DispatchSection *)table->sections.base,
        .view = view,
        .table = table,
    };
    g_assert(dispatch->generation != 0);
    dispatch->root = phys_page_map_build(table, view, old, spans, &dispatch->nodes_built, &gone);
    dispatch->nodes_total = (old ? old->nodes_total : 0) + dispatch->nodes_built - gone;
    return dispatch;
}

void dispatch_walk_parts(const Dispatch *dispatch, uint64_t since, PartVisitor *fn, void *opaque)
{
    phys_page_map_walk_parts(dispatch->table, dispatch->root, since, fn, opaque);
}

void dispatch_free(Dispatch *dispatch)
{
    dispatch_walk_parts(dispatch, 0, part_drop, dispatch->table);
    g_free(dispatch);
}

/* The tile with the last start at or below @offset; the first one if all start above it. */
static uint32_t subpage_find(const PhysSubpage *sp, unsigned offset)
{
    const uint16_t *base = phys_subpage_starts(sp);
    const uint16_t *first = base;
    uint32_t n = sp->count;

    while (n > 1) {
        uint32_t half = n / 2;

        base += base[half] <= offset ? half : 0; /* a conditional move: no branch to mispredict */
        n -= half;
    }
    return sp->ids[base - first];
}

const DispatchSection *dispatch_lookup(const Dispatch *dispatch, hwaddr addr)
{
    PhysPageEntry entry = dispatch->root;
    unsigned shift = PHYS_PAGE_BITS + PHYS_LEVELS * PHYS_LEVEL_BITS;
    unsigned skip = entry & PHYS_SKIP_MASK;
    const DispatchSection *section;
    uint32_t id;

    while (skip - 1 < PHYS_LEVELS) {
        shift -= skip * PHYS_LEVEL_BITS;
        entry = dispatch->nodes[entry >> PHYS_SKIP_BITS]
                    .entries[(addr >> shift) & (PHYS_NODE_SIZE - 1)];
        skip = entry & PHYS_SKIP_MASK;
    }
    id = entry >> PHYS_SKIP_BITS;
    if (skip == PHYS_SUBPAGE) {
        id = subpage_find(dispatch->subpages[id], addr & ((1u << PHYS_PAGE_BITS) - 1));
    }
    section = &dispatch->sections[id];
    if (addr - section->start > section->last - section->start) {
        return &dispatch->sections[SECTION_ID_UNASSIGNED];
    }
    return section;
}

bool dispatch_next_start(const Dispatch *dispatch, hwaddr addr, hwaddr *ret_start)
{
    const FlatRange *fr = flatview_find_from(dispatch->view, addr);

    if (!fr) {
        return false;
    }
    *ret_start = fr->start;
    return true;
}

uint64_t dispatch_nodes(const Dispatch *dispatch)
{
    uint64_t nodes = 0;
    size_t subpage_bytes = 0;

    phys_page_map_count(dispatch->table, dispatch->root, &nodes, &subpage_bytes);
    return nodes;
}

size_t dispatch_memory_bytes(const Dispatch *dispatch)
{
    uint64_t nodes = 0;
    size_t subpage_bytes = 0;

    phys_page_map_count(dispatch->table, dispatch->root, &nodes, &subpage_bytes);
    return sizeof(*dispatch) + subpage_bytes +
           nodes * (sizeof(PhysPageNode) + sizeof(uint64_t)) +
           flatview_count(dispatch->view) * (sizeof(DispatchSection) + sizeof(uint64_t));
}
