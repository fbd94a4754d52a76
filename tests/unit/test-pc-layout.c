/* SPDX-License-Identifier: MIT */
/* Where RAM and the device-memory window lie, at every edge, and what does not fit. */
#include <glib.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tessera/hw/i386/pc-layout.h"
#include "tessera/hw/i386/pc-map.h"
#include "tessera/util/error.h"
#include "tessera/util/size.h"

#define PAGE 4096ULL

static const unsigned widths[] = { 33, 36, 39, 40, 46, 48, 52 };

/* The most RAM that 2^@bits reach: all of it but the hole from 3 to 4 GiB. */
static uint64_t most_ram(unsigned bits)
{
    return bits <= 32 ? MIN(1ULL << bits, PC_LOW_RAM_END_MAX) : (1ULL << bits) - GIB;
}

static PcInfo expect_fits(uint64_t ram, unsigned slots, uint64_t maxmem, unsigned bits)
{
    g_autoptr(GError) error = NULL;
    PcInfo info = { 0 };

    if (!pc_layout(ram, slots, maxmem, bits, &info, &error)) {
        fail_msg("%" PRIu64 " with %u slots to %" PRIu64 " in %u bits refused: %s", ram, slots,
                 maxmem, bits, error->message);
    }
    assert_int_equal(info.ram_below_4g + info.ram_above_4g, ram);
    assert_int_equal(info.memory_slots, slots);
    assert_int_equal(info.phys_bits, bits);
    return info;
}

/* Returns: the message, and checks that nothing was written. */
static char *expect_refused(uint64_t ram, unsigned slots, uint64_t maxmem, unsigned bits, int code)
{
    g_autoptr(GError) error = NULL;
    PcInfo info, before;

    memset(&info, 0x5a, sizeof(info));
    before = info;
    if (pc_layout(ram, slots, maxmem, bits, &info, &error)) {
        fail_msg("%" PRIu64 " with %u slots to %" PRIu64 " in %u bits accepted", ram, slots, maxmem,
                 bits);
    }
    assert_true(g_error_matches(error, TESSERA_ERROR, code));
    assert_memory_equal(&info, &before, sizeof(info));
    return g_strdup(error->message);
}

/* The size behind @mark in a message, as the command line would read it. */
static uint64_t named_size(const char *message, const char *mark)
{
    const char *at = strstr(message, mark);
    g_autofree char *word = NULL;
    uint64_t size = 0;

    if (!at) {
        fail_msg("'%s' lacks '%s'", message, mark);
        return 0;
    }
    at += strlen(mark);
    word = g_strndup(at, strspn(at, "0123456789BKMGTPE"));
    assert_true(size_parse(word, MIB, &size, NULL));
    return size;
}

/*
 *   0            3 GiB      4 GiB
 *   | below ...... | hole .... | above ......
 */
static void test_pc_layout_around_the_hole(void **state)
{
    static const struct {
        uint64_t ram, below, above;
    } cases[] = {
        { MIB, MIB, 0 },
        { 128 * MIB, 128 * MIB, 0 },
        { 3 * GIB - PAGE, 3 * GIB - PAGE, 0 },
        { 3 * GIB, 3 * GIB, 0 },
        { 3 * GIB + PAGE, 3 * GIB, PAGE },
        { 4 * GIB, 3 * GIB, GIB },
        { 5 * GIB, 3 * GIB, 2 * GIB },
        { TIB, 3 * GIB, TIB - 3 * GIB },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        PcInfo info = expect_fits(cases[i].ram, 0, 0, 46);

        assert_int_equal(info.ram_below_4g, cases[i].below);
        assert_int_equal(info.ram_above_4g, cases[i].above);
        assert_int_equal(info.device_memory_base, 0);
        assert_int_equal(info.device_memory_size, 0);
    }
}

static void test_pc_layout_device_memory_window(void **state)
{
    static const struct {
        uint64_t ram;
        unsigned slots;
        uint64_t maxmem, base, size;
    } cases[] = {
        { GIB, 1, GIB, 4 * GIB, GIB },
        { GIB, 4, 8 * GIB, 4 * GIB, 11 * GIB },
        { 3 * GIB, 2, 4 * GIB, 4 * GIB, 3 * GIB },
        { 3 * GIB + PAGE, 2, 4 * GIB, 5 * GIB, 3 * GIB - PAGE },
        { 5 * GIB, 1, 6 * GIB, 6 * GIB, 2 * GIB },
        { 5 * GIB - PAGE, 1, 6 * GIB, 6 * GIB, 2 * GIB + PAGE },
        { 5 * GIB + PAGE, 1, 6 * GIB, 7 * GIB, 2 * GIB - PAGE },
        { GIB, 256, TIB, 4 * GIB, TIB - GIB + 256 * GIB },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        PcInfo info = expect_fits(cases[i].ram, cases[i].slots, cases[i].maxmem, 46);

        assert_int_equal(info.device_memory_base, cases[i].base);
        assert_int_equal(info.device_memory_size, cases[i].size);
    }
}

