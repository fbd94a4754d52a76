/* SPDX-License-Identifier: MIT */
/* A machine as files: its memory map as text or picture, its device tree. */
#include "machine-internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "tessera/hw/core/device.h"
#include "tessera/memory/mtree-dump.h"
#include "tessera/picture/picture.h"
#include "tessera/util/error.h"

/* The memory map as data. */

static char *owner_name(Object *owner)
{
    const Device *dev = device_from_object(owner);

    if (!dev) {
        return g_strdup(owner ? "object" : "board");
    }
    return dev->id ? g_strdup_printf("device %s (%s)", dev->id, dev->cls->name)
                   : g_strdup_printf("device %s", dev->cls->name);
}

static void add_slot(const KvmSlotInfo *info, void *opaque)
{
    MapSlot slot = {
        .start = info->gpa,
        .last = info->gpa + info->size - 1,
        .id = info->id,
        .readonly = info->readonly,
        .logged = info->dirty_log,
    };

    map_view_add_slot(opaque, &slot, info->region);
}

typedef struct NoteViews {
    MapView *memory;
    MapView *io;
} NoteViews;

static void add_note(bool io, hwaddr start, uint64_t size, const char *text, void *opaque)
{
    const NoteViews *views = opaque;

    map_view_add_note(io ? views->io : views->memory, start, start + size - 1, text);
}

MapSnapshot *machine_memory_map(Machine *machine)
{
    MapSnapshot *map;
    NoteViews views;

    memory_system_lock(machine->ms);
    map = map_snapshot_take(machine->ms, owner_name);
    views.memory = map_snapshot_view_of(map, address_space_name(machine_memory(machine)));
    views.io = map_snapshot_view_of(map, address_space_name(machine_io(machine)));
    kvm_for_each_slot(machine->kvm, add_slot, views.memory);
    memory_system_unlock(machine->ms);
    pc_for_each_note(machine->pc, add_note, &views);
    return map;
}

bool machine_draw_memory_map(Machine *machine, const char *path, GError **error)
{
    g_autoptr(MapSnapshot) map = NULL;
    PictureFormat format;

    if (!picture_format(path, &format, error)) {
        return false;
    }
    map = machine_memory_map(machine);
    return picture_write(map, path,
                         machine->config->name ? machine->config->name : "Memory map", error);
}

/* Files. */

/*
 * Writes into what @path names, be it a device, a pipe or a link: g_file_set_contents() would put a
 * new file in its place. "-" is standard output.
 */
static bool write_dump(const char *path, const void *data, size_t len, const char *option,
                       GError **error)
{
    bool to_stdout = strcmp(path, "-") == 0;
    FILE *file = to_stdout ? stdout : fopen(path, "we");
    bool written;

    if (!file) {
        error_set_errno(error, errno, "-machine %s=%s", option, path);
        return false;
    }
    written = fwrite(data, 1, len, file) == len;
    if ((to_stdout ? fflush(file) : fclose(file)) != 0 || !written) {
        error_set_errno(error, errno, "-machine %s=%s%s", option, path,
                        to_stdout ? ": standard output" : "");
        return false;
    }
    return true;
}

static bool dump_text(Machine *machine, const char *path, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);

    memory_system_lock(machine->ms);
    memory_dump_tree(machine->ms, text);
    g_string_append_c(text, '\n');
    memory_dump_flatviews(machine->ms, text);
    g_string_append_c(text, '\n');
    kvm_dump_slots(machine->kvm, text);
    memory_system_unlock(machine->ms);
    return write_dump(path, text->str, text->len, "dump-memory-map", error);
}

bool machine_dump_memory_map(Machine *machine, const char *path, GError **error)
{
    PictureFormat format = PICTURE_NONE;
    bool ok = picture_or_text(path, &format, error);

    if (ok && format == PICTURE_NONE) {
        return dump_text(machine, path, error);
    }
    ok = ok && machine_draw_memory_map(machine, path, error);
    if (!ok) {
        g_prefix_error(error, "-machine dump-memory-map=");
    }
    return ok;
}

bool machine_dump_device_tree(Machine *machine, const char *path, GError **error)
{
    g_autoptr(GByteArray) blob = pc_device_tree(machine->pc, error);

    if (!blob) {
        g_prefix_error(error, "-machine dumpdtb=%s: ", path);
        return false;
    }
    return write_dump(path, blob->data, blob->len, "dumpdtb", error);
}
