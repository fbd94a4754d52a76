/* SPDX-License-Identifier: MIT */
/* Tests of hw/pci: configuration ports, bus, base address registers, INTx. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "support/device-rig.h"
#include "tessera/hw/misc/reset-port.h"
#include "tessera/hw/pci/pci-host.h"
#include "tessera/memory/listener.h"
#include "tessera/memory/section.h"
#include "tessera/util/error.h"
#include "tessera/util/range.h"

#define ADDRESS 0xcf8
#define DATA    0xcfc
#define RESET   0xcf9
#define PIRQ    5 /* .. 8 */

#define SLOT 3

/* A device with a register of each kind: 0 memory of 4 KiB, 1 ports of 32, 2/3 memory of 64 bits. */
typedef struct Card {
    PciDevice pdev;
    uint8_t capability;
} Card;

static MemTxResult card_read(void *opaque, hwaddr offset, uint64_t *ret_value, unsigned size,
                             MemTxAttrs attrs)
{
    *ret_value = 0xc0 + (offset & 0xf);
    return MEMTX_OK;
}

static MemTxResult card_write(void *opaque, hwaddr offset, uint64_t value, unsigned size,
                              MemTxAttrs attrs)
{
    return MEMTX_OK;
}

static const MemoryRegionOps card_ops = {
    .read = card_read,
    .write = card_write,
    .impl = { .min_access_size = 1, .max_access_size = 1 },
};

static bool add_bar(Device *dev, unsigned n, uint8_t flags, const char *name, Int128 size,
                    GError **error)
{
    MemoryRegion *mr = memory_region_new_io(dev->ms, &dev->obj, &card_ops, dev, name, size);

    device_add_region(dev, mr);
    return pci_device_add_bar((PciDevice *)dev, n, flags, mr, error);
}

static bool card_realize(Device *dev, GError **error)
{
    static const PciInfo info = {
        .vendor_id = 0x1b36,
        .device_id = 0x1234,
        .revision = 7,
        .class_code = 0x058000,
        .subsystem_vendor_id = 0x1b36,
        .subsystem_id = 0x0042,
        .interrupt_pin = 1,
    };
    Card *card = (Card *)dev;

    pci_device_init_config(&card->pdev, &info);
    if (!add_bar(dev, 0, 0, "card-mem", 0x1000, error) ||
        !add_bar(dev, 1, PCI_BAR_IO, "card-io", 0x20, error) ||
        !add_bar(dev, 2, PCI_BAR_64 | PCI_BAR_PREFETCH, "card-big", (Int128)1 << 33, error)) {
        return false;
    }
    card->capability = pci_device_add_capability(&card->pdev, 0x09, 7, error);
    return card->capability && pci_device_plug(&card->pdev, error);
}

static void card_unrealize(Device *dev)
{
    pci_device_unplug((PciDevice *)dev);
}

static void card_reset(Device *dev)
{
    pci_device_reset((PciDevice *)dev);
}

static const DeviceClass card_class = {
    .name = "test-card",
    .description = "for this test",
    .instance_size = sizeof(Card),
    .realize = card_realize,
    .unrealize = card_unrealize,
    .reset = card_reset,
};

typedef struct Fixture {
    DeviceRig rig;
    Device *host;
    Device *card;
} Fixture;

static void map_containers(Fixture *f)
{
    MemoryRegion *memory = device_region(f->host, PCI_HOST_REGION_MEMORY);
    MemoryRegion *io = device_region(f->host, PCI_HOST_REGION_IO);

    assert_true(memory_region_add_subregion_overlap(f->rig.memory, 0, memory, -1, NULL));
    assert_true(memory_region_add_subregion_overlap(f->rig.io, 0, io, -1, NULL));
    g_ptr_array_add(f->rig.mappings, memory);
    g_ptr_array_add(f->rig.mappings, io);
}

