/* SPDX-License-Identifier: MIT */
/* The layout of a picture: sections, columns, labels. */
#include "layout-internal.h"

#include <string.h>
#include "text-internal.h"

#define MARGIN       24
#define RIBBON_WIDTH 110
#define SECTION_GAP  34
#define AXIS_PIECE   42  /* height that a picture of few pieces is given for each, */
#define AXIS_HEIGHT  560 /* up to this much */

/* Labels. */

typedef struct StyleSize {
    int cell;
    int height;
} StyleSize;

static const StyleSize style_sizes[] = {
    [LABEL_TEXT] = { CELL, LABEL_HIGH }, [LABEL_DIM] = { CELL, LABEL_HIGH },
    [LABEL_BOLD] = { CELL, LABEL_HIGH }, [LABEL_HEAD] = { 9, 18 },
    [LABEL_TITLE] = { 12, 24 },
};

int picture_label_width(LabelStyle style, const char *text)
{
    return (int)text_cells(text) * style_sizes[style].cell;
}

bool picture_label(Picture *picture, int x, int middle_y, int width, LabelAnchor anchor,
                   LabelStyle style, const char *text)
{
    const StyleSize *size = &style_sizes[style];
    PictureLabel label = { .style = style, .anchor = anchor };
    int cells = width / size->cell, used;

    if (cells < 1 || !*text) {
        return false;
    }
    label.text = text_shorten(text, (unsigned)cells);
    label.full = strcmp(label.text, text) == 0 ? NULL : g_strdup(text);
    used = picture_label_width(style, label.text);
    label.box = (PictureBox){ x, middle_y - size->height / 2, used, size->height };
    if (anchor != LABEL_START) {
        label.box.x += anchor == LABEL_END ? width - used : (width - used) / 2;
    }
    g_array_append_val(picture->labels, label);
    return true;
}

void picture_mark(Picture *picture, MarkKind mark, PictureBox box, unsigned value)
{
    PictureMark m = { mark, box, value };

    g_array_append_val(picture->marks, m);
}

uint64_t layout_hits(const MapRegion *mr)
{
    return mr->counts.reads + mr->counts.writes;
}

char *layout_range(Int128 start, Int128 size, unsigned digits)
{
    g_autofree char *first = text_hex(start, digits);
    g_autofree char *last = text_hex(start + size - 1, digits);

    return g_strconcat(first, "-", last, NULL);
}

/* Sections. */

static bool anything_counted(const MapSnapshot *map)
{
    for (guint i = 0; i < map->regions->len; i++) {
        if (layout_hits(map_region(map, i)) > 0) {
            return true;
        }
    }
    return map->unassigned.reads + map->unassigned.writes > 0;
}

/* Spaces that share a view may have roots of several sizes. */
static void find_root(const MapSnapshot *map, Section *section)
{
    for (guint i = 0; i < map->spaces->len; i++) {
        const MapSpace *space = map_space(map, i);

        if (space->view == section->view && map_region(map, space->root)->size > section->size) {
            section->root = space->root;
            section->size = MIN(map_region(map, space->root)->size, INT128_2_64);
        }
    }
}

static void trace_tiles(Layout *layout, Section *section)
{
    const MapView *view = map_view(layout->map, section->view);

    section->parts = g_array_new(FALSE, FALSE, sizeof(TracePart));
    for (guint i = 0; i < section->axis->pieces->len; i++) {
        const AxisPiece *piece = axis_piece(section->axis, i);

        if (piece->kind == PIECE_TILE) {
            trace_tile(layout->trace, view, piece->index, section->root, section->parts);
        }
    }
}

/* The axis is as high as the rows beside it, so that their ribbons run level; few tiles get room. */
static Axis *make_axis(const Layout *layout, const Section *section)
{
    const MapView *view = map_view(layout->map, section->view);
    guint pieces = view->tiles->len * 2 + view->notes->len + 1;
    int wanted = (int)MIN(pieces, 1000u) * AXIS_PIECE;

    return axis_new(view, section->size,
                    MAX(layout_rows_height(layout, section, ROW_HEIGHT),
                        MIN(wanted, AXIS_HEIGHT)));
}

/* Rows beside a high axis stand less densely: their ribbons are not as steep. */
static int choose_row_height(const Section *section)
{
    int height = section->rows ? section->axis->height / (int)section->rows : ROW_HEIGHT;

    return CLAMP(height, ROW_HEIGHT, ROW_HIGH);
}

