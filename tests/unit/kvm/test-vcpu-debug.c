/* SPDX-License-Identifier: MIT */
/* vCPUs under a debugger, on the model KVM: what the kernel is told, and what its exits mean. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "../../../src/accel/kvm/vcpu-internal.h"
#include "support/vcpu-fixture.h"
#include "tessera/accel/kvm/vcpu-debug.h"
#include "tessera/util/error.h"

#define CPUS 3

static int setup(void **state)
{
    VcpuFixture *f;

    vcpu_fixture_setup(state);
    f = *state;
    vcpu_fixture_make(f, CPUS);
    vcpu_fixture_reset(f);
    return 0;
}

/* What the kernel was told last. */
static const struct kvm_guest_debug *told(VcpuFixture *f, unsigned cpu)
{
    const GByteArray *a = model_vcpu_state(f->vm, cpu, KVM_SET_GUEST_DEBUG);

    return a ? (const struct kvm_guest_debug *)(const void *)a->data : NULL;
}

static void prepare(VcpuFixture *f, const VcpuDebugPlan *plan, VcpuDebugAction a0,
                    VcpuDebugAction a1, VcpuDebugAction a2)
{
    const VcpuDebugAction actions[CPUS] = { a0, a1, a2 };
    g_autoptr(GError) error = NULL;

    if (!vcpu_debug_prepare(f->set, plan, actions, &error)) {
        fail_msg("%s", error->message);
    }
}

#define ALL_RUN VCPU_DEBUG_RUN, VCPU_DEBUG_RUN, VCPU_DEBUG_RUN

static const hwaddr int3[] = { 0x9000, 0x1234 };

static const VcpuDebugPlan full_plan = {
    .int3 = int3,
    .int3_count = 2,
    .slots = { { 0xffffffff81000010, 1, VCPU_WATCH_EXECUTE }, { 0x2000, 8, VCPU_WATCH_WRITE },
               { 0x3004, 4, VCPU_WATCH_ACCESS }, { 0x4002, 2, VCPU_WATCH_WRITE } },
    .slot_count = 4,
};

/* What the kernel is told. */

static void test_prepare_fills_the_debug_registers(void **state)
{
    VcpuFixture *f = *state;

    prepare(f, &full_plan, ALL_RUN);
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        const struct kvm_guest_debug *d = told(f, cpu);

        assert_int_equal(d->control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP |
                                         KVM_GUESTDBG_USE_HW_BP);
        assert_true(d->arch.debugreg[0] == 0xffffffff81000010);
        assert_int_equal(d->arch.debugreg[3], 0x4002);
        /* slots 3 2 1 0: length and kind 5 f 9 0, then GE, the fixed bit, and four enable bits */
        assert_int_equal(d->arch.debugreg[7], 0x5f900000 | 0x600 | 0xaa);
    }
}

static void test_prepare_steps_who_shall_step(void **state)
{
    VcpuFixture *f = *state;
    VcpuDebugPlan plan = { .block_irq = true };

    model_kvm_reset_counts();
    prepare(f, &plan, VCPU_DEBUG_RUN, VCPU_DEBUG_STEP, VCPU_DEBUG_STAY);
    assert_int_equal(model_kvm_count(KVM_SET_GUEST_DEBUG), 1); /* nothing changes for the others */
    assert_int_equal(told(f, 1)->control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP |
                                              KVM_GUESTDBG_BLOCKIRQ);
    plan.block_irq = false;
    prepare(f, &plan, VCPU_DEBUG_RUN, VCPU_DEBUG_STEP, VCPU_DEBUG_STAY);
    assert_int_equal(told(f, 1)->control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP);
    prepare(f, &plan, ALL_RUN);
    assert_int_equal(told(f, 1)->control, 0);
    assert_true(vcpu_debug_can_block_irq(f->set));
    model_kvm_set_cap(KVM_CAP_SET_GUEST_DEBUG2, 3);
    assert_false(vcpu_debug_can_block_irq(f->set));
}

static void test_end_leaves_no_trace(void **state)
{
    VcpuFixture *f = *state;

    prepare(f, &full_plan, ALL_RUN);
    vcpu_debug_end(f->set);
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        assert_int_equal(told(f, cpu)->control, 0);
    }
}

