/* SPDX-License-Identifier: MIT */
/* What guest memory, and everything else of this process, takes of the host's memory. */
#ifndef TESSERA_MEMORY_MEMORY_USAGE_H
#define TESSERA_MEMORY_MEMORY_USAGE_H

#include <glib.h>
#include <stdbool.h>
#include "tessera/memory/ram-block.h"
#include "tessera/memory/types.h"

/* An amount that the kernel does not tell. */
#define MEMORY_UNTOLD UINT64_MAX

/**
 * struct MemoryAmounts - bytes; a sum with a part that is MEMORY_UNTOLD is MEMORY_UNTOLD
 * @resident: present in this process's page tables, huge pages of hugetlbfs included
 * @thp: of it: mapped by transparent huge pages (whole 2 MiB page-table entries)
 * @hugetlb: of it: huge pages of hugetlbfs
 * @anonymous: of it: belongs to no file
 * @shared: of it: mapped more than once, by other processes or by KSM
 * @merged: of it: merged with equal pages (KSM)
 * @swapped: on swap, not resident
 */
typedef struct MemoryAmounts {
    uint64_t resident;
    uint64_t thp;
    uint64_t hugetlb;
    uint64_t anonymous;
    uint64_t shared;
    uint64_t merged;
    uint64_t swapped;
} MemoryAmounts;

/** memory_amounts_add() - @to += @part, field by field */
void memory_amounts_add(MemoryAmounts *to, const MemoryAmounts *part);

/**
 * struct MemoryBlockUsage - one RAMBlock
 * @idstr: its name
 * @host: where it is mapped
 * @size: used length, bytes; @page_size: of what backs it
 * @flags: RAM_SHARED ...
 * @has_file: a file is behind it (a memfd too)
 * @file_bytes: what that file takes of the host's memory or disk, mapped here or not; MEMORY_UNTOLD
 * @mergeable, @huge, @no_huge: what the kernel says it was advised, for all or part of it
 * @leaving: its owner has given it up; old views of the map still hold it for a moment
 * @foreign: the mapping belongs to somebody else: @amounts are untold, and counted where they are
 */
typedef struct MemoryBlockUsage {
    char *idstr;
    const void *host;
    uint64_t size;
    size_t page_size;
    unsigned flags;
    bool has_file;
    uint64_t file_bytes;
    bool mergeable;
    bool huge;
    bool no_huge;
    bool leaving;
    bool foreign;
    MemoryAmounts amounts;
} MemoryBlockUsage;

/* The process without guest memory, by kind of mapping. */
typedef enum MemoryPart {
    MEMORY_PART_CODE,      /* the program and its libraries, as their files have them */
    MEMORY_PART_DATA,      /* pages of those that were written to: variables, relocations */
    MEMORY_PART_HEAP,      /* [heap] */
    MEMORY_PART_STACKS,    /* the main thread's, and what looks like a thread's */
    MEMORY_PART_ANONYMOUS, /* other anonymous mappings: the allocator's, pools, read-copy-update */
    MEMORY_PART_VCPU_RUN,  /* pages that a vCPU's descriptor shares with the kernel */
    MEMORY_PART_OTHER,     /* shared files and memory, pages that the kernel maps ([vdso]) */
    MEMORY_PARTS,
} MemoryPart;

const char *memory_part_name(MemoryPart part); /* "code", "thread-stacks", ... */

/**
 * struct MemoryUsage - the whole process at one moment
 * @blocks: GPtrArray of MemoryBlockUsage, largest first
 * @leaving: of blocks that nothing holds any more, until their grace period is over
 * @guest: sum of the blocks that are not foreign, and of @leaving; @vmm: sum of @parts
 * @no_mappings: why the amounts of all these are untold, or NULL
 * @mappings: how many there are
 * @unsettled: others changed the map each time it was read: some of it is counted twice
 * @rss, @hugetlb, @swap: the kernel's own counts for the process: VmRSS, HugetlbPages, VmSwap
 * @rss_anon, @rss_file, @rss_shmem: what @rss is the sum of: RssAnon, RssFile, RssShmem
 * @page_tables: VmPTE: the process's page tables
 * @no_counts: why one of these seven is untold, or NULL
 * @merged: pages of the whole process that KSM has merged (ksm_merging_pages)
 * @no_merged: why that is untold, or NULL
 */
typedef struct MemoryUsage {
    GPtrArray *blocks;
    MemoryAmounts leaving;
    MemoryAmounts guest;
    MemoryAmounts parts[MEMORY_PARTS];
    MemoryAmounts vmm;
    char *no_mappings;
    unsigned mappings;
    bool unsettled;
    uint64_t rss;
    uint64_t rss_anon;
    uint64_t rss_file;
    uint64_t rss_shmem;
    uint64_t hugetlb;
    uint64_t swap;
    uint64_t page_tables;
    char *no_counts;
    uint64_t merged;
    char *no_merged;
} MemoryUsage;

/**
 * memory_usage_read() - asks the kernel
 * @root: folder in front of /proc; NULL: the host's own
 * @mappings: false: only what the kernel has counted anyway, at a cost that does not grow with the
 *      memory; the amounts of blocks and parts are untold then, but for file_bytes
 *
 * Every byte that is resident is counted once: in a block, or in a part. While the guest runs the
 * mappings are not read in one instant, and the kernel's own counts a moment later. Where mappings
 * were joined in between they are read again, some times at most. Whatever cannot be read is told
 * as such; there is always an answer, memory_usage_free().
 *
 * Cost: the kernel walks the page tables of what is resident (docs/accounting.md). Context: any
 * thread; takes the machine lock for the list of blocks, and does not hold it while it reads.
 */
MemoryUsage *memory_usage_read(MemorySystem *ms, const char *root, bool mappings);
void memory_usage_free(MemoryUsage *usage); /* NULL is allowed */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MemoryUsage, memory_usage_free)

#endif
