/* SPDX-License-Identifier: MIT */
/* Commands that show what the kernel counts of the VM and its vCPUs: info stats, query-stats. */
#include "command-util-internal.h"

#include <inttypes.h>
#include <string.h>
#include "tessera/accel/kvm/kvm-stats.h"
#include "tessera/util/error.h"

/* Names of types and units as QMP has them; NULL where QMP has none. */

static const char *type_name(KvmStatType type)
{
    static const char *const names[] = {
        [KVM_STAT_CUMULATIVE] = "cumulative",
        [KVM_STAT_INSTANT] = "instant",
        [KVM_STAT_PEAK] = "peak",
        [KVM_STAT_LINEAR_HISTOGRAM] = "linear-histogram",
        [KVM_STAT_LOG_HISTOGRAM] = "log2-histogram",
        [KVM_STAT_UNKNOWN_TYPE] = NULL,
    };

    return names[type];
}

static const char *unit_name(KvmStatUnit unit)
{
    static const char *const names[] = {
        [KVM_STAT_BYTES] = "bytes",
        [KVM_STAT_SECONDS] = "seconds",
        [KVM_STAT_CYCLES] = "cycles",
        [KVM_STAT_BOOLEAN] = "boolean",
        [KVM_STAT_UNKNOWN_UNIT] = NULL,
    };

    return names[unit];
}

/* A histogram is a list, a boolean is one, anything else a number. */
static json_t *stat_value(const KvmStat *stat)
{
    json_t *list;

    if (stat->type != KVM_STAT_LINEAR_HISTOGRAM && stat->type != KVM_STAT_LOG_HISTOGRAM) {
        return stat->unit == KVM_STAT_BOOLEAN ? json_boolean(stat->values[0])
                                              : json_u64(stat->values[0]);
    }
    list = json_array();
    for (unsigned i = 0; i < stat->count; i++) {
        json_array_append_new(list, json_u64(stat->values[i]));
    }
    return list;
}

static json_t *set_values(const KvmStatSet *set)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < kvm_stat_set_count(set); i++) {
        const KvmStat *stat = kvm_stat_set_at(set, i);

        json_array_append_new(list, json_pack("{s:s,s:o}", "name", stat->name, "value",
                                              stat_value(stat)));
    }
    return list;
}

static bool add_vm(Monitor *mon, json_t *list, GError **error)
{
    g_autoptr(KvmStatSet) set = kvm_read_stats(machine_kvm(monitor_machine(mon)), NULL, error);

    if (set) {
        json_array_append_new(list, json_pack("{s:s,s:o}", "provider", "kvm", "stats",
                                              set_values(set)));
    }
    return set != NULL;
}

static bool add_vcpus(Monitor *mon, json_t *list, GError **error)
{
    VcpuSet *vcpus = machine_vcpus(monitor_machine(mon));

    for (unsigned i = 0; i < vcpu_set_count(vcpus); i++) {
        g_autoptr(KvmStatSet) set = vcpu_set_read_stats(vcpus, i, error);
        g_autofree char *path = g_strdup_printf("/machine/cpu[%u]", i);

        if (!set) {
            return false;
        }
        json_array_append_new(list, json_pack("{s:s,s:s,s:o}", "provider", "kvm", "qom-path", path,
                                              "stats", set_values(set)));
    }
    return true;
}

static bool run_stats(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    const char *target = arg_string(args, "target");
    json_t *list = json_array();
    bool done;

    if (strcmp(target, "vm") == 0) {
        done = add_vm(mon, list, error);
    } else if (strcmp(target, "vcpu") == 0) {
        done = add_vcpus(mon, list, error);
    } else {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "target '%s': there are statistics of 'vm' and 'vcpu'", target);
        done = false;
    }
    if (done) {
        *ret_result = list;
    } else {
        json_decref(list);
    }
    return done;
}

static void print_value(const json_t *value, GString *out)
{
    size_t i;
    json_t *v;

    if (json_is_boolean(value)) {
        g_string_append(out, json_is_true(value) ? " yes" : " no");
    } else if (json_is_integer(value)) {
        g_string_append_printf(out, " %" PRIu64, (uint64_t)json_integer_value(value));
    }
    json_array_foreach((json_t *)value, i, v) {
        g_string_append_printf(out, " [%zu]=%" PRIu64, i, (uint64_t)json_integer_value(v));
    }
}

