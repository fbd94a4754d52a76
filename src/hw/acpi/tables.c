/* SPDX-License-Identifier: MIT */
/* The fixed-format ACPI tables. */
#include "tessera/hw/acpi/tables.h"

#include <string.h>

#include "acpi-internal.h"

/* Identification (5.2.6); padded to the width of their fields. */
#define OEM_ID           "TESSRA"
#define OEM_TABLE_ID     "TESSERA "
#define OEM_REVISION     1
#define CREATOR_ID       "TSRA"
#define CREATOR_REVISION 1

#define HEADER_LENGTH   4
#define HEADER_CHECKSUM 9
#define HEADER_TABLE_ID 16

/* APIC ids and processor UIDs below this fit the one-byte entries; 255 is the broadcast. */
#define XAPIC_ID_END 255

static void put_text(GByteArray *out, const char *text, size_t width)
{
    size_t length = strlen(text);

    g_assert(length <= width);
    g_byte_array_append(out, (const guint8 *)text, length);
    for (; length < width; length++)
        acpi_put(out, ' ', 1);
}

static void put_zeroes(GByteArray *out, size_t n)
{
    guint old = out->len;

    g_byte_array_set_size(out, old + n);
    memset(out->data + old, 0, n);
}

static void set_le32(GByteArray *out, size_t offset, uint32_t value)
{
    guint32 le = GUINT32_TO_LE(value);

    memcpy(out->data + offset, &le, sizeof(le));
}

uint8_t acpi_checksum(const uint8_t *data, size_t length)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < length; i++)
        sum += data[i];
    return (uint8_t)-sum;
}

GByteArray *acpi_table_new(const char *signature, uint8_t revision)
{
    GByteArray *table = g_byte_array_new();

    g_assert(strlen(signature) == 4);
    put_text(table, signature, 4);
    acpi_put(table, 0, 4); /* length */
    acpi_put(table, revision, 1);
    acpi_put(table, 0, 1); /* checksum */
    put_text(table, OEM_ID, 6);
    put_text(table, OEM_TABLE_ID, 8);
    acpi_put(table, OEM_REVISION, 4);
    put_text(table, CREATOR_ID, 4);
    acpi_put(table, CREATOR_REVISION, 4);
    return table;
}

void acpi_table_finish(GByteArray *table)
{
    g_assert(table->len >= ACPI_HEADER_SIZE);
    set_le32(table, HEADER_LENGTH, table->len);
    table->data[HEADER_CHECKSUM] = 0;
    table->data[HEADER_CHECKSUM] = acpi_checksum(table->data, table->len);
}

GByteArray *acpi_build_definition_block(const char *signature, const char *table_id, Aml *body)
{
    GByteArray *table = acpi_table_new(signature, 2);
    g_autoptr(GByteArray) aml = aml_encode(body);
    size_t length = strlen(table_id);

    g_assert(length <= 8);
    memset(table->data + HEADER_TABLE_ID, ' ', 8);
    memcpy(table->data + HEADER_TABLE_ID, table_id, length);
    g_byte_array_append(table, aml->data, aml->len);
    acpi_table_finish(table);
    return table;
}

GByteArray *acpi_build_rsdp(uint64_t xsdt)
{
    GByteArray *rsdp = g_byte_array_new();

    put_text(rsdp, "RSD PTR ", 8);
    acpi_put(rsdp, 0, 1); /* checksum of the first 20 bytes */
    put_text(rsdp, OEM_ID, 6);
    acpi_put(rsdp, 2, 1); /* revision */
    acpi_put(rsdp, 0, 4); /* RSDT: none, every guest of 64 bits reads the XSDT */
    acpi_put(rsdp, ACPI_RSDP_SIZE, 4);
    acpi_put(rsdp, xsdt, 8);
    acpi_put(rsdp, 0, 1); /* checksum of the whole */
    acpi_put(rsdp, 0, 3);
    rsdp->data[8] = acpi_checksum(rsdp->data, 20);
    rsdp->data[32] = acpi_checksum(rsdp->data, ACPI_RSDP_SIZE);
    return rsdp;
}

