/* SPDX-License-Identifier: MIT */
/* The model KVM: what stands in the place of the three ioctl functions in unit tests. */
#ifndef TESSERA_TESTS_MODEL_KVM_H
#define TESSERA_TESTS_MODEL_KVM_H

#include "../../../../src/accel/kvm/kvm-internal.h"

/*
 * The model keeps the kernel's books: memory slots, ioeventfds, irqfds, coalesced zones, interrupt
 * chips, routes, vCPUs; it enforces the kernel's rules with the kernel's errno; it refuses what it
 * does not know with ENOTTY. Tests open it as device MODEL_KVM_DEVICE (any character device): the
 * descriptor is real and never used. VM and vCPU descriptors are memfds of their own, so that they
 * can be closed and mapped. Any number of VMs; all functions may be called from any thread.
 */
#define MODEL_KVM_DEVICE "/dev/null"
#define MODEL_KVM_NR_SLOTS 32764

typedef struct ModelVm ModelVm;

/** model_kvm_reset() - forgets every VM, count, fault and changed value; for set-up and tear-down */
void model_kvm_reset(void);

/** model_kvm_set_cap() - what KVM_CHECK_EXTENSION answers from now on */
void model_kvm_set_cap(int cap, int value);
int model_kvm_cap(int cap);
/** model_kvm_set_api_version() - 12 until then; negative: the errno that the ioctl gives */
void model_kvm_set_api_version(int version);
/** model_kvm_set_phys_bits() - physical address bits, in CPUID too; 46 until then */
void model_kvm_set_phys_bits(unsigned bits);
/** model_kvm_set_cpuid() - what the host supports from now on: a copy of @cpuid */
void model_kvm_set_cpuid(const struct kvm_cpuid2 *cpuid);
/**
 * model_kvm_set_stats() - KVM_GET_STATS_FD of VMs and vCPUs gives a file with a copy of @bytes from
 * now on; NULL: the kernel has none of that, as at first
 */
void model_kvm_set_stats(const void *bytes, size_t len);
/** model_kvm_fail_create_vm() - KVM_CREATE_VM fails with @err from now on; 0: not any more */
void model_kvm_fail_create_vm(int err);

/*
 * Faults. Calls are counted from 1 by model_kvm_fail_nth() on; KVM_RUN is not among them.
 */

/** model_kvm_fail_nth() - call @n from now on, and with @all_later every one after, gives -@err */
void model_kvm_fail_nth(unsigned long n, int err, bool all_later);
/** model_kvm_fail_request() - only calls of @req are counted and fail; 0: all, as at first */
void model_kvm_fail_request(unsigned long req);
void model_kvm_no_faults(void);
/** model_kvm_faults_hit() - how many calls were made to fail since model_kvm_fail_nth() */
unsigned long model_kvm_faults_hit(void);
/** model_kvm_last_fault() - the request of the last of those */
unsigned long model_kvm_last_fault(void);

/**
 * model_kvm_set_fault_hook() - @fn decides on each counted call, with the errno to fail it or 0
 *
 * Called with the model's lock held: may call nothing of the model. Replaces model_kvm_fail_nth().
 */
void model_kvm_set_fault_hook(int (*fn)(unsigned long req));
/** model_kvm_inside() - is this thread in the model? Host calls that it makes now are the model's own */
bool model_kvm_inside(void);

/** model_kvm_calls() - ioctls since model_kvm_reset_counts(), KVM_RUN excepted; failed ones too */
unsigned long model_kvm_calls(void);
unsigned long model_kvm_count(unsigned long req);
void model_kvm_reset_counts(void);

/** model_kvm_vm() - the VM behind @kvm. It stays valid until model_kvm_reset(), closed or not */
ModelVm *model_kvm_vm(Kvm *kvm);

/*
 * What a VM has. The arrays are the model's own: look at them while nothing else runs.
 */
typedef struct ModelSlot {
    uint32_t id;
    uint32_t flags;
    uint64_t gpa;
    uint64_t size;
    uint64_t host;
} ModelSlot;

