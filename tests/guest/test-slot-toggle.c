/* SPDX-License-Identifier: MIT */
/*
 * Slots change under two vCPUs that write without pause, at CPL 3, beside and inside the place: no
 * write is lost, and memory that is there before and after a commit is there all the time.
 *
 *   RAM a     |........|left|........................|right|........|
 *   overlay                 |........ inside ........|                comes and goes
 */
#include "../../src/accel/kvm/kvm-internal.h"
#include "support/guest.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BASE    0xd0000000ULL
#define PAGE    0x1000ULL
#define PAGES   16
#define OVERLAY (4 * PAGE)
#define COVERED (4 * PAGE)
#define LEFT    (OVERLAY - 8) /* the words next to the overlay */
#define RIGHT   (OVERLAY + COVERED)
#define INSIDE  (OVERLAY + 0x1230)

typedef struct World {
    Guest *guest;
    RAMBlock *block, *over;
    MemoryRegion *a, *b;
    uint64_t trapped;          /* accesses that the trapping overlay saw */
    _Atomic uint64_t exits[2]; /* of each vCPU, that are no kicks */
    uint64_t seen[2];          /* of those while it was toggled */
} World;

static unsigned number_of_toggles(void)
{
    const char *text = g_getenv("TESSERA_TOGGLES");

    return text ? (unsigned)atoi(text) : g_getenv("TESSERA_LONG") ? 10000 : 1000;
}

static volatile uint64_t *word(RAMBlock *block, uint64_t offset)
{
    return (volatile uint64_t *)(void *)((uint8_t *)ram_block_host(block) + offset);
}

static void count_exit(void *opaque, int fd, unsigned long req, int ret)
{
    World *w = opaque;

    if (req == KVM_RUN && ret == 0) {
        w->exits[gettid() == vcpu_set_thread_id(w->guest->vcpus, 1)]++;
    }
}

static void world_init(World *w)
{
    GError *error = NULL;

    *w = (World){.guest = guest_new(2)};
    kvm_set_trace(w->guest->kvm, count_exit, w);
    w->block = ram_block_new(w->guest->ms, "a", PAGES * PAGE, 0, 0, &error);
    w->over = ram_block_new(w->guest->ms, "b", COVERED, 0, 0, &error);
    assert_true(w->block && w->over);
    w->a = memory_region_new_ram(w->guest->ms, NULL, "a", w->block);
    edit(memory_region_add_subregion(w->guest->root, BASE, w->a, EDIT_ERROR));
}

static void cover(World *w, MemoryRegion *mr)
{
    w->b = mr;
    edit(memory_region_set_enabled(mr, false, EDIT_ERROR));
    edit(memory_region_add_subregion_overlap(w->guest->root, BASE + OVERLAY, mr, 1, EDIT_ERROR));
}

static void world_done(World *w)
{
    if (w->b) {
        edit(memory_region_del_subregion(w->guest->root, w->b, EDIT_ERROR));
        memory_region_release(w->b);
    }
    edit(memory_region_del_subregion(w->guest->root, w->a, EDIT_ERROR));
    memory_region_release(w->a);
    ram_block_unref(w->over);
    ram_block_unref(w->block);
    guest_free(w->guest);
}

/* Processor @cpu's only long operation: the last before the end of its list. */
static Op *working_op(World *w, unsigned cpu)
{
    return &w->guest->shared->processors[cpu].ops[cpu == 0 ? 1 : 0];
}

static volatile uint64_t *rounds(World *w, unsigned cpu)
{
    return &working_op(w, cpu)->result;
}

static void start(World *w, Op first, Op second)
{
    GUEST_OPS(w->guest, 1, second);
    GUEST_OPS(w->guest, 0, DO(OP_START_PROCESSOR, 0, 0, 1), first,
              DO(OP_WAIT, 4, OPS_SHARED_BASE + offsetof(OpsShared, processors[1].done), 1));
    guest_start(w->guest);
}

/* Both vCPUs write on in the map that is now in force. */
static void let_them_work(World *w)
{
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        uint64_t wanted = *rounds(w, cpu) + 2;

        for (unsigned i = 0; i < 100 && *rounds(w, cpu) < wanted; i++) {
            g_usleep(20);
        }
        guest_wait_shared(w->guest, rounds(w, cpu), wanted);
    }
}

static void finish(World *w)
{
    w->guest->shared->stop = 1;
    guest_finish(w->guest);
}

