/* SPDX-License-Identifier: MIT */
/* Files of the kernel that say "Key:  123 kB", or "key 123", line by line. */
#include "tessera/util/proc-fields.h"

#include <errno.h>
#include <string.h>
#include "tessera/util/error.h"

char *proc_file_read(const char *root, const char *path, GError **error)
{
    g_autofree char *full = g_strconcat(root ? root : "", path, NULL);
    g_autoptr(GError) reason = NULL;
    char *text = NULL;

    if (!g_file_get_contents(full, &text, NULL, &reason)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_SYSTEM, "%s", reason->message);
    }
    return text;
}

/* What stands behind @key and @separator at the start of a line; NULL: there is no such line. */
static const char *find_line(const char *text, const char *key, char separator)
{
    size_t len = strlen(key);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, len) == 0 && line[len] == separator) {
            return line + len + 1;
        }
    }
    return NULL;
}

/* A decimal number behind blanks, and nothing but @unit between it and the line's end. */
static bool read_amount(const char *at, const char *unit, uint64_t *ret_value)
{
    char *end;
    guint64 value;

    at += strspn(at, " \t");
    if (!g_ascii_isdigit(*at)) {
        return false;
    }
    errno = 0;
    value = g_ascii_strtoull(at, &end, 10);
    if (errno != 0 || strncmp(end, unit, strlen(unit)) != 0) {
        return false;
    }
    end += strlen(unit);
    if (*end != '\n' && *end != '\0') {
        return false;
    }
    *ret_value = value;
    return true;
}

static bool read_field(const char *text, const char *key, char separator, const char *unit,
                       uint64_t *ret_value, GError **error)
{
    const char *at = find_line(text, key, separator);

    if (!at) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND, "has no line '%s'", key);
        return false;
    }
    if (!read_amount(at, unit, ret_value)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "has a line '%s' without an amount", key);
        return false;
    }
    return true;
}

bool proc_field_kib(const char *text, const char *key, uint64_t *ret_bytes, GError **error)
{
    uint64_t kib;

    if (!read_field(text, key, ':', " kB", &kib, error)) {
        return false;
    }
    if (kib > UINT64_MAX / 1024) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "has a line '%s' with more than 2^64 bytes", key);
        return false;
    }
    *ret_bytes = kib * 1024;
    return true;
}

bool proc_field_number(const char *text, const char *key, uint64_t *ret_value, GError **error)
{
    return read_field(text, key, ' ', "", ret_value, error);
}

char *proc_cgroup_path(const char *text)
{
    const char *at = find_line(text, "0:", ':');

    return at && *at == '/' ? g_strndup(at, strcspn(at, "\n")) : NULL;
}
