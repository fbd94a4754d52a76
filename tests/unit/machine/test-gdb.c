/* SPDX-License-Identifier: MIT */
/* The gdb stub of a whole machine, on a real socket: who stops it, who lets it go on, who is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <glib/gstdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../../src/gdb/packet-internal.h"
#include "../../../src/machine/machine-internal.h"
#include "../support/chardev-reader.h"
#include "support/monitor-fixture.h"
#include "tessera/machine/debugger.h"
#include "tessera/machine/guest-view.h"

#define CODE 0x100000 /* RAM; the model's page tables map it one to one */

typedef struct Fixture {
    MonitorFixture *f;
    char *dir, *path;
    int fd;
} Fixture;

static int setup(void **state)
{
    Fixture *s = g_new0(Fixture, 1);
    g_autofree char *line = NULL;

    s->f = monitor_fixture_new("-S -smp 2");
    s->dir = g_dir_make_tmp("tessera-gdb-XXXXXX", NULL);
    s->path = g_build_filename(s->dir, "gdb", NULL);
    s->fd = -1;
    line = g_strdup_printf("gdbserver unix:%s", s->path);
    assert_text_has(monitor_fixture_hmp(s->f, line), "Waiting for gdb connection on device 'unix:");
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    Fixture *s = *state;

    if (s->fd >= 0) {
        close(s->fd);
    }
    monitor_fixture_free(s->f);
    assert_int_equal(g_rmdir(s->dir), 0);
    g_free(s->path);
    g_free(s->dir);
    g_free(s);
    return 0;
}

static const char *status(Fixture *s)
{
    return monitor_fixture_hmp(s->f, "info status");
}

static void attach(Fixture *s)
{
    s->fd = unix_connect(s->path);
    assert_true(s->fd >= 0);
    RUN_UNTIL(s->f->machine->debugger != NULL);
}

static void leave(Fixture *s)
{
    close(s->fd);
    s->fd = -1;
    RUN_UNTIL(s->f->machine->debugger == NULL);
}

static void say(Fixture *s, const char *payload)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    gdb_frame(payload, strlen(payload), bytes);
    assert_int_equal(send(s->fd, bytes->data, bytes->len, 0), bytes->len);
}

/* The next @len bytes from the stub, with a 0 behind them. */
static void receive(Fixture *s, char *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n;

        RUN_UNTIL((n = recv(s->fd, buf + done, len - done, MSG_DONTWAIT)) >= 0 || errno != EAGAIN);
        assert_true(n > 0);
        done += (size_t)n;
    }
    buf[len] = '\0';
}

/* The stub's next packet is that. */
static void hear(Fixture *s, const char *payload, bool acknowledged)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autofree char *got = NULL;

    if (acknowledged) {
        g_byte_array_append(bytes, (const guint8 *)"+", 1);
    }
    gdb_frame(payload, strlen(payload), bytes);
    got = g_malloc0(bytes->len + 1);
    receive(s, got, bytes->len);
    g_byte_array_append(bytes, (const guint8 *)"", 1);
    assert_string_equal(got, (const char *)bytes->data);
}

static void ask(Fixture *s, const char *payload, const char *answer)
{
    say(s, payload);
    hear(s, answer, true);
}

/* A packet without an answer for now. */
static void go(Fixture *s, const char *payload)
{
    char ack[2];

    say(s, payload);
    receive(s, ack, 1);
    assert_string_equal(ack, "+");
}

/* "O" and the text in hexadecimal digits. */
static void hear_console(Fixture *s, const char *text)
{
    g_autoptr(GString) out = g_string_new("O");

    gdb_put_bytes(out, text, strlen(text));
    hear(s, out->str, false);
}

static void interrupt(Fixture *s)
{
    assert_int_equal(send(s->fd, "\x03", 1, 0), 1);
}

static void command(Fixture *s, const char *line)
{
    g_autoptr(GString) out = g_string_new("qRcmd,");

    gdb_put_bytes(out, line, strlen(line));
    go(s, out->str);
}

/* Attaching. */

