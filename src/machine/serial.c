/* SPDX-License-Identifier: MIT */
/* What is at the other end of the machine's serial port. */
#include "machine-internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "tessera/util/error.h"

static const char *serial_spec(const MachineConfig *config)
{
    if (config->serials->len) {
        return config->serials->pdata[0];
    }
    return config->nodefaults ? "none" : "stdio";
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
 * file on standard input is data, every byte of it.
 */
static bool wants_mux(const char *spec)
{
    return strcmp(spec, "stdio") == 0 && isatty(STDIN_FILENO);
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

    if (config->serials->len > 1) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "-serial %s: this board has one serial port, and -serial was given %u times",
                    (const char *)config->serials->pdata[1], config->serials->len);
        return false;
    }
    machine->serial0 = chardev_new("serial0", spec, NULL, error);
    if (!machine->serial0) {
        return false;
    }
    tell_pty(machine->serial0, spec);
    if (wants_mux(spec)) {
        machine->serial_mux = chardev_mux_new(machine->serial0, on_quit_key, machine);
        machine->serial0 = chardev_mux_add_port(machine->serial_mux, "serial0");
    }
    return true;
}

void machine_free_serial(Machine *machine)
{
    if (machine->serial_mux) {
        chardev_mux_free(machine->serial_mux);
    } else {
        chardev_free(machine->serial0);
    }
}
