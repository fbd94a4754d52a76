/* SPDX-License-Identifier: MIT */
/* The vCPUs of a machine: made, reset, asked and ended. */
#include "tessera/accel/kvm/vcpu.h"

#include "vcpu-internal.h"
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include "cpu-model-internal.h"
#include "kvm-internal.h"
#include "tessera/memory/address-space.h"
#include "tessera/util/error.h"

static const KvmParkOps park_ops = { vcpu_set_park, vcpu_set_unpark };

uint32_t vcpu_apic_id(unsigned cpu)
{
    return cpu;
}

static bool vcpu_set_cpuid(Vcpu *vcpu, const CpuModel *model, GError **error)
{
    g_autofree struct kvm_cpuid2 *cpuid = cpu_model_cpuid(model, vcpu->index, vcpu->set->count);
    int ret = kvm_vcpu_ioctl(vcpu->set->kvm, vcpu->fd, KVM_SET_CPUID2, cpuid);

    if (ret < 0) {
        error_set_errno(error, -ret, "vCPU %u: KVM_SET_CPUID2 with %u entries", vcpu->index,
                        cpuid->nent);
        return false;
    }
    return true;
}

static bool vcpu_map_run(Vcpu *vcpu, GError **error)
{
    void *map = mmap(NULL, vcpu->set->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);

    if (map == MAP_FAILED) {
        error_set_errno(error, errno, "vCPU %u: cannot map its run structure", vcpu->index);
        return false;
    }
    vcpu->run = map;
    return true;
}

static bool vcpu_start_thread(Vcpu *vcpu, GError **error)
{
    int ret = vcpu_thread_create(vcpu);

    if (ret != 0) {
        error_set_errno(error, ret, "vCPU %u: cannot start its thread", vcpu->index);
        return false;
    }
    vcpu->thread_started = true;
    return true;
}

static bool vcpu_count_accesses(Vcpu *vcpu, GError **error)
{
    g_autofree char *name = g_strdup_printf("vcpu%u", vcpu->index);

    vcpu->accesses = access_counters_new(address_space_system(vcpu->set->memory), name, error);
    return vcpu->accesses != NULL;
}

static bool vcpu_build(Vcpu *vcpu, GError **error)
{
    VcpuSet *set = vcpu->set;

    vcpu->fd = kvm_vm_ioctl(set->kvm, KVM_CREATE_VCPU,
                            (void *)(uintptr_t)vcpu_apic_id(vcpu->index));
    if (vcpu->fd < 0) {
        error_set_errno(error, -vcpu->fd, "cannot create vCPU %u", vcpu->index);
        return false;
    }
    return vcpu_map_run(vcpu, error) && vcpu_count_accesses(vcpu, error);
}

static bool vcpu_prepare(Vcpu *vcpu, const CpuModel *model, GError **error)
{
    if (!vcpu_set_cpuid(vcpu, model, error)) {
        return false;
    }
    vcpu->power_on = vcpu_snapshot_take(vcpu, error);
    vcpu->fresh = true;
    return vcpu->power_on != NULL;
}

static Vcpu *vcpu_alloc(VcpuSet *set, unsigned index)
{
    Vcpu *vcpu = g_aligned_alloc0(1, sizeof(*vcpu), CACHE_LINE);

    vcpu->set = set;
    vcpu->index = index;
    vcpu->fd = -1;
    vcpu->stats_fd = -1;
    vcpu->settled = true; /* paused, nothing to complete: its thread need not say so */
    return vcpu;
}

static void vcpu_destroy(Vcpu *vcpu)
{
    if (vcpu->run) {
        munmap(vcpu->run, vcpu->set->run_size);
    }
    if (vcpu->stats_fd >= 0) {
        close(vcpu->stats_fd);
    }
    if (vcpu->fd >= 0) {
        close(vcpu->fd);
    }
    vcpu_snapshot_free(vcpu->power_on);
    access_counters_free(vcpu->accesses);
    g_aligned_free(vcpu);
}

