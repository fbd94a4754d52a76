/* SPDX-License-Identifier: MIT */
/* The accelerator's start: what takes the kernel long, done beside the board. */
#include "machine-internal.h"

#include "tessera/hw/i386/pc-layout.h"

/*
 * A VM takes the kernel as long as the board takes us. Then it is asked which CPUID it supports, which
 * takes as long again: it executes each leaf, with a trap where the host is itself a virtual machine.
 * The board needs neither; its vCPUs need both.
 */
enum { JOB_VM = 1, JOB_CPU_MODEL, JOB_VCPUS };

static KvmConfig kvm_config(const Machine *machine)
{
    return (KvmConfig){
        .device = machine->config->kvm_device,
        .identity_map_base = PC_IDENTITY_MAP_BASE,
        .tss_base = PC_TSS_BASE,
        .irqchip = true,
    };
}

static void make_vm(void *opaque)
{
    Machine *machine = opaque;
    KvmConfig config = kvm_config(machine);

    machine->has_vm = kvm_make_vm(machine->kvm, &config, &machine->vm_error);
}

static void make_cpu_model(void *opaque)
{
    Machine *machine = opaque;

    if (machine->has_vm) {
        machine->cpu_model =
            cpu_model_new(machine->kvm, machine->config->cpu, &machine->cpu_model_error);
    }
}

static void prepare_vcpus(void *opaque)
{
    Machine *machine = opaque;

    if (machine->cpu_model) {
        vcpu_set_prepare(machine->vcpus, machine->cpu_model, &machine->vcpus_error);
    }
}

bool accelerator_start(Machine *machine, GError **error)
{
    KvmConfig config = kvm_config(machine);

    machine->kvm = kvm_open(&config, error);
    if (!machine->kvm) {
        return false;
    }
    machine->accelerator = worker_new("accelerator");
    worker_add(machine->accelerator, make_vm, machine);
    worker_add(machine->accelerator, make_cpu_model, machine);
    return true;
}

bool accelerator_add_vcpus(Machine *machine, GError **error)
{
    machine->vcpus = vcpu_set_create(machine->kvm, machine->config->cpus, pc_memory(machine->pc),
                                     pc_io(machine->pc), &run_control_vcpu_ops, machine, error);
    if (!machine->vcpus) {
        return false;
    }
    worker_add(machine->accelerator, prepare_vcpus, machine);
    return vcpu_set_start_threads(machine->vcpus, error);
}

static bool succeeded(const GError *job_error, GError **error)
{
    if (job_error && error) {
        *error = g_error_copy(job_error);
    }
    return !job_error;
}

bool accelerator_wait_vm(Machine *machine, GError **error)
{
    worker_wait(machine->accelerator, JOB_VM);
    return succeeded(machine->vm_error, error);
}

bool accelerator_wait_cpu_model(Machine *machine, GError **error)
{
    worker_wait(machine->accelerator, JOB_CPU_MODEL);
    return succeeded(machine->vm_error, error) && succeeded(machine->cpu_model_error, error);
}

bool accelerator_wait_vcpus(Machine *machine, GError **error)
{
    worker_wait(machine->accelerator, JOB_VCPUS);
    return succeeded(machine->vcpus_error, error);
}

void accelerator_started(Machine *machine)
{
    g_clear_pointer(&machine->accelerator, worker_free);
    g_clear_error(&machine->vm_error);
    g_clear_error(&machine->cpu_model_error);
    g_clear_error(&machine->vcpus_error);
}
