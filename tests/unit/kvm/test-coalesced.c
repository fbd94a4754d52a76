/* SPDX-License-Identifier: MIT */
/* Coalesced ranges that follow the address spaces; the ring and its draining. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "support/vm-fixture.h"
#include "tessera/util/error.h"
#include "tessera/util/rcu.h"

/* Writes, in the order in which the two devices saw them. */
typedef struct Machine {
    VmFixture *f;
    MemoryRegion *device; /* at 0x10000 */
    MemoryRegion *port;   /* at port 0x100 */
    GArray *seen;         /* uint64_t: address << 32 | value; bit 63: a port */
    int vcpu_fd;
    void *run;
    uint64_t nested;      /* what a drain inside a handler returned, -1: none made */
    bool drain_inside;
    bool lock_inside;
    pthread_mutex_t gate; /* held by a test that wants the handler to wait */
    _Atomic bool waiting;
} Machine;

static void note(Machine *m, bool pio, hwaddr offset, uint64_t value)
{
    uint64_t entry = (uint64_t)pio << 63 | offset << 32 | value;

    if (m->drain_inside) {
        m->nested = kvm_coalesced_drain(m->f->kvm, m->f->memory, m->f->io);
    }
    if (m->lock_inside) {
        memory_system_lock(m->f->ms);
        memory_system_unlock(m->f->ms);
    }
    atomic_store(&m->waiting, true);
    pthread_mutex_lock(&m->gate);
    g_array_append_val(m->seen, entry);
    pthread_mutex_unlock(&m->gate);
}

static MemTxResult device_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                               MemTxAttrs attrs)
{
    *ret_value = 0;
    return MEMTX_OK;
}

static MemTxResult device_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                MemTxAttrs attrs)
{
    note(opaque, false, offset, value);
    return MEMTX_OK;
}

static MemTxResult port_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                              MemTxAttrs attrs)
{
    note(opaque, true, offset, value);
    return MEMTX_OK;
}

static const MemoryRegionOps device_ops = { .read = device_read, .write = device_write };
static const MemoryRegionOps port_ops = { .read = device_read, .write = port_write };

static int setup(void **state)
{
    Machine *m = g_new0(Machine, 1);

    model_kvm_reset();
    m->f = vm_fixture_new();
    m->seen = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    m->nested = UINT64_MAX;
    pthread_mutex_init(&m->gate, NULL);
    m->device = memory_region_new_io(m->f->ms, NULL, &device_ops, m, "device", 0x1000);
    m->port = memory_region_new_io(m->f->ms, NULL, &port_ops, m, "port", 0x10);
    g_ptr_array_add(m->f->regions, m->device);
    g_ptr_array_add(m->f->regions, m->port);
    vm_fixture_put(m->f, m->device, 0x10000, 0);
    assert_true(memory_region_add_subregion(m->f->ports, 0x100, m->port, NULL));
    m->vcpu_fd = kvm_vm_ioctl(m->f->kvm, KVM_CREATE_VCPU, NULL);
    assert_true(m->vcpu_fd >= 0);
    m->run = mmap(NULL, m->f->kvm->caps.vcpu_mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED,
                  m->vcpu_fd, 0);
    assert_ptr_not_equal(m->run, MAP_FAILED);
    kvm_coalesced_set_ring(m->f->kvm,
                           (void *)((char *)m->run + m->f->kvm->caps.coalesced_page * 4096));
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    Machine *m = *state;

    kvm_coalesced_set_ring(m->f->kvm, NULL);
    munmap(m->run, m->f->kvm->caps.vcpu_mmap_size);
    close(m->vcpu_fd);
    vm_fixture_free(m->f);
    g_array_unref(m->seen);
    pthread_mutex_destroy(&m->gate);
    g_free(m);
    model_kvm_reset();
    return 0;
}

