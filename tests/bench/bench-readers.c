/* SPDX-License-Identifier: MIT */
/* Readers of the map beside a writer, and what each costs the others, up to 1,024 of them. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../../src/memory/access-internal.h"
#include "support/bench.h"
#include "tessera/memory/address-space.h"
#include "tessera/memory/memory-system.h"
#include "tessera/memory/region.h"
#include "tessera/util/rcu.h"

/*
 * First lookups per second of 1 and 2 threads for SPELL_US, while the main thread toggles one region
 * after another without pause, and without that. What they do at once depends on how many processors
 * are free.
 *
 * Then a simulation of many vCPUs, with threads in their place: each makes its share of ACCESSES, a
 * read of 4 bytes from one of REGIONS devices, as an exit does. What counts is the processor time of
 * a read, so that it makes no difference that there are fewer processors than readers: if readers
 * shared anything that is written, or the lookup grew with their number, it would rise. Beside
 * that: what a commit and a grace period take while so many threads are known to liburcu, asleep as
 * vCPUs in the guest are.
 */
#define REGIONS     1000u
#define PAGE        UINT64_C(0x1000)
#define SPELL_US    300000
#define SPELLS      5u
#define ACCESSES    2000000u
#define COMMITS     201u
#define GRACES      11u
#define READERS_MAX 1024u
#define STACK       (128u << 10)

typedef struct Bench {
    MemorySystem *ms;
    MemoryRegion *root;
    MemoryRegion *tiles[REGIONS];
    AddressSpace *as;
    GRand *rand;
    _Atomic bool stop;
    pthread_barrier_t ready, go, done, leave;
} Bench;

typedef struct Reader {
    Bench *b;
    pthread_t thread;
    unsigned seed;
    unsigned accesses; /* 0: until stop */
    uint64_t made;
    double cpu_us;
} Reader;

static MemTxResult tile_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                             MemTxAttrs attrs)
{
    *ret_value = offset;
    return MEMTX_OK;
}

static const MemoryRegionOps tile_ops = { .read = tile_read };

static void must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "bench-readers: %s\n", what);
        exit(1);
    }
}

static void bench_init(Bench *b)
{
    b->ms = memory_system_new(NULL);
    b->root = memory_region_new_container(b->ms, NULL, "root", INT128_2_64);
    b->rand = g_rand_new_with_seed(42);
    memory_region_transaction_begin(b->ms);
    for (unsigned i = 0; i < REGIONS; i++) {
        b->tiles[i] = memory_region_new_io(b->ms, NULL, &tile_ops, NULL, "tile", PAGE);
        must(memory_region_add_subregion(b->root, i * PAGE, b->tiles[i], NULL), "a region");
    }
    must(memory_region_transaction_commit(b->ms, NULL), "the map");
    b->as = address_space_new(b->ms, b->root, "bench", NULL);
}

static void bench_done(Bench *b)
{
    address_space_free(b->as);
    memory_region_transaction_begin(b->ms);
    for (unsigned i = 0; i < REGIONS; i++) {
        memory_region_del_subregion(b->root, b->tiles[i], NULL);
    }
    must(memory_region_transaction_commit(b->ms, NULL), "the end of the map");
    for (unsigned i = 0; i < REGIONS; i++) {
        memory_region_release(b->tiles[i]);
    }
    memory_region_release(b->root);
    memory_system_free(b->ms);
    g_rand_free(b->rand);
}

static double thread_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* Another region each time; xorshift, so that choosing costs next to nothing. */
static hwaddr next_addr(unsigned *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return (*state % REGIONS) * PAGE + (*state & 0xff0);
}

static void toggle(Bench *b)
{
    MemoryRegion *mr = b->tiles[g_rand_int_range(b->rand, 0, REGIONS)];

    must(memory_region_set_enabled(mr, !memory_region_enabled(mr), NULL), "a commit");
}

static pthread_t start(void *(*fn)(void *), Reader *r)
{
    pthread_attr_t attr;
    pthread_t thread;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    must(pthread_create(&thread, &attr, fn, r) == 0, "a thread");
    pthread_attr_destroy(&attr);
    return thread;
}

/* --- Beside a writer --- */

static void *lookups(void *opaque)
{
    Reader *r = opaque;
    unsigned state = r->seed;
    uint64_t made = 0;

    rcu_thread_register();
    while (!atomic_load_explicit(&r->b->stop, memory_order_relaxed)) {
        for (unsigned i = 0; i < 64; i++, made++) {
            rcu_read_section_enter();
            memory_access_lookup(address_space_flatview(r->b->as), next_addr(&state));
            rcu_read_section_leave();
        }
    }
    rcu_thread_unregister();
    r->made = made;
    return NULL;
}

