/* SPDX-License-Identifier: MIT */
/* AddressSpace: life, and questions about its tiles. Access is in access.c. */
#include "tessera/memory/address-space.h"

#include "tree-internal.h"

static GTree *events_of_view(const FlatView *view, ViewEventsOfTile *of_tile)
{
    const AddrRange all = addr_range(0, INT128_2_64);
    g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(AddrRange));
    g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(ViewEvent));
    g_autoptr(GArray) list = NULL;
    GTree *events = view_events_new();

    g_array_append_val(spans, all);
    list = view_events_of_tiles(view, spans, of_tile);
    view_events_replace(events, none, list);
    return events;
}

/* For the history, which is to know what all spaces show: all tiles of @as come, or go. */
static void note_tiles(AddressSpace *as, bool come)
{
    FlatViewIter it;
    const FlatRange *fr;

    flatview_iter_init(&it, address_space_flatview(as));
    while ((fr = flatview_iter_next(&it))) {
        commit_log_note_tile(&as->ms->log, false, come, as, fr);
    }
}

AddressSpace *address_space_new(MemorySystem *ms, MemoryRegion *root, const char *name,
                                GError **error)
{
    AddressSpace *as = g_new0(AddressSpace, 1);
    MemoryCommitStats stats = { 0 };
    FlatView *view;

    g_assert(root->ms == ms);
    memory_system_lock(ms);
    g_assert(!transaction_is_open(ms));
    as->ms = ms;
    as->root = memory_region_ref(root);
    as->name = g_ref_string_new(name);
    as->number = (uint32_t)(atomic_fetch_add_explicit(&ms->numbers, 1, memory_order_relaxed) + 1);
    view = address_space_first_view(ms, memory_region_effective_root(root), &stats);
    if (!section_table_check(ms->sections, error)) {
        flatview_unref(view);
        memory_region_unref(root);
        memory_system_unlock(ms);
        g_ref_string_release(as->name);
        g_free(as);
        return NULL;
    }
    as->ioeventfds = events_of_view(view, view_eventfds_of_tile);
    as->coalesced = events_of_view(view, view_coalesced_of_tile);
    rcu_publish(&as->view, view);
    as->next_of_root = root->spaces;
    root->spaces = as;
    g_ptr_array_add(ms->spaces, as);
    note_tiles(as, true);
    memory_system_unlock(ms);
    return as;
}

/* A reader that has just looked the view up may still name the space. */
static void address_space_destroy(RcuHead *head)
{
    AddressSpace *as = (AddressSpace *)((char *)head - offsetof(AddressSpace, rcu));

    bounce_pool_free(as->bounce);
    g_tree_unref(as->ioeventfds);
    g_tree_unref(as->coalesced);
    g_ref_string_release(as->name);
    g_free(as);
}

static void leave_root(AddressSpace *as)
{
    AddressSpace **link = &as->root->spaces;

    while (*link != as) {
        link = &(*link)->next_of_root;
    }
    *link = as->next_of_root;
}

void address_space_free(AddressSpace *as)
{
    MemorySystem *ms;

    if (!as) {
        return;
    }
    ms = as->ms;
    memory_system_lock(ms);
    g_assert(!transaction_is_open(ms));
    g_assert(!as->listeners);
    note_tiles(as, false);
    g_ptr_array_remove(ms->spaces, as);
    leave_root(as);
    flatview_retire(address_space_flatview(as));
    memory_system_unlock(ms);
    memory_region_unref(as->root);
    rcu_defer(&as->rcu, address_space_destroy);
}

const char *address_space_name(const AddressSpace *as)
{
    return as->name;
}

MemoryRegion *address_space_root(const AddressSpace *as)
{
    return as->root;
}

MemorySystem *address_space_system(const AddressSpace *as)
{
    return as->ms;
}

bool address_space_find(AddressSpace *as, hwaddr addr, MemoryRegionSection *ret_section)
{
    const FlatRange *fr;

    g_assert(memory_system_is_locked(as->ms));
    fr = flatview_find(address_space_flatview(as), addr);
    if (fr) {
        *ret_section = memory_region_section_from_range(as, fr);
    }
    return fr != NULL;
}

bool address_space_for_each(AddressSpace *as,
                            bool (*fn)(const MemoryRegionSection *section, void *opaque),
                            void *opaque)
{
    FlatViewIter it;
    const FlatRange *fr;

    g_assert(memory_system_is_locked(as->ms));
    flatview_iter_init(&it, address_space_flatview(as));
    while ((fr = flatview_iter_next(&it))) {
        MemoryRegionSection section = memory_region_section_from_range(as, fr);

        if (!fn(&section, opaque)) {
            return false;
        }
    }
    return true;
}

uint64_t address_space_generation(AddressSpace *as)
{
    uint64_t generation;

    rcu_read_section_enter();
    generation = flatview_generation(address_space_flatview(as));
    rcu_read_section_leave();
    return generation;
}
