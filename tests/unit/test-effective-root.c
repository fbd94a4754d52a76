/* SPDX-License-Identifier: MIT */
/* Effective roots, and which address spaces share a view. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../src/memory/tree-internal.h"
#include "support/memory-fixture.h"
#include "support/painter.h"
#include "support/view-check.h"

static MemoryRegion *effective(Fixture *f, MemoryRegion *mr)
{
    MemoryRegion *root;

    memory_system_lock(f->ms);
    root = memory_region_effective_root(mr);
    memory_system_unlock(f->ms);
    return root;
}

static void test_effective_root_of_alias(void **state)
{
    Fixture *f = *state;
    MemoryRegion *t = fixture_io(f, "t", 4);
    MemoryRegion *whole = fixture_alias(f, "w", t, 0, 4), *more = fixture_alias(f, "m", t, 0, 9);
    MemoryRegion *part = fixture_alias(f, "p", t, 0, 3), *off = fixture_alias(f, "o", t, 1, 4);

    assert_ptr_equal(effective(f, whole), t);
    assert_ptr_equal(effective(f, more), t);
    assert_ptr_equal(effective(f, part), part);
    assert_ptr_equal(effective(f, off), off);
    assert_true(memory_region_set_readonly(whole, true, NULL)); /* would be lost */
    assert_ptr_equal(effective(f, whole), whole);
    assert_true(memory_region_set_nonvolatile(more, true, NULL));
    assert_ptr_equal(effective(f, more), more);
    assert_true(memory_region_set_enabled(t, false, NULL));
    assert_ptr_equal(effective(f, part), part);
}

static void test_effective_root_of_container(void **state)
{
    Fixture *f = *state;
    MemoryRegion *c = fixture_container(f, "c", 4), *a = fixture_io(f, "a", 4);
    MemoryRegion *b = fixture_io(f, "b", 1);

    assert_null(effective(f, c)); /* shows nothing */
    fixture_add(c, 0, a, 0);
    assert_ptr_equal(effective(f, c), a);
    fixture_add(c, 2, b, 0);
    assert_ptr_equal(effective(f, c), c);
    assert_true(memory_region_set_enabled(b, false, NULL));
    assert_ptr_equal(effective(f, c), a);
    assert_true(memory_region_set_address(a, 1, NULL)); /* not at 0 */
    assert_ptr_equal(effective(f, c), c);
    assert_true(memory_region_set_address(a, 0, NULL));
    assert_true(memory_region_set_size(c, 3 * FIXTURE_PAGE, NULL)); /* would be clipped */
    assert_ptr_equal(effective(f, c), c);
    assert_true(memory_region_set_enabled(c, false, NULL));
    assert_null(effective(f, c));
}

static void test_effective_root_stops_at_content(void **state)
{
    Fixture *f = *state;
    MemoryRegion *i = fixture_io(f, "i", 4), *a = fixture_io(f, "a", 4);

    fixture_add(i, 0, a, 0); /* an I/O region is no pure container */
    assert_ptr_equal(effective(f, i), i);
}

static FlatView *view_of(AddressSpace *as)
{
    return address_space_flatview(as);
}

static void test_spaces_share_one_view(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_io(f, "a", 4), *b = fixture_io(f, "b", 1);
    MemoryRegion *x = fixture_alias(f, "x", f->root, 0, 16);
    MemoryRegion *dma = fixture_container(f, "d", 16);
    AddressSpace *one, *two;
    uint64_t rendered;

    fixture_add(f->root, 0, a, 0);
    fixture_add(f->root, 8, b, 0);
    fixture_add(dma, 0, x, 0);
    fixture_space(f);
    one = address_space_new(f->ms, f->root, "one", NULL);
    two = address_space_new(f->ms, dma, "two", NULL);
    assert_ptr_equal(view_of(f->as), view_of(one));
    assert_ptr_equal(view_of(f->as), view_of(two));
    assert_ptr_equal(flatview_root(view_of(two)), f->root);

    rendered = memory_system_total_stats(f->ms).views_rendered;
    assert_true(memory_region_set_address(b, 9 * FIXTURE_PAGE, NULL));
    assert_int_equal(memory_system_total_stats(f->ms).views_rendered, rendered + 1);
    assert_ptr_equal(view_of(f->as), view_of(one));
    assert_ptr_equal(view_of(f->as), view_of(two));

    assert_true(memory_region_set_enabled(x, false, NULL)); /* like a bus master that is off */
    assert_ptr_not_equal(view_of(f->as), view_of(two));
    assert_int_equal(flatview_count(view_of(two)), 0);
    assert_true(memory_region_set_enabled(x, true, NULL));
    assert_ptr_equal(view_of(f->as), view_of(two));
    painter_check(two);
    address_space_free(one);
    address_space_free(two);
}

