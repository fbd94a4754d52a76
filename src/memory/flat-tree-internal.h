/* SPDX-License-Identifier: MIT */
/* FlatTree: the tiles of a view by address, in a tree whose parts successive views share. */
#ifndef TESSERA_MEMORY_FLAT_TREE_INTERNAL_H
#define TESSERA_MEMORY_FLAT_TREE_INTERNAL_H

#include <glib.h>
#include "tessera/memory/section.h"
#include "tessera/memory/types.h"

typedef struct SectionTable SectionTable;

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
 * its children. Nodes are immutable and counted by reference. To replace some tiles is to copy the
 * nodes on the way to them; all others are shared with the tree from which one started:
 *
 *        root ------------> [ . . . ]         [ . . ' ] <---------- root'
 *                            |  |  |          /  /   |
 *                            |  |  +---------/--/----|-- only root's
 *                            v  v           v  v     v
 *                           [ ][ ]<--- shared ---   [ ] only root's'
 *
 * A leaf holds one count of each of its tiles' section ids, and the section holds the region. An
 * empty tree is NULL. All leaves are at the same depth; neighbours are joined when one has become
 * small, so that the height stays logarithmic however often tiles come and go.
 */
typedef struct FlatNode FlatNode;

FlatNode *flat_tree_ref(FlatNode *root); /* NULL is allowed */
/** flat_tree_unref() - drops what no other tree shares; regions too, so finalizers may run here */
void flat_tree_unref(SectionTable *table, FlatNode *root);

/**
 * flat_tree_replace() - the tree that has @ranges in place of all tiles of @root in [@first, @last]
 * @ranges: FlatRange by address, all inside; their counts of section ids go to the new tree
 *
 * No tile of @root may reach over @first or @last. Both trees are valid afterwards and each holds
 * its references.
 */
FlatNode *flat_tree_replace(SectionTable *table, const FlatNode *root, hwaddr first, hwaddr last,
                            const GArray *ranges);

/**
 * flat_tree_find_from() - the first tile that ends at or after @addr, or NULL
 * @ret_left: how many tiles follow it directly in memory, before the tree must be asked again; may
 *      be NULL
 */
const FlatRange *flat_tree_find_from(const FlatNode *root, hwaddr addr, uint32_t *ret_left);

/** flat_tree_find_before() - the last tile that ends below @addr, or NULL */
const FlatRange *flat_tree_find_before(const FlatNode *root, hwaddr addr);

size_t flat_tree_bytes(const FlatNode *root);
/** flat_tree_height() - nodes on the way to a tile; an empty tree: 0 */
unsigned flat_tree_height(const FlatNode *root);

#endif
