/* SPDX-License-Identifier: MIT */
/* By which way through the trees a tile of a view comes to its region. */
#ifndef TESSERA_PICTURE_TRACE_INTERNAL_H
#define TESSERA_PICTURE_TRACE_INTERNAL_H

#include "tessera/memory/map-snapshot.h"

/**
 * struct TracePart - addresses @start .. @last of a tile, which come to its region by one way
 * @tile: index in the view
 * @entry: where the way leaves the root's own tree: the first alias on it, or the tile's region
 */
typedef struct TracePart {
    guint tile;
    uint32_t entry;
    hwaddr start;
    hwaddr last;
} TracePart;

typedef struct Trace Trace;

/** trace_new() - ready to follow ways through @map, which outlives it. Linear in the regions */
Trace *trace_new(const MapSnapshot *map);
void trace_free(Trace *trace);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Trace, trace_free)

/**
 * trace_tile() - appends the parts of tile number @tile of @view, by address, to @parts (TracePart)
 * @root: of a space that shows the view
 *
 * Follows the rules of docs/memory.md. Where that would take too many steps (trees that nest without
 * end, or are sewn together from very many aliases), the rest of the tile is left out: trace_complete()
 * is false from then on.
 */
void trace_tile(Trace *trace, const MapView *view, guint tile, uint32_t root, GArray *parts);
bool trace_complete(const Trace *trace);
/** trace_shows() - has a tile been traced to or through @region? */
bool trace_shows(const Trace *trace, uint32_t region);

#endif
