/* SPDX-License-Identifier: MIT */
/* What stops a vCPU for a debugger, and what it has met: KVM_SET_GUEST_DEBUG, KVM_EXIT_DEBUG. */
#include "tessera/accel/kvm/vcpu-debug.h"

#include "vcpu-internal.h"
#include <stdlib.h>
#include <string.h>
#include "kvm-internal.h"
#include "tessera/util/error.h"
#include "tessera/util/log.h"

#define VECTOR_DB 1
#define VECTOR_BP 3

/* DR6 and DR7 (Intel SDM volume 3B, section 17.2). */
#define DR6_SLOT(i)       (1ULL << (i))
#define DR6_SLOTS         0xfULL
#define DR6_BS            (1ULL << 14) /* a single step */
#define DR6_BT            (1ULL << 15) /* a task switch */
#define DR7_FIXED         0x400ULL
#define DR7_GE            (1ULL << 9)
#define DR7_ENABLE(i)     (2ULL << (2 * (i))) /* globally */
#define DR7_WATCH(i, w)   ((uint64_t)(w) << (16 + 4 * (i)))
#define DR7_LENGTH(i, l)  ((uint64_t)(l) << (18 + 4 * (i)))

/* DR7's code for a length of 1, 2, 4 or 8 bytes. */
static unsigned length_code(unsigned len)
{
    return len == 8 ? 2 : len - 1;
}

static void fill_debug_registers(const VcpuDebugPlan *plan, struct kvm_guest_debug_arch *arch)
{
    uint64_t dr7 = DR7_FIXED | DR7_GE;

    for (unsigned i = 0; i < plan->slot_count; i++) {
        const VcpuDebugSlot *slot = &plan->slots[i];

        arch->debugreg[i] = slot->gva;
        dr7 |= DR7_ENABLE(i) | DR7_WATCH(i, slot->watch) | DR7_LENGTH(i, length_code(slot->len));
    }
    arch->debugreg[7] = dr7;
}

static uint32_t control_bits(const VcpuDebugPlan *plan, VcpuDebugAction action)
{
    uint32_t control = 0;

    if (plan->int3_count) {
        control |= KVM_GUESTDBG_USE_SW_BP;
    }
    if (plan->slot_count) {
        control |= KVM_GUESTDBG_USE_HW_BP;
    }
    if (action == VCPU_DEBUG_STEP) {
        control |= KVM_GUESTDBG_SINGLESTEP | (plan->block_irq ? KVM_GUESTDBG_BLOCKIRQ : 0);
    }
    return control ? control | KVM_GUESTDBG_ENABLE : 0;
}

static int set_guest_debug(Vcpu *vcpu, uint32_t control)
{
    struct kvm_guest_debug debug = { .control = control };

    if (control & KVM_GUESTDBG_USE_HW_BP) {
        fill_debug_registers(&vcpu->set->debug, &debug.arch);
    }
    return kvm_vcpu_ioctl(vcpu->set->kvm, vcpu->fd, KVM_SET_GUEST_DEBUG, &debug);
}

/* The kernel is asked only for what it does not do already; slots may differ with equal bits. */
static bool apply(Vcpu *vcpu, uint32_t control, GError **error)
{
    int ret;

    if (control == vcpu->debug_control && !(control & KVM_GUESTDBG_USE_HW_BP)) {
        return true;
    }
    ret = set_guest_debug(vcpu, control);
    if (ret < 0) {
        error_set_errno(error, -ret, "vCPU %u: KVM_SET_GUEST_DEBUG", vcpu->index);
        return false;
    }
    vcpu->debug_control = control;
    return true;
}

