/* SPDX-License-Identifier: MIT */
/* PciDevice: configuration space, base address registers and their mapping. */
#include "pci-internal.h"

#include <string.h>
#include "tessera/util/error.h"
#include "tessera/util/log.h"
#include "tessera/util/range.h"

#define MEMORY_BAR_MIN 16
#define IO_BAR_MIN     4
#define IO_BAR_MAX     256 /* PCI 3.0, section 6.2.5.1 */

static unsigned bar_offset(unsigned n)
{
    return PCI_BAR0 + 4 * n;
}

void pci_device_set_bus(Device *dev, PciBus *bus, uint8_t devfn)
{
    PciDevice *pdev = (PciDevice *)dev;

    g_assert(!dev->realized);
    pdev->bus = bus;
    pdev->devfn = devfn;
}

void pci_device_init_config(PciDevice *pdev, const PciInfo *info)
{
    uint8_t *config = pdev->config;

    g_assert(info->interrupt_pin <= PCI_PIN_COUNT);
    pci_set16(config + PCI_VENDOR_ID, info->vendor_id);
    pci_set16(config + PCI_DEVICE_ID, info->device_id);
    pci_set32(config + PCI_REVISION, info->class_code << 8 | info->revision);
    pci_set16(config + PCI_SUBSYS_VENDOR, info->subsystem_vendor_id);
    pci_set16(config + PCI_SUBSYS_ID, info->subsystem_id);
    config[PCI_INTERRUPT_PIN] = info->interrupt_pin;
    pci_set16(pdev->wmask + PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
                                             PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
                                             PCI_COMMAND_INTX_OFF);
    pci_set16(pdev->w1cmask + PCI_STATUS, PCI_STATUS_W1C);
    pdev->wmask[PCI_CACHE_LINE] = 0xff;
    pdev->wmask[PCI_INTERRUPT_LINE] = 0xff;
    pdev->next_capability = PCI_HEADER_SIZE;
}

static bool check_bar(PciDevice *pdev, unsigned n, uint8_t flags, Int128 size, GError **error)
{
    Int128 min = flags & PCI_BAR_IO ? IO_BAR_MIN : MEMORY_BAR_MIN;
    Int128 max = flags & PCI_BAR_IO   ? IO_BAR_MAX
                 : flags & PCI_BAR_64 ? (Int128)1 << 62
                                      : (Int128)1 << 31;
    unsigned last = flags & PCI_BAR_64 ? n + 1 : n;

    if (last >= PCI_BAR_COUNT || pdev->bars[n].mr || pdev->bars[last].mr ||
        (n > 0 && pdev->bars[n - 1].mr && (pdev->bars[n - 1].flags & PCI_BAR_64))) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_EXISTS,
                    "base address register %u is taken or does not exist (there are 0 to %u)", last,
                    PCI_BAR_COUNT - 1);
        return false;
    }
    if (size < min || size > max || (size & (size - 1)) != 0) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "base address register %u cannot be 0x%" G_GINT64_MODIFIER
                    "x bytes: a power of two from 0x%" G_GINT64_MODIFIER
                    "x to 0x%" G_GINT64_MODIFIER "x is possible",
                    n, (uint64_t)size, (uint64_t)min, (uint64_t)max);
        return false;
    }
    return true;
}

bool pci_device_add_bar(PciDevice *pdev, unsigned n, uint8_t flags, MemoryRegion *mr,
                        GError **error)
{
    Int128 size = memory_region_size(mr);
    uint64_t mask;

    if (!check_bar(pdev, n, flags, size, error)) {
        return false;
    }
    mask = ~((uint64_t)size - 1);
    pdev->bars[n] = (PciBar){ .mr = mr, .size = (uint64_t)size, .flags = flags };
    pci_set32(pdev->config + bar_offset(n), flags);
    pci_set32(pdev->wmask + bar_offset(n), (uint32_t)mask);
    if (flags & PCI_BAR_64) {
        pci_set32(pdev->wmask + bar_offset(n + 1), mask >> 32);
    }
    return true;
}

uint8_t pci_device_add_capability(PciDevice *pdev, uint8_t id, uint8_t size, GError **error)
{
    unsigned offset = pdev->next_capability;
    unsigned length = (MAX(size, 2) + 3u) & ~3u;

    /* offset 0: the last one ended exactly at the end */
    if (offset < PCI_HEADER_SIZE || offset + length > PCI_CONFIG_SIZE) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "no room for a capability of %u bytes in the configuration space", size);
        return 0;
    }
    pdev->config[offset] = id;
    pdev->config[offset + 1] = pdev->config[PCI_CAPABILITIES];
    pdev->config[PCI_CAPABILITIES] = offset;
    pdev->config[PCI_STATUS] |= PCI_STATUS_CAPS;
    pdev->next_capability = (uint8_t)(offset + length);
    return offset;
}

void pci_config_write_bytes(PciDevice *pdev, uint8_t offset, uint32_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        uint8_t *byte = &pdev->config[offset + i];
        uint8_t written = value >> (8 * i);

        *byte = (*byte & ~pdev->wmask[offset + i]) | (written & pdev->wmask[offset + i]);
        *byte &= ~(written & pdev->w1cmask[offset + i]);
    }
}

bool pci_touches_mapping(uint8_t offset, unsigned size)
{
    return (offset < PCI_COMMAND + 2 && offset + size > PCI_COMMAND) ||
           (offset < PCI_BAR0 + 4 * PCI_BAR_COUNT && offset + size > PCI_BAR0);
}

