/* SPDX-License-Identifier: MIT */
/* Memory that a VMM has resident outside its guest's RAM, with a guest that idles. */
#include <stdio.h>
#include <string.h>

#include "support/bench.h"

/*
 * Usage: bench-resident [-v]      -v: each mapping too, as comments
 */
enum { RUNS = 21, RAM_MIB = 256, SECONDS = 60, SETTLE_US = 100000 };

static bool verbose;

static void print(const char *who, double resident_kib, double anonymous_kib)
{
    g_autofree char *resident = g_strdup_printf("resident_%s_kib", who);
    g_autofree char *anonymous = g_strdup_printf("private_anonymous_%s_kib", who);

    bench_print(resident, resident_kib, "KiB");
    bench_print(anonymous, anonymous_kib, "KiB");
}

static BenchUsage measure(const char *name, const char *const argv[])
{
    BenchGuest guest;
    BenchUsage usage;

    bench_guest_start(&guest, (char *const *)argv);
    if (bench_guest_wait(&guest, "!", SECONDS) < 0) {
        bench_guest_fail(&guest, name, "the guest wrote nothing");
    }
    g_usleep(SETTLE_US);
    if (!bench_usage(guest.pid, (uint64_t)RAM_MIB << 20, verbose, &usage)) {
        bench_guest_fail(&guest, name, "its smaps cannot be read");
    }
    bench_guest_kill(&guest);
    return usage;
}

static void measure_all(const char *name, const char *const argv[], unsigned runs)
{
    g_autofree double *resident = g_new(double, runs);
    g_autofree double *anonymous = g_new(double, runs);

    for (unsigned run = 0; run < runs; run++) {
        BenchUsage usage = measure(name, argv);

        resident[run] = usage.resident_kib;
        anonymous[run] = usage.anonymous_kib;
        verbose = false;
    }
    print(name, bench_median(resident, runs), bench_median(anonymous, runs));
}

int main(int argc, char *argv[])
{
    unsigned runs = bench_runs(RUNS);
    g_autofree char *kernel = NULL;
    const char *tessera = g_getenv("TESSERA");

    if (argc > 1 && strcmp(argv[1], "-v") == 0) {
        verbose = true;
    }
    kernel = bench_path("TESSERA_BENCH_PAYLOADS", "first-out.elf");
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
    const char *const qemu_argv[] = { "qemu-system-x86_64",
                                      "-M",
                                      "microvm",
                                      "-accel",
                                      "kvm",
                                      "-m",
                                      "256",
                                      "-nodefaults",
                                      "-no-user-config",
                                      "-display",
                                      "none",
                                      "-serial",
                                      "stdio",
                                      "-kernel",
                                      kernel,
                                      NULL };
    measure_all("tessera", tessera_argv, runs);
    if (bench_have("qemu-system-x86_64")) {
        measure_all("microvm", qemu_argv, runs);
    }
    return 0;
}
