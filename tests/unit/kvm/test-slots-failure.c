/* SPDX-License-Identifier: MIT */
/* Every ioctl of attaching and of commits fails, once or with all that follow: all or nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "support/vm-fixture.h"
#include "tessera/util/error.h"
#include "tessera/util/event-notifier.h"

#define PAGE 0x1000ULL

/* A machine with some of everything that an edit can change. */
typedef struct Machine {
    VmFixture *f;
    MemoryRegion *ram;
    MemoryRegion *overlay;
    MemoryRegion *dimm;
    MemoryRegion *rom;
    MemoryRegion *device;
    EventNotifier notifier[2];
} Machine;

static void machine_init(Machine *m, bool attach)
{
    model_kvm_reset();
    m->f = attach ? vm_fixture_new() : vm_fixture_new_detached();
    m->ram = vm_fixture_ram(m->f, "ram", 64 * PAGE);
    m->overlay = vm_fixture_io(m->f, "overlay", 4 * PAGE);
    m->dimm = vm_fixture_ram(m->f, "dimm", 16 * PAGE);
    m->rom = vm_fixture_rom(m->f, "rom", 8 * PAGE);
    m->device = vm_fixture_io(m->f, "device", PAGE);
    vm_fixture_put(m->f, m->ram, 0, 0);
    vm_fixture_put(m->f, m->rom, 128 * PAGE, 0);
    vm_fixture_put(m->f, m->device, 256 * PAGE, 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(event_notifier_init(&m->notifier[i], NULL));
    }
    assert_true(memory_region_add_eventfd(m->device, 0x10, 4, false, 0, &m->notifier[0], NULL));
    assert_true(memory_region_add_coalescing(m->device, 0x100, 0x100, NULL));
}

static void machine_done(Machine *m)
{
    if (memory_region_container(m->device)) {
        memory_region_del_eventfd(m->device, 0x10, 4, false, 0, &m->notifier[0], NULL);
    }
    vm_fixture_free(m->f);
    event_notifier_done(&m->notifier[0]);
    event_notifier_done(&m->notifier[1]);
    model_kvm_reset();
}

/* Everything that the kernel has, as text. */
static char *kernel_state(Machine *m)
{
    GString *s = g_string_new(NULL);
    g_autoptr(GArray) runs = vm_fixture_mapped(m->f);

    for (guint i = 0; i < runs->len; i++) {
        Mapped r = g_array_index(runs, Mapped, i);

        g_string_append_printf(s, "%lx+%lx@%lx/%lx\n", (unsigned long)r.gpa, (unsigned long)r.size,
                               (unsigned long)r.host, (unsigned long)r.flags);
    }
    for (guint i = 0; i < model_vm_ioeventfds(m->f->vm)->len; i++) {
        ModelIoeventfd e = g_array_index(model_vm_ioeventfds(m->f->vm), ModelIoeventfd, i);

        g_string_append_printf(s, "event %lx/%u\n", (unsigned long)e.addr, e.len);
    }
    for (guint i = 0; i < model_vm_zones(m->f->vm)->len; i++) {
        struct kvm_coalesced_mmio_zone z =
            g_array_index(model_vm_zones(m->f->vm), struct kvm_coalesced_mmio_zone, i);

        g_string_append_printf(s, "zone %lx+%x\n", (unsigned long)z.addr, z.size);
    }
    return g_string_free(s, FALSE);
}

/* Edits: each a commit of several ioctls. @return the commit's */

static bool edit_overlay(Machine *m, GError **error)
{
    return memory_region_add_subregion_overlap(m->f->system, 16 * PAGE, m->overlay, 1, error);
}

static bool edit_dimm(Machine *m, GError **error)
{
    return memory_region_add_subregion(m->f->system, 512 * PAGE, m->dimm, error);
}

static bool edit_readonly(Machine *m, GError **error)
{
    return memory_region_set_readonly(m->ram, true, error);
}

static bool edit_log(Machine *m, GError **error)
{
    return memory_region_set_log(m->ram, true, DIRTY_CLIENT_MIGRATION, error);
}

static bool edit_move(Machine *m, GError **error)
{
    return memory_region_set_address(m->ram, 8 * PAGE, error);
}

static bool edit_device_goes(Machine *m, GError **error)
{
    return memory_region_del_subregion(m->f->system, m->device, error);
}

