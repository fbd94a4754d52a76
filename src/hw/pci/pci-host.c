/* SPDX-License-Identifier: MIT */
/* pci-host: a PCI bus behind the two type 1 configuration ports, with its host bridge 00:00.0. */
#include "tessera/hw/pci/pci-host.h"

#include <stdatomic.h>
#include "tessera/util/range.h"

#define IO_SPACE_SIZE 0x10000

/*
 * @address: latched by one access, used by the next: a guest with several vCPUs has its own lock over
 * the pair. Nothing else here changes after realize.
 */
typedef struct PciHost {
    Device dev;
    IrqLine irqs[PCI_PIN_COUNT];
    PciBus *bus;
    Device *bridge;
    _Atomic uint32_t address;
} PciHost;

static MemTxResult address_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                                MemTxAttrs attrs)
{
    *ret_value = offset == 0 && size == 4 ? atomic_load(&((PciHost *)opaque)->address) : UINT32_MAX;
    return MEMTX_OK;
}

static MemTxResult address_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                 MemTxAttrs attrs)
{
    if (offset == 0 && size == 4) {
        /* Bits 30..24 and 1..0 are read-only zeros. */
        atomic_store(&((PciHost *)opaque)->address, (uint32_t)value & 0x80fffffc);
    }
    return MEMTX_OK;
}

/* An access across the end of the register has no meaning on the bus. */
static bool selects_function(uint32_t address, hwaddr offset, unsigned size)
{
    return (address & PCI_HOST_ENABLE) && (address >> 16 & 0xff) == 0 && offset + size <= 4;
}

static MemTxResult data_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                             MemTxAttrs attrs)
{
    PciHost *host = opaque;
    uint32_t address = atomic_load(&host->address);

    *ret_value = UINT32_MAX;
    if (selects_function(address, offset, size)) {
        *ret_value = pci_bus_config_read(host->bus, address >> 8 & 0xff,
                                         (address & 0xfc) + offset, size);
    }
    return MEMTX_OK;
}

static MemTxResult data_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                              MemTxAttrs attrs)
{
    PciHost *host = opaque;
    uint32_t address = atomic_load(&host->address);

    if (selects_function(address, offset, size)) {
        pci_bus_config_write(host->bus, address >> 8 & 0xff, (address & 0xfc) + offset,
                             (uint32_t)value, size);
    }
    return MEMTX_OK;
}

static const MemoryRegionOps address_ops = {
    .read = address_read,
    .write = address_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 4, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 4, .unaligned = true },
};

static const MemoryRegionOps data_ops = {
    .read = data_read,
    .write = data_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 4, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 4, .unaligned = true },
};

/* The host bridge: a header and nothing else. */

static bool bridge_realize(Device *dev, GError **error)
{
    static const PciInfo info = {
        .vendor_id = PCI_HOST_BRIDGE_VENDOR,
        .device_id = PCI_HOST_BRIDGE_DEVICE,
        .class_code = PCI_HOST_BRIDGE_CLASS,
    };
    PciDevice *pdev = (PciDevice *)dev;

    pci_device_init_config(pdev, &info);
    return pci_device_plug(pdev, error);
}

static void bridge_unrealize(Device *dev)
{
    pci_device_unplug((PciDevice *)dev);
}

static void bridge_reset(Device *dev)
{
    pci_device_reset((PciDevice *)dev);
}

static const DeviceClass bridge_class = {
    .name = "pci-host-bridge",
    .description = "host bridge, function 00:00.0 of a pci-host",
    .instance_size = sizeof(PciDevice),
    .realize = bridge_realize,
    .unrealize = bridge_unrealize,
    .reset = bridge_reset,
};

static bool realize_bus(PciHost *host, GError **error)
{
    Device *dev = &host->dev;
    const DeviceContext context = { .ms = dev->ms, .clock = dev->clock, .control = dev->control };

    host->bus = pci_bus_new(dev->ms, device_region(dev, PCI_HOST_REGION_MEMORY),
                            device_region(dev, PCI_HOST_REGION_IO));
    for (unsigned pin = 0; pin < PCI_PIN_COUNT; pin++) {
        pci_bus_set_irq(host->bus, pin, host->irqs[pin]);
    }
    host->bridge = device_new(&bridge_class, &context, NULL);
    pci_device_set_bus(host->bridge, host->bus, PCI_DEVFN(0, 0));
    return device_realize(host->bridge, error);
}

static bool pci_host_realize(Device *dev, GError **error)
{
    Object *owner = &dev->obj;

    device_add_region(dev, memory_region_new_io(dev->ms, owner, &address_ops, dev,
                                                "pci-config-address", 4));
    device_add_region(dev,
                      memory_region_new_io(dev->ms, owner, &data_ops, dev, "pci-config-data", 4));
    device_add_region(dev, memory_region_new_container(dev->ms, owner, "pci-memory", INT128_2_64));
    device_add_region(dev, memory_region_new_container(dev->ms, owner, "pci-io", IO_SPACE_SIZE));
    return realize_bus((PciHost *)dev, error);
}

static void pci_host_unrealize(Device *dev)
{
    device_unrealize(((PciHost *)dev)->bridge);
}

static void pci_host_reset(Device *dev)
{
    PciHost *host = (PciHost *)dev;

    atomic_store(&host->address, 0);
    device_reset(host->bridge);
}

/* The bus goes last: until here a vCPU may have been in a handler. */
static void pci_host_finalize(Device *dev)
{
    PciHost *host = (PciHost *)dev;

    device_unref(host->bridge);
    pci_bus_free(host->bus);
}

void pci_host_set_irq(Device *dev, unsigned pin, IrqLine irq)
{
    g_assert(dev->cls == &pci_host_device_class && !dev->realized && pin < PCI_PIN_COUNT);
    ((PciHost *)dev)->irqs[pin] = irq;
}

PciBus *pci_host_bus(Device *dev)
{
    g_assert(dev->cls == &pci_host_device_class && dev->realized);
    return ((PciHost *)dev)->bus;
}

const DeviceClass pci_host_device_class = {
    .name = "pci-host",
    .description = "PCI bus on type 1 configuration ports",
    .instance_size = sizeof(PciHost),
    .realize = pci_host_realize,
    .unrealize = pci_host_unrealize,
    .reset = pci_host_reset,
    .finalize = pci_host_finalize,
};
DEVICE_REGISTER(pci_host_device_class);
