/* SPDX-License-Identifier: MIT */
/* isa-serial: a 16550A UART. */
#ifndef TESSERA_HW_CHAR_SERIAL_H
#define TESSERA_HW_CHAR_SERIAL_H

#include "tessera/chardev/chardev.h"
#include "tessera/hw/core/device.h"

/*
 * Registers (National Semiconductor PC16550D data sheet, 1995, section 8 and table II). One region of
 * 8 ports, answered byte by byte.
 *
 *   offset  DLAB  read                              write
 *   0       0     RBR received byte                 THR byte to send
 *   0       1     DLL divisor, low                  DLL
 *   1       0     IER interrupt enable              IER
 *   1       1     DLM divisor, high                 DLM
 *   2             IIR what interrupts               FCR FIFO control
 *   3             LCR line control, bit 7 = DLAB    LCR
 *   4             MCR modem control                 MCR
 *   5             LSR line status                   - (factory test: ignored)
 *   6             MSR modem status                  - (ignored)
 *   7             SCR scratch                       SCR
 */
#define SERIAL_RBR 0
#define SERIAL_THR 0
#define SERIAL_DLL 0
#define SERIAL_IER 1
#define SERIAL_DLM 1
#define SERIAL_IIR 2
#define SERIAL_FCR 2
#define SERIAL_LCR 3
#define SERIAL_MCR 4
#define SERIAL_LSR 5
#define SERIAL_MSR 6
#define SERIAL_SCR 7
#define SERIAL_REGION_SIZE 8

#define SERIAL_IER_RDI  0x01 /* data received, and its time-out */
#define SERIAL_IER_THRI 0x02 /* transmitter empty */
#define SERIAL_IER_RLSI 0x04 /* line status: break, errors */
#define SERIAL_IER_MSI  0x08 /* modem status */

/* By falling priority; 0xc0 on top while the FIFOs are on. */
#define SERIAL_IIR_RLSI  0x06
#define SERIAL_IIR_RDI   0x04
#define SERIAL_IIR_CTI   0x0c /* character time-out */
#define SERIAL_IIR_THRI  0x02
#define SERIAL_IIR_MSI   0x00
#define SERIAL_IIR_NONE  0x01
#define SERIAL_IIR_FIFOS 0xc0

#define SERIAL_FCR_ENABLE   0x01
#define SERIAL_FCR_CLEAR_RX 0x02
#define SERIAL_FCR_CLEAR_TX 0x04
#define SERIAL_FCR_TRIGGER  0xc0 /* 1, 4, 8, 14 bytes */

#define SERIAL_LCR_LENGTH 0x03
#define SERIAL_LCR_STOP   0x04
#define SERIAL_LCR_PARITY 0x08
#define SERIAL_LCR_BREAK  0x40
#define SERIAL_LCR_DLAB   0x80

#define SERIAL_MCR_DTR  0x01
#define SERIAL_MCR_RTS  0x02
#define SERIAL_MCR_OUT1 0x04
#define SERIAL_MCR_OUT2 0x08 /* on a PC: connects the interrupt */
#define SERIAL_MCR_LOOP 0x10

#define SERIAL_LSR_DR   0x01
#define SERIAL_LSR_OE   0x02
#define SERIAL_LSR_PE   0x04
#define SERIAL_LSR_FE   0x08
#define SERIAL_LSR_BI   0x10
#define SERIAL_LSR_THRE 0x20
#define SERIAL_LSR_TEMT 0x40
#define SERIAL_LSR_FIFO 0x80 /* an error somewhere in the FIFO */

#define SERIAL_MSR_DCTS 0x01
#define SERIAL_MSR_DDSR 0x02
#define SERIAL_MSR_TERI 0x04
#define SERIAL_MSR_DDCD 0x08
#define SERIAL_MSR_CTS  0x10
#define SERIAL_MSR_DSR  0x20
#define SERIAL_MSR_RI   0x40
#define SERIAL_MSR_DCD  0x80

extern const DeviceClass serial_device_class; /* "isa-serial"; region 0: the registers */

/** serial_set_irq() - before realize; the interrupt line (its level follows IIR and MCR.OUT2) */
void serial_set_irq(Device *dev, IrqLine irq);

/** serial_set_chardev() - before realize; NULL: nobody listens. Not owned, outlives the device */
void serial_set_chardev(Device *dev, Chardev *chr);

#endif
