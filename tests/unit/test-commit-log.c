/* SPDX-License-Identifier: MIT */
/* What is recorded of a commit: its cost, number by number, its cause; and the history of commits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "support/memory-fixture.h"

/* A listener that follows with calls to the kernel, and holds the vCPUs for that. */
typedef struct Follower {
    MemoryListener listener; /* first member */
    uint64_t ioctls;
    uint64_t pause_us;
    bool fail;
    bool reverts; /* its revert takes as many again */
} Follower;

static bool follower_apply(MemoryListener *l, bool *ret_broken, GError **error)
{
    Follower *f = (Follower *)(void *)l;

    memory_listener_count_ioctls(l, f->ioctls);
    if (f->pause_us) {
        memory_listener_count_pause(l, f->pause_us);
    }
    return !f->fail;
}

static bool follower_revert(MemoryListener *l, GError **error)
{
    memory_listener_count_ioctls(l, ((Follower *)(void *)l)->ioctls);
    return true;
}

static void follow(Follower *follower, Fixture *f)
{
    follower->listener.name = "follower";
    follower->listener.apply = follower_apply;
    follower->listener.revert = follower_revert;
    assert_true(memory_listener_register(&follower->listener, f->as, NULL));
}

static MemoryCommitRecord newest(Fixture *f)
{
    g_autoptr(GArray) history = memory_system_commit_history(f->ms, NULL);

    assert_true(history->len > 0);
    return g_array_index(history, MemoryCommitRecord, history->len - 1);
}

static void assert_cause(Fixture *f, const char *cause)
{
    assert_string_equal(newest(f).cause, cause);
}

/*
 *   pages  0123456789
 *   a      aa........  becomes  aa..b.....  and one more tile is there to be compared
 */
static void test_record_of_a_known_edit(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_io(f, "a", 2), *b = fixture_io(f, "b", 1);
    Follower follower = { .ioctls = 3, .pause_us = 250 };
    MemoryCommitRecord before, after;

    fixture_add(f->root, 0, a, 0);
    follow(&follower, f);
    before = newest(f);
    fixture_add(f->root, 4, b, 0);
    after = newest(f);
    assert_int_equal(after.number, before.number + 1);
    assert_true(after.at_us >= before.at_us);
    assert_int_equal(after.stats.commits, 1);
    assert_int_equal(after.stats.failed, 0);
    assert_int_equal(after.stats.views_rendered, 1);
    assert_int_equal(after.stats.ranges_visited, 2);    /* b rendered, b compared with nothing */
    assert_int_equal(after.stats.radix_nodes_built, 1); /* before, one tile needed none */
    assert_int_equal(after.stats.radix_nodes_shared, 0);
    assert_int_equal(after.stats.listener_calls, 1); /* apply; it has no other callback */
    assert_int_equal(after.stats.ioctls, 3);
    assert_int_equal(after.stats.pauses, 1);
    assert_int_equal(after.stats.pause_us, 250);
    assert_string_equal(after.cause, "add b");
    memory_listener_unregister(&follower.listener);
}

/* Two gigabytes apart, each place has nodes of its own: an edit in one leaves those of the other. */
static void test_record_counts_shared_nodes(void **state)
{
    Fixture *f = *state;
    MemoryRegion *tiles[4];
    MemoryCommitStats s;

    assert_true(memory_region_set_size(f->root, INT128_2_64, NULL));
    for (unsigned i = 0; i < 4; i++) {
        tiles[i] = fixture_io(f, "t", 1);
        fixture_add(f->root, (i / 2) * 0x80000 + (i % 2) * 2, tiles[i], 0);
    }
    assert_true(memory_region_set_enabled(tiles[1], false, NULL));
    assert_true(memory_region_set_enabled(tiles[1], true, NULL));
    s = newest(f).stats;
    assert_int_equal(s.radix_nodes_built, 2);  /* of 4 KiB here, and of 1 GiB above both */
    assert_int_equal(s.radix_nodes_shared, 1); /* of 4 KiB there */

    memory_region_transaction_begin(f->ms); /* nothing is there any more: one node is enough */
    assert_true(memory_region_set_enabled(tiles[2], false, NULL));
    assert_true(memory_region_set_enabled(tiles[3], false, NULL));
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    s = newest(f).stats;
    assert_int_equal(s.radix_nodes_built, 0);
    assert_int_equal(s.radix_nodes_shared, 1);

    fixture_add(f->root, 0, fixture_io(f, "all", INT128_2_64 / FIXTURE_PAGE), 1); /* and now none */
    s = newest(f).stats;
    assert_int_equal(s.radix_nodes_built, 0);
    assert_int_equal(s.radix_nodes_shared, 0);
}

static void test_record_of_a_failed_commit(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_io(f, "a", 2);
    Follower first = { .ioctls = 2 }, second = { .ioctls = 5, .fail = true };
    MemoryCommitStats total = memory_system_total_stats(f->ms), s;

    follow(&first, f);
    second.fail = false;
    follow(&second, f);
    second.fail = true;
    assert_false(memory_region_add_subregion(f->root, 0, a, NULL));
    s = newest(f).stats;
    assert_int_equal(s.failed, 1);
    assert_int_equal(s.ioctls, 2 + 5 + 2); /* the first went back */
    assert_cause(f, "add a");
    assert_int_equal(memory_system_total_stats(f->ms).failed, total.failed + 1);
    second.fail = false;
    memory_listener_unregister(&second.listener);
    memory_listener_unregister(&first.listener);
}

