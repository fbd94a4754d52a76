/* SPDX-License-Identifier: MIT */
/* Notices: what people at a monitor are told about their requests without asking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "../support/fake-chardev.h"
#include "support/monitor-fixture.h"
#include "tessera/chardev/mux.h"
#include "tessera/machine/memory-resize.h"

#define OPTIONS    "-S -m 256M,slots=4,maxmem=2G"
#define PROMPT     "(tessera) "
#define PATIENCE_S 60 /* then something hangs */

enum { PLUG = 1, EJECT = 3 }; /* _OST source events */

/* A running machine with DIMMs d1 and d2 of 128 MiB, two HMP monitors and a QMP one. */
typedef struct Fixture {
    MonitorFixture *f;
    Chardev *chr[3];
    GString *screen[2];
} Fixture;

static gboolean on_patience_end(gpointer opaque)
{
    *(bool *)opaque = true;
    return G_SOURCE_REMOVE;
}

#define run_until(condition)                                                                 \
    do {                                                                                     \
        bool hangs_ = false;                                                                 \
        guint patience_ = g_timeout_add_seconds(PATIENCE_S, on_patience_end, &hangs_);       \
        while (!(condition) && !hangs_) {                                                    \
            g_main_context_iteration(NULL, TRUE);                                            \
        }                                                                                    \
        if (hangs_) {                                                                        \
            fail_msg("line %d: this never came: %s", __LINE__, #condition);                  \
        }                                                                                    \
        g_source_remove(patience_);                                                          \
    } while (0)

static const char *seen(Fixture *s, unsigned which)
{
    g_string_append(s->screen[which], fake_chardev_output(s->chr[which]));
    return s->screen[which]->str;
}

/* Is @end the last that is on the screen of monitor @which? */
static bool ends(Fixture *s, unsigned which, const char *end)
{
    return g_str_has_suffix(seen(s, which), end);
}

static void press(Fixture *s, unsigned which, const char *keys)
{
    fake_chardev_input(s->chr[which], keys, strlen(keys));
}

/* Runs @line, and forgets what is on the screen by its end. */
static void run_line(Fixture *s, unsigned which, const char *line)
{
    g_autofree char *shown = g_strdup_printf("%s\r\n", line);
    g_autofree char *keys = g_strdup_printf("%s\r", line);

    press(s, which, keys);
    run_until(strstr(seen(s, which), shown) && ends(s, which, "\n" PROMPT));
    g_string_truncate(s->screen[which], 0);
}

/* Whatever monitor @which has to say stands on its screen when its next command has run. */
static const char *said(Fixture *s, unsigned which)
{
    press(s, which, "info name\r");
    run_until(strstr(seen(s, which), "info name\r\n") && ends(s, which, "\n" PROMPT));
    return s->screen[which]->str;
}

/* The client leaves, and another one comes. */
static void next_client(Fixture *s, unsigned which)
{
    fake_chardev_event(s->chr[which], CHARDEV_CLOSED);
    fake_chardev_event(s->chr[which], CHARDEV_OPENED);
    run_line(s, which, "info name");
}

static void expect_silence(Fixture *s, unsigned which)
{
    assert_string_equal(said(s, which), "info name\r\n" PROMPT);
    g_string_truncate(s->screen[which], 0);
}

static void expect_notice(Fixture *s, unsigned which, const char *text)
{
    g_autofree char *wanted = g_strdup_printf("\r\033[J%s\r\n" PROMPT, text);

    run_until(ends(s, which, PROMPT) && s->screen[which]->len >= strlen(wanted));
    assert_string_equal(s->screen[which]->str, wanted);
    g_string_truncate(s->screen[which], 0);
}

static int setup(void **state)
{
    Fixture *s = g_new0(Fixture, 1);

    s->f = monitor_fixture_new(OPTIONS);
    monitor_fixture_hmp(s->f, "object_add memory-backend-ram,id=m1,size=128M");
    monitor_fixture_hmp(s->f, "object_add memory-backend-ram,id=m2,size=128M");
    monitor_fixture_hmp(s->f, "device_add pc-dimm,id=d1,memdev=m1");
    monitor_fixture_hmp(s->f, "cont");
    for (unsigned i = 0; i < 3; i++) {
        s->chr[i] = fake_chardev_new();
        monitor_hub_add(s->f->hub, s->chr[i], i < 2 ? MONITOR_HMP : MONITOR_QMP);
    }
    for (unsigned i = 0; i < 2; i++) {
        s->screen[i] = g_string_new(NULL);
        run_until(ends(s, i, PROMPT));
        g_string_truncate(s->screen[i], 0);
    }
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    Fixture *s = *state;

    monitor_fixture_free(s->f);
    for (unsigned i = 0; i < 3; i++) {
        chardev_free(s->chr[i]);
    }
    g_string_free(s->screen[0], TRUE);
    g_string_free(s->screen[1], TRUE);
    g_free(s);
    return 0;
}

static void test_unplug_is_told_where_it_was_asked_for(void **state)
{
    Fixture *s = *state;

    run_line(s, 0, "device_del d1");
    monitor_fixture_guest_ost(s->f, 0, EJECT, 0x84);
    expect_silence(s, 0); /* it is on its way */
    monitor_fixture_guest_eject(s->f, 0);
    expect_notice(s, 0, "d1: the guest has given the memory back (128 MiB)");
    expect_silence(s, 1);
    expect_silence(s, 0); /* once */
}

static void test_plug_is_told_where_it_was_asked_for(void **state)
{
    Fixture *s = *state;

    run_line(s, 1, "device_add pc-dimm,id=d2,memdev=m2");
    monitor_fixture_guest_ost(s->f, 1, PLUG, 0);
    expect_notice(s, 1, "d2: the guest has taken the memory (128 MiB)");
    monitor_fixture_guest_ost(s->f, 1, PLUG, 0); /* nobody has asked again */
    expect_silence(s, 1);
    expect_silence(s, 0);
}

static void test_plug_that_the_guest_refuses(void **state)
{
    Fixture *s = *state;

    run_line(s, 0, "device_add pc-dimm,id=d2,memdev=m2");
    monitor_fixture_guest_ost(s->f, 1, PLUG, 1);
    expect_notice(s, 0, "d2: the guest could not add the memory; its kernel log says why "
                        "(128 MiB)");
}

static void test_plug_that_a_reset_overtakes(void **state)
{
    Fixture *s = *state;

    run_line(s, 0, "device_add pc-dimm,id=d2,memdev=m2");
    machine_system_reset(s->f->machine);
    expect_notice(s, 0, "d2: the guest finds the memory when it starts (128 MiB)");
    machine_system_reset(s->f->machine);
    expect_silence(s, 0);
}

static void test_refusal_names_the_reason_and_the_way_on(void **state)
{
    Fixture *s = *state;

    run_line(s, 0, "device_del d1");
    monitor_fixture_guest_ost(s->f, 0, EJECT, 0x81);
    expect_notice(s, 0, "d1: refused: busy: the memory is in use in the guest; `device_del d1` asks "
                        "again");
    run_line(s, 1, "device_del d1"); /* from now on the other's business */
    monitor_fixture_guest_eject(s->f, 0);
    expect_notice(s, 1, "d1: the guest has given the memory back (128 MiB)");
    expect_silence(s, 0);
}

static void test_cancel_answers_before_the_prompt(void **state)
{
    Fixture *s = *state;

    run_line(s, 0, "device_del d1");
    press(s, 1, "device_del_cancel d1\r");
    run_until(ends(s, 1, "\n" PROMPT));
    assert_string_equal(s->screen[1]->str, "device_del_cancel d1\r\n"
                                           "d1: cancelled: the guest had not seen the request\r\n"
                                           PROMPT);
    expect_notice(s, 0, "d1: cancelled: the guest had not seen the request");
    g_string_truncate(s->screen[1], 0);
    monitor_fixture_guest_ost(s->f, 0, EJECT, 0x81); /* it has seen it all the same */
    expect_notice(s, 0, "d1: stays plugged; `device_del d1` asks again");
    expect_notice(s, 1, "d1: stays plugged; `device_del d1` asks again");
}

static void test_cancel_of_nothing_awaits_nothing(void **state)
{
    Fixture *s = *state;

    run_line(s, 0, "device_del_cancel d1");
    monitor_fixture_qmp(s->f, "device_del", "{\"id\": \"d1\"}");
    monitor_fixture_guest_eject(s->f, 0);
    expect_silence(s, 0);
}

static void test_time_out_and_a_late_eject(void **state)
{
    Fixture *s = *state;

    run_line(s, 0, "device_del_timeout 1");
    run_line(s, 0, "device_del d1");
    expect_notice(s, 0, "d1: timed-out: the guest has not answered for 1 s; it may still do so, or not "
                        "know ACPI memory hotplug; `device_del d1` asks again");
    monitor_fixture_guest_eject(s->f, 0);
    expect_notice(s, 0, "d1: the guest has given the memory back (128 MiB)");
}

static void test_reset_that_takes_a_dimm_out(void **state)
{
    Fixture *s = *state;

    run_line(s, 0, "device_del d1");
    machine_system_reset(s->f->machine);
    expect_notice(s, 0, "d1: the reset took the memory out (128 MiB)");
    expect_silence(s, 1);
}

static void test_eject_that_nobody_asked_for_is_told_to_all(void **state)
{
    Fixture *s = *state;

    next_client(s, 1);
    monitor_fixture_guest_eject(s->f, 0);
    expect_notice(s, 0, "d1: the guest has given the memory back, unasked (128 MiB)");
    expect_notice(s, 1, "d1: the guest has given the memory back, unasked (128 MiB)");
}

static void test_requests_of_programs_are_not_told(void **state)
{
    static const char negotiate[] = "{\"execute\": \"qmp_capabilities\"}";
    static const char del[] = "{\"execute\": \"human-monitor-command\", \"arguments\": "
                              "{\"command-line\": \"device_del d1\"}}";
    Fixture *s = *state;

    fake_chardev_input(s->chr[2], negotiate, strlen(negotiate));
    fake_chardev_input(s->chr[2], del, strlen(del));
    fake_chardev_output(s->chr[2]);
    monitor_fixture_guest_ost(s->f, 0, EJECT, 0x81);
    assert_null(strstr(fake_chardev_output(s->chr[2]), "asks again"));
    expect_silence(s, 0);
    expect_silence(s, 1);
}

static void test_client_that_has_gone_is_not_told(void **state)
{
    Fixture *s = *state;

    run_line(s, 0, "device_del d1");
    run_line(s, 0, "memory resize 512M");
    next_client(s, 0);
    monitor_fixture_guest_eject(s->f, 0);
    monitor_fixture_guest_ost(s->f, 1, PLUG, 0);
    expect_silence(s, 0);
}

static void test_resize_is_told_step_by_step(void **state)
{
    Fixture *s = *state;

    monitor_fixture_hmp(s->f, "device_del d1");
    monitor_fixture_guest_eject(s->f, 0);
    press(s, 0, "memory resize 1G\r");
    run_until(ends(s, 0, "\n" PROMPT));
    assert_string_equal(s->screen[0]->str,
                        "memory resize 1G\r\n"
                        "memory resize from 256 MiB to 1 GiB: running, 0 of 2 DIMMs: the guest "
                        "takes the new memory\r\n" PROMPT);
    g_string_truncate(s->screen[0], 0);
    monitor_fixture_guest_ost(s->f, 0, PLUG, 0);
    expect_notice(s, 0, "memory resize from 256 MiB to 1 GiB: running, 1 of 2 DIMMs: the guest "
                        "takes the new memory");
    monitor_fixture_guest_ost(s->f, 1, PLUG, 0);
    expect_notice(s, 0, "memory resize from 256 MiB to 1 GiB: completed, 2 of 2 DIMMs: the "
                        "machine has 1 GiB");
    expect_silence(s, 1);
    monitor_fixture_hmp(s->f, "memory resize 256M"); /* not asked for here */
    monitor_fixture_guest_eject(s->f, 1);
    expect_silence(s, 0);
}

static void test_resize_that_is_cancelled_elsewhere(void **state)
{
    Fixture *s = *state;

    run_line(s, 0, "memory resize 512M");
    run_line(s, 1, "memory resize_cancel");
    expect_notice(s, 0, "memory resize from 384 MiB to 512 MiB: cancelled, 0 of 1 DIMMs: the machine "
                        "has 512 MiB");
    expect_silence(s, 1);
    run_line(s, 0, "memory resize 640M");
    press(s, 0, "memory resize_cancel\r");
    run_until(ends(s, 0, "\n" PROMPT));
    assert_null(strstr(strstr(s->screen[0]->str, "cancelled") + 1, "cancelled")); /* its answer */
}

/* No main loop's turn comes between. */
static void test_steps_that_were_not_seen_give_way_to_newer_ones(void **state)
{
    Fixture *s = *state;
    Monitor *mon = s->f->hub->monitors->pdata[0];
    g_autofree char *text = NULL;

    run_line(s, 0, "memory resize 768M");
    for (unsigned i = 0; i < 5; i++) {
        MemoryResizeStatus step = { .dimms = 9, .dimms_done = i };
        MachineEvent event = { .kind = MACHINE_EVENT_MEMORY_RESIZE, .resize = &step };

        step.state = i == 4 ? MEMORY_RESIZE_FAILED : MEMORY_RESIZE_RUNNING;
        monitor_hub_notice(s->f->hub, &event);
    }
    text = monitor_notices_take(mon->notices);
    assert_text_has(text, "failed, 4 of 9 DIMMs");
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void test_notices_are_bounded(void **state)
{
    Fixture *s = *state;
    Monitor *mon = s->f->hub->monitors->pdata[0];
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    for (unsigned i = 0; i < 130; i++) {
        g_autofree char *id = g_strdup_printf("x%u", i);
        MemoryDeviceEvent eject = { .kind = MEMORY_EVENT_DELETED, .id = id, .unasked = true,
                                    .reason = "gone" };
        MachineEvent event = { .kind = MACHINE_EVENT_MEMORY, .memory = &eject };

        monitor_hub_notice(s->f->hub, &event);
    }
    text = monitor_notices_take(mon->notices);
    lines = g_strsplit(text, "\n", -1);
    assert_int_equal(g_strv_length(lines), 102); /* and an empty one at the end */
    assert_string_equal(lines[0], "(30 older notices are left out)");
    assert_string_equal(lines[1], "x30: gone, unasked (0 B)");
    assert_string_equal(lines[100], "x129: gone, unasked (0 B)");
}

/* Lines that come together: the notice stands between them, and makes no prompt of its own. */
static void test_pasted_lines_stay_whole(void **state)
{
    Fixture *s = *state;

    run_line(s, 0, "device_del d1");
    press(s, 0, "info status\rinfo name\r");
    monitor_fixture_guest_ost(s->f, 0, EJECT, 0x81);
    run_until(strstr(seen(s, 0), "info name\r\n") && ends(s, 0, "\n" PROMPT) &&
              strstr(s->screen[0]->str, "again\r\n"));
    assert_non_null(strstr(s->screen[0]->str, PROMPT "info name\r\n"));
    assert_true(g_str_has_prefix(s->screen[0]->str, "info status\r\n"));
    assert_non_null(strstr(s->screen[0]->str, "\nVM status: running\r\n"));
}

static void test_notice_waits_for_the_focus(void **state)
{
    Fixture *s = *state;
    Chardev *tty = fake_chardev_new();
    ChardevMux *mux = chardev_mux_new(tty, NULL, NULL);
    GString *screen = g_string_new(NULL);
    Monitor *mon;

    chardev_mux_add_port(mux, "serial0");
    monitor_hub_add(s->f->hub, chardev_mux_add_port(mux, "monitor"), MONITOR_HMP);
    mon = s->f->hub->monitors->pdata[3];
    fake_chardev_input(tty, "\x01" "cdevice_del d1\r", 16);
    run_until(strstr(g_string_append(screen, fake_chardev_output(tty))->str, "d1\r\n" PROMPT));
    fake_chardev_input(tty, "half", 4);
    run_until(strstr(g_string_append(screen, fake_chardev_output(tty))->str, PROMPT "half"));
    fake_chardev_input(tty, "\x01" "c", 2);
    run_until(strstr(g_string_append(screen, fake_chardev_output(tty))->str, "[serial0]\r\n"));
    g_string_truncate(screen, 0);
    monitor_fixture_guest_eject(s->f, 0);
    for (unsigned i = 0; i < 100; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
    assert_string_equal(fake_chardev_output(tty), ""); /* the serial port's screen */
    fake_chardev_input(tty, "\x01" "c", 2);
    run_until(g_str_has_suffix(g_string_append(screen, fake_chardev_output(tty))->str,
                               PROMPT "half"));
    assert_string_equal(screen->str, "\r\n[monitor]\r\n"
                                     "d1: the guest has given the memory back (128 MiB)\r\n"
                                     "\r\033[J" PROMPT "half");
    g_string_free(screen, TRUE);
    g_ptr_array_remove(s->f->hub->monitors, mon);
    chardev_mux_free(mux);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_unplug_is_told_where_it_was_asked_for),
        T(test_plug_is_told_where_it_was_asked_for),
        T(test_plug_that_the_guest_refuses),
        T(test_plug_that_a_reset_overtakes),
        T(test_refusal_names_the_reason_and_the_way_on),
        T(test_cancel_answers_before_the_prompt),
        T(test_cancel_of_nothing_awaits_nothing),
        T(test_time_out_and_a_late_eject),
        T(test_reset_that_takes_a_dimm_out),
        T(test_eject_that_nobody_asked_for_is_told_to_all),
        T(test_requests_of_programs_are_not_told),
        T(test_client_that_has_gone_is_not_told),
        T(test_resize_is_told_step_by_step),
        T(test_resize_that_is_cancelled_elsewhere),
        T(test_steps_that_were_not_seen_give_way_to_newer_ones),
        T(test_notices_are_bounded),
        T(test_pasted_lines_stay_whole),
        T(test_notice_waits_for_the_focus),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
