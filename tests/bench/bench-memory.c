/* SPDX-License-Identifier: MIT */
/* What a lookup, an access, a full render and a view cost; one line "name value unit" each. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../src/memory/access-internal.h"
#include "support/instructions.h"
#include "tessera/memory/access-counters.h"
#include "tessera/memory/address-space.h"
#include "tessera/memory/ram-block.h"

/*
 * Every row is measured in turn, RUNS times over, so that a slow spell of the machine hits all rows
 * alike; the median is printed, and of times the shortest. RCU entry and exit are part of each lookup,
 * as they are of an access; accesses are counted, as a vCPU's are. The bare loop beside them is a chain of
 * additions, one for each cycle: it tells how fast the processor was.
 */
#define RUNS      31
#define LOOKUPS   20000u
#define PAGE      UINT64_C(0x1000)
#define HUGE_STEP UINT64_C(0x200000)

typedef struct Layout {
    MemorySystem *ms;
    MemoryRegion *root;
    MemoryRegion **tiles;
    MemoryRegion *ram; /* behind the tiles */
    AddressSpace *as;
    uint64_t count;
    uint64_t step;
    hwaddr *order; /* LOOKUPS addresses, never the same tile twice in a row */
} Layout;

typedef struct Row {
    const char *name;
    const char *unit;
    double (*measure)(Layout *layout);
    Layout *layout;
    double values[RUNS];
} Row;

static volatile uintptr_t sink; /* keeps the compiler from dropping what is measured */

static double now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static MemTxResult bench_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                              MemTxAttrs attrs)
{
    *ret_value = offset;
    return MEMTX_OK;
}

static MemTxResult bench_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                               MemTxAttrs attrs)
{
    return MEMTX_OK;
}

static const MemoryRegionOps bench_ops = { .read = bench_read, .write = bench_write };

static MemoryRegion *make_ram(MemorySystem *ms)
{
    g_autoptr(GError) error = NULL;
    RAMBlock *block = ram_block_new(ms, "ram", PAGE, 0, 0, &error);
    MemoryRegion *mr;

    if (!block) {
        fprintf(stderr, "bench-memory: %s\n", error->message);
        exit(1);
    }
    mr = memory_region_new_ram(ms, NULL, "ram", block);
    ram_block_unref(block);
    return mr;
}

static Layout *layout_new(uint64_t count, uint64_t step)
{
    Layout *l = g_new0(Layout, 1);
    uint64_t last = UINT64_MAX;
    g_autoptr(GRand) rand = g_rand_new_with_seed(42);

    l->ms = memory_system_new(NULL);
    l->root = memory_region_new_container(l->ms, NULL, "root", INT128_2_64);
    l->tiles = g_new(MemoryRegion *, count);
    l->order = g_new(hwaddr, LOOKUPS);
    l->count = count;
    l->step = step;
    memory_region_transaction_begin(l->ms);
    for (uint64_t i = 0; i < count; i++) {
        l->tiles[i] = memory_region_new_io(l->ms, NULL, &bench_ops, NULL, "tile", PAGE);
        memory_region_add_subregion(l->root, i * step, l->tiles[i], NULL);
    }
    l->ram = make_ram(l->ms);
    memory_region_add_subregion(l->root, count * step, l->ram, NULL);
    memory_region_transaction_commit(l->ms, NULL);
    l->as = address_space_new(l->ms, l->root, "bench", NULL);
    for (unsigned i = 0; i < LOOKUPS; i++) {
        uint64_t tile;

        do {
            tile = g_rand_int(rand) % count;
        } while (tile == last);
        l->order[i] = tile * step + (g_rand_int(rand) & 0xff8);
        last = tile;
    }
    return l;
}

static void layout_free(Layout *l)
{
    address_space_free(l->as);
    memory_region_transaction_begin(l->ms);
    for (uint64_t i = 0; i < l->count; i++) {
        memory_region_del_subregion(l->root, l->tiles[i], NULL);
    }
    memory_region_del_subregion(l->root, l->ram, NULL);
    memory_region_transaction_commit(l->ms, NULL);
    for (uint64_t i = 0; i < l->count; i++) {
        memory_region_release(l->tiles[i]);
    }
    memory_region_release(l->ram);
    memory_region_release(l->root);
    memory_system_free(l->ms);
    g_free(l->tiles);
    g_free(l->order);
    g_free(l);
}

static inline const DispatchSection *lookup(AddressSpace *as, hwaddr addr)
{
    const DispatchSection *s;

    rcu_read_section_enter();
    s = memory_access_lookup(address_space_flatview(as), addr);
    rcu_read_section_leave();
    return s;
}

static double measure_lookup_cold(Layout *l)
{
    double start = now_ns();
    uintptr_t sum = 0;

    for (unsigned i = 0; i < LOOKUPS; i++) {
        sum += (uintptr_t)lookup(l->as, l->order[i]);
    }
    sink = sum;
    return (now_ns() - start) / LOOKUPS;
}

static double measure_lookup_mru(Layout *l)
{
    double start = now_ns();
    uintptr_t sum = 0;

    for (unsigned i = 0; i < LOOKUPS; i++) {
        sum += (uintptr_t)lookup(l->as, l->order[0] + (i & 7));
    }
    sink = sum;
    return (now_ns() - start) / LOOKUPS;
}

static double measure_access4(Layout *l, hwaddr addr, bool is_write)
{
    AccessCounters *counters = access_counters_new(l->ms, "bench", NULL);
    double start;
    uintptr_t sum = 0;
    uint32_t value = 0;

    access_counters_use(counters);
    start = now_ns();
    for (unsigned i = 0; i < LOOKUPS; i++) {
        address_space_rw(l->as, addr, MEMTXATTRS_NONE, &value, 4, is_write);
        sum += value;
    }
    sink = sum;
    start = now_ns() - start;
    access_counters_use(NULL);
    access_counters_free(counters);
    return start / LOOKUPS;
}

