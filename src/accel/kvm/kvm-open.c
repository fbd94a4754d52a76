/* SPDX-License-Identifier: MIT */
/* Opening KVM: what must be there, and the sentence for the user when it is not. */
#include "kvm-internal.h"

#include "cpuid-internal.h"
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "tessera/util/error.h"

#define KVM_API 12 /* the stable one, since Linux 2.6.22 */

/* What this processor says of hardware virtualization. */
typedef enum HostVirt { HOST_VIRT_NONE, HOST_VIRT_INTEL, HOST_VIRT_AMD } HostVirt;

static HostVirt host_virt(bool *ret_guest)
{
    unsigned a, b, c, d;
    HostVirt virt = HOST_VIRT_NONE;

    *ret_guest = false;
    if (__get_cpuid(1, &a, &b, &c, &d)) {
        *ret_guest = c & (1u << 31);
        if (c & (1u << 5)) {
            virt = HOST_VIRT_INTEL;
        }
    }
    if (__get_cpuid(0x80000001, &a, &b, &c, &d) && (c & (1u << 2))) {
        virt = HOST_VIRT_AMD;
    }
    return virt;
}

/* The device is not there: a module, the firmware, or the machine around this one. */
static void set_missing_error(const char *path, int errnum, GError **error)
{
    bool guest;
    HostVirt virt = host_virt(&guest);
    g_autofree char *why = NULL;

    if (virt != HOST_VIRT_NONE) {
        why = g_strdup_printf("the module is not loaded: modprobe %s; if that fails, enable %s in "
                              "the firmware setup",
                              virt == HOST_VIRT_AMD ? "kvm_amd" : "kvm_intel",
                              virt == HOST_VIRT_AMD ? "SVM" : "VT-x");
    } else if (guest) {
        why = g_strdup("/proc/cpuinfo shows neither vmx nor svm: this is itself a virtual machine; "
                       "enable nested virtualization on its host");
    } else {
        why = g_strdup("/proc/cpuinfo shows neither vmx nor svm: enable VT-x or SVM in the "
                       "firmware setup, or use a machine that has it");
    }
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_UNSUPPORTED, "KVM is missing: cannot open %s: %s; %s",
                path, g_strerror(errnum), why);
}

/*
 * The group's name in this host's own file: where the device's group stands. getgrgid() would load
 * the libraries of every name service there is, which a statically linked program should not.
 */
static char *local_group_name(gid_t gid)
{
    FILE *file = fopen("/etc/group", "re");
    struct group gr, *found = NULL;
    char buf[4096];
    char *name = NULL;

    while (file && !name && fgetgrent_r(file, &gr, buf, sizeof(buf), &found) == 0) {
        name = gr.gr_gid == gid ? g_strdup(gr.gr_name) : NULL;
    }
    if (file) {
        fclose(file);
    }
    return name;
}

/* "of group kvm", as the device's owner is here. */
static void set_permission_error(const char *path, int errnum, GError **error)
{
    struct stat st;
    g_autofree char *group = NULL;

    if (stat(path, &st) == 0 && (st.st_mode & S_IRGRP) && (st.st_mode & S_IWGRP) &&
        st.st_gid != 0) {
        group = local_group_name(st.st_gid);
    }
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_SYSTEM,
                "KVM is not permitted: cannot open %s: %s; join the group %s (usermod -aG %s USER, "
                "then log in again) or let your user read and write the device",
                path, g_strerror(errnum), group ? group : "kvm", group ? group : "kvm");
}

static void set_open_error(const char *path, int errnum, GError **error)
{
    switch (errnum) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
    case ENOTDIR:
        set_missing_error(path, errnum, error);
        break;
    case EACCES:
    case EPERM:
        set_permission_error(path, errnum, error);
        break;
    case EBUSY:
        error_set_errno(error, errnum,
                        "KVM is busy: cannot open %s; another hypervisor holds this processor's "
                        "virtualization: stop it", path);
        break;
    case EMFILE:
    case ENFILE:
        error_set_errno(error, errnum, "KVM cannot be used: cannot open %s (see 'ulimit -n')",
                        path);
        break;
    case EISDIR:
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "KVM is missing: %s is a directory, not a KVM device; the usual one is /dev/kvm",
                    path);
        break;
    default:
        error_set_errno(error, errnum, "KVM cannot be used: cannot open %s", path);
    }
}

