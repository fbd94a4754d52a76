/* SPDX-License-Identifier: MIT */
/* A gdb session on a machine that is only a table: what it is asked to do is written down. */
#ifndef TESSERA_TESTS_GDB_FIXTURE_H
#define TESSERA_TESTS_GDB_FIXTURE_H

#include "../../../src/gdb/gdb-internal.h"

/*
 * Memory:   guest-physical 0 .. GDB_RAM
 *           guest-virtual  GDB_TEXT .. + GDB_RAM and GDB_ALIAS .. + GDB_RAM show the same bytes
 */
#define GDB_RAM   0x4000u
#define GDB_TEXT  0xffffffff81000000ULL
#define GDB_ALIAS 0xffff888000000000ULL
#define GDB_CPUS  3

typedef struct GdbFixture {
    GdbTarget target;
    GdbSession *session;
    uint8_t ram[GDB_RAM];
    VcpuRegisters registers[GDB_CPUS];
    VcpuStop stops[GDB_CPUS];
    bool refuse_registers;
    bool refuse_resume;

    unsigned resumes, stops_asked, detaches, kills, output_calls;
    VcpuDebugPlan plan; /* of the last resume; ->int3 is not kept: */
    hwaddr int3[8];
    VcpuDebugAction actions[GDB_CPUS];
    char *command;
    unsigned command_cpu;
    const char *command_output; /* what it prints */

    GdbFramer *client;
    GString *raw;       /* everything that came */
    GPtrArray *packets; /* char *: payloads that came since the last question */
} GdbFixture;

int gdb_fixture_setup(void **state);
int gdb_fixture_teardown(void **state);

/** gdb_fixture_send() - bytes as they are */
void gdb_fixture_send(GdbFixture *f, const char *bytes, size_t len);
/** gdb_fixture_ask() - a packet; the only answer to it, or NULL when there was none */
const char *gdb_fixture_ask(GdbFixture *f, const char *payload);
/** gdb_fixture_tell() - a packet; answers are in f->packets */
void gdb_fixture_tell(GdbFixture *f, const char *payload, size_t len);
/** gdb_fixture_answers() - those since the last question, separated by blanks. Valid till the next */
const char *gdb_fixture_answers(GdbFixture *f);
/** gdb_fixture_fresh() - forgets what came */
void gdb_fixture_fresh(GdbFixture *f);

#endif
