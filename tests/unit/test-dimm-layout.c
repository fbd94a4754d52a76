/* SPDX-License-Identifier: MIT */
/* Where DIMMs may go: every small window against brute force; sentences. */
#include "tessera/hw/mem/dimm-layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tessera/util/error.h"
#include "tessera/util/size.h"

static void test_dimm_guest_block_size_follows_end_of_ram(void **state)
{
    static const struct {
        uint64_t end;
        uint64_t block;
    } cases[] = {
        { 1 * MIB, 128 * MIB },
        { 256 * MIB, 128 * MIB },
        { 3 * GIB, 128 * MIB },
        { 64 * GIB - 4 * KIB, 128 * MIB },
        { 64 * GIB - 2 * GIB, 128 * MIB },
        { 64 * GIB, 2 * GIB },
        { 64 * GIB + 4 * KIB, 128 * MIB },
        { 64 * GIB + 64 * MIB, 128 * MIB },
        { 64 * GIB + 128 * MIB, 128 * MIB },
        { 64 * GIB + 256 * MIB, 256 * MIB },
        { 64 * GIB + 512 * MIB, 512 * MIB },
        { 65 * GIB, 1 * GIB },
        { 66 * GIB, 2 * GIB },
        { 68 * GIB, 2 * GIB },
        { 1 * TIB, 2 * GIB },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        assert_int_equal(dimm_guest_block_size(cases[i].end), cases[i].block);
    }
}

static void test_dimm_alignment_is_the_largest_unit(void **state)
{
    assert_int_equal(dimm_alignment(128 * MIB, 4 * KIB), 128 * MIB);
    assert_int_equal(dimm_alignment(128 * MIB, 1 * GIB), 1 * GIB);
    assert_int_equal(dimm_alignment(2 * GIB, 1 * GIB), 2 * GIB);
    assert_int_equal(dimm_alignment(4 * KIB, 4 * KIB), 2 * MIB);
}

/*
 * Brute force: a window of up to CELLS cells, some of them taken, drawn as bits. Runs of taken cells
 * are one range, or (@split) one range for each cell: neighbours that touch.
 *
 *     base
 *     | # # . . # . . |     # taken
 */
#define CELLS 9

typedef struct Drawing {
    DimmWindow window;
    DimmRange taken[CELLS];
    uint64_t cell; /* bytes */
    unsigned cells;
    unsigned mask;
} Drawing;

static void draw(Drawing *d, uint64_t first_cell, uint64_t cell, unsigned cells, unsigned mask,
                 bool split)
{
    size_t n = 0;

    for (unsigned i = 0; i < cells; i++) {
        bool joins = !split && n && i && (mask & 1u << (i - 1));

        if (!(mask & 1u << i)) {
            continue;
        }
        if (joins) {
            d->taken[n - 1].size += cell;
        } else {
            d->taken[n++] = (DimmRange){ (first_cell + i) * cell, cell };
        }
    }
    d->window = (DimmWindow){ first_cell * cell, cells * cell, d->taken, n };
    d->cell = cell;
    d->cells = cells;
    d->mask = mask;
}

/* Is every cell of [@start, @start + @count) inside and free? Cells count from the window's first. */
static bool all_free(const Drawing *d, unsigned start, unsigned count)
{
    for (unsigned i = start; i < start + count; i++) {
        if (i >= d->cells || (d->mask & 1u << i)) {
            return false;
        }
    }
    return true;
}

static bool brute_gap(const Drawing *d, unsigned count, uint64_t align, uint64_t *ret_base)
{
    for (unsigned i = 0; i < d->cells; i++) {
        uint64_t base = d->window.base + i * d->cell;

        if (base % align == 0 && all_free(d, i, count)) {
            *ret_base = base;
            return true;
        }
    }
    return false;
}

static void check_gap(const Drawing *d, unsigned count, uint64_t align)
{
    uint64_t wanted = 1, got = 1;
    bool found = brute_gap(d, count, align, &wanted);

    assert_int_equal(dimm_find_gap(&d->window, count * d->cell, align, &got), found);
    assert_int_equal(got, wanted); /* untouched on failure */
}

static void check_place(const Drawing *d, unsigned count, uint64_t align)
{
    uint64_t wanted = 1, got = 1;
    uint64_t size = count * d->cell;
    bool found = (size >= GIB && brute_gap(d, count, MAX(GIB, align), &wanted)) ||
                 brute_gap(d, count, align, &wanted);

    assert_int_equal(dimm_place(&d->window, size, align, &got), found);
    assert_int_equal(got, wanted);
}

