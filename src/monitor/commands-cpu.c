/* SPDX-License-Identifier: MIT */
/* Commands for vCPUs: which one the monitor looks at, their threads and registers. */
#include "command-util-internal.h"

#include <inttypes.h>

static VcpuSet *vcpus_of(Monitor *mon)
{
    return machine_vcpus(monitor_machine(mon));
}

/* cpu N */

static bool run_cpu(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    uint64_t cpu = arg_u64(args, "index");

    if (!command_check_cpu(mon, cpu, error)) {
        return false;
    }
    monitor_set_cpu(mon, (unsigned)cpu);
    return true;
}

static const MonitorArg cpu_args[] = {
    { .name = "index", .type = MONITOR_ARG_INT, .complete = complete_cpus },
    { 0 },
};

static const MonitorCommand cpu_command = {
    .name = "cpu",
    .hmp = "cpu",
    .help = "Sets the vCPU that this monitor looks at: its registers, and memory as it sees it.",
    .details = "`x`, `gva2gpa`, `memsave`, `info registers` and $register in numbers mean this "
               "vCPU; at first it is number 0. Each monitor has its own.",
    .args = cpu_args,
    .run = run_cpu,
};
MONITOR_COMMAND_REGISTER(cpu_command);

/* info cpus */

static json_t *cpu_info(VcpuSet *set, unsigned cpu)
{
    g_autofree char *path = g_strdup_printf("/machine/cpu[%u]", cpu);

    return json_pack("{s:i,s:s,s:i,s:s,s:{s:i,s:i,s:i,s:i}}", "cpu-index", (int)cpu, "qom-path",
                     path, "thread-id", vcpu_set_thread_id(set, cpu), "target", "x86_64", "props",
                     "node-id", 0, "socket-id", (int)cpu, "core-id", 0, "thread-id", 0);
}

static bool run_cpus(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    VcpuSet *set = vcpus_of(mon);

    *ret_result = json_array();
    for (unsigned i = 0; i < vcpu_set_count(set); i++) {
        json_array_append_new(*ret_result, cpu_info(set, i));
    }
    return true;
}

static const MonitorCommand cpus_fast_command = {
    .name = "query-cpus-fast",
    .qmp = "query-cpus-fast",
    .help = "Lists the vCPUs with the host threads that run them; the vCPUs are not disturbed.",
    .run = run_cpus,
};
MONITOR_COMMAND_REGISTER(cpus_fast_command);

/* A command of its own: the asterisk is the monitor's, which print functions do not know. */
static bool run_info_cpus(Monitor *mon, json_t *args, GString *out, GError **error)
{
    VcpuSet *set = vcpus_of(mon);

    for (unsigned i = 0; i < vcpu_set_count(set); i++) {
        g_string_append_printf(out, "%c CPU #%u: thread_id=%d\n", i == monitor_cpu(mon) ? '*' : ' ',
                               i, vcpu_set_thread_id(set, i));
    }
    return true;
}

static const MonitorCommand info_cpus_command = {
    .name = "info cpus",
    .hmp = "info cpus",
    .help = "Lists the vCPUs with the host threads that run them.",
    .details = "The asterisk marks the one that this monitor looks at (`cpu N`). QMP: "
               "query-cpus-fast.",
    .run_text = run_info_cpus,
};
MONITOR_COMMAND_REGISTER(info_cpus_command);

/* info registers */

static bool append_registers(Monitor *mon, unsigned cpu, GString *out, GError **error)
{
    g_string_append_printf(out, "\nCPU#%u\n", cpu);
    return vcpu_set_show_registers(vcpus_of(mon), cpu, out, error);
}

static bool run_registers(Monitor *mon, json_t *args, GString *out, GError **error)
{
    uint64_t cpu = arg_given(args, "vcpu") ? arg_u64(args, "vcpu") : monitor_cpu(mon);
    bool ok = true;

    if (!arg_flag(args, "all")) {
        return command_check_cpu(mon, cpu, error) &&
               append_registers(mon, (unsigned)cpu, out, error);
    }
    for (unsigned i = 0; ok && i < vcpu_set_count(vcpus_of(mon)); i++) {
        ok = append_registers(mon, i, out, error);
    }
    return ok;
}

static const MonitorArg registers_args[] = {
    { .name = "all", .type = MONITOR_ARG_FLAG, .flag = 'a' },
    { .name = "vcpu", .type = MONITOR_ARG_INT, .optional = true, .complete = complete_cpus },
    { 0 },
};

static const MonitorCommand registers_command = {
    .name = "info registers",
    .hmp = "info registers",
    .help = "Shows the registers of the monitor's vCPU, of another, or (-a) of all.",
    .details = "A running vCPU is stopped for the moment that it takes to read them.",
    .args = registers_args,
    .run_text = run_registers,
};
MONITOR_COMMAND_REGISTER(registers_command);
