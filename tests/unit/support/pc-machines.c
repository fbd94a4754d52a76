/* SPDX-License-Identifier: MIT */
/* The PCs whose ACPI tables and device trees the unit tests look at. */
#include "pc-machines.h"

#include <glib.h>
#include <stdio.h>

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
#define IDS 288

PcInfo pc_machine(unsigned n)
{
    static const unsigned cpus[] = {1, 2, 255, 288};
    static const uint64_t ram[] = {256 * MIB, 3 * GIB, 5 * GIB};
    static uint32_t dense[IDS], sparse[IDS];
    PcInfo info = {.phys_bits = 40};

    for (uint32_t i = 0; i < IDS; i++) {
        dense[i] = i;
        sparse[i] = i / 3 << 2 | i % 3; /* three threads a core: every fourth id is nobody's */
    }
    info.cpus = cpus[n % 4];
    info.apic_ids = info.cpus % 2 ? sparse : dense;
    info.ram_below_4g = MIN(ram[n / 4 % 3], 3 * GIB);
    info.ram_above_4g = ram[n / 4 % 3] - info.ram_below_4g;
    info.i8042_complete = n % 3 != 0;
    if (n >= 12) {
        info.device_memory_base = 4 * GIB + info.ram_above_4g;
        info.device_memory_size = 20 * GIB;
        info.memory_slots = 4;
    }
    return info;
}

const char *pc_machine_name(const PcInfo *info)
{
    static char name[160];

    snprintf(name, sizeof(name), "%u cpus, %llu + %llu MiB, %llu MiB of device memory%s",
             info->cpus, info->ram_below_4g / MIB, info->ram_above_4g / MIB,
             info->device_memory_size / MIB, info->i8042_complete ? "" : ", no 8042");
    return name;
}
