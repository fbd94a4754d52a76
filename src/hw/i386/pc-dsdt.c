/* SPDX-License-Identifier: MIT */
/* The PC's DSDT: sleep state, PCI host bridge, ISA devices, system resources, processors. */
#include "pc-acpi-internal.h"

#include "tessera/hw/acpi/aml.h"
#include "tessera/hw/acpi/pm.h"
#include "tessera/hw/i386/pc-acpi.h"
#include "tessera/hw/i386/pc-map.h"

/*
 * A bigger window would be of no use, and one of 512 GiB stays clear of the HyperTransport hole
 * that AMD's processors have right below 1 TiB.
 */
#define PCI_WINDOW64_MAX (512 * PC_GIB)

#define PCI_CONFIG_PORTS 8 /* 0xcf8..0xcff, the reset register among them */
#define PCI_DEVICES      32
#define PCI_PINS         4

bool pc_pci_window64(const PcInfo *info, uint64_t *ret_base, uint64_t *ret_size)
{
    uint64_t base = PC_ABOVE_4G_BASE + info->ram_above_4g;
    uint64_t end = info->phys_bits >= 52 ? 1ULL << 52 : 1ULL << info->phys_bits;

    if (info->device_memory_size > 0)
        base = info->device_memory_base + info->device_memory_size;
    base = (base + PC_GIB - 1) & ~(PC_GIB - 1);
    if (base >= end)
        return false;
    *ret_base = base;
    *ret_size = MIN(end - base, PCI_WINDOW64_MAX);
    return true;
}

/* \_S5: SLP_TYP for PM1a and PM1b control, two reserved (7.4.2). Only soft-off exists beside S0. */
static Aml *soft_off(void)
{
    static const uint64_t values[] = {ACPI_PM_SLP_TYP_S5, 0, 0, 0};

    return aml_name("\\_S5", aml_int_package(values, G_N_ELEMENTS(values)));
}

/* The windows of the host bridge; what lies in no window is not for PCI (6.2.2, PNP0A03). */
static Aml *pci_resources(const PcInfo *info)
{
    Aml *crs = aml_resource_template();
    uint64_t base, size;

    aml_append(crs, aml_word_bus_number(0, 0xff),
               aml_io(PC_PORT_PCI_CONFIG_ADDRESS, PCI_CONFIG_PORTS),
               aml_word_io(AML_PRODUCER, 0, PC_PORT_PCI_CONFIG_ADDRESS - 1),
               aml_word_io(AML_PRODUCER, PC_PORT_PCI_CONFIG_ADDRESS + PCI_CONFIG_PORTS, 0xffff),
               aml_dword_memory(AML_PRODUCER, AML_NON_CACHEABLE, AML_READ_WRITE, PC_PCI_HOLE_BASE,
                                PC_PCI_HOLE_SIZE));
    if (pc_pci_window64(info, &base, &size))
        aml_append(crs,
                   aml_qword_memory(AML_PRODUCER, AML_NON_CACHEABLE, AML_READ_WRITE, base, size));
    return aml_name("_CRS", crs);
}

/* _PRT (6.2.13) without link devices: Source is 0, so that Source Index is a GSI. */
static Aml *pci_routing(void)
{
    Aml *table = aml_package();

    for (unsigned device = 0; device < PCI_DEVICES; device++) {
        for (unsigned pin = 0; pin < PCI_PINS; pin++) {
            const uint64_t route[] = {device << 16 | 0xffff, pin, 0, PC_GSI_PCI_INTX(device, pin)};

            aml_append(table, aml_int_package(route, G_N_ELEMENTS(route)));
        }
    }
    return aml_name("_PRT", table);
}

static Aml *pci_host_bridge(const PcInfo *info)
{
    Aml *bridge = aml_device("PCI0");

    aml_append(bridge, aml_name("_HID", aml_eisa_id("PNP0A03")), aml_name("_UID", aml_int(0)),
               aml_name("_SEG", aml_int(0)), aml_name("_BBN", aml_int(0)), pci_resources(info),
               pci_routing());
    return bridge;
}

