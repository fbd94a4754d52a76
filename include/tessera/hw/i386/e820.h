/* SPDX-License-Identifier: MIT */
/* The e820 table: what a PC's firmware tells a kernel about guest-physical memory. */
#ifndef TESSERA_HW_I386_E820_H
#define TESSERA_HW_I386_E820_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tessera/hw/i386/pc-info.h"

/* Types of ACPI 6.4, table 15.1; the values are the ones the guest reads. */
typedef enum E820Type {
    E820_RAM = 1,
    E820_RESERVED = 2,
    E820_ACPI = 3, /* tables; RAM again once the guest has read them */
    E820_NVS = 4,
} E820Type;

/**
 * struct E820Entry - one range [base, base + size) of guest-physical memory, in bytes
 */
typedef struct E820Entry {
    uint64_t base;
    uint64_t size;
    E820Type type;
} E820Entry;

typedef struct E820Table E820Table;

/**
 * e820_table_new() - an empty table
 *
 * Return: the table, to be freed with e820_table_free().
 */
E820Table *e820_table_new(void);

/**
 * e820_table_free() - frees a table; NULL is allowed
 */
void e820_table_free(E820Table *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(E820Table, e820_table_free)

/**
 * e820_table_set() - gives a range a type, whatever it had before
 * @base, @size: the range in bytes; a size of 0 changes nothing
 * @type: what the range is from now on
 *
 * The table stays sorted, without overlap, and without two touching entries of one type.
 *
 * Return: false, with the table unchanged and @error set, when the range does not end below 2^64.
 */
bool e820_table_set(E820Table *table, uint64_t base, uint64_t size, E820Type type, GError **error);

/**
 * e820_table_entries() - the entries in ascending order
 * @ret_count: receives their number
 *
 * Return: the first of them, owned by the table and valid until it is changed or freed.
 */
const E820Entry *e820_table_entries(const E820Table *table, size_t *ret_count);

/**
 * e820_table_covers() - whether every byte of a range has one type
 *
 * Return: true when [base, base + size) is not empty, does not wrap and is @type throughout.
 */
bool e820_table_covers(const E820Table *table, uint64_t base, uint64_t size, E820Type type);

/**
 * e820_build() - the table of a PC
 * @pc: the machine; its RAM sizes are used
 * @acpi_base, @acpi_size: RAM between 1 MiB and the end of low RAM that holds ACPI tables, whole
 *      pages; it is listed as E820_ACPI. A size of 0: the tables are all in the BIOS area
 *
 * Listed are RAM (without the VGA hole and pc.rom, which are in no entry, as with a real PC), the
 * EBDA, the BIOS area, the identity-map page and the TSS, and RAM above 4 GiB; never the
 * device-memory window, which ACPI announces.
 *
 * Return: the table, or NULL and @error for an ACPI range that is not such RAM.
 */
E820Table *e820_build(const PcInfo *pc, uint64_t acpi_base, uint64_t acpi_size, GError **error);

/**
 * e820_acpi_base() - where ACPI tables of @size bytes go that outgrow the BIOS area
 *
 * Return: the start of the highest whole pages of low RAM that hold @size bytes (round @size up to
 * pages for e820_build()), or 0 when there is no such place above 1 MiB.
 */
uint64_t e820_acpi_base(const PcInfo *pc, uint64_t size);

#endif
