/* SPDX-License-Identifier: MIT */
/* The reference of all monitor commands, written from their table. */
#include "tessera/monitor/monitor.h"

#include "monitor-internal.h"

static const char *type_text(const MonitorArg *arg)
{
    switch (arg->type) {
    case MONITOR_ARG_INT:
        return "number";
    case MONITOR_ARG_SIZE:
        return "size: bytes, with a suffix K, M, G, T in HMP";
    case MONITOR_ARG_ADDR:
        return "address: a number or an expression of numbers and $registers in HMP";
    case MONITOR_ARG_BOOL:
        return "boolean: on, off in HMP";
    case MONITOR_ARG_FLAG:
        return "boolean";
    case MONITOR_ARG_KEYVAL:
        return "properties: name=value,... in HMP, members of the arguments in QMP";
    case MONITOR_ARG_REST:
        return "string: the rest of the line in HMP";
    default:
        return "string";
    }
}

static void append_command(const MonitorCommand *cmd, GString *out)
{
    g_autofree char *usage = cmd->hmp ? monitor_command_usage(cmd) : NULL;

    g_string_append_printf(out, "\n### %s\n\n", cmd->hmp ? usage : cmd->qmp);
    if (cmd->qmp) {
        g_string_append_printf(out, "QMP: `%s`\n\n", cmd->qmp);
    }
    g_string_append_printf(out, "%s\n", cmd->help);
    if (cmd->details) {
        g_string_append_printf(out, "\n%s\n", cmd->details);
    }
    if (cmd->args && cmd->args->name) {
        g_string_append(out, "\n| argument | what |\n|---|---|\n");
        for (const MonitorArg *arg = cmd->args; arg->name; arg++) {
            g_string_append_printf(out, "| `%s`%s | %s |\n", arg->name,
                                   arg->optional || arg->type == MONITOR_ARG_FLAG ? ", optional"
                                                                                  : "",
                                   type_text(arg));
        }
    }
}

char *monitor_reference(void)
{
    g_autoptr(GPtrArray) commands = monitor_commands_load(NULL);
    GString *out = g_string_new(
        "# Monitor reference\n\n"
        "Written by `make docs` from the command table; `help` in the monitor says the same.\n");

    for (guint i = 0; commands && i < commands->len; i++) {
        append_command(commands->pdata[i], out);
    }
    return g_string_free(out, FALSE);
}
