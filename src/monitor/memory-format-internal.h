/* SPDX-License-Identifier: MIT */
/* "/16xw": how x and xp show memory. */
#ifndef TESSERA_MONITOR_MEMORY_FORMAT_INTERNAL_H
#define TESSERA_MONITOR_MEMORY_FORMAT_INTERNAL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Bytes that one command shows: pmemsave and memsave are for more. */
#define MEMORY_FORMAT_BYTES_MAX (1u << 20)

/**
 * struct MemoryFormat - what "/COUNT FORMAT SIZE" says
 * @count: items, 1 or more
 * @letter: x, d, u, o (numbers), c (characters) or i (instruction bytes)
 * @size: bytes of an item: 1, 2, 4 or 8
 */
typedef struct MemoryFormat {
    uint64_t count;
    char letter;
    unsigned size;
} MemoryFormat;

/**
 * memory_format_parse() - @text without the slash; NULL or "": one hexadecimal word of 4 bytes
 *
 * Errors: TESSERA_ERROR_INVALID: a letter that means nothing, a count of 0 or beyond
 * MEMORY_FORMAT_BYTES_MAX.
 */
bool memory_format_parse(const char *text, MemoryFormat *ret_format, GError **error);

/** memory_format_bytes() - how much memory it shows */
uint64_t memory_format_bytes(const MemoryFormat *format);

/** memory_format_line_bytes() - how much of it stands on one line, behind the address */
unsigned memory_format_line_bytes(const MemoryFormat *format);

/** memory_format_append() - the items in @len bytes at @bytes (little endian), each after a blank */
void memory_format_append(const MemoryFormat *format, const uint8_t *bytes, unsigned len,
                          GString *out);

#endif
