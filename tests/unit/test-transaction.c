/* SPDX-License-Identifier: MIT */
/* Transactions: order of callbacks, every refusal at every listener, undo, nesting, counters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "../../src/memory/tree-internal.h"
#include "support/memory-fixture.h"
#include "support/painter.h"

/*
 * Three listeners on one space: A (priority 0), B (10), C (20), registered out of order.
 *
 *   before  kkkkmm.r........        after  kkkk..nr........
 */
typedef struct Scene {
    Fixture *f;
    MemoryRegion *k, *m, *n, *r, *d;
    Recorder *listeners[3];
    unsigned failures;
    char *commit_error;
    char *revert_error;
} Scene;

static int setup(void **state)
{
    Scene *s = g_new0(Scene, 1);
    Fixture *f = s->f = fixture_new();

    fixture_space(f);
    s->k = fixture_io(f, "k", 4);
    s->m = fixture_io(f, "m", 2);
    s->n = fixture_io(f, "n", 1);
    s->r = fixture_ram(f, "r", 1);
    s->d = fixture_container(f, "d", 4);
    fixture_add(f->root, 0, s->k, 0);
    fixture_add(f->root, 4, s->m, 0);
    fixture_add(f->root, 7, s->r, 0);
    s->listeners[2] = fixture_record(f, "C", 20);
    s->listeners[0] = fixture_record(f, "A", 0);
    s->listeners[1] = fixture_record(f, "B", 10);
    fixture_clear_log(f);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    Scene *s = *state;

    fixture_done(s->f);
    g_free(s->commit_error);
    g_free(s->revert_error);
    g_free(s);
    return 0;
}

/* Takes m out, puts n in, starts logging r: a del, an add, a nop with a new mask. */
static bool edit(Scene *s, GError **error)
{
    Fixture *f = s->f;

    memory_region_transaction_begin(f->ms);
    assert_true(memory_region_del_subregion(f->root, s->m, NULL));
    assert_true(memory_region_add_subregion(f->root, 6 * FIXTURE_PAGE, s->n, NULL));
    assert_true(memory_region_set_log(s->r, true, DIRTY_CLIENT_MIGRATION, NULL));
    return memory_region_transaction_commit(f->ms, error);
}

#define PREPARES "A:prepare -m +n\nB:prepare -m +n\nC:prepare -m +n\n"
#define TOLD                                                                                       \
    "A:begin\nB:begin\nC:begin\n"                                                                  \
    "C:del m 4+2\nB:del m 4+2\nA:del m 4+2\n"                                                      \
    "A:nop k 0+4\nB:nop k 0+4\nC:nop k 0+4\n"                                                      \
    "A:add n 6+1\nB:add n 6+1\nC:add n 6+1\n"                                                      \
    "A:nop r 7+1\nB:nop r 7+1\nC:nop r 7+1\n"                                                      \
    "A:log_start r 0>1\nB:log_start r 0>1\nC:log_start r 0>1\n"

static void test_commit_order_of_callbacks(void **state)
{
    Scene *s = *state;

    assert_true(edit(s, NULL));
    fixture_assert_log(s->f, PREPARES TOLD "A:apply\nB:apply\nC:apply\n"
                                           "A:commit\nB:commit\nC:commit\n");
    fixture_assert_map(s->f, "kkkk..nr........");
    assert_true(memory_region_set_log(s->r, false, DIRTY_CLIENT_MIGRATION, NULL));
    assert_non_null(strstr(s->f->log->str, "C:log_stop r 1>0\nB:log_stop r 1>0\n"
                                           "A:log_stop r 1>0\n"));
}

static void test_commit_publishes_after_apply(void **state)
{
    Scene *s = *state;
    uint64_t generation = address_space_generation(s->f->as);

    memory_region_transaction_begin(s->f->ms);
    assert_true(memory_region_set_enabled(s->m, false, NULL));
    fixture_assert_map(s->f, "kkkkmm.r........"); /* readers still see the old view */
    assert_int_equal(address_space_generation(s->f->as), generation);
    assert_true(memory_region_transaction_commit(s->f->ms, NULL));
    assert_true(address_space_generation(s->f->as) > generation);
    fixture_assert_map(s->f, "kkkk...r........");
}

