/* SPDX-License-Identifier: MIT */
/* What a vCPU does about each reason for which KVM_RUN returns. */
#include "vcpu-internal.h"

#include <errno.h>
#include <linux/kvm_para.h>
#include <string.h>
#include "kvm-internal.h"
#include "tessera/memory/address-space.h"
#include "tessera/util/log.h"
#include "tessera/util/trace.h"

/* Newer than Debian 12's <linux/kvm.h>. */
#ifndef KVM_EXIT_NOTIFY
#define KVM_EXIT_NOTIFY 37
#endif
#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT 39
#endif

static const char *result_text(MemTxResult result)
{
    if (result & MEMTX_DECODE_ERROR) {
        return "nothing answers there";
    }
    return result & MEMTX_ROM_WRITE ? "read-only memory" : "the device refuses this access";
}

/*
 * What follows is compiled twice, with @traced as a constant: a vCPU that nobody traces runs through
 * no trace point.
 */
#define TRACED_TOO static inline __attribute__((always_inline))

TRACED_TOO MemTxResult access_rw(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, void *data,
                                 unsigned size, bool is_write, bool traced)
{
    return traced ? address_space_rw_traced(as, addr, attrs, data, size, is_write)
                  : address_space_rw(as, addr, attrs, data, size, is_write);
}

TRACED_TOO ExitAction do_io(Vcpu *vcpu, bool traced)
{
    struct kvm_run *run = vcpu->run;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;
    bool is_write = run->io.direction == KVM_EXIT_IO_OUT;

    counter_add(&vcpu->counters.io, 1);
    vcpu->completion_due = true;
    for (uint32_t i = 0; i < run->io.count; i++) {
        MemTxAttrs attrs = { .exit = i == 0 };
        MemTxResult result = access_rw(vcpu->set->io, run->io.port, attrs, data, run->io.size,
                                       is_write, traced);

        if (result) {
            log_item(LOG_UNIMP, "vCPU %u: %u bytes %s port 0x%x: %s", vcpu->index, run->io.size,
                     is_write ? "to" : "from", run->io.port, result_text(result));
        }
        data += run->io.size;
    }
    return EXIT_CONTINUE;
}

static ExitAction exit_io(Vcpu *vcpu)
{
    return do_io(vcpu, false);
}

TRACED_TOO ExitAction do_mmio(Vcpu *vcpu, bool traced)
{
    struct kvm_run *run = vcpu->run;
    MemTxResult result;

    counter_add(&vcpu->counters.mmio, 1);
    vcpu->completion_due = true;
    result = access_rw(vcpu->set->memory, run->mmio.phys_addr, (MemTxAttrs){ .exit = true },
                       run->mmio.data, run->mmio.len, run->mmio.is_write, traced);
    if (result) {
        log_item(LOG_UNIMP, "vCPU %u: %u bytes %s 0x%llx: %s", vcpu->index, run->mmio.len,
                 run->mmio.is_write ? "to" : "from", (unsigned long long)run->mmio.phys_addr,
                 result_text(result));
    }
    return EXIT_CONTINUE;
}

static ExitAction exit_mmio(Vcpu *vcpu)
{
    return do_mmio(vcpu, false);
}

/* Only without an in-kernel local APIC: nothing can wake this vCPU but a reset. */
static ExitAction exit_hlt(Vcpu *vcpu)
{
    counter_add(&vcpu->counters.hlt, 1);
    return EXIT_STUCK;
}

static ExitAction exit_shutdown(Vcpu *vcpu)
{
    vcpu->set->ops->triple_fault(vcpu->set->opaque, vcpu->index);
    return EXIT_STUCK;
}

static ExitAction exit_system_event(Vcpu *vcpu)
{
    vcpu->set->ops->system_event(vcpu->set->opaque, vcpu->index, vcpu->run->system_event.type);
    return EXIT_CONTINUE;
}

static ExitAction exit_fail_entry(Vcpu *vcpu)
{
    g_autofree char *reason = g_strdup_printf(
        "the processor refused to enter the guest (KVM_EXIT_FAIL_ENTRY, hardware reason 0x%llx, "
        "processor %u): the guest's state is invalid, or nested virtualization is broken here",
        (unsigned long long)vcpu->run->fail_entry.hardware_entry_failure_reason,
        vcpu->run->fail_entry.cpu);

    return vcpu_fail(vcpu, reason);
}

