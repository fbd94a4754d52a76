/* SPDX-License-Identifier: MIT */
/* mc146818: the PC's real-time clock and its battery-backed RAM. */
#ifndef TESSERA_HW_RTC_MC146818_H
#define TESSERA_HW_RTC_MC146818_H

#include "tessera/hw/core/device.h"

/*
 * One region of 2 ports: 0 is the index (write-only; bit 7 is the PC's NMI mask and no part of it),
 * 1 the data. Behind them 128 bytes (Motorola MC146818A data sheet, "Address map"; the bytes from
 * 0x0e up are the AT's: IBM PC/AT Technical Reference, 1984, section 1, "Real-Time Clock/CMOS RAM").
 *
 *   00 02 04     seconds, minutes, hours        0a  A: UIP, divider, rate
 *   01 03 05     the same of the alarm          0b  B: SET, PIE, AIE, UIE, SQWE, DM, 24/12, DSE
 *   06 07 08 09  day of week (Sunday = 1),      0c  C: IRQF, PF, AF, UF; reading clears
 *                day, month, year               0d  D: VRT
 *   0e .. 7f     RAM; 0x32 is the century
 *
 * An update cycle takes UIP up 2,228 us before the second changes (244 us of warning and 1,984 us of
 * update at 32,768 Hz; data sheet, table 4); its end changes the time and sets UF.
 */
#define RTC_INDEX_PORT  0
#define RTC_DATA_PORT   1
#define RTC_REGION_SIZE 2
#define RTC_NVRAM_SIZE  128

#define RTC_SECONDS       0x00
#define RTC_SECONDS_ALARM 0x01
#define RTC_MINUTES       0x02
#define RTC_MINUTES_ALARM 0x03
#define RTC_HOURS         0x04
#define RTC_HOURS_ALARM   0x05
#define RTC_DAY_OF_WEEK   0x06
#define RTC_DAY           0x07
#define RTC_MONTH         0x08
#define RTC_YEAR          0x09
#define RTC_REG_A         0x0a
#define RTC_REG_B         0x0b
#define RTC_REG_C         0x0c
#define RTC_REG_D         0x0d
#define RTC_CENTURY       0x32

#define RTC_A_UIP     0x80
#define RTC_A_DIVIDER 0x70 /* 0x20: 32,768 Hz; 0x60 and 0x70 hold the divider in reset */
#define RTC_A_RATE    0x0f

#define RTC_B_SET  0x80
#define RTC_B_PIE  0x40
#define RTC_B_AIE  0x20
#define RTC_B_UIE  0x10
#define RTC_B_SQWE 0x08
#define RTC_B_DM   0x04 /* binary instead of BCD */
#define RTC_B_24H  0x02

#define RTC_C_IRQF 0x80
#define RTC_C_PF   0x40
#define RTC_C_AF   0x20
#define RTC_C_UF   0x10

#define RTC_D_VRT 0x80

#define RTC_UPDATE_US 2228 /* how long UIP is up before the second changes */

extern const DeviceClass rtc_device_class; /* "mc146818"; region 0: the two ports */

/** rtc_set_irq() - before realize */
void rtc_set_irq(Device *dev, IrqLine irq);

/**
 * rtc_set_time_source() - before realize; where the time comes from (default: the host's UTC)
 * @now_us: microseconds since 1970; any thread
 */
void rtc_set_time_source(Device *dev, int64_t (*now_us)(void *opaque), void *opaque);

/** rtc_set_nvram() - @index 0x0e .. 0x7f without the century (asserted). Any thread */
void rtc_set_nvram(Device *dev, unsigned index, uint8_t value);

/**
 * rtc_set_memory_size() - what firmware would have counted: base memory (0x15), extended (0x17, 0x30),
 * above 16 MiB (0x34) and above 4 GiB (0x5b), as SeaBIOS and others read it
 * @below_4g, @above_4g: bytes of RAM
 */
void rtc_set_memory_size(Device *dev, uint64_t below_4g, uint64_t above_4g);

#endif
