/* SPDX-License-Identifier: MIT */
/* What the files of the serial port share. */
#ifndef TESSERA_HW_CHAR_SERIAL_INTERNAL_H
#define TESSERA_HW_CHAR_SERIAL_INTERNAL_H

#include "tessera/hw/char/serial.h"

#include <pthread.h>

/*
 *   serial.c        registers, reset, the device
 *   serial-line.c   what they act upon: FIFOs, line and modem status, interrupts, the time-out
 *   serial-host.c   the side of the host: chardev, timers, pauses
 */

#define SERIAL_FIFO_SIZE 16

/* A received byte; bits 8 and up: the LSR bits that came with it. */
typedef uint16_t SerialEntry;

typedef struct SerialFifo {
    SerialEntry data[SERIAL_FIFO_SIZE];
    unsigned head, used;
} SerialFifo;

/*
 * struct Serial
 * @lock: guards all that follows it. Called under it: irq_set(), chardev_write(),
 *      chardev_accept_input() and the timers' arming; the chardev's callbacks take it.
 */
typedef struct Serial {
    Device dev;
    IrqLine irq;
    Chardev *chr;
    VirtualTimer *timeout_timer; /* received bytes wait below the trigger level */
    VirtualTimer *thri_timer;    /* the next transmitter-empty interrupt is due */
    VirtualTimer *rx_timer;      /* input goes on */
    pthread_mutex_t lock;
    uint16_t divisor;
    uint8_t ier, fcr, lcr, mcr, msr, scr;
    uint8_t lsr_errors; /* overrun */
    SerialFifo rx, tx;
    bool connected; /* the chardev's other end is there: carrier */
    int64_t rx_activity;
    bool timeout_armed;
    bool timeout_pending;
    bool thri_pending;
    bool thri_paused;
    unsigned thri_burst;
    bool rx_paused;
    unsigned rx_burst;
} Serial;

static inline void serial_fifo_clear(SerialFifo *fifo)
{
    fifo->head = fifo->used = 0;
}

static inline void serial_fifo_push(SerialFifo *fifo, SerialEntry entry)
{
    fifo->data[(fifo->head + fifo->used++) % SERIAL_FIFO_SIZE] = entry;
}

static inline SerialEntry serial_fifo_pop(SerialFifo *fifo)
{
    SerialEntry entry = fifo->data[fifo->head];

    fifo->head = (fifo->head + 1) % SERIAL_FIFO_SIZE;
    fifo->used--;
    return entry;
}

/* serial-line.c; all with the lock held */

bool serial_fifos_on(const Serial *s);
unsigned serial_fifo_depth(const Serial *s);
bool serial_loopback(const Serial *s);
/** serial_timeout_ns() - how long received bytes wait below the trigger level */
int64_t serial_timeout_ns(const Serial *s);
/** serial_restart_timeout() - a byte came or went */
void serial_restart_timeout(Serial *s);
uint8_t serial_line_status(const Serial *s);
/** serial_interrupt_id() - SERIAL_IIR_...: the most urgent reason for an interrupt */
uint8_t serial_interrupt_id(const Serial *s);
/** serial_update_irq() - after every change; the interrupt line follows */
void serial_update_irq(Serial *s);
/** serial_transmit() - sends what the other end takes of the transmitter's FIFO */
void serial_transmit(Serial *s);
void serial_receive_entry(Serial *s, SerialEntry entry);
/** serial_modem_lines() - upper half of MSR as the lines are now */
uint8_t serial_modem_lines(const Serial *s);
/** serial_set_modem_lines() - they become @lines; MSR notes which have changed */
void serial_set_modem_lines(Serial *s, uint8_t lines);

/* serial-host.c */

/** serial_host_realize() - makes the timers; serial_host_attach() lets input in */
void serial_host_realize(Serial *s);
void serial_host_attach(Serial *s);
void serial_host_unrealize(Serial *s);
/** serial_accept_input() - the guest may take bytes again. Any thread; with the lock held or not */
void serial_accept_input(Serial *s);
/** serial_count_thri() - the guest has seen a transmitter-empty interrupt. With the lock held */
void serial_count_thri(Serial *s);

#endif
