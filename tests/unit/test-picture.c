/* SPDX-License-Identifier: MIT */
/* Pictures of the memory map: they show the views, are well-formed, readable, and bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/picture/layout-internal.h"
#include "../../src/picture/text-internal.h"
#include "support/memory-fixture.h"
#include "support/picture-check.h"
#include "support/random-tree.h"
#include "tessera/picture/picture.h"
#include "tessera/util/error.h"

static GString *make(const MapSnapshot *map, PictureFormat format)
{
    return picture_make(map, format, "a \"title\" with <&> and \xc3\xa9");
}

/* Everything that holds of any map. */
static void check_all(const MapSnapshot *map)
{
    GString *svg = make(map, PICTURE_SVG), *json = make(map, PICTURE_JSON);
    GString *again = make(map, PICTURE_SVG);

    picture_check_layout(map);
    picture_check_svg(map, svg);
    picture_check_json(map, json);
    assert_true(g_string_equal(svg, again));
    g_string_free(svg, TRUE);
    g_string_free(json, TRUE);
    g_string_free(again, TRUE);
}

static bool has(const GString *text, const char *part)
{
    return strstr(text->str, part) != NULL;
}

static void assert_has(const GString *text, const char *part)
{
    if (!has(text, part)) {
        fail_msg("'%s' is not in: %s", part, text->str);
    }
}

/* Random worlds. */

#define SPACES 3u

typedef struct World {
    RandomTree tree;
    AddressSpace *spaces[SPACES];
} World;

static void world_init(World *w, TestRandom *random, const TreeStyle *style)
{
    random_tree_init(&w->tree, random, style);
    for (unsigned i = 0; i < SPACES; i++) {
        g_autofree char *name = g_strdup_printf("space%u", i);

        w->spaces[i] = address_space_new(w->tree.ms, w->tree.regions[i], name, NULL);
        assert_non_null(w->spaces[i]);
    }
}

static void world_done(World *w)
{
    for (unsigned i = 0; i < SPACES; i++) {
        address_space_free(w->spaces[i]);
    }
    random_tree_done(&w->tree);
}

static void edit_randomly(World *w)
{
    MemoryRegionSection section;
    bool shown;

    memory_region_transaction_begin(w->tree.ms);
    for (unsigned i = 0; i < 6; i++) {
        shown = address_space_find(w->spaces[0], random_tree_below(&w->tree, 32) * 0x400, &section);
        random_tree_edit(&w->tree, shown ? section.mr : NULL);
    }
    assert_true(memory_region_transaction_commit(w->tree.ms, NULL));
}

/* The view of a snapshot is the painting of the space's root, which knows nothing of snapshots. */
static void check_against_painting(World *w, MapSnapshot *map)
{
    for (unsigned i = 0; i < SPACES; i++) {
        const MapView *view = map_snapshot_view_of(map, address_space_name(w->spaces[i]));
        g_autoptr(GArray) painting = NULL;

        memory_system_lock(w->tree.ms);
        painting = painter_paint(w->tree.regions[i]);
        memory_system_unlock(w->tree.ms);
        assert_non_null(view);
        assert_int_equal(view->tiles->len, painting->len);
        for (guint n = 0; n < painting->len; n++) {
            const PaintedTile *painted = &g_array_index(painting, PaintedTile, n);
            const MapTile *tile = map_tile(view, n);

            assert_true(painted->start == tile->start && painted->last == tile->last);
            assert_true(painted->offset_in_region == tile->offset);
            assert_string_equal(memory_region_name(painted->mr),
                                map_region(map, tile->region)->name);
            assert_int_equal(painted->readonly, tile->readonly);
            assert_int_equal(painted->nonvolatile, tile->nonvolatile);
        }
    }
}

