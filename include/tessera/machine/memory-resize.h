/* SPDX-License-Identifier: MIT */
/* Making a running guest's memory larger or smaller: one job for each machine. */
#ifndef TESSERA_MACHINE_MEMORY_RESIZE_H
#define TESSERA_MACHINE_MEMORY_RESIZE_H

#include <glib.h>
#include "tessera/machine/machine.h"

/* Names in monitors: "none", "running", "completed", "partial", "failed", "cancelled". */
typedef enum MemoryResizeState {
    MEMORY_RESIZE_NONE,      /* there was no request yet */
    MEMORY_RESIZE_RUNNING,
    MEMORY_RESIZE_COMPLETED, /* the machine has the size that was asked for, and the guest knows */
    MEMORY_RESIZE_PARTIAL,   /* nearer to it, but not there */
    MEMORY_RESIZE_FAILED,    /* nothing has changed */
    MEMORY_RESIZE_CANCELLED,
} MemoryResizeState;

const char *memory_resize_state_name(MemoryResizeState state);

/**
 * struct MemoryResizeStatus - where a request stands; strings are borrowed until the next event
 * @start, @target, @now: bytes of boot RAM and DIMMs: at the beginning, asked for, and now
 * @dimms, @dimms_done: DIMMs to plug and be taken by the guest, or to come back
 * @doing: what it waits for ("the guest takes 'resize0' offline"), or the end result in words
 */
typedef struct MemoryResizeStatus {
    MemoryResizeState state;
    uint64_t start;
    uint64_t target;
    uint64_t now;
    unsigned dimms;
    unsigned dimms_done;
    const char *doing;
} MemoryResizeStatus;

/**
 * machine_memory_resize() - the guest's memory, boot RAM included, shall be @target bytes
 *
 * Larger: the DIMMs of machine_memory_plan() are made (objects "resizeN-mem", devices "resizeN") and
 * plugged; then it waits for the guest to take them. Smaller: DIMMs that add up to the difference, or
 * to as much of it as is possible, are asked for one after another, those of earlier requests first;
 * where the guest refuses, another is tried. Their backends go with them if this made them.
 *
 * Every change of the status is a MACHINE_EVENT_MEMORY_RESIZE. Errors: a request that still runs, a
 * size below boot RAM or that no DIMM matches, and those of machine_memory_plan(). Main thread.
 */
bool machine_memory_resize(Machine *machine, uint64_t target, GError **error);

/** machine_memory_resize_cancel() - stops after what is under way; an error if nothing is */
bool machine_memory_resize_cancel(Machine *machine, GError **error);

MemoryResizeStatus machine_memory_resize_status(Machine *machine);

#endif
