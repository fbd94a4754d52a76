/* SPDX-License-Identifier: MIT */
/* The slot listener: what the memory space shows as RAM becomes KVM's memory slots. */
#include "slots-internal.h"

#include <inttypes.h>
#include <string.h>
#include "tessera/memory/ram-block.h"
#include "tessera/memory/region.h"
#include "tessera/util/error.h"

/* What one commit does to the tiles; undone in reverse order. */
typedef enum TileChangeKind { TILE_DEL, TILE_ADD, TILE_FLAGS } TileChangeKind;

typedef struct TileChange {
    TileChangeKind kind;
    KvmTile tile; /* TILE_FLAGS: with the new flags */
    uint32_t old_flags;
} TileChange;

static KvmSlots *from_listener(MemoryListener *l)
{
    return (KvmSlots *)(void *)((char *)l - offsetof(KvmSlots, listener));
}

/* Sections to tiles. */

/* The whole pages of @section as a slot would map them; false: no slot. */
static bool section_to_tile(const MemoryRegionSection *section, KvmTile *ret_tile)
{
    MemoryRegion *mr = section->mr;
    RAMBlock *block = memory_region_ram_block(mr);
    KvmTile tile = { .mr = mr };

    if (!block || (memory_region_is_rom_device(mr) && !section->romd_mode)) {
        return false;
    }
    if (section->readonly || memory_region_is_rom_device(mr) ||
        (ram_block_flags(block) & RAM_READONLY)) {
        tile.flags |= KVM_MEM_READONLY;
    }
    if (section->dirty_log_mask) {
        tile.flags |= KVM_MEM_LOG_DIRTY_PAGES;
    }
    tile.at.gpa = section->offset_within_address_space;
    tile.at.size = (uint64_t)section->size; /* RAM-like: far below 2^64 */
    tile.host = (uint64_t)(uintptr_t)ram_block_host(block) + section->offset_within_region;
    if (!kvm_tile_cut(&tile)) {
        return false;
    }
    *ret_tile = tile;
    return true;
}

static void queue_change(GArray *queue, TileChangeKind kind, const MemoryRegionSection *section)
{
    TileChange c = { .kind = kind };

    if (section_to_tile(section, &c.tile)) {
        g_array_append_val(queue, c);
    }
}

static void set_tile_flags(KvmSlots *s, TileChange *c, bool undo)
{
    KvmTile *tile = gpa_map_find(s->tiles, c->tile.at.gpa);

    if (!tile) {
        return; /* logging ends where the tile goes in the same commit */
    }
    if (!undo) {
        c->old_flags = tile->flags;
    }
    tile->flags = undo ? c->old_flags : c->tile.flags;
}

static void change_tile(KvmSlots *s, TileChange *c, bool undo)
{
    if (c->kind == TILE_FLAGS) {
        set_tile_flags(s, c, undo);
    } else if ((c->kind == TILE_ADD) != undo) {
        gpa_map_add(s->tiles, &c->tile, sizeof(c->tile));
    } else {
        gpa_map_remove(s->tiles, c->tile.at.gpa);
    }
}

static void change_tiles(KvmSlots *s, GArray *dels, GArray *adds)
{
    for (guint i = 0; i < dels->len; i++) {
        change_tile(s, &g_array_index(dels, TileChange, i), false);
    }
    for (guint i = 0; i < adds->len; i++) {
        change_tile(s, &g_array_index(adds, TileChange, i), false);
    }
}

static void unchange_tiles(KvmSlots *s, GArray *dels, GArray *adds)
{
    for (guint i = adds->len; i > 0; i--) {
        change_tile(s, &g_array_index(adds, TileChange, i - 1), true);
    }
    for (guint i = dels->len; i > 0; i--) {
        change_tile(s, &g_array_index(dels, TileChange, i - 1), true);
    }
}

/* Planning: only what lies where something changes is looked at. */

typedef struct Window {
    hwaddr start;
    hwaddr end;
} Window;

static bool widen(Window *w, GpaMap *map)
{
    const GpaItem *first = gpa_map_first(map, w->start, w->end);
    const GpaItem *last = gpa_map_last(map, w->start, w->end);
    Window old = *w;

    if (first) {
        w->start = MIN(w->start, first->gpa);
        w->end = MAX(w->end, gpa_item_end(last));
    }
    return w->start != old.start || w->end != old.end;
}

