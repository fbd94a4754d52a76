/* SPDX-License-Identifier: MIT */
/* Commands that show what changing the memory map has cost: info commit-stats, info mtree-history. */
#include "command-util-internal.h"

#include <inttypes.h>
#include "tessera/memory/memory-system.h"

/* A commit's counters, in the order in which they are shown; @head: over the history's column. */
static const struct {
    const char *name;
    const char *head;
    size_t offset;
} counters[] = {
#define COUNTER(name, head, field) { name, head, offsetof(MemoryCommitStats, field) }
    COUNTER("commits", NULL, commits),
    COUNTER("failed", NULL, failed),
    COUNTER("views-rendered", "views", views_rendered),
    COUNTER("ranges-visited", "ranges", ranges_visited),
    COUNTER("radix-nodes-built", "built", radix_nodes_built),
    COUNTER("radix-nodes-shared", "shared", radix_nodes_shared),
    COUNTER("listener-calls", "calls", listener_calls),
    COUNTER("ioctls", "ioctls", ioctls),
    COUNTER("pauses", "pauses", pauses),
    COUNTER("pause-us", "pause-us", pause_us),
    COUNTER("microseconds", "us", microseconds),
#undef COUNTER
};

static void set_counters(json_t *object, const MemoryCommitStats *s)
{
    for (size_t i = 0; i < G_N_ELEMENTS(counters); i++) {
        uint64_t value = *(const uint64_t *)(const void *)((const char *)s + counters[i].offset);

        json_object_set_new(object, counters[i].name, json_u64(value));
    }
}

static json_t *commit_stats(const MemoryCommitStats *s)
{
    json_t *object = json_object();

    set_counters(object, s);
    return object;
}

/* info commit-stats */

static json_t *slot_stats(Machine *machine)
{
    MemorySystem *ms = machine_memory_system(machine);
    KvmStats s;

    memory_system_lock(ms);
    s = kvm_stats(machine_kvm(machine));
    memory_system_unlock(ms);
    return json_pack("{s:o,s:o,s:o,s:o}", "slot-ioctls", json_u64(s.slot_ioctls), "parks",
                     json_u64(s.parks), "park-last-us", json_u64(s.park_last_us),
                     "park-total-us", json_u64(s.park_total_us));
}

static bool run_commit_stats(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    Machine *machine = monitor_machine(mon);
    MemorySystem *ms = machine_memory_system(machine);
    MemoryCommitStats last = memory_system_last_stats(ms);
    MemoryCommitStats total = memory_system_total_stats(ms);

    *ret_result = json_pack("{s:o,s:o,s:o}", "last", commit_stats(&last), "total",
                            commit_stats(&total), "kvm", slot_stats(machine));
    return true;
}

static void print_commit_stats(const json_t *result, GString *out)
{
    json_t *last = json_object_get(result, "last");
    const char *key;
    json_t *value;

    g_string_append_printf(out, "%-18s %12s %12s\n", "", "last", "total");
    json_object_foreach(json_object_get(result, "total"), key, value) {
        g_string_append_printf(out, "%-18s %12" PRIu64 " %12" PRIu64 "\n", key,
                               json_get_u64(last, key), (uint64_t)json_integer_value(value));
    }
    json_object_foreach(json_object_get(result, "kvm"), key, value) {
        g_string_append_printf(out, "%-18s %12s %12" PRIu64 "\n", key, "",
                               (uint64_t)json_integer_value(value));
    }
}

static const MonitorCommand commit_stats_command = {
    .name = "x-query-commit-stats",
    .qmp = "x-query-commit-stats",
    .hmp = "info commit-stats",
    .help = "Shows what the last change of the memory map has cost, and all of them together.",
    .details = "views-rendered, ranges-visited and radix-nodes-built are work in this program; "
               "slot-ioctls went to KVM; park: vCPUs held while a slot changed.",
    .run = run_commit_stats,
    .print = print_commit_stats,
};
MONITOR_COMMAND_REGISTER(commit_stats_command);

/* info mtree-history */

static json_t *commit_record(const MemoryCommitRecord *r)
{
    json_t *object = json_pack("{s:o,s:o,s:s,s:b}", "number", json_u64(r->number), "at-us",
                               json_u64(r->at_us), "cause", r->cause, "success",
                               r->stats.failed == 0);

    set_counters(object, &r->stats);
    json_object_del(object, "commits");
    json_object_del(object, "failed");
    return object;
}

static bool run_memory_stats(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    MemoryCommitStats total;
    g_autoptr(GArray) history =
        memory_system_commit_history(machine_memory_system(monitor_machine(mon)), &total);
    json_t *list = json_array();

    for (guint i = 0; i < history->len; i++) {
        json_array_append_new(list, commit_record(&g_array_index(history, MemoryCommitRecord, i)));
    }
    *ret_result = json_pack("{s:o,s:o}", "total", commit_stats(&total), "history", list);
    return true;
}

static void print_row(const json_t *row, GString *out)
{
    for (size_t i = 0; i < G_N_ELEMENTS(counters); i++) {
        if (counters[i].head) {
            g_string_append_printf(out, " %8" PRIu64, json_get_u64(row, counters[i].name));
        }
    }
}

static void print_memory_stats(const json_t *result, GString *out)
{
    const json_t *total = json_object_get(result, "total");
    size_t i;
    json_t *record;

    g_string_append_printf(out, "%6s %10s", "#", "seconds");
    for (i = 0; i < G_N_ELEMENTS(counters); i++) {
        if (counters[i].head) {
            g_string_append_printf(out, " %8s", counters[i].head);
        }
    }
    g_string_append(out, "  cause\n");
    json_array_foreach(json_object_get(result, "history"), i, record) {
        uint64_t at = json_get_u64(record, "at-us");

        g_string_append_printf(out, "%6" PRIu64 " %6" PRIu64 ".%03" PRIu64,
                               json_get_u64(record, "number"), at / 1000000, at / 1000 % 1000);
        print_row(record, out);
        g_string_append_printf(out, "  %s%s\n", json_get_text(record, "cause"),
                               json_is_true(json_object_get(record, "success")) ? "" : " [undone]");
    }
    g_string_append_printf(out, "%6s %10s", "total", "");
    print_row(total, out);
    g_string_append_printf(out, "  %" PRIu64 " commits, %" PRIu64 " undone\n",
                           json_get_u64(total, "commits"), json_get_u64(total, "failed"));
}

static const MonitorCommand memory_stats_command = {
    .name = "x-query-memory-stats",
    .qmp = "x-query-memory-stats",
    .hmp = "info mtree-history",
    .help = "Shows the last 256 changes of the memory map: what each has cost, and what caused it.",
    .details = "The oldest first; at-us: microseconds since the machine was made. views-rendered, "
               "ranges-visited, radix-nodes-built and -shared (taken over from the view before) "
               "are work in this program; ioctls went to KVM; pauses: how often vCPUs were held "
               "while a slot changed, for pause-us in all; microseconds: the whole change. "
               "success false (HMP: [undone]): it was refused, and the map is as before. The total "
               "also holds the ioctls by which KVM was first told of the whole map.",
    .run = run_memory_stats,
    .print = print_memory_stats,
};
MONITOR_COMMAND_REGISTER(memory_stats_command);
