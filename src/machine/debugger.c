/* SPDX-License-Identifier: MIT */
/* The machine's side of a debugger that is attached to it. */
#include "tessera/machine/debugger.h"

#include "machine-internal.h"
#include "tessera/util/error.h"

bool debugger_attached(const Machine *machine)
{
    return machine->debugger != NULL;
}

void debugger_tell_halted(Machine *machine, MachineHalt why, MachineCause cause)
{
    if (machine->debugger) {
        machine->debugger->halted(machine->debugger_opaque, why, cause);
    }
}

void debugger_tell_resetting(Machine *machine)
{
    if (machine->debugger) {
        machine->debugger->resetting(machine->debugger_opaque);
    }
}

void debugger_tell_ended(Machine *machine, int status)
{
    if (machine->debugger) {
        machine->debugger->ended(machine->debugger_opaque, status);
    }
}

bool machine_attach_debugger(Machine *machine, const MachineDebugger *debugger, void *opaque,
                             GError **error)
{
    if (machine->debugger) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "a debugger is attached already; it has to detach first");
        return false;
    }
    run_control_halt(machine);
    machine->debugger = debugger;
    machine->debugger_opaque = opaque;
    return true;
}

void machine_detach_debugger(Machine *machine, bool start)
{
    RunState state = machine_run_state(machine);

    vcpu_set_pause(machine->vcpus); /* it may run: a connection that is lost is lost at any time */
    vcpu_debug_end(machine->vcpus);
    machine->debugger = NULL;
    machine->debugger_opaque = NULL;
    if (state == RUN_STATE_RUNNING) {
        vcpu_set_resume(machine->vcpus);
    } else if (state == RUN_STATE_DEBUG ||
               (start && (state == RUN_STATE_PRELAUNCH || state == RUN_STATE_PAUSED))) {
        run_control_let_go(machine);
    } else if (state == RUN_STATE_INTERNAL_ERROR) {
        run_control_unwatched(machine);
    }
}

bool machine_debugger_cont(Machine *machine, GError **error)
{
    return run_control_cont(machine, error);
}

void machine_debugger_stop(Machine *machine)
{
    if (run_control_halt(machine)) {
        debugger_tell_halted(machine, MACHINE_HALT_ASKED, MACHINE_CAUSE_HOST);
    }
}