static void check_largest(const Drawing *d, uint64_t align)
{
    uint64_t wanted = 0, base;

    for (unsigned count = 1; count <= d->cells; count++) {
        uint64_t size = count * d->cell;

        if (size % align == 0 && brute_gap(d, count, align, &base)) {
            wanted = size;
        }
    }
    assert_int_equal(dimm_largest_fit(&d->window, align), wanted);
}

typedef void Check(const Drawing *d, unsigned count, uint64_t align);

/* Every window of up to CELLS cells at every residue, every set of taken cells, size, alignment. */
static void for_every_window(uint64_t cell, Check *check)
{
    Drawing d;

    for (unsigned cells = 1; cells <= CELLS; cells++) {
        for (unsigned mask = 0; mask < 1u << cells; mask++) {
            for (unsigned variant = 0; variant < 8; variant++) {
                draw(&d, 4 + variant / 2, cell, cells, mask, variant & 1);
                for (unsigned count = 1; count <= cells + 1; count++) {
                    for (unsigned shift = 0; shift < 3; shift++) {
                        check(&d, count, cell << shift);
                    }
                }
            }
        }
    }
}

static void check_gap_and_largest(const Drawing *d, unsigned count, uint64_t align)
{
    check_gap(d, count, align);
    if (count == 1) {
        check_largest(d, align);
    }
}

static void test_dimm_find_gap_every_small_window(void **state)
{
    for_every_window(128 * MIB, check_gap_and_largest);
}

/* Cells of half a GiB: DIMMs below and above 1 GiB, in windows that start at any half. */
static void test_dimm_place_every_small_window(void **state)
{
    for_every_window(512 * MIB, check_place);
}

static void test_dimm_find_gap_at_the_end_of_all_addresses(void **state)
{
    DimmWindow window = { UINT64_MAX - 2 * GIB + 1, 2 * GIB, NULL, 0 };
    uint64_t base = 0;

    assert_true(dimm_find_gap(&window, 2 * GIB, GIB, &base));
    assert_int_equal(base, window.base);
    assert_false(dimm_find_gap(&window, 2 * GIB + 1, GIB, &base));
    assert_false(dimm_find_gap(&window, GIB, 4 * GIB, &base));
    assert_false(dimm_find_gap(&window, UINT64_MAX, 1, &base));
}

