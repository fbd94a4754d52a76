/* SPDX-License-Identifier: MIT */
/* Why an address shows what it shows: who competed for it, its tile, its way in the radix. */
#ifndef TESSERA_MEMORY_ADDRESS_EXPLAIN_H
#define TESSERA_MEMORY_ADDRESS_EXPLAIN_H

#include <glib.h>
#include "tessera/memory/section.h"
#include "tessera/memory/types.h"
#include "tessera/util/object.h"
#include "tessera/util/range.h"

/*
 * The contest: who would answer at an address, asked from the root down by the rules of region.h.
 * Each region that is entered is followed by its candidates, one level deeper: of a container those
 * subregions, disabled ones too, that reach over the address, the winner's order first; behind them
 * the container's own content if it has any; of an alias its target. In a map
 *
 *     system (container)
 *       vga-hole  0xa0000 .. 0xbffff   priority 1, I/O
 *       low       0 .. 3 GiB           priority 0, alias of pc.ram
 *       test      0xa0000 .. 0xa0fff   priority 2, disabled
 *
 * 0xa0000 is contested like this:
 *
 *     depth 0  system    entered
 *     depth 1  test      disabled         would show itself
 *     depth 1  vga-hole  won
 *     depth 1  low       lower priority   than vga-hole; would show pc.ram
 */
typedef enum ContestResult {
    CONTEST_ENTERED,      /* a container or alias through which the address came to the winner */
    CONTEST_WON,          /* its own content answers */
    CONTEST_OPEN,         /* came to its turn, and shows nothing here */
    CONTEST_DISABLED,     /* shows nothing and hides nothing */
    CONTEST_LOW_PRIORITY, /* the sibling @beaten_by shows something and has a higher priority */
    CONTEST_OLDER,        /* the same priority: @beaten_by was added (or moved) later */
    CONTEST_COVERED,      /* a container's own content: the subregion @beaten_by lies over it */
} ContestResult;

/** contest_result_name() - "entered", "won", "open", "disabled", "lower-priority", "older" ... */
const char *contest_result_name(ContestResult result);

/**
 * struct ContestEntry - one region's part in it
 * @depth: 0: the root
 * @base: address of the region's offset 0; may be below 0 behind an alias
 * @offset: bytes into @mr at the address (in an alias: of its window)
 * @behind_alias: the target of the alias one level above; its own place in the tree does not count
 * @beaten_by: LOW_PRIORITY, OLDER, COVERED: who; else NULL
 * @would_show: DISABLED and the three above: whose content would be seen if this one had been
 *      enabled, or asked first. NULL: nothing, then, too
 */
typedef struct ContestEntry {
    MemoryRegion *mr;
    unsigned depth;
    Int128 base;
    hwaddr offset;
    ContestResult result;
    bool behind_alias;
    MemoryRegion *beaten_by;
    MemoryRegion *would_show;
} ContestEntry;

/**
 * struct DispatchStep - one node of the radix on the way to an address (docs/dispatch.md)
 * @node: its number, as `info mtree -d` shows it
 * @skip: levels by which the entry before it went down
 * @level: of the node: an entry covers 2^(12 + 9 * @level) bytes
 * @index: the entry that the address chooses
 */
typedef struct DispatchStep {
    uint32_t node;
    unsigned skip;
    unsigned level;
    unsigned index;
} DispatchStep;

#define DISPATCH_STEPS_MAX 6

/**
 * struct DispatchPath - the whole way
 * @count: nodes; 0: the root entry is a leaf
 * @in_subpage: it ends in a page that several tiles share: part @part of @parts, which begins at
 *      @part_start, bytes into the page
 * @section: the number at which it arrives; 0: an entry where nothing is assigned
 * @outside: that section does not hold the address, so that nothing is assigned there after all
 */
typedef struct DispatchPath {
    unsigned count;
    DispatchStep steps[DISPATCH_STEPS_MAX];
    bool in_subpage;
    uint32_t subpage;
    uint32_t part;
    uint32_t parts;
    unsigned part_start;
    uint32_t section;
    bool outside;
} DispatchPath;

/**
 * struct AddressExplanation - everything between an address and the region that answers
 * @contest: ContestEntry, in the order in which they are asked
 * @answered: somebody does; @tile is the tile of the view, and @contest has one CONTEST_WON
 * @has_before, @has_after: not answered: the nearest tiles below and above, if there are any
 * @generation: of the view
 */
typedef struct AddressExplanation {
    AddressSpace *as;
    hwaddr addr;
    uint64_t generation;
    GArray *contest;
    bool answered;
    MemoryRegionSection tile;
    bool has_before;
    bool has_after;
    MemoryRegionSection before;
    MemoryRegionSection after;
    DispatchPath dispatch;
} AddressExplanation;

/**
 * address_explain() - explains @addr of @as
 *
 * Tree and view are those of one moment. The regions that the result names are borrowed. It looks at
 * every child of each container that it enters. Context: machine lock (asserted), held as long as
 * the result is used; not inside a transaction (asserted).
 */
AddressExplanation *address_explain(AddressSpace *as, hwaddr addr);
void address_explanation_free(AddressExplanation *explanation); /* NULL is allowed */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AddressExplanation, address_explanation_free)

#endif
