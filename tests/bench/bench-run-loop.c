/* SPDX-License-Identifier: MIT */
/* What one port write of the guest costs in user space: one line "run_loop_exit_ns value ns". */
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../../src/accel/kvm/kvm-internal.h"
#include "support/instructions.h"
#include "tessera/accel/kvm/vcpu.h"
#include "tessera/memory/address-space.h"
#include "tessera/memory/memory-system.h"
#include "tessera/memory/region.h"

/*
 * The real run loop, exit handler, dispatch and a device, on its own thread; only the ioctls are
 * answered here (-Wl,--wrap), and KVM_RUN at once: every call is a return with KVM_EXIT_IO, an OUT
 * of one byte. What is measured is the time between EXITS calls of KVM_RUN, divided.
 */
#define RUNS      31
#define EXITS     100000u
#define PAGE      4096
#define RUN_PAGES 3 /* kvm_run, port data, coalesced ring */
#define PORT      0x3f8
#define PORTS     16 /* devices on the port bus */

int __wrap_kvm_system_ioctl(Kvm *kvm, unsigned long req, void *arg);
int __wrap_kvm_vm_ioctl(Kvm *kvm, unsigned long req, void *arg);
int __wrap_kvm_vcpu_ioctl(Kvm *kvm, int vcpu_fd, unsigned long req, void *arg);

/* The one vCPU. Its fields are the vCPU thread's between resume and the post of @done. */
static struct {
    struct kvm_run *run;
    unsigned left;
    double start;
    double end;
    bool counts; /* instructions, this time */
    uint64_t writes;
    sem_t done;
} vcpu;

static double now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

int __wrap_kvm_system_ioctl(Kvm *kvm, unsigned long req, void *arg)
{
    switch (req) {
    case KVM_GET_SUPPORTED_CPUID:
        ((struct kvm_cpuid2 *)arg)->nent = 0;
        return 0;
    case KVM_GET_MSR_INDEX_LIST:
        ((struct kvm_msr_list *)arg)->nmsrs = 0;
        return 0;
    default:
        return 0;
    }
}

static int create_vcpu(void)
{
    int fd = memfd_create("bench-vcpu", MFD_CLOEXEC);

    if (fd < 0 || ftruncate(fd, RUN_PAGES * PAGE) < 0) {
        return -errno;
    }
    vcpu.run = mmap(NULL, RUN_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (vcpu.run == MAP_FAILED) {
        return -errno;
    }
    vcpu.run->exit_reason = KVM_EXIT_IO;
    vcpu.run->io.direction = KVM_EXIT_IO_OUT;
    vcpu.run->io.size = 1;
    vcpu.run->io.port = PORT;
    vcpu.run->io.count = 1;
    vcpu.run->io.data_offset = PAGE;
    return fd;
}

int __wrap_kvm_vm_ioctl(Kvm *kvm, unsigned long req, void *arg)
{
    return req == KVM_CREATE_VCPU ? create_vcpu() : 0;
}

static int run(void)
{
    if (vcpu.run->immediate_exit) {
        return -EINTR;
    }
    if (vcpu.left == EXITS) {
        vcpu.start = now_ns();
        if (vcpu.counts) {
            bench_count_start("run_loop_exit_ns", EXITS);
        }
    }
    if (vcpu.left-- > 0) {
        return 0;
    }
    if (vcpu.counts) {
        bench_count_end();
    }
    vcpu.end = now_ns();
    sem_post(&vcpu.done);
    while (!__atomic_load_n(&vcpu.run->immediate_exit, __ATOMIC_ACQUIRE)) {
        usleep(10); /* until the pause's kick */
    }
    return -EINTR;
}

int __wrap_kvm_vcpu_ioctl(Kvm *kvm, int vcpu_fd, unsigned long req, void *arg)
{
    if (req == KVM_RUN) {
        return run();
    }
    /* Of MSRs all are taken. */
    return req == KVM_SET_MSRS || req == KVM_GET_MSRS ? (int)((struct kvm_msrs *)arg)->nmsrs : 0;
}

static MemTxResult port_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                             MemTxAttrs attrs)
{
    *ret_value = 0;
    return MEMTX_OK;
}

