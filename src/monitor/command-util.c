/* SPDX-License-Identifier: MIT */
/* What the command files share. */
#include "command-util-internal.h"

#include <string.h>
#include "tessera/hw/core/device.h"
#include "tessera/util/error.h"

/* A value as an option would say it, or NULL for what no option can hold. */
static char *value_text(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        return g_strdup(json_string_value(value));
    case JSON_INTEGER:
        return g_strdup_printf("%" G_GUINT64_FORMAT, (guint64)json_integer_value(value));
    case JSON_TRUE:
        return g_strdup("on");
    case JSON_FALSE:
        return g_strdup("off");
    default:
        return NULL;
    }
}

/* What others refer to by its name: 5 and true would become ids that nobody has meant. */
static bool check_id(const char *key, const json_t *value, GError **error)
{
    if (strcmp(key, "id") == 0 && !json_is_string(value)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "Invalid parameter type for 'id', expected: string");
        return false;
    }
    return true;
}

Keyval *command_keyval(const json_t *args, GError **error)
{
    g_autoptr(Keyval) kv = keyval_new();
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)args, key, value) {
        g_autofree char *as_text = value_text(value);

        if (!check_id(key, value, error)) {
            return NULL;
        }
        if (!as_text) {
            g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                        "Parameter '%s' must be a string, an integer or a boolean", key);
            return NULL;
        }
        if (!keyval_add(kv, key, as_text, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&kv);
}

bool command_wants_help(const json_t *args)
{
    return json_object_get(args, "help") || json_object_get(args, "?");
}

bool command_check_cpu(Monitor *mon, uint64_t cpu, GError **error)
{
    unsigned count = vcpu_set_count(machine_vcpus(monitor_machine(mon)));

    if (cpu >= count) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                    "invalid CPU index %" G_GUINT64_FORMAT ": this machine has 0 to %u", cpu,
                    count - 1);
        return false;
    }
    return true;
}

char *command_owner_text(Object *owner)
{
    const Device *dev = device_from_object(owner);

    if (dev) {
        return dev->id ? g_strdup_printf("dev id=%s", dev->id)
                       : g_strdup_printf("dev type=%s", dev->cls->name);
    }
    return g_strdup(owner ? "obj" : "board");
}

static void add_object_id(UserObject *obj, void *opaque)
{
    g_ptr_array_add(opaque, g_strdup(obj->id));
}

void complete_objects(Machine *machine, GPtrArray *words)
{
    object_store_for_each(machine_objects(machine), add_object_id, words);
}

static void add_dimm_id(const DimmInfo *info, void *opaque)
{
    g_ptr_array_add(opaque, g_strdup(info->id));
}

void complete_devices(Machine *machine, GPtrArray *words)
{
    MemoryDevices *md = machine_memory_devices(machine);

    if (md) {
        memory_devices_for_each(md, add_dimm_id, words);
    }
}

void complete_cpus(Machine *machine, GPtrArray *words)
{
    unsigned count = vcpu_set_count(machine_vcpus(machine));

    for (unsigned i = 0; i < count; i++) {
        g_ptr_array_add(words, g_strdup_printf("%u", i));
    }
}
