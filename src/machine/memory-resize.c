/* SPDX-License-Identifier: MIT */
/* The job that makes a guest's memory larger or smaller. */
#include "tessera/machine/memory-resize.h"

#include <inttypes.h>
#include "machine-internal.h"
#include "tessera/machine/memory-plan.h"
#include "tessera/util/error.h"
#include "tessera/util/size.h"

#define GUEST_PATIENCE_S 60 /* for taking new DIMMs; giving up changes nothing */

/*
 * All on the main thread. Events of the memory devices come in the middle of their work: they only
 * schedule step(), which looks at what is there and does what is next.
 */
struct MemoryResize {
    Machine *machine;
    MemoryResizeState state;
    uint64_t start;
    uint64_t target;
    unsigned dimms;
    unsigned done;
    GPtrArray *plugged;  /* char *: what the running request has plugged */
    char *current;       /* DIMM that was asked for, NULL: none */
    GHashTable *refused; /* ids that the guest did not give up in this request */
    GHashTable *own;     /* ids of DIMMs whose backends are ours to delete */
    char *reason;        /* the first thing that went wrong */
    char *doing;
    guint idle;
    guint patience;
};

const char *memory_resize_state_name(MemoryResizeState state)
{
    static const char *const names[] = {
        [MEMORY_RESIZE_NONE] = "none",           [MEMORY_RESIZE_RUNNING] = "running",
        [MEMORY_RESIZE_COMPLETED] = "completed", [MEMORY_RESIZE_PARTIAL] = "partial",
        [MEMORY_RESIZE_FAILED] = "failed",       [MEMORY_RESIZE_CANCELLED] = "cancelled",
    };

    return names[state];
}

static MemoryDevices *devices_of(const MemoryResize *r)
{
    return machine_memory_devices(r->machine);
}

static uint64_t memory_now(const MemoryResize *r)
{
    MemoryDevices *md = devices_of(r);
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
        .now = memory_now(r),
        .dimms = r->dimms,
        .dimms_done = r->done,
        .doing = r->doing,
    };
}

/* Steals @doing. */
static void tell(MemoryResize *r, MemoryResizeState state, char *doing)
{
    MemoryResizeStatus status;

    g_free(r->doing);
    r->doing = doing;
    r->state = state;
    status = status_of(r);
    machine_emit(r->machine, &(MachineEvent){ .kind = MACHINE_EVENT_MEMORY_RESIZE,
                                              .resize = &status });
}

static void note_reason(MemoryResize *r, const char *id, const char *reason)
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

/* The end of a request: how near it came, and what was in the way. */
static void finish(MemoryResize *r, MemoryResizeState state)
{
    g_autofree char *now = size_format(memory_now(r));
    const char *tail = r->reason ? r->reason : "";

    clear_source(&r->patience);
    g_clear_pointer(&r->current, g_free);
    tell(r, state, g_strdup_printf("the machine has %s%s%s", now, *tail ? "; " : "", tail));
}

/* Growing. */

