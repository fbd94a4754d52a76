/* SPDX-License-Identifier: MIT */
/* Finding monitor commands by name. */
#include "monitor-internal.h"

#include <string.h>

TESSERA_REGISTRY(monitor_command);

#define NAME_WORDS_MAX 3 /* "info memory-devices" has two */

GPtrArray *monitor_commands_load(GError **error)
{
    return registry_load(REGISTRY(monitor_command), error);
}

const MonitorCommand *monitor_command_by_qmp(MonitorHub *hub, const char *name)
{
    for (guint i = 0; i < hub->commands->len; i++) {
        const MonitorCommand *cmd = hub->commands->pdata[i];

        if (cmd->qmp && strcmp(cmd->qmp, name) == 0) {
            return cmd;
        }
    }
    return NULL;
}

static bool hmp_name_is(const MonitorCommand *cmd, const char *name)
{
    g_auto(GStrv) forms = cmd->hmp ? g_strsplit(cmd->hmp, "|", -1) : NULL;

    return forms && g_strv_contains((const char *const *)forms, name);
}

const MonitorCommand *monitor_command_by_hmp(MonitorHub *hub, char *const *words,
                                             unsigned *ret_used)
{
    unsigned given = 0;

    while (given < NAME_WORDS_MAX && words[given]) {
        given++;
    }
    for (unsigned n = given; n > 0; n--) {
        g_autoptr(GString) name = g_string_new(words[0]);

        for (unsigned i = 1; i < n; i++) {
            g_string_append_printf(name, " %s", words[i]);
        }
        for (guint i = 0; i < hub->commands->len; i++) {
            if (hmp_name_is(hub->commands->pdata[i], name->str)) {
                *ret_used = n;
                return hub->commands->pdata[i];
            }
        }
    }
    return NULL;
}

char *monitor_command_hmp_name(const MonitorCommand *cmd)
{
    return g_strndup(cmd->hmp, strcspn(cmd->hmp, "|"));
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **monitor_command_hmp_names(MonitorHub *hub)
{
    GPtrArray *names = g_ptr_array_new();

    for (guint i = 0; i < hub->commands->len; i++) {
        const MonitorCommand *cmd = hub->commands->pdata[i];

        if (cmd->hmp) {
            g_autofree char *name = monitor_command_hmp_name(cmd);

            g_ptr_array_add(names, (void *)g_intern_string(name));
        }
    }
    g_ptr_array_sort(names, compare_names);
    g_ptr_array_add(names, NULL);
    return (const char **)g_ptr_array_free(names, FALSE);
}

static void append_argument(GString *out, const MonitorArg *arg)
{
    g_string_append(out, arg->optional || arg->type == MONITOR_ARG_FLAG ? " [" : " ");
    switch (arg->type) {
    case MONITOR_ARG_FLAG:
        if (arg->flag) {
            g_string_append_printf(out, "-%c", arg->flag);
        } else {
            g_string_append_printf(out, "--%s", arg->name);
        }
        break;
    case MONITOR_ARG_FORMAT:
        g_string_append_printf(out, "/%s", arg->name);
        break;
    case MONITOR_ARG_KEYVAL:
        g_string_append_printf(out, "%s[,prop=value...]",
                               arg->implied_key ? arg->implied_key : arg->name);
        break;
    default:
        if (arg->flag) {
            g_string_append_printf(out, "-%c ", arg->flag);
        }
        g_string_append(out, arg->name);
        break;
    }
    if (arg->optional || arg->type == MONITOR_ARG_FLAG) {
        g_string_append_c(out, ']');
    }
}

char *monitor_command_usage(const MonitorCommand *cmd)
{
    g_autofree char *name = monitor_command_hmp_name(cmd);
    GString *out = g_string_new(name);

    for (const MonitorArg *arg = cmd->args; arg && arg->name; arg++) {
        append_argument(out, arg);
    }
    return g_string_free(out, FALSE);
}
