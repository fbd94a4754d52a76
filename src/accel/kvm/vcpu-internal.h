/* SPDX-License-Identifier: MIT */
/* What the files of the vCPU code share. */
#ifndef TESSERA_ACCEL_KVM_VCPU_INTERNAL_H
#define TESSERA_ACCEL_KVM_VCPU_INTERNAL_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include "tessera/accel/kvm/vcpu-debug.h"
#include "tessera/accel/kvm/vcpu.h"
#include "tessera/memory/access-counters.h"

#define CACHE_LINE 64

/*
 * What keeps vCPUs out of KVM_RUN: fields of VcpuSet.hold. Looks and parks are counted: each adds
 * its _ONE and takes it away again.
 */
#define HOLD_PAUSE    (1u << 0) /* until vcpu_set_resume() */
#define HOLD_QUIT     (1u << 1) /* for ever: the threads end */
#define HOLD_LOOK_ONE (1u << 2) /* somebody reads registers; settles vCPUs as a pause does */
#define HOLD_PARK_ONE (1u << 8) /* a memory slot changes, or an NMI is put in */
#define HOLD_LOOKS    (HOLD_PARK_ONE - HOLD_LOOK_ONE)
#define HOLD_PARKS    (~(HOLD_PARK_ONE - 1))
#define HOLD_SETTLES  (HOLD_PAUSE | HOLD_LOOKS) /* under these a vCPU completes its last exit */

typedef struct VcpuSnapshot VcpuSnapshot;

/* Counted by the vCPU's own thread only; read by others. */
typedef struct VcpuCounters {
    _Atomic uint64_t exits;
    _Atomic uint64_t io;
    _Atomic uint64_t mmio;
    _Atomic uint64_t hlt;
    _Atomic uint64_t intr;
    _Atomic uint64_t coalesced;
} VcpuCounters;

/*
 * The fields that the vCPU's thread writes at each exit share no cache line with another vCPU's.
 */
typedef struct Vcpu {
    VcpuSet *set;
    unsigned index;
    int fd;
    struct kvm_run *run;
    pthread_t thread;
    bool thread_started;
    _Atomic int tid;        /* gettid() of the thread; 0 until it has begun */
    VcpuSnapshot *power_on; /* state right after creation */
    int stats_fd;           /* of kvm-stats.c; -1: nobody has asked yet. Main thread */
    AccessCounters *accesses; /* in which its thread's are counted */
    bool fresh;             /* has not run since creation: reset need not restore it */
    bool stuck;             /* failed or halted for ever: stays out until reset. Under set->lock */
    bool settled;           /* waits, its last exit complete. Own thread's, under set->lock */
    bool stays;             /* a debugger lets the others run without it. Under set->lock */
    VcpuStop stop;          /* own thread's while it runs, the main thread's while it is settled */
    uint32_t debug_control; /* of KVM_SET_GUEST_DEBUG, as for stop */

    _Alignas(CACHE_LINE) _Atomic unsigned in_guest; /* inside KVM_RUN, or about to be */
    bool completion_due; /* the last exit is finished only by the next KVM_RUN. Own thread */
    VcpuCounters counters;
    _Alignas(CACHE_LINE) char end[];
} Vcpu;

struct VcpuSet {
    Kvm *kvm;
    AddressSpace *memory;
    AddressSpace *io;
    const VcpuOps *ops;
    void *opaque;
    unsigned count;
    Vcpu **vcpus;
    size_t run_size; /* bytes mapped of each vCPU */
    unsigned phys_bits; /* of the guest's processor; both since vcpu_set_prepare() */
    bool gib_pages;

    /* Read by every vCPU before each KVM_RUN, written seldom. */
    _Alignas(CACHE_LINE) _Atomic unsigned hold;
    _Alignas(CACHE_LINE) pthread_mutex_t lock; /* guards changes of hold, and `stuck`, `settled` */
    pthread_cond_t released;                   /* hold changed: what a vCPU waits for */
    pthread_cond_t outside;                    /* a vCPU left the guest, or settled */
    _Atomic uint64_t coalesced_at_pause;       /* writes drained by vcpu_set_pause() */
    VcpuDebugPlan debug; /* .int3 owned, sorted; changed only while every vCPU is settled */
};

/* What an exit handler wants next. */
typedef enum ExitAction {
    EXIT_CONTINUE, /* into the guest again */
    EXIT_STUCK,    /* this vCPU cannot go on before a reset */
} ExitAction;

/** vcpu_thread() - body of a vCPU's thread; @opaque: the Vcpu. vcpu-run.c */
void *vcpu_thread(void *opaque);

/** vcpu_install_kick_handler() - the signal that ends KVM_RUN needs a handler; idempotent */
bool vcpu_install_kick_handler(GError **error);

/**
 * vcpu_thread_create() - starts vcpu_thread(); it takes no signal but the kick and those that its
 * own faults raise. Returns: 0 or an errno
 */
int vcpu_thread_create(Vcpu *vcpu);

/** vcpu_set_quit() - the threads end as soon as they are out of the guest and of handlers */
void vcpu_set_quit(VcpuSet *set);

/**
 * vcpu_set_look() / vcpu_set_end_look() - between them every vCPU is out of KVM_RUN with its last
 * exit complete, whatever pauses and resumes meanwhile; they nest. Not on a vCPU's thread (asserted)
 */
void vcpu_set_look(VcpuSet *set);
void vcpu_set_end_look(VcpuSet *set);

/** vcpu_set_park() / vcpu_set_unpark() - KvmParkOps; @opaque: the VcpuSet. They nest */
void vcpu_set_park(void *opaque);
void vcpu_set_unpark(void *opaque);

/** vcpu_handle_exit() - handles what KVM_RUN returned with. vcpu-exits.c; the vCPU's thread */
ExitAction vcpu_handle_exit(Vcpu *vcpu);

/**
 * vcpu_handle_exit_traced() - the same with trace points
 * vcpu_trace_exit() - what KVM_RUN has returned with, as an event; @ret: its value
 */
ExitAction vcpu_handle_exit_traced(Vcpu *vcpu);
void vcpu_trace_exit(const Vcpu *vcpu, int ret);

/** vcpu_fail() - tells the machine, with @reason and the vCPU's state. Returns EXIT_STUCK */
ExitAction vcpu_fail(Vcpu *vcpu, const char *reason);

/** vcpu_debug_exit() - KVM_EXIT_DEBUG: the debugger's, or the guest's own. vcpu-debug.c */
ExitAction vcpu_debug_exit(Vcpu *vcpu);
/** vcpu_debug_forget() - what vCPUs have met counts no more: they were reset */
void vcpu_debug_forget(VcpuSet *set);

/** vcpu_report_registers() - vcpu-report.c: text for people; the vCPU is out of KVM_RUN */
void vcpu_report_registers(Vcpu *vcpu, GString *out);
/** vcpu_report_code() - the bytes at RIP */
void vcpu_report_code(Vcpu *vcpu, GString *out);

/** vcpu_snapshot_take() - reads the whole state of a new vCPU. vcpu-state.c */
VcpuSnapshot *vcpu_snapshot_take(Vcpu *vcpu, GError **error);
void vcpu_snapshot_free(VcpuSnapshot *snapshot);
/** vcpu_state_reset() - power-on state and what firmware sets; @entry NULL: waits for INIT, SIPI */
bool vcpu_state_reset(Vcpu *vcpu, const X86EntryState *entry, GError **error);

static inline void counter_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

#endif
