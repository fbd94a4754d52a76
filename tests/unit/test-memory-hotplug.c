/* SPDX-License-Identifier: MIT */
/* The registers of the memory sockets, as a guest's AML uses them. */
#include "tessera/hw/acpi/memory-hotplug.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tessera/memory/address-space.h"
#include "tessera/memory/memory-system.h"
#include "tessera/util/size.h"

#define SLOTS 4

/* What the device told the machine, as text: "eject 2;" "ost 2 3 84;" "gpe;" */
typedef struct Fixture {
    MemorySystem *ms;
    VirtualClock *clock;
    AddressSpace *io;
    Device *dev;
    GString *log;
    bool refuse_eject;
} Fixture;

static uint32_t inl(Fixture *f, unsigned port)
{
    return address_space_ldl_le(f->io, port, MEMTXATTRS_NONE, NULL);
}

static uint8_t inb(Fixture *f, unsigned port)
{
    return address_space_ldub(f->io, port, MEMTXATTRS_NONE, NULL);
}

static void outl(Fixture *f, unsigned port, uint32_t value)
{
    address_space_stl_le(f->io, port, value, MEMTXATTRS_NONE, NULL);
}

static void outb(Fixture *f, unsigned port, uint8_t value)
{
    address_space_stb(f->io, port, value, MEMTXATTRS_NONE, NULL);
}

static void on_gpe(void *opaque, unsigned n, bool level)
{
    Fixture *f = opaque;

    if (level) {
        assert_int_equal(n, MEMORY_HOTPLUG_GPE);
        g_string_append(f->log, "gpe;");
    }
}

/* The lock is free: the registers can be read from here, and the socket is empty already. */
static void on_eject(void *opaque, unsigned slot)
{
    Fixture *f = opaque;

    g_string_append_printf(f->log, "eject %u;", slot);
    assert_int_equal(inb(f, MEMORY_HOTPLUG_STATUS), 0);
    if (f->refuse_eject) {
        memory_hotplug_restore(f->dev, slot);
    }
}

static void on_ost(void *opaque, unsigned slot, uint32_t event, uint32_t status)
{
    Fixture *f = opaque;

    g_string_append_printf(f->log, "ost %u %x %x;", slot, event, status);
    memory_hotplug_status(f->dev, slot);
}

static const MemoryHotplugOps ops = { .eject = on_eject, .ost = on_ost };

static void expect_log(Fixture *f, const char *wanted)
{
    assert_string_equal(f->log->str, wanted);
    g_string_truncate(f->log, 0);
}

static int set_up(void **state)
{
    Fixture *f = g_new0(Fixture, 1);
    DeviceContext context = { 0 };

    f->log = g_string_new(NULL);
    f->ms = context.ms = memory_system_new(NULL);
    f->clock = context.clock = virtual_clock_new_manual();
    f->dev = device_new(&memory_hotplug_device_class, &context, NULL);
    memory_hotplug_wire(f->dev, SLOTS, (IrqLine){ on_gpe, f, MEMORY_HOTPLUG_GPE });
    assert_true(device_realize(f->dev, NULL));
    memory_hotplug_set_ops(f->dev, &ops, f);
    f->io = address_space_new(f->ms, device_region(f->dev, 0), "registers", NULL);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *f = *state;

    address_space_free(f->io);
    device_unrealize(f->dev);
    device_unref(f->dev);
    memory_system_free(f->ms);
    virtual_clock_free(f->clock);
    g_string_free(f->log, TRUE);
    g_free(f);
    return 0;
}

static void expect_empty(Fixture *f, uint32_t slot)
{
    outl(f, MEMORY_HOTPLUG_SELECTOR, slot);
    for (unsigned offset = 0; offset < MEMORY_HOTPLUG_STATUS; offset += 4) {
        assert_int_equal(inl(f, offset), 0);
    }
    assert_int_equal(inb(f, MEMORY_HOTPLUG_STATUS), 0);
}

static void test_memory_hotplug_empty_sockets_and_beyond_read_zero(void **state)
{
    Fixture *f = *state;

    memory_hotplug_insert(f->dev, 1, 0x123456789000, 0x280000000, 7, false);
    expect_empty(f, 0);
    expect_empty(f, 3);
    expect_empty(f, SLOTS);
    expect_empty(f, 256);
    expect_empty(f, UINT32_MAX);
    expect_log(f, "");
}

static void test_memory_hotplug_insert_shows_the_dimm_and_tell_pulses(void **state)
{
    Fixture *f = *state;

    outl(f, MEMORY_HOTPLUG_SELECTOR, 3);
    memory_hotplug_insert(f->dev, 3, 0x123456789000, 0x280000000, 7, true);
    expect_log(f, "");
    memory_hotplug_tell(f->dev);
    expect_log(f, "gpe;");
    assert_int_equal(inl(f, MEMORY_HOTPLUG_BASE_LOW), 0x56789000);
    assert_int_equal(inl(f, MEMORY_HOTPLUG_BASE_HIGH), 0x1234);
    assert_int_equal(inl(f, MEMORY_HOTPLUG_SIZE_LOW), 0x80000000);
    assert_int_equal(inl(f, MEMORY_HOTPLUG_SIZE_HIGH), 2);
    assert_int_equal(inl(f, MEMORY_HOTPLUG_DOMAIN), 7);
    assert_int_equal(inb(f, MEMORY_HOTPLUG_STATUS),
                     MEMORY_HOTPLUG_ENABLED | MEMORY_HOTPLUG_INSERT);
    assert_int_equal(inb(f, 1), 0x90); /* any width */
    assert_int_equal(memory_hotplug_status(f->dev, 3), 3);
}

