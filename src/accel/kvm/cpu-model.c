/* SPDX-License-Identifier: MIT */
/* `-cpu`: from what the host's KVM supports to what the guest is told. */
#include "cpu-model-internal.h"

#include <errno.h>
#include <string.h>
#include "cpu-features-internal.h"
#include "kvm-internal.h"
#include "tessera/util/error.h"
#include "tessera/util/suggest.h"

#define CPUID_TABLE_START 64  /* entries asked for at first; doubled while the kernel says E2BIG */
#define CPUID_TABLE_MAX   1024

#define CPUID_1_ECX_TSC_DEADLINE (1u << 24)
#define CPUID_1_ECX_X2APIC       (1u << 21)
#define CPUID_1_ECX_HYPERVISOR   (1u << 31)

#define CPUID_0_EBX_AUTH 0x68747541u /* "Auth" of AuthenticAMD */
#define CPUID_0_EBX_HYGO 0x6f677948u /* "Hygo" of HygonGenuine: the same design */

struct CpuModel {
    char *spec;
    struct kvm_cpuid2 *table; /* the model's leaves, before a vCPU's own numbers go in */
};

static struct kvm_cpuid2 *cpuid_table_new(unsigned entries)
{
    struct kvm_cpuid2 *t = g_malloc0(sizeof(*t) + entries * sizeof(t->entries[0]));

    t->nent = entries;
    return t;
}

static struct kvm_cpuid2 *get_supported(Kvm *kvm, GError **error)
{
    int ret = -E2BIG;

    for (unsigned n = CPUID_TABLE_START; ret == -E2BIG && n <= CPUID_TABLE_MAX; n *= 2) {
        g_autofree struct kvm_cpuid2 *t = cpuid_table_new(n);

        ret = kvm_system_ioctl(kvm, KVM_GET_SUPPORTED_CPUID, t);
        if (ret >= 0) {
            return g_steal_pointer(&t);
        }
    }
    error_set_errno(error, -ret, "KVM_GET_SUPPORTED_CPUID");
    return NULL;
}

static struct kvm_cpuid_entry2 *find_leaf(struct kvm_cpuid2 *t, uint32_t leaf, uint32_t subleaf)
{
    for (unsigned i = 0; i < t->nent; i++) {
        if (t->entries[i].function == leaf && t->entries[i].index == subleaf) {
            return &t->entries[i];
        }
    }
    return NULL;
}

static uint32_t *leaf_register(struct kvm_cpuid_entry2 *e, enum CpuidRegister reg)
{
    switch (reg) {
    case CPUID_EAX:
        return &e->eax;
    case CPUID_EBX:
        return &e->ebx;
    case CPUID_ECX:
        return &e->ecx;
    default:
        return &e->edx;
    }
}

static bool feature_present(struct kvm_cpuid2 *t, const CpuFeature *f)
{
    struct kvm_cpuid_entry2 *e = find_leaf(t, f->leaf, f->subleaf);

    return e && (*leaf_register(e, f->reg) & (1u << f->bit));
}

/* Bits that the in-kernel local APIC offers although the table of some kernels leaves them out. */
static void add_irqchip_features(Kvm *kvm, struct kvm_cpuid2 *t)
{
    struct kvm_cpuid_entry2 *e = find_leaf(t, 1, 0);

    if (!e) {
        return;
    }
    e->ecx |= CPUID_1_ECX_HYPERVISOR;
    if (kvm->irqchip) {
        e->ecx |= CPUID_1_ECX_X2APIC;
        if (kvm_check_extension(kvm, KVM_CAP_TSC_DEADLINE_TIMER) > 0) {
            e->ecx |= CPUID_1_ECX_TSC_DEADLINE;
        }
    }
}

/* Leaf 0xd says how large the XSAVE area is: of no use, and a contradiction, without XSAVE. */
static void clear_xsave_leaf(struct kvm_cpuid2 *t)
{
    unsigned out = 0;

    for (unsigned i = 0; i < t->nent; i++) {
        if (t->entries[i].function != 0xd) {
            t->entries[out++] = t->entries[i];
        }
    }
    t->nent = out;
}

static void feature_remove(const char *name, void *opaque)
{
    struct kvm_cpuid2 *t = opaque;
    CpuFeature f;
    struct kvm_cpuid_entry2 *e;

    if (!cpu_feature_find(name, &f)) {
        return;
    }
    e = find_leaf(t, f.leaf, f.subleaf);
    if (e) {
        *leaf_register(e, f.reg) &= ~(1u << f.bit);
    }
    if (strcmp(name, "xsave") == 0) {
        clear_xsave_leaf(t);
    }
    cpu_feature_for_each_dependent(name, feature_remove, t);
}

