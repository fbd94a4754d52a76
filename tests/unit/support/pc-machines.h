/* SPDX-License-Identifier: MIT */
/* The PCs whose ACPI tables and device trees the unit tests look at. */
#ifndef TESSERA_TESTS_PC_MACHINES_H
#define TESSERA_TESTS_PC_MACHINES_H

#include "tessera/hw/i386/pc-info.h"

/* 1, 2, 255 and 288 processors x 256 MiB, 3 GiB and 5 GiB x without and with device memory. */
#define PC_MACHINES (4 * 3 * 2)

/*
 * Machine @n (0..PC_MACHINES - 1), with APIC ids that leave gaps when there is an odd number of
 * processors; valid as long as the program runs. With device memory it has 4 slots.
 */
PcInfo pc_machine(unsigned n);

/* A sentence for messages, valid until the next call. */
const char *pc_machine_name(const PcInfo *info);

#endif
