/* SPDX-License-Identifier: MIT */
/* Memory plans: which DIMMs, where, and what they take. */
#include "tessera/machine/memory-plan.h"

#include <inttypes.h>
#include <string.h>
#include "tessera/hw/i386/pc-map.h"
#include "tessera/util/error.h"
#include "tessera/util/size.h"

#define HOST_PAGE 4096u /* of anonymous memory, which plans are made of */

static uint64_t divide_up(uint64_t value, uint64_t unit)
{
    return value / unit + (value % unit != 0);
}

/* The window while a plan grows in it. */
typedef struct Filling {
    DimmWindow window;
    GArray *taken; /* DimmRange, by address */
} Filling;

static void fill(Filling *f, DimmRange dimm)
{
    guint at = 0;

    while (at < f->taken->len && g_array_index(f->taken, DimmRange, at).base < dimm.base) {
        at++;
    }
    g_array_insert_val(f->taken, at, dimm);
    f->window.taken = (const DimmRange *)(void *)f->taken->data;
    f->window.n_taken = f->taken->len;
}

/* DIMMs of at most @unit bytes; smaller where the gaps are. NULL: the slots or the gaps are too few. */
static GArray *lay_units(const MemoryPool *pool, uint64_t size, uint64_t unit)
{
    GArray *dimms = g_array_new(FALSE, FALSE, sizeof(DimmRange));
    Filling f = { pool->window, g_array_new(FALSE, FALSE, sizeof(DimmRange)) };
    uint64_t left = size;

    g_array_append_vals(f.taken, pool->window.taken, (guint)pool->window.n_taken);
    while (left > 0 && dimms->len < pool->slots) {
        DimmRange dimm = { .size = MIN(left, unit) };

        if (!dimm_place(&f.window, dimm.size, pool->align, &dimm.base)) {
            dimm.size = MIN(dimm.size, dimm_largest_fit(&f.window, pool->align));
            if (dimm.size == 0 ||
                !dimm_place(&f.window, dimm.size, pool->align, &dimm.base)) {
                break;
            }
        }
        fill(&f, dimm);
        g_array_append_val(dimms, dimm);
        left -= dimm.size;
    }
    g_array_unref(f.taken);
    if (left > 0) {
        g_array_unref(dimms);
        return NULL;
    }
    return dimms;
}

/* The smallest DIMM with which the slots that are free reach maxmem. */
static uint64_t smallest_unit(const MemoryPool *pool)
{
    uint64_t unit = pool->align;

    while (divide_up(pool->room, unit) > pool->slots && unit <= UINT64_MAX / 2) {
        unit *= 2;
    }
    return unit;
}

static GArray *lay(const MemoryPool *pool, uint64_t size)
{
    for (uint64_t unit = smallest_unit(pool);; unit *= 2) {
        GArray *dimms = lay_units(pool, size, unit);

        if (dimms || unit >= size || unit > UINT64_MAX / 2) {
            return dimms;
        }
    }
}

/* For the message: halves the distance between what works and what does not. */
static uint64_t largest_possible(const MemoryPool *pool)
{
    uint64_t low = 0;
    uint64_t high = pool->room / pool->align;

    while (low < high) {
        uint64_t middle = low + (high - low + 1) / 2;
        g_autoptr(GArray) dimms = lay(pool, middle * pool->align);

        if (dimms) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low * pool->align;
}

static void set_too_much(const MemoryPool *pool, uint64_t size, GError **error)
{
    uint64_t largest = pool->slots ? largest_possible(pool) : 0;
    g_autofree char *given = size_format(size);
    g_autofree char *fits = largest ? size_format(largest) : g_strdup("nothing");
    g_autofree char *room = size_format(pool->room);

    if (size > pool->room) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "%s more would bring the machine above -m maxmem=; %s is left%s%s", given, room,
                    largest == pool->room ? "" : ", of which slots and gaps allow ",
                    largest == pool->room ? "" : fits);
    } else if (pool->slots == 0) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "all memory slots are in use; %s",
                    dimm_slots_advice((unsigned)pool->window.n_taken)); /* one in each */
    } else {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "%s more does not fit into the gaps of the device-memory window with %u free "
                    "slots; at most %s does", given, pool->slots, fits);
    }
}

GArray *memory_plan_lay(const MemoryPool *pool, uint64_t size, GError **error)
{
    GArray *dimms = size <= pool->room && pool->slots > 0 ? lay(pool, size) : NULL;

    g_assert(size > 0 && size % pool->align == 0);
    if (!dimms) {
        set_too_much(pool, size, error);
    }
    return dimms;
}

/*
 * Subset sums: by[s] is the number (from 1) of the last item of a set that adds up to s units, the
 * items before it reaching the rest; 0: none does.
 */
static void reach_sums(const uint64_t *sizes, size_t n, uint64_t unit, uint32_t *by, uint64_t sums)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t item = sizes[i] / unit;

        for (uint64_t s = sums; item > 0 && s >= item; s--) {
            if (!by[s] && (s == item || by[s - item])) {
                by[s] = (uint32_t)(i + 1);
            }
        }
    }
}

