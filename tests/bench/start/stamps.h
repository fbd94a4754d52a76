/* SPDX-License-Identifier: MIT */
/* Where a start is: what stamps.c writes and bench-start-phases reads. */
#ifndef TESSERA_BENCH_STAMPS_H
#define TESSERA_BENCH_STAMPS_H

/*
 * The program with stamps.c linked in is Tessera itself; the linker (-Wl,--wrap) puts stamps.c around
 * the functions by which one file of the start calls another. Each stamp is the time at which a phase
 * ended, CLOCK_MONOTONIC, microseconds, in the file that the environment variable names.
 */
#define STAMPS_FILE "TESSERA_BENCH_STAMPS"

enum {
    STAMP_EXEC,         /* exec until a constructor of the program runs */
    STAMP_OPTIONS,      /* the command line */
    STAMP_ACCELERATOR,  /* /dev/kvm is open, the accelerator's thread starts */
    STAMP_SURROUNDINGS, /* memory system, clock, events, layout, until RAM is asked for */
    STAMP_RAM,          /* the RAM block */
    STAMP_BOARD,        /* devices, regions, the first render */
    STAMP_SLOTS,        /* until KVM has its memory slots (waits for the VM) */
    STAMP_CHIPS,        /* interrupt controllers, PIT, routing */
    STAMP_VCPUS,        /* vCPUs and their threads */
    STAMP_BOOT,         /* waits for the CPU model; ACPI tables; the kernel's file */
    STAMP_RESET,        /* devices' reset, kernel into RAM */
    STAMP_REGISTERS,    /* waits for the vCPUs' state; their registers */
    STAMP_COUNT
};

#define STAMP_NAMES                                                                                \
    {                                                                                              \
        "exec", "options", "accelerator", "surroundings", "ram", "board", "slots", "chips",        \
            "vcpus", "boot", "reset", "registers",                                                 \
    }

#endif
