/* SPDX-License-Identifier: MIT */
/* The page behind an address of this process, from the files of /proc. */
#include "tessera/util/host-page.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "tessera/util/host-memory.h"
#include "tessera/util/proc-smaps.h"
#include "tessera/util/size.h"

/* One 64-bit word for each page (Documentation/admin-guide/mm/pagemap.rst). */
#define PAGEMAP_PRESENT    (UINT64_C(1) << 63)
#define PAGEMAP_SWAPPED    (UINT64_C(1) << 62)
#define PAGEMAP_FILE       (UINT64_C(1) << 61)
#define PAGEMAP_PFN_MASK   ((UINT64_C(1) << 55) - 1)
#define PAGEMAP_SWAP_TYPE  UINT64_C(0x1f)
#define PAGEMAP_SWAP_SHIFT 5

/* /proc/kpageflags: one word for each page frame (the same page). */
#define KPAGEFLAGS_THP (UINT64_C(1) << 22)

#define HUGE_PAGE (2 * MIB) /* of a transparent huge page that is mapped as one, on x86 */

/* ioctl of Linux 6.7 (linux/fs.h, PAGEMAP_SCAN); Debian 12's header lacks it. */
typedef struct PagemapRegion {
    uint64_t start;
    uint64_t end;
    uint64_t categories;
} PagemapRegion;

typedef struct PagemapScan {
    uint64_t size;
    uint64_t flags;
    uint64_t start;
    uint64_t end;
    uint64_t walk_end;
    uint64_t vec;
    uint64_t vec_len;
    uint64_t max_pages;
    uint64_t category_inverted;
    uint64_t category_mask;
    uint64_t category_anyof_mask;
    uint64_t return_mask;
} PagemapScan;

#define PAGEMAP_SCAN_REQUEST _IOWR('f', 16, PagemapScan)
#define PAGE_IS_PRESENT_BIT  (UINT64_C(1) << 3)
#define PAGE_IS_HUGE_BIT     (UINT64_C(1) << 6)

const char *host_page_state_name(HostPageState state)
{
    static const char *const names[] = {
        [HOST_PAGE_PRESENT] = "present",
        [HOST_PAGE_SWAPPED] = "swapped",
        [HOST_PAGE_ABSENT] = "absent",
        [HOST_PAGE_UNKNOWN] = "unknown",
    };

    return names[state];
}

const char *host_page_kind_name(HostPageKind kind)
{
    static const char *const names[] = {
        [HOST_PAGE_KIND_UNKNOWN] = "unknown",
        [HOST_PAGE_KIND_SMALL] = "small",
        [HOST_PAGE_KIND_THP] = "thp",
        [HOST_PAGE_KIND_HUGETLB] = "hugetlb",
    };

    return names[kind];
}

/* The word number @index of a file of words. Returns: false with errno set. */
static bool read_word(int fd, uint64_t index, uint64_t *ret_word)
{
    ssize_t n = pread(fd, ret_word, sizeof(*ret_word), (off_t)(index * sizeof(*ret_word)));

    if (n >= 0 && n != (ssize_t)sizeof(*ret_word)) {
        errno = EIO;
    }
    return n == (ssize_t)sizeof(*ret_word);
}

/* State and page frame, from the word of the page. */
static void take_word(HostPage *page, uint64_t word, uint64_t in_page)
{
    page->file = (word & PAGEMAP_FILE) != 0;
    if (word & PAGEMAP_SWAPPED) {
        page->state = HOST_PAGE_SWAPPED;
        page->swap_type = (unsigned)(word & PAGEMAP_SWAP_TYPE);
        page->swap_offset = (word & PAGEMAP_PFN_MASK) >> PAGEMAP_SWAP_SHIFT;
        page->why_unknown = g_strdup("the host has swapped the page out");
    } else if (!(word & PAGEMAP_PRESENT)) {
        page->state = HOST_PAGE_ABSENT;
        page->why_unknown = g_strdup("this process has no page there: never touched, or given back "
                                     "or moved out since");
    } else if (!(word & PAGEMAP_PFN_MASK)) {
        page->state = HOST_PAGE_PRESENT;
        page->why_unknown = g_strdup("the kernel tells page frame numbers only to processes with "
                                     "CAP_SYS_ADMIN");
    } else {
        page->state = HOST_PAGE_PRESENT;
        page->hpa_known = true;
        page->hpa = (word & PAGEMAP_PFN_MASK) * host_page_size() + in_page;
    }
}

