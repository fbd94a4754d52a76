/* SPDX-License-Identifier: MIT */
/* A QMP client that stamps: how long from a command's line to its answer. */
#ifndef TESSERA_BENCH_QMP_H
#define TESSERA_BENCH_QMP_H

#include <stdbool.h>
#include <stddef.h>

/** A connection; the fields are this client's own. */
typedef struct BenchQmp {
    int fd;
    size_t have;      /* bytes in @text that no line was made of yet */
    char text[65536]; /* longer than any line that the benchmarks ask for */
} BenchQmp;

/**
 * bench_qmp_open() - connects to the unix socket @path, as soon as it is there, and negotiates
 * @seconds: how long to try
 *
 * False, with a message on standard error: nobody listens, or it is no QMP.
 */
bool bench_qmp_open(BenchQmp *qmp, const char *path, double seconds);

void bench_qmp_close(BenchQmp *qmp);

/**
 * bench_qmp() - sends @line, one command, and waits for its answer; events that come before are
 * passed over
 * @ret_sent_us: when the line was sent, on bench_now_us()'s clock; may be NULL
 *
 * Returns: microseconds from sending to having read the answer; negative, with a message on standard
 * error, when that is an error or does not come.
 */
double bench_qmp(BenchQmp *qmp, const char *line, double *ret_sent_us);

#endif