/* One spell: lookups, and commits, per second. */
static void spell(Bench *b, unsigned count, bool writing, double *ret_lookups, double *ret_commits)
{
    Reader readers[2];
    double begun = bench_now_us(), us;
    uint64_t made = 0, commits = 0;

    atomic_store(&b->stop, false);
    for (unsigned i = 0; i < count; i++) {
        readers[i] = (Reader){ .b = b, .seed = 42 + i };
        readers[i].thread = start(lookups, &readers[i]);
    }
    while (bench_now_us() - begun < SPELL_US) {
        if (writing) {
            toggle(b);
            commits++;
        } else {
            g_usleep(1000);
        }
    }
    us = bench_now_us() - begun;
    atomic_store(&b->stop, true);
    for (unsigned i = 0; i < count; i++) {
        pthread_join(readers[i].thread, NULL);
        made += readers[i].made;
    }
    *ret_lookups = (double)made * 1e6 / us;
    *ret_commits = (double)commits * 1e6 / us;
}

static void bench_writer(Bench *b, unsigned count)
{
    double quiet[SPELLS], beside[SPELLS], commits[SPELLS], none;
    g_autofree char *quiet_name = g_strdup_printf("lookups_%u_threads_per_s", count);
    g_autofree char *beside_name = g_strdup_printf("lookups_%u_threads_beside_writer_per_s", count);
    g_autofree char *commits_name = g_strdup_printf("commits_beside_%u_threads_per_s", count);

    for (unsigned i = 0; i < SPELLS; i++) {
        spell(b, count, false, &quiet[i], &none);
        spell(b, count, true, &beside[i], &commits[i]);
    }
    bench_print(quiet_name, bench_median(quiet, SPELLS), "1/s");
    bench_print(beside_name, bench_median(beside, SPELLS), "1/s");
    bench_print(commits_name, bench_median(commits, SPELLS), "1/s");
}

/* --- Many --- */

static void *vcpu(void *opaque)
{
    Reader *r = opaque;
    unsigned state = r->seed;
    uint32_t value;
    double begun;

    rcu_thread_register();
    pthread_barrier_wait(&r->b->ready);
    pthread_barrier_wait(&r->b->go);
    begun = thread_us();
    for (unsigned i = 0; i < r->accesses; i++) {
        address_space_read(r->b->as, next_addr(&state), MEMTXATTRS_NONE, &value, sizeof(value));
    }
    r->cpu_us = thread_us() - begun;
    pthread_barrier_wait(&r->b->done);
    pthread_barrier_wait(&r->b->leave);
    rcu_thread_unregister();
    return NULL;
}

/* While all of them sleep. */
static void commits_and_graces(Bench *b, double *ret_commit, double *ret_grace)
{
    double commits[COMMITS], graces[GRACES], start_us;

    for (unsigned i = 0; i < COMMITS; i++) {
        start_us = bench_now_us();
        toggle(b);
        commits[i] = bench_now_us() - start_us;
        if (i % 16 == 15) {
            rcu_drain();
        }
    }
    for (unsigned i = 0; i < GRACES; i++) {
        start_us = bench_now_us();
        rcu_synchronize();
        graces[i] = bench_now_us() - start_us;
    }
    *ret_commit = bench_median(commits, COMMITS);
    *ret_grace = bench_median(graces, GRACES);
}

static void bench_many(Bench *b, unsigned count)
{
    g_autofree char *access_name = g_strdup_printf("vcpus_%u_access_ns", count);
    g_autofree char *commit_name = g_strdup_printf("vcpus_%u_commit_us", count);
    g_autofree char *grace_name = g_strdup_printf("vcpus_%u_grace_us", count);
    g_autofree Reader *readers = g_new0(Reader, count);
    pthread_barrier_t *barriers[] = { &b->ready, &b->go, &b->done, &b->leave };
    double cpu_us = 0, commit, grace;

    for (unsigned i = 0; i < G_N_ELEMENTS(barriers); i++) {
        pthread_barrier_init(barriers[i], NULL, count + 1);
    }
    for (unsigned i = 0; i < count; i++) {
        readers[i] = (Reader){ .b = b, .seed = 42 + i, .accesses = ACCESSES / count };
        readers[i].thread = start(vcpu, &readers[i]);
    }
    pthread_barrier_wait(&b->ready);
    commits_and_graces(b, &commit, &grace);
    pthread_barrier_wait(&b->go);
    pthread_barrier_wait(&b->done);
    pthread_barrier_wait(&b->leave);
    for (unsigned i = 0; i < count; i++) {
        pthread_join(readers[i].thread, NULL);
        cpu_us += readers[i].cpu_us;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(barriers); i++) {
        pthread_barrier_destroy(barriers[i]);
    }
    bench_print(access_name, cpu_us * 1e3 / (ACCESSES / count * count), "ns");
    bench_print(commit_name, commit, "us");
    bench_print(grace_name, grace, "us");
}

int main(void)
{
    static Bench b;

    bench_init(&b);
    bench_writer(&b, 1);
    bench_writer(&b, 2);
    for (unsigned count = 1; count <= READERS_MAX; count *= 4) {
        bench_many(&b, count);
    }
    bench_done(&b);
    return 0;
}
