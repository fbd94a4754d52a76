/* SPDX-License-Identifier: MIT */
/* The model KVM: the wrapped ioctl functions, capabilities, faults and counts. */
#include "model-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int __wrap_kvm_system_ioctl(Kvm *kvm, unsigned long req, void *arg);
int __wrap_kvm_vm_ioctl(Kvm *kvm, unsigned long req, void *arg);
int __wrap_kvm_vcpu_ioctl(Kvm *kvm, int vcpu_fd, unsigned long req, void *arg);

static const struct {
    int cap;
    int value;
} default_caps[] = {
    { KVM_CAP_IRQCHIP, 1 },
    { KVM_CAP_USER_MEMORY, 1 },
    { KVM_CAP_SET_TSS_ADDR, 1 },
    { KVM_CAP_EXT_CPUID, 1 },
    { KVM_CAP_NR_VCPUS, 4 },
    { KVM_CAP_NR_MEMSLOTS, MODEL_KVM_NR_SLOTS },
    { KVM_CAP_MP_STATE, 1 },
    { KVM_CAP_COALESCED_MMIO, 2 },
    { KVM_CAP_DESTROY_MEMORY_REGION_WORKS, 1 },
    { KVM_CAP_IRQ_ROUTING, 4096 },
    { KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, 1 },
    { KVM_CAP_IRQFD, 1 },
    { KVM_CAP_PIT2, 1 },
    { KVM_CAP_PIT_STATE2, 1 },
    { KVM_CAP_IOEVENTFD, 1 },
    { KVM_CAP_SET_IDENTITY_MAP_ADDR, 1 },
    { KVM_CAP_ADJUST_CLOCK, 14 },
    { KVM_CAP_VCPU_EVENTS, 1 },
    { KVM_CAP_DEBUGREGS, 1 },
    { KVM_CAP_XSAVE, 1 },
    { KVM_CAP_XCRS, 1 },
    { KVM_CAP_GET_TSC_KHZ, 1 },
    { KVM_CAP_MAX_VCPUS, 1024 },
    { KVM_CAP_TSC_DEADLINE_TIMER, 1 },
    { KVM_CAP_KVMCLOCK_CTRL, 1 },
    { KVM_CAP_SET_GUEST_DEBUG2, 0x1f0003 },
    { KVM_CAP_SIGNAL_MSI, 1 },
    { KVM_CAP_READONLY_MEM, 1 },
    { KVM_CAP_IRQFD_RESAMPLE, 1 },
    { KVM_CAP_CHECK_EXTENSION_VM, 1 },
    { KVM_CAP_IOEVENTFD_ANY_LENGTH, 1 },
    { KVM_CAP_MAX_VCPU_ID, 4096 },
    { KVM_CAP_X2APIC_API, 3 },
    { KVM_CAP_IMMEDIATE_EXIT, 1 },
    { KVM_CAP_COALESCED_PIO, 1 },
    { KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 3 },
    { KVM_CAP_DISABLE_QUIRKS2, 0x5ff },
};

/* One for all tests of a process, as the kernel's module is one for all of its callers. */
static struct {
    pthread_mutex_t lock;
    GPtrArray *vms;
    GHashTable *caps;   /* changed values */
    GHashTable *counts; /* request -> calls */
    unsigned long calls;
    int api_version;
    unsigned phys_bits;
    struct kvm_cpuid2 *cpuid; /* NULL: the default */
    GByteArray *stats;        /* NULL: no binary statistics */
    int create_vm_error;
    unsigned long fault_at; /* 0: none */
    unsigned long fault_count;
    unsigned long faults_hit;
    unsigned long last_fault;
    unsigned long fault_request;
    int fault_errno;
    bool fault_later;
    int (*fault_hook)(unsigned long req);
} model = { .lock = PTHREAD_MUTEX_INITIALIZER, .api_version = 12, .phys_bits = 46 };

static __thread unsigned inside;

void model_lock(void)
{
    inside++;
    pthread_mutex_lock(&model.lock);
}

void model_unlock(void)
{
    pthread_mutex_unlock(&model.lock);
    inside--;
}

bool model_kvm_inside(void)
{
    return inside > 0;
}

unsigned model_phys_bits(void)
{
    return model.phys_bits;
}

void model_kvm_reset(void)
{
    model_lock();
    g_clear_pointer(&model.vms, g_ptr_array_unref);
    g_clear_pointer(&model.caps, g_hash_table_unref);
    g_clear_pointer(&model.counts, g_hash_table_unref);
    model.calls = 0;
    model.api_version = 12;
    model.phys_bits = 46;
    g_clear_pointer(&model.cpuid, g_free);
    g_clear_pointer(&model.stats, g_byte_array_unref);
    model.create_vm_error = 0;
    model.fault_at = 0;
    model.fault_request = 0;
    model.faults_hit = 0;
    model.fault_hook = NULL;
    model_unlock();
}

