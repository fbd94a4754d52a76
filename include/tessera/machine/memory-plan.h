/* SPDX-License-Identifier: MIT */
/* Memory plans: which DIMMs would make a guest's memory larger or smaller, and what that takes. */
#ifndef TESSERA_MACHINE_MEMORY_PLAN_H
#define TESSERA_MACHINE_MEMORY_PLAN_H

#include <glib.h>
#include "tessera/hw/mem/dimm-layout.h"
#include "tessera/machine/machine.h"

/**
 * struct MemoryPool - what a plan may use; pure data
 * @window: device memory and what lies in it
 * @slots: sockets that are free
 * @room: bytes up to maxmem
 * @align: what size and address of a DIMM must be multiples of (dimm_alignment())
 */
typedef struct MemoryPool {
    DimmWindow window;
    unsigned slots;
    uint64_t room;
    uint64_t align;
} MemoryPool;

/**
 * memory_plan_lay() - DIMMs that add up to @size bytes, placed as plugging them in turn would
 * @size: a multiple of the pool's align, 1 or more
 *
 * As small as possible, so that they come back in small steps, but large enough that the slots left
 * over still reach maxmem: a power of two times the alignment, and one smaller DIMM for the rest.
 *
 * Returns: a GArray of DimmRange in the order of plugging, or NULL with TESSERA_ERROR_LIMIT: beyond
 * maxmem, too few slots, no gaps; with the largest size that would work.
 */
GArray *memory_plan_lay(const MemoryPool *pool, uint64_t size, GError **error);

/**
 * memory_plan_pick() - which of @sizes add up to as much of @total as is possible, never more
 * @sizes, @n: bytes, multiples of @unit; the first are preferred where there is a choice
 * @ret_sum: what they add up to
 *
 * Returns: a GArray of size_t, indexes into @sizes, in their order; empty when even the smallest is
 * too large.
 */
GArray *memory_plan_pick(const uint64_t *sizes, size_t n, uint64_t unit, uint64_t total,
                         uint64_t *ret_sum);

/* Can memory that is plugged come back? */
typedef enum MemoryReturn {
    MEMORY_RETURN_LIKELY,   /* the guest's command line onlines it as movable */
    MEMORY_RETURN_UNLIKELY, /* ... or not as movable */
    MEMORY_RETURN_UNKNOWN,  /* whoever onlines it in the guest decides */
} MemoryReturn;

/** memory_plan_return() - what the kernel command line @append (NULL: none) says about that */
MemoryReturn memory_plan_return(const char *append);

/**
 * struct MemoryPlan - the answer to "what would SIZE more take?"
 * @asked, @size: bytes; @size is @asked rounded up to whole memory blocks
 * @dimms: GArray of DimmRange, in the order of plugging
 * @block_size, @boot_ram_end: the guest's memory block, and the address that it follows from
 * @memory, @maxmem: bytes: boot RAM and DIMMs now, and the most there can be
 * @slots_free, @kvm_slots_free: before the plan is done
 * @boot_ram, @memmap_cost, @memmap_total: bytes; what describing the new DIMMs, and all DIMMs, takes
 * @memmap_warning: a sentence, or NULL
 * @unreachable: bytes below maxmem for which no slot would be left
 */
typedef struct MemoryPlan {
    uint64_t asked;
    uint64_t size;
    GArray *dimms;
    uint64_t block_size;
    uint64_t boot_ram_end;
    uint64_t boot_ram;
    uint64_t memory;
    uint64_t maxmem;
    unsigned slots_free;
    unsigned kvm_slots_free;
    uint64_t memmap_cost;
    uint64_t memmap_total;
    char *memmap_warning;
    uint64_t unreachable;
    MemoryReturn comes_back;
} MemoryPlan;

/**
 * machine_memory_plan() - plans for @more bytes (1 or more); changes nothing. memory_plan_free()
 *
 * Errors: no memory slots (TESSERA_ERROR_UNSUPPORTED), and those of memory_plan_lay(). Main thread.
 */
MemoryPlan *machine_memory_plan(Machine *machine, uint64_t more, GError **error);
void memory_plan_free(MemoryPlan *plan); /* NULL is allowed */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MemoryPlan, memory_plan_free)

#endif