/* Has the guest answered for every DIMM? Counts, and notes the first refusal. */
static bool all_answered(MemoryResize *r, unsigned *ret_taken)
{
    bool all = true;

    *ret_taken = 0;
    for (guint i = 0; i < r->plugged->len; i++) {
        const char *id = r->plugged->pdata[i];
        DimmInfo info;

        if (!memory_devices_find(devices_of(r), id, &info)) {
            note_reason(r, id, "was taken out meanwhile");
        } else if (info.guest_refused_plug) {
            note_reason(r, id, info.reason);
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
    finish(r, taken == r->dimms ? MEMORY_RESIZE_COMPLETED
              : taken > 0       ? MEMORY_RESIZE_PARTIAL
                                : MEMORY_RESIZE_FAILED);
}

static void step_growing(MemoryResize *r)
{
    unsigned taken;
    bool all = all_answered(r, &taken);
    bool moved = taken != r->done;

    r->done = taken;
    if (all) {
        finish_growing(r, taken);
    } else if (moved) {
        tell(r, MEMORY_RESIZE_RUNNING, g_strdup("the guest takes the new memory"));
    }
}

static gboolean on_patience_over(gpointer opaque)
{
    MemoryResize *r = opaque;
    unsigned taken;

    r->patience = 0;
    if (!all_answered(r, &taken) && !r->reason) {
        r->reason = g_strdup_printf("the guest has not answered for %u s; it may still take the "
                                    "memory, or not know ACPI memory hotplug", GUEST_PATIENCE_S);
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

        if (!memory_devices_find(devices_of(r), id, &info) &&
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
    g_autofree char *object = g_strdup_printf("memory-backend-ram,id=%s,size=%" PRIu64, backend,
                                              dimm->size);
    g_autofree char *device = g_strdup_printf("pc-dimm,id=%s,memdev=%s,addr=0x%" PRIx64, id,
                                              backend, dimm->base);
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

static bool grow(MemoryResize *r, uint64_t more, GError **error)
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
        r->done = r->plugged->len;
        r->reason = r->reason ? r->reason : g_strdup("the guest finds the memory when it starts");
        finish_growing(r, r->done);
        return true;
    }
    r->patience = g_timeout_add_seconds(GUEST_PATIENCE_S, on_patience_over, r);
    tell(r, MEMORY_RESIZE_RUNNING, g_strdup("the guest takes the new memory"));
    return true;
}

/* Shrinking. */

typedef struct Candidate {
    char *id;
    uint64_t size;
    uint64_t addr;
    bool own;
} Candidate;

typedef struct Candidates {
    MemoryResize *r;
    GArray *list; /* Candidate */
} Candidates;

static void clear_candidate(gpointer opaque)
{
    g_free(((Candidate *)opaque)->id);
}

static void add_candidate(const DimmInfo *info, void *opaque)
{
    Candidates *c = opaque;
    Candidate candidate = { .size = info->size, .addr = info->addr };

    if (!info->hotpluggable || g_hash_table_contains(c->r->refused, info->id)) {
        return;
    }
    candidate.id = g_strdup(info->id);
    candidate.own = g_hash_table_contains(c->r->own, info->id);
    g_array_append_val(c->list, candidate);
}

/* Those that an earlier request has made come first, and the highest in memory. */
static gint compare_candidates(gconstpointer a, gconstpointer b)
{
    const Candidate *x = a;
    const Candidate *y = b;

    if (x->own != y->own) {
        return x->own ? -1 : 1;
    }
    return x->addr > y->addr ? -1 : x->addr < y->addr;
}

/* Ids of DIMMs that add up to @less or to as much of it as is possible. */
static GPtrArray *choose(MemoryResize *r, uint64_t less)
{
    GPtrArray *ids = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(Candidate));
    g_autoptr(GArray) picked = NULL;
    g_autofree uint64_t *sizes = NULL;
    Candidates c = { r, list };
    uint64_t sum;

    g_array_set_clear_func(list, clear_candidate);
    memory_devices_for_each(devices_of(r), add_candidate, &c);
    g_array_sort(list, compare_candidates);
    sizes = g_new(uint64_t, list->len + 1);
    for (guint i = 0; i < list->len; i++) {
        sizes[i] = g_array_index(list, Candidate, i).size;
    }
    picked = memory_plan_pick(sizes, list->len, memory_devices_summary(devices_of(r)).block_size,
                              less, &sum);
    for (guint i = 0; i < picked->len; i++) {
        size_t at = g_array_index(picked, size_t, i);

        g_ptr_array_add(ids, g_strdup(g_array_index(list, Candidate, at).id));
    }
    return ids;
}

static void finish_shrinking(MemoryResize *r)
{
    uint64_t now = memory_now(r);

    if (now > r->target && !r->reason) {
        g_autofree char *target = size_format(r->target);

        r->reason = g_strdup_printf("no more DIMMs add up to what is above %s", target);
    }
    finish(r, now <= r->target ? MEMORY_RESIZE_COMPLETED
              : now < r->start ? MEMORY_RESIZE_PARTIAL
                               : MEMORY_RESIZE_FAILED);
}

/* Asks for the next DIMM. An error of the request itself (not the guest's) is the first one's. */
static bool ask_next(MemoryResize *r, GError **error)
{
    uint64_t now = memory_now(r);
    g_autoptr(GPtrArray) ids = choose(r, now > r->target ? now - r->target : 0);

    if (ids->len == 0) {
        r->dimms = r->done;
        return false;
    }
    r->dimms = r->done + ids->len;
    if (!machine_device_del(r->machine, ids->pdata[0], error)) {
        return false;
    }
    r->current = g_strdup(ids->pdata[0]);
    tell(r, MEMORY_RESIZE_RUNNING, g_strdup_printf("the guest gives '%s' up", r->current));
    return true;
}

/* What became of the DIMM that was asked for. Returns: true when it is decided */
static bool current_decided(MemoryResize *r)
{
    DimmInfo info;

    if (!memory_devices_find(devices_of(r), r->current, &info)) {
        r->done++;
        return true;
    }
    if (info.state == DIMM_REQUESTED || info.state == DIMM_OFFLINING) {
        return false;
    }
    note_reason(r, r->current, info.reason);
    g_hash_table_add(r->refused, g_strdup(r->current));
    return true;
}

static void step_shrinking(MemoryResize *r)
{
    g_autoptr(GError) error = NULL;

    if (r->current && !current_decided(r)) {
        return;
    }
    g_clear_pointer(&r->current, g_free);
    if (!ask_next(r, &error)) {
        if (error && !r->reason) {
            r->reason = g_strdup(error->message);
        }
        finish_shrinking(r);
    }
}

static bool shrink(MemoryResize *r, uint64_t less, GError **error)
{
    g_autoptr(GError) refused = NULL;

    if (ask_next(r, &refused)) {
        return true;
    }
    if (refused) {
        g_propagate_error(error, g_steal_pointer(&refused));
    } else {
        g_autofree char *text = size_format(less);

        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "no DIMMs add up to %s or less; `info memory-devices` lists them", text);
    }
    return false;
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
        if (!memory_devices_find(devices_of(r), id, &info)) {
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
            step_growing(r);
        } else {
            step_shrinking(r);
        }
    }
    return G_SOURCE_REMOVE;
}

static void start_step(MemoryResize *r)
{
    if (!r->idle) {
        r->idle = g_idle_add(step, r);
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

    if (!devices_of(r)) {
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
    r->start = memory_now(r);
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
        return grow(r, target - r->start, error);
    }
    if (target < r->start) {
        return shrink(r, r->start - target, error);
    }
    finish(r, MEMORY_RESIZE_COMPLETED);
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
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "the memory is not being resized");
        return false;
    }
    if (r->current) {
        memory_devices_cancel_unplug(devices_of(r), r->current, NULL);
    }
    finish(r, MEMORY_RESIZE_CANCELLED);
    return true;
}

MemoryResizeStatus machine_memory_resize_status(Machine *machine)
{
    return status_of(machine->resize);
}
