/* SPDX-License-Identifier: MIT */
/* Tests of gdb/registers.c and gdb/target-xml.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/gdb/registers-internal.h"

static unsigned number_of(const char *name)
{
    for (unsigned n = 0; n < gdb_register_count; n++) {
        if (strcmp(gdb_registers[n].name, name) == 0) {
            return n;
        }
    }
    fail_msg("no register %s", name);
    return 0;
}

static uint64_t get(const VcpuRegisters *r, const char *name)
{
    unsigned n = number_of(name);
    uint8_t wire[GDB_REGISTER_BYTES_MAX] = { 0 };
    uint64_t value = 0;

    gdb_register_get(r, n, wire);
    memcpy(&value, wire, MIN(8u, gdb_registers[n].bits / 8u));
    return value;
}

static void set(VcpuRegisters *r, const char *name, uint64_t value)
{
    uint8_t wire[GDB_REGISTER_BYTES_MAX] = { 0 };

    memcpy(wire, &value, sizeof(value));
    gdb_register_set(r, number_of(name), wire);
}

/* Numbers and sizes that gdb has for i386:x86-64 without a description: clients may count on them. */
static void test_table_has_gdbs_order(void **state)
{
    static const char *const order[] = {
        "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12",
        "r13", "r14", "r15", "rip", "eflags", "cs", "ss", "ds", "es", "fs", "gs", "st0",
    };
    unsigned bytes = 0;

    for (unsigned n = 0; n < G_N_ELEMENTS(order); n++) {
        assert_string_equal(gdb_registers[n].name, order[n]);
    }
    assert_int_equal(number_of("fctrl"), 32);
    assert_int_equal(number_of("xmm0"), 40);
    assert_int_equal(number_of("mxcsr"), 56);
    for (unsigned n = 0; n < gdb_register_count; n++) {
        assert_true(gdb_registers[n].bits / 8 <= GDB_REGISTER_BYTES_MAX);
        assert_true(gdb_registers[n].bytes * 8u <= gdb_registers[n].bits);
        assert_true(gdb_registers[n].offset + gdb_registers[n].bytes <= sizeof(VcpuRegisters));
        bytes += n <= 56 ? gdb_registers[n].bits / 8 : 0;
    }
    assert_int_equal(bytes, 17 * 8 + 7 * 4 + 8 * 10 + 8 * 4 + 16 * 16 + 4);
}

static void test_register_get_shows_each_field(void **state)
{
    VcpuRegisters r = {
        .general = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 },
        .rip = 0xffffffff81000000, .rflags = 0x246, .cs = 0x10, .gs = 0x2b, .fs_base = 0x7f00,
        .k_gs_base = 0xffff888000000000, .cr0 = 0x80050033, .cr3 = 0x1000, .efer = 0xd01,
        .fcw = 0x37f, .fip = 0x1122334455667788, .mxcsr = 0x1f80,
    };

    r.xmm[15][0] = 0x5a;
    r.st[7][9] = 0x40;
    assert_int_equal(get(&r, "rax"), 1);
    assert_int_equal(get(&r, "r15"), 16);
    assert_true(get(&r, "rip") == 0xffffffff81000000);
    assert_int_equal(get(&r, "eflags"), 0x246);
    assert_int_equal(get(&r, "cs"), 0x10);
    assert_int_equal(get(&r, "gs"), 0x2b);
    assert_int_equal(get(&r, "fs_base"), 0x7f00);
    assert_true(get(&r, "k_gs_base") == 0xffff888000000000);
    assert_int_equal(get(&r, "cr0"), 0x80050033);
    assert_int_equal(get(&r, "efer"), 0xd01);
    assert_int_equal(get(&r, "fctrl"), 0x37f);
    assert_int_equal(get(&r, "fioff"), 0x55667788);
    assert_int_equal(get(&r, "fiseg"), 0);
    assert_int_equal(get(&r, "mxcsr"), 0x1f80);
    assert_int_equal(get(&r, "xmm15"), 0x5a);
}

