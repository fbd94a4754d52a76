/* SPDX-License-Identifier: MIT */
/* Accounting of blocks and of the process: against a made-up /proc, and against this host's. */
#include <glib.h>
#include <glib/gstdio.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "../../src/memory/ram-internal.h"
#include "tessera/memory/memory-usage.h"
#include "tessera/util/rcu.h"
#include "tessera/util/size.h"

#define KB(n) ((uint64_t)(n) * 1024)

/* A folder that stands for /, with what /proc/self has to say. */
typedef struct Root {
    char *path;
    char *self;
} Root;

static Root root_new(void)
{
    Root root = { .path = g_dir_make_tmp("tessera-usage-XXXXXX", NULL) };

    assert_non_null(root.path);
    root.self = g_build_filename(root.path, "proc", "self", NULL);
    assert_int_equal(g_mkdir_with_parents(root.self, 0700), 0);
    return root;
}

static void root_file(const Root *root, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(root->self, name, NULL);

    assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void root_free(Root *root)
{
    static const char *const names[] = { "smaps", "status", "ksm_merging_pages" };
    g_autofree char *proc = g_build_filename(root->path, "proc", NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(root->self, names[i], NULL);

        g_unlink(path);
    }
    assert_int_equal(g_rmdir(root->self), 0);
    assert_int_equal(g_rmdir(proc), 0);
    assert_int_equal(g_rmdir(root->path), 0);
    g_free(root->self);
    g_free(root->path);
}

static int set_up(void **state)
{
    *state = memory_system_new(NULL);
    return 0;
}

static int tear_down(void **state)
{
    memory_system_free(*state);
    return 0;
}

static RAMBlock *make(MemorySystem *ms, const char *name, uint64_t size, unsigned flags)
{
    g_autoptr(GError) error = NULL;
    RAMBlock *block = ram_block_new(ms, name, size, 0, flags, &error);

    if (!block) {
        fail_msg("%s", error->message);
    }
    return block;
}

static const MemoryBlockUsage *find(const MemoryUsage *usage, const char *name)
{
    for (guint i = 0; i < usage->blocks->len; i++) {
        const MemoryBlockUsage *u = usage->blocks->pdata[i];

        if (strcmp(u->idstr, name) == 0) {
            return u;
        }
    }
    fail_msg("there is no block %s", name);
    return NULL;
}

/* The mapping [@start, @start + @size) with its amounts in KiB. */
static void map(GString *smaps, uint64_t start, uint64_t size, const char *perms, const char *rest,
                const char *amounts)
{
    g_string_append_printf(smaps, "%" PRIx64 "-%" PRIx64 " %s 00000000 %s\n", start, start + size,
                           perms, rest);
    g_string_append(smaps, amounts);
}

/* Rss, Anonymous, Shared_Clean, Swap, KSM; shared memory's and hugetlbfs' are none. */
static char *lines(unsigned rss, unsigned anonymous, unsigned shared, unsigned swap, unsigned ksm)
{
    return g_strdup_printf("Rss: %u kB\nShared_Clean: %u kB\nShared_Dirty: 0 kB\nAnonymous: %u kB\n"
                           "KSM: %u kB\nAnonHugePages: 0 kB\nShared_Hugetlb: 0 kB\n"
                           "Private_Hugetlb: 0 kB\nSwap: %u kB\nVmFlags: rd wr\n",
                           rss, shared, anonymous, ksm, swap);
}

static void map_amounts(GString *smaps, uint64_t start, uint64_t size, const char *perms,
                        const char *rest, char *amounts)
{
    map(smaps, start, size, perms, rest, amounts);
    g_free(amounts);
}

#define LOW 0x400000ULL /* below every address that mmap() gives */

/*
 * Program, its data, heap, a thread's stack behind its page, an arena, then the block in two pieces
 * with its guard page, then what lies behind it and at the end of the address space.
 */
static char *whole_process(RAMBlock *block)
{
    uint64_t host = (uintptr_t)ram_block_host(block), size = ram_block_used_length(block);
    GString *s = g_string_new(NULL);

    map_amounts(s, LOW, 0x10000, "r-xp", "fe:00 7 /usr/bin/tessera", lines(60, 0, 8, 0, 0));
    map_amounts(s, LOW + 0x10000, 0x10000, "rw-p", "fe:00 7 /usr/bin/tessera",
                lines(20, 12, 0, 4, 4));
    map_amounts(s, LOW + 0x20000, 0x10000, "rw-p", "00:00 0 [heap]", lines(44, 44, 0, 0, 0));
    map_amounts(s, LOW + 0x40000, 0x1000, "---p", "00:00 0 ", lines(0, 0, 0, 0, 0));
    map_amounts(s, LOW + 0x41000, 0x80000, "rw-p", "00:00 0 ", lines(16, 16, 0, 0, 0));
    map_amounts(s, LOW + 0x100000, 0x10000, "rw-p", "00:00 0 [anon:arena]", lines(24, 24, 0, 0, 0));
    map_amounts(s, LOW + 0x200000, 0x1000, "rw-s", "00:01 9 /memfd:x (deleted)",
                lines(4, 0, 4, 0, 0));
    map_amounts(s, LOW + 0x300000, 0x3000, "rw-s", "00:0f 3 anon_inode:kvm-vcpu:0",
                lines(12, 0, 0, 0, 0));
    map(s, host, MIB, "rw-p", "00:00 0 ",
        "Rss: 512 kB\nShared_Clean: 8 kB\nShared_Dirty: 8 kB\nAnonymous: 512 kB\nKSM: 16 kB\n"
        "AnonHugePages: 0 kB\nSwap: 64 kB\nVmFlags: rd wr nh mg\n");
    map(s, host + MIB, size - MIB, "rw-p", "00:00 0 ",
        "Rss: 2048 kB\nShared_Clean: 0 kB\nShared_Dirty: 0 kB\nAnonymous: 2048 kB\nKSM: 0 kB\n"
        "AnonHugePages: 2048 kB\nShmemPmdMapped: 0 kB\nFilePmdMapped: 0 kB\n"
        "Shared_Hugetlb: 2048 kB\nPrivate_Hugetlb: 4096 kB\nSwap: 0 kB\nVmFlags: rd wr hg mg\n");
    map_amounts(s, host + size, 0x1000, "---p", "00:00 0 ", lines(0, 0, 0, 0, 0));
    map_amounts(s, host + size + 0x1000, 0x2000, "rw-p", "00:00 0 ", lines(8, 8, 0, 0, 0));
    map_amounts(s, 0x7ffffff00000, 0x21000, "rw-p", "00:00 0 [stack]", lines(28, 28, 0, 0, 0));
    map_amounts(s, 0x7fffffff0000, 0x1000, "r-xp", "00:00 0 [vdso]", lines(4, 0, 4, 0, 0));
    return g_string_free(s, FALSE);
}

static void check_amounts(const MemoryAmounts *a, const MemoryAmounts *wanted)
{
    assert_int_equal(a->resident, wanted->resident);
    assert_int_equal(a->thp, wanted->thp);
    assert_int_equal(a->hugetlb, wanted->hugetlb);
    assert_int_equal(a->anonymous, wanted->anonymous);
    assert_int_equal(a->shared, wanted->shared);
    assert_int_equal(a->merged, wanted->merged);
    assert_int_equal(a->swapped, wanted->swapped);
}

#define AMOUNTS(...) (&(const MemoryAmounts){ __VA_ARGS__ })

static void test_memory_usage_read_sorts_mappings(void **state)
{
    RAMBlock *block = make(*state, "pc.ram", 16 * MIB, 0);
    g_autofree char *smaps = whole_process(block);
    Root root = root_new();
    g_autoptr(MemoryUsage) usage = NULL;
    const MemoryBlockUsage *u;

    root_file(&root, "smaps", smaps);
    root_file(&root, "status", "VmRSS:\t2780 kB\nVmPTE:\t88 kB\nVmSwap:\t68 kB\n"
                               "HugetlbPages:\t6144 kB\n");
    root_file(&root, "ksm_merging_pages", "5\n");
    usage = memory_usage_read(*state, root.path, true);
    assert_null(usage->no_mappings);
    assert_false(usage->unsettled);
    assert_int_equal(usage->mappings, 14);
    u = find(usage, "pc.ram");
    check_amounts(&u->amounts,
                  AMOUNTS(.resident = KB(512 + 2048 + 6144), .thp = KB(2048), .hugetlb = KB(6144),
                          .anonymous = KB(2560), .shared = KB(16 + 2048), .merged = KB(16),
                          .swapped = KB(64)));
    assert_true(u->mergeable && u->huge && u->no_huge && !u->has_file && !u->leaving);
    check_amounts(&usage->parts[MEMORY_PART_CODE],
                  AMOUNTS(.resident = KB(60 + 8), .shared = KB(8)));
    check_amounts(&usage->parts[MEMORY_PART_DATA],
                  AMOUNTS(.resident = KB(12), .anonymous = KB(12), .swapped = KB(4),
                          .merged = KB(4)));
    check_amounts(&usage->parts[MEMORY_PART_HEAP],
                  AMOUNTS(.resident = KB(44), .anonymous = KB(44)));
    check_amounts(&usage->parts[MEMORY_PART_STACKS],
                  AMOUNTS(.resident = KB(16 + 28), .anonymous = KB(16 + 28)));
    check_amounts(&usage->parts[MEMORY_PART_ANONYMOUS],
                  AMOUNTS(.resident = KB(24 + 8), .anonymous = KB(24 + 8)));
    check_amounts(&usage->parts[MEMORY_PART_VCPU_RUN], AMOUNTS(.resident = KB(12)));
    check_amounts(&usage->parts[MEMORY_PART_OTHER],
                  AMOUNTS(.resident = KB(8), .shared = KB(8)));
    assert_int_equal(usage->guest.resident, KB(8704));
    assert_int_equal(usage->vmm.resident, KB(220));
    assert_int_equal(usage->guest.resident + usage->vmm.resident, usage->rss + usage->hugetlb);
    assert_int_equal(usage->guest.swapped + usage->vmm.swapped, usage->swap);
    assert_int_equal(usage->page_tables, KB(88));
    assert_int_equal(usage->merged, 5 * 4096);
    ram_block_unref(block);
    root_free(&root);
}

/* A kernel of before: no KSM, no huge pages of files; everything else is known. */
static void test_memory_usage_read_old_kernel(void **state)
{
    RAMBlock *block = make(*state, "pc.ram", 2 * MIB, 0);
    g_autoptr(GString) smaps = g_string_new(NULL);
    Root root = root_new();
    g_autoptr(MemoryUsage) usage = NULL;

    map(smaps, LOW, 0x1000, "r--p", "fe:00 7 /usr/bin/tessera",
        "Rss: 4 kB\nShared_Clean: 4 kB\nShared_Dirty: 0 kB\nAnonymous: 0 kB\nSwap: 0 kB\n");
    map(smaps, (uintptr_t)ram_block_host(block), 2 * MIB, "rw-p", "00:00 0 ",
        "Rss: 8 kB\nShared_Clean: 0 kB\nShared_Dirty: 0 kB\nAnonymous: 8 kB\n"
        "AnonHugePages: 0 kB\nSwap: 0 kB\n");
    root_file(&root, "smaps", smaps->str);
    root_file(&root, "status", "VmRSS:\t12 kB\nRssAnon:\t8 kB\nRssFile:\t4 kB\nRssShmem:\t0 kB\n"
                               "VmSwap:\t0 kB\nHugetlbPages:\t0 kB\n");
    usage = memory_usage_read(*state, root.path, true);
    check_amounts(&usage->guest, AMOUNTS(.resident = KB(8), .anonymous = KB(8),
                                         .merged = MEMORY_UNTOLD));
    check_amounts(&usage->vmm, AMOUNTS(.resident = KB(4), .shared = KB(4),
                                       .merged = MEMORY_UNTOLD));
    assert_true(usage->page_tables == MEMORY_UNTOLD);
    assert_non_null(strstr(usage->no_counts, "VmPTE"));
    assert_true(usage->merged == MEMORY_UNTOLD);
    assert_non_null(strstr(usage->no_merged, "ksm_merging_pages"));
    ram_block_unref(block);
    root_free(&root);
}

/* A map that never comes to rest is said to be so; what is not touched by that is right. */
static void test_memory_usage_read_unsettled(void **state)
{
    RAMBlock *block = make(*state, "pc.ram", 2 * MIB, 0);
    g_autoptr(GString) smaps = g_string_new(NULL);
    Root root = root_new();
    g_autoptr(MemoryUsage) usage = NULL;

    map_amounts(smaps, LOW, 0x1000, "rw-p", "00:00 0 ", lines(4, 4, 0, 0, 0));
    map_amounts(smaps, LOW, 0x3000, "rw-p", "00:00 0 ", lines(12, 12, 0, 0, 0));
    map_amounts(smaps, (uintptr_t)ram_block_host(block), 2 * MIB, "rw-p", "00:00 0 ",
                lines(8, 8, 0, 0, 0));
    root_file(&root, "smaps", smaps->str);
    usage = memory_usage_read(*state, root.path, true);
    assert_null(usage->no_mappings);
    assert_true(usage->unsettled);
    assert_int_equal(usage->mappings, 3); /* of the last time only */
    assert_int_equal(usage->guest.resident, KB(8));
    assert_int_equal(usage->vmm.resident, KB(16));
    ram_block_unref(block);
    root_free(&root);
}

static void check_tells_nothing(MemorySystem *ms, const Root *root, const char *why)
{
    g_autoptr(MemoryUsage) usage = memory_usage_read(ms, root->path, true);

    assert_non_null(strstr(usage->no_mappings, why));
    assert_true(usage->guest.resident == MEMORY_UNTOLD);
    assert_true(usage->vmm.swapped == MEMORY_UNTOLD);
    assert_true(find(usage, "pc.ram")->amounts.resident == MEMORY_UNTOLD);
    assert_int_equal(find(usage, "pc.ram")->size, 2 * MIB);
    assert_int_equal(usage->mappings, 0);
}

static void test_memory_usage_read_says_what_it_cannot_read(void **state)
{
    RAMBlock *block = make(*state, "pc.ram", 2 * MIB, 0);
    Root root = root_new();

    check_tells_nothing(*state, &root, "/proc/self/smaps");
    root_file(&root, "smaps", "1000-2000 rw-p 0 00:00 0 \nRss: 4 kB\nbroken\n");
    root_file(&root, "ksm_merging_pages", "many\n");
    check_tells_nothing(*state, &root, "line 3");
    ram_block_unref(block);
    root_free(&root);
}

/* This host's kernel. */

static uint64_t resident(MemorySystem *ms, const char *name)
{
    g_autoptr(MemoryUsage) usage = memory_usage_read(ms, NULL, true);

    assert_null(usage->no_mappings);
    return find(usage, name)->amounts.resident;
}

static void touch(RAMBlock *block, const unsigned *pages, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ((volatile uint8_t *)ram_block_host(block))[pages[i] * 4096ul] = 1;
    }
}

