/* SPDX-License-Identifier: MIT */
/* Fuzz target: any bytes from a gdb client are answered in packets, the same however they are split. */
#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/gdb/gdb-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * Input: the first byte says how the rest is meant. Even: it is the stream. Odd: each line is the
 * payload of a packet, which is framed and summed here so that the fuzzer need not guess sums; a
 * line "!N" is something that happens to the machine.
 */

#define RAM_LEN 0x3000u
#define CPUS    3

typedef struct Machine {
    GdbTarget target;
    GdbSession *session;
    uint8_t ram[RAM_LEN];
    VcpuRegisters registers[CPUS];
    VcpuStop stops[CPUS];
    bool runs, gone;
    GByteArray *out;
} Machine;

static void must(bool condition)
{
    if (!condition) {
        abort();
    }
}

static bool get_registers(void *opaque, unsigned cpu, VcpuRegisters *ret)
{
    must(cpu < CPUS);
    *ret = ((Machine *)opaque)->registers[cpu];
    return true;
}

static bool set_registers(void *opaque, unsigned cpu, const VcpuRegisters *registers)
{
    must(cpu < CPUS);
    ((Machine *)opaque)->registers[cpu] = *registers;
    return true;
}

/* Virtual addresses are physical ones, twice: 0 and 1 MiB show the same memory. */
static bool translate(void *opaque, unsigned cpu, uint64_t gva, hwaddr *ret_gpa)
{
    must(cpu < CPUS);
    *ret_gpa = gva & ~(UINT64_C(1) << 20);
    return *ret_gpa < RAM_LEN;
}

static uint8_t *place(Machine *m, bool physical, uint64_t addr, size_t len)
{
    hwaddr gpa = addr;

    if (!physical && !translate(m, 0, addr, &gpa)) {
        return NULL;
    }
    return gpa < RAM_LEN && len <= RAM_LEN - gpa ? m->ram + gpa : NULL;
}

static bool read_memory(void *opaque, unsigned cpu, bool physical, uint64_t addr, void *buf,
                        size_t len)
{
    const uint8_t *from = place(opaque, physical, addr, len);

    if (from) {
        memcpy(buf, from, len);
    }
    return from;
}

static bool write_memory(void *opaque, unsigned cpu, bool physical, uint64_t addr, const void *buf,
                         size_t len)
{
    uint8_t *to = place(opaque, physical, addr, len);

    if (to) {
        memcpy(to, buf, len);
    }
    return to;
}

/* What the session promises of a plan and of actions. */
static bool resume(void *opaque, const VcpuDebugPlan *plan, const VcpuDebugAction *actions,
                   char **ret_why)
{
    Machine *m = opaque;
    bool somebody = false;

    must(!m->gone && !m->runs && plan->slot_count <= VCPU_DEBUG_SLOTS);
    for (unsigned i = 0; i < plan->slot_count; i++) {
        must(plan->slots[i].len && plan->slots[i].len <= 8 &&
             plan->slots[i].gva % plan->slots[i].len == 0);
    }
    for (unsigned i = 0; i < CPUS; i++) {
        somebody = somebody || actions[i] != VCPU_DEBUG_STAY;
    }
    for (size_t i = 0; i < plan->int3_count; i++) {
        must(plan->int3[i] < RAM_LEN);
    }
    must(somebody);
    m->runs = true;
    return true;
}

static void stop(void *opaque)
{
    Machine *m = opaque;

    must(m->runs);
    m->runs = false;
    gdb_session_halted(m->session, GDB_HALT_INTERRUPTED, NULL);
}

static VcpuStop stop_of(void *opaque, unsigned cpu)
{
    must(cpu < CPUS);
    return ((Machine *)opaque)->stops[cpu];
}

static char *describe(void *opaque, unsigned cpu)
{
    must(cpu < CPUS);
    return g_strdup("a vCPU");
}

static void command(void *opaque, const char *line, unsigned cpu, GString *out)
{
    must(cpu < CPUS);
    g_string_append(out, line);
}

static void leave(void *opaque)
{
    ((Machine *)opaque)->gone = true;
}

static void output(void *opaque, const uint8_t *buf, size_t len)
{
    g_byte_array_append(((Machine *)opaque)->out, buf, (guint)len);
}

static void happen(Machine *m, char what)
{
    for (unsigned i = 0; i < CPUS; i++) {
        m->stops[i] = (VcpuStop){ .kind = (VcpuStopKind)((unsigned)(what + (int)i) % 5),
                                  .slot = (unsigned)what % 4 };
    }
    m->runs = false;
    if (what == 'r') {
        gdb_session_resetting(m->session);
        gdb_session_halted(m->session, GDB_HALT_RESET, "reset\n");
    } else if (what == 'e') {
        m->gone = true;
        gdb_session_ended(m->session, 3);
    } else {
        gdb_session_halted(m->session, (GdbHalt)((unsigned char)what % 4), NULL);
    }
}

static void feed(Machine *m, const uint8_t *data, size_t size, size_t step)
{
    for (size_t i = 0; i < size; i += step) {
        gdb_session_receive(m->session, data + i, MIN(step, size - i));
    }
}

static void feed_lines(Machine *m, const uint8_t *data, size_t size, size_t step)
{
    while (size > 0) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t len = end ? (size_t)(end - data) : size;
        g_autoptr(GByteArray) packet = g_byte_array_new();

        if (len == 2 && data[0] == '!') {
            happen(m, (char)data[1]);
        } else {
            gdb_frame((const char *)data, len, packet);
            feed(m, packet->data, packet->len, step);
        }
        data += len + (end ? 1 : 0);
        size -= len + (end ? 1 : 0);
    }
}

/* What a client hears that sends its bytes @step at a time. */
static GByteArray *talk(const uint8_t *data, size_t size, size_t step)
{
    Machine m = { .out = g_byte_array_new() };

    m.target = (GdbTarget){
        .cpus = CPUS, .opaque = &m, .get_registers = get_registers,
        .set_registers = set_registers, .read = read_memory, .write = write_memory,
        .translate = translate, .resume = resume, .stop = stop, .stop_of = stop_of,
        .describe = describe, .command = command, .detach = leave, .kill = leave,
        .output = output,
    };
    m.session = gdb_session_new(&m.target);
    if (size > 0 && (data[0] & 1)) {
        feed_lines(&m, data + 1, size - 1, step);
    } else if (size > 0) {
        feed(&m, data + 1, size - 1, step);
    }
    gdb_session_free(m.session);
    return m.out;
}

/* Everything that a session says is an acknowledgement or a whole packet of a size that was agreed. */
static void on_answer(void *opaque, GdbInput what, const char *payload, size_t len)
{
    must(what == GDB_INPUT_PACKET || what == GDB_INPUT_ACK || what == GDB_INPUT_NAK);
}

static void check_answers(const GByteArray *out)
{
    GdbFramer *f = gdb_framer_new(on_answer, NULL);

    gdb_framer_feed(f, out->data, out->len);
    gdb_framer_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GByteArray) whole = talk(data, size, MAX(size, 1));
    g_autoptr(GByteArray) bytes = talk(data, size, 1);
    g_autoptr(GByteArray) pieces = talk(data, size, 7);

    check_answers(whole);
    must(whole->len == bytes->len && whole->len == pieces->len);
    if (whole->len) {
        must(memcmp(whole->data, bytes->data, whole->len) == 0);
        must(memcmp(whole->data, pieces->data, whole->len) == 0);
    }
    return 0;
}
