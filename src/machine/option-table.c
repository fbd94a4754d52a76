/* SPDX-License-Identifier: MIT */
/* The table of options, and what the simple ones do. */
#include "options-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "tessera/machine/machine.h"
#include "tessera/util/error.h"
#include "tessera/util/log.h"
#include "tessera/util/trace-control.h"
#include "tessera/util/version.h"

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

static OptionsResult handle_s(MachineConfig *config, const char *text, GError **error)
{
    g_free(config->gdb);
    config->gdb = g_strdup("tcp::1234");
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

static OptionsResult handle_trace(MachineConfig *config, const char *text, GError **error)
{
    static const char *const known[] = { "enable", "file", NULL };
    g_autoptr(Keyval) kv = keyval_parse(text, "enable", error);
    const char *pattern;

    if (kv && keyval_wants_help(kv)) {
        g_autofree char *help = trace_help();

        return options_answer(help, error);
    }
    if (!kv || !keyval_check_known(kv, "-trace", known, error)) {
        g_prefix_error(error, kv ? "" : "-trace: ");
        return OPTIONS_ERROR;
    }
    pattern = keyval_get(kv, "enable");
    if (pattern && !trace_check_pattern(pattern + (pattern[0] == '-'), error)) {
        g_prefix_error(error, "-trace %s: ", text);
        return OPTIONS_ERROR;
    }
    if (!option_get_text(kv, "-trace", "file", &config->trace_file, error)) {
        return OPTIONS_ERROR;
    }
    if (pattern) {
        g_ptr_array_add(config->traces, g_strdup(pattern));
    }
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

const Option options[] = {
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
              "full-render=on|off, memory-backend=ID; help: what they mean" },
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
              "unix:PATH[,server=on|off][,wait=on|off], tcp:[HOST]:PORT with the same, pty, null or "
              "none (default stdio); "
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
    { "gdb", .argument = "tcp:[HOST]:PORT|unix:PATH", TEXT_AT(gdb),
      .help = "let gdb connect there and debug the guest; without HOST from this host only" },
    { "s", .handle = handle_s, .help = "the same as -gdb tcp::1234" },

    { .help = "Log and help" },
    { "d", .argument = "ITEM[,ITEM]...", .handle = handle_log,
      .help = "what to log, on standard error; help: the items; all, none, -ITEM: not that one" },
    { "D", .argument = "FILE", TEXT_AT(log_file),
      .help = "write the log there; %d in it becomes the process id" },
    { "trace", .argument = "[enable=]PATTERN[,file=FILE]", .handle = handle_trace,
      .help = "trace events: those whose names match PATTERN, as text on standard error or in FILE, "
              "or for Perfetto where FILE ends with .json; several are possible; help: the events" },
    { "help", "h", .handle = handle_help, .help = "this text" },
    { "version", .handle = handle_version, .help = "the version" },
};

const size_t option_count = G_N_ELEMENTS(options);
