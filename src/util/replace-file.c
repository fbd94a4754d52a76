/* SPDX-License-Identifier: MIT */
/* Files that are written whole or not at all: beside the old one, then by rename. */
#include "tessera/util/replace-file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tessera/util/error.h"

static bool write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return true;
}

/* Closes @fd in any case; errno tells of the first failure. */
static bool write_and_close(int fd, const void *data, size_t len)
{
    bool ok = write_all(fd, data, len);
    int failed = errno;

    if (close(fd) != 0 && ok) {
        return false;
    }
    errno = failed;
    return ok;
}

static bool is_special(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

/* Without waiting for somebody to open a pipe's other end: a monitor would stand still. */
static bool write_special(const char *path, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0) {
        return false;
    }
    fcntl(fd, F_SETFL, 0); /* a slow reader is waited for; cannot fail */
    return write_and_close(fd, data, len);
}

static bool write_beside(const char *path, const void *data, size_t len)
{
    g_autofree char *beside = g_strdup_printf("%s.XXXXXX", path);
    int fd = g_mkstemp_full(beside, O_RDWR | O_CLOEXEC, 0666);
    int failed;

    if (fd < 0) {
        return false;
    }
    if (write_and_close(fd, data, len) && rename(beside, path) == 0) {
        return true;
    }
    failed = errno;
    g_unlink(beside);
    errno = failed;
    return false;
}

bool replace_file(const char *path, const void *data, size_t len, GError **error)
{
    char *real = realpath(path, NULL); /* NULL: there is nothing yet */
    const char *place = real ? real : path;
    bool ok = is_special(place) ? write_special(place, data, len) : write_beside(place, data, len);
    int failed = errno;

    free(real);
    if (!ok) {
        error_set_errno(error, failed, "%s: cannot be written", path);
    }
    return ok;
}
