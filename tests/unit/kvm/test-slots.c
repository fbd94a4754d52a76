/* SPDX-License-Identifier: MIT */
/* The slot listener on the model KVM: what the flat view shows as RAM is what KVM maps. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "../support/painter.h"
#include "../support/view-check.h"
#include "support/vm-fixture.h"
#include "tessera/util/error.h"

#define PAGE 0x1000ULL

static int setup(void **state)
{
    model_kvm_reset();
    *state = vm_fixture_new();
    return 0;
}

static int teardown(void **state)
{
    vm_fixture_free(*state);
    model_kvm_reset();
    return 0;
}

/* Slot ioctls of what follows, and parks. */
static void start_counting(VmFixture *f)
{
    model_kvm_reset_counts();
    f->parks = 0;
}

static void assert_counted(VmFixture *f, unsigned ioctls, unsigned parks)
{
    assert_int_equal(model_kvm_count(KVM_SET_USER_MEMORY_REGION), ioctls);
    assert_int_equal(f->parks, parks);
    vm_fixture_check(f);
}

static ModelSlot the_slot(VmFixture *f, guint n)
{
    assert_true(n < model_vm_slots(f->vm)->len);
    return g_array_index(model_vm_slots(f->vm), ModelSlot, n);
}

/* pc.ram of 5 GiB by its two aliases: exactly two slots, into one block. */
static void test_slots_pc_ram_across_the_hole(void **state)
{
    VmFixture *f = *state;
    MemoryRegion *ram = vm_fixture_ram(f, "pc.ram", 5 * GIB);
    MemoryRegion *below = vm_fixture_alias(f, "ram-below-4g", ram, 0, 3 * GIB);
    MemoryRegion *above = vm_fixture_alias(f, "ram-above-4g", ram, 3 * GIB, 2 * GIB);
    ModelSlot low, high;

    start_counting(f);
    vm_fixture_put(f, below, 0, 0);
    vm_fixture_put(f, above, 4 * GIB, 0);
    assert_counted(f, 2, 0);
    low = the_slot(f, 0);
    high = the_slot(f, 1);
    assert_int_equal(low.size, 3 * GIB);
    assert_int_equal(high.gpa, 4 * GIB);
    assert_int_equal(high.size, 2 * GIB);
    assert_int_equal(high.host, low.host + 3 * GIB);
    /* So that KVM can use large pages. */
    assert_int_equal(low.host % (2 * MIB), low.gpa % (2 * MIB));
    assert_int_equal(high.host % (2 * MIB), high.gpa % (2 * MIB));
}

static void test_slots_rom_is_readonly(void **state)
{
    VmFixture *f = *state;

    vm_fixture_put(f, vm_fixture_rom(f, "rom", 16 * PAGE), 0xc0000, 0);
    vm_fixture_check(f);
    assert_int_equal(the_slot(f, 0).flags, KVM_MEM_READONLY);
}

static void test_slots_rom_device_only_in_romd_mode(void **state)
{
    VmFixture *f = *state;
    MemoryRegion *mr = vm_fixture_rom_device(f, "flash", 16 * PAGE);

    vm_fixture_put(f, mr, 0x100000, 0);
    assert_int_equal(the_slot(f, 0).flags, KVM_MEM_READONLY);
    start_counting(f);
    assert_true(memory_region_rom_device_set_romd(mr, false, NULL));
    assert_counted(f, 1, 0);
    assert_int_equal(model_vm_slots(f->vm)->len, 0);
    assert_true(memory_region_rom_device_set_romd(mr, true, NULL));
    assert_counted(f, 2, 0);
}

static void test_slots_io_gets_none(void **state)
{
    VmFixture *f = *state;

    start_counting(f);
    vm_fixture_put(f, vm_fixture_io(f, "device", 16 * PAGE), 0x100000, 0);
    assert_counted(f, 0, 0);
}

static void test_slots_cut_to_pages(void **state)
{
    VmFixture *f = *state;
    MemoryRegion *ram = vm_fixture_ram(f, "ram", 8 * PAGE);

    vm_fixture_put(f, vm_fixture_alias(f, "window", ram, 0x800, 3 * PAGE), 0x10800, 0);
    vm_fixture_check(f);
    assert_int_equal(the_slot(f, 0).gpa, 0x11000);
    assert_int_equal(the_slot(f, 0).size, 2 * PAGE);
}

