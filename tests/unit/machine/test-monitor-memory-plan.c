/* SPDX-License-Identifier: MIT */
/* info memory-plan and memory resize, with a guest that answers by its ports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "../support/fake-chardev.h"
#include "support/monitor-fixture.h"
#include "tessera/machine/memory-resize.h"

#define OPTIONS "-S -m 256M,slots=4,maxmem=2G"
#define MIB     (UINT64_C(1) << 20)

enum { PLUG = 1, EJECT = 3 }; /* _OST source events */

static uint64_t number(const json_t *o, const char *member)
{
    return (uint64_t)json_integer_value(json_object_get(o, member));
}

static const char *text(const json_t *o, const char *member)
{
    return json_string_value(json_object_get(o, member));
}

static MonitorFixture *running_machine(void)
{
    MonitorFixture *f = monitor_fixture_new(OPTIONS);

    monitor_fixture_hmp(f, "cont");
    return f;
}

static const json_t *status(MonitorFixture *f)
{
    return monitor_fixture_qmp(f, "x-query-memory-resize", NULL);
}

static void check_state(MonitorFixture *f, const char *state, uint64_t now)
{
    const json_t *o = status(f);

    assert_string_equal(text(o, "state"), state);
    assert_int_equal(number(o, "now"), now);
}

static void test_plan_answers_everything(void **state)
{
    MonitorFixture *f = monitor_fixture_new(OPTIONS);
    const json_t *o = monitor_fixture_qmp(f, "x-query-memory-plan", "{\"size\": 786432000}");
    const json_t *dimms = json_object_get(o, "dimms");

    assert_int_equal(number(o, "requested"), 750 * MIB);
    assert_int_equal(number(o, "size"), 768 * MIB);
    assert_int_equal(json_array_size(dimms), 2);
    assert_int_equal(number(json_array_get(dimms, 0), "addr"), 0x100000000);
    assert_int_equal(number(json_array_get(dimms, 0), "size"), 512 * MIB);
    assert_int_equal(number(json_array_get(dimms, 1), "addr"), 0x120000000);
    assert_int_equal(number(json_array_get(dimms, 1), "size"), 256 * MIB);
    assert_int_equal(number(o, "memory-now"), 256 * MIB);
    assert_int_equal(number(o, "memory-then"), 1024 * MIB);
    assert_int_equal(number(o, "block-size"), 128 * MIB);
    assert_int_equal(number(o, "boot-memory-end"), 256 * MIB);
    assert_int_equal(number(o, "memmap-cost"), 12 * MIB);
    assert_int_equal(number(o, "slots-free"), 4);
    assert_int_equal(number(o, "slots-left"), 2);
    assert_true(number(o, "kvm-slots-free") > 30000);
    assert_int_equal(number(o, "unreachable"), 0);
    assert_string_equal(text(o, "can-be-taken-back"), "unknown");
    monitor_fixture_free(f);
}

static void test_plan_speaks_to_people(void **state)
{
    MonitorFixture *f = monitor_fixture_new(OPTIONS);

    monitor_fixture_hmp(f, "info memory-plan 750M");
    assert_text_has(f->out->str, "From 256 MiB to 1 GiB; `memory resize 1G` does it:\n"
                                 "  DIMM of 512 MiB    at 0x0100000000-0x011fffffff\n"
                                 "  DIMM of 256 MiB    at 0x0120000000-0x012fffffff\n");
    assert_text_has(f->out->str, "Memory block of a Linux guest: 128 MiB. -m 256 MiB ends at "
                                 "0x10000000, below 64 GiB");
    assert_text_has(f->out->str, "750 MiB was asked for: rounded up to whole blocks, 768 MiB.");
    assert_text_has(f->out->str, "12 MiB to describe it");
    assert_text_has(f->out->str, "Memory slots: 4 free now, 2 afterwards.");
    assert_text_has(f->out->str, "memhp_default_state=online_movable");
    monitor_fixture_free(f);
}

static void test_plan_warns(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S -m 128M,slots=2,maxmem=17G");

    monitor_fixture_hmp(f, "info memory-plan 12G"); /* 192 MiB of descriptions in 128 MiB */
    assert_text_has(f->out->str, "Warning: ");
    assert_non_null(text(monitor_fixture_qmp(f, "x-query-memory-plan", "{\"size\": 12884901888}"),
                         "warning"));
    monitor_fixture_free(f);
}

static void test_plan_says_what_no_slot_reaches(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S -m 256M,slots=1,maxmem=2G");

    assert_int_equal(number(monitor_fixture_qmp(f, "x-query-memory-plan", "{\"size\": 536870912}"),
                            "unreachable"), 1280 * MIB);
    assert_text_has(monitor_fixture_hmp(f, "info memory-plan 512M"),
                    "No slot would be left for the last 1.25 GiB below maxmem.");
    monitor_fixture_free(f);
}

