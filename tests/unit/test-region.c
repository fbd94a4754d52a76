/* SPDX-License-Identifier: MIT */
/* The tree: rules 1 to 6, each with the map that it must show; edits and what they refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "support/memory-fixture.h"
#include "support/painter.h"
#include "tessera/memory/ram-block.h"
#include "tessera/util/error.h"
#include "tessera/util/rcu.h"

/* @error is set, has @code, and names @word. */
static void assert_refused(bool ok, GError **error, int code, const char *word)
{
    assert_false(ok);
    assert_non_null(*error);
    assert_true(g_error_matches(*error, TESSERA_ERROR, code));
    assert_non_null(strstr((*error)->message, word));
    g_clear_error(error);
}

/*
 *  a   aaaaaaaa            a   disabled
 *  b     bb          ->    b     bb
 *      aabbaaaa........        ..bb............
 */
static void test_rule1_disabled_shows_and_hides_nothing(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_io(f, "a", 8), *b = fixture_io(f, "b", 2);

    fixture_add(f->root, 2, b, 0);
    fixture_add(f->root, 0, a, 1);
    fixture_assert_map(f, "aaaaaaaa........");
    assert_true(memory_region_set_enabled(a, false, NULL));
    fixture_assert_map(f, "..bb............");
    assert_true(memory_region_set_enabled(a, true, NULL));
    fixture_assert_map(f, "aaaaaaaa........");
    painter_check(f->as);
}

/*  container c at 4, 4 pages; a at its page 2, 8 pages: clipped at both containers' ends */
static void test_rule1_region_is_clipped_by_its_containers(void **state)
{
    Fixture *f = *state;
    MemoryRegion *c = fixture_container(f, "c", 4), *a = fixture_io(f, "a", 8);
    MemoryRegion *b = fixture_io(f, "b", 8);

    fixture_add(c, 2, a, 0);
    fixture_add(f->root, 4, c, 0);
    fixture_add(f->root, 14, b, 0);
    fixture_assert_map(f, "......aa......bb");
}

/*
 *  priority 1   a:  ..aaaa..
 *  priority 0   b:  bbbbbbbb      c: ....cccc (added later: wins over b)
 */
static void test_rule2_priority_then_later_wins(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_io(f, "a", 4), *b = fixture_io(f, "b", 8);
    MemoryRegion *c = fixture_io(f, "c", 4);

    fixture_add(f->root, 2, a, 1);
    fixture_add(f->root, 0, b, 0);
    fixture_add(f->root, 4, c, 0);
    fixture_assert_map(f, "bbaaaacc........");
    /* Moving to the same place counts as adding again. */
    assert_true(memory_region_set_address(b, 0, NULL));
    fixture_assert_map(f, "bbaaaabb........");
    /* A new priority leaves the age as it is. */
    assert_true(memory_region_set_priority(c, 1, NULL));
    fixture_assert_map(f, "bbaacccc........");
    assert_true(memory_region_set_priority(c, -1, NULL));
    fixture_assert_map(f, "bbaaaabb........");
}

/*
 *  c (container, wins)   a: at 1, 2 pages          shows what lies below where it is open
 *  r (RAM)               rrrrrrrr
 *  i (I/O) with subregion s at its page 1
 */
static void test_rule3_container_is_open_content_fills(void **state)
{
    Fixture *f = *state;
    MemoryRegion *c = fixture_container(f, "c", 6), *a = fixture_io(f, "a", 2);
    MemoryRegion *r = fixture_ram(f, "r", 8), *i = fixture_io(f, "i", 4);
    MemoryRegion *s = fixture_io(f, "s", 1);

    fixture_add(f->root, 0, r, 0);
    fixture_add(c, 1, a, 0);
    fixture_add(f->root, 0, c, 1);
    fixture_assert_map(f, "raarrrrr........");
    fixture_add(i, 1, s, -5); /* whatever its priority: a subregion lies above its container */
    fixture_add(f->root, 6, i, 2);
    fixture_assert_map(f, "raarrrisii......");
    painter_check(f->as);
}

