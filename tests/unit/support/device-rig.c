/* SPDX-License-Identifier: MIT */
/* A machine of memory core, clock and wires only, for tests of devices. */
#include "device-rig.h"

#include <stdio.h>
#include <stdlib.h>
#include "tessera/util/range.h"

static void request_poweroff(void *opaque, MachineCause cause)
{
    DeviceRig *rig = opaque;

    rig->poweroffs++;
    rig->cause = cause;
}

static void request_reset(void *opaque, MachineCause cause)
{
    DeviceRig *rig = opaque;

    rig->resets++;
    rig->cause = cause;
}

static void request_exit(void *opaque, MachineCause cause, int status)
{
    DeviceRig *rig = opaque;

    rig->exits++;
    rig->cause = cause;
    rig->status = status;
}

void rig_init(DeviceRig *rig)
{
    *rig = (DeviceRig){ 0 };
    rig->ms = memory_system_new(NULL);
    rig->memory = memory_region_new_container(rig->ms, NULL, "memory", INT128_2_64);
    rig->io = memory_region_new_container(rig->ms, NULL, "io", 0x10000);
    rig->memory_as = address_space_new(rig->ms, rig->memory, "memory", NULL);
    rig->io_as = address_space_new(rig->ms, rig->io, "I/O", NULL);
    rig->clock = virtual_clock_new_manual();
    rig->control = (MachineControl){ request_poweroff, request_reset, request_exit, rig };
    rig->context = (DeviceContext){ rig->ms, rig->clock, &rig->control };
    rig->devices = g_ptr_array_new();
    rig->mappings = g_ptr_array_new();
}

void rig_done(DeviceRig *rig)
{
    for (guint i = 0; i < rig->mappings->len; i++) {
        MemoryRegion *mr = rig->mappings->pdata[i];

        g_assert(memory_region_del_subregion(memory_region_container(mr), mr, NULL));
    }
    for (guint i = 0; i < rig->devices->len; i++) {
        device_unrealize(rig->devices->pdata[i]);
    }
    address_space_free(rig->memory_as);
    address_space_free(rig->io_as);
    for (guint i = 0; i < rig->devices->len; i++) {
        device_unref(rig->devices->pdata[i]);
    }
    memory_region_release(rig->memory);
    memory_region_release(rig->io);
    memory_system_free(rig->ms);
    virtual_clock_free(rig->clock);
    g_ptr_array_free(rig->devices, TRUE);
    g_ptr_array_free(rig->mappings, TRUE);
}

Device *rig_new(DeviceRig *rig, const DeviceClass *cls)
{
    Device *dev = device_new(cls, &rig->context, NULL);

    g_ptr_array_add(rig->devices, dev);
    return dev;
}

void rig_start(DeviceRig *rig, Device *dev, const int *ports, unsigned count)
{
    g_autoptr(GError) error = NULL;

    device_realize(dev, &error);
    g_assert_no_error(error);
    for (unsigned i = 0; i < count; i++) {
        if (ports[i] >= 0) {
            memory_region_add_subregion(rig->io, ports[i], device_region(dev, i), &error);
            g_assert_no_error(error);
            g_ptr_array_add(rig->mappings, device_region(dev, i));
        }
    }
    device_reset(dev);
}

static void set_irq(void *opaque, unsigned n, bool level)
{
    RigIrq *irq = &((DeviceRig *)opaque)->irqs[n];

    if (!atomic_exchange(&irq->level, level) && level) {
        irq->rises++;
    }
}

IrqLine rig_irq(DeviceRig *rig, unsigned n)
{
    g_assert(n < RIG_IRQS);
    return (IrqLine){ .set = set_irq, .opaque = rig, .n = n };
}

uint8_t rig_inb(DeviceRig *rig, uint16_t port)
{
    return address_space_ldub(rig->io_as, port, MEMTXATTRS_NONE, NULL);
}

uint16_t rig_inw(DeviceRig *rig, uint16_t port)
{
    return address_space_lduw_le(rig->io_as, port, MEMTXATTRS_NONE, NULL);
}

uint32_t rig_inl(DeviceRig *rig, uint16_t port)
{
    return address_space_ldl_le(rig->io_as, port, MEMTXATTRS_NONE, NULL);
}

void rig_outb(DeviceRig *rig, uint16_t port, uint8_t value)
{
    address_space_stb(rig->io_as, port, value, MEMTXATTRS_NONE, NULL);
}

void rig_outw(DeviceRig *rig, uint16_t port, uint16_t value)
{
    address_space_stw_le(rig->io_as, port, value, MEMTXATTRS_NONE, NULL);
}

void rig_outl(DeviceRig *rig, uint16_t port, uint32_t value)
{
    address_space_stl_le(rig->io_as, port, value, MEMTXATTRS_NONE, NULL);
}

GRand *rig_rand(const char *test)
{
    const char *text = getenv("TESSERA_SEED");
    guint32 seed = text ? (guint32)strtoul(text, NULL, 0) : 20240611;

    printf("# %s: TESSERA_SEED=%u\n", test, seed);
    return g_rand_new_with_seed(seed);
}

void rig_fuzz(DeviceRig *rig, GRand *rand, uint16_t first, unsigned count, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t value = (uint64_t)g_rand_int(rand) << 32 | g_rand_int(rand);
        unsigned size = 1u << g_rand_int_range(rand, 0, 3);
        uint16_t port = first + g_rand_int_range(rand, 0, count);

        if (g_rand_int_range(rand, 0, 100) == 0) {
            virtual_clock_advance(rig->clock, g_rand_int_range(rand, 0, 2000000000));
        }
        address_space_rw(rig->io_as, port, MEMTXATTRS_NONE, &value, size,
                         g_rand_boolean(rand));
    }
}
