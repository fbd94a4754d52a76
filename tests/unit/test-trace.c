/* SPDX-License-Identifier: MIT */
/* Tracing: the list of events, switching, rings, text, Trace Event Format, what goes wrong. */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/util/trace-internal.h"
#include "tessera/util/error.h"
#include "tessera/util/trace-control.h"

static char *dir, *text_path, *json_path;

static int set_up(void **state)
{
    dir = g_dir_make_tmp("tessera-trace-XXXXXX", NULL);
    text_path = g_build_filename(dir, "trace", NULL);
    json_path = g_build_filename(dir, "trace.json", NULL);
    return 0;
}

static int tear_down(void **state)
{
    trace_close();
    g_unlink(text_path);
    g_unlink(json_path);
    g_rmdir(dir);
    g_clear_pointer(&text_path, g_free);
    g_clear_pointer(&json_path, g_free);
    g_clear_pointer(&dir, g_free);
    return 0;
}

static void begin(const char *path, const char *pattern)
{
    g_autoptr(GError) error = NULL;

    if (!trace_set_file(path, &error) || !trace_set(pattern, true, &error)) {
        fail_msg("%s", error->message);
    }
}

static char *read_file(const char *path)
{
    char *text = NULL;

    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

/* The trace up to now as text; it ends. */
static char *end_text(void)
{
    trace_close();
    return read_file(text_path);
}

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *list = json_loads(text, JSON_REJECT_DUPLICATES, &error);

    if (!list) {
        fail_msg("line %d: %s in %s", error.line, error.text, text);
    }
    assert_true(json_is_array(list));
    return list;
}

static json_t *end_json(void)
{
    g_autofree char *text = NULL;

    trace_close();
    text = read_file(json_path);
    return parse(text);
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static json_int_t arg_int(const json_t *event, const char *key)
{
    return json_integer_value(json_object_get(json_object_get(event, "args"), key));
}

/* The @n-th event that is called @name, NULL: there are not so many. */
static const json_t *find(const json_t *list, const char *name, unsigned n)
{
    size_t i;
    json_t *event;

    json_array_foreach((json_t *)list, i, event) {
        if (strcmp(text_of(event, "name"), name) == 0 && n-- == 0) {
            return event;
        }
    }
    return NULL;
}

/* Each B has its E, on each thread, and time does not go back. */
static void assert_nested(const json_t *list)
{
    g_autoptr(GHashTable) depths = g_hash_table_new(NULL, NULL);
    GHashTableIter iter;
    gpointer depth;
    size_t i;
    json_t *event;

    json_array_foreach((json_t *)list, i, event) {
        gpointer tid = GINT_TO_POINTER((int)json_integer_value(json_object_get(event, "tid")));
        int now = GPOINTER_TO_INT(g_hash_table_lookup(depths, tid));

        now += strcmp(text_of(event, "ph"), "B") == 0;
        now -= strcmp(text_of(event, "ph"), "E") == 0;
        assert_true(now >= 0);
        g_hash_table_insert(depths, tid, GINT_TO_POINTER(now));
    }
    g_hash_table_iter_init(&iter, depths);
    while (g_hash_table_iter_next(&iter, NULL, &depth)) {
        assert_int_equal(GPOINTER_TO_INT(depth), 0);
    }
}

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

    begin(text_path, "vcpu_exit");
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
    g_autofree char *path = g_build_filename(dir, "none", "trace", NULL);

    assert_false(trace_set_file(path, &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_SYSTEM));
    assert_non_null(strstr(error->message, path));
    assert_non_null(strstr(error->message, "No such file"));
}

/* --- Text --- */

static void test_text_has_every_kind_of_field(void **state)
{
    g_autofree char *text = NULL;

    begin(text_path, "*");
    trace_event(vcpu_exit, .cpu = 3, .reason = "IO", .address = 0x3f8, .size = 1, .count = 2,
                .write = true, .value = 0x41);
    trace_event(kvm_ioctl, .request = "KVM_CREATE_VM", .fd = 5, .result = -12, .ns = 1234);
    trace_event(dimm_state, .id = "d1", .reason = "busy: \"in use\"\n");
    trace_event(kvm_slot, .host = UINT64_MAX);
    text = end_text();
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

    begin(text_path, "dimm_*");
    trace_event(machine_state, .state = "running");
    trace_event(dimm_ost, .slot = 1, .event = 3, .status = 0x84);
    assert_true(trace_set("dimm_*", false, NULL));
    trace_event(dimm_ost, .slot = 2, .event = 3, .status = 0x84);
    text = end_text();
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
    begin(text_path, "monitor_event");
    trace_event(monitor_event, .event = letters);
    trace_event(monitor_event, .event = mixed->str);
    g_string_append(mixed, "y");
    g_string_erase(mixed, 0, 1);
    trace_event(monitor_event, .event = mixed->str);
    text = end_text();
    assert_non_null(strstr(text, cut));
    whole = g_strdup_printf("event=\"%.*s\"\n", TRACE_TEXT_MAX - 1, mixed->str);
    assert_non_null(strstr(text, whole));
    assert_null(strstr(text, "\\x"));
}

