/* SPDX-License-Identifier: MIT */
/* vCPUs that run without pause while several threads pause, park and look: no wake-up is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../../src/accel/kvm/vcpu-internal.h"
#include "support/vcpu-fixture.h"

#define VCPUS    3
#define PATIENCE 60 /* seconds: then SIGALRM ends the test program, which is a failure */

/* A window on RAM that a vCPU's handler moves. */
#define WINDOW_AT (CODE_BASE + 0x100000)

static int setup(void **state)
{
    alarm(PATIENCE);
    model_kvm_reset();
    *state = vcpu_fixture_new(true);
    return 0;
}

static int teardown(void **state)
{
    vcpu_fixture_free(*state);
    model_kvm_reset();
    alarm(0);
    return 0;
}

static unsigned turns(void)
{
    const char *text = g_getenv("TESSERA_TURNS");

    return text ? (unsigned)atoi(text) : 2000;
}

static void fill_read(struct kvm_run *run, void *opaque)
{
    run->exit_reason = KVM_EXIT_MMIO;
    run->mmio.phys_addr = 0xe0000000; /* nobody's: no device that would count */
    run->mmio.len = 4;
    run->mmio.is_write = 0;
}

static void fill_switch(struct kvm_run *run, void *opaque)
{
    run->exit_reason = KVM_EXIT_IO;
    run->io.direction = KVM_EXIT_IO_OUT;
    run->io.size = 1;
    run->io.port = 0x600;
    run->io.count = 1;
    run->io.data_offset = 4096;
    *((uint8_t *)run + 4096) = 0;
}

static void complete(struct kvm_run *run, void *opaque)
{
}

static void run_endlessly(VcpuFixture *f, void (*fill)(struct kvm_run *run, void *opaque))
{
    vcpu_fixture_make(f, VCPUS);
    vcpu_fixture_reset(f);
    for (unsigned cpu = 0; cpu < VCPUS; cpu++) {
        model_vcpu_set_endless(f->vm, cpu,
                               &(ModelExit){ .fill = fill, .complete = complete });
    }
    vcpu_set_resume(f->set);
}

/* The holders. Each looks, while it holds, whether somebody is in KVM_RUN. */

typedef struct Holder {
    VcpuFixture *f;
    unsigned turns;
    _Atomic unsigned violations;
} Holder;

static void check_outside(Holder *h)
{
    for (unsigned i = 0; i < 3; i++) {
        if (model_vm_vcpus_running(h->f->vm) != 0) {
            atomic_fetch_add(&h->violations, 1);
        }
        g_thread_yield();
    }
}

static void *pauser(void *opaque)
{
    Holder *h = opaque;

    for (unsigned i = 0; i < h->turns; i++) {
        vcpu_set_pause(h->f->set);
        check_outside(h);
        vcpu_set_resume(h->f->set);
        if (i % 3 == 0) {
            g_usleep(20);
        }
    }
    return NULL;
}

static void *parker(void *opaque)
{
    Holder *h = opaque;

    for (unsigned i = 0; i < h->turns; i++) {
        vcpu_set_park(h->f->set);
        check_outside(h);
        vcpu_set_unpark(h->f->set);
        if (i % 5 == 0) {
            g_usleep(20);
        }
    }
    return NULL;
}

static void *looker(void *opaque)
{
    Holder *h = opaque;
    g_autoptr(GString) text = g_string_new(NULL);

    for (unsigned i = 0; i < h->turns; i++) {
        g_string_truncate(text, 0);
        if (!vcpu_set_dump_registers(h->f->set, i % VCPUS, text, NULL) || text->len == 0) {
            atomic_fetch_add(&h->violations, 1);
        }
    }
    return NULL;
}

static void *interrupter(void *opaque)
{
    Holder *h = opaque;

    for (unsigned i = 0; i < h->turns; i++) {
        vcpu_set_inject_nmi(h->f->set);
    }
    return NULL;
}

static void hold_from(VcpuFixture *f, void *(*const *bodies)(void *), unsigned n)
{
    Holder h = { .f = f, .turns = turns() };
    GThread *threads[8];

    assert_true(n <= G_N_ELEMENTS(threads));
    for (unsigned i = 0; i < n; i++) {
        threads[i] = g_thread_new("holder", bodies[i], &h);
    }
    for (unsigned i = 0; i < n; i++) {
        g_thread_join(threads[i]);
    }
    assert_int_equal(h.violations, 0);
    assert_int_equal(model_vm_rude_calls(f->vm), 0);
}

/* All run on when the last hold is gone: a vCPU whose wake-up was lost would count no exits. */
static void check_all_run(VcpuFixture *f)
{
    assert_int_equal(atomic_load(&f->set->hold), 0);
    for (unsigned cpu = 0; cpu < VCPUS; cpu++) {
        model_vcpu_push_reason(f->vm, cpu, KVM_EXIT_NMI);
        vcpu_fixture_wait_taken(f, cpu);
    }
}

static void test_pause_alone(void **state)
{
    VcpuFixture *f = *state;
    void *(*const bodies[])(void *) = { pauser };

    run_endlessly(f, fill_read);
    hold_from(f, bodies, G_N_ELEMENTS(bodies));
    check_all_run(f);
}

static void test_parks_from_two_threads(void **state)
{
    VcpuFixture *f = *state;
    void *(*const bodies[])(void *) = { parker, parker };

    run_endlessly(f, fill_read);
    hold_from(f, bodies, G_N_ELEMENTS(bodies));
    check_all_run(f);
}

