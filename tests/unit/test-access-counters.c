/* SPDX-License-Identifier: MIT */
/* Reads, writes and exits of each region: what counts as what, whose it is, and who comes after. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "../../src/memory/memory-internal.h"
#include "support/access-fixture.h"
#include "tessera/memory/access-counters.h"
#include "tessera/memory/mtree-dump.h"
#include "tessera/util/rcu.h"

#define NONE MEMTXATTRS_NONE
#define EXIT ((MemTxAttrs){ .exit = true })

/* A machine of which this thread is a counted reader. */
typedef struct Counted {
    AccessFixture *f;
    AccessCounters *own;
    ByteDevice device;
} Counted;

static int setup(void **state)
{
    Counted *c = g_new0(Counted, 1);

    c->f = access_fixture_new();
    byte_device_init(&c->device);
    c->own = access_counters_new(c->f->ms, "test", NULL);
    assert_non_null(c->own);
    assert_null(access_counters_use(c->own));
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    Counted *c = *state;

    access_counters_use(NULL);
    access_counters_free(c->own);
    access_fixture_free(c->f);
    g_free(c);
    return 0;
}

static void assert_counts(const MemoryRegion *mr, uint64_t reads, uint64_t writes, uint64_t exits)
{
    MemoryAccessCounts counts;

    assert_true(memory_region_access_counts(mr, &counts));
    assert_int_equal(counts.reads, reads);
    assert_int_equal(counts.writes, writes);
    assert_int_equal(counts.exits, exits);
}

static void assert_unassigned(Counted *c, uint64_t reads, uint64_t writes, uint64_t exits)
{
    MemoryAccessCounts counts;

    memory_system_unassigned_counts(c->f->ms, &counts);
    assert_int_equal(counts.reads, reads);
    assert_int_equal(counts.writes, writes);
    assert_int_equal(counts.exits, exits);
}

static void touch(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, bool is_write)
{
    uint32_t value = 0;

    address_space_rw(as, addr, attrs, &value, 4, is_write);
}

/*
 *   0x1000   0x2000   0x3000   0x4000   0x5000
 *   |  RAM   | device |  hole  |  ROM   |
 */
static void test_counts_by_kind(void **state)
{
    Counted *c = *state;
    MemoryRegion *ram = access_fixture_add_ram(c->f, 0x1000, 0x1000);
    MemoryRegion *device = access_fixture_add_device(c->f, 0x2000, 0x1000, &c->device);
    RAMBlock *block = access_fixture_block(c->f, 0x1000);
    MemoryRegion *rom =
        access_fixture_add(c->f, 0x4000, memory_region_new_rom(c->f->ms, NULL, "rom", block));
    MemoryAccessCounts none;

    for (unsigned i = 0; i < 3; i++) {
        touch(c->f->as, 0x1000, NONE, false);
        touch(c->f->as, 0x2000, EXIT, true);
    }
    touch(c->f->as, 0x1ff0, NONE, true);
    touch(c->f->as, 0x2004, NONE, false);
    touch(c->f->as, 0x3000, EXIT, false);
    touch(c->f->as, 0x3000, NONE, true);
    touch(c->f->as, 0x4000, NONE, false);
    touch(c->f->as, 0x4000, EXIT, true); /* dropped, and counted */
    assert_counts(ram, 3, 1, 0);
    assert_counts(device, 1, 3, 3);
    assert_counts(rom, 1, 1, 1);
    assert_unassigned(c, 1, 1, 1);
    assert_false(memory_region_access_counts(c->f->root, &none));
    assert_int_equal(none.reads + none.writes + none.exits, 0);
}

