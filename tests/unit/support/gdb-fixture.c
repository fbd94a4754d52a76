/* SPDX-License-Identifier: MIT */
/* A gdb session on a machine that is only a table. */
#include "gdb-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static bool get_registers(void *opaque, unsigned cpu, VcpuRegisters *ret)
{
    GdbFixture *f = opaque;

    assert_true(cpu < GDB_CPUS);
    *ret = f->registers[cpu];
    return !f->refuse_registers;
}

static bool set_registers(void *opaque, unsigned cpu, const VcpuRegisters *registers)
{
    GdbFixture *f = opaque;

    assert_true(cpu < GDB_CPUS);
    if (!f->refuse_registers) {
        f->registers[cpu] = *registers;
    }
    return !f->refuse_registers;
}

static bool translate(void *opaque, unsigned cpu, uint64_t gva, hwaddr *ret_gpa)
{
    if (gva - GDB_TEXT < GDB_RAM) {
        *ret_gpa = gva - GDB_TEXT;
        return true;
    }
    *ret_gpa = gva - GDB_ALIAS;
    return gva - GDB_ALIAS < GDB_RAM;
}

static uint8_t *find(GdbFixture *f, bool physical, uint64_t addr, size_t len)
{
    hwaddr gpa = addr;

    if (!physical && !translate(f, 0, addr, &gpa)) {
        return NULL;
    }
    return gpa < GDB_RAM && len <= GDB_RAM - gpa ? f->ram + gpa : NULL;
}

static bool read_memory(void *opaque, unsigned cpu, bool physical, uint64_t addr, void *buf,
                        size_t len)
{
    const uint8_t *from = find(opaque, physical, addr, len);

    if (from) {
        memcpy(buf, from, len);
    }
    return from != NULL;
}

static bool write_memory(void *opaque, unsigned cpu, bool physical, uint64_t addr, const void *buf,
                         size_t len)
{
    uint8_t *to = find(opaque, physical, addr, len);

    if (to) {
        memcpy(to, buf, len);
    }
    return to != NULL;
}

static bool resume(void *opaque, const VcpuDebugPlan *plan, const VcpuDebugAction *actions,
                   char **ret_why)
{
    GdbFixture *f = opaque;

    if (f->refuse_resume) {
        *ret_why = g_strdup("it is broken");
        return false;
    }
    f->resumes++;
    f->plan = *plan;
    assert_true(plan->int3_count <= G_N_ELEMENTS(f->int3));
    memcpy(f->int3, plan->int3_count ? plan->int3 : f->int3, plan->int3_count * sizeof(hwaddr));
    memcpy(f->actions, actions, sizeof(f->actions));
    memset(f->stops, 0, sizeof(f->stops));
    return true;
}

static void stop(void *opaque)
{
    GdbFixture *f = opaque;

    f->stops_asked++;
    gdb_session_halted(f->session, GDB_HALT_INTERRUPTED, NULL);
}

static VcpuStop stop_of(void *opaque, unsigned cpu)
{
    return ((GdbFixture *)opaque)->stops[cpu];
}

static char *describe(void *opaque, unsigned cpu)
{
    return g_strdup_printf("vCPU %u", cpu);
}

static void command(void *opaque, const char *line, unsigned cpu, GString *out)
{
    GdbFixture *f = opaque;

    g_free(f->command);
    f->command = g_strdup(line);
    f->command_cpu = cpu;
    g_string_append(out, f->command_output ? f->command_output : "");
}

static void detach(void *opaque)
{
    ((GdbFixture *)opaque)->detaches++;
}

static void kill_machine(void *opaque)
{
    GdbFixture *f = opaque;

    f->kills++;
    gdb_session_ended(f->session, 0);
}

static void output(void *opaque, const uint8_t *buf, size_t len)
{
    GdbFixture *f = opaque;

    f->output_calls++;
    g_string_append_len(f->raw, (const char *)buf, (gssize)len);
    gdb_framer_feed(f->client, buf, len);
}

static void on_answer(void *opaque, GdbInput what, const char *payload, size_t len)
{
    GdbFixture *f = opaque;

    assert_true(what == GDB_INPUT_PACKET || what == GDB_INPUT_ACK || what == GDB_INPUT_NAK);
    if (what == GDB_INPUT_PACKET) {
        g_ptr_array_add(f->packets, g_strdup(payload));
    }
}

int gdb_fixture_setup(void **state)
{
    GdbFixture *f = g_new0(GdbFixture, 1);

    f->target = (GdbTarget){
        .cpus = GDB_CPUS, .opaque = f, .get_registers = get_registers,
        .set_registers = set_registers, .read = read_memory, .write = write_memory,
        .translate = translate, .resume = resume, .stop = stop, .stop_of = stop_of,
        .describe = describe, .command = command, .detach = detach, .kill = kill_machine,
        .output = output,
    };
    for (unsigned i = 0; i < GDB_RAM; i++) {
        f->ram[i] = (uint8_t)(i * 7);
    }
    f->raw = g_string_new(NULL);
    f->packets = g_ptr_array_new_with_free_func(g_free);
    f->client = gdb_framer_new(on_answer, f);
    f->session = gdb_session_new(&f->target);
    *state = f;
    return 0;
}

int gdb_fixture_teardown(void **state)
{
    GdbFixture *f = *state;

    gdb_session_free(f->session);
    gdb_framer_free(f->client);
    g_ptr_array_unref(f->packets);
    g_string_free(f->raw, TRUE);
    g_free(f->command);
    g_free(f);
    return 0;
}

void gdb_fixture_fresh(GdbFixture *f)
{
    g_string_truncate(f->raw, 0);
    g_ptr_array_set_size(f->packets, 0);
}

void gdb_fixture_send(GdbFixture *f, const char *bytes, size_t len)
{
    gdb_session_receive(f->session, (const uint8_t *)bytes, len);
}

void gdb_fixture_tell(GdbFixture *f, const char *payload, size_t len)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    gdb_fixture_fresh(f);
    gdb_frame(payload, len, bytes);
    gdb_session_receive(f->session, bytes->data, bytes->len);
}

const char *gdb_fixture_ask(GdbFixture *f, const char *payload)
{
    gdb_fixture_tell(f, payload, strlen(payload));
    assert_true(f->packets->len <= 1);
    return f->packets->len ? f->packets->pdata[0] : NULL;
}

const char *gdb_fixture_answers(GdbFixture *f)
{
    g_ptr_array_add(f->packets, NULL);
    g_string_truncate(f->raw, 0);
    for (char **p = (char **)f->packets->pdata; *p; p++) {
        g_string_append_printf(f->raw, "%s%s", f->raw->len ? " " : "", *p);
    }
    g_ptr_array_set_size(f->packets, 0);
    return f->raw->str;
}
