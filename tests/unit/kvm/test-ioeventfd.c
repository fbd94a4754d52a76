/* SPDX-License-Identifier: MIT */
/* ioeventfds that follow the address spaces, and what a guest's write does with them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "support/vm-fixture.h"
#include "tessera/util/error.h"
#include "tessera/util/event-notifier.h"

typedef struct Machine {
    VmFixture *f;
    MemoryRegion *device; /* at 0x10000 */
    MemoryRegion *port;   /* at port 0x100 */
    EventNotifier n[2];
} Machine;

static int setup(void **state)
{
    Machine *m = g_new0(Machine, 1);

    model_kvm_reset();
    m->f = vm_fixture_new();
    m->device = vm_fixture_io(m->f, "device", 0x1000);
    m->port = vm_fixture_io(m->f, "port", 0x10);
    vm_fixture_put(m->f, m->device, 0x10000, 0);
    assert_true(memory_region_add_subregion(m->f->ports, 0x100, m->port, NULL));
    assert_true(event_notifier_init(&m->n[0], NULL) && event_notifier_init(&m->n[1], NULL));
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    Machine *m = *state;

    /* The devices go first: with them their registrations. */
    assert_true(memory_region_del_subregion(m->f->system, m->device, NULL));
    assert_true(memory_region_del_subregion(m->f->ports, m->port, NULL));
    assert_int_equal(model_vm_ioeventfds(m->f->vm)->len, 0);
    vm_fixture_free(m->f);
    event_notifier_done(&m->n[0]);
    event_notifier_done(&m->n[1]);
    g_free(m);
    model_kvm_reset();
    return 0;
}

static ModelIoeventfd only_one(Machine *m)
{
    assert_int_equal(model_vm_ioeventfds(m->f->vm)->len, 1);
    return g_array_index(model_vm_ioeventfds(m->f->vm), ModelIoeventfd, 0);
}

static void test_ioeventfd_memory(void **state)
{
    Machine *m = *state;
    ModelIoeventfd e;

    assert_true(memory_region_add_eventfd(m->device, 0x20, 4, false, 0, &m->n[0], NULL));
    e = only_one(m);
    assert_int_equal(memory_system_last_stats(m->f->ms).ioctls, 1);
    assert_int_equal(e.addr, 0x10020);
    assert_int_equal(e.len, 4);
    assert_int_equal(e.flags, 0);
    assert_int_equal(e.fd, m->n[0].fd);
    assert_int_equal(model_vm_guest_write(m->f->vm, false, 0x10020, 4, 1), MODEL_WRITE_IOEVENTFD);
    assert_true(event_notifier_test_and_clear(&m->n[0]));
    assert_int_equal(model_vm_guest_write(m->f->vm, false, 0x10020, 2, 1), MODEL_WRITE_EXIT);
    assert_int_equal(model_vm_guest_write(m->f->vm, true, 0x10020, 4, 1), MODEL_WRITE_EXIT);
    assert_false(event_notifier_test_and_clear(&m->n[0]));
}

static void test_ioeventfd_port(void **state)
{
    Machine *m = *state;

    assert_true(memory_region_add_eventfd(m->port, 2, 1, false, 0, &m->n[0], NULL));
    assert_int_equal(only_one(m).addr, 0x102);
    assert_int_equal(only_one(m).flags, KVM_IOEVENTFD_FLAG_PIO);
    assert_int_equal(model_vm_guest_write(m->f->vm, true, 0x102, 1, 9), MODEL_WRITE_IOEVENTFD);
    assert_true(event_notifier_test_and_clear(&m->n[0]));
}

static void test_ioeventfd_datamatch(void **state)
{
    Machine *m = *state;

    assert_true(memory_region_add_eventfd(m->device, 0, 2, true, 7, &m->n[0], NULL));
    assert_true(memory_region_add_eventfd(m->device, 0, 2, true, 8, &m->n[1], NULL));
    assert_int_equal(model_vm_guest_write(m->f->vm, false, 0x10000, 2, 8), MODEL_WRITE_IOEVENTFD);
    assert_false(event_notifier_test_and_clear(&m->n[0]));
    assert_true(event_notifier_test_and_clear(&m->n[1]));
    assert_int_equal(model_vm_guest_write(m->f->vm, false, 0x10000, 2, 9), MODEL_WRITE_EXIT);
}

static void test_ioeventfd_any_length(void **state)
{
    Machine *m = *state;

    assert_true(memory_region_add_eventfd(m->device, 8, 0, false, 0, &m->n[0], NULL));
    for (unsigned len = 1; len <= 8; len *= 2) {
        assert_int_equal(model_vm_guest_write(m->f->vm, false, 0x10008, len, 1),
                         MODEL_WRITE_IOEVENTFD);
    }
}

static void test_ioeventfd_any_length_not_offered(void **state)
{
    Machine *m = *state;
    g_autoptr(GError) error = NULL;

    m->f->kvm->caps.ioeventfd_any_length = false;
    model_kvm_reset_counts();
    assert_false(memory_region_add_eventfd(m->device, 8, 0, false, 0, &m->n[0], &error));
    assert_non_null(strstr(error->message, "KVM_CAP_IOEVENTFD_ANY_LENGTH"));
    assert_non_null(strstr(error->message, "device"));
    assert_int_equal(model_kvm_calls(), 0);
}

