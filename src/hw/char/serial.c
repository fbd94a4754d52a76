/* SPDX-License-Identifier: MIT */
/* isa-serial: a 16550A UART. */
#include "tessera/hw/char/serial.h"

#include <pthread.h>

#define FIFO_SIZE      16
#define BASE_CLOCK_HZ  1843200 /* the PC's crystal; divided by 16 and the divisor */
#define NS_PER_S       1000000000LL
#define TIMEOUT_CHARS  4
#define TIMEOUT_MIN_NS 50000LL
#define TIMEOUT_MAX_NS 20000000LL

/*
 * A real line leaves the processor time between two interrupts. Ours sends and receives at once:
 * Linux's handler, which loops until nothing is pending, would give up with "too much work for irq"
 * in the middle of a long output. So after a burst that is still fast, the next interrupt (or the next
 * input) waits for a moment.
 */
#define BURST_THRI     64   /* transmitter-empty interrupts, up to 16 bytes each */
#define BURST_RX_BYTES 1024
#define PAUSE_NS       200000LL

/* A received byte; bits 8 and up: the LSR bits that came with it. */
typedef uint16_t RxEntry;

typedef struct Fifo {
    RxEntry data[FIFO_SIZE];
    unsigned head, used;
} Fifo;

/*
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
    Fifo rx, tx;
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

static void fifo_clear(Fifo *fifo)
{
    fifo->head = fifo->used = 0;
}

static void fifo_push(Fifo *fifo, RxEntry entry)
{
    fifo->data[(fifo->head + fifo->used++) % FIFO_SIZE] = entry;
}

static RxEntry fifo_pop(Fifo *fifo)
{
    RxEntry entry = fifo->data[fifo->head];

    fifo->head = (fifo->head + 1) % FIFO_SIZE;
    fifo->used--;
    return entry;
}

/* Everything below with the lock held, up to the handlers. */

static bool fifos_on(const Serial *s)
{
    return s->fcr & SERIAL_FCR_ENABLE;
}

static unsigned fifo_depth(const Serial *s)
{
    return fifos_on(s) ? FIFO_SIZE : 1;
}

static unsigned rx_trigger(const Serial *s)
{
    static const uint8_t levels[] = { 1, 4, 8, 14 };

    return fifos_on(s) ? levels[s->fcr >> 6] : 1;
}

static bool loopback(const Serial *s)
{
    return s->mcr & SERIAL_MCR_LOOP;
}

/* Start bit, data, parity and stop bits, at the rate that the divisor gives. */
static int64_t timeout_ns(const Serial *s)
{
    unsigned bits = 1 + 5 + (s->lcr & SERIAL_LCR_LENGTH) + !!(s->lcr & SERIAL_LCR_PARITY) + 1 +
                    !!(s->lcr & SERIAL_LCR_STOP);
    int64_t divisor = s->divisor ? s->divisor : 1;

    return CLAMP(TIMEOUT_CHARS * bits * divisor * 16 * NS_PER_S / BASE_CLOCK_HZ, TIMEOUT_MIN_NS,
                 TIMEOUT_MAX_NS);
}

static uint8_t line_status(const Serial *s)
{
    uint8_t lsr = s->lsr_errors;

    if (s->rx.used) {
        lsr |= SERIAL_LSR_DR | (s->rx.data[s->rx.head] >> 8);
        for (unsigned i = 0; fifos_on(s) && i < s->rx.used; i++) {
            lsr |= s->rx.data[(s->rx.head + i) % FIFO_SIZE] >> 8 ? SERIAL_LSR_FIFO : 0;
        }
    }
    if (!s->tx.used) {
        lsr |= SERIAL_LSR_THRE | SERIAL_LSR_TEMT;
    }
    return lsr;
}

