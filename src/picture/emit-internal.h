/* SPDX-License-Identifier: MIT */
/* The writers of the formats. Each appends a whole file to @out; see tessera/picture/picture.h. */
#ifndef TESSERA_PICTURE_EMIT_INTERNAL_H
#define TESSERA_PICTURE_EMIT_INTERNAL_H

#include "tessera/memory/map-snapshot.h"

/**
 * svg_write() - the elements carry what they show, for programs:
 *
 *   <g class="tile" data-view="0" data-start="0x.." data-last="0x.." data-region="NAME"
 *      data-offset="0x.." data-kind="ram">
 *   <g class="hole" data-view=.. data-start=.. data-last=..>, "note" the same
 *   <g class="fold" data-view=.. data-start=.. data-last=.. data-tiles="N">
 *   <g class="slot" data-view=.. data-start=.. data-last=.. data-slot="N">
 *   <g class="row" data-region="NAME">
 */
void svg_write(const MapSnapshot *map, const char *title, GString *out);
void dot_write(const MapSnapshot *map, const char *title, GString *out);
void json_write(const MapSnapshot *map, const char *title, GString *out);

#endif
