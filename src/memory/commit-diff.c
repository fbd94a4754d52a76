/* SPDX-License-Identifier: MIT */
/* What changed between two commits: their records, added up. */
#include "tessera/memory/commit-diff.h"

#include <inttypes.h>
#include <string.h>
#include "memory-internal.h"
#include "tessera/util/error.h"

/* What has come and what has gone since a commit; by layer, space and address, each place once. */
typedef struct Sum {
    GTree *come; /* MemoryRecord, without a reference on the names */
    GTree *gone;
} Sum;

#define COMPARE(a, b)                                                                              \
    do {                                                                                           \
        if ((a) != (b)) {                                                                          \
            return (a) < (b) ? -1 : 1;                                                             \
        }                                                                                          \
    } while (0)

static gint compare_places(gconstpointer a, gconstpointer b, gpointer unused)
{
    const MemoryRecord *x = a, *y = b;

    COMPARE(x->layer, y->layer);
    COMPARE(x->space, y->space);
    COMPARE(x->start, y->start);
    return 0;
}

static bool same_attributes(const MemoryRecord *a, const MemoryRecord *b)
{
    return a->dirty_log_mask == b->dirty_log_mask && a->readonly == b->readonly &&
           a->romd_mode == b->romd_mode && a->nonvolatile == b->nonvolatile;
}

/* The same bytes of the same region, in the same space, wherever they lie. */
static bool same_content(const MemoryRecord *a, const MemoryRecord *b)
{
    return a->layer == b->layer && a->space == b->space && a->region == b->region &&
           a->offset == b->offset && a->last - a->start == b->last - b->start;
}

bool memory_record_same(const MemoryRecord *a, const MemoryRecord *b)
{
    return same_content(a, b) && a->start == b->start && same_attributes(a, b) &&
           strcmp(a->name, b->name) == 0 && strcmp(a->kind, b->kind) == 0;
}

/* What goes takes back what had come, and the other way round. */
static void add_record(Sum *sum, const LogRecord *r)
{
    GTree *to = r->come ? sum->come : sum->gone;
    GTree *against = r->come ? sum->gone : sum->come;
    const MemoryRecord *other = g_tree_lookup(against, &r->what);

    if (other && memory_record_same(other, &r->what)) {
        g_tree_remove(against, &r->what);
    } else {
        MemoryRecord *what = g_memdup2(&r->what, sizeof(r->what));

        g_tree_replace(to, what, what);
    }
}

static void hold(MemoryRecord *r)
{
    if (r->name) {
        g_ref_string_acquire(r->name);
        g_ref_string_acquire(r->space_name);
    }
}

static void drop(MemoryRecord *r)
{
    if (r->name) {
        g_ref_string_release(r->name);
        g_ref_string_release(r->space_name);
    }
}

static void clear_change(gpointer data)
{
    MemoryChange *change = data;

    drop(&change->was);
    drop(&change->is);
}

static void add_change(GArray *changes, MemoryChangeKind kind, const MemoryRecord *was,
                       const MemoryRecord *is)
{
    MemoryChange change = { .kind = kind };

    if (was) {
        change.was = *was;
        hold(&change.was);
    }
    if (is) {
        change.is = *is;
        hold(&change.is);
    }
    g_array_append_val(changes, change);
}

static const MemoryRecord *first_of(GTree *tree)
{
    GTreeNode *node = g_tree_node_first(tree);

    return node ? g_tree_node_key(node) : NULL;
}

/* Where the content of @is was, with the same attributes; NULL: it was not. */
static const MemoryRecord *moved_from(GTree *gone, const MemoryRecord *is)
{
    for (GTreeNode *node = g_tree_node_first(gone); node; node = g_tree_node_next(node)) {
        const MemoryRecord *was = g_tree_node_key(node);

        if (same_content(was, is) && same_attributes(was, is)) {
            return was;
        }
    }
    return NULL;
}

static gint compare_changes(gconstpointer a, gconstpointer b)
{
    const MemoryChange *x = a, *y = b;
    gint order = compare_places(x->is.name ? &x->is : &x->was, y->is.name ? &y->is : &y->was, NULL);

    return order ? order : (x->kind != MEMORY_CHANGE_REMOVED) - (y->kind != MEMORY_CHANGE_REMOVED);
}

