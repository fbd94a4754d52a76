/* SPDX-License-Identifier: MIT */
/* Taking DIMMs out: the job, its states, what moves it on. */
#include "memory-devices-internal.h"

#include "tessera/util/error.h"
#include "tessera/util/log.h"
#include "tessera/util/trace.h"

const char *dimm_state_name(DimmState state)
{
    static const char *const names[] = {
        [DIMM_PLUGGED] = "plugged",
        [DIMM_REQUESTED] = "requested",
        [DIMM_OFFLINING] = "guest-offlining",
        [DIMM_REFUSED] = "refused",
        [DIMM_TIMED_OUT] = "timed-out",
        [DIMM_CANCELLED] = "cancelled",
        [DIMM_EJECTED] = "ejected",
    };

    return names[state];
}

/* What the codes of an ejection mean, and what a Linux guest means by them. */
static const char *eject_status_text(uint32_t status)
{
    switch (status) {
    case OST_NOT_SUPPORTED:
        return "the guest does not support taking this memory out";
    case OST_IN_USE:
        return "busy: the memory is in use in the guest";
    case OST_BUSY:
        return "busy: the guest could not free the memory; what its kernel itself keeps there "
               "cannot be moved away";
    case OST_DEPENDENCY:
        return "something in the guest that depends on the memory is busy";
    case OST_IN_PROGRESS:
        return "the guest is taking the memory offline";
    default:
        return "the guest failed without saying why; its kernel log does";
    }
}

static const char *plug_status_text(uint32_t status)
{
    return status == OST_NOT_SUPPORTED || status == OST_UNRECOGNIZED
               ? "the guest does not support adding memory"
               : "the guest could not add the memory; its kernel log says why";
}

const char *dimm_ost_text(uint32_t event, uint32_t status)
{
    bool eject = event == OST_EJECT_REQUEST || event == OST_GUEST_EJECT;

    if (status == OST_SUCCESS) {
        return eject ? "the guest has given the memory back" : "the guest has taken the memory";
    }
    return eject ? eject_status_text(status) : plug_status_text(status);
}

void memory_devices_emit(MemoryDevices *md, const MemoryDeviceEvent *event)
{
    if (md->event_fn) {
        md->event_fn(md->event_opaque, event);
    }
}

void memory_devices_set_event_handler(MemoryDevices *md,
                                      void (*fn)(void *opaque, const MemoryDeviceEvent *event),
                                      void *opaque)
{
    md->event_fn = fn;
    md->event_opaque = opaque;
}

/* The time-out. */

void dimm_stop_timeout(Dimm *dimm)
{
    if (dimm->timeout) {
        g_source_destroy(dimm->timeout);
        g_source_unref(dimm->timeout);
        dimm->timeout = NULL;
    }
}

static gboolean on_timeout(gpointer opaque)
{
    dimm_time_out(opaque);
    return G_SOURCE_REMOVE;
}

static void start_timeout(Dimm *dimm)
{
    MemoryDevices *md = dimm->md;

    if (md->timeout_s > 0) {
        dimm->timeout = g_timeout_source_new_seconds(md->timeout_s);
        g_source_set_callback(dimm->timeout, on_timeout, dimm, NULL);
        g_source_attach(dimm->timeout, md->config.context);
    }
}

static bool waits(const Dimm *dimm)
{
    return dimm->state == DIMM_REQUESTED || dimm->state == DIMM_OFFLINING;
}

bool dimm_is_asked_for(const Dimm *dimm)
{
    return waits(dimm) || dimm->state == DIMM_TIMED_OUT || dimm->state == DIMM_CANCELLED;
}

/* Only our patience ends here: nothing is unmapped, and a later eject finds everything in place. */
void dimm_time_out(Dimm *dimm)
{
    g_autofree char *reason =
        dimm->state == DIMM_REQUESTED
            ? g_strdup_printf("the guest has not answered for %u s; it may still do so, or not know "
                              "ACPI memory hotplug",
                              dimm->md->timeout_s)
            : g_strdup_printf("the guest has been taking the memory offline for more than %u s and "
                              "may still finish",
                              dimm->md->timeout_s);

    dimm_set_state(dimm, DIMM_TIMED_OUT, reason);
}

void memory_devices_set_timeout(MemoryDevices *md, unsigned seconds)
{
    md->timeout_s = seconds;
    for (guint i = 0; i < md->by_addr->len; i++) {
        Dimm *dimm = md->by_addr->pdata[i];

        if (waits(dimm)) {
            dimm_stop_timeout(dimm);
            start_timeout(dimm);
        }
    }
}

/* States. */

