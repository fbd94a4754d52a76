/* SPDX-License-Identifier: MIT */
/* HMP: help, names, words, completion; what every entry of the command table must have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "support/monitor-fixture.h"

#define OPTIONS "-S -m 256M,slots=3,maxmem=1G"

static int setup(void **state)
{
    *state = monitor_fixture_new(OPTIONS);
    return 0;
}

static int teardown(void **state)
{
    monitor_fixture_free(*state);
    return 0;
}

/* The words for the end of @line, joined by blanks. */
static void expect_words(MonitorFixture *f, const char *line, const char *words)
{
    g_autoptr(GPtrArray) found = hmp_complete(&f->mon, line);
    g_autofree char *joined = NULL;

    g_ptr_array_add(found, NULL);
    joined = g_strjoinv(" ", (char **)found->pdata);
    if (strcmp(joined, words) != 0) {
        fail_msg("'%s' gave '%s', not '%s'", line, joined, words);
    }
}

static void expect_word(MonitorFixture *f, const char *line, const char *word)
{
    g_autoptr(GPtrArray) found = hmp_complete(&f->mon, line);

    if (!g_ptr_array_find_with_equal_func(found, word, g_str_equal, NULL)) {
        fail_msg("'%s' does not give '%s'", line, word);
    }
}

static void test_table_every_command_is_complete(void **state)
{
    MonitorFixture *f = *state;
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < f->hub->commands->len; i++) {
        const MonitorCommand *cmd = f->hub->commands->pdata[i];
        g_auto(GStrv) forms = g_strsplit(cmd->hmp ? cmd->hmp : "", "|", -1);

        assert_true(cmd->qmp || cmd->hmp);
        assert_true(cmd->run ? !cmd->run_text : cmd->run_text && !cmd->qmp);
        if (!cmd->help || !g_str_has_suffix(cmd->help, ".") || strchr(cmd->help, '\n')) {
            fail_msg("%s: help is one sentence", cmd->name);
        }
        if (cmd->qmp && !g_hash_table_add(names, g_strdup_printf("qmp %s", cmd->qmp))) {
            fail_msg("%s: the QMP name is there twice", cmd->qmp);
        }
        for (char **form = forms; *form; form++) {
            if (**form && !g_hash_table_add(names, g_strdup_printf("hmp %s", *form))) {
                fail_msg("%s: the HMP name is there twice", *form);
            }
        }
        for (const MonitorArg *arg = cmd->args; arg && arg->name; arg++) {
            if (arg->type == MONITOR_ARG_KEYVAL && arg[1].name) {
                fail_msg("%s: %s is not the last argument", cmd->name, arg->name);
            }
            if (arg->flag && arg->type != MONITOR_ARG_FLAG &&
                !(arg->optional &&
                  (arg->type == MONITOR_ARG_INT || arg->type == MONITOR_ARG_STRING))) {
                fail_msg("%s: %s: a value behind a letter is an optional integer or word",
                         cmd->name, arg->name);
            }
        }
    }
}

static void test_help_lists_all(void **state)
{
    MonitorFixture *f = *state;
    const char *text = monitor_fixture_hmp(f, "help");

    assert_true(g_str_has_prefix(text, "help|? [command] -- "));
    for (guint i = 0; i < f->hub->commands->len; i++) {
        const MonitorCommand *cmd = f->hub->commands->pdata[i];

        if (cmd->hmp) {
            g_autofree char *usage = monitor_command_usage(cmd);

            assert_text_has(text, usage);
            assert_text_has(text, cmd->help);
        }
    }
    assert_string_equal(monitor_fixture_hmp(f, "?"), text);
}

