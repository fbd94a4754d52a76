/* SPDX-License-Identifier: MIT */
/* QMP: the monitor for programs. */
#include "monitor-internal.h"

#include <errno.h>
#include <string.h>
#include "tessera/util/error.h"
#include "tessera/util/rcu.h"
#include "tessera/util/trace.h"

/*
 * The protocol (QEMU, docs/interop/qmp-spec: greeting, negotiation, commands, events). One JSON
 * object a line goes out:
 *
 *   -> {"QMP": {"version": ..., "capabilities": []}}                       at the connection
 *   <- {"execute": "qmp_capabilities"}                                     negotiation
 *   <- {"execute": NAME, "arguments": {...}, "id": ANY}
 *   -> {"return": ..., "id": ANY}   or   {"error": {"class": ..., "desc": ...}, "id": ANY}
 *   -> {"event": NAME, "data": {...}, "timestamp": {"seconds": S, "microseconds": U}}
 */

/* Numbers with fewer digits fit into 64 bits with a sign. */
#define INT64_DIGITS 19

/* Events kept for a client that does not read; more are dropped and counted. */
#define EVENT_BACKLOG_MAX (1u << 20)

static int append_bytes(const char *bytes, size_t len, void *line)
{
    g_string_append_len(line, bytes, (gssize)len);
    return 0;
}

static void append_json(GString *line, const json_t *value)
{
    json_dump_callback(value, append_bytes, line, JSON_ENCODE_ANY);
}

static void send_line(Monitor *mon, GString *line)
{
    g_string_append(line, "\r\n");
    monitor_write(mon, line->str, line->len);
}

static void send_object(Monitor *mon, json_t *object)
{
    g_autoptr(GString) line = g_string_new(NULL);

    append_json(line, object);
    send_line(mon, line);
    json_decref(object);
}

/* Sends @value (stolen) as @member, "return" or "error", with the client's id, if it gave one. */
static void respond(Monitor *mon, const char *member, json_t *value, const json_t *id)
{
    g_autoptr(GString) line = g_string_new("{\"");

    g_string_append(line, member);
    g_string_append(line, "\": ");
    append_json(line, value);
    if (id) {
        g_string_append(line, ", \"id\": ");
        append_json(line, id);
    }
    g_string_append_c(line, '}');
    send_line(mon, line);
    json_decref(value);
}

/* A message may quote a file name: what is not UTF-8 in it is replaced. */
static void respond_error(Monitor *mon, const char *class, const char *text, json_t *id)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);

    respond(mon, "error", json_pack("{s:s,s:s}", "class", class, "desc", valid), id);
}

/* QEMU has few classes: the device to be taken out or the backend to be shown is not there. */
static const char *class_of(const MonitorCommand *cmd, const GError *error)
{
    if ((g_strcmp0(cmd->qmp, "device_del") == 0 || g_strcmp0(cmd->qmp, "device_add") == 0) &&
        g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND)) {
        return "DeviceNotFound";
    }
    return "GenericError";
}

static void send_greeting(Monitor *mon)
{
    send_object(mon, json_pack("{s:{s:o,s:[]}}", "QMP", "version", monitor_version_data(),
                               "capabilities"));
}

/* The first argument that is not @known; NULL: there is none. */
static const char *unexpected(const json_t *args, const char *known)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)args, key, value) {
        if (g_strcmp0(key, known) != 0) {
            return key;
        }
    }
    return NULL;
}

/* What is wrong with the arguments of qmp_capabilities; NULL: nothing. A new string. */
static char *check_capabilities(const json_t *args)
{
    const json_t *enable = json_object_get(args, "enable");
    const json_t *first = json_array_get(enable, 0);
    const char *key = unexpected(args, "enable");

    if (key) {
        return g_strdup_printf("Parameter '%s' is unexpected", key);
    }
    if (enable && !json_is_array(enable)) {
        return g_strdup("Invalid parameter type for 'enable', expected: array");
    }
    if (first && json_is_string(first)) {
        return g_strdup_printf("Capability '%s' not available: the greeting offers none",
                               json_string_value(first));
    }
    return first ? g_strdup("Invalid parameter type for 'enable[0]', expected: string") : NULL;
}

static void negotiate(Monitor *mon, json_t *args, json_t *id)
{
    g_autofree char *wrong = NULL;

    if (mon->negotiated) {
        respond_error(mon, "CommandNotFound",
                      "Capabilities negotiation is already complete, command ignored", id);
        return;
    }
    wrong = check_capabilities(args);
    if (wrong) {
        respond_error(mon, "GenericError", wrong, id);
        return;
    }
    mon->negotiated = true;
    respond(mon, "return", json_object(), id);
}

