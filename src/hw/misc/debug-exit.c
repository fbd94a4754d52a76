/* SPDX-License-Identifier: MIT */
/* isa-debug-exit: a port by which a test in the guest ends the program with a status. */
#include "tessera/hw/misc/debug-exit.h"

static MemTxResult debug_exit_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                                   MemTxAttrs attrs)
{
    *ret_value = 0;
    return MEMTX_OK;
}

static MemTxResult debug_exit_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                    MemTxAttrs attrs)
{
    Device *dev = opaque;
    int status = (int)((value << 1 | 1) & 0xff);

    dev->control->request_exit(dev->control->opaque, MACHINE_CAUSE_DEBUG_EXIT, status);
    return MEMTX_OK;
}

static const MemoryRegionOps debug_exit_ops = {
    .read = debug_exit_read,
    .write = debug_exit_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 4, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 4, .unaligned = true },
};

static bool debug_exit_realize(Device *dev, GError **error)
{
    device_add_region(dev, memory_region_new_io(dev->ms, &dev->obj, &debug_exit_ops, dev,
                                                "isa-debug-exit", DEBUG_EXIT_REGION_SIZE));
    return true;
}

const DeviceClass debug_exit_device_class = {
    .name = "isa-debug-exit",
    .description = "port that ends the program with a status",
    .instance_size = sizeof(Device),
    .realize = debug_exit_realize,
};
DEVICE_REGISTER(debug_exit_device_class);
