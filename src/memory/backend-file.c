/* SPDX-License-Identifier: MIT */
/* memory-backend-file: a file, or a nameless one in a directory (hugetlbfs, tmpfs, a disk). */
#include "backend-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "tessera/util/error.h"
#include "tessera/util/log.h"
#include "tessera/util/size.h"

typedef struct FileBackend {
    MemoryBackend backend;
    char *mem_path;
    bool readonly;
    bool discard_data;
    uint64_t align;
    uint64_t offset;
} FileBackend;

/* A file of no name in the directory: gone when the last mapping is. */
static int open_in_directory(const FileBackend *file, GError **error)
{
    int fd = open(file->mem_path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
        g_autofree char *path = g_strdup_printf("%s/tessera-%s.XXXXXX", file->mem_path,
                                                file->backend.parent.id);

        fd = mkostemp(path, O_CLOEXEC);
        if (fd >= 0) {
            unlink(path);
        }
    }
    if (fd < 0) {
        error_set_errno(error, errno, "mem-path=%s: cannot create a file in the directory",
                        file->mem_path);
    }
    return fd;
}

static int create_file(const FileBackend *file, bool *ret_created, GError **error)
{
    int fd;

    if (file->readonly) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                    "mem-path=%s: there is no such file, and readonly=on makes none",
                    file->mem_path);
        return -1;
    }
    fd = open(file->mem_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) {
        error_set_errno(error, errno, "mem-path=%s: cannot create the file", file->mem_path);
    }
    *ret_created = fd >= 0;
    return fd;
}

/* *@ret_created: the file has a name that was not there before. */
static int open_path(const FileBackend *file, bool *ret_created, GError **error)
{
    struct stat st;
    int fd;

    if (stat(file->mem_path, &st) < 0) {
        if (errno == ENOENT) {
            return create_file(file, ret_created, error);
        }
        error_set_errno(error, errno, "mem-path=%s", file->mem_path);
        return -1;
    }
    if (S_ISDIR(st.st_mode) && file->readonly) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "mem-path=%s: that is a directory: readonly=on needs a file", file->mem_path);
        return -1;
    }
    if (S_ISDIR(st.st_mode)) {
        return open_in_directory(file, error);
    }
    if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "mem-path=%s: neither a file nor a directory nor a device", file->mem_path);
        return -1;
    }
    fd = open(file->mem_path, (file->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (fd < 0) {
        error_set_errno(error, errno, "mem-path=%s: cannot open it for %s", file->mem_path,
                        file->readonly ? "reading" : "reading and writing (readonly=on would)");
    }
    return fd;
}

/* An empty file gets the size; a file with contents is never changed in size. */
static bool size_file(const FileBackend *file, int fd, GError **error)
{
    uint64_t end;
    struct stat st;

    if (fstat(fd, &st) < 0) {
        error_set_errno(error, errno, "mem-path=%s", file->mem_path);
        return false;
    }
    if (__builtin_add_overflow(file->offset, file->backend.size, &end) || end > INT64_MAX) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "offset=0x%" PRIx64 ": offset and size together are above 2^63 - 1 bytes",
                    file->offset);
        return false;
    }
    if (!S_ISREG(st.st_mode) || st.st_size != 0) {
        return true; /* too short: host_memory_map() says so */
    }
    if (file->readonly) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "mem-path=%s: the file is empty and readonly=on cannot enlarge it",
                    file->mem_path);
        return false;
    }
    if (ftruncate(fd, (off_t)end) < 0) {
        error_set_errno(error, errno, "mem-path=%s: cannot enlarge the file to %" PRIu64 " bytes",
                        file->mem_path, end);
        return false;
    }
    return true;
}

/* An empty file on tmpfs: each page of it comes from the host's free memory. */
static bool fills_memory(int fd)
{
    struct statfs fs;
    struct stat st;

    return fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC && fstat(fd, &st) == 0 &&
           st.st_blocks == 0;
}

static bool map_file(FileBackend *file, const ObjectContext *context, int fd, GError **error)
{
    HostMemorySpec spec = {
        .fd = fd,
        .fd_offset = file->offset,
        .readonly = file->readonly,
        .align = file->align,
    };

    /* The page size is the file's: nobody knows it before the file is open. */
    if (!memory_backend_check_size(&file->backend, host_fd_page_size(fd), error) ||
        !size_file(file, fd, error)) {
        close(fd);
        return false;
    }
    if (!memory_backend_setup(&file->backend, context, &spec,
                              fills_memory(fd) || !file->backend.share, error)) {
        g_prefix_error(error, "mem-path=%s: ", file->mem_path);
        return false;
    }
    return true;
}

static bool complete(UserObject *obj, const ObjectContext *context, GError **error)
{
    FileBackend *file = (FileBackend *)obj;
    bool created = false;
    int fd;

    if (file->discard_data && file->readonly) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "discard-data=on: a file that is only read is not discarded: use readonly=off "
                    "or discard-data=off");
        return false;
    }
    fd = open_path(file, &created, error);
    if (fd < 0) {
        return false;
    }
    if (!map_file(file, context, fd, error)) {
        if (created) {
            unlink(file->mem_path);
        }
        return false;
    }
    return true;
}

/* Pages that nobody will read again need not be written to the disk. */
static void finalize(UserObject *obj)
{
    FileBackend *file = (FileBackend *)obj;
    RAMBlock *block = file->backend.block;
    g_autoptr(GError) error = NULL;

    if (block && file->discard_data && file->backend.share &&
        !ram_block_discard(block, 0, ram_block_max_length(block), &error)) {
        log_item(LOG_RAM, "memory-backend-file '%s': discard-data: %s", obj->id, error->message);
    }
    memory_backend_finalize(obj);
}

static const Property properties[] = {
    { .name = "mem-path", .type = PROPERTY_STRING, .required = true,
      .offset = offsetof(FileBackend, mem_path),
      .help = "a file (made if missing), or a directory for one without a name" },
    PROPERTY_DEFINE_BOOL(MemoryBackend, share, "share", "off",
                         "writes reach the file; off: they stay in our process"),
    PROPERTY_DEFINE_BOOL(FileBackend, readonly, "readonly", "off",
                         "open the file for reading; the guest cannot write"),
    PROPERTY_DEFINE_BOOL(FileBackend, discard_data, "discard-data", "off",
                         "throw the contents away at the end instead of writing them back"),
    PROPERTY_DEFINE_SIZE(FileBackend, align, "align", NULL,
                         "alignment of the mapping, a power of two; without it 2M or 1G"),
    PROPERTY_DEFINE_SIZE(FileBackend, offset, "offset", NULL,
                         "where in the file the memory starts, whole pages"),
    { 0 },
};

static const Property *const tables[] = { memory_backend_properties, properties, NULL };

const ObjectClass memory_backend_file_class = {
    .name = "memory-backend-file",
    .family = MEMORY_BACKEND_FAMILY,
    .help = "guest memory from a file: hugetlbfs, persistent or shared memory",
    .instance_size = sizeof(FileBackend),
    .properties = tables,
    .complete = complete,
    .removed = memory_backend_removed,
    .finalize = finalize,
};

TESSERA_REGISTER(object_class, memory_backend_file_class);
