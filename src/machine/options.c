/* SPDX-License-Identifier: MIT */
/* The command line: a table of options, read in QEMU's spelling. */
#include "options-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "tessera/machine/machine.h"
#include "tessera/util/error.h"
#include "tessera/util/log.h"
#include "tessera/util/object-class.h"
#include "tessera/util/suggest.h"
#include "tessera/util/version.h"

typedef OptionsResult OptionHandler(MachineConfig *config, const char *text, GError **error);

/**
 * struct Option - one option, or a heading of -help
 * @name: without dashes; NULL: a heading, @help is its text
 * @alias: another name, or NULL
 * @argument: what follows, for people; NULL: nothing does
 * @help: for -help, which breaks it into lines
 * @handle: reads the argument (NULL where there is none); or, without a handler:
 * @text_at: offset of the char * in MachineConfig that the argument becomes, if there is one
 * @flag_at: offset of the bool that becomes true, if there is none
 * @any_text: the argument may be empty, and may look like an option
 */
typedef struct Option {
    const char *name;
    const char *alias;
    const char *argument;
    const char *help;
    OptionHandler *handle;
    size_t text_at;
    size_t flag_at;
    bool any_text;
} Option;

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
    { "s gdb", "there is no debugger's stub" },
    { "vnc spice sdl full-screen", "there are no graphics; the guest's console is -serial" },
    { "mem-path", "use -object memory-backend-file,id=m,size=SIZE,mem-path=PATH "
                  "-machine memory-backend=m" },
    { "mem-prealloc", "use -object memory-backend-ram,id=m,size=SIZE,prealloc=on "
                      "-machine memory-backend=m" },
    { "daemonize", "there is no such mode; start it in the background, with -serial file:PATH" },
};

OptionsResult options_answer(const char *text, GError **error)
{
    if (fputs(text, stdout) == EOF || fflush(stdout) == EOF) {
        error_set_errno(error, errno, "standard output");
        return OPTIONS_ERROR;
    }
    return OPTIONS_DONE;
}

static bool is_help(const char *text)
{
    return strcmp(text, "help") == 0 || strcmp(text, "?") == 0;
}

static OptionsResult refuse(GError **error, const char *option, const char *value, const char *rule)
{
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "-%s %s: %s", option, value, rule);
    return OPTIONS_ERROR;
}

static OptionsResult handle_help(MachineConfig *config, const char *text, GError **error)
{
    g_autofree char *help = options_help();

    return options_answer(help, error);
}

static OptionsResult handle_version(MachineConfig *config, const char *text, GError **error)
{
    return options_answer("tessera " TESSERA_VERSION "\n", error);
}

static OptionsResult handle_name(MachineConfig *config, const char *text, GError **error)
{
    static const char *const known[] = { "guest", NULL };
    g_autoptr(Keyval) kv = keyval_parse(text, "guest", error);

    if (!kv) {
        g_prefix_error(error, "-name: ");
        return OPTIONS_ERROR;
    }
    return keyval_check_known(kv, "-name", known, error) &&
                   option_get_text(kv, "-name", "guest", &config->name, error)
               ? OPTIONS_RUN
               : OPTIONS_ERROR;
}

static OptionsResult handle_cpu(MachineConfig *config, const char *text, GError **error)
{
    if (is_help(text)) {
        return options_print_cpu_help(error) ? OPTIONS_DONE : OPTIONS_ERROR;
    }
    g_free(config->cpu);
    config->cpu = g_strdup(text);
    return OPTIONS_RUN;
}

static OptionsResult handle_object(MachineConfig *config, const char *text, GError **error)
{
    GError *unknown = NULL;
    g_autofree char *help = object_option_help(text, &unknown);

    if (unknown) {
        g_propagate_error(error, unknown);
        return OPTIONS_ERROR;
    }
    if (help) {
        return options_answer(help, error);
    }
    g_ptr_array_add(config->objects, g_strdup(text));
    return OPTIONS_RUN;
}

static OptionsResult handle_device(MachineConfig *config, const char *text, GError **error)
{
    GError *unknown = NULL;
    g_autofree char *help = machine_device_option_help(text, &unknown);

    if (unknown) {
        g_propagate_prefixed_error(error, unknown, "-device %s: ", text);
        return OPTIONS_ERROR;
    }
    if (help) {
        return options_answer(help, error);
    }
    g_ptr_array_add(config->devices, g_strdup(text));
    return OPTIONS_RUN;
}

static OptionsResult handle_serial(MachineConfig *config, const char *text, GError **error)
{
    g_ptr_array_add(config->serials, g_strdup(text));
    return OPTIONS_RUN;
}

static OptionsResult handle_monitor(MachineConfig *config, const char *text, GError **error)
{
    g_ptr_array_add(config->monitors, g_strdup(text));
    return OPTIONS_RUN;
}

static OptionsResult handle_qmp(MachineConfig *config, const char *text, GError **error)
{
    g_ptr_array_add(config->qmps, g_strdup(text));
    return OPTIONS_RUN;
}

static OptionsResult handle_enable_kvm(MachineConfig *config, const char *text, GError **error)
{
    return OPTIONS_RUN;
}

static OptionsResult handle_no_user_config(MachineConfig *config, const char *text, GError **error)
{
    return OPTIONS_RUN;
}

static OptionsResult handle_log(MachineConfig *config, const char *text, GError **error)
{
    if (is_help(text)) {
        g_autofree char *help = log_items_help();

        return options_answer(help, error);
    }
    g_free(config->log_items);
    config->log_items = g_strdup(text);
    return OPTIONS_RUN;
}

