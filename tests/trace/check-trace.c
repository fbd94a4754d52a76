/* SPDX-License-Identifier: MIT */
/*
 * Checks a trace in Trace Event Format. Usage: check-trace [--cut] FILE
 *
 * --cut: the end is missing, as after a kill. On each thread time goes forward, every B has its E
 * and they are nested, and what is told at its end (X) lies within the span around it; each thread
 * has a name. Prints a line "THREAD PHASE NAME" for each event, in the file's order; status 1, with
 * a sentence on standard error, at the first thing that is wrong.
 */
#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPANS_MAX 64

typedef struct Thread {
    char *name;
    double now; /* us; of the last event's end */
    unsigned depth;
    struct {
        char *name;
        double begin;
    } spans[SPANS_MAX];
} Thread;

static GHashTable *threads; /* of Thread, by tid */

static void free_thread(gpointer opaque)
{
    Thread *thread = opaque;

    while (thread->depth > 0) {
        g_free(thread->spans[--thread->depth].name);
    }
    g_free(thread->name);
    g_free(thread);
}

static Thread *find_thread(const json_t *event)
{
    gpointer tid = GINT_TO_POINTER((int)json_integer_value(json_object_get(event, "tid")));
    Thread *thread = g_hash_table_lookup(threads, tid);

    if (!thread) {
        thread = g_new0(Thread, 1);
        thread->now = -1e18;
        g_hash_table_insert(threads, tid, thread);
    }
    return thread;
}

static G_GNUC_PRINTF(2, 3) G_NORETURN void wrong(const json_t *event, const char *format, ...)
{
    g_autofree char *text = event ? json_dumps(event, 0) : NULL;
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "%s%s\n", text ? ": " : "", text ? text : "");
    exit(1);
}

static const char *text_of(const json_t *event, const char *key)
{
    const char *text = json_string_value(json_object_get(event, key));

    if (!text) {
        wrong(event, "no \"%s\"", key);
    }
    return text;
}

static double number_of(const json_t *event, const char *key)
{
    const json_t *number = json_object_get(event, key);

    if (!json_is_number(number)) {
        wrong(event, "no number \"%s\"", key);
    }
    return json_number_value(number);
}

static void begin_span(Thread *thread, const json_t *event, double at)
{
    if (thread->depth == SPANS_MAX) {
        wrong(event, "%u spans in each other", SPANS_MAX);
    }
    thread->spans[thread->depth].name = g_strdup(text_of(event, "name"));
    thread->spans[thread->depth++].begin = at;
}

/* Perfetto wants the same name at both ends of a span. */
static void end_span(Thread *thread, const json_t *event)
{
    const char *name = text_of(event, "name");

    if (thread->depth == 0) {
        wrong(event, "an end without a beginning");
    }
    thread->depth--;
    if (strcmp(thread->spans[thread->depth].name, name) != 0) {
        wrong(event, "ends \"%s\"", thread->spans[thread->depth].name);
    }
    g_free(thread->spans[thread->depth].name);
}

static void check_event(const json_t *event)
{
    const char *phase = text_of(event, "ph"), *name = text_of(event, "name");
    Thread *thread = find_thread(event);
    double at;

    if (strcmp(phase, "M") == 0) {
        if (strcmp(name, "thread_name") == 0) {
            thread->name = g_strdup(text_of(json_object_get(event, "args"), "name"));
        }
        return;
    }
    at = number_of(event, "ts");
    if (!thread->name) {
        wrong(event, "a thread without a name");
    }
    text_of(event, "cat");
    if (thread->depth && at < thread->spans[thread->depth - 1].begin) {
        wrong(event, "before the span around it");
    }
    at += strcmp(phase, "X") == 0 ? number_of(event, "dur") : 0;
    if (at < thread->now) {
        wrong(event, "time goes back from %.3f", thread->now);
    }
    thread->now = at;
    if (strcmp(phase, "B") == 0) {
        begin_span(thread, event, at);
    } else if (strcmp(phase, "E") == 0) {
        end_span(thread, event);
    } else if (strcmp(phase, "X") != 0 && strcmp(phase, "i") != 0) {
        wrong(event, "no such phase");
    }
    printf("%s %s %s\n", thread->name, phase, name);
}

static void check_ends(bool cut)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, threads);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Thread *thread = value;

        if (thread->depth && !cut) {
            wrong(NULL, "\"%s\" has no end", thread->spans[thread->depth - 1].name);
        }
    }
}

int main(int argc, char *argv[])
{
    bool cut = argc > 2 && strcmp(argv[1], "--cut") == 0;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    g_autofree char *whole = NULL;
    json_error_t json_error;
    json_t *list, *event;
    size_t i;

    if (argc != 2 + cut || !g_file_get_contents(argv[1 + cut], &text, NULL, &error)) {
        wrong(NULL, "%s", error ? error->message : "usage: check-trace [--cut] FILE");
    }
    whole = g_strconcat(text, cut ? "\n]\n" : "", NULL);
    list = json_loads(whole, JSON_REJECT_DUPLICATES, &json_error);
    if (!json_is_array(list)) {
        wrong(NULL, "no JSON array: line %d: %s", json_error.line, json_error.text);
    }
    threads = g_hash_table_new_full(NULL, NULL, NULL, free_thread);
    json_array_foreach(list, i, event) {
        check_event(event);
    }
    check_ends(cut);
    json_decref(list);
    g_hash_table_unref(threads);
    return 0;
}
