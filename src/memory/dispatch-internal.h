/* SPDX-License-Identifier: MIT */
/* Dispatch: from an address to the tile that answers (PhysPageMap radix, subpages, section ids). */
#ifndef TESSERA_MEMORY_DISPATCH_INTERNAL_H
#define TESSERA_MEMORY_DISPATCH_INTERNAL_H

#include "flatview-internal.h"
#include "tessera/memory/address-explain.h"

/*
 * PhysPageMap: a radix tree over 4 KiB page frames, 9 bits a level, 6 levels for 64-bit addresses.
 *
 *      31                            3 2    0
 *     +-------------------------------+------+    skip 0       ptr is a section id: the walk ends
 *     |              ptr              | skip |    skip 1..6    ptr is a node, that many levels down
 *     +-------------------------------+------+    skip 7       ptr is a subpage: the walk ends
 *
 * A node is 512 entries. Only windows in which two tiles or more lie are taken apart:
 *   - a window that a single tile touches is a leaf at that level, whether the tile fills it
 *     or not;
 *   - a node of which a single entry is in use is skipped: its parent's entry carries a higher
 *     skip.
 * Either way a walk may arrive at a tile that does not hold the address, so the last step of every
 * lookup is to compare it with the tile's bounds; if it lies outside, nothing is assigned there.
 * A page in which several tiles lie is a subpage: their offsets, sorted, for a binary search.
 *
 * Nodes and subpages are immutable once their view is published: the next view of a lineage (see
 * lineage-internal.h) shares every subtree that did not change and copies only the path to what did.
 * They live in pools of the SectionTable, which belongs to the MemorySystem, so that a number means
 * the same in every view.
 *
 * Section ids are stable across views and 29 bits wide. They go back to the table only a grace
 * period after the last view with that tile is gone.
 */
typedef uint32_t PhysPageEntry;

#define PHYS_PAGE_BITS   12
#define PHYS_LEVEL_BITS  9
#define PHYS_NODE_SIZE   (1u << PHYS_LEVEL_BITS)
#define PHYS_LEVELS      6u
#define PHYS_SKIP_BITS   3
#define PHYS_SKIP_MASK   7u
#define PHYS_SUBPAGE     7u
#define PHYS_UNASSIGNED  ((PhysPageEntry)SECTION_ID_UNASSIGNED)
#define SECTION_ID_LIMIT (1u << (32 - PHYS_SKIP_BITS))

typedef struct PhysPageNode {
    PhysPageEntry entries[PHYS_NODE_SIZE];
} PhysPageNode;

/* Behind the ids: uint16_t starts[count], each tile's first offset in the page, sorted. */
typedef struct PhysSubpage {
    uint32_t count;
    uint32_t ids[];
} PhysSubpage;

static inline uint16_t *phys_subpage_starts(const PhysSubpage *sp)
{
    return (uint16_t *)&sp->ids[sp->count];
}

/**
 * struct DispatchSection - what a lookup yields: everything an access needs, on one cache line
 * @mr: NULL for unassigned space
 * @host: host address of @start for tiles that can be read directly, else NULL
 * @start, @last: the tile's addresses, inclusive
 * @offset_in_region: bytes into @mr at @start
 * @id: SECTION_ID_UNASSIGNED for unassigned space
 * @counter: the region's number in readers' access counters
 * @born: number of the version that made it
 * @readonly: the tile's own and inherited flag, or memory that is mapped read-only
 * @direct_write: writes may go to @host, too
 */
typedef struct DispatchSection {
    MemoryRegion *mr;
    uint8_t *host;
    hwaddr start;
    hwaddr last;
    hwaddr offset_in_region;
    uint32_t id;
    uint32_t counter;
    uint8_t dirty_log_mask;
    bool readonly;
    bool romd_mode;
    bool direct_write;
    uint64_t born;
} __attribute__((aligned(64))) DispatchSection;

SectionTable *section_table_new(GError **error);
void section_table_free(SectionTable *table);
/**
 * section_table_check() - false with @error: memory for the view that was built last ran out
 *
 * Building goes on without ids and nodes that cannot be had. Who builds a view asks this before
 * anybody sees it, and throws it away on failure. Machine lock.
 */
bool section_table_check(SectionTable *table, GError **error);
/**
 * section_table_add() - a new id for @fr, which holds its region (machine lock)
 * @born: number of the version that has it first
 *
 * SECTION_ID_NONE when memory has run out: section_table_check() tells.
 */
