/* SPDX-License-Identifier: MIT */
/* A trace in a folder of its own: begun, ended, read back. */
#ifndef TESSERA_TESTS_TRACE_FIXTURE_H
#define TESSERA_TESTS_TRACE_FIXTURE_H

#include <glib.h>
#include <jansson.h>

/* The test's folder, and the files in it that a trace may go to. */
extern char *trace_dir, *trace_text_path, *trace_json_path;

/* For cmocka. The end of a test closes the trace. */
int trace_fixture_setup(void **state);
int trace_fixture_teardown(void **state);

/** trace_fixture_begin() - to @path, with what matches @pattern switched on; must succeed */
void trace_fixture_begin(const char *path, const char *pattern);
/** trace_fixture_end_text() / trace_fixture_end_json() - closes the trace: what is in its file */
char *trace_fixture_end_text(void);
json_t *trace_fixture_end_json(void);

/** trace_fixture_read() - a file that must be there; trace_fixture_parse() - must be an array */
char *trace_fixture_read(const char *path);
json_t *trace_fixture_parse(const char *text);

/** trace_event_text() - a member of an event; trace_event_arg() - one of its "args" */
const char *trace_event_text(const json_t *event, const char *key);
json_int_t trace_event_arg(const json_t *event, const char *key);
/** trace_find_event() - the @n-th that is called @name, NULL: there are not so many */
const json_t *trace_find_event(const json_t *list, const char *name, unsigned n);

/** assert_trace_nested() - each B has its E, on each thread */
void assert_trace_nested(const json_t *list);

#endif
