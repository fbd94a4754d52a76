/* SPDX-License-Identifier: MIT */
/* device_add of 128 MiB: until QMP has answered, and until the guest has it online; with QEMU. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/bench.h"
#include "../support/floor.h"
#include "../support/qmp.h"

/*
 * Usage: hotplug KERNEL INITRD      an initrd whose init is hotplug-init.c
 *
 * TESSERA_BENCH_RUNS rounds (7). In each, every program boots a guest of its own, in turn, and plugs
 * PLUGS DIMMs one after the other. Right before each plug, with the same guest idling beside it, the
 * floor is measured: so all three see the same machine.
 */
enum { TESSERA, Q35, COUNT };
enum { ROUNDS = 7, PLUGS = 4, SECONDS = 240, SETTLE_US = 2000000, PAUSE_US = 300000 };
enum { FLOOR_TIMES = 3 };
#define DIMM_SIZE    (128ull << 20)
#define QUERY_STATUS "{\"execute\": \"query-status\"}\n"

/*
 * What is measured at each plug, in the order of the lines. With a socket: by the bare program that
 * answers lines (floor.h); its answer to a line that does nothing is what two processes and a socket
 * cost, as "nothing" is what talking to a monitor costs.
 */
enum { OBJECT_ADD, COMMAND, ONLINE, FLOOR, FLOOR_SOCKET, FLOOR_NOTHING, NOTHING, KINDS };
static const char *const kind_names[KINDS] = {
    [OBJECT_ADD] = "object_add",
    [COMMAND] = "command",
    [ONLINE] = "online",
    [FLOOR] = "floor",
    [FLOOR_SOCKET] = "floor_socket",
    [FLOOR_NOTHING] = "floor_nothing",
    [NOTHING] = "nothing",
};

typedef struct Contender {
    const char *name;
    const char *argv[40];
    char *socket;
    double *us[KINDS]; /* a value for each plug of each round */
} Contender;

typedef struct Floors {
    BenchFloor bare;
    BenchFloorServer server;
} Floors;

typedef struct ConsoleWait {
    BenchGuest *guest;
    double seen;
} ConsoleWait;

static void *wait_online(void *opaque)
{
    ConsoleWait *wait = opaque;

    wait->seen = bench_guest_wait(wait->guest, "ONLINE", SECONDS);
    return NULL;
}

static double talk(BenchFloorServer *server, const char *line)
{
    double us = bench_qmp(&server->client, line, NULL);

    if (us < 0) {
        fprintf(stderr, "bench: the floor's process does not answer\n");
        exit(1);
    }
    return us;
}

/* In turn, each after a pause as before a plug. */
static void measure_floors(Contender *c, Floors *floors, unsigned at)
{
    double values[KINDS][FLOOR_TIMES];

    for (unsigned i = 0; i < FLOOR_TIMES; i++) {
        g_usleep(PAUSE_US / FLOOR_TIMES);
        values[FLOOR][i] = bench_floor(&floors->bare, DIMM_SIZE);
        g_usleep(PAUSE_US / FLOOR_TIMES);
        values[FLOOR_SOCKET][i] = talk(&floors->server, "{\"execute\": \"device_add\"}\n");
        g_usleep(PAUSE_US / FLOOR_TIMES);
        values[FLOOR_NOTHING][i] = talk(&floors->server, QUERY_STATUS);
    }
    for (unsigned kind = FLOOR; kind <= FLOOR_NOTHING; kind++) {
        c->us[kind][at] = bench_median(values[kind], FLOOR_TIMES);
    }
}

static double command(Contender *c, BenchGuest *guest, BenchQmp *qmp, const char *line,
                      double *ret_sent_us)
{
    double us = bench_qmp(qmp, line, ret_sent_us);

    if (us < 0) {
        bench_guest_fail(guest, c->name, "the monitor refused a command");
    }
    return us;
}

