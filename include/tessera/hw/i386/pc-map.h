/* SPDX-License-Identifier: MIT */
/* Every guest-physical address, I/O port and GSI of the PC board: here and nowhere else. */
#ifndef TESSERA_HW_I386_PC_MAP_H
#define TESSERA_HW_I386_PC_MAP_H

#include <stdint.h>

#define PC_KIB (1ULL << 10)
#define PC_MIB (1ULL << 20)
#define PC_GIB (1ULL << 30)

/*
 * Guest-physical memory, bytes.
 *
 *   0           9fc00      a0000       c0000       e0000       100000         <= c0000000
 *   | RAM        | EBDA     | VGA hole  | pc.rom    | ACPI, RAM  | RAM            | 32-bit PCI hole ...
 *
 *   ... fec00000  fee00000   feffc000   feffd000    ff000000     100000000
 *       | IOAPIC   | LAPIC    | id. map  | TSS x 3   | firmware    | RAM above 4 GiB, device memory
 */
#define PC_EBDA_BASE          0x0009fc00ULL /* BIOS data; reserved in e820 */
#define PC_EBDA_SIZE          0x00000400ULL
#define PC_VGA_HOLE_BASE      0x000a0000ULL /* legacy VGA frame buffer; nothing answers */
#define PC_VGA_HOLE_SIZE      0x00020000ULL
#define PC_ROM_BASE           0x000c0000ULL /* option ROMs: `pc.rom` */
#define PC_ROM_SIZE           0x00020000ULL
#define PC_BIOS_AREA_BASE     0x000e0000ULL /* RSDP and ACPI tables of a directly booted kernel */
#define PC_BIOS_AREA_SIZE     0x00020000ULL
#define PC_HIGH_RAM_BASE      0x00100000ULL /* 1 MiB: RAM goes on here */
#define PC_LOW_RAM_END_MAX    0xc0000000ULL /* 3 GiB: the rest of RAM goes above 4 GiB */
#define PC_PCI_HOLE_BASE      0xc0000000ULL /* 32-bit PCI memory window */
#define PC_PCI_HOLE_SIZE      0x3ec00000ULL /* up to the IOAPIC */
#define PC_IOAPIC_BASE        0xfec00000ULL
#define PC_IOAPIC_SIZE        0x00001000ULL
#define PC_LAPIC_BASE         0xfee00000ULL
#define PC_LAPIC_SIZE         0x00001000ULL
#define PC_IDENTITY_MAP_BASE  0xfeffc000ULL /* KVM_SET_IDENTITY_MAP_ADDR, 1 page */
#define PC_IDENTITY_MAP_SIZE  0x00001000ULL
#define PC_TSS_BASE           0xfeffd000ULL /* KVM_SET_TSS_ADDR, 3 pages */
#define PC_TSS_SIZE           0x00003000ULL
#define PC_FIRMWARE_BASE      0xff000000ULL /* up to 16 MiB of firmware, later */
#define PC_FIRMWARE_SIZE      0x01000000ULL
#define PC_ABOVE_4G_BASE      0x100000000ULL
#define PC_DEVICE_MEMORY_ALIGN PC_GIB /* base of the device-memory window */
#define PC_DEVICE_MEMORY_SLOTS_MAX 256

/* Low memory that the loader of a directly booted kernel uses; all below the EBDA. */
#define PC_BOOT_GDT_BASE        0x00006000ULL /* GDT of the entry state, 1 page at most */
#define PC_BOOT_PARAMS_BASE     0x00007000ULL /* struct boot_params / hvm_start_info, 1 page */
#define PC_BOOT_STACK_TOP       0x00008ff0ULL
#define PC_BOOT_PAGE_TABLE_BASE 0x00009000ULL /* PML4, PDPT, 4 page directories: 6 pages */
#define PC_BOOT_PAGE_TABLE_SIZE 0x00006000ULL
#define PC_BOOT_CMDLINE_BASE    0x00020000ULL /* command line, up to 64 KiB */
#define PC_BOOT_CMDLINE_SIZE    0x00010000ULL
#define PC_BOOT_SETUP_DATA_BASE 0x00030000ULL /* setup_data list (device tree, ...) */
#define PC_BOOT_SETUP_DATA_SIZE 0x00060000ULL

/* I/O ports. The chips that KVM has itself stand here, too: no device is made for them. */
#define PC_PORT_PIC_MASTER     0x0020 /* in KVM */
#define PC_PORT_PIC_SLAVE      0x00a0 /* in KVM */
#define PC_PORT_PIC_SIZE       2
#define PC_PORT_PIT            0x0040 /* in KVM */
#define PC_PORT_PIT_SIZE       4
#define PC_PORT_SPEAKER        0x0061 /* in KVM: gate and output of the PIT's channel 2 */
#define PC_PORT_SPEAKER_SIZE   1
#define PC_PORT_ELCR           0x04d0 /* in KVM: edge or level of each PIC input */
#define PC_PORT_ELCR_SIZE      2
#define PC_PORT_I8042_DATA     0x0060
#define PC_PORT_I8042_COMMAND  0x0064
#define PC_PORT_RTC            0x0070 /* index, data */
#define PC_PORT_RTC_SIZE       2
#define PC_PORT_POST           0x0080
#define PC_PORT_DEBUG_EXIT     0x00f4 /* isa-debug-exit, 4 bytes */
#define PC_PORT_DEBUG_EXIT_SIZE 4
#define PC_PORT_SERIAL0        0x03f8
#define PC_PORT_SERIAL_SIZE    8
#define PC_PORT_FW_CFG         0x0510 /* later */
#define PC_PORT_FW_CFG_SIZE    12
#define PC_PORT_PM1A_EVENT     0x0600 /* status, enable: 2 x 16 bits */
#define PC_PORT_PM1A_EVENT_SIZE 4
#define PC_PORT_PM1A_CONTROL   0x0604 /* 16 bits */
#define PC_PORT_PM1A_CONTROL_SIZE 2
#define PC_PORT_PM_TIMER       0x0608 /* 32 bits, read-only */
#define PC_PORT_PM_TIMER_SIZE  4
#define PC_PORT_MEMORY_HOTPLUG 0x0a00
#define PC_PORT_MEMORY_HOTPLUG_SIZE 0x18
#define PC_PORT_PCI_CONFIG_ADDRESS 0x0cf8
#define PC_PORT_RESET          0x0cf9 /* byte accesses only; inside the dword at 0xcf8 */
#define PC_PORT_PCI_CONFIG_DATA    0x0cfc
#define PC_PORT_GPE0           0xafe0
#define PC_PORT_GPE0_SIZE      4