/* Who stays with a view goes on from it, though another space leaves it in the same transaction. */
static void test_space_that_stays_costs_what_changed(void **state)
{
    Fixture *f = *state;
    MemoryRegion *x = fixture_alias(f, "x", f->root, 0, INT128_2_64 / FIXTURE_PAGE);
    MemoryRegion *dma = fixture_container(f, "d", INT128_2_64 / FIXTURE_PAGE);
    MemoryRegion *b = fixture_io(f, "b", 1);
    AddressSpace *two;

    assert_true(memory_region_set_size(f->root, INT128_2_64, NULL));
    for (unsigned i = 0; i < 100; i++) { /* a node of the radix for each two */
        fixture_add(f->root, i / 2 * 512 + i % 2, fixture_io(f, "i", 1), 0);
    }
    fixture_add(f->root, 8, b, 0);
    fixture_add(dma, 0, x, 0);
    fixture_space(f);
    two = address_space_new(f->ms, dma, "two", NULL);
    assert_ptr_equal(view_of(f->as), view_of(two));

    memory_region_transaction_begin(f->ms);
    assert_true(memory_region_set_address(b, 9 * FIXTURE_PAGE, NULL));
    assert_true(memory_region_set_enabled(x, false, NULL));
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    assert_int_equal(flatview_count(view_of(two)), 0);
    assert_true(memory_system_last_stats(f->ms).radix_nodes_built <= 6);
    assert_true(memory_system_last_stats(f->ms).radix_nodes_shared >= 48);
    painter_check(f->as);
    address_space_free(two);
}

/* An edit renders only the spaces that it reaches. */
static void test_edit_elsewhere_renders_nothing(void **state)
{
    Fixture *f = *state;
    MemoryRegion *io = fixture_container(f, "i", 16), *a = fixture_io(f, "a", 1);
    AddressSpace *ports;
    FlatView *before;
    uint64_t generation;

    fixture_space(f);
    ports = address_space_new(f->ms, io, "I/O", NULL);
    before = view_of(f->as);
    generation = address_space_generation(f->as);
    fixture_add(io, 3, a, 0);
    assert_int_equal(memory_system_last_stats(f->ms).views_rendered, 1);
    assert_ptr_equal(view_of(f->as), before);
    assert_int_equal(address_space_generation(f->as), generation);
    assert_true(memory_region_del_subregion(io, a, NULL));
    assert_true(memory_region_set_readonly(a, true, NULL)); /* in no tree */
    assert_int_equal(memory_system_last_stats(f->ms).views_rendered, 0);
    address_space_free(ports);
}

/*
 * What shows does not change when a target grows beyond what its alias shows, or its container; but
 * the effective root does, and with it who may share a view. And an alias that was made, moved or
 * resized while it was disabled is known to its target when it is enabled.
 */
static void test_hidden_edit_changes_the_effective_root(void **state)
{
    Fixture *f = *state;
    MemoryRegion *t = fixture_container(f, "t", 4), *a = fixture_io(f, "a", 1);
    MemoryRegion *b = fixture_io(f, "b", 1), *x = fixture_alias(f, "x", t, 0, 4);
    AddressSpace *whole = address_space_new(f->ms, t, "whole", NULL);
    AddressSpace *part = address_space_new(f->ms, x, "part", NULL);

    fixture_add(t, 1, a, 0);
    fixture_add(t, 5, b, 0); /* beyond the end of t */
    assert_ptr_equal(view_of(part), view_of(whole));
    assert_true(memory_region_set_size(t, 8 * FIXTURE_PAGE, NULL));
    view_check_spaces(f->ms);
    assert_int_equal(flatview_count(view_of(whole)), 2);
    assert_int_equal(flatview_count(view_of(part)), 1);
    assert_true(memory_region_set_enabled(t, false, NULL));
    assert_true(memory_region_set_size(t, 4 * FIXTURE_PAGE, NULL));
    view_check_spaces(f->ms);
    assert_true(memory_region_set_enabled(t, true, NULL));
    view_check_spaces(f->ms);
    assert_true(memory_region_set_enabled(x, false, NULL));
    assert_true(memory_region_set_alias_offset(x, FIXTURE_PAGE, NULL));
    assert_true(memory_region_set_enabled(x, true, NULL));
    assert_true(memory_region_set_address(a, 2 * FIXTURE_PAGE, NULL));
    view_check_spaces(f->ms);
    address_space_free(whole);
    address_space_free(part);
}

/* What changes nothing that shows keeps the view, and with it the readers' caches. */
static void test_hidden_edit_keeps_the_view(void **state)
{
    Fixture *f = *state;
    MemoryRegion *a = fixture_io(f, "a", 16), *b = fixture_io(f, "b", 1);
    FlatView *before;

    fixture_add(f->root, 0, a, 1);
    fixture_add(f->root, 3, b, 0);
    fixture_space(f);
    before = view_of(f->as);
    assert_true(memory_region_set_address(b, 5 * FIXTURE_PAGE, NULL));
    assert_ptr_equal(view_of(f->as), before);
}

#define ROOT_TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROOT_TEST(test_effective_root_of_alias),
        ROOT_TEST(test_effective_root_of_container),
        ROOT_TEST(test_effective_root_stops_at_content),
        ROOT_TEST(test_spaces_share_one_view),
        ROOT_TEST(test_space_that_stays_costs_what_changed),
        ROOT_TEST(test_edit_elsewhere_renders_nothing),
        ROOT_TEST(test_hidden_edit_keeps_the_view),
        ROOT_TEST(test_hidden_edit_changes_the_effective_root),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
