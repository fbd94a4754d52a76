/* SPDX-License-Identifier: MIT */
/* Builds the e820 table of a PC. */
#include "tessera/hw/i386/e820.h"

#include <inttypes.h>

#include "tessera/hw/i386/pc-map.h"
#include "tessera/util/error.h"

#define E820_PAGE 4096ULL

struct E820Table {
    GArray *entries; /* of E820Entry, ascending, no overlap, no two that could be one */
};

static uint64_t entry_end(const E820Entry *entry)
{
    return entry->base + entry->size;
}

static void append_merged(GArray *entries, uint64_t base, uint64_t end, E820Type type)
{
    if (base >= end) {
        return;
    }
    if (entries->len > 0) {
        E820Entry *last = &g_array_index(entries, E820Entry, entries->len - 1);

        if (last->type == type && entry_end(last) == base) {
            last->size = end - last->base;
            return;
        }
    }
    E820Entry entry = {.base = base, .size = end - base, .type = type};
    g_array_append_val(entries, entry);
}

E820Table *e820_table_new(void)
{
    E820Table *table = g_new0(E820Table, 1);

    table->entries = g_array_new(FALSE, FALSE, sizeof(E820Entry));
    return table;
}

void e820_table_free(E820Table *table)
{
    if (table) {
        g_array_unref(table->entries);
        g_free(table);
    }
}

bool e820_table_set(E820Table *table, uint64_t base, uint64_t size, E820Type type, GError **error)
{
    /* So every end is a number. */
    if (size > UINT64_MAX - base) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "e820: a range of %#" PRIx64 " bytes at %#" PRIx64 " does not end below 2^64",
                    size, base);
        return false;
    }
    if (size == 0) {
        return true;
    }

    GArray *entries = g_array_new(FALSE, FALSE, sizeof(E820Entry));
    uint64_t end = base + size;
    bool placed = false;

    for (guint i = 0; i < table->entries->len; i++) {
        const E820Entry *old = &g_array_index(table->entries, E820Entry, i);

        append_merged(entries, old->base, MIN(entry_end(old), base), old->type);
        if (!placed && entry_end(old) > base) {
            append_merged(entries, base, end, type);
            placed = true;
        }
        append_merged(entries, MAX(old->base, end), entry_end(old), old->type);
    }
    if (!placed) {
        append_merged(entries, base, end, type);
    }
    g_array_unref(table->entries);
    table->entries = entries;
    return true;
}

const E820Entry *e820_table_entries(const E820Table *table, size_t *ret_count)
{
    *ret_count = table->entries->len;
    return (const E820Entry *)(void *)table->entries->data;
}

bool e820_table_covers(const E820Table *table, uint64_t base, uint64_t size, E820Type type)
{
    for (guint i = 0; i < table->entries->len; i++) {
        const E820Entry *entry = &g_array_index(table->entries, E820Entry, i);

        /* Touching entries of one type are one entry, so a covered range lies in a single one. */
        if (base >= entry->base && base < entry_end(entry)) {
            return entry->type == type && size > 0 && size <= entry_end(entry) - base;
        }
    }
    return false;
}

uint64_t e820_acpi_base(const PcInfo *pc, uint64_t size)
{
    uint64_t top = pc->ram_below_4g & ~(E820_PAGE - 1);

    if (size == 0 || top <= PC_HIGH_RAM_BASE || size > top - PC_HIGH_RAM_BASE) {
        return 0;
    }
    return (top - size) & ~(E820_PAGE - 1);
}

static bool check_acpi_range(const PcInfo *pc, uint64_t base, uint64_t size, GError **error)
{
    if (base % E820_PAGE || size % E820_PAGE) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "e820: ACPI tables at %#" PRIx64 ", %#" PRIx64
                    " bytes: both must be multiples of 4096",
                    base, size);
        return false;
    }
    if (base < PC_HIGH_RAM_BASE || base > pc->ram_below_4g || size > pc->ram_below_4g - base) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "e820: ACPI tables at %#" PRIx64 ", %#" PRIx64
                    " bytes, are not inside RAM from %#llx to %#" PRIx64
                    ": use more memory (-m) or fewer CPUs and slots",
                    base, size, PC_HIGH_RAM_BASE, pc->ram_below_4g);
        return false;
    }
    return true;
}

E820Table *e820_build(const PcInfo *pc, uint64_t acpi_base, uint64_t acpi_size, GError **error)
{
    g_autoptr(E820Table) table = e820_table_new();
    uint64_t low = pc->ram_below_4g;

    if (acpi_size && !check_acpi_range(pc, acpi_base, acpi_size, error)) {
        return NULL;
    }

    /* Linux looks for tables in the BIOS area and complains when that is plain RAM. */
    const E820Entry ranges[] = {
        {0, MIN(low, PC_EBDA_BASE), E820_RAM},
        {PC_EBDA_BASE, PC_EBDA_SIZE, E820_RESERVED},
        {PC_BIOS_AREA_BASE, PC_BIOS_AREA_SIZE, E820_RESERVED},
        {PC_HIGH_RAM_BASE, low > PC_HIGH_RAM_BASE ? low - PC_HIGH_RAM_BASE : 0, E820_RAM},
        {acpi_base, acpi_size, E820_ACPI},
        {PC_IDENTITY_MAP_BASE, PC_IDENTITY_MAP_SIZE, E820_RESERVED},
        {PC_TSS_BASE, PC_TSS_SIZE, E820_RESERVED},
        {PC_ABOVE_4G_BASE, pc->ram_above_4g, E820_RAM},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(ranges); i++) {
        if (!e820_table_set(table, ranges[i].base, ranges[i].size, ranges[i].type, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&table);
}
