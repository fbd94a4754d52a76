/* SPDX-License-Identifier: MIT */
/* Memory plans: which DIMMs, where; which of them come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tessera/machine/memory-plan.h"
#include "tessera/util/size.h"

#define BASE  (4 * GIB)
#define BLOCK (128 * MIB)

static MemoryPool pool(unsigned slots, uint64_t room, const DimmRange *taken, size_t n)
{
    return (MemoryPool){ .window = { BASE, room + slots * GIB, taken, n }, .slots = slots,
                         .room = room, .align = BLOCK };
}

static void check_lay(const MemoryPool *p, uint64_t size, const uint64_t *wanted, size_t n)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) dimms = memory_plan_lay(p, size, &error);

    if (!dimms) {
        fail_msg("%s", error->message);
    }
    assert_int_equal(dimms->len, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(g_array_index(dimms, DimmRange, i).size, wanted[i]);
    }
}

static void test_lay_uses_blocks_when_slots_suffice(void **state)
{
    MemoryPool p = pool(8, GIB, NULL, 0);
    const uint64_t wanted[] = { BLOCK, BLOCK, BLOCK };

    check_lay(&p, 3 * BLOCK, wanted, 3);
}

static void test_lay_keeps_maxmem_within_reach(void **state)
{
    MemoryPool p = pool(4, 6 * GIB, NULL, 0); /* 6 GiB in 4 slots: 2 GiB each */
    const uint64_t one[] = { 2 * GIB };
    const uint64_t rest[] = { 2 * GIB, GIB };
    const uint64_t all[] = { 2 * GIB, 2 * GIB, 2 * GIB };

    check_lay(&p, 2 * GIB, one, 1);
    check_lay(&p, 3 * GIB, rest, 2);
    check_lay(&p, 6 * GIB, all, 3);
}

/*
 *   taken:  [4G, +1G)      [5.25G, +1G)      window ends at 7.5G
 *   gaps:             256M               1.25G
 */
static void test_lay_fills_gaps(void **state)
{
    const DimmRange taken[] = { { BASE, GIB }, { BASE + GIB + 2 * BLOCK, GIB } };
    MemoryPool p = { .window = { BASE, 3 * GIB + 4 * BLOCK, taken, 2 }, .slots = 2,
                     .room = 12 * BLOCK, .align = BLOCK };
    const uint64_t wanted[] = { 8 * BLOCK, 4 * BLOCK - 2 * BLOCK };
    g_autoptr(GArray) dimms = memory_plan_lay(&p, 10 * BLOCK, NULL);

    assert_non_null(dimms);
    assert_int_equal(dimms->len, 2);
    assert_int_equal(g_array_index(dimms, DimmRange, 0).size, wanted[0]);
    assert_int_equal(g_array_index(dimms, DimmRange, 1).size, wanted[1]);
    assert_int_equal(g_array_index(dimms, DimmRange, 1).base, BASE + GIB); /* first fit */
}

static void check_refused(const MemoryPool *p, uint64_t size, const char *part)
{
    g_autoptr(GError) error = NULL;

    assert_null(memory_plan_lay(p, size, &error));
    if (!strstr(error->message, part)) {
        fail_msg("%s", error->message);
    }
}

static void test_lay_refusals_say_what_would_work(void **state)
{
    MemoryPool p = pool(2, 2 * GIB, NULL, 0);
    const DimmRange taken[] = { { BASE + BLOCK, GIB }, { BASE + GIB + 2 * BLOCK, GIB } };

    check_refused(&p, 3 * GIB, "2 GiB is left");
    p.slots = 0;
    check_refused(&p, GIB, "all memory slots are in use; unplug a DIMM, or start with more by -m "
                           "slots=");
    p.window.n_taken = 256; /* @taken is not looked at */
    check_refused(&p, GIB, "all memory slots are in use; no machine has more: unplug a DIMM");
    p = (MemoryPool){ .window = { BASE, 2 * GIB + 3 * BLOCK, taken, 2 }, .slots = 1,
                      .room = 2 * BLOCK, .align = BLOCK };
    check_refused(&p, 2 * BLOCK, "at most 128 MiB does");
}

