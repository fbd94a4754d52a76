/* SPDX-License-Identifier: MIT */
/* What guest memory, and everything else of this process, takes of the host's memory. */
#include "tessera/memory/memory-usage.h"

#include <string.h>
#include <sys/stat.h>
#include "ram-internal.h"
#include "tessera/util/error.h"
#include "tessera/util/proc-fields.h"
#include "tessera/util/proc-smaps.h"

/* Amounts. */

static uint64_t add(uint64_t a, uint64_t b)
{
    return a == MEMORY_UNTOLD || b == MEMORY_UNTOLD ? MEMORY_UNTOLD : a + b;
}

void memory_amounts_add(MemoryAmounts *to, const MemoryAmounts *part)
{
    to->resident = add(to->resident, part->resident);
    to->thp = add(to->thp, part->thp);
    to->hugetlb = add(to->hugetlb, part->hugetlb);
    to->anonymous = add(to->anonymous, part->anonymous);
    to->shared = add(to->shared, part->shared);
    to->merged = add(to->merged, part->merged);
    to->swapped = add(to->swapped, part->swapped);
}

static const MemoryAmounts untold = { MEMORY_UNTOLD, MEMORY_UNTOLD, MEMORY_UNTOLD, MEMORY_UNTOLD,
                                      MEMORY_UNTOLD, MEMORY_UNTOLD, MEMORY_UNTOLD };

/* A line that kernels without the feature do not have: what it would count is not there. */
static uint64_t or_none(uint64_t amount)
{
    return amount == SMAPS_UNTOLD ? 0 : amount;
}

/*
 * Old kernels lack the lines of shared memory's and files' huge pages, and kernels without
 * hugetlbfs those of its pages: there is none of these then. But kernels merged pages before they
 * had a line for it: untold.
 */
static MemoryAmounts amounts_of(const SmapsMapping *m)
{
    uint64_t hugetlb = or_none(m->bytes[SMAPS_SHARED_HUGETLB]) +
                       or_none(m->bytes[SMAPS_PRIVATE_HUGETLB]);

    return (MemoryAmounts){
        .resident = add(m->bytes[SMAPS_RSS], hugetlb),
        .thp = or_none(m->bytes[SMAPS_ANON_HUGE]) + or_none(m->bytes[SMAPS_SHMEM_HUGE]) +
               or_none(m->bytes[SMAPS_FILE_HUGE]),
        .hugetlb = hugetlb,
        .anonymous = m->bytes[SMAPS_ANONYMOUS],
        .shared = add(add(m->bytes[SMAPS_SHARED_CLEAN], m->bytes[SMAPS_SHARED_DIRTY]),
                      or_none(m->bytes[SMAPS_SHARED_HUGETLB])),
        .merged = m->bytes[SMAPS_KSM],
        .swapped = m->bytes[SMAPS_SWAP],
    };
}

/* Blocks: listed under the machine lock, with a reference until everything was read. */

static void block_usage_free(gpointer opaque)
{
    MemoryBlockUsage *u = opaque;

    g_free(u->idstr);
    g_free(u);
}

typedef struct BlockList {
    GPtrArray *blocks; /* RAMBlock *, referenced */
    GPtrArray *usages; /* MemoryBlockUsage * */
    GArray *leaving;   /* RAMLeaving */
} BlockList;

static void list_block(RAMBlock *block, void *opaque)
{
    BlockList *list = opaque;
    MemoryBlockUsage *u = g_new0(MemoryBlockUsage, 1);

    u->idstr = g_strdup(block->idstr);
    u->host = block->mem.host;
    u->size = ram_block_used_length(block);
    u->page_size = block->mem.page_size;
    u->flags = block->flags;
    u->has_file = block->mem.fd >= 0;
    u->file_bytes = MEMORY_UNTOLD;
    u->leaving = !block->named;
    u->foreign = block->flags & RAM_FOREIGN;
    g_ptr_array_add(list->blocks, ram_block_ref(block));
    g_ptr_array_add(list->usages, u);
}

