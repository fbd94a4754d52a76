/* SPDX-License-Identifier: MIT */
/* What the reader of PVH executables takes, and what it refuses with which words. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/hw/i386/boot-internal.h"
#include "support/boot-images.h"

static bool parse(GByteArray *image, ElfPvh *ret_elf, GError **error)
{
    g_autoptr(BootFile) file = boot_file_new(image_memfd(image), "test-kernel", "kernel", error);

    g_byte_array_unref(image);
    return file && elf_pvh_parse(file, ret_elf, error);
}

static void test_parse_default(void **state)
{
    ElfPvh elf;

    assert_true(parse(elf_make(), &elf, NULL));
    assert_int_equal(elf.segment_count, 2);
    assert_int_equal(elf.entry, ELF_ENTRY);
    assert_int_equal(elf.end, ELF_DATA_PADDR + ELF_DATA_MEMSIZE);
    assert_int_equal(elf.segments[1].offset, ELF_DATA_OFFSET);
    assert_int_equal(elf.segments[1].paddr, ELF_DATA_PADDR);
    assert_int_equal(elf.segments[1].filesz, ELF_DATA_SIZE);
    assert_int_equal(elf.segments[1].memsz, ELF_DATA_MEMSIZE);
}

static void test_parse_fields(void **state)
{
    const struct {
        size_t offset;
        uint64_t value;
        unsigned size;
        const char *words; /* NULL: it is taken */
    } changes[] = {
        {ELF_CLASS, 1, 1, "class 1"},
        {ELF_DATA, 2, 1, "data 2"},
        {ELF_MACHINE, 183, 2, "machine 183"},
        {ELF_TYPE, 3, 2, "type 3"},
        {ELF_PHENTSIZE, 32, 2, "of 32 bytes"},
        {ELF_PHNUM, 0, 2, "0 program headers"},
        {ELF_PHNUM, 129, 2, "129 program headers"},
        {ELF_PHNUM, 0xffff, 2, "65535 program headers"},
        {ELF_PHNUM, 2, 2, "no PVH note"},
        {ELF_PHOFF, 0x700 - 3 * 56, 8, "no PVH note"},
        {ELF_PHOFF, 0x700 - 3 * 56 + 1, 8, "program headers, 168 bytes"},
        {ELF_PHOFF, UINT64_MAX - 8, 8, "program headers, 168 bytes"},
        {ELF_PHDR(0) + PHDR_OFFSET, 0x501, 8, "segment 0, 512 bytes at offset 0x501"},
        {ELF_PHDR(0) + PHDR_OFFSET, UINT64_MAX, 8, "segment 0"},
        {ELF_PHDR(1) + PHDR_FILESZ, UINT64_MAX, 8, "segment 1"},
        {ELF_PHDR(1) + PHDR_MEMSZ, ELF_DATA_SIZE, 8, NULL},
        {ELF_PHDR(1) + PHDR_MEMSZ, ELF_DATA_SIZE - 1, 8, "255 in memory"},
        {ELF_PHDR(1) + PHDR_MEMSZ, UINT64_MAX, 8, "segment 1"},
        {ELF_PHDR(1) + PHDR_PADDR, UINT64_MAX - 0x1000, 8, "segment 1"},
        {ELF_PHDR(1) + PHDR_TYPE, 0x6474e551, 4, NULL},
        {ELF_PHDR(0) + PHDR_TYPE, 0x6474e551, 4, "entry 0x100010 is not in the code"},
        {ELF_PHDR(0) + PHDR_MEMSZ, 0, 8, "entry 0x100010 is not in the code"},
        {ELF_PHDR(2) + PHDR_TYPE, 0, 4, "no PVH note"},
        {ELF_PHDR(2) + PHDR_FILESZ, 23, 8, "no PVH note"},
        {ELF_PHDR(2) + PHDR_FILESZ, 0, 8, "no PVH note"},
        {ELF_PHDR(2) + PHDR_FILESZ, 0x501, 8, "segment 2"},
        {NOTE_NAMESZ, 3, 4, "no PVH note"},
        {NOTE_NAMESZ, 0xffffffff, 4, "no PVH note"},
        {NOTE_DESCSZ, 0xffffffff, 4, "no PVH note"},
        {NOTE_DESCSZ, 4, 4, NULL},
        {NOTE_DESCSZ, 2, 4, "no PVH note"},
        {NOTE_TYPE, 17, 4, "no PVH note"},
        {NOTE_NAME_AT, 'x', 1, "no PVH note"},
        {NOTE_DESC, ELF_CODE_PADDR, 8, NULL},
        {NOTE_DESC, ELF_CODE_PADDR + ELF_CODE_SIZE - 1, 8, NULL},
        {NOTE_DESC, ELF_CODE_PADDR + ELF_CODE_SIZE, 8, "entry 0x100200"},
        {NOTE_DESC, ELF_CODE_PADDR - 1, 8, "entry 0xfffff"},
        {NOTE_DESC, 0x100000000 + ELF_ENTRY, 8, "entry 0x100100010"},
        {NOTE_DESC, ELF_DATA_PADDR + ELF_DATA_SIZE, 8, "entry 0x200100"}, /* in the bss */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(changes); i++) {
        g_autoptr(GError) error = NULL;
        GByteArray *image = elf_make();
        ElfPvh elf;

        image_put(image, changes[i].offset, changes[i].value, changes[i].size);

        bool ok = parse(image, &elf, &error);

        if (ok != !changes[i].words || (!ok && !strstr(error->message, changes[i].words))) {
            fail_msg("offset %#zx, value %#" PRIx64 ": %s", changes[i].offset, changes[i].value,
                     ok ? "taken" : error->message);
        }
    }
}

