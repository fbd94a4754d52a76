/* SPDX-License-Identifier: MIT */
/* x-query-translate's answer for people: a paragraph for each step of the way. */
#include "translate-internal.h"

#include <inttypes.h>
#include <string.h>
#include "command-util-internal.h"
#include "tessera/util/size.h"

static bool is_true(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

static void append_size(GString *out, uint64_t size)
{
    g_autofree char *text = size_format(size);

    g_string_append(out, text);
}

/* --- Page tables --- */

static void print_entry(const json_t *e, GString *out)
{
    json_t *flags = json_object_get(e, "flags"), *flag;
    size_t i;

    g_string_append_printf(out, "  %-5s %3d at 0x%016" PRIx64 ": ", json_get_text(e, "name"),
                           (int)json_get_u64(e, "index"), json_get_u64(e, "gpa"));
    if (!json_object_get(e, "value")) {
        g_string_append(out, "no memory there\n");
        return;
    }
    g_string_append_printf(out, "0x%016" PRIx64, json_get_u64(e, "value"));
    if (json_object_get(e, "target")) {
        g_string_append_printf(out, " -> %s 0x%" PRIx64 " ", is_true(e, "leaf") ? "page" : "table",
                               json_get_u64(e, "target"));
    }
    json_array_foreach(flags, i, flag) {
        g_string_append_printf(out, " %s", json_string_value(flag));
    }
    if (json_object_get(e, "protection-key")) {
        g_string_append_printf(out, " key=%d", (int)json_get_u64(e, "protection-key"));
    }
    if (json_get_u64(e, "reserved")) {
        g_string_append_printf(out, " RESERVED 0x%" PRIx64, json_get_u64(e, "reserved"));
    }
    g_string_append(out, json_array_size(flags) ? "\n" : " not present\n");
}

static void print_access(const json_t *paging, GString *out)
{
    uint64_t size = json_get_u64(paging, "page-size");

    if (size) {
        g_string_append(out, "  page of ");
        append_size(out, size);
        g_string_append_printf(out, ": %s, %s, %s\n",
                               is_true(paging, "writable") ? "writable" : "read-only",
                               is_true(paging, "user") ? "user" : "kernel only",
                               is_true(paging, "executable") ? "executable" : "not executable");
    }
}

static void print_paging(const json_t *result, const json_t *paging, GString *out)
{
    json_t *entries = json_object_get(paging, "entries"), *entry;
    size_t i;

    g_string_append_printf(out, "GVA 0x%016" PRIx64 ", vCPU %d\n"
                           "paging %s: CR0=0x%" PRIx64 " CR3=0x%" PRIx64 " CR4=0x%" PRIx64
                           " EFER=0x%" PRIx64 "\n", json_get_u64(result, "address"),
                           (int)json_get_u64(result, "cpu"), json_get_text(paging, "mode"),
                           json_get_u64(paging, "cr0"), json_get_u64(paging, "cr3"),
                           json_get_u64(paging, "cr4"), json_get_u64(paging, "efer"));
    json_array_foreach(entries, i, entry) {
        print_entry(entry, out);
    }
    print_access(paging, out);
}

/* --- Tree, view and dispatch --- */

static void print_contender(const json_t *e, GString *out)
{
    const char *result = json_get_text(e, "result"), *by = json_get_text(e, "beaten-by");
    const char *would_show = json_get_text(e, "would-show");

    if (strcmp(result, "entered") == 0) {
        g_string_append(out, "entered");
    } else if (strcmp(result, "won") == 0) {
        g_string_append_printf(out, "answers, at offset 0x%" PRIx64, json_get_u64(e, "offset"));
    } else if (strcmp(result, "open") == 0) {
        g_string_append(out, "shows nothing here");
    } else if (strcmp(result, "disabled") == 0) {
        g_string_append(out, "disabled");
    } else if (strcmp(result, "lower-priority") == 0) {
        g_string_append_printf(out, "lower priority than %s", by);
    } else if (strcmp(result, "older") == 0) {
        g_string_append_printf(out, "added before %s, of the same priority", by);
    } else {
        g_string_append_printf(out, "its own content lies below %s", by);
    }
    if (json_object_get(e, "would-show")) {
        g_string_append_printf(out, " (%s%s)", would_show ? "would show " : "nothing there anyway",
                               would_show ? would_show : "");
    }
}

static void print_contest_entry(const json_t *e, GString *out)
{
    const char *target = json_get_text(e, "target");

    g_string_append_printf(out, "  %*s%s (%s", 2 * (int)json_get_u64(e, "depth"), "",
                           json_get_text(e, "region"), json_get_text(e, "kind"));
    if (is_true(e, "behind-alias")) {
        g_string_append(out, ", the alias's target");
    } else if (json_get_u64(e, "depth") > 0) {
        g_string_append_printf(out, ", priority %" JSON_INTEGER_FORMAT,
                               json_integer_value(json_object_get(e, "priority")));
    }
    if (json_object_get(e, "start")) {
        g_string_append_printf(out, ", 0x%" PRIx64 "-0x%" PRIx64, json_get_u64(e, "start"),
                               json_get_u64(e, "last"));
    }
    if (target) {
        g_string_append_printf(out, ", to %s+0x%" PRIx64, target,
                               json_get_u64(e, "target-offset"));
    }
    g_string_append(out, "): ");
    print_contender(e, out);
    g_string_append_c(out, '\n');
}

static void append_tile(const json_t *tile, GString *out)
{
    g_string_append_printf(out, "0x%" PRIx64 "-0x%" PRIx64 " %s+0x%" PRIx64 " (%s, owner: %s)",
                           json_get_u64(tile, "start"), json_get_u64(tile, "last"),
                           json_get_text(tile, "region"), json_get_u64(tile, "offset-in-region"),
                           json_get_text(tile, "kind"), json_get_text(tile, "owner"));
    g_string_append(out, is_true(tile, "nonvolatile") ? " [nonvolatile]" : "");
    g_string_append(out, is_true(tile, "dirty-log") ? " [dirty log]" : "");
}

static void print_neighbour(const json_t *neighbours, const char *name, GString *out)
{
    const json_t *tile = json_object_get(neighbours, name);

    g_string_append_printf(out, "  nearest %s: ", name);
    if (tile) {
        append_tile(tile, out);
    } else {
        g_string_append(out, "none");
    }
    g_string_append_c(out, '\n');
}

static void print_dispatch(const json_t *dispatch, GString *out)
{
    json_t *steps = json_object_get(dispatch, "steps"), *step;
    const json_t *subpage = json_object_get(dispatch, "subpage");
    size_t i;

    g_string_append(out, "dispatch: root");
    json_array_foreach(steps, i, step) {
        g_string_append_printf(out, " -> skip %d: node [%d] entry %d",
                               (int)json_get_u64(step, "skip"), (int)json_get_u64(step, "node"),
                               (int)json_get_u64(step, "index"));
    }
    if (subpage) {
        g_string_append_printf(out, " -> subpage {%d} part %d of %d, from 0x%x",
                               (int)json_get_u64(subpage, "number"),
                               (int)json_get_u64(subpage, "part") + 1,
                               (int)json_get_u64(subpage, "parts"),
                               (unsigned)json_get_u64(subpage, "start"));
    }
    if (json_get_u64(dispatch, "section") == 0) {
        g_string_append(out, " -> nothing assigned\n");
    } else {
        g_string_append_printf(out, " -> section #%d%s\n", (int)json_get_u64(dispatch, "section"),
                               is_true(dispatch, "outside-section")
                                   ? ", which ends before it or begins behind: nothing assigned"
                                   : "");
    }
}

static void print_memory(const json_t *memory, uint64_t addr, GString *out)
{
    json_t *contest = json_object_get(memory, "contest"), *entry;
    const json_t *tile = json_object_get(memory, "tile");
    size_t i;

    g_string_append_printf(out, "%s 0x%016" PRIx64 ", from the root of address space %s down:\n",
                           strcmp(json_get_text(memory, "address-space"), "I/O") == 0 ? "port"
                                                                                      : "GPA",
                           addr, json_get_text(memory, "address-space"));
    json_array_foreach(contest, i, entry) {
        print_contest_entry(entry, out);
    }
    if (tile) {
        g_string_append_printf(out, "tile of view %" PRIu64 ": ", json_get_u64(memory, "view"));
        append_tile(tile, out);
        g_string_append_c(out, '\n');
    } else {
        const json_t *neighbours = json_object_get(memory, "neighbours");

        g_string_append_printf(out, "no tile of view %" PRIu64 " holds it\n",
                               json_get_u64(memory, "view"));
        print_neighbour(neighbours, "below", out);
        print_neighbour(neighbours, "above", out);
    }
    print_dispatch(json_object_get(memory, "dispatch"), out);
}

/* --- Host memory --- */

static void print_slot(const json_t *slot, GString *out)
{
    if (!slot) {
        g_string_append(out, "KVM slot: none, so that each access leaves the guest\n");
        return;
    }
    g_string_append_printf(out, "KVM slot %d: GPA 0x%" PRIx64 "-0x%" PRIx64 " at HVA 0x%" PRIx64
                           "%s%s, allows pages of ", (int)json_get_u64(slot, "id"),
                           json_get_u64(slot, "gpa"),
                           json_get_u64(slot, "gpa") + json_get_u64(slot, "size") - 1,
                           json_get_u64(slot, "hva"),
                           is_true(slot, "readonly") ? ", read-only" : "",
                           is_true(slot, "dirty-log") ? ", dirty log" : "");
    append_size(out, json_get_u64(slot, "largest-page"));
    g_string_append_c(out, '\n');
}

static void print_ram(const json_t *ram, GString *out)
{
    g_string_append_printf(out, "RAMBlock %s+0x%" PRIx64 " (ram_addr_t 0x%" PRIx64 ", %s%s, "
                           "page size ", json_get_text(ram, "block"), json_get_u64(ram, "offset"),
                           json_get_u64(ram, "ram-addr"),
                           is_true(ram, "file") ? "file" : "anonymous",
                           is_true(ram, "shared") ? ", shared" : "");
    append_size(out, json_get_u64(ram, "page-size"));
    g_string_append(out, ")\n");
}

static const char *kind_text(const char *kind)
{
    return strcmp(kind, "thp") == 0       ? ", a transparent huge page"
           : strcmp(kind, "hugetlb") == 0 ? " of hugetlbfs"
                                          : "";
}

static void print_page_size(const json_t *host, GString *out)
{
    if (json_object_get(host, "page-size")) {
        g_string_append(out, "host page: ");
        append_size(out, json_get_u64(host, "page-size"));
        g_string_append_printf(out, "%s\n", kind_text(json_get_text(host, "kind")));
    } else {
        g_string_append_printf(out, "host page: size not known: %s\n",
                               json_get_text(host, "page-size-unknown"));
    }
}

static void print_host(const json_t *host, GString *out)
{
    print_page_size(host, out);
    if (json_object_get(host, "hpa")) {
        g_string_append_printf(out, "HPA 0x%016" PRIx64, json_get_u64(host, "hpa"));
    } else {
        g_string_append_printf(out, "HPA not known: %s", json_get_text(host, "hpa-unknown"));
    }
    if (json_object_get(host, "swap-area")) {
        g_string_append_printf(out, " (swap area %d, page 0x%" PRIx64 ")",
                               (int)json_get_u64(host, "swap-area"),
                               json_get_u64(host, "swap-page"));
    }
    g_string_append_c(out, '\n');
}

void translate_print(const json_t *result, GString *out)
{
    const json_t *paging = json_object_get(result, "paging");
    const json_t *memory = json_object_get(result, "memory");
    const json_t *ram = json_object_get(result, "ram");

    if (paging) {
        print_paging(result, paging, out);
    }
    if (memory) {
        print_memory(memory, json_get_u64(result, json_object_get(result, "gpa") ? "gpa"
                                                                                 : "address"),
                     out);
    }
    if (ram) {
        print_slot(json_object_get(result, "slot"), out);
        print_ram(ram, out);
        g_string_append_printf(out, "HVA 0x%016" PRIx64 "\n", json_get_u64(result, "hva"));
        print_host(json_object_get(result, "host"), out);
    }
    g_string_append_printf(out, "%s\n", json_get_text(result, "message"));
}
