/* SPDX-License-Identifier: MIT */
/* QMP, as a client sees it. The texts of errors are QEMU's. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../support/fake-chardev.h"
#include "support/monitor-fixture.h"

#define NEGOTIATE "{\"execute\": \"qmp_capabilities\"}"
#define STATUS    "{\"execute\": \"query-status\"}"

typedef struct Fixture {
    MonitorFixture *f;
    Chardev *chr;
} Fixture;

static int setup(void **state)
{
    Fixture *q = g_new0(Fixture, 1);

    q->f = monitor_fixture_new("-S");
    q->chr = fake_chardev_new();
    monitor_hub_add(q->f->hub, q->chr, MONITOR_QMP);
    *state = q;
    return 0;
}

static int teardown(void **state)
{
    Fixture *q = *state;

    monitor_fixture_free(q->f);
    chardev_free(q->chr);
    g_free(q);
    return 0;
}

static const char *output(Fixture *q)
{
    return fake_chardev_output(q->chr);
}

static void say(Fixture *q, const char *text)
{
    fake_chardev_input(q->chr, text, strlen(text));
}

static int negotiated(void **state)
{
    setup(state);
    say(*state, NEGOTIATE);
    output(*state);
    return 0;
}

/* The answer to @request is @answer, both JSON; the order of members does not matter. */
static void expect(Fixture *q, const char *request, const char *answer)
{
    g_autofree char *wanted_text = g_strconcat(answer, "\r\n", NULL);
    json_t *wanted = json_loads(answer, 0, NULL);
    const char *text;
    json_t *got;

    assert_non_null(wanted);
    say(q, request);
    text = output(q);
    assert_true(g_str_has_suffix(text, "\r\n"));
    got = json_loads(text, 0, NULL);
    if (!got || !json_equal(got, wanted)) {
        fail_msg("%s\n  gave %s  not  %s", request, text, wanted_text);
    }
    json_decref(got);
    json_decref(wanted);
}

static void expect_error(Fixture *q, const char *request, const char *class, const char *desc)
{
    g_autofree char *answer = g_strdup_printf("{\"error\": {\"class\": \"%s\", \"desc\": \"%s\"}}",
                                              class, desc);

    expect(q, request, answer);
}

static void test_greeting_has_qemus_shape(void **state)
{
    json_t *greeting = json_loads(output(*state), 0, NULL);
    json_t *qmp = json_object_get(greeting, "QMP");
    json_t *qemu = json_object_get(json_object_get(qmp, "version"), "qemu");

    assert_int_equal(json_integer_value(json_object_get(qemu, "major")), 7);
    assert_int_equal(json_integer_value(json_object_get(qemu, "minor")), 2);
    assert_true(json_is_integer(json_object_get(qemu, "micro")));
    assert_true(json_is_string(json_object_get(json_object_get(qmp, "version"), "package")));
    assert_true(json_is_array(json_object_get(qmp, "capabilities")));
    assert_true(json_equal(json_object_get(qmp, "version"),
                           monitor_fixture_qmp(((Fixture *)*state)->f, "query-version", NULL)));
    json_decref(greeting);
}

static void test_negotiation_comes_first_and_once(void **state)
{
    Fixture *q = *state;

    output(q);
    expect_error(q, STATUS, "CommandNotFound",
                 "Expecting capabilities negotiation with 'qmp_capabilities'");
    expect_error(q, "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": 5}}",
                 "GenericError", "Invalid parameter type for 'enable', expected: array");
    expect_error(q, "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"x\": 5}}",
                 "GenericError", "Parameter 'x' is unexpected");
    expect_error(q, "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": [\"oob\"]}}",
                 "GenericError", "Capability 'oob' not available: the greeting offers none");
    expect(q, "{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": []}}",
           "{\"return\": {}}");
    expect_error(q, NEGOTIATE, "CommandNotFound",
                 "Capabilities negotiation is already complete, command ignored");
    expect(q, STATUS, "{\"return\": {\"status\": \"prelaunch\", \"singlestep\": false, "
                      "\"running\": false}}");
}

