/* SPDX-License-Identifier: MIT */
/* Ways from a root to what an address shows, on a snapshot. */
#include "trace-internal.h"

#define DEPTH_MAX      200u /* regions on a way */
#define TILE_PARTS_MAX 64u
#define STEPS_MAX      50000000u /* children looked at, in all: under a second */

#define NO_LIMIT (INT128_2_64 << 1)

/*
 * The children of each region stand together, by address; @reach of each is the highest end of it and
 * of its elder siblings: who looks for those that hold an address goes back from the last that begins
 * at or before it, until no reach is that far.
 */
typedef struct Child {
    uint32_t region;
    Int128 reach; /* as MapRegion.base counts */
} Child;

struct Trace {
    const MapSnapshot *map;
    Child *children;
    uint32_t *first; /* for each region: of its children */
    bool *shown;     /* for each region */
    uint64_t steps;  /* left */
    uint32_t path[DEPTH_MAX];
    unsigned depth;
    bool lost;       /* on this way */
    bool incomplete; /* on some way */
};

static void index_children(Trace *t)
{
    const MapSnapshot *map = t->map;
    uint32_t next = 0;

    for (uint32_t i = 0; i < map->regions->len; i++) {
        t->first[i] = next;
        next += map_region(map, i)->children;
    }
    for (uint32_t i = 0; i < map->regions->len; i++) {
        const MapRegion *mr = map_region(map, i);
        Child *child;

        if (mr->parent == MAP_NONE) {
            continue;
        }
        child = &t->children[t->first[mr->parent] + mr->ordinal];
        child->region = i;
        child->reach = mr->base + mr->size;
        if (mr->ordinal > 0) { /* pre-order: the elder one has been here */
            child->reach = MAX(child->reach, child[-1].reach);
        }
    }
}

Trace *trace_new(const MapSnapshot *map)
{
    Trace *t = g_new0(Trace, 1);
    guint n = map->regions->len;

    t->map = map;
    t->children = g_new0(Child, n + 1);
    t->first = g_new0(uint32_t, n + 1);
    t->shown = g_new0(bool, n + 1);
    t->steps = STEPS_MAX;
    index_children(t);
    return t;
}

void trace_free(Trace *t)
{
    if (t) {
        g_free(t->children);
        g_free(t->first);
        g_free(t->shown);
        g_free(t);
    }
}

bool trace_complete(const Trace *t)
{
    return !t->incomplete;
}

bool trace_shows(const Trace *t, uint32_t region)
{
    return t->shown[region];
}

static bool step(Trace *t)
{
    if (t->steps == 0) {
        t->lost = true;
        return false;
    }
    t->steps--;
    return true;
}

static const MapRegion *child_region(const Trace *t, uint32_t parent, uint32_t n)
{
    return map_region(t->map, t->children[t->first[parent] + n].region);
}

