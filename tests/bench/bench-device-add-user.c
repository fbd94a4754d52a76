/* SPDX-License-Identifier: MIT */
/* device_add in user space: the 1st, 2nd, 64th and 256th DIMM, without the ioctls. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../unit/kvm/support/model-kvm.h"
#include "support/bench.h"
#include "tessera/machine/machine.h"
#include "tessera/memory/memory-system.h"
#include "tessera/util/keyval.h"
#include "tessera/util/rcu.h"

/*
 * A whole machine on the model KVM, running, its guest in a halt that never ends; 256 times
 * object-add, not measured, and machine_device_add(), measured. What counts is the processor time of
 * the main thread, less what passes inside the ioctl functions: the model's own work grows with the
 * number of slots, and the kernel's is not user space. TESSERA_BENCH_RUNS machines (15), one after
 * the other in one process; the first warms up and does not count.
 *
 * Old views are waited for every DRAIN plugs, which no client is fast enough to make without: 65 of
 * them pending make a commit wait.
 *
 * The commit of the memory map has lines of its own, by its statistics (whole microseconds), also
 * without the ioctls.
 */
enum { RUNS = 15, DIMMS = 256, DRAIN = 32 };

typedef struct Run {
    double user_us[DIMMS];
    double commit_us[DIMMS];
} Run;

int __wrap_kvm_vm_ioctl(Kvm *kvm, unsigned long req, void *arg);
int model_kvm_vm_ioctl(Kvm *kvm, unsigned long req, void *arg); /* the model's, renamed */

/* Of the main thread, between start and end of one device_add. */
static __thread double ioctl_us;

static double cpu_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

int __wrap_kvm_vm_ioctl(Kvm *kvm, unsigned long req, void *arg)
{
    double start = cpu_us();
    int ret = model_kvm_vm_ioctl(kvm, req, arg);

    ioctl_us += cpu_us() - start;
    return ret;
}

static void die(const char *what, GError *error)
{
    fprintf(stderr, "bench-device-add-user: %s: %s\n", what, error->message);
    exit(1);
}

static MachineConfig *make_config(void)
{
    static const char accel[] = "kvm,device=" MODEL_KVM_DEVICE;
    const char *argv[] = { "tessera", "-nodefaults", "-nographic", "-m", "4G,slots=256,maxmem=64G",
                           "-S",      "-kernel",     "none",       "-accel", accel };
    MachineConfig *config = NULL;
    g_autoptr(GError) error = NULL;

    if (options_parse(G_N_ELEMENTS(argv), (char **)argv, &config, &error) != OPTIONS_RUN) {
        die("options", error);
    }
    g_clear_pointer(&config->kernel, g_free); /* an empty machine */
    return config;
}

static void add(Machine *machine, unsigned n, Run *run)
{
    g_autofree char *object =
        g_strdup_printf("memory-backend-ram,id=m%u,size=128M,reserve=off", n);
    g_autofree char *device = g_strdup_printf("pc-dimm,id=d%u,memdev=m%u", n, n);
    g_autoptr(Keyval) properties = keyval_parse(device, "driver", NULL);
    g_autoptr(GError) error = NULL;
    MemoryCommitStats stats;
    double start, slot_us;

    if (!object_store_add_option(machine_objects(machine), object, &error)) {
        die("object-add", error);
    }
    start = cpu_us();
    ioctl_us = 0;
    if (!machine_device_add(machine, properties, &error)) {
        die("device_add", error);
    }
    run->user_us[n] = cpu_us() - start - ioctl_us;
    slot_us = ioctl_us; /* all of them are the commit's: the interrupt comes later */
    stats = memory_system_last_stats(machine_memory_system(machine));
    run->commit_us[n] = (double)stats.microseconds - slot_us;
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}

static void measure(Run *run)
{
    MachineConfig *config = make_config();
    g_autoptr(GError) error = NULL;
    Machine *machine;

    model_kvm_reset();
    machine = machine_new(config, &error);
    if (!machine || !machine_cont(machine, &error)) {
        die("machine", error);
    }
    rcu_release_deferred(); /* as machine_run() does */
    for (unsigned n = 0; n < DIMMS; n++) {
        add(machine, n, run);
        if (n % DRAIN == DRAIN - 1) {
            rcu_drain();
        }
    }
    machine_free(machine);
    machine_config_free(config);
    model_kvm_reset();
}

static double middle(const Run *runs, unsigned n_runs, const double *of_first)
{
    g_autofree double *values = g_new(double, n_runs);
    size_t offset = (size_t)((const char *)of_first - (const char *)&runs[0]);

    for (unsigned i = 0; i < n_runs; i++) {
        values[i] = *(const double *)(const void *)((const char *)&runs[i] + offset);
    }
    return bench_median(values, n_runs);
}

int main(void)
{
    static const unsigned shown[] = { 1, 2, 64, 256 };
    unsigned n_runs = bench_runs(RUNS);
    g_autofree Run *runs = g_new0(Run, n_runs + 1);
    double first = 0;

    for (unsigned i = 0; i <= n_runs; i++) {
        measure(&runs[i]);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(shown); i++) {
        unsigned n = shown[i] - 1;
        g_autofree char *user = g_strdup_printf("device_add_user_%u_us", shown[i]);
        g_autofree char *commit = g_strdup_printf("device_add_user_commit_%u_us", shown[i]);
        g_autofree char *ratio = g_strdup_printf("device_add_user_%u_to_1_ratio", shown[i]);
        double value = middle(runs + 1, n_runs, &runs[1].user_us[n]);

        bench_print(user, value, "us");
        bench_print(commit, middle(runs + 1, n_runs, &runs[1].commit_us[n]), "us");
        if (i == 0) {
            first = value;
        } else {
            bench_print(ratio, value / first, "ratio");
        }
    }
    return 0;
}
