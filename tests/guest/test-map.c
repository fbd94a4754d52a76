/* SPDX-License-Identifier: MIT */
/* Overlaps, aliases and live edits as a guest sees them. */
#include "support/guest.h"

#include <string.h>

#define BASE 0xd0000000ULL
#define PAGE 0x1000ULL

typedef struct Extra {
    RAMBlock *block;
    MemoryRegion *region;
    uint8_t *host;
} Extra;

/* RAM of @pages pages, each 8 bytes of which hold @value; in no container yet. */
static Extra extra_ram(Guest *guest, const char *name, unsigned pages, uint64_t value)
{
    Extra extra = {.block = ram_block_new(guest->ms, name, pages * PAGE, 0, 0, NULL)};

    assert_non_null(extra.block);
    extra.region = memory_region_new_ram(guest->ms, NULL, name, extra.block);
    extra.host = ram_block_host(extra.block);
    for (unsigned i = 0; i < pages * PAGE; i += 8) {
        memcpy(extra.host + i, &value, 8);
    }
    return extra;
}

static void extra_free(Guest *guest, Extra *extra)
{
    if (memory_region_container(extra->region)) {
        edit(memory_region_del_subregion(guest->root, extra->region, EDIT_ERROR));
    }
    memory_region_release(extra->region);
    ram_block_unref(extra->block);
}

/*
 *   RAM a   |aaaaaaaa aaaaaaaa aaaaaaaa aaaaaaaa|   priority 0
 *   device           |dddddddd|                     priority 1
 *   RAM b            |bbbbbbbb bbbbbbbb|            priority 2, disabled at first
 */
static void test_overlap_by_priority(void **state)
{
    Guest *guest = guest_new(1);
    Extra a = extra_ram(guest, "a", 4, 0xaaaa), b = extra_ram(guest, "b", 2, 0xbbbb);
    Recorder *d;

    edit(memory_region_add_subregion(guest->root, BASE, a.region, EDIT_ERROR));
    d = recorder_new(guest, guest->root, BASE + PAGE, PAGE, 1);
    edit(memory_region_set_enabled(b.region, false, EDIT_ERROR));
    edit(memory_region_add_subregion_overlap(guest->root, BASE + PAGE, b.region, 2, EDIT_ERROR));
    GUEST_OPS(guest, 0, DO(OP_READ, 8, BASE, 0), DO(OP_READ, 4, BASE + PAGE, 0),
              DO(OP_READ, 8, BASE + 2 * PAGE, 0), DO_USER(OP_READ, 8, BASE + 3 * PAGE, 0));
    guest_run(guest);
    assert_int_equal(guest_result(guest, 0), 0xaaaa);
    assert_int_equal(guest_result(guest, 1), 0x13121110);
    assert_int_equal(guest_result(guest, 2), 0xaaaa);
    assert_int_equal(guest_result(guest, 3), 0xaaaa);
    edit(memory_region_set_enabled(b.region, true, EDIT_ERROR));
    guest_run(guest);
    assert_int_equal(guest_result(guest, 0), 0xaaaa);
    assert_int_equal(guest_result(guest, 1), 0xbbbb);
    assert_int_equal(guest_result(guest, 2), 0xbbbb);
    assert_int_equal(guest_result(guest, 3), 0xaaaa);
    edit(memory_region_set_priority(b.region, -1, EDIT_ERROR));
    guest_run(guest);
    assert_int_equal(guest_result(guest, 1), 0x13121110);
    assert_int_equal(guest_result(guest, 2), 0xaaaa);
    assert_int_equal(d->count, 2);
    recorder_free(d);
    extra_free(guest, &b);
    extra_free(guest, &a);
    guest_free(guest);
}

/* A device smaller than a page inside RAM: the rest of its page is reached by exits. */
static void test_device_smaller_than_a_page_over_ram(void **state)
{
    Guest *guest = guest_new(1);
    Extra a = extra_ram(guest, "a", 3, 0xaaaa);
    Recorder *d;

    edit(memory_region_add_subregion(guest->root, BASE, a.region, EDIT_ERROR));
    d = recorder_new(guest, guest->root, BASE + PAGE + 0x80, 0x10, 1);
    GUEST_OPS(guest, 0, DO(OP_READ, 8, BASE + PAGE, 0), DO(OP_READ, 8, BASE + PAGE + 0x80, 0),
              DO(OP_WRITE, 8, BASE + PAGE + 0x90, 0x1234), DO(OP_READ, 8, BASE + PAGE + 0x90, 0),
              DO(OP_READ, 8, BASE + 2 * PAGE, 0));
    guest_run(guest);
    assert_int_equal(guest_result(guest, 0), 0xaaaa);
    assert_int_equal(guest_result(guest, 1), recorder_value(0, 8));
    assert_int_equal(guest_result(guest, 3), 0x1234);
    assert_int_equal(guest_result(guest, 4), 0xaaaa);
    assert_int_equal(*(uint64_t *)(a.host + PAGE + 0x90), 0x1234);
    assert_int_equal(d->count, 1);
    recorder_free(d);
    extra_free(guest, &a);
    guest_free(guest);
}

