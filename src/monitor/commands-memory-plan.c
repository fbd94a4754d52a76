/* SPDX-License-Identifier: MIT */
/* Commands that plan and change how much memory the guest has. */
#include "command-util-internal.h"
#include "monitor-internal.h"
#include "monitor-internal.h"

#include <inttypes.h>
#include <string.h>
#include "tessera/machine/memory-plan.h"
#include "tessera/machine/memory-resize.h"
#include "tessera/util/size.h"

/* info memory-plan */

static const char *return_name(MemoryReturn comes_back)
{
    static const char *const names[] = {
        [MEMORY_RETURN_LIKELY] = "likely",
        [MEMORY_RETURN_UNLIKELY] = "unlikely",
        [MEMORY_RETURN_UNKNOWN] = "unknown",
    };

    return names[comes_back];
}

static json_t *plan_dimms(const MemoryPlan *plan)
{
    json_t *list = json_array();

    for (guint i = 0; i < plan->dimms->len; i++) {
        const DimmRange *d = &g_array_index(plan->dimms, DimmRange, i);

        json_array_append_new(list, json_pack("{s:o,s:o}", "addr", json_u64(d->base), "size",
                                              json_u64(d->size)));
    }
    return list;
}

static json_t *plan_json(const MemoryPlan *plan)
{
    json_t *o = json_pack("{s:o,s:o,s:o,s:o,s:o}", "requested", json_u64(plan->asked), "size",
                          json_u64(plan->size), "dimms", plan_dimms(plan), "memory-now",
                          json_u64(plan->memory), "memory-then",
                          json_u64(plan->memory + plan->size));

    json_object_set_new(o, "maxmem", json_u64(plan->maxmem));
    json_object_set_new(o, "block-size", json_u64(plan->block_size));
    json_object_set_new(o, "boot-memory", json_u64(plan->boot_ram));
    json_object_set_new(o, "boot-memory-end", json_u64(plan->boot_ram_end));
    json_object_set_new(o, "slots-free", json_integer(plan->slots_free));
    json_object_set_new(o, "slots-left", json_integer(plan->slots_free - plan->dimms->len));
    json_object_set_new(o, "kvm-slots-free", json_integer(plan->kvm_slots_free));
    json_object_set_new(o, "memmap-cost", json_u64(plan->memmap_cost));
    json_object_set_new(o, "memmap-total", json_u64(plan->memmap_total));
    json_object_set_new(o, "unreachable", json_u64(plan->unreachable));
    json_object_set_new(o, "can-be-taken-back", json_string(return_name(plan->comes_back)));
    if (plan->memmap_warning) {
        json_object_set_new(o, "warning", json_string(plan->memmap_warning));
    }
    return o;
}

static bool run_plan(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    g_autoptr(MemoryPlan) plan =
        machine_memory_plan(monitor_machine(mon), arg_u64(args, "size"), error);

    if (plan) {
        *ret_result = plan_json(plan);
    }
    return plan != NULL;
}

/* size_format() of a member; g_free() */
static char *size_of(const json_t *o, const char *name)
{
    return size_format(json_get_u64(o, name));
}

static void print_dimms(const json_t *o, GString *out)
{
    g_autofree char *now = size_of(o, "memory-now");
    g_autofree char *then = size_of(o, "memory-then");
    g_autofree char *target = size_format_option(json_get_u64(o, "memory-then"));
    size_t i;
    json_t *dimm;

    g_string_append_printf(out, "From %s to %s; `memory resize %s` does it:\n", now, then, target);
    json_array_foreach(json_object_get(o, "dimms"), i, dimm) {
        g_autofree char *size = size_of(dimm, "size");
        uint64_t addr = json_get_u64(dimm, "addr");

        g_string_append_printf(out, "  DIMM of %-10s at 0x%010" PRIx64 "-0x%010" PRIx64 "\n", size,
                               addr, addr + json_get_u64(dimm, "size") - 1);
    }
}

