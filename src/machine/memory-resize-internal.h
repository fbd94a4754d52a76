/* SPDX-License-Identifier: MIT */
/* The job that resizes a guest's memory: what its two directions share. */
#ifndef TESSERA_MACHINE_MEMORY_RESIZE_INTERNAL_H
#define TESSERA_MACHINE_MEMORY_RESIZE_INTERNAL_H

#include "machine-internal.h"
#include "tessera/machine/memory-resize.h"

/*
 * All on the main thread. Events of the memory devices come in the middle of their work: they only
 * schedule step(), which looks at what is there and does what is next.
 */
struct MemoryResize {
    Machine *machine;
    MemoryResizeState state;
    uint64_t start;
    uint64_t target;
    unsigned dimms;
    unsigned done;
    GPtrArray *plugged;  /* char *: what the running request has plugged */
    char *current;       /* DIMM that was asked for, NULL: none */
    GHashTable *refused; /* ids that the guest did not give up in this request */
    GHashTable *own;     /* ids of DIMMs whose backends are ours to delete */
    char *reason;        /* the first thing that went wrong */
    char *doing;
    guint idle;
    guint patience;
};

/* memory-resize.c; all on the main thread */

MemoryDevices *memory_resize_devices(const MemoryResize *r); /* NULL: there are no slots */
uint64_t memory_resize_now(const MemoryResize *r);           /* bytes, boot RAM included */
/** memory_resize_tell() - enters @state and tells who listens; steals @doing, what happens in words */
void memory_resize_tell(MemoryResize *r, MemoryResizeState state, char *doing);
/** memory_resize_note() - why DIMM @id is not as it was to be; the first reason is kept */
void memory_resize_note(MemoryResize *r, const char *id, const char *reason);
/** memory_resize_finish() - the end of a request: how near it came, and what was in the way */
void memory_resize_finish(MemoryResize *r, MemoryResizeState state);

/* memory-resize-grow.c and memory-resize-shrink.c: begin (an error: nothing was done), and go on */

bool memory_resize_grow(MemoryResize *r, uint64_t more, GError **error);
void memory_resize_step_growing(MemoryResize *r);
/** memory_resize_end_growing() - a guest that starts finds what is plugged, without being told */
void memory_resize_end_growing(MemoryResize *r);
bool memory_resize_shrink(MemoryResize *r, uint64_t less, GError **error);
void memory_resize_step_shrinking(MemoryResize *r);

#endif
