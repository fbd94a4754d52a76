/* SPDX-License-Identifier: MIT */
/* What the history tells of the changes between two commits: added up, it is what the views show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <inttypes.h>
#include <string.h>

#include "../../src/memory/tree-internal.h"
#include "support/memory-fixture.h"
#include "support/painter.h"
#include "tessera/memory/commit-diff.h"

#define REGIONS 12u
#define COMMITS 60u
#define PAGES   64u

static MemoryChange *change_at(const GArray *changes, guint i)
{
    return &g_array_index(changes, MemoryChange, i);
}

static uint64_t last_number(Fixture *f)
{
    return memory_system_total_stats(f->ms).commits;
}

static GArray *diff(Fixture *f, uint64_t from, uint64_t to)
{
    g_autoptr(GError) error = NULL;
    GArray *changes = memory_system_diff(f->ms, from, to, &error);

    if (!changes) {
        fail_msg("%" PRIu64 " to %" PRIu64 ": %s", from, to, error->message);
    }
    return changes;
}

static void expect_error(Fixture *f, uint64_t from, uint64_t to, const char *text)
{
    g_autoptr(GError) error = NULL;

    assert_null(memory_system_diff(f->ms, from, to, &error));
    if (!strstr(error->message, text)) {
        fail_msg("'%s' lacks '%s'", error->message, text);
    }
}

/*
 *   pages  0123456789
 *   1      aa........
 *   2      aa..b.....
 *   3      aa....b...      b moves
 *   4      ......b...      a is disabled
 *   5      aa....b...      a again: against 3, nothing
 */
static void test_diff_of_known_edits(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_io(f, "a", 2), *b = fixture_io(f, "b", 1);
    g_autoptr(GArray) all = NULL;
    g_autoptr(GArray) moved = NULL;
    g_autoptr(GArray) gone = NULL;
    g_autoptr(GArray) none = NULL;
    uint64_t first;

    fixture_space(f);
    first = last_number(f);
    fixture_add(f->root, 0, a, 0);
    fixture_add(f->root, 4, b, 0);
    assert_true(memory_region_set_address(b, 6 * FIXTURE_PAGE, NULL));
    assert_true(memory_region_set_enabled(a, false, NULL));
    assert_true(memory_region_set_enabled(a, true, NULL));
    assert_int_equal(last_number(f), first + 5);

    all = diff(f, first, first + 5);
    assert_int_equal(all->len, 2);
    assert_int_equal(change_at(all, 0)->kind, MEMORY_CHANGE_ADDED);
    assert_string_equal(change_at(all, 0)->is.name, "a");
    assert_int_equal(change_at(all, 1)->is.start, 6 * FIXTURE_PAGE);
    moved = diff(f, first + 2, first + 3);
    assert_int_equal(moved->len, 1);
    assert_int_equal(change_at(moved, 0)->kind, MEMORY_CHANGE_MOVED);
    assert_int_equal(change_at(moved, 0)->was.start, 4 * FIXTURE_PAGE);
    assert_int_equal(change_at(moved, 0)->is.start, 6 * FIXTURE_PAGE);
    gone = diff(f, first + 3, first + 4);
    assert_int_equal(gone->len, 1);
    assert_int_equal(change_at(gone, 0)->kind, MEMORY_CHANGE_REMOVED);
    assert_string_equal(change_at(gone, 0)->was.name, "a");
    none = diff(f, first + 3, first + 5);
    assert_int_equal(none->len, 0);
}

static void test_diff_refuses_numbers_out_of_range(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_io(f, "a", 2);

    fixture_space(f);
    expect_error(f, 0, 1, "there is no commit 1 yet: commits 0 to 0 can be compared");
    fixture_add(f->root, 0, a, 0);
    expect_error(f, 1, 0, "comes after");
    for (unsigned i = 0; i < MEMORY_COMMIT_HISTORY; i++) {
        assert_true(memory_region_set_address(a, i % 2, NULL));
    }
    expect_error(f, 0, 9, "what commit 1 changed is not remembered (too long ago)");
    g_array_unref(diff(f, 1, last_number(f)));
}

/* More tiles in one commit than are remembered: said, not guessed. */
static void test_diff_does_not_know_a_large_commit(void **state)
{
    Fixture *f = *state;
    uint64_t large;

    assert_true(memory_region_set_size(f->root, INT128_2_64, NULL));
    fixture_space(f);
    memory_region_transaction_begin(f->ms);
    for (unsigned i = 0; i <= MEMORY_RECORDS_COMMIT; i++) {
        fixture_add(f->root, 2 * i, fixture_io(f, "i", 1), 0);
    }
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    large = last_number(f);
    expect_error(f, large - 1, large, "it was more than the history holds of one");
    fixture_add(f->root, 100000, fixture_io(f, "j", 1), 0);
    g_array_unref(diff(f, large, large + 1));
}

static void test_refused_commit_leaves_no_difference(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_io(f, "a", 2);
    g_autoptr(GArray) none = NULL;
    Recorder *r;

    fixture_space(f);
    r = fixture_record(f, "L", 0);
    r->fail_apply = true;
    assert_false(memory_region_add_subregion(f->root, 0, a, NULL));
    r->fail_apply = false;
    none = diff(f, 0, last_number(f));
    assert_int_equal(none->len, 0);
}

