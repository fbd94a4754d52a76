/* SPDX-License-Identifier: MIT */
/* The bare vCPU: long mode, one to one, three instructions. */
#include "probe.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "tessera/util/x86-entry.h"

#define PAGE 4096ULL

/* Pages of the slot. */
enum { CODE, PML4, PDPT, FIRST_PD, SECOND_PD };

/* Page table entries: Intel SDM vol. 3, 4.5. */
#define ENTRY_TABLE 0x07 /* present, writable, user */
#define ENTRY_2M    0x87


static const uint8_t code[] = {
    0x48, 0x8b, 0x03, /* mov (%rbx), %rax */
    0x48, 0x89, 0x0b, /* mov %rcx, (%rbx) */
    0x48, 0x89, 0x02, /* mov %rax, (%rdx): to PROBE_DONE */
    0xeb, 0xfe,       /* jmp . */
};

static uint64_t page_gpa(unsigned page)
{
    return PROBE_SPACE + page * PAGE;
}

static void fill_pages(Probe *probe)
{
    uint64_t *pml4 = (uint64_t *)(void *)(probe->pages + PML4 * PAGE);
    uint64_t *pdpt = (uint64_t *)(void *)(probe->pages + PDPT * PAGE);
    uint64_t *pd = (uint64_t *)(void *)(probe->pages + FIRST_PD * PAGE); /* and the second */

    memcpy(probe->pages, code, sizeof(code));
    pml4[0] = page_gpa(PDPT) | ENTRY_TABLE;
    pdpt[0] = page_gpa(FIRST_PD) | ENTRY_TABLE;
    pdpt[1] = page_gpa(SECOND_PD) | ENTRY_TABLE;
    for (uint64_t i = 0; i < 1024; i++) {
        pd[i] = i << 21 | ENTRY_2M;
    }
}

static void must(int ret, const char *what)
{
    if (ret < 0) {
        fail_msg("%s: %s", what, strerror(-ret));
    }
}

static struct kvm_segment segment(bool is_code, bool user)
{
    return (struct kvm_segment){
        .limit = UINT32_MAX,
        .selector = (uint16_t)((is_code ? 0x08 : 0x10) | (user ? 3 : 0)),
        .type = is_code ? 11 : 3, /* accessed, readable or writable */
        .present = 1,
        .dpl = user ? 3 : 0,
        .db = !is_code,
        .s = 1,
        .l = is_code,
        .g = 1,
    };
}

static void set_mode(Probe *probe, bool user)
{
    struct kvm_sregs *s = &probe->sregs;

    s->cs = segment(true, user);
    s->ds = s->es = s->fs = s->gs = s->ss = segment(false, user);
    s->cr0 = X86_ENTRY_CR0_PE | X86_ENTRY_CR0_ET | X86_ENTRY_CR0_PG;
    s->cr3 = page_gpa(PML4);
    s->cr4 = X86_ENTRY_CR4_PAE;
    s->efer = X86_ENTRY_EFER_LME | X86_ENTRY_EFER_LMA;
    must(kvm_vcpu_ioctl(probe->kvm, probe->fd, KVM_SET_SREGS, s), "KVM_SET_SREGS");
    probe->user = user;
}

void probe_init(Probe *probe, Kvm *kvm, uint32_t slot_id)
{
    struct kvm_userspace_memory_region slot = {
        .slot = slot_id, .guest_phys_addr = PROBE_SPACE, .memory_size = PROBE_PAGES * PAGE};

    *probe = (Probe){.kvm = kvm, .run_size = kvm->caps.vcpu_mmap_size};
    probe->pages = mmap(NULL, PROBE_PAGES * PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(probe->pages != MAP_FAILED);
    fill_pages(probe);
    slot.userspace_addr = (uintptr_t)probe->pages;
    must(kvm_vm_ioctl(kvm, KVM_SET_USER_MEMORY_REGION, &slot), "the probe's slot");
    probe->fd = kvm_vm_ioctl(kvm, KVM_CREATE_VCPU, NULL);
    must(probe->fd, "KVM_CREATE_VCPU");
    probe->run =
        mmap(NULL, probe->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, probe->fd, 0);
    assert_true(probe->run != MAP_FAILED);
    must(kvm_vcpu_ioctl(kvm, probe->fd, KVM_GET_SREGS, &probe->sregs), "KVM_GET_SREGS");
    set_mode(probe, false);
}

void probe_done(Probe *probe)
{
    munmap(probe->run, probe->run_size);
    close(probe->fd);
    munmap(probe->pages, PROBE_PAGES * PAGE);
}

static void set_registers(Probe *probe, uint64_t gpa, uint64_t value)
{
    struct kvm_regs regs = {
        .rip = page_gpa(CODE), .rflags = X86_ENTRY_RFLAGS_1, .rbx = gpa, .rcx = value, .rdx = PROBE_DONE};

    must(kvm_vcpu_ioctl(probe->kvm, probe->fd, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

/* The next access of the guest that is not RAM; the one before it completes. */
static void next_exit(Probe *probe)
{
    struct kvm_run *run = probe->run;

    must(kvm_vcpu_ioctl(probe->kvm, probe->fd, KVM_RUN, NULL), "KVM_RUN");
    if (run->exit_reason != KVM_EXIT_MMIO || run->mmio.len != 8) {
        fail_msg("the probe's vCPU left with reason %u (suberror %u)", run->exit_reason,
                 run->exit_reason == KVM_EXIT_INTERNAL_ERROR ? run->internal.suberror : 0);
    }
}

/* The last exit's access completes, and the guest does nothing else. */
static void complete(Probe *probe)
{
    probe->run->immediate_exit = 1;
    assert_int_equal(kvm_vcpu_ioctl(probe->kvm, probe->fd, KVM_RUN, NULL), -EINTR);
    probe->run->immediate_exit = 0;
}

ProbeAccess probe_access(Probe *probe, uint64_t gpa, uint64_t value, bool user)
{
    struct kvm_run *run = probe->run;
    ProbeAccess access = {0};

    if (user != probe->user) {
        set_mode(probe, user);
    }
    set_registers(probe, gpa, value);
    next_exit(probe);
    if (run->mmio.phys_addr == gpa && !run->mmio.is_write) {
        access.read_exits = true;
        access.value = PROBE_EXIT_VALUE;
        memcpy(run->mmio.data, &access.value, 8);
        next_exit(probe);
    }
    if (run->mmio.phys_addr == gpa && run->mmio.is_write) {
        access.write_exits = true;
        assert_memory_equal(run->mmio.data, &value, 8);
        next_exit(probe);
    }
    assert_true(run->mmio.is_write);
    assert_int_equal(run->mmio.phys_addr, PROBE_DONE);
    memcpy(&access.value, run->mmio.data, 8);
    complete(probe);
    return access;
}
