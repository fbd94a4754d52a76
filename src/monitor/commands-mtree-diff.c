/* SPDX-License-Identifier: MIT */
/* What changed in the memory map between two commits: info mtree --diff, x-query-memory-diff. */
#include "command-util-internal.h"

#include <inttypes.h>
#include <string.h>
#include "tessera/memory/commit-diff.h"
#include "tessera/memory/commit-stats.h"
#include "tessera/memory/memory-system.h"

static const char *const change_names[] = {
    [MEMORY_CHANGE_ADDED] = "added",
    [MEMORY_CHANGE_REMOVED] = "removed",
    [MEMORY_CHANGE_MOVED] = "moved",
    [MEMORY_CHANGE_CHANGED] = "changed",
};

/* As `info mtree -f` names it: by what the guest meets there. */
static const char *shown_kind(const MemoryRecord *r)
{
    if (strcmp(r->kind, "ram") == 0 && r->readonly) {
        return "rom";
    }
    return strcmp(r->kind, "romd") == 0 && !r->romd_mode ? "i/o" : r->kind;
}

static json_t *record_json(const MemoryRecord *r)
{
    json_t *object = json_pack("{s:o,s:o,s:s,s:b,s:b}", "start", json_u64(r->start), "end",
                               json_u64(r->last), "region", r->name, "readonly", r->readonly,
                               "logged", r->dirty_log_mask != 0);

    if (r->layer == MEMORY_LAYER_TILES) {
        json_object_set_new(object, "offset", json_u64(r->offset));
        json_object_set_new(object, "type", json_string(shown_kind(r)));
        json_object_set_new(object, "nonvolatile", json_boolean(r->nonvolatile));
    }
    return object;
}

static json_t *change_json(const MemoryChange *c)
{
    const MemoryRecord *any = c->is.name ? &c->is : &c->was;
    json_t *object = json_pack("{s:s,s:s,s:s}", "change", change_names[c->kind], "layer",
                               any->layer == MEMORY_LAYER_TILES ? "tile" : "slot", "space",
                               any->space_name);

    if (c->was.name) {
        json_object_set_new(object, "was", record_json(&c->was));
    }
    if (c->is.name) {
        json_object_set_new(object, "is", record_json(&c->is));
    }
    return object;
}

static json_t *commits_json(const GArray *history, uint64_t from, uint64_t to)
{
    json_t *list = json_array();

    for (guint i = 0; i < history->len; i++) {
        const MemoryCommitRecord *r = &g_array_index(history, MemoryCommitRecord, i);

        if (r->number > from && r->number <= to) {
            json_array_append_new(list, json_pack("{s:o,s:o,s:s,s:b}", "number",
                                                  json_u64(r->number), "at-us", json_u64(r->at_us),
                                                  "cause", r->cause, "success",
                                                  r->stats.failed == 0));
        }
    }
    return list;
}

static bool run_diff(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    MemorySystem *ms = machine_memory_system(monitor_machine(mon));
    MemoryCommitStats total;
    g_autoptr(GArray) history = memory_system_commit_history(ms, &total);
    uint64_t from = arg_u64(args, "from");
    uint64_t to = arg_given(args, "to") ? arg_u64(args, "to") : total.commits;
    g_autoptr(GArray) changes = memory_system_diff(ms, from, to, error);
    json_t *list;

    if (!changes) {
        return false;
    }
    list = json_array();
    for (guint i = 0; i < changes->len; i++) {
        json_array_append_new(list, change_json(&g_array_index(changes, MemoryChange, i)));
    }
    *ret_result = json_pack("{s:o,s:o,s:o,s:o}", "from", json_u64(from), "to", json_u64(to),
                            "commits", commits_json(history, from, to), "changes", list);
    return true;
}

/* --- For people --- */

