/* SPDX-License-Identifier: MIT */
/* Tests of gdb/session*.c: packets in, packets out, and what the machine is asked to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "support/gdb-fixture.h"

#define ASK(f, packet, answer) assert_string_equal(gdb_fixture_ask((f), (packet)), (answer))

/* The line: acknowledgements, damage, repetition. */

static void test_packets_are_acknowledged(void **state)
{
    GdbFixture *f = *state;

    gdb_fixture_send(f, "$qC#b4", 6);
    assert_string_equal(f->raw->str, "+$QC1#c5");
    gdb_fixture_fresh(f);
    gdb_fixture_send(f, "$qC#00", 6);
    assert_string_equal(f->raw->str, "-");
}

static void test_an_answer_is_repeated_when_asked_for(void **state)
{
    GdbFixture *f = *state;

    gdb_fixture_send(f, "-", 1); /* nothing was sent yet */
    assert_string_equal(f->raw->str, "");
    gdb_fixture_send(f, "$qC#b4-", 7);
    assert_string_equal(f->raw->str, "+$QC1#c5$QC1#c5");
}

static void test_no_ack_mode(void **state)
{
    GdbFixture *f = *state;

    ASK(f, "QStartNoAckMode", "OK");
    assert_int_equal(f->raw->str[0], '+'); /* the packet that asks is still acknowledged */
    gdb_fixture_fresh(f);
    gdb_fixture_send(f, "+$qC#b4-", 8);
    assert_string_equal(f->raw->str, "$QC1#c5");
    gdb_fixture_fresh(f);
    gdb_fixture_send(f, "$qC#00", 6);
    assert_string_equal(f->raw->str, "");
}

static void test_a_packet_that_is_too_long_is_an_error(void **state)
{
    GdbFixture *f = *state;
    g_autofree char *payload = g_strnfill(GDB_PACKET_MAX + 1, 'm');

    ASK(f, payload, "E22");
    assert_int_equal(f->raw->str[0], '+');
}

static void test_unknown_packets_are_answered_with_nothing(void **state)
{
    static const char *const unknown[] = { "", "!", "R00", "vMustReplyEmpty", "vCtrlC", "qOffsets",
                                           "Qx", "qXfer:auxv:read::0,100", "b", "\x01", "Z5,0,1" };

    for (size_t i = 0; i < G_N_ELEMENTS(unknown); i++) {
        ASK(*state, unknown[i], "");
    }
}

/* Questions. */

static void test_supported(void **state)
{
    GdbFixture *f = *state;
    const char *answer = gdb_fixture_ask(f, "qSupported:multiprocess+;swbreak+;hwbreak+");

    assert_non_null(strstr(answer, "PacketSize=4000;"));
    assert_non_null(strstr(answer, "qXfer:features:read+"));
    assert_non_null(strstr(answer, "QStartNoAckMode+"));
    assert_non_null(strstr(answer, "vContSupported+"));
}

static void test_features_come_in_parts(void **state)
{
    GdbFixture *f = *state;
    g_autofree char *xml = gdb_target_xml();
    g_autoptr(GString) got = g_string_new(NULL);
    const char *answer = "m";

    while (answer[0] == 'm') {
        g_autofree char *packet =
            g_strdup_printf("qXfer:features:read:target.xml:%zx,100", got->len);

        answer = gdb_fixture_ask(f, packet);
        assert_true(answer[0] == 'm' || answer[0] == 'l');
        g_string_append(got, answer + 1);
    }
    assert_string_equal(got->str, xml);
    ASK(f, "qXfer:features:read:target.xml:fffff,10", "E22");
    ASK(f, "qXfer:features:read:target.xml:zz", "E22");
    ASK(f, "qXfer:features:read:other.xml:0,10", "E00");
}

static void test_threads(void **state)
{
    GdbFixture *f = *state;

    ASK(f, "qfThreadInfo", "m1,2,3");
    ASK(f, "qsThreadInfo", "l");
    ASK(f, "qC", "QC1");
    ASK(f, "T3", "OK");
    ASK(f, "T4", "E22");
    ASK(f, "T0", "E22"); /* no thread of its own */
    ASK(f, "Tx", "E22");
    ASK(f, "qThreadExtraInfo,2", "76435055" "2031"); /* "vCPU 1" */
    ASK(f, "qThreadExtraInfo,9", "E22");
    ASK(f, "Hg2", "OK");
    ASK(f, "qC", "QC2");
    ASK(f, "Hg0", "OK"); /* any: as it was */
    ASK(f, "qC", "QC2");
    ASK(f, "Hg7", "E22");
    ASK(f, "Hx1", "E22");
    ASK(f, "Hc-1", "OK");
    ASK(f, "H", "E22");
    ASK(f, "qAttached", "1");
}