static bool edit_everything(Machine *m, GError **error)
{
    memory_region_transaction_begin(m->f->ms);
    memory_region_add_subregion_overlap(m->f->system, 16 * PAGE, m->overlay, 1, NULL);
    memory_region_add_subregion(m->f->system, 512 * PAGE, m->dimm, NULL);
    memory_region_set_address(m->rom, 136 * PAGE, NULL);
    memory_region_set_address(m->device, 300 * PAGE, NULL);
    memory_region_add_eventfd(m->device, 0x20, 0, false, 0, &m->notifier[1], NULL);
    memory_region_add_coalescing(m->device, 0x400, 0x10, NULL);
    return memory_region_transaction_commit(m->f->ms, error);
}

typedef bool Edit(Machine *m, GError **error);

static Edit *const edits[] = {
    edit_overlay, edit_dimm, edit_readonly, edit_log, edit_move, edit_device_goes, edit_everything,
};

static unsigned long count_ioctls(Edit *edit)
{
    Machine m;
    unsigned long n;

    machine_init(&m, true);
    model_kvm_reset_counts();
    assert_true(edit(&m, NULL));
    n = model_kvm_calls();
    vm_fixture_check(m.f);
    /* What edit_everything added must go before its notifier does. */
    memory_region_del_eventfd(m.device, 0x20, 0, false, 0, &m.notifier[1], NULL);
    machine_done(&m);
    return n;
}

/* One ioctl fails: the map, the kernel and the VM are as before, and the same edit works next. */
static void check_single_failure(Edit *edit, unsigned long n)
{
    Machine m;
    g_autoptr(GError) error = NULL;
    g_autofree char *before = NULL, *after = NULL;

    machine_init(&m, true);
    before = kernel_state(&m);
    model_kvm_fail_nth(n, ENOMEM, false);
    assert_false(edit(&m, &error));
    assert_int_equal(model_kvm_faults_hit(), 1);
    model_kvm_no_faults();
    assert_non_null(error);
    assert_non_null(strstr(error->message, g_strerror(ENOMEM)));
    after = kernel_state(&m);
    assert_string_equal(after, before);
    assert_int_equal(m.f->broken, 0);
    vm_fixture_check(m.f);
    assert_true(edit(&m, NULL));
    vm_fixture_check(m.f);
    memory_region_del_eventfd(m.device, 0x20, 0, false, 0, &m.notifier[1], NULL);
    machine_done(&m);
}

/*
 * That ioctl and all later ones fail: the commit fails; either the kernel has what it had, or the
 * VM is told to be broken, with both errors; the tree is as before in any case.
 */
static unsigned check_lasting_failure(Edit *edit, unsigned long n)
{
    Machine m;
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) wanted_before = NULL;
    g_autoptr(GArray) wanted_after = NULL;
    g_autofree char *before = NULL, *after = NULL;
    unsigned broken;

    machine_init(&m, true);
    before = kernel_state(&m);
    wanted_before = vm_fixture_wanted(m.f);
    model_kvm_fail_nth(n, EIO, true);
    assert_false(edit(&m, &error));
    model_kvm_no_faults();
    assert_non_null(error);
    after = kernel_state(&m);
    broken = m.f->broken;
    assert_true(broken || strcmp(before, after) == 0);
    wanted_after = vm_fixture_wanted(m.f);
    assert_int_equal(wanted_before->len, wanted_after->len);
    assert_memory_equal(wanted_before->data, wanted_after->data,
                        wanted_before->len * sizeof(Mapped));
    assert_false(m.f->parked);
    machine_done(&m);
    return broken;
}

static void test_commit_each_ioctl_fails(void **state)
{
    for (size_t i = 0; i < G_N_ELEMENTS(edits); i++) {
        unsigned long calls = count_ioctls(edits[i]);

        assert_true(calls > 0);
        for (unsigned long n = 1; n <= calls; n++) {
            check_single_failure(edits[i], n);
        }
    }
}

static void test_commit_each_ioctl_and_all_later_fail(void **state)
{
    unsigned broken = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(edits); i++) {
        unsigned long calls = count_ioctls(edits[i]);

        for (unsigned long n = 1; n <= calls; n++) {
            broken += check_lasting_failure(edits[i], n);
        }
    }
    assert_true(broken > 0);
}

