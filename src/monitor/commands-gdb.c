/* SPDX-License-Identifier: MIT */
/* gdbserver: where a debugger can connect. */
#include "command-util-internal.h"
#include "monitor-internal.h"
#include "tessera/gdb/gdb-server.h"

#include <string.h>

static bool run_gdbserver(Monitor *mon, json_t *args, GString *out, GError **error)
{
    const char *device = arg_string(args, "device");

    if (g_strcmp0(device, "none") == 0) {
        if (!gdb_server_stop(mon->hub->gdb, error)) {
            return false;
        }
        g_string_append(out, "Disabled gdbserver\n");
        return true;
    }
    device = device ? device : GDB_SERVER_DEFAULT;
    if (!gdb_server_start(mon->hub->gdb, device, error)) {
        return false;
    }
    g_string_append_printf(out, "Waiting for gdb connection on device '%s'\n", device);
    return true;
}

static const MonitorArg gdbserver_args[] = {
    { .name = "device", .type = MONITOR_ARG_REST, .optional = true },
    { 0 },
};

static const MonitorCommand gdbserver_command = {
    .name = "gdbserver",
    .hmp = "gdbserver",
    .help = "Lets a debugger connect, by default at tcp::1234 of this host; none: no more.",
    .details = "As `-gdb`: tcp:[HOST]:PORT or unix:PATH. Where it listened before ends, and a client "
               "there is let go. Whoever can connect owns the guest, and can type at this monitor.",
    .args = gdbserver_args,
    .run_text = run_gdbserver,
};
MONITOR_COMMAND_REGISTER(gdbserver_command);

static bool run_info_gdb(Monitor *mon, json_t *args, GString *out, GError **error)
{
    g_autofree char *description = gdb_server_description(mon->hub->gdb);

    g_string_append_printf(out, "gdbserver: %s\n", description ? description : "disabled");
    return true;
}

static const MonitorCommand info_gdb_command = {
    .name = "info gdbserver",
    .hmp = "info gdbserver",
    .help = "Shows where a debugger can connect, and whether one has.",
    .run_text = run_info_gdb,
};
MONITOR_COMMAND_REGISTER(info_gdb_command);