static MemTxResult port_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                              MemTxAttrs attrs)
{
    vcpu.writes++;
    return MEMTX_OK;
}

static const MemoryRegionOps port_ops = {
    .read = port_read,
    .write = port_write,
    .valid = { .min_access_size = 1, .max_access_size = 1 },
    .impl = { .min_access_size = 1, .max_access_size = 1 },
};

static void nothing_happened(void *opaque, unsigned cpu)
{
}

static void no_event(void *opaque, unsigned cpu, unsigned type)
{
}

static void failed(void *opaque, unsigned cpu, const char *text)
{
    fprintf(stderr, "bench-run-loop: %s\n", text);
    exit(1);
}

static const VcpuOps ops = {
    .triple_fault = nothing_happened,
    .system_event = no_event,
    .failed = failed,
};

static double one_run(VcpuSet *set)
{
    vcpu.left = EXITS;
    vcpu_set_resume(set);
    while (sem_wait(&vcpu.done) < 0) {
    }
    vcpu_set_pause(set);
    return (vcpu.end - vcpu.start) / EXITS;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static bool measure(VcpuSet *set)
{
    double values[RUNS];

    one_run(set); /* warms up */
    for (unsigned i = 0; i < RUNS; i++) {
        values[i] = one_run(set);
    }
    qsort(values, RUNS, sizeof(values[0]), by_value);
    printf("run_loop_exit_ns %.1f ns\n", values[RUNS / 2]);
    return vcpu.writes == (uint64_t)EXITS * (RUNS + 1);
}

static bool count_instructions(VcpuSet *set)
{
    one_run(set);
    vcpu.counts = true;
    one_run(set);
    return vcpu.writes == (uint64_t)EXITS * 2;
}

static bool measure_with(Kvm *kvm, AddressSpace *memory, AddressSpace *io, bool counts)
{
    g_autoptr(GError) error = NULL;
    CpuModel *model = cpu_model_new(kvm, "host", &error);
    VcpuSet *set = model ? vcpu_set_new(kvm, model, 1, memory, io, &ops, NULL, &error) : NULL;
    bool ok = set && (counts ? count_instructions(set) : measure(set));

    if (!ok) {
        fprintf(stderr, "bench-run-loop: %s\n", error ? error->message : "writes were lost");
    }
    vcpu_set_free(set);
    cpu_model_free(model);
    return ok;
}

int main(int argc, char *argv[])
{
    Kvm kvm = { .system_fd = -1, .vm_fd = -1 };
    MemorySystem *ms = memory_system_new(NULL);
    MemoryRegion *system = memory_region_new_container(ms, NULL, "system", INT128_2_64);
    MemoryRegion *ports = memory_region_new_container(ms, NULL, "ports", 65536);
    MemoryRegion *devices[PORTS];
    AddressSpace *memory, *io;
    bool ok;

    kvm.caps.max_vcpus = 1;
    kvm.caps.vcpu_mmap_size = RUN_PAGES * PAGE;
    kvm.caps.coalesced_page = 2;
    pthread_mutex_init(&kvm.ring.lock, NULL);
    sem_init(&vcpu.done, 0, 0);
    for (unsigned i = 0; i < PORTS; i++) {
        devices[i] = memory_region_new_io(ms, NULL, &port_ops, NULL, "device", 8);
        memory_region_add_subregion(ports, PORT - 64 + 64 * i, devices[i], NULL);
    }
    memory = address_space_new(ms, system, "memory", NULL);
    io = address_space_new(ms, ports, "I/O", NULL);
    ok = measure_with(&kvm, memory, io, bench_counts_instructions(argc, argv));
    for (unsigned i = 0; i < PORTS; i++) {
        memory_region_del_subregion(ports, devices[i], NULL);
    }
    address_space_free(io);
    address_space_free(memory);
    for (unsigned i = 0; i < PORTS; i++) {
        memory_region_release(devices[i]);
    }
    memory_region_release(ports);
    memory_region_release(system);
    memory_system_free(ms);
    return ok ? 0 : 1;
}
