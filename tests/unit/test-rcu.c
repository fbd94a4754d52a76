/* SPDX-License-Identifier: MIT */
/* The wrapper around liburcu: registration at a thread's first section, its end, callbacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread_register_ends_with_the_thread),
        cmocka_unit_test(test_thread_unregister_is_not_for_ever),
        cmocka_unit_test(test_defer_callback_may_read),
        cmocka_unit_test(test_defer_from_a_thread_that_never_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