typedef struct ModelIoeventfd {
    uint64_t addr;
    uint64_t datamatch;
    uint32_t len;
    uint32_t flags; /* KVM_IOEVENTFD_FLAG_DATAMATCH, _PIO */
    int fd;
} ModelIoeventfd;

typedef struct ModelIrqfd {
    int fd;
    int resamplefd; /* -1: none */
    uint32_t gsi;
} ModelIrqfd;

const GArray *model_vm_slots(ModelVm *vm);      /* ModelSlot, by address */
const GArray *model_vm_ioeventfds(ModelVm *vm); /* ModelIoeventfd, in the order they came */
const GArray *model_vm_irqfds(ModelVm *vm);     /* ModelIrqfd */
const GArray *model_vm_zones(ModelVm *vm);      /* struct kvm_coalesced_mmio_zone */
const GArray *model_vm_routes(ModelVm *vm);     /* struct kvm_irq_routing_entry */
int model_vm_gsi_level(ModelVm *vm, unsigned gsi);
struct kvm_msi model_vm_last_msi(ModelVm *vm);
struct kvm_clock_data model_vm_clock(ModelVm *vm);
struct kvm_irqchip *model_vm_irqchip(ModelVm *vm, unsigned chip);
struct kvm_pit_state2 *model_vm_pit(ModelVm *vm);
uint64_t model_vm_identity_map(ModelVm *vm);
uint64_t model_vm_tss(ModelVm *vm);
uint32_t model_vm_pit_flags(ModelVm *vm);
uint64_t model_vm_quirks_off(ModelVm *vm);
/** model_vm_vcpus_running() - vCPUs that are inside KVM_RUN now */
unsigned model_vm_vcpus_running(ModelVm *vm);
/** model_vm_deletions_while_running() - deletions of slots seen while a vCPU was in KVM_RUN */
unsigned model_vm_deletions_while_running(ModelVm *vm);

/**
 * model_vm_set_slot_hook() - @fn hears of each KVM_SET_USER_MEMORY_REGION that the VM took, after it
 *
 * Called with the model's lock held: may look at model_vm_slots(), may call nothing else.
 */
void model_vm_set_slot_hook(ModelVm *vm, void (*fn)(ModelVm *vm, void *opaque), void *opaque);

/**
 * model_vm_set_translate() - what KVM_TRANSLATE answers from now on; NULL: what it did before
 *
 * @fn fills @tr from its linear_address and returns the ioctl's value. Called with the model's lock.
 */
typedef int ModelTranslate(ModelVm *vm, unsigned cpu, struct kvm_translation *tr, void *opaque);
void model_vm_set_translate(ModelVm *vm, ModelTranslate *fn, void *opaque);

/* What became of a guest's write. */
typedef enum ModelWrite {
    MODEL_WRITE_RAM,
    MODEL_WRITE_IOEVENTFD,
    MODEL_WRITE_COALESCED,
    MODEL_WRITE_EXIT,
} ModelWrite;

/**
 * model_vm_guest_write() - a guest writes @len (1, 2, 4, 8) bytes: into a slot's memory, to an
 * ioeventfd, into the coalesced ring of vCPU 0, or (nothing is done) as an exit
 */
ModelWrite model_vm_guest_write(ModelVm *vm, bool pio, uint64_t addr, unsigned len, uint64_t data);
/** model_vm_guest_read() - a guest reads memory; false: as an exit, @ret_data is left as it is */
bool model_vm_guest_read(ModelVm *vm, uint64_t addr, unsigned len, void *ret_data);

/*
 * vCPUs: KVM_RUN takes the next exit from a queue that the test filled; with an empty queue it
 * blocks as a halted vCPU does. As with the kernel, immediate_exit is looked at on the way in and a
 * signal counts from then on; one that came before, or immediate_exit set later, wakes nobody.
 * Register state (KVM_GET_x and KVM_SET_x of a fixed size) is kept as bytes, one store for each
 * pair; before it is set every byte is model_vcpu_power_on_byte(). MSRs are those of the list
 * and the MTRRs. KVM_TRANSLATE finds every address at itself.
 */