static void check_touched(MemorySystem *ms, RAMBlock *block)
{
    static const unsigned scattered[] = { 0, 3, 17, 511, 512, 1000, 2047 };

    ram_block_avoid_huge_pages(block, 0, ram_block_max_length(block));
    assert_int_equal(resident(ms, "ram"), 0);
    touch(block, scattered, 1);
    assert_int_equal(resident(ms, "ram"), 4096);
    touch(block, scattered, G_N_ELEMENTS(scattered));
    assert_int_equal(resident(ms, "ram"), G_N_ELEMENTS(scattered) * 4096);
    touch(block, scattered, G_N_ELEMENTS(scattered));
    assert_int_equal(resident(ms, "ram"), G_N_ELEMENTS(scattered) * 4096);
    assert_true(ram_block_discard(block, 17 * 4096, 4096, NULL));
    assert_int_equal(resident(ms, "ram"), (G_N_ELEMENTS(scattered) - 1) * 4096);
}

static void test_memory_usage_read_touched_pages(void **state)
{
    RAMBlock *block = make(*state, "ram", 8 * MIB, 0);
    g_autoptr(MemoryUsage) usage = NULL;

    check_touched(*state, block);
    usage = memory_usage_read(*state, NULL, true);
    assert_int_equal(find(usage, "ram")->amounts.anonymous, 6 * 4096);
    assert_true(find(usage, "ram")->no_huge);
    ram_block_unref(block);
}