void model_kvm_set_cap(int cap, int value)
{
    model_lock();
    if (!model.caps) {
        model.caps = g_hash_table_new(NULL, NULL);
    }
    g_hash_table_insert(model.caps, GINT_TO_POINTER(cap), GINT_TO_POINTER(value));
    model_unlock();
}

static int check_extension(int cap)
{
    void *value;

    if (model.caps && g_hash_table_lookup_extended(model.caps, GINT_TO_POINTER(cap), NULL, &value)) {
        return GPOINTER_TO_INT(value);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(default_caps); i++) {
        if (default_caps[i].cap == cap) {
            return default_caps[i].value;
        }
    }
    return 0;
}

uint32_t model_nr_slots(void)
{
    return (uint32_t)check_extension(KVM_CAP_NR_MEMSLOTS);
}

int model_kvm_cap(int cap)
{
    int value;

    model_lock();
    value = check_extension(cap);
    model_unlock();
    return value;
}

void model_kvm_set_api_version(int version)
{
    model.api_version = version;
}

void model_kvm_set_phys_bits(unsigned bits)
{
    model.phys_bits = bits;
    g_clear_pointer(&model.cpuid, g_free);
}

void model_kvm_set_cpuid(const struct kvm_cpuid2 *cpuid)
{
    model_lock();
    g_free(model.cpuid);
    model.cpuid = g_memdup2(cpuid, sizeof(*cpuid) + cpuid->nent * sizeof(cpuid->entries[0]));
    model_unlock();
}

static int get_supported_cpuid(struct kvm_cpuid2 *ret_cpuid)
{
    const struct kvm_cpuid2 *have;

    if (!model.cpuid) {
        model.cpuid = model_default_cpuid();
    }
    have = model.cpuid;
    if (ret_cpuid->nent < have->nent) {
        return -E2BIG;
    }
    memcpy(ret_cpuid, have, sizeof(*have) + have->nent * sizeof(have->entries[0]));
    return 0;
}

void model_kvm_set_stats(const void *bytes, size_t len)
{
    model_lock();
    g_clear_pointer(&model.stats, g_byte_array_unref);
    if (bytes) {
        model.stats = g_byte_array_append(g_byte_array_new(), bytes, (guint)len);
    }
    model_unlock();
}

int model_get_stats_fd(void)
{
    int fd;

    if (!model.stats) {
        return -ENOTTY;
    }
    fd = memfd_create("kvm-stats", MFD_CLOEXEC);
    if (fd < 0 || write(fd, model.stats->data, model.stats->len) != (ssize_t)model.stats->len) {
        return -ENOMEM;
    }
    return fd;
}

void model_kvm_fail_create_vm(int err)
{
    model.create_vm_error = err;
}

void model_kvm_fail_nth(unsigned long n, int err, bool all_later)
{
    model_lock();
    model.fault_at = n;
    model.fault_count = 0;
    model.faults_hit = 0;
    model.fault_errno = err;
    model.fault_later = all_later;
    model_unlock();
}

void model_kvm_fail_request(unsigned long req)
{
    model.fault_request = req;
}

void model_kvm_set_fault_hook(int (*fn)(unsigned long req))
{
    model_lock();
    model.fault_hook = fn;
    model_unlock();
}

void model_kvm_no_faults(void)
{
    model_kvm_fail_nth(0, 0, false);
}

unsigned long model_kvm_faults_hit(void)
{
    return model.faults_hit;
}

unsigned long model_kvm_last_fault(void)
{
    return model.last_fault;
}

unsigned long model_kvm_calls(void)
{
    return model.calls;
}

unsigned long model_kvm_count(unsigned long req)
{
    unsigned long n = 0;

    model_lock();
    if (model.counts) {
        n = GPOINTER_TO_SIZE(g_hash_table_lookup(model.counts, GSIZE_TO_POINTER(req)));
    }
    model_unlock();
    return n;
}

void model_kvm_reset_counts(void)
{
    model_lock();
    g_clear_pointer(&model.counts, g_hash_table_unref);
    model.calls = 0;
    model_unlock();
}

