/* SPDX-License-Identifier: MIT */
/* The registers as gdb numbers and sizes them, and the description by which it learns that. */
#ifndef TESSERA_GDB_REGISTERS_INTERNAL_H
#define TESSERA_GDB_REGISTERS_INTERNAL_H

#include <glib.h>
#include "tessera/accel/kvm/vcpu-debug.h"

/* The part of the description that has a register; gdb knows the first three by their names. */
typedef enum GdbFeature {
    GDB_FEATURE_CORE,     /* org.gnu.gdb.i386.core */
    GDB_FEATURE_SSE,      /* org.gnu.gdb.i386.sse */
    GDB_FEATURE_SEGMENTS, /* org.gnu.gdb.i386.segments */
    GDB_FEATURE_SYSTEM,   /* org.tessera.i386.system */
    GDB_FEATURE_COUNT,
} GdbFeature;

/**
 * struct GdbRegister - one line of the table; its number is its place
 * @type, @group: as in the description; @group NULL: gdb's own choice
 * @bits: on the wire, little endian; @offset, @bytes: what of VcpuRegisters that is, zeroes behind it
 */
typedef struct GdbRegister {
    const char *name;
    const char *type;
    const char *group;
    GdbFeature feature;
    uint16_t bits;
    uint16_t offset;
    uint16_t bytes;
} GdbRegister;

#define GDB_REGISTER_BYTES_MAX 16

extern const GdbRegister gdb_registers[];
extern const unsigned gdb_register_count;

/** gdb_register_get() - register @n as it goes over the wire: its bits / 8 bytes to @wire */
void gdb_register_get(const VcpuRegisters *r, unsigned n, uint8_t *wire);
/** gdb_register_set() - the other way round; bits that the register has not are ignored */
void gdb_register_set(VcpuRegisters *r, unsigned n, const uint8_t *wire);

/** gdb_target_xml() - the description, as gdb asks for it under the name target.xml. A new string */
char *gdb_target_xml(void);

#endif
