/* SPDX-License-Identifier: MIT */
/* Notices: how requests end that people have made, told to the monitor that they were made on. */
#include "monitor-internal.h"

#include "tessera/machine/memory-resize.h"
#include "tessera/util/size.h"

/* What is kept for a person who looks elsewhere; older lines are left out and counted. */
#define NOTICES_MAX 100

/*
 * @awaited: id of a DIMM -> bits of MonitorAnswer
 * @resize: was the running resize asked for here?
 * @lines: char *, whole lines without their ends, oldest first
 * @step: the last of @lines, if a step of a resize: what follows from it takes its place
 */
struct MonitorNotices {
    GHashTable *awaited;
    bool resize;
    GQueue lines;
    GList *step;
    uint64_t left_out;
};

MonitorNotices *monitor_notices_new(void)
{
    MonitorNotices *n = g_new0(MonitorNotices, 1);

    n->awaited = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_queue_init(&n->lines);
    return n;
}

void monitor_notices_forget(MonitorNotices *n)
{
    g_hash_table_remove_all(n->awaited);
    g_queue_clear_full(&n->lines, g_free);
    n->step = NULL;
    n->resize = false;
    n->left_out = 0;
}

void monitor_notices_free(MonitorNotices *n)
{
    if (n) {
        monitor_notices_forget(n);
        g_hash_table_unref(n->awaited);
        g_free(n);
    }
}

char *monitor_notices_take(MonitorNotices *n)
{
    GString *text = g_string_new(NULL);
    char *line;

    if (n->left_out) {
        g_string_printf(text, "(%" G_GUINT64_FORMAT " older notices are left out)\n", n->left_out);
        n->left_out = 0;
    }
    while ((line = g_queue_pop_head(&n->lines))) {
        g_string_append_printf(text, "%s\n", line);
        g_free(line);
    }
    n->step = NULL;
    return g_string_free(text, FALSE);
}

/* Steals @line. */
static void tell(Monitor *mon, char *line)
{
    MonitorNotices *n = mon->notices;

    if (n->lines.length >= NOTICES_MAX) {
        g_free(g_queue_pop_head(&n->lines));
        n->left_out++;
    }
    g_queue_push_tail(&n->lines, line);
    n->step = NULL;
    monitor_announce(mon);
}

static void tell_resize(Monitor *mon, char *line, bool goes_on)
{
    MonitorNotices *n = mon->notices;

    if (n->step) {
        g_free(n->step->data);
        n->step->data = line;
    } else {
        tell(mon, line);
    }
    n->step = goes_on ? n->lines.tail : NULL;
}

/* What is awaited. */

static unsigned awaited(const Monitor *mon, const char *id)
{
    return mon->notices ? GPOINTER_TO_UINT(g_hash_table_lookup(mon->notices->awaited, id)) : 0;
}

static void set_awaited(Monitor *mon, const char *id, unsigned answers)
{
    if (answers) {
        g_hash_table_insert(mon->notices->awaited, g_strdup(id), GUINT_TO_POINTER(answers));
    } else {
        g_hash_table_remove(mon->notices->awaited, id);
    }
}

bool monitor_await(Monitor *mon, const char *id, MonitorAnswer answer)
{
    unsigned before = awaited(mon, id);

    if (!mon->notices || (before & answer)) {
        return false;
    }
    set_awaited(mon, id, before | answer);
    return true;
}

void monitor_await_no_more(Monitor *mon, const char *id, MonitorAnswer answer)
{
    unsigned before = awaited(mon, id);

    if (before & answer) {
        set_awaited(mon, id, before & ~answer);
    }
}

void monitor_await_resize(Monitor *mon, bool await)
{
    if (mon->notices) {
        mon->notices->resize = await;
    }
}

/* DIMMs. */

static void notice_plug(Monitor *mon, const MemoryDeviceEvent *event)
{
    g_autofree char *size = size_format(event->size);

    if (awaited(mon, event->id) & MONITOR_ANSWER_PLUG) {
        monitor_await_no_more(mon, event->id, MONITOR_ANSWER_PLUG);
        tell(mon, g_strdup_printf("%s: %s (%s)", event->id, event->reason, size));
    }
}

/* Memory that goes without having been asked for concerns everybody. */
static void notice_deleted(Monitor *mon, const MemoryDeviceEvent *event)
{
    g_autofree char *size = size_format(event->size);

    if (event->unasked ? mon->greeted : awaited(mon, event->id) & MONITOR_ANSWER_UNPLUG) {
        tell(mon, g_strdup_printf("%s: %s%s (%s)", event->id, event->reason,
                                  event->unasked ? ", unasked" : "", size));
    }
    set_awaited(mon, event->id, 0);
}

/* After a time-out or a cancel the guest may still have its say. */
static void notice_state(Monitor *mon, const MemoryDeviceEvent *event)
{
    const char *state = dimm_state_name(event->state);
    const char *id = event->id;

    if (!(awaited(mon, id) & MONITOR_ANSWER_UNPLUG)) {
        return;
    }
    switch (event->state) {
    case DIMM_REFUSED:
        monitor_await_no_more(mon, id, MONITOR_ANSWER_UNPLUG);
        G_GNUC_FALLTHROUGH;
    case DIMM_TIMED_OUT:
        tell(mon, g_strdup_printf("%s: %s: %s; `device_del %s` asks again", id, state,
                                  event->reason, id));
        break;
    case DIMM_CANCELLED:
        tell(mon, g_strdup_printf("%s: %s: %s", id, state, event->reason));
        break;
    case DIMM_PLUGGED:
        monitor_await_no_more(mon, id, MONITOR_ANSWER_UNPLUG);
        tell(mon, g_strdup_printf("%s: stays plugged; `device_del %s` asks again", id, id));
        break;
    default: /* on its way */
        break;
    }
}

static void notice_memory(Monitor *mon, const MemoryDeviceEvent *event)
{
    switch (event->kind) {
    case MEMORY_EVENT_PLUG_ANSWERED:
        notice_plug(mon, event);
        break;
    case MEMORY_EVENT_DELETED:
        notice_deleted(mon, event);
        break;
    case MEMORY_EVENT_STATE:
        notice_state(mon, event);
        break;
    default:
        break;
    }
}

/* The line that the command itself has printed, with what is now. */
static void notice_resize(Monitor *mon, const MemoryResizeStatus *status)
{
    bool runs = status->state == MEMORY_RESIZE_RUNNING;

    if (mon->notices->resize) {
        mon->notices->resize = runs;
        tell_resize(mon, monitor_resize_text(status), runs);
    }
}

void monitor_hub_notice(MonitorHub *hub, const MachineEvent *event)
{
    for (guint i = 0; i < hub->monitors->len; i++) {
        Monitor *mon = hub->monitors->pdata[i];

        if (!mon->notices) {
            continue;
        }
        if (event->kind == MACHINE_EVENT_MEMORY) {
            notice_memory(mon, event->memory);
        } else if (event->kind == MACHINE_EVENT_MEMORY_RESIZE) {
            notice_resize(mon, event->resize);
        }
    }
}
