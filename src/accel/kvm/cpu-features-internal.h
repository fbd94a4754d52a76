/* SPDX-License-Identifier: MIT */
/* CPUID feature bits by the names of /proc/cpuinfo. */
#ifndef TESSERA_ACCEL_KVM_CPU_FEATURES_INTERNAL_H
#define TESSERA_ACCEL_KVM_CPU_FEATURES_INTERNAL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum CpuidRegister { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

/* Where a feature's bit stands. */
typedef struct CpuFeature {
    const char *name;
    uint32_t leaf;
    uint32_t subleaf;
    enum CpuidRegister reg;
    unsigned bit;
} CpuFeature;

/** cpu_feature_find() - by name; false if no feature is called so */
bool cpu_feature_find(const char *name, CpuFeature *ret_feature);

/** cpu_feature_for_each() - all that have a name, by leaf, register and bit */
void cpu_feature_for_each(void (*fn)(const CpuFeature *feature, void *opaque), void *opaque);

/** cpu_feature_for_each_dependent() - features that do not work without @name; direct ones only */
void cpu_feature_for_each_dependent(const char *name,
                                    void (*fn)(const char *dependent, void *opaque), void *opaque);

#endif
