/* SPDX-License-Identifier: MIT */
/* Guest memory as monitors and debuggers read and write it. */
#include "tessera/machine/guest-view.h"

#define PAGE_OFFSET_MASK ((uint64_t)GUEST_PAGE_SIZE - 1)

GuestView guest_view(Machine *machine, bool physical, unsigned cpu)
{
    return (GuestView){ .machine = machine, .physical = physical, .cpu = cpu };
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

static bool walk(GuestView *view, uint64_t addr, uint8_t *buf, uint64_t len)
{
    while (len > 0) {
        size_t part = (size_t)MIN(len, GUEST_PAGE_SIZE - (addr & PAGE_OFFSET_MASK));
        hwaddr gpa;

        if (!guest_view_translate(view, addr, &gpa) ||
            !address_space_peek(machine_memory(view->machine), gpa, buf, part)) {
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

/* Memory only, as when it is read: a device that shows its own as RAM is none. */
static bool write_physical(AddressSpace *as, hwaddr gpa, const uint8_t *buf, size_t len)
{
    return address_space_peek(as, gpa, NULL, len) &&
           address_space_write_rom(as, gpa, MEMTXATTRS_NONE, buf, len) == MEMTX_OK;
}

bool guest_view_write(GuestView *view, uint64_t addr, const void *buf, size_t len)
{
    const uint8_t *from = buf;

    while (len > 0) {
        size_t part = MIN(len, GUEST_PAGE_SIZE - (addr & PAGE_OFFSET_MASK));
        hwaddr gpa;

        if (!guest_view_translate(view, addr, &gpa) ||
            !write_physical(machine_memory(view->machine), gpa, from, part)) {
            return false;
        }
        addr += part;
        from += part;
        len -= part;
    }
    return true;
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
