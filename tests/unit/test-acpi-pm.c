/* SPDX-License-Identifier: MIT */
/* Tests of hw/acpi/pm.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/device-rig.h"
#include "tessera/hw/acpi/pm.h"

#define STS  0x600
#define EN   0x602
#define CNT  0x604
#define TMR  0x608
#define GPE0 0xafe0
#define SCI  9

#define SEC 1000000000LL

typedef struct Fixture {
    DeviceRig rig;
    Device *dev;
} Fixture;

static int setup(void **state)
{
    static const int ports[] = {
        [ACPI_PM_REGION_EVENT] = STS,
        [ACPI_PM_REGION_CONTROL] = CNT,
        [ACPI_PM_REGION_TIMER] = TMR,
        [ACPI_PM_REGION_GPE0] = GPE0,
    };
    Fixture *f = g_new0(Fixture, 1);

    rig_init(&f->rig);
    f->dev = rig_new(&f->rig, &acpi_pm_device_class);
    acpi_pm_set_sci(f->dev, rig_irq(&f->rig, SCI));
    rig_start(&f->rig, f->dev, ports, G_N_ELEMENTS(ports));
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

static bool sci(Fixture *f)
{
    return f->rig.irqs[SCI].level;
}

static void test_power_button_raises_the_sci_when_enabled(void **state)
{
    Fixture *f = *state;

    acpi_pm_power_button(f->dev);
    assert_false(sci(f));
    assert_int_equal(rig_inw(&f->rig, STS), ACPI_PM1_PWRBTN);
    rig_outw(&f->rig, EN, ACPI_PM1_PWRBTN);
    assert_true(sci(f)); /* it was waiting */
    rig_outw(&f->rig, STS, ACPI_PM1_GBL); /* another bit: no effect */
    assert_true(sci(f));
    rig_outw(&f->rig, STS, ACPI_PM1_PWRBTN);
    assert_false(sci(f));
    assert_int_equal(rig_inw(&f->rig, STS), 0);
    acpi_pm_power_button(f->dev);
    assert_true(sci(f));
    rig_outw(&f->rig, EN, 0);
    assert_false(sci(f));
}

static void test_enable_keeps_only_bits_that_exist(void **state)
{
    Fixture *f = *state;

    rig_outw(&f->rig, EN, 0xffff);
    assert_int_equal(rig_inw(&f->rig, EN), ACPI_PM1_TMR | ACPI_PM1_GBL | ACPI_PM1_PWRBTN |
                                               ACPI_PM1_SLPBTN | ACPI_PM1_RTC);
    rig_outw(&f->rig, STS, 0xffff);
    assert_int_equal(rig_inw(&f->rig, STS), 0); /* writing sets nothing */
}

static void test_event_block_byte_and_double_word(void **state)
{
    Fixture *f = *state;

    acpi_pm_power_button(f->dev);
    rig_outb(&f->rig, EN + 1, ACPI_PM1_PWRBTN >> 8);
    assert_true(sci(f));
    assert_int_equal(rig_inb(&f->rig, STS + 1), ACPI_PM1_PWRBTN >> 8);
    assert_int_equal(rig_inl(&f->rig, STS), (uint32_t)ACPI_PM1_PWRBTN << 16 | ACPI_PM1_PWRBTN);
    rig_outb(&f->rig, STS, 0xff); /* the low byte: not the button's */
    assert_true(sci(f));
    rig_outb(&f->rig, STS + 1, 0x01);
    assert_false(sci(f));
    rig_outl(&f->rig, CNT, (uint32_t)ACPI_PM1_SLP_EN << 16 | 5u << 26); /* past the control register */
    assert_int_equal(f->rig.poweroffs, 0);
}

static void test_control_sci_en_is_always_1(void **state)
{
    Fixture *f = *state;

    assert_int_equal(rig_inw(&f->rig, CNT), ACPI_PM1_SCI_EN);
    rig_outw(&f->rig, CNT, 0);
    assert_int_equal(rig_inw(&f->rig, CNT), ACPI_PM1_SCI_EN);
    rig_outw(&f->rig, CNT, ACPI_PM1_BM_RLD | ACPI_PM1_GBL_RLS | 3 << ACPI_PM1_SLP_TYP_SHIFT);
    assert_int_equal(rig_inw(&f->rig, CNT),
                     ACPI_PM1_SCI_EN | ACPI_PM1_BM_RLD | 3 << ACPI_PM1_SLP_TYP_SHIFT);
}

static void test_s5_powers_off_and_nothing_else_does(void **state)
{
    Fixture *f = *state;

    for (unsigned type = 0; type < 8; type++) {
        rig_outw(&f->rig, CNT, type << ACPI_PM1_SLP_TYP_SHIFT);
        assert_int_equal(f->rig.poweroffs, 0);
        if (type != ACPI_PM_SLP_TYP_S5) {
            rig_outw(&f->rig, CNT, type << ACPI_PM1_SLP_TYP_SHIFT | ACPI_PM1_SLP_EN);
            assert_int_equal(f->rig.poweroffs, 0);
        }
    }
    rig_outw(&f->rig, CNT, ACPI_PM_SLP_TYP_S5 << ACPI_PM1_SLP_TYP_SHIFT | ACPI_PM1_SLP_EN);
    assert_int_equal(f->rig.poweroffs, 1);
    assert_int_equal(f->rig.cause, MACHINE_CAUSE_GUEST_POWEROFF);
    assert_int_equal(rig_inw(&f->rig, CNT) & ACPI_PM1_SLP_EN, 0); /* write-only */
    rig_outb(&f->rig, CNT + 1, (ACPI_PM_SLP_TYP_S5 << ACPI_PM1_SLP_TYP_SHIFT | ACPI_PM1_SLP_EN) >> 8);
    assert_int_equal(f->rig.poweroffs, 2);
}

