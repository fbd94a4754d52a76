/* SPDX-License-Identifier: MIT */
/* -m: what it accepts, and that what its refusals recommend is accepted. */
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tessera/hw/i386/pc-layout.h"
#include "tessera/machine/config.h"
#include "tessera/util/host-memory.h"
#include "tessera/util/size.h"

/* The test of options.c has its own. */
bool options_print_cpu_help(GError **error)
{
    return false;
}

static MachineConfig *parse(const char *text, GError **error)
{
    const char *const argv[] = { "tessera", "-kernel", "k", "-m", text };
    MachineConfig *config = NULL;

    return options_parse(G_N_ELEMENTS(argv), (char *const *)argv, &config, error) == OPTIONS_RUN
               ? config
               : NULL;
}

static void expect(const char *text, uint64_t size, uint64_t slots, uint64_t maxmem)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MachineConfig) config = parse(text, &error);

    if (!config) {
        fail_msg("-m %s refused: %s", text, error->message);
        return;
    }
    if (config->ram_size != size || config->memory_slots != slots || config->maxmem != maxmem) {
        fail_msg("-m %s gave size %" G_GUINT64_FORMAT ", slots %" G_GUINT64_FORMAT
                 ", maxmem %" G_GUINT64_FORMAT,
                 text, config->ram_size, config->memory_slots, config->maxmem);
    }
}

/* @...: parts that the message must have, NULL-terminated */
static void G_GNUC_NULL_TERMINATED expect_refused(const char *text, ...)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MachineConfig) config = parse(text, &error);
    va_list parts;

    if (config) {
        fail_msg("-m %s accepted", text);
        return;
    }
    assert_true(g_str_has_prefix(error->message, "-m"));
    va_start(parts, text);
    for (const char *part; (part = va_arg(parts, const char *));) {
        if (!strstr(error->message, part)) {
            fail_msg("-m %s: the message '%s' lacks '%s'", text, error->message, part);
        }
    }
    va_end(parts);
}

static void test_memory_option_sizes(void **state)
{
    expect("512", 512 * MIB, 0, 0);
    expect("size=512", 512 * MIB, 0, 0);
    expect("1M", MIB, 0, 0);
    expect("1024K", MIB, 0, 0);
    expect("1048576B", MIB, 0, 0);
    expect("1.5G", 1536 * MIB, 0, 0);
    expect("5g", 5 * GIB, 0, 0);
    expect("2T", 2 * TIB, 0, 0);
    expect("0x100", 256 * MIB, 0, 0);
    expect("1G,slots=0", GIB, 0, 0);
    expect("4194303G", 4194303 * GIB, 0, 0);
}

static void test_memory_option_growth(void **state)
{
    expect("1G,slots=4,maxmem=8G", GIB, 4, 8 * GIB);
    expect("maxmem=8G,slots=4,size=1G", GIB, 4, 8 * GIB);
    expect("1024,slots=4,maxmem=8192", GIB, 4, 8 * GIB);
    expect("slots=4,maxmem=8G", 128 * MIB, 4, 8 * GIB);
    expect("1G,slots=256,maxmem=1G", GIB, 256, GIB);
    expect("1G,slots=1,maxmem=4194303G", GIB, 1, 4194303 * GIB);
}

static void test_memory_option_tells_a_given_size(void **state)
{
    g_autoptr(MachineConfig) with = parse("128M", NULL);
    g_autoptr(MachineConfig) without = parse("slots=1,maxmem=1G", NULL);

    assert_true(with->ram_size_given);
    assert_false(without->ram_size_given);
}

static void test_memory_option_last_one_counts(void **state)
{
    g_auto(GStrv) argv = g_strsplit("tessera -kernel k -m 1G,slots=2,maxmem=2G --m 3G", " ", 0);
    g_autoptr(MachineConfig) config = NULL;

    assert_int_equal(options_parse((int)g_strv_length(argv), argv, &config, NULL), OPTIONS_RUN);
    assert_int_equal(config->ram_size, 3 * GIB);
    assert_int_equal(config->memory_slots, 0);
    assert_int_equal(config->maxmem, 0);
}

