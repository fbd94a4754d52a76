/* SPDX-License-Identifier: MIT */
/* The machine as a session's target. */
#include "server-internal.h"

#include "tessera/machine/debugger.h"
#include "tessera/machine/guest-view.h"

static VcpuSet *vcpus_of(void *opaque)
{
    return machine_vcpus(((GdbServer *)opaque)->machine);
}

static bool get_registers(void *opaque, unsigned cpu, VcpuRegisters *ret)
{
    return vcpu_debug_get_registers(vcpus_of(opaque), cpu, ret, NULL);
}

/* The protocol has room for a number only: what is wrong goes to standard error. */
static bool set_registers(void *opaque, unsigned cpu, const VcpuRegisters *registers)
{
    g_autoptr(GError) error = NULL;

    if (!vcpu_debug_set_registers(vcpus_of(opaque), cpu, registers, &error)) {
        g_printerr("tessera: gdb: %s\n", error->message);
        return false;
    }
    return true;
}

static bool read_memory(void *opaque, unsigned cpu, bool physical, uint64_t addr, void *buf,
                        size_t len)
{
    GuestView view = guest_view(((GdbServer *)opaque)->machine, physical, cpu);

    return guest_view_read(&view, addr, buf, len);
}

static bool write_memory(void *opaque, unsigned cpu, bool physical, uint64_t addr, const void *buf,
                         size_t len)
{
    GuestView view = guest_view(((GdbServer *)opaque)->machine, physical, cpu);

    return guest_view_write(&view, addr, buf, len);
}

static bool translate(void *opaque, unsigned cpu, uint64_t gva, hwaddr *ret_gpa)
{
    GuestView view = guest_view(((GdbServer *)opaque)->machine, false, cpu);

    return guest_view_translate(&view, gva, ret_gpa);
}

static bool resume(void *opaque, const VcpuDebugPlan *plan, const VcpuDebugAction *actions,
                   char **ret_why)
{
    GdbServer *server = opaque;
    g_autoptr(GError) error = NULL;
    VcpuDebugPlan wanted = *plan;

    wanted.block_irq = plan->block_irq && server->can_block_irq;
    if (vcpu_debug_prepare(vcpus_of(opaque), &wanted, actions, &error) &&
        machine_debugger_cont(server->machine, &error)) {
        return true;
    }
    *ret_why = g_strdup(error->message);
    return false;
}

static void stop(void *opaque)
{
    machine_debugger_stop(((GdbServer *)opaque)->machine);
}

static VcpuStop stop_of(void *opaque, unsigned cpu)
{
    return vcpu_debug_stop(vcpus_of(opaque), cpu);
}

static char *describe(void *opaque, unsigned cpu)
{
    static const char *const activities[] = {
        [VCPU_ACTIVE] = "running", [VCPU_HALTED] = "halted", [VCPU_WAITING] = "not started",
    };

    return g_strdup_printf("vCPU %u [%s]", cpu,
                           activities[vcpu_debug_activity(vcpus_of(opaque), cpu)]);
}

static void command(void *opaque, const char *line, unsigned cpu, GString *out)
{
    GdbServer *server = opaque;

    server->in_command = true;
    server->command(server->command_opaque, line, cpu, out);
    server->in_command = false;
}

static void detach(void *opaque)
{
    gdb_server_detach(opaque, true);
}

static void kill_machine(void *opaque)
{
    GdbServer *server = opaque;

    g_printerr("tessera: ended by gdb\n");
    machine_quit(server->machine, EXIT_STATUS_POWEROFF);
}

static void output(void *opaque, const uint8_t *buf, size_t len)
{
    gdb_server_write(opaque, buf, len);
}

GdbTarget gdb_machine_target(GdbServer *server)
{
    return (GdbTarget){
        .cpus = vcpu_set_count(machine_vcpus(server->machine)),
        .opaque = server,
        .get_registers = get_registers,
        .set_registers = set_registers,
        .read = read_memory,
        .write = write_memory,
        .translate = translate,
        .resume = resume,
        .stop = stop,
        .stop_of = stop_of,
        .describe = describe,
        .command = command,
        .detach = detach,
        .kill = kill_machine,
        .output = output,
    };
}