static void assert_says(const GError *error, int code, const char *const *words)
{
    assert_non_null(error);
    assert_int_equal(error->code, code);
    for (; *words; words++) {
        if (!strstr(error->message, *words)) {
            fail_msg("no \"%s\" in: %s", *words, error->message);
        }
    }
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void refuse_size(uint64_t size, uint64_t block, uint64_t page, const char *const *words)
{
    g_autoptr(GError) error = NULL;

    assert_false(dimm_check_size(size, block, page, &error));
    assert_says(error, TESSERA_ERROR_INVALID, words);
}

static void test_dimm_check_size_names_the_unit_and_the_nearest(void **state)
{
    assert_true(dimm_check_size(128 * MIB, 128 * MIB, 4 * KIB, NULL));
    assert_true(dimm_check_size(3 * GIB, 1 * GIB, 1 * GIB, NULL));
    refuse_size(0, 128 * MIB, 4 * KIB, WORDS("128 MiB", "the nearest is 128M"));
    refuse_size(100 * MIB, 128 * MIB, 4 * KIB,
                WORDS("size=100M", "128 MiB, the guest's memory block", "the nearest is 128M"));
    refuse_size(129 * MIB, 128 * MIB, 4 * KIB, WORDS("the nearest are 128M and 256M"));
    refuse_size(3 * GIB, 2 * GIB, 4 * KIB, WORDS("2 GiB", "2G and 4G", "memory block"));
    refuse_size(128 * MIB, 128 * MIB, 1 * GIB, WORDS("1 GiB", "page size", "1G"));
    refuse_size(UINT64_MAX, 128 * MIB, 4 * KIB, WORDS("the nearest is"));
}

static void refuse_base(const DimmWindow *window, uint64_t base, uint64_t size, int code,
                        size_t overlap, const char *const *words)
{
    g_autoptr(GError) error = NULL;
    size_t got;

    assert_false(dimm_check_base(window, base, size, 128 * MIB, 4 * KIB, &got, &error));
    assert_int_equal(got, overlap);
    assert_says(error, code, words);
}

/*
 *     4 GiB                5 GiB                6 GiB
 *     |     # #            |                  # |
 *          +256M, 256M                     +1920M, 128M
 */
static void test_dimm_check_base_every_refusal(void **state)
{
    static const DimmRange taken[] = {
        { 4 * GIB + 256 * MIB, 256 * MIB },
        { 4 * GIB + 1920 * MIB, 128 * MIB },
    };
    DimmWindow w = { 4 * GIB, 2 * GIB, taken, G_N_ELEMENTS(taken) };
    size_t overlap = 0;

    assert_true(dimm_check_base(&w, 4 * GIB, 256 * MIB, 128 * MIB, 4 * KIB, &overlap, NULL));
    assert_int_equal(overlap, SIZE_MAX);
    assert_true(dimm_check_base(&w, 4 * GIB + 512 * MIB, 1408 * MIB, 128 * MIB, 4 * KIB, &overlap,
                                NULL));
    refuse_base(&w, 4 * GIB + 512 * MIB, 1536 * MIB, TESSERA_ERROR_EXISTS, 1, WORDS("0x120000000"));
    refuse_base(&w, 4 * GIB, 384 * MIB, TESSERA_ERROR_EXISTS, 0, WORDS("0x110000000", "0x11fffffff"));
    refuse_base(&w, 4 * GIB + 384 * MIB, 128 * MIB, TESSERA_ERROR_EXISTS, 0, WORDS("taken"));
    refuse_base(&w, 4 * GIB - 128 * MIB, 128 * MIB, TESSERA_ERROR_INVALID, SIZE_MAX,
                WORDS("window is 0x100000000 .. 0x17fffffff"));
    refuse_base(&w, 6 * GIB, 128 * MIB, TESSERA_ERROR_INVALID, SIZE_MAX, WORDS("window"));
    refuse_base(&w, 5 * GIB, 2 * GIB, TESSERA_ERROR_INVALID, SIZE_MAX, WORDS("window"));
    refuse_base(&w, 4 * GIB, 3 * GIB, TESSERA_ERROR_INVALID, SIZE_MAX, WORDS("window"));
    refuse_base(&w, UINT64_MAX - MIB, 128 * MIB, TESSERA_ERROR_INVALID, SIZE_MAX, WORDS("window"));
    refuse_base(&w, 4 * GIB + MIB, 128 * MIB, TESSERA_ERROR_INVALID, SIZE_MAX,
                WORDS("0x100100000", "128 MiB", "0x100000000 and 0x108000000"));
}

static void test_dimm_memmap_cost_is_64_bytes_a_page(void **state)
{
    assert_int_equal(dimm_memmap_cost(0), 0);
    assert_int_equal(dimm_memmap_cost(4 * KIB), 64);
    assert_int_equal(dimm_memmap_cost(128 * MIB), 2 * MIB);
    assert_int_equal(dimm_memmap_cost(256 * 128 * MIB), 512 * MIB);
}

static void test_dimm_memmap_warning_from_a_quarter_of_boot_ram(void **state)
{
    g_autofree char *small = dimm_memmap_warning(512 * MIB, 0, 8 * GIB);
    g_autofree char *big = dimm_memmap_warning(512 * MIB, 8 * GIB, 128 * MIB);
    g_autofree char *huge = dimm_memmap_warning(512 * MIB, 0, 64 * GIB);

    assert_null(small);
    assert_non_null(big);
    assert_non_null(strstr(big, "130 MiB"));
    assert_non_null(strstr(big, "512 MiB"));
    assert_non_null(strstr(big, "memmap_on_memory=1"));
    assert_null(strstr(big, "cannot work"));
    assert_non_null(strstr(huge, "cannot work"));
}

static void test_dimm_memmap_concern_grows_with_what_is_plugged(void **state)
{
    assert_int_equal(dimm_memmap_concern(512 * MIB, 0), 0);
    assert_int_equal(dimm_memmap_concern(512 * MIB, 8 * GIB), 0);
    assert_int_equal(dimm_memmap_concern(512 * MIB, 8 * GIB + 128 * MIB), 1);
    assert_int_equal(dimm_memmap_concern(512 * MIB, 32 * GIB - 128 * MIB), 1);
    assert_int_equal(dimm_memmap_concern(512 * MIB, 32 * GIB), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dimm_guest_block_size_follows_end_of_ram),
        cmocka_unit_test(test_dimm_alignment_is_the_largest_unit),
        cmocka_unit_test(test_dimm_find_gap_every_small_window),
        cmocka_unit_test(test_dimm_place_every_small_window),
        cmocka_unit_test(test_dimm_find_gap_at_the_end_of_all_addresses),
        cmocka_unit_test(test_dimm_check_size_names_the_unit_and_the_nearest),
        cmocka_unit_test(test_dimm_check_base_every_refusal),
        cmocka_unit_test(test_dimm_memmap_cost_is_64_bytes_a_page),
        cmocka_unit_test(test_dimm_memmap_warning_from_a_quarter_of_boot_ram),
        cmocka_unit_test(test_dimm_memmap_concern_grows_with_what_is_plugged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
