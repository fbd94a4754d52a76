/* SPDX-License-Identifier: MIT */
/* Random trees, random edits, transactions that fail at random: views equal their paintings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "support/mirror.h"
#include "support/pool-drought.h"
#include "support/random-tree.h"
#include "support/view-check.h"
#include "tessera/memory/mtree-dump.h"

#define SPACES 4u
#define HELD   9u

/*
 * Few regions, which mostly lie at the edges of 2^64 and hide each other; more of them beside each
 * other, cut and shared in all ways; and so many that views have tall trees and transactions many
 * windows (held against a full render there, which is held against the painting elsewhere).
 */
static const TreeStyle few = { 18, 24, 4 }, dense = { 36, 160, 150 },
                       many = { RANDOM_TREE_MAX, 4000, 2000 };

typedef struct World {
    RandomTree tree;
    AddressSpace *spaces[SPACES];
    Mirror *mirrors[SPACES];
    FlatView *held[HELD]; /* old views, or some still in force; NULL: none */
    uint64_t commits;
    uint64_t changed; /* of those: the view of one space, or of more */
    uint64_t tiles;   /* in all views after all commits */
} World;

static uint32_t below(World *w, uint32_t n)
{
    return random_tree_below(&w->tree, n);
}

static bool is_large(const World *w)
{
    return w->tree.style.regions > dense.regions;
}

/* Through the reader's cache of the last lookup, as a device would. */
static void check_reads(World *w, AddressSpace *as)
{
    const FlatView *view = address_space_flatview(as);

    for (unsigned i = 0; i < 4; i++) {
        const FlatRange *near = flatview_find_from(view, (hwaddr)below(w, 64) * 0x400);
        hwaddr addr = !near ? 0 : below(w, 2) ? near->start : near->last + below(w, 2);
        const FlatRange *fr = flatview_find(view, addr);
        uint8_t byte = 0;
        MemTxResult r = address_space_rw(as, addr, MEMTXATTRS_NONE, &byte, 1, false);

        assert_int_equal(r, fr ? MEMTX_OK : MEMTX_DECODE_ERROR);
        assert_int_equal(byte, fr ? random_tree_byte(&w->tree, fr->mr) : 0xff);
    }
}

static void check_world(World *w)
{
    memory_system_lock(w->tree.ms);
    random_tree_check(&w->tree);
    for (unsigned i = 0; i < SPACES; i++) {
        if (!is_large(w)) {
            painter_check(w->spaces[i]);
        }
        view_check_rendered(w->spaces[i]);
        mirror_check(w->mirrors[i]);
        check_reads(w, w->spaces[i]);
        w->tiles += flatview_count(address_space_flatview(w->spaces[i]));
    }
    memory_system_unlock(w->tree.ms);
}

static const MemoryRegion *random_shown(World *w)
{
    const FlatView *view = address_space_flatview(w->spaces[below(w, SPACES)]);
    const FlatRange *fr = flatview_find_from(view, (hwaddr)below(w, w->tree.style.places) * 0x400);

    return fr ? fr->mr : NULL;
}

static bool random_edits(World *w)
{
    unsigned edits = is_large(w) && below(w, 8) == 0 ? 200 : 1 + below(w, 5);
    unsigned inner = below(w, 3);
    bool aborted = below(w, 20) == 0 && inner < edits;

    for (unsigned i = 0; i < edits; i++) {
        if (i == inner) {
            memory_region_transaction_begin(w->tree.ms);
        }
        random_tree_edit(&w->tree, random_shown(w));
        if (i == inner && aborted) {
            memory_region_transaction_abort(w->tree.ms);
        } else if (i == inner) {
            assert_true(memory_region_transaction_commit(w->tree.ms, NULL));
        }
    }
    return !aborted;
}

/* A commit that listeners refuse, or for which the pools of the dispatch run dry. */
static bool commit_randomly(World *w, GError **error)
{
    SectionTable *table = w->tree.ms->sections;
    SlotPool *pools[] = { &table->sections, &table->nodes, &table->subpages, &table->tree_nodes };
    unsigned trouble = below(w, 12);
    Mirror *mirror = w->mirrors[below(w, SPACES)];
    SlotPool *pool = pools[below(w, G_N_ELEMENTS(pools))];
    unsigned left = below(w, 4);
    PoolDrought drought;
    bool ok;

    if (trouble == 0) {
        pool_drought_begin(&drought, pool, left);
    } else if (trouble == 1) {
        mirror->refuse = 1 + left % 2;
    }
    ok = memory_region_transaction_commit(w->tree.ms, error);
    if (trouble == 0) {
        pool_drought_end(&drought);
    }
    mirror->refuse = MIRROR_FOLLOWS;
    return ok;
}

static void count_changes(World *w, const FlatView *const before[SPACES], bool ok)
{
    bool changed = false;

    for (unsigned i = 0; i < SPACES; i++) {
        bool same = address_space_flatview(w->spaces[i]) == before[i];

        assert_true(ok || same);
        changed |= !same;
    }
    w->commits++;
    w->changed += changed;
}

