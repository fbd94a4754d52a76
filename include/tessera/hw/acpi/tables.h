/* SPDX-License-Identifier: MIT */
/* The fixed-format ACPI tables: headers, RSDP, XSDT, FADT, FACS, MADT, SRAT. */
#ifndef TESSERA_HW_ACPI_TABLES_H
#define TESSERA_HW_ACPI_TABLES_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tessera/hw/acpi/aml.h"

/*
 * Layouts are those of ACPI 6.4, chapter 5.2. The guest finds its way like this:
 *
 *     RSDP (16-byte aligned in e0000..fffff, or named by the loader)
 *       `-- XSDT -- FADT --+-- FACS (64-byte aligned, the guest writes the lock in it)
 *            |             `-- DSDT
 *            +-- MADT, SRAT, SSDT ...
 *
 * This layer knows formats and no machine: addresses, ports and interrupts come from the board.
 * Every function returns a complete table with a correct checksum as a new array that the caller
 * owns. Context: any thread; nothing here can fail.
 */

#define ACPI_RSDP_SIZE   36
#define ACPI_FACS_SIZE   64
#define ACPI_FADT_SIZE   276
#define ACPI_HEADER_SIZE 36
#define ACPI_FACS_ALIGN  64
/* Tables need no alignment by the standard; 16 keeps 64-bit fields aligned for simple readers. */
#define ACPI_TABLE_ALIGN 16

/**
 * acpi_table_new - start a table: its 36-byte header with length and checksum still open (5.2.6)
 * @signature: four characters
 * @revision: of the table's format
 *
 * The caller appends the body and ends with acpi_table_finish().
 */
GByteArray *acpi_table_new(const char *signature, uint8_t revision);

/** acpi_table_finish - enter length and checksum in a table that begins with a header. */
void acpi_table_finish(GByteArray *table);

/** acpi_checksum - the byte that makes the sum of @length bytes at @data and itself 0. */
uint8_t acpi_checksum(const uint8_t *data, size_t length);

/**
 * acpi_build_definition_block - a DSDT or SSDT (5.2.11): header plus AML
 * @signature: "DSDT" or "SSDT"
 * @table_id: OEM table ID, at most 8 characters: tells two SSDTs apart
 * @body: a term list, consumed
 *
 * The revision is 2: integers are 64 bits wide.
 */
GByteArray *acpi_build_definition_block(const char *signature, const char *table_id, Aml *body);

/** acpi_build_rsdp - Root System Description Pointer, revision 2 (5.2.5.3), no RSDT. */
GByteArray *acpi_build_rsdp(uint64_t xsdt);

/** acpi_build_xsdt - Extended System Description Table (5.2.8): the addresses of @n tables. */
GByteArray *acpi_build_xsdt(const uint64_t *tables, size_t n);

/** acpi_xsdt_size - the length in bytes of an XSDT with @n entries. */
static inline size_t acpi_xsdt_size(size_t n)
{
    return ACPI_HEADER_SIZE + 8 * n;
}

/** acpi_build_facs - Firmware ACPI Control Structure, version 2 (5.2.10); has no checksum. */
GByteArray *acpi_build_facs(void);

/**
 * struct AcpiFadt - what the Fixed ACPI Description Table (5.2.9) says of a PC without firmware
 * @facs, @dsdt: guest-physical addresses below 4 GiB
 * @sci: interrupt of the system control interrupt
 * @pm1a_event, @pm1a_control, @pm_timer: I/O ports; 4, 2 and 4 bytes long
 * @gpe0, @gpe0_size: I/O port and length in bytes (status and enable half each) of GPE block 0
 * @reset_port, @reset_value: a byte write of the value to this I/O port resets the machine
 * @century: CMOS index of the century, 0 when the RTC has none
 * @has_i8042: the keyboard controller works as a whole
 */
typedef struct AcpiFadt {
    uint32_t facs;
    uint32_t dsdt;
    uint16_t sci;
    uint16_t pm1a_event;
    uint16_t pm1a_control;
    uint16_t pm_timer;
    uint16_t gpe0;
    uint8_t gpe0_size;
    uint16_t reset_port;
    uint8_t reset_value;
    uint8_t century;
    bool has_i8042;
} AcpiFadt;

/** acpi_build_fadt - the FADT, revision 6.4, ACPI_FADT_SIZE bytes. */
GByteArray *acpi_build_fadt(const AcpiFadt *fadt);

/**
 * struct AcpiOverride - Interrupt Source Override (5.2.12.5): an ISA IRQ that is not GSI = IRQ,
 * edge, active high
 * @irq: ISA IRQ
 * @gsi: the global system interrupt it is wired to
 * @level_high: level-triggered, active high (else: as the ISA bus has it)
 */
typedef struct AcpiOverride {
    uint8_t irq;
    uint32_t gsi;
    bool level_high;
} AcpiOverride;

/**
 * struct AcpiMadt - what the Multiple APIC Description Table (5.2.12) lists
 * @lapic_base: guest-physical address of every local APIC
 * @cpus, @apic_ids: number of processors; processor i has _UID i and APIC id @apic_ids[i]. The
 *      boot processor comes first.
 * @ioapic_base, @ioapic_id: the one I/O APIC, whose first pin is GSI 0
 * @overrides, @n_overrides: interrupt source overrides
 * @nmi_lint: the local interrupt input (0 or 1) of every processor that NMI is wired to
 */
typedef struct AcpiMadt {
    uint32_t lapic_base;
    unsigned cpus;
    const uint32_t *apic_ids;
    uint32_t ioapic_base;
    uint8_t ioapic_id;
    const AcpiOverride *overrides;
    size_t n_overrides;
    uint8_t nmi_lint;
} AcpiMadt;

/** acpi_build_madt - the MADT, revision 5, with PCAT_COMPAT: there are 8259 PICs as well. */
GByteArray *acpi_build_madt(const AcpiMadt *madt);

/**
 * struct AcpiMemory - one Memory Affinity Structure (5.2.16.2), in proximity domain @domain
 * @base, @length: bytes; empty ranges are left out of the table
 * @hotplug: memory that may come and go
 */
typedef struct AcpiMemory {
    uint64_t base;
    uint64_t length;
    uint32_t domain;
    bool hotplug;
} AcpiMemory;

/**
 * acpi_build_srat - System Resource Affinity Table (5.2.16), revision 3
 * @cpus, @apic_ids: as in struct AcpiMadt; all processors are in proximity domain 0
 * @memory, @n_memory: ranges
 */
GByteArray *acpi_build_srat(unsigned cpus, const uint32_t *apic_ids, const AcpiMemory *memory,
                            size_t n_memory);

#endif
