/* SPDX-License-Identifier: MIT */
/* SectionTable: the pools that the dispatches of one machine share. */
#ifndef TESSERA_MEMORY_SECTION_TABLE_INTERNAL_H
#define TESSERA_MEMORY_SECTION_TABLE_INTERNAL_H

#include "dispatch-internal.h"
#include "slot-pool-internal.h"

struct SectionTable {
    SlotPool sections; /* DispatchSection; slot 0 is unassigned space. Words: counts */
    SlotPool nodes;    /* PhysPageNode. Words: the version that made it */
    SlotPool subpages; /* PhysSubpage *. Words: the same */
    SlotPool tree_nodes; /* FlatNode */
    pthread_mutex_t lineage_lock; /* guards the chains of versions, see lineage-internal.h */
};

#endif
