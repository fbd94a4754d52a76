/* SPDX-License-Identifier: MIT */
/* Shared inside hw/acpi: little-endian output, and what an AML term is made of. */
#ifndef TESSERA_HW_ACPI_ACPI_INTERNAL_H
#define TESSERA_HW_ACPI_ACPI_INTERNAL_H

#include "tessera/hw/acpi/aml.h"

/* Append the low @bytes (1..8) bytes of @value, least significant first. */
static inline void acpi_put(GByteArray *out, uint64_t value, unsigned bytes)
{
    uint64_t le = GUINT64_TO_LE(value);

    g_byte_array_append(out, (const guint8 *)&le, bytes);
}

/* Where the grammar of ACPI 6.4, 20.2 allows a term; also what a block accepts as children. */
typedef enum {
    AML_AS_STATEMENT = 1 << 0, /* TermObj: in a term list */
    AML_AS_ARGUMENT = 1 << 1,  /* TermArg */
    AML_AS_TARGET = 1 << 2,    /* SuperName */
    AML_AS_DATA = 1 << 3,      /* DataRefObject: value of a Name, element of a package */
    AML_AS_FIELD = 1 << 4,     /* FieldElement */
    AML_AS_RESOURCE = 1 << 5,  /* resource descriptor */
} AmlPlace;

#define AML_IS_EXPRESSION (AML_AS_STATEMENT | AML_AS_ARGUMENT)
#define AML_IS_REFERENCE  (AML_AS_STATEMENT | AML_AS_ARGUMENT | AML_AS_TARGET)
#define AML_IS_DATA       (AML_AS_ARGUMENT | AML_AS_DATA)

#define AML_OP_IF   0xa0
#define AML_OP_ELSE 0xa1
#define AML_OP_EXT  0x5b /* first byte of two-byte opcodes, written 0x5bXX below */

/*
 * How a term's bytes are put together when it is given away:
 *   PLAIN      opcode body
 *   BLOCK      opcode PkgLength body
 *   PACKAGE    opcode PkgLength NumElements body
 *   TEMPLATE   opcode PkgLength BufferSize body EndTag
 *   LIST       body
 */
typedef enum {
    AML_FORM_PLAIN,
    AML_FORM_BLOCK,
    AML_FORM_PACKAGE,
    AML_FORM_TEMPLATE,
    AML_FORM_LIST,
} AmlForm;

struct Aml {
    AmlForm form;
    unsigned opcode; /* 0: none (names, descriptors); two-byte opcodes as 0x5bXX */
    unsigned is;     /* AmlPlace bits: where it may stand */
    unsigned takes;  /* AmlPlace bits of the children it accepts; 0: none */
    unsigned last;   /* opcode of the child appended last: an Else asks for it */
    size_t count;    /* children so far */
    GByteArray *body;
};

/* A new term with an empty body. */
Aml *aml_new(AmlForm form, unsigned opcode, unsigned is, unsigned takes);
/* Append @term's encoding to @out; it must be allowed in @place. Frees @term. */
void aml_emit(GByteArray *out, Aml *term, AmlPlace place);
/* Append the encoding of a name string. */
void aml_emit_path(GByteArray *out, const char *path);
/* Append a target, or NullName when @term is NULL. */
void aml_emit_target(GByteArray *out, Aml *term);
/* Append an integer constant in its shortest encoding. */
void aml_emit_int(GByteArray *out, uint64_t value);

#endif
