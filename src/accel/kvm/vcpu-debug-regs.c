/* SPDX-License-Identifier: MIT */
/* A vCPU's registers for a debugger, read and written. */
#include "vcpu-internal.h"

#include <string.h>
#include "kvm-internal.h"
#include "tessera/util/error.h"

#define MSR_KERNEL_GS_BASE 0xc0000102 /* Intel SDM volume 4, table 2-2 */
#define CR0_PE             1ULL
#define RFLAGS_VM          (1ULL << 17)

/*
 * The legacy region of an XSAVE area has the layout of FXSAVE in 64-bit mode, and the header's
 * first word says which parts are not in their initial state (Intel SDM volume 1, 10.5.1 and 13.4).
 */
enum {
    FX_FCW = 0,
    FX_FSW = 2,
    FX_FTW = 4,
    FX_FOP = 6,
    FX_FIP = 8,
    FX_FDP = 16,
    FX_MXCSR = 24,
    FX_ST = 32, /* 16 bytes each */
    FX_XMM = 160,
    FX_XSTATE_BV = 512,
};
#define XSTATE_X87_SSE 3ULL

/* All of one vCPU that VcpuRegisters comes from. */
typedef struct DebugState {
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    uint64_t k_gs_base;
    bool has_k_gs_base;
    uint8_t *xsave; /* as large as the kernel wants it */
    bool xsave2;
} DebugState;

static bool call(Vcpu *vcpu, unsigned long req, void *arg, const char *what, GError **error)
{
    int ret = kvm_vcpu_ioctl(vcpu->set->kvm, vcpu->fd, req, arg);

    if (ret < 0) {
        error_set_errno(error, -ret, "vCPU %u: %s", vcpu->index, what);
        return false;
    }
    return true;
}
#define CALL(vcpu, req, arg, error) call((vcpu), (req), (arg), #req, (error))

/* One MSR; 1: done, 0: this vCPU has no such MSR, or -errno. */
static int transfer_msr(Vcpu *vcpu, unsigned long req, uint32_t index, uint64_t *value)
{
    g_autofree struct kvm_msrs *msrs = g_malloc0(sizeof(*msrs) + sizeof(msrs->entries[0]));
    int ret;

    msrs->nmsrs = 1;
    msrs->entries[0] = (struct kvm_msr_entry){ .index = index, .data = *value };
    ret = kvm_vcpu_ioctl(vcpu->set->kvm, vcpu->fd, req, msrs);
    if (ret == 1) {
        *value = msrs->entries[0].data;
    }
    return ret;
}

static void debug_state_done(DebugState *s)
{
    g_free(s->xsave);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DebugState, debug_state_done)

static bool debug_state_read(Vcpu *vcpu, DebugState *s, GError **error)
{
    int size = kvm_check_extension(vcpu->set->kvm, KVM_CAP_XSAVE2);

    s->xsave2 = size > (int)sizeof(struct kvm_xsave);
    s->xsave = g_malloc0(MAX((size_t)MAX(size, 0), sizeof(struct kvm_xsave)));
    s->has_k_gs_base =
        transfer_msr(vcpu, KVM_GET_MSRS, MSR_KERNEL_GS_BASE, &s->k_gs_base) == 1;
    return CALL(vcpu, KVM_GET_REGS, &s->regs, error) &&
           CALL(vcpu, KVM_GET_SREGS, &s->sregs, error) &&
           (s->xsave2 ? CALL(vcpu, KVM_GET_XSAVE2, s->xsave, error)
                      : CALL(vcpu, KVM_GET_XSAVE, s->xsave, error));
}

/*
 * Where each number lies, once for both directions: @load copies from the vCPU's state to what the
 * debugger sees, otherwise back.
 */
static void move_bytes(void *seen, void *held, size_t n, bool load)
{
    memcpy(load ? seen : held, load ? held : seen, n);
}

