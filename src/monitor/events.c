/* SPDX-License-Identifier: MIT */
/* What happens in the machine, as QMP's events. */
#include "monitor-internal.h"

#include "tessera/util/trace.h"

static json_t *timestamp(void)
{
    gint64 now = g_get_real_time();

    return json_pack("{s:I,s:I}", "seconds", (json_int_t)(now / G_USEC_PER_SEC), "microseconds",
                     (json_int_t)(now % G_USEC_PER_SEC));
}

json_t *monitor_event_new(const char *name, json_t *data)
{
    json_t *event = json_pack("{s:o,s:s}", "timestamp", timestamp(), "event", name);

    if (data) {
        json_object_set_new(event, "data", data);
    }
    return event;
}

void monitor_hub_event(MonitorHub *hub, const char *name, json_t *data)
{
    json_t *event = monitor_event_new(name, data);

    trace_event(monitor_event, .event = name);
    for (guint i = 0; i < hub->monitors->len; i++) {
        Monitor *mon = hub->monitors->pdata[i];

        if (mon->mode == MONITOR_QMP) {
            qmp_emit(mon, event);
        }
    }
    json_decref(event);
}

/* QEMU's ShutdownCause. */
static const char *cause_name(MachineCause cause, bool reset)
{
    switch (cause) {
    case MACHINE_CAUSE_GUEST_POWEROFF:
        return "guest-shutdown";
    case MACHINE_CAUSE_GUEST_RESET:
        return "guest-reset";
    case MACHINE_CAUSE_TRIPLE_FAULT:
        return reset ? "guest-reset" : "guest-panic";
    case MACHINE_CAUSE_DEBUG_EXIT:
        return "guest-shutdown";
    case MACHINE_CAUSE_FAILED:
        return "host-error";
    case MACHINE_CAUSE_SIGNAL:
        return "host-signal";
    default:
        return reset ? "host-qmp-system-reset" : "host-qmp-quit";
    }
}

static json_t *cause_data(const MachineEvent *event)
{
    return json_pack("{s:b,s:s}", "guest", event->guest, "reason",
                     cause_name(event->cause, event->kind == MACHINE_EVENT_RESET));
}

/* ACPIOSTInfo: QEMU's shape, which has no room for words. */
static json_t *ost_data(const MemoryDeviceEvent *event)
{
    g_autofree char *slot = g_strdup_printf("%u", event->slot);
    json_t *info = json_pack("{s:s,s:s,s:I,s:I}", "slot-type", "DIMM", "slot", slot, "source",
                             (json_int_t)event->ost_event, "status",
                             (json_int_t)event->ost_status);

    if (event->id) {
        json_object_set_new(info, "device", json_string(event->id));
    }
    return json_pack("{s:o}", "info", info);
}

static json_t *path_data(const MemoryDeviceEvent *event)
{
    g_autofree char *path = g_strdup_printf("/machine/peripheral/%s", event->id);

    return json_pack("{s:s,s:s}", "device", event->id, "path", path);
}

static void memory_event(MonitorHub *hub, const MemoryDeviceEvent *event)
{
    switch (event->kind) {
    case MEMORY_EVENT_OST:
        monitor_hub_event(hub, "ACPI_DEVICE_OST", ost_data(event));
        break;
    case MEMORY_EVENT_DELETED:
        monitor_hub_event(hub, "DEVICE_DELETED", path_data(event));
        break;
    case MEMORY_EVENT_UNPLUG_ERROR:
        monitor_hub_event(hub, "MEM_UNPLUG_ERROR",
                          json_pack("{s:s,s:s}", "device", event->id, "msg",
                                    event->reason ? event->reason : "refused by the guest"));
        monitor_hub_event(hub, "DEVICE_UNPLUG_GUEST_ERROR", path_data(event));
        break;
    case MEMORY_EVENT_STATE:
        monitor_hub_event(hub, "X_MEMORY_DEVICE_STATE",
                          json_pack("{s:s,s:s,s:s*}", "device", event->id, "state",
                                    dimm_state_name(event->state), "reason", event->reason));
        break;
    case MEMORY_EVENT_PLUG_ANSWERED: /* OST has said so */
    case MEMORY_EVENT_SIZE_CHANGE:
        break;
    }
}

static void on_machine_event(const MachineEvent *event, void *opaque)
{
    MonitorHub *hub = opaque;

    monitor_hub_notice(hub, event);
    switch (event->kind) {
    case MACHINE_EVENT_STOP:
        monitor_hub_event(hub, "STOP", NULL);
        break;
    case MACHINE_EVENT_RESUME:
        monitor_hub_event(hub, "RESUME", NULL);
        break;
    case MACHINE_EVENT_RESET:
        monitor_hub_event(hub, "RESET", cause_data(event));
        break;
    case MACHINE_EVENT_SHUTDOWN:
        monitor_hub_event(hub, "SHUTDOWN", cause_data(event));
        break;
    case MACHINE_EVENT_POWERDOWN:
        monitor_hub_event(hub, "POWERDOWN", NULL);
        break;
    case MACHINE_EVENT_MEMORY:
        memory_event(hub, event->memory);
        break;
    case MACHINE_EVENT_MEMORY_RESIZE:
        monitor_hub_event(hub, "X_MEMORY_RESIZE", monitor_resize_data(event->resize));
        break;
    }
}

void monitor_hub_watch_machine(MonitorHub *hub)
{
    machine_set_event_handler(hub->machine, on_machine_event, hub);
}
