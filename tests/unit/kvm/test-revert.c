/* SPDX-License-Identifier: MIT */
/* KVM has followed, and then somebody after it cannot: everything goes back, each kind of change. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "support/vm-fixture.h"
#include "tessera/memory/commit-diff.h"
#include "tessera/memory/commit-stats.h"
#include "tessera/util/event-notifier.h"

#define PAGE 0x1000ULL

/* Comes after KVM's listeners, and fails when it is told to; with or without words. */
typedef struct Late {
    MemoryListener listener;
    bool fails;
    bool silent;
    bool aborts;
    unsigned aborted;
} Late;

static bool late_apply(MemoryListener *l, bool *ret_broken, GError **error)
{
    Late *late = (Late *)(void *)l;

    if (late->fails && !late->silent) {
        g_set_error(error, g_quark_from_static_string("test"), 1, "the late one cannot");
    }
    return !late->fails;
}

static void late_abort(MemoryListener *l)
{
    ((Late *)(void *)l)->aborted++;
}

typedef struct Machine {
    VmFixture *f;
    MemoryRegion *ram;
    MemoryRegion *twin; /* the same memory by another name */
    MemoryRegion *io;
    EventNotifier notifier;
    Late late;
} Machine;

static int setup(void **state)
{
    Machine *m = g_new0(Machine, 1);

    model_kvm_reset();
    m->f = vm_fixture_new();
    m->ram = vm_fixture_ram(m->f, "ram", 64 * PAGE);
    m->twin = memory_region_new_ram(m->f->ms, NULL, "twin", memory_region_ram_block(m->ram));
    g_ptr_array_add(m->f->regions, m->twin);
    m->io = vm_fixture_io(m->f, "io", 4 * PAGE);
    vm_fixture_put(m->f, m->ram, 0, 0);
    vm_fixture_put(m->f, m->io, 256 * PAGE, 0);
    assert_true(event_notifier_init(&m->notifier, NULL));
    m->late = (Late){ .listener = { .name = "late",
                                    .priority = KVM_LISTENER_PRIORITY + 10,
                                    .apply = late_apply,
                                    .abort = late_abort } };
    assert_true(memory_listener_register(&m->late.listener, m->f->memory, NULL));
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    Machine *m = *state;

    m->late.fails = false;
    memory_listener_unregister(&m->late.listener);
    vm_fixture_free(m->f);
    event_notifier_done(&m->notifier);
    g_free(m);
    model_kvm_reset();
    return 0;
}

