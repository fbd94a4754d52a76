/* SPDX-License-Identifier: MIT */
/* A session's questions (q) and settings (Q). */
#include "session-internal.h"

#include <string.h>

/* "swbreak+" among the client's words, which are separated by ';'. */
static bool client_has(const char *list, const char *word)
{
    g_auto(GStrv) words = g_strsplit(list, ";", -1);

    return g_strv_contains((const char *const *)words, word);
}

static void supported(GdbSession *s, const char *at)
{
    g_autofree char *answer =
        g_strdup_printf("PacketSize=%x;qXfer:features:read+;QStartNoAckMode+;vContSupported+;"
                        "swbreak+;hwbreak+",
                        GDB_PACKET_MAX);

    if (gdb_take_char(&at, ':')) {
        s->tells_sw = client_has(at, "swbreak+");
        s->tells_hw = client_has(at, "hwbreak+");
    }
    gdb_reply(s, answer);
}

/* A part of an object of @len bytes: 'l' before the last one, 'm' before others. */
static void answer_part(GdbSession *s, const char *object, const char *at)
{
    g_autoptr(GString) out = g_string_new(NULL);
    size_t len = strlen(object);
    uint64_t offset, wanted;

    if (!gdb_take_number(&at, &offset) || !gdb_take_char(&at, ',') ||
        !gdb_take_number(&at, &wanted) || *at || offset > len) {
        gdb_reply(s, GDB_ERROR_INVALID);
        return;
    }
    wanted = MIN(wanted, GDB_PACKET_MAX / 2); /* each byte may be escaped */
    g_string_append_c(out, len - offset <= wanted ? 'l' : 'm');
    g_string_append_len(out, object + offset, (gssize)MIN(wanted, len - offset));
    gdb_reply(s, out->str);
}

static void features(GdbSession *s, const char *at)
{
    g_autofree char *xml = NULL;

    if (!gdb_take_word(&at, "target.xml:")) {
        gdb_reply(s, "E00"); /* there is no such annex */
        return;
    }
    xml = gdb_target_xml();
    answer_part(s, xml, at);
}

/* In as many answers as it takes; 'l' ends the list. */
static void list_threads(GdbSession *s, bool first)
{
    g_autoptr(GString) out = g_string_new("m");

    s->listed = first ? 0 : s->listed;
    if (s->listed >= s->target->cpus) {
        gdb_reply(s, "l");
        return;
    }
    while (s->listed < s->target->cpus && out->len < GDB_PACKET_MAX - 32) {
        g_string_append_printf(out, "%s%x", out->len > 1 ? "," : "", s->listed + 1);
        s->listed++;
    }
    gdb_reply(s, out->str);
}

static void thread_info(GdbSession *s, const char *at)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autofree char *text = NULL;
    int cpu;

    if (!gdb_take_thread(s, &at, -1, &cpu) || cpu < 0 || *at) {
        gdb_reply(s, GDB_ERROR_INVALID);
        return;
    }
    text = s->target->describe(s->target->opaque, (unsigned)cpu);
    gdb_put_bytes(out, text, strlen(text));
    gdb_reply(s, out->str);
}

static void current_thread(GdbSession *s)
{
    g_autofree char *answer = g_strdup_printf("QC%x", s->general_cpu + 1);

    gdb_reply(s, answer);
}

/* "monitor LINE": what it prints goes out as console text, and OK ends it. */
static void command(GdbSession *s, const char *at)
{
    size_t len = strlen(at) / 2;
    g_autofree char *line = g_malloc0(len + 1);
    g_autoptr(GString) out = g_string_new(NULL);

    if (!gdb_take_bytes(&at, (uint8_t *)line, len) || *at) {
        gdb_reply(s, GDB_ERROR_INVALID);
        return;
    }
    s->target->command(s->target->opaque, line, s->general_cpu, out);
    gdb_reply_console(s, out->str, out->len);
    gdb_reply(s, "OK");
}

static void step_flags(GdbSession *s)
{
    g_autofree char *answer = g_strdup_printf("0x%x", s->step_flags);

    gdb_reply(s, answer);
}

void gdb_session_query(GdbSession *s, const char *packet)
{
    const char *at = packet;

    if (gdb_take_word(&at, "qSupported")) {
        supported(s, at);
    } else if (gdb_take_word(&at, "qXfer:features:read:")) {
        features(s, at);
    } else if (gdb_take_word(&at, "qfThreadInfo")) {
        list_threads(s, true);
    } else if (gdb_take_word(&at, "qsThreadInfo")) {
        list_threads(s, false);
    } else if (gdb_take_word(&at, "qThreadExtraInfo,")) {
        thread_info(s, at);
    } else if (gdb_take_word(&at, "qRcmd,")) {
        command(s, at);
    } else if (gdb_take_word(&at, "qAttached")) {
        gdb_reply(s, "1"); /* so that gdb detaches when it ends, instead of killing */
    } else if (strcmp(packet, "qC") == 0) {
        current_thread(s);
    } else if (strcmp(packet, "qqemu.PhyMemMode") == 0) {
        gdb_reply(s, s->physical ? "1" : "0");
    } else if (strcmp(packet, "qqemu.sstepbits") == 0) {
        gdb_reply(s, "ENABLE=1,NOIRQ=2,NOTIMER=4");
    } else if (strcmp(packet, "qqemu.sstep") == 0) {
        step_flags(s);
    } else {
        gdb_reply(s, "");
    }
}

static bool set_step_flags(GdbSession *s, const char *at)
{
    uint64_t flags;

    gdb_take_word(&at, "0x");
    if (!gdb_take_number(&at, &flags) || *at || flags > GDB_STEP_ALL) {
        return false;
    }
    s->step_flags = (unsigned)flags;
    return true;
}

void gdb_session_set(GdbSession *s, const char *packet)
{
    const char *at = packet;

    if (strcmp(packet, "QStartNoAckMode") == 0) {
        gdb_reply(s, "OK");
        s->no_ack = true;
    } else if (strcmp(packet, "Qqemu.PhyMemMode:0") == 0 ||
               strcmp(packet, "Qqemu.PhyMemMode:1") == 0) {
        s->physical = packet[strlen(packet) - 1] == '1';
        gdb_reply(s, "OK");
    } else if (gdb_take_word(&at, "Qqemu.sstep=")) {
        gdb_reply(s, set_step_flags(s, at) ? "OK" : GDB_ERROR_INVALID);
    } else {
        gdb_reply(s, "");
    }
}
