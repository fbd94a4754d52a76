/* SPDX-License-Identifier: MIT */
/* Machine: board, accelerator and vCPUs are made, wired and ended here. */
#include "tessera/machine/machine.h"

#include "machine-internal.h"
#include "tessera/hw/i386/pc-layout.h"
#include "tessera/memory/memory-backend.h"
#include "tessera/util/error.h"
#include "tessera/util/rcu.h"

#define RAM_IDSTR "pc.ram"

static void set_kvm_gsi(void *opaque, unsigned gsi, bool level)
{
    kvm_set_gsi(opaque, gsi, level);
}

static bool make_objects(Machine *machine, GError **error)
{
    ObjectContext context = { .memory = machine->ms };
    const GPtrArray *options = machine->config->objects;

    machine->objects = object_store_new(&context);
    for (guint i = 0; i < options->len; i++) {
        if (!object_store_add_option(machine->objects, options->pdata[i], error)) {
            return false;
        }
    }
    return true;
}

/* Boot RAM from -machine memory-backend=ID; its size must be that of -m. */
static bool use_backend(Machine *machine, GError **error)
{
    const char *id = machine->config->memory_backend;
    MemoryBackend *backend = memory_backend_get(machine->objects, id, error);

    if (!backend) {
        g_prefix_error(error, "-machine memory-backend=%s: ", id);
        return false;
    }
    if (memory_backend_size(backend) != machine->config->ram_size) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "-machine memory-backend=%s: the object has %" G_GUINT64_FORMAT
                    " bytes and -m says %" G_GUINT64_FORMAT "; they must be equal",
                    id, memory_backend_size(backend), machine->config->ram_size);
        return false;
    }
    if (memory_backend_readonly(backend)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "-machine memory-backend=%s: the object is readonly=on, and boot RAM is written "
                    "to; leave readonly out (share=off keeps the file as it is)",
                    id);
        return false;
    }
    if (!memory_backend_claim(backend, "-machine", error)) {
        return false;
    }
    machine->ram_backend = backend;
    machine->ram = ram_block_ref(memory_backend_ram_block(backend));
    return true;
}

static bool make_ram(Machine *machine, GError **error)
{
    if (machine->config->memory_backend) {
        return use_backend(machine, error);
    }
    machine->ram = ram_block_new(machine->ms, RAM_IDSTR, machine->config->ram_size, 0, 0, error);
    return machine->ram != NULL;
}

static bool layout(Machine *machine, unsigned phys_bits, PcInfo *info, GError **error)
{
    const MachineConfig *config = machine->config;

    machine->apic_ids = g_new0(uint32_t, config->cpus);
    for (unsigned i = 0; i < config->cpus; i++) {
        machine->apic_ids[i] = vcpu_apic_id(i);
    }
    *info = (PcInfo){
        .cpus = config->cpus,
        .apic_ids = machine->apic_ids,
        .i8042_complete = true,
    };
    return pc_layout(config->ram_size, config->memory_slots, config->maxmem, phys_bits, info,
                     error);
}

static bool make_board(Machine *machine, const PcInfo *info, GError **error)
{
    const MachineConfig *config = machine->config;
    PcConfig pc = {
        .context = &machine->device_context,
        .info = info,
        .ram = machine->ram,
        .objects = machine->objects,
        .serial0 = machine->serial0,
        .cmdline = config->append,
        .pass_dtb = config->dtb,
    };

    for (unsigned i = 0; i < PC_GSI_COUNT; i++) {
        pc.gsi[i] = (IrqLine){ set_kvm_gsi, machine->kvm, i };
    }
    machine->pc = pc_new(&pc, error);
    return machine->pc != NULL;
}

/* Memory slots first, then the chips: see kvm_make_irqchip(). */
static bool attach_board(Machine *machine, GError **error)
{
    machine->memory_attached = kvm_attach_memory(machine->kvm, pc_memory(machine->pc),
                                                 pc_io(machine->pc), error);
    return machine->memory_attached && kvm_make_irqchip(machine->kvm, error);
}

/* The first reset: what every later one does too. */
static bool power_on(Machine *machine, GError **error)
{
    return pc_reset(machine->pc, error) && accelerator_wait_vcpus(machine, error) &&
           vcpu_set_reset(machine->vcpus, pc_entry(machine->pc), error);
}

static bool guest_phys_bits(Machine *machine, unsigned *ret_bits, GError **error)
{
    if (!accelerator_wait_cpu_model(machine, error)) {
        return false;
    }
    *ret_bits = MIN(kvm_phys_bits(machine->kvm), cpu_model_phys_bits(machine->cpu_model));
    return true;
}

/*
 * What ends below 4 GiB fits into the addresses of any guest; for anything else their width must be
 * known. And objects may take long or leave files behind, and so may a serial port on a file: not for
 * a machine that cannot be, because `-cpu` asks for what this host has not.
 */
