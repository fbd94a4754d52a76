/* SPDX-License-Identifier: MIT */
/* What is at the other end of the machine's serial port. */
#include "machine-internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "tessera/util/error.h"

#define SHARED "mon:"

static const char *serial_spec(const MachineConfig *config)
{
    if (config->serials->len) {
        return config->serials->pdata[0];
    }
    return config->nodefaults ? "none" : "stdio";
}

static bool monitor_wants_stdio(const MachineConfig *config)
{
    return g_ptr_array_find_with_equal_func(config->monitors, "stdio", g_str_equal, NULL);
}

/* A pseudo-terminal is of use to those only who learn its name. */
static void tell_pty(Chardev *chr, const char *spec)
{
    if (strcmp(spec, "pty") == 0) {
        g_autofree char *description = chardev_description(chr);

        fprintf(stderr, "tessera: %s: %s\n", chardev_label(chr), description);
    }
}

/*
 * A person at a terminal needs a way out of a guest that has the whole keyboard: Ctrl-A. A pipe or a
 * file on standard input is data, every byte of it, unless a monitor was asked for by name.
 */
static void make_mux(Machine *machine, bool monitor, void (*quit)(void *opaque))
{
    machine->serial_mux = chardev_mux_new(machine->serial0, quit, machine);
    machine->serial0 = chardev_mux_add_port(machine->serial_mux, "serial0");
    if (monitor) {
        machine->monitor_port = chardev_mux_add_port(machine->serial_mux, "monitor");
    }
}

static void on_quit_key(void *opaque)
{
    Machine *machine = opaque;

    machine->control.request_exit(machine, MACHINE_CAUSE_HOST, EXIT_STATUS_POWEROFF);
}

bool machine_make_serial(Machine *machine, GError **error)
{
    const MachineConfig *config = machine->config;
    const char *spec = serial_spec(config);
    bool shared = g_str_has_prefix(spec, SHARED);
    bool stdio;

    if (config->serials->len > 1) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "-serial %s: this board has one serial port, and -serial was given %u times",
                    (const char *)config->serials->pdata[1], config->serials->len);
        return false;
    }
    spec += shared ? strlen(SHARED) : 0;
    stdio = strcmp(spec, "stdio") == 0;
    machine->serial0 = chardev_new("serial0", spec, NULL, error);
    if (!machine->serial0) {
        return false;
    }
    tell_pty(machine->serial0, spec);
    if (shared || (stdio && monitor_wants_stdio(config))) {
        make_mux(machine, true, on_quit_key);
    } else if (stdio && isatty(STDIN_FILENO)) {
        make_mux(machine, !config->monitors->len && !config->nodefaults, on_quit_key);
    }
    return true;
}

Chardev *machine_monitor_port(Machine *machine)
{
    return machine->monitor_port;
}

void machine_free_serial(Machine *machine)
{
    if (machine->serial_mux) {
        chardev_mux_free(machine->serial_mux);
    } else {
        chardev_free(machine->serial0);
    }
}