static void test_help_of_one_command(void **state)
{
    MonitorFixture *f = *state;
    g_autofree char *text = g_strdup(monitor_fixture_hmp(f, "help device_add"));

    assert_true(g_str_has_prefix(text, "device_add driver[,prop=value...] -- "));
    assert_true(strchr(text, '\n')[1] != 0); /* and details */
    assert_string_equal(monitor_fixture_hmp(f, "? device_add"), text);
    assert_text_has(monitor_fixture_hmp(f, "help info status"), "info status -- ");
    assert_text_has(monitor_fixture_hmp(f, "help q"), "quit -- ");
    assert_text_has(monitor_fixture_hmp(f, "help help"), "help|? [command] -- ");
    assert_text_has(monitor_fixture_hmp(f, "? ?"), "help|? [command] -- ");
    assert_text_has(monitor_fixture_hmp(f, "help info"), "info status -- ");
    assert_null(strstr(monitor_fixture_hmp(f, "help info"), "device_add -- "));
    assert_text_has(monitor_fixture_hmp(f, "info"), "info status -- ");
    assert_text_has(monitor_fixture_hmp_error(f, "help nope"), "'nope'");
    assert_text_has(monitor_fixture_hmp_error(f, "help stop now"), "'stop now'");
}

static void test_unknown_commands_name_the_nearest(void **state)
{
    MonitorFixture *f = *state;

    assert_text_has(monitor_fixture_hmp_error(f, "info sttatus"), "did you mean 'info status'?");
    assert_text_has(monitor_fixture_hmp_error(f, "inof status"), "did you mean 'info status'?");
    assert_text_has(monitor_fixture_hmp_error(f, "device_ad pc-dimm,id=a,memdev=b"),
                    "did you mean 'device_add'?");
    assert_text_has(monitor_fixture_hmp_error(f, "device-add pc-dimm"), "'device_add'?");
    assert_text_has(monitor_fixture_hmp_error(f, "xyzzy"), "unknown command: 'xyzzy'; 'help' lists");
    assert_text_has(monitor_fixture_hmp_error(f, "\"\""), "unknown command: ''");
}

static void test_lines_that_do_nothing(void **state)
{
    assert_string_equal(monitor_fixture_hmp(*state, ""), "");
    assert_string_equal(monitor_fixture_hmp(*state, "   \t "), "");
    assert_string_equal(monitor_fixture_hmp(*state, "\n"), "");
    assert_string_equal(monitor_fixture_hmp(*state, " \r\n stop \r\n"), "");
    assert_string_equal(monitor_fixture_hmp(*state, "\"stop\"\r\n"), "");
    assert_string_equal(monitor_fixture_hmp(*state, "# cont"), "");
}

static void test_quoting(void **state)
{
    MonitorFixture *f = *state;

    monitor_fixture_hmp(f, "\"object_add\" \"memory-backend-ram,id=m1,size=128M\"");
    assert_text_has(monitor_fixture_hmp(f, "info memdev"), "m1");
    assert_text_has(monitor_fixture_hmp_error(f, "object_del \"m1"), "not closed");
    assert_text_has(monitor_fixture_hmp_error(f, "object_del \"m 1\""), "m 1");
    monitor_fixture_hmp(f, "object_del \"m1\"");
}

static void test_lines_that_are_no_text(void **state)
{
    assert_text_has(monitor_fixture_hmp_error(*state, "object_del \xff"), "UTF-8");
    assert_text_has(monitor_fixture_hmp_error(*state, "\xc3("), "UTF-8");
}

static void test_long_lines_are_survived(void **state)
{
    g_autofree char *junk = g_strnfill(1 << 20, 'x');
    g_autofree char *blanks = g_strnfill(1 << 20, ' ');
    g_autofree char *words = g_strdup_printf("stop%s1", blanks);

    assert_true(strlen(monitor_fixture_hmp_error(*state, junk)) < 200);
    assert_text_has(monitor_fixture_hmp_error(*state, words), "'1'");
}

static void test_format_behind_the_name(void **state)
{
    MonitorFixture *f = *state;
    static const uint8_t bytes[] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88 };
    g_autofree char *text = NULL;

    monitor_fixture_poke(f, 0x1000, bytes, sizeof(bytes));
    text = g_strdup(monitor_fixture_hmp(f, "xp/2xw 0x1000"));
    assert_text_has(text, "0x44332211 0x88776655");
    assert_string_equal(monitor_fixture_hmp(f, "xp /2xw 0x1000"), text);
    assert_string_equal(monitor_fixture_hmp(f, "  xp/2xw 0xff0 + 16"), text);
    assert_text_has(monitor_fixture_hmp(f, "xp 0x1000"), "0x44332211");
}

