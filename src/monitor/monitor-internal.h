/* SPDX-License-Identifier: MIT */
/* What the files of the monitor share. */
#ifndef TESSERA_MONITOR_MONITOR_INTERNAL_H
#define TESSERA_MONITOR_MONITOR_INTERNAL_H

#include "tessera/gdb/gdb-server.h"
#include "tessera/monitor/command.h"
#include "tessera/monitor/monitor.h"

typedef struct LineEditor LineEditor;
typedef struct MonitorNotices MonitorNotices;
typedef struct QmpFramer QmpFramer;

struct MonitorHub {
    Machine *machine;
    GPtrArray *monitors; /* Monitor *, owned */
    GPtrArray *chardevs; /* Chardev *, owned: back ends of some of them */
    GdbServer *gdb;
    GPtrArray *commands; /* const MonitorCommand *, sorted by name */
};

struct Monitor {
    MonitorHub *hub;
    MonitorMode mode;
    Chardev *chr;      /* NULL: a line run by monitor_hub_hmp() */
    unsigned cpu;
    GByteArray *out;    /* what the chardev has not taken yet */
    LineEditor *editor; /* HMP, since there was a client */
    bool greeted;       /* HMP: the client has seen the greeting */
    MonitorNotices *notices; /* HMP with a chardev: what its client is to be told unasked */
    QmpFramer *framer;  /* QMP, while there is a client */
    GByteArray *in;     /* QMP: what was read but waits for its turn */
    uint64_t dropped;   /* QMP: events that a client who does not read has lost */
    bool negotiated;    /* QMP: qmp_capabilities was answered */
};

/** monitor_arg_is_flag() - stands behind "-f" or "--name" in HMP */
static inline bool monitor_arg_is_flag(const MonitorArg *arg)
{
    return arg->flag || arg->type == MONITOR_ARG_FLAG;
}

/* registry.c: finding commands */
GPtrArray *monitor_commands_load(GError **error);
const MonitorCommand *monitor_command_by_qmp(MonitorHub *hub, const char *name);
/**
 * monitor_command_by_hmp() - the command whose HMP name is the longest beginning of @words
 * @ret_used: how many words it took
 */
const MonitorCommand *monitor_command_by_hmp(MonitorHub *hub, char *const *words,
                                             unsigned *ret_used);
/** monitor_command_hmp_names() - every HMP name, without short forms; g_free() the array only */
const char **monitor_command_hmp_names(MonitorHub *hub);
/** monitor_command_hmp_name() - the first of "quit|q"; g_free() */
char *monitor_command_hmp_name(const MonitorCommand *cmd);
/** monitor_command_usage() - "device_add driver[,prop=value...]"; g_free() */
char *monitor_command_usage(const MonitorCommand *cmd);

/* args.c: from words or JSON to checked arguments */

/** monitor_args_split() - words of an HMP line; "quoted words" may hold blanks. NULL on error */
char **monitor_args_split(const char *line, GError **error);
/** monitor_args_from_words() - NULL with @error when a word is missing, wrong or too many */
json_t *monitor_args_from_words(Monitor *mon, const MonitorCommand *cmd, char *const *words,
                                GError **error);
/** monitor_args_check() - QMP's "arguments": all known, of the right type, none missing */
bool monitor_args_check(const MonitorCommand *cmd, const json_t *args, GError **error);

/* expr.c: numbers as people write them to a monitor */

/**
 * monitor_expression() - a number: 123, 0x7b, $rip, and + - * / % & ^ | ~ ( ) on them
 * @ret_rest: the first character that is not part of it, or NULL: all of @text must be
 */
bool monitor_expression(Monitor *mon, const char *text, uint64_t *ret_value, const char **ret_rest,
                        GError **error);

/* monitor.c: output */

/** monitor_write() - queues @text for the chardev; what it does not take now goes out later */
void monitor_write(Monitor *mon, const char *text, size_t len);
/** monitor_may_run() - false: the client has much to read before it gets more answers */
bool monitor_may_run(const Monitor *mon);

/**
 * monitor_announce() - there are notices: shown as soon as they disturb neither a command's output
 * nor a line that is being pasted, and, on a multiplexer, when this monitor has the focus again
 */
void monitor_announce(Monitor *mon);

/* hmp.c */
void hmp_greet(Monitor *mon);
/** hmp_run_line() - one line; output and errors as text in @out. False with @error: it failed */
bool hmp_run_line(Monitor *mon, const char *line, GString *out, GError **error);

/* hmp-complete.c */
/** hmp_complete() - words that can stand in the place of the last word of @line; g_ptr_array of char * */
GPtrArray *hmp_complete(Monitor *mon, const char *line);

/* qmp.c */
void qmp_open(Monitor *mon);
void qmp_close(Monitor *mon);
bool qmp_can_receive(const Monitor *mon);
void qmp_receive(Monitor *mon, const uint8_t *buf, size_t len);
void qmp_resume(Monitor *mon); /* monitor_may_run() is true again */
/** qmp_emit() - one event to @mon if its client has negotiated; @event is borrowed */
void qmp_emit(Monitor *mon, const json_t *event);

/* qmp-framer.c: where one JSON value ends and the next begins */

/**
 * qmp_framer_new() - @value is called for each complete JSON text, @garbage for what is none
 *
 * Both may be called once in each qmp_framer_feed(), and must not feed or free the framer.
 */