static void move_general(VcpuRegisters *r, struct kvm_regs *k, bool load)
{
    __u64 *const held[] = { &k->rax, &k->rbx, &k->rcx, &k->rdx, &k->rsi, &k->rdi, &k->rbp, &k->rsp,
                            &k->r8,  &k->r9,  &k->r10, &k->r11, &k->r12, &k->r13, &k->r14, &k->r15 };

    for (unsigned i = 0; i < G_N_ELEMENTS(held); i++) {
        move_bytes(&r->general[i], held[i], 8, load);
    }
    move_bytes(&r->rip, &k->rip, 8, load);
    move_bytes(&r->rflags, &k->rflags, 8, load);
}

static void move_system(VcpuRegisters *r, struct kvm_sregs *k, bool load)
{
    move_bytes(&r->cs, &k->cs.selector, 2, load);
    move_bytes(&r->ss, &k->ss.selector, 2, load);
    move_bytes(&r->ds, &k->ds.selector, 2, load);
    move_bytes(&r->es, &k->es.selector, 2, load);
    move_bytes(&r->fs, &k->fs.selector, 2, load);
    move_bytes(&r->gs, &k->gs.selector, 2, load);
    move_bytes(&r->fs_base, &k->fs.base, 8, load);
    move_bytes(&r->gs_base, &k->gs.base, 8, load);
    move_bytes(&r->cr0, &k->cr0, 8, load);
    move_bytes(&r->cr2, &k->cr2, 8, load);
    move_bytes(&r->cr3, &k->cr3, 8, load);
    move_bytes(&r->cr4, &k->cr4, 8, load);
    move_bytes(&r->cr8, &k->cr8, 8, load);
    move_bytes(&r->efer, &k->efer, 8, load);
}

static void move_fpu(VcpuRegisters *r, uint8_t *area, bool load)
{
    move_bytes(&r->fcw, area + FX_FCW, 2, load);
    move_bytes(&r->fsw, area + FX_FSW, 2, load);
    move_bytes(&r->ftw, area + FX_FTW, 1, load);
    move_bytes(&r->fop, area + FX_FOP, 2, load);
    move_bytes(&r->fip, area + FX_FIP, 8, load);
    move_bytes(&r->fdp, area + FX_FDP, 8, load);
    move_bytes(&r->mxcsr, area + FX_MXCSR, 4, load);
    for (unsigned i = 0; i < G_N_ELEMENTS(r->st); i++) {
        move_bytes(r->st[i], area + FX_ST + 16 * i, sizeof(r->st[i]), load);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(r->xmm); i++) {
        move_bytes(r->xmm[i], area + FX_XMM + 16 * i, sizeof(r->xmm[i]), load);
    }
}

static bool read_registers(Vcpu *vcpu, VcpuRegisters *ret, GError **error)
{
    g_auto(DebugState) s = { 0 };

    if (!debug_state_read(vcpu, &s, error)) {
        return false;
    }
    memset(ret, 0, sizeof(*ret));
    move_general(ret, &s.regs, true);
    move_system(ret, &s.sregs, true);
    move_fpu(ret, s.xsave, true);
    ret->k_gs_base = s.k_gs_base;
    return true;
}

static bool check_index(const VcpuSet *set, unsigned cpu, GError **error)
{
    if (cpu >= set->count) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                    "there is no vCPU %u: this machine has 0 to %u", cpu, set->count - 1);
        return false;
    }
    return true;
}

bool vcpu_debug_get_registers(VcpuSet *set, unsigned cpu, VcpuRegisters *ret, GError **error)
{
    bool ok;

    if (!check_index(set, cpu, error)) {
        return false;
    }
    vcpu_set_look(set);
    ok = read_registers(set->vcpus[cpu], ret, error);
    vcpu_set_end_look(set);
    return ok;
}

/* Writing. */

