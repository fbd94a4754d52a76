/* SPDX-License-Identifier: MIT */
/* /proc/PID/smaps: as kernels write it, in pieces, and broken. */
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tessera/util/error.h"
#include "tessera/util/proc-smaps.h"

/* As Linux 6.18 writes it, shortened; the second as 5.4 does, without KSM and FilePmdMapped. */
static const char two_mappings[] =
    "7f0000000000-7f0000200000 rw-p 00000000 00:00 0 \n"
    "Size:               2048 kB\n"
    "KernelPageSize:        4 kB\n"
    "Rss:                1024 kB\n"
    "Pss:                1000 kB\n"
    "Shared_Clean:          4 kB\n"
    "Shared_Dirty:          8 kB\n"
    "Private_Dirty:      1012 kB\n"
    "Anonymous:          1020 kB\n"
    "KSM:                  16 kB\n"
    "AnonHugePages:       512 kB\n"
    "ShmemPmdMapped:        0 kB\n"
    "FilePmdMapped:         0 kB\n"
    "Shared_Hugetlb:        0 kB\n"
    "Private_Hugetlb:       0 kB\n"
    "Swap:                 32 kB\n"
    "SwapPss:              32 kB\n"
    "THPeligible:           1\n"
    "ProtectionKey:         0\n"
    "VmFlags: rd wr mr mw me dc ac hg mg \n"
    "7f0000200000-7f0000300000 r-xp 00002000 fe:00 247498                     /usr/bin/a b\n"
    "Rss:                  40 kB\n"
    "SomethingNew:        999 pages\n"
    "VmFlags: rd ex mr mw me nh \n";

typedef struct Seen {
    unsigned count;
    SmapsMapping mappings[4];
} Seen;

static void see(const SmapsMapping *m, void *opaque)
{
    Seen *seen = opaque;

    assert_true(seen->count < G_N_ELEMENTS(seen->mappings));
    seen->mappings[seen->count++] = *m;
}

/* The text in pieces of @step bytes. */
static bool parse(const char *text, size_t step, Seen *seen, GError **error)
{
    SmapsParser parser;

    memset(seen, 0, sizeof(*seen));
    smaps_parser_init(&parser, see, seen);
    for (size_t at = 0, len = strlen(text); at < len; at += step) {
        if (!smaps_parser_feed(&parser, text + at, MIN(step, len - at), error)) {
            return false;
        }
    }
    return smaps_parser_end(&parser, error);
}

static void check_two(const Seen *seen)
{
    const SmapsMapping *a = &seen->mappings[0], *b = &seen->mappings[1];

    assert_int_equal(seen->count, 2);
    assert_int_equal(a->start, 0x7f0000000000);
    assert_int_equal(a->end, 0x7f0000200000);
    assert_string_equal(a->perms, "rw-p");
    assert_int_equal(a->inode, 0);
    assert_string_equal(a->name, "");
    assert_int_equal(a->bytes[SMAPS_RSS], 1024 * 1024);
    assert_int_equal(a->bytes[SMAPS_SHARED_CLEAN], 4 * 1024);
    assert_int_equal(a->bytes[SMAPS_SHARED_DIRTY], 8 * 1024);
    assert_int_equal(a->bytes[SMAPS_ANONYMOUS], 1020 * 1024);
    assert_int_equal(a->bytes[SMAPS_KSM], 16 * 1024);
    assert_int_equal(a->bytes[SMAPS_ANON_HUGE], 512 * 1024);
    assert_int_equal(a->bytes[SMAPS_SWAP], 32 * 1024);
    assert_int_equal(a->bytes[SMAPS_PRIVATE_HUGETLB], 0);
    assert_int_equal(a->flags, SMAPS_HUGE | SMAPS_MERGEABLE);
    assert_string_equal(b->perms, "r-xp");
    assert_int_equal(b->inode, 247498);
    assert_string_equal(b->name, "/usr/bin/a b");
    assert_int_equal(b->bytes[SMAPS_RSS], 40 * 1024);
    assert_true(b->bytes[SMAPS_KSM] == SMAPS_UNTOLD);
    assert_true(b->bytes[SMAPS_SWAP] == SMAPS_UNTOLD);
    assert_int_equal(b->flags, SMAPS_NO_HUGE);
}

static void test_smaps_parser_in_any_pieces(void **state)
{
    Seen seen;

    for (size_t step = 1; step <= sizeof(two_mappings); step++) {
        g_autoptr(GError) error = NULL;

        assert_true(parse(two_mappings, step, &seen, &error));
        check_two(&seen);
    }
}

static void test_smaps_parser_long_name(void **state)
{
    g_autofree char *name = g_strnfill(5000, 'x');
    g_autofree char *text =
        g_strdup_printf("1000-2000 r--p 00000000 fe:00 5 /%s\nRss: 4 kB\n", name);
    g_autoptr(GError) error = NULL;
    Seen seen;

    assert_true(parse(text, 100, &seen, &error));
    assert_int_equal(seen.count, 1);
    assert_int_equal(strlen(seen.mappings[0].name), sizeof(seen.mappings[0].name) - 1);
    assert_int_equal(seen.mappings[0].bytes[SMAPS_RSS], 4096);
}

