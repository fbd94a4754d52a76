/* SPDX-License-Identifier: MIT */
/* Line editing: keys go in, lines and a screen come out; several editors at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../support/fake-chardev.h"
#include "support/monitor-fixture.h"
#include "tessera/chardev/mux.h"

#define PATIENCE_S 60 /* then something hangs */
#define PROMPT     "> "

typedef struct Fixture {
    LineEditor *editor;
    GString *screen;
    GPtrArray *lines; /* as entered */
    GPtrArray *asked; /* to be completed */
    const char *const *words; /* the answer */
    bool busy;
    const char *notice; /* NULL: none */
    unsigned rooms;
} Fixture;

static void on_line(void *opaque, const char *line)
{
    Fixture *f = opaque;

    g_ptr_array_add(f->lines, g_strdup(line));
    g_string_append_printf(f->screen, "<%s>", line);
}

static GPtrArray *on_complete(void *opaque, const char *line)
{
    Fixture *f = opaque;
    GPtrArray *words = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(f->asked, g_strdup(line));
    for (const char *const *word = f->words; word && *word; word++) {
        g_ptr_array_add(words, g_strdup(*word));
    }
    return words;
}

static bool on_notices(void *opaque, const char *erase)
{
    Fixture *f = opaque;

    if (!f->notice) {
        return false;
    }
    g_string_append_printf(f->screen, "%s%s\r\n", erase, f->notice);
    f->notice = NULL;
    return true;
}

static void on_output(void *opaque, const char *buf, size_t len)
{
    g_string_append_len(((Fixture *)opaque)->screen, buf, len);
}

static bool on_ready(void *opaque)
{
    return !((Fixture *)opaque)->busy;
}

static void on_room(void *opaque)
{
    ((Fixture *)opaque)->rooms++;
}

static const LineEditorOps ops = { on_line, on_complete, on_notices, on_output, on_ready, on_room };

static Fixture *fixture_new(void)
{
    Fixture *f = g_new0(Fixture, 1);
    g_autoptr(GError) error = NULL;

    f->screen = g_string_new(NULL);
    f->lines = g_ptr_array_new_with_free_func(g_free);
    f->asked = g_ptr_array_new_with_free_func(g_free);
    f->editor = line_editor_new(PROMPT, &ops, f, &error);
    assert_non_null(f->editor);
    return f;
}

static void fixture_free(Fixture *f)
{
    line_editor_free(f->editor);
    g_string_free(f->screen, TRUE);
    g_ptr_array_unref(f->lines);
    g_ptr_array_unref(f->asked);
    g_free(f);
}

static int setup(void **state)
{
    *state = fixture_new();
    return 0;
}

static int teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

static gboolean on_patience_end(gpointer opaque)
{
    *(bool *)opaque = true;
    return G_SOURCE_REMOVE;
}