/* Open container over an open container over the parent's own content. */
static void test_rule3_falls_through_to_parents_content(void **state)
{
    Fixture *f = *state;
    MemoryRegion *p = fixture_io(f, "p", 10), *c = fixture_container(f, "c", 6);
    MemoryRegion *d = fixture_container(f, "d", 6), *a = fixture_io(f, "a", 1);
    MemoryRegion *b = fixture_io(f, "b", 1);

    fixture_add(c, 1, a, 0);
    fixture_add(d, 3, b, 0);
    fixture_add(p, 1, c, 1);
    fixture_add(p, 0, d, 0);
    fixture_add(f->root, 2, p, 0);
    /*                        pp a b             p: 2..11, a at 2+1+1, b at 2+0+3 */
    fixture_assert_map(f, "..ppabpppppp....");
    painter_check(f->as);
}

/*  target t: "tttt" with u at page 1; alias x shows t's window from page 1; t sits at 12 itself */
static void test_rule4_alias_shows_the_targets_window(void **state)
{
    Fixture *f = *state;
    MemoryRegion *t = fixture_io(f, "t", 4), *u = fixture_io(f, "u", 1);
    MemoryRegion *x = fixture_alias(f, "x", t, 1, 6), *y = fixture_alias(f, "y", x, 1, 2);
    MemoryRegionSection s;

    fixture_add(t, 1, u, 0);
    fixture_add(f->root, 0, x, 0);
    fixture_assert_map(f, "utt.............");
    fixture_add(f->root, 6, y, 0); /* an alias of an alias: the target's pages 2 and 3 */
    fixture_assert_map(f, "utt...tt........");
    fixture_add(f->root, 12, t, 0); /* its own place does not count */
    fixture_assert_map(f, "utt...tt....tutt");
    memory_system_lock(f->ms);
    assert_true(address_space_find(f->as, 6 * FIXTURE_PAGE, &s));
    assert_int_equal(s.offset_within_region, 2 * FIXTURE_PAGE);
    memory_system_unlock(f->ms);
    assert_true(memory_region_set_enabled(t, false, NULL)); /* the target's enabled counts */
    fixture_assert_map(f, "................");
    assert_true(memory_region_set_enabled(t, true, NULL));
    assert_true(memory_region_set_alias_offset(x, 0, NULL));
    fixture_assert_map(f, "tutt..ut....tutt");
    painter_check(f->as);
}

/* Upper case: read-only. c is read-only, the alias x is, the ROM is by itself. */
static void test_rule5_readonly_is_inherited(void **state)
{
    Fixture *f = *state;
    MemoryRegion *c = fixture_container(f, "c", 4), *r = fixture_ram(f, "r", 4);
    MemoryRegion *x = fixture_alias(f, "x", r, 0, 2), *o = fixture_rom(f, "o", 1);
    MemoryRegion *y = fixture_alias(f, "y", r, 0, 2);

    fixture_add(c, 0, r, 0);
    fixture_add(f->root, 0, c, 0);
    fixture_add(f->root, 6, x, 0);
    fixture_add(f->root, 10, o, 0);
    fixture_add(f->root, 12, y, 0);
    fixture_assert_map(f, "rrrr..rr..O.rr..");
    assert_true(memory_region_set_readonly(c, true, NULL));
    fixture_assert_map(f, "RRRR..rr..O.rr.."); /* the alias does not see its target's container */
    assert_true(memory_region_set_readonly(x, true, NULL));
    fixture_assert_map(f, "RRRR..RR..O.rr..");
    assert_true(memory_region_set_nonvolatile(y, true, NULL));
    painter_check(f->as);
    assert_true(memory_region_set_readonly(r, true, NULL));
    fixture_assert_map(f, "RRRR..RR..O.RR..");
}

