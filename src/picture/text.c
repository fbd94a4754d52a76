/* SPDX-License-Identifier: MIT */
/* Short texts for pictures. */
#include "text-internal.h"

#include <inttypes.h>
#include <string.h>

#define ELLIPSIS "\xe2\x80\xa6"
#define ABOUT    "\xe2\x89\x88"
#define REPLACEMENT "\xef\xbf\xbd"

char *text_size(Int128 bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    unsigned unit = 0;
    Int128 hundredths;
    bool exact;
    unsigned whole, rest;

    while (unit + 1 < G_N_ELEMENTS(units) && bytes >> (10 * (unit + 1)) != 0) {
        unit++;
    }
    hundredths = ((bytes * 100) + (((Int128)1 << (10 * unit)) >> 1)) >> (10 * unit);
    exact = hundredths << (10 * unit) == bytes * 100;
    whole = (unsigned)(hundredths / 100);
    rest = (unsigned)(hundredths % 100);
    if (rest == 0) {
        return g_strdup_printf("%s%u %s", exact ? "" : ABOUT, whole, units[unit]);
    }
    if (rest % 10 == 0) {
        return g_strdup_printf("%s%u.%u %s", exact ? "" : ABOUT, whole, rest / 10, units[unit]);
    }
    return g_strdup_printf("%s%u.%02u %s", exact ? "" : ABOUT, whole, rest, units[unit]);
}

char *text_bytes(Int128 bytes)
{
    if (bytes == INT128_2_64) {
        return g_strdup("2^64 bytes");
    }
    return g_strdup_printf("%" PRIu64 " byte%s", (uint64_t)bytes, bytes == 1 ? "" : "s");
}

char *text_hex(Int128 value, unsigned digits)
{
    uint64_t high = (uint64_t)(value >> 64);

    if (high != 0) {
        return g_strdup_printf("%" PRIx64 "%016" PRIx64, high, (uint64_t)value);
    }
    return g_strdup_printf("%0*" PRIx64, (int)digits, (uint64_t)value);
}

char *text_count(uint64_t count)
{
    static const char units[] = " kMGTPE";
    unsigned unit = 0;
    uint64_t tenths;

    if (count < 10000) {
        return g_strdup_printf("%" PRIu64, count);
    }
    for (; count >= 1000000; count /= 1000) {
        unit++;
    }
    tenths = count / 100;
    unit++;
    if (tenths >= 1000) {
        return g_strdup_printf("%" PRIu64 "%c", tenths / 10, units[unit]);
    }
    return g_strdup_printf("%" PRIu64 ".%u%c", tenths / 10, (unsigned)(tenths % 10), units[unit]);
}

static unsigned char_cells(gunichar c)
{
    return g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
}

unsigned text_cells(const char *text)
{
    unsigned cells = 0;

    for (const char *p = text; *p; p = g_utf8_next_char(p)) {
        cells += char_cells(g_utf8_get_char(p));
    }
    return cells;
}

/* Where the longest beginning ends that takes at most @cells. */
static const char *beginning(const char *text, unsigned cells)
{
    for (; *text; text = g_utf8_next_char(text)) {
        unsigned width = char_cells(g_utf8_get_char(text));

        if (width > cells) {
            break;
        }
        cells -= width;
    }
    return text;
}

/* Where the longest ending begins that takes at most @cells. */
static const char *ending(const char *text, unsigned cells)
{
    const char *p = text + strlen(text);

    while (p > text) {
        const char *before = g_utf8_prev_char(p);
        unsigned width = char_cells(g_utf8_get_char(before));

        if (width > cells) {
            break;
        }
        cells -= width;
        p = before;
    }
    return p;
}

char *text_shorten(const char *text, unsigned cells)
{
    unsigned head;

    g_assert(cells >= 1);
    if (text_cells(text) <= cells) {
        return g_strdup(text);
    }
    head = (cells - 1) * 2 / 3; /* names differ at their ends, too: dimm10, dimm11 */
    return g_strdup_printf("%.*s" ELLIPSIS "%s", (int)(beginning(text, head) - text), text,
                           ending(text, cells - 1 - head));
}

static bool xml_can_carry(gunichar c)
{
    return c >= 0x20 && !(c >= 0xfffe && c <= 0xffff) && !(c >= 0x7f && c < 0xa0);
}

void text_append_xml(GString *out, const char *text)
{
    for (const char *p = text; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        if (c == '&') {
            g_string_append(out, "&amp;");
        } else if (c == '<') {
            g_string_append(out, "&lt;");
        } else if (c == '>') {
            g_string_append(out, "&gt;");
        } else if (c == '"') {
            g_string_append(out, "&quot;");
        } else if (c == '\t' || c == '\n' || c == '\r') {
            g_string_append_c(out, ' ');
        } else if (!xml_can_carry(c)) {
            g_string_append(out, REPLACEMENT);
        } else {
            g_string_append_unichar(out, c);
        }
    }
}
