/* SPDX-License-Identifier: MIT */
/* post-port: the port to which firmware and kernels write how far they got. */
#include "tessera/hw/misc/post-port.h"

#include <stdatomic.h>
#include "tessera/util/log.h"

/* @count: codes since reset; code i is at i % POST_PORT_HISTORY. No lock: single bytes. */
typedef struct PostPort {
    Device dev;
    _Atomic unsigned count;
    _Atomic uint8_t codes[POST_PORT_HISTORY];
} PostPort;

static MemTxResult post_port_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                                  MemTxAttrs attrs)
{
    PostPort *p = opaque;
    unsigned count = atomic_load(&p->count);

    *ret_value = count ? atomic_load(&p->codes[(count - 1) % POST_PORT_HISTORY]) : 0;
    return MEMTX_OK;
}

static MemTxResult post_port_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                   MemTxAttrs attrs)
{
    PostPort *p = opaque;
    unsigned i = atomic_fetch_add(&p->count, 1);

    atomic_store(&p->codes[i % POST_PORT_HISTORY], (uint8_t)value);
    log_item(LOG_POST, "code 0x%02x", (uint8_t)value);
    return MEMTX_OK;
}

static const MemoryRegionOps post_port_ops = {
    .read = post_port_read,
    .write = post_port_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 1 },
    .impl = { .min_access_size = 1, .max_access_size = 1 },
};

static void post_port_reset(Device *dev)
{
    atomic_store(&((PostPort *)dev)->count, 0);
}

static bool post_port_realize(Device *dev, GError **error)
{
    device_add_region(dev,
                      memory_region_new_io(dev->ms, &dev->obj, &post_port_ops, dev, "post", 1));
    return true;
}

unsigned post_port_codes(Device *dev, uint8_t *ret_codes)
{
    PostPort *p = (PostPort *)dev;
    unsigned count, n;

    g_assert(dev->cls == &post_port_device_class);
    count = atomic_load(&p->count);
    n = MIN(count, POST_PORT_HISTORY);
    for (unsigned i = 0; i < n; i++) {
        ret_codes[i] = atomic_load(&p->codes[(count - n + i) % POST_PORT_HISTORY]);
    }
    return n;
}

const DeviceClass post_port_device_class = {
    .name = "post-port",
    .description = "diagnostic port that remembers the last codes",
    .instance_size = sizeof(PostPort),
    .realize = post_port_realize,
    .reset = post_port_reset,
};
DEVICE_REGISTER(post_port_device_class);
