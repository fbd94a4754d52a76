/* SPDX-License-Identifier: MIT */
/* FlatTree: the tiles of a view by address, in a tree whose parts successive views share. */
#ifndef TESSERA_MEMORY_FLAT_TREE_INTERNAL_H
#define TESSERA_MEMORY_FLAT_TREE_INTERNAL_H

#include <glib.h>
#include "lineage-internal.h"
#include "tessera/memory/section.h"
#include "tessera/memory/types.h"

/**
 * struct FlatRange - one tile with uniform attributes
 * @start, @last: first and last address, inclusive (a tile may end at 2^64 - 1)
 * @offset_in_region: bytes into @mr at @start
 * @section_id: the dispatch's name for this tile: equal tiles of successive views carry the same
 *      id; SECTION_ID_NONE while a list of tiles is under construction
 */
typedef struct FlatRange {
    MemoryRegion *mr;
    hwaddr start;
    hwaddr last;
    hwaddr offset_in_region;
    uint32_t section_id;
    uint8_t dirty_log_mask;
    bool readonly;
    bool romd_mode;
    bool nonvolatile;
} FlatRange;

#define SECTION_ID_NONE       UINT32_MAX
#define SECTION_ID_UNASSIGNED 0u /* every dispatch's answer where no tile lies */

/** flat_range_same_tile() - same addresses, region, offset and attributes; dirty-log mask aside */
bool flat_range_same_tile(const FlatRange *a, const FlatRange *b);
/** flat_range_equal() - the same, dirty-log mask included: one section id can name both */
bool flat_range_equal(const FlatRange *a, const FlatRange *b);

/*
 * Tiles under construction: a GArray of FlatRange, by address. It holds no references, so it lives
 * no longer than the machine lock is held: the region tree keeps alive what it names.
 */
GArray *flat_ranges_new(void);
/**
 * flat_ranges_append() - adds @fr behind all others (asserted); where it runs on from the last one
 * in region, offset, attributes and mask, that one becomes longer instead
 */
void flat_ranges_append(GArray *ranges, const FlatRange *fr);

/*
 * A B+ tree: tiles stand in leaves, by address; an inner node knows the last address below each of
 * its children. Nodes are immutable. To replace some tiles is to copy the nodes on the way to them;
 * all others are shared with the tree from which one started, whose version is the one before (see
 * lineage-internal.h: nodes are parts):
 *
 *        root ------------> [ . . . ]         [ . . ' ] <---------- root'
 *                            |  |  |          /  /   |
 *                            |  |  +---------/--/----|-- only root's
 *                            v  v           v  v     v
 *                           [ ][ ]<--- shared ---   [ ] only root's'
 *
 * An empty tree is NULL. All leaves are at the same depth; neighbours are joined when one has become
 * small, so that the height stays logarithmic however often tiles come and go. Sections are parts of
 * their own: who replaces tiles tells which of them left.
 */
typedef struct FlatNode FlatNode;

#define FLAT_NODE_BYTES 656u /* of any node */

/**
 * flat_tree_replace() - the tree that has @ranges in place of all tiles of @root in [@first, @last]
 * @version: that of the new tree, which is being made; @root is its own so far, or its predecessor's
 * @ranges: FlatRange by address, all inside
 *
 * No tile of @root may reach over @first or @last. The nodes that the new tree has not are told with
 * version_leave(): @root is valid as long as the predecessor is, and not at all if it was @version's.
 */
FlatNode *flat_tree_replace(const Version *version, FlatNode *root, hwaddr first, hwaddr last,
                            const GArray *ranges);
/** flat_node_free() - a part of the kind PART_TREE_NODE. Context: any thread */
void flat_node_free(SectionTable *table, void *node);
/** flat_tree_walk_parts() - see PartWalk: nodes, and the sections of their tiles */
void flat_tree_walk_parts(SectionTable *table, FlatNode *root, uint64_t since, PartVisitor *fn,
                          void *opaque);

/**
 * flat_tree_find_from() - the first tile that ends at or after @addr, or NULL
 * @ret_left: how many tiles follow it directly in memory, before the tree must be asked again; may
 *      be NULL
 */
const FlatRange *flat_tree_find_from(const FlatNode *root, hwaddr addr, uint32_t *ret_left);

/** flat_tree_find_before() - the last tile that ends below @addr, or NULL */
const FlatRange *flat_tree_find_before(const FlatNode *root, hwaddr addr);

/* Where a search in a tree ended: the next one nearby begins there. All zeroes: nowhere. */
typedef struct FlatFinger {
    const FlatNode *leaf;
    hwaddr low; /* behind the leaf before; here and up to @last the answer stands in the leaf */
    hwaddr last;
} FlatFinger;

/** flat_tree_find_near() - flat_tree_find_from(); @finger is one of this @root, and moves */
const FlatRange *flat_tree_find_near(const FlatNode *root, FlatFinger *finger, hwaddr addr,
                                     uint32_t *ret_left);

size_t flat_tree_bytes(const FlatNode *root);
/** flat_tree_height() - nodes on the way to a tile; an empty tree: 0 */
unsigned flat_tree_height(const FlatNode *root);

#endif
