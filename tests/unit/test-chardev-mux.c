/* SPDX-License-Identifier: MIT */
/* Tests of chardev/mux.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "support/chardev-reader.h"
#include "support/fake-chardev.h"
#include "tessera/chardev/mux.h"

#define CTRL_A "\x01"

typedef struct Fixture {
    Chardev *backend;
    ChardevMux *mux;
    Chardev *port[2];
    Reader reader[2];
    unsigned quits;
} Fixture;

static void on_quit(void *opaque)
{
    ((Fixture *)opaque)->quits++;
}

static void add_port(Fixture *f, unsigned n, const char *label)
{
    reader_init(&f->reader[n]);
    f->port[n] = chardev_mux_add_port(f->mux, label);
    chardev_set_frontend(f->port[n], &reader_frontend, &f->reader[n]);
}

static int setup(void **state)
{
    Fixture *f = g_new0(Fixture, 1);

    f->backend = fake_chardev_new();
    f->mux = chardev_mux_new(f->backend, on_quit, f);
    add_port(f, 0, "serial0");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    Fixture *f = *state;

    chardev_mux_free(f->mux);
    for (unsigned n = 0; n < 2; n++) {
        reader_done(&f->reader[n]);
    }
    g_free(f);
    return 0;
}

static void type(Fixture *f, const char *text)
{
    fake_chardev_input(f->backend, text, strlen(text));
}

static void run_main_context(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}

static void test_text_passes_both_ways(void **state)
{
    Fixture *f = *state;

    type(f, "ls\r");
    assert_string_equal(f->reader[0].got->str, "ls\r");
    assert_int_equal(chardev_write(f->port[0], (const uint8_t *)"ok\n", 3), 3);
    assert_string_equal(fake_chardev_output(f->backend), "ok\n");
    assert_int_equal(f->reader[0].opened, 1);
}

static void test_ctrl_a_x_quits_even_when_nothing_is_taken(void **state)
{
    Fixture *f = *state;

    f->reader[0].room = 0;
    type(f, "typed ahead");
    type(f, CTRL_A "x");
    assert_int_equal(f->quits, 1);
    assert_string_equal(f->reader[0].got->str, "");
}

static void test_ctrl_a_in_two_pieces(void **state)
{
    Fixture *f = *state;

    type(f, "a" CTRL_A);
    assert_int_equal(f->quits, 0);
    type(f, "x");
    assert_int_equal(f->quits, 1);
    type(f, "x");
    assert_string_equal(f->reader[0].got->str, "ax");
}

static void test_ctrl_a_twice_sends_one(void **state)
{
    Fixture *f = *state;

    type(f, CTRL_A CTRL_A "b" CTRL_A "a");
    assert_string_equal(f->reader[0].got->str, CTRL_A "b" CTRL_A);
    assert_int_equal(f->reader[0].breaks, 0);
}

static void test_ctrl_a_b_sends_a_break(void **state)
{
    Fixture *f = *state;

    type(f, CTRL_A "b");
    assert_int_equal(f->reader[0].breaks, 1);
    assert_string_equal(f->reader[0].got->str, "");
}

static void test_ctrl_a_h_helps(void **state)
{
    Fixture *f = *state;
    const char *help;

    type(f, CTRL_A "h");
    help = fake_chardev_output(f->backend);
    for (const char *key = "hxcbt"; *key; key++) {
        char line[] = "Ctrl-A ?";

        line[7] = *key;
        assert_non_null(strstr(help, line));
    }
    assert_string_equal(f->reader[0].got->str, "");
}

static void test_an_unknown_key_does_nothing(void **state)
{
    Fixture *f = *state;

    type(f, CTRL_A "z" "z");
    assert_string_equal(f->reader[0].got->str, "z");
    assert_int_equal(f->quits, 0);
}

static void test_ctrl_a_c_without_a_second_front_end(void **state)
{
    Fixture *f = *state;

    type(f, CTRL_A "c" "still here");
    assert_non_null(strstr(fake_chardev_output(f->backend), "no monitor"));
    assert_string_equal(f->reader[0].got->str, "still here");
}

static void test_ctrl_a_c_turns_to_the_next(void **state)
{
    Fixture *f = *state;

    add_port(f, 1, "monitor");
    type(f, "a" CTRL_A "c" "b" CTRL_A "c" "c");
    assert_string_equal(f->reader[0].got->str, "ac");
    assert_string_equal(f->reader[1].got->str, "b");
    assert_non_null(strstr(fake_chardev_output(f->backend), "[monitor]"));
    chardev_mux_set_focus(f->mux, 1);
    type(f, "d");
    assert_string_equal(f->reader[1].got->str, "bd");
    /* Output of both comes through, whoever has the focus. */
    chardev_write(f->port[0], (const uint8_t *)"0", 1);
    chardev_write(f->port[1], (const uint8_t *)"1", 1);
    assert_string_equal(fake_chardev_output(f->backend), "01");
}

static void test_input_waits_until_it_is_taken(void **state)
{
    Fixture *f = *state;

    f->reader[0].room = 3;
    run_main_context(); /* what opening the port has set going */
    type(f, "abcdef");
    assert_string_equal(f->reader[0].got->str, "abc");
    f->reader[0].room = 2;
    run_main_context();
    assert_string_equal(f->reader[0].got->str, "abc"); /* it did not say that it takes more */
    chardev_accept_input(f->port[0]);
    run_main_context();
    assert_string_equal(f->reader[0].got->str, "abcde");
}

