/* SPDX-License-Identifier: MIT */
/* A whole machine's start and reset with every single ioctl failing: an error each time, no more.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "../support/boot-images.h"
#include "support/model-kvm.h"
#include "tessera/machine/machine.h"

/* With some of everything: two vCPUs, RAM above 4 GiB from a backend, kernel, initrd, sockets. */
typedef struct Start {
    MachineConfig *config;
    char *initrd;
    char *map; /* where the memory map is dumped to */
} Start;

static int set_up(void **state)
{
    Start *start = g_new0(Start, 1);
    g_autoptr(GByteArray) elf = elf_make();
    MachineConfig *config = machine_config_new();

    start->initrd = image_temp_file(NULL, 5000);
    start->map = image_temp_file(NULL, 1);
    config->ram_size = 4ULL << 30;
    config->memory_slots = 2;
    config->maxmem = 8ULL << 30;
    config->cpus = 2;
    config->kernel = image_temp_file(elf, 0);
    config->initrd = g_strdup(start->initrd);
    config->append = g_strdup("console=ttyS0");
    config->kvm_device = g_strdup(MODEL_KVM_DEVICE);
    config->nodefaults = true;
    config->stopped = true;
    config->memory_backend = g_strdup("ram0");
    g_ptr_array_add(config->objects, g_strdup("memory-backend-ram,id=ram0,size=4G,reserve=off"));
    g_ptr_array_add(config->serials, g_strdup("null"));
    start->config = config;
    *state = start;
    return 0;
}

/* Nothing that must wait for the accelerator: it starts while the board is built. */
static void make_small(MachineConfig *config)
{
    config->ram_size = 64ULL << 20;
    config->memory_slots = 0;
    config->maxmem = 0;
    g_ptr_array_set_size(config->objects, 0);
    g_clear_pointer(&config->memory_backend, g_free);
}

static int set_up_small(void **state)
{
    int ret = set_up(state);

    make_small(((Start *)*state)->config);
    return ret;
}

static int tear_down(void **state)
{
    Start *start = *state;

    image_temp_file_remove(g_strdup(start->config->kernel));
    image_temp_file_remove(start->initrd);
    image_temp_file_remove(start->map);
    machine_config_free(start->config);
    g_free(start);
    model_kvm_reset();
    return 0;
}

static unsigned open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(dir);
    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

/* How many ioctls a start that nothing disturbs makes. */
static unsigned long ioctls_of_a_start(Start *start)
{
    g_autoptr(GError) error = NULL;
    Machine *machine;
    unsigned long n;

    model_kvm_reset();
    model_kvm_reset_counts();
    machine = machine_new(start->config, &error);
    if (!machine) {
        fail_msg("%s", error->message);
    }
    n = model_kvm_calls();
    machine_free(machine);
    return n;
}

/*
 * What a start can do without: a refused question is as good as "no such extension"; the one
 * capability that two vCPUs have enabled (a quirk's end) only makes slot changes cheaper; a wire
 * that is set low at a reset is low already.
 */
static bool is_dispensable(unsigned long request)
{
    return request == KVM_CHECK_EXTENSION || request == KVM_ENABLE_CAP || request == KVM_IRQ_LINE;
}

static void start_with_fault(Start *start, unsigned long n, int err, bool all_later)
{
    g_autoptr(GError) error = NULL;
    unsigned descriptors;
    Machine *machine;

    model_kvm_reset();
    descriptors = open_descriptors();
    model_kvm_fail_nth(n, err, all_later);
    machine = machine_new(start->config, &error);
    assert_true(model_kvm_faults_hit() >= 1);
    if (machine) {
        assert_null(error);
        if (!is_dispensable(model_kvm_last_fault())) {
            fail_msg("ioctl %lu, request 0x%lx, failed and the machine was made", n,
                     model_kvm_last_fault());
        }
    } else {
        assert_non_null(error);
        assert_true(strlen(error->message) > 10);
    }
    model_kvm_no_faults();
    machine_free(machine);
    model_kvm_reset();
    assert_int_equal(open_descriptors(), descriptors);
}

static void test_start_with_each_ioctl_failing_once(void **state)
{
    unsigned long total = ioctls_of_a_start(*state);

    assert_true(total > 50);
    for (unsigned long n = 1; n <= total; n++) {
        start_with_fault(*state, n, ENOMEM, false);
    }
}

static void test_start_with_all_ioctls_failing_from_each_on(void **state)
{
    unsigned long total = ioctls_of_a_start(*state);

    for (unsigned long n = 1; n <= total; n++) {
        start_with_fault(*state, n, EIO, true);
    }
}

/* After any of those the same process starts the same machine. */
static void test_start_after_failed_ones(void **state)
{
    unsigned long total = ioctls_of_a_start(*state);

    start_with_fault(*state, total, EIO, true);
    assert_int_equal(ioctls_of_a_start(*state), total);
}