static void test_prepare_that_fails_stops_nobody(void **state)
{
    VcpuFixture *f = *state;
    const VcpuDebugAction actions[CPUS] = { VCPU_DEBUG_STAY };
    g_autoptr(GError) error = NULL;

    model_kvm_fail_request(KVM_SET_GUEST_DEBUG);
    model_kvm_fail_nth(2, EINVAL, false);
    assert_false(vcpu_debug_prepare(f->set, &full_plan, actions, &error));
    assert_non_null(strstr(error->message, "vCPU 1: KVM_SET_GUEST_DEBUG"));
    model_kvm_no_faults();
    assert_int_equal(told(f, 0)->control, 0);
    assert_false(f->set->vcpus[0]->stays);
    assert_int_equal(f->set->debug.int3_count, 0);
}

/* What its exits mean. */

typedef struct Debug {
    uint32_t exception;
    uint64_t pc, dr6;
} Debug;

static void fill_debug(struct kvm_run *run, void *opaque)
{
    const Debug *d = opaque;

    run->exit_reason = KVM_EXIT_DEBUG;
    run->debug.arch.exception = d->exception;
    run->debug.arch.pc = d->pc;
    run->debug.arch.dr6 = d->dr6;
}

static void push_debug(VcpuFixture *f, unsigned cpu, Debug *d)
{
    model_vcpu_push_exit(f->vm, cpu, &(ModelExit){ .fill = fill_debug, .opaque = d });
}

/* vCPU 1 leaves the guest with @d: what it has met. */
static VcpuStop meet(VcpuFixture *f, Debug d)
{
    unsigned before = atomic_load(&f->debugs);
    VcpuStop stop;

    push_debug(f, 1, &d);
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_event(f, &f->debugs, before + 1);
    vcpu_set_pause(f->set);
    stop = vcpu_debug_stop(f->set, 1);
    assert_int_equal(vcpu_debug_stop(f->set, 0).kind, VCPU_STOP_NONE);
    return stop;
}

static void test_exit_of_each_kind(void **state)
{
    VcpuFixture *f = *state;
    VcpuStop stop;

    prepare(f, &full_plan, VCPU_DEBUG_RUN, VCPU_DEBUG_STEP, VCPU_DEBUG_RUN);
    stop = meet(f, (Debug){ 3, 0x1234, 0 });
    assert_int_equal(stop.kind, VCPU_STOP_INT3);
    assert_int_equal(stop.pc, 0x1234);
    stop = meet(f, (Debug){ 3, 0x9000, 0 });
    assert_int_equal(stop.kind, VCPU_STOP_INT3);
    stop = meet(f, (Debug){ 1, 0x55, 0xffff0ff1 });
    assert_int_equal(stop.kind, VCPU_STOP_EXECUTE);
    assert_int_equal(stop.slot, 0);
    stop = meet(f, (Debug){ 1, 0x55, 0xffff0ff8 });
    assert_int_equal(stop.kind, VCPU_STOP_WATCH);
    assert_int_equal(stop.slot, 3);
    stop = meet(f, (Debug){ 1, 0x56, 0xffff4ff0 });
    assert_int_equal(stop.kind, VCPU_STOP_STEP);
    assert_int_equal(stop.pc, 0x56);
    prepare(f, &full_plan, ALL_RUN);
    assert_int_equal(vcpu_debug_stop(f->set, 1).kind, VCPU_STOP_NONE);
}

/* A reset forgets what was met. */
static void test_reset_forgets(void **state)
{
    VcpuFixture *f = *state;

    prepare(f, &full_plan, ALL_RUN);
    meet(f, (Debug){ 3, 0x1234, 0 });
    vcpu_fixture_reset(f);
    assert_int_equal(vcpu_debug_stop(f->set, 1).kind, VCPU_STOP_NONE);
}

/* vCPU 0 leaves with @d, which is the guest's: it goes on at once, and nobody is told. */
static void pass(VcpuFixture *f, Debug d)
{
    uint64_t exits = vcpu_set_stats(f->set).exits;

    push_debug(f, 0, &d);
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_exits(f, exits + 1);
    vcpu_set_pause(f->set);
    assert_int_equal(f->debugs, 0);
    assert_int_equal(f->failures, 0);
}

