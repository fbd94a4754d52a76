/* SPDX-License-Identifier: MIT */
/* DIMMs on the model KVM: the machine's side, a user's requests, a guest's register accesses. */
#ifndef TESSERA_TESTS_DIMM_FIXTURE_H
#define TESSERA_TESTS_DIMM_FIXTURE_H

#include "../../../../src/hw/mem/memory-devices-internal.h"
#include "vm-fixture.h"

#define PORT        0xa00
#define WINDOW_BASE (4 * GIB)
#define BLOCK       (128 * MIB)
#define SLOTS       4

/*
 * @log: what was told, as text: "dimm0:requested;", "deleted dimm0;"
 * @context: the main loop, run by dimms_serve()
 */
typedef struct DimmFixture {
    VmFixture *vm;
    VirtualClock *clock;
    DeviceContext device;
    MemoryRegion *window;
    Device *registers;
    ObjectStore *objects;
    GMainContext *context;
    MemoryDevices *md;
    GString *log;
    unsigned gpes;
    unsigned mapped_at_gpe; /* KVM slots when the last GPE came */
} DimmFixture;

/** dimms_new() - a window for @slots DIMMs above 4 GiB; the model must have been reset */
DimmFixture *dimms_new(unsigned slots, uint64_t boot_ram, uint64_t maxmem);
void dimms_free(DimmFixture *f);
/* For cmocka: 4 slots, 256 MiB of boot RAM, 2 GiB at most; the model is reset before and after. */
int dimms_setup(void **state);
int dimms_teardown(void **state);

/** dimms_serve() - runs the main loop until nothing is ready */
void dimms_serve(DimmFixture *f);
/** dimms_expect_log() - serves, compares, and forgets what was compared */
void dimms_expect_log(DimmFixture *f, const char *wanted);
unsigned dimms_kvm_slots(DimmFixture *f);
/** dimms_snapshot() - what a refused or failed request must leave as it was; g_free() */
char *dimms_snapshot(DimmFixture *f);

/* The user. */

void dimms_add_memory(DimmFixture *f, const char *id, uint64_t size);
/** dimms_plug() - "m0" becomes "dimm0"; @hot: the guest is told */
void dimms_plug(DimmFixture *f, const char *memdev, bool hot);
DimmInfo dimms_info(DimmFixture *f, const char *id);
bool dimms_has(DimmFixture *f, const char *id);
void dimms_expect_state(DimmFixture *f, const char *id, DimmState state);

/* The guest. */

void slot_select(DimmFixture *f, unsigned slot);
uint8_t slot_status(DimmFixture *f, unsigned slot);
void slot_control(DimmFixture *f, unsigned slot, uint8_t bits);
void slot_ost(DimmFixture *f, unsigned slot, uint32_t event, uint32_t status);
void slot_eject(DimmFixture *f, unsigned slot);

#endif
