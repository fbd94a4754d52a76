/* SPDX-License-Identifier: MIT */
/* Listeners: registration with replay; eventfds and coalesced ranges as a view shows them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "support/memory-fixture.h"
#include "tessera/util/error.h"
#include "tessera/util/event-notifier.h"

static EventNotifier notifier_a, notifier_b;

/* Only the lines of the log that tell of eventfds or coalesced ranges. */
static void assert_events(Fixture *f, const char *expected)
{
    g_auto(GStrv) lines = g_strsplit(f->log->str, "\n", -1);
    g_autoptr(GString) events = g_string_new(NULL);

    for (unsigned i = 0; lines[i]; i++) {
        if (strstr(lines[i], "eventfd") || strstr(lines[i], "coalesced")) {
            g_string_append_printf(events, "%s\n", lines[i]);
        }
    }
    assert_string_equal(events->str, expected);
    fixture_clear_log(f);
}

static void test_register_replays_and_unregister_takes_back(void **state)
{
    Fixture *f = *state;
    MemoryRegion *i = fixture_io(f, "i", 2), *r = fixture_ram(f, "r", 2);
    Recorder *l;

    fixture_add(f->root, 1, i, 0);
    fixture_add(f->root, 8, r, 0);
    assert_true(memory_region_set_log(r, true, DIRTY_CLIENT_MONITOR, NULL));
    assert_true(memory_region_add_eventfd(i, 4, 2, true, 7, &notifier_a, NULL));
    assert_true(memory_region_add_coalescing(i, 0x100, 0x10, NULL));
    l = fixture_record(f, "L", 0);
    fixture_assert_log(f, "L:prepare +i +r\nL:begin\n"
                          "L:add i 1+2\n"
                          "L:add r 8+2\nL:log_start r 0>2\n"
                          "L:eventfd_add i 0x1004/2=7\nL:coalesced_add i 0x1100+0x10\n"
                          "L:apply\nL:commit\n");
    memory_listener_unregister(&l->listener);
    fixture_assert_log(f, "L:begin\n"
                          "L:del i 1+2\n"
                          "L:log_stop r 2>0\nL:del r 8+2\n"
                          "L:eventfd_del i 0x1004/2=7\nL:coalesced_del i 0x1100+0x10\n"
                          "L:apply\nL:commit\n");
    assert_true(memory_region_set_enabled(i, false, NULL));
    fixture_assert_log(f, "");
}

/* Others hear nothing of a replay; one that refuses is not registered. */
static void test_register_refused(void **state)
{
    Fixture *f = *state;
    Recorder *first = fixture_record(f, "A", 0), *second = fixture_record(f, "B", 1);
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) apply_error = NULL;

    memory_listener_unregister(&second->listener);
    fixture_add(f->root, 0, fixture_io(f, "i", 1), 0);
    fixture_clear_log(f);
    second->refuse_prepare = true;
    assert_false(memory_listener_register(&second->listener, f->as, &error));
    assert_string_equal(error->message, "B refuses");
    fixture_assert_log(f, "B:prepare +i\n");
    second->refuse_prepare = false;
    second->fail_apply = true;
    assert_false(memory_listener_register(&second->listener, f->as, &apply_error));
    assert_string_equal(apply_error->message, "B cannot apply");
    fixture_assert_log(f, "B:prepare +i\nB:begin\nB:add i 0+1\nB:apply\nB:abort\n");
    assert_null(second->listener.as);
    assert_true(memory_region_set_size(f->root, FIXTURE_PAGE / 2, NULL));
    assert_null(strstr(f->log->str, "B:"));
    assert_non_null(first->listener.as);
}

/* Same priority: in the order of registration; dels against it. */
static void test_listeners_of_one_priority(void **state)
{
    Fixture *f = *state;
    MemoryRegion *i = fixture_io(f, "i", 1);

    fixture_record(f, "X", 3);
    fixture_record(f, "Y", 3);
    fixture_clear_log(f);
    fixture_add(f->root, 0, i, 0);
    assert_non_null(strstr(f->log->str, "X:add i 0+1\nY:add i 0+1\n"));
    assert_true(memory_region_del_subregion(f->root, i, NULL));
    assert_non_null(strstr(f->log->str, "Y:del i 0+1\nX:del i 0+1\n"));
}

static void count_failure(void *opaque, const GError *commit_error, const GError *revert_error)
{
    (*(unsigned *)opaque)++;
}

/* A listener that cannot take back at its end leaves something behind: the VM stops. */
static void test_unregister_failing_stops_the_vm(void **state)
{
    Fixture *f = *state;
    Recorder *l = fixture_record(f, "L", 0);
    unsigned failures = 0;

    memory_system_set_failed_handler(f->ms, count_failure, &failures);
    l->fail_apply = true;
    memory_listener_unregister(&l->listener);
    assert_int_equal(failures, 1);
    assert_null(l->listener.as);
}

