/* SPDX-License-Identifier: MIT */
/* What the guest touches is resident, to the page, whatever backs it; nothing else is. */
#include "support/guest.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tessera/accel/kvm/kvm-stats.h"
#include "tessera/memory/memory-usage.h"
#include "tessera/util/size.h"

#define BASE  0xd0000000ULL
#define PAGE  0x1000ULL
#define PAGES 2048 /* 8 MiB */

/* RAM at BASE, without transparent huge pages unless a test wants them. */
typedef struct Extra {
    RAMBlock *block;
    MemoryRegion *region;
} Extra;

static Extra show(Guest *guest, RAMBlock *block, bool huge)
{
    Extra extra = {.block = block};

    assert_non_null(block);
    if (!huge) {
        ram_block_avoid_huge_pages(block, 0, ram_block_max_length(block));
    }
    extra.region = memory_region_new_ram(guest->ms, NULL, "extra", block);
    edit(memory_region_add_subregion(guest->root, BASE, extra.region, EDIT_ERROR));
    return extra;
}

static void hide(Guest *guest, Extra *extra)
{
    edit(memory_region_del_subregion(guest->root, extra->region, EDIT_ERROR));
    memory_region_release(extra->region);
    ram_block_unref(extra->block);
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

static uint64_t resident_pages(Guest *guest)
{
    g_autoptr(MemoryUsage) usage = memory_usage_read(guest->ms, NULL, true);

    assert_null(usage->no_mappings);
    return find(usage, "extra")->amounts.resident / PAGE;
}

/* The guest writes one word in each of these pages. */
static void guest_writes(Guest *guest, const unsigned *pages, size_t n, bool user)
{
    Op ops[OPS_MAX];

    assert_true(n < OPS_MAX);
    for (size_t i = 0; i < n; i++) {
        ops[i] = user ? DO_USER(OP_WRITE, 8, BASE + pages[i] * PAGE + 8 * i, i + 1)
                      : DO(OP_WRITE, 8, BASE + pages[i] * PAGE + 8 * i, i + 1);
    }
    guest_set_ops(guest, 0, ops, n);
    guest_run(guest);
}

/* Some, the same once more, both ends, neighbours of them, every 32nd, at random. */
static void check_patterns(Guest *guest)
{
    static const unsigned few[] = {1, 2, 3, 100}, ends[] = {0, PAGES - 1, 511, 512};
    g_autoptr(GRand) rand = g_rand_new_with_seed(5);
    bool touched[PAGES] = {false};
    unsigned list[40], count = 8;

    assert_int_equal(resident_pages(guest), 0);
    guest_writes(guest, few, G_N_ELEMENTS(few), false);
    assert_int_equal(resident_pages(guest), 4);
    guest_writes(guest, few, G_N_ELEMENTS(few), true);
    assert_int_equal(resident_pages(guest), 4);
    guest_writes(guest, ends, G_N_ELEMENTS(ends), true);
    assert_int_equal(resident_pages(guest), 8);
    for (unsigned i = 0; i < 4; i++) {
        touched[few[i]] = touched[ends[i]] = true;
    }
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(list); i++) {
            list[i] = round == 0 ? 32 * i : (unsigned)g_rand_int_range(rand, 0, PAGES);
            count += !touched[list[i]];
            touched[list[i]] = true;
        }
        guest_writes(guest, list, G_N_ELEMENTS(list), round == 1);
        assert_int_equal(resident_pages(guest), count);
    }
    assert_true(count > 60);
}

static void test_touched_anonymous(void **state)
{
    Guest *guest = guest_new(1);
    Extra extra = show(guest, ram_block_new(guest->ms, "extra", PAGES * PAGE, 0, 0, NULL), false);
    g_autoptr(MemoryUsage) usage = NULL;

    check_patterns(guest);
    usage = memory_usage_read(guest->ms, NULL, true);
    assert_int_equal(find(usage, "extra")->amounts.anonymous,
                     find(usage, "extra")->amounts.resident);
    assert_int_equal(find(usage, "extra")->amounts.shared, 0);
    assert_int_equal(find(usage, "extra")->amounts.thp, 0);
    hide(guest, &extra);
    guest_free(guest);
}

