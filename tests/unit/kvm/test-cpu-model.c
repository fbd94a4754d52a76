/* SPDX-License-Identifier: MIT */
/* `-cpu`: what of the host's CPUID a guest is told, and the numbers of each vCPU. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "../../../src/accel/kvm/cpu-model-internal.h"
#include "../../../src/accel/kvm/cpuid-internal.h"
#include "support/model-kvm.h"
#include "tessera/util/error.h"

#define INDEXED KVM_CPUID_FLAG_SIGNIFCANT_INDEX

/* A large Intel processor: AVX-512, AMX, protection keys, supervisor state. */
static const struct kvm_cpuid_entry2 intel[] = {
    { .function = 0, .eax = 0x1f, .ebx = 0x756e6547, .ecx = 0x6c65746e, .edx = 0x49656e69 },
    { .function = 1, .eax = 0x806f8, .ebx = 0x05200800, .ecx = 0xfeda3223, .edx = 0x0f8bfbff },
    { .function = 4, .index = 0, .flags = INDEXED, .eax = 0xfc004121, .ebx = 0x02c0003f },
    { .function = 4, .index = 2, .flags = INDEXED, .eax = 0xfc004143, .ebx = 0x03c0003f },
    { .function = 4, .index = 3, .flags = INDEXED, .eax = 0xfc1fc163, .ebx = 0x0380003f },
    { .function = 4, .index = 4, .flags = INDEXED },
    { .function = 7, .index = 0, .flags = INDEXED, .eax = 2, .ebx = 0xf1bf07eb, .ecx = 0x1b415f7e,
      .edx = 0xaf404410 },
    { .function = 7, .index = 1, .flags = INDEXED, .eax = 0x1c30 },
    { .function = 0xb, .index = 0, .flags = INDEXED, .eax = 1, .ebx = 2, .ecx = 0x100, .edx = 77 },
    { .function = 0xb, .index = 1, .flags = INDEXED, .eax = 7, .ebx = 0x40, .ecx = 0x201, .edx = 77 },
    { .function = 0xd, .index = 0, .flags = INDEXED, .eax = 0x602e7, .ebx = 0x240, .ecx = 0x2b00 },
    { .function = 0xd, .index = 1, .flags = INDEXED, .eax = 0x1f, .ebx = 0x240, .ecx = 0x1800 },
    { .function = 0xd, .index = 2, .flags = INDEXED, .eax = 0x100, .ebx = 0x240 },
    { .function = 0xd, .index = 5, .flags = INDEXED, .eax = 0x40, .ebx = 0x440 },
    { .function = 0xd, .index = 6, .flags = INDEXED, .eax = 0x200, .ebx = 0x480 },
    { .function = 0xd, .index = 7, .flags = INDEXED, .eax = 0x400, .ebx = 0x680 },
    { .function = 0xd, .index = 9, .flags = INDEXED, .eax = 0x8, .ebx = 0xa80 },
    { .function = 0xd, .index = 11, .flags = INDEXED, .eax = 0x10, .ecx = 1 },
    { .function = 0xd, .index = 12, .flags = INDEXED, .eax = 0x18, .ecx = 1 },
    { .function = 0xd, .index = 17, .flags = INDEXED, .eax = 0x40, .ebx = 0xac0, .ecx = 2 },
    { .function = 0xd, .index = 18, .flags = INDEXED, .eax = 0x2000, .ebx = 0xb00, .ecx = 6 },
    { .function = 0x1f, .index = 0, .flags = INDEXED, .eax = 1, .ebx = 2, .ecx = 0x100 },
    { .function = 0x40000000, .eax = 0x40000001, .ebx = 0x4b4d564b },
    { .function = 0x40000001, .eax = 0x01007efb },
    { .function = 0x80000000, .eax = 0x80000008 },
    { .function = 0x80000001, .ecx = 0x121, .edx = 0x2c100800 },
    { .function = 0x80000008, .eax = 0x302e, .ecx = 0 },
};

