/* SPDX-License-Identifier: MIT */
/* Where the time of a start goes: from exec to a tiny guest's first OUT, phase by phase. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "start/stamps.h"
#include "support/bench.h"

/*
 * The program with stamps (start/stamps.h), TESSERA_BENCH_RUNS times (41). A phase's line is the
 * median of its length in all runs; phases of the main thread only, one after the other, so that in
 * each run they add up to the whole. What the accelerator's thread does beside them shows where the
 * main thread waits for it.
 */
enum { RUNS = 41, SECONDS = 60, PHASES = STAMP_COUNT + 1 };

static void die(const char *what)
{
    fprintf(stderr, "bench-start-phases: %s\n", what);
    exit(1);
}

static double *map_stamps(char *path)
{
    int fd = mkstemp(path);
    double *stamps;

    if (fd < 0 || ftruncate(fd, STAMP_COUNT * sizeof(double)) < 0) {
        die("cannot make the file for the stamps");
    }
    stamps = mmap(NULL, STAMP_COUNT * sizeof(double), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (stamps == MAP_FAILED || setenv(STAMPS_FILE, path, 1) < 0) {
        die("cannot map the file for the stamps");
    }
    return stamps;
}

/* Lengths of the phases, microseconds, the guest's own last; then the whole. */
static void measure(const char *const argv[], const double *stamps, double *ret_phases)
{
    BenchGuest guest;
    double end, before;

    bench_guest_start(&guest, (char *const *)argv);
    end = bench_guest_wait(&guest, "!", SECONDS);
    if (end < 0) {
        bench_guest_fail(&guest, "start-phases", "the guest wrote nothing");
    }
    before = guest.exec_us;
    for (unsigned i = 0; i < STAMP_COUNT; i++) {
        if (stamps[i] < before) {
            bench_guest_fail(&guest, "start-phases", "a phase left no stamp");
        }
        ret_phases[i] = stamps[i] - before;
        before = stamps[i];
    }
    ret_phases[STAMP_COUNT] = end - before;
    ret_phases[PHASES] = end - guest.exec_us;
    bench_guest_kill(&guest);
}

static void print(double (*runs)[PHASES + 1], unsigned count)
{
    static const char *const names[STAMP_COUNT] = STAMP_NAMES;
    g_autofree double *values = g_new(double, count);

    for (unsigned phase = 0; phase <= PHASES; phase++) {
        const char *name = phase < STAMP_COUNT ? names[phase] : phase < PHASES ? "guest" : "all";
        g_autofree char *line = g_strdup_printf("start_phase_%s_us", name);

        for (unsigned run = 0; run < count; run++) {
            values[run] = runs[run][phase];
        }
        bench_print(line, bench_median(values, count), "us");
    }
}

int main(void)
{
    unsigned count = bench_runs(RUNS);
    g_autofree char *kernel = bench_path("TESSERA_BENCH_PAYLOADS", "first-out.elf");
    g_autofree char *program = bench_path("TESSERA_BUILD", "tests/bench/start/tessera-stamped");
    g_autofree char *path = g_strdup_printf("%s/tessera-stamps-XXXXXX", g_get_tmp_dir());
    const double *stamps = map_stamps(path);
    const char *const argv[] = { program,   "-m",      "256",   "-nodefaults", "-display", "none",
                                 "-serial", "stdio", "-kernel", kernel,        NULL };
    double(*runs)[PHASES + 1] = g_malloc(count * sizeof(*runs));

    for (unsigned run = 0; run < count; run++) {
        measure(argv, stamps, runs[run]);
    }
    unlink(path);
    print(runs, count);
    g_free(runs);
    return 0;
}