static void test_the_guests_own_int3_goes_back(void **state)
{
    VcpuFixture *f = *state;

    prepare(f, &full_plan, ALL_RUN);
    pass(f, (Debug){ 3, 0x1235, 0 });
    assert_int_equal(told(f, 0)->control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP |
                                              KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_INJECT_BP);
    assert_int_equal(told(f, 0)->arch.debugreg[1], 0x2000);
}

/* A slot that DR6 names and that the plan has not; a step that nobody asked for. */
static void test_the_guests_own_db_goes_back_with_dr6(void **state)
{
    VcpuFixture *f = *state;
    VcpuDebugPlan plan = full_plan;
    struct kvm_debugregs regs = { .dr6 = 0xffff0ff3 };

    plan.slot_count = 1;
    prepare(f, &plan, ALL_RUN);
    kvm_vcpu_ioctl(f->base->kvm, vcpu_fixture_fd(f, 0), KVM_SET_DEBUGREGS, &regs);
    pass(f, (Debug){ 1, 0x1235, 0xffff4ff4 });
    assert_true(told(f, 0)->control & KVM_GUESTDBG_INJECT_DB);
    kvm_vcpu_ioctl(f->base->kvm, vcpu_fixture_fd(f, 0), KVM_GET_DEBUGREGS, &regs);
    assert_int_equal(regs.dr6, 0xffff4ff4);
}

static void test_what_cannot_go_back_fails_the_vcpu(void **state)
{
    VcpuFixture *f = *state;
    Debug d = { 3, 0x1235, 0 };

    prepare(f, &full_plan, ALL_RUN);
    model_vcpu_set_excepted(f->vm, 0, true);
    push_debug(f, 0, &d);
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_event(f, &f->failures, 1);
    vcpu_set_pause(f->set);
    assert_non_null(strstr(f->failure_text, "its own exception 3 at 0x1235"));
    assert_non_null(strstr(f->failure_text, "busy"));
}

/* A vCPU that stays takes none of its exits; it counts as settled, and runs when it may. */
static void test_a_vcpu_that_stays(void **state)
{
    VcpuFixture *f = *state;
    uint32_t value = 7;

    prepare(f, &(VcpuDebugPlan){ 0 }, VCPU_DEBUG_STAY, VCPU_DEBUG_RUN, VCPU_DEBUG_RUN);
    model_vcpu_push_io(f->vm, 0, true, PORT_BASE, 1, 1, &value);
    model_vcpu_push_io(f->vm, 1, true, PORT_BASE + 1, 1, 1, &value);
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_exits(f, 1);
    vcpu_set_pause(f->set);
    assert_int_equal(f->port.n_calls, 1);
    assert_int_equal(f->port.calls[0].offset, 1);
    assert_int_equal(model_vcpu_exits_left(f->vm, 0), 1);
    prepare(f, &(VcpuDebugPlan){ 0 }, ALL_RUN);
    vcpu_set_resume(f->set);
    vcpu_fixture_wait_taken(f, 0);
    vcpu_set_pause(f->set);
    assert_int_equal(f->port.n_calls, 2);
    assert_int_equal(model_vm_rude_calls(f->vm), 0);
}

/* Several at once, again and again: who has met something says so, whoever came first. */
static void test_many_vcpus_meet_something(void **state)
{
    VcpuFixture *f = *state;

    prepare(f, &full_plan, ALL_RUN);
    for (unsigned round = 0; round < 200; round++) {
        Debug d[CPUS] = { { 3, 0x1234, 0 }, { 1, 0x10, 0xffff0ff2 }, { 3, 0x9000, 0 } };
        unsigned seen = 0;

        atomic_store(&f->debugs, 0);
        for (unsigned cpu = 0; cpu < CPUS; cpu++) {
            push_debug(f, cpu, &d[cpu]);
        }
        while (seen < CPUS) {
            vcpu_set_resume(f->set);
            vcpu_fixture_wait_event(f, &f->debugs, seen + 1);
            vcpu_set_pause(f->set);
            seen = atomic_load(&f->debugs);
        }
        assert_int_equal(vcpu_debug_stop(f->set, 0).kind, VCPU_STOP_INT3);
        assert_int_equal(vcpu_debug_stop(f->set, 1).kind, VCPU_STOP_WATCH);
        assert_int_equal(vcpu_debug_stop(f->set, 1).slot, 1);
        assert_int_equal(vcpu_debug_stop(f->set, 2).kind, VCPU_STOP_INT3);
        prepare(f, &full_plan, ALL_RUN);
    }
    assert_int_equal(model_vm_rude_calls(f->vm), 0);
}

