/* SPDX-License-Identifier: MIT */
/* One address space in a commit: its new view, shared or made, and what differs from the old. */
#include "dirty-internal.h"
#include "tree-internal.h"

/*
 * Replacing a window costs the copy of the nodes on the way to it, as much as rendering some
 * sixteen tiles. Where there are more windows than that pays for, all between the first and the
 * last is one.
 */
#define WINDOWS_MIN       64u
#define TILES_PER_WINDOW  16u

SpaceUpdate *space_update_new(AddressSpace *as, GArray *windows)
{
    SpaceUpdate *update = g_new0(SpaceUpdate, 1);

    update->as = as;
    update->root = memory_region_effective_root(as->root);
    update->windows = windows;
    as->update = update;
    return update;
}

void space_update_free(SpaceUpdate *update)
{
    update->as->update = NULL;
    flatview_unref(update->new_view); /* published: has been set to NULL */
    g_clear_pointer(&update->windows, g_array_unref);
    g_clear_pointer(&update->spans, g_array_unref);
    g_clear_pointer(&update->eventfds_before, g_array_unref);
    g_clear_pointer(&update->eventfds_after, g_array_unref);
    g_clear_pointer(&update->coalesced_before, g_array_unref);
    g_clear_pointer(&update->coalesced_after, g_array_unref);
    g_free(update);
}

static void make_ready(FlatView *view, const Dispatch *old, const GArray *spans,
                       MemoryCommitStats *stats)
{
    Dispatch *dispatch = dispatch_new(view->ms->sections, view, old, spans);

    flatview_set_dispatch(view, dispatch);
    stats->radix_nodes_built += dispatch->nodes_built;
    stats->radix_nodes_shared += dispatch->nodes_total - dispatch->nodes_built;
}

/* The full path: everything anew, whatever has changed. */
static FlatView *render_whole(MemorySystem *ms, MemoryRegion *root, const FlatView *old,
                              MemoryCommitStats *stats)
{
    g_autoptr(GArray) ranges =
        render_memory_region(root, addr_range(0, INT128_2_64), &stats->ranges_visited);
    FlatView *view = flatview_new(ms, root);

    flatview_fill(view, ranges, old);
    make_ready(view, NULL, NULL, stats);
    stats->views_rendered++;
    return view;
}

static void limit_windows(GArray *windows, const FlatView *old)
{
    AddrRange *first = &g_array_index(windows, AddrRange, 0);

    if (windows->len > WINDOWS_MIN && windows->len > flatview_count(old) / TILES_PER_WINDOW) {
        first->size =
            addr_range_end(g_array_index(windows, AddrRange, windows->len - 1)) - first->start;
        g_array_set_size(windows, 1);
    }
}

/*
 * A view has one successor. Where spaces that have shared one part, that is for those who stay with
 * it, so that their commits go on to cost what changes.
 */
static bool others_stay(const SpaceUpdate *update, const FlatView *old)
{
    const MemorySystem *ms = update->as->ms;

    if (update->root == flatview_root(old)) {
        return false; /* the first of those who stay */
    }
    for (guint i = 0; i < ms->spaces->len; i++) {
        AddressSpace *as = g_ptr_array_index(ms->spaces, i);
        const MemoryRegion *root = as->update ? as->update->root : flatview_root(old);

        if (address_space_flatview(as) == old && root != update->root) {
            return true;
        }
    }
    return false;
}

/*
 * The incremental path: what lies in @windows anew, the rest shared with @old. NULL: @old has, or
 * shall have, another successor.
 */
static FlatView *render_windows(const SpaceUpdate *update, FlatView *old, MemoryCommitStats *stats)
{
    g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(AddrRange));
    GArray *windows = update->windows;
    MemoryRegion *root = update->root;
    FlatView *view = others_stay(update, old) ? NULL : flatview_copy(old, root);

    if (!view) {
        return NULL;
    }
    limit_windows(windows, old);
    for (guint i = 0; i < windows->len; i++) {
        AddrRange window = g_array_index(windows, AddrRange, i);
        g_autoptr(GArray) ranges = render_memory_region(root, window, &stats->ranges_visited);

        flatview_replace(view, window, ranges, spans);
    }
    addr_ranges_normalize(spans);
    make_ready(view, flatview_dispatch(old), spans, stats);
    stats->views_rendered++;
    return view;
}