static void print_block(const json_t *o, GString *out)
{
    g_autofree char *block = size_of(o, "block-size");
    g_autofree char *boot = size_of(o, "boot-memory");
    g_autofree char *asked = size_of(o, "requested");
    uint64_t end = json_get_u64(o, "boot-memory-end");

    g_string_append_printf(out, "Memory block of a Linux guest: %s. ", block);
    if (end < 64 * GIB) {
        g_string_append_printf(out, "-m %s ends at 0x%" PRIx64 ", below 64 GiB, where it is always "
                               "128 MiB.\n", boot, end);
    } else {
        g_string_append_printf(out, "-m %s ends at 0x%" PRIx64 ", above 64 GiB, where it is the "
                               "largest power of two up to 2 GiB that divides the end.\n", boot,
                               end);
    }
    if (json_get_u64(o, "requested") != json_get_u64(o, "size")) {
        g_autofree char *size = size_of(o, "size");

        g_string_append_printf(out, "  %s was asked for: rounded up to whole blocks, %s.\n", asked,
                               size);
    }
}

static void print_costs(const json_t *o, GString *out)
{
    g_autofree char *cost = size_of(o, "memmap-cost");
    g_autofree char *total = size_of(o, "memmap-total");
    g_autofree char *boot = size_of(o, "boot-memory");
    const char *warning = json_get_text(o, "warning");

    g_string_append_printf(out, "Cost in the guest: %s to describe it (64 bytes for each page); "
                           "with all DIMMs %s, out of %s of boot RAM.\n", cost, total, boot);
    if (warning) {
        g_string_append_printf(out, "  Warning: %s\n", warning);
    }
}

static void print_slots(const json_t *o, GString *out)
{
    uint64_t unreachable = json_get_u64(o, "unreachable");

    g_string_append_printf(out, "Memory slots: %" PRIu64 " free now, %" PRIu64 " afterwards. KVM "
                           "slots: %" PRIu64 " free.\n", json_get_u64(o, "slots-free"),
                           json_get_u64(o, "slots-left"), json_get_u64(o, "kvm-slots-free"));
    if (unreachable) {
        g_autofree char *text = size_format(unreachable);

        g_string_append_printf(out, "  No slot would be left for the last %s below maxmem.\n",
                               text);
    }
}

static void print_return(const json_t *o, GString *out)
{
    const char *answer = json_get_text(o, "can-be-taken-back");

    if (strcmp(answer, "likely") == 0) {
        g_string_append(out, "Taking it back: likely to work, DIMM by DIMM: the guest onlines it as "
                             "movable (memhp_default_state=online_movable).\n");
    } else if (strcmp(answer, "unlikely") == 0) {
        g_string_append(out, "Taking it back: unlikely to work: the guest's command line does not "
                             "online it as movable; memhp_default_state=online_movable would.\n");
    } else {
        g_string_append(out, "Taking it back: works only if the guest onlines it as movable, for "
                             "example by memhp_default_state=online_movable on its command "
                             "line.\n");
    }
}

static void print_plan(const json_t *result, GString *out)
{
    print_dimms(result, out);
    print_block(result, out);
    print_costs(result, out);
    print_slots(result, out);
    print_return(result, out);
}

static const MonitorArg size_args[] = {
    { .name = "size", .type = MONITOR_ARG_SIZE },
    { 0 },
};

static const MonitorCommand plan_command = {
    .name = "x-query-memory-plan",
    .qmp = "x-query-memory-plan",
    .hmp = "info memory-plan",
    .help = "Shows which DIMMs would give the guest SIZE more than now, and what that takes.",
    .details = "SIZE is what is to be added, not the new total (which `memory resize` takes, and the "
               "first line of the plan names): for a guest of 2 GiB, `info memory-plan 6G` plans "
               "for 8 GiB in all. Shown are sizes and addresses, the guest's memory block and "
               "where it comes from, what describing the memory costs in the guest, slots of the "
               "machine and of KVM, and whether it can be taken back. Changes nothing.",
    .args = size_args,
    .run = run_plan,
    .print = print_plan,
};
MONITOR_COMMAND_REGISTER(plan_command);

/* memory resize */

