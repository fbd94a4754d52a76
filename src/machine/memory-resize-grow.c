/* SPDX-License-Identifier: MIT */
/* Resizing a guest's memory: DIMMs are plugged at once, and the guest takes them. */
#include "memory-resize-internal.h"

#include <inttypes.h>
#include "tessera/machine/memory-plan.h"

#define GUEST_PATIENCE_S 60 /* for taking new DIMMs; giving up changes nothing */

/* Has the guest answered for every DIMM? Counts, and notes the first refusal. */
static bool all_answered(MemoryResize *r, unsigned *ret_taken)
{
    bool all = true;

    *ret_taken = 0;
    for (guint i = 0; i < r->plugged->len; i++) {
        const char *id = r->plugged->pdata[i];
        DimmInfo info;

        if (!memory_devices_find(memory_resize_devices(r), id, &info)) {
            memory_resize_note(r, id, "was taken out meanwhile");
        } else if (info.guest_refused_plug) {
            memory_resize_note(r, id, info.reason);
        } else if (info.guest_took_plug) {
            ++*ret_taken;
        } else {
            all = false;
        }
    }
    return all;
}

static void finish_growing(MemoryResize *r, unsigned taken)
{
    memory_resize_finish(r, taken == r->dimms ? MEMORY_RESIZE_COMPLETED
                            : taken > 0       ? MEMORY_RESIZE_PARTIAL
                                              : MEMORY_RESIZE_FAILED);
}

void memory_resize_step_growing(MemoryResize *r)
{
    unsigned taken;
    bool all = all_answered(r, &taken);
    bool moved = taken != r->done;

    r->done = taken;
    if (all) {
        finish_growing(r, taken);
    } else if (moved) {
        memory_resize_tell(r, MEMORY_RESIZE_RUNNING, g_strdup("the guest takes the new memory"));
    }
}

void memory_resize_end_growing(MemoryResize *r)
{
    r->done = 0;
    for (guint i = 0; i < r->plugged->len; i++) {
        const char *id = r->plugged->pdata[i];
        DimmInfo info;

        if (memory_devices_find(memory_resize_devices(r), id, &info)) {
            r->done++;
        } else {
            memory_resize_note(r, id, "was taken out meanwhile");
        }
    }
    r->reason = r->reason ? r->reason : g_strdup(MEMORY_FOUND_AT_START);
    finish_growing(r, r->done);
}

static gboolean on_patience_over(gpointer opaque)
{
    MemoryResize *r = opaque;
    unsigned taken;

    r->patience = 0;
    if (!all_answered(r, &taken) && !r->reason) {
        r->reason = g_strdup_printf("the guest has not answered for %u s; it may still take the "
                                    "memory, or not know ACPI memory hotplug",
                                    GUEST_PATIENCE_S);
    }
    r->done = taken;
    finish_growing(r, taken);
    return G_SOURCE_REMOVE;
}

static char *free_id(MemoryResize *r)
{
    for (unsigned n = 0;; n++) {
        g_autofree char *id = g_strdup_printf("resize%u", n);
        g_autofree char *backend = g_strdup_printf("%s-mem", id);
        DimmInfo info;

        if (!memory_devices_find(memory_resize_devices(r), id, &info) &&
            !object_store_find(machine_objects(r->machine), backend)) {
            return g_steal_pointer(&id);
        }
    }
}

static bool plug(MemoryResize *r, const DimmRange *dimm, GError **error)
{
    ObjectStore *objects = machine_objects(r->machine);
    g_autofree char *id = free_id(r);
    g_autofree char *backend = g_strdup_printf("%s-mem", id);
    g_autofree char *object =
        g_strdup_printf("memory-backend-ram,id=%s,size=%" PRIu64, backend, dimm->size);
    g_autofree char *device =
        g_strdup_printf("pc-dimm,id=%s,memdev=%s,addr=0x%" PRIx64, id, backend, dimm->base);
    g_autoptr(Keyval) properties = keyval_parse(device, "driver", error);

    if (!properties || !object_store_add_option(objects, object, error)) {
        return false;
    }
    if (!machine_device_add(r->machine, properties, error)) {
        object_store_del(objects, backend, NULL);
        return false;
    }
    g_hash_table_add(r->own, g_strdup(id));
    g_ptr_array_add(r->plugged, g_steal_pointer(&id));
    return true;
}

/* The first DIMM that cannot be plugged fails the request; a later one ends it early. */
static bool plug_all(MemoryResize *r, const GArray *dimms, GError **error)
{
    for (guint i = 0; i < dimms->len; i++) {
        g_autoptr(GError) refused = NULL;

        if (plug(r, &g_array_index(dimms, DimmRange, i), &refused)) {
            continue;
        }
        if (i == 0) {
            g_propagate_error(error, g_steal_pointer(&refused));
            return false;
        }
        r->reason = g_strdup(refused->message);
        break;
    }
    return true;
}

bool memory_resize_grow(MemoryResize *r, uint64_t more, GError **error)
{
    g_autoptr(MemoryPlan) plan = machine_memory_plan(r->machine, more, error);

    if (!plan) {
        return false;
    }
    r->dimms = plan->dimms->len;
    if (!plug_all(r, plan->dimms, error)) {
        return false;
    }
    if (machine_run_state(r->machine) == RUN_STATE_PRELAUNCH) {
        memory_resize_end_growing(r);
        return true;
    }
    r->patience = g_timeout_add_seconds(GUEST_PATIENCE_S, on_patience_over, r);
    memory_resize_tell(r, MEMORY_RESIZE_RUNNING, g_strdup("the guest takes the new memory"));
    return true;
}
