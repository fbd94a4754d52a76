/* SPDX-License-Identifier: MIT */
/* mc146818: the PC's real-time clock and its battery-backed RAM. */
#include "tessera/hw/rtc/mc146818.h"

#include <pthread.h>
#include "rtc-time-internal.h"
#include "tessera/util/range.h"

#define US_PER_S     1000000LL
#define NS_PER_S     1000000000LL
#define CRYSTAL_HZ   32768
#define HELD_US      500000 /* from the divider's release to the first update */

#define RTC_B_ENABLES (RTC_B_PIE | RTC_B_AIE | RTC_B_UIE)

/*
 * The clock counts nothing: its time is the source's plus @offset_us. Flags that nobody waits for
 * are found out when they are read; a timer runs only for an interrupt that is enabled.
 *
 * @lock: guards all that follows it; irq_set() and the timers' arming are called under it.
 * @ram: time bytes in it are valid only while the clock stands (SET, or the divider held)
 * @checked_s: seconds up to which UF and AF are known; @tick: periodic ticks up to which PF is
 */
typedef struct Rtc {
    Device dev;
    IrqLine irq;
    int64_t (*now_us)(void *opaque);
    void *now_opaque;
    VirtualTimer *update_timer;
    VirtualTimer *periodic_timer;
    pthread_mutex_t lock;
    uint8_t ram[RTC_NVRAM_SIZE];
    uint8_t index;
    uint8_t flags; /* register C without IRQF */
    int64_t offset_us;
    int64_t checked_s;
    int64_t periodic_base; /* virtual ns */
    int64_t tick;
} Rtc;

static int64_t host_utc_us(void *opaque)
{
    return g_get_real_time();
}

/* Everything below with the lock held, up to the handlers. */

static bool divider_held(const Rtc *s)
{
    return (s->ram[RTC_REG_A] & 0x60) == 0x60;
}

static bool runs(const Rtc *s)
{
    return !(s->ram[RTC_REG_B] & RTC_B_SET) && !divider_held(s);
}

static int64_t rtc_us(Rtc *s)
{
    return s->now_us(s->now_opaque) + s->offset_us;
}

/* Crystal ticks from one periodic interrupt to the next; 0: none (data sheet, table 5). */
static int64_t periodic_ticks(const Rtc *s)
{
    unsigned rate = s->ram[RTC_REG_A] & RTC_A_RATE;

    if (rate == 0 || divider_held(s)) {
        return 0;
    }
    return 1 << (rate <= 2 ? rate + 6 : rate - 1);
}

static int64_t current_tick(Rtc *s)
{
    int64_t ns = virtual_clock_ns(s->dev.clock) - s->periodic_base;

    return (int64_t)((Int128)ns * CRYSTAL_HZ / ((Int128)NS_PER_S * periodic_ticks(s)));
}

/* Brings the flags up to now. */
static void sync_flags(Rtc *s)
{
    if (runs(s)) {
        int64_t now_s = rtc_floor_div(rtc_us(s), US_PER_S);

        if (now_s > s->checked_s) {
            s->flags |= RTC_C_UF;
            s->flags |= rtc_next_alarm(s->ram, s->checked_s) <= now_s ? RTC_C_AF : 0;
        }
        s->checked_s = now_s;
    }
    if (periodic_ticks(s)) {
        int64_t tick = current_tick(s);

        s->flags |= tick > s->tick ? RTC_C_PF : 0;
        s->tick = tick;
    }
}

static void restart_periodic(Rtc *s)
{
    s->periodic_base = virtual_clock_ns(s->dev.clock);
    s->tick = 0;
}

static void arm_update_timer(Rtc *s)
{
    uint8_t wanted = s->ram[RTC_REG_B] & ~s->flags;
    int64_t at = RTC_NEVER, now;

    if (runs(s) && (wanted & RTC_B_UIE)) {
        at = s->checked_s + 1;
    } else if (runs(s) && (wanted & RTC_B_AIE)) {
        at = rtc_next_alarm(s->ram, s->checked_s);
    }
    if (at == RTC_NEVER) {
        virtual_timer_disarm(s->update_timer);
        return;
    }
    now = rtc_us(s);
    virtual_timer_arm(s->update_timer, virtual_clock_ns(s->dev.clock) +
                                           MAX(at * US_PER_S - now, 0) * 1000);
}

static void arm_periodic_timer(Rtc *s)
{
    int64_t ticks = periodic_ticks(s);

    if (!ticks || !(s->ram[RTC_REG_B] & ~s->flags & RTC_B_PIE)) {
        virtual_timer_disarm(s->periodic_timer);
        return;
    }
    /* Rounded up: at the deadline the tick is over. */
    virtual_timer_arm(s->periodic_timer,
                      s->periodic_base +
                          (int64_t)(((Int128)(s->tick + 1) * ticks * NS_PER_S + CRYSTAL_HZ - 1) /
                                    CRYSTAL_HZ));
}

