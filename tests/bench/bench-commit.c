/* SPDX-License-Identifier: MIT */
/* What a commit costs: toggles among many regions, DIMMs beside many, incremental and full. */
#include <stdio.h>
#include <stdlib.h>

#include "../../src/accel/kvm/kvm-internal.h"
#include "support/bench.h"
#include "tessera/memory/address-space.h"
#include "tessera/memory/memory-system.h"
#include "tessera/memory/ram-block.h"
#include "tessera/memory/region.h"
#include "tessera/util/rcu.h"

/*
 * A machine's two spaces with KVM's listeners on them; the ioctls are answered here (-Wl,--wrap)
 * and cost nothing. One commit is measured at a time, and the median is printed. What a commit
 * leaves to the grace period is freed between the measurements, on liburcu's thread.
 */
#define PAGE          UINT64_C(0x1000)
#define DIMM_SIZE     (UINT64_C(64) << 20)
#define DIMMS         256u
#define DIMM_BASE     (UINT64_C(4) << 30)
#define REGIONS_MAX   100000u
#define RUNS          1001u
#define RUNS_FULL     11u /* a full render of REGIONS_MAX takes a while */
#define BETWEEN_FREES 16u

static uint64_t ioctls;

int __wrap_kvm_system_ioctl(Kvm *kvm, unsigned long req, void *arg);
int __wrap_kvm_vm_ioctl(Kvm *kvm, unsigned long req, void *arg);
int __wrap_kvm_vcpu_ioctl(Kvm *kvm, int vcpu_fd, unsigned long req, void *arg);

int __wrap_kvm_system_ioctl(Kvm *kvm, unsigned long req, void *arg)
{
    return 0;
}

int __wrap_kvm_vm_ioctl(Kvm *kvm, unsigned long req, void *arg)
{
    ioctls++;
    return 0;
}

int __wrap_kvm_vcpu_ioctl(Kvm *kvm, int vcpu_fd, unsigned long req, void *arg)
{
    return 0;
}

typedef struct Bench {
    MemorySystem *ms;
    MemoryRegion *system;
    MemoryRegion *ports;
    AddressSpace *memory;
    AddressSpace *io;
    Kvm kvm;
    MemoryRegion **regions;
    unsigned count;
    GRand *rand;
} Bench;

static void bench_init(Bench *b, unsigned count)
{
    g_autoptr(GError) error = NULL;

    *b = (Bench){ .ms = memory_system_new(NULL), .count = count, .rand = g_rand_new_with_seed(42) };
    b->kvm.system_fd = b->kvm.vm_fd = -1;
    b->kvm.caps.nr_slots = 32764;
    b->regions = g_new(MemoryRegion *, count);
    b->system = memory_region_new_container(b->ms, NULL, "system", INT128_2_64);
    b->ports = memory_region_new_container(b->ms, NULL, "ports", 65536);
    b->memory = address_space_new(b->ms, b->system, "memory", NULL);
    b->io = address_space_new(b->ms, b->ports, "I/O", NULL);
    if (!b->memory || !b->io || !kvm_attach_memory(&b->kvm, b->memory, b->io, &error)) {
        fprintf(stderr, "bench-commit: %s\n", error ? error->message : "no address space");
        exit(1);
    }
}

static void bench_done(Bench *b)
{
    kvm_detach_memory(&b->kvm);
    address_space_free(b->memory);
    address_space_free(b->io);
    memory_region_transaction_begin(b->ms);
    for (unsigned i = 0; i < b->count; i++) {
        if (memory_region_container(b->regions[i])) {
            memory_region_del_subregion(b->system, b->regions[i], NULL);
        }
    }
    memory_region_transaction_commit(b->ms, NULL);
    for (unsigned i = 0; i < b->count; i++) {
        memory_region_release(b->regions[i]);
    }
    memory_region_release(b->system);
    memory_region_release(b->ports);
    memory_system_free(b->ms);
    g_rand_free(b->rand);
    g_free(b->regions);
}

static void must(bool ok)
{
    if (!ok) {
        fprintf(stderr, "bench-commit: an edit was refused\n");
        exit(1);
    }
}

static const MemoryRegionOps no_ops;

/* One page after another. */
static void add_devices(Bench *b)
{
    memory_region_transaction_begin(b->ms);
    for (unsigned i = 0; i < b->count; i++) {
        b->regions[i] = memory_region_new_io(b->ms, NULL, &no_ops, NULL, "device", PAGE);
        must(memory_region_add_subregion(b->system, i * PAGE, b->regions[i], NULL));
    }
    must(memory_region_transaction_commit(b->ms, NULL));
}