/* Pieces count as the regions get them; the exit only where the first one goes. */
static void test_counts_of_an_access_in_pieces(void **state)
{
    Counted *c = *state;
    MemoryRegion *ram = access_fixture_add_ram(c->f, 0x1000, 0x1000);
    MemoryRegion *device;
    uint8_t buf[16] = { 0 };

    c->device.ops.valid.max_access_size = 2;
    c->device.ops.impl.max_access_size = 1; /* two calls for each piece: no matter */
    device = access_fixture_add_device(c->f, 0x2000, 0x1000, &c->device);
    address_space_write(c->f->as, 0x2000, EXIT, buf, 8);
    assert_counts(device, 0, 4, 1);
    assert_int_equal(c->device.n_calls, 8);
    address_space_write(c->f->as, 0x1ffc, EXIT, buf, 8);
    assert_counts(ram, 0, 1, 1);
    assert_counts(device, 0, 6, 1);
}

static void test_counts_of_a_refused_access(void **state)
{
    Counted *c = *state;
    MemoryRegion *device;
    uint8_t byte = 0;

    c->device.ops.valid.min_access_size = 4;
    device = access_fixture_add_device(c->f, 0x2000, 0x1000, &c->device);
    assert_int_equal(address_space_read(c->f->as, 0x2000, EXIT, &byte, 1), MEMTX_ERROR);
    assert_int_equal(c->device.n_calls, 0);
    assert_counts(device, 1, 0, 1);
    assert_false(address_space_access_valid(c->f->as, 0x2000, 1, false, NONE)); /* only asks */
    assert_counts(device, 1, 0, 1);
}

/* A handler's own accesses are its thread's; its device does not see that a guest was left. */
typedef struct Nested {
    AddressSpace *as;
    bool saw_exit;
} Nested;

static MemTxResult nested_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                MemTxAttrs attrs)
{
    Nested *n = opaque;

    n->saw_exit = attrs.exit;
    touch(n->as, 0x1000, attrs, true);
    return MEMTX_OK;
}

static void test_counts_of_a_handlers_accesses(void **state)
{
    Counted *c = *state;
    static const MemoryRegionOps ops = { .write = nested_write };
    Nested nested = { .as = c->f->as, .saw_exit = true };
    MemoryRegion *ram = access_fixture_add_ram(c->f, 0x1000, 0x1000);
    MemoryRegion *mr = memory_region_new_io(c->f->ms, NULL, &ops, &nested, "engine", 0x1000);

    access_fixture_add(c->f, 0x2000, mr);
    touch(c->f->as, 0x2000, EXIT, true);
    assert_false(nested.saw_exit);
    assert_counts(mr, 0, 1, 1);
    assert_counts(ram, 0, 1, 0);
}

static void test_counts_only_the_own_machine(void **state)
{
    Counted *c = *state;
    AccessFixture *other = access_fixture_new();
    MemoryRegion *here = access_fixture_add_ram(c->f, 0x1000, 0x1000);
    MemoryRegion *there = access_fixture_add_ram(other, 0x1000, 0x1000);

    touch(other->as, 0x1000, NONE, true);
    assert_counts(here, 0, 0, 0); /* has the same number */
    assert_counts(there, 0, 0, 0);
    assert_ptr_equal(access_counters_use(NULL), c->own);
    touch(c->f->as, 0x1000, NONE, true);
    assert_counts(here, 0, 0, 0);
    access_fixture_free(other);
}

/* The number of a region that is gone is the next region's; what was counted is not. */
static void test_counts_do_not_leak_to_the_next_region(void **state)
{
    Counted *c = *state;
    AccessCounters *second = access_counters_new(c->f->ms, "second", NULL);
    MemoryRegion *first = access_fixture_add_device(c->f, 0x2000, 0x1000, &c->device);
    uint32_t number = first->counter;
    MemoryRegion *next;

    touch(c->f->as, 0x2000, EXIT, true);
    access_counters_use(second);
    touch(c->f->as, 0x2000, EXIT, false);
    access_counters_use(c->own);
    assert_counts(first, 1, 1, 2);
    access_fixture_remove(c->f, first);
    for (unsigned i = 0; i < 3; i++) {
        rcu_drain();
    }
    next = access_fixture_add_ram(c->f, 0x2000, 0x1000);
    assert_int_equal(next->counter, number);
    assert_counts(next, 0, 0, 0);
    touch(c->f->as, 0x2000, NONE, false);
    assert_counts(next, 1, 0, 0);
    access_counters_free(second);
}