uint32_t section_table_add(SectionTable *table, const FlatRange *fr, uint64_t born);
/** section_table_ref() - a further user of @id: it takes one more section_table_remove() to free it */
void section_table_ref(SectionTable *table, uint32_t id);
/**
 * section_table_remove() - gives an id back; the last user drops the region, too, so that its
 * owner's finalizer may run here. Machine lock or RCU callback; thread-safe
 */
void section_table_remove(SectionTable *table, uint32_t id);
/** section_table_count() - ids in use, without SECTION_ID_UNASSIGNED */
uint32_t section_table_count(SectionTable *table);
/** section_table_get() - the section of an id in use */
const DispatchSection *section_table_get(const SectionTable *table, uint32_t id);

/**
 * struct Dispatch - one view's way from an address to its tile; immutable
 * @generation: the view's, never 0 and never reused: the key of readers' caches
 * @nodes, @subpages, @sections: bases of the table's pools, which never move
 */
struct Dispatch {
    uint64_t generation;
    PhysPageEntry root;
    const PhysPageNode *nodes;
    PhysSubpage *const *subpages;
    const DispatchSection *sections;
    const FlatView *view; /* owns this */
    SectionTable *table;
    uint64_t nodes_total; /* of the radix */
    uint64_t nodes_built; /* for it: the others it shares with the one before */
};

/**
 * dispatch_new() - the radix of @view, whose tiles all carry section ids (asserted)
 * @old: that of the view before in the lineage, from which @view differs in @spans at most; NULL:
 *      from scratch. What the new radix has not of it is told with version_leave()
 * @spans: sorted AddrRange, each of whole tiles in both views
 *
 * The result is the same, entry for entry, as from scratch; but nodes into which no span reaches
 * are shared. Machine lock.
 */
Dispatch *dispatch_new(SectionTable *table, const FlatView *view, const Dispatch *old,
                       const GArray *spans);
/** dispatch_walk_parts() - see PartWalk */
void dispatch_walk_parts(const Dispatch *dispatch, uint64_t since, PartVisitor *fn, void *opaque);
/** dispatch_free() - frees one that was built from scratch and is no view's, with its nodes */
void dispatch_free(Dispatch *dispatch);

/**
 * dispatch_lookup() - what answers at @addr; never NULL
 *
 * Valid inside the read section in which @dispatch was loaded. For unassigned space the section's
 * @start and @last are those of the whole address space: dispatch_next_start() says where it ends.
 */
const DispatchSection *dispatch_lookup(const Dispatch *dispatch, hwaddr addr);

/** dispatch_next_start() - first assigned address after the unassigned @addr; false: none follows */
bool dispatch_next_start(const Dispatch *dispatch, hwaddr addr, hwaddr *ret_start);

/** dispatch_nodes() - nodes of the radix, those shared with other views included; walks them all */
uint64_t dispatch_nodes(const Dispatch *dispatch);
/** dispatch_memory_bytes() - of nodes, subpages and the sections of the view's tiles; the same */
size_t dispatch_memory_bytes(const Dispatch *dispatch);

/** dispatch_path() - the way of @addr through the radix, as dispatch_lookup() goes. Machine lock */
void dispatch_path(const Dispatch *dispatch, hwaddr addr, DispatchPath *ret_path);
/** dispatch_dump() - appends sections, nodes and subpages to @out. Machine lock: its view stays */
void dispatch_dump(const Dispatch *dispatch, GString *out);

/* phys-page-map.c: build and walk a radix. The table is the one that all entries refer to. */

/**
 * phys_page_map_build() - the root entry of a radix, see dispatch_new()
 * @ret_built: nodes made; @ret_gone: nodes of @old that the new radix has not
 */
PhysPageEntry phys_page_map_build(SectionTable *table, const FlatView *view, const Dispatch *old,
                                  const GArray *spans, uint64_t *ret_built, uint64_t *ret_gone);
/** phys_page_map_count() - adds up what lies below @entry */
void phys_page_map_count(const SectionTable *table, PhysPageEntry entry, uint64_t *nodes,
                         size_t *subpage_bytes);
/** phys_page_map_walk_parts() - see PartWalk: of what lies below @entry */
void phys_page_map_walk_parts(SectionTable *table, PhysPageEntry entry, uint64_t since,
                              PartVisitor *fn, void *opaque);

/*
 * The access path's side of a handler that takes the machine lock (see memory_system_lock()):
 * implemented in access.c, called by memory_system_lock() before it blocks.
 */
void memory_access_leave_read_section(void);

#endif
