/* SPDX-License-Identifier: MIT */
/* Statistics of the VM and its vCPUs: asking the kernel for them. */
#include "tessera/accel/kvm/kvm-stats.h"

#include <errno.h>
#include <unistd.h>
#include "kvm-internal.h"
#include "stat-set-internal.h"
#include "tessera/util/error.h"
#include "vcpu-internal.h"

#define SOURCE "binary statistics (KVM_GET_STATS_FD)"
#define DEBUGFS "/sys/kernel/debug/kvm"

/* The whole file behind @fd, from its beginning. */
static KvmStatSet *read_file(int fd, GError **error)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    guint8 buf[4096];
    ssize_t len;

    do {
        len = pread(fd, buf, sizeof(buf), (off_t)bytes->len);
        if (len < 0 && errno != EINTR) {
            error_set_errno(error, errno, SOURCE);
            return NULL;
        }
        if (len > 0) {
            g_byte_array_append(bytes, buf, (guint)len);
        }
    } while (len != 0 && bytes->len < KVM_STATS_FILE_MAX);
    return kvm_stat_set_parse(bytes->data, bytes->len, SOURCE, error);
}

static bool check_cap(Kvm *kvm, GError **error)
{
    if (kvm_check_extension(kvm, KVM_CAP_BINARY_STATS_FD)) {
        return true;
    }
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_UNSUPPORTED,
                SOURCE ": this host's kernel has none (they came with Linux 5.14)");
    return false;
}

static KvmStatSet *read_binary(Kvm *kvm, GError **error)
{
    KvmStatSet *set;
    int fd;

    if (!check_cap(kvm, error)) {
        return NULL;
    }
    fd = kvm_vm_ioctl(kvm, KVM_GET_STATS_FD, NULL);
    if (fd < 0) {
        error_set_errno(error, -fd, SOURCE);
        return NULL;
    }
    set = read_file(fd, error);
    close(fd);
    return set;
}

KvmStatSet *kvm_read_stats(Kvm *kvm, const char *root, GError **error)
{
    g_autoptr(GError) binary = NULL, debugfs = NULL;
    g_autoptr(KvmStatSet) set = read_binary(kvm, &binary);
    g_autofree char *path = NULL;

    if (set) {
        return g_steal_pointer(&set);
    }
    /* The kernel names the folder by who has made the VM, and its descriptor there. */
    path = g_strdup_printf("%s" DEBUGFS "/%d-%d", root ? root : "", (int)getpid(), kvm->vm_fd);
    set = kvm_stat_set_from_dir(path, &debugfs);
    if (!set) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_UNSUPPORTED, "%s; %s", binary->message,
                    debugfs->message);
    }
    return g_steal_pointer(&set);
}

/* The vCPU's lock is held in the kernel as long as it runs: it must be out of KVM_RUN. */
static bool open_vcpu(Vcpu *vcpu, GError **error)
{
    int fd;

    if (!check_cap(vcpu->set->kvm, error)) {
        return false;
    }
    vcpu_set_look(vcpu->set);
    fd = kvm_vcpu_ioctl(vcpu->set->kvm, vcpu->fd, KVM_GET_STATS_FD, NULL);
    vcpu_set_end_look(vcpu->set);
    if (fd < 0) {
        error_set_errno(error, -fd, "vCPU %u: " SOURCE, vcpu->index);
        return false;
    }
    vcpu->stats_fd = fd;
    return true;
}

KvmStatSet *vcpu_set_read_stats(VcpuSet *set, unsigned cpu, GError **error)
{
    if (cpu >= set->count) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                    "there is no vCPU %u: this machine has 0 to %u", cpu, set->count - 1);
        return NULL;
    }
    if (set->vcpus[cpu]->stats_fd < 0 && !open_vcpu(set->vcpus[cpu], error)) {
        return NULL;
    }
    return read_file(set->vcpus[cpu]->stats_fd, error);
}
