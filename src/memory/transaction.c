/* SPDX-License-Identifier: MIT */
/* Transactions: nesting and the journal; commit.c makes them effective. */
#include "commit-internal.h"

#include "dirty-internal.h"
#include "tessera/util/error.h"

struct Transaction {
    unsigned depth;
    bool aborted;    /* by an abort inside */
    bool committing; /* listeners are being called: no edits */
    bool cause_given; /* by who began; otherwise the first edit is the cause */
    char cause[MEMORY_COMMIT_CAUSE_MAX];
    GArray *journal;
    uint64_t last_order;
    uint64_t last_mark;
};

Transaction *transaction_new(void)
{
    Transaction *transaction = g_new0(Transaction, 1);

    transaction->journal = journal_new();
    return transaction;
}

void transaction_free(Transaction *transaction)
{
    if (transaction) {
        g_assert(transaction->depth == 0);
        journal_free(transaction->journal);
        g_free(transaction);
    }
}

bool transaction_is_open(MemorySystem *ms)
{
    return ms->transaction->depth > 0;
}

bool transaction_is_committing(MemorySystem *ms)
{
    return ms->transaction->committing;
}

void transaction_record(MemoryRegion *mr, const char *edit)
{
    Transaction *t = mr->ms->transaction;

    g_assert(transaction_is_open(mr->ms) && memory_system_is_locked(mr->ms));
    if (!t->cause_given && t->journal->len == 0) {
        g_strlcpy(t->cause, edit, sizeof(t->cause));
        g_strlcat(t->cause, " ", sizeof(t->cause));
        g_strlcat(t->cause, mr->name, sizeof(t->cause));
    }
    journal_record(t->journal, mr);
}

uint64_t transaction_next_order(MemorySystem *ms)
{
    return ++ms->transaction->last_order;
}

uint64_t transaction_next_mark(MemorySystem *ms)
{
    return ++ms->transaction->last_mark;
}

void region_mark_upwards(MemoryRegion *mr, uint64_t mark)
{
    for (; mr && mr->mark != mark; mr = mr->container) {
        g_autoptr(GPtrArray) aliases = mr->aliases ? region_index_all(mr->aliases) : NULL;

        mr->mark = mark;
        for (guint i = 0; aliases && i < aliases->len; i++) {
            region_mark_upwards(g_ptr_array_index(aliases, i), mark);
        }
    }
}

void transaction_fail_system(MemorySystem *ms, const GError *commit_error,
                             const GError *revert_error)
{
    if (ms->failed) {
        ms->failed(ms->failed_opaque, commit_error, revert_error);
    }
}

void memory_region_transaction_begin(MemorySystem *ms)
{
    memory_system_lock(ms);
    g_assert(!ms->transaction->committing);
    ms->transaction->depth++;
}

void memory_region_transaction_begin_for(MemorySystem *ms, const char *format, ...)
{
    Transaction *t;
    va_list args;

    memory_region_transaction_begin(ms);
    t = ms->transaction;
    if (!t->cause_given) {
        va_start(args, format);
        g_vsnprintf(t->cause, sizeof(t->cause), format, args);
        va_end(args);
        t->cause_given = true;
    }
}

static bool commit_edits(MemorySystem *ms, GError **error)
{
    Transaction *t = ms->transaction;
    bool ok;

    if (t->aborted) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "the transaction was aborted inside: its edits are undone");
        return false;
    }
    t->committing = true;
    ok = commit_spaces(ms, t->cause, error);
    t->committing = false;
    return ok;
}

/* Ends the outermost level. The depth falls last, so that what runs meanwhile is still inside. */
static bool transaction_end(MemorySystem *ms, GError **error)
{
    Transaction *t = ms->transaction;
    GArray *journal = t->journal;
    bool ok = true;

    if (journal->len > 0 || t->aborted) {
        ok = commit_edits(ms, error);
    }
    if (!ok) {
        journal_undo(journal);
    }
    dirty_clear(ms);
    t->depth = 0;
    t->aborted = false;
    t->cause_given = false;
    if (journal->len > 0) {
        t->journal = journal_new();
        journal_free(journal);
    }
    return ok;
}

bool memory_region_transaction_commit(MemorySystem *ms, GError **error)
{
    bool ok = true;

    g_assert(memory_system_is_locked(ms) && transaction_is_open(ms));
    if (ms->transaction->depth == 1) {
        ok = transaction_end(ms, error);
    } else {
        ms->transaction->depth--;
    }
    memory_system_unlock(ms);
    return ok;
}

void memory_region_transaction_abort(MemorySystem *ms)
{
    g_assert(memory_system_is_locked(ms) && transaction_is_open(ms));
    ms->transaction->aborted = true;
    if (ms->transaction->depth == 1) {
        transaction_end(ms, NULL);
    } else {
        ms->transaction->depth--;
    }
    memory_system_unlock(ms);
}