static void test_monitor_commands(void **state)
{
    GdbFixture *f = *state;

    f->command_output = "running\n";
    ASK(f, "Hg3", "OK");
    gdb_fixture_tell(f, "qRcmd,696e666f2073746174757320", 30);
    assert_string_equal(gdb_fixture_answers(f), "O72756e6e696e670a OK");
    assert_string_equal(f->command, "info status ");
    assert_int_equal(f->command_cpu, 2);
    ASK(f, "qRcmd,6", "E22");
    ASK(f, "qRcmd,zz", "E22");
    f->command_output = "";
    ASK(f, "qRcmd,71", "OK");
}

static void test_monitor_output_fits_into_packets(void **state)
{
    GdbFixture *f = *state;
    g_autofree char *text = g_strnfill(3 * GDB_PACKET_MAX, 'x');
    size_t bytes = 0;

    f->command_output = text;
    gdb_fixture_tell(f, "qRcmd,71", 8);
    for (guint i = 0; i + 1 < f->packets->len; i++) {
        const char *packet = f->packets->pdata[i];

        assert_int_equal(packet[0], 'O');
        assert_true(strlen(packet) <= GDB_PACKET_MAX);
        bytes += strlen(packet + 1) / 2;
    }
    assert_int_equal(bytes, strlen(text));
    assert_string_equal(f->packets->pdata[f->packets->len - 1], "OK");
}

/* Registers. */

static void test_registers_one_by_one(void **state)
{
    GdbFixture *f = *state;

    f->registers[1].rip = 0xffffffff81000040;
    ASK(f, "Hg2", "OK");
    ASK(f, "p10", "40000081ffffffff");
    ASK(f, "P10=8877665544332211", "OK");
    assert_true(f->registers[1].rip == 0x1122334455667788);
    ASK(f, "P28=000102030405060708090a0b0c0d0e0f", "OK"); /* xmm0 */
    assert_int_equal(f->registers[1].xmm[0][15], 15);
    ASK(f, "p99", "E22");
    ASK(f, "p", "E22");
    ASK(f, "p10x", "E22");
    ASK(f, "P10=88", "E22");
    ASK(f, "P10=88776655443322110", "E22");
    ASK(f, "P10", "E22");
    assert_true(f->registers[1].rip == 0x1122334455667788);
    f->refuse_registers = true;
    ASK(f, "p10", "E22");
    ASK(f, "P10=8877665544332211", "E22");
    ASK(f, "g", "E22");
    ASK(f, "G00", "E22");
}

static void test_registers_all_at_once(void **state)
{
    GdbFixture *f = *state;
    g_autofree char *all = NULL;
    g_autofree char *packet = NULL;

    f->registers[0].general[0] = 0x0102030405060708;
    f->registers[0].efer = 0xd01;
    all = g_strdup(gdb_fixture_ask(f, "g"));
    assert_true(g_str_has_prefix(all, "0807060504030201"));
    assert_true(g_str_has_suffix(all, "010d000000000000"));
    memset(&f->registers[0], 0, sizeof(f->registers[0]));
    packet = g_strconcat("G", all, NULL);
    ASK(f, packet, "OK");
    assert_true(f->registers[0].general[0] == 0x0102030405060708);
    assert_int_equal(f->registers[0].efer, 0xd01);
    ASK(f, "G1111111111111111", "OK"); /* the rest stays */
    assert_true(f->registers[0].general[0] == 0x1111111111111111);
    assert_int_equal(f->registers[0].efer, 0xd01);
    ASK(f, "G11", "E22");
}

/* Memory. */

