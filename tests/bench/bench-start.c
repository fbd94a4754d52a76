/* SPDX-License-Identifier: MIT */
/* Time from exec to a tiny guest's first OUT: Tessera, a bare KVM loop, and QEMU, in turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/bench.h"

/*
 * Usage: bench-start [-q]      -q: QEMU's q35 too (seconds a run where it has no hardware below)
 *
 * Every VMM gets the same ELF file, 256 MiB, one vCPU, and a console on a pipe; the end is when the
 * byte that the guest wrote comes out of it. The programs take turns, so that a slow spell of the
 * machine hits them alike. The bare loop comes twice: with only what this guest needs, and with the
 * chips that the kernel emulates in a PC. Beside the median stands the shortest run: a start is a
 * hundred chances to be preempted, so that on a busy machine only the shortest tells what was done.
 */
enum { RUNS = 41, SECONDS = 60 };

typedef struct Contender {
    const char *name;
    const char *argv[24];
    bool runs;
    double *values;
    unsigned count;
    double median_us;
    double min_us;
} Contender;

#define QEMU_OPTIONS                                                                               \
    "-accel", "kvm", "-m", "256", "-nodefaults", "-no-user-config", "-display", "none", "-serial", \
        "stdio", "-kernel"

static void measure(Contender *c)
{
    BenchGuest guest;
    double end;

    bench_guest_start(&guest, (char *const *)c->argv);
    end = bench_guest_wait(&guest, "!", SECONDS);
    if (end < 0) {
        bench_guest_fail(&guest, c->name, "the guest wrote nothing");
    }
    c->values[c->count++] = end - guest.exec_us;
    bench_guest_kill(&guest);
}

/* Median and shortest run, microseconds. */
static void summarize(Contender *c)
{
    g_autofree char *median = g_strdup_printf("start_%s_ms", c->name);
    g_autofree char *shortest = g_strdup_printf("start_%s_min_ms", c->name);

    c->median_us = bench_median(c->values, c->count);
    c->min_us = c->values[0];
    bench_print(median, c->median_us / 1e3, "ms");
    bench_print(shortest, c->min_us / 1e3, "ms");
}

static void compare(const Contender *ours, const Contender *theirs)
{
    g_autofree char *median = g_strdup_printf("start_to_%s_ratio", theirs->name);
    g_autofree char *shortest = g_strdup_printf("start_to_%s_min_ratio", theirs->name);

    bench_print(median, ours->median_us / theirs->median_us, "ratio");
    bench_print(shortest, ours->min_us / theirs->min_us, "ratio");
}

int main(int argc, char *argv[])
{
    enum { TESSERA, BARE, BARE_PC, MICROVM, Q35, COUNT };
    bool have_qemu = bench_have("qemu-system-x86_64");
    unsigned runs = bench_runs(RUNS);
    g_autofree char *kernel = bench_path("TESSERA_BENCH_PAYLOADS", "first-out.elf");
    g_autofree char *bare = bench_path("TESSERA_BUILD", "tests/bench/bare/bare-kvm");
    const char *tessera = g_getenv("TESSERA");
    Contender contenders[COUNT] = {
        [TESSERA] = { .name = "tessera",
                      .argv = { tessera ? tessera : "build/tessera", "-m", "256", "-nodefaults",
                                "-display", "none", "-serial", "stdio", "-kernel", kernel } },
        [BARE] = { .name = "bare", .argv = { bare, "-m", "256", kernel } },
        [BARE_PC] = { .name = "bare_pc", .argv = { bare, "-i", "-m", "256", kernel } },
        [MICROVM] = { .name = "microvm",
                      .argv = { "qemu-system-x86_64", "-M", "microvm", QEMU_OPTIONS, kernel } },
        [Q35] = { .name = "q35",
                  .argv = { "qemu-system-x86_64", "-M", "q35", QEMU_OPTIONS, kernel } },
    };
    bool with_q35 = argc > 1 && strcmp(argv[1], "-q") == 0;

    contenders[TESSERA].runs = contenders[BARE].runs = contenders[BARE_PC].runs = true;
    contenders[MICROVM].runs = have_qemu;
    contenders[Q35].runs = have_qemu && with_q35;
    for (unsigned i = 0; i < COUNT; i++) {
        contenders[i].values = g_new(double, runs);
    }
    for (unsigned run = 0; run < runs; run++) {
        for (unsigned i = 0; i < COUNT; i++) {
            unsigned who = (i + run) % COUNT; /* nobody always comes after the same one */

            if (contenders[who].runs) {
                measure(&contenders[who]);
            }
        }
    }
    for (unsigned i = 0; i < COUNT; i++) {
        if (contenders[i].runs) {
            summarize(&contenders[i]);
        }
    }
    for (unsigned i = BARE; i < COUNT; i++) {
        if (contenders[i].runs) {
            compare(&contenders[TESSERA], &contenders[i]);
        }
    }
    for (unsigned i = 0; i < COUNT; i++) {
        g_free(contenders[i].values);
    }
    return 0;
}