static void test_activity(void **state)
{
    VcpuFixture *f = *state;
    struct kvm_mp_state mp = { KVM_MP_STATE_HALTED };

    assert_int_equal(vcpu_debug_activity(f->set, 0), VCPU_ACTIVE);
    assert_int_equal(vcpu_debug_activity(f->set, 1), VCPU_WAITING);
    kvm_vcpu_ioctl(f->base->kvm, vcpu_fixture_fd(f, 0), KVM_SET_MP_STATE, &mp);
    assert_int_equal(vcpu_debug_activity(f->set, 0), VCPU_HALTED);
    mp.mp_state = KVM_MP_STATE_INIT_RECEIVED;
    kvm_vcpu_ioctl(f->base->kvm, vcpu_fixture_fd(f, 0), KVM_SET_MP_STATE, &mp);
    assert_int_equal(vcpu_debug_activity(f->set, 0), VCPU_WAITING);
}

/* Registers. */

static VcpuRegisters get(VcpuFixture *f, unsigned cpu)
{
    g_autoptr(GError) error = NULL;
    VcpuRegisters r;

    if (!vcpu_debug_get_registers(f->set, cpu, &r, &error)) {
        fail_msg("%s", error->message);
    }
    return r;
}

static void put(VcpuFixture *f, unsigned cpu, const VcpuRegisters *r)
{
    g_autoptr(GError) error = NULL;

    if (!vcpu_debug_set_registers(f->set, cpu, r, &error)) {
        fail_msg("%s", error->message);
    }
}

static void test_registers_come_from_the_kernel(void **state)
{
    VcpuFixture *f = *state;
    VcpuRegisters r = get(f, 0);
    g_autoptr(GError) error = NULL;

    assert_int_equal(r.rip, vcpu_fixture_entry.rip);
    assert_int_equal(r.general[7], vcpu_fixture_entry.rsp);
    assert_int_equal(r.general[4], vcpu_fixture_entry.rsi);
    assert_int_equal(r.cs, 0x10);
    assert_int_equal(r.ds, 0x18);
    assert_int_equal(r.cr3, 0x9000);
    assert_int_equal(r.efer, vcpu_fixture_entry.efer);
    assert_int_equal(r.mxcsr & 0xff, model_vcpu_power_on_byte(KVM_SET_XSAVE));
    assert_false(vcpu_debug_get_registers(f->set, CPUS, &r, &error));
    assert_non_null(strstr(error->message, "0 to 2"));
}

/* Each group is written when it has changed, and only then. */
static void test_registers_are_written_as_far_as_they_changed(void **state)
{
    VcpuFixture *f = *state;
    VcpuRegisters r, back;

    model_vcpu_set_state(f->vm, 1, KVM_SET_XSAVE, 0);
    r = get(f, 1);
    model_kvm_reset_counts();
    put(f, 1, &r);
    assert_int_equal(model_kvm_count(KVM_SET_REGS) + model_kvm_count(KVM_SET_SREGS) +
                         model_kvm_count(KVM_SET_MSRS) + model_kvm_count(KVM_SET_XSAVE), 0);
    r.general[15] = 0x1122;
    r.rip = 0x3344;
    put(f, 1, &r);
    assert_int_equal(model_kvm_count(KVM_SET_REGS), 1);
    assert_int_equal(model_kvm_count(KVM_SET_SREGS), 0);
    r.fs_base = 0x5566;
    r.cr3 = 0x7000;
    put(f, 1, &r);
    assert_int_equal(model_kvm_count(KVM_SET_SREGS), 1);
    r.k_gs_base = 0xffff888000000000;
    put(f, 1, &r);
    assert_int_equal(model_kvm_count(KVM_SET_MSRS), 1);
    assert_true(model_vcpu_msr(f->vm, 1, 0xc0000102) == 0xffff888000000000);
    r.xmm[15][15] = 0x77;
    r.st[7][9] = 0x12;
    r.fcw = 0x37f;
    put(f, 1, &r);
    assert_int_equal(model_kvm_count(KVM_SET_XSAVE), 1);
    assert_int_equal(model_kvm_count(KVM_SET_REGS), 1);
    back = get(f, 1);
    assert_memory_equal(&back, &r, sizeof(r));
    /* XSTATE_BV: x87 and SSE are not in their initial state */
    assert_int_equal(model_vcpu_state(f->vm, 1, KVM_SET_XSAVE)->data[512] & 3, 3);
}

