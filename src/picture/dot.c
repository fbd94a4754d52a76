/* SPDX-License-Identifier: MIT */
/* The trees as a digraph for Graphviz. */
#include "emit-internal.h"

#include "rows-internal.h"
#include "text-internal.h"

static const char *const colours[] = {
    [MAP_CONTAINER] = "#e4e8ec", [MAP_RAM] = "#9cc7f0",        [MAP_ROM] = "#cdb4ea",
    [MAP_ROM_DEVICE] = "#e6b3da", [MAP_RAM_DEVICE] = "#9adbcb", [MAP_IO] = "#f7c27e",
    [MAP_ALIAS] = "#ffffff",
};

/* A line inside a quoted string, with the break behind it. */
static void append_line(GString *out, const char *text)
{
    for (const char *p = text; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        if (c == '"' || c == '\\') {
            g_string_append_c(out, '\\');
        }
        g_string_append_unichar(out, g_unichar_iscntrl(c) ? ' ' : c);
    }
    g_string_append(out, "\\l");
}

static void append_region(const MapSnapshot *map, guint row, uint32_t region, GString *out)
{
    const MapRegion *mr = map_region(map, region);
    MapKind shown = map_snapshot_shown_kind(map, region);
    g_autofree char *first = text_hex(mr->base, 8);
    g_autofree char *last = text_hex(mr->base + mr->size - 1, 8);
    g_autofree char *size = text_size(mr->size);
    g_autofree char *facts = g_strdup_printf("%s, %s, prio %d", map_kind_name(mr->kind), size,
                                             mr->priority);
    g_autofree char *range = g_strconcat(first, "-", last, NULL);

    g_string_append_printf(out, "  r%u [style=\"filled%s%s\" fillcolor=\"%s\" label=\"", row,
                           mr->kind == MAP_ALIAS ? ",rounded" : "", mr->enabled ? "" : ",dashed",
                           colours[shown]);
    append_line(out, mr->name);
    append_line(out, range);
    append_line(out, facts);
    g_string_append(out, "\"];\n");
}

static void append_alias(const MapSnapshot *map, const TreeRows *rows, guint row, GString *out)
{
    const MapRegion *mr = map_region(map, tree_row(rows, row)->region);
    g_autofree char *offset = text_hex(mr->alias_offset, 1);

    g_string_append_printf(out, "  r%u -> r%u [style=dashed constraint=false label=\"from %s\"];\n",
                           row, rows->row_of[mr->alias], offset);
}

static void append_row(const MapSnapshot *map, const TreeRows *rows, guint n, GString *out)
{
    const TreeRow *row = tree_row(rows, n);

    if (row->region == MAP_NONE) {
        g_string_append_printf(out, "  r%u [style=dotted label=\"(%u more regions)\"];\n", n,
                               row->folded);
    } else {
        append_region(map, n, row->region, out);
    }
    if (row->parent != MAP_NONE && rows->row_of[row->parent] != n) {
        g_string_append_printf(out, "  r%u -> r%u;\n", rows->row_of[row->parent], n);
    }
    if (row->region != MAP_NONE && map_region(map, row->region)->kind == MAP_ALIAS) {
        append_alias(map, rows, n, out);
    }
}

static void append_space(const MapSpace *space, guint n, const TreeRows *rows, GString *out)
{
    g_string_append_printf(out, "  s%u [shape=plaintext label=\"", n);
    append_line(out, space->name);
    g_string_append_printf(out, "\"];\n  s%u -> r%u;\n", n, rows->row_of[space->root]);
}

void dot_write(const MapSnapshot *map, const char *title, GString *out)
{
    g_autoptr(TreeRows) rows = tree_rows_new(map);

    g_string_append(out, "digraph memory {\n  rankdir=LR;\n  label=\"");
    append_line(out, title);
    g_string_append(out, "\";\n  node [shape=box fontname=\"monospace\" fontsize=10];\n"
                         "  edge [fontname=\"monospace\" fontsize=9];\n");
    for (guint i = 0; i < map->spaces->len; i++) {
        append_space(map_space(map, i), i, rows, out);
    }
    for (guint n = 0; n < rows->rows->len; n++) {
        append_row(map, rows, n, out);
    }
    g_string_append(out, "}\n");
}
