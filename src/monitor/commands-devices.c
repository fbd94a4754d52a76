/* SPDX-License-Identifier: MIT */
/* Commands for devices that come and go while the machine runs: DIMMs. */
#include "command-util-internal.h"
#include "monitor-internal.h"

#include <inttypes.h>
#include <string.h>
#include "tessera/util/error.h"
#include "tessera/util/size.h"

/* device_add */

static void add_free_backend(UserObject *obj, void *opaque)
{
    g_autofree char *user = user_object_user(obj);

    if (!user) {
        g_ptr_array_add(opaque, g_strdup_printf("pc-dimm,memdev=%s,id=", obj->id));
    }
}

static void complete_drivers(Machine *machine, GPtrArray *words)
{
    g_ptr_array_add(words, g_strdup("pc-dimm,"));
    object_store_for_each(machine_objects(machine), add_free_backend, words);
}

/* "device_add help" lists the drivers, "device_add DRIVER,help" the properties of one. */
static bool show_help(const json_t *args, json_t **ret_result, GError **error)
{
    const char *driver = arg_string(args, "driver");
    bool about_driver = driver && strcmp(driver, "help") != 0 && strcmp(driver, "?") != 0;
    g_autofree char *option = about_driver ? g_strdup_printf("%s,help", driver) : g_strdup("help");
    g_autofree char *text = machine_device_option_help(option, error);

    if (!text) {
        return false;
    }
    *ret_result = json_pack("{s:s}", "help", text);
    return true;
}

/* A guest that has not begun to run finds the DIMM when it starts, and answers nothing. */
static bool add_device(Monitor *mon, const Keyval *properties, GError **error)
{
    Machine *machine = monitor_machine(mon);

    if (!machine_device_add(machine, properties, error)) {
        return false;
    }
    if (machine_run_state(machine) != RUN_STATE_PRELAUNCH) {
        monitor_await(mon, keyval_get(properties, "id"), MONITOR_ANSWER_PLUG);
    }
    return true;
}

static bool run_device_add(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    g_autoptr(Keyval) properties = NULL;

    if (command_wants_help(args)) {
        return show_help(args, ret_result, error);
    }
    properties = command_keyval(args, error);
    return properties && add_device(mon, properties, error);
}

static void print_help(const json_t *result, GString *out)
{
    const char *text = json_get_text(result, "help");

    if (text) {
        g_string_append(out, text);
    }
}

static const MonitorArg device_add_args[] = {
    { .name = "properties", .type = MONITOR_ARG_KEYVAL, .implied_key = "driver",
      .complete = complete_drivers, .complete_property = complete_device_property },
    { 0 },
};

static const MonitorCommand device_add_command = {
    .name = "device_add",
    .qmp = "device_add",
    .hmp = "device_add",
    .help = "Plugs a device: `device_add pc-dimm,id=d1,memdev=m1` gives the guest more memory.",
    .details = "When the command succeeds the memory is mapped and the guest is told; in HMP a "
               "line says what became of it, as `info memory-devices` does when asked. `device_add help` "
               "lists drivers and properties. Refused, with the machine as it was: a size or an "
               "address that is no multiple of the guest's memory block, no slot or no room left, a "
               "backend in use. Event: ACPI_DEVICE_OST when the guest has answered.",
    .args = device_add_args,
    .run = run_device_add,
    .print = print_help,
};
MONITOR_COMMAND_REGISTER(device_add_command);

/* device_del */

static bool run_device_del(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    const char *id = arg_string(args, "id");

    if (!machine_device_del(monitor_machine(mon), id, error)) {
        return false;
    }
    monitor_await(mon, id, MONITOR_ANSWER_UNPLUG);
    return true;
}

static const MonitorArg device_del_args[] = {
    { .name = "id", .type = MONITOR_ARG_STRING, .complete = complete_devices },
    { 0 },
};

static const MonitorCommand device_del_command = {
    .name = "device_del",
    .qmp = "device_del",
    .hmp = "device_del",
    .help = "Asks the guest to give a device up.",
    .details = "Success means that the guest was asked. It then moves what it keeps there "
               "elsewhere, and either ejects the DIMM (event DEVICE_DELETED; its backend is free "
               "then) or refuses (events MEM_UNPLUG_ERROR, DEVICE_UNPLUG_GUEST_ERROR; `info "
               "memory-devices` has the reason). In HMP a line says how it ended. Say it again to "
               "ask again. Only memory that the guest has online as movable comes back reliably.",
    .args = device_del_args,
    .run = run_device_del,
};
MONITOR_COMMAND_REGISTER(device_del_command);

/* Jobs: cancelling one, and how long they may last. */

static MemoryDevices *need_memory_devices(Monitor *mon, GError **error)
{
    MemoryDevices *md = machine_memory_devices(monitor_machine(mon));

    if (!md) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_UNSUPPORTED,
                    "this machine was started without memory slots: -m SIZE,slots=N,maxmem=SIZE "
                    "makes them");
    }
    return md;
}

static bool run_cancel(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    MemoryDevices *md = need_memory_devices(mon, error);
    const char *id = arg_string(args, "id");
    bool added = monitor_await(mon, id, MONITOR_ANSWER_UNPLUG); /* whoever has asked for it */

    if (md && memory_devices_cancel_unplug(md, id, error)) {
        return true;
    }
    if (added) {
        monitor_await_no_more(mon, id, MONITOR_ANSWER_UNPLUG);
    }
    return false;
}

static const MonitorCommand cancel_command = {
    .name = "x-device-del-cancel",
    .qmp = "x-device-del-cancel",
    .hmp = "device_del_cancel",
    .help = "Waits no longer for the guest to give a device up.",
    .details = "The request is withdrawn if the guest has not seen it yet. ACPI cannot recall one "
               "that it has seen: should the guest eject the DIMM later, it is gone all the same.",
    .args = device_del_args,
    .run = run_cancel,
};
MONITOR_COMMAND_REGISTER(cancel_command);

