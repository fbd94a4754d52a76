/* SPDX-License-Identifier: MIT */
/* The model KVM: vCPUs: register state kept as bytes, MSRs, CPUID. */
#include "model-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

int model_create_vcpu(ModelVm *vm, unsigned id)
{
    ModelVcpu *vcpu;
    void *run;
    int fd;

    if (id >= 4096 || vm->vcpus->len >= 1024) {
        return -EINVAL;
    }
    for (guint i = 0; i < vm->vcpus->len; i++) {
        if (((ModelVcpu *)g_ptr_array_index(vm->vcpus, i))->id == id) {
            return -EEXIST;
        }
    }
    fd = memfd_create("model-vcpu", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, MODEL_VCPU_MMAP) < 0) {
        return -ENOMEM;
    }
    run = mmap(NULL, MODEL_VCPU_MMAP, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (run == MAP_FAILED) {
        close(fd);
        return -ENOMEM;
    }
    vcpu = g_new0(ModelVcpu, 1);
    vcpu->vm = vm;
    vcpu->fd = fd;
    vcpu->id = id;
    vcpu->run = run;
    g_queue_init(&vcpu->exits);
    vcpu->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    g_assert(vcpu->wake >= 0);
    vcpu->msrs = g_hash_table_new(NULL, NULL);
    vcpu->state = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_byte_array_unref);
    g_ptr_array_add(vm->vcpus, vcpu);
    return fd;
}

void model_vcpu_free(ModelVcpu *vcpu)
{
    munmap(vcpu->run, MODEL_VCPU_MMAP);
    g_queue_clear_full(&vcpu->exits, model_exit_free);
    model_exit_free(vcpu->open);
    close(vcpu->wake);
    g_hash_table_unref(vcpu->msrs);
    g_hash_table_unref(vcpu->state);
    g_free(vcpu);
}

/* The setter of a getter and a setter, by number: the key of their common store. */
static const struct {
    unsigned long get;
    unsigned long set;
} pairs[] = {
    { KVM_GET_REGS, KVM_SET_REGS },
    { KVM_GET_SREGS, KVM_SET_SREGS },
    { KVM_GET_FPU, KVM_SET_FPU },
    { KVM_GET_LAPIC, KVM_SET_LAPIC },
    { KVM_GET_MP_STATE, KVM_SET_MP_STATE },
    { KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS },
    { KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS },
    { KVM_GET_XSAVE, KVM_SET_XSAVE },
    { KVM_GET_XCRS, KVM_SET_XCRS },
};

static void store(ModelVcpu *vcpu, unsigned long set, const void *bytes, size_t len)
{
    GByteArray *a = g_byte_array_new();

    g_byte_array_append(a, bytes, (guint)len);
    g_hash_table_insert(vcpu->state, GSIZE_TO_POINTER(set), a);
}

uint8_t model_vcpu_power_on_byte(unsigned long set_req)
{
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        if (pairs[i].set == set_req) {
            return (uint8_t)(0x10 + i);
        }
    }
    return 0;
}

static int get_or_set(ModelVcpu *vcpu, unsigned long req, void *arg)
{
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        size_t len = _IOC_SIZE(pairs[i].set);

        if (req == KVM_SET_SREGS && vcpu->vmx) {
            return -EINVAL;
        }
        if (req == pairs[i].set) {
            store(vcpu, req, arg, len);
            return 0;
        }
        if (req == pairs[i].get || (req == KVM_GET_XSAVE2 && pairs[i].get == KVM_GET_XSAVE)) {
            GByteArray *a = g_hash_table_lookup(vcpu->state, GSIZE_TO_POINTER(pairs[i].set));

            if (a) {
                memcpy(arg, a->data, len);
            } else {
                memset(arg, model_vcpu_power_on_byte(pairs[i].set), len);
            }
            return 0;
        }
    }
    return -ENOTTY;
}

static const uint32_t listed_msrs[] = { 0x10,  0x11,  0x12,  0x3a,       0x174,     0x175, 0x176,
                                        0x1a0, 0x277, 0x2ff, 0x4b564d00, 0x4b564d01 };

static bool msr_exists(uint32_t index)
{
    for (size_t i = 0; i < G_N_ELEMENTS(listed_msrs); i++) {
        if (listed_msrs[i] == index) {
            return index != 0x12; /* listed, but this vCPU does not have it */
        }
    }
    return index == 0xc0000102 || (index >= 0x200 && index < 0x210) || index == 0x250 || index == 0x258 ||
           index == 0x259 || (index >= 0x268 && index <= 0x26f);
}

static uint64_t get_msr(ModelVcpu *vcpu, uint32_t index)
{
    void *value;

    if (g_hash_table_lookup_extended(vcpu->msrs, GUINT_TO_POINTER(index), NULL, &value)) {
        return GPOINTER_TO_SIZE(value);
    }
    return index == 0x10 ? 0 : index * 3ULL;
}

static void put_msr(ModelVcpu *vcpu, uint32_t index, uint64_t value)
{
    g_hash_table_insert(vcpu->msrs, GUINT_TO_POINTER(index), GSIZE_TO_POINTER(value));
}

/* Stops at the first that is not there: its place is the answer. */
static int transfer_msrs(ModelVcpu *vcpu, struct kvm_msrs *m, bool set)
{
    for (unsigned i = 0; i < m->nmsrs; i++) {
        if (!msr_exists(m->entries[i].index)) {
            return (int)i;
        }
        if (set) {
            vcpu->vmx = vcpu->vmx && !(m->entries[i].index == 0x3a && m->entries[i].data == 0);
            put_msr(vcpu, m->entries[i].index, m->entries[i].data);
        } else {
            m->entries[i].data = get_msr(vcpu, m->entries[i].index);
        }
    }
    return (int)m->nmsrs;
}

