/* SPDX-License-Identifier: MIT */
/* Snapshots of the memory map: trees, views and counts, copied under the machine lock. */
#include "tessera/memory/map-snapshot.h"

#include "tree-internal.h"

static const MapKind kinds[] = {
    [REGION_CONTAINER] = MAP_CONTAINER,   [REGION_RAM] = MAP_RAM,
    [REGION_ROM] = MAP_ROM,               [REGION_ROM_DEVICE] = MAP_ROM_DEVICE,
    [REGION_RAM_DEVICE] = MAP_RAM_DEVICE, [REGION_IO] = MAP_IO,
    [REGION_ALIAS] = MAP_ALIAS,
};

static const char *const kind_names[] = {
    [MAP_CONTAINER] = "container", [MAP_RAM] = "ram",         [MAP_ROM] = "rom",
    [MAP_ROM_DEVICE] = "romd",     [MAP_RAM_DEVICE] = "ramd", [MAP_IO] = "i/o",
    [MAP_ALIAS] = "alias",
};
G_STATIC_ASSERT(G_N_ELEMENTS(kind_names) == MAP_KINDS);

const char *map_kind_name(MapKind kind)
{
    return kind_names[kind];
}

MapKind map_snapshot_shown_kind(const MapSnapshot *map, uint32_t region)
{
    while (map_region(map, region)->alias != MAP_NONE) {
        region = map_region(map, region)->alias;
    }
    return map_region(map, region)->kind;
}

/* Trees. */

typedef struct Snapshooter {
    MapSnapshot *map;
    GHashTable *indexes; /* MemoryRegion * -> index */
    GPtrArray *targets;  /* MemoryRegion *: of aliases, as met; more than once, perhaps */
    char *(*owner_name)(Object *owner);
} Snapshooter;

static MapRegion *region_at(Snapshooter *s, uint32_t index)
{
    return &g_array_index(s->map->regions, MapRegion, index);
}

static uint32_t index_of(const Snapshooter *s, const MemoryRegion *mr)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(s->indexes, mr));
}

/* A region that waits to be copied. */
typedef struct Pending {
    MemoryRegion *mr;
    uint32_t parent;
    uint32_t rank;
    uint32_t ordinal;
} Pending;

