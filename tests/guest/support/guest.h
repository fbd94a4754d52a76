/* SPDX-License-Identifier: MIT */
/* A small machine on this host's KVM: RAM, the payload `ops`, devices that write down accesses. */
#ifndef TESSERA_TESTS_GUEST_H
#define TESSERA_TESTS_GUEST_H

#include "../payloads/ops.h"
#include <glib.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tessera/accel/kvm/kvm.h"
#include "tessera/accel/kvm/vcpu.h"
#include "tessera/hw/i386/linux-loader.h"
#include "tessera/memory/address-space.h"
#include "tessera/memory/memory-system.h"
#include "tessera/memory/ram-block.h"
#include "tessera/memory/region.h"

/*
 *   memory    0 .. GUEST_RAM_SIZE   RAM `ram`, with the payload and, at OPS_SHARED_BASE, its list
 *   I/O       OPS_PORT_DONE         ends guest_run()
 *             OPS_PORT_INTERRUPT    counted in `interrupts`
 *             0x3f8                 what the payload says, for the failed test's message
 * Anything else a test adds itself, to guest->root and guest->io_root.
 */
#define GUEST_RAM_SIZE (2u << 20)

typedef struct Guest {
    MemorySystem *ms;
    RAMBlock *ram_block;
    MemoryRegion *root, *ram;
    MemoryRegion *io_root, *done_port, *interrupt_port, *console_port;
    AddressSpace *memory, *io;
    Kvm *kvm;
    CpuModel *model;
    VcpuSet *vcpus;
    LinuxImage *image;
    LinuxBootPlan *plan;
    OpsShared *shared; /* in guest RAM */

    pthread_mutex_t lock; /* guards what follows; written on vCPU threads */
    pthread_cond_t changed;
    unsigned done;       /* writes to OPS_PORT_DONE */
    unsigned interrupts; /* writes to OPS_PORT_INTERRUPT */
    unsigned triple_faults;
    unsigned failures;
    char *failure; /* text of the last one */
    GString *console;
    void (*on_interrupt)(struct Guest *guest, uint32_t vector); /* on the vCPU's thread */
    void *opaque;                                               /* the test's */
} Guest;

/** guest_new() - a machine of @cpus vCPUs, loaded, paused. Skips the test, loudly, without KVM */
Guest *guest_new(unsigned cpus);
void guest_free(Guest *guest);

/** guest_load() - (again) loads the payload and resets the vCPUs; they are paused */
void guest_load(Guest *guest);

/** guest_set_ops() - the list of processor @cpu; ends with OP_END or after @count */
void guest_set_ops(Guest *guest, unsigned cpu, const Op *ops, size_t count);
#define GUEST_OPS(guest, cpu, ...)                                                                 \
    guest_set_ops((guest), (cpu), (const Op[]){__VA_ARGS__},                                       \
                  sizeof((const Op[]){__VA_ARGS__}) / sizeof(Op))
/** guest_result() - the result of entry @i of processor 0 */
uint64_t guest_result(Guest *guest, unsigned i);

/** guest_run() - runs until processor 0 has done its list; the vCPUs are paused then */
void guest_run(Guest *guest);
/** guest_start() / guest_finish() - the same in two steps, for edits in between */
void guest_start(Guest *guest);
void guest_finish(Guest *guest);
/** guest_wait() - until @*what >= @n; @what is one of the counters. Fails the test after a while */
void guest_wait(Guest *guest, const unsigned *what, unsigned n);
/** guest_wait_shared() - until a counter in guest memory is >= @n */
void guest_wait_shared(Guest *guest, const volatile uint64_t *what, uint64_t n);

#define RECORDER_MAX 512

/* One access that a device saw. */
typedef struct Access {
    hwaddr offset;
    uint64_t value;
    unsigned size;
    bool is_write;
} Access;

/*
 * A device that writes down each access. Reads give recorder_value() of the address, or @answer
 * when that is not 0; @hook is called, unlocked, after it is written down.
 */
typedef struct Recorder {
    MemoryRegion *region;
    pthread_mutex_t lock; /* guards the rest but @hook */
    Access accesses[RECORDER_MAX];
    unsigned count;
    uint64_t answer;
    void (*hook)(struct Recorder *r, const Access *access);
    void *opaque;
} Recorder;

/** recorder_new() - @size bytes at @addr of @container, with @priority among its siblings */
Recorder *recorder_new(Guest *guest, MemoryRegion *container, hwaddr addr, uint64_t size,
                       int priority);
void recorder_free(Recorder *r);
/** recorder_value() - what @size bytes read at @offset give: each byte is its offset + 0x10 */
uint64_t recorder_value(hwaddr offset, unsigned size);

/** recorder_assert() - entry @i is exactly this access */
#define recorder_assert(r, i, write_, offset_, size_, value_)                                      \
    recorder_assert_at((r), (i), (write_), (offset_), (size_), (value_), __FILE__, __LINE__)
void recorder_assert_at(Recorder *r, unsigned i, bool is_write, hwaddr offset, unsigned size,
                        uint64_t value, const char *file, int line);

/** edit() - a call that takes EDIT_ERROR for its GError ** and must succeed */
#define edit(expression)                                                                           \
    do {                                                                                           \
        GError *edit_error_ = NULL;                                                                \
        if (!(expression)) {                                                                       \
            fail_msg("%s: %s", #expression, edit_error_->message);                                 \
        }                                                                                          \
    } while (0)
#define EDIT_ERROR &edit_error_

#endif
