/* SPDX-License-Identifier: MIT */
/* Questions about one vCPU: a register by its name, an address through its page tables. */
#include "vcpu-internal.h"

#include <sched.h>
#include <stddef.h>
#include <string.h>
#include "kvm-internal.h"
#include "tessera/memory/address-space.h"
#include "tessera/util/error.h"
#include "tessera/util/suggest.h"

/* Where a register lies in struct kvm_regs or struct kvm_sregs, and how wide it is there. */
typedef struct RegisterPlace {
    const char *name;
    bool system; /* in kvm_sregs */
    uint16_t offset;
    uint8_t bytes; /* low bytes that count: 2, 4 or 8 */
} RegisterPlace;

#define GENERAL(letters)                                                                           \
    { "r" #letters, false, offsetof(struct kvm_regs, r##letters), 8 },                             \
    { "e" #letters, false, offsetof(struct kvm_regs, r##letters), 4 }
#define NUMBERED(n)                                                                                \
    { "r" #n, false, offsetof(struct kvm_regs, r##n), 8 },                                         \
    { "r" #n "d", false, offsetof(struct kvm_regs, r##n), 4 }
#define SEGMENT(s)                                                                                 \
    { #s, true, offsetof(struct kvm_sregs, s.selector), 2 },                                       \
    { #s "_base", true, offsetof(struct kvm_sregs, s.base), 8 },                                   \
    { #s "_limit", true, offsetof(struct kvm_sregs, s.limit), 4 }
#define TABLE(t)                                                                                   \
    { #t "_base", true, offsetof(struct kvm_sregs, t.base), 8 },                                   \
    { #t "_limit", true, offsetof(struct kvm_sregs, t.limit), 2 }
#define SYSTEM(s) { #s, true, offsetof(struct kvm_sregs, s), 8 }

static const RegisterPlace places[] = {
    GENERAL(ax), GENERAL(bx), GENERAL(cx), GENERAL(dx), GENERAL(si), GENERAL(di), GENERAL(bp),
    GENERAL(sp), GENERAL(ip), GENERAL(flags),
    { "pc", false, offsetof(struct kvm_regs, rip), 8 },
    NUMBERED(8), NUMBERED(9), NUMBERED(10), NUMBERED(11), NUMBERED(12), NUMBERED(13),
    NUMBERED(14), NUMBERED(15),
    SEGMENT(cs), SEGMENT(ds), SEGMENT(es), SEGMENT(fs), SEGMENT(gs), SEGMENT(ss), SEGMENT(tr),
    SEGMENT(ldt), TABLE(gdt), TABLE(idt),
    SYSTEM(cr0), SYSTEM(cr2), SYSTEM(cr3), SYSTEM(cr4), SYSTEM(cr8), SYSTEM(efer),
    SYSTEM(apic_base),
};

static const RegisterPlace *find_place(const char *name, GError **error)
{
    const char *names[G_N_ELEMENTS(places) + 1];
    g_autofree char *hint = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        if (g_ascii_strcasecmp(places[i].name, name) == 0) {
            return &places[i];
        }
        names[i] = places[i].name;
    }
    names[G_N_ELEMENTS(places)] = NULL;
    hint = suggest_phrase(name, names);
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND, "there is no register '%s'%s", name,
                hint);
    return NULL;
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

bool vcpu_set_get_register(VcpuSet *set, unsigned cpu, const char *name, uint64_t *ret_value,
                           GError **error)
{
    const RegisterPlace *place = find_place(name, error);
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    uint64_t value = 0;
    int ret;

    if (!place || !check_index(set, cpu, error)) {
        return false;
    }
    vcpu_set_look(set);
    ret = place->system
              ? kvm_vcpu_ioctl(set->kvm, set->vcpus[cpu]->fd, KVM_GET_SREGS, &sregs)
              : kvm_vcpu_ioctl(set->kvm, set->vcpus[cpu]->fd, KVM_GET_REGS, &regs);
    vcpu_set_end_look(set);
    if (ret < 0) {
        error_set_errno(error, -ret, "vCPU %u: %s", cpu,
                        place->system ? "KVM_GET_SREGS" : "KVM_GET_REGS");
        return false;
    }
    memcpy(&value, (const char *)(place->system ? (void *)&sregs : (void *)&regs) + place->offset,
           place->bytes); /* little endian: the low bytes come first */
    *ret_value = value;
    return true;
}

bool vcpu_set_translate(VcpuSet *set, unsigned cpu, uint64_t gva, hwaddr *ret_gpa)
{
    struct kvm_translation tr = { .linear_address = gva };
    int ret;

    if (cpu >= set->count) {
        return false;
    }
    vcpu_set_park(set); /* the kernel's answer needs the vCPU for itself: else we wait in it */
    ret = kvm_vcpu_ioctl(set->kvm, set->vcpus[cpu]->fd, KVM_TRANSLATE, &tr);
    vcpu_set_unpark(set);
    if (ret < 0 || !tr.valid) {
        return false;
    }
    *ret_gpa = tr.physical_address;
    return true;
}

static bool read_table(void *opaque, uint64_t gpa, void *buf, unsigned len)
{
    VcpuSet *set = opaque;

    return address_space_peek(set->memory, gpa, buf, len);
}

bool vcpu_set_walk(VcpuSet *set, unsigned cpu, uint64_t gva, X86PagingState *ret_state,
                   X86Walk *ret_walk, GError **error)
{
    X86PagingState state;
    struct kvm_sregs sregs;
    int ret;

    if (!check_index(set, cpu, error)) {
        return false;
    }
    vcpu_set_look(set);
    ret = kvm_vcpu_ioctl(set->kvm, set->vcpus[cpu]->fd, KVM_GET_SREGS, &sregs);
    if (ret >= 0) {
        state = (X86PagingState){ .cr0 = sregs.cr0, .cr3 = sregs.cr3, .cr4 = sregs.cr4,
                                  .efer = sregs.efer, .phys_bits = set->phys_bits,
                                  .gib_pages = set->gib_pages };
        x86_paging_walk(&state, gva, read_table, set, ret_walk);
        *ret_state = state;
    }
    vcpu_set_end_look(set);
    if (ret < 0) {
        error_set_errno(error, -ret, "vCPU %u: KVM_GET_SREGS", cpu);
    }
    return ret >= 0;
}

int vcpu_set_thread_id(VcpuSet *set, unsigned cpu)
{
    int tid;

    if (cpu >= set->count) {
        return 0;
    }
    while ((tid = atomic_load(&set->vcpus[cpu]->tid)) == 0) {
        sched_yield(); /* the thread exists and says its name first of all */
    }
    return tid;
}
