/* SPDX-License-Identifier: MIT */
/* What a PC finds in its memory at power-on: ACPI tables, kernel, initrd, parameters. */
#include "pc-internal.h"

#include <asm/bootparam.h>
#include <stdio.h>
#include "tessera/hw/acpi/memory-hotplug.h"
#include "tessera/hw/i386/pc-fdt.h"
#include "tessera/util/error.h"
#include "tessera/util/log.h"

static bool plan_kernel(Pc *pc, const char *initrd, GError **error)
{
    LinuxBootAcpi acpi = {
        .rsdp = pc->acpi->rsdp_base,
        .reclaim_base = pc->acpi->high_base,
        .reclaim_size = pc->acpi->high_size,
    };
    LinuxSetupData dtb = { .type = SETUP_DTB };

    if (pc->pass_dtb) {
        GByteArray *blob = pc_fdt_build(&pc->info, pc->cmdline, error);

        if (!blob) {
            return false;
        }
        dtb.data = g_byte_array_free_to_bytes(blob);
    }
    pc->plan = linux_boot_plan_new(pc->image, initrd, pc->cmdline, &pc->info, &acpi,
                                   dtb.data ? &dtb : NULL, error);
    g_clear_pointer(&dtb.data, g_bytes_unref);
    return pc->plan != NULL;
}

static void build_memory_sockets(Aml *body, const PcInfo *info, void *opaque)
{
    memory_hotplug_build_aml(body, PC_PORT_MEMORY_HOTPLUG, info->memory_slots);
}

bool pc_prepare_boot(Pc *pc, unsigned phys_bits, const char *kernel, const char *initrd,
                     GError **error)
{
    static const PcAcpiSsdt ssdts[] = {
        { .table_id = "TESSMEM", .build = build_memory_sockets },
    };
    size_t n_ssdts = pc->info.memory_slots > 0 ? G_N_ELEMENTS(ssdts) : 0;

    pc->info.phys_bits = phys_bits;
    if (!pc_acpi_build(&pc->info, ssdts, n_ssdts, &pc->acpi, error)) {
        return false;
    }
    if (!kernel) {
        return true;
    }
    pc->image = linux_image_open(kernel, error);
    return pc->image && plan_kernel(pc, initrd, error);
}

static bool write_tables(Pc *pc, uint64_t gpa, const GByteArray *blob, GError **error)
{
    if (blob && address_space_write_rom(pc->memory, gpa, MEMTXATTRS_NONE, blob->data, blob->len) !=
                    MEMTX_OK) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "ACPI tables: no RAM for %u bytes at guest-physical address 0x%" G_GINT64_MODIFIER
                    "x",
                    blob->len, gpa);
        return false;
    }
    return true;
}

static void *guest_ram(void *opaque, uint64_t gpa, uint64_t length)
{
    Pc *pc = opaque;

    return address_space_ram_host(pc->memory, gpa, length);
}

/*
 * A reset goes on with the files that were opened; a user who has built a new kernel should know. Once:
 * a guest resets as often as it likes.
 */
static void say_if_replaced(Pc *pc)
{
    g_autofree char *sentence = NULL;

    if (pc->said_replaced) {
        return;
    }
    sentence = linux_boot_plan_replaced(pc->plan);
    if (sentence) {
        fprintf(stderr, "tessera: %s\n", sentence);
        pc->said_replaced = true;
    }
}

static void log_ranges(const LinuxBootPlan *plan)
{
    size_t count;
    const LinuxBootRange *ranges = linux_boot_plan_ranges(plan, &count);

    for (size_t i = 0; i < count; i++) {
        log_item(LOG_BOOT, "0x%" G_GINT64_MODIFIER "x + 0x%" G_GINT64_MODIFIER "x: %s",
                 ranges[i].base, ranges[i].size, ranges[i].what);
    }
}

bool pc_boot_load(Pc *pc, GError **error)
{
    static const GuestMemoryOps guest_memory = { .host = guest_ram };
    bool done;

    if (!write_tables(pc, pc->acpi->low_base, pc->acpi->low, error) ||
        !write_tables(pc, pc->acpi->high_base, pc->acpi->high, error)) {
        return false;
    }
    if (!pc->plan) {
        return true;
    }
    say_if_replaced(pc);
    memory_system_lock(pc->context.ms);
    done = linux_boot_plan_load(pc->plan, &guest_memory, pc, error);
    memory_system_unlock(pc->context.ms);
    log_ranges(pc->plan);
    return done;
}
