/* SPDX-License-Identifier: MIT */
/* AML builder: encodings byte by byte, misuse, and everything against what iasl compiles. */
#include "tessera/hw/acpi/aml.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/external-tool.h"
#include "tessera/hw/acpi/tables.h"

static void assert_encoding_at(int line, Aml *term, const void *expected, size_t length)
{
    g_autoptr(GByteArray) bytes = aml_encode(term);

    if (bytes->len != length || memcmp(bytes->data, expected, length) != 0) {
        for (guint i = 0; i < bytes->len && i < 64; i++)
            fprintf(stderr, "%02x ", bytes->data[i]);
        fail_msg("line %d: %u bytes encoded, %zu expected, or others", line, bytes->len, length);
    }
}
#define assert_encoding(term, ...)                                                                 \
    assert_encoding_at(__LINE__, (term), (const guint8[]){__VA_ARGS__},                            \
                       sizeof((const guint8[]){__VA_ARGS__}))

static void test_aml_int_takes_the_shortest_form(void **state)
{
    assert_encoding(aml_int(0), 0x00);
    assert_encoding(aml_int(1), 0x01);
    assert_encoding(aml_int(2), 0x0a, 0x02);
    assert_encoding(aml_int(0xff), 0x0a, 0xff);
    assert_encoding(aml_int(0x100), 0x0b, 0x00, 0x01);
    assert_encoding(aml_int(0xffff), 0x0b, 0xff, 0xff);
    assert_encoding(aml_int(0x10000), 0x0c, 0x00, 0x00, 0x01, 0x00);
    assert_encoding(aml_int(0xffffffff), 0x0c, 0xff, 0xff, 0xff, 0xff);
    assert_encoding(aml_int(0x100000000), 0x0e, 0, 0, 0, 0, 1, 0, 0, 0);
    assert_encoding(aml_int(UINT64_MAX - 1), 0x0e, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
    assert_encoding(aml_int(UINT64_MAX), 0xff);
}

static void test_aml_path_pads_and_prefixes(void **state)
{
    assert_encoding(aml_path("A"), 'A', '_', '_', '_');
    assert_encoding(aml_path("_CRS"), '_', 'C', 'R', 'S');
    assert_encoding(aml_path("\\"), '\\', 0x00);
    assert_encoding(aml_path("^^AB"), '^', '^', 'A', 'B', '_', '_');
    assert_encoding(aml_path("\\_SB.PCI0"), '\\', 0x2e, '_', 'S', 'B', '_', 'P', 'C', 'I', '0');
    assert_encoding(aml_path("^A.B.C"), '^', 0x2f, 3, 'A', '_', '_', '_', 'B', '_', '_', '_', 'C',
                    '_', '_', '_');
}

static void test_aml_eisa_id_is_big_endian(void **state)
{
    assert_encoding(aml_eisa_id("PNP0A03"), 0x0c, 0x41, 0xd0, 0x0a, 0x03);
    assert_encoding(aml_eisa_id("PNP0C02"), 0x0c, 0x41, 0xd0, 0x0c, 0x02);
}

static void test_aml_string_and_buffer(void **state)
{
    assert_encoding(aml_string(""), 0x0d, 0x00);
    assert_encoding(aml_string("ab"), 0x0d, 'a', 'b', 0x00);
    assert_encoding(aml_buffer("\1\2", 2), 0x11, 0x05, 0x0a, 0x02, 0x01, 0x02);
    assert_encoding(aml_buffer(NULL, 300), 0x11, 0x04, 0x0b, 0x2c, 0x01);
}

/* PkgLength at the edges of its four sizes: the body grows by one, the prefix by one more. */
static void test_aml_append_length_edges(void **state)
{
    static const struct {
        unsigned noops;
        unsigned length_bytes;
        unsigned total; /* what the length says: itself, four of the name, the body */
    } edges[] = {
        {63 - 1 - 4, 1, 63},           {63 - 4, 2, 65},
        {4095 - 2 - 4, 2, 4095},       {4095 - 1 - 4, 3, 4097},
        {1048575 - 3 - 4, 3, 1048575}, {1048575 - 2 - 4, 4, 1048577},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(edges); i++) {
        Aml *scope = aml_scope("ABCD");
        g_autoptr(GByteArray) bytes = NULL;
        unsigned value;

        for (unsigned n = 0; n < edges[i].noops; n++)
            aml_append(scope, aml_noop());
        bytes = aml_encode(scope);
        assert_int_equal(bytes->data[0], 0x10);
        assert_int_equal(bytes->data[1] >> 6, edges[i].length_bytes - 1);
        assert_int_equal(bytes->len, 1 + edges[i].total);
        value = bytes->data[1] & (edges[i].length_bytes == 1 ? 0x3f : 0x0f);
        for (unsigned b = 1; b < edges[i].length_bytes; b++)
            value |= (unsigned)bytes->data[1 + b] << (8 * b - 4);
        assert_int_equal(value, edges[i].total);
        assert_memory_equal(bytes->data + 1 + edges[i].length_bytes, "ABCD", 4);
    }
}

static void test_aml_package_counts_its_elements(void **state)
{
    Aml *package = aml_package();
    g_autoptr(GByteArray) many = NULL;

    aml_append(package, aml_int(1), aml_string("x"), aml_path("ABCD"));
    assert_encoding(package, 0x12, 0x0a, 0x03, 0x01, 0x0d, 'x', 0x00, 'A', 'B', 'C', 'D');
    assert_encoding(aml_package(), 0x12, 0x02, 0x00);
    assert_encoding(aml_var_package(aml_arg(0)), 0x13, 0x02, 0x68);

    package = aml_package();
    for (int i = 0; i < 256; i++)
        aml_append(package, aml_int(0));
    many = aml_encode(package); /* op, two bytes of length, word 256, elements */
    assert_int_equal(many->len, 1 + 2 + 3 + 256);
    assert_memory_equal(many->data, ((guint8[]){0x13, 0x45, 0x10, 0x0b, 0x00, 0x01}), 6);
}

static void test_aml_int_package_is_a_package_of_ints(void **state)
{
    static const uint64_t values[] = {0, 1, 2, 0xffff, 0x10000, 0x100000000, UINT64_MAX};
    Aml *ints = aml_int_package(values, G_N_ELEMENTS(values));
    Aml *terms = aml_package();
    g_autoptr(GByteArray) a = NULL;
    g_autoptr(GByteArray) b = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(values); i++)
        aml_append(terms, aml_int(values[i]));
    aml_append(ints, aml_string("x"));
    aml_append(terms, aml_string("x"));
    a = aml_encode(ints);
    b = aml_encode(terms);
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->data, b->data, a->len);
}