static double measure_io_read4(Layout *l)
{
    return measure_access4(l, l->order[0] & ~(hwaddr)3, false);
}

static double measure_io_write4(Layout *l)
{
    return measure_access4(l, l->order[0] & ~(hwaddr)3, true);
}

static double measure_ram_read4(Layout *l)
{
    return measure_access4(l, l->count * l->step, false);
}

static double measure_ram_write4(Layout *l)
{
    return measure_access4(l, l->count * l->step, true);
}

static double measure_bare_add(Layout *l)
{
    double start = now_ns();
    uintptr_t sum = 0;

    for (unsigned i = 0; i < LOOKUPS; i++) {
        __asm__ volatile("add $1, %0" : "+r"(sum));
    }
    sink = sum;
    return (now_ns() - start) / LOOKUPS;
}

/* A new address space over a root that no other shares renders, numbers and publishes everything. */
static double measure_render(Layout *l)
{
    MemoryRegion *top = memory_region_new_container(l->ms, NULL, "top", INT128_2_64);
    MemoryRegion *window = memory_region_new_alias(l->ms, NULL, "window", l->root, 0,
                                                   (Int128)l->count * l->step);
    AddressSpace *as;
    double start, end;

    memory_region_add_subregion(top, PAGE, window, NULL);
    rcu_drain();
    start = now_ns();
    as = address_space_new(l->ms, top, "render", NULL);
    end = now_ns();
    address_space_free(as);
    memory_region_del_subregion(top, window, NULL);
    memory_region_release(window);
    memory_region_release(top);
    return (end - start) / (double)l->count;
}

static double measure_bytes(Layout *l)
{
    const FlatView *view = address_space_flatview(l->as);

    return (double)(flatview_memory_bytes(view) +
                    dispatch_memory_bytes(flatview_dispatch(view))) /
           (double)flatview_count(view);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(Row *row)
{
    qsort(row->values, RUNS, sizeof(row->values[0]), compare_doubles);
    return row->values[RUNS / 2];
}

static void print_row(Row *row)
{
    printf("%s %.2f %s\n", row->name, median(row), row->unit); /* sorts */
    if (strcmp(row->unit, "ns") == 0) {
        printf("%.*smin_ns %.2f ns\n", (int)(strlen(row->name) - strlen("ns")), row->name,
               row->values[0]);
    }
}

/* Under callgrind: what is done LOOKUPS times. */
static void count_instructions(const Row *rows, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(rows[i].unit, "ns") == 0 && rows[i].measure != measure_render &&
            rows[i].measure != measure_bare_add) {
            rows[i].measure(rows[i].layout); /* binds symbols, registers with liburcu */
            bench_count_start(rows[i].name, LOOKUPS);
            rows[i].measure(rows[i].layout);
            bench_count_end();
        }
    }
}

static void measure_all(Row *rows, unsigned count)
{
    for (unsigned run = 0; run < RUNS; run++) {
        for (unsigned i = 0; i < count; i++) {
            rows[i].measure(rows[i].layout); /* the row before has filled the CPU's caches */
            rows[i].values[run] = rows[i].measure(rows[i].layout);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        print_row(&rows[i]);
    }
}

int main(int argc, char *argv[])
{
    Layout *d10 = layout_new(10, PAGE);
    Layout *d1000 = layout_new(1000, PAGE);
    Layout *d10000 = layout_new(10000, PAGE);
    Layout *s10000 = layout_new(10000, HUGE_STEP);
    Row rows[] = {
        { .name = "bare_add_ns", .unit = "ns", .measure = measure_bare_add, .layout = d10 },
        { .name = "lookup_mru_ns", .unit = "ns", .measure = measure_lookup_mru, .layout = d10 },
        { .name = "lookup_cold_10_ns", .unit = "ns", .measure = measure_lookup_cold,
          .layout = d10 },
        { .name = "lookup_cold_10000_ns", .unit = "ns", .measure = measure_lookup_cold,
          .layout = d10000 },
        { .name = "lookup_cold_10000_sparse_ns", .unit = "ns", .measure = measure_lookup_cold,
          .layout = s10000 },
        { .name = "io_read4_ns", .unit = "ns", .measure = measure_io_read4, .layout = d10 },
        { .name = "io_write4_ns", .unit = "ns", .measure = measure_io_write4, .layout = d10 },
        { .name = "ram_read4_ns", .unit = "ns", .measure = measure_ram_read4, .layout = d10 },
        { .name = "ram_write4_ns", .unit = "ns", .measure = measure_ram_write4, .layout = d10 },
        { .name = "render_1000_ns", .unit = "ns", .measure = measure_render, .layout = d1000 },
        { .name = "render_10000_ns", .unit = "ns", .measure = measure_render, .layout = d10000 },
        { .name = "view_bytes_per_range_dense", .unit = "bytes", .measure = measure_bytes,
          .layout = d10000 },
        { .name = "view_bytes_per_range_sparse", .unit = "bytes", .measure = measure_bytes,
          .layout = s10000 },
    };

    if (bench_counts_instructions(argc, argv)) {
        count_instructions(rows, G_N_ELEMENTS(rows));
    } else {
        measure_all(rows, G_N_ELEMENTS(rows));
    }
    layout_free(d10);
    layout_free(d1000);
    layout_free(d10000);
    layout_free(s10000);
    return 0;
}