static bool check_count(Kvm *kvm, unsigned count, GError **error)
{
    unsigned max = kvm_max_vcpus(kvm);

    if (count == 0 || count > max) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "-smp %u: this host's KVM runs 1 to %u vCPUs in a machine", count, max);
        return false;
    }
    return true;
}

/* APIC ids beyond 254 need 32-bit ids in interrupt messages (KVM_CAP_X2APIC_API). */
static bool enable_x2apic_ids(Kvm *kvm, unsigned count, GError **error)
{
    struct kvm_enable_cap cap = {
        .cap = KVM_CAP_X2APIC_API,
        .args[0] = KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK,
    };
    int ret;

    if (count <= 255) {
        return true;
    }
    ret = kvm_vm_ioctl(kvm, KVM_ENABLE_CAP, &cap);
    if (ret < 0) {
        error_set_errno(error, -ret, "-smp %u: more than 255 vCPUs need KVM_CAP_X2APIC_API", count);
        return false;
    }
    return true;
}

static VcpuSet *vcpu_set_alloc(Kvm *kvm, unsigned count, AddressSpace *memory, AddressSpace *io,
                               const VcpuOps *ops, void *opaque)
{
    VcpuSet *set = g_aligned_alloc0(1, sizeof(*set), CACHE_LINE);

    set->kvm = kvm;
    set->memory = memory;
    set->io = io;
    set->ops = ops;
    set->opaque = opaque;
    set->count = count;
    set->run_size = kvm->caps.vcpu_mmap_size;
    set->vcpus = g_new0(Vcpu *, count);
    atomic_init(&set->hold, HOLD_PAUSE);
    pthread_mutex_init(&set->lock, NULL);
    pthread_cond_init(&set->released, NULL);
    pthread_cond_init(&set->outside, NULL);
    for (unsigned i = 0; i < count; i++) {
        set->vcpus[i] = vcpu_alloc(set, i);
    }
    return set;
}

static void set_coalesced_ring(VcpuSet *set)
{
    unsigned page = set->kvm->caps.coalesced_page;

    if (page) {
        kvm_coalesced_set_ring(set->kvm, (void *)((char *)set->vcpus[0]->run +
                                                  page * (size_t)sysconf(_SC_PAGESIZE)));
    }
}

VcpuSet *vcpu_set_create(Kvm *kvm, unsigned count, AddressSpace *memory, AddressSpace *io,
                         const VcpuOps *ops, void *opaque, GError **error)
{
    VcpuSet *set;

    if (!check_count(kvm, count, error) || !enable_x2apic_ids(kvm, count, error) ||
        !vcpu_install_kick_handler(error)) {
        return NULL;
    }
    set = vcpu_set_alloc(kvm, count, memory, io, ops, opaque);
    for (unsigned i = 0; i < count; i++) {
        if (!vcpu_build(set->vcpus[i], error)) {
            vcpu_set_free(set);
            return NULL;
        }
    }
    set_coalesced_ring(set);
    kvm_set_park_ops(kvm, &park_ops, set);
    return set;
}

bool vcpu_set_start_threads(VcpuSet *set, GError **error)
{
    for (unsigned i = 0; i < set->count; i++) {
        if (!vcpu_start_thread(set->vcpus[i], error)) {
            return false;
        }
    }
    return true;
}

bool vcpu_set_prepare(VcpuSet *set, const CpuModel *model, GError **error)
{
    set->phys_bits = CLAMP(cpu_model_phys_bits(model), 32, 52);
    set->gib_pages = cpu_model_gib_pages(model);
    for (unsigned i = 0; i < set->count; i++) {
        if (!vcpu_prepare(set->vcpus[i], model, error)) {
            return false;
        }
    }
    return true;
}

