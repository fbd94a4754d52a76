/* SPDX-License-Identifier: MIT */
/* Commands that follow an address: gva2gpa, gpa2hva, gpa2hpa. */
#include "command-util-internal.h"

#include <inttypes.h>
#include "tessera/memory/ram-block.h"
#include "tessera/memory/region.h"
#include "tessera/memory/section.h"
#include "tessera/util/error.h"
#include "tessera/util/host-page.h"

static const MonitorArg addr_args[] = {
    { .name = "addr", .type = MONITOR_ARG_ADDR },
    { 0 },
};

/* gva2gpa */

static bool run_gva2gpa(Monitor *mon, json_t *args, GString *out, GError **error)
{
    hwaddr gpa;

    if (vcpu_set_translate(machine_vcpus(monitor_machine(mon)), monitor_cpu(mon),
                           arg_u64(args, "addr"), &gpa)) {
        g_string_append_printf(out, "gpa: %#" PRIx64 "\n", gpa);
    } else {
        g_string_append(out, "Unmapped\n");
    }
    return true;
}

static const MonitorCommand gva2gpa_command = {
    .name = "gva2gpa",
    .hmp = "gva2gpa",
    .help = "Shows the guest-physical address behind a guest-virtual one.",
    .details = "By the page tables of the monitor's vCPU (`cpu N`) as they are now.",
    .args = addr_args,
    .run_text = run_gva2gpa,
};
MONITOR_COMMAND_REGISTER(gva2gpa_command);

/* gpa2hva, gpa2hpa */

/* What RAM shows at an address: valid under the machine lock. */
typedef struct HostPlace {
    const char *region;
    const char *host;
    RAMBlock *block;
} HostPlace;

static bool find_host(Machine *machine, hwaddr gpa, HostPlace *ret_place, GError **error)
{
    MemoryRegionSection section;
    RAMBlock *block;

    if (!address_space_find(machine_memory(machine), gpa, &section)) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_NOT_FOUND,
                    "No memory is mapped at address 0x%" PRIx64, gpa);
        return false;
    }
    block = memory_region_ram_block(section.mr);
    if (!block) {
        g_set_error(error, TESSERA_ERROR, TESSERA_ERROR_INVALID,
                    "Memory at address 0x%" PRIx64 " is not RAM: %s answers there", gpa,
                    memory_region_name(section.mr));
        return false;
    }
    ret_place->region = memory_region_name(section.mr);
    ret_place->block = block;
    ret_place->host = (const char *)ram_block_host(block) + section.offset_within_region +
                      (gpa - section.offset_within_address_space);
    return true;
}

static bool host_physical(const HostPlace *place, uint64_t *ret_hpa, GError **error)
{
    HostPage page;

    host_page_look(place->host, ram_block_page_size(place->block), &page);
    if (page.hpa_known) {
        *ret_hpa = page.hpa;
    } else {
        g_set_error(error, TESSERA_ERROR,
                    page.state == HOST_PAGE_UNKNOWN   ? TESSERA_ERROR_SYSTEM
                    : page.state == HOST_PAGE_PRESENT ? TESSERA_ERROR_UNSUPPORTED
                                                      : TESSERA_ERROR_NOT_FOUND,
                    "%s", page.why_unknown);
    }
    host_page_clear(&page);
    return page.hpa_known;
}

static bool run_gpa2host(Monitor *mon, json_t *args, bool physical, GString *out, GError **error)
{
    Machine *machine = monitor_machine(mon);
    MemorySystem *ms = machine_memory_system(machine);
    hwaddr gpa = arg_u64(args, "addr");
    HostPlace place = { 0 };
    uint64_t hpa = 0;
    bool ok;

    memory_system_lock(ms);
    ok = find_host(machine, gpa, &place, error) &&
         (!physical || host_physical(&place, &hpa, error));
    if (ok && physical) {
        g_string_append_printf(out, "Host physical address for 0x%" PRIx64 " (%s) is 0x%" PRIx64
                               "\n", gpa, place.region, hpa);
    } else if (ok) {
        g_string_append_printf(out, "Host virtual address for 0x%" PRIx64 " (%s) is %p\n", gpa,
                               place.region, (const void *)place.host);
    }
    memory_system_unlock(ms);
    return ok;
}

static bool run_gpa2hva(Monitor *mon, json_t *args, GString *out, GError **error)
{
    return run_gpa2host(mon, args, false, out, error);
}

static const MonitorCommand gpa2hva_command = {
    .name = "gpa2hva",
    .hmp = "gpa2hva",
    .help = "Shows where this program has the RAM at a guest-physical address.",
    .args = addr_args,
    .run_text = run_gpa2hva,
};
MONITOR_COMMAND_REGISTER(gpa2hva_command);

static bool run_gpa2hpa(Monitor *mon, json_t *args, GString *out, GError **error)
{
    return run_gpa2host(mon, args, true, out, error);
}

static const MonitorCommand gpa2hpa_command = {
    .name = "gpa2hpa",
    .hmp = "gpa2hpa",
    .help = "Shows where the host's memory has the RAM at a guest-physical address.",
    .details = "Needs CAP_SYS_ADMIN; the host may move the page at any time.",
    .args = addr_args,
    .run_text = run_gpa2hpa,
};
MONITOR_COMMAND_REGISTER(gpa2hpa_command);