static void test_aml_resource_template_ends_with_a_tag(void **state)
{
    Aml *crs = aml_resource_template();

    aml_append(crs, aml_io(0x3f8, 8), aml_irq_no_flags(4));
    assert_encoding(crs, 0x11, 0x10, 0x0a, 0x0d,                    /* buffer of 13 */
                    0x47, 0x01, 0xf8, 0x03, 0xf8, 0x03, 0x01, 0x08, /* IO */
                    0x22, 0x10, 0x00,                               /* IRQ */
                    0x79, 0x00);                                    /* end tag */
    assert_encoding(aml_resource_template(), 0x11, 0x05, 0x0a, 0x02, 0x79, 0x00);
}

static void test_aml_qword_memory_fields_lie_where_the_header_says(void **state)
{
    g_autoptr(GByteArray) bytes = aml_encode(
        aml_qword_memory(AML_CONSUMER, AML_CACHEABLE, AML_READ_WRITE, 0x1122334455660000, 0x10000));
    guint64 value;

    assert_int_equal(bytes->len, 46);
    assert_memory_equal(bytes->data, ((guint8[]){0x8a, 43, 0, 0, 0x0d, 0x03}), 6);
    memcpy(&value, bytes->data + AML_QWORD_MEMORY_MIN, 8);
    assert_int_equal(GUINT64_FROM_LE(value), 0x1122334455660000);
    memcpy(&value, bytes->data + AML_QWORD_MEMORY_MAX, 8);
    assert_int_equal(GUINT64_FROM_LE(value), 0x112233445566ffff);
    memcpy(&value, bytes->data + AML_QWORD_MEMORY_LENGTH, 8);
    assert_int_equal(GUINT64_FROM_LE(value), 0x10000);
}

