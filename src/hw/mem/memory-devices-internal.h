/* SPDX-License-Identifier: MIT */
/* What the files of the memory devices share. */
#ifndef TESSERA_HW_MEM_MEMORY_DEVICES_INTERNAL_H
#define TESSERA_HW_MEM_MEMORY_DEVICES_INTERNAL_H

#include <pthread.h>
#include "tessera/hw/acpi/memory-hotplug.h"
#include "tessera/hw/mem/dimm-layout.h"
#include "tessera/hw/mem/memory-devices.h"
#include "tessera/hw/mem/pc-dimm.h"
#include "tessera/util/event-notifier.h"

/* Sources of _OST: what the guest answers to (ACPI 6.4, section 6.3.5). */
#define OST_DEVICE_CHECK  0x01u
#define OST_EJECT_REQUEST 0x03u
#define OST_GUEST_EJECT   0x103u /* ejection begun by the guest */

/* Status codes: general, and of ejection (ACPI 6.4, tables 6.8 and 6.9). */
#define OST_SUCCESS      0x00u
#define OST_FAILURE      0x01u
#define OST_UNRECOGNIZED 0x02u
#define OST_NOT_SUPPORTED 0x80u
#define OST_IN_USE       0x81u
#define OST_BUSY         0x82u
#define OST_DEPENDENCY   0x83u
#define OST_IN_PROGRESS  0x84u

/*
 * One DIMM. All but @ejecting belongs to the main thread, and what a vCPU's eject reads (@dev, @slot)
 * does not change while the DIMM is in MemoryDevices.slots.
 */
typedef struct Dimm {
    MemoryDevices *md;
    Device *dev; /* pc-dimm; owns the region */
    MemoryBackend *backend;
    unsigned slot;
    unsigned node;
    uint64_t addr; /* guest-physical */
    uint64_t size;
    bool hotplugged;
    bool guest_took_plug;
    bool guest_refused_plug;
    DimmState state;
    char *reason;
    int64_t state_since_us;
    GSource *timeout; /* of REQUESTED and OFFLINING, NULL: none runs */
    bool ejecting;    /* MemoryDevices.lock: an eject was taken, and its outcome is queued or to be */
} Dimm;

typedef struct GuestTell GuestTell;

/* What a vCPU thread did or said, on its way to the main thread. */
typedef struct GuestAct {
    GList link; /* first: a queue's element */
    unsigned slot;
    bool is_eject;
    uint32_t ost_event;
    uint32_t ost_status;
    char *eject_error; /* NULL: it went */
} GuestAct;

/* A guest that floods us with _OST is not listened to beyond this; ejects are one for each DIMM. */
#define GUEST_ACTS_MAX 1024

/*
 * @lock: guards @slots, Dimm.ejecting, @acts and @osts_lost; nobody is called under it.
 *      The main thread alone changes @slots.
 * @acts: in the order in which the guest did them; @notifier says that there are some
 */
struct MemoryDevices {
    MemoryDevicesConfig config;
    DeviceContext device_context;
    pthread_mutex_t lock;
    Dimm **slots;
    GPtrArray *by_addr; /* Dimm, rising; main thread */
    GArray *ranges;     /* DimmRange: the same DIMMs, in the same order */
    GHashTable *by_id;  /* the same; the keys are dimm_id() */
    uint64_t plugged;   /* bytes; main thread */
    GQueue acts;
    unsigned osts_lost;
    EventNotifier notifier;
    GSource *source;
    GuestTell *tell;
    unsigned timeout_s;
    void (*event_fn)(void *opaque, const MemoryDeviceEvent *event);
    void *event_opaque;
};

/* memory-devices.c */

Dimm *memory_devices_lookup(MemoryDevices *md, const char *id, GError **error);
/**
 * dimm_remove() - the region is out of the map: forgets the DIMM and releases its backend
 * @reason: how that came, in words
 */
void dimm_remove(Dimm *dimm, const char *reason);
/**
 * dimm_unmap() - takes the region out of the window; any thread
 * @why: "guest eject" or the like, for the history of commits
 */
bool dimm_unmap(Dimm *dimm, const char *why, GError **error);
const char *dimm_id(const Dimm *dimm);

/* dimm-choose.c */

uint64_t memory_devices_guest_block(const MemoryDevices *md);
/**
 * dimm_choose() - the socket and the guest-physical address for @backend, as @request says or the
 * first that fit; errors as of memory_devices_plug()
 */
bool dimm_choose(MemoryDevices *md, const DimmRequest *request, MemoryBackend *backend,
                 unsigned *ret_slot, uint64_t *ret_addr, GError **error);

/* dimm-unplug.c */

/** dimm_set_state() - with a reason that is copied, or NULL; starts or ends the time-out; tells */
void dimm_set_state(Dimm *dimm, DimmState state, const char *reason);
/** dimm_is_asked_for() - a request to give it up may still lead to an eject */
bool dimm_is_asked_for(const Dimm *dimm);
/** dimm_stop_timeout() - none runs from now on */
void dimm_stop_timeout(Dimm *dimm);
/** dimm_time_out() - what the time-out does */
void dimm_time_out(Dimm *dimm);
/** dimm_tell_plug_answer() - what became of a plug, in words */
void dimm_tell_plug_answer(Dimm *dimm, const char *reason);
/** dimm_handle_ost() - what the guest says moves the job on */
void dimm_handle_ost(Dimm *dimm, uint32_t event, uint32_t status);
/** memory_devices_emit() - tells the handler, if there is one */
void memory_devices_emit(MemoryDevices *md, const MemoryDeviceEvent *event);

/* guest-acts.c */

/** dimm_begin_eject() - true: the calling thread, and no other, takes the DIMM out */
bool dimm_begin_eject(Dimm *dimm);
/** dimm_end_eject() - it could not be taken out */
void dimm_end_eject(Dimm *dimm);
bool dimm_is_ejecting(Dimm *dimm);

extern const MemoryHotplugOps memory_devices_hotplug_ops;
/** guest_acts_init() - the way from vCPU threads to the main loop */
bool guest_acts_init(MemoryDevices *md, GError **error);
void guest_acts_done(MemoryDevices *md);
/** guest_acts_serve() - handles what is queued, or a part. Returns: there is more. Main thread */
bool guest_acts_serve(MemoryDevices *md);

/* guest-tell.c */

void guest_tell_init(MemoryDevices *md);
void guest_tell_done(MemoryDevices *md);
/** guest_tell_soon() - the main loop's next turn interrupts the guest. Main thread */
void guest_tell_soon(MemoryDevices *md);
/** guest_tell_not() - it does not, unless it is told again */
void guest_tell_not(MemoryDevices *md);

#endif
