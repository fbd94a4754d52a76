/* SPDX-License-Identifier: MIT */
/* A vCPU's whole state: read right after creation, put back at a reset. */
#include "vcpu-internal.h"

#include <errno.h>
#include <string.h>
#include "kvm-internal.h"
#include "tessera/util/error.h"

/* MSRs that firmware sets before it starts a kernel (Intel SDM volume 3A, sections 11.11, 11.12). */
#define MSR_IA32_TSC          0x00000010
#define MSR_IA32_MISC_ENABLE  0x000001a0
#define MSR_IA32_PAT          0x00000277
#define MSR_MTRR_DEF_TYPE     0x000002ff
#define MTRR_DEF_TYPE_WB_ON   0x806ULL /* enabled, what no range covers is write-back */
#define MISC_ENABLE_FAST_STR  1ULL
#define PAT_POWER_ON          0x0007040600070406ULL

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
        at += done + 1;
    }
    all->nmsrs = kept;
    return true;
}

static struct kvm_msrs *snapshot_msrs(Vcpu *vcpu, GError **error)
{
    g_autofree struct kvm_msr_list *list = msr_index_list(vcpu->set->kvm, error);
    g_autofree struct kvm_msrs *msrs = NULL;

    if (!list) {
        return NULL;
    }
    msrs = g_malloc0(sizeof(*msrs) + list->nmsrs * sizeof(msrs->entries[0]));
    for (unsigned i = 0; i < list->nmsrs; i++) {
        if (list->indices[i] != MSR_IA32_TSC) { /* set apart: it runs */
            msrs->entries[msrs->nmsrs++].index = list->indices[i];
        }
    }
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

/*
 * Everything a running guest may have changed and that the entry state does not set. The order
 * matters: the APIC base (in sregs) before the local APIC, both before MSRs that need them; events
 * before mp_state.
 */
static bool restore_power_on(Vcpu *vcpu, GError **error)
{
    VcpuSnapshot *s = vcpu->power_on;
    g_autofree struct kvm_msrs *msrs =
        g_malloc0(sizeof(*msrs) + (s->msrs->nmsrs + 1) * sizeof(msrs->entries[0]));

    msrs->nmsrs = s->msrs->nmsrs + 1;
    memcpy(msrs->entries, s->msrs->entries, s->msrs->nmsrs * sizeof(msrs->entries[0]));
    msrs->entries[s->msrs->nmsrs] = (struct kvm_msr_entry){ .index = MSR_IA32_TSC, .data = 0 };
    return VCPU_CALL(vcpu, KVM_SET_SREGS, &s->sregs, error) &&
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
    static const struct kvm_msr_entry wanted[] = {
        { .index = MSR_MTRR_DEF_TYPE, .data = MTRR_DEF_TYPE_WB_ON },
        { .index = MSR_IA32_MISC_ENABLE, .data = MISC_ENABLE_FAST_STR },
        { .index = MSR_IA32_PAT, .data = PAT_POWER_ON },
    };
    g_autofree struct kvm_msrs *msrs = g_malloc0(sizeof(*msrs) + sizeof(wanted));

    msrs->nmsrs = G_N_ELEMENTS(wanted);
    memcpy(msrs->entries, wanted, sizeof(wanted));
    return transfer_msrs(vcpu, KVM_SET_MSRS, msrs, error);
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
        return true; /* nobody could send INIT and SIPI: all vCPUs start runnable */
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