static void test_ids_of_every_type_come_back(void **state)
{
    static const char *const ids[] = { "1", "-5", "1.5", "\"a\"", "null", "true", "[1, {\"x\": null}]",
                                       "{\"y\": []}", "\"\\u00e4\"" };

    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
        g_autofree char *good = g_strdup_printf("{\"id\": %s, \"execute\": \"stop\"}", ids[i]);
        g_autofree char *bad = g_strdup_printf("{\"execute\": \"stop\", \"arguments\": 5, "
                                               "\"id\": %s}", ids[i]);
        g_autofree char *unknown = g_strdup_printf("{\"execute\": \"x\", \"id\": %s}", ids[i]);
        g_autofree char *returned = g_strdup_printf("{\"return\": {}, \"id\": %s}", ids[i]);
        g_autofree char *refused =
            g_strdup_printf("{\"error\": {\"class\": \"GenericError\", \"desc\": \"QMP input member "
                            "'arguments' must be an object\"}, \"id\": %s}", ids[i]);
        g_autofree char *not_found =
            g_strdup_printf("{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command x "
                            "has not been found\"}, \"id\": %s}", ids[i]);

        expect(*state, good, returned);
        expect(*state, bad, refused);
        expect(*state, unknown, not_found);
    }
}

static void test_errors_have_qemus_classes_and_texts(void **state)
{
    static const char *const cases[][3] = {
        { "{\"execute\": \"nope\"}", "CommandNotFound", "The command nope has not been found" },
        { "{\"execute\": \"info status\"}", "CommandNotFound",
          "The command info status has not been found" },
        { "{\"execute\": 5}", "GenericError", "QMP input member 'execute' must be a string" },
        { "{}", "GenericError", "QMP input lacks member 'execute'" },
        { "{\"arguments\": {}}", "GenericError", "QMP input lacks member 'execute'" },
        { "{\"execute\": \"stop\", \"arguments\": []}", "GenericError",
          "QMP input member 'arguments' must be an object" },
        { "{\"execute\": \"stop\", \"foo\": 1}", "GenericError",
          "QMP input member 'foo' is unexpected" },
        { "[]", "GenericError", "QMP input must be a JSON object" },
        { "{\"execute\": \"stop\", \"arguments\": {\"a\": 1}}", "GenericError",
          "Parameter 'a' is unexpected" },
        { "{\"execute\": \"device_del\"}", "GenericError", "Parameter 'id' is missing" },
        { "{\"execute\": \"device_del\", \"arguments\": {\"id\": 5}}", "GenericError",
          "Invalid parameter type for 'id', expected: string" },
        { "{\"execute\": \"device_add\", \"arguments\": {}}", "GenericError",
          "Parameter 'driver' is missing" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        expect_error(*state, cases[i][0], cases[i][1], cases[i][2]);
    }
}

static void test_unknown_device_has_a_class_of_its_own(void **state)
{
    say(*state, "{\"execute\": \"device_del\", \"arguments\": {\"id\": \"x\"}}");
    assert_text_has(output(*state), "\"class\": \"DeviceNotFound\"");
    say(*state, "{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"x\", \"id\": \"y\"}}");
    assert_text_has(output(*state), "\"class\": \"GenericError\"");
}

static void test_unknown_backend_has_it_too(void **state)
{
    Fixture q = { .f = monitor_fixture_new("-S -m 128M,slots=1,maxmem=1G"),
                  .chr = fake_chardev_new() };

    monitor_hub_add(q.f->hub, q.chr, MONITOR_QMP);
    say(&q, NEGOTIATE);
    output(&q);
    say(&q, "{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"pc-dimm\", \"id\": \"d\", "
            "\"memdev\": \"m\"}}");
    assert_text_has(output(&q), "\"class\": \"DeviceNotFound\"");
    say(&q, "{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"pc-dimm\", \"id\": \"d\", "
            "\"memdev\": \"m\", \"x\": 1}}");
    assert_text_has(output(&q), "\"class\": \"GenericError\"");
    monitor_fixture_free(q.f);
    chardev_free(q.chr);
}

/* As in QEMU: what there is nothing to say about is left out, and never null. */
static void test_events_have_no_null(void **state)
{
    Fixture q = { .f = monitor_fixture_new("-S -m 128M,slots=1,maxmem=1G"),
                  .chr = fake_chardev_new() };
    const char *text;

    monitor_hub_add(q.f->hub, q.chr, MONITOR_QMP);
    say(&q, NEGOTIATE);
    monitor_fixture_hmp(q.f, "cont");
    monitor_fixture_hmp(q.f, "object_add memory-backend-ram,id=m,size=128M");
    monitor_fixture_hmp(q.f, "device_add pc-dimm,id=d,memdev=m");
    output(&q);
    monitor_fixture_hmp(q.f, "device_del d");
    text = output(&q);
    assert_text_has(text, "{\"device\": \"d\", \"state\": \"requested\"}");
    assert_null(strstr(text, "null"));
    monitor_fixture_free(q.f);
    chardev_free(q.chr);
}

static void test_malformed_input_is_answered_and_survived(void **state)
{
    static const char *const bad[] = {
        "foo\n", "}\n", "{]\n", "{\"execute\" \"stop\"}", "{\"execute\": \"st\nop\"}\n", "{1: 2}",
        "{\"execute\": \"\\ud800\"}", "{\"execute\": \"\x80\"}", "{\"execute\": \"a\\u0000b\"}",
        "{\"execute\": \"stop\", \"execute\": \"cont\"}", "{\"execute\": stop}",
        "{\"execute\": \"stop\", \"id\": 1e999}", "5\n", "\"stop\"\n", "{\"a\":}",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        const char *text;

        say(*state, bad[i]);
        text = output(*state);
        if (!strstr(text, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"")) {
            fail_msg("%s gave %s", bad[i], text);
        }
        expect(*state, "\n{\"execute\": \"stop\"}", "{\"return\": {}}");
    }
}

static void test_split_input(void **state)
{
    const char *text = "{\"execute\": \"stop\", \"id\": \"x}\"}";

    for (const char *p = text; *p; p++) {
        assert_string_equal(output(*state), "");
        fake_chardev_input(((Fixture *)*state)->chr, p, 1);
    }
    assert_string_equal(output(*state), "{\"return\": {}, \"id\": \"x}\"}\r\n");
}

static void test_several_commands_at_once_are_answered_in_order(void **state)
{
    say(*state, "{\"execute\": \"stop\", \"id\": 1}{\"execute\": \"x\", \"id\": 2}\n"
                "{'execute': 'query-name', 'id': 3}");
    assert_string_equal(output(*state),
                        "{\"return\": {}, \"id\": 1}\r\n"
                        "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command x has "
                        "not been found\"}, \"id\": 2}\r\n"
                        "{\"return\": {}, \"id\": 3}\r\n");
}

static void test_oversize_and_nesting_are_refused(void **state)
{
    g_autofree char *deep = g_strnfill(QMP_DEPTH_MAX + 1, '[');
    g_autofree char *big = g_strnfill(QMP_VALUE_MAX + 1, '1');

    say(*state, deep);
    assert_text_has(output(*state), "depth limit");
    say(*state, "\n[");
    say(*state, big);
    assert_text_has(output(*state), "1 MiB");
    expect(*state, "\n{\"execute\": \"stop\"}", "{\"return\": {}}");
}

static void test_unsigned_integers_of_64_bits_are_taken(void **state)
{
    say(*state, "{\"execute\": \"memsave\", \"arguments\": {\"val\": 18446744071578845184, "
                "\"size\": 16, \"filename\": \"/nonexistent/x\"}}");
    assert_null(strstr(output(*state), "parse"));
    expect(*state, "{\"execute\": \"stop\", \"id\": 18446744073709551616}",
           "{\"return\": {}, \"id\": 18446744073709551616.0}");
    expect(*state, "{\"execute\": \"stop\", \"id\": [-9223372036854775808, -9223372036854775809]}",
           "{\"return\": {}, \"id\": [-9223372036854775808, -9223372036854775809.0]}");
    expect(*state, "{\"execute\": \"stop\", \"id\": 0}", "{\"return\": {}, \"id\": 0}");
    expect_error(*state, "{\"execute\": \"pmemsave\", \"arguments\": {\"val\": 0, \"filename\": "
                 "\"x\", \"size\": 18446744073709551616}}", "GenericError",
                 "Invalid parameter type for 'size', expected: integer");
    say(*state, "{\"execute\": \"stop\", \"id\": 018446744073709551615}");
    assert_text_has(output(*state), "parse");
    expect(*state, "{\"execute\": \"stop\", \"id\": \"18446744073709551615\"}",
           "{\"return\": {}, \"id\": \"18446744073709551615\"}");
    expect(*state, "{\"execute\": \"stop\", \"id\": 9223372036854775807.5}",
           "{\"return\": {}, \"id\": 9223372036854775807.5}");
}

static void test_query_commands_names_all(void **state)
{
    Fixture *q = *state;
    json_t *answer, *list, *entry;
    size_t i;

    expect_error(q, "{\"execute\": \"query-commands\", \"arguments\": {\"x\": 1}}", "GenericError",
                 "Parameter 'x' is unexpected");
    say(q, "{\"execute\": \"query-commands\"}");
    answer = json_loads(output(q), 0, NULL);
    list = json_object_get(answer, "return");
    assert_true(json_array_size(list) > 20);
    json_array_foreach(list, i, entry) {
        const char *name = json_string_value(json_object_get(entry, "name"));

        assert_non_null(name);
        assert_true(monitor_command_by_qmp(q->f->hub, name) ||
                    strcmp(name, "qmp_capabilities") == 0 || strcmp(name, "query-commands") == 0);
    }
    json_decref(answer);
}

static void test_human_monitor_command(void **state)
{
    Fixture *q = *state;

    expect(q, "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": "
              "\"info status\"}}",
           "{\"return\": \"VM status: paused (prelaunch)\\r\\n\"}");
    expect(q, "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"\"}}",
           "{\"return\": \"\"}");
    say(q, "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"foo\"}}");
    assert_text_has(output(q), "{\"return\": \"Error: unknown command: 'foo'");
    say(q, "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"help\", "
           "\"cpu-index\": 7}}");
    assert_text_has(output(q), "\"error\"");
}

/* Events. */

static void test_events_only_after_negotiation(void **state)
{
    Fixture *q = *state;

    output(q);
    machine_cont(q->f->machine, NULL);
    assert_string_equal(output(q), "");
    say(q, NEGOTIATE);
    output(q);
    machine_stop(q->f->machine);
    assert_true(g_regex_match_simple("^\\{\"timestamp\": \\{\"seconds\": \\d{10,}, "
                                     "\"microseconds\": \\d{1,6}\\}, \"event\": \"STOP\"\\}\r\n$",
                                     output(q), 0, 0));
}

static void test_events_stand_before_the_answer(void **state)
{
    Fixture *q = *state;
    const char *text;

    say(q, "{\"execute\": \"cont\"}");
    text = output(q);
    assert_text_has(text, "\"event\": \"RESUME\"}\r\n{\"return\": {}}\r\n");
    say(q, "{\"execute\": \"system_reset\"}");
    assert_text_has(output(q), "\"event\": \"RESET\", \"data\": {\"guest\": false, \"reason\": "
                               "\"host-qmp-system-reset\"}}");
    say(q, "{\"execute\": \"system_powerdown\"}");
    assert_text_has(output(q), "\"event\": \"POWERDOWN\"}");
    say(q, "{\"execute\": \"quit\"}");
    assert_text_has(output(q), "\"event\": \"SHUTDOWN\", \"data\": {\"guest\": false, \"reason\": "
                               "\"host-qmp-quit\"}}\r\n{\"return\": {}}\r\n");
}

static void test_a_signal_is_named_as_the_reason(void **state)
{
    Fixture *q = *state;
    sigset_t signals, before;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, &before);
    raise(SIGTERM);
    monitor_fixture_settle();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_text_has(output(q), "\"event\": \"SHUTDOWN\", \"data\": {\"guest\": false, \"reason\": "
                               "\"host-signal\"}}");
}

