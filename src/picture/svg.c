/* SPDX-License-Identifier: MIT */
/* Pictures as SVG: a laid out picture, element by element. */
#include "emit-internal.h"

#include <inttypes.h>
#include "layout-internal.h"
#include "text-internal.h"

/*
 * No script, and no font of its own: any of constant width will do. The second palette is for who
 * prefers dark; a renderer that knows no media queries takes the first.
 */
static const char style[] =
    "<style>\n"
    "text{font:11px ui-monospace,'DejaVu Sans Mono','Liberation Mono',Menlo,Consolas,monospace;"
    "fill:#1b2026;white-space:pre;pointer-events:none}\n"
    "text.dim{fill:#66707c}text.bold{font-weight:bold}text.head{font-size:14px;font-weight:bold}\n"
    "text.title{font-size:19px;font-weight:bold}text.cut{pointer-events:auto}\n"
    ".paper{fill:#ffffff}.ink{stroke:#66707c;fill:none}.thin{stroke:#d4d9df;fill:none}\n"
    ".box{stroke:#5b6672;stroke-width:1}.bare{fill:#f4f6f8}\n"
    ".container{fill:#e4e8ec}.ram{fill:#9cc7f0}.rom{fill:#cdb4ea}.romd{fill:#e6b3da}"
    ".ramd{fill:#9adbcb}.io{fill:#f7c27e}\n"
    ".l-container{stroke:#77818c}.l-ram{stroke:#2f78bf}.l-rom{stroke:#8456bd}.l-romd{stroke:#b14f9c}"
    ".l-ramd{stroke:#24917a}.l-io{stroke:#c07414}\n"
    ".a-container{fill:#77818c}.a-ram{fill:#2f78bf}.a-rom{fill:#8456bd}.a-romd{fill:#b14f9c}"
    ".a-ramd{fill:#24917a}.a-io{fill:#c07414}\n"
    ".lane{fill:none;stroke-width:1.5}.ribbon{opacity:.3}.faded{opacity:.35}\n"
    ".dashed{stroke-dasharray:4 3}.hatch{stroke:#b9c1ca;stroke-width:1}\n"
    ".heat1{fill:#fff3bf}.heat2{fill:#ffd75e}.heat3{fill:#ffab40}.heat4{fill:#ff7043}"
    ".heat5{fill:#ef3b36}\n"
    "@media (prefers-color-scheme:dark){\n"
    "text{fill:#e8ebee}text.dim{fill:#98a2ad}.paper{fill:#15181c}.ink{stroke:#98a2ad}"
    ".thin{stroke:#353c44}.box{stroke:#8a95a1}.bare{fill:#1d2126}\n"
    ".container{fill:#39414a}.ram{fill:#275d92}.rom{fill:#5d3f8c}.romd{fill:#81366f}"
    ".ramd{fill:#1c6b5a}.io{fill:#8d5510}.hatch{stroke:#4b545e}\n"
    ".l-ram{stroke:#6db1f2}.l-rom{stroke:#b48cec}.l-romd{stroke:#e07fcb}.l-ramd{stroke:#4cc9ae}"
    ".l-io{stroke:#f0a848}.l-container{stroke:#98a2ad}\n"
    ".a-ram{fill:#6db1f2}.a-rom{fill:#b48cec}.a-romd{fill:#e07fcb}.a-ramd{fill:#4cc9ae}"
    ".a-io{fill:#f0a848}.a-container{fill:#98a2ad}\n"
    ".heat1{fill:#4a431c}.heat2{fill:#6b5410}.heat3{fill:#8a4f0c}.heat4{fill:#9c3a14}"
    ".heat5{fill:#b3201e}\n"
    "}\n"
    "</style>\n"
    "<defs><pattern id=\"tessera-hole\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" "
    "patternTransform=\"rotate(45)\"><rect width=\"7\" height=\"7\" class=\"bare\"/>"
    "<path d=\"M0 0V7\" class=\"hatch\"/></pattern></defs>\n";

static const char *const kind_classes[] = {
    [MAP_CONTAINER] = "container", [MAP_RAM] = "ram",         [MAP_ROM] = "rom",
    [MAP_ROM_DEVICE] = "romd",     [MAP_RAM_DEVICE] = "ramd", [MAP_IO] = "io",
    [MAP_ALIAS] = "container",
};

static void append_title(GString *out, const char *title)
{
    if (title) {
        g_string_append(out, "<title>");
        text_append_xml(out, title);
        g_string_append(out, "</title>");
    }
}

static void append_attribute(GString *out, const char *name, const char *value)
{
    g_string_append_printf(out, " %s=\"", name);
    text_append_xml(out, value);
    g_string_append_c(out, '"');
}

static void append_rect(GString *out, const PictureBox *box, const char *class, const char *extra)
{
    g_string_append_printf(out, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" class=\"%s\"%s/>",
                           box->x, box->y, box->width, box->height, class, extra);
}

#define HATCHED " style=\"fill:url(#tessera-hole)\""

/* Labels. */