/* A split fails after the old slot went, and that slot is not taken back. */
static void test_commit_broken_names_both_errors(void **state)
{
    Machine m;
    g_autoptr(GError) error = NULL;

    machine_init(&m, true);
    model_kvm_fail_nth(2, EIO, true);
    assert_false(edit_overlay(&m, &error));
    model_kvm_no_faults();
    assert_int_equal(m.f->broken, 1);
    assert_non_null(strstr(m.f->broken_text, "KVM did not take memory slot"));
    assert_non_null(strstr(m.f->broken_text, "KVM did not take back memory slot"));
    assert_non_null(strstr(m.f->broken_text, "ram"));
    machine_done(&m);
}

/*
 * A broken VM, looked at and repaired: the kernel is well again, and the next commit that touches
 * the place brings the slots to the view.
 */
static void test_commit_after_broken_repairs(void **state)
{
    Machine m;

    machine_init(&m, true);
    model_kvm_fail_nth(2, EIO, true);
    assert_false(edit_overlay(&m, NULL));
    model_kvm_no_faults();
    assert_false(vm_fixture_agrees(m.f));
    assert_true(edit_overlay(&m, NULL));
    vm_fixture_check(m.f);
    machine_done(&m);
}

/* A slot that the kernel would not delete outlives its region; nobody looks at that again. */
static void test_commit_slot_left_behind(void **state)
{
    Machine m;
    g_autoptr(GString) out = g_string_new(NULL);

    machine_init(&m, true);
    memory_region_transaction_begin(m.f->ms);
    memory_region_add_subregion(m.f->system, 512 * PAGE, m.dimm, NULL);
    memory_region_add_eventfd(m.device, 0x20, 0, false, 0, &m.notifier[1], NULL);
    model_kvm_fail_nth(2, EIO, true); /* the slot comes, the eventfd fails, the slot stays */
    assert_false(memory_region_transaction_commit(m.f->ms, NULL));
    model_kvm_no_faults();
    assert_int_equal(m.f->broken, 1);
    memory_region_release(g_ptr_array_steal_index(m.f->regions, 2));
    memory_system_lock(m.f->ms);
    kvm_dump_slots(m.f->kvm, out);
    memory_system_unlock(m.f->ms);
    assert_non_null(strstr(out->str, "left behind by a failed commit"));
    machine_done(&m);
}

static void test_attach_each_ioctl_fails(void **state)
{
    Machine m;
    unsigned long calls;

    machine_init(&m, false);
    model_kvm_reset_counts();
    assert_true(kvm_attach_memory(m.f->kvm, m.f->memory, m.f->io, NULL));
    calls = model_kvm_calls();
    assert_true(calls >= 4);
    machine_done(&m);
    for (unsigned long n = 1; n <= calls; n++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *left = NULL;

        machine_init(&m, false);
        model_kvm_fail_nth(n, ENOMEM, false);
        assert_false(kvm_attach_memory(m.f->kvm, m.f->memory, m.f->io, &error));
        model_kvm_no_faults();
        assert_non_null(error);
        left = kernel_state(&m);
        assert_string_equal(left, "");
        assert_true(kvm_attach_memory(m.f->kvm, m.f->memory, m.f->io, NULL));
        vm_fixture_check(m.f);
        machine_done(&m);
    }
}

static void test_attach_each_ioctl_and_all_later_fail(void **state)
{
    for (unsigned long n = 1; n <= 4; n++) {
        g_autoptr(GError) error = NULL;
        Machine m;

        machine_init(&m, false);
        model_kvm_fail_nth(n, ENOMEM, true);
        assert_false(kvm_attach_memory(m.f->kvm, m.f->memory, m.f->io, &error));
        model_kvm_no_faults();
        assert_non_null(error);
        machine_done(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commit_each_ioctl_fails),
        cmocka_unit_test(test_commit_each_ioctl_and_all_later_fail),
        cmocka_unit_test(test_commit_broken_names_both_errors),
        cmocka_unit_test(test_commit_after_broken_repairs),
        cmocka_unit_test(test_commit_slot_left_behind),
        cmocka_unit_test(test_attach_each_ioctl_fails),
        cmocka_unit_test(test_attach_each_ioctl_and_all_later_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
