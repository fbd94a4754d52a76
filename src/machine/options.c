/* SPDX-License-Identifier: MIT */
/* The command line, read in QEMU's spelling by the table of options; and -help. */
#include "options-internal.h"

#include <string.h>
#include "tessera/machine/machine.h"
#include "tessera/util/error.h"
#include "tessera/util/suggest.h"

/* Options of QEMU that people will try, and what to do instead. */
typedef struct ForeignOption {
    const char *names; /* separated by blanks */
    const char *advice;
} ForeignOption;

static const ForeignOption foreign_options[] = {
    { "bios pflash L", "there is no firmware; a kernel is started directly, by -kernel" },
    { "drive hda hdb hdc hdd cdrom blockdev fda fdb sd mtdblock snapshot boot",
      "there are no disks; put the root file system into an initrd, by -initrd" },
    { "netdev", "there is no network" },
    { "chardev", "a back end is named where it is used: -serial file:PATH, for example" },
    { "mon", "monitors are named with their back end: -monitor unix:PATH,server=on,wait=off for "
             "people, -qmp with the same for programs" },
    { "qmp-pretty", "-qmp answers in one line each; 'jq' makes it pretty" },
    { "vnc spice sdl full-screen", "there are no graphics; the guest's console is -serial" },
    { "mem-path", "use -object memory-backend-file,id=m,size=SIZE,mem-path=PATH "
                  "-machine memory-backend=m" },
    { "mem-prealloc", "use -object memory-backend-ram,id=m,size=SIZE,prealloc=on "
                      "-machine memory-backend=m" },
    { "daemonize", "there is no such mode; start it in the background, with -serial file:PATH" },
};

/* Columns of -help: where explanations start, and where lines end. */
#define HELP_COLUMN 26
#define HELP_WIDTH  79

/* Appends @text with line breaks, from column HELP_COLUMN on; the output stands at @column. */
static void append_wrapped(GString *out, gsize column, const char *text)
{
    g_auto(GStrv) words = g_strsplit(text, " ", 0);

    g_string_append_printf(out, "%*s", (int)(HELP_COLUMN - column), "");
    column = HELP_COLUMN;
    for (int i = 0; words[i]; i++) {
        gsize len = strlen(words[i]);

        if (column > HELP_COLUMN && column + 1 + len > HELP_WIDTH) {
            g_string_append_printf(out, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        } else if (i > 0) {
            g_string_append_c(out, ' ');
            column++;
        }
        g_string_append(out, words[i]);
        column += len;
    }
    g_string_append_c(out, '\n');
}

static void append_help(GString *out, const Option *o)
{
    gsize start = out->len;

    g_string_append_printf(out, "  -%s", o->name);
    if (o->alias) {
        g_string_append_printf(out, ", -%s", o->alias);
    }
    if (o->argument) {
        g_string_append_printf(out, " %s", o->argument);
    }
    if (out->len - start > HELP_COLUMN - 2) {
        g_string_append_c(out, '\n');
        start = out->len;
    }
    append_wrapped(out, out->len - start, o->help);
}

char *options_help(void)
{
    GString *out = g_string_new("Usage: tessera -kernel FILE [OPTION]...\n"
                                "Starts a virtual machine on KVM. Each option may have one dash or "
                                "two.\n");

    for (size_t i = 0; i < option_count; i++) {
        if (options[i].name) {
            append_help(out, &options[i]);
        } else {
            g_string_append_printf(out, "\n%s:\n", options[i].help);
        }
    }
    return g_string_free(out, FALSE);
}

static const Option *find_option(const char *name)
{
    for (size_t i = 0; i < option_count; i++) {
        if (options[i].name &&
            (strcmp(name, options[i].name) == 0 || g_strcmp0(name, options[i].alias) == 0)) {
            return &options[i];
        }
    }
    return NULL;
}

/* "-name" or "--name" without its dashes; NULL: not in the form of an option. */
static const char *option_name(const char *word)
{
    if (word[0] != '-' || word[1] == '\0') {
        return NULL;
    }
    return word[1] == '-' ? word + 2 : word + 1;
}

static const char *foreign_advice(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(foreign_options); i++) {
        g_auto(GStrv) names = g_strsplit(foreign_options[i].names, " ", 0);

        if (g_strv_contains((const char *const *)names, name)) {
            return foreign_options[i].advice;
        }
    }
    return NULL;
}

