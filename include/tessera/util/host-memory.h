/* SPDX-License-Identifier: MIT */
/* Host memory that a guest will run in: mapping, advice, preallocation, giving back. */
#ifndef TESSERA_UTIL_HOST_MEMORY_H
#define TESSERA_UTIL_HOST_MEMORY_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct HostMemory - one mapping
 * @host: its address, NULL when unmapped
 * @size: bytes mapped, a multiple of @page_size
 * @accessible: bytes from the start that may be touched; the rest is address space only
 * @page_size: of what backs it: the host's page, or the huge page of a hugetlbfs file
 * @fd: the file behind it, owned; -1: anonymous
 * @fd_offset: bytes into @fd at @host
 */
typedef struct HostMemory {
    void *host;
    uint64_t size;
    uint64_t accessible;
    size_t page_size;
    int fd;
    uint64_t fd_offset;
    bool shared;
    bool readonly;
    bool noreserve;
} HostMemory;

/**
 * struct HostMemorySpec - what to map
 * @size: bytes, 1 or more; rounded up to the page
 * @usable: bytes that are accessible from the start; 0: all
 * @align: alignment of the address, a power of two; 0: the default (see host_memory_map())
 * @fd: file to map, -1: anonymous
 * @fd_offset: a multiple of the page
 * @shared: writes reach the file, and other processes that map it
 * @readonly: no writes by us either
 * @noreserve: no swap space or huge pages are set aside in advance (MAP_NORESERVE)
 */
typedef struct HostMemorySpec {
    uint64_t size;
    uint64_t usable;
    uint64_t align;
    int fd;
    uint64_t fd_offset;
    bool shared;
    bool readonly;
    bool noreserve;
} HostMemorySpec;

/** host_page_size() - bytes in a page of this host */
size_t host_page_size(void);

/**
 * host_memory_map() - maps what @spec says into *@mem
 *
 * Alignment, unless given: 2 MiB, so that the kernel can use huge pages; 1 GiB when @size is at
 * least that, so that guest-physical and host addresses can agree modulo 1 GiB; a huge page where
 * the file has larger ones. The page behind the mapping is inaccessible. Transparent huge pages are
 * advised where they can help, and a forked child does not inherit the mapping.
 *
 * On success *@mem owns @spec->fd; on failure it stays the caller's.
 * Errors: TESSERA_ERROR_NO_MEMORY, _INVALID (file too short, offset crooked), _SYSTEM.
 */
bool host_memory_map(HostMemory *mem, const HostMemorySpec *spec, GError **error);

/** host_memory_unmap() - unmaps and closes; an unmapped *@mem is allowed */
void host_memory_unmap(HostMemory *mem);

/**
 * host_memory_make_accessible() - [0, @len) may be touched from now on; never takes access away
 *
 * Errors: TESSERA_ERROR_NO_MEMORY (the host will not commit to so much).
 */
bool host_memory_make_accessible(HostMemory *mem, uint64_t len, GError **error);

/**
 * host_memory_set_mergeable() - lets KSM merge equal pages of it (MADV_MERGEABLE)
 * host_memory_set_dump() - whether it is part of core dumps (MADV_DODUMP, MADV_DONTDUMP)
 *
 * Errors: TESSERA_ERROR_UNSUPPORTED if this kernel cannot.
 */
bool host_memory_set_mergeable(HostMemory *mem, bool mergeable, GError **error);
bool host_memory_set_dump(HostMemory *mem, bool dump, GError **error);

/** host_memory_avoid_huge_pages() - a hint (MADV_NOHUGEPAGE) for [@off, @off + @len), inside *@mem */
void host_memory_avoid_huge_pages(HostMemory *mem, uint64_t off, uint64_t len);

/**
 * host_memory_discard() - gives [@off, @off + @len) back to the host; it reads as zeroes afterwards
 * (a private file mapping: as the file)
 *
 * Errors: TESSERA_ERROR_INVALID if not whole pages inside, _SYSTEM.
 */
bool host_memory_discard(HostMemory *mem, uint64_t off, uint64_t len, GError **error);

/**
 * host_memfd_new() - an anonymous file of @size bytes
 * @name: shown in /proc
 * @huge_page_size: bytes in a page of it (a hugetlb memfd), 0: ordinary pages
 * @seal: its size is fixed for ever, for everybody who gets it
 *
 * Returns: a descriptor, or -1 with TESSERA_ERROR_UNSUPPORTED, _NO_MEMORY or _SYSTEM.
 */
int host_memfd_new(const char *name, uint64_t size, uint64_t huge_page_size, bool seal,
                   GError **error);

/** host_huge_page_size_default() - of this kernel; 0: it has none */
uint64_t host_huge_page_size_default(void);

/** host_huge_page_size_valid() - does this kernel have huge pages of @size bytes? */
bool host_huge_page_size_valid(uint64_t size);

/** host_huge_pages_free() - how many of that size are free and not promised to anybody */
uint64_t host_huge_pages_free(uint64_t page_size);

/** host_memory_available() - bytes of memory and swap that could be had without killing anybody */
uint64_t host_memory_available(void);

/** host_fd_page_size() - page of what maps @fd: a hugetlbfs file's own, else the host's */
size_t host_fd_page_size(int fd);

/**
 * struct HostPrealloc - how to preallocate
 * @threads: 1 or more; 0: one for each CPU, 16 at most, none without at least 64 MiB to do
 * @progress: called from the calling thread now and then (at most ten times a second, and once at
 *      the end of a success), with bytes done and in all; returning false cancels. NULL: silent
 * @no_populate: do not use MADV_POPULATE_WRITE even if the kernel has it (tests)
 */
typedef struct HostPrealloc {
    unsigned threads;
    bool (*progress)(void *opaque, uint64_t done, uint64_t total);
    void *opaque;
    bool no_populate;
} HostPrealloc;

/**
 * host_memory_preallocate() - makes every page of [0, @len) present; contents are kept
 *
 * A lack of memory or huge pages is an error, not a SIGBUS: the kernel is asked to do the touching
 * (MADV_POPULATE_WRITE; before Linux 5.14 by process_vm_readv() onto the same byte).
 * Pages that were made present before a failure stay; the caller unmaps.
 *
 * Errors: TESSERA_ERROR_NO_MEMORY, _INVALID (readonly), _SYSTEM ("cancelled").
 */
bool host_memory_preallocate(HostMemory *mem, uint64_t len, const HostPrealloc *how,
                             GError **error);

#endif
