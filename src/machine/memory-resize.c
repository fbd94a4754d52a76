/* SPDX-License-Identifier: MIT */
/* The job that makes a guest's memory larger or smaller. */
#include "tessera/machine/memory-resize.h"

#include "memory-resize-internal.h"
#include "tessera/util/error.h"
#include "tessera/util/size.h"

const char *memory_resize_state_name(MemoryResizeState state)
{
    static const char *const names[] = {
        [MEMORY_RESIZE_NONE] = "none",           [MEMORY_RESIZE_RUNNING] = "running",
        [MEMORY_RESIZE_COMPLETED] = "completed", [MEMORY_RESIZE_PARTIAL] = "partial",
        [MEMORY_RESIZE_FAILED] = "failed",       [MEMORY_RESIZE_CANCELLED] = "cancelled",
    };

    return names[state];
}

MemoryDevices *memory_resize_devices(const MemoryResize *r)
{
    return machine_memory_devices(r->machine);
}

uint64_t memory_resize_now(const MemoryResize *r)
{
    MemoryDevices *md = memory_resize_devices(r);
    MemoryDevicesSummary s;

    if (!md) {
        return machine_config(r->machine)->ram_size;
    }
    s = memory_devices_summary(md);
    return s.base_memory + s.plugged_memory;
}

static MemoryResizeStatus status_of(const MemoryResize *r)
{
    return (MemoryResizeStatus){
        .state = r->state,
        .start = r->start,
        .target = r->target,
        .now = memory_resize_now(r),
        .dimms = r->dimms,
        .dimms_done = r->done,
        .doing = r->doing,
    };
}

void memory_resize_tell(MemoryResize *r, MemoryResizeState state, char *doing)
{
    MemoryResizeStatus status;

    g_free(r->doing);
    r->doing = doing;
    r->state = state;
    status = status_of(r);
    machine_emit(r->machine,
                 &(MachineEvent){ .kind = MACHINE_EVENT_MEMORY_RESIZE, .resize = &status });
}

void memory_resize_note(MemoryResize *r, const char *id, const char *reason)
{
    if (!r->reason) {
        r->reason = g_strdup_printf("'%s': %s", id, reason ? reason : "refused");
    }
}

static void clear_source(guint *id)
{
    if (*id) {
        g_source_remove(*id);
        *id = 0;
    }
}

void memory_resize_finish(MemoryResize *r, MemoryResizeState state)
{
    g_autofree char *now = size_format(memory_resize_now(r));
    const char *tail = r->reason ? r->reason : "";

    clear_source(&r->patience);
    g_clear_pointer(&r->current, g_free);
    memory_resize_tell(r, state,
                       g_strdup_printf("the machine has %s%s%s", now, *tail ? "; " : "", tail));
}

/* The way on. */

/* Backends that the job has made go as soon as their DIMMs are gone, whoever took those out. */
static void reap(MemoryResize *r)
{
    GHashTableIter it;
    gpointer id;
    DimmInfo info;

    g_hash_table_iter_init(&it, r->own);
    while (g_hash_table_iter_next(&it, &id, NULL)) {
        if (!memory_devices_find(memory_resize_devices(r), id, &info)) {
            g_autofree char *backend = g_strdup_printf("%s-mem", (const char *)id);

            object_store_del(machine_objects(r->machine), backend, NULL);
            g_hash_table_iter_remove(&it);
        }
    }
}

static gboolean step(gpointer opaque)
{
    MemoryResize *r = opaque;

    r->idle = 0;
    reap(r);
    if (r->state == MEMORY_RESIZE_RUNNING) {
        if (r->target > r->start) {
            memory_resize_step_growing(r);
        } else {
            memory_resize_step_shrinking(r);
        }
    }
    return G_SOURCE_REMOVE;
}

/* Not with the priority of idle work: clients that never pause would hold the job up for ever. */
static void start_step(MemoryResize *r)
{
    if (!r->idle) {
        r->idle = g_idle_add_full(G_PRIORITY_DEFAULT, step, r, NULL);
    }
}

void memory_resize_on_reset(MemoryResize *r)
{
    if (r->state == MEMORY_RESIZE_RUNNING && r->target > r->start) {
        memory_resize_end_growing(r);
    }
}

void memory_resize_on_event(MemoryResize *r)
{
    if (r->state == MEMORY_RESIZE_RUNNING || g_hash_table_size(r->own) > 0) {
        start_step(r);
    }
}

MemoryResize *memory_resize_new(Machine *machine)
{
    MemoryResize *r = g_new0(MemoryResize, 1);

    r->machine = machine;
    r->plugged = g_ptr_array_new_with_free_func(g_free);
    r->refused = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    r->own = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return r;
}

void memory_resize_free(MemoryResize *r)
{
    if (!r) {
        return;
    }
    clear_source(&r->idle);
    clear_source(&r->patience);
    g_ptr_array_unref(r->plugged);
    g_hash_table_unref(r->refused);
    g_hash_table_unref(r->own);
    g_free(r->current);
    g_free(r->reason);
    g_free(r->doing);
    g_free(r);
}

/* Requests. */

static bool check_request(MemoryResize *r, uint64_t target, GError **error)
{
    uint64_t base = machine_config(r->machine)->ram_size;

    if (!memory_resize_devices(r)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_UNSUPPORTED,
                    "this machine was started without memory slots: -m SIZE,slots=N,maxmem=SIZE "
                    "makes them");
        return false;
    }
    if (r->state == MEMORY_RESIZE_RUNNING) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_EXISTS,
                    "the memory is being resized already (%s); wait for the end, or cancel",
                    r->doing);
        return false;
    }
    if (target < base) {
        g_autofree char *text = size_format(target);
        g_autofree char *least = size_format(base);

        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "%s is less than boot RAM: %s cannot be taken from the guest", text, least);
        return false;
    }
    return true;
}

static void begin(MemoryResize *r, uint64_t target)
{
    r->start = memory_resize_now(r);
    r->target = target;
    r->dimms = r->done = 0;
    g_ptr_array_set_size(r->plugged, 0);
    g_hash_table_remove_all(r->refused);
    g_clear_pointer(&r->reason, g_free);
    g_clear_pointer(&r->current, g_free);
}

static bool do_resize(MemoryResize *r, uint64_t target, GError **error)
{
    begin(r, target);
    if (target > r->start) {
        return memory_resize_grow(r, target - r->start, error);
    }
    if (target < r->start) {
        return memory_resize_shrink(r, r->start - target, error);
    }
    memory_resize_finish(r, MEMORY_RESIZE_COMPLETED);
    return true;
}

bool machine_memory_resize(Machine *machine, uint64_t target, GError **error)
{
    MemoryResize *r = machine->resize;
    MemoryResize before = *r;

    if (!check_request(r, target, error)) {
        return false;
    }
    if (!do_resize(r, target, error)) { /* nothing was done: the status stays the last request's */
        r->start = before.start;
        r->target = before.target;
        r->dimms = before.dimms;
        r->done = before.done;
        return false;
    }
    return true;
}

bool machine_memory_resize_cancel(Machine *machine, GError **error)
{
    MemoryResize *r = machine->resize;

    if (r->state != MEMORY_RESIZE_RUNNING) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "the memory is not being resized");
        return false;
    }
    if (r->current) {
        memory_devices_cancel_unplug(memory_resize_devices(r), r->current, NULL);
    }
    memory_resize_finish(r, MEMORY_RESIZE_CANCELLED);
    return true;
}

MemoryResizeStatus machine_memory_resize_status(Machine *machine)
{
    return status_of(machine->resize);
}
