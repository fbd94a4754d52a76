/* SPDX-License-Identifier: MIT */
/* Making a VM: what it asks KVM for, and the sentence for each way in which KVM is not there. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>
#include "support/model-kvm.h"
#include "tessera/util/error.h"
#include "tessera/util/event-notifier.h"

static const KvmConfig config = { .device = MODEL_KVM_DEVICE,
                                  .identity_map_base = 0xfeffc000,
                                  .tss_base = 0xfeffd000,
                                  .irqchip = true };

static int setup(void **state)
{
    model_kvm_reset();
    return 0;
}

/* A failing kvm_new(): one line, with these words, nothing left open. */
static void assert_refused(const KvmConfig *c, const char *word, const char *word2)
{
    g_autoptr(GError) error = NULL;
    int before = open("/dev/null", O_RDONLY | O_CLOEXEC), after;

    close(before);
    assert_null(kvm_new(c, &error));
    assert_non_null(error);
    assert_true(error->domain == TESSERA_ERROR);
    assert_true(g_str_has_prefix(error->message, "KVM "));
    assert_null(strchr(error->message, '\n'));
    if (!strstr(error->message, word) || !strstr(error->message, word2)) {
        fail_msg("\"%s\" lacks \"%s\" or \"%s\"", error->message, word, word2);
    }
    after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(after);
    assert_int_equal(before, after);
}

static KvmConfig with_device(const char *device)
{
    KvmConfig c = config;

    c.device = device;
    return c;
}

static void test_kvm_new_makes_the_vm(void **state)
{
    g_autoptr(GError) error = NULL;
    Kvm *kvm = kvm_new(&config, &error);
    ModelVm *vm;

    assert_null(error);
    assert_non_null(kvm);
    vm = model_kvm_vm(kvm);
    assert_int_equal(model_vm_identity_map(vm), 0xfeffc000);
    assert_int_equal(model_vm_tss(vm), 0xfeffd000);
    assert_int_equal(model_vm_pit_flags(vm), KVM_PIT_SPEAKER_DUMMY);
    assert_int_equal(model_vm_quirks_off(vm), KVM_X86_QUIRK_SLOT_ZAP_ALL);
    assert_int_equal(kvm_max_vcpus(kvm), 1024);
    assert_int_equal(kvm_max_slots(kvm), MODEL_KVM_NR_SLOTS);
    assert_int_equal(kvm->caps.coalesced_page, 2);
    assert_true(kvm->caps.coalesced_pio);
    kvm_free(kvm);
}

static void test_kvm_new_without_irqchip_makes_none(void **state)
{
    g_autoptr(GError) error = NULL;
    KvmConfig c = config;
    Kvm *kvm;

    c.irqchip = false;
    kvm = kvm_new(&c, &error);
    assert_non_null(kvm);
    assert_int_equal(model_kvm_count(KVM_CREATE_IRQCHIP), 0);
    assert_int_equal(model_kvm_count(KVM_CREATE_PIT2), 0);
    assert_true(kvm_reset_irqchip(kvm, &error));
    kvm_set_gsi(kvm, 4, true);
    assert_int_equal(model_kvm_count(KVM_IRQ_LINE), 0);
    kvm_free(kvm);
}

static void test_kvm_new_two_vms_know_nothing_of_each_other(void **state)
{
    g_autoptr(GError) error = NULL;
    Kvm *a = kvm_new(&config, &error);
    Kvm *b = kvm_new(&config, &error);

    assert_non_null(a);
    assert_non_null(b);
    kvm_set_gsi(a, 4, true);
    assert_int_equal(model_vm_gsi_level(model_kvm_vm(a), 4), 1);
    assert_int_equal(model_vm_gsi_level(model_kvm_vm(b), 4), 0);
    kvm_free(a);
    kvm_free(b);
}

static void test_kvm_new_device_missing(void **state)
{
    KvmConfig c = with_device("/dev/no-such-kvm");

    assert_refused(&c, "/dev/no-such-kvm", "/proc/cpuinfo");
}