/* Is the page part of a huge one in this process's page tables? False: this kernel cannot say. */
static bool ask_scan(int pagemap, const void *host, bool *ret_huge)
{
    uint64_t start = (uintptr_t)host & ~((uint64_t)host_page_size() - 1);
    PagemapRegion region = { 0 };
    PagemapScan scan = {
        .size = sizeof(scan),
        .start = start,
        .end = start + host_page_size(),
        .vec = (uintptr_t)&region,
        .vec_len = 1,
        .category_mask = PAGE_IS_PRESENT_BIT,
        .return_mask = PAGE_IS_PRESENT_BIT | PAGE_IS_HUGE_BIT,
    };

    if (ioctl(pagemap, PAGEMAP_SCAN_REQUEST, &scan) != 1) {
        return false;
    }
    *ret_huge = (region.categories & PAGE_IS_HUGE_BIT) != 0;
    return true;
}

/* What smaps says of the mapping that holds @addr: bytes there, and of those in huge pages. */
typedef struct SmapsAnswer {
    uint64_t addr;
    bool found;
    uint64_t resident;
    uint64_t huge;
} SmapsAnswer;

static void take_mapping(const SmapsMapping *mapping, void *opaque)
{
    static const SmapsField fields[] = { SMAPS_ANON_HUGE, SMAPS_SHMEM_HUGE, SMAPS_FILE_HUGE };
    SmapsAnswer *answer = opaque;

    if (answer->addr < mapping->start || answer->addr >= mapping->end) {
        return;
    }
    answer->found = mapping->bytes[SMAPS_RSS] != SMAPS_UNTOLD;
    answer->resident = mapping->bytes[SMAPS_RSS];
    for (unsigned i = 0; i < G_N_ELEMENTS(fields); i++) {
        uint64_t bytes = mapping->bytes[fields[i]];

        answer->huge += bytes != SMAPS_UNTOLD ? bytes : 0;
    }
}

/* Of a page frame, whoever maps it. False: no privilege. */
static bool ask_kpageflags(uint64_t pfn, bool *ret_huge)
{
    int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
    uint64_t flags;
    bool told = fd >= 0 && read_word(fd, pfn, &flags);

    if (told) {
        *ret_huge = (flags & KPAGEFLAGS_THP) != 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    return told;
}

static bool ask_whether_huge(int pagemap, const void *host, HostPage *page, bool *ret_huge)
{
    SmapsAnswer smaps = { .addr = (uintptr_t)host };

    if (ask_scan(pagemap, host, ret_huge)) {
        return true;
    }
    smaps.found = smaps_read(NULL, take_mapping, &smaps, NULL) && smaps.found;
    if (smaps.found && (smaps.huge == 0 || smaps.huge == smaps.resident)) {
        *ret_huge = smaps.huge > 0;
        return true;
    }
    if (page->hpa_known && ask_kpageflags(page->hpa / host_page_size(), ret_huge)) {
        return true;
    }
    page->why_no_size =
        smaps.found ? g_strdup_printf("%" PRIu64 " of %" PRIu64 " KiB of the mapping are in huge "
                                      "pages; which, the kernel tells only to processes with "
                                      "CAP_SYS_ADMIN", smaps.huge / KIB, smaps.resident / KIB)
                    : g_strdup("/proc/self/smaps does not tell");
    return false;
}

static void find_size(int pagemap, const void *host, uint64_t mapping_page, HostPage *page)
{
    bool huge = false;

    if (mapping_page > host_page_size()) {
        page->kind = HOST_PAGE_KIND_HUGETLB;
        page->size = mapping_page;
    } else if (page->state != HOST_PAGE_PRESENT) {
        page->why_no_size = g_strdup(page->state == HOST_PAGE_UNKNOWN
                                         ? "/proc/self/pagemap cannot be read"
                                         : "there is no page");
    } else if (ask_whether_huge(pagemap, host, page, &huge)) {
        page->kind = huge ? HOST_PAGE_KIND_THP : HOST_PAGE_KIND_SMALL;
        page->size = huge ? HUGE_PAGE : host_page_size();
    }
}

void host_page_look(const void *host, uint64_t mapping_page, HostPage *ret_page)
{
    uint64_t page_size = host_page_size();
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    uint64_t word = 0;

    *ret_page = (HostPage){ .state = HOST_PAGE_UNKNOWN };
    if (fd < 0) {
        ret_page->why_unknown =
            g_strdup_printf("cannot open /proc/self/pagemap: %s", g_strerror(errno));
    } else if (!read_word(fd, (uintptr_t)host / page_size, &word)) {
        ret_page->why_unknown =
            g_strdup_printf("cannot read /proc/self/pagemap: %s", g_strerror(errno));
    } else {
        take_word(ret_page, word, (uintptr_t)host % page_size);
    }
    find_size(fd, host, mapping_page, ret_page);
    if (fd >= 0) {
        close(fd);
    }
}

void host_page_clear(HostPage *page)
{
    g_clear_pointer(&page->why_unknown, g_free);
    g_clear_pointer(&page->why_no_size, g_free);
}