static void free_now_and_then(unsigned run)
{
    if (run % BETWEEN_FREES == BETWEEN_FREES - 1) {
        rcu_drain();
    }
}

static double measure_toggle(Bench *b, unsigned runs)
{
    g_autofree double *values = g_new(double, runs);

    for (unsigned i = 0; i < runs; i++) {
        MemoryRegion *mr = b->regions[g_rand_int_range(b->rand, 0, (gint32)b->count)];
        double start = bench_now_us();

        must(memory_region_set_enabled(mr, !memory_region_enabled(mr), NULL));
        values[i] = bench_now_us() - start;
        free_now_and_then(i);
    }
    return bench_median(values, runs);
}

static void bench_toggle(unsigned count)
{
    g_autofree char *incremental = g_strdup_printf("commit_toggle_%u_us", count);
    g_autofree char *full = g_strdup_printf("commit_toggle_full_%u_us", count);
    Bench b;

    bench_init(&b, count);
    add_devices(&b);
    bench_print(incremental, measure_toggle(&b, bench_runs(RUNS)), "us");
    memory_system_set_full_render(b.ms, true);
    bench_print(full, measure_toggle(&b, bench_runs(RUNS_FULL)), "us");
    bench_done(&b);
}

static MemoryRegion *new_ram(Bench *b, const char *name, uint64_t size)
{
    RAMBlock *block = ram_block_new(b->ms, name, size, 0, RAM_NORESERVE, NULL);
    MemoryRegion *mr;

    must(block != NULL);
    mr = memory_region_new_ram(b->ms, NULL, name, block);
    ram_block_unref(block);
    return mr;
}

/*
 * What a PC with 512 MiB has before the first DIMM: RAM, VGA over it, a ROM's RAM, the interrupt
 * chips below 4 GiB. The DIMMs follow, one by one, with as much room between.
 */
static void make_machine(Bench *b)
{
    const hwaddr devices[] = { 0xa0000, 0xfec00000, 0xfed00000, 0xfee00000 };

    for (unsigned i = 0; i < DIMMS; i++) {
        g_autofree char *name = g_strdup_printf("dimm%u", i);

        b->regions[i] = new_ram(b, name, DIMM_SIZE);
    }
    b->regions[DIMMS] = new_ram(b, "pc.ram", UINT64_C(512) << 20);
    must(memory_region_add_subregion(b->system, 0, b->regions[DIMMS], NULL));
    for (unsigned i = 0; i < G_N_ELEMENTS(devices); i++) {
        MemoryRegion *mr = memory_region_new_io(b->ms, NULL, &no_ops, NULL, "device", PAGE);

        b->regions[DIMMS + 1 + i] = mr;
        must(memory_region_add_subregion_overlap(b->system, devices[i], mr, 1, NULL));
    }
}

static void plug(Bench *b, unsigned dimm)
{
    must(memory_region_add_subregion(b->system, DIMM_BASE + dimm * 2 * DIMM_SIZE,
                                     b->regions[dimm], NULL));
}

/* The last DIMM of @present comes, again and again; the others stay. */
static double measure_dimm(Bench *b, unsigned present, unsigned runs)
{
    g_autofree double *values = g_new(double, runs);

    for (unsigned i = 0; i < present - 1; i++) {
        if (!memory_region_container(b->regions[i])) {
            plug(b, i);
        }
    }
    for (unsigned i = 0; i < runs; i++) {
        double start = bench_now_us();

        plug(b, present - 1);
        values[i] = bench_now_us() - start;
        must(memory_region_del_subregion(b->system, b->regions[present - 1], NULL));
        free_now_and_then(i);
    }
    return bench_median(values, runs);
}

static void bench_dimm(bool full)
{
    uint64_t before;
    Bench b;

    bench_init(&b, DIMMS + 5);
    make_machine(&b);
    memory_system_set_full_render(b.ms, full);
    bench_print(full ? "commit_dimm_full_1_us" : "commit_dimm_1_us",
                measure_dimm(&b, 1, bench_runs(RUNS)), "us");
    bench_print(full ? "commit_dimm_full_256_us" : "commit_dimm_256_us",
                measure_dimm(&b, DIMMS, bench_runs(RUNS)), "us");
    before = ioctls;
    plug(&b, DIMMS - 1);
    bench_print(full ? "commit_dimm_full_256_ioctls" : "commit_dimm_256_ioctls",
                (double)(ioctls - before), "ioctls");
    bench_done(&b);
}

int main(void)
{
    const unsigned counts[] = { 10, 1000, REGIONS_MAX };

    for (unsigned i = 0; i < G_N_ELEMENTS(counts); i++) {
        bench_toggle(counts[i]);
    }
    bench_dimm(false);
    bench_dimm(true);
    return 0;
}
