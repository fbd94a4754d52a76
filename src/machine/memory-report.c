/* SPDX-License-Identifier: MIT */
/* Memory report: what a machine's memory is, and what all of it takes of the host. */
#include "tessera/machine/memory-report.h"

#include <string.h>
#include "machine-internal.h"
#include "tessera/accel/kvm/kvm-stats.h"
#include "tessera/memory/memory-backend.h"
#include "tessera/util/error.h"
#include "tessera/util/proc-fields.h"
#include "tessera/util/size.h"

/* The guest's side. */

/* After a refusal or a time-out nothing is pending: the guest keeps the DIMM until asked again. */
static bool unplug_pending(const DimmInfo *dimm)
{
    return dimm->state == DIMM_REQUESTED || dimm->state == DIMM_OFFLINING;
}

static void add_dimm(const DimmInfo *dimm, void *opaque)
{
    MemoryReportGuest *g = opaque;

    if (unplug_pending(dimm)) {
        g->unplug_pending += dimm->size;
    }
    if (dimm->guest_refused_plug) {
        g->refused_plug += dimm->size;
    }
}

static void ask_machine(Machine *machine, MemoryReportGuest *g)
{
    MemoryDevices *md = machine_memory_devices(machine);

    g->boot = machine_config(machine)->ram_size;
    g->maximum = g->boot;
    if (md) {
        MemoryDevicesSummary s = memory_devices_summary(md);

        g->plugged = s.plugged_memory;
        g->maximum = s.maxmem;
        g->slots = s.slots;
        g->slots_used = s.slots_used;
        memory_devices_for_each(md, add_dimm, g);
    }
}

/* Blocks and who uses them. */

static void report_block_free(gpointer opaque)
{
    MemoryReportBlock *b = opaque;

    g_free(b->dimm);
    g_free(b);
}

/* Of two blocks of one name (one leaves, one came) the one that stays. */
static GHashTable *blocks_by_name(const MemoryReport *report)
{
    GHashTable *names = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < report->blocks->len; i++) {
        MemoryReportBlock *b = report->blocks->pdata[i];

        if (!b->usage->leaving) {
            g_hash_table_insert(names, b->usage->idstr, b);
        }
    }
    return names;
}

static void name_dimm(const DimmInfo *dimm, void *opaque)
{
    MemoryReportBlock *b = g_hash_table_lookup(opaque, dimm->memdev);

    if (b) {
        b->role = MEMORY_ROLE_DIMM;
        b->dimm = g_strdup(dimm->id);
        b->unplug_pending = unplug_pending(dimm);
    }
}

static void name_backend(UserObject *obj, void *opaque)
{
    MemoryReportBlock *b =
        memory_backend_from_object(obj) ? g_hash_table_lookup(opaque, obj->id) : NULL;

    if (b) {
        b->role = MEMORY_ROLE_UNUSED; /* until a user of it is found */
    }
}

static void list_blocks(Machine *machine, MemoryReport *report)
{
    MemoryDevices *md = machine_memory_devices(machine);
    g_autoptr(GHashTable) names = NULL;
    MemoryReportBlock *boot;

    for (guint i = 0; i < report->usage->blocks->len; i++) {
        MemoryReportBlock *b = g_new0(MemoryReportBlock, 1);

        b->usage = report->usage->blocks->pdata[i];
        b->role = b->usage->leaving ? MEMORY_ROLE_LEAVING : MEMORY_ROLE_BOARD;
        g_ptr_array_add(report->blocks, b);
    }
    names = blocks_by_name(report);
    object_store_for_each(machine_objects(machine), name_backend, names);
    boot = g_hash_table_lookup(names, ram_block_idstr(machine->ram));
    if (boot) {
        boot->role = MEMORY_ROLE_BOOT;
    }
    if (md) {
        memory_devices_for_each(md, name_dimm, names);
    }
}

/* The kernel's memory for the VM. */

