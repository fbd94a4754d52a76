/* SPDX-License-Identifier: MIT */
/* The layout of a flat view: tiles and holes on the axis, ribbons, hits, addresses, slots. */
#include "layout-internal.h"

#include "text-internal.h"

#define PAD         6 /* between a box and its text */
#define TILE_MIN    (26 * CELL)
#define TILE_MAX    (46 * CELL)
#define HEAT_WIDTH  (6 * CELL)
#define SLOT_MIN    (16 * CELL)
#define SLOT_MAX    (40 * CELL)
#define TICK        8
#define RIBBON_GAP  4 /* from the rows and to the tiles */

/* Texts. */

static char *tile_name(const Layout *layout, const MapTile *tile)
{
    const char *name = map_region(layout->map, tile->region)->name;
    g_autofree char *offset = tile->offset ? text_hex(tile->offset, 1) : NULL;

    return offset ? g_strdup_printf("%s from %s", name, offset) : g_strdup(name);
}

static char *fold_text(const AxisPiece *piece)
{
    return g_strdup_printf("(%u more tile%s, %u hole%s)", piece->tiles,
                           piece->tiles == 1 ? "" : "s", piece->holes,
                           piece->holes == 1 ? "" : "s");
}

static char *piece_text(const Layout *layout, const MapView *view, const AxisPiece *piece)
{
    switch (piece->kind) {
    case PIECE_TILE:
        return tile_name(layout, map_tile(view, piece->index));
    case PIECE_NOTE:
        return g_strdup(map_note(view, piece->index)->text);
    case PIECE_FOLD:
        return fold_text(piece);
    default:
        return g_strdup("hole");
    }
}

static char *slot_text(const MapSlot *slot)
{
    g_autofree char *size = text_size((Int128)slot->last - slot->start + 1);

    return g_strdup_printf("slot %u  %s%s%s", slot->id, size, slot->readonly ? "  read-only" : "",
                           slot->logged ? "  logged" : "");
}

/* An address, and what it is for people where that is a round number. */
static char *address_text(Int128 addr, unsigned digits)
{
    g_autofree char *hex = text_hex(addr, digits);
    g_autofree char *size = text_size(addr);

    if (addr < 0x10000 || !g_ascii_isdigit(size[0])) {
        return g_steal_pointer(&hex);
    }
    return g_strdup_printf("%s  %s", hex, size);
}

/* Columns. */

static int clamp_width(int width, int least, int most)
{
    return CLAMP(width, least, most);
}

static int piece_width(const Layout *layout, const MapView *view, const AxisPiece *piece)
{
    g_autofree char *text = piece_text(layout, view, piece);
    g_autofree char *size = text_size((Int128)piece->last - piece->start + 1);

    return picture_label_width(LABEL_TEXT, text) + picture_label_width(LABEL_TEXT, size) +
           2 * PAD + COLUMN_GAP;
}

typedef struct ViewWidths {
    int tiles;
    int addresses;
    int slots;
} ViewWidths;

static void measure_section(const Layout *layout, const Section *section, ViewWidths *w)
{
    const MapView *view = map_view(layout->map, section->view);
    const Axis *axis = section->axis;

    for (guint i = 0; i < axis->pieces->len; i++) {
        w->tiles = MAX(w->tiles, piece_width(layout, view, axis_piece(axis, i)));
    }
    for (guint i = 0; i <= axis->segments->len; i++) {
        g_autofree char *text =
            address_text(i < axis->segments->len ? axis_segment(axis, i)->start : section->size,
                         section->digits);

        w->addresses = MAX(w->addresses, TICK + picture_label_width(LABEL_TEXT, text));
    }
    for (guint i = 0; i < view->slots->len; i++) {
        g_autofree char *text = slot_text(map_slot(view, i));

        w->slots = MAX(w->slots, picture_label_width(LABEL_TEXT, text) + 2 * PAD);
        w->slots = clamp_width(w->slots, SLOT_MIN, SLOT_MAX);
    }
}

void layout_measure_view(Layout *layout, int x)
{
    ViewWidths w = { TILE_MIN, 8 * CELL, 0 };
    Columns *c = &layout->columns;

    for (guint i = 0; i < layout->sections->len; i++) {
        measure_section(layout, &g_array_index(layout->sections, Section, i), &w);
    }
    c->tiles = (Column){ x, clamp_width(w.tiles, TILE_MIN, TILE_MAX) };
    x += c->tiles.width;
    c->heat = (Column){ x, layout->counts ? HEAT_WIDTH : 0 };
    x += c->heat.width;
    c->addresses = (Column){ x, w.addresses };
    x += w.addresses + COLUMN_GAP;
    c->slots = (Column){ x, w.slots };
}

/* Pieces. */

static void append_way(const Layout *layout, const Section *section, guint tile, GString *out)
{
    const char *between = "; by way of ";

    for (guint i = 0; i < section->parts->len; i++) {
        const TracePart *part = &g_array_index(section->parts, TracePart, i);

        if (part->tile == tile) {
            g_string_append_printf(out, "%s%s", between, map_region(layout->map, part->entry)->name);
            between = ", ";
        }
    }
}

