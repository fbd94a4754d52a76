/* SPDX-License-Identifier: MIT */
/* The monitor's commands for the machine as a whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "support/monitor-fixture.h"

static const char *qmp_text(MonitorFixture *f, const char *command, const char *member)
{
    return json_string_value(json_object_get(monitor_fixture_qmp(f, command, NULL), member));
}

static void test_status_follows_cont_and_stop(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S");

    assert_string_equal(monitor_fixture_hmp(f, "info status"), "VM status: paused (prelaunch)\n");
    assert_string_equal(qmp_text(f, "query-status", "status"), "prelaunch");
    assert_string_equal(monitor_fixture_hmp(f, "cont"), "");
    assert_string_equal(monitor_fixture_hmp(f, "info status"), "VM status: running\n");
    assert_true(json_is_true(json_object_get(monitor_fixture_qmp(f, "query-status", NULL),
                                             "running")));
    monitor_fixture_hmp(f, "c"); /* runs already: nothing to do */
    monitor_fixture_hmp(f, "s");
    assert_string_equal(monitor_fixture_hmp(f, "info status"), "VM status: paused\n");
    assert_string_equal(qmp_text(f, "query-status", "status"), "paused");
    assert_true(json_is_false(json_object_get(monitor_fixture_qmp(f, "query-status", NULL),
                                              "singlestep")));
    monitor_fixture_free(f);
}

static void test_cont_is_refused_once_the_machine_is_off(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S");

    monitor_fixture_hmp(f, "q");
    assert_string_equal(monitor_fixture_hmp(f, "info status"), "VM status: paused (shutdown)\n");
    assert_text_has(monitor_fixture_hmp_error(f, "cont"), "shutdown");
    assert_text_has(monitor_fixture_qmp_error(f, "cont", NULL), "cannot go on");
    monitor_fixture_free(f);
}

typedef struct Heard {
    GString *text;
} Heard;

static void hear(const MachineEvent *event, void *opaque)
{
    static const char *const names[] = { "STOP",     "RESUME",    "RESET",
                                         "SHUTDOWN", "POWERDOWN", "MEMORY" };

    g_string_append_printf(((Heard *)opaque)->text, "%s%s ", names[event->kind],
                           event->guest ? "(guest)" : "");
}

static void test_reset_powerdown_quit_are_the_hosts(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S");
    Heard heard = { g_string_new(NULL) };

    machine_set_event_handler(f->machine, hear, &heard);
    monitor_fixture_hmp(f, "cont");
    monitor_fixture_hmp(f, "system_reset");
    monitor_fixture_qmp(f, "system_reset", NULL);
    monitor_fixture_hmp(f, "system_powerdown");
    monitor_fixture_hmp(f, "stop");
    monitor_fixture_hmp(f, "quit");
    assert_string_equal(heard.text->str, "RESUME RESET RESET POWERDOWN STOP SHUTDOWN ");
    g_string_free(heard.text, TRUE);
    monitor_fixture_free(f);
}

static void test_nmi_reaches_every_vcpu(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-S -smp 3");

    model_kvm_reset_counts();
    monitor_fixture_hmp(f, "nmi");
    assert_int_equal(model_kvm_count(KVM_NMI), 3);
    monitor_fixture_qmp(f, "inject-nmi", NULL);
    assert_int_equal(model_kvm_count(KVM_NMI), 6);
    monitor_fixture_free(f);
}

static void test_version_names_program_and_level(void **state)
{
    MonitorFixture *f = monitor_fixture_new(NULL);
    json_t *result = monitor_fixture_qmp(f, "query-version", NULL);
    json_t *qemu = json_object_get(result, "qemu");

    assert_int_equal(json_integer_value(json_object_get(qemu, "major")), 7);
    assert_int_equal(json_integer_value(json_object_get(qemu, "minor")), 2);
    assert_text_has(json_string_value(json_object_get(result, "package")), "tessera ");
    assert_text_has(monitor_fixture_hmp(f, "info version"), "QEMU 7.2");
    monitor_fixture_free(f);
}

static void test_name_kvm_target(void **state)
{
    MonitorFixture *f = monitor_fixture_new("-name red");

    assert_string_equal(monitor_fixture_hmp(f, "info name"), "red\n");
    assert_string_equal(qmp_text(f, "query-name", "name"), "red");
    assert_string_equal(monitor_fixture_hmp(f, "info kvm"), "kvm support: enabled\n");
    assert_true(json_is_true(json_object_get(monitor_fixture_qmp(f, "query-kvm", NULL),
                                             "present")));
    assert_string_equal(qmp_text(f, "query-target", "arch"), "x86_64");
    monitor_fixture_free(f);

    f = monitor_fixture_new(NULL); /* no name: nothing, as in QEMU */
    assert_string_equal(monitor_fixture_hmp(f, "info name"), "");
    assert_int_equal(json_object_size(monitor_fixture_qmp(f, "query-name", NULL)), 0);
    monitor_fixture_free(f);
}

static void test_unknown_commands_and_words_are_refused(void **state)
{
    MonitorFixture *f = monitor_fixture_new(NULL);

    assert_text_has(monitor_fixture_hmp_error(f, "info sttatus"), "info status");
    assert_text_has(monitor_fixture_hmp_error(f, "sytem_reset"), "system_reset");
    assert_text_has(monitor_fixture_hmp_error(f, "stop now"), "'now'");
    assert_text_has(monitor_fixture_qmp_error(f, "stop", "{\"now\": true}"), "'now'");
    monitor_fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_follows_cont_and_stop),
        cmocka_unit_test(test_cont_is_refused_once_the_machine_is_off),
        cmocka_unit_test(test_reset_powerdown_quit_are_the_hosts),
        cmocka_unit_test(test_nmi_reaches_every_vcpu),
        cmocka_unit_test(test_version_names_program_and_level),
        cmocka_unit_test(test_name_kvm_target),
        cmocka_unit_test(test_unknown_commands_and_words_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