/* How many children of @r begin at or before @place (as MapRegion.base counts). */
static uint32_t children_up_to(const Trace *t, uint32_t r, Int128 place)
{
    uint32_t low = 0, high = map_region(t->map, r)->children;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (child_region(t, r, middle)->base <= place) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static gint compare_ranks(gconstpointer a, gconstpointer b, gpointer trace)
{
    const Trace *t = trace;
    uint32_t x = map_region(t->map, *(const uint32_t *)a)->rank;
    uint32_t y = map_region(t->map, *(const uint32_t *)b)->rank;

    return x < y ? -1 : x > y;
}

/* The enabled children of @r that hold @place, the winner first. */
static GArray *candidates(Trace *t, uint32_t r, Int128 place)
{
    GArray *found = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    uint32_t n = children_up_to(t, r, place);

    while (n-- > 0 && t->children[t->first[r] + n].reach > place && step(t)) {
        const MapRegion *child = child_region(t, r, n);

        if (child->enabled && child->base + child->size > place) {
            g_array_append_val(found, t->children[t->first[r] + n].region);
        }
    }
    g_array_sort_with_data(found, compare_ranks, t);
    return found;
}

/* Lowers *@limit to where a child that beats @rank begins behind @place. */
static void limit_by_later(Trace *t, uint32_t r, Int128 place, uint32_t rank, Int128 base,
                           Int128 *limit)
{
    uint32_t count = map_region(t->map, r)->children;

    for (uint32_t n = children_up_to(t, r, place); n < count && step(t); n++) {
        const MapRegion *child = child_region(t, r, n);

        if (child->base - base >= *limit) {
            break;
        }
        if (child->enabled && child->rank < rank) {
            *limit = child->base - base;
            break;
        }
    }
}

static bool descend(Trace *t, uint32_t r, Int128 addr, Int128 *limit);

/*
 * The same for what lies in @r. Returns: whether a child answers at @addr; *@rank: which, or that of
 * none. Each that was asked in vain may answer from its own limit on.
 */
static bool descend_children(Trace *t, uint32_t r, Int128 addr, Int128 *limit, uint32_t *rank)
{
    Int128 base = map_region(t->map, r)->base;
    g_autoptr(GArray) found = candidates(t, r, base + addr);

    *rank = UINT32_MAX;
    for (guint i = 0; i < found->len && !t->lost; i++) {
        uint32_t child = g_array_index(found, uint32_t, i);
        Int128 offset = map_region(t->map, child)->base - base;
        Int128 child_limit = *limit - offset;
        bool answers = descend(t, child, addr - offset, &child_limit);

        *limit = MIN(*limit, child_limit + offset);
        if (answers) {
            *rank = map_region(t->map, child)->rank;
            return true;
        }
    }
    return false;
}

/*
 * Who answers at @addr of @r? The way stands in t->path then. Below *@limit, which only becomes lower,
 * the answer is the same, and comes by the same way.
 */
static bool descend(Trace *t, uint32_t r, Int128 addr, Int128 *limit)
{
    const MapRegion *mr = map_region(t->map, r);
    unsigned depth = t->depth;
    uint32_t rank;

    if (!mr->enabled || addr >= mr->size) {
        return false;
    }
    if (depth == DEPTH_MAX) {
        t->lost = true;
    }
    if (!step(t) || t->lost) {
        return false;
    }
    t->path[t->depth++] = r;
    *limit = MIN(*limit, mr->size);
    if (mr->kind == MAP_ALIAS) {
        Int128 target_limit = *limit + mr->alias_offset;
        bool answers = descend(t, mr->alias, addr + mr->alias_offset, &target_limit);

        *limit = MIN(*limit, target_limit - mr->alias_offset);
        t->depth = answers ? t->depth : depth;
        return answers;
    }
    if (!descend_children(t, r, addr, limit, &rank) && mr->kind == MAP_CONTAINER) {
        t->depth = depth;
    }
    limit_by_later(t, r, mr->base + addr, rank, mr->base, limit);
    return t->depth > depth && !t->lost;
}

/* Notes the way in t->path. Returns: where it leaves the root's tree. */
static uint32_t note_way(Trace *t)
{
    uint32_t entry = MAP_NONE;

    for (unsigned i = 0; i < t->depth; i++) {
        t->shown[t->path[i]] = true;
        if (entry == MAP_NONE && map_region(t->map, t->path[i])->kind == MAP_ALIAS) {
            entry = t->path[i];
        }
    }
    return entry == MAP_NONE ? t->path[t->depth - 1] : entry;
}

static void append_part(GArray *parts, const TracePart *part)
{
    TracePart *last = parts->len ? &g_array_index(parts, TracePart, parts->len - 1) : NULL;

    if (last && last->tile == part->tile && last->entry == part->entry) {
        last->last = part->last;
    } else {
        g_array_append_val(parts, *part);
    }
}

void trace_tile(Trace *t, const MapView *view, guint tile, uint32_t root, GArray *parts)
{
    const MapTile *at = map_tile(view, tile);
    Int128 addr = at->start, end = (Int128)at->last + 1;

    for (unsigned n = 0; addr < end && n < TILE_PARTS_MAX; n++) {
        Int128 limit = end;
        TracePart part = { .tile = tile, .start = (hwaddr)addr };

        t->depth = 0;
        t->lost = false;
        if (!descend(t, root, addr, &limit) || t->path[t->depth - 1] != at->region) {
            break; /* lost; or an edit is under way, and the view not made yet */
        }
        part.entry = note_way(t);
        part.last = (hwaddr)(limit - 1);
        append_part(parts, &part);
        addr = limit;
    }
    t->incomplete = t->incomplete || addr < end;
}
