/* SPDX-License-Identifier: MIT */
/* The PC's ACPI tables: followed from the RSDP as a guest does, and judged by iasl and acpiexec. */
#include "tessera/hw/i386/pc-acpi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/external-tool.h"
#include "support/pc-machines.h"
#include "tessera/hw/acpi/tables.h"
#include "tessera/hw/i386/e820.h"
#include "tessera/hw/i386/pc-map.h"
#include "tessera/util/error.h"

/* --- The guest's view: bytes at guest-physical addresses ------------------------------------- */

static const guint8 *guest_bytes(const PcAcpi *acpi, uint64_t address, size_t length)
{
    if (address >= acpi->low_base && address + length <= acpi->low_base + acpi->low->len)
        return acpi->low->data + (address - acpi->low_base);
    if (acpi->high && address >= acpi->high_base &&
        address + length <= acpi->high_base + acpi->high->len)
        return acpi->high->data + (address - acpi->high_base);
    fail_msg("no table at 0x%" G_GINT64_MODIFIER "x + %zu", address, length);
    return NULL;
}

static uint64_t le(const guint8 *bytes, unsigned n)
{
    uint64_t value = 0;

    while (n-- > 0)
        value = value << 8 | bytes[n];
    return value;
}

static const guint8 *table_at(const PcAcpi *acpi, uint64_t address)
{
    const guint8 *header = guest_bytes(acpi, address, ACPI_HEADER_SIZE);

    return guest_bytes(acpi, address, le(header + 4, 4));
}

#define TABLES_MAX 8
typedef struct Found {
    char signature[5];
    uint64_t base;
    const guint8 *bytes;
    uint32_t length;
} Found;

static void add_found(GArray *found, const PcAcpi *acpi, uint64_t address)
{
    Found f = {.base = address, .bytes = table_at(acpi, address)};

    memcpy(f.signature, f.bytes, 4);
    f.length = (uint32_t)le(f.bytes + 4, 4);
    g_array_append_val(found, f);
}

/* Every table a guest finds: XSDT, what it lists, and the FADT's DSDT and FACS. */
static GArray *find_tables(const PcAcpi *acpi)
{
    GArray *found = g_array_new(FALSE, FALSE, sizeof(Found));
    const guint8 *rsdp = guest_bytes(acpi, acpi->rsdp_base, ACPI_RSDP_SIZE);
    const Found *xsdt, *fadt;

    add_found(found, acpi, le(rsdp + 24, 8));
    xsdt = &g_array_index(found, Found, 0);
    assert_string_equal(xsdt->signature, "XSDT");
    for (uint32_t at = ACPI_HEADER_SIZE, end = xsdt->length; at < end; at += 8)
        add_found(found, acpi, le(g_array_index(found, Found, 0).bytes + at, 8));
    fadt = &g_array_index(found, Found, 1);
    assert_string_equal(fadt->signature, "FACP");
    assert_int_equal(le(fadt->bytes + 40, 4), le(fadt->bytes + 140, 8));
    add_found(found, acpi, le(fadt->bytes + 40, 4));
    add_found(found, acpi, le(g_array_index(found, Found, 1).bytes + 36, 4));
    return found;
}

static const Found *get_table(const GArray *found, const char *signature)
{
    for (guint i = 0; i < found->len; i++) {
        const Found *f = &g_array_index(found, Found, i);

        if (strcmp(f->signature, signature) == 0)
            return f;
    }
    fail_msg("no %s", signature);
    return NULL;
}

static PcAcpi *build(const PcInfo *info, const PcAcpiSsdt *ssdts, size_t n)
{
    g_autoptr(GError) error = NULL;
    PcAcpi *acpi = NULL;

    if (!pc_acpi_build(info, ssdts, n, &acpi, &error))
        fail_msg("%s: %s", pc_machine_name(info), error->message);
    return acpi;
}

/* --- Layout and checksums -------------------------------------------------------------------- */

