/* SPDX-License-Identifier: MIT */
/* Commands for objects that a user makes by name, memory backends first of all. */
#include "command-util-internal.h"

#include <inttypes.h>
#include "tessera/memory/memory-backend.h"
#include "tessera/util/error.h"
#include "tessera/util/object-class.h"

/* object_add */

static void complete_types(Machine *machine, GPtrArray *words)
{
    g_autoptr(GPtrArray) classes = object_class_list(NULL);

    for (guint i = 0; classes && i < classes->len; i++) {
        const ObjectClass *cls = classes->pdata[i];

        g_ptr_array_add(words, g_strdup_printf("%s,id=", cls->name));
    }
}

/* "object_add help" lists the types, "object_add TYPE,help" the properties of one. */
static bool show_help(const json_t *args, json_t **ret_result, GError **error)
{
    const char *type = arg_string(args, "qom-type");
    bool about_type = type && strcmp(type, "help") != 0 && strcmp(type, "?") != 0;
    g_autofree char *option = about_type ? g_strdup_printf("%s,help", type) : g_strdup("help");
    g_autofree char *text = object_option_help(option, error);

    if (!text) {
        return false;
    }
    *ret_result = json_pack("{s:s}", "help", text);
    return true;
}

static bool run_object_add(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    g_autoptr(Keyval) properties = NULL;

    if (command_wants_help(args)) {
        return show_help(args, ret_result, error);
    }
    properties = command_keyval(args, error);
    return properties &&
           object_store_add(machine_objects(monitor_machine(mon)), properties, error) != NULL;
}

static void print_help(const json_t *result, GString *out)
{
    const char *text = json_get_text(result, "help");

    if (text) {
        g_string_append(out, text);
    }
}

static const MonitorArg object_add_args[] = {
    { .name = "properties", .type = MONITOR_ARG_KEYVAL, .implied_key = "qom-type",
      .complete = complete_types, .complete_property = complete_object_property },
    { 0 },
};

static const MonitorCommand object_add_command = {
    .name = "object-add",
    .qmp = "object-add",
    .hmp = "object_add",
    .help = "Makes an object, as -object does: memory that a DIMM can show, for example.",
    .details = "`object_add memory-backend-ram,id=m1,size=1G`. `object_add help` lists the types, "
               "`object_add TYPE,help` the properties of one. In QMP the members `qom-type` and "
               "`id` and the type's properties: strings, integers (bytes) and booleans.",
    .args = object_add_args,
    .run = run_object_add,
    .print = print_help,
};
MONITOR_COMMAND_REGISTER(object_add_command);

/* object_del */

static bool run_object_del(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    return object_store_del(machine_objects(monitor_machine(mon)), arg_string(args, "id"), error);
}

static const MonitorArg object_del_args[] = {
    { .name = "id", .type = MONITOR_ARG_STRING, .complete = complete_objects },
    { 0 },
};

static const MonitorCommand object_del_command = {
    .name = "object-del",
    .qmp = "object-del",
    .hmp = "object_del",
    .help = "Ends an object that nothing uses; its memory goes back to the host.",
    .details = "A backend that a DIMM shows is in use until the guest has given the DIMM up.",
    .args = object_del_args,
    .run = run_object_del,
};
MONITOR_COMMAND_REGISTER(object_del_command);

/* info memdev */

static bool property_is_on(const UserObject *obj, const char *name)
{
    g_autofree char *value = user_object_property_get(obj, name);

    return g_strcmp0(value, "on") == 0;
}

static json_t *memdev(const char *id, uint64_t size)
{
    return json_pack("{s:s,s:o,s:[],s:s}", "id", id, "size", json_u64(size), "host-nodes", "policy",
                     "default");
}

static void set_flags(json_t *dev, const UserObject *obj)
{
    static const char *const flags[] = { "merge", "dump", "prealloc", "share", "reserve" };

    for (size_t i = 0; i < G_N_ELEMENTS(flags); i++) {
        json_object_set_new(dev, flags[i], json_boolean(property_is_on(obj, flags[i])));
    }
}

static void add_memdev(UserObject *obj, void *opaque)
{
    const MemoryBackend *backend = memory_backend_from_object(obj);
    json_t *dev;

    if (backend) {
        dev = memdev(obj->id, memory_backend_size(backend));
        set_flags(dev, obj);
        json_array_append_new(opaque, dev);
    }
}

/* Boot RAM without -machine memory-backend= is anonymous memory that no -object made. */
static void add_boot_ram(Machine *machine, json_t *list)
{
    const MachineConfig *config = machine_config(machine);
    json_t *dev;

    if (config->memory_backend) {
        return;
    }
    dev = memdev("pc.ram", config->ram_size);
    json_object_set_new(dev, "merge", json_false());
    json_object_set_new(dev, "dump", json_true());
    json_object_set_new(dev, "prealloc", json_false());
    json_object_set_new(dev, "share", json_false());
    json_object_set_new(dev, "reserve", json_true());
    json_array_append_new(list, dev);
}

static bool run_memdev(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    Machine *machine = monitor_machine(mon);

    *ret_result = json_array();
    object_store_for_each(machine_objects(machine), add_memdev, *ret_result);
    add_boot_ram(machine, *ret_result);
    return true;
}

static void print_memdev(const json_t *result, GString *out)
{
    static const char *const flags[] = { "merge", "dump", "prealloc", "share", "reserve" };
    size_t i;
    json_t *dev;

    json_array_foreach((json_t *)result, i, dev) {
        g_string_append_printf(out, "memory backend: %s\n  size:  %" PRIu64 "\n",
                               json_get_text(dev, "id"), json_get_u64(dev, "size"));
        for (size_t f = 0; f < G_N_ELEMENTS(flags); f++) {
            g_string_append_printf(out, "  %s: %s\n", flags[f], json_get_flag(dev, flags[f]));
        }
        g_string_append_printf(out, "  policy: %s\n  host nodes: \n", json_get_text(dev, "policy"));
    }
    g_string_append_c(out, '\n');
}

static const MonitorCommand memdev_command = {
    .name = "query-memdev",
    .qmp = "query-memdev",
    .hmp = "info memdev",
    .help = "Lists the memory backends, boot RAM (pc.ram) included.",
    .details = "`host nodes` and `policy` are always empty and default: memory is not bound to the "
               "host's NUMA nodes.",
    .run = run_memdev,
    .print = print_memdev,
};
MONITOR_COMMAND_REGISTER(memdev_command);