static bool run_timeout(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    MemoryDevices *md = need_memory_devices(mon, error);
    uint64_t seconds = arg_u64(args, "seconds");

    if (!md) {
        return false;
    }
    if (seconds > G_MAXUINT / 1000) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "seconds=%" PRIu64 ": at most %u; 0 waits for ever", seconds,
                    G_MAXUINT / 1000);
        return false;
    }
    memory_devices_set_timeout(md, (unsigned)seconds);
    return true;
}

static const MonitorArg timeout_args[] = {
    { .name = "seconds", .type = MONITOR_ARG_INT },
    { 0 },
};

static const MonitorCommand timeout_command = {
    .name = "x-device-del-timeout",
    .qmp = "x-device-del-timeout",
    .hmp = "device_del_timeout",
    .help = "Sets how long a guest may take to give a device up: 60 seconds at first, 0 for ever.",
    .details = "A request that takes longer is reported as timed-out. No memory is taken away for "
               "it: the guest keeps the DIMM, and may still eject it.",
    .args = timeout_args,
    .run = run_timeout,
};
MONITOR_COMMAND_REGISTER(timeout_command);

/* info memory-devices */

/* QEMU's members, and, marked x-, what became of the guest's answers. */
static void add_dimm(const DimmInfo *info, void *opaque)
{
    g_autofree char *memdev = g_strdup_printf("/objects/%s", info->memdev);
    json_t *data = json_pack("{s:s,s:o,s:i,s:i,s:o,s:s,s:b,s:b,s:s}", "id", info->id, "addr",
                             json_u64(info->addr), "slot", (int)info->slot, "node",
                             (int)info->node, "size", json_u64(info->size), "memdev", memdev,
                             "hotplugged", info->hotplugged, "hotpluggable", info->hotpluggable,
                             "x-state",
                             info->guest_refused_plug ? "refused-by-guest"
                                                      : dimm_state_name(info->state));

    if (info->reason) {
        json_object_set_new(data, "x-reason", json_string(info->reason));
    }
    json_array_append_new(opaque, json_pack("{s:s,s:o}", "type", "dimm", "data", data));
}

static bool run_memory_devices(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    MemoryDevices *md = machine_memory_devices(monitor_machine(mon));

    *ret_result = json_array();
    if (md) {
        memory_devices_for_each(md, add_dimm, *ret_result);
    }
    return true;
}

static void print_dimm_state(const json_t *d, GString *out)
{
    const char *state = json_get_text(d, "x-state");
    const char *reason = json_get_text(d, "x-reason");

    if (strcmp(state, dimm_state_name(DIMM_PLUGGED)) != 0) {
        g_string_append_printf(out, "  state: %s%s%s\n", state, reason ? ": " : "",
                               reason ? reason : "");
    }
}

static void print_memory_devices(const json_t *result, GString *out)
{
    size_t i;
    json_t *entry;

    json_array_foreach((json_t *)result, i, entry) {
        const json_t *d = json_object_get(entry, "data");

        g_string_append_printf(out, "Memory device [dimm]: \"%s\"\n", json_get_text(d, "id"));
        g_string_append_printf(out, "  addr: 0x%" PRIx64 "\n  slot: %" PRIu64 "\n  node: %" PRIu64
                               "\n  size: %" PRIu64 "\n  memdev: %s\n", json_get_u64(d, "addr"),
                               json_get_u64(d, "slot"), json_get_u64(d, "node"),
                               json_get_u64(d, "size"), json_get_text(d, "memdev"));
        g_string_append_printf(out, "  hotplugged: %s\n  hotpluggable: %s\n",
                               json_get_flag(d, "hotplugged"), json_get_flag(d, "hotpluggable"));
        print_dimm_state(d, out);
    }
}

static const MonitorCommand memory_devices_command = {
    .name = "query-memory-devices",
    .qmp = "query-memory-devices",
    .hmp = "info memory-devices",
    .help = "Lists the DIMMs, and what the guest has answered to requests to give them up.",
    .details = "A line `state:` stands where there is something to say: requested, "
               "guest-offlining, refused, timed-out, cancelled (QMP: `x-state`, which is "
               "`plugged` otherwise), followed by the reason in words (`x-reason`); "
               "refused-by-guest means that the guest could not use the DIMM at all.",
    .run = run_memory_devices,
    .print = print_memory_devices,
};
MONITOR_COMMAND_REGISTER(memory_devices_command);

/* info memory_size_summary */

static bool run_summary(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    Machine *machine = monitor_machine(mon);
    MemoryDevices *md = machine_memory_devices(machine);
    MemoryDevicesSummary s = { .base_memory = machine_config(machine)->ram_size };

    if (md) {
        s = memory_devices_summary(md);
    }
    *ret_result = json_pack("{s:o,s:o}", "base-memory", json_u64(s.base_memory), "plugged-memory",
                            json_u64(s.plugged_memory));
    return true;
}

static void print_summary(const json_t *result, GString *out)
{
    g_string_append_printf(out, "base memory: %" PRIu64 "\nplugged memory: %" PRIu64 "\n",
                           json_get_u64(result, "base-memory"),
                           json_get_u64(result, "plugged-memory"));
}

static const MonitorCommand summary_command = {
    .name = "query-memory-size-summary",
    .qmp = "query-memory-size-summary",
    .hmp = "info memory_size_summary",
    .help = "Shows the bytes of boot RAM and of plugged DIMMs.",
    .run = run_summary,
    .print = print_summary,
};
MONITOR_COMMAND_REGISTER(summary_command);