/* The edit fails with @message; everything is as it was, and works when it is tried again. */
static void assert_rolled_back(Scene *s, const char *message, const char *log)
{
    g_autofree char *before = fixture_dump(s->f);
    g_autofree char *after = NULL;
    g_autoptr(GError) error = NULL;
    uint64_t generation = address_space_generation(s->f->as);

    assert_false(edit(s, &error));
    assert_non_null(error);
    assert_string_equal(error->message, message);
    fixture_assert_log(s->f, log);
    after = fixture_dump(s->f);
    assert_string_equal(before, after);
    assert_int_equal(address_space_generation(s->f->as), generation);
    painter_check(s->f->as);
}

static void assert_works_again(Scene *s)
{
    assert_true(edit(s, NULL));
    fixture_assert_map(s->f, "kkkk..nr........");
    painter_check(s->f->as);
}

static void test_commit_refused_at_prepare(void **state)
{
    Scene *s = *state;
    static const char *const messages[] = { "A refuses", "B refuses", "C refuses" };
    static const char *const logs[] = { "A:prepare -m +n\n", "A:prepare -m +n\nB:prepare -m +n\n",
                                        PREPARES };

    for (unsigned i = 0; i < 3; i++) {
        s->listeners[i]->refuse_prepare = true;
        assert_rolled_back(s, messages[i], logs[i]);
        s->listeners[i]->refuse_prepare = false;
    }
    assert_works_again(s);
}

static void test_commit_failing_at_apply(void **state)
{
    Scene *s = *state;
    static const char *const messages[] = { "A cannot apply", "B cannot apply",
                                            "C cannot apply" };
    static const char *const logs[] = {
        PREPARES TOLD "A:apply\nC:abort\nB:abort\nA:abort\n",
        PREPARES TOLD "A:apply\nB:apply\nA:revert\nC:abort\nB:abort\n",
        PREPARES TOLD "A:apply\nB:apply\nC:apply\nB:revert\nA:revert\nC:abort\n",
    };

    for (unsigned i = 0; i < 3; i++) {
        s->listeners[i]->fail_apply = true;
        assert_rolled_back(s, messages[i], logs[i]);
        s->listeners[i]->fail_apply = false;
    }
    assert_works_again(s);
}

/* A listener that has no apply() never applied: it is told to forget. */
static void test_commit_failing_aborts_listener_without_apply(void **state)
{
    Scene *s = *state;

    s->listeners[0]->listener.apply = NULL;
    s->listeners[1]->fail_apply = true;
    assert_rolled_back(s, "B cannot apply",
                       PREPARES TOLD "B:apply\nC:abort\nB:abort\nA:abort\n");
}

static void note_failure(void *opaque, const GError *commit_error, const GError *revert_error)
{
    Scene *s = opaque;

    s->failures++;
    g_free(s->commit_error);
    g_free(s->revert_error);
    s->commit_error = g_strdup(commit_error->message);
    s->revert_error = g_strdup(revert_error->message);
}

/* The undo fails: both errors are told, the tree goes back and the old view stays. */
static void test_commit_failing_revert_stops_the_vm(void **state)
{
    Scene *s = *state;

    memory_system_set_failed_handler(s->f->ms, note_failure, s);
    s->listeners[0]->fail_revert = true;
    s->listeners[2]->fail_apply = true;
    assert_rolled_back(s, "C cannot apply",
                       PREPARES TOLD "A:apply\nB:apply\nC:apply\nB:revert\nA:revert\nC:abort\n");
    assert_int_equal(s->failures, 1);
    assert_string_equal(s->commit_error, "C cannot apply");
    assert_string_equal(s->revert_error, "A cannot revert");
}

