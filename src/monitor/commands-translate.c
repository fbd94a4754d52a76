/* SPDX-License-Identifier: MIT */
/* info translate: one address from the guest's page tables down to the host's memory. */
#include "command-util-internal.h"
#include "translate-internal.h"

#include <inttypes.h>
#include "tessera/memory/memory-system.h"
#include "tessera/memory/region.h"
#include "tessera/util/error.h"

/* The first holds when nothing is said: people ask for what the guest's code would use. */
typedef enum AddressKind { ADDRESS_VIRTUAL, ADDRESS_PHYSICAL, ADDRESS_PORT } AddressKind;

#define PORT_LAST 0xffffu /* instructions have 16 bits for a port */

static const char *kind_name(AddressKind kind)
{
    static const char *const names[] = { "virtual", "physical", "port" };

    return names[kind];
}

/* What is left to do without the machine lock; the block is held. */
typedef struct HostPart {
    RAMBlock *block;
    const char *host;
} HostPart;

static void set_end(json_t *result, const char *ends_at, char *message)
{
    json_object_set_new(result, "ends-at", json_string(ends_at));
    json_object_set_new(result, "message", json_string(message));
    g_free(message);
}

/* --- Guest-virtual to guest-physical --- */

/* False with @error: there is no such vCPU. @ret_mapped: the chain goes on at @ret_gpa. */
static bool walk_tables(Monitor *mon, json_t *args, json_t *result, bool *ret_mapped,
                        hwaddr *ret_gpa, GError **error)
{
    uint64_t cpu = arg_given(args, "cpu") ? arg_u64(args, "cpu") : monitor_cpu(mon);
    X86PagingState state;
    X86Walk walk;

    if (!command_check_cpu(mon, cpu, error) ||
        !vcpu_set_walk(machine_vcpus(monitor_machine(mon)), (unsigned)cpu,
                       arg_u64(args, "address"), &state, &walk, error)) {
        return false;
    }
    json_object_set_new(result, "cpu", json_integer((json_int_t)cpu));
    json_object_set_new(result, "paging", translate_paging_json(&state, &walk));
    *ret_mapped = walk.result == X86_WALK_MAPPED;
    *ret_gpa = walk.gpa;
    if (!*ret_mapped) {
        g_autofree char *message = translate_paging_message(&walk);

        set_end(result, "page-tables", g_strdup_printf("Ends in the page tables: %s", message));
    }
    return true;
}

/* --- Guest-physical to host-virtual --- */

static char *nobody_message(const AddressExplanation *x, AddressKind kind)
{
    GString *text = g_string_new(NULL);

    g_string_append_printf(text, "Ends here: no region answers at 0x%" PRIx64, x->addr);
    if (kind == ADDRESS_PORT && x->addr > PORT_LAST) {
        g_string_append_printf(text, ", and no instruction reaches it: ports are 0x0 to 0x%x",
                               PORT_LAST);
        return g_string_free(text, FALSE);
    }
    if (x->has_before) {
        g_string_append_printf(text, "; %s ends below it, at 0x%" PRIx64,
                               memory_region_name(x->before.mr),
                               (hwaddr)(x->before.offset_within_address_space +
                                        x->before.size - 1));
    }
    if (x->has_after) {
        g_string_append_printf(text, "; %s begins above it, at 0x%" PRIx64,
                               memory_region_name(x->after.mr),
                               x->after.offset_within_address_space);
    }
    return g_string_free(text, FALSE);
}

static char *device_message(const AddressExplanation *x)
{
    const MemoryRegionSection *s = &x->tile;
    g_autofree char *owner = command_owner_text(memory_region_owner(s->mr));

    return g_strdup_printf("Ends at a device: %s answers, at offset 0x%" PRIx64 " (owner: %s)",
                           memory_region_name(s->mr), s->offset_within_region +
                           (x->addr - s->offset_within_address_space), owner);
}

/* Does the guest read host memory here? A RAM device's is, too, though KVM maps it as any other. */
static bool shows_ram(const MemoryRegionSection *s)
{
    return memory_region_is_ram(s->mr) && (!memory_region_is_rom_device(s->mr) || s->romd_mode);
}

static void add_ram(Machine *machine, const AddressExplanation *x, AddressKind kind,
                    json_t *result, HostPart *host)
{
    const MemoryRegionSection *s = &x->tile;
    uint64_t block_off = s->offset_within_region + (x->addr - s->offset_within_address_space);
    KvmSlotInfo slot;

    host->block = ram_block_ref(memory_region_ram_block(s->mr));
    host->host = (const char *)ram_block_host(host->block) + block_off;
    json_object_set_new(result, "ram", translate_ram_json(host->block, block_off));
    json_object_set_new(result, "hva", json_u64((uintptr_t)host->host));
    if (kind != ADDRESS_PORT && kvm_find_slot(machine_kvm(machine), x->addr, &slot)) {
        json_object_set_new(result, "slot", translate_slot_json(&slot, x->addr));
    }
}