/**
 * struct ModelExit - one return of KVM_RUN
 * @ret: what KVM_RUN returns (0 or -errno)
 * @fill: writes exit_reason and the rest into @run; NULL with @ret 0 is not allowed
 * @complete: called at the next KVM_RUN (immediate_exit or not), which is where the kernel takes the
 *      answer of a port or MMIO read; may be NULL
 * @more: the completion itself returns with the next exit of the queue, as a split access does
 */
typedef struct ModelExit {
    int ret;
    void (*fill)(struct kvm_run *run, void *opaque);
    void (*complete)(struct kvm_run *run, void *opaque);
    void *opaque;
    bool more;
} ModelExit;

void model_vcpu_push_exit(ModelVm *vm, unsigned cpu, const ModelExit *exit);
/** model_vcpu_push_io() - one port access; reads leave their answer in @data after completion */
void model_vcpu_push_io(ModelVm *vm, unsigned cpu, bool out, uint16_t port, unsigned size,
                        unsigned count, void *data);
/** model_vcpu_push_mmio() - the same for memory */
void model_vcpu_push_mmio(ModelVm *vm, unsigned cpu, bool write, uint64_t gpa, unsigned len,
                          void *data);
/** model_vcpu_push_mmio_more() - a part of an access whose next part is the next exit of the queue */
void model_vcpu_push_mmio_more(ModelVm *vm, unsigned cpu, bool write, uint64_t gpa, unsigned len,
                               void *data);
/**
 * model_vcpu_set_endless() - what KVM_RUN returns whenever the queue is empty; every 16th time it
 * waits for a signal instead. NULL: waits always, as at first
 */
void model_vcpu_set_endless(ModelVm *vm, unsigned cpu, const ModelExit *exit);
/** model_vcpu_push_reason() - an exit that is nothing but its reason */
void model_vcpu_push_reason(ModelVm *vm, unsigned cpu, uint32_t exit_reason);
/** model_vcpu_exits_left() - how many of the queue KVM_RUN has not taken yet */
unsigned model_vcpu_exits_left(ModelVm *vm, unsigned cpu);
/** model_vcpu_count() - vCPUs made so far */
unsigned model_vcpu_count(ModelVm *vm);
struct kvm_run *model_vcpu_run(ModelVm *vm, unsigned cpu);
/** model_vcpu_state() - the stored bytes of the pair whose setter is @set_req; NULL: never set */
const GByteArray *model_vcpu_state(ModelVm *vm, unsigned cpu, unsigned long set_req);
/** model_vcpu_power_on_byte() - what that pair is full of before it is set */
uint8_t model_vcpu_power_on_byte(unsigned long set_req);
/** model_vcpu_set_state() - as if the guest had changed it: every byte of the pair is @byte */
void model_vcpu_set_state(ModelVm *vm, unsigned cpu, unsigned long set_req, uint8_t byte);
/** model_vcpu_msr() / model_vcpu_set_msr() - the guest's view; at power-on index * 3, TSC 0 */
uint64_t model_vcpu_msr(ModelVm *vm, unsigned cpu, uint32_t index);
void model_vcpu_set_msr(ModelVm *vm, unsigned cpu, uint32_t index, uint64_t value);
/**
 * model_vcpu_enter_vmx() - the guest is in VMX operation: KVM_SET_SREGS gives EINVAL until
 * IA32_FEATURE_CONTROL is set to 0
 */
void model_vcpu_enter_vmx(ModelVm *vm, unsigned cpu);
/** model_vcpu_set_excepted() - an exception waits for delivery: KVM_SET_GUEST_DEBUG puts none in */
void model_vcpu_set_excepted(ModelVm *vm, unsigned cpu, bool excepted);
/**
 * model_vm_rude_calls() - ioctls on a vCPU that was in KVM_RUN (the kernel lets them wait), or that
 * read or wrote registers before its last access was complete
 */
unsigned model_vm_rude_calls(ModelVm *vm);

#endif