/* The words differ with the machine: the module's, or virtualization's. */
static void test_kvm_new_device_missing_says_what_to_do(void **state)
{
    KvmConfig c = with_device("/dev/no-such-kvm");
    g_autoptr(GError) error = NULL;

    assert_null(kvm_new(&c, &error));
    assert_true(strstr(error->message, "modprobe kvm_") ||
                strstr(error->message, "nested virtualization") ||
                strstr(error->message, "firmware setup"));
}

static void test_kvm_new_device_is_a_directory(void **state)
{
    KvmConfig c = with_device("/tmp");

    assert_refused(&c, "/tmp", "directory");
}

static void test_kvm_new_device_is_a_file(void **state)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("tessera-XXXXXX", &path, NULL);
    KvmConfig c = with_device(path);

    assert_true(fd >= 0);
    close(fd);
    assert_refused(&c, path, "not a KVM device");
    g_unlink(path);
}

static void test_kvm_new_device_not_permitted(void **state)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("tessera-XXXXXX", &path, NULL);
    KvmConfig c = with_device(path);
    uid_t uid = geteuid();

    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0), 0);
    close(fd);
    /* root may open anything: be somebody else for the length of the call. */
    assert_true(uid != 0 || seteuid(65534) == 0);
    assert_refused(&c, path, "group kvm");
    assert_int_equal(seteuid(uid), 0);
    g_unlink(path);
}

static void test_kvm_new_device_is_another(void **state)
{
    model_kvm_set_api_version(-ENOTTY);
    assert_refused(&config, "not a KVM device", MODEL_KVM_DEVICE);
}

static void test_kvm_new_wrong_api_version(void **state)
{
    model_kvm_set_api_version(11);
    assert_refused(&config, "version 11", "version 12");
}

static void test_kvm_new_busy(void **state)
{
    model_kvm_fail_create_vm(EBUSY);
    assert_refused(&config, "busy", "another hypervisor");
}

static void test_kvm_new_each_required_capability_missing(void **state)
{
    const int required[] = {
        KVM_CAP_USER_MEMORY, KVM_CAP_DESTROY_MEMORY_REGION_WORKS,
        KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, KVM_CAP_NR_MEMSLOTS, KVM_CAP_READONLY_MEM,
        KVM_CAP_IMMEDIATE_EXIT, KVM_CAP_IOEVENTFD, KVM_CAP_SET_TSS_ADDR,
        KVM_CAP_SET_IDENTITY_MAP_ADDR, KVM_CAP_EXT_CPUID, KVM_CAP_MP_STATE, KVM_CAP_VCPU_EVENTS,
        KVM_CAP_DEBUGREGS, KVM_CAP_XSAVE, KVM_CAP_ADJUST_CLOCK, KVM_CAP_IRQCHIP,
        KVM_CAP_IRQ_ROUTING, KVM_CAP_IRQFD, KVM_CAP_SIGNAL_MSI, KVM_CAP_PIT2, KVM_CAP_PIT_STATE2,
    };

    for (size_t i = 0; i < G_N_ELEMENTS(required); i++) {
        model_kvm_reset();
        model_kvm_set_cap(required[i], 0);
        assert_refused(&config, "KVM_CAP_", "cannot");
    }
}

static void test_kvm_new_optional_capabilities_missing(void **state)
{
    g_autoptr(GError) error = NULL;
    Kvm *kvm;

    model_kvm_set_cap(KVM_CAP_COALESCED_MMIO, 0);
    model_kvm_set_cap(KVM_CAP_DISABLE_QUIRKS2, 0);
    model_kvm_set_cap(KVM_CAP_IRQFD_RESAMPLE, 0);
    kvm = kvm_new(&config, &error);
    assert_non_null(kvm);
    assert_int_equal(kvm->caps.coalesced_page, 0);
    assert_false(kvm->caps.coalesced_pio);
    assert_false(kvm->caps.slot_zap_all_off);
    assert_int_equal(model_kvm_count(KVM_ENABLE_CAP), 0);
    kvm_free(kvm);
}

