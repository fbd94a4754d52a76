/* SPDX-License-Identifier: MIT */
/* acpi-memory-hotplug: the registers by which a guest finds, takes and gives back DIMMs. */
#ifndef TESSERA_HW_ACPI_MEMORY_HOTPLUG_H
#define TESSERA_HW_ACPI_MEMORY_HOTPLUG_H

#include "tessera/hw/acpi/aml.h"
#include "tessera/hw/core/device.h"

/*
 * One region of 0x18 bytes, little endian (QEMU's docs/specs/acpi_mem_hotplug describes the same
 * interface). Everything but the first register's write is about the selected socket.
 *
 *   offset       read                               write
 *   0x00         base address, bits 0..31           selects a socket
 *   0x04         base address, bits 32..63          _OST: source event, kept until the status
 *   0x08         length, bits 0..31                 _OST: status; reports both
 *   0x0c         length, bits 32..63                -
 *   0x10         proximity domain                   -
 *   0x14, 8 bits bit 0 enabled                      -
 *                bit 1 insert pending               1: the guest has seen it
 *                bit 2 remove pending               1: the guest has seen it
 *                bit 3 -                            1: eject
 *
 * An empty socket, and a selector past the last one, read 0. Writes of a selector past the last one
 * do nothing.
 */
#define MEMORY_HOTPLUG_REGION_SIZE 0x18

#define MEMORY_HOTPLUG_SELECTOR   0x00 /* write; read: base */
#define MEMORY_HOTPLUG_BASE_LOW   0x00
#define MEMORY_HOTPLUG_BASE_HIGH  0x04
#define MEMORY_HOTPLUG_OST_EVENT  0x04 /* write */
#define MEMORY_HOTPLUG_SIZE_LOW   0x08
#define MEMORY_HOTPLUG_OST_STATUS 0x08 /* write */
#define MEMORY_HOTPLUG_SIZE_HIGH  0x0c
#define MEMORY_HOTPLUG_DOMAIN     0x10
#define MEMORY_HOTPLUG_STATUS     0x14 /* read */
#define MEMORY_HOTPLUG_CONTROL    0x14 /* write */

/* Bits of status and control. */
#define MEMORY_HOTPLUG_ENABLED 0x01
#define MEMORY_HOTPLUG_INSERT  0x02
#define MEMORY_HOTPLUG_REMOVE  0x04
#define MEMORY_HOTPLUG_EJECT   0x08

#define MEMORY_HOTPLUG_GPE 3 /* general-purpose event that says "look at the sockets" */

#define MEMORY_HOTPLUG_SLOTS_MAX 256

/**
 * struct MemoryHotplugOps - who hears what the guest does
 * @eject: the guest gave @slot up. The socket reads as empty by now; when this returns, the guest's
 *      write completes. To refuse: memory_hotplug_restore()
 * @ost: the guest evaluated _OST for @slot, which may be empty
 *
 * Context: called on the vCPU thread that wrote, without the device's lock.
 */
typedef struct MemoryHotplugOps {
    void (*eject)(void *opaque, unsigned slot);
    void (*ost)(void *opaque, unsigned slot, uint32_t event, uint32_t status);
} MemoryHotplugOps;

extern const DeviceClass memory_hotplug_device_class; /* "acpi-memory-hotplug" */

/**
 * memory_hotplug_wire() - before realize
 * @slots: 1 .. MEMORY_HOTPLUG_SLOTS_MAX (asserted)
 * @gpe: pulsed when the guest should look at the sockets
 */
void memory_hotplug_wire(Device *dev, unsigned slots, IrqLine gpe);

/** memory_hotplug_set_ops() - while no vCPU runs; @ops outlives the device. NULL: nobody listens */
void memory_hotplug_set_ops(Device *dev, const MemoryHotplugOps *ops, void *opaque);

/*
 * What the machine does to a socket; @slot is asserted to be one. Context: any thread.
 */

/**
 * memory_hotplug_insert() - fills an empty socket (asserted) with a DIMM that is mapped already
 * @base, @size: bytes; @domain: proximity domain
 * @pending: set insert pending, and call memory_hotplug_tell() soon; false for what is there when the
 *      guest starts
 */
void memory_hotplug_insert(Device *dev, unsigned slot, uint64_t base, uint64_t size,
                           uint32_t domain, bool pending);

/** memory_hotplug_tell() - pulses the GPE: the guest looks at every socket */
void memory_hotplug_tell(Device *dev);

/** memory_hotplug_request_remove() - sets remove pending and pulses the GPE */
void memory_hotplug_request_remove(Device *dev, unsigned slot);

/** memory_hotplug_cancel_remove() - takes the request back. Returns: the guest had not seen it */
bool memory_hotplug_cancel_remove(Device *dev, unsigned slot);

/** memory_hotplug_clear() - empties the socket */
void memory_hotplug_clear(Device *dev, unsigned slot);

/** memory_hotplug_restore() - in @ops->eject: the DIMM could not go and is enabled again */
void memory_hotplug_restore(Device *dev, unsigned slot);

/** memory_hotplug_status() - what the status register says of @slot */
uint8_t memory_hotplug_status(Device *dev, unsigned slot);

/**
 * memory_hotplug_build_aml() - the namespace's side of the registers: \_SB.MHPC with a device
 * M000, M001, ... (PNP0C80) for each socket, and \_GPE._E03
 * @body: of an SSDT, as aml_list() makes it
 * @port: of the register block
 * @slots: 1 .. MEMORY_HOTPLUG_SLOTS_MAX (asserted)
 */
void memory_hotplug_build_aml(Aml *body, uint16_t port, unsigned slots);

#endif