void dimm_set_state(Dimm *dimm, DimmState state, const char *reason)
{
    MemoryDeviceEvent event = {
        .id = dimm_id(dimm), .slot = dimm->slot, .size = dimm->size, .state = state,
    };
    char *old = dimm->reason;

    dimm_stop_timeout(dimm);
    dimm->reason = g_strdup(reason);
    g_free(old); /* behind the copy: @reason may be it */
    dimm->state = state;
    dimm->state_since_us = g_get_monotonic_time();
    if (waits(dimm)) {
        start_timeout(dimm);
    }
    log_item(LOG_ACPI, "DIMM '%s' is %s%s%s", dimm_id(dimm), dimm_state_name(state),
             reason ? ": " : "", reason ? dimm->reason : "");
    trace_event(dimm_state, .id = dimm_id(dimm), .state = dimm_state_name(state),
                .reason = dimm->reason);
    event.reason = dimm->reason;
    event.kind = MEMORY_EVENT_STATE;
    memory_devices_emit(dimm->md, &event);
    if (state == DIMM_REFUSED) {
        event.kind = MEMORY_EVENT_UNPLUG_ERROR;
        memory_devices_emit(dimm->md, &event);
    }
}

void dimm_tell_plug_answer(Dimm *dimm, const char *reason)
{
    MemoryDeviceEvent event = {
        .kind = MEMORY_EVENT_PLUG_ANSWERED,
        .id = dimm_id(dimm),
        .slot = dimm->slot,
        .size = dimm->size,
        .state = dimm->state,
        .reason = reason,
    };

    memory_devices_emit(dimm->md, &event);
}

/* How the guest got on with a DIMM that was plugged. */
static void handle_plug_answer(Dimm *dimm, uint32_t status)
{
    dimm->guest_took_plug = status == OST_SUCCESS;
    dimm->guest_refused_plug = status != OST_SUCCESS;
    if (dimm->state == DIMM_PLUGGED) {
        dimm_set_state(dimm, DIMM_PLUGGED,
                       status == OST_SUCCESS ? NULL : dimm_ost_text(OST_DEVICE_CHECK, status));
    }
    dimm_tell_plug_answer(dimm, dimm_ost_text(OST_DEVICE_CHECK, status));
}

static void handle_unplug_answer(Dimm *dimm, uint32_t status)
{
    if (status == OST_IN_PROGRESS) {
        if (dimm->state == DIMM_REQUESTED) {
            dimm_set_state(dimm, DIMM_OFFLINING, NULL);
        }
    } else if (dimm->state == DIMM_CANCELLED) {
        dimm_set_state(dimm, DIMM_PLUGGED, NULL); /* no eject can come of it any more */
    } else if (waits(dimm) || dimm->state == DIMM_TIMED_OUT) {
        dimm_set_state(dimm, DIMM_REFUSED, dimm_ost_text(OST_EJECT_REQUEST, status));
    }
}

void dimm_handle_ost(Dimm *dimm, uint32_t event, uint32_t status)
{
    if (dimm_is_ejecting(dimm)) {
        return; /* its last words; the outcome is in the queue */
    }
    if (event == OST_DEVICE_CHECK && status != OST_IN_PROGRESS) {
        handle_plug_answer(dimm, status);
    } else if (event == OST_EJECT_REQUEST && status != OST_SUCCESS) {
        handle_unplug_answer(dimm, status);
    }
}

/* What the user asks for. */

bool memory_devices_request_unplug(MemoryDevices *md, const char *id, GError **error)
{
    Dimm *dimm = memory_devices_lookup(md, id, error);

    if (!dimm) {
        return false;
    }
    if (waits(dimm)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_EXISTS,
                    "device '%s' is being unplugged already (%s); wait for the answer, or cancel",
                    id, dimm_state_name(dimm->state));
        return false;
    }
    trace_event(dimm_unplug_request, .id = id, .slot = dimm->slot);
    dimm_set_state(dimm, DIMM_REQUESTED, NULL);
    memory_hotplug_request_remove(md->config.registers, dimm->slot);
    return true;
}

bool memory_devices_cancel_unplug(MemoryDevices *md, const char *id, GError **error)
{
    Dimm *dimm = memory_devices_lookup(md, id, error);
    bool unseen;

    if (!dimm) {
        return false;
    }
    if (!waits(dimm) && dimm->state != DIMM_TIMED_OUT) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "device '%s': no unplug is waiting for the guest (%s)", id,
                    dimm_state_name(dimm->state));
        return false;
    }
    unseen = memory_hotplug_cancel_remove(md->config.registers, dimm->slot);
    dimm_set_state(dimm, DIMM_CANCELLED,
                   unseen ? "the guest had not seen the request"
                          : "the guest has seen the request and may still eject the memory");
    return true;
}
