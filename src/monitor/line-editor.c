/* SPDX-License-Identifier: MIT */
/* LineEditor, the main thread's side: keys in, screen out, requests answered. */
#include "line-editor-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <pty.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include "tessera/util/error.h"

#define INPUT_MAX   4096 /* keys that wait for the editor's terminal */
#define COLUMNS     80
#define COLUMNS_MIN 20
#define ROWS        25

#define UTF8_BYTE_MAX 0xf4

static void end_source(GSource **source)
{
    if (*source) {
        g_source_destroy(*source);
        g_source_unref(*source);
        *source = NULL;
    }
}

static GSource *watch(int fd, GIOCondition condition, GUnixFDSourceFunc fn, LineEditor *e)
{
    GSource *source = g_unix_fd_source_new(fd, condition);

    g_source_set_callback(source, G_SOURCE_FUNC(fn), e, NULL);
    g_source_attach(source, NULL);
    return source;
}

/* Requests of the thread. */

static void answer(LineEditor *e, GPtrArray *words, bool shown)
{
    pthread_mutex_lock(&e->lock);
    e->words = words;
    e->shown = shown;
    e->pending = false;
    pthread_cond_broadcast(&e->answered);
    pthread_mutex_unlock(&e->lock);
}

static gboolean on_request(gint fd, GIOCondition condition, gpointer opaque)
{
    LineEditor *e = opaque;
    g_autofree char *line = NULL;
    GPtrArray *words = NULL;
    EditorRequest request;
    bool shown = false;
    char byte;

    if (!e->ops->ready(e->opaque)) {
        g_clear_pointer(&e->request_source, g_source_unref);
        return G_SOURCE_REMOVE; /* until line_editor_resume() */
    }
    if (read(fd, &byte, 1) != 1) {
        return G_SOURCE_CONTINUE;
    }
    pthread_mutex_lock(&e->lock);
    line = g_strdup(e->line);
    request = e->request;
    pthread_mutex_unlock(&e->lock);
    line_editor_flush(e); /* the line end that was typed, before what the command prints */
    switch (request) {
    case REQUEST_LINE:
        e->ops->line(e->opaque, line);
        break;
    case REQUEST_COMPLETION:
        words = e->ops->complete(e->opaque, line);
        break;
    case REQUEST_END:
        e->ending = false;
        break;
    case REQUEST_NOTICES:
        shown = e->ops->notices(e->opaque, line);
        break;
    }
    answer(e, words, shown);
    return G_SOURCE_CONTINUE;
}

void line_editor_announce(LineEditor *e)
{
    event_notifier_set(&e->notices);
}

void line_editor_resume(LineEditor *e)
{
    if (!e->request_source) {
        e->request_source = watch(e->request_pipe[0], G_IO_IN, on_request, e);
    }
}

/* The screen. */

static void push_keys(LineEditor *e);

static bool read_screen(LineEditor *e)
{
    char buf[4096];
    ssize_t n = read(e->master, buf, sizeof(buf));

    if (n > 0) {
        e->ops->output(e->opaque, buf, (size_t)n);
    }
    if (n > 0 && !e->prompted) {
        e->prompted = true;
        push_keys(e);
    }
    return n > 0;
}

static gboolean on_screen(gint fd, GIOCondition condition, gpointer opaque)
{
    LineEditor *e = opaque;

    if (read_screen(e) || errno == EAGAIN || errno == EINTR) {
        return G_SOURCE_CONTINUE;
    }
    g_clear_pointer(&e->screen_source, g_source_unref); /* the thread has ended */
    return G_SOURCE_REMOVE;
}

void line_editor_flush(LineEditor *e)
{
    while (read_screen(e)) {
    }
}

/* Keys. */

static gboolean on_keys_wanted(gint fd, GIOCondition condition, gpointer opaque);

static void push_keys(LineEditor *e)
{
    ssize_t n = e->keys->len && e->prompted ? write(e->master, e->keys->data, e->keys->len) : 0;

    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        n = e->keys->len; /* nobody will read them */
    }
    if (n > 0) {
        g_byte_array_remove_range(e->keys, 0, (guint)n);
    }
    if (!e->keys->len || !e->prompted) {
        end_source(&e->keys_source);
    } else if (!e->keys_source) {
        e->keys_source = watch(e->master, G_IO_OUT, on_keys_wanted, e);
    }
}

static gboolean on_keys_wanted(gint fd, GIOCondition condition, gpointer opaque)
{
    LineEditor *e = opaque;

    push_keys(e);
    e->ops->room(e->opaque);
    return G_SOURCE_CONTINUE; /* destroyed already if it is not needed any more */
}

