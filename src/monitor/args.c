/* SPDX-License-Identifier: MIT */
/* Arguments of monitor commands: from words (HMP) or JSON (QMP), checked against the table. */
#include "monitor-internal.h"

#include <string.h>
#include "tessera/util/error.h"
#include "tessera/util/keyval.h"
#include "tessera/util/size.h"
#include "tessera/util/suggest.h"

/* Words. */

/* What stands between words; a program may have kept the end of the line. */
#define BLANKS " \t\r\n"

/* Takes one word off *@p: up to a blank, or what stands in double quotes (\" and \\ inside). */
static char *take_word(const char **p, GError **error)
{
    g_autoptr(GString) word = g_string_new(NULL);
    const char *c = *p;

    if (*c != '"') {
        size_t len = strcspn(c, BLANKS);

        *p = c + len;
        return g_strndup(c, len);
    }
    for (c++; *c && *c != '"'; c++) {
        if (c[0] == '\\' && (c[1] == '"' || c[1] == '\\')) {
            c++;
        }
        g_string_append_c(word, *c);
    }
    if (*c != '"') {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "the quotation mark before '%s' is not closed", word->str);
        return NULL;
    }
    c++;
    if (*c && !strchr(BLANKS, *c)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "a blank must follow the quotation mark behind '%s'; quote a whole word, and "
                    "write \\\" for a quotation mark in it",
                    word->str);
        return NULL;
    }
    *p = c;
    return g_string_free(g_steal_pointer(&word), FALSE);
}

char **monitor_args_split(const char *line, GError **error)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    const char *p = line;

    for (;;) {
        char *word;

        p += strspn(p, BLANKS);
        if (!*p) {
            break;
        }
        word = take_word(&p, error);
        if (!word) {
            return NULL;
        }
        g_ptr_array_add(words, word);
    }
    g_ptr_array_add(words, NULL);
    g_ptr_array_set_free_func(words, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&words), FALSE);
}

/* What is left of the words while a table is worked through. */
typedef struct WordCursor {
    Monitor *mon;
    const MonitorCommand *cmd;
    char *const *words;
    json_t *args;
} WordCursor;

static bool set_wrong(const MonitorCommand *cmd, const MonitorArg *arg, GError **error)
{
    g_autofree char *usage = monitor_command_usage(cmd);

    g_prefix_error(error, "%s: %s: ", usage, arg->name);
    return false;
}

/* Does an expression that ends in @word go on with @next? "$rsp + 8", but not "0 16 /tmp/file". */
static bool goes_on(const char *word, const char *next, int *brackets)
{
    static const char operators[] = "+-*/%&|^~(";

    for (const char *p = word; *p; p++) {
        *brackets += *p == '(' ? 1 : *p == ')' ? -1 : 0;
    }
    return next && (*brackets > 0 || (*word && strchr(operators, word[strlen(word) - 1])) ||
                    (next[0] && !next[1] && strchr(operators, next[0])));
}

/* Takes the words of one expression. */
static char *take_expression(WordCursor *c)
{
    g_autoptr(GString) text = g_string_new(*c->words);
    int brackets = 0;

    while (goes_on(c->words[0], c->words[1], &brackets)) {
        c->words++;
        g_string_append_printf(text, " %s", *c->words);
    }
    c->words++;
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static bool add_integer(WordCursor *c, const MonitorArg *arg, GError **error)
{
    g_autofree char *text = arg->type == MONITOR_ARG_SIZE ? g_strdup(*c->words++)
                                                          : take_expression(c);
    uint64_t value = 0;
    bool ok = arg->type == MONITOR_ARG_SIZE ? size_parse(text, 1, &value, error)
                                            : monitor_expression(c->mon, text, &value, NULL, error);

    if (ok && arg->type == MONITOR_ARG_INT && value > INT64_MAX) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "'%s' is negative", text);
        ok = false;
    }
    if (!ok) {
        return set_wrong(c->cmd, arg, error);
    }
    json_object_set_new(c->args, arg->name, json_integer((json_int_t)value));
    return true;
}

static bool add_bool(WordCursor *c, const MonitorArg *arg, GError **error)
{
    bool value = false;

    if (!bool_parse(*c->words, &value, error)) {
        return set_wrong(c->cmd, arg, error);
    }
    c->words++;
    json_object_set_new(c->args, arg->name, json_boolean(value));
    return true;
}