static const char *nearest_option(const char *name)
{
    g_autofree const char **names = g_new0(const char *, 2 * option_count + 1);
    size_t n = 0;

    for (size_t i = 0; i < option_count; i++) {
        if (options[i].name) {
            names[n++] = options[i].name;
        }
        if (options[i].alias) {
            names[n++] = options[i].alias;
        }
    }
    return suggest_name(name, names);
}

static OptionsResult refuse_unknown(const char *word, const char *name, GError **error)
{
    const char *advice = foreign_advice(name);
    g_autofree char *before_equals = g_strndup(name, strcspn(name, "="));
    const Option *meant = strchr(name, '=') ? find_option(before_equals) : NULL;
    const char *nearest;

    if (advice) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND, "unknown option %s: %s", word,
                    advice);
        return OPTIONS_ERROR;
    }
    if (meant && meant->argument) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                    "unknown option %s: write the argument behind a blank: -%s %s", word,
                    before_equals, strchr(name, '=') + 1);
        return OPTIONS_ERROR;
    }
    nearest = nearest_option(before_equals);
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND, "unknown option %s%s%s%s", word,
                nearest ? " (did you mean -" : "; -help lists them all", nearest ? nearest : "",
                nearest ? "?)" : "");
    return OPTIONS_ERROR;
}

static bool check_argument(const Option *o, const char *argument, GError **error)
{
    const char *name = argument ? option_name(argument) : NULL;

    if (!argument) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "-%s needs an argument: -%s %s",
                    o->name, o->name, o->argument);
        return false;
    }
    if (o->any_text) {
        return true;
    }
    if (argument[0] == '\0') {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "-%s '': the argument is empty; write -%s %s", o->name, o->name, o->argument);
        return false;
    }
    if (name && find_option(name)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "-%s needs an argument, but another option, %s, follows; write -%s %s", o->name,
                    argument, o->name, o->argument);
        return false;
    }
    return true;
}

static OptionsResult apply(const Option *o, MachineConfig *config, const char *argument,
                           GError **error)
{
    if (o->handle) {
        return o->handle(config, argument, error);
    }
    if (o->argument) {
        char **text = G_STRUCT_MEMBER_P(config, o->text_at);

        g_free(*text);
        *text = g_strdup(argument);
    } else {
        G_STRUCT_MEMBER(bool, config, o->flag_at) = true;
    }
    return OPTIONS_RUN;
}

/*
 * Without a size of its own, -m has that of the object which becomes boot RAM. What is wrong with the
 * object, or that there is none of that id, is said when it is made.
 */
static void take_size_of_backend(MachineConfig *config)
{
    for (unsigned i = 0; i < config->objects->len; i++) {
        g_autoptr(Keyval) kv = keyval_parse(config->objects->pdata[i], "qom-type", NULL);

        if (kv && g_strcmp0(keyval_get(kv, "id"), config->memory_backend) == 0) {
            keyval_get_size(kv, "-object", "size", 1, &config->ram_size, NULL);
        }
    }
}

/* What only all options together can break. */
static bool check_together(const MachineConfig *config, GError **error)
{
    const char *orphan = config->initrd ? "-initrd" : config->append ? "-append" : NULL;

    if (!config->kernel && orphan) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "%s '%s' without a kernel that would get it; give -kernel FILE too", orphan,
                    config->initrd ? config->initrd : config->append);
        return false;
    }
    if (!config->kernel && !config->dump_dtb) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "nothing to boot: give -kernel FILE (-help lists all options)");
        return false;
    }
    return true;
}

OptionsResult options_parse(int argc, char *const argv[], MachineConfig **ret_config,
                            GError **error)
{
    g_autoptr(MachineConfig) config = machine_config_new();

    for (int i = 1; i < argc; i++) {
        const char *name = option_name(argv[i]);
        const Option *o = name ? find_option(name) : NULL;
        OptionsResult result;

        if (!name) {
            g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                        "'%s' is not an option: there are no disks to name; a kernel is given by "
                        "-kernel FILE",
                        argv[i]);
            return OPTIONS_ERROR;
        }
        if (!o) {
            return refuse_unknown(argv[i], name, error);
        }
        if (o->argument && !check_argument(o, i + 1 < argc ? argv[i + 1] : NULL, error)) {
            return OPTIONS_ERROR;
        }
        result = apply(o, config, o->argument ? argv[++i] : NULL, error);
        if (result != OPTIONS_RUN) {
            return result;
        }
    }
    if (!check_together(config, error)) {
        return OPTIONS_ERROR;
    }
    if (config->memory_backend && !config->ram_size_given) {
        take_size_of_backend(config);
    }
    *ret_config = g_steal_pointer(&config);
    return OPTIONS_RUN;
}
