/* SPDX-License-Identifier: MIT */
/* DIMMs on the model KVM: many come and go, and nothing stays behind. */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "support/dimm-fixture.h"
#include "tessera/util/rcu.h"

/* Cycles, with the guest on a thread of its own. */

typedef struct Cycle {
    DimmFixture *f;
    unsigned slot;
} Cycle;

static void *guest_gives_it_back(void *opaque)
{
    Cycle *cycle = opaque;

    rcu_thread_register();
    slot_ost(cycle->f, cycle->slot, 3, 0x84);
    slot_eject(cycle->f, cycle->slot);
    slot_ost(cycle->f, cycle->slot, 3, 0);
    rcu_thread_unregister();
    return NULL;
}

static unsigned open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

static void count_block(RAMBlock *block, void *opaque)
{
    (*(unsigned *)opaque)++;
}

static unsigned ram_blocks(DimmFixture *f)
{
    unsigned n = 0;

    memory_system_lock(f->vm->ms);
    ram_block_for_each(f->vm->ms, count_block, &n);
    memory_system_unlock(f->vm->ms);
    return n;
}

static uint64_t virtual_size(void)
{
    g_autofree char *text = NULL;

    assert_true(g_file_get_contents("/proc/self/statm", &text, NULL, NULL));
    return g_ascii_strtoull(text, NULL, 10) * 4 * KIB;
}

static void run_cycle(DimmFixture *f, unsigned i)
{
    Cycle cycle = { .f = f, .slot = 0 };
    pthread_t thread;

    dimms_add_memory(f, "m0", BLOCK);
    dimms_plug(f, "m0", true);
    memset(ram_block_host(memory_backend_ram_block(memory_backend_get(f->objects, "m0", NULL))),
           (int)i, 64 * KIB);
    assert_true(memory_devices_request_unplug(f->md, "dimm0", NULL));
    assert_int_equal(pthread_create(&thread, NULL, guest_gives_it_back, &cycle), 0);
    while (dimms_has(f, "dimm0")) {
        g_main_context_iteration(f->context, TRUE);
    }
    pthread_join(thread, NULL);
    dimms_serve(f);
    assert_true(object_store_del(f->objects, "m0", NULL));
}

static void settle(void)
{
    for (unsigned i = 0; i < 4; i++) {
        rcu_drain();
    }
}

static void test_memory_devices_200_cycles_leave_nothing(void **state)
{
    DimmFixture *f = *state;
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    unsigned descriptors, blocks;
    uint64_t size;

    run_cycle(f, 0); /* thread-locals and pools come once */
    settle();
    before = dimms_snapshot(f);
    descriptors = open_descriptors();
    blocks = ram_blocks(f);
    size = virtual_size();
    for (unsigned i = 1; i <= 200; i++) {
        run_cycle(f, i);
    }
    settle();
    after = dimms_snapshot(f);
    assert_string_equal(after, before);
    assert_int_equal(open_descriptors(), descriptors);
    assert_int_equal(ram_blocks(f), blocks);
    assert_true(virtual_size() < size + BLOCK); /* not one DIMM's memory stayed mapped */
}

static void test_memory_devices_free_with_dimms_and_unheard_acts(void **state)
{
    DimmFixture *f = dimms_new(SLOTS, 256 * MIB, 2 * GIB);

    dimms_add_memory(f, "m0", BLOCK);
    dimms_add_memory(f, "m1", BLOCK);
    dimms_plug(f, "m0", false);
    dimms_plug(f, "m1", false);
    assert_true(memory_devices_request_unplug(f->md, "dimm1", NULL));
    slot_eject(f, 0);
    slot_ost(f, 1, 3, 0x84);
    dimms_free(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, dimms_setup, dimms_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_memory_devices_200_cycles_leave_nothing),
        cmocka_unit_test(test_memory_devices_free_with_dimms_and_unheard_acts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
