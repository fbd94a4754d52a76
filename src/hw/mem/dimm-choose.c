/* SPDX-License-Identifier: MIT */
/* Which socket and which address a DIMM gets, or why it gets none. */
#include "memory-devices-internal.h"

#include "tessera/util/error.h"
#include "tessera/util/size.h"

uint64_t memory_devices_guest_block(const MemoryDevices *md)
{
    return dimm_guest_block_size(md->config.boot_ram_end);
}

static bool choose_slot(MemoryDevices *md, const DimmRequest *request, unsigned *ret_slot,
                        GError **error)
{
    unsigned slots = md->config.slots;

    if (!request->has_slot) {
        for (unsigned slot = 0; slot < slots; slot++) {
            if (!md->slots[slot]) {
                *ret_slot = slot;
                return true;
            }
        }
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "all %u memory slots are in use; %s", slots, dimm_slots_advice(slots));
        return false;
    }
    if (request->slot >= slots) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "slot=%u: -m slots=%u gave the machine the slots 0 .. %u", request->slot, slots,
                    slots - 1);
        return false;
    }
    if (md->slots[request->slot]) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_EXISTS,
                    "slot=%u: '%s' is in it; leave slot out and a free one is taken", request->slot,
                    dimm_id(md->slots[request->slot]));
        return false;
    }
    *ret_slot = request->slot;
    return true;
}

static bool check_maxmem(MemoryDevices *md, uint64_t size, GError **error)
{
    const MemoryDevicesConfig *c = &md->config;
    uint64_t used = c->boot_ram + md->plugged;
    uint64_t left = c->maxmem > used ? c->maxmem - used : 0;
    g_autofree char *left_text = NULL;
    g_autofree char *size_text = NULL;
    g_autofree char *maxmem_text = NULL;

    if (size <= left) {
        return true;
    }
    left_text = left ? size_format(left) : g_strdup("nothing");
    size_text = size_format(size);
    maxmem_text = size_format_option(c->maxmem);
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                "%s would bring the machine above -m maxmem=%s; %s is left", size_text, maxmem_text,
                left_text);
    return false;
}

/* A sentence for a window whose free space lies in pieces, or is used up by alignment. */
static void set_no_room(const DimmWindow *window, uint64_t size, uint64_t align, GError **error)
{
    uint64_t fits = dimm_largest_fit(window, align);
    g_autofree char *size_text = size_format(size);
    g_autofree char *fits_text = fits ? size_format(fits) : g_strdup("none");

    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                "no gap of the device-memory window holds %s; the largest that fits is %s",
                size_text, fits_text);
}

static bool choose_addr(MemoryDevices *md, const DimmRequest *request, uint64_t size,
                        uint64_t page_size, uint64_t *ret_addr, GError **error)
{
    DimmWindow window = {
        .base = md->config.window_base,
        .size = (uint64_t)memory_region_size(md->config.window),
        .taken = (const DimmRange *)(const void *)md->ranges->data,
        .n_taken = md->ranges->len,
    };
    uint64_t align = dimm_alignment(memory_devices_guest_block(md), page_size);
    size_t overlap;

    if (!request->has_addr) {
        if (!dimm_place(&window, size, align, ret_addr)) {
            set_no_room(&window, size, align, error);
            return false;
        }
        return true;
    }
    if (!dimm_check_base(&window, request->addr, size, memory_devices_guest_block(md), page_size, &overlap,
                         error)) {
        if (overlap != SIZE_MAX) {
            g_prefix_error(error, "DIMM '%s' lies there: ",
                           dimm_id(md->by_addr->pdata[overlap]));
        }
        return false;
    }
    *ret_addr = request->addr;
    return true;
}

bool dimm_choose(MemoryDevices *md, const DimmRequest *request, MemoryBackend *backend,
                 unsigned *ret_slot, uint64_t *ret_addr, GError **error)
{
    uint64_t size = memory_backend_size(backend);
    uint64_t page_size = ram_block_page_size(memory_backend_ram_block(backend));

    if (!dimm_check_size(size, memory_devices_guest_block(md), page_size, error)) {
        g_prefix_error(error, "memdev '%s': ", memory_backend_id(backend));
        return false;
    }
    return choose_slot(md, request, ret_slot, error) && check_maxmem(md, size, error) &&
           choose_addr(md, request, size, page_size, ret_addr, error);
}
