/* SPDX-License-Identifier: MIT */
/* Where a trace goes: a file, or a pipe or terminal whose reader may be slow, or stand still. */
#include "trace-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tessera/util/error.h"

int trace_output_open(const char *path, GError **error)
{
    /* O_NONBLOCK: else a pipe makes us wait here for its reader, while signals are blocked. */
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0644);

    if (fd < 0 && errno == ENXIO) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_SYSTEM,
                    "cannot open the trace file '%s': it is a pipe or a socket that nobody reads; "
                    "start the reader of a pipe first, or name a file", path);
    } else if (fd < 0) {
        error_set_errno(error, errno, "cannot open the trace file '%s'", path);
    }
    return fd;
}

bool trace_output_is_file(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

ssize_t trace_output_write(int fd, const char *text, size_t len)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    ssize_t n;

    if (!trace_output_is_file(fd)) {
        /* Standard error is shared, and cannot be made non-blocking: this much has room in it. */
        len = MIN(len, PIPE_BUF);
        if (poll(&p, 1, TRACE_OUTPUT_WAIT_MS) <= 0) {
            return 0;
        }
    }
    n = write(fd, text, len);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return 0;
    }
    if (n == 0) {
        errno = ENOSPC;
    }
    return n > 0 ? n : -1;
}
