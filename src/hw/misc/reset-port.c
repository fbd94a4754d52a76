/* SPDX-License-Identifier: MIT */
/* reset-port: the chipset's reset control register. */
#include "tessera/hw/misc/reset-port.h"

#include <stdatomic.h>

typedef struct ResetPort {
    Device dev;
    _Atomic uint8_t value;
} ResetPort;

static MemTxResult reset_port_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                                   MemTxAttrs attrs)
{
    *ret_value = atomic_load(&((ResetPort *)opaque)->value);
    return MEMTX_OK;
}

static MemTxResult reset_port_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                    MemTxAttrs attrs)
{
    ResetPort *r = opaque;
    uint8_t now = value & (RESET_PORT_SYSTEM | RESET_PORT_CPU | RESET_PORT_FULL);
    uint8_t before = atomic_exchange(&r->value, now);

    if (now & ~before & RESET_PORT_CPU) {
        r->dev.control->request_reset(r->dev.control->opaque, MACHINE_CAUSE_GUEST_RESET);
    }
    return MEMTX_OK;
}

/*
 * A wider access that begins here is a configuration address that went astray. The region takes it at
 * full width, or the core would cut a byte for us out of it.
 */
static bool reset_port_accepts(void *opaque, hwaddr offset, unsigned size, bool is_write,
                               MemTxAttrs attrs)
{
    return size == 1;
}

static const MemoryRegionOps reset_port_ops = {
    .read = reset_port_read,
    .write = reset_port_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1,
               .max_access_size = 4,
               .unaligned = true,
               .accepts = reset_port_accepts },
    .impl = { .min_access_size = 1, .max_access_size = 1 },
};

static void reset_port_reset(Device *dev)
{
    atomic_store(&((ResetPort *)dev)->value, 0);
}

static bool reset_port_realize(Device *dev, GError **error)
{
    device_add_region(dev, memory_region_new_io(dev->ms, &dev->obj, &reset_port_ops, dev,
                                                "reset-control", RESET_PORT_REGION_SIZE));
    return true;
}

const DeviceClass reset_port_device_class = {
    .name = "reset-port",
    .description = "reset control register (0xcf9 of a PC)",
    .instance_size = sizeof(ResetPort),
    .realize = reset_port_realize,
    .reset = reset_port_reset,
};
DEVICE_REGISTER(reset_port_device_class);