VcpuSet *vcpu_set_new(Kvm *kvm, const CpuModel *model, unsigned count, AddressSpace *memory,
                      AddressSpace *io, const VcpuOps *ops, void *opaque, GError **error)
{
    VcpuSet *set = vcpu_set_create(kvm, count, memory, io, ops, opaque, error);

    if (set && (!vcpu_set_prepare(set, model, error) || !vcpu_set_start_threads(set, error))) {
        g_clear_pointer(&set, vcpu_set_free);
    }
    return set;
}

void vcpu_set_free(VcpuSet *set)
{
    if (!set) {
        return;
    }
    vcpu_set_quit(set);
    for (unsigned i = 0; i < set->count; i++) {
        if (set->vcpus[i]->thread_started) {
            pthread_join(set->vcpus[i]->thread, NULL);
        }
    }
    kvm_set_park_ops(set->kvm, NULL, NULL);
    kvm_coalesced_set_ring(set->kvm, NULL);
    for (unsigned i = 0; i < set->count; i++) {
        vcpu_destroy(set->vcpus[i]);
    }
    pthread_cond_destroy(&set->outside);
    pthread_cond_destroy(&set->released);
    pthread_mutex_destroy(&set->lock);
    g_free((hwaddr *)set->debug.int3);
    g_free(set->vcpus);
    g_aligned_free(set);
}

unsigned vcpu_set_count(const VcpuSet *set)
{
    return set->count;
}

VcpuStats vcpu_set_stats(VcpuSet *set)
{
    VcpuStats total = { 0 };

    for (unsigned i = 0; i < set->count; i++) {
        VcpuCounters *c = &set->vcpus[i]->counters;

        total.exits += atomic_load_explicit(&c->exits, memory_order_relaxed);
        total.io += atomic_load_explicit(&c->io, memory_order_relaxed);
        total.mmio += atomic_load_explicit(&c->mmio, memory_order_relaxed);
        total.hlt += atomic_load_explicit(&c->hlt, memory_order_relaxed);
        total.intr += atomic_load_explicit(&c->intr, memory_order_relaxed);
        total.coalesced += atomic_load_explicit(&c->coalesced, memory_order_relaxed);
    }
    total.coalesced += atomic_load(&set->coalesced_at_pause);
    return total;
}

/*
 * Nothing is stuck after a reset, except, on a machine without local APICs, the vCPUs that would
 * wait for somebody to send them INIT and SIPI: they must not run what is at the reset vector.
 */
static void unstick(VcpuSet *set)
{
    pthread_mutex_lock(&set->lock);
    g_assert(atomic_load(&set->hold) & HOLD_PAUSE);
    for (unsigned i = 0; i < set->count; i++) {
        g_assert(set->vcpus[i]->settled);
        set->vcpus[i]->stuck = i > 0 && !set->kvm->irqchip;
    }
    pthread_mutex_unlock(&set->lock);
    vcpu_debug_forget(set);
}

bool vcpu_set_reset(VcpuSet *set, const X86EntryState *entry, GError **error)
{
    unstick(set);
    for (unsigned i = 0; i < set->count; i++) {
        if (!vcpu_state_reset(set->vcpus[i], i == 0 ? entry : NULL, error)) {
            return false;
        }
    }
    return true;
}

void vcpu_set_inject_nmi(VcpuSet *set)
{
    vcpu_set_park(set); /* KVM_NMI waits while KVM_RUN is in progress */
    for (unsigned i = 0; i < set->count; i++) {
        kvm_vcpu_ioctl(set->kvm, set->vcpus[i]->fd, KVM_NMI, NULL);
    }
    vcpu_set_unpark(set);
}

bool vcpu_set_dump_registers(VcpuSet *set, unsigned cpu, GString *out, GError **error)
{
    if (cpu >= set->count) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                    "there is no vCPU %u: this machine has 0 to %u", cpu, set->count - 1);
        return false;
    }
    vcpu_set_look(set);
    vcpu_report_registers(set->vcpus[cpu], out);
    vcpu_set_end_look(set);
    return true;
}
