/* SPDX-License-Identifier: MIT */
/* Tests of hw/core/clock.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tessera/hw/core/clock.h"

typedef struct Probe {
    VirtualClock *clock;
    VirtualTimer *timer;
    unsigned fired;
    int64_t at;
    int64_t rearm_ns;     /* not 0: arms itself again that much later */
    GString *order;       /* not NULL: gets @name at each call */
    char name;
    GMainLoop *loop;      /* not NULL: ended at the call */
} Probe;

static void probe_fired(void *opaque)
{
    Probe *p = opaque;

    p->fired++;
    p->at = virtual_clock_ns(p->clock);
    if (p->order) {
        g_string_append_c(p->order, p->name);
    }
    if (p->rearm_ns) {
        virtual_timer_arm(p->timer, p->at + p->rearm_ns);
    }
    if (p->loop) {
        g_main_loop_quit(p->loop);
    }
}

static void probe_init(Probe *p, VirtualClock *clock)
{
    *p = (Probe){ .clock = clock };
    p->timer = virtual_timer_new(clock, probe_fired, p);
}

static void test_advance_fires_at_the_deadline_not_before(void **state)
{
    VirtualClock *clock = virtual_clock_new_manual();
    Probe p;

    probe_init(&p, clock);
    virtual_timer_arm(p.timer, 100);
    virtual_clock_advance(clock, 99);
    assert_int_equal(p.fired, 0);
    virtual_clock_advance(clock, 1);
    assert_int_equal(p.fired, 1);
    assert_int_equal(p.at, 100);
    virtual_clock_advance(clock, 1000);
    assert_int_equal(p.fired, 1); /* once */
    assert_int_equal(virtual_clock_ns(clock), 1100);
    virtual_timer_free(p.timer);
    virtual_clock_free(clock);
}

static void test_advance_fires_in_order_of_deadlines(void **state)
{
    VirtualClock *clock = virtual_clock_new_manual();
    GString *order = g_string_new(NULL);
    Probe p[3];
    const int64_t deadlines[] = { 30, 10, 11 };

    for (int i = 0; i < 3; i++) {
        probe_init(&p[i], clock);
        p[i].order = order;
        p[i].name = 'a' + i;
        virtual_timer_arm(p[i].timer, deadlines[i]);
    }
    virtual_clock_advance(clock, 100);
    assert_string_equal(order->str, "bca");
    assert_int_equal(p[1].at, 10);
    assert_int_equal(p[2].at, 11); /* to the nanosecond */
    for (int i = 0; i < 3; i++) {
        virtual_timer_free(p[i].timer);
    }
    g_string_free(order, TRUE);
    virtual_clock_free(clock);
}

static void test_arm_again_from_the_callback(void **state)
{
    VirtualClock *clock = virtual_clock_new_manual();
    Probe p;

    probe_init(&p, clock);
    p.rearm_ns = 10;
    virtual_timer_arm(p.timer, 10);
    virtual_clock_advance(clock, 105);
    assert_int_equal(p.fired, 10);
    virtual_timer_free(p.timer);
    virtual_clock_free(clock);
}

static void test_arm_moves_an_armed_timer(void **state)
{
    VirtualClock *clock = virtual_clock_new_manual();
    Probe p;

    probe_init(&p, clock);
    virtual_timer_arm(p.timer, 10);
    virtual_timer_arm(p.timer, 50);
    virtual_clock_advance(clock, 20);
    assert_int_equal(p.fired, 0);
    virtual_clock_advance(clock, 30);
    assert_int_equal(p.fired, 1);
    virtual_timer_free(p.timer);
    virtual_clock_free(clock);
}

static void test_disarm_prevents_firing(void **state)
{
    VirtualClock *clock = virtual_clock_new_manual();
    Probe p;

    probe_init(&p, clock);
    virtual_timer_disarm(p.timer); /* not armed: nothing */
    virtual_timer_arm(p.timer, 10);
    virtual_timer_disarm(p.timer);
    virtual_clock_advance(clock, 100);
    assert_int_equal(p.fired, 0);
    virtual_timer_free(p.timer);
    virtual_clock_free(clock);
}