/* The mask of quirks offered lacks ours: none is touched. */
static void test_kvm_new_other_quirks_stay(void **state)
{
    g_autoptr(GError) error = NULL;
    Kvm *kvm;

    model_kvm_set_cap(KVM_CAP_DISABLE_QUIRKS2, 0x7f);
    kvm = kvm_new(&config, &error);
    assert_non_null(kvm);
    assert_int_equal(model_kvm_count(KVM_ENABLE_CAP), 0);
    kvm_free(kvm);
}

static void test_kvm_phys_bits_is_the_least(void **state)
{
    g_autoptr(GError) error = NULL;
    Kvm *kvm;

    model_kvm_set_phys_bits(34);
    kvm = kvm_new(&config, &error);
    assert_non_null(kvm);
    assert_int_equal(kvm_phys_bits(kvm), 34);
    kvm_free(kvm);
    /* "EAX[23:16]: fewer bits can be mapped" */
    model_kvm_set_phys_bits(34 | 33 << 16);
    kvm = kvm_new(&config, &error);
    assert_int_equal(kvm_phys_bits(kvm), 33);
    kvm_free(kvm);
}

/* Every ioctl of the start fails once, and it and all later ones: an error, nothing left. */
static void test_kvm_new_each_ioctl_fails(void **state)
{
    g_autoptr(GError) none = NULL;
    Kvm *kvm = kvm_new(&config, &none);
    unsigned long calls = model_kvm_calls();
    unsigned refused = 0;

    assert_non_null(kvm);
    assert_true(calls > 20);
    kvm_free(kvm);
    for (unsigned long n = 1; n <= calls; n++) {
        for (int later = 0; later < 2; later++) {
            g_autoptr(GError) error = NULL;

            model_kvm_fail_nth(n, ENOMEM, later);
            kvm = kvm_new(&config, &error);
            assert_int_equal(kvm == NULL, error != NULL);
            refused += kvm == NULL;
            kvm_free(kvm);
            assert_true(model_kvm_faults_hit() > 0);
        }
    }
    assert_true(refused > calls);
}

/* A ring that would lie beyond the vCPU's mapping is none. */
static void test_kvm_new_ring_beyond_the_mapping(void **state)
{
    g_autoptr(GError) error = NULL;
    Kvm *kvm;

    model_kvm_set_cap(KVM_CAP_COALESCED_MMIO, 3);
    kvm = kvm_new(&config, &error);
    assert_non_null(kvm);
    assert_int_equal(kvm->caps.coalesced_page, 0);
    kvm_free(kvm);
}

static void count_trace(void *opaque, int fd, unsigned long req, int ret)
{
    ++*(unsigned *)opaque;
}

static void test_kvm_set_trace_hears_real_ioctls(void **state)
{
    /* The model does not trace: the function under it is asked directly, on a descriptor of its own. */
    assert_string_equal(kvm_ioctl_name(KVM_SET_USER_MEMORY_REGION), "KVM_SET_USER_MEMORY_REGION");
    assert_string_equal(kvm_ioctl_name(0), "ioctl");
    unsigned heard = 0;
    g_autoptr(GError) error = NULL;
    Kvm *kvm = kvm_new(&config, &error);

    kvm_set_trace(kvm, count_trace, &heard);
    extern int __real_kvm_system_ioctl(Kvm *, unsigned long, void *);
    assert_int_equal(__real_kvm_system_ioctl(kvm, KVM_GET_API_VERSION, NULL), -ENOTTY);
    assert_int_equal(heard, 1);
    kvm_free(kvm);
}

static void test_kvm_resume_clock_sets_the_time_of_the_pause(void **state)
{
    g_autoptr(GError) error = NULL;
    Kvm *kvm = kvm_new(&config, &error);
    ModelVm *vm = model_kvm_vm(kvm);
    struct kvm_clock_data later = { .clock = 999, .flags = 14, .realtime = 5 };

    kvm_resume_clock(kvm);
    assert_int_equal(model_kvm_count(KVM_SET_CLOCK), 0);
    kvm_vm_ioctl(kvm, KVM_SET_CLOCK, &(struct kvm_clock_data){ .clock = 123, .flags = 14 });
    kvm_pause_clock(kvm);
    kvm_vm_ioctl(kvm, KVM_SET_CLOCK, &later);
    kvm_pause_clock(kvm); /* again: the first pause counts */
    kvm_resume_clock(kvm);
    assert_int_equal(model_vm_clock(vm).clock, 123);
    assert_int_equal(model_vm_clock(vm).flags, 0);
    kvm_free(kvm);
}