static void test_alias_shows_the_same_ram(void **state)
{
    Guest *guest = guest_new(1);
    Extra a = extra_ram(guest, "a", 4, 0xaaaa);
    MemoryRegion *alias =
        memory_region_new_alias(guest->ms, NULL, "window", a.region, 2 * PAGE, 2 * PAGE);

    edit(memory_region_add_subregion(guest->root, BASE, a.region, EDIT_ERROR));
    edit(memory_region_add_subregion(guest->root, BASE + 0x100000, alias, EDIT_ERROR));
    GUEST_OPS(guest, 0, DO(OP_WRITE, 8, BASE + 2 * PAGE + 8, 0x1111),
              DO(OP_READ, 8, BASE + 0x100008, 0), DO_USER(OP_WRITE, 8, BASE + 0x101010, 0x2222),
              DO(OP_READ, 8, BASE + 3 * PAGE + 0x10, 0));
    guest_run(guest);
    assert_int_equal(guest_result(guest, 1), 0x1111);
    assert_int_equal(guest_result(guest, 3), 0x2222);
    edit(memory_region_set_alias_offset(alias, PAGE, EDIT_ERROR));
    GUEST_OPS(guest, 0, DO(OP_READ, 8, BASE + 0x101008, 0), DO(OP_READ, 8, BASE + 0x100008, 0));
    guest_run(guest);
    assert_int_equal(guest_result(guest, 0), 0x1111);
    assert_int_equal(guest_result(guest, 1), 0xaaaa);
    edit(memory_region_del_subregion(guest->root, alias, EDIT_ERROR));
    memory_region_release(alias);
    extra_free(guest, &a);
    guest_free(guest);
}

/* An alias whose offset is no whole page has no slot, and shows the right bytes all the same. */
static void test_alias_at_an_odd_offset(void **state)
{
    Guest *guest = guest_new(1);
    Extra a = extra_ram(guest, "a", 4, 0);
    MemoryRegion *alias =
        memory_region_new_alias(guest->ms, NULL, "window", a.region, 0x210, 2 * PAGE);

    for (unsigned i = 0; i < 4 * PAGE; i++) {
        a.host[i] = (uint8_t)(i >> 4);
    }
    edit(memory_region_add_subregion(guest->root, BASE, alias, EDIT_ERROR));
    GUEST_OPS(guest, 0, DO(OP_READ, 4, BASE, 0), DO(OP_READ, 2, BASE + PAGE + 0x10, 0),
              DO(OP_WRITE, 4, BASE + 4, 0x77777777));
    guest_run(guest);
    assert_int_equal(guest_result(guest, 0), 0x21212121);
    assert_int_equal(guest_result(guest, 1), 0x2222);
    assert_int_equal(*(uint32_t *)(a.host + 0x214), 0x77777777);
    edit(memory_region_del_subregion(guest->root, alias, EDIT_ERROR));
    memory_region_release(alias);
    extra_free(guest, &a);
    guest_free(guest);
}

/* The guest reads one page without pause while an overlay beside it comes and goes 50 times. */
static void watch_beside_an_overlay(bool user)
{
    Guest *guest = guest_new(1);
    Extra a = extra_ram(guest, "a", 8, 0xaaaa), b = extra_ram(guest, "b", 2, 0xbbbb);

    edit(memory_region_add_subregion(guest->root, BASE, a.region, EDIT_ERROR));
    edit(memory_region_set_enabled(b.region, false, EDIT_ERROR));
    edit(
        memory_region_add_subregion_overlap(guest->root, BASE + 3 * PAGE, b.region, 1, EDIT_ERROR));
    guest->shared->watch_a = 0xaaaa;
    GUEST_OPS(guest, 0, (Op){.kind = OP_WATCH, .size = 8, .user = user, .addr = BASE});
    guest_start(guest);
    for (unsigned i = 0; i < 50; i++) {
        guest_wait_shared(guest, &guest->shared->seen_a, guest->shared->seen_a + 1);
        edit(memory_region_set_enabled(b.region, i % 2 == 0, EDIT_ERROR));
    }
    guest->shared->stop = 1;
    guest_finish(guest);
    assert_int_equal(guest->shared->seen_other, 0);
    assert_true(guest->shared->seen_a >= 50);
    extra_free(guest, &b);
    extra_free(guest, &a);
    guest_free(guest);
}

static void test_overlay_beside_reads(void **state)
{
    watch_beside_an_overlay(false);
}

static void test_overlay_beside_reads_in_user_mode(void **state)
{
    watch_beside_an_overlay(true);
}