static void test_events_reach_every_client(void **state)
{
    Fixture *q = *state;
    Chardev *second = fake_chardev_new();

    monitor_hub_add(q->f->hub, second, MONITOR_QMP);
    fake_chardev_input(second, NEGOTIATE, strlen(NEGOTIATE));
    fake_chardev_output(second);
    say(q, "{\"execute\": \"cont\"}");
    assert_text_has(output(q), "RESUME");
    assert_text_has(fake_chardev_output(second), "RESUME");
    monitor_fixture_free(q->f);
    q->f = monitor_fixture_new("-S");
    chardev_free(second);
}

/* Clients that come, go and do not read. */

static void test_client_gone_in_the_middle(void **state)
{
    Fixture *q = *state;

    say(q, "{\"execute\": \"st");
    fake_chardev_event(q->chr, CHARDEV_CLOSED);
    machine_cont(q->f->machine, NULL);
    fake_chardev_event(q->chr, CHARDEV_OPENED);
    assert_text_has(output(q), "{\"QMP\": ");
    expect_error(q, STATUS, "CommandNotFound",
                 "Expecting capabilities negotiation with 'qmp_capabilities'");
    expect(q, NEGOTIATE, "{\"return\": {}}");
}

static size_t waiting(Fixture *q)
{
    return ((Monitor *)q->f->hub->monitors->pdata[0])->out->len;
}

