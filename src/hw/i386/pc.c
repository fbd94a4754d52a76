/* SPDX-License-Identifier: MIT */
/* The PC board: its two address spaces, and its life. */
#include "tessera/hw/i386/pc.h"

#include "pc-internal.h"
#include "tessera/hw/i386/pc-fdt.h"
#include "tessera/util/error.h"

#define IO_SPACE_SIZE 0x10000

#define PRIORITY_OVERLAY 1 /* holes and ROM inside RAM, which has priority 0 */

/* Nothing answers in the VGA hole: it must not show the RAM that lies below it. */
static MemTxResult hole_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                             MemTxAttrs attrs)
{
    *ret_value = UINT64_MAX;
    return MEMTX_DECODE_ERROR;
}

static MemTxResult hole_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                              MemTxAttrs attrs)
{
    return MEMTX_DECODE_ERROR;
}

static const MemoryRegionOps hole_ops = {
    .read = hole_read,
    .write = hole_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};

static void make_regions(Pc *pc)
{
    MemorySystem *ms = pc->context.ms;
    MemoryRegion **r = pc->regions;
    const PcInfo *info = &pc->info;

    r[PC_REGION_SYSTEM] = memory_region_new_container(ms, NULL, "system", INT128_2_64);
    r[PC_REGION_IO] = memory_region_new_container(ms, NULL, "io", IO_SPACE_SIZE);
    r[PC_REGION_RAM] = memory_region_new_ram(ms, NULL, "pc.ram", pc->ram);
    r[PC_REGION_RAM_BELOW_4G] = memory_region_new_alias(
        ms, NULL, "ram-below-4g", r[PC_REGION_RAM], 0, info->ram_below_4g);
    if (info->ram_above_4g) {
        r[PC_REGION_RAM_ABOVE_4G] =
            memory_region_new_alias(ms, NULL, "ram-above-4g", r[PC_REGION_RAM],
                                    info->ram_below_4g, info->ram_above_4g);
    }
    r[PC_REGION_VGA_HOLE] =
        memory_region_new_io(ms, NULL, &hole_ops, NULL, "vga-hole", PC_VGA_HOLE_SIZE);
    r[PC_REGION_ROM] = memory_region_new_rom(ms, NULL, "pc.rom", pc->rom);
    if (info->device_memory_size) {
        r[PC_REGION_DEVICE_MEMORY] =
            memory_region_new_container(ms, NULL, "device-memory", info->device_memory_size);
    }
}

typedef struct Placement {
    enum PcRegion region;
    hwaddr addr;
    int priority;
} Placement;

static bool place_regions(Pc *pc, GError **error)
{
    const Placement places[] = {
        { PC_REGION_RAM_BELOW_4G, 0, 0 },
        { PC_REGION_RAM_ABOVE_4G, PC_ABOVE_4G_BASE, 0 },
        { PC_REGION_VGA_HOLE, PC_VGA_HOLE_BASE, PRIORITY_OVERLAY },
        { PC_REGION_ROM, PC_ROM_BASE, PRIORITY_OVERLAY },
        { PC_REGION_DEVICE_MEMORY, pc->info.device_memory_base, 0 },
    };

    memory_region_transaction_begin_for(pc->context.ms, "board: memory");
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        MemoryRegion *mr = pc->regions[places[i].region];

        if (mr && !memory_region_add_subregion_overlap(pc->regions[PC_REGION_SYSTEM],
                                                       places[i].addr, mr, places[i].priority,
                                                       error)) {
            memory_region_transaction_abort(pc->context.ms);
            return false;
        }
    }
    return memory_region_transaction_commit(pc->context.ms, error);
}

/* The first huge page's worth of RAM has the VGA hole and the ROM in it. */
#define CUT_UP_RAM (2 * PC_MIB)

static bool make_memory(Pc *pc, GError **error)
{
    MemorySystem *ms = pc->context.ms;

    pc->rom = ram_block_new(ms, "pc.rom", PC_ROM_SIZE, 0, 0, error);
    if (!pc->rom) {
        return false;
    }
    ram_block_avoid_huge_pages(pc->ram, 0, CUT_UP_RAM);
    make_regions(pc);
    return place_regions(pc, error);
}