/* A device with fixed resources, present and in use: what ISA knows. Consumes @crs. */
static Aml *isa_device(const char *name, const char *hid, unsigned uid, Aml *crs)
{
    Aml *device = aml_device(name);

    aml_append(device, aml_name("_HID", aml_eisa_id(hid)), aml_name("_UID", aml_int(uid)),
               aml_name("_STA", aml_int(0x0f)), aml_name("_CRS", crs));
    return device;
}

static Aml *timer(void)
{
    Aml *crs = aml_resource_template();

    aml_append(crs, aml_io(0x40, 4), aml_irq_no_flags(0)); /* ISA IRQ; the MADT says which GSI */
    return isa_device("TIMR", "PNP0100", 0, crs);
}

static Aml *rtc(void)
{
    Aml *crs = aml_resource_template();

    aml_append(crs, aml_io(PC_PORT_RTC, PC_PORT_RTC_SIZE), aml_irq_no_flags(PC_GSI_RTC));
    return isa_device("RTC", "PNP0B00", 0, crs);
}

static Aml *serial_port(void)
{
    Aml *crs = aml_resource_template();

    aml_append(crs, aml_io(PC_PORT_SERIAL0, PC_PORT_SERIAL_SIZE), aml_irq_no_flags(PC_GSI_SERIAL0));
    return isa_device("COM1", "PNP0501", 1, crs);
}

static Aml *keyboard(void)
{
    Aml *crs = aml_resource_template();

    aml_append(crs, aml_io(PC_PORT_I8042_DATA, 1), aml_io(PC_PORT_I8042_COMMAND, 1),
               aml_irq_no_flags(PC_GSI_KEYBOARD));
    return isa_device("KBD", "PNP0303", 0, crs);
}

/* The mouse shares the keyboard's ports, so only its interrupt is its own. */
static Aml *mouse(void)
{
    Aml *crs = aml_resource_template();

    aml_append(crs, aml_irq_no_flags(PC_GSI_MOUSE));
    return isa_device("MOU", "PNP0F13", 0, crs);
}

/*
 * Ports and addresses in use that no other device names (PNP0C02), so that the guest places
 * nothing there. The reset register is not among them: it lies in the host bridge's own ports.
 */
static Aml *system_resources(const PcInfo *info)
{
    Aml *crs = aml_resource_template();

    aml_append(
        crs,
        aml_io(PC_PORT_PM1A_EVENT, PC_PORT_PM_TIMER + PC_PORT_PM_TIMER_SIZE - PC_PORT_PM1A_EVENT),
        aml_io(PC_PORT_GPE0, PC_PORT_GPE0_SIZE));
    if (info->memory_slots > 0)
        aml_append(crs, aml_io(PC_PORT_MEMORY_HOTPLUG, PC_PORT_MEMORY_HOTPLUG_SIZE));
    aml_append(crs, aml_memory32_fixed(AML_READ_WRITE, PC_IDENTITY_MAP_BASE,
                                       PC_IDENTITY_MAP_SIZE + PC_TSS_SIZE));
    return isa_device("SYSR", "PNP0C02", 0, crs);
}

/* Processor devices; _UID is what the MADT's entries say (8.4). */
static void add_processors(Aml *scope, unsigned cpus)
{
    for (unsigned i = 0; i < cpus; i++) {
        char name[5];
        Aml *cpu;

        g_snprintf(name, sizeof(name), "C%03X", i & 0xfff);
        cpu = aml_device(name);
        aml_append(cpu, aml_name("_HID", aml_string("ACPI0007")), aml_name("_UID", aml_int(i)));
        aml_append(scope, cpu);
    }
}

GByteArray *pc_dsdt_build(const PcInfo *info)
{
    Aml *body = aml_list();
    Aml *system_bus = aml_scope("\\_SB");

    g_assert(info->cpus <= PC_ACPI_CPUS_MAX);
    aml_append(system_bus, pci_host_bridge(info), timer(), rtc(), serial_port());
    if (info->i8042_complete)
        aml_append(system_bus, keyboard(), mouse());
    aml_append(system_bus, system_resources(info));
    add_processors(system_bus, info->cpus);
    aml_append(body, soft_off(), system_bus);
    return acpi_build_definition_block("DSDT", "TESSPC", body);
}
