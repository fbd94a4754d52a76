/* SPDX-License-Identifier: MIT */
/* vCPUs under a debugger: registers read and written, breakpoints, single steps. */
#ifndef TESSERA_ACCEL_KVM_VCPU_DEBUG_H
#define TESSERA_ACCEL_KVM_VCPU_DEBUG_H

#include "tessera/accel/kvm/vcpu.h"

/*
 * A debugger works in rounds. While everything is paused (vcpu_set_pause()) it says what is to
 * stop the guest and which vCPU may run how far (vcpu_debug_prepare()), then lets go
 * (vcpu_set_resume()). The first vCPU that meets what was asked for remembers it, calls
 * VcpuOps.debug and stays out of the guest, if that callback holds the vCPUs; others may have met
 * something too until they are out.
 *
 *   main      pause -> prepare(plan, actions) -> resume                    pause ->
 *   vcpu_debug_stop() vCPU                                          KVM_RUN -> DEBUG exit,
 *                                                 VcpuOps.debug -> hold
 *
 * An exception of the guest's own (an int3 that is not in the plan, a #DB by its own TF or ICEBP)
 * goes back to it, with DR6 as the processor would have set it. While the plan has hardware
 * breakpoints the guest's own, in its DR0 to DR3, do not fire: there is one set of registers.
 *
 * Source: linux Documentation/virt/kvm/api.rst, KVM_SET_GUEST_DEBUG and KVM_EXIT_DEBUG; debug
 * registers: Intel SDM volume 3B, section 17.2.
 *
 * Context of all functions: main thread, without the machine lock.
 */

/* Processor state as a debugger sees it; numbers in host order. */
typedef struct VcpuRegisters {
    uint64_t general[16]; /* RAX RBX RCX RDX RSI RDI RBP RSP R8 ... R15 */
    uint64_t rip;
    uint64_t rflags;
    uint16_t cs, ss, ds, es, fs, gs; /* selectors */
    uint64_t fs_base, gs_base, k_gs_base; /* the last: what SWAPGS brings */
    uint64_t cr0, cr2, cr3, cr4, cr8, efer;
    uint8_t st[8][10];  /* ST0 to ST7, as FSTP m80 stores them */
    uint16_t fcw, fsw;
    uint8_t ftw;        /* one bit each, of the physical registers: not empty */
    uint16_t fop;
    uint64_t fip, fdp;
    uint32_t mxcsr;
    uint8_t xmm[16][16];
} VcpuRegisters;

/**
 * vcpu_debug_get_registers() - all of vCPU @cpu; a running one is kicked for it
 *
 * What the processor lacks (KERNEL_GS_BASE without long mode) reads as 0. Errors:
 * TESSERA_ERROR_NOT_FOUND (no such vCPU), _SYSTEM.
 */
bool vcpu_debug_get_registers(VcpuSet *set, unsigned cpu, VcpuRegisters *ret, GError **error);

/**
 * vcpu_debug_set_registers() - makes them @wanted; only what differs is written
 *
 * A selector is changed together with its base, by the rules of real mode; in protected mode the
 * descriptor would have to be loaded too, and that is refused. Errors: as above; _INVALID: such a
 * selector; a value that KVM refuses (_SYSTEM). What comes before it in the order RFLAGS and
 * general, system, MSR, FPU is written then.
 */
bool vcpu_debug_set_registers(VcpuSet *set, unsigned cpu, const VcpuRegisters *wanted,
                              GError **error);

/* What hardware can watch: linear addresses, in debug registers. */
#define VCPU_DEBUG_SLOTS 4

/* As in DR7's R/W fields. */
typedef enum VcpuWatch {
    VCPU_WATCH_EXECUTE = 0, /* length 1 */
    VCPU_WATCH_WRITE = 1,
    VCPU_WATCH_ACCESS = 3,
} VcpuWatch;

typedef struct VcpuDebugSlot {
    uint64_t gva; /* a multiple of @len */
    unsigned len; /* 1, 2, 4 or 8 bytes */
    VcpuWatch watch;
} VcpuDebugSlot;

/**
 * struct VcpuDebugPlan - what stops the guest
 * @int3: guest-physical addresses of the INT3 instructions that the debugger has put there
 * @slots: the first @slot_count are used
 * @block_irq: a vCPU that steps takes no interrupt meanwhile, where the kernel can do that
 */
typedef struct VcpuDebugPlan {
    const hwaddr *int3;
    size_t int3_count;
    VcpuDebugSlot slots[VCPU_DEBUG_SLOTS];
    unsigned slot_count;
    bool block_irq;
} VcpuDebugPlan;

typedef enum VcpuDebugAction {
    VCPU_DEBUG_RUN,
    VCPU_DEBUG_STEP, /* stops after one instruction */
    VCPU_DEBUG_STAY, /* does not run, whatever the others do */
} VcpuDebugAction;

/**
 * vcpu_debug_prepare() - for the next vcpu_set_resume(); after vcpu_set_pause() (asserted)
 * @plan: copied
 * @actions: one for each vCPU
 *
 * Forgets what vcpu_debug_stop() would say. On an error nobody stops or stays any more.
 */
bool vcpu_debug_prepare(VcpuSet *set, const VcpuDebugPlan *plan, const VcpuDebugAction *actions,
                        GError **error);

/** vcpu_debug_end() - no debugger any more: nothing stops the guest. After vcpu_set_pause() */
void vcpu_debug_end(VcpuSet *set);

typedef enum VcpuStopKind {
    VCPU_STOP_NONE,
    VCPU_STOP_INT3,    /* RIP is at the INT3, as if it had not been executed */
    VCPU_STOP_EXECUTE, /* a slot; RIP is at the instruction, which has not been executed */
    VCPU_STOP_WATCH,   /* a slot; the access has been made, RIP is behind it */
    VCPU_STOP_STEP,
} VcpuStopKind;

typedef struct VcpuStop {
    VcpuStopKind kind;
    unsigned slot; /* VCPU_STOP_EXECUTE, _WATCH: which of the plan's */
    uint64_t pc;   /* linear address */
} VcpuStop;

/** vcpu_debug_stop() - what vCPU @cpu has met since vcpu_debug_prepare(). After vcpu_set_pause() */
VcpuStop vcpu_debug_stop(VcpuSet *set, unsigned cpu);

typedef enum VcpuActivity {
    VCPU_ACTIVE,
    VCPU_HALTED,  /* HLT: an interrupt wakes it */
    VCPU_WAITING, /* has not been started: waits for INIT and SIPI */
} VcpuActivity;

/** vcpu_debug_activity() - what vCPU @cpu is at, as far as the guest knows. After vcpu_set_pause() */
VcpuActivity vcpu_debug_activity(VcpuSet *set, unsigned cpu);

/** vcpu_debug_can_block_irq() - does this kernel know VcpuDebugPlan.block_irq? */
bool vcpu_debug_can_block_irq(VcpuSet *set);

#endif