static void check_layout(const PcInfo *info, const PcAcpi *acpi)
{
    g_autoptr(GArray) found = find_tables(acpi);
    const guint8 *rsdp = guest_bytes(acpi, acpi->rsdp_base, ACPI_RSDP_SIZE);

    assert_int_equal(acpi->low_base, PC_BIOS_AREA_BASE);
    assert_true(acpi->low->len <= PC_BIOS_AREA_SIZE);
    assert_int_equal(acpi->rsdp_base % 16, 0);
    assert_memory_equal(rsdp, "RSD PTR ", 8);
    assert_int_equal(rsdp[15], 2);
    assert_int_equal(acpi_checksum(rsdp, 20), 0);
    assert_int_equal(acpi_checksum(rsdp, ACPI_RSDP_SIZE), 0);
    for (guint i = 0; i < found->len; i++) {
        const Found *f = &g_array_index(found, Found, i);
        bool is_facs = strcmp(f->signature, "FACS") == 0;

        assert_int_equal(f->base % (is_facs ? ACPI_FACS_ALIGN : ACPI_TABLE_ALIGN), 0);
        if (!is_facs && acpi_checksum(f->bytes, f->length) != 0)
            fail_msg("%s: checksum of %s", pc_machine_name(info), f->signature);
        assert_true(f->base >= acpi->rsdp_base + ACPI_RSDP_SIZE);
        for (guint j = 0; j < i; j++) {
            const Found *g = &g_array_index(found, Found, j);

            assert_true(f->base + f->length <= g->base || g->base + g->length <= f->base);
        }
    }
}

static void test_pc_acpi_build_every_machine_layout(void **state)
{
    for (unsigned n = 0; n < PC_MACHINES; n++) {
        PcInfo info = pc_machine(n);
        g_autoptr(PcAcpi) acpi = build(&info, NULL, 0);

        check_layout(&info, acpi);
        assert_null(acpi->high);
        assert_int_equal(acpi->high_size, 0);
    }
}

static void test_pc_acpi_build_is_reproducible(void **state)
{
    PcInfo info = pc_machine(PC_MACHINES - 1);
    g_autoptr(PcAcpi) a = build(&info, NULL, 0);
    g_autoptr(PcAcpi) b = build(&info, NULL, 0);

    assert_int_equal(a->low->len, b->low->len);
    assert_memory_equal(a->low->data, b->low->data, a->low->len);
}

/* No single changed byte of any table goes unnoticed. */
static void test_acpi_checksum_notices_every_changed_byte(void **state)
{
    PcInfo info = pc_machine(1);
    g_autoptr(PcAcpi) acpi = build(&info, NULL, 0);
    g_autoptr(GArray) found = find_tables(acpi);

    for (guint i = 0; i < found->len; i++) {
        const Found *f = &g_array_index(found, Found, i);
        g_autofree guint8 *copy = g_memdup2(f->bytes, f->length);

        if (strcmp(f->signature, "FACS") == 0)
            continue;
        for (uint32_t at = 0; at < f->length; at++) {
            copy[at] ^= 0x10;
            assert_int_not_equal(acpi_checksum(copy, f->length), 0);
            copy[at] ^= 0x10;
        }
    }
}

/* --- Contents of the fixed tables ------------------------------------------------------------ */

/* A block in its 32-bit field, its length, and its Generic Address Structure say the same. */
static void check_block(const guint8 *fadt, unsigned at32, unsigned length_at, unsigned at_gas,
                        uint32_t port, unsigned length)
{
    assert_int_equal(le(fadt + at32, 4), port);
    assert_int_equal(fadt[length_at], length);
    assert_int_equal(fadt[at_gas], length ? 1 : 0);
    assert_int_equal(fadt[at_gas + 1], length * 8);
    assert_int_equal(le(fadt + at_gas + 4, 8), port);
}

