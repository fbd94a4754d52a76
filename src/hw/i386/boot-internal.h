/* SPDX-License-Identifier: MIT */
/* What the parts of the kernel loader share: files, the two image formats, parameters, layout. */
#ifndef HW_I386_BOOT_INTERNAL_H
#define HW_I386_BOOT_INTERNAL_H

#include <asm/bootparam.h>
#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "tessera/hw/i386/e820.h"
#include "tessera/hw/i386/linux-image.h"
#include "tessera/hw/i386/linux-loader.h"
#include "tessera/hw/i386/pc-map.h"
#include "tessera/util/error.h"
#include "tessera/util/x86-entry.h"

#define BOOT_PAGE_SIZE 4096ULL

static inline uint64_t boot_page_up(uint64_t size)
{
    return (size + BOOT_PAGE_SIZE - 1) & ~(BOOT_PAGE_SIZE - 1);
}

/* Files: boot-file.c */

/* A file that is read again at each reset. */
typedef struct BootFile {
    int fd;
    char *path;       /* as the user gave it */
    const char *what; /* "kernel" or "initrd" */
    bool named;       /* opened by its path, so the path can be asked again */
    uint64_t size;
    struct stat opened; /* as it was then */
} BootFile;

/* Opens a regular file. @what starts every message. */
BootFile *boot_file_open(const char *path, const char *what, GError **error);
/* Takes over @fd, also on failure. */
BootFile *boot_file_new(int fd, const char *name, const char *what, GError **error);
void boot_file_free(BootFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BootFile, boot_file_free)
/* Reads exactly @length bytes at @offset. */
bool boot_file_read(const BootFile *file, uint64_t offset, void *buffer, uint64_t length,
                    GError **error);
/* False when the open file was written to or truncated since it was opened. */
bool boot_file_check_unchanged(const BootFile *file, GError **error);
/* Whether the path now names another file, or none. */
bool boot_file_replaced(const BootFile *file);
/** boot_file_refuse() - "kernel 'PATH' (KIND): ..."; returns false */
bool boot_file_refuse(const BootFile *file, const char *kind, GError **error, const char *format,
                      ...) G_GNUC_PRINTF(4, 5);
/* "51.5 MiB", "3 GiB", "12 KiB", "17 bytes": a new string. */
char *boot_format_size(uint64_t size);

/* bzImage: bzimage.c */

#define BZIMAGE_HEADER_OFFSET 0x1f1 /* of setup_header, in the file and in boot_params */
#define BZIMAGE_HEADER_LIMIT  0x290 /* where it ends at most */
#define BZIMAGE_ENTRY_64      0x200 /* offset of the 64-bit entry in the protected-mode code */

typedef struct BzImage {
    struct setup_header header; /* fields that its protocol does not have are 0 */
    uint8_t raw[BZIMAGE_HEADER_LIMIT - BZIMAGE_HEADER_OFFSET]; /* header as in the file */
    size_t raw_length;
    uint64_t code_offset; /* protected-mode code in the file */
    uint64_t code_size;
    uint64_t load;        /* guest-physical address of its first byte */
    uint64_t need;        /* bytes from @load that must be free: at least code_size */
    uint64_t cmdline_max; /* bytes without the terminating 0 */
    bool entry_64;
} BzImage;

/* Whether the first bytes of a file carry the bzImage's marks. */
bool bzimage_probe(const uint8_t *start, size_t length);
bool bzimage_parse(const BootFile *file, BzImage *ret_bz, GError **error);

/* ELF with a PVH note: elf-pvh.c */

#define ELF_PVH_SEGMENTS_MAX 64

typedef struct ElfPvhSegment {
    uint64_t offset; /* in the file */
    uint64_t paddr;
    uint64_t filesz;
    uint64_t memsz; /* above 0; what exceeds filesz is zeroed */
} ElfPvhSegment;

typedef struct ElfPvh {
    ElfPvhSegment segments[ELF_PVH_SEGMENTS_MAX];
    size_t segment_count;
    uint64_t end;   /* of the highest segment */
    uint32_t entry; /* physical */
} ElfPvh;