/* What the guest only reads is the one page of zeroes that all processes have. */
static void test_read_anonymous(void **state)
{
    Guest *guest = guest_new(1);
    Extra extra = show(guest, ram_block_new(guest->ms, "extra", PAGES * PAGE, 0, 0, NULL), false);

    GUEST_OPS(guest, 0, DO(OP_READ, 8, BASE, 0), DO(OP_READ, 8, BASE + 700 * PAGE, 0),
              DO(OP_WRITE, 8, BASE + 9 * PAGE, 1));
    guest_run(guest);
    assert_int_equal(resident_pages(guest), 1);
    hide(guest, &extra);
    guest_free(guest);
}

static void test_touched_shared_memory(void **state)
{
    Guest *guest = guest_new(1);
    Extra extra =
        show(guest, ram_block_new(guest->ms, "extra", PAGES * PAGE, 0, RAM_SHARED, NULL), false);
    g_autoptr(MemoryUsage) usage = NULL;

    check_patterns(guest);
    usage = memory_usage_read(guest->ms, NULL, true);
    assert_int_equal(find(usage, "extra")->amounts.anonymous, 0);
    assert_int_equal(find(usage, "extra")->file_bytes, find(usage, "extra")->amounts.resident);
    hide(guest, &extra);
    guest_free(guest);
}

static RAMBlock *block_on_file(Guest *guest, unsigned flags)
{
    char path[] = "/tmp/tessera-usage-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(ftruncate(fd, PAGES * PAGE), 0);
    return ram_block_new_from_fd(guest->ms, "extra", PAGES * PAGE, 0, fd, 0, flags, NULL);
}

static void test_touched_shared_file(void **state)
{
    Guest *guest = guest_new(1);
    Extra extra = show(guest, block_on_file(guest, RAM_SHARED), false);
    g_autoptr(MemoryUsage) usage = NULL;

    check_patterns(guest);
    usage = memory_usage_read(guest->ms, NULL, true);
    assert_int_equal(find(usage, "extra")->amounts.anonymous, 0);
    hide(guest, &extra);
    guest_free(guest);
}

/* What is written to a private copy of a file is anonymous; the file holds nothing of it. */
static void test_touched_private_file(void **state)
{
    Guest *guest = guest_new(1);
    Extra extra = show(guest, block_on_file(guest, 0), false);
    g_autoptr(MemoryUsage) usage = NULL;

    check_patterns(guest);
    usage = memory_usage_read(guest->ms, NULL, true);
    assert_int_equal(find(usage, "extra")->amounts.anonymous,
                     find(usage, "extra")->amounts.resident);
    assert_int_equal(find(usage, "extra")->file_bytes, 0);
    hide(guest, &extra);
    guest_free(guest);
}

static bool thp_on_advice(void)
{
    g_autofree char *text = NULL;

    return g_file_get_contents("/sys/kernel/mm/transparent_hugepage/enabled", &text, NULL, NULL) &&
           !strstr(text, "[never]");
}

/* One word takes 2 MiB, and the report says that it is a huge page. */
static void test_touched_transparent_huge_pages(void **state)
{
    Guest *guest;
    g_autoptr(MemoryUsage) usage = NULL;
    Extra extra;

    if (!thp_on_advice()) {
        print_message("# skip: this host gives out no transparent huge pages\n");
        skip();
    }
    guest = guest_new(1);
    extra = show(guest, ram_block_new(guest->ms, "extra", PAGES * PAGE, 0, 0, NULL), true);
    guest_writes(guest, (const unsigned[]){5, 6, 1030}, 3, false);
    usage = memory_usage_read(guest->ms, NULL, true);
    if (find(usage, "extra")->amounts.thp == 0) {
        print_message("# the host had no huge page to give\n");
        assert_int_equal(find(usage, "extra")->amounts.resident, 3 * PAGE);
    } else {
        assert_int_equal(find(usage, "extra")->amounts.resident, 4 * MIB);
        assert_int_equal(find(usage, "extra")->amounts.thp, 4 * MIB);
    }
    assert_true(find(usage, "extra")->huge);
    hide(guest, &extra);
    guest_free(guest);
}

/* Both kernels' ways to say what KVM counts: the descriptors of this one, whatever they are. */
static void test_kvm_stats_of_a_running_guest(void **state)
{
    Guest *guest = guest_new(1);
    g_autoptr(GError) error = NULL;
    g_autoptr(KvmStatSet) vm = kvm_read_stats(guest->kvm, NULL, &error);
    g_autoptr(KvmStatSet) before = NULL, after = NULL;

    if (!vm) {
        print_message("# skip: %s\n", error->message);
        guest_free(guest);
        skip();
    }
    print_message("# %s: VM %u\n", kvm_stat_set_source(vm), kvm_stat_set_count(vm));
    assert_true(kvm_stat_set_count(vm) > 0);
    GUEST_OPS(guest, 0, DO(OP_SPIN, 0, 0, 0));
    guest_start(guest);
    before = vcpu_set_read_stats(guest->vcpus, 0, &error);
    guest->shared->stop = 1;
    guest_finish(guest);
    if (before) {
        after = vcpu_set_read_stats(guest->vcpus, 0, NULL);
        assert_non_null(kvm_stat_set_find(before, "exits"));
        assert_true(kvm_stat_set_find(after, "exits")->values[0] >=
                    kvm_stat_set_find(before, "exits")->values[0]);
    } else {
        print_message("# vCPUs: %s\n", error->message);
    }
    guest_free(guest);
}

