/* SPDX-License-Identifier: MIT */
/* A listener that keeps the map that it was told of, and refuses when it is asked to. */
#ifndef TESSERA_TESTS_MIRROR_H
#define TESSERA_TESTS_MIRROR_H

#include <glib.h>
#include "tessera/memory/address-space.h"
#include "tessera/memory/listener.h"

typedef struct Mirror {
    MemoryListener listener;
    enum { MIRROR_FOLLOWS, MIRROR_REFUSES_PREPARE, MIRROR_FAILS_APPLY } refuse;
    GArray *tiles;  /* PaintedTile, sorted: in force */
    GArray *events; /* MirrorEvent: the same */
    GArray *queued_tiles; /* what they will be */
    GArray *queued_events;
    guint nops; /* heard since begin */
    bool begun;
} Mirror;

/** mirror_new() - registered; @hears_nops: it is told of tiles that stay, too */
Mirror *mirror_new(AddressSpace *as, int priority, bool hears_nops);
/** mirror_free() - unregisters it, and asserts that nothing is left behind */
void mirror_free(Mirror *m);
/** mirror_check() - asserts that it was told of what the view shows, tile for tile */
void mirror_check(Mirror *m);

#endif