static void test_rule6_cycles_are_refused(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_container(f, "a", 4), *b = fixture_container(f, "b", 4);
    MemoryRegion *x = fixture_alias(f, "x", a, 0, 4), *y = fixture_alias(f, "y", x, 0, 4);
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    GError *error = NULL;

    fixture_add(a, 0, b, 0);
    before = fixture_dump(f);
    assert_refused(memory_region_add_subregion(a, 0, a, &error), &error, TESSERA_ERROR_INVALID,
                   "'a'");
    assert_refused(memory_region_add_subregion(b, 0, a, &error), &error, TESSERA_ERROR_INVALID,
                   "itself");
    assert_refused(memory_region_add_subregion(b, 0, x, &error), &error, TESSERA_ERROR_INVALID,
                   "itself");
    assert_refused(memory_region_add_subregion(b, 0, y, &error), &error, TESSERA_ERROR_INVALID,
                   "itself");
    after = fixture_dump(f);
    assert_string_equal(before, after);
    assert_true(memory_region_del_subregion(a, b, NULL));
    fixture_add(b, 0, y, 0); /* no cycle any more */
    assert_refused(memory_region_add_subregion(a, 0, b, &error), &error, TESSERA_ERROR_INVALID,
                   "itself");
}

static void test_add_subregion_second_container(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_container(f, "a", 4), *b = fixture_container(f, "b", 4);
    MemoryRegion *x = fixture_alias(f, "x", a, 0, 4);
    GError *error = NULL;

    fixture_add(f->root, 0, a, 0);
    assert_refused(memory_region_add_subregion(b, 0, a, &error), &error, TESSERA_ERROR_INVALID,
                   "root");
    assert_refused(memory_region_add_subregion(f->root, 0, a, &error), &error,
                   TESSERA_ERROR_INVALID, "root");
    assert_refused(memory_region_add_subregion(x, 0, b, &error), &error, TESSERA_ERROR_INVALID,
                   "alias");
    assert_ptr_equal(memory_region_container(a), f->root);
    assert_null(memory_region_container(b));
}

static void test_del_subregion_that_is_elsewhere(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_container(f, "a", 4);
    GError *error = NULL;

    assert_refused(memory_region_del_subregion(f->root, a, &error), &error,
                   TESSERA_ERROR_NOT_FOUND, "no container");
}

static void test_set_size_limits(void **state)
{
    Fixture *f = *state;
    MemoryRegion *r = fixture_ram(f, "r", 4), *i = fixture_io(f, "i", 2);
    GError *error = NULL;

    fixture_add(f->root, 0, r, 0);
    fixture_add(f->root, 8, i, 0);
    assert_true(memory_region_set_size(r, 2 * FIXTURE_PAGE, NULL));
    fixture_assert_map(f, "rr......ii......");
    assert_true(memory_region_set_size(r, 4 * FIXTURE_PAGE, NULL));
    assert_refused(memory_region_set_size(r, 4 * FIXTURE_PAGE + 1, &error), &error,
                   TESSERA_ERROR_LIMIT, "0x4000");
    assert_refused(memory_region_set_size(i, 0, &error), &error, TESSERA_ERROR_INVALID, "'i'");
    assert_refused(memory_region_set_size(i, INT128_2_64 + 1, &error), &error,
                   TESSERA_ERROR_INVALID, "2^64");
    assert_true(memory_region_set_size(i, INT128_2_64, NULL));
    fixture_assert_map(f, "rrrr....iiiiiiii");
}

