/* SPDX-License-Identifier: MIT */
/* Which regions a picture shows, one to a row, and where a row stands for many. */
#ifndef TESSERA_PICTURE_ROWS_INTERNAL_H
#define TESSERA_PICTURE_ROWS_INTERNAL_H

#include "tessera/memory/map-snapshot.h"

#define ROWS_MAX 600u

/**
 * struct TreeRow - one row
 * @region: what it shows, MAP_NONE: it stands for @folded regions
 * @parent: of it, or of the first that it stands for; MAP_NONE: the top of a tree
 * @section: number of the view with which its tree is drawn
 */
typedef struct TreeRow {
    uint32_t region;
    uint32_t parent;
    uint32_t folded;
    uint32_t depth;
    uint32_t section;
} TreeRow;

/**
 * struct TreeRows - rows from above to below
 * @rows: TreeRow; by section, tree by tree
 * @row_of: for each region the row that shows it or stands for it
 *
 * A section is a view; with it stand the trees of its spaces' roots, and then those that are reached
 * from there through aliases, unless an earlier section has them.
 */
typedef struct TreeRows {
    GArray *rows;
    uint32_t *row_of;
} TreeRows;

/**
 * tree_rows_new() - at most ROWS_MAX, and a few: of containers with too many children only the first
 * and the last are shown
 */
TreeRows *tree_rows_new(const MapSnapshot *map);
void tree_rows_free(TreeRows *rows);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TreeRows, tree_rows_free)

static inline const TreeRow *tree_row(const TreeRows *rows, guint n)
{
    return &g_array_index(rows->rows, TreeRow, n);
}

#endif
