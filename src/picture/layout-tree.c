/* SPDX-License-Identifier: MIT */
/* The layout of the trees: rows, their columns, and lanes from aliases to targets. */
#include "layout-internal.h"

#include <string.h>
#include "text-internal.h"

#define INDENT      14
#define INDENTS_MAX 16 /* what lies deeper stands there, too */
#define TREE_GAP    12 /* above the next tree of a section */
#define LANE        9
#define LANES_MAX   12
#define STUB        12 /* from the last lane to the rows */

#define NAME_CELLS_MAX  36
#define NAME_CELLS_MIN  12
#define SHOWS_CELLS_MAX 34

/* Rows. */

static int depth_x(const TreeRow *row)
{
    return (int)MIN(row->depth, INDENTS_MAX) * INDENT;
}

static bool begins_tree(const TreeRow *row)
{
    return row->parent == MAP_NONE;
}

int layout_rows_height(const Layout *layout, const Section *section, int row_height)
{
    int height = 0;

    for (guint i = 0; i < section->rows; i++) {
        bool gap = i > 0 && begins_tree(tree_row(layout->rows, section->first_row + i));

        height += row_height + (gap ? TREE_GAP : 0);
    }
    return height;
}

static bool shows_nothing(const Layout *layout, uint32_t region)
{
    return layout->knows_hidden && !trace_shows(layout->trace, region);
}

static void append_marks(const Layout *layout, uint32_t region, GString *out)
{
    const MapRegion *mr = map_region(layout->map, region);

    if (mr->kind == MAP_ALIAS) {
        const MapRegion *target = map_region(layout->map, mr->alias);
        g_autofree char *offset = text_hex(mr->alias_offset, 1);

        g_string_append_printf(out, "%s from %s ", target->name, offset);
    }
    if (mr->readonly && mr->kind != MAP_ROM) {
        g_string_append(out, "[readonly] ");
    }
    if (mr->nonvolatile) {
        g_string_append(out, "[nonvolatile] ");
    }
    if (mr->kind == MAP_ROM_DEVICE && !mr->romd_mode) {
        g_string_append(out, "[reads go to the device] ");
    }
    if (!mr->enabled) {
        g_string_append(out, "[disabled] ");
    } else if (mr->kind == MAP_CONTAINER && mr->children == 0) {
        g_string_append(out, "[empty] ");
    } else if (shows_nothing(layout, region)) {
        g_string_append(out, "[shows nothing] ");
    }
    if (out->len > 0) {
        g_string_truncate(out, out->len - 1);
    }
}

/* The texts of a row; all new, NULL: nothing. */
static void row_texts(const Layout *layout, const Section *section, const TreeRow *row,
                      char *texts[ROW_COLUMNS])
{
    const MapRegion *mr;
    GString *marks;

    memset(texts, 0, ROW_COLUMNS * sizeof(*texts));
    if (row->region == MAP_NONE) {
        texts[ROW_NAME] = g_strdup_printf("(%u more region%s)", row->folded,
                                          row->folded == 1 ? "" : "s");
        return;
    }
    mr = map_region(layout->map, row->region);
    marks = g_string_new(NULL);
    append_marks(layout, row->region, marks);
    texts[ROW_NAME] = g_strdup(*mr->name ? mr->name : "(no name)");
    texts[ROW_KIND] = g_strdup(map_kind_name(mr->kind));
    texts[ROW_ADDRESSES] = layout_range(mr->base, mr->size, section->digits);
    texts[ROW_SIZE] = text_size(mr->size);
    texts[ROW_PRIORITY] = g_strdup_printf("%d", mr->priority);
    texts[ROW_SHOWS] = g_string_free(marks, FALSE);
    texts[ROW_HITS] = layout_hits(mr) ? text_count(layout_hits(mr)) : NULL;
}

static void free_texts(char *texts[ROW_COLUMNS])
{
    for (unsigned i = 0; i < ROW_COLUMNS; i++) {
        g_clear_pointer(&texts[i], g_free);
    }
}

static int name_x(const TreeRow *row)
{
    return depth_x(row) + CHIP + 6;
}

static void measure_row(Layout *layout, const Section *section, const TreeRow *row,
                        int widths[ROW_COLUMNS])
{
    char *texts[ROW_COLUMNS];

    row_texts(layout, section, row, texts);
    for (unsigned i = 0; i < ROW_COLUMNS; i++) {
        int width = texts[i] ? picture_label_width(LABEL_TEXT, texts[i]) : 0;

        if (i == ROW_NAME) {
            width = name_x(row) + MIN(width, NAME_CELLS_MAX * CELL);
        } else if (i == ROW_SHOWS) {
            width = MIN(width, SHOWS_CELLS_MAX * CELL);
        }
        widths[i] = MAX(widths[i], width);
    }
    free_texts(texts);
}

