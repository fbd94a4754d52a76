/* SPDX-License-Identifier: MIT */
/* A memory report as a table for people. */
#include "memory-report-internal.h"

#include <inttypes.h>
#include <string.h>
#include "command-util-internal.h"
#include "tessera/util/size.h"

#define NAME_WIDTH 28
#define COLUMNS 6

/* What stands in a cell: sums of members, in KiB. */
static const struct {
    const char *head;
    const char *members[2];
} columns[COLUMNS] = {
    { "size", { "size", NULL } },
    { "resident", { "resident", NULL } },
    { "huge pages", { "transparent-huge", "hugetlb" } },
    { "swapped", { "swapped", NULL } },
    { "shared", { "shared", NULL } },
    { "merged", { "merged", NULL } },
};

/* "1.5 GiB" of a member; g_free() */
static char *size_of(const json_t *o, const char *name)
{
    return size_format(json_get_u64(o, name));
}

static void print_cell(const json_t *row, size_t column, GString *out)
{
    uint64_t kib = 0;

    for (size_t i = 0; i < 2 && columns[column].members[i]; i++) {
        const json_t *value = json_object_get(row, columns[column].members[i]);

        if (!value || json_is_null(value)) {
            g_string_append_printf(out, " %11s", value ? "?" : "");
            return;
        }
        kib += (uint64_t)json_integer_value(value) / KIB;
    }
    g_string_append_printf(out, " %11" PRIu64, kib);
}

static void print_row(const char *name, const json_t *row, const char *note, GString *out)
{
    g_string_append_printf(out, "%-*s", NAME_WIDTH, name);
    for (size_t i = 0; i < COLUMNS; i++) {
        print_cell(row, i, out);
    }
    g_string_append_printf(out, "%s%s\n", *note ? "  " : "", note);
}

static void print_guest(const json_t *g, GString *out)
{
    g_autofree char *boot = size_of(g, "boot-memory");
    g_autofree char *plugged = size_of(g, "plugged-memory");
    g_autofree char *all = size_of(g, "memory");
    g_autofree char *pending = size_of(g, "unplug-pending");
    g_autofree char *maximum = size_of(g, "maximum");

    g_string_append_printf(out, "The guest has %s: %s boot RAM + %s in %" PRIu64 " of %" PRIu64
                           " slots; maximum %s; unplug pending: %s", all, boot, plugged,
                           json_get_u64(g, "slots-used"), json_get_u64(g, "slots"), maximum,
                           pending);
    if (json_get_u64(g, "refused-plug")) {
        g_autofree char *refused = size_of(g, "refused-plug");

        g_string_append_printf(out, "; refused by the guest: %s", refused);
    }
    g_string_append(out, "\n\n");
}

static void add_note(GString *note, const char *text)
{
    g_string_append_printf(note, "%s%s", note->len ? ", " : "", text);
}

static bool is_on(const json_t *o, const char *name)
{
    return json_is_true(json_object_get(o, name));
}

/* Where the memory comes from, and what is unusual about it. */
static char *block_note(const json_t *b)
{
    GString *note = g_string_new(NULL);
    const json_t *file_bytes = json_object_get(b, "file-bytes");

    add_note(note, is_on(b, "file") ? is_on(b, "share") ? "shared file" : "private copy of a file"
                                    : "anonymous");
    if (is_on(b, "share") && json_is_integer(file_bytes)) {
        g_string_append_printf(note, " (holds %" PRIu64 ")",
                               (uint64_t)json_integer_value(file_bytes) / KIB);
    }
    if (json_get_u64(b, "page-size") > 4096) {
        g_autofree char *page = size_of(b, "page-size");

        g_string_append_printf(note, ", pages of %s", page);
    }
    if (is_on(b, "prealloc")) {
        add_note(note, "preallocated");
    }
    if (!is_on(b, "reserve")) {
        add_note(note, "not reserved");
    }
    if (is_on(b, "readonly")) {
        add_note(note, "read-only");
    }
    if (is_on(b, "unplug-pending")) {
        add_note(note, "UNPLUG PENDING");
    }
    return g_string_free(note, FALSE);
}

static char *block_name(const json_t *b)
{
    static const struct {
        const char *role;
        const char *text;
    } roles[] = {
        { "boot", "boot RAM" }, { "unused", "not used" }, { "board", "board" },
        { "leaving", "leaving" },
    };
    const char *id = json_get_text(b, "id");
    const char *role = json_get_text(b, "role");

    for (size_t i = 0; i < G_N_ELEMENTS(roles); i++) {
        if (strcmp(role, roles[i].role) == 0) {
            return g_strdup_printf("  %s (%s)", id, roles[i].text);
        }
    }
    return g_strdup_printf("  %s (DIMM %s)", id, json_get_text(b, "device"));
}

