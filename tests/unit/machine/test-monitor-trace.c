/* SPDX-License-Identifier: MIT */
/* Tracing a machine: its commands, and what a DIMM's life looks like. */
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include "support/monitor-fixture.h"
#include "tessera/util/trace-control.h"

#define OPTIONS "-S -m 256M,slots=3,maxmem=1G"

enum { PLUG = 1, EJECT = 3, IN_PROGRESS = 0x84, BUSY = 0x82 };

static char *path;

static int set_up(void **state)
{
    g_autofree char *dir = g_dir_make_tmp("tessera-trace-XXXXXX", NULL);

    path = g_build_filename(dir, "trace", NULL);
    assert_true(trace_set_file(path, NULL));
    *state = monitor_fixture_new(OPTIONS);
    return 0;
}

static int tear_down(void **state)
{
    g_autofree char *dir = g_path_get_dirname(path);

    monitor_fixture_free(*state);
    trace_close();
    g_unlink(path);
    g_rmdir(dir);
    g_clear_pointer(&path, g_free);
    return 0;
}

/* --- Commands --- */

static void test_trace_event_switches(void **state)
{
    MonitorFixture *f = *state;

    assert_string_equal(monitor_fixture_hmp(f, "trace-event vcpu_exit on"), "");
    assert_true(trace_is_on(TRACE_vcpu_exit));
    assert_false(trace_is_on(TRACE_vcpu_enter));
    monitor_fixture_hmp(f, "trace-event commit_* on");
    assert_true(trace_is_on(TRACE_commit_begin) && trace_is_on(TRACE_commit_end));
    monitor_fixture_qmp(f, "trace-event-set-state", "{\"name\": \"*\", \"enable\": false}");
    assert_false(trace_is_on(TRACE_vcpu_exit) || trace_is_on(TRACE_commit_begin));
    monitor_fixture_qmp(f, "trace-event-set-state",
                        "{\"name\": \"kvm_slot\", \"enable\": true, \"ignore-unavailable\": true}");
    assert_true(trace_is_on(TRACE_kvm_slot));
}

static void test_trace_event_refuses_what_is_none(void **state)
{
    MonitorFixture *f = *state;

    assert_text_has(monitor_fixture_hmp_error(f, "trace-event vcpu_exot on"), "'vcpu_exit'");
    assert_text_has(monitor_fixture_hmp_error(f, "trace-event nothing* off"), "'nothing*'");
    assert_text_has(monitor_fixture_hmp_error(f, "trace-event vcpu_exit maybe"), "maybe");
    assert_text_has(monitor_fixture_hmp_error(f, "info trace-events dim_plug"), "'dimm_plug'");
    assert_text_has(monitor_fixture_qmp_error(f, "trace-event-set-state", "{\"name\": \"x\"}"),
                    "enable");
    assert_text_has(monitor_fixture_qmp_error(f, "trace-event-get-state", "{\"name\": \"x\"}"),
                    "'x'");
}

static void test_info_trace_events(void **state)
{
    MonitorFixture *f = *state;
    json_t *list;

    monitor_fixture_hmp(f, "trace-event dimm_plug on");
    assert_string_equal(monitor_fixture_hmp(f, "info trace-events dimm_p*"),
                        "dimm_plug : state 1\n");
    assert_text_has(monitor_fixture_hmp(f, "info trace-events"), "\nkvm_slot : state 0\n");
    list = monitor_fixture_qmp(f, "trace-event-get-state", "{\"name\": \"dimm_plug\"}");
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "name")),
                        "dimm_plug");
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "state")),
                        "enabled");
    assert_true(json_is_false(json_object_get(json_array_get(list, 0), "vcpu")));
    list = monitor_fixture_qmp(f, "trace-event-get-state", "{\"name\": \"*\"}");
    assert_int_equal(json_array_size(list), TRACE_EVENT_COUNT);
    trace_states[TRACE_commit_end].each.probes = 1; /* as the kernel does for a tracer */
    assert_string_equal(monitor_fixture_hmp(f, "info trace-events commit_end"),
                        "commit_end : state 0 (a probe is attached)\n");
    trace_states[TRACE_commit_end].each.probes = 0;
}

static void test_completion_knows_events(void **state)
{
    MonitorFixture *f = *state;
    g_autoptr(GPtrArray) words = hmp_complete(&f->mon, "trace-event vcpu_ex");

    g_ptr_array_set_free_func(words, g_free);
    assert_int_equal(words->len, 1);
    assert_string_equal(g_strstrip(words->pdata[0]), "vcpu_exit");
}

/* --- A DIMM's life --- */

/*
 * The trace so far, without what vCPUs do; of each line the event and those of its fields that are
 * the same at each run.
 */
static char **events(void)
{
    g_autoptr(GRegex) varying = g_regex_new(
        " (host=\\S+|(views|ranges|nodes_built|nodes_shared|calls|pause_us|us)=[0-9]+)", 0, 0,
        NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    GPtrArray *found = g_ptr_array_new();

    trace_flush();
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line && **line; line++) {
        const char *event = strstr(*line, "] main: ");

        if (event && !strstr(event, ": vcpu_")) {
            g_ptr_array_add(found, g_regex_replace_literal(varying, event + strlen("] main: "), -1,
                                                           0, "", 0, NULL));
        }
    }
    g_ptr_array_add(found, NULL);
    return (char **)g_ptr_array_free(found, FALSE);
}