static const struct kvm_cpuid_entry2 amd[] = {
    { .function = 0, .eax = 0x10, .ebx = 0x68747541, .ecx = 0x444d4163, .edx = 0x69746e65 },
    { .function = 1, .eax = 0xa20f12, .ebx = 0x05200800, .ecx = 0xfeda320b, .edx = 0x078bfbff },
    { .function = 0xb, .index = 0, .flags = INDEXED, .eax = 1, .ebx = 2, .ecx = 0x100 },
    { .function = 0x80000000, .eax = 0x80000026 },
    { .function = 0x80000001, .ecx = 0x4003f7, .edx = 0x2fd3fbff },
    { .function = 0x80000008, .eax = 0x3030, .ebx = 0x111ef657, .ecx = 0x7007 },
    { .function = 0x8000001d, .index = 0, .flags = INDEXED, .eax = 0x4121 },
    { .function = 0x8000001d, .index = 3, .flags = INDEXED, .eax = 0x3c163 },
    { .function = 0x8000001e, .eax = 5, .ebx = 0x102, .ecx = 0x300 },
    { .function = 0x80000026, .index = 0, .flags = INDEXED, .eax = 1, .ebx = 2, .ecx = 0x100 },
};

static void set_host(const struct kvm_cpuid_entry2 *entries, size_t n)
{
    g_autofree struct kvm_cpuid2 *t = cpuid_table_new((unsigned)n);

    memcpy(t->entries, entries, n * sizeof(*entries));
    model_kvm_set_cpuid(t);
}

static Kvm *kvm_here(bool irqchip)
{
    const KvmConfig config = { .device = MODEL_KVM_DEVICE,
                               .identity_map_base = 0xfeffc000,
                               .tss_base = 0xfeffd000,
                               .irqchip = irqchip };
    g_autoptr(GError) error = NULL;
    Kvm *kvm = kvm_new(&config, &error);

    assert_null(error);
    return kvm;
}

static int setup_intel(void **state)
{
    model_kvm_reset();
    set_host(intel, G_N_ELEMENTS(intel));
    *state = kvm_here(true);
    return 0;
}

static int setup_amd(void **state)
{
    model_kvm_reset();
    set_host(amd, G_N_ELEMENTS(amd));
    *state = kvm_here(true);
    return 0;
}

static int teardown(void **state)
{
    kvm_free(*state);
    model_kvm_reset();
    return 0;
}

/* The table of one vCPU of a model that must parse. */
static struct kvm_cpuid2 *table_of(Kvm *kvm, const char *spec, unsigned cpu, unsigned count)
{
    g_autoptr(GError) error = NULL;
    CpuModel *model = cpu_model_new(kvm, spec, &error);
    struct kvm_cpuid2 *t;

    if (!model) {
        fail_msg("-cpu %s: %s", spec, error->message);
    }
    t = cpu_model_cpuid(model, cpu, count);
    cpu_model_free(model);
    return t;
}

static struct kvm_cpuid_entry2 entry(struct kvm_cpuid2 *t, uint32_t leaf, uint32_t subleaf)
{
    struct kvm_cpuid_entry2 *e = cpuid_find(t, leaf, subleaf);

    assert_non_null(e);
    return *e;
}

static bool has(struct kvm_cpuid2 *t, const char *name)
{
    CpuFeature f;
    struct kvm_cpuid_entry2 *e;

    assert_true(cpu_feature_find(name, &f));
    e = cpuid_find(t, f.leaf, f.subleaf);
    return e && (*cpuid_register(e, f.reg) & (1u << f.bit));
}

static void assert_refused(Kvm *kvm, const char *spec, int code, const char *word)
{
    g_autoptr(GError) error = NULL;

    assert_null(cpu_model_new(kvm, spec, &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, code));
    assert_true(g_str_has_prefix(error->message, "-cpu"));
    if (!strstr(error->message, word)) {
        fail_msg("\"%s\" lacks \"%s\"", error->message, word);
    }
}

