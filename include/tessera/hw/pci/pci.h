/* SPDX-License-Identifier: MIT */
/* PciDevice and PciBus: configuration space, base address registers, INTx. */
#ifndef TESSERA_HW_PCI_PCI_H
#define TESSERA_HW_PCI_PCI_H

#include "tessera/hw/core/device.h"

/*
 * Configuration space of a type 0 header (PCI Local Bus Specification 3.0, section 6.1):
 *
 *   00 vendor   02 device    04 command  06 status    08 revision  09 class (3 bytes)
 *   0c cache line size       0d latency  0e header type
 *   10 .. 27 base address registers      2c subsystem vendor  2e subsystem id
 *   34 first capability      3c interrupt line        3d interrupt pin
 *   40 .. ff device and capabilities
 */
#define PCI_VENDOR_ID      0x00
#define PCI_DEVICE_ID      0x02
#define PCI_COMMAND        0x04
#define PCI_STATUS         0x06
#define PCI_REVISION       0x08
#define PCI_CLASS_PROG     0x09
#define PCI_CLASS          0x0a
#define PCI_CACHE_LINE     0x0c
#define PCI_LATENCY        0x0d
#define PCI_HEADER_TYPE    0x0e
#define PCI_BAR0           0x10
#define PCI_SUBSYS_VENDOR  0x2c
#define PCI_SUBSYS_ID      0x2e
#define PCI_CAPABILITIES   0x34
#define PCI_INTERRUPT_LINE 0x3c
#define PCI_INTERRUPT_PIN  0x3d
#define PCI_HEADER_SIZE    0x40
#define PCI_CONFIG_SIZE    0x100

#define PCI_COMMAND_IO       0x0001
#define PCI_COMMAND_MEMORY   0x0002
#define PCI_COMMAND_MASTER   0x0004
#define PCI_COMMAND_PARITY   0x0040
#define PCI_COMMAND_SERR     0x0100
#define PCI_COMMAND_INTX_OFF 0x0400

#define PCI_STATUS_INTX 0x0008
#define PCI_STATUS_CAPS 0x0010
#define PCI_STATUS_W1C  0xf900 /* errors: write 1 to clear */

#define PCI_BAR_COUNT    6
#define PCI_BAR_IO       0x01
#define PCI_BAR_64       0x04
#define PCI_BAR_PREFETCH 0x08

#define PCI_PIN_COUNT 4 /* INTA .. INTD */

#define PCI_DEVFN(slot, function) ((slot) << 3 | (function))

typedef struct PciBus PciBus;
typedef struct PciDevice PciDevice;

/**
 * struct PciBar - a base address register
 * @mr: what it shows; NULL: no such register. Owned by the device (device_add_region())
 * @size: bytes, a power of two; @flags: PCI_BAR_ bits
 * @mapped: it is in the bus's container, at @address
 */
typedef struct PciBar {
    MemoryRegion *mr;
    uint64_t size;
    uint8_t flags;
    bool mapped;
    uint64_t address;
} PciBar;

/*
 * The first member of every PCI device's state. @config, @wmask (bits that the guest writes) and
 * @w1cmask (bits that a written 1 clears) are guarded by the bus's own lock once the device is on the
 * bus; @bars by the machine lock.
 */
struct PciDevice {
    Device dev;
    PciBus *bus;
    uint8_t devfn;
    bool plugged;
    bool intx_level; /* what the device says */
    bool wire_up;    /* what it adds to the wire: not while the command register forbids it */
    uint8_t config[PCI_CONFIG_SIZE];
    uint8_t reset_config[PCI_CONFIG_SIZE];
    uint8_t wmask[PCI_CONFIG_SIZE];
    uint8_t w1cmask[PCI_CONFIG_SIZE];
    uint8_t next_capability; /* where the next one goes */
    PciBar bars[PCI_BAR_COUNT];
};

