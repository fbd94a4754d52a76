/* SPDX-License-Identifier: MIT */
/* What the files of a session share. */
#ifndef TESSERA_GDB_SESSION_INTERNAL_H
#define TESSERA_GDB_SESSION_INTERNAL_H

#include "gdb-internal.h"

/* Error answers: gdb shows the number; QEMU's stub uses the same two. */
#define GDB_ERROR_MEMORY  "E14" /* no memory there */
#define GDB_ERROR_INVALID "E22" /* a packet that makes no sense, or what cannot be done */

/* Bits of QEMU's "sstep" packets. */
#define GDB_STEP_ENABLE   1u
#define GDB_STEP_NO_IRQ   2u
#define GDB_STEP_NO_TIMER 4u
#define GDB_STEP_ALL      7u

/* What a vCPU has met and the client has not been told yet. */
typedef struct GdbReport {
    VcpuStopKind kind;
    GdbBreakType type; /* VCPU_STOP_EXECUTE, VCPU_STOP_WATCH */
    uint64_t gva;
} GdbReport;

/*
 * @running: the client waits for the machine to stand still; nothing else is answered meanwhile
 * @over: it has detached, killed, or the machine is off
 * @general_cpu: whose registers and memory (Hg); @continue_cpu: who runs on c and s (Hc), -1: all
 * @physical: addresses in memory packets are guest-physical
 * @tells_why: the client understands "swbreak" and "hwbreak"
 * @reports: one for each vCPU
 * @last_stop: what "?" is answered with
 * @sent: the last packet, for when it is asked for again
 */
struct GdbSession {
    const GdbTarget *target;
    GdbFramer *framer;
    GdbBreakpoints *breakpoints;
    bool running;
    bool over;
    bool no_ack;
    bool tells_sw, tells_hw;
    bool physical;
    unsigned general_cpu;
    int continue_cpu;
    unsigned step_flags;
    unsigned listed; /* qfThreadInfo: vCPUs named so far */
    GdbReport *reports;
    GString *last_stop;
    GByteArray *sent;
};

/** gdb_reply() - sends @text as a packet. Text only: it ends at the first zero byte */
void gdb_reply(GdbSession *s, const char *text);
/** gdb_reply_console() - text for the client to show; goes before the answer it belongs to */
void gdb_reply_console(GdbSession *s, const char *text, size_t len);

/** gdb_take_thread() - "-1": all (-1), "0": any (as now: @any), otherwise vCPU + 1. False: no such */
bool gdb_take_thread(const GdbSession *s, const char **at, int any, int *ret_cpu);

/* session-query.c: packets q and Q; @packet with its letter. Unknown ones are answered with nothing */
void gdb_session_query(GdbSession *s, const char *packet);
void gdb_session_set(GdbSession *s, const char *packet);

/* session-run.c: c, C, s, S, vCont, and stop answers */
void gdb_session_continue(GdbSession *s, const char *packet);
void gdb_session_vcont(GdbSession *s, const char *packet);
/** gdb_session_tell_stop() - answers a client that waits, and is the answer to "?" from now on */
void gdb_session_tell_stop(GdbSession *s, unsigned signal_number, unsigned cpu,
                           const GdbReport *report);

/* session-memory.c: g, G, p, P, m, M, X, Z, z */
void gdb_session_registers(GdbSession *s, const char *packet);
void gdb_session_memory(GdbSession *s, const char *packet, size_t len);
void gdb_session_breakpoint(GdbSession *s, const char *packet);

#endif
