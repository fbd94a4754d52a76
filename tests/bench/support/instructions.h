/* SPDX-License-Identifier: MIT */
/* Counting the instructions of a piece of code, when the benchmark runs under valgrind's callgrind. */
#ifndef TESSERA_BENCH_INSTRUCTIONS_H
#define TESSERA_BENCH_INSTRUCTIONS_H

#include <stdbool.h>

/*
 * `valgrind --tool=callgrind bench-NAME -i` dumps the cost of each piece under a name;
 * tests/bench/bench-instructions.sh makes lines "name value unit" of the dumps. Counted are all
 * threads: the others must be asleep. The same build gives the same counts, always.
 */

/** bench_counts_instructions() - was -i given? Then each piece is executed once, no time is taken */
bool bench_counts_instructions(int argc, char *argv[]);

/**
 * bench_count_start() - from here on; @times executions of what is called @name
 * @name: that of the row in time, "_ns" at its end
 */
void bench_count_start(const char *name, unsigned times);

/** bench_count_end() - to here. On the thread that started */
void bench_count_end(void);

#endif