static void test_cpu_model_new_host_has_what_kvm_offers(void **state)
{
    g_autofree struct kvm_cpuid2 *t = table_of(*state, "host", 0, 1);

    assert_true(has(t, "avx512f"));
    assert_true(has(t, "x2apic"));
    assert_true(has(t, "tsc_deadline_timer"));
    assert_true(has(t, "hypervisor"));
    assert_int_equal(entry(t, 0x40000001, 0).eax, 0x01007efb);
    /* Mirrors of CR4: the kernel's, as the guest sets them. */
    assert_int_equal(entry(t, 1, 0).ecx & 1u << 27, 0);
    assert_int_equal(entry(t, 7, 0).ecx & 1u << 4, 0);
    /* Every state component has its feature. */
    assert_int_equal(entry(t, 0xd, 0).eax, 0x602e7);
    assert_int_equal(entry(t, 0xd, 0).ecx, 0x2b00);
}

static void test_cpu_model_new_without_irqchip_has_no_x2apic(void **state)
{
    Kvm *bare = kvm_here(false);
    g_autofree struct kvm_cpuid2 *t = table_of(bare, "host", 0, 1);

    assert_false(has(t, "x2apic"));
    assert_false(has(t, "tsc_deadline_timer"));
    assert_true(has(t, "hypervisor"));
    kvm_free(bare);
}

static void test_cpu_model_new_takes_features_away_in_both_spellings(void **state)
{
    g_autofree struct kvm_cpuid2 *t = table_of(*state, "max,-rdrand,aes=off,+avx,popcnt=on", 0, 1);

    assert_false(has(t, "rdrand"));
    assert_false(has(t, "aes"));
    assert_true(has(t, "avx"));
    assert_true(has(t, "popcnt"));
}

static void test_cpu_model_new_takes_dependents_away(void **state)
{
    g_autofree struct kvm_cpuid2 *t = table_of(*state, "host,-avx2", 0, 1);

    assert_true(has(t, "avx"));
    assert_false(has(t, "avx2"));
    assert_false(has(t, "avx512f"));
    assert_false(has(t, "avx512bw"));
    assert_false(has(t, "avx512_bf16"));
    assert_true(has(t, "amx_tile"));
}

/* XCR0 of the guest: x87, SSE, AVX, keys, AMX; the three of AVX-512 are gone. */
static void test_cpu_model_new_without_avx512_has_no_state_for_it(void **state)
{
    g_autofree struct kvm_cpuid2 *t = table_of(*state, "host,-avx512f", 0, 1);

    assert_int_equal(entry(t, 0xd, 0).eax, 0x60207);
    assert_null(cpuid_find(t, 0xd, 5));
    assert_null(cpuid_find(t, 0xd, 6));
    assert_null(cpuid_find(t, 0xd, 7));
    assert_non_null(cpuid_find(t, 0xd, 2));
    assert_int_equal(entry(t, 0xd, 0).ecx, 0x2b00);
}

static void test_cpu_model_new_without_amx_area_ends_earlier(void **state)
{
    g_autofree struct kvm_cpuid2 *t = table_of(*state, "host,-amx_tile", 0, 1);

    assert_int_equal(entry(t, 0xd, 0).eax, 0x2e7);
    assert_int_equal(entry(t, 0xd, 0).ecx, 0xa88);
    assert_false(has(t, "amx_bf16"));
}

static void test_cpu_model_new_without_xsaves_has_no_supervisor_state(void **state)
{
    g_autofree struct kvm_cpuid2 *t = table_of(*state, "host,-xsaves", 0, 1);

    assert_int_equal(entry(t, 0xd, 1).ecx, 0);
    assert_null(cpuid_find(t, 0xd, 11));
    assert_null(cpuid_find(t, 0xd, 12));
    assert_non_null(cpuid_find(t, 0xd, 18));
}

static void test_cpu_model_new_without_xsave_has_no_leaf_and_no_avx(void **state)
{
    g_autofree struct kvm_cpuid2 *t = table_of(*state, "host,-xsave", 0, 1);

    for (unsigned i = 0; i < t->nent; i++) {
        assert_int_not_equal(t->entries[i].function, 0xd);
    }
    assert_false(has(t, "avx"));
    assert_false(has(t, "avx512_vnni"));
    assert_false(has(t, "pku"));
    assert_false(has(t, "amx_int8"));
    assert_int_equal(entry(t, 1, 0).ecx & 1u << 27, 0);
    assert_true(has(t, "sse4_2"));
}

