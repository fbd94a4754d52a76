/* SPDX-License-Identifier: MIT */
/* A vCPU's registers in the layout of QEMU's "info registers", which people and scripts know. */
#include "vcpu-internal.h"

#include <inttypes.h>
#include "kvm-internal.h"
#include "tessera/util/error.h"

/* RFLAGS bits and the letters that stand for them, highest first (Intel SDM volume 1, 3.4.3). */
static const struct {
    unsigned bit;
    char letter;
} flag_letters[] = { { 10, 'D' }, { 11, 'O' }, { 7, 'S' }, { 6, 'Z' }, { 4, 'A' }, { 2, 'P' },
                     { 0, 'C' } };

#define EFER_LMA (1u << 10)

/* Everything that is shown of one vCPU. */
typedef struct VcpuState {
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_debugregs debug;
    struct kvm_fpu fpu;
    struct kvm_mp_state mp;
    struct kvm_vcpu_events events;
    bool wide; /* long mode: 16 digits, R8 to R15 */
} VcpuState;

static bool get(Vcpu *vcpu, unsigned long req, void *arg, const char *what, GError **error)
{
    int ret = kvm_vcpu_ioctl(vcpu->set->kvm, vcpu->fd, req, arg);

    if (ret < 0) {
        error_set_errno(error, -ret, "vCPU %u: %s", vcpu->index, what);
        return false;
    }
    return true;
}

static bool get_state(Vcpu *vcpu, VcpuState *s, GError **error)
{
    return get(vcpu, KVM_GET_REGS, &s->regs, "KVM_GET_REGS", error) &&
           get(vcpu, KVM_GET_SREGS, &s->sregs, "KVM_GET_SREGS", error) &&
           get(vcpu, KVM_GET_DEBUGREGS, &s->debug, "KVM_GET_DEBUGREGS", error) &&
           get(vcpu, KVM_GET_FPU, &s->fpu, "KVM_GET_FPU", error) &&
           get(vcpu, KVM_GET_MP_STATE, &s->mp, "KVM_GET_MP_STATE", error) &&
           get(vcpu, KVM_GET_VCPU_EVENTS, &s->events, "KVM_GET_VCPU_EVENTS", error);
}

