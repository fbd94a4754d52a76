/* SPDX-License-Identifier: MIT */
/* acpi-pm: ACPI's fixed power management registers, the PM timer and GPE block 0. */
#ifndef TESSERA_HW_ACPI_PM_H
#define TESSERA_HW_ACPI_PM_H

#include "tessera/hw/core/device.h"

/*
 * Four regions (ACPI specification 6.4, section 4.8.3 "Fixed Hardware Registers" and 4.8.4.1 "General-
 * Purpose Event Register Blocks"); all little endian, any width but for the timer, which is 32 bits.
 *
 *   region  bytes  what
 *   0       4      PM1a events: 0 status (write 1 to clear), 2 enable
 *   1       2      PM1a control: SCI_EN always reads 1: there is no other mode, and no SMI_CMD
 *   2       4      PM timer: 3.579545 MHz, all 32 bits count; read-only
 *   3       4      GPE block 0: 0 status (write 1 to clear), 2 enable; events 0 .. 15
 *
 * The SCI is up while any status bit is set whose enable bit is set.
 */
#define ACPI_PM_REGION_EVENT   0
#define ACPI_PM_REGION_CONTROL 1
#define ACPI_PM_REGION_TIMER   2
#define ACPI_PM_REGION_GPE0    3

#define ACPI_PM_EVENT_SIZE   4
#define ACPI_PM_CONTROL_SIZE 2
#define ACPI_PM_TIMER_SIZE   4
#define ACPI_PM_GPE0_SIZE    4

#define ACPI_PM_TIMER_HZ 3579545

/* Status and enable bits. */
#define ACPI_PM1_TMR    0x0001 /* the timer's highest bit changed */
#define ACPI_PM1_BM     0x0010 /* status only */
#define ACPI_PM1_GBL    0x0020
#define ACPI_PM1_PWRBTN 0x0100
#define ACPI_PM1_SLPBTN 0x0200
#define ACPI_PM1_RTC    0x0400
#define ACPI_PM1_WAK    0x8000 /* status only */

/* Control bits. */
#define ACPI_PM1_SCI_EN        0x0001
#define ACPI_PM1_BM_RLD        0x0002
#define ACPI_PM1_GBL_RLS       0x0004
#define ACPI_PM1_SLP_TYP       0x1c00
#define ACPI_PM1_SLP_TYP_SHIFT 10
#define ACPI_PM1_SLP_EN        0x2000

/* SLP_TYP that powers off; what \_S5 tells the guest. No other sleep state exists. */
#define ACPI_PM_SLP_TYP_S5 5

#define ACPI_PM_GPE_COUNT 16

extern const DeviceClass acpi_pm_device_class; /* "acpi-pm" */

/** acpi_pm_set_sci() - before realize; level, active high */
void acpi_pm_set_sci(Device *dev, IrqLine sci);

/** acpi_pm_power_button() - pressed: a guest that listens shuts down. Any thread */
void acpi_pm_power_button(Device *dev);

/** acpi_pm_set_gpe() - general-purpose event @n (0 .. 15, asserted) has happened. Any thread */
void acpi_pm_set_gpe(Device *dev, unsigned n);

#endif
