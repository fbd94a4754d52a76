/* SPDX-License-Identifier: MIT */
/* Handlers that take the machine lock or edit the map they are reached through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>
#include "support/access-fixture.h"
#include "tessera/util/object.h"
#include "tessera/util/rcu.h"

#define NONE MEMTXATTRS_NONE

static void take_lock(ByteDevice *d)
{
    AccessFixture *f = d->opaque;

    assert_true(rcu_in_read_section());
    memory_system_lock(f->ms);
    assert_false(rcu_in_read_section());
    memory_system_unlock(f->ms);
    assert_false(rcu_in_read_section());
}

static void test_handler_locks_and_leaves_read_section(void **state)
{
    AccessFixture *f = *state;
    uint8_t buf[8];
    ByteDevice d;

    byte_device_init(&d);
    d.hook = take_lock;
    d.opaque = f;
    access_fixture_add_device(f, 0, 64, &d);
    assert_int_equal(address_space_read(f->as, 0, NONE, buf, 8), MEMTX_OK);
    assert_memory_equal(buf, d.bytes, 8);
    assert_false(rcu_in_read_section());
    assert_int_equal(address_space_write(f->as, 0, NONE, buf, 3), MEMTX_OK); /* two calls */
    assert_int_equal(d.n_calls, 3);
    assert_false(rcu_in_read_section());
}

static void stay_inside(ByteDevice *d)
{
    assert_true(rcu_in_read_section());
}

static void test_handler_without_lock_stays_in_read_section(void **state)
{
    AccessFixture *f = *state;
    ByteDevice d;

    byte_device_init(&d);
    d.hook = stay_inside;
    access_fixture_add_device(f, 0, 64, &d);
    address_space_ldub(f->as, 0, NONE, NULL);
    assert_int_equal(d.n_calls, 1);
}

/* The device dies with its region: its own memory shows whether it lived long enough. */
typedef struct EjectableDevice {
    Object base; /* first member */
    AccessFixture *f;
    MemoryRegion *mr;
    unsigned *finalized;
    uint8_t canary;
} EjectableDevice;

static void ejectable_finalize(Object *obj)
{
    EjectableDevice *dev = (EjectableDevice *)obj;

    (*dev->finalized)++;
    memset(dev, 0x5a, sizeof(*dev));
    g_free(dev);
}

static MemTxResult eject_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                               MemTxAttrs attrs)
{
    EjectableDevice *dev = opaque;
    bool ok;

    if (value == 0) {
        return MEMTX_OK;
    }
    ok = memory_region_del_subregion(dev->f->root, dev->mr, NULL);
    g_ptr_array_remove(dev->f->regions, dev->mr);
    memory_region_release(dev->mr);
    object_unref(&dev->base); /* the board's: only the access itself holds the device now */
    rcu_drain();              /* every grace period passes: were this thread a reader, it would hang */
    assert_int_equal(dev->canary, 0xc5);
    return ok ? MEMTX_OK : MEMTX_ERROR;
}

static const MemoryRegionOps eject_ops = { .write = eject_write };

static void add_ejectable(AccessFixture *f, hwaddr addr, unsigned *finalized)
{
    EjectableDevice *dev = g_new0(EjectableDevice, 1);

    object_init(&dev->base, ejectable_finalize);
    dev->f = f;
    dev->finalized = finalized;
    dev->canary = 0xc5;
    dev->mr = memory_region_new_io(f->ms, &dev->base, &eject_ops, dev, "ejectable", 16);
    access_fixture_add(f, addr, dev->mr);
}

static void test_handler_removes_its_own_region(void **state)
{
    AccessFixture *f = *state;
    unsigned finalized = 0;
    MemTxResult result;

    add_ejectable(f, 0x100, &finalized);
    address_space_stl_le(f->as, 0x100, 0, NONE, &result);
    assert_int_equal(result, MEMTX_OK);
    assert_int_equal(finalized, 0);
    address_space_stl_le(f->as, 0x100, 1, NONE, &result);
    assert_int_equal(result, MEMTX_OK);
    rcu_drain();
    assert_int_equal(finalized, 1);
    address_space_stl_le(f->as, 0x100, 1, NONE, &result);
    assert_int_equal(result, MEMTX_DECODE_ERROR);
}

/* A device whose handler writes to the ejectable one: both accesses leave their read sections. */
static void poke_ejectable(ByteDevice *d)
{
    AccessFixture *f = d->opaque;
    MemTxResult result;

    address_space_stl_le(f->as, 0x100, 1, NONE, &result);
    assert_int_equal(result, MEMTX_OK);
    assert_false(rcu_in_read_section());
    address_space_stl_le(f->as, 0x100, 1, NONE, &result);
    assert_int_equal(result, MEMTX_DECODE_ERROR);
}

