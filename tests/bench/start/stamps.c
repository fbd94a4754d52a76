/* SPDX-License-Identifier: MIT */
/* Stamps the phases of a start; see stamps.h. */
#include "stamps.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "../../../src/machine/machine-internal.h"

static double *stamps; /* NULL: nobody looks */

static void stamp(unsigned phase)
{
    struct timespec ts;

    if (stamps) {
        clock_gettime(CLOCK_MONOTONIC, &ts);
        stamps[phase] = (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
    }
}

__attribute__((constructor)) static void open_stamps(void)
{
    const char *path = getenv(STAMPS_FILE);
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *map;

    if (fd >= 0) {
        map = mmap(NULL, STAMP_COUNT * sizeof(double), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        stamps = map == MAP_FAILED ? NULL : map;
        close(fd);
    }
    stamp(STAMP_EXEC);
}

/* The real function, and after it (before it: RAM is asked for when the surroundings are there). */
#define STAMPED_AFTER(phase, type, name, params, args)                                             \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params                                                                      \
    {                                                                                              \
        type ret = __real_##name args;                                                             \
                                                                                                   \
        stamp(phase);                                                                              \
        return ret;                                                                                \
    }

STAMPED_AFTER(STAMP_OPTIONS, OptionsResult, options_parse,
              (int argc, char *argv[], MachineConfig **ret_config, GError **error),
              (argc, argv, ret_config, error))
STAMPED_AFTER(STAMP_ACCELERATOR, bool, accelerator_start, (Machine *machine, GError **error),
              (machine, error))
STAMPED_AFTER(STAMP_BOARD, Pc *, pc_new, (const PcConfig *config, GError **error), (config, error))
STAMPED_AFTER(STAMP_SLOTS, bool, kvm_attach_memory,
              (Kvm *kvm, AddressSpace *memory, AddressSpace *io, GError **error),
              (kvm, memory, io, error))
STAMPED_AFTER(STAMP_CHIPS, bool, kvm_make_irqchip, (Kvm *kvm, GError **error), (kvm, error))
STAMPED_AFTER(STAMP_VCPUS, bool, accelerator_add_vcpus, (Machine *machine, GError **error),
              (machine, error))
STAMPED_AFTER(STAMP_BOOT, bool, pc_prepare_boot,
              (Pc *pc, unsigned phys_bits, const char *kernel, const char *initrd, GError **error),
              (pc, phys_bits, kernel, initrd, error))
STAMPED_AFTER(STAMP_RESET, bool, pc_reset, (Pc *pc, GError **error), (pc, error))
STAMPED_AFTER(STAMP_REGISTERS, bool, vcpu_set_reset,
              (VcpuSet *set, const X86EntryState *entry, GError **error), (set, entry, error))

RAMBlock *__real_ram_block_new(MemorySystem *ms, const char *idstr, uint64_t size,
                               uint64_t max_size, unsigned flags, GError **error);
RAMBlock *__wrap_ram_block_new(MemorySystem *ms, const char *idstr, uint64_t size,
                               uint64_t max_size, unsigned flags, GError **error);

RAMBlock *__wrap_ram_block_new(MemorySystem *ms, const char *idstr, uint64_t size,
                               uint64_t max_size, unsigned flags, GError **error)
{
    static bool seen; /* others come with the board */
    bool first = !seen;
    RAMBlock *block;

    seen = true;
    if (first) {
        stamp(STAMP_SURROUNDINGS);
    }
    block = __real_ram_block_new(ms, idstr, size, max_size, flags, error);
    if (first) {
        stamp(STAMP_RAM);
    }
    return block;
}
