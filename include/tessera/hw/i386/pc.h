/* SPDX-License-Identifier: MIT */
/* The PC board: which devices exist, at which address, on which interrupt. */
#ifndef TESSERA_HW_I386_PC_H
#define TESSERA_HW_I386_PC_H

#include <glib.h>
#include "tessera/chardev/chardev.h"
#include "tessera/hw/core/device.h"
#include "tessera/hw/i386/pc-info.h"
#include "tessera/hw/i386/pc-map.h"
#include "tessera/hw/mem/memory-devices.h"
#include "tessera/memory/address-space.h"
#include "tessera/memory/ram-block.h"
#include "tessera/util/x86-entry.h"

/*
 *   system (2^64)                        I/O (64 KiB)
 *   +- pci            prio -1            +- one region a device
 *   +- ram-below-4g   alias of pc.ram
 *   +- vga-hole       prio 1
 *   +- pc.rom         prio 1
 *   +- ram-above-4g   alias of pc.ram
 *   `- device-memory  container, where DIMMs go
 */
typedef struct Pc Pc;

/**
 * struct PcConfig - what the board is built from; copied, or outlives the board where it says so
 * @context: outlives the board
 * @info: its layout (pc_layout()), vCPUs and APIC ids; apic_ids outlives the board
 * @ram: boot RAM, info.ram_below_4g + info.ram_above_4g bytes; the board takes a reference
 * @objects: where DIMMs find their memory; outlives the board
 * @gsi: where each global system interrupt leads
 * @serial0: back end of the first serial port, or NULL; outlives the board
 * @cmdline: the kernel's, as in MachineConfig
 * @pass_dtb: hand the device tree to the kernel (setup_data)
 */
typedef struct PcConfig {
    const DeviceContext *context;
    const PcInfo *info;
    RAMBlock *ram;
    ObjectStore *objects;
    IrqLine gsi[PC_GSI_COUNT];
    Chardev *serial0;
    const char *cmdline;
    bool pass_dtb;
} PcConfig;

/**
 * pc_new() - builds the board: address spaces and devices. Context: main thread, no machine lock
 *
 * info.phys_bits is not looked at.
 */
Pc *pc_new(const PcConfig *config, GError **error);

/**
 * pc_prepare_boot() - tables, and the plan of what is loaded where; once, before the first pc_reset()
 * @phys_bits: guest-physical address bits of the guest's CPUs, what pc_layout() was given or more
 * @kernel, @initrd: as in MachineConfig; @kernel NULL: nothing is loaded
 *
 * Nothing is written to guest memory before pc_reset(). Context: as pc_new().
 */
bool pc_prepare_boot(Pc *pc, unsigned phys_bits, const char *kernel, const char *initrd,
                     GError **error);
void pc_free(Pc *pc); /* vCPUs are gone, listeners unregistered. NULL is allowed */

AddressSpace *pc_memory(Pc *pc);
AddressSpace *pc_io(Pc *pc);

/**
 * pc_reset() - devices to power-on state; kernel, initrd, tables and parameters into RAM again
 *
 * The vCPUs are paused. Errors: what the loader says (a file that changed, an I/O error).
 */
bool pc_reset(Pc *pc, GError **error);

/** pc_entry() - the first vCPU's registers after pc_reset(); NULL without a kernel */
const X86EntryState *pc_entry(Pc *pc);

/** pc_memory_devices() - the DIMM sockets; NULL: there are none */
MemoryDevices *pc_memory_devices(Pc *pc);

/**
 * pc_for_each_note() - what the board keeps addresses for where no region lies: by increasing address,
 * first those of memory (@io false), then ports. Context: any thread
 * @fn: @text is valid during the call
 */
void pc_for_each_note(const Pc *pc,
                      void (*fn)(bool io, hwaddr start, uint64_t size, const char *text,
                                 void *opaque),
                      void *opaque);

/** pc_power_button() - presses it */
void pc_power_button(Pc *pc);

/** pc_device_tree() - the machine as a device tree blob; g_byte_array_unref() */
GByteArray *pc_device_tree(Pc *pc, GError **error);

#endif
