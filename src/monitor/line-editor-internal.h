/* SPDX-License-Identifier: MIT */
/* The two sides of a line editor: the main thread's and libedit's. */
#ifndef TESSERA_MONITOR_LINE_EDITOR_INTERNAL_H
#define TESSERA_MONITOR_LINE_EDITOR_INTERNAL_H

#include <pthread.h>
#include "monitor-internal.h"

/*
 *   chardev <-> main thread <-> master | slave <-> libedit, in the editor's thread
 *
 * The thread hands one request at a time to the main thread (a line to run, a line to complete) and
 * waits for the answer, so that a command's output stands before the next prompt.
 */
struct LineEditor {
    const LineEditorOps *ops;
    void *opaque;
    char *prompt;
    unsigned columns;
    int master;
    int slave; /* the thread's, once it runs */
    int request_pipe[2]; /* a byte for each request */
    pthread_t thread;
    bool thread_started;

    /* The main thread's. */
    GSource *screen_source;
    GSource *keys_source; /* while @keys wait for the terminal */
    GSource *request_source; /* NULL: a request waits until the client has read its answers */
    GByteArray *keys;
    bool prompted; /* the first prompt was shown: the terminal is as it shall be, keys may go in */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t answered;
    bool pending;  /* a request waits for the main thread */
    bool complete; /* ... to be completed, not run */
    bool quit;
    char *request;
    GPtrArray *words; /* answer to a completion */
};

/* Keys that nobody needs otherwise: show prompt and line anew; forget the line. */
#define LINE_EDITOR_REDRAW_KEY "\035"
#define LINE_EDITOR_FORGET_KEY "\036"

/** line_editor_thread() - edits lines until the terminal's other side is closed; @opaque: LineEditor */
void *line_editor_thread(void *opaque);

#endif