/* A selector: with its base where that is all there is, refused where a descriptor belongs to it. */
static void test_selectors(void **state)
{
    VcpuFixture *f = *state;
    VcpuRegisters r = get(f, 0);
    g_autoptr(GError) error = NULL;
    struct kvm_sregs sregs;

    r.ds = 0x20;
    assert_false(vcpu_debug_set_registers(f->set, 0, &r, &error));
    assert_non_null(strstr(error->message, "protected mode"));
    assert_int_equal(get(f, 0).ds, 0x18);

    kvm_vcpu_ioctl(f->base->kvm, vcpu_fixture_fd(f, 0), KVM_GET_SREGS, &sregs);
    sregs.cr0 = 0x10;
    kvm_vcpu_ioctl(f->base->kvm, vcpu_fixture_fd(f, 0), KVM_SET_SREGS, &sregs);
    r = get(f, 0);
    r.es = 0xb800;
    put(f, 0, &r);
    kvm_vcpu_ioctl(f->base->kvm, vcpu_fixture_fd(f, 0), KVM_GET_SREGS, &sregs);
    assert_int_equal(sregs.es.selector, 0xb800);
    assert_int_equal(sregs.es.base, 0xb8000);
}

static void test_registers_that_the_kernel_refuses(void **state)
{
    static const struct {
        unsigned long req;
        const char *word;
    } cases[] = {
        { KVM_GET_REGS, "KVM_GET_REGS" },   { KVM_GET_SREGS, "KVM_GET_SREGS" },
        { KVM_GET_XSAVE, "KVM_GET_XSAVE" }, { KVM_SET_REGS, "KVM_SET_REGS" },
        { KVM_SET_SREGS, "KVM_SET_SREGS" }, { KVM_SET_MSRS, "KERNEL_GS_BASE" },
        { KVM_SET_XSAVE, "KVM_SET_XSAVE" },
    };
    VcpuFixture *f = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        VcpuRegisters r = get(f, 0);
        g_autoptr(GError) error = NULL;

        r.rip += 1;
        r.cr3 += 0x1000;
        r.k_gs_base += 1;
        r.mxcsr ^= 1;
        model_kvm_fail_request(cases[i].req);
        model_kvm_fail_nth(1, EINVAL, true);
        assert_false(vcpu_debug_set_registers(f->set, 0, &r, &error));
        assert_non_null(strstr(error->message, cases[i].word));
        model_kvm_no_faults();
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, vcpu_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_prepare_fills_the_debug_registers),
        T(test_prepare_steps_who_shall_step),
        T(test_end_leaves_no_trace),
        T(test_prepare_that_fails_stops_nobody),
        T(test_exit_of_each_kind),
        T(test_reset_forgets),
        T(test_the_guests_own_int3_goes_back),
        T(test_the_guests_own_db_goes_back_with_dr6),
        T(test_what_cannot_go_back_fails_the_vcpu),
        T(test_a_vcpu_that_stays),
        T(test_many_vcpus_meet_something),
        T(test_activity),
        T(test_registers_come_from_the_kernel),
        T(test_registers_are_written_as_far_as_they_changed),
        T(test_selectors),
        T(test_registers_that_the_kernel_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
