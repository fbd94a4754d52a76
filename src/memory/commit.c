/* SPDX-License-Identifier: MIT */
/* A commit: new views, the listeners' consent, their telling, apply or revert, publish. */
#include "commit-internal.h"

#include <inttypes.h>
#include <string.h>
#include "tessera/util/error.h"
#include "tessera/util/log.h"

typedef struct Commit {
    MemorySystem *ms;
    GPtrArray *updates; /* SpaceUpdate *, one for each space that an edit reached */
    MemoryCommitStats stats;
} Commit;

static void update_free(gpointer data)
{
    SpaceUpdate *update = data;

    update->as->update = NULL;
    flatview_unref(update->new_view); /* published: has been set to NULL */
    g_clear_pointer(&update->eventfds_after, g_array_unref);
    g_clear_pointer(&update->coalesced_after, g_array_unref);
    g_free(update);
}

/* A new view is complete before anybody sees it: ids, then the dispatch that names them. */
static FlatView *render_ready(MemorySystem *ms, MemoryRegion *root, const FlatView *old,
                              MemoryCommitStats *stats)
{
    uint64_t visited;
    FlatView *view = render_memory_region(ms, root, &visited);

    flatview_adopt_sections(view, old);
    flatview_set_dispatch(view, dispatch_new(ms->sections, view));
    stats->views_rendered++;
    stats->ranges_visited += visited;
    stats->radix_nodes_built += dispatch_nodes(flatview_dispatch(view));
    return view;
}

FlatView *address_space_share_or_render(MemorySystem *ms, MemoryRegion *effective_root,
                                        const FlatView *old, MemoryCommitStats *stats)
{
    for (guint i = 0; i < ms->spaces->len; i++) {
        AddressSpace *as = g_ptr_array_index(ms->spaces, i);
        FlatView *view = as->update ? as->update->new_view : address_space_flatview(as);

        if (view && flatview_root(view) == effective_root) {
            return flatview_ref(view);
        }
    }
    return render_ready(ms, effective_root, old, stats);
}

/*
 * One update for each space that an edit reached. All are entered before the first view is
 * rendered, so that nobody shares a view that the edits have made old.
 */
static void collect_updates(Commit *commit, uint64_t mark)
{
    MemorySystem *ms = commit->ms;

    for (guint i = 0; i < ms->spaces->len; i++) {
        AddressSpace *as = g_ptr_array_index(ms->spaces, i);

        if (as->root->mark == mark) {
            SpaceUpdate *update = g_new0(SpaceUpdate, 1);

            update->as = as;
            as->update = update;
            g_ptr_array_add(commit->updates, update);
        }
    }
}

static bool same_content(const FlatView *a, const FlatView *b)
{
    MemoryDiff diff = { .old_view = a, .new_view = b };

    return memory_diff_is_empty(&diff);
}

static void render_update(Commit *commit, SpaceUpdate *update)
{
    AddressSpace *as = update->as;
    FlatView *old = address_space_flatview(as);
    MemoryRegion *root = memory_region_effective_root(as->root);

    update->new_view = address_space_share_or_render(commit->ms, root, old, &commit->stats);
    if (flatview_root(old) == root && old != update->new_view &&
        same_content(old, update->new_view)) {
        /* Nothing that shows was edited: readers keep their caches. */
        flatview_unref(update->new_view);
        update->new_view = flatview_ref(old);
    }
    update->diff = (MemoryDiff){ .as = as, .old_view = old, .new_view = update->new_view };
    update->eventfds_before = as->ioeventfds;
    update->coalesced_before = as->coalesced;
    update->eventfds_after = view_events_of_eventfds(update->new_view);
    update->coalesced_after = view_events_of_coalesced(update->new_view);
    update->heard = !memory_diff_is_empty(&update->diff) ||
                    !view_events_equal(update->eventfds_before, update->eventfds_after) ||
                    !view_events_equal(update->coalesced_before, update->coalesced_after);
    commit->stats.ranges_visited += flatview_count(old) + flatview_count(update->new_view);
}

static bool listener_takes_part(const MemoryListener *l)
{
    return l->as->update && l->as->update->heard;
}

static bool ask_listeners(Commit *commit, GError **error)
{
    for (GList *link = commit->ms->listeners; link; link = link->next) {
        MemoryListener *l = link->data;

        if (listener_takes_part(l) && l->prepare) {
            commit->stats.listener_calls++;
            if (!l->prepare(l, &l->as->update->diff, error)) {
                return false;
            }
        }
    }
    return true;
}

static void tell_listeners(Commit *commit)
{
    for (GList *link = commit->ms->listeners; link; link = link->next) {
        MemoryListener *l = link->data;

        if (listener_takes_part(l) && l->begin) {
            l->begin(l);
            commit->stats.listener_calls++;
        }
    }
    for (guint i = 0; i < commit->updates->len; i++) {
        SpaceUpdate *update = g_ptr_array_index(commit->updates, i);

        if (update->heard) {
            listeners_tell(update, NULL, false, &commit->stats.listener_calls);
        }
    }
}

