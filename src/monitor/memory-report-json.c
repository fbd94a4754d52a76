/* SPDX-License-Identifier: MIT */
/* A memory report as JSON. */
#include "memory-report-internal.h"

#include "command-util-internal.h"

#define NO_SLOTS "the kernel does not tell what it keeps for memory slots"
#define NO_MERGED "this kernel's smaps do not tell pages that KSM has merged (no line KSM)"
#define UNSETTLED "mappings were joined while they were read, each time: some are counted twice"
#define NO_FOREIGN "the mapping belongs to somebody else, and is counted there"

static json_t *amount(uint64_t bytes)
{
    return bytes == MEMORY_UNTOLD ? json_null() : json_u64(bytes);
}

static void set_amounts(json_t *o, const MemoryAmounts *a)
{
    json_object_set_new(o, "resident", amount(a->resident));
    json_object_set_new(o, "transparent-huge", amount(a->thp));
    json_object_set_new(o, "hugetlb", amount(a->hugetlb));
    json_object_set_new(o, "anonymous", amount(a->anonymous));
    json_object_set_new(o, "shared", amount(a->shared));
    json_object_set_new(o, "merged", amount(a->merged));
    json_object_set_new(o, "swapped", amount(a->swapped));
}

static json_t *amounts(const MemoryAmounts *a)
{
    json_t *o = json_object();

    set_amounts(o, a);
    return o;
}

static json_t *guest_json(const MemoryReportGuest *g)
{
    json_t *o = json_pack("{s:o,s:o,s:o}", "boot-memory", json_u64(g->boot), "plugged-memory",
                          json_u64(g->plugged), "memory", json_u64(g->boot + g->plugged));

    json_object_set_new(o, "unplug-pending", json_u64(g->unplug_pending));
    json_object_set_new(o, "refused-plug", json_u64(g->refused_plug));
    json_object_set_new(o, "maximum", json_u64(g->maximum));
    json_object_set_new(o, "slots", json_integer(g->slots));
    json_object_set_new(o, "slots-used", json_integer(g->slots_used));
    return o;
}

static const char *role_name(MemoryRole role)
{
    static const char *const names[] = {
        [MEMORY_ROLE_BOOT] = "boot",     [MEMORY_ROLE_DIMM] = "dimm",
        [MEMORY_ROLE_UNUSED] = "unused", [MEMORY_ROLE_BOARD] = "board",
        [MEMORY_ROLE_LEAVING] = "leaving",
    };

    return names[role];
}

static json_t *block_json(const MemoryReportBlock *b)
{
    const MemoryBlockUsage *u = b->usage;
    json_t *o = json_pack("{s:s,s:s,s:o,s:o}", "id", u->idstr, "role", role_name(b->role), "size",
                          json_u64(u->size), "page-size", json_u64(u->page_size));

    if (b->dimm) {
        json_object_set_new(o, "device", json_string(b->dimm));
        json_object_set_new(o, "unplug-pending", json_boolean(b->unplug_pending));
    }
    json_object_set_new(o, "share", json_boolean(u->flags & RAM_SHARED));
    json_object_set_new(o, "file", json_boolean(u->has_file));
    if (u->has_file) {
        json_object_set_new(o, "file-bytes", amount(u->file_bytes));
    }
    json_object_set_new(o, "prealloc", json_boolean(u->flags & RAM_PREALLOCATED));
    json_object_set_new(o, "reserve", json_boolean(!(u->flags & RAM_NORESERVE)));
    json_object_set_new(o, "readonly", json_boolean(u->flags & RAM_READONLY));
    json_object_set_new(o, "mergeable", json_boolean(u->mergeable));
    json_object_set_new(o, "huge-pages-advised", json_boolean(u->huge));
    set_amounts(o, &u->amounts);
    return o;
}

static json_t *blocks_json(const MemoryReport *report)
{
    json_t *list = json_array();

    for (guint i = 0; i < report->blocks->len; i++) {
        json_array_append_new(list, block_json(report->blocks->pdata[i]));
    }
    return list;
}

