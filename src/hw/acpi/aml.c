/* SPDX-License-Identifier: MIT */
/* AML builder: terms, names, data and named objects. */
#include "tessera/hw/acpi/aml.h"

#include <string.h>

#include "acpi-internal.h"

#define PKG_LENGTH_MAX 0x0fffffff

/* PkgLength (20.2.4): 6 bits in one byte, or 4 bits and one to three further bytes. */
static void emit_length(GByteArray *out, size_t value)
{
    unsigned extra = value <= 0x3f ? 0 : value <= 0xfff ? 1 : value <= 0xfffff ? 2 : 3;

    g_assert(value <= PKG_LENGTH_MAX);
    if (extra == 0) {
        acpi_put(out, value, 1);
        return;
    }
    acpi_put(out, extra << 6 | (value & 0xf), 1);
    acpi_put(out, value >> 4, extra);
}

/* The PkgLength of a block counts its own bytes. */
static void emit_block_length(GByteArray *out, size_t body)
{
    size_t own = body + 1 <= 0x3f ? 1 : body + 2 <= 0xfff ? 2 : body + 3 <= 0xfffff ? 3 : 4;

    emit_length(out, body + own);
}

static void emit_opcode(GByteArray *out, unsigned opcode)
{
    if (opcode > 0xff)
        acpi_put(out, opcode >> 8, 1);
    acpi_put(out, opcode & 0xff, 1);
}

/* Bytes of an integer constant behind its opcode; 0: the opcode says it all. */
static unsigned int_bytes(uint64_t value)
{
    if (value <= 1 || value == UINT64_MAX)
        return 0;
    return value <= 0xff ? 1 : value <= 0xffff ? 2 : value <= 0xffffffff ? 4 : 8;
}

static void emit_block(GByteArray *out, unsigned opcode, const GByteArray *body)
{
    emit_opcode(out, opcode);
    emit_block_length(out, body->len);
    g_byte_array_append(out, body->data, body->len);
}

/* A block that begins with an integer term. */
static void emit_counted_block(GByteArray *out, unsigned opcode, uint64_t count,
                               const GByteArray *body)
{
    emit_opcode(out, opcode);
    emit_block_length(out, 1 + int_bytes(count) + body->len);
    aml_emit_int(out, count);
    g_byte_array_append(out, body->data, body->len);
}

/* A package of up to 255 elements says their number in a byte; VarPackageOp takes a term. */
static void emit_package(GByteArray *out, const Aml *term)
{
    if (term->count > 0xff) {
        emit_counted_block(out, 0x13, term->count, term->body);
        return;
    }
    emit_opcode(out, term->opcode);
    emit_block_length(out, 1 + term->body->len);
    acpi_put(out, term->count, 1);
    g_byte_array_append(out, term->body->data, term->body->len);
}

/*
 * End tag (6.4.2.9). A checksum of 0 stands for "right": the only one that stays true when a method
 * patches the template.
 */
static void add_end_tag(GByteArray *descriptors)
{
    acpi_put(descriptors, 0x79, 1);
    acpi_put(descriptors, 0, 1);
}

static void emit_term(GByteArray *out, Aml *term)
{
    switch (term->form) {
    case AML_FORM_LIST: /* has no opcode */
    case AML_FORM_PLAIN:
        if (term->opcode)
            emit_opcode(out, term->opcode);
        g_byte_array_append(out, term->body->data, term->body->len);
        break;
    case AML_FORM_BLOCK:
        emit_block(out, term->opcode, term->body);
        break;
    case AML_FORM_PACKAGE:
        emit_package(out, term);
        break;
    case AML_FORM_TEMPLATE:
        add_end_tag(term->body);
        emit_counted_block(out, term->opcode, term->body->len, term->body);
        break;
    }
}

Aml *aml_new(AmlForm form, unsigned opcode, unsigned is, unsigned takes)
{
    Aml *term = g_new0(Aml, 1);

    term->form = form;
    term->opcode = opcode;
    term->is = is;
    term->takes = takes;
    term->body = g_byte_array_sized_new(32); /* most terms are no longer */
    return term;
}

void aml_free(Aml *term)
{
    if (!term)
        return;
    g_byte_array_unref(term->body);
    g_free(term);
}

void aml_emit(GByteArray *out, Aml *term, AmlPlace place)
{
    g_assert(term != NULL);
    g_assert(term->is & place);
    emit_term(out, term);
    aml_free(term);
}

void aml_emit_target(GByteArray *out, Aml *term)
{
    if (term)
        aml_emit(out, term, AML_AS_TARGET);
    else
        acpi_put(out, 0, 1);
}

/* One NameSeg: @length characters of @text, padded. */
static void emit_segment(GByteArray *out, const char *text, size_t length)
{
    g_assert(length >= 1 && length <= 4);
    g_assert(g_ascii_isupper(text[0]) || text[0] == '_');
    for (size_t i = 0; i < length; i++)
        g_assert(g_ascii_isupper(text[i]) || g_ascii_isdigit(text[i]) || text[i] == '_');
    g_byte_array_append(out, (const guint8 *)text, length);
    g_byte_array_append(out, (const guint8 *)"___", 4 - length);
}

