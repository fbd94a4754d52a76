/* SPDX-License-Identifier: MIT */
/* Tracing: rings, threads at once, files that cannot be written. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/util/trace-internal.h"
#include "support/trace-fixture.h"
#include "tessera/util/error.h"
#include "tessera/util/trace-control.h"

static unsigned count_on(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < TRACE_EVENT_COUNT; i++) {
        n += trace_is_on(i);
    }
    return n;
}

/* --- Rings --- */

static void test_ring_goes_round(void **state)
{
    const unsigned n = 3 * TRACE_RING_BYTES / 32; /* several times round */
    g_autofree char *text = NULL;
    const char *p;

    trace_fixture_begin(trace_text_path, "*");
    for (unsigned i = 0; i < n; i++) {
        if (i % 3 == 0) {
            trace_event(monitor_event, .event = &"abcdefghijklmnopqrstuvwxyz"[i / 3 % 20]);
        }
        trace_event(dimm_ost, .slot = i, .event = i, .status = i);
        if (i % 512 == 0) {
            trace_flush();
        }
    }
    text = trace_fixture_end_text();
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

    assert_int_equal(mkfifo(trace_json_path, 0600), 0);
    fd = open(trace_json_path, O_RDONLY | O_NONBLOCK);
    assert_true(fd >= 0);
    trace_fixture_begin(trace_json_path, "*");
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
    list = trace_fixture_parse(text->str);
    json_array_foreach(list, i, event) {
        if (strcmp(trace_event_text(event, "name"), "dimm_ost") == 0) {
            assert_int_equal(trace_event_arg(event, "slot"), next);
            next++;
            written++;
        } else if (strcmp(trace_event_text(event, "name"), "trace_lost") == 0) {
            lost += trace_event_arg(event, "count");
            next += trace_event_arg(event, "count");
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
    const json_t *lost, *end;

    trace_fixture_begin(trace_json_path, "*");
    trace_event(commit_begin, .cause = "its end is lost");
    trace_event(trace_lost, .count = 2);
    trace_event(commit_begin, .cause = "another");
    trace_event(commit_end, .cause = "another");
    list = trace_fixture_end_json();
    assert_trace_nested(list);
    lost = trace_find_event(list, "trace_lost", 0);
    assert_int_equal(trace_event_arg(lost, "count"), 2);
    end = trace_find_event(list, "commit its end is lost", 1);
    assert_true(json_equal(json_object_get(end, "ts"), json_object_get(lost, "ts")));
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

    trace_fixture_begin(trace_json_path, "*");
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
    list = trace_fixture_end_json();
    assert_trace_nested(list);
    json_array_foreach(list, i, event) {
        const char *cause = trace_event_text(json_object_get(event, "args"), "cause");

        if (cause && strcmp(trace_event_text(event, "ph"), "E") == 0) {
            unsigned t = (unsigned)atoi(cause + strlen("test"));

            assert_true(t < THREADS && trace_event_arg(event, "views") > last[t]);
            last[t] = trace_event_arg(event, "views");
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

    trace_fixture_begin(trace_text_path, "*");
    trace_event(machine_state, .state = "first");
    assert_int_equal(pthread_create(&thread, NULL, record_one, NULL), 0);
    pthread_join(thread, NULL);
    trace_event(machine_state, .state = "third");
    trace_flush();
    trace_flush(); /* the one before has emptied the ring */
    trace_rings_snapshot(rings);
    assert_int_equal(rings->len, 1);
    text = trace_fixture_end_text();
    assert_true(g_regex_match_simple("state=first\n.*state=second\n.*state=third\n", text,
                                     G_REGEX_DOTALL, 0));
}

static void *record_until_told(void *opaque)
{
    atomic_bool *stop = opaque;

    while (!atomic_load(stop)) {
        trace_event(vcpu_exit, .cpu = 1, .reason = "IO");
        trace_event(vcpu_enter, .cpu = 1);
    }
    return NULL;
}

/* As a monitor does it while vCPUs exit; the thread sanitizer looks on. */
static void test_switching_while_a_thread_records(void **state)
{
    g_autoptr(GError) error = NULL;
    atomic_bool stop = false;
    pthread_t thread;
    json_t *list;

    trace_fixture_begin(trace_json_path, "*");
    assert_int_equal(pthread_create(&thread, NULL, record_until_told, &stop), 0);
    for (unsigned i = 0; i < 200; i++) {
        assert_true(trace_set(i % 3 ? "vcpu_enter" : "*", i % 2, &error));
        trace_flush();
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    list = trace_fixture_end_json();
    assert_trace_nested(list);
    json_decref(list);
}

static void test_span_ends_with_its_thread(void **state)
{
    pthread_t thread;
    json_t *list;

    trace_fixture_begin(trace_json_path, "*");
    assert_int_equal(pthread_create(&thread, NULL, record_one, NULL), 0);
    pthread_join(thread, NULL);
    list = trace_fixture_end_json();
    assert_trace_nested(list);
    assert_non_null(trace_find_event(list, "commit ends with its thread", 0));
    json_decref(list);
}

/* --- What goes wrong --- */

static void test_full_disk_ends_the_trace(void **state)
{
    g_autoptr(GError) error = NULL;

    trace_fixture_begin("/dev/full", "*");
    trace_event(machine_state, .state = "running");
    trace_flush();
    assert_int_equal(count_on(), 0);
    assert_false(trace_set("*", true, &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT));
    assert_non_null(strstr(error->message, "/dev/full"));
    trace_close();
    trace_fixture_begin(trace_text_path, "*"); /* another file, after the end of that one */
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
    trace_fixture_begin(trace_json_path, "*");
    trace_event(machine_state, .state = "running");
    trace_flush();
    for (unsigned i = 0; i < 100; i++) {
        trace_event(dimm_ost, .slot = i);
    }
    trace_flush();
    assert_int_equal(count_on(), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(g_stat(trace_json_path, &st), 0);
    assert_true(st.st_size < 3000);
    text = trace_fixture_read(trace_json_path);
    list = trace_fixture_parse(text);
    assert_non_null(trace_find_event(list, "machine_state running", 0));
    assert_non_null(trace_find_event(list, "dimm_ost", 5)); /* what had room is kept */
    json_decref(list);
}

/* --- Pipes --- */

/* At trace_text_path, with room for one page. Returns: its reading end */
static int make_pipe(void)
{
    int fd;

    assert_int_equal(mkfifo(trace_text_path, 0600), 0);
    fd = open(trace_text_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_SETPIPE_SZ, 4096) >= 0);
    return fd;
}

static void test_pipe_without_reader_is_refused(void **state)
{
    g_autoptr(GError) error = NULL;

    close(make_pipe());
    assert_false(trace_set_file(trace_text_path, &error));
    assert_non_null(strstr(error->message, trace_text_path));
    assert_non_null(strstr(error->message, "start the reader"));
}

/* Events are lost then; the end comes all the same, and so does that of the program. */
static void test_end_does_not_hang_on_a_full_pipe(void **state)
{
    static const char line[] = "dimm_ost slot=0 event=0x0 status=0x0\n";
    char text[8192];
    int fd = make_pipe();
    ssize_t n;

    trace_fixture_begin(trace_text_path, "*");
    for (unsigned i = 0; i < 3 * TRACE_RING_BYTES / 32; i++) {
        trace_event(dimm_ost, .slot = 0);
    }
    trace_close();
    n = read(fd, text, sizeof(text) - 1);
    assert_true(n > 0);
    text[n] = '\0';
    assert_non_null(strstr(text, line)); /* what had room is there */
    close(fd);
}

static void *read_slowly(void *opaque)
{
    GString *text = g_string_new(NULL);
    int *fd = opaque;
    char part[100];
    ssize_t n;

    while ((n = read(*fd, part, sizeof(part))) > 0) {
        g_string_append_len(text, part, n);
        sched_yield();
    }
    return text;
}

static void test_slow_reader_gets_all_of_it(void **state)
{
    const unsigned n = 2000;
    int fd = make_pipe();
    pthread_t thread;
    void *result;
    GString *text;
    const char *p;

    trace_fixture_begin(trace_text_path, "*");
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0); /* it waits from now on */
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &fd), 0);
    for (unsigned i = 0; i < n; i++) {
        trace_event(dimm_ost, .slot = i);
    }
    trace_close();
    pthread_join(thread, &result);
    text = result;
    p = text->str;
    for (unsigned i = 0; i < n; i++) {
        g_autofree char *wanted = g_strdup_printf("dimm_ost slot=%u event=0x0 status=0x0\n", i);

        p = strstr(p, wanted);
        assert_non_null(p);
    }
    assert_true(g_str_has_suffix(text->str, "\n"));
    g_string_free(text, TRUE);
    close(fd);
}

int main(void)
{
#define TEST(name)                                                                               \
    cmocka_unit_test_setup_teardown(name, trace_fixture_setup, trace_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_ring_goes_round),
        TEST(test_lost_events_are_counted),
        TEST(test_lost_events_end_spans),
        TEST(test_threads_at_once),
        TEST(test_text_is_in_order_of_time),
        TEST(test_switching_while_a_thread_records),
        TEST(test_span_ends_with_its_thread),
        TEST(test_full_disk_ends_the_trace),
        TEST(test_full_disk_leaves_a_whole_file),
        TEST(test_pipe_without_reader_is_refused),
        TEST(test_end_does_not_hang_on_a_full_pipe),
        TEST(test_slow_reader_gets_all_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
