/* SPDX-License-Identifier: MIT */
/* post-port: the port to which firmware and kernels write how far they got. */
#ifndef TESSERA_HW_MISC_POST_PORT_H
#define TESSERA_HW_MISC_POST_PORT_H

#include "tessera/hw/core/device.h"

/*
 * One port (IBM PC/AT Technical Reference: the diagnostic port 0x80). A write is a code, a read gives
 * the last one. Linux also writes to it just to pass some time (io_delay), so a write costs little. The
 * log item "post" shows every code.
 */
#define POST_PORT_HISTORY 16

extern const DeviceClass post_port_device_class; /* "post-port"; region 0: the port */

/**
 * post_port_codes() - the last codes, oldest first
 * @ret_codes: room for POST_PORT_HISTORY
 * Returns: how many there are. Context: any thread; codes written meanwhile may or may not be there
 */
unsigned post_port_codes(Device *dev, uint8_t *ret_codes);

#endif
