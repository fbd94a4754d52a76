/* SPDX-License-Identifier: MIT */
/* Writes that the kernel queues instead of ending KVM_RUN. */
#include "support/guest.h"

#define BASE  0xd0000000ULL
#define OTHER 0xd0100000ULL
#define PORT  0x1000

typedef struct Order {
    Recorder *queued[2]; /* MMIO, ports */
    unsigned seen[2];    /* what had arrived when the other device was accessed */
} Order;

static void note_order(Recorder *r, const Access *access)
{
    Order *order = r->opaque;

    for (unsigned i = 0; i < 2; i++) {
        order->seen[i] = order->queued[i] ? order->queued[i]->count : 0;
    }
}

static void test_queued_writes_arrive_before_the_next_exit(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *d = recorder_new(guest, guest->root, BASE, 0x1000, 0);
    Recorder *p = recorder_new(guest, guest->io_root, PORT, 16, 0);
    Recorder *other = recorder_new(guest, guest->root, OTHER, 0x1000, 0);
    Order order = {.queued = {d, p}};
    VcpuStats before, after;

    edit(memory_region_add_coalescing(d->region, 0, 0x100, EDIT_ERROR));
    edit(memory_region_add_coalescing(p->region, 0, 16, EDIT_ERROR));
    other->hook = note_order;
    other->opaque = &order;
    GUEST_OPS(guest, 0, DO(OP_WRITE, 4, BASE, 1), DO(OP_WRITE, 8, BASE + 8, 2),
              DO(OP_OUT, 1, PORT, 3), DO_USER(OP_WRITE, 1, BASE + 0xff, 4),
              DO_USER(OP_OUT, 4, PORT + 4, 5), DO(OP_WRITE, 2, BASE + 0x10, 6),
              DO(OP_WRITE, 4, OTHER, 7));
    before = vcpu_set_stats(guest->vcpus);
    guest_run(guest);
    after = vcpu_set_stats(guest->vcpus);
    assert_int_equal(order.seen[0], 4);
    assert_int_equal(order.seen[1], 2);
    recorder_assert(d, 0, true, 0, 4, 1);
    recorder_assert(d, 1, true, 8, 8, 2);
    recorder_assert(d, 2, true, 0xff, 1, 4);
    recorder_assert(d, 3, true, 0x10, 2, 6);
    recorder_assert(p, 0, true, 0, 1, 3);
    recorder_assert(p, 1, true, 4, 4, 5);
    assert_int_equal(after.mmio, before.mmio + 1);
    assert_int_equal(after.io, before.io + 1);
    assert_int_equal(after.coalesced, before.coalesced + 6);
    recorder_free(other);
    recorder_free(p);
    recorder_free(d);
    guest_free(guest);
}

/* A read of the device itself is an exit: what was written before must be there. */
static void test_a_read_comes_after_queued_writes(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *d = recorder_new(guest, guest->root, BASE, 0x1000, 0);

    edit(memory_region_add_coalescing(d->region, 0, 0x1000, EDIT_ERROR));
    GUEST_OPS(guest, 0, DO(OP_WRITE, 4, BASE, 1), DO(OP_WRITE, 4, BASE + 4, 2),
              DO(OP_READ, 4, BASE, 0), DO(OP_WRITE, 4, BASE + 8, 3));
    guest_run(guest);
    assert_int_equal(d->count, 4);
    recorder_assert(d, 0, true, 0, 4, 1);
    recorder_assert(d, 1, true, 4, 4, 2);
    recorder_assert(d, 2, false, 0, 4, 0x13121110);
    recorder_assert(d, 3, true, 8, 4, 3);
    recorder_free(d);
    guest_free(guest);
}

/* More writes than the ring has entries (169 of a page): none is lost, the order stays. */
static void test_more_writes_than_the_ring_holds(void **state)
{
    enum { WRITES = 400 };
    Guest *guest = guest_new(1);
    Recorder *d = recorder_new(guest, guest->root, BASE, 0x1000, 0);
    uint64_t at = OPS_SHARED_BASE + offsetof(OpsShared, buffer);
    VcpuStats before, after;

    edit(memory_region_add_coalescing(d->region, 0, 0x1000, EDIT_ERROR));
    for (unsigned i = 0; i < WRITES; i++) {
        ((uint32_t *)guest->shared->buffer)[i] = i * 17;
    }
    GUEST_OPS(guest, 0, DO_MANY(OP_MOVS, 4, 0, at, BASE, WRITES));
    before = vcpu_set_stats(guest->vcpus);
    guest_run(guest);
    after = vcpu_set_stats(guest->vcpus);
    assert_int_equal(d->count, WRITES);
    for (unsigned i = 0; i < WRITES; i++) {
        recorder_assert(d, i, true, 4 * i, 4, i * 17);
    }
    assert_true(after.mmio - before.mmio < WRITES / 10);
    recorder_free(d);
    guest_free(guest);
}

/* The host itself looks at a region that demands the flush, while the guest makes no exit. */
static void test_flush_before_the_host_looks(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *d = recorder_new(guest, guest->root, BASE, 0x1000, 0);
    Recorder *other = recorder_new(guest, guest->root, OTHER, 0x1000, 0);
    Order order = {.queued = {d}};
    const uint64_t written = OPS_SHARED_BASE + offsetof(OpsShared, buffer);
    uint32_t value;

    edit(memory_region_add_coalescing(d->region, 0, 0x1000, EDIT_ERROR));
    memory_region_set_flush_coalesced(other->region, true);
    other->hook = note_order;
    other->opaque = &order;
    GUEST_OPS(guest, 0, DO(OP_WRITE, 4, BASE, 1), DO(OP_WRITE, 4, BASE + 4, 2),
              DO(OP_WRITE, 8, written, 1), DO_USER(OP_SPIN, 0, 0, 0));
    guest_start(guest);
    guest_wait_shared(guest, (volatile uint64_t *)guest->shared->buffer, 1);
    assert_int_equal(
        address_space_read(guest->memory, OTHER, MEMTXATTRS_NONE, &value, sizeof(value)), MEMTX_OK);
    assert_int_equal(order.seen[0], 2);
    guest->shared->stop = 1;
    guest_finish(guest);
    assert_int_equal(d->count, 2);
    recorder_free(other);
    recorder_free(d);
    guest_free(guest);
}

static void test_nothing_is_queued_after_clearing(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *d = recorder_new(guest, guest->root, BASE, 0x1000, 0);
    VcpuStats before, after;

    edit(memory_region_add_coalescing(d->region, 0, 0x100, EDIT_ERROR));
    edit(memory_region_clear_coalescing(d->region, EDIT_ERROR));
    GUEST_OPS(guest, 0, DO(OP_WRITE, 4, BASE, 1), DO(OP_WRITE, 4, BASE + 4, 2));
    before = vcpu_set_stats(guest->vcpus);
    guest_run(guest);
    after = vcpu_set_stats(guest->vcpus);
    assert_int_equal(after.mmio, before.mmio + 2);
    assert_int_equal(after.coalesced, before.coalesced);
    assert_int_equal(d->count, 2);
    recorder_free(d);
    guest_free(guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queued_writes_arrive_before_the_next_exit),
        cmocka_unit_test(test_a_read_comes_after_queued_writes),
        cmocka_unit_test(test_more_writes_than_the_ring_holds),
        cmocka_unit_test(test_flush_before_the_host_looks),
        cmocka_unit_test(test_nothing_is_queued_after_clearing),
    };

    return cmocka_run_group_tests_name("coalesced", tests, NULL, NULL);
}