static void test_slots_odd_alias_offset_gets_none(void **state)
{
    VmFixture *f = *state;
    MemoryRegion *ram = vm_fixture_ram(f, "ram", 8 * PAGE);

    start_counting(f);
    vm_fixture_put(f, vm_fixture_alias(f, "odd", ram, 0x200, 3 * PAGE), 0x10000, 0);
    assert_counted(f, 0, 0);
}

/*
 * An overlay comes, goes, comes back:
 *
 *   |-------------0-------------|     1 slot
 *   |---1---|  overlay  |---0---|     delete, two pieces: 3 ioctls, parked
 *   |---1---|-----2-----|---0---|     1 ioctl
 *   |---1---|           |---0---|     1 ioctl
 */
static void test_slots_toggle_overlay(void **state)
{
    VmFixture *f = *state;
    MemoryRegion *overlay = vm_fixture_io(f, "overlay", 4 * PAGE);
    MemoryCommitStats commit;

    vm_fixture_put(f, vm_fixture_ram(f, "ram", 64 * PAGE), 0, 0);
    start_counting(f);
    vm_fixture_put(f, overlay, 16 * PAGE, 1);
    assert_counted(f, 3, 1);
    assert_int_equal(kvm_stats(f->kvm).parks, 1);
    assert_int_equal(kvm_stats(f->kvm).slot_ioctls, 4);
    commit = memory_system_last_stats(f->ms);
    assert_int_equal(commit.ioctls, 3);
    assert_int_equal(commit.pauses, 1);
    assert_int_equal(commit.pause_us, kvm_stats(f->kvm).park_last_us);
    assert_int_equal(memory_system_total_stats(f->ms).ioctls, 4);
    assert_true(memory_region_set_enabled(overlay, false, NULL));
    assert_counted(f, 4, 1);
    assert_true(memory_region_set_enabled(overlay, true, NULL));
    assert_counted(f, 5, 1);
    assert_true(memory_region_set_enabled(overlay, false, NULL));
    assert_counted(f, 6, 1);
    assert_int_equal(model_vm_slots(f->vm)->len, 3);
}

static void test_slots_log_is_one_ioctl(void **state)
{
    VmFixture *f = *state;
    MemoryRegion *ram = vm_fixture_ram(f, "ram", 64 * PAGE);
    ModelSlot before;

    vm_fixture_put(f, ram, 0, 0);
    before = the_slot(f, 0);
    start_counting(f);
    assert_true(memory_region_set_log(ram, true, DIRTY_CLIENT_MIGRATION, NULL));
    assert_counted(f, 1, 0);
    assert_int_equal(the_slot(f, 0).flags, KVM_MEM_LOG_DIRTY_PAGES);
    /* A second client changes nothing for the kernel. */
    assert_true(memory_region_set_log(ram, true, DIRTY_CLIENT_MONITOR, NULL));
    assert_true(memory_region_set_log(ram, false, DIRTY_CLIENT_MIGRATION, NULL));
    assert_counted(f, 1, 0);
    assert_true(memory_region_set_log(ram, false, DIRTY_CLIENT_MONITOR, NULL));
    assert_counted(f, 2, 0);
    assert_int_equal(the_slot(f, 0).id, before.id);
}

/* Logged memory goes while it is logged: nothing but the deletion. */
static void test_slots_logged_region_goes(void **state)
{
    VmFixture *f = *state;
    MemoryRegion *ram = vm_fixture_ram(f, "ram", 64 * PAGE);

    vm_fixture_put(f, ram, 0, 0);
    assert_true(memory_region_set_log(ram, true, DIRTY_CLIENT_MIGRATION, NULL));
    start_counting(f);
    assert_true(memory_region_del_subregion(f->system, ram, NULL));
    assert_counted(f, 1, 0);
    vm_fixture_put(f, ram, 0, 0);
    assert_counted(f, 2, 0);
    assert_int_equal(the_slot(f, 0).flags, KVM_MEM_LOG_DIRTY_PAGES);
}

