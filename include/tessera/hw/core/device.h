/* SPDX-License-Identifier: MIT */
/* Device: the base of every device model, and the table its class registers in. */
#ifndef TESSERA_HW_CORE_DEVICE_H
#define TESSERA_HW_CORE_DEVICE_H

#include <glib.h>
#include "tessera/hw/core/clock.h"
#include "tessera/hw/core/irq.h"
#include "tessera/hw/core/machine-control.h"
#include "tessera/memory/memory-system.h"
#include "tessera/memory/region.h"
#include "tessera/util/object.h"
#include "tessera/util/registry.h"

typedef struct Device Device;
typedef struct DeviceClass DeviceClass;
typedef struct Chardev Chardev;

/*
 * Life of a device: device_new() -> its wiring functions (a device's own header: `serial_set_irq`)
 * -> device_realize(), which makes its MemoryRegions -> the board maps device_region(dev, i) where
 * it belongs -> device_reset() at each machine reset -> device_unrealize() after the board took the
 * regions out -> the last reference finalizes.
 *
 * A device knows offsets, wires and notifiers; never an absolute address, never KVM.
 */
struct Device {
    Object obj; /* first: a Device is an Object */
    const DeviceClass *cls;
    MemorySystem *ms;
    VirtualClock *clock;
    const MachineControl *control;
    char *id; /* NULL: built-in */
    bool realized;
    GPtrArray *regions; /* MemoryRegion *: device_add_region() */
};

/**
 * struct DeviceClass - one const table per device model, at the bottom of its file
 * @name: unique; "isa-serial"
 * @description: one line for help
 * @instance_size: bytes; the state's first member is a Device
 * @init: sets defaults. Optional
 * @realize: checks the wiring, creates regions with device_add_region(). May fail
 * @unrealize: ends timers and handlers; runs on the main thread
 * @reset: register state as after power-on; vCPUs are paused. Optional
 * @finalize: frees what is left; any thread. Optional
 */
struct DeviceClass {
    const char *name;
    const char *description;
    size_t instance_size;
    void (*init)(Device *dev);
    bool (*realize)(Device *dev, GError **error);
    void (*unrealize)(Device *dev);
    void (*reset)(Device *dev);
    void (*finalize)(Device *dev);
};

/* Puts a class into the table that device_class_find() searches: DEVICE_REGISTER(serial_class); */
#define DEVICE_REGISTER(cls) TESSERA_REGISTER(devices, cls)

/** device_class_find() - by name; an error names the nearest one */
const DeviceClass *device_class_find(const char *name, GError **error);
/** device_class_for_each() - sorted by name; a duplicate name is asserted against at first use */
void device_class_for_each(void (*fn)(const DeviceClass *cls, void *opaque), void *opaque);

/** struct DeviceContext - what every device of a machine may use; outlives them */
typedef struct DeviceContext {
    MemorySystem *ms;
    VirtualClock *clock;
    const MachineControl *control;
} DeviceContext;

Device *device_new(const DeviceClass *cls, const DeviceContext *context, const char *id);
bool device_realize(Device *dev, GError **error);
void device_unrealize(Device *dev);
void device_reset(Device *dev);
Device *device_ref(Device *dev);
void device_unref(Device *dev); /* NULL allowed */

/** device_from_object() - @obj as a device, or NULL: it is something else, or NULL itself */
Device *device_from_object(Object *obj);

/** device_add_region() - for realize: @dev keeps the creator's reference, releases it at the end */
unsigned device_add_region(Device *dev, MemoryRegion *mr);
/** device_region() - the region of that number; asserted. Valid while @dev lives */
MemoryRegion *device_region(Device *dev, unsigned index);

#endif
