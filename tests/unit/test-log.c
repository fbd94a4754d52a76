/* SPDX-License-Identifier: MIT */
/* The log. */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "tessera/util/error.h"
#include "tessera/util/log.h"

static char *path;

static int set_up(void **state)
{
    g_autofree char *dir = g_dir_make_tmp("tessera-log-XXXXXX", NULL);

    path = g_build_filename(dir, "log", NULL);
    return 0;
}

static int tear_down(void **state)
{
    g_autofree char *dir = g_path_get_dirname(path);

    log_close();
    g_unlink(path);
    g_rmdir(dir);
    g_clear_pointer(&path, g_free);
    return 0;
}

static char *contents(void)
{
    char *text = NULL;

    g_file_get_contents(path, &text, NULL, NULL);
    return text;
}

static int evaluated;

static int evaluate(void)
{
    evaluated++;
    return 7;
}

static void test_log_item_writes_what_is_on(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;

    assert_true(log_configure("exits,slots", path, &error));
    assert_true(log_enabled(LOG_EXIT));
    assert_true(log_enabled(LOG_SLOT | LOG_BOOT));
    assert_false(log_enabled(LOG_BOOT));
    evaluated = 0;
    log_item(LOG_EXIT, "port 0x%x size %d", 0x3f8, evaluate());
    log_item(LOG_BOOT, "never %d", evaluate());
    assert_int_equal(evaluated, 1);
    text = contents();
    assert_non_null(text);
    assert_true(
        g_regex_match_simple("^\\[ *[0-9]+\\.[0-9]{6}\\] exits: port 0x3f8 size 7\n$", text, 0, 0));
}

static void test_log_configure_items(void **state)
{
    static const struct {
        const char *items;
        unsigned mask;
    } cases[] = {
        { "exits", LOG_EXIT },
        { "all", UINT_MAX },
        { "none", 0 },
        { "exits,none,boot", LOG_BOOT },
        { "all,-exits", UINT_MAX & ~LOG_EXIT },
        { "exits,-exits", 0 },
        { "guest_errors,unimp", LOG_GUEST_ERROR | LOG_UNIMP },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        assert_true(log_configure(cases[i].items, NULL, NULL));
        assert_int_equal(atomic_load(&log_items_on), cases[i].mask);
    }
    assert_true(log_configure(NULL, path, NULL)); /* the items stay */
    assert_true(log_enabled(LOG_UNIMP));
}

static void test_log_configure_refuses_unknown_item(void **state)
{
    static const char *const bad[] = { "exist", "exits,", "EXITS,xx", "-", "" };
    GError *error = NULL;

    assert_true(log_configure("boot", path, NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        assert_false(log_configure(bad[i], NULL, &error));
        assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND));
        assert_non_null(strstr(error->message, "-d"));
        if (i == 0) {
            assert_non_null(strstr(error->message, "'exits'"));
        }
        g_clear_error(&error);
        assert_int_equal(atomic_load(&log_items_on), LOG_BOOT); /* as before */
    }
}

static void test_log_configure_refuses_bad_file(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;

    assert_true(log_configure("boot", path, NULL));
    assert_false(log_configure("exits", "/nonexistent/dir/log", &error));
    assert_non_null(strstr(error->message, "/nonexistent/dir/log"));
    assert_int_equal(atomic_load(&log_items_on), LOG_BOOT);
    log_item(LOG_BOOT, "still here");
    text = contents();
    assert_non_null(strstr(text, "still here"));
}

/* Nobody opens the other end of it: whoever waited would wait for ever. */
static void test_log_configure_refuses_pipe_without_reader(void **state)
{
    g_autoptr(GError) error = NULL;
    int reader;

    g_unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(log_configure("unimp", path, &error));
    assert_non_null(strstr(error->message, path));
    assert_non_null(strstr(error->message, "start the reader"));
    g_clear_error(&error);
    reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(log_configure("unimp", path, &error));
    log_close();
    close(reader);
}

static void test_log_configure_pid_in_path(void **state)
{
    g_autofree char *pattern = g_strconcat(path, "-%d", NULL);
    g_autofree char *real = g_strdup_printf("%s-%d", path, (int)getpid());

    assert_true(log_configure("boot", pattern, NULL));
    assert_int_equal(access(real, F_OK), 0);
    g_unlink(real);
}

static void test_log_items_help_names_all(void **state)
{
    g_autofree char *help = log_items_help();
    static const char *const names[] = { "guest_errors", "exits", "commits", "slots",
                                         "boot",         "char",  "ram",     "all" };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        assert_non_null(strstr(help, names[i]));
    }
}

#define THREADS 4
#define LINES   500

static void *writer(void *opaque)
{
    for (int i = 0; i < LINES; i++) {
        log_item(LOG_CHAR, "%s", (const char *)opaque);
    }
    return NULL;
}

static void test_log_item_lines_do_not_mix(void **state)
{
    static const char *const words[THREADS] = { "aaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbb",
                                                "cccccc", "dddddddddddddddddd" };
    pthread_t threads[THREADS];
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    int counts[THREADS] = { 0 };

    assert_true(log_configure("char", path, NULL));
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, writer, (void *)words[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    text = contents();
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line && **line; line++) {
        const char *word = strstr(*line, "char: ");

        assert_non_null(word);
        word += strlen("char: ");
        for (int i = 0; i < THREADS; i++) {
            counts[i] += g_str_equal(word, words[i]);
        }
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(counts[i], LINES);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_log_item_writes_what_is_on),         T(test_log_configure_items),
        T(test_log_configure_refuses_unknown_item), T(test_log_configure_refuses_bad_file),
        T(test_log_configure_refuses_pipe_without_reader),
        T(test_log_configure_pid_in_path),          T(test_log_items_help_names_all),
        T(test_log_item_lines_do_not_mix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
