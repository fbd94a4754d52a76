/* SPDX-License-Identifier: MIT */
/* Where everything of a picture stands: boxes, lines and texts, computed before a byte is written. */
#ifndef TESSERA_PICTURE_LAYOUT_INTERNAL_H
#define TESSERA_PICTURE_LAYOUT_INTERNAL_H

#include "axis-internal.h"
#include "rows-internal.h"
#include "trace-internal.h"

/*
 *   title, legend
 *   ---- a section for each view ------------------------------------------------------------------
 *   lanes   tree rows: name, kind,      ribbons    tiles on      hits   addresses   slots
 *   of      addresses, size,                       the axis
 *   aliases priority, target, hits
 *
 * Texts are set in a font of constant width; whole pixels everywhere, so that nothing depends on how a
 * machine rounds. No two labels overlap, and none leaves its column: what is too long is shortened.
 */

#define CELL 7 /* pixels; wider than the common fonts' characters at 11 pixels */

typedef enum LabelStyle { LABEL_TEXT, LABEL_DIM, LABEL_BOLD, LABEL_HEAD, LABEL_TITLE } LabelStyle;
typedef enum LabelAnchor { LABEL_START, LABEL_MIDDLE, LABEL_END } LabelAnchor;

typedef struct PictureBox {
    int x;
    int y;
    int width;
    int height;
} PictureBox;

/** struct PictureLabel - @box: what @text fills; @full: the text before it was shortened, else NULL */
typedef struct PictureLabel {
    PictureBox box;
    LabelStyle style;
    LabelAnchor anchor;
    char *text;
    char *full;
} PictureLabel;

/** struct PictureRow - a row of a tree: its chip; @parent_x: of the chip above, @parent_y: its lower end */
typedef struct PictureRow {
    PictureBox chip;
    uint32_t region; /* MAP_NONE: a fold */
    MapKind kind;    /* of what it shows in the end */
    bool faded;      /* nothing of it shows */
    bool has_parent;
    int parent_x;
    int parent_y;
    char *title;
} PictureRow;

/** struct PictureLane - the way of an alias to its target: a line down at @x, from row to row */
typedef struct PictureLane {
    int x;
    int from_x; /* left ends of the rows */
    int from_y;
    int to_x;
    int to_y;
    MapKind kind;
} PictureLane;

/** struct PicturePiece - what lies on the axis; @kind counts for tiles */
typedef struct PicturePiece {
    PictureBox box;
    guint view;
    PieceKind what;
    hwaddr start;
    hwaddr last;
    guint tile;
    guint tiles; /* of a fold */
    MapKind kind;
    char *title;
} PicturePiece;

typedef struct PictureSlot {
    PictureBox box;
    guint view;
    guint slot; /* index in the view */
    MapKind kind;
    char *title;
} PictureSlot;

/** struct PictureRibbon - from a row at (@x0, @y0) to @y1 .. @y2 of a tile at @x1 */
typedef struct PictureRibbon {
    int x0;
    int y0;
    int x1;
    int y1;
    int y2;
    MapKind kind;
} PictureRibbon;

/** struct PictureHeat - how often a tile's region was accessed: @level 1 .. HEAT_LEVELS */
typedef struct PictureHeat {
    PictureBox box;
    unsigned level;
} PictureHeat;
#define HEAT_LEVELS 5u

/** struct PictureMark - small things: ticks, rules, the legend's samples */
typedef enum MarkKind { MARK_TICK, MARK_GUIDE, MARK_RULE, MARK_CHIP, MARK_HOLE, MARK_NOTE, MARK_ARROW,
                        MARK_HEAT, MARK_FADED } MarkKind;
typedef struct PictureMark {
    MarkKind mark;
    PictureBox box;
    unsigned value; /* a MapKind, or a level */
} PictureMark;

typedef struct Picture {
    const MapSnapshot *map;
    int width;
    int height;
    GArray *labels;  /* PictureLabel */
    GArray *rows;    /* PictureRow */
    GArray *lanes;   /* PictureLane */
    GArray *pieces;  /* PicturePiece */
    GArray *slots;   /* PictureSlot */
    GArray *ribbons; /* PictureRibbon */
    GArray *heats;   /* PictureHeat */
    GArray *marks;   /* PictureMark */
} Picture;

/** picture_lay_out() - @map outlives the picture */
Picture *picture_lay_out(const MapSnapshot *map, const char *title);
void picture_free(Picture *picture);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Picture, picture_free)

/* What the files of the layout share. */

/** struct Columns - x and width of each column, the same in all sections */
typedef struct Column {
    int x;
    int width; /* 0: there is no such column */
} Column;

enum { ROW_NAME, ROW_KIND, ROW_ADDRESSES, ROW_SIZE, ROW_PRIORITY, ROW_SHOWS, ROW_HITS, ROW_COLUMNS };

typedef struct Columns {
    Column lanes;
    Column row[ROW_COLUMNS];
    int row_end;
    Column tiles;
    Column heat;
    Column addresses;
    Column slots;
} Columns;

/** struct Section - one view, and the trees drawn with it */
typedef struct Section {
    guint view;
    uint32_t root; /* of the space with the largest one */
    Int128 size;
    unsigned digits; /* of an address */
    guint first_row;
    guint rows;
    Axis *axis;
    GArray *parts; /* TracePart: of the tiles that are drawn */
    int row_height;
    int y;         /* of the rows and of the axis */
    int height;
} Section;

typedef struct Layout {
    Picture *picture;
    const MapSnapshot *map;
    TreeRows *rows;
    Trace *trace;
    GArray *sections; /* Section */
    Columns columns;
    int *row_y; /* middle of each row */
    int *row_x; /* left end of its chip */
    bool counts;       /* something was counted */
    bool knows_hidden; /* every tile was traced: what no way led through shows nothing */
} Layout;

#define ROW_HEIGHT  18 /* at least, */
#define ROW_HIGH    28 /* and at most, where the axis is higher than the rows */
#define LABEL_HIGH  14
#define CHIP        10
#define COLUMN_GAP  14

/** picture_label() - appends @text, in @width pixels at most; false: there is no room for a character */
bool picture_label(Picture *picture, int x, int middle_y, int width, LabelAnchor anchor,
                   LabelStyle style, const char *text);
/** picture_label_width() - pixels of @text */
int picture_label_width(LabelStyle style, const char *text);
void picture_mark(Picture *picture, MarkKind mark, PictureBox box, unsigned value);

uint64_t layout_hits(const MapRegion *mr);
/** layout_range() - "00000000-0009ffff". New */
char *layout_range(Int128 start, Int128 size, unsigned digits);

/* layout-tree.c */
/** layout_rows_height() - of rows that are @row_height high */
int layout_rows_height(const Layout *layout, const Section *section, int row_height);
/** layout_measure_rows() - widths of the columns of all rows, from @x on */
void layout_measure_rows(Layout *layout, int x);
void layout_place_rows(Layout *layout, const Section *section);
/** layout_place_lanes() - after all rows */
void layout_place_lanes(Layout *layout);
int layout_lanes_width(const Layout *layout);

/* layout-view.c */
void layout_measure_view(Layout *layout, int x);
void layout_place_view(Layout *layout, const Section *section);

/* layout-legend.c: returns the y below it */
int layout_place_legend(Layout *layout, int y);

#endif
