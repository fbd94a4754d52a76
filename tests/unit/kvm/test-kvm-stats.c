/* SPDX-License-Identifier: MIT */
/* Statistics of the VM and its vCPUs: the kernel's format, debugfs, and what neither tells. */
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../../src/accel/kvm/stat-set-internal.h"
#include "support/vcpu-fixture.h"
#include "tessera/util/error.h"

/* A file as the kernel makes it, with parts that need not lie one behind the other. */
typedef struct Builder {
    struct kvm_stats_header header;
    GByteArray *descs;
    GByteArray *data;
} Builder;

static Builder builder_new(uint32_t name_size)
{
    return (Builder){ .header.name_size = name_size,
                      .descs = g_byte_array_new(),
                      .data = g_byte_array_new() };
}

static void builder_add(Builder *b, const char *name, uint32_t flags, int exponent,
                        const uint64_t *values, unsigned n)
{
    g_autofree char *padded = g_malloc0(b->header.name_size);
    struct kvm_stats_desc desc = { .flags = flags,
                                   .exponent = (int16_t)exponent,
                                   .size = (uint16_t)n,
                                   .offset = b->data->len,
                                   .bucket_size = 7 };

    g_strlcpy(padded, name, b->header.name_size);
    g_byte_array_append(b->descs, (const guint8 *)&desc, sizeof(desc));
    g_byte_array_append(b->descs, (const guint8 *)padded, b->header.name_size);
    g_byte_array_append(b->data, (const guint8 *)values, n * (guint)sizeof(*values));
    b->header.num_desc++;
}

/* @gap bytes lie between the parts; frees the builder. */
static GByteArray *builder_end(Builder *b, unsigned gap)
{
    static const guint8 nothing[256];
    GByteArray *file = g_byte_array_new();

    b->header.id_offset = (uint32_t)sizeof(b->header) + gap;
    b->header.desc_offset = b->header.id_offset + b->header.name_size + gap;
    b->header.data_offset = b->header.desc_offset + b->descs->len + gap;
    g_byte_array_append(file, (const guint8 *)&b->header, sizeof(b->header));
    g_byte_array_append(file, nothing, gap + b->header.name_size + gap);
    g_byte_array_append(file, b->descs->data, b->descs->len);
    g_byte_array_append(file, nothing, gap);
    g_byte_array_append(file, b->data->data, b->data->len);
    g_byte_array_unref(b->descs);
    g_byte_array_unref(b->data);
    return file;
}

static const uint64_t values[] = { 11, 22, 33, 44 };

static GByteArray *some_file(uint32_t name_size, unsigned gap)
{
    Builder b = builder_new(name_size);

    builder_add(&b, "pages_4k", KVM_STATS_TYPE_INSTANT, 0, values, 1);
    builder_add(&b, "wait_hist", KVM_STATS_TYPE_LINEAR_HIST | KVM_STATS_UNIT_SECONDS, -9, values,
                4);
    builder_add(&b, "flag", KVM_STATS_TYPE_PEAK | KVM_STATS_UNIT_BOOLEAN | KVM_STATS_BASE_POW2, 3,
                values + 2, 1);
    builder_add(&b, "later", 0xfff, 0, values + 3, 1);
    return builder_end(&b, gap);
}

static void check_stat(const KvmStatSet *set, const char *name, KvmStatType type, KvmStatUnit unit,
                       unsigned base, int exponent, unsigned count, uint64_t first)
{
    const KvmStat *stat = kvm_stat_set_find(set, name);

    assert_non_null(stat);
    assert_int_equal(stat->type, type);
    assert_int_equal(stat->unit, unit);
    assert_int_equal(stat->base, base);
    assert_int_equal(stat->exponent, exponent);
    assert_int_equal(stat->count, count);
    assert_int_equal(stat->values[0], first);
}

static void check_some_file(const KvmStatSet *set)
{
    assert_int_equal(kvm_stat_set_count(set), 4);
    assert_string_equal(kvm_stat_set_at(set, 1)->name, "wait_hist");
    assert_int_equal(kvm_stat_set_at(set, 1)->bucket_size, 7);
    assert_memory_equal(kvm_stat_set_at(set, 1)->values, values, sizeof(values));
    check_stat(set, "pages_4k", KVM_STAT_INSTANT, KVM_STAT_NO_UNIT, 10, 0, 1, 11);
    check_stat(set, "wait_hist", KVM_STAT_LINEAR_HISTOGRAM, KVM_STAT_SECONDS, 10, -9, 4, 11);
    check_stat(set, "flag", KVM_STAT_PEAK, KVM_STAT_BOOLEAN, 2, 3, 1, 33);
    check_stat(set, "later", KVM_STAT_UNKNOWN_TYPE, KVM_STAT_UNKNOWN_UNIT, 0, 0, 1, 44);
    assert_null(kvm_stat_set_find(set, "pages_2m"));
}

