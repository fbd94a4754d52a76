/* SPDX-License-Identifier: MIT */
/* A guest with 1 TiB in 256 DIMMs, on the model KVM: what it takes until it is there, and memory. */
#include <stdio.h>
#include <string.h>

#include "model/model-machine.h"
#include "support/bench.h"
#include "tessera/memory/address-space.h"
#include "tessera/util/rcu.h"

/*
 * 128 GiB at the start (room for what a Linux guest needs to describe the rest), then 256 DIMMs of
 * 4 GiB, one after the other; the guest's pages are address space, never touched. Resident memory is
 * that of the whole process, so that the model's own books (a slot each, a memfd) are in it. Every
 * 32nd plug waits for a grace period, as no client is fast enough to do without. One machine after
 * another, TESSERA_BENCH_RUNS times (5); medians.
 */
enum { RUNS = 5, DIMMS = 256, DRAIN = 32, READS = 20000 };
#define GIB (UINT64_C(1) << 30)

typedef struct Result {
    double start_ms;
    double plug_ms;
    double last_us;
    double resident_kib;
    double read_ns;
    double free_ms;
} Result;

static double resident_kib(void)
{
    g_autofree char *text = NULL;
    const char *line;

    if (!g_file_get_contents("/proc/self/status", &text, NULL, NULL) ||
        !(line = strstr(text, "VmRSS:"))) {
        bench_die("/proc/self/status", NULL);
    }
    return g_ascii_strtod(line + strlen("VmRSS:"), NULL);
}

/* A byte of some DIMM, always another one; all of them are the kernel's page of zeroes. */
static double read_ns(AddressSpace *memory)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(42);
    g_autofree hwaddr *order = g_new(hwaddr, READS);
    double start;
    uint8_t byte;

    for (unsigned i = 0; i < READS; i++) {
        order[i] = (132 + 4 * (uint64_t)g_rand_int_range(rand, 0, DIMMS)) * GIB;
    }
    for (unsigned turn = 0; turn < 2; turn++) { /* the first makes the pages */
        start = bench_now_us();
        for (unsigned i = 0; i < READS; i++) {
            if (address_space_read(memory, order[i], MEMTXATTRS_NONE, &byte, 1) != MEMTX_OK) {
                bench_die("a DIMM is not where it should be", NULL);
            }
        }
    }
    return (bench_now_us() - start) * 1e3 / READS;
}

static void measure(Result *r)
{
    double start = bench_now_us(), before, last = 0;
    ModelMachine m = model_machine_new("128G,slots=256,maxmem=1152G", "128G");

    r->start_ms = (bench_now_us() - start) / 1e3;
    rcu_release_deferred(); /* as machine_run() does */
    rcu_drain();
    before = resident_kib();
    start = bench_now_us();
    for (unsigned n = 0; n < DIMMS; n++) {
        last = bench_now_us();
        model_machine_plug(&m, n, "4G");
        last = bench_now_us() - last;
        while (g_main_context_iteration(NULL, FALSE)) {
        }
        if (n % DRAIN == DRAIN - 1) {
            rcu_drain();
        }
    }
    r->plug_ms = (bench_now_us() - start) / 1e3;
    r->last_us = last;
    r->resident_kib = resident_kib() - before;
    r->read_ns = read_ns(machine_memory(m.machine));
    start = bench_now_us();
    model_machine_free(&m);
    r->free_ms = (bench_now_us() - start) / 1e3;
}

/* Of the first run on: @of is a field of it. */
static void print(const char *name, const Result *runs, const double *of, unsigned count,
                  const char *unit)
{
    g_autofree double *values = g_new(double, count);

    for (unsigned i = 0; i < count; i++) {
        values[i] = of[i * (sizeof(*runs) / sizeof(double))];
    }
    bench_print(name, bench_median(values, count), unit);
}

int main(void)
{
    unsigned count = bench_runs(RUNS);
    g_autofree Result *runs = g_new0(Result, count);

    for (unsigned i = 0; i < count; i++) {
        measure(&runs[i]);
    }
    print("terabyte_start_ms", runs, &runs->start_ms, count, "ms");
    print("terabyte_plug_256_ms", runs, &runs->plug_ms, count, "ms");
    print("terabyte_plug_last_us", runs, &runs->last_us, count, "us");
    /* Later machines find the heap of the first. */
    bench_print("terabyte_plug_resident_kib", runs[0].resident_kib, "KiB");
    print("terabyte_read_ns", runs, &runs->read_ns, count, "ns");
    print("terabyte_free_ms", runs, &runs->free_ms, count, "ms");
    return 0;
}
