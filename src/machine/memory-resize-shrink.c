/* SPDX-License-Identifier: MIT */
/* Resizing a guest's memory: the guest is asked for one DIMM after another. */
#include "memory-resize-internal.h"

#include "tessera/machine/memory-plan.h"
#include "tessera/util/error.h"
#include "tessera/util/size.h"

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
    memory_devices_for_each(memory_resize_devices(r), add_candidate, &c);
    g_array_sort(list, compare_candidates);
    sizes = g_new(uint64_t, list->len + 1);
    for (guint i = 0; i < list->len; i++) {
        sizes[i] = g_array_index(list, Candidate, i).size;
    }
    picked = memory_plan_pick(
        sizes, list->len, memory_devices_summary(memory_resize_devices(r)).block_size, less, &sum);
    for (guint i = 0; i < picked->len; i++) {
        size_t at = g_array_index(picked, size_t, i);

        g_ptr_array_add(ids, g_strdup(g_array_index(list, Candidate, at).id));
    }
    return ids;
}

static void finish_shrinking(MemoryResize *r)
{
    uint64_t now = memory_resize_now(r);

    if (now > r->target && !r->reason) {
        g_autofree char *target = size_format(r->target);

        r->reason = g_strdup_printf("no more DIMMs add up to what is above %s", target);
    }
    memory_resize_finish(r, now <= r->target ? MEMORY_RESIZE_COMPLETED
                            : now < r->start ? MEMORY_RESIZE_PARTIAL
                                             : MEMORY_RESIZE_FAILED);
}

/* Asks for the next DIMM. An error of the request itself (not the guest's) is the first one's. */
static bool ask_next(MemoryResize *r, GError **error)
{
    uint64_t now = memory_resize_now(r);
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
    memory_resize_tell(r, MEMORY_RESIZE_RUNNING,
                       g_strdup_printf("the guest gives '%s' up", r->current));
    return true;
}

/* What became of the DIMM that was asked for. Returns: true when it is decided */
static bool current_decided(MemoryResize *r)
{
    DimmInfo info;

    if (!memory_devices_find(memory_resize_devices(r), r->current, &info)) {
        r->done++;
        return true;
    }
    if (info.state == DIMM_REQUESTED || info.state == DIMM_OFFLINING) {
        return false;
    }
    memory_resize_note(r, r->current, info.reason);
    g_hash_table_add(r->refused, g_strdup(r->current));
    return true;
}

void memory_resize_step_shrinking(MemoryResize *r)
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

bool memory_resize_shrink(MemoryResize *r, uint64_t less, GError **error)
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
