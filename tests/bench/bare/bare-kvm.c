/* SPDX-License-Identifier: MIT */
/* bare-kvm: the least that starts a PVH guest on KVM, to measure against. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * Usage: bare-kvm [-i] [-m MIB] KERNEL
 *
 * RAM at address 0, the ELF file's segments copied into it, one vCPU in 32-bit protected mode, and
 * a loop of KVM_RUN in which a byte written to port 0x3f8 goes to standard output and every other
 * access is ignored. -i: with what the kernel must emulate for a PC beside it (TSS and identity
 * page, interrupt controllers, PIT, CPUID), because a program that offers a PC cannot leave that
 * away. No map, no devices, no options, no way to end.
 */
#define SERIAL_PORT 0x3f8
#define PVH_NOTE    18

static void die(const char *what)
{
    fprintf(stderr, "bare-kvm: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int call(int fd, unsigned long request, void *argument, const char *what)
{
    int result = ioctl(fd, request, argument);

    if (result < 0) {
        die(what);
    }
    return result;
}

static uint8_t *map_kernel(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    uint8_t *file;

    if (size < (off_t)sizeof(Elf64_Ehdr)) {
        die(path);
    }
    file = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (file == MAP_FAILED) {
        die(path);
    }
    close(fd);
    return file;
}

/* Copies the segments; returns the entry that the PVH note names, or the file's own. */
static uint32_t load(const uint8_t *file, uint8_t *ram, size_t ram_size)
{
    const Elf64_Ehdr *elf = (const void *)file;
    const Elf64_Phdr *segment = (const void *)(file + elf->e_phoff);
    uint32_t entry = (uint32_t)elf->e_entry;

    for (unsigned i = 0; i < elf->e_phnum; i++, segment++) {
        const Elf64_Nhdr *note = (const void *)(file + segment->p_offset);

        if (segment->p_type == PT_LOAD && segment->p_paddr + segment->p_filesz <= ram_size) {
            memcpy(ram + segment->p_paddr, file + segment->p_offset, segment->p_filesz);
        } else if (segment->p_type == PT_NOTE && note->n_type == PVH_NOTE) {
            memcpy(&entry, (const uint8_t *)(note + 1) + note->n_namesz, sizeof(entry));
        }
    }
    return entry;
}

static void make_pc_chips(int vm)
{
    struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
    uint64_t identity_map = 0xfeffc000;

    call(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map, "KVM_SET_IDENTITY_MAP_ADDR");
    call(vm, KVM_SET_TSS_ADDR, (void *)0xfeffd000UL, "KVM_SET_TSS_ADDR");
    call(vm, KVM_CREATE_IRQCHIP, NULL, "KVM_CREATE_IRQCHIP");
    call(vm, KVM_CREATE_PIT2, &pit, "KVM_CREATE_PIT2");
}

static void set_cpuid(int kvm, int vcpu)
{
    enum { ENTRIES = 256 };
    struct kvm_cpuid2 *cpuid =
        calloc(1, sizeof(*cpuid) + ENTRIES * sizeof(struct kvm_cpuid_entry2));

    cpuid->nent = ENTRIES;
    call(kvm, KVM_GET_SUPPORTED_CPUID, cpuid, "KVM_GET_SUPPORTED_CPUID");
    call(vcpu, KVM_SET_CPUID2, cpuid, "KVM_SET_CPUID2");
    free(cpuid);
}

static void set_entry_state(int vcpu, uint32_t entry)
{
    struct kvm_regs regs = { .rip = entry, .rflags = 2 };
    struct kvm_segment code = {
        .limit = 0xffffffff, .selector = 0x10, .type = 0xb, .present = 1, .db = 1, .s = 1, .g = 1
    };
    struct kvm_segment data = code;
    struct kvm_sregs sregs;

    data.selector = 0x18;
    data.type = 0x3;
    call(vcpu, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS");
    sregs.cs = code;
    sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
    sregs.cr0 = 1; /* PE */
    call(vcpu, KVM_SET_SREGS, &sregs, "KVM_SET_SREGS");
    call(vcpu, KVM_SET_REGS, &regs, "KVM_SET_REGS");
}

static void run(int vcpu, struct kvm_run *run)
{
    for (;;) {
        if (ioctl(vcpu, KVM_RUN, NULL) < 0 && errno != EINTR) {
            die("KVM_RUN");
        }
        switch (run->exit_reason) {
        case KVM_EXIT_IO:
            if (run->io.port == SERIAL_PORT && run->io.direction == KVM_EXIT_IO_OUT &&
                write(STDOUT_FILENO, (uint8_t *)run + run->io.data_offset, 1) < 0) {
                die("write");
            }
            break;
        case KVM_EXIT_MMIO:
            break;
        case KVM_EXIT_HLT:
            pause(); /* there is nothing that could wake it */
            break;
        default:
            fprintf(stderr, "bare-kvm: exit reason %u\n", run->exit_reason);
            exit(1);
        }
    }
}

int main(int argc, char *argv[])
{
    size_t ram_size = 256UL << 20;
    bool pc = false;
    int option, kvm, vm, vcpu, size;
    uint8_t *ram;

    while ((option = getopt(argc, argv, "im:")) != -1) {
        switch (option) {
        case 'i':
            pc = true;
            break;
        case 'm':
            ram_size = strtoul(optarg, NULL, 0) << 20;
            break;
        default:
            return 2;
        }
    }
    if (optind >= argc) {
        fprintf(stderr, "usage: bare-kvm [-i] [-m MIB] KERNEL\n");
        return 2;
    }

    kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0) {
        die("/dev/kvm");
    }
    vm = call(kvm, KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
    ram = mmap(NULL, ram_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
               -1, 0);
    if (ram == MAP_FAILED) {
        die("RAM");
    }
    struct kvm_userspace_memory_region slot = { .memory_size = ram_size,
                                                .userspace_addr = (uintptr_t)ram };
    call(vm, KVM_SET_USER_MEMORY_REGION, &slot, "KVM_SET_USER_MEMORY_REGION");
    if (pc) {
        make_pc_chips(vm); /* after the slot: the other order waits longer inside the kernel */
    }
    vcpu = call(vm, KVM_CREATE_VCPU, NULL, "KVM_CREATE_VCPU");
    size = call(kvm, KVM_GET_VCPU_MMAP_SIZE, NULL, "KVM_GET_VCPU_MMAP_SIZE");
    struct kvm_run *shared = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (shared == MAP_FAILED) {
        die("vCPU");
    }
    if (pc) {
        set_cpuid(kvm, vcpu);
    }
    set_entry_state(vcpu, load(map_kernel(argv[optind]), ram, ram_size));
    run(vcpu, shared);
}
