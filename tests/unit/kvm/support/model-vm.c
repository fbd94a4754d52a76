/* SPDX-License-Identifier: MIT */
/* The model KVM: one VM, its interrupt chips, clock and routes. */
#include "model-internal.h"

#include <errno.h>
#include <string.h>

#define MAX_ROUTES 4096

ModelVm *model_vm_new(int fd)
{
    ModelVm *vm = g_new0(ModelVm, 1);

    vm->fd = fd;
    vm->slots = g_array_new(FALSE, TRUE, sizeof(ModelSlot));
    vm->ioeventfds = g_array_new(FALSE, TRUE, sizeof(ModelIoeventfd));
    vm->irqfds = g_array_new(FALSE, TRUE, sizeof(ModelIrqfd));
    vm->zones = g_array_new(FALSE, TRUE, sizeof(struct kvm_coalesced_mmio_zone));
    vm->routes = g_array_new(FALSE, TRUE, sizeof(struct kvm_irq_routing_entry));
    vm->vcpus = g_ptr_array_new_with_free_func((GDestroyNotify)model_vcpu_free);
    vm->gsi_levels = g_hash_table_new(NULL, NULL);
    return vm;
}

void model_vm_free(ModelVm *vm)
{
    g_array_unref(vm->slots);
    g_array_unref(vm->ioeventfds);
    g_array_unref(vm->irqfds);
    g_array_unref(vm->zones);
    g_array_unref(vm->routes);
    g_ptr_array_unref(vm->vcpus);
    g_hash_table_unref(vm->gsi_levels);
    g_free(vm);
}

static int create_irqchip(ModelVm *vm)
{
    if (vm->irqchip) {
        return -EEXIST;
    }
    if (vm->vcpus->len > 0) {
        return -EINVAL;
    }
    vm->irqchip = true;
    for (unsigned i = 0; i < 3; i++) {
        vm->chips[i].chip_id = i;
    }
    vm->chips[0].chip.pic.elcr_mask = 0xf8;
    vm->chips[1].chip.pic.elcr_mask = 0xde;
    vm->chips[2].chip.ioapic.base_address = 0xfec00000;
    for (unsigned i = 0; i < KVM_IOAPIC_NUM_PINS; i++) {
        vm->chips[2].chip.ioapic.redirtbl[i].bits = 0x10000;
    }
    return 0;
}

static int create_pit(ModelVm *vm, const struct kvm_pit_config *config)
{
    if (!vm->irqchip) {
        return -ENOENT;
    }
    if (vm->pit) {
        return -EEXIST;
    }
    vm->pit = true;
    vm->pit_flags = config->flags;
    for (unsigned i = 0; i < 3; i++) {
        vm->pit_state.channels[i] =
            (struct kvm_pit_channel_state){ .count = 0x10000, .mode = 0xff, .gate = i != 2 };
    }
    return 0;
}

static int access_irqchip(ModelVm *vm, struct kvm_irqchip *chip, bool set)
{
    if (!vm->irqchip) {
        return -ENXIO;
    }
    if (chip->chip_id > 2) {
        return -EINVAL;
    }
    if (set) {
        vm->chips[chip->chip_id] = *chip;
    } else {
        *chip = vm->chips[chip->chip_id];
    }
    return 0;
}

static int access_pit(ModelVm *vm, struct kvm_pit_state2 *state, bool set)
{
    if (!vm->pit) {
        return -ENXIO;
    }
    if (set) {
        vm->pit_state = *state;
    } else {
        *state = vm->pit_state;
    }
    return 0;
}

