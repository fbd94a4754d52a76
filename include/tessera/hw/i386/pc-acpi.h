/* SPDX-License-Identifier: MIT */
/* ACPI tables of the PC: what the machine is, as its guest reads it. */
#ifndef TESSERA_HW_I386_PC_ACPI_H
#define TESSERA_HW_I386_PC_ACPI_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tessera/hw/acpi/aml.h"
#include "tessera/hw/i386/pc-info.h"

/**
 * struct PcAcpiSsdt - a part of the machine that brings a definition block of its own
 * @table_id: OEM table ID, 1..8 characters, different for each
 * @build: called once, from pc_acpi_build(), in the order of the array; appends its terms to @body
 *      (which it does not own). Paths are absolute: `Scope(\_SB)`, `Scope(\_GPE)`. The DSDT defines
 *      \_SB.PCI0 and the devices named in docs/acpi.md, and no \_GPE method.
 * @opaque: handed to @build
 */
typedef struct PcAcpiSsdt {
    const char *table_id;
    void (*build)(Aml *body, const PcInfo *info, void *opaque);
    void *opaque;
} PcAcpiSsdt;

/**
 * struct PcAcpi - the tables, ready to be copied into guest memory
 * @low: bytes that go to @low_base in the BIOS area: RSDP, FACS, and the rest as long as it fits
 * @rsdp_base: guest-physical address of the RSDP, for boot_params and hvm_start_info
 * @high: NULL, or the tables that outgrew the BIOS area; they go to @high_base
 * @high_base, @high_size: whole pages at the top of RAM below 4 GiB, for e820_build(), which lists
 *      them as ACPI data in place of usable RAM; 0 and 0 when there are none.
 *      @high->len <= @high_size.
 */
typedef struct PcAcpi {
    GByteArray *low;
    uint64_t low_base;
    uint64_t rsdp_base;
    GByteArray *high;
    uint64_t high_base;
    uint64_t high_size;
} PcAcpi;

/**
 * pc_acpi_build - lay out every table of the machine
 * @info: the machine
 * @ssdts, @n_ssdts: contributors; NULL, 0 for none
 * @ret_acpi: the tables, to be freed by pc_acpi_free(); untouched on failure
 *
 * Depends on @info alone, so the same machine always gets the same bytes. Called before e820 is
 * built, because the tables may take their range from RAM.
 *
 * Returns: false with @error when RAM ends below the BIOS area, or cannot hold the tables.
 * Context: main thread, before the first vCPU runs; no lock.
 */
bool pc_acpi_build(const PcInfo *info, const PcAcpiSsdt *ssdts, size_t n_ssdts, PcAcpi **ret_acpi,
                   GError **error);

/** pc_acpi_free - free the tables; NULL is fine. */
void pc_acpi_free(PcAcpi *acpi);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PcAcpi, pc_acpi_free)

/**
 * pc_pci_window64 - where 64-bit PCI memory BARs live: above RAM and device memory
 * @info: the machine
 * @ret_base, @ret_size: bytes; base aligned to 1 GiB
 *
 * Returns: false, with nothing stored, when the guest's physical addresses leave no room.
 * Context: any thread.
 */
bool pc_pci_window64(const PcInfo *info, uint64_t *ret_base, uint64_t *ret_size);

#endif