/* An interrupt that is pending needs no timer until register C was read. */
static void update_irq(Rtc *s)
{
    arm_update_timer(s);
    arm_periodic_timer(s);
    irq_set(s->irq, s->flags & s->ram[RTC_REG_B] & RTC_B_ENABLES);
}

static bool is_time(unsigned index)
{
    return index == RTC_SECONDS || index == RTC_MINUTES || index == RTC_CENTURY ||
           index == RTC_HOURS || (index >= RTC_DAY_OF_WEEK && index <= RTC_YEAR);
}

static void clock_stops(Rtc *s)
{
    rtc_store_time(s->ram, rtc_floor_div(rtc_us(s), US_PER_S));
}

/* From now on the time in ram counts; @phase_us is how far its second has gone. */
static void clock_starts(Rtc *s, int64_t phase_us)
{
    s->checked_s = rtc_load_time(s->ram);
    s->offset_us = s->checked_s * US_PER_S + phase_us - s->now_us(s->now_opaque);
}

static int64_t second_phase(Rtc *s)
{
    int64_t now = rtc_us(s);

    return now - rtc_floor_div(now, US_PER_S) * US_PER_S;
}

static uint8_t read_a(Rtc *s)
{
    bool uip = runs(s) && second_phase(s) >= US_PER_S - RTC_UPDATE_US;

    return s->ram[RTC_REG_A] | (uip ? RTC_A_UIP : 0);
}

static uint8_t read_c(Rtc *s)
{
    uint8_t value;

    sync_flags(s);
    value = s->flags | (s->flags & s->ram[RTC_REG_B] & RTC_B_ENABLES ? RTC_C_IRQF : 0);
    s->flags = 0;
    update_irq(s);
    return value;
}

static uint8_t rtc_read_register(Rtc *s, unsigned index)
{
    if (is_time(index) && runs(s)) {
        rtc_store_time(s->ram, rtc_floor_div(rtc_us(s), US_PER_S));
    }
    switch (index) {
    case RTC_REG_A:
        return read_a(s);
    case RTC_REG_C:
        return read_c(s);
    case RTC_REG_D:
        return RTC_D_VRT;
    default:
        return s->ram[index];
    }
}

static void write_a(Rtc *s, uint8_t value)
{
    bool ran = runs(s), was_held = divider_held(s);
    uint8_t changed = s->ram[RTC_REG_A] ^ value;

    if (ran) {
        clock_stops(s);
    }
    s->ram[RTC_REG_A] = value & ~RTC_A_UIP;
    if (changed & (RTC_A_RATE | RTC_A_DIVIDER)) {
        restart_periodic(s);
    }
    if (runs(s)) {
        clock_starts(s, was_held ? US_PER_S - HELD_US : second_phase(s));
    }
}

static void write_b(Rtc *s, uint8_t value)
{
    bool ran = runs(s);

    if (ran && (value & RTC_B_SET)) {
        clock_stops(s);
    }
    if (value & RTC_B_SET) {
        value &= ~RTC_B_UIE; /* data sheet: SET clears it */
    }
    s->ram[RTC_REG_B] = value;
    if (!ran && runs(s)) {
        clock_starts(s, second_phase(s));
    }
}

static void write_time(Rtc *s, unsigned index, uint8_t value)
{
    bool running = runs(s);

    if (running) {
        clock_stops(s);
    }
    s->ram[index] = value;
    if (running) {
        clock_starts(s, second_phase(s));
    }
}

static void rtc_write_register(Rtc *s, unsigned index, uint8_t value)
{
    sync_flags(s);
    if (index == RTC_REG_A) {
        write_a(s, value);
    } else if (index == RTC_REG_B) {
        write_b(s, value);
    } else if (is_time(index)) {
        write_time(s, index, value);
    } else if (index != RTC_REG_C && index != RTC_REG_D) {
        s->ram[index] = value;
    }
    update_irq(s);
}

static MemTxResult rtc_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                            MemTxAttrs attrs)
{
    Rtc *s = opaque;

    *ret_value = 0xff; /* the index cannot be read back */
    if (offset == RTC_DATA_PORT) {
        pthread_mutex_lock(&s->lock);
        *ret_value = rtc_read_register(s, s->index);
        pthread_mutex_unlock(&s->lock);
    }
    return MEMTX_OK;
}

static MemTxResult rtc_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                             MemTxAttrs attrs)
{
    Rtc *s = opaque;

    pthread_mutex_lock(&s->lock);
    if (offset == RTC_INDEX_PORT) {
        s->index = value & (RTC_NVRAM_SIZE - 1);
    } else {
        rtc_write_register(s, s->index, (uint8_t)value);
    }
    pthread_mutex_unlock(&s->lock);
    return MEMTX_OK;
}

