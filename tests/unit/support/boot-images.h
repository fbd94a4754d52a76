/* SPDX-License-Identifier: MIT */
/* Small kernels made in memory, and a small guest RAM to load them into. */
#ifndef TESTS_UNIT_SUPPORT_BOOT_IMAGES_H
#define TESTS_UNIT_SUPPORT_BOOT_IMAGES_H

#include <glib.h>
#include <stdint.h>

#include "tessera/hw/i386/linux-loader.h"

/* The bzImage that bzimage_make() gives, before a test changes it. */
#define BZ_CODE_OFFSET 0xa00 /* 4 setup sectors and the boot sector */
#define BZ_CODE_SIZE   0x1000
#define BZ_LOAD        0x1000000
#define BZ_INIT_SIZE   0x300000

/* Header fields, by their offset in the file. */
enum {
    BZ_SETUP_SECTS = 0x1f1,
    BZ_SYSSIZE = 0x1f4,
    BZ_BOOT_FLAG = 0x1fe,
    BZ_JUMP_SIZE = 0x201,
    BZ_MAGIC = 0x202,
    BZ_VERSION = 0x206,
    BZ_LOADFLAGS = 0x211,
    BZ_INITRD_ADDR_MAX = 0x22c,
    BZ_ALIGNMENT = 0x230,
    BZ_RELOCATABLE = 0x234,
    BZ_XLOADFLAGS = 0x236,
    BZ_CMDLINE_SIZE = 0x238,
    BZ_PAYLOAD_OFFSET = 0x248,
    BZ_PAYLOAD_LENGTH = 0x24c,
    BZ_PREF_ADDRESS = 0x258,
    BZ_INIT_SIZE_FIELD = 0x260,
};

/* The ELF file that elf_make() gives: header, two PT_LOAD, one PT_NOTE, then code and note. */
#define ELF_PHDR(n)      (0x40 + (n)*0x38)
#define ELF_NOTE_OFFSET  0x200
#define ELF_CODE_OFFSET  0x400
#define ELF_CODE_SIZE    0x200
#define ELF_DATA_OFFSET  0x600
#define ELF_DATA_SIZE    0x100
#define ELF_DATA_MEMSIZE 0x3000
#define ELF_CODE_PADDR   0x100000
#define ELF_DATA_PADDR   0x200000
#define ELF_ENTRY        (ELF_CODE_PADDR + 0x10)

enum {
    ELF_CLASS = 0x04,
    ELF_DATA = 0x05,
    ELF_TYPE = 0x10,
    ELF_MACHINE = 0x12,
    ELF_PHOFF = 0x20,
    ELF_PHENTSIZE = 0x36,
    ELF_PHNUM = 0x38,
    PHDR_TYPE = 0x00,
    PHDR_OFFSET = 0x08,
    PHDR_PADDR = 0x18,
    PHDR_FILESZ = 0x20,
    PHDR_MEMSZ = 0x28,
    PHDR_ALIGN = 0x30,
    NOTE_NAMESZ = ELF_NOTE_OFFSET,
    NOTE_DESCSZ = ELF_NOTE_OFFSET + 4,
    NOTE_TYPE = ELF_NOTE_OFFSET + 8,
    NOTE_NAME_AT = ELF_NOTE_OFFSET + 12,
    NOTE_DESC = ELF_NOTE_OFFSET + 16,
};

/* Protocol 2.15, relocatable, 64-bit entry; byte i of the code is image_pattern(i). */
GByteArray *bzimage_make(void);
/* Code and data segment with a bss; the same pattern over the file offsets. */
GByteArray *elf_make(void);
uint8_t image_pattern(uint64_t offset);

/* Writes @size bytes (1, 2, 4 or 8), little endian. */
void image_put(GByteArray *image, size_t offset, uint64_t value, unsigned size);
uint64_t image_get(const uint8_t *bytes, size_t offset, unsigned size);

/* A memfd with these bytes; the caller or linux_image_open_fd() closes it. */
int image_memfd(const GByteArray *image);
/* A new temporary file with these bytes (or @size zero bytes when @image is NULL): its path. */
char *image_temp_file(const GByteArray *image, uint64_t size);
void image_temp_file_remove(char *path);

/* Opens @image from a memfd and frees @image. */
LinuxImage *image_open_take(GByteArray *image, GError **error);

typedef struct FakeRam {
    uint8_t *low; /* [0, low_size) */
    uint64_t low_size;
    uint8_t *high; /* from 4 GiB */
    uint64_t high_size;
    unsigned calls;
    unsigned fail_call; /* this call of host() gives NULL, counted from 1; 0: none */
} FakeRam;

FakeRam *fake_ram_new(const PcInfo *pc);
void fake_ram_free(FakeRam *ram);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeRam, fake_ram_free)
/* The host address; NULL outside of RAM and in the holes below 1 MiB. */
uint8_t *fake_ram_at(FakeRam *ram, uint64_t gpa, uint64_t length);
extern const GuestMemoryOps fake_ram_ops;

#endif
