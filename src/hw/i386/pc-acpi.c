/* SPDX-License-Identifier: MIT */
/* ACPI tables of the PC: which there are, and where they lie. */
#include "tessera/hw/i386/pc-acpi.h"

#include <string.h>

#include "pc-acpi-internal.h"
#include "tessera/hw/acpi/tables.h"
#include "tessera/hw/i386/e820.h"
#include "tessera/hw/i386/pc-map.h"
#include "tessera/util/error.h"

/*
 * The BIOS area, as it is filled:
 *
 *     e0000  RSDP                 found by a guest that searches for it on 16-byte boundaries
 *     e0040  FACS                 always here: reserved memory that the guest may write for ever
 *     e0080  XSDT, FADT, MADT, SRAT, SSDTs, DSDT; when they outgrow the area, at the top of low RAM
 */
#define RSDP_OFFSET   0
#define FACS_OFFSET   ACPI_FACS_ALIGN
#define TABLES_OFFSET (FACS_OFFSET + ACPI_FACS_SIZE)
#define PAGE          4096

_Static_assert(RSDP_OFFSET + ACPI_RSDP_SIZE <= FACS_OFFSET, "the RSDP runs into the FACS");
_Static_assert(PC_BIOS_AREA_BASE % ACPI_FACS_ALIGN == 0, "the FACS would not be aligned");

/* NMI goes to LINT1 of every local APIC, as on any PC. */
#define NMI_LINT 1

static GByteArray *build_madt(const PcInfo *info)
{
    static const AcpiOverride overrides[] = {
        {.irq = PC_GSI_PIT, .gsi = 2},
        {.irq = PC_GSI_SCI, .gsi = PC_GSI_SCI, .level_high = true},
    };
    const AcpiMadt madt = {
        .lapic_base = PC_LAPIC_BASE,
        .cpus = info->cpus,
        .apic_ids = info->apic_ids,
        .ioapic_base = PC_IOAPIC_BASE,
        .ioapic_id = 0, /* the in-kernel I/O APIC's after reset */
        .overrides = overrides,
        .n_overrides = G_N_ELEMENTS(overrides),
        .nmi_lint = NMI_LINT,
    };

    return acpi_build_madt(&madt);
}

/*
 * All RAM the machine boots with, and the device-memory window as one range. Linux takes its
 * highest possible frame from the latter, and with it whether it keeps bounce buffers below 4 GiB.
 */
static GByteArray *build_srat(const PcInfo *info)
{
    const AcpiMemory memory[] = {
        {.base = 0, .length = PC_VGA_HOLE_BASE},
        {.base = PC_HIGH_RAM_BASE, .length = info->ram_below_4g - PC_HIGH_RAM_BASE},
        {.base = PC_ABOVE_4G_BASE, .length = info->ram_above_4g},
        {.base = info->device_memory_base, .length = info->device_memory_size, .hotplug = true},
    };

    return acpi_build_srat(info->cpus, info->apic_ids, memory, G_N_ELEMENTS(memory));
}

static GByteArray *build_fadt(const PcInfo *info, uint32_t facs, uint32_t dsdt)
{
    const AcpiFadt fadt = {
        .facs = facs,
        .dsdt = dsdt,
        .sci = PC_GSI_SCI,
        .pm1a_event = PC_PORT_PM1A_EVENT,
        .pm1a_control = PC_PORT_PM1A_CONTROL,
        .pm_timer = PC_PORT_PM_TIMER,
        .gpe0 = PC_PORT_GPE0,
        .gpe0_size = PC_PORT_GPE0_SIZE,
        .reset_port = PC_PORT_RESET,
        .reset_value = PC_RESET_VALUE,
        .has_i8042 = info->i8042_complete,
    };

    return acpi_build_fadt(&fadt);
}

static uint64_t round_up(uint64_t value, uint64_t align)
{
    return (value + align - 1) & ~(align - 1);
}

/* Bytes that the tables take behind one another, the two that are made last included. */
static uint64_t tables_size(const GPtrArray *tables, const GByteArray *dsdt)
{
    uint64_t size = round_up(acpi_xsdt_size(tables->len + 1), ACPI_TABLE_ALIGN) +
                    round_up(ACPI_FADT_SIZE, ACPI_TABLE_ALIGN) +
                    round_up(dsdt->len, ACPI_TABLE_ALIGN);

    for (guint i = 0; i < tables->len; i++) {
        const GByteArray *table = g_ptr_array_index(tables, i);

        size += round_up(table->len, ACPI_TABLE_ALIGN);
    }
    return size;
}

/* Put @table, which is consumed, at @offset of @area. */
static void place_at(GByteArray *area, uint64_t offset, GByteArray *table)
{
    guint old = area->len;

    if (offset + table->len > old) {
        g_byte_array_set_size(area, offset + table->len);
        memset(area->data + old, 0, area->len - old);
    }
    memcpy(area->data + offset, table->data, table->len);
    g_byte_array_unref(table);
}

/* Put a copy of @table behind the others; returns its guest-physical address. */
static uint64_t place(GByteArray *area, uint64_t area_base, GByteArray *table)
{
    uint64_t offset = round_up(area->len, ACPI_TABLE_ALIGN);

    place_at(area, offset, g_byte_array_ref(table));
    return area_base + offset;
}

/*
 * Lay the tables into @area, whose next free byte is where the XSDT goes, and return the XSDT's
 * address. The XSDT lists the FADT first, as Linux and others print them in this order.
 */