static void make_sections(Layout *layout)
{
    for (guint v = 0; v < layout->map->views->len; v++) {
        Section section = { .view = v };

        find_root(layout->map, &section);
        section.digits = section.size <= 0x10000 ? 4 : 8;
        while (section.first_row < layout->rows->rows->len &&
               tree_row(layout->rows, section.first_row)->section < v) {
            section.first_row++;
        }
        while (section.first_row + section.rows < layout->rows->rows->len &&
               tree_row(layout->rows, section.first_row + section.rows)->section == v) {
            section.rows++;
        }
        section.axis = make_axis(layout, &section);
        trace_tiles(layout, &section);
        section.row_height = choose_row_height(&section);
        section.height = MAX(layout_rows_height(layout, &section, section.row_height),
                             section.axis->height);
        g_array_append_val(layout->sections, section);
    }
}

static bool all_tiles_are_drawn(const Layout *layout)
{
    for (guint i = 0; i < layout->sections->len; i++) {
        const Axis *axis = g_array_index(layout->sections, Section, i).axis;

        for (guint n = 0; n < axis->pieces->len; n++) {
            if (axis_piece(axis, n)->kind == PIECE_FOLD) {
                return false;
            }
        }
    }
    return true;
}

static void section_done(gpointer p)
{
    Section *section = p;

    axis_free(section->axis);
    g_array_unref(section->parts);
}

/* Headings. */

static void append_sizes(const MapView *view, GString *out)
{
    Int128 sizes[MAP_KINDS] = { 0 };

    for (guint i = 0; i < view->tiles->len; i++) {
        const MapTile *tile = map_tile(view, i);

        sizes[tile->kind] += (Int128)tile->last - tile->start + 1;
    }
    for (unsigned kind = 0; kind < MAP_KINDS; kind++) {
        g_autofree char *size = sizes[kind] ? text_size(sizes[kind]) : NULL;

        if (size) {
            g_string_append_printf(out, ", %s %s", map_kind_name(kind), size);
        }
    }
}

static void place_head(Layout *layout, const Section *section, int y)
{
    const MapView *view = map_view(layout->map, section->view);
    g_autoptr(GString) name = g_string_new("address space");
    g_autoptr(GString) text = g_string_new(NULL);
    unsigned names = 0;
    int width;

    for (guint i = 0; i < layout->map->spaces->len; i++) {
        if (map_space(layout->map, i)->view == section->view) {
            g_string_append_printf(name, "%s %s", names++ ? "," : "",
                                   map_space(layout->map, i)->name);
        }
    }
    g_string_append_printf(text, "%u tile%s", view->tiles->len, view->tiles->len == 1 ? "" : "s");
    append_sizes(view, text);
    if (view->slots->len) {
        g_string_append_printf(text, "; %u KVM slot%s", view->slots->len,
                               view->slots->len == 1 ? "" : "s");
    }
    width = layout->columns.row_end - MARGIN;
    picture_label(layout->picture, MARGIN, y, width, LABEL_START, LABEL_HEAD, name->str);
    picture_label(layout->picture, layout->columns.tiles.x, y,
                  layout->picture->width - MARGIN - layout->columns.tiles.x, LABEL_START,
                  LABEL_DIM, text->str);
}

static void place_column_heads(Layout *layout, int y)
{
    static const char *const heads[ROW_COLUMNS] = {
        "region tree", "kind", "addresses", "size", "prio", "alias of", "hits",
    };
    const Columns *c = &layout->columns;

    for (unsigned i = 0; i < ROW_COLUMNS; i++) {
        bool right = i == ROW_SIZE || i == ROW_PRIORITY || i == ROW_HITS;

        picture_label(layout->picture, c->row[i].x, y, c->row[i].width,
                      right ? LABEL_END : LABEL_START, LABEL_DIM, heads[i]);
    }
    picture_label(layout->picture, c->tiles.x, y, c->tiles.width, LABEL_START, LABEL_DIM,
                  "flat view: what answers");
    picture_label(layout->picture, c->heat.x, y, c->heat.width, LABEL_MIDDLE, LABEL_DIM, "hits");
    picture_label(layout->picture, c->addresses.x, y, c->addresses.width, LABEL_START, LABEL_DIM,
                  "address");
}

/* Columns. */

static void place_columns(Layout *layout)
{
    Columns *c = &layout->columns;

    c->lanes = (Column){ MARGIN, layout_lanes_width(layout) };
    layout_measure_rows(layout, c->lanes.x + c->lanes.width);
    layout_measure_view(layout, c->row_end + RIBBON_WIDTH);
    layout->picture->width = c->slots.width ? c->slots.x + c->slots.width
                                            : c->addresses.x + c->addresses.width;
    layout->picture->width += MARGIN;
}

