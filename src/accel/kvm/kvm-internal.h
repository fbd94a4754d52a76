/* SPDX-License-Identifier: MIT */
/* What the files of the KVM accelerator share: the ioctl functions, struct Kvm, its parts. */
#ifndef TESSERA_ACCEL_KVM_KVM_INTERNAL_H
#define TESSERA_ACCEL_KVM_KVM_INTERNAL_H

#include <glib.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include "tessera/accel/kvm/kvm.h"
#include "tessera/memory/access-counters.h"
#include "tessera/memory/listener.h"
#include "tessera/memory/memory-system.h"

/* Names that the kernel headers of Debian 12 lack. */
#ifndef KVM_CAP_DISABLE_QUIRKS2
#define KVM_CAP_DISABLE_QUIRKS2 213
#endif
#ifndef KVM_X86_QUIRK_SLOT_ZAP_ALL
#define KVM_X86_QUIRK_SLOT_ZAP_ALL (1 << 7)
#endif

/*
 * The only ioctl() calls on KVM's files: kvm-ioctl.c. Callers are in other objects, always, so that
 * the unit tests can put the model KVM in their place (-Wl,--wrap).
 *
 * @arg is the request's pointer, or its integer cast to one. Returns the ioctl's value (0 or more)
 * or -errno. A call that a signal interrupted is made again, KVM_RUN excepted: there -EINTR is what
 * a kick looks like, and the caller's to handle.
 */
int kvm_system_ioctl(Kvm *kvm, unsigned long req, void *arg);
int kvm_vm_ioctl(Kvm *kvm, unsigned long req, void *arg);
int kvm_vcpu_ioctl(Kvm *kvm, int vcpu_fd, unsigned long req, void *arg);

/**
 * struct KvmTrace - hears of every ioctl after it returned, for logs; @fn NULL: nobody does
 * @fn: @fd is the descriptor, @ret as returned by the three functions above. Any thread.
 */
typedef struct KvmTrace {
    void (*fn)(void *opaque, int fd, unsigned long req, int ret);
    void *opaque;
} KvmTrace;

/** kvm_set_trace() - before the first vCPU runs */
void kvm_set_trace(Kvm *kvm, void (*fn)(void *opaque, int fd, unsigned long req, int ret),
                   void *opaque);
/** kvm_ioctl_name() - "KVM_RUN" or the like, "ioctl" if it is none that Tessera makes */
const char *kvm_ioctl_name(unsigned long req);

/** kvm_check_extension() - value of a capability of this VM (of the host before there is one), 0: none */
int kvm_check_extension(Kvm *kvm, int cap);

/**
 * struct KvmParkOps - how the slot listener keeps vCPUs out of the guest for one slot change
 * @park: returns when no vCPU is in KVM_RUN, and none enters until unpark. The caller holds the
 *      machine lock and may itself be a vCPU's thread in a register handler: that one counts as out,
 *      and so does one that waits for the machine lock or for the coalesced ring.
 * @unpark: lets them go on
 */
typedef struct KvmParkOps {
    void (*park)(void *opaque);
    void (*unpark)(void *opaque);
} KvmParkOps;

/** kvm_set_park_ops() - the vCPUs' side; NULL: there are no vCPUs (any more). Machine lock, or alone */
void kvm_set_park_ops(Kvm *kvm, const KvmParkOps *ops, void *opaque);

/*
 * The coalesced ring: one for the VM, mapped through any vCPU's descriptor.
 */

/**
 * kvm_coalesced_set_ring() - where the ring is mapped; NULL before that mapping ends
 * @ring: page caps.coalesced_page of a vCPU's mapping; ignored when that is 0
 *
 * Context: no vCPU runs.
 */
void kvm_coalesced_set_ring(Kvm *kvm, struct kvm_coalesced_mmio_ring *ring);

/**
 * kvm_coalesced_pending() - is anything queued? One load each of the ring's two indexes, no lock
 *
 * A vCPU asks after each return of KVM_RUN, before it handles the exit.
 */
static inline bool kvm_coalesced_pending(Kvm *kvm);

/**
 * kvm_coalesced_drain() - writes what is queued to @memory and @io, in the guest's order
 *
 * Waits while another thread drains: the entries before the caller's own exit have reached their
 * devices when this returns. Called again by the draining thread itself it returns 0 at once.
 * Context: any thread, without the machine lock (asserted: the lock order is ring, then machine).
 *
 * Returns: the number of writes made by this call.
 */
uint64_t kvm_coalesced_drain(Kvm *kvm, AddressSpace *memory, AddressSpace *io);

