/* SPDX-License-Identifier: MIT */
/* CPUID tables as KVM takes them: finding, copying, making them agree with themselves. */
#ifndef TESSERA_ACCEL_KVM_CPUID_INTERNAL_H
#define TESSERA_ACCEL_KVM_CPUID_INTERNAL_H

#include <linux/kvm.h>
#include <stdbool.h>
#include "cpu-features-internal.h"

/* cpuid-table.c */

/** cpuid_table_new() - @entries zeroed entries; g_free() */
struct kvm_cpuid2 *cpuid_table_new(unsigned entries);
/** cpuid_table_copy() - with room for @more entries behind those of @t */
struct kvm_cpuid2 *cpuid_table_copy(const struct kvm_cpuid2 *t, unsigned more);
/** cpuid_find() - the entry, or NULL */
struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *t, uint32_t leaf, uint32_t subleaf);
uint32_t *cpuid_register(struct kvm_cpuid_entry2 *e, enum CpuidRegister reg);
/** cpuid_drop() - removes the entries for which @goes says so; the others keep their order */
void cpuid_drop(struct kvm_cpuid2 *t, bool (*goes)(const struct kvm_cpuid_entry2 *e, void *opaque),
                void *opaque);

/**
 * cpuid_fit_xsave() - makes leaf 0xd agree with the features: no state component without the feature
 * that uses it, no leaf without XSAVE (SDM volume 1, section 13.2). cpuid-xsave.c
 */
void cpuid_fit_xsave(struct kvm_cpuid2 *t);

/**
 * cpuid_for_vcpu() - a copy of @model with the numbers of one vCPU out of @count: one package, @count
 * cores with one thread each. g_free(). cpuid-topology.c
 */
struct kvm_cpuid2 *cpuid_for_vcpu(const struct kvm_cpuid2 *model, uint32_t apic_id, unsigned count);

#endif