/* Slots with the regions that they show, ioeventfds, coalesced zones: as text. */
static char *kernel_state(Machine *m)
{
    GString *s = g_string_new(NULL);

    memory_system_lock(m->f->ms);
    kvm_dump_slots(m->f->kvm, s);
    memory_system_unlock(m->f->ms);
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

/* Edits, each of another kind for the kernel. */

static bool edit_log(Machine *m, GError **error)
{
    return memory_region_set_log(m->ram, true, DIRTY_CLIENT_MIGRATION, error);
}

static bool edit_coalescing(Machine *m, GError **error)
{
    return memory_region_add_coalescing(m->io, 0x100, 0x10, error);
}

static bool edit_eventfd(Machine *m, GError **error)
{
    return memory_region_add_eventfd(m->io, 0x20, 4, false, 0, &m->notifier, error);
}

/* The same memory at the same place, as another region: no ioctl, but another name. */
static bool edit_label(Machine *m, GError **error)
{
    memory_region_transaction_begin(m->f->ms);
    memory_region_del_subregion(m->f->system, m->ram, NULL);
    memory_region_add_subregion(m->f->system, 0, m->twin, NULL);
    return memory_region_transaction_commit(m->f->ms, error);
}

static bool edit_overlay(Machine *m, GError **error)
{
    memory_region_transaction_begin(m->f->ms);
    memory_region_del_subregion(m->f->system, m->io, NULL);
    memory_region_add_subregion_overlap(m->f->system, 8 * PAGE, m->io, 1, NULL);
    return memory_region_transaction_commit(m->f->ms, error);
}

typedef bool Edit(Machine *m, GError **error);

static Edit *const edits[] = { edit_log, edit_coalescing, edit_eventfd, edit_label, edit_overlay };

static void test_commit_goes_back_when_a_later_listener_fails(void **state)
{
    Machine *m = *state;

    for (unsigned i = 0; i < G_N_ELEMENTS(edits); i++) {
        g_autofree char *before = kernel_state(m);
        g_autofree char *after = NULL;
        g_autoptr(GError) error = NULL;

        m->late.fails = true;
        assert_false(edits[i](m, &error));
        assert_string_equal(error->message, "the late one cannot");
        after = kernel_state(m);
        assert_string_equal(after, before);
        assert_int_equal(m->f->broken, 0);
        vm_fixture_check(m->f);
        assert_int_equal(m->late.aborted, i + 1);
    }
    m->late.fails = false;
    for (unsigned i = 0; i < G_N_ELEMENTS(edits); i++) {
        g_autofree char *before = kernel_state(m);
        g_autofree char *after = NULL;
        g_autoptr(GError) error = NULL;

        assert_true(edits[i](m, &error));
        after = kernel_state(m);
        assert_string_not_equal(after, before);
        vm_fixture_check(m->f);
    }
}

/* Another name for the same memory costs no ioctl, and is what people see. */
static void test_commit_of_a_label_needs_no_ioctl(void **state)
{
    Machine *m = *state;
    g_autofree char *before = kernel_state(m);
    g_autofree char *after = NULL;

    model_kvm_reset_counts();
    assert_true(edit_label(m, NULL));
    assert_int_equal(model_kvm_calls(), 0);
    after = kernel_state(m);
    assert_non_null(strstr(before, "ram"));
    assert_non_null(strstr(after, "twin"));
    assert_null(strstr(after, "ram"));
}

static GArray *slot_changes_since(Machine *m, uint64_t from)
{
    uint64_t to = memory_system_total_stats(m->f->ms).commits;
    GArray *changes = memory_system_diff(m->f->ms, from, to, NULL);

    assert_non_null(changes);
    for (guint i = changes->len; i-- > 0;) {
        const MemoryChange *c = &g_array_index(changes, MemoryChange, i);

        if ((c->is.name ? &c->is : &c->was)->layer == MEMORY_LAYER_TILES) {
            g_array_remove_index(changes, i);
        }
    }
    return changes;
}

/* A slot that gets another name and other flags at once: the history knows both, and the way back. */
static void test_history_of_a_label_with_flags(void **state)
{
    Machine *m = *state;
    g_autoptr(GArray) there = NULL;
    g_autoptr(GArray) back = NULL;
    const MemoryChange *c;
    uint64_t from;

    assert_true(memory_region_set_log(m->twin, true, DIRTY_CLIENT_MIGRATION, NULL));
    from = memory_system_total_stats(m->f->ms).commits;
    assert_true(edit_label(m, NULL));
    there = slot_changes_since(m, from);
    assert_int_equal(there->len, 2);
    c = &g_array_index(there, MemoryChange, 0);
    assert_int_equal(c->kind, MEMORY_CHANGE_REMOVED);
    assert_string_equal(c->was.name, "ram");
    c = &g_array_index(there, MemoryChange, 1);
    assert_int_equal(c->kind, MEMORY_CHANGE_ADDED);
    assert_string_equal(c->is.name, "twin");
    assert_true(c->is.dirty_log_mask);

    memory_region_transaction_begin(m->f->ms);
    memory_region_del_subregion(m->f->system, m->twin, NULL);
    memory_region_add_subregion(m->f->system, 0, m->ram, NULL);
    assert_true(memory_region_transaction_commit(m->f->ms, NULL));
    back = slot_changes_since(m, from);
    assert_int_equal(back->len, 0);
}

/* A slot moves with its memory; another part of the same region elsewhere is another slot. */
static void test_history_of_slots_of_one_region(void **state)
{
    Machine *m = *state;
    MemoryRegion *low = memory_region_new_alias(m->f->ms, NULL, "low", m->ram, 0, 4 * PAGE);
    MemoryRegion *high = memory_region_new_alias(m->f->ms, NULL, "high", m->ram, 8 * PAGE, 4 * PAGE);
    g_autoptr(GArray) moved = NULL;
    g_autoptr(GArray) replaced = NULL;
    uint64_t from;

    g_ptr_array_add(m->f->regions, low);
    g_ptr_array_add(m->f->regions, high);
    vm_fixture_put(m->f, low, 512 * PAGE, 0);
    from = memory_system_total_stats(m->f->ms).commits;
    assert_true(memory_region_set_address(low, 520 * PAGE, NULL));
    moved = slot_changes_since(m, from);
    assert_int_equal(moved->len, 1);
    assert_int_equal(g_array_index(moved, MemoryChange, 0).kind, MEMORY_CHANGE_MOVED);

    memory_region_transaction_begin(m->f->ms);
    assert_true(memory_region_del_subregion(m->f->system, low, NULL));
    vm_fixture_put(m->f, high, 530 * PAGE, 0);
    assert_true(memory_region_transaction_commit(m->f->ms, NULL));
    replaced = slot_changes_since(m, from + 1);
    assert_int_equal(replaced->len, 2);
    assert_int_equal(g_array_index(replaced, MemoryChange, 0).kind, MEMORY_CHANGE_REMOVED);
    assert_int_equal(g_array_index(replaced, MemoryChange, 1).kind, MEMORY_CHANGE_ADDED);
    assert_int_equal(g_array_index(replaced, MemoryChange, 1).is.offset, 8 * PAGE);
}

/* Not even the way back works: both errors, the VM stops, for each kind of change with ioctls. */
static void test_commit_that_cannot_go_back_breaks(void **state)
{
    Machine *m = *state;
    unsigned broken = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(edits); i++) {
        g_autoptr(GError) error = NULL;
        unsigned long calls;

        if (edits[i] == edit_label) {
            continue;
        }
        model_kvm_reset_counts();
        m->late.fails = true;
        assert_false(edits[i](m, NULL));
        calls = model_kvm_calls();
        /* Half of them are the way there. */
        model_kvm_fail_nth(calls / 2 + 1, ENOMEM, true);
        assert_false(edits[i](m, &error));
        model_kvm_no_faults();
        assert_string_equal(error->message, "the late one cannot");
        assert_int_equal(m->f->broken, ++broken);
        assert_non_null(m->f->broken_text);
        /* The next commit finds its way from wherever the kernel was left. */
        m->late.fails = false;
        teardown(state);
        setup(state);
        m = *state;
        broken = 0;
    }
}

