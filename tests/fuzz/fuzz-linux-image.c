/* SPDX-License-Identifier: MIT */
/* Fuzz target: any bytes as a kernel are refused, or planned and loaded inside guest RAM. */
#include <glib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tessera/hw/i386/e820.h"
#include "tessera/hw/i386/linux-loader.h"
#include "tessera/hw/i386/pc-map.h"

/*
 * An input is 8 bytes that choose the machine, then the kernel:
 *
 *   0  RAM below 4 GiB, in 128 KiB     3  initrd, in 64 KiB     6  ACPI tables, in pages
 *   1  the same, above 4 GiB           4  command line, in 16 bytes
 *   2  bit 0: setup_data, bit 1: initrd, bit 2: a second load   5  setup_data, in 4 KiB + 1
 *
 * The loader gets a buffer of its own for each range it asks for, exactly as long as the range, so
 * that the address sanitizer sees a write beside it.
 */
#define HEAD_SIZE 8
#define LOW_STEP  (128 * PC_KIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct FuzzRam {
    const E820Table *e820;
    const LinuxBootPlan *plan;
    GPtrArray *buffers;
} FuzzRam;

/* The range lies in usable RAM and in what the plan has announced. */
static void check_range(const FuzzRam *ram, uint64_t gpa, uint64_t length)
{
    size_t count;
    const LinuxBootRange *ranges = linux_boot_plan_ranges(ram->plan, &count);
    bool announced = false;

    for (size_t i = 0; i < count; i++) {
        announced = announced || (gpa >= ranges[i].base && length <= ranges[i].size &&
                                  gpa - ranges[i].base <= ranges[i].size - length);
    }
    if (!announced || !e820_table_covers(ram->e820, gpa, length, E820_RAM)) {
        abort();
    }
}

static void *fuzz_host(void *opaque, uint64_t gpa, uint64_t length)
{
    FuzzRam *ram = opaque;
    void *buffer = malloc(length);

    check_range(ram, gpa, length);
    g_ptr_array_add(ram->buffers, buffer);
    return buffer;
}

static void check_plan(const LinuxBootPlan *plan, const E820Table *e820)
{
    size_t count;
    const LinuxBootRange *ranges = linux_boot_plan_ranges(plan, &count);
    const X86EntryState *entry = linux_boot_plan_entry(plan);

    for (size_t i = 0; i < count; i++) {
        if (!e820_table_covers(e820, ranges[i].base, ranges[i].size, E820_RAM) ||
            (i > 0 && ranges[i - 1].base + ranges[i - 1].size > ranges[i].base)) {
            abort();
        }
    }
    if (!e820_table_covers(e820, entry->rip, 1, E820_RAM)) {
        abort();
    }
}

static void load(LinuxBootPlan *plan, const E820Table *e820, unsigned times)
{
    const GuestMemoryOps ops = {.host = fuzz_host};

    for (unsigned i = 0; i < times; i++) {
        FuzzRam ram = {e820, plan, g_ptr_array_new_with_free_func(free)};
        g_autoptr(GError) error = NULL;

        if (!linux_boot_plan_load(plan, &ops, &ram, &error)) {
            abort();
        }
        g_ptr_array_unref(ram.buffers);
    }
}

static int make_memfd(const uint8_t *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size) {
        abort();
    }
    return fd;
}

static void plan_and_load(const LinuxImage *image, const uint8_t *head)
{
    PcInfo pc = {.ram_below_4g = head[0] * LOW_STEP, .ram_above_4g = head[1] * LOW_STEP};
    LinuxBootAcpi acpi = {.rsdp = PC_BIOS_AREA_BASE, .reclaim_size = head[6] * 4096ULL};
    g_autofree char *cmdline = g_strnfill(head[4] * 16, 'a');
    g_autofree uint8_t *zeros = g_malloc0(head[5] * 4096 + 1);
    g_autoptr(GBytes) blob = g_bytes_new_static(zeros, head[5] * 4096 + 1);
    LinuxSetupData setup_data = {.type = 2, .data = blob};
    g_autofree char *initrd = NULL;
    g_autoptr(GError) error = NULL;
    int fd = -1;

    if (head[2] & 2) {
        fd = memfd_create("initrd", MFD_CLOEXEC);
        if (fd < 0 || ftruncate(fd, head[3] * 64 * PC_KIB) < 0) {
            abort();
        }
        initrd = g_strdup_printf("/proc/self/fd/%d", fd);
    }
    acpi.reclaim_base = e820_acpi_base(&pc, acpi.reclaim_size);

    g_autoptr(E820Table) e820 = e820_build(&pc, acpi.reclaim_base, acpi.reclaim_size, NULL);
    g_autoptr(LinuxBootPlan) plan = linux_boot_plan_new(image, initrd, cmdline, &pc, &acpi,
                                                        head[2] & 1 ? &setup_data : NULL, &error);

    if ((plan != NULL) != (error == NULL) || (plan && !e820)) {
        abort();
    }
    if (plan) {
        check_plan(plan, e820);
        load(plan, e820, head[2] & 4 ? 2 : 1);
    }
    if (fd >= 0) {
        close(fd);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;

    if (size < HEAD_SIZE) {
        return -1;
    }

    int fd = make_memfd(data + HEAD_SIZE, size - HEAD_SIZE);
    g_autoptr(LinuxImage) image = linux_image_open_fd(fd, "fuzz", &error);

    if ((image != NULL) != (error == NULL)) {
        abort();
    }
    if (image) {
        g_free(linux_image_describe(image));
        plan_and_load(image, data);
    }
    return 0;
}
