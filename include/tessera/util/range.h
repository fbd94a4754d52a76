/* SPDX-License-Identifier: MIT */
/* Half-open address ranges [start, start + size) that cannot overflow. */
#ifndef TESSERA_UTIL_RANGE_H
#define TESSERA_UTIL_RANGE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A whole address space spans 2^64 bytes, and an alias may pull its target below address zero while
 * a view is rendered: both need more than 64 bits, and a sign.
 */
typedef __int128 Int128;

#define INT128_2_64 ((Int128)1 << 64)

/**
 * struct AddrRange - the addresses from @start up to, not including, @start + @size
 *
 * A range is never negative in size. An empty range (@size 0) intersects and contains nothing.
 */
typedef struct AddrRange {
    Int128 start;
    Int128 size;
} AddrRange;

static inline AddrRange addr_range(Int128 start, Int128 size)
{
    return (AddrRange){ .start = start, .size = size };
}

/** addr_range_end() - the first address after @r */
static inline Int128 addr_range_end(AddrRange r)
{
    return r.start + r.size;
}

static inline bool addr_range_is_empty(AddrRange r)
{
    return r.size <= 0;
}

static inline bool addr_range_equal(AddrRange a, AddrRange b)
{
    return a.start == b.start && a.size == b.size;
}

static inline bool addr_range_contains(AddrRange r, Int128 addr)
{
    return addr >= r.start && addr < addr_range_end(r);
}

static inline bool addr_range_contains_range(AddrRange outer, AddrRange inner)
{
    return inner.start >= outer.start && addr_range_end(inner) <= addr_range_end(outer);
}

static inline bool addr_range_intersects(AddrRange a, AddrRange b)
{
    return a.start < addr_range_end(b) && b.start < addr_range_end(a) && a.size > 0 && b.size > 0;
}

/** addr_range_intersection() - what both ranges cover; empty (size 0) when they do not touch */
static inline AddrRange addr_range_intersection(AddrRange a, AddrRange b)
{
    Int128 start = a.start > b.start ? a.start : b.start;
    Int128 end = addr_range_end(a) < addr_range_end(b) ? addr_range_end(a) : addr_range_end(b);

    return addr_range(start, end > start ? end - start : 0);
}

static inline AddrRange addr_range_shift(AddrRange r, Int128 delta)
{
    return addr_range(r.start + delta, r.size);
}

/** u64_range_valid() - does [@start, @start + @size) hold a byte and end at 2^64 or below? */
static inline bool u64_range_valid(uint64_t start, uint64_t size)
{
    return size != 0 && size - 1 <= UINT64_MAX - start;
}

#endif