/* Nothing about the layout is fixed: long and odd names, parts apart. */
static void test_kvm_stat_set_parse_any_layout(void **state)
{
    static const uint32_t name_sizes[] = { 48, 10, 13, 64 };
    static const unsigned gaps[] = { 0, 1, 8, 31 };

    for (size_t i = 0; i < G_N_ELEMENTS(name_sizes) * G_N_ELEMENTS(gaps); i++) {
        g_autoptr(GByteArray) file = some_file(name_sizes[i / 4], gaps[i % 4]);
        g_autoptr(GError) error = NULL;
        g_autoptr(KvmStatSet) set = kvm_stat_set_parse(file->data, file->len, "x", &error);

        assert_non_null(set);
        assert_string_equal(kvm_stat_set_source(set), "x");
        check_some_file(set);
    }
}

static void test_kvm_stat_set_parse_none(void **state)
{
    Builder b = builder_new(48);
    g_autoptr(GByteArray) file = builder_end(&b, 0);
    g_autoptr(KvmStatSet) set = kvm_stat_set_parse(file->data, file->len, "x", NULL);

    assert_non_null(set);
    assert_int_equal(kvm_stat_set_count(set), 0);
}

static void check_refused(const GByteArray *file, const char *what)
{
    g_autoptr(GError) error = NULL;
    /* Exactly as long: whoever reads behind it is seen by the address sanitizer. */
    g_autofree guint8 *bytes = g_memdup2(file->data, file->len);
    g_autoptr(KvmStatSet) set = kvm_stat_set_parse(bytes, file->len, "x", &error);

    assert_null(set);
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_INVALID));
    if (!strstr(error->message, what)) {
        fail_msg("%s", error->message);
    }
}

/* One number of the header is another: @at is the place, in 32-bit words. */
static void check_header_refused(unsigned at, uint32_t value, const char *what)
{
    g_autoptr(GByteArray) file = some_file(16, 0);

    memcpy(file->data + at * 4, &value, 4);
    check_refused(file, what);
}

static void test_kvm_stat_set_parse_refuses(void **state)
{
    g_autoptr(GByteArray) file = some_file(16, 0);
    struct kvm_stats_header header;
    guint whole = file->len;

    for (guint len = 0; len < whole; len++) {
        g_byte_array_set_size(file, len);
        check_refused(file, len < sizeof(header) ? "shorter" : "outside");
        g_byte_array_unref(file);
        file = some_file(16, 0);
    }
    check_header_refused(1, 0, "outside");
    check_header_refused(1, UINT32_MAX, "outside");
    check_header_refused(2, UINT32_MAX, "outside");
    check_header_refused(4, UINT32_MAX, "outside");
    check_header_refused(5, UINT32_MAX, "values");
    memcpy(&header, file->data, sizeof(header));
    memset(file->data + header.desc_offset + sizeof(struct kvm_stats_desc), 'x', 16);
    check_refused(file, "not ended");
}

static void test_kvm_stat_set_parse_refuses_bad_values(void **state)
{
    static const struct {
        size_t at; /* in the first descriptor */
        uint8_t byte;
    } cases[] = {
        { offsetof(struct kvm_stats_desc, size), 0 },
        { offsetof(struct kvm_stats_desc, size) + 1, 0xff },
        { offsetof(struct kvm_stats_desc, offset), 4 },
        { offsetof(struct kvm_stats_desc, offset) + 3, 0xff },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GByteArray) file = some_file(16, 0);
        struct kvm_stats_header header;

        memcpy(&header, file->data, sizeof(header));
        file->data[header.desc_offset + cases[i].at] = cases[i].byte;
        check_refused(file, "values");
    }
}

static void test_kvm_stat_set_parse_random_damage(void **state)
{
    const char *env = g_getenv("TESSERA_SEED");
    guint32 seed = env ? (guint32)g_ascii_strtoull(env, NULL, 0) : 4133;
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    unsigned taken = 0;

    print_message("# seed %u\n", seed);
    for (unsigned round = 0; round < 20000; round++) {
        g_autoptr(GByteArray) file = some_file(16, 3);
        g_autofree guint8 *bytes = g_memdup2(file->data, file->len);
        g_autoptr(KvmStatSet) set = NULL;

        for (int n = g_rand_int_range(rand, 1, 4); n > 0; n--) {
            bytes[g_rand_int_range(rand, 0, (gint32)file->len)] = (guint8)g_rand_int(rand);
        }
        set = kvm_stat_set_parse(bytes, file->len, "x", NULL);
        taken += set != NULL;
        for (unsigned i = 0; set && i < kvm_stat_set_count(set); i++) {
            assert_true(kvm_stat_set_at(set, i)->count > 0);
            assert_non_null(kvm_stat_set_at(set, i)->values);
        }
    }
    assert_in_range(taken, 1000, 19000);
}

/* The VM. */

static void offer_stats(void)
{
    g_autoptr(GByteArray) file = some_file(48, 0);

    model_kvm_set_cap(KVM_CAP_BINARY_STATS_FD, 1);
    model_kvm_set_stats(file->data, file->len);
}