static BlockList list_blocks(MemorySystem *ms)
{
    BlockList list = {
        .blocks = g_ptr_array_new_with_free_func((GDestroyNotify)ram_block_unref),
        .usages = g_ptr_array_new_with_free_func(block_usage_free),
    };

    memory_system_lock(ms);
    ram_block_for_each(ms, list_block, &list);
    list.leaving = ram_list_leaving(ms->ram);
    memory_system_unlock(ms);
    return list;
}

/* Units of st_blocks: 512 bytes, whatever the file system (stat(2)). */
static void ask_files(BlockList *list)
{
    for (guint i = 0; i < list->blocks->len; i++) {
        const RAMBlock *block = list->blocks->pdata[i];
        MemoryBlockUsage *u = list->usages->pdata[i];
        struct stat st;

        if (u->has_file && fstat(block->mem.fd, &st) == 0) {
            u->file_bytes = (uint64_t)st.st_blocks * 512;
        }
    }
}

/* Mappings: each belongs to a block, or to one of the parts. */

/*
 * A block's mapping may come in pieces (advice and protection split it), and whatever lies right
 * behind it is kept from it by its inaccessible page: so where a mapping begins says whose it is.
 */
typedef struct Extent {
    uint64_t start;
    uint64_t end;
    MemoryBlockUsage *usage; /* NULL: the mapping of a block that is gone */
} Extent;

typedef struct Sorter {
    MemoryUsage *usage;
    GArray *extents; /* Extent, by start */
    uint64_t guard_end;  /* end of the mapping before, if it was one inaccessible page alone; 0 */
} Sorter;