static void test_a_client_stops_the_machine(void **state)
{
    Fixture *s = *state;

    monitor_fixture_hmp(s->f, "cont");
    assert_text_has(monitor_fixture_hmp(s->f, "info gdbserver"), "listening");
    attach(s);
    assert_string_equal(status(s), "VM status: paused (debug)\n");
    assert_text_has(monitor_fixture_hmp(s->f, "info gdbserver"), "connected");
    ask(s, "?", "T05thread:1;");
    go(s, "c");
    assert_string_equal(status(s), "VM status: running\n");
    interrupt(s);
    hear(s, "T02thread:1;", false);
    assert_string_equal(status(s), "VM status: paused (debug)\n");
    ask(s, "D;1", "OK");
    assert_string_equal(status(s), "VM status: running\n");
}

/* -S: attaching does not change the state; the debugger starts the machine. */
static void test_a_machine_that_has_not_run(void **state)
{
    Fixture *s = *state;

    attach(s);
    assert_string_equal(status(s), "VM status: paused (prelaunch)\n");
    assert_text_has(monitor_fixture_hmp_error(s->f, "cont"), "debugger is attached");
    leave(s);
    assert_string_equal(status(s), "VM status: paused (prelaunch)\n");
    attach(s);
    ask(s, "D", "OK");
    assert_string_equal(status(s), "VM status: running\n");
}

static void test_a_client_that_is_lost_lets_it_go_on(void **state)
{
    Fixture *s = *state;

    monitor_fixture_hmp(s->f, "cont");
    for (unsigned i = 0; i < 3; i++) { /* and the next one is served as the first */
        attach(s);
        ask(s, "qC", "QC1");
        leave(s);
        assert_string_equal(status(s), "VM status: running\n");
        attach(s);
        go(s, "c");
        leave(s);
        assert_string_equal(status(s), "VM status: running\n");
    }
    monitor_fixture_hmp(s->f, "stop"); /* somebody else's wish stays */
    attach(s);
    leave(s);
    assert_string_equal(status(s), "VM status: paused\n");
}

static void test_one_debugger_at_a_time(void **state)
{
    static const MachineDebugger other;
    Fixture *s = *state;
    g_autoptr(GError) error = NULL;

    attach(s);
    assert_false(machine_attach_debugger(s->f->machine, &other, NULL, &error));
    assert_text_has(error->message, "attached already");
}

/* Registers and memory. */

static void test_registers_and_memory(void **state)
{
    Fixture *s = *state;
    uint8_t bytes[4] = { 0 };

    attach(s);
    ask(s, "P10=0000100000000000", "OK");
    ask(s, "p10", "0000100000000000");
    ask(s, "Hg2", "OK");
    ask(s, "M100000,4:01020304", "OK");
    address_space_read(machine_memory(s->f->machine), CODE, MEMTXATTRS_NONE, bytes, 4);
    assert_memory_equal(bytes, "\1\2\3\4", 4);
    ask(s, "m100000,4", "01020304");
    ask(s, "mfee00000,4", "E14"); /* a device's register is not memory */
    ask(s, "Mfee00000,1:00", "E14");
    ask(s, "qThreadExtraInfo,2", "76435055203120" "5b6e6f7420737461727465645d");
}

/* Across pages, into ROM, not into devices. */
static void test_guest_view_write(void **state)
{
    Fixture *s = *state;
    GuestView view = guest_view(s->f->machine, true, 0);
    uint8_t in[3 * GUEST_PAGE_SIZE], out[3 * GUEST_PAGE_SIZE];

    memset(in, 0x5a, sizeof(in));
    assert_true(guest_view_write(&view, CODE + 17, in, sizeof(in)));
    assert_true(guest_view_read(&view, CODE + 17, out, sizeof(out)));
    assert_memory_equal(in, out, sizeof(in));
    assert_false(guest_view_write(&view, 0xfee00000, in, 1));
    assert_false(guest_view_write(&view, UINT64_MAX - 1, in, 1));
    assert_true(guest_view_write(&view, CODE, in, 0));
}

/* Stops. */

typedef struct Debug {
    uint32_t exception;
    uint64_t pc, dr6;
} Debug;

static void fill_debug(struct kvm_run *run, void *opaque)
{
    const Debug *d = opaque;

    run->exit_reason = KVM_EXIT_DEBUG;
    run->debug.arch.exception = d->exception;
    run->debug.arch.pc = d->pc;
    run->debug.arch.dr6 = d->dr6;
}

