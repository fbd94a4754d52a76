/* SPDX-License-Identifier: MIT */
/* Lineage: views made one from the other, and when the parts that they share come to an end. */
#ifndef TESSERA_MEMORY_LINEAGE_INTERNAL_H
#define TESSERA_MEMORY_LINEAGE_INTERNAL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct SectionTable SectionTable;

/*
 * A view is made from the one before and has most parts from it: nodes of the tree of tiles, nodes
 * and subpages of the radix, sections. To count who has a part would mean to write to each part that
 * a new view takes over, hundreds of cache lines where one tile changes. It is not needed: a part
 * that has been left out never comes back, so those who have it follow each other.
 *
 *      views           3     4     5     6     7        numbers grow along a lineage
 *      part of 3       *-----*-----*                    left out by 6: stands on the list of 5
 *      part of 5                   *-----*-----*
 *
 * A version that has a successor keeps a list of the parts that it has and the successor has not.
 * Versions end in any order, each by leaving the chain:
 *   - of its list, what is younger than its predecessor was its own alone, and is dropped; the rest
 *     the predecessor has, too, and gets to keep;
 *   - one without a successor has no list: what is younger than its predecessor is found by a walk
 *     from its roots. The predecessor's list is void then: it has no successor any more.
 * So a part is dropped when the last version that has it ends, and a commit pays for what it
 * changes. A version has one successor at most; who would be the second begins a lineage.
 *
 * Sections are shared between lineages, too, and counted: once for each lineage that has them.
 */
typedef struct Version {
    uint64_t number; /* grows along a lineage; a part is stamped with that of its maker */
    SectionTable *table;
    struct Version *prev; /* its living neighbours; the table's lineage lock, and the list */
    struct Version *next;
    GArray *left; /* Part: what it has and its successor has not; NULL: no successor */
} Version;

typedef enum PartKind { PART_TREE_NODE, PART_RADIX_NODE, PART_SUBPAGE, PART_SECTION } PartKind;

typedef struct Part {
    uint64_t born; /* number of the version that made it */
    uintptr_t ref; /* the node, or the slot's number */
    PartKind kind;
} Part;

typedef void PartVisitor(const Part *part, void *opaque);
/** PartWalk - calls @fn for the parts younger than @since (0: all), those below a part before it */
typedef void PartWalk(void *owner, uint64_t since, PartVisitor *fn, void *opaque);

/** version_init() - the first of a lineage */
void version_init(Version *v, SectionTable *table, uint64_t number);
/**
 * version_follow() - makes @v, the first of a lineage so far and without parts, the successor of
 * @prev; false: that has one
 */
bool version_follow(Version *v, Version *prev);
/**
 * version_leave() - @v, which is being made, has not the @part that its predecessor or itself had
 *
 * Context: by who makes @v; the predecessor does not end meanwhile.
 */
void version_leave(const Version *v, Part part);
/**
 * version_end() - takes @v out of its lineage and drops the parts that nobody else has
 * @walk: over all that @owner has; called at most once
 *
 * Regions are dropped with their sections, so owners' finalizers may run here. Context: any thread
 */
void version_end(Version *v, PartWalk *walk, void *owner);
/** part_drop() - frees a part; a section: one count of it. @opaque: the SectionTable */
void part_drop(const Part *part, void *opaque);

#endif
