/* SPDX-License-Identifier: MIT */
/* What the benchmarks share: time, medians, and guests as processes whose console is a pipe. */
#ifndef TESSERA_BENCH_H
#define TESSERA_BENCH_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/** bench_now_us() - CLOCK_MONOTONIC, microseconds */
double bench_now_us(void);

/** bench_median() - the middle of @count (1 or more) values, which it sorts, smallest first */
double bench_median(double *values, unsigned count);

/** bench_print() - one line "name value unit" on standard output */
void bench_print(const char *name, double value, const char *unit);

/** bench_runs() - how often to measure: TESSERA_BENCH_RUNS, or @otherwise */
unsigned bench_runs(unsigned otherwise);

/** bench_path() - the path of @name in the folder that environment variable @folder names; owned by
 *  the caller; ends the program with a message if the variable is not set */
char *bench_path(const char *folder, const char *name);

/** bench_have() - is there a program @name in PATH? */
bool bench_have(const char *name);

/** A guest: its process, the reading end of its console, and when its exec was called. */
typedef struct BenchGuest {
    pid_t pid;
    int console;
    double exec_us;
} BenchGuest;

/**
 * bench_guest_start() - forks and executes @argv with /dev/null as input, its output in a pipe and
 * its messages in a file that bench_guest_fail() shows
 *
 * Ends the program with a message when that is not possible.
 */
void bench_guest_start(BenchGuest *guest, char *const argv[]);

/**
 * bench_guest_wait() - the time, in microseconds of bench_now_us(), at which the console has shown
 * @text (1 to 63 bytes), looked for from here on; negative after @seconds or at the console's end
 */
double bench_guest_wait(BenchGuest *guest, const char *text, double seconds);

/** bench_guest_kill() - ends the guest and waits until all of it is gone */
void bench_guest_kill(BenchGuest *guest);

/** bench_guest_fail() - kills the guest, shows what it said on standard error, ends the program */
void bench_guest_fail(BenchGuest *guest, const char *name, const char *what) G_GNUC_NORETURN;

/** What a process has resident outside its guest's RAM, KiB. */
typedef struct BenchUsage {
    double resident_kib;  /* Rss */
    double anonymous_kib; /* Anonymous: private pages that no file backs */
} BenchUsage;

/**
 * bench_usage() - reads /proc/@pid/smaps
 * @ram: bytes of guest RAM; @verbose: prints each mapping too, as a comment
 *
 * Counted is every mapping but guest RAM and the vCPUs' run pages. False: it cannot be read.
 */
bool bench_usage(pid_t pid, uint64_t ram, bool verbose, BenchUsage *ret_usage);

#endif