static void test_memory_is_read(void **state)
{
    GdbFixture *f = *state;

    memcpy(f->ram + 0x10, "\x01\x02\xff\xa0", 4);
    ASK(f, "mffffffff81000010,4", "0102ffa0");
    ASK(f, "mffff888000000010,2", "0102");
    ASK(f, "m1000,4", "E14");
    ASK(f, "mffffffff81000010,0", "");
    ASK(f, "mffffffff81000010", "E22");
    ASK(f, "m,4", "E22");
    ASK(f, "mffffffff81000010,4x", "E22");
    /* As far as there is some: the last page of the mapping, and then nothing. */
    assert_int_equal(strlen(gdb_fixture_ask(f, "mffffffff81003ff0,20")), 32);
    assert_int_equal(strlen(gdb_fixture_ask(f, "mffffffff81000000,ffffffffffffffff")),
                     GDB_PACKET_MAX);
}

static void test_memory_is_written(void **state)
{
    GdbFixture *f = *state;

    ASK(f, "Mffffffff81000010,4:0a0b0cff", "OK");
    assert_memory_equal(f->ram + 0x10, "\x0a\x0b\x0c\xff", 4);
    gdb_fixture_tell(f, "Xffffffff81000010,4:#$}\0", 24);
    assert_string_equal(gdb_fixture_answers(f), "OK");
    assert_memory_equal(f->ram + 0x10, "#$}\0", 4);
    ASK(f, "Xffffffff81000010,0:", "OK"); /* is there an X? */
    ASK(f, "M1000,1:00", "E14");
    ASK(f, "Mffffffff81000010,4:0a0b0c", "E22");
    ASK(f, "Mffffffff81000010,1:0a0b", "E22");
    ASK(f, "Mffffffff81000010,1:zz", "E22");
    ASK(f, "Xffffffff81000010,4:ab", "E22");
    ASK(f, "Mffffffff81000010,8000000000000001:0a0b", "E22");
    ASK(f, "Xffffffff81000010,ffffffffffffffff:a", "E22");
    ASK(f, "Mffffffff81000010,4", "E22");
}

static void test_physical_memory(void **state)
{
    GdbFixture *f = *state;

    ASK(f, "qqemu.PhyMemMode", "0");
    ASK(f, "Qqemu.PhyMemMode:1", "OK");
    ASK(f, "qqemu.PhyMemMode", "1");
    ASK(f, "M20,2:beef", "OK");
    assert_memory_equal(f->ram + 0x20, "\xbe\xef", 2);
    ASK(f, "m20,2", "beef");
    ASK(f, "mffffffff81000020,2", "E14");
    ASK(f, "Qqemu.PhyMemMode:2", "");
    ASK(f, "Qqemu.PhyMemMode:0", "OK");
    ASK(f, "mffffffff81000020,2", "beef");
}

/* Breakpoints and running. */

static void test_breakpoint_is_met(void **state)
{
    GdbFixture *f = *state;

    gdb_fixture_ask(f, "qSupported:swbreak+;hwbreak+");
    ASK(f, "Z0,ffffffff81000100,1", "OK");
    assert_int_equal(f->ram[0x100], 0xcc);
    ASK(f, "mffffffff81000100,1", "00"); /* 0x100 * 7: what the guest has there */
    assert_null(gdb_fixture_ask(f, "vCont;c"));
    assert_int_equal(f->resumes, 1);
    assert_int_equal(f->plan.int3_count, 1);
    assert_int_equal(f->int3[0], 0x100);

    f->stops[1] = (VcpuStop){ VCPU_STOP_INT3, 0, GDB_TEXT + 0x100 };
    gdb_session_halted(f->session, GDB_HALT_STOP, NULL);
    assert_string_equal(gdb_fixture_answers(f), "T05thread:2;swbreak:;");
    ASK(f, "?", "T05thread:2;swbreak:;");
    ASK(f, "qC", "QC2"); /* whose registers are asked for next */
    ASK(f, "z0,ffffffff81000100,1", "OK");
    assert_int_equal(f->ram[0x100], 0);
    ASK(f, "Z0,1000,1", "E22");
    ASK(f, "Z0,1000", "E22");
    ASK(f, "Zz", "E22");
}