static void test_pause_park_look_and_nmi_together(void **state)
{
    VcpuFixture *f = *state;
    void *(*const bodies[])(void *) = { pauser, parker, parker, looker, interrupter };

    run_endlessly(f, fill_read);
    hold_from(f, bodies, G_N_ELEMENTS(bodies));
    check_all_run(f);
}

/* Halted vCPUs, nothing in their queues: only the kick ends KVM_RUN. */
static void test_pause_of_halted_vcpus(void **state)
{
    VcpuFixture *f = *state;

    vcpu_fixture_make(f, VCPUS);
    vcpu_fixture_reset(f);
    for (unsigned i = 0; i < turns(); i++) {
        vcpu_set_resume(f->set);
        if (i % 2) {
            g_usleep(i % 100);
        }
        vcpu_set_pause(f->set);
        assert_int_equal(model_vm_vcpus_running(f->vm), 0);
    }
}

/* A handler that stays in its call until it is let out. */
typedef struct Gate {
    VcpuFixture *f;
    _Atomic bool inside;
    _Atomic bool open;
    _Atomic bool paused;
} Gate;

static MemTxResult gate_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                             MemTxAttrs attrs)
{
    Gate *g = opaque;

    atomic_store(&g->inside, true);
    while (!atomic_load(&g->open)) {
        g_usleep(20);
    }
    *ret_value = 0x77;
    return MEMTX_OK;
}

static MemTxResult gate_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                              MemTxAttrs attrs)
{
    return MEMTX_OK;
}

static const MemoryRegionOps gate_ops = { .read = gate_read, .write = gate_write };

static void *pause_and_tell(void *opaque)
{
    Gate *g = opaque;

    vcpu_set_pause(g->f->set);
    atomic_store(&g->paused, true);
    return NULL;
}

/* A park keeps the vCPU from completing its exit: the pause is not over before the park is. */
static void test_pause_waits_for_a_park_to_complete_the_exit(void **state)
{
    VcpuFixture *f = *state;
    Gate g = { .f = f };
    MemoryRegion *port = memory_region_new_io(f->base->ms, NULL, &gate_ops, &g, "gate", 1);
    uint8_t answer = 0;
    GThread *thread;

    g_ptr_array_add(f->base->regions, port);
    assert_true(memory_region_add_subregion(f->base->ports, 0x600, port, NULL));
    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    model_vcpu_push_io(f->vm, 0, false, 0x600, 1, 1, &answer);
    vcpu_set_resume(f->set);
    while (!atomic_load(&g.inside)) {
        g_usleep(20);
    }
    vcpu_set_park(f->set); /* at once: who is in a handler is out of the guest */
    thread = g_thread_new("pauser", pause_and_tell, &g);
    while (!vcpu_set_paused(f->set)) {
        g_usleep(20);
    }
    atomic_store(&g.open, true);
    g_usleep(20000);
    assert_false(atomic_load(&g.paused));
    vcpu_set_unpark(f->set);
    g_thread_join(thread);
    assert_int_equal(answer, 0x77);
}

/* A device whose every write shows other RAM in the window: one slot goes, one comes in its place. */
typedef struct Switch {
    MemoryRegion *window;
    _Atomic unsigned commits;
    _Atomic unsigned failures;
} Switch;

static MemTxResult switch_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                MemTxAttrs attrs)
{
    Switch *s = opaque;
    unsigned n = atomic_fetch_add(&s->commits, 1);

    if (!memory_region_set_alias_offset(s->window, n % 2 * 0x10000, NULL)) {
        atomic_fetch_add(&s->failures, 1);
    }
    return MEMTX_OK;
}

static MemTxResult switch_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                               MemTxAttrs attrs)
{
    *ret_value = 0;
    return MEMTX_OK;
}

static const MemoryRegionOps switch_ops = { .read = switch_read, .write = switch_write };

/*
 * Three vCPUs edit the map from their handlers, each parking the two others, while the main thread
 * pauses all: whoever commits does not wait for itself, whoever waits for the machine lock is out.
 */
static void test_commits_from_handlers(void **state)
{
    VcpuFixture *f = *state;
    MemoryRegion *ram = vm_fixture_ram(f->base, "pool", 0x20000);
    Switch s = { .window = vm_fixture_alias(f->base, "window", ram, 0, 0x10000) };
    MemoryRegion *port = memory_region_new_io(f->base->ms, NULL, &switch_ops, &s, "switch", 1);
    KvmStats stats;

    g_ptr_array_add(f->base->regions, port);
    assert_true(memory_region_add_subregion(f->base->ports, 0x600, port, NULL));
    vm_fixture_put(f->base, s.window, WINDOW_AT, 0);
    run_endlessly(f, fill_switch);
    for (unsigned i = 0; i < 200; i++) {
        g_usleep(500);
        vcpu_set_pause(f->set);
        assert_int_equal(model_vm_vcpus_running(f->vm), 0);
        vcpu_set_resume(f->set);
    }
    vcpu_set_pause(f->set);
    stats = kvm_stats(f->base->kvm);
    assert_int_equal(s.failures, 0);
    assert_true(s.commits > 100);
    assert_true(stats.parks > 50);
    assert_int_equal(model_vm_deletions_while_running(f->vm), 0);
    vm_fixture_check(f->base);
    vcpu_set_free(f->set);
    f->set = NULL;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pause_alone),
        TEST(test_parks_from_two_threads),
        TEST(test_pause_park_look_and_nmi_together),
        TEST(test_pause_of_halted_vcpus),
        TEST(test_pause_waits_for_a_park_to_complete_the_exit),
        TEST(test_commits_from_handlers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
