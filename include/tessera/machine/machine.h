/* SPDX-License-Identifier: MIT */
/* Machine: board, accelerator and vCPUs as one virtual machine, and what state it is in. */
#ifndef TESSERA_MACHINE_MACHINE_H
#define TESSERA_MACHINE_MACHINE_H

#include <glib.h>
#include "tessera/accel/kvm/vcpu.h"
#include "tessera/chardev/chardev.h"
#include "tessera/hw/core/machine-control.h"
#include "tessera/hw/mem/memory-devices.h"
#include "tessera/machine/config.h"
#include "tessera/memory/address-space.h"
#include "tessera/memory/map-snapshot.h"
#include "tessera/util/keyval.h"
#include "tessera/util/object-store.h"

typedef struct Machine Machine;

/* Named as in QEMU's RunState. */
typedef enum RunState {
    RUN_STATE_PRELAUNCH, /* -S: has not run yet */
    RUN_STATE_RUNNING,
    RUN_STATE_PAUSED,
    RUN_STATE_DEBUG,          /* a debugger has stopped it (debugger.h) */
    RUN_STATE_SHUTDOWN,       /* the guest is off; the program ends */
    RUN_STATE_INTERNAL_ERROR, /* a vCPU or the memory map cannot go on */
} RunState;

const char *run_state_name(RunState state);

/* The program's exit statuses; isa-debug-exit adds (value << 1) | 1, a signal 128 + its number. */
enum { EXIT_STATUS_POWEROFF = 0, EXIT_STATUS_START = 1, EXIT_STATUS_FAILED = 2 };

/**
 * machine_new() - makes everything that @config asks for; the vCPUs do not run yet
 *
 * The signals SIGINT, SIGTERM, SIGHUP and SIGPWR must be blocked before any thread was made
 * (main.c): the machine reads them. SIGPWR presses the power button, the others end the program.
 * Context: main thread.
 */
Machine *machine_new(const MachineConfig *config, GError **error);
void machine_free(Machine *machine); /* NULL is allowed */

/** machine_run() - starts the vCPUs (but for -S), runs the main loop. Returns: the exit status */
int machine_run(Machine *machine);

RunState machine_run_state(const Machine *machine);

/*
 * The controls of people and monitors. Context: main thread, without the machine lock. Requests
 * from devices come through MachineControl, from any thread.
 */
void machine_stop(Machine *machine);
/**
 * machine_cont() - refused, with a reason, once the machine is off or has failed, and while a debugger
 * is attached to a machine that stands still
 */
bool machine_cont(Machine *machine, GError **error);
void machine_system_reset(Machine *machine);
void machine_system_powerdown(Machine *machine);
void machine_quit(Machine *machine, int status);

/*
 * The parts, for who shows or changes them. Context: main thread. All live as long as the machine.
 */
const MachineConfig *machine_config(Machine *machine);
MemorySystem *machine_memory_system(Machine *machine);
AddressSpace *machine_memory(Machine *machine);
AddressSpace *machine_io(Machine *machine);
Kvm *machine_kvm(Machine *machine);
VcpuSet *machine_vcpus(Machine *machine);
ObjectStore *machine_objects(Machine *machine);
/** machine_memory_devices() - NULL: the machine was made without memory slots */
MemoryDevices *machine_memory_devices(Machine *machine);

/**
 * machine_device_add() - "driver=pc-dimm,id=ID,memdev=OBJECT,..." while the machine runs (or, before
 * machine_run(), cold-plugged)
 *
 * Errors: unknown driver or property (with the nearest), a missing id, and what the driver refuses;
 * the machine is then as it was.
 */
bool machine_device_add(Machine *machine, const Keyval *properties, GError **error);

/**
 * machine_device_option_help() - what "-device help" or "-device DRIVER,help" asks for
 *
 * Returns: a new string, or NULL when no help is asked for, or with @error set when the driver is
 * unknown.
 */
char *machine_device_option_help(const char *text, GError **error);

/** machine_device_properties() - names, NULL-terminated; NULL: there is no such driver */
const char *const *machine_device_properties(const char *driver);

/** machine_device_del() - asks the guest to give the device up; true means that it was asked */
bool machine_device_del(Machine *machine, const char *id, GError **error);

/* What monitors tell their clients; named as QEMU's events. */
typedef enum MachineEventKind {
    MACHINE_EVENT_STOP,
    MACHINE_EVENT_RESUME,
    MACHINE_EVENT_RESET,     /* .guest: the guest asked */
    MACHINE_EVENT_SHUTDOWN,  /* .guest */
    MACHINE_EVENT_POWERDOWN,
    MACHINE_EVENT_MEMORY,    /* .memory */
    MACHINE_EVENT_MEMORY_RESIZE, /* .resize: where machine_memory_resize() stands */
} MachineEventKind;

typedef struct MachineEvent {
    MachineEventKind kind;
    bool guest;
    MachineCause cause;              /* RESET, SHUTDOWN */
    const MemoryDeviceEvent *memory; /* MEMORY; valid during the call */
    const struct MemoryResizeStatus *resize; /* the same of MEMORY_RESIZE; memory-resize.h */
} MachineEvent;

/** machine_set_event_handler() - one handler, called on the main thread; NULL: none */
void machine_set_event_handler(Machine *machine,
                               void (*fn)(const MachineEvent *event, void *opaque), void *opaque);

/**
 * machine_monitor_port() - a monitor's end of the back end that it shares with the serial port
 *
 * Returns: NULL when nothing is shared. Lives as long as the machine. Context: main thread.
 */
Chardev *machine_monitor_port(Machine *machine);

/**
 * machine_set_watched() - somebody can look at a machine that has failed
 *
 * machine_run() then goes on, in RUN_STATE_INTERNAL_ERROR, until machine_quit(). Otherwise, as from
 * the start, a failure ends it. Context: main thread.
 */
void machine_set_watched(Machine *machine, bool watched);

/**
 * machine_memory_map() - trees, views, counts, slots, and what the board keeps addresses for, at one
 * moment
 *
 * map_snapshot_free(). Takes the machine lock. Context: any thread.
 */
MapSnapshot *machine_memory_map(Machine *machine);

/**
 * machine_draw_memory_map() - the same as a picture
 * @path: its end says what it becomes (picture/picture.h); replaced whole, or left as it is
 */
bool machine_draw_memory_map(Machine *machine, const char *path, GError **error);

/**
 * machine_dump_memory_map() - a picture where @path ends like one; else the trees, the flat views and
 * the slots as text
 * @path: for text a file that is created or emptied, or "-" for standard output
 */
bool machine_dump_memory_map(Machine *machine, const char *path, GError **error);

/**
 * machine_dump_device_tree() - the same machine as a flattened device tree
 * @path: a file that is created or emptied, or "-" for standard output
 */
bool machine_dump_device_tree(Machine *machine, const char *path, GError **error);

#endif
