/* SPDX-License-Identifier: MIT */
/* Commands that show the memory map: info mtree, and what changing it has cost. */
#include "command-util-internal.h"

#include <inttypes.h>
#include "tessera/hw/core/device.h"
#include "tessera/memory/memory-system.h"
#include "tessera/memory/mtree-dump.h"

/* info mtree */

static void append_owner(Object *owner, GString *out)
{
    const Device *dev = device_from_object(owner);

    if (dev && dev->id) {
        g_string_append_printf(out, " owner:{dev id=%s}", dev->id);
    } else if (dev) {
        g_string_append_printf(out, " owner:{dev type=%s}", dev->cls->name);
    } else {
        g_string_append(out, owner ? " owner:{obj}" : " owner:{board}");
    }
}

static bool run_mtree(Monitor *mon, json_t *args, GString *out, GError **error)
{
    MemorySystem *ms = machine_memory_system(monitor_machine(mon));
    MtreeStyle style = {
        .append_owner = arg_flag(args, "owner") ? append_owner : NULL,
        .dispatch = arg_flag(args, "dispatch-tree"),
    };

    if (style.dispatch || arg_flag(args, "flatview")) {
        memory_dump_flatviews_styled(ms, &style, out);
    } else {
        memory_dump_tree_styled(ms, &style, out);
    }
    return true;
}

static const MonitorArg mtree_args[] = {
    { .name = "flatview", .type = MONITOR_ARG_FLAG, .flag = 'f' },
    { .name = "dispatch-tree", .type = MONITOR_ARG_FLAG, .flag = 'd' },
    { .name = "owner", .type = MONITOR_ARG_FLAG, .flag = 'o' },
    { 0 },
};

static const MonitorCommand mtree_command = {
    .name = "info mtree",
    .hmp = "info mtree",
    .help = "Shows the tree of memory regions of each address space.",
    .details = "-f: the flat views instead, the tiles that the guest sees. -d: with each view its "
               "dispatch, by which an address finds its tile: sections, radix nodes, pages that "
               "several tiles share. -o: who owns each region (dev: a device, by id or type; "
               "board: the board itself).",
    .args = mtree_args,
    .run_text = run_mtree,
};
MONITOR_COMMAND_REGISTER(mtree_command);

/* info kvm-slots */

static bool run_slots(Monitor *mon, json_t *args, GString *out, GError **error)
{
    Machine *machine = monitor_machine(mon);
    MemorySystem *ms = machine_memory_system(machine);

    memory_system_lock(ms);
    kvm_dump_slots(machine_kvm(machine), out);
    memory_system_unlock(ms);
    return true;
}

static const MonitorCommand slots_command = {
    .name = "info kvm-slots",
    .hmp = "info kvm-slots",
    .help = "Lists the memory slots that the kernel has: guest-physical range, host address, region.",
    .details = "ro: the guest may not write; log: the kernel notes which pages it writes.",
    .run_text = run_slots,
};
MONITOR_COMMAND_REGISTER(slots_command);

/* info commit-stats */

static json_t *commit_stats(const MemoryCommitStats *s)
{
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "commits", json_u64(s->commits),
                     "views-rendered", json_u64(s->views_rendered), "ranges-visited",
                     json_u64(s->ranges_visited), "radix-nodes-built",
                     json_u64(s->radix_nodes_built), "listener-calls",
                     json_u64(s->listener_calls), "microseconds", json_u64(s->microseconds));
}

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