static struct kvm_coalesced_mmio_zone zone(Machine *m, guint n)
{
    assert_true(n < model_vm_zones(m->f->vm)->len);
    return g_array_index(model_vm_zones(m->f->vm), struct kvm_coalesced_mmio_zone, n);
}

static guint zones(Machine *m)
{
    return model_vm_zones(m->f->vm)->len;
}

static uint64_t drain(Machine *m)
{
    return kvm_coalesced_drain(m->f->kvm, m->f->memory, m->f->io);
}

static void guest_writes(Machine *m, bool pio, uint64_t addr, uint64_t data)
{
    assert_int_equal(model_vm_guest_write(m->f->vm, pio, addr, 4, data), MODEL_WRITE_COALESCED);
}

/* --- Zones --- */

static void test_zones_follow_the_spaces(void **state)
{
    Machine *m = *state;

    assert_true(memory_region_add_coalescing(m->device, 0x100, 0x80, NULL));
    assert_true(memory_region_add_coalescing(m->port, 0, 4, NULL));
    assert_int_equal(zones(m), 2);
    assert_int_equal(zone(m, 0).addr, 0x10100);
    assert_int_equal(zone(m, 0).size, 0x80);
    assert_int_equal(zone(m, 0).pio, 0);
    assert_int_equal(zone(m, 1).addr, 0x100);
    assert_int_equal(zone(m, 1).pio, 1);
    assert_true(memory_region_set_address(m->device, 0x20000, NULL));
    assert_int_equal(zones(m), 2);
    assert_int_equal(memory_system_last_stats(m->f->ms).ioctls, 2);
    assert_int_equal(zone(m, 1).addr, 0x20100);
    assert_true(memory_region_clear_coalescing(m->device, NULL));
    assert_true(memory_region_set_enabled(m->port, false, NULL));
    assert_int_equal(zones(m), 0);
}

/* What an overlay hides is the overlay's: its writes leave the guest. */
static void test_zones_are_cut_by_an_overlay(void **state)
{
    Machine *m = *state;
    MemoryRegion *overlay = vm_fixture_io(m->f, "overlay", 0x10);

    assert_true(memory_region_add_coalescing(m->device, 0x100, 0x100, NULL));
    vm_fixture_put(m->f, overlay, 0x10180, 1);
    assert_int_equal(model_vm_guest_write(m->f->vm, false, 0x10180, 4, 1), MODEL_WRITE_EXIT);
    guest_writes(m, false, 0x10100, 1);
    guest_writes(m, false, 0x101f0, 1);
    assert_true(memory_region_set_enabled(overlay, false, NULL));
    guest_writes(m, false, 0x10180, 1);
    assert_int_equal(drain(m), 3);
}

static void test_zones_untouched_by_other_edits(void **state)
{
    Machine *m = *state;

    assert_true(memory_region_add_coalescing(m->device, 0x100, 0x80, NULL));
    model_kvm_reset_counts();
    vm_fixture_put(m->f, vm_fixture_ram(m->f, "ram", 0x10000), 0x100000, 0);
    assert_int_equal(model_kvm_calls(), 1);
}

static void test_zones_failure_undoes_all(void **state)
{
    Machine *m = *state;

    assert_true(memory_region_add_coalescing(m->device, 0x100, 0x80, NULL));
    for (unsigned n = 1; n <= 3; n++) {
        g_autoptr(GError) error = NULL;

        memory_region_transaction_begin(m->f->ms);
        assert_true(memory_region_clear_coalescing(m->device, NULL));
        assert_true(memory_region_add_coalescing(m->device, 0x200, 0x80, NULL));
        assert_true(memory_region_add_coalescing(m->device, 0x300, 0x80, NULL));
        model_kvm_fail_nth(n, ENOSPC, false);
        assert_false(memory_region_transaction_commit(m->f->ms, &error));
        assert_non_null(strstr(error->message, n == 1 ? "give up" : "take"));
        assert_int_equal(zones(m), 1);
        assert_int_equal(zone(m, 0).addr, 0x10100);
        assert_int_equal(m->f->broken, 0);
    }
}

