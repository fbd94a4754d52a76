/* SPDX-License-Identifier: MIT */
/* The plan of a direct kernel boot: what goes where, and whether it fits. */
#include "tessera/hw/i386/linux-loader.h"

#include <inttypes.h>
#include <string.h>

#include "boot-internal.h"
#include "tessera/hw/i386/pc-map.h"

static void setup_data_clear(gpointer entry)
{
    g_bytes_unref(((LinuxSetupData *)entry)->data);
}

static uint64_t kernel_end(const LinuxBootPlan *plan)
{
    return boot_plan_is_bzimage(plan) ? plan->image->bz.load + plan->image->bz.need
                                      : plan->image->elf.end;
}

static uint64_t kernel_base(const LinuxBootPlan *plan)
{
    const ElfPvh *elf = &plan->image->elf;
    uint64_t base = UINT64_MAX;

    if (boot_plan_is_bzimage(plan)) {
        return plan->image->bz.load;
    }
    for (size_t i = 0; i < elf->segment_count; i++) {
        base = MIN(base, elf->segments[i].paddr);
    }
    return base;
}

/* Where an initrd may end; beyond the limit in the header where the kernel can take it there. */
static uint64_t initrd_limit(const LinuxBootPlan *plan)
{
    /* PVH kernels are told 64 bits, but Linux keeps 32 of them. */
    if (!boot_plan_is_bzimage(plan)) {
        return PC_LOW_RAM_END_MAX;
    }
    return MIN(PC_LOW_RAM_END_MAX, (uint64_t)plan->image->bz.header.initrd_addr_max + 1);
}

static bool initrd_anywhere(const LinuxBootPlan *plan)
{
    return boot_plan_is_bzimage(plan) &&
           plan->image->bz.header.xloadflags & XLF_CAN_BE_LOADED_ABOVE_4G;
}

/* The rest of a sentence: the -m that is enough, or that none is. */
static char *advice(const LinuxBootPlan *plan)
{
    uint64_t initrd = plan->initrd ? boot_page_up(plan->initrd->size) : 0;
    uint64_t end = boot_page_up(kernel_end(plan));
    uint64_t limit = initrd_anywhere(plan) ? PC_LOW_RAM_END_MAX : initrd_limit(plan);
    uint64_t total;

    if (initrd_limit(plan) >= kernel_base(plan) && kernel_base(plan) >= PC_HIGH_RAM_BASE &&
        initrd <= kernel_base(plan) - PC_HIGH_RAM_BASE) {
        initrd = 0; /* it finds room under the kernel */
    }
    if (plan->input.setup_data > PC_HIGH_RAM_BASE) {
        end += boot_page_up(boot_setup_data_size(plan->setup_data));
    }
    if (end <= limit && initrd <= limit - end) {
        total = end + initrd + plan->low_taken;
    } else if (initrd_anywhere(plan)) {
        total = PC_LOW_RAM_END_MAX + initrd; /* the initrd goes above 4 GiB */
    } else {
        return g_strdup_printf("no -m helps, as both must end below %#" PRIx64, limit);
    }
    total = (total + PC_MIB - 1) / PC_MIB;
    return g_strdup_printf("use at least -m %" PRIu64 "M", total);
}

static void set_too_small(const LinuxBootPlan *plan, GError **error)
{
    g_autofree char *ram = boot_format_size(plan->ram_total);
    g_autofree char *text = advice(plan);
    g_autofree char *initrd = NULL;

    if (plan->initrd) {
        g_autofree char *size = boot_format_size(plan->initrd->size);

        initrd = g_strdup_printf(" and initrd '%s' %s", plan->initrd->path, size);
    }
    g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                "%s of RAM (usable below 4 GiB: up to %#" PRIx64
                ") is too small: kernel '%s' needs [%#" PRIx64 ", %#" PRIx64 ")%s; %s",
                ram, plan->low_top, plan->image->file->path, kernel_base(plan), kernel_end(plan),
                initrd ? initrd : "", text);
}

