/* SPDX-License-Identifier: MIT */
/* CPUID feature bits by the names of /proc/cpuinfo. */
#include "cpu-features-internal.h"

#include <string.h>

/* One register of one leaf: the names of its bits, in bit order; NULL where none is known. */
typedef struct FeatureWord {
    uint32_t leaf;
    uint32_t subleaf;
    enum CpuidRegister reg;
    const char *const names[32];
} FeatureWord;

/*
 * Sources: Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E; spelling as in Linux's
 * /proc/cpuinfo. Bits that mirror CR4 (osxsave, ospke) are left out: the kernel keeps them.
 */
static const FeatureWord words[] = {
    { 0x00000001, 0, CPUID_EDX,
      { [0] = "fpu",   [1] = "vme",   [2] = "de",    [3] = "pse",      [4] = "tsc",
        [5] = "msr",   [6] = "pae",   [7] = "mce",   [8] = "cx8",      [9] = "apic",
        [11] = "sep",  [12] = "mtrr", [13] = "pge",  [14] = "mca",     [15] = "cmov",
        [16] = "pat",  [17] = "pse36", [18] = "pn",  [19] = "clflush", [21] = "dts",
        [22] = "acpi", [23] = "mmx",  [24] = "fxsr", [25] = "sse",     [26] = "sse2",
        [27] = "ss",   [28] = "ht",   [29] = "tm",   [31] = "pbe" } },
    { 0x00000001, 0, CPUID_ECX,
      { [0] = "pni",     [1] = "pclmulqdq", [2] = "dtes64",  [3] = "monitor", [4] = "ds_cpl",
        [5] = "vmx",     [6] = "smx",       [7] = "est",     [8] = "tm2",     [9] = "ssse3",
        [12] = "fma",    [13] = "cx16",     [14] = "xtpr",   [15] = "pdcm",   [17] = "pcid",
        [18] = "dca",    [19] = "sse4_1",   [20] = "sse4_2", [21] = "x2apic", [22] = "movbe",
        [23] = "popcnt", [24] = "tsc_deadline_timer",        [25] = "aes",    [26] = "xsave",
        [28] = "avx",    [29] = "f16c",     [30] = "rdrand", [31] = "hypervisor" } },
    { 0x00000006, 0, CPUID_EAX, { [2] = "arat" } },
    { 0x00000007, 0, CPUID_EBX,
      { [0] = "fsgsbase",    [1] = "tsc_adjust", [3] = "bmi1",      [4] = "hle",
        [5] = "avx2",        [7] = "smep",       [8] = "bmi2",      [9] = "erms",
        [10] = "invpcid",    [11] = "rtm",       [12] = "cqm",      [14] = "mpx",
        [16] = "avx512f",    [17] = "avx512dq",  [18] = "rdseed",   [19] = "adx",
        [20] = "smap",       [21] = "avx512ifma", [23] = "clflushopt", [24] = "clwb",
        [25] = "intel_pt",   [26] = "avx512pf",  [27] = "avx512er", [28] = "avx512cd",
        [29] = "sha_ni",     [30] = "avx512bw",  [31] = "avx512vl" } },
    { 0x00000007, 0, CPUID_ECX,
      { [1] = "avx512vbmi",   [2] = "umip",             [3] = "pku",        [5] = "waitpkg",
        [6] = "avx512_vbmi2", [8] = "gfni",             [9] = "vaes",       [10] = "vpclmulqdq",
        [11] = "avx512_vnni", [12] = "avx512_bitalg",   [14] = "avx512_vpopcntdq",
        [16] = "la57",        [22] = "rdpid",           [24] = "bus_lock_detect",
        [25] = "cldemote",    [27] = "movdiri",         [28] = "movdir64b" } },
    { 0x00000007, 0, CPUID_EDX,
      { [2] = "avx512_4vnniw", [3] = "avx512_4fmaps",   [4] = "fsrm", [8] = "avx512_vp2intersect",
        [10] = "md_clear",     [14] = "serialize",      [16] = "tsxldtrk",  [18] = "pconfig",
        [22] = "amx_bf16",     [23] = "avx512_fp16",    [24] = "amx_tile",  [25] = "amx_int8",
        [26] = "spec_ctrl",    [27] = "intel_stibp",    [28] = "flush_l1d",
        [29] = "arch_capabilities", [30] = "core_capabilities", [31] = "spec_ctrl_ssbd" } },
    { 0x00000007, 1, CPUID_EAX,
      { [4] = "avx_vnni", [5] = "avx512_bf16", [7] = "cmpccxadd", [10] = "fzrm", [11] = "fsrs",
        [12] = "fsrc", [21] = "amx_fp16", [23] = "avx_ifma", [26] = "lam" } },
    { 0x0000000d, 1, CPUID_EAX,
      { [0] = "xsaveopt", [1] = "xsavec", [2] = "xgetbv1", [3] = "xsaves", [4] = "xfd" } },
    { 0x80000001, 0, CPUID_EDX,
      { [11] = "syscall", [19] = "mp", [20] = "nx", [22] = "mmxext", [25] = "fxsr_opt",
        [26] = "pdpe1gb", [27] = "rdtscp", [29] = "lm", [30] = "3dnowext", [31] = "3dnow" } },
    { 0x80000001, 0, CPUID_ECX,
      { [0] = "lahf_lm",      [1] = "cmp_legacy",   [2] = "svm",          [3] = "extapic",
        [4] = "cr8_legacy",   [5] = "abm",          [6] = "sse4a",        [7] = "misalignsse",
        [8] = "3dnowprefetch", [9] = "osvw",        [10] = "ibs",         [11] = "xop",
        [12] = "skinit",      [13] = "wdt",         [15] = "lwp",         [16] = "fma4",
        [17] = "tce",         [19] = "nodeid_msr",  [21] = "tbm",         [22] = "topoext",
        [23] = "perfctr_core", [24] = "perfctr_nb", [26] = "bpext",       [27] = "ptsc",
        [28] = "perfctr_llc", [29] = "mwaitx" } },
    { 0x80000007, 0, CPUID_EDX, { [8] = "constant_tsc" } },
    { 0x80000008, 0, CPUID_EBX,
      { [0] = "clzero", [1] = "irperf", [2] = "xsaveerptr", [4] = "rdpru", [9] = "wbnoinvd",
        [12] = "amd_ibpb", [14] = "amd_ibrs", [15] = "amd_stibp", [24] = "amd_ssbd",
        [25] = "virt_ssbd", [26] = "amd_ssb_no" } },
    { 0x8000000a, 0, CPUID_EDX,
      { [0] = "npt", [1] = "lbrv", [2] = "svm_lock", [3] = "nrip_save", [4] = "tsc_scale",
        [5] = "vmcb_clean", [6] = "flushbyasid", [7] = "decodeassists", [10] = "pausefilter",
        [12] = "pfthreshold", [13] = "avic", [15] = "v_vmsave_vmload", [16] = "vgif" } },
};