static char *tile_title(const Layout *layout, const Section *section, guint index)
{
    const MapTile *tile = map_tile(map_view(layout->map, section->view), index);
    const MapRegion *mr = map_region(layout->map, tile->region);
    Int128 size = (Int128)tile->last - tile->start + 1;
    g_autofree char *range = layout_range(tile->start, size, section->digits);
    g_autofree char *bytes = text_bytes(size);
    g_autofree char *offset = text_hex(tile->offset, 1);
    GString *out = g_string_new(NULL);

    g_string_append_printf(out, "%s: %s, %s, %s, from %s of the region%s", mr->name,
                           map_kind_name(tile->kind), range, bytes, offset,
                           tile->nonvolatile ? ", nonvolatile" : "");
    append_way(layout, section, index, out);
    if (layout_hits(mr)) {
        g_string_append_printf(out, "; the region, wherever it shows: %" G_GUINT64_FORMAT
                               " reads, %" G_GUINT64_FORMAT " writes, %" G_GUINT64_FORMAT " exits",
                               mr->counts.reads, mr->counts.writes, mr->counts.exits);
    }
    return g_string_free(out, FALSE);
}

static char *piece_title(const Layout *layout, const Section *section, const AxisPiece *piece)
{
    Int128 size = (Int128)piece->last - piece->start + 1;
    g_autofree char *range = layout_range(piece->start, size, section->digits);
    g_autofree char *bytes = text_bytes(size);
    g_autofree char *text = NULL;

    if (piece->kind == PIECE_TILE) {
        return tile_title(layout, section, piece->index);
    }
    text = piece_text(layout, map_view(layout->map, section->view), piece);
    return g_strdup_printf("%s: %s, %s%s", text, range, bytes,
                           piece->kind == PIECE_HOLE   ? ": no region answers"
                           : piece->kind == PIECE_NOTE ? ": no region answers; the board keeps it"
                                                       : "");
}

static unsigned heat_level(uint64_t hits)
{
    unsigned level = 1;

    for (; hits >= 100 && level < HEAT_LEVELS; hits /= 100) {
        level++;
    }
    return level;
}

static void place_heat(Layout *layout, const MapTile *tile, int y, int height)
{
    const Column *c = &layout->columns.heat;
    uint64_t hits = layout_hits(map_region(layout->map, tile->region));
    PictureHeat heat = { { c->x, y, c->width, height }, heat_level(hits) };
    g_autofree char *text = text_count(hits);

    if (hits > 0) {
        g_array_append_val(layout->picture->heats, heat);
        picture_label(layout->picture, c->x, y + height / 2, c->width, LABEL_MIDDLE, LABEL_BOLD,
                      text);
    }
}

static void place_piece(Layout *layout, const Section *section, const AxisPiece *piece)
{
    const MapView *view = map_view(layout->map, section->view);
    const Column *c = &layout->columns.tiles;
    g_autofree char *text = piece_text(layout, view, piece);
    g_autofree char *size = text_size((Int128)piece->last - piece->start + 1);
    int height = axis_piece_height(section->axis, piece);
    int y = section->y + axis_piece_y(section->axis, piece), middle = y + height / 2;
    int size_width = picture_label_width(LABEL_TEXT, size);
    LabelStyle style = piece->kind == PIECE_TILE ? LABEL_TEXT : LABEL_DIM;
    PicturePiece placed = {
        .box = { c->x, y, c->width, height },
        .view = section->view,
        .what = piece->kind,
        .start = piece->start,
        .last = piece->last,
        .tile = piece->index,
        .tiles = piece->tiles,
        .title = piece_title(layout, section, piece),
    };

    if (piece->kind == PIECE_TILE) {
        placed.kind = map_tile(view, piece->index)->kind;
        place_heat(layout, map_tile(view, piece->index), y, height);
    }
    g_array_append_val(layout->picture->pieces, placed);
    picture_label(layout->picture, c->x + PAD, middle, c->width - 2 * PAD - COLUMN_GAP - size_width,
                  LABEL_START, style, text);
    picture_label(layout->picture, c->x + c->width - PAD - size_width, middle, size_width, LABEL_END,
                  style, size);
}

static void place_ribbon(Layout *layout, const Section *section, const TracePart *part)
{
    guint row = layout->rows->row_of[part->entry];
    PictureRibbon ribbon = {
        .x0 = layout->columns.row_end + RIBBON_GAP,
        .y0 = layout->row_y[row],
        .x1 = layout->columns.tiles.x - RIBBON_GAP,
        .y1 = section->y + axis_y(section->axis, part->start) + 1,
        .y2 = section->y + axis_y_after(section->axis, part->last) - 1,
        .kind = map_tile(map_view(layout->map, section->view), part->tile)->kind,
    };

    g_array_append_val(layout->picture->ribbons, ribbon);
}

/* Addresses. */