bool elf_pvh_probe(const uint8_t *start, size_t length);
bool elf_pvh_parse(const BootFile *file, ElfPvh *ret_elf, GError **error);

struct LinuxImage {
    BootFile *file;
    LinuxImageKind kind;
    BzImage bz; /* of a LINUX_IMAGE_BZIMAGE */
    ElfPvh elf; /* of a LINUX_IMAGE_ELF_PVH */
};

/* What both parameter pages tell the kernel: boot-params.c, pvh-start-info.c */

typedef struct BootParamsInput {
    const E820Table *e820;
    uint64_t cmdline; /* guest-physical addresses and sizes in bytes; 0 where there is none */
    uint64_t initrd;
    uint64_t initrd_size;
    uint64_t setup_data;
    uint64_t rsdp;
} BootParamsInput;

/* Fills the zeroed page. False when the memory map has more entries than fit. */
bool boot_params_fill(struct boot_params *params, const BzImage *bz, const BootParamsInput *input,
                      GError **error);
/* Fills a zeroed page that the guest sees at @page_gpa. */
bool pvh_start_info_fill(uint8_t *page, uint64_t page_gpa, const BootParamsInput *input,
                         GError **error);

/* setup_data: boot-setup-data.c. @list is an array of LinuxSetupData (next unused). */

/* Bytes that the list takes in guest memory; UINT64_MAX when a blob cannot be described. */
uint64_t boot_setup_data_size(const GArray *list);
/* Writes it, for the guest to find at @gpa, a multiple of 8. */
void boot_setup_data_write(uint8_t *host, uint64_t gpa, const GArray *list);

/* Entry: boot-entry.c */

void boot_entry_long_64(X86EntryState *state, uint64_t rip, uint64_t rsi);
void boot_entry_protected_32(X86EntryState *state, uint32_t rip, uint32_t rsi, uint32_t rbx);
/* Descriptors for every segment of @state into a zeroed page. */
void boot_entry_write_gdt(uint8_t *page, const X86EntryState *state);
/* PML4, PDPT and four page directories that map the first 4 GiB one to one, 2 MiB pages. */
void boot_entry_write_page_tables(uint8_t *host, uint64_t gpa);

/* Layout: boot-layout.c */

typedef struct BootLayout {
    const E820Table *e820;
    GArray *ranges; /* of LinuxBootRange, ascending, no overlap, all RAM */
} BootLayout;

void boot_layout_init(BootLayout *layout, const E820Table *e820);
void boot_layout_done(BootLayout *layout);
/* Claims [base, base + size) for @what, which must live as long as the layout. */
bool boot_layout_add(BootLayout *layout, const char *what, uint64_t base, uint64_t size,
                     GError **error);
/* Highest free page-aligned place for @size bytes within [low, high); false when there is none. */
bool boot_layout_find_high(const BootLayout *layout, uint64_t size, uint64_t low, uint64_t high,
                           uint64_t *ret_base);

/* The plan: made in linux-boot-plan.c, written in linux-loader.c */

#define BOOT_STACK_BASE (PC_BOOT_PARAMS_BASE + BOOT_PAGE_SIZE)

struct LinuxBootPlan {
    const LinuxImage *image;
    BootFile *initrd; /* NULL when there is none */
    char *cmdline;
    GArray *setup_data; /* of LinuxSetupData, each with a reference to its data */
    E820Table *e820;
    BootLayout layout;
    BootParamsInput input;
    X86EntryState entry;
    uint64_t ram_total; /* bytes, as -m gave them */
    uint64_t low_top;   /* end of usable RAM below 4 GiB */
    uint64_t low_taken; /* bytes of low RAM above it, for ACPI tables */
};

static inline bool boot_plan_is_bzimage(const LinuxBootPlan *plan)
{
    return plan->image->kind == LINUX_IMAGE_BZIMAGE;
}

#endif