/*
 * Without the first, the second does not work and a guest kernel may trip over it. Taking the first
 * away takes the second away as well, and what needs the second.
 */
static const struct {
    const char *needed;
    const char *dependent;
} dependencies[] = {
    { "fxsr", "sse" },        { "fxsr", "fxsr_opt" },    { "sse", "sse2" },
    { "sse2", "pni" },        { "sse2", "aes" },         { "sse2", "pclmulqdq" },
    { "sse2", "sha_ni" },     { "sse2", "gfni" },        { "pni", "ssse3" },
    { "ssse3", "sse4_1" },    { "sse4_1", "sse4_2" },    { "sse4_2", "avx" },
    { "pni", "sse4a" },       { "cx8", "cx16" },         { "apic", "x2apic" },
    { "apic", "tsc_deadline_timer" },
    { "xsave", "xsaveopt" },  { "xsave", "xsavec" },     { "xsave", "xgetbv1" },
    { "xsave", "xsaves" },    { "xsave", "xfd" },        { "xsave", "avx" },
    { "xsave", "pku" },       { "xsave", "amx_tile" },   { "xsave", "mpx" },
    { "avx", "fma" },         { "avx", "f16c" },         { "avx", "avx2" },
    { "avx", "vaes" },        { "avx", "vpclmulqdq" },   { "avx", "xop" },
    { "avx", "fma4" },        { "avx2", "avx512f" },     { "avx2", "avx_vnni" },
    { "avx2", "avx_ifma" },   { "avx512f", "avx512dq" }, { "avx512f", "avx512ifma" },
    { "avx512f", "avx512pf" }, { "avx512f", "avx512er" }, { "avx512f", "avx512cd" },
    { "avx512f", "avx512bw" }, { "avx512f", "avx512vl" }, { "avx512f", "avx512_vpopcntdq" },
    { "avx512f", "avx512_4vnniw" },  { "avx512f", "avx512_4fmaps" },
    { "avx512f", "avx512_vnni" },    { "avx512bw", "avx512vbmi" },
    { "avx512bw", "avx512_vbmi2" },  { "avx512bw", "avx512_bitalg" },
    { "avx512bw", "avx512_fp16" },   { "avx512bw", "avx512_bf16" },
    { "avx512f", "avx512_vp2intersect" },
    { "amx_tile", "amx_bf16" },      { "amx_tile", "amx_int8" },  { "amx_tile", "amx_fp16" },
    { "svm", "npt" },         { "svm", "lbrv" },         { "svm", "svm_lock" },
    { "svm", "nrip_save" },   { "svm", "tsc_scale" },    { "svm", "vmcb_clean" },
    { "svm", "flushbyasid" }, { "svm", "decodeassists" }, { "svm", "pausefilter" },
    { "svm", "pfthreshold" }, { "svm", "avic" },         { "svm", "v_vmsave_vmload" },
    { "svm", "vgif" },        { "lm", "lahf_lm" },
};

bool cpu_feature_find(const char *name, CpuFeature *ret_feature)
{
    for (size_t w = 0; w < G_N_ELEMENTS(words); w++) {
        for (unsigned bit = 0; bit < 32; bit++) {
            if (words[w].names[bit] && strcmp(words[w].names[bit], name) == 0) {
                *ret_feature = (CpuFeature){ .name = words[w].names[bit],
                                             .leaf = words[w].leaf,
                                             .subleaf = words[w].subleaf,
                                             .reg = words[w].reg,
                                             .bit = bit };
                return true;
            }
        }
    }
    return false;
}

void cpu_feature_for_each(void (*fn)(const CpuFeature *feature, void *opaque), void *opaque)
{
    for (size_t w = 0; w < G_N_ELEMENTS(words); w++) {
        for (unsigned bit = 0; bit < 32; bit++) {
            if (words[w].names[bit]) {
                CpuFeature f = { words[w].names[bit], words[w].leaf, words[w].subleaf,
                                 words[w].reg, bit };
                fn(&f, opaque);
            }
        }
    }
}

void cpu_feature_for_each_dependent(const char *name,
                                    void (*fn)(const char *dependent, void *opaque), void *opaque)
{
    for (size_t i = 0; i < G_N_ELEMENTS(dependencies); i++) {
        if (strcmp(dependencies[i].needed, name) == 0) {
            fn(dependencies[i].dependent, opaque);
        }
    }
}
