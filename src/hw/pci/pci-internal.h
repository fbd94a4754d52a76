/* SPDX-License-Identifier: MIT */
/* What bus and device know of each other. */
#ifndef TESSERA_HW_PCI_PCI_INTERNAL_H
#define TESSERA_HW_PCI_PCI_INTERNAL_H

#include <pthread.h>
#include "tessera/hw/pci/pci.h"

#define PCI_FUNCTIONS 256

/*
 * Two locks. The machine lock is held over a whole configuration write that touches what is mapped: it
 * serializes such writes, and guards @functions against them. @lock, taken after it and for a moment
 * only, guards the configuration bytes and @functions for readers, and the interrupt levels. So a
 * vCPU that reads never waits for another's change of the memory map.
 */
struct PciBus {
    MemorySystem *ms;
    MemoryRegion *memory;
    MemoryRegion *io;
    pthread_mutex_t lock;
    PciDevice *functions[PCI_FUNCTIONS];
    IrqLine irqs[PCI_PIN_COUNT];
    unsigned asserted[PCI_PIN_COUNT]; /* functions that hold the wire up */
};

static inline uint16_t pci_get16(const uint8_t *p)
{
    return p[0] | p[1] << 8;
}

static inline void pci_set16(uint8_t *p, uint16_t value)
{
    p[0] = value & 0xff;
    p[1] = value >> 8;
}

static inline uint32_t pci_get32(const uint8_t *p)
{
    return pci_get16(p) | (uint32_t)pci_get16(p + 2) << 16;
}

static inline void pci_set32(uint8_t *p, uint32_t value)
{
    pci_set16(p, value & 0xffff);
    pci_set16(p + 2, value >> 16);
}

/** pci_config_write_bytes() - by the masks. Under the bus's lock */
void pci_config_write_bytes(PciDevice *pdev, uint8_t offset, uint32_t value, unsigned size);

/** pci_touches_mapping() - may a write there change what is mapped? */
bool pci_touches_mapping(uint8_t offset, unsigned size);

/**
 * pci_update_mapping() - maps and unmaps by what the configuration space says, in one transaction
 * @why: for the history of commits, to stand before the function's number
 *
 * Under the machine lock, without the bus's. On failure everything is mapped as before.
 */
bool pci_update_mapping(PciDevice *pdev, const char *why, GError **error);

/** pci_update_intx() - the wire after level, pin or command register changed. Under the bus's lock */
void pci_update_intx(PciDevice *pdev);

#endif
