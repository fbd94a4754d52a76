/* SPDX-License-Identifier: MIT */
/* Memory slots: what the monitor shows of them. */
#include "slots-internal.h"

#include <inttypes.h>
#include "tessera/memory/memory-system.h"
#include "tessera/util/size.h"

static KvmSlotInfo slot_info(const KvmSlot *slot)
{
    return (KvmSlotInfo){ .id = slot->id,
                          .flags = slot->flags,
                          .readonly = (slot->flags & KVM_MEM_READONLY) != 0,
                          .dirty_log = (slot->flags & KVM_MEM_LOG_DIRTY_PAGES) != 0,
                          .gpa = slot->at.gpa,
                          .size = slot->at.size,
                          .host = (const void *)(uintptr_t)slot->host,
                          .region = kvm_slot_region_name(slot) };
}

void kvm_for_each_slot(Kvm *kvm, void (*fn)(const KvmSlotInfo *slot, void *opaque), void *opaque)
{
    KvmSlots *s = kvm->slots;

    if (!s) {
        return;
    }
    g_assert(memory_system_is_locked(kvm->ms));
    for (const KvmSlot *slot = gpa_map_first(s->slots, 0, UINT64_MAX); slot;
         slot = gpa_map_next(s->slots, slot, UINT64_MAX)) {
        KvmSlotInfo info = slot_info(slot);

        fn(&info, opaque);
    }
}

bool kvm_find_slot(Kvm *kvm, hwaddr gpa, KvmSlotInfo *ret_slot)
{
    const KvmSlot *slot;

    if (!kvm->slots || gpa == UINT64_MAX) { /* a slot ends below 2^64 */
        return false;
    }
    g_assert(memory_system_is_locked(kvm->ms));
    slot = gpa_map_first(kvm->slots->slots, gpa, gpa + 1);
    if (slot) {
        *ret_slot = slot_info(slot);
    }
    return slot != NULL;
}

static bool page_fits(const KvmSlotInfo *slot, hwaddr gpa, uint64_t page)
{
    hwaddr start = gpa & ~(page - 1);

    return ((slot->gpa ^ (uintptr_t)slot->host) & (page - 1)) == 0 && start >= slot->gpa &&
           slot->size >= page && start - slot->gpa <= slot->size - page;
}

uint64_t kvm_slot_largest_page(const KvmSlotInfo *slot, hwaddr gpa)
{
    if (!slot->dirty_log) {
        for (uint64_t page = GIB; page > 4 * KIB; page >>= 9) {
            if (page_fits(slot, gpa, page)) {
                return page;
            }
        }
    }
    return 4 * KIB;
}

static void dump_slot(const KvmSlotInfo *slot, void *opaque)
{
    g_string_append_printf(opaque, "slot %u: %016" PRIx64 "-%016" PRIx64 " host %p %s%s %s\n",
                           slot->id, slot->gpa, slot->gpa + slot->size - 1, slot->host,
                           slot->readonly ? "ro" : "rw",
                           slot->dirty_log ? " log" : "", slot->region);
}

void kvm_dump_slots(Kvm *kvm, GString *out)
{
    kvm_for_each_slot(kvm, dump_slot, out);
}

KvmStats kvm_stats(Kvm *kvm)
{
    return kvm->slots ? kvm->slots->stats : (KvmStats){ 0 };
}
