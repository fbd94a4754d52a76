/* SPDX-License-Identifier: MIT */
/* The model KVM: ioeventfds, irqfds, coalesced zones; and what a guest's write meets. */
#include "model-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAX_BUS_DEVICES 1000 /* coalesced zones, chips; ioeventfds do not count */

static bool fd_is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static bool same_ioeventfd(const ModelIoeventfd *a, const struct kvm_ioeventfd *b)
{
    uint32_t kept = KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH;

    return a->fd == b->fd && a->addr == b->addr && a->len == b->len &&
           a->flags == (b->flags & kept) &&
           (!(a->flags & KVM_IOEVENTFD_FLAG_DATAMATCH) || a->datamatch == b->datamatch);
}

static bool collides(const ModelIoeventfd *a, const struct kvm_ioeventfd *b)
{
    bool both_match = a->flags & b->flags & KVM_IOEVENTFD_FLAG_DATAMATCH;

    if (((a->flags ^ b->flags) & KVM_IOEVENTFD_FLAG_PIO) || a->addr != b->addr) {
        return false;
    }
    return a->len == 0 || b->len == 0 ||
           (a->len == b->len && (!both_match || a->datamatch == b->datamatch));
}

static int ioeventfd_deassign(ModelVm *vm, const struct kvm_ioeventfd *e)
{
    for (guint i = 0; i < vm->ioeventfds->len; i++) {
        if (same_ioeventfd(&g_array_index(vm->ioeventfds, ModelIoeventfd, i), e)) {
            g_array_remove_index(vm->ioeventfds, i);
            return 0;
        }
    }
    return -ENOENT;
}

int model_ioeventfd(ModelVm *vm, const struct kvm_ioeventfd *e)
{
    const uint32_t known = KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_PIO |
                           KVM_IOEVENTFD_FLAG_DEASSIGN;
    ModelIoeventfd new = { .addr = e->addr, .datamatch = e->datamatch, .len = e->len, .fd = e->fd,
                           .flags = e->flags & ~(uint32_t)KVM_IOEVENTFD_FLAG_DEASSIGN };

    if (e->flags & KVM_IOEVENTFD_FLAG_DEASSIGN) {
        return fd_is_open(e->fd) ? ioeventfd_deassign(vm, e) : -EBADF;
    }
    if ((e->len != 0 && e->len != 1 && e->len != 2 && e->len != 4 && e->len != 8) ||
        e->addr + e->len < e->addr || (e->flags & ~known) ||
        (e->len == 0 && (e->flags & KVM_IOEVENTFD_FLAG_DATAMATCH))) {
        return -EINVAL;
    }
    if (!fd_is_open(e->fd)) {
        return -EBADF;
    }
    for (guint i = 0; i < vm->ioeventfds->len; i++) {
        if (collides(&g_array_index(vm->ioeventfds, ModelIoeventfd, i), e)) {
            return -EEXIST;
        }
    }
    g_array_append_val(vm->ioeventfds, new);
    return 0;
}

int model_irqfd(ModelVm *vm, const struct kvm_irqfd *e)
{
    const uint32_t known = KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE;
    ModelIrqfd new = { .fd = (int)e->fd, .gsi = e->gsi, .resamplefd = -1 };

    if ((e->flags & ~known) || !vm->irqchip) {
        return -EINVAL;
    }
    if (!fd_is_open((int)e->fd)) {
        return -EBADF;
    }
    for (guint i = 0; i < vm->irqfds->len; i++) {
        const ModelIrqfd *old = &g_array_index(vm->irqfds, ModelIrqfd, i);

        if (old->fd != new.fd) {
            continue;
        }
        if (!(e->flags & KVM_IRQFD_FLAG_DEASSIGN)) {
            return -EBUSY;
        }
        if (old->gsi == new.gsi) {
            g_array_remove_index(vm->irqfds, i);
            return 0;
        }
    }
    if (e->flags & KVM_IRQFD_FLAG_DEASSIGN) {
        return 0;
    }
    if (e->flags & KVM_IRQFD_FLAG_RESAMPLE) {
        if (!fd_is_open((int)e->resamplefd)) {
            return -EBADF;
        }
        new.resamplefd = (int)e->resamplefd;
    }
    g_array_append_val(vm->irqfds, new);
    return 0;
}

static bool zone_holds(const struct kvm_coalesced_mmio_zone *z, bool pio, uint64_t addr,
                       uint64_t len)
{
    return (z->pio != 0) == pio && addr >= z->addr && addr + len <= z->addr + z->size &&
           addr + len >= addr;
}

