/* SPDX-License-Identifier: MIT */
/* A machine that fails: it ends, or stands still to be looked at where there is a monitor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <linux/kvm.h>
#include <cmocka.h>
#include "../support/fake-chardev.h"
#include "support/monitor-fixture.h"

/* Requests, each sent once the answer to the one before is there. */
typedef struct Script {
    Chardev *chr;
    const char *const *steps; /* request, what its answer has, ... */
    GString *heard;
    bool sent;
} Script;

static gboolean on_idle(gpointer opaque)
{
    Script *s = opaque;

    g_string_append(s->heard, fake_chardev_output(s->chr));
    if (s->steps[0] && !s->sent) {
        g_string_truncate(s->heard, 0);
        s->sent = true;
        fake_chardev_input(s->chr, s->steps[0], strlen(s->steps[0]));
    } else if (s->steps[0] && strstr(s->heard->str, s->steps[1])) {
        s->steps += 2;
        s->sent = false;
    }
    return G_SOURCE_CONTINUE;
}

/* Runs a machine whose vCPU fails at once, with a client that follows @steps. Returns the status. */
static int run_script(const char *const *steps)
{
    MonitorFixture *f = monitor_fixture_new("-S");
    Script script = { .chr = fake_chardev_new(), .steps = steps, .heard = g_string_new(NULL) };
    guint source = g_timeout_add(1, on_idle, &script);
    int status;

    model_vcpu_push_reason(f->vm, 0, KVM_EXIT_UNKNOWN);
    monitor_hub_add(f->hub, script.chr, MONITOR_QMP);
    status = machine_run(f->machine);
    if (script.steps[0] && script.steps[2]) {
        fail_msg("ended before %s", script.steps[2]);
    }
    g_source_remove(source);
    monitor_fixture_free(f);
    chardev_free(script.chr);
    g_string_free(script.heard, TRUE);
    return status;
}

#define NEGOTIATE "{\"execute\": \"qmp_capabilities\"}", "\"return\""
#define FAIL      "{\"execute\": \"cont\"}", "\"event\": \"STOP\""
#define STATUS    "{\"execute\": \"query-status\"}"
#define QUIT      "{\"execute\": \"quit\"}", "SHUTDOWN"

static void test_failed_machine_can_be_looked_at(void **state)
{
    static const char *const steps[] = {
        NEGOTIATE, FAIL, STATUS, "\"status\": \"internal-error\"", "{\"execute\": \"cont\"}",
        "cannot go on", "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": "
        "\"info registers\"}}", "IP=", QUIT, NULL,
    };

    assert_int_equal(run_script(steps), EXIT_STATUS_FAILED);
}

static void test_failed_machine_can_be_reset(void **state)
{
    static const char *const steps[] = {
        NEGOTIATE, FAIL, "{\"execute\": \"system_reset\"}", "\"event\": \"RESET\"",
        STATUS, "\"status\": \"running\"", QUIT, NULL,
    };

    assert_int_equal(run_script(steps), EXIT_STATUS_POWEROFF);
}

static void test_failed_machine_without_monitor_ends(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S");

    model_vcpu_push_reason(f->vm, 0, KVM_EXIT_UNKNOWN);
    assert_true(machine_cont(f->machine, NULL));
    assert_int_equal(machine_run(f->machine), EXIT_STATUS_FAILED);
    assert_int_equal(machine_run_state(f->machine), RUN_STATE_INTERNAL_ERROR);
    monitor_fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failed_machine_can_be_looked_at),
        cmocka_unit_test(test_failed_machine_can_be_reset),
        cmocka_unit_test(test_failed_machine_without_monitor_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