static bool add_low_ranges(LinuxBootPlan *plan, GError **error)
{
    BootLayout *layout = &plan->layout;

    plan->input.cmdline = PC_BOOT_CMDLINE_BASE;
    return boot_layout_add(layout, "GDT", PC_BOOT_GDT_BASE, BOOT_PAGE_SIZE, error) &&
           boot_layout_add(layout, "boot parameters", PC_BOOT_PARAMS_BASE, BOOT_PAGE_SIZE, error) &&
           boot_layout_add(layout, "stack", BOOT_STACK_BASE, PC_BOOT_STACK_TOP - BOOT_STACK_BASE,
                           error) &&
           (plan->entry.mode != X86_ENTRY_LONG_64 ||
            boot_layout_add(layout, "page tables", PC_BOOT_PAGE_TABLE_BASE, PC_BOOT_PAGE_TABLE_SIZE,
                            error)) &&
           boot_layout_add(layout, "command line", PC_BOOT_CMDLINE_BASE, strlen(plan->cmdline) + 1,
                           error);
}

static bool add_kernel(LinuxBootPlan *plan, GError **error)
{
    const LinuxImage *image = plan->image;

    if (kernel_end(plan) > plan->low_top && kernel_end(plan) <= PC_LOW_RAM_END_MAX) {
        set_too_small(plan, error);
        return false;
    }
    if (boot_plan_is_bzimage(plan)) {
        return boot_layout_add(&plan->layout, "kernel", image->bz.load, image->bz.need, error);
    }
    for (size_t i = 0; i < image->elf.segment_count; i++) {
        const ElfPvhSegment *segment = &image->elf.segments[i];

        if (!boot_layout_add(&plan->layout, "kernel", segment->paddr, segment->memsz, error)) {
            return false;
        }
    }
    return true;
}

static bool check_cmdline(const LinuxBootPlan *plan, GError **error)
{
    uint64_t limit = PC_BOOT_CMDLINE_SIZE - 1;
    size_t length = strlen(plan->cmdline);

    if (boot_plan_is_bzimage(plan)) {
        limit = MIN(limit, plan->image->bz.cmdline_max);
    }
    if (length > limit) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "-append: %zu characters; kernel '%s' takes up to %" PRIu64, length,
                    plan->image->file->path, limit);
        return false;
    }
    return true;
}

static bool add_setup_data(LinuxBootPlan *plan, GError **error)
{
    if (plan->setup_data->len == 0) {
        return true;
    }
    if (!boot_plan_is_bzimage(plan) || plan->image->bz.header.version < 0x0209) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "kernel '%s' takes no setup_data (such as -machine dtb=on): that needs a "
                    "bzImage with boot protocol 2.09 or newer",
                    plan->image->file->path);
        return false;
    }

    uint64_t size = boot_setup_data_size(plan->setup_data);
    uint64_t base = PC_BOOT_SETUP_DATA_BASE;

    if (size == UINT64_MAX) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "setup_data: each entry must have 1 to 4294967295 bytes");
        return false;
    }
    /* The kernel reads the list through early mappings anywhere below 4 GiB. */
    if (size > PC_BOOT_SETUP_DATA_SIZE &&
        !boot_layout_find_high(&plan->layout, size, PC_HIGH_RAM_BASE, plan->low_top, &base)) {
        g_autofree char *text = boot_format_size(size);

        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_LIMIT,
                    "setup_data: no room for %s between kernel and the end of low RAM at %#" PRIx64
                    ": use more memory (-m)",
                    text, plan->low_top);
        return false;
    }
    plan->input.setup_data = base;
    return boot_layout_add(&plan->layout, "setup_data", base, size, error);
}

static bool add_initrd(LinuxBootPlan *plan, GError **error)
{
    uint64_t high = MIN(initrd_limit(plan), plan->low_top);
    uint64_t base;

    if (!plan->initrd) {
        return true;
    }

    uint64_t size = plan->initrd->size;

    if (!boot_layout_find_high(&plan->layout, size, PC_HIGH_RAM_BASE, high, &base) &&
        !(initrd_anywhere(plan) &&
          boot_layout_find_high(&plan->layout, size, PC_HIGH_RAM_BASE, UINT64_MAX, &base))) {
        set_too_small(plan, error);
        return false;
    }
    plan->input.initrd = base;
    plan->input.initrd_size = size;
    return boot_layout_add(&plan->layout, "initrd", base, size, error);
}