static void test_memory_usage_read_touched_pages_of_a_file(void **state)
{
    RAMBlock *block = make(*state, "ram", 8 * MIB, RAM_SHARED);
    g_autoptr(MemoryUsage) usage = NULL;

    check_touched(*state, block);
    /* The page tables can be emptied; what the file holds stays. */
    assert_int_equal(madvise(ram_block_host(block), 8 * MIB, MADV_DONTNEED), 0);
    usage = memory_usage_read(*state, NULL, true);
    assert_int_equal(find(usage, "ram")->amounts.resident, 0);
    assert_int_equal(find(usage, "ram")->file_bytes, 6 * 4096);
    ram_block_unref(block);
}

/* What another mapping of the file shows is shared; what only this one shows is not. */
static void test_memory_usage_read_shared_pages(void **state)
{
    RAMBlock *block = make(*state, "ram", 2 * MIB, RAM_SHARED);
    volatile uint8_t *again = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED,
                                   ram_block_fd(block), 0);
    g_autoptr(MemoryUsage) usage = NULL;

    assert_true(again != MAP_FAILED);
    ram_block_avoid_huge_pages(block, 0, 2 * MIB);
    touch(block, (const unsigned[]){ 0, 1, 2 }, 3);
    again[0] = 1;
    again[4096] = 1;
    usage = memory_usage_read(*state, NULL, true);
    assert_int_equal(find(usage, "ram")->amounts.resident, 3 * 4096);
    assert_int_equal(find(usage, "ram")->amounts.shared, 2 * 4096);
    munmap((void *)again, 8192);
    ram_block_unref(block);
}