static uint64_t place_tables(GByteArray *area, uint64_t area_base, const PcInfo *info,
                             const GPtrArray *tables, GByteArray *dsdt)
{
    size_t n = tables->len + 1;
    uint64_t xsdt_offset = round_up(area->len, ACPI_TABLE_ALIGN);
    g_autofree uint64_t *entries = g_new0(uint64_t, n);
    g_autoptr(GByteArray) fadt = NULL;
    uint64_t dsdt_base;

    place_at(area, xsdt_offset, acpi_build_xsdt(entries, n)); /* keeps the place */
    dsdt_base = place(area, area_base, dsdt);
    fadt = build_fadt(info, PC_BIOS_AREA_BASE + FACS_OFFSET, dsdt_base);
    entries[0] = place(area, area_base, fadt);
    for (guint i = 0; i < tables->len; i++)
        entries[i + 1] = place(area, area_base, g_ptr_array_index(tables, i));
    place_at(area, xsdt_offset, acpi_build_xsdt(entries, n));
    return area_base + xsdt_offset;
}

static bool check_info(const PcInfo *info, GError **error)
{
    if (info->cpus < 1 || info->cpus > PC_ACPI_CPUS_MAX) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "-smp %u: the ACPI tables describe 1 to %d processors", info->cpus,
                    PC_ACPI_CPUS_MAX);
        return false;
    }
    if (info->ram_below_4g < PC_HIGH_RAM_BASE) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "-m: %" G_GUINT64_FORMAT " bytes of RAM below 4 GiB cannot hold the ACPI "
                    "tables at 0x%llx; the machine needs 1 MiB or more",
                    info->ram_below_4g, PC_BIOS_AREA_BASE);
        return false;
    }
    return true;
}

/* Find room at the top of low RAM for @size bytes of tables; at least half of it stays RAM. */
static bool choose_high_range(PcAcpi *acpi, const PcInfo *info, uint64_t size, GError **error)
{
    uint64_t pages = round_up(size, PAGE);
    uint64_t top = info->ram_below_4g & ~(uint64_t)(PAGE - 1);
    uint64_t room = top - PC_HIGH_RAM_BASE;
    uint64_t needed_mib = (PC_HIGH_RAM_BASE + 2 * pages + PC_MIB - 1) / PC_MIB;

    if (pages > room / 2) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "-m: the ACPI tables of this machine take %" G_GUINT64_FORMAT " bytes, too "
                    "much for the %" G_GUINT64_FORMAT " bytes of RAM above 1 MiB: give it at "
                    "least %" G_GUINT64_FORMAT " MiB, or fewer processors and memory slots",
                    pages, room, needed_mib);
        return false;
    }
    acpi->high = g_byte_array_new();
    acpi->high_base = e820_acpi_base(info, pages);
    acpi->high_size = pages;
    return true;
}

static void unref_table(gpointer table)
{
    g_byte_array_unref(table);
}

/* All tables that name no other one: MADT, SRAT and the contributors' SSDTs. */
static GPtrArray *build_independent_tables(const PcInfo *info, const PcAcpiSsdt *ssdts,
                                           size_t n_ssdts)
{
    GPtrArray *tables = g_ptr_array_new_with_free_func(unref_table);

    g_ptr_array_add(tables, build_madt(info));
    g_ptr_array_add(tables, build_srat(info));
    for (size_t i = 0; i < n_ssdts; i++) {
        Aml *body = aml_list();

        ssdts[i].build(body, info, ssdts[i].opaque);
        g_ptr_array_add(tables, acpi_build_definition_block("SSDT", ssdts[i].table_id, body));
    }
    return tables;
}

bool pc_acpi_build(const PcInfo *info, const PcAcpiSsdt *ssdts, size_t n_ssdts, PcAcpi **ret_acpi,
                   GError **error)
{
    g_autoptr(PcAcpi) acpi = NULL;
    g_autoptr(GPtrArray) tables = NULL;
    g_autoptr(GByteArray) dsdt = NULL;
    uint64_t size, xsdt;

    if (!check_info(info, error))
        return false;
    acpi = g_new0(PcAcpi, 1);
    acpi->low = g_byte_array_new();
    acpi->low_base = PC_BIOS_AREA_BASE;
    acpi->rsdp_base = PC_BIOS_AREA_BASE + RSDP_OFFSET;
    tables = build_independent_tables(info, ssdts, n_ssdts);
    dsdt = pc_dsdt_build(info);
    size = tables_size(tables, dsdt);
    place_at(acpi->low, FACS_OFFSET, acpi_build_facs());
    if (TABLES_OFFSET + size <= PC_BIOS_AREA_SIZE) {
        xsdt = place_tables(acpi->low, acpi->low_base, info, tables, dsdt);
    } else {
        if (!choose_high_range(acpi, info, size, error))
            return false;
        xsdt = place_tables(acpi->high, acpi->high_base, info, tables, dsdt);
        g_assert(acpi->high->len <= acpi->high_size);
    }
    place_at(acpi->low, RSDP_OFFSET, acpi_build_rsdp(xsdt));
    g_assert(acpi->low->len <= PC_BIOS_AREA_SIZE);
    *ret_acpi = g_steal_pointer(&acpi);
    return true;
}

void pc_acpi_free(PcAcpi *acpi)
{
    if (!acpi)
        return;
    g_clear_pointer(&acpi->low, g_byte_array_unref);
    g_clear_pointer(&acpi->high, g_byte_array_unref);
    g_free(acpi);
}
