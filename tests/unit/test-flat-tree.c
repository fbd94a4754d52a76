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

typedef struct Tree {
    Version *version;
    SectionTable *table;
    FlatNode *root;
    GArray *ranges;
} Tree;

typedef struct Trees {
    Fixture *f;
    MemoryRegion *mr;
    SectionTable *table;
    TestRandom random;
    uint64_t numbers;
    Tree *versions[VERSIONS]; /* the newest first; NULL: none */
} Trees;

static FlatRange *at(const GArray *ranges, guint i)
{
    return &g_array_index(ranges, FlatRange, i);
}

/* Before the first tile and behind each of them: the tile that ended last. */
static void check_before(const Tree *v)
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

static void check(const Tree *v)
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

static void walk(void *owner, uint64_t since, PartVisitor *fn, void *opaque)
{
    Tree *v = owner;

    flat_tree_walk_parts(v->table, v->root, since, fn, opaque);
}

static Tree *tree_new(Trees *t, const Tree *prev)
{
    Tree *v = g_new0(Tree, 1);

    v->version = g_new(Version, 1);
    v->table = t->table;
    version_init(v->version, t->table, ++t->numbers);
    if (prev) {
        assert_true(version_follow(v->version, prev->version));
        v->root = prev->root;
    }
    return v;
}

static void drop(Tree *v)
{
    if (v) {
        version_end(v->version, walk, v);
        g_clear_pointer(&v->ranges, g_array_unref);
        g_free(v->version);
        g_free(v);
    }
}

/* New tiles of 1 to 3 bytes in [@first, @last], or none. */
static GArray *random_ranges(Trees *t, uint64_t born, hwaddr first, hwaddr last)
{
    GArray *ranges = flat_ranges_new();
    bool none = test_random_below(&t->random, 3) == 0;

    for (hwaddr addr = first; !none && addr <= last;) {
        FlatRange fr = { .mr = t->mr, .start = addr, .offset_in_region = ~addr };
        hwaddr end = addr + test_random_below(&t->random, 3);

        fr.last = MIN(last, end);
        addr = fr.last + 1 + test_random_below(&t->random, 2);
        fr.section_id = section_table_add(t->table, &fr, born);
        g_array_append_val(ranges, fr);
    }
    return ranges;
}

static void leave(const Tree *next, const FlatRange *fr)
{
    Part part = { .born = section_table_get(next->table, fr->section_id)->born,
                  .ref = fr->section_id, .kind = PART_SECTION };

    version_leave(next->version, part);
}

/*
 * Widens [@first, @last] to whole tiles of @was, and builds the list that will be; the others leave
 * @next.
 */
static GArray *expected(const Tree *next, const GArray *was, hwaddr *first, hwaddr *last)
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
        } else {
            leave(next, at(was, i));
        }
    }
    return kept;
}