/* @return what the toggles alone have cost */
static KvmStats toggle(World *w, bool (*set)(MemoryRegion *mr, bool on, GError **error),
                       MemoryRegion *mr)
{
    unsigned n = number_of_toggles();
    KvmStats before, after;

    let_them_work(w);
    w->exits[0] = w->exits[1] = 0;
    before = kvm_stats(w->guest->kvm);
    for (unsigned i = 0; i < n; i++) {
        edit(set(mr, i % 2 == 0, EDIT_ERROR));
        let_them_work(w);
    }
    w->seen[0] = w->exits[0];
    w->seen[1] = w->exits[1];
    after = kvm_stats(w->guest->kvm);
    after.parks -= before.parks;
    after.slot_ioctls -= before.slot_ioctls;
    after.park_total_us -= before.park_total_us;
    printf("# %u toggles: %u slot ioctls, %u parks of %u us on average\n", n,
           (unsigned)after.slot_ioctls, (unsigned)after.parks,
           (unsigned)(after.parks ? after.park_total_us / after.parks : 0));
    return after;
}

static void hammer_both(World *w)
{
    start(w, DO_USER(OP_HAMMER, 8, BASE + INSIDE, BASE + LEFT),
          DO_USER(OP_HAMMER, 8, BASE + INSIDE, BASE + RIGHT));
}

/* Nothing was written but what the vCPUs say, and none of it was an exit. */
static void check_hammered(World *w)
{
    assert_int_equal(*word(w->block, LEFT), *rounds(w, 0));
    assert_int_equal(*word(w->block, RIGHT), *rounds(w, 1));
    assert_int_equal(*word(w->block, INSIDE) + *word(w->over, INSIDE - OVERLAY),
                     *rounds(w, 0) + *rounds(w, 1));
    assert_int_equal(w->seen[0], 0);
    assert_int_equal(w->seen[1], 0);
}

/* The word inside is another one at each toggle; both together have all increments. */
static void test_toggle_ram_over_ram(void **state)
{
    World w;
    KvmStats stats;

    world_init(&w);
    cover(&w, memory_region_new_ram(w.guest->ms, NULL, "b", w.over));
    hammer_both(&w);
    stats = toggle(&w, memory_region_set_enabled, w.b);
    finish(&w);
    check_hammered(&w);
    assert_int_equal(stats.parks, number_of_toggles()); /* each replaces what is written to */
    assert_true(*word(w.over, INSIDE - OVERLAY) > 0 && *word(w.block, INSIDE) > 0);
    world_done(&w);
}

/* A device that shows the memory below it: each write arrives, by exit or not. */

static MemTxResult trap_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                             MemTxAttrs attrs)
{
    World *w = opaque;

    w->trapped++;
    *ret_value = *word(w->block, OVERLAY + offset);
    return MEMTX_OK;
}

static MemTxResult trap_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                              MemTxAttrs attrs)
{
    World *w = opaque;

    w->trapped++;
    *word(w->block, OVERLAY + offset) = value;
    return MEMTX_OK;
}

static const MemoryRegionOps trap_ops = {
    .read = trap_read,
    .write = trap_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {.min_access_size = 8, .max_access_size = 8},
    .impl = {.min_access_size = 8, .max_access_size = 8},
};

/* The first cover splits a's slot; from then on a slot goes and comes, and nobody waits. */
static void test_toggle_device_over_ram(void **state)
{
    World w;
    KvmStats stats;

    world_init(&w);
    cover(&w, memory_region_new_io(w.guest->ms, NULL, &trap_ops, &w, "trap", COVERED));
    start(&w, DO_USER(OP_ECHO, 8, BASE + INSIDE, 0),
          DO_USER(OP_HAMMER, 8, BASE + LEFT, BASE + RIGHT));
    stats = toggle(&w, memory_region_set_enabled, w.b);
    finish(&w);
    assert_int_equal(working_op(&w, 0)->value, 0);
    assert_int_equal(*word(w.block, INSIDE), *rounds(&w, 0));
    assert_int_equal(*word(w.block, LEFT), *rounds(&w, 1));
    assert_int_equal(*word(w.block, RIGHT), *rounds(&w, 1));
    assert_true(w.trapped > 0);
    assert_true(w.seen[0] >= w.trapped); /* more when the slot has gone and the old view is there */
    assert_int_equal(w.seen[1], 0);
    assert_int_equal(stats.parks, 1);
    assert_int_equal(stats.slot_ioctls, number_of_toggles() + 2);
    world_done(&w);
}

static bool set_log(MemoryRegion *mr, bool on, GError **error)
{
    return memory_region_set_log(mr, on, DIRTY_CLIENT_MIGRATION, error);
}

/* Flags: one ioctl each, nobody waits. */
static void test_toggle_dirty_log(void **state)
{
    World w;
    KvmStats stats;

    world_init(&w);
    hammer_both(&w);
    stats = toggle(&w, set_log, w.a);
    finish(&w);
    check_hammered(&w);
    assert_int_equal(stats.parks, 0);
    assert_int_equal(stats.slot_ioctls, number_of_toggles());
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_toggle_ram_over_ram),
        cmocka_unit_test(test_toggle_device_over_ram),
        cmocka_unit_test(test_toggle_dirty_log),
    };

    return cmocka_run_group_tests_name("slot-toggle", tests, NULL, NULL);
}
