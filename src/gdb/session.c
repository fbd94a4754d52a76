/* SPDX-License-Identifier: MIT */
/* A session with one client: its packets, one after the other, and what the machine tells it. */
#include "session-internal.h"

#include <stdlib.h>
#include <string.h>

/* Answers. */

static void transmit(GdbSession *s)
{
    s->target->output(s->target->opaque, s->sent->data, s->sent->len);
}

static void send_packet(GdbSession *s, const char *text, size_t len)
{
    g_byte_array_set_size(s->sent, 0);
    gdb_frame(text, len, s->sent);
    transmit(s);
}

void gdb_reply(GdbSession *s, const char *text)
{
    send_packet(s, text, strlen(text));
}

/* In pieces that fit into a packet, two digits each byte. */
void gdb_reply_console(GdbSession *s, const char *text, size_t len)
{
    while (len > 0) {
        size_t part = MIN(len, (GDB_PACKET_MAX - 8) / 2);
        g_autoptr(GString) out = g_string_new("O");

        gdb_put_bytes(out, text, part);
        gdb_reply(s, out->str);
        text += part;
        len -= part;
    }
}

bool gdb_take_thread(const GdbSession *s, const char **at, int any, int *ret_cpu)
{
    const char *p = *at;
    uint64_t thread;

    if (gdb_take_word(&p, "-1")) {
        *ret_cpu = -1;
    } else if (!gdb_take_number(&p, &thread) || thread > s->target->cpus) {
        return false;
    } else {
        *ret_cpu = thread == 0 ? any : (int)thread - 1;
    }
    *at = p;
    return true;
}

/* Packets that are not worth a file. */

static void set_thread(GdbSession *s, const char *packet)
{
    const char *at = packet + 2;
    int cpu;

    if ((packet[1] != 'g' && packet[1] != 'c') ||
        !gdb_take_thread(s, &at, packet[1] == 'g' ? (int)s->general_cpu : -1, &cpu) || *at) {
        gdb_reply(s, GDB_ERROR_INVALID);
        return;
    }
    if (packet[1] == 'g') {
        s->general_cpu = cpu < 0 ? s->general_cpu : (unsigned)cpu;
    } else {
        s->continue_cpu = cpu;
    }
    gdb_reply(s, "OK");
}

static void thread_alive(GdbSession *s, const char *packet)
{
    const char *at = packet + 1;
    int cpu;

    gdb_reply(s, gdb_take_thread(s, &at, -1, &cpu) && cpu >= 0 && !*at ? "OK" : GDB_ERROR_INVALID);
}

static void leave(GdbSession *s)
{
    gdb_breakpoints_remove_software(s->breakpoints);
    s->over = true;
    s->running = false;
}

static void detach(GdbSession *s)
{
    leave(s);
    gdb_reply(s, "OK");
    s->target->detach(s->target->opaque);
}

static void kill_machine(GdbSession *s, bool answer)
{
    leave(s);
    if (answer) {
        gdb_reply(s, "OK");
    }
    s->target->kill(s->target->opaque);
}

static void verbose(GdbSession *s, const char *packet)
{
    if (strcmp(packet, "vCont?") == 0) {
        gdb_reply(s, "vCont;c;C;s;S");
    } else if (g_str_has_prefix(packet, "vCont;")) {
        gdb_session_vcont(s, packet);
    } else if (g_str_has_prefix(packet, "vKill;")) {
        kill_machine(s, true);
    } else {
        gdb_reply(s, "");
    }
}

static void dispatch(GdbSession *s, const char *packet, size_t len)
{
    switch (packet[0]) {
    case '?':
        gdb_reply(s, s->last_stop->str);
        break;
    case 'c':
    case 'C':
    case 's':
    case 'S':
        gdb_session_continue(s, packet);
        break;
    case 'g':
    case 'G':
    case 'p':
    case 'P':
        gdb_session_registers(s, packet);
        break;
    case 'm':
    case 'M':
    case 'X':
        gdb_session_memory(s, packet, len);
        break;
    case 'Z':
    case 'z':
        gdb_session_breakpoint(s, packet);
        break;
    case 'H':
        set_thread(s, packet);
        break;
    case 'T':
        thread_alive(s, packet);
        break;
    case 'q':
        gdb_session_query(s, packet);
        break;
    case 'Q':
        gdb_session_set(s, packet);
        break;
    case 'v':
        verbose(s, packet);
        break;
    case 'D':
        detach(s);
        break;
    case 'k':
        kill_machine(s, false);
        break;
    default: /* the protocol's way to say that there is no such packet */
        gdb_reply(s, "");
        break;
    }
}

/* Input. */

static void acknowledge(GdbSession *s, char how)
{
    if (!s->no_ack) {
        s->target->output(s->target->opaque, (const uint8_t *)&how, 1);
    }
}