json_t *monitor_resize_data(const MemoryResizeStatus *s)
{
    json_t *o = json_pack("{s:s,s:o,s:o,s:o,s:i,s:i}", "state", memory_resize_state_name(s->state),
                          "start", json_u64(s->start), "target", json_u64(s->target), "now",
                          json_u64(s->now), "dimms", (int)s->dimms, "dimms-done",
                          (int)s->dimms_done);

    if (s->doing) {
        json_object_set_new(o, "message", json_string(s->doing));
    }
    return o;
}

static bool run_status(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    MemoryResizeStatus status = machine_memory_resize_status(monitor_machine(mon));

    *ret_result = monitor_resize_data(&status);
    return true;
}

/* Steps that it has taken before this returns are in its own answer. */
static bool run_resize(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    Machine *machine = monitor_machine(mon);

    if (!machine_memory_resize(machine, arg_u64(args, "size"), error)) {
        return false;
    }
    monitor_await_resize(mon, machine_memory_resize_status(machine).state ==
                                  MEMORY_RESIZE_RUNNING);
    return run_status(mon, args, ret_result, error);
}

static bool run_resize_cancel(Monitor *mon, json_t *args, json_t **ret_result, GError **error)
{
    monitor_await_resize(mon, false); /* the answer says it */
    return machine_memory_resize_cancel(monitor_machine(mon), error) &&
           run_status(mon, args, ret_result, error);
}

static void print_status(const json_t *o, GString *out)
{
    g_autofree char *start = size_of(o, "start");
    g_autofree char *target = size_of(o, "target");
    const char *state = json_get_text(o, "state");
    const char *message = json_get_text(o, "message");

    if (strcmp(state, "none") == 0) {
        g_string_append(out, "memory resize: none so far\n");
        return;
    }
    g_string_append_printf(out, "memory resize from %s to %s: %s, %" PRIu64 " of %" PRIu64
                           " DIMMs: %s\n", start, target, state, json_get_u64(o, "dimms-done"),
                           json_get_u64(o, "dimms"), message ? message : "");
}

char *monitor_resize_text(const MemoryResizeStatus *status)
{
    json_t *data = monitor_resize_data(status);
    GString *out = g_string_new(NULL);

    print_status(data, out);
    json_decref(data);
    g_string_truncate(out, out->len - 1);
    return g_string_free(out, FALSE);
}

static const MonitorCommand resize_command = {
    .name = "x-memory-resize",
    .qmp = "x-memory-resize",
    .hmp = "memory resize",
    .help = "Makes the guest's memory SIZE large in all, boot RAM included: plugs or takes DIMMs.",
    .details = "SIZE is the new total, not what is to be added (which `info memory-plan` takes): "
               "`memory resize 8G` gives a guest of 2 GiB 6 GiB more. Larger: the DIMMs of "
               "`info memory-plan` are plugged at once. Smaller: the guest is asked for one DIMM "
               "after another, those of earlier resizes first; if it refuses one, another is "
               "tried; never more than asked is taken. The command returns when that has begun; in "
               "HMP a line for each step and for the end follows. "
               "Event: X_MEMORY_RESIZE at every step and at the end, with `state` completed, "
               "partial, failed or cancelled; `info memory-resize` says the same when asked.",
    .args = size_args,
    .run = run_resize,
    .print = print_status,
};
MONITOR_COMMAND_REGISTER(resize_command);

static const MonitorCommand resize_cancel_command = {
    .name = "x-memory-resize-cancel",
    .qmp = "x-memory-resize-cancel",
    .hmp = "memory resize_cancel",
    .help = "Ends a `memory resize` that is under way; what it has done stays.",
    .details = "A DIMM that the guest is giving up may still go: ACPI cannot recall a request.",
    .run = run_resize_cancel,
    .print = print_status,
};
MONITOR_COMMAND_REGISTER(resize_cancel_command);

static const MonitorCommand resize_status_command = {
    .name = "x-query-memory-resize",
    .qmp = "x-query-memory-resize",
    .hmp = "info memory-resize",
    .help = "Shows how the last `memory resize` goes on, or how it ended.",
    .run = run_status,
    .print = print_status,
};
MONITOR_COMMAND_REGISTER(resize_status_command);
