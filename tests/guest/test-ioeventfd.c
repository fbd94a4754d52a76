/* SPDX-License-Identifier: MIT */
/* Guest writes that signal a notifier without ending KVM_RUN. */
#include "support/guest.h"

#include "tessera/util/event-notifier.h"
#include <unistd.h>

#define BASE 0xd0000000ULL
#define PORT 0x1000

/* How often it was signalled. */
static uint64_t signals(EventNotifier *n)
{
    uint64_t count = 0;

    return read(n->fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void test_mmio_write_signals_without_an_exit(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *d = recorder_new(guest, guest->root, BASE, 0x1000, 0);
    EventNotifier n;
    VcpuStats before, after;

    assert_true(event_notifier_init(&n, NULL));
    edit(memory_region_add_eventfd(d->region, 0x10, 4, false, 0, &n, EDIT_ERROR));
    GUEST_OPS(guest, 0, DO(OP_WRITE, 4, BASE + 0x10, 1), DO(OP_WRITE, 4, BASE + 0x10, 2),
              DO_USER(OP_WRITE, 4, BASE + 0x10, 3));
    before = vcpu_set_stats(guest->vcpus);
    guest_run(guest);
    after = vcpu_set_stats(guest->vcpus);
    assert_int_equal(signals(&n), 3);
    assert_int_equal(after.mmio, before.mmio);
    assert_int_equal(after.io, before.io + 1); /* the end of the list */
    assert_int_equal(d->count, 0);

    /* Another size, another address, a read: the device's own. */
    GUEST_OPS(guest, 0, DO(OP_WRITE, 2, BASE + 0x10, 1), DO(OP_WRITE, 4, BASE + 0x14, 2),
              DO(OP_READ, 4, BASE + 0x10, 0));
    guest_run(guest);
    assert_int_equal(signals(&n), 0);
    assert_int_equal(d->count, 3);

    edit(memory_region_del_eventfd(d->region, 0x10, 4, false, 0, &n, EDIT_ERROR));
    GUEST_OPS(guest, 0, DO(OP_WRITE, 4, BASE + 0x10, 1));
    guest_run(guest);
    assert_int_equal(signals(&n), 0);
    assert_int_equal(d->count, 4);
    recorder_free(d);
    event_notifier_done(&n);
    guest_free(guest);
}

static void test_datamatch_picks_the_notifier(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *p = recorder_new(guest, guest->io_root, PORT, 16, 0);
    EventNotifier one, two;
    VcpuStats before, after;

    assert_true(event_notifier_init(&one, NULL));
    assert_true(event_notifier_init(&two, NULL));
    edit(memory_region_add_eventfd(p->region, 2, 2, true, 1, &one, EDIT_ERROR));
    edit(memory_region_add_eventfd(p->region, 2, 2, true, 2, &two, EDIT_ERROR));
    GUEST_OPS(guest, 0, DO(OP_OUT, 2, PORT + 2, 2), DO(OP_OUT, 2, PORT + 2, 1),
              DO(OP_OUT, 2, PORT + 2, 2), DO_USER(OP_OUT, 2, PORT + 2, 2));
    before = vcpu_set_stats(guest->vcpus);
    guest_run(guest);
    after = vcpu_set_stats(guest->vcpus);
    assert_int_equal(signals(&one), 1);
    assert_int_equal(signals(&two), 3);
    assert_int_equal(after.io, before.io + 1);
    GUEST_OPS(guest, 0, DO(OP_OUT, 2, PORT + 2, 3));
    guest_run(guest);
    assert_int_equal(signals(&one) + signals(&two), 0);
    recorder_assert(p, 0, true, 2, 2, 3);
    edit(memory_region_del_eventfd(p->region, 2, 2, true, 1, &one, EDIT_ERROR));
    edit(memory_region_del_eventfd(p->region, 2, 2, true, 2, &two, EDIT_ERROR));
    recorder_free(p);
    event_notifier_done(&one);
    event_notifier_done(&two);
    guest_free(guest);
}

static void test_length_zero_takes_every_size(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *d = recorder_new(guest, guest->root, BASE, 0x1000, 0);
    EventNotifier n;
    VcpuStats before, after;

    assert_true(event_notifier_init(&n, NULL));
    edit(memory_region_add_eventfd(d->region, 8, 0, false, 0, &n, EDIT_ERROR));
    GUEST_OPS(guest, 0, DO(OP_WRITE, 1, BASE + 8, 1), DO(OP_WRITE, 2, BASE + 8, 2),
              DO(OP_WRITE, 4, BASE + 8, 3), DO(OP_WRITE, 8, BASE + 8, 4),
              DO_USER(OP_WRITE, 8, BASE + 8, 5));
    before = vcpu_set_stats(guest->vcpus);
    guest_run(guest);
    after = vcpu_set_stats(guest->vcpus);
    assert_int_equal(signals(&n), 5);
    assert_int_equal(after.mmio, before.mmio);
    edit(memory_region_del_eventfd(d->region, 8, 0, false, 0, &n, EDIT_ERROR));
    recorder_free(d);
    event_notifier_done(&n);
    guest_free(guest);
}

/* The notifier moves with its device, and is silent while that is disabled. */
static void test_eventfd_follows_its_region(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *d = recorder_new(guest, guest->root, BASE, 0x1000, 0);
    EventNotifier n;

    assert_true(event_notifier_init(&n, NULL));
    edit(memory_region_add_eventfd(d->region, 0, 4, false, 0, &n, EDIT_ERROR));
    edit(memory_region_set_address(d->region, BASE + 0x10000, EDIT_ERROR));
    GUEST_OPS(guest, 0, DO(OP_WRITE, 4, BASE, 1));
    guest_run(guest);
    assert_int_equal(signals(&n), 0);
    GUEST_OPS(guest, 0, DO(OP_WRITE, 4, BASE + 0x10000, 1));
    guest_run(guest);
    assert_int_equal(signals(&n), 1);
    edit(memory_region_set_enabled(d->region, false, EDIT_ERROR));
    guest_run(guest);
    assert_int_equal(signals(&n), 0);
    edit(memory_region_set_enabled(d->region, true, EDIT_ERROR));
    guest_run(guest);
    assert_int_equal(signals(&n), 1);
    assert_int_equal(d->count, 0);
    edit(memory_region_del_eventfd(d->region, 0, 4, false, 0, &n, EDIT_ERROR));
    recorder_free(d);
    event_notifier_done(&n);
    guest_free(guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mmio_write_signals_without_an_exit),
        cmocka_unit_test(test_datamatch_picks_the_notifier),
        cmocka_unit_test(test_length_zero_takes_every_size),
        cmocka_unit_test(test_eventfd_follows_its_region),
    };

    return cmocka_run_group_tests_name("ioeventfd", tests, NULL, NULL);
}
