/* SPDX-License-Identifier: MIT */
/* Memory slots: executing a plan's steps, and going back over them. */
#include "slots-internal.h"

#include <errno.h>
#include <inttypes.h>
#include "tessera/memory/region.h"
#include "tessera/util/error.h"
#include "tessera/util/log.h"
#include "tessera/util/trace.h"

const char *kvm_slot_region_name(const KvmSlot *slot)
{
    return slot->mr ? memory_region_name(slot->mr) : "left behind by a failed commit";
}

static void set_id(KvmSlots *s, unsigned id, bool used)
{
    if (id / 64 >= s->ids->len) {
        g_array_set_size(s->ids, id / 64 + 1); /* clears what is new */
    }
    if (used) {
        g_array_index(s->ids, uint64_t, id / 64) |= 1ULL << id % 64;
    } else {
        g_array_index(s->ids, uint64_t, id / 64) &= ~(1ULL << id % 64);
    }
}

/* The lowest: then the kernel's and our arrays stay dense. */
static unsigned free_id(const KvmSlots *s)
{
    for (guint word = 0; word < s->ids->len; word++) {
        uint64_t used = g_array_index(s->ids, uint64_t, word);

        if (~used) {
            return word * 64 + (unsigned)__builtin_ctzll(~used);
        }
    }
    return s->ids->len * 64;
}

static int set_region(KvmSlots *s, const KvmSlot *slot, uint32_t flags, uint64_t size)
{
    struct kvm_userspace_memory_region m = { .slot = slot->id,
                                             .flags = flags,
                                             .guest_phys_addr = slot->at.gpa,
                                             .memory_size = size,
                                             .userspace_addr = slot->host };

    int ret = kvm_vm_ioctl(s->kvm, KVM_SET_USER_MEMORY_REGION, &m);

    s->stats.slot_ioctls++;
    memory_listener_count_ioctls(&s->listener, 1);
    log_item(LOG_SLOT, "slot %u: %s 0x%" PRIx64 " + 0x%" PRIx64 " flags %u: %s", m.slot,
             size ? "set" : "delete", slot->at.gpa, slot->at.size, flags,
             ret < 0 ? g_strerror(-ret) : "done");
    trace_event(kvm_slot, .slot = slot->id, .address = slot->at.gpa, .size = size, .flags = flags,
                .host = slot->host, .result = ret, .region = kvm_slot_region_name(slot));
    return ret;
}

static int add_slot(KvmSlots *s, const KvmSlot *slot)
{
    int ret = set_region(s, slot, slot->flags, slot->at.size);

    if (ret >= 0) {
        set_id(s, slot->id, true);
        gpa_map_add(s->slots, slot, sizeof(*slot));
    }
    return ret;
}

static int del_slot(KvmSlots *s, const KvmSlot *slot)
{
    int ret = set_region(s, slot, 0, 0);

    if (ret >= 0) {
        set_id(s, slot->id, false);
        gpa_map_remove(s->slots, slot->at.gpa);
    }
    return ret;
}

static int set_flags(KvmSlots *s, const KvmSlot *slot, uint32_t flags)
{
    int ret = set_region(s, slot, flags, slot->at.size);

    if (ret >= 0) {
        ((KvmSlot *)gpa_map_find(s->slots, slot->at.gpa))->flags = flags;
    }
    return ret;
}

static void park(KvmSlots *s)
{
    const KvmParkOps *ops = s->kvm->park_ops;

    s->parked_at = g_get_monotonic_time();
    trace_event(kvm_park_begin, .done = s->done->len);
    if (ops) {
        ops->park(s->kvm->park_opaque);
    }
}

static void unpark(KvmSlots *s)
{
    const KvmParkOps *ops = s->kvm->park_ops;

    if (ops) {
        ops->unpark(s->kvm->park_opaque);
        s->stats.parks++;
        s->stats.park_last_us = (uint64_t)(g_get_monotonic_time() - s->parked_at);
        s->stats.park_total_us += s->stats.park_last_us;
        memory_listener_count_pause(&s->listener, s->stats.park_last_us);
    }
    trace_event(kvm_park_end, .us = (uint64_t)(g_get_monotonic_time() - s->parked_at));
}

static int do_step(KvmSlots *s, KvmSlotStep *step)
{
    switch (step->kind) {
    case KVM_STEP_ADD:
        step->slot.id = free_id(s);
        return add_slot(s, &step->slot);
    case KVM_STEP_DEL:
        return del_slot(s, &step->slot);
    case KVM_STEP_FLAGS:
        return set_flags(s, &step->slot, step->new_flags);
    case KVM_STEP_LABEL:
        ((KvmSlot *)gpa_map_find(s->slots, step->slot.at.gpa))->mr = step->new_mr;
        return 0;
    case KVM_STEP_PARK:
        park(s);
        return 0;
    case KVM_STEP_UNPARK:
        unpark(s);
        return 0;
    }
    return -EINVAL;
}

/*
 * A slot that the kernel keeps against our will outlives the region it shows: nobody will look at
 * that again.
 */
static int undo_add(KvmSlots *s, const KvmSlot *slot)
{
    int ret = del_slot(s, slot);

    if (ret < 0) {
        ((KvmSlot *)gpa_map_find(s->slots, slot->at.gpa))->mr = NULL;
    }
    return ret;
}

static int undo_step(KvmSlots *s, const KvmSlotStep *step)
{
    switch (step->kind) {
    case KVM_STEP_ADD:
        return undo_add(s, &step->slot);
    case KVM_STEP_DEL:
        return add_slot(s, &step->slot);
    case KVM_STEP_FLAGS:
        return set_flags(s, &step->slot, step->slot.flags);
    case KVM_STEP_LABEL:
        ((KvmSlot *)gpa_map_find(s->slots, step->slot.at.gpa))->mr = step->slot.mr;
        return 0;
    case KVM_STEP_PARK:
        unpark(s);
        return 0;
    case KVM_STEP_UNPARK:
        park(s);
        return 0;
    }
    return -EINVAL;
}

static void set_step_error(const KvmSlotStep *step, bool undo, int err, GError **error)
{
    bool add = (step->kind == KVM_STEP_ADD) != undo;
    const char *verb = step->kind == KVM_STEP_FLAGS ? "change" : add ? "take" : "delete";
    bool back = undo && (add || step->kind == KVM_STEP_FLAGS);

    error_set_errno(error, err,
                    "KVM did not %s%s memory slot %u (0x%" PRIx64 "-0x%" PRIx64 ", %s)", verb,
                    back ? " back" : "", step->slot.id, step->slot.at.gpa,
                    gpa_item_end(&step->slot.at) - 1, kvm_slot_region_name(&step->slot));
}

bool kvm_slots_undo(KvmSlots *s, GError **error)
{
    bool ok = true;

    for (guint i = s->done->len; i > 0; i--) {
        const KvmSlotStep *step = &g_array_index(s->done, KvmSlotStep, i - 1);
        int ret = undo_step(s, step);

        if (ret < 0 && ok) {
            ok = false;
            set_step_error(step, true, -ret, error);
        }
    }
    g_array_set_size(s->done, 0);
    return ok;
}

bool kvm_slots_do(KvmSlots *s, KvmSlotPlan *plan, GError **error)
{
    for (guint i = 0; i < plan->steps->len; i++) {
        KvmSlotStep *step = &g_array_index(plan->steps, KvmSlotStep, i);
        int ret = do_step(s, step);

        if (ret < 0) {
            set_step_error(step, false, -ret, error);
            return false;
        }
        g_array_append_val(s->done, *step);
    }
    return true;
}
