/* SPDX-License-Identifier: MIT */
/* The gdb stub: where it listens, who is connected, and the machine's news for the client. */
#include "tessera/gdb/gdb-server.h"

#include "server-internal.h"
#include <string.h>
#include "tessera/machine/debugger.h"
#include "tessera/util/error.h"

/* Nothing is read from a client that leaves more than this of its answers unread. */
#define OUTPUT_BACKLOG_MAX (256u << 10)
#define RECEIVE_CHUNK      4096

/* What the machine tells its debugger. */

static const char *reset_cause(MachineCause cause)
{
    switch (cause) {
    case MACHINE_CAUSE_TRIPLE_FAULT:
        return "triple fault";
    case MACHINE_CAUSE_GUEST_RESET:
        return "the guest asked for it";
    default:
        return "asked for from outside";
    }
}

static void on_halted(void *opaque, MachineHalt why, MachineCause cause)
{
    GdbServer *server = opaque;
    g_autofree char *text = NULL;

    switch (why) {
    case MACHINE_HALT_DEBUG:
        gdb_session_halted(server->session, GDB_HALT_STOP, NULL);
        break;
    case MACHINE_HALT_ASKED:
        gdb_session_halted(server->session, GDB_HALT_INTERRUPTED, NULL);
        break;
    case MACHINE_HALT_PAUSED:
        gdb_session_halted(server->session, GDB_HALT_INTERRUPTED, "Stopped by a monitor.\n");
        break;
    case MACHINE_HALT_RESET:
        text = g_strdup_printf("The machine was reset (%s) and stands before its first "
                               "instruction.\n",
                               reset_cause(cause));
        gdb_session_halted(server->session, GDB_HALT_RESET, text);
        break;
    case MACHINE_HALT_FAILED:
        gdb_session_halted(server->session, GDB_HALT_FAILED,
                           "The machine has failed and cannot go on.\n");
        break;
    }
}

static void on_resetting(void *opaque)
{
    gdb_session_resetting(((GdbServer *)opaque)->session);
}

static void on_ended(void *opaque, int status)
{
    gdb_session_ended(((GdbServer *)opaque)->session, status);
}

static const MachineDebugger debugger = {
    .halted = on_halted,
    .resetting = on_resetting,
    .ended = on_ended,
};

/* Output. */

static void flush_output(GdbServer *server)
{
    size_t done = chardev_write(server->chr, server->out->data, server->out->len);

    g_byte_array_remove_range(server->out, 0, (guint)done);
}

void gdb_server_write(GdbServer *server, const uint8_t *buf, size_t len)
{
    g_byte_array_append(server->out, buf, (guint)len);
    flush_output(server);
}

/* Clients come and go. */

void gdb_server_detach(GdbServer *server, bool start)
{
    if (server->attached) {
        server->attached = false;
        machine_detach_debugger(server->machine, start);
    }
}

static void begin_session(GdbServer *server)
{
    g_autoptr(GError) error = NULL;

    g_byte_array_set_size(server->out, 0);
    if (!machine_attach_debugger(server->machine, &debugger, server, &error)) {
        g_printerr("tessera: gdb: %s\n", error->message);
        return;
    }
    server->attached = true;
    server->session = gdb_session_new(&server->target);
}

/* The guest must not meet an INT3 that nobody knows any more: it stands still while they go. */
static void end_session(GdbServer *server)
{
    if (server->attached) {
        vcpu_set_pause(machine_vcpus(server->machine));
    }
    g_clear_pointer(&server->session, gdb_session_free);
    gdb_server_detach(server, false);
}

static void on_event(void *opaque, ChardevEvent event)
{
    GdbServer *server = opaque;

    if (event == CHARDEV_OPENED) {
        begin_session(server);
    } else if (event == CHARDEV_CLOSED) {
        end_session(server);
    }
}

static size_t on_can_receive(void *opaque)
{
    GdbServer *server = opaque;

    return server->out->len <= OUTPUT_BACKLOG_MAX ? RECEIVE_CHUNK : 0;
}

static void on_receive(void *opaque, const uint8_t *buf, size_t len)
{
    GdbServer *server = opaque;

    if (server->session) {
        gdb_session_receive(server->session, buf, len);
    }
}

static void on_writable(void *opaque)
{
    GdbServer *server = opaque;

    if (server->out->len) {
        flush_output(server);
    }
    chardev_accept_input(server->chr);
}

static bool on_settled(void *opaque)
{
    return ((GdbServer *)opaque)->out->len == 0;
}

static const ChardevFrontend frontend = {
    .can_receive = on_can_receive,
    .receive = on_receive,
    .event = on_event,
    .writable = on_writable,
    .settled = on_settled,
};

/* Life. */

GdbServer *gdb_server_new(Machine *machine, GdbCommand *command, void *opaque)
{
    GdbServer *server = g_new0(GdbServer, 1);

    server->machine = machine;
    server->command = command;
    server->command_opaque = opaque;
    server->out = g_byte_array_new();
    return server;
}

static void close_chardev(GdbServer *server)
{
    if (!server->chr) {
        return;
    }
    chardev_write_all(server->chr, server->out->data, server->out->len);
    chardev_set_frontend(server->chr, NULL, NULL);
    end_session(server);
    g_clear_pointer(&server->chr, chardev_free);
}

void gdb_server_free(GdbServer *server)
{
    if (server) {
        close_chardev(server);
        g_byte_array_unref(server->out);
        g_free(server);
    }
}

/* A server that does not wait, which is what a stub is, unless the user says otherwise. */
static char *chardev_spec(const char *spec, GError **error)
{
    bool client = strstr(spec, ",server=off") != NULL;

    if (!g_str_has_prefix(spec, "tcp:") && !g_str_has_prefix(spec, "unix:")) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "'%s': a debugger connects by tcp:[HOST]:PORT or unix:PATH", spec);
        return NULL;
    }
    return g_strdup_printf("%s%s%s", spec, strstr(spec, ",server") ? "" : ",server=on",
                           client || strstr(spec, ",wait") || strstr(spec, ",nowait")
                               ? ""
                               : ",wait=off");
}

static bool check_not_own(GdbServer *server, GError **error)
{
    if (server->in_command) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "gdbserver: this is the connection that would end; use gdb's detach, or another "
                    "monitor");
        return false;
    }
    return true;
}

bool gdb_server_start(GdbServer *server, const char *spec, GError **error)
{
    g_autofree char *full = NULL;
    Chardev *chr;

    if (!check_not_own(server, error)) {
        return false;
    }
    full = chardev_spec(spec, error);
    chr = full ? chardev_new("gdb", full, NULL, error) : NULL;
    if (!chr) {
        return false;
    }
    close_chardev(server);
    server->chr = chr;
    server->target = gdb_machine_target(server);
    server->can_block_irq = vcpu_debug_can_block_irq(machine_vcpus(server->machine));
    chardev_set_frontend(chr, &frontend, server);
    return true;
}

bool gdb_server_stop(GdbServer *server, GError **error)
{
    if (!check_not_own(server, error)) {
        return false;
    }
    close_chardev(server);
    return true;
}

char *gdb_server_description(GdbServer *server)
{
    return server->chr ? chardev_description(server->chr) : NULL;
}
