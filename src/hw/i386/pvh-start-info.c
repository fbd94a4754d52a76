/* SPDX-License-Identifier: MIT */
/* Fills struct hvm_start_info, the page that a PVH kernel finds through %ebx. */
#include <string.h>

#include "boot-internal.h"

/* Xen public/arch-x86/hvm/start_info.h, version 1; all fields little endian. */
#define START_INFO_MAGIC   0x336ec578
#define START_INFO_VERSION 1

typedef struct PvhStartInfo {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t module_count;
    uint64_t modules; /* guest-physical addresses from here on */
    uint64_t cmdline;
    uint64_t rsdp;
    uint64_t memory_map;
    uint32_t memory_map_entries;
    uint32_t reserved;
} PvhStartInfo;

typedef struct PvhModule {
    uint64_t base;
    uint64_t size;
    uint64_t cmdline;
    uint64_t reserved;
} PvhModule;

typedef struct PvhMemoryMapEntry {
    uint64_t base;
    uint64_t size;
    uint32_t type; /* as in e820 */
    uint32_t reserved;
} PvhMemoryMapEntry;

/* The page: start info, the one module, the memory map up to the page's end. */
#define MODULE_OFFSET     0x40
#define MEMORY_MAP_OFFSET 0x60
#define MEMORY_MAP_MAX    ((BOOT_PAGE_SIZE - MEMORY_MAP_OFFSET) / sizeof(PvhMemoryMapEntry))

_Static_assert(sizeof(PvhStartInfo) == 56, "hvm_start_info version 1 has 56 bytes");
_Static_assert(sizeof(PvhModule) == 32, "hvm_modlist_entry has 32 bytes");
_Static_assert(sizeof(PvhMemoryMapEntry) == 24, "hvm_memmap_table_entry has 24 bytes");
_Static_assert(MODULE_OFFSET + sizeof(PvhModule) <= MEMORY_MAP_OFFSET, "no overlap in the page");

bool pvh_start_info_fill(uint8_t *page, uint64_t page_gpa, const BootParamsInput *input,
                         GError **error)
{
    size_t count;
    const E820Entry *entries = e820_table_entries(input->e820, &count);

    if (count > MEMORY_MAP_MAX) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "PVH memory map: %zu entries; the page has room for %zu", count,
                    (size_t)MEMORY_MAP_MAX);
        return false;
    }

    PvhStartInfo info = {
        .magic = START_INFO_MAGIC,
        .version = START_INFO_VERSION,
        .cmdline = input->cmdline,
        .rsdp = input->rsdp,
        .memory_map = page_gpa + MEMORY_MAP_OFFSET,
        .memory_map_entries = count,
    };

    if (input->initrd_size) {
        PvhModule module = {.base = input->initrd, .size = input->initrd_size};

        info.module_count = 1;
        info.modules = page_gpa + MODULE_OFFSET;
        memcpy(page + MODULE_OFFSET, &module, sizeof(module));
    }
    memcpy(page, &info, sizeof(info));
    for (size_t i = 0; i < count; i++) {
        PvhMemoryMapEntry entry = {
            .base = entries[i].base,
            .size = entries[i].size,
            .type = entries[i].type,
        };

        memcpy(page + MEMORY_MAP_OFFSET + i * sizeof(entry), &entry, sizeof(entry));
    }
    return true;
}