static const char *internal_error_hint(unsigned suberror)
{
    switch (suberror) {
    case KVM_INTERNAL_ERROR_EMULATION:
        return "KVM could not emulate an instruction; this host interprets guest kernel code, or "
               "the guest executes where no memory is. Run where /proc/cpuinfo shows vmx or svm";
    case KVM_INTERNAL_ERROR_SIMUL_EX:
        return "two exceptions at once that cannot be combined: the guest's tables are damaged";
    case KVM_INTERNAL_ERROR_DELIVERY_EV:
        return "an interrupt was delivered through memory that is not RAM: look at the guest's IDT "
               "and stack";
    case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
        return "the processor left the guest for a reason that this host kernel does not know: "
               "try a newer host kernel, or fewer features with -cpu host,-FEATURE";
    default:
        return "a suberror that this version does not know";
    }
}

static ExitAction exit_internal_error(Vcpu *vcpu)
{
    struct kvm_run *run = vcpu->run;
    g_autoptr(GString) reason = g_string_new(NULL);

    g_string_printf(reason, "KVM_EXIT_INTERNAL_ERROR, suberror %u: %s", run->internal.suberror,
                    internal_error_hint(run->internal.suberror));
    for (uint32_t i = 0; i < MIN(run->internal.ndata, G_N_ELEMENTS(run->internal.data)); i++) {
        g_string_append_printf(reason, "%s%016llx", i ? " " : "\n  data ",
                               (unsigned long long)run->internal.data[i]);
    }
    return vcpu_fail(vcpu, reason->str);
}

static ExitAction exit_intr(Vcpu *vcpu)
{
    counter_add(&vcpu->counters.intr, 1);
    return EXIT_CONTINUE;
}

static ExitAction exit_ignore(Vcpu *vcpu)
{
    return EXIT_CONTINUE;
}

/* An MSR that KVM left to us, and that we do not have either: the guest gets #GP. */
static ExitAction exit_msr(Vcpu *vcpu)
{
    struct kvm_run *run = vcpu->run;

    vcpu->completion_due = true;
    run->msr.error = 1;
    log_item(LOG_GUEST_ERROR, "vCPU %u: %s of unknown MSR 0x%x", vcpu->index,
             run->exit_reason == KVM_EXIT_X86_RDMSR ? "read" : "write", run->msr.index);
    return EXIT_CONTINUE;
}

static ExitAction exit_hypercall(Vcpu *vcpu)
{
    vcpu->completion_due = true;
    vcpu->run->hypercall.ret = (uint64_t)-KVM_ENOSYS;
    return EXIT_CONTINUE;
}

static const struct {
    const char *name;
    ExitAction (*handle)(Vcpu *vcpu); /* NULL: cannot happen as this VM is set up */
} exits[] = {
    [KVM_EXIT_UNKNOWN] = { "UNKNOWN", NULL },
    [KVM_EXIT_EXCEPTION] = { "EXCEPTION", NULL },
    [KVM_EXIT_IO] = { "IO", exit_io },
    [KVM_EXIT_HYPERCALL] = { "HYPERCALL", exit_hypercall },
    [KVM_EXIT_DEBUG] = { "DEBUG", vcpu_debug_exit },
    [KVM_EXIT_HLT] = { "HLT", exit_hlt },
    [KVM_EXIT_MMIO] = { "MMIO", exit_mmio },
    [KVM_EXIT_IRQ_WINDOW_OPEN] = { "IRQ_WINDOW_OPEN", exit_ignore },
    [KVM_EXIT_SHUTDOWN] = { "SHUTDOWN", exit_shutdown },
    [KVM_EXIT_FAIL_ENTRY] = { "FAIL_ENTRY", exit_fail_entry },
    [KVM_EXIT_INTR] = { "INTR", exit_intr },
    [KVM_EXIT_SET_TPR] = { "SET_TPR", exit_ignore },
    [KVM_EXIT_TPR_ACCESS] = { "TPR_ACCESS", exit_ignore },
    [KVM_EXIT_NMI] = { "NMI", exit_ignore },
    [KVM_EXIT_INTERNAL_ERROR] = { "INTERNAL_ERROR", exit_internal_error },
    [KVM_EXIT_SYSTEM_EVENT] = { "SYSTEM_EVENT", exit_system_event },
    [KVM_EXIT_IOAPIC_EOI] = { "IOAPIC_EOI", exit_ignore },
    [KVM_EXIT_X86_RDMSR] = { "X86_RDMSR", exit_msr },
    [KVM_EXIT_X86_WRMSR] = { "X86_WRMSR", exit_msr },
    [KVM_EXIT_DIRTY_RING_FULL] = { "DIRTY_RING_FULL", NULL },
    [KVM_EXIT_X86_BUS_LOCK] = { "X86_BUS_LOCK", exit_ignore },
    [KVM_EXIT_NOTIFY] = { "NOTIFY", exit_ignore },
    [KVM_EXIT_MEMORY_FAULT] = { "MEMORY_FAULT", NULL },
};

