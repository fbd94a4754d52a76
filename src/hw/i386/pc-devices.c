/* SPDX-License-Identifier: MIT */
/* Which devices a PC has, at which address, on which interrupt: here and nowhere else. */
#include "pc-internal.h"

#include "tessera/hw/acpi/memory-hotplug.h"
#include "tessera/hw/acpi/pm.h"
#include "tessera/hw/char/serial.h"
#include "tessera/hw/input/i8042.h"
#include "tessera/hw/misc/debug-exit.h"
#include "tessera/hw/misc/post-port.h"
#include "tessera/hw/misc/reset-port.h"
#include "tessera/hw/pci/pci-host.h"
#include "tessera/hw/rtc/mc146818.h"
#include "tessera/util/error.h"

#define PRIORITY_BUS   (-1) /* what a bus answers where the board has nothing of its own */
#define PRIORITY_PORT  0
#define PRIORITY_INNER 1 /* a port inside another device's: 0xcf9 in the double word at 0xcf8 */

#define REGIONS_MAX 4

enum PcSpace { SPACE_IO, SPACE_MEMORY };

/* Where one region of a device is mapped. */
typedef struct PcMapping {
    enum PcSpace space;
    hwaddr addr;
    int priority;
} PcMapping;

typedef struct PcDevice {
    const DeviceClass *cls;
    bool (*wanted)(const Pc *pc); /* NULL: always */
    void (*wire)(Pc *pc, Device *dev); /* before realize; NULL: nothing to wire */
    unsigned regions;
    PcMapping map[REGIONS_MAX]; /* by the region's number in the device */
} PcDevice;

static void wire_serial0(Pc *pc, Device *dev)
{
    serial_set_irq(dev, pc->gsi[PC_GSI_SERIAL0]);
    serial_set_chardev(dev, pc->serial0);
}

static void wire_rtc(Pc *pc, Device *dev)
{
    rtc_set_irq(dev, pc->gsi[PC_GSI_RTC]);
    rtc_set_memory_size(dev, pc->info.ram_below_4g, pc->info.ram_above_4g);
}

static void wire_i8042(Pc *pc, Device *dev)
{
    i8042_set_irqs(dev, pc->gsi[PC_GSI_KEYBOARD], pc->gsi[PC_GSI_MOUSE]);
}

static void wire_pm(Pc *pc, Device *dev)
{
    acpi_pm_set_sci(dev, pc->gsi[PC_GSI_SCI]);
    pc->pm = dev;
}

static bool has_memory_slots(const Pc *pc)
{
    return pc->info.memory_slots > 0;
}

static void raise_gpe(void *opaque, unsigned n, bool level)
{
    if (level) {
        acpi_pm_set_gpe(opaque, n);
    }
}

/* The PM device comes before it. */
static void wire_memory_hotplug(Pc *pc, Device *dev)
{
    _Static_assert(PC_PORT_MEMORY_HOTPLUG_SIZE == MEMORY_HOTPLUG_REGION_SIZE, "ports and registers");
    _Static_assert(PC_DEVICE_MEMORY_SLOTS_MAX == MEMORY_HOTPLUG_SLOTS_MAX, "slots and registers");
    memory_hotplug_wire(dev, pc->info.memory_slots,
                        (IrqLine){ raise_gpe, pc->pm, MEMORY_HOTPLUG_GPE });
    pc->memory_hotplug = dev;
}

static void wire_pci_host(Pc *pc, Device *dev)
{
    for (unsigned pin = 0; pin < PC_GSI_PCI_INTX_COUNT; pin++) {
        pci_host_set_irq(dev, pin, pc->gsi[PC_GSI_PCI_INTX(0, pin)]);
    }
}

