/* SPDX-License-Identifier: MIT */
/* The PC as a flattened device tree. */
#include "tessera/hw/i386/pc-fdt.h"

#include <libfdt.h>
#include <stdarg.h>
#include <string.h>

#include "tessera/hw/i386/pc-acpi.h"
#include "tessera/hw/i386/pc-map.h"
#include "tessera/util/error.h"

/* Everything but processors and command line fits in 8 KiB; a processor takes some 120 bytes. */
#define FIXED_SIZE   (8 * PC_KIB)
#define SIZE_PER_CPU 160

#define PHANDLE_IOAPIC 1
#define PHANDLE_LAPIC  2

/* Second cell of an interrupt (bindings/x86/interrupt.txt). */
#define SENSE_EDGE_RISING 0
#define SENSE_LEVEL_LOW   1

/* First cell of a PCI address: its space (IEEE 1275 PCI binding, 2.2.1.1). */
#define PCI_SPACE_IO    0x01000000
#define PCI_SPACE_MEM32 0x02000000
#define PCI_SPACE_MEM64 0x03000000

#define ISA_SPACE_IO           1
#define ISA_PORTS              0x10000
#define PCI_DEVFN_DEVICE_SHIFT 11
#define PCI_PINS               4

/* The tree as it grows. After the first error nothing is written: one check at the end does. */
typedef struct FdtWriter {
    void *fdt;
    int err;
} FdtWriter;

static void begin_node(FdtWriter *w, const char *name)
{
    if (!w->err)
        w->err = fdt_begin_node(w->fdt, name);
}

static void end_node(FdtWriter *w)
{
    if (!w->err)
        w->err = fdt_end_node(w->fdt);
}

static void put_bytes(FdtWriter *w, const char *name, const void *data, size_t length)
{
    if (!w->err)
        w->err = fdt_property(w->fdt, name, data, (int)length);
}

static void put_flag(FdtWriter *w, const char *name)
{
    put_bytes(w, name, NULL, 0);
}

static void put_string(FdtWriter *w, const char *name, const char *text)
{
    put_bytes(w, name, text, strlen(text) + 1);
}

static void put_cells(FdtWriter *w, const char *name, const uint32_t *cells, size_t n)
{
    g_autofree fdt32_t *be = g_new(fdt32_t, n);

    for (size_t i = 0; i < n; i++)
        be[i] = cpu_to_fdt32(cells[i]);
    put_bytes(w, name, be, n * sizeof(*be));
}

