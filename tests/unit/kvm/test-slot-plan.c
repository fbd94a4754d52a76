/* SPDX-License-Identifier: MIT */
/* The slot planner, alone: tiles cut to pages, which slots stay, and the order of the steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include "../../../src/accel/kvm/slot-plan-internal.h"
#include "../support/painter.h"

#define P   KVM_SLOT_PAGE
#define GIB (1ULL << 30)
#define TIB (1ULL << 40)

/* Regions are only told apart here. */
static const char region_names[4];
#define MR(n) ((const MemoryRegion *)(const void *)&region_names[n])

static KvmTile tile(uint64_t gpa, uint64_t size, uint64_t host, uint32_t flags)
{
    return (KvmTile){ .at = { gpa, size }, .host = host, .flags = flags, .mr = MR(0) };
}

static KvmSlot slot(uint32_t id, uint64_t gpa, uint64_t size, uint64_t host, uint32_t flags)
{
    return (KvmSlot){ .at = { gpa, size }, .host = host, .flags = flags, .id = id, .mr = MR(0) };
}

/* The steps as letters: + add, - del, f flags, l label, ( park, ) unpark. */
static char *letters(const KvmSlotPlan *plan)
{
    const char names[] = { [KVM_STEP_ADD] = '+',  [KVM_STEP_DEL] = '-',
                           [KVM_STEP_FLAGS] = 'f', [KVM_STEP_LABEL] = 'l',
                           [KVM_STEP_PARK] = '(', [KVM_STEP_UNPARK] = ')' };
    GString *s = g_string_new(NULL);

    for (guint i = 0; i < plan->steps->len; i++) {
        g_string_append_c(s, names[g_array_index(plan->steps, KvmSlotStep, i).kind]);
    }
    return g_string_free(s, FALSE);
}

static void assert_plan(const KvmSlot *slots, size_t n_slots, const KvmTile *tiles, size_t n_tiles,
                        unsigned free_ids, const char *expected)
{
    g_autoptr(KvmSlotPlan) plan = kvm_slot_plan_new(slots, n_slots, tiles, n_tiles, free_ids, false);
    g_autofree char *got = letters(plan);

    assert_string_equal(got, expected);
    assert_int_equal(plan->missing, 0);
}

static void test_kvm_tile_cut_to_whole_pages(void **state)
{
    KvmTile t = tile(0x1800, 0x3000, 0x7f0000000800, 0);

    assert_true(kvm_tile_cut(&t));
    assert_int_equal(t.at.gpa, 0x2000);
    assert_int_equal(t.at.size, 0x2000);
    assert_int_equal(t.host, 0x7f0000001000);
}

static void test_kvm_tile_cut_aligned_stays(void **state)
{
    KvmTile t = tile(0x1000, 0x3000, 0x7f0000000000, 0);

    assert_true(kvm_tile_cut(&t));
    assert_int_equal(t.at.gpa, 0x1000);
    assert_int_equal(t.at.size, 0x3000);
}

static void test_kvm_tile_cut_no_whole_page(void **state)
{
    KvmTile within = tile(0x1800, 0x400, 0x800, 0);
    KvmTile across = tile(0x1800, 0x1000, 0x800, 0);
    KvmTile short_head = tile(0x1800, 0x800, 0x800, 0);

    assert_false(kvm_tile_cut(&within));
    assert_false(kvm_tile_cut(&across));
    assert_false(kvm_tile_cut(&short_head));
}

/* An alias at an odd offset: GPA and host address differ within the page. */
static void test_kvm_tile_cut_odd_offset(void **state)
{
    KvmTile t = tile(0x1000, 0x3000, 0x7f0000000200, 0);

    assert_false(kvm_tile_cut(&t));
}

static void test_plan_nothing_changes(void **state)
{
    KvmSlot s = slot(0, 0, 8 * P, 0x100000, 0);
    KvmTile t = tile(0, 8 * P, 0x100000, 0);

    assert_plan(&s, 1, &t, 1, 10, "");
}

/*
 *  slots   |--------0--------|
 *  tiles   |----|       |----|
 */
