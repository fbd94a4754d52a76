/* SPDX-License-Identifier: MIT */
/* What the guest does to the sockets: taken on vCPU threads, reported on the main thread. */
#include "memory-devices-internal.h"

#include <glib-unix.h>
#include "tessera/util/log.h"
#include "tessera/util/trace.h"

/* On a vCPU thread. */

static void queue_act(MemoryDevices *md, const GuestAct *act)
{
    GuestAct *copy = g_new(GuestAct, 1);

    *copy = *act;
    copy->link = (GList){ .data = copy };
    pthread_mutex_lock(&md->lock);
    if (!act->is_eject && md->acts.length >= GUEST_ACTS_MAX) {
        md->osts_lost++;
        pthread_mutex_unlock(&md->lock);
        g_free(copy);
        return;
    }
    g_queue_push_tail_link(&md->acts, &copy->link);
    pthread_mutex_unlock(&md->lock);
    event_notifier_set(&md->notifier);
}

static bool begin_eject_locked(Dimm *dimm)
{
    bool ours = !dimm->ejecting;

    dimm->ejecting = true;
    return ours;
}

bool dimm_begin_eject(Dimm *dimm)
{
    bool ours;

    pthread_mutex_lock(&dimm->md->lock);
    ours = begin_eject_locked(dimm);
    pthread_mutex_unlock(&dimm->md->lock);
    return ours;
}

void dimm_end_eject(Dimm *dimm)
{
    pthread_mutex_lock(&dimm->md->lock);
    dimm->ejecting = false;
    pthread_mutex_unlock(&dimm->md->lock);
}

bool dimm_is_ejecting(Dimm *dimm)
{
    bool ejecting;

    pthread_mutex_lock(&dimm->md->lock);
    ejecting = dimm->ejecting;
    pthread_mutex_unlock(&dimm->md->lock);
    return ejecting;
}

/* The DIMM in @slot, for this thread alone to take out; NULL: none, or somebody is at it. */
static Dimm *find_to_eject(MemoryDevices *md, unsigned slot)
{
    Dimm *dimm;

    pthread_mutex_lock(&md->lock);
    dimm = md->slots[slot];
    if (dimm && !begin_eject_locked(dimm)) {
        dimm = NULL;
    }
    pthread_mutex_unlock(&md->lock);
    return dimm;
}

/*
 * The guest's write completes when this returns. The map is edited here, by the rules for register
 * handlers (the machine lock is taken by the edit); everything that may wait is the main thread's.
 * A DIMM that cannot be unmapped is enabled again, which the guest sees when it checks _STA.
 */
static void on_eject(void *opaque, unsigned slot)
{
    MemoryDevices *md = opaque;
    GuestAct act = { .slot = slot, .is_eject = true };
    g_autoptr(GError) error = NULL;
    Dimm *dimm = find_to_eject(md, slot);

    if (!dimm) {
        return;
    }
    trace_event(dimm_eject_begin, .slot = slot);
    if (!dimm_unmap(dimm, "guest eject", &error)) {
        act.eject_error = g_strdup(error->message);
        memory_hotplug_restore(md->config.registers, slot);
        dimm_end_eject(dimm);
    }
    trace_event(dimm_eject_end, .slot = slot, .ok = !act.eject_error);
    queue_act(md, &act);
}

static void on_ost(void *opaque, unsigned slot, uint32_t event, uint32_t status)
{
    GuestAct act = { .slot = slot, .ost_event = event, .ost_status = status };

    trace_event(dimm_ost, .slot = slot, .event = event, .status = status);
    queue_act(opaque, &act);
}

const MemoryHotplugOps memory_devices_hotplug_ops = {
    .eject = on_eject,
    .ost = on_ost,
};

/* On the main thread. */

static void serve_eject(MemoryDevices *md, const GuestAct *act)
{
    Dimm *dimm = md->slots[act->slot];
    g_autofree char *reason = NULL;

    if (!act->eject_error) {
        dimm_remove(dimm, dimm_ost_text(OST_EJECT_REQUEST, OST_SUCCESS));
        return;
    }
    reason = g_strdup_printf("the guest ejected it, and the host could not unmap it: %s",
                             act->eject_error);
    dimm_set_state(dimm, DIMM_REFUSED, reason);
}

static void serve_ost(MemoryDevices *md, const GuestAct *act)
{
    Dimm *dimm = md->slots[act->slot];
    MemoryDeviceEvent event = {
        .kind = MEMORY_EVENT_OST,
        .id = dimm ? dimm_id(dimm) : NULL,
        .slot = act->slot,
        .size = dimm ? dimm->size : 0,
        .ost_event = act->ost_event,
        .ost_status = act->ost_status,
        .state = dimm ? dimm->state : DIMM_EJECTED,
        .reason = dimm_ost_text(act->ost_event, act->ost_status),
    };

    log_item(LOG_ACPI, "slot %u: _OST(0x%x, 0x%x): %s", act->slot, act->ost_event,
             act->ost_status, event.reason);
    memory_devices_emit(md, &event);
    if (dimm) {
        dimm_handle_ost(dimm, act->ost_event, act->ost_status);
    }
}

static GuestAct *next_act(MemoryDevices *md)
{
    GList *link;
    unsigned lost;

    pthread_mutex_lock(&md->lock);
    link = g_queue_pop_head_link(&md->acts);
    lost = link ? 0 : md->osts_lost;
    md->osts_lost -= lost;
    pthread_mutex_unlock(&md->lock);
    if (lost) {
        log_item(LOG_GUEST_ERROR, "memory hotplug: %u _OST reports came too fast and are lost",
                 lost);
    }
    return link ? link->data : NULL;
}

static void act_free(GuestAct *act)
{
    g_free(act->eject_error);
    g_free(act);
}

bool guest_acts_serve(MemoryDevices *md)
{
    GuestAct *act;
    bool more;

    /* No more than there can be at once: a guest that goes on and on must not hold the loop. */
    for (unsigned i = 0; i < GUEST_ACTS_MAX && (act = next_act(md)); i++) {
        if (act->is_eject) {
            serve_eject(md, act);
        } else {
            serve_ost(md, act);
        }
        act_free(act);
    }
    pthread_mutex_lock(&md->lock);
    more = md->acts.length > 0;
    pthread_mutex_unlock(&md->lock);
    return more;
}

static gboolean on_notified(gint fd, GIOCondition condition, gpointer opaque)
{
    MemoryDevices *md = opaque;

    event_notifier_test_and_clear(&md->notifier);
    if (guest_acts_serve(md)) {
        event_notifier_set(&md->notifier);
    }
    return G_SOURCE_CONTINUE;
}

bool guest_acts_init(MemoryDevices *md, GError **error)
{
    g_queue_init(&md->acts);
    if (!event_notifier_init(&md->notifier, error)) {
        return false;
    }
    md->source = g_unix_fd_source_new(md->notifier.fd, G_IO_IN);
    g_source_set_callback(md->source, G_SOURCE_FUNC(on_notified), md, NULL);
    g_source_attach(md->source, md->config.context);
    return true;
}

void guest_acts_done(MemoryDevices *md)
{
    GList *link;

    if (md->source) {
        g_source_destroy(md->source);
        g_source_unref(md->source);
    }
    event_notifier_done(&md->notifier);
    while ((link = g_queue_pop_head_link(&md->acts))) {
        act_free(link->data);
    }
}