/* Counts a call; the errno to fail it with, or 0. */
static int enter_call(unsigned long req)
{
    size_t n;

    if (!model.counts) {
        model.counts = g_hash_table_new(NULL, NULL);
    }
    n = GPOINTER_TO_SIZE(g_hash_table_lookup(model.counts, GSIZE_TO_POINTER(req)));
    g_hash_table_insert(model.counts, GSIZE_TO_POINTER(req), GSIZE_TO_POINTER(n + 1));
    model.calls++;
    if (model.fault_hook) {
        return model.fault_hook(req);
    }
    if (model.fault_at == 0 || (model.fault_request != 0 && model.fault_request != req)) {
        return 0;
    }
    model.fault_count++;
    if (model.fault_count == model.fault_at ||
        (model.fault_later && model.fault_count > model.fault_at)) {
        model.faults_hit++;
        model.last_fault = req;
        return model.fault_errno;
    }
    return 0;
}

static ModelVm *find_vm(int fd)
{
    /* The newest first: the number of a closed descriptor may have been given out again. */
    for (guint i = model.vms ? model.vms->len : 0; i > 0; i--) {
        ModelVm *vm = g_ptr_array_index(model.vms, i - 1);

        if (vm->fd == fd) {
            return vm;
        }
    }
    return NULL;
}

ModelVm *model_kvm_vm(Kvm *kvm)
{
    ModelVm *vm;

    model_lock();
    vm = find_vm(kvm->vm_fd);
    model_unlock();
    return vm;
}

static int create_vm(void)
{
    int fd;

    if (model.create_vm_error) {
        return -model.create_vm_error;
    }
    fd = memfd_create("model-vm", MFD_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    if (!model.vms) {
        model.vms = g_ptr_array_new_with_free_func((GDestroyNotify)model_vm_free);
    }
    g_ptr_array_add(model.vms, model_vm_new(fd));
    return fd;
}

static int system_call(unsigned long req, void *arg)
{
    switch (req) {
    case KVM_GET_API_VERSION:
        return model.api_version;
    case KVM_CREATE_VM:
        return create_vm();
    case KVM_CHECK_EXTENSION:
        return check_extension((int)(uintptr_t)arg);
    case KVM_GET_VCPU_MMAP_SIZE:
        return MODEL_VCPU_MMAP;
    case KVM_GET_SUPPORTED_CPUID:
        return get_supported_cpuid(arg);
    case KVM_GET_MSR_INDEX_LIST:
        return model_get_msr_index_list(arg);
    default:
        return -ENOTTY;
    }
}

int __wrap_kvm_system_ioctl(Kvm *kvm, unsigned long req, void *arg)
{
    int ret;

    model_lock();
    ret = -enter_call(req);
    if (ret == 0) {
        ret = system_call(req, arg);
    }
    model_unlock();
    return ret;
}

static int vm_call(ModelVm *vm, unsigned long req, void *arg)
{
    switch (req) {
    case KVM_CHECK_EXTENSION:
        return check_extension((int)(uintptr_t)arg);
    default:
        return model_vm_ioctl(vm, req, arg);
    }
}

int __wrap_kvm_vm_ioctl(Kvm *kvm, unsigned long req, void *arg)
{
    ModelVm *vm;
    int ret;

    model_lock();
    vm = find_vm(kvm->vm_fd);
    ret = -enter_call(req);
    if (ret == 0) {
        ret = vm ? vm_call(vm, req, arg) : -EBADF;
    }
    model_unlock();
    return ret;
}

static ModelVcpu *find_vcpu(ModelVm *vm, int fd)
{
    for (guint i = 0; vm && i < vm->vcpus->len; i++) {
        ModelVcpu *vcpu = g_ptr_array_index(vm->vcpus, i);

        if (vcpu->fd == fd) {
            return vcpu;
        }
    }
    return NULL;
}

static int vcpu_ioctl(ModelVcpu *vcpu, unsigned long req, void *arg)
{
    ModelVm *vm = vcpu->vm;

    return req == KVM_TRANSLATE && vm->translate
               ? vm->translate(vm, vcpu->id, arg, vm->translate_opaque)
               : model_vcpu_ioctl(vcpu, req, arg);
}

int __wrap_kvm_vcpu_ioctl(Kvm *kvm, int vcpu_fd, unsigned long req, void *arg)
{
    ModelVcpu *vcpu;
    int ret;

    model_lock();
    vcpu = find_vcpu(find_vm(kvm->vm_fd), vcpu_fd);
    if (vcpu && req == KVM_RUN) {
        model_unlock();
        inside++;
        ret = model_vcpu_run_ioctl(vcpu);
        inside--;
        return ret;
    }
    ret = -enter_call(req);
    if (ret == 0) {
        ret = vcpu ? vcpu_ioctl(vcpu, req, arg) : -EBADF;
    }
    model_unlock();
    return ret;
}