static ExitAction exit_unexpected(Vcpu *vcpu, uint32_t reason)
{
    const char *name = reason < G_N_ELEMENTS(exits) ? exits[reason].name : NULL;
    g_autofree char *text =
        g_strdup_printf("unexpected exit %u (%s%s) from KVM_RUN", reason, name ? "KVM_EXIT_" : "",
                        name ? name : "not known to this version");

    return vcpu_fail(vcpu, text);
}

static void drain_coalesced(Vcpu *vcpu)
{
    uint64_t writes = kvm_coalesced_drain(vcpu->set->kvm, vcpu->set->memory, vcpu->set->io);

    counter_add(&vcpu->counters.coalesced, writes);
    trace_event(coalesced_drain, .cpu = vcpu->index, .writes = writes);
}

TRACED_TOO ExitAction handle_exit(Vcpu *vcpu, bool traced)
{
    uint32_t reason = vcpu->run->exit_reason;

    counter_add(&vcpu->counters.exits, 1);
    /* Writes that the kernel queued came before this exit. */
    if (kvm_coalesced_pending(vcpu->set->kvm)) {
        drain_coalesced(vcpu);
    }
    log_item(LOG_EXIT, "vCPU %u: exit %u %s", vcpu->index, reason,
             reason < G_N_ELEMENTS(exits) && exits[reason].name ? exits[reason].name : "?");
    if (reason >= G_N_ELEMENTS(exits) || !exits[reason].handle) {
        return exit_unexpected(vcpu, reason);
    }
    if (traced && reason == KVM_EXIT_IO) {
        return do_io(vcpu, true);
    }
    if (traced && reason == KVM_EXIT_MMIO) {
        return do_mmio(vcpu, true);
    }
    return exits[reason].handle(vcpu);
}

ExitAction vcpu_handle_exit(Vcpu *vcpu)
{
    return handle_exit(vcpu, false);
}

ExitAction vcpu_handle_exit_traced(Vcpu *vcpu)
{
    return handle_exit(vcpu, true);
}

/* What was written, or 0. */
static uint64_t written_value(const void *data, unsigned size, bool is_write)
{
    uint64_t value = 0;

    if (is_write) {
        memcpy(&value, data, MIN(size, sizeof(value)));
    }
    return value;
}

static void trace_io(const Vcpu *vcpu)
{
    const struct kvm_run *run = vcpu->run;
    bool is_write = run->io.direction == KVM_EXIT_IO_OUT;

    trace_event(vcpu_exit, .cpu = vcpu->index, .reason = "IO", .address = run->io.port,
                .size = run->io.size, .count = run->io.count, .write = is_write,
                .value = written_value((const uint8_t *)run + run->io.data_offset, run->io.size,
                                       is_write));
}

static void trace_mmio(const Vcpu *vcpu)
{
    const struct kvm_run *run = vcpu->run;

    trace_event(vcpu_exit, .cpu = vcpu->index, .reason = "MMIO", .address = run->mmio.phys_addr,
                .size = run->mmio.len, .count = 1, .write = run->mmio.is_write,
                .value = written_value(run->mmio.data, run->mmio.len, run->mmio.is_write));
}

static void trace_msr(const Vcpu *vcpu, const char *name, bool is_write)
{
    const struct kvm_run *run = vcpu->run;

    trace_event(vcpu_exit, .cpu = vcpu->index, .reason = name, .address = run->msr.index,
                .size = 8, .count = 1, .write = is_write, .value = is_write ? run->msr.data : 0);
}

void vcpu_trace_exit(const Vcpu *vcpu, int ret)
{
    uint32_t reason = vcpu->run->exit_reason;

    if (ret < 0) {
        trace_event(vcpu_exit, .cpu = vcpu->index,
                    .reason = ret == -EINTR ? "EINTR" : ret == -EAGAIN ? "EAGAIN" : "error");
    } else if (reason == KVM_EXIT_IO) {
        trace_io(vcpu);
    } else if (reason == KVM_EXIT_MMIO) {
        trace_mmio(vcpu);
    } else if (reason == KVM_EXIT_X86_RDMSR || reason == KVM_EXIT_X86_WRMSR) {
        trace_msr(vcpu, exits[reason].name, reason == KVM_EXIT_X86_WRMSR);
    } else {
        trace_event(vcpu_exit, .cpu = vcpu->index,
                    .reason = reason < G_N_ELEMENTS(exits) && exits[reason].name
                                  ? exits[reason].name
                                  : "unknown");
    }
}

ExitAction vcpu_fail(Vcpu *vcpu, const char *reason)
{
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_printf(text, "vCPU %u cannot go on: %s\n", vcpu->index, reason);
    vcpu_report_registers(vcpu, text);
    vcpu_report_code(vcpu, text);
    vcpu->set->ops->failed(vcpu->set->opaque, vcpu->index, text->str);
    return EXIT_STUCK;
}