static void test_zones_failure_to_undo_breaks_the_vm(void **state)
{
    Machine *m = *state;

    assert_true(memory_region_add_coalescing(m->device, 0x100, 0x80, NULL));
    model_kvm_fail_nth(2, EIO, true);
    assert_false(memory_region_set_address(m->device, 0x20000, NULL));
    model_kvm_no_faults();
    assert_int_equal(m->f->broken, 1);
    /* The next commit there works from what the kernel has. */
    assert_true(memory_region_set_enabled(m->device, false, NULL));
    assert_int_equal(zones(m), 0);
}

static void test_zones_without_the_capability(void **state)
{
    VmFixture *f;
    MemoryRegion *device;

    model_kvm_reset();
    model_kvm_set_cap(KVM_CAP_COALESCED_MMIO, 0);
    f = vm_fixture_new();
    device = vm_fixture_io(f, "device", 0x1000);
    vm_fixture_put(f, device, 0x10000, 0);
    assert_true(memory_region_add_coalescing(device, 0, 0x10, NULL));
    assert_int_equal(model_kvm_count(KVM_REGISTER_COALESCED_MMIO), 0);
    kvm_coalesced_set_ring(f->kvm, (void *)f);
    assert_false(kvm_coalesced_pending(f->kvm));
    vm_fixture_free(f);
    model_kvm_reset();
}

/* --- The ring --- */

static void test_drain_empty(void **state)
{
    Machine *m = *state;

    assert_false(kvm_coalesced_pending(m->f->kvm));
    assert_int_equal(drain(m), 0);
}

static void test_drain_in_order(void **state)
{
    Machine *m = *state;

    assert_true(memory_region_add_coalescing(m->device, 0, 0x1000, NULL));
    assert_true(memory_region_add_coalescing(m->port, 0, 0x10, NULL));
    for (unsigned i = 0; i < 40; i++) {
        guest_writes(m, i % 3 == 0, i % 3 == 0 ? 0x104 : 0x10008, i);
    }
    assert_true(kvm_coalesced_pending(m->f->kvm));
    assert_int_equal(drain(m), 40);
    assert_false(kvm_coalesced_pending(m->f->kvm));
    assert_int_equal(m->seen->len, 40);
    for (uint64_t i = 0; i < 40; i++) {
        uint64_t expected = i % 3 == 0 ? 1ULL << 63 | 4ULL << 32 | i : 8ULL << 32 | i;

        assert_true(g_array_index(m->seen, uint64_t, i) == expected);
    }
}

/* 169 entries fill it, and then the write is an exit; it wraps around its end. */
static void test_drain_full_and_around_the_end(void **state)
{
    Machine *m = *state;

    assert_true(memory_region_add_coalescing(m->device, 0, 0x1000, NULL));
    for (unsigned round = 0; round < 5; round++) {
        g_array_set_size(m->seen, 0);
        for (uint64_t i = 0; i < 169; i++) {
            guest_writes(m, false, 0x10000, i);
        }
        assert_int_equal(model_vm_guest_write(m->f->vm, false, 0x10000, 4, 0), MODEL_WRITE_EXIT);
        assert_int_equal(drain(m), 169);
        for (uint64_t i = 0; i < 169; i++) {
            assert_true(g_array_index(m->seen, uint64_t, i) == i);
        }
    }
}

/* A handler that asks for a drain is inside one: it gets 0 and no deadlock. */
static void test_drain_inside_a_handler(void **state)
{
    Machine *m = *state;

    assert_true(memory_region_add_coalescing(m->device, 0, 0x1000, NULL));
    m->drain_inside = true;
    m->lock_inside = true;
    guest_writes(m, false, 0x10000, 1);
    guest_writes(m, false, 0x10000, 2);
    assert_int_equal(drain(m), 2);
    assert_int_equal(m->nested, 0);
    assert_int_equal(m->seen->len, 2);
}