GByteArray *acpi_build_xsdt(const uint64_t *tables, size_t n)
{
    GByteArray *xsdt = acpi_table_new("XSDT", 1);

    for (size_t i = 0; i < n; i++)
        acpi_put(xsdt, tables[i], 8);
    acpi_table_finish(xsdt);
    return xsdt;
}

GByteArray *acpi_build_facs(void)
{
    GByteArray *facs = g_byte_array_new();

    put_text(facs, "FACS", 4);
    acpi_put(facs, ACPI_FACS_SIZE, 4);
    put_zeroes(facs, 24); /* hardware signature, waking vectors, global lock, flags */
    acpi_put(facs, 2, 1); /* version */
    put_zeroes(facs, ACPI_FACS_SIZE - facs->len);
    return facs;
}

/* Generic Address Structure (5.2.3.2) of @bytes of I/O ports, all zeroes when there are none. */
static void put_port(GByteArray *out, uint16_t port, unsigned bytes, unsigned access)
{
    if (bytes == 0) {
        put_zeroes(out, 12);
        return;
    }
    acpi_put(out, 1, 1); /* system I/O space */
    acpi_put(out, bytes * 8, 1);
    acpi_put(out, 0, 1); /* bit offset */
    acpi_put(out, access, 1);
    acpi_put(out, port, 8);
}

/* Access sizes of a Generic Address Structure (table 5-1). */
#define GAS_BYTE  1
#define GAS_WORD  2
#define GAS_DWORD 3

#define PM1_EVENT_SIZE   4
#define PM1_CONTROL_SIZE 2
#define PM_TIMER_SIZE    4

/* Table 5-10: IA-PC boot architecture flags. */
#define BOOT_LEGACY_DEVICES (1 << 0)
#define BOOT_8042           (1 << 1)
#define BOOT_NO_VGA         (1 << 2)

/* Table 5-9: fixed feature flags. */
#define FADT_WBINVD        (1 << 0)
#define FADT_PROC_C1       (1 << 2)
#define FADT_SLP_BUTTON    (1 << 5) /* no sleep button in the fixed registers; nor any other */
#define FADT_FIX_RTC       (1 << 6) /* no RTC wake status in the fixed registers */
#define FADT_TMR_VAL_EXT   (1 << 8) /* the PM timer counts 32 bits */
#define FADT_RESET_REG_SUP (1 << 10)
/* PWR_BUTTON (bit 4) stays clear: the power button is the fixed one, PM1 status bit 8. */
#define FADT_FLAGS                                                                                 \
    (FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_FIX_RTC | FADT_TMR_VAL_EXT |              \
     FADT_RESET_REG_SUP)

/* Bytes 46..111: the fields of ACPI 1.0. */
static void put_fadt_legacy(GByteArray *out, const AcpiFadt *fadt)
{
    acpi_put(out, fadt->sci, 2);
    acpi_put(out, 0, 4); /* SMI_CMD: none, the machine is always in ACPI mode */
    acpi_put(out, 0, 4); /* ACPI_ENABLE, ACPI_DISABLE, S4BIOS_REQ, PSTATE_CNT: go with SMI_CMD */
    acpi_put(out, fadt->pm1a_event, 4);
    acpi_put(out, 0, 4); /* PM1b event */
    acpi_put(out, fadt->pm1a_control, 4);
    acpi_put(out, 0, 4); /* PM1b control */
    acpi_put(out, 0, 4); /* PM2 control */
    acpi_put(out, fadt->pm_timer, 4);
    acpi_put(out, fadt->gpe0, 4);
    acpi_put(out, 0, 4); /* GPE1 */
    acpi_put(out, PM1_EVENT_SIZE, 1);
    acpi_put(out, PM1_CONTROL_SIZE, 1);
    acpi_put(out, 0, 1); /* PM2 */
    acpi_put(out, PM_TIMER_SIZE, 1);
    acpi_put(out, fadt->gpe0_size, 1);
    acpi_put(out, 0, 3);      /* GPE1 length and base, CST_CNT */
    acpi_put(out, 0x0fff, 2); /* worst C2 latency: above 100 us means there is no C2 */
    acpi_put(out, 0x0fff, 2); /* worst C3 latency: above 1000 us means there is no C3 */
    acpi_put(out, 0, 4);      /* FLUSH_SIZE, FLUSH_STRIDE: WBINVD works */
    acpi_put(out, 0, 2);      /* DUTY_OFFSET, DUTY_WIDTH: no clock throttling */
    acpi_put(out, 0, 2);      /* DAY_ALRM, MON_ALRM */
    acpi_put(out, fadt->century, 1);
    acpi_put(out, BOOT_LEGACY_DEVICES | BOOT_NO_VGA | (fadt->has_i8042 ? BOOT_8042 : 0), 2);
    acpi_put(out, 0, 1);
}

