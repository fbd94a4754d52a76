/* SPDX-License-Identifier: MIT */
/* Monitors: their chardevs, their output, their life. */
#include "tessera/monitor/monitor.h"

#include <string.h>
#include "monitor-internal.h"

/* No more commands are read from a client that leaves more than this of their answers unread. */
#define OUTPUT_BACKLOG_MAX (256u << 10)
#define RECEIVE_CHUNK      4096

Machine *monitor_machine(Monitor *mon)
{
    return mon->hub->machine;
}

unsigned monitor_cpu(const Monitor *mon)
{
    return mon->cpu;
}

void monitor_set_cpu(Monitor *mon, unsigned cpu)
{
    mon->cpu = cpu;
}

/* Output. */

static void flush_output(Monitor *mon)
{
    size_t done = chardev_write(mon->chr, mon->out->data, mon->out->len);

    g_byte_array_remove_range(mon->out, 0, (guint)done);
}

void monitor_write(Monitor *mon, const char *text, size_t len)
{
    if (mon->chr && len) {
        g_byte_array_append(mon->out, (const guint8 *)text, (guint)len);
        flush_output(mon);
    }
}

static void on_writable(void *opaque)
{
    Monitor *mon = opaque;

    if (mon->out->len) {
        flush_output(mon);
    }
    if (mon->out->len <= OUTPUT_BACKLOG_MAX) {
        chardev_accept_input(mon->chr);
    }
}

/* Input. */

static size_t on_can_receive(void *opaque)
{
    Monitor *mon = opaque;

    if (mon->out->len > OUTPUT_BACKLOG_MAX) {
        return 0;
    }
    return mon->mode == MONITOR_HMP ? line_editor_can_feed(mon->editor) : RECEIVE_CHUNK;
}

static void on_receive(void *opaque, const uint8_t *buf, size_t len)
{
    Monitor *mon = opaque;

    if (mon->mode == MONITOR_HMP) {
        line_editor_feed(mon->editor, buf, len);
    } else {
        qmp_receive(mon, buf, len);
    }
}

static void on_event(void *opaque, ChardevEvent event)
{
    Monitor *mon = opaque;

    if (event == CHARDEV_OPENED) {
        g_byte_array_set_size(mon->out, 0);
        if (mon->mode == MONITOR_QMP) {
            qmp_open(mon);
        } else {
            hmp_open(mon);
        }
    } else if (event == CHARDEV_CLOSED) {
        if (mon->mode == MONITOR_QMP) {
            qmp_close(mon);
        }
        g_byte_array_set_size(mon->out, 0);
    }
}

static const ChardevFrontend monitor_frontend = {
    .can_receive = on_can_receive,
    .receive = on_receive,
    .event = on_event,
    .writable = on_writable,
};

/* The line editor's side of an HMP monitor. */

static void on_line(void *opaque, const char *line)
{
    Monitor *mon = opaque;
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    if (!hmp_run_line(mon, line, out, &error)) {
        g_string_append_printf(out, "Error: %s\n", error->message);
    }
    for (char *p = out->str; *p;) { /* a terminal in raw mode wants both */
        size_t len = strcspn(p, "\n");

        monitor_write(mon, p, len);
        p += len;
        if (*p == '\n') {
            monitor_write(mon, "\r\n", 2);
            p++;
        }
    }
}

static GPtrArray *on_complete(void *opaque, const char *line)
{
    return hmp_complete(opaque, line);
}

static void on_screen(void *opaque, const char *buf, size_t len)
{
    monitor_write(opaque, buf, len);
}

static const LineEditorOps editor_ops = {
    .line = on_line,
    .complete = on_complete,
    .output = on_screen,
};

/* Life. */

static void monitor_free(gpointer opaque)
{
    Monitor *mon = opaque;

    chardev_set_frontend(mon->chr, NULL, NULL);
    line_editor_free(mon->editor);
    qmp_framer_free(mon->framer);
    g_byte_array_unref(mon->out);
    g_free(mon);
}

MonitorHub *monitor_hub_new(Machine *machine)
{
    MonitorHub *hub = g_new0(MonitorHub, 1);
    g_autoptr(GError) error = NULL;

    hub->machine = machine;
    hub->monitors = g_ptr_array_new_with_free_func(monitor_free);
    hub->commands = monitor_commands_load(&error);
    g_assert_no_error(error); /* two commands with one name: found by the first test that starts */
    monitor_hub_watch_machine(hub);
    return hub;
}

void monitor_hub_free(MonitorHub *hub)
{
    if (!hub) {
        return;
    }
    machine_set_event_handler(hub->machine, NULL, NULL);
    for (guint i = 0; i < hub->monitors->len; i++) { /* the last answers and events */
        Monitor *mon = hub->monitors->pdata[i];

        chardev_write_all(mon->chr, mon->out->data, mon->out->len);
        g_byte_array_set_size(mon->out, 0);
    }
    g_ptr_array_unref(hub->monitors);
    g_ptr_array_unref(hub->commands);
    g_free(hub);
}

bool monitor_hub_add(MonitorHub *hub, Chardev *chr, MonitorMode mode, GError **error)
{
    Monitor *mon = g_new0(Monitor, 1);

    mon->hub = hub;
    mon->mode = mode;
    mon->chr = chr;
    mon->out = g_byte_array_new();
    if (mode == MONITOR_HMP) {
        mon->editor = line_editor_new("(tessera) ", &editor_ops, mon, error);
        if (!mon->editor) {
            g_byte_array_unref(mon->out);
            g_free(mon);
            return false;
        }
    }
    g_ptr_array_add(hub->monitors, mon);
    chardev_set_frontend(chr, &monitor_frontend, mon);
    return true;
}

bool monitor_hub_hmp(MonitorHub *hub, const char *line, unsigned cpu, GString *out, GError **error)
{
    Monitor mon = { .hub = hub, .mode = MONITOR_HMP, .cpu = cpu };

    return hmp_run_line(&mon, line, out, error);
}