/* Pre-order, ends, ordinals, places: as the tree itself says. */
static void check_trees(const MapSnapshot *map)
{
    for (uint32_t i = 0; i < map->regions->len; i++) {
        const MapRegion *mr = map_region(map, i);
        uint32_t children = 0;

        assert_true(mr->end > i && mr->end <= map->regions->len);
        for (uint32_t n = i + 1; n < mr->end; n = map_region(map, n)->end) {
            const MapRegion *child = map_region(map, n);

            assert_int_equal(child->parent, i);
            assert_int_equal(child->ordinal, children++);
            assert_int_equal(child->top, mr->top);
            assert_int_equal(child->depth, mr->depth + 1);
            assert_true(child->base >= mr->base && child->end <= mr->end);
        }
        assert_int_equal(children, mr->children);
        assert_int_equal(mr->kind == MAP_ALIAS, mr->alias != MAP_NONE);
    }
}

/* Ways lead to all of each tile, without a gap. Returns: what no way came by. */
static GPtrArray *trace_all(World *w, const MapSnapshot *map)
{
    g_autoptr(Trace) trace = trace_new(map);
    GPtrArray *hidden = g_ptr_array_new();

    for (unsigned i = 0; i < SPACES; i++) {
        const MapSpace *space = map_space(map, i);
        const MapView *view = map_view(map, space->view);

        for (guint n = 0; n < view->tiles->len; n++) {
            g_autoptr(GArray) parts = g_array_new(FALSE, FALSE, sizeof(TracePart));
            Int128 end = map_tile(view, n)->start;

            trace_tile(trace, view, n, space->root, parts);
            for (guint p = 0; p < parts->len; p++) {
                assert_true(g_array_index(parts, TracePart, p).start == end);
                end = (Int128)g_array_index(parts, TracePart, p).last + 1;
            }
            assert_true(end == (Int128)map_tile(view, n)->last + 1);
        }
    }
    assert_true(trace_complete(trace));
    for (uint32_t i = 0; i < map->regions->len; i++) {
        if (!trace_shows(trace, i)) {
            g_ptr_array_add(hidden, map_region(map, i)->name);
        }
    }
    return hidden;
}

static void assert_same_tiles(const GArray *a, const GArray *b)
{
    assert_int_equal(a->len, b->len);
    for (guint i = 0; i < a->len; i++) {
        const PaintedTile *x = &g_array_index(a, PaintedTile, i);
        const PaintedTile *y = &g_array_index(b, PaintedTile, i);

        assert_ptr_equal(x->mr, y->mr);
        assert_true(x->start == y->start && x->last == y->last);
        assert_true(x->offset_in_region == y->offset_in_region && x->readonly == y->readonly);
    }
}

/* Who shows nothing is not missed by any view. */
static void check_hidden(World *w, const MapSnapshot *map)
{
    g_autoptr(GPtrArray) hidden = trace_all(w, map);
    GArray *before[SPACES];

    for (unsigned i = 0; i < w->tree.style.regions; i++) {
        MemoryRegion *mr = w->tree.regions[i];

        if (!memory_region_enabled(mr) ||
            !g_ptr_array_find_with_equal_func(hidden, memory_region_name(mr), g_str_equal, NULL)) {
            continue;
        }
        memory_system_lock(w->tree.ms);
        for (unsigned s = 0; s < SPACES; s++) {
            before[s] = painter_view(w->spaces[s]);
        }
        assert_true(memory_region_set_enabled(mr, false, NULL));
        for (unsigned s = 0; s < SPACES; s++) {
            g_autoptr(GArray) after = painter_view(w->spaces[s]);

            assert_same_tiles(before[s], after);
            g_array_unref(before[s]);
        }
        assert_true(memory_region_set_enabled(mr, true, NULL));
        memory_system_unlock(w->tree.ms);
    }
}

