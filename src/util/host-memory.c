/* SPDX-License-Identifier: MIT */
/* Host memory that a guest will run in: mapping, advice, giving back. */
#include "tessera/util/host-memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "tessera/util/error.h"
#include "tessera/util/size.h"

/* What a transparent huge page needs, and what a gigantic page table entry of KVM needs. */
#define ALIGN_THP      (2 * MIB)
#define ALIGN_GIGANTIC GIB

size_t host_page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

size_t host_fd_page_size(int fd)
{
    struct statfs fs;

    if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC) {
        return (size_t)fs.f_bsize;
    }
    return host_page_size();
}

static bool is_power_of_two(uint64_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

static bool set_no_memory(GError **error, int errnum, uint64_t size, size_t page_size)
{
    g_autofree char *text = size_format(size);

    if (errnum != ENOMEM) {
        error_set_errno(error, errnum, "cannot map %s of host memory", text);
    } else if (page_size > host_page_size()) {
        g_autofree char *page = size_format(page_size);
        uint64_t free_pages = host_huge_pages_free(page_size);

        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NO_MEMORY,
                    "cannot map %s of host memory: that takes %" G_GUINT64_FORMAT
                    " huge pages of %s and the host has %" G_GUINT64_FORMAT
                    " free (nr_hugepages below /sys/kernel/mm/hugepages raises that)",
                    text, size / page_size, page, free_pages);
    } else {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NO_MEMORY,
                    "cannot map %s of host memory: %s (limits: 'ulimit -v', vm.overcommit_memory, "
                    "the address space itself)",
                    text, g_strerror(errnum));
    }
    return false;
}

/* Touching a page that lies wholly behind a file's end is a SIGBUS: refuse it here. */
static bool check_file_size(int fd, uint64_t offset, uint64_t size, size_t page_size,
                            GError **error)
{
    struct stat st;
    uint64_t pages_end;

    if (fstat(fd, &st) < 0) {
        error_set_errno(error, errno, "cannot ask for the size of the file to map");
        return false;
    }
    if (!S_ISREG(st.st_mode)) {
        return true; /* a device knows its own limits and refuses the mmap */
    }
    pages_end = ((uint64_t)st.st_size + page_size - 1) / page_size * page_size;
    if (offset > pages_end || size > pages_end - offset) {
        g_autofree char *have = size_format((uint64_t)st.st_size);
        g_autofree char *want = size_format(size);

        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "the file is too short: it has %s, needed are %s from offset 0x%" PRIx64
                    " on (enlarge it with 'truncate -s', or ask for less)",
                    have, want, offset);
        return false;
    }
    return true;
}

static bool check_spec(const HostMemorySpec *spec, size_t page_size, uint64_t *ret_size,
                       uint64_t *ret_align, GError **error)
{
    uint64_t size = spec->size + page_size - 1;
    uint64_t align = spec->align;

    if (spec->size == 0 || size < spec->size || size > INT64_MAX) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "cannot map %" PRIu64 " bytes of host memory: allowed are 1 to 2^63 - 1",
                    spec->size);
        return false;
    }
    size -= size % page_size;
    if (align == 0) {
        align = size >= ALIGN_GIGANTIC ? ALIGN_GIGANTIC : ALIGN_THP;
    }
    if (!is_power_of_two(align)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "alignment 0x%" PRIx64 " is not a power of two", align);
        return false;
    }
    if (spec->fd >= 0 && spec->fd_offset % page_size != 0) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "file offset 0x%" PRIx64 " is not a multiple of the page size 0x%zx",
                    spec->fd_offset, page_size);
        return false;
    }
    if (spec->fd >= 0 && !check_file_size(spec->fd, spec->fd_offset, size, page_size, error)) {
        return false;
    }
    *ret_size = size;
    *ret_align = MAX(align, page_size);
    return true;
}

/*
 * An inaccessible range of @size bytes at a multiple of @align, with one inaccessible page more
 * behind it, so that running over the end faults. MAP_FAILED when there is none.
 */
static void *reserve_aligned(uint64_t size, uint64_t align)
{
    uint64_t guard = host_page_size();
    uint64_t total;
    uintptr_t raw, start, end;
    void *p;

    if (__builtin_add_overflow(size, guard, &total) ||
        __builtin_add_overflow(total, align, &total)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    p = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        return MAP_FAILED;
    }
    raw = (uintptr_t)p;
    start = (raw + align - 1) & ~(uintptr_t)(align - 1);
    end = start + size + guard;
    if (start > raw) {
        munmap(p, start - raw);
    }
    if (raw + total > end) {
        munmap((void *)end, raw + total - end);
    }
    return (void *)start;
}

