/* SPDX-License-Identifier: MIT */
/* What must hold of every picture of the memory map. */
#ifndef TESSERA_TESTS_PICTURE_CHECK_H
#define TESSERA_TESTS_PICTURE_CHECK_H

#include "tessera/memory/map-snapshot.h"

/**
 * picture_check_layout() - asserts that no two labels overlap, that all lie on the paper, and that each
 * lies inside or outside of a tile, a slot or a hole, but not across its edge
 */
void picture_check_layout(const MapSnapshot *map);

/**
 * picture_check_svg() - asserts that @svg is well-formed and that its elements carry exactly the tiles
 * and slots of the views of @map; where it folds some, exactly as many as it says
 */
void picture_check_svg(const MapSnapshot *map, const GString *svg);

/** picture_check_json() - asserts that @json says what @map says, region for region, tile for tile */
void picture_check_json(const MapSnapshot *map, const GString *json);

/**
 * picture_check_tool() - asserts that @program, which reads a file, accepts @text in one named @name
 *
 * Returns: false if the program is not there (and says so).
 */
bool picture_check_tool(const GString *text, const char *name, const char *program,
                        const char *option);

#endif
