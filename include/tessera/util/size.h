/* SPDX-License-Identifier: MIT */
/* Sizes as people write them: "5G", "1.5G", "0x1000", "512". */
#ifndef TESSERA_UTIL_SIZE_H
#define TESSERA_UTIL_SIZE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)
#define PIB (UINT64_C(1) << 50)
#define EIB (UINT64_C(1) << 60)

/**
 * size_parse() - bytes from a number with an optional suffix
 * @text: decimal, decimal with a fraction ("1.5G": must come out as whole bytes) or hexadecimal
 *      with 0x; then B, K, M, G, T, P or E (powers of 1024, either case)
 * @default_unit: bytes that a number without suffix counts, e.g. 1 or MIB
 * @ret_size: untouched on failure
 *
 * In a hexadecimal number B and E are digits. No blanks, no sign, nothing behind the suffix.
 * A fraction without a suffix counts @default_unit too.
 *
 * Errors: TESSERA_ERROR_INVALID with a sentence that has no subject ("'5X' is not a size: ...");
 * the caller puts the option in front with g_prefix_error().
 */
bool size_parse(const char *text, uint64_t default_unit, uint64_t *ret_size, GError **error);

/** uint_parse() - a decimal or 0x-hexadecimal number in [@min, @max]; errors as above */
bool uint_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value, GError **error);

/** bool_parse() - on|yes|true|y or off|no|false|n; errors as above */
bool bool_parse(const char *text, bool *ret_value, GError **error);

/**
 * size_format() - "5 GiB", "1.5 GiB", "4095 B": exact, in the largest unit that needs at most two
 * decimals, else in bytes
 *
 * Returns: a new string.
 */
char *size_format(uint64_t size);

/** size_format_option() - "5G", "1536M": exact, as size_parse() reads it back with unit 1 */
char *size_format_option(uint64_t size);

#endif
