/* SPDX-License-Identifier: MIT */
/* A reset on the model KVM: everything that a guest may have changed is as after power-on. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "support/vcpu-fixture.h"

#define LINT0 0x350
#define LINT1 0x360

static const unsigned long pairs[] = {
    KVM_SET_REGS,      KVM_SET_SREGS, KVM_SET_LAPIC, KVM_SET_VCPU_EVENTS,
    KVM_SET_DEBUGREGS, KVM_SET_XSAVE, KVM_SET_XCRS,
};

/* MSRs of the model that a guest may change, those that firmware sets excepted. */
static const uint32_t msrs[] = { 0x11,  0x3a,  0x174, 0x175, 0x176, 0x200, 0x20f,
                                 0x250, 0x26f, 0x4b564d00, 0x4b564d01 };

static int setup_without_irqchip(void **state)
{
    model_kvm_reset();
    *state = vcpu_fixture_new(false);
    return 0;
}

static const void *stored(VcpuFixture *f, unsigned cpu, unsigned long set_req)
{
    const GByteArray *a = model_vcpu_state(f->vm, cpu, set_req);

    assert_non_null(a);
    return a->data;
}

static uint32_t mp_state(VcpuFixture *f, unsigned cpu)
{
    return ((const struct kvm_mp_state *)stored(f, cpu, KVM_SET_MP_STATE))->mp_state;
}

/* A local APIC at power-on, but for virtual wire mode. */
static void check_lapic(VcpuFixture *f, unsigned cpu)
{
    struct kvm_lapic_state expected;
    uint32_t lint0 = 0x700, lint1 = 0x400;

    memset(&expected, model_vcpu_power_on_byte(KVM_SET_LAPIC), sizeof(expected));
    memcpy(expected.regs + LINT0, &lint0, sizeof(lint0));
    memcpy(expected.regs + LINT1, &lint1, sizeof(lint1));
    assert_memory_equal(stored(f, cpu, KVM_SET_LAPIC), &expected, sizeof(expected));
}

static void check_firmware_msrs(VcpuFixture *f, unsigned cpu)
{
    assert_int_equal(model_vcpu_msr(f->vm, cpu, 0x2ff), 0x806);
    assert_true(model_vcpu_msr(f->vm, cpu, 0x277) == 0x0007040600070406ULL);
    assert_int_equal(model_vcpu_msr(f->vm, cpu, 0x1a0), (0x1a0 * 3) | 1);
    assert_int_equal(model_vcpu_msr(f->vm, cpu, 0x10), 0);
}

static void check_entry(VcpuFixture *f)
{
    const struct kvm_sregs *sregs = stored(f, 0, KVM_SET_SREGS);
    const struct kvm_regs *regs = stored(f, 0, KVM_SET_REGS);
    uint8_t power_on = model_vcpu_power_on_byte(KVM_SET_SREGS);

    assert_int_equal(regs->rip, 0x100200);
    assert_int_equal(regs->rsp, 0x8000);
    assert_int_equal(regs->rsi, 0x7000);
    assert_int_equal(regs->rax, 0);
    assert_int_equal(regs->r15, 0);
    assert_int_equal(regs->rflags, 2);
    assert_int_equal(sregs->cr3, 0x9000);
    assert_int_equal(sregs->efer, 0x500);
    assert_int_equal(sregs->cs.selector, 0x10);
    assert_int_equal(sregs->cs.l, 1);
    assert_int_equal(sregs->ss.selector, 0x18);
    assert_int_equal(sregs->gs.selector, 0x18);
    assert_int_equal(sregs->tr.type, 11);
    assert_int_equal(sregs->ldt.unusable, 1);
    assert_int_equal(sregs->gdt.limit, 31);
    assert_int_equal(sregs->idt.limit, 0);
    /* The APIC base is the vCPU's own: it tells the first from the others. */
    assert_int_equal(sregs->apic_base & 0xff, power_on);
}

/* The first reset need not restore: nothing ran. */
static void test_reset_first(void **state)
{
    VcpuFixture *f = *state;

    vcpu_fixture_make(f, 3);
    vcpu_fixture_reset(f);
    check_entry(f);
    for (unsigned cpu = 0; cpu < 3; cpu++) {
        check_lapic(f, cpu);
        check_firmware_msrs(f, cpu);
        assert_int_equal(mp_state(f, cpu),
                         cpu == 0 ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED);
    }
    assert_null(model_vcpu_state(f->vm, 1, KVM_SET_XSAVE));
}

static void dirty(VcpuFixture *f, unsigned cpu)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(pairs); i++) {
        model_vcpu_set_state(f->vm, cpu, pairs[i], 0xee);
    }
    model_vcpu_set_state(f->vm, cpu, KVM_SET_MP_STATE, KVM_MP_STATE_HALTED);
    for (unsigned i = 0; i < G_N_ELEMENTS(msrs); i++) {
        model_vcpu_set_msr(f->vm, cpu, msrs[i], 0xeeee);
    }
    model_vcpu_set_msr(f->vm, cpu, 0x10, 0xeeee);
    model_vcpu_set_msr(f->vm, cpu, 0x2ff, 0xc00);
    model_vcpu_set_msr(f->vm, cpu, 0x277, 0);
    model_vcpu_set_msr(f->vm, cpu, 0x1a0, 0);
}