static void random_worlds(const TreeStyle *style, const char *what, uint64_t seed, bool hide)
{
    TestRandom random = test_random_new(what, seed);
    guint tiles = 0;

    for (unsigned i = 0; i < 6; i++) {
        World w;

        world_init(&w, &random, style);
        for (unsigned n = 0; n < 12; n++) {
            g_autoptr(MapSnapshot) map = NULL;

            edit_randomly(&w);
            map = map_snapshot_take(w.tree.ms, NULL);
            tiles += map_view(map, 0)->tiles->len;
            check_trees(map);
            check_against_painting(&w, map);
            check_all(map);
            if (hide) {
                check_hidden(&w, map);
            }
        }
        world_done(&w);
    }
    assert_true(tiles > 200); /* worlds that show little prove little */
}

static void test_picture_of_few_regions_at_edges(void **state)
{
    static const TreeStyle few = { 18, 24, 4 };

    random_worlds(&few, "few regions", 0x71c7e1, true);
}

static void test_picture_of_dense_regions(void **state)
{
    static const TreeStyle dense = { 48, 120, 150 };

    random_worlds(&dense, "dense regions", 0x71c7e2, true);
}

static void test_picture_is_well_formed_for_others(void **state)
{
    static const TreeStyle style = { 36, 80, 20 };
    TestRandom random = test_random_new("well-formed", 0x71c7e3);
    World w;
    bool there = true;

    world_init(&w, &random, &style);
    for (unsigned i = 0; i < 4 && there; i++) {
        g_autoptr(MapSnapshot) map = NULL;
        GString *svg;

        edit_randomly(&w);
        map = map_snapshot_take(w.tree.ms, NULL);
        svg = make(map, PICTURE_SVG);
        there = picture_check_tool(svg, "map.svg", "xmllint", "--noout");
        g_string_free(svg, TRUE);
    }
    world_done(&w);
    if (!there) {
        print_message("# skip: xmllint is not installed\n");
        skip();
    }
}

/* Drawn worlds. */

static const MemoryRegionOps no_ops; /* nobody accesses these */

static MemoryRegion *container(Fixture *f, const char *name, Int128 size)
{
    return fixture_keep(f, memory_region_new_container(f->ms, NULL, name, size));
}

static void test_picture_shows_counts_as_heat(void **state)
{
    Fixture *f = *state;
    MemoryRegion *hot = fixture_io(f, "hot", 1), *cold = fixture_io(f, "cold", 1);
    AccessCounters *counters = access_counters_new(f->ms, "reader", NULL);
    g_autoptr(MapSnapshot) before = NULL, map = NULL;
    GString *svg, *json;
    uint32_t value = 0;

    fixture_add(f->root, 2, hot, 0);
    fixture_add(f->root, 4, cold, 0);
    fixture_space(f);
    before = map_snapshot_take(f->ms, NULL);
    svg = make(before, PICTURE_SVG);
    assert_false(has(svg, "class=\"box heat"));
    g_string_free(svg, TRUE);

    access_counters_use(counters);
    for (unsigned i = 0; i < 123; i++) {
        address_space_rw(f->as, 2 * FIXTURE_PAGE, MEMTXATTRS_NONE, &value, 4, i < 23);
    }
    address_space_rw(f->as, 0, MEMTXATTRS_NONE, &value, 4, false);
    access_counters_use(NULL);
    map = map_snapshot_take(f->ms, NULL);
    svg = make(map, PICTURE_SVG);
    json = make(map, PICTURE_JSON);
    assert_has(svg, "100 reads, 23 writes");
    assert_has(svg, ">123</text>");
    assert_has(svg, "where nothing answers: 1 reads, 0 writes");
    assert_has(json, "\"reads\":100,\"writes\":23,\"exits\":0");
    check_all(map);
    g_string_free(svg, TRUE);
    g_string_free(json, TRUE);
    access_counters_free(counters);
}

