/* SPDX-License-Identifier: MIT */
/* Slot ioctls, and parks of the vCPUs, that each kind of change of the map takes; on the model KVM. */
#include <stdio.h>

#include "model/model-machine.h"
#include "support/bench.h"
#include "tessera/accel/kvm/kvm.h"
#include "tessera/memory/address-space.h"
#include "tessera/memory/memory-system.h"
#include "tessera/memory/ram-block.h"
#include "tessera/memory/region.h"

/* Counts, the same at every run: a row that changes tells of another rule, not of a slow machine. */
#define MIB   (UINT64_C(1) << 20)
#define GIB   (UINT64_C(1) << 30)
#define PAGE  UINT64_C(0x1000)
#define PLACE (64 * GIB) /* where nothing else is */
#define DIMMS 256u

typedef struct Bench {
    ModelMachine m;
    MemorySystem *ms;
    MemoryRegion *root;
    Kvm *kvm;
    uint64_t parks;
} Bench;

static void must(bool ok)
{
    if (!ok) {
        bench_die("an edit was refused", NULL);
    }
}

static void begin(Bench *b)
{
    model_kvm_reset_counts();
    b->parks = kvm_stats(b->kvm).parks;
}

static void end(Bench *b, const char *name)
{
    g_autofree char *ioctls = g_strdup_printf("slot_ioctls_%s", name);
    g_autofree char *parks = g_strdup_printf("slot_parks_%s", name);

    bench_print(ioctls, (double)model_kvm_count(KVM_SET_USER_MEMORY_REGION), "ioctls");
    bench_print(parks, (double)(kvm_stats(b->kvm).parks - b->parks), "parks");
}

static Bench start(const char *memory, const char *name)
{
    Bench b = { .m = model_machine_new(memory, NULL) };

    b.ms = machine_memory_system(b.m.machine);
    b.root = address_space_root(machine_memory(b.m.machine));
    b.kvm = machine_kvm(b.m.machine);
    end(&b, name); /* since the reset of the model */
    return b;
}

static MemoryRegion *new_ram(Bench *b, const char *name, uint64_t size)
{
    RAMBlock *block = ram_block_new(b->ms, name, size, 0, RAM_NORESERVE, NULL);
    MemoryRegion *mr;

    must(block != NULL);
    mr = memory_region_new_ram(b->ms, NULL, name, block);
    ram_block_unref(block);
    return mr;
}

static const MemoryRegionOps no_ops;

static MemoryRegion *new_io(Bench *b, uint64_t size)
{
    return memory_region_new_io(b->ms, NULL, &no_ops, NULL, "device", size);
}

/* Memory comes, moves, is logged, goes. */
static void bench_one_range(Bench *b)
{
    MemoryRegion *ram = new_ram(b, "range", GIB);

    begin(b);
    must(memory_region_add_subregion(b->root, PLACE, ram, NULL));
    end(b, "plug");
    begin(b);
    must(memory_region_set_log(ram, true, 1, NULL));
    end(b, "log_start");
    begin(b);
    must(memory_region_set_log(ram, false, 1, NULL));
    end(b, "log_stop");
    begin(b);
    must(memory_region_set_address(ram, PLACE + 4 * GIB, NULL));
    end(b, "move");
    begin(b);
    must(memory_region_set_address(ram, PLACE + 4 * GIB + 2 * MIB, NULL));
    end(b, "move_overlapping");
    begin(b);
    must(memory_region_del_subregion(b->root, ram, NULL));
    end(b, "unplug");
    memory_region_release(ram);
}

/* A device's page in the middle of memory: there, away, there again; then a BAR that moves. */
static void bench_overlay(Bench *b)
{
    MemoryRegion *ram = new_ram(b, "below", GIB);
    MemoryRegion *io = new_io(b, PAGE);

    must(memory_region_add_subregion(b->root, PLACE, ram, NULL));
    begin(b);
    must(memory_region_add_subregion_overlap(b->root, PLACE + 512 * MIB, io, 1, NULL));
    end(b, "overlay_first");
    begin(b);
    must(memory_region_set_enabled(io, false, NULL));
    end(b, "overlay_off");
    begin(b);
    must(memory_region_set_enabled(io, true, NULL));
    end(b, "overlay_on");
    must(memory_region_set_priority(io, 0, NULL));
    begin(b);
    must(memory_region_set_address(io, PLACE + 2 * GIB, NULL));
    end(b, "overlay_moves_out");
    begin(b);
    must(memory_region_set_address(io, PLACE + 3 * GIB, NULL));
    end(b, "io_moves");
    memory_region_del_subregion(b->root, io, NULL);
    memory_region_del_subregion(b->root, ram, NULL);
    memory_region_release(io);
    memory_region_release(ram);
}

static void bench_rom_device(Bench *b)
{
    RAMBlock *block = ram_block_new(b->ms, "flash", 4 * MIB, 0, RAM_NORESERVE, NULL);
    MemoryRegion *rom;

    must(block != NULL);
    rom = memory_region_new_rom_device(b->ms, NULL, &no_ops, NULL, "flash", block);
    ram_block_unref(block);
    must(memory_region_add_subregion(b->root, PLACE, rom, NULL));
    begin(b);
    must(memory_region_rom_device_set_romd(rom, false, NULL));
    end(b, "rom_device_to_registers");
    begin(b);
    must(memory_region_rom_device_set_romd(rom, true, NULL));
    end(b, "rom_device_to_memory");
    memory_region_del_subregion(b->root, rom, NULL);
    memory_region_release(rom);
}

static void bench_many(Bench *b)
{
    MemoryRegion *window = memory_region_new_container(b->ms, NULL, "window", 512 * GIB);
    MemoryRegion *dimms[DIMMS];

    must(memory_region_add_subregion(b->root, PLACE, window, NULL));
    memory_region_transaction_begin(b->ms);
    for (unsigned i = 0; i < DIMMS; i++) {
        g_autofree char *name = g_strdup_printf("many%u", i);

        dimms[i] = new_ram(b, name, 128 * MIB);
        must(memory_region_add_subregion(window, 256 * MIB * i, dimms[i], NULL));
    }
    begin(b);
    must(memory_region_transaction_commit(b->ms, NULL));
    end(b, "256_at_once");
    begin(b);
    must(memory_region_set_enabled(dimms[DIMMS / 2], false, NULL));
    end(b, "one_of_256");
    begin(b);
    must(memory_region_set_enabled(window, false, NULL));
    end(b, "255_away");
    memory_region_transaction_begin(b->ms);
    for (unsigned i = 0; i < DIMMS; i++) {
        memory_region_del_subregion(window, dimms[i], NULL);
    }
    memory_region_del_subregion(b->root, window, NULL);
    must(memory_region_transaction_commit(b->ms, NULL));
    for (unsigned i = 0; i < DIMMS; i++) {
        memory_region_release(dimms[i]);
    }
    memory_region_release(window);
}

int main(void)
{
    Bench b = start("256", "start_256m");

    bench_one_range(&b);
    bench_overlay(&b);
    bench_rom_device(&b);
    bench_many(&b);
    model_machine_free(&b.m);
    b = start("8G,slots=4,maxmem=16G", "start_8g");
    begin(&b);
    model_machine_plug(&b.m, 0, "1G");
    end(&b, "device_add");
    model_machine_free(&b.m);
    return 0;
}
