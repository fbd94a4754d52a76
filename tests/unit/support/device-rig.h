/* SPDX-License-Identifier: MIT */
/* A machine of memory core, clock and wires only, for tests of devices. */
#ifndef TESSERA_TESTS_DEVICE_RIG_H
#define TESSERA_TESTS_DEVICE_RIG_H

#include <glib.h>
#include <stdatomic.h>
#include "tessera/hw/core/device.h"
#include "tessera/memory/address-space.h"

#define RIG_IRQS 16

typedef struct RigIrq {
    _Atomic bool level;
    _Atomic unsigned rises;
} RigIrq;

typedef struct DeviceRig {
    MemorySystem *ms;
    MemoryRegion *memory, *io; /* empty containers of 2^64 bytes and 64 KiB */
    AddressSpace *memory_as, *io_as;
    VirtualClock *clock; /* manual */
    MachineControl control;
    DeviceContext context;
    RigIrq irqs[RIG_IRQS];
    unsigned poweroffs, resets, exits;
    MachineCause cause; /* of the last request */
    int status;
    GPtrArray *devices;  /* Device *: ended by rig_done() */
    GPtrArray *mappings; /* MemoryRegion *: taken out by rig_done() */
} DeviceRig;

void rig_init(DeviceRig *rig);
/* Takes everything out, ends the devices and the machine. */
void rig_done(DeviceRig *rig);

/* A new device that rig_done() ends; still to be wired and realized. */
Device *rig_new(DeviceRig *rig, const DeviceClass *cls);
/* Realizes it (asserted) and maps region i at ports[i]; -1: not. */
void rig_start(DeviceRig *rig, Device *dev, const int *ports, unsigned count);

/* Wire n: rig->irqs[n] follows it. */
IrqLine rig_irq(DeviceRig *rig, unsigned n);

uint8_t rig_inb(DeviceRig *rig, uint16_t port);
uint16_t rig_inw(DeviceRig *rig, uint16_t port);
uint32_t rig_inl(DeviceRig *rig, uint16_t port);
void rig_outb(DeviceRig *rig, uint16_t port, uint8_t value);
void rig_outw(DeviceRig *rig, uint16_t port, uint16_t value);
void rig_outl(DeviceRig *rig, uint16_t port, uint32_t value);

/* The seed of random tests: TESSERA_SEED or the default; printed. */
GRand *rig_rand(const char *test);

/*
 * Hostile guest: @rounds random reads and writes of random sizes at ports [first, first + count), now
 * and then a jump of the clock. Whether the device survives is what the sanitizers see.
 */
void rig_fuzz(DeviceRig *rig, GRand *rand, uint16_t first, unsigned count, unsigned rounds);

#endif