static void plug(Contender *c, BenchGuest *guest, BenchQmp *qmp, unsigned n, unsigned at)
{
    g_autofree char *object =
        g_strdup_printf("{\"execute\": \"object-add\", \"arguments\": {\"qom-type\": "
                        "\"memory-backend-ram\", \"id\": \"m%u\", \"size\": %llu}}\n",
                        n, DIMM_SIZE);
    g_autofree char *device =
        g_strdup_printf("{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"pc-dimm\", "
                        "\"id\": \"d%u\", \"memdev\": \"m%u\"}}\n",
                        n, n);
    ConsoleWait wait = { .guest = guest };
    GThread *console;
    double sent;

    c->us[OBJECT_ADD][at] = command(c, guest, qmp, object, NULL);
    console = g_thread_new("console", wait_online, &wait);
    g_usleep(PAUSE_US);
    c->us[COMMAND][at] = command(c, guest, qmp, device, &sent);
    g_thread_join(console);
    if (wait.seen < 0) {
        bench_guest_fail(guest, c->name, "the memory did not come online");
    }
    c->us[ONLINE][at] = wait.seen - sent;
    g_usleep(SETTLE_US / 2);
    c->us[NOTHING][at] = command(c, guest, qmp, QUERY_STATUS, NULL);
    printf("# hotplug %s plug %u: floor %.0f us, with a socket %.0f us, device_add %.0f us, online "
           "%.0f us\n",
           c->name, n + 1, c->us[FLOOR][at], c->us[FLOOR_SOCKET][at], c->us[COMMAND][at],
           c->us[ONLINE][at]);
    fflush(stdout);
}

static void measure(Contender *c, Floors *floors, unsigned round)
{
    BenchGuest guest;
    BenchQmp qmp;

    unlink(c->socket);
    bench_guest_start(&guest, (char *const *)c->argv);
    if (bench_guest_wait(&guest, "INIT-IS-UP", SECONDS) < 0) {
        bench_guest_fail(&guest, c->name, "the guest's init did not start");
    }
    if (!bench_qmp_open(&qmp, c->socket, SECONDS)) {
        bench_guest_fail(&guest, c->name, "no QMP monitor");
    }
    g_usleep(SETTLE_US);
    for (unsigned n = 0; n < PLUGS; n++) {
        measure_floors(c, floors, round * PLUGS + n);
        plug(c, &guest, &qmp, n, round * PLUGS + n);
    }
    bench_qmp_close(&qmp);
    bench_guest_kill(&guest);
}

/* Medians. */

static void print_ratio(const char *name, const double *ours, const double *theirs, unsigned n)
{
    g_autofree double *ratios = g_new(double, n);

    for (unsigned i = 0; i < n; i++) {
        ratios[i] = ours[i] / theirs[i];
    }
    bench_print(name, bench_median(ratios, n), "ratio");
}

static double shortest(const double *values, unsigned n)
{
    double least = values[0];

    for (unsigned i = 1; i < n; i++) {
        least = MIN(least, values[i]);
    }
    return least;
}

/*
 * The shortest against the shortest: a command is one chance, a floor the middle of several, so that
 * a busy host lengthens the one more than the other.
 */
static void print_min_ratio(const char *name, const double *ours, const double *theirs, unsigned n)
{
    bench_print(name, shortest(ours, n) / shortest(theirs, n), "ratio");
}

/* Of the first plug of each round alone: the first is the one that touches everything first. */
static double first_plugs(const double *values, unsigned n)
{
    g_autofree double *first = g_new(double, n);

    for (unsigned i = 0; i < n / PLUGS; i++) {
        first[i] = values[i * PLUGS];
    }
    return bench_median(first, n / PLUGS);
}