void layout_measure_rows(Layout *layout, int x)
{
    int widths[ROW_COLUMNS] = { [ROW_NAME] = NAME_CELLS_MIN * CELL, [ROW_KIND] = 5 * CELL,
                                [ROW_ADDRESSES] = 9 * CELL, [ROW_SIZE] = 5 * CELL,
                                [ROW_PRIORITY] = 4 * CELL, [ROW_SHOWS] = 8 * CELL,
                                [ROW_HITS] = layout->counts ? 5 * CELL : 0 };

    for (guint s = 0; s < layout->sections->len; s++) {
        const Section *section = &g_array_index(layout->sections, Section, s);

        for (guint i = 0; i < section->rows; i++) {
            measure_row(layout, section, tree_row(layout->rows, section->first_row + i), widths);
        }
    }
    for (unsigned i = 0; i < ROW_COLUMNS; i++) {
        layout->columns.row[i] = (Column){ x, widths[i] };
        x += widths[i] + (widths[i] ? COLUMN_GAP : 0);
    }
    layout->columns.row_end = x - COLUMN_GAP;
}

static char *row_title(const Layout *layout, const Section *section, uint32_t region)
{
    const MapRegion *mr = map_region(layout->map, region);
    g_autofree char *range = layout_range(mr->base, mr->size, section->digits);
    g_autofree char *bytes = text_bytes(mr->size);
    g_autoptr(GString) marks = g_string_new(NULL);
    GString *out = g_string_new(mr->name);

    append_marks(layout, region, marks);
    g_string_append_printf(out, ": %s, %s, %s, priority %d", map_kind_name(mr->kind), range, bytes,
                           mr->priority);
    if (marks->len) {
        g_string_append_printf(out, ", %s%s", mr->kind == MAP_ALIAS ? "alias of " : "", marks->str);
    }
    if (mr->owner) {
        g_string_append_printf(out, ", owner: %s", mr->owner);
    }
    if (layout_hits(mr)) {
        g_string_append_printf(out, "; %" G_GUINT64_FORMAT " reads, %" G_GUINT64_FORMAT
                               " writes, %" G_GUINT64_FORMAT " exits",
                               mr->counts.reads, mr->counts.writes, mr->counts.exits);
    }
    return g_string_free(out, FALSE);
}

static void place_texts(Layout *layout, const Section *section, const TreeRow *row, bool faded,
                        int y)
{
    const Column *columns = layout->columns.row;
    char *texts[ROW_COLUMNS];

    row_texts(layout, section, row, texts);
    for (unsigned i = 0; i < ROW_COLUMNS; i++) {
        bool right = i == ROW_SIZE || i == ROW_PRIORITY || i == ROW_HITS;
        int in = i == ROW_NAME ? name_x(row) : 0;
        LabelStyle style = i == ROW_NAME && begins_tree(row) && row->region != MAP_NONE
                               ? LABEL_BOLD
                               : (faded || i == ROW_KIND || row->region == MAP_NONE ? LABEL_DIM
                                                                                    : LABEL_TEXT);

        if (texts[i]) {
            picture_label(layout->picture, columns[i].x + in, y, columns[i].width - in,
                          right ? LABEL_END : LABEL_START, style, texts[i]);
        }
    }
    free_texts(texts);
}

static void place_row(Layout *layout, const Section *section, guint n, int y)
{
    const TreeRow *row = tree_row(layout->rows, n);
    int x = layout->columns.row[ROW_NAME].x + depth_x(row);
    PictureRow placed = { .chip = { x, y - CHIP / 2, CHIP, CHIP }, .region = row->region };

    layout->row_x[n] = x;
    layout->row_y[n] = y;
    if (row->parent != MAP_NONE) {
        guint parent = layout->rows->row_of[row->parent];

        placed.has_parent = tree_row(layout->rows, parent)->region == row->parent && parent < n;
        placed.parent_x = layout->row_x[parent] + CHIP / 2;
        placed.parent_y = layout->row_y[parent] + CHIP / 2;
    }
    if (row->region != MAP_NONE) {
        placed.kind = map_snapshot_shown_kind(layout->map, row->region);
        placed.faded = !map_region(layout->map, row->region)->enabled ||
                       shows_nothing(layout, row->region);
        placed.title = row_title(layout, section, row->region);
    }
    g_array_append_val(layout->picture->rows, placed);
    place_texts(layout, section, row, placed.faded, y);
}

