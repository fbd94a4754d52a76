/* SPDX-License-Identifier: MIT */
/* What the server and its target share. */
#ifndef TESSERA_GDB_SERVER_INTERNAL_H
#define TESSERA_GDB_SERVER_INTERNAL_H

#include "gdb-internal.h"
#include "tessera/chardev/chardev.h"
#include "tessera/gdb/gdb-server.h"

struct GdbServer {
    Machine *machine;
    GdbCommand *command;
    void *command_opaque;
    GdbTarget target;
    bool can_block_irq;
    Chardev *chr;        /* NULL: listens nowhere */
    GdbSession *session; /* while there is a client */
    bool attached;       /* it is the machine's debugger */
    bool in_command;     /* the client's "monitor LINE" runs */
    GByteArray *out;     /* what the chardev has not taken yet */
};

/** gdb_machine_target() - the machine of @server, for its session. machine-target.c */
GdbTarget gdb_machine_target(GdbServer *server);

/** gdb_server_detach() - the client debugs no more; @start: as machine_detach_debugger() */
void gdb_server_detach(GdbServer *server, bool start);
/** gdb_server_write() - bytes for the client; what it does not take now goes out later */
void gdb_server_write(GdbServer *server, const uint8_t *buf, size_t len);

#endif