static void test_two_clocks_know_nothing_of_each_other(void **state)
{
    VirtualClock *a = virtual_clock_new_manual(), *b = virtual_clock_new_manual();
    Probe p;

    probe_init(&p, b);
    virtual_timer_arm(p.timer, 10);
    virtual_clock_advance(a, 100);
    assert_int_equal(p.fired, 0);
    assert_int_equal(virtual_clock_ns(b), 0);
    virtual_timer_free(p.timer);
    virtual_clock_free(a);
    virtual_clock_free(b);
}

static void test_real_clock_stands_until_started_and_after_stop(void **state)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    VirtualClock *clock = virtual_clock_new(context);
    int64_t then;

    assert_int_equal(virtual_clock_ns(clock), 0);
    g_usleep(2000);
    assert_int_equal(virtual_clock_ns(clock), 0);
    virtual_clock_start(clock);
    virtual_clock_start(clock);
    g_usleep(2000);
    assert_true(virtual_clock_ns(clock) >= 2000000);
    virtual_clock_stop(clock);
    then = virtual_clock_ns(clock);
    g_usleep(2000);
    assert_int_equal(virtual_clock_ns(clock), then);
    virtual_clock_start(clock); /* goes on from there */
    assert_true(virtual_clock_ns(clock) >= then);
    virtual_clock_free(clock);
}

static void test_real_timer_fires_on_the_context_never_early(void **state)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(GMainLoop) loop = g_main_loop_new(context, FALSE);
    VirtualClock *clock = virtual_clock_new(context);
    Probe p, later;

    probe_init(&p, clock);
    probe_init(&later, clock);
    p.loop = loop;
    virtual_timer_arm(later.timer, INT64_MAX); /* must not wrap to the past */
    virtual_timer_arm(p.timer, 3000000);
    virtual_clock_start(clock);
    g_main_loop_run(loop);
    assert_int_equal(p.fired, 1);
    assert_int_equal(later.fired, 0);
    assert_true(p.at >= 3000000);
    virtual_timer_free(p.timer);
    virtual_timer_free(later.timer);
    virtual_clock_free(clock);
}

static gpointer arm_from_thread(gpointer opaque)
{
    Probe *p = opaque;

    for (int i = 0; i < 1000; i++) {
        virtual_timer_arm(p->timer, virtual_clock_ns(p->clock) + 10000000000LL);
        virtual_timer_disarm(p->timer);
    }
    virtual_timer_arm(p->timer, virtual_clock_ns(p->clock) + 1000);
    return NULL;
}

static void test_real_timer_armed_from_another_thread(void **state)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(GMainLoop) loop = g_main_loop_new(context, FALSE);
    VirtualClock *clock = virtual_clock_new(context);
    GThread *thread;
    Probe p;

    probe_init(&p, clock);
    p.loop = loop;
    virtual_clock_start(clock);
    thread = g_thread_new("arm", arm_from_thread, &p);
    g_main_loop_run(loop);
    g_thread_join(thread);
    assert_int_equal(p.fired, 1);
    virtual_timer_free(p.timer);
    virtual_clock_free(clock);
}

static void test_real_timer_waits_while_the_clock_stands(void **state)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(GMainLoop) loop = g_main_loop_new(context, FALSE);
    VirtualClock *clock = virtual_clock_new(context);
    Probe p;

    probe_init(&p, clock);
    p.loop = loop;
    virtual_clock_start(clock);
    virtual_timer_arm(p.timer, virtual_clock_ns(clock) + 1000000);
    virtual_clock_stop(clock);
    g_usleep(3000);
    while (g_main_context_iteration(context, FALSE)) {
    }
    assert_int_equal(p.fired, 0);
    virtual_clock_start(clock);
    g_main_loop_run(loop);
    assert_int_equal(p.fired, 1);
    virtual_timer_free(p.timer);
    virtual_clock_free(clock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_advance_fires_at_the_deadline_not_before),
        cmocka_unit_test(test_advance_fires_in_order_of_deadlines),
        cmocka_unit_test(test_arm_again_from_the_callback),
        cmocka_unit_test(test_arm_moves_an_armed_timer),
        cmocka_unit_test(test_disarm_prevents_firing),
        cmocka_unit_test(test_two_clocks_know_nothing_of_each_other),
        cmocka_unit_test(test_real_clock_stands_until_started_and_after_stop),
        cmocka_unit_test(test_real_timer_fires_on_the_context_never_early),
        cmocka_unit_test(test_real_timer_armed_from_another_thread),
        cmocka_unit_test(test_real_timer_waits_while_the_clock_stands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
