/* SPDX-License-Identifier: MIT */
/* AML builder: composes ACPI Machine Language terms into the body of a DSDT or SSDT. */
#ifndef TESSERA_HW_ACPI_AML_H
#define TESSERA_HW_ACPI_AML_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The builder knows encodings only (ACPI 6.4, chapter 20 "AML Specification" and section 6.4
 * "Resource Data Types for ACPI"); which devices exist is the caller's business.
 *
 * An expression is written the way ASL reads, from the inside out:
 *
 *     Aml *loop = aml_while(aml_less(aml_local(0), aml_int(8)));
 *     aml_append(loop, aml_store(aml_local(0), aml_path("MSEL")), aml_increment(aml_local(0)));
 *     Aml *scan = aml_method("SCAN", 0, AML_SERIALIZED);
 *     aml_append(scan, aml_store(aml_int(0), aml_local(0)), loop);
 *
 * Three rules make wrong use hard:
 *   - A term given to another term belongs to it: it is encoded and freed there, whatever it was.
 *     Only what was never given away is freed by hand (aml_free(), g_autoptr(Aml)).
 *   - Each term knows where the grammar allows it (data, argument, target, statement, field
 *     element, resource descriptor); a term in the wrong place is a programming error and asserts.
 *     The same holds for a malformed name, an Else without its If, a length that does not fit.
 *   - Lengths, element counts and end tags are never the caller's: a block takes children until it
 *     is given away and computes them then.
 *
 * Context: any thread; a term is used by one thread at a time. Nothing here fails: memory comes
 * from glib, and everything else is an assertion on the calling code.
 */
typedef struct Aml Aml;

/** aml_free - free a term that was never given to another one; NULL is fine. */
void aml_free(Aml *term);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Aml, aml_free)

/**
 * aml_list - an empty term list: the body of a definition block, without the table header
 *
 * Takes statements and named objects through aml_append().
 */
Aml *aml_list(void);

/**
 * aml_append_all - give @n children to a list, block, package, field list or resource template
 * @parent: a term that holds others
 * @children: not NULL, each allowed in @parent by the grammar; owned by @parent from here on
 *
 * Called through aml_append(parent, child, ...).
 */
void aml_append_all(Aml *parent, Aml *const *children, size_t n);
#define aml_append(parent, ...)                                                                    \
    aml_append_all((parent), (Aml *const[]){__VA_ARGS__},                                          \
                   sizeof((Aml *const[]){__VA_ARGS__}) / sizeof(Aml *))

/**
 * aml_encode - the bytes of @term, which is freed
 *
 * Returns: a new array, owned by the caller.
 */
GByteArray *aml_encode(Aml *term);

/*
 * Names (20.2.2). A path is an optional `\` or any number of `^`, then segments of 1..4 characters
 * [A-Z_][A-Z0-9_]*, joined by dots; short segments are padded with `_`.
 */

/** aml_path - a reference to a named object: argument, target, or element of a package. */
Aml *aml_path(const char *path);

/*
 * Data (20.2.3). Usable as arguments, as the value of aml_name() and as elements of a package.
 */

/** aml_int - an integer in its shortest encoding (Zero, One, Byte, Word, DWord, QWord, Ones). */
Aml *aml_int(uint64_t value);
/** aml_string - a string; @text is ASCII without NUL. */
Aml *aml_string(const char *text);
/** aml_buffer - a buffer of @length bytes, initialised with a copy of @data (NULL: with zeroes). */
Aml *aml_buffer(const void *data, size_t length);
/** aml_uuid - the 16-byte buffer of ASL's ToUUID("aabbccdd-eeff-gghh-iijj-kkllmmnnoopp"). */
Aml *aml_uuid(const char *text);
/** aml_eisa_id - the 32-bit integer of ASL's EisaId("PNP0A03"): three letters, four hex digits. */
Aml *aml_eisa_id(const char *text);
/** aml_package - a package; takes data and paths. Beyond 255 elements it becomes a VarPackage. */
Aml *aml_package(void);
/** aml_int_package - a package of @n integer constants; more may be appended. */
Aml *aml_int_package(const uint64_t *values, size_t n);
/**
 * aml_var_package - a package whose size is the value of @count when it is evaluated (19.6.145);
 * takes at most that many elements, the rest are uninitialized.
 */
Aml *aml_var_package(Aml *count);
/** aml_resource_template - a buffer of resource descriptors; the end tag is added. */
Aml *aml_resource_template(void);

/*
 * Named objects and scopes (20.2.5). All are allowed in a term list; those said to take terms are
 * term lists themselves.
 */

/** aml_name - ASL Name(path, value); @value is data or a path. */
Aml *aml_name(const char *path, Aml *value);
/** aml_alias - ASL Alias(source, alias). */
Aml *aml_alias(const char *source, const char *alias);
/** aml_scope - ASL Scope(path); takes terms. */
Aml *aml_scope(const char *path);
/** aml_device - ASL Device(path); takes terms. */
Aml *aml_device(const char *path);

