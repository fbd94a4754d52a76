/* SPDX-License-Identifier: MIT */
/* What the benchmarks share: see bench.h. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

double bench_now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_median(double *values, unsigned count)
{
    qsort(values, count, sizeof(*values), compare);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

void bench_print(const char *name, double value, const char *unit)
{
    printf("%s %.*f %s\n", name, value < 10 ? 3 : 1, value, unit);
    fflush(stdout);
}

unsigned bench_runs(unsigned otherwise)
{
    const char *text = getenv("TESSERA_BENCH_RUNS");
    unsigned long runs = text ? strtoul(text, NULL, 10) : 0;

    return runs > 0 && runs < 100000 ? (unsigned)runs : otherwise;
}

char *bench_path(const char *folder, const char *name)
{
    const char *path = getenv(folder);

    if (!path) {
        fprintf(stderr, "%s is not set: start this by `make bench`\n", folder);
        exit(2);
    }
    return g_build_filename(path, name, NULL);
}

bool bench_have(const char *name)
{
    g_autofree char *path = g_find_program_in_path(name);

    return path != NULL;
}

/* The guest's standard error: a file in memory, at descriptor 2 of the child and here. */
static int messages = -1;

static void open_messages(void)
{
    if (messages < 0) {
        messages = memfd_create("messages", MFD_CLOEXEC);
    }
    if (messages < 0 || ftruncate(messages, 0) < 0) {
        perror("bench: a file for the guest's messages");
        exit(2);
    }
}

void bench_guest_start(BenchGuest *guest, char *const argv[])
{
    int ends[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    volatile double exec_us = 0; /* the child of vfork() writes into our memory */

    open_messages();
    if (null < 0 || pipe2(ends, O_CLOEXEC) < 0) {
        perror("bench: pipe");
        exit(2);
    }
    guest->pid = vfork();
    if (guest->pid == 0) {
        dup2(null, STDIN_FILENO);
        dup2(ends[1], STDOUT_FILENO);
        dup2(messages, STDERR_FILENO);
        exec_us = bench_now_us();
        execvp(argv[0], argv);
        _exit(127);
    }
    close(ends[1]);
    close(null);
    if (guest->pid < 0) {
        perror("bench: vfork");
        exit(2);
    }
    guest->console = ends[0];
    guest->exec_us = exec_us;
}

/* Looks byte by byte: what comes after the text stays in the pipe for the next wait. */
double bench_guest_wait(BenchGuest *guest, const char *text, double seconds)
{
    size_t length = strlen(text), have = 0;
    double limit = bench_now_us() + seconds * 1e6;
    char seen[64];

    g_assert(length > 0 && length < sizeof(seen));
    for (;;) {
        struct pollfd wait = { .fd = guest->console, .events = POLLIN };
        double left = limit - bench_now_us();

        if (left <= 0 || poll(&wait, 1, (int)(left / 1e3) + 1) <= 0) {
            return -1;
        }
        if (have == length) {
            memmove(seen, seen + 1, --have);
        }
        if (read(guest->console, seen + have, 1) != 1) {
            return -1;
        }
        have++;
        if (have == length && memcmp(seen, text, length) == 0) {
            return bench_now_us();
        }
    }
}

void bench_guest_kill(BenchGuest *guest)
{
    kill(guest->pid, SIGKILL);
    while (waitpid(guest->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    close(guest->console);
}

void bench_guest_fail(BenchGuest *guest, const char *name, const char *what)
{
    char text[4096];
    ssize_t length;

    bench_guest_kill(guest);
    fprintf(stderr, "bench: %s: %s\n", name, what);
    length = pread(messages, text, sizeof(text), 0);
    if (length > 0) {
        fprintf(stderr, "%.*s", (int)length, text);
    }
    exit(1);
}
