/* SPDX-License-Identifier: MIT */
/* Tracing from outside: which events are on, and where they go. */
#ifndef TESSERA_UTIL_TRACE_CONTROL_H
#define TESSERA_UTIL_TRACE_CONTROL_H

#include <glib.h>
#include <stdbool.h>
#include "tessera/util/trace.h"

/*
 * Events go from the threads' rings to one file, by the hand of a thread of its own, "trace", which
 * exists from the first event that is switched on to trace_close(). The file is text, or, if its
 * name ends with ".json", an array of objects ("Trace Event Format", Google, section JSON Array
 * Format), which Perfetto and chrome://tracing open. Nothing of this touches USDT probes, which
 * belong to whoever listens.
 *
 * Context: main thread, unless it is said otherwise. The state is the process's.
 */

/**
 * trace_check_pattern() - does @pattern name an event?
 * @pattern: a name, or one with `*` and `?`
 *
 * Errors: TESSERA_ERROR_NOT_FOUND, with the nearest name.
 */
bool trace_check_pattern(const char *pattern, GError **error);

/**
 * trace_set() - switches events on or off
 * @pattern: as of trace_check_pattern(), all that it matches
 *
 * The first one that is switched on starts the writing thread. On failure nothing has changed.
 * Errors: as of trace_check_pattern(); _SYSTEM: there is no thread to be had; _LIMIT: the file
 * could not be written earlier.
 */
bool trace_set(const char *pattern, bool on, GError **error);

/** trace_is_on() - is @event being recorded? Any thread */
bool trace_is_on(TraceEvent event);
/** trace_is_probed() - is somebody attached to the USDT probe of @event? Any thread */
bool trace_is_probed(TraceEvent event);

/** trace_event_name() - "vcpu_exit" */
const char *trace_event_name(TraceEvent event);
/** trace_event_matches() - g_pattern_match_simple() of @event's name */
bool trace_event_matches(TraceEvent event, const char *pattern);

/**
 * trace_set_file() - where events go from now on; standard error before, as text
 * @path: created or emptied; Trace Event Format where it ends with ".json"
 *
 * Before the first event is switched on (asserted). Errors: TESSERA_ERROR_SYSTEM, nothing changed.
 */
bool trace_set_file(const char *path, GError **error);

/** trace_flush() - returns when all that was recorded before is in the file */
void trace_flush(void);

/**
 * trace_close() - switches all events off, writes what is left, ends the file and the thread
 *
 * Says on standard error how many events were lost, if any were. Nobody else records any more whose
 * events matter. Afterwards everything is as at the start. Idempotent.
 */
void trace_close(void);

/** trace_help() - the list for "-trace help": names, fields, meaning. A new string */
char *trace_help(void);

#endif