typedef enum { AML_NOT_SERIALIZED, AML_SERIALIZED } AmlSerialize;
/** aml_method - ASL Method(path, args, serialize); @args is 0..7; takes terms. */
Aml *aml_method(const char *path, unsigned args, AmlSerialize serialize);
/** aml_mutex - ASL Mutex(path, sync_level); @sync_level is 0..15. */
Aml *aml_mutex(const char *path, unsigned sync_level);

typedef enum {
    AML_SYSTEM_MEMORY = 0,
    AML_SYSTEM_IO = 1,
    AML_PCI_CONFIG = 2,
    AML_SYSTEM_CMOS = 5,
} AmlRegionSpace;
/** aml_operation_region - ASL OperationRegion(path, space, offset, length), both in bytes. */
Aml *aml_operation_region(const char *path, AmlRegionSpace space, Aml *offset, Aml *length);

typedef enum {
    AML_ANY_ACCESS,
    AML_BYTE_ACCESS,
    AML_WORD_ACCESS,
    AML_DWORD_ACCESS,
    AML_QWORD_ACCESS,
    AML_BUFFER_ACCESS,
} AmlAccess;
typedef enum { AML_NO_LOCK, AML_LOCK } AmlLock;
typedef enum { AML_PRESERVE, AML_WRITE_AS_ONES, AML_WRITE_AS_ZEROS } AmlUpdate;
/** aml_field - ASL Field(region, access, lock, update); takes field units and gaps. */
Aml *aml_field(const char *region, AmlAccess access, AmlLock lock, AmlUpdate update);
/** aml_index_field - ASL IndexField(index, data, access, lock, update); takes units and gaps. */
Aml *aml_index_field(const char *index, const char *data, AmlAccess access, AmlLock lock,
                     AmlUpdate update);
/** aml_field_unit - @bits bits of the region that go by the one-segment name @name. */
Aml *aml_field_unit(const char *name, unsigned bits);
/** aml_field_gap - @bits bits without a name. */
Aml *aml_field_gap(unsigned bits);

/**
 * aml_create_field - ASL CreateByteField .. CreateQWordField(buffer, byte_index, name)
 * @bytes: width of the field: 1, 2, 4 or 8
 */
Aml *aml_create_field(unsigned bytes, Aml *buffer, Aml *byte_index, const char *name);

/*
 * Arguments, locals and targets (20.2.6). A target is written to: an argument, a local, a path,
 * Debug, or the result of aml_index(), aml_deref_of(), aml_ref_of(). Where a @target parameter may
 * be NULL, the operation's value is only returned.
 */
Aml *aml_arg(unsigned n);   /* Arg0..Arg6 */
Aml *aml_local(unsigned n); /* Local0..Local7 */
Aml *aml_debug(void);       /* the Debug object: target only */