static void test_pc_acpi_build_fadt(void **state)
{
    for (unsigned n = 0; n < PC_MACHINES; n++) {
        PcInfo info = pc_machine(n);
        g_autoptr(PcAcpi) acpi = build(&info, NULL, 0);
        g_autoptr(GArray) found = find_tables(acpi);
        const guint8 *fadt = get_table(found, "FACP")->bytes;

        assert_int_equal(get_table(found, "FACP")->length, 276);
        assert_int_equal(fadt[8], 6);
        assert_int_equal(fadt[131], 4);
        assert_int_equal(le(fadt + 46, 2), PC_GSI_SCI);
        assert_int_equal(le(fadt + 48, 4), 0);  /* SMI_CMD */
        assert_int_equal(le(fadt + 132, 8), 0); /* X_FIRMWARE_CTRL: the 32-bit one counts */
        check_block(fadt, 56, 88, 148, PC_PORT_PM1A_EVENT, 4);
        check_block(fadt, 64, 89, 172, PC_PORT_PM1A_CONTROL, 2);
        check_block(fadt, 76, 91, 208, PC_PORT_PM_TIMER, 4);
        check_block(fadt, 80, 92, 220, PC_PORT_GPE0, 4);
        check_block(fadt, 72, 90, 196, 0, 0);
        check_block(fadt, 84, 93, 232, 0, 0);
        assert_int_equal(le(fadt + 109, 2), info.i8042_complete ? 0x7 : 0x5);
        assert_int_equal(le(fadt + 112, 4), 0x565);
        assert_memory_equal(fadt + 116, ((guint8[]){1, 8, 0, 1, 0xf9, 0x0c, 0, 0, 0, 0, 0, 0}), 12);
        assert_int_equal(fadt[128], 0x06);
    }
}

static void test_pc_acpi_build_madt(void **state)
{
    for (unsigned n = 0; n < PC_MACHINES; n++) {
        PcInfo info = pc_machine(n);
        g_autoptr(PcAcpi) acpi = build(&info, NULL, 0);
        g_autoptr(GArray) found = find_tables(acpi);
        const Found *madt = get_table(found, "APIC");
        unsigned seen[16] = {0}, uid = 0;
        const guint8 *e;

        assert_int_equal(le(madt->bytes + 36, 4), PC_LAPIC_BASE);
        assert_int_equal(le(madt->bytes + 40, 4), 1);
        for (uint32_t at = 44; at < madt->length; at += e[1]) {
            e = madt->bytes + at;
            assert_true(e[1] >= 2 && at + e[1] <= madt->length);
            assert_in_range(e[0], 0, 15);
            seen[e[0]]++;
            if (e[0] == 0) {
                assert_true(info.apic_ids[uid] < 255);
                assert_int_equal(e[2], uid);
                assert_int_equal(e[3], info.apic_ids[uid++]);
                assert_int_equal(le(e + 4, 4), 1);
            } else if (e[0] == 9) {
                assert_int_equal(le(e + 4, 4), info.apic_ids[uid]);
                assert_int_equal(le(e + 8, 4), 1);
                assert_int_equal(le(e + 12, 4), uid++);
                assert_true(uid > 255 || info.apic_ids[uid - 1] >= 255);
            } else if (e[0] == 2 && e[3] == 0) {
                assert_memory_equal(e + 2, ((guint8[]){0, 0, 2, 0, 0, 0, 0, 0}), 8);
            } else if (e[0] == 2) {
                assert_memory_equal(e + 2, ((guint8[]){0, 9, 9, 0, 0, 0, 0x0d, 0}), 8);
            } else if (e[0] == 4) {
                assert_memory_equal(e + 2, ((guint8[]){0xff, 0, 0, 1}), 4);
            } else if (e[0] == 1) {
                assert_int_equal(le(e + 4, 4), PC_IOAPIC_BASE);
                assert_int_equal(le(e + 8, 4), 0);
            }
        }
        assert_int_equal(uid, info.cpus);
        assert_int_equal(seen[1], 1);
        assert_int_equal(seen[2], 2);
        assert_int_equal(seen[4], 1);
        assert_int_equal(seen[10], seen[9] ? 1 : 0);
    }
}

