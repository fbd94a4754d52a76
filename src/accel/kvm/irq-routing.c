/* SPDX-License-Identifier: MIT */
/* The in-kernel interrupt chips: making them, where each GSI leads, putting them back at reset. */
#include "kvm-internal.h"

#include "tessera/util/error.h"
#include "tessera/util/log.h"

#define PIC_PINS    8
#define IOAPIC_PINS KVM_IOAPIC_NUM_PINS

static const char *const chip_names[] = { "first PIC", "second PIC", "IOAPIC" };

static void add_route(struct kvm_irq_routing_entry *entries, unsigned *n, unsigned gsi,
                      unsigned chip, unsigned pin)
{
    struct kvm_irq_routing_entry *e = &entries[(*n)++];

    *e = (struct kvm_irq_routing_entry){ .gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP };
    e->u.irqchip.irqchip = chip;
    e->u.irqchip.pin = pin;
}

/*
 * The PIT is wired to IOAPIC pin 2, as on every PC since the first with an APIC; the MADT tells the
 * guest by an override of ISA interrupt 0. PIC pin 2 is the cascade, so no interrupt is numbered 2.
 */
unsigned kvm_irq_routing_default(struct kvm_irq_routing_entry *entries)
{
    unsigned n = 0;

    for (unsigned gsi = 0; gsi < IOAPIC_PINS; gsi++) {
        if (gsi == 2) {
            continue;
        }
        if (gsi < PIC_PINS) {
            add_route(entries, &n, gsi, KVM_IRQCHIP_PIC_MASTER, gsi);
        } else if (gsi < 2 * PIC_PINS) {
            add_route(entries, &n, gsi, KVM_IRQCHIP_PIC_SLAVE, gsi - PIC_PINS);
        }
        add_route(entries, &n, gsi, KVM_IRQCHIP_IOAPIC, gsi == 0 ? 2 : gsi);
    }
    return n;
}

static bool set_routing(Kvm *kvm, GError **error)
{
    g_autofree struct kvm_irq_routing *table =
        g_malloc0(sizeof(*table) + KVM_ROUTING_DEFAULT_MAX * sizeof(table->entries[0]));
    int ret;

    table->nr = kvm_irq_routing_default(table->entries);
    ret = kvm_vm_ioctl(kvm, KVM_SET_GSI_ROUTING, table);
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM does not take the interrupt routing of %u entries",
                        table->nr);
        return false;
    }
    return true;
}

static bool remember_reset_state(Kvm *kvm, GError **error)
{
    int ret;

    for (unsigned i = 0; i < G_N_ELEMENTS(kvm->irqchip_reset); i++) {
        kvm->irqchip_reset[i].chip_id = i;
        ret = kvm_vm_ioctl(kvm, KVM_GET_IRQCHIP, &kvm->irqchip_reset[i]);
        if (ret < 0) {
            error_set_errno(error, -ret, "KVM does not tell the state of the %s", chip_names[i]);
            return false;
        }
    }
    ret = kvm_vm_ioctl(kvm, KVM_GET_PIT2, &kvm->pit_reset);
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM does not tell the state of the PIT");
        return false;
    }
    return true;
}

bool kvm_make_irqchip(Kvm *kvm, GError **error)
{
    /* The guest's time-stamp calibration reads port 0x61: the kernel answers it itself. */
    struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
    int ret = kvm_vm_ioctl(kvm, KVM_CREATE_IRQCHIP, NULL);

    if (ret < 0) {
        error_set_errno(error, -ret, "KVM does not make interrupt controllers");
        return false;
    }
    ret = kvm_vm_ioctl(kvm, KVM_CREATE_PIT2, &pit);
    if (ret < 0) {
        error_set_errno(error, -ret, "KVM does not make a PIT");
        return false;
    }
    kvm->irqchip_made = set_routing(kvm, error) && remember_reset_state(kvm, error);
    return kvm->irqchip_made;
}

bool kvm_reset_irqchip(Kvm *kvm, GError **error)
{
    if (!kvm->irqchip) {
        return true;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(kvm->irqchip_reset); i++) {
        struct kvm_irqchip chip = kvm->irqchip_reset[i];
        int ret = kvm_vm_ioctl(kvm, KVM_SET_IRQCHIP, &chip);

        if (ret < 0) {
            error_set_errno(error, -ret, "KVM does not reset the %s", chip_names[i]);
            return false;
        }
    }
    struct kvm_pit_state2 pit = kvm->pit_reset;
    int ret = kvm_vm_ioctl(kvm, KVM_SET_PIT2, &pit);

    if (ret < 0) {
        error_set_errno(error, -ret, "KVM does not reset the PIT");
        return false;
    }
    return true;
}

void kvm_set_gsi(Kvm *kvm, unsigned gsi, bool level)
{
    struct kvm_irq_level line = { .irq = gsi, .level = level };

    log_item(LOG_IRQ, "GSI %u %s", gsi, level ? "up" : "down");
    if (kvm->irqchip_made) {
        kvm_vm_ioctl(kvm, KVM_IRQ_LINE, &line);
    }
}

bool kvm_send_msi(Kvm *kvm, uint64_t address, uint32_t data)
{
    struct kvm_msi msi = { .address_lo = (uint32_t)address,
                           .address_hi = (uint32_t)(address >> 32),
                           .data = data };

    /* 0: no vCPU took it, which is the sender's error on a real machine too. */
    return kvm_vm_ioctl(kvm, KVM_SIGNAL_MSI, &msi) > 0;
}
