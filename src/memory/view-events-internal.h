/* SPDX-License-Identifier: MIT */
/* Eventfds and coalesced ranges as they show through a view. */
#ifndef TESSERA_MEMORY_VIEW_EVENTS_INTERNAL_H
#define TESSERA_MEMORY_VIEW_EVENTS_INTERNAL_H

#include "memory-internal.h"

/** struct RegionEventfd - one ioeventfd of a region; @size 0: any */
typedef struct RegionEventfd {
    hwaddr offset;
    uint64_t data;
    EventNotifier *notifier;
    unsigned size;
    bool match_data;
} RegionEventfd;

/*
 * One that shows. An eventfd shows where its first byte shows, whole, because that byte decides who
 * gets an access; a coalesced range is clipped to each tile. Either belongs to the tile in which it
 * begins: when tiles change, so do the events between the first of them and the last, and no
 * others. Hence an address space keeps its events sorted in a tree, and a commit looks at spans
 * only.
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

typedef void ViewEventsOfTile(GArray *list, const FlatRange *fr);
ViewEventsOfTile view_eventfds_of_tile;
ViewEventsOfTile view_coalesced_of_tile;

/**
 * view_events_of_tiles() - the events, in order, of the tiles of @view in @spans (sorted AddrRange,
 * each of whole tiles)
 */
GArray *view_events_of_tiles(const FlatView *view, const GArray *spans, ViewEventsOfTile *of_tile);

/** view_events_new() - an empty set; g_tree_unref() */
GTree *view_events_new(void);
/** view_events_in() - those of a set that begin in @spans, in order */
GArray *view_events_in(GTree *events, const GArray *spans);
/** view_events_replace() - takes those of @gone out of a set and puts those of @come into it */
void view_events_replace(GTree *events, const GArray *gone, const GArray *come);

/** view_events_missing() - calls @fn for each event of the sorted @list that @other lacks */
void view_events_missing(const GArray *list, const GArray *other,
                         void (*fn)(const ViewEvent *event, void *opaque), void *opaque);
bool view_events_equal(const GArray *a, const GArray *b);

#endif
