/* SPDX-License-Identifier: MIT */
/* "/16xw": how x and xp show memory, in QEMU's columns. */
#include "memory-format-internal.h"

#include <inttypes.h>
#include <string.h>
#include "tessera/util/error.h"

#define INSTRUCTION_BYTES_MAX 15 /* Intel SDM volume 2, section 2.3.11 */

static bool set_letter(MemoryFormat *f, char c, GError **error)
{
    static const char sizes[] = "bhwg";
    const char *size = strchr(sizes, c);

    if (size) {
        f->size = 1u << (size - sizes);
        return true;
    }
    if (strchr("xduoci", c)) {
        f->letter = c;
        return true;
    }
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                "invalid char in format: '%c': a count, then one of x d u o c i, then one of b h w "
                "g; for example /16xw", c);
    return false;
}

static bool parse_count(const char **p, MemoryFormat *f, GError **error)
{
    char *end;

    if (!g_ascii_isdigit(**p)) {
        return true;
    }
    f->count = g_ascii_strtoull(*p, &end, 10);
    if (f->count == 0 || f->count > MEMORY_FORMAT_BYTES_MAX) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "count %.*s: 1 to %u bytes at a time; memsave and pmemsave write more, to a "
                    "file", (int)(end - *p), *p, MEMORY_FORMAT_BYTES_MAX);
        return false;
    }
    *p = end;
    return true;
}

bool memory_format_parse(const char *text, MemoryFormat *ret_format, GError **error)
{
    MemoryFormat f = { .count = 1, .letter = 'x', .size = 4 };
    const char *p = text ? text : "";

    if (!parse_count(&p, &f, error)) {
        return false;
    }
    for (; *p; p++) {
        if (!set_letter(&f, *p, error)) {
            return false;
        }
    }
    if (memory_format_bytes(&f) > MEMORY_FORMAT_BYTES_MAX) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "/%s: %" PRIu64 " bytes are more than the %u that are shown at a time; memsave "
                    "and pmemsave write more, to a file", text, memory_format_bytes(&f),
                    MEMORY_FORMAT_BYTES_MAX);
        return false;
    }
    *ret_format = f;
    return true;
}

uint64_t memory_format_bytes(const MemoryFormat *f)
{
    return f->count * (f->letter == 'i' ? INSTRUCTION_BYTES_MAX : f->size);
}

unsigned memory_format_line_bytes(const MemoryFormat *f)
{
    if (f->letter == 'i') {
        return INSTRUCTION_BYTES_MAX;
    }
    return f->size == 1 ? 8 : 16;
}

static void append_char(uint8_t c, GString *out)
{
    static const char plain[] = "'\\\n\r";
    static const char letters[] = "'\\nr";
    const char *special = c ? strchr(plain, c) : NULL;

    if (special) {
        g_string_append_printf(out, " '\\%c'", letters[special - plain]);
    } else if (g_ascii_isprint((char)c)) {
        g_string_append_printf(out, " '%c'", c);
    } else {
        g_string_append_printf(out, " '\\x%02x'", c);
    }
}

/* Columns are as wide as the largest number of that many bytes. */
static void append_number(const MemoryFormat *f, uint64_t value, GString *out)
{
    unsigned bits = f->size * 8;
    int64_t as_signed = (int64_t)(value << (64 - bits)) >> (64 - bits);
    int decimal = (int)((bits * 10 + 32) / 33);

    switch (f->letter) {
    case 'd':
        g_string_append_printf(out, " %*" PRId64, decimal, as_signed);
        break;
    case 'u':
        g_string_append_printf(out, " %*" PRIu64, decimal, value);
        break;
    case 'o':
        g_string_append_printf(out, " %#*" PRIo64, (int)((bits + 2) / 3), value);
        break;
    default:
        g_string_append_printf(out, " 0x%0*" PRIx64, (int)(bits / 4), value);
        break;
    }
}

void memory_format_append(const MemoryFormat *f, const uint8_t *bytes, unsigned len, GString *out)
{
    unsigned step = f->letter == 'c' || f->letter == 'i' ? 1 : f->size;

    for (unsigned at = 0; at < len; at += step) {
        uint64_t value = 0;

        if (f->letter == 'c') {
            append_char(bytes[at], out);
        } else if (f->letter == 'i') {
            g_string_append_printf(out, " %02x", bytes[at]);
        } else {
            memcpy(&value, bytes + at, step); /* little endian, as the guest and this host are */
            append_number(f, value, out);
        }
    }
}
