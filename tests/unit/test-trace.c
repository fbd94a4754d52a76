/* SPDX-License-Identifier: MIT */
/* Tracing: the list of events, switching, text, Trace Event Format. */
#include <glib/gstdio.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/util/trace-internal.h"
#include "support/trace-fixture.h"
#include "tessera/util/error.h"
#include "tessera/util/trace-control.h"

static bool has_rings(void)
{
    g_autoptr(GPtrArray) rings = g_ptr_array_new();

    trace_rings_snapshot(rings);
    return rings->len > 0;
}

/* --- The list --- */

static bool has_field(const TraceEventInfo *info, const char *name)
{
    for (unsigned i = 0; i < info->n_fields; i++) {
        if (strcmp(info->fields[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void test_list_is_consistent(void **state)
{
    for (unsigned i = 0; i < TRACE_EVENT_COUNT; i++) {
        const TraceEventInfo *info = &trace_table[i];
        const TraceEventInfo *opened = &trace_table[info->opened];

        assert_string_equal(trace_event_name(i), info->name);
        assert_true(strlen(info->doc) > 10);
        assert_in_range(info->n_fields, 1, TRACE_FIELDS_MAX);
        assert_int_equal(info->shape == TRACE_SHAPE_END, info->opened != i);
        assert_true(info->shape != TRACE_SHAPE_END || opened->shape == TRACE_SHAPE_BEGIN);
        assert_true(info->shape != TRACE_SHAPE_COMPLETE || has_field(info, "ns"));
        for (unsigned other = 0; other < i; other++) {
            assert_string_not_equal(info->name, trace_table[other].name);
        }
    }
}

static void test_list_gives_help(void **state)
{
    g_autofree char *help = trace_help();

    for (unsigned i = 0; i < TRACE_EVENT_COUNT; i++) {
        g_autofree char *name = g_strdup_printf("\n  %s(", trace_table[i].name);

        assert_non_null(strstr(help, name));
        assert_non_null(strstr(help, trace_table[i].doc));
    }
    assert_non_null(strstr(help, "\n  vcpu_wait_begin(cpu, hold)\n      a vCPU is held"));
}

static void test_states_of_an_exit_are_tested_together(void **state)
{
    static const TraceEvent exits[] = { TRACE_vcpu_exit, TRACE_vcpu_enter, TRACE_memory_dispatch,
                                        TRACE_coalesced_drain };

    assert_int_equal((uintptr_t)trace_states % 16, 0);
    assert_false(trace_exits_on());
    for (size_t i = 0; i < G_N_ELEMENTS(exits); i++) {
        trace_states[exits[i]].each.on = 1;
        assert_true(trace_exits_on());
        trace_states[exits[i]].each.on = 0;
        trace_states[exits[i]].each.probes = 1; /* what the kernel does for a tracer */
        assert_true(trace_exits_on());
        trace_states[exits[i]].each.probes = 0;
    }
    trace_states[TRACE_vcpu_wait_begin].each.on = 1;
    assert_false(trace_exits_on());
    trace_states[TRACE_vcpu_wait_begin].each.on = 0;
}

/* --- On and off --- */

static int evaluated;

static uint32_t evaluate(void)
{
    evaluated++;
    return 7;
}

static void test_trace_event_off_does_nothing(void **state)
{
    evaluated = 0;
    trace_event(vcpu_enter, .cpu = evaluate());
    assert_int_equal(evaluated, 0);
    assert_false(has_rings());
}

static void test_trace_event_of_a_probe_alone_records_nothing(void **state)
{
    evaluated = 0;
    trace_states[TRACE_vcpu_enter].each.probes = 1;
    assert_true(trace_is_probed(TRACE_vcpu_enter));
    trace_event(vcpu_enter, .cpu = evaluate());
    trace_states[TRACE_vcpu_enter].each.probes = 0;
    assert_int_equal(evaluated, 1);
    assert_false(has_rings());
    assert_false(trace_is_on(TRACE_vcpu_enter));
}

static unsigned count_on(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < TRACE_EVENT_COUNT; i++) {
        n += trace_is_on(i);
    }
    return n;
}

static void test_trace_set_patterns(void **state)
{
    static const struct {
        const char *pattern;
        unsigned n;
    } cases[] = {
        { "vcpu_exit", 1 }, { "vcpu_*", 4 }, { "*", TRACE_EVENT_COUNT }, { "*_begin", 6 },
        { "kvm_slo?", 1 },
    };

    trace_fixture_begin(trace_text_path, "vcpu_exit");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        assert_true(trace_set("*", false, NULL));
        assert_int_equal(count_on(), 0);
        assert_true(trace_set(cases[i].pattern, true, NULL));
        assert_int_equal(count_on(), cases[i].n);
    }
    assert_true(trace_set("*", true, NULL));
    assert_true(trace_set("vcpu_*", false, NULL));
    assert_int_equal(count_on(), TRACE_EVENT_COUNT - 4);
}

static void test_trace_set_refuses_what_matches_nothing(void **state)
{
    static const struct {
        const char *pattern, *hint;
    } cases[] = {
        { "vcpu_exot", "'vcpu_exot' (did you mean 'vcpu_exit'?)" },
        { "commit_end_", "'commit_end'" },
        { "no_such_thing*", "'no_such_thing*'; '-trace help' lists them" },
        { "", "''" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        assert_false(trace_set(cases[i].pattern, true, &error));
        assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND));
        assert_non_null(strstr(error->message, cases[i].hint));
        assert_int_equal(count_on(), 0);
    }
}

static void test_trace_set_file_that_cannot_be(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_build_filename(trace_dir, "none", "trace", NULL);

    assert_false(trace_set_file(path, &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_SYSTEM));
    assert_non_null(strstr(error->message, path));
    assert_non_null(strstr(error->message, "No such file"));
}

/* --- Text --- */

static void test_text_has_every_kind_of_field(void **state)
{
    g_autofree char *text = NULL;

    trace_fixture_begin(trace_text_path, "*");
    trace_event(vcpu_exit, .cpu = 3, .reason = "IO", .address = 0x3f8, .size = 1, .count = 2,
                .write = true, .value = 0x41);
    trace_event(kvm_ioctl, .request = "KVM_CREATE_VM", .fd = 5, .result = -12, .ns = 1234);
    trace_event(dimm_state, .id = "d1", .reason = "busy: \"in use\"\n");
    trace_event(kvm_slot, .host = UINT64_MAX);
    text = trace_fixture_end_text();
    assert_true(g_regex_match_simple(
        "^\\[ +[0-9]+\\.[0-9]{9}\\] main: vcpu_exit cpu=3 reason=IO address=0x3f8 size=1 count=2 "
        "write=1 value=0x41\n"
        "\\[ +[0-9]+\\.[0-9]{9}\\] main: kvm_ioctl request=KVM_CREATE_VM fd=5 result=-12 ns=1234\n"
        "\\[.*\\] main: dimm_state id=\"d1\" state= reason=\"busy: \\\\\"in use\\\\\"\\\\x0a\"\n"
        "\\[.*\\] main: kvm_slot slot=0 address=0x0 size=0x0 flags=0x0 host=0xffffffffffffffff "
        "result=0 region=\"\"\n$",
        text, 0, 0));
}

static void test_text_only_of_what_is_on(void **state)
{
    g_autofree char *text = NULL;

    trace_fixture_begin(trace_text_path, "dimm_*");
    trace_event(machine_state, .state = "running");
    trace_event(dimm_ost, .slot = 1, .event = 3, .status = 0x84);
    assert_true(trace_set("dimm_*", false, NULL));
    trace_event(dimm_ost, .slot = 2, .event = 3, .status = 0x84);
    text = trace_fixture_end_text();
    assert_non_null(strstr(text, "main: dimm_ost slot=1 event=0x3 status=0x84\n"));
    assert_null(strstr(text, "slot=2"));
    assert_null(strstr(text, "machine_state"));
}

/* A text is cut where it still consists of whole characters. */
static void test_long_text_is_cut(void **state)
{
    g_autofree char *letters = g_strnfill(200, 'x');
    g_autoptr(GString) mixed = g_string_new("x");
    g_autofree char *text = NULL;
    g_autofree char *cut = g_strdup_printf("event=\"%.*s\"\n", TRACE_TEXT_MAX, letters);
    g_autofree char *whole = NULL;

    for (unsigned i = 0; i < 60; i++) {
        g_string_append(mixed, "\xc3\xa9"); /* é: an even number of bytes fits behind the x */
    }
    trace_fixture_begin(trace_text_path, "monitor_event");
    trace_event(monitor_event, .event = letters);
    trace_event(monitor_event, .event = mixed->str);
    g_string_append(mixed, "y");
    g_string_erase(mixed, 0, 1);
    trace_event(monitor_event, .event = mixed->str);
    text = trace_fixture_end_text();
    assert_non_null(strstr(text, cut));
    whole = g_strdup_printf("event=\"%.*s\"\n", TRACE_TEXT_MAX - 1, mixed->str);
    assert_non_null(strstr(text, whole));
    assert_null(strstr(text, "\\x"));
}

/* A terminal takes U+009B for a control sequence, and U+202E turns the rest of the line around. */
static void test_text_escapes_what_does_not_print(void **state)
{
    g_autofree char *text = NULL;

    trace_fixture_begin(trace_text_path, "monitor_event");
    trace_event(monitor_event, .event = "a\x1b[2J \xff \xc2\x9b" "2J \xe2\x80\xae \xc3\xa9");
    text = trace_fixture_end_text();
    assert_non_null(strstr(text, "event=\"a\\x1b[2J \\xff \\xc2\\x9b2J "
                                 "\\xe2\\x80\\xae \xc3\xa9\"\n"));
}

/* --- Trace Event Format --- */

static void test_json_has_names_times_and_arguments(void **state)
{
    json_t *list;
    const json_t *event, *args;

    trace_fixture_begin(trace_json_path, "*");
    trace_event(kvm_ioctl, .request = "KVM_CREATE_VM", .fd = 5, .result = -12, .ns = 2500);
    trace_event(dimm_plug, .id = "d1", .slot = 2, .address = 0x100000000, .size = 1 << 27,
                .hot = true);
    list = trace_fixture_end_json();
    event = trace_find_event(list, "thread_name", 0);
    assert_string_equal(trace_event_text(json_object_get(event, "args"), "name"), "main");
    assert_string_equal(trace_event_text(event, "ph"), "M");
    event = trace_find_event(list, "kvm_ioctl KVM_CREATE_VM", 0);
    assert_string_equal(trace_event_text(event, "ph"), "X");
    assert_string_equal(trace_event_text(event, "cat"), "kvm");
    assert_float_equal(json_real_value(json_object_get(event, "dur")), 2.5, 0.0001);
    assert_int_equal(json_integer_value(json_object_get(event, "tid")), gettid());
    assert_int_equal(trace_event_arg(event, "result"), -12);
    event = trace_find_event(list, "dimm_plug d1", 0);
    args = json_object_get(event, "args");
    assert_string_equal(trace_event_text(event, "ph"), "i");
    assert_string_equal(trace_event_text(event, "s"), "t");
    assert_string_equal(trace_event_text(args, "address"), "0x100000000");
    assert_int_equal(trace_event_arg(event, "slot"), 2);
    assert_true(json_is_true(json_object_get(args, "hot")));
    json_decref(list);
}

/* Whatever is in a string, each line stays JSON and says the same. */
static void test_json_escapes_strings(void **state)
{
    static const char *const texts[][2] = {
        { "a \"b\" \\ c", "a \"b\" \\ c" },
        { "line\nfeed\ttab\x01 \x7f", "line\nfeed\ttab\x01 \x7f" },
        { "\xc3\xa9\xf0\x9f\xa7\xa9", "\xc3\xa9\xf0\x9f\xa7\xa9" },
        { "bad\xff\xc3 end", "bad\xef\xbf\xbd\xef\xbf\xbd end" },
    };
    json_t *list;

    trace_fixture_begin(trace_json_path, "monitor_event");
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        trace_event(monitor_event, .event = texts[i][0]);
    }
    list = trace_fixture_end_json();
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autofree char *name = g_strconcat("monitor_event ", texts[i][1], NULL);
        const json_t *event = trace_find_event(list, name, 0);

        assert_non_null(event);
        assert_string_equal(trace_event_text(json_object_get(event, "args"), "event"), texts[i][1]);
    }
    json_decref(list);
}