/* What lies above the used length is mapped without access: showing it would be a fault to come. */
static void test_set_size_follows_the_blocks_used_length(void **state)
{
    Fixture *f = *state;
    RAMBlock *block = ram_block_new(f->ms, "elastic", 2 * FIXTURE_PAGE, 8 * FIXTURE_PAGE, 0, NULL);
    MemoryRegion *e = fixture_keep(f, memory_region_new_ram(f->ms, NULL, "e", block));
    GError *error = NULL;

    g_ptr_array_add(f->blocks, block);
    fixture_add(f->root, 0, e, 0);
    assert_refused(memory_region_set_size(e, 4 * FIXTURE_PAGE, &error), &error, TESSERA_ERROR_LIMIT,
                   "0x2000: resize the block first, to at most 0x8000");
    assert_true(ram_block_resize(block, 4 * FIXTURE_PAGE, NULL));
    assert_true(memory_region_set_size(e, 4 * FIXTURE_PAGE, NULL));
    fixture_assert_map(f, "eeee............");
    assert_true(memory_region_set_size(e, FIXTURE_PAGE, NULL));
    assert_true(ram_block_resize(block, FIXTURE_PAGE, NULL));
    fixture_assert_map(f, "e...............");
}

static void test_wrong_kind_is_refused(void **state)
{
    Fixture *f = *state;
    MemoryRegion *r = fixture_ram(f, "r", 1), *i = fixture_io(f, "i", 1);
    MemoryRegion *o = fixture_rom(f, "o", 1);
    GError *error = NULL;

    assert_refused(memory_region_rom_device_set_romd(r, false, &error), &error,
                   TESSERA_ERROR_INVALID, "ROM device");
    assert_refused(memory_region_set_alias_offset(r, 1, &error), &error, TESSERA_ERROR_INVALID,
                   "no alias");
    assert_refused(memory_region_set_readonly(o, false, &error), &error, TESSERA_ERROR_INVALID,
                   "ROM");
    assert_refused(memory_region_set_log(i, true, DIRTY_CLIENT_MIGRATION, &error), &error,
                   TESSERA_ERROR_INVALID, "RAM");
    assert_refused(memory_region_set_log(r, true, 3, &error), &error, TESSERA_ERROR_INVALID,
                   "0x3");
}

static void test_rom_device_both_modes(void **state)
{
    Fixture *f = *state;
    MemoryRegion *d = fixture_romd(f, "d", 2);
    MemoryRegionSection s;

    fixture_add(f->root, 0, d, 0);
    memory_system_lock(f->ms);
    assert_true(address_space_find(f->as, 0, &s) && s.romd_mode && !s.readonly);
    assert_true(memory_region_rom_device_set_romd(d, false, NULL));
    assert_true(address_space_find(f->as, 0, &s) && !s.romd_mode);
    memory_system_unlock(f->ms);
}

/* 2^64: a root that spans it, a region in its last byte, a child that would reach beyond. */
static void test_edges_of_2_64(void **state)
{
    Fixture *f = *state;
    MemoryRegion *system = fixture_keep(
        f, memory_region_new_container(f->ms, NULL, "system", INT128_2_64));
    MemoryRegion *io = fixture_io(f, "i", 1);
    MemoryRegion *low = fixture_keep(f, memory_region_new_alias(f->ms, NULL, "l", system, 1,
                                                                INT128_2_64));
    AddressSpace *as = address_space_new(f->ms, system, "all", NULL);
    AddressSpace *shifted = address_space_new(f->ms, low, "shifted", NULL);
    MemoryRegionSection s;

    assert_true(memory_region_add_subregion(system, UINT64_MAX, io, NULL));
    memory_system_lock(f->ms);
    assert_true(address_space_find(as, UINT64_MAX, &s));
    assert_true(s.size == 1 && s.offset_within_region == 0);
    assert_false(address_space_find(as, UINT64_MAX - 1, &s));
    assert_true(address_space_find(shifted, UINT64_MAX - 1, &s));
    assert_false(address_space_find(shifted, UINT64_MAX, &s));
    memory_system_unlock(f->ms);
    painter_check(as);
    painter_check(shifted);
    address_space_free(as);
    address_space_free(shifted);
}