static void test_memory_hotplug_insert_before_start_tells_nobody(void **state)
{
    Fixture *f = *state;

    memory_hotplug_insert(f->dev, 0, 4 * GIB, GIB, 0, false);
    assert_int_equal(inb(f, MEMORY_HOTPLUG_STATUS), MEMORY_HOTPLUG_ENABLED);
    expect_log(f, "");
}

static void test_memory_hotplug_control_clears_what_was_seen(void **state)
{
    Fixture *f = *state;

    memory_hotplug_insert(f->dev, 0, 4 * GIB, GIB, 0, true);
    memory_hotplug_insert(f->dev, 2, 5 * GIB, GIB, 0, true);
    memory_hotplug_request_remove(f->dev, 2);
    expect_log(f, "gpe;");
    outl(f, MEMORY_HOTPLUG_SELECTOR, 2);
    outb(f, MEMORY_HOTPLUG_CONTROL, MEMORY_HOTPLUG_ENABLED); /* not the guest's to change */
    assert_int_equal(inb(f, MEMORY_HOTPLUG_STATUS), 7);
    outb(f, MEMORY_HOTPLUG_CONTROL, MEMORY_HOTPLUG_INSERT);
    assert_int_equal(inb(f, MEMORY_HOTPLUG_STATUS), 5);
    outb(f, MEMORY_HOTPLUG_CONTROL, MEMORY_HOTPLUG_REMOVE);
    assert_int_equal(inb(f, MEMORY_HOTPLUG_STATUS), 1);
    assert_int_equal(memory_hotplug_status(f->dev, 0), 3); /* the other one is as it was */
    expect_log(f, "");
}

static void test_memory_hotplug_eject_is_empty_before_it_completes(void **state)
{
    Fixture *f = *state;

    memory_hotplug_insert(f->dev, 2, 5 * GIB, GIB, 0, true);
    memory_hotplug_request_remove(f->dev, 2);
    expect_log(f, "gpe;");
    outl(f, MEMORY_HOTPLUG_SELECTOR, 2);
    outb(f, MEMORY_HOTPLUG_CONTROL, MEMORY_HOTPLUG_EJECT);
    expect_log(f, "eject 2;");
    assert_int_equal(inb(f, MEMORY_HOTPLUG_STATUS), 0);
    outb(f, MEMORY_HOTPLUG_CONTROL, MEMORY_HOTPLUG_EJECT); /* a second time: nothing is there */
    expect_log(f, "");
    memory_hotplug_clear(f->dev, 2);
    expect_empty(f, 2);
}

static void test_memory_hotplug_eject_refused_is_enabled_again(void **state)
{
    Fixture *f = *state;

    f->refuse_eject = true;
    memory_hotplug_insert(f->dev, 0, 5 * GIB, GIB, 0, false);
    outb(f, MEMORY_HOTPLUG_CONTROL, MEMORY_HOTPLUG_EJECT);
    expect_log(f, "eject 0;");
    assert_int_equal(inb(f, MEMORY_HOTPLUG_STATUS), MEMORY_HOTPLUG_ENABLED);
    assert_int_equal(inl(f, MEMORY_HOTPLUG_BASE_HIGH), 1);
}

static void test_memory_hotplug_ost_is_reported_by_the_status_write(void **state)
{
    Fixture *f = *state;

    outl(f, MEMORY_HOTPLUG_SELECTOR, 1);
    outl(f, MEMORY_HOTPLUG_OST_EVENT, 3);
    expect_log(f, "");
    outl(f, MEMORY_HOTPLUG_OST_STATUS, 0x84);
    expect_log(f, "ost 1 3 84;");
    outl(f, MEMORY_HOTPLUG_OST_STATUS, 0);
    expect_log(f, "ost 1 3 0;");
}

static void test_memory_hotplug_selector_past_the_end_writes_nothing(void **state)
{
    Fixture *f = *state;

    for (unsigned i = 0; i < SLOTS; i++) {
        memory_hotplug_insert(f->dev, i, (4 + i) * GIB, GIB, 0, false);
    }
    outl(f, MEMORY_HOTPLUG_SELECTOR, SLOTS);
    outl(f, MEMORY_HOTPLUG_OST_EVENT, 3);
    outl(f, MEMORY_HOTPLUG_OST_STATUS, 1);
    outb(f, MEMORY_HOTPLUG_CONTROL, 0x0f);
    expect_log(f, "");
    for (unsigned i = 0; i < SLOTS; i++) {
        assert_int_equal(memory_hotplug_status(f->dev, i), MEMORY_HOTPLUG_ENABLED);
    }
}