static gint compare_extents(gconstpointer a, gconstpointer b)
{
    const Extent *x = a;
    const Extent *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

static GArray *extents_of(const BlockList *list)
{
    GArray *extents = g_array_new(FALSE, FALSE, sizeof(Extent));

    for (guint i = 0; i < list->blocks->len; i++) {
        const RAMBlock *block = list->blocks->pdata[i];
        uint64_t start = (uintptr_t)block->mem.host;

        if (!(block->flags & RAM_FOREIGN)) {
            Extent e = { start, start + block->mem.size, list->usages->pdata[i] };

            g_array_append_val(extents, e);
        }
    }
    for (guint i = 0; i < list->leaving->len; i++) {
        const RAMLeaving *gone = &g_array_index(list->leaving, RAMLeaving, i);
        Extent e = { gone->start, gone->start + gone->size, NULL };

        g_array_append_val(extents, e);
    }
    g_array_sort(extents, compare_extents);
    return extents;
}

static const Extent *find_extent(const GArray *extents, uint64_t addr)
{
    guint low = 0, high = extents->len;

    while (low < high) {
        guint mid = low + (high - low) / 2;
        const Extent *e = &g_array_index(extents, Extent, mid);

        if (addr < e->start) {
            high = mid;
        } else if (addr >= e->end) {
            low = mid + 1;
        } else {
            return e;
        }
    }
    return NULL;
}

static void count_for_block(MemoryBlockUsage *u, const SmapsMapping *m,
                            const MemoryAmounts *amounts)
{
    memory_amounts_add(&u->amounts, amounts);
    u->mergeable |= m->flags & SMAPS_MERGEABLE;
    u->huge |= m->flags & SMAPS_HUGE;
    u->no_huge |= m->flags & SMAPS_NO_HUGE;
}

static bool starts_with(const SmapsMapping *m, const char *text)
{
    return strncmp(m->name, text, strlen(text)) == 0;
}

static bool is_nameless(const SmapsMapping *m)
{
    return m->inode == 0 && (m->name[0] == '\0' || starts_with(m, "[anon:"));
}

static bool is_inaccessible(const SmapsMapping *m)
{
    return is_nameless(m) && strncmp(m->perms, "---", 3) == 0;
}

/* The C library puts one inaccessible page in front of each thread's stack. */
static MemoryPart part_of(const Sorter *s, const SmapsMapping *m)
{
    if (starts_with(m, "[heap]")) {
        return MEMORY_PART_HEAP;
    }
    if (starts_with(m, "[stack") || (is_nameless(m) && strcmp(m->perms, "rw-p") == 0 &&
                                     s->guard_end == m->start)) {
        return MEMORY_PART_STACKS;
    }
    if (is_nameless(m)) {
        return MEMORY_PART_ANONYMOUS;
    }
    return starts_with(m, "anon_inode:kvm-vcpu") ? MEMORY_PART_VCPU_RUN : MEMORY_PART_OTHER;
}

/* A private mapping of a file: pages that were written to are the process's, the rest the file's. */
static void count_for_file(MemoryUsage *usage, const MemoryAmounts *all)
{
    MemoryAmounts code = *all, data = *all;

    if (all->anonymous == MEMORY_UNTOLD || all->resident == MEMORY_UNTOLD) {
        memory_amounts_add(&usage->parts[MEMORY_PART_CODE], all);
        return;
    }
    data.resident = MIN(all->anonymous, all->resident);
    code.resident = all->resident - data.resident;
    code.anonymous = 0;
    code.merged = all->merged == MEMORY_UNTOLD ? MEMORY_UNTOLD : 0; /* KSM leaves files alone */
    code.swapped = all->swapped == MEMORY_UNTOLD ? MEMORY_UNTOLD : 0;
    if (all->shared != MEMORY_UNTOLD) {
        code.shared = MIN(all->shared, code.resident);
        data.shared = all->shared - code.shared;
    }
    data.thp = MIN(all->thp, data.resident);
    code.thp = all->thp - data.thp;
    code.hugetlb = 0;
    memory_amounts_add(&usage->parts[MEMORY_PART_CODE], &code);
    memory_amounts_add(&usage->parts[MEMORY_PART_DATA], &data);
}

static void count_mapping(const SmapsMapping *m, void *opaque)
{
    Sorter *s = opaque;
    const Extent *e = find_extent(s->extents, m->start);
    MemoryAmounts amounts = amounts_of(m);
    bool guards = !e && is_inaccessible(m) && m->end - m->start == host_page_size();

    s->usage->mappings++;
    s->usage->unsettled |= m->again;
    if (e && e->usage) {
        count_for_block(e->usage, m, &amounts);
    } else if (e) {
        memory_amounts_add(&s->usage->leaving, &amounts);
    } else if (m->inode != 0 && m->name[0] == '/' && m->perms[3] == 'p') {
        count_for_file(s->usage, &amounts);
    } else {
        memory_amounts_add(&s->usage->parts[part_of(s, m)], &amounts);
    }
    /* The page behind a block guards the block, not what comes next. */
    s->guard_end = guards && !find_extent(s->extents, m->start - 1) ? m->end : 0;
}

/* Every amount that mappings give is @a from now on. */
static void set_amounts(MemoryUsage *usage, const MemoryAmounts *a)
{
    for (guint i = 0; i < usage->blocks->len; i++) {
        MemoryBlockUsage *u = usage->blocks->pdata[i];

        u->amounts = u->foreign ? untold : *a;
    }
    for (unsigned i = 0; i < MEMORY_PARTS; i++) {
        usage->parts[i] = *a;
    }
    usage->leaving = *a;
    usage->mappings = 0;
    usage->unsettled = false;
}

#define NOT_ASKED "not asked for: for this the kernel goes through the page tables"

/* Others seldom join mappings: the second time is nearly always quiet. */
#define READS_MAX 4

static void read_mappings(MemoryUsage *usage, const BlockList *list, const char *root)
{
    g_autoptr(GArray) extents = extents_of(list);
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < READS_MAX && (i == 0 || usage->unsettled); i++) {
        Sorter sorter = { .usage = usage, .extents = extents };

        set_amounts(usage, &(MemoryAmounts){ 0 });
        if (!smaps_read(root, count_mapping, &sorter, &error)) {
            usage->no_mappings = g_strdup(error->message);
            set_amounts(usage, &untold);
        }
    }
}