/* Each line, and no other, @from which one on. Returns: how many there are */
static unsigned assert_events(unsigned from, const char *const *wanted)
{
    g_auto(GStrv) got = events();
    unsigned n = g_strv_length(got);

    assert_in_range(from, 0, n);
    for (unsigned i = 0; got[from + i] || wanted[i]; i++) {
        if (g_strcmp0(got[from + i], wanted[i]) != 0) {
            fail_msg("event %u is '%s', not '%s'", i, got[from + i] ? got[from + i] : "missing",
                     wanted[i] ? wanted[i] : "missing");
        }
        if (!got[from + i]) {
            break;
        }
    }
    return n;
}

static void test_dimm_comes_and_goes(void **state)
{
    static const char *const plug[] = {
        "monitor_command_end command=\"trace-event\" ok=1 error=\"\"",
        "monitor_command_begin command=\"device_add\" monitor=hmp",
        "commit_begin cause=\"device_add d1\"",
        "kvm_slot slot=3 address=0x100000000 size=0x8000000 flags=0x0 result=0 region=\"d1\"",
        "commit_end cause=\"device_add d1\" ok=1 ioctls=1 pauses=0",
        "dimm_plug id=\"d1\" slot=0 address=0x100000000 size=0x8000000 hot=1",
        "monitor_command_end command=\"device_add\" ok=1 error=\"\"",
        NULL,
    };
    static const char *const took[] = {
        "dimm_ost slot=0 event=0x1 status=0x0",
        "monitor_event event=\"ACPI_DEVICE_OST\"",
        "dimm_state id=\"d1\" state=plugged reason=\"\"",
        "monitor_event event=\"X_MEMORY_DEVICE_STATE\"",
        NULL,
    };
    static const char *const unplug[] = {
        "monitor_command_begin command=\"device_del\" monitor=hmp",
        "dimm_unplug_request id=\"d1\" slot=0",
        "dimm_state id=\"d1\" state=requested reason=\"\"",
        "monitor_event event=\"X_MEMORY_DEVICE_STATE\"",
        "monitor_command_end command=\"device_del\" ok=1 error=\"\"",
        "dimm_ost slot=0 event=0x3 status=0x84",
        "monitor_event event=\"ACPI_DEVICE_OST\"",
        "dimm_state id=\"d1\" state=guest-offlining reason=\"\"",
        "monitor_event event=\"X_MEMORY_DEVICE_STATE\"",
        "dimm_eject_begin slot=0",
        "commit_begin cause=\"guest eject of slot 0\"",
        "kvm_slot slot=3 address=0x100000000 size=0x0 flags=0x0 result=0 region=\"d1\"",
        "commit_end cause=\"guest eject of slot 0\" ok=1 ioctls=1 pauses=0",
        "dimm_eject_end slot=0 ok=1",
        "dimm_remove id=\"d1\" slot=0 reason=\"the guest has given the memory back\"",
        "monitor_event event=\"X_MEMORY_DEVICE_STATE\"",
        "monitor_event event=\"DEVICE_DELETED\"",
        NULL,
    };
    MonitorFixture *f = *state;
    unsigned n;

    monitor_fixture_hmp(f, "cont");
    monitor_fixture_hmp(f, "object_add memory-backend-ram,id=m1,size=128M");
    monitor_fixture_hmp(f, "trace-event * on");
    monitor_fixture_hmp(f, "device_add pc-dimm,id=d1,memdev=m1");
    n = assert_events(0, plug);
    monitor_fixture_guest_ost(f, 0, PLUG, 0);
    n = assert_events(n, took);
    monitor_fixture_hmp(f, "device_del d1");
    monitor_fixture_guest_ost(f, 0, EJECT, IN_PROGRESS);
    monitor_fixture_guest_eject(f, 0);
    assert_events(n, unplug);
}

/* KVM has no slot left: the command, the commit and the ioctl say so, and nothing is plugged. */
static void test_plug_that_fails(void **state)
{
    static const char *const wanted[] = {
        "monitor_command_begin command=\"device_add\" monitor=hmp",
        "commit_begin cause=\"device_add d1\"",
        "kvm_slot slot=3 address=0x100000000 size=0x8000000 flags=0x0 result=-12 region=\"d1\"",
        "commit_end cause=\"device_add d1\" ok=0 ioctls=1 pauses=0",
        NULL,
    };
    MonitorFixture *f = *state;
    g_auto(GStrv) got = NULL;
    unsigned i;

    monitor_fixture_hmp(f, "object_add memory-backend-ram,id=m1,size=128M");
    trace_set("*", true, NULL);
    model_kvm_fail_request(KVM_SET_USER_MEMORY_REGION);
    model_kvm_fail_nth(1, ENOMEM, false);
    assert_text_has(monitor_fixture_hmp_error(f, "device_add pc-dimm,id=d1,memdev=m1"),
                    "Cannot allocate memory");
    got = events();
    for (i = 0; wanted[i]; i++) {
        assert_string_equal(got[i], wanted[i]);
    }
    assert_true(g_str_has_prefix(
        got[i], "monitor_command_end command=\"device_add\" ok=0 error=\"pc-dimm 'd1': "));
    assert_null(got[i + 1]);
}

static void test_reset_and_states(void **state)
{
    static const char *const wanted[] = {
        "machine_state state=running",
        "machine_state state=paused",
        "machine_reset_begin cause=\"asked for from outside\"",
        "machine_reset_end ok=1",
        NULL,
    };
    MonitorFixture *f = *state;

    trace_set("machine_*", true, NULL);
    monitor_fixture_hmp(f, "cont");
    monitor_fixture_hmp(f, "stop");
    monitor_fixture_hmp(f, "system_reset");
    assert_events(0, wanted);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_trace_event_switches),
        TEST(test_trace_event_refuses_what_is_none),
        TEST(test_info_trace_events),
        TEST(test_completion_knows_events),
        TEST(test_dimm_comes_and_goes),
        TEST(test_plug_that_fails),
        TEST(test_reset_and_states),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
