/* SPDX-License-Identifier: MIT */
/* The oracle: brute force, sharing no code with the renderer. */
#include "painter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../../src/memory/memory-internal.h"

static void collect_child(MemoryRegion *sub, void *opaque)
{
    g_ptr_array_add(opaque, sub);
}

static GPtrArray *children_of(MemoryRegion *mr)
{
    GPtrArray *children = g_ptr_array_new();

    memory_region_for_each_subregion(mr, collect_child, children);
    return children;
}

/* Rule 2, over again: the best sibling that was not tried yet. */
static MemoryRegion *take_best(GPtrArray *children)
{
    guint best = 0;
    MemoryRegion *mr;

    for (guint i = 1; i < children->len; i++) {
        const MemoryRegion *a = children->pdata[i], *b = children->pdata[best];

        if (a->priority != b->priority ? a->priority > b->priority : a->order > b->order) {
            best = i;
        }
    }
    mr = children->pdata[best];
    g_ptr_array_remove_index(children, best);
    return mr;
}

static bool paint_point(MemoryRegion *mr, Int128 off, bool readonly, bool nonvolatile,
                        PaintedTile *ret_tile)
{
    g_autoptr(GPtrArray) children = NULL;

    if (!mr->enabled || off < 0 || off >= mr->size) {
        return false;
    }
    readonly |= mr->readonly;
    nonvolatile |= mr->nonvolatile;
    if (mr->kind == REGION_ALIAS) {
        return paint_point(mr->alias, off + mr->alias_offset, readonly, nonvolatile, ret_tile);
    }
    children = children_of(mr);
    while (children->len) {
        MemoryRegion *child = take_best(children);

        if (paint_point(child, off - child->addr, readonly, nonvolatile, ret_tile)) {
            return true;
        }
    }
    if (mr->kind == REGION_CONTAINER) {
        return false;
    }
    *ret_tile = (PaintedTile){ .mr = mr, .offset_in_region = (hwaddr)off, .readonly = readonly,
                               .romd_mode = mr->romd_mode, .nonvolatile = nonvolatile,
                               .dirty_log_mask = mr->dirty_log_mask };
    return true;
}

bool painter_at(MemoryRegion *root, hwaddr addr, PaintedTile *ret_tile)
{
    return paint_point(root, addr, false, false, ret_tile);
}

static void add_cut(GArray *cuts, Int128 at)
{
    if (at >= 0 && at < INT128_2_64) {
        hwaddr cut = (hwaddr)at;

        g_array_append_val(cuts, cut);
    }
}

static void collect_cuts(MemoryRegion *mr, Int128 base, GArray *cuts)
{
    g_autoptr(GPtrArray) children = children_of(mr);

    add_cut(cuts, base);
    add_cut(cuts, base + mr->size);
    if (mr->kind == REGION_ALIAS) {
        collect_cuts(mr->alias, base - mr->alias_offset, cuts);
    }
    for (guint i = 0; i < children->len; i++) {
        MemoryRegion *child = children->pdata[i];

        collect_cuts(child, base + child->addr, cuts);
    }
}

static gint compare_cuts(gconstpointer a, gconstpointer b)
{
    hwaddr x = *(const hwaddr *)a, y = *(const hwaddr *)b;

    return x < y ? -1 : x > y;
}

GArray *painter_cuts(MemoryRegion *root)
{
    GArray *cuts = g_array_new(FALSE, FALSE, sizeof(hwaddr));
    guint kept = 1;

    add_cut(cuts, 0);
    collect_cuts(root, 0, cuts);
    g_array_sort(cuts, compare_cuts);
    for (guint i = 1; i < cuts->len; i++) {
        hwaddr cut = g_array_index(cuts, hwaddr, i);

        if (cut != g_array_index(cuts, hwaddr, kept - 1)) {
            g_array_index(cuts, hwaddr, kept++) = cut;
        }
    }
    g_array_set_size(cuts, kept);
    return cuts;
}

static bool runs_on(const PaintedTile *a, const PaintedTile *b)
{
    return a->last + 1 == b->start && a->mr == b->mr && a->readonly == b->readonly &&
           a->romd_mode == b->romd_mode && a->nonvolatile == b->nonvolatile &&
           a->dirty_log_mask == b->dirty_log_mask &&
           b->offset_in_region - a->offset_in_region == b->start - a->start;
}