static void test_answers_that_nobody_reads_are_bounded(void **state)
{
    Fixture *q = *state;
    g_autoptr(GString) many = g_string_new(NULL);
    size_t got = 0;

    for (unsigned i = 0; i < 10000; i++) {
        g_string_append_printf(many, "{\"execute\":\"query-commands\",\"id\":%u}\n", i);
    }
    fake_chardev_set_room(q->chr, 0);
    say(q, many->str);
    assert_true(fake_chardev_run(q->chr) > 0); /* it takes no more */
    assert_in_range(waiting(q), 1, (256u << 10) + 8192);
    fake_chardev_set_room(q->chr, SIZE_MAX);
    for (unsigned round = 0; round < 10000 && got < 10000; round++) { /* nothing is lost */
        const char *text = output(q);

        for (; (text = strstr(text, "\"id\": ")) != NULL; text++, got++) {
            assert_int_equal(strtoul(text + 6, NULL, 10), got);
        }
        fake_chardev_run(q->chr);
    }
    assert_int_equal(got, 10000);
}

static void test_events_that_nobody_reads_are_bounded_and_counted(void **state)
{
    Fixture *q = *state;
    const char *text;
    unsigned events = 0;
    unsigned long dropped;

    fake_chardev_set_room(q->chr, 0);
    for (unsigned i = 0; i < 20000; i++) {
        monitor_hub_event(q->f->hub, "X_TEST", NULL);
    }
    assert_in_range(waiting(q), 1u << 20, (1u << 20) + 200);
    fake_chardev_set_room(q->chr, SIZE_MAX);
    text = output(q);
    for (const char *p = text; (p = strstr(p, "X_TEST")) != NULL; p++) {
        events++;
    }
    text = strstr(text, "\"event\": \"X_EVENTS_DROPPED\", \"data\": {\"count\": ");
    assert_non_null(text);
    dropped = strtoul(strrchr(text, ':') + 2, NULL, 10);
    assert_int_equal(events + dropped, 20000);
    say(q, "{\"execute\": \"cont\"}");
    assert_null(strstr(output(q), "DROPPED"));
}

