/* SPDX-License-Identifier: MIT */
/* CPUID tables: finding, copying, dropping entries. */
#include "cpuid-internal.h"

#include <string.h>

struct kvm_cpuid2 *cpuid_table_new(unsigned entries)
{
    struct kvm_cpuid2 *t = g_malloc0(sizeof(*t) + entries * sizeof(t->entries[0]));

    t->nent = entries;
    return t;
}

struct kvm_cpuid2 *cpuid_table_copy(const struct kvm_cpuid2 *t, unsigned more)
{
    struct kvm_cpuid2 *copy = cpuid_table_new(t->nent + more);

    copy->nent = t->nent;
    memcpy(copy->entries, t->entries, t->nent * sizeof(t->entries[0]));
    return copy;
}

struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *t, uint32_t leaf, uint32_t subleaf)
{
    for (unsigned i = 0; i < t->nent; i++) {
        if (t->entries[i].function == leaf && t->entries[i].index == subleaf) {
            return &t->entries[i];
        }
    }
    return NULL;
}

uint32_t *cpuid_register(struct kvm_cpuid_entry2 *e, enum CpuidRegister reg)
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

void cpuid_drop(struct kvm_cpuid2 *t, bool (*goes)(const struct kvm_cpuid_entry2 *e, void *opaque),
                void *opaque)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < t->nent; i++) {
        if (!goes(&t->entries[i], opaque)) {
            t->entries[kept++] = t->entries[i];
        }
    }
    t->nent = kept;
}
