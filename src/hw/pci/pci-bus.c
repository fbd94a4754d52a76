/* SPDX-License-Identifier: MIT */
/* PciBus: who is where, configuration accesses and the four interrupt wires. */
#include "pci-internal.h"

#include "tessera/util/log.h"

PciBus *pci_bus_new(MemorySystem *ms, MemoryRegion *memory, MemoryRegion *io)
{
    PciBus *bus = g_new0(PciBus, 1);

    bus->ms = ms;
    bus->memory = memory;
    bus->io = io;
    pthread_mutex_init(&bus->lock, NULL);
    return bus;
}

void pci_bus_free(PciBus *bus)
{
    if (!bus) {
        return;
    }
    for (unsigned i = 0; i < PCI_FUNCTIONS; i++) {
        g_assert(!bus->functions[i]);
    }
    pthread_mutex_destroy(&bus->lock);
    g_free(bus);
}

void pci_bus_set_irq(PciBus *bus, unsigned pin, IrqLine irq)
{
    g_assert(pin < PCI_PIN_COUNT);
    bus->irqs[pin] = irq;
}

/* Neighbouring slots use different wires (PCI-to-PCI Bridge Architecture 1.2, section 9.1). */
static unsigned wire_of(const PciDevice *pdev)
{
    return (pdev->reset_config[PCI_INTERRUPT_PIN] - 1u + (pdev->devfn >> 3)) % PCI_PIN_COUNT;
}

void pci_update_intx(PciDevice *pdev)
{
    PciBus *bus = pdev->bus;
    bool off = pci_get16(pdev->config + PCI_COMMAND) & PCI_COMMAND_INTX_OFF;
    bool level = pdev->intx_level && !off;
    unsigned wire;

    pdev->config[PCI_STATUS] &= ~PCI_STATUS_INTX;
    pdev->config[PCI_STATUS] |= pdev->intx_level ? PCI_STATUS_INTX : 0;
    if (pdev->wire_up == level || !pdev->reset_config[PCI_INTERRUPT_PIN]) {
        return;
    }
    pdev->wire_up = level;
    wire = wire_of(pdev);
    bus->asserted[wire] += level ? 1 : -1;
    irq_set(bus->irqs[wire], bus->asserted[wire] > 0);
}

void pci_device_set_intx(PciDevice *pdev, bool level)
{
    pthread_mutex_lock(&pdev->bus->lock);
    if (pdev->plugged) {
        pdev->intx_level = level;
        pci_update_intx(pdev);
    }
    pthread_mutex_unlock(&pdev->bus->lock);
}

static uint32_t all_ones(unsigned size)
{
    return size >= 4 ? UINT32_MAX : (1u << (8 * size)) - 1;
}

uint32_t pci_bus_config_read(PciBus *bus, uint8_t devfn, uint8_t offset, unsigned size)
{
    uint32_t value = all_ones(size);
    const PciDevice *pdev;

    g_assert((offset & 3) + size <= 4);
    pthread_mutex_lock(&bus->lock);
    pdev = bus->functions[devfn];
    if (pdev) {
        value = pci_get32(pdev->config + (offset & ~3)) >> (8 * (offset & 3)) & all_ones(size);
    }
    pthread_mutex_unlock(&bus->lock);
    return value;
}

/* Under the machine lock; the double word goes back to what it was when the map refuses. */
static void write_mapping(PciBus *bus, PciDevice *pdev, uint8_t offset, uint32_t value,
                          unsigned size)
{
    g_autoptr(GError) error = NULL;
    uint8_t *dword = pdev->config + (offset & ~3);
    uint32_t before;

    pthread_mutex_lock(&bus->lock);
    before = pci_get32(dword);
    pci_config_write_bytes(pdev, offset, value, size);
    pci_update_intx(pdev);
    pthread_mutex_unlock(&bus->lock);
    if (pci_update_mapping(pdev, "PCI config write", &error)) {
        return;
    }
    log_item(LOG_PCI, "%02x.%x: register 0x%02x stays as it was: %s", pdev->devfn >> 3,
             pdev->devfn & 7, offset, error->message);
    pthread_mutex_lock(&bus->lock);
    pci_set32(dword, before);
    pci_update_intx(pdev);
    pthread_mutex_unlock(&bus->lock);
}

void pci_bus_config_write(PciBus *bus, uint8_t devfn, uint8_t offset, uint32_t value,
                          unsigned size)
{
    PciDevice *pdev;

    g_assert((offset & 3) + size <= 4);
    if (!pci_touches_mapping(offset, size)) {
        pthread_mutex_lock(&bus->lock);
        pdev = bus->functions[devfn];
        if (pdev) {
            pci_config_write_bytes(pdev, offset, value, size);
        }
        pthread_mutex_unlock(&bus->lock);
        return;
    }
    memory_system_lock(bus->ms);
    pdev = bus->functions[devfn];
    if (pdev) {
        write_mapping(bus, pdev, offset, value, size);
    }
    memory_system_unlock(bus->ms);
}