static void test_hardware_stops_are_named(void **state)
{
    GdbFixture *f = *state;

    gdb_fixture_ask(f, "qSupported:hwbreak+");
    ASK(f, "Z1,ffffffff81000200,1", "OK");
    ASK(f, "Z2,ffffffff81000300,8", "OK");
    ASK(f, "Z3,ffffffff81000400,4", "OK");
    ASK(f, "Z4,ffffffff81000500,4;X1,1", "OK");
    ASK(f, "Z4,ffffffff81000600,4", "E22");
    for (unsigned slot = 0; slot < 4; slot++) {
        static const char *const answers[] = {
            "T05thread:1;hwbreak:;", "T05thread:1;watch:ffffffff81000300;",
            "T05thread:1;rwatch:ffffffff81000400;", "T05thread:1;awatch:ffffffff81000500;",
        };

        assert_null(gdb_fixture_ask(f, "c"));
        f->stops[0] =
            (VcpuStop){ slot ? VCPU_STOP_WATCH : VCPU_STOP_EXECUTE, slot, GDB_TEXT + 0x200 };
        gdb_session_halted(f->session, GDB_HALT_STOP, NULL);
        assert_string_equal(gdb_fixture_answers(f), answers[slot]);
    }
}

/* A client that does not know "swbreak" is not told it. */
static void test_stop_of_an_old_client(void **state)
{
    GdbFixture *f = *state;

    ASK(f, "Z0,ffffffff81000100,1", "OK");
    assert_null(gdb_fixture_ask(f, "c"));
    f->stops[0] = (VcpuStop){ VCPU_STOP_INT3, 0, 0 };
    gdb_session_halted(f->session, GDB_HALT_STOP, NULL);
    assert_string_equal(gdb_fixture_answers(f), "T05thread:1;");
}

static void assert_actions(GdbFixture *f, const char *packet, const char *wanted)
{
    static const char letters[] = { 'r', 's', '-' };
    char got[GDB_CPUS + 1] = "";

    assert_null(gdb_fixture_ask(f, packet));
    for (unsigned i = 0; i < GDB_CPUS; i++) {
        got[i] = letters[f->actions[i]];
    }
    assert_string_equal(got, wanted);
    gdb_session_halted(f->session, GDB_HALT_INTERRUPTED, NULL);
    assert_non_null(strstr(gdb_fixture_answers(f), "T02thread:"));
}

static void test_who_runs(void **state)
{
    GdbFixture *f = *state;

    ASK(f, "vCont?", "vCont;c;C;s;S");
    assert_actions(f, "vCont;c", "rrr");
    assert_actions(f, "vCont;s:2;c", "rsr");
    assert_actions(f, "vCont;s:2", "-s-");
    assert_actions(f, "vCont;S05:1;c:3", "s-r");
    assert_actions(f, "vCont;C05;s:1", "rrr"); /* the leftmost counts */
    assert_actions(f, "vCont;s:0;c", "srr");   /* any: the present one */
    assert_actions(f, "vCont;c:-1", "rrr");
    assert_actions(f, "c", "rrr");
    assert_actions(f, "s", "srr");
    assert_actions(f, "C05", "rrr");
    ASK(f, "Hg2", "OK");
    assert_actions(f, "S05", "rsr");
    ASK(f, "Hc3", "OK");
    assert_actions(f, "c", "--r");
    assert_actions(f, "s", "--s");
    ASK(f, "Hc0", "OK");
    assert_actions(f, "c", "rrr");
    ASK(f, "vCont;t", "E22");
    ASK(f, "vCont;", "E22");
    ASK(f, "vCont;c:9", "E22");
    ASK(f, "vCont;C", "E22");
    ASK(f, "vCont;c:", "E22");
    ASK(f, "vCont;cc", "E22");
    ASK(f, "cxyz", "E22");
    ASK(f, "C", "E22");
}

static void test_go_on_at_an_address(void **state)
{
    GdbFixture *f = *state;

    assert_null(gdb_fixture_ask(f, "cffffffff81000800"));
    assert_true(f->registers[0].rip == 0xffffffff81000800);
    gdb_session_halted(f->session, GDB_HALT_INTERRUPTED, NULL);
    assert_null(gdb_fixture_ask(f, "S05;1234"));
    assert_int_equal(f->registers[0].rip, 0x1234);
    assert_int_equal(f->actions[0], VCPU_DEBUG_STEP);
}

