/* SPDX-License-Identifier: MIT */
/* Trees and flat views as text. */
#include "tessera/memory/mtree-dump.h"

#include <inttypes.h>
#include "tessera/memory/access-counters.h"
#include "tree-internal.h"

typedef struct TreeDump {
    const MtreeStyle *style;
    GString *out;
    GPtrArray *targets; /* of aliases, in the order met; each once */
} TreeDump;

static hwaddr shown_address(Int128 addr)
{
    return addr > UINT64_MAX ? UINT64_MAX : (hwaddr)addr;
}

static void dump_span(GString *out, Int128 start, Int128 size)
{
    g_string_append_printf(out, "%016" PRIx64 "-%016" PRIx64, shown_address(start),
                           shown_address(start + size - 1));
}

static void dump_owner(const MtreeStyle *style, const MemoryRegion *mr, GString *out)
{
    if (style->append_owner) {
        style->append_owner(mr->owner, out);
    }
}

static void append_counts(GString *out, const MemoryAccessCounts *counts)
{
    g_string_append_printf(out, " reads=%" PRIu64 " writes=%" PRIu64 " exits=%" PRIu64,
                           counts->reads, counts->writes, counts->exits);
}

/* Behind a line, without its end. */
static void dump_counts(const MtreeStyle *style, const MemoryRegion *mr, GString *out)
{
    MemoryAccessCounts sum;

    if (style->counts && memory_region_access_counts(mr, &sum) && (sum.reads || sum.writes)) {
        append_counts(out, &sum);
    }
}

typedef struct ReaderDump {
    GString *out;
    unsigned indent;
    unsigned readers;
} ReaderDump;

static void count_reader(const char *name, const MemoryAccessCounts *counts, void *opaque)
{
    ((ReaderDump *)opaque)->readers++;
}

static void dump_reader(const char *name, const MemoryAccessCounts *counts, void *opaque)
{
    ReaderDump *dump = opaque;

    g_string_append_printf(dump->out, "%*sby %s:", dump->indent, "", name);
    append_counts(dump->out, counts);
    g_string_append_c(dump->out, '\n');
}

/* Lines of their own, where there is more than one reader to tell apart. */
static void dump_readers(const MtreeStyle *style, const MemoryRegion *mr, unsigned indent,
                         GString *out)
{
    ReaderDump dump = { .out = out, .indent = indent };

    if (!style->counts) {
        return;
    }
    memory_region_for_each_reader(mr, count_reader, &dump);
    if (dump.readers > 1) {
        memory_region_for_each_reader(mr, dump_reader, &dump);
    }
}

static void dump_unassigned(MemorySystem *ms, const MtreeStyle *style, GString *out)
{
    MemoryAccessCounts counts;

    if (style->counts) {
        memory_system_unassigned_counts(ms, &counts);
        g_string_append(out, "unassigned:");
        append_counts(out, &counts);
        g_string_append_c(out, '\n');
    }
}

/* What an alias shows in the end. */
static const MemoryRegion *resolve(const MemoryRegion *mr)
{
    while (mr->alias) {
        mr = mr->alias;
    }
    return mr;
}

static void dump_line(TreeDump *dump, MemoryRegion *mr, Int128 base, unsigned indent)
{
    GString *out = dump->out;

    g_string_append_printf(out, "%*s", indent, "");
    dump_span(out, base, mr->size);
    g_string_append_printf(out, " (prio %d, %s): %s%s", mr->priority,
                           memory_region_kind_name(resolve(mr)), mr->alias ? "alias " : "",
                           mr->name);
    if (mr->alias) {
        g_string_append_printf(out, " @%s ", mr->alias->name);
        dump_span(out, mr->alias_offset, mr->size);
        if (!g_ptr_array_find(dump->targets, mr->alias, NULL)) {
            g_ptr_array_add(dump->targets, mr->alias);
        }
    }
    dump_owner(dump->style, mr, out);
    g_string_append_printf(out, "%s%s%s",
                           mr->readonly && mr->kind != REGION_ROM ? " [readonly]" : "",
                           mr->nonvolatile ? " [nonvolatile]" : "",
                           mr->enabled ? "" : " [disabled]");
    dump_counts(dump->style, mr, out);
    g_string_append_c(out, '\n');
    dump_readers(dump->style, mr, indent + 2, out);
}

static gint compare_places(gconstpointer a, gconstpointer b)
{
    const MemoryRegion *x = *(MemoryRegion *const *)a;
    const MemoryRegion *y = *(MemoryRegion *const *)b;

    if (x->addr != y->addr) {
        return x->addr < y->addr ? -1 : 1;
    }
    return region_beats(x, y) ? -1 : x != y;
}

