/* SPDX-License-Identifier: MIT */
/* Shared by the files that describe the PC to its guest through ACPI. */
#ifndef TESSERA_HW_I386_PC_ACPI_INTERNAL_H
#define TESSERA_HW_I386_PC_ACPI_INTERNAL_H

#include <glib.h>

#include "tessera/hw/acpi/tables.h"
#include "tessera/hw/i386/pc-info.h"

/* Processor devices are called C000..CFFF. */
#define PC_ACPI_CPUS_MAX 4096

/* The DSDT of the machine, a complete table. */
GByteArray *pc_dsdt_build(const PcInfo *info);

#endif
