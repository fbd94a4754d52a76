/* SPDX-License-Identifier: MIT */
/* A memory report as JSON for programs and as a table for people. */
#ifndef TESSERA_MONITOR_MEMORY_REPORT_INTERNAL_H
#define TESSERA_MONITOR_MEMORY_REPORT_INTERNAL_H

#include <jansson.h>
#include "tessera/machine/memory-report.h"

/*
 * { "guest":   { "boot-memory", "plugged-memory", "memory", "unplug-pending", "refused-plug",
 *                "maximum", "slots", "slots-used" },
 *   "blocks":  [ { "id", "role", "device", "size", "page-size", "share", "file", "file-bytes",
 *                  "prealloc", "reserve", "readonly", "mergeable", "huge-pages-advised",
 *                  "unplug-pending", AMOUNTS } ],
 *   "leaving", "guest-total", "vmm-total": { AMOUNTS },
 *   "vmm":     [ { "part", AMOUNTS } ],
 *   "process": { "sum", "resident", "vm-rss", "rss-anon", "rss-file", "rss-shmem", "hugetlb",
 *                "swap", "page-tables", "merged", "mappings" },
 *   "kvm":     { "mapped", "mapped-4k", "mapped-2m", "mapped-1g", "source", "group",
 *                "group-second-level", "group-page-tables", "group-kernel", "host-second-level",
 *                "slots" },
 *   "unknown": { WHAT: why } }
 *
 * AMOUNTS: "resident", "transparent-huge", "hugetlb", "anonymous", "shared", "merged", "swapped".
 * All amounts are bytes, or null where "unknown" says why.
 */

/** memory_report_json() - new reference */
json_t *memory_report_json(const MemoryReport *report);

/** memory_report_print() - what memory_report_json() returned, as a table in KiB */
void memory_report_print(const json_t *result, GString *out);

#endif
