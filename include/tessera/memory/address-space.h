/* SPDX-License-Identifier: MIT */
/* AddressSpace: a tree as one observer sees it, and how it is read and written. */
#ifndef TESSERA_MEMORY_ADDRESS_SPACE_H
#define TESSERA_MEMORY_ADDRESS_SPACE_H

#include <glib.h>
#include <stddef.h>
#include "tessera/memory/types.h"

/**
 * address_space_new() - what @root shows, from its address 0; renders and publishes the first view
 * @name: copied; "memory", "I/O", or a device's name
 *
 * Takes a reference on @root. Spaces with the same effective root share one FlatView. Takes the
 * machine lock; not inside a transaction (asserted). Fails when there is no memory for the view.
 */
AddressSpace *address_space_new(MemorySystem *ms, MemoryRegion *root, const char *name,
                                GError **error);

/** address_space_free() - ends it; listeners must be unregistered before. NULL is allowed. */
void address_space_free(AddressSpace *as);

const char *address_space_name(const AddressSpace *as);
MemoryRegion *address_space_root(const AddressSpace *as);
MemorySystem *address_space_system(const AddressSpace *as);

/*
 * Access. Context: any thread, with or without the machine lock; each call is a read section of its
 * own. Never allocates, never logs, takes no lock.
 *
 * RAM is copied, across ranges. An I/O access is made at full width, up to the region's maximum, to
 * the region at its first byte, even past that region's end in the view. Unassigned space reads as
 * all ones and swallows writes. The results of all pieces are OR-ed (MemTxResult); a failed piece
 * does not stop the rest.
 */
MemTxResult address_space_rw(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, void *buf,
                             uint64_t len, bool is_write);
MemTxResult address_space_read(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, void *buf,
                               uint64_t len);
MemTxResult address_space_write(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, const void *buf,
                                uint64_t len);

/** address_space_rw_traced() - the same, with a trace_event(memory_dispatch) for each piece of it */
MemTxResult address_space_rw_traced(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, void *buf,
                                    uint64_t len, bool is_write);

/** address_space_write_rom() - a loader's write: goes into ROM too; I/O regions are skipped */
MemTxResult address_space_write_rom(AddressSpace *as, hwaddr addr, MemTxAttrs attrs,
                                    const void *buf, uint64_t len);

/**
 * address_space_peek() - reads memory, and never a device, which may change by being read
 * @buf: NULL: only looks whether it could
 *
 * RAM and ROM are memory, and a ROM device while its memory is what the guest reads; a RAM device is
 * not.
 * Returns: false as soon as a byte is not memory; @buf is undefined then. Context: any thread, with
 * or without the machine lock; nothing is counted.
 */
bool address_space_peek(AddressSpace *as, hwaddr addr, void *buf, uint64_t len);

/** address_space_access_valid() - would every byte of this access be accepted by its region? */
bool address_space_access_valid(AddressSpace *as, hwaddr addr, uint64_t len, bool is_write,
                                MemTxAttrs attrs);

/*
 * Loads and stores of one value, in host, little or big endian order. @result may be NULL.
 * A failed load returns all ones.
 */
uint8_t address_space_ldub(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, MemTxResult *result);
uint16_t address_space_lduw_le(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, MemTxResult *result);
uint16_t address_space_lduw_be(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, MemTxResult *result);
uint32_t address_space_ldl_le(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, MemTxResult *result);
uint32_t address_space_ldl_be(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, MemTxResult *result);
uint64_t address_space_ldq_le(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, MemTxResult *result);
uint64_t address_space_ldq_be(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, MemTxResult *result);
void address_space_stb(AddressSpace *as, hwaddr addr, uint8_t v, MemTxAttrs attrs, MemTxResult *result);
void address_space_stw_le(AddressSpace *as, hwaddr addr, uint16_t v, MemTxAttrs attrs, MemTxResult *result);
void address_space_stw_be(AddressSpace *as, hwaddr addr, uint16_t v, MemTxAttrs attrs, MemTxResult *result);
void address_space_stl_le(AddressSpace *as, hwaddr addr, uint32_t v, MemTxAttrs attrs, MemTxResult *result);
void address_space_stl_be(AddressSpace *as, hwaddr addr, uint32_t v, MemTxAttrs attrs, MemTxResult *result);
void address_space_stq_le(AddressSpace *as, hwaddr addr, uint64_t v, MemTxAttrs attrs, MemTxResult *result);
void address_space_stq_be(AddressSpace *as, hwaddr addr, uint64_t v, MemTxAttrs attrs, MemTxResult *result);

/**
 * address_space_map() - a host pointer to guest memory for a device's DMA
 * @len: in: bytes wanted, 1 or more; out: bytes that the pointer is good for (never more)
 * @is_write: the device will write
 *
 * RAM is mapped in place and kept alive until unmapped. Anything else goes through a bounce buffer
 * (read beforehand unless @is_write, written back at unmap); at most
 * ADDRESS_SPACE_BOUNCE_MAX bytes of those per address space at a time.
 *
 * Returns: NULL when nothing can be mapped (no bounce space left: try again after an unmap).
 */
#define ADDRESS_SPACE_BOUNCE_MAX 4096
void *address_space_map(AddressSpace *as, hwaddr addr, uint64_t *len, bool is_write,
                        MemTxAttrs attrs);

/**
 * address_space_unmap() - ends a mapping; @access_len bytes of it were really accessed and, if
 * @is_write, are marked dirty
 */
void address_space_unmap(AddressSpace *as, void *host, uint64_t len, bool is_write,
                         uint64_t access_len);

/**
 * address_space_ram_host() - where a loader writes guest RAM [@addr, @addr + @len), or NULL
 *
 * Only when all of it lies in one RAM region of the current view, ROM included, whose host memory
 * can be written. All of it is marked dirty: who reads the log takes the machine lock as well, and
 * so comes after the writes. Context: machine lock (asserted); nothing keeps the memory alive, nor
 * marks what is written, after it is released.
 */
void *address_space_ram_host(AddressSpace *as, hwaddr addr, uint64_t len);

#endif