size_t line_editor_can_feed(const LineEditor *e)
{
    return INPUT_MAX - MIN(e->keys->len, INPUT_MAX);
}

/*
 * Bytes that UTF-8 (RFC 3629) does not have are left out: the C library makes letters of five and six
 * bytes of them, and libedit ends the program over one, because it has no room for it.
 */
void line_editor_feed(LineEditor *e, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (buf[i] <= UTF8_BYTE_MAX) {
            g_byte_array_append(e->keys, &buf[i], 1);
        }
    }
    push_keys(e);
}

void line_editor_redraw(LineEditor *e)
{
    line_editor_feed(e, (const uint8_t *)LINE_EDITOR_REDRAW_KEY, strlen(LINE_EDITOR_REDRAW_KEY));
}

/* Twice: the first may end a search, or be quoted by a Ctrl-V. */
void line_editor_reset(LineEditor *e)
{
    static const char keys[] = LINE_EDITOR_FORGET_KEY LINE_EDITOR_FORGET_KEY;

    g_byte_array_set_size(e->keys, 0);
    e->ending = false;
    line_editor_feed(e, (const uint8_t *)keys, strlen(keys));
}

/* The first may end a search, or be quoted by a Ctrl-V. */
void line_editor_end_input(LineEditor *e)
{
    static const char keys[] = LINE_EDITOR_FORGET_KEY LINE_EDITOR_END_KEY;

    e->ending = true;
    line_editor_feed(e, (const uint8_t *)keys, strlen(keys));
}

bool line_editor_settled(const LineEditor *e)
{
    bool thread_ended = !e->screen_source;

    return thread_ended || (!e->ending && e->keys->len == 0);
}

/* Life. */

/* As wide as the terminal that the program was started in, where there is one. */
static unsigned screen_columns(void)
{
    struct winsize size;

    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= COLUMNS_MIN) {
        return size.ws_col;
    }
    return COLUMNS;
}

/*
 * Raw before libedit sees it: the modes that it goes back to between two lines must neither echo
 * keys that come early nor take any for themselves.
 */
static bool open_terminal(LineEditor *e, GError **error)
{
    struct winsize size = { .ws_row = ROWS, .ws_col = (unsigned short)e->columns };
    struct termios raw;

    if (openpty(&e->master, &e->slave, NULL, NULL, &size) < 0 ||
        tcgetattr(e->slave, &raw) < 0) {
        error_set_errno(error, errno, "monitor: no pseudo terminal for line editing");
        return false;
    }
    cfmakeraw(&raw);
    raw.c_oflag |= OPOST | ONLCR;
    tcsetattr(e->slave, TCSANOW, &raw);
    fcntl(e->master, F_SETFL, O_NONBLOCK);
    fcntl(e->master, F_SETFD, FD_CLOEXEC);
    fcntl(e->slave, F_SETFD, FD_CLOEXEC);
    return true;
}

static bool start_thread(LineEditor *e, GError **error)
{
    int ret;

    if (!g_unix_open_pipe(e->request_pipe, FD_CLOEXEC, error) ||
        !event_notifier_init(&e->notices, error)) {
        return false;
    }
    ret = pthread_create(&e->thread, NULL, line_editor_thread, e);
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
    e->columns = screen_columns();
    e->keys = g_byte_array_new();
    e->master = e->slave = -1;
    e->request_pipe[0] = e->request_pipe[1] = -1;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->answered, NULL);
    if (!open_terminal(e, error) || !start_thread(e, error)) {
        line_editor_free(e);
        return NULL;
    }
    e->screen_source = watch(e->master, G_IO_IN | G_IO_HUP, on_screen, e);
    line_editor_resume(e);
    return e;
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
    end_source(&e->screen_source);
    end_source(&e->keys_source);
    end_source(&e->request_source);
    pthread_mutex_lock(&e->lock);
    e->quit = true;
    pthread_cond_broadcast(&e->answered);
    pthread_mutex_unlock(&e->lock);
    close_fd(e->master); /* libedit's reads and writes end */
    if (e->thread_started) {
        pthread_join(e->thread, NULL);
    } else {
        close_fd(e->slave);
    }
    close_fd(e->request_pipe[0]);
    close_fd(e->request_pipe[1]);
    event_notifier_done(&e->notices);
    g_byte_array_unref(e->keys);
    g_clear_pointer(&e->words, g_ptr_array_unref);
    pthread_cond_destroy(&e->answered);
    pthread_mutex_destroy(&e->lock);
    g_free(e->prompt);
    g_free(e);
}
