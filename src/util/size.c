/* SPDX-License-Identifier: MIT */
/* Sizes as people write them, and numbers and switches of options. */
#include "tessera/util/size.h"

#include <inttypes.h>
#include <string.h>
#include "tessera/util/error.h"

static const char suffixes[] = "BKMGTPE";

typedef unsigned __int128 Uint128;

/* Fractions beyond this many digits cannot matter: 10^19 still fits in 64 bits. */
#define FRACTION_DIGITS_MAX 18

static bool not_a_size(GError **error, const char *text, const char *rule)
{
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "'%s' is not a size: %s", text, rule);
    return false;
}

/*
 * Reads digits of @base at *@p, moves *@p behind them. Returns: false on overflow of 64 bits.
 */
static bool read_digits(const char **p, unsigned base, uint64_t *ret_value)
{
    uint64_t value = 0;

    for (;; (*p)++) {
        int digit = base == 16 ? g_ascii_xdigit_value(**p) : g_ascii_digit_value(**p);

        if (digit < 0) {
            break;
        }
        if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value)) {
            return false;
        }
    }
    *ret_value = value;
    return true;
}

/* Bytes that the suffix at *@p stands for; moves *@p behind it. 0: no such suffix. */
static uint64_t read_unit(const char **p, uint64_t default_unit)
{
    const char *at;

    if (**p == '\0') {
        return default_unit;
    }
    at = strchr(suffixes, g_ascii_toupper(**p));
    if (!at) {
        return 0;
    }
    (*p)++;
    return UINT64_C(1) << (10 * (at - suffixes));
}

static bool read_fraction(const char **p, uint64_t *ret_numerator, uint64_t *ret_denominator)
{
    const char *start = *p;
    uint64_t denominator = 1;

    while (g_ascii_isdigit(**p)) {
        (*p)++;
    }
    if (*p == start || *p - start > FRACTION_DIGITS_MAX) {
        return false;
    }
    for (const char *q = start; q < *p; q++) {
        denominator *= 10;
    }
    *ret_denominator = denominator;
    return read_digits(&start, 10, ret_numerator);
}

static bool starts_like_a_number(const char *text, GError **error)
{
    if (text[0] == '\0') {
        return not_a_size(error, text, "it is empty");
    }
    if (text[0] == '-') {
        return not_a_size(error, text, "it is negative");
    }
    if (!g_ascii_isdigit(text[0])) {
        return not_a_size(error, text, "it must start with a digit, like 512M or 4G");
    }
    return true;
}

bool size_parse(const char *text, uint64_t default_unit, uint64_t *ret_size, GError **error)
{
    bool hex = g_ascii_strncasecmp(text, "0x", 2) == 0;
    const char *p = hex ? text + 2 : text;
    uint64_t whole, unit, numerator = 0, denominator = 1;
    Uint128 bytes, part;

    if (!starts_like_a_number(text, error)) {
        return false;
    }
    if (hex && !g_ascii_isxdigit(*p)) {
        return not_a_size(error, text, "no digit follows 0x");
    }
    if (!read_digits(&p, hex ? 16 : 10, &whole)) {
        return not_a_size(error, text, "it is larger than 2^64 - 1 bytes");
    }
    if (*p == '.') {
        p++;
        if (hex || !read_fraction(&p, &numerator, &denominator)) {
            return not_a_size(error, text,
                              "write the fraction in 1 to 18 decimal digits, like 1.5G");
        }
    }
    unit = read_unit(&p, default_unit);
    if (unit == 0 || *p != '\0') {
        return not_a_size(error, text,
                          "behind the number may stand one of the suffixes B, K, M, G, T, P or E");
    }
    part = (Uint128)numerator * unit;
    if (part % denominator != 0) {
        return not_a_size(error, text, "it does not come out as whole bytes");
    }
    bytes = (Uint128)whole * unit + part / denominator;
    if (bytes > UINT64_MAX) {
        return not_a_size(error, text, "it is larger than 2^64 - 1 bytes");
    }
    *ret_size = (uint64_t)bytes;
    return true;
}

bool uint_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value, GError **error)
{
    bool hex = g_ascii_strncasecmp(text, "0x", 2) == 0;
    const char *p = hex ? text + 2 : text;
    const char *digits = p;
    uint64_t value = 0;
    bool fits = read_digits(&p, hex ? 16 : 10, &value);

    if (fits && (p == digits || *p != '\0')) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "'%s' is not a whole number",
                    text);
        return false;
    }
    if (!fits || value < min || value > max) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "'%s' is out of range: allowed are %" PRIu64 " to %" PRIu64, text, min, max);
        return false;
    }
    *ret_value = value;
    return true;
}

bool bool_parse(const char *text, bool *ret_value, GError **error)
{
    static const char *const yes[] = { "on", "yes", "true", "y", NULL };
    static const char *const no[] = { "off", "no", "false", "n", NULL };

    if (g_strv_contains(yes, text)) {
        *ret_value = true;
        return true;
    }
    if (g_strv_contains(no, text)) {
        *ret_value = false;
        return true;
    }
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "'%s' is neither 'on' nor 'off'",
                text);
    return false;
}

char *size_format(uint64_t size)
{
    for (int i = (int)strlen(suffixes) - 1; i > 0; i--) {
        uint64_t unit = UINT64_C(1) << (10 * i);
        Uint128 hundredths = (Uint128)size * 100;

        if (size >= unit && hundredths % unit == 0) {
            uint64_t rest = (uint64_t)(hundredths / unit % 100);

            if (rest == 0) {
                return g_strdup_printf("%" PRIu64 " %ciB", size / unit, suffixes[i]);
            }
            if (rest % 10 == 0) {
                return g_strdup_printf("%" PRIu64 ".%u %ciB", size / unit, (unsigned)rest / 10,
                                       suffixes[i]);
            }
            return g_strdup_printf("%" PRIu64 ".%02u %ciB", size / unit, (unsigned)rest,
                                   suffixes[i]);
        }
    }
    return g_strdup_printf("%" PRIu64 " B", size);
}

char *size_format_option(uint64_t size)
{
    for (int i = (int)strlen(suffixes) - 1; i > 0; i--) {
        uint64_t unit = UINT64_C(1) << (10 * i);

        if (size >= unit && size % unit == 0) {
            return g_strdup_printf("%" PRIu64 "%c", size / unit, suffixes[i]);
        }
    }
    return g_strdup_printf("%" PRIu64, size);
}
