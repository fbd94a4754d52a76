/* SPDX-License-Identifier: MIT */
/* What addresses without a region are kept for: the chips that KVM has itself, and windows. */
#include "pc-internal.h"

#include "tessera/hw/i386/pc-map.h"

typedef struct PcNote {
    bool io;
    hwaddr start;
    uint64_t size;
    const char *text;
} PcNote;

static const PcNote fixed_notes[] = {
    { false, PC_PCI_HOLE_BASE, PC_PCI_HOLE_SIZE, "32-bit PCI window" },
    { false, PC_IOAPIC_BASE, PC_IOAPIC_SIZE, "IOAPIC, in KVM" },
    { false, PC_LAPIC_BASE, PC_LAPIC_SIZE, "local APICs, in KVM" },
    { false, PC_IDENTITY_MAP_BASE, PC_IDENTITY_MAP_SIZE, "KVM's identity map" },
    { false, PC_TSS_BASE, PC_TSS_SIZE, "KVM's task state" },
    { false, PC_FIRMWARE_BASE, PC_FIRMWARE_SIZE, "room for firmware" },
    { true, PC_PORT_PIC_MASTER, PC_PORT_PIC_SIZE, "PIC, in KVM" },
    { true, PC_PORT_PIT, PC_PORT_PIT_SIZE, "PIT, in KVM" },
    { true, PC_PORT_SPEAKER, PC_PORT_SPEAKER_SIZE, "PIT gate, in KVM" },
    { true, PC_PORT_PIC_SLAVE, PC_PORT_PIC_SIZE, "second PIC, in KVM" },
    { true, PC_PORT_ELCR, PC_PORT_ELCR_SIZE, "PIC edge/level, in KVM" },
};

void pc_for_each_note(const Pc *pc,
                      void (*fn)(bool io, hwaddr start, uint64_t size, const char *text,
                                 void *opaque),
                      void *opaque)
{
    bool window_told = pc->info.device_memory_size == 0;

    for (size_t i = 0; i < G_N_ELEMENTS(fixed_notes); i++) {
        const PcNote *note = &fixed_notes[i];

        if (note->io && !window_told) { /* it lies above all others of memory */
            fn(false, pc->info.device_memory_base, pc->info.device_memory_size, "room for DIMMs",
               opaque);
            window_told = true;
        }
        fn(note->io, note->start, note->size, note->text, opaque);
    }
}
