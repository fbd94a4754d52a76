/* SPDX-License-Identifier: MIT */
/* One VM: how it is made, its clock, its end. */
#include "tessera/accel/kvm/kvm.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>
#include "kvm-internal.h"
#include "tessera/util/error.h"

int kvm_check_extension(Kvm *kvm, int cap)
{
    void *arg = (void *)(uintptr_t)cap;
    int value = kvm->vm_fd >= 0 ? kvm_vm_ioctl(kvm, KVM_CHECK_EXTENSION, arg)
                                : kvm_system_ioctl(kvm, KVM_CHECK_EXTENSION, arg);

    return MAX(value, 0);
}

void kvm_set_trace(Kvm *kvm, void (*fn)(void *opaque, int fd, unsigned long req, int ret),
                   void *opaque)
{
    kvm->trace = (KvmTrace){ .fn = fn, .opaque = opaque };
}

void kvm_set_park_ops(Kvm *kvm, const KvmParkOps *ops, void *opaque)
{
    kvm->park_ops = ops;
    kvm->park_opaque = opaque;
}

static bool create_vm(Kvm *kvm, GError **error)
{
    int fd = kvm_system_ioctl(kvm, KVM_CREATE_VM, NULL);

    if (fd >= 0) {
        kvm->vm_fd = fd;
        return true;
    }
    if (fd == -EBUSY) {
        error_set_errno(error, EBUSY,
                        "KVM is busy: another hypervisor holds this processor's virtualization; "
                        "stop it");
    } else {
        error_set_errno(error, -fd, "KVM does not make a virtual machine");
    }
    return false;
}

/*
 * Deleting a slot drops the page tables of every slot by default (a workaround of 2019 for one kind
 * of guest). Where the kernel lets us, only the slot's own go; the mask names that quirk alone.
 */
static void disable_slot_zap_all(Kvm *kvm)
{
    struct kvm_enable_cap cap = { .cap = KVM_CAP_DISABLE_QUIRKS2,
                                  .args = { KVM_X86_QUIRK_SLOT_ZAP_ALL } };

    if (kvm_check_extension(kvm, KVM_CAP_DISABLE_QUIRKS2) & KVM_X86_QUIRK_SLOT_ZAP_ALL) {
        kvm->caps.slot_zap_all_off = kvm_vm_ioctl(kvm, KVM_ENABLE_CAP, &cap) >= 0;
    }
}

/* Pages that the kernel takes for itself on Intel processors without unrestricted guests. */
static bool place_kernel_pages(Kvm *kvm, const KvmConfig *config, GError **error)
{
    uint64_t identity = config->identity_map_base;
    int ret = kvm_vm_ioctl(kvm, KVM_SET_IDENTITY_MAP_ADDR, &identity);

    if (ret < 0) {
        error_set_errno(error, -ret, "KVM does not put its identity map at 0x%" PRIx64, identity);
        return false;
    }
    ret = kvm_vm_ioctl(kvm, KVM_SET_TSS_ADDR, (void *)(uintptr_t)config->tss_base);
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM does not put its task state segment at 0x%" PRIx64,
                        config->tss_base);
        return false;
    }
    return true;
}

Kvm *kvm_open(const KvmConfig *config, GError **error)
{
    const char *device = config->device ? config->device : "/dev/kvm";
    Kvm *kvm = g_new0(Kvm, 1);

    kvm->system_fd = -1;
    kvm->vm_fd = -1;
    kvm->irqchip = config->irqchip;
    pthread_mutex_init(&kvm->ring.lock, NULL);
    pthread_mutex_init(&kvm->supported.lock, NULL);
    if (!kvm_open_device(kvm, device, error)) {
        kvm_free(kvm);
        return NULL;
    }
    return kvm;
}

bool kvm_make_vm(Kvm *kvm, const KvmConfig *config, GError **error)
{
    if (!create_vm(kvm, error) || !kvm_read_caps(kvm, error) ||
        !place_kernel_pages(kvm, config, error)) {
        return false;
    }
    disable_slot_zap_all(kvm);
    return true;
}

Kvm *kvm_new(const KvmConfig *config, GError **error)
{
    Kvm *kvm = kvm_open(config, error);

    if (kvm && (!kvm_make_vm(kvm, config, error) ||
                (config->irqchip && !kvm_make_irqchip(kvm, error)))) {
        g_clear_pointer(&kvm, kvm_free);
    }
    return kvm;
}

void kvm_free(Kvm *kvm)
{
    if (!kvm) {
        return;
    }
    g_assert(!kvm->ms);
    if (kvm->vm_fd >= 0) {
        close(kvm->vm_fd);
    }
    if (kvm->system_fd >= 0) {
        close(kvm->system_fd);
    }
    g_free(kvm->supported.table);
    pthread_mutex_destroy(&kvm->supported.lock);
    pthread_mutex_destroy(&kvm->ring.lock);
    g_free(kvm);
}

unsigned kvm_max_vcpus(const Kvm *kvm)
{
    return kvm->caps.max_vcpus;
}

unsigned kvm_max_slots(const Kvm *kvm)
{
    return kvm->caps.nr_slots;
}

void kvm_pause_clock(Kvm *kvm)
{
    if (!kvm->clock_paused) {
        kvm->clock_paused = kvm_vm_ioctl(kvm, KVM_GET_CLOCK, &kvm->clock) >= 0;
    }
}

void kvm_resume_clock(Kvm *kvm)
{
    /* Flags name what else the structure holds (host times): only the guest's own time is set. */
    struct kvm_clock_data clock = { .clock = kvm->clock.clock };

    if (kvm->clock_paused) {
        kvm_vm_ioctl(kvm, KVM_SET_CLOCK, &clock);
        kvm->clock_paused = false;
    }
}
