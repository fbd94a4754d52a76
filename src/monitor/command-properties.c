/* SPDX-License-Identifier: MIT */
/* Completion of the properties of objects and devices, and of their values. */
#include "command-util-internal.h"

#include <string.h>
#include "tessera/util/object-class.h"

static void add_values(const Property *property, GPtrArray *words)
{
    static const char *const switches[] = { "on", "off", NULL };
    const char *const *values = property->type == PROPERTY_BOOL ? switches : property->values;

    for (; values && *values; values++) {
        g_ptr_array_add(words, g_strdup(*values));
    }
}

void complete_object_property(Machine *machine, const char *type, const char *key, GPtrArray *words)
{
    const ObjectClass *cls = object_class_find(type, NULL);
    const Property *property;

    if (!cls) {
        return;
    }
    if (!key) {
        g_ptr_array_add(words, g_strdup("id"));
    }
    for (unsigned i = 0; (property = object_class_property(cls, i)) != NULL; i++) {
        if (!key) {
            g_ptr_array_add(words, g_strdup(property->name));
        } else if (strcmp(property->name, key) == 0) {
            add_values(property, words);
        }
    }
}

void complete_device_property(Machine *machine, const char *type, const char *key, GPtrArray *words)
{
    const char *const *name = machine_device_properties(type);

    if (!name) {
        return;
    }
    for (; !key && *name; name++) {
        if (strcmp(*name, "driver") != 0) {
            g_ptr_array_add(words, g_strdup(*name));
        }
    }
    if (g_strcmp0(key, "memdev") == 0) {
        complete_objects(machine, words);
    }
}
