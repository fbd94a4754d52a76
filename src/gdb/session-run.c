/* SPDX-License-Identifier: MIT */
/* A session lets the machine go on, and says why it stands still again. */
#include "session-internal.h"

#include <string.h>

void gdb_session_tell_stop(GdbSession *s, unsigned signal_number, unsigned cpu,
                           const GdbReport *report)
{
    static const char *const watches[] = {
        [GDB_WATCH_WRITE] = "watch", [GDB_WATCH_READ] = "rwatch", [GDB_WATCH_ACCESS] = "awatch",
    };
    GString *out = s->last_stop;

    g_string_printf(out, "T%02xthread:%x;", signal_number, cpu + 1);
    if (report->kind == VCPU_STOP_INT3 && s->tells_sw) {
        g_string_append(out, "swbreak:;");
    } else if (report->kind == VCPU_STOP_EXECUTE && s->tells_hw) {
        g_string_append(out, "hwbreak:;");
    } else if (report->kind == VCPU_STOP_WATCH && report->type >= GDB_WATCH_WRITE) {
        g_string_append_printf(out, "%s:%" G_GINT64_MODIFIER "x;", watches[report->type],
                               report->gva);
    }
    s->reports[cpu].kind = VCPU_STOP_NONE;
    s->general_cpu = cpu;
    s->running = false;
    gdb_reply(s, out->str);
}

/* A watchpoint that another vCPU met when the machine stopped last time, and that is still wanted. */
static bool still_due(const GdbSession *s, unsigned cpu, const VcpuDebugAction *actions)
{
    const GdbReport *r = &s->reports[cpu];
    VcpuDebugPlan plan;
    uint64_t gva;

    if (r->kind != VCPU_STOP_WATCH || actions[cpu] == VCPU_DEBUG_STAY) {
        return false;
    }
    gdb_breakpoints_plan(s->breakpoints, &plan);
    for (unsigned i = 0; i < plan.slot_count; i++) {
        if (gdb_breakpoints_slot(s->breakpoints, i, &gva) == r->type && gva == r->gva) {
            return true;
        }
    }
    return false;
}

static bool tell_due(GdbSession *s, const VcpuDebugAction *actions)
{
    for (unsigned cpu = 0; cpu < s->target->cpus; cpu++) {
        if (still_due(s, cpu, actions)) {
            GdbReport r = s->reports[cpu];

            gdb_session_tell_stop(s, 5, cpu, &r);
            return true;
        }
    }
    return false;
}

static void resume(GdbSession *s, const VcpuDebugAction *actions)
{
    g_autofree char *why = NULL;
    VcpuDebugPlan plan;

    s->running = true;
    if (tell_due(s, actions)) {
        return;
    }
    gdb_breakpoints_plan(s->breakpoints, &plan);
    plan.block_irq = s->step_flags & GDB_STEP_NO_IRQ;
    if (!s->target->resume(s->target->opaque, &plan, actions, &why)) {
        g_autofree char *line = g_strdup_printf("%s\n", why);

        gdb_session_halted(s, GDB_HALT_FAILED, line);
    }
}

static bool anybody_runs(const GdbSession *s, const VcpuDebugAction *actions)
{
    for (unsigned i = 0; i < s->target->cpus; i++) {
        if (actions[i] != VCPU_DEBUG_STAY) {
            return true;
        }
    }
    return false;
}

static bool set_pc(GdbSession *s, uint64_t pc)
{
    VcpuRegisters r;

    if (!s->target->get_registers(s->target->opaque, s->general_cpu, &r)) {
        return false;
    }
    r.rip = pc;
    return s->target->set_registers(s->target->opaque, s->general_cpu, &r);
}

/* "c[ADDR]", "s[ADDR]", "Csig[;ADDR]", "Ssig[;ADDR]": there are no signals for a machine. */
void gdb_session_continue(GdbSession *s, const char *packet)
{
    g_autofree VcpuDebugAction *actions = g_new0(VcpuDebugAction, s->target->cpus);
    bool step = packet[0] == 's' || packet[0] == 'S';
    bool has_signal = packet[0] == 'C' || packet[0] == 'S';
    const char *at = packet + 1;
    uint64_t number, pc;

    if ((has_signal && (!gdb_take_number(&at, &number) || (*at && !gdb_take_char(&at, ';')))) ||
        (*at && (!gdb_take_number(&at, &pc) || *at || !set_pc(s, pc)))) {
        gdb_reply(s, GDB_ERROR_INVALID);
        return;
    }
    for (unsigned i = 0; s->continue_cpu >= 0 && i < s->target->cpus; i++) {
        actions[i] = i == (unsigned)s->continue_cpu ? VCPU_DEBUG_RUN : VCPU_DEBUG_STAY;
    }
    if (step) {
        actions[s->continue_cpu >= 0 ? (unsigned)s->continue_cpu : s->general_cpu] =
            VCPU_DEBUG_STEP;
    }
    resume(s, actions);
}

/* ";c", ";C05", ";s", ";S05", with ":THREAD" or for all that had none before. */
static bool take_action(const GdbSession *s, const char **at, VcpuDebugAction *ret_action,
                        int *ret_cpu)
{
    uint64_t signal_number;
    char letter = **at ? (*at)[1] : '\0';

    if (**at != ';' || letter == '\0' || !strchr("cCsS", letter)) {
        return false;
    }
    *at += 2;
    *ret_action = letter == 's' || letter == 'S' ? VCPU_DEBUG_STEP : VCPU_DEBUG_RUN;
    if ((letter == 'C' || letter == 'S') && !gdb_take_number(at, &signal_number)) {
        return false;
    }
    *ret_cpu = -1;
    return !gdb_take_char(at, ':') || gdb_take_thread(s, at, (int)s->general_cpu, ret_cpu);
}

/* The leftmost action that names a vCPU, or all, is the one for it. */
void gdb_session_vcont(GdbSession *s, const char *packet)
{
    g_autofree VcpuDebugAction *actions = g_new(VcpuDebugAction, s->target->cpus);
    g_autofree bool *given = g_new0(bool, s->target->cpus);
    const char *at = packet + strlen("vCont");

    for (unsigned i = 0; i < s->target->cpus; i++) {
        actions[i] = VCPU_DEBUG_STAY;
    }
    while (*at) {
        VcpuDebugAction action;
        int cpu;

        if (!take_action(s, &at, &action, &cpu)) {
            gdb_reply(s, GDB_ERROR_INVALID);
            return;
        }
        for (unsigned i = 0; i < s->target->cpus; i++) {
            if (!given[i] && (cpu < 0 || (unsigned)cpu == i)) {
                actions[i] = action;
                given[i] = true;
            }
        }
    }
    if (!anybody_runs(s, actions)) {
        gdb_reply(s, GDB_ERROR_INVALID);
        return;
    }
    resume(s, actions);
}
