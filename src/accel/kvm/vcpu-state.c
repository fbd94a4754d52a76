/* SPDX-License-Identifier: MIT */
/* A vCPU's whole state: read right after creation, put back at a reset. */
#include "vcpu-internal.h"

#include <errno.h>
#include <string.h>
#include "kvm-internal.h"
#include "tessera/util/error.h"
#include "tessera/util/log.h"

/* MSRs that firmware sets before it starts a kernel (Intel SDM volume 3A, sections 11.11, 11.12). */
#define MSR_IA32_TSC          0x00000010
#define MSR_IA32_MISC_ENABLE  0x000001a0
#define MSR_IA32_PAT          0x00000277
#define MSR_MTRR_DEF_TYPE     0x000002ff
#define MTRR_DEF_TYPE_WB_ON   0x806ULL /* enabled, what no range covers is write-back */
#define MISC_ENABLE_FAST_STR  1ULL
#define PAT_POWER_ON          0x0007040600070406ULL
#define MSR_IA32_FEAT_CTL     0x0000003a

/* MTRRs: KVM keeps them but leaves them out of its list of MSRs (SDM volume 4, table 2-2). */
#define MSR_MTRR_VARIABLE     0x00000200
#define MTRR_VARIABLE_COUNT   16 /* eight pairs */
static const uint32_t fixed_mtrrs[] = {
    0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f,
};

/* Local APIC registers (SDM volume 3A, table 10-1), byte offsets in struct kvm_lapic_state. */
#define LAPIC_LVT_LINT0     0x350
#define LAPIC_LVT_LINT1     0x360
#define LAPIC_DELIVERY_NMI  0x400u
#define LAPIC_DELIVERY_EXTINT 0x700u

struct VcpuSnapshot {
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_debugregs debugregs;
    struct kvm_vcpu_events events;
    struct kvm_mp_state mp_state;
    struct kvm_xcrs xcrs;
    bool has_xcrs;
    bool has_lapic;
    struct kvm_lapic_state lapic;
    struct kvm_xsave *xsave; /* as large as KVM_CAP_XSAVE2 says */
    struct kvm_msrs *msrs;
};

static bool vcpu_call(Vcpu *vcpu, unsigned long req, void *arg, const char *what, GError **error)
{
    int ret = kvm_vcpu_ioctl(vcpu->set->kvm, vcpu->fd, req, arg);

    if (ret < 0) {
        error_set_errno(error, -ret, "vCPU %u: %s", vcpu->index, what);
        return false;
    }
    return true;
}

/* A request and its name in messages. */
#define VCPU_CALL(vcpu, req, arg, error) vcpu_call((vcpu), (req), (arg), #req, (error))

static struct kvm_msr_list *msr_index_list(Kvm *kvm, GError **error)
{
    struct kvm_msr_list probe = { .nmsrs = 0 };
    g_autofree struct kvm_msr_list *list = NULL;
    int ret = kvm_system_ioctl(kvm, KVM_GET_MSR_INDEX_LIST, &probe);

    if (ret < 0 && ret != -E2BIG) {
        error_set_errno(error, -ret, "KVM_GET_MSR_INDEX_LIST");
        return NULL;
    }
    list = g_malloc0(sizeof(*list) + probe.nmsrs * sizeof(list->indices[0]));
    list->nmsrs = probe.nmsrs;
    ret = kvm_system_ioctl(kvm, KVM_GET_MSR_INDEX_LIST, list);
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM_GET_MSR_INDEX_LIST");
        return NULL;
    }
    return g_steal_pointer(&list);
}

/*
 * KVM_GET_MSRS and KVM_SET_MSRS stop at the first MSR that this vCPU's CPUID does not have and say
 * how far they came: that one is taken out and the rest asked for again.
 */
