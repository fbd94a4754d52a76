/* SPDX-License-Identifier: MIT */
/* Tells which kind of kernel a file is. */
#include "tessera/hw/i386/linux-image.h"

#include <inttypes.h>
#include <string.h>

#include "boot-internal.h"

#define PROBE_SIZE 0x208 /* enough to see the marks of every kind */

/* What a file that is no kernel seems to be, for a helpful refusal. */
static const struct {
    const char *magic;
    size_t length;
    const char *hint;
} known_files[] = {
    {"\x1f\x8b", 2, "it is gzip data; unpack it first, or is it an initrd?"},
    {"\xfd"
     "7zXZ",
     5, "it is xz data; unpack it first"},
    {"\x28\xb5\x2f\xfd", 4, "it is zstd data; unpack it first, or is it an initrd?"},
    {"070701", 6, "it is a cpio archive: an initrd?"},
    {"!<arch>", 7, "it is a package or archive: extract the kernel from it"},
    {"QFI\xfb", 4, "it is a qcow2 disk image"},
};

static LinuxImage *open_file(BootFile *file, GError **error)
{
    uint8_t start[PROBE_SIZE] = {0};
    size_t length = MIN(file->size, sizeof(start));
    g_autoptr(LinuxImage) image = g_new0(LinuxImage, 1);
    const char *hint = "it starts neither as a bzImage nor as an ELF file";

    image->file = file;
    if (!boot_file_read(file, 0, start, length, error)) {
        return NULL;
    }
    if (elf_pvh_probe(start, length)) {
        image->kind = LINUX_IMAGE_ELF_PVH;
        return elf_pvh_parse(file, &image->elf, error) ? g_steal_pointer(&image) : NULL;
    }
    if (bzimage_probe(start, length)) {
        image->kind = LINUX_IMAGE_BZIMAGE;
        return bzimage_parse(file, &image->bz, error) ? g_steal_pointer(&image) : NULL;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(known_files); i++) {
        if (length >= known_files[i].length &&
            !memcmp(start, known_files[i].magic, known_files[i].length)) {
            hint = known_files[i].hint;
        }
    }
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                "kernel '%s' (%" PRIu64 " bytes) is no kernel: %s", file->path, file->size, hint);
    return NULL;
}

LinuxImage *linux_image_open(const char *path, GError **error)
{
    BootFile *file = boot_file_open(path, "kernel", error);

    return file ? open_file(file, error) : NULL;
}

LinuxImage *linux_image_open_fd(int fd, const char *name, GError **error)
{
    BootFile *file = boot_file_new(fd, name, "kernel", error);

    return file ? open_file(file, error) : NULL;
}

void linux_image_free(LinuxImage *image)
{
    if (image) {
        boot_file_free(image->file);
        g_free(image);
    }
}

LinuxImageKind linux_image_kind(const LinuxImage *image)
{
    return image->kind;
}

char *linux_image_describe(const LinuxImage *image)
{
    g_autofree char *size = boot_format_size(image->file->size);

    if (image->kind == LINUX_IMAGE_ELF_PVH) {
        return g_strdup_printf("ELF, PVH entry at %#x, %zu segments, %s", image->elf.entry,
                               image->elf.segment_count, size);
    }
    return g_strdup_printf("bzImage, boot protocol %u.%02u, %d-bit entry, %s",
                           image->bz.header.version >> 8, image->bz.header.version & 0xff,
                           image->bz.entry_64 ? 64 : 32, size);
}
