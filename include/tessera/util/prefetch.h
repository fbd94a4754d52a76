/* SPDX-License-Identifier: MIT */
/* Asking for cache lines before they are needed. */
#ifndef TESSERA_UTIL_PREFETCH_H
#define TESSERA_UTIL_PREFETCH_H

#include <stddef.h>

#define PREFETCH_LINE 64u /* bytes of a cache line; another size costs time, no more */

/**
 * prefetch_lines() - asks for the cache lines of @n bytes at @p, all at once
 *
 * For an object that is read in several steps, each of which would wait for a line from far away.
 * @p need not be valid.
 */
static inline void prefetch_lines(const void *p, size_t n)
{
    for (size_t at = 0; at < n; at += PREFETCH_LINE) {
        __builtin_prefetch((const char *)p + at);
    }
}

#endif
