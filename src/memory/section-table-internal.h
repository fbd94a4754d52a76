/* SPDX-License-Identifier: MIT */
/* SectionTable: the pools that the dispatches of one machine share. */
#ifndef TESSERA_MEMORY_SECTION_TABLE_INTERNAL_H
#define TESSERA_MEMORY_SECTION_TABLE_INTERNAL_H

#include "dispatch-internal.h"
#include "slot-pool-internal.h"

struct SectionTable {
    SlotPool sections; /* DispatchSection; slot 0 is unassigned space */
    SlotPool nodes;    /* PhysPageNode */
    SlotPool subpages; /* PhysSubpage * */
};

#endif
