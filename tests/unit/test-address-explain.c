/* SPDX-License-Identifier: MIT */
/* Contests drawn by hand; on random trees the winner against the painter, each reason by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/memory/section-table-internal.h"
#include "support/memory-fixture.h"
#include "support/random-tree.h"
#include "tessera/memory/address-explain.h"

#define PAGE FIXTURE_PAGE

/* One entry a piece: depth, name, result, and for the beaten and disabled what they would show. */
static char *contest_text(const AddressExplanation *x)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < x->contest->len; i++) {
        const ContestEntry *e = &g_array_index(x->contest, ContestEntry, i);

        g_string_append_printf(text, "%s%u%s %s", i ? "; " : "", e->depth,
                               memory_region_name(e->mr), contest_result_name(e->result));
        if (e->beaten_by) {
            g_string_append_printf(text, " than %s", memory_region_name(e->beaten_by));
        }
        if (e->would_show) {
            g_string_append_printf(text, " else %s", memory_region_name(e->would_show));
        }
    }
    return g_string_free(text, FALSE);
}

static void assert_contest(Fixture *f, hwaddr addr, const char *expected)
{
    g_autoptr(AddressExplanation) x = NULL;
    g_autofree char *text = NULL;

    memory_system_lock(f->ms);
    x = address_explain(f->as, addr);
    text = contest_text(x);
    memory_system_unlock(f->ms);
    assert_string_equal(text, expected);
}

/*
 *   root |................|   container
 *   v      aabb               I/O, priority 1; b, of the same, was added over a's second half
 *   r    |rrrrrrrr........|   RAM, priority 0
 *   d      dddd               I/O, priority 9, disabled
 */
static void test_explain_priority_order_and_disabled(void **state)
{
    Fixture *f = *state;
    MemoryRegion *d = fixture_io(f, "d", 4);

    fixture_add(f->root, 0, fixture_ram(f, "r", 8), 0);
    fixture_add(f->root, 2, fixture_io(f, "a", 4), 1);
    fixture_add(f->root, 4, fixture_io(f, "b", 2), 1);
    fixture_add(f->root, 2, d, 9);
    assert_true(memory_region_set_enabled(d, false, NULL));
    fixture_assert_map(f, "rraabbrr........");
    assert_contest(f, 4 * PAGE, "0root entered; 1d disabled else d; 1b won; "
                                "1a older than b else a; 1r lower-priority than b else r");
    assert_contest(f, 2 * PAGE, "0root entered; 1d disabled else d; 1a won; "
                                "1r lower-priority than a else r");
    assert_contest(f, 9 * PAGE, "0root open");
    assert_contest(f, 16 * PAGE, "");
}

/* An open container is asked and passed; a container's own content lies below its subregions. */
static void test_explain_containers_open_and_covered(void **state)
{
    Fixture *f = *state;
    MemoryRegion *bus = fixture_container(f, "bus", 16), *ram = fixture_ram(f, "m", 4);

    fixture_add(f->root, 0, bus, 2);
    fixture_add(bus, 8, fixture_io(f, "x", 1), 0);
    fixture_add(f->root, 0, ram, 1);
    fixture_add(ram, 1, fixture_io(f, "y", 1), -5);
    assert_contest(f, 0, "0root entered; 1bus open; 1m won");
    assert_contest(f, PAGE, "0root entered; 1bus open; 1m entered; 2y won; "
                            "2m covered than y else m");
    assert_contest(f, 8 * PAGE, "0root entered; 1bus entered; 2x won");
}

/*
 * a shows t from page 1 on, a page longer than t is; b shows a disabled one.
 */
