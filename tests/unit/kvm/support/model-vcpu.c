/* SPDX-License-Identifier: MIT */
/* The model KVM: vCPUs with scripted exits, register state kept as bytes, CPUID. */
#include "model-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
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
    vcpu->state = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_byte_array_unref);
    g_ptr_array_add(vm->vcpus, vcpu);
    return fd;
}

static void fill_access(struct kvm_run *run, void *opaque);

/* Of an exit that never completed. */
static void exit_free(void *opaque)
{
    ModelExit *e = opaque;

    if (e && e->fill == fill_access) {
        g_free(e->opaque);
    }
    g_free(e);
}

void model_vcpu_free(ModelVcpu *vcpu)
{
    munmap(vcpu->run, MODEL_VCPU_MMAP);
    g_queue_clear_full(&vcpu->exits, exit_free);
    exit_free(vcpu->open);
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

static int get_or_set(ModelVcpu *vcpu, unsigned long req, void *arg)
{
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        size_t len = _IOC_SIZE(pairs[i].set);

        if (req == pairs[i].set) {
            store(vcpu, req, arg, len);
            return 0;
        }
        if (req == pairs[i].get) {
            GByteArray *a = g_hash_table_lookup(vcpu->state, GSIZE_TO_POINTER(pairs[i].set));

            memset(arg, 0, len);
            if (a) {
                memcpy(arg, a->data, len);
            }
            return 0;
        }
    }
    return -ENOTTY;
}

int model_vcpu_ioctl(ModelVcpu *vcpu, unsigned long req, void *arg)
{
    switch (req) {
    case KVM_SET_CPUID2: {
        const struct kvm_cpuid2 *c = arg;

        store(vcpu, req, c, sizeof(*c) + c->nent * sizeof(c->entries[0]));
        return 0;
    }
    case KVM_SET_MSRS: {
        const struct kvm_msrs *m = arg;

        store(vcpu, req, m, sizeof(*m) + m->nmsrs * sizeof(m->entries[0]));
        return (int)m->nmsrs;
    }
    case KVM_GET_MSRS: {
        struct kvm_msrs *m = arg;

        for (unsigned i = 0; i < m->nmsrs; i++) {
            m->entries[i].data = 0;
        }
        return (int)m->nmsrs;
    }
    case KVM_KVMCLOCK_CTRL:
    case KVM_NMI:
    case KVM_ENABLE_CAP:
        return 0;
    default:
        return get_or_set(vcpu, req, arg);
    }
}

/* Takes the next exit off the queue; completes the one before it. */
static ModelExit *next_exit(ModelVcpu *vcpu, bool complete_only)
{
    ModelExit *open, *next = NULL;

    model_lock();
    open = g_steal_pointer(&vcpu->open);
    model_unlock();
    if (open && open->complete) {
        open->complete(vcpu->run, open->opaque);
    }
    g_free(open);
    model_lock();
    if (!complete_only && !__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_RELAXED)) {
        next = g_queue_pop_head(&vcpu->exits);
        vcpu->open = next;
    }
    model_unlock();
    return next;
}

int model_vcpu_run_ioctl(ModelVcpu *vcpu)
{
    const struct timespec tick = { .tv_nsec = 200 * 1000 };
    int ret = -EINTR;

    atomic_fetch_add(&vcpu->vm->running, 1);
    for (;;) {
        bool stop = __atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_RELAXED);
        ModelExit *e = next_exit(vcpu, stop);

        if (e) {
            if (e->fill) {
                e->fill(vcpu->run, e->opaque);
            }
            ret = e->ret;
            break;
        }
        /* As a halted vCPU waits; a signal ends the sleep. */
        if (stop || (nanosleep(&tick, NULL) < 0 && errno == EINTR)) {
            vcpu->run->exit_reason = KVM_EXIT_INTR;
            break;
        }
    }
    atomic_fetch_sub(&vcpu->vm->running, 1);
    return ret;
}

static ModelVcpu *vcpu_at(ModelVm *vm, unsigned cpu)
{
    return g_ptr_array_index(vm->vcpus, cpu);
}

void model_vcpu_push_exit(ModelVm *vm, unsigned cpu, const ModelExit *exit)
{
    model_lock();
    g_queue_push_tail(&vcpu_at(vm, cpu)->exits, g_memdup2(exit, sizeof(*exit)));
    model_unlock();
}

/* What a scripted access needs until it is complete; freed then. */
typedef struct Access {
    struct kvm_run head;
    void *data;
    size_t len;
} Access;

