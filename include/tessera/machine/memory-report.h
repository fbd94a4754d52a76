/* SPDX-License-Identifier: MIT */
/* Memory report: what a machine's memory is, and what all of it takes of the host. */
#ifndef TESSERA_MACHINE_MEMORY_REPORT_H
#define TESSERA_MACHINE_MEMORY_REPORT_H

#include <glib.h>
#include "tessera/machine/machine.h"
#include "tessera/memory/memory-usage.h"

/* Who uses a block. */
typedef enum MemoryRole {
    MEMORY_ROLE_BOOT,    /* boot RAM (-m) */
    MEMORY_ROLE_DIMM,    /* a DIMM, .dimm */
    MEMORY_ROLE_UNUSED,  /* a backend that nothing shows to the guest */
    MEMORY_ROLE_BOARD,   /* the board's own: ROMs and tables */
    MEMORY_ROLE_LEAVING, /* was given up: see MemoryBlockUsage */
} MemoryRole;

/**
 * struct MemoryReportBlock - @usage is the report's
 * @dimm: id, NULL but for MEMORY_ROLE_DIMM; @unplug_pending: the guest has been asked for it
 */
typedef struct MemoryReportBlock {
    const MemoryBlockUsage *usage;
    MemoryRole role;
    char *dimm;
    bool unplug_pending;
} MemoryReportBlock;

/**
 * struct MemoryReportGuest - what the guest is shown, bytes
 * @boot: -m; @plugged: DIMMs; @maximum: maxmem, or boot RAM alone without slots
 * @unplug_pending: of @plugged: DIMMs that the guest has been asked for and has not answered about
 * @refused_plug: of @plugged: DIMMs that the guest said it cannot use
 * @slots, @slots_used: sockets
 */
typedef struct MemoryReportGuest {
    uint64_t boot;
    uint64_t plugged;
    uint64_t unplug_pending;
    uint64_t refused_plug;
    uint64_t maximum;
    unsigned slots;
    unsigned slots_used;
} MemoryReportGuest;

/**
 * struct MemoryReportKvm - the kernel's memory for this VM; MEMORY_UNTOLD: see the reasons
 * @mapped_4k, @mapped_2m, @mapped_1g: bytes of guest memory in the second-level page tables, by the
 *      size of the entries; @source: who said it, or NULL, and @no_mapped says why
 * @group: the control group whose counts follow, or NULL, and @no_group says why
 * @group_second_level, @group_page_tables, @group_kernel: bytes in all processes of that group:
 *      second-level page tables, page tables of processes, all kernel memory (memory.stat:
 *      sec_pagetables, pagetables, kernel)
 * @host_second_level: bytes of second-level page tables of all VMs of the host (meminfo:
 *      SecPageTables); @no_host says why it is untold, or NULL
 */
typedef struct MemoryReportKvm {
    uint64_t mapped_4k;
    uint64_t mapped_2m;
    uint64_t mapped_1g;
    char *source;
    char *no_mapped;
    char *group;
    char *no_group;
    uint64_t group_second_level;
    uint64_t group_page_tables;
    uint64_t group_kernel;
    uint64_t host_second_level;
    char *no_host;
} MemoryReportKvm;

/** struct MemoryReport - @blocks: GPtrArray of MemoryReportBlock, in the order of usage->blocks */
typedef struct MemoryReport {
    MemoryReportGuest guest;
    MemoryUsage *usage;
    GPtrArray *blocks;
    MemoryReportKvm kvm;
} MemoryReport;

/**
 * machine_memory_report() - asks everybody; memory_report_free()
 * @root: folder in front of /proc and /sys; NULL: the host's own
 * @mappings: as for memory_usage_read()
 *
 * There is always an answer: what is not known is told as such. Cost: see memory_usage_read().
 * Context: main thread, without the machine lock.
 */
MemoryReport *machine_memory_report(Machine *machine, const char *root, bool mappings);
void memory_report_free(MemoryReport *report); /* NULL is allowed */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MemoryReport, memory_report_free)

#endif