static void collect_name(const CpuFeature *f, void *opaque)
{
    g_ptr_array_add(opaque, (void *)f->name);
}

static void set_unknown_feature(const char *word, const char *name, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *hint = NULL;

    cpu_feature_for_each(collect_name, names);
    g_ptr_array_add(names, NULL);
    hint = suggest_phrase(name, (const char *const *)names->pdata);
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                "-cpu: '%s': there is no CPU feature '%s'%s; '-cpu help' lists all", word, name,
                hint);
}

/* "+avx", "-avx", "avx=on", "avx=off" -> the name and whether it is wanted. */
static bool split_feature_word(const char *word, char **ret_name, bool *ret_on, GError **error)
{
    const char *eq = strchr(word, '=');

    if (word[0] == '+' || word[0] == '-') {
        *ret_on = word[0] == '+';
        *ret_name = g_strdup(word + 1);
        return true;
    }
    if (eq && (strcmp(eq, "=on") == 0 || strcmp(eq, "=off") == 0)) {
        *ret_on = strcmp(eq, "=on") == 0;
        *ret_name = g_strndup(word, eq - word);
        return true;
    }
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                "-cpu: '%s' is no feature flag; write +%s, -%s, or NAME=on|off", word, word, word);
    return false;
}

static bool apply_feature_word(struct kvm_cpuid2 *t, const char *word, GError **error)
{
    g_autofree char *name = NULL;
    CpuFeature f;
    bool on;

    if (!split_feature_word(word, &name, &on, error)) {
        return false;
    }
    if (!cpu_feature_find(name, &f)) {
        set_unknown_feature(word, name, error);
        return false;
    }
    if (!on) {
        feature_remove(name, t);
        return true;
    }
    if (!feature_present(t, &f)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_UNSUPPORTED,
                    "-cpu: '%s': this host's processor or KVM does not offer '%s' to guests; "
                    "leave it out",
                    word, name);
        return false;
    }
    return true;
}

CpuModel *cpu_model_new(Kvm *kvm, const char *spec, GError **error)
{
    static const char *const models[] = { "host", "max", NULL };
    g_auto(GStrv) words = g_strsplit(spec, ",", -1);
    g_autofree struct kvm_cpuid2 *table = NULL;
    CpuModel *model;

    if (!words[0] || !g_strv_contains(models, words[0])) {
        g_autofree char *hint = suggest_phrase(words[0] ? words[0] : "", models);

        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                    "-cpu: there is no CPU model '%s'%s; 'host' is what this machine has", spec,
                    hint);
        return NULL;
    }
    table = get_supported(kvm, error);
    if (!table) {
        return NULL;
    }
    add_irqchip_features(kvm, table);
    for (unsigned i = 1; words[i]; i++) {
        if (!apply_feature_word(table, words[i], error)) {
            return NULL;
        }
    }
    model = g_new0(CpuModel, 1);
    model->spec = g_strdup(spec);
    model->table = g_steal_pointer(&table);
    return model;
}

void cpu_model_free(CpuModel *model)
{
    if (model) {
        g_free(model->spec);
        g_free(model->table);
        g_free(model);
    }
}

unsigned cpu_model_phys_bits(const CpuModel *model)
{
    struct kvm_cpuid_entry2 *e = find_leaf(model->table, 0x80000008, 0);

    return e ? e->eax & 0xff : 36; /* 36: what a processor without that leaf has */
}

typedef struct FeatureList {
    struct kvm_cpuid2 *table;
    GString *out;
} FeatureList;

static void print_feature(const CpuFeature *f, void *opaque)
{
    FeatureList *list = opaque;

    if (feature_present(list->table, f)) {
        g_string_append_printf(list->out, "  %s\n", f->name);
    }
}

void cpu_model_print_features(Kvm *kvm, GString *out)
{
    g_autofree struct kvm_cpuid2 *table = get_supported(kvm, NULL);
    FeatureList list = { table, out };

    g_string_append(out, "CPU models: host, max (the same)\nFeatures that this host offers:\n");
    if (table) {
        add_irqchip_features(kvm, table);
        cpu_feature_for_each(print_feature, &list);
    }
}

/* The numbers of one vCPU in a package of @count cores with one thread each. */
typedef struct Topology {
    uint32_t apic_id;
    unsigned count;
    unsigned id_bits; /* bits of an APIC id that number the cores */
    bool amd;
} Topology;

