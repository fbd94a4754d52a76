/* SPDX-License-Identifier: MIT */
/* irqfd: a signal on an eventfd raises an interrupt without the program's help. */
#include "kvm-internal.h"

#include "tessera/util/error.h"
#include "tessera/util/event-notifier.h"

bool kvm_add_irqfd(Kvm *kvm, unsigned gsi, EventNotifier *notifier, EventNotifier *resample,
                   GError **error)
{
    struct kvm_irqfd irqfd = { .fd = (uint32_t)notifier->fd, .gsi = gsi };
    int ret;

    if (resample) {
        if (!kvm->caps.irqfd_resample) {
            g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_UNSUPPORTED,
                        "this kernel's KVM cannot resample level-triggered interrupts (no "
                        "KVM_CAP_IRQFD_RESAMPLE): GSI %u cannot be bound to an eventfd", gsi);
            return false;
        }
        irqfd.flags = KVM_IRQFD_FLAG_RESAMPLE;
        irqfd.resamplefd = (uint32_t)resample->fd;
    }
    ret = kvm_vm_ioctl(kvm, KVM_IRQFD, &irqfd);
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM does not bind eventfd %d to GSI %u", notifier->fd, gsi);
        return false;
    }
    return true;
}

bool kvm_del_irqfd(Kvm *kvm, unsigned gsi, EventNotifier *notifier, GError **error)
{
    struct kvm_irqfd irqfd = { .fd = (uint32_t)notifier->fd, .gsi = gsi,
                               .flags = KVM_IRQFD_FLAG_DEASSIGN };
    int ret = kvm_vm_ioctl(kvm, KVM_IRQFD, &irqfd);

    if (ret < 0) {
        error_set_errno(error, -ret, "KVM does not take eventfd %d off GSI %u", notifier->fd, gsi);
        return false;
    }
    return true;
}
