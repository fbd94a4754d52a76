/* SPDX-License-Identifier: MIT */
/* What the files of the gdb stub share: the machine as a session sees it, breakpoints, sessions. */
#ifndef TESSERA_GDB_GDB_INTERNAL_H
#define TESSERA_GDB_GDB_INTERNAL_H

#include "packet-internal.h"
#include "registers-internal.h"
#include "tessera/accel/kvm/vcpu-debug.h"

/**
 * struct GdbTarget - the machine, as one session uses it; machine-target.c has the real one
 * @cpus: vCPUs, 1 or more
 * @read, @write: memory only; @addr is physical or vCPU @cpu's virtual; false: a part is not memory
 * @translate: where @gva lies; false: nowhere
 * @resume: lets the machine go on; false: it cannot, @ret_why (to be freed) says why
 * @stop: asks a running machine to stand still: gdb_session_halted() is called before it returns
 * @stop_of: what a vCPU has met; the machine stands still
 * @describe: a vCPU for people, "vCPU 0 (halted)"; to be freed
 * @command: a monitor's command line; its output, errors included
 * @detach: the machine goes on, without this session; no other function but @output is called then
 * @kill: the machine ends
 * @output: bytes for the other side
 */
typedef struct GdbTarget {
    unsigned cpus;
    void *opaque;
    bool (*get_registers)(void *opaque, unsigned cpu, VcpuRegisters *ret);
    bool (*set_registers)(void *opaque, unsigned cpu, const VcpuRegisters *registers);
    bool (*read)(void *opaque, unsigned cpu, bool physical, uint64_t addr, void *buf, size_t len);
    bool (*write)(void *opaque, unsigned cpu, bool physical, uint64_t addr, const void *buf,
                  size_t len);
    bool (*translate)(void *opaque, unsigned cpu, uint64_t gva, hwaddr *ret_gpa);
    bool (*resume)(void *opaque, const VcpuDebugPlan *plan, const VcpuDebugAction *actions,
                   char **ret_why);
    void (*stop)(void *opaque);
    VcpuStop (*stop_of)(void *opaque, unsigned cpu);
    char *(*describe)(void *opaque, unsigned cpu);
    void (*command)(void *opaque, const char *line, unsigned cpu, GString *out);
    void (*detach)(void *opaque);
    void (*kill)(void *opaque);
    void (*output)(void *opaque, const uint8_t *buf, size_t len);
} GdbTarget;

/* breakpoints.c: what gdb has asked for with Z packets. */

/* As numbered in Z and z packets. */
typedef enum GdbBreakType {
    GDB_BREAK_SOFTWARE = 0,
    GDB_BREAK_HARDWARE = 1,
    GDB_WATCH_WRITE = 2,
    GDB_WATCH_READ = 3, /* the processor cannot tell it from ACCESS: gdb sorts that out */
    GDB_WATCH_ACCESS = 4,
} GdbBreakType;

typedef struct GdbBreakpoints GdbBreakpoints;

/** gdb_breakpoints_new() - none yet; @target is used to read and write memory */
GdbBreakpoints *gdb_breakpoints_new(const GdbTarget *target);
void gdb_breakpoints_free(GdbBreakpoints *b); /* leaves memory as it is; NULL is allowed */

/**
 * gdb_breakpoints_insert() - once more makes no difference
 * @len: of a software breakpoint 1; of a watchpoint how many bytes
 *
 * Returns: false: no memory there that can be written; more than the debug registers hold; a wrong
 * length.
 */
bool gdb_breakpoints_insert(GdbBreakpoints *b, unsigned cpu, GdbBreakType type, uint64_t gva,
                            uint64_t len);
/** gdb_breakpoints_remove() - one that is not there makes no difference */
void gdb_breakpoints_remove(GdbBreakpoints *b, GdbBreakType type, uint64_t gva, uint64_t len);
/** gdb_breakpoints_remove_software() - memory is as the guest left it */
void gdb_breakpoints_remove_software(GdbBreakpoints *b);

/** gdb_breakpoints_hide() - puts the guest's own bytes into what was read from @addr */
void gdb_breakpoints_hide(const GdbBreakpoints *b, bool physical, uint64_t addr, uint8_t *buf,
                          size_t len);
/** gdb_breakpoints_keep() - memory at @addr is to become @buf: what must be written for that */
void gdb_breakpoints_keep(GdbBreakpoints *b, bool physical, uint64_t addr, uint8_t *buf,
                          size_t len);

/** gdb_breakpoints_plan() - for the vCPUs; ->int3 belongs to @b and is valid until the next change */
void gdb_breakpoints_plan(const GdbBreakpoints *b, VcpuDebugPlan *ret_plan);

/**
 * gdb_breakpoints_slot() - which of them the plan's slot @slot is part of
 * @ret_gva: where the slot begins
 *
 * Returns: its type, by which gdb is told; GDB_BREAK_SOFTWARE: there is no such slot.
 */
GdbBreakType gdb_breakpoints_slot(const GdbBreakpoints *b, unsigned slot, uint64_t *ret_gva);

/**
 * gdb_split_watch() - [@gva, @gva + @len) as aligned pieces of 1, 2, 4 and 8 bytes
 *
 * Returns: how many, at most @room; 0: it takes more, or there is nothing to watch.
 */
unsigned gdb_split_watch(uint64_t gva, uint64_t len, VcpuWatch watch, VcpuDebugSlot *slots,
                         unsigned room);

/* session.c: one client, from its first byte to its last. */

typedef struct GdbSession GdbSession;

/** gdb_session_new() - the machine stands still. @target lives as long as the session */
GdbSession *gdb_session_new(const GdbTarget *target);
/** gdb_session_free() - takes its breakpoints out of memory, unless it has detached */
void gdb_session_free(GdbSession *s); /* NULL is allowed */
/** gdb_session_receive() - bytes of the client; all are taken */
void gdb_session_receive(GdbSession *s, const uint8_t *buf, size_t len);

/* Why the machine stands still, as the client is told. */
typedef enum GdbHalt {
    GDB_HALT_STOP,        /* a vCPU has met something: stop_of() */
    GDB_HALT_INTERRUPTED, /* asked for, here or elsewhere */
    GDB_HALT_RESET,
    GDB_HALT_FAILED,
} GdbHalt;

/** gdb_session_halted() - @text: a line for people, or NULL. A client that does not wait is not told */
void gdb_session_halted(GdbSession *s, GdbHalt why, const char *text);
/** gdb_session_resetting() - memory will be what it is after power-on */
void gdb_session_resetting(GdbSession *s);
/** gdb_session_ended() - the machine is off; @status is the program's */
void gdb_session_ended(GdbSession *s, int status);

#endif