/* --- Trace Event Format --- */

static void test_json_has_names_times_and_arguments(void **state)
{
    json_t *list;
    const json_t *event, *args;

    begin(json_path, "*");
    trace_event(kvm_ioctl, .request = "KVM_CREATE_VM", .fd = 5, .result = -12, .ns = 2500);
    trace_event(dimm_plug, .id = "d1", .slot = 2, .address = 0x100000000, .size = 1 << 27,
                .hot = true);
    list = end_json();
    event = find(list, "thread_name", 0);
    assert_string_equal(text_of(json_object_get(event, "args"), "name"), "main");
    assert_string_equal(text_of(event, "ph"), "M");
    event = find(list, "kvm_ioctl KVM_CREATE_VM", 0);
    assert_string_equal(text_of(event, "ph"), "X");
    assert_string_equal(text_of(event, "cat"), "kvm");
    assert_float_equal(json_real_value(json_object_get(event, "dur")), 2.5, 0.0001);
    assert_int_equal(json_integer_value(json_object_get(event, "tid")), gettid());
    assert_int_equal(arg_int(event, "result"), -12);
    event = find(list, "dimm_plug d1", 0);
    args = json_object_get(event, "args");
    assert_string_equal(text_of(event, "ph"), "i");
    assert_string_equal(text_of(event, "s"), "t");
    assert_string_equal(text_of(args, "address"), "0x100000000");
    assert_int_equal(arg_int(event, "slot"), 2);
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

    begin(json_path, "monitor_event");
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        trace_event(monitor_event, .event = texts[i][0]);
    }
    list = end_json();
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autofree char *name = g_strconcat("monitor_event ", texts[i][1], NULL);
        const json_t *event = find(list, name, 0);

        assert_non_null(event);
        assert_string_equal(text_of(json_object_get(event, "args"), "event"), texts[i][1]);
    }
    json_decref(list);
}

static void test_json_spans_are_nested(void **state)
{
    json_t *list;
    const json_t *event;

    begin(json_path, "*");
    trace_event(vcpu_enter, .cpu = 0); /* the end of nothing that was seen */
    trace_event(commit_end, .cause = "before", .ok = true);
    trace_event(monitor_command_begin, .command = "device_add", .monitor = "qmp");
    trace_event(commit_begin, .cause = "device_add d1");
    trace_event(kvm_park_begin, .done = 1);
    trace_event(commit_end, .cause = "device_add d1", .ok = true, .ioctls = 3);
    trace_event(monitor_command_end, .command = "device_add", .ok = true);
    trace_event(machine_reset_begin, .cause = "it ends with the trace");
    list = end_json();
    assert_nested(list);
    assert_null(find(list, "vcpu_exit", 0));
    event = find(list, "commit", 0);
    assert_int_equal(arg_int(event, "ioctls"), 3);
    assert_null(find(list, "commit", 1));
    event = find(list, "kvm_park", 0);
    assert_string_equal(text_of(event, "ph"), "B");
    event = find(list, "kvm_park", 1);
    assert_string_equal(text_of(event, "ph"), "E");
    assert_non_null(find(list, "machine_reset", 0));
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
        begin(json_path, "*");
        trace_event(machine_state, .state = "running");
        trace_event(commit_begin, .cause = "never ends");
        trace_flush();
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    text = read_file(json_path);
    assert_false(g_str_has_suffix(text, "]\n"));
    whole = g_strconcat(text, "\n]\n", NULL);
    list = parse(whole);
    assert_non_null(find(list, "machine_state running", 0));
    assert_non_null(find(list, "commit never ends", 0));
    json_decref(list);
}

static void test_json_without_events(void **state)
{
    json_t *list;

    assert_true(trace_set_file(json_path, NULL));
    list = end_json();
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
}