static const PcDevice pc_devices[] = {
    { &pci_host_device_class, NULL, wire_pci_host, 4,
      { [PCI_HOST_REGION_ADDRESS] = { SPACE_IO, PC_PORT_PCI_CONFIG_ADDRESS, PRIORITY_PORT },
        [PCI_HOST_REGION_DATA] = { SPACE_IO, PC_PORT_PCI_CONFIG_DATA, PRIORITY_PORT },
        [PCI_HOST_REGION_MEMORY] = { SPACE_MEMORY, 0, PRIORITY_BUS },
        [PCI_HOST_REGION_IO] = { SPACE_IO, 0, PRIORITY_BUS } } },
    { &reset_port_device_class, NULL, NULL, 1, { { SPACE_IO, PC_PORT_RESET, PRIORITY_INNER } } },
    { &acpi_pm_device_class, NULL, wire_pm, 4,
      { [ACPI_PM_REGION_EVENT] = { SPACE_IO, PC_PORT_PM1A_EVENT, PRIORITY_PORT },
        [ACPI_PM_REGION_CONTROL] = { SPACE_IO, PC_PORT_PM1A_CONTROL, PRIORITY_PORT },
        [ACPI_PM_REGION_TIMER] = { SPACE_IO, PC_PORT_PM_TIMER, PRIORITY_PORT },
        [ACPI_PM_REGION_GPE0] = { SPACE_IO, PC_PORT_GPE0, PRIORITY_PORT } } },
    { &memory_hotplug_device_class, has_memory_slots, wire_memory_hotplug, 1,
      { { SPACE_IO, PC_PORT_MEMORY_HOTPLUG, PRIORITY_PORT } } },
    { &rtc_device_class, NULL, wire_rtc, 1, { { SPACE_IO, PC_PORT_RTC, PRIORITY_PORT } } },
    { &i8042_device_class, NULL, wire_i8042, 2,
      { { SPACE_IO, PC_PORT_I8042_DATA, PRIORITY_PORT },
        { SPACE_IO, PC_PORT_I8042_COMMAND, PRIORITY_PORT } } },
    { &serial_device_class, NULL, wire_serial0, 1, { { SPACE_IO, PC_PORT_SERIAL0, PRIORITY_PORT } } },
    { &post_port_device_class, NULL, NULL, 1, { { SPACE_IO, PC_PORT_POST, PRIORITY_PORT } } },
    { &debug_exit_device_class, NULL, NULL, 1, { { SPACE_IO, PC_PORT_DEBUG_EXIT, PRIORITY_PORT } } },
};

static bool map_region(Pc *pc, const PcMapping *map, MemoryRegion *mr, GError **error)
{
    MemoryRegion *root =
        pc->regions[map->space == SPACE_IO ? PC_REGION_IO : PC_REGION_SYSTEM];

    return memory_region_add_subregion_overlap(root, map->addr, mr, map->priority, error);
}

static bool create_device(Pc *pc, const PcDevice *entry, GError **error)
{
    Device *dev = device_new(entry->cls, &pc->context, NULL);

    g_ptr_array_add(pc->devices, dev);
    if (entry->wire) {
        entry->wire(pc, dev);
    }
    if (!device_realize(dev, error)) {
        return false;
    }
    for (unsigned i = 0; i < entry->regions; i++) {
        if (!map_region(pc, &entry->map[i], device_region(dev, i), error)) {
            return false;
        }
    }
    return true;
}

bool pc_devices_create(Pc *pc, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(pc_devices); i++) {
        bool wanted = !pc_devices[i].wanted || pc_devices[i].wanted(pc);

        if (wanted && !create_device(pc, &pc_devices[i], error)) {
            return false;
        }
    }
    return true;
}

static void unmap_regions(Device *dev)
{
    for (guint i = 0; i < dev->regions->len; i++) {
        MemoryRegion *mr = dev->regions->pdata[i];

        if (memory_region_container(mr)) {
            memory_region_del_subregion(memory_region_container(mr), mr, NULL);
        }
    }
}

void pc_devices_destroy(Pc *pc)
{
    memory_region_transaction_begin_for(pc->context.ms, "board: its end");
    for (guint i = pc->devices->len; i-- > 0;) {
        unmap_regions(pc->devices->pdata[i]);
    }
    memory_region_transaction_commit(pc->context.ms, NULL);
    for (guint i = pc->devices->len; i-- > 0;) {
        device_unrealize(pc->devices->pdata[i]);
        device_unref(pc->devices->pdata[i]);
    }
}

void pc_power_button(Pc *pc)
{
    acpi_pm_power_button(pc->pm);
}
