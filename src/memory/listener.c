/* SPDX-License-Identifier: MIT */
/* MemoryListeners: the passes of a commit in their order; registration with replay. */
#include "tessera/memory/listener.h"

#include "tessera/util/error.h"
#include "tree-internal.h"

/* One telling: of @update, to @only or to all listeners of the space. */
typedef struct Telling {
    SpaceUpdate *update;
    MemoryListener *only;
    bool replay;
    uint64_t *calls;
} Telling;

/* The first listener in (or against) priority order, then the next; NULL behind the last. */
static GList *first_link(const Telling *t, bool reverse)
{
    if (t->only) {
        return g_list_find(t->update->as->listeners, t->only);
    }
    return reverse ? g_list_last(t->update->as->listeners) : t->update->as->listeners;
}

static GList *next_link(const Telling *t, GList *link, bool reverse)
{
    return t->only ? NULL : reverse ? link->prev : link->next;
}

#define TELL(t, reverse, callback, ...)                                                            \
    do {                                                                                           \
        for (GList *link_ = first_link(t, reverse); link_; link_ = next_link(t, link_, reverse)) { \
            MemoryListener *listener_ = link_->data;                                               \
            if (listener_->callback) {                                                             \
                listener_->callback(listener_, __VA_ARGS__);                                       \
                (*(t)->calls)++;                                                                   \
            }                                                                                      \
        }                                                                                          \
    } while (0)

static void tell_log(Telling *t, const MemoryRegionSection *section, uint8_t was, uint8_t is)
{
    if (is & ~was) {
        TELL(t, false, log_start, section, was, is);
    }
    if (was & ~is) {
        TELL(t, true, log_stop, section, was, is);
    }
}

static void pass_of_dels(MemoryDiffKind kind, const FlatRange *was, const FlatRange *is,
                         void *opaque)
{
    Telling *t = opaque;
    MemoryRegionSection section;

    if (kind != MEMORY_DIFF_DEL) {
        return;
    }
    section = memory_region_section_from_range(t->update->as, was);
    if (t->replay) {
        tell_log(t, &section, was->dirty_log_mask, 0);
    }
    TELL(t, true, region_del, &section);
}

static void pass_of_adds(MemoryDiffKind kind, const FlatRange *was, const FlatRange *is,
                         void *opaque)
{
    Telling *t = opaque;
    MemoryRegionSection section;

    if (kind == MEMORY_DIFF_DEL) {
        return;
    }
    section = memory_region_section_from_range(t->update->as, is);
    if (kind == MEMORY_DIFF_ADD) {
        TELL(t, false, region_add, &section);
        if (t->replay) {
            tell_log(t, &section, 0, is->dirty_log_mask);
        }
    } else {
        TELL(t, false, region_nop, &section);
        tell_log(t, &section, was->dirty_log_mask, is->dirty_log_mask);
    }
}

static MemoryRegionSection event_section(const Telling *t, const ViewEvent *event)
{
    return (MemoryRegionSection){
        .mr = event->mr,
        .as = t->update->as,
        .offset_within_region = event->offset_in_region,
        .offset_within_address_space = event->addr,
        .size = event->size ? event->size : 1,
    };
}

static void tell_eventfd_del(const ViewEvent *event, void *opaque)
{
    Telling *t = opaque;
    MemoryRegionSection section = event_section(t, event);

    TELL(t, true, eventfd_del, &section, (unsigned)event->size, event->match_data, event->data,
         event->notifier);
}

static void tell_eventfd_add(const ViewEvent *event, void *opaque)
{
    Telling *t = opaque;
    MemoryRegionSection section = event_section(t, event);

    TELL(t, false, eventfd_add, &section, (unsigned)event->size, event->match_data, event->data,
         event->notifier);
}

static void tell_coalesced_del(const ViewEvent *event, void *opaque)
{
    Telling *t = opaque;
    MemoryRegionSection section = event_section(t, event);

    TELL(t, true, coalesced_io_del, &section, event->addr, event->size);
}

static void tell_coalesced_add(const ViewEvent *event, void *opaque)
{
    Telling *t = opaque;
    MemoryRegionSection section = event_section(t, event);

    TELL(t, false, coalesced_io_add, &section, event->addr, event->size);
}

/* Whoever wants to hear of what stays pays for a walk over all of it. */
static bool anyone_hears_nops(const Telling *t)
{
    for (GList *link = first_link(t, false); link; link = next_link(t, link, false)) {
        if (((MemoryListener *)link->data)->region_nop) {
            return true;
        }
    }
    return false;
}

void listeners_tell(SpaceUpdate *update, MemoryListener *only, bool replay, uint64_t *calls)
{
    Telling t = { update, only, replay, calls };
    MemoryDiff with_nops = update->diff;

    if (anyone_hears_nops(&t)) {
        with_nops.spans = NULL;
    }
    memory_diff_walk(&update->diff, pass_of_dels, &t);
    memory_diff_walk(&with_nops, pass_of_adds, &t);
    view_events_missing(update->eventfds_before, update->eventfds_after, tell_eventfd_del, &t);
    view_events_missing(update->eventfds_after, update->eventfds_before, tell_eventfd_add, &t);
    view_events_missing(update->coalesced_before, update->coalesced_after, tell_coalesced_del, &t);
    view_events_missing(update->coalesced_after, update->coalesced_before, tell_coalesced_add, &t);
}

/* Behind those of the same priority. */
static GList *insert_by_priority(GList *list, MemoryListener *l)
{
    GList *at = list;

    while (at && ((MemoryListener *)at->data)->priority <= l->priority) {
        at = at->next;
    }
    return g_list_insert_before(list, at, l);
}