/* A GSI may lead to several chips, but to one pin of each only; an MSI route is alone. */
static bool route_allowed(const struct kvm_irq_routing *table, unsigned n)
{
    const struct kvm_irq_routing_entry *e = &table->entries[n];

    if (e->flags || e->gsi >= MAX_ROUTES ||
        (e->type != KVM_IRQ_ROUTING_IRQCHIP && e->type != KVM_IRQ_ROUTING_MSI)) {
        return false;
    }
    if (e->type == KVM_IRQ_ROUTING_IRQCHIP) {
        unsigned pins = e->u.irqchip.irqchip == KVM_IRQCHIP_IOAPIC ? KVM_IOAPIC_NUM_PINS : 8;

        if (e->u.irqchip.irqchip > KVM_IRQCHIP_IOAPIC || e->u.irqchip.pin >= pins) {
            return false;
        }
    }
    for (unsigned i = 0; i < n; i++) {
        const struct kvm_irq_routing_entry *o = &table->entries[i];

        if (o->gsi == e->gsi &&
            (o->type != KVM_IRQ_ROUTING_IRQCHIP || e->type != KVM_IRQ_ROUTING_IRQCHIP ||
             o->u.irqchip.irqchip == e->u.irqchip.irqchip)) {
            return false;
        }
    }
    return true;
}

static int set_routing(ModelVm *vm, const struct kvm_irq_routing *table)
{
    if (!vm->irqchip || table->flags || table->nr > MAX_ROUTES) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < table->nr; i++) {
        if (!route_allowed(table, i)) {
            return -EINVAL;
        }
    }
    g_array_set_size(vm->routes, 0);
    g_array_append_vals(vm->routes, table->entries, table->nr);
    return 0;
}

static int enable_cap(ModelVm *vm, const struct kvm_enable_cap *cap)
{
    if (cap->flags) {
        return -EINVAL;
    }
    switch (cap->cap) {
    case KVM_CAP_DISABLE_QUIRKS2:
        if (cap->args[0] & ~0x5ffULL) {
            return -EINVAL;
        }
        vm->quirks_off |= cap->args[0];
        return 0;
    case KVM_CAP_X2APIC_API:
        return cap->args[0] & ~3ULL ? -EINVAL : 0;
    case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
        vm->dirty_protect = cap->args[0];
        return 0;
    default:
        return -EINVAL;
    }
}

static int set_addresses(ModelVm *vm, unsigned long req, void *arg)
{
    if (req == KVM_SET_TSS_ADDR) {
        if ((uintptr_t)arg > (uint32_t)-(3 * MODEL_PAGE)) {
            return -EINVAL;
        }
        vm->tss = (uintptr_t)arg;
        return 0;
    }
    if (vm->vcpus->len > 0) {
        return -EINVAL;
    }
    vm->identity_map = *(const uint64_t *)arg;
    return 0;
}

static int irq_line(ModelVm *vm, const struct kvm_irq_level *line)
{
    if (!vm->irqchip) {
        return -ENXIO;
    }
    g_hash_table_insert(vm->gsi_levels, GUINT_TO_POINTER(line->irq), GUINT_TO_POINTER(line->level));
    return 0;
}

static int signal_msi(ModelVm *vm, const struct kvm_msi *msi)
{
    if (!vm->irqchip || msi->flags) {
        return -EINVAL;
    }
    vm->last_msi = *msi;
    return 1;
}

static int set_slot(ModelVm *vm, const struct kvm_userspace_memory_region *m)
{
    int ret = model_set_slot(vm, m, model_phys_bits());

    if (ret == 0 && vm->slot_hook) {
        vm->slot_hook(vm, vm->slot_hook_opaque);
    }
    return ret;
}

