/* SPDX-License-Identifier: MIT */
/* What the reader of bzImages takes, and what it refuses with which words. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../src/hw/i386/boot-internal.h"
#include "support/boot-images.h"

static bool parse(GByteArray *image, BzImage *ret_bz, GError **error)
{
    g_autoptr(BootFile) file = boot_file_new(image_memfd(image), "test-kernel", "kernel", error);

    g_byte_array_unref(image);
    return file && bzimage_parse(file, ret_bz, error);
}

/* A field changed, and the words that must be in the refusal (NULL: it is taken). */
typedef struct Change {
    size_t offset;
    uint64_t value;
    unsigned size;
    const char *words;
} Change;

static void check_changes(const Change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const Change *change = &changes[i];
        g_autoptr(GError) error = NULL;
        GByteArray *image = bzimage_make();
        BzImage bz;

        image_put(image, change->offset, change->value, change->size);

        bool ok = parse(image, &bz, &error);

        if (ok != !change->words) {
            fail_msg("offset %#zx, value %#" PRIx64 ": %s", change->offset, change->value,
                     ok ? "taken" : error->message);
        }
        if (!ok && !strstr(error->message, change->words)) {
            fail_msg("offset %#zx: '%s' is not in '%s'", change->offset, change->words,
                     error->message);
        }
    }
}

static void test_parse_default(void **state)
{
    BzImage bz;

    assert_true(parse(bzimage_make(), &bz, NULL));
    assert_int_equal(bz.code_offset, BZ_CODE_OFFSET);
    assert_int_equal(bz.code_size, BZ_CODE_SIZE);
    assert_int_equal(bz.load, BZ_LOAD);
    assert_int_equal(bz.need, BZ_INIT_SIZE);
    assert_int_equal(bz.cmdline_max, 2047);
    assert_int_equal(bz.raw_length, 0x26c - 0x1f1);
    assert_true(bz.entry_64);
}

static void test_parse_fields(void **state)
{
    const Change changes[] = {
        {BZ_VERSION, 0x0205, 2, "2.05, 2.06 or newer"},
        {BZ_VERSION, 0x0206, 2, NULL},
        {BZ_VERSION, 0x0300, 2, NULL},
        {BZ_JUMP_SIZE, 0x69, 1, "header ends at 0x26b"},
        {BZ_JUMP_SIZE, 0x8e, 1, NULL},
        {BZ_JUMP_SIZE, 0x8f, 1, "header ends at 0x291"},
        {BZ_LOADFLAGS, 0x80, 1, "zImage"},
        {BZ_SYSSIZE, 0, 4, "no code"},
        {BZ_SYSSIZE, BZ_CODE_SIZE / 16 + 1, 4, "truncated: 6656 bytes of 6672"},
        {BZ_SYSSIZE, 0xffffffff, 4, "truncated"},
        {BZ_SYSSIZE, 0x200 / 16, 4, "compressed kernel"},
        {BZ_SETUP_SECTS, 0, 1, NULL},
        {BZ_SETUP_SECTS, 3, 1, NULL},
        {BZ_SETUP_SECTS, 5, 1, "truncated"},
        {BZ_PAYLOAD_LENGTH, 0xd00, 4, NULL},
        {BZ_PAYLOAD_LENGTH, 0xd01, 4, "compressed kernel, 3329 bytes at 0x300"},
        {BZ_PAYLOAD_OFFSET, 0xffffffff, 4, "compressed kernel"},
        {BZ_ALIGNMENT, 0, 4, "no power of two"},
        {BZ_ALIGNMENT, 0x300000, 4, "no power of two"},
        {BZ_ALIGNMENT, 0x80000000, 4, NULL},
        {BZ_PREF_ADDRESS, 0xfffff, 8, NULL}, /* rounded up to its alignment */
        {BZ_PREF_ADDRESS, 0, 8, "loaded at 0, not"},
        {BZ_PREF_ADDRESS, 0xffe00001, 8, "loaded at 0x100000000"},
        {BZ_PREF_ADDRESS, UINT64_MAX, 8, "loaded at 0xffffffffffffffff"},
        {BZ_INIT_SIZE_FIELD, 0xffffffff, 4, NULL}, /* refused later, when the RAM is known */
    };

    check_changes(changes, G_N_ELEMENTS(changes));
}

