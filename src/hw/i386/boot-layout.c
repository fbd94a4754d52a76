/* SPDX-License-Identifier: MIT */
/* Which parts of guest RAM a boot plan has claimed, and where there is room for more. */
#include <inttypes.h>

#include "boot-internal.h"

static uint64_t range_end(const LinuxBootRange *range)
{
    return range->base + range->size;
}

static const LinuxBootRange *find_overlap(const GArray *ranges, uint64_t base, uint64_t end)
{
    for (guint i = 0; i < ranges->len; i++) {
        const LinuxBootRange *range = &g_array_index(ranges, LinuxBootRange, i);

        if (base < range_end(range) && range->base < end) {
            return range;
        }
    }
    return NULL;
}

static gint compare_base(gconstpointer a, gconstpointer b)
{
    const LinuxBootRange *first = a;
    const LinuxBootRange *second = b;

    return first->base < second->base ? -1 : first->base > second->base;
}

void boot_layout_init(BootLayout *layout, const E820Table *e820)
{
    layout->e820 = e820;
    layout->ranges = g_array_new(FALSE, FALSE, sizeof(LinuxBootRange));
}

void boot_layout_done(BootLayout *layout)
{
    g_clear_pointer(&layout->ranges, g_array_unref);
}

bool boot_layout_add(BootLayout *layout, const char *what, uint64_t base, uint64_t size,
                     GError **error)
{
    if (!e820_table_covers(layout->e820, base, size, E820_RAM)) {
        g_autofree char *text = boot_format_size(size);

        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "%s at %#" PRIx64 " (%s) would not be in usable RAM throughout", what, base,
                    text);
        return false;
    }

    const LinuxBootRange *other = find_overlap(layout->ranges, base, base + size);

    if (other) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "%s at [%#" PRIx64 ", %#" PRIx64 ") overlaps %s at [%#" PRIx64 ", %#" PRIx64
                    ")",
                    what, base, base + size, other->what, other->base, range_end(other));
        return false;
    }

    LinuxBootRange range = {.what = what, .base = base, .size = size};

    g_array_append_val(layout->ranges, range);
    g_array_sort(layout->ranges, compare_base);
    return true;
}

/* The same in one stretch of RAM: goes down from its end, below one claimed range at a time. */
static bool find_in_entry(const BootLayout *layout, uint64_t size, uint64_t low, uint64_t high,
                          uint64_t *ret_base)
{
    while (low < high && size <= high - low) {
        uint64_t base = (high - size) & ~(BOOT_PAGE_SIZE - 1);

        if (base < low) {
            return false;
        }

        const LinuxBootRange *other = find_overlap(layout->ranges, base, base + size);

        if (!other) {
            *ret_base = base;
            return true;
        }
        high = other->base;
    }
    return false;
}

bool boot_layout_find_high(const BootLayout *layout, uint64_t size, uint64_t low, uint64_t high,
                           uint64_t *ret_base)
{
    size_t count;
    const E820Entry *entries = e820_table_entries(layout->e820, &count);

    for (size_t i = count; i-- > 0;) {
        uint64_t end = entries[i].base + entries[i].size;

        if (entries[i].type == E820_RAM &&
            find_in_entry(layout, size, MAX(low, entries[i].base), MIN(high, end), ret_base)) {
            return true;
        }
    }
    return false;
}