static void test_for_each_subregion_in_winning_order(void **state)
{
    Fixture *f = *state;
    g_autofree char *dump = NULL;
    const char *names[] = { "a", "b", "c", "d" };
    const int priorities[] = { 0, 1, 0, -1 };

    for (unsigned i = 0; i < 4; i++) {
        fixture_add(f->root, i, fixture_io(f, names[i], 1), priorities[i]);
    }
    dump = fixture_dump(f);
    assert_non_null(strstr(dump, "root\n b\n c\n a\n d\n"));
}

/* --- Lifetime --- */

typedef struct Device {
    Object object;
    MemoryRegion *container;
    MemoryRegion *io;
    bool *finalized;
} Device;

static void device_finalize(Object *obj)
{
    Device *d = (Device *)obj;

    memory_region_release(d->container);
    memory_region_release(d->io);
    *d->finalized = true;
    g_free(d);
}

static Device *device_new(Fixture *f, bool *finalized)
{
    Device *d = g_new0(Device, 1);
    static const MemoryRegionOps ops;

    object_init(&d->object, device_finalize);
    d->finalized = finalized;
    d->container = memory_region_new_container(f->ms, &d->object, "dev", 2 * FIXTURE_PAGE);
    d->io = memory_region_new_io(f->ms, &d->object, &ops, d, "i", FIXTURE_PAGE);
    assert_true(memory_region_add_subregion(d->container, 0, d->io, NULL));
    return d;
}

/* A device whose regions refer to one another is not kept alive by itself. */
static void test_owner_is_not_held_by_its_own_regions(void **state)
{
    bool finalized = false;
    Device *d = device_new(*state, &finalized);

    object_unref(&d->object);
    assert_true(finalized);
}

static void test_owner_lives_while_a_view_shows_its_region(void **state)
{
    Fixture *f = *state;
    bool finalized = false;
    Device *d = device_new(f, &finalized);
    MemoryRegion *container = d->container;

    fixture_add(f->root, 3, container, 0);
    object_unref(&d->object);
    rcu_drain();
    assert_false(finalized);
    fixture_assert_map(f, "...i............");
    rcu_read_section_enter(); /* a reader of the old view */
    assert_true(memory_region_del_subregion(f->root, container, NULL));
    assert_false(finalized);
    fixture_assert_map(f, "................");
    rcu_read_section_leave();
    rcu_drain();
    rcu_drain();
    assert_true(finalized);
}

/* No view ever showed it: the edit that drops it may be the last to hold it, and lets go later. */
static void test_owner_of_a_hidden_region_ends_after_a_grace_period(void **state)
{
    Fixture *f = *state;
    bool finalized = false;
    Device *d = device_new(f, &finalized);

    assert_true(memory_region_set_enabled(d->container, false, NULL));
    fixture_add(f->root, 3, d->container, 0);
    rcu_drain();
    rcu_read_section_enter();
    memory_region_transaction_begin(f->ms);
    assert_true(memory_region_del_subregion(f->root, d->container, NULL));
    object_unref(&d->object);
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    assert_false(finalized);
    rcu_read_section_leave();
    rcu_drain();
    assert_true(finalized);
}

static void test_owner_lives_while_an_alias_shows_its_region(void **state)
{
    Fixture *f = *state;
    bool finalized = false;
    Device *d = device_new(f, &finalized);
    MemoryRegion *x = memory_region_new_alias(f->ms, NULL, "x", d->io, 0, FIXTURE_PAGE);

    object_unref(&d->object);
    assert_false(finalized);
    memory_region_release(x);
    assert_true(finalized);
}

#define REGION_TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup_space, fixture_teardown)

