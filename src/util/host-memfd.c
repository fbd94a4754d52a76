/* SPDX-License-Identifier: MIT */
/* Anonymous files for guest memory, and what the host says about its huge pages and free memory. */
#include "tessera/util/host-memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tessera/util/error.h"
#include "tessera/util/size.h"

/* Value of a "Name:  123 kB" line of /proc/meminfo in bytes, 0 if there is none. */
static uint64_t meminfo_bytes(const char *name)
{
    g_autofree char *text = NULL;
    g_autofree char *key = g_strdup_printf("%s:", name);
    const char *line;

    if (!g_file_get_contents("/proc/meminfo", &text, NULL, NULL)) {
        return 0;
    }
    for (line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (g_str_has_prefix(line, key)) {
            return g_ascii_strtoull(line + strlen(key), NULL, 10) * KIB;
        }
    }
    return 0;
}

uint64_t host_memory_available(void)
{
    return meminfo_bytes("MemAvailable") + meminfo_bytes("SwapFree");
}

uint64_t host_huge_page_size_default(void)
{
    return meminfo_bytes("Hugepagesize");
}

static char *huge_page_file(uint64_t page_size, const char *file)
{
    return g_strdup_printf("/sys/kernel/mm/hugepages/hugepages-%" G_GUINT64_FORMAT "kB/%s",
                           page_size / KIB, file);
}

bool host_huge_page_size_valid(uint64_t size)
{
    g_autofree char *path = huge_page_file(size, "nr_hugepages");

    return size >= KIB && size % KIB == 0 && access(path, F_OK) == 0;
}

static uint64_t read_number(const char *path)
{
    g_autofree char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? g_ascii_strtoull(text, NULL, 10) : 0;
}

uint64_t host_huge_pages_free(uint64_t page_size)
{
    g_autofree char *free_path = huge_page_file(page_size, "free_hugepages");
    g_autofree char *resv_path = huge_page_file(page_size, "resv_hugepages");
    uint64_t free_pages = read_number(free_path);
    uint64_t reserved = read_number(resv_path);

    return free_pages > reserved ? free_pages - reserved : 0;
}

static bool check_huge_page_size(uint64_t size, GError **error)
{
    g_autofree char *text = size_format_option(size);

    if (!host_huge_page_size_valid(size)) {
        g_autofree char *best = size_format_option(host_huge_page_size_default());

        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_UNSUPPORTED,
                    "this host has no huge pages of %s bytes (its default is %s; see "
                    "/sys/kernel/mm/hugepages)",
                    text, best);
        return false;
    }
    return true;
}

int host_memfd_new(const char *name, uint64_t size, uint64_t huge_page_size, bool seal,
                   GError **error)
{
    unsigned flags = MFD_CLOEXEC | (seal ? MFD_ALLOW_SEALING : 0);
    int fd;

    if (huge_page_size != 0) {
        if (!check_huge_page_size(huge_page_size, error)) {
            return -1;
        }
        flags |= MFD_HUGETLB | ((unsigned)__builtin_ctzll(huge_page_size) << MFD_HUGE_SHIFT);
    }
    fd = memfd_create(name, flags);
    if (fd < 0) {
        error_set_errno(error, errno, "cannot create an anonymous file '%s' (memfd_create)", name);
        return -1;
    }
    if (size > INT64_MAX || ftruncate(fd, (off_t)size) < 0) {
        g_autofree char *text = size_format(size);

        error_set_errno(error, size > INT64_MAX ? EFBIG : errno,
                        "cannot give the anonymous file '%s' a size of %s", name, text);
        close(fd);
        return -1;
    }
    if (seal && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0) {
        error_set_errno(error, errno, "cannot seal the anonymous file '%s'", name);
        close(fd);
        return -1;
    }
    return fd;
}