/* Global system interrupts: IOAPIC pins, and ISA IRQs below 16 but for the PIT's. */
#define PC_GSI_COUNT    24
#define PC_GSI_PIT      0 /* IOAPIC pin 2, PIC pin 0 (MADT override) */
#define PC_GSI_KEYBOARD 1
#define PC_GSI_SERIAL0  4
#define PC_GSI_RTC      8
#define PC_GSI_SCI      9 /* level, active high */
#define PC_GSI_MOUSE    12
#define PC_GSI_PCI_INTX_BASE  16 /* INTA..INTD of the root bus: level, shared, see below */
#define PC_GSI_PCI_INTX_COUNT 4
/* GSI of interrupt pin @pin (0: INTA .. 3: INTD) of device @device (0..31) on PCI bus 0. */
#define PC_GSI_PCI_INTX(device, pin)                                                               \
    (PC_GSI_PCI_INTX_BASE + ((device) + (pin)) % PC_GSI_PCI_INTX_COUNT)

/* What the reset register and the FADT that describes it agree on. */
#define PC_RESET_VALUE 0x06 /* byte written to PC_PORT_RESET that resets the machine */

#define PC_ASSERT_AFTER(next, base, size)                                                          \
    _Static_assert((base) + (size) <= (next), #base " runs into " #next)
PC_ASSERT_AFTER(PC_VGA_HOLE_BASE, PC_EBDA_BASE, PC_EBDA_SIZE);
PC_ASSERT_AFTER(PC_ROM_BASE, PC_VGA_HOLE_BASE, PC_VGA_HOLE_SIZE);
PC_ASSERT_AFTER(PC_BIOS_AREA_BASE, PC_ROM_BASE, PC_ROM_SIZE);
PC_ASSERT_AFTER(PC_HIGH_RAM_BASE, PC_BIOS_AREA_BASE, PC_BIOS_AREA_SIZE);
PC_ASSERT_AFTER(PC_PCI_HOLE_BASE, 0, PC_LOW_RAM_END_MAX);
PC_ASSERT_AFTER(PC_IOAPIC_BASE, PC_PCI_HOLE_BASE, PC_PCI_HOLE_SIZE);
PC_ASSERT_AFTER(PC_LAPIC_BASE, PC_IOAPIC_BASE, PC_IOAPIC_SIZE);
PC_ASSERT_AFTER(PC_IDENTITY_MAP_BASE, PC_LAPIC_BASE, PC_LAPIC_SIZE);
PC_ASSERT_AFTER(PC_TSS_BASE, PC_IDENTITY_MAP_BASE, PC_IDENTITY_MAP_SIZE);
PC_ASSERT_AFTER(PC_FIRMWARE_BASE, PC_TSS_BASE, PC_TSS_SIZE);
PC_ASSERT_AFTER(PC_ABOVE_4G_BASE, PC_FIRMWARE_BASE, PC_FIRMWARE_SIZE);
PC_ASSERT_AFTER(PC_BOOT_STACK_TOP, PC_BOOT_PARAMS_BASE, 0x1000);
PC_ASSERT_AFTER(PC_BOOT_PARAMS_BASE, PC_BOOT_GDT_BASE, 0x1000);
PC_ASSERT_AFTER(PC_BOOT_CMDLINE_BASE, PC_BOOT_PAGE_TABLE_BASE, PC_BOOT_PAGE_TABLE_SIZE);
PC_ASSERT_AFTER(PC_BOOT_SETUP_DATA_BASE, PC_BOOT_CMDLINE_BASE, PC_BOOT_CMDLINE_SIZE);
PC_ASSERT_AFTER(PC_EBDA_BASE, PC_BOOT_SETUP_DATA_BASE, PC_BOOT_SETUP_DATA_SIZE);
PC_ASSERT_AFTER(PC_PORT_PM1A_CONTROL, PC_PORT_PM1A_EVENT, PC_PORT_PM1A_EVENT_SIZE);
PC_ASSERT_AFTER(PC_PORT_PM_TIMER, PC_PORT_PM1A_CONTROL, PC_PORT_PM1A_CONTROL_SIZE);
PC_ASSERT_AFTER(PC_PORT_MEMORY_HOTPLUG, PC_PORT_PM_TIMER, PC_PORT_PM_TIMER_SIZE);
PC_ASSERT_AFTER(PC_GSI_COUNT, PC_GSI_PCI_INTX_BASE, PC_GSI_PCI_INTX_COUNT);
PC_ASSERT_AFTER(PC_PORT_PCI_CONFIG_ADDRESS, PC_PORT_MEMORY_HOTPLUG, PC_PORT_MEMORY_HOTPLUG_SIZE);

#endif
