/* SPDX-License-Identifier: MIT */
/* A commit: new views, the listeners' consent, their telling, apply or revert, publish. */
#include "commit-internal.h"

#include <inttypes.h>
#include "dirty-internal.h"
#include "tessera/util/error.h"
#include "tessera/util/log.h"
#include "tessera/util/trace.h"

typedef struct Commit {
    MemorySystem *ms;
    GPtrArray *updates; /* SpaceUpdate *, one for each space that an edit reached */
    MemoryCommitStats stats;
} Commit;

static void update_free(gpointer data)
{
    space_update_free(data);
}

/* Without a look at what was edited: what dirty windows leave out would show as a difference. */
static GArray *whole_space(void)
{
    const AddrRange all = addr_range(0, INT128_2_64);
    GArray *windows = g_array_new(FALSE, FALSE, sizeof(AddrRange));

    g_array_append_val(windows, all);
    return windows;
}

/*
 * One update for each space that an edit reached. All are entered before the first view is
 * rendered, so that nobody shares a view that the edits have made old.
 */
static void collect_updates(Commit *commit)
{
    MemorySystem *ms = commit->ms;

    for (guint i = 0; i < ms->spaces->len; i++) {
        AddressSpace *as = g_ptr_array_index(ms->spaces, i);
        GArray *windows = ms->full_render ? whole_space() : dirty_take(as);

        if (windows) {
            g_ptr_array_add(commit->updates, space_update_new(as, windows));
        }
    }
}

/*
 * Spaces whose effective root stays go first: if their view stays, too, those that come to share
 * the root share that view, and not one of their own making.
 */
static void render_updates(Commit *commit)
{
    for (int stays = 1; stays >= 0; stays--) {
        for (guint i = 0; i < commit->updates->len; i++) {
            SpaceUpdate *update = g_ptr_array_index(commit->updates, i);
            const FlatView *old = address_space_flatview(update->as);

            if ((flatview_root(old) == update->root) == stays) {
                space_update_render(update, &commit->stats);
            }
        }
    }
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

static void publish(Commit *commit)
{
    for (guint i = 0; i < commit->updates->len; i++) {
        space_update_publish(g_ptr_array_index(commit->updates, i));
    }
    for (GList *link = commit->ms->listeners; link; link = link->next) {
        MemoryListener *l = link->data;

        if (listener_takes_part(l) && l->commit) {
            l->commit(l);
            commit->stats.listener_calls++;
        }
    }
}

static void record(Commit *commit, const char *cause, bool ok)
{
    MemoryCommitStats *s = &commit->stats;

    s->commits = 1;
    s->failed = !ok;
    commit_log_end(&commit->ms->log, cause, s);
    log_item(LOG_COMMIT,
             "%s: %" PRIu64 " views, %" PRIu64 " ranges, %" PRIu64 " radix nodes, %" PRIu64
             " listener calls, %" PRIu64 " ioctls, %" PRIu64 " us%s",
             cause, s->views_rendered, s->ranges_visited, s->radix_nodes_built, s->listener_calls,
             s->ioctls, s->microseconds, ok ? "" : ": undone");
    trace_event(commit_end, .cause = cause, .ok = ok, .views = s->views_rendered,
                .ranges = s->ranges_visited, .nodes_built = s->radix_nodes_built,
                .nodes_shared = s->radix_nodes_shared, .calls = s->listener_calls,
                .ioctls = s->ioctls, .pauses = s->pauses, .pause_us = s->pause_us,
                .us = s->microseconds);
}

bool commit_spaces(MemorySystem *ms, const char *cause, GError **error)
{
    g_autoptr(GPtrArray) updates = g_ptr_array_new_with_free_func(update_free);
    Commit commit = { .ms = ms, .updates = updates };
    gint64 began = g_get_monotonic_time();
    bool ok;

    trace_event(commit_begin, .cause = cause);
    commit_log_begin(&ms->log);
    collect_updates(&commit);
    render_updates(&commit);
    ok = section_table_check(ms->sections, error) && ask_listeners(&commit, error);
    if (ok) {
        tell_listeners(&commit);
        ok = apply_listeners(&commit, error);
    }
    if (ok) {
        publish(&commit);
    }
    commit.stats.microseconds = (uint64_t)(g_get_monotonic_time() - began);
    record(&commit, cause, ok);
    return ok;
}