static void test_slots_dimm_touches_no_other(void **state)
{
    VmFixture *f = *state;

    vm_fixture_put(f, vm_fixture_ram(f, "ram", GIB), 0, 0);
    for (unsigned i = 0; i < 20; i++) {
        MemoryRegion *dimm = vm_fixture_ram(f, "dimm", 128 * MIB);

        start_counting(f);
        vm_fixture_put(f, dimm, 4 * GIB + i * 128 * MIB, 0);
        assert_counted(f, 1, 0);
    }
    assert_int_equal(model_vm_slots(f->vm)->len, 21);
}

/* One transaction, nothing changes in the end: no ioctl. */
static void test_slots_transaction_without_effect(void **state)
{
    VmFixture *f = *state;
    MemoryRegion *ram = vm_fixture_ram(f, "ram", 64 * PAGE);

    vm_fixture_put(f, ram, 0, 0);
    start_counting(f);
    memory_region_transaction_begin(f->ms);
    assert_true(memory_region_set_enabled(ram, false, NULL));
    assert_true(memory_region_set_enabled(ram, true, NULL));
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    assert_counted(f, 0, 0);
}

static void test_slots_readonly_replaces_parked(void **state)
{
    VmFixture *f = *state;
    MemoryRegion *ram = vm_fixture_ram(f, "ram", 64 * PAGE);

    vm_fixture_put(f, ram, 0, 0);
    start_counting(f);
    assert_true(memory_region_set_readonly(ram, true, NULL));
    assert_counted(f, 2, 1);
}

static void test_slots_above_the_address_width(void **state)
{
    VmFixture *f = *state;
    g_autoptr(GError) error = NULL;
    MemoryRegion *ram = vm_fixture_ram(f, "far", 2 * PAGE);
    uint64_t end = 1ULL << kvm_phys_bits(f->kvm);
    g_autofree char *bits = g_strdup_printf("%u", kvm_phys_bits(f->kvm));

    start_counting(f);
    assert_false(memory_region_add_subregion(f->system, end - PAGE, ram, &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT));
    assert_non_null(strstr(error->message, "far"));
    assert_non_null(strstr(error->message, bits));
    assert_null(memory_region_container(ram));
    assert_counted(f, 0, 0);
    vm_fixture_put(f, ram, end - 2 * PAGE, 0);
    assert_counted(f, 1, 0);
}

/* I/O may lie above: it gets no slot. */
static void test_slots_io_above_the_address_width(void **state)
{
    VmFixture *f = *state;

    vm_fixture_put(f, vm_fixture_io(f, "far", PAGE), 1ULL << 60, 0);
    vm_fixture_check(f);
}

static int setup_three_slots(void **state)
{
    model_kvm_reset();
    model_kvm_set_cap(KVM_CAP_NR_MEMSLOTS, 3);
    *state = vm_fixture_new();
    return 0;
}

static void test_slots_exhausted(void **state)
{
    VmFixture *f = *state;
    g_autoptr(GError) error = NULL;
    MemoryRegion *fourth = vm_fixture_ram(f, "fourth", PAGE);

    for (unsigned i = 0; i < 3; i++) {
        vm_fixture_put(f, vm_fixture_ram(f, "ram", PAGE), 2 * i * PAGE, 0);
    }
    start_counting(f);
    assert_false(memory_region_add_subregion(f->system, 8 * PAGE, fourth, &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT));
    assert_non_null(strstr(error->message, "needs 4"));
    assert_non_null(strstr(error->message, "(3)"));
    assert_counted(f, 0, 0);
}

/* At the limit a move takes its slot away first. */
static void test_slots_move_at_the_limit(void **state)
{
    VmFixture *f = *state;
    MemoryRegion *ram = NULL;

    for (unsigned i = 0; i < 3; i++) {
        ram = vm_fixture_ram(f, "ram", PAGE);
        vm_fixture_put(f, ram, 2 * i * PAGE, 0);
    }
    start_counting(f);
    assert_true(memory_region_set_address(ram, 9 * PAGE, NULL));
    assert_counted(f, 2, 0);
}

