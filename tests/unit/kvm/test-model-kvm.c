/* SPDX-License-Identifier: MIT */
/* The model KVM itself: each rule of the kernel with a case that passes and one that does not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "support/model-kvm.h"
#include "tessera/util/event-notifier.h"

#define PAGE 4096ULL
#define HOST 0x7f0000000000ULL

static const KvmConfig config = { .device = MODEL_KVM_DEVICE,
                                  .identity_map_base = 0xfeffc000,
                                  .tss_base = 0xfeffd000,
                                  .irqchip = true };

static int setup(void **state)
{
    model_kvm_reset();
    *state = kvm_new(&config, NULL);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    kvm_free(*state);
    model_kvm_reset();
    return 0;
}

static int set(Kvm *kvm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size, uint64_t host)
{
    struct kvm_userspace_memory_region m = { slot, flags, gpa, size, host };

    return kvm_vm_ioctl(kvm, KVM_SET_USER_MEMORY_REGION, &m);
}

/* --- Slots --- */

static void test_slot_create_same_move_flags_delete(void **state)
{
    Kvm *kvm = *state;

    assert_int_equal(set(kvm, 3, 0, 0x1000, 4 * PAGE, HOST), 0);
    assert_int_equal(set(kvm, 3, 0, 0x1000, 4 * PAGE, HOST), 0);
    assert_int_equal(set(kvm, 3, 0, 0x2000, 4 * PAGE, HOST), 0);
    assert_int_equal(set(kvm, 3, KVM_MEM_LOG_DIRTY_PAGES, 0x2000, 4 * PAGE, HOST), 0);
    assert_int_equal(set(kvm, 3, 0, 0x8000, 4 * PAGE, HOST), 0);
    assert_int_equal(model_vm_slots(model_kvm_vm(kvm))->len, 1);
    assert_int_equal(g_array_index(model_vm_slots(model_kvm_vm(kvm)), ModelSlot, 0).gpa, 0x8000);
    assert_int_equal(set(kvm, 3, 0, 0x8000, 0, HOST), 0);
    assert_int_equal(model_vm_slots(model_kvm_vm(kvm))->len, 0);
}

static void test_slot_delete_needs_one(void **state)
{
    Kvm *kvm = *state;

    assert_int_equal(set(kvm, 3, 0, 0, 0, 0), -EINVAL);
    assert_int_equal(set(kvm, 3, 0, 0, PAGE, HOST), 0);
    assert_int_equal(set(kvm, 3, 0, 0, 0, 0), 0);
    assert_int_equal(set(kvm, 3, 0, 0, 0, 0), -EINVAL);
}

static void test_slot_alignment(void **state)
{
    Kvm *kvm = *state;

    assert_int_equal(set(kvm, 0, 0, 0x800, PAGE, HOST), -EINVAL);
    assert_int_equal(set(kvm, 0, 0, 0, PAGE + 1, HOST), -EINVAL);
    assert_int_equal(set(kvm, 0, 0, 0, PAGE, HOST + 8), -EINVAL);
    assert_int_equal(set(kvm, 0, 0, 0, PAGE, HOST), 0);
}

static void test_slot_unknown_flags(void **state)
{
    Kvm *kvm = *state;

    assert_int_equal(set(kvm, 0, 1u << 5, 0, PAGE, HOST), -EINVAL);
    assert_int_equal(set(kvm, 0, 1u << 2, 0, PAGE, HOST), -EINVAL); /* guest_memfd: not in v1 */
    assert_int_equal(set(kvm, 0, KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES, 0, PAGE, HOST), 0);
}

static void test_slot_ids(void **state)
{
    Kvm *kvm = *state;

    assert_int_equal(set(kvm, MODEL_KVM_NR_SLOTS - 1, 0, 0, PAGE, HOST), 0);
    assert_int_equal(set(kvm, MODEL_KVM_NR_SLOTS, 0, 2 * PAGE, PAGE, HOST), -EINVAL);
    assert_int_equal(set(kvm, 65535, 0, 2 * PAGE, PAGE, HOST), -EINVAL);
    assert_int_equal(set(kvm, 1 << 16, 0, 2 * PAGE, PAGE, HOST), -EINVAL);
    assert_int_equal(set(kvm, 2 << 16, 0, 2 * PAGE, PAGE, HOST), -EINVAL);
}