static void test_memory_option_size_refused(void **state)
{
    expect_refused("0", "-m 0: ", "1 MiB", "128M", NULL);
    expect_refused("1B", "-m 1B: ", "1 MiB", "128M", NULL);
    expect_refused("1023K", "1 MiB", NULL);
    expect_refused("1048575B", "1 MiB", NULL);
    expect_refused("9223372036854775808B", "-m 9223372036854775808B: ", "52 address bits",
                   "4194303G", NULL);
    expect_refused("8E", "-m 8E: ", "4194303G", NULL);
    expect_refused("4194304G", "4194303G", NULL);
    expect_refused("16E", "2^64", NULL);
    expect_refused("-1", "negative", NULL);
    expect_refused("5X", "suffixes", NULL);
    expect_refused("size", "must start with a digit", NULL);
    expect_refused("size=", "empty", NULL);
    expect_refused("", "empty", "-m [size=]N", NULL);
    expect_refused("1G,=3", "property", NULL);
    expect_refused("1G,slot=3", "'slot'", "'slots'", NULL);
    expect_refused("1G,slots=x", "'x'", NULL);
}

static void test_memory_option_crooked_size_names_neighbours(void **state)
{
    uint64_t page = host_page_size();
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT "B", MIB + page / 2);
    g_autofree char *maxmem = g_strdup_printf("1M,slots=1,maxmem=%s", text);
    g_autofree char *above = size_format_option(MIB + page);

    expect_refused(text, text, "1M", above, NULL);
    expect_refused(maxmem, text, "maxmem=1M", above, NULL);
    expect(above, MIB + page, 0, 0);
}

static void test_memory_option_growth_refused(void **state)
{
    expect_refused("1G,slots=4", "maxmem=", "-m 1G,slots=4,maxmem=2G", NULL);
    expect_refused("1G,maxmem=4G", "maxmem=4G", "-m 1G,slots=4,maxmem=2G", NULL);
    expect_refused("1G,slots=0,maxmem=4G", "slots", NULL);
    expect_refused("2G,slots=1,maxmem=1G", "maxmem=1G", "maxmem=2G or more", NULL);
    expect_refused("2G,slots=1,maxmem=0", "maxmem=2G or more", NULL);
    expect_refused("1G,slots=257,maxmem=4G", "slots=257", "slots=256", NULL);
    expect_refused("1G,slots=18446744073709551615,maxmem=4G", "slots=256", NULL);
    expect_refused("1G,slots=1,maxmem=8E", "maxmem=8E", "maxmem=4194303G", NULL);
    expect_refused("1G,slots=1,maxmem", "maxmem", NULL);
}

/* What an example in a message recommends must be accepted: for sizes from small to the largest. */
static void test_memory_option_examples_work(void **state)
{
    static const char *const sizes[] = { "1M", "1028K", "1G", "3G", "4194302G", "4194303G" };

    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        static const char *const rests[] = { "slots=3", "maxmem=4194303G" };

        for (size_t j = 0; j < G_N_ELEMENTS(rests); j++) {
            g_autofree char *text = g_strdup_printf("%s,%s", sizes[i], rests[j]);
            g_autoptr(GError) error = NULL;
            g_autoptr(MachineConfig) config = parse(text, &error);
            g_autoptr(MachineConfig) again = NULL;
            const char *example;

            assert_null(config);
            example = strstr(error->message, "for example -m ");
            assert_non_null(example);
            again = parse(example + strlen("for example -m "), NULL);
            assert_non_null(again);
        }
    }
}

/* The constant limit is the board's own, at the widest that a processor can be. */
static void test_memory_option_limit_is_what_52_bits_reach(void **state)
{
    PcInfo info = { 0 };

    assert_true(pc_layout(4194303 * GIB, 0, 0, 52, &info, NULL));
    assert_false(pc_layout(4194303 * GIB + 4096, 0, 0, 52, &info, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_option_sizes),
        cmocka_unit_test(test_memory_option_growth),
        cmocka_unit_test(test_memory_option_tells_a_given_size),
        cmocka_unit_test(test_memory_option_last_one_counts),
        cmocka_unit_test(test_memory_option_size_refused),
        cmocka_unit_test(test_memory_option_crooked_size_names_neighbours),
        cmocka_unit_test(test_memory_option_growth_refused),
        cmocka_unit_test(test_memory_option_examples_work),
        cmocka_unit_test(test_memory_option_limit_is_what_52_bits_reach),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
