/* SPDX-License-Identifier: MIT */
/* CPUID leaf 0xd: the state components that XSAVE keeps. */
#include "cpuid-internal.h"

#define LEAF_XSTATE       0xd
#define XSAVE_LEGACY_SIZE 576 /* x87, SSE and the header: before every other component */
#define SUBLEAF_SUPERVISOR (1u << 0) /* ECX of a component's subleaf: managed by XSS, not XCR0 */

/* The components that features without which they make no sense own (SDM volume 1, section 13.1). */
static const struct {
    unsigned component;
    const char *feature;
} owners[] = {
    { 2, "avx" },     { 3, "mpx" },     { 4, "mpx" }, { 5, "avx512f" },   { 6, "avx512f" },
    { 7, "avx512f" }, { 8, "intel_pt" }, { 9, "pku" }, { 17, "amx_tile" }, { 18, "amx_tile" },
};

static bool has_feature(struct kvm_cpuid2 *t, const char *name)
{
    CpuFeature f;
    struct kvm_cpuid_entry2 *e;

    if (!cpu_feature_find(name, &f)) {
        return false;
    }
    e = cpuid_find(t, f.leaf, f.subleaf);
    return e && (*cpuid_register(e, f.reg) & (1u << f.bit));
}

/* The components that stay: bits as in XCR0 and XSS. Those above 31 no processor has. */
static uint32_t kept_components(struct kvm_cpuid2 *t)
{
    uint32_t kept = UINT32_MAX;

    for (size_t i = 0; i < G_N_ELEMENTS(owners); i++) {
        if (!has_feature(t, owners[i].feature)) {
            kept &= ~(1u << owners[i].component);
        }
    }
    return kept;
}

typedef struct Fit {
    uint32_t kept;
    bool supervisor; /* XSAVES is there: XSS too */
} Fit;

static bool component_goes(const struct kvm_cpuid_entry2 *e, void *opaque)
{
    const Fit *fit = opaque;

    if (e->function != LEAF_XSTATE || e->index < 2) {
        return false;
    }
    return (e->index < 32 && !(fit->kept & (1u << e->index))) ||
           ((e->ecx & SUBLEAF_SUPERVISOR) && !fit->supervisor);
}

static bool leaf_goes(const struct kvm_cpuid_entry2 *e, void *opaque)
{
    return e->function == LEAF_XSTATE;
}

/* Bytes of an uncompacted area with every component of XCR0: the end of the last one. */
static uint32_t area_size(const struct kvm_cpuid2 *t)
{
    uint32_t size = XSAVE_LEGACY_SIZE;

    for (unsigned i = 0; i < t->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &t->entries[i];

        if (e->function == LEAF_XSTATE && e->index >= 2 && !(e->ecx & SUBLEAF_SUPERVISOR)) {
            size = MAX(size, e->ebx + e->eax);
        }
    }
    return size;
}

void cpuid_fit_xsave(struct kvm_cpuid2 *t)
{
    Fit fit = { kept_components(t), has_feature(t, "xsaves") };
    struct kvm_cpuid_entry2 *user, *extended;

    if (!has_feature(t, "xsave")) {
        cpuid_drop(t, leaf_goes, NULL);
        return;
    }
    cpuid_drop(t, component_goes, &fit);
    user = cpuid_find(t, LEAF_XSTATE, 0);
    extended = cpuid_find(t, LEAF_XSTATE, 1);
    if (user) {
        user->eax &= fit.kept;
        user->ecx = area_size(t);
    }
    if (extended) {
        extended->ecx &= fit.supervisor ? fit.kept : 0;
        extended->edx &= fit.supervisor ? UINT32_MAX : 0;
    }
}