/* One eventfd, seen at its place and through two aliases; hidden when something lies over it. */
static void test_eventfd_shows_where_its_first_byte_shows(void **state)
{
    Fixture *f = *state;
    MemoryRegion *i = fixture_io(f, "i", 2), *over = fixture_io(f, "o", 1);
    MemoryRegion *x = fixture_alias(f, "x", i, 1, 1), *y = fixture_alias(f, "y", i, 0, 1);

    fixture_record(f, "L", 0);
    fixture_add(f->root, 0, i, 0);
    fixture_add(f->root, 4, x, 0); /* shows page 1 only */
    fixture_add(f->root, 6, y, 0);
    fixture_clear_log(f);
    assert_true(memory_region_add_eventfd(i, 0xffe, 4, false, 99, &notifier_a, NULL));
    /* At 6 it sticks out of the tile: its first byte decides who gets a write. */
    assert_events(f, "L:eventfd_add i 0xffe/4\nL:eventfd_add i 0x6ffe/4\n");
    fixture_add(f->root, 0, over, 1);
    assert_events(f, "L:eventfd_del i 0xffe/4\n");
    assert_true(memory_region_set_address(over, FIXTURE_PAGE, NULL));
    assert_events(f, "L:eventfd_add i 0xffe/4\n");
    assert_true(memory_region_set_address(y, 0x8000, NULL));
    assert_events(f, "L:eventfd_del i 0x6ffe/4\nL:eventfd_add i 0x8ffe/4\n");
    assert_true(memory_region_del_eventfd(i, 0xffe, 4, false, 0, &notifier_a, NULL));
    assert_events(f, "L:eventfd_del i 0xffe/4\nL:eventfd_del i 0x8ffe/4\n");
}

/* A change of the notifier behind the same address is a del and an add, in one commit. */
static void test_eventfd_replaced_in_one_transaction(void **state)
{
    Fixture *f = *state;
    MemoryRegion *i = fixture_io(f, "i", 1);

    fixture_add(f->root, 0, i, 0);
    assert_true(memory_region_add_eventfd(i, 0, 0, false, 0, &notifier_a, NULL));
    fixture_record(f, "L", 0);
    fixture_clear_log(f);
    memory_region_transaction_begin(f->ms);
    assert_true(memory_region_del_eventfd(i, 0, 0, false, 0, &notifier_a, NULL));
    assert_true(memory_region_add_eventfd(i, 0, 0, false, 0, &notifier_b, NULL));
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    assert_events(f, "L:eventfd_del i 0x0/0\nL:eventfd_add i 0x0/0\n");
    memory_region_transaction_begin(f->ms);
    assert_true(memory_region_del_eventfd(i, 0, 0, false, 0, &notifier_b, NULL));
    memory_region_transaction_abort(f->ms);
    fixture_assert_log(f, "");
    assert_true(memory_region_del_eventfd(i, 0, 0, false, 0, &notifier_b, NULL));
    assert_events(f, "L:eventfd_del i 0x0/0\n");
}

static void assert_eventfd_refused(MemoryRegion *mr, hwaddr offset, unsigned size, bool match,
                                   uint64_t data, int code)
{
    g_autoptr(GError) error = NULL;

    assert_false(memory_region_add_eventfd(mr, offset, size, match, data, &notifier_a, &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, code));
}

static void test_add_eventfd_refusals(void **state)
{
    Fixture *f = *state;
    MemoryRegion *i = fixture_io(f, "i", 1), *r = fixture_ram(f, "r", 1);

    assert_true(memory_region_add_eventfd(i, 8, 4, true, 1, &notifier_a, NULL));
    assert_true(memory_region_add_eventfd(i, 8, 4, true, 2, &notifier_b, NULL));
    assert_true(memory_region_add_eventfd(i, 0xffc, 4, false, 0, &notifier_b, NULL));
    assert_eventfd_refused(i, 8, 4, true, 1, TESSERA_ERROR_EXISTS);
    assert_eventfd_refused(i, 0xffd, 4, false, 0, TESSERA_ERROR_INVALID);
    assert_eventfd_refused(i, UINT64_MAX, 4, false, 0, TESSERA_ERROR_INVALID);
    assert_eventfd_refused(i, 0, 3, false, 0, TESSERA_ERROR_INVALID);
    assert_eventfd_refused(i, 0, 16, false, 0, TESSERA_ERROR_INVALID);
    assert_eventfd_refused(i, 0, 0, true, 0, TESSERA_ERROR_INVALID);
    assert_eventfd_refused(i, 0, 1, true, 256, TESSERA_ERROR_INVALID);
    assert_eventfd_refused(r, 0, 1, false, 0, TESSERA_ERROR_INVALID);
    assert_false(memory_region_del_eventfd(i, 8, 4, true, 1, &notifier_b, NULL));
    assert_false(memory_region_del_eventfd(i, 8, 4, true, 3, &notifier_a, NULL));
}

static void test_coalesced_range_of_another_region_at_one_place(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_io(f, "a", 1), *b = fixture_io(f, "b", 1);

    assert_true(memory_region_add_coalescing(a, 0x100, 0x10, NULL));
    assert_true(memory_region_add_coalescing(b, 0x100, 0x10, NULL));
    fixture_add(f->root, 0, a, 0);
    fixture_add(f->root, 0, b, -1);
    fixture_record(f, "L", 0);
    fixture_clear_log(f);
    assert_true(memory_region_set_priority(b, 1, NULL));
    assert_events(f, "L:coalesced_del a 0x100+0x10\nL:coalesced_add b 0x100+0x10\n");
}

