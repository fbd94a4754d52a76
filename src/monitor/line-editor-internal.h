/* SPDX-License-Identifier: MIT */
/* The two sides of a line editor: the main thread's and libedit's. */
#ifndef TESSERA_MONITOR_LINE_EDITOR_INTERNAL_H
#define TESSERA_MONITOR_LINE_EDITOR_INTERNAL_H

#include <pthread.h>
#include "monitor-internal.h"
#include "tessera/util/event-notifier.h"

/* As <histedit.h> has them. */
struct editline;
struct history;

/* What the thread asks the main thread for. */
typedef enum EditorRequest {
    REQUEST_LINE,       /* to run a line */
    REQUEST_COMPLETION, /* words for the end of a line */
    REQUEST_END,        /* to know that all keys before LINE_EDITOR_END_KEY were taken */
    REQUEST_NOTICES,    /* to put lines in the place of the one that is edited */
} EditorRequest;

/*
 *   chardev <-> main thread <-> master | slave <-> libedit, in the editor's thread
 *
 * The thread hands one request at a time to the main thread and waits for the answer, so that a
 * command's output stands before the next prompt.
 */
struct LineEditor {
    const LineEditorOps *ops;
    void *opaque;
    char *prompt;
    unsigned columns;
    int master;
    int slave; /* the thread's, once it runs */
    struct history *past; /* the thread's */
    bool searching;       /* the thread's: the screen does not show the line */
    int request_pipe[2]; /* a byte for each request */
    EventNotifier notices; /* there are some */
    pthread_t thread;
    bool thread_started;

    /* The main thread's. */
    GSource *screen_source;
    GSource *keys_source; /* while @keys wait for the terminal */
    GSource *request_source; /* NULL: a request waits until the client has read its answers */
    GByteArray *keys;
    bool prompted; /* the first prompt was shown: the terminal is as it shall be, keys may go in */
    bool ending;   /* LINE_EDITOR_END_KEY is on its way */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t answered;
    bool pending; /* a request waits for the main thread */
    bool quit;
    EditorRequest request;
    char *line;
    GPtrArray *words; /* answer to a completion */
    bool shown;       /* answer to REQUEST_NOTICES: there were some */
};

/* Keys that nobody needs otherwise: show prompt and line anew; forget the line; the last key. */
#define LINE_EDITOR_REDRAW_KEY "\035"
#define LINE_EDITOR_FORGET_KEY "\036"
#define LINE_EDITOR_END_KEY    "\037"

/** line_editor_forget_line() - what was typed so far is gone. Context: the editor's thread */
void line_editor_forget_line(struct editline *el);

/** line_editor_search() - the key Ctrl-R, as libedit calls its functions. Context: the same */
unsigned char line_editor_search(struct editline *el, int key);

/**
 * line_editor_read_key() - libedit's el_rfunc_t: waits for a key, shows notices meanwhile
 *
 * Returns: 1 with *@ret_key; 0: the editor ends. Context: the editor's thread.
 */
int line_editor_read_key(struct editline *el, wchar_t *ret_key);

/** line_editor_ask() - hands a request to the main thread; false: the editor is to end. The same */
bool line_editor_ask(LineEditor *e, EditorRequest request, const char *line,
                     GPtrArray **ret_words);

/** line_editor_thread() - edits lines until the terminal's other side is closed; @opaque: LineEditor */
void *line_editor_thread(void *opaque);

#endif
