/* SPDX-License-Identifier: MIT */
/* A view's dispatch as text: its sections, the nodes of the radix, its subpages. */
#include <glib.h>
#include <inttypes.h>
#include "memory-internal.h"
#include "section-table-internal.h"

typedef struct DispatchDump {
    const Dispatch *dispatch;
    GString *out;
    GArray *nodes;    /* uint32_t: in the order met */
    GArray *subpages; /* the same */
} DispatchDump;

static void dump_section(const DispatchSection *s, GString *out)
{
    g_string_append_printf(out, "      #%u @%016" PRIx64 "..%016" PRIx64 " %s", s->id, s->start,
                           s->last, memory_region_name(s->mr));
    if (s->offset_in_region) {
        g_string_append_printf(out, " @%016" PRIx64, s->offset_in_region);
    }
    g_string_append(out, !s->host ? " [by ops]\n" : s->direct_write ? " [direct]\n"
                                                                    : " [direct read]\n");
}

static void dump_sections(DispatchDump *dump)
{
    FlatViewIter it;
    const FlatRange *fr;

    g_string_append_printf(dump->out,
                           "    Physical sections\n"
                           "      #%u @%016x..%016" PRIx64 " (noname) [unassigned]\n",
                           SECTION_ID_UNASSIGNED, 0, UINT64_MAX);
    flatview_iter_init(&it, dump->dispatch->view);
    while ((fr = flatview_iter_next(&it))) {
        dump_section(section_table_get(dump->dispatch->table, fr->section_id), dump->out);
    }
}

static unsigned skip_of(PhysPageEntry entry)
{
    return entry & PHYS_SKIP_MASK;
}

static uint32_t ptr_of(PhysPageEntry entry)
{
    return entry >> PHYS_SKIP_BITS;
}

/* What an entry leads to; nodes and subpages are remembered, each once: none is shared in a view. */
static void append_target(DispatchDump *dump, PhysPageEntry entry)
{
    uint32_t ptr = ptr_of(entry);

    if (entry == PHYS_UNASSIGNED) {
        g_string_append(dump->out, "NIL");
    } else if (skip_of(entry) == 0) {
        g_string_append_printf(dump->out, "#%u", ptr);
    } else if (skip_of(entry) == PHYS_SUBPAGE) {
        g_string_append_printf(dump->out, "subpage{%u}", ptr);
        g_array_append_val(dump->subpages, ptr);
    } else {
        g_string_append_printf(dump->out, "[%u]", ptr);
        g_array_append_val(dump->nodes, ptr);
    }
}

static void append_entries(DispatchDump *dump, unsigned first, unsigned last, PhysPageEntry entry)
{
    char range[16];

    g_snprintf(range, sizeof(range), first == last ? "%u" : "%u..%u", first, last);
    g_string_append_printf(dump->out, "          %-8s", range);
    if (skip_of(entry) != 0 && skip_of(entry) != PHYS_SUBPAGE) {
        g_string_append_printf(dump->out, " skip=%u ", skip_of(entry));
    } else {
        g_string_append(dump->out, " leaf   ");
    }
    g_string_append(dump->out, " ptr=");
    append_target(dump, entry);
    g_string_append_c(dump->out, '\n');
}

/* Runs of equal entries make one line. */
static void dump_node(DispatchDump *dump, uint32_t slot)
{
    const PhysPageNode *node = &dump->dispatch->nodes[slot];
    unsigned first = 0;

    g_string_append_printf(dump->out, "      [%u]\n", slot);
    for (unsigned i = 1; i <= PHYS_NODE_SIZE; i++) {
        if (i == PHYS_NODE_SIZE || node->entries[i] != node->entries[first]) {
            append_entries(dump, first, i - 1, node->entries[first]);
            first = i;
        }
    }
}

static void dump_subpage(DispatchDump *dump, uint32_t slot)
{
    const PhysSubpage *sp = dump->dispatch->subpages[slot];
    const uint16_t *starts = phys_subpage_starts(sp);

    g_string_append_printf(dump->out, "      {%u}", slot);
    for (uint32_t i = 0; i < sp->count; i++) {
        g_string_append_printf(dump->out, " %03x:#%u", starts[i], sp->ids[i]);
    }
    g_string_append_c(dump->out, '\n');
}

void dispatch_dump(const Dispatch *dispatch, GString *out)
{
    g_autoptr(GArray) nodes = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    g_autoptr(GArray) subpages = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    DispatchDump dump = { dispatch, out, nodes, subpages };

    g_string_append_printf(out, "  Dispatch: view %" PRIu64 ", %" PRIu64 " nodes, %zu bytes\n",
                           dispatch->generation, dispatch_nodes(dispatch),
                           dispatch_memory_bytes(dispatch));
    dump_sections(&dump);
    g_string_append_printf(out, "    Nodes (%u bits per level, %u levels) ptr=", PHYS_LEVEL_BITS,
                           PHYS_LEVELS);
    append_target(&dump, dispatch->root);
    g_string_append_printf(out, " skip=%u\n",
                           skip_of(dispatch->root) == PHYS_SUBPAGE ? 0 : skip_of(dispatch->root));
    for (guint i = 0; i < nodes->len; i++) { /* grows while nodes lead to others */
        dump_node(&dump, g_array_index(nodes, uint32_t, i));
    }
    if (subpages->len) {
        g_string_append(out, "    Subpages: first offset and section of each part\n");
    }
    for (guint i = 0; i < subpages->len; i++) {
        dump_subpage(&dump, g_array_index(subpages, uint32_t, i));
    }
}