/*
 * @failed refused to apply. Those before it go back, last first; then all that had begun and have
 * not applied forget their queues. A listener without apply() has never applied.
 */
static void revert_listeners(Commit *commit, GList *failed, bool broken, const GError *error)
{
    g_autoptr(GError) first = NULL;

    for (GList *link = failed->prev; link; link = link->prev) {
        MemoryListener *l = link->data;
        g_autoptr(GError) revert_error = NULL;

        if (!listener_takes_part(l) || !l->apply || !l->revert) {
            continue;
        }
        commit->stats.listener_calls++;
        if (!l->revert(l, &revert_error) && !first) {
            first = g_steal_pointer(&revert_error);
            if (!first) {
                g_set_error(&first, TESSERA_ERROR, TESSERA_ERROR_SYSTEM,
                            "listener '%s' could not go back", l->name ? l->name : "?");
            }
        }
    }
    for (GList *link = g_list_last(failed); link; link = link->prev) {
        MemoryListener *l = link->data;
        bool applied = l->apply && g_list_position(commit->ms->listeners, link) <
                                       g_list_position(commit->ms->listeners, failed);

        if (listener_takes_part(l) && !applied && l->abort) {
            l->abort(l);
            commit->stats.listener_calls++;
        }
    }
    if (broken || first) {
        transaction_fail_system(commit->ms, error, first ? first : error);
    }
}

static bool apply_listeners(Commit *commit, GError **error)
{
    for (GList *link = commit->ms->listeners; link; link = link->next) {
        MemoryListener *l = link->data;
        g_autoptr(GError) apply_error = NULL;
        bool broken = false;

        if (!listener_takes_part(l) || !l->apply) {
            continue;
        }
        commit->stats.listener_calls++;
        if (!l->apply(l, &broken, &apply_error)) {
            if (!apply_error) {
                g_set_error(&apply_error, TESSERA_ERROR, TESSERA_ERROR_SYSTEM,
                            "listener '%s' could not follow", l->name ? l->name : "?");
            }
            revert_listeners(commit, link, broken, apply_error);
            g_propagate_error(error, g_steal_pointer(&apply_error));
            return false;
        }
    }
    return true;
}

static void publish_update(SpaceUpdate *update)
{
    AddressSpace *as = update->as;
    FlatView *old = address_space_flatview(as);

    if (old != update->new_view) {
        rcu_publish(&as->view, update->new_view);
        flatview_retire(old);
        update->new_view = NULL; /* the space has the reference now */
    }
    g_array_unref(as->ioeventfds);
    as->ioeventfds = g_steal_pointer(&update->eventfds_after);
    g_array_unref(as->coalesced);
    as->coalesced = g_steal_pointer(&update->coalesced_after);
}

static void publish(Commit *commit)
{
    for (guint i = 0; i < commit->updates->len; i++) {
        publish_update(g_ptr_array_index(commit->updates, i));
    }
    for (GList *link = commit->ms->listeners; link; link = link->next) {
        MemoryListener *l = link->data;

        if (listener_takes_part(l) && l->commit) {
            l->commit(l);
            commit->stats.listener_calls++;
        }
    }
}

static void add_stats(MemorySystem *ms, MemoryCommitStats *stats)
{
    MemoryCommitStats *total = &ms->total_stats;

    stats->commits = 1;
    pthread_mutex_lock(&ms->stats_lock);
    ms->last_stats = *stats;
    total->commits++;
    total->views_rendered += stats->views_rendered;
    total->ranges_visited += stats->ranges_visited;
    total->radix_nodes_built += stats->radix_nodes_built;
    total->listener_calls += stats->listener_calls;
    total->microseconds += stats->microseconds;
    pthread_mutex_unlock(&ms->stats_lock);
    log_item(LOG_COMMIT,
             "%" PRIu64 " views, %" PRIu64 " ranges, %" PRIu64 " radix nodes, %" PRIu64
             " listener calls, %" PRIu64 " us",
             stats->views_rendered, stats->ranges_visited, stats->radix_nodes_built,
             stats->listener_calls, stats->microseconds);
}

bool commit_spaces(MemorySystem *ms, uint64_t mark, GError **error)
{
    g_autoptr(GPtrArray) updates = g_ptr_array_new_with_free_func(update_free);
    Commit commit = { .ms = ms, .updates = updates };
    gint64 began = g_get_monotonic_time();
    bool ok;

    collect_updates(&commit, mark);
    for (guint i = 0; i < updates->len; i++) {
        render_update(&commit, g_ptr_array_index(updates, i));
    }
    ok = section_table_check(ms->sections, error) && ask_listeners(&commit, error);
    if (ok) {
        tell_listeners(&commit);
        ok = apply_listeners(&commit, error);
    }
    if (ok) {
        publish(&commit);
    }
    commit.stats.microseconds = (uint64_t)(g_get_monotonic_time() - began);
    add_stats(ms, &commit.stats);
    return ok;
}
