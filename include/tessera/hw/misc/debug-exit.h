/* SPDX-License-Identifier: MIT */
/* isa-debug-exit: a port by which a test in the guest ends the program with a status. */
#ifndef TESSERA_HW_MISC_DEBUG_EXIT_H
#define TESSERA_HW_MISC_DEBUG_EXIT_H

#include "tessera/hw/core/device.h"

/*
 * 4 ports, as QEMU's isa-debug-exit. Writing v (1, 2 or 4 bytes, at any of them) ends the program with
 * the status (v << 1) | 1, of which the host keeps 8 bits: never 0, which is a power-off. Reads as 0.
 */
#define DEBUG_EXIT_REGION_SIZE 4

extern const DeviceClass debug_exit_device_class; /* "isa-debug-exit"; region 0: the ports */

#endif
