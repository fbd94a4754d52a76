/* SPDX-License-Identifier: MIT */
/* /proc/PID/smaps: what each mapping of a process takes of the host's memory. */
#ifndef TESSERA_UTIL_PROC_SMAPS_H
#define TESSERA_UTIL_PROC_SMAPS_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The format (Linux, Documentation/filesystems/proc.rst, section 1.1, "/proc/PID/smaps"): for each
 * mapping, by increasing address, a line as in /proc/PID/maps and then lines "Key: value":
 *
 *   7f1c40000000-7f1c40200000 rw-p 00000000 00:00 0     [heap]
 *   Rss:                1024 kB                         one line for each amount
 *   VmFlags: rd wr mr mw me ac hg mg                    what it is allowed and advised
 *
 * Kernels differ in which keys they have, and add new ones: what is unknown here is passed over,
 * and what a kernel does not say is SMAPS_UNTOLD.
 */
#define SMAPS_UNTOLD UINT64_MAX

/* The amounts that are read, all in bytes. */
typedef enum SmapsField {
    SMAPS_RSS,             /* present in the page tables; without huge pages of hugetlbfs */
    SMAPS_SHARED_CLEAN,    /* of it: mapped more than once ... */
    SMAPS_SHARED_DIRTY,
    SMAPS_ANONYMOUS,       /* of it: belongs to no file */
    SMAPS_KSM,             /* of it: merged with equal pages */
    SMAPS_ANON_HUGE,       /* of it: mapped by transparent huge pages, anonymous, ... */
    SMAPS_SHMEM_HUGE,      /* ... shared memory, ... */
    SMAPS_FILE_HUGE,       /* ... files */
    SMAPS_SHARED_HUGETLB,  /* huge pages of hugetlbfs that are present: mapped often, ... */
    SMAPS_PRIVATE_HUGETLB, /* ... or here only */
    SMAPS_SWAP,            /* on swap */
    SMAPS_FIELDS,
} SmapsField;

/* Of VmFlags. */
#define SMAPS_MERGEABLE (1u << 0) /* mg: KSM may merge pages */
#define SMAPS_HUGE      (1u << 1) /* hg: MADV_HUGEPAGE */
#define SMAPS_NO_HUGE   (1u << 2) /* nh: MADV_NOHUGEPAGE */

/**
 * struct SmapsMapping - one mapping
 * @start, @end: host-virtual addresses; @end is the first one behind it
 * @perms: "rw-p" and the like, as in /proc/PID/maps
 * @inode: of the file that is mapped; 0: none
 * @name: path or "[heap]" and the like; "": none. The first 255 bytes of it
 * @bytes: by SmapsField; SMAPS_UNTOLD: this kernel has no such line
 * @flags: SMAPS_MERGEABLE ...
 * @again: begins before the end of the one before: others have changed the map in between (mappings
 *      that join), and what lies there has been told twice
 */
typedef struct SmapsMapping {
    uint64_t start;
    uint64_t end;
    char perms[5];
    uint64_t inode;
    char name[256];
    uint64_t bytes[SMAPS_FIELDS];
    unsigned flags;
    bool again;
} SmapsMapping;

/** SmapsFn - hears of each mapping; valid during the call */
typedef void SmapsFn(const SmapsMapping *mapping, void *opaque);

/**
 * struct SmapsParser - reads the text piece by piece, without memory of its own: what it would
 * allocate would be counted
 */
typedef struct SmapsParser {
    SmapsFn *fn;
    void *opaque;
    SmapsMapping now;
    bool in_mapping;
    unsigned lines; /* complete ones so far */
    size_t len;
    char line[512]; /* what does not fit (names only) is dropped */
} SmapsParser;

/**
 * smaps_parser_init() / smaps_parser_feed() / smaps_parser_end() - all of the text, in pieces
 * @fn: called once for each mapping, by increasing end
 *
 * Errors: TESSERA_ERROR_INVALID with the number of the line: no mapping where one must be, one that
 * is empty or ends before the one above it, an amount that is none; a text that is empty or ends
 * within a line. Mappings in front of it have been told by then. Nothing is fed after an error.
 */
void smaps_parser_init(SmapsParser *p, SmapsFn *fn, void *opaque);
bool smaps_parser_feed(SmapsParser *p, const char *text, size_t len, GError **error);
bool smaps_parser_end(SmapsParser *p, GError **error);

/**
 * smaps_read() - the mappings of this process, as <@root>/proc/self/smaps says
 * @root: NULL: the host's files
 *
 * The kernel goes through the page tables of each mapping for it: see docs/accounting.md. Between
 * two mappings others may change the map. Context: any thread; no lock that a vCPU may wait for
 * should be held.
 *
 * Errors: TESSERA_ERROR_SYSTEM naming the file; _INVALID as above.
 */
bool smaps_read(const char *root, SmapsFn *fn, void *opaque, GError **error);

#endif
