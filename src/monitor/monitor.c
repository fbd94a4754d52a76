/* SPDX-License-Identifier: MIT */
/* Monitors: their chardevs, their output, their life. */
#include "tessera/monitor/monitor.h"

#include <string.h>
#include "monitor-internal.h"

/* No more commands are run for a client that leaves more than this of their answers unread. */
#define OUTPUT_BACKLOG_MAX (256u << 10)
#define RECEIVE_CHUNK      4096
#define PROMPT             "(tessera) "

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

bool monitor_may_run(const Monitor *mon)
{
    return mon->out->len <= OUTPUT_BACKLOG_MAX;
}

static void on_writable(void *opaque)
{
    Monitor *mon = opaque;

    if (mon->out->len) {
        flush_output(mon);
    }
    if (!monitor_may_run(mon)) {
        return;
    }
    if (mon->mode == MONITOR_QMP) {
        qmp_resume(mon);
    } else if (mon->editor) {
        line_editor_resume(mon->editor);
    }
    chardev_accept_input(mon->chr);
}

/* The line editor's side of an HMP monitor. */

/* A terminal in raw mode wants both characters at the end of a line. */
static void write_lines(Monitor *mon, const GString *text)
{
    g_autoptr(GString) out = g_string_sized_new(text->len + 64);

    for (const char *p = text->str; *p; p++) {
        if (*p == '\n') {
            g_string_append_c(out, '\r');
        }
        g_string_append_c(out, *p);
    }
    monitor_write(mon, out->str, out->len);
}

void monitor_announce(Monitor *mon)
{
    if (mon->editor && chardev_has_focus(mon->chr)) {
        line_editor_announce(mon->editor);
    }
}

/* Without the focus, another's output is on the screen: notices wait. Returns: there were some. */
static bool write_notices(Monitor *mon, const char *erase)
{
    g_autofree char *text = NULL;
    g_autoptr(GString) lines = NULL;

    if (!chardev_has_focus(mon->chr)) {
        return false;
    }
    text = monitor_notices_take(mon->notices);
    if (!*text) {
        return false;
    }
    lines = g_string_new(text);
    monitor_write(mon, erase, strlen(erase));
    write_lines(mon, lines);
    return true;
}

static bool on_notices(void *opaque, const char *erase)
{
    return write_notices(opaque, erase);
}

/* What has happened before stands before the command's output, and what it has caused behind. */
static void on_line(void *opaque, const char *line)
{
    Monitor *mon = opaque;
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    write_notices(mon, "");
    if (!hmp_run_line(mon, line, out, &error)) {
        g_string_append_printf(out, "Error: %s\n", error->message);
    }
    write_lines(mon, out);
    write_notices(mon, "");
}

static GPtrArray *on_complete(void *opaque, const char *line)
{
    return hmp_complete(opaque, line);
}

static void on_screen(void *opaque, const char *buf, size_t len)
{
    monitor_write(opaque, buf, len);
}

static bool on_ready(void *opaque)
{
    return monitor_may_run(opaque);
}

static void on_room(void *opaque)
{
    Monitor *mon = opaque;

    chardev_accept_input(mon->chr);
}

static const LineEditorOps editor_ops = {
    .line = on_line,
    .complete = on_complete,
    .notices = on_notices,
    .output = on_screen,
    .ready = on_ready,
    .room = on_room,
};

/* Greets a client and gives it an editor, or shows it the prompt again. */
static void hmp_attend(Monitor *mon)
{
    g_autoptr(GError) error = NULL;

    if (!mon->greeted) {
        hmp_greet(mon);
        mon->greeted = true;
    }
    if (mon->editor) {
        write_notices(mon, "");
        line_editor_redraw(mon->editor);
        return;
    }
    mon->editor = line_editor_new(PROMPT, &editor_ops, mon, &error);
    if (!mon->editor) {
        g_autoptr(GString) text = g_string_new(NULL);

        g_string_printf(text, "Error: %s\n", error->message);
        write_lines(mon, text);
    }
}

/* Input. */

static size_t on_can_receive(void *opaque)
{
    Monitor *mon = opaque;

    if (mon->mode == MONITOR_QMP) {
        return qmp_can_receive(mon) ? RECEIVE_CHUNK : 0;
    }
    return mon->editor ? line_editor_can_feed(mon->editor) : RECEIVE_CHUNK;
}

static void on_receive(void *opaque, const uint8_t *buf, size_t len)
{
    Monitor *mon = opaque;

    if (mon->mode == MONITOR_QMP) {
        qmp_receive(mon, buf, len);
    } else if (mon->editor) {
        line_editor_feed(mon->editor, buf, len);
    }
}

