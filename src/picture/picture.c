/* SPDX-License-Identifier: MIT */
/* Pictures: formats by name, and files. */
#include "tessera/picture/picture.h"

#include <string.h>
#include "emit-internal.h"
#include "tessera/util/error.h"
#include "tessera/util/replace-file.h"

#define WHAT_WORKS "pictures of the memory map are .svg, .dot (Graphviz) or .json"

/* What stands behind the last point of the file's name, without its folder; NULL: there is none. */
static char *suffix_of(const char *path)
{
    g_autofree char *name = g_path_get_basename(path);
    const char *point = strrchr(name, '.');

    return point && point > name ? g_ascii_strdown(point + 1, -1) : NULL;
}

static PictureFormat format_of(const char *path)
{
    g_autofree char *suffix = suffix_of(path);

    return g_strcmp0(suffix, "svg") == 0    ? PICTURE_SVG
           : g_strcmp0(suffix, "dot") == 0  ? PICTURE_DOT
           : g_strcmp0(suffix, "json") == 0 ? PICTURE_JSON
                                            : PICTURE_NONE;
}

bool picture_format(const char *path, PictureFormat *ret_format, GError **error)
{
    PictureFormat format = format_of(path);

    if (format == PICTURE_NONE) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "%s: a file's format is told by the end of its name, and this one has none that "
                    "is known; " WHAT_WORKS, path);
        return false;
    }
    *ret_format = format;
    return true;
}

bool picture_or_text(const char *path, PictureFormat *ret_format, GError **error)
{
    static const char *const others[] = { "png", "pdf", "jpg",  "jpeg", "gif", "webp",
                                          "ps",  "eps", "html", "htm",  "gv",  NULL };
    g_autofree char *suffix = suffix_of(path);

    if (suffix && g_strv_contains(others, suffix)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "%s: there is no .%s; " WHAT_WORKS ", and any other name gets text", path,
                    suffix);
        return false;
    }
    *ret_format = format_of(path);
    return true;
}

GString *picture_make(const MapSnapshot *map, PictureFormat format, const char *title)
{
    GString *out = g_string_new(NULL);
    g_autofree char *valid = g_utf8_make_valid(title, -1);

    switch (format) {
    case PICTURE_SVG:
        svg_write(map, valid, out);
        break;
    case PICTURE_DOT:
        dot_write(map, valid, out);
        break;
    case PICTURE_JSON:
        json_write(map, valid, out);
        break;
    default:
        g_assert_not_reached();
    }
    return out;
}

bool picture_write(const MapSnapshot *map, const char *path, const char *title, GError **error)
{
    PictureFormat format;
    GString *text;
    bool ok;

    if (!picture_format(path, &format, error)) {
        return false;
    }
    text = picture_make(map, format, title);
    ok = replace_file(path, text->str, text->len, error);
    g_string_free(text, TRUE);
    return ok;
}