static const MemoryRegionOps rtc_ops = {
    .read = rtc_read,
    .write = rtc_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 1 },
    .impl = { .min_access_size = 1, .max_access_size = 1 },
};

static void on_timer(void *opaque)
{
    Rtc *s = opaque;

    pthread_mutex_lock(&s->lock);
    sync_flags(s);
    update_irq(s);
    pthread_mutex_unlock(&s->lock);
}

/* The reset pin ends interrupts; time, alarm and RAM have a battery. */
static void rtc_reset(Device *dev)
{
    Rtc *s = (Rtc *)dev;

    pthread_mutex_lock(&s->lock);
    sync_flags(s);
    s->ram[RTC_REG_B] &= ~(RTC_B_ENABLES | RTC_B_SQWE);
    s->flags = 0;
    s->index = 0;
    update_irq(s);
    pthread_mutex_unlock(&s->lock);
}

static bool rtc_realize(Device *dev, GError **error)
{
    Rtc *s = (Rtc *)dev;
    MemoryRegion *mr;

    s->update_timer = virtual_timer_new(dev->clock, on_timer, s);
    s->periodic_timer = virtual_timer_new(dev->clock, on_timer, s);
    s->checked_s = rtc_floor_div(rtc_us(s), US_PER_S);
    mr = memory_region_new_io(dev->ms, &dev->obj, &rtc_ops, s, "rtc", RTC_REGION_SIZE);
    device_add_region(dev, mr);
    /* Selecting a register does nothing yet: it may wait until the data port is touched. */
    memory_region_set_flush_coalesced(mr, true);
    if (!memory_region_add_coalescing(mr, RTC_INDEX_PORT, 1, error)) {
        virtual_timer_free(s->update_timer);
        virtual_timer_free(s->periodic_timer);
        return false;
    }
    return true;
}

static void rtc_unrealize(Device *dev)
{
    Rtc *s = (Rtc *)dev;

    virtual_timer_free(s->update_timer);
    virtual_timer_free(s->periodic_timer);
}

static void rtc_init(Device *dev)
{
    Rtc *s = (Rtc *)dev;

    pthread_mutex_init(&s->lock, NULL);
    s->now_us = host_utc_us;
    s->ram[RTC_REG_A] = 0x26; /* 32,768 Hz, periodic rate 1,024 Hz: as a PC's firmware leaves it */
    s->ram[RTC_REG_B] = RTC_B_24H;
}

static void rtc_finalize(Device *dev)
{
    pthread_mutex_destroy(&((Rtc *)dev)->lock);
}

void rtc_set_irq(Device *dev, IrqLine irq)
{
    g_assert(dev->cls == &rtc_device_class && !dev->realized);
    ((Rtc *)dev)->irq = irq;
}

void rtc_set_time_source(Device *dev, int64_t (*now_us)(void *opaque), void *opaque)
{
    Rtc *s = (Rtc *)dev;

    g_assert(dev->cls == &rtc_device_class && !dev->realized);
    s->now_us = now_us;
    s->now_opaque = opaque;
}

void rtc_set_nvram(Device *dev, unsigned index, uint8_t value)
{
    Rtc *s = (Rtc *)dev;

    g_assert(dev->cls == &rtc_device_class);
    g_assert(index > RTC_REG_D && index < RTC_NVRAM_SIZE && index != RTC_CENTURY);
    pthread_mutex_lock(&s->lock);
    s->ram[index] = value;
    pthread_mutex_unlock(&s->lock);
}

static void set_nvram_le(Device *dev, unsigned index, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++) {
        rtc_set_nvram(dev, index + i, value >> (8 * i) & 0xff);
    }
}

void rtc_set_memory_size(Device *dev, uint64_t below_4g, uint64_t above_4g)
{
    const uint64_t kib = 1 << 10, mib = 1 << 20;
    uint64_t extended = below_4g > mib ? (below_4g - mib) / kib : 0;
    uint64_t above_16m = below_4g > 16 * mib ? (below_4g - 16 * mib) / (64 * kib) : 0;

    set_nvram_le(dev, 0x15, 2, MIN(below_4g / kib, 640));
    set_nvram_le(dev, 0x17, 2, MIN(extended, 0xffff));
    set_nvram_le(dev, 0x30, 2, MIN(extended, 0xffff));
    set_nvram_le(dev, 0x34, 2, MIN(above_16m, 0xffff));
    set_nvram_le(dev, 0x5b, 3, MIN(above_4g / (64 * kib), 0xffffff));
}

const DeviceClass rtc_device_class = {
    .name = "mc146818",
    .description = "real-time clock with 128 bytes of battery-backed RAM",
    .instance_size = sizeof(Rtc),
    .init = rtc_init,
    .realize = rtc_realize,
    .unrealize = rtc_unrealize,
    .reset = rtc_reset,
    .finalize = rtc_finalize,
};
DEVICE_REGISTER(rtc_device_class);