static void test_picture_of_the_ends_of_the_world(void **state)
{
    Fixture *f = *state;
    MemoryRegion *all = container(f, "all", INT128_2_64);
    MemoryRegion *byte = fixture_keep(f, memory_region_new_io(f->ms, NULL, &no_ops, NULL, "byte", 1));
    MemoryRegion *wide = fixture_keep(
        f, memory_region_new_io(f->ms, NULL, &no_ops, NULL, "wide", (Int128)1 << 40));
    MemoryRegion *over = container(f, "over", INT128_2_64);
    g_autoptr(MapSnapshot) map = NULL;
    AddressSpace *as;
    GString *svg;

    assert_true(memory_region_add_subregion(all, UINT64_MAX, byte, NULL));
    assert_true(memory_region_add_subregion(all, (hwaddr)1 << 41, wide, NULL));
    assert_true(memory_region_add_subregion(all, UINT64_MAX - 1, over, NULL));
    as = address_space_new(f->ms, all, "memory", NULL);
    map = map_snapshot_take(f->ms, NULL);
    svg = make(map, PICTURE_SVG);
    assert_has(svg, "data-start=\"0xffffffffffffffff\" data-last=\"0xffffffffffffffff\" "
                    "data-region=\"byte\"");
    assert_has(svg, "data-last=\"0x2ffffffffff\" data-region=\"wide\"");
    assert_has(svg, ">10000000000000000  16 EiB</text>");
    assert_has(svg, ">fffffffffffffffe-1fffffffffffffffd</text>"); /* as far as it would reach */
    check_all(map);
    g_string_free(svg, TRUE);
    address_space_free(as);
}

static void test_picture_of_one_whole_region(void **state)
{
    Fixture *f = *state;
    MemoryRegion *all =
        fixture_keep(f, memory_region_new_io(f->ms, NULL, &no_ops, NULL, "all", INT128_2_64));
    AddressSpace *as = address_space_new(f->ms, all, "memory", NULL);
    g_autoptr(MapSnapshot) map = map_snapshot_take(f->ms, NULL);
    GString *svg = make(map, PICTURE_SVG);

    assert_has(svg, "data-start=\"0x0\" data-last=\"0xffffffffffffffff\" data-region=\"all\"");
    check_all(map);
    g_string_free(svg, TRUE);
    address_space_free(as);
}

static void test_picture_of_names(void **state)
{
    static const char *const names[] = {
        "<&\">'",
        "\xe5\xa4\xa7\xe5\xae\xb9\xe9\x87\x8f\xe8\xa8\x98\xe6\x86\xb6\xe4\xbd\x93",
        "e\xcc\x81 combined",
        "\xff\xfe not UTF-8",
        "line\nbreak\ttab \x01\x1b[31m",
        "",
        "a-name-that-goes-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on-until-it-ends-in-17",
        "]]> --> \\ \\N",
    };
    Fixture *f = *state;
    g_autoptr(MapSnapshot) map = NULL;
    g_autofree char *graphviz = g_find_program_in_path("dot"); /* checked where it is at hand */
    GString *svg, *dot;
    bool there;

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        MemoryRegion *mr = fixture_keep(
            f, memory_region_new_io(f->ms, NULL, &no_ops, NULL, names[i], FIXTURE_PAGE));

        fixture_add(f->root, i, mr, 0);
    }
    fixture_space(f);
    map = map_snapshot_take(f->ms, NULL);
    svg = make(map, PICTURE_SVG);
    dot = make(map, PICTURE_DOT);
    assert_has(svg, "data-region=\"&lt;&amp;&quot;&gt;'\"");
    assert_has(svg, "\xe2\x80\xa6"); /* shortened, and whole in a title */
    assert_has(svg, "<title>a-name-that-goes-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on-"
                    "until-it-ends-in-17</title>");
    check_all(map);
    there = picture_check_tool(svg, "map.svg", "xmllint", "--noout") &&
            (!graphviz || picture_check_tool(dot, "map.dot", "dot", "-Tdot"));
    g_string_free(svg, TRUE);
    g_string_free(dot, TRUE);
    if (!there) {
        print_message("# skip: xmllint is not installed\n");
        skip();
    }
}

