/* SPDX-License-Identifier: MIT */
/* Readers that never pause, a writer that adds and removes regions, register writes that edit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/painter.h"
#include "tessera/memory/memory-system.h"
#include "tessera/memory/ram-block.h"
#include "tessera/memory/region.h"
#include "tessera/util/rcu.h"

/*
 *   page 0 .. 15   a device each, or nothing: comes and goes
 *   page 16 .. 17  RAM, or nothing
 *   page 18        a device that stays and comes and goes by register writes to page 19
 *   page 19        the switch of page 18
 *
 * Beside test-memory-stress.c, whose readers can be broken, here grace periods can; RAM and its
 * mapping come and go, too, and readers edit.
 *
 * TESSERA_STRESS: how often the writer edits (TESSERA_LONG: 100,000 times). The program proves
 * something in a ThreadSanitizer build; there it also starts itself with "broken", where grace
 * periods do not last, and wants to see that reported.
 */
#define PAGE       0x1000u
#define SLOTS      16u
#define RAM_PAGE   16u
#define HIDE_PAGE  18u
#define SWITCH     19u
#define READERS    4u
#define MAGIC      0x7e55e7a5u
#define PATTERN    0xc5

static bool grace_periods_are_broken;
static const char *program;

void __real_rcu_defer(RcuHead *head, void (*fn)(RcuHead *head));
void __wrap_rcu_defer(RcuHead *head, void (*fn)(RcuHead *head));

/* The linker puts this in the place of rcu_defer(). */
void __wrap_rcu_defer(RcuHead *head, void (*fn)(RcuHead *head))
{
    if (grace_periods_are_broken) {
        fn(head);
    } else {
        __real_rcu_defer(head, fn);
    }
}

typedef struct Device {
    Object object;
    MemoryRegion *mr;
    uint32_t magic;
} Device;

typedef struct Stress {
    MemorySystem *ms;
    MemoryRegion *root;
    AddressSpace *as;
    Device *slots[SLOTS];
    Device *hidden;
    Device *control;
    RAMBlock *block;
    MemoryRegion *ram;
    _Atomic bool stop;
    _Atomic unsigned ready;
    _Atomic unsigned wrong;
    _Atomic unsigned reads_of_devices;
    _Atomic unsigned reads_of_ram;
} Stress;

typedef struct Reader {
    Stress *s;
    uint64_t seed;
    pthread_t thread;
} Reader;

static MemTxResult device_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                               MemTxAttrs attrs)
{
    *ret_value = ((Device *)opaque)->magic;
    return MEMTX_OK;
}

static MemTxResult device_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                MemTxAttrs attrs)
{
    return ((Device *)opaque)->magic == MAGIC ? MEMTX_OK : MEMTX_ERROR;
}

static const MemoryRegionOps device_ops = { .read = device_read, .write = device_write };

/* A register that edits the map from the thread that writes it. */
static MemTxResult switch_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                MemTxAttrs attrs)
{
    Stress *s = opaque;

    return memory_region_set_enabled(s->hidden->mr, value & 1, NULL) ? MEMTX_OK : MEMTX_ERROR;
}

static const MemoryRegionOps switch_ops = { .read = device_read, .write = switch_write };

static void device_finalize(Object *obj)
{
    Device *d = (Device *)obj;

    memory_region_release(d->mr);
    d->magic = 0; /* whoever still reads it sees this, or the sanitizer sees him */
    g_free(d);
}

static Device *device_new(Stress *s, const MemoryRegionOps *ops, void *opaque, unsigned page)
{
    Device *d = g_new0(Device, 1);

    object_init(&d->object, device_finalize);
    d->magic = MAGIC;
    d->mr = memory_region_new_io(s->ms, &d->object, ops, opaque ? opaque : d, "device", PAGE);
    assert_true(memory_region_add_subregion(s->root, (hwaddr)page * PAGE, d->mr, NULL));
    return d;
}

static void device_remove(Stress *s, Device *d)
{
    assert_true(memory_region_del_subregion(s->root, d->mr, NULL));
    object_unref(&d->object);
}

static void check(Stress *s, bool right)
{
    if (!right) {
        atomic_fetch_add(&s->wrong, 1);
    }
}

static void read_device(Stress *s, hwaddr page)
{
    uint32_t value = 0;
    MemTxResult r = address_space_rw(s->as, page * PAGE, MEMTXATTRS_NONE, &value, 4, false);

    check(s, r == MEMTX_OK ? value == MAGIC : r == MEMTX_DECODE_ERROR && value == UINT32_MAX);
    if (r == MEMTX_OK) {
        atomic_fetch_add_explicit(&s->reads_of_devices, 1, memory_order_relaxed);
    }
}

static void read_ram(Stress *s, hwaddr offset)
{
    uint8_t data[24] = { 0 };
    MemTxResult r = address_space_rw(s->as, RAM_PAGE * PAGE + offset % PAGE, MEMTXATTRS_NONE, data,
                                     sizeof(data), false);

    for (unsigned i = 0; i < sizeof(data); i++) {
        check(s, data[i] == (r == MEMTX_OK ? PATTERN : 0xff));
    }
    if (r == MEMTX_OK) {
        atomic_fetch_add_explicit(&s->reads_of_ram, 1, memory_order_relaxed);
    }
}