static uint8_t interrupt_id(const Serial *s)
{
    const uint8_t errors = SERIAL_LSR_OE | SERIAL_LSR_PE | SERIAL_LSR_FE | SERIAL_LSR_BI;

    if ((s->ier & SERIAL_IER_RLSI) && (line_status(s) & errors)) {
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
static void update_irq(Serial *s)
{
    bool gate = (s->mcr & SERIAL_MCR_OUT2) && !loopback(s);

    irq_set(s->irq, gate && interrupt_id(s) != SERIAL_IIR_NONE);
}

/* A byte came or went: the time-out starts anew. An armed timer looks at @rx_activity when it fires. */
static void restart_timeout(Serial *s)
{
    s->timeout_pending = false;
    s->rx_activity = virtual_clock_ns(s->dev.clock);
    if (fifos_on(s) && s->rx.used && !s->timeout_armed) {
        s->timeout_armed = true;
        virtual_timer_arm(s->timeout_timer, s->rx_activity + timeout_ns(s));
    }
}

/* Sends what the other end takes; the transmitter is empty only when all has gone. */
static void transmit(Serial *s)
{
    uint8_t buf[FIFO_SIZE];
    size_t len = s->tx.used, sent;

    if (!len) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        buf[i] = s->tx.data[(s->tx.head + i) % FIFO_SIZE];
    }
    sent = s->chr ? chardev_write(s->chr, buf, len) : len;
    for (size_t i = 0; i < sent; i++) {
        fifo_pop(&s->tx);
    }
    s->thri_pending = !s->tx.used;
}

static void receive_entry(Serial *s, RxEntry entry)
{
    if (s->rx.used < fifo_depth(s)) {
        fifo_push(&s->rx, entry);
    } else {
        s->lsr_errors |= SERIAL_LSR_OE;
        if (!fifos_on(s)) {
            s->rx.data[s->rx.head] = entry; /* without a FIFO the newer byte wins */
        }
    }
    restart_timeout(s);
}

static uint8_t modem_lines(const Serial *s)
{
    if (loopback(s)) {
        return (s->mcr & SERIAL_MCR_RTS ? SERIAL_MSR_CTS : 0) |
               (s->mcr & SERIAL_MCR_DTR ? SERIAL_MSR_DSR : 0) |
               (s->mcr & SERIAL_MCR_OUT1 ? SERIAL_MSR_RI : 0) |
               (s->mcr & SERIAL_MCR_OUT2 ? SERIAL_MSR_DCD : 0);
    }
    return SERIAL_MSR_CTS | SERIAL_MSR_DSR | (s->connected ? SERIAL_MSR_DCD : 0);
}

static void set_modem_lines(Serial *s, uint8_t lines)
{
    uint8_t changed = (s->msr ^ lines) & 0xf0;

    if ((changed & SERIAL_MSR_RI) && (lines & SERIAL_MSR_RI)) {
        changed &= ~SERIAL_MSR_RI; /* only the end of a ring counts */
    }
    s->msr = lines | (s->msr & 0x0f) | changed >> 4;
}

static uint8_t read_rbr(Serial *s)
{
    uint8_t byte = 0;

    if (s->rx.used) {
        byte = (uint8_t)fifo_pop(&s->rx);
        restart_timeout(s);
        if (s->chr && !s->rx.used) {
            chardev_accept_input(s->chr);
        }
    }
    return byte;
}

static void acknowledge_thri(Serial *s)
{
    s->thri_pending = false;
    if (++s->thri_burst >= BURST_THRI) {
        s->thri_burst = 0;
        s->thri_paused = true;
        virtual_timer_arm(s->thri_timer, virtual_clock_ns(s->dev.clock) + PAUSE_NS);
    }
}

static uint8_t read_iir(Serial *s)
{
    uint8_t id = interrupt_id(s);

    if (id == SERIAL_IIR_THRI) {
        acknowledge_thri(s);
    }
    return id | (fifos_on(s) ? SERIAL_IIR_FIFOS : 0);
}

static uint8_t read_lsr(Serial *s)
{
    uint8_t lsr = line_status(s);

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
    if (loopback(s)) {
        receive_entry(s, byte);
        s->thri_pending = true;
        return;
    }
    if (s->tx.used == fifo_depth(s)) {
        return; /* the guest did not wait for THRE: lost, as on the chip */
    }
    fifo_push(&s->tx, byte);
    transmit(s);
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
        fifo_clear(&s->rx);
        s->timeout_pending = false;
    }
    if ((toggled || (value & SERIAL_FCR_CLEAR_TX)) && s->tx.used) {
        fifo_clear(&s->tx);
        s->thri_pending = true;
    }
    s->fcr = value & (SERIAL_FCR_ENABLE | SERIAL_FCR_TRIGGER);
    if (s->chr) {
        chardev_accept_input(s->chr);
    }
}

