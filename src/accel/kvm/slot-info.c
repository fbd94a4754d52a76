/* SPDX-License-Identifier: MIT */
/* Memory slots: what the monitor shows of them. */
#include "slots-internal.h"

#include <inttypes.h>
#include "tessera/memory/memory-system.h"

void kvm_for_each_slot(Kvm *kvm, void (*fn)(const KvmSlotInfo *slot, void *opaque), void *opaque)
{
    KvmSlots *s = kvm->slots;

    if (!s) {
        return;
    }
    g_assert(memory_system_is_locked(kvm->ms));
    for (const KvmSlot *slot = gpa_map_first(s->slots, 0, UINT64_MAX); slot;
         slot = gpa_map_next(s->slots, slot, UINT64_MAX)) {
        KvmSlotInfo info = { .id = slot->id,
                             .flags = slot->flags,
                             .gpa = slot->at.gpa,
                             .size = slot->at.size,
                             .host = (const void *)(uintptr_t)slot->host,
                             .region = kvm_slot_region_name(slot) };

        fn(&info, opaque);
    }
}

static void dump_slot(const KvmSlotInfo *slot, void *opaque)
{
    g_string_append_printf(opaque, "slot %u: %016" PRIx64 "-%016" PRIx64 " host %p %s%s %s\n",
                           slot->id, slot->gpa, slot->gpa + slot->size - 1, slot->host,
                           slot->flags & KVM_MEM_READONLY ? "ro" : "rw",
                           slot->flags & KVM_MEM_LOG_DIRTY_PAGES ? " log" : "", slot->region);
}

void kvm_dump_slots(Kvm *kvm, GString *out)
{
    kvm_for_each_slot(kvm, dump_slot, out);
}

KvmStats kvm_stats(Kvm *kvm)
{
    return kvm->slots ? kvm->slots->stats : (KvmStats){ 0 };
}
