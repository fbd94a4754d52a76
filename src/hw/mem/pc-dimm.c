/* SPDX-License-Identifier: MIT */
/* pc-dimm: a memory module; its one region shows a memory backend. */
#include "tessera/hw/mem/pc-dimm.h"

typedef struct PcDimm {
    Device dev;
    MemoryBackend *backend; /* between set_backend and realize */
} PcDimm;

void pc_dimm_set_backend(Device *dev, MemoryBackend *backend)
{
    g_assert(dev->cls == &pc_dimm_device_class && !dev->realized);
    ((PcDimm *)dev)->backend = backend;
}

MemoryRegion *pc_dimm_region(Device *dev)
{
    g_assert(dev->cls == &pc_dimm_device_class);
    return device_region(dev, 0);
}

static bool pc_dimm_realize(Device *dev, GError **error)
{
    MemoryBackend *backend = ((PcDimm *)dev)->backend;
    RAMBlock *block;

    g_assert(backend);
    block = memory_backend_ram_block(backend);
    device_add_region(dev, memory_backend_readonly(backend)
                               ? memory_region_new_rom(dev->ms, &dev->obj, dev->id, block)
                               : memory_region_new_ram(dev->ms, &dev->obj, dev->id, block));
    return true;
}

const DeviceClass pc_dimm_device_class = {
    .name = "pc-dimm",
    .description = "memory module for a socket of -m slots=,maxmem=",
    .instance_size = sizeof(PcDimm),
    .realize = pc_dimm_realize,
};
DEVICE_REGISTER(pc_dimm_device_class);