static void append_label(GString *out, const PictureLabel *label)
{
    static const char *const classes[] = {
        [LABEL_TEXT] = "", [LABEL_DIM] = "dim", [LABEL_BOLD] = "bold",
        [LABEL_HEAD] = "head", [LABEL_TITLE] = "title",
    };
    static const char *const anchors[] = {
        [LABEL_START] = "start", [LABEL_MIDDLE] = "middle", [LABEL_END] = "end",
    };
    static const int rises[] = { /* from the middle of the box down to the baseline */
        [LABEL_TEXT] = 4, [LABEL_DIM] = 4, [LABEL_BOLD] = 4, [LABEL_HEAD] = 5, [LABEL_TITLE] = 7,
    };
    const PictureBox *box = &label->box;
    int x = label->anchor == LABEL_START ? box->x
            : label->anchor == LABEL_END ? box->x + box->width
                                         : box->x + box->width / 2;

    g_string_append_printf(out, "<text x=\"%d\" y=\"%d\"", x,
                           box->y + box->height / 2 + rises[label->style]);
    if (label->anchor != LABEL_START) {
        append_attribute(out, "text-anchor", anchors[label->anchor]);
    }
    if (*classes[label->style] || label->full) {
        g_string_append_printf(out, " class=\"%s%s\"", classes[label->style],
                               label->full ? " cut" : "");
    }
    /* Characters from another font may be wider: then the renderer presses them together. */
    if (!g_str_is_ascii(label->text)) {
        g_string_append_printf(out, " textLength=\"%d\" lengthAdjust=\"spacingAndGlyphs\"",
                               box->width);
    }
    g_string_append_c(out, '>');
    append_title(out, label->full);
    text_append_xml(out, label->text);
    g_string_append(out, "</text>\n");
}

/* Trees. */

static void append_row(GString *out, const MapSnapshot *map, const PictureRow *row)
{
    int y = row->chip.y + row->chip.height / 2;
    g_autofree char *class = g_strdup_printf("box %s%s", kind_classes[row->kind],
                                             row->faded ? " faded" : "");

    if (row->has_parent) {
        g_string_append_printf(out, "<path d=\"M%d %dV%dH%d\" class=\"thin\"/>\n", row->parent_x,
                               row->parent_y, y, row->chip.x);
    }
    if (row->region == MAP_NONE) {
        return;
    }
    g_string_append(out, "<g class=\"row\"");
    append_attribute(out, "data-region", map_region(map, row->region)->name);
    g_string_append_c(out, '>');
    append_title(out, row->title);
    append_rect(out, &row->chip, class, "");
    g_string_append(out, "</g>\n");
}

static void append_lane(GString *out, const PictureLane *lane)
{
    const char *kind = kind_classes[lane->kind];

    g_string_append_printf(out, "<path d=\"M%d %dH%dV%dH%d\" class=\"lane l-%s\"/>", lane->from_x,
                           lane->from_y, lane->x, lane->to_y, lane->to_x - 5, kind);
    g_string_append_printf(out, "<path d=\"M%d %dl-7 -4v8z\" class=\"a-%s\"/>", lane->to_x,
                           lane->to_y, kind);
    g_string_append_printf(out, "<circle cx=\"%d\" cy=\"%d\" r=\"2.5\" class=\"a-%s\"/>\n",
                           lane->from_x, lane->from_y, kind);
}

/* Views. */

static void append_ribbon(GString *out, const PictureRibbon *r)
{
    int middle = (r->x0 + r->x1) / 2;

    g_string_append_printf(out, "<path d=\"M%d %dC%d %d %d %d %d %dV%dC%d %d %d %d %d %dz\" "
                           "class=\"ribbon a-%s\"/>\n",
                           r->x0, r->y0 - 1, middle, r->y0 - 1, middle, r->y1, r->x1, r->y1, r->y2,
                           middle, r->y2, middle, r->y0 + 1, r->x0, r->y0 + 1,
                           kind_classes[r->kind]);
}

static void append_span(GString *out, const char *class, guint view, hwaddr start, hwaddr last)
{
    g_string_append_printf(out, "<g class=\"%s\" data-view=\"%u\" data-start=\"0x%" PRIx64
                           "\" data-last=\"0x%" PRIx64 "\"", class, view, start, last);
}

static void append_piece(GString *out, const MapSnapshot *map, const PicturePiece *piece)
{
    static const char *const classes[] = {
        [PIECE_TILE] = "tile", [PIECE_HOLE] = "hole", [PIECE_NOTE] = "note", [PIECE_FOLD] = "fold",
    };
    g_autofree char *box = g_strdup_printf("box %s", kind_classes[piece->kind]);

    append_span(out, classes[piece->what], piece->view, piece->start, piece->last);
    if (piece->what == PIECE_TILE) {
        const MapTile *tile = map_tile(map_view(map, piece->view), piece->tile);

        append_attribute(out, "data-region", map_region(map, tile->region)->name);
        g_string_append_printf(out, " data-offset=\"0x%" PRIx64 "\" data-kind=\"%s\"", tile->offset,
                               map_kind_name(tile->kind));
    } else if (piece->what == PIECE_FOLD) {
        g_string_append_printf(out, " data-tiles=\"%u\"", piece->tiles);
    }
    g_string_append_c(out, '>');
    append_title(out, piece->title);
    if (piece->what == PIECE_TILE) {
        append_rect(out, &piece->box, box, "");
    } else {
        append_rect(out, &piece->box,
                    piece->what == PIECE_HOLE ? "thin"
                    : piece->what == PIECE_NOTE ? "box dashed"
                                                : "box dashed bare",
                    piece->what == PIECE_FOLD ? "" : HATCHED);
    }
    g_string_append(out, "</g>\n");
}