static void test_pc_layout_largest_ram_to_the_page(void **state)
{
    for (size_t i = 0; i < G_N_ELEMENTS(widths); i++) {
        unsigned bits = widths[i];
        uint64_t most = most_ram(bits);
        PcInfo info = expect_fits(most, 0, 0, bits);
        g_autofree char *message = NULL;

        assert_int_equal(PC_ABOVE_4G_BASE + info.ram_above_4g, 1ULL << bits);
        message = expect_refused(most + PAGE, 0, 0, bits, TESSERA_ERROR_LIMIT);
        assert_int_equal(named_size(message, "at most -m "), most);
    }
}

static void test_pc_layout_largest_ram_without_high_memory(void **state)
{
    g_autofree char *over_32 = NULL, *over_31 = NULL;

    expect_fits(3 * GIB, 0, 0, 32);
    over_32 = expect_refused(3 * GIB + PAGE, 0, 0, 32, TESSERA_ERROR_LIMIT);
    assert_int_equal(named_size(over_32, "at most -m "), 3 * GIB);
    expect_fits(2 * GIB, 0, 0, 31);
    over_31 = expect_refused(2 * GIB + PAGE, 0, 0, 31, TESSERA_ERROR_LIMIT);
    assert_int_equal(named_size(over_31, "at most -m "), 2 * GIB);
}

/* The window ends at 2^bits exactly; one page more is refused, and what the message names fits. */
static void test_pc_layout_largest_window_to_the_page(void **state)
{
    static const uint64_t rams[] = { MIB, GIB, 3 * GIB, 3 * GIB + PAGE, 4 * GIB, 5 * GIB };
    static const unsigned slots[] = { 1, 2, 3 };

    for (size_t w = 0; w < G_N_ELEMENTS(widths); w++) {
        for (size_t r = 0; r < G_N_ELEMENTS(rams); r++) {
            for (size_t s = 0; s < G_N_ELEMENTS(slots); s++) {
                unsigned bits = widths[w];
                uint64_t end = 1ULL << bits;
                uint64_t above = rams[r] > 3 * GIB ? rams[r] - 3 * GIB : 0;
                uint64_t base = 4 * GIB + (above + GIB - 1) / GIB * GIB;
                uint64_t most = rams[r] + end - base - slots[s] * GIB;
                PcInfo info;
                g_autofree char *message = NULL;

                if (base + slots[s] * GIB > end) {
                    continue;
                }
                info = expect_fits(rams[r], slots[s], most, bits);
                assert_int_equal(info.device_memory_base, base);
                assert_int_equal(info.device_memory_base + info.device_memory_size, end);
                message = expect_refused(rams[r], slots[s], most + PAGE, bits, TESSERA_ERROR_LIMIT);
                assert_int_equal(named_size(message, ",maxmem="), most + PAGE);
                assert_int_equal(named_size(message, "at most maxmem="), most);
            }
        }
    }
}

static void test_pc_layout_slots_alone_do_not_fit(void **state)
{
    /* 2^36 is 64 GiB: 60 slots reach it from 4 GiB on, 61 cannot. */
    g_autofree char *growth = NULL, *slots = NULL, *none = NULL;

    expect_fits(GIB, 60, GIB, 36);
    growth = expect_refused(GIB, 60, 2 * GIB, 36, TESSERA_ERROR_LIMIT);
    assert_int_equal(named_size(growth, "at most maxmem="), GIB);
    slots = expect_refused(GIB, 61, GIB, 36, TESSERA_ERROR_LIMIT);
    assert_non_null(strstr(slots, "at most slots=60 fit"));
    expect_fits(63 * GIB - PAGE, 0, 0, 36);
    none = expect_refused(63 * GIB - PAGE, 1, 63 * GIB, 36, TESSERA_ERROR_LIMIT);
    assert_non_null(strstr(none, "no memory slot fits"));
}

static void test_pc_layout_numbers_that_overflow(void **state)
{
    g_free(expect_refused(UINT64_MAX, 0, 0, 52, TESSERA_ERROR_LIMIT));
    g_free(expect_refused(UINT64_C(1) << 63, 0, 0, 52, TESSERA_ERROR_LIMIT));
    g_free(expect_refused(GIB, 256, UINT64_MAX, 52, TESSERA_ERROR_LIMIT));
    g_free(expect_refused(UINT64_MAX - PAGE, 256, UINT64_MAX, 52, TESSERA_ERROR_LIMIT));
}

