/* SPDX-License-Identifier: MIT */
/* acpi-memory-hotplug: the registers by which a guest finds, takes and gives back DIMMs. */
#include "tessera/hw/acpi/memory-hotplug.h"

#include <pthread.h>
#include <string.h>
#include "tessera/util/log.h"

/* One socket as the guest reads it; all zero: empty. */
typedef struct Socket {
    uint64_t base;
    uint64_t size;
    uint32_t domain;
    uint8_t status; /* MEMORY_HOTPLUG_ENABLED, _INSERT, _REMOVE */
} Socket;

/*
 * @lock: guards all that follows it; @ops is called and @gpe is pulsed without it
 * @ost_event: of the write to come; as the selector, one for all sockets: AML holds a mutex
 */
typedef struct MemoryHotplug {
    Device dev;
    IrqLine gpe;
    const MemoryHotplugOps *ops;
    void *opaque;
    unsigned n_slots;
    pthread_mutex_t lock;
    uint32_t selector;
    uint32_t ost_event;
    Socket *slots;
} MemoryHotplug;

static MemoryHotplug *from_device(Device *dev)
{
    g_assert(dev->cls == &memory_hotplug_device_class);
    return (MemoryHotplug *)dev;
}

static uint32_t register_value(const Socket *socket, hwaddr offset)
{
    if (!(socket->status & MEMORY_HOTPLUG_ENABLED)) {
        return 0; /* ejected a moment ago: the machine has not cleared it yet */
    }
    switch (offset) {
    case MEMORY_HOTPLUG_BASE_LOW:
        return (uint32_t)socket->base;
    case MEMORY_HOTPLUG_BASE_HIGH:
        return (uint32_t)(socket->base >> 32);
    case MEMORY_HOTPLUG_SIZE_LOW:
        return (uint32_t)socket->size;
    case MEMORY_HOTPLUG_SIZE_HIGH:
        return (uint32_t)(socket->size >> 32);
    case MEMORY_HOTPLUG_DOMAIN:
        return socket->domain;
    case MEMORY_HOTPLUG_STATUS:
        return socket->status;
    default:
        return 0;
    }
}

static MemTxResult hotplug_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                                MemTxAttrs attrs)
{
    MemoryHotplug *mh = opaque;
    uint32_t value = 0;

    pthread_mutex_lock(&mh->lock);
    if (mh->selector < mh->n_slots) {
        value = register_value(&mh->slots[mh->selector], offset & ~(hwaddr)3);
    }
    pthread_mutex_unlock(&mh->lock);
    *ret_value = value >> (8 * (offset & 3));
    return MEMTX_OK;
}

/*
 * The lock is held on entry and released before anybody is called. The socket is empty to the guest
 * before the handler runs: Linux reads _STA right behind _EJ0.
 */
static void eject_and_unlock(MemoryHotplug *mh, unsigned slot)
{
    bool ejected = mh->slots[slot].status & MEMORY_HOTPLUG_ENABLED;

    if (ejected) {
        mh->slots[slot].status = 0;
    }
    pthread_mutex_unlock(&mh->lock);
    if (!ejected) {
        log_item(LOG_GUEST_ERROR, "memory hotplug: eject of socket %u, which is empty", slot);
    } else if (mh->ops) {
        mh->ops->eject(mh->opaque, slot);
    }
}

static void write_control(MemoryHotplug *mh, uint8_t value)
{
    unsigned slot;

    pthread_mutex_lock(&mh->lock);
    slot = mh->selector;
    if (slot >= mh->n_slots) {
        pthread_mutex_unlock(&mh->lock);
        return;
    }
    mh->slots[slot].status &= ~(value & (MEMORY_HOTPLUG_INSERT | MEMORY_HOTPLUG_REMOVE));
    if (value & MEMORY_HOTPLUG_EJECT) {
        eject_and_unlock(mh, slot);
    } else {
        pthread_mutex_unlock(&mh->lock);
    }
}

static void write_ost_status(MemoryHotplug *mh, uint32_t status)
{
    uint32_t slot, event;

    pthread_mutex_lock(&mh->lock);
    slot = mh->selector;
    event = mh->ost_event;
    pthread_mutex_unlock(&mh->lock);
    if (slot < mh->n_slots && mh->ops) {
        mh->ops->ost(mh->opaque, slot, event, status);
    }
}

static void write_latch(MemoryHotplug *mh, uint32_t *latch, uint32_t value)
{
    pthread_mutex_lock(&mh->lock);
    *latch = value;
    pthread_mutex_unlock(&mh->lock);
}

static MemTxResult hotplug_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                 MemTxAttrs attrs)
{
    MemoryHotplug *mh = opaque;

    switch (offset) {
    case MEMORY_HOTPLUG_SELECTOR:
        write_latch(mh, &mh->selector, (uint32_t)value);
        break;
    case MEMORY_HOTPLUG_OST_EVENT:
        write_latch(mh, &mh->ost_event, (uint32_t)value);
        break;
    case MEMORY_HOTPLUG_OST_STATUS:
        write_ost_status(mh, (uint32_t)value);
        break;
    case MEMORY_HOTPLUG_CONTROL:
        write_control(mh, (uint8_t)value);
        break;
    default:
        log_item(LOG_GUEST_ERROR, "memory hotplug: write to offset 0x%x, which has no register",
                 (unsigned)offset);
        break;
    }
    return MEMTX_OK;
}