static void pair_come(Sum *sum, GArray *changes, const MemoryRecord *is)
{
    const MemoryRecord *was = g_tree_lookup(sum->gone, is);
    MemoryChangeKind kind = MEMORY_CHANGE_CHANGED;

    if (!was || !same_content(was, is)) {
        was = moved_from(sum->gone, is);
        kind = was ? MEMORY_CHANGE_MOVED : MEMORY_CHANGE_ADDED;
    }
    add_change(changes, kind, was, is);
    if (was) {
        g_tree_remove(sum->gone, was);
    }
    g_tree_remove(sum->come, is);
}

static GArray *take_changes(Sum *sum)
{
    GArray *changes = g_array_new(FALSE, FALSE, sizeof(MemoryChange));
    const MemoryRecord *r;

    g_array_set_clear_func(changes, clear_change);
    while ((r = first_of(sum->come))) {
        pair_come(sum, changes, r);
    }
    while ((r = first_of(sum->gone))) {
        add_change(changes, MEMORY_CHANGE_REMOVED, r, NULL);
        g_tree_remove(sum->gone, r);
    }
    g_array_sort(changes, compare_changes);
    return changes;
}

/* The log's lock, for all that follows. */

static const LogSpan *span_of(const CommitLog *log, uint64_t number)
{
    return &log->spans[(number - 1) % MEMORY_COMMIT_HISTORY];
}

static bool is_known(const CommitLog *log, uint64_t number)
{
    const LogSpan *span = span_of(log, number);

    return number + MEMORY_COMMIT_HISTORY > log->total.commits && span->lost == 0 &&
           span->first + MEMORY_RECORDS_MAX >= log->ring_next;
}

static uint64_t first_comparable(const CommitLog *log)
{
    uint64_t number = log->total.commits;

    while (number > 0 && is_known(log, number)) {
        number--;
    }
    return number;
}

static bool check_numbers(const CommitLog *log, uint64_t from, uint64_t to, GError **error)
{
    uint64_t last = log->total.commits, first = first_comparable(log);

    if (to > last || from > last) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                    "there is no commit %" PRIu64 " yet: commits %" PRIu64 " to %" PRIu64
                    " can be compared",
                    MAX(from, to), first, last);
        return false;
    }
    if (from > to) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "commit %" PRIu64 " comes after commit %" PRIu64 ": the earlier one goes first",
                    from, to);
        return false;
    }
    for (uint64_t n = to; n > from; n--) {
        if (!is_known(log, n)) {
            bool large = n + MEMORY_COMMIT_HISTORY > last && span_of(log, n)->lost > 0;

            g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                        "what commit %" PRIu64 " changed is not remembered (%s): commits %" PRIu64
                        " to %" PRIu64 " can be compared",
                        n, large ? "it was more than the history holds of one" : "too long ago",
                        first, last);
            return false;
        }
    }
    return true;
}

static void add_commits(const CommitLog *log, Sum *sum, uint64_t from, uint64_t to)
{
    uint64_t first, end = log->ring_next;

    if (from == to) {
        return;
    }
    first = span_of(log, from + 1)->first;
    if (to < log->total.commits) {
        end = span_of(log, to + 1)->first;
    }
    for (uint64_t n = first; n < end; n++) {
        add_record(sum, &log->ring[n % MEMORY_RECORDS_MAX]);
    }
}

GArray *memory_system_diff(MemorySystem *ms, uint64_t from, uint64_t to, GError **error)
{
    CommitLog *log = &ms->log;
    Sum sum = { g_tree_new_full(compare_places, NULL, NULL, g_free),
                g_tree_new_full(compare_places, NULL, NULL, g_free) };
    GArray *changes = NULL;

    pthread_mutex_lock(&log->lock);
    if (check_numbers(log, from, to, error)) {
        add_commits(log, &sum, from, to);
        changes = take_changes(&sum);
    }
    pthread_mutex_unlock(&log->lock);
    g_tree_unref(sum.come);
    g_tree_unref(sum.gone);
    return changes;
}
