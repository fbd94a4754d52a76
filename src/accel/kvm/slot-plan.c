/* SPDX-License-Identifier: MIT */
/* The slot planner. */
#include "slot-plan-internal.h"

#include <linux/kvm.h>

/* A slot to come or to go, and whether the other kind overlaps it. */
typedef struct Change {
    KvmSlot slot;
    bool overlaps;
} Change;

typedef struct Planner {
    GArray *extents; /* KvmTile: neighbours that run on joined */
    GArray *adds;    /* Change, by address */
    GArray *dels;
    KvmSlotPlan *plan;
} Planner;

bool kvm_tile_cut(KvmTile *tile)
{
    uint64_t mask = KVM_SLOT_PAGE - 1;
    uint64_t head = -tile->at.gpa & mask;

    if (((tile->at.gpa ^ tile->host) & mask) || tile->at.size <= head) {
        return false;
    }
    tile->at.gpa += head;
    tile->host += head;
    tile->at.size = (tile->at.size - head) & ~mask;
    return tile->at.size > 0;
}

static bool runs_on(const KvmTile *a, const KvmTile *b)
{
    return gpa_item_end(&a->at) == b->at.gpa && a->host + a->at.size == b->host &&
           a->flags == b->flags && a->mr == b->mr;
}

static void join_tiles(Planner *p, const KvmTile *tiles, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        KvmTile *last = p->extents->len > 0
                            ? &g_array_index(p->extents, KvmTile, p->extents->len - 1)
                            : NULL;

        if (last && runs_on(last, &tiles[i])) {
            last->at.size += tiles[i].at.size;
        } else {
            g_array_append_val(p->extents, tiles[i]);
        }
    }
}

/* How much of [@gpa, @end) one slot may hold. */
static uint64_t piece_size(hwaddr gpa, hwaddr end)
{
    if (end - gpa <= KVM_SLOT_MAX_BYTES) {
        return end - gpa;
    }
    return ((gpa + KVM_SLOT_MAX_BYTES) & ~(KVM_SLOT_CUT - 1)) - gpa;
}

static void add_piece(Planner *p, const KvmTile *extent, hwaddr gpa, uint64_t size)
{
    Change c = { .slot = { .at = { gpa, size },
                           .host = extent->host + (gpa - extent->at.gpa),
                           .flags = extent->flags,
                           .mr = extent->mr } };

    g_array_append_val(p->adds, c);
}

static void fill(Planner *p, const KvmTile *extent, hwaddr gpa, hwaddr end)
{
    while (gpa < end) {
        uint64_t size = piece_size(gpa, end);

        add_piece(p, extent, gpa, size);
        gpa += size;
    }
}

/* May @slot go on mapping its part of @extent? */
static bool serves(const KvmSlot *slot, const KvmTile *extent)
{
    return slot->at.gpa >= extent->at.gpa && gpa_item_end(&slot->at) <= gpa_item_end(&extent->at) &&
           slot->host - slot->at.gpa == extent->host - extent->at.gpa &&
           !((slot->flags ^ extent->flags) & KVM_MEM_READONLY);
}

static void push_step(Planner *p, KvmSlotStepKind kind, const KvmSlot *slot, const KvmTile *extent)
{
    KvmSlotStep step = { .kind = kind };

    if (slot) {
        step.slot = *slot;
    }
    if (extent) {
        step.new_flags = extent->flags;
        step.new_mr = extent->mr;
    }
    g_array_append_val(p->plan->steps, step);
}

/* Each step knows the slot as the one before it leaves it. */
static void keep(Planner *p, const KvmSlot *slot, const KvmTile *extent)
{
    KvmSlot labelled = *slot;

    if (slot->mr != extent->mr) {
        push_step(p, KVM_STEP_LABEL, slot, extent);
        labelled.mr = extent->mr;
    }
    if (slot->flags != extent->flags) {
        push_step(p, KVM_STEP_FLAGS, &labelled, extent);
    }
}

static void del(Planner *p, const KvmSlot *slot)
{
    Change c = { .slot = *slot };

    g_array_append_val(p->dels, c);
}

/* Is @slot what compacting would make at its place in @extent? */
static bool is_piece(const KvmSlot *slot, const KvmTile *extent)
{
    hwaddr gpa = extent->at.gpa, end = gpa_item_end(&extent->at);

    while (gpa < slot->at.gpa) {
        gpa += piece_size(gpa, end);
    }
    return gpa == slot->at.gpa && piece_size(gpa, end) == slot->at.size;
}

