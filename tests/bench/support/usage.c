/* SPDX-License-Identifier: MIT */
/* Resident memory of a VMM by its smaps: see bench.h. */
#include "bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Guest RAM may be cut in two by what the kernel keeps apart: half its size is enough. */
static bool is_guest_memory(const char *line, uint64_t size, uint64_t ram)
{
    return size >= ram / 2 || strstr(line, "anon_inode:kvm-vcpu");
}

/* What Tessera wants no huge page for: the kernel keeps it as a mapping apart, right before the rest. */
static bool is_low_ram(uint64_t start, uint64_t end, uint64_t next_start, uint64_t next_size,
                       uint64_t ram)
{
    return end - start == 2 << 20 && end == next_start && next_size >= ram / 2;
}

bool bench_usage(pid_t pid, uint64_t ram, bool verbose, BenchUsage *ret_usage)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/smaps", (int)pid);
    FILE *file = fopen(path, "re");
    char line[4096], mapping[4096] = "";
    bool counts = false;
    uint64_t rss = 0, before_start = 0, before_end = 0;
    BenchUsage usage = { 0 }, before = { 0 };

    if (!file) {
        return false;
    }
    while (fgets(line, sizeof(line), file)) {
        uint64_t start, end, kib;

        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2) {
            if (is_low_ram(before_start, before_end, start, end - start, ram)) {
                usage = before;
            }
            before = usage;
            before_start = start;
            before_end = end;
            counts = !is_guest_memory(line, end - start, ram);
            g_strlcpy(mapping, line, sizeof(mapping));
        } else if (counts && sscanf(line, "Rss: %" SCNu64, &kib) == 1) {
            rss = kib;
            usage.resident_kib += (double)kib;
        } else if (counts && sscanf(line, "Anonymous: %" SCNu64, &kib) == 1) {
            usage.anonymous_kib += (double)kib;
            if (verbose && rss > 0) {
                printf("# %5" PRIu64 " %5" PRIu64 " KiB %s", rss, kib, mapping);
            }
        }
    }
    fclose(file);
    *ret_usage = usage;
    return true;
}
