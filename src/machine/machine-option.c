/* SPDX-License-Identifier: MIT */
/* -machine and -accel: the board, and what runs it. */
#include "options-internal.h"

#include <string.h>
#include "tessera/picture/picture.h"
#include "tessera/util/error.h"

typedef struct MachineProperty {
    const char *name;
    const char *argument;
    const char *help;
} MachineProperty;

static const MachineProperty properties[] = {
    { "type", "pc", "the board" },
    { "accel", "kvm", "the accelerator" },
    { "dtb", "on|off", "hand the kernel a device tree of the machine (default off)" },
    { "dumpdtb", "FILE", "write that device tree and end; - is standard output" },
    { "dump-memory-map", "FILE",
      "write memory tree, flat views and KVM slots, then start: a picture where FILE ends in .svg, "
      ".dot or .json, else text; - is standard output" },
    { "full-render", "on|off",
      "make each view of memory anew at every change, not only what changed (default off)" },
    { "memory-backend", "ID", "boot RAM is the memory backend of that id" },
};

static char *machine_help(void)
{
    GString *out = g_string_new("Boards:\n"
                                "  pc  a PC: PCI host bridge, 16550 serial port, RTC, ACPI\n"
                                "Properties:\n");

    for (size_t i = 0; i < G_N_ELEMENTS(properties); i++) {
        const MachineProperty *p = &properties[i];
        g_autofree char *left = g_strdup_printf("%s=%s", p->name, p->argument);

        g_string_append_printf(out, "  %-20s  %s\n", left, p->help);
    }
    return g_string_free(out, FALSE);
}

bool option_get_text(const Keyval *kv, const char *option, const char *key, char **ret_value,
                     GError **error)
{
    const KeyvalPair *pair = NULL;

    for (unsigned i = 0; i < keyval_count(kv); i++) {
        if (strcmp(keyval_pair(kv, i)->key, key) == 0) {
            pair = keyval_pair(kv, i);
        }
    }
    if (!pair) {
        return true;
    }
    if (pair->bare || pair->value[0] == '\0') {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "%s: %s has no value; write %s %s=...", option, key, option, key);
        return false;
    }
    g_free(*ret_value);
    *ret_value = g_strdup(pair->value);
    return true;
}

static bool check_type(const char *type, GError **error)
{
    if (strcmp(type, "pc") == 0) {
        return true;
    }
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                "-machine %s: there is one board, a PC of its own; say -machine pc, or nothing",
                type);
    return false;
}

static bool check_accel(const char *option, const char *accel, GError **error)
{
    if (strcmp(accel, "kvm") == 0) {
        return true;
    }
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                "%s%s: guests run on KVM and on nothing else; say %skvm, or nothing", option, accel,
                option);
    return false;
}

/* New values of what a -machine may set; NULL: not given. */
typedef struct MachineValues {
    char *type;
    char *accel;
    char *dump_dtb;
    char *dump_memory_map;
    char *memory_backend;
} MachineValues;

static void machine_values_done(MachineValues *v)
{
    g_free(v->type);
    g_free(v->accel);
    g_free(v->dump_dtb);
    g_free(v->dump_memory_map);
    g_free(v->memory_backend);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MachineValues, machine_values_done)

/* Early: what cannot be drawn is no reason to make a machine. */
static bool check_memory_map(const char *path, GError **error)
{
    PictureFormat format;

    if (picture_or_text(path, &format, error)) {
        return true;
    }
    g_prefix_error(error, "-machine dump-memory-map=");
    return false;
}

static void replace(char **place, char **value)
{
    if (*value) {
        g_free(*place);
        *place = g_steal_pointer(value);
    }
}

static bool read_properties(MachineConfig *config, const Keyval *kv, GError **error)
{
    g_auto(MachineValues) v = { 0 };
    bool dtb = config->dtb, full_render = config->full_render;

    if (!option_get_text(kv, "-machine", "type", &v.type, error) ||
        !option_get_text(kv, "-machine", "accel", &v.accel, error) ||
        !option_get_text(kv, "-machine", "dumpdtb", &v.dump_dtb, error) ||
        !option_get_text(kv, "-machine", "dump-memory-map", &v.dump_memory_map, error) ||
        !option_get_text(kv, "-machine", "memory-backend", &v.memory_backend, error) ||
        !keyval_get_bool(kv, "-machine", "dtb", &dtb, error) ||
        !keyval_get_bool(kv, "-machine", "full-render", &full_render, error)) {
        return false;
    }
    if ((v.type && !check_type(v.type, error)) ||
        (v.accel && !check_accel("-machine accel=", v.accel, error)) ||
        (v.dump_memory_map && !check_memory_map(v.dump_memory_map, error))) {
        return false;
    }
    config->dtb = dtb;
    config->full_render = full_render;
    replace(&config->dump_dtb, &v.dump_dtb);
    replace(&config->dump_memory_map, &v.dump_memory_map);
    replace(&config->memory_backend, &v.memory_backend);
    return true;
}

OptionsResult machine_option(MachineConfig *config, const char *text, GError **error)
{
    const char *known[G_N_ELEMENTS(properties) + 1] = { NULL };
    g_autoptr(Keyval) kv = keyval_parse(text, "type", error);

    if (!kv) {
        g_prefix_error(error, "-machine: ");
        return OPTIONS_ERROR;
    }
    if (keyval_wants_help(kv)) {
        g_autofree char *help = machine_help();

        return options_answer(help, error);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(properties); i++) {
        known[i] = properties[i].name;
    }
    if (!keyval_check_known(kv, "-machine", known, error) || !read_properties(config, kv, error)) {
        return OPTIONS_ERROR;
    }
    return OPTIONS_RUN;
}

OptionsResult accel_option(MachineConfig *config, const char *text, GError **error)
{
    static const char *const known[] = { "accel", "device", NULL };
    g_autoptr(Keyval) kv = keyval_parse(text, "accel", error);
    g_autofree char *accel = NULL;
    g_autofree char *device = NULL;

    if (!kv) {
        g_prefix_error(error, "-accel: ");
        return OPTIONS_ERROR;
    }
    if (keyval_wants_help(kv)) {
        return options_answer("Accelerators:\n  kvm  the Linux kernel's virtual machines\n"
                              "Properties:\n  device=PATH  its device file (default /dev/kvm)\n",
                              error);
    }
    /* The name first: properties of another accelerator are not the news. */
    if (!option_get_text(kv, "-accel", "accel", &accel, error) ||
        (accel && !check_accel("-accel ", accel, error)) ||
        !keyval_check_known(kv, "-accel", known, error) ||
        !option_get_text(kv, "-accel", "device", &device, error)) {
        return OPTIONS_ERROR;
    }
    g_free(config->kvm_device);
    config->kvm_device = g_steal_pointer(&device);
    return OPTIONS_RUN;
}