static void test_picture_of_an_empty_system(void **state)
{
    MemorySystem *ms = memory_system_new(NULL);
    g_autoptr(MapSnapshot) map = map_snapshot_take(ms, NULL);
    GString *svg = make(map, PICTURE_SVG), *dot = make(map, PICTURE_DOT);

    assert_int_equal(map->views->len, 0);
    picture_check_layout(map);
    assert_has(svg, "</svg>");
    assert_has(dot, "digraph");
    g_string_free(svg, TRUE);
    g_string_free(dot, TRUE);
    memory_system_free(ms);
}

/* Two spaces that show the same are one section; a third has its own. */
static void test_picture_shows_equal_views_once(void **state)
{
    Fixture *f = *state;
    MemoryRegion *window = fixture_alias(f, "window", f->root, 0, 16);
    g_autoptr(MapSnapshot) map = NULL;
    AddressSpace *dma, *other;
    GString *svg;

    fixture_add(f->root, 3, fixture_io(f, "dev", 1), 0);
    fixture_space(f);
    dma = address_space_new(f->ms, window, "dma", NULL);
    other = address_space_new(f->ms, fixture_io(f, "alone", 2), "other", NULL);
    map = map_snapshot_take(f->ms, NULL);
    svg = make(map, PICTURE_SVG);
    assert_int_equal(map->views->len, 2);
    assert_has(svg, ">address space memory, dma</text>");
    assert_has(svg, ">address space other</text>");
    check_all(map);
    g_string_free(svg, TRUE);
    address_space_free(dma);
    address_space_free(other);
}

/* Tiles that run on over two aliases are one, which two ribbons lead to. */
static void test_ribbons_of_a_tile_with_two_ways(void **state)
{
    Fixture *f = *state;
    MemoryRegion *ram = fixture_ram(f, "ram", 8);
    g_autoptr(MapSnapshot) map = NULL;
    g_autoptr(Picture) p = NULL;

    fixture_add(f->root, 2, fixture_alias(f, "low", ram, 0, 4), 0);
    fixture_add(f->root, 6, fixture_alias(f, "high", ram, 4, 4), 0);
    fixture_add(f->root, 2, fixture_io(f, "covered", 2), -1);
    fixture_space(f);
    map = map_snapshot_take(f->ms, NULL);
    assert_int_equal(map_view(map, 0)->tiles->len, 1);
    p = picture_lay_out(map, "title");
    assert_int_equal(p->ribbons->len, 2);
    assert_int_equal(p->lanes->len, 2);
    for (guint i = 0; i < p->rows->len; i++) {
        const PictureRow *row = &g_array_index(p->rows, PictureRow, i);
        bool covered = g_str_equal(map_region(map, row->region)->name, "covered");

        assert_int_equal(row->faded, covered);
        assert_int_equal(strstr(row->title, "[shows nothing]") != NULL, covered);
    }
}

/* In pages from the first on: the name of the row that the ribbon comes from. */
static void assert_ways(Fixture *f, const char *ways)
{
    g_autoptr(MapSnapshot) map = map_snapshot_take(f->ms, NULL);
    g_autoptr(Trace) trace = trace_new(map);
    g_autoptr(GArray) parts = g_array_new(FALSE, FALSE, sizeof(TracePart));
    g_autoptr(GString) text = g_string_new(NULL);

    assert_int_equal(map_view(map, 0)->tiles->len, 1);
    trace_tile(trace, map_view(map, 0), 0, map_space(map, 0)->root, parts);
    assert_true(trace_complete(trace));
    for (guint i = 0; i < parts->len; i++) {
        const TracePart *part = &g_array_index(parts, TracePart, i);

        g_string_append_printf(text, "%s %u-%u;", map_region(map, part->entry)->name,
                               (unsigned)(part->start / FIXTURE_PAGE),
                               (unsigned)(part->last / FIXTURE_PAGE));
    }
    assert_string_equal(text->str, ways);
}

