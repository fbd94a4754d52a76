/* SPDX-License-Identifier: MIT */
/*
 * Draws the pictures of docs/memory-map.md (make docs): PCs as the program makes them, on the model of
 * KVM that the tests have, and a small world with regions over regions. Usage: FOLDER
 */
#include <stdio.h>
#include "../tests/bench/model/model-machine.h"
#include "tessera/memory/memory-system.h"
#include "tessera/memory/ram-block.h"
#include "tessera/picture/picture.h"
#include "tessera/util/size.h"

static void draw(const MapSnapshot *map, const char *folder, const char *name, const char *title)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(GError) error = NULL;

    if (!picture_write(map, path, title, &error)) {
        bench_die(name, error);
    }
}

/* PCs. */

typedef struct PcPicture {
    const char *name;
    const char *title;
    const char *memory; /* -m */
    const char *ram;
    unsigned dimms;
    const char *dimm;
} PcPicture;

static const PcPicture pcs[] = {
    { "pc-256m.svg", "The PC with -m 256M", "256M", "256M", 0, NULL },
    { "pc-5g.svg", "The PC with -m 5G", "5G", "5G", 0, NULL },
    { "pc-1-dimm.svg", "The PC with -m 1G,slots=4,maxmem=8G and one DIMM of 512 MiB",
      "1G,slots=4,maxmem=8G", "1G", 1, "512M" },
    { "pc-64-dimms.svg", "The PC with -m 1G,slots=64,maxmem=32G and 64 DIMMs of 256 MiB",
      "1G,slots=64,maxmem=32G", "1G", 64, "256M" },
};

static void plug(Machine *machine, unsigned n, const char *size)
{
    g_autofree char *object =
        g_strdup_printf("memory-backend-ram,id=mem%u,size=%s,reserve=off", n, size);
    g_autofree char *device = g_strdup_printf("pc-dimm,id=dimm%u,memdev=mem%u", n, n);
    g_autoptr(Keyval) properties = keyval_parse(device, "driver", NULL);
    g_autoptr(GError) error = NULL;

    if (!object_store_add_option(machine_objects(machine), object, &error) ||
        !machine_device_add(machine, properties, &error)) {
        bench_die(device, error);
    }
}

static void draw_pc(const PcPicture *pc, const char *folder)
{
    ModelMachine m = model_machine_new(pc->memory, pc->ram);
    g_autoptr(MapSnapshot) map = NULL;

    for (unsigned i = 0; i < pc->dimms; i++) {
        plug(m.machine, i, pc->dimm);
    }
    map = machine_memory_map(m.machine);
    draw(map, folder, pc->name, pc->title);
    model_machine_free(&m);
}

/* Regions over regions. */

static MemTxResult registers_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                                  MemTxAttrs attrs)
{
    *ret_value = 0;
    return MEMTX_OK;
}

static MemTxResult registers_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                                   MemTxAttrs attrs)
{
    return MEMTX_OK;
}

static const MemoryRegionOps registers_ops = { .read = registers_read, .write = registers_write };

typedef struct OverlapWorld {
    MemorySystem *ms;
    GPtrArray *regions;
    GPtrArray *blocks;
} OverlapWorld;

static MemoryRegion *keep(OverlapWorld *w, MemoryRegion *mr)
{
    g_ptr_array_add(w->regions, mr);
    return mr;
}

static MemoryRegion *memory(OverlapWorld *w, const char *name, uint64_t size, bool rom)
{
    g_autoptr(GError) error = NULL;
    RAMBlock *block = ram_block_new(w->ms, name, size, 0, 0, &error);

    if (!block) {
        bench_die(name, error);
    }
    g_ptr_array_add(w->blocks, block);
    return keep(w, rom ? memory_region_new_rom(w->ms, NULL, name, block)
                       : memory_region_new_ram(w->ms, NULL, name, block));
}

static void place(MemoryRegion *container, hwaddr addr, MemoryRegion *mr, int priority)
{
    g_autoptr(GError) error = NULL;

    if (!memory_region_add_subregion_overlap(container, addr, mr, priority, &error)) {
        bench_die(memory_region_name(mr), error);
    }
}

/*
 * RAM; over it the container of a card; in that a frame buffer, and over this its registers. What the
 * card leaves uncovered shows RAM. A ROM that is switched off, and a device that lies below all.
 */
static MemoryRegion *make_world(OverlapWorld *w)
{
    MemorySystem *ms = w->ms;
    MemoryRegion *system = keep(w, memory_region_new_container(ms, NULL, "system", 64 * MIB));
    MemoryRegion *ram = memory(w, "ram", 16 * MIB, false);
    MemoryRegion *card = keep(w, memory_region_new_container(ms, NULL, "card", 4 * MIB));
    MemoryRegion *buffer = memory(w, "frame-buffer", 2 * MIB, false);
    MemoryRegion *registers = keep(
        w, memory_region_new_io(ms, NULL, &registers_ops, NULL, "registers", 4 * KIB));
    MemoryRegion *rom = memory(w, "card-rom", 256 * KIB, true);
    MemoryRegion *covered =
        keep(w, memory_region_new_io(ms, NULL, &registers_ops, NULL, "covered", 64 * KIB));
    MemoryRegion *mirror =
        keep(w, memory_region_new_alias(ms, NULL, "mirror", ram, 3 * MIB, 2 * MIB));

    place(system, 0, ram, 0);
    place(system, 4 * MIB, card, 1);
    place(card, 0, buffer, 0);
    place(card, 1 * MIB, registers, 1);
    place(card, 3 * MIB, rom, 0);
    place(system, 12 * MIB, covered, -1);
    place(system, 32 * MIB, mirror, 0);
    memory_region_set_enabled(rom, false, NULL);
    return system;
}

static void world_done(OverlapWorld *w)
{
    for (guint i = 0; i < w->regions->len; i++) {
        MemoryRegion *mr = w->regions->pdata[i];

        if (memory_region_container(mr)) {
            memory_region_del_subregion(memory_region_container(mr), mr, NULL);
        }
    }
    while (w->regions->len > 0) { /* aliases before their targets */
        memory_region_release(g_ptr_array_steal_index(w->regions, w->regions->len - 1));
    }
    for (guint i = 0; i < w->blocks->len; i++) {
        ram_block_unref(w->blocks->pdata[i]);
    }
    g_ptr_array_unref(w->regions);
    g_ptr_array_unref(w->blocks);
    memory_system_free(w->ms);
}

static void draw_overlap(const char *folder)
{
    OverlapWorld w = { memory_system_new(NULL), g_ptr_array_new(), g_ptr_array_new() };
    g_autoptr(MapSnapshot) map = NULL;
    AddressSpace *as;

    if (!w.ms) {
        bench_die("memory system", NULL);
    }
    as = address_space_new(w.ms, make_world(&w), "memory", NULL);
    map = map_snapshot_take(w.ms, NULL);
    draw(map, folder, "overlap.svg", "Regions over regions");
    address_space_free(as);
    world_done(&w);
}

int main(int argc, char *argv[])
{
    if (argc != 2) {
        fprintf(stderr, "usage: memory-map-pictures FOLDER\n");
        return 2;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(pcs); i++) {
        draw_pc(&pcs[i], argv[1]);
    }
    draw_overlap(argv[1]);
    return 0;
}