static void test_plan_and_resize_refusals_change_nothing(void **state)
{
    MonitorFixture *f = running_machine();
    g_autofree char *before = monitor_fixture_map(f);
    g_autofree char *after = NULL;
    const char *lines[][2] = {
        { "info memory-plan 2G", "1.75 GiB is left" },
        { "info memory-plan 0", "0 bytes" },
        { "info memory-plan", "missing" },
        { "info memory-plan 1Q", "1Q" },
        { "info memory-plan 16E", "16E" },
        { "memory resize 3G", "1.75 GiB is left" },
        { "memory resize 128M", "less than boot RAM" },
        { "memory resize", "missing" },
        { "memory resize_cancel", "not being resized" },
        { "memory grow 1G", "memory resize" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        assert_text_has(monitor_fixture_hmp_error(f, lines[i][0]), lines[i][1]);
    }
    after = monitor_fixture_map(f);
    assert_string_equal(after, before);
    assert_int_equal(json_array_size(monitor_fixture_qmp(f, "query-memdev", NULL)), 1);
    check_state(f, "none", 256 * MIB);
    assert_text_has(monitor_fixture_hmp(f, "info memory-resize"), "none so far");
    monitor_fixture_free(f);

    f = monitor_fixture_new("-S -m 256M");
    assert_text_has(monitor_fixture_hmp_error(f, "info memory-plan 1G"), "slots=");
    assert_text_has(monitor_fixture_hmp_error(f, "memory resize 1G"), "slots=");
    monitor_fixture_free(f);
}

typedef struct Heard {
    unsigned running;
    unsigned ends;
    MemoryResizeState last;
} Heard;

static void hear(const MachineEvent *event, void *opaque)
{
    Heard *h = opaque;

    if (event->kind == MACHINE_EVENT_MEMORY_RESIZE) {
        h->last = event->resize->state;
        h->running += h->last == MEMORY_RESIZE_RUNNING;
        h->ends += h->last != MEMORY_RESIZE_RUNNING;
    }
}

static void test_resize_up_waits_for_the_guest(void **state)
{
    MonitorFixture *f = running_machine();
    Heard heard = { 0 };

    machine_set_event_handler(f->machine, hear, &heard);
    assert_text_has(monitor_fixture_hmp(f, "memory resize 1G"), "running, 0 of 2 DIMMs");
    check_state(f, "running", 1024 * MIB);
    assert_text_has(monitor_fixture_hmp(f, "info memory-devices"), "\"resize1\"");
    assert_text_has(monitor_fixture_hmp_error(f, "memory resize 2G"), "already");
    monitor_fixture_guest_ost(f, 0, PLUG, 0);
    assert_int_equal(number(status(f), "dimms-done"), 1);
    assert_int_equal(heard.ends, 0);
    monitor_fixture_guest_ost(f, 1, PLUG, 0);
    check_state(f, "completed", 1024 * MIB);
    assert_int_equal(heard.running, 2);
    assert_int_equal(heard.ends, 1);
    assert_text_has(monitor_fixture_hmp(f, "memory resize 1G"), "completed"); /* it is there */
    monitor_fixture_free(f);
}

/* A guest that starts anew finds the DIMMs by itself, and tells nobody. */
static void test_resize_up_ends_with_a_reset(void **state)
{
    MonitorFixture *f = running_machine();
    Heard heard = { 0 };

    machine_set_event_handler(f->machine, hear, &heard);
    monitor_fixture_hmp(f, "memory resize 1G");
    monitor_fixture_guest_ost(f, 0, PLUG, 0);
    monitor_fixture_hmp(f, "system_reset");
    check_state(f, "completed", 1024 * MIB);
    assert_int_equal(number(status(f), "dimms-done"), 2);
    assert_text_has(text(status(f), "message"), "when it starts");
    assert_int_equal(heard.ends, 1);
    monitor_fixture_hmp(f, "system_reset"); /* it is over */
    assert_int_equal(heard.ends, 1);
    monitor_fixture_free(f);
}

typedef struct Busy {
    const Heard *heard;
    unsigned rounds;
    bool saw_end;
} Busy;

static gboolean keep_busy(gpointer opaque)
{
    Busy *b = opaque;

    b->saw_end = b->heard->ends > 0;
    return !b->saw_end && ++b->rounds < 1000;
}

/* A client that has always something to be done must not hold the job up. */
static void test_resize_goes_on_while_the_loop_is_busy(void **state)
{
    MonitorFixture *f = running_machine();
    Heard heard = { 0 };
    Busy busy = { .heard = &heard };

    machine_set_event_handler(f->machine, hear, &heard);
    monitor_fixture_hmp(f, "memory resize 1G");
    monitor_fixture_guest_ost(f, 0, PLUG, 0);
    g_idle_add_full(G_PRIORITY_DEFAULT, keep_busy, &busy, NULL);
    monitor_fixture_guest_ost(f, 1, PLUG, 0);
    assert_true(busy.saw_end);
    monitor_fixture_free(f);
}

static void test_resize_up_reports_a_refusal(void **state)
{
    MonitorFixture *f = running_machine();

    monitor_fixture_hmp(f, "memory resize 1G");
    monitor_fixture_guest_ost(f, 0, PLUG, 0);
    monitor_fixture_guest_ost(f, 1, PLUG, 1);
    assert_string_equal(text(status(f), "state"), "partial");
    assert_text_has(text(status(f), "message"), "'resize1': the guest could not add the memory");
    monitor_fixture_free(f);
}

/* 1 GiB in two DIMMs, back to 256 MiB: one after the other, their backends too. */
static void test_resize_down_takes_one_after_another(void **state)
{
    MonitorFixture *f = running_machine();
    g_autofree char *before = monitor_fixture_map(f);
    g_autofree char *after = NULL;

    monitor_fixture_hmp(f, "memory resize 1G");
    monitor_fixture_guest_ost(f, 0, PLUG, 0);
    monitor_fixture_guest_ost(f, 1, PLUG, 0);
    assert_text_has(monitor_fixture_hmp(f, "memory resize 256M"), "running, 0 of 2 DIMMs: the "
                                                                  "guest gives 'resize1' up");
    monitor_fixture_guest_ost(f, 1, EJECT, 0x84);
    assert_string_equal(text(status(f), "state"), "running");
    monitor_fixture_guest_eject(f, 1);
    assert_int_equal(number(status(f), "dimms-done"), 1);
    assert_text_has(text(status(f), "message"), "'resize0'");
    monitor_fixture_guest_eject(f, 0);
    check_state(f, "completed", 256 * MIB);
    assert_int_equal(json_array_size(monitor_fixture_qmp(f, "query-memdev", NULL)), 1);
    after = monitor_fixture_map(f);
    assert_string_equal(after, before);
    monitor_fixture_free(f);
}

static void test_resize_down_tries_another_dimm(void **state)
{
    MonitorFixture *f = running_machine();

    monitor_fixture_hmp(f, "object_add memory-backend-ram,id=m1,size=128M");
    monitor_fixture_hmp(f, "object_add memory-backend-ram,id=m2,size=128M");
    monitor_fixture_hmp(f, "device_add pc-dimm,id=d1,memdev=m1");
    monitor_fixture_hmp(f, "device_add pc-dimm,id=d2,memdev=m2");
    monitor_fixture_hmp(f, "memory resize 384M");
    assert_text_has(text(status(f), "message"), "'d2'"); /* the higher one first */
    monitor_fixture_guest_ost(f, 1, EJECT, 0x81);
    assert_text_has(text(status(f), "message"), "'d1'");
    monitor_fixture_guest_eject(f, 0);
    check_state(f, "completed", 384 * MIB);
    assert_text_has(text(status(f), "message"), "'d2': busy");
    assert_text_has(monitor_fixture_hmp(f, "info memdev"), "m1"); /* the user's: it stays */
    monitor_fixture_free(f);
}

static void test_resize_down_takes_its_own_first(void **state)
{
    MonitorFixture *f = running_machine();

    monitor_fixture_hmp(f, "object_add memory-backend-ram,id=m1,size=256M");
    monitor_fixture_hmp(f, "memory resize 512M");
    monitor_fixture_guest_ost(f, 0, PLUG, 0);
    monitor_fixture_hmp(f, "device_add pc-dimm,id=above,memdev=m1");
    monitor_fixture_hmp(f, "memory resize 512M");
    assert_text_has(text(status(f), "message"), "'resize0'");
    monitor_fixture_free(f);
}

static void test_resize_down_that_nobody_allows_fails(void **state)
{
    MonitorFixture *f = running_machine();

    monitor_fixture_hmp(f, "memory resize 512M");
    monitor_fixture_guest_ost(f, 0, PLUG, 0);
    monitor_fixture_hmp(f, "memory resize 256M");
    monitor_fixture_guest_ost(f, 0, EJECT, 0x80);
    check_state(f, "failed", 512 * MIB);
    assert_text_has(text(status(f), "message"), "does not support");
    assert_text_has(monitor_fixture_hmp_error(f, "memory resize 400M"), "no DIMMs add up to");
    check_state(f, "failed", 512 * MIB); /* still of the request before */
    assert_int_equal(number(status(f), "target"), 256 * MIB);
    monitor_fixture_free(f);
}

static void test_resize_cancel_keeps_what_is_there(void **state)
{
    MonitorFixture *f = running_machine();

    monitor_fixture_hmp(f, "memory resize 512M");
    monitor_fixture_guest_ost(f, 0, PLUG, 0);
    monitor_fixture_hmp(f, "memory resize 256M");
    assert_text_has(monitor_fixture_hmp(f, "memory resize_cancel"), "cancelled");
    check_state(f, "cancelled", 512 * MIB);
    assert_text_has(monitor_fixture_hmp(f, "info memory-devices"), "  state: cancelled");
    monitor_fixture_guest_eject(f, 0); /* it had seen the request all the same */
    check_state(f, "cancelled", 256 * MIB);
    assert_int_equal(json_array_size(monitor_fixture_qmp(f, "query-memdev", NULL)), 1);
    monitor_fixture_free(f);
}

static void test_resize_before_the_guest_runs(void **state)
{
    MonitorFixture *f = monitor_fixture_new(OPTIONS);

    assert_text_has(monitor_fixture_hmp(f, "memory resize 512M"), "when it starts");
    check_state(f, "completed", 512 * MIB);
    assert_text_has(monitor_fixture_hmp_error(f, "memory resize 256M"),
                    "(prelaunch) does not run one; cont starts it");
    check_state(f, "completed", 512 * MIB);
    monitor_fixture_free(f);
}

static void test_resize_that_cannot_map_leaves_nothing(void **state)
{
    MonitorFixture *f = running_machine();
    g_autofree char *before = monitor_fixture_map(f);
    g_autofree char *after = NULL;

    model_kvm_fail_request(KVM_SET_USER_MEMORY_REGION);
    model_kvm_fail_nth(1, ENOMEM, false);
    monitor_fixture_hmp_error(f, "memory resize 512M");
    model_kvm_no_faults();
    after = monitor_fixture_map(f);
    assert_string_equal(after, before);
    assert_int_equal(json_array_size(monitor_fixture_qmp(f, "query-memdev", NULL)), 1);
    check_state(f, "none", 256 * MIB);
    monitor_fixture_free(f);
}

/* What a QMP client is told: steps, and one end, also where it stands before the answer. */
static void test_resize_events_of_a_client(void **state)
{
    static const char negotiate[] = "{\"execute\": \"qmp_capabilities\"}";
    MonitorFixture *f = running_machine();
    Chardev *chr = fake_chardev_new();
    const char *said;

    monitor_hub_add(f->hub, chr, MONITOR_QMP);
    fake_chardev_input(chr, negotiate, strlen(negotiate));
    fake_chardev_output(chr);
    monitor_fixture_hmp(f, "memory resize 1G");
    said = fake_chardev_output(chr);
    assert_text_has(said, "\"event\": \"X_MEMORY_RESIZE\", \"data\": {\"state\": \"running\", "
                          "\"start\": 268435456, \"target\": 1073741824, ");
    assert_text_has(said, "\"dimms\": 2, \"dimms-done\": 0, \"message\": ");
    monitor_fixture_guest_ost(f, 0, PLUG, 0);
    assert_text_has(fake_chardev_output(chr), "\"dimms\": 2, \"dimms-done\": 1");
    monitor_fixture_guest_ost(f, 1, PLUG, 0);
    said = fake_chardev_output(chr);
    assert_text_has(said, "\"X_MEMORY_RESIZE\", \"data\": {\"state\": \"completed\"");
    assert_null(strstr(said, "running"));
    monitor_fixture_hmp(f, "memory resize 1G");
    assert_text_has(fake_chardev_output(chr), "{\"state\": \"completed\"");
    monitor_fixture_hmp(f, "memory resize 256M");
    monitor_fixture_hmp(f, "memory resize_cancel");
    assert_text_has(fake_chardev_output(chr), "{\"state\": \"cancelled\"");
    monitor_fixture_free(f);
    chardev_free(chr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan_answers_everything),
        cmocka_unit_test(test_plan_speaks_to_people),
        cmocka_unit_test(test_plan_warns),
        cmocka_unit_test(test_plan_says_what_no_slot_reaches),
        cmocka_unit_test(test_plan_and_resize_refusals_change_nothing),
        cmocka_unit_test(test_resize_up_waits_for_the_guest),
        cmocka_unit_test(test_resize_up_ends_with_a_reset),
        cmocka_unit_test(test_resize_goes_on_while_the_loop_is_busy),
        cmocka_unit_test(test_resize_up_reports_a_refusal),
        cmocka_unit_test(test_resize_down_takes_one_after_another),
        cmocka_unit_test(test_resize_down_tries_another_dimm),
        cmocka_unit_test(test_resize_down_takes_its_own_first),
        cmocka_unit_test(test_resize_down_that_nobody_allows_fails),
        cmocka_unit_test(test_resize_cancel_keeps_what_is_there),
        cmocka_unit_test(test_resize_before_the_guest_runs),
        cmocka_unit_test(test_resize_that_cannot_map_leaves_nothing),
        cmocka_unit_test(test_resize_events_of_a_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
