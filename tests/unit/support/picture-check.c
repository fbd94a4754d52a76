/* SPDX-License-Identifier: MIT */
/* What must hold of every picture of the memory map. */
#include "picture-check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>
#include "../../../src/picture/layout-internal.h"
#include "external-tool.h"

/* Layout. */

static bool overlap(const PictureBox *a, const PictureBox *b)
{
    return a->x < b->x + b->width && b->x < a->x + a->width && a->y < b->y + b->height &&
           b->y < a->y + a->height;
}

static bool inside(const PictureBox *inner, const PictureBox *outer)
{
    return inner->x >= outer->x && inner->x + inner->width <= outer->x + outer->width &&
           inner->y >= outer->y && inner->y + inner->height <= outer->y + outer->height;
}

static gint compare_tops(gconstpointer a, gconstpointer b)
{
    return ((const PictureLabel *)a)->box.y - ((const PictureLabel *)b)->box.y;
}

static void check_labels(const Picture *p)
{
    const PictureBox paper = { 0, 0, p->width, p->height };

    g_array_sort(p->labels, compare_tops);
    for (guint i = 0; i < p->labels->len; i++) {
        const PictureLabel *label = &g_array_index(p->labels, PictureLabel, i);

        assert_true(inside(&label->box, &paper));
        for (guint n = i + 1; n < p->labels->len; n++) {
            const PictureLabel *other = &g_array_index(p->labels, PictureLabel, n);

            if (other->box.y >= label->box.y + label->box.height) {
                break;
            }
            if (overlap(&label->box, &other->box)) {
                fail_msg("labels overlap: '%s' and '%s'", label->text, other->text);
            }
        }
    }
}

static void check_box(const Picture *p, const PictureBox *box)
{
    assert_true(box->width > 0 && box->height > 0);
    for (guint i = 0; i < p->labels->len; i++) {
        const PictureLabel *label = &g_array_index(p->labels, PictureLabel, i);

        if (overlap(&label->box, box) && !inside(&label->box, box)) {
            fail_msg("label '%s' lies across the edge of a box", label->text);
        }
    }
}

void picture_check_layout(const MapSnapshot *map)
{
    g_autoptr(Picture) p = picture_lay_out(map, "title");

    check_labels(p);
    for (guint i = 0; i < p->pieces->len; i++) {
        check_box(p, &g_array_index(p->pieces, PicturePiece, i).box);
    }
    for (guint i = 0; i < p->slots->len; i++) {
        check_box(p, &g_array_index(p->slots, PictureSlot, i).box);
    }
    for (guint i = 0; i < p->rows->len; i++) {
        check_box(p, &g_array_index(p->rows, PictureRow, i).chip);
    }
}

/* SVG. */

typedef struct SvgReader {
    const MapSnapshot *map;
    guint view;
    guint tile; /* of the view: next */
    guint slots[8];
    guint folds;
    bool folded;
    Int128 end; /* where the next piece must begin */
} SvgReader;

static const char *attribute(const char **names, const char **values, const char *name)
{
    for (; *names; names++, values++) {
        if (g_str_equal(*names, name)) {
            return *values;
        }
    }
    return NULL;
}

static uint64_t number(const char **names, const char **values, const char *name)
{
    const char *value = attribute(names, values, name);

    assert_non_null(value);
    return g_ascii_strtoull(value, NULL, 0);
}

/* Pieces of a view stand one behind the other, from address 0 on. */
static void read_place(SvgReader *r, const char **names, const char **values)
{
    guint view = (guint)number(names, values, "data-view");

    if (view != r->view) {
        assert_int_equal(view, r->view + 1);
        assert_int_equal(r->tile, map_view(r->map, r->view)->tiles->len);
        r->view = view;
        r->tile = 0;
        r->end = 0;
    }
    assert_true(r->end == number(names, values, "data-start"));
    r->end = (Int128)number(names, values, "data-last") + 1;
}

/* XML carries these as they are. */
static bool is_plain(const char *name)
{
    for (; *name; name++) {
        if (*name < 0x20 || *name > 0x7e) {
            return false;
        }
    }
    return true;
}

