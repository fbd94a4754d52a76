/* SPDX-License-Identifier: MIT */
/* CommitLog: counters of the commits of one system, and its last ones one by one. */
#include "commit-log-internal.h"

#include "memory-internal.h"

void commit_log_init(CommitLog *log)
{
    *log = (CommitLog){ .began_us = g_get_monotonic_time() };
    pthread_mutex_init(&log->lock, NULL);
    /* Not cleared: what no commit has filled is not read, and takes no memory until then. */
    log->records = g_new(MemoryCommitRecord, MEMORY_COMMIT_HISTORY);
    log->ring = g_new(LogRecord, MEMORY_RECORDS_MAX);
    log->staged = g_array_new(FALSE, FALSE, sizeof(LogRecord));
}

static void drop_record(const LogRecord *r)
{
    g_ref_string_release(r->what.name);
    g_ref_string_release(r->what.space_name);
}

static void drop_staged(CommitLog *log)
{
    for (guint i = 0; i < log->staged->len; i++) {
        drop_record(&g_array_index(log->staged, LogRecord, i));
    }
    g_array_set_size(log->staged, 0);
    log->staged_lost = 0;
}

void commit_log_done(CommitLog *log)
{
    for (uint64_t n = log->ring_next - MIN(log->ring_next, MEMORY_RECORDS_MAX);
         n < log->ring_next; n++) {
        drop_record(&log->ring[n % MEMORY_RECORDS_MAX]);
    }
    g_free(log->ring);
    drop_staged(log);
    g_array_unref(log->staged);
    g_free(log->records);
    pthread_mutex_destroy(&log->lock);
}

static void add(MemoryCommitStats *sum, const MemoryCommitStats *s)
{
    sum->commits += s->commits;
    sum->failed += s->failed;
    sum->views_rendered += s->views_rendered;
    sum->ranges_visited += s->ranges_visited;
    sum->radix_nodes_built += s->radix_nodes_built;
    sum->radix_nodes_shared += s->radix_nodes_shared;
    sum->listener_calls += s->listener_calls;
    sum->ioctls += s->ioctls;
    sum->pauses += s->pauses;
    sum->pause_us += s->pause_us;
    sum->microseconds += s->microseconds;
}

void commit_log_begin(CommitLog *log)
{
    log->running = (MemoryCommitStats){ 0 };
    drop_staged(log);
}

/* The log's lock. Takes over the names. */
static void append_record(CommitLog *log, const LogRecord *r)
{
    LogRecord *slot = &log->ring[log->ring_next % MEMORY_RECORDS_MAX];

    if (log->ring_next >= MEMORY_RECORDS_MAX) {
        drop_record(slot);
    }
    *slot = *r;
    log->ring_next++;
}

/* The log's lock. Number 0 is what was before the first commit, and counts as part of that. */
static LogSpan *span_of(CommitLog *log, uint64_t number)
{
    return &log->spans[(MAX(number, 1) - 1) % MEMORY_COMMIT_HISTORY];
}

/* The log's lock: the records of the commit that has just been entered. */
static void enter_records(CommitLog *log, bool failed)
{
    LogSpan *span = span_of(log, log->total.commits);

    if (log->total.commits > 1) {
        *span = (LogSpan){ .first = log->ring_next };
    }
    if (failed) {
        drop_staged(log);
        return;
    }
    for (guint i = 0; i < log->staged->len; i++) {
        append_record(log, &g_array_index(log->staged, LogRecord, i));
    }
    span->lost += log->staged_lost;
    g_array_set_size(log->staged, 0); /* the ring has the names now */
    log->staged_lost = 0;
}

void commit_log_note(CommitLog *log, bool in_commit, bool come, const MemoryRecord *what)
{
    LogRecord r = { *what, come };

    if (in_commit && log->staged->len >= MEMORY_RECORDS_COMMIT) {
        log->staged_lost++;
        return;
    }
    g_ref_string_acquire(r.what.name);
    g_ref_string_acquire(r.what.space_name);
    if (in_commit) {
        g_array_append_val(log->staged, r);
        return;
    }
    pthread_mutex_lock(&log->lock);
    append_record(log, &r);
    pthread_mutex_unlock(&log->lock);
}

void commit_log_note_tile(CommitLog *log, bool in_commit, bool come, const AddressSpace *as,
                          const FlatRange *fr)
{
    MemoryRecord what = {
        .start = fr->start,
        .last = fr->last,
        .offset = fr->offset_in_region,
        .region = fr->mr->number,
        .name = fr->mr->name,
        .space_name = as->name,
        .kind = memory_region_kind_name(fr->mr),
        .space = as->number,
        .layer = MEMORY_LAYER_TILES,
        .dirty_log_mask = fr->dirty_log_mask,
        .readonly = fr->readonly,
        .romd_mode = fr->romd_mode,
        .nonvolatile = fr->nonvolatile,
    };

    commit_log_note(log, in_commit, come, &what);
}

void commit_log_end(CommitLog *log, const char *cause, MemoryCommitStats *stats)
{
    gint64 now = g_get_monotonic_time();
    MemoryCommitRecord *record;

    add(stats, &log->running);
    pthread_mutex_lock(&log->lock);
    log->last = *stats;
    add(&log->total, stats);
    record = &log->records[(log->total.commits - 1) % MEMORY_COMMIT_HISTORY];
    record->number = log->total.commits;
    record->at_us = (uint64_t)(now - log->began_us);
    record->stats = *stats;
    g_strlcpy(record->cause, cause, sizeof(record->cause));
    enter_records(log, stats->failed > 0);
    pthread_mutex_unlock(&log->lock);
}

void commit_log_spend(CommitLog *log, bool in_commit, const MemoryCommitStats *spent)
{
    if (in_commit) {
        add(&log->running, spent);
        return;
    }
    pthread_mutex_lock(&log->lock);
    add(&log->total, spent);
    pthread_mutex_unlock(&log->lock);
}

static MemoryCommitStats read_stats(CommitLog *log, const MemoryCommitStats *stats)
{
    MemoryCommitStats copy;

    pthread_mutex_lock(&log->lock);
    copy = *stats;
    pthread_mutex_unlock(&log->lock);
    return copy;
}

MemoryCommitStats memory_system_last_stats(MemorySystem *ms)
{
    return read_stats(&ms->log, &ms->log.last);
}

MemoryCommitStats memory_system_total_stats(MemorySystem *ms)
{
    return read_stats(&ms->log, &ms->log.total);
}

GArray *memory_system_commit_history(MemorySystem *ms, MemoryCommitStats *ret_total)
{
    CommitLog *log = &ms->log;
    GArray *history =
        g_array_sized_new(FALSE, FALSE, sizeof(MemoryCommitRecord), MEMORY_COMMIT_HISTORY);
    uint64_t count;

    pthread_mutex_lock(&log->lock);
    count = MIN(log->total.commits, MEMORY_COMMIT_HISTORY);
    for (uint64_t n = log->total.commits - count; n < log->total.commits; n++) {
        g_array_append_vals(history, &log->records[n % MEMORY_COMMIT_HISTORY], 1);
    }
    if (ret_total) {
        *ret_total = log->total;
    }
    pthread_mutex_unlock(&log->lock);
    return history;
}
