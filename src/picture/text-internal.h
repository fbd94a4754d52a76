/* SPDX-License-Identifier: MIT */
/* Short texts for pictures: sizes, addresses, and what fits into so many cells. */
#ifndef TESSERA_PICTURE_TEXT_INTERNAL_H
#define TESSERA_PICTURE_TEXT_INTERNAL_H

#include <glib.h>
#include "tessera/memory/types.h"
#include "tessera/util/range.h"

/** text_size() - "640 KiB", "≈3 GiB", "16 EiB": at most two decimals, in the largest unit. New */
char *text_size(Int128 bytes);
/** text_bytes() - "3221094400 bytes"; 2^64 included. New */
char *text_bytes(Int128 bytes);
/** text_hex() - lower case, without 0x, at least @digits digits. @value is not negative. New */
char *text_hex(Int128 value, unsigned digits);
/** text_count() - "314", "12.5k", "3.1M": at most five characters, rounded down. New */
char *text_count(uint64_t count);

/** text_cells() - columns that @text (UTF-8) takes where every character has the same width */
unsigned text_cells(const char *text);
/** text_shorten() - @text, or its beginning and end around an ellipsis, in @cells (1 ..) at most. New */
char *text_shorten(const char *text, unsigned cells);

/**
 * text_append_xml() - appends @text, UTF-8, as text or a quoted attribute's value of XML 1.0
 *
 * Characters that XML cannot carry (most controls) become U+FFFD; white space becomes blanks.
 */
void text_append_xml(GString *out, const char *text);

#endif