static void test_commit_broken_apply_stops_the_vm(void **state)
{
    Scene *s = *state;

    memory_system_set_failed_handler(s->f->ms, note_failure, s);
    s->listeners[1]->break_apply = true;
    assert_rolled_back(s, "B cannot apply",
                       PREPARES TOLD "A:apply\nB:apply\nA:revert\nC:abort\nB:abort\n");
    assert_int_equal(s->failures, 1);
    assert_string_equal(s->revert_error, "B cannot apply");
    s->listeners[1]->break_apply = false;
    assert_works_again(s);
    assert_int_equal(s->failures, 1);
}

/* An edit outside of a transaction is one of its own, and returns its result. */
static void test_single_edit_returns_its_result(void **state)
{
    Scene *s = *state;
    g_autoptr(GError) error = NULL;

    s->listeners[1]->refuse_prepare = true;
    assert_false(memory_region_set_enabled(s->k, false, &error));
    assert_string_equal(error->message, "B refuses");
    assert_true(memory_region_enabled(s->k));
    assert_true(memory_region_set_enabled(s->n, false, NULL)); /* in no tree: nobody is asked */
}

/* Inner commits only say "pending"; one callback round at the end. */
static void test_nested_commits_take_effect_together(void **state)
{
    Scene *s = *state;
    Fixture *f = s->f;

    memory_region_transaction_begin(f->ms);
    memory_region_transaction_begin(f->ms);
    assert_true(memory_region_del_subregion(f->root, s->m, NULL));
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    fixture_assert_log(f, "");
    fixture_assert_map(f, "kkkkmm.r........");
    assert_true(memory_region_set_enabled(s->k, false, NULL));
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    fixture_assert_map(f, ".......r........");
    assert_false(memory_system_is_locked(f->ms));
}

static void test_abort_undoes_everything(void **state)
{
    Scene *s = *state;
    Fixture *f = s->f;
    g_autofree char *before = fixture_dump(f);
    g_autofree char *after = NULL;
    g_autofree char *later = NULL;
    g_autoptr(GError) error = NULL;

    memory_region_transaction_begin(f->ms);
    assert_true(memory_region_set_address(s->m, 9 * FIXTURE_PAGE, NULL));
    memory_region_transaction_begin(f->ms);
    assert_true(memory_region_del_subregion(f->root, s->k, NULL));
    memory_region_transaction_abort(f->ms);
    assert_true(memory_region_set_enabled(s->r, false, NULL)); /* pending, in vain */
    assert_false(memory_region_transaction_commit(f->ms, &error));
    assert_non_null(error);
    after = fixture_dump(f);
    assert_string_equal(before, after);

    memory_region_transaction_begin(f->ms);
    assert_true(memory_region_set_size(s->m, FIXTURE_PAGE, NULL));
    memory_region_transaction_abort(f->ms);
    later = fixture_dump(f);
    assert_string_equal(before, later);
    fixture_assert_log(f, "");
    assert_false(memory_system_is_locked(f->ms));
}

/* An edit that breaks a rule is refused at once and does not spoil the transaction around it. */
static void test_refused_edit_leaves_the_transaction_alone(void **state)
{
    Scene *s = *state;
    Fixture *f = s->f;

    memory_region_transaction_begin(f->ms);
    assert_false(memory_region_add_subregion(s->d, 0, s->m, NULL)); /* has a container */
    assert_true(memory_region_set_enabled(s->m, false, NULL));
    assert_false(memory_region_set_size(s->m, 0, NULL));
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    fixture_assert_map(f, "kkkk...r........");
}

/*
 * Rollback restores the order of siblings: a, b, c overlap at one place, equal priority; each edit
 * alone would change who wins.
 */
