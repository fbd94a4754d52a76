/* SPDX-License-Identifier: MIT */
/* vCPUs: threads that run KVM_RUN, and the states they are held in. */
#ifndef TESSERA_ACCEL_KVM_VCPU_H
#define TESSERA_ACCEL_KVM_VCPU_H

#include <glib.h>
#include "tessera/accel/kvm/kvm.h"
#include "tessera/util/x86-entry.h"
#include "tessera/util/x86-paging.h"

/*
 * A VcpuSet is all vCPUs of one machine. It is created stopped. Two independent things keep a vCPU
 * out of KVM_RUN:
 *   paused   by vcpu_set_pause() (monitor `stop`, reset, shutdown): lasts until vcpu_set_resume();
 *   parked   for the length of one slot change, by the slot listener (internal).
 * A vCPU outside KVM_RUN (in a register handler, or waiting for the machine lock) counts as out.
 */
typedef struct VcpuSet VcpuSet;
typedef struct CpuModel CpuModel;

/**
 * struct VcpuOps - what a vCPU thread tells its machine; all callbacks run on the vCPU's thread,
 * without locks
 * @triple_fault: KVM_EXIT_SHUTDOWN; this vCPU then stays held until reset, the others run on unless
 *      the callback holds them (vcpu_set_hold())
 * @system_event: KVM_EXIT_SYSTEM_EVENT with its type; the vCPU re-enters the guest unless held
 * @failed: the vCPU cannot go on (unknown exit, internal error, entry failure, KVM_RUN error): @text
 *      has the reason, registers, code bytes and a hint. The vCPU stays held until reset; it can be
 *      inspected.
 * @debug: the vCPU has met what a debugger asked for (vcpu-debug.h); it re-enters the guest unless held
 */
typedef struct VcpuOps {
    void (*triple_fault)(void *opaque, unsigned cpu);
    void (*system_event)(void *opaque, unsigned cpu, unsigned type);
    void (*failed)(void *opaque, unsigned cpu, const char *text);
    void (*debug)(void *opaque, unsigned cpu);
} VcpuOps;

/**
 * cpu_model_new() - parses a `-cpu` argument: "host" or "max", then ",+feature" / ",-feature" /
 * ",feature=on|off" by the names of /proc/cpuinfo
 *
 * Errors: an unknown model or feature (with the nearest right name); a feature asked for that the
 * host lacks.
 */
CpuModel *cpu_model_new(Kvm *kvm, const char *spec, GError **error);
void cpu_model_free(CpuModel *model);
/** cpu_model_phys_bits() - CPUID 0x80000008 EAX[7:0] as the guest sees it */
unsigned cpu_model_phys_bits(const CpuModel *model);
/** cpu_model_gib_pages() - has the guest's processor pages of 1 GiB (CPUID 0x80000001 EDX[26])? */
bool cpu_model_gib_pages(const CpuModel *model);
/** cpu_model_print_features() - every feature name the host can give, for `-cpu help` */
void cpu_model_print_features(Kvm *kvm, GString *out);

/**
 * vcpu_set_create() - creates @count vCPUs (1 or more); all are paused
 * @memory, @io: where MMIO and port accesses go
 * @ops, @opaque: see struct VcpuOps; must outlive the set
 *
 * After kvm_make_irqchip(), if the VM has chips. APIC ids: vcpu_apic_id(). Errors: count beyond what
 * the kernel allows (names the maximum).
 */
VcpuSet *vcpu_set_create(Kvm *kvm, unsigned count, AddressSpace *memory, AddressSpace *io,
                         const VcpuOps *ops, void *opaque, GError **error);

/**
 * vcpu_set_prepare() - gives the vCPUs their CPUID and remembers their state at power-on; once, before
 * the first vcpu_set_reset()
 *
 * Context: any one thread; meanwhile nobody may look at registers, reset or resume. An error leaves
 * a set that can only be freed.
 */
bool vcpu_set_prepare(VcpuSet *set, const CpuModel *model, GError **error);

/**
 * vcpu_set_start_threads() - once, before the first vcpu_set_resume(); it may be while another thread
 * is in vcpu_set_prepare(). An error leaves a set that can only be freed.
 */
bool vcpu_set_start_threads(VcpuSet *set, GError **error);

/** vcpu_set_new() - all three */
VcpuSet *vcpu_set_new(Kvm *kvm, const CpuModel *model, unsigned count, AddressSpace *memory,
                      AddressSpace *io, const VcpuOps *ops, void *opaque, GError **error);

