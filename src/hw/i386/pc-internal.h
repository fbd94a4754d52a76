/* SPDX-License-Identifier: MIT */
/* What the files of the PC board share. */
#ifndef TESSERA_HW_I386_PC_INTERNAL_H
#define TESSERA_HW_I386_PC_INTERNAL_H

#include "tessera/hw/i386/linux-image.h"
#include "tessera/hw/i386/linux-loader.h"
#include "tessera/hw/i386/pc-acpi.h"
#include "tessera/hw/i386/pc.h"

/* The board's regions; each NULL until it was made, released in the order of the array's end. */
enum PcRegion {
    PC_REGION_SYSTEM,
    PC_REGION_IO,
    PC_REGION_RAM,
    PC_REGION_RAM_BELOW_4G,
    PC_REGION_RAM_ABOVE_4G,
    PC_REGION_VGA_HOLE,
    PC_REGION_ROM,
    PC_REGION_DEVICE_MEMORY,
    PC_REGION_COUNT,
};

struct Pc {
    DeviceContext context;
    PcInfo info;
    IrqLine gsi[PC_GSI_COUNT];
    Chardev *serial0;
    char *cmdline;
    bool pass_dtb;

    MemoryRegion *regions[PC_REGION_COUNT];
    RAMBlock *ram;
    RAMBlock *rom;
    AddressSpace *memory;
    AddressSpace *io;

    GPtrArray *devices; /* Device *, in the order they were made; owned */
    Device *pm;         /* one of them: has the power button */
    Device *memory_hotplug;        /* one of them; NULL: no memory slots */
    MemoryDevices *memory_devices; /* NULL: no memory slots */
    ObjectStore *objects;

    PcAcpi *acpi;
    LinuxImage *image;   /* NULL: no kernel */
    LinuxBootPlan *plan; /* NULL: no kernel */
    bool said_replaced;  /* the user knows that the files have new versions */
};

/* pc-devices.c */

/** pc_devices_create() - makes, wires, realizes and maps every device of the board */
bool pc_devices_create(Pc *pc, GError **error);
/** pc_devices_destroy() - unmaps and releases them, half-made ones too */
void pc_devices_destroy(Pc *pc);

/* pc-boot.c */

/** pc_boot_load() - writes tables and kernel into guest memory. vCPUs are paused */
bool pc_boot_load(Pc *pc, GError **error);

#endif
