/* SPDX-License-Identifier: MIT */
/* vCPUs on the model KVM, with RAM, a device in memory and one at ports. */
#include "vcpu-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "../../../../src/accel/kvm/vcpu-internal.h"

#define PATIENCE_US (30 * G_USEC_PER_SEC)

const X86EntryState vcpu_fixture_entry = {
    .mode = X86_ENTRY_LONG_64,
    .rip = 0x100200,
    .rsp = 0x8000,
    .rsi = 0x7000,
    .rflags = X86_ENTRY_RFLAGS_1,
    .cr0 = X86_ENTRY_CR0_PE | X86_ENTRY_CR0_ET | X86_ENTRY_CR0_PG,
    .cr3 = 0x9000,
    .cr4 = X86_ENTRY_CR4_PAE,
    .efer = X86_ENTRY_EFER_LME | X86_ENTRY_EFER_LMA,
    .gdt_base = 0x6000,
    .gdt_limit = 31,
    .cs = { .limit = 0xffffffff, .selector = 0x10, .type = 11, .s = true, .l = true, .g = true,
            .present = true },
    .ds = { .limit = 0xffffffff, .selector = 0x18, .type = 3, .s = true, .db = true, .g = true,
            .present = true },
    .tr = { .limit = 0x67, .type = 11, .present = true },
};

static void on_triple_fault(void *opaque, unsigned cpu)
{
    atomic_fetch_add(&((VcpuFixture *)opaque)->triple_faults, 1);
}

static void on_system_event(void *opaque, unsigned cpu, unsigned type)
{
    VcpuFixture *f = opaque;

    f->last_system_event = type;
    atomic_fetch_add(&f->system_events, 1);
}

static void on_failed(void *opaque, unsigned cpu, const char *text)
{
    VcpuFixture *f = opaque;

    g_free(f->failure_text);
    f->failure_text = g_strdup(text);
    atomic_fetch_add(&f->failures, 1);
}

static void on_debug(void *opaque, unsigned cpu)
{
    VcpuFixture *f = opaque;

    vcpu_set_hold(f->set);
    atomic_fetch_add(&f->debugs, 1);
}

const VcpuOps vcpu_fixture_ops = {
    .triple_fault = on_triple_fault,
    .system_event = on_system_event,
    .failed = on_failed,
    .debug = on_debug,
};

static MemoryRegion *add_device(VcpuFixture *f, MemoryRegion *container, hwaddr at, ByteDevice *d)
{
    MemoryRegion *mr;

    byte_device_init(d);
    d->opaque = f;
    mr = memory_region_new_io(f->base->ms, NULL, &d->ops, d, "device", BYTE_DEVICE_SIZE);
    g_ptr_array_add(f->base->regions, mr);
    assert_true(memory_region_add_subregion(container, at, mr, NULL));
    return mr;
}

VcpuFixture *vcpu_fixture_new(bool irqchip)
{
    VcpuFixture *f = g_new0(VcpuFixture, 1);
    g_autoptr(GError) error = NULL;
    MemoryRegion *code;

    f->base = irqchip ? vm_fixture_new_detached_irqchip() : vm_fixture_new_detached();
    f->vm = f->base->vm;
    f->port_region = add_device(f, f->base->ports, PORT_BASE, &f->port);
    f->mmio_region = add_device(f, f->base->system, MMIO_BASE, &f->mmio);
    code = vm_fixture_ram(f->base, "code", 64 * KIB);
    vm_fixture_put(f->base, code, CODE_BASE, 0);
    f->code = ram_block_host(memory_region_ram_block(code));
    assert_true(kvm_attach_memory(f->base->kvm, f->base->memory, f->base->io, &error));
    f->model = cpu_model_new(f->base->kvm, "host", &error);
    assert_non_null(f->model);
    f->enabled_caps = model_kvm_count(KVM_ENABLE_CAP);
    return f;
}

void vcpu_fixture_free(VcpuFixture *f)
{
    vcpu_set_free(f->set);
    cpu_model_free(f->model);
    vm_fixture_free(f->base);
    g_free(f->failure_text);
    g_free(f);
}

void vcpu_fixture_make(VcpuFixture *f, unsigned count)
{
    g_autoptr(GError) error = NULL;

    f->set = vcpu_set_new(f->base->kvm, f->model, count, f->base->memory, f->base->io,
                          &vcpu_fixture_ops, f, &error);
    if (!f->set) {
        fail_msg("%s", error->message);
    }
}

void vcpu_fixture_reset(VcpuFixture *f)
{
    g_autoptr(GError) error = NULL;

    vcpu_set_pause(f->set);
    if (!vcpu_set_reset(f->set, &vcpu_fixture_entry, &error)) {
        fail_msg("%s", error->message);
    }
}

int vcpu_fixture_fd(VcpuFixture *f, unsigned cpu)
{
    return f->set->vcpus[cpu]->fd;
}

void vcpu_fixture_hook_hold(ByteDevice *d)
{
    vcpu_set_hold(((VcpuFixture *)d->opaque)->set);
}

static void wait_or_fail(gint64 since, const char *what)
{
    if (g_get_monotonic_time() - since > PATIENCE_US) {
        fail_msg("waited in vain for %s", what);
    }
    g_usleep(20);
}

void vcpu_fixture_wait_taken(VcpuFixture *f, unsigned cpu)
{
    gint64 since = g_get_monotonic_time();

    while (model_vcpu_exits_left(f->vm, cpu) > 0) {
        wait_or_fail(since, "a vCPU to take its exits");
    }
}

void vcpu_fixture_wait_exits(VcpuFixture *f, uint64_t n)
{
    gint64 since = g_get_monotonic_time();

    while (vcpu_set_stats(f->set).exits < n) {
        wait_or_fail(since, "exits to be counted");
    }
}

void vcpu_fixture_wait_event(VcpuFixture *f, _Atomic unsigned *event, unsigned n)
{
    gint64 since = g_get_monotonic_time();

    while (atomic_load(event) < n) {
        wait_or_fail(since, "a callback");
    }
}

int vcpu_fixture_setup(void **state)
{
    model_kvm_reset();
    *state = vcpu_fixture_new(true);
    return 0;
}

int vcpu_fixture_teardown(void **state)
{
    vcpu_fixture_free(*state);
    model_kvm_reset();
    return 0;
}
