/* SPDX-License-Identifier: MIT */
/* The chips inside the kernel: accesses to them never reach a memory map of ours. */
#include "kvm-internal.h"

/*
 * Where KVM_CREATE_IRQCHIP and KVM_CREATE_PIT2 put them (Linux, Documentation/virt/kvm/api.rst, both
 * calls; the addresses are those of the PC). The local APIC is told at its default: a guest can move
 * it by an MSR, each vCPU its own.
 */
typedef struct Chip {
    const char *name;
    bool port;
    hwaddr first;
    hwaddr last;
} Chip;

static const Chip chips[] = {
    { "IOAPIC", false, 0xfec00000, 0xfec000ff },
    { "local APIC", false, 0xfee00000, 0xfee00fff },
    { "first PIC", true, 0x20, 0x21 },
    { "second PIC", true, 0xa0, 0xa1 },
    { "PICs (edge or level)", true, 0x4d0, 0x4d1 },
    { "PIT", true, 0x40, 0x43 },
    { "PIT (speaker port)", true, 0x61, 0x61 },
};

const char *kvm_chip_at(const Kvm *kvm, hwaddr addr, bool port)
{
    for (unsigned i = 0; kvm->irqchip_made && i < G_N_ELEMENTS(chips); i++) {
        if (chips[i].port == port && addr >= chips[i].first && addr <= chips[i].last) {
            return chips[i].name;
        }
    }
    return NULL;
}