/* A patch that shows what would be there anyway; what begins later, but loses, changes nothing. */
static void test_ways_change_where_a_winner_begins(void **state)
{
    Fixture *f = *state;
    MemoryRegion *ram = fixture_ram(f, "ram", 8);

    fixture_add(f->root, 0, fixture_alias(f, "base", ram, 0, 8), 0);
    fixture_add(f->root, 4, fixture_alias(f, "patch", ram, 4, 2), 1);
    fixture_add(f->root, 2, fixture_alias(f, "loser", ram, 2, 1), -1);
    fixture_space(f);
    assert_ways(f, "base 0-3;patch 4-5;base 6-7;");
}

/* The same inside of a container that shows nothing at first. */
static void test_ways_change_where_a_container_begins_to_show(void **state)
{
    Fixture *f = *state;
    MemoryRegion *ram = fixture_ram(f, "ram", 8), *frame = fixture_container(f, "frame", 7);

    fixture_add(f->root, 0, fixture_alias(f, "base", ram, 0, 8), 0);
    fixture_add(frame, 3, fixture_alias(f, "patch", ram, 4, 2), 0);
    fixture_add(f->root, 1, frame, 1);
    fixture_space(f);
    assert_ways(f, "base 0-3;patch 4-5;base 6-7;");
}

static void test_snapshot_keeps_slots_and_notes(void **state)
{
    Fixture *f = *state;
    g_autoptr(MapSnapshot) map = NULL;
    MapView *view;
    GString *svg;

    fixture_add(f->root, 4, fixture_ram(f, "ram", 4), 0);
    fixture_space(f);
    map = map_snapshot_take(f->ms, NULL);
    assert_null(map_snapshot_view_of(map, "none"));
    view = map_snapshot_view_of(map, "memory");
    map_view_add_slot(view, &(MapSlot){ NULL, 0x4000, 0x4fff, 7, true, false }, "ram");
    map_view_add_slot(view, &(MapSlot){ NULL, 0x5000, 0x7fff, 9, false, true }, "ram");
    map_view_add_note(view, 0x2000, 0x4fff, "room"); /* covered from 0x4000 on */
    svg = make(map, PICTURE_SVG);
    assert_has(svg, "data-start=\"0x4000\" data-last=\"0x4fff\" data-slot=\"7\"");
    assert_has(svg, ">slot 7  4 KiB  read-only</text>");
    assert_has(svg, "<g class=\"note\" data-view=\"0\" data-start=\"0x2000\" data-last=\"0x3fff\">");
    assert_has(svg, "data-start=\"0x4000\" data-last=\"0x7fff\" data-region=\"ram\"");
    check_all(map);
    g_string_free(svg, TRUE);
}

/* Extremes. */

#define MANY 100000u

static void test_picture_of_100000_regions(void **state)
{
    Fixture *f = *state;
    MemoryRegion *all = container(f, "all", INT128_2_64), *deep = all;
    g_autoptr(MapSnapshot) map = NULL;
    AddressSpace *as;
    GString *svg, *dot, *json;

    memory_region_transaction_begin(f->ms);
    for (unsigned i = 0; i < MANY; i++) {
        g_autofree char *name = g_strdup_printf("dev%u", i);
        MemoryRegion *mr =
            fixture_keep(f, memory_region_new_io(f->ms, NULL, &no_ops, NULL, name, 0x100));

        assert_true(memory_region_add_subregion(all, i * 0x200, mr, NULL));
    }
    for (unsigned i = 0; i < 300; i++) {
        MemoryRegion *inner = container(f, "inner", INT128_2_64);

        assert_true(memory_region_add_subregion(deep, 0, inner, NULL));
        deep = inner;
    }
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    as = address_space_new(f->ms, all, "memory", NULL);
    map = map_snapshot_take(f->ms, NULL);
    for (unsigned i = 0; i < 2000; i++) {
        map_view_add_slot(map_snapshot_view_of(map, "memory"),
                          &(MapSlot){ NULL, i * 0x200, i * 0x200 + 0xff, i, false, false }, "dev");
    }
    assert_int_equal(map_view(map, 0)->tiles->len, MANY);
    svg = make(map, PICTURE_SVG);
    dot = make(map, PICTURE_DOT);
    json = make(map, PICTURE_JSON);
    assert_true(svg->len < 1000000);
    assert_true(dot->len < 500000);
    assert_has(svg, " more regions)");
    assert_has(svg, " more tiles, ");
    assert_has(svg, " more slots)");
    assert_has(dot, " more regions)");
    picture_check_layout(map);
    picture_check_svg(map, svg);
    picture_check_json(map, json);
    g_string_free(svg, TRUE);
    g_string_free(dot, TRUE);
    g_string_free(json, TRUE);
    address_space_free(as);
}