static void test_step_flags(void **state)
{
    GdbFixture *f = *state;

    ASK(f, "qqemu.sstepbits", "ENABLE=1,NOIRQ=2,NOTIMER=4");
    ASK(f, "qqemu.sstep", "0x7");
    assert_null(gdb_fixture_ask(f, "s"));
    assert_true(f->plan.block_irq);
    gdb_session_halted(f->session, GDB_HALT_INTERRUPTED, NULL);
    ASK(f, "Qqemu.sstep=0x1", "OK");
    ASK(f, "qqemu.sstep", "0x1");
    assert_null(gdb_fixture_ask(f, "s"));
    assert_false(f->plan.block_irq);
    gdb_session_halted(f->session, GDB_HALT_INTERRUPTED, NULL);
    ASK(f, "Qqemu.sstep=8", "E22");
    ASK(f, "Qqemu.sstep=", "E22");
}

/* The stepped vCPU's own stop comes first; a step that another one met is worth nothing later. */
static void test_the_stepped_one_is_told_first(void **state)
{
    GdbFixture *f = *state;

    ASK(f, "Z1,ffffffff81000200,1", "OK");
    ASK(f, "Hg3", "OK");
    assert_null(gdb_fixture_ask(f, "vCont;s:3;c"));
    f->stops[0] = (VcpuStop){ VCPU_STOP_EXECUTE, 0, GDB_TEXT + 0x200 };
    f->stops[2] = (VcpuStop){ VCPU_STOP_STEP, 0, GDB_TEXT };
    gdb_session_halted(f->session, GDB_HALT_STOP, NULL);
    assert_string_equal(gdb_fixture_answers(f), "T05thread:3;");
    /* vCPU 0 has not executed anything there: it meets it again. */
    assert_null(gdb_fixture_ask(f, "vCont;c"));
    assert_int_equal(f->resumes, 2);
}

/* The access of a watchpoint has been made: it is told before the machine goes on. */
static void test_a_second_watchpoint_is_not_lost(void **state)
{
    GdbFixture *f = *state;

    ASK(f, "Z2,ffffffff81000300,4", "OK");
    for (unsigned round = 0; round < 2; round++) {
        assert_null(gdb_fixture_ask(f, "vCont;c"));
        f->stops[0] = (VcpuStop){ VCPU_STOP_WATCH, 0, 0 };
        f->stops[2] = (VcpuStop){ VCPU_STOP_WATCH, 0, 0 };
        gdb_session_halted(f->session, GDB_HALT_STOP, NULL);
        assert_string_equal(gdb_fixture_answers(f), "T05thread:1;watch:ffffffff81000300;");
        assert_int_equal(f->resumes, round + 1);
        if (round == 0) {
            ASK(f, "vCont;c", "T05thread:3;watch:ffffffff81000300;");
            assert_int_equal(f->resumes, 1); /* the machine did not run */
        }
    }
    ASK(f, "Z2,ffffffff81000380,4", "OK"); /* not this one */
    ASK(f, "z2,ffffffff81000300,4", "OK"); /* nobody wants to know any more */
    assert_null(gdb_fixture_ask(f, "vCont;c"));
    assert_int_equal(f->resumes, 3);
}

static void test_interrupt(void **state)
{
    GdbFixture *f = *state;

    gdb_fixture_send(f, "\x03", 1); /* it stands still: nothing to stop */
    assert_int_equal(f->stops_asked, 0);
    assert_null(gdb_fixture_ask(f, "c"));
    gdb_fixture_fresh(f);
    gdb_fixture_send(f, "\x03", 1);
    assert_int_equal(f->stops_asked, 1);
    assert_string_equal(gdb_fixture_answers(f), "T02thread:1;");
}

static void test_nothing_is_answered_while_it_runs(void **state)
{
    GdbFixture *f = *state;

    assert_null(gdb_fixture_ask(f, "c"));
    assert_null(gdb_fixture_ask(f, "g"));
    assert_null(gdb_fixture_ask(f, "k"));
    assert_null(gdb_fixture_ask(f, "mffffffff81000010,4"));
    assert_int_equal(f->kills, 0);
    gdb_session_halted(f->session, GDB_HALT_STOP, NULL);
    assert_string_equal(gdb_fixture_answers(f), "T05thread:1;");
    gdb_session_halted(f->session, GDB_HALT_STOP, NULL); /* nobody waits for it */
    assert_string_equal(gdb_fixture_answers(f), "");
}

/* What happens to the machine. */