static void flip_switch(Stress *s, uint32_t value)
{
    check(s, address_space_write(s->as, SWITCH * PAGE, MEMTXATTRS_NONE, &value, 4) == MEMTX_OK);
}

static void *reader_thread(void *opaque)
{
    Reader *reader = opaque;
    Stress *s = reader->s;
    TestRandom random = { reader->seed };

    rcu_thread_register();
    atomic_fetch_add(&s->ready, 1);
    for (unsigned i = 0; !atomic_load_explicit(&s->stop, memory_order_relaxed); i++) {
        uint32_t dice = test_random_below(&random, 1u << 16);

        if (dice % 4 == 0) {
            read_ram(s, dice);
        } else {
            read_device(s, dice % 5 == 0 ? HIDE_PAGE : (dice >> 8) % SLOTS);
        }
        if (i % 4096 == 4095) {
            flip_switch(s, dice);
        }
    }
    rcu_thread_unregister();
    return NULL;
}

static void ram_add(Stress *s)
{
    if (!s->block) {
        s->block = ram_block_new(s->ms, "ram", 2 * PAGE, 0, 0, NULL);
        assert_non_null(s->block);
        memset(ram_block_host(s->block), PATTERN, 2 * PAGE);
    }
    s->ram = memory_region_new_ram(s->ms, NULL, "ram", s->block);
    assert_true(memory_region_add_subregion(s->root, RAM_PAGE * PAGE, s->ram, NULL));
}

/* Every now and then the block goes, too: its mapping must outlast the readers of old views. */
static void ram_remove(Stress *s, bool and_block)
{
    assert_true(memory_region_del_subregion(s->root, s->ram, NULL));
    g_clear_pointer(&s->ram, memory_region_release);
    if (and_block) {
        ram_block_release_name(s->block);
        g_clear_pointer(&s->block, ram_block_unref);
    }
}

static void write_once(Stress *s, TestRandom *random, unsigned i)
{
    unsigned slot = test_random_below(random, SLOTS);

    if (s->slots[slot]) {
        device_remove(s, s->slots[slot]);
        s->slots[slot] = NULL;
    } else {
        s->slots[slot] = device_new(s, &device_ops, NULL, slot);
    }
    if (i % 16 == 7 && !grace_periods_are_broken) {
        if (s->ram) {
            ram_remove(s, i % 64 == 7);
        } else {
            ram_add(s);
        }
    }
}

static void stress_init(Stress *s)
{
    *s = (Stress){ .ms = memory_system_new(NULL) };
    s->root = memory_region_new_container(s->ms, NULL, "root", 32 * PAGE);
    s->as = address_space_new(s->ms, s->root, "memory", NULL);
    s->hidden = device_new(s, &device_ops, NULL, HIDE_PAGE);
    s->control = device_new(s, &switch_ops, s, SWITCH);
    ram_add(s);
}

static void stress_done(Stress *s)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        if (s->slots[i]) {
            device_remove(s, s->slots[i]);
        }
    }
    device_remove(s, s->hidden);
    device_remove(s, s->control);
    if (s->ram) {
        ram_remove(s, false);
    }
    ram_block_unref(s->block);
    address_space_free(s->as);
    memory_region_release(s->root);
    memory_system_free(s->ms);
}

static void test_readers_never_pause_while_regions_come_and_go(void **state)
{
    const char *text = getenv("TESSERA_STRESS");
    unsigned rounds = text ? (unsigned)atoi(text) : getenv("TESSERA_LONG") ? 100000 : 400;
    TestRandom random = test_random_new("stress", 0x57e55);
    Reader readers[READERS];
    Stress s;

    stress_init(&s);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (Reader){ .s = &s, .seed = random.state + i };
        assert_int_equal(pthread_create(&readers[i].thread, NULL, reader_thread, &readers[i]), 0);
    }
    while (atomic_load(&s.ready) < READERS) {
        sched_yield();
    }
    for (unsigned i = 0; i < rounds; i++) {
        write_once(&s, &random, i);
    }
    atomic_store(&s.stop, true);
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(readers[i].thread, NULL);
    }
    assert_int_equal(atomic_load(&s.wrong), 0);
    print_message("%u edits, %u reads of devices, %u of RAM\n", rounds,
                  atomic_load(&s.reads_of_devices), atomic_load(&s.reads_of_ram));
    stress_done(&s);
}

#ifdef TESSERA_TSAN
/* What is freed before its readers have left must be reported, or the test above proves nothing. */
static void test_broken_grace_periods_are_reported(void **state)
{
    char *argv[] = { (char *)program, (char *)"broken", NULL };
    g_autofree char *report = NULL;
    gint status = 0;

    assert_true(g_spawn_sync(NULL, argv, NULL, G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL,
                             &report, &status, NULL));
    assert_int_not_equal(status, 0);
    assert_non_null(strstr(report, "WARNING: ThreadSanitizer"));
}
#endif

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
#ifdef TESSERA_TSAN
        cmocka_unit_test(test_broken_grace_periods_are_reported),
#endif
        cmocka_unit_test(test_readers_never_pause_while_regions_come_and_go),
    };
    const struct CMUnitTest broken[] = {
        cmocka_unit_test(test_readers_never_pause_while_regions_come_and_go),
    };

    program = argv[0];
    grace_periods_are_broken = argc > 1 && strcmp(argv[1], "broken") == 0;
    if (grace_periods_are_broken) {
        return cmocka_run_group_tests(broken, NULL, NULL);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
