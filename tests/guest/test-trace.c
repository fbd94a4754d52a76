/* SPDX-License-Identifier: MIT */
/* What a payload does is what the trace says: its exits, who answers them, in order. */
#include "support/guest.h"

#include <glib/gstdio.h>
#include <string.h>
#include "tessera/util/trace-control.h"

#define PORT 0x1000
#define MMIO 0xd0000000ULL

#define RECORDER "memory_dispatch region=\"recorder\""

static char *path;

static void begin(const char *pattern)
{
    g_autofree char *dir = g_dir_make_tmp("tessera-trace-XXXXXX", NULL);

    path = g_build_filename(dir, "trace", NULL);
    assert_true(trace_set_file(path, NULL));
    assert_true(trace_set(pattern, true, NULL));
}

/* The lines in which one of @parts is, without time and thread, which must be "vcpu0". */
static char **end(const char *const *parts)
{
    g_autofree char *dir = g_path_get_dirname(path);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    GPtrArray *found = g_ptr_array_new();

    trace_close();
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        for (const char *const *part = parts; *part; part++) {
            if (strstr(*line, *part)) {
                const char *event = strstr(*line, "] vcpu0: ");

                assert_non_null(event);
                g_ptr_array_add(found, g_strdup(event + strlen("] vcpu0: ")));
                break;
            }
        }
    }
    g_ptr_array_add(found, NULL);
    g_unlink(path);
    g_rmdir(dir);
    g_clear_pointer(&path, g_free);
    return (char **)g_ptr_array_free(found, FALSE);
}

static void assert_lines(char **got, const char *const *wanted)
{
    for (unsigned i = 0; got[i] || wanted[i]; i++) {
        if (g_strcmp0(got[i], wanted[i]) != 0) {
            fail_msg("line %u is '%s', not '%s'", i, got[i] ? got[i] : "missing",
                     wanted[i] ? wanted[i] : "missing");
        }
    }
}

static void test_exits_and_who_answers(void **state)
{
    static const char *const parts[] = { "address=0x100", "address=0xd00000", NULL };
    static const char *const wanted[] = {
        "vcpu_exit cpu=0 reason=IO address=0x1003 size=1 count=1 write=1 value=0x88",
        RECORDER " space=\"I/O\" address=0x1003 offset=0x3 size=1 write=1",
        "vcpu_exit cpu=0 reason=IO address=0x1004 size=4 count=1 write=0 value=0x0",
        RECORDER " space=\"I/O\" address=0x1004 offset=0x4 size=4 write=0",
        "vcpu_exit cpu=0 reason=MMIO address=0xd0000010 size=4 count=1 write=1 value=0x55667788",
        RECORDER " space=\"memory\" address=0xd0000010 offset=0x10 size=4 write=1",
        "vcpu_exit cpu=0 reason=MMIO address=0xd0000020 size=8 count=1 write=0 value=0x0",
        RECORDER " space=\"memory\" address=0xd0000020 offset=0x20 size=8 write=0",
        "vcpu_exit cpu=0 reason=MMIO address=0xd0000040 size=2 count=1 write=0 value=0x0",
        "memory_dispatch region=\"nothing\" space=\"memory\" address=0xd0000040 offset=0xd0000040 "
        "size=2 write=0",
        NULL,
    };
    Guest *guest = guest_new(1);
    Recorder *port = recorder_new(guest, guest->io_root, PORT, 16, 0);
    Recorder *mmio = recorder_new(guest, guest->root, MMIO, 0x40, 0);
    g_auto(GStrv) got = NULL;

    GUEST_OPS(guest, 0, DO(OP_OUT, 1, PORT + 3, 0x1122334455667788), DO(OP_IN, 4, PORT + 4, 0),
              DO(OP_WRITE, 4, MMIO + 0x10, 0x1122334455667788), DO(OP_READ, 8, MMIO + 0x20, 0),
              DO(OP_READ, 2, MMIO + 0x40, 0));
    begin("*");
    guest_run(guest);
    got = end(parts);
    assert_lines(got, wanted);
    recorder_free(mmio);
    recorder_free(port);
    guest_free(guest);
}

/* Exit and entry take turns; nothing else is asked for and nothing else comes. */
static void test_exits_and_entries_take_turns(void **state)
{
    static const char *const all[] = { "vcpu", NULL };
    Guest *guest = guest_new(1);
    Recorder *r = recorder_new(guest, guest->io_root, PORT, 16, 0);
    g_auto(GStrv) got = NULL;
    unsigned exits = 0;

    GUEST_OPS(guest, 0, DO(OP_OUT, 1, PORT, 1), DO(OP_OUT, 1, PORT, 2), DO(OP_OUT, 1, PORT, 3));
    begin("vcpu_e*");
    guest_run(guest);
    got = end(all);
    for (unsigned i = 0; got[i]; i++) {
        assert_true(g_str_has_prefix(got[i], i % 2 ? "vcpu_exit " : "vcpu_enter "));
        exits += strstr(got[i], "address=0x1000 ") != NULL;
    }
    assert_int_equal(exits, 3);
    recorder_free(r);
    guest_free(guest);
}

/* Switched on while the guest runs: from the next entry on; the devices see what they always do. */
static void on_interrupt(Guest *guest, uint32_t vector)
{
    trace_set("memory_dispatch", vector == 1, NULL);
}

static void test_switching_while_the_guest_runs(void **state)
{
    static const char *const parts[] = { "recorder", NULL };
    static const char *const wanted[] = {
        RECORDER " space=\"I/O\" address=0x1002 offset=0x2 size=1 write=1",
        NULL,
    };
    Guest *guest = guest_new(1);
    Recorder *r = recorder_new(guest, guest->io_root, PORT, 16, 0);
    g_auto(GStrv) got = NULL;

    guest->on_interrupt = on_interrupt;
    GUEST_OPS(guest, 0, DO(OP_OUT, 1, PORT + 1, 1), DO(OP_OUT, 4, OPS_PORT_INTERRUPT, 1),
              DO(OP_OUT, 1, PORT + 2, 2), DO(OP_OUT, 4, OPS_PORT_INTERRUPT, 2),
              DO(OP_OUT, 1, PORT + 3, 3));
    begin("dimm_plug");
    guest_run(guest);
    got = end(parts);
    assert_lines(got, wanted);
    assert_int_equal(r->count, 3);
    recorder_free(r);
    guest_free(guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exits_and_who_answers),
        cmocka_unit_test(test_exits_and_entries_take_turns),
        cmocka_unit_test(test_switching_while_the_guest_runs),
    };

    return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