static gint by_start(gconstpointer a, gconstpointer b)
{
    const FlatRange *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

static void replace_in(Trees *t, Tree *next, const GArray *was, unsigned width)
{
    hwaddr first = test_random_below(&t->random, SPAN);
    hwaddr last = first + test_random_below(&t->random, width);
    g_autoptr(GArray) fresh = NULL;
    GArray *ranges;

    last = MIN(last, SPAN - 1);
    ranges = expected(next, was, &first, &last);
    fresh = random_ranges(t, next->version->number, first, last);
    g_array_append_vals(ranges, fresh->data, fresh->len);
    g_array_sort(ranges, by_start);
    next->root = flat_tree_replace(next->version, next->root, first, last, fresh);
    g_clear_pointer(&next->ranges, g_array_unref);
    next->ranges = ranges;
    check(next);
}

/* One in five is thrown away; of the others any may end first, but the newest. */
static void replace_somewhere(Trees *t, unsigned width)
{
    Tree *now = t->versions[0], *next = tree_new(t, now);
    unsigned ends = 1 + test_random_below(&t->random, VERSIONS - 1);

    replace_in(t, next, now->ranges, width);
    if (test_random_below(&t->random, 3) == 0) { /* several windows of one commit */
        replace_in(t, next, next->ranges, width);
    }
    if (test_random_below(&t->random, 5) == 0) {
        drop(next);
        check(now);
        return;
    }
    drop(t->versions[ends]);
    memmove(&t->versions[1], &t->versions[0], ends * sizeof(Tree *));
    t->versions[0] = next;
}

static void trees_init(Trees *t)
{
    *t = (Trees){ .f = fixture_new(), .random = test_random_new("flat-tree", 0xf1a7) };
    t->mr = fixture_io(t->f, "i", 16);
    t->table = t->f->ms->sections;
    t->versions[0] = tree_new(t, NULL);
    t->versions[0]->ranges = flat_ranges_new();
}

static void trees_done(Trees *t)
{
    for (unsigned i = 0; i < VERSIONS; i++) {
        drop(t->versions[i]);
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
        for (unsigned i = 0; i < VERSIONS && t.versions[i]; i++) {
            check(t.versions[i]);
        }
        /* 2,000 tiles: with leaves a quarter full, and inner nodes with two children. */
        assert_true(flat_tree_height(t.versions[0]->root) <= 6);
    }
    trees_done(&t);
}

/* The next version without the tile of one byte at @addr; the one before ends. */
static Tree *take_away(Trees *t, hwaddr addr)
{
    Tree *now = t->versions[0], *next = tree_new(t, now);
    g_autoptr(GArray) none = flat_ranges_new();

    leave(next, flat_tree_find_from(now->root, addr, NULL));
    next->root = flat_tree_replace(next->version, now->root, addr, addr, none);
    next->ranges = flat_ranges_new();
    drop(now);
    t->versions[0] = next;
    return next;
}

/* Down to nothing, one tile at a time, in an order that leaves neighbours small: no tall ruins. */
static void test_flat_tree_shrinks(void **state)
{
    const unsigned n = 2048, stride = 1021; /* coprime */
    Trees t;
    Tree *v;

    trees_init(&t);
    v = t.versions[0];
    for (hwaddr i = 0; i < n; i++) {
        FlatRange fr = { .mr = t.mr, .start = i, .last = i, .offset_in_region = ~i };

        fr.section_id = section_table_add(t.table, &fr, v->version->number);
        g_array_append_val(v->ranges, fr);
    }
    v->root = flat_tree_replace(v->version, NULL, 0, UINT64_MAX, v->ranges);
    assert_int_equal(flat_tree_height(v->root), 3);
    for (unsigned i = 0; i < n; i++) {
        hwaddr gone = (hwaddr)i * stride % n;
        v = take_away(&t, gone);
        assert_true(flat_tree_height(v->root) <= 3);
        assert_true(flat_tree_bytes(v->root) <= 4096 + (n - i) * 3 * sizeof(FlatRange));
    }
    assert_null(v->root);
    trees_done(&t);
}

/* One tile of each leaf is left: neighbours have come together, and the tree is not as tall. */
static void test_flat_tree_joins_small_neighbours(void **state)
{
    const unsigned n = 2048, kept = 32;
    Trees t;
    Tree *v;

    trees_init(&t);
    v = t.versions[0];
    for (hwaddr i = 0; i < n; i++) {
        FlatRange fr = { .mr = t.mr, .start = i, .last = i, .offset_in_region = ~i };

        fr.section_id = section_table_add(t.table, &fr, v->version->number);
        g_array_append_val(v->ranges, fr);
    }
    v->root = flat_tree_replace(v->version, NULL, 0, UINT64_MAX, v->ranges);
    for (hwaddr i = 0; i < n; i++) {
        if (i % kept != 0) {
            v = take_away(&t, i);
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
    FlatRange fr = { .start = 50000, .last = 50000 };
    Tree *v, *next;
    unsigned before;
    Trees t;

    trees_init(&t);
    v = t.versions[0];
    for (hwaddr i = 0; i < n; i++) {
        FlatRange tile = { .mr = t.mr, .start = i, .last = i, .offset_in_region = ~i };

        tile.section_id = section_table_add(t.table, &tile, v->version->number);
        g_array_append_val(v->ranges, tile);
    }
    v->root = flat_tree_replace(v->version, NULL, 0, UINT64_MAX, v->ranges);
    next = tree_new(&t, v);
    next->ranges = g_array_copy(v->ranges);
    fr.mr = t.mr;
    fr.section_id = section_table_add(t.table, &fr, next->version->number);
    g_array_append_val(one, fr);
    leave(next, at(v->ranges, 50000));
    *at(next->ranges, 50000) = fr;
    next->root = flat_tree_replace(next->version, v->root, 50000, 50000, one);
    assert_int_equal(v->version->left->len, 1 + flat_tree_height(v->root)); /* the way, the tile */
    before = section_table_count(t.table);
    drop(v);
    t.versions[0] = next;
    assert_int_equal(before - section_table_count(t.table), 1); /* only the tile that went */
    assert_ptr_equal(flat_tree_find_from(next->root, 99999, NULL)->mr, t.mr);
    check(next);
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