/* Between two mappings the first was joined with what lies behind, or in front too. */
static void test_smaps_parser_map_changes_meanwhile(void **state)
{
    static const char text[] = "1000-2000 rw-p 0 00:00 0\nRss: 4 kB\n"
                               "1000-4000 rw-p 0 00:00 0\nRss: 12 kB\n"
                               "0-5000 rw-p 0 00:00 0\nRss: 20 kB\n"
                               "5000-6000 rw-p 0 00:00 0\nRss: 4 kB\n";
    g_autoptr(GError) error = NULL;
    Seen seen;

    assert_true(parse(text, 7, &seen, &error));
    assert_int_equal(seen.count, 4);
    assert_false(seen.mappings[0].again);
    assert_true(seen.mappings[1].again);
    assert_true(seen.mappings[2].again);
    assert_false(seen.mappings[3].again);
}

static void test_smaps_parser_refuses(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        { "", "no mapping" },
        { "Rss: 4 kB\n", "key without a mapping" },
        { "\n", "neither" },
        { "1000-2000 rw-p 0 00:00 0", "ends within a line" },
        { "1000-2000\n", "neither" },
        { "1000-2000 rw-p 0 00:00\n", "neither" },
        { "1000-2000 rw-p 0 00:00 x\n", "neither" },
        { "1000-2000 rw 0 00:00 0\n", "neither" },
        { "1000 2000 rw-p 0 00:00 0\n", "neither" },
        { "zzz-2000 rw-p 0 00:00 0\n", "neither" },
        { "11111111111111111-22222222222222222 rw-p 0 00:00 0\n", "neither" },
        { "2000-2000 rw-p 0 00:00 0\n", "empty" },
        { "2000-1000 rw-p 0 00:00 0\n", "empty" },
        { "2000-3000 rw-p 0 00:00 0\n1000-2000 rw-p 0 00:00 0\n", "line 2: a mapping" },
        { "2000-3000 rw-p 0 00:00 0\n1000-3000 rw-p 0 00:00 0\n", "line 2: a mapping" },
        { "1000-2000 rw-p 0 00:00 0\nRss: four kB\n", "amount" },
        { "1000-2000 rw-p 0 00:00 0\nRss: 4\n", "amount" },
        { "1000-2000 rw-p 0 00:00 0\nRss: 4 MB\n", "amount" },
        { "1000-2000 rw-p 0 00:00 0\nRss: -4 kB\n", "amount" },
        { "1000-2000 rw-p 0 00:00 0\nRss: 99999999999999999999 kB\n", "amount" },
        { "1000-2000 rw-p 0 00:00 0\nRss: 18446744073709551615 kB\n", "amount" },
        { "1000-2000 rw-p 0 00:00 0\nRss:\n", "amount" },
        { "1000-2000 rw-p 0 00:00 0\nRss: 4 kB\nSw", "ends within" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        Seen seen;

        if (parse(cases[i].text, 3, &seen, &error)) {
            fail_msg("taken: %s", cases[i].text);
        }
        assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_INVALID));
        if (!strstr(error->message, cases[i].message)) {
            fail_msg("%s: %s", cases[i].text, error->message);
        }
    }
}

/* Whatever is changed in it, there is an answer or an error, and what is told makes sense. */
static void test_smaps_parser_random_damage(void **state)
{
    const char *env = g_getenv("TESSERA_SEED");
    guint32 seed = env ? (guint32)g_ascii_strtoull(env, NULL, 0) : 5705;
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    unsigned refused = 0;

    print_message("# seed %u\n", seed);
    for (unsigned round = 0; round < 20000; round++) {
        g_autofree char *text = g_strdup(two_mappings);
        g_autoptr(GError) error = NULL;
        Seen seen;

        for (int n = g_rand_int_range(rand, 1, 4); n > 0; n--) {
            text[g_rand_int_range(rand, 0, sizeof(two_mappings) - 1)] =
                (char)g_rand_int_range(rand, 1, 127);
        }
        refused += !parse(text, (size_t)g_rand_int_range(rand, 1, 200), &seen, &error);
        for (unsigned i = 0; i < seen.count; i++) {
            assert_true(seen.mappings[i].start < seen.mappings[i].end);
        }
    }
    assert_in_range(refused, 1000, 19000);
}

static void test_smaps_read_without_the_file(void **state)
{
    g_autoptr(GError) error = NULL;
    Seen seen = { 0 };

    assert_false(smaps_read("/nowhere", see, &seen, &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_SYSTEM));
    assert_non_null(strstr(error->message, "/nowhere/proc/self/smaps"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smaps_parser_in_any_pieces),
        cmocka_unit_test(test_smaps_parser_long_name),
        cmocka_unit_test(test_smaps_parser_map_changes_meanwhile),
        cmocka_unit_test(test_smaps_parser_refuses),
        cmocka_unit_test(test_smaps_parser_random_damage),
        cmocka_unit_test(test_smaps_read_without_the_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
