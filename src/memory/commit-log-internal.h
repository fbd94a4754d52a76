/* SPDX-License-Identifier: MIT */
/* CommitLog: counters of the commits of one system, and its last ones one by one. */
#ifndef TESSERA_MEMORY_COMMIT_LOG_INTERNAL_H
#define TESSERA_MEMORY_COMMIT_LOG_INTERNAL_H

#include <pthread.h>
#include "tessera/memory/commit-stats.h"

typedef struct CommitLog {
    gint64 began_us;           /* when the system was made */
    MemoryCommitStats running; /* what listeners have spent in the running commit; machine lock */

    pthread_mutex_t lock; /* guards what is below */
    MemoryCommitStats last;
    MemoryCommitStats total;
    MemoryCommitRecord *records; /* MEMORY_COMMIT_HISTORY; number n stands at (n - 1) % that */
} CommitLog;

void commit_log_init(CommitLog *log);
void commit_log_done(CommitLog *log);

/** commit_log_begin() - what listeners spend from now on belongs to one commit (machine lock) */
void commit_log_begin(CommitLog *log);
/**
 * commit_log_end() - enters the commit, with what listeners spent, which is added to @stats, too
 */
void commit_log_end(CommitLog *log, const char *cause, MemoryCommitStats *stats);
/** commit_log_spend() - adds to the running commit, or to the totals where @in_commit is false */
void commit_log_spend(CommitLog *log, bool in_commit, const MemoryCommitStats *spent);

#endif