/* The mapping of @spec over the reservation. Only the usable part counts as memory committed. */
static bool map_over(void *start, uint64_t size, const HostMemorySpec *spec, uint64_t usable)
{
    int flags = MAP_FIXED | (spec->shared ? MAP_SHARED : MAP_PRIVATE) |
                (spec->fd < 0 ? MAP_ANONYMOUS : 0) | (spec->noreserve ? MAP_NORESERVE : 0);
    int prot = PROT_READ | (spec->readonly ? 0 : PROT_WRITE);
    void *p = mmap(start, size, usable < size ? PROT_NONE : prot, flags, spec->fd,
                   spec->fd < 0 ? 0 : (off_t)spec->fd_offset);

    if (p == MAP_FAILED) {
        return false;
    }
    return usable == size || mprotect(start, usable, prot) == 0;
}

bool host_memory_map(HostMemory *mem, const HostMemorySpec *spec, GError **error)
{
    size_t page_size = host_fd_page_size(spec->fd);
    uint64_t size, align, usable;
    void *start;

    if (!check_spec(spec, page_size, &size, &align, error)) {
        return false;
    }
    usable = spec->usable == 0 ? size
                               : MIN(size, (spec->usable + page_size - 1) / page_size * page_size);
    start = reserve_aligned(size, align);
    if (start == MAP_FAILED) {
        return set_no_memory(error, errno, size, page_size);
    }
    if (!map_over(start, size, spec, usable)) {
        int errnum = errno;

        munmap(start, size + host_page_size());
        return set_no_memory(error, errnum, size, page_size);
    }
    /* Hints: a kernel without them serves the memory just the same. */
    madvise(start, size, MADV_HUGEPAGE);
    madvise(start, size, MADV_DONTFORK);
    *mem = (HostMemory){
        .host = start,
        .size = size,
        .accessible = usable,
        .page_size = page_size,
        .fd = spec->fd,
        .fd_offset = spec->fd < 0 ? 0 : spec->fd_offset,
        .shared = spec->shared,
        .readonly = spec->readonly,
        .noreserve = spec->noreserve,
    };
    return true;
}

void host_memory_unmap(HostMemory *mem)
{
    if (!mem->host) {
        return;
    }
    munmap(mem->host, mem->size + host_page_size());
    if (mem->fd >= 0) {
        close(mem->fd);
    }
    *mem = (HostMemory){ .fd = -1 };
}

bool host_memory_make_accessible(HostMemory *mem, uint64_t len, GError **error)
{
    uint64_t want = (len + mem->page_size - 1) / mem->page_size * mem->page_size;

    g_assert(want <= mem->size);
    if (want <= mem->accessible) {
        return true;
    }
    if (mprotect(mem->host, want, PROT_READ | (mem->readonly ? 0 : PROT_WRITE)) < 0) {
        return set_no_memory(error, errno, want - mem->accessible, mem->page_size);
    }
    mem->accessible = want;
    return true;
}

static bool advise(HostMemory *mem, int advice, const char *what, GError **error)
{
    if (madvise(mem->host, mem->size, advice) == 0) {
        return true;
    }
    if (errno == EINVAL) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_UNSUPPORTED, "this host's kernel cannot %s",
                    what);
    } else {
        error_set_errno(error, errno, "cannot %s", what);
    }
    return false;
}

bool host_memory_set_mergeable(HostMemory *mem, bool mergeable, GError **error)
{
    return advise(mem, mergeable ? MADV_MERGEABLE : MADV_UNMERGEABLE,
                  mergeable ? "merge equal pages (KSM)" : "keep equal pages apart (KSM)", error);
}

bool host_memory_set_dump(HostMemory *mem, bool dump, GError **error)
{
    return advise(mem, dump ? MADV_DODUMP : MADV_DONTDUMP,
                  dump ? "add guest memory to core dumps" : "leave guest memory out of core dumps",
                  error);
}

void host_memory_avoid_huge_pages(HostMemory *mem, uint64_t off, uint64_t len)
{
    g_assert(off <= mem->size && len <= mem->size - off);
    madvise((uint8_t *)mem->host + off, len, MADV_NOHUGEPAGE);
}

bool host_memory_discard(HostMemory *mem, uint64_t off, uint64_t len, GError **error)
{
    int result;

    if (off % mem->page_size != 0 || len % mem->page_size != 0 || off > mem->size ||
        len > mem->size - off) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "cannot discard 0x%" PRIx64 " bytes at 0x%" PRIx64
                    ": whole pages of 0x%zx bytes below 0x%" PRIx64 " are needed",
                    len, off, mem->page_size, mem->size);
        return false;
    }
    if (len == 0) {
        return true;
    }
    if (mem->shared && mem->fd >= 0) {
        result = fallocate(mem->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                           (off_t)(mem->fd_offset + off), (off_t)len);
    } else {
        result =
            madvise((uint8_t *)mem->host + off, len, mem->shared ? MADV_REMOVE : MADV_DONTNEED);
    }
    if (result < 0) {
        error_set_errno(error, errno, "cannot discard 0x%" PRIx64 " bytes at 0x%" PRIx64, len, off);
        return false;
    }
    return true;
}