/* Runs the main loop until @condition; a hang fails. */
#define run_until(condition)                                                                 \
    do {                                                                                     \
        bool hangs_ = false;                                                                 \
        guint patience_ = g_timeout_add_seconds(PATIENCE_S, on_patience_end, &hangs_);       \
        while (!(condition) && !hangs_) {                                                    \
            g_main_context_iteration(NULL, TRUE);                                            \
        }                                                                                    \
        if (hangs_) {                                                                        \
            fail_msg("line %d: this never came: %s", __LINE__, #condition);                  \
        }                                                                                    \
        g_source_remove(patience_);                                                          \
    } while (0)

static void type(Fixture *f, const char *keys)
{
    line_editor_feed(f->editor, (const uint8_t *)keys, strlen(keys));
}

/* The line that @keys and Enter make. */
static const char *enter(Fixture *f, const char *keys)
{
    guint before = f->lines->len;

    type(f, keys);
    type(f, "\r");
    run_until(f->lines->len > before);
    return f->lines->pdata[before];
}

static void test_prompt_line_and_output_in_order(void **state)
{
    Fixture *f = *state;

    assert_string_equal(enter(f, "info status"), "info status");
    run_until(g_str_has_suffix(f->screen->str, ">" PROMPT));
    assert_string_equal(f->screen->str, PROMPT "info status\r\n<info status>" PROMPT);
}

static void test_keys_move_and_delete(void **state)
{
    static const char *const cases[][2] = {
        { "stpo\x7f\x7fop", "stop" },          /* backspace */
        { "stpo\b\bop", "stop" },
        { "sop\033[D\033[Dt", "stop" },        /* left */
        { "stp\x02o", "stop" },                /* Ctrl-B */
        { "top\x01s", "stop" },                /* Ctrl-A */
        { "top\033[Hs\033[Fx", "stopx" },      /* Home, End */
        { "top\033OHs", "stop" },
        { "xstop\x01\033[3~", "stop" },        /* Delete */
        { "xstop\x01\x04", "stop" },           /* Ctrl-D */
        { "stop it\x01\x06\x06\x06\x06\x0b", "stop" }, /* Ctrl-F, Ctrl-K */
        { "nonsense\x15stop", "stop" },        /* Ctrl-U */
        { "stop that\x17it", "stop it" },      /* Ctrl-W */
        { "nonsense\x03stop", "stop" },        /* Ctrl-C */
        { "\x04\x04stop\x04", "stop" },        /* Ctrl-D ends nothing */
        { "\x1a\x1c\x13\x11stop", "stop" },    /* Ctrl-Z, Ctrl-\, Ctrl-S, Ctrl-Q */
        { "  stop", "  stop" },
        { "", "" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        assert_string_equal(enter(*state, cases[i][0]), cases[i][1]);
    }
}

static void test_history(void **state)
{
    Fixture *f = *state;

    enter(f, "first");
    enter(f, "second");
    enter(f, "second");
    enter(f, "third");
    assert_string_equal(enter(f, "\033[A"), "third");
    assert_string_equal(enter(f, "\033[A\033[A"), "second");
    assert_string_equal(enter(f, "\033OA\033OA\033OB!"), "second!");
    assert_string_equal(enter(f, "\x10\x10\x0e?"), "second!?"); /* Ctrl-P, Ctrl-N */
}

static void test_search_in_history(void **state)
{
    static const char *const lines[] = { "object_add first", "info status", "object_del größe",
                                         "info name", NULL };
    static const char *const cases[][2] = { /* Ctrl-R is \x12 */
        { "\x12stat\033", "info status" },
        { "\x12stat", "info status" },          /* Enter ends the search and enters the line */
        { "typed\x12stat\x07", "typed" },       /* Ctrl-G */
        { "typed\x12zzz\033", "typed" },
        { "typed\x12\033", "typed" },
        { "\x12object\x12\033", "object_add first" },
        { "\x12object\x12\x12\x12\033", "object_add first" }, /* no further */
        { "\x12stax\x7ft\b\033!", "info status!" },
        { "\x12größx\be\033", "größe" },
        { "\x12größ\033", "object_del größe" },
        { "\x12stat\x01x", "xinfo status" },    /* Ctrl-A acts on the line that was found */
        { "\x12stat\x03stop", "stop" },         /* Ctrl-C */
        { "\x12stat\036stop", "stop" },
        { "\033pab\033nc\033xd", "abcd" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Fixture *f = fixture_new();

        for (const char *const *line = lines; *line; line++) {
            enter(f, *line);
        }
        if (i == 8) {
            enter(f, "größe");
        }
        assert_string_equal(enter(f, cases[i][0]), cases[i][1]);
        fixture_free(f);
    }
}

/* More than libedit has room for behind a line. */
static void test_search_for_more_than_a_line(void **state)
{
    Fixture *f = *state;
    g_autofree char *long_line = g_strnfill(1000, 'x');
    g_autofree char *pattern = g_strnfill(3000, 'y');
    g_autofree char *keys = g_strconcat(long_line, "\x12", pattern, "\x07", NULL);

    enter(f, "yyy");
    assert_string_equal(enter(f, keys), long_line);
}

static void test_tab_inserts_the_only_word(void **state)
{
    static const char *const words[] = { "status", NULL };
    static const char *const property[] = { "pc-dimm,id=", NULL };
    Fixture *f = *state;

    f->words = words;
    assert_string_equal(enter(f, "info sta\tnow"), "info status now");
    assert_string_equal(f->asked->pdata[0], "info sta");
    f->words = property;
    assert_string_equal(enter(f, "add pc\t7"), "add pc-dimm,id=7");
}

static void test_tab_in_the_middle_of_a_line(void **state)
{
    static const char *const words[] = { "status", NULL };
    Fixture *f = *state;

    f->words = words;
    assert_string_equal(enter(f, "info staX\x02\t"), "info status X");
    assert_string_equal(f->asked->pdata[0], "info sta");
}

static void test_tab_inserts_what_all_have_in_common(void **state)
{
    static const char *const words[] = { "memory-devices", "memory-plan", "memory-resize", NULL };
    Fixture *f = *state;

    f->words = words;
    assert_string_equal(enter(f, "info me\tx"), "info memory-x");
    assert_null(strstr(f->screen->str, "devices"));
}

static void test_tab_shows_the_words(void **state)
{
    static const char *const words[] = { "memdev", "memory", NULL };
    Fixture *f = *state;

    f->words = words;
    type(f, "info mem\t");
    run_until(strstr(f->screen->str, "memdev  memory\r\n"));
    assert_string_equal(enter(f, "d"), "info memd");
}

static void test_tab_without_words_changes_nothing(void **state)
{
    assert_string_equal(enter(*state, "zz\t\tx"), "zzx");
}

static void test_redraw_keeps_the_line(void **state)
{
    Fixture *f = *state;

    type(f, "half a");
    run_until(strstr(f->screen->str, "half a"));
    g_string_truncate(f->screen, 0);
    line_editor_redraw(f->editor);
    run_until(strstr(f->screen->str, PROMPT "half a"));
    assert_string_equal(enter(f, " line"), "half a line");
}

/* Notices. */

static void announce(Fixture *f, const char *notice)
{
    f->notice = notice;
    line_editor_announce(f->editor);
}

static void test_notice_takes_the_place_of_the_prompt(void **state)
{
    Fixture *f = *state;

    run_until(strcmp(f->screen->str, PROMPT) == 0);
    announce(f, "dimm1: gone");
    run_until(strstr(f->screen->str, "gone\r\n" PROMPT));
    assert_string_equal(f->screen->str, PROMPT "\r\033[Jdimm1: gone\r\n" PROMPT);
}

static void test_notice_keeps_the_line_and_the_cursor(void **state)
{
    Fixture *f = *state;

    type(f, "half a\x02");
    run_until(g_str_has_suffix(f->screen->str, "half a\b"));
    announce(f, "gone");
    run_until(strstr(f->screen->str, "\r\033[Jgone\r\n" PROMPT "half a\b"));
    assert_string_equal(enter(f, "just "), "half just a");
}

static unsigned count(const char *text, const char *part)
{
    unsigned n = 0;

    for (; (text = strstr(text, part)) != NULL; text++) {
        n++;
    }
    return n;
}

/* What is erased is what the line takes, and not what stands above it. */
static void test_notice_erases_every_row_of_the_line(void **state)
{
    /* Eighty columns, two of which are the prompt's; the cursor is behind the line. */
    static const struct { const char *letter; unsigned count, rows; } cases[] = {
        { "x", 77, 0 },  { "x", 78, 1 },  { "x", 157, 1 }, { "x", 158, 2 },
        { "日", 38, 0 }, { "日", 39, 1 }, { "日", 78, 1 }, { "\x16\x01", 38, 0 },
        { "\x16\x01", 39, 1 }, { "a日", 26, 1 }, { "e\xcc\x81", 70, 1 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Fixture *f = fixture_new();
        g_autoptr(GString) keys = g_string_new(NULL);
        const char *gone;

        for (unsigned n = 0; n < cases[i].count; n++) {
            g_string_append(keys, cases[i].letter);
        }
        g_string_append(keys, "\t"); /* asked: then the keys before it were taken */
        type(f, keys->str);
        run_until(f->asked->len == 1);
        if (count(f->screen->str, "\n") != cases[i].rows) { /* libedit's own */
            fail_msg("case %zu: libedit has %u rows", i, count(f->screen->str, "\n"));
        }
        g_string_truncate(f->screen, 0);
        announce(f, "gone\r\n" PROMPT);
        run_until((gone = strstr(f->screen->str, "\r\033[Jgone")) != NULL);
        for (unsigned row = 0; row < cases[i].rows; row++) {
            gone -= strlen("\033[A");
            if (gone < f->screen->str || !g_str_has_prefix(gone, "\033[A")) {
                fail_msg("case %zu: not %u rows", i, cases[i].rows);
            }
        }
        if (gone > f->screen->str && gone[-1] == 'A') {
            fail_msg("case %zu: more than %u rows", i, cases[i].rows);
        }
        fixture_free(f);
    }
}

/* Keys that wait for another one, or that change what the screen shows. */
static void test_notice_between_keys_that_belong_together(void **state)
{
    static const char *const cases[][2] = {
        { "stop\x16", "\x01\x7f" },      /* Ctrl-V */
        { "sop\033", "[D\033[Dt" },
        { "sto\xc3", "\xa4\x7fp" },      /* half an ä */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Fixture *f = fixture_new();

        type(f, cases[i][0]);
        run_until(strstr(f->screen->str, i == 1 ? "sop" : "sto"));
        announce(f, "gone");
        run_until(strstr(f->screen->str, "gone\r\n" PROMPT));
        assert_string_equal(enter(f, cases[i][1]), "stop");
        fixture_free(f);
    }
}

static void test_notice_waits_for_the_end_of_a_search(void **state)
{
    Fixture *f = *state;

    enter(f, "info status");
    type(f, "\x12stat");
    run_until(strstr(f->screen->str, "(search 'stat') info status"));
    announce(f, "gone");
    for (unsigned i = 0; i < 100; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
    assert_non_null(f->notice);
    type(f, "\033");
    run_until(strstr(f->screen->str, "gone\r\n" PROMPT "info status"));
    assert_string_equal(enter(f, "!"), "info status!");
}

static void test_notice_that_is_none_any_more_draws_nothing(void **state)
{
    Fixture *f = *state;

    type(f, "half");
    run_until(g_str_has_suffix(f->screen->str, PROMPT "half"));
    line_editor_announce(f->editor);
    assert_string_equal(enter(f, ""), "half");
    assert_string_equal(f->screen->str, PROMPT "half\r\n<half>");
}

static void test_notice_waits_until_ready(void **state)
{
    Fixture *f = *state;

    run_until(strcmp(f->screen->str, PROMPT) == 0);
    f->busy = true;
    announce(f, "gone");
    for (unsigned i = 0; i < 100; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
    assert_non_null(f->notice);
    f->busy = false;
    line_editor_resume(f->editor);
    run_until(strstr(f->screen->str, "gone\r\n" PROMPT));
}

/* Whatever the locale of the program: a file's name must not lose letters. */
static void test_letters_beyond_ascii(void **state)
{
    Fixture *f = *state;

    assert_string_equal(enter(f, "memsave /tmp/größe-日本.bin"), "memsave /tmp/größe-日本.bin");
    assert_string_equal(enter(f, "日本\x7f語"), "日語");
    assert_string_equal(enter(f, "äöü\x01\x04\x06" "x"), "öxü");
    assert_string_equal(enter(f, "äöü nonsense\x03stop"), "stop");
    assert_string_equal(enter(f, "äöü nonsense\036stop"), "stop");
    assert_string_equal(enter(f, "\xff\xc3stop"), "stop"); /* no letters at all */
    /* A letter of six bytes, as there once were: libedit would end the program. */
    assert_string_equal(enter(f, "\xfc\x91\x9a\x9c\xa4\xbdstop"), "stop");
}

static void test_long_lines_and_wide_ones(void **state)
{
    g_autofree char *line = g_strnfill(900, 'x');
    g_autofree char *keys = g_strconcat(line, "\x01y\x05z", NULL);
    g_autofree char *wanted = g_strconcat("y", line, "z", NULL);

    assert_string_equal(enter(*state, keys), wanted);
}

/* More than any terminal keeps, at once: every line arrives, in order. */
static void test_pasted_lines_are_not_lost(void **state)
{
    Fixture *f = *state;
    g_autoptr(GString) text = g_string_new(NULL);
    size_t done = 0;

    for (unsigned i = 0; i < 2000; i++) {
        g_string_append_printf(text, "this is line number %u\r", i);
    }
    while (f->lines->len < 2000) {
        size_t n = MIN(line_editor_can_feed(f->editor), text->len - done);

        line_editor_feed(f->editor, (const uint8_t *)text->str + done, n);
        done += n;
        g_string_truncate(f->screen, 0);
        g_main_context_iteration(NULL, TRUE);
    }
    for (unsigned i = 0; i < 2000; i++) {
        g_autofree char *line = g_strdup_printf("this is line number %u", i);

        assert_string_equal(f->lines->pdata[i], line);
    }
}

static void test_requests_wait_until_ready(void **state)
{
    Fixture *f = *state;

    f->busy = true;
    type(f, "one\rtwo\r");
    run_until(strstr(f->screen->str, "one\r\n"));
    for (unsigned i = 0; i < 100; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
    assert_int_equal(f->lines->len, 0);
    f->busy = false;
    line_editor_resume(f->editor);
    run_until(f->lines->len == 2);
}

static void test_several_edit_at_once(void **state)
{
    enum { EDITORS = 6, LINES = 30 };
    Fixture *all[EDITORS];

    for (unsigned i = 0; i < EDITORS; i++) {
        all[i] = fixture_new();
    }
    for (unsigned n = 0; n < LINES; n++) {
        for (unsigned part = 0; part < 3; part++) {
            for (unsigned i = 0; i < EDITORS; i++) {
                g_autofree char *keys = part == 0   ? g_strdup_printf("xeditor %u", i)
                                        : part == 1 ? g_strdup("\x01\033[3~\x05 lime\b\bne")
                                                    : g_strdup_printf(" %u\r", n);

                type(all[i], keys);
                g_main_context_iteration(NULL, FALSE);
            }
        }
    }
    for (unsigned i = 0; i < EDITORS; i++) {
        run_until(all[i]->lines->len == LINES);
        for (unsigned n = 0; n < LINES; n++) {
            g_autofree char *line = g_strdup_printf("editor %u line %u", i, n);

            assert_string_equal(all[i]->lines->pdata[n], line);
        }
    }
    for (unsigned i = 0; i < EDITORS; i++) {
        fixture_free(all[i]);
    }
}

static void test_free_at_any_moment(void **state)
{
    static const char *const keys[] = { "", "half", "done\r", "one\rtwo\rthree\r", "x\t", "\x12se" };

    line_editor_free(NULL);
    for (unsigned i = 0; i < 60; i++) {
        Fixture *f = fixture_new();

        f->busy = i & 1; /* a request that nobody answers */
        type(f, keys[i % G_N_ELEMENTS(keys)]);
        for (unsigned n = 0; n < i / G_N_ELEMENTS(keys); n++) {
            g_main_context_iteration(NULL, FALSE);
        }
        fixture_free(f);
    }
}

static void test_random_keys(void **state)
{
    static const char *const special[] = {
        "\033[A", "\033[B", "\033[C", "\033[D", "\t", "\r", "\x01", "\x05", "\x0b", "\x15", "\x17",
        "\x7f", "\x03", "\x04", "\x12", "\x14", "\x19", "\033", "\x16", "\x1f", "\x18", "\x1d",
        "ä", "日本", "e\xcc\x81", "\xf0\x9f\x98\x80", "\xf8\x88\x80\x80\x80",
        "\xfc\x91\x9a\x9c\xa4\xbd", "\xf7\xbf\xbf\xbf", "a line of many words, ",
    };
    static const char *const words[] = { "status", "stop", NULL };
    const char *given = getenv("TESSERA_SEED");
    guint32 seed = given ? (guint32)strtoul(given, NULL, 0) : 20260731;
    GRand *rand = g_rand_new_with_seed(seed);
    Fixture *f = *state;

    printf("# line-editor: TESSERA_SEED=%u\n", seed);
    f->words = words;
    for (unsigned i = 0; i < 3000; i++) {
        char byte[2] = { (char)g_rand_int_range(rand, 1, 256), 0 };

        if (line_editor_can_feed(f->editor) > 16) {
            type(f, g_rand_boolean(rand) ? byte
                                         : special[g_rand_int_range(rand, 0, G_N_ELEMENTS(special))]);
        }
        g_main_context_iteration(NULL, FALSE);
    }
    type(f, "\r\r\x03\r\r\x03the end\r");
    run_until(f->lines->len && g_str_has_suffix(f->lines->pdata[f->lines->len - 1], "the end"));
    g_rand_free(rand);
}

/* HMP monitors with an editor each. */

typedef struct Hmp {
    MonitorFixture *f;
    Chardev *chr;
    GString *screen;
} Hmp;

static void open_hmp(Hmp *h)
{
    h->f = monitor_fixture_new("-S");
    h->chr = fake_chardev_new();
    h->screen = g_string_new(NULL);
}

static void close_hmp(Hmp *h, ChardevMux *mux)
{
    monitor_fixture_free(h->f);
    if (mux) {
        chardev_mux_free(mux);
    } else {
        chardev_free(h->chr);
    }
    g_string_free(h->screen, TRUE);
}

static bool shows(Hmp *h, const char *text)
{
    g_string_append(h->screen, fake_chardev_output(h->chr));
    return strstr(h->screen->str, text) != NULL;
}

static void press(Hmp *h, const char *keys)
{
    g_string_truncate(h->screen, 0);
    fake_chardev_input(h->chr, keys, strlen(keys));
}

static void test_hmp_monitor_runs_lines(void **state)
{
    Hmp h;

    open_hmp(&h);
    monitor_hub_add(h.f->hub, h.chr, MONITOR_HMP);
    run_until(shows(&h, "type 'help' for more information\r\n(tessera) "));
    press(&h, "info statu\t\r");
    run_until(shows(&h, "\r\nVM status: paused (prelaunch)\r\n(tessera) "));
    press(&h, "info nope\r");
    run_until(shows(&h, "\r\nError: unknown command: 'info nope'"));
    close_hmp(&h, NULL);
}

static void test_hmp_monitor_greets_each_client(void **state)
{
    LineEditor *first;
    Monitor *mon;
    Hmp h;

    open_hmp(&h);
    monitor_hub_add(h.f->hub, h.chr, MONITOR_HMP);
    run_until(shows(&h, "(tessera) "));
    mon = h.f->hub->monitors->pdata[0];
    first = mon->editor;
    for (unsigned i = 0; i < 10; i++) {
        press(&h, i & 1 ? "half a li" : "\x12half a \x16");
        fake_chardev_event(h.chr, CHARDEV_CLOSED);
        g_string_truncate(h.screen, 0);
        fake_chardev_event(h.chr, CHARDEV_OPENED);
        run_until(shows(&h, "more information\r\n"));
        press(&h, "info name\r");
        run_until(shows(&h, "info name\r\n(tessera) "));
        assert_null(strstr(h.screen->str, "Error"));
        assert_ptr_equal(mon->editor, first); /* one for all: each costs memory for good */
    }
    close_hmp(&h, NULL);
}

/* On a multiplexer nothing is written before somebody turns to the monitor. */
static void test_hmp_monitor_on_a_multiplexer(void **state)
{
    ChardevMux *mux;
    Chardev *port;
    Hmp h;

    open_hmp(&h);
    mux = chardev_mux_new(h.chr, NULL, NULL);
    chardev_mux_add_port(mux, "serial0");
    port = chardev_mux_add_port(mux, "monitor");
    monitor_hub_add(h.f->hub, port, MONITOR_HMP);
    for (unsigned i = 0; i < 20; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
    assert_string_equal(fake_chardev_output(h.chr), "");
    press(&h, "\x01" "c");
    run_until(shows(&h, "[monitor]\r\nTessera "));
    run_until(shows(&h, "(tessera) "));
    press(&h, "stop\x01" "c");
    run_until(shows(&h, "[serial0]\r\n"));
    press(&h, "\x01" "c");
    run_until(shows(&h, "(tessera) stop"));
    assert_false(shows(&h, "more information"));
    close_hmp(&h, mux);
}

static void test_hmp_answers_that_nobody_reads_are_bounded(void **state)
{
    Monitor *mon;
    Hmp h;

    open_hmp(&h);
    monitor_hub_add(h.f->hub, h.chr, MONITOR_HMP);
    mon = h.f->hub->monitors->pdata[0];
    run_until(shows(&h, "(tessera) "));
    fake_chardev_set_room(h.chr, 0);
    for (unsigned i = 0; i < 400; i++) {
        fake_chardev_input(h.chr, "info mtree\r", strlen("info mtree\r"));
        g_main_context_iteration(NULL, FALSE);
    }
    run_until(mon->out->len > (256u << 10));
    for (unsigned i = 0; i < 1000; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
    assert_true(mon->out->len < (512u << 10));
    fake_chardev_set_room(h.chr, SIZE_MAX);
    fake_chardev_run(h.chr);
    fake_chardev_input(h.chr, "info status\r", strlen("info status\r"));
    run_until((fake_chardev_run(h.chr), shows(&h, "VM status: ")));
    close_hmp(&h, NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_prompt_line_and_output_in_order),
        T(test_keys_move_and_delete),
        T(test_history),
        T(test_search_in_history),
        T(test_search_for_more_than_a_line),
        T(test_tab_inserts_the_only_word),
        T(test_tab_in_the_middle_of_a_line),
        T(test_tab_inserts_what_all_have_in_common),
        T(test_tab_shows_the_words),
        T(test_tab_without_words_changes_nothing),
        T(test_redraw_keeps_the_line),
        T(test_notice_takes_the_place_of_the_prompt),
        T(test_notice_keeps_the_line_and_the_cursor),
        cmocka_unit_test(test_notice_erases_every_row_of_the_line),
        cmocka_unit_test(test_notice_between_keys_that_belong_together),
        T(test_notice_waits_for_the_end_of_a_search),
        T(test_notice_that_is_none_any_more_draws_nothing),
        T(test_notice_waits_until_ready),
        T(test_letters_beyond_ascii),
        T(test_long_lines_and_wide_ones),
        T(test_pasted_lines_are_not_lost),
        T(test_requests_wait_until_ready),
        cmocka_unit_test(test_several_edit_at_once),
        cmocka_unit_test(test_free_at_any_moment),
        T(test_random_keys),
        cmocka_unit_test(test_hmp_monitor_runs_lines),
        cmocka_unit_test(test_hmp_monitor_greets_each_client),
        cmocka_unit_test(test_hmp_monitor_on_a_multiplexer),
        cmocka_unit_test(test_hmp_answers_that_nobody_reads_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
