/* SPDX-License-Identifier: MIT */
/* The undo journal: what regions were before the edits of a transaction. */
#include "tree-internal.h"

/* A journal that waits for a grace period before it drops what it holds. */
typedef struct RetiredJournal {
    RcuHead rcu;
    GArray *entries;
} RetiredJournal;

static GArray *list_ref(GArray *list)
{
    return list ? g_array_ref(list) : NULL;
}

static void list_unref(GArray *list)
{
    if (list) {
        g_array_unref(list);
    }
}

GArray *journal_new(void)
{
    return g_array_new(FALSE, FALSE, sizeof(JournalEntry));
}

void journal_record(GArray *journal, MemoryRegion *mr)
{
    JournalEntry entry = {
        .mr = memory_region_ref(mr),
        .before = {
            .size = mr->size,
            .addr = mr->addr,
            .alias_offset = mr->alias_offset,
            .order = mr->order,
            .container = mr->container ? memory_region_ref(mr->container) : NULL,
            .ioeventfds = list_ref(mr->ioeventfds),
            .coalesced = list_ref(mr->coalesced),
            .priority = mr->priority,
            .dirty_log_mask = mr->dirty_log_mask,
            .enabled = mr->enabled,
            .readonly = mr->readonly,
            .nonvolatile = mr->nonvolatile,
            .romd_mode = mr->romd_mode,
        },
    };

    g_array_append_val(journal, entry);
}

static void replace_list(GArray **list, GArray *with)
{
    GArray *old = *list;

    *list = list_ref(with);
    list_unref(old);
}

void journal_undo(GArray *journal)
{
    for (guint i = journal->len; i-- > 0;) {
        const JournalEntry *entry = &g_array_index(journal, JournalEntry, i);
        const RegionState *before = &entry->before;
        MemoryRegion *mr = entry->mr;

        region_place(mr, before->container, before->addr, before->size);
        region_show(mr, before->alias_offset);
        mr->order = before->order;
        mr->priority = before->priority;
        mr->dirty_log_mask = before->dirty_log_mask;
        region_enable(mr, before->enabled);
        mr->readonly = before->readonly;
        mr->nonvolatile = before->nonvolatile;
        mr->romd_mode = before->romd_mode;
        replace_list(&mr->ioeventfds, before->ioeventfds);
        replace_list(&mr->coalesced, before->coalesced);
    }
}

static void entries_free(GArray *entries)
{
    for (guint i = 0; i < entries->len; i++) {
        JournalEntry *entry = &g_array_index(entries, JournalEntry, i);

        list_unref(entry->before.ioeventfds);
        list_unref(entry->before.coalesced);
        if (entry->before.container) {
            memory_region_unref(entry->before.container);
        }
        memory_region_unref(entry->mr);
    }
    g_array_free(entries, TRUE);
}

static void retired_journal_free(RcuHead *head)
{
    RetiredJournal *retired = (RetiredJournal *)head; /* first member */

    entries_free(retired->entries);
    g_free(retired);
}

/* Is somebody else holding @mr and its owner? If that changes meanwhile, we finalize: harmless. */
static bool held_elsewhere(MemoryRegion *mr)
{
    return atomic_load_explicit(&mr->refs, memory_order_relaxed) > 1 &&
           (!mr->owner || atomic_load_explicit(&mr->owner->refs, memory_order_relaxed) > 1);
}

void journal_free(GArray *journal)
{
    RetiredJournal *retired = NULL;

    for (guint i = journal->len; i-- > 0;) {
        JournalEntry *entry = &g_array_index(journal, JournalEntry, i);
        MemoryRegion *container = entry->before.container;

        if (container && held_elsewhere(container)) {
            memory_region_unref(container);
            entry->before.container = NULL;
        }
        if (!entry->before.container && held_elsewhere(entry->mr)) {
            list_unref(entry->before.ioeventfds);
            list_unref(entry->before.coalesced);
            memory_region_unref(entry->mr);
            g_array_remove_index_fast(journal, i);
        }
    }
    if (journal->len == 0) {
        g_array_free(journal, TRUE);
        return;
    }
    retired = g_new0(RetiredJournal, 1);
    retired->entries = journal;
    rcu_defer(&retired->rcu, retired_journal_free);
}
