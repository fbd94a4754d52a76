/* SPDX-License-Identifier: MIT */
/* Tracing from outside: which events are on. */
#include "tessera/util/trace-control.h"

#include <stdio.h>
#include "tessera/util/error.h"
#include "tessera/util/suggest.h"
#include "trace-internal.h"

const char *trace_event_name(TraceEvent event)
{
    return trace_table[event].name;
}

bool trace_event_matches(TraceEvent event, const char *pattern)
{
    return g_pattern_match_simple(pattern, trace_table[event].name);
}

bool trace_is_on(TraceEvent event)
{
    return __atomic_load_n(&trace_states[event].each.on, __ATOMIC_RELAXED);
}

bool trace_is_probed(TraceEvent event)
{
    return __atomic_load_n(&trace_states[event].each.probes, __ATOMIC_RELAXED);
}

static void set_on(TraceEvent event, bool on)
{
    __atomic_store_n(&trace_states[event].each.on, on, __ATOMIC_RELAXED);
}

void trace_all_off(void)
{
    for (unsigned i = 0; i < TRACE_EVENT_COUNT; i++) {
        set_on(i, false);
    }
}

bool trace_check_pattern(const char *pattern, GError **error)
{
    const char *names[TRACE_EVENT_COUNT + 1] = { NULL };
    g_autofree char *phrase = NULL;

    for (unsigned i = 0; i < TRACE_EVENT_COUNT; i++) {
        if (trace_event_matches(i, pattern)) {
            return true;
        }
        names[i] = trace_table[i].name;
    }
    phrase = suggest_phrase(pattern, names);
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                "no trace event is called '%s'%s; '-trace help' lists them", pattern, phrase);
    return false;
}

static bool any_on(void)
{
    for (unsigned i = 0; i < TRACE_EVENT_COUNT; i++) {
        if (trace_is_on(i)) {
            return true;
        }
    }
    return false;
}

bool trace_set(const char *pattern, bool on, GError **error)
{
    if (!trace_check_pattern(pattern, error) || (on && !trace_writer_start(error))) {
        return false;
    }
    for (unsigned i = 0; i < TRACE_EVENT_COUNT; i++) {
        if (trace_event_matches(i, pattern)) {
            set_on(i, on);
        }
    }
    if (!trace_writer_set_active(any_on())) {
        trace_all_off(); /* it has failed in this moment, and said so */
    }
    return true;
}

bool trace_set_file(const char *path, GError **error)
{
    return trace_writer_set_file(path, error);
}

void trace_flush(void)
{
    trace_writer_flush();
}

void trace_close(void)
{
    uint64_t lost;

    trace_all_off();
    lost = trace_writer_stop();
    if (lost) {
        fprintf(stderr,
                "tessera: trace: %" G_GUINT64_FORMAT " events were lost: they came faster than "
                "they could be written; trace fewer, or to a faster file\n",
                lost);
    }
}

char *trace_help(void)
{
    GString *text = g_string_new("Trace events (in a pattern * is any letters, ? is one):\n");

    for (unsigned i = 0; i < TRACE_EVENT_COUNT; i++) {
        const TraceEventInfo *info = &trace_table[i];

        g_string_append_printf(text, "  %s(", info->name);
        for (unsigned f = 0; f < info->n_fields; f++) {
            g_string_append_printf(text, "%s%s", f ? ", " : "", info->fields[f].name);
        }
        g_string_append_printf(text, ")\n      %s\n", info->doc);
    }
    return g_string_free(text, FALSE);
}