static void dump_region(TreeDump *dump, MemoryRegion *mr, Int128 base, unsigned indent)
{
    g_autoptr(GPtrArray) children = region_children_in_order(mr);

    dump_line(dump, mr, base, indent);
    g_ptr_array_sort(children, compare_places);
    for (guint i = 0; i < children->len; i++) {
        MemoryRegion *child = g_ptr_array_index(children, i);

        dump_region(dump, child, base + child->addr, indent + 2);
    }
}

void memory_dump_tree_styled(MemorySystem *ms, const MtreeStyle *style, GString *out)
{
    g_autoptr(GPtrArray) targets = g_ptr_array_new();
    TreeDump dump = { style, out, targets };

    memory_system_lock(ms);
    for (guint i = 0; i < ms->spaces->len; i++) {
        AddressSpace *as = g_ptr_array_index(ms->spaces, i);

        g_string_append_printf(out, "address-space: %s\n", as->name);
        dump_region(&dump, as->root, 0, 2);
        g_string_append_c(out, '\n');
    }
    for (guint i = 0; i < targets->len; i++) { /* grows while targets have aliases of their own */
        MemoryRegion *mr = g_ptr_array_index(targets, i);

        g_string_append_printf(out, "memory-region: %s\n", mr->name);
        dump_region(&dump, mr, 0, 2);
        g_string_append_c(out, '\n');
    }
    dump_unassigned(ms, style, out);
    memory_system_unlock(ms);
}

void memory_dump_tree(MemorySystem *ms, GString *out)
{
    memory_dump_tree_styled(ms, &(MtreeStyle){ 0 }, out);
}

static void dump_range(const MtreeStyle *style, GString *out, const FlatRange *fr)
{
    const char *kind = memory_region_kind_name(fr->mr);

    if (fr->mr->kind == REGION_RAM && fr->readonly) {
        kind = "rom";
    } else if (fr->mr->kind == REGION_ROM_DEVICE && !fr->romd_mode) {
        kind = "i/o";
    }
    g_string_append(out, "  ");
    dump_span(out, fr->start, (Int128)fr->last - fr->start + 1);
    g_string_append_printf(out, " (%s): %s", kind, fr->mr->name);
    if (fr->offset_in_region) {
        g_string_append_printf(out, " @%016" PRIx64, fr->offset_in_region);
    }
    dump_owner(style, fr->mr, out);
    g_string_append(out, fr->nonvolatile ? " [nonvolatile]" : "");
    dump_counts(style, fr->mr, out);
    g_string_append_c(out, '\n');
    dump_readers(style, fr->mr, 4, out);
}

static void dump_view(MemorySystem *ms, const MtreeStyle *style, GString *out, const FlatView *view)
{
    const MemoryRegion *root = flatview_root(view);
    FlatViewIter it;
    const FlatRange *fr;

    for (guint i = 0; i < ms->spaces->len; i++) {
        AddressSpace *as = g_ptr_array_index(ms->spaces, i);

        if (address_space_flatview(as) == view) {
            g_string_append_printf(out, " AS \"%s\", root: %s%s%s\n", as->name, as->root->name,
                                   as->root->alias ? ", alias " : "",
                                   as->root->alias ? as->root->alias->name : "");
        }
    }
    g_string_append_printf(out, " Root memory region: %s\n", root ? root->name : "(none)");
    if (flatview_count(view) == 0) {
        g_string_append(out, "  No rendered FlatView\n");
    }
    flatview_iter_init(&it, view);
    while ((fr = flatview_iter_next(&it))) {
        dump_range(style, out, fr);
    }
    if (style->dispatch) {
        dispatch_dump(flatview_dispatch(view), out);
    }
    g_string_append_c(out, '\n');
}

/* Is @as the first space that shows its view? */
static bool first_with_view(const MemorySystem *ms, AddressSpace *as)
{
    for (guint i = 0; g_ptr_array_index(ms->spaces, i) != as; i++) {
        if (address_space_flatview(g_ptr_array_index(ms->spaces, i)) ==
            address_space_flatview(as)) {
            return false;
        }
    }
    return true;
}

void memory_dump_flatviews_styled(MemorySystem *ms, const MtreeStyle *style, GString *out)
{
    unsigned number = 0;

    memory_system_lock(ms);
    for (guint i = 0; i < ms->spaces->len; i++) {
        AddressSpace *as = g_ptr_array_index(ms->spaces, i);

        if (first_with_view(ms, as)) {
            g_string_append_printf(out, "FlatView #%u\n", number++);
            dump_view(ms, style, out, address_space_flatview(as));
        }
    }
    dump_unassigned(ms, style, out);
    memory_system_unlock(ms);
}

void memory_dump_flatviews(MemorySystem *ms, GString *out)
{
    memory_dump_flatviews_styled(ms, &(MtreeStyle){ 0 }, out);
}
