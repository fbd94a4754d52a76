/* SPDX-License-Identifier: MIT */
/* Guest memory as a monitor reads it. */
#include "guest-view-internal.h"

#include <string.h>
#include "tessera/memory/ram-block.h"
#include "tessera/memory/region.h"
#include "tessera/memory/section.h"

#define PAGE_OFFSET_MASK ((uint64_t)GUEST_PAGE_SIZE - 1)

GuestView guest_view(Monitor *mon, bool physical, unsigned cpu)
{
    return (GuestView){ .machine = monitor_machine(mon), .physical = physical, .cpu = cpu };
}

bool guest_view_translate(GuestView *view, uint64_t addr, hwaddr *ret_gpa)
{
    uint64_t page = addr & ~PAGE_OFFSET_MASK;

    if (view->physical) {
        *ret_gpa = addr;
        return true;
    }
    if (!view->has_page || view->page_gva != page) {
        view->has_page = vcpu_set_translate(machine_vcpus(view->machine), view->cpu, page,
                                            &view->page_gpa);
        view->page_gva = page;
    }
    if (!view->has_page) {
        return false;
    }
    *ret_gpa = (view->page_gpa & ~PAGE_OFFSET_MASK) | (addr & PAGE_OFFSET_MASK);
    return true;
}

/* RAM at @gpa and how far it goes on; under the machine lock. NULL: a device, or nothing. */
static const uint8_t *ram_at(AddressSpace *as, hwaddr gpa, uint64_t *ret_len)
{
    MemoryRegionSection section;
    RAMBlock *block;
    uint64_t into;

    if (!address_space_find(as, gpa, &section)) {
        return NULL;
    }
    block = memory_region_ram_block(section.mr);
    if (!block || (memory_region_is_rom_device(section.mr) && !section.romd_mode)) {
        return NULL;
    }
    into = gpa - section.offset_within_address_space;
    *ret_len = (uint64_t)MIN(section.size - into, (Int128)UINT64_MAX);
    return (const uint8_t *)ram_block_host(block) + section.offset_within_region + into;
}

/* @buf NULL: only looks whether it could. */
static bool read_physical(AddressSpace *as, hwaddr gpa, uint8_t *buf, size_t len)
{
    MemorySystem *ms = address_space_system(as);
    size_t done = 0;

    memory_system_lock(ms);
    while (done < len) {
        uint64_t there;
        const uint8_t *host = ram_at(as, gpa + done, &there);
        size_t part;

        if (!host) {
            break;
        }
        part = (size_t)MIN(there, len - done);
        if (buf) {
            memcpy(buf + done, host, part);
        }
        done += part;
    }
    memory_system_unlock(ms);
    return done == len;
}

static bool walk(GuestView *view, uint64_t addr, uint8_t *buf, uint64_t len)
{
    while (len > 0) {
        size_t part = (size_t)MIN(len, GUEST_PAGE_SIZE - (addr & PAGE_OFFSET_MASK));
        hwaddr gpa;

        if (!guest_view_translate(view, addr, &gpa) ||
            !read_physical(machine_memory(view->machine), gpa, buf, part)) {
            return false;
        }
        addr += part;
        buf = buf ? buf + part : NULL;
        len -= part;
    }
    return true;
}

bool guest_view_read(GuestView *view, uint64_t addr, void *buf, size_t len)
{
    return walk(view, addr, buf, len);
}

bool guest_view_readable(GuestView *view, uint64_t addr, uint64_t len, uint64_t *ret_bad)
{
    uint64_t done = 0;

    while (done < len) {
        uint64_t part = MIN(len - done, GUEST_PAGE_SIZE - ((addr + done) & PAGE_OFFSET_MASK));

        if (!walk(view, addr + done, NULL, part)) {
            *ret_bad = addr + done;
            return false;
        }
        done += part;
    }
    return true;
}