static void append_slot(GString *out, const MapSnapshot *map, const PictureSlot *placed)
{
    const MapSlot *slot = map_slot(map_view(map, placed->view), placed->slot);
    g_autofree char *box = g_strdup_printf("box %s", kind_classes[placed->kind]);

    append_span(out, "slot", placed->view, slot->start, slot->last);
    g_string_append_printf(out, " data-slot=\"%u\">", slot->id);
    append_title(out, placed->title);
    append_rect(out, &placed->box, box, " rx=\"4\"");
    g_string_append(out, "</g>\n");
}

static void append_heat(GString *out, const PictureHeat *heat)
{
    g_autofree char *class = g_strdup_printf("box heat%u", heat->level);

    append_rect(out, &heat->box, class, "");
    g_string_append_c(out, '\n');
}

/* Marks. */

static void append_line(GString *out, const PictureBox *box, const char *class)
{
    g_string_append_printf(out, "<path d=\"M%d %dh%d\" class=\"%s\"/>\n", box->x, box->y, box->width,
                           class);
}

static void append_arrow(GString *out, const PictureBox *box, unsigned kind)
{
    int y = box->y + box->height / 2;

    g_string_append_printf(out, "<path d=\"M%d %dh%d\" class=\"lane l-%s\"/>"
                           "<path d=\"M%d %dl-7 -4v8z\" class=\"a-%s\"/>\n",
                           box->x, y, box->width - 5, kind_classes[kind], box->x + box->width, y,
                           kind_classes[kind]);
}

static void append_mark(GString *out, const PictureMark *mark)
{
    g_autofree char *class = NULL;

    switch (mark->mark) {
    case MARK_TICK:
        append_line(out, &mark->box, "ink");
        return;
    case MARK_GUIDE:
        append_line(out, &mark->box, "thin");
        return;
    case MARK_RULE:
        append_line(out, &mark->box, "ink");
        return;
    case MARK_ARROW:
        append_arrow(out, &mark->box, mark->value);
        return;
    case MARK_HOLE:
        append_rect(out, &mark->box, "thin", HATCHED);
        break;
    case MARK_NOTE:
        append_rect(out, &mark->box, "box dashed", HATCHED);
        break;
    case MARK_HEAT:
        class = g_strdup_printf("box heat%u", mark->value);
        append_rect(out, &mark->box, class, "");
        break;
    default:
        class = g_strdup_printf("box %s%s", kind_classes[mark->value],
                                mark->mark == MARK_FADED ? " faded" : "");
        append_rect(out, &mark->box, class, "");
        break;
    }
    g_string_append_c(out, '\n');
}

/* From below to above. */
static void append_elements(GString *out, const Picture *p)
{
    for (guint i = 0; i < p->ribbons->len; i++) {
        append_ribbon(out, &g_array_index(p->ribbons, PictureRibbon, i));
    }
    for (guint i = 0; i < p->marks->len; i++) {
        append_mark(out, &g_array_index(p->marks, PictureMark, i));
    }
    for (guint i = 0; i < p->rows->len; i++) {
        append_row(out, p->map, &g_array_index(p->rows, PictureRow, i));
    }
    for (guint i = 0; i < p->lanes->len; i++) {
        append_lane(out, &g_array_index(p->lanes, PictureLane, i));
    }
    for (guint i = 0; i < p->pieces->len; i++) {
        append_piece(out, p->map, &g_array_index(p->pieces, PicturePiece, i));
    }
    for (guint i = 0; i < p->heats->len; i++) {
        append_heat(out, &g_array_index(p->heats, PictureHeat, i));
    }
    for (guint i = 0; i < p->slots->len; i++) {
        append_slot(out, p->map, &g_array_index(p->slots, PictureSlot, i));
    }
    for (guint i = 0; i < p->labels->len; i++) {
        append_label(out, &g_array_index(p->labels, PictureLabel, i));
    }
}

void svg_write(const MapSnapshot *map, const char *title, GString *out)
{
    g_autoptr(Picture) p = picture_lay_out(map, title);

    g_string_append_printf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
                           "height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\">\n",
                           p->width, p->height, p->width, p->height);
    append_title(out, title);
    g_string_append(out, style);
    append_rect(out, &(PictureBox){ 0, 0, p->width, p->height }, "paper", "");
    g_string_append_c(out, '\n');
    append_elements(out, p);
    g_string_append(out, "</svg>\n");
}
