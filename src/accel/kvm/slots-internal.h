/* SPDX-License-Identifier: MIT */
/* The slot listener's state, shared by its files. */
#ifndef TESSERA_ACCEL_KVM_SLOTS_INTERNAL_H
#define TESSERA_ACCEL_KVM_SLOTS_INTERNAL_H

#include "kvm-internal.h"
#include "slot-plan-internal.h"

/* Guarded by the machine lock. */
struct KvmSlots {
    MemoryListener listener;
    Kvm *kvm;
    GpaMap *tiles; /* KvmTile: what the published view (inside apply: the next) wants */
    GpaMap *slots; /* KvmSlot: what the kernel has */
    GArray *ids;   /* uint64_t: bit n is set while id n is in use */
    GArray *dels;  /* TileChange (slots.c): queued since begin; dels take effect before the others */
    GArray *adds;
    KvmSlotPlan *plan;   /* what prepare has found, or NULL: for the changes it was asked about */
    GArray *asked_dels;  /* TileChange: these */
    GArray *asked_adds;
    GArray *done;  /* KvmSlotStep: executed by apply, kept until commit or revert */
    int64_t parked_at;
    KvmStats stats;
};

/* slot-exec.c */

/** kvm_slots_do() - runs @plan; what succeeded is in s->done, also when it fails */
bool kvm_slots_do(KvmSlots *s, KvmSlotPlan *plan, GError **error);
/**
 * kvm_slots_undo() - goes back over s->done and empties it
 *
 * As far as the kernel lets us: one refusal does not keep the other slots from their place.
 * Returns: false if the slots are not what they were.
 */
bool kvm_slots_undo(KvmSlots *s, GError **error);

/** kvm_slot_region_name() - of the region that @slot shows */
const char *kvm_slot_region_name(const KvmSlot *slot);

#endif
