/* SPDX-License-Identifier: MIT */
/* Registries: const tables in a linker section, sorted by name. */
#include "tessera/util/registry.h"

#include <string.h>
#include "tessera/util/error.h"

static const char *entry_name(const void *entry)
{
    return *(const char *const *)entry; /* the first member */
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(entry_name(*(const void *const *)a), entry_name(*(const void *const *)b));
}

GPtrArray *registry_load(const char *section, const void *const *start, const void *const *stop,
                         GError **error)
{
    g_autoptr(GPtrArray) entries = g_ptr_array_new();

    for (const void *const *p = start; p < stop; p++) {
        /* An address sanitizer may pad what it puts into a section. */
        if (*p) {
            g_ptr_array_add(entries, (gpointer)*p);
        }
    }
    g_ptr_array_sort(entries, compare_names);
    for (guint i = 1; i < entries->len; i++) {
        const char *name = entry_name(entries->pdata[i]);

        if (g_str_equal(name, entry_name(entries->pdata[i - 1]))) {
            g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_EXISTS,
                        "two entries of the registry '%s' are called '%s'", section, name);
            return NULL;
        }
    }
    return g_steal_pointer(&entries);
}

const void *registry_find(const GPtrArray *entries, const char *name)
{
    guint low = 0, high = entries->len;

    while (low < high) {
        guint mid = low + (high - low) / 2;
        int order = strcmp(name, entry_name(entries->pdata[mid]));

        if (order == 0) {
            return entries->pdata[mid];
        }
        if (order < 0) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return NULL;
}

const char **registry_names(const GPtrArray *entries)
{
    const char **names = g_new0(const char *, entries->len + 1);

    for (guint i = 0; i < entries->len; i++) {
        names[i] = entry_name(entries->pdata[i]);
    }
    return names;
}