#define put_u32s(w, name, ...)                                                                     \
    put_cells((w), (name), (const uint32_t[]){__VA_ARGS__},                                        \
              sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void put_cell_sizes(FdtWriter *w, uint32_t address, uint32_t size)
{
    put_u32s(w, "#address-cells", address);
    put_u32s(w, "#size-cells", size);
}

static void add_cell(GArray *cells, uint32_t value)
{
    g_array_append_val(cells, value);
}

static void add_u64(GArray *cells, uint64_t value)
{
    add_cell(cells, value >> 32);
    add_cell(cells, (uint32_t)value);
}

static void put_cell_array(FdtWriter *w, const char *name, const GArray *cells)
{
    put_cells(w, name, (const uint32_t *)(const void *)cells->data, cells->len);
}

static void put_chosen(FdtWriter *w, const char *bootargs)
{
    begin_node(w, "aliases");
    put_string(w, "serial0", "/soc/isa@0/serial@3f8");
    end_node(w);
    begin_node(w, "chosen");
    if (bootargs)
        put_string(w, "bootargs", bootargs);
    put_string(w, "stdout-path", "serial0:115200n8");
    end_node(w);
}

/* Usable RAM as e820 has it: without EBDA and BIOS area, and never the device-memory window. */
static void put_memory(FdtWriter *w, const PcInfo *info)
{
    g_autoptr(GArray) reg = g_array_new(FALSE, FALSE, sizeof(uint32_t));

    add_u64(reg, 0);
    add_u64(reg, MIN(info->ram_below_4g, PC_EBDA_BASE));
    if (info->ram_below_4g > PC_HIGH_RAM_BASE) {
        add_u64(reg, PC_HIGH_RAM_BASE);
        add_u64(reg, info->ram_below_4g - PC_HIGH_RAM_BASE);
    }
    if (info->ram_above_4g > 0) {
        add_u64(reg, PC_ABOVE_4G_BASE);
        add_u64(reg, info->ram_above_4g);
    }
    begin_node(w, "memory@0");
    put_string(w, "device_type", "memory");
    put_cell_array(w, "reg", reg);
    end_node(w);
}

static void put_processors(FdtWriter *w, const PcInfo *info)
{
    begin_node(w, "cpus");
    put_cell_sizes(w, 1, 0);
    for (unsigned i = 0; i < info->cpus; i++) {
        char name[16];

        g_snprintf(name, sizeof(name), "cpu@%x", info->apic_ids[i]);
        begin_node(w, name);
        put_string(w, "device_type", "cpu");
        put_string(w, "compatible", "intel,ce4100"); /* the one value that the binding knows */
        put_u32s(w, "reg", info->apic_ids[i]);
        put_u32s(w, "lapic", PHANDLE_LAPIC);
        end_node(w);
    }
    end_node(w);
}

static void put_interrupt_controller(FdtWriter *w, uint64_t base, uint64_t size,
                                     const char *compatible, uint32_t phandle)
{
    g_autoptr(GArray) reg = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    g_autofree char *name = g_strdup_printf("interrupt-controller@%" G_GINT64_MODIFIER "x", base);

    add_u64(reg, base);
    add_u64(reg, size);
    begin_node(w, name);
    put_string(w, "compatible", compatible);
    put_cell_array(w, "reg", reg);
    put_flag(w, "interrupt-controller");
    put_u32s(w, "#interrupt-cells", 2);
    put_u32s(w, "#address-cells", 0);
    put_u32s(w, "phandle", phandle);
    if (phandle == PHANDLE_LAPIC)
        put_flag(w, "intel,virtual-wire-mode"); /* the PICs come in through LINT0, not an IMCR */
    end_node(w);
}

/* One entry of the PCI node's ranges: 3 cells of PCI address, 2 of parent address, 2 of size. */
static void add_pci_range(GArray *ranges, uint32_t space, uint64_t base, uint64_t size)
{
    add_cell(ranges, space);
    add_u64(ranges, base);
    add_u64(ranges, base);
    add_u64(ranges, size);
}

/* INTA..INTD of each device; only the low device bits count, as the GSIs repeat. */
static void put_pci_interrupt_map(FdtWriter *w)
{
    g_autoptr(GArray) map = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    uint32_t mask = (PC_GSI_PCI_INTX_COUNT - 1) << PCI_DEVFN_DEVICE_SHIFT;

    for (uint32_t device = 0; device < PC_GSI_PCI_INTX_COUNT; device++) {
        for (uint32_t pin = 0; pin < PCI_PINS; pin++) {
            add_cell(map, device << PCI_DEVFN_DEVICE_SHIFT);
            add_u64(map, 0);
            add_cell(map, pin + 1);
            add_cell(map, PHANDLE_IOAPIC);
            add_cell(map, PC_GSI_PCI_INTX(device, pin));
            add_cell(map, SENSE_LEVEL_LOW);
        }
    }
    put_u32s(w, "#interrupt-cells", 1);
    put_u32s(w, "interrupt-map-mask", mask, 0, 0, 7);
    put_cell_array(w, "interrupt-map", map);
}

static void put_pci(FdtWriter *w, const PcInfo *info)
{
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    uint64_t base, size;

    add_pci_range(ranges, PCI_SPACE_MEM32, PC_PCI_HOLE_BASE, PC_PCI_HOLE_SIZE);
    if (pc_pci_window64(info, &base, &size))
        add_pci_range(ranges, PCI_SPACE_MEM64, base, size);
    add_pci_range(ranges, PCI_SPACE_IO, 0, ISA_PORTS);
    begin_node(w, "pci@c0000000"); /* a bus without registers goes by its first window */
    put_bytes(w, "compatible", "intel,ce4100-pci\0pci", sizeof("intel,ce4100-pci\0pci"));
    put_string(w, "device_type", "pci");
    put_cell_sizes(w, 3, 2);
    put_u32s(w, "bus-range", 0, 0xff);
    put_cell_array(w, "ranges", ranges);
    put_pci_interrupt_map(w);
    end_node(w);
}

/* A device on I/O ports with one interrupt. The node stays open for more. */
static void begin_isa_device(FdtWriter *w, const char *type, const char *compatible, uint32_t port,
                             uint32_t length, uint32_t pin)
{
    g_autofree char *name = g_strdup_printf("%s@%x", type, port);

    begin_node(w, name);
    put_string(w, "compatible", compatible);
    put_u32s(w, "reg", ISA_SPACE_IO, port, length);
    put_u32s(w, "interrupts", pin, SENSE_EDGE_RISING);
}

/* Keyboard and mouse are children of the controller, whose two interrupts they share out. */
static void put_i8042(FdtWriter *w)
{
    static const struct {
        const char *name, *compatible;
    } ports[] = {{"keyboard@0", "pnpPNP,303"}, {"mouse@1", "pnpPNP,f03"}};

    begin_node(w, "i8042@60");
    put_string(w, "compatible", "chrp,8042");
    put_cell_sizes(w, 1, 0);
    put_u32s(w, "reg", ISA_SPACE_IO, PC_PORT_I8042_DATA, 1, ISA_SPACE_IO, PC_PORT_I8042_COMMAND, 1);
    put_u32s(w, "interrupts", PC_GSI_KEYBOARD, SENSE_EDGE_RISING, PC_GSI_MOUSE, SENSE_EDGE_RISING);
    for (uint32_t i = 0; i < G_N_ELEMENTS(ports); i++) {
        begin_node(w, ports[i].name);
        put_string(w, "compatible", ports[i].compatible);
        put_u32s(w, "reg", i);
        end_node(w);
    }
    end_node(w);
}

static void put_isa(FdtWriter *w, const PcInfo *info)
{
    begin_node(w, "isa@0");
    put_string(w, "compatible", "isa");
    put_cell_sizes(w, 2, 1);
    put_u32s(w, "ranges", ISA_SPACE_IO, 0, 0, 0, ISA_PORTS);

    begin_isa_device(w, "serial", "ns16550a", PC_PORT_SERIAL0, PC_PORT_SERIAL_SIZE, PC_GSI_SERIAL0);
    put_u32s(w, "clock-frequency", 1843200);
    put_u32s(w, "current-speed", 115200);
    end_node(w);

    begin_isa_device(w, "rtc", "motorola,mc146818", PC_PORT_RTC, PC_PORT_RTC_SIZE, PC_GSI_RTC);
    end_node(w);

    /* IOAPIC pin 2: the PIT is the one ISA device whose pin is not its IRQ. */
    begin_isa_device(w, "timer", "pnpPNP,100", 0x40, 4, 2);
    end_node(w);

    if (info->i8042_complete)
        put_i8042(w);
    end_node(w);
}

static void put_soc(FdtWriter *w, const PcInfo *info)
{
    begin_node(w, "soc");
    put_bytes(w, "compatible", "intel,ce4100-cp\0simple-bus",
              sizeof("intel,ce4100-cp\0simple-bus"));
    put_cell_sizes(w, 2, 2);
    put_flag(w, "ranges");
    put_interrupt_controller(w, PC_IOAPIC_BASE, PC_IOAPIC_SIZE, "intel,ce4100-ioapic",
                             PHANDLE_IOAPIC);
    put_interrupt_controller(w, PC_LAPIC_BASE, PC_LAPIC_SIZE, "intel,ce4100-lapic", PHANDLE_LAPIC);
    put_pci(w, info);
    put_isa(w, info);
    end_node(w);
}

static void put_root(FdtWriter *w, const PcInfo *info, const char *bootargs)
{
    begin_node(w, "");
    put_string(w, "model", "Tessera PC");
    put_string(w, "compatible", "tessera,pc");
    put_cell_sizes(w, 2, 2);
    put_u32s(w, "interrupt-parent", PHANDLE_IOAPIC);
    put_chosen(w, bootargs);
    put_memory(w, info);
    put_processors(w, info);
    put_soc(w, info);
    end_node(w);
}

GByteArray *pc_fdt_build(const PcInfo *info, const char *bootargs, GError **error)
{
    GByteArray *blob = g_byte_array_new();
    size_t limit =
        FIXED_SIZE + (size_t)SIZE_PER_CPU * info->cpus + (bootargs ? strlen(bootargs) + 1 : 0);
    FdtWriter w = {.err = 0};

    g_byte_array_set_size(blob, limit);
    w.fdt = blob->data;
    w.err = fdt_create(w.fdt, (int)limit);
    if (!w.err)
        w.err = fdt_finish_reservemap(w.fdt);
    put_root(&w, info, bootargs);
    if (!w.err)
        w.err = fdt_finish(w.fdt);
    if (w.err) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "device tree of %u processors and %zu bytes of command line: %s", info->cpus,
                    bootargs ? strlen(bootargs) : 0, fdt_strerror(w.err));
        g_byte_array_unref(blob);
        return NULL;
    }
    g_byte_array_set_size(blob, fdt_totalsize(blob->data));
    return blob;
}
