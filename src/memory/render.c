/* SPDX-License-Identifier: MIT */
/* render_memory_region: what a region shows in a window, in one pass by increasing address. */
#include "tree-internal.h"

/*
 * Every paint function covers a window from its start to its end, in order, so that a tile is only
 * ever appended. Where several children overlap, a sweep over the window keeps those that have
 * begun in a heap, best first: a piece belongs to the best one until it ends or a better one
 * begins. What that child leaves open is painted at once by what lies below it: the siblings that
 * it beats, then its container's own content, then what lies below the container. Hidden siblings
 * split nothing, and a window only ever looks at the children that the RegionIndex finds in it.
 *
 * Addresses are those of the address space, as Int128: an alias may pull its target below zero.
 */
typedef struct Painter {
    GArray *ranges;
    uint64_t visited;
} Painter;

typedef struct Attributes {
    bool readonly;
    bool nonvolatile;
} Attributes;

/* A container that is being painted, and what lies below it. */
typedef struct Layer {
    MemoryRegion *mr;
    Int128 base;              /* address of its offset 0 */
    Attributes attributes;    /* inherited ones and its own */
    const MemoryRegion *best; /* only children that this one beats; NULL: all */
    const struct Layer *below;
} Layer;

/* Children that have begun, best on top. */
typedef struct ChildHeap {
    GPtrArray *array;
} ChildHeap;

static void paint_region(Painter *painter, MemoryRegion *mr, Int128 base, AddrRange window,
                         Attributes attributes, const Layer *below);
static void paint_layer(Painter *painter, const Layer *layer, AddrRange window);

static MemoryRegion *heap_at(const ChildHeap *heap, guint i)
{
    return g_ptr_array_index(heap->array, i);
}

static void heap_swap(ChildHeap *heap, guint i, guint j)
{
    gpointer tmp = heap->array->pdata[i];

    heap->array->pdata[i] = heap->array->pdata[j];
    heap->array->pdata[j] = tmp;
}

static void heap_push(ChildHeap *heap, MemoryRegion *mr)
{
    guint i = heap->array->len;

    g_ptr_array_add(heap->array, mr);
    while (i > 0 && region_beats(heap_at(heap, i), heap_at(heap, (i - 1) / 2))) {
        heap_swap(heap, i, (i - 1) / 2);
        i = (i - 1) / 2;
    }
}

static void heap_pop(ChildHeap *heap)
{
    guint i = 0;

    g_ptr_array_remove_index_fast(heap->array, 0);
    for (;;) {
        guint best = i;

        for (guint child = 2 * i + 1; child <= 2 * i + 2 && child < heap->array->len; child++) {
            if (region_beats(heap_at(heap, child), heap_at(heap, best))) {
                best = child;
            }
        }
        if (best == i) {
            return;
        }
        heap_swap(heap, i, best);
        i = best;
    }
}

static void paint_tile(Painter *painter, const Layer *layer, AddrRange window)
{
    const MemoryRegion *mr = layer->mr;
    FlatRange fr = {
        .mr = layer->mr,
        .start = (hwaddr)window.start,
        .last = (hwaddr)(addr_range_end(window) - 1),
        .offset_in_region = (hwaddr)(window.start - layer->base),
        .section_id = SECTION_ID_NONE,
        .dirty_log_mask = mr->dirty_log_mask,
        .readonly = layer->attributes.readonly,
        .romd_mode = mr->romd_mode,
        .nonvolatile = layer->attributes.nonvolatile,
    };

    flat_ranges_append(painter->ranges, &fr);
    painter->visited++;
}

/* What no child of @layer covers. */
static void paint_open(Painter *painter, const Layer *layer, AddrRange window)
{
    if (region_has_content(layer->mr)) {
        paint_tile(painter, layer, window);
    } else if (layer->below) {
        paint_layer(painter, layer->below, window);
    }
}

/* Can @mr show anything, as a child of @layer? Skipping the others here keeps recursion flat. */
static bool child_counts(const Layer *layer, const MemoryRegion *mr)
{
    if (layer->best && !region_beats(layer->best, mr)) {
        return false;
    }
    return mr->kind != REGION_CONTAINER || region_index_count(mr->children) > 0;
}

static GPtrArray *children_in_window(const Layer *layer, AddrRange window)
{
    GPtrArray *children = g_ptr_array_new();
    guint kept = 0;

    region_index_query(layer->mr->children, addr_range_shift(window, -layer->base), children);
    for (guint i = 0; i < children->len; i++) {
        MemoryRegion *mr = g_ptr_array_index(children, i);

        if (child_counts(layer, mr)) {
            children->pdata[kept++] = mr;
        }
    }
    g_ptr_array_set_size(children, (gint)kept);
    return children;
}

