/* SPDX-License-Identifier: MIT */
/* Pictures of the memory map: one file that shows trees, flat views, slots and counts. */
#ifndef TESSERA_PICTURE_PICTURE_H
#define TESSERA_PICTURE_PICTURE_H

#include <glib.h>
#include "tessera/memory/map-snapshot.h"

/*
 * SVG: the trees on the left, with aliases as arrows; the flat view as tiles on an address axis that is
 *     stretched where something is; the slots beside it. Without script, fonts or files of others.
 * DOT: the trees as a digraph for Graphviz: solid edges to subregions, dashed ones to alias targets.
 * JSON: everything in the snapshot, for programs; the members stand in docs/memory-map.md.
 *
 * The same snapshot gives the same file, byte for byte. What has too many regions or tiles to be
 * looked at is drawn with its ends, and what lies between them is summed up in one line or piece that
 * says how much it is; JSON has all. Context of all: any thread, no lock.
 */
typedef enum PictureFormat {
    PICTURE_NONE,
    PICTURE_SVG,
    PICTURE_DOT,
    PICTURE_JSON,
} PictureFormat;

/**
 * picture_format() - by the end of a file's name: .svg, .dot or .json, in either case
 * @ret_format: untouched on failure
 *
 * Errors: TESSERA_ERROR_INVALID, with what works.
 */
bool picture_format(const char *path, PictureFormat *ret_format, GError **error);

/**
 * picture_or_text() - the same for a file that may be text: PICTURE_NONE for names with other ends
 *
 * Errors: TESSERA_ERROR_INVALID for ends of pictures that are not made here: .png, .pdf, ...
 */
bool picture_or_text(const char *path, PictureFormat *ret_format, GError **error);

/**
 * picture_make() - the file's contents
 * @format: not PICTURE_NONE (asserted)
 * @title: one line above it, UTF-8
 */
GString *picture_make(const MapSnapshot *map, PictureFormat format, const char *title);

/**
 * picture_write() - picture_make() by the end of @path, into that file, whole or not at all
 *
 * What is there already is replaced once the new file is complete (util/replace-file.h).
 */
bool picture_write(const MapSnapshot *map, const char *path, const char *title, GError **error);

#endif
