/* SPDX-License-Identifier: MIT */
/* What commits of the memory map cost, and what caused them: counters, totals, a history. */
#ifndef TESSERA_MEMORY_COMMIT_STATS_H
#define TESSERA_MEMORY_COMMIT_STATS_H

#include <glib.h>
#include "tessera/memory/types.h"

/**
 * struct MemoryCommitStats - what one commit cost, or several together
 * @commits: 1 for one
 * @failed: those of them that were undone, by a listener's refusal or for want of memory
 * @views_rendered: views made; one that spaces share counts once, one that is taken over does not
 * @ranges_visited: tiles rendered or compared
 * @radix_nodes_built: for the dispatch of these views
 * @radix_nodes_shared: nodes of these views that were taken over from the views before
 * @listener_calls: callbacks of MemoryListeners
 * @ioctls: system calls by which listeners followed, those that went back again included
 * @pauses, @pause_us: how often listeners held the vCPUs, and for how long altogether
 * @microseconds: from the first render to the last listener
 */
typedef struct MemoryCommitStats {
    uint64_t commits;
    uint64_t failed;
    uint64_t views_rendered;
    uint64_t ranges_visited;
    uint64_t radix_nodes_built;
    uint64_t radix_nodes_shared;
    uint64_t listener_calls;
    uint64_t ioctls;
    uint64_t pauses;
    uint64_t pause_us;
    uint64_t microseconds;
} MemoryCommitStats;

/**
 * memory_system_last_stats() - of the last commit
 * memory_system_total_stats() - since memory_system_new(); with what listeners spent (@ioctls,
 * @pauses, @pause_us) when they were registered and unregistered, which is no commit
 *
 * A transaction without an edit, or one that was aborted inside, is no commit. Context: any thread
 */
MemoryCommitStats memory_system_last_stats(MemorySystem *ms);
MemoryCommitStats memory_system_total_stats(MemorySystem *ms);

#define MEMORY_COMMIT_HISTORY   256u /* commits remembered */
#define MEMORY_COMMIT_CAUSE_MAX 64u  /* bytes of a cause, its end included; a longer one is cut */

/**
 * struct MemoryCommitRecord - one commit in the history
 * @number: counted from 1; those of a history follow each other
 * @at_us: when it ended, in microseconds since memory_system_new()
 * @cause: see memory_region_transaction_begin_for()
 */
typedef struct MemoryCommitRecord {
    uint64_t number;
    uint64_t at_us;
    MemoryCommitStats stats;
    char cause[MEMORY_COMMIT_CAUSE_MAX];
} MemoryCommitRecord;

/**
 * memory_system_commit_history() - the last MEMORY_COMMIT_HISTORY commits, the oldest first
 * @ret_total: memory_system_total_stats() of the same moment; NULL: not wanted
 *
 * Returns: an array of MemoryCommitRecord, the caller's (g_array_unref()). Context: any thread
 */
GArray *memory_system_commit_history(MemorySystem *ms, MemoryCommitStats *ret_total);

#endif
