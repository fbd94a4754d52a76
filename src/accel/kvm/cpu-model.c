/* SPDX-License-Identifier: MIT */
/* `-cpu`: from what the host's KVM supports to what the guest is told. */
#include "cpu-model-internal.h"

#include <string.h>
#include "cpu-features-internal.h"
#include "cpuid-internal.h"
#include "kvm-internal.h"
#include "tessera/util/error.h"
#include "tessera/util/suggest.h"

#define CPUID_1_ECX_X2APIC       (1u << 21)
#define CPUID_1_ECX_TSC_DEADLINE (1u << 24)
#define CPUID_1_ECX_OSXSAVE      (1u << 27)
#define CPUID_1_ECX_HYPERVISOR   (1u << 31)
#define CPUID_7_ECX_OSPKE        (1u << 4)

struct CpuModel {
    char *spec;
    struct kvm_cpuid2 *table; /* the model's leaves, before a vCPU's own numbers go in */
};

static bool feature_present(struct kvm_cpuid2 *t, const CpuFeature *f)
{
    struct kvm_cpuid_entry2 *e = cpuid_find(t, f->leaf, f->subleaf);

    return e && (*cpuid_register(e, f->reg) & (1u << f->bit));
}

/*
 * Bits that depend on who has the local APIC, whatever the table of this kernel says; and those that
 * mirror a CR4 bit of the guest: the kernel keeps them.
 */
static void set_platform_bits(Kvm *kvm, struct kvm_cpuid2 *t)
{
    struct kvm_cpuid_entry2 *leaf1 = cpuid_find(t, 1, 0);
    struct kvm_cpuid_entry2 *leaf7 = cpuid_find(t, 7, 0);

    if (leaf7) {
        leaf7->ecx &= ~CPUID_7_ECX_OSPKE;
    }
    if (!leaf1) {
        return;
    }
    leaf1->ecx &= ~(CPUID_1_ECX_OSXSAVE | CPUID_1_ECX_X2APIC | CPUID_1_ECX_TSC_DEADLINE);
    leaf1->ecx |= CPUID_1_ECX_HYPERVISOR;
    if (kvm->irqchip) {
        leaf1->ecx |= CPUID_1_ECX_X2APIC;
        if (kvm_check_extension(kvm, KVM_CAP_TSC_DEADLINE_TIMER) > 0) {
            leaf1->ecx |= CPUID_1_ECX_TSC_DEADLINE;
        }
    }
}

static void feature_remove(const char *name, void *opaque)
{
    struct kvm_cpuid2 *t = opaque;
    CpuFeature f;
    struct kvm_cpuid_entry2 *e;

    if (!cpu_feature_find(name, &f)) {
        return;
    }
    e = cpuid_find(t, f.leaf, f.subleaf);
    if (e) {
        *cpuid_register(e, f.reg) &= ~(1u << f.bit);
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
    g_autofree char *name = g_strndup(word, strcspn(word, "="));
    const char *value = word + strlen(name);
    bool sign = word[0] == '+' || word[0] == '-';

    if (sign && !value[0]) {
        *ret_on = word[0] == '+';
        *ret_name = g_strdup(word + 1);
        return true;
    }
    if (!sign && (strcmp(value, "=on") == 0 || strcmp(value, "=off") == 0)) {
        *ret_on = value[2] == 'n';
        *ret_name = g_steal_pointer(&name);
        return true;
    }
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                "-cpu: '%s' is no feature flag; write +%s, -%s or %s=on|off", word,
                name[0] && !sign ? name : "NAME", name[0] && !sign ? name : "NAME",
                name[0] && !sign ? name : "NAME");
    return false;
}

/* A feature asked for must be in @t, what is left of what the host has: @offered. */
static bool check_wanted(struct kvm_cpuid2 *t, struct kvm_cpuid2 *offered, const char *word,
                         const CpuFeature *f, GError **error)
{
    if (feature_present(t, f)) {
        return true;
    }
    if (feature_present(offered, f)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "-cpu: '%s': '%s' is switched off by another word, or needs a feature that is; "
                    "leave out one of them",
                    word, f->name);
    } else {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_UNSUPPORTED,
                    "-cpu: '%s': this host's processor or KVM does not offer '%s' to guests; "
                    "leave it out",
                    word, f->name);
    }
    return false;
}

/* What is off goes first, with all that needs it: the order of the words does not matter. */
static bool apply_features(struct kvm_cpuid2 *t, struct kvm_cpuid2 *offered,
                           const char *const *words, GError **error)
{
    for (unsigned pass = 0; pass < 2; pass++) {
        for (const char *const *word = words; *word; word++) {
            g_autofree char *name = NULL;
            CpuFeature f;
            bool on;

            if (!split_feature_word(*word, &name, &on, error)) {
                return false;
            }
            if (!cpu_feature_find(name, &f)) {
                set_unknown_feature(*word, name, error);
                return false;
            }
            if (pass == 0 && !on) {
                feature_remove(name, t);
            }
            if (pass == 1 && on && !check_wanted(t, offered, *word, &f, error)) {
                return false;
            }
        }
    }
    return true;
}

CpuModel *cpu_model_new(Kvm *kvm, const char *spec, GError **error)
{
    static const char *const models[] = { "host", "max", NULL };
    g_auto(GStrv) words = g_strsplit(spec, ",", -1);
    g_autofree struct kvm_cpuid2 *offered = NULL;
    g_autofree struct kvm_cpuid2 *table = NULL;
    CpuModel *model;

    if (!words[0] || !g_strv_contains(models, words[0])) {
        g_autofree char *hint = suggest_phrase(words[0] ? words[0] : "", models);

        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                    "-cpu: there is no CPU model '%s'%s; 'host' is what this machine has",
                    words[0] ? words[0] : "", hint);
        return NULL;
    }
    offered = kvm_get_supported_cpuid(kvm, error);
    if (!offered) {
        return NULL;
    }
    set_platform_bits(kvm, offered);
    table = cpuid_table_copy(offered, 0);
    if (!apply_features(table, offered, (const char *const *)words + 1, error)) {
        return NULL;
    }
    cpuid_fit_xsave(table);
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
    struct kvm_cpuid_entry2 *e = cpuid_find(model->table, 0x80000008, 0);

    return e ? e->eax & 0xff : 36; /* 36: what a processor without that leaf has */
}

bool cpu_model_gib_pages(const CpuModel *model)
{
    struct kvm_cpuid_entry2 *e = cpuid_find(model->table, 0x80000001, 0);

    return e && (e->edx & 1u << 26);
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
    g_autofree struct kvm_cpuid2 *table = kvm_get_supported_cpuid(kvm, NULL);
    FeatureList list = { table, out };

    g_string_append(out, "CPU models: host, max (the same)\nFeatures that this host offers:\n");
    if (table) {
        set_platform_bits(kvm, table);
        cpu_feature_for_each(print_feature, &list);
    }
}

struct kvm_cpuid2 *cpu_model_cpuid(const CpuModel *model, unsigned cpu, unsigned count)
{
    return cpuid_for_vcpu(model->table, vcpu_apic_id(cpu), count);
}