static void test_ioeventfd_follows_a_move(void **state)
{
    Machine *m = *state;

    assert_true(memory_region_add_eventfd(m->device, 0x20, 4, false, 0, &m->n[0], NULL));
    assert_true(memory_region_set_address(m->device, 0x20000, NULL));
    assert_int_equal(only_one(m).addr, 0x20020);
    assert_true(memory_region_set_enabled(m->device, false, NULL));
    assert_int_equal(model_vm_ioeventfds(m->f->vm)->len, 0);
    assert_true(memory_region_set_enabled(m->device, true, NULL));
    assert_int_equal(only_one(m).addr, 0x20020);
}

/* Another eventfd in the same place: the old one goes before the new one comes. */
static void test_ioeventfd_replaced_in_one_commit(void **state)
{
    Machine *m = *state;

    assert_true(memory_region_add_eventfd(m->device, 0, 4, false, 0, &m->n[0], NULL));
    memory_region_transaction_begin(m->f->ms);
    assert_true(memory_region_del_eventfd(m->device, 0, 4, false, 0, &m->n[0], NULL));
    assert_true(memory_region_add_eventfd(m->device, 0, 4, false, 0, &m->n[1], NULL));
    assert_int_equal(only_one(m).fd, m->n[0].fd); /* queued */
    assert_true(memory_region_transaction_commit(m->f->ms, NULL));
    assert_int_equal(only_one(m).fd, m->n[1].fd);
}

static void test_ioeventfd_untouched_by_other_edits(void **state)
{
    Machine *m = *state;

    assert_true(memory_region_add_eventfd(m->device, 0, 4, false, 0, &m->n[0], NULL));
    model_kvm_reset_counts();
    vm_fixture_put(m->f, vm_fixture_ram(m->f, "ram", 0x10000), 0x100000, 0);
    assert_int_equal(model_kvm_count(KVM_IOEVENTFD), 0);
    assert_int_equal(model_kvm_calls(), 1);
}

/* The Nth of several registrations fails: none stays, those before are as they were. */
static void test_ioeventfd_failure_undoes_all(void **state)
{
    Machine *m = *state;

    assert_true(memory_region_add_eventfd(m->device, 0, 4, false, 0, &m->n[0], NULL));
    for (unsigned n = 1; n <= 4; n++) {
        g_autoptr(GError) error = NULL;

        memory_region_transaction_begin(m->f->ms);
        assert_true(memory_region_del_eventfd(m->device, 0, 4, false, 0, &m->n[0], NULL));
        for (unsigned i = 1; i < 4; i++) {
            assert_true(memory_region_add_eventfd(m->device, i * 4, 4, false, 0, &m->n[1], NULL));
        }
        model_kvm_fail_nth(n, EMFILE, false);
        assert_false(memory_region_transaction_commit(m->f->ms, &error));
        assert_non_null(strstr(error->message, n == 1 ? "unbind" : "bind"));
        assert_non_null(strstr(error->message, "0x1000"));
        assert_int_equal(only_one(m).addr, 0x10000);
        assert_int_equal(m->f->broken, 0);
    }
}

static void test_ioeventfd_failure_to_undo_breaks_the_vm(void **state)
{
    Machine *m = *state;
    g_autoptr(GError) error = NULL;

    memory_region_transaction_begin(m->f->ms);
    assert_true(memory_region_add_eventfd(m->device, 0, 4, false, 0, &m->n[0], NULL));
    assert_true(memory_region_add_eventfd(m->device, 4, 4, false, 0, &m->n[0], NULL));
    model_kvm_fail_nth(2, EIO, true);
    assert_false(memory_region_transaction_commit(m->f->ms, &error));
    model_kvm_no_faults();
    assert_int_equal(m->f->broken, 1);
    assert_non_null(strstr(m->f->broken_text, "going back"));
    /* What stayed behind, taken away for the tear-down. */
    assert_int_equal(kvm_vm_ioctl(m->f->kvm, KVM_IOEVENTFD,
                                  &(struct kvm_ioeventfd){ .addr = only_one(m).addr, .len = 4,
                                                           .fd = m->n[0].fd,
                                                           .flags = KVM_IOEVENTFD_FLAG_DEASSIGN }),
                     0);
}

int main(void)
{
#define WITH_MACHINE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_MACHINE(test_ioeventfd_memory),
        WITH_MACHINE(test_ioeventfd_port),
        WITH_MACHINE(test_ioeventfd_datamatch),
        WITH_MACHINE(test_ioeventfd_any_length),
        WITH_MACHINE(test_ioeventfd_any_length_not_offered),
        WITH_MACHINE(test_ioeventfd_follows_a_move),
        WITH_MACHINE(test_ioeventfd_replaced_in_one_commit),
        WITH_MACHINE(test_ioeventfd_untouched_by_other_edits),
        WITH_MACHINE(test_ioeventfd_failure_undoes_all),
        WITH_MACHINE(test_ioeventfd_failure_to_undo_breaks_the_vm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