static void test_add_subregion_of_another_machine(void **state)
{
    Fixture *f = *state, *other = fixture_new();
    MemoryRegion *theirs = fixture_io(other, "t", 1);
    g_autoptr(GError) error = NULL;

    assert_refused(memory_region_add_subregion(f->root, 0, theirs, &error), &error,
                   TESSERA_ERROR_INVALID, "they belong to different machines");
    assert_null(memory_region_container(theirs));
    fixture_done(other);
}

/* What the functions tell is what the edits said, and after a rollback what it was before. */
static void assert_told(MemoryRegion *mr, hwaddr addr, int priority, bool readonly, bool enabled)
{
    assert_int_equal(memory_region_addr(mr), addr);
    assert_int_equal(memory_region_priority(mr), priority);
    assert_int_equal(memory_region_readonly(mr), readonly);
    assert_int_equal(memory_region_enabled(mr), enabled);
}

static void test_properties_follow_edits_and_rollback(void **state)
{
    Fixture *f = *state;
    MemoryRegion *r = fixture_ram(f, "r", 2), *a = fixture_alias(f, "a", r, 1, 1);
    RAMBlock *block = memory_region_ram_block(r);
    MemoryRegion *d = fixture_keep(f, memory_region_new_ram_device(f->ms, NULL, "d", block));

    fixture_add(f->root, 3, r, 2);
    assert_told(r, 3 * FIXTURE_PAGE, 2, false, true);
    assert_int_equal(memory_region_alias_offset(a), FIXTURE_PAGE);
    assert_false(memory_region_is_ram_device(r));
    assert_true(memory_region_is_ram_device(d));
    memory_region_transaction_begin(f->ms);
    assert_true(memory_region_set_address(r, 5 * FIXTURE_PAGE, NULL));
    assert_true(memory_region_set_priority(r, -1, NULL));
    assert_true(memory_region_set_readonly(r, true, NULL));
    assert_true(memory_region_set_enabled(r, false, NULL));
    assert_true(memory_region_set_alias_offset(a, 0, NULL));
    assert_told(r, 5 * FIXTURE_PAGE, -1, true, false);
    assert_int_equal(memory_region_alias_offset(a), 0);
    memory_region_transaction_abort(f->ms);
    assert_told(r, 3 * FIXTURE_PAGE, 2, false, true);
    assert_int_equal(memory_region_alias_offset(a), FIXTURE_PAGE);
    assert_false(memory_region_flush_coalesced(r));
    memory_region_set_flush_coalesced(r, true);
    assert_true(memory_region_flush_coalesced(r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REGION_TEST(test_rule1_disabled_shows_and_hides_nothing),
        REGION_TEST(test_rule1_region_is_clipped_by_its_containers),
        REGION_TEST(test_rule2_priority_then_later_wins),
        REGION_TEST(test_rule3_container_is_open_content_fills),
        REGION_TEST(test_rule3_falls_through_to_parents_content),
        REGION_TEST(test_rule4_alias_shows_the_targets_window),
        REGION_TEST(test_rule5_readonly_is_inherited),
        REGION_TEST(test_rule6_cycles_are_refused),
        REGION_TEST(test_add_subregion_second_container),
        REGION_TEST(test_del_subregion_that_is_elsewhere),
        REGION_TEST(test_add_subregion_of_another_machine),
        REGION_TEST(test_properties_follow_edits_and_rollback),
        REGION_TEST(test_set_size_limits),
        REGION_TEST(test_set_size_follows_the_blocks_used_length),
        REGION_TEST(test_wrong_kind_is_refused),
        REGION_TEST(test_rom_device_both_modes),
        REGION_TEST(test_edges_of_2_64),
        REGION_TEST(test_for_each_subregion_in_winning_order),
        REGION_TEST(test_owner_is_not_held_by_its_own_regions),
        REGION_TEST(test_owner_lives_while_a_view_shows_its_region),
        REGION_TEST(test_owner_of_a_hidden_region_ends_after_a_grace_period),
        REGION_TEST(test_owner_lives_while_an_alias_shows_its_region),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