static void read_tile(SvgReader *r, const char **names, const char **values)
{
    const MapView *view = map_view(r->map, r->view);
    const MapTile *tile;

    assert_true(r->tile < view->tiles->len);
    tile = map_tile(view, r->tile++);
    assert_true(number(names, values, "data-start") == tile->start);
    assert_true(number(names, values, "data-last") == tile->last);
    assert_true(number(names, values, "data-offset") == tile->offset);
    assert_string_equal(attribute(names, values, "data-kind"), map_kind_name(tile->kind));
    if (is_plain(map_region(r->map, tile->region)->name)) {
        assert_string_equal(attribute(names, values, "data-region"),
                            map_region(r->map, tile->region)->name);
    }
}

static void read_slot(SvgReader *r, const char **names, const char **values)
{
    const MapView *view = map_view(r->map, (guint)number(names, values, "data-view"));
    guint *next = &r->slots[number(names, values, "data-view")];
    const MapSlot *slot;

    while (r->folded && map_slot(view, *next)->id != number(names, values, "data-slot")) {
        (*next)++;
    }
    slot = map_slot(view, (*next)++);
    assert_true(number(names, values, "data-start") == slot->start);
    assert_true(number(names, values, "data-last") == slot->last);
    assert_true(number(names, values, "data-slot") == slot->id);
}

static void read_element(GMarkupParseContext *context, const char *element, const char **names,
                         const char **values, gpointer opaque, GError **error)
{
    const char *class = attribute(names, values, "class");
    SvgReader *r = opaque;

    if (!g_str_equal(element, "g") || !class) {
        return;
    }
    if (g_str_equal(class, "slot")) {
        read_slot(r, names, values);
    } else if (!g_str_equal(class, "row")) {
        read_place(r, names, values);
        if (g_str_equal(class, "tile")) {
            read_tile(r, names, values);
        } else if (g_str_equal(class, "fold")) {
            r->tile += (guint)number(names, values, "data-tiles");
            r->folded = true;
        }
    }
}

void picture_check_svg(const MapSnapshot *map, const GString *svg)
{
    static const GMarkupParser parser = { .start_element = read_element };
    SvgReader reader = { .map = map };
    GMarkupParseContext *context = g_markup_parse_context_new(&parser, 0, &reader, NULL);
    g_autoptr(GError) error = NULL;

    assert_true(map->views->len <= G_N_ELEMENTS(reader.slots));
    if (!g_markup_parse_context_parse(context, svg->str, (gssize)svg->len, &error) ||
        !g_markup_parse_context_end_parse(context, &error)) {
        fail_msg("%s", error->message);
    }
    g_markup_parse_context_free(context);
    assert_int_equal(reader.view, map->views->len - 1);
    assert_int_equal(reader.tile, map_view(map, reader.view)->tiles->len);
    for (guint v = 0; v < map->views->len && !reader.folded; v++) {
        assert_int_equal(reader.slots[v], map_view(map, v)->slots->len);
    }
}

/* JSON. */

static Int128 hex_member(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));

    assert_non_null(text);
    assert_true(g_str_has_prefix(text, "0x"));
    return g_str_equal(text, "0x10000000000000000") ? INT128_2_64
                                                    : (Int128)g_ascii_strtoull(text, NULL, 16);
}

static json_int_t int_member(const json_t *o, const char *name)
{
    assert_true(json_is_integer(json_object_get(o, name)));
    return json_integer_value(json_object_get(o, name));
}