static void test_pc_layout_no_more_than_52_bits(void **state)
{
    g_autofree char *message = expect_refused(most_ram(52) + PAGE, 0, 0, 64, TESSERA_ERROR_LIMIT);

    assert_int_equal(named_size(message, "at most -m "), most_ram(52));
    expect_fits(most_ram(52), 0, 0, 64);
    g_free(expect_refused(UINT64_MAX, 256, UINT64_MAX, 255, TESSERA_ERROR_LIMIT));
}

static void test_pc_layout_values_out_of_range(void **state)
{
    g_autofree char *none = expect_refused(0, 0, 0, 46, TESSERA_ERROR_INVALID);
    g_autofree char *small = expect_refused(MIB - 1, 0, 0, 46, TESSERA_ERROR_INVALID);
    g_autofree char *slots = expect_refused(GIB, 257, 2 * GIB, 46, TESSERA_ERROR_INVALID);
    g_autofree char *maxmem = expect_refused(GIB, 1, GIB - PAGE, 46, TESSERA_ERROR_INVALID);

    assert_non_null(strstr(none, "1 MiB"));
    assert_non_null(strstr(small, "1 MiB"));
    assert_non_null(strstr(slots, "256"));
    assert_int_equal(named_size(maxmem, "must be "), GIB);
    expect_fits(GIB, 256, GIB, 46);
    expect_fits(GIB, 0, 0, 46);
    expect_fits(GIB, 0, MIB, 46); /* without slots maxmem is not looked at */
}

/*
 * Whatever is asked for: what fits lies inside 2^bits without overlaps, and where a refusal names a
 * largest value, that one fits.
 */
static void check_random(uint64_t ram, unsigned slots, uint64_t maxmem, unsigned bits)
{
    g_autoptr(GError) error = NULL;
    PcInfo info = { 0 };
    const char *at;

    if (pc_layout(ram, slots, maxmem, bits, &info, &error)) {
        uint64_t end = info.ram_above_4g ? PC_ABOVE_4G_BASE + info.ram_above_4g : info.ram_below_4g;

        assert_int_equal(info.ram_below_4g + info.ram_above_4g, ram);
        assert_true(info.ram_below_4g <= PC_LOW_RAM_END_MAX && end <= 1ULL << bits);
        if (slots) {
            assert_true(info.device_memory_base >= MAX(end, PC_ABOVE_4G_BASE));
            assert_int_equal(info.device_memory_base % PC_DEVICE_MEMORY_ALIGN, 0);
            assert_int_equal(info.device_memory_size, maxmem - ram + slots * GIB);
            assert_true(info.device_memory_base + info.device_memory_size <= 1ULL << bits);
        }
        return;
    }
    at = strstr(error->message, "at most ");
    if (at && g_str_has_prefix(at, "at most -m ")) {
        expect_fits(named_size(at, "at most -m "), 0, 0, bits);
    } else if (at && g_str_has_prefix(at, "at most maxmem=")) {
        expect_fits(ram, slots, named_size(at, "at most maxmem="), bits);
    } else if (at && g_str_has_prefix(at, "at most slots=")) {
        expect_fits(ram, (unsigned)strtoul(at + strlen("at most slots="), NULL, 10), ram, bits);
    }
}

static void test_pc_layout_random(void **state)
{
    const char *text = g_getenv("TESSERA_SEED");
    guint32 seed = text ? (guint32)strtoul(text, NULL, 0) : 4711;
    GRand *rand = g_rand_new_with_seed(seed);

    print_message("# seed %u\n", seed);
    for (unsigned i = 0; i < 100000; i++) {
        unsigned bits = (unsigned)g_rand_int_range(rand, 30, 53);
        uint64_t pages = ((uint64_t)g_rand_int(rand) << 32 | g_rand_int(rand)) >>
                         g_rand_int_range(rand, 12, 50);
        uint64_t more = ((uint64_t)g_rand_int(rand) << 32 | g_rand_int(rand)) >>
                        g_rand_int_range(rand, 13, 50);

        check_random(pages * PAGE, (unsigned)g_rand_int_range(rand, 0, 260),
                     pages * PAGE + more * PAGE, bits);
    }
    g_rand_free(rand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pc_layout_around_the_hole),
        cmocka_unit_test(test_pc_layout_device_memory_window),
        cmocka_unit_test(test_pc_layout_largest_ram_to_the_page),
        cmocka_unit_test(test_pc_layout_largest_ram_without_high_memory),
        cmocka_unit_test(test_pc_layout_largest_window_to_the_page),
        cmocka_unit_test(test_pc_layout_slots_alone_do_not_fit),
        cmocka_unit_test(test_pc_layout_numbers_that_overflow),
        cmocka_unit_test(test_pc_layout_no_more_than_52_bits),
        cmocka_unit_test(test_pc_layout_values_out_of_range),
        cmocka_unit_test(test_pc_layout_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
