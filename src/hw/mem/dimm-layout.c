/* SPDX-License-Identifier: MIT */
/* Where DIMMs may go: the guest's memory blocks, placement in the window, what a DIMM costs. */
#include "tessera/hw/mem/dimm-layout.h"

#include <inttypes.h>
#include "tessera/hw/acpi/memory-hotplug.h"
#include "tessera/util/error.h"
#include "tessera/util/size.h"

/* Linux 6.1: MIN_MEMORY_BLOCK_SIZE, MAX_BLOCK_SIZE, MEM_SIZE_FOR_LARGE_BLOCK on x86-64. */
#define GUEST_BLOCK_MIN   (128 * MIB)
#define GUEST_BLOCK_MAX   (2 * GIB)
#define GUEST_LARGE_START (64 * GIB)

#define LARGE_PAGE      (2 * MIB) /* of x86-64's second-level page tables */
#define GUEST_PAGE      (4 * KIB)
#define GUEST_PAGE_COST 64 /* sizeof(struct page) */

/* Part of boot RAM that descriptions may take before the user is warned. */
#define MEMMAP_WARN_PART 4

uint64_t dimm_guest_block_size(uint64_t boot_ram_end)
{
    uint64_t block = GUEST_BLOCK_MAX;

    if (boot_ram_end < GUEST_LARGE_START) {
        return GUEST_BLOCK_MIN;
    }
    while (block > GUEST_BLOCK_MIN && boot_ram_end % block != 0) {
        block /= 2;
    }
    return block;
}

uint64_t dimm_alignment(uint64_t guest_block, uint64_t page_size)
{
    return MAX(MAX(LARGE_PAGE, guest_block), page_size);
}

typedef unsigned __int128 Wide; /* sums near the end of the address space */

/* Where gap @i starts and ends: before taken[i], or behind the last one. */
static Wide gap_start(const DimmWindow *window, size_t i)
{
    return i == 0 ? window->base : (Wide)window->taken[i - 1].base + window->taken[i - 1].size;
}

static Wide gap_end(const DimmWindow *window, size_t i)
{
    return i < window->n_taken ? window->taken[i].base : (Wide)window->base + window->size;
}

static Wide align_up(Wide value, uint64_t align)
{
    return (value + align - 1) / align * align;
}

bool dimm_find_gap(const DimmWindow *window, uint64_t size, uint64_t align, uint64_t *ret_base)
{
    for (size_t i = 0; i <= window->n_taken; i++) {
        Wide base = gap_start(window, i), end = gap_end(window, i);

        if (base + size > end) {
            continue; /* most gaps, mostly: dividing is what costs here */
        }
        base = align_up(base, align);
        if (base + size <= end) {
            *ret_base = (uint64_t)base;
            return true;
        }
    }
    return false;
}

bool dimm_place(const DimmWindow *window, uint64_t size, uint64_t align, uint64_t *ret_base)
{
    return (size >= GIB && align < GIB && dimm_find_gap(window, size, GIB, ret_base)) ||
           dimm_find_gap(window, size, align, ret_base);
}

uint64_t dimm_largest_fit(const DimmWindow *window, uint64_t align)
{
    uint64_t largest = 0;

    for (size_t i = 0; i <= window->n_taken; i++) {
        Wide base = align_up(gap_start(window, i), align);
        Wide end = gap_end(window, i);

        if (end > base) {
            largest = MAX(largest, (uint64_t)((end - base) / align * align));
        }
    }
    return largest;
}

/* "DIMM must be multiples of 128 MiB, the guest's memory block": which of the three rules it is. */
static char *rule_text(uint64_t guest_block, uint64_t page_size)
{
    uint64_t align = dimm_alignment(guest_block, page_size);
    g_autofree char *unit = size_format(align);

    if (align == guest_block) {
        return g_strdup_printf("%s, the guest's memory block: a Linux guest that boots with this "
                               "-m adds memory in such units",
                               unit);
    }
    return g_strdup_printf("%s, %s", unit,
                           align == page_size ? "the page size of the memory behind it"
                                              : "the processor's large page");
}

