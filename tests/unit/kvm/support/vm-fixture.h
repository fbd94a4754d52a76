/* SPDX-License-Identifier: MIT */
/* A machine's memory on the model KVM: two address spaces, a VM that may follow them. */
#ifndef TESSERA_TESTS_VM_FIXTURE_H
#define TESSERA_TESTS_VM_FIXTURE_H

#include "model-kvm.h"
#include "tessera/memory/address-space.h"
#include "tessera/memory/memory-system.h"
#include "tessera/memory/ram-block.h"
#include "tessera/memory/region.h"

#define KIB (1ULL << 10)
#define MIB (1ULL << 20)
#define GIB (1ULL << 30)

/* What KVM should map, or maps: runs of equal attributes, joined. */
typedef struct Mapped {
    uint64_t gpa;
    uint64_t size;
    uint64_t host;
    uint64_t flags; /* 64 bits: no padding, runs are compared as bytes */
} Mapped;

typedef struct VmFixture {
    MemorySystem *ms;
    MemoryRegion *system; /* 2^64 bytes */
    MemoryRegion *ports;  /* 64 KiB */
    AddressSpace *memory;
    AddressSpace *io;
    Kvm *kvm;
    ModelVm *vm;
    GPtrArray *regions;  /* MemoryRegion: released at the end, taken out of their container */
    bool parked;
    unsigned parks;
    unsigned broken;     /* calls of the failed handler */
    char *broken_text;
} VmFixture;

/** vm_fixture_new() - attached; the model must have been reset */
VmFixture *vm_fixture_new(void);
/** vm_fixture_new_detached() - the VM does not follow the spaces yet; without interrupt chips */
VmFixture *vm_fixture_new_detached(void);
/** vm_fixture_new_detached_irqchip() - the same with them */
VmFixture *vm_fixture_new_detached_irqchip(void);
void vm_fixture_free(VmFixture *f);

/** vm_fixture_ram() - anonymous, without reserve; its name is unique */
MemoryRegion *vm_fixture_ram(VmFixture *f, const char *name, uint64_t size);
MemoryRegion *vm_fixture_rom(VmFixture *f, const char *name, uint64_t size);
MemoryRegion *vm_fixture_rom_device(VmFixture *f, const char *name, uint64_t size);
MemoryRegion *vm_fixture_io(VmFixture *f, const char *name, uint64_t size);
MemoryRegion *vm_fixture_alias(VmFixture *f, const char *name, MemoryRegion *target, uint64_t offset,
                               uint64_t size);
/** vm_fixture_put() - into the system container; must succeed */
void vm_fixture_put(VmFixture *f, MemoryRegion *mr, hwaddr addr, int priority);

/** vm_fixture_wanted() / vm_fixture_mapped() - by the flat view, and by the model */
GArray *vm_fixture_wanted(VmFixture *f);
GArray *vm_fixture_mapped(VmFixture *f);
/** vm_fixture_check() - asserts that both are the same, and what kvm_for_each_slot() says too */
void vm_fixture_check(VmFixture *f);
/** vm_fixture_agrees() - the same as a question */
bool vm_fixture_agrees(VmFixture *f);
/** mapped_at() - the run that holds the page at @gpa, or NULL */
const Mapped *mapped_at(const GArray *runs, uint64_t gpa);

#endif
