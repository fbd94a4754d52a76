/* SPDX-License-Identifier: MIT */
/* What each vCPU's CPUID says. */
#ifndef TESSERA_ACCEL_KVM_CPU_MODEL_INTERNAL_H
#define TESSERA_ACCEL_KVM_CPU_MODEL_INTERNAL_H

#include <linux/kvm.h>
#include "tessera/accel/kvm/vcpu.h"

/**
 * cpu_model_cpuid() - the CPUID table of vCPU @cpu out of @count: the model's leaves with those
 * that differ for each vCPU or follow from the topology (one package, @count cores, one thread each)
 *
 * Returns: a table for KVM_SET_CPUID2; g_free().
 */
struct kvm_cpuid2 *cpu_model_cpuid(const CpuModel *model, unsigned cpu, unsigned count);

#endif