/* What shows of it is told, though its first byte does not show. */
static void test_coalesced_range_whose_beginning_is_hidden(void **state)
{
    Fixture *f = *state;
    MemoryRegion *i = fixture_io(f, "i", 4), *over = fixture_io(f, "o", 1);

    fixture_add(f->root, 0, i, 0);
    fixture_add(f->root, 1, over, 1);
    fixture_record(f, "L", 0);
    fixture_clear_log(f);
    assert_true(memory_region_add_coalescing(i, 0x1800, 0x1000, NULL));
    assert_events(f, "L:coalesced_add i 0x2000+0x800\n");
}

static void test_eventfds_that_differ_in_matching_alone(void **state)
{
    Fixture *f = *state;
    MemoryRegion *i = fixture_io(f, "i", 1);
    EventNotifier notifier = { 0 };

    fixture_add(f->root, 0, i, 0);
    fixture_record(f, "L", 0);
    fixture_clear_log(f);
    assert_true(memory_region_add_eventfd(i, 0, 4, false, 0, &notifier, NULL));
    assert_events(f, "L:eventfd_add i 0x0/4\n");
    assert_true(memory_region_add_eventfd(i, 0, 4, true, 0, &notifier, NULL));
    assert_events(f, "L:eventfd_add i 0x0/4=0\n");
    assert_true(memory_region_del_eventfd(i, 0, 4, false, 0, &notifier, NULL));
    assert_events(f, "L:eventfd_del i 0x0/4\n");
}

/*
 *  i: 0 .. 3, coalesced [0x800, 0x2800); o over page 1 splits it; the alias clips it
 */
static void test_coalesced_range_is_clipped_and_split(void **state)
{
    Fixture *f = *state;
    MemoryRegion *i = fixture_io(f, "i", 4), *over = fixture_io(f, "o", 1);
    MemoryRegion *x = fixture_alias(f, "x", i, 2, 1);

    fixture_add(f->root, 0, i, 0);
    fixture_record(f, "L", 0);
    fixture_clear_log(f);
    assert_true(memory_region_add_coalescing(i, 0x800, 0x2000, NULL));
    assert_events(f, "L:coalesced_add i 0x800+0x2000\n");
    fixture_add(f->root, 1, over, 1);
    assert_events(f, "L:coalesced_del i 0x800+0x2000\n"
                     "L:coalesced_add i 0x800+0x800\nL:coalesced_add i 0x2000+0x800\n");
    fixture_add(f->root, 9, x, 0);
    assert_events(f, "L:coalesced_add i 0x9000+0x800\n");
    assert_true(memory_region_del_subregion(f->root, over, NULL));
    assert_events(f, "L:coalesced_del i 0x800+0x800\nL:coalesced_del i 0x2000+0x800\n"
                     "L:coalesced_add i 0x800+0x2000\n");
    assert_true(memory_region_clear_coalescing(i, NULL));
    assert_events(f, "L:coalesced_del i 0x800+0x2000\nL:coalesced_del i 0x9000+0x800\n");
    assert_true(memory_region_clear_coalescing(i, NULL));
    assert_events(f, "");
}

static void test_add_coalescing_refusals(void **state)
{
    Fixture *f = *state;
    MemoryRegion *i = fixture_io(f, "i", 1), *r = fixture_ram(f, "r", 1);

    assert_true(memory_region_add_coalescing(i, 0x10, 0x10, NULL));
    assert_true(memory_region_add_coalescing(i, 0x20, 0x10, NULL));
    assert_false(memory_region_add_coalescing(i, 0x1f, 1, NULL));
    assert_false(memory_region_add_coalescing(i, 0x40, 0, NULL));
    assert_false(memory_region_add_coalescing(i, 0xfff, 2, NULL));
    assert_false(memory_region_add_coalescing(i, 0x100, UINT64_MAX, NULL));
    assert_false(memory_region_add_coalescing(r, 0, 1, NULL));
}

#define LISTENER_TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup_space, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LISTENER_TEST(test_register_replays_and_unregister_takes_back),
        LISTENER_TEST(test_register_refused),
        LISTENER_TEST(test_listeners_of_one_priority),
        LISTENER_TEST(test_unregister_failing_stops_the_vm),
        LISTENER_TEST(test_eventfd_shows_where_its_first_byte_shows),
        LISTENER_TEST(test_eventfd_replaced_in_one_transaction),
        LISTENER_TEST(test_add_eventfd_refusals),
        LISTENER_TEST(test_coalesced_range_is_clipped_and_split),
        LISTENER_TEST(test_coalesced_range_of_another_region_at_one_place),
        LISTENER_TEST(test_coalesced_range_whose_beginning_is_hidden),
        LISTENER_TEST(test_eventfds_that_differ_in_matching_alone),
        LISTENER_TEST(test_add_coalescing_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
