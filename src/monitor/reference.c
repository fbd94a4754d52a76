/* SPDX-License-Identifier: MIT */
/* The reference of all monitor commands, written from their table. */
#include "tessera/monitor/monitor.h"

#include <string.h>
#include "monitor-internal.h"

static const char *type_text(const MonitorArg *arg)
{
    switch (arg->type) {
    case MONITOR_ARG_INT:
        return "integer; in HMP an expression too";
    case MONITOR_ARG_SIZE:
        return "bytes; in HMP with a suffix K, M, G, T";
    case MONITOR_ARG_ADDR:
        return "address; in HMP an expression of numbers and $registers";
    case MONITOR_ARG_BOOL:
        return "boolean; in HMP on or off";
    case MONITOR_ARG_FLAG:
        return "boolean";
    case MONITOR_ARG_KEYVAL:
        return "in HMP one word, name=value,...; in QMP members of the arguments";
    case MONITOR_ARG_REST:
        return "string; in HMP the rest of the line";
    default:
        return "string";
    }
}

/* What a person writes and what a program writes for @arg. */
static void append_argument(const MonitorArg *arg, GString *out)
{
    bool optional = arg->optional || arg->type == MONITOR_ARG_FLAG;

    g_string_append_printf(out, "| `%s`", arg->name);
    if (arg->type == MONITOR_ARG_FLAG) {
        if (arg->flag) {
            g_string_append_printf(out, ", in HMP `-%c` or `--%s`", arg->flag, arg->name);
        } else {
            g_string_append_printf(out, ", in HMP `--%s`", arg->name);
        }
    } else if (arg->flag) {
        g_string_append_printf(out, ", in HMP `-%c` or `--%s`, with it behind", arg->flag,
                               arg->name);
    } else if (arg->type == MONITOR_ARG_FORMAT) {
        g_string_append_printf(out, ", in HMP `/%s`", arg->name);
    }
    g_string_append_printf(out, " | %s | %s |\n", optional ? "no" : "yes", type_text(arg));
}

/* "`info status`, in QMP `query-status`" */
static void append_names(const MonitorCommand *cmd, GString *out)
{
    if (cmd->hmp) {
        g_autofree char *usage = monitor_command_usage(cmd);
        g_auto(GStrv) forms = g_strsplit(cmd->hmp, "|", -1);

        g_string_append_printf(out, "`%s`", usage);
        for (char **form = forms + 1; *form; form++) {
            g_string_append_printf(out, " or `%s`", *form);
        }
    }
    if (cmd->qmp) {
        g_string_append_printf(out, "%s `%s`", cmd->hmp ? "; in QMP" : "in QMP", cmd->qmp);
    }
    g_string_append(out, cmd->hmp && !cmd->qmp ? "; not in QMP\n" : "\n");
}

static char *heading(const MonitorCommand *cmd)
{
    return cmd->hmp ? monitor_command_hmp_name(cmd) : g_strdup(cmd->qmp);
}

static void append_command(const MonitorCommand *cmd, GString *out)
{
    g_autofree char *name = heading(cmd);

    g_string_append_printf(out, "\n### %s\n\n", name);
    append_names(cmd, out);
    g_string_append_printf(out, "\n%s\n", cmd->help);
    if (cmd->details) {
        g_string_append_printf(out, "\n%s\n", cmd->details);
    }
    if (cmd->args && cmd->args->name) {
        g_string_append(out, "\n| argument | required | |\n|---|---|---|\n");
        for (const MonitorArg *arg = cmd->args; arg->name; arg++) {
            append_argument(arg, out);
        }
    }
}

static gint compare_headings(gconstpointer a, gconstpointer b)
{
    g_autofree char *x = heading(*(const MonitorCommand *const *)a);
    g_autofree char *y = heading(*(const MonitorCommand *const *)b);

    return strcmp(x, y);
}

char *monitor_reference(void)
{
    g_autoptr(GPtrArray) commands = monitor_commands_load(NULL);
    GString *out = g_string_new(NULL);

    if (commands) {
        g_ptr_array_sort(commands, compare_headings);
    }
    for (guint i = 0; commands && i < commands->len; i++) {
        append_command(commands->pdata[i], out);
    }
    return g_string_free(out, FALSE);
}
