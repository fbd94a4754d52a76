/* SPDX-License-Identifier: MIT */
/* LineEditor: libedit for one of several monitors. */
#include "monitor-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <histedit.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "tessera/util/error.h"

#define HISTORY_LINES 200
#define INPUT_MAX     1024 /* keys that wait for the editor's terminal */
#define COLUMNS       132
#define ROWS          50

/*
 *   chardev <-> main thread <-> master | slave <-> libedit, in the editor's thread
 *
 * The thread hands one request at a time to the main thread (a line to run, a line to complete) and
 * waits for the answer, so that a command's output stands before the next prompt. libedit's own
 * tables (terminfo) are shared in the process: making and ending an editor happens under one lock.
 */
struct LineEditor {
    const LineEditorOps *ops;
    void *opaque;
    char *prompt;
    int master;
    int slave;
    GSource *master_source;
    GSource *request_source;
    int request_pipe[2]; /* a byte for each request */
    pthread_t thread;
    bool thread_started;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t answered;
    bool pending; /* a request waits for the main thread */
    bool complete; /* ... to be completed, not run */
    bool quit;
    char *request;
    GPtrArray *words; /* answer to a completion */
};

static pthread_mutex_t libedit_lock = PTHREAD_MUTEX_INITIALIZER;

/* The editor's thread. */

