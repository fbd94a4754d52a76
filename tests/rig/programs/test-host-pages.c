/* SPDX-License-Identifier: MIT */
/*
 * Accounting of pages that a host has only when its administrator wants them: merged, swapped, huge.
 * The rig's scenario `host-pages` provides for them; nothing is skipped where they are missing.
 */
#include "../../guest/support/guest.h"

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "../../../src/memory/ram-internal.h"
#include "tessera/memory/memory-usage.h"
#include "tessera/util/host-memory.h"
#include "tessera/util/size.h"

#define PAGE     0x1000ULL
#define BASE     0xd0000000ULL
#define PATTERNS 4

static RAMBlock *make(MemorySystem *ms, uint64_t size)
{
    g_autoptr(GError) error = NULL;
    RAMBlock *block = ram_block_new(ms, "extra", size, 0, 0, &error);

    if (!block) {
        fail_msg("%s", error->message);
    }
    ram_block_avoid_huge_pages(block, 0, size);
    return block;
}

static const MemoryBlockUsage *find(const MemoryUsage *usage)
{
    for (guint i = 0; i < usage->blocks->len; i++) {
        const MemoryBlockUsage *u = usage->blocks->pdata[i];

        if (strcmp(u->idstr, "extra") == 0) {
            return u;
        }
    }
    fail_msg("%s", usage->no_mappings ? usage->no_mappings : "the block is not listed");
    return NULL;
}

/* Of 2 MiB the first half has pages of four contents, the other half no two that are equal. */
static void fill_half_equal(RAMBlock *block)
{
    uint8_t *host = ram_block_host(block);

    for (unsigned i = 0; i < 2 * MIB / PAGE; i++) {
        bool equal = i < MIB / PAGE;

        memset(host + i * PAGE, equal ? 1 + i % PATTERNS : 0x5a, PAGE);
        if (!equal) {
            memcpy(host + i * PAGE, &i, sizeof(i));
        }
    }
}

/*
 * Pages of equal contents become one, in the kernel's own time. A kernel without the line "KSM" (6.1)
 * counts only the process's: the block's are untold there, and its shared ones tell as much.
 */
static void test_memory_usage_read_merged_pages(void **state)
{
    MemorySystem *ms = memory_system_new(NULL);
    RAMBlock *block = make(ms, 2 * MIB);
    uint64_t process = 0, merged = 0, shared = 0;

    assert_true(host_memory_set_mergeable(&block->mem, true, NULL));
    fill_half_equal(block);
    for (unsigned i = 0; i < 600 && (process < MIB || merged < MIB || shared < MIB); i++) {
        g_autoptr(MemoryUsage) usage = memory_usage_read(ms, NULL, true);
        const MemoryBlockUsage *u = find(usage);

        assert_true(u->mergeable);
        assert_int_equal(u->amounts.resident, 2 * MIB);
        process = usage->merged;
        merged = u->amounts.merged;
        shared = u->amounts.shared;
        g_usleep(100 * 1000);
    }
    print_message("# merged: %" PRIu64 " KiB of the process, the block's %s\n", process / KIB,
                  merged == MEMORY_UNTOLD ? "untold" : "told");
    assert_int_equal(process, MIB);
    assert_int_equal(shared, MIB);
    if (merged != MEMORY_UNTOLD) {
        assert_int_equal(merged, MIB);
    }
    ram_block_unref(block);
    memory_system_free(ms);
}

/* How many go at once is the kernel's business; what has gone is not resident, and comes back. */
static void test_memory_usage_read_swapped_pages(void **state)
{
    MemorySystem *ms = memory_system_new(NULL);
    RAMBlock *block = make(ms, 2 * MIB);
    uint8_t *host = ram_block_host(block);
    g_autoptr(MemoryUsage) usage = NULL, after = NULL;
    const MemoryBlockUsage *u;

    memset(host, 0x5a, MIB);
    assert_int_equal(madvise(host, MIB, MADV_PAGEOUT), 0);
    usage = memory_usage_read(ms, NULL, true);
    u = find(usage);
    print_message("# %" PRIu64 " KiB of 1024 on swap\n", u->amounts.swapped / KIB);
    assert_true(u->amounts.swapped > 0);
    assert_int_equal(u->amounts.swapped + u->amounts.resident, MIB);
    for (unsigned i = 0; i < MIB / PAGE; i++) {
        assert_int_equal(((volatile uint8_t *)host)[i * PAGE], 0x5a);
    }
    after = memory_usage_read(ms, NULL, true);
    assert_int_equal(find(after)->amounts.swapped, 0);
    assert_int_equal(find(after)->amounts.resident, MIB);
    ram_block_unref(block);
    memory_system_free(ms);
}

/* The guest writes three words, into two huge pages of four. */
static void check_hugetlb(Guest *guest)
{
    g_autoptr(MemoryUsage) before = memory_usage_read(guest->ms, NULL, true);
    g_autoptr(MemoryUsage) usage = NULL;
    const MemoryBlockUsage *u;

    assert_int_equal(find(before)->amounts.resident, 0);
    GUEST_OPS(guest, 0, DO(OP_WRITE, 8, BASE + 5 * PAGE, 1), DO(OP_WRITE, 8, BASE + 6 * PAGE, 2),
              DO(OP_WRITE, 8, BASE + 1030 * PAGE, 3));
    guest_run(guest);
    usage = memory_usage_read(guest->ms, NULL, true);
    u = find(usage);
    assert_int_equal(u->amounts.resident, 4 * MIB);
    assert_int_equal(u->amounts.hugetlb, 4 * MIB);
    assert_int_equal(u->amounts.thp, 0);
    assert_int_equal(u->file_bytes, 4 * MIB);
    assert_int_equal(u->page_size, 2 * MIB);
    assert_int_equal(usage->hugetlb, 4 * MIB); /* not in VmRSS: the sum needs both */
}

static void test_touched_hugetlb(void **state)
{
    Guest *guest = guest_new(1);
    g_autoptr(GError) error = NULL;
    int fd = host_memfd_new("extra", 8 * MIB, 2 * MIB, true, &error);
    RAMBlock *block = NULL;
    MemoryRegion *region;

    if (fd >= 0) {
        block = ram_block_new_from_fd(guest->ms, "extra", 8 * MIB, 0, fd, 0, RAM_SHARED, &error);
    }
    if (!block) {
        fail_msg("%s", error->message);
    }
    region = memory_region_new_ram(guest->ms, NULL, "extra", block);
    edit(memory_region_add_subregion(guest->root, BASE, region, EDIT_ERROR));
    check_hugetlb(guest);
    edit(memory_region_del_subregion(guest->root, region, EDIT_ERROR));
    memory_region_release(region);
    ram_block_unref(block);
    guest_free(guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_usage_read_merged_pages),
        cmocka_unit_test(test_memory_usage_read_swapped_pages),
        cmocka_unit_test(test_touched_hugetlb),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
