/* SPDX-License-Identifier: MIT */
/* Devices that a user adds and takes out: -device, device_add, device_del. */
#include "machine-internal.h"

#include <stdio.h>
#include <string.h>
#include "tessera/hw/mem/pc-dimm.h"
#include "tessera/util/error.h"
#include "tessera/util/suggest.h"

/**
 * struct UserDevice - a driver that may be named by users; all others belong to the board
 * @properties: names, NULL-terminated, "driver" and "id" among them
 * @help: a line for each property, for "-device DRIVER,help"
 */
typedef struct UserDevice {
    const DeviceClass *cls;
    const char *const *properties;
    const char *help;
    bool (*add)(Machine *machine, const Keyval *properties, GError **error);
} UserDevice;

/* Reads what was given into @request; borrowed strings. */
static bool read_dimm(const Keyval *properties, DimmRequest *request, GError **error)
{
    uint64_t slot = 0, node = 0;

    request->id = keyval_get(properties, "id");
    request->memdev = keyval_get(properties, "memdev");
    request->has_slot = keyval_get(properties, "slot") != NULL;
    request->has_addr = keyval_get(properties, "addr") != NULL;
    if (!request->memdev) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "pc-dimm '%s': memdev=ID is missing: the memory backend that it shows, for "
                    "example of -object memory-backend-ram,id=mem1,size=1G",
                    request->id);
        return false;
    }
    if (!keyval_get_uint(properties, "pc-dimm", "slot", 0, UINT32_MAX, &slot, error) ||
        !keyval_get_uint(properties, "pc-dimm", "node", 0, UINT32_MAX, &node, error) ||
        !keyval_get_size(properties, "pc-dimm", "addr", 1, &request->addr, error)) {
        return false;
    }
    request->slot = (unsigned)slot;
    request->node = (unsigned)node;
    return true;
}

static bool has_run(const Machine *machine)
{
    return machine->run.state != RUN_STATE_PRELAUNCH;
}

/*
 * The memory is in all the same: the user may know better what the guest does with it. Said once, not
 * for every DIMM from then on.
 */
static void warn_of_cost(MemoryDevices *md, const char *id)
{
    g_autofree char *warning = NULL;
    DimmInfo info;

    if (memory_devices_find(md, id, &info)) {
        warning = memory_devices_memmap_news(md, info.size);
    }
    if (warning) {
        fprintf(stderr, "tessera: warning: %s\n", warning);
    }
}

static bool add_dimm(Machine *machine, const Keyval *properties, GError **error)
{
    MemoryDevices *md = machine_memory_devices(machine);
    DimmRequest request = { 0 };

    if (!md) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "pc-dimm '%s': the machine has no memory slots; start it with -m "
                    "size=SIZE,slots=N,maxmem=SIZE",
                    keyval_get(properties, "id"));
        return false;
    }
    if (!read_dimm(properties, &request, error) ||
        !memory_devices_plug(md, &request, has_run(machine), error)) {
        return false;
    }
    warn_of_cost(md, request.id);
    return true;
}

static const char *const dimm_properties[] = { "driver", "id", "memdev", "slot",
                                               "addr",   "node", NULL };

static const UserDevice user_devices[] = {
    { &pc_dimm_device_class, dimm_properties,
      "  id=NAME      what device_del and events call it\n"
      "  memdev=ID    the memory backend that it shows; one DIMM each\n"
      "  slot=N       socket (default: the first that is free)\n"
      "  addr=ADDR    guest-physical address in the device-memory window (default: first fit)\n"
      "  node=0       NUMA node; there is one\n",
      add_dimm },
};

static const UserDevice *find_driver(const char *name, GError **error)
{
    const char *names[G_N_ELEMENTS(user_devices) + 1] = { NULL };
    g_autofree char *phrase = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(user_devices); i++) {
        if (strcmp(user_devices[i].cls->name, name) == 0) {
            return &user_devices[i];
        }
        names[i] = user_devices[i].cls->name;
    }
    if (device_class_find(name, NULL)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "device '%s' is part of the board: the machine has it, and no second one can be "
                    "added",
                    name);
        return NULL;
    }
    phrase = suggest_phrase(name, names);
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "there is no device '%s'%s", name,
                phrase);
    return NULL;
}