int model_vm_ioctl(ModelVm *vm, unsigned long req, void *arg)
{
    switch (req) {
    case KVM_SET_USER_MEMORY_REGION:
        return set_slot(vm, arg);
    case KVM_GET_DIRTY_LOG:
        return model_get_dirty_log(vm, arg);
    case KVM_IOEVENTFD:
        return model_ioeventfd(vm, arg);
    case KVM_IRQFD:
        return model_irqfd(vm, arg);
    case KVM_REGISTER_COALESCED_MMIO:
    case KVM_UNREGISTER_COALESCED_MMIO:
        return model_zone(vm, arg, req == KVM_REGISTER_COALESCED_MMIO);
    case KVM_CREATE_VCPU:
        return model_create_vcpu(vm, (unsigned)(uintptr_t)arg);
    case KVM_CREATE_IRQCHIP:
        return create_irqchip(vm);
    case KVM_GET_IRQCHIP:
    case KVM_SET_IRQCHIP:
        return access_irqchip(vm, arg, req == KVM_SET_IRQCHIP);
    case KVM_CREATE_PIT2:
        return create_pit(vm, arg);
    case KVM_GET_PIT2:
    case KVM_SET_PIT2:
        return access_pit(vm, arg, req == KVM_SET_PIT2);
    case KVM_SET_GSI_ROUTING:
        return set_routing(vm, arg);
    case KVM_IRQ_LINE:
        return irq_line(vm, arg);
    case KVM_SIGNAL_MSI:
        return signal_msi(vm, arg);
    case KVM_ENABLE_CAP:
        return enable_cap(vm, arg);
    case KVM_GET_STATS_FD:
        return model_get_stats_fd();
    case KVM_SET_TSS_ADDR:
    case KVM_SET_IDENTITY_MAP_ADDR:
        return set_addresses(vm, req, arg);
    case KVM_GET_CLOCK:
        *(struct kvm_clock_data *)arg = vm->clock;
        return 0;
    case KVM_SET_CLOCK:
        vm->clock = *(const struct kvm_clock_data *)arg;
        return 0;
    default:
        return -ENOTTY;
    }
}

void model_vm_set_translate(ModelVm *vm, ModelTranslate *fn, void *opaque)
{
    model_lock();
    vm->translate = fn;
    vm->translate_opaque = opaque;
    model_unlock();
}

void model_vm_set_slot_hook(ModelVm *vm, void (*fn)(ModelVm *vm, void *opaque), void *opaque)
{
    vm->slot_hook = fn;
    vm->slot_hook_opaque = opaque;
}

const GArray *model_vm_slots(ModelVm *vm)
{
    return vm->slots;
}

const GArray *model_vm_ioeventfds(ModelVm *vm)
{
    return vm->ioeventfds;
}

const GArray *model_vm_irqfds(ModelVm *vm)
{
    return vm->irqfds;
}

const GArray *model_vm_zones(ModelVm *vm)
{
    return vm->zones;
}

const GArray *model_vm_routes(ModelVm *vm)
{
    return vm->routes;
}

int model_vm_gsi_level(ModelVm *vm, unsigned gsi)
{
    return GPOINTER_TO_INT(g_hash_table_lookup(vm->gsi_levels, GUINT_TO_POINTER(gsi)));
}

struct kvm_msi model_vm_last_msi(ModelVm *vm)
{
    return vm->last_msi;
}

struct kvm_clock_data model_vm_clock(ModelVm *vm)
{
    return vm->clock;
}

struct kvm_irqchip *model_vm_irqchip(ModelVm *vm, unsigned chip)
{
    return &vm->chips[chip];
}

struct kvm_pit_state2 *model_vm_pit(ModelVm *vm)
{
    return &vm->pit_state;
}

uint64_t model_vm_identity_map(ModelVm *vm)
{
    return vm->identity_map;
}

uint64_t model_vm_tss(ModelVm *vm)
{
    return vm->tss;
}

uint32_t model_vm_pit_flags(ModelVm *vm)
{
    return vm->pit_flags;
}

uint64_t model_vm_quirks_off(ModelVm *vm)
{
    return vm->quirks_off;
}

unsigned model_vm_vcpus_running(ModelVm *vm)
{
    return atomic_load(&vm->running);
}

unsigned model_vm_deletions_while_running(ModelVm *vm)
{
    return vm->deletions_while_running;
}