static void print_range(const json_t *r, GString *out)
{
    g_string_append_printf(out, "%016" PRIx64 "-%016" PRIx64, json_get_u64(r, "start"),
                           json_get_u64(r, "end"));
}

static void print_attributes(const json_t *r, GString *out)
{
    const char *type = json_get_text(r, "type");

    if (type) {
        g_string_append_printf(out, " (%s)", type);
    } else if (json_is_true(json_object_get(r, "readonly"))) {
        g_string_append(out, " [ro]");
    }
    if (json_is_true(json_object_get(r, "logged"))) {
        g_string_append(out, " [log]");
    }
    if (json_is_true(json_object_get(r, "nonvolatile"))) {
        g_string_append(out, " [nonvolatile]");
    }
}

static void print_change(const json_t *change, GString *out)
{
    const char *what = json_get_text(change, "change");
    const json_t *was = json_object_get(change, "was"), *is = json_object_get(change, "is");
    const json_t *shown = is ? is : was;
    uint64_t offset = json_get_u64(shown, "offset");

    g_string_append_printf(out, "  %-8s", what);
    print_range(shown, out);
    print_attributes(shown, out);
    g_string_append_printf(out, ": %s", json_get_text(shown, "region"));
    if (offset) {
        g_string_append_printf(out, " @%016" PRIx64, offset);
    }
    if (was && is) {
        g_string_append(out, ", was ");
        print_range(was, out);
        print_attributes(was, out);
    }
    g_string_append_c(out, '\n');
}

static void print_commits(const json_t *commits, GString *out)
{
    size_t i;
    json_t *c;

    json_array_foreach(commits, i, c) {
        uint64_t at = json_get_u64(c, "at-us");

        g_string_append_printf(out, "%6" PRIu64 " %6" PRIu64 ".%03" PRIu64 "  %s%s\n",
                               json_get_u64(c, "number"), at / 1000000, at / 1000 % 1000,
                               json_get_text(c, "cause"),
                               json_is_true(json_object_get(c, "success")) ? "" : " [undone]");
    }
}

static void print_diff(const json_t *result, GString *out)
{
    const char *space = "", *layer = "";
    size_t i;
    json_t *c;

    print_commits(json_object_get(result, "commits"), out);
    json_array_foreach(json_object_get(result, "changes"), i, c) {
        const char *now = json_get_text(c, "space"), *kind = json_get_text(c, "layer");

        if (strcmp(space, now) != 0 || strcmp(layer, kind) != 0) {
            space = now;
            layer = kind;
            g_string_append_printf(out, "%s \"%s\":\n",
                                   strcmp(kind, "tile") == 0 ? "address space"
                                                             : "KVM slots of address space",
                                   space);
        }
        print_change(c, out);
    }
    if (i == 0) {
        g_string_append(out, "no difference\n");
    }
}

bool mtree_diff_text(Monitor *mon, json_t *args, GString *out, GError **error)
{
    json_t *result = NULL;

    if (!run_diff(mon, args, &result, error)) {
        return false;
    }
    print_diff(result, out);
    json_decref(result);
    return true;
}

static const MonitorArg diff_args[] = {
    { .name = "from", .type = MONITOR_ARG_INT },
    { .name = "to", .type = MONITOR_ARG_INT, .optional = true },
    { 0 },
};

static const MonitorCommand diff_command = {
    .name = "x-query-memory-diff",
    .qmp = "x-query-memory-diff",
    .help = "Tells what differs between the memory map after one change and that after another.",
    .details = "from, to: numbers as x-query-memory-stats tells them; from 0 is before the first, "
               "when nothing was there; without to, the last. changes: tiles of address spaces and "
               "KVM slots, each added, removed, moved (the same part of a region at another "
               "address) or changed (its attributes), with what it was and what it is. commits: "
               "those that did it, and their causes. In HMP: info mtree --diff.",
    .args = diff_args,
    .run = run_diff,
};
MONITOR_COMMAND_REGISTER(diff_command);