int model_zone(ModelVm *vm, const struct kvm_coalesced_mmio_zone *zone, bool add)
{
    if (zone->pio > 1) {
        return -EINVAL;
    }
    if (add) {
        if (vm->zones->len >= MAX_BUS_DEVICES - 4) {
            return -ENOSPC;
        }
        g_array_append_vals(vm->zones, zone, 1);
        return 0;
    }
    /* The kernel drops every zone that holds the given range, not only the equal one. */
    for (guint i = vm->zones->len; i > 0; i--) {
        const struct kvm_coalesced_mmio_zone *z =
            &g_array_index(vm->zones, struct kvm_coalesced_mmio_zone, i - 1);

        if (zone_holds(z, zone->pio != 0, zone->addr, zone->size)) {
            g_array_remove_index(vm->zones, i - 1);
        }
    }
    return 0;
}

/* The slot's memory behind @addr, or NULL: then the access leaves the guest. */
static void *ram_at(ModelVm *vm, uint64_t addr, unsigned len, bool write)
{
    for (guint i = 0; i < vm->slots->len; i++) {
        const ModelSlot *s = &g_array_index(vm->slots, ModelSlot, i);

        if (addr >= s->gpa && addr + len <= s->gpa + s->size) {
            return write && (s->flags & KVM_MEM_READONLY)
                       ? NULL
                       : (void *)(uintptr_t)(s->host + (addr - s->gpa));
        }
    }
    return NULL;
}

static bool write_ram(ModelVm *vm, uint64_t addr, unsigned len, uint64_t data)
{
    void *ram = ram_at(vm, addr, len, true);

    if (ram) {
        memcpy(ram, &data, len);
    }
    return ram;
}

static bool write_ioeventfd(ModelVm *vm, bool pio, uint64_t addr, unsigned len, uint64_t data)
{
    const uint64_t one = 1;

    for (guint i = 0; i < vm->ioeventfds->len; i++) {
        const ModelIoeventfd *e = &g_array_index(vm->ioeventfds, ModelIoeventfd, i);
        bool match = !(e->flags & KVM_IOEVENTFD_FLAG_DATAMATCH) || e->datamatch == data;

        if (((e->flags & KVM_IOEVENTFD_FLAG_PIO) != 0) == pio && e->addr == addr && match &&
            (e->len == 0 || e->len == len)) {
            return write(e->fd, &one, sizeof(one)) == (ssize_t)sizeof(one);
        }
    }
    return false;
}

static bool write_ring(ModelVm *vm, bool pio, uint64_t addr, unsigned len, uint64_t data)
{
    ModelVcpu *first = vm->vcpus->len > 0 ? g_ptr_array_index(vm->vcpus, 0) : NULL;
    struct kvm_coalesced_mmio_ring *ring;
    bool held = false;
    uint32_t last;

    for (guint i = 0; i < vm->zones->len; i++) {
        held |= zone_holds(&g_array_index(vm->zones, struct kvm_coalesced_mmio_zone, i), pio, addr,
                           len);
    }
    if (!held || !first) {
        return false;
    }
    ring = (void *)((char *)first->run + 2 * MODEL_PAGE);
    last = ring->last;
    if ((last + 1) % MODEL_RING_MAX == __atomic_load_n(&ring->first, __ATOMIC_ACQUIRE)) {
        return false;
    }
    ring->coalesced_mmio[last] =
        (struct kvm_coalesced_mmio){ .phys_addr = addr, .len = len, .pio = pio };
    memcpy(ring->coalesced_mmio[last].data, &data, len);
    __atomic_store_n(&ring->last, (uint32_t)((last + 1) % MODEL_RING_MAX), __ATOMIC_RELEASE);
    return true;
}

ModelWrite model_vm_guest_write(ModelVm *vm, bool pio, uint64_t addr, unsigned len, uint64_t data)
{
    ModelWrite ret = MODEL_WRITE_EXIT;

    model_lock();
    if (!pio && write_ram(vm, addr, len, data)) {
        ret = MODEL_WRITE_RAM;
    } else if (write_ioeventfd(vm, pio, addr, len, data)) {
        ret = MODEL_WRITE_IOEVENTFD;
    } else if (write_ring(vm, pio, addr, len, data)) {
        ret = MODEL_WRITE_COALESCED;
    }
    model_unlock();
    return ret;
}

bool model_vm_guest_read(ModelVm *vm, uint64_t addr, unsigned len, void *ret_data)
{
    void *ram;

    model_lock();
    ram = ram_at(vm, addr, len, false);
    if (ram) {
        memcpy(ret_data, ram, len);
    }
    model_unlock();
    return ram;
}
