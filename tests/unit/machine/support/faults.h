/* SPDX-License-Identifier: MIT */
/* Host calls and KVM ioctls that fail on command, counted as one sequence. */
#ifndef TESSERA_TESTS_FAULTS_H
#define TESSERA_TESTS_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The linker (-Wl,--wrap) puts faults.c in the place of the calls by which a program gets something
 * from the host: mmap, mprotect, madvise, memfd_create, ftruncate, fallocate, eventfd, timerfd_create,
 * signalfd, open, fstat, fcntl, pread, pthread_create. Those that the model KVM makes for itself do not
 * count; its ioctls do. Any thread.
 */

/** faults_arm() - call @n from now on (from 1), and with @all_later every one after, fails. 0: none */
void faults_arm(unsigned n, bool all_later);
/** faults_disarm() - nothing fails any more; the counts stay. Before model_kvm_reset() */
void faults_disarm(void);
/** faults_calls() - since faults_arm() */
unsigned faults_calls(void);
unsigned faults_hit(void);

/**
 * faults_serious() - the first failed call that the program cannot do without, NULL: none of them was
 *
 * It can do without hints (huge pages, merging, file contents that nobody needs any more), questions
 * about capabilities, the one capability that only makes slot changes cheaper, a wire's level, the
 * guest's clock standing still while it is stopped, a timer finer than the main loop's; and a
 * reservation of address space may be smaller.
 */
const char *faults_serious(void);

/**
 * faults_fail_call() - the @nth call from now on (from 1) of the host function @name, of this thread,
 * fails with @err, once; NULL: none. Independent of faults_arm()
 */
void faults_fail_call(const char *name, unsigned nth, int err);
/** faults_call_failed() - whether that call has come */
bool faults_call_failed(void);

/** faults_mapped() - bytes mapped and not unmapped, by everything but the model */
int64_t faults_mapped(void);

#endif