QmpFramer *qmp_framer_new(void (*value)(void *opaque, const char *text, size_t len),
                          void (*garbage)(void *opaque, const char *why), void *opaque);
void qmp_framer_free(QmpFramer *f); /* NULL is allowed */
/** qmp_framer_feed() - returns how many bytes it took: all, or those up to a callback */
size_t qmp_framer_feed(QmpFramer *f, const uint8_t *buf, size_t len);
#define QMP_VALUE_MAX (1u << 20) /* bytes of one command */
#define QMP_DEPTH_MAX 256        /* brackets within brackets */

/* events.c */

/** monitor_event_new() - QMP's object for an event that happens now; steals @data (NULL: none) */
json_t *monitor_event_new(const char *name, json_t *data);
/** monitor_hub_event() - tells every QMP client; steals @data (NULL: none) */
void monitor_hub_event(MonitorHub *hub, const char *name, json_t *data);
/** monitor_hub_watch_machine() - from now on the machine's events go to the clients */
void monitor_hub_watch_machine(MonitorHub *hub);

/* notices.c: how requests end, for the HMP client that has made them */

MonitorNotices *monitor_notices_new(void);
void monitor_notices_free(MonitorNotices *n); /* NULL is allowed */
/** monitor_notices_forget() - the client has gone, and with it who has asked */
void monitor_notices_forget(MonitorNotices *n);
/** monitor_notices_take() - what is to be shown, in whole lines; "": nothing. A new string */
char *monitor_notices_take(MonitorNotices *n);

typedef enum MonitorAnswer {
    MONITOR_ANSWER_PLUG = 1,
    MONITOR_ANSWER_UNPLUG = 2,
} MonitorAnswer;

/**
 * monitor_await() - the client of @mon is to be told the guest's answer about the DIMM @id
 *
 * Nothing happens for who cannot be told: QMP (it has events), human-monitor-command.
 * Returns: it was not awaited before.
 */
bool monitor_await(Monitor *mon, const char *id, MonitorAnswer answer);
void monitor_await_no_more(Monitor *mon, const char *id, MonitorAnswer answer);
/** monitor_await_resize() - its client is to be told (or not) how the running resize goes on */
void monitor_await_resize(Monitor *mon, bool await);
/** monitor_hub_notice() - makes notices of an event, for the clients whom it concerns */
void monitor_hub_notice(MonitorHub *hub, const MachineEvent *event);

/* commands-machine.c */

/** monitor_version_data() - what query-version and QMP's greeting say. New reference */
json_t *monitor_version_data(void);

/* commands-memory-plan.c */

/** monitor_resize_data() - where a resize stands: data of X_MEMORY_RESIZE. New reference */
json_t *monitor_resize_data(const struct MemoryResizeStatus *status);
/** monitor_resize_text() - the same in one line for people, without its end. A new string */
char *monitor_resize_text(const struct MemoryResizeStatus *status);

/* line-editor.c */

/**
 * struct LineEditorOps - all on the main thread; none may free the editor
 * @notices: writes lines where the edited one stands, behind @erase, which takes that one off the
 *      screen; false: there is nothing to say, nothing was written
 * @line: one was entered; what this writes stands before the next prompt
 * @complete: words for the last one of @line; the caller frees the array with its words
 * @output: what the screen is to show
 * @ready: false: @line, @complete and @notices wait for line_editor_resume()
 * @room: line_editor_can_feed() has grown
 */
typedef struct LineEditorOps {
    void (*line)(void *opaque, const char *line);
    GPtrArray *(*complete)(void *opaque, const char *line);
    bool (*notices)(void *opaque, const char *erase);
    void (*output)(void *opaque, const char *buf, size_t len);
    bool (*ready)(void *opaque);
    void (*room)(void *opaque);
} LineEditorOps;

/**
 * line_editor_new() - libedit with a history of its own
 *
 * libedit wants a terminal and blocks while it edits: each editor has a pseudo terminal and a thread.
 * The main thread feeds keys into the terminal's other side and gets the screen from there. Editors
 * are kept and reset rather than ended: libedit and the terminal data base keep some KiB of each.
 */
LineEditor *line_editor_new(const char *prompt, const LineEditorOps *ops, void *opaque,
                            GError **error);
void line_editor_free(LineEditor *e); /* ends the thread; NULL is allowed */
/** line_editor_feed() - keys, as many as line_editor_can_feed() says */
void line_editor_feed(LineEditor *e, const uint8_t *buf, size_t len);
size_t line_editor_can_feed(const LineEditor *e);
void line_editor_resume(LineEditor *e); /* @ready is true again */
/**
 * line_editor_announce() - calls @notices as soon as no key waits, and shows the line again
 *
 * While keys wait they go first: of lines that are pasted each comes in one piece.
 */
void line_editor_announce(LineEditor *e);
void line_editor_redraw(LineEditor *e); /* shows prompt and line anew */
void line_editor_reset(LineEditor *e);  /* forgets the line that is being edited */
/** line_editor_end_input() - no more keys come: a line without Enter is forgotten, others are run */
void line_editor_end_input(LineEditor *e);
/** line_editor_settled() - every key has reached libedit, and after the end of input its line was run */
bool line_editor_settled(const LineEditor *e);
void line_editor_flush(LineEditor *e);  /* output of what stands on the screen by now */

#endif