static void print_stats(const json_t *result, GString *out)
{
    size_t i, k;
    json_t *entry, *stat;

    json_array_foreach((json_t *)result, i, entry) {
        const char *path = json_get_text(entry, "qom-path");

        g_string_append_printf(out, "provider: kvm%s%s\n", path ? ", " : "", path ? path : "");
        json_array_foreach(json_object_get(entry, "stats"), k, stat) {
            g_string_append_printf(out, "    %s:", json_get_text(stat, "name"));
            print_value(json_object_get(stat, "value"), out);
            g_string_append_c(out, '\n');
        }
    }
}

static void complete_target(Machine *machine, GPtrArray *words)
{
    g_ptr_array_add(words, g_strdup("vm"));
    g_ptr_array_add(words, g_strdup("vcpu"));
}

static const MonitorArg stats_args[] = {
    { .name = "target", .type = MONITOR_ARG_STRING, .complete = complete_target },
    { 0 },
};

static const MonitorCommand stats_command = {
    .name = "query-stats",
    .qmp = "query-stats",
    .hmp = "info stats",
    .help = "Shows what the kernel counts of the VM (`info stats vm`) or of each vCPU (`vcpu`).",
    .details = "Whatever statistics this host's KVM has (KVM_GET_STATS_FD; of the VM also "
               "debugfs); `query-stats-schemas` tells what each means. The first question about "
               "vCPUs holds them for a moment. Not as in QEMU: `providers` and `vcpus`, which "
               "choose some, are not taken.",
    .args = stats_args,
    .run = run_stats,
    .print = print_stats,
};
MONITOR_COMMAND_REGISTER(stats_command);

/* query-stats-schemas */

static json_t *stat_schema(const KvmStat *stat)
{
    json_t *o = json_pack("{s:s}", "name", stat->name);

    if (type_name(stat->type)) {
        json_object_set_new(o, "type", json_string(type_name(stat->type)));
    }
    if (unit_name(stat->unit)) {
        json_object_set_new(o, "unit", json_string(unit_name(stat->unit)));
    }
    if (stat->exponent != 0 && stat->base != 0) {
        json_object_set_new(o, "base", json_integer(stat->base));
    }
    json_object_set_new(o, "exponent", json_integer(stat->exponent));
    if (stat->type == KVM_STAT_LINEAR_HISTOGRAM) {
        json_object_set_new(o, "bucket-size", json_integer(stat->bucket_size));
    }
    return o;
}

static void add_schema(json_t *list, const char *target, const KvmStatSet *set)
{
    json_t *stats = json_array();

    for (unsigned i = 0; i < kvm_stat_set_count(set); i++) {
        json_array_append_new(stats, stat_schema(kvm_stat_set_at(set, i)));
    }
    json_array_append_new(list, json_pack("{s:s,s:s,s:o}", "provider", "kvm", "target", target,
                                          "stats", stats));
}

static bool run_schemas(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    Machine *machine = monitor_machine(mon);
    g_autoptr(KvmStatSet) vm = kvm_read_stats(machine_kvm(machine), NULL, error);
    g_autoptr(KvmStatSet) vcpu = vm ? vcpu_set_read_stats(machine_vcpus(machine), 0, NULL) : NULL;

    if (!vm) {
        return false;
    }
    *ret_result = json_array();
    add_schema(*ret_result, "vm", vm);
    if (vcpu) {
        add_schema(*ret_result, "vcpu", vcpu);
    }
    return true;
}

static const MonitorCommand schemas_command = {
    .name = "query-stats-schemas",
    .qmp = "query-stats-schemas",
    .help = "Lists the statistics that this host's KVM has, with type and unit of each.",
    .details = "The value's unit is `unit` times `base` to the power of `exponent`. A member is "
               "left out where the kernel does not say it (debugfs does not).",
    .run = run_schemas,
};
MONITOR_COMMAND_REGISTER(schemas_command);