/* --- The accelerator starts beside the board: which of their errors is told does not depend on who
 * was first. */

static void assert_no_start(Start *start, const char *words)
{
    g_autoptr(GError) error = NULL;
    unsigned descriptors = open_descriptors();

    assert_null(machine_new(start->config, &error));
    if (!error || !strstr(error->message, words)) {
        fail_msg("not '%s' but '%s'", words, error ? error->message : "no error");
    }
    model_kvm_reset();
    assert_int_equal(open_descriptors(), descriptors);
}

static void test_start_tells_the_accelerators_error_first(void **state)
{
    Start *start = *state;
    g_autofree char *kernel = start->config->kernel;

    start->config->kernel = g_strdup("/nonexistent/kernel");
    for (int i = 0; i < 2; i++) {
        model_kvm_fail_request(KVM_CREATE_VM);
        model_kvm_fail_nth(1, EBUSY, false);
        assert_no_start(start, "KVM is busy");
        model_kvm_fail_request(KVM_GET_SUPPORTED_CPUID);
        model_kvm_fail_nth(1, EIO, true);
        assert_no_start(start, "CPUID it supports");
        assert_no_start(start, "/nonexistent/kernel");
        make_small(start->config);
    }
    g_ptr_array_add(start->config->serials, g_strdup("null"));
    model_kvm_fail_request(KVM_CREATE_VM);
    model_kvm_fail_nth(1, ENOMEM, false);
    assert_no_start(start, "virtual machine");
    assert_no_start(start, "one serial port");
    g_free(start->config->kernel);
    start->config->kernel = g_steal_pointer(&kernel);
}

static void test_start_vcpus_cannot_be_prepared(void **state)
{
    model_kvm_fail_request(KVM_SET_CPUID2);
    model_kvm_fail_nth(2, EINVAL, false);
    assert_no_start(*state, "vCPU 1: KVM_SET_CPUID2");
}

static void test_start_guest_has_fewer_address_bits(void **state)
{
    Start *start = *state;

    start->config->maxmem = 16ULL << 30;
    model_kvm_set_phys_bits(34);
    assert_no_start(start, "34 address bits");
    make_small(start->config);
    start->config->ram_size = 20ULL << 30;
    model_kvm_set_phys_bits(34);
    assert_no_start(start, "34 address bits");
}

/* --- A reset that fails stops the machine with the reason; the next one brings it back. */

static void reset_with_fault(Start *start, Machine *machine, unsigned long n, bool all_later)
{
    model_kvm_fail_nth(n, EIO, all_later);
    machine_system_reset(machine);
    assert_true(model_kvm_faults_hit() >= 1);
    model_kvm_no_faults();
    if (machine_run_state(machine) == RUN_STATE_INTERNAL_ERROR) {
        assert_false(machine_cont(machine, NULL));
    } else if (!is_dispensable(model_kvm_last_fault())) {
        fail_msg("ioctl %lu, request 0x%lx, failed and the machine was reset", n,
                 model_kvm_last_fault());
    }
    assert_true(machine_dump_memory_map(machine, start->map, NULL));
    machine_system_reset(machine);
    machine_stop(machine);
    assert_int_equal(machine_run_state(machine), RUN_STATE_PAUSED);
}

static void test_reset_with_each_ioctl_failing(void **state)
{
    g_autoptr(GError) error = NULL;
    unsigned long total;
    Machine *machine;

    model_kvm_reset();
    machine = machine_new(((Start *)*state)->config, &error);
    assert_non_null(machine);
    assert_true(machine_cont(machine, NULL));
    machine_stop(machine);
    model_kvm_reset_counts();
    machine_system_reset(machine);
    total = model_kvm_calls();
    assert_int_equal(machine_run_state(machine), RUN_STATE_PAUSED);
    assert_true(total > 10);
    for (unsigned long n = 1; n <= total; n++) {
        reset_with_fault(*state, machine, n, false);
        reset_with_fault(*state, machine, n, true);
    }
    machine_free(machine);
}

int main(void)
{
#define OF_A_SMALL_MACHINE(fn) { #fn "_small", fn, set_up_small, tear_down, NULL }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_start_with_each_ioctl_failing_once, set_up, tear_down),
        OF_A_SMALL_MACHINE(test_start_with_each_ioctl_failing_once),
        cmocka_unit_test_setup_teardown(test_start_with_all_ioctls_failing_from_each_on, set_up,
                                        tear_down),
        OF_A_SMALL_MACHINE(test_start_with_all_ioctls_failing_from_each_on),
        cmocka_unit_test_setup_teardown(test_start_after_failed_ones, set_up, tear_down),
        OF_A_SMALL_MACHINE(test_start_after_failed_ones),
        cmocka_unit_test_setup_teardown(test_start_tells_the_accelerators_error_first, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_start_vcpus_cannot_be_prepared, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_start_guest_has_fewer_address_bits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reset_with_each_ioctl_failing, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("start-failure", tests, NULL, NULL);
}