GArray *memory_plan_pick(const uint64_t *sizes, size_t n, uint64_t unit, uint64_t total,
                         uint64_t *ret_sum)
{
    GArray *picked = g_array_new(FALSE, FALSE, sizeof(size_t));
    uint64_t all = 0, sums, best;
    g_autofree uint32_t *by = NULL;

    for (size_t i = 0; i < n; i++) {
        all += sizes[i];
    }
    sums = MIN(total, all) / unit;
    by = g_new0(uint32_t, sums + 1);
    reach_sums(sizes, n, unit, by, sums);
    best = sums;
    while (best > 0 && !by[best]) {
        best--;
    }
    *ret_sum = best * unit;
    while (best > 0) {
        size_t item = by[best] - 1;

        g_array_prepend_val(picked, item);
        best -= sizes[item] / unit;
    }
    return picked;
}

MemoryReturn memory_plan_return(const char *append)
{
    static const char key[] = "memhp_default_state=";
    g_auto(GStrv) words = g_strsplit_set(append ? append : "", " \t\n", -1);
    MemoryReturn answer = MEMORY_RETURN_UNKNOWN;

    for (char **word = words; *word; word++) { /* the last one counts, as for the kernel */
        if (g_str_has_prefix(*word, key)) {
            const char *value = *word + strlen(key);

            answer = strcmp(value, "online_movable") == 0 ? MEMORY_RETURN_LIKELY
                     : strcmp(value, "offline") == 0      ? MEMORY_RETURN_UNKNOWN
                                                          : MEMORY_RETURN_UNLIKELY;
        }
    }
    return answer;
}

/* A machine's pool. */

static void add_taken(const DimmInfo *info, void *opaque)
{
    DimmRange range = { info->addr, info->size };

    g_array_append_val((GArray *)opaque, range);
}

static gint compare_bases(gconstpointer a, gconstpointer b)
{
    const DimmRange *x = a;
    const DimmRange *y = b;

    return x->base < y->base ? -1 : x->base > y->base;
}

static GArray *taken_ranges(MemoryDevices *md)
{
    GArray *taken = g_array_new(FALSE, FALSE, sizeof(DimmRange));

    memory_devices_for_each(md, add_taken, taken);
    g_array_sort(taken, compare_bases);
    return taken;
}

static void count_slot(const KvmSlotInfo *slot, void *opaque)
{
    ++*(unsigned *)opaque;
}

static unsigned free_kvm_slots(Machine *machine)
{
    MemorySystem *ms = machine_memory_system(machine);
    unsigned max = kvm_max_slots(machine_kvm(machine));
    unsigned used = 0;

    memory_system_lock(ms);
    kvm_for_each_slot(machine_kvm(machine), count_slot, &used);
    memory_system_unlock(ms);
    return max - MIN(max, used);
}

static uint64_t boot_ram_end(uint64_t ram)
{
    return ram <= PC_LOW_RAM_END_MAX ? ram : PC_ABOVE_4G_BASE + (ram - PC_LOW_RAM_END_MAX);
}

static MemoryPlan *plan_new(Machine *machine, MemoryDevices *md, const MemoryDevicesSummary *s,
                            uint64_t asked, uint64_t size)
{
    MemoryPlan *plan = g_new0(MemoryPlan, 1);

    plan->asked = asked;
    plan->size = size;
    plan->block_size = s->block_size;
    plan->boot_ram = s->base_memory;
    plan->boot_ram_end = boot_ram_end(s->base_memory);
    plan->memory = s->base_memory + s->plugged_memory;
    plan->maxmem = s->maxmem;
    plan->slots_free = s->slots - s->slots_used;
    plan->kvm_slots_free = free_kvm_slots(machine);
    plan->memmap_cost = dimm_memmap_cost(size);
    plan->memmap_total = dimm_memmap_cost(s->plugged_memory + size);
    plan->memmap_warning = memory_devices_memmap_warning(md, size);
    plan->comes_back = memory_plan_return(machine_config(machine)->append);
    return plan;
}

MemoryPlan *machine_memory_plan(Machine *machine, uint64_t more, GError **error)
{
    MemoryDevices *md = machine_memory_devices(machine);
    g_autoptr(MemoryPlan) plan = NULL;
    g_autoptr(GArray) taken = NULL;
    MemoryDevicesSummary s;
    MemoryPool pool;
    uint64_t size;

    if (!md) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_UNSUPPORTED,
                    "this machine was started without memory slots: -m SIZE,slots=N,maxmem=SIZE "
                    "makes them");
        return NULL;
    }
    s = memory_devices_summary(md);
    taken = taken_ranges(md);
    pool = (MemoryPool){
        .window = { s.window_base, s.window_size, (const DimmRange *)(void *)taken->data,
                    taken->len },
        .slots = s.slots - s.slots_used,
        .room = s.maxmem - MIN(s.maxmem, s.base_memory + s.plugged_memory),
        .align = dimm_alignment(s.block_size, HOST_PAGE),
    };
    if (more == 0 || more > UINT64_MAX - pool.align) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "%" PRIu64 " bytes more: say how much, for example 1G", more);
        return NULL;
    }
    size = divide_up(more, pool.align) * pool.align;
    plan = plan_new(machine, md, &s, more, size);
    plan->dimms = memory_plan_lay(&pool, size, error);
    if (!plan->dimms) {
        return NULL;
    }
    plan->unreachable = plan->dimms->len == pool.slots ? pool.room - size : 0;
    return g_steal_pointer(&plan);
}

void memory_plan_free(MemoryPlan *plan)
{
    if (plan) {
        if (plan->dimms) {
            g_array_unref(plan->dimms);
        }
        g_free(plan->memmap_warning);
        g_free(plan);
    }
}
