/* SPDX-License-Identifier: MIT */
/* i8042: the keyboard controller, with a PS/2 keyboard and a PS/2 mouse. */
#ifndef TESSERA_HW_INPUT_I8042_H
#define TESSERA_HW_INPUT_I8042_H

#include "tessera/hw/core/device.h"

/*
 * Two regions of one port each (IBM PS/2 Hardware Interface Technical Reference, 1988, "Keyboard and
 * Auxiliary Device Controller"; Intel UPI-42 8042).
 *
 *   region 0, "data"     read: the output buffer       write: to the keyboard, or a command's parameter
 *   region 1, "command"  read: status                  write: command
 *
 * The controller is left as firmware leaves it: self-test passed, keyboard enabled and translated to
 * scan code set 1, mouse port disabled.
 */
#define I8042_STATUS_OBF     0x01 /* a byte waits in the output buffer */
#define I8042_STATUS_IBF     0x02 /* never: a write is taken at once */
#define I8042_STATUS_SYSTEM  0x04 /* self-test passed */
#define I8042_STATUS_COMMAND 0x08 /* the last write was a command */
#define I8042_STATUS_KEYLOCK 0x10 /* 1: the keyboard is not locked */
#define I8042_STATUS_AUX     0x20 /* the byte comes from the mouse */

#define I8042_CTR_KBD_INT  0x01
#define I8042_CTR_AUX_INT  0x02
#define I8042_CTR_SYSTEM   0x04
#define I8042_CTR_KBD_OFF  0x10
#define I8042_CTR_AUX_OFF  0x20
#define I8042_CTR_XLATE    0x40

#define I8042_CMD_READ_RAM   0x20 /* .. 0x3f; 0x20 is the command byte, CTR */
#define I8042_CMD_WRITE_RAM  0x60 /* .. 0x7f */
#define I8042_CMD_AUX_OFF    0xa7
#define I8042_CMD_AUX_ON     0xa8
#define I8042_CMD_AUX_TEST   0xa9
#define I8042_CMD_SELF_TEST  0xaa
#define I8042_CMD_KBD_TEST   0xab
#define I8042_CMD_KBD_OFF    0xad
#define I8042_CMD_KBD_ON     0xae
#define I8042_CMD_READ_IN    0xc0
#define I8042_CMD_READ_OUT   0xd0
#define I8042_CMD_WRITE_OUT  0xd1
#define I8042_CMD_KBD_LOOP   0xd2
#define I8042_CMD_AUX_LOOP   0xd3
#define I8042_CMD_AUX_SEND   0xd4
#define I8042_CMD_A20_OFF    0xdd
#define I8042_CMD_A20_ON     0xdf
#define I8042_CMD_PULSE      0xf0 /* .. 0xff: the zero bits of the low four are pulsed */

#define I8042_OUT_RESET 0x01 /* 0 resets the machine */
#define I8042_OUT_A20   0x02
#define I8042_OUT_KBD   0x10 /* the interrupt lines */
#define I8042_OUT_AUX   0x20

extern const DeviceClass i8042_device_class; /* "i8042"; regions 0 and 1: data and command */

/** i8042_set_irqs() - before realize */
void i8042_set_irqs(Device *dev, IrqLine keyboard, IrqLine mouse);

/**
 * i8042_send_keys() - the keyboard sends scan codes of set 2 (translated if the guest wants that)
 *
 * All or none of them. Returns: false if there is no room or the guest has turned scanning off.
 * Context: any thread.
 */
bool i8042_send_keys(Device *dev, const uint8_t *codes, size_t len);

/**
 * i8042_move_mouse() - the mouse moved and its buttons are as said
 * @dx: right; @dy: up; @dz: wheel, towards the user; counts
 * @buttons: bit 0 left, 1 right, 2 middle, 3 and 4 the side buttons
 *
 * Motion that the guest cannot take yet adds up. Context: any thread.
 */
void i8042_move_mouse(Device *dev, int dx, int dy, int dz, uint8_t buttons);

/** i8042_leds() - bit 0 scroll, 1 num, 2 caps lock. Context: any thread */
uint8_t i8042_leds(Device *dev);

#endif
