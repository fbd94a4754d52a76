/* SPDX-License-Identifier: MIT */
/* CPUID: the leaves in which the vCPUs of a machine differ or count one another. */
#include "cpuid-internal.h"

#define CPUID_0_EBX_AUTH 0x68747541u /* "Auth" of AuthenticAMD */
#define CPUID_0_EBX_HYGO 0x6f677948u /* "Hygo" of HygonGenuine: the same design */
#define TOPOLOGY_SUBLEAVES 3         /* threads, cores, the end */

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
        if (t->amd) { /* reserved elsewhere */
            e->ecx = (e->ecx & ~0xf0ffu) | t->id_bits << 12 | (MIN(t->count, 256u) - 1);
        }
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

/* Leaf 0x80000026 says what 0xb says in other words; a guest goes to 0xb when it is empty. */
static bool is_topology_leaf(const struct kvm_cpuid_entry2 *e, void *opaque)
{
    return e->function == 0xb || e->function == 0x1f || e->function == 0x80000026;
}

static void add_topology_leaf(struct kvm_cpuid2 *t, uint32_t function)
{
    for (unsigned i = 0; i < TOPOLOGY_SUBLEAVES; i++) {
        t->entries[t->nent++] = (struct kvm_cpuid_entry2){
            .function = function,
            .index = i,
            .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
        };
    }
}

struct kvm_cpuid2 *cpuid_for_vcpu(const struct kvm_cpuid2 *model, uint32_t apic_id, unsigned count)
{
    struct kvm_cpuid2 *t = cpuid_table_copy(model, 2 * TOPOLOGY_SUBLEAVES);
    struct kvm_cpuid_entry2 *basic = cpuid_find(t, 0, 0);
    Topology topology = { apic_id, count, bits_for(count), is_amd(basic) };
    uint32_t max_leaf = basic ? basic->eax : 0;

    /* The host's own topology goes, this machine's comes. */
    cpuid_drop(t, is_topology_leaf, NULL);
    if (max_leaf >= 0xb) {
        add_topology_leaf(t, 0xb);
    }
    if (max_leaf >= 0x1f) {
        add_topology_leaf(t, 0x1f);
    }
    for (unsigned i = 0; i < t->nent; i++) {
        set_vcpu_numbers(&t->entries[i], &topology);
    }
    return t;
}