static int setup(void **state)
{
    static const int ports[] = { ADDRESS, DATA };
    Fixture *f = g_new0(Fixture, 1);

    rig_init(&f->rig);
    f->host = rig_new(&f->rig, &pci_host_device_class);
    for (unsigned pin = 0; pin < PCI_PIN_COUNT; pin++) {
        pci_host_set_irq(f->host, pin, rig_irq(&f->rig, PIRQ + pin));
    }
    rig_start(&f->rig, f->host, ports, 2);
    map_containers(f);
    f->card = rig_new(&f->rig, &card_class);
    pci_device_set_bus(f->card, pci_host_bus(f->host), PCI_DEVFN(SLOT, 0));
    rig_start(&f->rig, f->card, NULL, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    Fixture *f = *state;

    rig_done(&f->rig);
    g_free(f);
    return 0;
}

static void select_register(Fixture *f, unsigned slot, unsigned reg)
{
    rig_outl(&f->rig, ADDRESS, PCI_HOST_ENABLE | slot << 11 | (reg & 0xfc));
}

static uint32_t config(Fixture *f, unsigned slot, unsigned reg)
{
    select_register(f, slot, reg);
    return rig_inl(&f->rig, DATA);
}

static uint16_t config16(Fixture *f, unsigned slot, unsigned reg)
{
    select_register(f, slot, reg);
    return rig_inw(&f->rig, DATA + (reg & 3));
}

static void set_config(Fixture *f, unsigned slot, unsigned reg, uint32_t value)
{
    select_register(f, slot, reg);
    rig_outl(&f->rig, DATA, value);
}

static void set_config16(Fixture *f, unsigned slot, unsigned reg, uint16_t value)
{
    select_register(f, slot, reg);
    rig_outw(&f->rig, DATA + (reg & 3), value);
}

/* The name of the region at an address; "" if nobody answers. */
static const char *name_at(AddressSpace *as, hwaddr addr)
{
    MemoryRegionSection section;
    const char *name = "";

    memory_system_lock(address_space_system(as));
    if (address_space_find(as, addr, &section)) {
        name = memory_region_name(section.mr);
    }
    memory_system_unlock(address_space_system(as));
    return name;
}

static void test_host_bridge_is_there(void **state)
{
    Fixture *f = *state;

    assert_int_equal(config(f, 0, 0), 0x00081b36);
    assert_int_equal(config(f, 0, PCI_REVISION), 0x06000000);
    assert_int_equal(config16(f, 0, PCI_HEADER_TYPE), 0);
    for (unsigned bar = 0; bar < PCI_BAR_COUNT; bar++) {
        set_config(f, 0, PCI_BAR0 + 4 * bar, 0xffffffff);
        assert_int_equal(config(f, 0, PCI_BAR0 + 4 * bar), 0);
    }
}

/* What Linux does before it believes in type 1. */
static void test_linux_check_of_type_1(void **state)
{
    Fixture *f = *state;

    rig_outb(&f->rig, 0xcfb, 0x01);
    rig_outl(&f->rig, ADDRESS, 0x80000000);
    assert_int_equal(rig_inl(&f->rig, ADDRESS), 0x80000000);
    assert_int_equal(config16(f, 0, PCI_CLASS), 0x0600);
}

static void test_address_takes_double_words_only(void **state)
{
    Fixture *f = *state;

    rig_outl(&f->rig, ADDRESS, 0xffffffff);
    assert_int_equal(rig_inl(&f->rig, ADDRESS), 0x80fffffc);
    rig_outb(&f->rig, ADDRESS, 0x12);
    rig_outw(&f->rig, ADDRESS, 0x3456);
    rig_outw(&f->rig, ADDRESS + 2, 0x3456);
    rig_outl(&f->rig, ADDRESS + 1, 0x12345678); /* across the end */
    assert_int_equal(rig_inl(&f->rig, ADDRESS), 0x80fffffc);
    assert_int_equal(rig_inb(&f->rig, ADDRESS), 0xff);
}

/* The reset register lies in the middle of it, for bytes alone. */
static void test_reset_port_inside_the_address(void **state)
{
    Fixture *f = *state;
    Device *reset = rig_new(&f->rig, &reset_port_device_class);

    rig_start(&f->rig, reset, NULL, 0);
    assert_true(memory_region_add_subregion_overlap(f->rig.io, RESET, device_region(reset, 0), 1,
                                                    NULL));
    g_ptr_array_add(f->rig.mappings, device_region(reset, 0));
    rig_outl(&f->rig, ADDRESS, 0x80000600);
    assert_int_equal(f->rig.resets, 0);
    assert_int_equal(rig_inl(&f->rig, ADDRESS), 0x80000600);
    rig_outb(&f->rig, RESET, 0x06);
    assert_int_equal(f->rig.resets, 1);
    assert_int_equal(rig_inl(&f->rig, ADDRESS), 0x80000600);
}

static void test_nobody_there_reads_all_ones(void **state)
{
    Fixture *f = *state;

    assert_int_equal(config(f, 5, 0), 0xffffffff);
    assert_int_equal(config16(f, 5, 0), 0xffff);
    set_config(f, 5, PCI_BAR0, 0x1000); /* and writes are lost */
    rig_outl(&f->rig, ADDRESS, PCI_HOST_ENABLE | 1 << 16); /* bus 1 */
    assert_int_equal(rig_inl(&f->rig, DATA), 0xffffffff);
    rig_outl(&f->rig, ADDRESS, 0); /* not enabled */
    assert_int_equal(rig_inl(&f->rig, DATA), 0xffffffff);
    rig_outl(&f->rig, ADDRESS, PCI_HOST_ENABLE | SLOT << 11 | 1 << 8); /* function 1 */
    assert_int_equal(rig_inl(&f->rig, DATA), 0xffffffff);
}

static void test_header_and_byte_enables(void **state)
{
    Fixture *f = *state;

    assert_int_equal(config(f, SLOT, 0), 0x12341b36);
    assert_int_equal(config(f, SLOT, PCI_REVISION), 0x05800007);
    assert_int_equal(config(f, SLOT, PCI_SUBSYS_VENDOR), 0x00421b36);
    assert_int_equal(config16(f, SLOT, PCI_DEVICE_ID), 0x1234);
    select_register(f, SLOT, 0);
    assert_int_equal(rig_inb(&f->rig, DATA + 3), 0x12);
    select_register(f, SLOT, PCI_INTERRUPT_LINE);
    rig_outb(&f->rig, DATA, 11);
    assert_int_equal(rig_inw(&f->rig, DATA), 0x010b); /* the pin next to it cannot be written */
    rig_outb(&f->rig, DATA + 1, 4);
    assert_int_equal(rig_inw(&f->rig, DATA), 0x010b);
    set_config(f, SLOT, 0, 0); /* nor who it is */
    assert_int_equal(config(f, SLOT, 0), 0x12341b36);
}

static void test_command_and_status_masks(void **state)
{
    Fixture *f = *state;

    set_config(f, SLOT, PCI_COMMAND, 0xffffffff);
    assert_int_equal(config16(f, SLOT, PCI_COMMAND), 0x0547);
    assert_int_equal(config16(f, SLOT, PCI_STATUS), PCI_STATUS_CAPS);
    ((PciDevice *)f->card)->config[PCI_STATUS + 1] = 0xf9; /* every error that there is */
    set_config16(f, SLOT, PCI_STATUS, 0x0000);
    assert_int_equal(config16(f, SLOT, PCI_STATUS), 0xf900 | PCI_STATUS_CAPS);
    set_config16(f, SLOT, PCI_STATUS, 0x8000);
    assert_int_equal(config16(f, SLOT, PCI_STATUS), 0x7900 | PCI_STATUS_CAPS);
}

static void test_sizing_a_register(void **state)
{
    Fixture *f = *state;

    for (unsigned bar = 0; bar < 4; bar++) {
        set_config(f, SLOT, PCI_BAR0 + 4 * bar, 0xffffffff);
    }
    assert_int_equal(config(f, SLOT, PCI_BAR0), 0xfffff000);
    assert_int_equal(config(f, SLOT, PCI_BAR0 + 4), 0xffffffe1);
    assert_int_equal(config(f, SLOT, PCI_BAR0 + 8), 0x0000000c);
    assert_int_equal(config(f, SLOT, PCI_BAR0 + 12), 0xfffffffe);
    assert_int_equal(config(f, SLOT, PCI_BAR0 + 16), 0);
}

static void test_registers_are_mapped_when_the_command_allows(void **state)
{
    Fixture *f = *state;

    set_config(f, SLOT, PCI_BAR0, 0xc0001000);
    set_config(f, SLOT, PCI_BAR0 + 4, 0xc020);
    set_config(f, SLOT, PCI_BAR0 + 8, 0);
    set_config(f, SLOT, PCI_BAR0 + 12, 0x10); /* 64 GiB */
    assert_string_equal(name_at(f->rig.memory_as, 0xc0001000), "");
    set_config16(f, SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY);
    assert_string_equal(name_at(f->rig.memory_as, 0xc0001000), "card-mem");
    assert_string_equal(name_at(f->rig.memory_as, 0xc0001fff), "card-mem");
    assert_string_equal(name_at(f->rig.memory_as, 0xc0002000), "");
    assert_string_equal(name_at(f->rig.memory_as, 0x11ffffffffULL), "card-big");
    assert_string_equal(name_at(f->rig.io_as, 0xc020), "");
    set_config16(f, SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
    assert_string_equal(name_at(f->rig.io_as, 0xc020), "card-io");
    assert_int_equal(rig_inb(&f->rig, 0xc025), 0xc5);
    set_config(f, SLOT, PCI_BAR0, 0xd0000000); /* moves */
    assert_string_equal(name_at(f->rig.memory_as, 0xc0001000), "");
    assert_string_equal(name_at(f->rig.memory_as, 0xd0000000), "card-mem");
    set_config16(f, SLOT, PCI_COMMAND, 0);
    assert_string_equal(name_at(f->rig.memory_as, 0xd0000000), "");
    assert_string_equal(name_at(f->rig.io_as, 0xc020), "");
}

static void test_sizing_while_decoding_maps_nothing(void **state)
{
    Fixture *f = *state;

    set_config16(f, SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
    for (unsigned bar = 0; bar < 4; bar++) {
        set_config(f, SLOT, PCI_BAR0 + 4 * bar, 0xffffffff);
        assert_string_equal(name_at(f->rig.memory_as, 0xfffff000), "");
    }
    assert_string_equal(name_at(f->rig.memory_as, 0), "");
    assert_string_equal(name_at(f->rig.io_as, 0xffe0), "");
    set_config(f, SLOT, PCI_BAR0 + 4, 0x00010000); /* above the ports that there are */
    assert_string_equal(name_at(f->rig.io_as, 0), "");
}

static void test_reset_unmaps_and_forgets(void **state)
{
    Fixture *f = *state;

    set_config(f, SLOT, PCI_BAR0, 0xc0001000);
    set_config16(f, SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY);
    select_register(f, SLOT, PCI_INTERRUPT_LINE);
    rig_outb(&f->rig, DATA, 10);
    device_reset(f->card);
    assert_string_equal(name_at(f->rig.memory_as, 0xc0001000), "");
    assert_int_equal(config(f, SLOT, PCI_BAR0), 0);
    assert_int_equal(config16(f, SLOT, PCI_COMMAND), 0);
    assert_int_equal(config16(f, SLOT, PCI_INTERRUPT_LINE) & 0xff, 0);
    assert_int_equal(config(f, SLOT, 0), 0x12341b36);
}

/* A listener that refuses every change while it is on. */
typedef struct Refuser {
    MemoryListener listener;
    bool on;
} Refuser;

static bool refuse(MemoryListener *l, const MemoryDiff *diff, GError **error)
{
    if (((Refuser *)l)->on) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT, "no slot left");
        return false;
    }
    return true;
}

static void test_a_refused_map_puts_the_register_back(void **state)
{
    Fixture *f = *state;
    Refuser refuser = { .listener = { .name = "refuser", .prepare = refuse } };
    g_autoptr(GError) error = NULL;

    set_config(f, SLOT, PCI_BAR0, 0xc0001000);
    set_config16(f, SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY);
    assert_true(memory_listener_register(&refuser.listener, f->rig.memory_as, &error));
    refuser.on = true;
    set_config(f, SLOT, PCI_BAR0, 0xd0000000);
    refuser.on = false;
    assert_int_equal(config(f, SLOT, PCI_BAR0), 0xc0001000);
    assert_string_equal(name_at(f->rig.memory_as, 0xc0001000), "card-mem");
    assert_string_equal(name_at(f->rig.memory_as, 0xd0000000), "");
    refuser.on = true;
    set_config16(f, SLOT, PCI_COMMAND, 0);
    refuser.on = false;
    assert_int_equal(config16(f, SLOT, PCI_COMMAND), PCI_COMMAND_MEMORY);
    assert_string_equal(name_at(f->rig.memory_as, 0xc0001000), "card-mem");
    set_config(f, SLOT, PCI_BAR0, 0xd0000000); /* and it can be tried again */
    assert_string_equal(name_at(f->rig.memory_as, 0xd0000000), "card-mem");
    memory_listener_unregister(&refuser.listener);
}

static void test_capabilities_form_a_list(void **state)
{
    Fixture *f = *state;
    PciDevice *pdev = (PciDevice *)f->card;
    g_autoptr(GError) error = NULL;
    uint8_t second = pci_device_add_capability(pdev, 0x11, 12, &error);

    assert_int_equal(((Card *)f->card)->capability, 0x40);
    assert_int_equal(second, 0x48); /* the first had 7 bytes: up to a double word */
    assert_int_equal(config16(f, SLOT, PCI_CAPABILITIES) & 0xff, 0x48);
    assert_int_equal(config16(f, SLOT, 0x48), 0x4011);
    assert_int_equal(config16(f, SLOT, 0x40), 0x0009);
    set_config(f, SLOT, 0x48, 0); /* read-only */
    assert_int_equal(config16(f, SLOT, 0x48), 0x4011);
    assert_int_not_equal(pci_device_add_capability(pdev, 0x05, 0xa0, &error), 0);
    assert_int_equal(pci_device_add_capability(pdev, 0x05, 0x20, &error), 0);
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT));
    g_clear_error(&error);
    assert_int_equal(pci_device_add_capability(pdev, 0x05, 12, &error), 0xf4);
    assert_int_equal(pci_device_add_capability(pdev, 0x05, 2, &error), 0); /* full to the end */
}