static void print_blocks(const json_t *result, GString *out)
{
    const json_t *leaving = json_object_get(result, "leaving");
    json_t *total = json_deep_copy(json_object_get(result, "guest-total"));
    uint64_t size = 0;
    size_t i;
    json_t *b;

    g_string_append(out, "guest memory\n");
    json_array_foreach(json_object_get(result, "blocks"), i, b) {
        g_autofree char *name = block_name(b);
        g_autofree char *note = block_note(b);

        print_row(name, b, note, out);
        size += json_get_u64(b, "size");
    }
    if (json_get_u64(leaving, "resident") || json_get_u64(leaving, "swapped")) {
        print_row("  (being unmapped)", leaving, "", out);
    }
    json_object_set_new(total, "size", json_u64(size));
    print_row("  all guest memory", total, "", out);
    json_decref(total);
}

static void print_vmm(const json_t *result, GString *out)
{
    static const struct {
        const char *part;
        const char *text;
    } parts[] = {
        { "code", "  code: program, libraries" }, { "data", "  data of these" },
        { "heap", "  heap" }, { "stacks", "  stacks" }, { "anonymous", "  other anonymous" },
        { "vcpu-run", "  vCPU run pages" }, { "other", "  other" },
    };
    size_t i;
    json_t *part;

    g_string_append(out, "tessera itself\n");
    json_array_foreach(json_object_get(result, "vmm"), i, part) {
        for (size_t k = 0; k < G_N_ELEMENTS(parts); k++) {
            if (strcmp(json_get_text(part, "part"), parts[k].part) == 0) {
                print_row(parts[k].text, part, "", out);
            }
        }
    }
    print_row("  all of tessera itself", json_object_get(result, "vmm-total"), "", out);
}

/* A member in KiB, "?" if it is not known; g_free() */
static char *kib(const json_t *o, const char *name)
{
    return json_is_integer(json_object_get(o, name))
               ? g_strdup_printf("%" PRIu64, json_get_u64(o, name) / KIB)
               : g_strdup("?");
}

static void print_process(const json_t *p, GString *out)
{
    g_autofree char *sum = kib(p, "sum");
    g_autofree char *resident = kib(p, "resident");
    g_autofree char *rss = kib(p, "vm-rss");
    g_autofree char *anon = kib(p, "rss-anon");
    g_autofree char *file = kib(p, "rss-file");
    g_autofree char *shmem = kib(p, "rss-shmem");
    g_autofree char *hugetlb = kib(p, "hugetlb");
    g_autofree char *tables = kib(p, "page-tables");
    int64_t difference = (int64_t)json_get_u64(p, "resident") - (int64_t)json_get_u64(p, "sum");

    g_string_append_printf(out, "%-*s %11s %11s\n", NAME_WIDTH, "process: both", "", sum);
    g_string_append_printf(out, "%-*s %11s %11s  ", NAME_WIDTH, "  as the kernel counts it", "",
                           resident);
    g_string_append_printf(out, "VmRSS %s (anonymous %s, files %s, shared memory %s) + "
                           "HugetlbPages %s", rss, anon, file, shmem, hugetlb);
    if (json_is_integer(json_object_get(p, "resident")) &&
        json_is_integer(json_object_get(p, "sum"))) {
        g_string_append_printf(out, difference ? "; differs by %+" PRId64 : "; equal",
                               difference / (int64_t)KIB);
    }
    g_string_append_printf(out, "\n\nkernel memory, not in the above\n%-*s %11s %11s\n", NAME_WIDTH,
                           "  page tables of tessera", "", tables);
}

static void print_kvm(const json_t *k, GString *out)
{
    g_autofree char *mapped = kib(k, "mapped");
    g_autofree char *small = kib(k, "mapped-4k");
    g_autofree char *large = kib(k, "mapped-2m");
    g_autofree char *largest = kib(k, "mapped-1g");
    g_autofree char *second = kib(k, "group-second-level");
    g_autofree char *kernel = kib(k, "group-kernel");
    g_autofree char *host = kib(k, "host-second-level");
    const char *group = json_get_text(k, "group");

    g_string_append_printf(out, "%-*s %11s %11s  of all VMs of this host\n", NAME_WIDTH,
                           "  second-level page tables", "", host);
    g_string_append_printf(out, "%-*s %11s %11s  of control group %s; all its kernel memory: %s\n",
                           NAME_WIDTH, "", "", second, group ? group : "?", kernel);
    g_string_append_printf(out, "%-*s %11s %11s\n", NAME_WIDTH, "  memory slots", "", "?");
    g_string_append_printf(out, "KVM has mapped %s of guest memory: by 4 KiB entries %s, 2 MiB %s, "
                           "1 GiB %s\n", mapped, small, large, largest);
}

static void print_reasons(const json_t *reasons, GString *out)
{
    const char *what;
    json_t *why;

    json_object_foreach((json_t *)reasons, what, why) {
        g_string_append_printf(out, "? %s: %s\n", what, json_string_value(why));
    }
}

void memory_report_print(const json_t *result, GString *out)
{
    print_guest(json_object_get(result, "guest"), out);
    g_string_append_printf(out, "%-*s", NAME_WIDTH, "KiB");
    for (size_t i = 0; i < COLUMNS; i++) {
        g_string_append_printf(out, " %11s", columns[i].head);
    }
    g_string_append_c(out, '\n');
    print_blocks(result, out);
    print_vmm(result, out);
    print_process(json_object_get(result, "process"), out);
    print_kvm(json_object_get(result, "kvm"), out);
    print_reasons(json_object_get(result, "unknown"), out);
}