/* The part that may not be touched yet, and the page behind, are the block's and take nothing. */
static void test_memory_usage_read_resizable(void **state)
{
    RAMBlock *block = ram_block_new(*state, "ram", MIB, 64 * MIB, 0, NULL);
    g_autoptr(MemoryUsage) usage = NULL;

    assert_non_null(block);
    ram_block_avoid_huge_pages(block, 0, 64 * MIB);
    touch(block, (const unsigned[]){ 0, 255 }, 2);
    assert_true(ram_block_resize(block, 2 * MIB, NULL));
    touch(block, (const unsigned[]){ 256, 511 }, 2);
    usage = memory_usage_read(*state, NULL, true);
    assert_int_equal(find(usage, "ram")->amounts.resident, 4 * 4096);
    assert_int_equal(find(usage, "ram")->size, 2 * MIB);
    ram_block_unref(block);
}

static void test_memory_usage_read_foreign(void **state)
{
    g_autofree uint8_t *bytes = g_malloc0(8192);
    RAMBlock *block = ram_block_new_from_ptr(*state, "foreign", 8192, bytes, NULL);
    g_autoptr(MemoryUsage) usage = memory_usage_read(*state, NULL, true);

    assert_non_null(block);
    assert_true(find(usage, "foreign")->foreign);
    assert_true(find(usage, "foreign")->amounts.resident == MEMORY_UNTOLD);
    assert_int_equal(usage->guest.resident, 0);
    ram_block_unref(block);
}

