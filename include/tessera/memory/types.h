/* SPDX-License-Identifier: MIT */
/* Words that every part of the memory core and every device shares. */
#ifndef TESSERA_MEMORY_TYPES_H
#define TESSERA_MEMORY_TYPES_H

#include <stdbool.h>
#include <stdint.h>

/* A guest-physical address, or an I/O port, or an offset in a MemoryRegion. */
typedef uint64_t hwaddr;

/* An offset in the linear space of all RAMBlocks; not a guest-physical address. */
typedef uint64_t ram_addr_t;

/* Result of an access: a set of bits, OR-ed over the pieces of a long access. */
typedef uint32_t MemTxResult;
#define MEMTX_OK           0u
#define MEMTX_ERROR        (1u << 0) /* the device refused, or the access broke its size rules */
#define MEMTX_DECODE_ERROR (1u << 1) /* nothing answers at that address */
#define MEMTX_ROM_WRITE    (1u << 2) /* a write to read-only memory was dropped */

/**
 * struct MemTxAttrs - who makes an access
 * @requester_id: PCI requester (bus << 8 | devfn) for device DMA, 0 for a vCPU
 * @debug: a monitor's or debugger's access: must have no side effect on a device
 * @exit: a vCPU left the guest for this access: it is counted so (memory/access-counters.h); devices
 *      do not see it
 */
typedef struct MemTxAttrs {
    uint16_t requester_id;
    bool debug;
    bool exit;
} MemTxAttrs;

#define MEMTXATTRS_NONE ((MemTxAttrs){ 0 })

/* Clients of dirty logging, as a mask (memory-region and FlatRange carry it). */
#define DIRTY_CLIENT_MIGRATION (1u << 0)
#define DIRTY_CLIENT_MONITOR   (1u << 1)

typedef struct MemorySystem MemorySystem;
typedef struct MemoryRegion MemoryRegion;
typedef struct MemoryRegionOps MemoryRegionOps;
typedef struct AddressSpace AddressSpace;
typedef struct FlatView FlatView;
typedef struct MemoryListener MemoryListener;
typedef struct RAMBlock RAMBlock;
typedef struct EventNotifier EventNotifier;

#endif