static void test_memory_hotplug_cancel_remove_only_until_seen(void **state)
{
    Fixture *f = *state;

    memory_hotplug_insert(f->dev, 0, 4 * GIB, GIB, 0, false);
    memory_hotplug_request_remove(f->dev, 0);
    assert_true(memory_hotplug_cancel_remove(f->dev, 0));
    assert_int_equal(memory_hotplug_status(f->dev, 0), MEMORY_HOTPLUG_ENABLED);
    memory_hotplug_request_remove(f->dev, 0);
    outb(f, MEMORY_HOTPLUG_CONTROL, MEMORY_HOTPLUG_REMOVE);
    assert_false(memory_hotplug_cancel_remove(f->dev, 0));
    expect_log(f, "gpe;gpe;");
}

static void test_memory_hotplug_request_remove_of_an_ejected_dimm_says_nothing(void **state)
{
    Fixture *f = *state;

    memory_hotplug_insert(f->dev, 0, 4 * GIB, GIB, 0, false);
    outb(f, MEMORY_HOTPLUG_CONTROL, MEMORY_HOTPLUG_EJECT);
    memory_hotplug_request_remove(f->dev, 0);
    expect_log(f, "eject 0;");
    assert_int_equal(memory_hotplug_status(f->dev, 0), 0);
}

static void test_memory_hotplug_reset_keeps_dimms_and_forgets_requests(void **state)
{
    Fixture *f = *state;

    memory_hotplug_insert(f->dev, 0, 4 * GIB, GIB, 0, true);
    memory_hotplug_request_remove(f->dev, 0);
    outl(f, MEMORY_HOTPLUG_SELECTOR, 3);
    outl(f, MEMORY_HOTPLUG_OST_EVENT, 3);
    device_reset(f->dev);
    assert_int_equal(inb(f, MEMORY_HOTPLUG_STATUS), MEMORY_HOTPLUG_ENABLED); /* selector is 0 */
    assert_int_equal(inl(f, MEMORY_HOTPLUG_BASE_HIGH), 1);
    g_string_truncate(f->log, 0);
    outl(f, MEMORY_HOTPLUG_OST_STATUS, 5);
    expect_log(f, "ost 0 0 5;");
}

/* A guest writes anything anywhere: nothing but its own sockets' flags changes. */
static void test_memory_hotplug_random_writes_keep_the_rules(void **state)
{
    Fixture *f = *state;
    const char *given = g_getenv("TESSERA_SEED");
    guint32 seed = given ? (guint32)strtoul(given, NULL, 0) : 20;
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    bool present[SLOTS] = { false };

    print_message("seed %u\n", seed);
    for (unsigned i = 0; i < 100000; i++) {
        unsigned slot = (unsigned)g_rand_int_range(rand, 0, SLOTS);
        unsigned port = (unsigned)g_rand_int_range(rand, 0, MEMORY_HOTPLUG_REGION_SIZE);
        uint32_t value = g_rand_boolean(rand) ? g_rand_int(rand) : g_rand_int(rand) % (SLOTS + 2);

        if (!present[slot] && g_rand_int_range(rand, 0, 4) == 0) {
            memory_hotplug_insert(f->dev, slot, slot * GIB, GIB, slot, g_rand_boolean(rand));
            present[slot] = true;
        }
        address_space_write(f->io, port, MEMTXATTRS_NONE, &value,
                            1u << g_rand_int_range(rand, 0, 3));
        for (unsigned s = 0; s < SLOTS; s++) {
            uint8_t status = memory_hotplug_status(f->dev, s);
            g_autofree char *ejected = g_strdup_printf("eject %u;", s);

            if (strstr(f->log->str, ejected)) {
                assert_true(present[s]);
                assert_int_equal(status, 0);
                present[s] = false;
            }
            assert_int_equal(status & MEMORY_HOTPLUG_ENABLED, present[s]);
            assert_true(present[s] || status == 0);
        }
        g_string_truncate(f->log, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_memory_hotplug_empty_sockets_and_beyond_read_zero),
        TEST(test_memory_hotplug_insert_shows_the_dimm_and_tell_pulses),
        TEST(test_memory_hotplug_insert_before_start_tells_nobody),
        TEST(test_memory_hotplug_control_clears_what_was_seen),
        TEST(test_memory_hotplug_eject_is_empty_before_it_completes),
        TEST(test_memory_hotplug_eject_refused_is_enabled_again),
        TEST(test_memory_hotplug_ost_is_reported_by_the_status_write),
        TEST(test_memory_hotplug_selector_past_the_end_writes_nothing),
        TEST(test_memory_hotplug_cancel_remove_only_until_seen),
        TEST(test_memory_hotplug_request_remove_of_an_ejected_dimm_says_nothing),
        TEST(test_memory_hotplug_reset_keeps_dimms_and_forgets_requests),
        TEST(test_memory_hotplug_random_writes_keep_the_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
