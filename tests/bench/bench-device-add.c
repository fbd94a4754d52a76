/* SPDX-License-Identifier: MIT */
/* device_add by QMP, as a client sees it: the 1st, the 64th and the 256th DIMM of 128 MiB. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/bench.h"
#include "support/floor.h"
#include "support/qmp.h"

/*
 * A guest that halts for ever, 256 sockets, a client on a unix socket. TESSERA_BENCH_RUNS times (9)
 * a machine of its own is filled: for each DIMM object-add, not shown, and device_add, from sending
 * the line until the answer is read. Before each the floors are measured, three times: what only the
 * kernel has to do, without a client, and the same by a bare program on a socket. The first command
 * of a process runs code that has never run; the second shows what that makes.
 */
enum { RUNS = 9, DIMMS = 256, SECONDS = 60, FLOOR_TIMES = 3 };
#define DIMM_SIZE (128ull << 20)

typedef struct Run {
    double command[DIMMS];
    double floor[DIMMS];
    double floor_socket[DIMMS];
} Run;

typedef struct Floors {
    BenchFloor bare;
    BenchFloorServer server;
} Floors;

static double command(BenchGuest *guest, BenchQmp *qmp, const char *line)
{
    double us = bench_qmp(qmp, line, NULL);

    if (us < 0) {
        bench_guest_fail(guest, "device-add", "the monitor refused a command");
    }
    return us;
}

static void measure_floors(Floors *floors, Run *run, unsigned n)
{
    double bare[FLOOR_TIMES], talked[FLOOR_TIMES];

    for (unsigned i = 0; i < FLOOR_TIMES; i++) {
        bare[i] = bench_floor(&floors->bare, DIMM_SIZE);
        talked[i] = bench_qmp(&floors->server.client, "{\"execute\": \"device_add\"}\n", NULL);
        if (talked[i] < 0) {
            fprintf(stderr, "bench-device-add: the floor's process does not answer\n");
            exit(1);
        }
        /* It takes all back behind its answer, and answers the next line when that is done. */
        bench_qmp(&floors->server.client, "{\"execute\": \"query-status\"}\n", NULL);
    }
    run->floor[n] = bench_median(bare, FLOOR_TIMES);
    run->floor_socket[n] = bench_median(talked, FLOOR_TIMES);
}

static void fill(BenchGuest *guest, BenchQmp *qmp, Floors *floors, Run *run)
{
    for (unsigned n = 0; n < DIMMS; n++) {
        g_autofree char *object =
            g_strdup_printf("{\"execute\": \"object-add\", \"arguments\": {\"qom-type\": "
                            "\"memory-backend-ram\", \"id\": \"m%u\", \"size\": %llu, "
                            "\"reserve\": false}}\n",
                            n, DIMM_SIZE);
        g_autofree char *device =
            g_strdup_printf("{\"execute\": \"device_add\", \"arguments\": {\"driver\": "
                            "\"pc-dimm\", \"id\": \"d%u\", \"memdev\": \"m%u\"}}\n",
                            n, n);

        command(guest, qmp, object);
        measure_floors(floors, run, n);
        run->command[n] = command(guest, qmp, device);
    }
}

static void measure(const char *const argv[], const char *socket, Floors *floors, Run *run)
{
    BenchGuest guest;
    BenchQmp qmp;

    unlink(socket);
    bench_guest_start(&guest, (char *const *)argv);
    if (bench_guest_wait(&guest, "!", SECONDS) < 0) {
        bench_guest_fail(&guest, "device-add", "the guest wrote nothing");
    }
    if (!bench_qmp_open(&qmp, socket, SECONDS)) {
        bench_guest_fail(&guest, "device-add", "no QMP monitor");
    }
    fill(&guest, &qmp, floors, run);
    bench_qmp_close(&qmp);
    bench_guest_kill(&guest);
}

/* The middle of the runs' values for DIMM @n of those that start at @values of the first run. */
static double middle(const double *values, unsigned n, unsigned n_runs)
{
    g_autofree double *of_runs = g_new(double, n_runs);

    for (unsigned i = 0; i < n_runs; i++) {
        of_runs[i] = values[n + i * (sizeof(Run) / sizeof(double))];
    }
    return bench_median(of_runs, n_runs);
}

static void print(const Run *runs, unsigned n_runs)
{
    static const unsigned shown[] = { 1, 2, 64, 256 };
    double first = middle(runs->command, 0, n_runs);

    for (unsigned i = 0; i < G_N_ELEMENTS(shown); i++) {
        unsigned n = shown[i] - 1;
        g_autofree char *plain = g_strdup_printf("device_add_%u_us", shown[i]);
        g_autofree char *floor = g_strdup_printf("device_add_floor_%u_us", shown[i]);
        g_autofree char *socket = g_strdup_printf("device_add_floor_socket_%u_us", shown[i]);
        g_autofree char *to_second = g_strdup_printf("device_add_%u_to_2_ratio", shown[i]);
        g_autofree char *to_first = g_strdup_printf("device_add_%u_to_1_ratio", shown[i]);
        double value = middle(runs->command, n, n_runs);

        bench_print(plain, value, "us");
        bench_print(floor, middle(runs->floor, n, n_runs), "us");
        bench_print(socket, middle(runs->floor_socket, n, n_runs), "us");
        if (i > 0) {
            bench_print(to_first, value / first, "ratio");
        }
        if (i > 1) {
            bench_print(to_second, value / middle(runs->command, 1, n_runs), "ratio");
        }
    }
}

int main(void)
{
    unsigned n_runs = bench_runs(RUNS);
    const char *tessera = g_getenv("TESSERA");
    g_autofree char *kernel = bench_path("TESSERA_BENCH_PAYLOADS", "first-out.elf");
    g_autofree char *socket =
        g_strdup_printf("%s/bench-device-add-%d.sock", g_get_tmp_dir(), (int)getpid());
    g_autofree char *monitor = g_strdup_printf("unix:%s,server=on,wait=off", socket);
    g_autofree Run *runs = g_new0(Run, n_runs);
    const char *const argv[] = { tessera ? tessera : "build/tessera", "-m",
                                 "4G,slots=256,maxmem=64G", "-nodefaults", "-display", "none",
                                 "-serial", "stdio", "-qmp", monitor, "-kernel", kernel, NULL };
    Floors floors;

    bench_floor_server_start(&floors.server, DIMM_SIZE);
    bench_floor_open(&floors.bare);
    for (unsigned i = 0; i < n_runs; i++) {
        measure(argv, socket, &floors, &runs[i]);
    }
    bench_floor_close(&floors.bare);
    bench_floor_server_stop(&floors.server);
    unlink(socket);
    print(runs, n_runs);
    return 0;
}