/** struct PciInfo - what a device says it is; @class_code: base class, sub-class, interface */
typedef struct PciInfo {
    uint16_t vendor_id;
    uint16_t device_id;
    uint8_t revision;
    uint32_t class_code;
    uint16_t subsystem_vendor_id;
    uint16_t subsystem_id;
    uint8_t interrupt_pin; /* 0: none, 1 .. 4: INTA .. INTD */
} PciInfo;

/*
 * How a device is made: device_new() with a class whose state begins with a PciDevice,
 * pci_device_set_bus(), device_realize(). Its realize calls pci_device_init_config(), the functions
 * for registers and capabilities, and pci_device_plug() last; its unrealize calls
 * pci_device_unplug(), its reset pci_device_reset().
 */

/** pci_device_set_bus() - before realize; @devfn: PCI_DEVFN(slot, function) */
void pci_device_set_bus(Device *dev, PciBus *bus, uint8_t devfn);

/** pci_device_init_config() - a type 0 header from @info */
void pci_device_init_config(PciDevice *pdev, const PciInfo *info);

/**
 * pci_device_add_bar() - base address register @n shows @mr
 * @flags: PCI_BAR_IO, or PCI_BAR_64 and PCI_BAR_PREFETCH; a 64-bit one takes @n + 1 too
 *
 * Errors: the size is no power of two, under 4 bytes (ports), under 16 or over what the register
 * can hold; @n is taken or does not exist.
 */
bool pci_device_add_bar(PciDevice *pdev, unsigned n, uint8_t flags, MemoryRegion *mr,
                        GError **error);

/**
 * pci_device_add_capability() - room for @size bytes (with the two of the header), in the list
 *
 * Errors: no room. Returns: its offset in the configuration space, 0 on error; the bytes after the
 * header are 0 and read-only until the caller sets @config and @wmask.
 */
uint8_t pci_device_add_capability(PciDevice *pdev, uint8_t id, uint8_t size, GError **error);

/**
 * pci_device_plug() - onto its bus: from now on the guest finds it
 *
 * Errors: the place is taken. Takes the machine lock; not inside a transaction.
 */
bool pci_device_plug(PciDevice *pdev, GError **error);
/** pci_device_unplug() - takes its registers' regions out and it off the bus; idempotent */
void pci_device_unplug(PciDevice *pdev);
/** pci_device_reset() - configuration as after power-on; nothing is mapped, INTx is down */
void pci_device_reset(PciDevice *pdev);

/** pci_device_set_intx() - drives its interrupt pin. Any thread; no bus lock held */
void pci_device_set_intx(PciDevice *pdev, bool level);

/*
 * PciBus: up to 256 functions, and where their registers are mapped.
 */

/**
 * pci_bus_new() - an empty bus
 * @memory, @io: containers in which registers are mapped at the address that the guest wrote: both
 *      begin at address 0 of their space. Not owned, outlive the bus
 */
PciBus *pci_bus_new(MemorySystem *ms, MemoryRegion *memory, MemoryRegion *io);
/** pci_bus_free() - all devices are gone (asserted). NULL allowed */
void pci_bus_free(PciBus *bus);
/** pci_bus_set_irq() - where interrupt @pin (0 .. 3) of slot 0 goes; slot n turns by n. At start */
void pci_bus_set_irq(PciBus *bus, unsigned pin, IrqLine irq);

/**
 * pci_bus_config_read() / pci_bus_config_write() - @size 1, 2 or 4 bytes at @offset of a function
 *
 * @offset + @size within a double word. Nobody there: reads all ones. A write that changes what is
 * mapped edits the memory map; when that is refused, the register has its previous value again.
 * Context: a register handler or any thread without the bus's lock.
 */
uint32_t pci_bus_config_read(PciBus *bus, uint8_t devfn, uint8_t offset, unsigned size);
void pci_bus_config_write(PciBus *bus, uint8_t devfn, uint8_t offset, uint32_t value,
                          unsigned size);

#endif
