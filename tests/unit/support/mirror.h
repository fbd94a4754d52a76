/* SPDX-License-Identifier: MIT */
/* A listener that keeps the map that it was told of, and refuses when it is asked to. */
#ifndef TESSERA_TESTS_MIRROR_H
#define TESSERA_TESTS_MIRROR_H

#include <glib.h>
#include "tessera/memory/address-space.h"
#include "tessera/memory/listener.h"

/* In the order of a commit. */
typedef enum MirrorPhase {
    MIRROR_DELS,
    MIRROR_ADDS, /* and what stays */
    MIRROR_EVENTFD_DELS,
    MIRROR_EVENTFD_ADDS,
    MIRROR_COALESCED_DELS,
    MIRROR_COALESCED_ADDS,
} MirrorPhase;

typedef struct Mirror {
    MemoryListener listener;
    enum { MIRROR_FOLLOWS, MIRROR_REFUSES_PREPARE, MIRROR_FAILS_APPLY } refuse;
    GArray *tiles;  /* PaintedTile, sorted: in force */
    GArray *events; /* MirrorEvent: the same */
    GArray *queued_tiles; /* what they will be */
    GArray *queued_events;
    guint adds; /* heard since begin */
    guint nops;
    uint64_t said;  /* adds of the difference that prepare was shown, and 0x10000 for each del */
    uint64_t heard; /* the same, since begin */
    MirrorPhase phase;
    Int128 last_at; /* where the last tile of this phase began */
    bool asked;     /* by a prepare */
    bool begun;
} Mirror;

/** mirror_new() - registered; @hears_nops: it is told of tiles that stay, too */
Mirror *mirror_new(AddressSpace *as, int priority, bool hears_nops);
/** mirror_free() - unregisters it, and asserts that nothing is left behind */
void mirror_free(Mirror *m);
/** mirror_check() - asserts that it was told of what the view shows, tile for tile */
void mirror_check(Mirror *m);

#endif
