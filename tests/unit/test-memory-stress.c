/* SPDX-License-Identifier: MIT */
/* Readers that dispatch without pause while a writer adds and removes regions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../../src/memory/access-internal.h"
#include "support/access-fixture.h"
#include "tessera/util/object.h"

/*
 * What a reader finds must be alive and be what it looks like: each device carries a number, and
 * poisons itself when it is finalized. Under ThreadSanitizer the same run shows that every path from
 * the writer to a reader is ordered; and to show that it would notice, the program runs itself with
 * readers that open no read section (--broken), and that run must be reported.
 */
#define READERS     4
#define SLOTS       16
#define SLOT_STEP   UINT64_C(0x800) /* two in a page: subpages come and go, too */
#define SHORT_EDITS 3000
#define LONG_EDITS  100000

typedef struct Numbered {
    Object base; /* first member */
    uint32_t number;
    MemoryRegion *mr;
} Numbered;

typedef struct Stress {
    AccessFixture *f;
    _Atomic bool stop;
    _Atomic uint64_t hits, wrong;
    bool broken;
} Stress;

static void numbered_finalize(Object *obj)
{
    Numbered *dev = (Numbered *)obj;

    dev->number = 0xdeadbeef;
    g_free(dev);
}

static MemTxResult numbered_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                                 MemTxAttrs attrs)
{
    const Numbered *dev = opaque;

    *ret_value = dev->number;
    return MEMTX_OK;
}

static const MemoryRegionOps numbered_ops = { .read = numbered_read };

static Numbered *numbered_new(MemorySystem *ms, uint32_t number)
{
    Numbered *dev = g_new0(Numbered, 1);

    object_init(&dev->base, numbered_finalize);
    dev->number = number;
    dev->mr = memory_region_new_io(ms, &dev->base, &numbered_ops, dev, "numbered", 64);
    return dev;
}

static void read_slot(Stress *s, uint32_t slot)
{
    MemTxResult result;
    uint32_t value = address_space_ldl_le(s->f->as, slot * SLOT_STEP, MEMTXATTRS_NONE, &result);

    if (result == MEMTX_OK && value == slot) {
        atomic_fetch_add_explicit(&s->hits, 1, memory_order_relaxed);
    } else if (result != MEMTX_DECODE_ERROR || value != UINT32_MAX) {
        atomic_fetch_add_explicit(&s->wrong, 1, memory_order_relaxed);
    }
}

/* Looks at the view and at its first tile with nothing that keeps them alive. */
static void read_without_section(Stress *s)
{
    const FlatView *view = address_space_flatview(s->f->as);
    const FlatRange *fr = flatview_find_from(view, 0);

    if (fr && fr->start != 0) {
        atomic_fetch_add_explicit(&s->hits, 1, memory_order_relaxed);
    }
}

static void *reader(void *opaque)
{
    Stress *s = opaque;
    uint32_t slot = 0;

    rcu_thread_register();
    while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
        if (s->broken) {
            read_without_section(s);
        } else {
            read_slot(s, slot++ % SLOTS);
        }
    }
    rcu_thread_unregister();
    return NULL;
}

static void run(Stress *s, unsigned edits)
{
    Numbered *present[SLOTS] = { NULL };
    pthread_t threads[READERS];
    g_autoptr(GRand) rand = g_rand_new_with_seed(access_fixture_seed());

    for (unsigned i = 0; i < READERS; i++) {
        pthread_create(&threads[i], NULL, reader, s);
    }
    for (unsigned i = 0; i < edits; i++) {
        uint32_t slot = (uint32_t)g_rand_int_range(rand, 0, SLOTS);

        if (present[slot]) {
            access_fixture_remove(s->f, present[slot]->mr);
            object_unref(&present[slot]->base);
            present[slot] = NULL;
        } else {
            present[slot] = numbered_new(s->f->ms, slot);
            access_fixture_add(s->f, slot * SLOT_STEP, present[slot]->mr);
        }
    }
    atomic_store(&s->stop, true);
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        if (present[i]) {
            access_fixture_remove(s->f, present[i]->mr);
            object_unref(&present[i]->base);
        }
    }
}

static void test_rw_while_regions_come_and_go(void **state)
{
    Stress s = { .f = access_fixture_new() };

    run(&s, g_getenv("TESSERA_LONG") ? LONG_EDITS : SHORT_EDITS);
    assert_int_equal(s.wrong, 0);
    assert_true(s.hits > 0);
    access_fixture_free(s.f);
}

#ifdef TESSERA_TSAN
static void test_broken_readers_are_reported(void **state)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *errors = NULL;
    char *argv[] = { self, (char *)"--broken", NULL };
    g_auto(GStrv) env = g_environ_setenv(g_get_environ(), "TSAN_OPTIONS", "halt_on_error=1", TRUE);
    int status = 0;

    assert_true(g_spawn_sync(NULL, argv, env, G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL,
                             &errors, &status, NULL));
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_non_null(strstr(errors, "ThreadSanitizer: data race"));
}
#endif

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rw_while_regions_come_and_go),
#ifdef TESSERA_TSAN
        cmocka_unit_test(test_broken_readers_are_reported),
#endif
    };

    if (argc > 1 && strcmp(argv[1], "--broken") == 0) {
        Stress s = { .f = access_fixture_new(), .broken = true };

        run(&s, SHORT_EDITS);
        _exit(0); /* the sanitizer's own status, had it found anything, came before */
    }
    return cmocka_run_group_tests_name("memory-stress", tests, NULL, NULL);
}
