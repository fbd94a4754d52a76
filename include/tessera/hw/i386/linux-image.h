/* SPDX-License-Identifier: MIT */
/* A kernel file that a PC can start without firmware: a bzImage, or an ELF file with a PVH note. */
#ifndef TESSERA_HW_I386_LINUX_IMAGE_H
#define TESSERA_HW_I386_LINUX_IMAGE_H

#include <glib.h>
#include <stdint.h>

/*
 * bzImage (Linux Documentation/arch/x86/boot.rst; offsets in the file, little endian):
 *
 *   0x1f1  setup sectors, 512 bytes each (0 means 4)    0x22c  highest address for an initrd
 *   0x1f4  protected-mode code in units of 16 bytes     0x230  alignment of the load address
 *   0x1fe  0xaa55                                       0x234  relocatable
 *   0x201  where the header ends, less 0x202            0x236  flags: bit 0 has a 64-bit entry
 *   0x202  "HdrS"                                       0x238  longest command line
 *   0x206  protocol, 2.06 or newer                      0x248  compressed kernel: offset, length
 *   0x211  load flags: bit 0 loads at 1 MiB or above    0x258  address it prefers, bytes it needs
 *
 *   (setup sectors + 1) * 512: protected-mode code. Its 32-bit entry is its first byte, its 64-bit
 *   entry 0x200 bytes further.
 *
 * ELF (Xen docs/misc/pvh.pandoc, x86/HVM direct boot ABI): an executable for x86-64 with a note of
 * type 18 and name "Xen", whose descriptor is the physical address to enter in 32-bit mode.
 */

typedef enum LinuxImageKind {
    LINUX_IMAGE_BZIMAGE,
    LINUX_IMAGE_ELF_PVH,
} LinuxImageKind;

typedef struct LinuxImage LinuxImage;

/**
 * linux_image_open() - opens a kernel, classifies it and checks its headers
 * @path: the file; it stays open until linux_image_free(), and nothing but headers is kept
 *
 * Return: the image, or NULL and @error: a sentence with the path, the number that is wrong and
 * what would do: TESSERA_ERROR_SYSTEM where the file cannot be opened or read,
 * TESSERA_ERROR_INVALID where it is no kernel, truncated, or one that cannot be started.
 */
LinuxImage *linux_image_open(const char *path, GError **error);

/**
 * linux_image_open_fd() - the same for a file that is open already
 * @fd: readable and seekable; owned by the image from here on, closed also on failure
 * @name: how messages call the file. It is not opened
 */
LinuxImage *linux_image_open_fd(int fd, const char *name, GError **error);

/**
 * linux_image_free() - closes the file; NULL is allowed
 *
 * Plans made of the image must be gone before.
 */
void linux_image_free(LinuxImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LinuxImage, linux_image_free)

/**
 * linux_image_kind() - how the image will be started
 */
LinuxImageKind linux_image_kind(const LinuxImage *image);

/**
 * linux_image_describe() - the image in one line, for -d and the monitor
 *
 * Return: a new string, such as "bzImage, boot protocol 2.15, 64-bit entry, 13.5 MiB".
 */
char *linux_image_describe(const LinuxImage *image);

#endif