static void fill_entry(LinuxBootPlan *plan)
{
    const LinuxImage *image = plan->image;

    if (!boot_plan_is_bzimage(plan)) {
        boot_entry_protected_32(&plan->entry, image->elf.entry, 0, PC_BOOT_PARAMS_BASE);
    } else if (image->bz.entry_64) {
        boot_entry_long_64(&plan->entry, image->bz.load + BZIMAGE_ENTRY_64, PC_BOOT_PARAMS_BASE);
    } else {
        boot_entry_protected_32(&plan->entry, image->bz.load, PC_BOOT_PARAMS_BASE, 0);
    }
}

static bool open_inputs(LinuxBootPlan *plan, const char *initrd, const LinuxSetupData *setup_data,
                        GError **error)
{
    if (initrd) {
        plan->initrd = boot_file_open(initrd, "initrd", error);
        if (!plan->initrd) {
            return false;
        }
    }
    for (; setup_data; setup_data = setup_data->next) {
        LinuxSetupData copy = {.type = setup_data->type, .data = g_bytes_ref(setup_data->data)};

        g_array_append_val(plan->setup_data, copy);
    }
    return true;
}

LinuxBootPlan *linux_boot_plan_new(const LinuxImage *image, const char *initrd, const char *cmdline,
                                   const PcInfo *pc, const LinuxBootAcpi *acpi,
                                   const LinuxSetupData *setup_data, GError **error)
{
    g_autoptr(LinuxBootPlan) plan = g_new0(LinuxBootPlan, 1);
    LinuxBootAcpi none = {.rsdp = 0};

    acpi = acpi ? acpi : &none;
    plan->image = image;
    plan->cmdline = g_strdup(cmdline ? cmdline : "");
    plan->setup_data = g_array_new(FALSE, FALSE, sizeof(LinuxSetupData));
    g_array_set_clear_func(plan->setup_data, setup_data_clear);
    plan->ram_total = pc->ram_below_4g + pc->ram_above_4g;
    plan->low_top =
        acpi->reclaim_size ? MIN(acpi->reclaim_base, pc->ram_below_4g) : pc->ram_below_4g;
    plan->low_taken = pc->ram_below_4g - plan->low_top;
    plan->input.rsdp = acpi->rsdp;
    plan->e820 = e820_build(pc, acpi->reclaim_base, acpi->reclaim_size, error);
    if (!plan->e820) {
        return NULL;
    }
    plan->input.e820 = plan->e820;
    boot_layout_init(&plan->layout, plan->e820);
    fill_entry(plan);
    if (!open_inputs(plan, initrd, setup_data, error) || !check_cmdline(plan, error) ||
        !add_kernel(plan, error) || !add_low_ranges(plan, error) || !add_setup_data(plan, error) ||
        !add_initrd(plan, error)) {
        return NULL;
    }
    return g_steal_pointer(&plan);
}

void linux_boot_plan_free(LinuxBootPlan *plan)
{
    if (!plan) {
        return;
    }
    boot_layout_done(&plan->layout);
    boot_file_free(plan->initrd);
    e820_table_free(plan->e820);
    g_array_unref(plan->setup_data);
    g_free(plan->cmdline);
    g_free(plan);
}

const X86EntryState *linux_boot_plan_entry(const LinuxBootPlan *plan)
{
    return &plan->entry;
}

char *linux_boot_plan_replaced(const LinuxBootPlan *plan)
{
    const BootFile *files[] = {plan->image->file, plan->initrd};
    g_autoptr(GString) text = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        if (files[i] && boot_file_replaced(files[i])) {
            g_string_append_printf(text, "%s%s '%s'", text->len ? " and " : "", files[i]->what,
                                   files[i]->path);
        }
    }
    if (text->len == 0) {
        return NULL;
    }
    return g_strdup_printf("%s: another file has that name now, or none; the machine goes on with "
                           "the one it was started with",
                           text->str);
}

const LinuxBootRange *linux_boot_plan_ranges(const LinuxBootPlan *plan, size_t *ret_count)
{
    *ret_count = plan->layout.ranges->len;
    return (const LinuxBootRange *)(void *)plan->layout.ranges->data;
}
