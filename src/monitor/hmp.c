/* SPDX-License-Identifier: MIT */
/* HMP: the monitor for people. */
#include "monitor-internal.h"

#include <string.h>
#include "tessera/util/error.h"
#include "tessera/util/suggest.h"
#include "tessera/util/trace.h"
#include "tessera/util/version.h"

#define NAME_SHOWN 64 /* of an unknown command: it may be a megabyte of junk */

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

#define HELP_SUMMARY "help|? [command] -- Says what the commands do, or one of them.\n"

static void help_all(MonitorHub *hub, const char *prefix, GString *out)
{
    g_autofree const char **names = monitor_command_hmp_names(hub);

    if (!*prefix) {
        g_string_append(out, HELP_SUMMARY);
    }
    for (const char **name = names; *name; name++) {
        if (g_str_has_prefix(*name, prefix)) {
            g_auto(GStrv) words = g_strsplit(*name, " ", -1);
            unsigned used;

            append_summary(monitor_command_by_hmp(hub, words, &used), out);
        }
    }
}

/* What follows a name are its arguments: the nearest to two words, or to one. */
static bool set_unknown(MonitorHub *hub, char *const *words, GError **error)
{
    g_autofree const char **names = monitor_command_hmp_names(hub);
    g_autofree char *given = words[1] ? g_strdup_printf("%s %s", words[0], words[1])
                                      : g_strdup(words[0]);
    const char *near = suggest_name(given, names);

    if (!near && strcmp(words[0], "info") != 0) {
        near = suggest_name(words[0], names);
    }
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                "unknown command: '%.*s'%s%s%s; 'help' lists all", NAME_SHOWN, given,
                near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
    return false;
}

static bool is_help(const char *word)
{
    return strcmp(word, "help") == 0 || strcmp(word, "?") == 0;
}

static bool run_help(Monitor *mon, char *const *words, GString *out, GError **error)
{
    const MonitorCommand *cmd;
    unsigned used;

    if (!words[0]) {
        help_all(mon->hub, "", out);
        return true;
    }
    if (is_help(words[0]) && !words[1]) {
        g_string_append(out, HELP_SUMMARY);
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
    size_t word = strcspn(line, " \t\r\n\"/");

    if (line[word] != '/') {
        return g_strdup(line);
    }
    return g_strdup_printf("%.*s %s", (int)word, line, line + word);
}

static void trace_begin(const MonitorCommand *cmd)
{
    if (trace_on(monitor_command_begin)) {
        g_autofree char *name = monitor_command_hmp_name(cmd);

        trace_event(monitor_command_begin, .command = name, .monitor = "hmp");
    }
}

static void trace_end(const MonitorCommand *cmd, const char *error, bool ok)
{
    if (trace_on(monitor_command_end)) {
        g_autofree char *name = monitor_command_hmp_name(cmd);

        trace_event(monitor_command_end, .command = name, .ok = ok, .error = error);
    }
}

static bool run_command(Monitor *mon, const MonitorCommand *cmd, char *const *words, GString *out,
                        GError **error)
{
    json_t *args = monitor_args_from_words(mon, cmd, words, error);
    json_t *result = NULL;
    bool ok = args != NULL;

    trace_begin(cmd);
    if (ok && cmd->run_text) {
        ok = cmd->run_text(mon, args, out, error);
    } else if (ok) {
        ok = cmd->run(mon, args, &result, error);
        if (ok && cmd->print) {
            cmd->print(result, out);
        }
    }
    trace_end(cmd, ok || !error ? NULL : (*error)->message, ok);
    json_decref(result);
    json_decref(args);
    return ok;
}

bool hmp_run_line(Monitor *mon, const char *line, GString *out, GError **error)
{
    g_autofree char *separated = separate_format(line + strspn(line, " \t\r\n"));
    g_auto(GStrv) words = NULL;
    const MonitorCommand *cmd;
    unsigned used;

    if (!g_utf8_validate(line, -1, NULL)) { /* JSON could not hold its words */
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "the line is not UTF-8");
        return false;
    }
    words = monitor_args_split(separated, error);
    if (!words) {
        return false;
    }
    if (!words[0] || words[0][0] == '#') {
        return true;
    }
    if (is_help(words[0])) {
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
