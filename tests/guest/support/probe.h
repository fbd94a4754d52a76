/* SPDX-License-Identifier: MIT */
/* One bare vCPU that reads and writes where it is told: what does a guest find at this address? */
#ifndef TESSERA_TESTS_PROBE_H
#define TESSERA_TESTS_PROBE_H

#include <stdbool.h>
#include "../../../src/accel/kvm/kvm-internal.h"

/*
 *   0 .. PROBE_SPACE                      the caller's: whatever slots it sets, or none
 *   PROBE_SPACE .. PROBE_SPACE + 5 pages  the probe's slot: code and page tables
 *   PROBE_DONE                            never RAM: a write there ends an access
 * The page tables show the first 2 GiB one to one, in pages of 2 MiB; they never change.
 */
#define PROBE_SPACE (1ULL << 30)
#define PROBE_PAGES 5
#define PROBE_DONE  (PROBE_SPACE + (512ULL << 20))

typedef struct Probe {
    Kvm *kvm;
    int fd;
    struct kvm_run *run;
    size_t run_size;
    uint8_t *pages; /* PROBE_PAGES, the slot's memory */
    struct kvm_sregs sregs;
    bool user; /* what the vCPU is set to */
} Probe;

/* What became of a read of 8 bytes and of the write after it. */
typedef struct ProbeAccess {
    bool read_exits;
    bool write_exits;
    uint64_t value; /* read; PROBE_EXIT_VALUE when that left the guest */
} ProbeAccess;

#define PROBE_EXIT_VALUE 0x7e7e7e7e7e7e7e7eULL

/** probe_init() - makes vCPU 0 of @kvm and slot @slot_id. Fails the test if that cannot be done */
void probe_init(Probe *probe, Kvm *kvm, uint32_t slot_id);
/** probe_done() - before kvm_free() */
void probe_done(Probe *probe);

/**
 * probe_access() - the guest reads the 8 bytes at @gpa, below PROBE_SPACE, and then writes @value there
 * @user: at CPL 3, through the MMU; else at CPL 0, which a KVM without hardware below interprets
 *
 * Anything else that the guest does than these accesses fails the test.
 */
ProbeAccess probe_access(Probe *probe, uint64_t gpa, uint64_t value, bool user);

#endif