static void test_plan_overlay_splits(void **state)
{
    KvmSlot s = slot(0, 0, 8 * P, 0x100000, 0);
    KvmTile t[] = { tile(0, 2 * P, 0x100000, 0), tile(6 * P, 2 * P, 0x106000, 0) };

    assert_plan(&s, 1, t, 2, 10, "(-++)");
}

/*
 *  slots   |-0--|       |-1--|
 *  tiles   |-----------------|
 */
static void test_plan_overlay_goes_fills_the_hole(void **state)
{
    KvmSlot s[] = { slot(0, 0, 2 * P, 0x100000, 0), slot(1, 6 * P, 2 * P, 0x106000, 0) };
    KvmTile t = tile(0, 8 * P, 0x100000, 0);
    g_autoptr(KvmSlotPlan) plan = kvm_slot_plan_new(s, 2, &t, 1, 10, false);
    KvmSlotStep *step = &g_array_index(plan->steps, KvmSlotStep, 0);

    assert_int_equal(plan->steps->len, 1);
    assert_int_equal(step->kind, KVM_STEP_ADD);
    assert_int_equal(step->slot.at.gpa, 2 * P);
    assert_int_equal(step->slot.at.size, 4 * P);
    assert_int_equal(step->slot.host, 0x102000);
}

static void test_plan_overlay_comes_back(void **state)
{
    KvmSlot s[] = { slot(0, 0, 2 * P, 0x100000, 0), slot(2, 2 * P, 4 * P, 0x102000, 0),
                    slot(1, 6 * P, 2 * P, 0x106000, 0) };
    KvmTile t[] = { tile(0, 2 * P, 0x100000, 0), tile(6 * P, 2 * P, 0x106000, 0) };

    assert_plan(s, 3, t, 2, 10, "-");
}

static void test_plan_flags_only(void **state)
{
    KvmSlot s = slot(0, 0, 8 * P, 0x100000, 0);
    KvmTile t = tile(0, 8 * P, 0x100000, KVM_MEM_LOG_DIRTY_PAGES);

    assert_plan(&s, 1, &t, 1, 10, "f");
}

/* The kernel does not change READONLY of a live slot. */
static void test_plan_readonly_replaces(void **state)
{
    KvmSlot s = slot(0, 0, 8 * P, 0x100000, 0);
    KvmTile t = tile(0, 8 * P, 0x100000, KVM_MEM_READONLY);

    assert_plan(&s, 1, &t, 1, 10, "(-+)");
}

static void test_plan_other_host_replaces(void **state)
{
    KvmSlot s = slot(0, 0, 8 * P, 0x100000, 0);
    KvmTile t = tile(0, 8 * P, 0x200000, 0);

    assert_plan(&s, 1, &t, 1, 10, "(-+)");
}

static void test_plan_other_region_same_memory_is_a_label(void **state)
{
    KvmSlot s = slot(0, 0, 8 * P, 0x100000, 0);
    KvmTile t = tile(0, 8 * P, 0x100000, 0);

    t.mr = MR(1);
    assert_plan(&s, 1, &t, 1, 10, "l");
}

/* A slot moves: the new place comes before the old one goes, and nobody is parked. */
static void test_plan_move_adds_first(void **state)
{
    KvmSlot s = slot(0, 0, 2 * P, 0x100000, 0);
    KvmTile t = tile(4 * P, 2 * P, 0x100000, 0);

    assert_plan(&s, 1, &t, 1, 10, "+-");
}

static void test_plan_move_over_itself_parks(void **state)
{
    KvmSlot s = slot(0, 0, 4 * P, 0x100000, 0);
    KvmTile t = tile(2 * P, 4 * P, 0x100000, 0);

    assert_plan(&s, 1, &t, 1, 10, "(-+)");
}

static void test_plan_order_of_all_three(void **state)
{
    /* slot 0 is replaced, slot 1 goes, a third place comes */
    KvmSlot s[] = { slot(0, 0, 4 * P, 0x100000, 0), slot(1, 8 * P, 2 * P, 0x200000, 0) };
    KvmTile t[] = { tile(0, 2 * P, 0x100000, 0), tile(16 * P, 2 * P, 0x300000, 0) };

    assert_plan(s, 2, t, 2, 10, "+-(-+)");
}

