/* SPDX-License-Identifier: MIT */
/* Fuzz target: any bytes from a QMP client are answered in JSON, the same however they are split. */
#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/chardev/chardev-internal.h"
#include "../../src/monitor/monitor-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two commands: one takes an argument of each type and gives all back, one fails. */

static bool run_echo(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    *ret_result = json_incref(args);
    return true;
}

static bool run_fail(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    g_set_error(error, g_quark_from_static_string("fuzz"), 1, "\xff no UTF-8, %s",
                json_string_value(json_object_get(args, "text")));
    return false;
}

static const MonitorArg echo_args[] = {
    { .name = "text", .type = MONITOR_ARG_STRING, .optional = true },
    { .name = "n", .type = MONITOR_ARG_INT, .optional = true },
    { .name = "b", .type = MONITOR_ARG_BOOL, .optional = true },
    { .name = "f", .type = MONITOR_ARG_FLAG, .flag = 'f' },
    { .name = "rest", .type = MONITOR_ARG_KEYVAL },
    { 0 },
};
static const MonitorCommand echo_command = { .name = "echo", .qmp = "echo", .args = echo_args,
                                             .run = run_echo };

static const MonitorArg fail_args[] = {
    { .name = "text", .type = MONITOR_ARG_STRING },
    { 0 },
};
static const MonitorCommand fail_command = { .name = "fail", .qmp = "fail", .args = fail_args,
                                             .run = run_fail };

/* A chardev that keeps what is written. */
typedef struct Sink {
    Chardev base;
    GString *text;
} Sink;

static size_t sink_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    g_string_append_len(((Sink *)chr)->text, (const char *)buf, (gssize)len);
    return len;
}

static const ChardevClass sink_class = { .kind = "sink", .size = sizeof(Sink),
                                         .write = sink_write };

/* What a client hears that sends @data in pieces of @step bytes. */
static char *talk(const uint8_t *data, size_t size, size_t step)
{
    Sink sink = { .base = { .cls = &sink_class, .open = true }, .text = g_string_new(NULL) };
    MonitorHub hub = { .commands = g_ptr_array_new() };
    Monitor mon = { .hub = &hub, .mode = MONITOR_QMP, .chr = &sink.base,
                    .out = g_byte_array_new() };

    g_ptr_array_add(hub.commands, (void *)&echo_command);
    g_ptr_array_add(hub.commands, (void *)&fail_command);
    qmp_open(&mon);
    for (size_t i = 0; i < size; i += step) {
        qmp_receive(&mon, data + i, MIN(step, size - i));
    }
    qmp_close(&mon);
    g_byte_array_unref(mon.out);
    g_ptr_array_unref(hub.commands);
    return g_string_free(sink.text, FALSE);
}

/* Lines of JSON objects, each a greeting, a return or an error with class and text. */
static void check_answers(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\r\n", -1);

    for (guint i = 0; lines[i] && *lines[i]; i++) {
        json_t *object = json_loads(lines[i], 0, NULL);
        json_t *error = json_object_get(object, "error");

        if (!json_is_object(object) ||
            (error && (!json_is_string(json_object_get(error, "class")) ||
                       !json_is_string(json_object_get(error, "desc")))) ||
            !(error || json_object_get(object, "return") || json_object_get(object, "QMP"))) {
            abort();
        }
        json_decref(object);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *whole = talk(data, size, MAX(size, 1));
    g_autofree char *bytes = talk(data, size, 1);
    g_autofree char *pieces = talk(data, size, 7);

    check_answers(whole);
    if (strcmp(whole, bytes) != 0 || strcmp(whole, pieces) != 0) {
        abort();
    }
    return 0;
}
