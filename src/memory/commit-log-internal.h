/* SPDX-License-Identifier: MIT */
/* CommitLog: counters of the commits of one system, and its last ones one by one. */
#ifndef TESSERA_MEMORY_COMMIT_LOG_INTERNAL_H
#define TESSERA_MEMORY_COMMIT_LOG_INTERNAL_H

#include <pthread.h>
#include "flat-tree-internal.h"
#include "tessera/memory/commit-diff.h"
#include "tessera/memory/commit-stats.h"

/* A record as the log keeps it: something came, or went. The names are references. */
typedef struct LogRecord {
    MemoryRecord what;
    bool come;
} LogRecord;

/* Where a commit's records stand, and how many there was no room for. */
typedef struct LogSpan {
    uint64_t first; /* counted since the log was made; up to the next commit's first */
    uint64_t lost;
} LogSpan;

typedef struct CommitLog {
    gint64 began_us;           /* when the system was made */
    MemoryCommitStats running; /* what listeners have spent in the running commit; machine lock */
    GArray *staged;            /* LogRecord: of the running commit; machine lock */
    uint64_t staged_lost;      /* for which that had no room */

    pthread_mutex_t lock; /* guards what is below */
    MemoryCommitStats last;
    MemoryCommitStats total;
    MemoryCommitRecord *records; /* MEMORY_COMMIT_HISTORY; number n stands at (n - 1) % that */
    LogSpan spans[MEMORY_COMMIT_HISTORY]; /* of the same commits; what is before the first is in it */
    LogRecord *ring; /* MEMORY_RECORDS_MAX; number n stands at n % that */
    uint64_t ring_next;
} CommitLog;

void commit_log_init(CommitLog *log);
void commit_log_done(CommitLog *log);

/** commit_log_begin() - what listeners spend from now on belongs to one commit (machine lock) */
void commit_log_begin(CommitLog *log);
/**
 * commit_log_end() - enters the commit, with what listeners spent, which is added to @stats, too, and
 * with what was noted, unless it failed
 */
void commit_log_end(CommitLog *log, const char *cause, MemoryCommitStats *stats);
/** commit_log_spend() - adds to the running commit, or to the totals where @in_commit is false */
void commit_log_spend(CommitLog *log, bool in_commit, const MemoryCommitStats *spent);

/**
 * commit_log_note() - something came or went, in the running commit or (@in_commit false) behind the
 * last one; @what is copied. Machine lock
 */
void commit_log_note(CommitLog *log, bool in_commit, bool come, const MemoryRecord *what);
/** commit_log_note_tile() - the same, of a tile of @as */
void commit_log_note_tile(CommitLog *log, bool in_commit, bool come, const AddressSpace *as,
                          const FlatRange *fr);

#endif