static int by_start(const void *a, const void *b)
{
    const Window *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

static void add_windows(KvmSlots *s, GArray *windows, const GArray *changes)
{
    for (guint i = 0; i < changes->len; i++) {
        const KvmTile *tile = &g_array_index(changes, TileChange, i).tile;
        Window w = { tile->at.gpa, gpa_item_end(&tile->at) };

        /* Until every slot and tile that reaches in is in as a whole. */
        while (widen(&w, s->tiles) || widen(&w, s->slots)) {
        }
        g_array_append_val(windows, w);
    }
}

/* By address, each place once. */
static void merge_windows(GArray *windows)
{
    guint n = 0;

    g_array_sort(windows, by_start);
    for (guint i = 0; i < windows->len; i++) {
        Window w = g_array_index(windows, Window, i);
        Window *last = n > 0 ? &g_array_index(windows, Window, n - 1) : NULL;

        if (last && w.start < last->end) {
            last->end = MAX(last->end, w.end);
        } else {
            g_array_index(windows, Window, n++) = w;
        }
    }
    g_array_set_size(windows, n);
}

static KvmSlotPlan *plan_windows(KvmSlots *s, const GArray *windows, bool compact)
{
    g_autoptr(GArray) slots = g_array_new(FALSE, FALSE, sizeof(KvmSlot));
    g_autoptr(GArray) tiles = g_array_new(FALSE, FALSE, sizeof(KvmTile));

    for (guint i = 0; i < windows->len; i++) {
        Window w = g_array_index(windows, Window, i);

        for (void *at = gpa_map_first(s->slots, w.start, w.end); at;
             at = gpa_map_next(s->slots, at, w.end)) {
            g_array_append_vals(slots, at, 1);
        }
        for (void *at = gpa_map_first(s->tiles, w.start, w.end); at;
             at = gpa_map_next(s->tiles, at, w.end)) {
            g_array_append_vals(tiles, at, 1);
        }
    }
    return kvm_slot_plan_new((const KvmSlot *)(void *)slots->data, slots->len,
                             (const KvmTile *)(void *)tiles->data, tiles->len,
                             s->kvm->caps.nr_slots - gpa_map_count(s->slots), compact);
}

/*
 * With the tiles changed already. When the ids run out, the remembered split points are given up,
 * where something changes at first, then everywhere.
 */
static KvmSlotPlan *make_plan(KvmSlots *s, const GArray *dels, const GArray *adds)
{
    g_autoptr(GArray) windows = g_array_new(FALSE, FALSE, sizeof(Window));
    Window all = { 0, UINT64_MAX };
    KvmSlotPlan *plan;

    add_windows(s, windows, dels);
    add_windows(s, windows, adds);
    merge_windows(windows);
    plan = plan_windows(s, windows, false);
    if (plan->missing > 0) {
        kvm_slot_plan_free(plan);
        plan = plan_windows(s, windows, true);
    }
    if (plan->missing > 0) {
        kvm_slot_plan_free(plan);
        g_array_set_size(windows, 0);
        g_array_append_val(windows, all);
        plan = plan_windows(s, windows, true);
    }
    return plan;
}

/* The listener. */

static void collect_diff(MemoryDiffKind kind, const MemoryRegionSection *section, void *opaque)
{
    GArray **queues = opaque;

    if (kind == MEMORY_DIFF_DEL) {
        queue_change(queues[0], TILE_DEL, section);
    } else if (kind == MEMORY_DIFF_ADD) {
        queue_change(queues[1], TILE_ADD, section);
    }
}

static bool check_width(const KvmSlots *s, const GArray *adds, GError **error)
{
    for (guint i = 0; i < adds->len; i++) {
        const KvmTile *tile = &g_array_index(adds, TileChange, i).tile;
        uint64_t last = gpa_item_end(&tile->at) - 1;
        /* Right at a start the kernel may still be answering: who has little RAM need not wait. */
        unsigned bits = last >> KVM_PHYS_BITS_MIN ? kvm_phys_bits(s->kvm) : KVM_PHYS_BITS_MIN;

        if (last >> bits) {
            g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                        "memory region \"%s\" at 0x%" PRIx64 "-0x%" PRIx64 " ends above 0x%" PRIx64
                        ", the last of this host's %u physical address bits",
                        memory_region_name(tile->mr), tile->at.gpa, last,
                        (uint64_t)(1ULL << bits) - 1, bits);
            return false;
        }
    }
    return true;
}