static bool transfer_msrs(Vcpu *vcpu, unsigned long req, struct kvm_msrs *all, GError **error)
{
    unsigned kept = 0;
    unsigned at = 0;
    g_autofree struct kvm_msrs *rest =
        g_malloc0(sizeof(*rest) + all->nmsrs * sizeof(rest->entries[0]));

    while (at < all->nmsrs) {
        int done;

        rest->nmsrs = all->nmsrs - at;
        memcpy(rest->entries, &all->entries[at], rest->nmsrs * sizeof(rest->entries[0]));
        done = kvm_vcpu_ioctl(vcpu->set->kvm, vcpu->fd, req, rest);
        if (done < 0) {
            error_set_errno(error, -done, "vCPU %u: %s", vcpu->index,
                            req == KVM_GET_MSRS ? "KVM_GET_MSRS" : "KVM_SET_MSRS");
            return false;
        }
        memmove(&all->entries[kept], rest->entries, done * sizeof(rest->entries[0]));
        kept += done;
        at += done;
        if (at < all->nmsrs) {
            log_item(LOG_CPU, "vCPU %u: no MSR 0x%x", vcpu->index, all->entries[at].index);
            at++;
        }
    }
    all->nmsrs = kept;
    return true;
}

/* Asked for twice (a later kernel's list may have them), the MTRRs are read and written twice. */
static void add_mtrrs(struct kvm_msrs *msrs)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(fixed_mtrrs); i++) {
        msrs->entries[msrs->nmsrs++].index = fixed_mtrrs[i];
    }
    for (unsigned i = 0; i < MTRR_VARIABLE_COUNT; i++) {
        msrs->entries[msrs->nmsrs++].index = MSR_MTRR_VARIABLE + i;
    }
}

static struct kvm_msrs *snapshot_msrs(Vcpu *vcpu, GError **error)
{
    g_autofree struct kvm_msr_list *list = msr_index_list(vcpu->set->kvm, error);
    g_autofree struct kvm_msrs *msrs = NULL;
    unsigned room;

    if (!list) {
        return NULL;
    }
    room = list->nmsrs + G_N_ELEMENTS(fixed_mtrrs) + MTRR_VARIABLE_COUNT;
    msrs = g_malloc0(sizeof(*msrs) + room * sizeof(msrs->entries[0]));
    for (unsigned i = 0; i < list->nmsrs; i++) {
        if (list->indices[i] != MSR_IA32_TSC) { /* set apart: it runs */
            msrs->entries[msrs->nmsrs++].index = list->indices[i];
        }
    }
    add_mtrrs(msrs);
    if (!transfer_msrs(vcpu, KVM_GET_MSRS, msrs, error)) {
        return NULL;
    }
    return g_steal_pointer(&msrs);
}

static bool snapshot_xsave(Vcpu *vcpu, VcpuSnapshot *s, GError **error)
{
    int size = kvm_check_extension(vcpu->set->kvm, KVM_CAP_XSAVE2);

    if (size > (int)sizeof(struct kvm_xsave)) {
        s->xsave = g_malloc0(size);
        return VCPU_CALL(vcpu, KVM_GET_XSAVE2, s->xsave, error);
    }
    s->xsave = g_malloc0(sizeof(*s->xsave));
    return VCPU_CALL(vcpu, KVM_GET_XSAVE, s->xsave, error);
}

VcpuSnapshot *vcpu_snapshot_take(Vcpu *vcpu, GError **error)
{
    Kvm *kvm = vcpu->set->kvm;
    VcpuSnapshot *s = g_new0(VcpuSnapshot, 1);

    s->has_xcrs = kvm_check_extension(kvm, KVM_CAP_XCRS) > 0;
    s->has_lapic = kvm->irqchip;
    s->msrs = snapshot_msrs(vcpu, error);
    if (!s->msrs || !snapshot_xsave(vcpu, s, error) ||
        !VCPU_CALL(vcpu, KVM_GET_REGS, &s->regs, error) ||
        !VCPU_CALL(vcpu, KVM_GET_SREGS, &s->sregs, error) ||
        !VCPU_CALL(vcpu, KVM_GET_DEBUGREGS, &s->debugregs, error) ||
        !VCPU_CALL(vcpu, KVM_GET_VCPU_EVENTS, &s->events, error) ||
        !VCPU_CALL(vcpu, KVM_GET_MP_STATE, &s->mp_state, error) ||
        (s->has_xcrs && !VCPU_CALL(vcpu, KVM_GET_XCRS, &s->xcrs, error)) ||
        (s->has_lapic && !VCPU_CALL(vcpu, KVM_GET_LAPIC, &s->lapic, error))) {
        vcpu_snapshot_free(s);
        return NULL;
    }
    return s;
}