/* Each region has its row, or is told of. */
static void check_rows(const MapSnapshot *map)
{
    g_autoptr(TreeRows) rows = tree_rows_new(map);
    uint32_t regions = 0;

    assert_true(rows->rows->len <= ROWS_MAX + 2);
    for (guint i = 0; i < rows->rows->len; i++) {
        regions += tree_row(rows, i)->region == MAP_NONE ? tree_row(rows, i)->folded : 1;
    }
    assert_int_equal(regions, map->regions->len);
    for (uint32_t i = 0; i < map->regions->len; i++) {
        assert_true(rows->row_of[i] < rows->rows->len);
    }
}

static void test_folded_rows_count_what_is_below(void **state)
{
    Fixture *f = *state;
    MemoryRegion *all = container(f, "all", INT128_2_64);
    g_autoptr(MapSnapshot) map = NULL;
    AddressSpace *as;

    memory_region_transaction_begin(f->ms);
    for (unsigned i = 0; i < 500; i++) {
        MemoryRegion *frame = fixture_container(f, "frame", 4);

        fixture_add(frame, 0, fixture_io(f, "a", 1), 0);
        fixture_add(frame, 2, fixture_io(f, "b", 1), 0);
        fixture_add(all, i * 8, frame, 0);
    }
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    as = address_space_new(f->ms, all, "memory", NULL);
    map = map_snapshot_take(f->ms, NULL);
    check_rows(map);
    check_all(map);
    address_space_free(as);
}

/* As many trees as there are aliases: not one row each. */
static void test_picture_of_many_trees(void **state)
{
    Fixture *f = *state;
    MemoryRegion *all = container(f, "all", INT128_2_64);
    g_autoptr(MapSnapshot) map = NULL;
    AddressSpace *as;

    memory_region_transaction_begin(f->ms);
    for (unsigned i = 0; i < 3000; i++) {
        MemoryRegion *target = fixture_io(f, "target", 1);

        fixture_add(all, i, fixture_alias(f, "alias", target, 0, 1), 0);
    }
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    as = address_space_new(f->ms, all, "memory", NULL);
    map = map_snapshot_take(f->ms, NULL);
    check_rows(map);
    check_all(map);
    address_space_free(as);
}

/* Names and texts. */

static void expect_format(const char *path, PictureFormat expected)
{
    PictureFormat format = PICTURE_NONE;
    g_autoptr(GError) error = NULL;

    assert_int_equal(picture_format(path, &format, &error), expected != PICTURE_NONE);
    assert_int_equal(format, expected);
    if (expected == PICTURE_NONE) {
        assert_int_equal(error->code, TESSERA_ERROR_INVALID);
        assert_non_null(strstr(error->message, path));
        assert_non_null(strstr(error->message, ".svg, .dot (Graphviz) or .json"));
    }
}

