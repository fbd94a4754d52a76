/* SPDX-License-Identifier: MIT */
/* Time from exec to a stock kernel's init, and memory then: Tessera and QEMU, in turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/bench.h"

/*
 * Usage: boot KERNEL INITRD      an initrd whose init says INIT-IS-UP and idles
 *
 * TESSERA_BENCH_RUNS rounds (7). The kernel's own work is nearly all of the time and single runs
 * vary much: medians, and those of each round's ratios.
 */
enum { TESSERA, Q35, MICROVM, COUNT };
enum { ROUNDS = 7, RAM_MIB = 256, SECONDS = 240, SETTLE_US = 1000000 };

typedef struct Contender {
    const char *name;
    const char *argv[32];
    double *seconds;
    double *resident_kib;
    double *anonymous_kib;
} Contender;

#define COMMON                                                                                     \
    "-cpu", "host,-xsave", "-m", "256", "-nodefaults", "-display", "none", "-serial", "stdio",     \
        "-append", "console=ttyS0 quiet panic=-1", "-kernel"

static void measure(Contender *c, unsigned round)
{
    BenchUsage usage;
    BenchGuest guest;
    double end;

    bench_guest_start(&guest, (char *const *)c->argv);
    end = bench_guest_wait(&guest, "INIT-IS-UP", SECONDS);
    if (end < 0) {
        bench_guest_fail(&guest, c->name, "the guest's init did not start");
    }
    c->seconds[round] = (end - guest.exec_us) / 1e6;
    g_usleep(SETTLE_US);
    if (!bench_usage(guest.pid, (uint64_t)RAM_MIB << 20, c == 0 && round == 0, &usage)) {
        bench_guest_fail(&guest, c->name, "its smaps cannot be read");
    }
    c->resident_kib[round] = usage.resident_kib;
    c->anonymous_kib[round] = usage.anonymous_kib;
    bench_guest_kill(&guest);
    printf("# boot round %u: %s %.2f s\n", round + 1, c->name, c->seconds[round]);
    fflush(stdout);
}

static void print(const char *pattern, const char *who, double *values, unsigned n,
                  const char *unit)
{
    g_autofree char *plain = g_strdup_printf("%s_%s_%s", pattern, who, unit);
    g_autofree char *name = g_ascii_strdown(plain, -1);

    bench_print(name, bench_median(values, n), unit);
}

static void print_ratio(const char *name, const Contender *ours, const Contender *theirs,
                        unsigned n)
{
    g_autofree double *ratios = g_new(double, n);

    for (unsigned i = 0; i < n; i++) {
        ratios[i] = ours->seconds[i] / theirs->seconds[i];
    }
    bench_print(name, bench_median(ratios, n), "ratio");
}

int main(int argc, char *argv[])
{
    const char *tessera = g_getenv("TESSERA");
    unsigned rounds = bench_runs(ROUNDS);

    if (argc != 3) {
        fprintf(stderr, "usage: boot KERNEL INITRD\n");
        return 2;
    }
    Contender contenders[COUNT] = {
        [TESSERA] = { .name = "tessera",
                      .argv = { tessera ? tessera : "build/tessera", COMMON, argv[1], "-initrd",
                                argv[2] } },
        [Q35] = { .name = "q35",
                  .argv = { "qemu-system-x86_64", "-M", "q35", "-accel", "kvm", "-no-user-config",
                            COMMON, argv[1], "-initrd", argv[2] } },
        [MICROVM] = { .name = "microvm",
                      .argv = { "qemu-system-x86_64", "-M", "microvm", "-accel", "kvm",
                                "-no-user-config", COMMON, argv[1], "-initrd", argv[2] } },
    };

    for (unsigned i = 0; i < COUNT; i++) {
        contenders[i].seconds = g_new(double, rounds);
        contenders[i].resident_kib = g_new(double, rounds);
        contenders[i].anonymous_kib = g_new(double, rounds);
    }
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < COUNT; i++) {
            measure(&contenders[(i + round) % COUNT], round);
        }
    }
    /* Ratios pair the rounds up: before the medians sort them. */
    print_ratio("boot_init_to_q35_ratio", &contenders[TESSERA], &contenders[Q35], rounds);
    print_ratio("boot_init_to_microvm_ratio", &contenders[TESSERA], &contenders[MICROVM], rounds);
    for (unsigned i = 0; i < COUNT; i++) {
        Contender *c = &contenders[i];

        print("boot_init", c->name, c->seconds, rounds, "s");
        print("boot_resident", c->name, c->resident_kib, rounds, "KiB");
        print("boot_private_anonymous", c->name, c->anonymous_kib, rounds, "KiB");
        g_free(c->seconds);
        g_free(c->resident_kib);
        g_free(c->anonymous_kib);
    }
    return 0;
}