static void test_pc_acpi_build_srat(void **state)
{
    for (unsigned n = 0; n < PC_MACHINES; n++) {
        PcInfo info = pc_machine(n);
        g_autoptr(PcAcpi) acpi = build(&info, NULL, 0);
        g_autoptr(GArray) found = find_tables(acpi);
        const Found *srat = get_table(found, "SRAT");
        uint64_t ram = 0, hotplug = 0;
        unsigned cpu = 0;
        const guint8 *e;

        for (uint32_t at = 48; at < srat->length; at += e[1]) {
            e = srat->bytes + at;
            assert_true(e[1] >= 2 && at + e[1] <= srat->length);
            if (e[0] == 0) {
                assert_int_equal(e[3], info.apic_ids[cpu++]);
                assert_int_equal(le(e + 4, 4), 1);
            } else if (e[0] == 2) {
                assert_int_equal(le(e + 8, 4), info.apic_ids[cpu++]);
                assert_int_equal(le(e + 12, 4), 1);
            } else {
                assert_int_equal(e[0], 1);
                if (le(e + 28, 4) == 3) {
                    assert_int_equal(le(e + 8, 8), info.device_memory_base);
                    hotplug += le(e + 16, 8);
                } else {
                    assert_int_equal(le(e + 28, 4), 1);
                    ram += le(e + 16, 8);
                }
            }
        }
        assert_int_equal(cpu, info.cpus);
        assert_int_equal(hotplug, info.device_memory_size);
        assert_int_equal(ram, info.ram_below_4g + info.ram_above_4g - 384 * PC_KIB);
    }
}

static void test_pc_pci_window64_lies_above_everything(void **state)
{
    PcInfo info = pc_machine(8);
    uint64_t base = 0, size = 0;

    assert_true(pc_pci_window64(&info, &base, &size)); /* 2 GiB above 4 GiB */
    assert_int_equal(base, 6 * PC_GIB);
    assert_int_equal(size, 512 * PC_GIB);
    info.ram_above_4g += 1;
    assert_true(pc_pci_window64(&info, &base, &size));
    assert_int_equal(base, 7 * PC_GIB);
    info.phys_bits = 36;
    assert_true(pc_pci_window64(&info, &base, &size));
    assert_int_equal(base + size, 64 * PC_GIB);
    info.device_memory_base = 8 * PC_GIB;
    info.device_memory_size = 56 * PC_GIB;
    base = size = 42;
    assert_false(pc_pci_window64(&info, &base, &size));
    assert_int_equal(base, 42);
    assert_int_equal(size, 42);
}

/* --- Contributors, and tables that outgrow the BIOS area -------------------------------------- */

/* An SSDT as big as *opaque buffers of 1000 bytes make it. */
static void build_big_ssdt(Aml *body, const PcInfo *info, void *opaque)
{
    Aml *scope = aml_scope("\\_SB");
    static const guint8 data[1000] = {1};

    for (unsigned i = 0; i < *(unsigned *)opaque; i++) {
        char name[5];

        g_snprintf(name, sizeof(name), "B%03X", i & 0xfff);
        aml_append(scope, aml_name(name, aml_buffer(data, sizeof(data))));
    }
    aml_append(body, scope);
}

static void test_pc_acpi_build_contributor_in_order(void **state)
{
    PcInfo info = pc_machine(0);
    unsigned one = 1, two = 2;
    const PcAcpiSsdt ssdts[] = {{"FIRST", build_big_ssdt, &one}, {"SECOND", build_big_ssdt, &two}};
    g_autoptr(PcAcpi) acpi = build(&info, ssdts, 2);
    g_autoptr(GArray) found = find_tables(acpi);

    check_layout(&info, acpi);
    assert_null(acpi->high);
    assert_int_equal(found->len, 1 + 3 + 2 + 2);
    assert_memory_equal(g_array_index(found, Found, 4).bytes + 16, "FIRST   ", 8);
    assert_memory_equal(g_array_index(found, Found, 5).bytes + 16, "SECOND  ", 8);
}

