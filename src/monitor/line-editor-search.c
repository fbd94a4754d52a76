/* SPDX-License-Identifier: MIT */
/* LineEditor, its thread: Ctrl-R, the search through the lines that were entered before. */
#include "line-editor-internal.h"

#include <histedit.h>
#include <stdio.h>
#include <string.h>

/*
 * libedit has one, which keeps what it looks for in variables that all editors of the process share,
 * and writes behind the end of its line when that is long.
 */

#define PATTERN_MAX 128 /* bytes */

#define KEY_CANCEL    0x07 /* Ctrl-G */
#define KEY_BACKSPACE 0x08
#define KEY_AGAIN     0x12 /* Ctrl-R */
#define KEY_ESCAPE    0x1b
#define KEY_DELETE    0x7f

/*
 * @nth: matches that Ctrl-R has gone past, from the newest on
 * @found: the line that is shown, NULL: none has the pattern
 */
typedef struct Search {
    LineEditor *editor;
    EditLine *el;
    GString *pattern;
    unsigned nth;
    char *found;
    bool cancelled;
} Search;

static char *find(const Search *s, unsigned nth)
{
    HistEvent event;

    for (int at = history(s->editor->past, &event, H_FIRST); at >= 0 && s->pattern->len;
         at = history(s->editor->past, &event, H_NEXT)) {
        if (strstr(event.str, s->pattern->str) && nth-- == 0) {
            return g_strdup(event.str);
        }
    }
    return NULL;
}

/* The part of @line that fits on the screen behind @used columns; no control characters. */
static char *shown_part(const char *line, unsigned columns, glong used)
{
    g_autofree char *valid = g_utf8_make_valid(line, -1);
    glong room = MAX((glong)columns - 1 - used, 0);
    char *part = g_utf8_substring(valid, 0, MIN(g_utf8_strlen(valid, -1), room));

    for (char *p = part; *p; p++) {
        *p = g_ascii_iscntrl(*p) ? '?' : *p;
    }
    return part;
}

/* Over the prompt and the line, which the caller shows again. */
static void show(const Search *s)
{
    g_autofree char *prompt = g_strdup_printf("(search '%s') ", s->pattern->str);
    g_autofree char *part = shown_part(s->found ? s->found : "", s->editor->columns,
                                       g_utf8_strlen(prompt, -1));
    FILE *out = NULL;

    el_get(s->el, EL_GETFP, 1, &out);
    fprintf(out, "\r\033[K%s%s", prompt, part);
    fflush(out);
}

static void look(Search *s, unsigned nth)
{
    s->nth = nth;
    g_free(s->found);
    s->found = find(s, nth);
}

static void look_further(Search *s)
{
    char *next = find(s, s->nth + 1);

    if (next) {
        g_free(s->found);
        s->found = next;
        s->nth++;
    }
}

static void remove_letter(GString *pattern)
{
    const char *end = pattern->str + pattern->len;

    if (pattern->len) {
        g_string_truncate(pattern, (gsize)(g_utf8_prev_char(end) - pattern->str));
    }
}

static void add_letter(GString *pattern, gunichar letter)
{
    if (g_unichar_validate(letter) && pattern->len < PATTERN_MAX) {
        g_string_append_unichar(pattern, letter);
    }
}

/* Returns: the search goes on. A key that means nothing here ends it and acts on what was found. */
static bool take_key(Search *s, wchar_t key)
{
    wchar_t again[] = { key, 0 };

    if (key == KEY_AGAIN) {
        look_further(s);
        return true;
    }
    if (key == KEY_BACKSPACE || key == KEY_DELETE) {
        remove_letter(s->pattern);
    } else if (key >= ' ') {
        add_letter(s->pattern, (gunichar)key);
    } else {
        s->cancelled = key == KEY_CANCEL;
        if (!s->cancelled && key != KEY_ESCAPE) {
            el_wpush(s->el, again);
        }
        return false;
    }
    look(s, 0);
    return true;
}

static void run(Search *s)
{
    wchar_t key;

    do {
        show(s);
    } while (el_wgetc(s->el, &key) == 1 && take_key(s, key));
}

unsigned char line_editor_search(struct editline *el, int key)
{
    Search s = { .el = el, .pattern = g_string_new(NULL) };

    el_get(el, EL_CLIENTDATA, &s.editor);
    s.editor->searching = true;
    run(&s);
    s.editor->searching = false;
    if (s.found && !s.cancelled) {
        line_editor_forget_line(el);
        el_insertstr(el, s.found);
    }
    g_string_free(s.pattern, TRUE);
    g_free(s.found);
    return CC_REDISPLAY;
}