static void test_json_spans_are_nested(void **state)
{
    json_t *list;
    const json_t *event;

    trace_fixture_begin(trace_json_path, "*");
    trace_event(vcpu_enter, .cpu = 0); /* the end of nothing that was seen */
    trace_event(commit_end, .cause = "before", .ok = true);
    trace_event(monitor_command_begin, .command = "device_add", .monitor = "qmp");
    trace_event(commit_begin, .cause = "device_add d1");
    trace_event(kvm_park_begin, .done = 1);
    trace_event(commit_end, .cause = "device_add d1", .ok = true, .ioctls = 3);
    trace_event(monitor_command_end, .command = "device_add", .ok = true);
    trace_event(machine_reset_begin, .cause = "it ends with the trace");
    list = trace_fixture_end_json();
    assert_trace_nested(list);
    assert_null(trace_find_event(list, "vcpu_exit", 0));
    assert_null(trace_find_event(list, "commit before", 0));
    event = trace_find_event(list, "commit device_add d1", 1);
    assert_string_equal(trace_event_text(event, "ph"), "E");
    assert_int_equal(trace_event_arg(event, "ioctls"), 3);
    event = trace_find_event(list, "kvm_park", 0);
    assert_string_equal(trace_event_text(event, "ph"), "B");
    event = trace_find_event(list, "kvm_park", 1);
    assert_string_equal(trace_event_text(event, "ph"), "E");
    assert_non_null(trace_find_event(list, "machine_reset it ends with the trace", 1));
    json_decref(list);
}