/* More regions than the tables have memory for at first; one table before them, and one behind. */
static void test_counts_of_many_regions(void **state)
{
    Counted *c = *state;
    MemoryRegion *regions[1000];
    AccessCounters *late;

    memory_region_transaction_begin(c->f->ms);
    for (unsigned i = 0; i < G_N_ELEMENTS(regions); i++) {
        regions[i] = access_fixture_add_device(c->f, i * 0x1000ull, 0x1000, &c->device);
    }
    assert_true(memory_region_transaction_commit(c->f->ms, NULL));
    late = access_counters_new(c->f->ms, "late", NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(regions); i++) {
        access_counters_use(c->own);
        touch(c->f->as, i * 0x1000ull, NONE, false);
        access_counters_use(late);
        touch(c->f->as, i * 0x1000ull, EXIT, true);
    }
    access_counters_use(c->own);
    for (unsigned i = 0; i < G_N_ELEMENTS(regions); i++) {
        assert_counts(regions[i], 1, 1, 1);
    }
    access_counters_free(late);
    assert_counts(regions[0], 1, 0, 0); /* what it counted went with it */
}

/* Where a number cannot be had, a region is used all the same, and is not counted. */
static void test_counts_without_a_number(void **state)
{
    Counted *c = *state;
    CounterSet *set = &c->f->ms->counters;
    uint32_t fresh = set->fresh, ready = set->ready;
    MemoryAccessCounts counts;
    MemoryRegion *mr;

    set->fresh = set->ready = 1u << 20;
    mr = access_fixture_add_ram(c->f, 0x1000, 0x1000);
    set->fresh = fresh;
    set->ready = ready;
    touch(c->f->as, 0x1000, EXIT, true);
    assert_false(memory_region_access_counts(mr, &counts));
    assert_unassigned(c, 0, 0, 0);
}

#define THREADS  4u
#define ACCESSES 20000u

typedef struct Hammer {
    Counted *c;
    unsigned index;
    pthread_t thread;
    pthread_barrier_t *begin;
} Hammer;

/* Thread n writes n + 1 times as often as the first, and reads once for each write. */
static void *hammer(void *opaque)
{
    Hammer *h = opaque;
    g_autofree char *name = g_strdup_printf("vcpu%u", h->index);
    AccessCounters *own = access_counters_new(h->c->f->ms, name, NULL);

    access_counters_use(own);
    pthread_barrier_wait(h->begin);
    for (unsigned i = 0; i < ACCESSES * (h->index + 1); i++) {
        touch(h->c->f->as, 0x1000, EXIT, true);
        touch(h->c->f->as, 0x2000, NONE, false);
    }
    access_counters_use(NULL);
    rcu_thread_unregister();
    return own;
}

static void note_reader(const char *name, const MemoryAccessCounts *counts, void *opaque)
{
    g_string_append_printf(opaque, "%s %u %u;", name, (unsigned)counts->writes,
                           (unsigned)counts->exits);
}

