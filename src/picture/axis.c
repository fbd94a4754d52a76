/* SPDX-License-Identifier: MIT */
/* The address axis of one view: segments, pieces, folding, scale. */
#include "axis-internal.h"

#define FOLD_HEIGHT 40
#define EXTRA_MAX   110 /* of one segment */

/* Segments: the line cut wherever something begins or has ended. */

static void cut_at(GArray *cuts, Int128 addr, Int128 size)
{
    if (addr < size) {
        hwaddr cut = (hwaddr)addr;

        g_array_append_val(cuts, cut);
    }
}

static void cut_around(GArray *cuts, hwaddr start, hwaddr last, Int128 size)
{
    cut_at(cuts, start, size);
    cut_at(cuts, (Int128)last + 1, size);
}

static gint compare_cuts(gconstpointer a, gconstpointer b)
{
    hwaddr x = *(const hwaddr *)a, y = *(const hwaddr *)b;

    return x < y ? -1 : x > y;
}

static GArray *make_cuts(const MapView *view, Int128 size)
{
    GArray *cuts = g_array_new(FALSE, FALSE, sizeof(hwaddr));

    cut_at(cuts, 0, size);
    for (guint i = 0; i < view->tiles->len; i++) {
        cut_around(cuts, map_tile(view, i)->start, map_tile(view, i)->last, size);
    }
    for (guint i = 0; i < view->slots->len; i++) {
        cut_around(cuts, map_slot(view, i)->start, map_slot(view, i)->last, size);
    }
    for (guint i = 0; i < view->notes->len; i++) {
        cut_around(cuts, map_note(view, i)->start, map_note(view, i)->last, size);
    }
    g_array_sort(cuts, compare_cuts);
    return cuts;
}

/* Pieces: segments that show the same. */

/* Tile or note that holds an address; the address only goes up. */
typedef struct PieceCursor {
    const MapView *view;
    guint tile;
    guint note;
} PieceCursor;

static AxisPiece piece_at(PieceCursor *c, hwaddr start, hwaddr last)
{
    const MapView *view = c->view;
    AxisPiece piece = { .kind = PIECE_HOLE, .start = start, .last = last };

    while (c->tile < view->tiles->len && map_tile(view, c->tile)->last < start) {
        c->tile++;
    }
    while (c->note < view->notes->len && map_note(view, c->note)->last < start) {
        c->note++;
    }
    if (c->tile < view->tiles->len && map_tile(view, c->tile)->start <= start) {
        piece.kind = PIECE_TILE;
        piece.index = c->tile;
    } else if (c->note < view->notes->len && map_note(view, c->note)->start <= start) {
        piece.kind = PIECE_NOTE;
        piece.index = c->note;
    }
    return piece;
}

/* A segment of one piece, which it may make longer. */
static void append_segment(Axis *axis, const AxisPiece *piece)
{
    AxisPiece *before = axis->pieces->len
                            ? &g_array_index(axis->pieces, AxisPiece, axis->pieces->len - 1)
                            : NULL;
    AxisSegment segment = { .start = piece->start, .last = piece->last };

    if (before && before->kind == piece->kind && before->index == piece->index) {
        before->last = piece->last;
        before->segments++;
    } else {
        AxisPiece fresh = *piece;

        fresh.first_segment = axis->segments->len;
        fresh.segments = 1;
        g_array_append_val(axis->pieces, fresh);
    }
    segment.piece = axis->pieces->len - 1;
    g_array_append_val(axis->segments, segment);
}

static void make_pieces(Axis *axis, const MapView *view, Int128 size)
{
    g_autoptr(GArray) cuts = make_cuts(view, size);
    PieceCursor cursor = { view, 0, 0 };

    for (guint i = 0; i < cuts->len; i++) {
        hwaddr start = g_array_index(cuts, hwaddr, i);
        hwaddr last = i + 1 < cuts->len ? g_array_index(cuts, hwaddr, i + 1) - 1
                                        : (hwaddr)(size - 1);
        AxisPiece piece;

        if (i + 1 < cuts->len && g_array_index(cuts, hwaddr, i + 1) == start) {
            continue;
        }
        piece = piece_at(&cursor, start, last);
        append_segment(axis, &piece);
    }
}

/* Folding. */