/* Each one alone: no other field changes. */
static void test_register_set_is_the_inverse(void **state)
{
    for (unsigned n = 0; n < gdb_register_count; n++) {
        VcpuRegisters r, zero;
        uint8_t in[GDB_REGISTER_BYTES_MAX], out[GDB_REGISTER_BYTES_MAX];

        if (strcmp(gdb_registers[n].name, "ftag") == 0) {
            continue;
        }
        memset(&r, 0, sizeof(r));
        memset(&zero, 0, sizeof(zero));
        memset(in, 0xa5, sizeof(in));
        memset(in + gdb_registers[n].bytes, 0, sizeof(in) - gdb_registers[n].bytes);
        gdb_register_set(&r, n, in);
        gdb_register_get(&r, n, out);
        assert_memory_equal(in, out, gdb_registers[n].bits / 8);
        memset((uint8_t *)&r + gdb_registers[n].offset, 0, gdb_registers[n].bytes);
        assert_memory_equal(&r, &zero, sizeof(r));
    }
}

/*
 * Top of stack at physical 6: ST0 is physical 6, ST1 is 7.
 *   physical  7      6      5..0
 *             zero   valid  empty
 */
static void test_tag_word(void **state)
{
    VcpuRegisters r = { .fsw = 6 << 11, .ftw = 0xc0 };

    memcpy(r.st[0], "\0\0\0\0\0\0\0\x80\xff\x3f", 10); /* 1.0 */
    assert_int_equal(get(&r, "ftag"), 1u << 14 | 0u << 12 | 0xfff);
    memcpy(r.st[1], "\0\0\0\0\0\0\0\x80\xff\x7f", 10); /* infinity */
    assert_int_equal(get(&r, "ftag"), 2u << 14 | 0u << 12 | 0xfff);
    memcpy(r.st[1], "\1\0\0\0\0\0\0\0\0\0", 10); /* denormal */
    assert_int_equal(get(&r, "ftag"), 2u << 14 | 0u << 12 | 0xfff);
    set(&r, "ftag", 0xfffc);
    assert_int_equal(r.ftw, 1);
    set(&r, "ftag", 0x1b00 | 0xff); /* 7: valid, 6: zero ... */
    assert_int_equal(r.ftw, 0xe0);
}

static void test_target_xml_describes_the_table(void **state)
{
    g_autofree char *xml = gdb_target_xml();

    assert_true(g_str_has_prefix(xml, "<?xml version=\"1.0\"?>\n"));
    assert_non_null(strstr(xml, "<architecture>i386:x86-64</architecture>"));
    for (unsigned n = 0; n < gdb_register_count; n++) {
        g_autofree char *line =
            g_strdup_printf("<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"",
                            gdb_registers[n].name, gdb_registers[n].bits, gdb_registers[n].type, n);

        assert_non_null(strstr(xml, line));
    }
}

/* Well-formed, by GLib's parser; every type is gdb's own or defined before it is used. */
static void on_element(GMarkupParseContext *context, const char *element, const char **names,
                       const char **values, gpointer opaque, GError **error)
{
    static const char *const own[] = { "int8", "int16", "int32", "int64", "uint128", "int",
                                       "code_ptr", "data_ptr", "i387_ext", "ieee_single",
                                       "ieee_double", NULL };
    GHashTable *defined = opaque;

    for (unsigned i = 0; names[i]; i++) {
        if (strcmp(names[i], "id") == 0) {
            g_hash_table_add(defined, g_strdup(values[i]));
        } else if (strcmp(names[i], "type") == 0 && !g_strv_contains(own, values[i]) &&
                   !g_hash_table_contains(defined, values[i])) {
            g_set_error(error, G_MARKUP_ERROR, G_MARKUP_ERROR_INVALID_CONTENT, "type %s",
                        values[i]);
        }
    }
}

static void test_target_xml_is_well_formed(void **state)
{
    const GMarkupParser parser = { .start_element = on_element };
    g_autoptr(GHashTable) defined = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GMarkupParseContext) context =
        g_markup_parse_context_new(&parser, 0, defined, NULL);
    g_autofree char *xml = gdb_target_xml();
    g_autoptr(GError) error = NULL;

    if (!g_markup_parse_context_parse(context, xml, -1, &error) ||
        !g_markup_parse_context_end_parse(context, &error)) {
        fail_msg("%s", error->message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_has_gdbs_order),
        cmocka_unit_test(test_register_get_shows_each_field),
        cmocka_unit_test(test_register_set_is_the_inverse),
        cmocka_unit_test(test_tag_word),
        cmocka_unit_test(test_target_xml_describes_the_table),
        cmocka_unit_test(test_target_xml_is_well_formed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