static void test_explain_aliases(void **state)
{
    Fixture *f = *state;
    MemoryRegion *t = fixture_ram(f, "t", 3), *gone = fixture_ram(f, "g", 2);
    g_autoptr(AddressExplanation) x = NULL;
    const ContestEntry *e;

    fixture_add(f->root, 4, fixture_alias(f, "a", t, 1, 3), 0);
    fixture_add(f->root, 4, fixture_alias(f, "b", gone, 0, 2), 1);
    assert_true(memory_region_set_enabled(gone, false, NULL));
    assert_contest(f, 5 * PAGE + 3, "0root entered; 1b open; 2g disabled else g; 1a entered; "
                                    "2t won");
    assert_contest(f, 6 * PAGE, "0root open; 1a open");
    memory_system_lock(f->ms);
    x = address_explain(f->as, 5 * PAGE + 3);
    memory_system_unlock(f->ms);
    e = &g_array_index(x->contest, ContestEntry, 4);
    assert_true(e->behind_alias);
    assert_int_equal(e->offset, 2 * PAGE + 3);
    assert_true(e->base == 3 * PAGE);
    e--;
    assert_false(e->behind_alias);
    assert_int_equal(e->offset, PAGE + 3);
    assert_true(x->answered);
    assert_ptr_equal(x->tile.mr, t);
}

static void test_explain_disabled_root(void **state)
{
    Fixture *f = *state;

    fixture_add(f->root, 0, fixture_io(f, "x", 1), 0);
    assert_true(memory_region_set_enabled(f->root, false, NULL));
    assert_contest(f, 0, "0root disabled else x");
}

static void test_explain_neighbours(void **state)
{
    Fixture *f = *state;
    AddressExplanation *x;

    fixture_add(f->root, 2, fixture_io(f, "a", 1), 0);
    fixture_add(f->root, 8, fixture_io(f, "b", 1), 0);
    memory_system_lock(f->ms);
    x = address_explain(f->as, 5 * PAGE);
    assert_false(x->answered);
    assert_true(x->has_before && x->has_after);
    assert_string_equal(memory_region_name(x->before.mr), "a");
    assert_string_equal(memory_region_name(x->after.mr), "b");
    address_explanation_free(x);
    x = address_explain(f->as, 0);
    assert_true(!x->has_before && x->has_after);
    address_explanation_free(x);
    x = address_explain(f->as, UINT64_MAX);
    assert_true(x->has_before && !x->has_after);
    assert_string_equal(memory_region_name(x->before.mr), "b");
    address_explanation_free(x);
    memory_system_unlock(f->ms);
}

/* --- Random trees --- */

/* What @mr itself shows at @offset by the painter, which shares no code with the contest. */
static MemoryRegion *painted(MemoryRegion *mr, hwaddr offset)
{
    PaintedTile tile;

    return painter_at(mr, offset, &tile) ? tile.mr : NULL;
}

/* With @mr asked first among its siblings, its container shows there what the entry says. */
static void check_would_show_if_first(const ContestEntry *e)
{
    MemoryRegion *container = e->mr->container;
    hwaddr in_container = e->offset + e->mr->addr;
    MemoryRegion *now = painted(container, in_container);
    int priority = e->mr->priority;
    uint64_t order = e->mr->order;

    e->mr->priority = INT_MAX;
    e->mr->order = UINT64_MAX;
    assert_ptr_equal(painted(container, in_container), e->would_show ? e->would_show : now);
    e->mr->priority = priority;
    e->mr->order = order;
}

static void check_disabled(const ContestEntry *e)
{
    assert_false(e->mr->enabled);
    assert_null(painted(e->mr, e->offset));
    e->mr->enabled = true;
    assert_ptr_equal(painted(e->mr, e->offset), e->would_show);
    e->mr->enabled = false;
}

static void check_sibling(const ContestEntry *e, hwaddr offset)
{
    const MemoryRegion *by = e->beaten_by;
    hwaddr in_container = offset + e->mr->addr;

    assert_non_null(by);
    assert_ptr_equal(by->container, e->mr->container);
    assert_true(by->enabled && in_container >= by->addr && in_container - by->addr < by->size);
    assert_non_null(painted((MemoryRegion *)by, in_container - by->addr));
    if (e->result == CONTEST_LOW_PRIORITY) {
        assert_true(by->priority > e->mr->priority);
    } else {
        assert_true(by->priority == e->mr->priority && by->order > e->mr->order);
    }
    check_would_show_if_first(e);
}