static void test_plan_at_the_limit_dels_first(void **state)
{
    KvmSlot s = slot(0, 0, 2 * P, 0x100000, 0);
    KvmTile t = tile(4 * P, 2 * P, 0x100000, 0);

    assert_plan(&s, 1, &t, 1, 0, "-+");
}

/* Two replaced slots become one, which makes room for one elsewhere: parked for all of it. */
static void test_plan_at_the_limit_replaced_make_room(void **state)
{
    KvmSlot s[] = { slot(0, 0, P, 0x100000, 0), slot(1, P, P, 0x200000, 0) };
    KvmTile t[] = { tile(0, 2 * P, 0x300000, 0), tile(8 * P, P, 0x400000, 0) };

    assert_plan(s, 2, t, 2, 0, "(--++)");
}

static void test_plan_beyond_the_limit_says_how_many(void **state)
{
    KvmTile t[] = { tile(0, P, 0x100000, 0), tile(2 * P, P, 0x200000, 0),
                    tile(4 * P, P, 0x300000, 0) };
    g_autoptr(KvmSlotPlan) plan = kvm_slot_plan_new(NULL, 0, t, 3, 1, false);

    assert_int_equal(plan->missing, 2);
}

static void test_plan_neighbours_that_run_on_are_one_slot(void **state)
{
    KvmTile t[] = { tile(0, 2 * P, 0x100000, 0), tile(2 * P, 2 * P, 0x102000, 0) };
    KvmTile other[] = { tile(0, 2 * P, 0x100000, 0), tile(2 * P, 2 * P, 0x103000, 0) };

    assert_plan(NULL, 0, t, 2, 10, "+");
    assert_plan(NULL, 0, other, 2, 10, "++");
    t[1].mr = MR(1); /* a slot is named after one region */
    assert_plan(NULL, 0, t, 2, 10, "++");
}

/* Above 2^31 - 1 pages a slot is cut, at a multiple of 1 GiB of its GPA. */
static void test_plan_cuts_at_the_page_limit(void **state)
{
    KvmTile fits = tile(0, KVM_SLOT_MAX_BYTES, 0x10000000000, 0);
    KvmTile over = tile(GIB / 2, 8 * TIB, 0x10000000000, 0);
    g_autoptr(KvmSlotPlan) one = kvm_slot_plan_new(NULL, 0, &fits, 1, 10, false);
    g_autoptr(KvmSlotPlan) two = kvm_slot_plan_new(NULL, 0, &over, 1, 10, false);
    uint64_t next = GIB / 2;

    assert_int_equal(one->adds, 1);
    assert_int_equal(two->adds, 2);
    for (guint i = 0; i < two->steps->len; i++) {
        KvmSlot s = g_array_index(two->steps, KvmSlotStep, i).slot;

        assert_int_equal(s.at.gpa, next);
        assert_int_equal(s.host - s.at.gpa, 0x10000000000 - GIB / 2);
        assert_true(s.at.size <= KVM_SLOT_MAX_BYTES);
        next += s.at.size;
        assert_true(i == 1 || next % GIB == 0);
    }
    assert_int_equal(next, GIB / 2 + 8 * TIB);
}

static void test_plan_cut_slots_stay(void **state)
{
    KvmSlot s[] = { slot(0, 0, 8 * TIB - GIB, 0x10000000000, 0),
                    slot(1, 8 * TIB - GIB, 2 * GIB, 0x10000000000 + 8 * TIB - GIB, 0) };
    KvmTile t = tile(0, 8 * TIB + GIB, 0x10000000000, 0);
    g_autoptr(KvmSlotPlan) compact = kvm_slot_plan_new(s, 2, &t, 1, 10, true);

    assert_plan(s, 2, &t, 1, 10, "");
    assert_int_equal(compact->steps->len, 0);
}

static void test_plan_compact_joins_remembered_pieces(void **state)
{
    KvmSlot s[] = { slot(0, 0, 2 * P, 0x100000, 0), slot(2, 2 * P, 4 * P, 0x102000, 0),
                    slot(1, 6 * P, 2 * P, 0x106000, 0) };
    KvmTile t = tile(0, 8 * P, 0x100000, 0);
    g_autoptr(KvmSlotPlan) plan = kvm_slot_plan_new(s, 3, &t, 1, 0, true);
    g_autofree char *got = letters(plan);

    assert_string_equal(got, "(---+)");
}