static unsigned bits_for(unsigned count)
{
    return count <= 1 ? 0 : 32 - __builtin_clz(count - 1);
}

/* Cache leaves 4 and 0x8000001d: level 3 is the package's, the rest a core's own. */
static void set_cache_sharing(struct kvm_cpuid_entry2 *e, const Topology *t, bool intel_leaf)
{
    unsigned level = (e->eax >> 5) & 7;
    unsigned ids = 1u << t->id_bits;
    unsigned sharing = level >= 3 ? MIN(ids, 4096u) - 1 : 0;

    if ((e->eax & 0x1f) == 0) {
        return; /* no more caches */
    }
    e->eax = (e->eax & 0x00003fff) | sharing << 14;
    if (intel_leaf) {
        e->eax |= (MIN(ids, 64u) - 1) << 26;
    }
}

/* Leaves 0xb and 0x1f, extended topology (SDM volume 2A, CPUID): threads, then cores. */
static void set_extended_topology(struct kvm_cpuid_entry2 *e, const Topology *t)
{
    unsigned type = e->index == 0 ? 1 : e->index == 1 ? 2 : 0;

    e->eax = e->index == 1 ? t->id_bits : 0;
    e->ebx = e->index == 0 ? 1 : e->index == 1 ? t->count : 0;
    e->ecx = type << 8 | e->index;
    e->edx = t->apic_id;
}

static void set_leaf_1(struct kvm_cpuid_entry2 *e, const Topology *t)
{
    unsigned ids = MIN(1u << t->id_bits, 255u);

    e->ebx = (e->ebx & 0x0000ffff) | ids << 16 | t->apic_id << 24;
    if (t->count > 1) {
        e->edx |= 1u << 28; /* the count in EBX is valid */
    } else {
        e->edx &= ~(1u << 28);
    }
}

static void set_vcpu_numbers(struct kvm_cpuid_entry2 *e, const Topology *t)
{
    switch (e->function) {
    case 0x1:
        set_leaf_1(e, t);
        break;
    case 0x4:
        set_cache_sharing(e, t, true);
        break;
    case 0xb:
    case 0x1f:
        set_extended_topology(e, t);
        break;
    case 0x80000001:
        /* cmp_legacy: on AMD, leaf 1 counts cores and not threads. Elsewhere the bit is reserved. */
        e->ecx &= ~(1u << 1);
        e->ecx |= (uint32_t)(t->amd && t->count > 1) << 1;
        break;
    case 0x80000008:
        e->ecx = (e->ecx & ~0xf0ffu) | t->id_bits << 12 | (MIN(t->count, 256u) - 1);
        break;
    case 0x8000001d:
        set_cache_sharing(e, t, false);
        break;
    case 0x8000001e:
        e->eax = t->apic_id;
        e->ebx = t->apic_id & 0xff; /* core id; one thread a core */
        e->ecx = 0;                 /* one node */
        break;
    default:
        break;
    }
}

static bool is_amd(const struct kvm_cpuid_entry2 *vendor)
{
    return vendor && (vendor->ebx == CPUID_0_EBX_AUTH || vendor->ebx == CPUID_0_EBX_HYGO);
}

static bool is_topology_leaf(uint32_t function)
{
    return function == 0xb || function == 0x1f;
}

/* The kernel's table has the topology leaves of the host, if any: replaced by three each. */
static void add_topology_leaf(struct kvm_cpuid2 *t, uint32_t function)
{
    for (unsigned i = 0; i < 3; i++) {
        t->entries[t->nent++] = (struct kvm_cpuid_entry2){
            .function = function,
            .index = i,
            .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
        };
    }
}

struct kvm_cpuid2 *cpu_model_cpuid(const CpuModel *model, unsigned cpu, unsigned count)
{
    struct kvm_cpuid2 *t = cpuid_table_new(model->table->nent + 6);
    struct kvm_cpuid_entry2 *basic = find_leaf(model->table, 0, 0);
    Topology topology = { vcpu_apic_id(cpu), count, bits_for(count), is_amd(basic) };

    t->nent = 0;
    for (unsigned i = 0; i < model->table->nent; i++) {
        if (!is_topology_leaf(model->table->entries[i].function)) {
            t->entries[t->nent++] = model->table->entries[i];
        }
    }
    if (basic && basic->eax >= 0xb) {
        add_topology_leaf(t, 0xb);
    }
    if (basic && basic->eax >= 0x1f) {
        add_topology_leaf(t, 0x1f);
    }
    for (unsigned i = 0; i < t->nent; i++) {
        set_vcpu_numbers(&t->entries[i], &topology);
    }
    return t;
}
