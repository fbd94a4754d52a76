/* SPDX-License-Identifier: MIT */
/* The kernel loader's fuzz target without a fuzzer: seeds, kept corpus, random damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../fuzz/fuzz-linux-image.c"
#include "support/boot-images.h"

#define CORPUS "tests/fuzz/corpus/linux-image"

/* A seed of the corpus: the machine's 8 bytes, then a kernel with one field changed. */
static const struct {
    const char *name;
    uint8_t head[HEAD_SIZE];
    bool elf;
    size_t offset;
    uint64_t value;
    unsigned size;
} seeds[] = {
    {"bzimage", {160, 0, 0, 0, 1}, false, BZ_LOADFLAGS, 0x01, 1},
    {"bzimage-32-bit", {160, 0, 2, 1, 1}, false, BZ_XLOADFLAGS, 0, 2},
    {"bzimage-all", {176, 8, 7, 9, 20, 2, 65}, false, BZ_LOADFLAGS, 0x01, 1},
    {"bzimage-initrd-high", {160, 40, 2, 70, 1}, false, BZ_PREF_ADDRESS, 0x1000000, 8},
    {"bzimage-2.06", {100, 0, 0}, false, BZ_VERSION, 0x0206, 2},
    {"bzimage-2.08", {100, 0, 6, 1}, false, BZ_VERSION, 0x0208, 2},
    {"bzimage-at-2m", {64, 0, 1}, false, BZ_PREF_ADDRESS, 0x200000, 8},
    {"bzimage-truncated", {160}, false, BZ_SYSSIZE, 0xffffff, 4},
    {"bzimage-no-ram", {8, 0, 2, 1}, false, BZ_LOADFLAGS, 0x01, 1},
    {"elf", {32, 0, 4, 0, 1}, true, NOTE_TYPE, 18, 4},
    {"elf-initrd", {32, 8, 6, 8, 1, 0, 3}, true, NOTE_DESCSZ, 4, 4},
    {"elf-low", {32}, true, ELF_PHDR(1) + PHDR_PADDR, 0x1000, 8},
    {"elf-no-note", {32}, true, NOTE_TYPE, 1, 4},
    {"elf-notes-of-8", {32}, true, ELF_PHDR(2) + PHDR_ALIGN, 8, 8},
};

static GByteArray *make_seed(size_t index)
{
    g_autoptr(GByteArray) image = seeds[index].elf ? elf_make() : bzimage_make();
    GByteArray *input = g_byte_array_new();

    image_put(image, seeds[index].offset, seeds[index].value, seeds[index].size);
    g_byte_array_append(input, seeds[index].head, HEAD_SIZE);
    g_byte_array_append(input, image->data, image->len);
    return input;
}

/* With TESSERA_WRITE_SEEDS set, the seeds are written into the kept corpus. */
static void test_seeds(void **state)
{
    for (size_t i = 0; i < G_N_ELEMENTS(seeds); i++) {
        g_autoptr(GByteArray) input = make_seed(i);

        assert_int_equal(LLVMFuzzerTestOneInput(input->data, input->len), 0);
        if (getenv("TESSERA_WRITE_SEEDS")) {
            g_autofree char *path = g_build_filename(CORPUS, seeds[i].name, NULL);

            assert_true(g_file_set_contents(path, (char *)input->data, input->len, NULL));
        }
    }
}

static void test_kept_corpus(void **state)
{
    g_autoptr(GDir) dir = g_dir_open(CORPUS, 0, NULL);
    const char *name;
    unsigned count = 0;

    if (!dir) {
        fail_msg("%s: not found; unit tests run in the top folder of the sources", CORPUS);
    }
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(CORPUS, name, NULL);
        g_autofree char *bytes = NULL;
        gsize size;

        assert_true(g_file_get_contents(path, &bytes, &size, NULL));
        LLVMFuzzerTestOneInput((const uint8_t *)bytes, size);
        count++;
    }
    assert_true(count >= G_N_ELEMENTS(seeds));
}

/* Bits flipped, values that are edges put anywhere in the headers, the end cut off. */
static void damage(GByteArray *input, GRand *rand)
{
    static const uint64_t edges[] = {0, 1, 0x7fffffff, 0xffffffff, UINT64_MAX, 0xfffff000};
    unsigned header = HEAD_SIZE + 0x290;

    for (int i = g_rand_int_range(rand, 1, 5); i > 0; i--) {
        unsigned at = g_rand_int_range(rand, 0, MIN(header, input->len - 8));

        switch (g_rand_int_range(rand, 0, 4)) {
        case 0:
            image_put(input, at, edges[g_rand_int_range(rand, 0, G_N_ELEMENTS(edges))],
                      1U << g_rand_int_range(rand, 0, 4));
            break;
        case 1:
            if (g_rand_int_range(rand, 0, 8) == 0) {
                g_byte_array_set_size(input, g_rand_int_range(rand, 16, input->len));
            }
            break;
        default:
            input->data[at] ^= 1U << g_rand_int_range(rand, 0, 8);
        }
    }
}

static void test_random_damage(void **state)
{
    const char *text = getenv("TESSERA_SEED");
    guint32 seed = text ? strtoul(text, NULL, 0) : 2026;
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);

    print_message("seed %u\n", seed);
    for (int round = 0; round < 1500; round++) {
        g_autoptr(GByteArray) input = make_seed(round % G_N_ELEMENTS(seeds));

        damage(input, rand);
        LLVMFuzzerTestOneInput(input->data, input->len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_kept_corpus),
        cmocka_unit_test(test_random_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