static json_t *list_commands(Monitor *mon)
{
    json_t *list = json_array();

    json_array_append_new(list, json_pack("{s:s}", "name", "qmp_capabilities"));
    json_array_append_new(list, json_pack("{s:s}", "name", "query-commands"));
    for (guint i = 0; i < mon->hub->commands->len; i++) {
        const MonitorCommand *cmd = mon->hub->commands->pdata[i];

        if (cmd->qmp) {
            json_array_append_new(list, json_pack("{s:s}", "name", cmd->qmp));
        }
    }
    return list;
}

static void query_commands(Monitor *mon, const json_t *args, json_t *id)
{
    const char *key = unexpected(args, NULL);
    g_autofree char *wrong = key ? g_strdup_printf("Parameter '%s' is unexpected", key) : NULL;

    if (wrong) {
        respond_error(mon, "GenericError", wrong, id);
    } else {
        respond(mon, "return", list_commands(mon), id);
    }
}

static void trace_end(const MonitorCommand *cmd, const GError *error)
{
    trace_event(monitor_command_end, .command = cmd->qmp, .ok = !error,
                .error = error ? error->message : NULL);
}

static void run_checked(Monitor *mon, const MonitorCommand *cmd, json_t *args, json_t *id)
{
    g_autoptr(GError) error = NULL;
    json_t *result = NULL;

    if (!cmd->run(mon, args, &result, &error)) {
        trace_end(cmd, error);
        respond_error(mon, class_of(cmd, error), error->message, id);
        return;
    }
    trace_end(cmd, NULL);
    respond(mon, "return", result ? result : json_object(), id);
}

/*
 * What the command leaves for a grace period waits until its answer is on its way: handing it over
 * wakes a thread, which with few processors runs before this one goes on.
 */
static void run_command(Monitor *mon, const MonitorCommand *cmd, json_t *args, json_t *id)
{
    g_autoptr(GError) error = NULL;

    trace_event(monitor_command_begin, .command = cmd->qmp, .monitor = "qmp");
    if (!monitor_args_check(cmd, args, &error)) {
        trace_end(cmd, error);
        respond_error(mon, "GenericError", error->message, id);
        return;
    }
    rcu_hold_deferred();
    run_checked(mon, cmd, args, id);
    rcu_release_deferred();
}

static void execute(Monitor *mon, const char *name, json_t *args, json_t *id)
{
    const MonitorCommand *cmd;
    g_autofree char *text = NULL;

    if (strcmp(name, "qmp_capabilities") == 0) {
        negotiate(mon, args, id);
        return;
    }
    if (!mon->negotiated) {
        respond_error(mon, "CommandNotFound",
                      "Expecting capabilities negotiation with 'qmp_capabilities'", id);
        return;
    }
    if (strcmp(name, "query-commands") == 0) {
        query_commands(mon, args, id);
        return;
    }
    cmd = monitor_command_by_qmp(mon->hub, name);
    if (!cmd || !cmd->run) {
        text = g_strdup_printf("The command %s has not been found", name);
        respond_error(mon, "CommandNotFound", text, id);
        return;
    }
    run_command(mon, cmd, args, id);
}

/* The members of a command object: a new string about the first that is wrong, NULL if none is. */
static char *check_shape(json_t *object, json_t **ret_args)
{
    const char *key;
    json_t *value;

    if (!json_is_object(object)) {
        return g_strdup("QMP input must be a JSON object");
    }
    json_object_foreach(object, key, value) {
        if (strcmp(key, "execute") == 0) {
            if (!json_is_string(value)) {
                return g_strdup("QMP input member 'execute' must be a string");
            }
        } else if (strcmp(key, "arguments") == 0) {
            if (!json_is_object(value)) {
                return g_strdup("QMP input member 'arguments' must be an object");
            }
            *ret_args = value;
        } else if (strcmp(key, "id") != 0) {
            return g_strdup_printf("QMP input member '%s' is unexpected", key);
        }
    }
    return json_object_get(object, "execute") ? NULL
                                              : g_strdup("QMP input lacks member 'execute'");
}

/*
 * A whole number as the parser takes it. From 2^63 to 2^64 - 1, where a kernel's addresses are, it
 * becomes the negative one of the same bits; what has more than 64 bits a real one, as in QEMU: its
 * place may refuse it, and a client that uses it as an id gets an answer.
 */
static void append_integer(GString *out, const char *digits, size_t len, bool negative)
{
    guint64 value;

    errno = 0;
    value = g_ascii_strtoull(digits, NULL, 10);
    if (errno || (negative && value > (guint64)INT64_MAX + 1)) {
        g_string_append_len(out, digits, (gssize)len);
        g_string_append(out, ".0");
    } else if (!negative && value > INT64_MAX) {
        g_string_append_printf(out, "%" G_GINT64_FORMAT, (gint64)value);
    } else {
        g_string_append_len(out, digits, (gssize)len);
    }
}