static void show_general(const VcpuState *s, GString *out)
{
    const struct kvm_regs *r = &s->regs;
    const struct {
        const char *wide, *narrow;
        uint64_t value;
    } regs[] = {
        { "RAX", "EAX", r->rax }, { "RBX", "EBX", r->rbx }, { "RCX", "ECX", r->rcx },
        { "RDX", "EDX", r->rdx }, { "RSI", "ESI", r->rsi }, { "RDI", "EDI", r->rdi },
        { "RBP", "EBP", r->rbp }, { "RSP", "ESP", r->rsp }, { "R8 ", NULL, r->r8 },
        { "R9 ", NULL, r->r9 },   { "R10", NULL, r->r10 },  { "R11", NULL, r->r11 },
        { "R12", NULL, r->r12 },  { "R13", NULL, r->r13 },  { "R14", NULL, r->r14 },
        { "R15", NULL, r->r15 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(regs); i++) {
        char end = i % 4 == 3 ? '\n' : ' ';

        if (s->wide) {
            g_string_append_printf(out, "%s=%016" PRIx64 "%c", regs[i].wide, regs[i].value, end);
        } else if (regs[i].narrow) {
            g_string_append_printf(out, "%s=%08" PRIx32 "%c", regs[i].narrow,
                                   (uint32_t)regs[i].value, end);
        }
    }
}

static void show_state_line(const VcpuState *s, GString *out)
{
    char letters[G_N_ELEMENTS(flag_letters) + 1] = "";

    for (size_t i = 0; i < G_N_ELEMENTS(flag_letters); i++) {
        letters[i] = s->regs.rflags >> flag_letters[i].bit & 1 ? flag_letters[i].letter : '-';
    }
    g_string_append_printf(out, "%cIP=%0*" PRIx64 " %cFL=%08" PRIx32, s->wide ? 'R' : 'E',
                           s->wide ? 16 : 8, (uint64_t)s->regs.rip, s->wide ? 'R' : 'E',
                           (uint32_t)s->regs.rflags);
    g_string_append_printf(out, " [%s] CPL=%d II=0 A20=1 SMM=%d HLT=%d\n", letters,
                           s->sregs.ss.dpl, s->events.smi.smm,
                           s->mp.mp_state == KVM_MP_STATE_HALTED);
}

/* The attributes as the second half of a descriptor has them (SDM volume 3A, figure 3-8). */
static uint32_t descriptor_flags(const struct kvm_segment *s)
{
    if (s->unusable) {
        return 0;
    }
    return (uint32_t)s->type << 8 | (uint32_t)s->s << 12 | (uint32_t)s->dpl << 13 |
           (uint32_t)s->present << 15 | (uint32_t)s->avl << 20 | (uint32_t)s->l << 21 |
           (uint32_t)s->db << 22 | (uint32_t)s->g << 23 | (s->limit & 0xf0000);
}

/* "CS64 [-RA]" of code, "DS   [-WA]" of data, "TSS64-busy" and its like of system segments. */
static void show_kind(const VcpuState *s, const struct kvm_segment *seg, GString *out)
{
    g_string_append_printf(out, " DPL=%d ", seg->dpl);
    if (!seg->s) {
        g_string_append(out, seg->type == 2 ? "LDT" : s->wide ? "TSS64" : "TSS32");
        g_string_append(out, seg->type == 11 ? "-busy" : seg->type == 9 ? "-avl" : "");
    } else if (seg->type & 8) {
        g_string_append_printf(out, "%s [%c%c%c]", seg->l ? "CS64" : seg->db ? "CS32" : "CS16",
                               seg->type & 4 ? 'C' : '-', seg->type & 2 ? 'R' : '-',
                               seg->type & 1 ? 'A' : '-');
    } else {
        g_string_append_printf(out, "%s [%c%c%c]", seg->db || s->wide ? "DS  " : "DS16",
                               seg->type & 4 ? 'E' : '-', seg->type & 2 ? 'W' : '-',
                               seg->type & 1 ? 'A' : '-');
    }
}

static void show_segment(const VcpuState *s, const char *name, const struct kvm_segment *seg,
                         GString *out)
{
    g_string_append_printf(out, "%-3s=%04x %0*" PRIx64 " %08x %08x", name, seg->selector,
                           s->wide ? 16 : 8, (uint64_t)seg->base, seg->limit,
                           descriptor_flags(seg));
    if (seg->present && !seg->unusable && (s->sregs.cr0 & 1)) {
        show_kind(s, seg, out);
    }
    g_string_append_c(out, '\n');
}

static void show_system(const VcpuState *s, GString *out)
{
    const struct kvm_sregs *r = &s->sregs;
    int digits = s->wide ? 16 : 8;

    show_segment(s, "ES", &r->es, out);
    show_segment(s, "CS", &r->cs, out);
    show_segment(s, "SS", &r->ss, out);
    show_segment(s, "DS", &r->ds, out);
    show_segment(s, "FS", &r->fs, out);
    show_segment(s, "GS", &r->gs, out);
    show_segment(s, "LDT", &r->ldt, out);
    show_segment(s, "TR", &r->tr, out);
    g_string_append_printf(out, "GDT=     %0*" PRIx64 " %08x\n", digits, (uint64_t)r->gdt.base,
                           r->gdt.limit);
    g_string_append_printf(out, "IDT=     %0*" PRIx64 " %08x\n", digits, (uint64_t)r->idt.base,
                           r->idt.limit);
    g_string_append_printf(out, "CR0=%08" PRIx32 " CR2=%0*" PRIx64 " CR3=%0*" PRIx64
                           " CR4=%08" PRIx32 "\n", (uint32_t)r->cr0, digits, (uint64_t)r->cr2,
                           digits, (uint64_t)r->cr3, (uint32_t)r->cr4);
    for (unsigned i = 0; i < G_N_ELEMENTS(s->debug.db); i++) {
        g_string_append_printf(out, "DR%u=%016" PRIx64 " ", i, (uint64_t)s->debug.db[i]);
    }
    g_string_append_printf(out, "\nDR6=%016" PRIx64 " DR7=%016" PRIx64 "\nEFER=%016" PRIx64 "\n",
                           (uint64_t)s->debug.dr6, (uint64_t)s->debug.dr7, (uint64_t)r->efer);
}

static uint64_t load_bytes(const uint8_t *bytes, unsigned n)
{
    uint64_t value = 0;

    while (n-- > 0) {
        value = value << 8 | bytes[n];
    }
    return value;
}

static void show_fpu(const VcpuState *s, GString *out)
{
    const struct kvm_fpu *f = &s->fpu;
    unsigned xmms = s->wide ? 16 : 8;

    g_string_append_printf(out, "FCW=%04x FSW=%04x [ST=%d] FTW=%02x MXCSR=%08x\n", f->fcw, f->fsw,
                           f->fsw >> 11 & 7, f->ftwx, f->mxcsr);
    for (unsigned i = 0; i < G_N_ELEMENTS(f->fpr); i++) {
        g_string_append_printf(out, "FPR%u=%016" PRIx64 " %04x%c", i, load_bytes(f->fpr[i], 8),
                               (unsigned)load_bytes(f->fpr[i] + 8, 2), i % 2 ? '\n' : ' ');
    }
    for (unsigned i = 0; i < xmms; i++) {
        g_string_append_printf(out, "XMM%02u=%016" PRIx64 " %016" PRIx64 "%c", i,
                               load_bytes(f->xmm[i] + 8, 8), load_bytes(f->xmm[i], 8),
                               i % 2 ? '\n' : ' ');
    }
}

bool vcpu_set_show_registers(VcpuSet *set, unsigned cpu, GString *out, GError **error)
{
    VcpuState s = { 0 };
    bool ok;

    if (cpu >= set->count) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                    "there is no vCPU %u: this machine has 0 to %u", cpu, set->count - 1);
        return false;
    }
    vcpu_set_look(set);
    ok = get_state(set->vcpus[cpu], &s, error);
    vcpu_set_end_look(set);
    if (!ok) {
        return false;
    }
    s.wide = s.sregs.efer & EFER_LMA;
    show_general(&s, out);
    show_state_line(&s, out);
    show_system(&s, out);
    show_fpu(&s, out);
    return true;
}
