/* SPDX-License-Identifier: MIT */
/* Kernel and initrd files: opened once, read at every reset, watched for changes. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "boot-internal.h"

/* One pread() moves at most 2 GiB less a page; a smaller step keeps signals prompt. */
#define READ_STEP_MAX (64ULL << 20)

static const char *file_type(const struct stat *st)
{
    if (S_ISDIR(st->st_mode)) {
        return "a directory";
    }
    if (S_ISFIFO(st->st_mode)) {
        return "a pipe";
    }
    return S_ISSOCK(st->st_mode) ? "a socket" : "a device";
}

BootFile *boot_file_new(int fd, const char *name, const char *what, GError **error)
{
    g_autoptr(BootFile) file = g_new0(BootFile, 1);

    file->fd = fd;
    file->path = g_strdup(name);
    file->what = what;
    if (fstat(fd, &file->opened) < 0) {
        error_set_errno(error, errno, "%s '%s'", what, name);
        return NULL;
    }
    if (!S_ISREG(file->opened.st_mode)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "%s '%s' is %s: it is read again at each reset and must be a regular file",
                    what, name, file_type(&file->opened));
        return NULL;
    }
    if (file->opened.st_size == 0) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "%s '%s' is empty", what, name);
        return NULL;
    }
    file->size = file->opened.st_size;
    return g_steal_pointer(&file);
}

BootFile *boot_file_open(const char *path, const char *what, GError **error)
{
    /* Without O_NONBLOCK a pipe would stop us here until somebody writes to it. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0) {
        error_set_errno(error, errno, "cannot open %s '%s'", what, path);
        return NULL;
    }
    BootFile *file = boot_file_new(fd, path, what, error);

    if (file) {
        file->named = true;
    }
    return file;
}

void boot_file_free(BootFile *file)
{
    if (!file) {
        return;
    }
    close(file->fd);
    g_free(file->path);
    g_free(file);
}

bool boot_file_read(const BootFile *file, uint64_t offset, void *buffer, uint64_t length,
                    GError **error)
{
    uint64_t done = 0;

    while (done < length) {
        ssize_t n = pread(file->fd, (uint8_t *)buffer + done, MIN(length - done, READ_STEP_MAX),
                          (off_t)(offset + done));

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            error_set_errno(error, errno, "%s '%s': reading %" PRIu64 " bytes at offset %" PRIu64,
                            file->what, file->path, length, offset);
            return false;
        }
        if (n == 0) {
            g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_SYSTEM,
                        "%s '%s' ends at byte %" PRIu64 ", before the %" PRIu64
                        " that are needed: is it being written?",
                        file->what, file->path, offset + done, offset + length);
            return false;
        }
        done += n;
    }
    return true;
}

bool boot_file_check_unchanged(const BootFile *file, GError **error)
{
    struct stat now;

    if (fstat(file->fd, &now) < 0) {
        error_set_errno(error, errno, "%s '%s'", file->what, file->path);
        return false;
    }
    if (now.st_size == file->opened.st_size && now.st_mtim.tv_sec == file->opened.st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == file->opened.st_mtim.tv_nsec) {
        return true;
    }
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                "%s '%s' was written to while the machine used it (%" PRIu64 " bytes then, %" PRIu64
                " now): quit and start again",
                file->what, file->path, file->size, (uint64_t)now.st_size);
    return false;
}

bool boot_file_replaced(const BootFile *file)
{
    struct stat now;

    if (!file->named) {
        return false;
    }
    return stat(file->path, &now) < 0 || now.st_dev != file->opened.st_dev ||
           now.st_ino != file->opened.st_ino;
}

char *boot_format_size(uint64_t size)
{
    static const struct {
        uint64_t unit;
        const char *name;
    } units[] = {{1ULL << 30, "GiB"}, {1ULL << 20, "MiB"}, {1ULL << 10, "KiB"}};

    for (size_t i = 0; i < G_N_ELEMENTS(units); i++) {
        if (size >= units[i].unit) {
            /* Tenths rounded up: what is said to be needed must be enough. */
            uint64_t whole = size / units[i].unit;
            uint64_t tenths = ((size % units[i].unit) * 10 + units[i].unit - 1) / units[i].unit;

            if (tenths == 10) {
                whole++;
                tenths = 0;
            }
            return tenths ? g_strdup_printf("%" PRIu64 ".%u %s", whole, (unsigned)tenths,
                                            units[i].name)
                          : g_strdup_printf("%" PRIu64 " %s", whole, units[i].name);
        }
    }
    return g_strdup_printf("%" PRIu64 " bytes", size);
}

bool boot_file_refuse(const BootFile *file, const char *kind, GError **error, const char *format,
                      ...)
{
    g_autofree char *reason = NULL;
    va_list args;

    va_start(args, format);
    reason = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID, "kernel '%s' (%s): %s", file->path,
                kind, reason);
    return false;
}
