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
}

void commit_log_done(CommitLog *log)
{
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