/* Options that scripts pass to switch off what Tessera does not have. */
static OptionsResult handle_display(MachineConfig *config, const char *text, GError **error)
{
    return strcmp(text, "none") == 0
               ? OPTIONS_RUN
               : refuse(error, "display", text,
                        "there are no graphics; say -display none, the guest's console is -serial");
}

static OptionsResult handle_vga(MachineConfig *config, const char *text, GError **error)
{
    return strcmp(text, "none") == 0
               ? OPTIONS_RUN
               : refuse(error, "vga", text, "there are no graphics; say -vga none, or nothing");
}

static OptionsResult handle_parallel(MachineConfig *config, const char *text, GError **error)
{
    return strcmp(text, "none") == 0
               ? OPTIONS_RUN
               : refuse(error, "parallel", text,
                        "there is no parallel port; say -parallel none, or nothing");
}

static OptionsResult handle_net(MachineConfig *config, const char *text, GError **error)
{
    return strcmp(text, "none") == 0
               ? OPTIONS_RUN
               : refuse(error, "nic", text, "there is no network; say -nic none, or nothing");
}

#define TEXT_AT(field) .text_at = offsetof(MachineConfig, field)
#define FLAG_AT(field) .flag_at = offsetof(MachineConfig, field)

static const Option options[] = {
    { .help = "Machine" },
    { "m", .argument = "[size=]N[B|K|M|G|T][,slots=N,maxmem=SIZE]", .handle = memory_option,
      .help = "boot RAM, MiB without a suffix (default 128M); slots: sockets for memory that is "
              "plugged in later, maxmem: the most that all of it may add up to" },
    { "smp", .argument = "[cpus=]N", .handle = smp_option,
      .help = "CPUs (default 1); sockets=1,cores=N,threads=1,maxcpus=N are understood" },
    { "cpu", .argument = "host[,+FEATURE][,-FEATURE]", .handle = handle_cpu,
      .help = "what the guest sees of the host's CPU (default host); help: the features" },
    { "machine", "M", .argument = "[type=]pc[,PROPERTY=VALUE]...", .handle = machine_option,
      .help = "the board: accel=kvm, dtb=on|off, dumpdtb=FILE, dump-memory-map=FILE, "
              "memory-backend=ID; help: what they mean" },
    { "accel", .argument = "kvm[,device=PATH]", .handle = accel_option,
      .help = "what runs the guest: KVM, by its device file (default /dev/kvm)" },
    { "enable-kvm", .handle = handle_enable_kvm, .help = "the same as -accel kvm, the default" },
    { "object", .argument = "TYPE,id=ID[,PROPERTY=VALUE]...", .handle = handle_object,
      .help = "make a host object, such as a memory backend; help: the types; TYPE,help: the "
              "properties of one" },
    { "device", .argument = "DRIVER,id=ID[,PROPERTY=VALUE]...", .handle = handle_device,
      .help = "plug a device in before the machine starts, such as a DIMM (pc-dimm); help: the "
              "drivers; DRIVER,help: the properties of one" },
    { "name", .argument = "NAME", .handle = handle_name, .help = "the machine's name, for people" },

    { .help = "Linux kernel" },
    { "kernel", .argument = "FILE", TEXT_AT(kernel),
      .help = "the kernel to start: a bzImage (vmlinuz), or an ELF vmlinux with a PVH entry" },
    { "initrd", .argument = "FILE", TEXT_AT(initrd), .help = "its initial RAM disk" },
    { "append", .argument = "TEXT", TEXT_AT(append), .any_text = true,
      .help = "its command line, for example \"console=ttyS0\"" },

    { .help = "Consoles and devices" },
    { "serial", .argument = "BACKEND", .handle = handle_serial,
      .help = "the serial port's other end: stdio, file:PATH, "
              "unix:PATH[,server=on|off][,wait=on|off], pty, null or none (default stdio); "
              "mon:BACKEND shares it with a monitor, Ctrl-A c turns to the other" },
    { "monitor", .argument = "BACKEND", .handle = handle_monitor,
      .help = "a monitor for people, on a back end as above; several are possible (default: shares "
              "the terminal with the serial port)" },
    { "qmp", .argument = "BACKEND", .handle = handle_qmp,
      .help = "a monitor for programs, which speaks QMP; several are possible" },
    { "nographic", FLAG_AT(nographic),
      .help = "the serial port and a monitor on the terminal, as by default" },
    { "nodefaults", FLAG_AT(nodefaults),
      .help = "no serial port and no monitor that was not asked for" },
    { "display", .argument = "none", .handle = handle_display, .help = "there are no graphics" },
    { "vga", .argument = "none", .handle = handle_vga, .help = "there is no graphics card" },
    { "nic", "net", .argument = "none", .handle = handle_net, .help = "there is no network" },
    { "parallel", .argument = "none", .handle = handle_parallel, .help = "there is no such port" },
    { "no-user-config", .handle = handle_no_user_config,
      .help = "there are no configuration files" },

    { .help = "Running" },
    { "no-reboot", FLAG_AT(no_reboot), .help = "end when the guest resets the machine" },
    { "S", FLAG_AT(stopped), .help = "make the machine, but do not start its CPUs: a monitor's cont does" },

    { .help = "Log and help" },
    { "d", .argument = "ITEM[,ITEM]...", .handle = handle_log,
      .help = "what to log, on standard error; help: the items; all, none, -ITEM: not that one" },
    { "D", .argument = "FILE", TEXT_AT(log_file),
      .help = "write the log there; %d in it becomes the process id" },
    { "help", "h", .handle = handle_help, .help = "this text" },
    { "version", .handle = handle_version, .help = "the version" },
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

    for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
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
    for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
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
    const char *names[2 * G_N_ELEMENTS(options) + 1] = { NULL };
    size_t n = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
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