static void check_covered(const ContestEntry *e)
{
    assert_ptr_equal(e->beaten_by->container, e->mr);
    assert_ptr_equal(e->would_show, e->mr);
    assert_true(region_has_content(e->mr));
    assert_non_null(painted(e->beaten_by, e->offset - e->beaten_by->addr));
}

static void check_entry(const ContestEntry *e, const MemoryRegion *winner)
{
    switch (e->result) {
    case CONTEST_ENTERED:
    case CONTEST_WON:
        assert_ptr_equal(painted(e->mr, e->offset), winner);
        assert_int_equal(e->result == CONTEST_WON, e->mr == winner);
        break;
    case CONTEST_OPEN:
        assert_true(e->mr->enabled);
        assert_null(painted(e->mr, e->offset));
        break;
    case CONTEST_DISABLED:
        check_disabled(e);
        break;
    case CONTEST_COVERED:
        check_covered(e);
        break;
    default:
        check_sibling(e, e->offset);
    }
}

typedef struct ChildCount {
    hwaddr offset;
    unsigned n;
} ChildCount;

static void count_child(MemoryRegion *sub, void *opaque)
{
    ChildCount *count = opaque;

    count->n += count->offset >= sub->addr && count->offset - sub->addr < sub->size;
}

/* Everything that lies there has its entry, right behind the region that was asked. */
static void check_complete(const GArray *contest, guint i)
{
    const ContestEntry *e = &g_array_index(contest, ContestEntry, i);
    ChildCount wanted = { .offset = e->offset };
    unsigned found = 0;

    if (e->result > CONTEST_OPEN) {
        return;
    }
    memory_region_for_each_subregion(e->mr, count_child, &wanted);
    if (e->mr->alias) {
        wanted.n = e->offset + (Int128)e->mr->alias_offset < e->mr->alias->size;
    }
    for (guint j = i + 1; j < contest->len; j++) {
        const ContestEntry *below = &g_array_index(contest, ContestEntry, j);

        if (below->depth <= e->depth) {
            break;
        }
        found += below->depth == e->depth + 1 && below->result != CONTEST_COVERED;
        assert_int_equal(below->depth == e->depth + 1 && below->behind_alias,
                         below->depth == e->depth + 1 && e->mr->alias != NULL);
    }
    assert_int_equal(found, wanted.n);
}

static void check_contest(const AddressExplanation *x, unsigned *seen)
{
    PaintedTile tile;
    bool answered = painter_at(x->as->root, x->addr, &tile);
    unsigned winners = 0;

    for (guint i = 0; i < x->contest->len; i++) {
        const ContestEntry *e = &g_array_index(x->contest, ContestEntry, i);

        seen[e->result]++;
        check_entry(e, answered ? tile.mr : NULL);
        check_complete(x->contest, i);
        if (e->result == CONTEST_WON) {
            assert_int_equal(e->offset, tile.offset_in_region);
            winners++;
        }
        assert_true(e->base + e->offset == x->addr);
    }
    assert_int_equal(winners, answered);
    assert_int_equal(x->answered, answered);
    if (answered) {
        assert_ptr_equal(x->tile.mr, tile.mr);
        assert_int_equal(x->tile.offset_within_region +
                             (x->addr - x->tile.offset_within_address_space),
                         tile.offset_in_region);
        assert_int_equal(x->tile.readonly, tile.readonly);
    }
}

/* The nearest by a walk over all tiles. */
static void check_neighbours(const AddressExplanation *x)
{
    const FlatRange *fr, *before = NULL, *after = NULL;
    FlatViewIter it;

    flatview_iter_init(&it, address_space_flatview(x->as));
    while ((fr = flatview_iter_next(&it))) {
        before = fr->last < x->addr ? fr : before;
        after = !after && fr->start > x->addr ? fr : after;
    }
    assert_int_equal(x->has_before, before != NULL);
    assert_int_equal(x->has_after, after != NULL);
    assert_true(!before || x->before.offset_within_address_space == before->start);
    assert_true(!after || x->after.offset_within_address_space == after->start);
}