static void test_complete_commands(void **state)
{
    MonitorFixture *f = *state;

    expect_words(f, "sto", "stop");
    expect_words(f, "  sto", "stop");
    expect_words(f, "system_", "system_powerdown system_reset");
    expect_words(f, "hel", "help");
    expect_words(f, "inf", "info");
    expect_words(f, "info memd", "memdev");
    expect_word(f, "info mem", "memory-devices");
    expect_words(f, "info   sta", "stats status");
    expect_words(f, "info\tsta", "stats status");
    expect_words(f, "help info sta", "stats status");
    expect_words(f, "help  sto", "stop");
    expect_words(f, "? devi", "device_add device_del device_del_cancel device_del_timeout");
    expect_words(f, "nope ", "");
    expect_words(f, "zz", "");
    expect_words(f, "stop ", "");
    expect_words(f, "\"sto", "");
    expect_word(f, "", "cont");
    expect_word(f, "", "help");
}

static void test_complete_flags(void **state)
{
    expect_word(*state, "info mtree -", "-f");
    expect_words(*state, "info mtree -d", "-d");
    expect_words(*state, "info mtree --d", "--diff --dispatch-tree");
    expect_words(*state, "stop -", "");
    expect_words(*state, "info translate -", "-c -g -p -v");
}

/* The fixture's machine has one vCPU. */
static void test_complete_the_value_of_a_flag(void **state)
{
    expect_words(*state, "info translate -c ", "0");
    expect_words(*state, "info translate -gc ", "0");
    expect_words(*state, "info translate 0x1000 -c ", "0");
    expect_words(*state, "info translate -c 0 ", "");
    expect_words(*state, "info translate -g ", "");
}

static void test_complete_ids(void **state)
{
    MonitorFixture *f = *state;

    monitor_fixture_hmp(f, "object_add memory-backend-ram,id=m1,size=128M");
    monitor_fixture_hmp(f, "object_add memory-backend-ram,id=m2,size=128M");
    expect_words(f, "object_del ", "m1 m2");
    expect_words(f, "object_del m2", "m2");
    expect_words(f, "object_del m1 ", "");
    monitor_fixture_hmp(f, "device_add pc-dimm,id=dimm7,memdev=m1");
    expect_words(f, "device_del di", "dimm7");
}

static void test_complete_properties(void **state)
{
    MonitorFixture *f = *state;

    monitor_fixture_hmp(f, "object_add memory-backend-ram,id=m1,size=128M");
    expect_words(f, "object_add memory-backend-r", "memory-backend-ram,id=");
    expect_words(f, "object_add memory-backend-ram,id=x,si", "memory-backend-ram,id=x,size=");
    expect_words(f, "object_add memory-backend-ram,sh", "memory-backend-ram,share=");
    expect_words(f, "object_add memory-backend-ram,share=",
                 "memory-backend-ram,share=off memory-backend-ram,share=on");
    expect_words(f, "object_add nope,sh", "");
    expect_words(f, "device_add pc-dimm,id=a,ad", "pc-dimm,id=a,addr=");
    expect_words(f, "device_add pc-dimm,id=a,memdev=", "pc-dimm,id=a,memdev=m1");
    expect_words(f, "device_add nope,", "");
    expect_words(f, "device_add pc-dimm,id=a ", "");
}

static void test_complete_does_not_change_anything(void **state)
{
    MonitorFixture *f = *state;
    g_autofree char *before = monitor_fixture_map(f);
    g_autofree char *after = NULL;

    expect_words(f, "quit", "quit");
    expect_words(f, "cont ", "");
    after = monitor_fixture_map(f);
    assert_string_equal(before, after);
    assert_int_equal(machine_run_state(f->machine), RUN_STATE_PRELAUNCH);
}

