/* SPDX-License-Identifier: MIT */
/* vCPUs on the model KVM, with RAM, a device in memory and one at ports. */
#ifndef TESSERA_TESTS_VCPU_FIXTURE_H
#define TESSERA_TESTS_VCPU_FIXTURE_H

#include <stdatomic.h>
#include "../../support/access-fixture.h"
#include "tessera/accel/kvm/vcpu.h"
#include "vm-fixture.h"

#define PORT_BASE 0x500
#define MMIO_BASE 0xd0000000ULL
#define CODE_BASE 0x10000ULL

typedef struct VcpuFixture {
    VmFixture *base;
    ModelVm *vm;
    CpuModel *model;
    VcpuSet *set; /* NULL until vcpu_fixture_make() */
    ByteDevice port;
    ByteDevice mmio;
    MemoryRegion *port_region;
    MemoryRegion *mmio_region;
    uint8_t *code; /* 64 KiB of RAM at CODE_BASE */
    unsigned long enabled_caps; /* KVM_ENABLE_CAP calls before the vCPUs were made */

    /* What struct VcpuOps was told. */
    _Atomic unsigned triple_faults;
    _Atomic unsigned system_events;
    _Atomic unsigned failures;
    _Atomic unsigned debugs; /* each holds the vCPUs */
    unsigned last_system_event;
    char *failure_text;
} VcpuFixture;

extern const VcpuOps vcpu_fixture_ops; /* opaque: the fixture */
extern const X86EntryState vcpu_fixture_entry;

/** vcpu_fixture_new() - everything but the vCPUs; the model must have been reset */
VcpuFixture *vcpu_fixture_new(bool irqchip);
void vcpu_fixture_free(VcpuFixture *f);
/* For cmocka: with an irqchip; the model is reset before and after. */
int vcpu_fixture_setup(void **state);
int vcpu_fixture_teardown(void **state);
/** vcpu_fixture_make() / vcpu_fixture_reset() - must succeed */
void vcpu_fixture_make(VcpuFixture *f, unsigned count);
void vcpu_fixture_reset(VcpuFixture *f);
int vcpu_fixture_fd(VcpuFixture *f, unsigned cpu);
/** vcpu_fixture_hook_hold() - for a device of the fixture: its handler holds the vCPUs */
void vcpu_fixture_hook_hold(ByteDevice *d);

/* Each fails the test after half a minute. */
/** vcpu_fixture_wait_taken() - until KVM_RUN has taken every exit of @cpu's queue */
void vcpu_fixture_wait_taken(VcpuFixture *f, unsigned cpu);
/** vcpu_fixture_wait_exits() - until @n exits have been counted */
void vcpu_fixture_wait_exits(VcpuFixture *f, uint64_t n);
void vcpu_fixture_wait_event(VcpuFixture *f, _Atomic unsigned *event, unsigned n);

#endif
