/* SPDX-License-Identifier: MIT */
/* The floor of giving a guest memory: what only the kernel has to do for it, with raw calls. */
#ifndef TESSERA_BENCH_FLOOR_H
#define TESSERA_BENCH_FLOOR_H

#include <stdint.h>
#include <sys/types.h>

#include "qmp.h"

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

/**
 * The floor with a socket: a process of its own, as bare as can be, that reads lines from a stream of
 * a unix socket and answers each with one line. Where the line says "device_add" it makes the floor's
 * three calls first; any other line is only answered.
 */
typedef struct BenchFloorServer {
    pid_t pid;
    BenchQmp client; /* for bench_qmp(): the same client that talks to monitors */
} BenchFloorServer;

/** bench_floor_server_start() - ends the program with a message when that is not possible */
void bench_floor_server_start(BenchFloorServer *server, uint64_t size);
void bench_floor_server_stop(BenchFloorServer *server);

#endif