/* Each of these is a mistake of the calling code and must not get as far as a guest. */
static void wrong_name_lower_case(void)
{
    aml_path("abcd");
}
static void wrong_name_too_long(void)
{
    aml_path("ABCDE");
}
static void wrong_name_digit_first(void)
{
    aml_path("1ABC");
}
static void wrong_name_empty(void)
{
    aml_path("");
}
static void wrong_name_empty_segment(void)
{
    aml_path("_SB..A");
}
static void wrong_eisa_id(void)
{
    aml_eisa_id("pnp0A03");
}
static void wrong_uuid(void)
{
    aml_uuid("33DB4D5B-1FF7-401C-9657");
}
static void wrong_string(void)
{
    aml_string("\xc3\xa4");
}
static void wrong_local(void)
{
    aml_local(8);
}
static void wrong_arg(void)
{
    aml_arg(7);
}
static void wrong_args(void)
{
    aml_method("ABCD", 8, AML_SERIALIZED);
}
static void wrong_target(void)
{
    aml_store(aml_int(1), aml_int(2));
}
static void wrong_null(void)
{
    aml_store(NULL, aml_local(0));
}
static void wrong_data(void)
{
    aml_name("ABCD", aml_local(0));
}
static void wrong_argument(void)
{
    aml_return(aml_noop());
}
static void wrong_debug_read(void)
{
    aml_return(aml_debug());
}
static void wrong_irq(void)
{
    aml_irq_no_flags(16);
}
static void wrong_io(void)
{
    aml_io(0xffff, 2);
}
static void wrong_window(void)
{
    aml_word_io(AML_PRODUCER, 8, 7);
}
static void wrong_memory_end(void)
{
    aml_memory32_fixed(AML_READ_WRITE, 0xfffff000, 0x1001);
}
static void wrong_memory_wraps(void)
{
    aml_qword_memory(AML_PRODUCER, AML_CACHEABLE, AML_READ_WRITE, UINT64_MAX, 2);
}
static void wrong_create_field(void)
{
    aml_create_field(3, aml_local(0), aml_int(0), "ABCD");
}
static void wrong_parent(void)
{
    aml_append(aml_int(1), aml_int(2));
}
static void wrong_child(void)
{
    aml_append(aml_resource_template(), aml_noop());
}
static void wrong_statement(void)
{
    aml_append(aml_device("ABCD"), aml_field_unit("ABCD", 8));
}
static void wrong_else(void)
{
    aml_append(aml_list(), aml_noop(), aml_else());
}

static void assert_asserts(void (*wrong)(void), const char *name)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit no_core = {0, 0};
        int null = open("/dev/null", O_WRONLY);

        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        dup2(null, 1);
        dup2(null, 2);
        wrong();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        fail_msg("%s was accepted", name);
}
#define WRONG(f)                                                                                   \
    {                                                                                              \
        f, #f                                                                                      \
    }

