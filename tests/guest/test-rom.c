/* SPDX-License-Identifier: MIT */
/* ROM and ROM devices as a guest meets them. */
#include "support/guest.h"

#include <string.h>

#define ROM_BASE 0xd0000000ULL
#define ROM_SIZE 0x4000u
#define REG_BASE 0xe0000000ULL

typedef struct Rom {
    RAMBlock *block;
    MemoryRegion *region;
} Rom;

static RAMBlock *rom_block(Guest *guest)
{
    RAMBlock *block = ram_block_new(guest->ms, "rom", ROM_SIZE, 0, 0, NULL);

    assert_non_null(block);
    for (unsigned i = 0; i < ROM_SIZE; i++) {
        ((uint8_t *)ram_block_host(block))[i] = (uint8_t)(i * 3);
    }
    return block;
}

static void rom_free(Guest *guest, Rom *rom)
{
    edit(memory_region_del_subregion(guest->root, rom->region, EDIT_ERROR));
    memory_region_release(rom->region);
    ram_block_unref(rom->block);
}

static void test_rom_reads_are_no_exits_and_writes_are_dropped(void **state)
{
    Guest *guest = guest_new(1);
    Rom rom = {.block = rom_block(guest)};
    VcpuStats before, after;

    rom.region = memory_region_new_rom(guest->ms, NULL, "rom", rom.block);
    edit(memory_region_add_subregion(guest->root, ROM_BASE, rom.region, EDIT_ERROR));
    GUEST_OPS(guest, 0, DO(OP_READ, 4, ROM_BASE + 4, 0), DO_USER(OP_READ, 8, ROM_BASE + 0x1ffc, 0));
    before = vcpu_set_stats(guest->vcpus);
    guest_run(guest);
    after = vcpu_set_stats(guest->vcpus);
    assert_int_equal(guest_result(guest, 0), 0x15120f0c);
    assert_memory_equal((uint8_t *)ram_block_host(rom.block) + 0x1ffc,
                        &guest->shared->processors[0].ops[1].result, 8);
    assert_int_equal(after.mmio, before.mmio);

    GUEST_OPS(guest, 0, DO(OP_WRITE, 4, ROM_BASE + 4, 0xdeadbeef),
              DO_USER(OP_WRITE, 1, ROM_BASE + 8, 0xff), DO(OP_XADD, 4, ROM_BASE + 4, 1),
              DO(OP_READ, 4, ROM_BASE + 4, 0), DO_USER(OP_READ, 4, ROM_BASE + 8, 0));
    guest_run(guest);
    before = after;
    after = vcpu_set_stats(guest->vcpus);
    assert_int_equal(guest_result(guest, 2), 0x15120f0c);
    assert_int_equal(guest_result(guest, 3), 0x15120f0c);
    assert_int_equal(guest_result(guest, 4), 0x211e1b18);
    assert_true(after.mmio >= before.mmio + 3);
    assert_int_equal(memory_system_rom_writes(guest->ms), 3);
    rom_free(guest, &rom);
    guest_free(guest);
}

/* --- A ROM device, and a register by which the guest itself changes its mode. */

static MemTxResult romd_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                             MemTxAttrs attrs)
{
    *ret_value = 0xc0c0c0c0c0c0c0c0 + offset;
    return MEMTX_OK;
}

static MemTxResult romd_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                              MemTxAttrs attrs)
{
    uint64_t *last = opaque;

    *last = value << 16 | offset;
    return MEMTX_OK;
}

static const MemoryRegionOps romd_ops = {
    .read = romd_read,
    .write = romd_write,
    .valid = {.min_access_size = 1, .max_access_size = 8},
    .impl = {.min_access_size = 1, .max_access_size = 8},
};

/* On the vCPU's thread: the access that follows must already meet the new map. */
static void change_mode(Recorder *r, const Access *access)
{
    memory_region_rom_device_set_romd(r->opaque, access->value, NULL);
}

static void test_rom_device_changed_by_the_guest(void **state)
{
    Guest *guest = guest_new(1);
    Recorder *reg = recorder_new(guest, guest->root, REG_BASE, 0x1000, 0);
    Rom rom = {.block = rom_block(guest)};
    uint64_t last = 0;
    VcpuStats before, after;

    rom.region =
        memory_region_new_rom_device(guest->ms, NULL, &romd_ops, &last, "flash", rom.block);
    edit(memory_region_add_subregion(guest->root, ROM_BASE, rom.region, EDIT_ERROR));
    reg->hook = change_mode;
    reg->opaque = rom.region;
    GUEST_OPS(guest, 0, DO(OP_READ, 4, ROM_BASE + 4, 0), DO(OP_WRITE, 2, ROM_BASE + 6, 0x1234),
              DO(OP_READ, 4, ROM_BASE + 4, 0));
    before = vcpu_set_stats(guest->vcpus);
    guest_run(guest);
    after = vcpu_set_stats(guest->vcpus);
    assert_int_equal(guest_result(guest, 0), 0x15120f0c);
    assert_int_equal(guest_result(guest, 2), 0x15120f0c);
    assert_int_equal(last, 0x12340006);
    assert_int_equal(after.mmio, before.mmio + 1);

    GUEST_OPS(guest, 0, DO(OP_WRITE, 4, REG_BASE, 0), DO(OP_READ, 4, ROM_BASE + 4, 0),
              DO_USER(OP_READ, 8, ROM_BASE + 8, 0), DO(OP_WRITE, 4, REG_BASE, 1),
              DO(OP_READ, 4, ROM_BASE + 4, 0), DO_USER(OP_READ, 4, ROM_BASE + 4, 0),
              DO_USER(OP_WRITE, 4, REG_BASE, 0), DO_USER(OP_READ, 4, ROM_BASE + 12, 0),
              DO_USER(OP_WRITE, 4, REG_BASE, 1), DO_USER(OP_READ, 4, ROM_BASE + 4, 0));
    guest_run(guest);
    assert_int_equal(guest_result(guest, 1), 0xc0c0c0c4);
    assert_int_equal(guest_result(guest, 2), 0xc0c0c0c0c0c0c0c8);
    assert_int_equal(guest_result(guest, 4), 0x15120f0c);
    assert_int_equal(guest_result(guest, 5), 0x15120f0c);
    assert_int_equal(guest_result(guest, 7), 0xc0c0c0cc);
    assert_int_equal(guest_result(guest, 9), 0x15120f0c);
    rom_free(guest, &rom);
    recorder_free(reg);
    guest_free(guest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rom_reads_are_no_exits_and_writes_are_dropped),
        cmocka_unit_test(test_rom_device_changed_by_the_guest),
    };

    return cmocka_run_group_tests_name("rom", tests, NULL, NULL);
}