static void test_slot_address_limits(void **state)
{
    Kvm *kvm = *state;

    assert_int_equal(set(kvm, 0, 0, UINT64_MAX - PAGE + 1, 2 * PAGE, HOST), -EINVAL); /* wraps */
    assert_int_equal(set(kvm, 0, 0, 1ULL << 52, PAGE, HOST), -EINVAL);
    assert_int_equal(set(kvm, 0, 0, (1ULL << 46) - PAGE, 2 * PAGE, HOST), -EINVAL);
    assert_int_equal(set(kvm, 0, 0, (1ULL << 46) - PAGE, PAGE, HOST), 0);
    assert_int_equal(set(kvm, 1, 0, 0, PAGE, 0xffff800000000000ULL), -EINVAL); /* the kernel's */
}

static void test_slot_page_count(void **state)
{
    Kvm *kvm = *state;

    assert_int_equal(set(kvm, 0, 0, 0, (1ULL << 31) * PAGE, PAGE), -EINVAL);
    assert_int_equal(set(kvm, 0, 0, 0, ((1ULL << 31) - 1) * PAGE, PAGE), 0);
}

static void test_slot_live_changes_refused(void **state)
{
    Kvm *kvm = *state;

    assert_int_equal(set(kvm, 0, 0, 0, 4 * PAGE, HOST), 0);
    assert_int_equal(set(kvm, 0, 0, 0, 2 * PAGE, HOST), -EINVAL);
    assert_int_equal(set(kvm, 0, 0, 0, 4 * PAGE, HOST + PAGE), -EINVAL);
    assert_int_equal(set(kvm, 0, KVM_MEM_READONLY, 0, 4 * PAGE, HOST), -EINVAL);
}

static void test_slot_overlap(void **state)
{
    Kvm *kvm = *state;

    assert_int_equal(set(kvm, 0, 0, 0x4000, 4 * PAGE, HOST), 0);
    assert_int_equal(set(kvm, 1, 0, 0x7000, PAGE, HOST), -EEXIST);
    assert_int_equal(set(kvm, 1, 0, 0x3000, 2 * PAGE, HOST), -EEXIST);
    assert_int_equal(set(kvm, 1, 0, 0x3000, PAGE, HOST), 0);
    assert_int_equal(set(kvm, 1, 0, 0x5000, PAGE, HOST), -EEXIST); /* by moving */
    assert_int_equal(set(kvm, 1, 0, 0x8000, PAGE, HOST), 0);
    assert_int_equal(set(kvm, 0, 0, 0x3000, 4 * PAGE, HOST), 0); /* over itself */
}

static void test_dirty_log_needs_the_flag(void **state)
{
    Kvm *kvm = *state;
    struct kvm_dirty_log log = { .slot = 0 };

    assert_int_equal(set(kvm, 0, 0, 0, 4 * PAGE, HOST), 0);
    assert_int_equal(kvm_vm_ioctl(kvm, KVM_GET_DIRTY_LOG, &log), -ENOENT);
    assert_int_equal(set(kvm, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, 4 * PAGE, HOST), 0);
    assert_int_equal(kvm_vm_ioctl(kvm, KVM_GET_DIRTY_LOG, &log), 0);
}

/* --- Notifiers --- */

static int ioeventfd(Kvm *kvm, uint64_t addr, uint32_t len, int fd, uint32_t flags, uint64_t data)
{
    struct kvm_ioeventfd e = { .datamatch = data, .addr = addr, .len = len, .fd = fd,
                               .flags = flags };

    return kvm_vm_ioctl(kvm, KVM_IOEVENTFD, &e);
}

static void test_ioeventfd_rules(void **state)
{
    Kvm *kvm = *state;
    EventNotifier n;
    const uint32_t match = KVM_IOEVENTFD_FLAG_DATAMATCH, gone = KVM_IOEVENTFD_FLAG_DEASSIGN;

    assert_true(event_notifier_init(&n, NULL));
    assert_int_equal(ioeventfd(kvm, 0x1000, 3, n.fd, 0, 0), -EINVAL);
    assert_int_equal(ioeventfd(kvm, 0x1000, 0, n.fd, match, 0), -EINVAL);
    assert_int_equal(ioeventfd(kvm, UINT64_MAX, 4, n.fd, 0, 0), -EINVAL);
    assert_int_equal(ioeventfd(kvm, 0x1000, 4, n.fd, 1u << 9, 0), -EINVAL);
    assert_int_equal(ioeventfd(kvm, 0x1000, 4, 9999, 0, 0), -EBADF);
    assert_int_equal(ioeventfd(kvm, 0x1000, 4, n.fd, match, 1), 0);
    assert_int_equal(ioeventfd(kvm, 0x1000, 4, n.fd, match, 2), 0);
    assert_int_equal(ioeventfd(kvm, 0x1000, 4, n.fd, match, 1), -EEXIST);
    assert_int_equal(ioeventfd(kvm, 0x1000, 4, n.fd, 0, 0), -EEXIST);
    assert_int_equal(ioeventfd(kvm, 0x1000, 0, n.fd, 0, 0), -EEXIST);
    assert_int_equal(ioeventfd(kvm, 0x1000, 2, n.fd, 0, 0), 0);
    assert_int_equal(ioeventfd(kvm, 0x1000, 4, n.fd, KVM_IOEVENTFD_FLAG_PIO, 0), 0);
    assert_int_equal(ioeventfd(kvm, 0x1000, 4, n.fd, gone | match, 3), -ENOENT);
    assert_int_equal(ioeventfd(kvm, 0x1000, 4, n.fd, gone | match, 2), 0);
    assert_int_equal(ioeventfd(kvm, 0x1000, 4, n.fd, gone | match, 2), -ENOENT);
    event_notifier_done(&n);
}