static void on_packet(GdbSession *s, const char *packet, size_t len)
{
    acknowledge(s, '+');
    if (s->running) {
        return; /* the protocol allows nothing but an interrupt before the machine stands still */
    }
    if (s->over) {
        gdb_reply(s, GDB_ERROR_INVALID); /* nothing left to debug here: connect again */
    } else {
        dispatch(s, packet, len);
    }
}

static void on_input(void *opaque, GdbInput what, const char *packet, size_t len)
{
    GdbSession *s = opaque;

    switch (what) {
    case GDB_INPUT_PACKET:
        on_packet(s, packet, len);
        break;
    case GDB_INPUT_DAMAGED:
        acknowledge(s, '-');
        break;
    case GDB_INPUT_TOO_LONG: /* sent again, it would be as long */
        acknowledge(s, '+');
        if (!s->running) {
            gdb_reply(s, GDB_ERROR_INVALID);
        }
        break;
    case GDB_INPUT_NAK:
        if (!s->no_ack && s->sent->len) {
            transmit(s);
        }
        break;
    case GDB_INPUT_INTERRUPT:
        if (s->running) {
            s->target->stop(s->target->opaque);
        }
        break;
    case GDB_INPUT_ACK:
        break;
    }
}

void gdb_session_receive(GdbSession *s, const uint8_t *buf, size_t len)
{
    gdb_framer_feed(s->framer, buf, len);
}

/* What the machine tells. */

/* Another vCPU's watchpoint is told when the client wants to go on: the access has been made. */
static void collect_reports(GdbSession *s)
{
    for (unsigned cpu = 0; cpu < s->target->cpus; cpu++) {
        VcpuStop stop = s->target->stop_of(s->target->opaque, cpu);
        GdbReport *r = &s->reports[cpu];

        *r = (GdbReport){ .kind = stop.kind };
        if (stop.kind == VCPU_STOP_EXECUTE || stop.kind == VCPU_STOP_WATCH) {
            r->type = gdb_breakpoints_slot(s->breakpoints, stop.slot, &r->gva);
        }
    }
}

/* The one that the client steps comes before those that merely met something meanwhile. */
static unsigned choose_report(const GdbSession *s)
{
    if (s->reports[s->general_cpu].kind == VCPU_STOP_STEP) {
        return s->general_cpu;
    }
    for (unsigned cpu = 0; cpu < s->target->cpus; cpu++) {
        if (s->reports[cpu].kind != VCPU_STOP_NONE) {
            return cpu;
        }
    }
    return s->general_cpu;
}

void gdb_session_halted(GdbSession *s, GdbHalt why, const char *text)
{
    enum { SIGNAL_INT = 2, SIGNAL_TRAP = 5, SIGNAL_ABORT = 6 }; /* gdb's numbers */
    static const GdbReport nothing;
    unsigned cpu = s->general_cpu;

    if (!s->running) {
        return;
    }
    if (text) {
        gdb_reply_console(s, text, strlen(text));
    }
    collect_reports(s);
    switch (why) {
    case GDB_HALT_STOP:
        cpu = choose_report(s);
        gdb_session_tell_stop(s, SIGNAL_TRAP, cpu, &s->reports[cpu]);
        break;
    case GDB_HALT_INTERRUPTED:
        gdb_session_tell_stop(s, SIGNAL_INT, cpu, &nothing);
        break;
    case GDB_HALT_RESET:
        gdb_session_tell_stop(s, SIGNAL_TRAP, 0, &nothing);
        break;
    case GDB_HALT_FAILED:
        gdb_session_tell_stop(s, SIGNAL_ABORT, cpu, &nothing);
        break;
    }
}

void gdb_session_resetting(GdbSession *s)
{
    gdb_breakpoints_remove_software(s->breakpoints);
    memset(s->reports, 0, s->target->cpus * sizeof(*s->reports));
}

void gdb_session_ended(GdbSession *s, int status)
{
    g_autofree char *text = g_strdup_printf("W%02x", (unsigned)status & 0xff);

    s->over = true;
    if (s->running) {
        s->running = false;
        gdb_reply(s, text);
    }
}

/* Life. */

GdbSession *gdb_session_new(const GdbTarget *target)
{
    GdbSession *s = g_new0(GdbSession, 1);

    s->target = target;
    s->framer = gdb_framer_new(on_input, s);
    s->breakpoints = gdb_breakpoints_new(target);
    s->continue_cpu = -1;
    s->step_flags = GDB_STEP_ALL;
    s->reports = g_new0(GdbReport, target->cpus);
    s->last_stop = g_string_new("T05thread:1;");
    s->sent = g_byte_array_new();
    return s;
}

void gdb_session_free(GdbSession *s)
{
    if (!s) {
        return;
    }
    if (!s->over) {
        gdb_breakpoints_remove_software(s->breakpoints);
    }
    gdb_framer_free(s->framer);
    gdb_breakpoints_free(s->breakpoints);
    g_free(s->reports);
    g_string_free(s->last_stop, TRUE);
    g_byte_array_unref(s->sent);
    g_free(s);
}
