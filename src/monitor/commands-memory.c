/* SPDX-License-Identifier: MIT */
/* Commands that show guest memory: x and xp. */
#include "command-util-internal.h"
#include "memory-format-internal.h"

#include <inttypes.h>
#include "tessera/machine/guest-view.h"

/* Line by line; a line that cannot be read ends the dump, as memory does. */
static void dump(GuestView *view, const MemoryFormat *format, uint64_t addr, GString *out)
{
    uint64_t left = memory_format_bytes(format);
    unsigned line = memory_format_line_bytes(format);
    uint8_t bytes[16];

    while (left > 0) {
        unsigned len = (unsigned)MIN(left, line);

        g_string_append_printf(out, "%016" PRIx64 ":", addr);
        if (!guest_view_read(view, addr, bytes, len)) {
            g_string_append(out, " Cannot access memory\n");
            return;
        }
        memory_format_append(format, bytes, len, out);
        g_string_append_c(out, '\n');
        addr += len;
        left -= len;
    }
}

static bool run_dump(Monitor *mon, json_t *args, bool physical, GString *out, GError **error)
{
    GuestView view = guest_view(monitor_machine(mon), physical, monitor_cpu(mon));
    MemoryFormat format;

    if (!memory_format_parse(arg_string(args, "fmt"), &format, error)) {
        return false;
    }
    dump(&view, &format, arg_u64(args, "addr"), out);
    if (format.letter == 'i') {
        g_string_append_printf(out, "(bytes only: there is no disassembler; %" PRIu64
                               " instructions take at most these)\n", format.count);
    }
    return true;
}

static bool run_x(Monitor *mon, json_t *args, GString *out, GError **error)
{
    return run_dump(mon, args, false, out, error);
}

static bool run_xp(Monitor *mon, json_t *args, GString *out, GError **error)
{
    return run_dump(mon, args, true, out, error);
}

static const MonitorArg dump_args[] = {
    { .name = "fmt", .type = MONITOR_ARG_FORMAT, .optional = true },
    { .name = "addr", .type = MONITOR_ARG_ADDR },
    { 0 },
};

#define FORMAT_HELP                                                                               \
    "/fmt is a count, a format and a size: x hexadecimal, d signed, u unsigned, o octal, c "      \
    "characters, i instruction bytes (there is no disassembler); b, h, w, g: 1, 2, 4, 8 bytes. "  \
    "Without it /1xw. A line that says Cannot access memory ends the dump. Memory only: devices "  \
    "are not read, because that may change them."

static const MonitorCommand x_command = {
    .name = "x",
    .hmp = "x",
    .help = "Shows memory at a guest-virtual address: `x/8xg $rsp`.",
    .details = "The address goes through the page tables of the monitor's vCPU (`cpu N`) as they "
               "are now. " FORMAT_HELP,
    .args = dump_args,
    .run_text = run_x,
};
MONITOR_COMMAND_REGISTER(x_command);

static const MonitorCommand xp_command = {
    .name = "xp",
    .hmp = "xp",
    .help = "Shows memory at a guest-physical address: `xp/16xb 0xfffe0`.",
    .details = FORMAT_HELP,
    .args = dump_args,
    .run_text = run_xp,
};
MONITOR_COMMAND_REGISTER(xp_command);
