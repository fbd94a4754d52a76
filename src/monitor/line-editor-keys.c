/* SPDX-License-Identifier: MIT */
/* LineEditor, its thread: where keys come from, and notices while none comes. */
#include "line-editor-internal.h"

#include <errno.h>
#include <histedit.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#define TAB_COLUMNS 8

/* Columns of a letter that libedit shows by its number: \U+xxxx, \U+xxxxx. */
#define NUMBER_COLUMNS      7
#define LONG_NUMBER_COLUMNS 8

/* How many columns libedit gives to @letter in column @column; newline is the caller's. */
static unsigned letter_columns(wchar_t letter, unsigned column)
{
    if (letter == '\t') {
        return TAB_COLUMNS - column % TAB_COLUMNS;
    }
    if (iswprint((wint_t)letter)) {
        return (unsigned)MAX(wcwidth(letter), 1); /* accents too have a column of their own */
    }
    if (letter < 0x80) {
        return 2; /* ^X */
    }
    return letter > 0xffff ? LONG_NUMBER_COLUMNS : NUMBER_COLUMNS;
}

/* Rows of the screen above the cursor that are the edited line's. libedit knows and does not say. */
static unsigned rows_above(EditLine *el, const LineEditor *e)
{
    const LineInfoW *info = el_wline(el);
    unsigned column = (unsigned)strlen(e->prompt), rows = 0;

    for (const wchar_t *p = info->buffer; p < info->cursor; p++) {
        unsigned width = *p == '\n' ? e->columns - column : letter_columns(*p, column);

        if (column + width > e->columns) { /* no half letters: the row ends before */
            rows++;
            column = 0;
        }
        column += width;
        if (column >= e->columns) {
            rows++;
            column = 0;
        }
    }
    return rows;
}

static void append_erase(GString *out, unsigned rows)
{
    while (rows-- > 0) {
        g_string_append(out, "\033[A");
    }
    g_string_append(out, "\r\033[J");
}

/* Returns: the editor goes on. */
static bool show_notices(EditLine *el, LineEditor *e)
{
    g_autoptr(GString) erase = g_string_new(NULL);

    append_erase(erase, rows_above(el, e));
    if (!line_editor_ask(e, REQUEST_NOTICES, erase->str, NULL)) {
        return false;
    }
    if (e->shown) {
        el_set(el, EL_REFRESH); /* as on an empty row, which it is */
    }
    return true;
}

/* Until there is a key to read. Keys first: a line that is pasted shall come in one piece. */
static bool wait_for_key(EditLine *el, LineEditor *e)
{
    for (;;) {
        struct pollfd fds[] = {
            { .fd = e->slave, .events = POLLIN },
            { .fd = e->searching ? -1 : e->notices.fd, .events = POLLIN },
        };

        if (poll(fds, G_N_ELEMENTS(fds), -1) < 0 && errno != EINTR) {
            return false;
        }
        if (fds[0].revents) {
            return true;
        }
        if (fds[1].revents && event_notifier_test_and_clear(&e->notices) &&
            !show_notices(el, e)) {
            return false;
        }
    }
}

/* A letter may be several bytes; those that make none are left out. */
int line_editor_read_key(EditLine *el, wchar_t *ret_key)
{
    LineEditor *e = NULL;
    char bytes[MB_LEN_MAX];
    size_t used = 0;

    el_get(el, EL_CLIENTDATA, &e);
    while (wait_for_key(el, e) && read(e->slave, bytes + used, 1) == 1) {
        mbstate_t begin = { 0 };
        size_t len = mbrtowc(ret_key, bytes, ++used, &begin);

        if (len == (size_t)-1) {
            bytes[0] = bytes[used - 1]; /* what was cut off before it is gone */
            begin = (mbstate_t){ 0 };
            len = used > 1 ? mbrtowc(ret_key, bytes, 1, &begin) : len;
            used = len == (size_t)-1 ? 0 : 1;
        }
        if (len <= used) {
            return 1;
        }
        if (used == sizeof(bytes)) {
            used = 0;
        }
    }
    return 0;
}
