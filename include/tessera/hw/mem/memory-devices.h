/* SPDX-License-Identifier: MIT */
/* MemoryDevices: the DIMMs in a board's device-memory window, and the jobs that take them out. */
#ifndef TESSERA_HW_MEM_MEMORY_DEVICES_H
#define TESSERA_HW_MEM_MEMORY_DEVICES_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "tessera/hw/core/device.h"
#include "tessera/util/object-store.h"

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
 *
 * A guest may also eject a DIMM that nobody asked for. A reset of the machine takes out what is
 * REQUESTED or OFFLINING, and makes PLUGGED again what is REFUSED, TIMED_OUT or CANCELLED: the new
 * guest knows nothing of it.
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
    bool guest_took_plug;    /* the guest reported that it has added the memory */
    bool guest_refused_plug; /* the guest reported that it cannot use it */
    const char *reason;      /* of REFUSED, TIMED_OUT, CANCELLED, a refused plug; else NULL */
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
    MEMORY_EVENT_OST,          /* the guest evaluated _OST; .id NULL: the socket is empty by now */
    MEMORY_EVENT_PLUG_ANSWERED, /* the guest has taken a DIMM or cannot use it: .id, .reason */
    MEMORY_EVENT_DELETED,      /* ejected and unmapped: .id, .reason, .unasked */
    MEMORY_EVENT_UNPLUG_ERROR, /* REFUSED: .id, .reason */
    MEMORY_EVENT_STATE,        /* any change of .state or .reason of a DIMM: .id */
    MEMORY_EVENT_SIZE_CHANGE,  /* the sum of plugged memory is another: .id is the DIMM's */
} MemoryDeviceEventKind;

/* How a plug ends that a starting guest sees by itself: it answers nothing then. */
#define MEMORY_FOUND_AT_START "the guest finds the memory when it starts"

/**
 * struct MemoryDeviceEvent - strings are borrowed for the call
 * @size: bytes of the DIMM; 0 where the socket is empty
 * @unasked: of DELETED: no request was open, the guest ejected it by itself
 */
typedef struct MemoryDeviceEvent {
    MemoryDeviceEventKind kind;
    const char *id;
    unsigned slot;
    uint64_t size;
    uint32_t ost_event;
    uint32_t ost_status;
    DimmState state;
    bool unasked;
    const char *reason; /* the guest's code, or what happened, in words; or NULL */
} MemoryDeviceEvent;

/**
 * struct MemoryDevicesConfig - copied; what it points to outlives the MemoryDevices
 * @device: for the DIMMs, which are devices too
 * @objects: where memdev= is looked for
 * @window: container of the DIMMs, mapped at guest-physical address @window_base
 * @registers: an "acpi-memory-hotplug" device, wired and realized; its ops are taken
 * @slots: sockets, as wired
 * @boot_ram, @boot_ram_end: bytes, and the first address behind them
 * @maxmem: the most that boot RAM and DIMMs add up to
 * @context: main loop for events and time-outs; NULL: the default one
 */
typedef struct MemoryDevicesConfig {
    const DeviceContext *device;
    ObjectStore *objects;
    MemoryRegion *window;
    uint64_t window_base;
    Device *registers;
    unsigned slots;
    uint64_t boot_ram;
    uint64_t boot_ram_end;
    uint64_t maxmem;
    GMainContext *context;
} MemoryDevicesConfig;

/** memory_devices_new() - no DIMMs yet. Errors: no descriptor left */
MemoryDevices *memory_devices_new(const MemoryDevicesConfig *config, GError **error);

/**
 * memory_devices_free() - takes every DIMM out of the window and releases its backend
 *
 * Context: main thread; no vCPU runs any more. NULL is allowed.
 */
void memory_devices_free(MemoryDevices *md);

/**
 * memory_devices_reset() - the machine is reset: pending requests to unplug are carried out
 *
 * Context: main thread, vCPUs paused; before the registers are reset.
 */
void memory_devices_reset(MemoryDevices *md);

/** memory_devices_set_event_handler() - one; called on the main thread without locks. NULL: none */
void memory_devices_set_event_handler(MemoryDevices *md,
                                      void (*fn)(void *opaque, const MemoryDeviceEvent *event),
                                      void *opaque);

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

/**
 * memory_devices_memmap_warning() - a sentence if @size more bytes may be more than the guest's boot
 * RAM can describe (dimm_memmap_warning()), or NULL. Returns: a new string
 */
char *memory_devices_memmap_warning(MemoryDevices *md, uint64_t size);

/**
 * memory_devices_memmap_news() - the same sentence, if the DIMM of @size bytes that was plugged last
 * has made it true, or worse than it was
 */
char *memory_devices_memmap_news(MemoryDevices *md, uint64_t size);

/** dimm_ost_text() - what an _OST status means for source event @event, in words; never NULL */
const char *dimm_ost_text(uint32_t event, uint32_t status);

/** memory_devices_for_each() - by slot. @fn must not plug or unplug. Main thread */
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
