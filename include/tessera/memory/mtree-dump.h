/* SPDX-License-Identifier: MIT */
/* Trees and flat views as text, in the manner of QEMU's "info mtree". */
#ifndef TESSERA_MEMORY_MTREE_DUMP_H
#define TESSERA_MEMORY_MTREE_DUMP_H

#include <glib.h>
#include "tessera/memory/types.h"
#include "tessera/util/object.h"

/**
 * struct MtreeStyle - what is shown beyond the lines themselves
 * @append_owner: appends " owner:{...}" behind a region's line; @owner may be NULL. NULL: no owners
 * @dispatch: flat views only: how addresses find their tile: sections, radix nodes, subpages
 * @counts: how often each region was read and written, and how many exits it caused
 *      (memory/access-counters.h). Behind the line of each that was ever accessed, wherever it shows:
 *
 *        00000000000003f8-00000000000003ff (prio 0, i/o): serial reads=12 writes=302 exits=314
 *          by vcpu0: reads=10 writes=302 exits=312
 *          by vcpu1: reads=2 writes=0 exits=2
 *
 *      ("by" lines where more than one reader has accessed it), and at the end, for the whole machine,
 *      accesses where nothing answers
 */
typedef struct MtreeStyle {
    void (*append_owner)(Object *owner, GString *out);
    bool dispatch;
    bool counts;
} MtreeStyle;

/**
 * memory_dump_tree() - appends every address space's tree to @out, then the targets of the aliases
 *
 *   address-space: memory
 *     0000000000000000-ffffffffffffffff (prio 0, container): system
 *       0000000000000000-000000000fffffff (prio 0, ram): alias ram-below-4g @pc.ram 0000000000000000-000000000fffffff
 *
 *   memory-region: pc.ram
 *     0000000000000000-000000000fffffff (prio 0, ram): pc.ram
 *
 * Siblings stand by address, at the same address the winner first. Marks behind a line: [readonly],
 * [nonvolatile], [disabled]. Addresses are those in the tree that is shown; what ends above 2^64 is
 * shown to end there. Takes the machine lock.
 */
void memory_dump_tree(MemorySystem *ms, GString *out);
void memory_dump_tree_styled(MemorySystem *ms, const MtreeStyle *style, GString *out);

/**
 * memory_dump_flatviews() - appends each flat view to @out, with the address spaces that share it
 *
 *   FlatView #0
 *    AS "memory", root: system
 *    Root memory region: system
 *     0000000000000000-000000000009ffff (ram): pc.ram
 *     00000000000c0000-00000000000fffff (rom): pc.ram @00000000000c0000
 *
 * Takes the machine lock.
 */
void memory_dump_flatviews(MemorySystem *ms, GString *out);
void memory_dump_flatviews_styled(MemorySystem *ms, const MtreeStyle *style, GString *out);

#endif
