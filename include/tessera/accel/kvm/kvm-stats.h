/* SPDX-License-Identifier: MIT */
/* What the kernel counts of a VM and of each vCPU: binary statistics, or debugfs. */
#ifndef TESSERA_ACCEL_KVM_KVM_STATS_H
#define TESSERA_ACCEL_KVM_KVM_STATS_H

#include <glib.h>
#include <stdint.h>
#include "tessera/accel/kvm/kvm.h"
#include "tessera/accel/kvm/vcpu.h"

typedef enum KvmStatType {
    KVM_STAT_CUMULATIVE, /* only grows */
    KVM_STAT_INSTANT,    /* a value of now */
    KVM_STAT_PEAK,       /* the largest so far */
    KVM_STAT_LINEAR_HISTOGRAM, /* buckets of .bucket_size */
    KVM_STAT_LOG_HISTOGRAM,    /* bucket n: 2^(n-1) up to 2^n */
    KVM_STAT_UNKNOWN_TYPE,     /* of a newer kernel; or from debugfs, which does not say */
} KvmStatType;

typedef enum KvmStatUnit {
    KVM_STAT_NO_UNIT,
    KVM_STAT_BYTES,
    KVM_STAT_SECONDS,
    KVM_STAT_CYCLES,
    KVM_STAT_BOOLEAN,
    KVM_STAT_UNKNOWN_UNIT,
} KvmStatUnit;

/**
 * struct KvmStat - one of them; everything belongs to its set
 * @base, @exponent: the unit is .unit times @base to the power of @exponent; @base is 10, 2, or 0:
 *      unknown
 * @bucket_size: of KVM_STAT_LINEAR_HISTOGRAM
 * @values, @count: one, or as many as there are buckets
 */
typedef struct KvmStat {
    const char *name;
    KvmStatType type;
    KvmStatUnit unit;
    unsigned base;
    int exponent;
    uint32_t bucket_size;
    const uint64_t *values;
    unsigned count;
} KvmStat;

/* Those of one VM or vCPU at one moment. Immutable. */
typedef struct KvmStatSet KvmStatSet;

/**
 * kvm_read_stats() - of the VM: KVM_GET_STATS_FD, or where the kernel has none of that (before
 * Linux 5.14), <@root>/sys/kernel/debug/kvm
 * @root: folder in front of it; NULL: the host's own files
 *
 * Errors: the kernel tells neither way, with both reasons. Context: any thread, no lock needed.
 */
KvmStatSet *kvm_read_stats(Kvm *kvm, const char *root, GError **error);

/**
 * vcpu_set_read_stats() - of vCPU @cpu
 *
 * The kernel gives out the descriptor only while the vCPU is out of the guest: the first call for
 * each holds the vCPUs for it, later ones do not. Context: main thread.
 *
 * Errors: there is no such vCPU (TESSERA_ERROR_NOT_FOUND); the kernel does not tell.
 */
KvmStatSet *vcpu_set_read_stats(VcpuSet *set, unsigned cpu, GError **error);

void kvm_stat_set_free(KvmStatSet *set); /* NULL is allowed */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KvmStatSet, kvm_stat_set_free)

/** kvm_stat_set_source() - where they come from, in words */
const char *kvm_stat_set_source(const KvmStatSet *set);
unsigned kvm_stat_set_count(const KvmStatSet *set);
/** kvm_stat_set_at() - by number; kvm_stat_set_find() - by name, or NULL */
const KvmStat *kvm_stat_set_at(const KvmStatSet *set, unsigned i);
const KvmStat *kvm_stat_set_find(const KvmStatSet *set, const char *name);

#endif
