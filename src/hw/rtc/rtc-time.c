/* SPDX-License-Identifier: MIT */
/* The time and alarm bytes of an mc146818. */
#include "rtc-time-internal.h"

#include <glib.h>
#include <stdbool.h>
#include <time.h>
#include "tessera/hw/rtc/mc146818.h"

#define ALARM_ANY     0xc0 /* both top bits: any value matches */
#define SECONDS_A_DAY 86400

static uint8_t encode(const uint8_t *ram, int value)
{
    return ram[RTC_REG_B] & RTC_B_DM ? value : (value / 10) << 4 | value % 10;
}

static int decode(const uint8_t *ram, uint8_t reg)
{
    return ram[RTC_REG_B] & RTC_B_DM ? reg : (reg >> 4) * 10 + (reg & 0x0f);
}

static uint8_t encode_hour(const uint8_t *ram, int hour)
{
    if (ram[RTC_REG_B] & RTC_B_24H) {
        return encode(ram, hour);
    }
    return encode(ram, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? 0x80 : 0);
}

static int decode_hour(const uint8_t *ram, uint8_t reg)
{
    if (ram[RTC_REG_B] & RTC_B_24H) {
        return decode(ram, reg);
    }
    return decode(ram, reg & 0x7f) % 12 + (reg & 0x80 ? 12 : 0);
}

void rtc_store_time(uint8_t *ram, int64_t seconds)
{
    time_t t = seconds;
    struct tm tm = { 0 };
    int year;

    gmtime_r(&t, &tm);
    year = MAX(tm.tm_year + 1900, 0);
    ram[RTC_SECONDS] = encode(ram, tm.tm_sec);
    ram[RTC_MINUTES] = encode(ram, tm.tm_min);
    ram[RTC_HOURS] = encode_hour(ram, tm.tm_hour);
    ram[RTC_DAY_OF_WEEK] = encode(ram, tm.tm_wday + 1);
    ram[RTC_DAY] = encode(ram, tm.tm_mday);
    ram[RTC_MONTH] = encode(ram, tm.tm_mon + 1);
    ram[RTC_YEAR] = encode(ram, year % 100);
    ram[RTC_CENTURY] = encode(ram, year / 100 % 100);
}

int64_t rtc_load_time(const uint8_t *ram)
{
    struct tm tm = {
        .tm_sec = decode(ram, ram[RTC_SECONDS]),
        .tm_min = decode(ram, ram[RTC_MINUTES]),
        .tm_hour = decode_hour(ram, ram[RTC_HOURS]),
        .tm_mday = decode(ram, ram[RTC_DAY]),
        .tm_mon = decode(ram, ram[RTC_MONTH]) - 1,
        .tm_year = decode(ram, ram[RTC_CENTURY]) * 100 + decode(ram, ram[RTC_YEAR]) - 1900,
    };

    return timegm(&tm);
}

static bool alarm_matches(uint8_t alarm, int wanted, int value)
{
    return alarm >= ALARM_ANY || wanted == value;
}

int64_t rtc_next_alarm(const uint8_t *ram, int64_t after)
{
    int64_t t = after + 1, end = t + SECONDS_A_DAY;

    while (t < end) {
        int day_s = (int)(t - rtc_floor_div(t, SECONDS_A_DAY) * SECONDS_A_DAY);

        if (!alarm_matches(ram[RTC_HOURS_ALARM], decode_hour(ram, ram[RTC_HOURS_ALARM]),
                           day_s / 3600)) {
            t += 3600 - day_s % 3600;
        } else if (!alarm_matches(ram[RTC_MINUTES_ALARM], decode(ram, ram[RTC_MINUTES_ALARM]),
                                  day_s / 60 % 60)) {
            t += 60 - day_s % 60;
        } else if (!alarm_matches(ram[RTC_SECONDS_ALARM], decode(ram, ram[RTC_SECONDS_ALARM]),
                                  day_s % 60)) {
            t++;
        } else {
            return t;
        }
    }
    return RTC_NEVER;
}