static bool add_keyval(WordCursor *c, const MonitorArg *arg, GError **error)
{
    g_autoptr(Keyval) kv = keyval_parse(*c->words, arg->implied_key, error);

    if (!kv) {
        return set_wrong(c->cmd, arg, error);
    }
    for (unsigned i = 0; i < keyval_count(kv); i++) {
        const KeyvalPair *pair = keyval_pair(kv, i);

        json_object_set_new(c->args, pair->key, json_string(pair->value));
    }
    c->words++;
    return true;
}

static bool add_rest(WordCursor *c, const MonitorArg *arg)
{
    g_autofree char *text = g_strjoinv(" ", (char **)c->words);

    json_object_set_new(c->args, arg->name, json_string(text));
    while (*c->words) {
        c->words++;
    }
    return true;
}

static bool set_missing(const WordCursor *c, const MonitorArg *arg, GError **error)
{
    g_autofree char *usage = monitor_command_usage(c->cmd);

    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "%s is missing; usage: %s", arg->name,
                usage);
    return false;
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

/* By its name, where that is not NULL, else by its letter. */
static const MonitorArg *find_flag(const MonitorCommand *cmd, const char *name, char letter,
                                   GError **error)
{
    const char one[] = { letter, '\0' };
    g_autofree char *usage = NULL;

    for (const MonitorArg *arg = cmd->args; arg && arg->name; arg++) {
        if (monitor_arg_is_flag(arg) &&
            (name ? strcmp(arg->name, name) == 0 : arg->flag == letter)) {
            return arg;
        }
    }
    usage = monitor_command_usage(cmd);
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "there is no flag %s%s; usage: %s",
                name ? "--" : "-", name ? name : one, usage);
    return NULL;
}

/* The value of a flag that has one is the next word. */
static bool take_flag_value(WordCursor *c, const MonitorArg *arg, GError **error)
{
    if (!*c->words) {
        return set_missing(c, arg, error);
    }
    if (arg->type == MONITOR_ARG_INT) {
        return add_integer(c, arg, error);
    }
    json_object_set_new(c->args, arg->name, json_string(*c->words++));
    return true;
}

static bool take_named_flag(WordCursor *c, GError **error)
{
    const MonitorArg *arg = find_flag(c->cmd, *c->words++ + 2, 0, error);

    if (!arg) {
        return false;
    }
    if (arg->type == MONITOR_ARG_FLAG) {
        json_object_set_new(c->args, arg->name, json_true());
        return true;
    }
    return take_flag_value(c, arg, error);
}

/* One word of letters. The value of one that has one stands in the next word: "-c 1", "-gc 1". */
static bool take_flag_word(WordCursor *c, GError **error)
{
    const char *letters = *c->words++ + 1;

    for (const char *letter = letters; *letter; letter++) {
        const MonitorArg *arg = find_flag(c->cmd, NULL, *letter, error);

        if (!arg) {
            return false;
        }
        if (arg->type == MONITOR_ARG_FLAG) {
            json_object_set_new(c->args, arg->name, json_true());
            continue;
        }
        return letter[1] ? set_missing(c, arg, error) : take_flag_value(c, arg, error);
    }
    return true;
}

/* Flags stand wherever they like between the words of a command that has some. */
static bool take_flags(WordCursor *c, GError **error)
{
    bool ok = true;

    if (!has_flags(c->cmd)) {
        return true;
    }
    while (ok && *c->words && (*c->words)[0] == '-') {
        if (g_ascii_isalpha((*c->words)[1])) {
            ok = take_flag_word(c, error);
        } else if ((*c->words)[1] == '-' && g_ascii_isalpha((*c->words)[2])) {
            ok = take_named_flag(c, error);
        } else {
            break;
        }
    }
    return ok;
}

static bool take_argument(WordCursor *c, const MonitorArg *arg, GError **error)
{
    if (monitor_arg_is_flag(arg)) {
        return true;
    }
    if (arg->type == MONITOR_ARG_FORMAT) {
        if (*c->words && (*c->words)[0] == '/') {
            json_object_set_new(c->args, arg->name, json_string(*c->words + 1));
            c->words++;
        }
        return true;
    }
    if (!*c->words) {
        return arg->optional || set_missing(c, arg, error);
    }
    switch (arg->type) {
    case MONITOR_ARG_INT:
    case MONITOR_ARG_SIZE:
    case MONITOR_ARG_ADDR:
        return add_integer(c, arg, error);
    case MONITOR_ARG_BOOL:
        return add_bool(c, arg, error);
    case MONITOR_ARG_KEYVAL:
        return add_keyval(c, arg, error);
    case MONITOR_ARG_REST:
        return add_rest(c, arg);
    default:
        json_object_set_new(c->args, arg->name, json_string(*c->words));
        c->words++;
        return true;
    }
}