/* Remembered split points elsewhere are given up when the ids run out. */
static void test_slots_compact_elsewhere(void **state)
{
    VmFixture *f = *state;
    MemoryRegion *overlay = vm_fixture_io(f, "overlay", PAGE);

    vm_fixture_put(f, vm_fixture_ram(f, "ram", 8 * PAGE), 0, 0);
    vm_fixture_put(f, overlay, 2 * PAGE, 1);
    assert_true(memory_region_set_enabled(overlay, false, NULL));
    assert_int_equal(model_vm_slots(f->vm)->len, 3);
    vm_fixture_put(f, vm_fixture_ram(f, "other", PAGE), 16 * PAGE, 0);
    vm_fixture_check(f);
    assert_int_equal(model_vm_slots(f->vm)->len, 2);
}

/*
 * One slot maps three tiles that differ only in what KVM does not know; then a part of the middle one
 * becomes read-only:
 *
 *   tiles   |..ram..|..nonvolatile..|..ram..|
 *   slots   |---------------0---------------|
 *   slots   |-------1-------|-0-|-----2-----|    4 ioctls, parked
 */
static void test_slots_one_of_several_tiles_changes(void **state)
{
    VmFixture *f = *state;
    MemoryRegion *ram = vm_fixture_ram(f, "ram", 64 * PAGE);
    MemoryRegion *middle = vm_fixture_alias(f, "middle", ram, 16 * PAGE, 32 * PAGE);
    MemoryRegion *part = vm_fixture_alias(f, "part", ram, 32 * PAGE, 4 * PAGE);

    assert_true(memory_region_set_nonvolatile(middle, true, NULL));
    assert_true(memory_region_set_readonly(part, true, NULL));
    memory_region_transaction_begin(f->ms);
    vm_fixture_put(f, ram, 0, 0);
    vm_fixture_put(f, middle, 16 * PAGE, 1);
    assert_true(memory_region_transaction_commit(f->ms, NULL));
    assert_int_equal(model_vm_slots(f->vm)->len, 1);
    start_counting(f);
    vm_fixture_put(f, part, 32 * PAGE, 2);
    assert_counted(f, 4, 1);
    assert_int_equal(model_vm_slots(f->vm)->len, 3);
}

static void test_slots_ids_are_used_again(void **state)
{
    VmFixture *f = *state;
    MemoryRegion *ram = vm_fixture_ram(f, "ram", PAGE);

    for (unsigned i = 0; i < 10; i++) {
        vm_fixture_put(f, ram, i * 2 * PAGE, 0);
        assert_int_equal(the_slot(f, 0).id, 0);
        assert_true(memory_region_del_subregion(f->system, ram, NULL));
    }
}

/* A machine that is attached late hears all; one that is detached keeps nothing. */
static void test_slots_attach_late_and_detach(void **state)
{
    VmFixture *f;
    g_autoptr(GError) error = NULL;
    MemoryRegion *ram;

    model_kvm_reset();
    f = vm_fixture_new_detached();
    ram = vm_fixture_ram(f, "ram", 8 * PAGE);
    vm_fixture_put(f, ram, 0, 0);
    assert_true(memory_region_set_log(ram, true, DIRTY_CLIENT_MONITOR, NULL));
    vm_fixture_put(f, vm_fixture_rom(f, "rom", 8 * PAGE), 16 * PAGE, 0);
    start_counting(f);
    assert_true(kvm_attach_memory(f->kvm, f->memory, f->io, &error));
    assert_counted(f, 2, 0);
    kvm_detach_memory(f->kvm);
    assert_int_equal(model_vm_slots(f->vm)->len, 0);
    assert_int_equal(f->broken, 0);
    assert_int_equal(kvm_stats(f->kvm).slot_ioctls, 0);
    vm_fixture_free(f);
    model_kvm_reset();
}

static bool find_slot(VmFixture *f, hwaddr gpa, KvmSlotInfo *ret_slot)
{
    bool found;

    memory_system_lock(f->ms);
    found = kvm_find_slot(f->kvm, gpa, ret_slot);
    memory_system_unlock(f->ms);
    return found;
}

