/* SPDX-License-Identifier: MIT */
/* The wrapped host calls. */
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "../../kvm/support/model-kvm.h"

#define PAGE 4096

/* The names that the linker gives to the wrapped functions and to their replacements. */
#define WRAP(type, name, ...)                                                                      \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

static struct {
    pthread_mutex_t lock; /* guards the rest */
    bool armed;
    bool all_later;
    unsigned at;
    unsigned calls;
    unsigned hit;
    char serious[64];
    int64_t mapped;
} faults = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Counts a call. @return whether it is to fail */
static bool fails(const char *name, bool serious)
{
    bool hit;

    pthread_mutex_lock(&faults.lock);
    faults.calls += faults.armed;
    hit = faults.armed && faults.at > 0 &&
          (faults.calls == faults.at || (faults.all_later && faults.calls > faults.at));
    if (hit) {
        faults.hit++;
        if (serious && !*faults.serious) {
            g_strlcpy(faults.serious, name, sizeof(faults.serious));
        }
    }
    pthread_mutex_unlock(&faults.lock);
    return hit;
}

/* One call by its name. */
static __thread struct {
    const char *name;
    unsigned left;
    int err;
} named;

static bool named_call_fails(const char *name, int *ret_err)
{
    if (!named.name || strcmp(named.name, name) != 0 || --named.left > 0) {
        return false;
    }
    named.name = NULL;
    *ret_err = named.err;
    return true;
}

static bool host_call_fails(const char *name, bool serious, int err)
{
    if (model_kvm_inside() || (!named_call_fails(name, &err) && !fails(name, serious))) {
        return false;
    }
    errno = err;
    return true;
}

/* What a machine does without is said in faults.h. */
static int on_ioctl(unsigned long req)
{
    bool serious = req != KVM_CHECK_EXTENSION && req != KVM_ENABLE_CAP && req != KVM_IRQ_LINE &&
                   req != KVM_GET_CLOCK && req != KVM_SET_CLOCK && req != KVM_KVMCLOCK_CTRL;

    return fails(kvm_ioctl_name(req), serious) ? ENOMEM : 0;
}

void faults_arm(unsigned n, bool all_later)
{
    pthread_mutex_lock(&faults.lock);
    faults.armed = true;
    faults.all_later = all_later;
    faults.at = n;
    faults.calls = faults.hit = 0;
    *faults.serious = 0;
    pthread_mutex_unlock(&faults.lock);
    model_kvm_set_fault_hook(on_ioctl);
}

void faults_disarm(void)
{
    model_kvm_set_fault_hook(NULL);
    pthread_mutex_lock(&faults.lock);
    faults.armed = false;
    pthread_mutex_unlock(&faults.lock);
}

unsigned faults_calls(void)
{
    return faults.calls;
}

unsigned faults_hit(void)
{
    return faults.hit;
}

const char *faults_serious(void)
{
    return *faults.serious ? faults.serious : NULL;
}

void faults_fail_call(const char *name, unsigned nth, int err)
{
    named.name = name;
    named.left = nth;
    named.err = err;
}

bool faults_call_failed(void)
{
    return named.name == NULL;
}

int64_t faults_mapped(void)
{
    return faults.mapped;
}

static void count_mapped(size_t len, int sign)
{
    if (!model_kvm_inside()) {
        pthread_mutex_lock(&faults.lock);
        faults.mapped += sign * (int64_t)((len + PAGE - 1) / PAGE * PAGE);
        pthread_mutex_unlock(&faults.lock);
    }
}

WRAP(void *, mmap, void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
    bool reservation = prot == PROT_NONE && !(flags & MAP_FIXED);
    void *p;

    if (host_call_fails("mmap", !reservation, ENOMEM)) {
        return MAP_FAILED;
    }
    p = __real_mmap(addr, len, prot, flags, fd, off);
    if (p != MAP_FAILED && !(flags & MAP_FIXED)) { /* those replace what has been counted */
        count_mapped(len, 1);
    }
    return p;
}

WRAP(int, munmap, void *addr, size_t len)
{
    int ret = __real_munmap(addr, len);

    if (ret == 0) {
        count_mapped(len, -1);
    }
    return ret;
}

WRAP(int, mprotect, void *addr, size_t len, int prot)
{
    return host_call_fails("mprotect", true, ENOMEM) ? -1 : __real_mprotect(addr, len, prot);
}

WRAP(int, madvise, void *addr, size_t len, int advice)
{
    bool hint = advice == MADV_HUGEPAGE || advice == MADV_NOHUGEPAGE || advice == MADV_DONTFORK ||
                advice == MADV_MERGEABLE;

    return host_call_fails("madvise", !hint, ENOMEM) ? -1 : __real_madvise(addr, len, advice);
}

WRAP(int, memfd_create, const char *name, unsigned flags)
{
    return host_call_fails("memfd_create", true, EMFILE) ? -1 : __real_memfd_create(name, flags);
}

WRAP(int, ftruncate, int fd, off_t len)
{
    return host_call_fails("ftruncate", true, ENOSPC) ? -1 : __real_ftruncate(fd, len);
}

WRAP(int, fallocate, int fd, int mode, off_t off, off_t len)
{
    return host_call_fails("fallocate", false, ENOSPC) ? -1 : __real_fallocate(fd, mode, off, len);
}

WRAP(int, eventfd, unsigned count, int flags)
{
    return host_call_fails("eventfd", true, EMFILE) ? -1 : __real_eventfd(count, flags);
}

WRAP(int, timerfd_create, int clock, int flags)
{
    return host_call_fails("timerfd_create", false, EMFILE) ? -1
                                                             : __real_timerfd_create(clock, flags);
}

WRAP(int, signalfd, int fd, const sigset_t *mask, int flags)
{
    return host_call_fails("signalfd", true, EMFILE) ? -1 : __real_signalfd(fd, mask, flags);
}

WRAP(int, open, const char *path, int flags, ...)
{
    mode_t mode = 0;

    if (flags & (O_CREAT | __O_TMPFILE)) {
        va_list args;

        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    return host_call_fails("open", true, EMFILE) ? -1 : __real_open(path, flags, mode);
}

WRAP(int, fstat, int fd, struct stat *st)
{
    return host_call_fails("fstat", true, EIO) ? -1 : __real_fstat(fd, st);
}

WRAP(int, fcntl, int fd, int cmd, ...)
{
    va_list args;
    void *arg;

    va_start(args, cmd);
    arg = va_arg(args, void *); /* an int, a pointer, or nothing: the kernel takes what it needs */
    va_end(args);
    return host_call_fails("fcntl", true, EINVAL) ? -1 : __real_fcntl(fd, cmd, arg);
}

WRAP(ssize_t, pread, int fd, void *buf, size_t len, off_t off)
{
    return host_call_fails("pread", true, EIO) ? -1 : __real_pread(fd, buf, len, off);
}

WRAP(int, pthread_create, pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
     void *arg)
{
    return host_call_fails("pthread_create", true, EAGAIN)
               ? EAGAIN
               : __real_pthread_create(thread, attr, start, arg);
}
