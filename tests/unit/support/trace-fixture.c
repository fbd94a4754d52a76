/* SPDX-License-Identifier: MIT */
/* A trace in a folder of its own. */
#include "trace-fixture.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "tessera/util/trace-control.h"

char *trace_dir, *trace_text_path, *trace_json_path;

int trace_fixture_setup(void **state)
{
    trace_dir = g_dir_make_tmp("tessera-trace-XXXXXX", NULL);
    trace_text_path = g_build_filename(trace_dir, "trace", NULL);
    trace_json_path = g_build_filename(trace_dir, "trace.json", NULL);
    return 0;
}

int trace_fixture_teardown(void **state)
{
    trace_close();
    g_unlink(trace_text_path);
    g_unlink(trace_json_path);
    g_rmdir(trace_dir);
    g_clear_pointer(&trace_text_path, g_free);
    g_clear_pointer(&trace_json_path, g_free);
    g_clear_pointer(&trace_dir, g_free);
    return 0;
}

void trace_fixture_begin(const char *path, const char *pattern)
{
    g_autoptr(GError) error = NULL;

    if (!trace_set_file(path, &error) || !trace_set(pattern, true, &error)) {
        fail_msg("%s", error->message);
    }
}

char *trace_fixture_read(const char *path)
{
    char *text = NULL;

    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

/* The trace up to now as text; it ends. */
char *trace_fixture_end_text(void)
{
    trace_close();
    return trace_fixture_read(trace_text_path);
}

json_t *trace_fixture_parse(const char *text)
{
    json_error_t error;
    json_t *list = json_loads(text, JSON_REJECT_DUPLICATES, &error);

    if (!list) {
        fail_msg("line %d: %s in %s", error.line, error.text, text);
    }
    assert_true(json_is_array(list));
    return list;
}

json_t *trace_fixture_end_json(void)
{
    g_autofree char *text = NULL;

    trace_close();
    text = trace_fixture_read(trace_json_path);
    return trace_fixture_parse(text);
}

const char *trace_event_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

json_int_t trace_event_arg(const json_t *event, const char *key)
{
    return json_integer_value(json_object_get(json_object_get(event, "args"), key));
}

/* The @n-th event that is called @name, NULL: there are not so many. */
const json_t *trace_find_event(const json_t *list, const char *name, unsigned n)
{
    size_t i;
    json_t *event;

    json_array_foreach((json_t *)list, i, event) {
        if (strcmp(trace_event_text(event, "name"), name) == 0 && n-- == 0) {
            return event;
        }
    }
    return NULL;
}

/* Each B has its E, on each thread, and time does not go back. */
void assert_trace_nested(const json_t *list)
{
    g_autoptr(GHashTable) depths = g_hash_table_new(NULL, NULL);
    GHashTableIter iter;
    gpointer depth;
    size_t i;
    json_t *event;

    json_array_foreach((json_t *)list, i, event) {
        gpointer tid = GINT_TO_POINTER((int)json_integer_value(json_object_get(event, "tid")));
        int now = GPOINTER_TO_INT(g_hash_table_lookup(depths, tid));

        now += strcmp(trace_event_text(event, "ph"), "B") == 0;
        now -= strcmp(trace_event_text(event, "ph"), "E") == 0;
        assert_true(now >= 0);
        g_hash_table_insert(depths, tid, GINT_TO_POINTER(now));
    }
    g_hash_table_iter_init(&iter, depths);
    while (g_hash_table_iter_next(&iter, NULL, &depth)) {
        assert_int_equal(GPOINTER_TO_INT(depth), 0);
    }
}
