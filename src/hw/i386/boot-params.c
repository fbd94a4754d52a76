/* SPDX-License-Identifier: MIT */
/* Fills struct boot_params, the page that a Linux kernel finds through %rsi. */
#include <string.h>

#include "boot-internal.h"

#define LOADER_UNDEFINED 0xff   /* no assigned boot loader number */
#define VIDEO_NORMAL     0xffff /* the mode that is set */

_Static_assert(sizeof(struct boot_params) == BOOT_PAGE_SIZE, "boot_params is one page");

static bool fill_e820(struct boot_params *params, const E820Table *e820, GError **error)
{
    size_t count;
    const E820Entry *entries = e820_table_entries(e820, &count);

    if (count > E820_MAX_ENTRIES_ZEROPAGE) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "e820: %zu entries; boot_params has room for %d", count,
                    E820_MAX_ENTRIES_ZEROPAGE);
        return false;
    }
    params->e820_entries = count;
    for (size_t i = 0; i < count; i++) {
        params->e820_table[i] = (struct boot_e820_entry){
            .addr = entries[i].base,
            .size = entries[i].size,
            .type = entries[i].type,
        };
    }
    return true;
}

bool boot_params_fill(struct boot_params *params, const BzImage *bz, const BootParamsInput *input,
                      GError **error)
{
    struct setup_header *header = &params->hdr;

    if (!fill_e820(params, input->e820, error)) {
        return false;
    }
    /*
     * The header as the file has it, fields newer than our struct included; nothing from around
     * it, or the kernel's sentinel tells it to distrust the page.
     */
    memcpy((uint8_t *)params + BZIMAGE_HEADER_OFFSET, bz->raw, bz->raw_length);
    header->vid_mode = VIDEO_NORMAL;
    header->type_of_loader = LOADER_UNDEFINED;
    header->ext_loader_type = 0;
    header->ext_loader_ver = 0;
    /* No real-mode code runs: no heap. The 32-bit entry may load its own segments. */
    header->loadflags = (header->loadflags & ~(CAN_USE_HEAP | KEEP_SEGMENTS)) | LOADED_HIGH;
    header->heap_end_ptr = 0;
    header->code32_start = bz->load;
    header->cmd_line_ptr = input->cmdline;
    params->ext_cmd_line_ptr = input->cmdline >> 32;
    header->ramdisk_image = input->initrd;
    header->ramdisk_size = input->initrd_size;
    params->ext_ramdisk_image = input->initrd >> 32;
    params->ext_ramdisk_size = input->initrd_size >> 32;
    if (bz->header.version >= 0x0209) {
        header->setup_data = input->setup_data;
    }
    /* Kernels that do not know the field see padding here and search the BIOS area instead. */
    params->acpi_rsdp_addr = input->rsdp;
    return true;
}