static int irqfd(Kvm *kvm, int fd, uint32_t gsi, uint32_t flags)
{
    struct kvm_irqfd i = { .fd = (uint32_t)fd, .gsi = gsi, .flags = flags };

    return kvm_vm_ioctl(kvm, KVM_IRQFD, &i);
}

static void test_irqfd_rules(void **state)
{
    Kvm *kvm = *state;
    EventNotifier n;

    assert_true(event_notifier_init(&n, NULL));
    assert_int_equal(irqfd(kvm, n.fd, 5, 1u << 9), -EINVAL);
    assert_int_equal(irqfd(kvm, 9999, 5, 0), -EBADF);
    assert_int_equal(irqfd(kvm, n.fd, 5, 0), 0);
    assert_int_equal(irqfd(kvm, n.fd, 6, 0), -EBUSY);
    assert_int_equal(irqfd(kvm, n.fd, 6, KVM_IRQFD_FLAG_DEASSIGN), 0); /* not found: no error */
    assert_int_equal(irqfd(kvm, n.fd, 5, KVM_IRQFD_FLAG_DEASSIGN), 0);
    assert_int_equal(irqfd(kvm, n.fd, 6, 0), 0);
    event_notifier_done(&n);
}

static void test_zone_rules(void **state)
{
    Kvm *kvm = *state;
    const GArray *zones = model_vm_zones(model_kvm_vm(kvm));
    struct kvm_coalesced_mmio_zone outer = { .addr = 0x1000, .size = 0x100 };
    struct kvm_coalesced_mmio_zone inner = { .addr = 0x1010, .size = 0x10 };
    struct kvm_coalesced_mmio_zone wrong = { .addr = 0x1000, .size = 0x100, .pio = 2 };

    assert_int_equal(kvm_vm_ioctl(kvm, KVM_REGISTER_COALESCED_MMIO, &wrong), -EINVAL);
    assert_int_equal(kvm_vm_ioctl(kvm, KVM_REGISTER_COALESCED_MMIO, &outer), 0);
    assert_int_equal(kvm_vm_ioctl(kvm, KVM_REGISTER_COALESCED_MMIO, &inner), 0);
    assert_int_equal(kvm_vm_ioctl(kvm, KVM_UNREGISTER_COALESCED_MMIO, &inner), 0);
    assert_int_equal(zones->len, 0); /* the outer one contains it */
    assert_int_equal(kvm_vm_ioctl(kvm, KVM_UNREGISTER_COALESCED_MMIO, &inner), 0);
    for (unsigned i = 0; i < 996; i++) {
        assert_int_equal(kvm_vm_ioctl(kvm, KVM_REGISTER_COALESCED_MMIO, &outer), 0);
    }
    assert_int_equal(kvm_vm_ioctl(kvm, KVM_REGISTER_COALESCED_MMIO, &outer), -ENOSPC);
}

/* --- Chips, routes, order of making things --- */