/* A machine that runs and is plugged, all the time. */

typedef struct Plugger {
    Guest *guest;
    _Atomic bool stop;
    unsigned rounds;
} Plugger;

static void *plug_and_unplug(void *opaque)
{
    Plugger *p = opaque;

    while (!atomic_load(&p->stop)) {
        RAMBlock *block = ram_block_new(p->guest->ms, "dimm", 4 * MIB, 0, 0, NULL);
        MemoryRegion *mr = memory_region_new_ram(p->guest->ms, NULL, "dimm", block);

        edit(memory_region_add_subregion(p->guest->root, BASE + GIB / 4, mr, EDIT_ERROR));
        memset(ram_block_host(block), 1, 64 * KIB);
        edit(memory_region_del_subregion(p->guest->root, mr, EDIT_ERROR));
        memory_region_release(mr);
        ram_block_release_name(block);
        ram_block_unref(block);
        p->rounds++;
        g_usleep(500);
    }
    return NULL;
}

static void check_sums(const MemoryUsage *usage)
{
    uint64_t guest = usage->leaving.resident, vmm = 0;

    for (guint i = 0; i < usage->blocks->len; i++) {
        guest += ((const MemoryBlockUsage *)usage->blocks->pdata[i])->amounts.resident;
    }
    for (unsigned i = 0; i < MEMORY_PARTS; i++) {
        vmm += usage->parts[i].resident;
    }
    assert_int_equal(guest, usage->guest.resident);
    assert_int_equal(vmm, usage->vmm.resident);
}

static void test_accounting_while_it_runs_and_is_plugged(void **state)
{
    Guest *guest = guest_new(2);
    Extra extra = show(guest, ram_block_new(guest->ms, "extra", PAGES * PAGE, 0, 0, NULL), false);
    Plugger plugger = {.guest = guest};
    pthread_t thread;

    guest_writes(guest, (const unsigned[]){7, 9}, 2, false);
    GUEST_OPS(guest, 1, DO_USER(OP_HAMMER, 0, BASE + 8, BASE + PAGE));
    GUEST_OPS(guest, 0, DO(OP_START_PROCESSOR, 0, 0, 1),
              DO_USER(OP_HAMMER, 0, BASE + 16, BASE + PAGE + 8),
              DO(OP_WAIT, 4, OPS_SHARED_BASE + offsetof(OpsShared, processors[1].done), 1));
    guest_start(guest);
    guest_wait_shared(guest, &guest->shared->processors[1].ops[0].result, 1);
    guest_wait_shared(guest, &guest->shared->processors[0].ops[1].result, 1);
    assert_int_equal(pthread_create(&thread, NULL, plug_and_unplug, &plugger), 0);
    for (unsigned i = 0; i < 100; i++) {
        g_autoptr(MemoryUsage) usage = memory_usage_read(guest->ms, NULL, true);

        if (usage->no_mappings) {
            fail_msg("%s", usage->no_mappings);
        }
        check_sums(usage);
        assert_int_equal(find(usage, "extra")->amounts.resident, 4 * PAGE);
    }
    atomic_store(&plugger.stop, true);
    pthread_join(thread, NULL);
    print_message("# plugged %u times\n", plugger.rounds);
    assert_true(plugger.rounds > 0);
    guest->shared->stop = 1;
    guest_finish(guest);
    hide(guest, &extra);
    guest_free(guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_touched_anonymous),
        cmocka_unit_test(test_read_anonymous),
        cmocka_unit_test(test_touched_shared_memory),
        cmocka_unit_test(test_touched_shared_file),
        cmocka_unit_test(test_touched_private_file),
        cmocka_unit_test(test_touched_transparent_huge_pages),
        cmocka_unit_test(test_kvm_stats_of_a_running_guest),
        cmocka_unit_test(test_accounting_while_it_runs_and_is_plugged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
