/* SPDX-License-Identifier: MIT */
/* A vCPU's registers and code as text for people. */
#include "vcpu-internal.h"

#include <inttypes.h>
#include "kvm-internal.h"
#include "tessera/memory/address-space.h"

#define CODE_BYTES 16

static void report_general(const struct kvm_regs *r, GString *out)
{
    const struct {
        const char *name;
        uint64_t value;
    } regs[] = {
        { "RAX", r->rax }, { "RBX", r->rbx }, { "RCX", r->rcx }, { "RDX", r->rdx },
        { "RSI", r->rsi }, { "RDI", r->rdi }, { "RBP", r->rbp }, { "RSP", r->rsp },
        { "R8 ", r->r8 },  { "R9 ", r->r9 },  { "R10", r->r10 }, { "R11", r->r11 },
        { "R12", r->r12 }, { "R13", r->r13 }, { "R14", r->r14 }, { "R15", r->r15 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(regs); i++) {
        g_string_append_printf(out, "%s=%016" PRIx64 "%c", regs[i].name, regs[i].value,
                               i % 4 == 3 ? '\n' : ' ');
    }
    g_string_append_printf(out, "RIP=%016" PRIx64 " RFL=%08" PRIx64 "\n", (uint64_t)r->rip,
                           (uint64_t)r->rflags);
}

static void report_segment(const char *name, const struct kvm_segment *s, GString *out)
{
    g_string_append_printf(out, "%s =%04x %016" PRIx64 " %08x type %x dpl %u%s%s%s\n", name,
                           s->selector, (uint64_t)s->base, s->limit, s->type, s->dpl,
                           s->present ? "" : " not present", s->l ? " 64-bit" : "",
                           s->db ? " 32-bit" : "");
}

static void report_system(const struct kvm_sregs *s, GString *out)
{
    report_segment("CS", &s->cs, out);
    report_segment("DS", &s->ds, out);
    report_segment("ES", &s->es, out);
    report_segment("SS", &s->ss, out);
    report_segment("FS", &s->fs, out);
    report_segment("GS", &s->gs, out);
    report_segment("TR", &s->tr, out);
    report_segment("LDT", &s->ldt, out);
    g_string_append_printf(out, "GDT=%016" PRIx64 " %04x  IDT=%016" PRIx64 " %04x\n",
                           (uint64_t)s->gdt.base, s->gdt.limit, (uint64_t)s->idt.base,
                           s->idt.limit);
    g_string_append_printf(out,
                           "CR0=%08" PRIx64 " CR2=%016" PRIx64 " CR3=%016" PRIx64 " CR4=%08" PRIx64
                           " EFER=%" PRIx64 " APICBASE=%" PRIx64 "\n",
                           (uint64_t)s->cr0, (uint64_t)s->cr2, (uint64_t)s->cr3, (uint64_t)s->cr4,
                           (uint64_t)s->efer, (uint64_t)s->apic_base);
}

void vcpu_report_registers(Vcpu *vcpu, GString *out)
{
    struct kvm_regs regs;
    struct kvm_sregs sregs;

    if (kvm_vcpu_ioctl(vcpu->set->kvm, vcpu->fd, KVM_GET_REGS, &regs) < 0 ||
        kvm_vcpu_ioctl(vcpu->set->kvm, vcpu->fd, KVM_GET_SREGS, &sregs) < 0) {
        g_string_append(out, "(the kernel does not give the registers)\n");
        return;
    }
    report_general(&regs, out);
    report_system(&sregs, out);
}

/* One byte that the guest sees at @linear, if it is memory: a look must not disturb a device. */
static bool peek(Vcpu *vcpu, uint64_t linear, uint8_t *ret_byte)
{
    struct kvm_translation tr = { .linear_address = linear };

    return kvm_vcpu_ioctl(vcpu->set->kvm, vcpu->fd, KVM_TRANSLATE, &tr) >= 0 && tr.valid &&
           address_space_peek(vcpu->set->memory, tr.physical_address, ret_byte, 1);
}

void vcpu_report_code(Vcpu *vcpu, GString *out)
{
    struct kvm_regs regs;
    struct kvm_sregs sregs;

    if (kvm_vcpu_ioctl(vcpu->set->kvm, vcpu->fd, KVM_GET_REGS, &regs) < 0 ||
        kvm_vcpu_ioctl(vcpu->set->kvm, vcpu->fd, KVM_GET_SREGS, &sregs) < 0) {
        return;
    }
    g_string_append(out, "Code at RIP:");
    for (unsigned i = 0; i < CODE_BYTES; i++) {
        uint8_t byte;

        if (!peek(vcpu, sregs.cs.base + regs.rip + i, &byte)) {
            g_string_append(out, i ? " (ends here)" : " no memory there");
            break;
        }
        g_string_append_printf(out, " %02x", byte);
    }
    g_string_append_c(out, '\n');
}