static void test_kvm_make_irqchip_later(void **state)
{
    g_autoptr(GError) error = NULL;
    struct kvm_irqchip chip = { .chip_id = 0 };
    Kvm *kvm;

    kvm = kvm_open(&config, &error);
    assert_non_null(kvm);
    assert_true(kvm_make_vm(kvm, &config, &error));
    assert_int_equal(kvm_vm_ioctl(kvm, KVM_GET_IRQCHIP, &chip), -ENXIO);
    kvm_set_gsi(kvm, 4, true); /* nobody hears it */
    for (unsigned n = 1; n <= 7; n++) {
        g_autoptr(GError) refused = NULL;
        Kvm *other = kvm_open(&config, &error);

        assert_true(kvm_make_vm(other, &config, &error));
        model_kvm_fail_nth(n, EIO, false);
        assert_false(kvm_make_irqchip(other, &refused));
        assert_non_null(refused);
        kvm_free(other);
    }
    assert_true(kvm_make_irqchip(kvm, &error));
    assert_int_equal(kvm_vm_ioctl(kvm, KVM_GET_IRQCHIP, &chip), 0);
    assert_true(kvm_reset_irqchip(kvm, &error));
    kvm_free(kvm);
}

static void test_kvm_reset_irqchip_puts_back_the_first_state(void **state)
{
    g_autoptr(GError) error = NULL;
    Kvm *kvm = kvm_new(&config, &error);
    ModelVm *vm = model_kvm_vm(kvm);
    struct kvm_irqchip first[3];
    struct kvm_pit_state2 pit = *model_vm_pit(vm);

    for (unsigned i = 0; i < 3; i++) {
        first[i] = *model_vm_irqchip(vm, i);
        memset(&model_vm_irqchip(vm, i)->chip, 0xa5, sizeof(first[i].chip));
    }
    memset(model_vm_pit(vm), 0xa5, sizeof(pit));
    assert_true(kvm_reset_irqchip(kvm, &error));
    for (unsigned i = 0; i < 3; i++) {
        assert_memory_equal(model_vm_irqchip(vm, i), &first[i], sizeof(first[i]));
    }
    assert_memory_equal(model_vm_pit(vm), &pit, sizeof(pit));
    for (unsigned n = 1; n <= 4; n++) {
        g_autoptr(GError) refused = NULL;

        model_kvm_fail_nth(n, EIO, false);
        assert_false(kvm_reset_irqchip(kvm, &refused));
        assert_non_null(refused);
    }
    kvm_free(kvm);
}

static void test_kvm_send_msi_delivers(void **state)
{
    g_autoptr(GError) error = NULL;
    Kvm *kvm = kvm_new(&config, &error);
    struct kvm_msi msi;

    assert_true(kvm_send_msi(kvm, 0x1fee00000ULL, 0x4041));
    msi = model_vm_last_msi(model_kvm_vm(kvm));
    assert_int_equal(msi.address_lo, 0xfee00000);
    assert_int_equal(msi.address_hi, 1);
    assert_int_equal(msi.data, 0x4041);
    model_kvm_fail_nth(1, EINVAL, false);
    assert_false(kvm_send_msi(kvm, 0xfee00000ULL, 0x41));
    kvm_free(kvm);
}

