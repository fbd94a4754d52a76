/* SPDX-License-Identifier: MIT */
/* Requests of several vCPUs at the same time, served by the main loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "../../../src/machine/machine-internal.h"
#include "../support/boot-images.h"
#include "support/model-kvm.h"

#define PORT_RESET    0xcf9
#define PORT_PM1A     0x604
#define PORT_I8042    0x64
#define RESET_CPU     0x06
#define PULSE_RESET   0xfe
#define S5_AND_SLP_EN 0x34 /* the high byte: SLP_TYP 5, SLP_EN */

/* What the second vCPU writes once the main loop has taken the first one's request. */
typedef struct Late {
    Machine *machine;
    uint16_t port;
    uint8_t value;
    _Atomic bool running; /* vCPU 1 is in KVM_RUN */
} Late;

static void put_out(struct kvm_run *run, uint16_t port, uint8_t value)
{
    run->exit_reason = KVM_EXIT_IO;
    run->io.direction = KVM_EXIT_IO_OUT;
    run->io.size = 1;
    run->io.port = port;
    run->io.count = 1;
    run->io.data_offset = 4096 - 16;
    *((uint8_t *)run + run->io.data_offset) = value;
}

/* vCPU 1 is still on its way out of KVM_RUN: the machine is not paused before it has exited. */
static void fill_late(struct kvm_run *run, void *opaque)
{
    Late *late = opaque;

    atomic_store(&late->running, true);
    while (!vcpu_set_paused(late->machine->vcpus) || atomic_load(&late->machine->run.requests)) {
        g_usleep(100);
    }
    put_out(run, late->port, late->value);
}

static void fill_reset(struct kvm_run *run, void *opaque)
{
    while (!atomic_load(&((Late *)opaque)->running)) {
        g_usleep(100);
    }
    put_out(run, PORT_RESET, RESET_CPU);
}

static MachineConfig *make_config(void)
{
    g_autoptr(GByteArray) elf = elf_make();
    MachineConfig *config = machine_config_new();

    config->ram_size = 64 << 20;
    config->cpus = 2;
    config->kernel = image_temp_file(elf, 0);
    config->append = g_strdup("");
    config->kvm_device = g_strdup(MODEL_KVM_DEVICE);
    config->nodefaults = true;
    config->stopped = true;
    g_ptr_array_add(config->serials, g_strdup("null"));
    return config;
}

/* vCPU 0 resets by the chipset's port, vCPU 1 writes @value to @port meanwhile; returns how many resets there were. */
static unsigned long reset_and(uint16_t port, uint8_t value, RunState *ret_state)
{
    MachineConfig *config = make_config();
    g_autoptr(GError) error = NULL;
    Late late = { .port = port, .value = value };
    const ModelExit first = { .fill = fill_reset, .opaque = &late };
    const ModelExit second = { .fill = fill_late, .opaque = &late };
    unsigned long resets;
    ModelVm *vm;

    model_kvm_reset();
    late.machine = machine_new(config, &error);
    assert_non_null(late.machine);
    vm = model_kvm_vm(late.machine->kvm);
    model_vcpu_push_exit(vm, 0, &first);
    model_vcpu_push_exit(vm, 1, &second);
    model_kvm_reset_counts();
    assert_true(machine_cont(late.machine, NULL));
    while (model_kvm_count(KVM_SET_PIT2) == 0 &&
           machine_run_state(late.machine) == RUN_STATE_RUNNING) {
        g_main_context_iteration(NULL, TRUE);
    }
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    resets = model_kvm_count(KVM_SET_PIT2);
    *ret_state = machine_run_state(late.machine);
    machine_free(late.machine);
    image_temp_file_remove(g_strdup(config->kernel));
    machine_config_free(config);
    model_kvm_reset();
    return resets;
}

static void test_two_vcpus_reset_at_the_same_time(void **state)
{
    RunState end;

    assert_int_equal(reset_and(PORT_I8042, PULSE_RESET, &end), 1);
    assert_int_equal(end, RUN_STATE_RUNNING);
}

static void test_power_off_while_another_vcpu_resets(void **state)
{
    RunState end;

    assert_int_equal(reset_and(PORT_PM1A + 1, S5_AND_SLP_EN, &end), 0);
    assert_int_equal(end, RUN_STATE_SHUTDOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_vcpus_reset_at_the_same_time),
        cmocka_unit_test(test_power_off_while_another_vcpu_resets),
    };

    return cmocka_run_group_tests_name("run-control", tests, NULL, NULL);
}