static void test_free_while_answers_wait(void **state)
{
    Fixture *q = *state;

    fake_chardev_set_room(q->chr, 10);
    say(q, STATUS STATUS "{\"half");
}

/* Bytes of every kind, with commands among them; at the end it still answers. */
static void test_random_input(void **state)
{
    static const char *const pieces[] = {
        "{\"execute\": ", "\"query-status\"", "}", "{", "[", "]", "\"", "'", ":", ",", "\n", "\xff",
        "\"id\": 1", "\"arguments\": {", "null", "1e5", "-", "18446744073709551615", "\\", "\\u00",
        "{\"execute\": \"query-name\"}", "{\"execute\": \"device_add\", \"arguments\": {", "\x80",
        "\"driver\": \"pc-dimm\"", "{\"execute\": \"object-add\", \"arguments\": {\"qom-type\": ",
        "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"", " ",
    };
    const char *given = getenv("TESSERA_SEED");
    guint32 seed = given ? (guint32)strtoul(given, NULL, 0) : 20260731;
    GRand *rand = g_rand_new_with_seed(seed);

    printf("# qmp: TESSERA_SEED=%u\n", seed);
    for (unsigned i = 0; i < 30000; i++) {
        if (g_rand_int_range(rand, 0, 4) == 0) {
            char byte = (char)g_rand_int_range(rand, 0, 256);

            fake_chardev_input(((Fixture *)*state)->chr, &byte, 1);
        } else {
            say(*state, pieces[g_rand_int_range(rand, 0, G_N_ELEMENTS(pieces))]);
        }
        if (i % 1000 == 999) {
            output(*state);
            say(*state, "\n\xff{\"execute\": \"query-name\", \"id\": \"end\"}");
            assert_text_has(output(*state), "\"id\": \"end\"}\r\n");
        }
    }
    g_rand_free(rand);
}

#define T(name) cmocka_unit_test_setup_teardown(name, negotiated, teardown)
#define T0(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T0(test_greeting_has_qemus_shape),
        T0(test_negotiation_comes_first_and_once),
        T(test_ids_of_every_type_come_back),
        T(test_errors_have_qemus_classes_and_texts),
        T(test_unknown_device_has_a_class_of_its_own),
        cmocka_unit_test(test_unknown_backend_has_it_too),
        cmocka_unit_test(test_events_have_no_null),
        T(test_malformed_input_is_answered_and_survived),
        T(test_split_input),
        T(test_several_commands_at_once_are_answered_in_order),
        T(test_oversize_and_nesting_are_refused),
        T(test_unsigned_integers_of_64_bits_are_taken),
        T(test_query_commands_names_all),
        T(test_human_monitor_command),
        T0(test_events_only_after_negotiation),
        T(test_events_stand_before_the_answer),
        T(test_a_signal_is_named_as_the_reason),
        T(test_events_reach_every_client),
        T(test_client_gone_in_the_middle),
        T(test_answers_that_nobody_reads_are_bounded),
        T(test_events_that_nobody_reads_are_bounded_and_counted),
        T(test_free_while_answers_wait),
        T(test_random_input),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