static int translate(struct kvm_translation *tr)
{
    tr->physical_address = tr->linear_address;
    tr->valid = 1;
    return 0;
}

static bool touches_registers(unsigned long req)
{
    return req != KVM_KVMCLOCK_CTRL && req != KVM_NMI && req != KVM_TRANSLATE;
}

int model_vcpu_ioctl(ModelVcpu *vcpu, unsigned long req, void *arg)
{
    if (atomic_load(&vcpu->inside) ||
        (vcpu->open && vcpu->open->complete && touches_registers(req))) {
        vcpu->vm->rude_calls++;
    }
    switch (req) {
    case KVM_SET_CPUID2: {
        const struct kvm_cpuid2 *c = arg;

        store(vcpu, req, c, sizeof(*c) + c->nent * sizeof(c->entries[0]));
        return 0;
    }
    case KVM_GET_MSRS:
    case KVM_SET_MSRS:
        return transfer_msrs(vcpu, arg, req == KVM_SET_MSRS);
    case KVM_SET_GUEST_DEBUG: {
        const struct kvm_guest_debug *d = arg;

        /* Two exceptions cannot wait at once. */
        if ((d->control & (KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP)) && vcpu->excepted) {
            return -EBUSY;
        }
        store(vcpu, req, d, sizeof(*d));
        return 0;
    }
    case KVM_TRANSLATE:
        return translate(arg);
    case KVM_GET_STATS_FD:
        return model_get_stats_fd();
    case KVM_KVMCLOCK_CTRL:
    case KVM_NMI:
    case KVM_ENABLE_CAP:
        return 0;
    default:
        return get_or_set(vcpu, req, arg);
    }
}

ModelVcpu *model_vcpu_at(ModelVm *vm, unsigned cpu)
{
    return g_ptr_array_index(vm->vcpus, cpu);
}

unsigned model_vcpu_exits_left(ModelVm *vm, unsigned cpu)
{
    unsigned n;

    model_lock();
    n = model_vcpu_at(vm, cpu)->exits.length;
    model_unlock();
    return n;
}

unsigned model_vcpu_count(ModelVm *vm)
{
    return vm->vcpus->len;
}

struct kvm_run *model_vcpu_run(ModelVm *vm, unsigned cpu)
{
    return model_vcpu_at(vm, cpu)->run;
}

const GByteArray *model_vcpu_state(ModelVm *vm, unsigned cpu, unsigned long set_req)
{
    return g_hash_table_lookup(model_vcpu_at(vm, cpu)->state, GSIZE_TO_POINTER(set_req));
}

void model_vcpu_set_state(ModelVm *vm, unsigned cpu, unsigned long set_req, uint8_t byte)
{
    g_autofree uint8_t *bytes = g_malloc(_IOC_SIZE(set_req));

    memset(bytes, byte, _IOC_SIZE(set_req));
    model_lock();
    store(model_vcpu_at(vm, cpu), set_req, bytes, _IOC_SIZE(set_req));
    model_unlock();
}

uint64_t model_vcpu_msr(ModelVm *vm, unsigned cpu, uint32_t index)
{
    uint64_t value;

    model_lock();
    value = get_msr(model_vcpu_at(vm, cpu), index);
    model_unlock();
    return value;
}

void model_vcpu_set_msr(ModelVm *vm, unsigned cpu, uint32_t index, uint64_t value)
{
    model_lock();
    put_msr(model_vcpu_at(vm, cpu), index, value);
    model_unlock();
}

void model_vcpu_set_excepted(ModelVm *vm, unsigned cpu, bool excepted)
{
    model_lock();
    model_vcpu_at(vm, cpu)->excepted = excepted;
    model_unlock();
}

void model_vcpu_enter_vmx(ModelVm *vm, unsigned cpu)
{
    model_lock();
    model_vcpu_at(vm, cpu)->vmx = true;
    model_unlock();
}

unsigned model_vm_rude_calls(ModelVm *vm)
{
    unsigned n;

    model_lock();
    n = vm->rude_calls;
    model_unlock();
    return n;
}

struct kvm_cpuid2 *model_default_cpuid(void)
{
    const struct kvm_cpuid_entry2 entries[] = {
        { .function = 0, .eax = 0xd, .ebx = 0x756e6547, .ecx = 0x6c65746e, .edx = 0x49656e69 },
        { .function = 1, .eax = 0x50654, .ecx = 0x81202009, .edx = 0x0f8bfbff },
        { .function = 4, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = 0x121 },
        { .function = 7, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .ebx = 0x281 },
        { .function = 0xb, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX },
        { .function = 0x40000000, .eax = 0x40000001, .ebx = 0x4b4d564b, .ecx = 0x564b4d56,
          .edx = 0x4d },
        { .function = 0x40000001, .eax = 0x01007efb },
        { .function = 0x80000000, .eax = 0x80000008 },
        { .function = 0x80000001, .ecx = 0x21, .edx = 0x2c100800 },
        { .function = 0x80000008, .eax = 0x3000 | model_phys_bits() },
    };

    struct kvm_cpuid2 *cpuid = g_malloc0(sizeof(*cpuid) + sizeof(entries));

    cpuid->nent = G_N_ELEMENTS(entries);
    memcpy(cpuid->entries, entries, sizeof(entries));
    return cpuid;
}

int model_get_msr_index_list(struct kvm_msr_list *list)
{
    uint32_t room = list->nmsrs;

    list->nmsrs = G_N_ELEMENTS(listed_msrs);
    if (room < G_N_ELEMENTS(listed_msrs)) {
        return -E2BIG;
    }
    memcpy(list->indices, listed_msrs, sizeof(listed_msrs));
    return 0;
}
