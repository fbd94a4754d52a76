/* SPDX-License-Identifier: MIT */
/* isa-serial: a 16550A UART. */
#include "tessera/hw/char/serial.h"

#include "serial-internal.h"

/* Registers; with the lock held. */

static uint8_t read_rbr(Serial *s)
{
    uint8_t byte = 0;

    if (s->rx.used) {
        byte = (uint8_t)serial_fifo_pop(&s->rx);
        serial_restart_timeout(s);
        if (!s->rx.used) {
            serial_accept_input(s);
        }
    }
    return byte;
}

static uint8_t read_iir(Serial *s)
{
    uint8_t id = serial_interrupt_id(s);

    if (id == SERIAL_IIR_THRI) {
        serial_count_thri(s);
    }
    return id | (serial_fifos_on(s) ? SERIAL_IIR_FIFOS : 0);
}

static uint8_t read_lsr(Serial *s)
{
    uint8_t lsr = serial_line_status(s);

    s->lsr_errors = 0;
    if (s->rx.used) {
        s->rx.data[s->rx.head] &= 0xff;
    }
    return lsr;
}

static uint8_t read_msr(Serial *s)
{
    uint8_t msr = s->msr;

    s->msr &= 0xf0;
    return msr;
}

static void write_thr(Serial *s, uint8_t byte)
{
    s->thri_pending = false;
    if (serial_loopback(s)) {
        serial_receive_entry(s, byte);
        s->thri_pending = true;
        return;
    }
    if (s->tx.used == serial_fifo_depth(s)) {
        return; /* the guest did not wait for THRE: lost, as on the chip */
    }
    serial_fifo_push(&s->tx, byte);
    serial_transmit(s);
}

static void write_ier(Serial *s, uint8_t value)
{
    bool thri_enabled = !(s->ier & SERIAL_IER_THRI) && (value & SERIAL_IER_THRI);

    s->ier = value & 0x0f;
    /* Enabling it while the transmitter is empty interrupts at once: drivers start output so. */
    if (thri_enabled && !s->tx.used) {
        s->thri_pending = true;
    }
}

static void write_fcr(Serial *s, uint8_t value)
{
    bool toggled = (s->fcr ^ value) & SERIAL_FCR_ENABLE;

    if (!(value & SERIAL_FCR_ENABLE)) {
        value = 0; /* the other bits count only together with it */
    }
    if (toggled || (value & SERIAL_FCR_CLEAR_RX)) {
        serial_fifo_clear(&s->rx);
        s->timeout_pending = false;
    }
    if ((toggled || (value & SERIAL_FCR_CLEAR_TX)) && s->tx.used) {
        serial_fifo_clear(&s->tx);
        s->thri_pending = true;
    }
    s->fcr = value & (SERIAL_FCR_ENABLE | SERIAL_FCR_TRIGGER);
    serial_accept_input(s);
}

static void write_mcr(Serial *s, uint8_t value)
{
    bool was_loopback = serial_loopback(s);

    s->mcr = value & 0x1f;
    if (was_loopback || serial_loopback(s)) {
        serial_set_modem_lines(s, serial_modem_lines(s));
    }
    if (was_loopback && !serial_loopback(s)) {
        serial_accept_input(s);
    }
}

static uint8_t serial_read_register(Serial *s, unsigned reg)
{
    bool dlab = s->lcr & SERIAL_LCR_DLAB;

    switch (reg) {
    case SERIAL_RBR:
        return dlab ? s->divisor & 0xff : read_rbr(s);
    case SERIAL_IER:
        return dlab ? s->divisor >> 8 : s->ier;
    case SERIAL_IIR:
        return read_iir(s);
    case SERIAL_LCR:
        return s->lcr;
    case SERIAL_MCR:
        return s->mcr;
    case SERIAL_LSR:
        return read_lsr(s);
    case SERIAL_MSR:
        return read_msr(s);
    default:
        return s->scr;
    }
}