/* --- Rings --- */

static void test_ring_goes_round(void **state)
{
    const unsigned n = 3 * TRACE_RING_BYTES / 32; /* several times round */
    g_autofree char *text = NULL;
    const char *p;

    begin(text_path, "*");
    for (unsigned i = 0; i < n; i++) {
        if (i % 3 == 0) {
            trace_event(monitor_event, .event = &"abcdefghijklmnopqrstuvwxyz"[i / 3 % 20]);
        }
        trace_event(dimm_ost, .slot = i, .event = i, .status = i);
        if (i % 512 == 0) {
            trace_flush();
        }
    }
    text = end_text();
    p = text;
    for (unsigned i = 0; i < n; i++) {
        g_autofree char *wanted = g_strdup_printf("slot=%u event=0x%x status=0x%x\n", i, i, i);

        p = strstr(p, "dimm_ost ");
        assert_non_null(p);
        p += strlen("dimm_ost ");
        assert_memory_equal(p, wanted, strlen(wanted));
    }
    assert_null(strstr(text, "trace_lost"));
}

static void *read_all(void *opaque)
{
    GString *text = g_string_new(NULL);
    char buf[65536];
    ssize_t n;

    while ((n = read(GPOINTER_TO_INT(opaque), buf, sizeof(buf))) > 0) {
        g_string_append_len(text, buf, n);
    }
    return text;
}

/* Nobody reads the pipe: the writer waits in write(), and the ring fills up. */
static void test_lost_events_are_counted(void **state)
{
    const unsigned n = 40000;
    unsigned written = 0, lost = 0;
    json_int_t next = 0;
    pthread_t reader;
    void *ret;
    GString *text;
    json_t *list, *event;
    size_t i;
    int fd;

    assert_int_equal(mkfifo(json_path, 0600), 0);
    fd = open(json_path, O_RDONLY | O_NONBLOCK);
    assert_true(fd >= 0);
    begin(json_path, "*");
    for (unsigned e = 0; e < n; e++) {
        trace_event(dimm_ost, .slot = e);
    }
    assert_true(trace_rings_lost() > 0);
    fcntl(fd, F_SETFL, 0);
    assert_int_equal(pthread_create(&reader, NULL, read_all, GINT_TO_POINTER(fd)), 0);
    trace_flush();
    trace_event(dimm_ost, .slot = n);
    trace_close();
    pthread_join(reader, &ret);
    close(fd);
    text = ret;
    list = parse(text->str);
    json_array_foreach(list, i, event) {
        if (strcmp(text_of(event, "name"), "dimm_ost") == 0) {
            assert_int_equal(arg_int(event, "slot"), next);
            next++;
            written++;
        } else if (strcmp(text_of(event, "name"), "trace_lost") == 0) {
            lost += arg_int(event, "count");
            next += arg_int(event, "count");
        }
    }
    assert_true(lost > 0);
    assert_int_equal(written + lost, n + 1);
    json_decref(list);
    g_string_free(text, TRUE);
}

/* What begins and ends where events are missing is not known: the spans end there. */
static void test_lost_events_end_spans(void **state)
{
    json_t *list;

    begin(json_path, "*");
    trace_event(commit_begin, .cause = "its end is lost");
    trace_event(trace_lost, .count = 2);
    trace_event(commit_begin, .cause = "another");
    trace_event(commit_end, .cause = "another");
    list = end_json();
    assert_nested(list);
    assert_int_equal(arg_int(find(list, "trace_lost", 0), "count"), 2);
    json_decref(list);
}

#define THREADS       4
#define THREAD_EVENTS 20000u

static void *record_many(void *opaque)
{
    unsigned number = GPOINTER_TO_UINT(opaque);
    g_autofree char *name = g_strdup_printf("test%u", number);

    pthread_setname_np(pthread_self(), name);
    for (unsigned i = 0; i < THREAD_EVENTS; i++) {
        if (i % 2 == 0) {
            trace_event(commit_begin, .cause = name);
        } else {
            trace_event(commit_end, .cause = name, .ok = true, .views = i);
        }
    }
    return NULL;
}

