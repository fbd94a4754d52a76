/* SPDX-License-Identifier: MIT */
/* HMP: the monitor for people. */
#include "monitor-internal.h"

#include <string.h>
#include "tessera/util/error.h"
#include "tessera/util/suggest.h"
#include "tessera/util/version.h"

void hmp_greet(Monitor *mon)
{
    static const char greeting[] =
        "Tessera " TESSERA_VERSION " monitor - type 'help' for more information\r\n";

    monitor_write(mon, greeting, strlen(greeting));
}

/* help */

static void append_summary(const MonitorCommand *cmd, GString *out)
{
    g_autofree char *usage = monitor_command_usage(cmd);

    g_string_append_printf(out, "%s -- %s\n", usage, cmd->help);
}

static void help_all(MonitorHub *hub, const char *prefix, GString *out)
{
    for (guint i = 0; i < hub->commands->len; i++) {
        const MonitorCommand *cmd = hub->commands->pdata[i];

        if (cmd->hmp && g_str_has_prefix(cmd->hmp, prefix)) {
            append_summary(cmd, out);
        }
    }
}

static bool set_unknown(MonitorHub *hub, char *const *words, GError **error)
{
    g_autofree const char **names = monitor_command_hmp_names(hub);
    g_autofree char *given = g_strjoinv(" ", (char **)words);
    g_autofree char *hint = suggest_phrase(given, names);

    if (!*hint) {
        g_free(hint);
        hint = suggest_phrase(words[0], names);
    }
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                "unknown command: '%s'%s; 'help' lists all", given, hint);
    return false;
}

static bool run_help(Monitor *mon, char *const *words, GString *out, GError **error)
{
    const MonitorCommand *cmd;
    unsigned used;

    if (!words[0]) {
        help_all(mon->hub, "", out);
        return true;
    }
    if (strcmp(words[0], "info") == 0 && !words[1]) {
        help_all(mon->hub, "info ", out);
        return true;
    }
    cmd = monitor_command_by_hmp(mon->hub, words, &used);
    if (!cmd || words[used]) {
        return set_unknown(mon->hub, words, error);
    }
    append_summary(cmd, out);
    if (cmd->details) {
        g_string_append_printf(out, "%s\n", cmd->details);
    }
    return true;
}

/* Running. */

/* "x/16xw ADDR": the format is a word of its own. */
static char *separate_format(const char *line)
{
    size_t word = strcspn(line, " \t\"/");

    if (line[word] != '/') {
        return g_strdup(line);
    }
    return g_strdup_printf("%.*s %s", (int)word, line, line + word);
}

static bool run_command(Monitor *mon, const MonitorCommand *cmd, char *const *words, GString *out,
                        GError **error)
{
    json_t *args = monitor_args_from_words(mon, cmd, words, error);
    json_t *result = NULL;
    bool ok = args != NULL;

    if (ok && cmd->run_text) {
        ok = cmd->run_text(mon, args, out, error);
    } else if (ok) {
        ok = cmd->run(mon, args, &result, error);
        if (ok && cmd->print) {
            cmd->print(result, out);
        }
    }
    json_decref(result);
    json_decref(args);
    return ok;
}

bool hmp_run_line(Monitor *mon, const char *line, GString *out, GError **error)
{
    g_autofree char *separated = separate_format(line + strspn(line, " \t"));
    g_auto(GStrv) words = monitor_args_split(separated, error);
    const MonitorCommand *cmd;
    unsigned used;

    if (!words) {
        return false;
    }
    if (!words[0] || words[0][0] == '#') {
        return true;
    }
    if (strcmp(words[0], "help") == 0 || strcmp(words[0], "?") == 0) {
        return run_help(mon, words + 1, out, error);
    }
    if (strcmp(words[0], "info") == 0 && !words[1]) {
        help_all(mon->hub, "info ", out);
        return true;
    }
    cmd = monitor_command_by_hmp(mon->hub, words, &used);
    if (!cmd) {
        return set_unknown(mon->hub, words, error);
    }
    return run_command(mon, cmd, words + used, out, error);
}

/* Completion. */

/* The part of a command's name that would follow the words before the last one. */
static void add_command_words(MonitorHub *hub, const char *before, GPtrArray *out)
{
    g_autofree const char **names = monitor_command_hmp_names(hub);

    for (const char **name = names; *name; name++) {
        if (g_str_has_prefix(*name, before)) {
            const char *rest = *name + strlen(before);

            g_ptr_array_add(out, g_strndup(rest, strcspn(rest, " ")));
        }
    }
    if (!*before) {
        g_ptr_array_add(out, g_strdup("help"));
    }
}

/* The argument that word number @index (without flags) is read as. */
static const MonitorArg *argument_at(const MonitorCommand *cmd, unsigned index)
{
    for (const MonitorArg *arg = cmd->args; arg && arg->name; arg++) {
        if (arg->type == MONITOR_ARG_FLAG || arg->type == MONITOR_ARG_FORMAT) {
            continue;
        }
        if (index == 0 || arg->type == MONITOR_ARG_KEYVAL || arg->type == MONITOR_ARG_REST) {
            return arg;
        }
        index--;
    }
    return NULL;
}

static void add_argument_words(Monitor *mon, const MonitorCommand *cmd, char *const *words,
                               GPtrArray *out)
{
    const MonitorArg *arg;
    unsigned index = 0;

    for (; *words; words++) {
        index += (*words)[0] != '-' && (*words)[0] != '/';
    }
    arg = argument_at(cmd, index);
    if (arg && arg->complete) {
        arg->complete(mon->hub->machine, out);
    }
}

static void keep_beginnings(GPtrArray *words, const char *last)
{
    for (guint i = words->len; i-- > 0;) {
        bool twice = false;

        for (guint j = 0; j < i && !twice; j++) {
            twice = strcmp(words->pdata[i], words->pdata[j]) == 0;
        }
        if (twice || !g_str_has_prefix(words->pdata[i], last)) {
            g_ptr_array_remove_index(words, i);
        }
    }
}

GPtrArray *hmp_complete(Monitor *mon, const char *line)
{
    GPtrArray *out = g_ptr_array_new_with_free_func(g_free);
    const char *start = line + strspn(line, " \t");
    const char *last = strrchr(start, ' ') ? strrchr(start, ' ') + 1 : start;
    g_autofree char *before = g_strndup(start, (gsize)(last - start));
    g_auto(GStrv) words = monitor_args_split(before, NULL);
    const MonitorCommand *cmd = NULL;
    unsigned used = 0;

    if (words && words[0]) {
        bool help = strcmp(words[0], "help") == 0;

        if (help) {
            memmove(before, before + strlen("help "), strlen(before) - strlen("help ") + 1);
        } else {
            cmd = monitor_command_by_hmp(mon->hub, words, &used);
        }
    }
    add_command_words(mon->hub, before, out);
    if (cmd) {
        add_argument_words(mon, cmd, words + used, out);
    }
    keep_beginnings(out, last);
    return out;
}
