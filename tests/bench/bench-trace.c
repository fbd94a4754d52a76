/* SPDX-License-Identifier: MIT */
/* What recording one event costs the thread that records it: lines "trace_on_*_ns value ns". */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/instructions.h"
#include "tessera/util/trace-control.h"

/*
 * Into /dev/null, as text. A batch is what fits into a ring; the writer empties it in between,
 * outside the time that counts.
 */
#define RUNS  101
#define BATCH 2000u

static void record_number(unsigned i)
{
    trace_event(vcpu_enter, .cpu = i);
}

static void record_exit(unsigned i)
{
    trace_event(vcpu_exit, .cpu = 0, .reason = "IO", .address = 0x3f8, .size = 1, .count = 1,
                .write = true, .value = i);
}

static void record_dispatch(unsigned i)
{
    trace_event(memory_dispatch, .region = "serial", .space = "I/O", .address = 0x3f8, .offset = 0,
                .size = 1, .write = true);
}

static const struct {
    const char *name;
    void (*record)(unsigned i);
} rows[] = {
    { "trace_on_event_ns", record_exit },
    { "trace_on_small_event_ns", record_number },
    { "trace_on_text_event_ns", record_dispatch },
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double one_run(void (*record)(unsigned i))
{
    uint64_t began = trace_now(), ended;

    for (unsigned i = 0; i < BATCH; i++) {
        record(i);
    }
    ended = trace_now();
    trace_flush();
    return (double)(ended - began) / BATCH;
}

static void measure(const char *name, void (*record)(unsigned i))
{
    double values[RUNS];

    for (unsigned i = 0; i < RUNS; i++) {
        values[i] = one_run(record);
    }
    qsort(values, RUNS, sizeof(values[0]), by_value);
    printf("%s %.1f ns\n", name, values[RUNS / 2]);
}

static void count_instructions(const char *name, void (*record)(unsigned i))
{
    one_run(record);
    trace_flush(); /* nobody else has anything to do now, for 10 ms */
    bench_count_start(name, 100);
    for (unsigned i = 0; i < 100; i++) {
        record(i);
    }
    bench_count_end();
}

int main(int argc, char *argv[])
{
    g_autoptr(GError) error = NULL;

    if (!trace_set_file("/dev/null", &error) || !trace_set("*", true, &error)) {
        fprintf(stderr, "bench-trace: %s\n", error->message);
        return 1;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (bench_counts_instructions(argc, argv)) {
            count_instructions(rows[i].name, rows[i].record);
        } else {
            measure(rows[i].name, rows[i].record);
        }
    }
    trace_close();
    return 0;
}
