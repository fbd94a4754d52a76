/* SPDX-License-Identifier: MIT */
/* A session's packets for registers, memory and breakpoints. */
#include "session-internal.h"

#include <string.h>

#define PAGE_LEN 4096u

static bool get_registers(GdbSession *s, VcpuRegisters *r)
{
    return s->target->get_registers(s->target->opaque, s->general_cpu, r);
}

static bool put_registers(GdbSession *s, const VcpuRegisters *r)
{
    return s->target->set_registers(s->target->opaque, s->general_cpu, r);
}

static void answer(GdbSession *s, bool done, const char *error)
{
    gdb_reply(s, done ? "OK" : error);
}

static void put_register(const VcpuRegisters *r, unsigned n, GString *out)
{
    uint8_t wire[GDB_REGISTER_BYTES_MAX];

    gdb_register_get(r, n, wire);
    gdb_put_bytes(out, wire, gdb_registers[n].bits / 8);
}

static bool take_register(VcpuRegisters *r, unsigned n, const char **at)
{
    uint8_t wire[GDB_REGISTER_BYTES_MAX];

    if (!gdb_take_bytes(at, wire, gdb_registers[n].bits / 8)) {
        return false;
    }
    gdb_register_set(r, n, wire);
    return true;
}

static void read_all(GdbSession *s)
{
    g_autoptr(GString) out = g_string_new(NULL);
    VcpuRegisters r;

    if (!get_registers(s, &r)) {
        gdb_reply(s, GDB_ERROR_INVALID);
        return;
    }
    for (unsigned n = 0; n < gdb_register_count; n++) {
        put_register(&r, n, out);
    }
    gdb_reply(s, out->str);
}

/* A packet may end behind any register: the rest stays. */
static bool write_all(GdbSession *s, const char *at)
{
    VcpuRegisters r;

    if (!get_registers(s, &r)) {
        return false;
    }
    for (unsigned n = 0; *at && n < gdb_register_count; n++) {
        if (!take_register(&r, n, &at)) {
            return false;
        }
    }
    return !*at && put_registers(s, &r);
}

static void read_one(GdbSession *s, const char *at)
{
    g_autoptr(GString) out = g_string_new(NULL);
    VcpuRegisters r;
    uint64_t n;

    if (!gdb_take_number(&at, &n) || *at || n >= gdb_register_count || !get_registers(s, &r)) {
        gdb_reply(s, GDB_ERROR_INVALID);
        return;
    }
    put_register(&r, (unsigned)n, out);
    gdb_reply(s, out->str);
}

static bool write_one(GdbSession *s, const char *at)
{
    VcpuRegisters r;
    uint64_t n;

    return gdb_take_number(&at, &n) && n < gdb_register_count && gdb_take_char(&at, '=') &&
           get_registers(s, &r) && take_register(&r, (unsigned)n, &at) && !*at &&
           put_registers(s, &r);
}

void gdb_session_registers(GdbSession *s, const char *packet)
{
    switch (packet[0]) {
    case 'g':
        read_all(s);
        break;
    case 'G':
        answer(s, write_all(s, packet + 1), GDB_ERROR_INVALID);
        break;
    case 'p':
        read_one(s, packet + 1);
        break;
    default:
        answer(s, write_one(s, packet + 1), GDB_ERROR_INVALID);
        break;
    }
}

/* Memory. */

/* As much as is there, page by page: an answer may be shorter than what was asked for. */
static size_t read_some(GdbSession *s, uint64_t addr, uint8_t *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        size_t part = MIN(len - done, PAGE_LEN - ((addr + done) & (PAGE_LEN - 1)));

        if (!s->target->read(s->target->opaque, s->general_cpu, s->physical, addr + done,
                             buf + done, part)) {
            break;
        }
        done += part;
    }
    gdb_breakpoints_hide(s->breakpoints, s->physical, addr, buf, done);
    return done;
}

static void read_memory(GdbSession *s, uint64_t addr, uint64_t len)
{
    g_autofree uint8_t *buf = NULL;
    g_autoptr(GString) out = g_string_new(NULL);
    size_t done;

    len = MIN(len, GDB_PACKET_MAX / 2);
    buf = g_malloc0(len + 1);
    done = read_some(s, addr, buf, (size_t)len);
    if (done == 0 && len > 0) {
        gdb_reply(s, GDB_ERROR_MEMORY);
        return;
    }
    gdb_put_bytes(out, buf, done);
    gdb_reply(s, out->str);
}

static bool write_memory(GdbSession *s, uint64_t addr, uint8_t *bytes, size_t len)
{
    if (len == 0) {
        return true; /* how gdb asks whether there is such a packet */
    }
    gdb_breakpoints_keep(s->breakpoints, s->physical, addr, bytes, len);
    return s->target->write(s->target->opaque, s->general_cpu, s->physical, addr, bytes, len);
}

/* "mADDR,LEN", "MADDR,LEN:digits", "XADDR,LEN:bytes" */
void gdb_session_memory(GdbSession *s, const char *packet, size_t packet_len)
{
    const char *at = packet + 1;
    const char *end = packet + packet_len;
    g_autofree uint8_t *bytes = NULL;
    uint64_t addr, len;
    bool whole;

    if (!gdb_take_number(&at, &addr) || !gdb_take_char(&at, ',') || !gdb_take_number(&at, &len) ||
        (packet[0] == 'm' ? at != end : !gdb_take_char(&at, ':'))) {
        gdb_reply(s, GDB_ERROR_INVALID);
        return;
    }
    if (packet[0] == 'm') {
        read_memory(s, addr, len);
        return;
    }
    whole = len <= packet_len && (uint64_t)(end - at) == (packet[0] == 'M' ? 2 * len : len);
    bytes = whole ? g_malloc0(len + 1) : NULL;
    if (whole && packet[0] == 'M') {
        whole = gdb_take_bytes(&at, bytes, (size_t)len);
    } else if (whole) {
        memcpy(bytes, at, (size_t)len);
    }
    if (!whole) {
        gdb_reply(s, GDB_ERROR_INVALID);
        return;
    }
    answer(s, write_memory(s, addr, bytes, (size_t)len), GDB_ERROR_MEMORY);
}

/* "ZTYPE,ADDR,KIND", "zTYPE,ADDR,KIND"; behind a ';' there are conditions, which gdb checks too. */
void gdb_session_breakpoint(GdbSession *s, const char *packet)
{
    const char *at = packet + 1;
    uint64_t type, addr, kind;

    if (!gdb_take_number(&at, &type) || !gdb_take_char(&at, ',') || !gdb_take_number(&at, &addr) ||
        !gdb_take_char(&at, ',') || !gdb_take_number(&at, &kind) || (*at && *at != ';')) {
        gdb_reply(s, GDB_ERROR_INVALID);
        return;
    }
    if (type > GDB_WATCH_ACCESS) {
        gdb_reply(s, ""); /* a kind of later days */
    } else if (packet[0] == 'Z') {
        answer(s, gdb_breakpoints_insert(s->breakpoints, s->general_cpu, (GdbBreakType)type, addr,
                                         kind),
               GDB_ERROR_INVALID);
    } else {
        gdb_breakpoints_remove(s->breakpoints, (GdbBreakType)type, addr, kind);
        gdb_reply(s, "OK");
    }
}
