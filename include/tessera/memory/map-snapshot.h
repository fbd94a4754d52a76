/* SPDX-License-Identifier: MIT */
/* The memory map at one moment, as plain data: trees, views, slots, counts. For who draws or lists it. */
#ifndef TESSERA_MEMORY_MAP_SNAPSHOT_H
#define TESSERA_MEMORY_MAP_SNAPSHOT_H

#include <glib.h>
#include "tessera/memory/access-counters.h"
#include "tessera/memory/types.h"
#include "tessera/util/object.h"
#include "tessera/util/range.h"

/*
 * Nothing in a snapshot points into the machine: it is read without a lock, on any thread, and tells
 * what was true when it was taken. Regions refer to each other by their index in MapSnapshot.regions.
 *
 * A tree stands there as a whole and once, whoever shows it: in pre-order, so that all that lies below
 * the region i are the indexes i + 1 .. end - 1. Siblings stand by address, at the same address the
 * winner first. First the trees of the address spaces' roots, in the spaces' order, then those that
 * only aliases show, in the order in which the aliases are met.
 */

typedef enum MapKind {
    MAP_CONTAINER,
    MAP_RAM,
    MAP_ROM,
    MAP_ROM_DEVICE,
    MAP_RAM_DEVICE,
    MAP_IO,
    MAP_ALIAS,
} MapKind;
#define MAP_KINDS 7u

#define MAP_NONE UINT32_MAX /* an index of no region */

/**
 * struct MapRegion - one region
 * @name: valid UTF-8; what was not is replaced
 * @owner: text for people, or NULL
 * @base: its first address, counted from that of its tree's top; may lie above 2^64
 * @end: index of the first region that is not below it
 * @rank: among its siblings: 0 wins over all others
 * @ordinal: its place among its siblings by address; @children: how many it has itself
 * @alias: the target of an alias, else MAP_NONE; @alias_offset: bytes into it
 * @counted: it is accessed itself, and @counts says how often
 */
typedef struct MapRegion {
    char *name;
    char *owner;
    MapKind kind;
    Int128 base;
    Int128 size;
    hwaddr alias_offset;
    uint32_t parent; /* MAP_NONE: the top of a tree */
    uint32_t top;
    uint32_t end;
    uint32_t depth; /* 0: a top */
    uint32_t rank;
    uint32_t ordinal;
    uint32_t children;
    uint32_t alias;
    int priority;
    bool enabled;
    bool readonly;
    bool nonvolatile;
    bool romd_mode;
    bool counted;
    MemoryAccessCounts counts;
} MapRegion;

/**
 * struct MapTile - one tile of a view: addresses @start .. @last show @region from @offset on
 * @kind: what the guest meets there: RAM that is read-only there is MAP_ROM, a ROM device whose reads
 *      go to its callbacks MAP_IO. Never a container or an alias
 */
typedef struct MapTile {
    hwaddr start;
    hwaddr last;
    hwaddr offset;
    uint32_t region;
    MapKind kind;
    bool readonly;
    bool nonvolatile;
} MapTile;

/** struct MapSlot - a memory slot of the accelerator, @start .. @last of the view's addresses */
typedef struct MapSlot {
    char *region; /* name */
    hwaddr start;
    hwaddr last;
    uint32_t id;
    bool readonly;
    bool logged; /* writes are noted */
} MapSlot;

/** struct MapNote - what the board has to say about addresses that no region covers */
typedef struct MapNote {
    char *text;
    hwaddr start;
    hwaddr last;
} MapNote;

/** struct MapView - what one or more address spaces show; all arrays by address */
typedef struct MapView {
    GArray *tiles; /* MapTile */
    GArray *slots; /* MapSlot */
    GArray *notes; /* MapNote */
    uint32_t root; /* the lowest region that shows all of it; MAP_NONE: nothing */
} MapView;

typedef struct MapSpace {
    char *name;
    uint32_t root;
    uint32_t view; /* index in MapSnapshot.views */
} MapSpace;

typedef struct MapSnapshot {
    GArray *regions; /* MapRegion */
    GArray *spaces;  /* MapSpace */
    GPtrArray *views; /* MapView *, each once, in the order of the spaces */
    MemoryAccessCounts unassigned; /* accesses where nothing answers */
} MapSnapshot;

/**
 * map_snapshot_take() - trees, views and counts of all address spaces
 * @owner_name: says who owns a region (@owner may be NULL): a new string, or NULL; NULL: owners are
 *      left out. Called under the machine lock
 *
 * Costs what there is, O(n log n) in the regions. Takes the machine lock; a caller that holds it
 * already can add slots of the same moment.
 */
MapSnapshot *map_snapshot_take(MemorySystem *ms, char *(*owner_name)(Object *owner));
void map_snapshot_free(MapSnapshot *map); /* NULL is allowed */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MapSnapshot, map_snapshot_free)

/** map_snapshot_view_of() - the view of the space named @space, or NULL */
MapView *map_snapshot_view_of(MapSnapshot *map, const char *space);
/**
 * map_view_add_slot() - behind those with lower addresses
 * @region: its name, copied; @slot->region does not matter
 */
void map_view_add_slot(MapView *view, const MapSlot *slot, const char *region);
/** map_view_add_note() - the same; @text, UTF-8, is copied */
void map_view_add_note(MapView *view, hwaddr start, hwaddr last, const char *text);

/** map_kind_name() - as memory_region_kind_name() has it: "ram", "i/o", ... */
const char *map_kind_name(MapKind kind);
/** map_snapshot_shown_kind() - the kind of what an alias shows in the end; of others their own */
MapKind map_snapshot_shown_kind(const MapSnapshot *map, uint32_t region);

static inline const MapRegion *map_region(const MapSnapshot *map, uint32_t index)
{
    return &g_array_index(map->regions, MapRegion, index);
}

static inline const MapTile *map_tile(const MapView *view, guint index)
{
    return &g_array_index(view->tiles, MapTile, index);
}

static inline const MapSlot *map_slot(const MapView *view, guint index)
{
    return &g_array_index(view->slots, MapSlot, index);
}

static inline const MapNote *map_note(const MapView *view, guint index)
{
    return &g_array_index(view->notes, MapNote, index);
}

static inline const MapSpace *map_space(const MapSnapshot *map, guint index)
{
    return &g_array_index(map->spaces, MapSpace, index);
}

static inline const MapView *map_view(const MapSnapshot *map, guint index)
{
    return g_ptr_array_index(map->views, index);
}

#endif
