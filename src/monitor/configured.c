/* SPDX-License-Identifier: MIT */
/* The monitors that a command line asks for. */
#include "tessera/monitor/monitor.h"

#include <stdio.h>
#include <string.h>
#include "monitor-internal.h"

/* A pseudo terminal is of use to those only who learn its name. */
static void tell_pty(Chardev *chr, const char *spec)
{
    if (strcmp(spec, "pty") == 0) {
        g_autofree char *description = chardev_description(chr);

        fprintf(stderr, "tessera: %s: %s\n", chardev_label(chr), description);
    }
}

static bool add_one(MonitorHub *hub, const char *label, const char *spec, MonitorMode mode,
                    GError **error)
{
    Chardev *chr = chardev_new(label, spec, NULL, error);

    if (!chr) {
        return false;
    }
    g_ptr_array_add(hub->chardevs, chr);
    tell_pty(chr, spec);
    monitor_hub_add(hub, chr, mode);
    return true;
}

/* @shared: the first "stdio" is not opened: it is the serial port's, and has its monitor already. */
static bool add_all(MonitorHub *hub, const char *option, const GPtrArray *specs, MonitorMode mode,
                    bool shared, GError **error)
{
    for (guint i = 0; i < specs->len; i++) {
        const char *spec = specs->pdata[i];
        g_autofree char *label = g_strdup_printf("%s%u", option, i);

        if (shared && strcmp(spec, "stdio") == 0) {
            shared = false;
            continue;
        }
        if (strcmp(spec, "none") != 0 && !add_one(hub, label, spec, mode, error)) {
            g_prefix_error(error, "-%s %s: ", option, spec);
            return false;
        }
    }
    return true;
}

static bool start_gdb(MonitorHub *hub, const char *spec, GError **error)
{
    if (!spec || strcmp(spec, "none") == 0 || gdb_server_start(hub->gdb, spec, error)) {
        return true;
    }
    g_prefix_error(error, "-gdb %s: ", spec);
    return false;
}

bool monitor_hub_add_configured(MonitorHub *hub, GError **error)
{
    const MachineConfig *config = machine_config(hub->machine);
    Chardev *port = machine_monitor_port(hub->machine);

    if (port) {
        monitor_hub_add(hub, port, MONITOR_HMP);
    }
    return add_all(hub, "monitor", config->monitors, MONITOR_HMP, port != NULL, error) &&
           add_all(hub, "qmp", config->qmps, MONITOR_QMP, false, error) &&
           start_gdb(hub, config->gdb, error);
}
