/* SPDX-License-Identifier: MIT */
/* Rows of the trees: their order, and folding. */
#include "rows-internal.h"

/* Trees by section. */

typedef struct TreeOrder {
    const MapSnapshot *map;
    GArray *tops;     /* uint32_t: in the order of drawing */
    uint32_t *section; /* for each region that is a top: its section, MAP_NONE: not met */
} TreeOrder;

static void meet_tree(TreeOrder *order, uint32_t region, uint32_t section)
{
    uint32_t top = map_region(order->map, region)->top;

    if (order->section[top] == MAP_NONE) {
        order->section[top] = section;
        g_array_append_val(order->tops, top);
    }
}

/* Trees that those from number @next on show. */
static void meet_targets(TreeOrder *order, guint next, uint32_t section)
{
    for (; next < order->tops->len; next++) {
        uint32_t top = g_array_index(order->tops, uint32_t, next);

        for (uint32_t i = top; i < map_region(order->map, top)->end; i++) {
            if (map_region(order->map, i)->kind == MAP_ALIAS) {
                meet_tree(order, map_region(order->map, i)->alias, section);
            }
        }
    }
}

static void order_trees(TreeOrder *order)
{
    const MapSnapshot *map = order->map;

    for (guint v = 0; v < map->views->len; v++) {
        guint next = order->tops->len;

        for (guint i = 0; i < map->spaces->len; i++) {
            if (map_space(map, i)->view == v) {
                meet_tree(order, map_space(map, i)->root, v);
            }
        }
        meet_targets(order, next, v);
    }
    for (uint32_t i = 0; i < map->regions->len; i++) { /* what only an outdated view shows */
        meet_tree(order, i, map->views->len ? map->views->len - 1 : 0);
    }
}

/* Folding. */

#define NO_FOLD UINT32_MAX

/*
 * Is @mr one of those that a fold hides, when a container shows @children at most? They are in the
 * middle, by address.
 */
static bool is_hidden(const MapSnapshot *map, const MapRegion *mr, uint32_t children)
{
    uint32_t count = mr->parent == MAP_NONE ? 1 : map_region(map, mr->parent)->children;
    uint32_t first = children - children / 2, last = children / 2;

    return count > children && mr->ordinal >= first && mr->ordinal < count - last;
}

/* Does the last row stand for more regions if @mr is hidden, too? All that is cut is one row. */
static bool joins_fold(const GArray *rows, const MapRegion *mr, guint max)
{
    const TreeRow *last = &g_array_index(rows, TreeRow, rows->len - 1);

    return rows->len > max ||
           (rows->len > 0 && rows->len < max && last->region == MAP_NONE &&
            last->parent == mr->parent && mr->parent != MAP_NONE);
}

/* Rows of one tree; those behind the @max-th are one. */
static void append_tree(const MapSnapshot *map, uint32_t top, uint32_t section, uint32_t children,
                        guint max, TreeRows *out)
{
    uint32_t end = map_region(map, top)->end;

    for (uint32_t i = top; i < end;) {
        const MapRegion *mr = map_region(map, i);
        bool cut = out->rows->len >= max;
        bool hidden = cut || is_hidden(map, mr, children);
        uint32_t covered = cut ? end : hidden ? mr->end : i + 1;

        if (hidden && joins_fold(out->rows, mr, max)) {
            g_array_index(out->rows, TreeRow, out->rows->len - 1).folded += covered - i;
        } else {
            TreeRow row = { hidden ? MAP_NONE : i, mr->parent, hidden ? covered - i : 0, mr->depth,
                            section };

            g_array_append_val(out->rows, row);
        }
        for (; i < covered; i++) {
            out->row_of[i] = out->rows->len - 1;
        }
    }
}

static void append_trees(const TreeOrder *order, uint32_t children, guint max, TreeRows *out)
{
    g_array_set_size(out->rows, 0);
    for (guint i = 0; i < order->tops->len; i++) {
        uint32_t top = g_array_index(order->tops, uint32_t, i);

        append_tree(order->map, top, order->section[top], children, max, out);
    }
}

TreeRows *tree_rows_new(const MapSnapshot *map)
{
    static const uint32_t children[] = { NO_FOLD, 256, 64, 24, 12, 6, 3 };
    g_autoptr(GArray) tops = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    g_autofree uint32_t *section = g_new(uint32_t, map->regions->len + 1);
    TreeOrder order = { map, tops, section };
    TreeRows *out = g_new0(TreeRows, 1);

    for (uint32_t i = 0; i < map->regions->len; i++) {
        section[i] = MAP_NONE;
    }
    order_trees(&order);
    out->rows = g_array_new(FALSE, FALSE, sizeof(TreeRow));
    out->row_of = g_new0(uint32_t, map->regions->len + 1);
    for (size_t i = 0; i < G_N_ELEMENTS(children); i++) {
        append_trees(&order, children[i], UINT32_MAX, out);
        if (out->rows->len <= ROWS_MAX) {
            return out;
        }
    }
    append_trees(&order, children[G_N_ELEMENTS(children) - 1], ROWS_MAX, out);
    return out;
}

void tree_rows_free(TreeRows *rows)
{
    if (rows) {
        g_array_unref(rows->rows);
        g_free(rows->row_of);
        g_free(rows);
    }
}