static void serial_write_register(Serial *s, unsigned reg, uint8_t value)
{
    bool dlab = s->lcr & SERIAL_LCR_DLAB;

    switch (reg) {
    case SERIAL_THR:
        if (dlab) {
            s->divisor = (s->divisor & 0xff00) | value;
        } else {
            write_thr(s, value);
        }
        break;
    case SERIAL_IER:
        if (dlab) {
            s->divisor = (s->divisor & 0x00ff) | value << 8;
        } else {
            write_ier(s, value);
        }
        break;
    case SERIAL_FCR:
        write_fcr(s, value);
        break;
    case SERIAL_LCR:
        s->lcr = value;
        break;
    case SERIAL_MCR:
        write_mcr(s, value);
        break;
    case SERIAL_SCR:
        s->scr = value;
        break;
    default: /* LSR, MSR */
        break;
    }
}

static MemTxResult serial_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                               MemTxAttrs attrs)
{
    Serial *s = opaque;

    pthread_mutex_lock(&s->lock);
    *ret_value = serial_read_register(s, (unsigned)offset);
    serial_update_irq(s);
    pthread_mutex_unlock(&s->lock);
    return MEMTX_OK;
}

static MemTxResult serial_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                MemTxAttrs attrs)
{
    Serial *s = opaque;

    pthread_mutex_lock(&s->lock);
    serial_write_register(s, (unsigned)offset, (uint8_t)value);
    serial_update_irq(s);
    pthread_mutex_unlock(&s->lock);
    return MEMTX_OK;
}

/* The UART is eight bits wide: the core cuts what is wider, byte by byte, each for its own port. */
static const MemoryRegionOps serial_ops = {
    .read = serial_read,
    .write = serial_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 1 },
    .impl = { .min_access_size = 1, .max_access_size = 1 },
};

static void serial_reset(Device *dev)
{
    Serial *s = (Serial *)dev;

    pthread_mutex_lock(&s->lock);
    serial_transmit(s); /* last words of the guest that resets */
    virtual_timer_disarm(s->timeout_timer);
    virtual_timer_disarm(s->thri_timer);
    s->divisor = 12; /* undefined on the chip; 9600 baud */
    s->ier = s->fcr = s->lcr = s->mcr = s->scr = 0;
    s->lsr_errors = 0;
    s->msr = serial_modem_lines(s);
    serial_fifo_clear(&s->rx);
    serial_fifo_clear(&s->tx);
    s->timeout_armed = s->timeout_pending = s->thri_pending = s->thri_paused = false;
    s->thri_burst = 0;
    serial_update_irq(s);
    pthread_mutex_unlock(&s->lock);
    serial_accept_input(s);
}

static bool serial_realize(Device *dev, GError **error)
{
    Serial *s = (Serial *)dev;

    serial_host_realize(s);
    device_add_region(dev, memory_region_new_io(dev->ms, &dev->obj, &serial_ops, s, "serial",
                                                SERIAL_REGION_SIZE));
    serial_reset(dev);
    serial_host_attach(s);
    return true;
}

static void serial_unrealize(Device *dev)
{
    serial_host_unrealize((Serial *)dev);
}

static void serial_init(Device *dev)
{
    pthread_mutex_init(&((Serial *)dev)->lock, NULL);
}

static void serial_finalize(Device *dev)
{
    pthread_mutex_destroy(&((Serial *)dev)->lock);
}

void serial_set_irq(Device *dev, IrqLine irq)
{
    g_assert(dev->cls == &serial_device_class && !dev->realized);
    ((Serial *)dev)->irq = irq;
}

void serial_set_chardev(Device *dev, Chardev *chr)
{
    g_assert(dev->cls == &serial_device_class && !dev->realized);
    ((Serial *)dev)->chr = chr;
}

const DeviceClass serial_device_class = {
    .name = "isa-serial",
    .description = "16550A serial port",
    .instance_size = sizeof(Serial),
    .init = serial_init,
    .realize = serial_realize,
    .unrealize = serial_unrealize,
    .reset = serial_reset,
    .finalize = serial_finalize,
};
DEVICE_REGISTER(serial_device_class);