/* Pieces @first .. @last become one, with one segment. */
static void fold_pieces(Axis *axis, guint first, guint last)
{
    AxisPiece *fold = &g_array_index(axis->pieces, AxisPiece, first);
    guint first_segment = fold->first_segment, segments = 0;

    *fold = (AxisPiece){ .kind = PIECE_FOLD, .start = fold->start,
                         .tiles = fold->kind == PIECE_TILE, .holes = fold->kind != PIECE_TILE,
                         .first_segment = first_segment, .segments = fold->segments };
    for (guint i = first; i <= last; i++) {
        const AxisPiece *piece = axis_piece(axis, i);

        segments += piece->segments;
        fold->tiles += i > first && piece->kind == PIECE_TILE;
        fold->holes += i > first && piece->kind != PIECE_TILE;
        fold->last = piece->last;
    }
    g_array_index(axis->segments, AxisSegment, first_segment).last = fold->last;
    fold->segments = 1;
    g_array_remove_range(axis->pieces, first + 1, last - first);
    if (segments > 1) {
        g_array_remove_range(axis->segments, first_segment + 1, segments - 1);
    }
}

/* After pieces were removed: who belongs to whom. */
static void number_segments(Axis *axis)
{
    guint next = 0;

    for (guint i = 0; i < axis->pieces->len; i++) {
        AxisPiece *piece = &g_array_index(axis->pieces, AxisPiece, i);

        piece->first_segment = next;
        for (guint n = 0; n < piece->segments; n++) {
            g_array_index(axis->segments, AxisSegment, next++).piece = i;
        }
    }
}

/* Scale. */

static int log2_of(Int128 size)
{
    int bits = 0;

    while (size > 1) {
        size >>= 1;
        bits++;
    }
    return bits;
}

static int least_height(const Axis *axis, const AxisSegment *segment)
{
    return axis_piece(axis, segment->piece)->kind == PIECE_FOLD ? FOLD_HEIGHT : SEGMENT_MIN;
}

/* How much of what height is left a segment gets; a hole less than what is there. */
static int weight(const Axis *axis, const AxisSegment *segment)
{
    int bits = log2_of((Int128)segment->last - segment->start + 1);

    switch (axis_piece(axis, segment->piece)->kind) {
    case PIECE_TILE:
        return bits * 2;
    case PIECE_FOLD:
        return 0;
    default:
        return bits;
    }
}

static void scale(Axis *axis, int height)
{
    int least = 0, weights = 0, y = 0, extra;

    for (guint i = 0; i < axis->segments->len; i++) {
        least += least_height(axis, axis_segment(axis, i));
        weights += weight(axis, axis_segment(axis, i));
    }
    extra = MAX(height - least, 0);
    for (guint i = 0; i < axis->segments->len; i++) {
        AxisSegment *segment = &g_array_index(axis->segments, AxisSegment, i);
        int more = weights ? (int)((int64_t)extra * weight(axis, segment) / weights) : 0;

        segment->y = y;
        segment->height = least_height(axis, segment) + MIN(more, EXTRA_MAX);
        y += segment->height;
    }
    axis->height = y;
}

Axis *axis_new(const MapView *view, Int128 size, int height)
{
    Axis *axis = g_new0(Axis, 1);

    axis->pieces = g_array_new(FALSE, FALSE, sizeof(AxisPiece));
    axis->segments = g_array_new(FALSE, FALSE, sizeof(AxisSegment));
    make_pieces(axis, view, size);
    if (axis->pieces->len > PIECES_MAX) {
        fold_pieces(axis, PIECES_MAX / 2, axis->pieces->len - PIECES_MAX / 2);
        number_segments(axis);
    }
    scale(axis, height);
    return axis;
}

void axis_free(Axis *axis)
{
    if (axis) {
        g_array_unref(axis->pieces);
        g_array_unref(axis->segments);
        g_free(axis);
    }
}

/* Places. */

static const AxisSegment *segment_of(const Axis *axis, hwaddr addr)
{
    guint low = 0, high = axis->segments->len - 1;

    while (low < high) {
        guint middle = low + (high - low + 1) / 2;

        if (axis_segment(axis, middle)->start <= addr) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return axis_segment(axis, low);
}

static int y_of(const AxisSegment *segment, Int128 addr)
{
    Int128 size = (Int128)segment->last - segment->start + 1;

    return segment->y + (int)((addr - segment->start) * segment->height / size);
}

int axis_y(const Axis *axis, hwaddr addr)
{
    return y_of(segment_of(axis, addr), addr);
}

int axis_y_after(const Axis *axis, hwaddr addr)
{
    return y_of(segment_of(axis, addr), (Int128)addr + 1);
}

int axis_piece_y(const Axis *axis, const AxisPiece *piece)
{
    return axis_segment(axis, piece->first_segment)->y;
}

int axis_piece_height(const Axis *axis, const AxisPiece *piece)
{
    const AxisSegment *last = axis_segment(axis, piece->first_segment + piece->segments - 1);

    return last->y + last->height - axis_piece_y(axis, piece);
}