/* --- Random layouts: executed on paper, the steps lead to the tiles and break no rule --- */

#define PAGES 48

typedef struct Paper {
    uint64_t host[PAGES]; /* 0: not mapped */
    uint32_t flags[PAGES];
} Paper;

static void paint(Paper *paper, const GpaItem *at, uint64_t host, uint32_t flags, bool on)
{
    for (uint64_t p = at->gpa / P; p < gpa_item_end(at) / P; p++) {
        assert_true(!on == (paper->host[p] != 0)); /* no overlap; nothing gone twice */
        paper->host[p] = on ? host + p * P - at->gpa : 0;
        paper->flags[p] = on ? flags : 0;
    }
}

static GArray *random_tiles(TestRandom *r)
{
    GArray *tiles = g_array_new(FALSE, TRUE, sizeof(KvmTile));
    uint64_t page = test_random_below(r, 4);

    while (page < PAGES) {
        uint64_t n = 1 + test_random_below(r, 9);
        uint64_t base = test_random_below(r, 3) ? 0x100000000 : 0x200000000;
        KvmTile t = tile(page * P, MIN(n, PAGES - page) * P, base + page * P,
                         test_random_below(r, 4) ? 0
                         : test_random_below(r, 2) ? KVM_MEM_READONLY : KVM_MEM_LOG_DIRTY_PAGES);

        t.mr = MR(test_random_below(r, 2));
        g_array_append_val(tiles, t);
        page += n + (test_random_below(r, 2) ? 0 : test_random_below(r, 4));
    }
    return tiles;
}

static int by_gpa(const void *a, const void *b)
{
    const KvmSlot *x = a, *y = b;

    return x->at.gpa < y->at.gpa ? -1 : x->at.gpa > y->at.gpa;
}

static KvmSlot *slot_at(GArray *slots, uint64_t gpa)
{
    for (guint i = 0; i < slots->len; i++) {
        if (g_array_index(slots, KvmSlot, i).at.gpa == gpa) {
            return &g_array_index(slots, KvmSlot, i);
        }
    }
    return NULL;
}

/* Pages that are there before and after must be there all the time, but for the park. */
static void check_no_gap(const Paper *now, const Paper *before, const Paper *after)
{
    for (unsigned p = 0; p < PAGES; p++) {
        assert_true(now->host[p] || !before->host[p] || !after->host[p]);
    }
}

static void execute(GArray *slots, const KvmSlotPlan *plan, const Paper *before, const Paper *after,
                    unsigned limit)
{
    Paper now = *before;
    bool parked = false;

    for (guint i = 0; i < plan->steps->len; i++) {
        const KvmSlotStep *s = &g_array_index(plan->steps, KvmSlotStep, i);
        KvmSlot *at = slot_at(slots, s->slot.at.gpa);

        switch (s->kind) {
        case KVM_STEP_ADD:
            paint(&now, &s->slot.at, s->slot.host, s->slot.flags, true);
            g_array_append_val(slots, s->slot);
            break;
        case KVM_STEP_DEL:
            paint(&now, &s->slot.at, 0, 0, false);
            assert_non_null(at);
            g_array_remove_index(slots, (guint)(at - (KvmSlot *)(void *)slots->data));
            break;
        case KVM_STEP_FLAGS:
            assert_false((at->flags ^ s->new_flags) & KVM_MEM_READONLY);
            paint(&now, &at->at, 0, 0, false);
            at->flags = s->new_flags;
            paint(&now, &at->at, at->host, at->flags, true);
            break;
        case KVM_STEP_LABEL:
            at->mr = s->new_mr;
            break;
        case KVM_STEP_PARK:
        case KVM_STEP_UNPARK:
            assert_true(parked == (s->kind == KVM_STEP_UNPARK));
            parked = !parked;
            break;
        }
        assert_true(slots->len <= limit);
        if (!parked) {
            check_no_gap(&now, before, after);
        }
    }
    assert_false(parked);
    assert_memory_equal(&now, after, sizeof(now));
    g_array_sort(slots, by_gpa);
}

static void paint_tiles(Paper *paper, const GArray *tiles)
{
    memset(paper, 0, sizeof(*paper));
    for (guint i = 0; i < tiles->len; i++) {
        const KvmTile *t = &g_array_index(tiles, KvmTile, i);

        paint(paper, &t->at, t->host, t->flags, true);
    }
}

