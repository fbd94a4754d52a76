/* SPDX-License-Identifier: MIT */
/* Where a PC's RAM and its device-memory window lie. */
#ifndef TESSERA_HW_I386_PC_LAYOUT_H
#define TESSERA_HW_I386_PC_LAYOUT_H

#include <glib.h>
#include "tessera/hw/i386/pc-info.h"

/**
 * pc_layout() - lays RAM out around the hole below 4 GiB and the device-memory window above it
 * @ram_size: bytes of boot RAM, 1 MiB or more
 * @slots: DIMM sockets, 0..256; @maxmem: bytes, @ram_size or more (ignored without slots)
 * @phys_bits: guest-physical address bits that host and guest CPU both have
 * @info: RAM, device memory, slots and phys_bits are filled in; the rest is left
 *
 * Low RAM ends at 3 GiB at most; the rest starts at 4 GiB. The window starts at the end of RAM above
 * 4 GiB (or at 4 GiB), rounded up to 1 GiB; its size is maxmem - ram_size plus 1 GiB for each slot,
 * so that each DIMM can be aligned.
 *
 * Errors: TESSERA_ERROR_LIMIT when something would end above 2^@phys_bits, with the numbers and the
 * largest value that fits; TESSERA_ERROR_INVALID for values outside the ranges above.
 */
bool pc_layout(uint64_t ram_size, unsigned slots, uint64_t maxmem, unsigned phys_bits, PcInfo *info,
               GError **error);

#endif