static void test_find_slot_at_its_edges(void **state)
{
    VmFixture *f = *state;
    KvmSlotInfo slot = { 0 };

    assert_false(find_slot(f, 0, &slot));
    vm_fixture_put(f, vm_fixture_ram(f, "ram", 2 * PAGE), 0x1000, 0);
    vm_fixture_put(f, vm_fixture_rom(f, "rom", PAGE), 0x3000, 0);
    assert_false(find_slot(f, 0xfff, &slot));
    assert_true(find_slot(f, 0x1000, &slot));
    assert_true(slot.gpa == 0x1000 && slot.size == 2 * PAGE && !slot.readonly && !slot.dirty_log);
    assert_string_equal(slot.region, "ram");
    assert_int_equal((uintptr_t)slot.host, the_slot(f, 0).host);
    assert_true(find_slot(f, 0x2fff, &slot));
    assert_string_equal(slot.region, "ram");
    assert_true(find_slot(f, 0x3000, &slot));
    assert_true(slot.readonly);
    assert_int_equal(slot.id, the_slot(f, 1).id);
    assert_false(find_slot(f, 0x4000, &slot));
    assert_false(find_slot(f, UINT64_MAX, &slot));
}

static void test_slot_largest_page(void **state)
{
    const char *host = (const char *)(uintptr_t)(64 * GIB);
    KvmSlotInfo slot = { .gpa = 4 * GIB - 4 * MIB, .size = 3 * GIB,
                         .host = host + 4 * GIB - 4 * MIB };

    assert_int_equal(kvm_slot_largest_page(&slot, 4 * GIB - 1), 2 * MIB);
    assert_int_equal(kvm_slot_largest_page(&slot, 4 * GIB), GIB);
    assert_int_equal(kvm_slot_largest_page(&slot, 6 * GIB - 1), GIB);
    assert_int_equal(kvm_slot_largest_page(&slot, 6 * GIB), 2 * MIB); /* the end is cut */
    slot.host += 2 * MIB;
    assert_int_equal(kvm_slot_largest_page(&slot, 5 * GIB), 2 * MIB);
    slot.host += PAGE;
    assert_int_equal(kvm_slot_largest_page(&slot, 5 * GIB), PAGE);
    slot.host -= PAGE;
    slot.dirty_log = true;
    assert_int_equal(kvm_slot_largest_page(&slot, 5 * GIB), PAGE);
    slot = (KvmSlotInfo){ .gpa = PAGE, .size = 4 * MIB - PAGE, .host = host + PAGE };
    assert_int_equal(kvm_slot_largest_page(&slot, 2 * MIB - 1), PAGE);
    assert_int_equal(kvm_slot_largest_page(&slot, 2 * MIB), 2 * MIB);
    slot.size -= PAGE;
    assert_int_equal(kvm_slot_largest_page(&slot, 2 * MIB), PAGE);
}

static void test_slots_dump(void **state)
{
    VmFixture *f = *state;
    g_autoptr(GString) out = g_string_new(NULL);

    vm_fixture_put(f, vm_fixture_ram(f, "some.ram", 2 * PAGE), 0x1000, 0);
    vm_fixture_put(f, vm_fixture_rom(f, "some.rom", PAGE), 0x100000, 0);
    memory_system_lock(f->ms);
    kvm_dump_slots(f->kvm, out);
    memory_system_unlock(f->ms);
    assert_non_null(strstr(out->str, "slot 0: 0000000000001000-0000000000002fff host 0x"));
    assert_non_null(strstr(out->str, " rw some.ram\nslot 1: "));
    assert_non_null(strstr(out->str, " ro some.rom\n"));
}

/* --- Random layouts and edits --- */

#define REGIONS 14
#define WINDOW  96 /* pages */

typedef struct World {
    VmFixture *f;
    TestRandom r;
    MemoryRegion *regions[REGIONS];
    MemoryRegion *roms[3];
    GArray *before;      /* Mapped: at the last commit */
    GArray *gaps;        /* uint64_t: pages missing at some time since then */
    bool check_untouched; /* not where ids run out */
    unsigned refused;
} World;

static uint32_t below(World *w, uint32_t n)
{
    return test_random_below(&w->r, n);
}

/* Mostly whole pages. */
static uint64_t random_addr(World *w)
{
    return below(w, WINDOW) * PAGE + (below(w, 4) ? 0 : below(w, 4) * 0x400);
}