/* Hands @line to the main thread; false when the editor is to end. *@ret_words only for completion. */
static bool ask_main(LineEditor *e, const char *line, bool complete, GPtrArray **ret_words)
{
    bool go_on;

    pthread_mutex_lock(&e->lock);
    e->request = g_strdup(line);
    e->complete = complete;
    e->pending = true;
    if (write(e->request_pipe[1], "", 1) < 0) {
        e->quit = true;
    }
    while (e->pending && !e->quit) {
        pthread_cond_wait(&e->answered, &e->lock);
    }
    go_on = !e->quit;
    g_clear_pointer(&e->request, g_free);
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

static void show_words(EditLine *el, const GPtrArray *words)
{
    FILE *out = NULL;

    el_get(el, EL_GETFP, 1, &out);
    fputs("\r\n", out);
    for (guint i = 0; i < words->len; i++) {
        fprintf(out, "%s%s", (char *)words->pdata[i], i + 1 < words->len ? "  " : "\r\n");
    }
    fflush(out);
}

/* The Tab key: inserts what all fitting words have in common; shows them when that is nothing. */
static unsigned char on_tab(EditLine *el, int key)
{
    const LineInfo *info = el_line(el);
    g_autofree char *line = g_strndup(info->buffer, (gsize)(info->cursor - info->buffer));
    const char *last = strrchr(line, ' ') ? strrchr(line, ' ') + 1 : line;
    GPtrArray *words = NULL;
    LineEditor *e = NULL;
    unsigned char result = CC_ERROR;

    el_get(el, EL_CLIENTDATA, &e);
    if (!ask_main(e, line, true, &words)) {
        return CC_EOF;
    }
    if (words && words->len) {
        size_t common = common_length(words);

        if (common > strlen(last) || words->len == 1) {
            g_autofree char *rest = g_strndup((char *)words->pdata[0] + strlen(last),
                                              common - strlen(last));
            g_autofree char *text = g_strconcat(rest, words->len == 1 ? " " : "", NULL);

            result = el_insertstr(el, text) == 0 ? CC_REFRESH : CC_ERROR;
        } else {
            show_words(el, words);
            result = CC_REDISPLAY;
        }
    }
    g_clear_pointer(&words, g_ptr_array_unref);
    return result;
}

static EditLine *make_editline(LineEditor *e, FILE *in, FILE *out, History *past)
{
    HistEvent event;
    EditLine *el;

    history(past, &event, H_SETSIZE, HISTORY_LINES);
    history(past, &event, H_SETUNIQUE, 1);
    el = el_init("tessera", in, out, out);
    if (el) {
        el_set(el, EL_CLIENTDATA, e);
        el_set(el, EL_PROMPT, get_prompt);
        el_set(el, EL_TERMINAL, "vt100");
        el_set(el, EL_EDITOR, "emacs");
        el_set(el, EL_SIGNAL, 0);
        el_set(el, EL_HIST, history, past);
        el_set(el, EL_ADDFN, "tessera-complete", "complete the word", on_tab);
        el_set(el, EL_BIND, "^I", "tessera-complete", NULL);
        el_set(el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    }
    return el;
}

static void edit_lines(LineEditor *e, EditLine *el, History *past)
{
    HistEvent event;
    const char *line;
    int count;

    for (;;) {
        g_autofree char *text = NULL;

        errno = 0;
        line = el_gets(el, &count);
        if (!line || count <= 0) {
            return; /* the terminal's other side was closed */
        }
        text = g_strchomp(g_strdup(line));
        if (*text) {
            history(past, &event, H_ENTER, text);
        }
        if (!ask_main(e, text, false, NULL)) {
            return;
        }
    }
}

static void *editor_thread(void *opaque)
{
    LineEditor *e = opaque;
    int fd = dup(e->slave);
    FILE *in = fdopen(e->slave, "r");
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    History *past = NULL;
    EditLine *el = NULL;
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    if (in && out) {
        pthread_mutex_lock(&libedit_lock);
        past = history_init();
        el = past ? make_editline(e, in, out, past) : NULL;
        pthread_mutex_unlock(&libedit_lock);
    }
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
    if (in) {
        fclose(in);
    }
    if (out) {
        fclose(out);
    }
    return NULL;
}

/* The main thread's side. */

static gboolean on_request(gint fd, GIOCondition condition, gpointer opaque)
{
    LineEditor *e = opaque;
    g_autofree char *line = NULL;
    GPtrArray *words = NULL;
    bool complete;
    char byte;

    if (read(fd, &byte, 1) != 1) {
        return G_SOURCE_CONTINUE;
    }
    pthread_mutex_lock(&e->lock);
    line = g_strdup(e->request);
    complete = e->complete;
    pthread_mutex_unlock(&e->lock);
    if (line && complete) {
        words = e->ops->complete(e->opaque, line);
    } else if (line) {
        e->ops->line(e->opaque, line);
    }
    pthread_mutex_lock(&e->lock);
    e->words = words;
    e->pending = false;
    pthread_cond_broadcast(&e->answered);
    pthread_mutex_unlock(&e->lock);
    return G_SOURCE_CONTINUE;
}

static gboolean on_screen(gint fd, GIOCondition condition, gpointer opaque)
{
    LineEditor *e = opaque;
    char buf[1024];
    ssize_t n = read(fd, buf, sizeof(buf));

    if (n > 0) {
        e->ops->output(e->opaque, buf, (size_t)n);
        return G_SOURCE_CONTINUE;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

size_t line_editor_can_feed(LineEditor *e)
{
    return INPUT_MAX;
}

size_t line_editor_feed(LineEditor *e, const uint8_t *buf, size_t len)
{
    ssize_t n = write(e->master, buf, len);

    return n > 0 ? (size_t)n : 0;
}

static GSource *watch(int fd, GUnixFDSourceFunc fn, LineEditor *e)
{
    GSource *source = g_unix_fd_source_new(fd, G_IO_IN | G_IO_HUP);

    g_source_set_callback(source, G_SOURCE_FUNC(fn), e, NULL);
    g_source_attach(source, NULL);
    return source;
}

static bool open_terminal(LineEditor *e, GError **error)
{
    struct winsize size = { .ws_row = ROWS, .ws_col = COLUMNS };

    if (openpty(&e->master, &e->slave, NULL, NULL, &size) < 0) {
        error_set_errno(error, errno, "monitor: no pseudo terminal for line editing");
        return false;
    }
    fcntl(e->master, F_SETFL, O_NONBLOCK);
    fcntl(e->master, F_SETFD, FD_CLOEXEC);
    fcntl(e->slave, F_SETFD, FD_CLOEXEC);
    return true;
}

static bool start_thread(LineEditor *e, GError **error)
{
    int ret;

    if (!g_unix_open_pipe(e->request_pipe, FD_CLOEXEC, error)) {
        return false;
    }
    ret = pthread_create(&e->thread, NULL, editor_thread, e);
    if (ret != 0) {
        error_set_errno(error, ret, "monitor: cannot start the line editor's thread");
        return false;
    }
    e->thread_started = true;
    pthread_setname_np(e->thread, "line-editor");
    return true;
}

LineEditor *line_editor_new(const char *prompt, const LineEditorOps *ops, void *opaque,
                            GError **error)
{
    LineEditor *e = g_new0(LineEditor, 1);

    e->ops = ops;
    e->opaque = opaque;
    e->prompt = g_strdup(prompt);
    e->master = e->slave = -1;
    e->request_pipe[0] = e->request_pipe[1] = -1;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->answered, NULL);
    if (!open_terminal(e, error) || !start_thread(e, error)) {
        line_editor_free(e);
        return NULL;
    }
    e->master_source = watch(e->master, on_screen, e);
    e->request_source = watch(e->request_pipe[0], on_request, e);
    return e;
}

static void end_source(GSource *source)
{
    if (source) {
        g_source_destroy(source);
        g_source_unref(source);
    }
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

void line_editor_free(LineEditor *e)
{
    if (!e) {
        return;
    }
    end_source(e->master_source);
    end_source(e->request_source);
    pthread_mutex_lock(&e->lock);
    e->quit = true;
    pthread_cond_broadcast(&e->answered);
    pthread_mutex_unlock(&e->lock);
    close_fd(e->master); /* libedit's read ends */
    if (e->thread_started) {
        pthread_join(e->thread, NULL);
    } else {
        close_fd(e->slave);
    }
    close_fd(e->request_pipe[0]);
    close_fd(e->request_pipe[1]);
    g_clear_pointer(&e->words, g_ptr_array_unref);
    pthread_cond_destroy(&e->answered);
    pthread_mutex_destroy(&e->lock);
    g_free(e->prompt);
    g_free(e);
}