json_t *monitor_args_from_words(Monitor *mon, const MonitorCommand *cmd, char *const *words,
                                GError **error)
{
    json_t *args = json_object();
    WordCursor c = { mon, cmd, words, args };
    bool ok = true;

    for (const MonitorArg *arg = cmd->args; ok && arg && arg->name; arg++) {
        ok = take_flags(&c, error) && take_argument(&c, arg, error);
    }
    ok = ok && take_flags(&c, error);
    if (ok && *c.words) {
        g_autofree char *usage = monitor_command_usage(cmd);

        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "'%s' is one word too many; usage: %s", *c.words, usage);
        ok = false;
    }
    if (!ok) {
        json_decref(args);
        return NULL;
    }
    return args;
}

/* JSON. */

static const char *type_name(MonitorArgType type)
{
    switch (type) {
    case MONITOR_ARG_INT:
    case MONITOR_ARG_SIZE:
    case MONITOR_ARG_ADDR:
        return "integer";
    case MONITOR_ARG_BOOL:
    case MONITOR_ARG_FLAG:
        return "boolean";
    default:
        return "string";
    }
}

static bool type_fits(MonitorArgType type, const json_t *value)
{
    switch (type) {
    case MONITOR_ARG_INT:
    case MONITOR_ARG_SIZE:
    case MONITOR_ARG_ADDR:
        return json_is_integer(value);
    case MONITOR_ARG_BOOL:
    case MONITOR_ARG_FLAG:
        return json_is_boolean(value);
    default:
        return json_is_string(value);
    }
}

/* Negative is what only addresses may be: the upper half of them, as JSON's integers are signed. */
static bool check_sign(const MonitorArg *arg, const json_t *value, GError **error)
{
    bool counts = arg->type == MONITOR_ARG_INT || arg->type == MONITOR_ARG_SIZE;

    if (counts && json_integer_value(value) < 0) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "Parameter '%s' must not be negative: %" JSON_INTEGER_FORMAT " was given",
                    arg->name, json_integer_value(value));
        return false;
    }
    return true;
}

static const MonitorArg *find_argument(const MonitorCommand *cmd, const char *key)
{
    for (const MonitorArg *arg = cmd->args; arg && arg->name; arg++) {
        bool keyval = arg->type == MONITOR_ARG_KEYVAL;

        if (g_strcmp0(keyval ? arg->implied_key : arg->name, key) == 0) {
            return arg;
        }
    }
    return NULL;
}

static bool takes_any_member(const MonitorCommand *cmd)
{
    for (const MonitorArg *arg = cmd->args; arg && arg->name; arg++) {
        if (arg->type == MONITOR_ARG_KEYVAL) {
            return true;
        }
    }
    return false;
}

static bool set_unknown_member(const MonitorCommand *cmd, const char *key, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *hint = NULL;

    for (const MonitorArg *arg = cmd->args; arg && arg->name; arg++) {
        g_ptr_array_add(names, (void *)arg->name);
    }
    g_ptr_array_add(names, NULL);
    hint = suggest_phrase(key, (const char *const *)names->pdata);
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "Parameter '%s' is unexpected%s", key,
                hint);
    return false;
}

bool monitor_args_check(const MonitorCommand *cmd, const json_t *args, GError **error)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)args, key, value) {
        const MonitorArg *arg = find_argument(cmd, key);

        if (!arg) {
            if (!takes_any_member(cmd)) {
                return set_unknown_member(cmd, key, error);
            }
        } else if (!type_fits(arg->type, value)) {
            g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                        "Invalid parameter type for '%s', expected: %s", key,
                        type_name(arg->type));
            return false;
        } else if (!check_sign(arg, value, error)) {
            return false;
        }
    }
    for (const MonitorArg *arg = cmd->args; arg && arg->name; arg++) {
        const char *name = arg->type == MONITOR_ARG_KEYVAL ? arg->implied_key : arg->name;

        if (!arg->optional && arg->type != MONITOR_ARG_FLAG && name &&
            !json_object_get(args, name)) {
            g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "Parameter '%s' is missing",
                        name);
            return false;
        }
    }
    return true;
}