/* The median, the shortest (what other work did not interrupt), and that of the first plugs. */
static void print_us(const char *what, const char *who, double *values, unsigned n)
{
    g_autofree char *all = g_strdup_printf("hotplug_%s_%s_us", what, who);
    g_autofree char *shortest = g_strdup_printf("hotplug_%s_%s_min_us", what, who);
    g_autofree char *first = g_strdup_printf("hotplug_%s_%s_first_us", what, who);
    double of_first = first_plugs(values, n);

    bench_print(all, bench_median(values, n), "us");
    bench_print(shortest, values[0], "us"); /* sorted now */
    bench_print(first, of_first, "us");
}

/* The ratios pair the rounds up: before the medians sort them. */
static void print_all(Contender *c, unsigned n)
{
    Contender *ours = &c[TESSERA], *theirs = &c[Q35];

    print_ratio("hotplug_command_to_q35_ratio", ours->us[COMMAND], theirs->us[COMMAND], n);
    print_ratio("hotplug_command_to_floor_ratio", ours->us[COMMAND], ours->us[FLOOR], n);
    print_ratio("hotplug_command_to_floor_socket_ratio", ours->us[COMMAND], ours->us[FLOOR_SOCKET],
                n);
    print_min_ratio("hotplug_command_to_floor_min_ratio", ours->us[COMMAND], ours->us[FLOOR], n);
    print_min_ratio("hotplug_command_to_floor_socket_min_ratio", ours->us[COMMAND],
                    ours->us[FLOOR_SOCKET], n);
    print_ratio("hotplug_online_to_q35_ratio", ours->us[ONLINE], theirs->us[ONLINE], n);
    for (unsigned i = 0; i < COUNT; i++) {
        for (unsigned kind = 0; kind < KINDS; kind++) {
            print_us(kind_names[kind], c[i].name, c[i].us[kind], n);
        }
    }
}

#define COMMON                                                                                     \
    "-cpu", "host,-xsave", "-m", "256,slots=8,maxmem=4G", "-nodefaults", "-display", "none",       \
        "-serial", "stdio", "-append", "console=ttyS0 quiet panic=-1 memhp_default_state="         \
        "online_movable", "-kernel"

int main(int argc, char *argv[])
{
    const char *tessera = g_getenv("TESSERA");
    unsigned rounds = bench_runs(ROUNDS);
    g_autofree char *socket =
        g_strdup_printf("%s/bench-hotplug-%d.sock", g_get_tmp_dir(), (int)getpid());
    g_autofree char *monitor = g_strdup_printf("unix:%s,server=on,wait=off", socket);
    Floors floors;

    if (argc != 3) {
        fprintf(stderr, "usage: hotplug KERNEL INITRD\n");
        return 2;
    }
    Contender contenders[COUNT] = {
        [TESSERA] = { .name = "tessera",
                      .argv = { tessera ? tessera : "build/tessera", COMMON, argv[1], "-initrd",
                                argv[2], "-qmp", monitor } },
        [Q35] = { .name = "q35",
                  .argv = { "qemu-system-x86_64", "-M", "q35", "-accel", "kvm", "-no-user-config",
                            COMMON, argv[1], "-initrd", argv[2], "-qmp", monitor } },
    };

    for (unsigned i = 0; i < COUNT; i++) {
        contenders[i].socket = socket;
        for (unsigned kind = 0; kind < KINDS; kind++) {
            contenders[i].us[kind] = g_new(double, rounds * PLUGS);
        }
    }
    bench_floor_server_start(&floors.server, DIMM_SIZE);
    bench_floor_open(&floors.bare);
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < COUNT; i++) {
            measure(&contenders[(i + round) % COUNT], &floors, round);
        }
    }
    bench_floor_close(&floors.bare);
    bench_floor_server_stop(&floors.server);
    unlink(socket);
    print_all(contenders, rounds * PLUGS);
    for (unsigned i = 0; i < COUNT; i++) {
        for (unsigned kind = 0; kind < KINDS; kind++) {
            g_free(contenders[i].us[kind]);
        }
    }
    return 0;
}