static void test_chip_rules(void **state)
{
    Kvm *kvm = *state;
    struct kvm_irqchip chip = { .chip_id = 3 };
    struct kvm_pit_config pit = { 0 };
    uint64_t identity = 0xfeffc000;

    assert_int_equal(kvm_vm_ioctl(kvm, KVM_CREATE_IRQCHIP, NULL), -EEXIST);
    assert_int_equal(kvm_vm_ioctl(kvm, KVM_CREATE_PIT2, &pit), -EEXIST);
    assert_int_equal(kvm_vm_ioctl(kvm, KVM_GET_IRQCHIP, &chip), -EINVAL);
    assert_int_equal(kvm_vm_ioctl(kvm, KVM_SET_TSS_ADDR, (void *)0xfffff000ULL), -EINVAL);
    int fd = kvm_vm_ioctl(kvm, KVM_CREATE_VCPU, NULL);
    assert_true(fd >= 0);
    assert_int_equal(kvm_vm_ioctl(kvm, KVM_SET_IDENTITY_MAP_ADDR, &identity), -EINVAL);
    assert_int_equal(kvm_vm_ioctl(kvm, KVM_CREATE_VCPU, NULL), -EEXIST);
    assert_int_equal(kvm_vm_ioctl(kvm, 0xdead, NULL), -ENOTTY);
    close(fd);
}

static void test_chips_absent(void **state)
{
    KvmConfig c = config;
    struct kvm_irqchip chip = { .chip_id = 0 };
    struct kvm_pit_config pit = { 0 };
    struct kvm_irq_level line = { .irq = 4, .level = 1 };
    Kvm *kvm;

    model_kvm_reset();
    c.irqchip = false;
    kvm = kvm_new(&c, NULL);
    assert_non_null(kvm);
    assert_int_equal(kvm_vm_ioctl(kvm, KVM_CREATE_PIT2, &pit), -ENOENT);
    assert_int_equal(kvm_vm_ioctl(kvm, KVM_GET_IRQCHIP, &chip), -ENXIO);
    assert_int_equal(kvm_vm_ioctl(kvm, KVM_IRQ_LINE, &line), -ENXIO);
    int fd = kvm_vm_ioctl(kvm, KVM_CREATE_VCPU, NULL);
    assert_true(fd >= 0);
    assert_int_equal(kvm_vm_ioctl(kvm, KVM_CREATE_IRQCHIP, NULL), -EINVAL);
    close(fd);
    kvm_free(kvm);
    model_kvm_reset();
}

static int route(Kvm *kvm, unsigned chip, unsigned pin, unsigned chip2, unsigned pin2)
{
    g_autofree struct kvm_irq_routing *t = g_malloc0(sizeof(*t) + 2 * sizeof(t->entries[0]));

    t->nr = 2;
    for (unsigned i = 0; i < 2; i++) {
        t->entries[i].type = KVM_IRQ_ROUTING_IRQCHIP;
        t->entries[i].gsi = 7;
        t->entries[i].u.irqchip.irqchip = i ? chip2 : chip;
        t->entries[i].u.irqchip.pin = i ? pin2 : pin;
    }
    return kvm_vm_ioctl(kvm, KVM_SET_GSI_ROUTING, t);
}

static void test_route_rules(void **state)
{
    Kvm *kvm = *state;

    assert_int_equal(route(kvm, KVM_IRQCHIP_PIC_MASTER, 7, KVM_IRQCHIP_IOAPIC, 7), 0);
    assert_int_equal(route(kvm, KVM_IRQCHIP_PIC_MASTER, 7, KVM_IRQCHIP_PIC_MASTER, 6), -EINVAL);
    assert_int_equal(route(kvm, KVM_IRQCHIP_PIC_MASTER, 8, KVM_IRQCHIP_IOAPIC, 7), -EINVAL);
    assert_int_equal(route(kvm, KVM_IRQCHIP_PIC_MASTER, 7, KVM_IRQCHIP_IOAPIC, 24), -EINVAL);
    assert_int_equal(route(kvm, 3, 0, KVM_IRQCHIP_IOAPIC, 7), -EINVAL);
}

/* --- Faults, guests' writes, vCPUs --- */

static void test_fail_nth_once_and_lasting(void **state)
{
    Kvm *kvm = *state;

    model_kvm_fail_nth(2, ENOMEM, false);
    assert_int_equal(set(kvm, 0, 0, 0, PAGE, HOST), 0);
    assert_int_equal(set(kvm, 1, 0, 2 * PAGE, PAGE, HOST), -ENOMEM);
    assert_int_equal(set(kvm, 1, 0, 2 * PAGE, PAGE, HOST), 0);
    assert_int_equal(model_kvm_faults_hit(), 1);
    model_kvm_fail_nth(1, EIO, true);
    assert_int_equal(set(kvm, 0, 0, 0, 0, HOST), -EIO);
    assert_int_equal(set(kvm, 0, 0, 0, 0, HOST), -EIO);
    model_kvm_no_faults();
    assert_int_equal(set(kvm, 0, 0, 0, 0, HOST), 0);
}