/* Appends the number at @p, and returns what stands behind it. */
static const char *append_number(GString *out, const char *p, bool negative)
{
    size_t len = strspn(p, "0123456789.eE+-");
    bool whole = strspn(p, "0123456789") == len && (*p != '0' || len == 1);

    if (whole) {
        append_integer(out, p, len, negative);
    } else {
        g_string_append_len(out, p, (gssize)len);
    }
    return p + len;
}

/* Is there a number that adapt_integers() might change? Hardly ever. */
static bool has_long_number(const char *text, size_t len)
{
    unsigned digits = 0;

    for (size_t i = 0; i < len && digits < INT64_DIGITS; i++) {
        digits = g_ascii_isdigit(text[i]) ? digits + 1 : 0;
    }
    return digits == INT64_DIGITS;
}

/* Makes integers that the parser would refuse such as it takes. */
static char *adapt_integers(const char *text, size_t len)
{
    GString *out = g_string_sized_new(len + 16);
    g_autofree char *copy = g_strndup(text, len);
    bool in_string = false;

    for (const char *p = copy; *p;) {
        if (!in_string && g_ascii_isdigit(*p)) {
            p = append_number(out, p, p > copy && p[-1] == '-');
            continue;
        }
        if (in_string && *p == '\\' && p[1]) {
            g_string_append_c(out, *p++);
        } else if (*p == '"') {
            in_string = !in_string;
        }
        g_string_append_c(out, *p++);
    }
    return g_string_free(out, FALSE);
}

static json_t *parse(const char *text, size_t len, json_error_t *error)
{
    g_autofree char *adapted = NULL;

    if (!has_long_number(text, len)) {
        return json_loadb(text, len, JSON_REJECT_DUPLICATES, error);
    }
    adapted = adapt_integers(text, len);
    return json_loads(adapted, JSON_REJECT_DUPLICATES, error);
}

static void on_value(void *opaque, const char *text, size_t len)
{
    Monitor *mon = opaque;
    json_error_t parse_error;
    json_t *object = parse(text, len, &parse_error);
    json_t *none = json_object();
    json_t *args = none;
    g_autofree char *wrong = NULL;

    if (!object) {
        g_autofree char *why = g_strdup_printf("JSON parse error, %s", parse_error.text);

        respond_error(mon, "GenericError", why, NULL);
    } else if ((wrong = check_shape(object, &args)) != NULL) {
        respond_error(mon, "GenericError", wrong,
                      json_is_object(object) ? json_object_get(object, "id") : NULL);
    } else {
        execute(mon, json_string_value(json_object_get(object, "execute")), args,
                json_object_get(object, "id"));
    }
    json_decref(object);
    json_decref(none);
}

static void on_garbage(void *opaque, const char *why)
{
    respond_error(opaque, "GenericError", why, NULL);
}

void qmp_open(Monitor *mon)
{
    qmp_close(mon);
    mon->framer = qmp_framer_new(on_value, on_garbage, mon);
    mon->in = g_byte_array_new();
    send_greeting(mon);
}

void qmp_close(Monitor *mon)
{
    g_clear_pointer(&mon->framer, qmp_framer_free);
    g_clear_pointer(&mon->in, g_byte_array_unref);
    mon->negotiated = false;
    mon->dropped = 0;
    mon->cpu = 0;
}

/* Commands that came together are run one by one: the answers of each may be more than enough. */
static void run_pending(Monitor *mon)
{
    while (mon->in->len && monitor_may_run(mon)) {
        size_t done = qmp_framer_feed(mon->framer, mon->in->data, mon->in->len);

        g_byte_array_remove_range(mon->in, 0, (guint)done);
    }
}

bool qmp_can_receive(const Monitor *mon)
{
    return monitor_may_run(mon) && (!mon->in || !mon->in->len);
}

void qmp_receive(Monitor *mon, const uint8_t *buf, size_t len)
{
    if (mon->framer) {
        g_byte_array_append(mon->in, buf, (guint)len);
        run_pending(mon);
    }
}

/* Events. */

static void tell_of_dropped(Monitor *mon)
{
    json_t *event = monitor_event_new("X_EVENTS_DROPPED",
                                      json_pack("{s:I}", "count", (json_int_t)mon->dropped));

    mon->dropped = 0;
    send_object(mon, event);
}

void qmp_emit(Monitor *mon, const json_t *event)
{
    if (!mon->negotiated) {
        return;
    }
    if (mon->out->len > EVENT_BACKLOG_MAX) {
        mon->dropped++;
        return;
    }
    if (mon->dropped) {
        tell_of_dropped(mon);
    }
    send_object(mon, json_incref((json_t *)event));
}

void qmp_resume(Monitor *mon)
{
    if (mon->dropped) {
        tell_of_dropped(mon);
    }
    if (mon->framer) {
        run_pending(mon);
    }
}
