/* SPDX-License-Identifier: MIT */
/* HMP: the words that can stand where the Tab key was pressed. */
#include "monitor-internal.h"

#include <string.h>

/* The part of a command's name that would follow the words before the last one. */
static void add_command_words(MonitorHub *hub, char *const *words, GPtrArray *out)
{
    g_autofree const char **names = monitor_command_hmp_names(hub);
    g_autofree char *joined = g_strjoinv(" ", (char **)words);
    g_autofree char *before = g_strconcat(joined, *joined ? " " : "", NULL);

    for (const char **name = names; *name; name++) {
        if (g_str_has_prefix(*name, before)) {
            const char *rest = *name + strlen(before);

            g_ptr_array_add(out, g_strndup(rest, strcspn(rest, " ")));
        }
    }
}

static bool has_flags(const MonitorCommand *cmd)
{
    for (const MonitorArg *arg = cmd->args; arg && arg->name; arg++) {
        if (monitor_arg_is_flag(arg)) {
            return true;
        }
    }
    return false;
}

static bool has_format(const MonitorCommand *cmd)
{
    for (const MonitorArg *arg = cmd->args; arg && arg->name; arg++) {
        if (arg->type == MONITOR_ARG_FORMAT) {
            return true;
        }
    }
    return false;
}

/* The argument whose value stands behind the flags @word; NULL: none of them has one. */
static const MonitorArg *valued_flag(const MonitorCommand *cmd, const char *word)
{
    for (const MonitorArg *arg = cmd->args; arg && arg->name; arg++) {
        if (arg->flag && arg->type != MONITOR_ARG_FLAG &&
            (word[1] == '-' ? strcmp(word + 2, arg->name) == 0
                            : word[strlen(word) - 1] == arg->flag)) {
            return arg;
        }
    }
    return NULL;
}

/* The argument that the word behind @words is read as. */
static const MonitorArg *argument_behind(const MonitorCommand *cmd, char *const *words)
{
    bool flags = has_flags(cmd), format = has_format(cmd);
    unsigned index = 0;

    for (; *words; words++) {
        const MonitorArg *valued = NULL;

        if (flags && (*words)[0] == '-') {
            valued = valued_flag(cmd, *words);
        } else {
            index += !(format && (*words)[0] == '/');
        }
        if (valued && !words[1]) {
            return valued;
        }
        words += valued != NULL;
    }
    for (const MonitorArg *arg = cmd->args; arg && arg->name; arg++) {
        if (monitor_arg_is_flag(arg) || arg->type == MONITOR_ARG_FORMAT) {
            continue;
        }
        if (index == 0) {
            return arg;
        }
        index--;
    }
    return NULL;
}

/* Once somebody has typed a dash: "-f"; behind a second one, or without a letter, "--fast". */
static void add_flags(const MonitorCommand *cmd, const char *last, GPtrArray *out)
{
    for (const MonitorArg *arg = cmd->args; arg && arg->name; arg++) {
        if (arg->flag) {
            g_ptr_array_add(out, g_strdup_printf("-%c", arg->flag));
        }
        if (monitor_arg_is_flag(arg) && (!arg->flag || last[1] == '-')) {
            g_ptr_array_add(out, g_strdup_printf("--%s", arg->name));
        }
    }
}

/* "TYPE,name=value,na": names behind a comma, values behind an equals sign; whole words are added. */
static void add_property_words(Machine *machine, const MonitorArg *arg, const char *last,
                               GPtrArray *out)
{
    const char *piece = strrchr(last, ',') + 1;
    const char *equals = strchr(piece, '=');
    g_autofree char *type = g_strndup(last, strcspn(last, ","));
    g_autofree char *key = equals ? g_strndup(piece, (gsize)(equals - piece)) : NULL;
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
    int kept = (int)((equals ? equals + 1 : piece) - last);

    arg->complete_property(machine, type, key, found);
    for (guint i = 0; i < found->len; i++) {
        g_ptr_array_add(out, g_strdup_printf("%.*s%s%s", kept, last, (char *)found->pdata[i],
                                             equals ? "" : "="));
    }
}

static void add_argument_words(Monitor *mon, const MonitorCommand *cmd, char *const *words,
                               const char *last, GPtrArray *out)
{
    const MonitorArg *arg = argument_behind(cmd, words);

    if (last[0] == '-') {
        add_flags(cmd, last, out);
    }
    if (!arg) {
        return;
    }
    if (arg->complete_property && strchr(last, ',')) {
        add_property_words(mon->hub->machine, arg, last, out);
    }
    if (arg->complete) {
        arg->complete(mon->hub->machine, out);
    }
}

static gint compare_words(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Those that begin like @last, sorted, each once. */
static void keep_beginnings(GPtrArray *words, const char *last)
{
    g_ptr_array_sort(words, compare_words);
    for (guint i = words->len; i-- > 0;) {
        bool twice = i > 0 && strcmp(words->pdata[i], words->pdata[i - 1]) == 0;

        if (twice || !g_str_has_prefix(words->pdata[i], last)) {
            g_ptr_array_remove_index(words, i);
        }
    }
}

GPtrArray *hmp_complete(Monitor *mon, const char *line)
{
    GPtrArray *out = g_ptr_array_new_with_free_func(g_free);
    const char *last = line + strlen(line);
    g_autofree char *before = NULL;
    g_auto(GStrv) words = NULL;
    char *const *name;
    const MonitorCommand *cmd;
    unsigned used;

    while (last > line && last[-1] != ' ' && last[-1] != '\t') {
        last--;
    }
    before = g_strndup(line, (gsize)(last - line));
    words = monitor_args_split(before, NULL);
    if (!words) {
        return out; /* within quotation marks */
    }
    name = words[0] && (strcmp(words[0], "help") == 0 || strcmp(words[0], "?") == 0) ? words + 1
                                                                                    : words;
    add_command_words(mon->hub, name, out);
    if (!words[0]) {
        g_ptr_array_add(out, g_strdup("help"));
    }
    cmd = name == words ? monitor_command_by_hmp(mon->hub, words, &used) : NULL;
    if (cmd) {
        add_argument_words(mon, cmd, words + used, last, out);
    }
    keep_beginnings(out, last);
    return out;
}