static bool must_know_cpu_model(const MachineConfig *config)
{
    return config->ram_size > PC_LOW_RAM_END_MAX || config->memory_slots > 0 ||
           config->objects->len > 0 || !g_str_equal(config->cpu, "host");
}

static bool build_board(Machine *machine, GError **error)
{
    unsigned phys_bits = 32; /* which every guest has */
    PcInfo info;

    if (must_know_cpu_model(machine->config) && !guest_phys_bits(machine, &phys_bits, error)) {
        return false;
    }
    return layout(machine, phys_bits, &info, error) && make_objects(machine, error) &&
           make_ram(machine, error) && machine_make_serial(machine, error) &&
           make_board(machine, &info, error);
}

static bool finish_board(Machine *machine, GError **error)
{
    const MachineConfig *config = machine->config;
    unsigned phys_bits;

    return guest_phys_bits(machine, &phys_bits, error) &&
           pc_prepare_boot(machine->pc, phys_bits, config->kernel, config->initrd, error);
}

/* What everything else is told when it is made. */
static bool make_surroundings(Machine *machine, GError **error)
{
    memory_system_set_full_render(machine->ms, machine->config->full_render);
    machine->clock = virtual_clock_new(NULL);
    machine->resize = memory_resize_new(machine);
    run_control_fill(machine, &machine->control);
    machine->device_context = (DeviceContext){
        .ms = machine->ms,
        .clock = machine->clock,
        .control = &machine->control,
    };
    return run_control_init(machine, error);
}

static bool build_beside_accelerator(Machine *machine, GError **error)
{
    rcu_hold_deferred(); /* until the vCPUs run, or machine_free() drains */
    return make_surroundings(machine, error) && build_board(machine, error) &&
           accelerator_wait_vm(machine, error) && attach_board(machine, error) &&
           accelerator_add_vcpus(machine, error) && finish_board(machine, error) &&
           machine_add_devices(machine, error) && power_on(machine, error);
}

Machine *machine_new(const MachineConfig *config, GError **error)
{
    Machine *machine = g_new0(Machine, 1);
    g_autoptr(GError) failure = NULL;

    machine->config = config;
    if (!accelerator_start(machine, error)) {
        g_free(machine);
        return NULL;
    }
    machine->ms = memory_system_new(&failure);
    if (machine->ms && build_beside_accelerator(machine, &failure)) {
        return machine;
    }
    /* Whatever failed first: without an accelerator nothing else is worth a word. */
    if (accelerator_wait_cpu_model(machine, error)) {
        g_propagate_error(error, g_steal_pointer(&failure));
    }
    machine_free(machine);
    return NULL;
}

void machine_free(Machine *machine)
{
    if (!machine) {
        return;
    }
    accelerator_started(machine);
    g_clear_pointer(&machine->resize, memory_resize_free);
    g_clear_pointer(&machine->vcpus, vcpu_set_free);
    /* No vCPU is left to stop: what KVM does not give back goes when its descriptor is closed. */
    if (machine->ms) {
        memory_system_set_failed_handler(machine->ms, NULL, NULL);
    }
    if (machine->memory_attached) {
        kvm_detach_memory(machine->kvm);
    }
    pc_free(machine->pc);
    machine_free_serial(machine);
    ram_block_unref(machine->ram);
    if (machine->ram_backend) {
        memory_backend_release(machine->ram_backend);
    }
    object_store_free(machine->objects);
    cpu_model_free(machine->cpu_model);
    kvm_free(machine->kvm);
    run_control_done(machine);
    virtual_clock_free(machine->clock);
    memory_system_free(machine->ms);
    g_free(machine->apic_ids);
    g_free(machine);
}

const MachineConfig *machine_config(Machine *machine)
{
    return machine->config;
}

MemorySystem *machine_memory_system(Machine *machine)
{
    return machine->ms;
}

AddressSpace *machine_memory(Machine *machine)
{
    return pc_memory(machine->pc);
}

AddressSpace *machine_io(Machine *machine)
{
    return pc_io(machine->pc);
}

Kvm *machine_kvm(Machine *machine)
{
    return machine->kvm;
}

VcpuSet *machine_vcpus(Machine *machine)
{
    return machine->vcpus;
}

ObjectStore *machine_objects(Machine *machine)
{
    return machine->objects;
}

MemoryDevices *machine_memory_devices(Machine *machine)
{
    return pc_memory_devices(machine->pc);
}

void machine_set_event_handler(Machine *machine,
                               void (*fn)(const MachineEvent *event, void *opaque), void *opaque)
{
    machine->event_fn = fn;
    machine->event_opaque = opaque;
}

void machine_emit(Machine *machine, const MachineEvent *event)
{
    if (machine->event_fn) {
        machine->event_fn(event, machine->event_opaque);
    }
}

int machine_run(Machine *machine)
{
    return run_control_main(machine);
}
