/* SPDX-License-Identifier: MIT */
/* Memory for the memory map runs out: an error, and everything is as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <sys/mman.h>
#include <sys/resource.h>

#include "../../src/memory/section-table-internal.h"
#include "../../src/memory/tree-internal.h"
#include "support/memory-fixture.h"

#define TILES 200u

static int setup(void **state)
{
    Fixture *f = *state = fixture_new();

    fixture_space(f);
    fixture_add(f->root, 3, fixture_io(f, "a", 2), 0);
    return 0;
}

/* A pool that has given out all that it can. */
typedef struct Full {
    SlotPool *pool;
    uint32_t limit, ready;
} Full;

static Full make_full(SlotPool *pool)
{
    Full full = { .pool = pool, .limit = pool->limit, .ready = pool->ready };

    pool->limit = pool->ready = pool->fresh;
    return full;
}

static void make_room(Full *full)
{
    full->pool->limit = full->limit;
    full->pool->ready = full->ready;
}

/* Pairs that meet within a page, so that it is divided; far apart, so that nodes are needed. */
static hwaddr address_of(unsigned i)
{
    return ((hwaddr)(i / 2) << 30) + 1 + i % 2 * FIXTURE_PAGE;
}

static void add_many(MemoryRegion *container, GPtrArray *many)
{
    for (unsigned i = 0; i < many->len; i++) {
        memory_region_add_subregion(container, address_of(i), many->pdata[i], NULL);
    }
}

static void remove_many(MemoryRegion *container, GPtrArray *many)
{
    memory_region_transaction_begin(container->ms);
    for (unsigned i = 0; i < many->len; i++) {
        assert_true(memory_region_del_subregion(container, many->pdata[i], NULL));
    }
    assert_true(memory_region_transaction_commit(container->ms, NULL));
}

static uint32_t used_slots(Fixture *f)
{
    SectionTable *table = f->ms->sections;

    rcu_drain();
    return slot_pool_used(&table->sections) + slot_pool_used(&table->nodes) +
           slot_pool_used(&table->subpages);
}

static void check_refused(Fixture *f, SlotPool *pool, const char *what)
{
    MemoryRegion *root = fixture_container(f, "r", 1u << 30);
    AddressSpace *as = address_space_new(f->ms, root, "large", NULL);
    g_autoptr(GPtrArray) many = g_ptr_array_new();
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    g_autoptr(GError) error = NULL;
    MemoryRegionSection section;
    uint32_t used;
    Full full;

    for (unsigned i = 0; i < TILES; i++) {
        g_ptr_array_add(many, fixture_io(f, "t", 1));
    }
    before = fixture_dump(f);
    used = used_slots(f);
    full = make_full(pool);
    memory_region_transaction_begin(f->ms);
    add_many(root, many);
    assert_false(memory_region_transaction_commit(f->ms, &error));
    assert_non_null(strstr(error->message, what));
    make_room(&full);
    after = fixture_dump(f);
    assert_string_equal(before, after);
    fixture_assert_map(f, "...aa...........");
    assert_int_equal(used_slots(f), used);

    memory_region_transaction_begin(f->ms); /* and it works when there is room */
    add_many(root, many);
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    memory_system_lock(f->ms);
    assert_true(address_space_find(as, address_of(TILES - 1), &section));
    memory_system_unlock(f->ms);
    remove_many(root, many);
    address_space_free(as);
    assert_int_equal(used_slots(f), used);
}

static void test_commit_without_room_for_tiles(void **state)
{
    Fixture *f = *state;

    check_refused(f, &f->ms->sections->sections, "more tiles than the");
}

static void test_commit_without_room_for_nodes(void **state)
{
    Fixture *f = *state;

    check_refused(f, &f->ms->sections->nodes, "more radix nodes than the");
}

static void test_commit_without_room_for_divided_pages(void **state)
{
    Fixture *f = *state;

    check_refused(f, &f->ms->sections->subpages, "more divided pages than the");
}

static void test_address_space_new_without_room(void **state)
{
    Fixture *f = *state;
    MemoryRegion *root = fixture_container(f, "r", 1u << 30);
    g_autoptr(GError) error = NULL;
    AddressSpace *as;
    uint32_t used;
    Full full;

    fixture_add(root, 1, fixture_io(f, "t", 1), 0);
    used = used_slots(f);
    full = make_full(&f->ms->sections->sections);
    assert_null(address_space_new(f->ms, root, "none", &error));
    assert_non_null(strstr(error->message, "more tiles than the"));
    make_room(&full);
    assert_int_equal(used_slots(f), used);
    as = address_space_new(f->ms, root, "one", NULL);
    assert_non_null(as);
    address_space_free(as);
}

/* mprotect() over a hole fails as it does when memory may not be had. */
static void test_slot_pool_get_without_memory(void **state)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    g_autoptr(GError) error = NULL;
    SlotPool pool;
    uint32_t slot;

    assert_true(slot_pool_init(&pool, "slots", 64, 1u << 14, NULL));
    assert_int_equal(munmap(pool.base, 4096), 0);
    slot = slot_pool_get(&pool);
    assert_true(mmap(pool.base, 4096, PROT_NONE, flags | MAP_FIXED, -1, 0) == pool.base);
    assert_int_equal(slot, SLOT_NONE);
    assert_false(slot_pool_check(&pool, &error));
    assert_non_null(strstr(error->message, "slots of the memory map"));
    assert_non_null(strstr(error->message, "Cannot allocate memory"));
    assert_int_equal(slot_pool_used(&pool), 0);
    assert_true(slot_pool_check(&pool, NULL)); /* told once */
    assert_int_not_equal(slot_pool_get(&pool), SLOT_NONE);
    assert_true(slot_pool_check(&pool, NULL));
    slot_pool_done(&pool);
}

#ifndef TESSERA_SANITIZE /* which has terabytes reserved, and cannot do without more */
static size_t address_space_in_use(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    size_t pages = 0;

    assert_int_equal(fscanf(file, "%zu", &pages), 1);
    fclose(file);
    return pages * 4096;
}

/* 4 MiB: enough for the tiles, too little for the radix. */
static void test_memory_system_new_without_address_space(void **state)
{
    g_autoptr(GError) error = NULL;
    struct rlimit old, less;
    MemorySystem *ms;
    size_t before;

    assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
    before = address_space_in_use();
    less = (struct rlimit){ .rlim_cur = before + (4u << 20), .rlim_max = old.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_AS, &less), 0);
    ms = memory_system_new(&error);
    setrlimit(RLIMIT_AS, &old);
    assert_null(ms);
    assert_non_null(strstr(error->message, "radix nodes"));
    assert_non_null(strstr(error->message, "ulimit -v"));
    assert_true(address_space_in_use() <= before + (1u << 20));
    ms = memory_system_new(NULL);
    assert_non_null(ms);
    memory_system_free(ms);
}
#endif

#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_commit_without_room_for_tiles),
        T(test_commit_without_room_for_nodes),
        T(test_commit_without_room_for_divided_pages),
        T(test_address_space_new_without_room),
        cmocka_unit_test(test_slot_pool_get_without_memory),
#ifndef TESSERA_SANITIZE
        cmocka_unit_test(test_memory_system_new_without_address_space),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
