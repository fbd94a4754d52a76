/* SPDX-License-Identifier: MIT */
/* What the files of tracing share: the table of events, records, rings, formats. */
#ifndef TESSERA_UTIL_TRACE_INTERNAL_H
#define TESSERA_UTIL_TRACE_INTERNAL_H

#include <stdatomic.h>
#include "tessera/util/trace.h"

/* The table (trace-points.c): the list of trace-events.h as data. */

typedef enum TraceKind {
    TRACE_KIND_U32,
    TRACE_KIND_DEC,
    TRACE_KIND_HEX,
    TRACE_KIND_INT,
    TRACE_KIND_BOOL,
    TRACE_KIND_NAME,
    TRACE_KIND_TEXT,
} TraceKind;

typedef enum TraceShape {
    TRACE_SHAPE_INSTANT,
    TRACE_SHAPE_BEGIN,
    TRACE_SHAPE_END,
    TRACE_SHAPE_COMPLETE,
} TraceShape;

typedef struct TraceField {
    const char *name;
    TraceKind kind;
} TraceField;

typedef struct TraceEventInfo {
    const char *name;
    TraceShape shape;
    TraceEvent opened; /* TRACE_SHAPE_END: by which event */
    const char *doc;
    const TraceField *fields;
    unsigned n_fields;
} TraceEventInfo;

extern const TraceEventInfo trace_table[TRACE_EVENT_COUNT];

#define TRACE_FIELDS_MAX 12u /* a USDT probe takes no more */
#define TRACE_TEXT_MAX   95u /* bytes of a TEXT that are recorded */

/*
 * A record, as it stands in a ring and as the writer reads it: a multiple of 8 bytes. A TEXT's
 * value is its length; the strings follow the values, one behind the other, without ends.
 */
typedef struct TraceRecord {
    uint64_t ns;    /* trace_now() when it was recorded; TRACE_PADDING: see there */
    uint16_t event; /* TraceEvent */
    uint16_t bytes; /* of all of it */
    uint32_t unused;
    uint64_t values[];
} TraceRecord;

#define TRACE_PADDING   UINT64_MAX /* in the place of ns: nothing up to the end of the ring */
#define TRACE_BYTES_MAX (sizeof(TraceRecord) + TRACE_FIELDS_MAX * (8 + TRACE_TEXT_MAX) + 8)

/*
 * Rings (trace-ring.c): one for each thread that has recorded something. The thread writes at head,
 * the writer reads at tail; neither waits. A record that does not fit is counted instead, and the
 * next one that does is preceded by a trace_lost.
 *
 *       tail                  head
 *        v                     v
 *   |....|record|record|record|.........|     TRACE_RING_BYTES; positions only grow
 */
#define TRACE_RING_BYTES (256u << 10)
#define TRACE_SPANS_MAX  16u
#define TRACE_TITLE_MAX  160u

/* A span that is open in the file: its end must have the same name as its beginning. */
typedef struct TraceSpan {
    TraceEvent event;
    char title[TRACE_TITLE_MAX];
} TraceSpan;

typedef struct TraceRing {
    char name[16]; /* of the thread: "main", "vcpu0" */
    int tid;
    bool ended;      /* the thread has; under the lock of the rings */

    _Alignas(64) _Atomic uint64_t head; /* the thread's; so are the next three */
    uint64_t tail_seen;
    uint64_t lost_told;
    _Atomic uint64_t lost;

    _Alignas(64) _Atomic uint64_t tail; /* the writer's; so are the next ones */
    uint64_t limit;                     /* of the pass that is being made */
    bool introduced;                    /* its name is in the file */
    unsigned depth;                     /* spans that are open in the file */
    TraceSpan spans[TRACE_SPANS_MAX];

    _Alignas(64) uint8_t data[];
} TraceRing;

/**
 * trace_record() - puts an event into this thread's ring
 * @values: as many as it has fields; strings as pointers
 */
void trace_record(TraceEvent event, const uint64_t *values);

/** trace_rings_snapshot() - makes @rings a list of all. With a writer, only it frees them */
void trace_rings_snapshot(GPtrArray *rings);
/** trace_ring_peek() - the next record before ring->limit, NULL: none. Writer */
const TraceRecord *trace_ring_peek(TraceRing *ring);
/** trace_ring_take() - @record, the last one peeked at, may be written over. Writer */
void trace_ring_take(TraceRing *ring, const TraceRecord *record);
/** trace_ring_is_done() - its thread has ended and all was taken. Writer */
bool trace_ring_is_done(TraceRing *ring);
/** trace_ring_free() - of one that is done. Writer */
void trace_ring_free(TraceRing *ring);
/** trace_rings_set_writer() - without one, threads that end free their rings themselves */
void trace_rings_set_writer(bool there);
/** trace_rings_lost() - events lost since trace_rings_forget_lost(), all threads together */
uint64_t trace_rings_lost(void);
void trace_rings_forget_lost(void);

/* Formats (trace-format.c). Both append one line. */

/** trace_format_text() - "[    1.234567890] vcpu0: kvm_slot slot=0 ..."; @start: the time of 0 */
void trace_format_text(GString *out, const TraceRecord *record, const char *thread,
                       uint64_t start);

/*
 * JSON: objects of an array, each on a line behind the one before it, which it ends with a comma:
 * "[\n{...}" and then ",\n{...}" each time. So what is in the file lacks "\n]\n" and nothing else.
 */
void trace_json_begin(GString *out, int pid, const char *process);
void trace_json_thread(GString *out, int pid, const TraceRing *ring);
/** trace_json_title() - what is written at the event on a timeline; not for an end */
void trace_json_title(GString *out, const TraceRecord *record);
/** trace_json_record() - @title: that of the event, or of the span that it ends */
void trace_json_record(GString *out, int pid, int tid, const TraceRecord *record,
                       const char *title, uint64_t start);
/** trace_json_close_span() - what ends a span whose own end was not seen, at @ns */
void trace_json_close_span(GString *out, int pid, int tid, const TraceSpan *span, uint64_t ns,
                           uint64_t start);
void trace_json_end(GString *out);

/* The output (trace-output.c): a file, or a pipe, socket or terminal with a reader. */

#define TRACE_OUTPUT_WAIT_MS 100

/**
 * trace_output_open() - @path, created or emptied; does not wait for a pipe's reader
 *
 * Returns: the descriptor; -1 with @error: TESSERA_ERROR_SYSTEM, also for a pipe without a reader
 */
int trace_output_open(const char *path, GError **error);
bool trace_output_is_file(int fd);
/**
 * trace_output_write() - writes what there is room for, after at most TRACE_OUTPUT_WAIT_MS
 *
 * Returns: bytes written, 0: no room yet; -1 with errno set
 */
ssize_t trace_output_write(int fd, const char *text, size_t len);

/* The writer (trace-writer.c): a thread, which empties the rings into the output. */

bool trace_writer_set_file(const char *path, GError **error);
/** trace_writer_start() - if it is not there. False: no thread, or its file cannot be written */
bool trace_writer_start(GError **error);
/**
 * trace_writer_set_active() - events are on: look for them often
 *
 * Returns: false where the file has turned out not to be writable; nothing need be on then
 */
bool trace_writer_set_active(bool active);
void trace_writer_flush(void);
/** trace_writer_stop() - drains, ends the file; returns how many events were lost */
uint64_t trace_writer_stop(void);

/** trace_all_off() - trace-control.c: nothing is recorded any more. Any thread */
void trace_all_off(void);

#endif
