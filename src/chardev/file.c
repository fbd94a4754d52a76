/* SPDX-License-Identifier: MIT */
/* Chardevs "file" (output only), "null" and "none". */
#include "chardev-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "tessera/util/error.h"

typedef struct FileChardev {
    Chardev base;
    char *path;
    FdStream *stream;
    int fd;
} FileChardev;

static bool file_open(Chardev *chr, const char *parameter, GError **error)
{
    FileChardev *f = (FileChardev *)chr;

    f->path = g_strdup(parameter);
    /* O_NONBLOCK: a FIFO that nobody reads is an error now, and a full one back-pressure later. */
    f->fd = open(f->path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
    if (f->fd < 0) {
        error_set_errno(error, errno, errno == ENXIO ? "nobody reads the FIFO '%s'"
                                                     : "cannot open '%s' for writing", f->path);
        return false;
    }
    fd_ignore_sigpipe();
    f->stream = fd_stream_new(chr, NULL);
    fd_stream_set(f->stream, -1, f->fd);
    chr->open = true;
    return true;
}

static void file_close(Chardev *chr)
{
    FileChardev *f = (FileChardev *)chr;

    fd_stream_free(f->stream);
    if (f->fd >= 0) {
        close(f->fd);
    }
    g_free(f->path);
}

static size_t file_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    return fd_stream_write(((FileChardev *)chr)->stream, buf, len);
}

static char *file_describe(Chardev *chr)
{
    return g_strdup_printf("file %s", ((FileChardev *)chr)->path);
}

const ChardevClass chardev_file_class = {
    .kind = "file",
    .usage = "file:PATH",
    .size = sizeof(FileChardev),
    .takes_parameter = true,
    .open = file_open,
    .close = file_close,
    .write = file_write,
    .describe = file_describe,
};

/* "null" is a peer that is there and listens to nothing; "none" is a plug with no cable. */

static bool null_open(Chardev *chr, const char *parameter, GError **error)
{
    chr->open = true;
    return true;
}

const ChardevClass chardev_null_class = {
    .kind = "null",
    .usage = "null",
    .size = sizeof(Chardev),
    .open = null_open,
};

const ChardevClass chardev_none_class = {
    .kind = "none",
    .usage = "none",
    .size = sizeof(Chardev),
};