static void test_kvm_add_irqfd_binds_and_takes_off(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) again = NULL;
    g_autoptr(GError) kept = NULL;
    Kvm *kvm = kvm_new(&config, &error);
    const GArray *irqfds = model_vm_irqfds(model_kvm_vm(kvm));
    EventNotifier n, ack;

    assert_true(event_notifier_init(&n, &error) && event_notifier_init(&ack, &error));
    assert_true(kvm_add_irqfd(kvm, 11, &n, &ack, &error));
    assert_int_equal(irqfds->len, 1);
    assert_int_equal(g_array_index(irqfds, ModelIrqfd, 0).gsi, 11);
    assert_int_equal(g_array_index(irqfds, ModelIrqfd, 0).resamplefd, ack.fd);
    assert_false(kvm_add_irqfd(kvm, 11, &n, NULL, &again));
    assert_non_null(strstr(again->message, "GSI 11"));
    model_kvm_fail_nth(1, EINVAL, false);
    assert_false(kvm_del_irqfd(kvm, 11, &n, &kept));
    assert_non_null(strstr(kept->message, "off GSI 11"));
    assert_int_equal(irqfds->len, 1);
    assert_true(kvm_del_irqfd(kvm, 11, &n, &error));
    assert_int_equal(irqfds->len, 0);
    event_notifier_done(&n);
    event_notifier_done(&ack);
    kvm_free(kvm);
}

static void test_kvm_add_irqfd_without_resample(void **state)
{
    g_autoptr(GError) error = NULL;
    EventNotifier n, ack;
    Kvm *kvm;

    model_kvm_set_cap(KVM_CAP_IRQFD_RESAMPLE, 0);
    kvm = kvm_new(&config, &error);
    assert_true(event_notifier_init(&n, &error) && event_notifier_init(&ack, &error));
    assert_false(kvm_add_irqfd(kvm, 11, &n, &ack, &error));
    assert_non_null(strstr(error->message, "KVM_CAP_IRQFD_RESAMPLE"));
    assert_int_equal(model_kvm_count(KVM_IRQFD), 0);
    event_notifier_done(&n);
    event_notifier_done(&ack);
    kvm_free(kvm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_kvm_new_makes_the_vm, setup),
        cmocka_unit_test_setup(test_kvm_new_without_irqchip_makes_none, setup),
        cmocka_unit_test_setup(test_kvm_new_two_vms_know_nothing_of_each_other, setup),
        cmocka_unit_test_setup(test_kvm_new_device_missing, setup),
        cmocka_unit_test_setup(test_kvm_new_device_missing_says_what_to_do, setup),
        cmocka_unit_test_setup(test_kvm_new_device_is_a_directory, setup),
        cmocka_unit_test_setup(test_kvm_new_device_is_a_file, setup),
        cmocka_unit_test_setup(test_kvm_new_device_not_permitted, setup),
        cmocka_unit_test_setup(test_kvm_new_device_is_another, setup),
        cmocka_unit_test_setup(test_kvm_new_wrong_api_version, setup),
        cmocka_unit_test_setup(test_kvm_new_busy, setup),
        cmocka_unit_test_setup(test_kvm_new_each_required_capability_missing, setup),
        cmocka_unit_test_setup(test_kvm_new_optional_capabilities_missing, setup),
        cmocka_unit_test_setup(test_kvm_new_other_quirks_stay, setup),
        cmocka_unit_test_setup(test_kvm_phys_bits_is_the_least, setup),
        cmocka_unit_test_setup(test_kvm_new_each_ioctl_fails, setup),
        cmocka_unit_test_setup(test_kvm_new_ring_beyond_the_mapping, setup),
        cmocka_unit_test_setup(test_kvm_set_trace_hears_real_ioctls, setup),
        cmocka_unit_test_setup(test_kvm_resume_clock_sets_the_time_of_the_pause, setup),
        cmocka_unit_test_setup(test_kvm_make_irqchip_later, setup),
        cmocka_unit_test_setup(test_kvm_reset_irqchip_puts_back_the_first_state, setup),
        cmocka_unit_test_setup(test_kvm_send_msi_delivers, setup),
        cmocka_unit_test_setup(test_kvm_add_irqfd_binds_and_takes_off, setup),
        cmocka_unit_test_setup(test_kvm_add_irqfd_without_resample, setup),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    model_kvm_reset();
    return failed;
}
