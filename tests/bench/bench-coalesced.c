/* SPDX-License-Identifier: MIT */
/* What a coalesced write costs when it is brought to its device, and what asking costs without any. */
#include <stdio.h>
#include <stdlib.h>

#include "../../src/accel/kvm/kvm-internal.h"
#include "support/bench.h"
#include "support/instructions.h"
#include "tessera/memory/address-space.h"
#include "tessera/memory/region.h"

/*
 * A ring of our own, filled as the kernel does it: BATCH writes of 4 bytes to one register, drained
 * at once. What the filling costs is not measured.
 */
#define RUNS    31
#define ROUNDS  200u
#define BATCH   100u
#define ENTRIES ((4096 - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio))
#define BASE    0xfec00000ull

typedef struct Bench {
    Kvm kvm;
    struct kvm_coalesced_mmio_ring *ring;
    MemorySystem *ms;
    MemoryRegion *system;
    MemoryRegion *device;
    AddressSpace *memory;
    uint64_t writes;
} Bench;

static MemTxResult device_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                MemTxAttrs attrs)
{
    Bench *b = opaque;

    b->writes++;
    return MEMTX_OK;
}

static const MemoryRegionOps device_ops = { .write = device_write };

static void bench_init(Bench *b)
{
    *b = (Bench){ .kvm = { .system_fd = -1, .vm_fd = -1 }, .ms = memory_system_new(NULL) };
    b->system = memory_region_new_container(b->ms, NULL, "system", INT128_2_64);
    b->device = memory_region_new_io(b->ms, NULL, &device_ops, b, "device", 4096);
    memory_region_add_subregion(b->system, BASE, b->device, NULL);
    b->memory = address_space_new(b->ms, b->system, "memory", NULL);
    b->ring = g_aligned_alloc0(1, 4096, 4096);
    b->kvm.caps.coalesced_page = 2;
    pthread_mutex_init(&b->kvm.ring.lock, NULL);
    kvm_coalesced_set_ring(&b->kvm, b->ring);
}

static void bench_done(Bench *b)
{
    kvm_coalesced_set_ring(&b->kvm, NULL);
    pthread_mutex_destroy(&b->kvm.ring.lock);
    g_aligned_free(b->ring);
    address_space_free(b->memory);
    memory_region_del_subregion(b->system, b->device, NULL);
    memory_region_release(b->device);
    memory_region_release(b->system);
    memory_system_free(b->ms);
}

static void fill(Bench *b)
{
    for (unsigned i = 0; i < BATCH; i++) {
        struct kvm_coalesced_mmio *entry = &b->ring->coalesced_mmio[b->ring->last];

        *entry = (struct kvm_coalesced_mmio){ .phys_addr = BASE + 4 * (i % 16), .len = 4 };
        b->ring->last = (uint32_t)((b->ring->last + 1) % ENTRIES);
    }
}

static double drain_ns(Bench *b)
{
    double start, sum = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        fill(b);
        start = bench_now_us();
        kvm_coalesced_drain(&b->kvm, b->memory, b->memory);
        sum += bench_now_us() - start;
    }
    return sum * 1e3 / (ROUNDS * BATCH);
}

static double empty_ns(Bench *b)
{
    double start = bench_now_us();

    for (unsigned i = 0; i < ROUNDS * BATCH; i++) {
        kvm_coalesced_drain(&b->kvm, b->memory, b->memory);
    }
    return (bench_now_us() - start) * 1e3 / (ROUNDS * BATCH);
}

static void measure(Bench *b)
{
    double drain[RUNS], empty[RUNS];

    for (unsigned run = 0; run < RUNS; run++) {
        drain[run] = drain_ns(b);
        empty[run] = empty_ns(b);
    }
    bench_print("coalesced_drain_ns", bench_median(drain, RUNS), "ns");
    bench_print("coalesced_empty_ns", bench_median(empty, RUNS), "ns");
}

static void count_instructions(Bench *b)
{
    drain_ns(b);
    fill(b);
    bench_count_start("coalesced_drain_ns", BATCH);
    kvm_coalesced_drain(&b->kvm, b->memory, b->memory);
    bench_count_end();
    bench_count_start("coalesced_empty_ns", ROUNDS * BATCH);
    empty_ns(b);
    bench_count_end();
}

int main(int argc, char *argv[])
{
    bool counts = bench_counts_instructions(argc, argv);
    uint64_t wanted = counts ? (ROUNDS + 1) * BATCH : (uint64_t)RUNS * ROUNDS * BATCH;
    bool ok;
    Bench b;

    bench_init(&b);
    if (counts) {
        count_instructions(&b);
    } else {
        measure(&b);
    }
    ok = b.writes == wanted;
    if (!ok) {
        fprintf(stderr, "bench-coalesced: writes were lost\n");
    }
    bench_done(&b);
    return ok ? 0 : 1;
}