/* Takes the tree apart from the root, so that every region is in no container when it goes. */
static void destroy_memory(Pc *pc)
{
    MemoryRegion *system = pc->regions[PC_REGION_SYSTEM];

    address_space_free(pc->io);
    address_space_free(pc->memory);
    memory_region_transaction_begin_for(pc->context.ms, "board: its end");
    for (unsigned i = PC_REGION_COUNT; i-- > 0;) {
        if (pc->regions[i] && memory_region_container(pc->regions[i]) == system && system) {
            memory_region_del_subregion(system, pc->regions[i], NULL);
        }
    }
    memory_region_transaction_commit(pc->context.ms, NULL);
    for (unsigned i = PC_REGION_COUNT; i-- > 0;) {
        memory_region_release(pc->regions[i]);
    }
    ram_block_unref(pc->rom);
    ram_block_unref(pc->ram);
}

/* One transaction, and the spaces after it: the views are rendered once, not once for each device. */
static bool make_board(Pc *pc, GError **error)
{
    memory_region_transaction_begin_for(pc->context.ms, "board: devices");
    if (!pc_devices_create(pc, error)) {
        memory_region_transaction_abort(pc->context.ms);
        return false;
    }
    if (!memory_region_transaction_commit(pc->context.ms, error)) {
        return false;
    }
    pc->memory =
        address_space_new(pc->context.ms, pc->regions[PC_REGION_SYSTEM], "memory", error);
    pc->io = pc->memory ? address_space_new(pc->context.ms, pc->regions[PC_REGION_IO], "I/O", error)
                        : NULL;
    return pc->io != NULL;
}

static bool make_memory_devices(Pc *pc, GError **error)
{
    const PcInfo *info = &pc->info;
    uint64_t boot_ram = info->ram_below_4g + info->ram_above_4g;
    MemoryDevicesConfig config = {
        .device = &pc->context,
        .objects = pc->objects,
        .window = pc->regions[PC_REGION_DEVICE_MEMORY],
        .window_base = info->device_memory_base,
        .registers = pc->memory_hotplug,
        .slots = info->memory_slots,
        .boot_ram = boot_ram,
        .boot_ram_end = info->ram_above_4g ? PC_ABOVE_4G_BASE + info->ram_above_4g : boot_ram,
        .maxmem = boot_ram + info->device_memory_size - info->memory_slots * PC_GIB,
    };

    if (info->memory_slots == 0) {
        return true;
    }
    pc->memory_devices = memory_devices_new(&config, error);
    return pc->memory_devices != NULL;
}

Pc *pc_new(const PcConfig *config, GError **error)
{
    Pc *pc = g_new0(Pc, 1);

    pc->context = *config->context;
    pc->info = *config->info;
    memcpy(pc->gsi, config->gsi, sizeof(pc->gsi));
    pc->serial0 = config->serial0;
    pc->objects = config->objects;
    pc->cmdline = g_strdup(config->cmdline);
    pc->pass_dtb = config->pass_dtb;
    pc->ram = ram_block_ref(config->ram);
    pc->devices = g_ptr_array_new();
    if (!make_memory(pc, error) || !make_board(pc, error) || !make_memory_devices(pc, error)) {
        pc_free(pc);
        return NULL;
    }
    return pc;
}

void pc_free(Pc *pc)
{
    if (!pc) {
        return;
    }
    linux_boot_plan_free(pc->plan);
    linux_image_free(pc->image);
    pc_acpi_free(pc->acpi);
    memory_devices_free(pc->memory_devices);
    pc_devices_destroy(pc);
    g_ptr_array_unref(pc->devices);
    destroy_memory(pc);
    g_free(pc->cmdline);
    g_free(pc);
}

AddressSpace *pc_memory(Pc *pc)
{
    return pc->memory;
}

AddressSpace *pc_io(Pc *pc)
{
    return pc->io;
}

MemoryDevices *pc_memory_devices(Pc *pc)
{
    return pc->memory_devices;
}

bool pc_reset(Pc *pc, GError **error)
{
    if (pc->memory_devices) {
        memory_devices_reset(pc->memory_devices);
    }
    for (guint i = 0; i < pc->devices->len; i++) {
        device_reset(pc->devices->pdata[i]);
    }
    return pc_boot_load(pc, error);
}

const X86EntryState *pc_entry(Pc *pc)
{
    return pc->plan ? linux_boot_plan_entry(pc->plan) : NULL;
}

GByteArray *pc_device_tree(Pc *pc, GError **error)
{
    return pc_fdt_build(&pc->info, pc->cmdline, error);
}