/* Walks slots and extents together: what stays, what goes, what comes between. */
static void compare(Planner *p, const KvmSlot *slots, size_t n, bool compact)
{
    size_t i = 0;

    for (guint e = 0; e < p->extents->len; e++) {
        const KvmTile *extent = &g_array_index(p->extents, KvmTile, e);
        hwaddr end = gpa_item_end(&extent->at);
        hwaddr filled = extent->at.gpa;

        for (; i < n && slots[i].at.gpa < end; i++) {
            if (!serves(&slots[i], extent) || (compact && !is_piece(&slots[i], extent))) {
                del(p, &slots[i]);
                continue;
            }
            keep(p, &slots[i], extent);
            fill(p, extent, filled, slots[i].at.gpa);
            filled = gpa_item_end(&slots[i].at);
        }
        fill(p, extent, filled, end);
    }
    for (; i < n; i++) {
        del(p, &slots[i]);
    }
}

static void mark_overlaps(Planner *p)
{
    guint a = 0, d = 0;

    while (a < p->adds->len && d < p->dels->len) {
        Change *add = &g_array_index(p->adds, Change, a);
        Change *gone = &g_array_index(p->dels, Change, d);
        hwaddr add_end = gpa_item_end(&add->slot.at), gone_end = gpa_item_end(&gone->slot.at);

        if (add->slot.at.gpa < gone_end && gone->slot.at.gpa < add_end) {
            add->overlaps = gone->overlaps = true;
        }
        if (add_end <= gone_end) {
            a++;
        } else {
            d++;
        }
    }
}

static unsigned push_changes(Planner *p, KvmSlotStepKind kind, const GArray *changes, bool overlaps)
{
    unsigned n = 0;

    for (guint i = 0; i < changes->len; i++) {
        const Change *c = &g_array_index(changes, Change, i);

        if (c->overlaps == overlaps) {
            push_step(p, kind, &c->slot, NULL);
            n++;
        }
    }
    return n;
}

static unsigned count_changes(const GArray *changes, bool overlaps)
{
    unsigned n = 0;

    for (guint i = 0; i < changes->len; i++) {
        n += g_array_index(changes, Change, i).overlaps == overlaps;
    }
    return n;
}

/*
 * Puts the changes in order. When the ids do not suffice for new slots beside the old ones, what
 * goes goes first; when not even that makes room, the slots that are replaced go before the new ones
 * come, and then the vCPUs are parked for all of it.
 */
static void order(Planner *p, unsigned free_ids)
{
    unsigned plain_adds = count_changes(p->adds, false);
    unsigned plain_dels = count_changes(p->dels, false);
    bool adds_first = plain_adds <= free_ids;
    bool adds_parked = !adds_first && plain_adds > free_ids + plain_dels;
    bool parked = adds_parked || plain_adds < p->adds->len;

    if (adds_first) {
        push_changes(p, KVM_STEP_ADD, p->adds, false);
    }
    push_changes(p, KVM_STEP_DEL, p->dels, false);
    if (!adds_first && !adds_parked) {
        push_changes(p, KVM_STEP_ADD, p->adds, false);
    }
    if (parked) {
        push_step(p, KVM_STEP_PARK, NULL, NULL);
        push_changes(p, KVM_STEP_DEL, p->dels, true);
        push_changes(p, KVM_STEP_ADD, p->adds, true);
        if (adds_parked) {
            push_changes(p, KVM_STEP_ADD, p->adds, false);
        }
        push_step(p, KVM_STEP_UNPARK, NULL, NULL);
    }
}

KvmSlotPlan *kvm_slot_plan_new(const KvmSlot *slots, size_t n_slots, const KvmTile *tiles,
                               size_t n_tiles, unsigned free_ids, bool compact)
{
    KvmSlotPlan *plan = g_new0(KvmSlotPlan, 1);
    g_autoptr(GArray) extents = g_array_new(FALSE, TRUE, sizeof(KvmTile));
    g_autoptr(GArray) adds = g_array_new(FALSE, TRUE, sizeof(Change));
    g_autoptr(GArray) dels = g_array_new(FALSE, TRUE, sizeof(Change));
    Planner p = { .extents = extents, .adds = adds, .dels = dels, .plan = plan };

    plan->steps = g_array_new(FALSE, TRUE, sizeof(KvmSlotStep));
    join_tiles(&p, tiles, n_tiles);
    compare(&p, slots, n_slots, compact);
    mark_overlaps(&p);
    plan->adds = adds->len;
    plan->dels = dels->len;
    if (adds->len > dels->len + free_ids) {
        plan->missing = adds->len - dels->len - free_ids;
    }
    order(&p, free_ids);
    return plan;
}

void kvm_slot_plan_free(KvmSlotPlan *plan)
{
    if (plan) {
        g_array_unref(plan->steps);
        g_free(plan);
    }
}