static void fill_access(struct kvm_run *run, void *opaque)
{
    Access *a = opaque;

    run->exit_reason = a->head.exit_reason;
    if (a->head.exit_reason == KVM_EXIT_IO) {
        run->io = a->head.io;
        if (run->io.direction == KVM_EXIT_IO_OUT) {
            memcpy((char *)run + run->io.data_offset, a->data, a->len);
        }
    } else {
        run->mmio = a->head.mmio;
        if (run->mmio.is_write) {
            memcpy(run->mmio.data, a->data, a->len);
        }
    }
}

static void complete_access(struct kvm_run *run, void *opaque)
{
    Access *a = opaque;

    if (a->head.exit_reason == KVM_EXIT_IO && a->head.io.direction == KVM_EXIT_IO_IN) {
        memcpy(a->data, (char *)run + a->head.io.data_offset, a->len);
    } else if (a->head.exit_reason == KVM_EXIT_MMIO && !a->head.mmio.is_write) {
        memcpy(a->data, run->mmio.data, a->len);
    }
    g_free(a);
}

static void push_access(ModelVm *vm, unsigned cpu, const struct kvm_run *head, void *data,
                        size_t len)
{
    Access *a = g_new0(Access, 1);

    a->head = *head;
    a->data = data;
    a->len = len;
    model_vcpu_push_exit(vm, cpu, &(ModelExit){ .fill = fill_access, .complete = complete_access,
                                                .opaque = a });
}

void model_vcpu_push_io(ModelVm *vm, unsigned cpu, bool out, uint16_t port, unsigned size,
                        unsigned count, void *data)
{
    struct kvm_run head = { .exit_reason = KVM_EXIT_IO };

    head.io.direction = out ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
    head.io.size = (uint8_t)size;
    head.io.port = port;
    head.io.count = count;
    head.io.data_offset = MODEL_PAGE;
    push_access(vm, cpu, &head, data, (size_t)size * count);
}

void model_vcpu_push_mmio(ModelVm *vm, unsigned cpu, bool write, uint64_t gpa, unsigned len,
                          void *data)
{
    struct kvm_run head = { .exit_reason = KVM_EXIT_MMIO };

    head.mmio.phys_addr = gpa;
    head.mmio.len = len;
    head.mmio.is_write = write;
    push_access(vm, cpu, &head, data, len);
}

static void fill_reason(struct kvm_run *run, void *opaque)
{
    run->exit_reason = GPOINTER_TO_UINT(opaque);
}

void model_vcpu_push_reason(ModelVm *vm, unsigned cpu, uint32_t exit_reason)
{
    model_vcpu_push_exit(vm, cpu,
                         &(ModelExit){ .fill = fill_reason,
                                       .opaque = GUINT_TO_POINTER(exit_reason) });
}

unsigned model_vcpu_exits_left(ModelVm *vm, unsigned cpu)
{
    unsigned n;

    model_lock();
    n = vcpu_at(vm, cpu)->exits.length;
    model_unlock();
    return n;
}

unsigned model_vcpu_count(ModelVm *vm)
{
    return vm->vcpus->len;
}

struct kvm_run *model_vcpu_run(ModelVm *vm, unsigned cpu)
{
    return vcpu_at(vm, cpu)->run;
}

const GByteArray *model_vcpu_state(ModelVm *vm, unsigned cpu, unsigned long set_req)
{
    return g_hash_table_lookup(vcpu_at(vm, cpu)->state, GSIZE_TO_POINTER(set_req));
}

int model_get_supported_cpuid(struct kvm_cpuid2 *cpuid)
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

    if (cpuid->nent < G_N_ELEMENTS(entries)) {
        return -E2BIG;
    }
    cpuid->nent = G_N_ELEMENTS(entries);
    memcpy(cpuid->entries, entries, sizeof(entries));
    return 0;
}

int model_get_msr_index_list(struct kvm_msr_list *list)
{
    const uint32_t msrs[] = { 0x10, 0x11, 0x12, 0x174, 0x175, 0x176, 0x277, 0x2ff, 0x4b564d00,
                              0x4b564d01 };
    uint32_t room = list->nmsrs;

    list->nmsrs = G_N_ELEMENTS(msrs);
    if (room < G_N_ELEMENTS(msrs)) {
        return -E2BIG;
    }
    memcpy(list->indices, msrs, sizeof(msrs));
    return 0;
}