/* The path ends where a lookup does, and each step follows from the one before. */
static void check_path(const AddressExplanation *x)
{
    const Dispatch *d = flatview_dispatch(address_space_flatview(x->as));
    const DispatchSection *s = dispatch_lookup(d, x->addr);
    const DispatchPath *p = &x->dispatch;
    PhysPageEntry entry = d->root;
    unsigned passed = 0;

    for (unsigned i = 0; i < p->count; i++) {
        const DispatchStep *step = &p->steps[i];

        assert_int_equal(entry >> PHYS_SKIP_BITS, step->node);
        assert_int_equal(entry & PHYS_SKIP_MASK, step->skip);
        passed += step->skip;
        assert_int_equal(step->level, PHYS_LEVELS - passed);
        assert_int_equal(step->index, (x->addr >> 12 >> (9 * step->level)) % 512);
        entry = d->nodes[step->node].entries[step->index];
    }
    assert_int_equal((entry & PHYS_SKIP_MASK) == PHYS_SUBPAGE, p->in_subpage);
    if (p->in_subpage) {
        const PhysSubpage *sp = d->subpages[entry >> PHYS_SKIP_BITS];

        assert_int_equal(p->subpage, entry >> PHYS_SKIP_BITS);
        assert_int_equal(p->parts, sp->count);
        assert_int_equal(p->section, sp->ids[p->part]);
        assert_true(p->part_start <= x->addr % 4096 || p->part == 0);
    }
    assert_int_equal(p->outside ? SECTION_ID_UNASSIGNED : p->section, s->id);
    assert_int_equal(s->id != SECTION_ID_UNASSIGNED, x->answered);
}

static void check_address(AddressSpace *as, hwaddr addr, unsigned *seen)
{
    g_autoptr(AddressExplanation) x = address_explain(as, addr);

    check_contest(x, seen);
    check_path(x);
    if (!x->answered) {
        check_neighbours(x);
    }
}

static void check_space(AddressSpace *as, TestRandom *random, unsigned *seen)
{
    g_autoptr(GArray) cuts = painter_cuts(as->root);

    for (unsigned i = 0; i < 24; i++) {
        hwaddr cut = g_array_index(cuts, hwaddr, test_random_below(random, cuts->len));

        check_address(as, cut + test_random_below(random, 3) - 1, seen);
        check_address(as, test_random_below(random, 1 << 20), seen);
    }
    check_address(as, UINT64_MAX, seen);
}

static void test_explain_random_trees(void **state)
{
    static const TreeStyle styles[] = { { 24, 64, 12 }, { 60, 256, 12 }, { 12, 16, 4 } };
    TestRandom random = test_random_new("contests on random trees", 20261123);
    unsigned seen[CONTEST_COVERED + 1] = { 0 };

    for (unsigned round = 0; round < 24; round++) {
        AddressSpace *spaces[2];
        RandomTree t;

        random_tree_init(&t, &random, &styles[round % G_N_ELEMENTS(styles)]);
        spaces[0] = address_space_new(t.ms, t.regions[0], "all", NULL);
        spaces[1] = address_space_new(t.ms, t.regions[2], "window", NULL);
        for (unsigned edits = 0; edits < 20; edits++) {
            memory_region_transaction_begin(t.ms);
            for (unsigned i = 0; i < 4; i++) {
                random_tree_edit(&t, NULL);
            }
            assert_true(memory_region_transaction_commit(t.ms, NULL));
            memory_system_lock(t.ms);
            check_space(spaces[0], &random, seen);
            check_space(spaces[1], &random, seen);
            memory_system_unlock(t.ms);
        }
        address_space_free(spaces[0]);
        address_space_free(spaces[1]);
        random_tree_done(&t);
    }
    for (unsigned i = 0; i <= CONTEST_COVERED; i++) {
        print_message("%s: %u\n", contest_result_name(i), seen[i]);
        assert_true(seen[i] > 100);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup_space, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_explain_priority_order_and_disabled),
        T(test_explain_containers_open_and_covered),
        T(test_explain_aliases),
        T(test_explain_disabled_root),
        T(test_explain_neighbours),
        cmocka_unit_test(test_explain_random_trees),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
