/* SPDX-License-Identifier: MIT */
/* Puts a kernel, its initrd, command line and parameters into a PC's memory. */
#ifndef TESSERA_HW_I386_LINUX_LOADER_H
#define TESSERA_HW_I386_LINUX_LOADER_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tessera/hw/i386/linux-image.h"
#include "tessera/hw/i386/pc-info.h"
#include "tessera/util/x86-entry.h"

/*
 * Two steps. linux_boot_plan_new() computes where everything goes and refuses what does not fit;
 * it writes nothing. linux_boot_plan_load() writes; it is called once before the first vCPU runs
 * and again at each reset, and reads kernel and initrd from the files kept open each time.
 */

/**
 * struct GuestMemoryOps - how the loader reaches guest RAM
 * @host: gives the host address of the guest-physical range [gpa, gpa + length), where a write
 *      reaches guest RAM directly, or NULL when any byte of it is not RAM. Only called from
 *      linux_boot_plan_load(), with the opaque pointer given there, a length above 0 and a range
 *      that does not wrap; the pointer is used until that call returns.
 */
typedef struct GuestMemoryOps {
    void *(*host)(void *opaque, uint64_t gpa, uint64_t length);
} GuestMemoryOps;

/**
 * struct LinuxBootAcpi - where the board puts its ACPI tables
 * @rsdp: guest-physical address of the RSDP, 0 when there is none
 * @reclaim_base, @reclaim_size: whole pages of low RAM that hold tables, as for e820_build();
 *      size 0 when they all fit the BIOS area
 */
typedef struct LinuxBootAcpi {
    uint64_t rsdp;
    uint64_t reclaim_base;
    uint64_t reclaim_size;
} LinuxBootAcpi;

/**
 * struct LinuxSetupData - a blob for the kernel's setup_data list
 * @next: the one after it, or NULL; the kernel sees the same order
 * @type: SETUP_DTB and the like, see <asm/bootparam.h>
 * @data: 1 byte to 4 GiB - 1; the plan takes a reference
 */
typedef struct LinuxSetupData {
    const struct LinuxSetupData *next;
    uint32_t type;
    GBytes *data;
} LinuxSetupData;

/**
 * struct LinuxBootRange - guest-physical memory that the loaded kernel starts with
 * @what: "kernel", "initrd", "command line", ...
 * @base, @size: bytes; for a kernel also what it needs free behind its code
 */
typedef struct LinuxBootRange {
    const char *what;
    uint64_t base;
    uint64_t size;
} LinuxBootRange;

typedef struct LinuxBootPlan LinuxBootPlan;

/**
 * linux_boot_plan_new() - decides where everything goes, and whether it fits
 * @image: the kernel; must outlive the plan
 * @initrd: path of an initial RAM disk, or NULL; opened here and kept open
 * @cmdline: the kernel's command line, NULL for an empty one
 * @pc: the machine; copied as far as needed
 * @acpi: its ACPI tables, or NULL for none
 * @setup_data: list of blobs for a bzImage, or NULL. An ELF kernel can take none
 *
 * Return: the plan, or NULL and @error with the numbers and, where one exists, the -m that would
 * be enough: TESSERA_ERROR_LIMIT for what does not fit, TESSERA_ERROR_INVALID for what this kernel
 * cannot take or an initrd that is no regular file, TESSERA_ERROR_SYSTEM for one that cannot be
 * opened.
 *
 * Context: main thread; reads file headers only.
 */
LinuxBootPlan *linux_boot_plan_new(const LinuxImage *image, const char *initrd, const char *cmdline,
                                   const PcInfo *pc, const LinuxBootAcpi *acpi,
                                   const LinuxSetupData *setup_data, GError **error);

/**
 * linux_boot_plan_free() - closes the initrd and frees the plan; NULL is allowed
 */
void linux_boot_plan_free(LinuxBootPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LinuxBootPlan, linux_boot_plan_free)

/**
 * linux_boot_plan_load() - writes the plan into guest RAM
 * @ops, @opaque: the way to it
 *
 * Everything is written again on each call: code and data from the files, zeros where an ELF
 * segment is longer than its file, parameters, tables. RAM outside the plan is left as it is.
 *
 * Return: false and @error for a read that fails or is short (TESSERA_ERROR_SYSTEM), RAM that @ops
 * does not give, or a file that was written to since it was opened (TESSERA_ERROR_INVALID). RAM may
 * then hold a part of it: do not start.
 *
 * Context: no vCPU may run. Not to be called by two threads at once.
 */
bool linux_boot_plan_load(LinuxBootPlan *plan, const GuestMemoryOps *ops, void *opaque,
                          GError **error);

/**
 * linux_boot_plan_entry() - the registers with which the first vCPU starts; others wait for SIPI
 *
 * Return: owned by the plan, the same for its whole life.
 */
const X86EntryState *linux_boot_plan_entry(const LinuxBootPlan *plan);

/**
 * linux_boot_plan_replaced() - whether another file now has the kernel's or the initrd's name
 *
 * A reset goes on with the file that was opened, as it stays there for us: worth telling the user.
 *
 * Return: a sentence to be freed with g_free(), or NULL when both names mean the same files.
 */
char *linux_boot_plan_replaced(const LinuxBootPlan *plan);

/**
 * linux_boot_plan_ranges() - what lies where, ascending
 * @ret_count: receives the number of ranges
 *
 * Return: the first of them, owned by the plan.
 */
const LinuxBootRange *linux_boot_plan_ranges(const LinuxBootPlan *plan, size_t *ret_count);

#endif