/* Threads record, end, and give back their rings, while the writer writes and others switch. */
static void test_threads_at_once(void **state)
{
    pthread_t threads[THREADS];
    json_int_t last[THREADS] = { 0 };
    json_t *list, *event;
    size_t i;

    begin(json_path, "*");
    for (unsigned t = 0; t < THREADS; t++) {
        assert_int_equal(pthread_create(&threads[t], NULL, record_many, GUINT_TO_POINTER(t)), 0);
    }
    for (unsigned n = 0; n < 50; n++) {
        assert_true(trace_set("vcpu_*", n % 2, NULL));
        trace_event(vcpu_enter, .cpu = n);
        trace_flush();
    }
    for (unsigned t = 0; t < THREADS; t++) {
        pthread_join(threads[t], NULL);
    }
    list = end_json();
    assert_nested(list);
    json_array_foreach(list, i, event) {
        const char *cause = text_of(json_object_get(event, "args"), "cause");

        if (cause && strcmp(text_of(event, "ph"), "E") == 0) {
            unsigned t = (unsigned)atoi(cause + strlen("test"));

            assert_true(t < THREADS && arg_int(event, "views") > last[t]);
            last[t] = arg_int(event, "views");
        }
    }
    for (unsigned t = 0; t < THREADS; t++) {
        assert_true(last[t] > 0);
    }
    json_decref(list);
}

static void *record_one(void *opaque)
{
    trace_event(machine_state, .state = "second");
    trace_event(commit_begin, .cause = "ends with its thread");
    return NULL;
}

/* By time, whatever ring they were in; and a thread that has ended leaves no ring. */
static void test_text_is_in_order_of_time(void **state)
{
    g_autoptr(GPtrArray) rings = g_ptr_array_new();
    g_autofree char *text = NULL;
    pthread_t thread;

    begin(text_path, "*");
    trace_event(machine_state, .state = "first");
    assert_int_equal(pthread_create(&thread, NULL, record_one, NULL), 0);
    pthread_join(thread, NULL);
    trace_event(machine_state, .state = "third");
    trace_flush();
    trace_flush(); /* the one before has emptied the ring */
    trace_rings_snapshot(rings);
    assert_int_equal(rings->len, 1);
    text = end_text();
    assert_true(g_regex_match_simple("state=first\n.*state=second\n.*state=third\n", text,
                                     G_REGEX_DOTALL, 0));
}

static void test_span_ends_with_its_thread(void **state)
{
    pthread_t thread;
    json_t *list;

    begin(json_path, "*");
    assert_int_equal(pthread_create(&thread, NULL, record_one, NULL), 0);
    pthread_join(thread, NULL);
    list = end_json();
    assert_nested(list);
    assert_non_null(find(list, "commit ends with its thread", 0));
    json_decref(list);
}

/* --- What goes wrong --- */

static void test_full_disk_ends_the_trace(void **state)
{
    g_autoptr(GError) error = NULL;

    begin("/dev/full", "*");
    trace_event(machine_state, .state = "running");
    trace_flush();
    assert_int_equal(count_on(), 0);
    assert_false(trace_set("*", true, &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT));
    assert_non_null(strstr(error->message, "/dev/full"));
    trace_close();
    begin(text_path, "*"); /* another file, after the end of that one */
    trace_event(machine_state, .state = "running");
}

/* In the middle of a line there is no room any more: the file ends with the line before it. */
static void test_full_disk_leaves_a_whole_file(void **state)
{
    struct rlimit limit = { 3000, RLIM_INFINITY }, before;
    g_autofree char *text = NULL;
    struct stat st;
    json_t *list;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    begin(json_path, "*");
    trace_event(machine_state, .state = "running");
    trace_flush();
    for (unsigned i = 0; i < 100; i++) {
        trace_event(dimm_ost, .slot = i);
    }
    trace_flush();
    assert_int_equal(count_on(), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(g_stat(json_path, &st), 0);
    assert_true(st.st_size < 3000);
    text = read_file(json_path);
    list = parse(text);
    assert_non_null(find(list, "machine_state running", 0));
    assert_non_null(find(list, "dimm_ost", 5)); /* what had room is kept */
    json_decref(list);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
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
        TEST(test_json_has_names_times_and_arguments),
        TEST(test_json_escapes_strings),
        TEST(test_json_spans_are_nested),
        TEST(test_json_of_a_killed_process),
        TEST(test_json_without_events),
        TEST(test_ring_goes_round),
        TEST(test_lost_events_are_counted),
        TEST(test_lost_events_end_spans),
        TEST(test_threads_at_once),
        TEST(test_text_is_in_order_of_time),
        TEST(test_span_ends_with_its_thread),
        TEST(test_full_disk_ends_the_trace),
        TEST(test_full_disk_leaves_a_whole_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
