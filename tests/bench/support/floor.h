/* SPDX-License-Identifier: MIT */
/* The floor of giving a guest memory: what only the kernel has to do for it, with raw calls. */
#ifndef TESSERA_BENCH_FLOOR_H
#define TESSERA_BENCH_FLOOR_H

#include <stdint.h>

/**
 * A virtual machine of its own: 256 MiB of RAM, the kernel's interrupt controllers, one vCPU that
 * does not run. Ends the program with a message where KVM refuses something.
 */
typedef struct BenchFloor {
    int kvm;
    int vm;
    int vcpu;
    void *ram;
} BenchFloor;

void bench_floor_open(BenchFloor *f);
void bench_floor_close(BenchFloor *f);

/**
 * bench_floor() - one time, in microseconds, for mmap of @size bytes, KVM_SET_USER_MEMORY_REGION of
 * them at 4 GiB, and KVM_IRQ_LINE of the ACPI interrupt
 *
 * All is taken back afterwards, outside the time.
 */
double bench_floor(BenchFloor *f, uint64_t size);

#endif
