/* SPDX-License-Identifier: MIT */
/* The slot planner: from the slots that are to the slots that shall be, as a list of steps. */
#ifndef TESSERA_ACCEL_KVM_SLOT_PLAN_INTERNAL_H
#define TESSERA_ACCEL_KVM_SLOT_PLAN_INTERNAL_H

#include <glib.h>
#include "gpa-map-internal.h"

/*
 * A *tile* is what the flat view wants mapped: RAM-like, cut to whole pages, one attribute.
 * A *slot* is what the kernel maps. A tile is covered by one slot or several:
 *
 *      tiles    |............ pc.ram ............|
 *      slots    |    0    |                          an overlay comes at b..c: slot 0 must go,
 *               a                                d    its pieces come, with the vCPUs parked
 *
 *      tiles    |.. pc.ram ..|        |. pc.ram .|
 *      slots    |     0      |        |    1     |
 *               a            b        c          d
 *
 *      tiles    |............ pc.ram ............|    the overlay goes: slot 2 fills the hole alone,
 *      slots    |     0      |   2    |    1     |    and nobody waits. b and c are remembered: when
 *               a            b        c          d    the overlay comes back only slot 2 goes.
 *
 * A slot stays when all of it is wanted still, at the same host address and as writable as it is:
 * it is then not touched, or gets new flags by one ioctl. Only when the ids run out are remembered
 * split points given up (@compact).
 *
 * The order of the steps: what comes and overlaps nothing that goes; what goes and is overlapped by
 * nothing that comes; then, with the vCPUs parked, what goes and what comes in its place. So no
 * guest access ever meets a gap in memory that is there before and after.
 */

/* The kernel counts a slot's pages in 31 bits; bigger ranges are cut at a multiple of 1 GiB. */
#define KVM_SLOT_PAGE      4096ULL
#define KVM_SLOT_MAX_BYTES (((1ULL << 31) - 1) * KVM_SLOT_PAGE)
#define KVM_SLOT_CUT       (1ULL << 30)

/**
 * struct KvmTile - wanted: @at, in whole pages, shows host memory from @host on
 * @flags: KVM_MEM_READONLY, KVM_MEM_LOG_DIRTY_PAGES
 */
typedef struct KvmTile {
    GpaItem at;
    uint64_t host;
    uint32_t flags;
    const MemoryRegion *mr;
} KvmTile;

/** struct KvmSlot - as the kernel has it; @mr: the region shown at its first byte */
typedef struct KvmSlot {
    GpaItem at;
    uint64_t host;
    uint32_t flags;
    uint32_t id;
    const MemoryRegion *mr;
} KvmSlot;

typedef enum KvmSlotStepKind {
    KVM_STEP_ADD,   /* @slot: without an id yet */
    KVM_STEP_DEL,   /* @slot: as it was */
    KVM_STEP_FLAGS, /* @slot: as it was; takes @new_flags */
    KVM_STEP_LABEL, /* @slot: as it was; shows @new_mr. No ioctl */
    KVM_STEP_PARK,
    KVM_STEP_UNPARK,
} KvmSlotStepKind;

typedef struct KvmSlotStep {
    KvmSlotStepKind kind;
    KvmSlot slot;
    uint32_t new_flags;
    const MemoryRegion *new_mr;
} KvmSlotStep;

/**
 * struct KvmSlotPlan - what to do, in order
 * @missing: slot ids that the end state lacks; above 0 the steps must not be begun
 */
typedef struct KvmSlotPlan {
    GArray *steps; /* KvmSlotStep */
    unsigned adds;
    unsigned dels;
    unsigned missing;
} KvmSlotPlan;

/**
 * kvm_slot_plan_new() - pure: no VM, no kernel, no memory behind the addresses needed
 * @slots, @tiles: by address; each slot and tile that overlaps a given one must be given too
 * @free_ids: how many more slots than now there may be
 * @compact: as few slots as possible, instead of as few changes as possible
 */
KvmSlotPlan *kvm_slot_plan_new(const KvmSlot *slots, size_t n_slots, const KvmTile *tiles,
                               size_t n_tiles, unsigned free_ids, bool compact);
void kvm_slot_plan_free(KvmSlotPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KvmSlotPlan, kvm_slot_plan_free)

/** kvm_tile_cut() - @tile's whole pages; false: none, or @host and GPA differ within a page */
bool kvm_tile_cut(KvmTile *tile);

#endif
