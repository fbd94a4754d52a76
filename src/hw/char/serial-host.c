/* SPDX-License-Identifier: MIT */
/* isa-serial, the side of the host: its chardev, the timers, and pauses in long transfers. */
#include "serial-internal.h"

/*
 * A real line leaves the processor time between two interrupts. Ours sends and receives at once:
 * Linux's handler, which loops until nothing is pending, would give up with "too much work for irq"
 * in the middle of a long output. So after a burst that is still fast, the next interrupt (or the
 * next input) waits for a moment.
 */
#define BURST_THRI     64   /* transmitter-empty interrupts, up to 16 bytes each */
#define BURST_RX_BYTES 1024
#define PAUSE_NS       200000LL

void serial_accept_input(Serial *s)
{
    if (s->chr) {
        chardev_accept_input(s->chr);
    }
}

void serial_count_thri(Serial *s)
{
    s->thri_pending = false;
    if (++s->thri_burst >= BURST_THRI) {
        s->thri_burst = 0;
        s->thri_paused = true;
        virtual_timer_arm(s->thri_timer, virtual_clock_ns(s->dev.clock) + PAUSE_NS);
    }
}

/* Called on the main thread. */

static void on_timeout(void *opaque)
{
    Serial *s = opaque;
    int64_t deadline;

    pthread_mutex_lock(&s->lock);
    deadline = s->rx_activity + serial_timeout_ns(s);
    s->timeout_armed = s->rx.used && virtual_clock_ns(s->dev.clock) < deadline;
    if (s->timeout_armed) {
        virtual_timer_arm(s->timeout_timer, deadline);
    } else {
        s->timeout_pending = serial_fifos_on(s) && s->rx.used;
    }
    serial_update_irq(s);
    pthread_mutex_unlock(&s->lock);
}

static void on_thri_pause_end(void *opaque)
{
    Serial *s = opaque;

    pthread_mutex_lock(&s->lock);
    s->thri_paused = false;
    serial_update_irq(s);
    pthread_mutex_unlock(&s->lock);
}

static void on_rx_pause_end(void *opaque)
{
    Serial *s = opaque;

    pthread_mutex_lock(&s->lock);
    s->rx_paused = false;
    pthread_mutex_unlock(&s->lock);
    serial_accept_input(s);
}

/* A FIFO is filled when it is empty, so that one interrupt is good for many bytes. */
static size_t serial_can_receive(void *opaque)
{
    Serial *s = opaque;
    size_t room;

    pthread_mutex_lock(&s->lock);
    room = serial_loopback(s) || s->rx_paused || s->rx.used ? 0 : serial_fifo_depth(s);
    pthread_mutex_unlock(&s->lock);
    return room;
}

static void serial_receive(void *opaque, const uint8_t *buf, size_t len)
{
    Serial *s = opaque;

    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < len; i++) {
        serial_receive_entry(s, buf[i]);
    }
    s->rx_burst += len;
    if (s->rx_burst >= BURST_RX_BYTES) {
        s->rx_burst = 0;
        s->rx_paused = true;
        virtual_timer_arm(s->rx_timer, virtual_clock_ns(s->dev.clock) + PAUSE_NS);
    }
    serial_update_irq(s);
    pthread_mutex_unlock(&s->lock);
}

static void serial_event(void *opaque, ChardevEvent event)
{
    Serial *s = opaque;

    pthread_mutex_lock(&s->lock);
    if (event == CHARDEV_BREAK) {
        if (!serial_loopback(s)) {
            serial_receive_entry(s, SERIAL_LSR_BI << 8); /* a zero byte that never stopped */
        }
    } else if (event == CHARDEV_OPENED || event == CHARDEV_CLOSED) {
        s->connected = event == CHARDEV_OPENED;
        serial_set_modem_lines(s, serial_modem_lines(s));
    }
    serial_update_irq(s);
    pthread_mutex_unlock(&s->lock);
}

static void serial_writable(void *opaque)
{
    Serial *s = opaque;

    pthread_mutex_lock(&s->lock);
    serial_transmit(s);
    serial_update_irq(s);
    pthread_mutex_unlock(&s->lock);
}

static const ChardevFrontend serial_frontend = {
    .can_receive = serial_can_receive,
    .receive = serial_receive,
    .event = serial_event,
    .writable = serial_writable,
};

void serial_host_realize(Serial *s)
{
    VirtualClock *clock = s->dev.clock;

    s->timeout_timer = virtual_timer_new(clock, on_timeout, s);
    s->thri_timer = virtual_timer_new(clock, on_thri_pause_end, s);
    s->rx_timer = virtual_timer_new(clock, on_rx_pause_end, s);
}

void serial_host_attach(Serial *s)
{
    if (s->chr) {
        chardev_set_frontend(s->chr, &serial_frontend, s);
    }
}

void serial_host_unrealize(Serial *s)
{
    if (s->chr) {
        chardev_set_frontend(s->chr, NULL, NULL);
    }
    virtual_timer_free(s->timeout_timer);
    virtual_timer_free(s->thri_timer);
    virtual_timer_free(s->rx_timer);
}