/* Values found when the VM was made. */
typedef struct KvmCaps {
    unsigned max_vcpus;
    unsigned max_vcpu_id;    /* APIC ids below this */
    unsigned nr_slots;       /* slot ids below this */
    unsigned vcpu_mmap_size; /* bytes, 4096 or more */
    unsigned coalesced_page; /* page of the vCPU mapping; 0: no coalescing */
    unsigned gsi_routes;     /* most entries of the GSI routing table */
    bool coalesced_pio;
    bool ioeventfd_any_length;
    bool irqfd_resample;
    bool kvmclock_ctrl;
    bool slot_zap_all_off;   /* a deleted slot does not drop every mapping */
} KvmCaps;

/* Guest-physical addresses have at least and at most so many bits. */
#define KVM_PHYS_BITS_MIN 32
#define KVM_PHYS_BITS_MAX 52

/* What KVM_GET_SUPPORTED_CPUID says, asked once; @lock is a leaf. */
typedef struct KvmSupported {
    pthread_mutex_t lock;
    struct kvm_cpuid2 *table; /* NULL: not asked yet; then constant, as @phys_bits */
    unsigned phys_bits;
} KvmSupported;

typedef struct KvmSlots KvmSlots;         /* slots.c */
typedef struct KvmIoeventfds KvmIoeventfds; /* ioeventfd.c */
typedef struct KvmCoalesced KvmCoalesced; /* coalesced.c */

/* The ring's lock and place; the zones are KvmCoalesced's. */
typedef struct KvmRing {
    pthread_mutex_t lock; /* guards draining */
    _Atomic(uintptr_t) owner; /* thread that drains, 0: none */
    struct kvm_coalesced_mmio_ring *ring; /* NULL: no vCPU yet, or no coalescing */
    AccessCounters *accesses; /* the queued writes, whose vCPU the ring does not tell; under the lock */
} KvmRing;

struct Kvm {
    int system_fd;
    int vm_fd; /* -1 until the VM is made */
    KvmCaps caps;
    KvmSupported supported;
    KvmTrace trace;
    bool irqchip;       /* the VM has interrupt chips, or will have */
    bool irqchip_made;  /* and there they are */
    MemorySystem *ms; /* of the spaces that are attached, else NULL */
    AddressSpace *memory;
    AddressSpace *io;
    CoalescedFlush flush;

    const KvmParkOps *park_ops;
    void *park_opaque;

    KvmRing ring;
    KvmSlots *slots;
    KvmIoeventfds *ioeventfds;
    KvmCoalesced *coalesced;

    /* As the kernel made them: what a reset puts back. */
    struct kvm_irqchip irqchip_reset[3];
    struct kvm_pit_state2 pit_reset;

    /* Main thread. */
    bool clock_paused;
    struct kvm_clock_data clock;
};

static inline bool kvm_coalesced_pending(Kvm *kvm)
{
    struct kvm_coalesced_mmio_ring *ring = kvm->ring.ring;

    return ring && __atomic_load_n(&ring->first, __ATOMIC_RELAXED) !=
                       __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE);
}

/* kvm-open.c: finding out why there is no KVM */

/** kvm_open_device() - opens @path and checks that it is KVM, API version 12 */
bool kvm_open_device(Kvm *kvm, const char *path, GError **error);
/** kvm_read_caps() - checks what must be there, fills kvm->caps. After the VM was made */
bool kvm_read_caps(Kvm *kvm, GError **error);

/**
 * kvm_get_supported_cpuid() - KVM_GET_SUPPORTED_CPUID, with as many entries as it takes
 *
 * The kernel executes each leaf for it, 0.3 ms where CPUID is emulated: it is asked once. Who comes
 * meanwhile waits. Context: any thread. Returns: a copy, owned by the caller.
 */
struct kvm_cpuid2 *kvm_get_supported_cpuid(Kvm *kvm, GError **error);

/* irq-routing.c */

/**
 * kvm_irq_routing_default() - GSI 0 to IOAPIC pin 2 and PIC pin 0, none for GSI 2, the others to the
 * pins of their own number
 * @entries: room for KVM_ROUTING_DEFAULT_MAX
 *
 * Returns: how many were filled
 */
#define KVM_ROUTING_DEFAULT_MAX 40
unsigned kvm_irq_routing_default(struct kvm_irq_routing_entry *entries);

#define KVM_LISTENER_PRIORITY 10

/* slots.c, ioeventfd.c, coalesced.c: each follows the spaces from new to free */
KvmSlots *kvm_slots_new(Kvm *kvm, AddressSpace *memory, GError **error);
void kvm_slots_free(KvmSlots *slots);
KvmIoeventfds *kvm_ioeventfds_new(Kvm *kvm, AddressSpace *memory, AddressSpace *io,
                                  GError **error);
void kvm_ioeventfds_free(KvmIoeventfds *e);
KvmCoalesced *kvm_coalesced_new(Kvm *kvm, AddressSpace *memory, AddressSpace *io, GError **error);
void kvm_coalesced_free(KvmCoalesced *c);

#endif