static const MemoryRegionOps hotplug_ops = {
    .read = hotplug_read,
    .write = hotplug_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 4 },
    .impl = { .min_access_size = 1, .max_access_size = 4 },
};

void memory_hotplug_insert(Device *dev, unsigned slot, uint64_t base, uint64_t size,
                           uint32_t domain, bool pending)
{
    MemoryHotplug *mh = from_device(dev);

    g_assert(slot < mh->n_slots);
    pthread_mutex_lock(&mh->lock);
    g_assert(!(mh->slots[slot].status & MEMORY_HOTPLUG_ENABLED));
    mh->slots[slot] = (Socket){
        .base = base,
        .size = size,
        .domain = domain,
        .status = MEMORY_HOTPLUG_ENABLED | (pending ? MEMORY_HOTPLUG_INSERT : 0),
    };
    pthread_mutex_unlock(&mh->lock);
}

void memory_hotplug_tell(Device *dev)
{
    irq_pulse(from_device(dev)->gpe);
}

void memory_hotplug_request_remove(Device *dev, unsigned slot)
{
    MemoryHotplug *mh = from_device(dev);
    bool tell;

    g_assert(slot < mh->n_slots);
    pthread_mutex_lock(&mh->lock);
    tell = mh->slots[slot].status & MEMORY_HOTPLUG_ENABLED; /* not ejected in this moment */
    if (tell) {
        mh->slots[slot].status |= MEMORY_HOTPLUG_REMOVE;
    }
    pthread_mutex_unlock(&mh->lock);
    if (tell) {
        irq_pulse(mh->gpe);
    }
}

bool memory_hotplug_cancel_remove(Device *dev, unsigned slot)
{
    MemoryHotplug *mh = from_device(dev);
    bool unseen;

    g_assert(slot < mh->n_slots);
    pthread_mutex_lock(&mh->lock);
    unseen = mh->slots[slot].status & MEMORY_HOTPLUG_REMOVE;
    mh->slots[slot].status &= ~MEMORY_HOTPLUG_REMOVE;
    pthread_mutex_unlock(&mh->lock);
    return unseen;
}

void memory_hotplug_clear(Device *dev, unsigned slot)
{
    MemoryHotplug *mh = from_device(dev);

    g_assert(slot < mh->n_slots);
    pthread_mutex_lock(&mh->lock);
    mh->slots[slot] = (Socket){ 0 };
    pthread_mutex_unlock(&mh->lock);
}

void memory_hotplug_restore(Device *dev, unsigned slot)
{
    MemoryHotplug *mh = from_device(dev);

    g_assert(slot < mh->n_slots);
    pthread_mutex_lock(&mh->lock);
    mh->slots[slot].status = MEMORY_HOTPLUG_ENABLED;
    pthread_mutex_unlock(&mh->lock);
}

uint8_t memory_hotplug_status(Device *dev, unsigned slot)
{
    MemoryHotplug *mh = from_device(dev);
    uint8_t status;

    g_assert(slot < mh->n_slots);
    pthread_mutex_lock(&mh->lock);
    status = mh->slots[slot].status;
    pthread_mutex_unlock(&mh->lock);
    return status;
}

void memory_hotplug_wire(Device *dev, unsigned slots, IrqLine gpe)
{
    MemoryHotplug *mh = from_device(dev);

    g_assert(!dev->realized && slots > 0 && slots <= MEMORY_HOTPLUG_SLOTS_MAX);
    mh->n_slots = slots;
    mh->gpe = gpe;
    mh->slots = g_renew(Socket, mh->slots, slots);
    memset(mh->slots, 0, slots * sizeof(Socket));
}

void memory_hotplug_set_ops(Device *dev, const MemoryHotplugOps *ops, void *opaque)
{
    MemoryHotplug *mh = from_device(dev);

    mh->ops = ops;
    mh->opaque = opaque;
}

/* What is in the sockets stays; a guest that starts finds it by _STA, without being told. */
static void memory_hotplug_reset(Device *dev)
{
    MemoryHotplug *mh = from_device(dev);

    pthread_mutex_lock(&mh->lock);
    mh->selector = 0;
    mh->ost_event = 0;
    for (unsigned i = 0; i < mh->n_slots; i++) {
        mh->slots[i].status &= MEMORY_HOTPLUG_ENABLED;
    }
    pthread_mutex_unlock(&mh->lock);
}

static bool memory_hotplug_realize(Device *dev, GError **error)
{
    MemoryHotplug *mh = from_device(dev);

    g_assert(mh->n_slots > 0);
    device_add_region(dev, memory_region_new_io(dev->ms, &dev->obj, &hotplug_ops, mh,
                                                "acpi-memory-hotplug",
                                                MEMORY_HOTPLUG_REGION_SIZE));
    return true;
}

static void memory_hotplug_init(Device *dev)
{
    pthread_mutex_init(&from_device(dev)->lock, NULL);
}

static void memory_hotplug_finalize(Device *dev)
{
    MemoryHotplug *mh = from_device(dev);

    pthread_mutex_destroy(&mh->lock);
    g_free(mh->slots);
}

const DeviceClass memory_hotplug_device_class = {
    .name = "acpi-memory-hotplug",
    .description = "ACPI registers of the memory sockets",
    .instance_size = sizeof(MemoryHotplug),
    .init = memory_hotplug_init,
    .realize = memory_hotplug_realize,
    .reset = memory_hotplug_reset,
    .finalize = memory_hotplug_finalize,
};
DEVICE_REGISTER(memory_hotplug_device_class);