void aml_emit_path(GByteArray *out, const char *path)
{
    g_auto(GStrv) segments = NULL;
    size_t prefix = *path == '\\' ? 1 : strspn(path, "^");
    unsigned n;

    g_byte_array_append(out, (const guint8 *)path, prefix);
    segments = g_strsplit(path + prefix, ".", -1);
    n = g_strv_length(segments);
    g_assert(n <= 0xff);
    if (n == 0) {
        g_assert(prefix > 0);
        acpi_put(out, 0x00, 1); /* NullName: the root or an ancestor itself */
    } else if (n == 2) {
        acpi_put(out, 0x2e, 1); /* DualNamePrefix */
    } else if (n > 2) {
        acpi_put(out, 0x2f, 1); /* MultiNamePrefix */
        acpi_put(out, n, 1);
    }
    for (unsigned i = 0; i < n; i++)
        emit_segment(out, segments[i], strlen(segments[i]));
}

void aml_emit_int(GByteArray *out, uint64_t value)
{
    /* BytePrefix, WordPrefix, DWordPrefix, QWordPrefix */
    static const guint8 prefix[] = {[1] = 0x0a, [2] = 0x0b, [4] = 0x0c, [8] = 0x0e};
    unsigned bytes = int_bytes(value);
    uint64_t le = GUINT64_TO_LE(value);
    guint8 term[1 + sizeof(le)];

    /* ZeroOp, OneOp; OnesOp: all 64 bits, for definition blocks of revision 2 on */
    term[0] = bytes ? prefix[bytes] : (guint8)value;
    memcpy(term + 1, &le, sizeof(le));
    g_byte_array_append(out, term, 1 + bytes);
}

Aml *aml_list(void)
{
    return aml_new(AML_FORM_LIST, 0, 0, AML_AS_STATEMENT);
}

void aml_append_all(Aml *parent, Aml *const *children, size_t n)
{
    g_assert(parent->takes);
    for (size_t i = 0; i < n; i++) {
        unsigned opcode = children[i]->opcode;

        g_assert(children[i] != parent);
        g_assert(opcode != AML_OP_ELSE || parent->last == AML_OP_IF);
        aml_emit(parent->body, children[i], (AmlPlace)parent->takes);
        parent->last = opcode;
        parent->count++;
    }
}

GByteArray *aml_encode(Aml *term)
{
    GByteArray *bytes = g_byte_array_new();

    emit_term(bytes, term);
    aml_free(term);
    return bytes;
}

Aml *aml_path(const char *path)
{
    Aml *term = aml_new(AML_FORM_PLAIN, 0, AML_IS_REFERENCE | AML_AS_DATA, 0);

    aml_emit_path(term->body, path);
    return term;
}

Aml *aml_int(uint64_t value)
{
    Aml *term = aml_new(AML_FORM_PLAIN, 0, AML_IS_DATA, 0);

    aml_emit_int(term->body, value);
    return term;
}

Aml *aml_string(const char *text)
{
    Aml *term = aml_new(AML_FORM_PLAIN, 0x0d, AML_IS_DATA, 0);

    g_assert(g_str_is_ascii(text));
    g_byte_array_append(term->body, (const guint8 *)text, strlen(text) + 1);
    return term;
}

Aml *aml_buffer(const void *data, size_t length)
{
    Aml *term = aml_new(AML_FORM_BLOCK, 0x11, AML_IS_DATA, 0);

    aml_emit_int(term->body, length);
    /* A buffer longer than its initialiser is filled up with zeroes. */
    if (data)
        g_byte_array_append(term->body, data, length);
    return term;
}

/* The byte that two hex digits at @text say. */
static guint8 hex_byte(const char *text)
{
    g_assert(g_ascii_isxdigit(text[0]) && g_ascii_isxdigit(text[1]));
    return (guint8)(g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1]));
}