static void test_cpu_model_new_wrong_words(void **state)
{
    assert_refused(*state, "hst", TESSERA_ERROR_NOT_FOUND, "'host'");
    assert_refused(*state, "", TESSERA_ERROR_NOT_FOUND, "'host'");
    assert_refused(*state, "host,-avx3", TESSERA_ERROR_NOT_FOUND, "'avx");
    assert_refused(*state, "host,+tsc_deadline_timr", TESSERA_ERROR_NOT_FOUND,
                   "'tsc_deadline_timer'");
    assert_refused(*state, "host,avx", TESSERA_ERROR_INVALID, "avx=on|off");
    assert_refused(*state, "host,avx=yes", TESSERA_ERROR_INVALID, "+avx, -avx");
    assert_refused(*state, "host,-avx=on", TESSERA_ERROR_INVALID, "NAME=on|off");
    assert_refused(*state, "host,", TESSERA_ERROR_INVALID, "NAME=on|off");
    assert_refused(*state, "host,-", TESSERA_ERROR_NOT_FOUND, "''");
}

static void test_cpu_model_new_wants_what_the_host_lacks(void **state)
{
    assert_refused(*state, "host,+svm", TESSERA_ERROR_UNSUPPORTED, "'svm'");
}

/* Whatever the order of the words. */
static void test_cpu_model_new_wants_what_it_forbids(void **state)
{
    assert_refused(*state, "host,-avx,+avx", TESSERA_ERROR_INVALID, "switched off");
    assert_refused(*state, "host,+avx,-avx", TESSERA_ERROR_INVALID, "switched off");
    assert_refused(*state, "host,+avx2,-xsave", TESSERA_ERROR_INVALID, "switched off");
}

static void test_cpu_model_new_kernel_refuses(void **state)
{
    g_autoptr(GError) error = NULL;

    model_kvm_fail_request(KVM_GET_SUPPORTED_CPUID);
    model_kvm_fail_nth(1, EIO, true);
    assert_null(cpu_model_new(*state, "host", &error));
    assert_true(g_error_matches(error, TESSERA_ERROR, TESSERA_ERROR_SYSTEM));
}

/* The first table offered has room for 128. */
static void test_cpu_model_new_table_larger_than_asked_for(void **state)
{
    g_autofree struct kvm_cpuid2 *t = cpuid_table_new(150);
    CpuModel *model;

    memcpy(t->entries, intel, sizeof(intel));
    for (unsigned i = G_N_ELEMENTS(intel); i < t->nent; i++) {
        t->entries[i].function = 0xc0000000 + i;
    }
    model_kvm_set_cpuid(t);
    model = cpu_model_new(*state, "host", NULL);
    assert_non_null(model);
    assert_int_equal(cpu_model_phys_bits(model), 0x2e);
    cpu_model_free(model);
}

static void test_cpu_model_print_features_names_what_is_there(void **state)
{
    g_autoptr(GString) text = g_string_new(NULL);

    cpu_model_print_features(*state, text);
    assert_non_null(strstr(text->str, "  avx512f\n"));
    assert_non_null(strstr(text->str, "  x2apic\n"));
    assert_null(strstr(text->str, "  svm\n"));
}

/* Topology. */

typedef struct Expected {
    unsigned count;
    unsigned id_bits;
    unsigned ids_leaf_1; /* EBX[23:16] */
    unsigned cores_leaf_4;
} Expected;

static const Expected expected[] = {
    { 1, 0, 1, 0 }, { 2, 1, 2, 1 }, { 3, 2, 4, 3 }, { 255, 8, 255, 63 }, { 288, 9, 255, 63 },
};