static bool has_step(const KvmSlotPlan *plan, KvmSlotStepKind kind, const KvmSlot *s)
{
    for (guint i = 0; i < plan->steps->len; i++) {
        const KvmSlotStep *step = &g_array_index(plan->steps, KvmSlotStep, i);

        if (step->kind == kind && step->slot.at.gpa == s->at.gpa) {
            return true;
        }
    }
    return false;
}

/* A slot whose pages all stay as they are, in one region, is not touched. */
static void check_untouched(const GArray *slots, const KvmSlotPlan *plan, const GArray *tiles)
{
    for (guint i = 0; i < slots->len; i++) {
        const KvmSlot *s = &g_array_index(slots, KvmSlot, i);

        for (guint j = 0; j < tiles->len; j++) {
            const KvmTile *t = &g_array_index(tiles, KvmTile, j);

            if (s->at.gpa >= t->at.gpa && gpa_item_end(&s->at) <= gpa_item_end(&t->at) &&
                s->host - s->at.gpa == t->host - t->at.gpa && s->flags == t->flags) {
                assert_false(has_step(plan, KVM_STEP_DEL, s));
                assert_false(has_step(plan, KVM_STEP_FLAGS, s));
            }
        }
    }
}

static void run_random(TestRandom *r, unsigned limit, unsigned rounds)
{
    g_autoptr(GArray) slots = g_array_new(FALSE, TRUE, sizeof(KvmSlot));
    Paper before, after;

    memset(&before, 0, sizeof(before));
    for (unsigned i = 0; i < rounds; i++) {
        g_autoptr(GArray) tiles = random_tiles(r);
        bool compact = test_random_below(r, 8) == 0;
        KvmSlotPlan *plan = kvm_slot_plan_new((KvmSlot *)(void *)slots->data, slots->len,
                                              (KvmTile *)(void *)tiles->data, tiles->len,
                                              limit - slots->len, compact);

        if (plan->missing == 0) {
            paint_tiles(&after, tiles);
            if (!compact) {
                check_untouched(slots, plan, tiles);
            }
            execute(slots, plan, &before, &after, limit);
            before = after;
        } else {
            assert_true(slots->len + plan->adds - plan->dels > limit);
        }
        kvm_slot_plan_free(plan);
    }
}

static void test_plan_random_layouts(void **state)
{
    TestRandom r = test_random_new("slot plans", 1);

    run_random(&r, 1000, 20000);
    run_random(&r, 12, 20000);
    run_random(&r, 8, 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kvm_tile_cut_to_whole_pages),
        cmocka_unit_test(test_kvm_tile_cut_aligned_stays),
        cmocka_unit_test(test_kvm_tile_cut_no_whole_page),
        cmocka_unit_test(test_kvm_tile_cut_odd_offset),
        cmocka_unit_test(test_plan_nothing_changes),
        cmocka_unit_test(test_plan_overlay_splits),
        cmocka_unit_test(test_plan_overlay_goes_fills_the_hole),
        cmocka_unit_test(test_plan_overlay_comes_back),
        cmocka_unit_test(test_plan_flags_only),
        cmocka_unit_test(test_plan_readonly_replaces),
        cmocka_unit_test(test_plan_other_host_replaces),
        cmocka_unit_test(test_plan_other_region_same_memory_is_a_label),
        cmocka_unit_test(test_plan_move_adds_first),
        cmocka_unit_test(test_plan_move_over_itself_parks),
        cmocka_unit_test(test_plan_order_of_all_three),
        cmocka_unit_test(test_plan_at_the_limit_dels_first),
        cmocka_unit_test(test_plan_at_the_limit_replaced_make_room),
        cmocka_unit_test(test_plan_beyond_the_limit_says_how_many),
        cmocka_unit_test(test_plan_neighbours_that_run_on_are_one_slot),
        cmocka_unit_test(test_plan_cuts_at_the_page_limit),
        cmocka_unit_test(test_plan_cut_slots_stay),
        cmocka_unit_test(test_plan_compact_joins_remembered_pieces),
        cmocka_unit_test(test_plan_random_layouts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
