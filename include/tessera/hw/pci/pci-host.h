/* SPDX-License-Identifier: MIT */
/* pci-host: a PCI bus behind the two type 1 configuration ports, with its host bridge 00:00.0. */
#ifndef TESSERA_HW_PCI_PCI_HOST_H
#define TESSERA_HW_PCI_PCI_HOST_H

#include "tessera/hw/pci/pci.h"

/*
 * Regions (PCI Local Bus Specification 3.0, section 3.2.2.3.2 "Software Generation of Configuration
 * Transactions"):
 *
 *   0  address, 4 ports: a double word latches; bit 31 enables, 23..16 bus, 15..11 slot, 10..8
 *      function, 7..2 register. Narrower accesses are not for it: reads are all ones, writes are lost
 *   1  data, 4 ports: that register, or bytes of it
 *   2  container for memory registers, 2^64 bytes; mapped by the board at address 0, below RAM
 *   3  container for port registers, 64 KiB; mapped by the board at port 0, below everything else
 *
 * The host bridge is Red Hat's "generic host bridge" (1b36:0008): an identity without a chipset, which
 * no driver and no quirk of a guest takes for hardware that is not there. It has no registers beyond its header.
 */
#define PCI_HOST_REGION_ADDRESS 0
#define PCI_HOST_REGION_DATA    1
#define PCI_HOST_REGION_MEMORY  2
#define PCI_HOST_REGION_IO      3

#define PCI_HOST_ENABLE 0x80000000u

#define PCI_HOST_BRIDGE_VENDOR 0x1b36
#define PCI_HOST_BRIDGE_DEVICE 0x0008
#define PCI_HOST_BRIDGE_CLASS  0x060000

extern const DeviceClass pci_host_device_class; /* "pci-host" */

/** pci_host_set_irq() - before realize; where INTA .. INTD (@pin 0 .. 3) of slot 0 go */
void pci_host_set_irq(Device *dev, unsigned pin, IrqLine irq);

/** pci_host_bus() - its bus 0; valid from realize to unrealize */
PciBus *pci_host_bus(Device *dev);

#endif
