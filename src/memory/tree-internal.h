/* SPDX-License-Identifier: MIT */
/* From the tree to views and listeners: what region, render, diff and transaction files share. */
#ifndef TESSERA_MEMORY_TREE_INTERNAL_H
#define TESSERA_MEMORY_TREE_INTERNAL_H

#include "memory-internal.h"

/* Everything here is called under the machine lock. */

/*
 * RegionIndex: a container's children ordered by address, as a treap whose nodes know the highest
 * end below them. A child is taken out before its address or size changes and put back afterwards;
 * priority, order and enabled may change in place.
 */
RegionIndex *region_index_new(void);
void region_index_free(RegionIndex *index); /* NULL is allowed; children are not touched */
void region_index_insert(RegionIndex *index, MemoryRegion *mr);
void region_index_remove(RegionIndex *index, MemoryRegion *mr); /* must be in it */
uint32_t region_index_count(const RegionIndex *index);          /* NULL: 0 */

/**
 * region_index_query() - appends the children that intersect @window (offsets in the container) to
 * @found, by increasing address. Costs O(log n) and what it finds. @index may be NULL.
 */
void region_index_query(RegionIndex *index, AddrRange window, GPtrArray *found);
/** region_index_visits() - nodes that queries have looked at: for tests of the cost */
uint64_t region_index_visits(const RegionIndex *index);

/** region_beats() - does @a win over its sibling @b where they overlap? */
bool region_beats(const MemoryRegion *a, const MemoryRegion *b);
/** region_children_in_order() - children in winning order, first wins; free the array */
GPtrArray *region_children_in_order(const MemoryRegion *mr);
/** region_has_content() - shows something of its own (neither a pure container nor an alias) */
bool region_has_content(const MemoryRegion *mr);

/*
 * References inside the tree. A reference between two regions of one owner does not hold the owner:
 * it would keep itself alive.
 */
void region_link(const MemoryRegion *holder, MemoryRegion *mr);
void region_unlink(const MemoryRegion *holder, MemoryRegion *mr);

/** struct RegionEventfd - one ioeventfd of a region; @size 0: any */
typedef struct RegionEventfd {
    hwaddr offset;
    uint64_t data;
    EventNotifier *notifier;
    unsigned size;
    bool match_data;
} RegionEventfd;

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
/**
 * region_place() - puts @mr into @container (NULL: out of its own) at @addr; keeps the references
 */
void region_place(MemoryRegion *mr, MemoryRegion *container, hwaddr addr, Int128 size);

/**
 * render_memory_region() - what @root shows from its address 0 (NULL or disabled: nothing),
 * simplified, without section ids or dispatch. One reference, the caller's.
 * @ret_visited: tiles made, before neighbours were merged; may be NULL
 */
FlatView *render_memory_region(MemorySystem *ms, MemoryRegion *root, uint64_t *ret_visited);

/**
 * memory_region_effective_root() - the lowest region that shows all that @root shows
 *
 * Follows an alias at offset 0 that covers its target, and a pure container whose only enabled
 * child lies at offset 0 and is not clipped; but no readonly or nonvolatile one, whose mark would
 * be lost. Returns: NULL if nothing can be seen.
 */
MemoryRegion *memory_region_effective_root(MemoryRegion *root);

/* Difference of two views of an address space; either may be NULL: empty. */
struct MemoryDiff {
    AddressSpace *as;
    const FlatView *old_view;
    const FlatView *new_view;
};

/**
 * memory_diff_walk() - like memory_diff_for_each(), NOPs included; @was is NULL for an ADD, @is for
 * a DEL
 */
void memory_diff_walk(const MemoryDiff *diff,
                      void (*fn)(MemoryDiffKind kind, const FlatRange *was, const FlatRange *is,
                                 void *opaque),
                      void *opaque);
/** memory_diff_is_empty() - neither a tile nor a dirty-log mask differs */
bool memory_diff_is_empty(const MemoryDiff *diff);

/*
 * Eventfds and coalesced ranges as they show through a view: sorted arrays of the same element,
 * which fits both. An eventfd shows where its first byte shows, whole, because that byte decides
 * who gets an access; a coalesced range is clipped to each tile.
 */
typedef struct ViewEvent {
    MemoryRegion *mr;
    hwaddr addr;
    uint64_t size; /* as registered */
    hwaddr offset_in_region;
    uint64_t data;
    EventNotifier *notifier; /* NULL: a coalesced range */
    bool match_data;
} ViewEvent;

GArray *view_events_of_eventfds(const FlatView *view); /* NULL: an empty list */
GArray *view_events_of_coalesced(const FlatView *view);
/** view_events_missing() - calls @fn for each event of @list that @other lacks */
void view_events_missing(const GArray *list, const GArray *other,
                         void (*fn)(const ViewEvent *event, void *opaque), void *opaque);
bool view_events_equal(const GArray *a, const GArray *b);

/* What one commit (or replay) does to one address space. */
typedef struct SpaceUpdate {
    AddressSpace *as;
    MemoryDiff diff;
    FlatView *new_view; /* a reference until published */
    GArray *eventfds_before;  /* borrowed from the space */
    GArray *eventfds_after;
    GArray *coalesced_before; /* borrowed */
    GArray *coalesced_after;
    bool heard; /* listeners have something to hear */
} SpaceUpdate;

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
/** transaction_record() - journals @mr in the open transaction; before an edit */
void transaction_record(MemoryRegion *mr);
uint64_t transaction_next_order(MemorySystem *ms);
bool transaction_is_open(MemorySystem *ms);
bool transaction_is_committing(MemorySystem *ms);
/** transaction_next_mark() - a number for a walk that marks regions */
uint64_t transaction_next_mark(MemorySystem *ms);
/**
 * region_mark_upwards() - marks @mr and everything that shows it: containers, aliases, and so on
 */
void region_mark_upwards(MemoryRegion *mr, uint64_t mark);

/** address_space_share_or_render() - a view of @effective_root: that of another space that no edit
 * reached, else a new one, made ready for publishing (ids from @old, dispatch). A reference. */
FlatView *address_space_share_or_render(MemorySystem *ms, MemoryRegion *effective_root,
                                        const FlatView *old, MemoryCommitStats *stats);

#endif