static void check_extended(struct kvm_cpuid2 *t, uint32_t leaf, const Expected *x, unsigned cpu)
{
    struct kvm_cpuid_entry2 threads = entry(t, leaf, 0);
    struct kvm_cpuid_entry2 cores = entry(t, leaf, 1);
    struct kvm_cpuid_entry2 end = entry(t, leaf, 2);

    assert_int_equal(threads.eax, 0);
    assert_int_equal(threads.ebx, 1);
    assert_int_equal(threads.ecx, 0x100);
    assert_int_equal(cores.eax, x->id_bits);
    assert_int_equal(cores.ebx, x->count);
    assert_int_equal(cores.ecx, 0x201);
    assert_int_equal(end.eax, 0);
    assert_int_equal(end.ebx, 0);
    assert_int_equal(end.ecx, 2);
    assert_int_equal(threads.edx, cpu);
    assert_int_equal(cores.edx, cpu);
    assert_int_equal(end.edx, cpu);
}

static void check_intel(Kvm *kvm, const Expected *x, unsigned cpu)
{
    g_autofree struct kvm_cpuid2 *t = table_of(kvm, "host", cpu, x->count);
    struct kvm_cpuid_entry2 leaf1 = entry(t, 1, 0);

    assert_int_equal(leaf1.ebx >> 24, cpu & 0xff);
    assert_int_equal((leaf1.ebx >> 16) & 0xff, x->ids_leaf_1);
    assert_int_equal(leaf1.ebx & 0xffff, 0x0800);
    assert_int_equal((leaf1.edx >> 28) & 1, x->count > 1);
    /* L1 and L2 are a core's own, L3 is the package's. */
    assert_int_equal((entry(t, 4, 0).eax >> 14) & 0xfff, 0);
    assert_int_equal((entry(t, 4, 2).eax >> 14) & 0xfff, 0);
    assert_int_equal((entry(t, 4, 3).eax >> 14) & 0xfff, (1u << x->id_bits) - 1);
    assert_int_equal(entry(t, 4, 0).eax >> 26, x->cores_leaf_4);
    assert_int_equal(entry(t, 4, 3).eax & 0x3fff, 0x0163);
    assert_int_equal(entry(t, 4, 4).eax, 0);
    check_extended(t, 0xb, x, cpu);
    check_extended(t, 0x1f, x, cpu);
    assert_int_equal(entry(t, 0x80000008, 0).ecx, 0);
    assert_false(has(t, "cmp_legacy"));
}

static void check_amd(Kvm *kvm, const Expected *x, unsigned cpu)
{
    g_autofree struct kvm_cpuid2 *t = table_of(kvm, "host", cpu, x->count);
    struct kvm_cpuid_entry2 sizes = entry(t, 0x80000008, 0);
    struct kvm_cpuid_entry2 ids = entry(t, 0x8000001e, 0);

    assert_int_equal(sizes.ecx & 0xff, MIN(x->count, 256) - 1);
    assert_int_equal((sizes.ecx >> 12) & 0xf, x->id_bits);
    assert_int_equal(sizes.ebx, 0x111ef657);
    assert_int_equal(has(t, "cmp_legacy"), x->count > 1);
    assert_int_equal(ids.eax, cpu);
    assert_int_equal(ids.ebx, cpu & 0xff);
    assert_int_equal(ids.ecx, 0);
    assert_int_equal((entry(t, 0x8000001d, 0).eax >> 14) & 0xfff, 0);
    assert_int_equal(entry(t, 0x8000001d, 3).eax >> 14, (1u << x->id_bits) - 1);
    check_extended(t, 0xb, x, cpu);
    assert_null(cpuid_find(t, 0x1f, 0));
    assert_null(cpuid_find(t, 0x80000026, 0));
}

static void test_cpu_model_cpuid_topology_intel(void **state)
{
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
        check_intel(*state, &expected[i], 0);
        check_intel(*state, &expected[i], expected[i].count - 1);
    }
}

static void test_cpu_model_cpuid_topology_amd(void **state)
{
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
        check_amd(*state, &expected[i], 0);
        check_amd(*state, &expected[i], expected[i].count - 1);
    }
}

