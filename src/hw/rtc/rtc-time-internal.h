/* SPDX-License-Identifier: MIT */
/* The time and alarm bytes of an mc146818. */
#ifndef TESSERA_HW_RTC_RTC_TIME_INTERNAL_H
#define TESSERA_HW_RTC_RTC_TIME_INTERNAL_H

#include <stdint.h>

/*
 * @ram is the chip's RAM with the time at the offsets of its registers (mc146818.h); register B in
 * it says whether bytes are binary or BCD, and hours count to 12 or 24. Seconds are those of
 * time(). Pure functions.
 */

#define RTC_NEVER INT64_MAX

/** rtc_store_time() - the time @seconds as bytes */
void rtc_store_time(uint8_t *ram, int64_t seconds);
/** rtc_load_time() - the bytes as seconds; a guest's impossible dates become possible ones */
int64_t rtc_load_time(const uint8_t *ram);
/** rtc_next_alarm() - the first second after @after that the alarm bytes name; or RTC_NEVER */
int64_t rtc_next_alarm(const uint8_t *ram, int64_t after);

/** rtc_floor_div() - @a / @b, rounded down for negative @a too */
static inline int64_t rtc_floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

#endif
