/* SPDX-License-Identifier: MIT */
/* LineEditor, its thread: libedit on the inner side of the pseudo terminal. */
#include "line-editor-internal.h"

#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HISTORY_LINES 200

/*
 * The terminal that libedit draws for. Nothing but moves of one column or line, which take no
 * parameter: those with one go through a buffer that all editors of the process would share. Every
 * terminal understands these, and without automatic margins it does not matter how wide it is.
 */
static const char *const capabilities[][2] = {
    { "le", "\b" },       { "nd", "\033[C" }, { "up", "\033[A" },
    { "ce", "\033[K" },   { "cd", "\033[J" }, { "cl", "\033[H\033[2J" },
    { "ho", "\033[H" },
};

/* Keys that libedit gives another meaning, or none that suits a monitor. */
static const char *const bindings[][2] = {
    { "^I", "tessera-complete" },
    { "^C", "tessera-abandon" },
    { "^D", "tessera-delete" },
    { LINE_EDITOR_REDRAW_KEY, "tessera-redraw" },
    { LINE_EDITOR_FORGET_KEY, "tessera-forget" },
    { LINE_EDITOR_END_KEY, "tessera-end" },
    { "^R", "tessera-search" },
    { "^W", "ed-delete-prev-word" },
    /* Searches that editors share (line-editor-search.c), and libedit's own commands. */
    { "\033p", "ed-unassigned" },
    { "\033P", "ed-unassigned" },
    { "\033n", "ed-unassigned" },
    { "\033N", "ed-unassigned" },
    { "\033x", "ed-unassigned" },
    { "\033X", "ed-unassigned" },
    { "\033[A", "ed-prev-history" },
    { "\033[B", "ed-next-history" },
    { "\033[C", "ed-next-char" },
    { "\033[D", "ed-prev-char" },
    { "\033OA", "ed-prev-history" },
    { "\033OB", "ed-next-history" },
    { "\033OC", "ed-next-char" },
    { "\033OD", "ed-prev-char" },
    { "\033[H", "ed-move-to-beg" },
    { "\033[F", "ed-move-to-end" },
    { "\033OH", "ed-move-to-beg" },
    { "\033OF", "ed-move-to-end" },
    { "\033[1~", "ed-move-to-beg" },
    { "\033[4~", "ed-move-to-end" },
    { "\033[3~", "ed-delete-next-char" },
};

/* Making and ending an editor reads the terminal data base, of which a process has one. */
static pthread_mutex_t libedit_lock = PTHREAD_MUTEX_INITIALIZER;

/* Waits for the main thread; false when the editor is to end. @ret_words: of a completion. */
bool line_editor_ask(LineEditor *e, EditorRequest request, const char *line,
                     GPtrArray **ret_words)
{
    bool go_on;

    pthread_mutex_lock(&e->lock);
    e->request = request;
    e->line = g_strdup(line);
    e->pending = true;
    if (write(e->request_pipe[1], "", 1) < 0) {
        e->quit = true;
    }
    while (e->pending && !e->quit) {
        pthread_cond_wait(&e->answered, &e->lock);
    }
    go_on = !e->quit;
    g_clear_pointer(&e->line, g_free);
    e->pending = false;
    if (ret_words) {
        *ret_words = g_steal_pointer(&e->words);
    }
    pthread_mutex_unlock(&e->lock);
    return go_on;
}

static char *get_prompt(EditLine *el)
{
    LineEditor *e = NULL;

    el_get(el, EL_CLIENTDATA, &e);
    return e->prompt;
}

/* Completion. */

static size_t common_length(const GPtrArray *words)
{
    const char *first = words->pdata[0];
    size_t len = strlen(first);

    for (guint i = 1; i < words->len; i++) {
        const char *word = words->pdata[i];
        size_t same = 0;

        while (same < len && word[same] == first[same]) {
            same++;
        }
        len = same;
    }
    return len;
}

