/* SPDX-License-Identifier: MIT */
/* The whole snapshot as JSON. */
#include "emit-internal.h"

#include <jansson.h>
#include "text-internal.h"

/*
 * One region, tile, slot to a line, each made and written by itself: what has 100,000 of them needs
 * no tree of JSON values as large. Addresses and sizes are strings, "0x1000": a JSON number is a double
 * for many readers, and 2^64 fits into no integer.
 */

static json_t *hex(Int128 value)
{
    g_autofree char *digits = text_hex(value, 1);

    return json_sprintf("0x%s", digits);
}

static json_t *index_or_null(uint32_t index)
{
    return index == MAP_NONE ? json_null() : json_integer(index);
}

static json_t *string_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static void set_counts(json_t *object, const MemoryAccessCounts *counts)
{
    json_object_set_new(object, "reads", json_integer((json_int_t)counts->reads));
    json_object_set_new(object, "writes", json_integer((json_int_t)counts->writes));
    json_object_set_new(object, "exits", json_integer((json_int_t)counts->exits));
}

/* Takes @object over. */
static void append_value(GString *out, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);

    g_string_append(out, text);
    free(text);
    json_decref(value);
}

/* An element of a list, on a line of its own. */
static void append_element(GString *out, guint n, const char *indent, json_t *value)
{
    g_string_append_printf(out, "%s\n%s", n ? "," : "", indent);
    append_value(out, value);
}

static json_t *region_value(const MapSnapshot *map, uint32_t n)
{
    const MapRegion *mr = map_region(map, n);
    Int128 container = mr->parent == MAP_NONE ? 0 : map_region(map, mr->parent)->base;
    json_t *o = json_object();

    json_object_set_new(o, "id", json_integer(n));
    json_object_set_new(o, "name", json_string(mr->name));
    json_object_set_new(o, "kind", json_string(map_kind_name(mr->kind)));
    json_object_set_new(o, "container", index_or_null(mr->parent));
    json_object_set_new(o, "address", hex(mr->base - container));
    json_object_set_new(o, "size", hex(mr->size));
    json_object_set_new(o, "priority", json_integer(mr->priority));
    json_object_set_new(o, "rank", json_integer(mr->rank));
    json_object_set_new(o, "enabled", json_boolean(mr->enabled));
    json_object_set_new(o, "readonly", json_boolean(mr->readonly));
    json_object_set_new(o, "nonvolatile", json_boolean(mr->nonvolatile));
    if (mr->kind == MAP_ROM_DEVICE) {
        json_object_set_new(o, "romd", json_boolean(mr->romd_mode));
    }
    if (mr->kind == MAP_ALIAS) {
        json_object_set_new(o, "alias", json_integer(mr->alias));
        json_object_set_new(o, "alias-offset", hex(mr->alias_offset));
    }
    json_object_set_new(o, "owner", string_or_null(mr->owner));
    if (mr->counted) {
        set_counts(o, &mr->counts);
    }
    return o;
}

static void set_span(json_t *o, hwaddr start, hwaddr last)
{
    json_object_set_new(o, "start", hex(start));
    json_object_set_new(o, "last", hex(last));
}

static json_t *tile_value(const MapTile *tile)
{
    json_t *o = json_object();

    set_span(o, tile->start, tile->last);
    json_object_set_new(o, "region", json_integer(tile->region));
    json_object_set_new(o, "offset", hex(tile->offset));
    json_object_set_new(o, "kind", json_string(map_kind_name(tile->kind)));
    json_object_set_new(o, "readonly", json_boolean(tile->readonly));
    json_object_set_new(o, "nonvolatile", json_boolean(tile->nonvolatile));
    return o;
}

static json_t *slot_value(const MapSlot *slot)
{
    json_t *o = json_object();

    json_object_set_new(o, "id", json_integer(slot->id));
    set_span(o, slot->start, slot->last);
    json_object_set_new(o, "region", json_string(slot->region));
    json_object_set_new(o, "readonly", json_boolean(slot->readonly));
    json_object_set_new(o, "logged", json_boolean(slot->logged));
    return o;
}

static json_t *note_value(const MapNote *note)
{
    json_t *o = json_object();

    set_span(o, note->start, note->last);
    json_object_set_new(o, "text", json_string(note->text));
    return o;
}

static void append_view(const MapSnapshot *map, guint n, GString *out)
{
    const MapView *view = map_view(map, n);

    g_string_append_printf(out, "%s\n  {\"root\":", n ? "," : "");
    append_value(out, index_or_null(view->root));
    g_string_append(out, ",\n   \"tiles\":[");
    for (guint i = 0; i < view->tiles->len; i++) {
        append_element(out, i, "    ", tile_value(map_tile(view, i)));
    }
    g_string_append(out, "],\n   \"slots\":[");
    for (guint i = 0; i < view->slots->len; i++) {
        append_element(out, i, "    ", slot_value(map_slot(view, i)));
    }
    g_string_append(out, "],\n   \"notes\":[");
    for (guint i = 0; i < view->notes->len; i++) {
        append_element(out, i, "    ", note_value(map_note(view, i)));
    }
    g_string_append(out, "]}");
}

static json_t *space_value(const MapSpace *space)
{
    json_t *o = json_object();

    json_object_set_new(o, "name", json_string(space->name));
    json_object_set_new(o, "root", json_integer(space->root));
    json_object_set_new(o, "view", json_integer(space->view));
    return o;
}

void json_write(const MapSnapshot *map, const char *title, GString *out)
{
    json_t *unassigned = json_object();

    g_string_append(out, "{\"format\":\"tessera-memory-map\",\"version\":1,\n\"title\":");
    append_value(out, json_string(title));
    g_string_append(out, ",\n\"spaces\":[");
    for (guint i = 0; i < map->spaces->len; i++) {
        append_element(out, i, "  ", space_value(map_space(map, i)));
    }
    g_string_append(out, "],\n\"regions\":[");
    for (uint32_t i = 0; i < map->regions->len; i++) {
        append_element(out, i, "  ", region_value(map, i));
    }
    g_string_append(out, "],\n\"views\":[");
    for (guint i = 0; i < map->views->len; i++) {
        append_view(map, i, out);
    }
    g_string_append(out, "],\n\"unassigned\":");
    set_counts(unassigned, &map->unassigned);
    append_value(out, unassigned);
    g_string_append(out, "}\n");
}