static void make_regions(World *w)
{
    for (unsigned i = 0; i < REGIONS; i++) {
        uint64_t size = (1 + below(w, 24)) * PAGE;
        MemoryRegion *mr;

        switch (i % 7) {
        case 0:
        case 1:
            mr = vm_fixture_ram(w->f, "ram", size);
            break;
        case 2:
            mr = vm_fixture_rom(w->f, "rom", size);
            break;
        case 3:
            mr = vm_fixture_rom_device(w->f, "romd", size);
            break;
        case 4:
            mr = vm_fixture_io(w->f, "io", 0x400 * (1 + below(w, 16)));
            break;
        default:
            mr = vm_fixture_alias(w->f, "alias", w->regions[below(w, i - 1)],
                                  below(w, 8) * PAGE + (below(w, 3) ? 0 : 0x400), size);
        }
        w->regions[i] = mr;
        vm_fixture_put(w->f, mr, random_addr(w), (int)below(w, 3));
    }
}

static bool random_edit(World *w)
{
    MemoryRegion *mr = w->regions[below(w, REGIONS)];

    switch (below(w, 9)) {
    case 0:
        return memory_region_set_address(mr, random_addr(w), NULL);
    case 1:
        return memory_region_set_priority(mr, (int)below(w, 3), NULL);
    case 2:
        return memory_region_set_readonly(mr, below(w, 2), NULL);
    case 3:
        return !memory_region_is_ram(mr) ||
               memory_region_set_log(mr, below(w, 2), DIRTY_CLIENT_MIGRATION, NULL);
    case 4:
        return memory_region_set_nonvolatile(mr, below(w, 2), NULL);
    case 5:
        return !memory_region_is_rom_device(mr) ||
               memory_region_rom_device_set_romd(mr, below(w, 2), NULL);
    case 6:
        return !memory_region_alias(mr) ||
               memory_region_set_alias_offset(mr, random_addr(w) / 4, NULL);
    default:
        return memory_region_set_enabled(mr, below(w, 2), NULL);
    }
}

static bool page_in(const GArray *runs, uint64_t gpa)
{
    return mapped_at(runs, gpa) != NULL;
}

/*
 * While the guest may run, no page is missing that is there before and after. What is after is not
 * known until the commit ends: the gaps seen are kept, and judged then.
 */
static void note_gaps(ModelVm *vm, void *opaque)
{
    World *w = opaque;
    g_autoptr(GArray) now = NULL;

    if (w->f->parked || !w->before) {
        return;
    }
    now = vm_fixture_mapped(w->f);
    for (uint64_t gpa = 0; gpa < 2 * WINDOW * PAGE; gpa += PAGE) {
        if (page_in(w->before, gpa) && !page_in(now, gpa)) {
            g_array_append_val(w->gaps, gpa);
        }
    }
}

static void judge_gaps(World *w, const GArray *now)
{
    for (guint i = 0; i < w->gaps->len; i++) {
        assert_false(page_in(now, g_array_index(w->gaps, uint64_t, i)));
    }
    g_array_set_size(w->gaps, 0);
}

/* A slot whose pages stay as they were, in writability and place, is still the same slot. */
static void check_untouched(World *w, const GArray *old_slots, const GArray *now)
{
    for (guint i = 0; i < old_slots->len; i++) {
        ModelSlot old = g_array_index(old_slots, ModelSlot, i);
        const Mapped *run = mapped_at(now, old.gpa);
        bool found = false;

        if (!run || old.gpa + old.size > run->gpa + run->size || old.flags != run->flags ||
            old.host - old.gpa != run->host - run->gpa) {
            continue;
        }
        for (guint j = 0; j < model_vm_slots(w->f->vm)->len; j++) {
            ModelSlot s = g_array_index(model_vm_slots(w->f->vm), ModelSlot, j);

            found |= s.id == old.id && s.gpa == old.gpa && s.size == old.size;
        }
        if (!found) {
            /* Two regions that show one block side by side are two tiles to the planner. */
            fail_msg("slot %u at %lx was touched", old.id, (unsigned long)old.gpa);
        }
    }
}