static void show_words(EditLine *el, const LineEditor *e, const GPtrArray *words)
{
    size_t width = 0, per_line;
    FILE *out = NULL;

    for (guint i = 0; i < words->len; i++) {
        width = MAX(width, strlen(words->pdata[i]) + 2);
    }
    per_line = MAX(e->columns / width, 1);
    el_get(el, EL_GETFP, 1, &out);
    for (guint i = 0; i < words->len; i++) {
        const char *word = words->pdata[i];
        bool last = (i + 1) % per_line == 0 || i + 1 == words->len;

        fprintf(out, "%s%s%*s", i % per_line == 0 ? "\n" : "", word,
                last ? 0 : (int)(width - strlen(word)), "");
    }
    fputs("\n", out);
    fflush(out);
}

/* The last word of the line is inserted as far as all @words agree; a blank ends a whole one. */
static unsigned char insert_common(EditLine *el, const GPtrArray *words, size_t typed)
{
    size_t common = common_length(words);
    g_autofree char *rest = g_strndup((char *)words->pdata[0] + typed, common - typed);
    char end = common ? ((char *)words->pdata[0])[common - 1] : 0;
    bool whole = words->len == 1 && end != '=' && end != ',';
    g_autofree char *text = g_strconcat(rest, whole ? " " : "", NULL);

    return !*text || el_insertstr(el, text) == 0 ? CC_REFRESH : CC_ERROR;
}

/* The Tab key: inserts what all fitting words have in common; shows them when that is nothing. */
static unsigned char on_tab(EditLine *el, int key)
{
    const LineInfo *info = el_line(el);
    g_autofree char *line = g_strndup(info->buffer, (gsize)(info->cursor - info->buffer));
    const char *last = strrchr(line, ' ') ? strrchr(line, ' ') + 1 : line;
    g_autoptr(GPtrArray) words = NULL;
    LineEditor *e = NULL;

    el_get(el, EL_CLIENTDATA, &e);
    if (!line_editor_ask(e, REQUEST_COMPLETION, line, &words)) {
        return CC_EOF;
    }
    if (!words || !words->len) {
        return CC_ERROR;
    }
    if (common_length(words) > strlen(last) || words->len == 1) {
        return insert_common(el, words, strlen(last));
    }
    show_words(el, e, words);
    return CC_REDISPLAY;
}

/* Other keys. */

/* In characters, as libedit counts: el_line() has bytes. */
void line_editor_forget_line(EditLine *el)
{
    const LineInfoW *info = el_wline(el);

    el_cursor(el, (int)(info->lastchar - info->cursor));
    el_deletestr(el, (int)(info->lastchar - info->buffer));
}

static unsigned char on_interrupt(EditLine *el, int key)
{
    FILE *out = NULL;

    el_get(el, EL_GETFP, 1, &out);
    fputs("^C\n", out);
    fflush(out);
    line_editor_forget_line(el);
    return CC_REDISPLAY;
}

static unsigned char on_forget(EditLine *el, int key)
{
    line_editor_forget_line(el);
    return CC_REDISPLAY;
}

static unsigned char on_end(EditLine *el, int key)
{
    LineEditor *e = NULL;

    el_get(el, EL_CLIENTDATA, &e);
    line_editor_forget_line(el);
    return line_editor_ask(e, REQUEST_END, "", NULL) ? CC_NORM : CC_EOF;
}

/* Ctrl-D on an empty line would end the editor, and a monitor has no end. */
static unsigned char on_delete(EditLine *el, int key)
{
    const LineInfo *info = el_line(el);

    if (info->cursor == info->lastchar) {
        return CC_ERROR;
    }
    el_cursor(el, 1);
    el_deletestr(el, 1);
    return CC_REFRESH;
}

/* What stands above is not the line's, however many rows that has: it may be a notice. */
static unsigned char on_redraw(EditLine *el, int key)
{
    FILE *out = NULL;

    el_get(el, EL_GETFP, 1, &out);
    fputs("\r\033[J", out);
    el_set(el, EL_REFRESH);
    return CC_NORM;
}

/* Life. */