void layout_place_rows(Layout *layout, const Section *section)
{
    int y = section->y;

    for (guint i = 0; i < section->rows; i++) {
        guint n = section->first_row + i;

        y += i > 0 && begins_tree(tree_row(layout->rows, n)) ? TREE_GAP : 0;
        place_row(layout, section, n, y + section->row_height / 2);
        y += section->row_height;
    }
}

/* Lanes: one for each row that is a target, free again below its lowest alias. */

typedef struct LaneUse {
    guint target; /* row */
    guint first;  /* rows that its line spans */
    guint last;
    int lane;
} LaneUse;

/* By target row: aliases whose row and target's row can be told apart. */
static GArray *lane_uses(const Layout *layout)
{
    g_autofree guint *at = g_new0(guint, layout->rows->rows->len + 1); /* 1 + index in @uses */
    GArray *uses = g_array_new(FALSE, FALSE, sizeof(LaneUse));

    for (guint n = 0; n < layout->rows->rows->len; n++) {
        uint32_t region = tree_row(layout->rows, n)->region;
        guint target;
        LaneUse *use;

        if (region == MAP_NONE || map_region(layout->map, region)->kind != MAP_ALIAS) {
            continue;
        }
        target = layout->rows->row_of[map_region(layout->map, region)->alias];
        if (target == n) {
            continue;
        }
        if (!at[target]) {
            LaneUse fresh = { target, target, target, 0 };

            g_array_append_val(uses, fresh);
            at[target] = uses->len;
        }
        use = &g_array_index(uses, LaneUse, at[target] - 1);
        use->first = MIN(use->first, n);
        use->last = MAX(use->last, n);
    }
    return uses;
}

static gint compare_uses(gconstpointer a, gconstpointer b)
{
    const LaneUse *x = a, *y = b;

    if (x->first != y->first) {
        return x->first < y->first ? -1 : 1;
    }
    return x->target < y->target ? -1 : x->target > y->target;
}

/* The first lane that is free, or that which becomes free first. Returns: how many lanes there are */
static int choose_lanes(GArray *uses)
{
    guint busy_to[LANES_MAX];
    int lanes = 0;

    g_array_sort(uses, compare_uses);
    for (guint i = 0; i < uses->len; i++) {
        LaneUse *use = &g_array_index(uses, LaneUse, i);
        int best = 0;

        for (int n = 0; n < lanes; n++) {
            best = busy_to[n] < busy_to[best] ? n : best;
        }
        if (lanes == 0 || (busy_to[best] >= use->first && lanes < LANES_MAX)) {
            best = lanes++;
        }
        use->lane = best;
        busy_to[best] = use->last;
    }
    return lanes;
}

int layout_lanes_width(const Layout *layout)
{
    g_autoptr(GArray) uses = lane_uses(layout);
    int lanes = choose_lanes(uses);

    return lanes ? lanes * LANE + STUB : 0;
}

static void place_lane(Layout *layout, guint n, guint target, int lane)
{
    uint32_t region = tree_row(layout->rows, n)->region;
    PictureLane placed = {
        .x = layout->columns.lanes.x + layout->columns.lanes.width - STUB - lane * LANE,
        .from_x = layout->row_x[n] - 2,
        .from_y = layout->row_y[n],
        .to_x = layout->row_x[target] - 2,
        .to_y = layout->row_y[target],
        .kind = map_snapshot_shown_kind(layout->map, region),
    };

    g_array_append_val(layout->picture->lanes, placed);
}

void layout_place_lanes(Layout *layout)
{
    g_autoptr(GArray) uses = lane_uses(layout);
    g_autofree int *lane_of = g_new0(int, layout->rows->rows->len + 1);

    choose_lanes(uses);
    for (guint i = 0; i < uses->len; i++) {
        lane_of[g_array_index(uses, LaneUse, i).target] = g_array_index(uses, LaneUse, i).lane;
    }
    for (guint n = 0; n < layout->rows->rows->len; n++) {
        uint32_t region = tree_row(layout->rows, n)->region;

        if (region != MAP_NONE && map_region(layout->map, region)->kind == MAP_ALIAS) {
            guint target = layout->rows->row_of[map_region(layout->map, region)->alias];

            if (target != n) {
                place_lane(layout, n, target, lane_of[target]);
            }
        }
    }
}