void vcpu_snapshot_free(VcpuSnapshot *s)
{
    if (s) {
        g_free(s->xsave);
        g_free(s->msrs);
        g_free(s);
    }
}

/* The value of an MSR at power-on; @ret_value is untouched if this vCPU has no such MSR. */
static bool power_on_msr(const VcpuSnapshot *s, uint32_t index, uint64_t *ret_value)
{
    for (unsigned i = 0; i < s->msrs->nmsrs; i++) {
        if (s->msrs->entries[i].index == index) {
            *ret_value = s->msrs->entries[i].data;
            return true;
        }
    }
    return false;
}

static bool set_msrs(Vcpu *vcpu, const struct kvm_msr_entry *entries, unsigned n, GError **error)
{
    g_autofree struct kvm_msrs *msrs = g_malloc0(sizeof(*msrs) + n * sizeof(*entries));

    msrs->nmsrs = n;
    memcpy(msrs->entries, entries, n * sizeof(*entries));
    return transfer_msrs(vcpu, KVM_SET_MSRS, msrs, error);
}

/*
 * A guest that runs guests of its own is in VMX operation, where KVM takes no CR0 and CR4 of a reset
 * (SDM volume 3C, section 24.8). Writing 0 to this MSR from outside ends VMX operation. SVM ends
 * with EFER.
 */
static bool leave_vmx_operation(Vcpu *vcpu, GError **error)
{
    const struct kvm_msr_entry off = { .index = MSR_IA32_FEAT_CTL, .data = 0 };
    uint64_t unused;

    return !power_on_msr(vcpu->power_on, MSR_IA32_FEAT_CTL, &unused) ||
           set_msrs(vcpu, &off, 1, error);
}

/*
 * Everything a running guest may have changed and that the entry state does not set. The order
 * matters: the APIC base (in sregs) before the local APIC; MSRs between them, while the TSC deadline
 * MSR still has the timer that it stops; events before mp_state.
 */
static bool restore_power_on(Vcpu *vcpu, GError **error)
{
    VcpuSnapshot *s = vcpu->power_on;
    g_autofree struct kvm_msrs *msrs =
        g_malloc0(sizeof(*msrs) + (s->msrs->nmsrs + 1) * sizeof(msrs->entries[0]));

    msrs->nmsrs = s->msrs->nmsrs + 1;
    memcpy(msrs->entries, s->msrs->entries, s->msrs->nmsrs * sizeof(msrs->entries[0]));
    msrs->entries[s->msrs->nmsrs] = (struct kvm_msr_entry){ .index = MSR_IA32_TSC, .data = 0 };
    return leave_vmx_operation(vcpu, error) &&
           VCPU_CALL(vcpu, KVM_SET_SREGS, &s->sregs, error) &&
           (!s->has_xcrs || VCPU_CALL(vcpu, KVM_SET_XCRS, &s->xcrs, error)) &&
           VCPU_CALL(vcpu, KVM_SET_XSAVE, s->xsave, error) &&
           transfer_msrs(vcpu, KVM_SET_MSRS, msrs, error) &&
           (!s->has_lapic || VCPU_CALL(vcpu, KVM_SET_LAPIC, &s->lapic, error)) &&
           VCPU_CALL(vcpu, KVM_SET_DEBUGREGS, &s->debugregs, error) &&
           VCPU_CALL(vcpu, KVM_SET_REGS, &s->regs, error) &&
           VCPU_CALL(vcpu, KVM_SET_VCPU_EVENTS, &s->events, error);
}