static void test_hub_runs_a_line_alone(void **state)
{
    MonitorFixture *f = *state;
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    assert_true(monitor_hub_hmp(f->hub, "info status", 0, out, &error));
    assert_string_equal(out->str, "VM status: paused (prelaunch)\n");
    assert_false(monitor_hub_hmp(f->hub, "nope", 0, out, &error));
    assert_non_null(error);
}

static void test_reference_has_every_command(void **state)
{
    MonitorFixture *f = *state;
    g_autofree char *text = monitor_reference();

    for (guint i = 0; i < f->hub->commands->len; i++) {
        const MonitorCommand *cmd = f->hub->commands->pdata[i];

        assert_text_has(text, cmd->qmp ? cmd->qmp : cmd->hmp);
        assert_text_has(text, cmd->help);
    }
}

/* docs/monitor.md is what `make docs` would make of it. */
static void test_reference_is_what_the_page_says(void **state)
{
    g_autofree char *reference = monitor_reference();
    g_autofree char *page = NULL;
    const char *commands;

    assert_true(g_file_get_contents("docs/monitor.md", &page, NULL, NULL));
    commands = strstr(page, "\n## Commands\n");
    assert_non_null(commands);
    if (strcmp(commands + strlen("\n## Commands\n"), reference) != 0) {
        fail_msg("docs/monitor.md is not of this command table; run `make docs`");
    }
}

/* Commands, pieces of them and rubbish, run and completed; the monitor answers after it. */
static void test_random_lines(void **state)
{
    static const char *const pieces[] = {
        "info ", "status", "object_add ", "memory-backend-ram,", "id=a", ",size=128M", "device_add ",
        "pc-dimm,", "memdev=a", "device_del ", "object_del ", "a", " ", "\"", "\\", "0x1000", "$rip",
        "xp", "/", "4xw", "-f", "-", "+", "(", ")", "%", ",", "=", "cpu ", "1", "99999999999999999999",
        "help ", "mtree ", "\t", "\x80", "\x01", "gpa2hva ", "memory-plan ", "1G", "stop", "cont", "?",
    };
    MonitorFixture *f = *state;
    const char *given = getenv("TESSERA_SEED");
    guint32 seed = given ? (guint32)strtoul(given, NULL, 0) : 20260731;
    GRand *rand = g_rand_new_with_seed(seed);

    printf("# hmp: TESSERA_SEED=%u\n", seed);
    for (unsigned i = 0; i < 5000; i++) {
        g_autoptr(GString) line = g_string_new(NULL);
        g_autoptr(GString) out = g_string_new(NULL);
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) words = NULL;

        for (int n = g_rand_int_range(rand, 1, 9); n > 0; n--) {
            g_string_append(line, pieces[g_rand_int_range(rand, 0, G_N_ELEMENTS(pieces))]);
        }
        words = hmp_complete(&f->mon, line->str);
        for (guint w = 0; w < words->len; w++) {
            const char *last = strrchr(line->str, ' ') ? strrchr(line->str, ' ') + 1 : line->str;
            const char *tab = strrchr(last, '\t');

            assert_true(g_str_has_prefix(words->pdata[w], tab ? tab + 1 : last));
        }
        if (hmp_run_line(&f->mon, line->str, out, &error)) {
            assert_null(error);
        } else {
            assert_non_null(error);
        }
    }
    assert_text_has(monitor_fixture_hmp(f, "info status"), "VM status: ");
    g_rand_free(rand);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_table_every_command_is_complete),
        T(test_help_lists_all),
        T(test_help_of_one_command),
        T(test_unknown_commands_name_the_nearest),
        T(test_lines_that_do_nothing),
        T(test_quoting),
        T(test_lines_that_are_no_text),
        T(test_long_lines_are_survived),
        T(test_format_behind_the_name),
        T(test_complete_commands),
        T(test_complete_flags),
        T(test_complete_the_value_of_a_flag),
        T(test_complete_ids),
        T(test_complete_properties),
        T(test_complete_does_not_change_anything),
        T(test_hub_runs_a_line_alone),
        T(test_reference_has_every_command),
        T(test_reference_is_what_the_page_says),
        T(test_random_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
