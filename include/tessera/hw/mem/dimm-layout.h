/* SPDX-License-Identifier: MIT */
/* Where DIMMs may go: the guest's memory blocks, placement in the window, what a DIMM costs. */
#ifndef TESSERA_HW_MEM_DIMM_LAYOUT_H
#define TESSERA_HW_MEM_DIMM_LAYOUT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Pure functions; all addresses are guest-physical, all sizes bytes. Context: any thread. */

/**
 * dimm_guest_block_size() - the unit in which a Linux guest adds memory
 * @boot_ram_end: first address behind boot RAM
 *
 * Linux 6.1, arch/x86/mm/init_64.c, probe_memory_block_size(): 128 MiB while boot RAM ends below
 * 64 GiB; else, in a virtual machine, the largest power of two up to 2 GiB that divides its end.
 */
uint64_t dimm_guest_block_size(uint64_t boot_ram_end);

/**
 * dimm_alignment() - what base and size of a DIMM must be multiples of: the largest of 2 MiB (so
 * that large pages can map it), the guest's block, and the page of what backs it
 * @guest_block, @page_size: powers of two
 */
uint64_t dimm_alignment(uint64_t guest_block, uint64_t page_size);

/** struct DimmRange - a place that is taken: [@base, @base + @size) */
typedef struct DimmRange {
    uint64_t base;
    uint64_t size;
} DimmRange;

/**
 * struct DimmWindow - the device-memory window and what lies in it
 * @base, @size: of the window; it does not wrap
 * @taken: by rising base, not overlapping, inside the window
 */
typedef struct DimmWindow {
    uint64_t base;
    uint64_t size;
    const DimmRange *taken;
    size_t n_taken;
} DimmWindow;

/** dimm_find_gap() - the lowest free multiple of @align (a power of two) with @size bytes behind it */
bool dimm_find_gap(const DimmWindow *window, uint64_t size, uint64_t align, uint64_t *ret_base);

/**
 * dimm_place() - first fit, in gaps where huge pages of 1 GiB remain possible if there is one
 *
 * A DIMM of 1 GiB or more goes to a multiple of 1 GiB as long as there is one free: host memory of
 * that size is aligned so, and GPA and HVA that agree modulo 1 GiB can be mapped by 1 GiB pages.
 */
bool dimm_place(const DimmWindow *window, uint64_t size, uint64_t align, uint64_t *ret_base);

/** dimm_largest_fit() - bytes of the largest DIMM that dimm_place() would find a place for; 0: none */
uint64_t dimm_largest_fit(const DimmWindow *window, uint64_t align);

/**
 * dimm_check_size() - can the guest use a DIMM of @size bytes?
 * @guest_block, @page_size: as for dimm_alignment()
 *
 * Errors: TESSERA_ERROR_INVALID, naming the rule, the guest's block and the nearest sizes. The
 * sentence has no subject: "size=100M: ...".
 */
bool dimm_check_size(uint64_t size, uint64_t guest_block, uint64_t page_size, GError **error);

/**
 * dimm_check_base() - may a DIMM of @size bytes lie at @base?
 * @ret_overlap: index in @window->taken of the DIMM that lies there; SIZE_MAX if none
 *
 * Errors: TESSERA_ERROR_INVALID (alignment, outside of the window); TESSERA_ERROR_EXISTS without
 * naming the neighbour, which is the caller's to do.
 */
bool dimm_check_base(const DimmWindow *window, uint64_t base, uint64_t size, uint64_t guest_block,
                     uint64_t page_size, size_t *ret_overlap, GError **error);

/** dimm_slots_advice() - what a user may do who has DIMMs in all @slots of the machine; no full stop */
const char *dimm_slots_advice(unsigned slots);

/** dimm_memmap_cost() - bytes that a Linux guest needs to describe @size bytes of new memory */
uint64_t dimm_memmap_cost(uint64_t size);

/**
 * dimm_memmap_concern() - how much of boot RAM the descriptions of @plugged bytes take: 0, not worth
 * a word; 1, a quarter and more; 2, all of it
 */
unsigned dimm_memmap_concern(uint64_t boot_ram, uint64_t plugged);

/**
 * dimm_memmap_warning() - what to tell the user before @size more bytes are plugged, or NULL
 * @boot_ram: bytes; @plugged: bytes plugged already
 *
 * Memory that is onlined as movable cannot hold the descriptions: they come out of boot RAM, which
 * the warning is about as soon as they take more than a quarter of it.
 * Returns: a new sentence.
 */
char *dimm_memmap_warning(uint64_t boot_ram, uint64_t plugged, uint64_t size);

#endif