/* In real mode and in virtual-8086 mode a selector is its base, and nothing is loaded from memory. */
static bool set_selectors(struct kvm_sregs *now, const struct kvm_sregs *before, uint64_t rflags,
                          GError **error)
{
    struct kvm_segment *segments[] = { &now->cs, &now->ss, &now->ds, &now->es, &now->fs, &now->gs };
    const struct kvm_segment *old[] = { &before->cs, &before->ss, &before->ds,
                                        &before->es, &before->fs, &before->gs };

    for (unsigned i = 0; i < G_N_ELEMENTS(segments); i++) {
        if (segments[i]->selector == old[i]->selector) {
            continue;
        }
        if ((before->cr0 & CR0_PE) && !(rflags & RFLAGS_VM)) {
            g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                        "selector 0x%x: in protected mode a segment is changed by the guest alone, "
                        "with its descriptor; only fs_base and gs_base can be set",
                        segments[i]->selector);
            return false;
        }
        segments[i]->base = (uint64_t)segments[i]->selector << 4;
    }
    return true;
}

static bool write_system(Vcpu *vcpu, VcpuRegisters *wanted, DebugState *s, GError **error)
{
    struct kvm_sregs before = s->sregs;

    move_system(wanted, &s->sregs, false);
    if (memcmp(&before, &s->sregs, sizeof(before)) == 0) {
        return true;
    }
    return set_selectors(&s->sregs, &before, s->regs.rflags, error) &&
           CALL(vcpu, KVM_SET_SREGS, &s->sregs, error);
}

static bool write_k_gs_base(Vcpu *vcpu, uint64_t wanted, DebugState *s, GError **error)
{
    int ret;

    if (wanted == s->k_gs_base) {
        return true;
    }
    ret = s->has_k_gs_base ? transfer_msr(vcpu, KVM_SET_MSRS, MSR_KERNEL_GS_BASE, &wanted) : 0;
    if (ret == 1) {
        return true;
    }
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                "vCPU %u: KERNEL_GS_BASE 0x%" G_GINT64_MODIFIER "x: %s", vcpu->index, wanted,
                s->has_k_gs_base ? "refused; it must be a canonical address" : "there is none");
    return false;
}

/* Parts in their initial state are not loaded unless the header says that they are there. */
static bool write_fpu(Vcpu *vcpu, VcpuRegisters *wanted, DebugState *s, GError **error)
{
    uint8_t before[FX_XSTATE_BV];
    uint64_t present;

    memcpy(before, s->xsave, sizeof(before));
    move_fpu(wanted, s->xsave, false);
    if (memcmp(before, s->xsave, sizeof(before)) == 0) {
        return true;
    }
    memcpy(&present, s->xsave + FX_XSTATE_BV, sizeof(present));
    present |= XSTATE_X87_SSE;
    memcpy(s->xsave + FX_XSTATE_BV, &present, sizeof(present));
    return CALL(vcpu, KVM_SET_XSAVE, s->xsave, error);
}

static bool write_registers(Vcpu *vcpu, const VcpuRegisters *wanted, GError **error)
{
    g_auto(DebugState) s = { 0 };
    VcpuRegisters w = *wanted;
    struct kvm_regs before;

    if (!debug_state_read(vcpu, &s, error)) {
        return false;
    }
    before = s.regs;
    move_general(&w, &s.regs, false);
    return (memcmp(&before, &s.regs, sizeof(before)) == 0 ||
            CALL(vcpu, KVM_SET_REGS, &s.regs, error)) &&
           write_system(vcpu, &w, &s, error) && write_k_gs_base(vcpu, w.k_gs_base, &s, error) &&
           write_fpu(vcpu, &w, &s, error);
}

bool vcpu_debug_set_registers(VcpuSet *set, unsigned cpu, const VcpuRegisters *wanted,
                              GError **error)
{
    bool ok;

    if (!check_index(set, cpu, error)) {
        return false;
    }
    vcpu_set_look(set);
    ok = write_registers(set->vcpus[cpu], wanted, error);
    vcpu_set_end_look(set);
    return ok;
}
