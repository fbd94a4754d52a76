/* SPDX-License-Identifier: MIT */
/* The command that shows what the machine's memory takes of the host: info memory. */
#include "command-util-internal.h"
#include "memory-report-internal.h"

static bool run_memory(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    g_autoptr(MemoryReport) report =
        machine_memory_report(monitor_machine(mon), NULL, !arg_flag(args, "quick"));

    *ret_result = memory_report_json(report);
    return true;
}

static const MonitorArg memory_args[] = {
    { .name = "quick", .type = MONITOR_ARG_FLAG, .flag = 'q' },
    { 0 },
};

static const MonitorCommand memory_command = {
    .name = "x-query-memory",
    .qmp = "x-query-memory",
    .hmp = "info memory",
    .help = "Shows what memory the guest has, and what it and Tessera take of the host's.",
    .details = "In KiB (QMP: bytes): for each piece of guest memory and for each kind of memory "
               "of Tessera itself, how much is resident, and of that in huge pages, shared with "
               "others and merged (KSM); and what is on swap. The sums are those of their parts; "
               "the kernel's own count of the process stands beside them. What the kernel keeps "
               "for the VM is not in the process; where it does not tell, there is a `?` (QMP: "
               "null) and, at the end, the reason (QMP: `unknown`). The kernel goes through the "
               "page tables for it, some 10 ms for each GiB that is resident in pages of 4 KiB, "
               "far less in huge pages; -q leaves that out, and what only that would tell. See "
               "accounting.md for each line.",
    .args = memory_args,
    .run = run_memory,
    .print = memory_report_print,
};
MONITOR_COMMAND_REGISTER(memory_command);
