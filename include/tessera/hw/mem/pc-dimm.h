/* SPDX-License-Identifier: MIT */
/* pc-dimm: a memory module; its one region shows a memory backend. */
#ifndef TESSERA_HW_MEM_PC_DIMM_H
#define TESSERA_HW_MEM_PC_DIMM_H

#include "tessera/hw/core/device.h"
#include "tessera/memory/memory-backend.h"

extern const DeviceClass pc_dimm_device_class; /* "pc-dimm" */

/**
 * pc_dimm_set_backend() - before realize; @backend was claimed for the device by the caller
 *
 * The device keeps the RAMBlock alive, not the backend: old views may show the region for a moment
 * after the DIMM and even its backend are gone.
 */
void pc_dimm_set_backend(Device *dev, MemoryBackend *backend);

/** pc_dimm_region() - RAM, or ROM when the backend is read-only. Valid while @dev lives */
MemoryRegion *pc_dimm_region(Device *dev);

#endif
