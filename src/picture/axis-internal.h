/* SPDX-License-Identifier: MIT */
/* The address axis of one view: what lies along it, and how far each stretch is drawn. */
#ifndef TESSERA_PICTURE_AXIS_INTERNAL_H
#define TESSERA_PICTURE_AXIS_INTERNAL_H

#include "tessera/memory/map-snapshot.h"
#include "tessera/util/range.h"

#define PIECES_MAX  600u
#define SEGMENT_MIN 18 /* height of the smallest: one line of text */

typedef enum PieceKind { PIECE_TILE, PIECE_HOLE, PIECE_NOTE, PIECE_FOLD } PieceKind;

/**
 * struct AxisPiece - what is drawn as one box: addresses @start .. @last
 * @index: of the tile or the note
 * @tiles, @holes: how many a fold stands for
 * @segments: how many segments it has
 */
typedef struct AxisPiece {
    PieceKind kind;
    hwaddr start;
    hwaddr last;
    guint index;
    guint tiles;
    guint holes;
    guint first_segment;
    guint segments;
} AxisPiece;

/**
 * struct AxisSegment - addresses that are drawn to one scale, from @y on, @height high
 *
 * One begins wherever a tile, a slot or a note begins or has ended: each of these has a line's height
 * at least, and a 4 KiB page is seen beside a 1 TiB window. What a segment is higher than that grows
 * with the logarithm of its size.
 */
typedef struct AxisSegment {
    hwaddr start;
    hwaddr last;
    guint piece;
    int y;
    int height;
} AxisSegment;

typedef struct Axis {
    GArray *pieces;   /* AxisPiece, by address, without gaps */
    GArray *segments; /* AxisSegment, the same */
    int height;
} Axis;

/**
 * axis_new() - the axis of @view, from address 0 to @size
 * @height: what it shall be high if that is enough for all segments
 *
 * With more than PIECES_MAX pieces, those in the middle are one, a fold.
 */
Axis *axis_new(const MapView *view, Int128 size, int height);
void axis_free(Axis *axis);

/** axis_y() - where @addr begins; axis_y_after() - where @addr has ended */
int axis_y(const Axis *axis, hwaddr addr);
int axis_y_after(const Axis *axis, hwaddr addr);

static inline const AxisPiece *axis_piece(const Axis *axis, guint n)
{
    return &g_array_index(axis->pieces, AxisPiece, n);
}

static inline const AxisSegment *axis_segment(const Axis *axis, guint n)
{
    return &g_array_index(axis->segments, AxisSegment, n);
}

/** axis_piece_y() / axis_piece_height() - the box of a piece */
int axis_piece_y(const Axis *axis, const AxisPiece *piece);
int axis_piece_height(const Axis *axis, const AxisPiece *piece);

#endif
