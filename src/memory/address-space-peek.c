/* SPDX-License-Identifier: MIT */
/* Reading memory without disturbing a device. */
#include "tessera/memory/address-space.h"

#include <string.h>
#include "memory-internal.h"

/* Host memory that the guest reads at @addr, and how far it goes on; NULL: a device, or nothing. */
static const uint8_t *memory_at(const Dispatch *dispatch, hwaddr addr, uint64_t *ret_len)
{
    const DispatchSection *s = dispatch_lookup(dispatch, addr);

    if (!s->mr || !s->mr->block || s->mr->kind == REGION_RAM_DEVICE ||
        (s->mr->kind == REGION_ROM_DEVICE && !s->romd_mode)) {
        return NULL;
    }
    *ret_len = s->last - addr;
    *ret_len += *ret_len < UINT64_MAX; /* a tile may be all of the address space */
    return (const uint8_t *)ram_block_host(s->mr->block) + s->offset_in_region +
           (addr - s->start);
}

bool address_space_peek(AddressSpace *as, hwaddr addr, void *buf, uint64_t len)
{
    const Dispatch *dispatch;
    uint64_t done = 0;

    rcu_read_section_enter();
    dispatch = flatview_dispatch(address_space_flatview(as));
    while (done < len) {
        uint64_t there;
        const uint8_t *host = memory_at(dispatch, addr + done, &there);

        if (!host) {
            break;
        }
        there = MIN(there, len - done);
        if (buf) {
            memcpy((uint8_t *)buf + done, host, there);
        }
        done += there;
    }
    rcu_read_section_leave();
    return done == len;
}
