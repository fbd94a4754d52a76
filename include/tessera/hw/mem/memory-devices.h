/* SPDX-License-Identifier: MIT */
/* MemoryDevices: the DIMMs in a board's device-memory window, and the jobs that take them out. */
#ifndef TESSERA_HW_MEM_MEMORY_DEVICES_H
#define TESSERA_HW_MEM_MEMORY_DEVICES_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct MemoryDevices MemoryDevices;

/*
 * Plug: the region is mapped (slot and all), then the socket says "enabled, inserted", then the guest
 * is interrupted. Unplug is a job: nothing is unmapped before the guest ejects, whatever time passes.
 *
 *                     device_del                _OST 0x84             _EJ0
 *   PLUGGED ------------------> REQUESTED ------------------> OFFLINING -------> (gone)
 *      ^                         |  |  |                       |  |
 *      |  REFUSED <--- _OST: 0x80, 0x81, 1 --------------------+  |
 *      |  TIMED_OUT <--- no answer for the time-out ---------------+   a later eject is honoured
 *      +- CANCELLED <--- asked to wait no longer; a later eject is honoured
 */
typedef enum DimmState {
    DIMM_PLUGGED,
    DIMM_REQUESTED,
    DIMM_OFFLINING,
    DIMM_REFUSED,
    DIMM_TIMED_OUT,
    DIMM_CANCELLED,
    DIMM_EJECTED, /* in events only: the DIMM is gone */
} DimmState;

const char *dimm_state_name(DimmState state); /* "requested", "guest-offlining", ... */

/** struct DimmInfo - one DIMM, as questions show it; strings are borrowed for the call */
typedef struct DimmInfo {
    const char *id;
    const char *memdev; /* id of the backend */
    unsigned slot;
    unsigned node;
    uint64_t addr; /* guest-physical */
    uint64_t size; /* bytes */
    bool hotplugged;
    bool hotpluggable;
    DimmState state;
    bool guest_refused_plug; /* the guest reported that it cannot use it */
    const char *reason;      /* of REFUSED, TIMED_OUT, a refused plug; else NULL */
    int64_t state_since_us;  /* g_get_monotonic_time() */
} DimmInfo;

/** struct DimmRequest - what device_add says; @has_slot / @has_addr false: chosen (first fit) */
typedef struct DimmRequest {
    const char *id;
    const char *memdev;
    bool has_slot;
    bool has_addr;
    unsigned slot;
    unsigned node;
    uint64_t addr;
} DimmRequest;

typedef enum MemoryDeviceEventKind {
    MEMORY_EVENT_OST,            /* .slot, .ost_event, .ost_status, .info */
    MEMORY_EVENT_DELETED,        /* ejected and unmapped: .id */
    MEMORY_EVENT_UNPLUG_ERROR,   /* REFUSED: .id, .reason */
    MEMORY_EVENT_STATE,          /* any change of a job's state */
    MEMORY_EVENT_SIZE_CHANGE,
} MemoryDeviceEventKind;

typedef struct MemoryDeviceEvent {
    MemoryDeviceEventKind kind;
    const char *id;
    unsigned slot;
    uint32_t ost_event;
    uint32_t ost_status;
    DimmState state;
    const char *reason; /* the guest's code in words, or NULL */
} MemoryDeviceEvent;

/**
 * memory_devices_plug() - takes the backend, chooses slot and address, maps, tells the guest
 * @hot: while the machine runs; false at start
 *
 * Errors name the value, the rule and what would work: id taken, memdev unknown or in use, slot taken
 * or past the last, no slot left, address outside of the window, overlapping (names the DIMM) or
 * misaligned (names the guest's memory block size), no room, size that the guest cannot use, maxmem
 * reached. Nothing has changed then. Context: main thread, no machine lock.
 */
bool memory_devices_plug(MemoryDevices *md, const DimmRequest *request, bool hot, GError **error);

/**
 * memory_devices_request_unplug() - starts (or, after a refusal or time-out, repeats) the job
 *
 * Errors: unknown id (nearest), a job that runs already, the machine does not run a guest.
 */
bool memory_devices_request_unplug(MemoryDevices *md, const char *id, GError **error);

/** memory_devices_cancel_unplug() - waits no longer; clears the request if the guest has not seen it */
bool memory_devices_cancel_unplug(MemoryDevices *md, const char *id, GError **error);

/** memory_devices_set_timeout() - how long REQUESTED and OFFLINING may last: default 60 s; 0: for ever */
void memory_devices_set_timeout(MemoryDevices *md, unsigned seconds);

/** memory_devices_for_each() - by slot. Main thread */
void memory_devices_for_each(MemoryDevices *md, void (*fn)(const DimmInfo *info, void *opaque),
                             void *opaque);
bool memory_devices_find(MemoryDevices *md, const char *id, DimmInfo *ret_info);

/** struct MemoryDevicesSummary - bytes and counts */
typedef struct MemoryDevicesSummary {
    uint64_t base_memory;    /* boot RAM */
    uint64_t plugged_memory;
    uint64_t window_base;
    uint64_t window_size;
    uint64_t maxmem;
    unsigned slots;
    unsigned slots_used;
    uint64_t block_size;     /* Linux guest's memory block: DIMM base and size are multiples */
} MemoryDevicesSummary;
MemoryDevicesSummary memory_devices_summary(MemoryDevices *md);

#endif
