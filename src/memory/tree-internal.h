/* SPDX-License-Identifier: MIT */
/* From the tree to views and listeners: what region, render, diff and transaction files share. */
#ifndef TESSERA_MEMORY_TREE_INTERNAL_H
#define TESSERA_MEMORY_TREE_INTERNAL_H

#include "region-index-internal.h"
#include "view-events-internal.h"

/* Everything here is called under the machine lock. */

/** region_has_content() - shows something of its own (neither a pure container nor an alias) */
bool region_has_content(const MemoryRegion *mr);

/*
 * References inside the tree. A reference between two regions of one owner does not hold the owner:
 * it would keep itself alive.
 */
void region_link(const MemoryRegion *holder, MemoryRegion *mr);
void region_unlink(const MemoryRegion *holder, MemoryRegion *mr);

/*
 * The undo journal: what a region was before an edit. One entry for each edit; undone in reverse.
 * An entry holds its region, the container it had, and the lists, which edits replace as a whole.
 */
typedef struct RegionState {
    Int128 size;
    hwaddr addr;
    hwaddr alias_offset;
    uint64_t order;
    MemoryRegion *container;
    GArray *ioeventfds;
    GArray *coalesced;
    int priority;
    uint8_t dirty_log_mask;
    bool enabled;
    bool readonly;
    bool nonvolatile;
    bool romd_mode;
} RegionState;

typedef struct JournalEntry {
    MemoryRegion *mr;
    RegionState before;
} JournalEntry;

GArray *journal_new(void);
/** journal_record() - remembers @mr as it is now; call before editing it */
void journal_record(GArray *journal, MemoryRegion *mr);
/** journal_undo() - every region becomes what it was; the entries stay */
void journal_undo(GArray *journal);
/** journal_free() - drops the references; those that may be the last after a grace period */
void journal_free(GArray *journal);

/* Changes that the indexes of containers and targets must hear of; for edits and their undoing. */

/**
 * region_place() - puts @mr into @container (NULL: out of its own) at @addr; keeps the references
 */
void region_place(MemoryRegion *mr, MemoryRegion *container, hwaddr addr, Int128 size);
/** region_show() - sets what the alias @mr shows of its target; not an alias: @alias_offset is 0 */
void region_show(MemoryRegion *mr, hwaddr alias_offset);
void region_enable(MemoryRegion *mr, bool enabled);
/** region_index_alias() - the new alias @mr becomes known to its target */
void region_index_alias(MemoryRegion *mr);

/**
 * render_memory_region() - what @root shows in @window of its own addresses (NULL or disabled:
 * nothing)
 * @visited: tiles made, before neighbours were merged, are added
 *
 * Returns: a list of tiles, see flat_ranges_append(). Costs what is found in the window, and not
 * what lies beside it.
 */
GArray *render_memory_region(MemoryRegion *root, AddrRange window, uint64_t *visited);

/**
 * memory_region_effective_root() - the lowest region that shows all that @root shows
 *
 * Follows an alias at offset 0 that covers its target, which is enabled, and a pure container whose
 * only enabled child lies at offset 0 and is not clipped; but no readonly or nonvolatile one, whose
 * mark would be lost. Returns: NULL if @root or the last container shows nothing. Every edit that
 * changes the result leaves a dirty window in the spaces of @root (dirty-internal.h).
 */
MemoryRegion *memory_region_effective_root(MemoryRegion *root);

/*
 * Difference of two views of an address space; either may be NULL: empty. @spans: sorted AddrRange,
 * where the views may differ, each of whole tiles of both; NULL: anywhere.
 */
struct MemoryDiff {
    AddressSpace *as;
    const FlatView *old_view;
    const FlatView *new_view;
    const GArray *spans;
};

/** memory_diff_spans() - the spans of two views that differ in @windows at most; the caller's */
GArray *memory_diff_spans(const FlatView *old_view, const FlatView *new_view,
                          const GArray *windows);
/**
 * memory_diff_walk() - like memory_diff_for_each(), NOPs of the spans included; @was is NULL for an
 * ADD, @is for a DEL
 */
void memory_diff_walk(const MemoryDiff *diff,
                      void (*fn)(MemoryDiffKind kind, const FlatRange *was, const FlatRange *is,
                                 void *opaque),
                      void *opaque);

/* What one commit (or replay) does to one address space. */
typedef struct SpaceUpdate {
    AddressSpace *as;
    MemoryRegion *root;       /* effective, after the edits; borrowed from the tree */
    GArray *windows;          /* AddrRange: what edits may have changed; owned, as all below */
    GArray *spans;            /* those of diff */
    MemoryDiff diff;
    FlatView *new_view;       /* a reference until published */
    GArray *eventfds_before;  /* ViewEvent: in the spans, those the listeners know */
    GArray *eventfds_after;
    GArray *coalesced_before;
    GArray *coalesced_after;
    bool heard; /* listeners have something to hear */
} SpaceUpdate;

/** space_update_new() - enters an update of @as, with its dirty windows (@windows is taken over) */
SpaceUpdate *space_update_new(AddressSpace *as, GArray *windows);
/** space_update_free() - what was not published is dropped */
void space_update_free(SpaceUpdate *update);
/** space_update_render() - the new view of the space, shared or made, and all that differs */
void space_update_render(SpaceUpdate *update, MemoryCommitStats *stats);
/** space_update_publish() - readers get the new view; the old one ends a grace period later */
void space_update_publish(SpaceUpdate *update);

/**
 * listeners_tell() - pass 1, pass 2, eventfds and coalesced ranges of @update, to @only or, if
 * NULL, to every listener of the space
 * @replay: log_start follows an add, log_stop precedes a del
 */
void listeners_tell(SpaceUpdate *update, MemoryListener *only, bool replay, uint64_t *calls);

/** transaction_fail_system() - tells the VM that a listener's world no longer matches the view */
void transaction_fail_system(MemorySystem *ms, const GError *commit_error,
                             const GError *revert_error);

Transaction *transaction_new(void);
void transaction_free(Transaction *transaction);
/**
 * transaction_record() - journals @mr in the open transaction; before an edit
 * @edit: what is done, to stand before the region's name: "enable", "size of"
 */
void transaction_record(MemoryRegion *mr, const char *edit);
uint64_t transaction_next_order(MemorySystem *ms);
bool transaction_is_open(MemorySystem *ms);
bool transaction_is_committing(MemorySystem *ms);
/** transaction_next_mark() - a number for a walk that marks regions */
uint64_t transaction_next_mark(MemorySystem *ms);
/**
 * region_mark_upwards() - marks @mr and everything that shows it: containers, aliases, and so on
 */
void region_mark_upwards(MemoryRegion *mr, uint64_t mark);

/**
 * address_space_first_view() - what a space without a view shall show: the view of another space
 * with this effective root, else a new one, made ready for publishing. A reference.
 */
FlatView *address_space_first_view(MemorySystem *ms, MemoryRegion *effective_root,
                                   MemoryCommitStats *stats);

#endif
