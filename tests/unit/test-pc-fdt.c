/* SPDX-License-Identifier: MIT */
/* The PC's device tree: read back with libfdt, and judged by dtc. */
#include "tessera/hw/i386/pc-fdt.h"

#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/external-tool.h"
#include "support/pc-machines.h"
#include "tessera/hw/i386/pc-map.h"

static GByteArray *build(const PcInfo *info, const char *bootargs)
{
    g_autoptr(GError) error = NULL;
    GByteArray *blob = pc_fdt_build(info, bootargs, &error);

    if (!blob)
        fail_msg("%s: %s", pc_machine_name(info), error->message);
    assert_int_equal(fdt_check_header(blob->data), 0);
    assert_int_equal(fdt_totalsize(blob->data), blob->len);
    return blob;
}

static int node_at(const GByteArray *blob, const char *path)
{
    int node = fdt_path_offset(blob->data, path);

    if (node < 0)
        fail_msg("%s: %s", path, fdt_strerror(node));
    return node;
}

static const fdt32_t *cells(const GByteArray *blob, const char *path, const char *name, int n)
{
    int length;
    const void *data = fdt_getprop(blob->data, node_at(blob, path), name, &length);

    assert_int_equal(length, n * 4);
    return data;
}

static uint64_t pair(const fdt32_t *c)
{
    return (uint64_t)fdt32_ld(c) << 32 | fdt32_ld(c + 1);
}

static void test_pc_fdt_build_memory_is_split_around_the_hole(void **state)
{
    for (unsigned n = 0; n < PC_MACHINES; n++) {
        PcInfo info = pc_machine(n);
        g_autoptr(GByteArray) blob = build(&info, NULL);
        int ranges = info.ram_above_4g ? 3 : 2;
        const fdt32_t *reg = cells(blob, "/memory@0", "reg", ranges * 4);

        assert_int_equal(pair(reg), 0);
        assert_int_equal(pair(reg + 2), PC_EBDA_BASE);
        assert_int_equal(pair(reg + 4), PC_MIB);
        assert_int_equal(pair(reg + 6), info.ram_below_4g - PC_MIB);
        if (ranges == 3) {
            assert_int_equal(pair(reg + 8), 4 * PC_GIB);
            assert_int_equal(pair(reg + 10), info.ram_above_4g);
        }
    }
}

static void test_pc_fdt_build_every_processor_by_apic_id(void **state)
{
    for (unsigned n = 0; n < PC_MACHINES; n++) {
        PcInfo info = pc_machine(n);
        g_autoptr(GByteArray) blob = build(&info, "");
        int cpus = node_at(blob, "/cpus"), node;
        unsigned i = 0;

        fdt_for_each_subnode(node, blob->data, cpus)
        {
            const fdt32_t *reg = fdt_getprop(blob->data, node, "reg", NULL);

            assert_int_equal(fdt32_ld(reg), info.apic_ids[i++]);
        }
        assert_int_equal(i, info.cpus);
    }
}

static void test_pc_fdt_build_devices(void **state)
{
    PcInfo info = pc_machine(17);
    g_autoptr(GByteArray) blob = build(&info, "console=ttyS0");
    const fdt32_t *c = cells(blob, "/soc/isa@0/serial@3f8", "reg", 3);
    uint32_t ioapic =
        fdt_get_phandle(blob->data, node_at(blob, "/soc/interrupt-controller@fec00000"));

    assert_int_equal(fdt32_ld(c), 1);
    assert_int_equal(fdt32_ld(c + 1), PC_PORT_SERIAL0);
    c = cells(blob, "/soc/isa@0/serial@3f8", "interrupts", 2);
    assert_int_equal(fdt32_ld(c), PC_GSI_SERIAL0);
    assert_int_equal(fdt32_ld(cells(blob, "/", "interrupt-parent", 1)), ioapic);
    assert_int_equal(fdt32_ld(cells(blob, "/soc/isa@0/timer@40", "interrupts", 2)), 2);
    assert_string_equal(fdt_getprop(blob->data, node_at(blob, "/chosen"), "bootargs", NULL),
                        "console=ttyS0");
    assert_int_equal(fdt_node_check_compatible(blob->data, node_at(blob, "/soc/isa@0/rtc@70"),
                                               "motorola,mc146818"),
                     0);
    assert_int_equal(
        fdt_node_check_compatible(blob->data, node_at(blob, "/soc/pci@c0000000"), "pci"), 0);
    c = cells(blob, "/soc/pci@c0000000", "ranges", 21);
    assert_int_equal(pair(c + 5), PC_PCI_HOLE_SIZE);
    assert_int_equal(pair(c + 8), 24 * PC_GIB);
    c = cells(blob, "/soc/pci@c0000000", "interrupt-map", 4 * PC_GSI_PCI_INTX_COUNT * 7);
    for (unsigned i = 0; i < 4 * PC_GSI_PCI_INTX_COUNT; i++) {
        assert_int_equal(fdt32_ld(c + 7 * i + 4), ioapic);
        assert_int_equal(fdt32_ld(c + 7 * i + 5), PC_GSI_PCI_INTX(i / 4, i % 4));
    }
    assert_true(info.i8042_complete);
    node_at(blob, "/soc/isa@0/i8042@60/mouse@1");
    info.i8042_complete = false;
    g_byte_array_unref(blob);
    blob = build(&info, NULL);
    assert_int_equal(fdt_path_offset(blob->data, "/soc/isa@0/i8042@60"), -FDT_ERR_NOTFOUND);
    assert_null(fdt_getprop(blob->data, node_at(blob, "/chosen"), "bootargs", NULL));
}

static void test_pc_fdt_build_takes_a_long_command_line(void **state)
{
    PcInfo info = pc_machine(0);
    g_autofree char *line = g_strnfill(60000, 'x');
    g_autoptr(GByteArray) blob = build(&info, line);

    assert_string_equal(fdt_getprop(blob->data, node_at(blob, "/chosen"), "bootargs", NULL), line);
}

/* dtc says nothing at all about any machine, with every check it has on by default. */
static void test_pc_fdt_build_stands_dtc(void **state)
{
    char *folder;

    if (!tool_available("dtc"))
        skip();
    folder = tool_folder_new();
    for (unsigned n = 0; n < PC_MACHINES; n++) {
        PcInfo info = pc_machine(n);
        g_autoptr(GByteArray) blob = build(&info, "console=ttyS0 quiet");
        g_autofree char *output = NULL;

        tool_write(folder, "t.dtb", blob->data, blob->len);
        if (tool_run(folder, &output, "dtc", "-I", "dtb", "-O", "dts", "-o", "t.dts", "t.dtb",
                     NULL) != 0 ||
            *output)
            fail_msg("%s: %s", pc_machine_name(&info), output);
    }
    tool_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pc_fdt_build_memory_is_split_around_the_hole),
        cmocka_unit_test(test_pc_fdt_build_every_processor_by_apic_id),
        cmocka_unit_test(test_pc_fdt_build_devices),
        cmocka_unit_test(test_pc_fdt_build_takes_a_long_command_line),
        cmocka_unit_test(test_pc_fdt_build_stands_dtc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