GArray *painter_paint(MemoryRegion *root)
{
    GArray *tiles = g_array_new(FALSE, FALSE, sizeof(PaintedTile));
    g_autoptr(GArray) cuts = painter_cuts(root);

    for (guint i = 0; i < cuts->len; i++) {
        PaintedTile tile, *last = NULL;
        hwaddr cut = g_array_index(cuts, hwaddr, i);

        if (!painter_at(root, cut, &tile)) {
            continue;
        }
        tile.start = cut;
        tile.last = i + 1 < cuts->len ? g_array_index(cuts, hwaddr, i + 1) - 1 : UINT64_MAX;
        if (tiles->len) {
            last = &g_array_index(tiles, PaintedTile, tiles->len - 1);
        }
        if (last && runs_on(last, &tile)) {
            last->last = tile.last;
        } else {
            g_array_append_val(tiles, tile);
        }
    }
    return tiles;
}

static bool collect_tile(const MemoryRegionSection *s, void *opaque)
{
    PaintedTile tile = { .mr = s->mr, .start = s->offset_within_address_space,
                         .last = (hwaddr)(s->offset_within_address_space + s->size - 1),
                         .offset_in_region = s->offset_within_region, .readonly = s->readonly,
                         .romd_mode = s->romd_mode, .nonvolatile = s->nonvolatile,
                         .dirty_log_mask = s->dirty_log_mask };

    g_array_append_val((GArray *)opaque, tile);
    return true;
}

GArray *painter_view(AddressSpace *as)
{
    GArray *tiles = g_array_new(FALSE, FALSE, sizeof(PaintedTile));

    address_space_for_each(as, collect_tile, tiles);
    return tiles;
}

static void print_tiles(const char *title, const GArray *tiles)
{
    print_message("%s:\n", title);
    for (guint i = 0; i < tiles->len; i++) {
        const PaintedTile *t = &g_array_index(tiles, PaintedTile, i);

        print_message("  %016" PRIx64 "-%016" PRIx64 " %s @%" PRIx64 "%s%s%s log %x\n", t->start,
                      t->last, memory_region_name(t->mr), t->offset_in_region,
                      t->readonly ? " ro" : "", t->romd_mode ? " romd" : "",
                      t->nonvolatile ? " nv" : "", t->dirty_log_mask);
    }
}

static bool same_tile(const PaintedTile *a, const PaintedTile *b)
{
    return a->mr == b->mr && a->start == b->start && a->last == b->last &&
           a->offset_in_region == b->offset_in_region && a->readonly == b->readonly &&
           a->romd_mode == b->romd_mode && a->nonvolatile == b->nonvolatile &&
           a->dirty_log_mask == b->dirty_log_mask;
}

static bool same_tiles(const GArray *a, const GArray *b)
{
    if (a->len != b->len) {
        return false;
    }
    for (guint i = 0; i < a->len; i++) {
        if (!same_tile(&g_array_index(a, PaintedTile, i), &g_array_index(b, PaintedTile, i))) {
            return false;
        }
    }
    return true;
}

void painter_check(AddressSpace *as)
{
    g_autoptr(GArray) painted = NULL;
    g_autoptr(GArray) rendered = NULL;

    memory_system_lock(address_space_system(as));
    painted = painter_paint(address_space_root(as));
    rendered = painter_view(as);
    if (!same_tiles(painted, rendered)) {
        print_tiles("painted", painted);
        print_tiles("rendered", rendered);
        fail_msg("the view of '%s' is not its painting", address_space_name(as));
    }
    memory_system_unlock(address_space_system(as));
}

TestRandom test_random_new(const char *what, uint64_t default_seed)
{
    const char *text = getenv("TESSERA_SEED");
    TestRandom r = { text ? strtoull(text, NULL, 0) : default_seed };

    print_message("%s: TESSERA_SEED=0x%" PRIx64 "\n", what, r.state);
    return r;
}

/* splitmix64, by Sebastiano Vigna (public domain description). */
uint64_t test_random_u64(TestRandom *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint32_t test_random_below(TestRandom *r, uint32_t n)
{
    return (uint32_t)(((test_random_u64(r) >> 32) * n) >> 32);
}