static uint64_t mapped(const KvmStatSet *set, const char *name, uint64_t page_size)
{
    const KvmStat *stat = set ? kvm_stat_set_find(set, name) : NULL;

    return stat && stat->values[0] <= UINT64_MAX / page_size / 2 ? stat->values[0] * page_size
                                                                 : MEMORY_UNTOLD;
}

static void ask_kvm(Machine *machine, MemoryReportKvm *k, const char *root)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KvmStatSet) set = kvm_read_stats(machine_kvm(machine), root, &error);

    k->mapped_4k = mapped(set, "pages_4k", 4 * KIB);
    k->mapped_2m = mapped(set, "pages_2m", 2 * MIB);
    k->mapped_1g = mapped(set, "pages_1g", GIB);
    if (!set) {
        k->no_mapped = g_strdup(error->message);
        return;
    }
    k->source = g_strdup(kvm_stat_set_source(set));
    if (k->mapped_4k == MEMORY_UNTOLD || k->mapped_2m == MEMORY_UNTOLD ||
        k->mapped_1g == MEMORY_UNTOLD) {
        k->no_mapped = g_strdup_printf("%s: pages_4k, pages_2m and pages_1g are not all there",
                                       k->source);
    }
}

static uint64_t group_amount(const char *stat, const char *key)
{
    uint64_t bytes = MEMORY_UNTOLD;

    proc_field_number(stat, key, &bytes, NULL);
    return bytes;
}

/* Where systemd and others mount version 2: alone, or beside version 1. */
static char *group_stat(const char *root, const char *group, GError **error)
{
    static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
    char *text = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(mounts) && !text; i++) {
        g_autofree char *path = g_strconcat(mounts[i], strcmp(group, "/") == 0 ? "" : group,
                                            "/memory.stat", NULL);

        g_clear_error(error);
        text = proc_file_read(root, path, error);
    }
    return text;
}

static void ask_group(MemoryReportKvm *k, const char *root)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *groups = proc_file_read(root, "/proc/self/cgroup", &error);
    g_autofree char *group = groups ? proc_cgroup_path(groups) : NULL;
    g_autofree char *stat = group ? group_stat(root, group, &error) : NULL;

    k->group_second_level = k->group_page_tables = k->group_kernel = MEMORY_UNTOLD;
    if (!stat) {
        k->no_group = group ? g_strdup_printf("version 2 counts no memory of control group '%s' "
                                              "(its controller 'memory' must be on): %s", group,
                                              error->message)
                            : g_strdup(error ? error->message
                                             : "this process is in no control group of version 2");
        return;
    }
    k->group_second_level = group_amount(stat, "sec_pagetables");
    k->group_page_tables = group_amount(stat, "pagetables");
    k->group_kernel = group_amount(stat, "kernel");
    k->group = g_steal_pointer(&group);
}

static void ask_host(MemoryReportKvm *k, const char *root)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = proc_file_read(root, "/proc/meminfo", &error);

    k->host_second_level = MEMORY_UNTOLD;
    if (!text) {
        k->no_host = g_strdup(error->message);
    } else if (!proc_field_kib(text, "SecPageTables", &k->host_second_level, &error)) {
        k->no_host = g_strdup_printf("/proc/meminfo %s", error->message);
    }
}

MemoryReport *machine_memory_report(Machine *machine, const char *root, bool mappings)
{
    MemoryReport *report = g_new0(MemoryReport, 1);

    report->blocks = g_ptr_array_new_with_free_func(report_block_free);
    ask_machine(machine, &report->guest);
    ask_kvm(machine, &report->kvm, root);
    ask_group(&report->kvm, root);
    ask_host(&report->kvm, root);
    report->usage = memory_usage_read(machine_memory_system(machine), root, mappings);
    list_blocks(machine, report);
    return report;
}

void memory_report_free(MemoryReport *report)
{
    if (report) {
        g_ptr_array_unref(report->blocks);
        memory_usage_free(report->usage);
        g_free(report->kvm.source);
        g_free(report->kvm.no_mapped);
        g_free(report->kvm.group);
        g_free(report->kvm.no_group);
        g_free(report->kvm.no_host);
        g_free(report);
    }
}
