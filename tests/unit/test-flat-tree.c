/* SPDX-License-Identifier: MIT */
/* FlatTree: random replacements against a plain list; old trees stay what they were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "../../src/memory/dispatch-internal.h"
#include "../../src/memory/tree-internal.h"
#include "support/memory-fixture.h"
#include "support/painter.h"

#define SPAN     4096u /* addresses in use */
#define VERSIONS 4u    /* older trees that are kept */

typedef struct Version {
    FlatNode *root;
    GArray *ranges;
} Version;

typedef struct Trees {
    Fixture *f;
    MemoryRegion *mr;
    SectionTable *table;
    TestRandom random;
    Version versions[VERSIONS]; /* the newest first */
} Trees;

static FlatRange *at(const GArray *ranges, guint i)
{
    return &g_array_index(ranges, FlatRange, i);
}

/* Before the first tile and behind each of them: the tile that ended last. */
static void check_before(const Version *v)
{
    hwaddr addr = 0;

    for (guint i = 0; i < v->ranges->len; i++) {
        const FlatRange *fr = flat_tree_find_before(v->root, addr);

        assert_int_equal(fr != NULL, i > 0);
        assert_true(!fr || flat_range_equal(fr, at(v->ranges, i - 1)));
        assert_ptr_equal(flat_tree_find_before(v->root, at(v->ranges, i)->last), fr);
        addr = at(v->ranges, i)->last + 1;
    }
    assert_int_equal(flat_tree_find_before(v->root, addr) != NULL, v->ranges->len > 0);
}

static void check(const Version *v)
{
    hwaddr addr = 0;

    check_before(v);

    for (guint i = 0; i < v->ranges->len; i++) {
        uint32_t left = 0;
        const FlatRange *fr = flat_tree_find_from(v->root, addr, &left);

        assert_non_null(fr);
        assert_true(flat_range_equal(fr, at(v->ranges, i)));
        assert_int_equal(fr->section_id, at(v->ranges, i)->section_id);
        if (left > 0) {
            assert_true(flat_range_equal(fr + 1, at(v->ranges, i + 1)));
        }
        addr = fr->last + 1;
    }
    assert_null(flat_tree_find_from(v->root, addr, NULL));
}

static void drop(Trees *t, Version *v)
{
    flat_tree_unref(t->table, v->root);
    g_clear_pointer(&v->ranges, g_array_unref);
}

/* New tiles of 1 to 3 bytes in [@first, @last], or none. */
static GArray *random_ranges(Trees *t, hwaddr first, hwaddr last)
{
    GArray *ranges = flat_ranges_new();
    bool none = test_random_below(&t->random, 3) == 0;

    for (hwaddr addr = first; !none && addr <= last;) {
        FlatRange fr = { .mr = t->mr, .start = addr, .offset_in_region = ~addr };
        hwaddr end = addr + test_random_below(&t->random, 3);

        fr.last = MIN(last, end);
        addr = fr.last + 1 + test_random_below(&t->random, 2);
        fr.section_id = section_table_add(t->table, &fr);
        g_array_append_val(ranges, fr);
    }
    return ranges;
}

/* Widens [@first, @last] to whole tiles of @was, and builds the list that will be. */
static GArray *expected(const GArray *was, hwaddr *first, hwaddr *last)
{
    GArray *kept = flat_ranges_new();

    for (guint i = 0; i < was->len; i++) {
        const FlatRange *fr = at(was, i);

        if (fr->last >= *first && fr->start <= *last) {
            *first = MIN(*first, fr->start);
            *last = MAX(*last, fr->last);
        }
    }
    for (guint i = 0; i < was->len; i++) {
        if (at(was, i)->last < *first || at(was, i)->start > *last) {
            g_array_append_vals(kept, at(was, i), 1);
        }
    }
    return kept;
}