static bool check_api(Kvm *kvm, const char *path, GError **error)
{
    int version = kvm_system_ioctl(kvm, KVM_GET_API_VERSION, NULL);

    if (version == KVM_API) {
        return true;
    }
    if (version < 0) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "KVM is missing: %s is not a KVM device (%s); the usual one is /dev/kvm", path,
                    g_strerror(-version));
    } else {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_UNSUPPORTED,
                    "KVM is too %s: %s speaks API version %d, Tessera version %d; use a kernel of "
                    "this decade", version < KVM_API ? "old" : "new", path, version, KVM_API);
    }
    return false;
}

bool kvm_open_device(Kvm *kvm, const char *path, GError **error)
{
    struct stat st;

    kvm->system_fd = open(path, O_RDWR | O_CLOEXEC);
    if (kvm->system_fd < 0) {
        set_open_error(path, errno, error);
        return false;
    }
    if (fstat(kvm->system_fd, &st) < 0 || !S_ISCHR(st.st_mode)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "KVM is missing: %s is not a KVM device but a file; the usual one is /dev/kvm",
                    path);
        return false;
    }
    return check_api(kvm, path, error);
}

/* Without these nothing works; the sentence ends "this kernel's KVM cannot ...". */
static const struct {
    int cap;
    const char *name;
    const char *cannot;
    bool irqchip_only;
} required[] = {
    { KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY", "map the program's memory into a guest", false },
    { KVM_CAP_DESTROY_MEMORY_REGION_WORKS, "KVM_CAP_DESTROY_MEMORY_REGION_WORKS",
      "take memory away from a guest", false },
    { KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, "KVM_CAP_JOIN_MEMORY_REGIONS_WORKS",
      "put memory slots side by side", false },
    { KVM_CAP_NR_MEMSLOTS, "KVM_CAP_NR_MEMSLOTS", "say how many memory slots it has", false },
    { KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM", "give a guest read-only memory (ROM)", false },
    { KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT", "be interrupted without a race", false },
    { KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD", "signal a guest's write by eventfd", false },
    { KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR", "place its task state segment", false },
    { KVM_CAP_SET_IDENTITY_MAP_ADDR, "KVM_CAP_SET_IDENTITY_MAP_ADDR",
      "place its identity map", false },
    { KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID", "set a guest's CPUID", false },
    { KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE", "set a vCPU's run state", false },
    { KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS", "clear a vCPU's pending events", false },
    { KVM_CAP_DEBUGREGS, "KVM_CAP_DEBUGREGS", "reset a vCPU's debug registers", false },
    { KVM_CAP_XSAVE, "KVM_CAP_XSAVE", "reset a vCPU's FPU state", false },
    { KVM_CAP_ADJUST_CLOCK, "KVM_CAP_ADJUST_CLOCK", "stop a guest's clock", false },
    { KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP", "emulate interrupt controllers", true },
    { KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING", "route interrupts", true },
    { KVM_CAP_IRQFD, "KVM_CAP_IRQFD", "raise an interrupt by eventfd", true },
    { KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI", "deliver message-signalled interrupts", true },
    { KVM_CAP_PIT2, "KVM_CAP_PIT2", "emulate the PIT without its speaker", true },
    { KVM_CAP_PIT_STATE2, "KVM_CAP_PIT_STATE2", "reset the PIT", true },
};

static bool check_required(Kvm *kvm, GError **error)
{
    struct utsname u;

    for (size_t i = 0; i < G_N_ELEMENTS(required); i++) {
        if ((required[i].irqchip_only && !kvm->irqchip) ||
            kvm_check_extension(kvm, required[i].cap) > 0) {
            continue;
        }
        if (uname(&u) < 0) {
            strcpy(u.release, "unknown");
        }
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_UNSUPPORTED,
                    "KVM is too old: this kernel's (%s) cannot %s (no %s); Linux 5.10 or newer can",
                    u.release, required[i].cannot, required[i].name);
        return false;
    }
    return true;
}

/*
 * Intel SDM vol. 2, CPUID leaf 0x80000008: EAX[7:0] is MAXPHYADDR. EAX[23:16], which KVM reports
 * since Linux 6.10, is what nested page tables can map where that is less.
 */
static unsigned phys_bits_of(uint32_t eax)
{
    unsigned bits = eax & 0xff;
    unsigned mappable = eax >> 16 & 0xff;

    return mappable != 0 && mappable < bits ? mappable : bits;
}

static unsigned phys_bits(const struct kvm_cpuid2 *cpuid)
{
    unsigned a, b, c, d;
    unsigned bits = 36; /* of a processor that has no such leaf */

    for (uint32_t i = 0; i < cpuid->nent; i++) {
        if (cpuid->entries[i].function == 0x80000008) {
            bits = phys_bits_of(cpuid->entries[i].eax);
        }
    }
    if (__get_cpuid(0x80000008, &a, &b, &c, &d) && (a & 0xff) != 0) {
        bits = MIN(bits, a & 0xff);
    }
    return CLAMP(bits, KVM_PHYS_BITS_MIN, KVM_PHYS_BITS_MAX);
}

/* Today's processors have 60 to 80 entries. */
enum { CPUID_ENTRIES_START = 128, CPUID_ENTRIES_MAX = 4096 };

static struct kvm_cpuid2 *ask_supported_cpuid(Kvm *kvm, GError **error)
{
    int ret = -E2BIG;

    for (uint32_t n = CPUID_ENTRIES_START; ret == -E2BIG && n <= CPUID_ENTRIES_MAX; n *= 2) {
        g_autofree struct kvm_cpuid2 *cpuid =
            g_malloc0(sizeof(*cpuid) + n * sizeof(struct kvm_cpuid_entry2));

        cpuid->nent = n;
        ret = kvm_system_ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
        if (ret >= 0) {
            return g_steal_pointer(&cpuid);
        }
    }
    error_set_errno(error, -ret, "KVM does not tell which CPUID it supports");
    return NULL;
}

/* Under the lock. */
static bool know_supported(Kvm *kvm, GError **error)
{
    if (!kvm->supported.table) {
        kvm->supported.table = ask_supported_cpuid(kvm, error);
        kvm->supported.phys_bits = kvm->supported.table ? phys_bits(kvm->supported.table) : 0;
    }
    return kvm->supported.table != NULL;
}

struct kvm_cpuid2 *kvm_get_supported_cpuid(Kvm *kvm, GError **error)
{
    struct kvm_cpuid2 *copy = NULL;

    pthread_mutex_lock(&kvm->supported.lock);
    if (know_supported(kvm, error)) {
        copy = cpuid_table_copy(kvm->supported.table, 0);
    }
    pthread_mutex_unlock(&kvm->supported.lock);
    return copy;
}

unsigned kvm_phys_bits(Kvm *kvm)
{
    unsigned bits = KVM_PHYS_BITS_MIN; /* a kernel that does not tell refuses the CPU model too */

    pthread_mutex_lock(&kvm->supported.lock);
    if (know_supported(kvm, NULL)) {
        bits = kvm->supported.phys_bits;
    }
    pthread_mutex_unlock(&kvm->supported.lock);
    return bits;
}

static unsigned cap_or(Kvm *kvm, int cap, unsigned fallback)
{
    int value = kvm_check_extension(kvm, cap);

    return value > 0 ? (unsigned)value : fallback;
}

bool kvm_read_caps(Kvm *kvm, GError **error)
{
    KvmCaps *caps = &kvm->caps;
    int size;

    if (!check_required(kvm, error)) {
        return false;
    }
    size = kvm_system_ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, NULL);
    if (size < (int)sizeof(struct kvm_run)) {
        error_set_errno(error, size < 0 ? -size : EINVAL,
                        "KVM does not tell the size of a vCPU's run page (%d)", size);
        return false;
    }
    caps->vcpu_mmap_size = (unsigned)size;
    caps->nr_slots = cap_or(kvm, KVM_CAP_NR_MEMSLOTS, 32);
    caps->max_vcpus = cap_or(kvm, KVM_CAP_MAX_VCPUS, cap_or(kvm, KVM_CAP_NR_VCPUS, 4));
    caps->max_vcpu_id = cap_or(kvm, KVM_CAP_MAX_VCPU_ID, caps->max_vcpus);
    caps->gsi_routes = cap_or(kvm, KVM_CAP_IRQ_ROUTING, 0);
    caps->coalesced_page = cap_or(kvm, KVM_CAP_COALESCED_MMIO, 0);
    if ((caps->coalesced_page + 1) * 4096ULL > caps->vcpu_mmap_size) {
        caps->coalesced_page = 0;
    }
    caps->coalesced_pio = caps->coalesced_page && kvm_check_extension(kvm, KVM_CAP_COALESCED_PIO) > 0;
    caps->ioeventfd_any_length = kvm_check_extension(kvm, KVM_CAP_IOEVENTFD_ANY_LENGTH) > 0;
    caps->irqfd_resample = kvm_check_extension(kvm, KVM_CAP_IRQFD_RESAMPLE) > 0;
    caps->kvmclock_ctrl = kvm_check_extension(kvm, KVM_CAP_KVMCLOCK_CTRL) > 0;
    return true;
}
