/* SPDX-License-Identifier: MIT */
/* A debugger of the whole machine: stops it, lets it go on, and is told what happens to it. */
#ifndef TESSERA_MACHINE_DEBUGGER_H
#define TESSERA_MACHINE_DEBUGGER_H

#include "tessera/machine/machine.h"

/*
 * While a debugger is attached, it alone lets the machine go on: machine_cont() is refused. Anybody
 * may stop it, reset it or end it, and the debugger is told. A machine that fails stays, to be
 * looked at. What stops single vCPUs (breakpoints, steps) goes directly to vcpu-debug.h.
 *
 *               machine_attach_debugger()                  machine_detach_debugger(go_on)
 *   running -----------------------------> debug  ------------------------------------> running
 *   prelaunch, paused -------------------> the same        debugger_cont()
 *                          halted(): vCPU, pause, reset, failure; debugger_stop()
 *
 * Context of all functions and callbacks: main thread, without the machine lock.
 */

typedef enum MachineHalt {
    MACHINE_HALT_DEBUG,  /* a vCPU has met what was asked for: vcpu_debug_stop() */
    MACHINE_HALT_ASKED,  /* machine_debugger_stop() */
    MACHINE_HALT_PAUSED, /* somebody's machine_stop() */
    MACHINE_HALT_RESET,  /* it was reset; it stands before its first instruction */
    MACHINE_HALT_FAILED, /* a vCPU or the memory map cannot go on */
} MachineHalt;

/**
 * struct MachineDebugger - no callback may attach, detach or free
 * @halted: the machine ran and stands still now, its vCPUs paused
 * @resetting: memory will be what it is after power-on: last chance to put back what was written
 *      there. The vCPUs are paused
 * @ended: the machine is off, the main loop ends with @status; nothing follows
 */
typedef struct MachineDebugger {
    void (*halted)(void *opaque, MachineHalt why, MachineCause cause);
    void (*resetting)(void *opaque);
    void (*ended)(void *opaque, int status);
} MachineDebugger;

/**
 * machine_attach_debugger() - stops the machine if it runs; @debugger and @opaque live until detached
 *
 * Errors: there is one already.
 */
bool machine_attach_debugger(Machine *machine, const MachineDebugger *debugger, void *opaque,
                             GError **error);

/**
 * machine_detach_debugger() - no debugger any more; vCPUs are under no plan of one either
 * @start: the machine runs on (or starts, if it has not run yet), whoever stopped it; otherwise it
 *      does only if it was this debugger who stopped it
 */
void machine_detach_debugger(Machine *machine, bool start);

/** machine_debugger_cont() - refused, with a reason, once the machine is off or has failed */
bool machine_debugger_cont(Machine *machine, GError **error);

/** machine_debugger_stop() - a running machine stands still: tells `halted` before it returns */
void machine_debugger_stop(Machine *machine);

#endif
