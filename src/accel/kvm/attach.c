/* SPDX-License-Identifier: MIT */
/* Following the address spaces: slots, ioeventfds and coalesced zones together. */
#include "kvm-internal.h"

#include "tessera/memory/address-space.h"

static void flush_coalesced(void *opaque)
{
    Kvm *kvm = opaque;

    if (kvm_coalesced_pending(kvm) && !memory_system_is_locked(kvm->ms)) {
        kvm_coalesced_drain(kvm, kvm->memory, kvm->io);
    }
}

bool kvm_attach_memory(Kvm *kvm, AddressSpace *memory, AddressSpace *io, GError **error)
{
    g_assert(!kvm->ms);
    kvm->ms = address_space_system(memory);
    kvm->memory = memory;
    kvm->io = io;
    kvm->flush = (CoalescedFlush){ flush_coalesced, kvm };
    kvm->slots = kvm_slots_new(kvm, memory, error);
    kvm->ioeventfds = kvm->slots ? kvm_ioeventfds_new(kvm, memory, io, error) : NULL;
    kvm->coalesced = kvm->ioeventfds ? kvm_coalesced_new(kvm, memory, io, error) : NULL;
    kvm->ring.accesses =
        kvm->coalesced ? access_counters_new(kvm->ms, "coalesced", error) : NULL;
    if (!kvm->ring.accesses) {
        kvm_detach_memory(kvm);
        return false;
    }
    memory_system_set_coalesced_flush(kvm->ms, &kvm->flush);
    return true;
}

void kvm_detach_memory(Kvm *kvm)
{
    if (kvm->ms) {
        memory_system_set_coalesced_flush(kvm->ms, NULL);
    }
    g_clear_pointer(&kvm->ring.accesses, access_counters_free);
    g_clear_pointer(&kvm->coalesced, kvm_coalesced_free);
    g_clear_pointer(&kvm->ioeventfds, kvm_ioeventfds_free);
    g_clear_pointer(&kvm->slots, kvm_slots_free);
    kvm->ms = NULL;
}