static void place_address(Layout *layout, const Section *section, Int128 addr, int y)
{
    const Column *c = &layout->columns.addresses;
    g_autofree char *text = address_text(addr, section->digits);

    picture_mark(layout->picture, MARK_TICK, (PictureBox){ c->x, y, TICK - 2, 0 }, 0);
    picture_label(layout->picture, c->x + TICK, y, c->width - TICK, LABEL_START, LABEL_TEXT, text);
}

static void place_addresses(Layout *layout, const Section *section)
{
    const Axis *axis = section->axis;

    for (guint i = 0; i < axis->segments->len; i++) {
        const AxisSegment *segment = axis_segment(axis, i);

        place_address(layout, section, segment->start, section->y + segment->y);
    }
    place_address(layout, section, section->size, section->y + axis->height);
}

/* Slots. */

static bool is_folded(const Axis *axis, const MapSlot *slot)
{
    for (guint i = 0; i < axis->pieces->len; i++) {
        const AxisPiece *piece = axis_piece(axis, i);

        if (piece->kind == PIECE_FOLD && slot->start <= piece->last && slot->last >= piece->start) {
            return true;
        }
    }
    return false;
}

static MapKind slot_kind(const MapView *view, const MapSlot *slot, guint *tile)
{
    while (*tile < view->tiles->len && map_tile(view, *tile)->last < slot->start) {
        (*tile)++;
    }
    return *tile < view->tiles->len && map_tile(view, *tile)->start <= slot->start
               ? map_tile(view, *tile)->kind
               : MAP_CONTAINER;
}

static char *slot_title(const Section *section, const MapSlot *slot)
{
    Int128 size = (Int128)slot->last - slot->start + 1;
    g_autofree char *range = layout_range(slot->start, size, section->digits);
    g_autofree char *bytes = text_bytes(size);

    return g_strdup_printf("KVM slot %u: %s, %s, of %s%s%s", slot->id, range, bytes, slot->region,
                           slot->readonly ? ", read-only" : "",
                           slot->logged ? ", writes are logged" : "");
}

/* From an address to the slots, at the edge of one. */
static void place_guide(Layout *layout, const Section *section, Int128 addr, int y)
{
    const Columns *c = &layout->columns;
    g_autofree char *text = address_text(addr, section->digits);
    int x = c->addresses.x + TICK + picture_label_width(LABEL_TEXT, text) + 4;

    picture_mark(layout->picture, MARK_GUIDE, (PictureBox){ x, y, c->slots.x - x, 0 }, 0);
}

static void place_slot(Layout *layout, const Section *section, guint index, MapKind kind)
{
    const MapSlot *slot = map_slot(map_view(layout->map, section->view), index);
    const Column *c = &layout->columns.slots;
    int y = section->y + axis_y(section->axis, slot->start);
    int end = section->y + axis_y_after(section->axis, slot->last);
    g_autofree char *text = slot_text(slot);
    PictureSlot placed = { { c->x, y, c->width, end - y }, section->view, index, kind,
                           slot_title(section, slot) };

    g_array_append_val(layout->picture->slots, placed);
    place_guide(layout, section, slot->start, y);
    place_guide(layout, section, (Int128)slot->last + 1, end);
    picture_label(layout->picture, c->x + PAD, (y + end) / 2, c->width - 2 * PAD, LABEL_START,
                  LABEL_TEXT, text);
}

/* Slots that lie in a fold, even in part, are told there. */
static void place_slots(Layout *layout, const Section *section)
{
    const MapView *view = map_view(layout->map, section->view);
    guint folded = 0, tile = 0;

    for (guint i = 0; i < view->slots->len; i++) {
        MapKind kind = slot_kind(view, map_slot(view, i), &tile);

        if (is_folded(section->axis, map_slot(view, i))) {
            folded++;
        } else {
            place_slot(layout, section, i, kind);
        }
    }
    for (guint i = 0; folded && i < section->axis->pieces->len; i++) {
        const AxisPiece *piece = axis_piece(section->axis, i);
        g_autofree char *text = g_strdup_printf("(%u more slot%s)", folded, folded == 1 ? "" : "s");

        if (piece->kind == PIECE_FOLD) {
            picture_label(layout->picture, layout->columns.slots.x + PAD,
                          section->y + axis_piece_y(section->axis, piece) +
                              axis_piece_height(section->axis, piece) / 2,
                          layout->columns.slots.width - 2 * PAD, LABEL_START, LABEL_DIM, text);
        }
    }
}

void layout_place_view(Layout *layout, const Section *section)
{
    const Column *slots = &layout->columns.slots;

    if (map_view(layout->map, section->view)->slots->len) {
        picture_label(layout->picture, slots->x, section->y - 18, slots->width, LABEL_START,
                      LABEL_DIM, "KVM slots");
    }
    for (guint i = 0; i < section->parts->len; i++) {
        place_ribbon(layout, section, &g_array_index(section->parts, TracePart, i));
    }
    for (guint i = 0; i < section->axis->pieces->len; i++) {
        place_piece(layout, section, axis_piece(section->axis, i));
    }
    place_addresses(layout, section);
    place_slots(layout, section);
}