static json_t *parts_json(const MemoryUsage *usage)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < MEMORY_PARTS; i++) {
        json_t *o = json_pack("{s:s}", "part", memory_part_name(i));

        set_amounts(o, &usage->parts[i]);
        json_array_append_new(list, o);
    }
    return list;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
    return a == MEMORY_UNTOLD || b == MEMORY_UNTOLD ? MEMORY_UNTOLD : a + b;
}

static json_t *process_json(const MemoryUsage *u)
{
    json_t *o = json_pack("{s:o,s:o}", "sum", amount(sum(u->guest.resident, u->vmm.resident)),
                          "resident", amount(sum(u->rss, u->hugetlb)));

    json_object_set_new(o, "vm-rss", amount(u->rss));
    json_object_set_new(o, "rss-anon", amount(u->rss_anon));
    json_object_set_new(o, "rss-file", amount(u->rss_file));
    json_object_set_new(o, "rss-shmem", amount(u->rss_shmem));
    json_object_set_new(o, "hugetlb", amount(u->hugetlb));
    json_object_set_new(o, "swap", amount(u->swap));
    json_object_set_new(o, "page-tables", amount(u->page_tables));
    json_object_set_new(o, "merged", amount(u->merged));
    json_object_set_new(o, "mappings", json_integer(u->mappings));
    return o;
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *kvm_json(const MemoryReportKvm *k)
{
    json_t *o = json_pack("{s:o}", "mapped",
                          amount(sum(sum(k->mapped_4k, k->mapped_2m), k->mapped_1g)));

    json_object_set_new(o, "mapped-4k", amount(k->mapped_4k));
    json_object_set_new(o, "mapped-2m", amount(k->mapped_2m));
    json_object_set_new(o, "mapped-1g", amount(k->mapped_1g));
    json_object_set_new(o, "source", text_or_null(k->source));
    json_object_set_new(o, "group", text_or_null(k->group));
    json_object_set_new(o, "group-second-level", amount(k->group_second_level));
    json_object_set_new(o, "group-page-tables", amount(k->group_page_tables));
    json_object_set_new(o, "group-kernel", amount(k->group_kernel));
    json_object_set_new(o, "host-second-level", amount(k->host_second_level));
    json_object_set_new(o, "slots", json_null());
    return o;
}

static void set_reason(json_t *o, const char *what, const char *why)
{
    if (why) {
        json_object_set_new(o, what, json_string(why));
    }
}

static json_t *reasons_json(const MemoryReport *report)
{
    const MemoryUsage *u = report->usage;
    const MemoryReportKvm *k = &report->kvm;
    json_t *o = json_object();

    set_reason(o, "mappings", u->unsettled ? UNSETTLED : u->no_mappings);
    for (guint i = 0; i < u->blocks->len; i++) {
        const MemoryBlockUsage *b = u->blocks->pdata[i];

        set_reason(o, b->idstr, b->foreign ? NO_FOREIGN : NULL);
    }
    if (!u->no_mappings && sum(u->guest.merged, u->vmm.merged) == MEMORY_UNTOLD) {
        set_reason(o, "merged", NO_MERGED);
    }
    set_reason(o, "process", u->no_counts);
    set_reason(o, "process.merged", u->no_merged);
    set_reason(o, "kvm.mapped", k->no_mapped);
    set_reason(o, "kvm.group", k->no_group);
    if (k->group && sum(sum(k->group_second_level, k->group_page_tables), k->group_kernel) ==
                        MEMORY_UNTOLD) {
        set_reason(o, "kvm.group", "its memory.stat has not all of sec_pagetables, pagetables, "
                                   "kernel");
    }
    set_reason(o, "kvm.host-second-level", k->no_host);
    set_reason(o, "kvm.slots", NO_SLOTS);
    return o;
}

json_t *memory_report_json(const MemoryReport *report)
{
    const MemoryUsage *u = report->usage;

    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "guest", guest_json(&report->guest),
                     "blocks", blocks_json(report), "leaving", amounts(&u->leaving), "guest-total",
                     amounts(&u->guest), "vmm", parts_json(u), "vmm-total", amounts(&u->vmm),
                     "process", process_json(u), "kvm", kvm_json(&report->kvm), "unknown",
                     reasons_json(report));
}