static void test_rollback_restores_sibling_order(void **state)
{
    Scene *s = *state;
    Fixture *f = s->f;
    MemoryRegion *a = fixture_io(f, "a", 3), *b = fixture_io(f, "b", 2), *c = fixture_io(f, "c", 1);
    MemoryRegion *x = fixture_alias(f, "x", a, 0, 1);
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;

    fixture_add(f->root, 10, a, 0);
    fixture_add(f->root, 10, b, 0);
    fixture_add(f->root, 10, c, 0);
    fixture_add(f->root, 14, x, 0);
    fixture_assert_map(f, "kkkkmm.r..cba.a.");
    before = fixture_dump(f);
    s->listeners[2]->fail_apply = true;
    memory_region_transaction_begin(f->ms);
    assert_true(memory_region_set_address(a, 10 * FIXTURE_PAGE, NULL));
    assert_true(memory_region_del_subregion(f->root, b, NULL));
    assert_true(memory_region_add_subregion(s->d, 0, b, NULL));
    assert_true(memory_region_add_subregion_overlap(f->root, 9 * FIXTURE_PAGE, s->d, 5, NULL));
    assert_true(memory_region_set_priority(c, -1, NULL));
    assert_true(memory_region_set_alias_offset(x, 1, NULL));
    assert_false(memory_region_transaction_commit(f->ms, NULL));
    s->listeners[2]->fail_apply = false;
    fixture_assert_map(f, "kkkkmm.r..cba.a.");
    after = fixture_dump(f);
    assert_string_equal(before, after);
}

/* A region added and taken out, or moved there and back, in one transaction: nobody hears of it. */
static void test_edits_that_cancel_out_are_not_heard(void **state)
{
    Scene *s = *state;
    Fixture *f = s->f;

    memory_region_transaction_begin(f->ms);
    assert_true(memory_region_add_subregion(f->root, 9 * FIXTURE_PAGE, s->n, NULL));
    assert_true(memory_region_set_address(s->m, 8 * FIXTURE_PAGE, NULL));
    assert_true(memory_region_set_address(s->m, 4 * FIXTURE_PAGE, NULL));
    assert_true(memory_region_del_subregion(f->root, s->n, NULL));
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    fixture_assert_log(f, "");
}

/*
 * Two spaces in one commit: all are asked before any is told, and all apply before any publishes.
 */
static void test_commit_of_two_spaces_is_one(void **state)
{
    Scene *s = *state;
    Fixture *f = s->f;
    MemoryRegion *x = fixture_alias(f, "x", f->root, 4, 2);
    AddressSpace *first = f->as, *other = address_space_new(f->ms, x, "other", NULL);
    Recorder *o;

    f->as = other;
    o = fixture_record(f, "O", 5);
    f->as = first;
    fixture_clear_log(f);
    o->fail_apply = true;
    assert_false(memory_region_del_subregion(f->root, s->m, NULL));
    fixture_assert_log(f, "A:prepare -m\nO:prepare -m\nB:prepare -m\nC:prepare -m\n"
                          "A:begin\nO:begin\nB:begin\nC:begin\n"
                          "C:del m 4+2\nB:del m 4+2\nA:del m 4+2\n"
                          "A:nop k 0+4\nB:nop k 0+4\nC:nop k 0+4\n"
                          "A:nop r 7+1\nB:nop r 7+1\nC:nop r 7+1\n"
                          "O:del m 0+2\n"
                          "A:apply\nO:apply\nA:revert\nC:abort\nB:abort\nO:abort\n");
    fixture_assert_map(f, "kkkkmm.r........");
    painter_check(other);
    memory_listener_unregister(&o->listener);
    address_space_free(other);
}

/* No grace period is awaited under the lock, however many commits there are. */
static void test_pending_views_are_bounded(void **state)
{
    Scene *s = *state;
    Fixture *f = s->f;

    for (unsigned i = 0; i < 300; i++) {
        assert_true(memory_region_set_enabled(s->m, i % 2, NULL));
        assert_true(atomic_load(&f->ms->views_pending) <= 65);
    }
    rcu_read_section_enter(); /* inside of one nobody waits */
    for (unsigned i = 0; i < 100; i++) {
        assert_true(memory_region_set_enabled(s->m, i % 2, NULL));
    }
    assert_true(atomic_load(&f->ms->views_pending) >= 100);
    rcu_read_section_leave();
    memory_system_lock(f->ms);
    for (unsigned i = 0; i < 100; i++) {
        assert_true(memory_region_set_enabled(s->m, i % 2, NULL));
    }
    memory_system_unlock(f->ms); /* the outermost level: here the wait is made up for */
    assert_true(atomic_load(&f->ms->views_pending) <= 65);
    rcu_drain();
    assert_int_equal(atomic_load(&f->ms->views_pending), 0);
}