static void test_format_by_suffix(void **state)
{
    PictureFormat format = PICTURE_SVG;
    g_autoptr(GError) error = NULL;

    expect_format("map.svg", PICTURE_SVG);
    expect_format("/tmp/a.b/MAP.SVG", PICTURE_SVG);
    expect_format("x.dot", PICTURE_DOT);
    expect_format("x.svg.json", PICTURE_JSON);
    expect_format("map.png", PICTURE_NONE);
    expect_format("map", PICTURE_NONE);
    expect_format("/tmp/x.svg/map", PICTURE_NONE);
    expect_format(".svg", PICTURE_NONE); /* a hidden file without a suffix */
    expect_format("map.", PICTURE_NONE);
    assert_true(picture_or_text("/tmp/tmp.XyZ123", &format, NULL));
    assert_int_equal(format, PICTURE_NONE);
    assert_true(picture_or_text("-", &format, NULL));
    assert_int_equal(format, PICTURE_NONE);
    assert_true(picture_or_text("a.json", &format, NULL));
    assert_int_equal(format, PICTURE_JSON);
    assert_false(picture_or_text("a.PNG", &format, &error));
    assert_non_null(strstr(error->message, "there is no .png; pictures of the memory map are .svg"));
}

static void expect_size(Int128 size, const char *text)
{
    g_autofree char *made = text_size(size);

    assert_string_equal(made, text);
}

static void test_text_size(void **state)
{
    expect_size(0, "0 B");
    expect_size(1, "1 B");
    expect_size(1023, "1023 B");
    expect_size(640 << 10, "640 KiB");
    expect_size(1536 << 10, "1.5 MiB");
    expect_size((Int128)5 << 30, "5 GiB");
    expect_size(((Int128)3 << 30) - 0xe0000, "\xe2\x89\x88" "3 GiB");
    expect_size(INT128_2_64, "16 EiB");
    expect_size(INT128_2_64 - 1, "\xe2\x89\x88" "16 EiB");
}

static void expect_count(uint64_t count, const char *text)
{
    g_autofree char *made = text_count(count);

    assert_string_equal(made, text);
    assert_true(strlen(made) <= 5);
}

static void test_text_count(void **state)
{
    expect_count(0, "0");
    expect_count(9999, "9999");
    expect_count(10000, "10.0k");
    expect_count(99999, "99.9k");
    expect_count(100000, "100k");
    expect_count(999999, "999k");
    expect_count(1000000, "1.0M");
    expect_count(UINT64_MAX, "18.4E");
}

static void expect_short(const char *text, unsigned cells, const char *expected)
{
    g_autofree char *made = text_shorten(text, cells);

    assert_string_equal(made, expected);
    assert_true(text_cells(made) <= cells);
}

static void test_text_shorten(void **state)
{
    expect_short("dimm63", 6, "dimm63");
    expect_short("a-long-name-17", 7, "a-lo\xe2\x80\xa6" "17");
    expect_short("ab", 1, "\xe2\x80\xa6");
    expect_short("\xe5\xa4\xa7\xe5\xae\xb9\xe9\x87\x8f", 5,
                 "\xe5\xa4\xa7\xe2\x80\xa6\xe9\x87\x8f"); /* two cells each */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_picture_of_few_regions_at_edges),
        cmocka_unit_test(test_picture_of_dense_regions),
        cmocka_unit_test(test_picture_is_well_formed_for_others),
        cmocka_unit_test_setup_teardown(test_picture_shows_counts_as_heat, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_picture_of_the_ends_of_the_world, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_picture_of_one_whole_region, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_picture_of_names, fixture_setup, fixture_teardown),
        cmocka_unit_test(test_picture_of_an_empty_system),
        cmocka_unit_test_setup_teardown(test_picture_shows_equal_views_once, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_ribbons_of_a_tile_with_two_ways, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_ways_change_where_a_winner_begins, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_ways_change_where_a_container_begins_to_show,
                                        fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_snapshot_keeps_slots_and_notes, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_picture_of_100000_regions, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_folded_rows_count_what_is_below, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_picture_of_many_trees, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test(test_format_by_suffix),
        cmocka_unit_test(test_text_size),
        cmocka_unit_test(test_text_count),
        cmocka_unit_test(test_text_shorten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
