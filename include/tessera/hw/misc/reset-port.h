/* SPDX-License-Identifier: MIT */
/* reset-port: the chipset's reset control register. */
#ifndef TESSERA_HW_MISC_RESET_PORT_H
#define TESSERA_HW_MISC_RESET_PORT_H

#include "tessera/hw/core/device.h"

/*
 * One byte (Intel 82801 "ICH" data sheets, section "RST_CNT: Reset Control Register"): bit 1 says
 * what kind of reset, a change of bit 2 from 0 to 1 makes it, bit 3 asks for a power cycle. To this
 * machine all resets are the same.
 *
 * It lies inside the double word of the PCI configuration address, one address up: only byte accesses
 * are for it. The board maps it above that register.
 */
#define RESET_PORT_SYSTEM  0x02
#define RESET_PORT_CPU     0x04
#define RESET_PORT_FULL    0x08
#define RESET_PORT_REGION_SIZE 1

extern const DeviceClass reset_port_device_class; /* "reset-port"; region 0: the port */

#endif
