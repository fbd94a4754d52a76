/* SPDX-License-Identifier: MIT */
/* The PC as a flattened device tree: the same machine that its ACPI tables describe. */
#ifndef TESSERA_HW_I386_PC_FDT_H
#define TESSERA_HW_I386_PC_FDT_H

#include <glib.h>

#include "tessera/hw/i386/pc-info.h"

/**
 * pc_fdt_build - the device tree of the machine
 * @info: the machine
 * @bootargs: kernel command line for /chosen, or NULL
 *
 * The format is that of the Devicetree Specification 0.4, chapter 5; nodes follow Linux'
 * Documentation/devicetree/bindings/x86 (ce4100, interrupt) and IEEE 1275's PCI and ISA bindings:
 *
 *     /
 *     +-- chosen (bootargs, stdout-path), aliases
 *     +-- memory@0               RAM in two or three ranges, split where e820 splits it
 *     +-- cpus/cpu@ID            reg = APIC id
 *     `-- soc                    guest-physical addresses, unchanged
 *         +-- interrupt-controller@fec00000    I/O APIC; interrupts = <pin sense>
 *         +-- interrupt-controller@fee00000    local APICs
 *         +-- pci@c0000000       windows and INTA..INTD
 *         `-- isa@0              serial@3f8, rtc@70, timer@40, i8042@60; reg = <1 port length>
 *
 * Returns: the blob, owned by the caller, or NULL with @error when it cannot be built.
 * Context: any thread; no lock.
 */
GByteArray *pc_fdt_build(const PcInfo *info, const char *bootargs, GError **error);

#endif