static void set_up(LineEditor *e, EditLine *el, History *past)
{
    el_set(el, EL_CLIENTDATA, e);
    el_set(el, EL_PROMPT, get_prompt);
    el_set(el, EL_TERMINAL, "dumb");
    for (size_t i = 0; i < G_N_ELEMENTS(capabilities); i++) {
        el_set(el, EL_SETTC, capabilities[i][0], capabilities[i][1], NULL);
    }
    el_set(el, EL_SETTC, "am", "no", NULL);
    el_set(el, EL_EDITOR, "emacs");
    el_set(el, EL_SIGNAL, 0);
    /* All keys are the editor's, those too that come while a command runs (-x). */
    el_set(el, EL_SETTY, "-d", "-isig", "-ixon", "-ixoff", NULL);
    el_set(el, EL_SETTY, "-x", "-isig", "-ixon", "-ixoff", "-icanon", "-echo", "-iexten", "-icrnl",
           NULL);
    el_set(el, EL_HIST, history, past);
    el_wset(el, EL_GETCFN, line_editor_read_key);
    el_set(el, EL_ADDFN, "tessera-complete", "complete the word", on_tab);
    el_set(el, EL_ADDFN, "tessera-abandon", "forget the line", on_interrupt);
    el_set(el, EL_ADDFN, "tessera-forget", "forget the line silently", on_forget);
    el_set(el, EL_ADDFN, "tessera-end", "say that all keys were taken", on_end);
    el_set(el, EL_ADDFN, "tessera-delete", "delete the next character", on_delete);
    el_set(el, EL_ADDFN, "tessera-search", "search the lines of before", line_editor_search);
    el_set(el, EL_ADDFN, "tessera-redraw", "show the line again", on_redraw);
    for (size_t i = 0; i < G_N_ELEMENTS(bindings); i++) {
        el_set(el, EL_BIND, bindings[i][0], bindings[i][1], NULL);
    }
}

/* @none: where libedit may write messages that nobody wants to see */
static EditLine *make_editline(LineEditor *e, FILE *in, FILE *out, FILE *none, History *past)
{
    HistEvent event;
    EditLine *el = el_init("tessera", in, out, none);

    history(past, &event, H_SETSIZE, HISTORY_LINES);
    history(past, &event, H_SETUNIQUE, 1);
    if (el) {
        set_up(e, el, past);
    }
    return el;
}

static void edit_lines(LineEditor *e, EditLine *el, History *past)
{
    HistEvent event;
    int count;

    for (;;) {
        const char *line = el_gets(el, &count);
        g_autofree char *text = NULL;

        if (!line || count <= 0) {
            return; /* the terminal's other side was closed */
        }
        text = g_strchomp(g_strdup(line));
        if (*text) {
            history(past, &event, H_ENTER, text);
        }
        if (!line_editor_ask(e, REQUEST_LINE, text, NULL)) {
            return;
        }
    }
}

static void edit(LineEditor *e, FILE *in, FILE *out, FILE *none)
{
    History *past;
    EditLine *el;

    pthread_mutex_lock(&libedit_lock);
    past = e->past = history_init();
    el = past ? make_editline(e, in, out, none, past) : NULL;
    pthread_mutex_unlock(&libedit_lock);
    if (el) {
        edit_lines(e, el, past);
    }
    pthread_mutex_lock(&libedit_lock);
    if (el) {
        el_end(el);
    }
    if (past) {
        history_end(past);
    }
    pthread_mutex_unlock(&libedit_lock);
}

static void close_file(FILE *file)
{
    if (file) {
        fclose(file);
    }
}

/*
 * libedit drops keys that its locale has no letter for, and with them a part of a file's name. What a
 * client types is UTF-8 wherever the program was started; the rest of the process stays as it is.
 */
static locale_t use_utf8(void)
{
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);

    if (utf8) {
        uselocale(utf8);
    }
    return utf8;
}

static void end_utf8(locale_t utf8)
{
    if (utf8) {
        uselocale(LC_GLOBAL_LOCALE);
        freelocale(utf8);
    }
}

void *line_editor_thread(void *opaque)
{
    LineEditor *e = opaque;
    locale_t utf8 = use_utf8();
    int fd = dup(e->slave);
    FILE *in = fdopen(e->slave, "r");
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    FILE *none = fopen("/dev/null", "we");
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    if (in && out && none) {
        edit(e, in, out, none);
    }
    close_file(none);
    close_file(out);
    close_file(in);
    end_utf8(utf8);
    return NULL;
}
