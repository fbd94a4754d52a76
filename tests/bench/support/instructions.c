/* SPDX-License-Identifier: MIT */
#include "instructions.h"

#include <glib.h>
#include <string.h>
#include <valgrind/callgrind.h>

bool bench_counts_instructions(int argc, char *argv[])
{
    return argc > 1 && strcmp(argv[1], "-i") == 0;
}

static _Thread_local char text[128];

void bench_count_start(const char *name, unsigned times)
{
    size_t stem = strlen(name) - (g_str_has_suffix(name, "_ns") ? strlen("_ns") : 0);

    g_snprintf(text, sizeof(text), "%.*s_instructions %u", (int)stem, name, times);
    CALLGRIND_ZERO_STATS;
}

void bench_count_end(void)
{
    CALLGRIND_DUMP_STATS_AT(text);
}
