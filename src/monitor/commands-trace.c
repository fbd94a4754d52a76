/* SPDX-License-Identifier: MIT */
/* Commands for tracing: trace-event, info trace-events. */
#include "command-util-internal.h"

#include "tessera/util/trace-control.h"

static void complete_event(Machine *machine, GPtrArray *words)
{
    for (unsigned i = 0; i < TRACE_EVENT_COUNT; i++) {
        g_ptr_array_add(words, g_strdup(trace_event_name(i)));
    }
}

/* info trace-events */

static json_t *event_state(TraceEvent event)
{
    return json_pack("{s:s,s:s,s:b,s:b}", "name", trace_event_name(event), "state",
                     trace_is_on(event) ? "enabled" : "disabled", "vcpu", 0, "x-probed",
                     trace_is_probed(event));
}

static bool run_get_state(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    const char *pattern = arg_string(args, "name");

    if (pattern && !trace_check_pattern(pattern, error)) {
        return false;
    }
    *ret_result = json_array();
    for (unsigned i = 0; i < TRACE_EVENT_COUNT; i++) {
        if (!pattern || trace_event_matches(i, pattern)) {
            json_array_append_new(*ret_result, event_state(i));
        }
    }
    return true;
}

static void print_states(const json_t *result, GString *out)
{
    size_t i;
    json_t *event;

    json_array_foreach(result, i, event) {
        g_string_append_printf(out, "%s : state %d%s\n", json_get_text(event, "name"),
                               g_str_equal(json_get_text(event, "state"), "enabled"),
                               json_is_true(json_object_get(event, "x-probed"))
                                   ? " (a probe is attached)"
                                   : "");
    }
}

static const MonitorArg info_args[] = {
    { "name", MONITOR_ARG_STRING, .optional = true, .complete = complete_event },
    { 0 },
};

static const MonitorCommand info_command = {
    .name = "trace-event-get-state",
    .qmp = "trace-event-get-state",
    .hmp = "info trace-events",
    .help = "Shows which trace events are on.",
    .details = "name: one, or a pattern with * and ?; without it all of them. x-probed (HMP: a "
               "probe is attached): somebody outside, such as bpftrace or perf, listens to its "
               "USDT probe; that needs no trace-event.",
    .args = info_args,
    .run = run_get_state,
    .print = print_states,
};
MONITOR_COMMAND_REGISTER(info_command);

/* trace-event */

static bool run_set_state(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    return trace_set(arg_string(args, "name"), arg_flag(args, "enable"), error);
}

static const MonitorArg set_args[] = {
    { "name", MONITOR_ARG_STRING, .complete = complete_event },
    { "enable", MONITOR_ARG_BOOL, .optional = false },
    { "ignore-unavailable", MONITOR_ARG_BOOL, .optional = true },
    { 0 },
};

static const MonitorCommand set_command = {
    .name = "trace-event-set-state",
    .qmp = "trace-event-set-state",
    .hmp = "trace-event",
    .help = "Switches trace events on or off.",
    .details = "name: one, or a pattern with * and ?. They go where -trace file= says, without it "
               "to standard error. ignore-unavailable says nothing: all events are available.",
    .args = set_args,
    .run = run_set_state,
};
MONITOR_COMMAND_REGISTER(set_command);