/* The sums are exact, and may be asked for, and regions may come and go, meanwhile. */
static void test_counts_of_several_readers(void **state)
{
    Counted *c = *state;
    MemoryRegion *a = access_fixture_add_ram(c->f, 0x1000, 0x1000);
    MemoryRegion *b = access_fixture_add_ram(c->f, 0x2000, 0x1000);
    g_autoptr(GString) readers = g_string_new(NULL);
    Hammer hammers[THREADS];
    AccessCounters *own[THREADS];
    pthread_barrier_t begin;

    pthread_barrier_init(&begin, NULL, THREADS + 1);
    for (unsigned i = 0; i < THREADS; i++) {
        hammers[i] = (Hammer){ .c = c, .index = i, .begin = &begin };
        assert_int_equal(pthread_create(&hammers[i].thread, NULL, hammer, &hammers[i]), 0);
    }
    pthread_barrier_wait(&begin);
    for (unsigned i = 0; i < 200; i++) {
        MemoryRegion *mr = access_fixture_add_ram(c->f, 0x8000, 0x1000);
        MemoryAccessCounts counts;

        touch(c->f->as, 0x8000, NONE, true);
        assert_counts(mr, 0, 1, 0);
        access_fixture_remove(c->f, mr);
        assert_true(memory_region_access_counts(a, &counts));
        assert_true(counts.writes <= ACCESSES * 10);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(hammers[i].thread, (void **)&own[i]);
    }
    assert_counts(a, 0, ACCESSES * 10, ACCESSES * 10);
    assert_counts(b, ACCESSES * 10, 0, 0);
    for (unsigned i = 0; i < THREADS; i++) { /* in whatever order they were made */
        g_autofree char *line = g_strdup_printf("vcpu%u %u %u;", i, ACCESSES * (i + 1),
                                                ACCESSES * (i + 1));

        g_string_truncate(readers, 0);
        memory_region_for_each_reader(a, note_reader, readers);
        assert_non_null(strstr(readers->str, line));
    }
    assert_null(strstr(readers->str, "test")); /* which has not accessed it */
    for (unsigned i = 0; i < THREADS; i++) {
        access_counters_free(own[i]);
    }
    pthread_barrier_destroy(&begin);
}

static void test_dump_shows_counts(void **state)
{
    Counted *c = *state;
    const MtreeStyle style = { .counts = true };
    AccessCounters *second = access_counters_new(c->f->ms, "second", NULL);
    g_autoptr(GString) out = g_string_new(NULL);

    access_fixture_add_ram(c->f, 0x1000, 0x1000);
    access_fixture_add_device(c->f, 0x2000, 0x1000, &c->device);
    touch(c->f->as, 0x1000, NONE, true);
    touch(c->f->as, 0x9000, EXIT, false);
    memory_dump_tree_styled(c->f->ms, &style, out);
    assert_non_null(strstr(out->str, " reads=0 writes=1 exits=0\n"));
    assert_non_null(strstr(out->str, "\n\nunassigned: reads=1 writes=0 exits=1\n"));
    assert_null(strstr(out->str, "by "));
    access_counters_use(second);
    touch(c->f->as, 0x1000, EXIT, true);
    access_counters_use(c->own);
    g_string_truncate(out, 0);
    memory_dump_tree_styled(c->f->ms, &style, out);
    assert_non_null(strstr(out->str, " reads=0 writes=2 exits=1\n"
                                     "      by test: reads=0 writes=1 exits=0\n"
                                     "      by second: reads=0 writes=1 exits=1\n"));
    g_string_truncate(out, 0);
    memory_dump_flatviews_styled(c->f->ms, &style, out);
    assert_non_null(strstr(out->str, " reads=0 writes=2 exits=1\n"
                                     "    by test: reads=0 writes=1 exits=0\n"));
    g_string_truncate(out, 0);
    memory_dump_tree(c->f->ms, out);
    assert_null(strstr(out->str, "reads="));
    access_counters_free(second);
}

#define COUNTED_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        COUNTED_TEST(test_counts_by_kind),
        COUNTED_TEST(test_counts_of_an_access_in_pieces),
        COUNTED_TEST(test_counts_of_a_refused_access),
        COUNTED_TEST(test_counts_of_a_handlers_accesses),
        COUNTED_TEST(test_counts_only_the_own_machine),
        COUNTED_TEST(test_counts_do_not_leak_to_the_next_region),
        COUNTED_TEST(test_counts_of_many_regions),
        COUNTED_TEST(test_counts_without_a_number),
        COUNTED_TEST(test_counts_of_several_readers),
        COUNTED_TEST(test_dump_shows_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
