/* SPDX-License-Identifier: MIT */
/* Commands that show the memory map: info mtree, info kvm-slots. */
#include "command-util-internal.h"

#include <inttypes.h>
#include "tessera/memory/memory-system.h"
#include "tessera/memory/mtree-dump.h"
#include "tessera/util/error.h"

/* info mtree */

static void append_owner(Object *owner, GString *out)
{
    g_autofree char *text = command_owner_text(owner);

    g_string_append_printf(out, " owner:{%s}", text);
}

static bool run_mtree_diff(Monitor *mon, json_t *args, GString *out, GError **error)
{
    static const char *const others[] = { "flatview", "dispatch-tree", "owner", "counts", "picture" };

    for (unsigned i = 0; i < G_N_ELEMENTS(others); i++) {
        if (arg_given(args, others[i])) {
            g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                        "--diff and --%s exclude each other: give one of them", others[i]);
            return false;
        }
    }
    if (!arg_given(args, "from")) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "--diff needs the number of a commit, see info mtree-history");
        return false;
    }
    return mtree_diff_text(mon, args, out, error);
}

static bool run_mtree(Monitor *mon, json_t *args, GString *out, GError **error)
{
    MemorySystem *ms = machine_memory_system(monitor_machine(mon));
    MtreeStyle style = {
        .append_owner = arg_flag(args, "owner") ? append_owner : NULL,
        .dispatch = arg_flag(args, "dispatch-tree"),
        .counts = arg_flag(args, "counts"),
    };

    if (arg_flag(args, "diff")) {
        return run_mtree_diff(mon, args, out, error);
    }
    if (arg_given(args, "from")) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "'%" PRIu64 "' is one word too many: numbers of commits follow --diff",
                    arg_u64(args, "from"));
        return false;
    }
    if (arg_given(args, "picture")) {
        return machine_draw_memory_map(monitor_machine(mon), arg_string(args, "picture"), error);
    }
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
    { .name = "counts", .type = MONITOR_ARG_FLAG, .flag = 's' },
    { .name = "picture", .type = MONITOR_ARG_STRING, .flag = 'g', .optional = true },
    { .name = "diff", .type = MONITOR_ARG_FLAG },
    { .name = "from", .type = MONITOR_ARG_INT, .optional = true },
    { .name = "to", .type = MONITOR_ARG_INT, .optional = true },
    { 0 },
};

static const MonitorCommand mtree_command = {
    .name = "info mtree",
    .hmp = "info mtree",
    .help = "Shows the tree of memory regions of each address space.",
    .details = "-f: the flat views instead, the tiles that the guest sees. -d: with each view its "
               "dispatch, by which an address finds its tile: sections, radix nodes, pages that "
               "several tiles share. -o: who owns each region (dev: a device, by id or type; "
               "board: the board itself). -s: how often vCPUs have read and written each region, "
               "and left the guest for it, all together and one by one (coalesced: writes that "
               "the kernel had queued); what the guest reaches without an exit is not seen. "
               "--diff FROM [TO]: what changed between the map after commit FROM and that after "
               "commit TO, numbers as info mtree-history shows them (0: before the first, when "
               "nothing was there; without TO, the last): the commits with their causes, then tiles "
               "and KVM slots added, removed, moved (the same part of a region at another address) "
               "and changed (attributes). What is too long ago, or was more than the history holds "
               "of one commit, is not told: the error names the commits that can be compared. "
               "-g FILE: everything as one picture, in a file on the host: FILE.svg for any browser "
               "(trees, aliases, tiles on an address axis, holes, KVM slots, counts), FILE.dot for "
               "Graphviz, FILE.json for programs. A file that is there is replaced once the new "
               "one is complete.",
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