static void test_handler_nested_access_edits_map(void **state)
{
    AccessFixture *f = *state;
    unsigned finalized = 0;
    ByteDevice outer;

    byte_device_init(&outer);
    outer.hook = poke_ejectable;
    outer.opaque = f;
    access_fixture_add_device(f, 0, 64, &outer);
    add_ejectable(f, 0x100, &finalized);
    assert_int_equal(address_space_ldl_le(f->as, 0, NONE, NULL), 0xa3a2a1a0);
    assert_false(rcu_in_read_section());
    rcu_drain();
    assert_int_equal(finalized, 1);
    assert_int_equal(outer.n_calls, 1);
}

/* The second half of the buffer goes to what the handler has put there. */
static void cover_second_half(ByteDevice *d)
{
    AccessFixture *f = d->opaque;
    MemoryRegion *mr = g_ptr_array_index(f->regions, 1);

    assert_true(memory_region_set_enabled(mr, true, NULL));
}

static void check_rw_goes_on_with_the_new_view(AccessFixture *f)
{
    uint8_t buf[0x10] = { 0 };
    MemoryRegion *ram;
    ByteDevice d;

    byte_device_init(&d);
    d.hook = cover_second_half;
    d.opaque = f;
    access_fixture_add_device(f, 0xff8, 8, &d);
    ram = access_fixture_add_ram(f, 0x1000, 0x1000);
    assert_true(memory_region_set_enabled(ram, false, NULL));
    memset(access_fixture_host(ram), 0x42, 8);
    assert_int_equal(address_space_read(f->as, 0xff8, NONE, buf, 16), MEMTX_OK);
    assert_memory_equal(buf, d.bytes, 8);
    assert_int_equal(buf[8], 0x42);
}

static void test_rw_goes_on_with_the_new_view(void **state)
{
    check_rw_goes_on_with_the_new_view(*state);
}

/* The monitor's access: its handlers stay in the read section, and the view changes all the same. */
static void test_rw_goes_on_with_the_new_view_under_the_lock(void **state)
{
    AccessFixture *f = *state;

    memory_system_lock(f->ms);
    check_rw_goes_on_with_the_new_view(f);
    memory_system_unlock(f->ms);
}

/* --- Others read while handlers edit --- */

#define EDITS 2000

typedef struct Stress {
    AccessFixture *f;
    MemoryRegion *toggled;
    unsigned edits;
    _Atomic bool stop;
    _Atomic uint64_t bad;
} Stress;

static void toggle(ByteDevice *d)
{
    Stress *s = d->opaque;

    s->edits++;
    if (!memory_region_set_enabled(s->toggled, s->edits % 2, NULL)) {
        atomic_fetch_add(&s->bad, 1);
    }
}

static void *read_without_pause(void *opaque)
{
    Stress *s = opaque;

    rcu_thread_register();
    while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
        MemTxResult r1, r2;
        uint32_t toggled = address_space_ldl_le(s->f->as, 0x2000, NONE, &r1);
        uint32_t fixed = address_space_ldl_le(s->f->as, 0x1000, NONE, &r2);

        if (r2 != MEMTX_OK || fixed != 0x11111111 ||
            !((r1 == MEMTX_OK && toggled == 0x22222222) ||
              (r1 == MEMTX_DECODE_ERROR && toggled == UINT32_MAX))) {
            atomic_fetch_add(&s->bad, 1);
        }
    }
    rcu_thread_unregister();
    return NULL;
}

static MemTxResult no_record_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                                  MemTxAttrs attrs)
{
    *ret_value = 0x22222222;
    return MEMTX_OK;
}

static const MemoryRegionOps toggled_ops = { .read = no_record_read };

static void test_handlers_edit_while_others_read(void **state)
{
    AccessFixture *f = *state;
    Stress s = { .f = f };
    pthread_t threads[3];
    ByteDevice d;

    byte_device_init(&d);
    d.hook = toggle;
    d.opaque = &s;
    access_fixture_add_device(f, 0, 64, &d);
    MemoryRegion *fixed = access_fixture_add_ram(f, 0x1000, 0x1000);
    memset(access_fixture_host(fixed), 0x11, 0x1000);
    s.toggled = access_fixture_add(
        f, 0x2000, memory_region_new_io(f->ms, NULL, &toggled_ops, NULL, "toggled", 0x100));
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++) {
        pthread_create(&threads[i], NULL, read_without_pause, &s);
    }
    for (unsigned i = 0; i < EDITS; i++) {
        address_space_stb(f->as, 0, 1, NONE, NULL);
    }
    atomic_store(&s.stop, true);
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(s.bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, access_fixture_setup, access_fixture_teardown)
        T(test_handler_locks_and_leaves_read_section),
        T(test_handler_without_lock_stays_in_read_section),
        T(test_handler_removes_its_own_region),
        T(test_handler_nested_access_edits_map),
        T(test_rw_goes_on_with_the_new_view),
        T(test_rw_goes_on_with_the_new_view_under_the_lock),
        T(test_handlers_edit_while_others_read),
#undef T
    };

    return cmocka_run_group_tests_name("access-edit", tests, NULL, NULL);
}