/* What a registration takes is in the totals and in no commit; nor in the commit that follows. */
static void test_replay_is_in_the_totals_only(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_io(f, "a", 2);
    Follower follower = { .ioctls = 7, .pause_us = 11 };
    MemoryCommitStats before, after;

    fixture_add(f->root, 0, a, 0);
    before = memory_system_total_stats(f->ms);
    follow(&follower, f);
    after = memory_system_total_stats(f->ms);
    assert_int_equal(after.commits, before.commits);
    assert_int_equal(after.ioctls, before.ioctls + 7);
    assert_int_equal(after.pauses, before.pauses + 1);
    assert_int_equal(after.pause_us, before.pause_us + 11);
    follower.ioctls = 1;
    assert_true(memory_region_set_enabled(a, false, NULL));
    assert_int_equal(memory_system_last_stats(f->ms).ioctls, 1);
    assert_true(memory_region_set_enabled(a, true, NULL));
    assert_int_equal(memory_system_last_stats(f->ms).ioctls, 1);
    memory_listener_unregister(&follower.listener);
}

static void test_cause_is_the_first_edit(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_io(f, "a", 2), *flash = fixture_romd(f, "flash", 1);
    MemoryRegion *ram = fixture_ram(f, "ram", 1);

    fixture_add(f->root, 0, a, 0);
    fixture_add(f->root, 4, flash, 0);
    assert_cause(f, "add flash");
    assert_true(memory_region_rom_device_set_romd(flash, false, NULL));
    assert_cause(f, "rom-device mode of flash");
    assert_true(memory_region_set_enabled(a, false, NULL));
    assert_cause(f, "disable a");
    assert_true(memory_region_set_enabled(a, true, NULL));
    assert_cause(f, "enable a");
    assert_true(memory_region_set_address(a, FIXTURE_PAGE, NULL));
    assert_cause(f, "address of a");
    fixture_add(f->root, 6, ram, 0);
    assert_true(memory_region_set_log(ram, true, DIRTY_CLIENT_MIGRATION, NULL));
    assert_cause(f, "dirty log of ram");
    assert_true(memory_region_add_coalescing(a, 0, 4, NULL));
    assert_cause(f, "coalescing of a");
    memory_region_transaction_begin(f->ms);
    assert_true(memory_region_set_size(a, FIXTURE_PAGE, NULL));
    assert_true(memory_region_del_subregion(f->root, flash, NULL));
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    assert_cause(f, "size of a");
}

static void test_cause_is_what_the_opener_says(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_io(f, "a", 2);
    g_autofree char *name = g_strnfill(100, 'x');
    g_autofree char *cut = g_strdup_printf("device_add %s", name);

    memory_region_transaction_begin_for(f->ms, "device_add %s", "dimm1");
    fixture_add(f->root, 0, a, 0);
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    assert_cause(f, "device_add dimm1");

    memory_region_transaction_begin(f->ms); /* does not say; an edit goes before who does */
    assert_true(memory_region_set_enabled(a, false, NULL));
    memory_region_transaction_begin_for(f->ms, "the first to say");
    memory_region_transaction_begin_for(f->ms, "the second");
    assert_true(memory_region_set_enabled(a, true, NULL));
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    assert_cause(f, "the first to say");

    assert_true(memory_region_set_enabled(a, false, NULL)); /* and it is forgotten */
    assert_cause(f, "disable a");

    memory_region_transaction_begin_for(f->ms, "device_add %s", name);
    assert_true(memory_region_set_enabled(a, true, NULL));
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    cut[MEMORY_COMMIT_CAUSE_MAX - 1] = '\0';
    assert_cause(f, cut);
}

static void test_no_edit_is_no_commit(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_io(f, "a", 2);
    uint64_t before;

    fixture_add(f->root, 0, a, 0);
    before = memory_system_total_stats(f->ms).commits;
    memory_region_transaction_begin_for(f->ms, "nothing");
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    memory_region_transaction_begin_for(f->ms, "given up");
    assert_true(memory_region_set_enabled(a, false, NULL));
    memory_region_transaction_abort(f->ms);
    assert_int_equal(memory_system_total_stats(f->ms).commits, before);
    assert_cause(f, "add a");
}

/* 256 are remembered: after 300 more, the oldest is the 45th of them. */
static void test_history_wraps(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_io(f, "a", 2);
    MemoryCommitStats total;
    GArray *history;
    uint64_t first;

    fixture_add(f->root, 0, a, 0);
    history = memory_system_commit_history(f->ms, &total);
    assert_int_equal(history->len, total.commits);
    first = total.commits + 1;
    g_array_unref(history);
    for (unsigned i = 0; i < 300; i++) {
        memory_region_transaction_begin_for(f->ms, "toggle %u", i);
        assert_true(memory_region_set_enabled(a, i % 2, NULL));
        assert_true(memory_region_transaction_commit(f->ms, NULL));
    }
    history = memory_system_commit_history(f->ms, &total);
    assert_int_equal(history->len, 256);
    for (unsigned i = 0; i < 256; i++) {
        const MemoryCommitRecord *r = &g_array_index(history, MemoryCommitRecord, i);
        g_autofree char *cause = g_strdup_printf("toggle %u", i + 44);

        assert_string_equal(r->cause, cause);
        assert_int_equal(r->number, first + 44 + i);
    }
    assert_int_equal(total.commits, first + 299);
    g_array_unref(history);
}

#define LOG_TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup_space, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(test_record_of_a_known_edit),
        LOG_TEST(test_record_counts_shared_nodes),
        LOG_TEST(test_record_of_a_failed_commit),
        LOG_TEST(test_replay_is_in_the_totals_only),
        LOG_TEST(test_cause_is_the_first_edit),
        LOG_TEST(test_cause_is_what_the_opener_says),
        LOG_TEST(test_no_edit_is_no_commit),
        LOG_TEST(test_history_wraps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