static void test_reset_takes_breakpoints_out(void **state)
{
    GdbFixture *f = *state;

    ASK(f, "Z0,ffffffff81000100,1", "OK");
    ASK(f, "Z1,ffffffff81000200,1", "OK");
    assert_null(gdb_fixture_ask(f, "c"));
    gdb_session_resetting(f->session);
    assert_int_equal(f->ram[0x100], 0);
    gdb_session_halted(f->session, GDB_HALT_RESET, "reset\n");
    assert_string_equal(gdb_fixture_answers(f), "O72657365740a T05thread:1;");
    ASK(f, "z0,ffffffff81000100,1", "OK"); /* as gdb does when the machine stops */
    assert_null(gdb_fixture_ask(f, "c"));
    assert_int_equal(f->plan.int3_count, 0);
    assert_int_equal(f->plan.slot_count, 1); /* debug registers are the debugger's, not memory */
}

static void test_failure_is_told(void **state)
{
    GdbFixture *f = *state;

    assert_null(gdb_fixture_ask(f, "c"));
    gdb_session_halted(f->session, GDB_HALT_FAILED, "bad\n");
    assert_string_equal(gdb_fixture_answers(f), "O6261640a T06thread:1;");
    f->refuse_resume = true;
    gdb_fixture_tell(f, "c", 1);
    assert_string_equal(gdb_fixture_answers(f), "O69742069732062726f6b656e0a T06thread:1;");
    ASK(f, "qC", "QC1"); /* and it can be looked at */
}

static void test_end_is_told(void **state)
{
    GdbFixture *f = *state;

    assert_null(gdb_fixture_ask(f, "c"));
    gdb_session_ended(f->session, 0x103);
    assert_string_equal(gdb_fixture_answers(f), "W03");
    ASK(f, "g", "E22");
}

static void test_end_while_it_stands_still(void **state)
{
    GdbFixture *f = *state;

    gdb_session_ended(f->session, 0);
    assert_string_equal(gdb_fixture_answers(f), "");
}

static void test_detach(void **state)
{
    GdbFixture *f = *state;

    ASK(f, "Z0,ffffffff81000100,1", "OK");
    ASK(f, "D", "OK");
    assert_int_equal(f->detaches, 1);
    assert_int_equal(f->ram[0x100], 0);
    ASK(f, "g", "E22");
    f->ram[0x100] = 0xcc; /* the guest's own, from now on */
}

static void test_kill(void **state)
{
    GdbFixture *f = *state;

    ASK(f, "vKill;1", "OK");
    assert_int_equal(f->kills, 1);
}

static void test_old_kill(void **state)
{
    GdbFixture *f = *state;

    ASK(f, "Z0,ffffffff81000100,1", "OK");
    assert_null(gdb_fixture_ask(f, "k"));
    assert_int_equal(f->kills, 1);
    assert_int_equal(f->ram[0x100], 0);
}

static void test_a_client_that_is_lost_leaves_no_breakpoints(void **state)
{
    GdbFixture *f = *state;

    ASK(f, "Z0,ffffffff81000100,1", "OK");
    assert_null(gdb_fixture_ask(f, "c"));
    gdb_session_free(f->session);
    assert_int_equal(f->ram[0x100], 0);
    f->session = NULL;
}

#define T(name) cmocka_unit_test_setup_teardown(name, gdb_fixture_setup, gdb_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_packets_are_acknowledged),
        T(test_an_answer_is_repeated_when_asked_for),
        T(test_no_ack_mode),
        T(test_a_packet_that_is_too_long_is_an_error),
        T(test_unknown_packets_are_answered_with_nothing),
        T(test_supported),
        T(test_features_come_in_parts),
        T(test_threads),
        T(test_monitor_commands),
        T(test_monitor_output_fits_into_packets),
        T(test_registers_one_by_one),
        T(test_registers_all_at_once),
        T(test_memory_is_read),
        T(test_memory_is_written),
        T(test_physical_memory),
        T(test_breakpoint_is_met),
        T(test_hardware_stops_are_named),
        T(test_stop_of_an_old_client),
        T(test_who_runs),
        T(test_go_on_at_an_address),
        T(test_step_flags),
        T(test_the_stepped_one_is_told_first),
        T(test_a_second_watchpoint_is_not_lost),
        T(test_interrupt),
        T(test_nothing_is_answered_while_it_runs),
        T(test_reset_takes_breakpoints_out),
        T(test_failure_is_told),
        T(test_end_is_told),
        T(test_end_while_it_stands_still),
        T(test_detach),
        T(test_kill),
        T(test_old_kill),
        T(test_a_client_that_is_lost_leaves_no_breakpoints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