static bool check_slot_count(KvmSlots *s, GError **error)
{
    g_autoptr(KvmSlotPlan) plan = NULL;

    change_tiles(s, s->asked_dels, s->asked_adds);
    plan = make_plan(s, s->asked_dels, s->asked_adds);
    unchange_tiles(s, s->asked_dels, s->asked_adds);
    if (plan->missing > 0) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "the memory map needs %u KVM memory slots, %u more than this kernel has (%u): "
                    "use fewer, larger pieces of memory",
                    s->kvm->caps.nr_slots + plan->missing, plan->missing, s->kvm->caps.nr_slots);
        return false;
    }
    s->plan = g_steal_pointer(&plan);
    return true;
}

static void forget_plan(KvmSlots *s)
{
    g_clear_pointer(&s->plan, kvm_slot_plan_free);
    g_array_set_size(s->asked_dels, 0);
    g_array_set_size(s->asked_adds, 0);
}

static bool same_changes(const GArray *a, const GArray *b)
{
    return a->len == b->len &&
           (a->len == 0 || memcmp(a->data, b->data, a->len * sizeof(TileChange)) == 0);
}

/*
 * With the tiles changed already. What prepare has found holds, unless dirty logging begins or ends
 * somewhere, which it is not told of, or it was not asked: at the end of a listener.
 */
static KvmSlotPlan *take_plan(KvmSlots *s)
{
    if (s->plan && same_changes(s->asked_dels, s->dels) && same_changes(s->asked_adds, s->adds)) {
        return g_steal_pointer(&s->plan);
    }
    return make_plan(s, s->dels, s->adds);
}

static bool slots_prepare(MemoryListener *l, const MemoryDiff *diff, GError **error)
{
    KvmSlots *s = from_listener(l);

    forget_plan(s);
    memory_diff_for_each(diff, collect_diff, (GArray *[]){ s->asked_dels, s->asked_adds });
    return check_width(s, s->asked_adds, error) && check_slot_count(s, error);
}

static void clear_queue(KvmSlots *s)
{
    g_array_set_size(s->dels, 0);
    g_array_set_size(s->adds, 0);
    g_array_set_size(s->done, 0);
}

static void slots_begin(MemoryListener *l)
{
    clear_queue(from_listener(l));
}

static void slots_region_del(MemoryListener *l, const MemoryRegionSection *section)
{
    queue_change(from_listener(l)->dels, TILE_DEL, section);
}

static void slots_region_add(MemoryListener *l, const MemoryRegionSection *section)
{
    queue_change(from_listener(l)->adds, TILE_ADD, section);
}

/* Both log_start and log_stop: only whether anybody logs matters to the kernel. */
static void slots_log(MemoryListener *l, const MemoryRegionSection *section, uint8_t old_mask,
                      uint8_t new_mask)
{
    MemoryRegionSection now = *section;

    if (!old_mask == !new_mask) {
        return;
    }
    now.dirty_log_mask = new_mask;
    queue_change(from_listener(l)->adds, TILE_FLAGS, &now);
}

static bool slots_apply(MemoryListener *l, bool *ret_broken, GError **error)
{
    KvmSlots *s = from_listener(l);
    g_autoptr(KvmSlotPlan) plan = NULL;
    g_autoptr(GError) first = NULL;
    g_autoptr(GError) second = NULL;

    if (s->dels->len == 0 && s->adds->len == 0) {
        return true;
    }
    change_tiles(s, s->dels, s->adds);
    plan = take_plan(s);
    g_assert(plan->missing == 0); /* prepare has seen the same */
    if (kvm_slots_do(s, plan, &first)) {
        return true;
    }
    if (kvm_slots_undo(s, &second)) {
        g_propagate_error(error, g_steal_pointer(&first));
    } else {
        *ret_broken = true;
        g_set_error(error, first->domain, first->code, "%s; and going back: %s", first->message,
                    second->message);
    }
    unchange_tiles(s, s->dels, s->adds);
    clear_queue(s);
    return false;
}