/* A listener that fails without a word: the commit has one for it. */
static void test_commit_listener_fails_without_an_error(void **state)
{
    Machine *m = *state;
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) replay = NULL;

    m->late.fails = m->late.silent = true;
    assert_false(edit_log(m, &error));
    assert_string_equal(error->message, "listener 'late' could not follow");
    m->late.fails = false;
    memory_listener_unregister(&m->late.listener);
    m->late.fails = true;
    assert_false(memory_listener_register(&m->late.listener, m->f->memory, &replay));
    assert_string_equal(replay->message, "listener 'late' could not follow");
    m->late.fails = false;
    assert_true(memory_listener_register(&m->late.listener, m->f->memory, NULL));
}

static bool early_apply(MemoryListener *l, bool *ret_broken, GError **error)
{
    return true;
}

static bool early_revert(MemoryListener *l, GError **error)
{
    return false; /* without a word */
}

static void note_errors(void *opaque, const GError *commit_error, const GError *revert_error)
{
    *(char **)opaque = g_strdup_printf("%s; %s", commit_error->message, revert_error->message);
}

/* One that cannot go back, and does not say why. */
static void test_commit_listener_cannot_go_back_without_an_error(void **state)
{
    Machine *m = *state;
    MemoryListener early = { .name = "early", .priority = 1, .apply = early_apply,
                             .revert = early_revert };
    MemoryListener nameless = { .priority = 0, .apply = early_apply };
    g_autofree char *errors = NULL;

    assert_true(memory_listener_register(&early, m->f->memory, NULL));
    assert_true(memory_listener_register(&nameless, m->f->memory, NULL)); /* nothing to take back */
    memory_system_set_failed_handler(m->f->ms, note_errors, &errors);
    m->late.fails = true;
    assert_false(edit_log(m, NULL));
    memory_system_set_failed_handler(m->f->ms, NULL, NULL);
    m->late.fails = false;
    memory_listener_unregister(&nameless);
    memory_listener_unregister(&early);
    assert_non_null(errors);
    assert_string_equal(errors, "the late one cannot; listener 'early' could not go back");
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_commit_goes_back_when_a_later_listener_fails),
        TEST(test_commit_of_a_label_needs_no_ioctl),
        TEST(test_history_of_a_label_with_flags),
        TEST(test_history_of_slots_of_one_region),
        TEST(test_commit_that_cannot_go_back_breaks),
        TEST(test_commit_listener_fails_without_an_error),
        TEST(test_commit_listener_cannot_go_back_without_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