static void explain(Machine *machine, AddressKind kind, hwaddr addr, json_t *result,
                    HostPart *host)
{
    MemorySystem *ms = machine_memory_system(machine);
    AddressSpace *as = kind == ADDRESS_PORT ? machine_io(machine) : machine_memory(machine);
    AddressExplanation *x;

    memory_system_lock(ms);
    x = address_explain(as, addr);
    json_object_set_new(result, "memory", translate_memory_json(x));
    if (!x->answered) {
        set_end(result, "nothing", nobody_message(x, kind));
    } else if (shows_ram(&x->tile)) {
        add_ram(machine, x, kind, result, host);
    } else {
        set_end(result, "device", device_message(x));
    }
    address_explanation_free(x);
    memory_system_unlock(ms);
}

/* --- Host-virtual to host-physical --- */

static void look_at_host(const HostPart *part, json_t *result)
{
    HostPage page;

    host_page_look(part->host, ram_block_page_size(part->block), &page);
    json_object_set_new(result, "host", translate_host_json(&page));
    if (page.hpa_known) {
        set_end(result, "hpa", g_strdup_printf("Ends in the host's memory, at 0x%" PRIx64,
                                               page.hpa));
    } else {
        set_end(result, "hva", g_strdup_printf("Ends in this process, at %p: the host-physical "
                                               "address is not known", (const void *)part->host));
    }
    host_page_clear(&page);
}

/* --- Before all of that --- */

/* Whatever the map shows there: the chips inside the kernel come first. */
static void look_for_chip(Machine *machine, AddressKind kind, hwaddr addr, json_t *result)
{
    const char *chip = kvm_chip_at(machine_kvm(machine), addr, kind == ADDRESS_PORT);

    if (chip) {
        json_object_set_new(result, "kernel-chip", json_string(chip));
        set_end(result, "kernel", g_strdup_printf("Ends in the kernel: KVM's own %s answers there, "
                                                  "before the memory map is asked", chip));
    }
}

/* --- The command --- */

static bool take_kind(const json_t *args, AddressKind *ret_kind, GError **error)
{
    bool physical = arg_flag(args, "physical"), port = arg_flag(args, "port");

    if (physical + port + arg_flag(args, "virtual") > 1) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "an address is virtual (-v), physical (-g) or a port (-p): give one of them");
        return false;
    }
    *ret_kind = physical ? ADDRESS_PHYSICAL : port ? ADDRESS_PORT : ADDRESS_VIRTUAL;
    if (*ret_kind != ADDRESS_VIRTUAL && arg_given(args, "cpu")) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "'cpu' (-c) goes with a virtual address: a %s address is the same for every "
                    "vCPU", kind_name(*ret_kind));
        return false;
    }
    return true;
}

static bool run_translate(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    Machine *machine = monitor_machine(mon);
    hwaddr addr = arg_u64(args, "address");
    HostPart host = { 0 };
    bool go_on = true;
    AddressKind kind;
    json_t *result;

    if (!take_kind(args, &kind, error)) {
        return false;
    }
    result = json_pack("{s:o,s:s}", "address", json_u64(addr), "kind", kind_name(kind));
    if (kind == ADDRESS_VIRTUAL && !walk_tables(mon, args, result, &go_on, &addr, error)) {
        json_decref(result);
        return false;
    }
    if (go_on) {
        if (kind != ADDRESS_PORT) {
            json_object_set_new(result, "gpa", json_u64(addr));
        }
        explain(machine, kind, addr, result, &host);
    }
    if (host.block) {
        look_at_host(&host, result);
        ram_block_unref(host.block);
    }
    if (go_on) {
        look_for_chip(machine, kind, addr, result);
    }
    *ret_result = result;
    return true;
}

static const MonitorArg translate_args[] = {
    { .name = "address", .type = MONITOR_ARG_ADDR },
    { .name = "cpu", .type = MONITOR_ARG_INT, .flag = 'c', .optional = true,
      .complete = complete_cpus },
    { .name = "virtual", .type = MONITOR_ARG_FLAG, .flag = 'v' },
    { .name = "physical", .type = MONITOR_ARG_FLAG, .flag = 'g' },
    { .name = "port", .type = MONITOR_ARG_FLAG, .flag = 'p' },
    { 0 },
};

static const MonitorCommand translate_command = {
    .name = "x-query-translate",
    .qmp = "x-query-translate",
    .hmp = "info translate",
    .help = "Follows an address through page tables, memory map and KVM slot to the host's memory.",
    .details = "-v (the default): a guest-virtual address, by the page tables of the monitor's vCPU "
               "or of -c CPU ($rip and the like are the monitor's vCPU's all the same); -g: a "
               "guest-physical one; -p: an I/O port. Shown are each page-table entry with its "
               "flags; which region of the tree answers, and why the others that lie there do not; "
               "the tile of the flat view, the way through the dispatch; the KVM slot, RAMBlock "
               "and offset, the address in this process (HVA), and the host-physical one (HPA), "
               "which the kernel tells only to processes with CAP_SYS_ADMIN. Where the way ends, "
               "the last line says why. Nothing is changed, and no device is read; "
               "docs/translate.md has an example of each kind.",
    .args = translate_args,
    .run = run_translate,
    .print = translate_print,
};
MONITOR_COMMAND_REGISTER(translate_command);