static void test_parse_64_bit_entry_needs_code_there(void **state)
{
    g_autoptr(GError) error = NULL;
    GByteArray *image = bzimage_make();
    BzImage bz;

    image_put(image, BZ_SYSSIZE, 0x200 / 16, 4);
    image_put(image, BZ_PAYLOAD_OFFSET, 0, 8);
    assert_false(parse(image, &bz, &error));
    assert_non_null(strstr(error->message, "64-bit entry"));
}

static void test_parse_no_setup_sectors_are_four(void **state)
{
    GByteArray *image = bzimage_make();
    BzImage bz;

    image_put(image, BZ_SETUP_SECTS, 0, 1);
    assert_true(parse(image, &bz, NULL));
    assert_int_equal(bz.code_offset, 5 * 512);
}

static void test_parse_old_protocol_ignores_newer_fields(void **state)
{
    GByteArray *image = bzimage_make();
    BzImage bz;

    image_put(image, BZ_VERSION, 0x0206, 2);
    image_put(image, BZ_PAYLOAD_LENGTH, 0xffffffff, 4);
    image_put(image, BZ_PREF_ADDRESS, UINT64_MAX, 8);
    image_put(image, BZ_CMDLINE_SIZE, 0, 4);
    assert_true(parse(image, &bz, NULL));
    assert_int_equal(bz.load, 0x200000); /* 1 MiB at its alignment */
    assert_int_equal(bz.need, 4 * BZ_CODE_SIZE);
    assert_int_equal(bz.cmdline_max, 255);
    assert_int_equal(bz.header.init_size, 0);
    assert_false(bz.entry_64);
}

static void test_parse_not_relocatable_stays_at_its_address(void **state)
{
    GByteArray *image = bzimage_make();
    BzImage bz;

    image_put(image, BZ_RELOCATABLE, 0, 1);
    image_put(image, BZ_PREF_ADDRESS, 0x123000, 8);
    image_put(image, BZ_ALIGNMENT, 0, 4);
    assert_true(parse(image, &bz, NULL));
    assert_int_equal(bz.load, 0x123000);
}

static void test_parse_rounds_preferred_address_up(void **state)
{
    GByteArray *image = bzimage_make();
    BzImage bz;

    image_put(image, BZ_PREF_ADDRESS, 0x1000001, 8);
    assert_true(parse(image, &bz, NULL));
    assert_int_equal(bz.load, 0x1200000);
}

static void test_parse_needs_at_least_its_code(void **state)
{
    GByteArray *image = bzimage_make();
    BzImage bz;

    image_put(image, BZ_INIT_SIZE_FIELD, 16, 4);
    assert_true(parse(image, &bz, NULL));
    assert_int_equal(bz.need, BZ_CODE_SIZE);
}

static void test_parse_truncated_anywhere(void **state)
{
    g_autoptr(GByteArray) whole = bzimage_make();

    for (guint length = 1; length < whole->len; length += length < 0x300 ? 1 : 97) {
        g_autoptr(GError) error = NULL;
        GByteArray *image = g_byte_array_new();

        g_byte_array_append(image, whole->data, length);

        LinuxImage *opened = image_open_take(image, &error);

        assert_null(opened);
        assert_non_null(strstr(error->message, "test-kernel"));
        if (length >= 0x206) {
            assert_non_null(strstr(error->message, "truncated"));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_default),
        cmocka_unit_test(test_parse_fields),
        cmocka_unit_test(test_parse_64_bit_entry_needs_code_there),
        cmocka_unit_test(test_parse_no_setup_sectors_are_four),
        cmocka_unit_test(test_parse_old_protocol_ignores_newer_fields),
        cmocka_unit_test(test_parse_not_relocatable_stays_at_its_address),
        cmocka_unit_test(test_parse_rounds_preferred_address_up),
        cmocka_unit_test(test_parse_needs_at_least_its_code),
        cmocka_unit_test(test_parse_truncated_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
