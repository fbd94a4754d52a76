/* SPDX-License-Identifier: MIT */
/* acpi-pm: ACPI's fixed power management registers, the PM timer and GPE block 0. */
#include "tessera/hw/acpi/pm.h"

#include <pthread.h>
#include "tessera/util/range.h"
#include "tessera/util/log.h"

#define NS_PER_S 1000000000LL

/* The enable register has no bits for bus master and wake status. */
#define PM1_ENABLES (ACPI_PM1_TMR | ACPI_PM1_GBL | ACPI_PM1_PWRBTN | ACPI_PM1_SLPBTN | ACPI_PM1_RTC)

/* A status register and its enable register, side by side. */
typedef struct EventBlock {
    uint16_t status;
    uint16_t enable;
    uint16_t enables; /* bits that exist in @enable */
} EventBlock;

/*
 * @lock: guards all that follows it; irq_set() and the timer's arming are called under it
 * @flips: how often the timer's highest bit had changed when TMR_STS was last looked at
 */
typedef struct AcpiPm {
    Device dev;
    IrqLine sci;
    VirtualTimer *flip_timer;
    pthread_mutex_t lock;
    EventBlock pm1;
    EventBlock gpe0;
    uint16_t control;
    uint64_t flips;
} AcpiPm;

/* Everything below with the lock held, up to the handlers. */

static uint64_t timer_ticks(AcpiPm *pm)
{
    return (uint64_t)((Int128)virtual_clock_ns(pm->dev.clock) * ACPI_PM_TIMER_HZ / NS_PER_S);
}

/* The timer's flag is found out when somebody looks; a timer runs only for its interrupt. */
static void sync_timer(AcpiPm *pm)
{
    uint64_t flips = timer_ticks(pm) >> 31;

    if (flips != pm->flips) {
        pm->flips = flips;
        pm->pm1.status |= ACPI_PM1_TMR;
    }
}

static void arm_flip_timer(AcpiPm *pm)
{
    if ((pm->pm1.enable & ~pm->pm1.status) & ACPI_PM1_TMR) {
        Int128 ticks = (Int128)(pm->flips + 1) << 31;

        virtual_timer_arm(pm->flip_timer, (int64_t)((ticks * NS_PER_S + ACPI_PM_TIMER_HZ - 1) /
                                                    ACPI_PM_TIMER_HZ));
    } else {
        virtual_timer_disarm(pm->flip_timer);
    }
}

static void update_sci(AcpiPm *pm)
{
    sync_timer(pm);
    arm_flip_timer(pm);
    irq_set(pm->sci,
            (pm->pm1.status & pm->pm1.enable) || (pm->gpe0.status & pm->gpe0.enable));
}

static uint8_t block_read(const EventBlock *block, hwaddr offset)
{
    uint16_t value = offset < 2 ? block->status : block->enable;

    return (uint8_t)(value >> (8 * (offset & 1)));
}

static void block_write(EventBlock *block, hwaddr offset, uint8_t value)
{
    unsigned shift = 8 * (offset & 1);

    if (offset < 2) {
        block->status &= ~(value << shift);
    } else {
        block->enable = ((block->enable & ~(0xff << shift)) | value << shift) & block->enables;
    }
}

static MemTxResult event_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                              MemTxAttrs attrs)
{
    AcpiPm *pm = opaque;

    pthread_mutex_lock(&pm->lock);
    sync_timer(pm);
    *ret_value = block_read(&pm->pm1, offset);
    pthread_mutex_unlock(&pm->lock);
    return MEMTX_OK;
}

static MemTxResult event_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                               MemTxAttrs attrs)
{
    AcpiPm *pm = opaque;

    pthread_mutex_lock(&pm->lock);
    sync_timer(pm);
    block_write(&pm->pm1, offset, (uint8_t)value);
    update_sci(pm);
    pthread_mutex_unlock(&pm->lock);
    return MEMTX_OK;
}

static MemTxResult control_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                                MemTxAttrs attrs)
{
    AcpiPm *pm = opaque;

    pthread_mutex_lock(&pm->lock);
    *ret_value = (uint8_t)((pm->control | ACPI_PM1_SCI_EN) >> (8 * offset));
    pthread_mutex_unlock(&pm->lock);
    return MEMTX_OK;
}

/* SLP_TYP and SLP_EN share the high byte: one byte write says it all. */
static MemTxResult control_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                 MemTxAttrs attrs)
{
    AcpiPm *pm = opaque;
    uint16_t bits = (uint16_t)((value & 0xff) << (8 * offset));
    uint16_t keep = offset ? ACPI_PM1_SLP_TYP : ACPI_PM1_BM_RLD;
    bool off = (bits & ACPI_PM1_SLP_EN) &&
               (bits & ACPI_PM1_SLP_TYP) >> ACPI_PM1_SLP_TYP_SHIFT == ACPI_PM_SLP_TYP_S5;

    pthread_mutex_lock(&pm->lock);
    pm->control = (pm->control & ~keep) | (bits & keep);
    pthread_mutex_unlock(&pm->lock);
    if (off) {
        log_item(LOG_ACPI, "the guest enters S5");
        pm->dev.control->request_poweroff(pm->dev.control->opaque, MACHINE_CAUSE_GUEST_POWEROFF);
    }
    return MEMTX_OK;
}

static MemTxResult timer_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                              MemTxAttrs attrs)
{
    *ret_value = (uint32_t)timer_ticks(opaque);
    return MEMTX_OK;
}

static MemTxResult timer_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                               MemTxAttrs attrs)
{
    return MEMTX_OK; /* it only counts */
}