static void test_timer_counts_at_3_579545_mhz(void **state)
{
    Fixture *f = *state;

    assert_int_equal(rig_inl(&f->rig, TMR), 0);
    virtual_clock_advance(f->rig.clock, SEC);
    assert_int_equal(rig_inl(&f->rig, TMR), ACPI_PM_TIMER_HZ);
    rig_outl(&f->rig, TMR, 0); /* read-only */
    assert_int_equal(rig_inl(&f->rig, TMR), ACPI_PM_TIMER_HZ);
    assert_int_equal(rig_inw(&f->rig, TMR), ACPI_PM_TIMER_HZ & 0xffff);
    virtual_clock_advance(f->rig.clock, 1199 * SEC); /* 2^32 ticks are 1,199.86 s */
    assert_int_equal(rig_inl(&f->rig, TMR), (uint32_t)(1200ULL * ACPI_PM_TIMER_HZ));
}

static void test_timer_status_at_each_flip_of_its_highest_bit(void **state)
{
    Fixture *f = *state;
    const int64_t half = (int64_t)(((__int128)SEC << 31) / ACPI_PM_TIMER_HZ) + 1;

    virtual_clock_advance(f->rig.clock, half - 1000000);
    assert_int_equal(rig_inw(&f->rig, STS), 0);
    virtual_clock_advance(f->rig.clock, 1000000);
    assert_int_equal(rig_inw(&f->rig, STS), ACPI_PM1_TMR); /* without its interrupt */
    assert_false(sci(f));
    rig_outw(&f->rig, STS, ACPI_PM1_TMR);
    rig_outw(&f->rig, EN, ACPI_PM1_TMR);
    virtual_clock_advance(f->rig.clock, half - 1000000);
    assert_false(sci(f));
    virtual_clock_advance(f->rig.clock, 1000000);
    assert_true(sci(f));
    rig_outw(&f->rig, STS, ACPI_PM1_TMR);
    assert_false(sci(f));
    virtual_clock_advance(f->rig.clock, half);
    assert_true(sci(f));
}

static void test_gpe_status_enable_and_sci(void **state)
{
    Fixture *f = *state;

    acpi_pm_set_gpe(f->dev, 3);
    assert_int_equal(rig_inb(&f->rig, GPE0), 0x08);
    assert_false(sci(f));
    rig_outb(&f->rig, GPE0 + 2, 0x08);
    assert_true(sci(f));
    rig_outb(&f->rig, GPE0, 0x08);
    assert_false(sci(f));
    acpi_pm_set_gpe(f->dev, 15);
    assert_int_equal(rig_inw(&f->rig, GPE0), 0x8000);
    rig_outw(&f->rig, GPE0 + 2, 0xffff);
    assert_true(sci(f));
    /* Both blocks share the wire: it falls with the last of them. */
    acpi_pm_power_button(f->dev);
    rig_outw(&f->rig, EN, ACPI_PM1_PWRBTN);
    rig_outw(&f->rig, GPE0, 0x8000);
    assert_true(sci(f));
    rig_outw(&f->rig, STS, ACPI_PM1_PWRBTN);
    assert_false(sci(f));
}

static void test_reset_clears_everything_but_the_timer(void **state)
{
    Fixture *f = *state;

    virtual_clock_advance(f->rig.clock, SEC);
    rig_outw(&f->rig, EN, 0xffff);
    rig_outw(&f->rig, GPE0 + 2, 0xffff);
    acpi_pm_power_button(f->dev);
    acpi_pm_set_gpe(f->dev, 0);
    device_reset(f->dev);
    assert_false(sci(f));
    assert_int_equal(rig_inl(&f->rig, STS), 0);
    assert_int_equal(rig_inl(&f->rig, GPE0), 0);
    assert_int_equal(rig_inl(&f->rig, TMR), ACPI_PM_TIMER_HZ);
}

static void test_two_machines_are_apart(void **state)
{
    Fixture *f = *state, *g;
    void *second;

    setup(&second);
    g = second;
    acpi_pm_power_button(f->dev);
    assert_int_equal(rig_inw(&g->rig, STS), 0);
    teardown(&second);
}

static void test_fuzz_survives(void **state)
{
    Fixture *f = *state;
    g_autoptr(GRand) rand = rig_rand("acpi-pm");

    for (unsigned i = 0; i < 3000; i++) {
        rig_fuzz(&f->rig, rand, STS, 12, 10);
        rig_fuzz(&f->rig, rand, GPE0, 4, 3);
        acpi_pm_set_gpe(f->dev, g_rand_int_range(rand, 0, ACPI_PM_GPE_COUNT));
    }
    rig_outl(&f->rig, STS, 0xffff);
    rig_outl(&f->rig, GPE0, 0xffff);
    assert_false(sci(f));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_power_button_raises_the_sci_when_enabled),
        T(test_enable_keeps_only_bits_that_exist),
        T(test_event_block_byte_and_double_word),
        T(test_control_sci_en_is_always_1),
        T(test_s5_powers_off_and_nothing_else_does),
        T(test_timer_counts_at_3_579545_mhz),
        T(test_timer_status_at_each_flip_of_its_highest_bit),
        T(test_gpe_status_enable_and_sci),
        T(test_reset_clears_everything_but_the_timer),
        T(test_two_machines_are_apart),
        T(test_fuzz_survives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
