/* SPDX-License-Identifier: MIT */
/* Where RAMBlocks lie among each other: find_ram_offset() against brute force. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../src/memory/ram-internal.h"
#include "tessera/util/size.h"

/* Small spaces of 16 cells, one bit a taken cell. */
#define CELLS 16u

static size_t extents_of(unsigned taken, RAMExtent *ret_extents)
{
    size_t n = 0;

    for (unsigned i = 0; i < CELLS; i++) {
        if (!(taken & (1u << i))) {
            continue;
        }
        if (n > 0 && ret_extents[n - 1].start + ret_extents[n - 1].size == i && i % 3 != 0) {
            ret_extents[n - 1].size++; /* runs, now and then cut in two neighbours */
        } else {
            ret_extents[n++] = (RAMExtent){ i, 1 };
        }
    }
    return n;
}

/* The rule, word by word: among all aligned starts of gaps, the smallest gap that fits. */
static bool brute_force(unsigned taken, unsigned size, unsigned align, uint64_t *ret_offset)
{
    unsigned best = CELLS + 1;

    for (unsigned i = 0; i < CELLS;) {
        unsigned end, start;

        if (taken & (1u << i)) {
            i++;
            continue;
        }
        for (end = i; end < CELLS && !(taken & (1u << end)); end++) {
        }
        start = (i + align - 1) / align * align;
        if (start < end && end - start >= size && end - start < best) {
            best = end - start;
            *ret_offset = start;
        }
        i = end;
    }
    return best <= CELLS;
}

static void test_find_ram_offset_exhaustive(void **state)
{
    RAMExtent extents[CELLS];

    for (unsigned taken = 0; taken < (1u << CELLS); taken++) {
        size_t n = extents_of(taken, extents);

        for (unsigned align = 1; align <= 4; align *= 2) {
            for (unsigned size = 1; size <= CELLS; size += 1 + (taken & 1)) {
                uint64_t want = 99, got = 99;
                bool want_found = brute_force(taken, size, align, &want);
                bool found = find_ram_offset(extents, n, size, align, CELLS, &got);

                if (found != want_found || got != want) {
                    fail_msg("taken 0x%x size %u align %u: %d at %" G_GUINT64_FORMAT
                             ", not %d at %" G_GUINT64_FORMAT,
                             taken, size, align, found, got, want_found, want);
                }
            }
        }
    }
}

static void test_find_ram_offset_at_the_top(void **state)
{
    RAMExtent all_but_some = { 0, UINT64_MAX - 100 };
    RAMExtent top = { UINT64_MAX - 4095, 4095 };
    ram_addr_t offset = 1;

    /* Rounding up the end of the first would overflow. */
    assert_false(find_ram_offset(&all_but_some, 1, 1, RAM_ADDR_ALIGN, UINT64_MAX, &offset));
    assert_true(find_ram_offset(&top, 1, 1, RAM_ADDR_ALIGN, UINT64_MAX, &offset));
    assert_int_equal(offset, 0);
    assert_false(find_ram_offset(&top, 1, UINT64_MAX, RAM_ADDR_ALIGN, UINT64_MAX, &offset));
    assert_true(find_ram_offset(NULL, 0, UINT64_MAX, RAM_ADDR_ALIGN, UINT64_MAX, &offset));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_ram_offset_exhaustive),
        cmocka_unit_test(test_find_ram_offset_at_the_top),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