/* A file without its end: a process that was killed. The bracket is all that is missing. */
static void test_json_of_a_killed_process(void **state)
{
    g_autofree char *text = NULL;
    g_autofree char *whole = NULL;
    json_t *list;
    int status;
    pid_t child = fork();

    if (child == 0) {
        trace_fixture_begin(trace_json_path, "*");
        trace_event(machine_state, .state = "running");
        trace_event(commit_begin, .cause = "never ends");
        trace_flush();
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    text = trace_fixture_read(trace_json_path);
    assert_false(g_str_has_suffix(text, "]\n"));
    whole = g_strconcat(text, "\n]\n", NULL);
    list = trace_fixture_parse(whole);
    assert_non_null(trace_find_event(list, "machine_state running", 0));
    assert_non_null(trace_find_event(list, "commit never ends", 0));
    json_decref(list);
}

static void test_json_without_events(void **state)
{
    json_t *list;

    assert_true(trace_set_file(trace_json_path, NULL));
    list = trace_fixture_end_json();
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
}

int main(void)
{
#define TEST(name)                                                                               \
    cmocka_unit_test_setup_teardown(name, trace_fixture_setup, trace_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_list_is_consistent),
        TEST(test_list_gives_help),
        TEST(test_states_of_an_exit_are_tested_together),
        TEST(test_trace_event_off_does_nothing),
        TEST(test_trace_event_of_a_probe_alone_records_nothing),
        TEST(test_trace_set_patterns),
        TEST(test_trace_set_refuses_what_matches_nothing),
        TEST(test_trace_set_file_that_cannot_be),
        TEST(test_text_has_every_kind_of_field),
        TEST(test_text_only_of_what_is_on),
        TEST(test_long_text_is_cut),
        TEST(test_text_escapes_what_does_not_print),
        TEST(test_json_has_names_times_and_arguments),
        TEST(test_json_escapes_strings),
        TEST(test_json_spans_are_nested),
        TEST(test_json_of_a_killed_process),
        TEST(test_json_without_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