static void random_transaction(World *w)
{
    g_autofree Shadow *before = g_memdup2(w->tree.shadows, sizeof(w->tree.shadows));
    const FlatView *views[SPACES];
    GString *dump = g_string_new(NULL), *after = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    bool ok;

    memory_dump_tree(w->tree.ms, dump);
    for (unsigned i = 0; i < SPACES; i++) {
        views[i] = address_space_flatview(w->spaces[i]);
    }
    memory_system_set_full_render(w->tree.ms, below(w, 16) == 0);
    memory_region_transaction_begin(w->tree.ms);
    ok = random_edits(w);
    ok = commit_randomly(w, &error) && ok;
    assert_true(ok == !error);
    count_changes(w, views, ok);
    if (!ok) {
        memcpy(w->tree.shadows, before, sizeof(w->tree.shadows));
        memory_dump_tree(w->tree.ms, after);
        assert_string_equal(dump->str, after->str);
    }
    g_string_free(dump, TRUE);
    g_string_free(after, TRUE);
}

static void new_mirror(World *w, unsigned i)
{
    int priority = (int)below(w, 3);

    w->mirrors[i] = mirror_new(w->spaces[i], priority, below(w, 2));
}

static void new_space(World *w, unsigned i)
{
    unsigned root = i == 0 ? 0 : below(w, below(w, 4) ? 3 : w->tree.style.regions);

    w->spaces[i] = address_space_new(w->tree.ms, w->tree.regions[root], "space", NULL);
    new_mirror(w, i);
}

static void drop_space(World *w, unsigned i)
{
    mirror_free(w->mirrors[i]);
    address_space_free(w->spaces[i]);
}

/* Now and then a space ends and another begins, or a listener comes late. */
static void change_spaces(World *w)
{
    unsigned i = below(w, SPACES);

    switch (below(w, 40)) {
    case 0:
        drop_space(w, i);
        new_space(w, i);
        break;
    case 1:
        mirror_free(w->mirrors[i]);
        new_mirror(w, i);
        break;
    default:
        break;
    }
}

/* As a reader would that is slow: what it sees stays whole, in whatever order views end. */
static void hold_or_drop(World *w, FlatView **held)
{
    if (!*held) {
        *held = flatview_ref(address_space_flatview(w->spaces[below(w, SPACES)]));
        return;
    }
    memory_system_lock(w->tree.ms);
    radix_check(*held);
    memory_system_unlock(w->tree.ms);
    flatview_unref(g_steal_pointer(held));
}

static void drop_held(World *w)
{
    for (unsigned i = 0; i < HELD; i++) {
        FlatView **held = &w->held[i * 4 % HELD];

        if (*held) {
            hold_or_drop(w, held);
        }
    }
}

static void run_world(World *w, TestRandom *random, const TreeStyle *style, unsigned transactions)
{
    random_tree_init(&w->tree, random, style);
    for (unsigned i = 0; i < SPACES; i++) {
        new_space(w, i);
    }
    check_world(w);
    for (unsigned t = 0; t < transactions; t++) {
        change_spaces(w);
        hold_or_drop(w, &w->held[below(w, HELD)]);
        random_transaction(w);
        check_world(w);
    }
    drop_held(w);
    for (unsigned i = 0; i < SPACES; i++) {
        drop_space(w, i);
    }
    random_tree_done(&w->tree);
}

/* Trees that show little, or edits that show nothing, would prove nothing: that is asserted, too. */
static void run_edits(uint64_t seed, unsigned n)
{
    unsigned of_a_world = n > 4000 ? 200 : 40; /* the end of one costs more than its life */
    TestRandom random = test_random_new("painter", seed);
    g_autofree World *w = g_new0(World, 1);

    for (unsigned world = 0; w->commits < n; world++) {
        const TreeStyle *style = world % 20 == 7 ? &many : world % 4 == 0 ? &few : &dense;

        run_world(w, &random, style, of_a_world);
    }
    print_message("%" PRIu64 " commits, %" PRIu64 " changed a view, %" PRIu64 " tiles a view\n",
                  w->commits, w->changed, w->tiles / w->commits / SPACES);
    assert_true(w->changed * 3 > w->commits);
    assert_true(w->tiles / w->commits / SPACES >= 6);
}

/*
 * Several seeds, or the one in TESSERA_SEED. TESSERA_STRESS: how many transactions of each
 * (TESSERA_LONG: 50,000), of 1 to 5 edits, or 200.
 */
static void test_commit_random_edits(void **state)
{
    const char *text = getenv("TESSERA_STRESS");
    unsigned n = text ? (unsigned)atoi(text) : getenv("TESSERA_LONG") ? 50000 : 1500;
    unsigned seeds = getenv("TESSERA_SEED") ? 1 : 4;

    for (unsigned i = 0; i < seeds; i++) {
        run_edits(0x7e55e7a + i, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commit_random_edits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
