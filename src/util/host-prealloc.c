/* SPDX-License-Identifier: MIT */
/* Preallocation: make every page of a mapping present, in threads, without ever meeting SIGBUS. */
#include "tessera/util/host-memory.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include "tessera/util/error.h"
#include "tessera/util/size.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* What a thread takes at a time: long enough to be worth it, short enough to report and cancel. */
#define CHUNK_SIZE           (64 * MIB)
#define THREADS_MAX_DEFAULT  16
#define PROGRESS_INTERVAL_US (100 * 1000)

typedef struct Prealloc {
    uint8_t *host;
    uint64_t len;
    uint64_t chunk;
    size_t page_size;
    _Atomic uint64_t next; /* first byte that no thread has taken yet */
    _Atomic uint64_t done;
    _Atomic int errnum; /* of the first failure; 0: none */
    _Atomic bool no_populate;
    pthread_mutex_t lock; /* guards running */
    pthread_cond_t ended; /* running fell */
    unsigned running;
} Prealloc;

/*
 * Before MADV_POPULATE_WRITE: let the kernel copy one byte of each page onto itself. Where a plain
 * store would end in SIGBUS, the copy ends in EFAULT.
 */
static int touch_by_kernel(uint8_t *host, uint64_t len, size_t page_size)
{
    struct iovec iov[IOV_MAX];
    uint64_t off = 0;

    while (off < len) {
        unsigned long n = 0;
        ssize_t copied;

        for (uint64_t at = off; at < len && n < IOV_MAX; at += page_size) {
            iov[n++] = (struct iovec){ .iov_base = host + at, .iov_len = 1 };
        }
        copied = process_vm_readv(getpid(), iov, n, iov, n, 0);
        if (copied < 0) {
            return errno;
        }
        if (copied == 0) {
            return EFAULT;
        }
        off += (uint64_t)copied * page_size;
    }
    return 0;
}

static int populate(Prealloc *job, uint64_t off, uint64_t len)
{
    if (!atomic_load(&job->no_populate)) {
        int result;

        do {
            result = madvise(job->host + off, len, MADV_POPULATE_WRITE);
        } while (result < 0 && errno == EINTR);
        if (result == 0) {
            return 0;
        }
        if (errno != EINVAL) {
            return errno;
        }
        atomic_store(&job->no_populate, true);
    }
    return touch_by_kernel(job->host + off, len, job->page_size);
}

static void fail(Prealloc *job, int errnum)
{
    int none = 0;

    atomic_compare_exchange_strong(&job->errnum, &none, errnum);
}

static void *prealloc_thread(void *opaque)
{
    Prealloc *job = opaque;

    while (atomic_load(&job->errnum) == 0) {
        uint64_t off = atomic_fetch_add(&job->next, job->chunk);
        uint64_t len;
        int errnum;

        if (off >= job->len) {
            break;
        }
        len = MIN(job->chunk, job->len - off);
        errnum = populate(job, off, len);
        if (errnum != 0) {
            fail(job, errnum);
            break;
        }
        atomic_fetch_add(&job->done, len);
    }
    pthread_mutex_lock(&job->lock);
    job->running--;
    pthread_cond_signal(&job->ended);
    pthread_mutex_unlock(&job->lock);
    return NULL;
}

static unsigned threads_wanted(const HostPrealloc *how, uint64_t len, uint64_t chunk)
{
    uint64_t chunks = (len + chunk - 1) / chunk;
    uint64_t threads = how->threads;

    if (threads == 0) {
        cpu_set_t cpus;

        threads = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? (unsigned)CPU_COUNT(&cpus) : 1;
        threads = MIN(threads, THREADS_MAX_DEFAULT);
    }
    return (unsigned)CLAMP(threads, 1, MAX(chunks, 1));
}

/* Waits for the threads; meanwhile tells @how of the progress, and cancels if it says so. */
static void watch(Prealloc *job, const HostPrealloc *how)
{
    bool ask = how->progress != NULL;

    pthread_mutex_lock(&job->lock);
    while (job->running > 0) {
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += PROGRESS_INTERVAL_US * 1000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        if (pthread_cond_timedwait(&job->ended, &job->lock, &until) != ETIMEDOUT || !ask) {
            continue;
        }
        pthread_mutex_unlock(&job->lock);
        if (!how->progress(how->opaque, atomic_load(&job->done), job->len)) {
            fail(job, ECANCELED);
            ask = false; /* the threads end after the chunks they have */
        }
        pthread_mutex_lock(&job->lock);
    }
    pthread_mutex_unlock(&job->lock);
}

static void run(Prealloc *job, const HostPrealloc *how)
{
    unsigned wanted = threads_wanted(how, job->len, job->chunk);
    g_autofree pthread_t *threads = g_new(pthread_t, wanted);
    unsigned started = 0;

    job->running = wanted;
    while (started < wanted && pthread_create(&threads[started], NULL, prealloc_thread, job) == 0) {
        started++;
    }
    if (started < wanted) {
        pthread_mutex_lock(&job->lock);
        job->running -= wanted - started;
        pthread_mutex_unlock(&job->lock);
    }
    if (started == 0) {
        /* No thread to be had: then here, without progress. */
        job->running = 1;
        prealloc_thread(job);
    }
    watch(job, how);
    for (unsigned i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
}

static bool set_failure(const HostMemory *mem, uint64_t len, const Prealloc *job, GError **error)
{
    int errnum = job->errnum;
    g_autofree char *all = size_format(len);
    g_autofree char *done = size_format(job->done);

    if (errnum != ENOMEM && errnum != EFAULT && errnum != ENOSPC) {
        error_set_errno(error, errnum, "cannot preallocate %s (after %s)", all, done);
        return false;
    }
    if (mem->page_size > host_page_size()) {
        g_autofree char *page = size_format(mem->page_size);

        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NO_MEMORY,
                    "cannot preallocate %s: the host ran out of huge pages of %s after %s "
                    "(%" PRIu64 " pages are needed)",
                    all, page, done, len / mem->page_size);
    } else {
        g_set_error(
            error, TESSERA_ERROR, TESSERA_ERROR_NO_MEMORY,
            "cannot preallocate %s: the host ran out of memory, or the file's filesystem of "
            "space, after %s",
            all, done);
    }
    return false;
}

bool host_memory_preallocate(HostMemory *mem, uint64_t len, const HostPrealloc *how, GError **error)
{
    Prealloc job = {
        .host = mem->host,
        .len = (len + mem->page_size - 1) / mem->page_size * mem->page_size,
        .chunk = MAX(CHUNK_SIZE, mem->page_size),
        .page_size = mem->page_size,
        .no_populate = how->no_populate,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .ended = PTHREAD_COND_INITIALIZER,
    };

    g_assert(job.len <= mem->accessible);
    if (mem->readonly) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "read-only memory cannot be preallocated");
        return false;
    }
    run(&job, how);
    if (job.errnum != 0) {
        return set_failure(mem, job.len, &job, error);
    }
    if (how->progress) {
        how->progress(how->opaque, job.len, job.len);
    }
    return true;
}