static void hmp_event(Monitor *mon, ChardevEvent event)
{
    switch (event) {
    case CHARDEV_OPENED:
        if (chardev_has_focus(mon->chr)) {
            hmp_attend(mon);
        }
        break;
    case CHARDEV_FOCUS:
        hmp_attend(mon);
        break;
    case CHARDEV_INPUT_END:
        if (mon->editor) {
            line_editor_end_input(mon->editor);
        }
        break;
    case CHARDEV_CLOSED:
        if (mon->editor) {
            line_editor_reset(mon->editor);
        }
        monitor_notices_forget(mon->notices);
        mon->greeted = false;
        mon->cpu = 0;
        break;
    case CHARDEV_BREAK:
        break;
    }
}

static void on_event(void *opaque, ChardevEvent event)
{
    Monitor *mon = opaque;

    if (event == CHARDEV_OPENED || event == CHARDEV_CLOSED) {
        g_byte_array_set_size(mon->out, 0);
    }
    if (mon->mode == MONITOR_HMP) {
        hmp_event(mon, event);
    } else if (event == CHARDEV_OPENED) {
        qmp_open(mon);
    } else if (event == CHARDEV_CLOSED) {
        qmp_close(mon);
    }
}

static bool on_settled(void *opaque)
{
    Monitor *mon = opaque;

    return mon->out->len == 0 && (!mon->in || mon->in->len == 0) &&
           (!mon->editor || line_editor_settled(mon->editor));
}

static const ChardevFrontend monitor_frontend = {
    .can_receive = on_can_receive,
    .receive = on_receive,
    .event = on_event,
    .writable = on_writable,
    .settled = on_settled,
};

/* Life. */

static void monitor_free(gpointer opaque)
{
    Monitor *mon = opaque;

    chardev_set_frontend(mon->chr, NULL, NULL);
    line_editor_free(mon->editor);
    qmp_close(mon);
    monitor_notices_free(mon->notices);
    g_byte_array_unref(mon->out);
    g_free(mon);
}

/* gdb's "monitor LINE": what a person would see. */
static void run_for_gdb(void *opaque, const char *line, unsigned cpu, GString *out)
{
    g_autoptr(GError) error = NULL;

    if (!monitor_hub_hmp(opaque, line, cpu, out, &error)) {
        g_string_append_printf(out, "Error: %s\n", error->message);
    }
}

MonitorHub *monitor_hub_new(Machine *machine)
{
    MonitorHub *hub = g_new0(MonitorHub, 1);
    g_autoptr(GError) error = NULL;

    hub->machine = machine;
    hub->monitors = g_ptr_array_new_with_free_func(monitor_free);
    hub->chardevs = g_ptr_array_new_with_free_func((GDestroyNotify)chardev_free);
    hub->commands = monitor_commands_load(&error);
    g_assert_no_error(error); /* two commands with one name: found by the first test that starts */
    hub->gdb = gdb_server_new(machine, run_for_gdb, hub);
    monitor_hub_watch_machine(hub);
    return hub;
}

/* The last answers and events, and the line end behind "quit". */
static void finish_output(Monitor *mon)
{
    if (mon->editor) {
        line_editor_flush(mon->editor);
    }
    chardev_write_all(mon->chr, mon->out->data, mon->out->len);
    g_byte_array_set_size(mon->out, 0);
}

void monitor_hub_free(MonitorHub *hub)
{
    if (!hub) {
        return;
    }
    gdb_server_free(hub->gdb); /* its last words are events for the others */
    machine_set_event_handler(hub->machine, NULL, NULL);
    machine_set_watched(hub->machine, false);
    for (guint i = 0; i < hub->monitors->len; i++) {
        finish_output(hub->monitors->pdata[i]);
    }
    g_ptr_array_unref(hub->monitors);
    g_ptr_array_unref(hub->chardevs);
    g_ptr_array_unref(hub->commands);
    g_free(hub);
}

void monitor_hub_add(MonitorHub *hub, Chardev *chr, MonitorMode mode)
{
    Monitor *mon = g_new0(Monitor, 1);

    mon->hub = hub;
    mon->mode = mode;
    mon->chr = chr;
    mon->out = g_byte_array_new();
    mon->notices = mode == MONITOR_HMP ? monitor_notices_new() : NULL;
    g_ptr_array_add(hub->monitors, mon);
    machine_set_watched(hub->machine, true);
    chardev_set_frontend(chr, &monitor_frontend, mon);
}

bool monitor_hub_hmp(MonitorHub *hub, const char *line, unsigned cpu, GString *out, GError **error)
{
    Monitor mon = { .hub = hub, .mode = MONITOR_HMP, .cpu = cpu };

    return hmp_run_line(&mon, line, out, error);
}