static MemTxResult gpe0_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                             MemTxAttrs attrs)
{
    AcpiPm *pm = opaque;

    pthread_mutex_lock(&pm->lock);
    *ret_value = block_read(&pm->gpe0, offset);
    pthread_mutex_unlock(&pm->lock);
    return MEMTX_OK;
}

static MemTxResult gpe0_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                              MemTxAttrs attrs)
{
    AcpiPm *pm = opaque;

    pthread_mutex_lock(&pm->lock);
    block_write(&pm->gpe0, offset, (uint8_t)value);
    update_sci(pm);
    pthread_mutex_unlock(&pm->lock);
    return MEMTX_OK;
}

/* Bytes: the core cuts wider accesses, so that none reaches past a block's end. */
#define BYTE_OPS(r, w)                                                                             \
    {                                                                                              \
        .read = (r), .write = (w), .endianness = DEVICE_LITTLE_ENDIAN,                             \
        .valid = { .min_access_size = 1, .max_access_size = 1 },                                   \
        .impl = { .min_access_size = 1, .max_access_size = 1 },                                    \
    }

static const MemoryRegionOps event_ops = BYTE_OPS(event_read, event_write);
static const MemoryRegionOps control_ops = BYTE_OPS(control_read, control_write);
static const MemoryRegionOps gpe0_ops = BYTE_OPS(gpe0_read, gpe0_write);

/* One value, whole: bytes read one after another would not belong together. */
static const MemoryRegionOps timer_ops = {
    .read = timer_read,
    .write = timer_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 4 },
    .impl = { .min_access_size = 4, .max_access_size = 4 },
};

static void on_flip(void *opaque)
{
    AcpiPm *pm = opaque;

    pthread_mutex_lock(&pm->lock);
    update_sci(pm);
    pthread_mutex_unlock(&pm->lock);
}

static void acpi_pm_reset(Device *dev)
{
    AcpiPm *pm = (AcpiPm *)dev;

    pthread_mutex_lock(&pm->lock);
    pm->flips = timer_ticks(pm) >> 31;
    pm->pm1.status = pm->pm1.enable = 0;
    pm->gpe0.status = pm->gpe0.enable = 0;
    pm->control = 0;
    update_sci(pm);
    pthread_mutex_unlock(&pm->lock);
}

static bool acpi_pm_realize(Device *dev, GError **error)
{
    static const struct {
        const MemoryRegionOps *ops;
        const char *name;
        unsigned size;
    } regions[] = {
        [ACPI_PM_REGION_EVENT] = { &event_ops, "acpi-pm1a-event", ACPI_PM_EVENT_SIZE },
        [ACPI_PM_REGION_CONTROL] = { &control_ops, "acpi-pm1a-control", ACPI_PM_CONTROL_SIZE },
        [ACPI_PM_REGION_TIMER] = { &timer_ops, "acpi-pm-timer", ACPI_PM_TIMER_SIZE },
        [ACPI_PM_REGION_GPE0] = { &gpe0_ops, "acpi-gpe0", ACPI_PM_GPE0_SIZE },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(regions); i++) {
        device_add_region(dev, memory_region_new_io(dev->ms, &dev->obj, regions[i].ops, dev,
                                                    regions[i].name, regions[i].size));
    }
    ((AcpiPm *)dev)->flip_timer = virtual_timer_new(dev->clock, on_flip, dev);
    acpi_pm_reset(dev);
    return true;
}

static void acpi_pm_unrealize(Device *dev)
{
    virtual_timer_free(((AcpiPm *)dev)->flip_timer);
}

static void acpi_pm_init(Device *dev)
{
    AcpiPm *pm = (AcpiPm *)dev;

    pthread_mutex_init(&pm->lock, NULL);
    pm->pm1.enables = PM1_ENABLES;
    pm->gpe0.enables = 0xffff;
}

static void acpi_pm_finalize(Device *dev)
{
    pthread_mutex_destroy(&((AcpiPm *)dev)->lock);
}

void acpi_pm_set_sci(Device *dev, IrqLine sci)
{
    g_assert(dev->cls == &acpi_pm_device_class && !dev->realized);
    ((AcpiPm *)dev)->sci = sci;
}

static void raise_status(Device *dev, EventBlock *block, uint16_t bits)
{
    AcpiPm *pm = (AcpiPm *)dev;

    g_assert(dev->cls == &acpi_pm_device_class && dev->realized);
    pthread_mutex_lock(&pm->lock);
    block->status |= bits;
    update_sci(pm);
    pthread_mutex_unlock(&pm->lock);
}

void acpi_pm_power_button(Device *dev)
{
    log_item(LOG_ACPI, "power button pressed");
    raise_status(dev, &((AcpiPm *)dev)->pm1, ACPI_PM1_PWRBTN);
}

void acpi_pm_set_gpe(Device *dev, unsigned n)
{
    g_assert(n < ACPI_PM_GPE_COUNT);
    log_item(LOG_ACPI, "general-purpose event %u", n);
    raise_status(dev, &((AcpiPm *)dev)->gpe0, 1 << n);
}

const DeviceClass acpi_pm_device_class = {
    .name = "acpi-pm",
    .description = "ACPI power management registers, PM timer and GPE block",
    .instance_size = sizeof(AcpiPm),
    .init = acpi_pm_init,
    .realize = acpi_pm_realize,
    .unrealize = acpi_pm_unrealize,
    .reset = acpi_pm_reset,
    .finalize = acpi_pm_finalize,
};
DEVICE_REGISTER(acpi_pm_device_class);
