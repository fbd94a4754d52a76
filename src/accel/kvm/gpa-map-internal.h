/* SPDX-License-Identifier: MIT */
/* GpaMap: things that lie side by side in guest-physical memory, found by address. */
#ifndef TESSERA_ACCEL_KVM_GPA_MAP_INTERNAL_H
#define TESSERA_ACCEL_KVM_GPA_MAP_INTERNAL_H

#include <glib.h>
#include "tessera/memory/types.h"

/**
 * struct GpaItem - first member of what a map holds: [@gpa, @gpa + @size), @size 1 or more
 *
 * Items of one map never overlap, and end below 2^64.
 */
typedef struct GpaItem {
    hwaddr gpa;
    uint64_t size;
} GpaItem;

static inline hwaddr gpa_item_end(const GpaItem *item)
{
    return item->gpa + item->size;
}

/* A balanced tree by address; owns its items (g_malloc). All under the machine lock. */
typedef struct GpaMap GpaMap;

GpaMap *gpa_map_new(void);
void gpa_map_free(GpaMap *map);
/** gpa_map_add() - a copy of @bytes bytes at @item; the place is free (asserted) */
void gpa_map_add(GpaMap *map, const void *item, size_t bytes);
/** gpa_map_remove() - the item that starts at @gpa (asserted) */
void gpa_map_remove(GpaMap *map, hwaddr gpa);
/** gpa_map_find() - the item that starts at @gpa, or NULL */
void *gpa_map_find(GpaMap *map, hwaddr gpa);
/** gpa_map_first() / gpa_map_last() - of those that reach into [@start, @end); NULL: none */
void *gpa_map_first(GpaMap *map, hwaddr start, hwaddr end);
void *gpa_map_last(GpaMap *map, hwaddr start, hwaddr end);
/** gpa_map_next() - the item behind @item if it starts below @end, or NULL */
void *gpa_map_next(GpaMap *map, const void *item, hwaddr end);
unsigned gpa_map_count(GpaMap *map);

#endif
