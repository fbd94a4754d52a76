/* SPDX-License-Identifier: MIT */
/* Commands for the machine as a whole: its state, running, resetting and ending it. */
#include "command-util-internal.h"
#include "monitor-internal.h"
#include "tessera/util/version.h"

/* info status */

static bool run_status(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    RunState state = machine_run_state(monitor_machine(mon));

    *ret_result = json_pack("{s:s,s:b,s:b}", "status", run_state_name(state), "singlestep", 0,
                            "running", state == RUN_STATE_RUNNING);
    return true;
}

static void print_status(const json_t *result, GString *out)
{
    const char *status = json_get_text(result, "status");
    bool running = json_is_true(json_object_get(result, "running"));

    g_string_append_printf(out, "VM status: %s", running ? "running" : "paused");
    if (!running && strcmp(status, "paused") != 0) {
        g_string_append_printf(out, " (%s)", status);
    }
    g_string_append_c(out, '\n');
}

static const MonitorCommand status_command = {
    .name = "query-status",
    .qmp = "query-status",
    .hmp = "info status",
    .help = "Shows whether the machine runs, and if not, why.",
    .details = "States: running, paused (by `stop`), prelaunch (-S: has not run yet), debug (by a debugger, see `gdbserver`), shutdown (the "
               "guest is off), internal-error (a vCPU or the memory map cannot go on). QMP's "
               "`singlestep` is always false.",
    .run = run_status,
    .print = print_status,
};
MONITOR_COMMAND_REGISTER(status_command);

/* Run control. */

static bool run_stop(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    machine_stop(monitor_machine(mon));
    return true;
}

static const MonitorCommand stop_command = {
    .name = "stop",
    .qmp = "stop",
    .hmp = "stop|s",
    .help = "Stops all vCPUs and the guest's clocks; `cont` lets them go on.",
    .details = "Event: STOP. A machine that does not run stays as it is.",
    .run = run_stop,
};
MONITOR_COMMAND_REGISTER(stop_command);

static bool run_cont(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    return machine_cont(monitor_machine(mon), error);
}

static const MonitorCommand cont_command = {
    .name = "cont",
    .qmp = "cont",
    .hmp = "cont|c",
    .help = "Lets a machine run that was stopped, or started with -S.",
    .details = "Event: RESUME. Refused once the machine is off or has failed, and while a debugger is "
               "attached, which would not know of it.",
    .run = run_cont,
};
MONITOR_COMMAND_REGISTER(cont_command);

static bool run_system_reset(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    machine_system_reset(monitor_machine(mon));
    return true;
}

static const MonitorCommand system_reset_command = {
    .name = "system_reset",
    .qmp = "system_reset",
    .hmp = "system_reset",
    .help = "Resets the machine, as its reset button would.",
    .details = "The guest is not asked. DIMMs stay plugged; one that was to be unplugged goes. "
               "Event: RESET.",
    .run = run_system_reset,
};
MONITOR_COMMAND_REGISTER(system_reset_command);

static bool run_system_powerdown(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    machine_system_powerdown(monitor_machine(mon));
    return true;
}

static const MonitorCommand system_powerdown_command = {
    .name = "system_powerdown",
    .qmp = "system_powerdown",
    .hmp = "system_powerdown",
    .help = "Presses the power button: asks the guest to shut down.",
    .details = "What follows is up to the guest. Event: POWERDOWN now, SHUTDOWN when it is off.",
    .run = run_system_powerdown,
};
MONITOR_COMMAND_REGISTER(system_powerdown_command);

static bool run_nmi(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    vcpu_set_inject_nmi(machine_vcpus(monitor_machine(mon)));
    return true;
}

static const MonitorCommand nmi_command = {
    .name = "inject-nmi",
    .qmp = "inject-nmi",
    .hmp = "nmi",
    .help = "Sends a non-maskable interrupt to every vCPU.",
    .details = "A Linux guest with kernel.unknown_nmi_panic=1 panics, which shows where it hangs.",
    .run = run_nmi,
};
MONITOR_COMMAND_REGISTER(nmi_command);

static bool run_quit(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    machine_quit(monitor_machine(mon), EXIT_STATUS_POWEROFF);
    return true;
}

static const MonitorCommand quit_command = {
    .name = "quit",
    .qmp = "quit",
    .hmp = "quit|q",
    .help = "Ends the program at once, with status 0; the guest is not asked.",
    .details = "For a guest it is as if the mains had failed: `system_powerdown` is gentler. "
               "Event: SHUTDOWN.",
    .run = run_quit,
};
MONITOR_COMMAND_REGISTER(quit_command);

/* What this is. */

/* The level of QEMU whose names and shapes the monitors speak; clients look at it. */
enum { QEMU_MAJOR = 7, QEMU_MINOR = 2, QEMU_MICRO = 0 };

json_t *monitor_version_data(void)
{
    return json_pack("{s:{s:i,s:i,s:i},s:s}", "qemu", "micro", QEMU_MICRO, "minor", QEMU_MINOR,
                     "major", QEMU_MAJOR, "package", "tessera " TESSERA_VERSION);
}

static bool run_version(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    *ret_result = monitor_version_data();
    return true;
}

static void print_version(const json_t *result, GString *out)
{
    const json_t *qemu = json_object_get(result, "qemu");

    g_string_append_printf(out, "%s (commands as in QEMU %u.%u)\n",
                           json_get_text(result, "package"), (unsigned)json_get_u64(qemu, "major"),
                           (unsigned)json_get_u64(qemu, "minor"));
}

static const MonitorCommand version_command = {
    .name = "query-version",
    .qmp = "query-version",
    .hmp = "info version",
    .help = "Shows the version of the program.",
    .details = "QMP's `qemu` is the level of QEMU whose commands these are; `package` says what "
               "program this is.",
    .run = run_version,
    .print = print_version,
};
MONITOR_COMMAND_REGISTER(version_command);

static bool run_name(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    const char *name = machine_config(monitor_machine(mon))->name;

    *ret_result = json_object();
    if (name) {
        json_object_set_new(*ret_result, "name", json_string(name));
    }
    return true;
}

static void print_name(const json_t *result, GString *out)
{
    const char *name = json_get_text(result, "name");

    if (name) {
        g_string_append_printf(out, "%s\n", name);
    }
}

static const MonitorCommand name_command = {
    .name = "query-name",
    .qmp = "query-name",
    .hmp = "info name",
    .help = "Shows the machine's name (-name).",
    .run = run_name,
    .print = print_name,
};
MONITOR_COMMAND_REGISTER(name_command);

static bool run_kvm(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    *ret_result = json_pack("{s:b,s:b}", "enabled", 1, "present", 1);
    return true;
}

static void print_kvm(const json_t *result, GString *out)
{
    g_string_append_printf(out, "kvm support: %s\n",
                           json_is_true(json_object_get(result, "enabled")) ? "enabled"
                                                                            : "disabled");
}

static const MonitorCommand kvm_command = {
    .name = "query-kvm",
    .qmp = "query-kvm",
    .hmp = "info kvm",
    .help = "Shows whether KVM runs the guest: it always does.",
    .run = run_kvm,
    .print = print_kvm,
};
MONITOR_COMMAND_REGISTER(kvm_command);

static bool run_target(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    *ret_result = json_pack("{s:s}", "arch", "x86_64");
    return true;
}

static const MonitorCommand target_command = {
    .name = "query-target",
    .qmp = "query-target",
    .help = "Names the guest's architecture.",
    .run = run_target,
};
MONITOR_COMMAND_REGISTER(target_command);