/* A view of @effective_root that is or will be in force for another space: a reference; or NULL. */
static FlatView *view_to_share(MemorySystem *ms, const MemoryRegion *effective_root)
{
    for (guint i = 0; i < ms->spaces->len; i++) {
        AddressSpace *as = g_ptr_array_index(ms->spaces, i);
        FlatView *view = as->update ? as->update->new_view : address_space_flatview(as);

        if (view && flatview_root(view) == effective_root) {
            return flatview_ref(view);
        }
    }
    return NULL;
}

FlatView *address_space_first_view(MemorySystem *ms, MemoryRegion *effective_root,
                                   MemoryCommitStats *stats)
{
    FlatView *view = view_to_share(ms, effective_root);

    return view ? view : render_whole(ms, effective_root, NULL, stats);
}

typedef struct Changes {
    AddressSpace *as;
    bool any;
    uint64_t visited;
} Changes;

static void note_change(MemoryDiffKind kind, const FlatRange *was, const FlatRange *is,
                        void *opaque)
{
    Changes *changes = opaque;

    bool change = kind != MEMORY_DIFF_NOP || was->dirty_log_mask != is->dirty_log_mask;
    CommitLog *log = &changes->as->ms->log;

    if (change && was) {
        commit_log_note_tile(log, true, false, changes->as, was);
    }
    if (change && is) {
        commit_log_note_tile(log, true, true, changes->as, is);
    }
    changes->any |= change;
    changes->visited += (was != NULL) + (is != NULL);
}

/* Does a tile differ, or a dirty-log mask? What does is noted for the history. */
static bool tiles_differ(const MemoryDiff *diff, MemoryCommitStats *stats)
{
    Changes changes = { .as = diff->as };

    memory_diff_walk(diff, note_change, &changes);
    stats->ranges_visited += changes.visited;
    return changes.any;
}

/* Nothing that shows was edited: readers keep their caches. */
static void keep_old_view(SpaceUpdate *update)
{
    flatview_unref(update->new_view);
    update->new_view = flatview_ref(address_space_flatview(update->as));
    update->diff.new_view = update->new_view;
}

static void find_events(SpaceUpdate *update)
{
    AddressSpace *as = update->as;

    update->eventfds_before = view_events_in(as->ioeventfds, update->spans);
    update->coalesced_before = view_events_in(as->coalesced, update->spans);
    update->eventfds_after =
        view_events_of_tiles(update->new_view, update->spans, view_eventfds_of_tile);
    update->coalesced_after =
        view_events_of_tiles(update->new_view, update->spans, view_coalesced_of_tile);
}

void space_update_render(SpaceUpdate *update, MemoryCommitStats *stats)
{
    AddressSpace *as = update->as;
    FlatView *old = address_space_flatview(as);
    MemoryRegion *root = update->root;
    bool differ;

    update->new_view = view_to_share(as->ms, root);
    if (!update->new_view && !as->ms->full_render) {
        update->new_view = render_windows(update, old, stats);
    }
    if (!update->new_view) {
        update->new_view = render_whole(as->ms, root, old, stats);
    }
    update->spans = memory_diff_spans(old, update->new_view, update->windows);
    update->diff = (MemoryDiff){ as, old, update->new_view, update->spans };
    differ = tiles_differ(&update->diff, stats);
    if (!differ && flatview_root(old) == root) {
        keep_old_view(update);
    }
    find_events(update);
    update->heard = differ ||
                    !view_events_equal(update->eventfds_before, update->eventfds_after) ||
                    !view_events_equal(update->coalesced_before, update->coalesced_after);
}

void space_update_publish(SpaceUpdate *update)
{
    AddressSpace *as = update->as;
    FlatView *old = address_space_flatview(as);

    if (old != update->new_view) {
        rcu_publish(&as->view, update->new_view);
        flatview_retire(old);
        update->new_view = NULL; /* the space has the reference now */
    }
    view_events_replace(as->ioeventfds, update->eventfds_before, update->eventfds_after);
    view_events_replace(as->coalesced, update->coalesced_before, update->coalesced_after);
}
