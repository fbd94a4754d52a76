/* SPDX-License-Identifier: MIT */
/* What the kernel tells of the page behind one address of this process. */
#ifndef TESSERA_UTIL_HOST_PAGE_H
#define TESSERA_UTIL_HOST_PAGE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum HostPageState {
    HOST_PAGE_PRESENT,
    HOST_PAGE_SWAPPED,
    HOST_PAGE_ABSENT,  /* never touched by this process, or given back or moved out since */
    HOST_PAGE_UNKNOWN, /* /proc/self/pagemap cannot be read: see @why_unknown */
} HostPageState;

/* Of what the page that holds the address is a part, as far as the kernel tells. */
typedef enum HostPageKind {
    HOST_PAGE_KIND_UNKNOWN,
    HOST_PAGE_KIND_SMALL,   /* of no larger one */
    HOST_PAGE_KIND_THP,     /* transparent huge page */
    HOST_PAGE_KIND_HUGETLB, /* of a hugetlbfs file */
} HostPageKind;

/** host_page_state_name() / host_page_kind_name() - "present", "absent"; "small", "thp" ... */
const char *host_page_state_name(HostPageState state);
const char *host_page_kind_name(HostPageKind kind);

/**
 * struct HostPage - the page behind an address, at one moment: the kernel may move it at any time
 * @hpa_known: @hpa is the host-physical address of the byte
 * @why_unknown: why there is no @hpa, one sentence without an end; NULL: there is
 * @size: bytes of the page as the host maps it; 0: the kernel does not tell
 * @why_no_size: the same of @size
 * @file: backed by a file or shared memory, not anonymous
 * @swap_type, @swap_offset: HOST_PAGE_SWAPPED: which swap area, and the page's place there
 */
typedef struct HostPage {
    HostPageState state;
    bool hpa_known;
    uint64_t hpa;
    char *why_unknown;
    HostPageKind kind;
    uint64_t size;
    char *why_no_size;
    bool file;
    unsigned swap_type;
    uint64_t swap_offset;
} HostPage;

/**
 * host_page_look() - asks the kernel about the page at @host, an address in a mapping
 * @mapping_page: bytes of a page of the mapping: host_page_size(), or a huge page of hugetlbfs
 *
 * Sources: /proc/self/pagemap (Linux, Documentation/admin-guide/mm/pagemap.rst), which tells page
 * frame numbers to processes with CAP_SYS_ADMIN only; /proc/kpageflags for those, else the mapping's
 * entry in /proc/self/smaps (Documentation/filesystems/proc.rst), which counts huge pages of a whole
 * mapping: where it has some but not all, a page's own size is not known. Does not touch the page.
 * Context: any thread; the mapping stays during the call; may take milliseconds.
 */
void host_page_look(const void *host, uint64_t mapping_page, HostPage *ret_page);
void host_page_clear(HostPage *page); /* frees what it owns */

#endif