static void test_aml_misuse_asserts(void **state)
{
    static const struct {
        void (*wrong)(void);
        const char *name;
    } cases[] = {
        WRONG(wrong_name_lower_case),
        WRONG(wrong_name_too_long),
        WRONG(wrong_name_digit_first),
        WRONG(wrong_name_empty),
        WRONG(wrong_name_empty_segment),
        WRONG(wrong_eisa_id),
        WRONG(wrong_uuid),
        WRONG(wrong_string),
        WRONG(wrong_local),
        WRONG(wrong_arg),
        WRONG(wrong_args),
        WRONG(wrong_target),
        WRONG(wrong_null),
        WRONG(wrong_data),
        WRONG(wrong_argument),
        WRONG(wrong_debug_read),
        WRONG(wrong_irq),
        WRONG(wrong_io),
        WRONG(wrong_window),
        WRONG(wrong_memory_end),
        WRONG(wrong_memory_wraps),
        WRONG(wrong_create_field),
        WRONG(wrong_parent),
        WRONG(wrong_child),
        WRONG(wrong_statement),
        WRONG(wrong_else),
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        assert_asserts(cases[i].wrong, cases[i].name);
}

/* Field, operation region, create-field and friends, with the ASL that says the same below. */
static void add_objects(Aml *scope)
{
    Aml *field = aml_field("REGN", AML_DWORD_ACCESS, AML_NO_LOCK, AML_PRESERVE);
    Aml *index = aml_index_field("IDX", "DAT", AML_BYTE_ACCESS, AML_LOCK, AML_WRITE_AS_ZEROS);
    Aml *package = aml_package();
    Aml *inner = aml_package();

    aml_append(field, aml_field_unit("MSEL", 32), aml_field_gap(0x60), aml_field_unit("MENA", 1),
               aml_field_unit("LONG", 0x1234));
    aml_append(index, aml_field_gap(0x80), aml_field_unit("CENT", 8));
    aml_append(inner, aml_int(0xffff), aml_path("\\_SB.DEV0"));
    aml_append(package, inner, aml_string("text"), aml_buffer("abc", 3), aml_int(UINT64_MAX));
    aml_append(scope, aml_mutex("MUTX", 3),
               aml_operation_region("REGN", AML_SYSTEM_IO, aml_int(0xa00), aml_int(0x400)), field,
               aml_operation_region("CMOS", AML_SYSTEM_IO, aml_int(0x70), aml_int(2)));
    field = aml_field("CMOS", AML_BYTE_ACCESS, AML_NO_LOCK, AML_WRITE_AS_ONES);
    aml_append(field, aml_field_unit("IDX", 8), aml_field_unit("DAT", 8));
    aml_append(scope, field, index, aml_name("PACK", package), aml_alias("PACK", "ALIA"),
               aml_name("UUID", aml_uuid("33DB4D5B-1FF7-401C-9657-7441C03DD766")),
               aml_name("BUFF", aml_buffer(NULL, 0x40)));
}
static const char objects_asl[] =
    "Mutex (MUTX, 3)\n"
    "OperationRegion (REGN, SystemIO, 0xA00, 0x400)\n"
    "Field (REGN, DWordAcc, NoLock, Preserve) { MSEL, 32, , 0x60, MENA, 1, LONG, 0x1234 }\n"
    "OperationRegion (CMOS, SystemIO, 0x70, 2)\n"
    "Field (CMOS, ByteAcc, NoLock, WriteAsOnes) { IDX, 8, DAT, 8 }\n"
    "IndexField (IDX, DAT, ByteAcc, Lock, WriteAsZeros) { , 0x80, CENT, 8 }\n"
    "Name (PACK, Package () { Package () { 0xFFFF, \\_SB.DEV0 }, \"text\","
    " Buffer () { 0x61, 0x62, 0x63 }, 0xFFFFFFFFFFFFFFFF })\n"
    "Alias (PACK, ALIA)\n"
    "Name (UUID, ToUUID (\"33DB4D5B-1FF7-401C-9657-7441C03DD766\"))\n"
    "Name (BUFF, Buffer (0x40) {})\n";

static void add_resources(Aml *scope)
{
    Aml *crs = aml_resource_template();

    aml_append(
        crs, aml_io(0x60, 1), aml_irq_no_flags(12),
        aml_irq(9, AML_LEVEL, AML_ACTIVE_LOW, AML_SHARED),
        aml_interrupt(AML_CONSUMER, AML_LEVEL, AML_ACTIVE_HIGH, AML_SHARED, 20),
        aml_interrupt(AML_PRODUCER, AML_EDGE, AML_ACTIVE_LOW, AML_EXCLUSIVE, 7),
        aml_memory32_fixed(AML_READ_ONLY, 0xfed00000, 0x400), aml_word_bus_number(0, 0xff),
        aml_word_io(AML_PRODUCER, 0xd00, 0xffff),
        aml_dword_memory(AML_PRODUCER, AML_NON_CACHEABLE, AML_READ_WRITE, 0xc0000000, 0x3ec00000),
        aml_dword_memory(AML_CONSUMER, AML_PREFETCHABLE, AML_READ_ONLY, 0xffff0000, 0x10000),
        aml_qword_memory(AML_CONSUMER, AML_CACHEABLE, AML_READ_WRITE, 0x100000000, 1ULL << 40));
    aml_append(scope, aml_name("CRSN", crs));
}
static const char resources_asl[] =
    "Name (CRSN, ResourceTemplate () {\n"
    "IO (Decode16, 0x60, 0x60, 1, 1)\n"
    "IRQNoFlags () { 12 }\n"
    "IRQ (Level, ActiveLow, Shared) { 9 }\n"
    "Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 20 }\n"
    "Interrupt (ResourceProducer, Edge, ActiveLow, Exclusive) { 7 }\n"
    "Memory32Fixed (ReadOnly, 0xFED00000, 0x400)\n"
    "WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0xFF, 0, 0x100)\n"
    "WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0xD00, 0xFFFF, 0, "
    "0xF300)\n"
    "DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite, 0, "
    "0xC0000000, 0xFEBFFFFF, 0, 0x3EC00000)\n"
    "DWordMemory (ResourceConsumer, PosDecode, MinFixed, MaxFixed, Prefetchable, ReadOnly, 0, "
    "0xFFFF0000, 0xFFFFFFFF, 0, 0x10000)\n"
    "QWordMemory (ResourceConsumer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite, 0, "
    "0x100000000, 0x100FFFFFFFF, 0, 0x10000000000)\n"
    "})\n";

static void add_control_flow(Aml *scope)
{
    Aml *method = aml_method("FLOW", 2, AML_SERIALIZED);
    Aml *loop = aml_while(aml_less(aml_local(0), aml_size_of(aml_path("PACK"))));
    Aml *then = aml_if(aml_land(aml_equal(aml_local(0), aml_arg(0)), aml_lnot(aml_arg(1))));
    Aml *otherwise = aml_else();
    Aml *skip = aml_if(aml_not_equal(aml_local(0), aml_int(5)));

    aml_append(then, aml_notify(aml_path("\\_SB.DEV0"), aml_int(3)), aml_break());
    aml_append(skip, aml_increment(aml_local(0)), aml_continue());
    aml_append(otherwise, skip, aml_call("\\_SB.TWO", aml_local(0), aml_int(7)));
    aml_append(loop, then, otherwise, aml_increment(aml_local(0)), aml_decrement(aml_local(1)));
    aml_append(
        method, aml_acquire(aml_path("MUTX"), AML_WAIT_FOREVER),
        aml_store(aml_int(0), aml_local(0)), aml_store(aml_int(99), aml_local(1)), loop,
        aml_release(aml_path("MUTX")), aml_sleep(aml_int(10)), aml_stall(aml_int(20)), aml_noop(),
        aml_store(aml_call("\\_SB.NONE"), aml_debug()),
        aml_return(aml_lor(aml_greater_equal(aml_local(0), aml_int(3)),
                           aml_less_equal(aml_local(1), aml_greater(aml_arg(0), aml_arg(1))))));
    aml_append(scope, method);
}
static const char control_flow_asl[] =
    "Method (FLOW, 2, Serialized) {\n"
    "Acquire (MUTX, 0xFFFF)\n"
    "Store (0, Local0)\nStore (99, Local1)\n"
    "While (LLess (Local0, SizeOf (PACK))) {\n"
    " If (LAnd (LEqual (Local0, Arg0), LNot (Arg1))) { Notify (\\_SB.DEV0, 3) Break }\n"
    " Else { If (LNotEqual (Local0, 5)) { Increment (Local0) Continue } \\_SB.TWO (Local0, 7) }\n"
    " Increment (Local0)\n Decrement (Local1)\n}\n"
    "Release (MUTX)\nSleep (10)\nStall (20)\nNoop\n"
    "Store (\\_SB.NONE (), Debug)\n"
    "Return (LOr (LGreaterEqual (Local0, 3), LLessEqual (Local1, LGreater (Arg0, Arg1))))\n}\n";

static void add_arithmetic(Aml *scope)
{
    Aml *m = aml_method("MATH", 2, AML_NOT_SERIALIZED);

    aml_append(m, aml_add(aml_arg(0), aml_arg(1), aml_local(0)),
               aml_subtract(aml_arg(0), aml_arg(1), aml_local(0)),
               aml_multiply(aml_arg(0), aml_arg(1), aml_local(0)),
               aml_divide(aml_arg(0), aml_arg(1), aml_local(1), aml_local(0)),
               aml_mod(aml_arg(0), aml_arg(1), aml_local(0)),
               aml_and(aml_arg(0), aml_arg(1), aml_local(0)),
               aml_nand(aml_arg(0), aml_arg(1), aml_local(0)),
               aml_or(aml_arg(0), aml_arg(1), aml_local(0)),
               aml_nor(aml_arg(0), aml_arg(1), aml_local(0)),
               aml_xor(aml_arg(0), aml_arg(1), aml_local(0)), aml_not(aml_arg(0), aml_local(0)),
               aml_shift_left(aml_arg(0), aml_arg(1), aml_local(0)),
               aml_shift_right(aml_arg(0), aml_int(32), aml_local(0)),
               aml_find_set_left_bit(aml_arg(0), aml_local(0)),
               aml_find_set_right_bit(aml_arg(0), aml_local(0)),
               aml_return(aml_add(aml_or(aml_arg(0), aml_int(1), NULL), aml_int(2), NULL)));
    aml_append(scope, m);
}
static const char arithmetic_asl[] =
    "Method (MATH, 2, NotSerialized) {\n"
    "Add (Arg0, Arg1, Local0)\nSubtract (Arg0, Arg1, Local0)\nMultiply (Arg0, Arg1, Local0)\n"
    "Divide (Arg0, Arg1, Local1, Local0)\nMod (Arg0, Arg1, Local0)\nAnd (Arg0, Arg1, Local0)\n"
    "NAnd (Arg0, Arg1, Local0)\nOr (Arg0, Arg1, Local0)\nNOr (Arg0, Arg1, Local0)\n"
    "XOr (Arg0, Arg1, Local0)\nNot (Arg0, Local0)\nShiftLeft (Arg0, Arg1, Local0)\n"
    "ShiftRight (Arg0, 32, Local0)\nFindSetLeftBit (Arg0, Local0)\n"
    "FindSetRightBit (Arg0, Local0)\nReturn (Add (Or (Arg0, 1), 2))\n}\n";

static void add_object_expressions(Aml *scope)
{
    Aml *m = aml_method("OBJS", 1, AML_SERIALIZED);
    Aml *optional = aml_if(aml_cond_ref_of(aml_path("\\_SB.DEV0"), aml_local(3)));
    Aml *package = aml_var_package(aml_arg(0));

    aml_append(optional, aml_noop());
    aml_append(package, aml_int(1), aml_string("a"));
    aml_append(m,
               aml_store(aml_deref_of(aml_index(aml_path("PACK"), aml_int(0), NULL)), aml_local(0)),
               aml_store(aml_int(9), aml_index(aml_path("BUFF"), aml_arg(0), NULL)),
               aml_store(aml_ref_of(aml_path("BUFF")), aml_local(2)),
               aml_store(aml_int(8), aml_deref_of(aml_local(2))), optional,
               aml_create_field(1, aml_path("BUFF"), aml_int(0), "BYT0"),
               aml_create_field(2, aml_path("BUFF"), aml_int(2), "WRD0"),
               aml_create_field(4, aml_path("BUFF"), aml_int(4), "DWD0"),
               aml_create_field(8, aml_path("BUFF"), aml_int(8), "QWD0"),
               aml_copy_object(aml_arg(0), aml_local(4)),
               aml_concatenate(aml_string("a"), aml_arg(0), aml_local(4)),
               aml_concatenate_template(aml_path("CRSN"), aml_path("CRSN"), aml_local(4)),
               aml_mid(aml_string("abcd"), aml_int(1), aml_int(2), aml_local(4)),
               aml_to_buffer(aml_arg(0), aml_local(4)), aml_to_integer(aml_arg(0), aml_local(4)),
               aml_to_hex_string(aml_arg(0), aml_local(4)),
               aml_to_decimal_string(aml_arg(0), aml_local(4)),
               aml_store(aml_object_type(aml_local(4)), aml_local(5)), aml_return(package));
    aml_append(scope, m);
}
static const char object_expressions_asl[] =
    "Method (OBJS, 1, Serialized) {\n"
    "Store (DerefOf (Index (PACK, 0)), Local0)\nStore (9, Index (BUFF, Arg0))\n"
    "Store (RefOf (BUFF), Local2)\nStore (8, DerefOf (Local2))\n"
    "If (CondRefOf (\\_SB.DEV0, Local3)) { Noop }\n"
    "CreateByteField (BUFF, 0, BYT0)\nCreateWordField (BUFF, 2, WRD0)\n"
    "CreateDWordField (BUFF, 4, DWD0)\nCreateQWordField (BUFF, 8, QWD0)\n"
    "CopyObject (Arg0, Local4)\nConcatenate (\"a\", Arg0, Local4)\n"
    "ConcatenateResTemplate (CRSN, CRSN, Local4)\nMid (\"abcd\", 1, 2, Local4)\n"
    "ToBuffer (Arg0, Local4)\nToInteger (Arg0, Local4)\nToHexString (Arg0, Local4)\n"
    "ToDecimalString (Arg0, Local4)\nStore (ObjectType (Local4), Local5)\n"
    "Return (Package (Arg0) { 1, \"a\" })\n}\n";

static Aml *everything(void)
{
    Aml *body = aml_list();
    Aml *bus = aml_scope("\\_SB");
    Aml *device = aml_device("DEV0");
    Aml *two = aml_method("TWO", 2, AML_NOT_SERIALIZED);
    Aml *none = aml_method("NONE", 0, AML_NOT_SERIALIZED);

    aml_append(device, aml_name("_HID", aml_eisa_id("PNP0C80")),
               aml_name("_UID", aml_int(0x12345678)));
    aml_append(two, aml_return(aml_arg(1)));
    aml_append(none, aml_return(aml_int(4)));
    aml_append(bus, device, two, none);
    add_objects(bus);
    add_resources(bus);
    add_control_flow(bus);
    add_arithmetic(bus);
    add_object_expressions(bus);
    aml_append(body, bus);
    return body;
}

/* The same terms, written in ASL and compiled by iasl, give the same bytes. */
static void test_aml_encode_equals_iasl(void **state)
{
    g_autofree char *asl = g_strconcat(
        "DefinitionBlock (\"e.aml\", \"SSDT\", 2, \"TESSRA\", \"EVERY\", 1) {\nScope (\\_SB) {\n"
        "Device (DEV0) { Name (_HID, EisaId (\"PNP0C80\")) Name (_UID, 0x12345678) }\n"
        "Method (TWO, 2, NotSerialized) { Return (Arg1) }\n"
        "Method (NONE, 0, NotSerialized) { Return (4) }\n",
        objects_asl, resources_asl, control_flow_asl, arithmetic_asl, object_expressions_asl,
        "}\n}\n", NULL);
    g_autoptr(GByteArray) ours = NULL;
    g_autoptr(GByteArray) theirs = NULL;
    g_autofree char *output = NULL;
    guint at = 0;
    char *folder;

    if (!tool_available("iasl"))
        skip();
    folder = tool_folder_new();
    tool_write(folder, "e.asl", asl, strlen(asl));
    /* No constant folding, no shortened name references: what is written is what is encoded. */
    if (tool_run(folder, &output, "iasl", "-of", "-on", "e.asl", NULL) != 0)
        fail_msg("%s", output);
    theirs = tool_read(folder, "e.aml");
    ours = aml_encode(everything());
    while (at < ours->len && at + ACPI_HEADER_SIZE < theirs->len &&
           ours->data[at] == theirs->data[at + ACPI_HEADER_SIZE])
        at++;
    if (at != ours->len || at + ACPI_HEADER_SIZE != theirs->len)
        fail_msg("byte %u differs: ours of %u, iasl's of %u", at, ours->len,
                 theirs->len - ACPI_HEADER_SIZE);
    tool_folder_remove(folder);
}

/* acpiexec interprets our methods: a loop that adds up, and the registers of a package. */
static void test_aml_methods_run(void **state)
{
    Aml *body = aml_list();
    Aml *method = aml_method("\\SUM", 1, AML_SERIALIZED);
    Aml *loop = aml_while(aml_greater(aml_arg(0), aml_int(0)));
    Aml *list = aml_package();
    g_autoptr(GByteArray) table = NULL;
    g_autofree char *output = NULL;
    char *folder;

    if (!tool_available("acpiexec"))
        skip();
    aml_append(list, aml_int(100), aml_int(20), aml_int(3));
    aml_append(loop, aml_decrement(aml_arg(0)),
               aml_add(aml_local(0), aml_deref_of(aml_index(aml_path("\\LIST"), aml_arg(0), NULL)),
                       aml_local(0)));
    aml_append(method, aml_acquire(aml_path("\\LOCK"), AML_WAIT_FOREVER),
               aml_store(aml_int(0), aml_local(0)), loop, aml_release(aml_path("\\LOCK")),
               aml_return(aml_local(0)));
    aml_append(body, aml_mutex("\\LOCK", 0), aml_name("\\LIST", list), method);
    table = acpi_build_definition_block("DSDT", "SUM", body);
    folder = tool_folder_new();
    tool_write(folder, "dsdt.aml", table->data, table->len);
    assert_int_equal(
        tool_run(folder, &output, "acpiexec", "-b", "execute \\SUM 3", "dsdt.aml", NULL), 0);
    if (!strstr(output, "[Integer] = 000000000000007B") || strstr(output, "Error"))
        fail_msg("%s", output);
    tool_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aml_int_takes_the_shortest_form),
        cmocka_unit_test(test_aml_path_pads_and_prefixes),
        cmocka_unit_test(test_aml_eisa_id_is_big_endian),
        cmocka_unit_test(test_aml_string_and_buffer),
        cmocka_unit_test(test_aml_append_length_edges),
        cmocka_unit_test(test_aml_package_counts_its_elements),
        cmocka_unit_test(test_aml_int_package_is_a_package_of_ints),
        cmocka_unit_test(test_aml_resource_template_ends_with_a_tag),
        cmocka_unit_test(test_aml_qword_memory_fields_lie_where_the_header_says),
        cmocka_unit_test(test_aml_misuse_asserts),
        cmocka_unit_test(test_aml_encode_equals_iasl),
        cmocka_unit_test(test_aml_methods_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