/** vcpu_set_free() - ends the threads (waits for them). No machine lock held. NULL is allowed */
void vcpu_set_free(VcpuSet *set);

unsigned vcpu_set_count(const VcpuSet *set);
/** vcpu_apic_id() - APIC id of vCPU @cpu: the identity */
uint32_t vcpu_apic_id(unsigned cpu);

/**
 * vcpu_set_reset() - every vCPU as after power-on, plus what firmware would have set; vCPU 0 gets
 * @entry, the others wait for INIT and SIPI (without an in-kernel irqchip: for ever). After
 * vcpu_set_pause() (asserted). On failure the vCPUs' state is undefined until a reset succeeds.
 */
bool vcpu_set_reset(VcpuSet *set, const X86EntryState *entry, GError **error);

/**
 * vcpu_set_pause() - returns when every vCPU is out of KVM_RUN, its last exit is complete, and the
 * coalesced writes that were queued have reached their devices
 *
 * Idempotent. Context: main thread, not a vCPU thread (asserted), without the machine lock.
 */
void vcpu_set_pause(VcpuSet *set);
/**
 * vcpu_set_resume() - lets paused and held vCPUs run; the guest's kernel is told (kvmclock) that it
 * stood still. Context: as vcpu_set_pause(), after kvm_resume_clock().
 */
void vcpu_set_resume(VcpuSet *set);
bool vcpu_set_paused(const VcpuSet *set);

/**
 * vcpu_set_hold() - asks every vCPU to stay out of the guest, without waiting; vcpu_set_resume()
 * ends it. For device handlers on vCPU threads: after a power-off write no instruction follows on
 * the writing vCPU. Context: any thread.
 */
void vcpu_set_hold(VcpuSet *set);

/** vcpu_set_inject_nmi() - to every vCPU, paused or not. Context: any thread */
void vcpu_set_inject_nmi(VcpuSet *set);

/**
 * vcpu_set_dump_registers() - text of vCPU @cpu's registers; paused or not
 *
 * Running vCPUs are stopped for the moment, their last exits completed. Context: as vcpu_set_pause().
 * Errors: no such vCPU.
 */
bool vcpu_set_dump_registers(VcpuSet *set, unsigned cpu, GString *out, GError **error);

/**
 * vcpu_set_get_register() - a register by its name ("rip", "eax", "cr3", "efer", "gs_base"); the
 * vCPU is kicked for it when it runs
 *
 * Errors: TESSERA_ERROR_NOT_FOUND with the nearest name.
 */
bool vcpu_set_get_register(VcpuSet *set, unsigned cpu, const char *name, uint64_t *ret_value,
                           GError **error);

/**
 * vcpu_set_translate() - the guest-physical address behind @gva, by vCPU @cpu's page tables as they
 * are now (KVM_TRANSLATE); false when it is not mapped
 */
bool vcpu_set_translate(VcpuSet *set, unsigned cpu, uint64_t gva, hwaddr *ret_gpa);

/**
 * vcpu_set_walk() - the way of @gva through vCPU @cpu's page tables, entry by entry
 * @ret_state: the registers that it translates with
 *
 * The tables are read as they are in memory (vcpu_set_translate() asks the kernel instead). Running
 * vCPUs are stopped for the moment, so that registers and tables belong together; a device's DMA goes
 * on. Context: as vcpu_set_pause(). Errors: TESSERA_ERROR_NOT_FOUND (no such vCPU), _SYSTEM.
 */
bool vcpu_set_walk(VcpuSet *set, unsigned cpu, uint64_t gva, X86PagingState *ret_state,
                   X86Walk *ret_walk, GError **error);

/**
 * vcpu_set_show_registers() - all registers of vCPU @cpu, FPU and SSE included, in the layout of
 * QEMU's "info registers"
 *
 * Errors: TESSERA_ERROR_NOT_FOUND (no such vCPU), _SYSTEM.
 */
bool vcpu_set_show_registers(VcpuSet *set, unsigned cpu, GString *out, GError **error);

/** vcpu_set_thread_id() - the kernel's number of the vCPU's thread (gettid()); 0: no such vCPU */
int vcpu_set_thread_id(VcpuSet *set, unsigned cpu);

/** struct VcpuStats - exits by reason, summed over the vCPUs; each vCPU counts on its own cache lines */
typedef struct VcpuStats {
    uint64_t exits;
    uint64_t io;
    uint64_t mmio;
    uint64_t hlt;
    uint64_t intr;
    uint64_t coalesced; /* queued writes drained */
} VcpuStats;
VcpuStats vcpu_set_stats(VcpuSet *set);

#endif