/* Given up, but a reader may still be in it: it is not the program's memory for that. */
static void test_memory_usage_read_leaving(void **state)
{
    RAMBlock *block = make(*state, "ram", 8 * MIB, 0);
    MemoryUsage *usage;

    ram_block_avoid_huge_pages(block, 0, 8 * MIB);
    touch(block, (const unsigned[]){ 0, 1, 2, 3, 4 }, 5);
    ram_block_release_name(block);
    usage = memory_usage_read(*state, NULL, true);
    assert_true(find(usage, "ram")->leaving);
    assert_int_equal(usage->guest.resident, 5 * 4096);
    memory_usage_free(usage);
    rcu_read_section_enter();
    ram_block_unref(block);
    usage = memory_usage_read(*state, NULL, true);
    assert_int_equal(usage->blocks->len, 0);
    assert_int_equal(usage->leaving.resident, 5 * 4096);
    assert_int_equal(usage->guest.resident, 5 * 4096);
    memory_usage_free(usage);
    rcu_read_section_leave();
    rcu_drain();
    usage = memory_usage_read(*state, NULL, true);
    assert_int_equal(usage->guest.resident, 0);
    memory_usage_free(usage);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_memory_usage_read_sorts_mappings),
        TEST(test_memory_usage_read_old_kernel),
        TEST(test_memory_usage_read_unsettled),
        TEST(test_memory_usage_read_says_what_it_cannot_read),
        TEST(test_memory_usage_read_touched_pages),
        TEST(test_memory_usage_read_touched_pages_of_a_file),
        TEST(test_memory_usage_read_shared_pages),
        TEST(test_memory_usage_read_resizable),
        TEST(test_memory_usage_read_foreign),
        TEST(test_memory_usage_read_leaving),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
