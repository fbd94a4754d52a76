/* SPDX-License-Identifier: MIT */
/* MachineControl: how a device asks for power-off, reset or the end of the program. */
#ifndef TESSERA_HW_CORE_MACHINE_CONTROL_H
#define TESSERA_HW_CORE_MACHINE_CONTROL_H

#include <stdbool.h>

/* Why the machine stops or resets; named in events and in the exit status table of the manual. */
typedef enum MachineCause {
    MACHINE_CAUSE_GUEST_POWEROFF, /* ACPI S5 */
    MACHINE_CAUSE_GUEST_RESET,    /* 0xcf9, keyboard controller, ACPI reset register */
    MACHINE_CAUSE_TRIPLE_FAULT,
    MACHINE_CAUSE_DEBUG_EXIT, /* isa-debug-exit */
    MACHINE_CAUSE_HOST,       /* monitor, Ctrl-A x */
    MACHINE_CAUSE_SIGNAL,     /* SIGTERM, SIGINT, SIGHUP */
    MACHINE_CAUSE_FAILED,     /* a vCPU or the memory map cannot go on */
} MachineCause;

/**
 * struct MachineControl - given to devices by the board; implemented by the machine
 *
 * All are thread-safe, return at once and take effect on the main thread; on a vCPU thread no guest
 * instruction of that vCPU follows. The first request that ends the program wins.
 */
typedef struct MachineControl {
    void (*request_poweroff)(void *opaque, MachineCause cause);
    void (*request_reset)(void *opaque, MachineCause cause);
    void (*request_exit)(void *opaque, MachineCause cause, int status);
    void *opaque;
} MachineControl;

#endif
