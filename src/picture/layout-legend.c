/* SPDX-License-Identifier: MIT */
/* The legend: what colours, lines and hatchings mean; only those that are used. */
#include "layout-internal.h"

#define ITEM_GAP   26
#define SAMPLE     16
#define LINE_HIGH  22
#define LEFT       24

typedef struct Legend {
    Layout *layout;
    int x;
    int y;
} Legend;

static void place_item(Legend *legend, MarkKind mark, unsigned value, const char *text)
{
    int width = SAMPLE + 6 + picture_label_width(LABEL_TEXT, text);
    Picture *picture = legend->layout->picture;

    if (legend->x > LEFT && legend->x + width > picture->width - LEFT) {
        legend->x = LEFT;
        legend->y += LINE_HIGH;
    }
    picture_mark(picture, mark, (PictureBox){ legend->x, legend->y - 6, SAMPLE, 12 }, value);
    picture_label(picture, legend->x + SAMPLE + 6, legend->y, width, LABEL_START, LABEL_TEXT, text);
    legend->x += width + ITEM_GAP;
}

static const char *const kind_texts[] = {
    [MAP_CONTAINER] = "container: no content of its own",
    [MAP_RAM] = "RAM",
    [MAP_ROM] = "ROM: the guest reads only",
    [MAP_ROM_DEVICE] = "ROM device: writes go to callbacks",
    [MAP_RAM_DEVICE] = "RAM device",
    [MAP_IO] = "I/O: a device's callbacks answer",
};

static void place_kinds(Legend *legend)
{
    const MapSnapshot *map = legend->layout->map;
    bool used[MAP_KINDS] = { false };

    for (guint i = 0; i < map->regions->len; i++) {
        used[map_region(map, i)->kind] = true;
    }
    for (guint v = 0; v < map->views->len; v++) {
        for (guint i = 0; i < map_view(map, v)->tiles->len; i++) {
            used[map_tile(map_view(map, v), i)->kind] = true;
        }
    }
    for (unsigned kind = 0; kind < MAP_ALIAS; kind++) {
        if (used[kind]) {
            place_item(legend, MARK_CHIP, kind, kind_texts[kind]);
        }
    }
    if (used[MAP_ALIAS]) {
        place_item(legend, MARK_ARROW, MAP_RAM, "alias: the arrow leads to what it shows");
    }
}

static void place_axis_items(Legend *legend)
{
    const MapSnapshot *map = legend->layout->map;
    bool notes = false;

    for (guint v = 0; v < map->views->len; v++) {
        notes = notes || map_view(map, v)->notes->len > 0;
    }
    place_item(legend, MARK_HOLE, 0, "hole: no region answers");
    if (notes) {
        place_item(legend, MARK_NOTE, 0, "hole that the board keeps for something");
    }
    place_item(legend, MARK_FADED, 0, "faded: nothing of it shows");
}

static void place_heat_items(Legend *legend)
{
    static const char *const texts[HEAT_LEVELS] = {
        "hits: 1 ..", "100 ..", "10k ..", "1M ..", "100M ..",
    };

    for (unsigned i = 0; i < HEAT_LEVELS; i++) {
        place_item(legend, MARK_HEAT, i + 1, texts[i]);
    }
}

int layout_place_legend(Layout *layout, int y)
{
    Legend legend = { layout, LEFT, y + 8 };

    place_kinds(&legend);
    place_axis_items(&legend);
    if (layout->counts) {
        place_heat_items(&legend);
    }
    return legend.y + LINE_HIGH;
}