/** aml_call_all - invoke the method @path; called through aml_call(path, argument, ...). */
Aml *aml_call_all(const char *path, Aml *const *args, size_t n);
#define aml_call(path, ...)                                                                        \
    aml_call_all((path), (Aml *const[]){NULL, ##__VA_ARGS__} + 1,                                  \
                 sizeof((Aml *const[]){NULL, ##__VA_ARGS__}) / sizeof(Aml *) - 1)

/* Statements (20.2.5.3). */
Aml *aml_if(Aml *condition);    /* takes terms */
Aml *aml_else(void);            /* takes terms; stands right behind its If */
Aml *aml_while(Aml *condition); /* takes terms */
Aml *aml_break(void);
Aml *aml_continue(void);
Aml *aml_return(Aml *value);
Aml *aml_noop(void);
Aml *aml_notify(Aml *object, Aml *value);
Aml *aml_release(Aml *mutex);
Aml *aml_sleep(Aml *milliseconds);
Aml *aml_stall(Aml *microseconds);

/*
 * Expressions (20.2.5.4). All return a value and may stand as statements as well, which is how
 * Store, Acquire, Increment and the like are mostly used.
 */
#define AML_WAIT_FOREVER 0xffff
/** aml_acquire - ASL Acquire(mutex, timeout in ms); true when the time ran out. */
Aml *aml_acquire(Aml *mutex, uint16_t timeout_ms);
Aml *aml_store(Aml *value, Aml *target);
Aml *aml_copy_object(Aml *value, Aml *target);
Aml *aml_increment(Aml *target);
Aml *aml_decrement(Aml *target);
Aml *aml_add(Aml *a, Aml *b, Aml *target);
Aml *aml_subtract(Aml *a, Aml *b, Aml *target);
Aml *aml_multiply(Aml *a, Aml *b, Aml *target);
Aml *aml_divide(Aml *dividend, Aml *divisor, Aml *remainder, Aml *quotient);
Aml *aml_mod(Aml *dividend, Aml *divisor, Aml *target);
Aml *aml_and(Aml *a, Aml *b, Aml *target);
Aml *aml_nand(Aml *a, Aml *b, Aml *target);
Aml *aml_or(Aml *a, Aml *b, Aml *target);
Aml *aml_nor(Aml *a, Aml *b, Aml *target);
Aml *aml_xor(Aml *a, Aml *b, Aml *target);
Aml *aml_not(Aml *a, Aml *target);
Aml *aml_shift_left(Aml *a, Aml *count, Aml *target);
Aml *aml_shift_right(Aml *a, Aml *count, Aml *target);
Aml *aml_find_set_left_bit(Aml *a, Aml *target);
Aml *aml_find_set_right_bit(Aml *a, Aml *target);
Aml *aml_land(Aml *a, Aml *b);
Aml *aml_lor(Aml *a, Aml *b);
Aml *aml_lnot(Aml *a);
Aml *aml_equal(Aml *a, Aml *b);
Aml *aml_not_equal(Aml *a, Aml *b);
Aml *aml_less(Aml *a, Aml *b);
Aml *aml_less_equal(Aml *a, Aml *b);
Aml *aml_greater(Aml *a, Aml *b);
Aml *aml_greater_equal(Aml *a, Aml *b);
Aml *aml_size_of(Aml *object);
Aml *aml_object_type(Aml *object);
Aml *aml_index(Aml *object, Aml *index, Aml *target);
Aml *aml_ref_of(Aml *object);
Aml *aml_deref_of(Aml *reference);
Aml *aml_cond_ref_of(Aml *object, Aml *target);
Aml *aml_concatenate(Aml *a, Aml *b, Aml *target);
Aml *aml_concatenate_template(Aml *a, Aml *b, Aml *target);
Aml *aml_mid(Aml *object, Aml *index, Aml *length, Aml *target);
Aml *aml_to_buffer(Aml *a, Aml *target);
Aml *aml_to_integer(Aml *a, Aml *target);
Aml *aml_to_hex_string(Aml *a, Aml *target);
Aml *aml_to_decimal_string(Aml *a, Aml *target);

/*
 * Resource descriptors (6.4), for aml_resource_template() alone. Ranges are fixed: what is given
 * is decoded, nothing is left to the guest to choose.
 */
typedef enum { AML_PRODUCER, AML_CONSUMER } AmlUse; /* handed on to children, or used up here */
typedef enum { AML_LEVEL, AML_EDGE } AmlTrigger;
typedef enum { AML_ACTIVE_HIGH, AML_ACTIVE_LOW } AmlPolarity;
typedef enum { AML_EXCLUSIVE, AML_SHARED } AmlSharing;
typedef enum { AML_READ_ONLY, AML_READ_WRITE } AmlWrite;
typedef enum { AML_NON_CACHEABLE, AML_CACHEABLE, AML_WRITE_COMBINING, AML_PREFETCHABLE } AmlCaching;

/** aml_io - I/O ports [@base, @base + @length), 16-bit decode; @length is 1..255. */
Aml *aml_io(uint16_t base, unsigned length);
/** aml_irq_no_flags - ISA interrupt 0..15: edge-triggered, active high, exclusive. */
Aml *aml_irq_no_flags(unsigned irq);
/** aml_irq - ISA interrupt 0..15 with its trigger, polarity and sharing said (6.4.2.1). */
Aml *aml_irq(unsigned irq, AmlTrigger trigger, AmlPolarity polarity, AmlSharing sharing);
/** aml_interrupt - Extended Interrupt with one global system interrupt. */
Aml *aml_interrupt(AmlUse use, AmlTrigger trigger, AmlPolarity polarity, AmlSharing sharing,
                   uint32_t gsi);
/** aml_memory32_fixed - [@base, @base + @length) below 4 GiB, used by this device. */
Aml *aml_memory32_fixed(AmlWrite write, uint32_t base, uint32_t length);
/** aml_word_bus_number - PCI buses @first..@last, inclusive, handed to children. */
Aml *aml_word_bus_number(uint16_t first, uint16_t last);
/** aml_word_io - I/O window @first..@last, inclusive, ISA and non-ISA ranges alike. */
Aml *aml_word_io(AmlUse use, uint16_t first, uint16_t last);
/** aml_dword_memory - memory window [@base, @base + @length), not empty, ends below 4 GiB. */
Aml *aml_dword_memory(AmlUse use, AmlCaching caching, AmlWrite write, uint32_t base,
                      uint32_t length);
/** aml_qword_memory - memory window [@base, @base + @length), not empty, does not wrap. */
Aml *aml_qword_memory(AmlUse use, AmlCaching caching, AmlWrite write, uint64_t base,
                      uint64_t length);

/* Where a QWordMemory descriptor has the fields that a _CRS method patches, from its first byte. */
#define AML_QWORD_MEMORY_MIN    14
#define AML_QWORD_MEMORY_MAX    22
#define AML_QWORD_MEMORY_LENGTH 38

#endif
