/* SPDX-License-Identifier: MIT */
/* `info memory`: what one call takes, by what is resident and how many DIMMs there are. */
#include <stdio.h>
#include <string.h>

#include "model/model-machine.h"
#include "support/bench.h"
#include "tessera/memory/ram-block.h"
#include "tessera/monitor/monitor.h"
#include "tessera/util/rcu.h"
#include "tessera/util/size.h"

/*
 * The whole command, text included, on a machine on the model KVM whose RAM was touched beforehand:
 * not at all, in pages of 4 KiB, and in transparent huge pages (where the host has them to give:
 * info_memory_..._thp_us is then near the line without anything). TESSERA_BENCH_RUNS calls (21)
 * each, medians.
 */
enum { RUNS = 21, DIMMS = 256 };

static double call_us(MonitorHub *hub, const char *line)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    double start = bench_now_us();

    if (!monitor_hub_hmp(hub, line, 0, out, &error)) {
        bench_die(line, error);
    }
    return bench_now_us() - start;
}

static void measure(const ModelMachine *m, const char *line, const char *name)
{
    unsigned runs = bench_runs(RUNS);
    g_autofree double *us = g_new(double, runs);
    MonitorHub *hub = monitor_hub_new(m->machine);

    call_us(hub, line);
    for (unsigned i = 0; i < runs; i++) {
        us[i] = call_us(hub, line);
    }
    monitor_hub_free(hub);
    bench_print(name, bench_median(us, runs), "us");
}

static void touch_ram(const ModelMachine *m, bool huge)
{
    MemorySystem *ms = machine_memory_system(m->machine);
    RAMBlock *ram;

    memory_system_lock(ms);
    ram = ram_block_find(ms, "pc.ram");
    memory_system_unlock(ms);
    if (!huge) {
        ram_block_avoid_huge_pages(ram, 0, ram_block_used_length(ram));
    }
    memset(ram_block_host(ram), 1, ram_block_used_length(ram));
}

static void bench_touched(const char *size, const char *name, bool touch, bool huge)
{
    ModelMachine m = model_machine_new(size, NULL);

    if (touch) {
        touch_ram(&m, huge);
    }
    measure(&m, "info memory", name);
    if (touch && !huge) {
        g_autofree char *quick = g_strdup_printf("info_memory_%s_quick_us", size);

        measure(&m, "info memory -q", quick);
    }
    model_machine_free(&m);
}

static void bench_dimms(void)
{
    ModelMachine m = model_machine_new("1G,slots=256,maxmem=64G", NULL);

    rcu_release_deferred(); /* as machine_run() does */
    for (unsigned n = 0; n < DIMMS; n++) {
        model_machine_plug(&m, n, "128M");
        if (n % 32 == 31) {
            rcu_drain();
        }
    }
    measure(&m, "info memory", "info_memory_256_dimms_us");
    measure(&m, "info memory -q", "info_memory_256_dimms_quick_us");
    model_machine_free(&m);
}

int main(void)
{
    bench_touched("256m", "info_memory_untouched_us", false, false);
    bench_touched("256m", "info_memory_256m_us", true, false);
    bench_touched("1g", "info_memory_1g_us", true, false);
    bench_touched("1g", "info_memory_1g_thp_us", true, true);
    bench_dimms();
    return 0;
}