/* Bytes 148..243: the register blocks once more, as 64-bit addresses. They say the same. */
static void put_fadt_extended_blocks(GByteArray *out, const AcpiFadt *fadt)
{
    put_port(out, fadt->pm1a_event, PM1_EVENT_SIZE, GAS_WORD);
    put_port(out, 0, 0, 0); /* PM1b event */
    put_port(out, fadt->pm1a_control, PM1_CONTROL_SIZE, GAS_WORD);
    put_port(out, 0, 0, 0); /* PM1b control */
    put_port(out, 0, 0, 0); /* PM2 control */
    put_port(out, fadt->pm_timer, PM_TIMER_SIZE, GAS_DWORD);
    put_port(out, fadt->gpe0, fadt->gpe0_size, GAS_BYTE);
    put_port(out, 0, 0, 0); /* GPE1 */
}

GByteArray *acpi_build_fadt(const AcpiFadt *fadt)
{
    GByteArray *table = acpi_table_new("FACP", 6);

    g_assert(fadt->facs % ACPI_FACS_ALIGN == 0);
    acpi_put(table, fadt->facs, 4);
    acpi_put(table, fadt->dsdt, 4);
    acpi_put(table, 0, 1); /* reserved, INT_MODEL of ACPI 1.0 */
    acpi_put(table, 0, 1); /* preferred profile: unspecified */
    put_fadt_legacy(table, fadt);
    acpi_put(table, FADT_FLAGS, 4);
    put_port(table, fadt->reset_port, 1, GAS_BYTE);
    acpi_put(table, fadt->reset_value, 1);
    acpi_put(table, 0, 2); /* ARM boot flags */
    acpi_put(table, 4, 1); /* minor version: 6.4 */
    acpi_put(table, 0, 8); /* X_FIRMWARE_CTRL: only for a FACS above 4 GiB */
    acpi_put(table, fadt->dsdt, 8);
    put_fadt_extended_blocks(table, fadt);
    put_port(table, 0, 0, 0); /* SLEEP_CONTROL_REG, SLEEP_STATUS_REG: hardware-reduced only */
    put_port(table, 0, 0, 0);
    /* The hypervisor's vendor identity: what CPUID 0x40000000 says is the honest source. */
    acpi_put(table, 0, 8);
    g_assert(table->len == ACPI_FADT_SIZE);
    acpi_table_finish(table);
    return table;
}

/* Whether processor @uid fits the one-byte fields of the entries that are not of x2APIC kind. */
static bool is_xapic(unsigned uid, uint32_t apic_id)
{
    return uid < XAPIC_ID_END && apic_id < XAPIC_ID_END;
}

static void put_madt_cpu(GByteArray *table, unsigned uid, uint32_t apic_id)
{
    if (is_xapic(uid, apic_id)) {
        acpi_put(table, 0, 1); /* Processor Local APIC (5.2.12.2) */
        acpi_put(table, 8, 1);
        acpi_put(table, uid, 1);
        acpi_put(table, apic_id, 1);
        acpi_put(table, 1, 4); /* enabled */
        return;
    }
    acpi_put(table, 9, 1); /* Processor Local x2APIC (5.2.12.12) */
    acpi_put(table, 16, 1);
    acpi_put(table, 0, 2);
    acpi_put(table, apic_id, 4);
    acpi_put(table, 1, 4); /* enabled */
    acpi_put(table, uid, 4);
}

static void put_madt_override(GByteArray *table, const AcpiOverride *o)
{
    acpi_put(table, 2, 1);
    acpi_put(table, 10, 1);
    acpi_put(table, 0, 1); /* bus: ISA */
    acpi_put(table, o->irq, 1);
    acpi_put(table, o->gsi, 4);
    acpi_put(table, o->level_high ? 3 << 2 | 1 : 0, 2);
}