static void listener_link(MemoryListener *l, AddressSpace *as)
{
    l->as = as;
    as->listeners = insert_by_priority(as->listeners, l);
    as->ms->listeners = insert_by_priority(as->ms->listeners, l);
}

static void listener_unlink(MemoryListener *l)
{
    l->as->listeners = g_list_remove(l->as->listeners, l);
    l->as->ms->listeners = g_list_remove(l->as->ms->listeners, l);
    l->as = NULL;
}

/* A listener that fails to apply a replay has nobody to revert; if it broke, the VM stops. */
static bool replay_apply(MemoryListener *l, bool may_refuse, GError **error)
{
    g_autoptr(GError) apply_error = NULL;
    bool broken = false;

    if (!l->apply || l->apply(l, &broken, &apply_error)) {
        return true;
    }
    if (!apply_error) {
        g_set_error(&apply_error, TESSERA_ERROR, TESSERA_ERROR_SYSTEM,
                    "listener '%s' could not follow", l->name ? l->name : "?");
    }
    if (l->abort) {
        l->abort(l);
    }
    if (broken || !may_refuse) {
        transaction_fail_system(l->as->ms, apply_error, apply_error);
    }
    g_propagate_error(error, g_steal_pointer(&apply_error));
    return false;
}

/*
 * Tells @l alone of @update, from prepare to commit. Nobody can refuse to be told nothing more: at
 * an unregistration there is no prepare, and what cannot be taken back is the VM's trouble.
 */
static bool replay(MemoryListener *l, SpaceUpdate *update, bool may_refuse, GError **error)
{
    uint64_t calls = 0;

    if (may_refuse && l->prepare && !l->prepare(l, &update->diff, error)) {
        return false;
    }
    if (l->begin) {
        l->begin(l);
    }
    listeners_tell(update, l, true, &calls);
    if (!replay_apply(l, may_refuse, error)) {
        return false;
    }
    if (l->commit) {
        l->commit(l);
    }
    return true;
}

/* What a replay tells: everything, of a view that comes or goes for one listener. */
typedef struct Replay {
    SpaceUpdate update;
    GArray *all; /* one span */
} Replay;

static void replay_init(Replay *r, AddressSpace *as, bool come)
{
    const AddrRange all = addr_range(0, INT128_2_64);
    FlatView *view = address_space_flatview(as);
    GArray *none = g_array_new(FALSE, FALSE, sizeof(ViewEvent));
    GArray *eventfds, *coalesced;

    r->all = g_array_new(FALSE, FALSE, sizeof(AddrRange));
    g_array_append_val(r->all, all);
    eventfds = view_events_in(as->ioeventfds, r->all);
    coalesced = view_events_in(as->coalesced, r->all);
    r->update = (SpaceUpdate){
        .as = as,
        .diff = { .as = as, .old_view = come ? NULL : view, .new_view = come ? view : NULL },
        .eventfds_before = come ? g_array_ref(none) : eventfds,
        .eventfds_after = come ? eventfds : g_array_ref(none),
        .coalesced_before = come ? g_array_ref(none) : coalesced,
        .coalesced_after = come ? coalesced : g_array_ref(none),
    };
    g_array_unref(none);
}

static void replay_done(Replay *r)
{
    g_array_unref(r->all);
    g_array_unref(r->update.eventfds_before);
    g_array_unref(r->update.eventfds_after);
    g_array_unref(r->update.coalesced_before);
    g_array_unref(r->update.coalesced_after);
}

bool memory_listener_register(MemoryListener *l, AddressSpace *as, GError **error)
{
    Replay r;
    bool ok;

    g_assert(!l->as);
    memory_system_lock(as->ms);
    g_assert(!transaction_is_committing(as->ms));
    listener_link(l, as);
    replay_init(&r, as, true);
    ok = replay(l, &r.update, true, error);
    replay_done(&r);
    if (!ok) {
        listener_unlink(l);
    }
    memory_system_unlock(as->ms);
    return ok;
}

void memory_listener_unregister(MemoryListener *l)
{
    AddressSpace *as = l->as;
    Replay r;

    g_assert(as);
    memory_system_lock(as->ms);
    g_assert(!transaction_is_committing(as->ms));
    replay_init(&r, as, false);
    replay(l, &r.update, false, NULL);
    replay_done(&r);
    listener_unlink(l);
    memory_system_unlock(as->ms);
}

void memory_listener_count_ioctls(MemoryListener *l, uint64_t n)
{
    MemorySystem *ms = l->as->ms;

    g_assert(memory_system_is_locked(ms));
    commit_log_spend(&ms->log, transaction_is_committing(ms), &(MemoryCommitStats){ .ioctls = n });
}

void memory_listener_count_pause(MemoryListener *l, uint64_t us)
{
    MemorySystem *ms = l->as->ms;

    g_assert(memory_system_is_locked(ms));
    commit_log_spend(&ms->log, transaction_is_committing(ms),
                     &(MemoryCommitStats){ .pauses = 1, .pause_us = us });
}

void memory_listener_note(MemoryListener *l, bool come, const MemoryNote *note)
{
    MemorySystem *ms = l->as->ms;
    MemoryRecord what = {
        .start = note->start,
        .last = note->last,
        .offset = note->mr ? note->offset : 0,
        .region = note->mr ? note->mr->number : 0,
        .name = note->mr ? note->mr->name : ms->nameless,
        .space_name = l->as->name,
        .kind = "slot",
        .space = l->as->number,
        .layer = MEMORY_LAYER_SLOTS,
        .dirty_log_mask = note->logged,
        .readonly = note->readonly,
    };

    g_assert(memory_system_is_locked(ms));
    commit_log_note(&ms->log, transaction_is_committing(ms), come, &what);
}
