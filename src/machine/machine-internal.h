/* SPDX-License-Identifier: MIT */
/* What the files of the machine share. */
#ifndef TESSERA_MACHINE_MACHINE_INTERNAL_H
#define TESSERA_MACHINE_MACHINE_INTERNAL_H

#include <stdatomic.h>
#include "tessera/accel/kvm/kvm.h"
#include "tessera/accel/kvm/vcpu-debug.h"
#include "tessera/accel/kvm/vcpu.h"
#include "tessera/chardev/chardev.h"
#include "tessera/chardev/mux.h"
#include "tessera/hw/i386/pc.h"
#include "tessera/machine/debugger.h"
#include "tessera/machine/machine.h"
#include "tessera/memory/memory-backend.h"
#include "tessera/util/event-notifier.h"
#include "tessera/util/object-store.h"
#include "tessera/util/worker.h"

/* Requests from any thread, bits of RunControl.requests; the main thread serves the highest first. */
#define REQUEST_DEBUG    (1u << 0)
#define REQUEST_RESET    (1u << 1)
#define REQUEST_POWEROFF (1u << 2)
#define REQUEST_EXIT     (1u << 3)
#define REQUEST_FAILED   (1u << 4)

/*
 * Run control (run-control.c): the state, and the way from a request on a vCPU thread to the main
 * loop. Everything but @requests, @exit_status and @causes belongs to the main thread.
 */
typedef struct RunControl {
    RunState state;
    bool resume_after_reset;
    bool no_reboot;
    bool watched;         /* a failure does not end the loop */
    _Atomic bool no_map; /* the memory map is not what KVM has: no reset helps */
    GMainLoop *loop;
    int status; /* the program's, once the loop has ended */

    EventNotifier wakeup;
    GSource *wakeup_source;
    GSource *signal_source;
    int signal_fd;
    _Atomic unsigned requests;
    _Atomic int exit_status; /* of REQUEST_EXIT; -1: none yet, the first wins */
    _Atomic unsigned reset_cause;
    _Atomic unsigned end_cause; /* of REQUEST_POWEROFF and REQUEST_EXIT */
} RunControl;

typedef struct MemoryResize MemoryResize; /* memory-resize.c */

struct Machine {
    MachineConfig const *config;
    MemorySystem *ms;
    VirtualClock *clock;
    MachineControl control;
    DeviceContext device_context;
    ObjectStore *objects;
    RAMBlock *ram;
    MemoryBackend *ram_backend; /* NULL: anonymous */
    Kvm *kvm;
    CpuModel *cpu_model;
    Worker *accelerator; /* while the machine is built. Its jobs' results: */
    bool has_vm;
    GError *vm_error;
    GError *cpu_model_error;
    GError *vcpus_error;
    uint32_t *apic_ids;
    Chardev *serial0;       /* what the serial port writes to */
    ChardevMux *serial_mux; /* owns it; NULL: serial0 is the back end itself */
    Chardev *monitor_port;  /* of the mux, or NULL */
    Pc *pc;
    bool memory_attached;
    VcpuSet *vcpus;
    RunControl run;
    MemoryResize *resize;
    void (*event_fn)(const MachineEvent *event, void *opaque);
    void *event_opaque;
    const MachineDebugger *debugger; /* NULL: none is attached */
    void *debugger_opaque;
};

/** machine_make_serial() - serial.c: opens the back end of the serial port */
bool machine_make_serial(Machine *machine, GError **error);
void machine_free_serial(Machine *machine);

/**
 * accelerator_start() - opens KVM; the VM and the CPU model are made beside the caller (accelerator.c)
 * accelerator_wait_vm() - until machine->kvm has its VM
 * accelerator_wait_cpu_model() - until machine->cpu_model is there, too
 * accelerator_add_vcpus() - makes machine->vcpus and has their state prepared, beside the caller again.
 *      After accelerator_wait_vm(), with interrupt chips
 * accelerator_wait_vcpus() - until that is done; the two before have succeeded
 * accelerator_started() - waits for what is in progress, drops what is not begun; nothing need have
 *      been started. What was made is the machine's, as before
 *
 * Those that wait tell the same error each time they are called. Context: main thread.
 */
bool accelerator_start(Machine *machine, GError **error);
bool accelerator_wait_vm(Machine *machine, GError **error);
bool accelerator_wait_cpu_model(Machine *machine, GError **error);
bool accelerator_add_vcpus(Machine *machine, GError **error);
bool accelerator_wait_vcpus(Machine *machine, GError **error);
void accelerator_started(Machine *machine);

/** machine_emit() - tells the event handler, if there is one. Main thread */
void machine_emit(Machine *machine, const MachineEvent *event);

/** memory_resize_new() - no request yet */
MemoryResize *memory_resize_new(Machine *machine);
void memory_resize_free(MemoryResize *resize); /* NULL is allowed */
/** memory_resize_on_reset() - the machine was reset: the guest will not answer what it was told */
void memory_resize_on_reset(MemoryResize *resize);
/** memory_resize_on_event() - something has happened to a DIMM: looks, a little later, what */
void memory_resize_on_event(MemoryResize *resize);

/** machine_add_devices() - device.c: what -device asked for; listens to the memory devices */
bool machine_add_devices(Machine *machine, GError **error);

/** run_control_init() - wake-up and signal sources on the default context */
bool run_control_init(Machine *machine, GError **error);
void run_control_done(Machine *machine); /* a zeroed one is allowed */

/** run_control_main() - what machine_run() does once everything exists */
int run_control_main(Machine *machine);

/*
 * For debugger.c: run_control_halt() - a running machine is in state "debug" afterwards; false: it did
 * not run. run_control_let_go() - from any state that stands still to running. run_control_cont() -
 * the same, refused where the machine cannot go on. run_control_unwatched() - a machine that has failed
 * ends unless a monitor watches it.
 */
bool run_control_halt(Machine *machine);
void run_control_let_go(Machine *machine);
bool run_control_cont(Machine *machine, GError **error);
void run_control_unwatched(Machine *machine);

/* debugger.c: what the attached one, if there is one, is told. */
bool debugger_attached(const Machine *machine);
void debugger_tell_halted(Machine *machine, MachineHalt why, MachineCause cause);
void debugger_tell_resetting(Machine *machine);
void debugger_tell_ended(Machine *machine, int status);

/* MachineControl and VcpuOps of the machine; @opaque is the Machine. */
extern const VcpuOps run_control_vcpu_ops;
void run_control_fill(Machine *machine, MachineControl *control);

#endif
