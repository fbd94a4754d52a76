/* SPDX-License-Identifier: MIT */
/* The KVM accelerator: one VM, its memory slots, interrupt controllers and notifiers. */
#ifndef TESSERA_ACCEL_KVM_KVM_H
#define TESSERA_ACCEL_KVM_KVM_H

#include <glib.h>
#include <stdbool.h>
#include "tessera/memory/types.h"

typedef struct Kvm Kvm;

/**
 * struct KvmConfig - how to make a VM
 * @device: NULL means "/dev/kvm"
 * @identity_map_base, @tss_base: guest-physical pages that the kernel needs on some hosts
 *      (KVM_SET_IDENTITY_MAP_ADDR, KVM_SET_TSS_ADDR: 1 and 3 pages), board's choice
 * @irqchip: in-kernel PICs, IOAPIC, local APICs and PIT
 */
typedef struct KvmConfig {
    const char *device;
    hwaddr identity_map_base;
    hwaddr tss_base;
    bool irqchip;
} KvmConfig;

/**
 * kvm_open() - opens the device and checks its API version; there is no VM yet
 *
 * Errors say in the first line that KVM is missing or not permitted, why, and what to do.
 * Not freed before the vCPUs (vcpu.h) are.
 */
Kvm *kvm_open(const KvmConfig *config, GError **error);

/**
 * kvm_make_vm() - creates the VM, without its chips, and checks its capabilities
 *
 * Once, with the configuration that @kvm was opened with. Nothing but kvm_set_gsi(), which is not
 * heard yet, and kvm_phys_bits() may be called before and meanwhile. Context: any one thread.
 */
bool kvm_make_vm(Kvm *kvm, const KvmConfig *config, GError **error);

/** kvm_new() - kvm_open(), kvm_make_vm(), and kvm_make_irqchip() for @irqchip */
Kvm *kvm_new(const KvmConfig *config, GError **error);
void kvm_free(Kvm *kvm);

/**
 * kvm_attach_memory() - follows both address spaces from now on: slots, ioeventfds, coalesced ranges
 * kvm_detach_memory() - ends that; before the spaces are freed
 */
bool kvm_attach_memory(Kvm *kvm, AddressSpace *memory, AddressSpace *io, GError **error);
void kvm_detach_memory(Kvm *kvm);

/**
 * kvm_make_irqchip() - makes the chips of a VM with @irqchip; before the first vCPU, and once
 *
 * Best after kvm_attach_memory(): the chips leave work for the kernel's grace periods behind, and each
 * slot that is set soon after them waits for it, milliseconds where a VM's first slots take 0.2.
 * Until then kvm_set_gsi() is not heard, and irqfds and MSIs are refused.
 */
bool kvm_make_irqchip(Kvm *kvm, GError **error);

/**
 * kvm_phys_bits() - guest-physical address bits usable: min(host's, CPUID 0x80000008 EAX[7:0]);
 * 32 to 52
 *
 * Waits for the kernel's answer, 0.3 ms where that is slow, the first time. Context: any thread.
 */
unsigned kvm_phys_bits(Kvm *kvm);
unsigned kvm_max_vcpus(const Kvm *kvm);
unsigned kvm_max_slots(const Kvm *kvm);

/** kvm_set_gsi() - level of a global system interrupt. Context: any thread, no lock needed */
void kvm_set_gsi(Kvm *kvm, unsigned gsi, bool level);

/** kvm_send_msi() - delivers a message-signalled interrupt; false when the kernel refused it */
bool kvm_send_msi(Kvm *kvm, uint64_t address, uint32_t data);

/**
 * kvm_add_irqfd() - a signal on @notifier raises @gsi; with @resample the line is level-triggered and
 * @resample is signalled when the guest acknowledges it
 */
bool kvm_add_irqfd(Kvm *kvm, unsigned gsi, EventNotifier *notifier, EventNotifier *resample,
                   GError **error);
bool kvm_del_irqfd(Kvm *kvm, unsigned gsi, EventNotifier *notifier, GError **error);

/** kvm_reset_irqchip() - PICs, IOAPIC and PIT as after power-on. All vCPUs are paused */
bool kvm_reset_irqchip(Kvm *kvm, GError **error);

/** kvm_pause_clock() / kvm_resume_clock() - the guest's kvmclock does not run while the VM is stopped */
void kvm_pause_clock(Kvm *kvm);
void kvm_resume_clock(Kvm *kvm);

/** struct KvmSlotInfo - one memory slot that the kernel has now */
typedef struct KvmSlotInfo {
    uint32_t id;
    uint32_t flags; /* KVM_MEM_*: what the two below say */
    bool readonly;
    bool dirty_log; /* the kernel notes which pages are written */
    hwaddr gpa;
    uint64_t size;
    const void *host;
    const char *region; /* name of the MemoryRegion */
} KvmSlotInfo;

/** kvm_for_each_slot() - by increasing address, under the machine lock */
void kvm_for_each_slot(Kvm *kvm, void (*fn)(const KvmSlotInfo *slot, void *opaque), void *opaque);
/** kvm_find_slot() - the slot that shows @gpa to the guest; false: none does. Machine lock */
bool kvm_find_slot(Kvm *kvm, hwaddr gpa, KvmSlotInfo *ret_slot);
/**
 * kvm_slot_largest_page() - bytes of the largest page in which the processor could map @gpa by @slot,
 * which holds it: 4 KiB, 2 MiB or 1 GiB
 *
 * Guest-physical and host address must agree modulo the page, and all of it lie in the slot. Whether
 * the host's memory has such a page is another matter. Of a slot whose writes are logged it is 4 KiB.
 * Context: any thread
 */
uint64_t kvm_slot_largest_page(const KvmSlotInfo *slot, hwaddr gpa);
/**
 * kvm_chip_at() - the chip inside the kernel that answers at @addr, or at a port: "local APIC", "PIT".
 * NULL: none does. It answers before any slot or region is asked
 */
const char *kvm_chip_at(const Kvm *kvm, hwaddr addr, bool port);
/** kvm_dump_slots() - the same as text: one line each */
void kvm_dump_slots(Kvm *kvm, GString *out);

/** struct KvmStats - totals while memory is attached. Machine lock */
typedef struct KvmStats {
    uint64_t slot_ioctls;
    uint64_t parks;                /* times the vCPUs were held for a slot change */
    uint64_t park_last_us;
    uint64_t park_total_us;
} KvmStats;
KvmStats kvm_stats(Kvm *kvm);

#endif
