/* SPDX-License-Identifier: MIT */
/* The only ioctl() calls on KVM's files. */
#include "kvm-internal.h"

#include <errno.h>
#include <sys/ioctl.h>
#include "tessera/util/trace.h"

static void trace_ioctl(int fd, unsigned long req, int ret, uint64_t began)
{
    trace_event(kvm_ioctl, .request = kvm_ioctl_name(req), .fd = fd, .result = ret,
                .ns = trace_now() - began);
}

static int kvm_do_ioctl(Kvm *kvm, int fd, unsigned long req, void *arg)
{
    uint64_t began = trace_on(kvm_ioctl) ? trace_now() : 0;
    int ret;

    do {
        ret = ioctl(fd, req, arg);
        if (ret < 0) {
            ret = -errno;
        }
    } while (ret == -EINTR);
    if (G_UNLIKELY(began)) {
        trace_ioctl(fd, req, ret, began);
    }
    if (G_UNLIKELY(kvm->trace.fn)) {
        kvm->trace.fn(kvm->trace.opaque, fd, req, ret);
    }
    return ret;
}

int kvm_system_ioctl(Kvm *kvm, unsigned long req, void *arg)
{
    return kvm_do_ioctl(kvm, kvm->system_fd, req, arg);
}

int kvm_vm_ioctl(Kvm *kvm, unsigned long req, void *arg)
{
    return kvm_do_ioctl(kvm, kvm->vm_fd, req, arg);
}

/* A signal ends it, and what it is traced by is the vCPU's: vcpu_enter, vcpu_exit. */
static int kvm_do_run(Kvm *kvm, int fd, void *arg)
{
    int ret = ioctl(fd, KVM_RUN, arg);

    if (ret < 0) {
        ret = -errno;
    }
    if (G_UNLIKELY(kvm->trace.fn)) {
        kvm->trace.fn(kvm->trace.opaque, fd, KVM_RUN, ret);
    }
    return ret;
}

int kvm_vcpu_ioctl(Kvm *kvm, int vcpu_fd, unsigned long req, void *arg)
{
    return req == KVM_RUN ? kvm_do_run(kvm, vcpu_fd, arg) : kvm_do_ioctl(kvm, vcpu_fd, req, arg);
}

static const struct {
    unsigned long req;
    const char *name;
} ioctl_names[] = {
#define NAME(req) { req, #req }
    NAME(KVM_RUN),
    NAME(KVM_SET_USER_MEMORY_REGION),
    NAME(KVM_IOEVENTFD),
    NAME(KVM_IRQFD),
    NAME(KVM_IRQ_LINE),
    NAME(KVM_SIGNAL_MSI),
    NAME(KVM_REGISTER_COALESCED_MMIO),
    NAME(KVM_UNREGISTER_COALESCED_MMIO),
    NAME(KVM_GET_API_VERSION),
    NAME(KVM_CREATE_VM),
    NAME(KVM_CHECK_EXTENSION),
    NAME(KVM_ENABLE_CAP),
    NAME(KVM_GET_VCPU_MMAP_SIZE),
    NAME(KVM_GET_SUPPORTED_CPUID),
    NAME(KVM_GET_MSR_INDEX_LIST),
    NAME(KVM_CREATE_VCPU),
    NAME(KVM_SET_IDENTITY_MAP_ADDR),
    NAME(KVM_SET_TSS_ADDR),
    NAME(KVM_CREATE_IRQCHIP),
    NAME(KVM_GET_IRQCHIP),
    NAME(KVM_SET_IRQCHIP),
    NAME(KVM_CREATE_PIT2),
    NAME(KVM_GET_PIT2),
    NAME(KVM_SET_PIT2),
    NAME(KVM_SET_GSI_ROUTING),
    NAME(KVM_GET_CLOCK),
    NAME(KVM_SET_CLOCK),
    NAME(KVM_KVMCLOCK_CTRL),
    NAME(KVM_SET_CPUID2),
    NAME(KVM_GET_REGS),
    NAME(KVM_SET_REGS),
    NAME(KVM_GET_SREGS),
    NAME(KVM_SET_SREGS),
    NAME(KVM_GET_MSRS),
    NAME(KVM_SET_MSRS),
    NAME(KVM_GET_LAPIC),
    NAME(KVM_SET_LAPIC),
    NAME(KVM_SET_FPU),
    NAME(KVM_SET_XSAVE),
    NAME(KVM_SET_XCRS),
    NAME(KVM_GET_MP_STATE),
    NAME(KVM_SET_MP_STATE),
    NAME(KVM_SET_VCPU_EVENTS),
    NAME(KVM_SET_DEBUGREGS),
    NAME(KVM_NMI),
    NAME(KVM_INTERRUPT),
    NAME(KVM_GET_STATS_FD),
#undef NAME
};

const char *kvm_ioctl_name(unsigned long req)
{
    for (size_t i = 0; i < G_N_ELEMENTS(ioctl_names); i++) {
        if (ioctl_names[i].req == req) {
            return ioctl_names[i].name;
        }
    }
    return "ioctl";
}
