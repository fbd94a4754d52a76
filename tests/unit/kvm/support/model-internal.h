/* SPDX-License-Identifier: MIT */
/* What the files of the model KVM share. */
#ifndef TESSERA_TESTS_MODEL_INTERNAL_H
#define TESSERA_TESTS_MODEL_INTERNAL_H

#include "model-kvm.h"

#define MODEL_PAGE 4096
#define MODEL_VCPU_MMAP (3 * MODEL_PAGE) /* run, port data, coalesced ring */
#define MODEL_RING_MAX                                                                             \
    ((MODEL_PAGE - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio))

typedef struct ModelVcpu {
    ModelVm *vm;
    int fd;
    unsigned id;
    struct kvm_run *run; /* the model's own mapping */
    GQueue exits;        /* ModelExit */
    ModelExit *open;     /* returned, not completed */
    int wake;            /* eventfd: the queue got an exit */
    _Atomic bool inside; /* in KVM_RUN */
    bool vmx;
    bool excepted; /* an exception waits for delivery */
    bool has_endless;
    ModelExit endless;
    unsigned turns;
    GHashTable *state;   /* request number -> GByteArray */
    GHashTable *msrs;    /* index -> value, as set */
} ModelVcpu;

struct ModelVm {
    int fd;
    GArray *slots;
    GArray *ioeventfds;
    GArray *irqfds;
    GArray *zones;
    GArray *routes;
    GPtrArray *vcpus;
    bool irqchip;
    bool pit;
    struct kvm_irqchip chips[3];
    struct kvm_pit_state2 pit_state;
    uint32_t pit_flags;
    uint64_t identity_map;
    uint64_t tss;
    uint64_t quirks_off;
    uint64_t dirty_protect;
    GHashTable *gsi_levels;
    struct kvm_msi last_msi;
    struct kvm_clock_data clock;
    _Atomic unsigned running;
    unsigned deletions_while_running;
    unsigned rude_calls;
    void (*slot_hook)(ModelVm *vm, void *opaque);
    void *slot_hook_opaque;
    ModelTranslate *translate;
    void *translate_opaque;
};

/* model-kvm.c; the model's lock is held */
int model_get_stats_fd(void);

/* model-vm.c; the model's lock is held */
ModelVm *model_vm_new(int fd);
void model_vm_free(ModelVm *vm);
int model_vm_ioctl(ModelVm *vm, unsigned long req, void *arg);

/* model-slots.c */
int model_set_slot(ModelVm *vm, const struct kvm_userspace_memory_region *m, unsigned phys_bits);
int model_get_dirty_log(ModelVm *vm, const struct kvm_dirty_log *log);

/* model-notify.c */
int model_ioeventfd(ModelVm *vm, const struct kvm_ioeventfd *e);
int model_irqfd(ModelVm *vm, const struct kvm_irqfd *e);
int model_zone(ModelVm *vm, const struct kvm_coalesced_mmio_zone *zone, bool add);

/* model-vcpu.c */
int model_create_vcpu(ModelVm *vm, unsigned id);
void model_vcpu_free(ModelVcpu *vcpu);
int model_vcpu_ioctl(ModelVcpu *vcpu, unsigned long req, void *arg);
ModelVcpu *model_vcpu_at(ModelVm *vm, unsigned cpu);
struct kvm_cpuid2 *model_default_cpuid(void);
int model_get_msr_index_list(struct kvm_msr_list *list);

/* model-run.c */
int model_vcpu_run_ioctl(ModelVcpu *vcpu); /* without the lock */
void model_exit_free(void *exit);

/* model-kvm.c */
void model_lock(void);
void model_unlock(void);
unsigned model_phys_bits(void);
uint32_t model_nr_slots(void);

#endif