static void test_fail_request_leaves_others(void **state)
{
    Kvm *kvm = *state;
    struct kvm_clock_data clock = { 0 };

    model_kvm_fail_request(KVM_GET_CLOCK);
    model_kvm_fail_nth(1, EPERM, true);
    assert_int_equal(set(kvm, 0, 0, 0, PAGE, HOST), 0);
    assert_int_equal(kvm_vm_ioctl(kvm, KVM_GET_CLOCK, &clock), -EPERM);
}

static void test_guest_write_reaches_what_is_there(void **state)
{
    Kvm *kvm = *state;
    ModelVm *vm = model_kvm_vm(kvm);
    uint32_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_int_equal(set(kvm, 0, 0, 0x1000, PAGE, (uintptr_t)page), 0);
    assert_int_equal(model_vm_guest_write(vm, false, 0x1004, 4, 77), MODEL_WRITE_RAM);
    assert_int_equal(page[1], 77);
    assert_int_equal(model_vm_guest_write(vm, true, 0x1004, 4, 78), MODEL_WRITE_EXIT);
    assert_int_equal(set(kvm, 0, 0, 0x1000, 0, (uintptr_t)page), 0);
    assert_int_equal(set(kvm, 0, KVM_MEM_READONLY, 0x1000, PAGE, (uintptr_t)page), 0);
    assert_int_equal(model_vm_guest_write(vm, false, 0x1004, 4, 79), MODEL_WRITE_EXIT);
    assert_int_equal(page[1], 77);
    munmap(page, PAGE);
}

static void test_vcpu_takes_scripted_exits(void **state)
{
    Kvm *kvm = *state;
    ModelVm *vm = model_kvm_vm(kvm);
    int fd = kvm_vm_ioctl(kvm, KVM_CREATE_VCPU, NULL);
    uint16_t out = 0x1234, in = 0;
    struct kvm_regs regs = { .rip = 42 }, back;
    struct kvm_run *run;

    assert_true(fd >= 0);
    run = mmap(NULL, kvm->caps.vcpu_mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    model_vcpu_push_io(vm, 0, true, 0x80, 2, 1, &out);
    model_vcpu_push_io(vm, 0, false, 0x60, 2, 1, &in);
    assert_int_equal(model_vcpu_exits_left(vm, 0), 2);
    assert_int_equal(kvm_vcpu_ioctl(kvm, fd, KVM_RUN, NULL), 0);
    assert_int_equal(run->exit_reason, KVM_EXIT_IO);
    assert_int_equal(run->io.port, 0x80);
    assert_memory_equal((char *)run + run->io.data_offset, &out, 2);
    assert_int_equal(kvm_vcpu_ioctl(kvm, fd, KVM_RUN, NULL), 0);
    *(uint16_t *)(void *)((char *)run + run->io.data_offset) = 0xbeef;
    /* The answer is taken at the next entry, which immediate_exit ends at once. */
    assert_int_equal(in, 0);
    run->immediate_exit = 1;
    assert_int_equal(kvm_vcpu_ioctl(kvm, fd, KVM_RUN, NULL), -EINTR);
    assert_int_equal(in, 0xbeef);
    assert_int_equal(kvm_vcpu_ioctl(kvm, fd, KVM_SET_REGS, &regs), 0);
    assert_int_equal(kvm_vcpu_ioctl(kvm, fd, KVM_GET_REGS, &back), 0);
    assert_int_equal(back.rip, 42);
    munmap(run, kvm->caps.vcpu_mmap_size);
    close(fd);
}

int main(void)
{
#define WITH_KVM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_KVM(test_slot_create_same_move_flags_delete),
        WITH_KVM(test_slot_delete_needs_one),
        WITH_KVM(test_slot_alignment),
        WITH_KVM(test_slot_unknown_flags),
        WITH_KVM(test_slot_ids),
        WITH_KVM(test_slot_address_limits),
        WITH_KVM(test_slot_page_count),
        WITH_KVM(test_slot_live_changes_refused),
        WITH_KVM(test_slot_overlap),
        WITH_KVM(test_dirty_log_needs_the_flag),
        WITH_KVM(test_ioeventfd_rules),
        WITH_KVM(test_irqfd_rules),
        WITH_KVM(test_zone_rules),
        WITH_KVM(test_chip_rules),
        cmocka_unit_test(test_chips_absent),
        WITH_KVM(test_route_rules),
        WITH_KVM(test_fail_nth_once_and_lasting),
        WITH_KVM(test_fail_request_leaves_others),
        WITH_KVM(test_guest_write_reaches_what_is_there),
        WITH_KVM(test_vcpu_takes_scripted_exits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
