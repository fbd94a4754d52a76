/* SPDX-License-Identifier: MIT */
/* human-monitor-command: a line of HMP for clients that speak QMP. */
#include "command-util-internal.h"
#include "monitor-internal.h"

/* QEMU's clients expect lines that end as on a terminal. */
static json_t *terminal_text(const GString *text)
{
    g_auto(GStrv) lines = g_strsplit(text->str, "\n", -1);
    g_autofree char *joined = g_strjoinv("\r\n", lines);
    g_autofree char *valid = g_utf8_make_valid(joined, -1);

    return json_string(valid);
}

/* A line that fails is no failure of this command: its message is the text that a person would see. */
static bool run_human(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    uint64_t cpu = monitor_cpu(mon);
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GError) hmp_error = NULL;

    if (json_object_get(args, "cpu-index")) {
        cpu = (uint64_t)json_integer_value(json_object_get(args, "cpu-index"));
        if (!command_check_cpu(mon, cpu, error)) {
            return false;
        }
    }
    if (!monitor_hub_hmp(mon->hub, arg_string(args, "command-line"), (unsigned)cpu, out,
                         &hmp_error)) {
        g_string_append_printf(out, "Error: %s\n", hmp_error->message);
    }
    *ret_result = terminal_text(out);
    return true;
}

static const MonitorArg human_args[] = {
    { .name = "command-line", .type = MONITOR_ARG_STRING },
    { .name = "cpu-index", .type = MONITOR_ARG_INT, .optional = true },
    { 0 },
};

static const MonitorCommand human_command = {
    .name = "human-monitor-command",
    .qmp = "human-monitor-command",
    .help = "Runs a line of the monitor for people and returns what it prints, errors too.",
    .details = "`cpu-index` is the vCPU that commands like `x` look at. Each call stands alone: what "
               "`cpu` selects is forgotten after it. The text is for people; programs that read it "
               "depend on every word of it.",
    .args = human_args,
    .run = run_human,
};
MONITOR_COMMAND_REGISTER(human_command);
