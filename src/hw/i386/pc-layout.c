/* SPDX-License-Identifier: MIT */
/* Where a PC's RAM and its device-memory window lie. */
#include "tessera/hw/i386/pc-layout.h"

#include "tessera/hw/i386/pc-map.h"
#include "tessera/util/error.h"
#include "tessera/util/size.h"

/* What an x86-64 processor can have (Intel SDM volume 3, section 4.1.4); more is not believed. */
#define PHYS_BITS_MAX 52u

typedef unsigned __int128 Wide; /* sums that a user may drive beyond 2^64 */

static Wide round_up(Wide value, uint64_t align)
{
    return (value + align - 1) / align * align;
}

static void set_ram_too_large(uint64_t ram_size, unsigned phys_bits, GError **error)
{
    uint64_t end = 1ULL << phys_bits;
    uint64_t fits = end > PC_ABOVE_4G_BASE ? end - PC_ABOVE_4G_BASE + PC_LOW_RAM_END_MAX
                                           : MIN(end, PC_LOW_RAM_END_MAX);
    g_autofree char *asked = size_format_option(ram_size);
    g_autofree char *most = size_format_option(fits);

    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                "-m %s: RAM would end above guest-physical address 2^%u, and host and guest CPU "
                "together have %u address bits; at most -m %s fits",
                asked, phys_bits, phys_bits, most);
}

/* What would fit above @base instead. Returns: a new string. */
static char *largest_window(Wide base, unsigned slots, unsigned phys_bits, uint64_t ram_size)
{
    Wide end = (Wide)1 << phys_bits;
    Wide room = end > base ? end - base : 0;
    g_autofree char *most = NULL;

    if (room < PC_GIB) {
        return g_strdup("no memory slot fits beside so much RAM");
    }
    if (room < (Wide)slots * PC_GIB) {
        return g_strdup_printf("at most slots=%u fit", (unsigned)(room / PC_GIB));
    }
    most = size_format_option(ram_size + (uint64_t)(room - (Wide)slots * PC_GIB));
    return g_strdup_printf("at most maxmem=%s fits", most);
}

static void set_window_too_large(Wide base, Wide size, unsigned slots, unsigned phys_bits,
                                 uint64_t ram_size, uint64_t maxmem, GError **error)
{
    g_autofree char *asked = size_format_option(maxmem);
    g_autofree char *largest = largest_window(base, slots, phys_bits, ram_size);

    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                "-m slots=%u,maxmem=%s: the device-memory window (maxmem - size, plus 1 GiB for each "
                "slot: %" G_GUINT64_FORMAT " MiB from 0x%" G_GINT64_MODIFIER
                "x) would end above 2^%u, and host and guest CPU together have %u address bits; %s",
                slots, asked, (uint64_t)(size / PC_MIB), (uint64_t)base, phys_bits, phys_bits,
                largest);
}

static bool check_values(uint64_t ram_size, unsigned slots, uint64_t maxmem, GError **error)
{
    if (ram_size < PC_MIB) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "-m %" G_GUINT64_FORMAT "B: a PC needs 1 MiB of RAM or more; try -m 128M",
                    ram_size);
        return false;
    }
    if (slots > PC_DEVICE_MEMORY_SLOTS_MAX) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "-m slots=%u: the board has at most %u memory slots", slots,
                    PC_DEVICE_MEMORY_SLOTS_MAX);
        return false;
    }
    if (slots && maxmem < ram_size) {
        g_autofree char *size_text = size_format_option(ram_size);
        g_autofree char *maxmem_text = size_format_option(maxmem);

        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "-m size=%s,maxmem=%s: maxmem counts boot RAM too, so it must be %s or more",
                    size_text, maxmem_text, size_text);
        return false;
    }
    return true;
}

bool pc_layout(uint64_t ram_size, unsigned slots, uint64_t maxmem, unsigned phys_bits, PcInfo *info,
               GError **error)
{
    uint64_t below = MIN(ram_size, PC_LOW_RAM_END_MAX);
    uint64_t above = ram_size - below;
    unsigned bits = MIN(phys_bits, PHYS_BITS_MAX);
    Wide limit = (Wide)1 << bits;
    Wide ram_end = above ? (Wide)PC_ABOVE_4G_BASE + above : below;
    Wide base = round_up(MAX(ram_end, PC_ABOVE_4G_BASE), PC_DEVICE_MEMORY_ALIGN);
    Wide size = 0;

    if (!check_values(ram_size, slots, maxmem, error)) {
        return false;
    }
    if (ram_end > limit) {
        set_ram_too_large(ram_size, bits, error);
        return false;
    }
    if (slots) {
        size = (Wide)(maxmem - ram_size) + (Wide)slots * PC_GIB;
        if (base + size > limit) {
            set_window_too_large(base, size, slots, bits, ram_size, maxmem, error);
            return false;
        }
    }
    info->ram_below_4g = below;
    info->ram_above_4g = above;
    info->device_memory_base = slots ? (uint64_t)base : 0;
    info->device_memory_size = (uint64_t)size;
    info->memory_slots = slots;
    info->phys_bits = phys_bits;
    return true;
}