/* The zone goes while writes are queued: they reach what is there now, or nothing. */
static void test_drain_after_the_region_went(void **state)
{
    Machine *m = *state;

    assert_true(memory_region_add_coalescing(m->device, 0, 0x1000, NULL));
    guest_writes(m, false, 0x10000, 1);
    assert_true(memory_region_set_enabled(m->device, false, NULL));
    assert_int_equal(drain(m), 1);
    assert_int_equal(m->seen->len, 0);
    assert_true(memory_region_set_enabled(m->device, true, NULL));
}

static void *drain_thread(void *opaque)
{
    drain(opaque);
    rcu_thread_unregister();
    return NULL;
}

/* A second thread that drains returns only when the first one's write has reached its device. */
static void test_drain_busy_waits(void **state)
{
    Machine *m = *state;
    pthread_t first, second;

    assert_true(memory_region_add_coalescing(m->device, 0, 0x1000, NULL));
    guest_writes(m, false, 0x10000, 1);
    pthread_mutex_lock(&m->gate);
    assert_int_equal(pthread_create(&first, NULL, drain_thread, m), 0);
    while (!atomic_load(&m->waiting)) {
        usleep(100);
    }
    /* The entry is being written: it is still pending, so that nobody passes it. */
    assert_true(kvm_coalesced_pending(m->f->kvm));
    assert_int_equal(pthread_create(&second, NULL, drain_thread, m), 0);
    assert_int_equal(m->seen->len, 0);
    pthread_mutex_unlock(&m->gate);
    pthread_join(second, NULL);
    assert_int_equal(m->seen->len, 1);
    pthread_join(first, NULL);
    assert_int_equal(m->seen->len, 1);
}

/* Two that drain while a third writes: every write arrives once, in order. */
static _Atomic bool drainers_stop;

static void *drain_until_stopped(void *opaque)
{
    Machine *m = opaque;

    while (!atomic_load(&drainers_stop)) {
        if (kvm_coalesced_pending(m->f->kvm)) {
            drain(m);
        }
    }
    rcu_thread_unregister();
    return NULL;
}

static void test_drain_two_threads_keep_the_order(void **state)
{
    Machine *m = *state;
    pthread_t threads[2];

    assert_true(memory_region_add_coalescing(m->device, 0, 0x1000, NULL));
    atomic_store(&drainers_stop, false);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, drain_until_stopped, m), 0);
    }
    for (uint64_t i = 0; i < 20000; i++) {
        while (model_vm_guest_write(m->f->vm, false, 0x10000, 4, i) != MODEL_WRITE_COALESCED) {
            sched_yield();
        }
    }
    while (kvm_coalesced_pending(m->f->kvm)) {
        sched_yield();
    }
    atomic_store(&drainers_stop, true);
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(m->seen->len, 20000);
    for (uint64_t i = 0; i < 20000; i++) {
        assert_true(g_array_index(m->seen, uint64_t, i) == i);
    }
}

int main(void)
{
#define WITH_MACHINE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_MACHINE(test_zones_follow_the_spaces),
        WITH_MACHINE(test_zones_are_cut_by_an_overlay),
        WITH_MACHINE(test_zones_untouched_by_other_edits),
        WITH_MACHINE(test_zones_failure_undoes_all),
        WITH_MACHINE(test_zones_failure_to_undo_breaks_the_vm),
        cmocka_unit_test(test_zones_without_the_capability),
        WITH_MACHINE(test_drain_empty),
        WITH_MACHINE(test_drain_in_order),
        WITH_MACHINE(test_drain_full_and_around_the_end),
        WITH_MACHINE(test_drain_inside_a_handler),
        WITH_MACHINE(test_drain_after_the_region_went),
        WITH_MACHINE(test_drain_busy_waits),
        WITH_MACHINE(test_drain_two_threads_keep_the_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
