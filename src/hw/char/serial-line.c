/* SPDX-License-Identifier: MIT */
/* isa-serial: FIFOs, line and modem status, interrupts and the receiver's time-out. */
#include "serial-internal.h"

#define BASE_CLOCK_HZ  1843200 /* the PC's crystal; divided by 16 and the divisor */
#define NS_PER_S       1000000000LL
#define TIMEOUT_CHARS  4
#define TIMEOUT_MIN_NS 50000LL
#define TIMEOUT_MAX_NS 20000000LL

bool serial_fifos_on(const Serial *s)
{
    return s->fcr & SERIAL_FCR_ENABLE;
}

unsigned serial_fifo_depth(const Serial *s)
{
    return serial_fifos_on(s) ? SERIAL_FIFO_SIZE : 1;
}

bool serial_loopback(const Serial *s)
{
    return s->mcr & SERIAL_MCR_LOOP;
}

static unsigned rx_trigger(const Serial *s)
{
    static const uint8_t levels[] = { 1, 4, 8, 14 };

    return serial_fifos_on(s) ? levels[s->fcr >> 6] : 1;
}

/* Start bit, data, parity and stop bits, at the rate that the divisor gives. */
int64_t serial_timeout_ns(const Serial *s)
{
    unsigned bits = 1 + 5 + (s->lcr & SERIAL_LCR_LENGTH) + !!(s->lcr & SERIAL_LCR_PARITY) + 1 +
                    !!(s->lcr & SERIAL_LCR_STOP);
    int64_t divisor = s->divisor ? s->divisor : 1;

    return CLAMP(TIMEOUT_CHARS * bits * divisor * 16 * NS_PER_S / BASE_CLOCK_HZ, TIMEOUT_MIN_NS,
                 TIMEOUT_MAX_NS);
}

uint8_t serial_line_status(const Serial *s)
{
    uint8_t lsr = s->lsr_errors;

    if (s->rx.used) {
        lsr |= SERIAL_LSR_DR | (s->rx.data[s->rx.head] >> 8);
        for (unsigned i = 0; serial_fifos_on(s) && i < s->rx.used; i++) {
            lsr |= s->rx.data[(s->rx.head + i) % SERIAL_FIFO_SIZE] >> 8 ? SERIAL_LSR_FIFO : 0;
        }
    }
    if (!s->tx.used) {
        lsr |= SERIAL_LSR_THRE | SERIAL_LSR_TEMT;
    }
    return lsr;
}

uint8_t serial_interrupt_id(const Serial *s)
{
    const uint8_t errors = SERIAL_LSR_OE | SERIAL_LSR_PE | SERIAL_LSR_FE | SERIAL_LSR_BI;

    if ((s->ier & SERIAL_IER_RLSI) && (serial_line_status(s) & errors)) {
        return SERIAL_IIR_RLSI;
    }
    if ((s->ier & SERIAL_IER_RDI) && s->rx.used >= rx_trigger(s)) {
        return SERIAL_IIR_RDI;
    }
    if ((s->ier & SERIAL_IER_RDI) && s->timeout_pending && s->rx.used) {
        return SERIAL_IIR_CTI;
    }
    if ((s->ier & SERIAL_IER_THRI) && s->thri_pending && !s->thri_paused) {
        return SERIAL_IIR_THRI;
    }
    if ((s->ier & SERIAL_IER_MSI) && (s->msr & 0x0f)) {
        return SERIAL_IIR_MSI;
    }
    return SERIAL_IIR_NONE;
}

/* In loopback the OUT2 pin is inactive, whatever MCR says: the PC's gate is closed then. */
void serial_update_irq(Serial *s)
{
    bool gate = (s->mcr & SERIAL_MCR_OUT2) && !serial_loopback(s);

    irq_set(s->irq, gate && serial_interrupt_id(s) != SERIAL_IIR_NONE);
}

/* The time-out starts anew. A timer that is armed looks at @rx_activity when it fires. */
void serial_restart_timeout(Serial *s)
{
    s->timeout_pending = false;
    s->rx_activity = virtual_clock_ns(s->dev.clock);
    if (serial_fifos_on(s) && s->rx.used && !s->timeout_armed) {
        s->timeout_armed = true;
        virtual_timer_arm(s->timeout_timer, s->rx_activity + serial_timeout_ns(s));
    }
}

/* Sends what the other end takes; the transmitter is empty only when all has gone. */
void serial_transmit(Serial *s)
{
    uint8_t buf[SERIAL_FIFO_SIZE];
    size_t len = s->tx.used, sent;

    if (!len) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        buf[i] = s->tx.data[(s->tx.head + i) % SERIAL_FIFO_SIZE];
    }
    sent = s->chr ? chardev_write(s->chr, buf, len) : len;
    for (size_t i = 0; i < sent; i++) {
        serial_fifo_pop(&s->tx);
    }
    s->thri_pending = !s->tx.used;
}

void serial_receive_entry(Serial *s, SerialEntry entry)
{
    if (s->rx.used < serial_fifo_depth(s)) {
        serial_fifo_push(&s->rx, entry);
    } else {
        s->lsr_errors |= SERIAL_LSR_OE;
        if (!serial_fifos_on(s)) {
            s->rx.data[s->rx.head] = entry; /* without a FIFO the newer byte wins */
        }
    }
    serial_restart_timeout(s);
}

uint8_t serial_modem_lines(const Serial *s)
{
    if (serial_loopback(s)) {
        return (s->mcr & SERIAL_MCR_RTS ? SERIAL_MSR_CTS : 0) |
               (s->mcr & SERIAL_MCR_DTR ? SERIAL_MSR_DSR : 0) |
               (s->mcr & SERIAL_MCR_OUT1 ? SERIAL_MSR_RI : 0) |
               (s->mcr & SERIAL_MCR_OUT2 ? SERIAL_MSR_DCD : 0);
    }
    return SERIAL_MSR_CTS | SERIAL_MSR_DSR | (s->connected ? SERIAL_MSR_DCD : 0);
}

void serial_set_modem_lines(Serial *s, uint8_t lines)
{
    uint8_t changed = (s->msr ^ lines) & 0xf0;

    if ((changed & SERIAL_MSR_RI) && (lines & SERIAL_MSR_RI)) {
        changed &= ~SERIAL_MSR_RI; /* only the end of a ring counts */
    }
    s->msr = lines | (s->msr & 0x0f) | changed >> 4;
}