static void write_mcr(Serial *s, uint8_t value)
{
    bool was_loopback = loopback(s);

    s->mcr = value & 0x1f;
    if (was_loopback || loopback(s)) {
        set_modem_lines(s, modem_lines(s));
    }
    if (was_loopback && !loopback(s) && s->chr) {
        chardev_accept_input(s->chr);
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
    update_irq(s);
    pthread_mutex_unlock(&s->lock);
    return MEMTX_OK;
}

static MemTxResult serial_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                MemTxAttrs attrs)
{
    Serial *s = opaque;

    pthread_mutex_lock(&s->lock);
    serial_write_register(s, (unsigned)offset, (uint8_t)value);
    update_irq(s);
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

/* Called on the main thread: timers and the chardev. */

static void on_timeout(void *opaque)
{
    Serial *s = opaque;
    int64_t deadline;

    pthread_mutex_lock(&s->lock);
    deadline = s->rx_activity + timeout_ns(s);
    s->timeout_armed = s->rx.used && virtual_clock_ns(s->dev.clock) < deadline;
    if (s->timeout_armed) {
        virtual_timer_arm(s->timeout_timer, deadline);
    } else {
        s->timeout_pending = fifos_on(s) && s->rx.used;
    }
    update_irq(s);
    pthread_mutex_unlock(&s->lock);
}

static void on_thri_pause_end(void *opaque)
{
    Serial *s = opaque;

    pthread_mutex_lock(&s->lock);
    s->thri_paused = false;
    update_irq(s);
    pthread_mutex_unlock(&s->lock);
}

static void on_rx_pause_end(void *opaque)
{
    Serial *s = opaque;

    pthread_mutex_lock(&s->lock);
    s->rx_paused = false;
    pthread_mutex_unlock(&s->lock);
    if (s->chr) {
        chardev_accept_input(s->chr);
    }
}

/* A FIFO is filled when it is empty, so that one interrupt is good for many bytes. */
static size_t serial_can_receive(void *opaque)
{
    Serial *s = opaque;
    size_t room;

    pthread_mutex_lock(&s->lock);
    room = loopback(s) || s->rx_paused || s->rx.used ? 0 : fifo_depth(s);
    pthread_mutex_unlock(&s->lock);
    return room;
}

static void serial_receive(void *opaque, const uint8_t *buf, size_t len)
{
    Serial *s = opaque;

    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < len; i++) {
        receive_entry(s, buf[i]);
    }
    s->rx_burst += len;
    if (s->rx_burst >= BURST_RX_BYTES) {
        s->rx_burst = 0;
        s->rx_paused = true;
        virtual_timer_arm(s->rx_timer, virtual_clock_ns(s->dev.clock) + PAUSE_NS);
    }
    update_irq(s);
    pthread_mutex_unlock(&s->lock);
}

static void serial_event(void *opaque, ChardevEvent event)
{
    Serial *s = opaque;

    pthread_mutex_lock(&s->lock);
    if (event == CHARDEV_BREAK) {
        if (!loopback(s)) {
            receive_entry(s, SERIAL_LSR_BI << 8); /* a zero byte that never stopped */
        }
    } else if (event == CHARDEV_OPENED || event == CHARDEV_CLOSED) {
        s->connected = event == CHARDEV_OPENED;
        set_modem_lines(s, modem_lines(s));
    }
    update_irq(s);
    pthread_mutex_unlock(&s->lock);
}

static void serial_writable(void *opaque)
{
    Serial *s = opaque;

    pthread_mutex_lock(&s->lock);
    transmit(s);
    update_irq(s);
    pthread_mutex_unlock(&s->lock);
}

static const ChardevFrontend serial_frontend = {
    .can_receive = serial_can_receive,
    .receive = serial_receive,
    .event = serial_event,
    .writable = serial_writable,
};

static void serial_reset(Device *dev)
{
    Serial *s = (Serial *)dev;

    pthread_mutex_lock(&s->lock);
    transmit(s); /* last words of the guest that resets */
    virtual_timer_disarm(s->timeout_timer);
    virtual_timer_disarm(s->thri_timer);
    s->divisor = 12; /* undefined on the chip; 9600 baud */
    s->ier = s->fcr = s->lcr = s->mcr = s->scr = 0;
    s->lsr_errors = 0;
    s->msr = modem_lines(s);
    fifo_clear(&s->rx);
    fifo_clear(&s->tx);
    s->timeout_armed = s->timeout_pending = s->thri_pending = s->thri_paused = false;
    s->thri_burst = 0;
    update_irq(s);
    pthread_mutex_unlock(&s->lock);
    if (s->chr) {
        chardev_accept_input(s->chr);
    }
}

static bool serial_realize(Device *dev, GError **error)
{
    Serial *s = (Serial *)dev;

    s->timeout_timer = virtual_timer_new(dev->clock, on_timeout, s);
    s->thri_timer = virtual_timer_new(dev->clock, on_thri_pause_end, s);
    s->rx_timer = virtual_timer_new(dev->clock, on_rx_pause_end, s);
    device_add_region(dev, memory_region_new_io(dev->ms, &dev->obj, &serial_ops, s, "serial",
                                                SERIAL_REGION_SIZE));
    serial_reset(dev);
    if (s->chr) {
        chardev_set_frontend(s->chr, &serial_frontend, s);
    }
    return true;
}

static void serial_unrealize(Device *dev)
{
    Serial *s = (Serial *)dev;

    if (s->chr) {
        chardev_set_frontend(s->chr, NULL, NULL);
    }
    virtual_timer_free(s->timeout_timer);
    virtual_timer_free(s->thri_timer);
    virtual_timer_free(s->rx_timer);
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
