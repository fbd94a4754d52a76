/* SPDX-License-Identifier: MIT */
/* What a PC consists of, as its tables (e820, ACPI, device tree) describe it to the guest. */
#ifndef TESSERA_HW_I386_PC_INFO_H
#define TESSERA_HW_I386_PC_INFO_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct PcInfo - the machine's shape, fixed before the first vCPU runs
 * @cpus: number of vCPUs, 1 or more; vCPU i has the APIC id @apic_ids[i]
 * @ram_below_4g: bytes of RAM that start at guest-physical address 0
 * @ram_above_4g: bytes of RAM that start at 4 GiB (0: none)
 * @device_memory_base: first guest-physical address of the device-memory window; @device_memory_size
 *      its length in bytes (0: the machine has no window)
 * @memory_slots: DIMM sockets, 0..256
 * @phys_bits: guest-physical address bits that the guest's CPUID promises
 * @i8042_complete: the keyboard controller answers self-test and AUX commands
 *
 * Everything else of the board is constant and stands in pc-map.h.
 */
typedef struct PcInfo {
    unsigned cpus;
    const uint32_t *apic_ids;
    uint64_t ram_below_4g;
    uint64_t ram_above_4g;
    uint64_t device_memory_base;
    uint64_t device_memory_size;
    unsigned memory_slots;
    unsigned phys_bits;
    bool i8042_complete;
} PcInfo;

#endif