static gint by_start(gconstpointer a, gconstpointer b)
{
    const FlatRange *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

static void replace_somewhere(Trees *t, unsigned width)
{
    Version next, *now = &t->versions[0];
    hwaddr first = test_random_below(&t->random, SPAN);
    hwaddr last = first + test_random_below(&t->random, width);
    g_autoptr(GArray) fresh = NULL;

    last = MIN(last, SPAN - 1);
    next.ranges = expected(now->ranges, &first, &last);
    fresh = random_ranges(t, first, last);
    g_array_append_vals(next.ranges, fresh->data, fresh->len);
    g_array_sort(next.ranges, by_start);
    next.root = flat_tree_replace(t->table, now->root, first, last, fresh);
    check(&next);
    drop(t, &t->versions[VERSIONS - 1]);
    memmove(&t->versions[1], &t->versions[0], (VERSIONS - 1) * sizeof(Version));
    t->versions[0] = next;
}

static void trees_init(Trees *t)
{
    *t = (Trees){ .f = fixture_new(), .random = test_random_new("flat-tree", 0xf1a7) };
    t->mr = fixture_io(t->f, "i", 16);
    t->table = t->f->ms->sections;
    for (unsigned i = 0; i < VERSIONS; i++) {
        t->versions[i].ranges = flat_ranges_new();
    }
}

static void trees_done(Trees *t)
{
    for (unsigned i = 0; i < VERSIONS; i++) {
        drop(t, &t->versions[i]);
    }
    assert_int_equal(section_table_count(t->table), 0);
    fixture_done(t->f);
}

static void test_flat_tree_random_replacements(void **state)
{
    Trees t;

    trees_init(&t);
    for (unsigned step = 0; step < 1500; step++) {
        /* Small ones, then some that empty or fill large parts. */
        replace_somewhere(&t, step % 50 == 49 ? SPAN : step % 7 == 6 ? 400 : 8);
        check(&t.versions[1 + step % (VERSIONS - 1)]);
        /* 2,000 tiles: with leaves a quarter full, and inner nodes with two children. */
        assert_true(flat_tree_height(t.versions[0].root) <= 9);
    }
    trees_done(&t);
}

/* Down to nothing, one tile at a time, in an order that leaves neighbours small: no tall ruins. */
static void test_flat_tree_shrinks(void **state)
{
    g_autoptr(GArray) none = flat_ranges_new();
    const unsigned n = 2048, stride = 1021; /* coprime */
    Trees t;
    Version *v = &t.versions[0];

    trees_init(&t);
    for (hwaddr i = 0; i < n; i++) {
        FlatRange fr = { .mr = t.mr, .start = i, .last = i, .offset_in_region = ~i };

        fr.section_id = section_table_add(t.table, &fr);
        g_array_append_val(v->ranges, fr);
    }
    v->root = flat_tree_replace(t.table, NULL, 0, UINT64_MAX, v->ranges);
    assert_int_equal(flat_tree_height(v->root), 3);
    for (unsigned i = 0; i < n; i++) {
        hwaddr gone = (hwaddr)i * stride % n;
        FlatNode *next = flat_tree_replace(t.table, v->root, gone, gone, none);

        flat_tree_unref(t.table, v->root);
        v->root = next;
        assert_true(flat_tree_height(v->root) <= 3);
        assert_true(flat_tree_bytes(v->root) <= 4096 + (n - i) * 3 * sizeof(FlatRange));
    }
    assert_null(v->root);
    trees_done(&t);
}

/* One tile of each leaf is left: neighbours have come together, and the tree is not as tall. */
static void test_flat_tree_joins_small_neighbours(void **state)
{
    g_autoptr(GArray) none = flat_ranges_new();
    const unsigned n = 2048, kept = 32;
    Trees t;
    Version *v = &t.versions[0];

    trees_init(&t);
    for (hwaddr i = 0; i < n; i++) {
        FlatRange fr = { .mr = t.mr, .start = i, .last = i, .offset_in_region = ~i };

        fr.section_id = section_table_add(t.table, &fr);
        g_array_append_val(v->ranges, fr);
    }
    v->root = flat_tree_replace(t.table, NULL, 0, UINT64_MAX, v->ranges);
    for (hwaddr i = 0; i < n; i++) {
        if (i % kept != 0) {
            FlatNode *next = flat_tree_replace(t.table, v->root, i, i, none);

            flat_tree_unref(t.table, v->root);
            v->root = next;
        }
    }
    assert_true(flat_tree_height(v->root) <= 2);
    assert_true(flat_tree_bytes(v->root) <= 2 * (n / kept) * sizeof(FlatRange));
    trees_done(&t);
}

/* One tile of 100,000 is replaced: all but a few nodes are shared. */
static void test_flat_tree_shares_what_stays(void **state)
{
    const unsigned n = 100000;
    g_autoptr(GArray) one = flat_ranges_new();
    Trees t;
    Version *v = &t.versions[0];
    FlatRange fr = { .start = 50000, .last = 50000 };
    FlatNode *next;
    unsigned before;

    trees_init(&t);
    for (hwaddr i = 0; i < n; i++) {
        FlatRange tile = { .mr = t.mr, .start = i, .last = i, .offset_in_region = ~i };

        tile.section_id = section_table_add(t.table, &tile);
        g_array_append_val(v->ranges, tile);
    }
    v->root = flat_tree_replace(t.table, NULL, 0, UINT64_MAX, v->ranges);
    fr.mr = t.mr;
    fr.section_id = section_table_add(t.table, &fr);
    g_array_append_val(one, fr);
    next = flat_tree_replace(t.table, v->root, 50000, 50000, one);
    before = section_table_count(t.table);
    flat_tree_unref(t.table, v->root);
    assert_int_equal(before - section_table_count(t.table), 1); /* only the tile that went */
    assert_ptr_equal(flat_tree_find_from(next, 99999, NULL)->mr, t.mr);
    v->root = next;
    *at(v->ranges, 50000) = fr;
    check(v);
    trees_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flat_tree_random_replacements),
        cmocka_unit_test(test_flat_tree_shrinks),
        cmocka_unit_test(test_flat_tree_joins_small_neighbours),
        cmocka_unit_test(test_flat_tree_shares_what_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