static int place_section(Layout *layout, Section *section, int y)
{
    PictureBox rule = { MARGIN, y, layout->picture->width - 2 * MARGIN, 0 };

    picture_mark(layout->picture, MARK_RULE, rule, 0);
    place_head(layout, section, y + 20);
    place_column_heads(layout, y + 46);
    section->y = y + 64;
    layout_place_rows(layout, section);
    layout_place_view(layout, section);
    return section->y + section->height + SECTION_GAP;
}

static void place_unassigned(Layout *layout, int y)
{
    const MemoryAccessCounts *counts = &layout->map->unassigned;
    g_autofree char *text = NULL;

    if (layout->counts) {
        text = g_strdup_printf("where nothing answers: %" G_GUINT64_FORMAT " reads, %"
                               G_GUINT64_FORMAT " writes", counts->reads, counts->writes);
        picture_label(layout->picture, MARGIN, y, layout->picture->width - 2 * MARGIN, LABEL_START,
                      LABEL_DIM, text);
    }
}

static void lay_out(Layout *layout, const char *title)
{
    int y = MARGIN;

    place_columns(layout);
    picture_label(layout->picture, MARGIN, y + 8, layout->picture->width - 2 * MARGIN, LABEL_START,
                  LABEL_TITLE, title);
    y = layout_place_legend(layout, y + 40);
    for (guint i = 0; i < layout->sections->len; i++) {
        y = place_section(layout, &g_array_index(layout->sections, Section, i), y);
    }
    layout_place_lanes(layout);
    place_unassigned(layout, y);
    layout->picture->height = y + MARGIN;
}

/* The picture. */

static void label_done(gpointer p)
{
    g_free(((PictureLabel *)p)->text);
    g_free(((PictureLabel *)p)->full);
}

static void row_done(gpointer p)
{
    g_free(((PictureRow *)p)->title);
}

static void piece_done(gpointer p)
{
    g_free(((PicturePiece *)p)->title);
}

static void slot_done(gpointer p)
{
    g_free(((PictureSlot *)p)->title);
}

static Picture *new_picture(const MapSnapshot *map)
{
    Picture *p = g_new0(Picture, 1);

    p->map = map;
    p->labels = g_array_new(FALSE, FALSE, sizeof(PictureLabel));
    p->rows = g_array_new(FALSE, FALSE, sizeof(PictureRow));
    p->lanes = g_array_new(FALSE, FALSE, sizeof(PictureLane));
    p->pieces = g_array_new(FALSE, FALSE, sizeof(PicturePiece));
    p->slots = g_array_new(FALSE, FALSE, sizeof(PictureSlot));
    p->ribbons = g_array_new(FALSE, FALSE, sizeof(PictureRibbon));
    p->heats = g_array_new(FALSE, FALSE, sizeof(PictureHeat));
    p->marks = g_array_new(FALSE, FALSE, sizeof(PictureMark));
    g_array_set_clear_func(p->labels, label_done);
    g_array_set_clear_func(p->rows, row_done);
    g_array_set_clear_func(p->pieces, piece_done);
    g_array_set_clear_func(p->slots, slot_done);
    return p;
}

Picture *picture_lay_out(const MapSnapshot *map, const char *title)
{
    g_autoptr(TreeRows) rows = tree_rows_new(map);
    g_autoptr(Trace) trace = trace_new(map);
    g_autofree int *row_y = g_new0(int, rows->rows->len + 1);
    g_autofree int *row_x = g_new0(int, rows->rows->len + 1);
    g_autoptr(GArray) sections = g_array_new(FALSE, FALSE, sizeof(Section));
    Layout layout = { .picture = new_picture(map), .map = map, .rows = rows, .trace = trace,
                      .sections = sections, .row_y = row_y, .row_x = row_x,
                      .counts = anything_counted(map) };

    g_array_set_clear_func(sections, section_done);
    make_sections(&layout);
    layout.knows_hidden = trace_complete(trace) && all_tiles_are_drawn(&layout);
    lay_out(&layout, title);
    return layout.picture;
}

void picture_free(Picture *p)
{
    if (!p) {
        return;
    }
    g_array_unref(p->labels);
    g_array_unref(p->rows);
    g_array_unref(p->lanes);
    g_array_unref(p->pieces);
    g_array_unref(p->slots);
    g_array_unref(p->ribbons);
    g_array_unref(p->heats);
    g_array_unref(p->marks);
    g_free(p);
}
