/* SPDX-License-Identifier: MIT */
/* Time of one exit, of each kind: Tessera against a bare KVM loop, the same guest, in turn. */
#include <stdio.h>

#include "support/bench.h"

/* As in payloads/exits.S: exits in a series, and the letter that follows each series. */
#define EXITS   1000
#define LETTERS "oiwr"

enum { PAIRS = 25, ROUNDS = 5, SERIES = 4, SECONDS = 60 };

static const char *const names[SERIES] = { "pio_out", "pio_in", "mmio_write", "mmio_read" };

/*
 * One process: the median of ROUNDS for each series. Not the shortest: when this program is kept from
 * looking at one letter, the series after it seems short.
 */
static void measure(const char *name, const char *const argv[], double ret_us[SERIES])
{
    double us[SERIES][ROUNDS];
    BenchGuest guest;
    double before, after;

    bench_guest_start(&guest, (char *const *)argv);
    before = bench_guest_wait(&guest, "s", SECONDS);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < SERIES; i++, before = after) {
            const char letter[] = { LETTERS[i], 0 };

            after = bench_guest_wait(&guest, letter, SECONDS);
            if (before < 0 || after < 0) {
                bench_guest_fail(&guest, name, "a series of exits did not end");
            }
            us[i][round] = (after - before) / EXITS;
        }
    }
    bench_guest_kill(&guest);
    for (unsigned i = 0; i < SERIES; i++) {
        ret_us[i] = bench_median(us[i], ROUNDS);
    }
}

static void print(unsigned series, double *ours, double *bare, double *ratios, unsigned pairs)
{
    g_autofree char *our_name = g_strdup_printf("exit_%s_us", names[series]);
    g_autofree char *bare_name = g_strdup_printf("exit_%s_bare_us", names[series]);
    g_autofree char *ratio_name = g_strdup_printf("exit_%s_to_bare_ratio", names[series]);

    bench_print(our_name, bench_median(ours, pairs), "us");
    bench_print(bare_name, bench_median(bare, pairs), "us");
    bench_print(ratio_name, bench_median(ratios, pairs), "ratio");
}

int main(void)
{
    unsigned pairs = bench_runs(PAIRS);
    g_autofree char *kernel = bench_path("TESSERA_BENCH_PAYLOADS", "exits.elf");
    g_autofree char *bare = bench_path("TESSERA_BUILD", "tests/bench/bare/bare-kvm");
    const char *tessera = g_getenv("TESSERA");
    const char *const tessera_argv[] = { tessera ? tessera : "build/tessera",
                                         "-m",
                                         "256",
                                         "-nodefaults",
                                         "-display",
                                         "none",
                                         "-serial",
                                         "stdio",
                                         "-kernel",
                                         kernel,
                                         NULL };
    const char *const bare_argv[] = { bare, "-i", "-m", "256", kernel, NULL };
    double *values[3][SERIES]; /* Tessera's, the bare loop's, the pairs' ratios */

    for (unsigned i = 0; i < 3 * SERIES; i++) {
        values[i / SERIES][i % SERIES] = g_new(double, pairs);
    }
    for (unsigned pair = 0; pair < pairs; pair++) {
        double us[2][SERIES];

        for (unsigned i = 0; i < 2; i++) {
            if ((pair + i) % 2 == 0) {
                measure("tessera", tessera_argv, us[0]);
            } else {
                measure("bare-kvm", bare_argv, us[1]);
            }
        }
        for (unsigned s = 0; s < SERIES; s++) {
            values[0][s][pair] = us[0][s];
            values[1][s][pair] = us[1][s];
            values[2][s][pair] = us[0][s] / us[1][s];
        }
    }
    for (unsigned s = 0; s < SERIES; s++) {
        print(s, values[0][s], values[1][s], values[2][s], pairs);
    }
    for (unsigned i = 0; i < 3 * SERIES; i++) {
        g_free(values[i / SERIES][i % SERIES]);
    }
    return 0;
}
