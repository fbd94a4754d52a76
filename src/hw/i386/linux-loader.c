/* SPDX-License-Identifier: MIT */
/* Writes a boot plan into guest RAM: at start and again at each reset. */
#include "tessera/hw/i386/linux-loader.h"

#include <inttypes.h>
#include <string.h>

#include "boot-internal.h"
#include "tessera/hw/i386/pc-map.h"

typedef struct Writer {
    const GuestMemoryOps *ops;
    void *opaque;
    GError **error;
} Writer;

static uint8_t *host_range(const Writer *writer, const char *what, uint64_t gpa, uint64_t size)
{
    uint8_t *host = writer->ops->host(writer->opaque, gpa, size);

    if (!host) {
        g_set_error(writer->error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "%s: the machine has no RAM at [%#" PRIx64 ", %#" PRIx64 ")", what, gpa,
                    gpa + size);
    }
    return host;
}

static bool read_file(const Writer *writer, const BootFile *file, uint64_t offset, uint64_t gpa,
                      uint64_t size)
{
    uint8_t *host = host_range(writer, file->what, gpa, size);

    return host && boot_file_read(file, offset, host, size, writer->error);
}

static bool load_elf(const LinuxImage *image, const Writer *writer)
{
    for (size_t i = 0; i < image->elf.segment_count; i++) {
        const ElfPvhSegment *segment = &image->elf.segments[i];
        uint64_t rest = segment->memsz - segment->filesz;

        if (segment->filesz &&
            !read_file(writer, image->file, segment->offset, segment->paddr, segment->filesz)) {
            return false;
        }
        if (rest) {
            uint8_t *host = host_range(writer, "kernel", segment->paddr + segment->filesz, rest);

            if (!host) {
                return false;
            }
            memset(host, 0, rest);
        }
    }
    return true;
}

static bool load_files(const LinuxBootPlan *plan, const Writer *writer)
{
    const LinuxImage *image = plan->image;

    if (boot_plan_is_bzimage(plan) ? !read_file(writer, image->file, image->bz.code_offset,
                                                image->bz.load, image->bz.code_size)
                                   : !load_elf(image, writer)) {
        return false;
    }
    return !plan->initrd ||
           read_file(writer, plan->initrd, 0, plan->input.initrd, plan->input.initrd_size);
}

static bool write_parameters(const LinuxBootPlan *plan, const Writer *writer)
{
    uint8_t *page = host_range(writer, "boot parameters", PC_BOOT_PARAMS_BASE, BOOT_PAGE_SIZE);

    if (!page) {
        return false;
    }
    memset(page, 0, BOOT_PAGE_SIZE);
    return boot_plan_is_bzimage(plan)
               ? boot_params_fill((struct boot_params *)page, &plan->image->bz, &plan->input,
                                  writer->error)
               : pvh_start_info_fill(page, PC_BOOT_PARAMS_BASE, &plan->input, writer->error);
}

static bool write_tables(const LinuxBootPlan *plan, const Writer *writer)
{
    uint8_t *gdt = host_range(writer, "GDT", PC_BOOT_GDT_BASE, BOOT_PAGE_SIZE);
    uint64_t stack_size = PC_BOOT_STACK_TOP - BOOT_STACK_BASE;
    uint8_t *stack = host_range(writer, "stack", BOOT_STACK_BASE, stack_size);

    if (!gdt || !stack) {
        return false;
    }
    memset(gdt, 0, BOOT_PAGE_SIZE);
    memset(stack, 0, stack_size);
    boot_entry_write_gdt(gdt, &plan->entry);
    if (plan->entry.mode == X86_ENTRY_LONG_64) {
        uint8_t *tables =
            host_range(writer, "page tables", PC_BOOT_PAGE_TABLE_BASE, PC_BOOT_PAGE_TABLE_SIZE);

        if (!tables) {
            return false;
        }
        boot_entry_write_page_tables(tables, PC_BOOT_PAGE_TABLE_BASE);
    }
    return true;
}

static bool write_strings(const LinuxBootPlan *plan, const Writer *writer)
{
    size_t length = strlen(plan->cmdline) + 1;
    uint8_t *cmdline = host_range(writer, "command line", PC_BOOT_CMDLINE_BASE, length);

    if (!cmdline) {
        return false;
    }
    memcpy(cmdline, plan->cmdline, length);
    if (plan->setup_data->len) {
        uint64_t gpa = plan->input.setup_data;
        uint8_t *host =
            host_range(writer, "setup_data", gpa, boot_setup_data_size(plan->setup_data));

        if (!host) {
            return false;
        }
        boot_setup_data_write(host, gpa, plan->setup_data);
    }
    return true;
}

static bool check_files(const LinuxBootPlan *plan, GError **error)
{
    return boot_file_check_unchanged(plan->image->file, error) &&
           (!plan->initrd || boot_file_check_unchanged(plan->initrd, error));
}

bool linux_boot_plan_load(LinuxBootPlan *plan, const GuestMemoryOps *ops, void *opaque,
                          GError **error)
{
    Writer writer = {.ops = ops, .opaque = opaque, .error = error};

    /* Looked at once more afterwards: somebody may write to a file while it is read. */
    return check_files(plan, error) && load_files(plan, &writer) && write_tables(plan, &writer) &&
           write_parameters(plan, &writer) && write_strings(plan, &writer) &&
           check_files(plan, error);
}