static void test_breakpoint_stops_and_is_told(void **state)
{
    Fixture *s = *state;
    Debug d = { 3, CODE + 8, 0 };
    uint8_t byte = 0;

    monitor_fixture_poke(s->f, CODE + 8, "\x90", 1);
    attach(s);
    ask(s, "qSupported:swbreak+;hwbreak+",
        "PacketSize=4000;qXfer:features:read+;QStartNoAckMode+;vContSupported+;swbreak+;hwbreak+");
    ask(s, "Z0,100008,1", "OK");
    ask(s, "m100008,1", "90");
    address_space_read(machine_memory(s->f->machine), CODE + 8, MEMTXATTRS_NONE, &byte, 1);
    assert_int_equal(byte, 0xcc);
    go(s, "vCont;c");
    model_vcpu_push_exit(s->f->vm, 0, &(ModelExit){ .fill = fill_debug, .opaque = &d });
    hear(s, "T05thread:1;swbreak:;", false);
    assert_string_equal(status(s), "VM status: paused (debug)\n");
    leave(s);
    address_space_read(machine_memory(s->f->machine), CODE + 8, MEMTXATTRS_NONE, &byte, 1);
    assert_int_equal(byte, 0x90);
    assert_string_equal(status(s), "VM status: running\n");
}

static void test_step_of_one_vcpu(void **state)
{
    Fixture *s = *state;
    Debug d = { 1, CODE + 9, 0xffff4ff0 };
    const struct kvm_guest_debug *told;

    attach(s);
    ask(s, "vCont;s:3", "E22"); /* there are two */
    go(s, "vCont;s:1");
    told = (const void *)model_vcpu_state(s->f->vm, 0, KVM_SET_GUEST_DEBUG)->data;
    assert_int_equal(told->control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP |
                                        KVM_GUESTDBG_BLOCKIRQ);
    assert_null(model_vcpu_state(s->f->vm, 1, KVM_SET_GUEST_DEBUG));
    model_vcpu_push_exit(s->f->vm, 0, &(ModelExit){ .fill = fill_debug, .opaque = &d });
    hear(s, "T05thread:1;", false);
}

static void test_detaching_ends_what_was_asked_of_the_vcpus(void **state)
{
    Fixture *s = *state;
    const struct kvm_guest_debug *told;

    attach(s);
    ask(s, "Z1,100008,1", "OK");
    go(s, "c");
    told = (const void *)model_vcpu_state(s->f->vm, 1, KVM_SET_GUEST_DEBUG)->data;
    assert_int_equal(told->control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP);
    leave(s);
    told = (const void *)model_vcpu_state(s->f->vm, 1, KVM_SET_GUEST_DEBUG)->data;
    assert_int_equal(told->control, 0);
}

/* A stop that a vCPU has asked for, served after the client has gone: the machine goes on. */
static void test_a_late_stop_of_a_debugger_that_is_gone(void **state)
{
    Fixture *s = *state;

    monitor_fixture_hmp(s->f, "cont");
    run_control_vcpu_ops.debug(s->f->machine, 0);
    assert_true(vcpu_set_paused(machine_vcpus(s->f->machine)));
    monitor_fixture_settle();
    assert_false(vcpu_set_paused(machine_vcpus(s->f->machine)));
    assert_string_equal(status(s), "VM status: running\n");
}

/* Others act on the machine. */

static void test_stop_and_cont_of_a_monitor(void **state)
{
    Fixture *s = *state;

    attach(s);
    go(s, "c");
    monitor_fixture_hmp(s->f, "cont"); /* runs already */
    monitor_fixture_hmp(s->f, "stop");
    hear_console(s, "Stopped by a monitor.\n");
    hear(s, "T02thread:1;", false);
    assert_string_equal(status(s), "VM status: paused\n");
    assert_text_has(monitor_fixture_hmp_error(s->f, "cont"), "let it go on from there");
    go(s, "c");
    assert_string_equal(status(s), "VM status: running\n");
}

static void test_reset(void **state)
{
    Fixture *s = *state;
    uint8_t byte = 0;

    monitor_fixture_poke(s->f, CODE + 8, "\x90", 1);
    attach(s);
    ask(s, "Z0,100008,1", "OK");
    go(s, "c");
    monitor_fixture_hmp(s->f, "system_reset");
    hear_console(s, "The machine was reset (asked for from outside) and stands before its first "
                    "instruction.\n");
    hear(s, "T05thread:1;", false);
    assert_string_equal(status(s), "VM status: paused (debug)\n");
    address_space_read(machine_memory(s->f->machine), CODE + 8, MEMTXATTRS_NONE, &byte, 1);
    assert_int_equal(byte, 0x90);
    monitor_fixture_hmp(s->f, "system_reset"); /* while it stands still: it goes on to do so */
    assert_string_equal(status(s), "VM status: paused (debug)\n");
    ask(s, "qC", "QC1");
}