static Int128 child_end(const Layer *layer, const MemoryRegion *mr)
{
    return layer->base + mr->addr + mr->size;
}

/*
 * The best child's piece from @at: up to its end, @end, or the start of a better one. Worse ones
 * that begin within it join the heap on the way.
 */
static Int128 piece_end(const Layer *layer, ChildHeap *heap, const GPtrArray *children, guint *next,
                        Int128 end)
{
    MemoryRegion *best = heap_at(heap, 0);
    Int128 stop = MIN(child_end(layer, best), end);

    while (*next < children->len) {
        MemoryRegion *mr = g_ptr_array_index(children, *next);
        Int128 start = layer->base + mr->addr;

        if (start >= stop) {
            break;
        }
        if (region_beats(mr, best)) {
            return start;
        }
        heap_push(heap, mr);
        (*next)++;
    }
    return stop;
}

static void paint_children(Painter *painter, const Layer *layer, AddrRange window)
{
    g_autoptr(GPtrArray) children = children_in_window(layer, window);
    g_autoptr(GPtrArray) begun = g_ptr_array_new();
    ChildHeap heap = { begun };
    Int128 at = window.start, end = addr_range_end(window), stop;
    guint next = 0;

    while (at < end) {
        MemoryRegion *mr = NULL;

        for (; next < children->len; next++) {
            mr = g_ptr_array_index(children, next);
            if (layer->base + mr->addr > at) {
                break;
            }
            heap_push(&heap, mr);
        }
        while (begun->len && child_end(layer, heap_at(&heap, 0)) <= at) {
            heap_pop(&heap);
        }
        if (begun->len == 0) {
            stop = next < children->len ? layer->base + mr->addr : end;
            paint_open(painter, layer, addr_range(at, stop - at));
        } else {
            Layer rest = *layer;

            stop = piece_end(layer, &heap, children, &next, end);
            mr = heap_at(&heap, 0);
            rest.best = mr;
            paint_region(painter, mr, layer->base + mr->addr, addr_range(at, stop - at),
                         layer->attributes, &rest);
        }
        at = stop;
    }
}

static void paint_layer(Painter *painter, const Layer *layer, AddrRange window)
{
    if (layer->mr->children) {
        paint_children(painter, layer, window);
    } else {
        paint_open(painter, layer, window);
    }
}

static void paint_alias(Painter *painter, MemoryRegion *mr, Int128 base, AddrRange window,
                        Attributes attributes, const Layer *below)
{
    MemoryRegion *target = mr->alias;
    Int128 target_base = base - mr->alias_offset;
    AddrRange shown = addr_range_intersection(window, addr_range(target_base, target->size));
    AddrRange behind;

    if (!target->enabled || addr_range_is_empty(shown)) {
        if (below) {
            paint_layer(painter, below, window);
        }
        return;
    }
    /* A target window never begins below the alias's own start: offsets are not negative. */
    paint_region(painter, target, target_base, shown, attributes, below);
    behind = addr_range(addr_range_end(shown), addr_range_end(window) - addr_range_end(shown));
    if (below && !addr_range_is_empty(behind)) {
        paint_layer(painter, below, behind);
    }
}

/* @window lies within @mr, which is enabled. @below: what shows where @mr is open, or NULL. */
static void paint_region(Painter *painter, MemoryRegion *mr, Int128 base, AddrRange window,
                         Attributes attributes, const Layer *below)
{
    attributes.readonly |= mr->readonly;
    attributes.nonvolatile |= mr->nonvolatile;
    if (mr->alias) {
        paint_alias(painter, mr, base, window, attributes, below);
    } else {
        Layer layer = { .mr = mr, .base = base, .attributes = attributes, .below = below };

        paint_layer(painter, &layer, window);
    }
}

GArray *render_memory_region(MemoryRegion *root, AddrRange window, uint64_t *visited)
{
    Painter painter = { .ranges = flat_ranges_new() };

    if (root && root->enabled) {
        window = addr_range_intersection(window, addr_range(0, root->size));
        if (!addr_range_is_empty(window)) {
            paint_region(&painter, root, 0, window, (Attributes){ 0 }, NULL);
        }
    }
    *visited += painter.visited;
    return painter.ranges;
}
