/* SPDX-License-Identifier: MIT */
/* The gdb stub: gdb's remote serial protocol on a socket, one client at a time. */
#ifndef TESSERA_GDB_GDB_SERVER_H
#define TESSERA_GDB_GDB_SERVER_H

#include <glib.h>
#include "tessera/machine/machine.h"

typedef struct GdbServer GdbServer;

/* Where it listens when nothing else is said: QEMU's -s. */
#define GDB_SERVER_DEFAULT "tcp::1234"

/** GdbCommand - runs a monitor's command line for "monitor LINE"; output and errors go to @out */
typedef void GdbCommand(void *opaque, const char *line, unsigned cpu, GString *out);

/**
 * gdb_server_new() - one that listens nowhere yet
 * @command: must outlive the server, with @opaque
 *
 * A client that connects stops the machine and becomes its debugger (debugger.h); when it detaches,
 * leaves or is lost, its breakpoints are gone and the machine goes on. Context of all functions:
 * main thread, without the machine lock.
 */
GdbServer *gdb_server_new(Machine *machine, GdbCommand *command, void *opaque);
/** gdb_server_free() - ends it; before machine_free(). NULL is allowed */
void gdb_server_free(GdbServer *server);

/**
 * gdb_server_start() - listens on @spec, instead of where it did
 * @spec: "tcp:[HOST]:PORT" or "unix:PATH", with the options of such character devices, which are
 *      server=on,wait=off unless given; without HOST only this machine can connect
 *
 * Errors: another kind; what opening it meets; it is the present client itself who asks. The server
 * listens where it did, then.
 */
bool gdb_server_start(GdbServer *server, const char *spec, GError **error);
/** gdb_server_stop() - listens nowhere; a client is let go as if it had left. Errors: as above */
bool gdb_server_stop(GdbServer *server, GError **error);

/** gdb_server_description() - where it listens and whether there is a client; NULL: nowhere */
char *gdb_server_description(GdbServer *server);

#endif