static void test_pc_acpi_build_moves_up_when_the_area_is_full(void **state)
{
    bool was_low = false, was_high = false;

    for (unsigned buffers = 100; buffers < 140; buffers++) {
        PcInfo info = pc_machine(1);
        const PcAcpiSsdt ssdt = {"BIG", build_big_ssdt, &buffers};
        g_autoptr(PcAcpi) acpi = build(&info, &ssdt, 1);
        g_autoptr(E820Table) e820 = NULL;
        g_autoptr(GError) error = NULL;

        check_layout(&info, acpi);
        if (!acpi->high) {
            assert_false(was_high);
            was_low = true;
            continue;
        }
        was_high = true;
        e820 = e820_build(&info, acpi->high_base, acpi->high_size, &error);
        assert_non_null(e820);
        assert_true(e820_table_covers(e820, acpi->high_base, acpi->high_size, E820_ACPI));
        assert_int_equal(acpi->high_base % 4096, 0);
        assert_int_equal(acpi->high_base + acpi->high_size, info.ram_below_4g);
        assert_true(acpi->high->len <= acpi->high_size);
        assert_true(acpi->high_size - acpi->high->len < 4096);
        assert_int_equal(acpi->low->len, 128); /* RSDP and FACS stay */
    }
    assert_true(was_low && was_high);
}

static void test_pc_acpi_build_refuses_too_little_ram(void **state)
{
    PcInfo info = pc_machine(0);
    unsigned buffers = 1000;
    const PcAcpiSsdt ssdt = {"BIG", build_big_ssdt, &buffers};
    g_autoptr(GError) error = NULL;
    PcAcpi *acpi = NULL;

    info.ram_below_4g = PC_MIB - 1;
    assert_false(pc_acpi_build(&info, NULL, 0, &acpi, &error));
    assert_null(acpi);
    assert_non_null(strstr(error->message, "1048575 bytes"));
    g_clear_error(&error);
    info.ram_below_4g = PC_MIB;
    pc_acpi_free(build(&info, NULL, 0));

    info.ram_below_4g = 2 * PC_MIB;
    assert_false(pc_acpi_build(&info, &ssdt, 1, &acpi, &error));
    assert_null(acpi);
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT));
    assert_non_null(strstr(error->message, "at least 3 MiB"));
    g_clear_error(&error);
    info.ram_below_4g = 3 * PC_MIB;
    pc_acpi_free(build(&info, &ssdt, 1));

    info.cpus = 0;
    assert_false(pc_acpi_build(&info, NULL, 0, &acpi, &error));
    assert_non_null(strstr(error->message, "-smp 0"));
}

/* --- Other makers' judgement ----------------------------------------------------------------- */

/* iasl disassembles @f, compiles that without a remark, and gets our bytes again. */
static void check_with_iasl(const char *folder, const PcInfo *info, const Found *f)
{
    g_autofree char *output = NULL;
    g_autofree char *again = NULL;
    g_autoptr(GByteArray) compiled = NULL;

    tool_write(folder, "t.dat", f->bytes, f->length);
    if (tool_run(folder, &output, "iasl", "-d", "t.dat", NULL) != 0 || strstr(output, "Error") ||
        strstr(output, "Warning") || strstr(output, "Invalid"))
        fail_msg("%s, %s: %s", pc_machine_name(info), f->signature, output);
    if (tool_run(folder, &again, "iasl", "-of", "-on", "-p", "t", "t.dsl", NULL) != 0 ||
        !strstr(again, " 0 Errors, 0 Warnings, 0 Remarks"))
        fail_msg("%s, %s: %s", pc_machine_name(info), f->signature, again);
    compiled = tool_read(folder, "t.aml");
    assert_int_equal(compiled->len, f->length);
    if (strcmp(f->signature, "FACS") == 0) {
        assert_memory_equal(compiled->data, f->bytes, f->length);
        return;
    }
    /* The compiler puts its own name and version in the header, and the checksum follows. */
    assert_memory_equal(compiled->data, f->bytes, 9);
    assert_memory_equal(compiled->data + 10, f->bytes + 10, 18);
    assert_memory_equal(compiled->data + ACPI_HEADER_SIZE, f->bytes + ACPI_HEADER_SIZE,
                        f->length - ACPI_HEADER_SIZE);
}