/* NMI inputs (5.2.12.7, 5.2.12.13): one entry of each kind speaks for all processors. */
static void put_madt_nmi(GByteArray *table, uint8_t lint, bool x2apic)
{
    acpi_put(table, 4, 1);
    acpi_put(table, 6, 1);
    acpi_put(table, 0xff, 1);
    acpi_put(table, 0, 2);
    acpi_put(table, lint, 1);
    if (!x2apic)
        return;
    acpi_put(table, 10, 1);
    acpi_put(table, 12, 1);
    acpi_put(table, 0, 2);
    acpi_put(table, 0xffffffff, 4);
    acpi_put(table, lint, 1);
    acpi_put(table, 0, 3);
}

GByteArray *acpi_build_madt(const AcpiMadt *madt)
{
    GByteArray *table = acpi_table_new("APIC", 5);
    bool x2apic = false;

    acpi_put(table, madt->lapic_base, 4);
    acpi_put(table, 1, 4); /* PCAT_COMPAT */
    for (unsigned i = 0; i < madt->cpus; i++) {
        put_madt_cpu(table, i, madt->apic_ids[i]);
        x2apic |= !is_xapic(i, madt->apic_ids[i]);
    }
    acpi_put(table, 1, 1); /* I/O APIC (5.2.12.3) */
    acpi_put(table, 12, 1);
    acpi_put(table, madt->ioapic_id, 1);
    acpi_put(table, 0, 1);
    acpi_put(table, madt->ioapic_base, 4);
    acpi_put(table, 0, 4); /* first GSI */
    for (size_t i = 0; i < madt->n_overrides; i++)
        put_madt_override(table, &madt->overrides[i]);
    put_madt_nmi(table, madt->nmi_lint, x2apic);
    acpi_table_finish(table);
    return table;
}

static void put_srat_cpu(GByteArray *table, unsigned uid, uint32_t apic_id)
{
    if (is_xapic(uid, apic_id)) {
        acpi_put(table, 0, 1); /* Processor Local APIC Affinity (5.2.16.1) */
        acpi_put(table, 16, 1);
        acpi_put(table, 0, 1); /* domain 7:0 */
        acpi_put(table, apic_id, 1);
        acpi_put(table, 1, 4); /* enabled */
        acpi_put(table, 0, 4); /* SAPIC EID, domain 31:8 */
        acpi_put(table, 0, 4); /* clock domain */
        return;
    }
    acpi_put(table, 2, 1); /* Processor Local x2APIC Affinity (5.2.16.3) */
    acpi_put(table, 24, 1);
    acpi_put(table, 0, 2);
    acpi_put(table, 0, 4); /* domain */
    acpi_put(table, apic_id, 4);
    acpi_put(table, 1, 4); /* enabled */
    acpi_put(table, 0, 4); /* clock domain */
    acpi_put(table, 0, 4);
}

static void put_srat_memory(GByteArray *table, const AcpiMemory *memory)
{
    if (memory->length == 0)
        return;
    acpi_put(table, 1, 1);
    acpi_put(table, 40, 1);
    acpi_put(table, memory->domain, 4);
    acpi_put(table, 0, 2);
    acpi_put(table, memory->base, 8);
    acpi_put(table, memory->length, 8);
    acpi_put(table, 0, 4);
    acpi_put(table, 1 | (memory->hotplug ? 2 : 0), 4);
    acpi_put(table, 0, 8);
}

GByteArray *acpi_build_srat(unsigned cpus, const uint32_t *apic_ids, const AcpiMemory *memory,
                            size_t n_memory)
{
    GByteArray *table = acpi_table_new("SRAT", 3);

    acpi_put(table, 1, 4); /* reserved, 1 for compatibility with ACPI 1.0's readers */
    acpi_put(table, 0, 8);
    for (unsigned i = 0; i < cpus; i++)
        put_srat_cpu(table, i, apic_ids[i]);
    for (size_t i = 0; i < n_memory; i++)
        put_srat_memory(table, &memory[i]);
    acpi_table_finish(table);
    return table;
}