static void test_kvm_read_stats_binary(void **state)
{
    VcpuFixture *f = *state;
    g_autoptr(GError) error = NULL;
    g_autoptr(KvmStatSet) set = NULL;

    offer_stats();
    set = kvm_read_stats(f->base->kvm, "/nowhere", &error);
    assert_non_null(set);
    check_some_file(set);
    assert_non_null(strstr(kvm_stat_set_source(set), "KVM_GET_STATS_FD"));
}

static void test_kvm_read_stats_says_why_not(void **state)
{
    VcpuFixture *f = *state;
    g_autoptr(GError) error = NULL;

    assert_null(kvm_read_stats(f->base->kvm, "/nowhere", &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_UNSUPPORTED));
    assert_non_null(strstr(error->message, "5.14"));
    assert_non_null(strstr(error->message, "/nowhere/sys/kernel/debug/kvm/"));
    g_clear_error(&error);
    model_kvm_set_cap(KVM_CAP_BINARY_STATS_FD, 1); /* and fails all the same */
    assert_null(kvm_read_stats(f->base->kvm, "/nowhere", &error));
    assert_non_null(strstr(error->message, g_strerror(ENOTTY)));
}

static void put(const char *dir, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);

    assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void test_kvm_read_stats_debugfs(void **state)
{
    static const char *const names[] = { "pages_4k", "tsc-offset", "rmaps", "empty" };
    VcpuFixture *f = *state;
    g_autofree char *root = g_dir_make_tmp("tessera-stats-XXXXXX", NULL);
    g_autofree char *vm = g_strdup_printf("%d-%d", (int)getpid(), f->base->kvm->vm_fd);
    g_autofree char *dir = g_build_filename(root, "sys/kernel/debug/kvm", vm, NULL);
    g_autofree char *vcpu = g_build_filename(dir, "vcpu0", NULL);
    g_autoptr(KvmStatSet) set = NULL;

    assert_int_equal(g_mkdir_with_parents(vcpu, 0700), 0);
    put(dir, "pages_4k", "321\n");
    put(dir, "tsc-offset", "-5\n");
    put(dir, "rmaps", "12 34\n");
    put(dir, "empty", "");
    set = kvm_read_stats(f->base->kvm, root, NULL);
    assert_non_null(set);
    assert_int_equal(kvm_stat_set_count(set), 1);
    check_stat(set, "pages_4k", KVM_STAT_UNKNOWN_TYPE, KVM_STAT_UNKNOWN_UNIT, 0, 0, 1, 321);
    assert_string_equal(kvm_stat_set_source(set), dir);
    g_rmdir(vcpu);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(dir, names[i], NULL);

        g_unlink(path);
    }
    for (char *end = dir + strlen(dir); strcmp(dir, root) != 0; end = strrchr(dir, '/')) {
        *end = '\0'; /* the root itself last */
        assert_int_equal(g_rmdir(dir), 0);
    }
}

/* vCPUs. */

static void test_vcpu_set_read_stats_of_a_running_vcpu(void **state)
{
    VcpuFixture *f = *state;
    unsigned long ioctls;

    offer_stats();
    vcpu_fixture_make(f, 2);
    vcpu_fixture_reset(f);
    vcpu_set_resume(f->set);
    for (unsigned i = 0; i < 2; i++) {
        g_autoptr(KvmStatSet) set = vcpu_set_read_stats(f->set, i, NULL);

        assert_non_null(set);
        check_some_file(set);
    }
    assert_int_equal(model_vm_rude_calls(f->vm), 0); /* the kernel would have let it wait */
    ioctls = model_kvm_count(KVM_GET_STATS_FD);
    assert_int_equal(ioctls, 2);
    kvm_stat_set_free(vcpu_set_read_stats(f->set, 1, NULL));
    assert_int_equal(model_kvm_count(KVM_GET_STATS_FD), ioctls);
    vcpu_set_pause(f->set);
}

static void test_vcpu_set_read_stats_refuses(void **state)
{
    VcpuFixture *f = *state;
    g_autoptr(GError) error = NULL;

    vcpu_fixture_make(f, 2);
    assert_null(vcpu_set_read_stats(f->set, 2, &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND));
    g_clear_error(&error);
    assert_null(vcpu_set_read_stats(f->set, 1, &error));
    assert_non_null(strstr(error->message, "5.14"));
    g_clear_error(&error);
    model_kvm_set_cap(KVM_CAP_BINARY_STATS_FD, 1);
    assert_null(vcpu_set_read_stats(f->set, 1, &error));
    assert_non_null(strstr(error->message, "vCPU 1"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, vcpu_fixture_setup, vcpu_fixture_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kvm_stat_set_parse_any_layout),
        cmocka_unit_test(test_kvm_stat_set_parse_none),
        cmocka_unit_test(test_kvm_stat_set_parse_refuses),
        cmocka_unit_test(test_kvm_stat_set_parse_refuses_bad_values),
        cmocka_unit_test(test_kvm_stat_set_parse_random_damage),
        TEST(test_kvm_read_stats_binary),
        TEST(test_kvm_read_stats_says_why_not),
        TEST(test_kvm_read_stats_debugfs),
        TEST(test_vcpu_set_read_stats_of_a_running_vcpu),
        TEST(test_vcpu_set_read_stats_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