static bool slots_revert(MemoryListener *l, GError **error)
{
    KvmSlots *s = from_listener(l);
    bool ok = kvm_slots_undo(s, error);

    unchange_tiles(s, s->dels, s->adds);
    clear_queue(s);
    return ok;
}

static void slots_end(MemoryListener *l)
{
    clear_queue(from_listener(l));
}

/* Where @slot's first byte lies in @mr; NULL: nowhere. */
static hwaddr offset_in(const KvmSlot *slot, const MemoryRegion *mr)
{
    return mr ? slot->host - (uintptr_t)ram_block_host(memory_region_ram_block(mr)) : 0;
}

static void note_slot(KvmSlots *s, bool come, const KvmSlot *slot, uint32_t flags,
                      const MemoryRegion *mr)
{
    const MemoryNote note = { .mr = mr,
                              .offset = offset_in(slot, mr),
                              .start = slot->at.gpa,
                              .last = gpa_item_end(&slot->at) - 1,
                              .readonly = flags & KVM_MEM_READONLY,
                              .logged = flags & KVM_MEM_LOG_DIRTY_PAGES };

    memory_listener_note(&s->listener, come, &note);
}

/* What was done stays: the history remembers it. */
static void slots_commit(MemoryListener *l)
{
    KvmSlots *s = from_listener(l);

    for (guint i = 0; i < s->done->len; i++) {
        const KvmSlotStep *step = &g_array_index(s->done, KvmSlotStep, i);
        const KvmSlot *slot = &step->slot;

        if (step->kind == KVM_STEP_PARK || step->kind == KVM_STEP_UNPARK) {
            continue;
        }
        if (step->kind != KVM_STEP_ADD) {
            note_slot(s, false, slot, slot->flags, slot->mr);
        }
        if (step->kind != KVM_STEP_DEL) {
            note_slot(s, true, slot,
                      step->kind == KVM_STEP_FLAGS ? step->new_flags : slot->flags,
                      step->kind == KVM_STEP_LABEL ? step->new_mr : slot->mr);
        }
    }
    clear_queue(s);
}

static void slots_destroy(KvmSlots *s)
{
    gpa_map_free(s->tiles);
    gpa_map_free(s->slots);
    g_array_unref(s->ids);
    forget_plan(s);
    g_array_unref(s->asked_dels);
    g_array_unref(s->asked_adds);
    g_array_unref(s->dels);
    g_array_unref(s->adds);
    g_array_unref(s->done);
    g_free(s);
}

KvmSlots *kvm_slots_new(Kvm *kvm, AddressSpace *memory, GError **error)
{
    KvmSlots *s = g_new0(KvmSlots, 1);

    s->kvm = kvm;
    s->tiles = gpa_map_new();
    s->slots = gpa_map_new();
    s->ids = g_array_new(FALSE, TRUE, sizeof(uint64_t));
    s->dels = g_array_new(FALSE, FALSE, sizeof(TileChange));
    s->adds = g_array_new(FALSE, FALSE, sizeof(TileChange));
    s->asked_dels = g_array_new(FALSE, FALSE, sizeof(TileChange));
    s->asked_adds = g_array_new(FALSE, FALSE, sizeof(TileChange));
    s->done = g_array_new(FALSE, FALSE, sizeof(KvmSlotStep));
    s->listener = (MemoryListener){
        .name = "KVM memory slots",
        .priority = KVM_LISTENER_PRIORITY,
        .prepare = slots_prepare,
        .begin = slots_begin,
        .region_del = slots_region_del,
        .region_add = slots_region_add,
        .log_start = slots_log,
        .log_stop = slots_log,
        .apply = slots_apply,
        .revert = slots_revert,
        .abort = slots_end,
        .commit = slots_commit,
    };
    if (!memory_listener_register(&s->listener, memory, error)) {
        slots_destroy(s);
        return NULL;
    }
    return s;
}

void kvm_slots_free(KvmSlots *s)
{
    if (s) {
        memory_listener_unregister(&s->listener);
        slots_destroy(s);
    }
}