static void fill_triple_fault(struct kvm_run *run, void *opaque)
{
    run->exit_reason = KVM_EXIT_SHUTDOWN;
}

static void test_triple_fault(void **state)
{
    Fixture *s = *state;

    attach(s);
    go(s, "c");
    model_vcpu_push_exit(s->f->vm, 0, &(ModelExit){ .fill = fill_triple_fault });
    hear_console(s, "The machine was reset (triple fault) and stands before its first "
                    "instruction.\n");
    hear(s, "T05thread:1;", false);
}

static void test_failure(void **state)
{
    Fixture *s = *state;

    attach(s);
    go(s, "c");
    model_vcpu_push_exit(s->f->vm, 0, &(ModelExit){ .ret = -EFAULT });
    hear_console(s, "The machine has failed and cannot go on.\n");
    hear(s, "T06thread:1;", false);
    assert_string_equal(status(s), "VM status: paused (internal-error)\n");
    go(s, "c");
    hear_console(s, "the machine is in state internal-error and cannot go on; system_reset starts it "
                    "anew\n");
    hear(s, "T06thread:1;", false);
    assert_false(s->f->machine->run.watched);
    leave(s);
}

static void test_quit(void **state)
{
    Fixture *s = *state;

    attach(s);
    go(s, "c");
    monitor_fixture_hmp(s->f, "quit");
    hear(s, "W00", false);
    assert_string_equal(status(s), "VM status: paused (shutdown)\n");
}

static void test_kill(void **state)
{
    Fixture *s = *state;

    attach(s);
    ask(s, "vKill;1", "OK");
    assert_string_equal(status(s), "VM status: paused (shutdown)\n");
}

/* The monitor behind gdb. */

static void test_monitor_command(void **state)
{
    Fixture *s = *state;

    attach(s);
    command(s, "info status");
    hear_console(s, "VM status: paused (prelaunch)\n");
    hear(s, "OK", false);
    command(s, "info nonsense");
    hear_console(s, "Error: unknown command: 'info nonsense'; 'help' lists all\n");
    hear(s, "OK", false);
}

static void test_gdbserver_commands(void **state)
{
    Fixture *s = *state;
    g_autofree char *again = g_strdup_printf("gdbserver unix:%s-2", s->path);

    attach(s);
    command(s, "gdbserver none"); /* would take the ground away that it stands on */
    hear_console(s, "Error: gdbserver: this is the connection that would end; use gdb's detach, or "
                    "another monitor\n");
    hear(s, "OK", false);
    assert_text_has(monitor_fixture_hmp_error(s->f, "gdbserver file:/tmp/x"), "tcp:[HOST]:PORT");
    assert_text_has(monitor_fixture_hmp_error(s->f, "gdbserver unix:/no/such/x"), "No such file");
    assert_text_has(monitor_fixture_hmp(s->f, "info gdbserver"), "connected"); /* still */
    monitor_fixture_hmp(s->f, again); /* elsewhere: the client is let go */
    assert_null(s->f->machine->debugger);
    assert_text_has(monitor_fixture_hmp(s->f, "info gdbserver"), "gdb-2, listening");
    assert_string_equal(monitor_fixture_hmp(s->f, "gdbserver none"), "Disabled gdbserver\n");
    assert_string_equal(monitor_fixture_hmp(s->f, "info gdbserver"), "gdbserver: disabled\n");
    assert_string_equal(monitor_fixture_hmp(s->f, "gdbserver none"), "Disabled gdbserver\n");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_client_stops_the_machine),
        T(test_a_machine_that_has_not_run),
        T(test_a_client_that_is_lost_lets_it_go_on),
        T(test_one_debugger_at_a_time),
        T(test_registers_and_memory),
        T(test_guest_view_write),
        T(test_breakpoint_stops_and_is_told),
        T(test_step_of_one_vcpu),
        T(test_detaching_ends_what_was_asked_of_the_vcpus),
        T(test_a_late_stop_of_a_debugger_that_is_gone),
        T(test_stop_and_cont_of_a_monitor),
        T(test_reset),
        T(test_triple_fault),
        T(test_failure),
        T(test_quit),
        T(test_kill),
        T(test_monitor_command),
        T(test_gdbserver_commands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