/* No name twice, each finds its own bit, dependents are names too and lead to no circle. */
static unsigned depth;

static void follow(const char *dependent, void *opaque)
{
    CpuFeature f;

    assert_true(cpu_feature_find(dependent, &f));
    assert_true(++depth < 20);
    cpu_feature_for_each_dependent(dependent, follow, NULL);
    depth--;
}

static void check_feature(const CpuFeature *f, void *opaque)
{
    CpuFeature found;

    assert_true(cpu_feature_find(f->name, &found));
    assert_int_equal(found.leaf, f->leaf);
    assert_int_equal(found.subleaf, f->subleaf);
    assert_int_equal(found.reg, f->reg);
    assert_int_equal(found.bit, f->bit);
    depth = 0;
    cpu_feature_for_each_dependent(f->name, follow, NULL);
    (*(unsigned *)opaque)++;
}

static void test_cpu_feature_table_is_sound(void **state)
{
    unsigned n = 0;

    cpu_feature_for_each(check_feature, &n);
    assert_true(n > 150);
}

#define INTEL(test) cmocka_unit_test_setup_teardown(test, setup_intel, teardown)
#define AMD(test) cmocka_unit_test_setup_teardown(test, setup_amd, teardown)

/* A host that says next to nothing: the guest has that, 36 address bits, and no topology to number. */
static void test_cpu_model_of_a_host_with_almost_no_leaves(void **state)
{
    static const struct kvm_cpuid_entry2 lone = { .function = 0x40000000, .eax = 0x40000001 };
    g_autoptr(GError) error = NULL;
    g_autofree struct kvm_cpuid2 *t = NULL;
    CpuModel *model;
    Kvm *kvm;

    set_host(&lone, 1);
    kvm = kvm_here(true);
    model = cpu_model_new(kvm, "host,-avx", &error);
    assert_non_null(model);
    assert_int_equal(cpu_model_phys_bits(model), 36);
    t = cpu_model_cpuid(model, 1, 4);
    assert_int_equal(entry(t, 0x40000000, 0).eax, 0x40000001);
    assert_false(has(t, "avx"));
    cpu_model_free(model);
    kvm_free(kvm);
}

/* The kernel does not answer: no features are listed, and nothing else happens. */
static void test_cpu_model_print_features_refused(void **state)
{
    Kvm *kvm = kvm_here(true);
    g_autoptr(GString) text = g_string_new(NULL);

    model_kvm_fail_nth(1, EPERM, true);
    cpu_model_print_features(kvm, text);
    model_kvm_no_faults();
    assert_true(g_str_has_suffix(text->str, "Features that this host offers:\n"));
    kvm_free(kvm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        INTEL(test_cpu_model_new_host_has_what_kvm_offers),
        INTEL(test_cpu_model_new_without_irqchip_has_no_x2apic),
        INTEL(test_cpu_model_new_takes_features_away_in_both_spellings),
        INTEL(test_cpu_model_new_takes_dependents_away),
        INTEL(test_cpu_model_new_without_avx512_has_no_state_for_it),
        INTEL(test_cpu_model_new_without_amx_area_ends_earlier),
        INTEL(test_cpu_model_new_without_xsaves_has_no_supervisor_state),
        INTEL(test_cpu_model_new_without_xsave_has_no_leaf_and_no_avx),
        INTEL(test_cpu_model_new_wrong_words),
        INTEL(test_cpu_model_of_a_host_with_almost_no_leaves),
        INTEL(test_cpu_model_print_features_refused),
        INTEL(test_cpu_model_new_wants_what_the_host_lacks),
        INTEL(test_cpu_model_new_wants_what_it_forbids),
        INTEL(test_cpu_model_new_kernel_refuses),
        INTEL(test_cpu_model_new_table_larger_than_asked_for),
        INTEL(test_cpu_model_print_features_names_what_is_there),
        INTEL(test_cpu_model_cpuid_topology_intel),
        AMD(test_cpu_model_cpuid_topology_amd),
        cmocka_unit_test(test_cpu_feature_table_is_sound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
