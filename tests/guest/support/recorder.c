/* SPDX-License-Identifier: MIT */
/* A device that writes down each access. */
#include "guest.h"

#include <inttypes.h>

uint64_t recorder_value(hwaddr offset, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value |= (uint64_t)(uint8_t)(offset + i + 0x10) << (8 * i);
    }
    return value;
}

static void record(Recorder *r, const Access *access)
{
    pthread_mutex_lock(&r->lock);
    if (r->count < RECORDER_MAX) {
        r->accesses[r->count] = *access;
    }
    r->count++;
    pthread_mutex_unlock(&r->lock);
    if (r->hook) {
        r->hook(r, access);
    }
}

static MemTxResult recorder_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                                 MemTxAttrs attrs)
{
    Recorder *r = opaque;
    Access access = {.offset = offset, .size = size};

    pthread_mutex_lock(&r->lock);
    access.value = r->answer ? r->answer : recorder_value(offset, size);
    pthread_mutex_unlock(&r->lock);
    *ret_value = access.value;
    record(r, &access);
    return MEMTX_OK;
}

static MemTxResult recorder_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                  MemTxAttrs attrs)
{
    Access access = {.offset = offset, .value = value, .size = size, .is_write = true};

    record(opaque, &access);
    return MEMTX_OK;
}

static const MemoryRegionOps recorder_ops = {
    .read = recorder_read,
    .write = recorder_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {.min_access_size = 1, .max_access_size = 8, .unaligned = true},
    .impl = {.min_access_size = 1, .max_access_size = 8, .unaligned = true},
};

Recorder *recorder_new(Guest *guest, MemoryRegion *container, hwaddr addr, uint64_t size,
                       int priority)
{
    Recorder *r = g_new0(Recorder, 1);

    pthread_mutex_init(&r->lock, NULL);
    r->region = memory_region_new_io(guest->ms, NULL, &recorder_ops, r, "recorder", size);
    edit(memory_region_add_subregion_overlap(container, addr, r->region, priority, EDIT_ERROR));
    return r;
}

void recorder_free(Recorder *r)
{
    MemoryRegion *container = memory_region_container(r->region);

    if (container) {
        edit(memory_region_del_subregion(container, r->region, EDIT_ERROR));
    }
    memory_region_release(r->region);
    pthread_mutex_destroy(&r->lock);
    g_free(r);
}

void recorder_assert_at(Recorder *r, unsigned i, bool is_write, hwaddr offset, unsigned size,
                        uint64_t value, const char *file, int line)
{
    const Access *a = &r->accesses[i];

    if (i >= r->count) {
        print_error("access %u: there were only %u\n", i, r->count);
        _fail(file, line);
    }
    if (a->is_write != is_write || a->offset != offset || a->size != size || a->value != value) {
        print_error("access %u: %s of %u bytes at 0x%" PRIx64 ", value 0x%" PRIx64
                    "; expected: %s of %u at 0x%" PRIx64 ", value 0x%" PRIx64 "\n",
                    i, a->is_write ? "write" : "read", a->size, a->offset, a->value,
                    is_write ? "write" : "read", size, offset, value);
        _fail(file, line);
    }
}
