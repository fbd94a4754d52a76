/* SPDX-License-Identifier: MIT */
/* The model KVM: KVM_RUN, and the exits that a test scripts for it. */
#include "model-internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Completes what KVM_RUN returned with last time. Returns whether that leads to the next exit. */
static bool complete_last(ModelVcpu *vcpu)
{
    g_autofree ModelExit *open = NULL;

    model_lock();
    open = g_steal_pointer(&vcpu->open);
    model_unlock();
    if (open && open->complete) {
        open->complete(vcpu->run, open->opaque);
    }
    return open && open->more;
}

static ModelExit *next_exit(ModelVcpu *vcpu)
{
    uint64_t ignored;

    model_lock();
    if (read(vcpu->wake, &ignored, sizeof(ignored)) < 0) {
        ; /* nobody wrote: there may be exits left all the same */
    }
    vcpu->open = g_queue_pop_head(&vcpu->exits);
    if (!vcpu->open && vcpu->has_endless && ++vcpu->turns % 16 != 0) {
        vcpu->open = g_memdup2(&vcpu->endless, sizeof(vcpu->endless));
    }
    model_unlock();
    return vcpu->open;
}

/* Waits for an exit as a halted vCPU does; signals that @mask lets through end that. */
static ModelExit *wait_for_exit(ModelVcpu *vcpu, const sigset_t *mask)
{
    struct pollfd wake = { .fd = vcpu->wake, .events = POLLIN };
    const struct timespec now = { 0 };
    ModelExit *e;

    /* Signals that are pending come before anything the guest does. */
    if (ppoll(NULL, 0, &now, mask) < 0) {
        return NULL;
    }
    while ((e = next_exit(vcpu)) == NULL) {
        if (ppoll(&wake, 1, NULL, mask) < 0) {
            return NULL;
        }
    }
    return e;
}

static int run_until_exit(ModelVcpu *vcpu, const sigset_t *mask)
{
    bool more = complete_last(vcpu);
    ModelExit *e = NULL;

    if (more) {
        e = next_exit(vcpu);
    } else if (!__atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_RELAXED)) {
        e = wait_for_exit(vcpu, mask);
    }
    if (!e) {
        vcpu->run->exit_reason = KVM_EXIT_INTR;
        return -EINTR;
    }
    if (e->fill) {
        e->fill(vcpu->run, e->opaque);
    }
    return e->ret;
}

/* Inside the kernel a signal is pending until the call returns or waits: so it is here. */
int model_vcpu_run_ioctl(ModelVcpu *vcpu)
{
    sigset_t all, before;
    int ret;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    atomic_fetch_add(&vcpu->vm->running, 1);
    atomic_store(&vcpu->inside, true);
    ret = run_until_exit(vcpu, &before);
    atomic_store(&vcpu->inside, false);
    atomic_fetch_sub(&vcpu->vm->running, 1);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ret;
}

void model_vcpu_push_exit(ModelVm *vm, unsigned cpu, const ModelExit *exit)
{
    model_lock();
    g_queue_push_tail(&model_vcpu_at(vm, cpu)->exits, g_memdup2(exit, sizeof(*exit)));
    model_unlock();
    if (eventfd_write(model_vcpu_at(vm, cpu)->wake, 1) < 0) {
        g_assert_not_reached();
    }
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
                        size_t len, bool more)
{
    Access *a = g_new0(Access, 1);

    a->head = *head;
    a->data = data;
    a->len = len;
    model_vcpu_push_exit(vm, cpu, &(ModelExit){ .fill = fill_access, .complete = complete_access,
                                                .opaque = a, .more = more });
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
    push_access(vm, cpu, &head, data, (size_t)size * count, false);
}

static void push_mmio(ModelVm *vm, unsigned cpu, bool write, uint64_t gpa, unsigned len, void *data,
                      bool more)
{
    struct kvm_run head = { .exit_reason = KVM_EXIT_MMIO };

    head.mmio.phys_addr = gpa;
    head.mmio.len = len;
    head.mmio.is_write = write;
    push_access(vm, cpu, &head, data, len, more);
}

void model_vcpu_push_mmio(ModelVm *vm, unsigned cpu, bool write, uint64_t gpa, unsigned len,
                          void *data)
{
    push_mmio(vm, cpu, write, gpa, len, data, false);
}

void model_vcpu_push_mmio_more(ModelVm *vm, unsigned cpu, bool write, uint64_t gpa, unsigned len,
                               void *data)
{
    push_mmio(vm, cpu, write, gpa, len, data, true);
}

void model_vcpu_set_endless(ModelVm *vm, unsigned cpu, const ModelExit *exit)
{
    ModelVcpu *vcpu = model_vcpu_at(vm, cpu);

    model_lock();
    vcpu->has_endless = exit != NULL;
    if (exit) {
        vcpu->endless = *exit;
    }
    model_unlock();
    if (eventfd_write(vcpu->wake, 1) < 0) {
        g_assert_not_reached();
    }
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

/* Of an exit that never completed. */
void model_exit_free(void *opaque)
{
    ModelExit *e = opaque;

    if (e && e->fill == fill_access) {
        g_free(e->opaque);
    }
    g_free(e);
}