char *machine_device_option_help(const char *text, GError **error)
{
    g_autoptr(Keyval) kv = keyval_parse(text, "driver", error);
    const UserDevice *device;
    const char *driver;

    if (!kv || !keyval_wants_help(kv)) {
        return NULL;
    }
    driver = keyval_get(kv, "driver");
    if (!driver || strcmp(driver, "help") == 0 || strcmp(driver, "?") == 0) {
        GString *out = g_string_new("Devices that can be added (DRIVER,help: the properties):\n");

        for (size_t i = 0; i < G_N_ELEMENTS(user_devices); i++) {
            g_string_append_printf(out, "  %-12s %s\n", user_devices[i].cls->name,
                                   user_devices[i].cls->description);
        }
        return g_string_free(out, FALSE);
    }
    device = find_driver(driver, error);
    return device ? g_strdup_printf("Properties of %s, %s:\n%s", device->cls->name,
                                    device->cls->description, device->help)
                  : NULL;
}

const char *const *machine_device_properties(const char *driver)
{
    const UserDevice *device = find_driver(driver, NULL);

    return device ? device->properties : NULL;
}

bool machine_device_add(Machine *machine, const Keyval *properties, GError **error)
{
    const char *driver = keyval_get(properties, "driver");
    const char *id = keyval_get(properties, "id");
    const UserDevice *device;

    if (!driver) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "the driver is missing: expected is DRIVER,id=ID,...; for example "
                    "pc-dimm,id=dimm1,memdev=mem1");
        return false;
    }
    device = find_driver(driver, error);
    if (!device || !keyval_check_known(properties, driver, device->properties, error)) {
        return false;
    }
    if (!id) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "%s: id=NAME is missing: device_del and events refer to the device by it",
                    driver);
        return false;
    }
    return device->add(machine, properties, error);
}

bool machine_device_del(Machine *machine, const char *id, GError **error)
{
    MemoryDevices *md = machine_memory_devices(machine);

    if (!md) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                    "there is no device '%s' (the machine was made without memory slots)", id);
        return false;
    }
    if (machine->run.state != RUN_STATE_RUNNING && machine->run.state != RUN_STATE_PAUSED) {
        DimmInfo info;

        if (!memory_devices_find(md, id, &info)) {
            return memory_devices_request_unplug(md, id, error); /* says which there are */
        }
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "device '%s' can only be given up by a guest, and the machine (%s) does not run "
                    "one; %s",
                    id, run_state_name(machine->run.state),
                    machine->run.state == RUN_STATE_PRELAUNCH ? "cont starts it"
                                                              : "system_reset starts it anew");
        return false;
    }
    return memory_devices_request_unplug(md, id, error);
}

static void on_memory_event(void *opaque, const MemoryDeviceEvent *event)
{
    Machine *machine = opaque;
    MachineEvent out = { .kind = MACHINE_EVENT_MEMORY, .memory = event };

    machine_emit(machine, &out);
    if (machine->resize) {
        memory_resize_on_event(machine->resize);
    }
}

bool machine_add_devices(Machine *machine, GError **error)
{
    const GPtrArray *options = machine->config->devices;
    MemoryDevices *md = machine_memory_devices(machine);

    if (md) {
        memory_devices_set_event_handler(md, on_memory_event, machine);
    }
    for (guint i = 0; i < options->len; i++) {
        g_autoptr(Keyval) kv = keyval_parse(options->pdata[i], "driver", error);

        if (!kv || !machine_device_add(machine, kv, error)) {
            g_prefix_error(error, "-device %s: ", (const char *)options->pdata[i]);
            return false;
        }
    }
    return true;
}