/* Whatever was plugged before: sizes add up, nothing overlaps, and plugging in turn gives the same. */
static void test_lay_agrees_with_plugging_in_turn(void **state)
{
    const char *given = g_getenv("TESSERA_SEED");
    uint32_t seed = given ? (uint32_t)strtoul(given, NULL, 0) : 20240601;
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    unsigned laid = 0;

    print_message("seed %u\n", seed);
    for (unsigned round = 0; round < 2000; round++) {
        DimmRange taken[64];
        unsigned slots = (unsigned)g_rand_int_range(rand, 1, 12);
        uint64_t room = (uint64_t)g_rand_int_range(rand, 1, 64) * BLOCK;
        uint64_t size = (uint64_t)g_rand_int_range(rand, 1, 64) * BLOCK;
        MemoryPool p = { .slots = slots, .room = room, .align = BLOCK };
        g_autoptr(GArray) dimms = NULL;
        uint64_t at = BASE, sum = 0;
        size_t n = 0;

        for (; n < 4; n++) {
            taken[n].base = at + (uint64_t)g_rand_int_range(rand, 0, 9) * BLOCK;
            taken[n].size = (uint64_t)g_rand_int_range(rand, 1, 9) * BLOCK;
            at = taken[n].base + taken[n].size;
        }
        p.window = (DimmWindow){ BASE, at - BASE + (uint64_t)g_rand_int_range(rand, 0, 40) * BLOCK,
                                 taken, n };
        dimms = memory_plan_lay(&p, size, NULL);
        for (guint i = 0; dimms && i < dimms->len; i++) {
            DimmRange d = g_array_index(dimms, DimmRange, i);
            uint64_t base = 0;
            size_t k = n;

            assert_true(dimm_place(&p.window, d.size, BLOCK, &base));
            assert_int_equal(base, d.base);
            for (; k > 0 && taken[k - 1].base > base; k--) {
                taken[k] = taken[k - 1];
            }
            taken[k] = d;
            p.window.n_taken = ++n;
            sum += d.size;
        }
        if (dimms) {
            assert_int_equal(sum, size);
            assert_true(size <= room && dimms->len <= slots);
            laid++;
        }
    }
    assert_true(laid > 500);
}

static uint64_t best_by_trying_all(const uint64_t *sizes, size_t n, uint64_t total)
{
    uint64_t best = 0;

    for (unsigned set = 0; set < 1u << n; set++) {
        uint64_t sum = 0;

        for (size_t i = 0; i < n; i++) {
            sum += set >> i & 1 ? sizes[i] : 0;
        }
        best = sum <= total && sum > best ? sum : best;
    }
    return best;
}

static void test_pick_comes_as_near_as_possible(void **state)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(7);

    for (unsigned round = 0; round < 2000; round++) {
        size_t n = (size_t)g_rand_int_range(rand, 0, 9);
        uint64_t sizes[8];
        uint64_t total = (uint64_t)g_rand_int_range(rand, 0, 40) * BLOCK +
                         (uint64_t)g_rand_int_range(rand, 0, 2) * MIB;
        g_autoptr(GArray) picked = NULL;
        uint64_t sum = 0, told = 1;

        for (size_t i = 0; i < n; i++) {
            sizes[i] = (uint64_t)g_rand_int_range(rand, 1, 10) * BLOCK;
        }
        picked = memory_plan_pick(sizes, n, BLOCK, total, &told);
        for (guint i = 0; i < picked->len; i++) {
            size_t at = g_array_index(picked, size_t, i);

            assert_true(at < n && (i == 0 || at > g_array_index(picked, size_t, i - 1)));
            sum += sizes[at];
        }
        assert_int_equal(sum, told);
        assert_int_equal(sum, best_by_trying_all(sizes, n, total));
    }
}

static void test_pick_prefers_the_first(void **state)
{
    const uint64_t sizes[] = { GIB, GIB, GIB };
    uint64_t sum;
    g_autoptr(GArray) picked = memory_plan_pick(sizes, 3, BLOCK, GIB, &sum);

    assert_int_equal(picked->len, 1);
    assert_int_equal(g_array_index(picked, size_t, 0), 0);
}

static void test_return_follows_the_command_line(void **state)
{
    assert_int_equal(memory_plan_return(NULL), MEMORY_RETURN_UNKNOWN);
    assert_int_equal(memory_plan_return("quiet"), MEMORY_RETURN_UNKNOWN);
    assert_int_equal(memory_plan_return("a memhp_default_state=online_movable b"),
                     MEMORY_RETURN_LIKELY);
    assert_int_equal(memory_plan_return("memhp_default_state=online"), MEMORY_RETURN_UNLIKELY);
    assert_int_equal(memory_plan_return("memhp_default_state=online_kernel"),
                     MEMORY_RETURN_UNLIKELY);
    assert_int_equal(memory_plan_return("memhp_default_state=offline"), MEMORY_RETURN_UNKNOWN);
    assert_int_equal(memory_plan_return("memhp_default_state=online "
                                        "memhp_default_state=online_movable"),
                     MEMORY_RETURN_LIKELY);
    assert_int_equal(memory_plan_return("xmemhp_default_state=online"), MEMORY_RETURN_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lay_uses_blocks_when_slots_suffice),
        cmocka_unit_test(test_lay_keeps_maxmem_within_reach),
        cmocka_unit_test(test_lay_fills_gaps),
        cmocka_unit_test(test_lay_refusals_say_what_would_work),
        cmocka_unit_test(test_lay_agrees_with_plugging_in_turn),
        cmocka_unit_test(test_pick_comes_as_near_as_possible),
        cmocka_unit_test(test_pick_prefers_the_first),
        cmocka_unit_test(test_return_follows_the_command_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