/* Another note before ours, its name and descriptor padded to @align. */
static GByteArray *elf_with_note_before(unsigned align)
{
    GByteArray *image = elf_make();
    size_t first = align == 8 ? 12 + 4 + 16 : 12 + 4 + 12;
    uint8_t ours[24];

    memcpy(ours, image->data + ELF_NOTE_OFFSET, sizeof(ours));
    memset(image->data + ELF_NOTE_OFFSET, 0, sizeof(ours));
    memcpy(image->data + ELF_NOTE_OFFSET + first, ours, sizeof(ours));
    image_put(image, NOTE_NAMESZ, 4, 4);
    image_put(image, NOTE_DESCSZ, 9, 4);
    image_put(image, NOTE_TYPE, 18, 4);
    memcpy(image->data + NOTE_NAME_AT, "GNU", 4);
    image_put(image, ELF_PHDR(2) + PHDR_FILESZ, first + sizeof(ours), 8);
    image_put(image, ELF_PHDR(2) + PHDR_ALIGN, align, 8);
    return image;
}

static void test_parse_finds_a_later_note(void **state)
{
    ElfPvh elf;

    assert_true(parse(elf_with_note_before(4), &elf, NULL));
    assert_int_equal(elf.entry, ELF_ENTRY);
    assert_true(parse(elf_with_note_before(8), &elf, NULL));
    assert_int_equal(elf.entry, ELF_ENTRY);
}

static void test_parse_refuses_entry_above_4g(void **state)
{
    g_autoptr(GError) error = NULL;
    GByteArray *image = elf_make();
    ElfPvh elf;

    image_put(image, ELF_PHDR(0) + PHDR_PADDR, 0x100000000, 8);
    image_put(image, NOTE_DESC, 0x100000010, 8);
    assert_false(parse(image, &elf, &error));
    assert_non_null(strstr(error->message, "entry 0x100000010"));
}

static void test_parse_refuses_huge_notes(void **state)
{
    g_autoptr(GError) error = NULL;
    GByteArray *image = elf_make();
    guint size = (1U << 20) + 1;
    ElfPvh elf;

    g_byte_array_set_size(image, ELF_NOTE_OFFSET + size);
    image_put(image, ELF_PHDR(2) + PHDR_FILESZ, size, 8);
    assert_false(parse(image, &elf, &error));
    assert_non_null(strstr(error->message, "1048577 bytes of notes"));
}

static void test_parse_refuses_too_many_segments(void **state)
{
    g_autoptr(GError) error = NULL;
    GByteArray *image = elf_make();
    size_t table = image->len;
    ElfPvh elf;

    g_byte_array_set_size(image, table + (ELF_PVH_SEGMENTS_MAX + 1) * 56);
    for (unsigned i = 0; i <= ELF_PVH_SEGMENTS_MAX; i++) {
        memcpy(image->data + table + i * 56, image->data + ELF_PHDR(0), 56);
    }
    image_put(image, ELF_PHOFF, table, 8);
    image_put(image, ELF_PHNUM, ELF_PVH_SEGMENTS_MAX + 1, 2);
    assert_false(parse(image, &elf, &error));
    assert_non_null(strstr(error->message, "more than 64 segments"));
}

static void test_parse_truncated_anywhere(void **state)
{
    g_autoptr(GByteArray) whole = elf_make();

    for (guint length = 1; length < whole->len; length++) {
        g_autoptr(GError) error = NULL;
        GByteArray *image = g_byte_array_new();

        g_byte_array_append(image, whole->data, length);
        assert_null(image_open_take(image, &error));
        assert_non_null(strstr(error->message, "test-kernel"));
        if (length >= 4) {
            assert_non_null(strstr(error->message, "truncated"));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_default),
        cmocka_unit_test(test_parse_fields),
        cmocka_unit_test(test_parse_finds_a_later_note),
        cmocka_unit_test(test_parse_refuses_entry_above_4g),
        cmocka_unit_test(test_parse_refuses_huge_notes),
        cmocka_unit_test(test_parse_refuses_too_many_segments),
        cmocka_unit_test(test_parse_truncated_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