static void test_registers_that_cannot_be(void **state)
{
    Fixture *f = *state;
    PciDevice *pdev = (PciDevice *)f->card;
    static const struct {
        unsigned n;
        uint8_t flags;
        uint64_t size;
    } bad[] = {
        { 4, 0, 0x1001 },          { 4, 0, 8 },
        { 4, 0, 1ULL << 32 },      { 4, PCI_BAR_IO, 2 },
        { 4, PCI_BAR_IO, 512 },    { 0, 0, 0x1000 }, /* taken */
        { 3, 0, 0x1000 },          /* the upper half of 2 */
        { 5, PCI_BAR_64, 0x1000 }, /* has no upper half */
        { 6, 0, 0x1000 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        MemoryRegion *mr = memory_region_new_io(f->rig.ms, NULL, &card_ops, NULL, "bad",
                                                bad[i].size);

        assert_false(pci_device_add_bar(pdev, bad[i].n, bad[i].flags, mr, &error));
        assert_non_null(error);
        memory_region_release(mr);
    }
    assert_int_equal(config(f, SLOT, PCI_BAR0 + 16), 0);
}

static void test_a_taken_slot_is_refused(void **state)
{
    Fixture *f = *state;
    Device *second = device_new(&card_class, &f->rig.context, "card1");
    g_autoptr(GError) error = NULL;

    pci_device_set_bus(second, pci_host_bus(f->host), PCI_DEVFN(SLOT, 0));
    assert_false(device_realize(second, &error));
    assert_non_null(strstr(error->message, "slot 3"));
    device_unref(second);
    assert_int_equal(config(f, SLOT, 0), 0x12341b36);
}

static void test_unplug_takes_all_of_it_away(void **state)
{
    Fixture *f = *state;

    set_config(f, SLOT, PCI_BAR0, 0xc0001000);
    set_config16(f, SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY);
    pci_device_set_intx((PciDevice *)f->card, true);
    device_unrealize(f->card);
    assert_int_equal(config(f, SLOT, 0), 0xffffffff);
    assert_string_equal(name_at(f->rig.memory_as, 0xc0001000), "");
    assert_false(f->rig.irqs[PIRQ + SLOT].level);
}

static void test_intx_turns_with_the_slot_and_is_shared(void **state)
{
    Fixture *f = *state;
    Device *other = rig_new(&f->rig, &card_class);
    PciDevice *a = (PciDevice *)f->card, *b = (PciDevice *)other;
    const unsigned wire = PIRQ + SLOT % PCI_PIN_COUNT;

    pci_device_set_bus(other, pci_host_bus(f->host), PCI_DEVFN(SLOT + 4, 0));
    rig_start(&f->rig, other, NULL, 0);
    pci_device_set_intx(a, true);
    assert_true(f->rig.irqs[wire].level);
    assert_int_equal(config16(f, SLOT, PCI_STATUS) & PCI_STATUS_INTX, PCI_STATUS_INTX);
    assert_int_equal(config16(f, SLOT + 4, PCI_STATUS) & PCI_STATUS_INTX, 0);
    pci_device_set_intx(b, true);
    pci_device_set_intx(a, false);
    assert_true(f->rig.irqs[wire].level); /* b still holds it */
    set_config16(f, SLOT + 4, PCI_COMMAND, PCI_COMMAND_INTX_OFF);
    assert_false(f->rig.irqs[wire].level);
    assert_int_equal(config16(f, SLOT + 4, PCI_STATUS) & PCI_STATUS_INTX, PCI_STATUS_INTX);
    set_config16(f, SLOT + 4, PCI_COMMAND, 0);
    assert_true(f->rig.irqs[wire].level);
    device_reset(other);
    assert_false(f->rig.irqs[wire].level);
    for (unsigned i = 0; i < PCI_PIN_COUNT; i++) {
        assert_int_equal(f->rig.irqs[PIRQ + i].rises > 0, PIRQ + i == wire);
    }
}

static void test_two_machines_are_apart(void **state)
{
    Fixture *f = *state, *g;
    void *second;

    setup(&second);
    g = second;
    set_config(f, SLOT, PCI_BAR0, 0xc0001000);
    set_config16(f, SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY);
    assert_int_equal(config(g, SLOT, PCI_BAR0), 0);
    assert_string_equal(name_at(g->rig.memory_as, 0xc0001000), "");
    teardown(&second);
}

static void test_fuzz_survives(void **state)
{
    Fixture *f = *state;
    g_autoptr(GRand) rand = rig_rand("pci");

    for (unsigned i = 0; i < 4000; i++) {
        unsigned slot = g_rand_boolean(rand) ? SLOT : 0;
        unsigned reg = g_rand_boolean(rand) ? g_rand_int_range(rand, 0, 0x100)
                                            : g_rand_int_range(rand, 0, 0x28);

        select_register(f, slot, reg);
        rig_fuzz(&f->rig, rand, DATA, 4, 3);
        if (i % 50 == 0) {
            rig_fuzz(&f->rig, rand, ADDRESS, 8, 5);
        }
    }
    assert_int_equal(config(f, 0, 0), 0x00081b36);
}

/* One vCPU moves a register, another reads configuration space. */
static gpointer mover(gpointer opaque)
{
    PciBus *bus = pci_host_bus(((Fixture *)opaque)->host);

    for (unsigned i = 0; i < 500; i++) {
        pci_bus_config_write(bus, PCI_DEVFN(SLOT, 0), PCI_BAR0, 0xc0001000 + (i & 7) * 0x1000, 4);
    }
    return NULL;
}

static void test_two_vcpus_meet(void **state)
{
    Fixture *f = *state;
    PciBus *bus = pci_host_bus(f->host);
    GThread *thread;

    set_config16(f, SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY);
    thread = g_thread_new("mover", mover, f);
    for (unsigned i = 0; i < 20000; i++) {
        assert_int_equal(pci_bus_config_read(bus, PCI_DEVFN(SLOT, 0), 0, 4), 0x12341b36);
        pci_device_set_intx((PciDevice *)f->card, i & 1);
    }
    g_thread_join(thread);
    assert_string_equal(name_at(f->rig.memory_as, 0xc0001000 + (499 & 7) * 0x1000), "card-mem");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_host_bridge_is_there),
        T(test_linux_check_of_type_1),
        T(test_address_takes_double_words_only),
        T(test_reset_port_inside_the_address),
        T(test_nobody_there_reads_all_ones),
        T(test_header_and_byte_enables),
        T(test_command_and_status_masks),
        T(test_sizing_a_register),
        T(test_registers_are_mapped_when_the_command_allows),
        T(test_sizing_while_decoding_maps_nothing),
        T(test_reset_unmaps_and_forgets),
        T(test_a_refused_map_puts_the_register_back),
        T(test_capabilities_form_a_list),
        T(test_registers_that_cannot_be),
        T(test_a_taken_slot_is_refused),
        T(test_unplug_takes_all_of_it_away),
        T(test_intx_turns_with_the_slot_and_is_shared),
        T(test_two_machines_are_apart),
        T(test_fuzz_survives),
        T(test_two_vcpus_meet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