static void test_a_full_queue_stops_reading_and_loses_nothing(void **state)
{
    Fixture *f = *state;
    g_autofree char *text = g_malloc(10001);

    memset(text, 'x', 10000);
    text[10000] = 0;
    text[9999] = '!';
    f->reader[0].room = 0;
    type(f, text);
    assert_true(fake_chardev_run(f->backend) > 0);
    f->reader[0].room = SIZE_MAX;
    while (fake_chardev_run(f->backend) || f->reader[0].got->len < 10000) {
        chardev_accept_input(f->port[0]);
        run_main_context();
    }
    assert_string_equal(f->reader[0].got->str, text);
}

/* A guest that takes nothing must not keep the monitor from its input. */
static void test_a_full_queue_of_another_port_does_not_matter(void **state)
{
    Fixture *f = *state;
    g_autofree char *text = g_malloc(4097);

    memset(text, 'x', 4096);
    text[4096] = 0;
    add_port(f, 1, "monitor");
    f->reader[0].room = 0;
    type(f, text);
    assert_int_equal(fake_chardev_run(f->backend), 0);
    chardev_mux_set_focus(f->mux, 1);
    type(f, "info" CTRL_A "x");
    assert_string_equal(f->reader[1].got->str, "info");
    assert_int_equal(f->quits, 1);
}

static void test_back_pressure_passes_through(void **state)
{
    Fixture *f = *state;

    fake_chardev_set_room(f->backend, 2);
    assert_int_equal(chardev_write(f->port[0], (const uint8_t *)"abcd", 4), 2);
    assert_int_equal(f->reader[0].writable, 0);
    fake_chardev_set_room(f->backend, 10);
    assert_int_equal(f->reader[0].writable, 1);
    assert_int_equal(chardev_write(f->port[0], (const uint8_t *)"cd", 2), 2);
    assert_string_equal(fake_chardev_output(f->backend), "abcd");
}

static void test_time_stamps_begin_each_line(void **state)
{
    Fixture *f = *state;
    const char *out;

    chardev_write(f->port[0], (const uint8_t *)"half ", 5);
    type(f, CTRL_A "t");
    chardev_write(f->port[0], (const uint8_t *)"line\nsecond\nthi", 15);
    chardev_write(f->port[0], (const uint8_t *)"rd\n", 3);
    out = fake_chardev_output(f->backend);
    assert_true(g_regex_match_simple("^half line\n"
                                     "\\[00:00:\\d\\d\\.\\d{3}\\] second\n"
                                     "\\[00:00:\\d\\d\\.\\d{3}\\] third\n$",
                                     out, 0, 0));
    type(f, CTRL_A "t");
    chardev_write(f->port[0], (const uint8_t *)"plain\n", 6);
    assert_string_equal(fake_chardev_output(f->backend), "plain\n");
}

static void test_time_stamps_under_back_pressure_are_whole(void **state)
{
    Fixture *f = *state;
    const char *text = "one\ntwo\n";
    g_autoptr(GString) all = g_string_new(NULL);
    size_t done = 0;

    type(f, CTRL_A "t");
    chardev_write(f->port[0], (const uint8_t *)"\n", 1);
    fake_chardev_output(f->backend);
    for (unsigned i = 0; i < 200 && done < strlen(text); i++) {
        fake_chardev_set_room(f->backend, 1);
        done += chardev_write(f->port[0], (const uint8_t *)text + done, strlen(text) - done);
        g_string_append(all, fake_chardev_output(f->backend));
    }
    assert_true(g_regex_match_simple("^\\[[0-9:.]{12}\\] one\n\\[[0-9:.]{12}\\] two\n$", all->str, 0,
                                     0));
}

static void test_events_reach_every_port(void **state)
{
    Fixture *f = *state;

    add_port(f, 1, "monitor");
    fake_chardev_event(f->backend, CHARDEV_CLOSED);
    assert_int_equal(f->reader[0].closed, 1);
    assert_int_equal(f->reader[1].closed, 1);
    fake_chardev_event(f->backend, CHARDEV_OPENED);
    assert_int_equal(f->reader[0].opened, 2);
}

static void test_description_names_the_back_end(void **state)
{
    Fixture *f = *state;
    g_autofree char *text = chardev_description(f->port[0]);

    assert_non_null(strstr(text, "fake"));
    assert_string_equal(chardev_label(f->port[0]), "serial0");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_text_passes_both_ways),
        T(test_ctrl_a_x_quits_even_when_nothing_is_taken),
        T(test_ctrl_a_in_two_pieces),
        T(test_ctrl_a_twice_sends_one),
        T(test_ctrl_a_b_sends_a_break),
        T(test_ctrl_a_h_helps),
        T(test_an_unknown_key_does_nothing),
        T(test_ctrl_a_c_without_a_second_front_end),
        T(test_ctrl_a_c_turns_to_the_next),
        T(test_input_waits_until_it_is_taken),
        T(test_a_full_queue_stops_reading_and_loses_nothing),
        T(test_a_full_queue_of_another_port_does_not_matter),
        T(test_back_pressure_passes_through),
        T(test_time_stamps_begin_each_line),
        T(test_time_stamps_under_back_pressure_are_whole),
        T(test_events_reach_every_port),
        T(test_description_names_the_back_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