static void test_pc_acpi_build_stands_iasl(void **state)
{
    static const unsigned machines[] = {0, 13, 22, 23};
    char *folder;

    if (!tool_available("iasl"))
        skip();
    folder = tool_folder_new();
    for (size_t i = 0; i < G_N_ELEMENTS(machines); i++) {
        PcInfo info = pc_machine(machines[i]);
        g_autoptr(PcAcpi) acpi = build(&info, NULL, 0);
        g_autoptr(GArray) found = find_tables(acpi);

        for (guint t = 0; t < found->len; t++)
            check_with_iasl(folder, &info, &g_array_index(found, Found, t));
    }
    tool_folder_remove(folder);
}

/* The interpreter that Linux has inside loads the DSDT and reads its objects without complaint. */
static void test_pc_acpi_build_stands_acpiexec(void **state)
{
    PcInfo info = pc_machine(17); /* 2 processors, 3 GiB, device memory, complete 8042 */
    g_autoptr(PcAcpi) acpi = build(&info, NULL, 0);
    g_autoptr(GArray) found = find_tables(acpi);
    const Found *dsdt = get_table(found, "DSDT");
    static const char *const expected[] = {
        "[Integer] = 0000000000000005", /* \_S5: SLP_TYP */
        ": C0000000",                   /* 32-bit window */
        "0000000600000000",             /* 64-bit window: above 4 + 20 GiB */
    };
    g_autofree char *output = NULL;
    char *folder;

    if (!tool_available("acpiexec"))
        skip();
    assert_true(info.i8042_complete);
    folder = tool_folder_new();
    tool_write(folder, "dsdt.aml", dsdt->bytes, dsdt->length);
    assert_int_equal(
        tool_run(folder, &output, "acpiexec", "-b",
                 "evaluate \\_S5;resources \\_SB.PCI0;resources \\_SB.COM1;"
                 "resources \\_SB.SYSR;evaluate \\_SB.C001._UID;evaluate \\_SB.KBD._STA",
                 "dsdt.aml", NULL),
        0);
    if (strstr(output, "ACPI Error") || strstr(output, "ACPI Warning") || strstr(output, "Excess"))
        fail_msg("%s", output);
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
        if (!strstr(output, expected[i]))
            fail_msg("no \"%s\" in: %s", expected[i], output);
    }
    tool_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pc_acpi_build_every_machine_layout),
        cmocka_unit_test(test_pc_acpi_build_is_reproducible),
        cmocka_unit_test(test_acpi_checksum_notices_every_changed_byte),
        cmocka_unit_test(test_pc_acpi_build_fadt),
        cmocka_unit_test(test_pc_acpi_build_madt),
        cmocka_unit_test(test_pc_acpi_build_srat),
        cmocka_unit_test(test_pc_pci_window64_lies_above_everything),
        cmocka_unit_test(test_pc_acpi_build_contributor_in_order),
        cmocka_unit_test(test_pc_acpi_build_moves_up_when_the_area_is_full),
        cmocka_unit_test(test_pc_acpi_build_refuses_too_little_ram),
        cmocka_unit_test(test_pc_acpi_build_stands_iasl),
        cmocka_unit_test(test_pc_acpi_build_stands_acpiexec),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