/*
 * Where a register says it is; false: nowhere. Address 0 is what it has after reset, and the highest
 * one what it has while the guest finds out its size: neither is meant.
 */
static bool bar_address(const PciDevice *pdev, unsigned n, uint64_t *ret_address)
{
    const PciBar *bar = &pdev->bars[n];
    uint16_t command = pci_get16(pdev->config + PCI_COMMAND);
    uint64_t address = pci_get32(pdev->config + bar_offset(n));
    uint64_t top = bar->flags & PCI_BAR_64 ? UINT64_MAX : UINT32_MAX;

    if (!(command & (bar->flags & PCI_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY))) {
        return false;
    }
    if (bar->flags & PCI_BAR_64) {
        address |= (uint64_t)pci_get32(pdev->config + bar_offset(n + 1)) << 32;
    }
    address &= ~(bar->size - 1);
    if (address == 0 || address + (bar->size - 1) == top) {
        return false;
    }
    *ret_address = address;
    return true;
}

static MemoryRegion *bar_container(const PciDevice *pdev, const PciBar *bar)
{
    return bar->flags & PCI_BAR_IO ? pdev->bus->io : pdev->bus->memory;
}

/* Inside a transaction. */
static bool move_bar(PciDevice *pdev, PciBar *bar, bool map, uint64_t address, GError **error)
{
    if (bar->mapped == map && (!map || bar->address == address)) {
        return true;
    }
    if (bar->mapped &&
        !memory_region_del_subregion(bar_container(pdev, bar), bar->mr, error)) {
        return false;
    }
    bar->mapped = false;
    if (map) {
        if (!memory_region_add_subregion_overlap(bar_container(pdev, bar), address, bar->mr, 1,
                                                 error)) {
            return false;
        }
        bar->mapped = true;
        bar->address = address;
        log_item(LOG_PCI, "%02x.%x: %s at 0x%" G_GINT64_MODIFIER "x", pdev->devfn >> 3,
                 pdev->devfn & 7, memory_region_name(bar->mr), address);
    }
    return true;
}

bool pci_update_mapping(PciDevice *pdev, const char *why, GError **error)
{
    PciBar before[PCI_BAR_COUNT];
    bool ok = true;

    g_assert(memory_system_is_locked(pdev->bus->ms));
    memcpy(before, pdev->bars, sizeof(before));
    memory_region_transaction_begin_for(pdev->bus->ms, "%s %02x.%x", why, pdev->devfn >> 3,
                                        pdev->devfn & 7);
    for (unsigned n = 0; n < PCI_BAR_COUNT && ok; n++) {
        uint64_t address = 0;
        bool map = pdev->plugged && pdev->bars[n].mr && bar_address(pdev, n, &address);

        ok = move_bar(pdev, &pdev->bars[n], map, address, error);
    }
    if (!ok) {
        memory_region_transaction_abort(pdev->bus->ms);
    } else {
        ok = memory_region_transaction_commit(pdev->bus->ms, error);
    }
    if (!ok) {
        memcpy(pdev->bars, before, sizeof(before)); /* the tree is as it was */
    }
    return ok;
}

bool pci_device_plug(PciDevice *pdev, GError **error)
{
    PciBus *bus = pdev->bus;

    g_assert(bus && !pdev->plugged);
    memcpy(pdev->reset_config, pdev->config, PCI_CONFIG_SIZE);
    memory_system_lock(bus->ms);
    if (bus->functions[pdev->devfn]) {
        memory_system_unlock(bus->ms);
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_EXISTS,
                    "PCI slot %u, function %u is taken", pdev->devfn >> 3, pdev->devfn & 7);
        return false;
    }
    pthread_mutex_lock(&bus->lock);
    bus->functions[pdev->devfn] = pdev;
    pdev->plugged = true;
    pthread_mutex_unlock(&bus->lock);
    memory_system_unlock(bus->ms);
    return true;
}

/* Registers to their values after power-on; under the machine lock. */
static void config_to_reset(PciDevice *pdev)
{
    pthread_mutex_lock(&pdev->bus->lock);
    pdev->intx_level = false;
    pci_update_intx(pdev);
    memcpy(pdev->config, pdev->reset_config, PCI_CONFIG_SIZE);
    pthread_mutex_unlock(&pdev->bus->lock);
}

/* Taking regions away is refused only when the accelerator fails; the machine is told of that. */
static void unmap_all(PciDevice *pdev, const char *why)
{
    g_autoptr(GError) error = NULL;

    if (!pci_update_mapping(pdev, why, &error)) {
        log_item(LOG_PCI, "%02x.%x: still mapped: %s", pdev->devfn >> 3, pdev->devfn & 7,
                 error->message);
    }
}

void pci_device_reset(PciDevice *pdev)
{
    memory_system_lock(pdev->bus->ms);
    config_to_reset(pdev);
    unmap_all(pdev, "PCI reset");
    memory_system_unlock(pdev->bus->ms);
}

void pci_device_unplug(PciDevice *pdev)
{
    PciBus *bus = pdev->bus;

    if (!pdev->plugged) {
        return;
    }
    memory_system_lock(bus->ms);
    config_to_reset(pdev);
    unmap_all(pdev, "PCI unplug");
    pthread_mutex_lock(&bus->lock);
    bus->functions[pdev->devfn] = NULL;
    pdev->plugged = false;
    pthread_mutex_unlock(&bus->lock);
    memory_system_unlock(bus->ms);
}