/* The name outlives the region, and is all that does. */
static void test_records_do_not_hold_regions(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = memory_region_new_container(f->ms, NULL, "short-lived", 16);
    MemoryRegion *io = fixture_io(f, "inside", 2);
    g_autoptr(GArray) changes = NULL;
    unsigned regions;

    fixture_space(f);
    regions = atomic_load(&f->ms->regions);
    fixture_add(a, 0, io, 0);
    fixture_add(f->root, 0, a, 0);
    assert_true(memory_region_del_subregion(f->root, a, NULL));
    assert_true(memory_region_del_subregion(a, io, NULL));
    memory_region_release(a);
    rcu_drain();
    assert_int_equal(atomic_load(&f->ms->regions), regions - 1);
    changes = diff(f, last_number(f) - 2, last_number(f) - 1);
    assert_string_equal(change_at(changes, 0)->was.name, "inside");
}

/* --- Random edits --- */

/* What all spaces show, as records without references. */
static GArray *snapshot(Fixture *f)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(MemoryRecord));
    FlatViewIter it;
    const FlatRange *fr;

    flatview_iter_init(&it, address_space_flatview(f->as));
    while ((fr = flatview_iter_next(&it))) {
        MemoryRecord r = { .start = fr->start, .last = fr->last, .offset = fr->offset_in_region,
                           .region = fr->mr->number, .name = fr->mr->name,
                           .kind = memory_region_kind_name(fr->mr), .space = f->as->number,
                           .dirty_log_mask = fr->dirty_log_mask, .readonly = fr->readonly,
                           .romd_mode = fr->romd_mode, .nonvolatile = fr->nonvolatile };

        g_array_append_val(all, r);
    }
    return all;
}

static gint by_start(gconstpointer a, gconstpointer b)
{
    const MemoryRecord *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

static void take_out(GArray *all, const MemoryRecord *r)
{
    for (guint i = 0; i < all->len; i++) {
        if (memory_record_same(&g_array_index(all, MemoryRecord, i), r)) {
            g_array_remove_index(all, i);
            return;
        }
    }
    fail_msg("%s was not there", r->name);
}

static void check_pair(Fixture *f, const GArray *was, uint64_t from, const GArray *is, uint64_t to)
{
    g_autoptr(GArray) sum = g_array_copy((GArray *)was);
    g_autoptr(GArray) changes = diff(f, from, to);

    for (guint i = 0; i < changes->len; i++) {
        if (change_at(changes, i)->was.name) {
            take_out(sum, &change_at(changes, i)->was);
        }
    }
    for (guint i = 0; i < changes->len; i++) {
        if (change_at(changes, i)->is.name) {
            g_array_append_val(sum, change_at(changes, i)->is);
        }
    }
    g_array_sort(sum, by_start);
    assert_int_equal(sum->len, is->len);
    for (guint i = 0; i < is->len; i++) {
        assert_true(memory_record_same(&g_array_index(sum, MemoryRecord, i),
                                       &g_array_index(is, MemoryRecord, i)));
    }
}

static void edit_somehow(TestRandom *random, MemoryRegion *mr)
{
    switch (test_random_below(random, 5)) {
    case 0:
        assert_true(memory_region_set_enabled(mr, test_random_below(random, 2), NULL));
        break;
    case 1:
        assert_true(memory_region_set_readonly(mr, test_random_below(random, 2), NULL));
        break;
    case 2:
        assert_true(memory_region_set_nonvolatile(mr, test_random_below(random, 2), NULL));
        break;
    case 3:
        assert_true(memory_region_set_priority(mr, (int)test_random_below(random, 3), NULL));
        break;
    default:
        assert_true(memory_region_set_address(mr, test_random_below(random, PAGES) * FIXTURE_PAGE, NULL));
        break;
    }
}

/* From each commit to each later one: the differences added to what was give what is. */
static void test_differences_add_up_to_the_view(void **state)
{
    Fixture *f = *state;
    TestRandom random = test_random_new("commit-diff", 0xd1ff);
    MemoryRegion *regions[REGIONS];
    GArray *views[COMMITS + 1];
    uint64_t numbers[COMMITS + 1];
    Recorder *r;

    assert_true(memory_region_set_size(f->root, INT128_2_64, NULL));
    fixture_space(f);
    r = fixture_record(f, "L", 0);
    for (unsigned i = 0; i < REGIONS; i++) {
        regions[i] = fixture_io(f, i % 3 ? "twin" : "single", 1 + i);
        fixture_add(f->root, i * 3, regions[i], (int)(i % 2));
    }
    for (unsigned step = 0; step <= COMMITS; step++) {
        views[step] = snapshot(f);
        numbers[step] = last_number(f);
        memory_region_transaction_begin(f->ms);
        for (unsigned edits = 1 + test_random_below(&random, 3); edits > 0; edits--) {
            edit_somehow(&random, regions[test_random_below(&random, REGIONS)]);
        }
        r->fail_apply = test_random_below(&random, 5) == 0;
        memory_region_transaction_commit(f->ms, NULL);
        r->fail_apply = false;
    }
    for (unsigned from = 0; from <= COMMITS; from++) {
        for (unsigned to = from; to <= COMMITS; to++) {
            check_pair(f, views[from], numbers[from], views[to], numbers[to]);
        }
    }
    for (unsigned step = 0; step <= COMMITS; step++) {
        g_array_unref(views[step]);
    }
}

#define DIFF_TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIFF_TEST(test_diff_of_known_edits),
        DIFF_TEST(test_diff_refuses_numbers_out_of_range),
        DIFF_TEST(test_diff_does_not_know_a_large_commit),
        DIFF_TEST(test_refused_commit_leaves_no_difference),
        DIFF_TEST(test_records_do_not_hold_regions),
        DIFF_TEST(test_differences_add_up_to_the_view),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
