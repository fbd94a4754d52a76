/* SPDX-License-Identifier: MIT */
/* What the files of the memory core share: the structures behind the opaque types. */
#ifndef TESSERA_MEMORY_MEMORY_INTERNAL_H
#define TESSERA_MEMORY_MEMORY_INTERNAL_H

#include <glib.h>
#include <pthread.h>
#include "tessera/memory/listener.h"
#include "tessera/memory/memory-system.h"
#include "tessera/memory/ram-block.h"
#include "tessera/memory/region.h"
#include "access-counters-internal.h"
#include "commit-log-internal.h"
#include "dispatch-internal.h"
#include "flatview-internal.h"

typedef struct Transaction Transaction; /* transaction.c: depth, undo journal, what changed */
typedef struct RAMList RAMList;         /* ram-block.c: blocks of a system, notifiers */

struct MemorySystem {
    pthread_mutex_t lock; /* the machine lock */
    _Atomic(uintptr_t) lock_owner; /* identity of the owning thread, 0 when free */
    unsigned lock_depth;           /* owner's recursion, guarded by the lock */

    Transaction *transaction;
    GPtrArray *spaces;    /* AddressSpace *, not owned */
    GList *listeners;     /* by increasing priority */
    SectionTable *sections;
    RAMList *ram;         /* ram_list_new() / ram_list_free() */
    FlatViewFinger fingers[FLATVIEW_FINGERS]; /* flatview.c */
    bool full_render;     /* commits render whole views; guarded by the lock */

    void (*failed)(void *opaque, const GError *commit_error, const GError *revert_error);
    void *failed_opaque;

    _Atomic unsigned regions;       /* not freed yet */
    _Atomic uint64_t numbers;       /* given to regions and spaces */
    _Atomic unsigned views_pending; /* retired, waiting for their grace period */

    _Atomic uint64_t rom_writes; /* dropped */

    _Atomic(const CoalescedFlush *) coalesced_flush; /* NULL: nobody queues writes */

    char *nameless;      /* GRefString: the name of what has no region any more */
    CommitLog log;       /* commit-log.c */
    CounterSet counters; /* access-counters.c */
};

enum MemoryRegionKind {
    REGION_CONTAINER,
    REGION_RAM,
    REGION_ROM,
    REGION_ROM_DEVICE,
    REGION_RAM_DEVICE,
    REGION_IO,
    REGION_ALIAS,
};

/* Regions by place, a container's children or a target's aliases: region-index.c. */
typedef struct RegionIndex RegionIndex;

struct MemoryRegion {
    _Atomic unsigned refs;
    enum MemoryRegionKind kind;
    MemorySystem *ms;
    Object *owner;
    char *name; /* GRefString: the history holds it, too */

    /* Read on the access path; fixed at creation. */
    const MemoryRegionOps *ops;
    void *opaque;
    RAMBlock *block;
    uint8_t whole_reads;  /* sizes, one bit each, of aligned accesses that one call of a callback */
    uint8_t whole_writes; /* serves as they are: memory_io_know_sizes() */
    uint32_t counter; /* its number in readers' tables; containers and aliases: 0 */
    _Atomic bool flush_coalesced; /* this one may change */

    /* The tree: guarded by the machine lock. */
    Int128 size;
    hwaddr addr;
    int priority;
    uint64_t order; /* place among siblings of equal priority: later is larger */
    bool enabled;
    bool readonly;
    bool nonvolatile;
    bool romd_mode;
    uint8_t dirty_log_mask;
    MemoryRegion *container;
    RegionIndex *children; /* NULL: none */
    MemoryRegion *alias;
    hwaddr alias_offset;
    RegionIndex *aliases; /* regions that are aliases of this one, not owned; NULL: none */
    AddressSpace *spaces; /* those of which it is the root, linked by next_of_root */
    GArray *ioeventfds; /* RegionEventfd; replaced, never changed in place; NULL: none */
    GArray *coalesced;  /* AddrRange; the same */
    uint64_t number;    /* of the region, never used again */
    uint64_t mark;      /* last walk up the tree that came by (transaction.c) */
};

struct AddressSpace {
    MemorySystem *ms;
    MemoryRegion *root;
    char *name; /* GRefString, as above */
    uint32_t number; /* of the space, never used again */
    _Atomic(FlatView *) view; /* published: RCU */
    RcuHead rcu;
    AddressSpace *next_of_root; /* of the same root; machine lock, and all below */
    GArray *dirty;              /* AddrRange: where edits may have changed what it shows */
    guint dirty_limit;          /* windows in it before they are joined */
    GList *listeners;           /* by increasing priority */
    GTree *ioeventfds;          /* ViewEvent: as listeners know them */
    GTree *coalesced;           /* ViewEvent: the same */
    struct SpaceUpdate *update; /* what the running commit does to it, else NULL */
    struct BouncePool *bounce; /* address-space-map.c; made by the first map, NULL before */
};

/** bounce_pool_free() - at the end of an address space; nothing may be mapped. NULL is allowed */
void bounce_pool_free(struct BouncePool *pool);

/** address_space_flatview() - the current view, inside a read section */
static inline FlatView *address_space_flatview(AddressSpace *as)
{
    return rcu_dereference_ptr(&as->view);
}

RAMList *ram_list_new(void);
void ram_list_free(RAMList *list); /* asserts that it is empty */

#endif