/* "the nearest are 128M and 256M" */
static char *nearest_text(uint64_t value, uint64_t align)
{
    uint64_t down = value / align * align;
    g_autofree char *below = size_format_option(down);
    g_autofree char *above = size_format_option(down + align);

    if (down == 0 || down > UINT64_MAX - align) {
        return g_strdup_printf("the nearest is %s", down ? below : above);
    }
    return g_strdup_printf("the nearest are %s and %s", below, above);
}

bool dimm_check_size(uint64_t size, uint64_t guest_block, uint64_t page_size, GError **error)
{
    uint64_t align = dimm_alignment(guest_block, page_size);
    g_autofree char *given = NULL;
    g_autofree char *rule = NULL;
    g_autofree char *nearest = NULL;

    if (size > 0 && size % align == 0) {
        return true;
    }
    given = size_format_option(size);
    rule = rule_text(guest_block, page_size);
    nearest = nearest_text(size, align);
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                "size=%s: not a multiple of %s; %s", given, rule, nearest);
    return false;
}

static bool check_inside(const DimmWindow *window, uint64_t base, uint64_t size, GError **error)
{
    uint64_t last = window->base + window->size - size;

    if (size <= window->size && base >= window->base && base <= last) {
        return true;
    }
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                "addr=0x%" PRIx64 ": the device-memory window is 0x%" PRIx64 " .. 0x%" PRIx64
                "; leave addr out and the first place that fits is taken",
                base, window->base, window->base + window->size - 1);
    return false;
}

bool dimm_check_base(const DimmWindow *window, uint64_t base, uint64_t size, uint64_t guest_block,
                     uint64_t page_size, size_t *ret_overlap, GError **error)
{
    uint64_t align = dimm_alignment(guest_block, page_size);

    *ret_overlap = SIZE_MAX;
    if (!check_inside(window, base, size, error)) {
        return false;
    }
    if (base % align != 0) {
        g_autofree char *rule = rule_text(guest_block, page_size);
        uint64_t down = base / align * align;
        g_autofree char *below = down >= window->base ? g_strdup_printf("0x%" PRIx64 " and ", down)
                                                      : g_strdup("");

        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "addr=0x%" PRIx64 ": not a multiple of %s; nearest: %s0x%" PRIx64, base, rule,
                    below, down + align);
        return false;
    }
    for (size_t i = 0; i < window->n_taken; i++) {
        const DimmRange *t = &window->taken[i];

        if (base < t->base + t->size && t->base < base + size) {
            *ret_overlap = i;
            g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_EXISTS,
                        "addr=0x%" PRIx64 ": 0x%" PRIx64 " .. 0x%" PRIx64 " is taken", base,
                        t->base, t->base + t->size - 1);
            return false;
        }
    }
    return true;
}

const char *dimm_slots_advice(unsigned slots)
{
    return slots < MEMORY_HOTPLUG_SLOTS_MAX
               ? "unplug a DIMM, or start with more by -m slots="
               : "no machine has more: unplug a DIMM, and plug a larger one instead";
}

uint64_t dimm_memmap_cost(uint64_t size)
{
    return size / GUEST_PAGE * GUEST_PAGE_COST;
}

unsigned dimm_memmap_concern(uint64_t boot_ram, uint64_t plugged)
{
    uint64_t cost = dimm_memmap_cost(plugged);

    return (cost > boot_ram / MEMMAP_WARN_PART) + (cost >= boot_ram);
}

char *dimm_memmap_warning(uint64_t boot_ram, uint64_t plugged, uint64_t size)
{
    unsigned concern = dimm_memmap_concern(boot_ram, plugged + size);
    uint64_t cost = dimm_memmap_cost(plugged + size);
    g_autofree char *all = NULL;
    g_autofree char *need = NULL;
    g_autofree char *have = NULL;

    if (concern == 0) {
        return NULL;
    }
    all = size_format(plugged + size);
    need = size_format(cost);
    have = size_format(boot_ram);
    return g_strdup_printf(
        "a Linux guest describes %s of plugged memory with %s, which come out of its boot RAM of "
        "%s when it onlines the memory as movable%s; memory_hotplug.memmap_on_memory=1 on its "
        "command line puts them into the new memory itself",
        all, need, have, concern > 1 ? ": that cannot work" : "");
}
