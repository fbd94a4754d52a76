/* SPDX-License-Identifier: MIT */
/* Commands that write guest memory to a file: memsave and pmemsave. */
#include "command-util-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>
#include "tessera/machine/guest-view.h"
#include "tessera/util/error.h"

#define CHUNK (64u * GUEST_PAGE_SIZE)

/* Nothing is written of a range that cannot be read to its end: the file stays what it was. */
static bool check_range(GuestView *view, uint64_t addr, uint64_t size, GError **error)
{
    uint64_t bad = 0;

    if (size == 0 || size - 1 > UINT64_MAX - addr) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "size %" PRIu64 " at 0x%" PRIx64 ": one byte or more, up to the end of the "
                    "addresses", size, addr);
        return false;
    }
    if (!guest_view_readable(view, addr, size, &bad)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "Invalid addr 0x%016" PRIx64 "/size %" PRIu64 " specified: there is no memory "
                    "at 0x%" PRIx64, addr, size, bad);
        return false;
    }
    return true;
}

static bool write_all(int fd, const uint8_t *buf, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, buf, len);

        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (n > 0) {
            buf += n;
            len -= (size_t)n;
        }
    }
    return true;
}

static bool copy_out(GuestView *view, uint64_t addr, uint64_t size, int fd, const char *path,
                     GError **error)
{
    g_autofree uint8_t *buf = g_malloc(CHUNK);

    while (size > 0) {
        size_t part = (size_t)MIN(size, CHUNK);

        if (!guest_view_read(view, addr, buf, part)) {
            g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                        "the memory at 0x%" PRIx64 " went away while it was being written to '%s'",
                        addr, path);
            return false;
        }
        if (!write_all(fd, buf, part)) {
            error_set_errno(error, errno, "cannot write '%s'%s", path,
                            errno == EAGAIN ? ", whose reader is slow; give a file" : "");
            return false;
        }
        addr += part;
        size -= part;
    }
    return true;
}

static bool save(GuestView *view, const json_t *args, GError **error)
{
    const char *path = arg_string(args, "filename");
    uint64_t addr = arg_u64(args, "val");
    uint64_t size = arg_u64(args, "size");
    bool ok;
    int fd;

    if (!check_range(view, addr, size, error)) {
        return false;
    }
    /* A pipe or a terminal must not hold the main thread; for a file O_NONBLOCK means nothing. */
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
    if (fd < 0) {
        error_set_errno(error, errno, "Could not open '%s'", path);
        return false;
    }
    ok = copy_out(view, addr, size, fd, path, error);
    if (close(fd) < 0 && ok) {
        error_set_errno(error, errno, "cannot write '%s'", path);
        ok = false;
    }
    return ok;
}

static bool run_memsave(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    uint64_t cpu = arg_given(args, "cpu-index") ? arg_u64(args, "cpu-index") : monitor_cpu(mon);
    GuestView view;

    if (!command_check_cpu(mon, cpu, error)) {
        return false;
    }
    view = guest_view(monitor_machine(mon), false, (unsigned)cpu);
    return save(&view, args, error);
}

static bool run_pmemsave(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    GuestView view = guest_view(monitor_machine(mon), true, 0);

    return save(&view, args, error);
}

static const MonitorArg memsave_args[] = {
    { .name = "val", .type = MONITOR_ARG_ADDR },
    { .name = "size", .type = MONITOR_ARG_SIZE },
    { .name = "filename", .type = MONITOR_ARG_STRING },
    { .name = "cpu-index", .type = MONITOR_ARG_INT, .optional = true,
      .complete = complete_cpus },
    { 0 },
};

static const MonitorArg pmemsave_args[] = {
    { .name = "val", .type = MONITOR_ARG_ADDR },
    { .name = "size", .type = MONITOR_ARG_SIZE },
    { .name = "filename", .type = MONITOR_ARG_STRING },
    { 0 },
};

static const MonitorCommand memsave_command = {
    .name = "memsave",
    .qmp = "memsave",
    .hmp = "memsave",
    .help = "Writes memory at a guest-virtual address to a file.",
    .details = "Addresses go through the page tables of vCPU `cpu-index` (the monitor's own if it "
               "is left out). Nothing is written when part of the range cannot be read. The "
               "guest runs on meanwhile: `stop` first for one moment's picture.",
    .args = memsave_args,
    .run = run_memsave,
};
MONITOR_COMMAND_REGISTER(memsave_command);

static const MonitorCommand pmemsave_command = {
    .name = "pmemsave",
    .qmp = "pmemsave",
    .hmp = "pmemsave",
    .help = "Writes memory at a guest-physical address to a file.",
    .details = "`pmemsave 0 1M /tmp/low.bin`. Nothing is written when part of the range cannot be "
               "read. The guest runs on meanwhile: `stop` first for one moment's picture.",
    .args = pmemsave_args,
    .run = run_pmemsave,
};
MONITOR_COMMAND_REGISTER(pmemsave_command);