static void check_region(const MapSnapshot *map, uint32_t n, const json_t *o)
{
    const MapRegion *mr = map_region(map, n);
    const json_t *container = json_object_get(o, "container");
    Int128 base = mr->parent == MAP_NONE ? 0 : map_region(map, mr->parent)->base;

    assert_int_equal(int_member(o, "id"), n);
    assert_string_equal(json_string_value(json_object_get(o, "name")), mr->name);
    assert_string_equal(json_string_value(json_object_get(o, "kind")), map_kind_name(mr->kind));
    assert_true(mr->parent == MAP_NONE ? json_is_null(container)
                                       : json_integer_value(container) == mr->parent);
    assert_true(hex_member(o, "address") == mr->base - base);
    assert_true(hex_member(o, "size") == mr->size);
    assert_int_equal(int_member(o, "priority"), mr->priority);
    assert_int_equal(json_is_true(json_object_get(o, "enabled")), mr->enabled);
    assert_int_equal(json_object_get(o, "alias") != NULL, mr->alias != MAP_NONE);
    if (mr->alias != MAP_NONE) {
        assert_int_equal(int_member(o, "alias"), mr->alias);
        assert_true(hex_member(o, "alias-offset") == mr->alias_offset);
    }
    if (mr->counted) {
        assert_int_equal(int_member(o, "reads"), mr->counts.reads);
        assert_int_equal(int_member(o, "exits"), mr->counts.exits);
    }
}

static void check_view(const MapView *view, const json_t *o)
{
    const json_t *tiles = json_object_get(o, "tiles"), *slots = json_object_get(o, "slots");

    assert_int_equal(json_array_size(tiles), view->tiles->len);
    for (guint i = 0; i < view->tiles->len; i++) {
        const json_t *t = json_array_get(tiles, i);

        assert_true(hex_member(t, "start") == map_tile(view, i)->start);
        assert_true(hex_member(t, "last") == map_tile(view, i)->last);
        assert_true(hex_member(t, "offset") == map_tile(view, i)->offset);
        assert_int_equal(int_member(t, "region"), map_tile(view, i)->region);
        assert_int_equal(json_is_true(json_object_get(t, "readonly")), map_tile(view, i)->readonly);
    }
    assert_int_equal(json_array_size(slots), view->slots->len);
    for (guint i = 0; i < view->slots->len; i++) {
        const json_t *s = json_array_get(slots, i);

        assert_true(hex_member(s, "start") == map_slot(view, i)->start);
        assert_int_equal(int_member(s, "id"), map_slot(view, i)->id);
        assert_string_equal(json_string_value(json_object_get(s, "region")),
                            map_slot(view, i)->region);
    }
    assert_int_equal(json_array_size(json_object_get(o, "notes")), view->notes->len);
}

void picture_check_json(const MapSnapshot *map, const GString *text)
{
    json_error_t error;
    json_t *json = json_loadb(text->str, text->len, JSON_REJECT_DUPLICATES, &error);
    const json_t *regions, *views, *spaces;

    if (!json) {
        fail_msg("%s (line %d)", error.text, error.line);
    }
    assert_string_equal(json_string_value(json_object_get(json, "format")), "tessera-memory-map");
    assert_int_equal(int_member(json, "version"), 1);
    regions = json_object_get(json, "regions");
    views = json_object_get(json, "views");
    spaces = json_object_get(json, "spaces");
    assert_int_equal(json_array_size(regions), map->regions->len);
    for (uint32_t i = 0; i < map->regions->len; i++) {
        check_region(map, i, json_array_get(regions, i));
    }
    assert_int_equal(json_array_size(views), map->views->len);
    for (guint i = 0; i < map->views->len; i++) {
        check_view(map_view(map, i), json_array_get(views, i));
    }
    assert_int_equal(json_array_size(spaces), map->spaces->len);
    for (guint i = 0; i < map->spaces->len; i++) {
        assert_int_equal(int_member(json_array_get(spaces, i), "view"), map_space(map, i)->view);
        assert_int_equal(int_member(json_array_get(spaces, i), "root"), map_space(map, i)->root);
    }
    json_decref(json);
}

/* Tools. */

bool picture_check_tool(const GString *text, const char *name, const char *program,
                        const char *option)
{
    g_autofree char *output = NULL;
    char *folder;

    if (!tool_available(program)) {
        return false;
    }
    folder = tool_folder_new();
    tool_write(folder, name, text->str, text->len);
    if (tool_run(folder, &output, program, option, name, NULL) != 0) {
        fail_msg("%s: %s", program, output);
    }
    tool_folder_remove(folder);
    return true;
}