static int compare_gpa(const void *a, const void *b)
{
    const hwaddr *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static void take_plan(VcpuSet *set, const VcpuDebugPlan *plan)
{
    hwaddr *int3 = g_memdup2(plan->int3, plan->int3_count * sizeof(*int3));

    if (int3) {
        qsort(int3, plan->int3_count, sizeof(*int3), compare_gpa);
    }
    g_free((hwaddr *)set->debug.int3);
    set->debug = *plan;
    set->debug.int3 = int3;
}

static void set_stays(VcpuSet *set, const VcpuDebugAction *actions)
{
    pthread_mutex_lock(&set->lock);
    g_assert(atomic_load(&set->hold) & HOLD_PAUSE);
    for (unsigned i = 0; i < set->count; i++) {
        g_assert(set->vcpus[i]->settled);
        set->vcpus[i]->stays = actions && actions[i] == VCPU_DEBUG_STAY;
    }
    pthread_mutex_unlock(&set->lock);
}

bool vcpu_debug_prepare(VcpuSet *set, const VcpuDebugPlan *plan, const VcpuDebugAction *actions,
                        GError **error)
{
    g_assert(plan->slot_count <= VCPU_DEBUG_SLOTS);
    set_stays(set, actions);
    vcpu_debug_forget(set);
    take_plan(set, plan);
    for (unsigned i = 0; i < set->count; i++) {
        if (!apply(set->vcpus[i], control_bits(plan, actions[i]), error)) {
            vcpu_debug_end(set);
            return false;
        }
    }
    return true;
}

void vcpu_debug_end(VcpuSet *set)
{
    static const VcpuDebugPlan nothing;

    set_stays(set, NULL);
    vcpu_debug_forget(set);
    take_plan(set, &nothing);
    for (unsigned i = 0; i < set->count; i++) {
        if (!apply(set->vcpus[i], 0, NULL)) {
            log_item(LOG_CPU, "vCPU %u: the kernel does not end debugging", i);
        }
    }
}

void vcpu_debug_forget(VcpuSet *set)
{
    for (unsigned i = 0; i < set->count; i++) {
        set->vcpus[i]->stop = (VcpuStop){ 0 };
    }
}

VcpuStop vcpu_debug_stop(VcpuSet *set, unsigned cpu)
{
    g_assert(cpu < set->count && (atomic_load(&set->hold) & HOLD_PAUSE));
    return set->vcpus[cpu]->stop;
}

VcpuActivity vcpu_debug_activity(VcpuSet *set, unsigned cpu)
{
    struct kvm_mp_state state = { 0 };

    g_assert(cpu < set->count && (atomic_load(&set->hold) & HOLD_PAUSE));
    if (kvm_vcpu_ioctl(set->kvm, set->vcpus[cpu]->fd, KVM_GET_MP_STATE, &state) < 0) {
        return VCPU_ACTIVE;
    }
    switch (state.mp_state) {
    case KVM_MP_STATE_HALTED:
        return VCPU_HALTED;
    case KVM_MP_STATE_UNINITIALIZED:
    case KVM_MP_STATE_INIT_RECEIVED:
        return VCPU_WAITING;
    default:
        return VCPU_ACTIVE;
    }
}

bool vcpu_debug_can_block_irq(VcpuSet *set)
{
    int flags = kvm_check_extension(set->kvm, KVM_CAP_SET_GUEST_DEBUG2);

    return flags > 0 && (flags & KVM_GUESTDBG_BLOCKIRQ);
}

/* The exit. On the vCPU's thread; the plan does not change before this vCPU has settled. */

static bool is_planned_int3(Vcpu *vcpu, uint64_t linear)
{
    const VcpuDebugPlan *plan = &vcpu->set->debug;
    struct kvm_translation tr = { .linear_address = linear };
    hwaddr gpa;

    if (!plan->int3_count ||
        kvm_vcpu_ioctl(vcpu->set->kvm, vcpu->fd, KVM_TRANSLATE, &tr) < 0 || !tr.valid) {
        return false;
    }
    gpa = tr.physical_address; /* by any of the addresses at which it is mapped */
    return bsearch(&gpa, plan->int3, plan->int3_count, sizeof(gpa), compare_gpa) != NULL;
}

/* DR6 may show slots that are not enabled: only the plan's count. */
static VcpuStop stop_of_db(Vcpu *vcpu, uint64_t pc, uint64_t dr6)
{
    const VcpuDebugPlan *plan = &vcpu->set->debug;

    for (unsigned i = 0; i < plan->slot_count; i++) {
        if (dr6 & DR6_SLOT(i)) {
            bool executes = plan->slots[i].watch == VCPU_WATCH_EXECUTE;

            return (VcpuStop){ executes ? VCPU_STOP_EXECUTE : VCPU_STOP_WATCH, i, pc };
        }
    }
    if ((dr6 & DR6_BS) && (vcpu->debug_control & KVM_GUESTDBG_SINGLESTEP)) {
        return (VcpuStop){ VCPU_STOP_STEP, 0, pc };
    }
    return (VcpuStop){ VCPU_STOP_NONE, 0, pc };
}

static VcpuStop stop_of_exit(Vcpu *vcpu)
{
    const struct kvm_debug_exit_arch *arch = &vcpu->run->debug.arch;

    if (arch->exception == VECTOR_DB) {
        return stop_of_db(vcpu, arch->pc, arch->dr6);
    }
    return (VcpuStop){ arch->exception == VECTOR_BP && is_planned_int3(vcpu, arch->pc)
                           ? VCPU_STOP_INT3
                           : VCPU_STOP_NONE,
                       0, arch->pc };
}

/* The kernel did not write the guest's DR6, which its handler will look at. */
static int give_back_dr6(Vcpu *vcpu, uint64_t dr6)
{
    struct kvm_debugregs regs;
    int ret = kvm_vcpu_ioctl(vcpu->set->kvm, vcpu->fd, KVM_GET_DEBUGREGS, &regs);

    if (ret < 0) {
        return ret;
    }
    regs.dr6 = (regs.dr6 & ~DR6_SLOTS) | (dr6 & (DR6_SLOTS | DR6_BS | DR6_BT));
    return kvm_vcpu_ioctl(vcpu->set->kvm, vcpu->fd, KVM_SET_DEBUGREGS, &regs);
}

static ExitAction give_back(Vcpu *vcpu)
{
    const struct kvm_debug_exit_arch *arch = &vcpu->run->debug.arch;
    bool db = arch->exception == VECTOR_DB;
    int ret = db ? give_back_dr6(vcpu, arch->dr6) : 0;

    if (ret == 0) {
        ret = set_guest_debug(vcpu, vcpu->debug_control | KVM_GUESTDBG_ENABLE |
                                        (db ? KVM_GUESTDBG_INJECT_DB : KVM_GUESTDBG_INJECT_BP));
    }
    if (ret < 0) {
        g_autofree char *reason = g_strdup_printf(
            "its own exception %u at 0x%llx cannot be given back to the guest: %s",
            arch->exception, (unsigned long long)arch->pc, g_strerror(-ret));

        return vcpu_fail(vcpu, reason);
    }
    return EXIT_CONTINUE;
}

ExitAction vcpu_debug_exit(Vcpu *vcpu)
{
    VcpuStop stop;

    if (!vcpu->debug_control) {
        g_autofree char *reason =
            g_strdup_printf("KVM_EXIT_DEBUG at 0x%llx without a debugger attached",
                            (unsigned long long)vcpu->run->debug.arch.pc);

        return vcpu_fail(vcpu, reason);
    }
    stop = stop_of_exit(vcpu);
    if (stop.kind == VCPU_STOP_NONE) {
        return give_back(vcpu);
    }
    vcpu->stop = stop;
    vcpu->set->ops->debug(vcpu->set->opaque, vcpu->index);
    return EXIT_CONTINUE;
}