static void check_power_on(VcpuFixture *f, unsigned cpu, unsigned long set_req)
{
    const GByteArray *a = model_vcpu_state(f->vm, cpu, set_req);

    assert_non_null(a);
    for (guint i = 0; i < a->len; i++) {
        if (a->data[i] != model_vcpu_power_on_byte(set_req)) {
            fail_msg("vCPU %u, pair 0x%lx: byte %u is 0x%x", cpu, set_req, i, a->data[i]);
        }
    }
}

static void test_reset_restores_everything(void **state)
{
    VcpuFixture *f = *state;

    vcpu_fixture_make(f, 2);
    vcpu_fixture_reset(f);
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        dirty(f, cpu);
    }
    vcpu_fixture_reset(f);
    check_entry(f);
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        check_lapic(f, cpu);
        check_firmware_msrs(f, cpu);
        check_power_on(f, cpu, KVM_SET_VCPU_EVENTS);
        check_power_on(f, cpu, KVM_SET_DEBUGREGS);
        check_power_on(f, cpu, KVM_SET_XSAVE);
        check_power_on(f, cpu, KVM_SET_XCRS);
        for (unsigned i = 0; i < G_N_ELEMENTS(msrs); i++) {
            if (model_vcpu_msr(f->vm, cpu, msrs[i]) != msrs[i] * 3ULL) {
                fail_msg("vCPU %u: MSR 0x%x", cpu, msrs[i]);
            }
        }
    }
    check_power_on(f, 1, KVM_SET_REGS);
    check_power_on(f, 1, KVM_SET_SREGS);
    assert_int_equal(mp_state(f, 0), KVM_MP_STATE_RUNNABLE);
    assert_int_equal(mp_state(f, 1), KVM_MP_STATE_UNINITIALIZED);
    assert_int_equal(model_vm_rude_calls(f->vm), 0);
}

/* KVM takes no CR0 and CR4 of a reset from a guest that runs guests. */
static void test_reset_ends_vmx_operation(void **state)
{
    VcpuFixture *f = *state;

    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    model_vcpu_enter_vmx(f->vm, 0);
    vcpu_fixture_reset(f);
    check_entry(f);
    assert_int_equal(model_vcpu_msr(f->vm, 0, 0x3a), 0x3a * 3);
}

/* In the middle of an access: it is complete before the registers are put back. */
static void test_reset_in_the_middle_of_an_access(void **state)
{
    VcpuFixture *f = *state;

    vcpu_fixture_make(f, 2);
    vcpu_fixture_reset(f);
    for (unsigned turn = 0; turn < 300; turn++) {
        uint32_t answer = 0;

        model_vcpu_push_mmio(f->vm, 0, false, MMIO_BASE, 4, &answer);
        vcpu_set_resume(f->set);
        vcpu_fixture_wait_taken(f, 0);
        vcpu_fixture_reset(f);
        assert_int_not_equal(answer, 0);
    }
    assert_int_equal(model_vm_rude_calls(f->vm), 0);
}

/* Nobody can send INIT and SIPI: the second must not run what is at the reset vector. */
static void test_reset_without_irqchip_starts_the_first_alone(void **state)
{
    VcpuFixture *f = *state;
    uint8_t value = 3;

    vcpu_fixture_make(f, 2);
    for (unsigned i = 0; i < 3; i++) {
        vcpu_fixture_reset(f);
        model_vcpu_push_io(f->vm, 0, true, PORT_BASE, 1, 1, &value);
        model_vcpu_push_io(f->vm, 1, true, PORT_BASE, 1, 1, &value);
        vcpu_set_resume(f->set);
        vcpu_fixture_wait_taken(f, 0);
        vcpu_set_pause(f->set);
        assert_int_equal(model_vcpu_exits_left(f->vm, 1), i + 1);
    }
    assert_null(model_vcpu_state(f->vm, 0, KVM_SET_LAPIC));
    assert_null(model_vcpu_state(f->vm, 0, KVM_SET_MP_STATE));
}

/* A CPUID without some MSR of the list: it is left out, the ones behind it are not. */
static void test_reset_msr_that_is_absent(void **state)
{
    VcpuFixture *f = *state;

    vcpu_fixture_make(f, 1);
    vcpu_fixture_reset(f);
    model_vcpu_set_msr(f->vm, 0, 0x12, 0x77); /* in the list, not in the vCPU */
    model_vcpu_set_msr(f->vm, 0, 0x174, 0x77);
    vcpu_fixture_reset(f);
    assert_int_equal(model_vcpu_msr(f->vm, 0, 0x12), 0x77);
    assert_int_equal(model_vcpu_msr(f->vm, 0, 0x174), 0x174 * 3);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, vcpu_fixture_setup, vcpu_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reset_first),
        TEST(test_reset_restores_everything),
        TEST(test_reset_ends_vmx_operation),
        TEST(test_reset_in_the_middle_of_an_access),
        TEST(test_reset_msr_that_is_absent),
        cmocka_unit_test_setup_teardown(test_reset_without_irqchip_starts_the_first_alone,
                                        setup_without_irqchip, vcpu_fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
