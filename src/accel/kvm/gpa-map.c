/* SPDX-License-Identifier: MIT */
/* GpaMap: a GTree of items by their first address. */
#include "gpa-map-internal.h"

struct GpaMap {
    GTree *tree; /* key: &item->gpa, which lives in the item */
};

static int by_address(const void *a, const void *b, void *unused)
{
    hwaddr x = *(const hwaddr *)a, y = *(const hwaddr *)b;

    return x < y ? -1 : x > y;
}

GpaMap *gpa_map_new(void)
{
    GpaMap *map = g_new0(GpaMap, 1);

    map->tree = g_tree_new_full(by_address, NULL, NULL, g_free);
    return map;
}

void gpa_map_free(GpaMap *map)
{
    if (map) {
        g_tree_unref(map->tree);
        g_free(map);
    }
}

void gpa_map_add(GpaMap *map, const void *item, size_t bytes)
{
    GpaItem *copy = g_memdup2(item, bytes);

    g_assert(!gpa_map_first(map, copy->gpa, gpa_item_end(copy)));
    g_tree_insert(map->tree, &copy->gpa, copy);
}

void gpa_map_remove(GpaMap *map, hwaddr gpa)
{
    bool found = g_tree_remove(map->tree, &gpa);

    g_assert(found);
}

void *gpa_map_find(GpaMap *map, hwaddr gpa)
{
    return g_tree_lookup(map->tree, &gpa);
}

void *gpa_map_first(GpaMap *map, hwaddr start, hwaddr end)
{
    GTreeNode *after = g_tree_upper_bound(map->tree, &start);
    GTreeNode *node = after ? g_tree_node_previous(after) : g_tree_node_last(map->tree);
    GpaItem *item = node ? g_tree_node_value(node) : NULL;

    if (item && gpa_item_end(item) > start && item->gpa < end) {
        return item;
    }
    item = after ? g_tree_node_value(after) : NULL;
    return item && item->gpa < end ? item : NULL;
}

void *gpa_map_last(GpaMap *map, hwaddr start, hwaddr end)
{
    GTreeNode *after = g_tree_lower_bound(map->tree, &end);
    GTreeNode *node = after ? g_tree_node_previous(after) : g_tree_node_last(map->tree);
    GpaItem *item = node ? g_tree_node_value(node) : NULL;

    return item && gpa_item_end(item) > start ? item : NULL;
}

void *gpa_map_next(GpaMap *map, const void *item, hwaddr end)
{
    GTreeNode *node = g_tree_upper_bound(map->tree, &((const GpaItem *)item)->gpa);
    GpaItem *next = node ? g_tree_node_value(node) : NULL;

    return next && next->gpa < end ? next : NULL;
}

unsigned gpa_map_count(GpaMap *map)
{
    return (unsigned)g_tree_nnodes(map->tree);
}
