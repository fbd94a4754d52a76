/* SPDX-License-Identifier: MIT */
/* The wrapper around liburcu: registration at a thread's first section, its end, callbacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <glib.h>
#include <pthread.h>
#include "tessera/util/rcu.h"

static void *read_once(void *opaque)
{
    rcu_read_section_enter();
    assert_true(rcu_in_read_section());
    rcu_read_section_leave();
    return NULL;
}

static void run_thread(void *(*fn)(void *), void *opaque)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, fn, opaque), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* Successive threads get the same storage: a second entry of it would make the list a ring. */
static void test_thread_register_ends_with_the_thread(void **state)
{
    for (int i = 0; i < 4; i++) {
        run_thread(read_once, NULL);
    }
    rcu_synchronize(); /* walks all registered threads; does not come back if one is in it twice */
}

static void *unregister_and_read_again(void *opaque)
{
    read_once(NULL);
    rcu_thread_unregister();
    assert_false(rcu_in_read_section());
    rcu_thread_unregister(); /* nothing to do */
    return read_once(NULL);
}

static void test_thread_unregister_is_not_for_ever(void **state)
{
    run_thread(unregister_and_read_again, NULL);
    rcu_synchronize();
}

typedef struct Deferred {
    RcuHead head; /* first */
    bool called;
    bool in_callback;
    bool in_section;
} Deferred;

static void note_call(RcuHead *head)
{
    Deferred *d = (Deferred *)head;

    d->called = true;
    d->in_callback = rcu_in_callback();
    rcu_read_section_enter(); /* liburcu has registered its thread itself */
    d->in_section = rcu_in_read_section();
    rcu_read_section_leave();
}

static void test_defer_callback_may_read(void **state)
{
    Deferred d = { .called = false };

    rcu_defer(&d.head, note_call);
    rcu_drain();
    assert_true(d.called);
    assert_true(d.in_callback);
    assert_true(d.in_section);
    assert_false(rcu_in_callback());
}

static void *defer_note(void *opaque)
{
    Deferred *d = opaque;

    rcu_defer(&d->head, note_call);
    return NULL;
}

static void test_defer_from_a_thread_that_never_read(void **state)
{
    Deferred d = { .called = false };

    run_thread(defer_note, &d);
    rcu_drain();
    assert_true(d.called);
}

static RcuHead *order[3];
static unsigned order_length;

static void note_order(RcuHead *head)
{
    order[order_length++] = head;
}

static void test_hold_deferred_until_release(void **state)
{
    RcuHead heads[3];

    order_length = 0;
    rcu_hold_deferred();
    rcu_defer(&heads[0], note_order);
    rcu_defer(&heads[1], note_order);
    rcu_synchronize();
    g_usleep(30000); /* liburcu's worker looks every 10 ms */
    assert_int_equal(order_length, 0);
    rcu_release_deferred();
    rcu_defer(&heads[2], note_order);
    rcu_drain();
    assert_int_equal(order_length, 3);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(order[i], &heads[i]);
    }
}

static void test_drain_ends_holding(void **state)
{
    RcuHead heads[2];

    order_length = 0;
    rcu_hold_deferred();
    rcu_defer(&heads[0], note_order);
    rcu_drain();
    assert_int_equal(order_length, 1);
    rcu_defer(&heads[1], note_order);
    rcu_drain();
    assert_int_equal(order_length, 2);
    rcu_release_deferred(); /* nothing left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread_register_ends_with_the_thread),
        cmocka_unit_test(test_thread_unregister_is_not_for_ever),
        cmocka_unit_test(test_defer_callback_may_read),
        cmocka_unit_test(test_defer_from_a_thread_that_never_read),
        cmocka_unit_test(test_hold_deferred_until_release),
        cmocka_unit_test(test_drain_ends_holding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
