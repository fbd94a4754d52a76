/* SPDX-License-Identifier: MIT */
/* Guest memory as people look at it: by guest-virtual or guest-physical address, without harm. */
#ifndef TESSERA_MACHINE_GUEST_VIEW_H
#define TESSERA_MACHINE_GUEST_VIEW_H

#include "tessera/machine/machine.h"

#define GUEST_PAGE_SIZE 4096u

/**
 * struct GuestView - whose addresses; make it with guest_view()
 * @has_page, @page_gva, @page_gpa: the last translation: a dump asks once for each page
 */
typedef struct GuestView {
    Machine *machine;
    bool physical;
    unsigned cpu;
    bool has_page;
    uint64_t page_gva;
    hwaddr page_gpa;
} GuestView;

/** guest_view() - virtual addresses are those of vCPU @cpu. Context of all: as vcpu_set_translate() */
GuestView guest_view(Machine *machine, bool physical, unsigned cpu);

/** guest_view_translate() - the guest-physical address of @addr; false: nothing is mapped there */
bool guest_view_translate(GuestView *view, uint64_t addr, hwaddr *ret_gpa);

/**
 * guest_view_read() - @len bytes at @addr, across pages; wraps at 2^64 as the guest's addresses do
 *
 * Memory only: a look must not disturb a device, whose registers may change by being read. Returns:
 * false as soon as a byte cannot be read; @buf is undefined then.
 */
bool guest_view_read(GuestView *view, uint64_t addr, void *buf, size_t len);

/**
 * guest_view_write() - @len bytes to @addr, across pages; memory only, ROM too, however it is mapped
 *
 * Marks what it writes dirty. Returns: false as soon as a byte cannot be written; those before it are.
 */
bool guest_view_write(GuestView *view, uint64_t addr, const void *buf, size_t len);

/** guest_view_readable() - would guest_view_read() succeed? @ret_bad: the page where not */
bool guest_view_readable(GuestView *view, uint64_t addr, uint64_t len, uint64_t *ret_bad);

#endif