static void random_transaction(World *w)
{
    g_autoptr(GArray) old = g_array_new(FALSE, TRUE, sizeof(ModelSlot));
    g_autoptr(GError) error = NULL;
    unsigned edits = 1 + below(w, 4);

    g_array_append_vals(old, model_vm_slots(w->f->vm)->data, model_vm_slots(w->f->vm)->len);
    w->before = vm_fixture_mapped(w->f);
    memory_region_transaction_begin(w->f->ms);
    for (unsigned i = 0; i < edits; i++) {
        random_edit(w);
    }
    if (!memory_region_transaction_commit(w->f->ms, &error)) {
        assert_non_null(error);
        w->refused++;
    }
    vm_fixture_check(w->f);
    view_check(w->f->memory);
    g_autoptr(GArray) now = vm_fixture_mapped(w->f);
    judge_gaps(w, now);
    if (w->check_untouched) {
        check_untouched(w, old, now);
    }
    g_clear_pointer(&w->before, g_array_unref);
}

/* Returns how many transactions were refused. */
static unsigned run_world(uint64_t seed, unsigned nr_slots, unsigned transactions)
{
    World w = { .check_untouched = nr_slots == 0 };

    model_kvm_reset();
    if (nr_slots) {
        model_kvm_set_cap(KVM_CAP_NR_MEMSLOTS, (int)nr_slots);
    }
    w.r = test_random_new("slot layouts", seed);
    w.gaps = g_array_new(FALSE, TRUE, sizeof(uint64_t));
    w.f = vm_fixture_new_detached();
    model_vm_set_slot_hook(w.f->vm, note_gaps, &w);
    make_regions(&w);
    for (unsigned i = 2; nr_slots && i < REGIONS; i++) {
        /* All at once would not fit. */
        assert_true(memory_region_set_enabled(w.regions[i], false, NULL));
    }
    assert_true(kvm_attach_memory(w.f->kvm, w.f->memory, w.f->io, NULL));
    for (unsigned i = 0; i < transactions; i++) {
        random_transaction(&w);
    }
    assert_int_equal(w.f->broken, 0);
    g_array_unref(w.gaps);
    vm_fixture_free(w.f);
    model_kvm_reset();
    return w.refused;
}

static void test_slots_random_edits(void **state)
{
    unsigned worlds = g_getenv("TESSERA_LONG") ? 200 : 12;

    for (unsigned i = 0; i < worlds; i++) {
        assert_int_equal(run_world(100 + i, 0, 250), 0);
    }
}

static void test_slots_random_edits_with_few_slots(void **state)
{
    unsigned worlds = g_getenv("TESSERA_LONG") ? 200 : 8;

    unsigned refused = 0;

    for (unsigned i = 0; i < worlds; i++) {
        refused += run_world(500 + i, 4, 250);
    }
    printf("%u transactions refused\n", refused);
    assert_true(refused > worlds && refused < worlds * 125);
}

int main(void)
{
#define WITH_VM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_VM(test_slots_pc_ram_across_the_hole),
        WITH_VM(test_slots_rom_is_readonly),
        WITH_VM(test_slots_rom_device_only_in_romd_mode),
        WITH_VM(test_slots_io_gets_none),
        WITH_VM(test_slots_cut_to_pages),
        WITH_VM(test_slots_odd_alias_offset_gets_none),
        WITH_VM(test_slots_toggle_overlay),
        WITH_VM(test_slots_log_is_one_ioctl),
        WITH_VM(test_slots_logged_region_goes),
        WITH_VM(test_slots_dimm_touches_no_other),
        WITH_VM(test_slots_transaction_without_effect),
        WITH_VM(test_slots_readonly_replaces_parked),
        WITH_VM(test_slots_above_the_address_width),
        WITH_VM(test_slots_io_above_the_address_width),
        cmocka_unit_test_setup_teardown(test_slots_exhausted, setup_three_slots, teardown),
        cmocka_unit_test_setup_teardown(test_slots_move_at_the_limit, setup_three_slots, teardown),
        cmocka_unit_test_setup_teardown(test_slots_compact_elsewhere, setup_three_slots, teardown),
        WITH_VM(test_slots_one_of_several_tiles_changes),
        WITH_VM(test_slots_ids_are_used_again),
        cmocka_unit_test(test_slots_attach_late_and_detach),
        WITH_VM(test_find_slot_at_its_edges),
        cmocka_unit_test(test_slot_largest_page),
        WITH_VM(test_slots_dump),
        cmocka_unit_test(test_slots_random_edits),
        cmocka_unit_test(test_slots_random_edits_with_few_slots),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