static gint compare_places(gconstpointer a, gconstpointer b)
{
    const Pending *x = a, *y = b;

    if (x->mr->addr != y->mr->addr) {
        return x->mr->addr < y->mr->addr ? -1 : 1;
    }
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* Behind what is on the stack; the first by address comes off it first. Returns: how many */
static uint32_t push_children(GArray *stack, MemoryRegion *mr, uint32_t parent)
{
    g_autoptr(GPtrArray) order = region_children_in_order(mr);
    g_autoptr(GArray) children = g_array_new(FALSE, FALSE, sizeof(Pending));

    for (guint i = 0; i < order->len; i++) {
        Pending child = { order->pdata[i], parent, i, 0 };

        g_array_append_val(children, child);
    }
    g_array_sort(children, compare_places);
    for (guint i = children->len; i-- > 0;) {
        Pending *child = &g_array_index(children, Pending, i);

        child->ordinal = i;
        g_array_append_val(stack, *child);
    }
    return children->len;
}

static uint32_t copy_region(Snapshooter *s, const Pending *pending)
{
    const MemoryRegion *mr = pending->mr;
    uint32_t index = s->map->regions->len;
    MapRegion copy = {
        .name = g_utf8_make_valid(mr->name, -1),
        .owner = s->owner_name ? s->owner_name(mr->owner) : NULL,
        .kind = kinds[mr->kind],
        .base = mr->container ? mr->addr : 0,
        .size = mr->size,
        .alias_offset = mr->alias_offset,
        .parent = pending->parent,
        .top = index,
        .rank = pending->rank,
        .ordinal = pending->ordinal,
        .alias = MAP_NONE,
        .priority = mr->priority,
        .enabled = mr->enabled,
        .readonly = mr->readonly,
        .nonvolatile = mr->nonvolatile,
        .romd_mode = mr->romd_mode,
    };

    if (pending->parent != MAP_NONE) {
        const MapRegion *parent = region_at(s, pending->parent);

        copy.base += parent->base;
        copy.top = parent->top;
        copy.depth = parent->depth + 1;
    }
    copy.counted = memory_region_access_counts(mr, &copy.counts);
    g_array_append_val(s->map->regions, copy);
    g_hash_table_insert(s->indexes, (gpointer)mr, GUINT_TO_POINTER(index));
    if (mr->alias) {
        g_ptr_array_add(s->targets, mr->alias);
    }
    return index;
}

/* Descendants stand behind a region: the ends, from the last region on. */
static void set_ends(Snapshooter *s, uint32_t first)
{
    for (uint32_t i = first; i < s->map->regions->len; i++) {
        region_at(s, i)->end = i + 1;
    }
    for (uint32_t i = s->map->regions->len; i-- > first;) {
        const MapRegion *mr = region_at(s, i);

        if (mr->parent != MAP_NONE) {
            MapRegion *parent = region_at(s, mr->parent);

            parent->end = MAX(parent->end, mr->end);
        }
    }
}

/* The whole tree in which @mr stands, unless it has been copied. Not recursive: trees may be deep. */
static void copy_tree(Snapshooter *s, MemoryRegion *mr)
{
    g_autoptr(GArray) stack = NULL;
    uint32_t first = s->map->regions->len;
    Pending top = { mr, MAP_NONE, 0, 0 };

    if (g_hash_table_contains(s->indexes, mr)) {
        return;
    }
    while (top.mr->container) {
        top.mr = top.mr->container;
    }
    stack = g_array_new(FALSE, FALSE, sizeof(Pending));
    g_array_append_val(stack, top);
    while (stack->len > 0) {
        Pending next = g_array_index(stack, Pending, stack->len - 1);
        uint32_t index = copy_region(s, &next);

        g_array_set_size(stack, stack->len - 1);
        region_at(s, index)->children = push_children(stack, next.mr, index);
    }
    set_ends(s, first);
}

static void copy_targets(Snapshooter *s)
{
    for (guint i = 0; i < s->targets->len; i++) { /* grows while they have aliases of their own */
        copy_tree(s, s->targets->pdata[i]);
    }
}

/* The targets stand in the order of the aliases. */
static void resolve_aliases(Snapshooter *s)
{
    guint next = 0;

    copy_targets(s);
    for (uint32_t i = 0; i < s->map->regions->len; i++) {
        MapRegion *copy = region_at(s, i);

        if (copy->kind == MAP_ALIAS) {
            copy->alias = index_of(s, s->targets->pdata[next++]);
        }
    }
}

/* Views. */

static MapKind tile_kind(const FlatRange *fr)
{
    if (fr->mr->kind == REGION_RAM && fr->readonly) {
        return MAP_ROM;
    }
    return fr->mr->kind == REGION_ROM_DEVICE && !fr->romd_mode ? MAP_IO : kinds[fr->mr->kind];
}

static void slot_done(gpointer slot)
{
    g_free(((MapSlot *)slot)->region);
}

static void note_done(gpointer note)
{
    g_free(((MapNote *)note)->text);
}

static MapView *copy_view(Snapshooter *s, const FlatView *flat)
{
    MapView *view = g_new0(MapView, 1);
    MemoryRegion *root = flatview_root(flat);
    FlatViewIter it;
    const FlatRange *fr;

    view->root = MAP_NONE;
    if (root) {
        copy_tree(s, root);
        view->root = index_of(s, root);
    }
    view->tiles = g_array_new(FALSE, FALSE, sizeof(MapTile));
    view->slots = g_array_new(FALSE, FALSE, sizeof(MapSlot));
    view->notes = g_array_new(FALSE, FALSE, sizeof(MapNote));
    g_array_set_clear_func(view->slots, slot_done);
    g_array_set_clear_func(view->notes, note_done);
    flatview_iter_init(&it, flat);
    while ((fr = flatview_iter_next(&it))) {
        MapTile tile = { fr->start, fr->last, fr->offset_in_region, 0,
                         tile_kind(fr), fr->readonly, fr->nonvolatile };

        copy_tree(s, fr->mr); /* a view may outlive what it shows, where undoing a commit failed */
        tile.region = index_of(s, fr->mr);
        g_array_append_val(view->tiles, tile);
    }
    return view;
}

static void copy_spaces(Snapshooter *s, MemorySystem *ms)
{
    g_autoptr(GPtrArray) seen = g_ptr_array_new(); /* FlatView *, as MapSnapshot.views */

    for (guint i = 0; i < ms->spaces->len; i++) {
        AddressSpace *as = ms->spaces->pdata[i];
        FlatView *flat = address_space_flatview(as);
        MapSpace space = { g_utf8_make_valid(as->name, -1), index_of(s, as->root), 0 };

        if (!g_ptr_array_find(seen, flat, &space.view)) {
            space.view = seen->len;
            g_ptr_array_add(seen, flat);
            g_ptr_array_add(s->map->views, copy_view(s, flat));
        }
        g_array_append_val(s->map->spaces, space);
    }
}

/* The snapshot. */

static void region_done(gpointer region)
{
    g_free(((MapRegion *)region)->name);
    g_free(((MapRegion *)region)->owner);
}

static void space_done(gpointer space)
{
    g_free(((MapSpace *)space)->name);
}

static void view_free(gpointer p)
{
    MapView *view = p;

    g_array_unref(view->tiles);
    g_array_unref(view->slots);
    g_array_unref(view->notes);
    g_free(view);
}

static MapSnapshot *new_snapshot(void)
{
    MapSnapshot *map = g_new0(MapSnapshot, 1);

    map->regions = g_array_new(FALSE, FALSE, sizeof(MapRegion));
    map->spaces = g_array_new(FALSE, FALSE, sizeof(MapSpace));
    map->views = g_ptr_array_new_with_free_func(view_free);
    g_array_set_clear_func(map->regions, region_done);
    g_array_set_clear_func(map->spaces, space_done);
    return map;
}

MapSnapshot *map_snapshot_take(MemorySystem *ms, char *(*owner_name)(Object *owner))
{
    g_autoptr(GHashTable) indexes = g_hash_table_new(NULL, NULL);
    g_autoptr(GPtrArray) targets = g_ptr_array_new();
    Snapshooter s = { new_snapshot(), indexes, targets, owner_name };

    memory_system_lock(ms);
    for (guint i = 0; i < ms->spaces->len; i++) {
        copy_tree(&s, ((AddressSpace *)ms->spaces->pdata[i])->root);
    }
    copy_targets(&s);
    copy_spaces(&s, ms);
    resolve_aliases(&s);
    memory_system_unassigned_counts(ms, &s.map->unassigned);
    memory_system_unlock(ms);
    return s.map;
}

void map_snapshot_free(MapSnapshot *map)
{
    if (!map) {
        return;
    }
    g_ptr_array_unref(map->views);
    g_array_unref(map->spaces);
    g_array_unref(map->regions);
    g_free(map);
}

MapView *map_snapshot_view_of(MapSnapshot *map, const char *space)
{
    for (guint i = 0; i < map->spaces->len; i++) {
        if (g_str_equal(map_space(map, i)->name, space)) {
            return g_ptr_array_index(map->views, map_space(map, i)->view);
        }
    }
    return NULL;
}

void map_view_add_slot(MapView *view, const MapSlot *slot, const char *region)
{
    MapSlot copy = *slot;

    copy.region = g_utf8_make_valid(region, -1);
    g_array_append_val(view->slots, copy);
}

void map_view_add_note(MapView *view, hwaddr start, hwaddr last, const char *text)
{
    MapNote note = { g_strdup(text), start, last };

    g_array_append_val(view->notes, note);
}