/* As a PCI configuration write does it: the lock around an edit, again and again. */
static void test_pending_views_are_bounded_below_an_outer_lock(void **state)
{
    Scene *s = *state;
    Fixture *f = s->f;

    for (unsigned i = 0; i < 500; i++) {
        memory_system_lock(f->ms);
        assert_true(memory_region_set_enabled(s->m, i % 2, NULL));
        memory_system_unlock(f->ms);
        assert_true(atomic_load(&f->ms->views_pending) <= 65);
    }
}

static void test_pending_views_are_bounded_when_spaces_end(void **state)
{
    Scene *s = *state;

    for (unsigned i = 0; i < 500; i++) {
        address_space_free(address_space_new(s->f->ms, s->k, "short-lived", NULL));
        assert_true(atomic_load(&s->f->ms->views_pending) <= 65);
    }
}

typedef struct DeferredLocking {
    RcuHead head; /* first */
    MemorySystem *ms;
} DeferredLocking;

static void lock_and_unlock(RcuHead *head)
{
    DeferredLocking *d = (DeferredLocking *)head;

    memory_system_lock(d->ms);
    memory_system_unlock(d->ms);
}

/* A finalizer takes the lock while many views wait for its own thread. */
static void test_pending_views_are_not_awaited_in_a_callback(void **state)
{
    Scene *s = *state;
    DeferredLocking deferred = { .ms = s->f->ms };

    rcu_read_section_enter();
    rcu_defer(&deferred.head, lock_and_unlock); /* before the views that follow */
    for (unsigned i = 0; i < 100; i++) {
        assert_true(memory_region_set_enabled(s->m, i % 2, NULL));
    }
    rcu_read_section_leave();
    rcu_drain();
}

static void test_stats_of_a_commit(void **state)
{
    Scene *s = *state;
    MemoryCommitStats last, before = memory_system_total_stats(s->f->ms);

    assert_true(edit(s, NULL));
    last = memory_system_last_stats(s->f->ms);
    assert_int_equal(last.commits, 1);
    assert_int_equal(last.views_rendered, 1);
    assert_true(last.ranges_visited >= 6);
    assert_true(last.radix_nodes_built >= 1);
    assert_int_equal(last.listener_calls, 9 * 3);
    assert_int_equal(memory_system_total_stats(s->f->ms).commits, before.commits + 1);
}

#define SCENE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(test_commit_order_of_callbacks),
        SCENE_TEST(test_commit_publishes_after_apply),
        SCENE_TEST(test_commit_refused_at_prepare),
        SCENE_TEST(test_commit_failing_at_apply),
        SCENE_TEST(test_commit_failing_aborts_listener_without_apply),
        SCENE_TEST(test_commit_failing_revert_stops_the_vm),
        SCENE_TEST(test_commit_broken_apply_stops_the_vm),
        SCENE_TEST(test_single_edit_returns_its_result),
        SCENE_TEST(test_nested_commits_take_effect_together),
        SCENE_TEST(test_abort_undoes_everything),
        SCENE_TEST(test_refused_edit_leaves_the_transaction_alone),
        SCENE_TEST(test_rollback_restores_sibling_order),
        SCENE_TEST(test_edits_that_cancel_out_are_not_heard),
        SCENE_TEST(test_commit_of_two_spaces_is_one),
        SCENE_TEST(test_pending_views_are_bounded),
        SCENE_TEST(test_pending_views_are_bounded_below_an_outer_lock),
        SCENE_TEST(test_pending_views_are_bounded_when_spaces_end),
        SCENE_TEST(test_pending_views_are_not_awaited_in_a_callback),
        SCENE_TEST(test_stats_of_a_commit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
