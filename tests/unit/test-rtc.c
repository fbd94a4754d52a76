/* SPDX-License-Identifier: MIT */
/* Tests of hw/rtc/mc146818.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/device-rig.h"
#include "tessera/hw/rtc/mc146818.h"

#define BASE 0x70
#define IRQ  8

#define MS  1000000LL
#define SEC 1000000000LL

/* 2024-02-28 23:59:50 UTC, a Wednesday: a leap day comes ten seconds later. */
#define START_US 1709164790000000LL

typedef struct Fixture {
    DeviceRig rig;
    Device *dev;
    int64_t jump_us; /* what the host's clock was changed by */
} Fixture;

static int64_t test_now_us(void *opaque)
{
    Fixture *f = opaque;

    return START_US + f->jump_us + virtual_clock_ns(f->rig.clock) / 1000;
}

static int setup(void **state)
{
    Fixture *f = g_new0(Fixture, 1);
    const int base = BASE;

    rig_init(&f->rig);
    f->dev = rig_new(&f->rig, &rtc_device_class);
    rtc_set_irq(f->dev, rig_irq(&f->rig, IRQ));
    rtc_set_time_source(f->dev, test_now_us, f);
    rig_start(&f->rig, f->dev, &base, 1);
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

static uint8_t in(Fixture *f, uint8_t reg)
{
    rig_outb(&f->rig, BASE, reg);
    return rig_inb(&f->rig, BASE + 1);
}

static void out(Fixture *f, uint8_t reg, uint8_t value)
{
    rig_outb(&f->rig, BASE, reg);
    rig_outb(&f->rig, BASE + 1, value);
}

static void advance(Fixture *f, int64_t ns)
{
    virtual_clock_advance(f->rig.clock, ns);
}

static bool irq(Fixture *f)
{
    return f->rig.irqs[IRQ].level;
}

static void assert_time(Fixture *f, const uint8_t *expected)
{
    static const uint8_t regs[] = { RTC_CENTURY, RTC_YEAR,    RTC_MONTH,   RTC_DAY,
                                    RTC_HOURS,   RTC_MINUTES, RTC_SECONDS };

    for (size_t i = 0; i < sizeof(regs); i++) {
        if (in(f, regs[i]) != expected[i]) {
            print_error("register 0x%02x\n", regs[i]);
        }
        assert_int_equal(in(f, regs[i]), expected[i]);
    }
}

#define ASSERT_TIME(f, ...) assert_time(f, (const uint8_t[]){ __VA_ARGS__ })

static void test_reset_gives_a_running_24_hour_bcd_clock(void **state)
{
    Fixture *f = *state;

    assert_int_equal(in(f, RTC_REG_A), 0x26);
    assert_int_equal(in(f, RTC_REG_B), RTC_B_24H);
    assert_int_equal(in(f, RTC_REG_C), 0);
    assert_int_equal(in(f, RTC_REG_D), RTC_D_VRT);
    ASSERT_TIME(f, 0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x50);
    assert_int_equal(in(f, RTC_DAY_OF_WEEK), 4);
    assert_int_equal(rig_inb(&f->rig, BASE), 0xff); /* the index cannot be read */
}

static void test_time_goes_on_over_a_leap_day(void **state)
{
    Fixture *f = *state;

    advance(f, 10 * SEC);
    ASSERT_TIME(f, 0x20, 0x24, 0x02, 0x29, 0x00, 0x00, 0x00);
    advance(f, 86400 * SEC);
    ASSERT_TIME(f, 0x20, 0x24, 0x03, 0x01, 0x00, 0x00, 0x00);
    assert_int_equal(in(f, RTC_DAY_OF_WEEK), 6);
}

static void test_formats_binary_and_12_hours(void **state)
{
    Fixture *f = *state;

    out(f, RTC_REG_B, RTC_B_24H | RTC_B_DM);
    ASSERT_TIME(f, 20, 24, 2, 28, 23, 59, 50);
    out(f, RTC_REG_B, 0);
    ASSERT_TIME(f, 0x20, 0x24, 0x02, 0x28, 0x91, 0x59, 0x50); /* 11 PM */
    out(f, RTC_REG_B, RTC_B_DM);
    assert_int_equal(in(f, RTC_HOURS), 0x80 | 11);
    advance(f, 10 * SEC);
    assert_int_equal(in(f, RTC_HOURS), 12); /* midnight */
    advance(f, 12 * 3600 * SEC);
    assert_int_equal(in(f, RTC_HOURS), 0x80 | 12); /* noon */
}

static void test_uip_is_up_before_the_second_changes(void **state)
{
    Fixture *f = *state;

    assert_int_equal(in(f, RTC_REG_A) & RTC_A_UIP, 0);
    advance(f, SEC - RTC_UPDATE_US * 1000 - 1000);
    assert_int_equal(in(f, RTC_REG_A) & RTC_A_UIP, 0);
    advance(f, 1000);
    assert_int_equal(in(f, RTC_REG_A) & RTC_A_UIP, RTC_A_UIP);
    assert_int_equal(in(f, RTC_SECONDS), 0x50);
    assert_int_equal(in(f, RTC_REG_C) & RTC_C_UF, 0);
    advance(f, (RTC_UPDATE_US - 1) * 1000);
    assert_int_equal(in(f, RTC_REG_A) & RTC_A_UIP, RTC_A_UIP);
    advance(f, 1000);
    assert_int_equal(in(f, RTC_REG_A) & RTC_A_UIP, 0);
    assert_int_equal(in(f, RTC_SECONDS), 0x51);
    assert_int_equal(in(f, RTC_REG_C) & RTC_C_UF, RTC_C_UF);
    /* While the clock stands there is no update. */
    out(f, RTC_REG_B, RTC_B_24H | RTC_B_SET);
    advance(f, SEC - 1000);
    assert_int_equal(in(f, RTC_REG_A) & RTC_A_UIP, 0);
}

static void test_update_interrupt_comes_every_second_once_read(void **state)
{
    Fixture *f = *state;

    out(f, RTC_REG_B, RTC_B_24H | RTC_B_UIE);
    advance(f, SEC - 1);
    assert_false(irq(f));
    advance(f, 1);
    assert_true(irq(f));
    advance(f, 5 * SEC);
    assert_int_equal(f->rig.irqs[IRQ].rises, 1); /* not read: the line stays up */
    assert_int_equal(in(f, RTC_REG_C) & ~RTC_C_PF, RTC_C_IRQF | RTC_C_UF);
    assert_false(irq(f));
    assert_int_equal(in(f, RTC_REG_C) & RTC_C_UF, 0);
    advance(f, SEC);
    assert_true(irq(f));
    out(f, RTC_REG_B, RTC_B_24H);
    assert_false(irq(f));
}

static void test_periodic_interrupt_at_each_rate(void **state)
{
    static const int64_t hz[] = { 0, 256, 128, 8192, 4096, 2048, 1024, 512,
                                  256, 128, 64, 32, 16, 8, 4, 2 };
    Fixture *f = *state;

    for (unsigned rate = 0; rate < 16; rate++) {
        unsigned count = 0;

        out(f, RTC_REG_A, 0x20 | rate);
        in(f, RTC_REG_C);
        out(f, RTC_REG_B, RTC_B_24H | RTC_B_PIE);
        for (int64_t ns = 0; ns < SEC; ns += 50000) {
            advance(f, 50000);
            if (irq(f)) {
                assert_true(in(f, RTC_REG_C) & RTC_C_PF);
                count++;
            }
        }
        assert_int_equal(count, hz[rate]);
        out(f, RTC_REG_B, RTC_B_24H);
    }
}

static void test_alarm_at_a_time_and_with_any(void **state)
{
    Fixture *f = *state;

    out(f, RTC_HOURS_ALARM, 0x00);
    out(f, RTC_MINUTES_ALARM, 0x00);
    out(f, RTC_SECONDS_ALARM, 0x05);
    out(f, RTC_REG_B, RTC_B_24H | RTC_B_AIE);
    advance(f, 15 * SEC - 1);
    assert_false(irq(f));
    advance(f, 1);
    assert_true(irq(f));
    assert_int_equal(in(f, RTC_REG_C) & (RTC_C_IRQF | RTC_C_AF), RTC_C_IRQF | RTC_C_AF);
    advance(f, 86400 * SEC - 1);
    assert_false(irq(f));
    advance(f, 1);
    assert_true(irq(f));
    in(f, RTC_REG_C);
    /* 00:00:05 now; any hour, any minute, second 07: once a minute. */
    out(f, RTC_HOURS_ALARM, 0xc0);
    out(f, RTC_MINUTES_ALARM, 0xff);
    out(f, RTC_SECONDS_ALARM, 0x07);
    for (unsigned i = 0; i < 3; i++) {
        advance(f, (i ? 60 : 2) * SEC);
        assert_true(irq(f));
        in(f, RTC_REG_C);
    }
}

static void test_alarm_at_a_minute_of_any_hour(void **state)
{
    Fixture *f = *state;

    out(f, RTC_HOURS_ALARM, 0xff);
    out(f, RTC_MINUTES_ALARM, 0x05);
    out(f, RTC_SECONDS_ALARM, 0x03);
    out(f, RTC_REG_B, RTC_B_24H | RTC_B_AIE);
    advance(f, (10 + 5 * 60 + 3) * SEC - 1); /* from 23:59:50 to 00:05:03 */
    assert_false(irq(f));
    advance(f, 1);
    assert_true(irq(f));
    in(f, RTC_REG_C);
    advance(f, 3600 * SEC - 1);
    assert_false(irq(f));
    advance(f, 1);
    assert_true(irq(f));
}

static void test_alarm_flag_without_interrupt(void **state)
{
    Fixture *f = *state;

    out(f, RTC_HOURS_ALARM, 0xff);
    out(f, RTC_MINUTES_ALARM, 0xff);
    out(f, RTC_SECONDS_ALARM, 0x55);
    advance(f, 4 * SEC);
    assert_int_equal(in(f, RTC_REG_C) & RTC_C_AF, 0);
    advance(f, 2 * SEC); /* it passed: nobody looked just then */
    assert_int_equal(in(f, RTC_REG_C) & (RTC_C_AF | RTC_C_IRQF), RTC_C_AF);
    assert_false(irq(f));
}

static void test_alarm_that_names_no_time_never_comes(void **state)
{
    Fixture *f = *state;

    out(f, RTC_HOURS_ALARM, 0x25);
    out(f, RTC_MINUTES_ALARM, 0xff);
    out(f, RTC_SECONDS_ALARM, 0xff);
    out(f, RTC_REG_B, RTC_B_24H | RTC_B_AIE);
    advance(f, 3 * 86400 * SEC);
    assert_false(irq(f));
    assert_int_equal(in(f, RTC_REG_C) & RTC_C_AF, 0);
}

static void set_time(Fixture *f, uint8_t century, uint8_t year, uint8_t month, uint8_t day,
                     uint8_t hour, uint8_t minute, uint8_t second)
{
    out(f, RTC_CENTURY, century);
    out(f, RTC_YEAR, year);
    out(f, RTC_MONTH, month);
    out(f, RTC_DAY, day);
    out(f, RTC_HOURS, hour);
    out(f, RTC_MINUTES, minute);
    out(f, RTC_SECONDS, second);
}

/* As Linux's mc146818_set_time(): SET, divider held, time, SET off, divider on. */
static void test_set_time_with_the_divider_held(void **state)
{
    Fixture *f = *state;

    out(f, RTC_REG_B, RTC_B_24H | RTC_B_SET);
    out(f, RTC_REG_A, 0x76);
    set_time(f, 0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59);
    advance(f, 5 * SEC);
    ASSERT_TIME(f, 0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59); /* it stands */
    out(f, RTC_REG_B, RTC_B_24H);
    ASSERT_TIME(f, 0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59);
    out(f, RTC_REG_A, 0x26);
    advance(f, 499 * MS);
    ASSERT_TIME(f, 0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59);
    advance(f, 1 * MS);
    ASSERT_TIME(f, 0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00);
    /* What the guest set follows the host from then on, and survives a reset. */
    f->jump_us = 3600 * 1000000LL;
    device_reset(f->dev);
    ASSERT_TIME(f, 0x20, 0x00, 0x01, 0x01, 0x01, 0x00, 0x00);
}

static void test_set_without_the_divider_keeps_the_phase(void **state)
{
    Fixture *f = *state;

    advance(f, 300 * MS);
    out(f, RTC_REG_B, RTC_B_24H | RTC_B_SET | RTC_B_UIE);
    assert_int_equal(in(f, RTC_REG_B) & RTC_B_UIE, 0); /* SET clears it */
    out(f, RTC_SECONDS, 0x10);
    out(f, RTC_REG_B, RTC_B_24H);
    advance(f, 699 * MS);
    assert_int_equal(in(f, RTC_SECONDS), 0x10);
    advance(f, 1 * MS);
    assert_int_equal(in(f, RTC_SECONDS), 0x11);
}

static void test_write_of_a_running_clock_counts(void **state)
{
    Fixture *f = *state;

    out(f, RTC_MINUTES, 0x30);
    ASSERT_TIME(f, 0x20, 0x24, 0x02, 0x28, 0x23, 0x30, 0x50);
    advance(f, 10 * SEC);
    ASSERT_TIME(f, 0x20, 0x24, 0x02, 0x28, 0x23, 0x31, 0x00);
}

static void test_impossible_dates_become_possible_ones(void **state)
{
    Fixture *f = *state;

    out(f, RTC_REG_B, RTC_B_24H | RTC_B_SET);
    set_time(f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
    assert_int_equal(in(f, RTC_MONTH), 0xff); /* standing: as written */
    out(f, RTC_REG_B, RTC_B_24H);
    assert_true(in(f, RTC_MONTH) <= 0x12);
    assert_true(in(f, RTC_DAY) <= 0x31);
    assert_true(in(f, RTC_SECONDS) <= 0x59);
}

static void test_host_clock_that_steps_back_does_no_harm(void **state)
{
    Fixture *f = *state;

    out(f, RTC_REG_B, RTC_B_24H | RTC_B_UIE);
    advance(f, 2 * SEC);
    in(f, RTC_REG_C);
    f->jump_us = -7200 * 1000000LL;
    advance(f, 2 * SEC);
    in(f, RTC_REG_C);
    advance(f, 2 * SEC);
    assert_true(irq(f)); /* goes on within a second or two, not after two hours */
}

static void test_nvram_keeps_bytes_over_a_reset(void **state)
{
    Fixture *f = *state;

    for (unsigned i = 0x0e; i < RTC_NVRAM_SIZE; i++) {
        if (i != RTC_CENTURY) {
            out(f, i, i ^ 0x5a);
        }
    }
    device_reset(f->dev);
    for (unsigned i = 0x0e; i < RTC_NVRAM_SIZE; i++) {
        if (i != RTC_CENTURY) {
            assert_int_equal(in(f, i), i ^ 0x5a);
        }
    }
    out(f, 0x80 | 0x20, 0x11); /* bit 7 is the NMI mask, not part of the index */
    assert_int_equal(in(f, 0x20), 0x11);
    rtc_set_nvram(f->dev, 0x7f, 0x99);
    assert_int_equal(in(f, 0x7f), 0x99);
}

static void test_memory_size_as_firmware_would_say(void **state)
{
    Fixture *f = *state;

    rtc_set_memory_size(f->dev, 256ULL << 20, 0);
    assert_int_equal(in(f, 0x15) | in(f, 0x16) << 8, 640);
    assert_int_equal(in(f, 0x17) | in(f, 0x18) << 8, 0xffff);
    assert_int_equal(in(f, 0x34) | in(f, 0x35) << 8, (256 - 16) * 16);
    assert_int_equal(in(f, 0x5b) | in(f, 0x5c) << 8 | in(f, 0x5d) << 16, 0);
    rtc_set_memory_size(f->dev, 3ULL << 30, 2ULL << 30);
    assert_int_equal(in(f, 0x34) | in(f, 0x35) << 8, (3072 - 16) * 16);
    assert_int_equal(in(f, 0x5b) | in(f, 0x5c) << 8 | in(f, 0x5d) << 16, 2048 * 16);
    rtc_set_memory_size(f->dev, 2ULL << 20, 0);
    assert_int_equal(in(f, 0x17) | in(f, 0x18) << 8, 1024);
    assert_int_equal(in(f, 0x30) | in(f, 0x31) << 8, 1024);
    assert_int_equal(in(f, 0x34) | in(f, 0x35) << 8, 0);
}

static void test_status_registers_are_read_only(void **state)
{
    Fixture *f = *state;

    out(f, RTC_REG_C, 0xff);
    out(f, RTC_REG_D, 0x00);
    assert_int_equal(in(f, RTC_REG_C), 0);
    assert_int_equal(in(f, RTC_REG_D), RTC_D_VRT);
}

static void test_word_write_selects_and_writes(void **state)
{
    Fixture *f = *state;

    rig_outw(&f->rig, BASE, 0x4240);
    assert_int_equal(in(f, 0x40), 0x42);
}

static void test_two_clocks_know_nothing_of_each_other(void **state)
{
    Fixture *f = *state;
    void *second;
    Fixture *g;

    setup(&second);
    g = second;
    out(f, 0x40, 1);
    out(g, 0x40, 2);
    out(f, RTC_MINUTES, 0x11);
    assert_int_equal(in(f, 0x40), 1);
    assert_int_equal(in(g, RTC_MINUTES), 0x59);
    teardown(&second);
}

static void test_fuzz_survives(void **state)
{
    Fixture *f = *state;
    g_autoptr(GRand) rand = rig_rand("rtc");

    rig_fuzz(&f->rig, rand, BASE, 2, 30000);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_reset_gives_a_running_24_hour_bcd_clock),
        T(test_time_goes_on_over_a_leap_day),
        T(test_formats_binary_and_12_hours),
        T(test_uip_is_up_before_the_second_changes),
        T(test_update_interrupt_comes_every_second_once_read),
        T(test_periodic_interrupt_at_each_rate),
        T(test_alarm_at_a_time_and_with_any),
        T(test_alarm_at_a_minute_of_any_hour),
        T(test_alarm_flag_without_interrupt),
        T(test_alarm_that_names_no_time_never_comes),
        T(test_set_time_with_the_divider_held),
        T(test_set_without_the_divider_keeps_the_phase),
        T(test_write_of_a_running_clock_counts),
        T(test_impossible_dates_become_possible_ones),
        T(test_host_clock_that_steps_back_does_no_harm),
        T(test_nvram_keeps_bytes_over_a_reset),
        T(test_memory_size_as_firmware_would_say),
        T(test_status_registers_are_read_only),
        T(test_word_write_selects_and_writes),
        T(test_two_clocks_know_nothing_of_each_other),
        T(test_fuzz_survives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