Aml *aml_uuid(const char *text)
{
    /* Digit offsets in the order of the bytes: the first three groups are little endian (19.6.142).
     */
    static const guint8 order[16] = {6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34};
    guint8 bytes[16];

    g_assert(strlen(text) == 36);
    g_assert(text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-');
    for (size_t i = 0; i < G_N_ELEMENTS(order); i++)
        bytes[i] = hex_byte(text + order[i]);
    return aml_buffer(bytes, sizeof(bytes));
}

Aml *aml_eisa_id(const char *text)
{
    Aml *term = aml_new(AML_FORM_PLAIN, 0x0c, AML_IS_DATA, 0);
    unsigned letters = 0;

    g_assert(strlen(text) == 7);
    for (size_t i = 0; i < 3; i++) {
        g_assert(g_ascii_isupper(text[i]));
        letters = letters << 5 | (unsigned)(text[i] - 'A' + 1);
    }
    /* 19.6.37: the 16 bits of letters and the digits, both most significant byte first. */
    acpi_put(term->body, letters >> 8, 1);
    acpi_put(term->body, letters, 1);
    acpi_put(term->body, hex_byte(text + 3), 1);
    acpi_put(term->body, hex_byte(text + 5), 1);
    return term;
}

Aml *aml_package(void)
{
    return aml_new(AML_FORM_PACKAGE, 0x12, AML_IS_DATA, AML_AS_DATA);
}

Aml *aml_int_package(const uint64_t *values, size_t n)
{
    Aml *term = aml_package();

    for (size_t i = 0; i < n; i++)
        aml_emit_int(term->body, values[i]);
    term->count = n;
    return term;
}

Aml *aml_var_package(Aml *count)
{
    Aml *term = aml_new(AML_FORM_BLOCK, 0x13, AML_IS_DATA, AML_AS_DATA);

    aml_emit(term->body, count, AML_AS_ARGUMENT);
    return term;
}

Aml *aml_resource_template(void)
{
    return aml_new(AML_FORM_TEMPLATE, 0x11, AML_IS_DATA, AML_AS_RESOURCE);
}

/* A named object without a PkgLength: opcode, name, and what the caller adds. */
static Aml *new_object(unsigned opcode, const char *path)
{
    Aml *term = aml_new(AML_FORM_PLAIN, opcode, AML_AS_STATEMENT, 0);

    aml_emit_path(term->body, path);
    return term;
}

static Aml *new_block(unsigned opcode, const char *path, unsigned takes)
{
    Aml *term = aml_new(AML_FORM_BLOCK, opcode, AML_AS_STATEMENT, takes);

    aml_emit_path(term->body, path);
    return term;
}

Aml *aml_name(const char *path, Aml *value)
{
    Aml *term = new_object(0x08, path);

    aml_emit(term->body, value, AML_AS_DATA);
    return term;
}

Aml *aml_alias(const char *source, const char *alias)
{
    Aml *term = new_object(0x06, source);

    aml_emit_path(term->body, alias);
    return term;
}

Aml *aml_scope(const char *path)
{
    return new_block(0x10, path, AML_AS_STATEMENT);
}

Aml *aml_device(const char *path)
{
    return new_block(0x5b82, path, AML_AS_STATEMENT);
}

Aml *aml_method(const char *path, unsigned args, AmlSerialize serialize)
{
    Aml *term = new_block(0x14, path, AML_AS_STATEMENT);

    g_assert(args <= 7);
    acpi_put(term->body, args | (serialize == AML_SERIALIZED ? 1 << 3 : 0), 1);
    return term;
}

Aml *aml_mutex(const char *path, unsigned sync_level)
{
    Aml *term = new_object(0x5b01, path);

    g_assert(sync_level <= 15);
    acpi_put(term->body, sync_level, 1);
    return term;
}

Aml *aml_operation_region(const char *path, AmlRegionSpace space, Aml *offset, Aml *length)
{
    Aml *term = new_object(0x5b80, path);

    acpi_put(term->body, space, 1);
    aml_emit(term->body, offset, AML_AS_ARGUMENT);
    aml_emit(term->body, length, AML_AS_ARGUMENT);
    return term;
}

static void emit_field_flags(GByteArray *out, AmlAccess access, AmlLock lock, AmlUpdate update)
{
    acpi_put(out, access | (unsigned)lock << 4 | (unsigned)update << 5, 1);
}

Aml *aml_field(const char *region, AmlAccess access, AmlLock lock, AmlUpdate update)
{
    Aml *term = new_block(0x5b81, region, AML_AS_FIELD);

    emit_field_flags(term->body, access, lock, update);
    return term;
}

Aml *aml_index_field(const char *index, const char *data, AmlAccess access, AmlLock lock,
                     AmlUpdate update)
{
    Aml *term = new_block(0x5b86, index, AML_AS_FIELD);

    aml_emit_path(term->body, data);
    emit_field_flags(term->body, access, lock, update);
    return term;
}

Aml *aml_field_unit(const char *name, unsigned bits)
{
    Aml *term = aml_new(AML_FORM_PLAIN, 0, AML_AS_FIELD, 0);

    g_assert(bits > 0);
    emit_segment(term->body, name, strlen(name));
    emit_length(term->body, bits); /* of the field: unlike a block's, it does not count itself */
    return term;
}

Aml *aml_field_gap(unsigned bits)
{
    Aml *term = aml_new(AML_FORM_PLAIN, 0, AML_AS_FIELD, 0);

    acpi_put(term->body, 0x00, 1);
    emit_length(term->body, bits);
    return term;
}

Aml *aml_create_field(unsigned bytes, Aml *buffer, Aml *byte_index, const char *name)
{
    unsigned opcode = bytes == 1 ? 0x8c : bytes == 2 ? 0x8b : bytes == 4 ? 0x8a : 0x8f;
    Aml *term = aml_new(AML_FORM_PLAIN, opcode, AML_AS_STATEMENT, 0);

    g_assert(bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8);
    aml_emit(term->body, buffer, AML_AS_ARGUMENT);
    aml_emit(term->body, byte_index, AML_AS_ARGUMENT);
    aml_emit_path(term->body, name);
    return term;
}