/* MTRRs on with write-back by default, or a kernel runs uncached; an MSR that is absent is left. */
static bool set_firmware_msrs(Vcpu *vcpu, GError **error)
{
    struct kvm_msr_entry wanted[] = {
        { .index = MSR_MTRR_DEF_TYPE, .data = MTRR_DEF_TYPE_WB_ON },
        { .index = MSR_IA32_PAT, .data = PAT_POWER_ON },
        { .index = MSR_IA32_MISC_ENABLE, .data = MISC_ENABLE_FAST_STR },
    };
    uint64_t misc = 0;

    power_on_msr(vcpu->power_on, MSR_IA32_MISC_ENABLE, &misc);
    wanted[2].data |= misc;
    return set_msrs(vcpu, wanted, G_N_ELEMENTS(wanted), error);
}

/* Virtual wire mode: the PICs' interrupts come through LINT0, NMI through LINT1. */
static bool set_virtual_wire(Vcpu *vcpu, GError **error)
{
    struct kvm_lapic_state lapic = vcpu->power_on->lapic;
    uint32_t lint0 = LAPIC_DELIVERY_EXTINT;
    uint32_t lint1 = LAPIC_DELIVERY_NMI;

    if (!vcpu->power_on->has_lapic) {
        return true;
    }
    memcpy(lapic.regs + LAPIC_LVT_LINT0, &lint0, sizeof(lint0));
    memcpy(lapic.regs + LAPIC_LVT_LINT1, &lint1, sizeof(lint1));
    return VCPU_CALL(vcpu, KVM_SET_LAPIC, &lapic, error);
}

static struct kvm_segment kvm_segment_from(const X86Segment *s)
{
    return (struct kvm_segment){
        .base = s->base,
        .limit = s->limit,
        .selector = s->selector,
        .type = s->type,
        .present = s->present,
        .dpl = s->dpl,
        .db = s->db,
        .s = s->s,
        .l = s->l,
        .g = s->g,
        .avl = s->avl,
        .unusable = !s->present,
    };
}

static bool set_entry(Vcpu *vcpu, const X86EntryState *entry, GError **error)
{
    struct kvm_sregs sregs = vcpu->power_on->sregs;
    struct kvm_regs regs = {
        .rip = entry->rip,
        .rsp = entry->rsp,
        .rsi = entry->rsi,
        .rbx = entry->rbx,
        .rflags = entry->rflags,
    };

    sregs.cs = kvm_segment_from(&entry->cs);
    sregs.ds = kvm_segment_from(&entry->ds);
    sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.ds;
    sregs.tr = kvm_segment_from(&entry->tr);
    sregs.ldt = kvm_segment_from(&entry->ldt);
    sregs.gdt = (struct kvm_dtable){ .base = entry->gdt_base, .limit = entry->gdt_limit };
    sregs.idt = (struct kvm_dtable){ .base = entry->idt_base, .limit = entry->idt_limit };
    sregs.cr0 = entry->cr0;
    sregs.cr3 = entry->cr3;
    sregs.cr4 = entry->cr4;
    sregs.efer = entry->efer;
    return VCPU_CALL(vcpu, KVM_SET_SREGS, &sregs, error) &&
           VCPU_CALL(vcpu, KVM_SET_REGS, &regs, error);
}

static bool set_mp_state(Vcpu *vcpu, bool runnable, GError **error)
{
    struct kvm_mp_state state = {
        .mp_state = runnable ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED,
    };

    if (!vcpu->power_on->has_lapic) {
        return true; /* the kernel knows no other state than runnable then */
    }
    return VCPU_CALL(vcpu, KVM_SET_MP_STATE, &state, error);
}

bool vcpu_state_reset(Vcpu *vcpu, const X86EntryState *entry, GError **error)
{
    if (!vcpu->fresh && !restore_power_on(vcpu, error)) {
        return false;
    }
    vcpu->fresh = false;
    return set_virtual_wire(vcpu, error) && set_firmware_msrs(vcpu, error) &&
           (!entry || set_entry(vcpu, entry, error)) &&
           set_mp_state(vcpu, entry != NULL, error);
}