static void add_up(MemoryUsage *usage)
{
    for (guint i = 0; i < usage->blocks->len; i++) {
        const MemoryBlockUsage *u = usage->blocks->pdata[i];

        if (!u->foreign) {
            memory_amounts_add(&usage->guest, &u->amounts);
        }
    }
    memory_amounts_add(&usage->guest, &usage->leaving);
    for (unsigned i = 0; i < MEMORY_PARTS; i++) {
        memory_amounts_add(&usage->vmm, &usage->parts[i]);
    }
}

/* The kernel's own counts. */

#define STATUS "/proc/self/status"
#define MERGING "/proc/self/ksm_merging_pages"

/* Later reasons do not replace the first. */
static uint64_t count_from(const char *text, const char *key, char **reason)
{
    g_autoptr(GError) error = NULL;
    uint64_t bytes = MEMORY_UNTOLD;

    if (text && !proc_field_kib(text, key, &bytes, &error) && !*reason) {
        *reason = g_strdup_printf(STATUS " %s", error->message);
    }
    return bytes;
}

static void take_counts(MemoryUsage *usage, const char *text, const GError *error)
{
    if (!text) {
        usage->no_counts = g_strdup(error->message);
    }
    usage->rss = count_from(text, "VmRSS", &usage->no_counts);
    usage->hugetlb = count_from(text, "HugetlbPages", &usage->no_counts);
    usage->rss_anon = count_from(text, "RssAnon", &usage->no_counts);
    usage->rss_file = count_from(text, "RssFile", &usage->no_counts);
    usage->rss_shmem = count_from(text, "RssShmem", &usage->no_counts);
    usage->swap = count_from(text, "VmSwap", &usage->no_counts);
    usage->page_tables = count_from(text, "VmPTE", &usage->no_counts);
}

/* First once for nothing: what reading takes of the heap is there then, when it is counted. */
static void read_kernel(MemoryUsage *usage, const BlockList *list, const char *root, bool mappings)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = proc_file_read(root, STATUS, NULL);

    g_clear_pointer(&text, g_free);
    if (mappings) {
        read_mappings(usage, list, root);
    } else {
        usage->no_mappings = g_strdup(NOT_ASKED);
        set_amounts(usage, &untold);
    }
    text = proc_file_read(root, STATUS, &error);
    take_counts(usage, text, error);
}

/* A number of pages and nothing else. */
static void read_merged(MemoryUsage *usage, const char *root)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = proc_file_read(root, MERGING, &error);
    char *end = text;
    guint64 pages = text ? g_ascii_strtoull(text, &end, 10) : 0;

    usage->merged = MEMORY_UNTOLD;
    if (!text) {
        usage->no_merged = g_strdup(error->message);
    } else if (end == text || (*end != '\n' && *end != '\0') ||
               pages > UINT64_MAX / host_page_size()) {
        usage->no_merged = g_strdup(MERGING " is no number of pages");
    } else {
        usage->merged = pages * host_page_size();
    }
}

MemoryUsage *memory_usage_read(MemorySystem *ms, const char *root, bool mappings)
{
    MemoryUsage *usage = g_new0(MemoryUsage, 1);
    BlockList list = list_blocks(ms);

    usage->blocks = list.usages;
    ask_files(&list);
    read_kernel(usage, &list, root, mappings);
    read_merged(usage, root);
    add_up(usage);
    g_ptr_array_unref(list.blocks);
    g_array_unref(list.leaving);
    return usage;
}

void memory_usage_free(MemoryUsage *usage)
{
    if (usage) {
        g_ptr_array_unref(usage->blocks);
        g_free(usage->no_mappings);
        g_free(usage->no_counts);
        g_free(usage->no_merged);
        g_free(usage);
    }
}

const char *memory_part_name(MemoryPart part)
{
    static const char *const names[MEMORY_PARTS] = {
        [MEMORY_PART_CODE] = "code",
        [MEMORY_PART_DATA] = "data",
        [MEMORY_PART_HEAP] = "heap",
        [MEMORY_PART_STACKS] = "stacks",
        [MEMORY_PART_ANONYMOUS] = "anonymous",
        [MEMORY_PART_VCPU_RUN] = "vcpu-run",
        [MEMORY_PART_OTHER] = "other",
    };

    return names[part];
}