/* The page that the guest reads is covered and uncovered: it sees one or the other. */
static void test_overlay_over_reads(void **state)
{
    Guest *guest = guest_new(1);
    Extra a = extra_ram(guest, "a", 8, 0xaaaa), b = extra_ram(guest, "b", 2, 0xbbbb);

    edit(memory_region_add_subregion(guest->root, BASE, a.region, EDIT_ERROR));
    edit(memory_region_set_enabled(b.region, false, EDIT_ERROR));
    edit(
        memory_region_add_subregion_overlap(guest->root, BASE + 3 * PAGE, b.region, 1, EDIT_ERROR));
    guest->shared->watch_a = 0xaaaa;
    guest->shared->watch_b = 0xbbbb;
    GUEST_OPS(guest, 0, DO_USER(OP_WATCH, 8, BASE + 4 * PAGE, 0));
    guest_start(guest);
    for (unsigned i = 0; i < 20; i++) {
        guest_wait_shared(guest, &guest->shared->seen_a, guest->shared->seen_a + 1);
        edit(memory_region_set_enabled(b.region, true, EDIT_ERROR));
        guest_wait_shared(guest, &guest->shared->seen_b, guest->shared->seen_b + 1);
        edit(memory_region_set_enabled(b.region, false, EDIT_ERROR));
    }
    guest->shared->stop = 1;
    guest_finish(guest);
    assert_int_equal(guest->shared->seen_other, 0);
    extra_free(guest, &b);
    extra_free(guest, &a);
    guest_free(guest);
}

/* RAM comes and goes under the reader: what it holds, or all ones, never anything else. */
static void test_ram_added_and_removed_under_reads(void **state)
{
    Guest *guest = guest_new(1);
    Extra a = extra_ram(guest, "a", 4, 0xaaaa);
    KvmStats before = kvm_stats(guest->kvm);

    guest->shared->watch_a = 0xaaaa;
    guest->shared->watch_b = UINT64_MAX;
    GUEST_OPS(guest, 0, DO_USER(OP_WATCH, 8, BASE + PAGE, 0));
    guest_start(guest);
    for (unsigned i = 0; i < 20; i++) {
        guest_wait_shared(guest, &guest->shared->seen_b, guest->shared->seen_b + 1);
        edit(memory_region_add_subregion(guest->root, BASE, a.region, EDIT_ERROR));
        guest_wait_shared(guest, &guest->shared->seen_a, guest->shared->seen_a + 1);
        edit(memory_region_del_subregion(guest->root, a.region, EDIT_ERROR));
    }
    guest->shared->stop = 1;
    guest_finish(guest);
    assert_int_equal(guest->shared->seen_other, 0);
    assert_int_equal(kvm_stats(guest->kvm).slot_ioctls, before.slot_ioctls + 40);
    extra_free(guest, &a);
    guest_free(guest);
}

/* The guest's register write moves RAM; the next instruction finds it there. */
static void move_ram(Recorder *r, const Access *access)
{
    memory_region_set_address(r->opaque, BASE + access->value, NULL);
}

static void test_ram_moved_by_the_guest(void **state)
{
    Guest *guest = guest_new(1);
    Extra a = extra_ram(guest, "a", 4, 0xaaaa);
    Recorder *r = recorder_new(guest, guest->io_root, 0x1000, 4, 0);

    edit(memory_region_add_subregion(guest->root, BASE, a.region, EDIT_ERROR));
    r->hook = move_ram;
    r->opaque = a.region;
    GUEST_OPS(guest, 0, DO(OP_READ, 8, BASE, 0), DO(OP_OUT, 4, 0x1000, 0x100000),
              DO(OP_READ, 8, BASE, 0), DO(OP_READ, 8, BASE + 0x100000, 0),
              DO_USER(OP_OUT, 4, 0x1000, 0x2000), DO_USER(OP_READ, 8, BASE + 0x100000, 0),
              DO_USER(OP_READ, 8, BASE + 0x2000, 0));
    guest_run(guest);
    assert_int_equal(guest_result(guest, 0), 0xaaaa);
    assert_int_equal(guest_result(guest, 2), UINT64_MAX);
    assert_int_equal(guest_result(guest, 3), 0xaaaa);
    assert_int_equal(guest_result(guest, 5), UINT64_MAX);
    assert_int_equal(guest_result(guest, 6), 0xaaaa);
    recorder_free(r);
    extra_free(guest, &a);
    guest_free(guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overlap_by_priority),
        cmocka_unit_test(test_device_smaller_than_a_page_over_ram),
        cmocka_unit_test(test_alias_shows_the_same_ram),
        cmocka_unit_test(test_alias_at_an_odd_offset),
        cmocka_unit_test(test_overlay_beside_reads),
        cmocka_unit_test(test_overlay_beside_reads_in_user_mode),
        cmocka_unit_test(test_overlay_over_reads),
        cmocka_unit_test(test_ram_added_and_removed_under_reads),
        cmocka_unit_test(test_ram_moved_by_the_guest),
    };

    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
