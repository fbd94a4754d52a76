/* SPDX-License-Identifier: MIT */
/* For tests of the access path: an address space, RAM in it, and a device that is a row of bytes. */
#include "access-fixture.h"

#include <stdio.h>
#include <string.h>

static void record(ByteDevice *d, hwaddr offset, unsigned size, bool is_write, uint64_t value)
{
    unsigned call = __atomic_fetch_add(&d->n_calls, 1, __ATOMIC_RELAXED); /* vCPUs at once */

    if (call < BYTE_DEVICE_CALLS) {
        d->calls[call] = (ByteDeviceCall){ offset, size, is_write, value };
    } else {
        __atomic_store_n(&d->n_calls, BYTE_DEVICE_CALLS, __ATOMIC_RELAXED);
    }
}

/* Where byte @i of an access of @size bytes stands in its value. */
static unsigned shift_of(const ByteDevice *d, unsigned i, unsigned size)
{
    return 8 * (d->ops.endianness == DEVICE_BIG_ENDIAN ? size - 1 - i : i);
}

static MemTxResult byte_device_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                                    MemTxAttrs attrs)
{
    ByteDevice *d = opaque;
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        uint64_t byte = offset + i < BYTE_DEVICE_SIZE ? d->bytes[offset + i] : 0;

        value |= byte << shift_of(d, i, size);
    }
    record(d, offset, size, false, value);
    if (d->hook) {
        d->hook(d);
    }
    *ret_value = value;
    return d->answer;
}

static MemTxResult byte_device_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                     MemTxAttrs attrs)
{
    ByteDevice *d = opaque;

    for (unsigned i = 0; i < size; i++) {
        if (offset + i < BYTE_DEVICE_SIZE) {
            d->bytes[offset + i] = (uint8_t)(value >> shift_of(d, i, size));
        }
    }
    record(d, offset, size, true, value);
    if (d->hook) {
        d->hook(d);
    }
    return d->answer;
}

void byte_device_init(ByteDevice *d)
{
    *d = (ByteDevice){
        .ops = {
            .read = byte_device_read,
            .write = byte_device_write,
            .valid = { .min_access_size = 1, .max_access_size = 8 },
            .impl = { .min_access_size = 1, .max_access_size = 8 },
        },
    };
    for (unsigned i = 0; i < BYTE_DEVICE_SIZE; i++) {
        d->bytes[i] = (uint8_t)(0xa0 + i);
    }
}

AccessFixture *access_fixture_new(void)
{
    AccessFixture *f = g_new0(AccessFixture, 1);

    f->ms = memory_system_new(NULL);
    f->root = memory_region_new_container(f->ms, NULL, "root", INT128_2_64);
    f->as = address_space_new(f->ms, f->root, "test", NULL);
    f->regions = g_ptr_array_new();
    f->blocks = g_ptr_array_new();
    return f;
}

void access_fixture_free(AccessFixture *f)
{
    while (f->regions->len) {
        access_fixture_remove(f, g_ptr_array_index(f->regions, 0));
    }
    address_space_free(f->as);
    memory_region_release(f->root);
    for (guint i = 0; i < f->blocks->len; i++) {
        ram_block_unref(g_ptr_array_index(f->blocks, i));
    }
    g_ptr_array_free(f->regions, TRUE);
    g_ptr_array_free(f->blocks, TRUE);
    memory_system_free(f->ms);
    g_free(f);
}

MemoryRegion *access_fixture_add(AccessFixture *f, hwaddr addr, MemoryRegion *mr)
{
    g_autoptr(GError) error = NULL;

    if (!memory_region_add_subregion(f->root, addr, mr, &error)) {
        g_error("%s", error->message);
    }
    g_ptr_array_add(f->regions, mr);
    return mr;
}

void access_fixture_remove(AccessFixture *f, MemoryRegion *mr)
{
    if (memory_region_container(mr)) {
        g_autoptr(GError) error = NULL;

        if (!memory_region_del_subregion(f->root, mr, &error)) {
            g_error("%s", error->message);
        }
    }
    g_ptr_array_remove(f->regions, mr);
    memory_region_release(mr);
}

RAMBlock *access_fixture_block(AccessFixture *f, uint64_t size)
{
    g_autofree char *name = g_strdup_printf("block%u", f->blocks->len);
    g_autoptr(GError) error = NULL;
    RAMBlock *block = ram_block_new(f->ms, name, size, 0, 0, &error);

    if (!block) {
        g_error("%s", error->message);
    }
    g_ptr_array_add(f->blocks, block);
    return block;
}

MemoryRegion *access_fixture_add_ram(AccessFixture *f, hwaddr addr, uint64_t size)
{
    RAMBlock *block = access_fixture_block(f, size);

    return access_fixture_add(f, addr, memory_region_new_ram(f->ms, NULL, "ram", block));
}

MemoryRegion *access_fixture_add_device(AccessFixture *f, hwaddr addr, uint64_t size, ByteDevice *d)
{
    return access_fixture_add(f, addr,
                              memory_region_new_io(f->ms, NULL, &d->ops, d, "device", size));
}

uint8_t *access_fixture_host(const MemoryRegion *mr)
{
    return ram_block_host(memory_region_ram_block(mr));
}

uint32_t access_fixture_seed(void)
{
    const char *text = g_getenv("TESSERA_SEED");
    uint32_t seed = text ? (uint32_t)g_ascii_strtoull(text, NULL, 0) : 20260;

    fprintf(stderr, "TESSERA_SEED=%u\n", seed);
    return seed;
}

int access_fixture_setup(void **state)
{
    *state = access_fixture_new();
    return 0;
}

int access_fixture_teardown(void **state)
{
    access_fixture_free(*state);
    return 0;
}

void dirty_log_note(RAMBlockNotifier *n, RAMBlock *block, uint64_t block_off, uint64_t len)
{
    DirtyLog *log = (DirtyLog *)n;

    log->block = block;
    log->off = block_off;
    log->len = len;
    log->count++;
}

void fill_bytes(uint8_t *buf, size_t len, uint8_t first)
{
    for (size_t i = 0; i < len; i++) {
        buf[i] = (uint8_t)(first + 7 * i);
    }
}
